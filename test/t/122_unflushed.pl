# An outcome may be recorded by a commit that is not flushed (src/worker/send_journal.h):
# what a crash takes of it is recorded again, the same; and a claim is on disk
# before its first byte.  Nothing but the worker flushes here: sessions commit
# asynchronously, the WAL writer is stopped, and its death is the crash.
# TAP: crashes at a chosen moment.

use strict;
use warnings;

use IPC::Run;
use Test::More;
use PostgreSQL::Test::Utils;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my @settings = (
	restart_after_crash => 'on', synchronous_commit => 'off', autovacuum => 'off',
	shared_buffers => '64MB', wal_buffers => '8MB', wal_log_hints => 'off', bgwriter_lru_maxpages => 0, checkpoint_timeout => '1h', wal_writer_delay => '10s',
	'line_notify.shutdown_timeout' => '1s', 'line_notify.flush_outcomes_after' => '1h');
my $node = LineNotify::Node->new('main', init => [ allows_streaming => 1 ], @settings);
$node->install('postgres', $sim, channel => "total_timeout => '60 s', connect_timeout => '20 s', backoff_base => '1 h'");
my $n = 0;
my ($wal_writer, $launcher, $standby);
END
{
	local $?;
	kill 'KILL', $wal_writer if $wal_writer;
	kill 'CONT', $launcher if $launcher;
	$standby->kill_kill if $standby;
}

sub sql { return $node->safe_psql('postgres', @_); }

sub until_true
{
	my ($query, $what) = @_;
	$node->poll_query_until('postgres', $query) or die $what // $query;
	return;
}

# Messages, in one transaction that is on disk; their ids.
sub insert
{
	my ($k, %set) = @_;
	my $first = $n + 1;
	$n += $k;
	sql('SET synchronous_commit = on; ' . $node->insert_sql($k, first => $first, set => \%set));
	return split /\n/, sql("SELECT id FROM line_notify.notifications WHERE substr(reference, 5)::integer BETWEEN $first AND $n ORDER BY 1");
}

# What is known of messages that have ended.
sub rows
{
	my $ids = join ',', @_;
	return sql("SELECT id, state, attempts, outcome, http_status, request_id, error, sent_at, ended_at FROM line_notify.history WHERE id IN ($ids) ORDER BY id");
}

sub ended
{
	my $ids = join ',', @_;
	until_true("SELECT count(*) = @{[ scalar @_ ]} FROM line_notify.history WHERE id IN ($ids)");
	return rows(@_);
}

# The files of the claimers, and how many entries are in use in them: 384 bytes
# each, behind a header of 128, with the message first.
sub files { return glob($node->data_dir . '/pg_stat_tmp/line_notify.*'); }

sub entries
{
	my $used = 0;
	for my $file (files())
	{
		open my $fh, '<:raw', $file or next;
		local $/;
		my $content = <$fh>;
		for (my $at = 128; $at < length $content; $at += 384)
		{
			$used++ if unpack('q', substr($content, $at, 8)) != 0;
		}
	}
	return $used;
}

sub at_rest
{
	until_true('SELECT NOT EXISTS (SELECT FROM line_notify.in_flight)');
	until_true("SELECT current_setting('shared_preload_libraries') = '' OR state = 'idle' AND state_change < clock_timestamp() - interval '1 s' FROM (SELECT) x LEFT JOIN pg_stat_activity ON backend_type = 'line_notify worker'");
	return;
}

# From here on nothing is flushed unless a claim or the worker does it.
sub stop_wal_writer
{
	at_rest();
	until_true("SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'walwriter' AND wait_event = 'WalWriterMain'");
	$wal_writer = sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'");
	kill 'STOP', $wal_writer;
	return;
}

# kill -9 of a process of the server, and its restart; what the log says of leases
sub crash
{
	my ($first) = @_;
	my $from = -s $node->logfile;
	kill 'KILL', $first if $first;
	kill 'KILL', $wal_writer;
	undef $wal_writer;
	$node->wait_for_log(qr/all server processes terminated; reinitializing.*ready to accept connections/s, $from) or die;
	until_true('SELECT true');
	at_rest();
	my ($recovered) = slurp_file($node->logfile, $from) =~ /recovered (.* unknown)/;
	return $recovered // 'nothing';
}

