# Copies of a server send nothing until arm(): a restored dump, a base backup
# started under another node name, a subscriber FOR ALL TABLES.  The original
# goes on.  TAP: several servers.

use strict;
use warnings;

use Test::More;
use PostgreSQL::Test::Utils;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main', init => [ allows_streaming => 'logical' ]);
$node->install('postgres', $sim, channel => "total_timeout => '10 min'");
$node->insert('postgres', 5);
$node->wait_states('postgres', accepted => 5);

# rows that wait, some of them due, and some in flight
$sim->script({ match => { path => 'send' }, at => 'body', do => [ 'hold', 'answer' ] });
my $before = $sim->summary->{requests};
$node->insert('postgres', 2, first => 10);
$sim->wait_requests($before + 2) or die;
$node->safe_psql('postgres', "SELECT line_notify.pause('shop')");
$node->insert('postgres', 3, first => 20);

$node->backup('base');
my $dump = $node->basedir . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, '-d', $node->connstr('postgres') ], 'pg_dump');
$sim->clear_script;

# a restored dump, on the same server and node
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $node->connstr('restored') ], 'restored without an error');
is($node->safe_psql('restored', 'SELECT state, count(*) FROM line_notify.notifications GROUP BY 1 ORDER BY 1'),
	"queued|3\nsending|2\naccepted|5", 'the dump has every row in its state');
$node->worker_left('restored');
like($node->health('restored'), qr/disarmed/, 'a restored dump is disarmed');

# a base backup, started elsewhere
my $copy = PostgreSQL::Test::Cluster->new('copy');
bless $copy, 'LineNotify::Node';
$copy->init_from_backup($node, 'base');
$copy->append_conf('postgresql.conf', "line_notify.node = 'elsewhere'");
$copy->start;
$copy->worker_left('postgres');
$copy->safe_psql('postgres', "SELECT line_notify.resume('shop')");
like($copy->health('postgres'), qr/disarmed.*elsewhere/s, 'a base backup elsewhere is disarmed');

# a subscriber to everything
my $sub = LineNotify::Node->new('sub', init => [ allows_streaming => 'logical' ]);
$sub->install('postgres', $sim);
$sub->safe_psql('postgres', 'DELETE FROM line_notify.credential; DELETE FROM line_notify.channel; DELETE FROM line_notify.identity');
$node->safe_psql('postgres', 'CREATE PUBLICATION everything FOR ALL TABLES');
(my $connstr = $node->connstr('postgres')) =~ s{'}{''}g;
# partitions of history are made here as there; the subscriber lacks those of
# the publisher only if it has sent nothing yet
$sub->safe_psql('postgres', 'SELECT line_notify._ensure_history(1)');
my ($rc, $out, $err) = $sub->psql('postgres', "CREATE SUBSCRIPTION everything CONNECTION '$connstr' PUBLICATION everything");
is($rc, 0, 'a subscriber FOR ALL TABLES') or diag $err;
ok($sub->poll_query_until('postgres', 'SELECT count(*) >= 3 FROM line_notify.outbox'), 'has the rows');
like($sub->health('postgres'), qr/disarmed/, 'and is disarmed');

$before = $sim->summary->{requests};
$node->safe_psql('postgres', "SELECT line_notify.resume('shop')");
$node->insert('postgres', 2, first => 30);
ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM line_notify.notifications WHERE state IN ('queued', 'sending')"), 'the original sends');
$sub->poll_query_until('postgres', 'SELECT count(*) >= 10 FROM line_notify.history') or die;
is($sim->summary->{requests} - $before, 5, 'and nobody else did');
is($sim->summary->{messages}{received_twice}, 0, 'nobody got two copies');
for my $n ([ $node, 'restored' ], [ $copy, 'postgres' ], [ $sub, 'postgres' ])
{
	is($n->[0]->safe_psql($n->[1], "SELECT count(*) FROM line_notify.attempt_log"), 0, $n->[0]->name . " $n->[1]: not even an attempt");
}

# armed on purpose: the backlog is cancelled or sent, what was in flight is unknown.
# Staging, by doc/availability.md: to one's own telephones only.
$before = $sim->summary->{requests};
$copy->safe_psql('postgres', $copy->recipe('staging'));
$copy->insert('postgres', 2, first => 1);
ok($copy->poll_query_until('postgres', "SELECT string_agg(state::text, ' ' ORDER BY reference) = 'accepted suppressed' FROM line_notify.notifications WHERE created_at > (SELECT max(armed_at) FROM line_notify.identity)"),
	'staging: only who is on the list')
  or diag $copy->safe_psql('postgres', 'SELECT id, state, error, reference FROM line_notify.notifications');
is($sim->summary->{requests} - $before, 1, 'staging: nothing of the backlog');
ok($copy->poll_query_until('postgres', "SELECT count(*) = 0 FROM line_notify.notifications WHERE state IN ('queued', 'sending')"), 'arm(backlog => cancel)')
  or diag $copy->safe_psql('postgres', 'SELECT * FROM line_notify.notifications; SELECT * FROM line_notify.health()');
$node->safe_psql('restored', "SELECT line_notify.arm(); SELECT line_notify.set_credential('shop', 'access_token', '" . $sim->token . "'); SELECT line_notify.resume('shop')");
$before = $sim->summary->{requests};
ok($node->poll_query_until('restored', "SELECT count(*) = 0 FROM line_notify.notifications WHERE state IN ('queued', 'sending')"), 'arm() of a restored dump');
is($node->safe_psql('restored', "SELECT count(*) FROM line_notify.notifications WHERE state = 'unknown'"), 2, 'what was on the wire when it was dumped is unknown');
unlike(slurp_file($_->logfile), qr/(PANIC|TRAP|was terminated by signal)/, 'no crash in the log') for $node, $copy, $sub;
$_->stop for $sub, $copy, $node;
$sim->stop;
done_testing();
