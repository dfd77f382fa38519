# The day of a batch: thousands of notices are queued with a spread, held back,
# rescheduled in part, cancelled in part, expire in part; the rest is sent, two
# consumers take the outcomes for their fallbacks in several sessions at once,
# the cancelled ones are redriven after all, delivery events come in.  At every
# step the counts add up, and the simulator saw each message once.  TAP, because
# everything runs together here.
#
# LN_BATCH=300000 for the whole day.

use strict;
use warnings;

use IPC::Run;
use Test::More;
use PostgreSQL::Test::Utils;
use LineNotify::Sim;
use LineNotify::Node;

my $n = $ENV{LN_BATCH} // 1500;
my $part = int($n / 10);
my $soon = 1 + int($n / 10000) . ' seconds';	# longer than reschedule() takes
my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main');
$node->install('postgres', $sim, channel => "rate_limit => 2000, default_ttl => '4 hours'");
$node->safe_psql('postgres', q{
CREATE TABLE sms (reference text, state text, taker text);
CREATE TABLE mail (reference text, state text);
CREATE TABLE closing ();
SELECT line_notify.set_consumer('mail', 'shop', outcomes => '{delivered,unreachable,expired,undelivered,unconfirmed,invalid,refused,failed,unknown}');
SELECT line_notify.pause('shop', 'before nine');
});

# every 50th cannot be reached
$sim->set_recipients(map { sprintf('+8190%04d%04d', 1000 + $_ / 10000, $_ % 10000) => 'unreachable' } grep { $_ % 50 == 0 } 1 .. $n);

sub counts
{
	return $node->safe_psql('postgres',
		"SELECT total, queued, sending, accepted, delivered, unreachable, unknown, cancelled, expired FROM line_notify.batches WHERE batch = 'day'");
}

sub ids
{
	my ($first, $last) = @_;
	return "ARRAY(SELECT id FROM line_notify.notifications WHERE batch = 'day' AND split_part(reference, ' ', 2)::integer BETWEEN $first AND $last)";
}

# ---- nine: queued, and held back
$node->insert('postgres', $n, set => { batch => "'day'", spread => "'2 seconds'" });
is(counts(), "$n|$n|0|0|0|0|0|0|0", 'all are queued');
is($node->safe_psql('postgres', "SELECT waiting_reason, count(*) FROM line_notify.notifications WHERE batch = 'day' GROUP BY 1"),
	"channel paused|$n", 'and say why they wait');

# ---- a part for the afternoon, a part not at all, a part only until noon
is($node->safe_psql('postgres', "SELECT * FROM line_notify.reschedule(ids => @{[ ids(1, $part) ]}, send_after => now() + '1 hour')"),
	"$part|0|0", 'a tenth is for later');
is($node->safe_psql('postgres', "SELECT * FROM line_notify.cancel(ids => @{[ ids($part + 1, 2 * $part) ]}, dry_run => true)"),
	"$part|0|0", 'a dry run counts');
is(counts(), "$n|$n|0|0|0|0|0|0|0", 'and changes nothing');
is($node->safe_psql('postgres', "SELECT * FROM line_notify.cancel(ids => @{[ ids($part + 1, 2 * $part) ]}, reason => 'wrong price')"),
	"$part|0|0", 'a tenth is cancelled');
is($node->safe_psql('postgres', "SELECT * FROM line_notify.reschedule(ids => @{[ ids(2 * $part + 1, 3 * $part) ]}, send_after => now(), spread => '0', expires_at => clock_timestamp() + '$soon')"),
	"$part|0|0", 'a tenth is stale soon');
$node->poll_query_until('postgres', "SELECT expired = $part FROM line_notify.batches WHERE batch = 'day'")
  or die 'not expired';
is(counts(), join('|', $n, $n - 2 * $part, 0, 0, 0, 0, 0, $part, $part), 'noon: the stale ones expired although the channel is paused');
is(scalar($sim->requests), 0, 'and nothing was sent');

# ---- go
my $unreachable = grep { $_ % 50 == 0 } 3 * $part + 1 .. $n;
my $sent = $n - 3 * $part;
$node->safe_psql('postgres', "SELECT line_notify.resume('shop')");

