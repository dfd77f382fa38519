# What one message wants otherwise than its channel: attempts, backoff, what
# becomes of 5xx and of silence; it counts before and after a crash, and for a
# second life.  A pause by use case stops both kinds of messages, and none leaves
# after it has expired.  TAP: the worker decides.

use strict;
use warnings;

use Test::More;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main', restart_after_crash => 'on');
$node->install('postgres', $sim, channel => "backoff_base => '20 ms', backoff_cap => '40 ms', total_timeout => '1 minute'");
my $n = 0;

sub sql { return $node->safe_psql('postgres', shift); }
sub waits { my ($query, $name) = @_; return ok($node->poll_query_until('postgres', $query), $name) || diag(sql('SELECT * FROM line_notify.notifications')); }

# one message, with a policy or none
sub put
{
	my ($policy) = @_;
	$node->insert('postgres', 1, first => ++$n, set => { policy => defined $policy ? "'$policy'" : 'NULL' });
	return $n;
}

sub becomes
{
	my ($which, $state, $attempts, $name) = @_;
	return waits("SELECT state = '$state' AND attempts = $attempts FROM line_notify.notifications WHERE reference = 'ref $which'", $name);
}

sub fails { $sim->reset; $sim->script_only({ match => { path => 'send' }, @_ }); return; }

# ---- 5xx -----------------------------------------------------------------
fails(answer => 500, times => 2);
becomes(put('{"on_server_error": "retry", "settle_window": "0"}'), 'accepted', 3, '5xx: retried, where the channel holds');
for my $then (400, 422)
{
	$sim->reset;
	$sim->script_only(map { { match => { path => 'send' }, times => 1, answer => $_ } } 500, $then);
	becomes(put('{"on_server_error": "retry", "settle_window": "0"}'), 'unknown', 2, "5xx, then $then: the first may have arrived");
}
fails(answer => 500, times => 1);
becomes(put(), 'unknown', 1, 'its neighbour is held');
sql("SELECT line_notify.alter_channel('shop', on_server_error => 'retry', on_unknown => 'retry', settle_window => '0')");
fails(answer => 500, times => 1);
becomes(put('{"on_server_error": "hold"}'), 'unknown', 1, 'held, where the channel retries');
fails(answer => 500, times => 2);
becomes(put('{"on_server_error": "retry", "max_attempts": 2}'), 'unknown', 2, 'two attempts');
fails(answer => 500, times => 2);
becomes(put('{"on_unknown": "hold"}'), 'accepted', 3, 'the other policies are the channel\'s');

# ---- no answer -----------------------------------------------------------
fails(do => ['close'], times => 1);
becomes(put('{"on_unknown": "hold"}'), 'unknown', 1, 'no answer: held, where the channel retries');
sql("SELECT line_notify.alter_channel('shop', on_server_error => 'hold', on_unknown => 'hold', max_attempts => 1)");
fails(do => ['close'], times => 1);
becomes(put('{"on_unknown": "retry", "max_attempts": 0}'), 'accepted', 2, 'retried without limit, where the channel has one');
sql("SELECT line_notify.alter_channel('shop', max_attempts => 0)");

# ---- nothing sent: attempts, backoff, a second life ----------------------
$sim->listen('off');
$sim->end_connections('reset');
my $two = put('{"max_attempts": 2}');
becomes($two, 'failed', 2, 'two attempts, then failed');
my $slow = put('{"backoff_base": "1 hour", "backoff_cap": "1 hour"}');
waits("SELECT waiting_reason = 'next attempt' AND attempts = 1 AND waiting_until > now() + interval '5 minutes' FROM line_notify.notifications WHERE reference = 'ref $slow'",
	'its own backoff: the channel\'s is 40 ms');
is(sql("SELECT * FROM line_notify.redrive(reference => 'ref $two')"), '1|0|0', 'queued again');
becomes($two, 'failed', 2, 'with its policy');
is(sql("SELECT policy FROM line_notify.notifications WHERE reference = 'ref $two'"), '{"max_attempts": 2}', 'which everybody sees');
sql("SELECT line_notify.cancel(reference => 'ref $slow')");
is(sql("SELECT policy ->> 'backoff_cap' FROM line_notify.notifications WHERE reference = 'ref $slow' AND state = 'cancelled'"), '1 hour', 'also of what was cancelled');
$sim->listen('on');
sql("SELECT line_notify.resume('shop')");