# ---- a claim is on disk before it is sent, also after an announcement, whose
# commit is not
{
	sql("ALTER SYSTEM SET line_notify.notify_outcomes = 'outcomes'");
	$node->reload;
	$sim->set_recipients('+819010000001' => 'unreachable');
	my ($id) = insert(1);
	like(ended($id), qr/unreachable/, 'an outcome that is announced');
	stop_wal_writer();
	$sim->script_only({ match => { path => 'send' }, at => 'body', do => [{ delay => 600 }, 'answer'] });
	my $before = $sim->summary->{requests};
	($id) = insert(1);
	$sim->wait_requests($before + 1) or die 'nothing is sent';
	$sim->script_only();
	is(crash(), '1 claims of a process that died: 0 never sent, 0 answered, 1 unknown', 'a crash does not take the claim of what was sent');
	like(ended($id), qr/unknown/, 'it is unknown');
	is($sim->summary->{requests}, $before + 1, 'and not sent again');
}

# ---- what is recorded and not on disk is recorded again, the same
for my $how ('death of the WAL writer', 'death of the worker', 'immediate shutdown', 'loss of the journal')
{
	stop_wal_writer();
	my $what = { match => { path => 'send' }, times => 1 };
	$sim->script_only((map { { %$what, answer => $_ } } 200, 422, 400, 500), { %$what, at => 'body', do => ['close'] });
	my $before = $sim->summary->{requests};
	my @ids = insert(5);
	my $rows = ended(@ids);
	is_deeply([ sort map { (split /\|/)[1] } split /\n/, $rows ], [qw(accepted refused unknown unknown unreachable)], "$how: ended in all ways") or diag($rows);
	is(entries(), 5, "$how: the journal keeps them");
	my $recovered;
	if ($how =~ /death/)
	{
		$recovered = crash($how =~ /worker/ ? $node->worker_pid('postgres') : undef);
	}
	else
	{
		my $from = -s $node->logfile;
		$node->stop('immediate');
		undef $wal_writer;
		$node->journals_by_hand, unlink files() if $how =~ /loss/;
		$node->start;
		at_rest();
		($recovered) = slurp_file($node->logfile, $from) =~ /recovered (.* unknown)/;
	}
	if ($how =~ /loss/)
	{
		is($recovered, '5 claims of a process that died: 0 never sent, 0 answered, 5 unknown', "$how: the records were lost");
		is_deeply([ map { (split /\|/)[1] } split /\n/, rows(@ids) ], [ ('unknown') x 5 ], "$how: nobody knows");
	}
	else
	{
		is($recovered, '5 claims of a process that died: 0 never sent, 4 answered, 1 unknown', "$how: the records were lost");
		is(rows(@ids), $rows, "$how: and made again");
	}
	is($sim->summary->{requests}, $before + 5, "$how: nothing is sent again");
	is(sql("SELECT count(*) FROM line_notify.notifications WHERE state IN ('queued', 'sending')"), 0, "$how: nor waits");
	$sim->script_only();
}

# ---- the journal has two leases of one message: the entry of the first lives until
# somebody sees that its record is on disk
{
	stop_wal_writer();
	my $what = { match => { path => 'send' }, times => 1 };
	$sim->script_only({ %$what, answer => 400 }, { %$what, at => 'body', do => ['stall'] });
	my $before = $sim->summary->{requests};
	my ($id) = insert(1);
	like(ended($id), qr/refused/, 'a message is refused');
	sql("SELECT line_notify.redrive(ids => ARRAY[$id])");
	$sim->wait_requests($before + 2) or die 'it is not sent again';
	is(entries(), 2, 'both attempts are in the journal');
	is(crash(), '1 claims of a process that died: 0 never sent, 0 answered, 1 unknown', 'the answer to the first is none to the second');
	like(ended($id), qr/unknown/, 'it is unknown');
	$sim->script_only();
}

