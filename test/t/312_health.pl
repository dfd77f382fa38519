# health() and waiting_reason name what only shows with processes and a network:
# sending switched off, LINE's 429, an open breaker, no worker slot, a wrong
# version, an error of the worker, a standby and whether it could take over.
# (Everything else: regress test health.)

use strict;
use warnings;

use IO::Socket::INET;
use Test::More;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main', init => [ allows_streaming => 1 ]);
$node->install('postgres', $sim);

sub sees
{
	my ($what, $name, $on) = @_;
	$on //= $node;
	my $ok = $on->poll_query_until('postgres',
		"SELECT count(*) > 0 FROM line_notify.health() WHERE concat_ws(' | ', severity, subject, reason) ~ '$what'");
	diag($on->safe_psql('postgres', 'SELECT * FROM line_notify.health()')) if !$ok;
	ok($ok, $name);
	return;
}

# the worker publishes what it has done when its turn ends
sub content
{
	my ($name) = @_;
	ok($node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM line_notify.health()'), $name)
	  or diag($node->safe_psql('postgres', 'SELECT * FROM line_notify.health()'));
	return;
}

sub waits
{
	my ($why, $name) = @_;
	ok($node->poll_query_until('postgres', "SELECT count(*) > 0 FROM line_notify.notifications WHERE waiting_reason = '$why'"), $name);
	return;
}

$node->insert('postgres', 1);
$node->wait_states('postgres', accepted => 1);
content('all is well');

# ---- the kill switch, by reload
$node->append_conf('postgresql.conf', 'line_notify.enabled = off');
$node->reload;
sees('error . server . sending is switched off', 'switched off');
$node->insert('postgres', 1, first => 2);
waits('disabled', 'a message says so');
$node->append_conf('postgresql.conf', 'line_notify.enabled = on');
$node->reload;
$node->wait_states('postgres', accepted => 2);

# ---- 429
$sim->script({ answer => { status => 429, headers => { 'Retry-After' => '3600' } }, times => 1 });
$node->insert('postgres', 1, first => 3);
sees('warning . channel shop . template messages: LINE said wait until', 'throttled');
waits('LINE said wait', 'a message says so');
$node->safe_psql('postgres', "SELECT line_notify.resume()");
$node->wait_states('postgres', accepted => 3);
content('resume() ends it');

# ---- an error of another message is not the reason of the pause
$sim->script({ match => { path => 'send' }, answer => { status => 429, headers => { 'Retry-After' => '3600' } }, times => 1 });
$sim->script({ match => { path => 'send' }, do => [ { delay => 1 }, 'close' ], times => 1 });
$node->insert('postgres', 2, first => 901);
$node->wait_states('postgres', accepted => 3, queued => 1, unknown => 1);
sees('warning . channel shop . template messages: LINE said wait until', 'throttled');
is($node->safe_psql('postgres', "SELECT count(*) FROM line_notify.stats WHERE last_error = 'ambiguous'"), 1, 'the last error is another one');
unlike($node->safe_psql('postgres', "SELECT reason FROM line_notify.health() WHERE reason LIKE '%LINE said wait%'"), qr/reply|closed|ambiguous/i, 'which LINE did not say');
# nor is what LINE said to another one, of a shorter pause
$node->safe_psql('postgres', "SELECT line_notify.cancel(from_time => '-infinity'), line_notify.resume()");
$sim->script({ match => { path => 'send' }, answer => { status => 503, headers => { 'Retry-After' => '3600' }, body => '{"message": "maintenance"}' }, times => 1 },
	{ match => { path => 'send' }, at => 'body', do => [ { delay => 1 }, 'answer' ], answer => { status => 429, headers => { 'Retry-After' => '1' }, body => '{"message": "too fast"}' }, times => 1 });
$node->insert('postgres', 2, first => 911);
sees('warning . channel shop . template messages: LINE said wait until [^|]*, HTTP status 503: maintenance', 'what LINE said with the pause');
ok($node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM line_notify.stats WHERE last_error_text = 'HTTP status 429: too fast'}), 'the last error is another one');
unlike($node->safe_psql('postgres', "SELECT reason FROM line_notify.health() WHERE reason LIKE '%LINE said wait%'"), qr/too fast/, 'which is not told with the pause of the first');