# ---- a crash while it is on the wire -------------------------------------
fails(do => ['stall'], times => 2);
my $held = put();
my $retried = put('{"on_unknown": "retry", "settle_window": "1 hour"}');
ok($sim->wait_requests(2, 30), 'two are on the wire');
my $pid = $node->worker_pid('postgres');
kill 'KILL', $pid;
becomes($held, 'unknown', 1, 'the worker was killed: not known whether it was sent');
waits("SELECT waiting_reason = 'next attempt' AND attempts = 1 AND waiting_until > now() + interval '50 minutes' FROM line_notify.notifications WHERE reference = 'ref $retried'",
	'the other is sent again, after its settle_window');
sql("SELECT line_notify.cancel(reference => 'ref $retried')");
becomes($retried, 'unknown', 1, 'cancelled meanwhile: perhaps it was sent');

# ---- a pause by use case -------------------------------------------------
$sim->reset;
sub kinds
{
	sql(q{INSERT INTO line_notify.outbox (phone, use_case, template_key, messages, reference)
SELECT '09012345678', u::line_notify.use_case, CASE k WHEN 1 THEN 'tmpl' END, CASE k WHEN 2 THEN '[{"type": "text", "text": "x"}]'::jsonb END, $1 || u || k
FROM unnest(ARRAY['reminder', 'reservation']) u, generate_series(1, 2) k} =~ s/\$1/'$_[0]'/r);
	return;
}
is(sql("SELECT line_notify.pause('shop', 'wrong texts', use_case => 'reminder')"), 1, 'a use case is paused');
kinds('a ');
waits("SELECT count(*) = 2 FROM line_notify.notifications WHERE reference LIKE 'a reservation%' AND state = 'accepted'", 'the others are sent');
is(sql("SELECT string_agg(DISTINCT waiting_reason, ',') || count(*) FROM line_notify.notifications WHERE reference LIKE 'a reminder%'"),
	'use case paused2', 'template and flexible message of it wait, and say why');
like(sql("SELECT reason FROM line_notify.health() WHERE severity = 'error'"), qr/^paused messages of use case reminder: wrong texts/, 'health() names it');
like(sql('SELECT pause_reason FROM line_notify.channels'), qr/^messages of use case reminder: wrong texts/, 'view channels too');
is($sim->summary->{requests}, 2, 'LINE saw two');
is(sql("SELECT line_notify.resume('shop', use_case => 'reminder')"), 1, 'resumed');
waits('SELECT count(*) = 0 FROM line_notify.outbox', 'all are sent');
is($sim->summary->{requests}, 4, 'once each');

# ---- a message that has been claimed can still expire --------------------
# LINE is slow, so most of them wait their turn in the worker's hands
$sim->reset;
$sim->config(latency => 1.9);
$node->insert('postgres', 60, first => 5000, set => { batch => "'stale'", expires_at => "clock_timestamp() + interval '1 second'" });
waits("SELECT count(*) = 0 FROM line_notify.notifications WHERE batch = 'stale' AND state IN ('queued', 'sending')", 'all have ended');
is(sql("SELECT count(*) FROM line_notify.notifications WHERE batch = 'stale' AND state NOT IN ('accepted', 'expired')"), '0', 'sent in time or expired');
cmp_ok(sql("SELECT count(*) FROM line_notify.notifications WHERE batch = 'stale' AND state = 'expired'"), '>', 0, 'not all were in time');
is(sql("SELECT count(*) FROM line_notify.notifications WHERE batch = 'stale' AND state = 'accepted' AND sent_at > expires_at"), '0', 'no stale notice left');
is($sim->summary->{requests}, sql("SELECT count(*) FROM line_notify.notifications WHERE batch = 'stale' AND state = 'accepted'"),
	'LINE saw none that expired');
$sim->config(latency => 0);

$node->stop;
$sim->stop;
done_testing();
