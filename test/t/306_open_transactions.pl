# A verb in a transaction that stays open holds up nothing but its own messages:
# neither the recording of what is on the wire, nor the delivery events of
# others, nor sending.  And what is sent twice on purpose is counted twice, once
# for each delivery, as LINE bills it.  TAP: open sessions beside the worker.

use strict;
use warnings;

use Test::More;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main', restart_after_crash => 'on', max_prepared_transactions => 1);
$node->install('postgres', $sim, channel => "total_timeout => '1 minute'");

sub sql { return $node->safe_psql('postgres', shift); }
sub waits { my ($query, $name) = @_; return ok($node->poll_query_until('postgres', $query), $name) || diag(sql('SELECT * FROM line_notify.notifications')); }
# not TRUNCATE, whose locks a transaction of the worker may wait for, and have what it waits for
sub empty { return sql(join '; ', map { "DELETE FROM line_notify.$_" } @_); }
sub totals { return sql("SELECT string_agg(outcome || ' ' || messages, ', ' ORDER BY outcome) FROM line_notify.daily_totals"); }

# ---- cancel and reschedule, with messages on the wire --------------------
for my $verb ("cancel(from_time => '-infinity')", "reschedule(from_time => '-infinity', send_after => now() + interval '1 hour')",
	'suppress_recipient(\'090-1000-0001\')')
{
	$sim->reset;
	empty(qw(history attempt_log daily_count suppression));
	$sim->script_only({ match => { path => 'send' }, do => 'hold', times => 2 });
	$node->insert('postgres', 2);
	ok($sim->wait_requests(2, 30), "$verb: two are on the wire");
	my $session = $node->background_psql('postgres');
	$session->query_safe("BEGIN; SELECT * FROM line_notify.$verb");
	is(sql('SELECT count(*) FROM line_notify.in_flight'), 2, 'and stay there');
	$node->insert('postgres', 1, first => 3);
	$sim->clear_script;
	waits("SELECT count(*) = 3 FROM line_notify.history WHERE state = 'accepted'", 'they are recorded while its transaction is open, and others sent');
	$session->query_safe('ROLLBACK');
	$session->quit;
}

# ---- redrive, with delivery events under way -----------------------------
$sim->wait_webhooks(3, 10) or die;
$node->deliver_webhooks('postgres', $sim);
waits('SELECT count(*) = 0 FROM line_notify.webhook_event', 'all is quiet');
$sim->reset;
empty(qw(history attempt_log daily_count suppression outcome));
$node->insert('postgres', 3, first => 11);
$node->wait_states('postgres', accepted => 3);
is(totals(), 'accepted 3', 'three were accepted');
my $session = $node->background_psql('postgres');
$session->query_safe("BEGIN; SELECT * FROM line_notify.redrive(reference => 'ref 11', state => 'accepted', allow_duplicates => true)");
$sim->wait_webhooks(3, 10) or die;
is($node->deliver_webhooks('postgres', $sim), 3, 'three events come');
waits("SELECT count(*) = 2 FROM line_notify.notifications WHERE state = 'delivered'", 'a message is being queued again by somebody: the events of the others are folded');
is(sql('SELECT count(*) FROM line_notify.webhook_event'), 1, 'its own waits');
$node->insert('postgres', 1, first => 14);
waits("SELECT state = 'accepted' FROM line_notify.notifications WHERE reference = 'ref 14'", 'and others are sent');
$session->query_safe('ROLLBACK');
waits("SELECT state = 'delivered' FROM line_notify.notifications WHERE reference = 'ref 11'", 'then it is folded too');
is(totals(), 'accepted 4, delivered 3', 'counted once each');

