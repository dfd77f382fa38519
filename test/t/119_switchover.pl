# A planned switchover without synchronous replication leaves nothing in doubt:
# the old primary has said in its last words that nothing is on the wire.  And the
# traps: the old primary was restarted, and sent, and the standby that is promoted
# does not know.  TAP: two servers, and a cut between them.

use strict;
use warnings;

use Test::More;
use PostgreSQL::Test::Utils;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
$sim->config(latency => 0.01);
my ($primary, $standby);
my $round = 0;

# A primary whose rate limit leaves most of 600 messages waiting, and a standby.
sub pair
{
	my (%opt) = @_;
	$round++;
	$sim->reset;
	$sim->config(latency => 0.01);
	$primary = LineNotify::Node->new("p$round", init => [ allows_streaming => 1 ],
		'line_notify.promotion_grace' => $opt{grace} // '10min', %{ $opt{conf} // {} });
	$primary->install('postgres', $sim, channel => 'rate_limit => 20');
	$primary->safe_psql('postgres', "SELECT pg_create_physical_replication_slot('its_slot')") if $opt{slot};
	$standby = $primary->standby("s$round", wal_retrieve_retry_interval => '100ms', $opt{slot} ? (primary_slot_name => 'its_slot') : ());
	$primary->insert('postgres', $opt{messages} // 600);
	$sim->wait_requests(20) or die 'nothing is sent';
	return;
}

# The standby hears no more.
sub cut
{
	$standby->safe_psql('postgres', "ALTER SYSTEM SET primary_conninfo = ''");
	$standby->reload;
	$standby->poll_query_until('postgres', 'SELECT count(*) = 0 FROM pg_stat_wal_receiver') or die;
	return;
}

# The new primary sends the rest; what became of all?
sub rest
{
	$standby->promote if $standby->safe_psql('postgres', 'SELECT pg_is_in_recovery()') eq 't';
	$standby->safe_psql('postgres', "SELECT line_notify.alter_channel('shop', rate_limit => 2000)");
	return if !$standby->poll_query_until('postgres', q{SELECT count(*) = 0 FROM line_notify.outbox});
	return $standby->states('postgres');
}

sub over
{
	my ($what) = @_;
	is($sim->summary->{messages}{received_twice}, 0, "$what: nothing twice");
	unlike(slurp_file($_->logfile), qr/(PANIC|TRAP|was terminated by signal)/, "$what: no crash in the log") for $standby, $primary;
	$standby->stop;
	return;
}

# ---- switchover: fast and smart shutdown, by application name and by slot
for my $case ([ 'fast', 0 ], [ 'fast', 1 ], [ 'smart', 0 ])
{
	my ($mode, $slot) = @$case;
	my $what = "$mode shutdown, " . ($slot ? 'slot' : 'application name');
	pair(slot => $slot);
	$primary->stop($mode);
	is_deeply(rest(), { accepted => 600 }, "$what: all of it is sent, nothing is unknown");
	is($standby->safe_psql('postgres', "SELECT count(*) FROM line_notify.identity WHERE handover IS NOT NULL OR in_doubt_before IS NOT NULL"), 0, "$what: and no note is left");
	over($what);
}

# ---- what waits is paused, and the worker has had nothing to do for long
pair(conf => { 'line_notify.idle_timeout' => '1s' });
$primary->safe_psql('postgres', "SELECT line_notify.pause('shop')");
my $activity = "FROM pg_stat_activity WHERE backend_type = 'line_notify worker'";
my $since = $primary->safe_psql('postgres', 'SELECT clock_timestamp()');
# it has left, or has looked twice whether it may
$primary->poll_query_until('postgres', "SELECT count(*) = 0 OR max(state_change) > timestamptz '$since' + interval '2 seconds' $activity") or die;
is($primary->safe_psql('postgres', "SELECT count(*) $activity"), 1, 'paused: the worker stays');
$primary->stop;
$standby->promote;
$standby->safe_psql('postgres', "SELECT line_notify.resume('shop')");
is_deeply(rest(), { accepted => 600 }, 'paused: all of it is sent, nothing is unknown');
over('paused');

# ---- a crash hands nothing over
pair(grace => '2s');
$primary->stop('immediate');
my $states = rest();
cmp_ok($states->{unknown} // 0, '>', 200, 'kill: what was due is in doubt');
over('kill');

# ---- the standby was cut off before the shutdown: it has no note
pair(grace => '2s');
cut();
$primary->stop;
$states = rest();
cmp_ok($states->{unknown} // 0, '>', 200, 'cut off before: in doubt');
over('cut off before');

# ---- the trap: clean restart, cut off, send, kill, promote
pair();
$primary->stop;
cut();
my $before = $sim->summary->{requests};
$primary->start;
$primary->worker_pid('postgres');
ok($primary->poll_query_until('postgres', "SELECT count(*) = 1 FROM line_notify.health() WHERE subject = 'promotion' AND reason LIKE '%is taken back%'"),
	'restarted: health() says for whom it waits');
# the standby is gone for good: after the time it goes on
for ($primary, $standby)
{
	$_->append_conf('postgresql.conf', "line_notify.promotion_grace = '2s'");
	$_->reload;
}
ok($sim->wait_requests($before + 20), 'restarted: and after the time it sends');
$primary->stop('immediate');
$states = rest();
cmp_ok($states->{unknown} // 0, '>', 200, 'promoted too late to believe the note: in doubt');
over('the trap');

# ---- the same, and the standby is promoted while the restarted one waits
pair();
$primary->stop;
cut();
$before = $sim->summary->{requests};
$primary->start;
$primary->poll_query_until('postgres', "SELECT handover = 'taking' AND handover_lsn IS NOT NULL FROM line_notify.identity") or die;
$primary->insert('postgres', 5, first => 1001);
# the worker looks again several times
my $looked = "FROM pg_stat_activity WHERE backend_type = 'line_notify worker'";
for (1 .. 3)
{
	my $seen = $primary->safe_psql('postgres', "SELECT state_change $looked");
	$primary->poll_query_until('postgres', "SELECT state_change > '$seen' AND state = 'idle' $looked") or die 'the worker does not look';
}
is($sim->summary->{requests}, $before, 'waiting: nothing is sent, what is new neither');
$primary->stop('immediate');
is_deeply(rest(), { accepted => 600 }, 'promoted meanwhile: it believes the note, and may');
over('promoted meanwhile');

# ---- the standby came back after the restart, and knows
pair();
$primary->stop;
$before = $sim->summary->{requests};
$primary->start;
ok($sim->wait_requests($before + 20), 'a restart with its standby: goes on when that knows');
is($primary->safe_psql('postgres', 'SELECT count(*) FROM line_notify.identity WHERE handover IS NOT NULL'), 0, 'and the note is taken back');
cut();
$sim->wait_requests($sim->summary->{requests} + 10) or die;
$primary->stop('immediate');
$standby->append_conf('postgresql.conf', 'line_notify.promotion_grace = 2s');
$standby->reload;
$states = rest();
cmp_ok($states->{unknown} // 0, '>', 200, 'then a failover is as any other: in doubt');
over('restarted with its standby');

# ---- two standbys, and the other one never follows the one that is promoted
pair();
my $sibling = $primary->standby('sibling');
$primary->stop;
$standby->promote;
ok($standby->poll_query_until('postgres', "SELECT count(*) = 1 FROM line_notify.health() WHERE reason LIKE 'nothing is sent until application sibling have on disk%'"),
	'two standbys: the promoted one waits for the other, and health() says so');
$sibling->stop;
is($standby->safe_psql('postgres', 'SELECT count(*) FROM line_notify.in_flight'), 0, 'two standbys: nothing is claimed meanwhile');
# time passes
$standby->safe_psql('postgres', "ALTER SYSTEM SET line_notify.promotion_grace = '1s'");
$standby->reload;
is_deeply(rest(), { accepted => 600 }, 'two standbys: it goes on when the time is over, and nothing is unknown');
over('two standbys');

# ---- a standby of the standby that is called the same has the note, and is not asked
pair(messages => 3000);
my $second = $standby->standby('second', wal_retrieve_retry_interval => '100ms');
sub follow
{
	my ($who, $from, $name) = @_;
	(my $connstr = $from->connstr) =~ s{'}{''}g;
	$who->safe_psql('postgres', "ALTER SYSTEM SET primary_conninfo = '$connstr application_name=$name'");
	$who->reload;
	$from->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_replication WHERE application_name = '$name' AND state = 'streaming' AND replay_lsn IS NOT NULL") or die;
	return;
}
follow($standby, $primary, 'walreceiver');
follow($second, $standby, 'walreceiver');
like($primary->health('postgres', "reason LIKE '%no name of its own%'"),
	qr/application walreceiver has no name.*primary_slot_name/, 'a name that all have: health() says what to do');
$primary->stop;
$second->poll_query_until('postgres', 'SELECT pg_last_wal_replay_lsn() >= ' . "'" . $standby->safe_psql('postgres', 'SELECT pg_last_wal_receive_lsn()') . "'") or die;
# it hears no more, under the same name
$second->safe_psql('postgres', "ALTER SYSTEM SET primary_conninfo = 'host=/nonexistent application_name=walreceiver'");
$second->reload;
$second->poll_query_until('postgres', 'SELECT count(*) = 0 FROM pg_stat_wal_receiver') or die;
$before = $sim->summary->{requests};
$primary->start;
ok($sim->wait_requests($before + 20), 'a name that all have: the primary goes on after its restart');
$primary->stop('immediate');
$standby->stop;
$standby = $second;
$standby->promote;
ok($standby->poll_query_until('postgres', 'SELECT in_doubt_before IS NOT NULL FROM line_notify.identity'), 'a name that all have: in doubt');
$standby->safe_psql('postgres', 'UPDATE line_notify.identity SET in_doubt_until = clock_timestamp()');
$states = rest();
cmp_ok($states->{unknown} // 0, '>', 0, 'a name that all have: and unknown');
over('a name that all have');

# ---- a restart of the worker alone
pair();
$before = $sim->summary->{requests};
my $pid = $primary->worker_pid('postgres');
$primary->safe_psql('postgres', "SELECT pg_terminate_backend($pid, 60000)");
ok($sim->wait_requests($before + 20), 'a worker that was terminated: its successor takes the note back and goes on');
$primary->safe_psql('postgres', "SELECT line_notify.alter_channel('shop', rate_limit => 2000)");
ok($primary->poll_query_until('postgres', q{SELECT count(*) = 0 FROM line_notify.outbox}), 'to the end');
is($sim->summary->{messages}{received_twice}, 0, 'once');

# ---- nobody says that nothing is on the wire over a lease, which may be another claimer's
for my $case ([ 'no lease', 'given' ], [ 'a lease', 'none' ])
{
	my ($what, $note) = @$case;
	is($primary->safe_psql('postgres', qq{BEGIN;
		INSERT INTO line_notify.in_flight (id, token, claimer, attempt, claimed_at, home) SELECT 1, 1, 1, 1, now(), home FROM line_notify.identity WHERE '$what' = 'a lease';
		SELECT line_notify._hand_over(home) FROM line_notify.identity;
		SELECT coalesce(handover, 'none') FROM line_notify.identity; ROLLBACK}), "\n$note", "$what: the note is $note");
}

# ---- an attached standby does not know what it has not on disk yet
for my $case ([ '0/1', 't' ], [ 'FFFFFFFF/0', 'f' ])
{
	my ($lsn, $done) = @$case;
	is($primary->safe_psql('postgres', qq{BEGIN;
		UPDATE line_notify.identity SET handover = 'taking', handover_at = clock_timestamp(), handover_to = ARRAY(SELECT line_notify._named_standbys()), handover_lsn = '$lsn';
		SELECT cardinality(handover_to), line_notify._take_back(home, '1 hour') FROM line_notify.identity; ROLLBACK}), "1|$done", "a note at $lsn: taken back $done");
}
$standby->stop;
$primary->stop;
$sim->stop;
done_testing();
