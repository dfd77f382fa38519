# Messages with one order_key arrive in order, one at a time, whatever happens
# to the one in front: answers of every kind, retries, cancel, expiry, deletion.
# Messages with other keys do not wait for them.  TAP: the order is taken from
# the simulator's log.

use strict;
use warnings;

use Test::More;
use LineNotify::Sim;
use LineNotify::Node;

my $keys = $ENV{LN_ORDER_KEYS} // 5;
my $length = $ENV{LN_ORDER_LENGTH} // 8;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main');
$node->install('postgres', $sim,
	channel => "backoff_base => '30 ms', backoff_cap => '60 ms', on_unknown => 'retry', on_server_error => 'retry', settle_window => '20 ms'");

sub order_of
{
	my %seen;
	my @all = map { /^ln1-(\d+)-/ ? $1 : () } map { $_->{tag} // '' } $sim->requests(path => 'send');
	return @all;
}

sub references
{
	my %ref = map { split /\|/ } split /\n/,
	  $node->safe_psql('postgres', 'SELECT id, reference FROM line_notify.notifications');
	return map { $ref{$_} } order_of();
}

sub put
{
	my ($first, $n, $key, $more) = @_;
	$node->insert('postgres', $n, first => $first, set => { order_key => "'$key'", %{ $more // {} } });
}

# many keys at once, with answers that must be repeated in between
$sim->config(latency => 0.01);
$sim->script({ match => { path => 'send', every => 7 }, answer => 500, times => 6 },
	{ match => { path => 'send', every => 11 }, do => ['close'], times => 4 },
	{ match => { path => 'send', every => 13 }, answer => 422, times => 3 });
$node->safe_psql('postgres', join ";\n",
	map { my $j = $_; map { $node->insert_sql(1, first => $_ * 100 + $j, set => { order_key => "'key $_'" }) } 1 .. $keys } 1 .. $length);
ok($node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM line_notify.outbox'), 'all are through');

my %last;
my $overtaken = 0;
my %copies;
for my $ref (references())
{
	my ($n) = $ref =~ /ref (\d+)/;
	my $key = int($n / 100);
	$overtaken++ if ($last{$key} // 0) > $n;
	$last{$key} = $n;
	$copies{$n}++;
}
is($overtaken, 0, 'none overtook another of its key');
is(scalar(keys %copies), $keys * $length, 'and each was sent');
ok($node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM line_notify.unblock'), 'nothing is left to be released');

# the one in front fails again and again: those behind wait, others do not
$sim->reset;
my $port = $sim->port;
$sim->script({ name => 'stop', match => { path => 'send', body => '"9001"' }, answer => { status => 500 } });
my $body = q('{"items": [{"itemKey": "number_001_ja", "content": "9001"}]}');
$node->safe_psql('postgres',
	qq{INSERT INTO line_notify.outbox (phone, use_case, template_key, body, reference, order_key)
	VALUES ('09012345678', 'parcel_delivery', 'shipment_completed_ja', $body, 'front', 'k')});
put(9002, 3, 'k');
put(9101, 1, 'other');
ok($node->poll_query_until('postgres', "SELECT attempts >= 3 FROM line_notify.notifications WHERE reference = 'front'"),
	'the one in front is tried again and again');
ok($node->poll_query_until('postgres', "SELECT state = 'accepted' FROM line_notify.notifications WHERE reference = 'ref 9101'"),
	'another key is not held back');
is($node->safe_psql('postgres', "SELECT count(*) FROM line_notify.notifications WHERE order_key = 'k' AND reference <> 'front' AND attempts > 0"),
	0, 'those behind it wait');
ok($node->poll_query_until('postgres', "SELECT waiting_reason FROM line_notify.notifications WHERE reference = 'ref 9003'",
		'behind another message of its order_key'), 'and say why');
$sim->clear_script;
ok($node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM line_notify.outbox'), 'then they go');
is_deeply([ grep { $_ ne 'front' && $_ ne 'ref 9101' } references() ], [ map { "ref $_" } 9002 .. 9004 ], 'in order');

# the one in front leaves without being sent
for my $road (
	[ 'cancelled', "SELECT line_notify._finish(ARRAY(SELECT id FROM line_notify.outbox WHERE reference = 'ref %d'), 'cancelled', 'test')" ],
	[ 'deleted', "DELETE FROM line_notify.outbox WHERE reference = 'ref %d'" ],
	[ 'expired', "UPDATE line_notify.outbox SET expires_at = clock_timestamp() WHERE reference = 'ref %d'; SELECT line_notify._wake()" ])
{
	my ($name, $sql) = @$road;
	my $first = 20000 + 10 * length($name);
	$sim->reset;
	# due far away, so it waits while the others have been tried and set aside
	put($first, 1, $name, { send_after => "now() + interval '1 hour'" });
	put($first + 1, 2, $name);
	ok($node->poll_query_until('postgres',
			"SELECT count(*) = 2 FROM line_notify.notifications WHERE order_key = '$name' AND due_at = 'infinity'"),
		"$name: those behind are set aside");
	$node->safe_psql('postgres', sprintf($sql, $first));
	ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM line_notify.outbox WHERE order_key = '$name'"),
		'and go when the one in front is gone');
	is(scalar($sim->requests(path => 'send')), 2, 'once each');
}

# one that comes in front of what is on the wire waits for its answer, also when
# that goes back to the queue
for my $answer (202, 429)
{
	my $first = 25000 + $answer;
	$sim->reset;
	put($first, 1, "late $answer", { send_after => "now() + interval '1 hour'" });
	$node->safe_psql('postgres', "SELECT line_notify.cancel(reference => 'ref $first')");
	$sim->script({ name => 'first', match => { path => 'send' }, do => 'hold', times => 1,
		$answer == 202 ? () : (answer => { status => $answer, headers => { 'Retry-After' => 1 } }) },
		{ match => { path => 'send' }, do => [ { delay => 0.5 } ] });
	put($first + 1, 1, "late $answer");
	$sim->wait_requests(1, 60) or die;
	my ($before) = $node->safe_psql('postgres',
		"BEGIN; SELECT line_notify.redrive(reference => 'ref $first', state => 'cancelled'); SELECT due_at FROM line_notify.outbox WHERE reference = 'ref $first'; COMMIT")
	  =~ /(\S.*)\z/;
	my $together = 0;
	my $look = sub {
		my ($left, $wire, $due) = split /\|/, $node->safe_psql('postgres',
			"SELECT (SELECT count(*) FROM line_notify.outbox), (SELECT count(*) FROM line_notify.in_flight), (SELECT due_at FROM line_notify.outbox WHERE reference = 'ref $first')");
		$together++ if $wire > 1;
		return ($left, $due);
	};
	# it is put off, since the other has no answer yet
	$sim->wait_until(sub { my (undef, $due) = $look->(); return $together || $due ne $before; }, 120) or die 'nobody looks at it';
	$sim->clear_script('first');
	$sim->wait_until(sub { my ($left) = $look->(); return $left == 0; }, 120) or die 'not all are sent';
	is($together, 0, "after $answer: a message that was redriven is not on the wire with another of its key");
	is_deeply([ references() ], [ $answer == 202 ? () : "ref @{[ $first + 1 ]}", map { "ref $_" } $answer == 202 ? ($first + 1, $first) : ($first, $first + 1) ],
		'and each was sent');
}
$sim->clear_script;

# a note that was written while no worker ran is found when one starts
put(30001, 1, 'r', { send_after => "now() + interval '1 hour'" });
put(30002, 1, 'r');
ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM line_notify.outbox WHERE due_at = 'infinity'"), 'set aside');
$node->append_conf('postgresql.conf', "line_notify.enabled = off\n");
$node->restart;
$node->safe_psql('postgres', "DELETE FROM line_notify.outbox WHERE reference = 'ref 30001'");
$node->stop('immediate');
$node->append_conf('postgresql.conf', "line_notify.enabled = on\n");
$node->start;
ok($node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM line_notify.outbox'), 'a crash loses no release');

$node->stop;
$sim->stop;
done_testing();
