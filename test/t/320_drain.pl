# drain() sends all that is due and comes back: without a preloaded library it
# starts a process for the time of the call, with one it asks the worker.  It
# holds no snapshot, ends in time, can be cancelled, and two of them never share
# a channel ID.  TAP: drain.

use strict;
use warnings;

use IPC::Run ();
use Test::More;
use Time::HiRes ();
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('bare', shared_preload_libraries => '', restart_after_crash => 'on', 'line_notify.shutdown_timeout' => '500ms');
$node->install('postgres', $sim);
my $processes = q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'line_notify%'};

sub drain
{
	my ($db, $args, %opt) = @_;
	my ($out, $err);
	my $rc = $node->psql($db, ($opt{before} // '') . "CALL line_notify.drain($args)", stdout => \$out, stderr => \$err);
	return wantarray ? ($rc, $out, $err) : $out;
}

sub session
{
	my ($db, $sql) = @_;
	my %s = (out => '', err => '');
	$s{run} = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr($db), '-c', $sql ], '>', \$s{out}, '2>', \$s{err});
	return \%s;
}

# Alone
is(drain('postgres', "'1 min'"), '0|0', 'nothing is due: it comes back');
$node->insert('postgres', 300);
$node->insert('postgres', 1, first => 900, set => { send_after => "clock_timestamp() + '1 hour'" });
is($node->safe_psql('postgres', $processes), '0', 'no process of ours runs');
is(drain('postgres', "'1 min'"), '300|0', 'all that is due is sent; what is for later is not');
is_deeply($node->states('postgres'), { accepted => 300, queued => 1 }, 'and recorded');
is($sim->summary->{requests}, 300, 'the simulator saw each once');
is($node->safe_psql('postgres', $processes), '0', 'its process is gone');
is( $node->safe_psql('postgres', "SELECT string_agg(count::text, ',' ORDER BY at) FROM line_notify.operations WHERE function = 'drain'"),
	'0,300', 'both are in the operations log');

# Refusals
my ($rc, $out, $err) = drain('postgres', "'1 min'", before => 'BEGIN; ');
like($err, qr/cannot run inside a transaction block/, 'not in a transaction block');
(undef, undef, $err) = drain('postgres', "'1 min'", before => 'SET default_transaction_read_only = on; ');
like($err, qr/cannot execute drain\(\) in a read-only transaction/, 'nor in a read-only one, and nothing is sent first');
(undef, undef, $err) = drain('postgres', 'NULL');
like($err, qr/timeout is out of range/, 'NULL is no timeout');
(undef, undef, $err) = drain('postgres', "'25 hours'");
like($err, qr/timeout is out of range/, 'nor is more than a day');
(undef, undef, $err) = drain('postgres', "'-1 s'");
like($err, qr/timeout is out of range/, 'nor less than nothing');
$node->safe_psql('postgres', 'CREATE ROLE clerk; CREATE ROLE boss; SELECT line_notify.grant_operator(\'boss\')');
(undef, undef, $err) = drain('postgres', "'1 s'", before => 'SET ROLE clerk; ');
like($err, qr/permission denied/, 'nor without the grant');
is(drain('postgres', "'1 min'", before => 'SET ROLE boss; '), '0|0', 'an operator may');
$node->append_conf('postgresql.conf', 'line_notify.enabled = off');
$node->reload;
(undef, undef, $err) = drain('postgres', "'1 s'");
like($err, qr/switched off/, 'the kill switch holds for it, too');
$node->append_conf('postgresql.conf', 'line_notify.enabled = on');
$node->reload;

# What cannot go does not hold it up
$node->safe_psql('postgres', "SELECT line_notify.pause('shop', 'stocktaking')");
$node->insert('postgres', 5, first => 1000);
my $begun = Time::HiRes::time();
is(drain('postgres', "'10 min'"), '0|5', 'a paused channel: it says what is left');
cmp_ok(Time::HiRes::time() - $begun, '<', 120, 'and does not wait for it');
$node->safe_psql('postgres', "SELECT line_notify.resume('shop')");
is(drain('postgres', "'1 min'"), '5|0', 'afterwards they go');

