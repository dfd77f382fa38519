# Who may write what, and on whose word: an outcome is recorded only under the
# lease it was claimed with; a claim is synchronous whatever the database says;
# the file of a dead worker is believed only on the disk and in the boot it was
# written in; no statement with a number reaches the log.  TAP, because each
# needs a worker that is stopped, killed or stalled at the right moment.

use strict;
use warnings;

use IPC::Run;
use Test::More;
use PostgreSQL::Test::Utils;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main', init => [ allows_streaming => 1 ], 'line_notify.shutdown_timeout' => '1s');
$node->install('postgres', $sim, channel => "on_server_error => 'retry', backoff_base => '100 ms', total_timeout => '60 s'");
my $log = $node->logfile;
my $n = 0;
my $standby;
END { local $?; $standby->kill_kill if $standby }

sub insert
{
	my ($k) = @_;
	$node->insert('postgres', $k, first => $n + 1);
	$n += $k;
	return $node->safe_psql('postgres', 'SELECT max(id) FROM line_notify.notifications');
}

# ---- a lease that somebody else holds now
for my $case ([ 'an outcome', 200 ], [ 'a return to the queue', 500 ])
{
	my ($what, $status) = @$case;
	my $from = -s $log;
	$sim->script_only({ match => { path => 'send' }, at => 'body', do => [ 'hold', 'answer' ], answer => $status, times => 1 });
	my $before = $sim->summary->{requests};
	my $id = insert(1);
	$sim->wait_requests($before + 1) or die 'nothing is sent';
	$node->lease_stolen('postgres', $id);
	$node->safe_psql('postgres', "UPDATE line_notify.in_flight SET token = token + 1, claimer = 12345678901 WHERE id = $id");
	$sim->clear_script;
	ok($node->wait_for_log(qr/1 of 1 leases were no longer ours/, $from), "$what under a lost lease is told");
	is($node->safe_psql('postgres',
			"SELECT (SELECT count(*) FROM line_notify.in_flight WHERE id = $id), (SELECT count(*) FROM line_notify.outbox WHERE id = $id AND attempts = 0 AND NOT maybe_sent), (SELECT count(*) FROM line_notify.history WHERE id = $id), (SELECT count(*) FROM line_notify.attempt_log WHERE id = $id)"),
		'1|1|0|0', "$what under a lost lease changes nothing");
	# the new holder is dead, and left no file: nobody knows
	$node->restart;
	$node->poll_query_until('postgres', "SELECT state = 'unknown' FROM line_notify.notifications WHERE id = $id") or die;
	pass('what its holder left is unknown');
}

# ---- a delivery event that overtakes an answer after which we would send again
{
	$sim->script_only({ match => { path => 'send' }, at => 'body', do => [ 'hold', 'answer' ], answer => 500, times => 1 });
	my $before = $sim->summary->{requests};
	my $id = insert(1);
	$sim->wait_requests($before + 1) or die 'nothing is sent';
	my ($tag) = map { $_->{tag} } grep { $_->{tag} =~ /^ln1-0*$id-/ } $sim->requests;
	my $ms = time() * 1000;
	is($node->safe_psql('postgres',
			qq{SELECT line_notify.receive_verified_events('shop', '{"events":[{"type":"delivery","delivery":{"data":"$tag"},"webhookEventId":"early","timestamp":$ms}]}')}),
		1, 'the event comes while the answer is awaited');
	$node->poll_query_until('postgres', "SELECT delivered_at IS NOT NULL FROM line_notify.in_flight WHERE id = $id") or die 'not folded';
	$sim->clear_script;
	ok($node->poll_query_until('postgres', "SELECT state = 'delivered' FROM line_notify.notifications WHERE id = $id"),
		'a message that has arrived is not queued again');
	is($sim->summary->{requests}, $before + 1, 'and there is no second copy');
}