# ---- who frees, reuses or removes an entry flushes first
# a place is needed again
$node->append_conf('postgresql.conf', 'line_notify.max_in_flight = 1');
$node->restart;
{
	stop_wal_writer();
	ended(insert(5));
	pass('a full journal does not keep others waiting');
	ended(insert(3, order_key => "'key'"));
	pass('nor those behind a message of their order_key');
	at_rest();
	my ($id) = insert(1);
	my $row = ended($id);
	is(entries(), 1, 'a place is kept');
	my $s = $node->background_psql('postgres');
	$s->query_safe('BEGIN; LOCK TABLE line_notify.in_flight IN SHARE MODE');
	sql($node->insert_sql(1, first => ++$n));
	until_true("SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE backend_type = 'line_notify worker'");
	crash();
	eval { $s->quit };
	is(rows($id), $row, 'and not used again before its record is on disk');
}
$node->append_conf('postgresql.conf', 'line_notify.max_in_flight = 512');

# the worker leaves in order: because it is told to, because nothing is to be done
for my $how ('told to stop', 'idle')
{
	$node->restart;
	stop_wal_writer();
	my ($id) = insert(1);
	my $row = ended($id);
	my $pid = $node->worker_pid('postgres');
	my ($file) = files();
	is(entries(), 1, "$how: one is kept");
	if ($how eq 'idle')
	{
		sql("ALTER SYSTEM SET line_notify.idle_timeout = '1s'");
		sql('SELECT pg_reload_conf()');
	}
	else
	{
		kill 'TERM', $pid;
	}
	until_true("SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid");
	ok(!-e $file, "$how: the file is gone");
	sql('ALTER SYSTEM RESET line_notify.idle_timeout');
	sql('SELECT pg_reload_conf()');
	is(crash(), 'nothing', "$how: all was on disk before");
	is(rows($id), $row, "$how: as it was");
}

# the file of a dead claimer is removed, when its leases are gone: it could not
# record the second message and left in disorder, and somebody removes that one
{
	sql("SELECT line_notify.alter_channel('shop', total_timeout => '10 min')");
	$node->restart;
	stop_wal_writer();
	$sim->script_only({ match => { path => 'send' }, times => 1 }, { match => { path => 'send' }, at => 'body', do => ['stall'], times => 1 });
	my @ids = insert(2);
	until_true("SELECT count(*) = 1 FROM line_notify.history WHERE id IN ($ids[0], $ids[1])");
	my $id = sql("SELECT id FROM line_notify.history WHERE id IN ($ids[0], $ids[1])");
	my ($other) = grep { $_ != $id } @ids;
	my $row = rows($id);
	my $s = $node->background_psql('postgres');
	$s->query_safe('BEGIN; LOCK TABLE line_notify.history IN SHARE MODE');
	my $pid = $node->worker_pid('postgres');
	my ($file) = files();
	$sim->end_connections('close');
	until_true("SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE backend_type = 'line_notify worker'");
	# its successor comes when there is no lease any more, so that it records nothing
	$launcher = sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'line_notify launcher'");
	kill 'STOP', $launcher;
	kill 'TERM', $pid;
	until_true("SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid");
	ok(-e $file, 'a worker leaves its file behind');
	$node->by_hand('postgres', $other);
	$s->query_safe("DELETE FROM line_notify.in_flight WHERE id = $other; DELETE FROM line_notify.outbox WHERE id = $other; COMMIT");
	kill 'CONT', $launcher;
	undef $launcher;
	$sim->wait_until(sub { !-e $file }) or die 'the file stays';
	is(crash(), 'nothing', 'its file goes after what it recorded is on disk');
	is(rows($id), $row, 'as it was');
	eval { $s->quit };
	$sim->script_only();
}

# ---- nobody waits for the WAL writer
{
	stop_wal_writer();
	my ($id) = insert(1);
	my $row = ended($id);
	sql("ALTER SYSTEM SET line_notify.flush_outcomes_after = '100ms'");
	sql('SELECT pg_reload_conf()');
	ok($sim->wait_until(sub { entries() == 0 }), 'an idle worker flushes');
	sql('ALTER SYSTEM RESET line_notify.flush_outcomes_after');
	sql('SELECT pg_reload_conf()');
	is(crash(), 'nothing', 'it is on disk then');
	is(rows($id), $row, 'as it was');

	stop_wal_writer();
	($id) = insert(1);
	$row = ended($id);
	is(entries(), 1, 'one is kept');
	sql('CALL line_notify.drain()');
	is(crash(), 'nothing', 'drain() comes back when what was sent is on disk');
	is(rows($id), $row, 'as it was');
}

