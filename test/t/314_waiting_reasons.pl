# waiting_reason and waiting_until say the truth, on a primary and on a standby.
# That every reason comes about and ends is the matter of 316_reason_matrix.pl.
# TAP: time, processes, a standby.

use strict;
use warnings;

use Test::More;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('primary', init => [ allows_streaming => 1 ]);
$node->install('postgres', $sim, channel => "backoff_base => '1 minute', backoff_cap => '1 hour'");
my $n = 0;

sub sql { return $node->safe_psql('postgres', shift); }
sub put { my %opt = @_; $node->insert('postgres', 1, first => ++$n, %opt); return "ref $n"; }

# the message waits for this reason, and until a time for which the condition holds
sub waits_for
{
	my ($ref, $reason, $until, $on) = @_;
	$on //= $node;
	ok($on->poll_query_until('postgres',
		"SELECT waiting_reason = '$reason' AND ($until) FROM (SELECT waiting_reason, waiting_until AS u, due_at FROM line_notify.notifications WHERE reference = '$ref') n"),
		$reason)
	  or diag($on->safe_psql('postgres', "SELECT waiting_reason, waiting_until, due_at, now(), attempts, error FROM line_notify.notifications WHERE reference = '$ref'"));
	# what monitoring is told says the same
	ok($on->poll_query_until('postgres', "SELECT count(*) > 0 FROM line_notify.backlog WHERE reason = '$reason'"), "backlog: $reason")
	  or diag($on->safe_psql('postgres', 'SELECT * FROM line_notify.backlog'));
	return;
}
sub gone { sql("SELECT line_notify.cancel(from_time => '-infinity')"); return; }

my $now = "u BETWEEN now() - interval '5 seconds' AND now()";	# it waits for somebody
my $clock = sub { "to_char(now() AT TIME ZONE 'Asia/Tokyo' + interval '$_[0]', 'HH24:MI')" };

# ---- time ----------------------------------------------------------------
waits_for(put(set => { send_after => "now() + interval '2 hours'" }), 'not due yet', "u = due_at AND u > now() + interval '119 minutes'");
sql("SELECT line_notify.alter_channel('shop', quiet_hours => " . $clock->('1 hour') . " || '-' || " . $clock->('3 hours') . ')');
waits_for("ref $n", 'not due yet', "u BETWEEN now() + interval '178 minutes' AND now() + interval '180 minutes'");
sql("SELECT line_notify.alter_channel('shop', quiet_hours => " . $clock->('-1 hour') . " || '-' || " . $clock->('1 hour') . ')');
waits_for("ref $n", 'not due yet', 'u = due_at');
waits_for(put(), 'quiet hours', "u BETWEEN now() + interval '58 minutes' AND now() + interval '60 minutes'");
gone();
sql("SELECT line_notify.alter_channel('shop', quiet_hours => '')");
# of tomorrow, too, which may begin at any moment
sql("INSERT INTO line_notify.daily_sent SELECT 'shop', (now() AT TIME ZONE 'Asia/Tokyo')::date + i, 5 FROM generate_series(0, 1) i; SELECT line_notify.alter_channel('shop', daily_budget => 5)");
waits_for(put(), 'daily budget used up', "u AT TIME ZONE 'Asia/Tokyo' = (now() AT TIME ZONE 'Asia/Tokyo')::date + 1");
gone();
sql("SELECT line_notify.alter_channel('shop', daily_budget => 0)");

# ---- pauses, credentials -------------------------------------------------
for my $case (
	[ "SELECT line_notify.pause('shop')", 'channel paused' ],
	[ "SELECT line_notify.pause('shop', template_key => 'shipment_completed_ja')", 'template paused' ],
	[ "SELECT line_notify.pause('shop', use_case => 'parcel_delivery')", 'use case paused' ],
	[ "INSERT INTO line_notify.partial_pause VALUES ('shop', 'endpoint', 'template', 'x')", 'endpoint paused' ],
	[ "SELECT line_notify.set_credential('shop', 'access_token', NULL)", 'no credential' ],
	[ "SELECT line_notify.set_credential('shop', 'access_token', 'file:/nonexistent')", 'credential unreadable' ])
{
	sql($case->[0]);
	waits_for(put(), $case->[1], $now);
	sql("SELECT line_notify.resume('shop'); SELECT line_notify.set_credential('shop', 'access_token', '@{[ $sim->token ]}')");
	ok($node->poll_query_until('postgres', "SELECT state = 'accepted' FROM line_notify.notifications WHERE reference = 'ref $n'"), 'then it is sent');
}

