# The judge is judged: the simulated LINE API answers, records, signs and
# misbehaves as test/mock/README.md says, byte by byte on the wire.
#
# TAP with raw sockets, because nothing else shows half a header or a reset;
# curl and openssl are used for TLS, HTTP/2 and signed assertions where they
# are installed, and those parts are skipped where not.

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256_base64 sha256_hex);
use Errno qw(ECONNREFUSED ECONNRESET);
use File::Basename qw(dirname);
use File::Spec;
use File::Temp;
use FindBin;
use HTTP::Tiny;
use IO::Select;
use IO::Socket::INET;
use JSON::PP ();
use MIME::Base64 qw(decode_base64 encode_base64 encode_base64url);
use Test::More;
use Time::HiRes qw(time);

use lib "$FindBin::RealBin/../perl";
use LineNotify::Sim;

my $json = JSON::PP->new->utf8->canonical;
my $mock = "$FindBin::RealBin/../mock";
my $tmp = File::Temp->newdir;

my $TEMPLATED = '/v2/bot/message/pnp/templated/push';
my $FLEXIBLE = '/bot/pnp/push';
my $FORM = 'application/x-www-form-urlencoded';

# Long enough to say "nothing more comes" on a loaded machine, where each use
# of it waits so long; anything that does come is waited for as long as WAIT.
my $SILENCE = 0.15;
my $WAIT = LineNotify::Sim::LIMIT;

# A write to a connection that is reset already is part of the game.
$SIG{PIPE} = 'IGNORE';

my $sim = LineNotify::Sim->start(log => "$tmp/requests.log");
my $http = HTTP::Tiny->new(max_redirect => 0, timeout => $WAIT);

# ---- helpers -------------------------------------------------------------

sub has_program
{
	my ($name) = @_;
	return grep { -x "$_/$name" } File::Spec->path;
}

