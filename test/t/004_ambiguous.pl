# The outcomes that others guess.  A kept-alive server that reads a POST and
# hangs up: one copy, and "unknown".  A server that is not there: nothing left,
# so it is sent when the server appears.  TAP: the network misbehaves.

use strict;
use warnings;

use Test::More;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main');
$node->install('postgres', $sim, channel => "backoff_base => '50 ms', backoff_cap => '200 ms'");

# warm a few connections first
$node->insert('postgres', 20);
$node->wait_states('postgres', accepted => 20);

# The worker stands still for longer than the time-out, while the answers lie in
# its sockets: they count.  (A frozen virtual machine, a wait for a standby …)
$node->safe_psql('postgres', "SELECT line_notify.alter_channel('shop', total_timeout => '5 s')");
$sim->reset;
$sim->script({ match => { path => 'send' }, do => [ 'hold', 'answer' ] });
my $worker = $node->worker_pid('postgres');
# (a window of requests without an answer holds no more than 16 at first)
$node->insert('postgres', 10, first => 251);
ok($sim->wait_requests(10), '10 requests are on the wire');
kill 'STOP', $worker;
my $frozen = time;
$sim->clear_script;
ok($sim->wait_until(sub { 10 == grep { $_->{answered} eq 'whole' } $sim->requests }), 'they are answered');
$sim->wait_until(sub { time > $frozen + 6 });
kill 'CONT', $worker;
$node->wait_states('postgres', accepted => 30);
is($sim->summary->{requests}, 10, 'a stall of ours is not the silence of the server: 10 of 10 accepted');
$node->safe_psql('postgres', "SELECT line_notify.alter_channel('shop', total_timeout => '20 s')");

# hang up on one request of a warm connection
for my $how ('close', 'reset')
{
	$sim->reset;
	$sim->script({ match => { path => 'send' }, do => [ $how ], times => 1 });
	my $before = $node->states('postgres');
	$node->insert('postgres', 1, first => $how eq 'close' ? 101 : 102);
	$node->wait_states('postgres', accepted => 30, unknown => ($before->{unknown} // 0) + 1);
	is($sim->summary->{requests}, 1, "$how after the request was read: exactly one copy");
}
is($node->safe_psql('postgres', "SELECT outcome FROM line_notify.attempts WHERE http_status IS NULL GROUP BY 1"),
	'ambiguous', 'the attempt says why');
like($node->health('postgres', "severity = 'warning'"), qr/2 messages .* unknown/, 'health() mentions them');

# half a status line is no answer; a whole one is, whatever follows
$sim->script({ match => { path => 'send' }, do => [ { send => 'HTTP/1.1 20' }, 'close' ], times => 1 });
$node->insert('postgres', 1, first => 201);
$node->wait_states('postgres', accepted => 30, unknown => 3);
$sim->script({ match => { path => 'send' }, do => [ { send => "HTTP/1.1 202 Accepted\r\nContent-Le" }, 'close' ], times => 1 });
$node->insert('postgres', 1, first => 202);
$node->wait_states('postgres', accepted => 31, unknown => 3);
ok(1, 'a complete status line decides, even if the rest is cut off');

# nobody listens
$sim->reset;
$sim->listen('off');
$sim->end_connections('close');
$sim->wait_until(sub { $sim->summary->{connections}{open} == 0 }) or die 'not closed';
$node->insert('postgres', 3, first => 301);
ok($node->poll_query_until('postgres',
		"SELECT count(*) >= 3 FROM line_notify.attempts WHERE outcome = 'not_sent'"),
	'a server that is not there: tried, and proved not sent');
is($node->states('postgres')->{unknown}, 3, 'and no certainty lost');
$sim->listen('on');
$node->wait_states('postgres', accepted => 34, unknown => 3);
is(scalar($sim->requests(path => 'send')), 3, 'delivered once each when it appears');

$node->stop;
$sim->stop;
done_testing();
