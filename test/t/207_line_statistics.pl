# LINE's own counts are fetched, kept beside ours, and priced; a day that LINE
# has not counted yet is asked for again, a status nobody knows does no harm.
# TAP: the worker asks, the simulated LINE API answers.

use strict;
use warnings;

use Test::More;
use LineNotify::Sim;
use LineNotify::Node;

my %noon = LineNotify::Node::noon();
my $sim = do { local %ENV = (%ENV, %noon); LineNotify::Sim->start };
my $node = LineNotify::Node->new('main', start => 0);
{ local %ENV = (%ENV, %noon); $node->start; }
$node->install('postgres', $sim);
sub sql { return $node->safe_psql('postgres', $_[0]); }
sub day { return sql("SELECT to_char((now() AT TIME ZONE 'Asia/Tokyo')::date - $_[0], 'YYYYMMDD')"); }
# the worker looks again after a change of configuration
sub look { sql("SELECT line_notify.alter_channel('shop', rate_limit => 2000)"); }
sub asked { return scalar grep { $_->{path} =~ m{/delivery/pnp} } $sim->requests; }

$node->insert('postgres', 3);
$node->wait_states('postgres', accepted => 3);
sql(q{INSERT INTO line_notify.outbox (phone, use_case, messages) VALUES
	('090-1234-5678', 'parcel_delivery', '[{"type": "text", "text": "hello"}]')});
$node->wait_states('postgres', accepted => 4);
$sim->wait_webhooks(4, 10) or die;
$node->deliver_webhooks('postgres', $sim);
$node->wait_states('postgres', delivered => 4);
look();
is(asked(), 0, 'today is not asked for');

# three days ago instead; LINE has one more than we heard of
$sim->set_counts(date => day(3), kind => 'templated', status => 'ready', success => 4);
$sim->set_counts(date => day(3), kind => 'flexible', status => 'ready', success => 1);
$sim->set_counts(date => day(2), kind => 'templated', status => 'unready');
$sim->set_counts(date => day(2), kind => 'flexible', status => 'unavailable_for_privacy');
sql('UPDATE line_notify.daily_count SET day = day - 3');
sql("INSERT INTO line_notify.daily_count (channel, day, kind, outcome, n) SELECT channel, day + 1, kind, outcome, n FROM line_notify.daily_count");
look();
ok($node->poll_query_until('postgres', 'SELECT count(*) = 4 FROM line_notify.delivered_counts'), 'four counts are fetched');
is(sql("SELECT string_agg(kind || ' ' || status || ' ' || coalesce(messages::text, '-'), ', ' ORDER BY day, kind) FROM line_notify.delivered_counts"),
	'flexible ready 1, template ready 4, flexible unavailable_for_privacy -, template unready -', 'as LINE said');
my $n = asked();
look();
$node->insert('postgres', 1, first => 9);
$node->wait_states('postgres', accepted => 1, delivered => 4);
is(asked(), $n, 'not asked for again within the hour');

my $home = sql('SELECT line_notify._local_home()');
my $due = "SELECT line_notify._next_statistics($home) - now() BETWEEN interval '5 seconds' AND interval '61 minutes'";
is(sql($due), 't', 'but when the hour is over');
sql("SELECT line_notify.pause('shop')");
is(sql("SELECT line_notify._next_statistics($home) > now() + interval '5 seconds'"), 't', 'a paused channel is not asked about, and nobody waits for it');
sql("UPDATE line_notify.delivered_counts SET fetched_at = now() - interval '2 hours'");
is(sql("SELECT line_notify._next_statistics($home) > now() + interval '5 seconds'"), 't', 'nor when its hour is over');
sql("UPDATE line_notify.delivered_counts SET fetched_at = now()");
sql("SELECT line_notify.resume('shop')");
$sim->set_counts(date => day(2), kind => 'templated', status => 'ready', success => 3);
$sim->set_counts(date => day(2), kind => 'flexible', status => 'ready', success => 1);
sql("UPDATE line_notify.delivered_counts SET fetched_at = now() - interval '59 minutes 59 seconds'");
look();
ok($node->poll_query_until('postgres', "SELECT count(*) = 4 FROM line_notify.delivered_counts WHERE status = 'ready'"), 'then it is, by itself');
is(asked(), $n + 2, 'only what was not ready');

# --- reconciliation
my $first = sql("SELECT (now() AT TIME ZONE 'Asia/Tokyo')::date - 3");
sql("SELECT line_notify.set_price('shop', 3, 10000, 'JPY', '2000-01-01'); SELECT line_notify.set_price('shop', 2.5, 20000, 'JPY', ('$first'::date + 1))");
is(sql("SELECT accepted, delivered, line_count, difference, currency, cost, provisional FROM line_notify.reconciliation
	WHERE period = 'day' AND starts = '$first'"), '4|4|5|1|JPY|15|f', 'a day: one delivery more than we heard of, at 3 yen');
is(sql("SELECT delivered, line_count, difference, cost FROM line_notify.reconciliation
	WHERE period = 'day' AND starts = '$first'::date + 1"), '4|4|0|10.0', 'the next day: 2.5 yen');
is(sql("SELECT sum(cost) - count(*) * 20000 FROM line_notify.reconciliation WHERE period = 'month' AND starts <= '$first'::date + 1
	AND starts > '$first'::date - 31 AND accepted > 1 AND currency = 'JPY'") > 0 ? 1 : 0, 1, 'the month has its fee')
	or diag sql('SELECT * FROM line_notify.reconciliation');

# the messages go, the totals stay
sql('DELETE FROM line_notify.history');
is(sql("SELECT accepted FROM line_notify.reconciliation WHERE period = 'day' AND starts = '$first'"), 4, 'totals outlive the messages');

$node->stop;
$sim->stop;
done_testing();