# It ends in time, and nothing is lost or sent twice
$sim->reset;
$sim->config(latency => 3600);
$node->insert('postgres', 3, first => 1100);
$begun = Time::HiRes::time();
# in which its process starts and sends, on any machine
$out = drain('postgres', "'5 s'");
cmp_ok(Time::HiRes::time() - $begun, '<', 60, 'a silent server: it ends after its time');
$node->wait_states('postgres', accepted => 305, queued => 1, unknown => 3);
$sim->config(latency => 0);

# Cancelled: the process stops, too
$sim->config(latency => 3600);
$node->insert('postgres', 1, first => 1200);
my $s = session('postgres', "CALL line_notify.drain('10 min')");
ok( $node->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM line_notify.in_flight"), 'it has claimed');
# and sent: what had not begun would go back to the queue
$sim->wait_until(sub { $sim->requests(path => 'send') >= 4 }, 60) or die;
is( $node->safe_psql('postgres',
		"SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CALL%' AND backend_xmin IS NOT NULL AND pid <> pg_backend_pid()"),
	'0', 'the session that waits holds no snapshot');
is($node->safe_psql('postgres', $processes), '1', 'a drainer runs');
$node->safe_psql('postgres', "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'CALL line_notify.drain%' AND pid <> pg_backend_pid()");
$s->{run}->finish;
like($s->{err}, qr/canceling statement due to user request/, 'a drain can be cancelled');
ok($node->poll_query_until('postgres', "SELECT ($processes) = 0"), 'and its process ends');
$sim->config(latency => 0);
is(drain('postgres', "'1 min'"), '0|0', 'the next one finds nothing to do');
$node->wait_states('postgres', accepted => 305, queued => 1, unknown => 4);

# The session is terminated: the process stops as well, whatever waits
$sim->reset;
$sim->config(latency => 3600);
$node->safe_psql('postgres', "SELECT line_notify.alter_channel('shop', total_timeout => '5 min')");
$node->insert('postgres', 1, first => 1250);
$s = session('postgres', "CALL line_notify.drain('10 min')");
$sim->wait_requests(1, 60) or die;
$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'CALL line_notify.drain%' AND pid <> pg_backend_pid()");
$s->{run}->finish;
like($s->{err}, qr/terminating connection/, 'the session that drains is terminated');
$begun = Time::HiRes::time();
ok($node->poll_query_until('postgres', "SELECT ($processes) = 0"), 'its process ends');
cmp_ok(Time::HiRes::time() - $begun, '<', 120, 'and does not wait for the answer');
$sim->config(latency => 0);
$node->safe_psql('postgres', "SELECT line_notify.alter_channel('shop', total_timeout => '20 s')");
$node->wait_states('postgres', accepted => 305, queued => 1, unknown => 5);

# Killed in the middle: the next one recovers the claims
$sim->reset;
$sim->config(latency => 3600);
$node->insert('postgres', 3, first => 1300);
$s = session('postgres', "CALL line_notify.drain('10 min')");
ok($node->poll_query_until('postgres', "SELECT count(*) = 3 FROM line_notify.in_flight"), 'three are claimed');
$sim->wait_requests(3, 60) or die;
my $pid = $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'line_notify drainer'");
kill 'KILL', $pid;
$s->{run}->finish;
ok($node->poll_query_until('postgres', 'SELECT true'), 'the server comes back');
$sim->config(latency => 0);
drain('postgres', "'1 min'");
is($node->safe_psql('postgres', 'SELECT count(*) FROM line_notify.in_flight'), '0', 'no claim is left');
is($sim->summary->{requests}, 3, 'each was sent once');

# Two at once in one database: the second says so, or comes after
$sim->reset;
$sim->config(latency => 0.5);
$node->insert('postgres', 20, first => 1400);
my @two = map { session('postgres', "CALL line_notify.drain('1 min')") } 1 .. 2;
$_->{run}->finish for @two;
is($sim->summary->{requests}, 20, 'two drains at once: each message went once');
is(scalar(grep { $_->{err} =~ /another worker of this database/ || $_->{out} =~ /^\d+\|/ } @two),
	2, 'both had an answer');

# A lock that others hold for a moment costs that moment, and no more
$sim->config(latency => 0);
$node->insert('postgres', 5, first => 1450);
my $locker = $node->background_psql('postgres');
$locker->query_safe('BEGIN; LOCK TABLE line_notify.in_flight');
my $offset = -s $node->logfile;
$s = session('postgres', "CALL line_notify.drain('2 min')");
$node->wait_for_log(qr/canceling statement due to lock timeout/, $offset);
$locker->query_safe('ROLLBACK');
$locker->quit;
$begun = Time::HiRes::time();
$s->{run}->finish;
is($s->{out}, "5|0\n", 'a table is locked for a moment: all is sent');
cmp_ok(Time::HiRes::time() - $begun, '<', 20, 'and soon');

# Two databases with one channel ID: never both at once
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->install('other', $sim);
$sim->reset;
$sim->config(latency => 0);
$node->safe_psql($_, "SELECT line_notify.alter_channel('shop', rate_limit => 50)") for 'postgres', 'other';
$node->insert('postgres', 50, first => 1500);
$node->insert('other', 50, first => 1600);
@two = map { session($_, "CALL line_notify.drain('2 min')") } 'postgres', 'other';
$_->{run}->finish for @two;
is($_->{out}, "50|0\n", 'a database has sent its messages') for @two;
my %mine = map { $_ => 1 } split /\n/, $node->safe_psql('other', 'SELECT recipient FROM line_notify.history');
my @turns = map { exists $mine{ $_->{to} } ? 1 : 0 } $sim->requests;
is(scalar(@turns), 100, 'the simulator saw all');
is(scalar(grep { $turns[$_] != $turns[ $_ - 1 ] } 1 .. $#turns), 1, 'first those of one database, then the others');

# Preloaded: the worker does it
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'line_notify'");
$node->restart;
$sim->reset;
$node->safe_psql('postgres', "SELECT line_notify.alter_channel('shop', rate_limit => 2000)");
$node->insert('postgres', 500, first => 2000);
my $after = drain('postgres', "'1 min'");
like($after, qr/^\d+\|0$/, 'with a worker: nothing is left');
is($node->safe_psql('postgres', "SELECT count(*) FROM line_notify.notifications WHERE state = 'accepted' AND id > (SELECT max(id) - 500 FROM line_notify.notifications)"),
	'500', 'all were sent and recorded when it came back');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'line_notify drainer'"), '0', 'by the worker');
$node->safe_psql('postgres', "SELECT line_notify.pause('shop', 'stocktaking')");
$node->insert('postgres', 5, first => 3000);
like(drain('postgres', "'10 min'"), qr/\|5$/, 'a paused channel does not hold it up');
$node->safe_psql('postgres', "SELECT line_notify.resume('shop')");
$sim->config(latency => 3600);
$node->insert('postgres', 1, first => 3100);
like(drain('postgres', "'1 s'"), qr/\|[1-6]$/, 'a silent server: it ends after its time');

# The extension is dropped meanwhile: nobody will answer
$sim->reset;
$sim->config(latency => 3600);
$node->insert('other', 1, first => 3200);
$s = session('other', "CALL line_notify.drain('1 day')");
$sim->wait_requests(1, 60) or die;
$node->safe_psql('other', 'DROP EXTENSION line_notify');
$s->{run}->finish;
like($s->{err}, qr/"line_notify" does not exist/, 'the extension is dropped: drain() comes back');

# or another one takes its place
$node->install('other', $sim);
$sim->reset;
$sim->config(latency => 3600);
$node->insert('other', 1, first => 3300);
# in which the other one comes, and nothing that was sent times out
$s = session('other', "CALL line_notify.drain('10 s')");
$sim->wait_requests(1, 60) or die;
$node->safe_psql('other', 'BEGIN; DROP EXTENSION line_notify; CREATE EXTENSION line_notify; COMMIT');
$s->{run}->finish;
like($s->{out}, qr/^\d+\|0$/m, 'the extension is replaced: drain() comes back') or diag($s->{err});

$node->stop('immediate');
$sim->stop;
done_testing();
