# Asynchronous replication: what was freed, and sent, in the last moments of the
# old primary, of which the standby that is promoted has not heard.  Messages that
# were blocked behind others are in doubt there as those that were due; what an
# operator frees waits until the standbys know; nothing moves a message out of the
# doubt.  TAP: two servers, and a standby that hears no more.

use strict;
use warnings;

use Test::More;
use PostgreSQL::Test::Utils;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my ($primary, $standby);
my $round = 0;

sub pair
{
	my (%opt) = @_;
	$round++;
	$sim->reset;
	$sim->config(latency => 0.01);
	$primary = LineNotify::Node->new("p$round", init => [ allows_streaming => 1 ],
		'line_notify.promotion_grace' => $opt{grace} // '10min');
	$primary->install('postgres', $sim);
	$primary->safe_psql('postgres', "SELECT pg_create_physical_replication_slot('its_slot', true)") if $opt{slot};
	$standby = $primary->standby("s$round", $opt{slot} ? (primary_slot_name => 'its_slot') : ());
	return;
}

# The standby hears no more, and is seen to be gone.
sub cut
{
	$primary->wait_for_catchup($standby);
	$standby->safe_psql('postgres', "ALTER SYSTEM SET primary_conninfo = ''");
	$standby->reload;
	$primary->poll_query_until('postgres', 'SELECT count(*) = 0 FROM pg_stat_replication') or die;
	return;
}

# The standby is attached, and does not hear.
sub freeze
{
	$primary->wait_for_catchup($standby);
	kill 'STOP', $standby->safe_psql('postgres', 'SELECT pid FROM pg_stat_wal_receiver') or die;
	return;
}

sub waits_for
{
	my ($ref, $reason, $name) = @_;
	ok($primary->poll_query_until('postgres', "SELECT waiting_reason = '$reason' FROM line_notify.notifications WHERE reference = '$ref'"), $name);
	return;
}

# The old primary dies, and what the standby has not heard with it.
sub promote
{
	my (%conf) = @_;
	$primary->stop('immediate');
	$standby->stop('immediate');
	$standby->append_conf('postgresql.conf', "primary_conninfo = ''");
	$standby->append_conf('postgresql.conf', "$_ = $conf{$_}") for keys %conf;
	$standby->start;
	$standby->promote;
	return;
}

sub over
{
	my ($what, $states) = @_;
	ok($standby->poll_query_until('postgres', 'SELECT count(*) = 0 FROM line_notify.outbox'), "$what: all has ended");
	is_deeply($standby->states('postgres'), $states, "$what: states");
	is($sim->summary->{messages}{received_twice}, 0, "$what: nothing twice");
	unlike(slurp_file($_->logfile), qr/(PANIC|TRAP|was terminated by signal)/, "$what: no crash in the log") for $standby, $primary;
	$standby->stop;
	return;
}

# ---- freed by the end of the message before it
pair();
$sim->script({ match => { path => 'send' }, do => [ 'hold', 'answer' ] });
$primary->insert('postgres', 2, set => { order_key => "'k'" });
$primary->insert('postgres', 1, first => 11, set => { send_after => "now() + interval '1 hour'" });
$primary->poll_query_until('postgres', "SELECT count(*) = 1 FROM line_notify.outbox WHERE due_at = 'infinity'") or die 'not blocked';
$sim->wait_requests(1) or die;
cut();
$sim->clear_script;
ok($primary->poll_query_until('postgres', "SELECT count(*) = 2 FROM line_notify.notifications WHERE state = 'accepted'"), 'order_key: the second is sent when the first has ended');
promote();
ok($standby->poll_query_until('postgres', "SELECT count(*) = 1 FROM line_notify.notifications WHERE waiting_reason = 'in doubt after a promotion'"),
	'order_key: what was behind it is in doubt');
# time passes
$standby->safe_psql('postgres', 'UPDATE line_notify.identity SET in_doubt_until = clock_timestamp()');
$standby->poll_query_until('postgres', "SELECT count(*) = 2 FROM line_notify.notifications WHERE state = 'unknown'") or die;
is($standby->safe_psql('postgres', "SELECT string_agg(reference, ' ') FROM line_notify.outbox"), 'ref 11', 'order_key: what is due later is not');
# their events come late
$standby->deliver_webhooks('postgres', $sim);
ok($standby->poll_query_until('postgres', "SELECT string_agg(reference, ' ' ORDER BY id) = 'ref 1 ref 2' FROM line_notify.notifications WHERE state = 'delivered'"),
	'a delivery event that comes after the doubt has ended is believed');
$standby->safe_psql('postgres', "SELECT line_notify.cancel(reference => 'ref 11')");
over('order_key', { cancelled => 1, delivered => 2 });

# ---- freed by an operator, while the standby is attached and does not hear, or is
# away and has left its slot
for my $away (0, 1)
{
	my $what = $away ? 'away' : 'deaf';
	pair(slot => $away);
	$primary->safe_psql('postgres', "SELECT line_notify.pause('shop', template_key => 'shipment_completed_ja')");
	$primary->insert('postgres', 1, first => 1);
	$primary->safe_psql('postgres', q{INSERT INTO line_notify.outbox (phone, use_case, messages, reference, send_after)
		VALUES ('09012345678', 'parcel_delivery', '[{"type": "text", "text": "x"}]', 'ref 2', now() + interval '1 hour')});
	$primary->poll_query_until('postgres', "SELECT count(*) = 1 FROM line_notify.outbox WHERE due_at = 'infinity'") or die 'not blocked';
	$away ? cut() : freeze();
	$primary->safe_psql('postgres', "SELECT line_notify.resume('shop', template_key => 'shipment_completed_ja')");
	waits_for('ref 1', 'not known to standbys yet', "$what: resume() waits until the standby knows");
	is($primary->safe_psql('postgres', "SELECT rescheduled FROM line_notify.reschedule(reference => 'ref 2', send_after => now())"), 1, "$what: reschedule()");
	waits_for('ref 2', 'not known to standbys yet', "$what: reschedule() waits until the standby knows");
	$primary->insert('postgres', 1, first => 3);
	ok($primary->poll_query_until('postgres', "SELECT state = 'accepted' FROM line_notify.notifications WHERE reference = 'ref 3'"), "$what: what is new does not wait");
	is($sim->summary->{requests}, 1, "$what: and nothing else is sent");
	like($primary->health('postgres', "subject = 'promotion'"),
		$away ? qr/by hand.*until slot its_slot have/ : qr/by hand.*until application s$round have/, "$what: health() says for whom it waits");
	promote();
	# the standby takes them for blocked, rightly; the operator does it again
	$standby->poll_query_until('postgres', "SELECT count(*) = 1 FROM line_notify.notifications WHERE waiting_reason = 'template paused'") or die;
	$standby->safe_psql('postgres', "SELECT line_notify.resume('shop', template_key => 'shipment_completed_ja'); SELECT line_notify.reschedule(reference => 'ref 2', send_after => now())");
	over($what, { accepted => 2 });

	# it never comes back: until the time is over
	pair(grace => '2s', slot => $away);
	$primary->insert('postgres', 1, set => { send_after => "now() + interval '1 hour'" });
	$away ? cut() : freeze();
	$primary->safe_psql('postgres', "SELECT line_notify.reschedule(reference => 'ref 1', send_after => now())");
	ok($primary->wait_states('postgres', accepted => 1), "$what for good: it goes when promotion_grace is over");
	is($primary->health('postgres', "subject = 'promotion'"), '', "$what for good: and health() is content");
	$standby->stop('immediate');
	$primary->stop;
}

# ---- the same with a standby that hears, and with none
pair();
for my $with ('a standby', 'no standby')
{
	my $first = $with eq 'a standby' ? 1 : 11;
	cut() if $first == 11;
	$primary->insert('postgres', 2, first => $first, set => { send_after => "now() + interval '1 hour'" });
	$primary->safe_psql('postgres', "SELECT line_notify.reschedule(reference => 'ref $_', send_after => now()) FROM generate_series(1, 1)") for $first, $first + 1;
	ok($primary->wait_states('postgres', accepted => $first == 1 ? 2 : 5), "$with: goes at once");
	is($primary->safe_psql('postgres', 'SELECT count(*) FROM line_notify.unblock'), 0, "$with: and no note is left");
	# earlier, but not yet: its time is kept in mind
	$primary->insert('postgres', 1, first => $first + 2, set => { send_after => "now() + interval '1 hour'" });
	$primary->safe_psql('postgres', "SELECT line_notify.reschedule(reference => 'ref @{[ $first + 2 ]}', send_after => now() + interval '2 seconds')");
	ok($primary->poll_query_until('postgres', "SELECT state = 'accepted' AND sent_at >= due_at FROM line_notify.notifications WHERE reference = 'ref @{[ $first + 2 ]}'"), "$with: a later time comes");
}
$standby->stop;
$primary->stop;

# ---- the note came, and that it was acted upon did not: in doubt
pair();
$primary->insert('postgres', 2, set => { send_after => "now() + interval '1 hour'" });
my $worker = $primary->worker_pid('postgres');
kill 'STOP', $worker;
$primary->safe_psql('postgres', "SELECT line_notify.reschedule(reference => 'ref 1', send_after => now())");
is($primary->safe_psql('postgres', 'SELECT count(*) FROM line_notify.unblock'), 1, 'a note');
cut();
kill 'CONT', $worker;
ok($sim->wait_requests(1), 'sent, when no standby is there any more');
promote('line_notify.promotion_grace' => "'1s'");
$standby->poll_query_until('postgres', "SELECT count(*) = 1 FROM line_notify.outbox") or die;
$standby->safe_psql('postgres', "SELECT line_notify.cancel(reference => 'ref 2')");
over('a note', { cancelled => 1, unknown => 1 });

# ---- claims stop to wait for a standby, and it never says that it knows
pair();
$primary->append_conf('postgresql.conf', "synchronous_standby_names = '*'");
$primary->reload;
$primary->poll_query_until('postgres', 'SELECT synchronous FROM line_notify.identity') or die;
freeze();
$primary->append_conf('postgresql.conf', "synchronous_standby_names = ''");
$primary->reload;
ok($primary->poll_query_until('postgres', "SELECT count(*) = 1 FROM line_notify.health() WHERE reason LIKE 'nothing is sent until application s$round have on disk%claims stopped%'"),
	'no longer synchronous: health() says for whom it waits');
$primary->insert('postgres', 1);
waits_for('ref 1', 'not known to standbys yet', 'no longer synchronous: what is new waits, too');
is($sim->summary->{requests}, 0, 'no longer synchronous: nothing is sent');
# time passes
$primary->append_conf('postgresql.conf', "line_notify.promotion_grace = '1s'");
$primary->reload;
ok($primary->wait_states('postgres', accepted => 1), 'no longer synchronous: it goes when promotion_grace is over');
$standby->stop('immediate');
$primary->stop;

# ---- a standby that was synchronous, and was given up: it lacks what somebody freed
# since, and what was sent, and is promoted all the same
for my $policy ('hold', 'hold_all')
{
	pair();
	$primary->append_conf('postgresql.conf', "synchronous_standby_names = '*'");
	$primary->reload;
	$primary->poll_query_until('postgres', 'SELECT synchronous FROM line_notify.identity') or die;
	$primary->safe_psql('postgres', "SELECT line_notify.pause('shop', template_key => 'shipment_completed_ja')");
	$primary->insert('postgres', 1, first => 1);
	$primary->safe_psql('postgres', q{INSERT INTO line_notify.outbox (phone, use_case, messages, reference, send_after)
		SELECT '0901234567' || i, 'parcel_delivery', '[{"type": "text", "text": "x"}]', 'ref ' || i, now() + interval '1 hour' FROM generate_series(2, 3) i});
	$primary->poll_query_until('postgres', "SELECT count(*) = 1 FROM line_notify.outbox WHERE due_at = 'infinity'") or die 'not blocked';
	cut();
	$primary->append_conf('postgresql.conf', "synchronous_standby_names = ''");
	$primary->reload;
	$primary->poll_query_until('postgres', 'SELECT NOT synchronous FROM line_notify.identity') or die;
	$primary->safe_psql('postgres', "SELECT line_notify.resume('shop', template_key => 'shipment_completed_ja'); SELECT line_notify.reschedule(reference => 'ref 2', send_after => now())");
	$primary->wait_states('postgres', accepted => 2, queued => 1);
	# a standby is told by the way of doc/availability.md
	if ($policy eq 'hold_all')
	{
		$standby->safe_psql('postgres', $_) for split /;\n/, $standby->recipe('on a standby that lacks more than the last moments, before its promotion');
	}
	promote();
	if ($policy eq 'hold')
	{
		# the limit: it takes every claim for known
		ok($standby->poll_query_until('postgres', 'SELECT timeline = 2 AND in_doubt_before IS NULL FROM line_notify.identity'), 'given up, hold: nothing is in doubt');
		$standby->stop;
		next;
	}
	ok($standby->poll_query_until('postgres', 'SELECT count(*) = 3 FROM line_notify.outbox o, line_notify.identity i WHERE o.due_at <= i.in_doubt_before'),
		'given up, hold_all: everything that waits is in doubt');
	$standby->safe_psql('postgres', "SELECT line_notify.resume('shop', template_key => 'shipment_completed_ja')");
	$standby->safe_psql('postgres', 'UPDATE line_notify.identity SET in_doubt_until = clock_timestamp()');
	over('given up', { unknown => 3 });
}

# ---- nothing leaves the doubt but by its end
pair();
$primary->safe_psql('postgres', "SELECT line_notify.pause('shop')");
$primary->insert('postgres', 3);
cut();
$primary->safe_psql('postgres', "SELECT line_notify.resume('shop')");
ok($sim->wait_requests(3), 'resumed, and sent, unheard');
promote(shared_preload_libraries => "''");
is($standby->safe_psql('postgres', q{BEGIN; SELECT line_notify._blocked_in_doubt(home, now() - interval '1 hour', now() - interval '1 hour') FROM line_notify.identity;
	SELECT count(*) FROM line_notify.outbox WHERE due_at < now() - interval '50 minutes'; ROLLBACK}), "\n3", 'what was due by the clock of the old primary is in doubt, when ours is behind');
is($standby->safe_psql('postgres', "SELECT r.* FROM line_notify.reschedule(reference => 'ref 1', send_after => now() + interval '1 second') r"), '0|0|1',
	'before any worker has seen the promotion: reschedule() leaves it alone');
is($standby->safe_psql('postgres', "SELECT r.* FROM line_notify.cancel(reference => 'ref 2', dry_run => true) r"), '0|1|0', 'cancel(dry_run) would call it unknown');
is($standby->safe_psql('postgres', "SELECT r.* FROM line_notify.cancel(reference => 'ref 2') r"), '0|1|0', 'cancel() calls it unknown');
$standby->safe_psql('postgres', "SELECT line_notify.resume('shop')");
$standby->append_conf('postgresql.conf', "shared_preload_libraries = 'line_notify'");
$standby->restart;
# the time that was noted stays
$standby->safe_psql('postgres', "UPDATE line_notify.identity SET in_doubt_until = clock_timestamp()");
over('moved', { unknown => 3 });

$sim->stop;
done_testing();
