# What can be seen and waited for while a worker sends: view stats counts each
# outcome once, the histogram has every answer, places of dropped channels and
# databases are given back, wait_for() wakes when the message has been sent and
# not before, can be cancelled, and times out.  TAP, because it needs the worker
# and several sessions.

use strict;
use warnings;

use IPC::Run;
use Test::More;
use PostgreSQL::Test::Utils;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main', max_prepared_transactions => 2);
$node->install('postgres', $sim);

# ---- wait_for
my $id = $node->safe_psql('postgres', $node->insert_sql(1) . ' RETURNING id');
is($node->safe_psql('postgres', "SELECT line_notify.wait_for($id)"), 'accepted', 'wait_for returns the state');
is($node->safe_psql('postgres', 'SELECT line_notify.wait_for(999999)'), '', 'NULL for no such message');
is($node->safe_psql('postgres', "SELECT line_notify.wait_for($id, '0')"), 'accepted', 'at once when it has ended');

my ($rc, $out, $err) = $node->psql('postgres', 'BEGIN; ' . $node->insert_sql(1) . '; SELECT line_notify.wait_for(1)');
like($err, qr/this transaction has queued messages itself/, 'refused in the transaction that queued');
is($node->safe_psql('postgres',
	'BEGIN; SAVEPOINT a; ' . $node->insert_sql(1, first => 900) . "; ROLLBACK TO a; SELECT line_notify.wait_for($id)"),
	'accepted', 'but not when a savepoint took them back');
($rc, $out, $err) = $node->psql('postgres', "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT line_notify.wait_for($id)");
like($err, qr/READ COMMITTED/, 'refused under REPEATABLE READ');
($rc, $out, $err) = $node->psql('postgres', "SELECT line_notify.wait_for($id, '-1 second')");
like($err, qr/timeout is out of range/, 'refused with a negative timeout');

$node->safe_psql('postgres', "SELECT line_notify.pause('shop')");
$id = $node->safe_psql('postgres', $node->insert_sql(1, first => 2) . ' RETURNING id');
is($node->safe_psql('postgres', "SELECT line_notify.wait_for($id, '50 ms')"), 'queued', 'it times out');
($rc, $out, $err) = $node->psql('postgres', "SET statement_timeout = 200; SELECT line_notify.wait_for($id)");
like($err, qr/canceling statement/, 'it can be cancelled');

{
	# a sleeper that is woken by the worker
	my ($stdin, $stdout, $timer) = ('', '', IPC::Run::timer(60));
	my $h = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') ], '<', \$stdin, '>', \$stdout, $timer);
	$stdin .= "\\echo ready\nSELECT 'woke with ' || line_notify.wait_for($id, '1 min');\n";
	$h->pump until $stdout =~ /ready/;
	$node->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE '%woke with%' AND pid <> pg_backend_pid() AND wait_event_type = 'Extension'")
	  or die 'nobody sleeps';
	is($node->safe_psql('postgres', "SELECT waiting_reason FROM line_notify.notifications WHERE id = $id"),
		'channel paused', 'and the view says why');
	$node->safe_psql('postgres', "SELECT line_notify.resume('shop')");
	$h->pump until $stdout =~ /woke with (\w+)/;
	like($stdout, qr/woke with accepted/, 'the worker wakes who waits');

	# and by a verb
	$node->safe_psql('postgres', "SELECT line_notify.pause('shop')");
	$id = $node->safe_psql('postgres', $node->insert_sql(1, first => 3) . ' RETURNING id');
	$stdout = '';
	$stdin .= "\\echo ready\nSELECT 'second ' || line_notify.wait_for($id, '1 min');\n";
	$h->pump until $stdout =~ /ready/;
	$node->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE '%second%' AND pid <> pg_backend_pid() AND wait_event_type = 'Extension'")
	  or die 'nobody sleeps';
	$node->safe_psql('postgres', "SELECT line_notify.cancel(ids => '{$id}')");
	$h->pump until $stdout =~ /second (\w+)/;
	like($stdout, qr/second cancelled/, 'and so does cancel()');

	# also by one that another session prepared
	$id = $node->safe_psql('postgres', $node->insert_sql(1, first => 4) . ' RETURNING id');
	$stdout = '';
	$stdin .= "\\echo ready\nSELECT 'third ' || line_notify.wait_for($id, '1 min');\n";
	$h->pump until $stdout =~ /ready/;
	$node->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE '%third%' AND pid <> pg_backend_pid() AND wait_event_type = 'Extension'")
	  or die 'nobody sleeps';
	$node->safe_psql('postgres', "BEGIN; SELECT line_notify.cancel(ids => '{$id}'); PREPARE TRANSACTION 'cancel'");
	$node->safe_psql('postgres', "COMMIT PREPARED 'cancel'");
	$h->pump until $stdout =~ /third (\w+)/;
	like($stdout, qr/third cancelled/, 'and COMMIT PREPARED');
	$stdin .= "\\q\n";
	$h->finish;
	$node->safe_psql('postgres', "SELECT line_notify.resume('shop')");
}

