# doc/outcomes.md works as it stands: its statements run, an SMS is queued for
# whom LINE cannot reach, did not reach, or is not known to have reached, and
# taken back when the truth comes late; a second consumer misses nothing; a
# listener is told, once for a batch, and never instead of the recording.
# TAP: reads a file of the documentation; worker, time scaled by settings.

use strict;
use warnings;

use File::Basename qw(dirname);
use File::Spec;
use Test::More;
use PostgreSQL::Test::Utils;
use LineNotify::Sim;
use LineNotify::Node;

my $root = $ENV{LN_SRC} // File::Spec->rel2abs(dirname(__FILE__) . '/../..');
my $page = slurp_file("$root/doc/outcomes.md");
my @blocks = $page =~ /^```sql\n(.*?)^```/msg;
is(scalar(@blocks), 6, 'six blocks of SQL');
my ($table, $consumer, $job, $pick_up, $second, $listen) = @blocks;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main', 'line_notify.delivery_timeout' => 6);
$node->install('postgres', $sim);
sub sql { return $node->safe_psql('postgres', $_[0]); }
sub queue { return sql('SELECT order_ref, why, revision, wanted FROM sms_queue ORDER BY order_ref'); }
sub job { return sql('SELECT sms_fallback()'); }
sub waiting
{
	my ($consumer, $n) = @_;
	ok($node->poll_query_until('postgres', "SELECT waiting FROM line_notify.consumers WHERE name = '$consumer'", $n),
		"$n wait for $consumer") or diag(sql('SELECT * FROM line_notify.notifications'));
}
sub event
{
	my ($tag, $id) = @_;
	return sprintf('{"type":"delivery","delivery":{"data":"%s"},"webhookEventId":"%s","timestamp":%d}', $tag, $id, time() * 1000);
}
sub tag_of
{
	my ($ref) = @_;
	my $id = sql("SELECT id FROM line_notify.notifications WHERE reference = '$ref'");
	return (grep { ($_->{tag} // '') =~ /^ln1-$id-/ } $sim->requests(path => 'send'))[0]{tag};
}

sql($table);
sql($consumer);
is(sql($job), 0, 'the job has nothing to do');
sql($second);
is(sql($pick_up), '', 'nor has the gateway');

# people 1: not on LINE; 2, 3: blocked; 4: reachable, which is the evidence
$sim->set_recipients('+819010000001' => 'unreachable', '+819010000002' => 'blocked', '+819010000003' => 'blocked', default => 'reachable');
$node->insert('postgres', 4);
$node->wait_states('postgres', unreachable => 1, accepted => 3);
is(job(), 1, 'one outcome at once');
is(queue(), 'ref 1|unreachable|1|t', 'the person who is not on LINE gets an SMS');
is(sql('SELECT sms_fallback()'), 0, 'once');
$sim->wait_webhooks(1, 10) or die;
$node->deliver_webhooks('postgres', $sim);
waiting('sms', 2);

# a job that rolls back leaves everything as it was
sql('BEGIN; SELECT sms_fallback(); ROLLBACK;');
is(queue(), 'ref 1|unreachable|1|t', 'a transaction that rolls back takes nothing');
is(job(), 2, 'two were silent for a day');
is(queue(), "ref 1|unreachable|1|t\nref 2|undelivered|1|t\nref 3|undelivered|1|t", 'both get an SMS');
is(sql($pick_up), "ref 1|unreachable\nref 2|undelivered\nref 3|undelivered", 'which the gateway sees');

# late truth: one before the SMS was sent, one after
sql("UPDATE sms_queue SET sent_at = now() WHERE order_ref = 'ref 3'");
sql(sprintf(q{SELECT line_notify.receive_verified_events('shop', '{"events":[%s,%s]}')}, event(tag_of('ref 2'), 'late2'), event(tag_of('ref 3'), 'late3')));
waiting('sms', 2);
is(job(), 2, 'two corrections');
is(queue(), "ref 1|unreachable|1|t\nref 2|delivered|2|f\nref 3|delivered|2|f", 'they are no longer wanted');
is(sql($pick_up), 'ref 1|unreachable', 'the gateway leaves it');

# the second consumer saw everything by itself
is(sql('SELECT crm_notes()') > 0, 1, 'the other consumer has its own queue');
is(sql("SELECT string_agg(order_ref || ' ' || outcome, ', ' ORDER BY order_ref) FROM crm_note WHERE outcome = 'delivered'"),
	'ref 2 delivered, ref 3 delivered, ref 4 delivered', 'with the truth only, as it took nothing in between');
is(sql('SELECT crm_notes()'), 0, 'once');

# unconfirmed: sooner, and corrected
sql("SELECT line_notify.alter_channel('shop', confirm_within => '1 s'); ALTER SYSTEM SET line_notify.delivery_timeout = 3600; SELECT pg_reload_conf()");
$sim->set_recipients('+819010000005' => 'blocked', '+819010000006' => 'blocked');
$node->insert('postgres', 2, first => 5);
waiting('sms', 2);
is(job(), 2, 'not confirmed within confirm_within');
sql(sprintf(q{SELECT line_notify.receive_verified_events('shop', '{"events":[%s]}')}, event(tag_of('ref 5'), 'late5')));
waiting('sms', 1);
is(job(), 1, 'one is, later');
is(sql("SELECT order_ref, why, revision, wanted FROM sms_queue WHERE message_id > 4 ORDER BY order_ref"),
	"ref 5|delivered|2|f\nref 6|unconfirmed|1|t", 'the other one gets an SMS');

# --- LISTEN
sub listener
{
	my ($in, $out) = ('', '');
	my $h = IPC::Run::start([ 'psql', '-X', '-q', '-A', '-t', '-d', $node->connstr('postgres') ], '<', \$in, '>', \$out);
	$in = "$_[0]\nSELECT 'ready';\n";
	IPC::Run::pump($h) until $out =~ /ready/;
	return { h => $h, in => \$in, out => \$out };
}
# what it has heard; the marker is a statement that fetches notifications
sub heard
{
	my ($l) = @_;
	${ $l->{out} } = '';
	${ $l->{in} } .= "SELECT 'now';\nSELECT 'marker';\n";
	IPC::Run::pump($l->{h}) until ${ $l->{out} } =~ /marker/;
	return scalar(() = ${ $l->{out} } =~ /Asynchronous notification "line_outcomes" received/g);
}
# What the worker had to do for what was recorded before, it has done: a message
# may be claimed in the turn in which it records, but not two, one after the other.
my $another = 200;
sub a_turn_later
{
	for (1 .. 2)
	{
		$node->insert('postgres', 1, first => ++$another);
		$node->poll_query_until('postgres', "SELECT state = 'accepted' FROM line_notify.notifications WHERE reference = 'ref $another'") or die;
	}
	return;
}
my $l = listener($listen);
# nor does one of those that go well become an outcome in time
sql("SELECT line_notify.alter_channel('shop', confirm_within => '0')");
$sim->set_recipients(map { sprintf('+8190%08d', 10000000 + $_) => 'unreachable' } 21 .. 99);
$node->insert('postgres', 5, first => 21);
waiting('sms', 5);
a_turn_later();
is(heard($l), 0, 'nothing is announced unless somebody asked for it');
my ($rc, $o, $err) = $node->psql('postgres', "ALTER SYSTEM SET line_notify.notify_outcomes = '" . 'x' x 64 . "'");
like($err, qr/fewer than 64 bytes/, 'a name that NOTIFY would refuse is refused at once');
sql("ALTER SYSTEM SET line_notify.notify_outcomes = 'line_outcomes'");
sql('SELECT pg_reload_conf()');
$node->poll_query_until('postgres', 'SHOW line_notify.notify_outcomes', 'line_outcomes') or die;
$node->insert('postgres', 20, first => 31);
waiting('sms', 25);
a_turn_later();
my $n = heard($l);
cmp_ok($n, '>=', 1, 'then it is');
cmp_ok($n, '<=', 20, "$n times for twenty outcomes");
unlike(${ $l->{out} }, qr/payload/, 'without a payload');
my $before = sql('SELECT count(*) FROM line_notify.outcome');
$sim->set_recipients(default => 'reachable');
$node->insert('postgres', 3, first => 101);
$node->poll_query_until('postgres', "SELECT count(*) = 3 FROM line_notify.notifications WHERE reference LIKE 'ref 10_' AND state = 'accepted'") or die;
a_turn_later();
is(heard($l), 0, 'not for a message that went well');

# --- a queue that nobody empties: the server says how full it may be from 17 on
SKIP:
{
	skip 'the size of the queue is fixed before 17', 2 if $node->pg_version < 17;
	IPC::Run::kill_kill($l->{h});
	$node->append_conf('postgresql.conf', "max_notify_queue_pages = 64\n");
	$node->restart;
	# listens, and stays in a transaction
	$l = listener("LISTEN other;\nBEGIN; SELECT 1;");
	($rc, $o, $err) = $node->psql('postgres', "SELECT pg_notify('other', repeat('x', 7000) || i) FROM generate_series(1, 35) i");
	($rc, $o, $err) = $node->psql('postgres', "SELECT pg_notify('other', repeat('y', 7000) || i) FROM generate_series(1, 20) i");
	cmp_ok(sql('SELECT pg_notification_queue_usage()'), '>', 0.5, 'the queue is more than half full');
	my $offset = -s $node->logfile;
	$node->insert('postgres', 5, first => 61);
	waiting('sms', 30);
	ok($node->wait_for_log(qr/did not announce outcomes: more than half of the NOTIFY queue is full/, $offset), 'recorded nevertheless, and logged');
}
IPC::Run::kill_kill($l->{h});

$node->stop;
$sim->stop;
done_testing();