# ---- delivered twice -----------------------------------------------------
sub event
{
	my ($tag, $id) = @_;
	my $hook = $sim->emit([ { type => 'delivery', delivery => { data => $tag }, timestamp => time() * 1000, webhookEventId => $id } ]);
	return sql(sprintf q{SELECT line_notify.receive_webhook('shop', '\x%s'::bytea, '%s')}, unpack('H*', $hook->[0]), $hook->[1]);
}
sub folded { return waits('SELECT count(*) = 0 FROM line_notify.webhook_event', $_[0]); }
$session->quit;
empty(qw(history attempt_log daily_count));
my $i = 0;
# [ state of the first life, script of the simulator, what the totals say then, after the second life, after both events ]
for my $case (
	[ 'accepted', undef, 'accepted 1', 'accepted 2', 'accepted 2, delivered 2' ],
	[ 'unknown', { answer => 500 }, 'unknown 1', 'accepted 1', 'accepted 1, delivered 2' ],
	[ 'refused', { answer => 400 }, 'refused 1', 'accepted 1', undef ],
	[ 'unreachable', { answer => 422 }, 'unreachable 1', 'accepted 1', undef ])
{
	my ($state, $script, $one, $two, $three) = @$case;
	my $ref = 20 + $i++;
	$sim->reset;
	$sim->script_only($script ? { match => { path => 'send' }, %$script, times => 1 } : { match => { nth => 1000000 }, answer => 500 });
	empty('daily_count');
	$node->insert('postgres', 1, first => $ref);
	waits("SELECT state = '$state' FROM line_notify.notifications WHERE reference = 'ref $ref'", "first $state");
	is(totals(), $one, 'counted');
	is(sql("SELECT redriven FROM line_notify.redrive(reference => 'ref $ref', state => '$state', allow_duplicates => true)"), 1, 'again');
	waits("SELECT state = 'accepted' FROM line_notify.notifications WHERE reference = 'ref $ref'", 'then accepted');
	is(totals(), $two, 'it ended once; what LINE took counts');
	next unless defined $three;
	my @tags = map { $_->{tag} } $sim->requests(path => 'send');
	for my $order (0, 1)
	{
		is(event($tags[ $order ^ ($i % 2) ], "event $ref $order"), 1, 'an event of each');
		folded('is folded');
		is(event($tags[ $order ^ ($i % 2) ], "event $ref $order"), 0, 'known when it comes again');
	}
	is(totals(), $three, 'two deliveries');
}
# both in one call, with the second life on the wire
$sim->reset;
empty('daily_count');
$node->insert('postgres', 1, first => 30);
waits("SELECT state = 'accepted' FROM line_notify.notifications WHERE reference = 'ref 30'", 'accepted');
sql("SELECT line_notify.redrive(reference => 'ref 30', state => 'accepted', allow_duplicates => true)");
waits("SELECT count(*) = 2 FROM line_notify.attempts a JOIN line_notify.notifications n USING (id) WHERE n.reference = 'ref 30' AND n.state = 'accepted'", 'twice');
my @tags = map { $_->{tag} } $sim->requests(path => 'send');
sql('BEGIN; ' . join('; ', map {
	my $hook = $sim->emit([ { type => 'delivery', delivery => { data => $tags[$_] }, timestamp => time() * 1000, webhookEventId => "both $_" } ]);
	sprintf q{SELECT line_notify.receive_webhook('shop', '\x%s'::bytea, '%s')}, unpack('H*', $hook->[0]), $hook->[1] } 0, 1) . '; COMMIT');
folded('both events at once');
is(totals(), 'accepted 2, delivered 2', 'two deliveries');

# an attempt without an answer, and the next one, both delivered
$sim->reset;
empty('daily_count');
$sim->script_only({ match => { path => 'send' }, do => ['close'], times => 1 });
$node->insert('postgres', 1, first => 40, set => { policy => q('{"on_unknown": "retry", "settle_window": "0"}') });
waits("SELECT state = 'accepted' AND attempts = 2 FROM line_notify.notifications WHERE reference = 'ref 40'", 'retried after silence');
@tags = map { $_->{tag} } $sim->requests(path => 'send');
is(event($tags[$_], "silent $_"), 1, 'an event of each') for 1, 0;
folded('both are folded');
is(totals(), 'accepted 1, delivered 2', 'two deliveries');

# ---- a rescue that waits for a lock in vain ------------------------------
# The lock outlives the crash, as that of a prepared transaction does.
$sim->reset;
$sim->script_only({ match => { path => 'send' }, at => 'body', do => [ { delay => 600 }, 'answer' ], times => 1 });
$node->insert('postgres', 1, first => 50);
ok($sim->wait_requests(1, 30), 'one is on the wire');
sql(q{BEGIN; SELECT FROM line_notify.outbox WHERE reference = 'ref 50' FOR UPDATE; PREPARE TRANSACTION 'holds'});
my $from = -s $node->logfile;
kill 'KILL', $node->worker_pid('postgres');
$node->wait_for_log(qr/lock timeout.*recovering claims/s, $from);
$node->insert('postgres', 1, first => 51);
waits("SELECT state = 'accepted' FROM line_notify.notifications WHERE reference = 'ref 51'", 'what it could not record does not keep others from being sent');
sql("COMMIT PREPARED 'holds'");
waits("SELECT state = 'unknown' FROM line_notify.notifications WHERE reference = 'ref 50'", 'and is recorded when the lock is gone');
is($sim->summary->{messages}{received_twice}, 0, 'none was sent twice');

$node->stop;
$sim->stop;
done_testing();
