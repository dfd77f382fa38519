# Who am I?  Copies of a server that know its name: a restored backup started
# beside it, a copy of its files, recovery to a point in time in place.  They send
# nothing until arm(), neither what was due then nor what becomes due later, and
# the original goes on.  What is no copy stays armed: a reboot, a re-attached
# volume, a standby made by a backup.  TAP: several servers, one name.

use strict;
use warnings;

use File::Path qw(rmtree);
use IO::Select ();
use Socket;
use Test::More;
use PostgreSQL::Test::RecursiveCopy;
use PostgreSQL::Test::Utils;
use LineNotify::Sim;
use LineNotify::Node (untraced => 'servers are copied, with their files');

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main', init => [ allows_streaming => 1, has_archiving => 1 ]);
$node->install('postgres', $sim);
$node->insert('postgres', 5);
$node->wait_states('postgres', accepted => 5);
my $n = 5;

sub health { return shift->health('postgres') }

# A server of its own directory and port, and the configuration of the original.
sub server
{
	my ($name) = @_;
	return bless PostgreSQL::Test::Cluster->new($name), 'LineNotify::Node';
}

# Forty that are due, ten for later; a copy is made by a function; who sends what?
sub copied
{
	my ($what, $make) = @_;
	$sim->reset;
	$node->safe_psql('postgres', "SELECT line_notify.pause('shop')");
	$node->insert('postgres', 40, first => $n + 1);
	$node->insert('postgres', 10, first => $n + 41, set => { send_after => "now() + interval '1 day'" });
	$n += 50;
	my $copy = $make->();
	$copy->worker_left('postgres');
	ok($copy->poll_query_until('postgres', 'SELECT count(*) > 0 FROM line_notify.identity WHERE disarmed_at IS NOT NULL'),
		"$what: it knows");
	$node->safe_psql('postgres', "SELECT line_notify.resume('shop')");
	$copy->safe_psql('postgres', "SELECT line_notify.resume('shop')");
	ok($node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM line_notify.outbox WHERE due_at < now()}), "$what: the original sends")
	  or diag health($node);
	# what is for later becomes due in the copy, and something new comes
	$copy->safe_psql('postgres', 'UPDATE line_notify.outbox SET due_at = now()');
	$copy->insert('postgres', 1, first => 5001);
	$copy->restart;
	$copy->worker_left('postgres');
	like(health($copy), qr/disarmed: database "postgres" on node "test"/, "$what: health() says so after a restart, too");
	like(health($copy), qr/51 messages wait, 51 of them due.*cancel/s, "$what: and how many wait");
	is($copy->safe_psql('postgres', "SELECT DISTINCT waiting_reason FROM line_notify.notifications WHERE state = 'queued'"), 'disarmed', "$what: so do the rows");
	is($sim->summary->{requests}, 40, "$what: each is sent once, by the original");
	is($copy->safe_psql('postgres', 'SELECT count(*) FROM line_notify.in_flight'), 0, "$what: the copy has tried nothing");
	$node->safe_psql('postgres', "SELECT line_notify.cancel(batch => NULL, state => 'queued')");
	return $copy;
}

