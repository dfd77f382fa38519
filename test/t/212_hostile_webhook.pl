# Bodies that carry what other people wrote do not keep a delivery from being
# heard of: characters that a database cannot store, in any encoding of the
# server; tags of another database; events by the thousand.  And no body, with
# a good signature or as verified JSON, does more harm than an error.
# TAP: databases of several encodings.

use strict;
use warnings;

use JSON::PP ();
use MIME::Base64 ();
use Digest::SHA ();
use Test::More;
use Time::HiRes ();
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main', init => [ extra => [ '--locale=C', '--encoding=UTF8' ] ]);
my @databases = qw(utf8 euc_jp latin1 sql_ascii);
my $number = 0;
for my $db (@databases)
{
	$node->safe_psql('postgres', "CREATE DATABASE $db TEMPLATE template0 ENCODING '$db' LOCALE 'C'");
	$node->install($db, $sim);
	$node->insert($db, 1, first => ++$number);
	$node->wait_states($db, accepted => 1);
}
sub receive_sql
{
	my ($body) = @_;
	my $signature = MIME::Base64::encode_base64(Digest::SHA::hmac_sha256($body, LineNotify::Sim::SECRET()), '');
	return "SELECT line_notify.receive_webhook('shop', '\\x" . unpack('H*', $body) . "', '$signature')";
}
sub receive { my ($db, $body) = @_; return $node->safe_psql($db, receive_sql($body)); }
# the tags in the order of the databases: each message was sent before the next
my @tags = map { $_->{tag} } $sim->requests(path => 'send');
is(scalar(@tags), scalar(@databases), 'a message of each database');
sub delivery
{
	my ($data, $id) = @_;
	return sprintf('{"type":"delivery","delivery":{"data":"%s"},"webhookEventId":"%s","timestamp":%d}', $data, $id, Time::HiRes::time() * 1000);
}
sub message { return '{"type":"message","webhookEventId":"m","message":{"type":"text","text":"' . $_[0] . '"},"timestamp":1750000000000}'; }

my @texts = (
	'\u0000', '\u0000\u0000 zero', '\ud83d', '\udc00\ud83d', '\ud83d\ude00', "\xF0\x9F\x98\x80", "\xE2\x98\x83 \xE9\xA3\x9B", "\xEF\xBF\xBF", '\\\\u0000', ']}],"events":[');