sub hash_of { return sha256_hex($_[0] // '+819012345678'); }

sub template_message
{
	my (%more) = @_;
	return { to => hash_of(), templateKey => 'shipment_completed_ja', %more };
}

sub text_message
{
	my (%more) = @_;
	return { to => hash_of(),
		messages => [ { type => 'text', text => 'hello' } ], %more };
}

# Are there so many whole answers 202?
sub answers
{
	my ($n) = @_;
	return sub { $n == (() = $_[0] =~ /^\{\}/mg) };
}

# One request by HTTP::Tiny, with what a correct client sends unless told
# otherwise (a header given as undef is left out).
sub call
{
	my ($method, $path, $content, %header) = @_;
	my %all = (
		Authorization => 'Bearer ' . $sim->token,
		ref $content ? ('Content-Type' => 'application/json') : (),
		%header);
	delete $all{$_} for grep { !defined $all{$_} } keys %all;
	$content = $json->encode($content) if ref $content;
	return $http->request($method, $sim->url($path),
		{ headers => \%all, defined $content ? (content => $content) : () });
}

sub decoded { return $json->decode($_[0]->{content}); }

sub connect_to
{
	my ($port) = @_;
	# Without a time-out: with one, IO::Socket looks at the connection once
	# more, and finds no socket where a rule has reset it already.
	return IO::Socket::INET->new(
		PeerAddr => '127.0.0.1', PeerPort => $port // $sim->port);
}

# A whole request as bytes.
sub bytes_of
{
	my ($path, $message, %header) = @_;
	my $body = ref $message ? $json->encode($message) : $message;
	my $head = "POST $path HTTP/1.1\r\nHost: sim\r\n"
	  . 'Authorization: Bearer ' . $sim->token . "\r\n"
	  . "Content-Type: application/json\r\n"
	  . join('', map { "$_: $header{$_}\r\n" } sort keys %header)
	  . 'Content-Length: ' . length($body) . "\r\n\r\n";
	return $head . $body;
}

# Reads until the end of the connection, until $until matches (or, being a
# function of the bytes so far, says so), or until nothing comes for $silence.  Returns the bytes and how it ended: "eof",
# "reset", "match" or "silent".
sub read_from
{
	my ($socket, %opt) = @_;
	my $data = '';
	my $select = IO::Select->new($socket);
	my $patience = $opt{silence} // ($opt{until} ? $WAIT : $SILENCE);
	while ($select->can_read($patience))
	{
		my $n = sysread($socket, $data, 65536, length $data);
		return ($data, $! == ECONNRESET ? 'reset' : "error $!")
		  unless defined $n;
		return ($data, 'eof') if $n == 0;
		return ($data, 'match')
		  if $opt{until} && (ref $opt{until} eq 'CODE'
			? $opt{until}->($data) : $data =~ $opt{until});
		return ($data, 'match') if $opt{most} && length $data >= $opt{most};
	}
	return ($data, 'silent');
}

# Sends bytes on a connection of its own and reads what comes.
sub exchange
{
	my ($bytes, %opt) = @_;
	my $socket = connect_to($opt{port}) or return ('', 'refused');
	# A reset that overtakes our bytes shows here, and then read() says eof.
	defined syswrite($socket, $bytes) or return ('', 'reset');
	my @result = read_from($socket, %opt);
	close($socket);
	return @result;
}

# Pipelines requests, each [message, headers …]; returns the statuses.
sub send_many
{
	my ($path, @requests) = @_;
	my $n = @requests;
	my ($bytes) = exchange(join('', map { bytes_of($path, @$_) } @requests),
		until => sub {
			my @heads = $_[0] =~ /HTTP\/1\.1 \d+/g;
			return @heads == $n && $_[0] =~ /\}$/;
		});
	return $bytes =~ /HTTP\/1\.1 (\d+)/g;
}

# Fresh simulator for each part.
sub part
{
	my ($name, $code) = @_;
	subtest $name => sub {
		$sim->reset;
		$code->();
		ok($sim->alive, 'the simulator is alive');
	};
	return;
}

# ---- LINE's side ---------------------------------------------------------

part 'signatures' => sub {
	my $body = '{"destination":"U8e742f61d673b39c7fff3cecb7536ef0",'
	  . '"events":[]}';
	is($sim->sign($body), 'GhRKmvmHys4Pi8DxkF4+EayaH0OqtJtaZxgTD9fMDLs=',
		q{LINE's published vector});
	is_deeply($sim->emit([]),
		[ $body, 'GhRKmvmHys4Pi8DxkF4+EayaH0OqtJtaZxgTD9fMDLs=' ],
		'the default channel makes it bit for bit');

	$sim->channel(
		id => '1000000000', secret => '0123456789abcdef0123456789abcdef',
		destination => 'U00000000000000000000000000000000');
	my $second = '{"destination":"U00000000000000000000000000000000","events"'
	  . ':[{"type":"delivery","delivery":{"data":"ln1-00000000000000000042"},'
	  . '"webhookEventId":"01J0000000000000000000000A","deliveryContext":'
	  . '{"isRedelivery":false},"timestamp":1750000000000,"mode":"active"}]}';
	is($sim->sign($second, channel => '1000000000'),
		'sEIWpN/aVDm/Sn17jSKzxYJM+2JYpvRPZt03Y5nUj8s=', 'our second vector');
	is($sim->sign("\xff\x00\xfe", secret => 'key'),
		hmac_sha256_base64("\xff\x00\xfe", 'key') . '=', 'any bytes');
};

part 'accepting' => sub {
	my $tag = 'ln1-42-1-abcdefghij';
	my $r = call(POST => $TEMPLATED, template_message(),
		'X-Line-Delivery-Tag' => $tag);
	is($r->{status}, 202, 'template: 202');
	is($r->{content}, '{}', 'and {}');
	like($r->{headers}{'x-line-request-id'},
		qr/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, 'request id');
	my $flexible = call(POST => $FLEXIBLE, text_message());
	is($flexible->{status}, 200, 'flexible: 200');
	is($flexible->{content}, '{}', 'and {}');

	my ($first, $second) = $sim->requests(headers => 1, body => 1);
	is($first->{n}, 1, 'recorded in order');
	is($first->{path}, $TEMPLATED, 'path');
	is($first->{method}, 'POST', 'method');
	is($first->{tag}, $tag, 'tag');
	is($first->{to}, hash_of(), 'recipient');
	is($first->{channel}, LineNotify::Sim::CHANNEL, 'channel, by the token');
	is($first->{status}, 202, 'status');
	is($first->{answered}, 'whole', 'answered whole');
	ok($first->{accepted}, 'accepted');
	is($first->{request_id}, $r->{headers}{'x-line-request-id'},
		'request id is that of the answer');
	is_deeply($json->decode($first->{body}), template_message(), 'body');
	is($first->{body_sha256}, sha256_hex($first->{body}), 'its digest');
	is($first->{length}, length $first->{body}, 'its length');
	ok((grep { $_->[0] eq 'x-line-delivery-tag' } @{ $first->{headers} }),
		'headers');
	is($second->{conn}, $first->{conn}, 'one connection, kept alive');
	is($second->{on_conn}, 2, 'second request on it');
	cmp_ok($second->{mono}, '>=', $first->{mono}, 'by its own clock');
	is(scalar(my @later = $sim->requests(since => 1)), 1, 'since');
};

part 'refusing as LINE does' => sub {
	my $long = 'x' x 301;
	my $item = { itemKey => 'name_010_ja', content => 'x' };
	my @cases = (
		# name, path, message, status, what the body says
		[ 'hash too short', $TEMPLATED, template_message(to => 'ab'), 400,
			qr/valid SHA-256 digest\.","property":"to"/ ],
		[ 'no recipient', $TEMPLATED, { templateKey => 'a' }, 400, qr/"to"/ ],
		[ 'no template', $TEMPLATED, { to => hash_of() }, 400,
			qr/"templateKey"/ ],
		[ 'template key of a wrong shape', $TEMPLATED,
			template_message(templateKey => 'a-b'), 400,
			qr/"message":"Invalid templateKey: a-b"/ ],
		[ 'item key of a wrong shape', $TEMPLATED,
			template_message(body => { items => [
				{ itemKey => 'a-b', content => 'x' } ] }), 400,
			qr/does not exist: a-b","property":"body\.items\[0\]\.itemKey"/ ],
		[ 'item twice', $TEMPLATED,
			template_message(body => { items => [ $item, $item ] }), 400,
			qr/Duplicate itemKey/ ],
		[ 'item also emphasized', $TEMPLATED,
			template_message(body => { emphasizedItem => $item,
				items => [ $item ] }), 400,
			qr/"body\.emphasizedItem\.itemKey"/ ],
		[ 'emphasized 15', $TEMPLATED,
			template_message(body => { emphasizedItem =>
				{ itemKey => 'a', content => 'x' x 15 } }), 202, qr/^\{\}$/ ],
		[ 'emphasized 16', $TEMPLATED,
			template_message(body => { emphasizedItem =>
				{ itemKey => 'a', content => 'x' x 16 } }), 400, qr/Length/ ],
		[ 'eight emoji are 16 units', $TEMPLATED,
			template_message(body => { emphasizedItem =>
				{ itemKey => 'a', content => "\x{1F600}" x 8 } }), 400,
			qr/Length/ ],
		[ 'item 301', $TEMPLATED,
			template_message(body => { items => [
				{ itemKey => 'a', content => $long } ] }), 400, qr/Length/ ],
		[ 'item empty', $TEMPLATED,
			template_message(body => { items => [
				{ itemKey => 'a', content => '' } ] }), 400, qr/empty/ ],
		[ '15 items', $TEMPLATED,
			template_message(body => { items => [
				map { { itemKey => "i$_", content => 'x' } } 1 .. 15 ] }), 202,
			qr/^\{\}$/ ],
		[ '16 items', $TEMPLATED,
			template_message(body => { items => [
				map { { itemKey => "i$_", content => 'x' } } 1 .. 16 ] }), 400,
			qr/between 0 and 15/ ],
		[ 'three buttons', $TEMPLATED,
			template_message(body => { buttons => [
				map { { buttonKey => "b$_", url => 'https://x.jp' } } 1 .. 3
			] }), 400, qr/between 0 and 2/ ],
		[ 'button twice', $TEMPLATED,
			template_message(body => { buttons => [
				map { { buttonKey => 'b', url => 'https://x.jp' } } 1 .. 2
			] }), 400, qr/Duplicate buttonKey/ ],
		[ 'URL of 1001', $TEMPLATED,
			template_message(body => { buttons => [
				{ buttonKey => 'b', url => 'https://' . 'x' x 993 } ] }), 400,
			qr/Length/ ],
		[ 'unit with a hyphen', $TEMPLATED,
			template_message(customAggregationUnits => ['a-b']), 400,
			qr/Invalid characters are included in custom aggregation unit/ ],
		[ 'unit of 31', $TEMPLATED,
			template_message(customAggregationUnits => [ 'a' x 31 ]), 400,
			qr/customAggregationUnits\[0\]/ ],
		[ 'two units', $FLEXIBLE,
			text_message(customAggregationUnits => [ 'a', 'b' ]), 400,
			qr/Size must be between 0 and 1/ ],
		[ 'no messages', $FLEXIBLE, { to => hash_of() }, 400, qr/"messages"/ ],
		[ 'six messages', $FLEXIBLE,
			text_message(messages => [ ({ type => 'text', text => 'x' }) x 6 ]),
			400, qr/between 1 and 5/ ],
		[ 'an image', $FLEXIBLE,
			text_message(messages => [ { type => 'image' } ]), 400,
			qr/messages\[0\]\.type/ ],
		[ 'an image in a bubble', $FLEXIBLE,
			text_message(messages => [ { type => 'flex', altText => 'x',
				contents => { type => 'bubble', hero => { type => 'image' } }
			} ]), 400, qr/image or a video/ ],
		[ 'text of 5000', $FLEXIBLE,
			text_message(messages => [ { type => 'text', text => 'x' x 5000 }
			]), 200, qr/^\{\}$/ ],
		[ 'text of 5001', $FLEXIBLE,
			text_message(messages => [ { type => 'text', text => 'x' x 5001 }
			]), 400, qr/between 1 and 5000/ ],
		[ 'flex without altText', $FLEXIBLE,
			text_message(messages => [ { type => 'flex',
				contents => { type => 'bubble' } } ]), 400, qr/altText/ ],
		[ '13 bubbles', $FLEXIBLE,
			text_message(messages => [ { type => 'flex', altText => 'x',
				contents => { type => 'carousel',
					contents => [ ({ type => 'bubble' }) x 13 ] } } ]), 400,
			qr/between 1 and 12/ ]);
	foreach my $case (@cases)
	{
		my ($name, $path, $message, $status, $says) = @$case;
		my $r = call(POST => $path, $message);
		is($r->{status}, $status, $name);
		(my $compact = $r->{content}) =~ s/": ?/":/g;
		$compact =~ s/, "/,"/g;
		like($compact, $says, "$name: in LINE's words");
	}

	my $message = template_message();
	@cases = (
		[ 'no JSON', 400, qr/JSON/, POST => $TEMPLATED, '{"to":',
			'Content-Type' => 'application/json' ],
		[ 'not even UTF-8', 400, qr/JSON/, POST => $TEMPLATED, "\xff\xfe",
			'Content-Type' => 'application/json' ],
		[ 'an array', 400, qr/JSON/, POST => $TEMPLATED, [] ],
		[ 'retry key', 400, qr/retry key/, POST => $TEMPLATED, $message,
			'X-Line-Retry-Key' => '123e4567-e89b-12d3-a456-426614174000' ],
		[ 'tag of 15', 400, qr/Tag/, POST => $TEMPLATED, $message,
			'X-Line-Delivery-Tag' => 'x' x 15 ],
		[ 'tag of 16', 202, qr/\{\}/, POST => $TEMPLATED, $message,
			'X-Line-Delivery-Tag' => 'x' x 16 ],
		[ 'tag of 100', 202, qr/\{\}/, POST => $TEMPLATED, $message,
			'X-Line-Delivery-Tag' => 'x' x 100 ],
		[ 'tag of 101', 400, qr/Tag/, POST => $TEMPLATED, $message,
			'X-Line-Delivery-Tag' => 'x' x 101 ],
		[ 'no token', 401, qr/Authentication failed/, POST => $TEMPLATED,
			$message, Authorization => undef ],
		[ 'unknown token', 401, qr/Authentication failed/, POST => $TEMPLATED,
			$message, Authorization => 'Bearer nonsense' ],
		[ 'no bearer', 401, qr/Authentication failed/, POST => $TEMPLATED,
			$message, Authorization => $sim->token ],
		[ 'XML', 415, qr/media type/, POST => $TEMPLATED, $message,
			'Content-Type' => 'text/xml' ],
		[ 'with charset', 202, qr/\{\}/, POST => $TEMPLATED, $message,
			'Content-Type' => 'application/json; charset=utf-8' ],
		[ 'too large', 413, qr/too large/, POST => $TEMPLATED,
			template_message(filler => 'x' x 2000000) ],
		[ 'unknown path', 404, qr/Not found/, POST => '/v2/bot/nothing',
			$message ],
		[ 'wrong method', 405, qr/not allowed/, GET => $TEMPLATED ]);
	foreach my $case (@cases)
	{
		my ($name, $status, $says, @request) = @$case;
		my $r = call(@request);
		is($r->{status}, $status, $name);
		like($r->{content}, $says, "$name: says so");
		ok($r->{headers}{'x-line-request-id'}, "$name: request id");
	}

	$sim->config(catalogue => { templates => ['a_ja'], items => ['i_ja'],
		buttons => ['b_ja'] });
	is(call(POST => $TEMPLATED, template_message(templateKey => 'a_ja'))
		  ->{status}, 202, 'catalogue: known template');
	my $r = call(POST => $TEMPLATED, template_message());
	is($r->{status}, 400, 'catalogue: unknown template');
	is_deeply(decoded($r), {
		message => 'Invalid templateKey: shipment_completed_ja',
		details => [ { property => 'templateKey',
			message => q{The specified template doesn't exist, or you }
			  . q{don't have the permission} } ] }, 'in exactly these words');

	$sim->channel(id => 'plain', token => 'plain-token', templated =>
		  JSON::PP::false);
	$r = call(POST => $TEMPLATED, $message,
		Authorization => 'Bearer plain-token');
	is($r->{status}, 403, 'no permission for templates');
	is(decoded($r)->{message},
		'Access to this API is not available for your account', 'words');
	is(call(POST => $FLEXIBLE, text_message(),
			Authorization => 'Bearer plain-token')->{status}, 200,
		'but for flexible messages');

	$sim->channel(id => 'poor', token => 'poor-token', quota => 2);
	is_deeply([ map { call(POST => $FLEXIBLE, text_message(),
			Authorization => 'Bearer poor-token')->{status} } 1 .. 3 ],
		[ 200, 200, 429 ], 'monthly limit');
};

part 'recipients' => sub {
	my @phones = map { "+81901234567$_" } 0 .. 4;
	$sim->set_recipients(
		$phones[1] => 'unreachable', hash_of($phones[2]) => 'blocked',
		$phones[3] => 'pending', $phones[4] => { pending => 2 });
	my @status;
	foreach my $phone (@phones)
	{
		push @status, call(POST => $TEMPLATED,
			template_message(to => hash_of($phone)))->{status};
	}
	is_deeply(\@status, [ 202, 422, 202, 202, 202 ], 'answers');
	is($sim->summary->{accepted}, 4, 'the unreachable one is not accepted');
	my ($body) = map { $_->[0] } $sim->webhooks;
	is_deeply([ map { $_->{delivery}{data} }
			@{ $json->decode($body)->{events} } ],
		[ hash_of($phones[0]) ],
		'delivered: without a tag, known by the hash');
	ok($sim->wait_webhooks(1, $WAIT), 'consent comes later');
	like(($sim->webhooks)[0][0], qr/${\ hash_of($phones[4])}/, 'and is it');
	is($sim->summary->{webhooks}{later}, 0, 'the others never');

	$sim->set_recipients(default => 'unreachable');
	is(call(POST => $FLEXIBLE, text_message())->{status}, 422, 'default');
	$sim->set_recipients(default => 'reachable',
		shares => { unreachable => 0.5 });
	my $n = grep { $_ == 422 } send_many($FLEXIBLE,
		map { [ text_message(to => hash_of("+8190000$_")) ] } 10000 .. 10199);
	ok($n > 60 && $n < 140, "shares: $n of 200 are unreachable");
	foreach my $wrong ({ '090' => 'blocked' }, { default => 'dead' },
		{ $phones[0] => { pending => -1 } }, { shares => { blocked => 2 } })
	{
		ok(!eval { $sim->set_recipients(%$wrong); 1 },
			'refused: ' . $json->encode($wrong));
	}
};

part 'webhooks' => sub {
	send_many($TEMPLATED, map { [ template_message(),
			'X-Line-Delivery-Tag' => "ln1-$_-1-abcdefgh" ] } 1 .. 250);
	my @hooks = $sim->webhooks;
	is(scalar @hooks, 3, '250 events in bodies of 100');
	my (@tags, %ids);
	foreach my $hook (@hooks)
	{
		my ($body, $signature) = @$hook;
		is($signature, hmac_sha256_base64($body, LineNotify::Sim::SECRET) . '=',
			'signed over the raw bytes');
		foreach my $event (@{ $json->decode($body)->{events} })
		{
			push @tags, $event->{delivery}{data};
			$ids{ $event->{webhookEventId} }++;
		}
	}
	is_deeply(\@tags, [ map { "ln1-$_-1-abcdefgh" } 1 .. 250 ],
		'all tags, in order');
	is(scalar keys %ids, 250, 'each with an id of its own');
	like((keys %ids)[0], qr/^[0-9A-HJKMNP-TV-Z]{26}$/, 'a ULID');
	my $event = $json->decode($hooks[0][0])->{events}[0];
	is_deeply([ sort keys %$event ], [ qw(delivery deliveryContext mode
			  timestamp type webhookEventId) ], 'properties, and no source');
	is($event->{type}, 'delivery', 'type');
	cmp_ok(abs($event->{timestamp} / 1000 - time), '<', 3600, 'timestamp');
	is(scalar $sim->webhooks, 0, 'handed out once');

	is($sim->redeliver(last => 2), 2, 'the last two again');
	my ($again) = $sim->webhooks;
	my @events = @{ $json->decode($again->[0])->{events} };
	is_deeply([ map { $_->{delivery}{data} } @events ],
		[ 'ln1-249-1-abcdefgh', 'ln1-250-1-abcdefgh' ], 'those');
	is($ids{ $events[1]{webhookEventId} }, 1, 'the same id');
	ok($events[1]{deliveryContext}{isRedelivery}, 'flagged');

	$sim->reset;
	$sim->config(webhook => { duplicate => 1, shuffle => JSON::PP::true,
		batch => 7 });
	call(POST => $TEMPLATED, template_message(),
		'X-Line-Delivery-Tag' => "ln1-$_-1-abcdefgh") for 1 .. 20;
	my %seen;
	my @order = map { $_->{delivery}{data} }
	  map { @{ $json->decode($_->[0])->{events} } } $sim->webhooks;
	$seen{$_}++ for @order;
	is(scalar @order, 40, 'duplicates: each twice');
	is_deeply([ sort { $a <=> $b } values %seen ], [ (2) x 20 ], 'each');
	isnt("@order[0 .. 19]", join(' ', map { "ln1-$_-1-abcdefgh" } 1 .. 20),
		'scrambled');

	$sim->config(webhook => { duplicate => 0, lose => 1 });
	call(POST => $TEMPLATED, template_message());
	is($sim->summary->{webhooks}{made}, 20, 'lost');

	my $odd = $sim->emit([ { type => 'follow', x => 1 } ]);
	is($odd->[1], hmac_sha256_base64($odd->[0], LineNotify::Sim::SECRET) . '=',
		'any events are signed');
};

part 'webhooks by POST, within two seconds' => sub {
	my $receiver = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
		Listen => 5, ReuseAddr => 1);
	$sim->config(webhook => { mode => 'post', timeout => 3,
		url => 'http://127.0.0.1:' . $receiver->sockport . '/hook?x=1',
		redeliveries => 3, redelivery_wait => 0 });
	call(POST => $TEMPLATED, template_message(),
		'X-Line-Delivery-Tag' => 'ln1-1-1-abcdefgh');
	my @bodies;
	foreach my $answer (
		"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", undef,
		'nonsense', "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	{
		IO::Select->new($receiver)->can_read($WAIT) or last;
		my $client = $receiver->accept;
		my ($bytes) = read_from($client, until => qr/\]\}$/);
		my ($head, $body) = split /\r\n\r\n/, $bytes, 2;
		push @bodies, $body;
		like($head, qr{^POST /hook\?x=1 HTTP/1\.1\r\n}, 'request line');
		my ($signature) = $head =~ /^x-line-signature: (\S+)/mi;
		is($signature, hmac_sha256_base64($body, LineNotify::Sim::SECRET) . '=',
			'signature');
		print {$client} $answer if defined $answer;
		$client->flush;
		read_from($client, silence => $WAIT) unless defined $answer;
		close($client);
	}
	ok($sim->wait_until(sub { $sim->webhook_posts == 4 }, $WAIT), 'four');
	is_deeply([ map { $_->{result} } $sim->webhook_posts ],
		[ qw(error_status_code request_timeout unclassified ok) ],
		q{LINE's names for what happened});
	is_deeply([ map { $json->decode($_)->{events}[0]{deliveryContext}
			  {isRedelivery} ? 1 : 0 } @bodies ], [ 0, 1, 1, 1 ], 'flags');
	my $port = $receiver->sockport;
	close($receiver);
	$sim->config(webhook => { redeliveries => 0 });
	call(POST => $TEMPLATED, template_message());
	ok($sim->wait_until(sub { $sim->webhook_posts == 5 }, $WAIT), 'refused');
	is(($sim->webhook_posts)[-1]{result}, 'could_not_connect', 'so named');
};

part 'webhooks as files' => sub {
	my $other = LineNotify::Sim->start(dir => "$tmp/spool");
	$http->request('POST', $other->url($FLEXIBLE), {
		content => $json->encode(text_message()), headers => {
			'Content-Type' => 'application/json',
			Authorization => 'Bearer ' . $other->token } });
	my $file = "$tmp/spool/webhooks/000001.json";
	ok($sim->wait_until(sub { -e $file }, $WAIT), 'a file');
	open(my $in, '<', $file) or die "$file: $!";
	my $item = $json->decode(scalar <$in>);
	is($item->{signature}, hmac_sha256_base64(
		decode_base64($item->{body_base64}), LineNotify::Sim::SECRET) . '=',
		'signed');
};

part 'rate limit' => sub {
	$sim->config(rate_limit => 0.2, rate_burst => 5);
	my @status = map { call(POST => $FLEXIBLE, text_message())->{status} }
	  1 .. 10;
	is_deeply([ @status[0 .. 4] ], [ (200) x 5 ], 'the bucket was full');
	ok((grep { $_ == 429 } @status), 'then it was empty');
	is(call(POST => $TEMPLATED, template_message())->{status}, 202,
		'the other endpoint has a bucket of its own');
	ok($sim->wait_until(
		sub { call(POST => $FLEXIBLE, text_message())->{status} == 200 },
		$WAIT), 'it fills again');
	$sim->config(rate_limit => 0);
	is(call(POST => $FLEXIBLE, text_message())->{status}, 200, 'off');
};

part 'counts and other endpoints' => sub {
	my $count = '/v2/bot/message/delivery/pnp';
	my $today = POSIX::strftime('%Y%m%d', gmtime(time() + 9 * 3600));
	call(POST => $FLEXIBLE, text_message(
		customAggregationUnits => ['parcel_delivery'])) for 1 .. 25;
	is_deeply(decoded(call(GET => "$count?date=$today")),
		{ status => 'unready' }, 'today is not ready');
	is_deeply(decoded(call(GET => "$count?date=20180330")),
		{ status => 'out_of_service' }, 'before the service');
	is_deeply(decoded(call(GET => "$count?date=20260101")),
		{ status => 'ready', success => 0 }, 'a quiet day');
	$sim->config(counts_ready_today => JSON::PP::true);
	is_deeply(decoded(call(GET => "$count?date=$today")),
		{ status => 'ready', success => 25 }, 'today, if wanted');
	is_deeply(decoded(call(GET => "$count/templated?date=$today")),
		{ status => 'ready', success => 0 }, 'templates apart');
	$sim->set_counts(date => '20260102', kind => 'flexible', success => 777);
	is(decoded(call(GET => "$count?date=20260102"))->{success}, 777, 'set');
	$sim->set_counts(date => '20260103', kind => 'flexible',
		status => 'unavailable_for_privacy');
	is(decoded(call(GET => "$count?date=20260103"))->{status},
		'unavailable_for_privacy', 'any status');
	foreach my $wrong ('', '?date=2026-01-01', '?date=20260230')
	{
		is(call(GET => "$count$wrong")->{status}, 400, "400: $wrong");
	}
	is(decoded(call(GET => '/v2/bot/insight/message/event/aggregation'
			. "?customAggregationUnit=parcel_delivery&from=$today&to=$today"))
		->{overview}{uniqueImpression}, 25, 'statistics of a unit');
	my $unit = '/v2/bot/insight/message/event/aggregation?customAggregationUnit=parcel_delivery';
	$sim->set_engagement(unit => 'parcel_delivery', date => '20260301', opened => 19, clicked => 3);
	is(decoded(call(GET => "$unit&from=20260301&to=20260331"))->{overview}{uniqueImpression}, undef,
		'19 are withheld');
	$sim->set_engagement(unit => 'parcel_delivery', date => '20260331', opened => 2, clicked => 17, urls => 3);
	is_deeply(decoded(call(GET => "$unit&from=20260301&to=20260331"))->{overview},
		{ uniqueImpression => 21, uniqueClick => 20, uniqueMediaPlayed => undef, uniqueMediaPlayed100Percent => undef },
		'21 are told, of a whole month');
	is(scalar @{ decoded(call(GET => "$unit&from=20260301&to=20260331"))->{clicks} }, 3, 'with addresses');
	is(call(GET => "$unit&from=20260301&to=20260401")->{status}, 400, 'not of more than 30 days after the first');
	is(decoded(call(GET => '/v2/bot/message/aggregation/info'))->{numOfCustomAggregationUnits}, 1, 'one unit this month');
	is_deeply(decoded(call(GET => '/v2/bot/message/aggregation/list'))->{customAggregationUnits}, ['parcel_delivery'], 'its name');
	call(GET => "$unit&from=$today&to=$today") for 1 .. 55;
	is(call(GET => "$unit&from=$today&to=$today")->{status}, 429, 'sixty questions an hour');
	is(decoded(call(GET => '/v2/bot/info'))->{userId},
		'U8e742f61d673b39c7fff3cecb7536ef0', 'bot info');
	is(call(GET => '/v2/bot/info', undef, Authorization => 'Bearer x')
		->{status}, 401, 'which wants a token');
	is(call(POST => '/v2/bot/message/validate/push', text_message())->{status},
		200, 'dry check');
};

part 'tokens' => sub {
	my %secret = (client_id => LineNotify::Sim::CHANNEL,
		client_secret => LineNotify::Sim::SECRET);
	my $post = sub {
		my ($path, %form) = @_;
		return $http->post_form($sim->url($path), \%form);
	};
	my $works = sub {
		my ($token) = @_;
		return call(GET => '/v2/bot/info', undef,
			Authorization => "Bearer $token")->{status} == 200;
	};
	my %grant = (grant_type => 'client_credentials');

	my $stateless = decoded($post->('/oauth2/v3/token', %grant, %secret));
	is($stateless->{token_type}, 'Bearer', 'stateless by secret');
	is($stateless->{expires_in}, 900, 'for 15 minutes');
	is_deeply([ sort keys %$stateless ],
		[ qw(access_token expires_in token_type) ], 'and no key id');
	ok($works->($stateless->{access_token}), 'it works');
	is($post->('/oauth2/v3/token', %grant, %secret, client_secret => 'x')
		->{status}, 400, 'wrong secret');
	ok(decoded($post->('/oauth2/v3/token', %grant, %secret,
			client_secret => 'x'))->{error}, 'error, not message');
	is($post->('/oauth2/v3/token', %secret)->{status}, 400, 'no grant type');
	is(call(POST => '/oauth2/v3/token', \%secret)->{status}, 400, 'JSON');

	my $short = decoded($post->('/v2/oauth/accessToken', %grant, %secret));
	is($short->{expires_in}, 2592000, 'short-lived');
	ok($works->($short->{access_token}), 'works');
	is(decoded($post->('/v2/oauth/verify',
			access_token => $short->{access_token}))->{client_id},
		LineNotify::Sim::CHANNEL, 'verified');
	is($post->('/v2/oauth/revoke', access_token => $short->{access_token})
		->{status}, 200, 'revoked');
	ok(!$works->($short->{access_token}), 'and dead');
	is($post->('/v2/oauth/revoke', access_token => 'unknown')->{status}, 200,
		'revoking an unknown one');
	is($post->('/v2/oauth/verify', access_token => $short->{access_token})
		->{status}, 400, 'not verified any more');

	is($sim->expire_tokens(kind => 'stateless'), 1, 'expire by control');
	ok(!$works->($stateless->{access_token}), 'expired');
	ok($works->($sim->token), 'the others live');
	$sim->config(token_seconds => { stateless => 0.3 }, token_promise => 900,
		token_length => 3000);
	my $brief = decoded($post->('/oauth2/v3/token', %grant, %secret));
	is(length $brief->{access_token}, 3000, 'a long one');
	is($brief->{expires_in}, 900, 'promised more than kept');
	ok($sim->wait_until(sub { !$works->($brief->{access_token}) }, $WAIT),
		'it ends by itself');
};

part 'signed assertions' => sub {
	plan skip_all => 'no openssl' unless has_program('openssl');
	my $jwt_type = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
	system("openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048"
		  . " -out $tmp/jwt.key 2>/dev/null") == 0 or die 'openssl';
	system("openssl pkey -in $tmp/jwt.key -pubout -out $tmp/jwt.pub") == 0
	  or die 'openssl';
	my $pem = slurp("$tmp/jwt.pub");
	my ($modulus) = `openssl rsa -in $tmp/jwt.key -noout -modulus` =~ /=(\S+)/;
	$sim->channel(id => '77', secret => 'seven', keys => [
		{ kid => 'by-pem', pem => $pem },
		{ kid => 'by-jwk', jwk => { kty => 'RSA', alg => 'RS256',
			use => 'sig', e => 'AQAB',
			n => encode_base64url(pack('H*', $modulus)) } } ]);
	my $assertion = sub {
		my (%o) = @_;
		my $now = int time;
		my %header = (alg => 'RS256', typ => 'JWT', kid => 'by-pem',
			%{ $o{header} // {} });
		my %claims = (iss => '77', sub => '77', aud => 'https://api.line.me/',
			exp => $now + 1800, token_exp => 86400, %{ $o{claims} // {} });
		my $data = encode_base64url($json->encode(\%header)) . '.'
		  . encode_base64url($json->encode(\%claims));
		spew("$tmp/jwt.data", $data);
		system("openssl dgst -sha256 -sign $tmp/jwt.key -out $tmp/jwt.sig"
			  . " $tmp/jwt.data") == 0 or die 'openssl';
		my $signature = slurp("$tmp/jwt.sig");
		substr($signature, 100, 1) ^= "\1" if $o{spoil};
		return "$data." . encode_base64url($signature);
	};
	my $ask = sub {
		my ($path, $jwt) = @_;
		return $http->post_form($sim->url($path), {
			grant_type => 'client_credentials', client_assertion => $jwt,
			client_assertion_type => $jwt_type });
	};

	my $r = $ask->('/oauth2/v2.1/token', $assertion->());
	is($r->{status}, 200, 'v2.1') or diag $r->{content};
	my $token = decoded($r);
	is($token->{expires_in}, 86400, 'as long as asked for');
	ok($token->{key_id}, 'with a key id');
	is($ask->('/oauth2/v2.1/token',
			$assertion->(header => { kid => 'by-jwk' }))->{status}, 200,
		'key registered as JWK');
	is($ask->('/oauth2/v3/token', $assertion->())->{status}, 200,
		'stateless by assertion');
	my @wrong = (
		[ 'spoilt signature', 400, spoil => 1 ],
		[ 'unknown key', 404, header => { kid => 'x' } ],
		[ 'algorithm none', 400, header => { alg => 'none' } ],
		[ 'no typ', 400, header => { typ => undef } ],
		[ 'other sub', 400, claims => { sub => '78' } ],
		[ 'wrong audience', 400, claims => { aud => 'https://api.line.me' } ],
		[ 'expired', 400, claims => { exp => int(time) - 1 } ],
		[ 'exp too far', 400, claims => { exp => int(time) + 1900 } ],
		[ 'exp as text', 400, claims => { exp => int(time) + 60 . '' } ],
		[ 'token_exp of 31 days', 400, claims => { token_exp => 2678400 } ],
		[ 'no token_exp', 400, claims => { token_exp => undef } ]);
	foreach my $case (@wrong)
	{
		my ($name, $status, %o) = @$case;
		is($ask->('/oauth2/v2.1/token', $assertion->(%o))->{status}, $status,
			$name);
	}
	my $query = '?client_assertion_type=' . LineNotify::Sim::escaped($jwt_type)
	  . '&client_assertion=' . $assertion->();
	is(scalar @{ decoded(call(GET => "/oauth2/v2.1/tokens/kid$query"))->{kids} },
		2, 'two live key ids');
	my $verify = "/oauth2/v2.1/verify?access_token=$token->{access_token}";
	is(decoded(call(GET => $verify))->{client_id}, '77', 'verified');
	$http->post_form($sim->url('/oauth2/v2.1/revoke'), { client_id => '77',
		client_secret => 'seven', access_token => $token->{access_token} });
	is(call(GET => $verify)->{status}, 400, 'revoked');
	is($ask->('/oauth2/v2.1/token', $assertion->())->{status}, 200, "no. $_")
	  for 2 .. 30;
	is($ask->('/oauth2/v2.1/token', $assertion->())->{status}, 400,
		'the 31st live token');
};

sub slurp
{
	my ($file) = @_;
	open(my $in, '<:raw', $file) or die "$file: $!";
	local $/;
	return scalar <$in>;
}

sub spew
{
	my ($file, $data) = @_;
	open(my $out, '>:raw', $file) or die "$file: $!";
	print {$out} $data;
	close($out);
	return;
}

# ---- the wire ------------------------------------------------------------

part 'requests on the wire' => sub {
	my $one = bytes_of($TEMPLATED, template_message());
	my ($bytes, $end) = exchange($one x 50, until => answers(50));
	is(() = $bytes =~ /HTTP\/1\.1 202/g, 50, '50 pipelined, 50 answers');
	is($sim->summary->{requests}, 50, 'and 50 records');

	my $socket = connect_to();
	foreach my $byte (split //, $one) { syswrite($socket, $byte); }
	like((read_from($socket, until => qr/\{\}$/))[0], qr/^HTTP\/1\.1 202/,
		'byte by byte');
	syswrite($socket, "\r\n$one");
	like((read_from($socket, until => qr/\{\}$/))[0], qr/^HTTP\/1\.1 202/,
		'an empty line before a request');

	(my $chunked = $one) =~ s/Content-Length: \d+/Transfer-Encoding: chunked/;
	my $body = $json->encode(template_message());
	$chunked =~ s/\r\n\r\n.*/\r\n\r\n/s;
	$chunked .= sprintf("5\r\n%s\r\n%x;x=y\r\n%s\r\n0\r\nT: 1\r\n\r\n",
		substr($body, 0, 5), length($body) - 5, substr($body, 5));
	($bytes) = exchange($chunked . $one, until => answers(2));
	is(() = $bytes =~ /HTTP\/1\.1 202/g, 2, 'chunked, and one more after');

	(my $expect = $one) =~ s/\r\n\r\n/\r\nExpect: 100-continue\r\n\r\n/;
	like((exchange($expect, until => qr/\{\}$/))[0],
		qr/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 202/, '100-continue');
	(my $last = $one) =~ s/\r\n\r\n/\r\nConnection: close\r\n\r\n/;
	is((exchange($last))[1], 'eof', 'Connection: close is obeyed');
	(my $old = $one) =~ s/HTTP\/1\.1/HTTP\/1.0/;
	is((exchange($old))[1], 'eof', 'HTTP/1.0 too');
	$sim->config(keepalive_requests => 3);
	($bytes, $end) = exchange($one x 5);
	is(() = $bytes =~ /HTTP\/1\.1 202/g, 3, 'closed after three requests');
	is($end, 'eof', 'by FIN');
	$sim->config(keepalive_requests => 0, keepalive_idle => 0.1);
	($bytes, $end) = exchange($one, silence => $WAIT);
	is($end, 'eof', 'closed when idle');

	$sim->reset;
	my @malformed = (
		[ 'no such request line', "POST /\r\nHost: x\r\n\r\n" ],
		[ 'bare LF', "GET / HTTP/1.1\nHost: x\n\n\r\n\r\n" ],
		[ 'NUL in a header', "GET / HTTP/1.1\r\nHost: x\r\nA: \0\r\n\r\n" ],
		[ 'no Host', "GET / HTTP/1.1\r\n\r\n" ],
		[ 'space before colon', "GET / HTTP/1.1\r\nHost : x\r\n\r\n" ],
		[ 'folded', "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n" ],
		[ 'two lengths', "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"
			  . "Content-Length: 1\r\n\r\nx" ],
		[ 'length and chunks', "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: "
			  . "1\r\nTransfer-Encoding: chunked\r\n\r\nx" ],
		[ 'odd length', "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: +1"
			  . "\r\n\r\nx" ],
		[ 'two tags', "GET / HTTP/1.1\r\nHost: x\r\nX-Line-Delivery-Tag: a"
			  . "\r\nx-line-delivery-tag: b\r\n\r\n" ],
		[ 'injected header', "GET / HTTP/1.1\r\nHost: x\r\nA: b\rX: y"
			  . "\r\n\r\n" ]);
	foreach my $case (@malformed)
	{
		my ($name, $request) = @$case;
		($bytes, $end) = exchange($request);
		like($bytes, qr/^HTTP\/1\.1 400/, "$name: 400");
		is($end, 'eof', "$name: closed");
	}
	is(scalar $sim->requests, 0, 'none of these is a request');
	is($sim->summary->{incomplete}{malformed}, scalar @malformed,
		'each is noted as malformed');
};

part 'incomplete requests are kept apart' => sub {
	my $one = bytes_of($TEMPLATED, template_message(),
		'X-Line-Delivery-Tag' => 'ln1-9-1-abcdefgh');
	my $head_end = index($one, "\r\n\r\n") + 4;
	foreach my $cut (0, 30, $head_end, $head_end + 10)
	{
		my $socket = connect_to();
		syswrite($socket, substr($one, 0, $cut));
		close($socket);
	}
	ok($sim->wait_until(sub { $sim->incomplete == 4 }, $WAIT), 'all noted');
	is_deeply($sim->summary->{incomplete},
		{ connected => 1, head => 1, body => 2 }, 'by how far they came');
	my ($last) = grep { $_->{received} == 10 } $sim->incomplete;
	is($last->{tag}, 'ln1-9-1-abcdefgh', 'tag of a partial one');
	is($last->{length}, length($one) - $head_end, 'announced length');
	is(scalar $sim->requests, 0, 'none is a request');
	my $open = $sim->summary->{connections}{open};
	my $socket = connect_to();
	syswrite($socket, $one);
	read_from($socket, until => qr/\{\}$/);
	close($socket);
	ok($sim->wait_until(sub { $sim->summary->{connections}{open} == $open },
		$WAIT), 'closed');
	is(scalar $sim->incomplete, 4, 'an idle connection that closes is no fault');
};

part 'the summary finds duplicates' => sub {
	my @sent = ([ 1, 1, 'a' ], [ 1, 2, 'a' ], [ 2, 1, 'b' ], [ 3, 1, 'c' ],
		[ 3, 2, 'c' ]);
	$sim->script({ match => { tag => '^ln1-3-1-' }, answer => 503 });
	foreach my $s (@sent)
	{
		my ($id, $attempt, $who) = @$s;
		call(POST => $TEMPLATED, template_message(to => hash_of($who)),
			'X-Line-Delivery-Tag' => "ln1-$id-$attempt-abcdefgh");
	}
	call(GET => '/v2/bot/info');
	my $summary = $sim->summary;
	is($summary->{requests}, 6, 'requests');
	is($summary->{accepted}, 4, 'accepted');
	is_deeply($summary->{by_status}, { 200 => 1, 202 => 4, 503 => 1 },
		'by status');
	my $m = $summary->{messages};
	is($m->{distinct}, 3, 'three messages by their ids');
	is($m->{received_twice}, 2, 'two came twice');
	is($m->{accepted_twice}, 1, 'one was accepted twice');
	is_deeply($m->{named_accepted}, { 1 => 2 }, 'and is named');
	is($summary->{recipients}{accepted_twice}, 1, 'the same by recipient');
	is($summary->{bodies}{received_twice}, 2, 'by recipient and body');
	is($summary->{tags}{received_twice}, 0, 'every attempt had its own tag');
	is($summary->{by_path}{"POST $TEMPLATED"}{count}, 5, 'by path');
	cmp_ok($summary->{by_path}{"POST $TEMPLATED"}{most_in_a_second}, '>=', 1,
		'most in a second');
	ok($sim->wait_requests(6, 1), 'wait_requests: they are there');
	ok(!$sim->wait_requests(7, 0.1), 'wait_requests: one too many');
};

part 'the log file' => sub {
	my $before = () = slurp("$tmp/requests.log") =~ /\n/g;
	call(POST => $TEMPLATED, template_message());
	my @lines;
	ok($sim->wait_until(sub {
		@lines = split /\n/, slurp("$tmp/requests.log");
		@lines == $before + 1;
	}, $WAIT), 'one line');
	is($json->decode($lines[-1])->{status}, 202, 'as JSON');
	$sim->script({ answer => 500, do => [ 'stall' ] });
	my $socket = connect_to();
	syswrite($socket, bytes_of($TEMPLATED, template_message()));
	$sim->wait_requests(2, $WAIT);
	@lines = split /\n/, slurp("$tmp/requests.log");
	is($json->decode($lines[-1])->{status}, undef,
		'a request that a rule holds is in the log before its answer');
};

# ---- misbehaviour --------------------------------------------------------

# Every action of the script language, as the client sees it.  Each row: name,
# rule, what must have come, how the connection must look afterwards ("alive"
# means that a second request on it is answered as usual).
my $HEAD = qr/HTTP\/1\.1 202 Accepted\r\n.*\r\n\r\n/s;
my $USUAL = qr/^$HEAD\{\}$/s;
my @ACTIONS = (
	[ 'answer: a status', { answer => 503 },
		qr/^HTTP\/1\.1 503 .*"message"/s, 'alive' ],
	[ 'answer: everything', { answer => { status => 429, reason => 'Slow down',
			headers => { 'Retry-After' => 7, 'X-A' => 'b' }, body => 'no' } },
		qr/^HTTP\/1\.1\ 429\ Slow\ down\r\n(?=.*Retry-After:\ 7\r\n)(?=.*X-A:\ b)
		   .*\r\n\r\nno$/sx, 'alive' ],
	[ 'answer: Retry-After as a date', { answer => { status => 503,
			headers => { 'Retry-After' => { http_date_in => 60 } } } },
		qr/Retry-After: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n/,
		'alive' ],
	[ 'answer: body as base64', { answer => { status => 400,
			body_base64 => 'AP/+' } }, qr/\r\n\r\n\x00\xff\xfe$/, 'alive' ],
	[ 'answer: no Content-Length', { answer => { status => 400, body => 'x',
			content_length => undef }, do => [ 'answer', 'close' ] },
		qr/^(?!.*Content-Length).*\r\n\r\nx$/s, 'eof' ],
	[ 'redirect', { do => 'redirect' },
		qr/^HTTP\/1\.1 307 .*Location: \/elsewhere\r\n/s, 'alive' ],
	[ 'delay before the headers', { do => [ { delay => 0.05 }, 'answer' ] },
		$USUAL, 'alive' ],
	[ 'delay alone', { do => [ { delay => 0.05 } ] }, $USUAL, 'alive' ],
	[ 'delay after the headers', { do => [ { answer_to => 'head' },
			{ delay => 0.05 }, 'answer' ] }, $USUAL, 'alive' ],
	[ 'delay in the body', { do => [ { answer_to => 'body' },
			{ delay => 0.05 }, 'answer' ] }, $USUAL, 'alive' ],
	[ 'stall at accept', { at => 'accept', do => 'stall' }, qr/^$/, 'silent' ],
	[ 'stall after the headers', { at => 'head', do => 'stall' }, qr/^$/,
		'silent' ],
	[ 'stall after the body', { do => 'stall' }, qr/^$/, 'silent' ],
	[ 'stall in the status line', { do => [ { answer_to => 'status_line' },
			'stall' ] }, qr/^HTTP\/1\.1 2$/, 'silent' ],
	[ 'stall in the headers', { do => [ { answer_to => 'headers' }, 'stall' ] },
		qr/^HTTP\/1\.1 202 Accepted\r\n(?!.*\r\n\r\n).+/s, 'silent' ],
	[ 'stall after the head', { do => [ { answer_to => 'head' }, 'stall' ] },
		qr/^$HEAD$/, 'silent' ],
	[ 'stall in the body', { do => [ { answer_to => 'body' }, 'stall' ] },
		qr/^$HEAD\{$/, 'silent' ],
	[ 'close at accept', { at => 'accept', do => 'close' }, qr/^$/,
		'eof or reset' ],
	[ 'close after the headers', { at => 'head', do => 'close' }, qr/^$/,
		'eof' ],
	[ 'close after the body', { do => 'close' }, qr/^$/, 'eof' ],
	[ 'close in the status line', { do => 'half_status_line' },
		qr/^HTTP\/1\.1 2$/, 'eof' ],
	[ 'close in the headers', { do => 'half_headers' },
		qr/^HTTP\/1\.1 202 Accepted\r\n(?!.*\r\n\r\n).+/s, 'eof' ],
	[ 'close after the head', { do => 'no_body' }, qr/^$HEAD$/, 'eof' ],
	[ 'close in the body', { do => 'half_body' },
		qr/^HTTP\/1\.1 400 .*\r\n\r\n\{"message": "x{50,150}$/s, 'eof' ],
	[ 'reset at accept', { at => 'accept', do => 'reset' }, qr/^$/, 'reset' ],
	[ 'reset after the headers', { at => 'head', do => 'reset' }, qr/^$/,
		'reset' ],
	[ 'reset after the body', { do => 'reset' }, qr/^$/, 'reset' ],
	[ 'reset in the body', { do => [ { answer_to => 'body' },
			{ delay => 0.2 }, 'reset' ] }, qr/^$HEAD\{$/, 'reset' ],
	[ 'half close', { do => [ 'answer', 'end_writing' ] }, $USUAL, 'eof' ],
	[ 'garbage', { do => 'garbage' }, qr/^(?!HTTP).{600}$/s, 'eof' ],
	[ 'NUL bytes', { do => 'nul_bytes' }, qr/^HTTP\/1\.1 202 Acc\0epted\r\n/,
		'eof' ],
	[ 'invalid UTF-8', { do => 'invalid_utf8' }, qr/\xff\xfe\xc0\xaf/,
		'alive' ],
	[ 'raw bytes', { do => [ { send => "hi\r\n" } ] }, qr/^hi\r\n$/,
		'alive' ],
	[ 'raw bytes, three times', { do => [ { send => { text => 'hi',
			times => 3, interval => 0.01 } } ] }, qr/^hihihi$/, 'alive' ],
	[ 'length too long', { do => 'length_too_long' },
		qr/Content-Length: 1000\r\n\r\n\{\}$/, 'eof' ],
	[ 'length too short', { do => 'length_too_short' },
		qr/Content-Length: 1\r\n\r\n\{\}HTTP/, 'alive' ],
	[ 'length not a number', { do => 'length_not_a_number' },
		qr/Content-Length: two\r\n/, 'eof' ],
	[ 'endless body', { do => 'endless_body' },
		qr/Content-Length: 1000000000000000\r\n\r\n(?:x{1000}){900}/, 'endless' ],
	[ 'endless header', { do => 'endless_header' }, qr/[^y](?:y{1000}){900}/, 'endless' ],
	[ 'endless headers', { do => 'endless_headers' },
		qr/^HTTP\/1\.1 202 Accepted\r\n(?:X-Filler: z{16}\r\n){9000}/, 'endless' ],
	[ 'endless chunks', { do => 'endless_chunks' },
		qr/chunked\r\n\r\n(400\r\nx{1024}\r\n){800}/, 'endless' ],
	[ 'storm of 100', { do => 'storm_100' },
		qr/^(HTTP\/1\.1 100 Continue\r\n\r\n){1000}/, 'storm' ],
	[ 'storm of 103', { do => 'storm_103' },
		qr/^(HTTP\/1\.1 103 Early Hints\r\nLink: <\/x>\r\n\r\n){1000}/,
		'storm' ],
	[ 'one 103, then the answer', { do => [ { inform => { status => 103 } },
			'answer' ] },
		qr/^HTTP\/1\.1 103 Early Hints\r\n\r\nHTTP\/1\.1 202/, 'alive' ],
	[ 'dripping body', { answer => { status => 400, body => 'drops' },
			do => [ { answer_to => 'head' }, { drip => 0.02 } ] },
		qr/\r\n\r\ndrops$/, 'alive' ],
	[ 'a byte a second', { do => 'slow_body' }, qr/\r\n\r\n\{$/, 'silent' ],
	[ 'headers a byte a second', { do => 'slow_headers' }, qr/^H$/,
		'silent' ],
	[ '100 MB', { do => 'huge_body' },
		qr/Content-Length: 100000000\r\n\r\n(?:x{1000}){900}/, 'endless' ],
	[ 'a huge header', { do => 'huge_header' },
		qr/X-Filler: (?:z{1000}){1000}\r\n.*\{\}$/s, 'alive' ],
	[ 'many headers', { do => 'many_headers' },
		qr/X-Filler-0: z.*X-Filler-9999: z\r\n.*\{\}$/s, 'alive' ],
	[ 'duplicate headers', { do => 'duplicate_headers' },
		qr/Content-Length: 3\r\n.*first.*second/s, 'eof' ],
	[ 'bad chunks', { do => 'bad_chunks' }, qr/chunked\r\n\r\nzz\r\n/, 'eof' ],
	[ 'cut chunks', { do => 'cut_chunks' }, qr/chunked\r\n\r\n64\r\n\{\}$/,
		'eof' ],
	[ 'early answer', { at => 'head', answer => 401 }, qr/^HTTP\/1\.1 401/,
		'alive' ],
	[ 'early answer and close', { at => 'head', answer => 401,
			do => [ 'answer', 'close' ] }, qr/^HTTP\/1\.1 401/, 'eof' ],
	[ 'early delay', { at => 'head', do => [ { delay => 0.05 } ] }, $USUAL,
		'alive' ],
	[ 'bytes at accept', { at => 'accept', do => [ { send => 'hello' } ] },
		qr/^hello$/, 'eof or reset' ],
	[ 'delay at accept', { at => 'accept', do => [ { delay => 0.05 } ] },
		$USUAL, 'alive' ]);

part 'every action on the wire' => sub {
	my $one = bytes_of($TEMPLATED, template_message());
	foreach my $case (@ACTIONS)
	{
		my ($name, $rule, $comes, $then) = @$case;
		$sim->reset;
		$sim->script({ %$rule, times => 1 });
		my $socket = connect_to();
		my $sent = syswrite($socket, $one);
		my %how =
		    $then eq 'endless' ? (most => 1000000, silence => $WAIT)
		  : $then eq 'storm' ? (most => 100000, silence => $WAIT)
		  : $comes ne qr/^$/ ? (until => $comes)
		  : $then eq 'silent' ? ()
		  : (until => qr/./);
		my ($bytes, $end) = read_from($socket, %how);
		$end = 'reset' unless defined $sent;
		like($bytes, $comes, $name);
		if ($then eq 'alive')
		{
			syswrite($socket, $one);
			($bytes) = read_from($socket, until => qr/202 Acc.*\{\}$/s);
			like($bytes, $USUAL, "$name: the connection is alive");
		}
		elsif ($then eq 'silent')
		{
			($bytes, $end) = read_from($socket) if $end eq 'match';
			is($bytes . $end, 'silent', "$name: and no more");
		}
		elsif ($then !~ /endless|storm/)
		{
			($bytes, $end) = read_from($socket, until => qr/^\b$/)
			  if $end eq 'match';
			like($then, qr/\b$end\b/, "$name: $then");
		}
		close($socket);
	}
};

part 'an answer that waits for a word' => sub {
	my $one = bytes_of($TEMPLATED, template_message());
	foreach my $word ([ 'removed', sub { $sim->clear_script('held') } ],
		[ 'replaced', sub { $sim->script_only({ match => { nth => 9 }, answer => 500 }) } ])
	{
		my ($name, $release) = @$word;
		$sim->reset;
		$sim->script({ name => 'held', do => 'hold', times => 1 },
			{ name => 'another', match => { nth => 9 }, answer => 500 });
		my $socket = connect_to();
		syswrite($socket, $one);
		ok($sim->wait_requests(1, $WAIT), "$name: the request is there");
		my ($others) = exchange($one, until => $USUAL);
		like($others, $USUAL, "$name: the next one is answered");
		$sim->clear_script('another');
		my ($data, $how) = read_from($socket);
		is("$data$how", 'silent', "$name: the first one waits");
		$release->();
		($data) = read_from($socket, until => $USUAL);
		like($data, $USUAL, "$name: then it is answered");
	}
};

part 'what LINE did meanwhile' => sub {
	my $one = bytes_of($TEMPLATED, template_message());
	my @cases = (
		# rule, requests, accepted, events, status, answered
		[ { do => 'reset' }, 1, 1, 1, undef, 'none' ],
		[ { do => 'reset', accepted => JSON::PP::false }, 1, 0, 0, undef,
			'none' ],
		[ { answer => 500 }, 1, 0, 0, 500, 'whole' ],
		[ { answer => 500, accepted => JSON::PP::true }, 1, 1, 1, 500,
			'whole' ],
		[ { answer => 200 }, 1, 1, 1, 200, 'whole' ],
		[ { do => 'half_headers' }, 1, 1, 1, 202, 'part' ],
		[ { do => 'garbage' }, 1, 1, 1, undef, 'part' ],
		[ { at => 'head', answer => 401 }, 1, 0, 0, 401, 'whole' ]);
	foreach my $case (@cases)
	{
		my ($rule, $requests, $accepted, $events, $status, $answered) = @$case;
		my $name = $json->encode($rule);
		$sim->reset;
		$sim->script($rule);
		exchange($one,
			$answered eq 'whole' ? (until => qr/\}$/) : (silence => $WAIT));
		my ($record) = $sim->requests;
		is($record->{status}, $status, "$name: status");
		is($record->{answered}, $answered, "$name: answered");
		is($record->{rule}, 'rule ' . ($record->{rule} =~ /(\d+)/)[0],
			"$name: rule");
		my $s = $sim->summary;
		is_deeply([ @$s{qw(requests accepted)}, $s->{webhooks}{made} ],
			[ $requests, $accepted, $events ], "$name: counted");
	}
	$sim->reset;
	$sim->script({ at => 'head', do => 'reset' });
	exchange($one);
	is(scalar $sim->requests, 0, 'reset at head: no complete request');
	is($sim->summary->{incomplete}{body}, 1, 'but a partial one');
};

part 'not reading' => sub {
	$sim->script({ at => 'head', do => [ 'stop_reading', 'stall' ] });
	my $socket = connect_to();
	$socket->blocking(0);
	my $big = bytes_of($FLEXIBLE, 'x' x 40_000_000);
	my ($at, $select) = (0, IO::Select->new($socket));
	while ($at < length $big && $select->can_write($SILENCE))
	{
		$at += syswrite($socket, $big, 1_000_000, $at) // last;
	}
	cmp_ok($at, '<', length $big, "the sender is stopped after $at bytes");
};

part 'which requests a rule means' => sub {
	my $answers = sub {
		my ($n, $rule) = @_;
		$sim->script_only({ answer => 500, %$rule });
		return join '', map { $_ == 500 ? 'x' : '.' } send_many($TEMPLATED,
			map { [ template_message(),
				'X-Line-Delivery-Tag' => "ln1-$_-1-abcdefgh" ] } 1 .. $n);
	};
	my @cases = (
		[ 'times', { times => 2 }, 'xx...' ],
		[ 'nth', { match => { nth => 3 } }, '..x..' ],
		[ 'several nth', { match => { nth => [ 1, 4 ] } }, 'x..x.' ],
		[ 'every', { match => { every => 2 } }, '.x.x.' ],
		[ 'after', { match => { after => 3 } }, '...xx' ],
		[ 'after, times', { match => { after => 1 }, times => 1 }, '.x...' ],
		[ 'tag', { match => { tag => '^ln1-[24]-' } }, '.x.x.' ],
		[ 'path', { match => { path => $TEMPLATED } }, 'xxxxx' ],
		[ 'path by name', { match => { path => 'send' } }, 'xxxxx' ],
		[ 'path by beginning', { match => { path => '/v2/*' } }, 'xxxxx' ],
		[ 'another path', { match => { path => 'flexible' } }, '.....' ],
		[ 'method', { match => { method => 'GET' } }, '.....' ],
		[ 'to, a phone', { match => { to => '+819012345678' } }, 'xxxxx' ],
		[ 'to, a hash', { match => { to => hash_of('else') } }, '.....' ],
		[ 'body', { match => { body => 'shipment_completed' } }, 'xxxxx' ],
		[ 'channel', { match => { channel => LineNotify::Sim::CHANNEL } },
			'xxxxx' ],
		[ 'another channel', { match => { channel => 'x' } }, '.....' ],
		[ 'protocol', { match => { protocol => 'HTTP/2' } }, '.....' ],
		[ 'nth among those with the tag',
			{ match => { tag => '-[2345]-1-', nth => 2 } }, '..x..' ],
		[ 'probability 0', { match => { probability => 0 } }, '.....' ],
		[ 'probability 1', { match => { probability => 1 } }, 'xxxxx' ]);
	foreach my $case (@cases)
	{
		my ($name, $rule, $expected) = @$case;
		is($answers->(5, $rule), $expected, $name);
	}
	my $half = { match => { probability => 0.5, seed => 7 } };
	my $first = $answers->(40, $half);
	like($first, qr/x.*\..*x|\..*x.*\./, 'probability 0.5');
	is($answers->(40, $half), $first, 'the same seed, the same requests');
	$half->{match}{seed} = 8;
	isnt($answers->(40, $half), $first, 'another seed, others');

	$sim->script_only({ match => { on_connection => 2 }, do => 'close' });
	my $one = bytes_of($TEMPLATED, template_message());
	my ($bytes, $end) = exchange($one x 2);
	is(() = $bytes =~ /202 Accepted/g, 1, 'second request of a connection');
	is($end, 'eof', 'read, and closed');
	$sim->reset;
	$sim->script({ at => 'accept', match => { nth => 2 }, do => 'reset' });
	is((exchange($one, until => qr/\{\}$/))[1], 'match', 'first connection');
	is((exchange($one))[1], 'reset', 'second connection');

	$sim->script_only({ name => 'a', answer => 500, times => 1 },
		{ name => 'b', answer => 501 });
	is(join(' ', map { call(GET => '/x')->{status} } 1 .. 3), '500 501 501',
		'the first rule that wants it');
	is_deeply([ map { "$_->{name} $_->{used}" } $sim->rules ],
		[ 'a 1', 'b 2' ], 'uses are counted');
	is($sim->clear_script('b'), 1, 'one rule removed');
	is(call(GET => '/x')->{status}, 404, 'gone');
};

part 'mistakes in rules' => sub {
	my @wrong = (
		[ 7, qr/a rule must be an object/ ],
		[ { mach => {} }, qr/no such field in a rule: mach/ ],
		[ { match => { pat => '/' } }, qr/no such field in match: pat/ ],
		[ { match => { path => 'sned' } }, qr/match\.path/ ],
		[ { match => { tag => '(' } }, qr/match\.tag: / ],
		[ { match => { to => '090' } }, qr/match\.to: / ],
		[ { match => { nth => 0 } }, qr/match\.nth/ ],
		[ { match => { probability => 2 } }, qr/probability/ ],
		[ { at => 'end' }, qr/at must be one of accept, head, body/ ],
		[ { at => 'head', match => { to => hash_of() } }, qr/not known yet/ ],
		[ { at => 'accept', match => { tag => 'x' } }, qr/not known yet/ ],
		[ { at => 'accept', answer => 500 }, qr/at accept/ ],
		[ { at => 'accept', do => 'answer' }, qr/not possible at accept/ ],
		[ { at => 'head', do => 'answer' }, qr/say what to answer/ ],
		[ { accepted => JSON::PP::false }, qr/say what to answer/ ],
		[ { at => 'head', do => 'close', accepted => JSON::PP::true },
			qr/only a complete request/ ],
		[ { answer => 'x' }, qr/answer must be/ ],
		[ { answer => 99 }, qr/from 100 to 999/ ],
		[ { answer => { stauts => 1 } }, qr/no such field in answer/ ],
		[ { answer => { body => '', body_size => 1 } }, qr/one of body/ ],
		[ { answer => { headers => 'x' } }, qr/answer\.headers/ ],
		[ { answer => { body_base64 => '*' } }, qr/not base64/ ],
		[ { do => 'explode' }, qr/no such step/ ],
		[ { do => [ { explode => 1 } ] }, qr/no such step: explode/ ],
		[ { do => [ { delay => 'x' } ] }, qr/delay must be seconds/ ],
		[ { do => [ 'delay' ] }, qr/delay must be seconds/ ],
		[ { do => [ { answer_to => 'x' } ] }, qr/answer_to must be one of/ ],
		[ { do => [ { send => {} } ] }, qr/send must have one of/ ],
		[ { do => [ { send => { text => 'x', times => 0 } } ] }, qr/times/ ],
		[ { times => 0 }, qr/times must be/ ],
		[ { times => '1' }, qr/times must be/ ]);
	foreach my $case (@wrong)
	{
		my ($rule, $says) = @$case;
		eval { $sim->script({ answer => 500 }, $rule) };
		like($@, qr/400 rule 2: .*$says/,
			'refused: ' . $json->allow_nonref->encode($rule));
	}
	is(scalar $sim->rules, 0, 'one mistake, and none of the rules is added');
	my ($status, $text) = $sim->control_raw('POST', 'script', '{"at":');
	is($status, 400, 'no JSON');
	like($text, qr/not JSON/, 'says so');
	is(($sim->control_raw('GET', 'nothing', ''))[0], 404, 'unknown control');
	is(($sim->control_raw('PUT', 'reset', ''))[0], 405, 'wrong method');
	foreach my $wrong ({ rate => 1 }, { rate_limit => -1 }, { latency => 'x' },
		{ webhook => { mode => 'fax' } }, { webhook => { mode => 'post' } },
		{ webhook => 1 }, { catalogue => {} }, { strict_content => 1 })
	{
		ok(!eval { $sim->config(%$wrong); 1 },
			'config refused: ' . $json->encode($wrong));
	}
};

part 'listening and not' => sub {
	my $one = bytes_of($TEMPLATED, template_message());
	my $port = $sim->port;
	my $open = connect_to();
	syswrite($open, $one);
	read_from($open, until => qr/\{\}$/);
	$sim->listen('off');
	is((exchange($one))[1], 'refused', 'off: refused');
	ok(!IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port,
			Listen => 1, ReuseAddr => 1), 'nobody else gets the port');
	syswrite($open, $one);
	like((read_from($open, until => qr/\{\}$/))[0], $USUAL,
		'old connections go on');
	$sim->listen('on');
	is($sim->port, $port, 'on: the same port');
	like((exchange($one, until => qr/\{\}$/))[0], $USUAL, 'and it answers');
	$sim->listen('deaf');
	is((exchange($one))[1], 'silent', 'deaf: connected, never answered');
	$sim->listen('on');
	$sim->listen('off', for => 2);
	is((exchange($one))[1], 'refused', 'off for a while');
	ok($sim->wait_until(sub { (exchange($one, until => qr/\{\}$/))[1]
			  eq 'match' }, $WAIT), 'back by itself');
	$sim->script({ do => [ 'answer', { stop_listening => 0.2 } ], times => 1 });
	like((exchange($one, until => qr/\{\}$/))[0], $USUAL, 'by a rule');
	ok($sim->wait_until(sub { (exchange($one, until => qr/\{\}$/))[1]
			  eq 'match' }, $WAIT), 'back by itself');

	my $idle = connect_to();
	syswrite($idle, $one);
	read_from($idle, until => qr/\{\}$/);
	cmp_ok($sim->end_connections('close', idle => 1), '>=', 1, 'idle ones');
	is((read_from($idle, silence => $WAIT))[1], 'eof', 'closed');
	$idle = connect_to();
	syswrite($idle, $one);
	read_from($idle, until => qr/\{\}$/);
	$sim->end_connections('reset');
	is((read_from($idle, silence => $WAIT))[1], 'reset', 'reset');
};

part 'latency and load' => sub {
	$sim->config(latency => 1);
	my $one = bytes_of($TEMPLATED, template_message());
	my $began = time;
	my @sockets = map { connect_to() } 1 .. 100;
	syswrite($_, $one) for @sockets;
	my $good = grep { (read_from($_, until => qr/\{\}$/))[0] =~ $USUAL }
	  @sockets;
	is($good, 100, 'a hundred at once');
	cmp_ok(time - $began, '>=', 1, 'each of them waits');
	cmp_ok(time - $began, '<', 75, 'but not one after the other');
	is($sim->summary->{connections}{open}, 100, 'all open');
};

# ---- TLS, HTTP/2, proxy --------------------------------------------------

my $certs = "$tmp/certs";
my $have_tls = has_program('openssl') && has_program('curl');

# curl's exit code and output
sub curl
{
	my (@arguments) = @_;
	my @command = ('curl', '-s', '-m', $WAIT, '--noproxy', '', '--cacert',
		"$certs/ca.pem", @arguments);
	open(my $out, '-|', @command) or die "curl: $!";
	local $/;
	my $text = <$out> // '';
	close($out);
	return ($? >> 8, $text);
}

sub curl_push
{
	my ($to, @more) = @_;
	return curl(@more, '-H', 'Authorization: Bearer ' . $to->token, '-H',
		'Content-Type: application/json', '-d',
		$json->encode(template_message()), '-w',
		' %{http_code} %{http_version}', $to->url($TEMPLATED));
}

subtest 'TLS' => sub {
	plan skip_all => 'no openssl or no curl' unless $have_tls;
	is(system('sh', "$mock/certs.sh", $certs), 0, 'certificates made');
	my $tls = LineNotify::Sim->start(
		tls => [ "$certs/good.pem", "$certs/good.key" ]);
	like($tls->url, qr/^https:/, 'https');
	is((curl_push($tls))[1], '{} 202 1.1', 'good certificate');
	foreach my $bad (qw(expired future wronghost selfsigned otherca))
	{
		$tls->tls(cert => "$certs/$bad.pem", key => "$certs/$bad.key");
		is((curl_push($tls))[0], 60, "$bad: curl refuses it");
	}
	is(scalar $tls->requests, 1, 'and sent nothing');
	$tls->tls(cert => "$certs/good.pem", key => "$certs/good.key",
		maximum => '1.1', minimum => '1.0');
	# curl may verify a certificate after the handshake; this ends before
	my $failed = $tls->summary->{connections}{tls_failed};
	is((curl_push($tls, '--tlsv1.2'))[0], 35, 'TLS 1.1 only');
	ok($tls->wait_until(sub { $tls->summary->{connections}{tls_failed} > $failed }, $WAIT),
		'a failed handshake is counted');
	$tls->tls(minimum => '1.3');
	is((curl_push($tls))[1], '{} 202 1.1', 'TLS 1.3');
	$tls->script({ do => 'reset', times => 1 });
	is((curl_push($tls))[0], 56, 'reset after the whole request');
	$tls->script({ at => 'accept', do => 'close', times => 1 });
	is((curl_push($tls))[0], 35, 'closed before the handshake');
	$tls->script({ do => [ { answer_to => 'head' }, 'end_writing' ],
		times => 1 });
	isnt((curl_push($tls))[0], 0, 'truncation: FIN without close_notify');
	is((curl_push($tls))[1], '{} 202 1.1', 'good again');
};

subtest 'HTTP/2' => sub {
	plan skip_all => 'no openssl or no curl' unless $have_tls;
	plan skip_all => 'curl without HTTP/2' unless `curl -V` =~ /HTTP2/;
	plan skip_all => 'no python3-h2'
	  if system(LineNotify::Sim::python() . ' -c "import h2" 2>/dev/null');
	my $h2 = LineNotify::Sim->start(http2 => 1,
		tls => [ "$certs/good.pem", "$certs/good.key" ]);
	my $plain = LineNotify::Sim->start(http2 => 1);
	is((curl_push($h2))[1], '{} 202 2', 'by ALPN');
	is((curl_push($h2, '--http1.1'))[1], '{} 202 1.1', 'or HTTP/1.1');
	is((curl_push($plain, '--http2-prior-knowledge'))[1], '{} 202 2',
		'by prior knowledge');
	is((curl_push($plain))[1], '{} 202 1.1', 'or HTTP/1.1');
	my ($record) = $h2->requests(headers => 1, body => 1);
	is($record->{protocol}, 'HTTP/2', 'recorded');
	is($record->{stream}, 1, 'with its stream');
	is($record->{body}, $json->encode(template_message()), 'and body');

	# What curl calls it depends on its version, and on how far it was.
	my $broken = qr/^(16|18|52|55|56|92)$/;
	my @cases = (
		# rule, curl's exit code, output, requests that came
		[ { answer => 503 }, 0, qr/ 503 2$/, 1 ],
		[ { do => [ { delay => 0.05 }, 'answer' ] }, 0, qr/^\{\} 202 2/, 1 ],
		[ { do => [ { answer_to => 'head' }, { delay => 0.05 }, 'answer' ] },
			0, qr/^\{\} 202 2/, 1 ],
		[ { do => 'close' }, $broken, qr//, 1 ],
		[ { do => 'reset' }, $broken, qr//, 1 ],
		[ { do => [ { rst_stream => 2 } ] }, 92, qr//, 1 ],
		[ { do => 'half_headers' }, $broken, qr//, 1 ],
		[ { do => 'garbage' }, $broken, qr//, 1 ],
		[ { answer => { status => 400, body_size => 300000 } }, 0,
			qr/^(?:x{1000}){300} 400 2$/, 1 ],
		[ { answer => { status => 400, body => 'drip' },
				do => [ { drip => 0.01 } ] }, 0, qr/^drip 400 2$/, 1 ],
		[ { do => [ { inform => { status => 103, times => 3 } }, 'answer' ] },
			0, qr/^\{\} 202 2/, 1 ],
		[ { do => [ { goaway => { last => 'this' } }, 'answer' ] }, 0,
			qr/^\{\} 202 2/, 1 ],
		[ { do => [ { goaway => { last => 'before' } }, 'close' ] },
			qr/^\d+$/, qr//, undef ],
		[ { at => 'head', answer => 401 }, 0, qr/ 401 2$/, undef ],
		[ { at => 'accept', do => [ { h2 => 'no_settings_ack' } ] }, 0,
			qr/^\{\} 202 2/, 1 ]);
	foreach my $case (@cases)
	{
		my ($rule, $exit, $output, $requests) = @$case;
		my $name = $json->encode($rule);
		$h2->reset;
		$h2->script({ %$rule, times => 1 });
		my ($code, $text) = curl_push($h2);
		like($code, ref $exit ? $exit : qr/^$exit$/, "$name: curl's code");
		like($text, $output, "$name: output");
		next unless defined $requests;
		ok($h2->wait_until(sub { $h2->requests == $requests }, $WAIT),
			"$name: requests");
	}
	$h2->reset;
	$h2->script({ at => 'head', answer => 401 });
	curl_push($h2);
	ok($h2->wait_until(sub { $h2->requests + $h2->incomplete == 1 }, $WAIT),
		'after an early answer, curl may or may not send the body');
	$h2->reset;
	$h2->script({ do => [ { rst_stream => 7 } ], times => 1,
		accepted => JSON::PP::false });
	curl_push($h2);
	is($h2->summary->{requests}, 2,
		'after REFUSED_STREAM, curl sends again by itself: recorded twice');
	ok($h2->alive && $plain->alive, 'alive');
};

subtest 'the proxy' => sub {
	plan skip_all => 'no openssl or no curl' unless $have_tls;
	my $tls = LineNotify::Sim->start(
		tls => [ "$certs/good.pem", "$certs/good.key" ]);
	my $proxy = LineNotify::Sim->start_proxy(auth => 'me:secret');
	my @through = ('-x', 'http://me:secret@127.0.0.1:' . $proxy->port);
	is((curl_push($tls, @through))[1], '{} 202 1.1', 'CONNECT');
	is((curl_push($sim, @through))[1], '{} 202 1.1', 'plain');
	# 7 since curl 8.23
	like((curl_push($tls, '-x', 'http://127.0.0.1:' . $proxy->port))[0], qr/^(56|7)$/,
		'without credentials');
	is_deeply([ map { $_->{status} } $proxy->requests ], [ 200, undef, 407 ],
		'recorded');
	my @cases = (
		# rule, did the request reach LINE
		[ { at => 'accept', do => 'close' }, 0 ],
		[ { at => 'head', do => 'reset' }, 0 ],
		[ { answer => 503 }, 0 ],
		[ { answer => 407, do => [ { answer_to => 'headers' }, 'close' ] }, 0 ],
		[ { at => 'tunnel', do => 'close' }, 0 ],
		[ { at => 'open', do => [ { cut_up => 0 }, 'reset' ] }, 0 ],
		[ { at => 'open', do => [ { cut_up => 100 }, 'close' ] }, 0 ]);
	foreach my $case (@cases)
	{
		my ($rule, $reached) = @$case;
		$tls->reset;
		$proxy->script_only({ %$rule, times => 1 });
		isnt((curl_push($tls, @through))[0], 0,
			'fails: ' . $json->encode($rule));
		is($tls->summary->{requests}, $reached, 'and LINE saw nothing');
	}
	# Dropped in mid-stream, after LINE has read the whole request.
	$tls->reset;
	$tls->script({ do => 'stall' });
	my $pid = fork() // die "fork: $!";
	if ($pid == 0)
	{
		my ($code) = curl_push($tls, @through);
		POSIX::_exit($code);
	}
	ok($tls->wait_requests(1, $WAIT), 'LINE has it');
	is($proxy->end_connections('reset'), 1, 'the proxy drops the tunnel');
	waitpid($pid, 0);
	isnt($? >> 8, 0, 'the client sees that');
	ok($proxy->alive, 'alive');
};

# ---- the documentation ---------------------------------------------------

part 'README.md' => sub {
	my $readme = slurp("$mock/README.md");
	my ($rules, $proxy_rules) = split /^## The proxy/m, $readme;
	my $proxy = LineNotify::Sim->start_proxy;
	foreach my $case ([ $sim, $rules ], [ $proxy, $proxy_rules ])
	{
		my ($server, $text) = @$case;
		foreach my $example (rules_in($text))
		{
			ok(eval { $server->script_only($example); 1 },
				'an example: ' . $json->encode($example)) or diag $@;
		}
	}
	my $words = sub {
		my ($name) = @_;
		return index($readme, "`$name`") >= 0 || $readme =~ /`"?\Q$name\E\b/;
	};
	my $config = $sim->config;
	ok($words->($_), "setting $_ is documented")
	  for sort keys %$config, keys %{ $config->{webhook} };
	ok($words->($_), "misbehaviour $_ is documented")
	  for sort keys %{ $sim->control('GET', 'presets') };
	my ($request) = do { call(GET => '/x'); $sim->requests };
	ok($words->($_), "field $_ is documented") for sort keys %$request;
};

# Every JSON object in the json blocks that looks like a rule; a remark may
# follow it on its line.
sub rules_in
{
	my ($text) = @_;
	my @found;
	foreach my $block ($text =~ /^```json\n(.*?)^```/msg)
	{
		my @parts = $block =~ /^\{.*?\}(?=\s{2,}\S|\n\{|\n\z)/msg;
		foreach my $part (@parts)
		{
			my $rule = eval { $json->decode($part) } or next;
			push @found, $rule if grep { exists $rule->{$_} } qw(do answer);
		}
	}
	return @found;
}

# ---- life of the simulator -----------------------------------------------

subtest 'it leaves with whoever started it' => sub {
	pipe(my $from, my $to) or die "pipe: $!";
	my $pid = fork() // die "fork: $!";
	if ($pid == 0)
	{
		my $child = LineNotify::Sim->start;
		syswrite($to, $child->pid . "\n");
		kill 'KILL', $$;
	}
	close($to);
	my $child = <$from> + 0;
	waitpid($pid, 0);
	ok($sim->wait_until(sub { !kill 0, $child }, $WAIT),
		'gone after kill -9 of its owner');
	ok(!eval { LineNotify::Sim->start(port => $sim->port,
			stderr => "$tmp/err"); 1 }, 'a used port: start dies');
	my $pid2 = $sim->pid;
	$sim->stop;
	ok(!kill(0, $pid2), 'stopped');
};

done_testing();