# ---- a base backup on the same host, under the same name (a restore drill)
my $restored = copied('backup', sub {
	$node->backup('drill');
	my $copy = server('restored');
	$copy->init_from_backup($node, 'drill');
	$copy->start;
	return $copy;
});
like(health($restored), qr/restored from a backup/, 'it says why');
# both run, and bear one name; however often somebody has knocked, it is found
my $system = $node->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()');
my ($place) = slurp_file('/proc/net/unix') =~ m{@(line_notify/$system/\S+)} or die 'no place';
for (1 .. 100)
{
	socket(my $knock, PF_UNIX, SOCK_STREAM, 0) or die $!;
	connect($knock, pack_sockaddr_un("\0$place")) or do { fail("knock $_: $!"); last };
	# let in, and shut out again
	IO::Select->new($knock)->can_read($PostgreSQL::Test::Utils::timeout_default) or do { fail("knock $_: nobody opens"); last };
	close $knock;
}
my ($rc, $out, $err) = $restored->psql('postgres', 'SELECT line_notify.arm()');
like($err, qr/another server of this cluster runs on this host as node "test".*HINT:  Set line_notify.node/s, 'arm() is refused while the original runs');
# the original goes down and comes back: the copy does not step in
$node->stop;
$restored->restart;
$restored->worker_left('postgres');
$node->start;
$node->insert('postgres', 1, first => ++$n);
ok($node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM line_notify.outbox'), 'the original restarts and sends');
is($sim->summary->{requests}, 41, 'and the copy did not step in meanwhile');
$restored->safe_psql('postgres', $_) for split /;\n/, $restored->recipe('restore drill: let the copy send new messages only');
$restored->poll_query_until('postgres', "SELECT line_notify._node() = 'drill'") or die;
is($restored->safe_psql('postgres', $restored->recipe('restore drill: arm')), 51, 'arm() under a name of its own: the backlog is cancelled');
$restored->insert('postgres', 1, first => 6001);
ok($restored->poll_query_until('postgres', "SELECT state = 'accepted' FROM line_notify.notifications WHERE reference = 'ref 6001'"), 'and what is new is sent');
$restored->restart;
$restored->insert('postgres', 1, first => 6002);
ok($restored->poll_query_until('postgres', "SELECT state = 'accepted' FROM line_notify.notifications WHERE reference = 'ref 6002'"), 'also after a restart');
is($sim->summary->{requests}, 43, 'that and nothing else');
$restored->stop;

# ---- a copy of the files (a snapshot) beside the original: no trace of recovery
my $twin = copied('twin', sub {
	my $copy = server('twin');
	$node->stop;
	PostgreSQL::Test::RecursiveCopy::copypath($node->data_dir, $copy->data_dir);
	$node->start;
	$copy->append_conf('postgresql.conf', 'port = ' . $copy->port);
	$copy->append_conf('postgresql.conf', "archive_mode = off");
	chmod 0700, $copy->data_dir;
	$node->worker_pid('postgres');
	$node->poll_query_until('postgres', "SELECT bool_and(armed) FROM line_notify.channels") or die;
	$copy->start;
	return $copy;
});
like(health($twin), qr/is a copy: another server/, 'it says why');
$twin->stop;

# ---- recovery to a point in time, in place
$sim->reset;
$node->backup('pitr');
$node->safe_psql('postgres', "SELECT line_notify.pause('shop')");
$node->insert('postgres', 20, first => $n + 1);
$node->insert('postgres', 10, first => $n + 21, set => { send_after => "now() + interval '1 day'" });
$n += 30;
$node->safe_psql('postgres', "SELECT pg_create_restore_point('before')");
$node->safe_psql('postgres', "SELECT line_notify.resume('shop')");
$node->poll_query_until('postgres', 'SELECT count(*) = 10 FROM line_notify.outbox') or die;
is($sim->summary->{requests}, 20, 'before: twenty are sent');
$node->safe_psql('postgres', 'SELECT pg_switch_wal()');
$node->stop;
my $data = $node->data_dir;
rmtree($data);
PostgreSQL::Test::RecursiveCopy::copypath($node->backup_dir . '/pitr', $data);
chmod 0700, $data;
$node->enable_restoring($node, 0);
# before the first of them was claimed: the queue of that moment
$node->append_conf('postgresql.conf', "archive_mode = off\nrecovery_target_name = before\nrecovery_target_action = promote\nport = " . $node->port);
$node->start;
$node->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die;
$node->worker_left('postgres');
ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM line_notify.identity WHERE disarmed_why = 'restored'"), 'in place: it knows');
$node->safe_psql('postgres', "SELECT line_notify.resume('shop')");
$node->safe_psql('postgres', 'UPDATE line_notify.outbox SET due_at = now()');
$node->insert('postgres', 1, first => ++$n);
$node->restart;
$node->worker_left('postgres');
like(health($node), qr/restored from a backup.*31 messages wait, 31 of them due/s, 'in place: and says so');
is($sim->summary->{requests}, 20, 'in place: nothing is sent');
is($node->safe_psql('postgres', 'SELECT line_notify.arm()'), 31, 'until arm()');
ok($node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM line_notify.outbox'), 'then all of it');
is($sim->summary->{requests}, 51, 'all 31 of them, which is what was asked for');

# ---- the same elsewhere, by a server that did not load the library meanwhile
my $late = server('late');
$late->init_from_backup($node, 'pitr', has_restoring => 1, standby => 0);
$late->append_conf('postgresql.conf', "archive_mode = off\nrecovery_target_name = before\nrecovery_target_action = promote\nshared_preload_libraries = ''");
$late->start;
$late->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die;
$late->append_conf('postgresql.conf', "shared_preload_libraries = 'line_notify'");
$late->restart;
$late->worker_left('postgres');
like(health($late), qr/restored from a backup/, 'recovered without the library: it knows by its timeline');
$late->stop;

# ---- what is no copy
sub armed
{
	my ($who, $what) = @_;
	my $before = $sim->summary->{requests};
	$who->insert('postgres', 1, first => ++$n);
	ok($who->poll_query_until('postgres', "SELECT state = 'accepted' FROM line_notify.notifications WHERE reference = 'ref $n'"), "stays armed: $what")
	  or diag health($who);
}
$node->restart;
armed($node, 'a restart after arm(), with the settings of the recovery still there');
$node->stop('immediate');
$node->start;
armed($node, 'a crash, or power loss');
$node->stop;
PostgreSQL::Test::RecursiveCopy::copypath($data, "$data.moved");
rmtree($data);
rename("$data.moved", $data) or die $!;
chmod 0700, $data;
$node->start;
armed($node, 'a volume that was re-attached, or restored to another device: new inodes');

# a standby comes from a backup, too
$node->adjust_conf('postgresql.conf', $_, undef) for 'restore_command', 'recovery_target_name';
$node->restart;
$node->backup('standby');
my $standby = server('standby');
$standby->init_from_backup($node, 'standby', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
like(health($node), qr/1 standby server is attached, and after a failover only the node of this name may send: test.*line_notify.arm\(nodes => /s,
	'the primary says which nodes are missing');
$node->safe_psql('postgres', "SELECT line_notify.arm(nodes => '{test,other}')");
unlike(health($node), qr/standby server/, 'and is content when they are named');
($rc, $out, $err) = $node->psql('postgres', "SELECT line_notify.arm(nodes => '{test}')");
like($err, qr/NOTICE:  no longer armed: other/, 'a list is not shortened without a word');
$node->safe_psql('postgres', "SELECT line_notify.arm(nodes => '{test,other}')");
# it is cut loose: not promoted, on the timeline of its primary, which goes on
$node->safe_psql('postgres', "SELECT line_notify.pause('shop')");
$node->insert('postgres', 5, first => $n + 1);
$n += 5;
$node->wait_for_catchup($standby);
$standby->stop;
$standby->append_conf('postgresql.conf', "line_notify.node = 'other'");
unlink($standby->data_dir . '/standby.signal') or die;
$standby->start;
$standby->safe_psql('postgres', "SELECT line_notify.resume('shop')");
$standby->worker_left('postgres');
like(health($standby), qr/disarmed: database "postgres" on node "other" was a standby.*5 messages wait/s, 'without its standby.signal: it knows, and says what waits');
$standby->restart;
$standby->worker_left('postgres');
like(health($standby), qr/disarmed.*was a standby/, 'after a restart, too');
my $sent = $sim->summary->{requests};
$node->safe_psql('postgres', "SELECT line_notify.resume('shop')");
ok($node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM line_notify.outbox'), 'its primary sends');
is($sim->summary->{requests}, $sent + 5, 'and nobody else');
$standby->stop;
# one that was made after the last arm(): it still has the traces of its backup
$node->backup('standby2');
$standby = server('standby2');
$standby->init_from_backup($node, 'standby2', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
$node->stop;
$standby->append_conf('postgresql.conf', "line_notify.node = 'other'\nline_notify.promotion_grace = 0");
$standby->reload;
$standby->promote;
armed($standby, 'a standby that was promoted');
$standby->restart;
armed($standby, 'and restarted');

# arm() where nobody named this node: the former ones are told of
$standby->append_conf('postgresql.conf', "line_notify.node = 'third'");
$standby->reload;
$standby->poll_query_until('postgres', "SELECT line_notify._node() = 'third'") or die;
like(health($standby), qr/on node "third" is not where the channel was armed \(nodes test, other\)/, 'a name that is not on the list');
($rc, $out, $err) = $standby->psql('postgres', 'SELECT line_notify.arm()');
like($err, qr/NOTICE:  no longer armed: other, test/, 'arm() says whom it leaves out');
armed($standby, 'a node that was armed');

unlike(slurp_file($_->logfile), qr/(PANIC|TRAP|was terminated by signal)/, 'no crash in the log of ' . $_->name) for $node, $restored, $twin, $standby;
$standby->stop;
$sim->stop;
done_testing();
