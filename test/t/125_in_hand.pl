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
$node->install('postgres', $sim, channel => 'rate_limit => 1');
my $worker;
END { local $?; kill 'CONT', $worker if $worker }

sub sql { return $node->safe_psql('postgres', @_); }

for my $what ('', ", template_key => 'shipment_completed_ja'", ", use_case => 'parcel_delivery'")
{
	my $name = $what || ', the whole channel';
	$name =~ s/, //;
	$worker = $node->in_hand('postgres', $sim, sub { $node->insert('postgres', $_[0]) });
	my $sent = $sim->summary->{requests};
	my $stands = sql('SELECT clock_timestamp()');
	sql("SELECT line_notify.pause('shop'$what)");
	# its token has come, too, when it looks again
	$node->poll_query_until('postgres', "SELECT clock_timestamp() > '$stands'::timestamptz + interval '2 s'") or die;
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
