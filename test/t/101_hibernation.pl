# A worker with nothing to do leaves, and comes back by itself: for a new
# message, when a waiting one becomes due, when the kill switch is released,
# after pg_terminate_backend().  Meanwhile no statement runs.  TAP: processes
# come and go.

use strict;
use warnings;

use Test::More;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main', 'line_notify.idle_timeout' => '1s', 'line_notify.shutdown_timeout' => '60s');
$node->install('postgres', $sim);

sub state_is
{
	my ($state, $name) = @_;
	ok($node->poll_query_until('postgres',
		"SELECT state = '$state' FROM line_notify.workers WHERE database = 'postgres'"), $name)
	  or diag $node->safe_psql('postgres', 'SELECT * FROM line_notify.workers');
}

state_is('idle', 'an idle worker leaves');
ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'line_notify worker'"),
	'and its process goes');
is($node->health('postgres'), '', 'which is no fault');

$node->insert('postgres', 1);
$node->wait_states('postgres', accepted => 1);
pass('a new message brings it back');

# for later: it leaves again, and is started for the time
$node->insert('postgres', 1, first => 2, set => { send_after => "clock_timestamp() + '10 s'" });
ok($node->poll_query_until('postgres', q{
SELECT w.state = 'idle' AND w.next_due = o.due_at FROM line_notify.workers w, line_notify.outbox o WHERE w.database = 'postgres'}),
	'leaves while a message waits for its time, knowing when to come back')
  or diag $node->safe_psql('postgres', 'SELECT * FROM line_notify.workers; SELECT due_at FROM line_notify.outbox');
$node->wait_states('postgres', accepted => 2);
is($node->safe_psql('postgres', 'SELECT min(sent_at - due_at) >= interval \'0\' FROM line_notify.history'), 't', 'never too early');

# kill switch
$node->append_conf('postgresql.conf', 'line_notify.enabled = off');
$node->reload;
$node->poll_query_until('postgres', 'SELECT NOT setting::bool FROM pg_settings WHERE name = \'line_notify.enabled\'') or die;
$node->insert('postgres', 2, first => 3);
state_is('idle', 'switched off, it leaves with messages waiting');
is($sim->summary->{requests}, 2, 'nothing was sent');
like($node->health('postgres'), qr/switched off/, 'health says why');
$node->append_conf('postgresql.conf', "line_notify.enabled = on\nline_notify.idle_timeout = 0");
$node->reload;
$node->wait_states('postgres', accepted => 4);
pass('switched on again by a reload, it sends');

# an operator's pg_terminate_backend and pg_cancel_backend
my $pid = $node->worker_pid('postgres');
$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
$node->insert('postgres', 1, first => 5);
$node->wait_states('postgres', accepted => 5);
is($node->worker_pid('postgres'), $pid, 'pg_cancel_backend changes nothing');
$sim->script({ match => { path => 'send' }, at => 'body', do => [ 'hold', 'answer' ] });
$node->insert('postgres', 3, first => 6);
$sim->wait_requests(8) or die;
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
$sim->clear_script;
$node->wait_states('postgres', accepted => 8);
pass('pg_terminate_backend waits for the answers');
$node->insert('postgres', 1, first => 9);
$node->wait_states('postgres', accepted => 9);
isnt($node->worker_pid('postgres'), $pid, 'and another worker follows');

# nothing to do, no idle time-out: no statement at all
$node->safe_psql('postgres', 'CREATE DATABASE quiet');
$node->install('quiet', $sim);
my $quiet = $node->worker_pid('quiet');
$node->poll_query_until('postgres',
	"SELECT state = 'idle' AND state_change < clock_timestamp() - interval '2 s' FROM pg_stat_activity WHERE pid = $quiet") or die;
my $seen = $node->safe_psql('postgres', "SELECT state_change FROM pg_stat_activity WHERE pid = $quiet");
my $wakes = $node->switches($quiet);
$node->safe_psql('postgres', 'SELECT pg_sleep(3)');
is($node->safe_psql('postgres', "SELECT state_change FROM pg_stat_activity WHERE pid = $quiet"), $seen, 'idle: no statement');
cmp_ok($node->switches($quiet) - $wakes, '<=', 1, 'idle: no wake-up');

is($sim->summary->{recipients}{received_twice}, 0, 'nobody got two copies');
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/(PANIC|TRAP|was terminated by signal)/, 'no crash in the log');
$node->stop;
$sim->stop;
done_testing();
