# Every database that has the extension is served, without being named
# anywhere, and one that has not is left alone.  TAP: several databases, and
# worker processes coming and going.

use strict;
use warnings;

use Test::More;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main');
my @dbs = map { "shop_$_" } 1 .. 3;
$node->safe_psql('postgres', "CREATE DATABASE $_") for @dbs, 'plain';

# a worker appears at COMMIT of CREATE EXTENSION, not before
my $session = $node->background_psql('shop_1');
$session->query_safe('BEGIN; CREATE EXTENSION line_notify;');
# polled: the launcher may be looking into all databases, since the server was started
ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'line_notify worker' AND datname = 'shop_1'"),
	'no worker before the commit');
$session->query_safe('COMMIT');
ok($node->worker_pid('shop_1'), 'a worker after it');
$session->quit;

$node->install($_, $sim) for @dbs;
$node->insert($_, 200, first => 1000 * substr($_, -1)) for @dbs;
$node->wait_states($_, accepted => 200) for @dbs;
is($sim->summary->{requests}, 600, 'three databases at once: all messages arrive');
is($sim->summary->{recipients}{received_twice}, 0, 'once each');
ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = 'plain'"),
	'nobody stays in a database without the extension');

# they are found again after a restart
$sim->reset;
$node->restart;
$node->insert($_, 10, first => 5000 + 1000 * substr($_, -1)) for @dbs;
$node->wait_states($_, accepted => 210) for @dbs;
is($sim->summary->{requests}, 30, 'after a restart all three are served again');

# a dropped database and a dropped extension
$node->safe_psql('postgres', 'DROP DATABASE shop_1');
ok(1, 'DROP DATABASE of a worker\'s own database works');
my $pid = $node->worker_pid('shop_2');
$node->safe_psql('shop_2', 'DROP EXTENSION line_notify');
ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid"),
	'the worker leaves when the extension is dropped');
$node->safe_psql('postgres', 'ALTER DATABASE shop_3 RENAME TO shop_4');
$node->insert('shop_4', 5, first => 9000);
$node->wait_states('shop_4', accepted => 215);
ok(1, 'a renamed database is served under its new name');

$node->stop;
$sim->stop;
done_testing();
