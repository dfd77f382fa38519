# While there is nothing to do, nothing runs: no transaction, no wake-up of the
# worker or the launcher.  TAP, because it is about processes; Linux only, since
# the kernel is the journal of wake-ups.
#
# LN_IDLE=60 for the full minute.

use strict;
use warnings;

use Test::More;
use PostgreSQL::Test::Utils;
use LineNotify::Sim;
use LineNotify::Node;

plan skip_all => 'needs /proc' if !-r '/proc/self/status';
my $seconds = $ENV{LN_IDLE} // 5;
my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main', autovacuum => 'off');
$node->safe_psql('postgres', 'CREATE DATABASE busy');
$node->install('busy', $sim);
$node->insert('busy', 5);
# a message far in the future must not make it restless
$node->insert('busy', 1, first => 6, set => { send_after => "now() + '20 hours'" });
$node->wait_states('busy', accepted => 5, queued => 1);

my $worker = $node->worker_pid('busy');
my $launcher = $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'line_notify launcher'");

sub commits
{
	# of database busy, asked in another
	return $node->safe_psql('postgres', "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = 'busy'");
}

# Connections close, counts are summed up, first looks are taken: let that end.
# Then a whole window without anything must come.
my ($switches, $commits, $quiet);
for my $window (1 .. 20)
{
	my @before = ($node->switches($worker, $launcher), commits());
	sleep $seconds;	# the claim is about time
	$switches = $node->switches($worker, $launcher) - $before[0];
	$commits = commits() - $before[1];
	$quiet = $switches + $commits == 0;
	last if $quiet;
	note("window $window: $switches wake-ups, $commits transactions");
}
is($node->safe_psql('busy', "SELECT line_notify._next_statistics(max(home)) BETWEEN clock_timestamp() + interval '5 s' AND clock_timestamp() + interval '15 s' FROM line_notify.channel"),
	'f', 'nor is one planned for soon, with nothing to ask LINE for');
ok($quiet, "no wake-up and no transaction in $seconds s");
like($node->safe_psql('postgres', "SELECT state || ' ' || wait_event_type FROM pg_stat_activity WHERE pid = $worker"),
	qr/^idle Extension$/, 'and pg_stat_activity says so');

# it is not dead
$node->insert('busy', 1, first => 7);
$node->wait_states('busy', accepted => 6, queued => 1);
pass('and it wakes for a message');

$sim->stop;
$node->stop;
done_testing();
