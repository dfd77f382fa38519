# The clock is set back by an hour, while the worker runs and while it does not:
# what was queued before, or waits for its next attempt, does not wait for that
# hour; what was to be sent at a time of the day is sent at that time.  And it is
# set forward, or the machine slept: what has come due goes, also when everybody
# sleeps until then.  TAP: a server whose clock is ours (test/mock/clock.c).

use strict;
use warnings;

use Test::More;
use PostgreSQL::Test::Utils;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main', start => 0);
my $file = $node->basedir . '/clock';
my $lib = $node->basedir . '/clock.so';
system_or_bail('cc', '-shared', '-fPIC', '-o', $lib, "$ENV{LN_SRC}/test/mock/clock.c", '-ldl');
sub set_clock { append_to_file("$file.new", "$_[0]\n"); rename("$file.new", $file) or die; return; }
sub start_with_clock
{
	local %ENV = (%ENV, LD_PRELOAD => $lib, CLOCK_FILE => $file);
	$node->start;
	return;
}
my $log = $node->logfile;
sub sql { return $node->safe_psql('postgres', $_[0]); }

set_clock('+0');
start_with_clock();
$node->install('postgres', $sim, channel => "backoff_base => '2 minutes', backoff_cap => '2 minutes', total_timeout => '1 minute'");
$node->insert('postgres', 1);
$node->wait_states('postgres', accepted => 1);

# one that LINE could not take is tried again after two minutes; and some that wait
$sim->script({ match => { path => 'send' }, answer => { status => 503 }, times => 1 });
sql(q{SELECT line_notify.alter_channel('shop', on_server_error => 'retry')});
$node->insert('postgres', 1, first => 2);
ok($node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM line_notify.outbox WHERE attempts = 1 AND due_at > now() + interval '30 seconds'}), 'one waits for its next attempt')
  or diag(sql('SELECT * FROM line_notify.notifications'));
sql("SELECT line_notify.pause('shop', 'stocktaking')");
$node->insert('postgres', 3, first => 10);
$node->insert('postgres', 1, first => 20, set => { send_after => "now() + interval '5 minutes'" });
$node->insert('postgres', 1, first => 21, set => { spread => "interval '2 seconds'" });
my $offset = -s $node->logfile;
my $before = sql('SELECT clock_timestamp()');
set_clock('-3600');
is(sql("SELECT clock_timestamp() < '$before'::timestamptz - interval '50 minutes'"), 't', 'the clock is set back');
sql("SELECT line_notify.resume('shop')");
ok($node->poll_query_until('postgres', "SELECT count(*) = 5 FROM line_notify.history WHERE state = 'accepted'"), 'those that waited are sent') or diag(sql('SELECT now(), * FROM line_notify.notifications'));
like(slurp_file($node->logfile, $offset), qr/the clock of this server was set back by (3599|3600|3601) s/, 'and the log says why');
is(sql("SELECT (due_at - clock_timestamp() BETWEEN interval '0' AND interval '2 minutes')::text FROM line_notify.outbox WHERE attempts = 1"), 'true', 'the next attempt is minutes away, no more');
is(sql("SELECT (due_at = send_after)::text FROM line_notify.outbox WHERE reference = 'ref 20'"), 'true', 'a time that somebody named is kept');

# nobody saw it being set back
sql("SELECT line_notify.reschedule(send_after => clock_timestamp(), ids => ARRAY(SELECT id FROM line_notify.outbox))");
ok($node->poll_query_until('postgres', "SELECT count(*) = 7 FROM line_notify.history WHERE state = 'accepted'"), 'all are sent') or diag(sql('SELECT now(), * FROM line_notify.notifications'));
$node->append_conf('postgresql.conf', 'line_notify.enabled = off');
$node->reload;
$node->insert('postgres', 2, first => 30);
$node->stop;
set_clock('-7200');
$node->append_conf('postgresql.conf', 'line_notify.enabled = on');
start_with_clock();
ok($node->poll_query_until('postgres', "SELECT count(*) = 9 FROM line_notify.history WHERE state = 'accepted'"), 'set back while the server was down: they are sent, too') or diag(sql('SELECT now(), * FROM line_notify.notifications'));

# a channel that LINE refused is asked about minutes later, no more
$sim->script({ match => { path => 'send' }, answer => 401, times => 1 });
$node->insert('postgres', 1, first => 32);
ok($node->poll_query_until('postgres', q{SELECT pause_automatic FROM line_notify.channels WHERE name = 'shop'}), 'LINE refuses the credential');
set_clock('-9000');
sql(q{SELECT line_notify.alter_channel('shop', backoff_cap => '3 minutes')});
ok($node->poll_query_until('postgres', "SELECT pg_read_file('$log') LIKE '%set back by 1799 s%' OR pg_read_file('$log') LIKE '%set back by 1800 s%'"), 'set back while it is paused');
set_clock('-8900');
sql(q{SELECT line_notify.alter_channel('shop', backoff_cap => '2 minutes')});
ok($node->poll_query_until('postgres', "SELECT count(*) = 10 FROM line_notify.history WHERE state = 'accepted'"), 'and goes on') or diag(sql('SELECT now(), * FROM line_notify.notifications'));

# what was answered on the clock before does not excuse an outage after it
set_clock('-10800');
$sim->script({ match => { path => 'send' }, do => ['close'] });
$node->insert('postgres', 60, first => 40);
ok($node->poll_query_until('postgres', "SELECT bool_or(breaker = 'open') FROM line_notify.stats"), 'set back before an outage: the breaker opens') or diag(sql('SELECT * FROM line_notify.stats'));
cmp_ok(sql("SELECT count(*) FROM line_notify.history WHERE state = 'unknown'"), '<', 60, 'and few are unknown');
is($sim->summary->{messages}{accepted_twice}, 0, 'none twice');