# ---- a claim is synchronous, even where the database says otherwise
$node->safe_psql('postgres', 'ALTER DATABASE postgres SET synchronous_commit = off');
$node->restart;
$node->worker_pid('postgres');
$node->append_conf('postgresql.conf', "synchronous_standby_names = 'nobody'");
$node->reload;
$node->poll_query_until('postgres', "SELECT setting = 'nobody' FROM pg_settings WHERE name = 'synchronous_standby_names'") or die;
# only when the checkpointer knows does anybody wait, and this it does not begin before
$node->safe_psql('postgres', 'CHECKPOINT');
my $before = $sim->summary->{requests};
insert(2);
ok($node->poll_query_until('postgres',
	"SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'line_notify worker' AND wait_event = 'SyncRep'"),
	'what must be durable waits for the standby although the database says "off"');
is($sim->summary->{requests}, $before, 'and nothing is sent');
$node->append_conf('postgresql.conf', "synchronous_standby_names = ''");
$node->reload;
ok($sim->wait_requests($before + 2), 'until it has it');
$node->safe_psql('postgres', 'ALTER DATABASE postgres RESET synchronous_commit');

# ---- a claim whose wait for the standby is cut short: it is committed here, and
# looks like success, but nothing of it is sent
{
	my $wal = PostgreSQL::Test::Utils::tempdir();
	my ($in, $out) = ('', '');
	$standby = IPC::Run::start([ 'pg_receivewal', '-D', $wal, '--synchronous', '-d', $node->connstr('postgres') . ' application_name=receiver' ],
		'<', \$in, '>', \$out, '2>&1');
	$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_replication WHERE application_name = 'receiver'") or die;
	my $receiver = $standby->{KIDS}[0]{PID};
	$node->append_conf('postgresql.conf', "synchronous_standby_names = 'receiver'");
	$node->reload;
	$node->poll_query_until('postgres', "SELECT sync_state = 'sync' FROM pg_stat_replication") or die;
	my $id = insert(1);
	$node->poll_query_until('postgres', "SELECT state = 'accepted' FROM line_notify.notifications WHERE id = $id") or die;
	$node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM line_notify.outbox') or die 'not at rest';
	$node->poll_query_until('postgres', "SELECT state = 'idle' AND state_change < clock_timestamp() - interval '1 s' FROM pg_stat_activity WHERE backend_type = 'line_notify worker'") or die 'the worker is busy';
	kill 'STOP', $receiver;
	my $before = $sim->summary->{requests};
	my $from = -s $log;
	$node->safe_psql('postgres', 'SET synchronous_commit = local; ' . $node->insert_sql(3, first => $n + 1));
	$n += 3;
	ok($node->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'line_notify worker' AND wait_event = 'SyncRep' AND query = 'claiming messages'"),
		'a claim waits for the standby');
	my $pid = $node->worker_pid('postgres');
	$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
	# the signal is neither pending nor being handled
	$sim->wait_until(sub {
		my $status = slurp_file("/proc/$pid/status");
		return $status =~ /^State:\s+S/m && !grep { hex(substr $_, -1) & 2 } $status =~ /^S\w*Pnd:\s+(\w+)/mg;
	}) or die 'the signal is pending';
	is($node->safe_psql('postgres', "SELECT wait_event FROM pg_stat_activity WHERE pid = $pid AND query = 'claiming messages'"), 'SyncRep',
		'pg_cancel_backend() does not end the wait');
	is($sim->summary->{requests}, $before, 'and nothing is sent');
	is($node->safe_psql('postgres', "SELECT pg_terminate_backend($pid, 60000)"), 't', 'pg_terminate_backend() ends the wait');
	$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'line_notify worker' AND pid <> $pid") or die;
	is($sim->summary->{requests}, $before, 'the wait that was cut short sends nothing');
	kill 'CONT', $receiver;
	ok($node->wait_for_log(qr/recovered 3 claims of a process that died: 3 never sent/, $from), 'its successor knows that');
	ok($sim->wait_requests($before + 3), 'and sends');
	$node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM line_notify.outbox') or die 'not at rest';
	is($sim->summary->{requests}, $before + 3, 'once');
	$node->append_conf('postgresql.conf', "synchronous_standby_names = ''");
	$node->reload;
	$standby->signal('INT');
	$standby->finish;
	undef $standby;
}

