# What a channel or message may say about when, how often and to whom:
# dedup_key, quiet hours, daily budget, allow-list, attempt limit, settle window.
# TAP: each is decided by the worker, with the clock.

use strict;
use warnings;

use Test::More;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main');
$node->install('postgres', $sim, channel => "backoff_base => '20 ms', backoff_cap => '40 ms'");
my $first = 1;

sub sql { return $node->safe_psql('postgres', shift); }
sub channel { return sql("SELECT line_notify.alter_channel('shop', $_[0])"); }
sub waits { my ($query, $name, $want) = @_; return ok($node->poll_query_until('postgres', $query, $want // 't'), $name); }

# ---- dedup_key: freed by what was not sent -------------------------------
for my $case ([ 200, 'accepted', 0 ], [ 422, 'unreachable', 0 ], [ 500, 'unknown', 0 ], [ 400, 'refused', 1 ])
{
	my ($status, $state, $free) = @$case;
	$sim->script_only({ match => { path => 'send' }, answer => $status, times => 1 });
	$node->insert('postgres', 1, first => $first, set => { dedup_key => "'key $status'" });
	waits("SELECT state = '$state' FROM line_notify.notifications WHERE reference = 'ref $first'", "$status: $state");
	$node->insert('postgres', 1, first => ++$first, set => { dedup_key => "'key $status'" });
	is(sql("SELECT count(*) FROM line_notify.notifications WHERE reference = 'ref $first'"), $free,
		$free ? 'its key is free' : 'its key stays taken');
	$first++;
}
waits('SELECT count(*) = 0 FROM line_notify.outbox', 'and the second one is sent');
sql("SELECT line_notify.pause('shop')");
$node->insert('postgres', 1, first => $first, set => { dedup_key => "'expires'", expires_at => "clock_timestamp() + interval '300 ms'" });
waits("SELECT count(*) = 0 FROM line_notify.dedup WHERE dedup_key = 'expires'", 'expired: the key is free');
is(sql("SELECT state FROM line_notify.notifications WHERE dedup_key = 'expires'"), 'expired', 'as it should be');
like(sql("SELECT error FROM line_notify.notifications WHERE dedup_key = 'expires'"), qr/^its time was over after 00:0\d:\d\d, waiting for: channel paused$/, 'and says what it waited for');
$first++;
my @copy = map { "09012345678\tparcel_delivery\tshipment_completed_ja\t{}\tcopy\n" } 1 .. 50;
$node->psql('postgres', "COPY line_notify.outbox (phone, use_case, template_key, body, dedup_key) FROM STDIN;\n" . join('', @copy) . "\\.\n");
is(sql("SELECT count(*) FROM line_notify.outbox WHERE dedup_key = 'copy'"), 1, 'COPY of fifty with one key: one');
is(sql("SELECT line_notify._finish(ARRAY(SELECT id FROM line_notify.outbox), 'cancelled', 'test')"), 1, 'cancelled');
sql("SELECT line_notify.resume('shop')");

# ---- quiet hours ---------------------------------------------------------
my $day = sql("SELECT to_char(now() AT TIME ZONE 'Asia/Tokyo' - interval '2 hours', 'HH24:MI') || '-' || to_char(now() AT TIME ZONE 'Asia/Tokyo' + interval '2 hours', 'HH24:MI')");
channel("quiet_hours => '$day'");
$sim->reset;
$node->insert('postgres', 3, first => $first);
waits("SELECT count(*) = 3 FROM line_notify.notifications WHERE waiting_reason = 'quiet hours'", 'quiet hours: they wait, and say so');
like(sql('SELECT reason FROM line_notify.health()'), qr/quiet hours until/, 'health() too');
is($sim->summary->{requests}, 0, 'nothing is sent');
channel("time_zone => 'America/New_York'");
waits('SELECT count(*) = 0 FROM line_notify.outbox', 'elsewhere it is day');
is($sim->summary->{requests}, 3, 'once each');
$first += 3;
channel("time_zone => 'Asia/Tokyo'");
# the end of the quiet hours wakes the worker by itself
my $soon = sql("SELECT to_char(now() AT TIME ZONE 'Asia/Tokyo' - interval '1 hour', 'HH24:MI') || '-' || to_char(now() AT TIME ZONE 'Asia/Tokyo' + interval '1 minute', 'HH24:MI')");
if ($ENV{LN_SLOW})
{
	channel("quiet_hours => '$soon'");
	$node->insert('postgres', 1, first => $first++);
	waits('SELECT count(*) = 0 FROM line_notify.outbox', 'sent when the night is over');
}
channel("quiet_hours => ''");
for my $bad ('21-8', '25:00-08:00', '08:00-08:00')
{
	isnt($node->psql('postgres', "SELECT line_notify.alter_channel('shop', quiet_hours => '$bad')"), 0, "quiet_hours $bad is refused");
}
isnt($node->psql('postgres', "SELECT line_notify.alter_channel('shop', time_zone => 'Asia/Edo')"), 0, 'an unknown time zone is refused');

# ---- daily budget --------------------------------------------------------
# where it is noon: the day does not end while we count
my $noon = sql(q{SELECT 'Etc/GMT' || to_char(extract(hour FROM now() AT TIME ZONE 'UTC') - 12, 'FMSG99')});
channel("time_zone => '$noon'");
is(sql('SELECT sum(sent) FROM line_notify.daily_sent'), sql("SELECT count(*) FROM line_notify.attempts WHERE outcome IN ('accepted', 'server_error', 'ambiguous')"),
	'what LINE may have accepted is counted');
my $sent = sql('SELECT sent_today FROM line_notify.channels');
channel('daily_budget => ' . ($sent + 20));
$sim->reset;
$node->insert('postgres', 50, first => $first);
waits("SELECT bool_or(reason LIKE '%daily budget of %used up') FROM line_notify.health()", 'the budget is used up: health() says so');
waits('SELECT count(*) = 30 FROM line_notify.outbox', 'the others wait');
is($sim->summary->{requests}, 20, 'exactly as many as allowed were sent');
$node->restart;
$node->insert('postgres', 1, first => $first + 50);
ok($node->worker_pid('postgres'), 'worker is back');
channel('daily_budget => ' . ($sent + 25));
waits('SELECT count(*) = 26 FROM line_notify.outbox', 'a restart forgets nothing; five more after it was raised');
is($sim->summary->{requests}, 25, 'and no more');
channel('daily_budget => 0');
waits('SELECT count(*) = 0 FROM line_notify.outbox', '0 takes the fuse out');
$first += 51;

# ---- allow-list ----------------------------------------------------------
$sim->reset;
sql("SELECT line_notify.pause('shop')");
$node->insert('postgres', 2, first => $first);
channel("only_recipients => ARRAY['090-1000-0001', line_notify.phone_hash('090-1000-0002')]");
is(sql('SELECT only_recipients FROM line_notify.channels'), 2, 'two people on the list');
$node->insert('postgres', 4, first => 1, set => { batch => "'staging'" });
sql("SELECT line_notify.resume('shop')");
waits('SELECT count(*) = 0 FROM line_notify.outbox', 'all came to an end');
is(sql("SELECT string_agg(state::text, ' ' ORDER BY id) FROM line_notify.notifications WHERE batch = 'staging'"),
	'accepted accepted suppressed suppressed', 'only those on the list got it');
is(sql("SELECT count(*) FROM line_notify.notifications WHERE state = 'suppressed' AND reference IN ('ref $first', 'ref " . ($first + 1) . "')"),
	2, 'also of those that waited when the list was made');
is($sim->summary->{requests}, 2, 'nobody else did');
isnt($node->psql('postgres', "SELECT line_notify.alter_channel('shop', only_recipients => '{12}')"), 0, 'an invalid number is refused');
channel("only_recipients => '{}'");

# ---- attempt limit, settle window ----------------------------------------
channel("max_attempts => 3, on_server_error => 'retry', settle_window => '50 ms'");
$sim->reset;
$sim->script_only({ match => { path => 'send' }, answer => 500, times => 3 });
$node->insert('postgres', 1, first => 70001);
waits("SELECT state = 'unknown' AND attempts = 3 FROM line_notify.notifications WHERE reference = 'ref 70001'",
	'three attempts, each may have arrived: unknown, not failed');
is($sim->summary->{requests}, 3, 'three requests');

# while it settles, a delivery event ends it: no second copy
channel("max_attempts => 0, on_unknown => 'retry', settle_window => '1 hour'");
$sim->reset;
$sim->script_only({ match => { path => 'send' }, do => ['close'], times => 1 });
$node->insert('postgres', 1, first => 70002);
waits("SELECT count(*) = 1 FROM line_notify.attempts a JOIN line_notify.notifications n USING (id) WHERE n.reference = 'ref 70002' AND a.outcome = 'ambiguous'",
	'one attempt, no answer');
my ($tag) = map { $_->{tag} } $sim->requests(path => 'send');
my $hook = $sim->emit([ { type => 'delivery', delivery => { data => $tag }, timestamp => time() * 1000,
	webhookEventId => '01J0000000000000000000000A' } ]);
sql(sprintf q{SELECT line_notify.receive_webhook('shop', '\x%s'::bytea, '%s')}, unpack('H*', $hook->[0]), $hook->[1]);
waits("SELECT state = 'delivered' FROM line_notify.notifications WHERE reference = 'ref 70002'", 'its delivery event settles it');
is($sim->summary->{requests}, 1, 'and it is not sent again');

$node->stop;
$sim->stop;
done_testing();
