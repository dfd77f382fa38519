# Some requests hang, and those around them are answered: the channel goes on at
# its pace, the breaker stays closed, and health() says how many hang.  Nothing is
# marked unknown that was answered.  TAP: the network, the clock.

use strict;
use warnings;

use Test::More;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main');
$node->install('postgres', $sim, channel => "total_timeout => '10 minutes', max_in_flight => 400");
sub sql { return $node->safe_psql('postgres', shift); }

# one in a hundred, then one in twenty, hangs longer than the test lasts
my $first = 1;
for my $share (100, 20)
{
	$sim->reset;
	$sim->clear_script;
	$sim->script({ match => { path => 'send', every => $share }, do => ['stall'] });
	$node->insert('postgres', 2000, first => $first);
	$first += 2000;
	my $hang = 2000 / $share;
	my $answered = 2000 - $hang;
	ok( $node->poll_query_until('postgres', "SELECT count(*) >= $answered FROM line_notify.history WHERE state = 'accepted' AND reference IN (SELECT 'ref ' || i FROM generate_series(@{[ $first - 2000 ]}, $first) i)"),
		"1 of $share hangs: all others are accepted")
	  or diag(sql("SELECT state, waiting_reason, count(*) FROM line_notify.notifications GROUP BY 1, 2; SELECT * FROM line_notify.health()"));
	is(sql("SELECT string_agg(DISTINCT breaker, ',') FROM line_notify.stats"), 'closed', 'the breaker is closed');
	ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM line_notify.outbox o WHERE NOT EXISTS (SELECT FROM line_notify.in_flight f WHERE f.id = o.id)"), 'none waits');
	ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM line_notify.health() WHERE subject = 'channel shop' AND severity = 'warning' AND reason ~ '^[0-9]+ requests unanswered for up to [0-9]+ seconds, while later ones are answered' AND hint ~ 'max_in_flight'"),
		'health() says how many hang')
	  or diag(sql('SELECT * FROM line_notify.health()'));
	is(sql("SELECT count(*) FROM line_notify.history WHERE state = 'unknown'"), 0, 'nothing is unknown before its time');
	$sim->end_connections('close');
	ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM line_notify.in_flight"), 'they end');
	sql("DELETE FROM line_notify.history");
}

# half of all are slow: the others do not wait for them
$sim->reset;
$sim->clear_script;
$sim->script({ match => { path => 'send', every => 2 }, do => ['stall'] });
$node->restart;
$node->insert('postgres', 200, first => $first);
ok($node->poll_query_until('postgres', "SELECT count(*) >= 100 FROM line_notify.history WHERE state = 'accepted'"), 'every other one hangs, and a new worker: the others are accepted')
  or diag(sql("SELECT state, waiting_reason, count(*) FROM line_notify.notifications GROUP BY 1, 2"));
is(sql("SELECT count(*) FROM line_notify.history WHERE state = 'unknown'"), 0, 'before the first of them times out');

# all hang: the window holds, little is lost
$sim->end_connections('close');
$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM line_notify.in_flight") or die;
sql('DELETE FROM line_notify.history');
$sim->clear_script;
$node->restart;
$node->insert('postgres', 200, first => $first + 1000);
$node->poll_query_until('postgres', "SELECT count(*) = 200 FROM line_notify.history WHERE state = 'accepted'") or die;
sql("SELECT line_notify.alter_channel('shop', total_timeout => '5 s')");
$sim->script({ match => { path => 'send' }, do => ['stall'] });
$node->insert('postgres', 2000, first => $first + 2000);
ok($node->poll_query_until('postgres', "SELECT bool_or(breaker = 'open') FROM line_notify.stats"), 'all hang: the breaker opens');
cmp_ok(sql("SELECT (SELECT count(*) FROM line_notify.in_flight) + (SELECT count(*) FROM line_notify.history WHERE state = 'unknown')"), '<', 300, 'and most were not spent');
$node->stop('immediate');
$sim->stop;
done_testing();
