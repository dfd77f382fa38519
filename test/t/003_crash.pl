# kill -9 of the worker, and an immediate shutdown, with messages on the wire:
# nothing is sent twice, nothing is forgotten, and each row ends in a state
# that is true.  The simulator judges.  TAP: crashes.

use strict;
use warnings;

use Test::More;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main', restart_after_crash => 'on');
$node->install('postgres', $sim);

# what the simulator saw of each message must be what the row says
sub compare
{
	my ($n, $name) = @_;
	my %accepted;
	for my $r ($sim->requests)
	{
		$r->{tag} =~ /^ln1-(\d+)-/ or next;
		$accepted{$1}++ if ($r->{status} // 0) == 202;
	}
	my %state = map { split /\|/ } split /\n/,
	  $node->safe_psql('postgres', 'SELECT id, state FROM line_notify.notifications');
	is(scalar(keys %state), $n, "$name: none forgotten");
	my $twice = grep { $_ > 1 } values %accepted;
	is($twice, 0, "$name: none sent twice");
	my @lies;
	for my $id (sort { $a <=> $b } keys %state)
	{
		my $sent = $accepted{$id} // 0;
		push @lies, "$id $state{$id} but received $sent times"
		  if ($state{$id} eq 'accepted' && !$sent)
		  || ($state{$id} !~ /^(accepted|unknown)$/);
	}
	is("@lies", '', "$name: every state is true");
	my %count;
	$count{$_}++ for values %state;
	note join ', ', map { "$_ $count{$_}" } sort keys %count;
	return \%count;
}

my $total = 0;
for my $how ('kill -9 of the worker', 'immediate shutdown')
{
	$sim->config(latency => 0.05);
	my $before = $sim->summary->{requests};
	my $worker = $node->worker_pid('postgres');
	$node->insert('postgres', 600, first => $total + 1);
	$total += 600;
	$sim->wait_requests($before + 100) or die;
	if ($how =~ /kill/)
	{
		kill 'KILL', $worker;
		# not before the server has noticed
		$node->poll_query_until('postgres',
			"SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'line_notify worker' AND pid <> $worker") or die;
	}
	else
	{
		$node->stop('immediate');
		$node->start;
	}
	ok($node->poll_query_until('postgres',
			"SELECT count(*) = 0 FROM line_notify.notifications WHERE state IN ('queued', 'sending')"),
		"$how: everything comes to an end");
	my $count = compare($total, $how);
	cmp_ok($count->{unknown} // 0, '<=', 512, "$how: at most what was on the wire is unknown");
}

$node->stop;
$sim->stop;
done_testing();
