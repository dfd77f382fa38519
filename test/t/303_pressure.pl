# Pressure is shared, trouble is not: what LINE says to one worker holds for all
# databases of the cluster, a slow channel keeps no transfer from another, and
# nobody spins while waiting, and descriptors suffice.  TAP: several databases and
# servers.

use strict;
use warnings;

use Test::More;
use List::Util qw(max min sum);
use PostgreSQL::Test::Utils;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $slow = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main', 'line_notify.max_in_flight' => 40);
$node->safe_psql('postgres', "CREATE DATABASE $_") for qw(a b);
$node->install($_, $sim) for qw(a b);

# ---- 429 and 503 with Retry-After, in both forms -------------------------
# warm both up, so that all workers are there
$node->insert($_, 5) for qw(a b);
$node->wait_states($_, accepted => 5) for qw(a b);
my %pid = map { $_ => $node->worker_pid($_) } qw(a b);
my $first = 100;
for my $case ([ 429, 2 ], [ 503, 2 ], [ 429, { http_date_in => 3 } ])
{
	my ($status, $after) = @$case;
	my $name = $status . (ref $after ? ' with a date' : ' with seconds');
	my $before = $node->states('b')->{accepted};
	$sim->reset;
	$sim->script({ match => { path => 'send' }, answer => { status => $status, headers => { 'Retry-After' => $after } }, times => 1 });
	my $began = $node->safe_psql('a', 'SELECT clock_timestamp()');
	$node->insert('a', 1, first => $first);
	ok($node->poll_query_until('a', "SELECT count(*) = 1 FROM line_notify.attempts WHERE outcome = 'throttled' AND http_status = $status AND started_at > '$began'"),
		"$name: database a is told to wait");
	$node->insert('b', 20, first => $first);
	my $from = $node->switches($pid{a}, $pid{b});
	ok($node->poll_query_until('a', 'SELECT count(*) = 0 FROM line_notify.in_flight'), 'its row is back in the queue');
	ok($node->poll_query_until('b', 'SELECT count(*) = 0 FROM line_notify.outbox'), 'the messages of b are sent');
	ok($node->poll_query_until('a', 'SELECT count(*) = 0 FROM line_notify.outbox'), 'and that of a');
	my $woken = $node->switches($pid{a}, $pid{b}) - $from;
	my @at = map { $_->{mono} } $sim->requests(path => 'send');
	cmp_ok(min(@at[1 .. $#at]) - $at[0], '>=', ref $after ? 1.9 : 1.95, 'but by nobody before the time was over');
	cmp_ok($woken, '<', 1000, "no spinning meanwhile ($woken context switches)");
	$first += 100;
}

# ---- a slow channel ------------------------------------------------------
$slow->config(latency => 20);
$node->install('a', $slow, name => 'slow', channel => "max_in_flight => 1000, total_timeout => '2 minutes'");
$node->safe_psql('a', "ALTER DATABASE a SET line_notify.default_channel = 'shop'");
$node->insert('a', 400, first => 5001, set => { channel => "'slow'" });
ok($slow->wait_requests(8, 60), 'the slow channel has all the messages out that it may');
$sim->reset;
$node->insert('a', 300, first => 6001);
ok($node->poll_query_until('a', "SELECT count(*) = 300 FROM line_notify.notifications WHERE channel = 'shop' AND state = 'accepted' AND reference LIKE 'ref 6%'"),
	'the fast channel delivers all of its own');
cmp_ok($node->safe_psql('a', "SELECT count(*) FROM line_notify.outbox WHERE channel = 'slow'"), '>', 300,
	'while the slow one has hardly begun');
cmp_ok($node->safe_psql('a', "SELECT count(*) FROM line_notify.in_flight f JOIN line_notify.outbox o USING (id) WHERE o.channel = 'slow'"), '<=', 30,
	'a part of the transfers is kept for others');
$node->safe_psql('a', "SELECT line_notify.pause('slow')");

# ---- how many at once ----------------------------------------------------
$sim->reset;
$sim->config(latency => 0.3);
$node->safe_psql('b', "SELECT line_notify.alter_channel('shop', max_in_flight => 3)");
$node->insert('b', 12, first => 7001);
my $most = 0;
ok( $sim->wait_until(
		sub {
			$most = max($most, $node->safe_psql('b', 'SELECT count(*) FROM line_notify.in_flight'));
			return $node->safe_psql('b', 'SELECT count(*) FROM line_notify.outbox') == 0;
		}), 'all sent');
cmp_ok($most, '<=', 3, 'never more at once than max_in_flight of the channel');

# ---- descriptors ---------------------------------------------------------
# A process begins with a limit of open files that the connections may not fit
# in: the worker raises it, or has fewer on the wire, and says so.
$sim->reset;
$sim->config(latency => 1);
my $few = LineNotify::Node->new('few', start => 0, 'line_notify.max_in_flight' => 600);
my $limit = 400;
for my $hard (0, 1)
{
	$few->start;
	my ($postmaster) = slurp_file($few->data_dir . '/postmaster.pid') =~ /^(\d+)/;
	system('prlimit', "--nofile=$limit:" . ($hard ? $limit : ''), '--pid', $postmaster) == 0 or die 'prlimit';
	if ($hard)
	{
		my $pid = $few->worker_pid('postgres');
		$few->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
		$few->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid") or die;
	}
	$few->install('postgres', $sim, channel => 'max_in_flight => 600, rate_limit => 100000') if !$hard;
	$few->insert('postgres', 1200, first => 1 + 10000 * $hard);
	ok($few->poll_query_until('postgres', 'SELECT count(*) = 0 FROM line_notify.outbox'),
		($hard ? 'few' : 'more') . ' descriptors: all are sent')
	  or diag($few->safe_psql('postgres', 'SELECT * FROM line_notify.health()'));
	is($few->safe_psql('postgres', "SELECT count(*) FROM line_notify.attempts WHERE outcome <> 'accepted'"), 0, 'at the first attempt');
	my ($files) = slurp_file('/proc/' . $few->worker_pid('postgres') . '/limits') =~ /^Max open files\s+(\d+)/m;
	cmp_ok($files, $hard ? '==' : '>=', $hard ? $limit : 1600, 'the limit is where it may be');
	like(slurp_file($few->logfile), qr/WARNING: .*no more than \d+ messages can be on the wire at once/, 'what that means is logged')
	  if $hard;
	unlike(slurp_file($few->logfile), qr/no more than/, 'nothing is logged') if !$hard;
	$few->stop;
}

$node->stop;
$sim->stop;
$slow->stop;
done_testing();
