# No free background worker: health() says so, and the worker comes when a
# place is free; a worker that has nothing to do, or may not send, makes one.  A
# database whose worker always fails does not starve others.  TAP: processes.

use strict;
use warnings;

use Test::More;
use PostgreSQL::Test::Utils;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
# places: the launchers of logical replication and of ours, and two workers,
# which have something on the wire
my $node = LineNotify::Node->new('main', max_worker_processes => 4);
$node->safe_psql('postgres', "CREATE DATABASE $_") for qw(a b c d);
$sim->script({ match => { path => 'send' }, do => ['stall'] });
for my $db (qw(a b))
{
	$node->install($db, $sim, channel => "total_timeout => '10 min'");
	$node->insert($db, 1, first => $db eq 'a' ? 5 : 6);
	$node->worker_pid($db);
}
$sim->wait_requests(2) or die;
$node->install('c', $sim);
$node->insert('c', 1, first => 30);
ok($node->poll_query_until('c', "SELECT count(*) = 1 FROM line_notify.health() WHERE severity = 'error' AND reason LIKE '%no free background worker slot%' AND hint LIKE '%max_worker_processes%'"),
	'no place: health() says what to do')
  or diag $node->safe_psql('c', 'SELECT * FROM line_notify.health(); SELECT * FROM line_notify.workers');
is($node->safe_psql('c', "CALL line_notify.drain('10 min')"), '0|1', 'drain() does not wait for a place');
cmp_ok(scalar(() = slurp_file($node->logfile) =~ /WARNING:  no free background worker slot/g), '<=', 3, 'and the log, once for each database');
$sim->clear_script;
$sim->end_connections('close');
$node->wait_states('c', accepted => 1);
pass('the others have nothing to do any more: one of them leaves its place');
is($node->health('c', "subject = 'worker'"), '', 'and health() is content');
for my $db (qw(a b))
{
	$node->insert($db, 1, first => $db eq 'a' ? 10 : 20);
	$node->wait_states($db, accepted => 1, unknown => 1);
}
pass('and they take turns');

# databases that may not send hold no place
$node->append_conf('postgresql.conf', "line_notify.node = 'elsewhere'");
$node->restart;
# each has looked, which is more than not to be there yet
$node->worker_left($_) for qw(a b c);
ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'line_notify worker'"), 'disarmed workers leave at once');
$node->append_conf('postgresql.conf', "line_notify.node = 'test'\nmax_worker_processes = 8");
$node->restart;
$node->safe_psql('a', 'DROP EXTENSION line_notify');
# one that has its journal file, and no reason to give up its place
$node->insert('b', 1, first => 21);
$node->wait_states('b', accepted => 2, unknown => 1);

# a worker that cannot live: it may not make its journal file
my $dir = $node->data_dir . '/pg_stat_tmp';
chmod 0500, $dir;
SKIP:
{
	skip 'root is not stopped by permissions', 3 if $> == 0;
	$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'line_notify worker' AND datname = 'c'");
	$node->insert('c', 1, first => 31);
	ok($node->poll_query_until('c', "SELECT restarts >= 2 FROM line_notify.workers WHERE database = 'c'"), 'a worker that fails is started again');
	$node->insert('b', 1, first => 22);
	$node->wait_states('b', accepted => 3, unknown => 1);
	pass('its neighbour does not notice');
	ok($node->poll_query_until('c', "SELECT bool_or(reason ~ 'stopped with an error|starting') FROM line_notify.health() WHERE subject = 'worker'"), 'health() of its database does');
}
chmod 0700, $dir;
$node->wait_states('c', accepted => 2);
pass('the cause mended, it heals by itself');
unlike(slurp_file($node->logfile), qr/(PANIC|TRAP|was terminated by signal)/, 'no crash in the log');
$node->stop;
$sim->stop;
done_testing();
