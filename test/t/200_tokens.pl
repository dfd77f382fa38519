# Access tokens come from where the credential says, are replaced before they
# end and once after a 401, and no message is lost or fails for it; one
# channel's trouble is not another's.  TAP: worker, clock and token endpoint.

use strict;
use warnings;

use File::Temp ();
use Test::More;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main');
my $dir = File::Temp->newdir;
my ($id, $secret) = (LineNotify::Sim::CHANNEL(), LineNotify::Sim::SECRET());
my $n = 0;

$node->install('postgres', $sim);
sub sql { return $node->safe_psql('postgres', $_[0]); }
sub token_requests { return scalar grep { $_->{path} =~ /oauth2/ } $sim->requests; }
sub credential { sql("SELECT line_notify.set_credential('shop', $_[0])"); }
sub message { $node->insert('postgres', 1, first => ++$n, %{ $_[0] // {} }); return "ref $n"; }

sub becomes
{
	my ($ref, $want, $name) = @_;
	ok($node->poll_query_until('postgres',
			"SELECT state || ' ' || attempts FROM line_notify.notifications WHERE reference = '$ref'", $want),
		$name);
}

# spit FILE, TEXT: as an editor or a secrets agent would, readable by us only
sub spit
{
	my ($name, $text) = @_;
	my $old = umask 077;
	open(my $f, '>', "$dir/$name.new") or die $!;
	print $f $text;
	close $f;
	rename "$dir/$name.new", "$dir/$name" or die $!;
	umask $old;
	return "file:$dir/$name";
}

# --- by channel secret
credential("'client_secret', '$secret'");
is(sql('SELECT credentials FROM line_notify.channels'), '{channel_secret,client_secret}', 'client_secret replaces access_token');
becomes(message(), 'accepted 1', 'sent with a token issued for the secret');
becomes(message(), 'accepted 1', 'and another one');
is(token_requests(), 1, 'with the same token');

# --- replaced in time, under load: no message meets a dead token
$sim->config(token_seconds => { stateless => 2 });
$sim->expire_tokens(kind => 'stateless');
$sim->reset;
$sim->config(token_seconds => { stateless => 2 });
sql("SELECT line_notify.alter_channel('shop', rate_limit => 100)");
becomes(message(), 'accepted 1', 'a dead token is replaced, the attempt does not count');
my $first = $n + 1;
$node->insert('postgres', 700, first => $first);
$n += 700;
ok($node->poll_query_until('postgres',
		"SELECT count(*) = 700 FROM line_notify.notifications WHERE state = 'accepted' AND attempts = 1 AND id IN (SELECT id FROM line_notify.history WHERE reference IN (SELECT 'ref ' || i FROM generate_series($first, $n) i))"),
	'700 messages in seven seconds');
my @refused = grep { $_->{path} =~ /push/ && $_->{status} == 401 } $sim->requests;
cmp_ok(scalar(@refused), '<=', 1, 'only the first met the token that we had ended');
cmp_ok(token_requests(), '>=', 4, 'tokens of two seconds were replaced several times');
is($sim->summary->{messages}{accepted_twice}, 0, 'nothing twice');
sql("SELECT line_notify.alter_channel('shop', rate_limit => 2000)");
$sim->config(token_seconds => { stateless => 900 });

# --- the token endpoint is ill: messages wait, health() says why, it mends itself
$sim->expire_tokens(kind => 'stateless');
$sim->script({ match => { path => '/oauth2/v3/token' }, answer => 500, times => 3 });
my $ref = message();
ok($node->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM line_notify.health() WHERE severity = 'error' AND reason LIKE '%token endpoint answered 500%'"),
	'health() tells that there is no token');
is(sql('SELECT paused FROM line_notify.channels'), 'f', 'the channel is not paused for it');
becomes($ref, 'accepted 1', 'and the message goes when there is one');
ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM line_notify.token_status"), 'and health() forgets it');

# --- a wrong secret stops its channel only
sql("SELECT line_notify.create_channel('other', api_base => '" . $sim->url . "', line_channel_id => '$id')");
sql("SELECT line_notify.set_credential('other', 'access_token', '" . $sim->issue_token(channel => $id, kind => 'long') . "')");
credential("'client_secret', 'wrong-secret'");
$ref = message({ set => { channel => "'shop'" } });
ok($node->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM line_notify.health() WHERE subject = 'channel shop' AND reason LIKE '%no access token%token endpoint answered 400%'"),
	'a wrong secret is told');
becomes(message({ set => { channel => "'other'" } }), 'accepted 1', 'the other channel sends');
credential("'client_secret', '" . spit('secret', "$secret\n") . "'");
becomes($ref, 'accepted 1', 'the right one, from a file, mends it at once');
sql("SELECT line_notify.drop_channel('other')");

# --- answers that are none
for my $body ('', '{}', '{"access_token":"x y","token_type":"Bearer","expires_in":900}', 'x' x 20000,
	'{"access_token":"a\r\nX-Evil: 1","token_type":"Bearer","expires_in":900}')
{
	$sim->expire_tokens(kind => 'stateless');
	$sim->script({ match => { path => '/oauth2/v3/token' }, answer => { status => 200, body => $body }, times => 1 });
	becomes(message(), 'accepted 1', 'an answer of ' . length($body) . ' bytes is no token; the next one is');
}

# --- signed assertions
my $pem = `openssl genrsa 2048 2>/dev/null`;
spit('key.pem', $pem);
my $public = `openssl rsa -in $dir/key.pem -pubout 2>/dev/null`;
$sim->channel(id => $id, secret => $secret, token => 'line-sim-token', keys => [ { kid => 'kid-1', pem => $public } ]);
for my $flow ('stateless', 'v2.1')
{
	my $path = spit('key.pem', $pem);
	my ($rc, $out, $err) = $node->psql('postgres', "SELECT line_notify.set_credential('shop', 'jwt_key', '$path')");
	like($err, qr/key_id/, 'a key needs its id') if $flow eq 'stateless';
	my $before = token_requests();
	credential("'jwt_key', '$path', key_id => 'kid-1', flow => '$flow'");
	becomes(message(), 'accepted 1', "sent with a token issued for a signed assertion, $flow");
	is(token_requests() - $before, 1, 'one request');
	is((grep { $_->{path} =~ /oauth2/ } $sim->requests)[-1]{path}, $flow eq 'v2.1' ? '/oauth2/v2.1/token' : '/oauth2/v3/token',
		'to the right endpoint');
}

# --- a token in a file: re-read on reload, and when LINE says 401
my $token = $sim->issue_token(channel => $id, kind => 'long');
credential("'access_token', '" . spit('token', "$token\n") . "'");
becomes(message(), 'accepted 1', 'sent with the token of a file');
my $new = $sim->issue_token(channel => $id, kind => 'long');
spit('token', "$new\n");
$sim->expire_tokens(kind => 'long');
$new = $sim->issue_token(channel => $id, kind => 'long');
spit('token', "$new\n");
becomes(message(), 'accepted 1', 'a 401 makes the worker read the file again');
is(sql('SELECT paused FROM line_notify.channels'), 'f', 'and nothing stops');
$sim->expire_tokens(kind => 'long');
my $offset = -s $node->logfile;
$ref = message();
ok($node->poll_query_until('postgres', "SELECT paused AND pause_reason LIKE '%401%' FROM line_notify.channels"),
	'with nothing new in the file, the channel is paused');
becomes($ref, 'queued 0', 'the message waits, its attempt does not count');
ok($node->wait_for_log(qr/paused channel "shop"/, $offset), 'and the log says so');

# --- a file that others can read is refused
chmod 0644, "$dir/token";
$node->reload;
ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM line_notify.token_status WHERE error LIKE '%0600%'"),
	'a secret that others can read is refused');

# --- a file that is bad for a while: what was read before goes on, the next one is
# taken without a reload, and health() is content as soon as it is good
$token = $sim->issue_token(channel => $id, kind => 'long');
spit('token', "$token\n");
sql("SELECT line_notify.resume('shop')");
ok($node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM line_notify.outbox'), 'a good one sends what waited');
my $health = sub { $node->health('postgres', "reason ~ 'access.token'") };
spit('token', '');
$node->reload;
ok($node->poll_query_until('postgres', 'SELECT count(*) = 1 FROM line_notify.token_status'), 'an empty file is seen at the reload');
becomes(message(), 'accepted 1', 'the token that was read before goes on');
like($health->(), qr/the file of credential access_token/, 'health() says so');
unlike($health->(), qr/no access token/, 'and not that there is none');
spit('token', "two words\n");
$node->reload;
ok($node->poll_query_until('postgres', "SELECT error ~ 'without space' FROM line_notify.token_status"), 'nor is one taken that cannot be sent');
becomes(message(), 'accepted 1', 'the token that was read before goes on');
like($health->(), qr/the file of credential access_token: it must consist of printable ASCII/, 'health() says so');
unlike($health->(), qr/no access token/, 'and not that there is none');
$new = $sim->issue_token(channel => $id, kind => 'long');
spit('token', "$new\n");
is($health->(), '', 'a good file, and health() is content, though nothing had to be sent yet');
ok($sim->wait_until(sub {
	becomes(message(), 'accepted 1', 'messages go on');
	return sql('SELECT count(*) = 0 FROM line_notify.token_status') eq 't';
}), 'it is read without another reload');

$node->stop;
$sim->stop;
done_testing();
