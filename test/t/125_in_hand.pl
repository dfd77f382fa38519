# What is claimed and waits for its turn, when its channel, its template or its use
# case is paused: it goes back as it came.  TAP: the worker stands still between
# the claim and the byte.

use strict;
use warnings;

use Test::More;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main');
# a message a second: one is always claimed and waits for its token
$node->install('postgres', $sim, channel => 'rate_limit => 1');
my $worker;
END { local $?; kill 'CONT', $worker if $worker }

sub sql { return $node->safe_psql('postgres', @_); }

for my $what ('', ", template_key => 'shipment_completed_ja'", ", use_case => 'parcel_delivery'")
{
	my $name = $what || ', the whole channel';
	$name =~ s/, //;
	my $sent = $sim->summary->{requests};
	$node->insert('postgres', 5);
	$sim->wait_requests($sent + 1) or die 'nothing is sent';
	# it is seen while the worker stands still
	$sim->wait_until(sub {
		$worker = $node->worker_pid('postgres');
		kill 'STOP', $worker;
		my $waits = sql('SELECT count(*), (SELECT count(*) FROM line_notify.in_flight) FROM line_notify.outbox');
		my $left = 5 + $sent - $sim->summary->{requests};
		return 1 if $left > 0 && $waits eq "$left|1";
		kill 'CONT', $worker;
		die 'all sent, and no claim seen' if $left == 0;
		return 0;
	}) or die 'no claim';
	$sent = $sim->summary->{requests};
	sql("SELECT line_notify.pause('shop'$what)");
	# its token has come, too, when it looks again
	sleep 2;
	kill 'CONT', $worker;
	ok($node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM line_notify.in_flight'), "$name: nothing stays in hand");
	is($sim->summary->{requests}, $sent, "$name: nothing is sent");
	is(sql("SELECT string_agg(DISTINCT state || ' ' || attempts, ',') FROM line_notify.notifications WHERE id IN (SELECT id FROM line_notify.outbox)"),
		'queued 0', "$name: it waits, as it came");
	sql("SELECT line_notify.cancel(channel => 'shop'); SELECT line_notify.resume('shop'$what)");
	$node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM line_notify.outbox') or die 'not cancelled';
}

$node->stop;
$sim->stop;
done_testing();
