# DROP EXTENSION and DROP DATABASE while answers are awaited return at once,
# and the server lives.  TAP: slow transfers.

use strict;
use warnings;

use Test::More;
use Time::HiRes qw(time);
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main');
$node->safe_psql('postgres', 'CREATE DATABASE shop');
$node->install('postgres', $sim);
$node->install('shop', $sim);

$sim->script({ match => { path => 'send' }, do => ['stall'] });
$node->insert('postgres', 5);
$sim->wait_requests(5) or die;
my $t = time();
$node->safe_psql('postgres', 'DROP EXTENSION line_notify');
note sprintf 'DROP EXTENSION during slow transfers: %.3f s', time() - $t;
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_namespace WHERE nspname = 'line_notify'"), 0, 'DROP EXTENSION during slow transfers');

$node->insert('shop', 5, first => 10);
$sim->wait_requests(10) or die;
$t = time();
$node->safe_psql('postgres', 'DROP DATABASE shop');
note sprintf 'DROP DATABASE during slow transfers: %.3f s', time() - $t;
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_database WHERE datname = 'shop'"), 0, 'DROP DATABASE during slow transfers');

# created again in the same transaction that drops it
$sim->clear_script;
$node->install('postgres', $sim);
$node->safe_psql('postgres', 'BEGIN; DROP EXTENSION line_notify; CREATE EXTENSION line_notify; COMMIT');
$node->install('postgres', $sim);
$sim->reset;
$node->insert('postgres', 3, first => 20);
$node->wait_states('postgres', accepted => 3);
is($sim->summary->{requests}, 3, 'dropped and created in one transaction: sends');
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/(PANIC|TRAP|was terminated by signal)/, 'no crash in the log');

$node->stop;
$sim->stop;
done_testing();