# the worker has left, and so nobody but the launcher can see it
sql(q{SELECT line_notify.alter_channel('shop', settle_window => '5 s', backoff_cap => '5 s')});
$sim->script_only();
ok($node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM line_notify.outbox}), 'the outage is over')
  or diag(sql('SELECT now(), * FROM line_notify.outbox'));
sql(q{ALTER SYSTEM SET line_notify.idle_timeout = '1s'; SELECT pg_reload_conf(); CREATE DATABASE other});
$sim->script({ match => { path => 'send' }, answer => { status => 503 }, times => 1 });
$node->insert('postgres', 1, first => 200);
ok($node->poll_query_until('postgres', q{SELECT state = 'idle' AND (SELECT attempts = 1 FROM line_notify.outbox) FROM line_notify.workers WHERE database = 'postgres'}),
	'the worker has left until the next attempt');
set_clock('-14400');
ok($node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM line_notify.history WHERE reference = 'ref 200' AND state = 'accepted'}), 'which comes in time')
  or diag(sql('SELECT now(), * FROM line_notify.notifications; SELECT * FROM line_notify.workers'));

# set forward: whoever sleeps wakes, and the launcher for him who has left
for my $case ([ 'the worker sleeps', '1h', '-13200', 300 ], [ 'the worker has left', '1s', '-12000', 301 ])
{
	my ($what, $idle_timeout, $clock, $first) = @$case;
	sql("ALTER SYSTEM SET line_notify.idle_timeout = '$idle_timeout'");
	$node->reload;
	$node->insert('postgres', 1, first => $first, set => { send_after => "clock_timestamp() + interval '19 minutes'" });
	my $state = $idle_timeout eq '1h' ? 'running' : 'idle';
	ok($node->poll_query_until('postgres', qq{SELECT state = '$state' FROM line_notify.workers WHERE database = 'postgres'}), "$what until the time of a message");
	# at rest, as in 101_hibernation
	$node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'line_notify worker' AND datname = 'postgres'
		AND (state <> 'idle' OR state_change > clock_timestamp() - interval '2 s')}) or die 'the worker has no rest';
	# sooner than anything else wakes them
	local $PostgreSQL::Test::Utils::timeout_default = 30;
	set_clock($clock);
	ok($node->poll_query_until('postgres', qq{SELECT count(*) = 1 FROM line_notify.history WHERE reference = 'ref $first' AND state = 'accepted'}), "$what, and the clock is set forward: it goes")
	  or diag(sql('SELECT now(), * FROM line_notify.notifications; SELECT * FROM line_notify.workers; SELECT * FROM line_notify.health()'));
}

# nor when a database is opened again, which it looks for
$node->install('other', $sim);
for my $by (undef, '-18000')
{
	$node->insert('other', 1, first => 201, set => { send_after => "clock_timestamp() + interval '3 s'" });
	$node->worker_left('other');
	sql('ALTER DATABASE other ALLOW_CONNECTIONS false');
	ok($node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM line_notify.workers WHERE database = 'other'}), 'a database is closed');
	set_clock($by) if defined $by;
	sql('ALTER DATABASE other ALLOW_CONNECTIONS true');
	ok($node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM line_notify.workers WHERE database = 'other'}), 'and is found again' . ($by ? ', set back or not' : ''));
}

# ahead by ten days, and set right again: what ended since is forgotten in time
sql(q{ALTER SYSTEM SET line_notify.payload_retention = 1; SELECT pg_reload_conf()});
set_clock('+864000');
$node->reload;
ok($node->poll_query_until('postgres', q{SELECT bool_and(mark > now() - interval '1 hour') FROM line_notify.maintenance_mark}), 'the clock is ahead');
set_clock('-18000');
$node->insert('postgres', 1, first => 202);
ok($node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM line_notify.history WHERE reference = 'ref 202' AND body IS NOT NULL}), 'and is set right again');
set_clock('-17880');
$node->reload;
ok($node->poll_query_until('postgres', q{SELECT body IS NULL FROM line_notify.history WHERE reference = 'ref 202'}), 'content is forgotten in time')
  or diag(sql('SELECT now(), * FROM line_notify.maintenance_mark; SELECT * FROM line_notify.workers'));

# set right while a task is at work, which has reckoned already when it is due again
# (a worker that leaves would do all of them anew)
sql(q{ALTER SYSTEM SET line_notify.idle_timeout = '1h'});
$node->reload;
set_clock('+864000');
sql(q{
CREATE TABLE gate AS SELECT;
CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_advisory_xact_lock(78);
	-- pg_sleep() goes by the clock
	WHILE EXISTS (SELECT FROM public.gate) LOOP PERFORM count(*) FROM generate_series(1, 10000); END LOOP;
	RETURN NULL;
END $$;
CREATE TRIGGER pass BEFORE DELETE ON line_notify.dedup FOR EACH STATEMENT EXECUTE FUNCTION pass()});
my $before_it = $node->worker_pid('postgres');
sql("SELECT pg_terminate_backend($before_it)");
ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = 78 AND pid <> $before_it"), 'a task takes its time');
set_clock('-17880');
sql(q{INSERT INTO line_notify.dedup (channel, dedup_key, until, id) VALUES ('shop', 'old', now() - interval '1 hour', 1); DELETE FROM gate});
ok($node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM line_notify.dedup}), 'it does not rest until the time that the clock showed')
  or diag(sql('SELECT now(), * FROM line_notify.dedup; SELECT * FROM line_notify.workers'));

$node->stop;
$sim->stop;
done_testing();