# ---- what is flushed with its record
sub durable
{
	my ($what, %set) = @_;
	stop_wal_writer();
	my ($id) = insert(1, %set);
	my $known = "SELECT state, attempts, error FROM line_notify.notifications WHERE id = $id";
	until_true("SELECT count(*) = 1 FROM line_notify.attempts WHERE id = $id AND ended_at IS NOT NULL");
	my $row = sql($known);
	# not by a flush, which is an hour away
	ok($sim->wait_until(sub { entries() == 0 }), "$what: nothing is kept");
	is(crash(), 'nothing', "$what: it was on disk when it could be seen");
	is(sql($known), $row, "$what: as it was");
	return $row;
}
durable('a policy of the message', policy => q('{"on_unknown": "retry"}'));
durable('another one', policy => q('{"on_server_error": "retry"}'));
for my $setting (qw(on_unknown on_server_error))
{
	sql("SELECT line_notify.alter_channel('shop', $setting => 'retry')");
	durable("the policy $setting of the channel");
	sql("SELECT line_notify.alter_channel('shop', $setting => 'hold')");
}
$sim->script_only({ match => { path => 'send' }, answer => { status => 429, headers => { 'Retry-After' => '3600' } } });
like(durable('refused for now'), qr/^queued\|0\|/, 'still waiting');
sql("SELECT line_notify.cancel(channel => 'shop')");
$sim->script_only();
$node->restart;
# nobody listens there
sql("SELECT line_notify.alter_channel('shop', api_base => 'http://127.0.0.1:1')");
like(durable('to be tried again'), qr/^queued\|1\|./, 'with its attempt');
like(durable('not sent', policy => q('{"max_attempts": 1}')), qr/^failed\|1\|./, 'with its end');
sql("SELECT line_notify.alter_channel('shop', api_base => '@{[ $sim->url ]}'); SELECT line_notify.resume('shop'); SELECT line_notify.cancel(channel => 'shop')");
until_true('SELECT NOT EXISTS (SELECT FROM line_notify.outbox)');
sql("ALTER SYSTEM SET line_notify.flush_outcomes_after = 0");
sql('SELECT pg_reload_conf()');
durable('flush_outcomes_after = 0');
sql('ALTER SYSTEM RESET line_notify.flush_outcomes_after');
sql('SELECT pg_reload_conf()');
{
	my $wal = PostgreSQL::Test::Utils::tempdir();
	my ($in, $out) = ('', '');
	$standby = IPC::Run::start([ 'pg_receivewal', '-D', $wal, '--synchronous', '-d', $node->connstr('postgres') . ' application_name=receiver' ],
		'<', \$in, '>', \$out, '2>&1');
	until_true("SELECT count(*) = 1 FROM pg_stat_replication WHERE application_name = 'receiver'");
	$node->append_conf('postgresql.conf', "synchronous_standby_names = 'receiver'");
	$node->reload;
	until_true("SELECT sync_state = 'sync' FROM pg_stat_replication");
	durable('a synchronous standby');
	$node->append_conf('postgresql.conf', "synchronous_standby_names = ''");
	$node->reload;
	$standby->signal('INT');
	$standby->finish;
	undef $standby;
}

$node->stop;

# ---- a drainer, where nothing is preloaded
$node = LineNotify::Node->new('bare', @settings, shared_preload_libraries => '');
$node->install('postgres', $sim);
{
	stop_wal_writer();
	my ($id) = insert(1);
	sql('CALL line_notify.drain()');
	my $row = rows($id);
	like($row, qr/accepted/, 'a drainer has sent it');
	ok($sim->wait_until(sub { !files() }), 'and left no file');
	crash();
	is(rows($id), $row, 'what it recorded is on disk');
}

$node->stop;
$sim->stop;
done_testing();
