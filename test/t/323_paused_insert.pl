# An INSERT into a paused channel wakes nobody, and yet nothing is slept over:
# what expires first ends in time, and what was queued while a channel was being
# resumed is sent, whichever of the two commits last and whatever the worker does
# meanwhile.
# TAP: sessions with open transactions, a stopped worker, its context switches.

use strict;
use warnings;

use Test::More;
use List::Util qw(sum);
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
# awake for nothing else, and no process is started for a message
my $node = LineNotify::Node->new('main', autovacuum => 'off', 'line_notify.idle_timeout' => 0);
$node->install('postgres', $sim);
$node->insert('postgres', 1);
$node->wait_states('postgres', accepted => 1);
my $pid = $node->worker_pid('postgres');

# The worker has done what it knows of: it sleeps, and is not woken up for a while.
sub settled
{
	my $before = -1;
	for (1 .. 300)
	{
		my $now = $node->switches($pid);
		return if $now == $before && $node->safe_psql('postgres', "SELECT wait_event FROM pg_stat_activity WHERE pid = $pid") =~ /LineNotify|Extension/;
		$before = $now;
		$node->poll_query_until('postgres', 'SELECT true FROM pg_sleep(1.5)');
	}
	die 'the worker does not come to rest';
}
sub pause { $node->safe_psql('postgres', "SELECT line_notify.pause('shop')"); return }
sub resume { $node->safe_psql('postgres', "SELECT line_notify.resume('shop')"); return }

# ---- nobody is woken --------------------------------------------------------
pause();
$node->insert('postgres', 1, first => 100);
settled();
my $before = $node->switches($pid);
$node->safe_psql('postgres', join ';', map { "BEGIN; $_; COMMIT" } map { $node->insert_sql(1, first => 1000 + $_) } 1 .. 300);
my $woken = $node->switches($pid) - $before;
cmp_ok($woken, '<', 30, "300 messages for a paused channel do not wake the worker ($woken context switches)");

# ---- but for what expires before it looks by itself ---------------------------
$node->insert('postgres', 1, first => 2001, set => { expires_at => "clock_timestamp() + interval '1 s'" });
ok($node->poll_query_until('postgres', q{SELECT state = 'expired' FROM line_notify.notifications WHERE reference = 'ref 2001'}),
	'what expires first ends in time');

# ---- the channel is resumed ---------------------------------------------------
resume();
$node->wait_states('postgres', accepted => 302, expired => 1);
pass('all that waited is sent');

# in every order: 0 = the message is committed when the worker has looked for
# what the resumed channel holds, 1 = before that, with the worker stopped
my $sent = 302;
for my $round (1 .. 2)
{
	for my $stopped (0, 1)
	{
		pause();
		settled();
		my $session = $node->background_psql('postgres', on_error_stop => 1);
		$session->query_safe('BEGIN');
		$session->query_safe($node->insert_sql(1, first => 3000 + 10 * $round + $stopped));
		kill 'STOP', $pid if $stopped;
		resume() if !$stopped;
		settled() if !$stopped;
		$session->query_safe('COMMIT');
		$session->quit;
		resume() if $stopped;
		kill 'CONT', $pid if $stopped;
		$node->wait_states('postgres', accepted => ++$sent, expired => 1);
		pass('a message that was queued while the channel was paused, ' . ($stopped ? 'committed while the worker did not run' : 'committed when it had looked'));
	}
}
is($node->worker_pid('postgres'), $pid, 'all by the same process');

# ---- pause() has returned -------------------------------------------------------
# while the worker was in the middle of a turn: it waits for a table to record in,
# and would claim then
$node->safe_psql('postgres', "SELECT line_notify.alter_channel('shop', max_in_flight => 1)");
my $requests = $sim->requests(path => 'send');
$sim->script({ match => { path => 'send' }, do => 'hold', times => 1 });
$node->insert('postgres', 1, first => 3501);
ok($sim->wait_until(sub { $sim->requests(path => 'send') > $requests }, 60), 'one is on the wire');
my $locker = $node->background_psql('postgres', on_error_stop => 1);
$locker->query_safe('BEGIN; LOCK TABLE line_notify.history IN SHARE MODE');
$node->insert('postgres', 1, first => 3502);
$sim->clear_script;
$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_locks WHERE pid = $pid AND NOT granted") or die;
pause();
$node->safe_psql('postgres', q{DELETE FROM line_notify.outbox WHERE reference = 'ref 3502'; } . $node->insert_sql(1, first => 3503));
$locker->query_safe('ROLLBACK');
$locker->quit;
$node->poll_query_until('postgres', q{SELECT state = 'accepted' FROM line_notify.notifications WHERE reference = 'ref 3501'}) or die;
settled();
is(scalar($sim->requests(path => 'send')), $requests + 1, 'what was inserted after it is not sent');
resume();
$node->wait_states('postgres', accepted => $sent + 2, expired => 1);

# ---- the worker is about to leave ---------------------------------------------
# It asks what a standby would miss, and waits for what the session has locked.
sub idle_timeout
{
	my ($seconds) = @_;
	$node->safe_psql('postgres', "ALTER SYSTEM SET line_notify.idle_timeout = $seconds");
	$node->reload;
	return;
}
my $waits = "SELECT EXISTS (SELECT FROM pg_locks WHERE pid = $pid AND NOT granted) OR NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $pid)";
pause();
# long enough for us to have the lock in time, on any machine
idle_timeout(12);
settled();
my $session = $node->background_psql('postgres', on_error_stop => 1);
$session->query_safe('BEGIN; LOCK TABLE line_notify.outbox');
$node->wait_for_log(qr/line_notify worker, looking for standbys/);
$session->query_safe($node->insert_sql(1, first => 4001, set => { expires_at => "clock_timestamp() + interval '20 s'" }));
$node->poll_query_until('postgres', $waits) or die;
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE pid = $pid"), 1, 'a worker that could not ask stays') or die;
idle_timeout(0);
$session->query_safe('COMMIT');
$session->quit;
ok($node->poll_query_until('postgres', q{SELECT state = 'expired' FROM line_notify.notifications WHERE reference = 'ref 4001'}),
	'what was queued when the worker was about to leave ends in time');
is($node->worker_pid('postgres'), $pid, 'and it stayed');

done_testing();