# ---- every unknown of the last hour is counted, however many messages came after
$node->safe_psql('postgres', q{DO $$ BEGIN
PERFORM line_notify._ensure_history(10100001);
INSERT INTO line_notify.history (id, channel, recipient, template_key, body, state, outcome, created_at, ended_at, token)
SELECT 10000000 + i, 'shop', repeat('a', 64), 't', '{}', CASE WHEN i <= 50 THEN 'unknown' ELSE 'accepted' END::line_notify.message_state,
	CASE WHEN i <= 50 THEN 'ambiguous' ELSE 'accepted' END, now(), now(), i
FROM generate_series(1, 100100) i;
END $$});
sees('warning . channel shop . 51 messages of the last hour ended as unknown', 'fifty and the one above');
$node->safe_psql('postgres', q{UPDATE line_notify.history SET state = 'delivered', delivered_at = now() WHERE id BETWEEN 10000001 AND 10000010});
sees('warning . channel shop . 41 messages of the last hour ended as unknown', 'ten were settled');
is($node->safe_psql('postgres', q{SELECT * FROM line_notify.redrive(ids => ARRAY(SELECT generate_series(10000011, 10000015)), state => 'unknown', allow_duplicates => true)}), '5|0|0', 'five are sent again');
sees('warning . channel shop . 36 messages of the last hour ended as unknown', 'and are none of them');
$node->by_hand('postgres', split /\n/, $node->safe_psql('postgres', "SELECT id FROM line_notify.notifications WHERE state IN ('queued', 'unknown', 'cancelled')"));
$node->safe_psql('postgres', "SELECT line_notify.cancel(from_time => '-infinity'); DELETE FROM line_notify.history WHERE id > 10000000 OR state IN ('unknown', 'cancelled'); DELETE FROM line_notify.minute_count; DELETE FROM line_notify.attempt_log; SELECT line_notify.resume()");
content('all is well again');

# ---- nobody listens: the breaker opens, nothing is lost
my $held = IO::Socket::INET->new(Proto => 'tcp', LocalAddr => '127.0.0.1');	# nobody else's, and nobody listens
my $closed = $held->sockport;
$node->safe_psql('postgres', "SELECT line_notify.alter_channel('shop', api_base => 'http://127.0.0.1:$closed')");
$node->insert('postgres', 20, first => 4);
sees('warning . channel shop . the circuit breaker is (open|half-open): a run of requests failed, last not_sent', 'the breaker is open');
waits('circuit breaker open', 'a message says so');
$node->safe_psql('postgres', "SELECT line_notify.alter_channel('shop', api_base => '@{[ $sim->url ]}'); SELECT line_notify.resume()");
$node->wait_states('postgres', accepted => 23);

# ---- the worker stands still before a version it does not know
$node->safe_psql('postgres', "UPDATE pg_extension SET extversion = '9.9' WHERE extname = 'line_notify'; SELECT line_notify._wake()");
sees('error . worker . library and extension versions do not match', 'version');
$node->safe_psql('postgres', "UPDATE pg_extension SET extversion = '1.0' WHERE extname = 'line_notify'; SELECT line_notify._wake()");
content('it goes on');

# ---- an error of a phase
$node->safe_psql('postgres', q{
CREATE FUNCTION line_notify.boom() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''boom'' USING ERRCODE = ''internal_error''; END';
CREATE TRIGGER boom BEFORE INSERT ON line_notify.in_flight FOR EACH STATEMENT EXECUTE FUNCTION line_notify.boom()});
$node->insert('postgres', 1, first => 30);
sees('warning . worker . the worker runs, and something failed: claiming messages: boom', 'an error of the worker');
$node->safe_psql('postgres', 'DROP TRIGGER boom ON line_notify.in_flight; DROP FUNCTION line_notify.boom()');
$node->wait_states('postgres', accepted => 24);
content('it is gone when it is gone');

# ---- a standby
my $standby = $node->standby('standby');
$node->wait_for_catchup($standby);
sees('info . server . this server is a standby', 'a standby says what it is', $standby);
is($standby->safe_psql('postgres', "SELECT count(*) FROM line_notify.health()"), 1, 'and nothing else is wrong with it');
$standby->append_conf('postgresql.conf', "line_notify.node = 'another'");
$standby->reload;
sees('error . channel shop . disarmed', 'a node that could not take over says so before', $standby);
$node->safe_psql('postgres', q{SELECT line_notify.arm(nodes => '{test,another}')});
ok($standby->poll_query_until('postgres', 'SELECT count(*) = 1 FROM line_notify.health()'), 'armed for both nodes');
$node->safe_psql('postgres', q{SELECT line_notify.alter_channel('shop', ca_file => '/nonexistent/ca.pem')});
sees('error . channel shop . ca_file does not exist on this server', 'a file that is missing there', $standby);
$node->safe_psql('postgres', q{SELECT line_notify.alter_channel('shop', ca_file => '')});
my ($rc, $out, $err) = $standby->psql('postgres', 'SELECT line_notify.wait_for(1)');
like($err, qr/recovery is in progress/, 'wait_for is refused there');
($rc, $out, $err) = $standby->psql('postgres', "SELECT * FROM line_notify.cancel(batch => 'x')");
like($err, qr/read-only transaction|recovery is in progress/, 'and so are verbs');
$standby->stop;

# ---- no preload, and no slot
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->restart;
sees('error . server . line_notify is not in shared_preload_libraries', 'not preloaded');
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'line_notify'\nmax_worker_processes = 1");
$node->restart;
sees('error . server . max_worker_processes leaves no room', 'too few processes');

$sim->stop;
$node->stop;
done_testing();