# ---- files of dead workers
sub journal
{
	my @files = glob($node->data_dir . '/pg_stat_tmp/line_notify.*');
	die 'no journal file' unless @files;
	return @files;
}

for my $case ([ 'untouched', qr/recovered 1 claims of a process that died: 1 never sent, 0 answered, 0 unknown/ ],
	[ 'copied', qr/recovered 1 claims of a process that died: 0 never sent, 0 answered, 1 unknown/ ],
	[ 'of another boot', qr/recovered 1 claims of a process that died: 0 never sent, 0 answered, 1 unknown/ ])
{
	my ($what, $want) = @$case;
	$node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM line_notify.outbox') or die 'not at rest';
	$node->safe_psql('postgres', "SELECT line_notify.alter_channel('shop', rate_limit => 1)");
	# it stands until it dies with the server
	$node->in_hand('postgres', $sim, \&insert);
	$node->stop('immediate');
	$node->journals_by_hand if $what ne 'untouched';
	for my $file (journal())
	{
		my $content = slurp_file($file);
		if ($what eq 'copied')
		{
			rename($file, "$file.old") or die $!;
			append_to_file($file, $content);
			unlink "$file.old";
		}
		elsif ($what eq 'of another boot')
		{
			open my $fh, '+<:raw', $file or die $!;
			# behind magic, claimer, device and inode
			seek $fh, 32, 0;
			print $fh 'f' x 8;
			close $fh;
		}
	}
	my $from = -s $log;
	$node->start;
	ok($node->wait_for_log($want, $from), "the file of a dead worker, $what");
	$node->safe_psql('postgres', "SELECT line_notify.alter_channel('shop', rate_limit => 2000)");
}

# ---- statements with numbers
$node->append_conf('postgresql.conf', "log_min_error_statement = error\nlog_min_messages = warning");
$node->reload;
for my $sql (
	"INSERT INTO line_notify.outbox (phone, no_such_column) VALUES ('09012345678', 1)",
	"SELECT line_notify.ENQUEUE('09012345678', 'no_such_case')",
	"SELECT line_notify.normalize_Phone('09012345678', 'no such region')",
	"SELECT line_notify.suppress_recipient(phone => '09012345678', nonsense => 1)")
{
	$node->psql('postgres', $sql);
}
my $from = -s $log;
$node->psql('postgres', 'SELECT 1 / 0 AS division');
$node->wait_for_log(qr/STATEMENT:  SELECT 1 \/ 0 AS division/, $from);
unlike(slurp_file($log), qr/9012345678/, 'an error of a statement with a number is logged without it');
$node->stop;

# nor is one that view messages passes on, whose parts others made, where the library is not preloaded
my $bare = LineNotify::Node->new('bare', shared_preload_libraries => '', log_min_error_statement => 'error');
$bare->install('postgres', $sim);
$bare->safe_psql('postgres', "ALTER TABLE line_notify.outbox ADD CONSTRAINT never CHECK (reference <> 'x')");
$from = -s $bare->logfile;
$bare->psql('postgres', "INSERT INTO line_notify.messages (phone, use_case, template_key, reference) VALUES ('09012345678', 'reservation', 't', 'x')");
$bare->psql('postgres', 'SELECT 1 / 0 AS division');
$bare->wait_for_log(qr/violates check constraint "never".*STATEMENT:  SELECT 1 \/ 0 AS division/s, $from);
unlike(slurp_file($bare->logfile, $from), qr/9012345678/, 'nor a constraint that a row of view messages violates');
$bare->stop;
$sim->stop;
done_testing();
