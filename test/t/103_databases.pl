# Commands on databases with transfers that take long: the worker steps aside
# for its own database, comes back when the command fails, takes part in the
# barriers of commands on others; a copy of a database sends nothing.  TAP:
# several databases, slow transfers.

use strict;
use warnings;

use Test::More;
use Time::HiRes qw(time);
use PostgreSQL::Test::Utils;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main', 'line_notify.shutdown_timeout' => '500ms', max_prepared_transactions => 5);
$node->safe_psql('postgres', "CREATE DATABASE $_") for qw(shop other);
$node->safe_psql('postgres', 'CREATE ROLE nobody LOGIN; CREATE ROLE builder LOGIN CREATEDB');
$node->install('shop', $sim, channel => "total_timeout => '10 min'");
my $n = 0;

sub slow_transfers
{
	my ($db) = @_;
	$node->poll_query_until($db, "SELECT count(*) = 0 FROM line_notify.notifications WHERE state IN ('queued', 'sending')") or die;
	$sim->script_only({ match => { path => 'send' }, at => 'body', do => [{ delay => 600 }, 'answer'] });
	my $before = $sim->summary->{requests};
	# a threshold of failures opens the breaker; stay below it
	$node->insert($db, 2, first => $n + 1);
	$n += 2;
	$sim->wait_requests($before + 2) or die 'nothing is sent';
	$sim->script_only();
}

# the commands in turn, each with transfers on the wire
slow_transfers('shop');
my $t = time();
$node->safe_psql('postgres', 'DROP DATABASE other');
note sprintf 'DROP DATABASE of another one: %.2f s', time() - $t;
cmp_ok(time() - $t, '<', 60, 'DROP DATABASE of another one does not wait for transfers');
is($node->safe_psql('shop', "SELECT count(*) FROM line_notify.notifications WHERE state = 'sending'"), 2, 'and does not end them');

my $pid = $node->worker_pid('shop');
my ($rc, $out, $err) = $node->psql('postgres', 'SET ROLE nobody; ALTER DATABASE shop RENAME TO mine');
like($err, qr/must be owner/, 'somebody else cannot rename it');
is($node->worker_pid('shop'), $pid, 'nor chase the worker away');

for my $try (
	[ 'ALTER DATABASE shop RENAME TO shop2', 'shop2' ],
	[ 'ALTER DATABASE shop2 RENAME TO shop', 'shop' ],
	[ 'CREATE DATABASE shop_copy TEMPLATE shop', 'shop' ])
{
	my ($sql, $db) = @$try;
	$t = time();
	$node->safe_psql('postgres', $sql);
	note sprintf '%s: %.2f s', $sql, time() - $t;
	cmp_ok(time() - $t, '<', 60, $sql);
	$node->insert($db, 1, first => ++$n);
	ok($node->poll_query_until($db, "SELECT state = 'accepted' FROM line_notify.notifications WHERE id = (SELECT max(id) FROM line_notify.notifications)"),
		'and the worker comes back');
	slow_transfers($db);
}

# within one transaction, more than once: the worker stays away until its end
($rc, $out, $err) = $node->psql('postgres', 'BEGIN; ALTER DATABASE shop RENAME TO x; ALTER DATABASE x RENAME TO y; ROLLBACK');
is($err, '', 'renamed twice in a transaction: nobody is in the way');
$node->insert('shop', 1, first => ++$n);
ok($node->poll_query_until('shop', "SELECT state = 'accepted' FROM line_notify.notifications WHERE id = (SELECT max(id) FROM line_notify.notifications)"), 'and the worker is back');

# a command that fails
($rc, $out, $err) = $node->psql('postgres', 'ALTER DATABASE shop RENAME TO postgres');
like($err, qr/already exists/, 'a command that fails');
$node->insert('shop', 1, first => ++$n);
ok($node->poll_query_until('shop', "SELECT state = 'accepted' FROM line_notify.notifications WHERE id = (SELECT max(id) FROM line_notify.notifications)"),
	'the worker is back');

# moved to another tablespace, and away again
my $dir = PostgreSQL::Test::Utils::tempdir();
$node->safe_psql('postgres', "CREATE TABLESPACE elsewhere LOCATION '$dir'");
slow_transfers('shop');
$node->safe_psql('postgres', 'ALTER DATABASE shop SET TABLESPACE elsewhere');
$node->insert('shop', 1, first => ++$n);
ok($node->poll_query_until('shop', "SELECT state = 'accepted' FROM line_notify.notifications WHERE id = (SELECT max(id) FROM line_notify.notifications)"),
	'SET TABLESPACE');