# ---- order, LINE, the network --------------------------------------------
put(set => { order_key => "'k'", send_after => "now() + interval '1 hour'" });
waits_for(put(set => { order_key => "'k'" }), 'behind another message of its order_key', $now);
gone();
$sim->script({ match => { path => 'send' }, answer => { status => 429, headers => { 'Retry-After' => '600' } } });
my $asked = sql('SELECT clock_timestamp()');
waits_for(put(), 'LINE said wait', "u BETWEEN '$asked'::timestamptz + interval '599 seconds' AND now() + interval '601 seconds'");
gone();
$sim->clear_script;
sql("SELECT line_notify.resume('shop')");
$sim->listen('off');
$sim->end_connections('reset');
my $failing = put();
waits_for($failing, 'next attempt', "u = due_at AND u BETWEEN now() + interval '1 second' AND now() + interval '61 seconds'");
put() for 1 .. 6;
waits_for(put(), 'circuit breaker open', "u BETWEEN now() - interval '1 second' AND now() + interval '61 seconds'");
gone();
$sim->listen('on');
sql("SELECT line_notify.resume('shop')");
sql("SELECT line_notify.alter_channel('shop', rate_limit => 1)");
$node->insert('postgres', 200, first => 1001);
waits_for('ref 1200', 'rate limit', "u BETWEEN now() - interval '5 seconds' AND now() + interval '5 seconds'");
gone();
sql("SELECT line_notify.alter_channel('shop', rate_limit => 2000)");
# half-open is as long as the probe is on the wire
$sim->script({ match => { path => 'send' }, do => ['stall'] });
sql("SELECT line_notify.alter_channel('shop', total_timeout => '2 seconds', max_in_flight => 5)");
$node->insert('postgres', 40, first => 2001);
$node->poll_query_until('postgres', "SELECT bool_or(breaker = 'open') FROM line_notify.stats") or die 'the breaker does not open';
sql("SELECT line_notify.alter_channel('shop', total_timeout => '10 minutes')");
waits_for('ref 2040', 'circuit breaker half-open', $now);
gone();
$sim->clear_script;
$sim->end_connections('close');
sql("SELECT line_notify.resume('shop')");

# ---- processes -----------------------------------------------------------
$node->append_conf('postgresql.conf', 'line_notify.enabled = off');
$node->reload;
waits_for(put(), 'disabled', $now);
gone();
$node->append_conf('postgresql.conf', 'line_notify.enabled = on');
$node->reload;
sql("UPDATE pg_extension SET extversion = '9.9' WHERE extname = 'line_notify'");
$node->restart;
waits_for(put(), 'version mismatch', $now);
gone();
sql("UPDATE pg_extension SET extversion = '1.0' WHERE extname = 'line_notify'");
$node->restart;
sql("INSERT INTO line_notify.outbox (id, channel, recipient, template_key, expires_at, state, due_at, home, created_at, reference)
	SELECT 900000, 'gone', repeat('a', 64), 't', '2100-01-01', 'queued', now(), c.home, now(), 'orphan' FROM line_notify.channel c");
waits_for('orphan', 'no such channel', $now);
like(sql("SELECT reason FROM line_notify.health() WHERE subject = 'channel gone'"), qr/does not exist/, 'health() names it');
is(sql("SELECT cancelled FROM line_notify.cancel(ids => '{900000}')"), 1, 'and it can be ended');

# ---- after a promotion ---------------------------------------------------
sql("SELECT line_notify.pause('shop')");
my $old = put();
sql("UPDATE line_notify.identity SET in_doubt_before = now(), in_doubt_until = now() + interval '1 hour'");
waits_for($old, 'channel paused', "u = (SELECT in_doubt_until FROM line_notify.identity)");
sql("SELECT line_notify.resume('shop')");
waits_for($old, 'in doubt after a promotion', "u = (SELECT in_doubt_until FROM line_notify.identity)");
ok($node->poll_query_until('postgres', "SELECT bool_or(subject = 'promotion') FROM line_notify.health()"), 'health() says so');
gone();
sql("UPDATE line_notify.identity SET in_doubt_before = NULL, in_doubt_until = NULL");

# ---- a standby -----------------------------------------------------------
my $standby = $node->standby('standby', 'line_notify.max_in_flight' => 7);
my $ref = put(set => { send_after => "now() + interval '1 hour'" });
$node->wait_for_catchup($standby);
waits_for($ref, 'standby', "u = due_at", $standby);
for my $view (qw(notifications batches attempts stats workers channels daily_totals reconciliation consumers operations backlog webhook_lag))
{
	is($standby->psql('postgres', "SELECT * FROM line_notify.$view"), 0, "$view can be read on a standby");
}
like($standby->safe_psql('postgres', 'SELECT reason FROM line_notify.health()'), qr/standby: it sends nothing/, 'health() too');
isnt($standby->psql('postgres', "SELECT line_notify.cancel(from_time => '-infinity')"), 0, 'verbs are for the primary');
$standby->append_conf('postgresql.conf', "line_notify.node = 'elsewhere'");
$standby->reload;
waits_for($ref, 'disarmed', 'u = due_at', $standby);
like($standby->safe_psql('postgres', "SELECT hint FROM line_notify.health() WHERE reason LIKE 'disarmed%'"), qr/After promotion it would send nothing/, 'health() on a standby says what will be');
$standby->stop;
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->restart;
waits_for($ref, 'not due yet', 'u = due_at');
waits_for(put(), 'not preloaded', $now);

$node->stop;
$sim->stop;
done_testing();
