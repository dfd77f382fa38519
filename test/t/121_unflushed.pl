# A claim is on disk before its first byte.  Nothing but the worker flushes here:
# sessions commit asynchronously, the WAL writer is stopped, and the crash is its
# death.  TAP: crashes at a chosen moment.

use strict;
use warnings;

use Test::More;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main',
	restart_after_crash => 'on', synchronous_commit => 'off', autovacuum => 'off',
	bgwriter_lru_maxpages => 0, checkpoint_timeout => '1h', wal_writer_delay => '10s',
	'line_notify.shutdown_timeout' => '1s');
$node->install('postgres', $sim);
my $n = 0;
my $wal_writer;
END { local $?; kill 'KILL', $wal_writer if $wal_writer }

sub sql { return $node->safe_psql('postgres', @_); }

sub until_true
{
	my ($query, $what) = @_;
	$node->poll_query_until('postgres', $query) or die $what // $query;
	return;
}

# One message, flushed or not; its id.
sub insert
{
	my ($durable, %set) = @_;
	$n++;
	sql(($durable ? 'SET synchronous_commit = on; ' : '') . $node->insert_sql(1, first => $n, %set ? (set => \%set) : ()));
	return sql("SELECT id FROM line_notify.notifications WHERE reference = 'ref $n'");
}

# From here on nothing is flushed unless a commit or the worker does it.
sub stop_wal_writer
{
	until_true("SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'walwriter' AND wait_event = 'WalWriterMain'");
	$wal_writer = sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'");
	kill 'STOP', $wal_writer;
	return;
}

# kill -9 of a process of the server, and its restart
sub crash
{
	my $from = -s $node->logfile;
	kill 'KILL', $wal_writer;
	undef $wal_writer;
	$node->wait_for_log(qr/all server processes terminated; reinitializing.*ready to accept connections/s, $from) or die;
	until_true('SELECT true');
	return $from;
}

# ---- a claim is on disk before it is sent, also after an announcement, whose
# commit is not
{
	sql("ALTER SYSTEM SET line_notify.notify_outcomes = 'outcomes'");
	$node->reload;
	$sim->set_recipients('+819010000001' => 'unreachable');
	my $id = insert(1);
	until_true("SELECT state = 'unreachable' FROM line_notify.notifications WHERE id = $id");
	until_true("SELECT state = 'idle' AND state_change < clock_timestamp() - interval '1 s' FROM pg_stat_activity WHERE backend_type = 'line_notify worker'");
	stop_wal_writer();
	$sim->script_only({ match => { path => 'send' }, at => 'body', do => [{ delay => 60 }, 'answer'] });
	my $before = $sim->summary->{requests};
	$id = insert(1);
	$sim->wait_requests($before + 1, 30) or die 'nothing is sent';
	$sim->script_only();
	crash();
	until_true("SELECT state NOT IN ('queued', 'sending') FROM line_notify.notifications WHERE id = $id");
	is(sql("SELECT state FROM line_notify.notifications WHERE id = $id"), 'unknown', 'the crash has not taken the claim of what was sent');
	is($sim->summary->{requests}, $before + 1, 'so it is not sent again');
}

$node->stop;
$sim->stop;
done_testing();