# ---- stats
is($node->safe_psql('postgres', 'SELECT line_notify.reset_stats()'), 2, 'reset: one row for each endpoint');
$sim->reset;
$sim->set_recipients('+819010000011' => 'unreachable', '+819010000012' => 'unreachable');
$sim->script({ answer => 500, times => 2 });
$node->insert('postgres', 40, first => 11);
$node->poll_query_until('postgres', 'SELECT NOT EXISTS (SELECT FROM line_notify.outbox)') or die;
# the worker publishes it when its turn ends
$node->poll_query_until('postgres', 'SELECT bool_and(in_flight = 0) FROM line_notify.stats') or die;
my $states = $node->states('postgres', "reference IN (SELECT 'ref ' || i FROM generate_series(11, 50) i)");
my $s = $node->safe_psql('postgres', q{
SELECT sent, accepted, unreachable, refused, unknown, server_error, in_flight,
	sent = accepted + unreachable + refused + throttled + unauthorized + misconfigured + server_error + not_sent + ambiguous,
	(SELECT sum(x) FROM unnest(latency) x), p50_ms > 0 AND p99_ms >= p50_ms, last_success > since, last_error, breaker, tokens IS NOT NULL
FROM line_notify.stats WHERE endpoint = 'template' AND database = 'postgres'});
is($s, join('|', 40, $states->{accepted}, $states->{unreachable} // 0, 0, $states->{unknown}, 2, 0, 't', 40, 't', 't', 'server_error', 'closed', 't'),
	'stats count what the rows say');
is($states->{unknown}, 2, 'two unknown');
is($node->safe_psql('postgres', q{SELECT line_notify.quantile(latency, 1) >= p99_ms FROM line_notify.stats WHERE endpoint = 'template'}),
	't', 'quantile');
($rc, $out, $err) = $node->psql('postgres', "SELECT line_notify.quantile('{1,2}', 0.5)");
like($err, qr/buckets/, 'of something else: refused');
($rc, $out, $err) = $node->psql('postgres', 'SELECT line_notify.quantile(latency, 1.5) FROM line_notify.stats');
like($err, qr/between 0 and 1/, 'out of range: refused');

# ---- 429 shows, with its pause, and waiting_reason names it
$sim->reset;
$sim->script({ answer => { status => 429, headers => { 'Retry-After' => '30' } }, times => 1 });
$node->insert('postgres', 5, first => 101);
$node->poll_query_until('postgres', q{SELECT status_429 >= 1 AND blocked_until > now() FROM line_notify.stats WHERE endpoint = 'template'})
  or die 'no 429';
$node->poll_query_until('postgres', q{SELECT count(*) > 0 FROM line_notify.notifications WHERE waiting_reason = 'LINE said wait' AND waiting_until > now()})
  or die 'no reason';
pass('a throttled endpoint is visible');

# ---- places of dropped channels and databases are given back
my $many = 'SELECT line_notify.create_channel(format(\'many%s\', i), api_base => \'' . $sim->url . '\') FROM generate_series(1, 300) i';
my $none = 'SELECT line_notify.drop_channel(name) FROM line_notify.channels WHERE name LIKE \'many%\'';
my $log = -s $node->logfile;
$node->safe_psql('postgres', $many);
$node->poll_query_until('postgres', "SELECT count(*) = 512 FROM line_notify.stats") or die 'not taken';
ok($node->wait_for_log(qr/no slot is left for statistics of channel "many\d+"/, $log), 'the log tells when all are taken');
$node->safe_psql('postgres', $none);
$node->poll_query_until('postgres', 'SELECT count(*) = 2 FROM line_notify.stats') or die 'not given back';
pass('places of dropped channels are given back');

# LINE's pause above holds for the other database too: the same channel
$node->safe_psql('postgres', "SELECT line_notify.resume('shop')");
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->install('other', $sim);
$node->insert('other', 3);
$node->wait_states('other', accepted => 3);
is($node->safe_psql('postgres', q{SELECT sum(accepted) FROM line_notify.stats WHERE database = 'other'}), 3,
	'a place taken again counts from nothing');
$node->safe_psql('other', 'DROP EXTENSION line_notify CASCADE');
$node->poll_query_until('postgres', 'SELECT count(*) = 2 FROM line_notify._stats()') or die 'not given back';
pass('places of a dropped extension are given back');
$node->install('other', $sim);
$node->poll_query_until('postgres', 'SELECT count(*) = 4 FROM line_notify._stats()') or die 'not taken';
$node->safe_psql('postgres', 'DROP DATABASE other');
$node->poll_query_until('postgres', 'SELECT count(*) = 2 FROM line_notify._stats()') or die 'not given back';
pass('places of a dropped database are given back');

$sim->stop;
$node->stop;
done_testing();
