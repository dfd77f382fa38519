# Smart, fast and immediate shutdown with a silent endpoint and, for fast, also
# with a synchronous standby that is dead: bounded, nothing sent twice, nothing
# lost, every state true.  Seconds are printed.  TAP: shutdowns.

use strict;
use warnings;

use Test::More;
use Time::HiRes qw(time);
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main', init => [ allows_streaming => 1 ],
	'line_notify.shutdown_timeout' => '1s');
$node->install('postgres', $sim, channel => "total_timeout => '10 min'");
my $n = 0;
my %held;

sub insert
{
	my ($k) = @_;
	$node->insert('postgres', $k, first => $n + 1);
	$n += $k;
}

for my $mode ('smart', 'fast', 'immediate')
{
	$sim->script_only({ match => { path => 'send' }, at => 'body', do => [{ delay => 600 }, 'answer'] });
	my $before = $sim->summary->{requests};
	insert(5);
	$sim->wait_requests($before + 5) or die;
	my $t = time();
	$node->stop($mode);
	my $seconds = time() - $t;
	note sprintf '%s shutdown with a silent endpoint: %.1f s', $mode, $seconds;
	cmp_ok($seconds, '<', 60, "$mode shutdown is bounded");
	$sim->script_only();
	$node->start;
	$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM line_notify.notifications WHERE state IN ('queued', 'sending')") or die;
	is($node->states('postgres')->{unknown}, $n, "$mode: what got no answer is unknown");
}

# a claim that waits for a synchronous standby sends nothing, and a fast
# shutdown does not wait for it
my $before = $sim->summary->{requests};
$node->append_conf('postgresql.conf', "synchronous_standby_names = 'nobody'");
$node->reload;
$node->poll_query_until('postgres', "SELECT setting = 'nobody' FROM pg_settings WHERE name = 'synchronous_standby_names'") or die;
# only when the checkpointer knows does anybody wait, and this it does not begin before
$node->safe_psql('postgres', 'CHECKPOINT');
$node->safe_psql('postgres', 'SET synchronous_commit = local; ' . $node->insert_sql(3, first => $n + 1));
$n += 3;
ok($node->poll_query_until('postgres',
	"SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'line_notify worker' AND wait_event = 'SyncRep'"),
	'the claim waits for the standby');
my $pid = $node->worker_pid('postgres');
$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
is($node->safe_psql('postgres', "SELECT wait_event FROM pg_stat_activity WHERE pid = $pid"), 'SyncRep', 'pg_cancel_backend does not end the wait');
is($sim->summary->{requests}, $before, 'nothing is sent meanwhile');
my $t = time();
$node->stop('fast');
note sprintf 'fast shutdown with a dead synchronous standby: %.1f s', time() - $t;
cmp_ok(time() - $t, '<', 60, 'fast shutdown with a dead synchronous standby is bounded');
is($sim->summary->{requests}, $before, 'the wait that was cut short sent nothing');

$node->append_conf('postgresql.conf', "synchronous_standby_names = ''\nline_notify.shutdown_timeout = '60s'");
$node->start;
$node->wait_states('postgres', unknown => $n - 3, accepted => 3);
pass('the claim that was never sent is sent after the restart');
is($sim->summary->{recipients}{received_twice}, 0, 'nobody got two copies');

# stopped while rows are claimed and wait for rate tokens
$node->safe_psql('postgres', "SELECT line_notify.alter_channel('shop', rate_limit => 20)");
insert(40);
$sim->wait_requests($before + 3 + 5) or die;
$node->restart;
ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM line_notify.notifications WHERE state IN ('queued', 'sending')"), 'a restart in the middle of a batch');
is($node->states('postgres')->{accepted}, 43, 'loses nothing');
is($sim->summary->{recipients}{received_twice}, 0, 'and repeats nothing');
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/(PANIC|TRAP|was terminated by signal)/, 'no crash in the log');
$node->stop;
$sim->stop;
done_testing();
