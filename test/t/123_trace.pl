# line_notify.trace_file: off unless somebody asks; a file that cannot be written
# is told once and holds nothing up; no line has what a message says, or to whom.
# What the lines mean, every other TAP test asks.  TAP: a worker, its log and file.

use strict;
use warnings;

use Test::More;
use PostgreSQL::Test::Utils;
use LineNotify::Sim;
use LineNotify::Node (untraced => 'the file is set here');

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main');
$node->install('postgres', $sim);

sub sql { return $node->safe_psql('postgres', @_); }

my $accepted = 0;

# $n more messages, by workers that trace to $file
sub send_with
{
	my ($file, $n) = @_;
	sql("ALTER SYSTEM SET line_notify.trace_file = '$file'");
	$node->restart;
	# two turns, or more
	for (1 .. $n)
	{
		$node->insert('postgres', 1, first => ++$accepted);
		$node->wait_states('postgres', accepted => $accepted);
	}
	return;
}

is(sql("SELECT boot_val || '.' || context FROM pg_settings WHERE name = 'line_notify.trace_file'"), '.sighup', 'off by default');
sql('CREATE ROLE somebody LOGIN');
my ($rc, $out, $err) = $node->psql('postgres', 'SET ROLE somebody; SHOW line_notify.trace_file');
like($err, qr/to examine "line_notify.trace_file"/, 'not for everybody to see');

my $from = -s $node->logfile;
send_with($node->data_dir . '/no/such/directory', 3);
my $log = slurp_file($node->logfile, $from);
my $pid = $node->worker_pid('postgres');
my @told = $log =~ /(\[$pid\].*WARNING:.*could not write to trace file)/g;
is(scalar @told, 1, 'a file that cannot be written is told once, and messages go') or diag($log);

my $file = $node->data_dir . '/trace';
send_with('trace', 2);
$node->stop;
my $trace = slurp_file($file);
is(() = $trace =~ /^asked /mg, 2, 'what is sent has a line');
is((stat $file)[2] & 0777, 0600, 'for us alone');
unlike($trace, qr/number_001_ja|shipment|ref \d|[0-9a-f]{64}|shop/, 'with nothing of what it says, nor to whom');

$node->append_conf('postgresql.auto.conf', "line_notify.trace_file = ''");
$node->start;
send_with('', 1);
is(-s $file, length $trace, 'without the setting, no line more');

$node->stop;
$sim->stop;
done_testing();
