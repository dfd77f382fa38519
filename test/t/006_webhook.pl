# The delivery event closes the loop: accepted becomes delivered, also for what
# was unknown, also when it comes twice, and never without a good signature.
# TAP: the worker folds the events.

use strict;
use warnings;

use Test::More;
use JSON::PP;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main');
$node->install('postgres', $sim);
$sim->set_recipients('+819010000002' => 'blocked', '+819010000003' => 'unreachable');

$node->insert('postgres', 4);
$node->wait_states('postgres', accepted => 3, unreachable => 1);
$sim->wait_webhooks(2) or die;
is($node->deliver_webhooks('postgres', $sim), 2, 'two events are new');
$node->wait_states('postgres', accepted => 1, delivered => 2, unreachable => 1);
ok(1, 'accepted becomes delivered, the blocked one stays accepted');

$sim->redeliver;
is($node->deliver_webhooks('postgres', $sim), 0, 'a redelivered event is not new');
is($node->states('postgres')->{delivered}, 2, 'and changes nothing');

# an answer that never came is settled by the event
$sim->script({ match => { path => 'send' }, do => [ 'close' ], times => 1 });
$node->insert('postgres', 1, first => 10);
$node->wait_states('postgres', accepted => 1, delivered => 2, unreachable => 1, unknown => 1);
my ($r) = reverse $sim->requests(path => 'send');
my $hook = $sim->emit([ {
	type => 'delivery', delivery => { data => $r->{tag} }, mode => 'active', timestamp => time() * 1000,
	webhookEventId => '01J0000000000000000000000A', deliveryContext => { isRedelivery => JSON::PP::false } } ]);
my $hex = unpack 'H*', $hook->[0];
is($node->safe_psql('postgres', "SELECT line_notify.receive_webhook('shop', '\\x$hex', '$hook->[1]')"), 1, 'its event is new');
$node->wait_states('postgres', accepted => 1, delivered => 3, unreachable => 1);
ok(1, 'unknown becomes delivered');

# forged, altered, unsigned
my ($rc, $out, $err) = $node->psql('postgres', "SELECT line_notify.receive_webhook('shop', '\\x${hex}20', '$hook->[1]')");
like($err, qr/signature does not match/, 'an altered body is refused');
($rc, $out, $err) = $node->psql('postgres', "SELECT line_notify.receive_webhook('shop', '\\x$hex', NULL)");
like($err, qr/signature does not match/, 'a missing signature is refused');
my $empty = '{"destination":"U8e742f61d673b39c7fff3cecb7536ef0","events":[]}';
is($node->safe_psql('postgres',
		"SELECT line_notify.receive_webhook('shop', '$empty'::bytea, 'GhRKmvmHys4Pi8DxkF4+EayaH0OqtJtaZxgTD9fMDLs=')"),
	0, 'LINE\'s published signature is accepted, and no events are fine');

$node->stop;
$sim->stop;
done_testing();