# the takers work while messages are sent
my @takers;
my $done = sub { $node->safe_psql('postgres', "SELECT queued + sending FROM line_notify.batches WHERE batch = 'day'") == $part };
my $loop = <<'SQL';
DO $$
DECLARE
	closing boolean;
BEGIN
	LOOP
		closing := EXISTS (SELECT FROM public.closing);
		COMMIT;
		INSERT INTO sms SELECT reference, state, 'TAKER' FROM line_notify.take_outcomes(37);
		IF NOT FOUND THEN
			EXIT WHEN closing;
			PERFORM pg_sleep(0.01);
		END IF;
		COMMIT;
	END LOOP;
END
$$;
SQL
for my $taker (1 .. 2)
{
	my $sql = $loop =~ s/TAKER/$taker/r;
	push @takers, IPC::Run::start([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-c', $sql ]);
}
$node->poll_query_until('postgres', "SELECT queued + sending = $part FROM line_notify.batches WHERE batch = 'day'") or die counts();
is(counts(), join('|', $n, $part, 0, $sent - $unreachable, 0, $unreachable, 0, $part, $part), 'the rest is sent');
is($node->safe_psql('postgres', "SELECT rate > 0, eta > now() + '50 minutes' FROM line_notify.batches WHERE batch = 'day'"),
	't|t', 'with a rate, and an ETA for those of the afternoon');
$node->safe_psql('postgres', 'INSERT INTO closing DEFAULT VALUES');
$_->finish or die 'a taker failed' for @takers;
is($node->safe_psql('postgres', 'SELECT state, count(*), count(DISTINCT reference) FROM sms GROUP BY 1 ORDER BY 1'),
	join("\n", join('|', 'expired', $part, $part), join('|', 'unreachable', $unreachable, $unreachable)),
	'the fallback got every outcome once, from two sessions');

# ---- the cancelled ones after all
is($node->safe_psql('postgres', "SELECT * FROM line_notify.redrive(batch => 'day', state => 'cancelled')"),
	"$part|0|0", 'redriven');
my $more = grep { $_ % 50 == 0 } $part + 1 .. 2 * $part;
$node->poll_query_until('postgres', "SELECT queued + sending = $part FROM line_notify.batches WHERE batch = 'day'") or die counts();
is(counts(), join('|', $n, $part, 0, $sent - $unreachable + $part - $more, 0, $unreachable + $more, 0, 0, $part), 'and sent');

# ---- in the evening
$node->deliver_webhooks('postgres', $sim);
$node->poll_query_until('postgres', "SELECT accepted = 0 FROM line_notify.batches WHERE batch = 'day'") or die counts();
my $delivered = $sent - $unreachable + $part - $more;
is(counts(), join('|', $n, $part, 0, 0, $delivered, $unreachable + $more, 0, 0, $part), 'all delivered');
$node->safe_psql('postgres', "INSERT INTO mail SELECT reference, state FROM line_notify.take_outcomes(1000000, consumer => 'mail')");
is($node->safe_psql('postgres', 'SELECT state, count(*), count(DISTINCT reference) FROM mail GROUP BY 1 ORDER BY 1'),
	join("\n",
		join('|', 'delivered', $delivered, $delivered),
		join('|', 'expired', $part, $part),
		join('|', 'unreachable', $unreachable + $more, $unreachable + $more)),
	'the other consumer got its own, deliveries included');
is($node->safe_psql('postgres', "SELECT * FROM line_notify.cancel(batch => 'day')"), "$part|0|0", 'the afternoon is called off');
is($sim->summary->{messages}{accepted_twice}, 0, 'the simulator accepted nothing twice');
is(scalar(my @all = $sim->requests), $sent + $part, 'and saw one request for each');
is($node->safe_psql('postgres', 'SELECT function, dry_run, sum(count) FROM line_notify.operations GROUP BY 1, 2 ORDER BY 1, 2'),
	join("\n", 'cancel|f|' . 2 * $part, "cancel|t|$part", 'pause|f|1', "redrive|f|$part", 'reschedule|f|' . 2 * $part, 'resume|f|1', 'set_consumer|f|0'),
	'operations has it all');

$sim->stop;
$node->stop;
done_testing();