# the copy: everything is there, nothing leaves
my $before = $sim->summary->{requests};
like($node->health('shop_copy'), qr/disarmed/, 'a copy is disarmed');
$node->insert('shop_copy', 3, first => 1000);
$node->safe_psql('shop_copy', 'SELECT line_notify._wake()');
$node->worker_left('shop_copy');
is($node->safe_psql('shop_copy', "SELECT DISTINCT waiting_reason FROM line_notify.notifications WHERE state = 'queued'"), 'disarmed', 'its rows say why they wait');
$node->safe_psql('shop_copy', "SELECT line_notify.arm(backlog => 'keep')");
ok($node->poll_query_until('shop_copy', "SELECT count(*) = 3 FROM line_notify.notifications WHERE id > 0 AND reference LIKE 'ref 100%' AND state = 'accepted'"),
	'arm() lets it send');
is($sim->summary->{requests} - $before, 3, 'and that is all it sent');

# the extension in template1: nothing runs there, and its children are their own
$node->safe_psql('template1', 'CREATE EXTENSION line_notify');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE datname = 'template1' AND backend_type LIKE 'line_notify%'"), 0, 'no worker in a template');
$node->safe_psql('postgres', 'SET ROLE builder; CREATE DATABASE child');
$node->install('child', $sim);
$node->insert('child', 1, first => 2000);
$node->wait_states('child', accepted => 1);
pass('a child of template1 sends');
$node->safe_psql('postgres', 'ALTER DATABASE child IS_TEMPLATE true');
$node->safe_psql('postgres', 'SET ROLE builder; CREATE DATABASE grandchild TEMPLATE child');
pass('a template with a running worker can be copied by others, as templates are');

# when that has gone, no other comes, and drain() does not say that it sent what went before
$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'child' AND backend_type = 'line_notify worker'});
$node->poll_query_until('shop', q{SELECT NOT EXISTS (SELECT FROM line_notify.workers WHERE database = 'child')}) or die 'a worker in a template';
$node->insert('child', 1, first => 2001);
$node->poll_query_until('shop', q{SELECT NOT EXISTS (SELECT FROM line_notify.workers WHERE database = 'child')}) or die 'a worker in a template';
is($node->safe_psql('child', 'CALL line_notify.drain()'), '0|1', 'drain() in a template sends nothing, and says so');
$node->safe_psql('postgres', 'ALTER DATABASE child IS_TEMPLATE false');
$node->wait_states('child', accepted => 2);
pass('it is no template any more, and sends');

# the one that initdb made for everybody's use is closed while the server starts,
# and opened; who else is closed is in 316_reason_matrix.pl
$node->install('postgres', $sim, name => 'ours');
$node->insert('postgres', 1, first => 2100, set => { send_after => "clock_timestamp() + interval '3 s'" });
$node->safe_psql('shop', 'ALTER DATABASE postgres ALLOW_CONNECTIONS false');
$node->restart;
$node->poll_query_until('shop', q{SELECT pid IS NOT NULL FROM line_notify.workers WHERE database = 'shop'}) or die 'no worker looks';
$node->safe_psql('shop', 'ALTER DATABASE postgres ALLOW_CONNECTIONS true');
ok($node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM line_notify.history WHERE state = 'accepted'}), 'postgres is closed, and opened: its messages leave');

# two-phase commit, in the last of the lanes: a look at which lanes have something,
# not one into each of 42
sub lanes_read
{
	# the worker tells before it sleeps
	$node->poll_query_until('shop', "SELECT wait_event_type = 'Extension' FROM pg_stat_activity WHERE backend_type = 'line_notify worker' AND datname = 'shop'") or die;
	return $node->safe_psql('shop', "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'outbox_claim'");
}
$node->safe_psql('shop', 'BEGIN; ' . $node->insert_sql(1, first => 3000, set => { priority => -10 }) . "; PREPARE TRANSACTION 'two'");
$before = $sim->summary->{requests};
my $lanes = lanes_read();
$node->safe_psql('shop', "COMMIT PREPARED 'two'");
ok($sim->wait_requests($before + 1), 'COMMIT PREPARED wakes the worker');
$lanes = lanes_read() - $lanes;
cmp_ok($lanes, '<', 20, 'which finds the row at once');

# with answers outstanding, at once
slow_transfers('shop');
$t = time();
$node->safe_psql('postgres', 'DROP DATABASE shop');
note sprintf 'DROP DATABASE of its own: %.2f s', time() - $t;
cmp_ok(time() - $t, '<', 60, 'DROP DATABASE with transfers on the wire');
ok($node->poll_query_until('postgres', "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'line_notify worker' AND datname = 'shop')"), 'and no worker is left');
unlike(slurp_file($node->logfile), qr/(PANIC|TRAP|was terminated by signal)/, 'no crash in the log');
is($sim->summary->{recipients}{received_twice}, 0, 'nobody got two copies');
$node->stop;
$sim->stop;
done_testing();
