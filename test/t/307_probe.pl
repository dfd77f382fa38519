# While LINE as a whole does not answer, no message is spent on finding out when
# it is back: a free question goes first.  Where only messages are refused, they
# probe one at a time.  TAP: the simulator fails, its log is the judge.

use strict;
use warnings;

use Test::More;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main');
$node->install('postgres', $sim, channel => "total_timeout => '1 minute', max_in_flight => 20");
sub sql { return $node->safe_psql('postgres', shift); }
sub unknown { return sql("SELECT count(*) FROM line_notify.history WHERE state = 'unknown'"); }
sub questions { return scalar grep { $_->{path} eq '/v2/bot/info' } $sim->requests; }
sub messages { return scalar $sim->requests(path => 'send'); }
sub patience { return sql("SELECT line_notify.alter_channel('shop', total_timeout => '$_[0]')"); }
# what was sent before the breaker opened has ended
sub settled { $node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM line_notify.in_flight') or die; return; }

my $first = 1;
for my $how ([ '500 to everything', { answer => 500 } ], [ 'silence', { do => ['stall'] } ])
{
	my ($name, $rule) = @$how;
	patience('500 ms') if $name eq 'silence';
	$sim->reset;
	sql('DELETE FROM line_notify.history');
	$sim->script($rule);
	$node->insert('postgres', 200, first => $first);
	$first += 200;
	ok($node->poll_query_until('postgres', "SELECT bool_or(breaker = 'open') FROM line_notify.stats"), "$name: the breaker opens");
	ok($sim->wait_until(sub { questions() >= 1 }, 30), 'then a question is asked');
	settled();
	my $unknown = unknown();
	my $sent = messages();
	ok($sim->wait_until(sub { questions() >= 3 }, 60), 'and another, and another');
	is(messages(), $sent, 'no message meanwhile');
	is(unknown(), $unknown, "so none becomes unknown, beyond the $unknown of the beginning");
	cmp_ok($unknown, '<=', 25, 'a handful');
	# what is answered at last, is so on a slow machine too
	patience('1 minute');
	$sim->clear_script;
	$sim->end_connections('close');
	ok($node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM line_notify.outbox'), 'when LINE is back, all are sent by themselves');
	is(unknown(), $unknown, 'none was lost');
	is($sim->summary->{messages}{accepted_twice}, 0, 'none twice');
}

# only messages fail: the question is answered, one message probes
$sim->reset;
sql('DELETE FROM line_notify.history');
$sim->script({ match => { path => 'send' }, answer => 500 });
$node->insert('postgres', 200, first => $first);
ok($node->poll_query_until('postgres', "SELECT bool_or(breaker = 'open') FROM line_notify.stats"), 'messages only: the breaker opens');
settled();
my $sent = messages();
ok($sim->wait_until(sub { messages() >= $sent + 2 }, 60), 'messages probe');
cmp_ok(messages() - $sent, '<=', questions(), 'one after each question');
$sim->clear_script;
ok($node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM line_notify.outbox'), 'and find out when it is over');

# nothing waits: nothing is asked
$sim->reset;
$sim->script({ answer => 500 });
$node->insert('postgres', 6, first => $first + 1000);
ok($node->poll_query_until('postgres', "SELECT bool_or(breaker = 'open') FROM line_notify.stats"), 'the breaker opens on the last messages');
$node->poll_query_until('postgres', "SELECT count(*) <= 1 FROM line_notify.outbox") or die;
sql("SELECT line_notify.cancel(from_time => '-infinity')");
my $asked = questions();
$node->poll_query_until('postgres', "SELECT bool_and(breaker_until < now()) FROM line_notify.stats WHERE breaker = 'open'") or die;
$node->turn('postgres', sub { patience('1 minute') });
is(scalar(grep { $_->{path} !~ /push|info/ } $sim->requests), 0, 'nothing else was asked');
# but the one that was under way
cmp_ok(questions() - $asked, '<=', 1, 'without messages, no question');

$node->stop;
$sim->stop;
done_testing();