$texts[-1] =~ s/"/\\"/g;
for my $i (0 .. $#databases)
{
	my $db = $databases[$i];
	my $others = $tags[ ($i + 1) % @tags ];
	is(receive($db, '{"events":[' . delivery($others, 'others') . ']}'), 1, "$db: an event of another database's message is kept for the moment");
	my $body = '{"events":[' . join(',', (map { message($_) } @texts), delivery($tags[$i], 'mine'), map { message($_) } @texts) . ']}';
	is(receive($db, $body), 1, "$db: a delivery among messages that no database could store");
	ok($node->poll_query_until($db, "SELECT count(*) = 1 FROM line_notify.notifications WHERE state = 'delivered'"), "$db: it is heard of");
	is($node->safe_psql($db, "SELECT delivery_event FROM line_notify.history"), 'mine', "$db: by its own event, not by the other's");
	is($node->safe_psql($db, 'SELECT count(*) FROM line_notify.webhook_event'), 0, "$db: nothing is left");
	# LINE's bodies are UTF-8; others are none of LINE's
	for my $bytes ("\xE3\x81", "\xC0\x80", "\xED\xA0\x80", "\xFF", "\x00")
	{
		my ($rc, $out, $err) = $node->psql($db, receive_sql('{"events":[' . message($bytes) . ']}'));
		like($err, qr/webhook body is not UTF-8/, "$db: not UTF-8: " . unpack('H*', $bytes));
	}
}

# one delivery, 999 times the same, and 3,000 people who follow: one call
my $many = '{"events":[' . join(',', (map { delivery($tags[0], 'the same') } 1 .. 999), map { qq({"type":"follow","webhookEventId":"F$_","timestamp":1750000000000}) } 1 .. 3000) . ']}';
my $t0 = Time::HiRes::time();
is(receive('utf8', $many), 3001, 'ids that occur twice in a body count once');
diag(sprintf '3,999 events in one call, %d kB: %d ms with psql', length($many) / 1000, (Time::HiRes::time() - $t0) * 1000);
ok($node->poll_query_until('utf8', 'SELECT count(*) = 0 FROM line_notify.webhook_event'), 'they are folded');
is(receive('utf8', $many), 1, 'again: follow events are known; a delivery for a message that was told of by another event is looked at again');
ok($node->poll_query_until('utf8', "SELECT sum(messages) = 3000 FROM line_notify.daily_totals WHERE outcome = 'follow'"), 'counted once');

# the largest body there can be, of events and of nothing
my $full = '{"events":[' . ('[],' x 1_398_000) . '[]]}';
$t0 = Time::HiRes::time();
is(receive('utf8', $full), 0, 'a million elements that are no events');
diag(sprintf 'four megabytes of no events: %d ms', (Time::HiRes::time() - $t0) * 1000);

# as jsonb
for my $json ('{"events":[{"type":"delivery"}]}', '{"events":[{"a":{"b":{"c":[1,2,{"d":null}]}}}]}', '{"events":[1e100000,"\ud83d\ude00",true]}')
{
	is($node->safe_psql('utf8', "SELECT line_notify.receive_verified_events('shop', '$json')"), 0, 'verified, and none of ours');
}
# short numbers that would be a gigabyte in print
is($node->safe_psql('utf8', q{SELECT line_notify.receive_verified_events('shop', jsonb_build_object('events',
	(SELECT jsonb_agg(jsonb_build_object('type', 'follow', 'webhookEventId', i, 'x', ('1e' || 100000)::numeric)) FROM generate_series(1, 20000) i)))}), 0, 'numbers are not printed');

# 3,000 mutations of a body, by people who have the secret
srand(7);
my $whole = '{"destination":"U0","events":[' . join(',', message('x'), delivery($tags[0], 'mine'), delivery('0' x 64, 'h'), '{"type":"unfollow","webhookEventId":"u","timestamp":1750000000000}') . ']}';
my %codes;
my $script = "\\set ON_ERROR_STOP off\n\\set VERBOSITY sqlstate\n";
for (1 .. 3000)
{
	my $body = $whole;
	for (0 .. rand 4)
	{
		my $at = int rand length $body;
		my $what = int rand 6;
		if    ($what == 0) { substr($body, $at, 1) = chr int rand 256; }
		elsif ($what == 1) { substr($body, $at, 1) = ''; }
		elsif ($what == 2) { substr($body, $at, 0) = substr($body, int rand length $body, 1 + rand 30); }
		elsif ($what == 3) { substr($body, $at, 1) = substr('"{}[],:\\u0', int rand 10, 1); }
		elsif ($what == 4) { substr($body, $at, 1 + rand 50) = ''; }
		else               { substr($body, $at, 0) = ('-1', '1e999', 'null', '"x"', '{}', '9' x 400)[ int rand 6 ]; }
		last if length $body < 2;
	}
	$script .= receive_sql($body) . ";\n";
}
my ($out, $err) = ('', '');
IPC::Run::run([ 'psql', '-X', '-q', '-A', '-t', '-d', $node->connstr('utf8') ], '<', \$script, '>', \$out, '2>', \$err);
$codes{$_}++ for $err =~ /ERROR:  (\w{5})/g;
diag(join ', ', map { "$_: $codes{$_}" } sort keys %codes);
is(join(' ', grep { $_ !~ /^(22023|22021)$/ } sort keys %codes), '', 'no error but the documented ones');
is(scalar(() = $out =~ /^\d+$/mg) + ($codes{22023} // 0) + ($codes{22021} // 0), 3000, 'and each call was answered');
is($node->safe_psql('utf8', 'SELECT 1'), 1, 'the server is well');
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/0{64}|terminated by signal/, 'no hash in the log, and nobody died');

$node->stop;
$sim->stop;
done_testing();
