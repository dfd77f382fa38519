# Paths that only trouble takes: an answer that could not be recorded before the
# end of the server; an endpoint that is not there; a row that cannot be moved to
# history; databases dropped by force, workers that do not step aside, sessions
# that die while they wait for one; old keys that nobody needs.  TAP, because each
# needs a worker, and somebody to hurt it.

use strict;
use warnings;

use IPC::Run;
use Test::More;
use PostgreSQL::Test::Utils;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main', 'line_notify.shutdown_timeout' => '0');
$node->install('postgres', $sim);
my $log = $node->logfile;

sub background
{
	my ($sql) = @_;
	my ($in, $out, $err) = ("$sql\n\\echo held\n", '', '');
	my $h = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') ], '<', \$in, '>', \$out, '2>', \$err, IPC::Run::timer(120));
	return ($h, \$out);
}

# ---- seen, not recorded: the file of the dead worker has the status

$node->insert('postgres', 1);
$node->wait_states('postgres', accepted => 1);
$sim->script_only({ match => { path => 'send' }, at => 'body', do => [ 'hold', 'answer' ], times => 2 });
my $before = $sim->summary->{requests};
$node->insert('postgres', 2, first => 2);
$sim->wait_requests($before + 2) or die 'nothing is sent';
# from here on nothing can be recorded
my ($locker, $held) = background('BEGIN; LOCK TABLE line_notify.history IN ACCESS EXCLUSIVE MODE;');
$locker->pump until $$held =~ /held/;
my $from = -s $log;
$sim->clear_script;
ok($node->wait_for_log(qr/lock timeout/, $from), 'an outcome cannot be recorded');
# nor the other, which may have come while the worker waited
$node->wait_for_log(qr/lock timeout/, -s $log);
$node->stop('immediate');
eval { $locker->finish };
$from = -s $log;
$node->start;
ok($node->wait_for_log(qr/recovered 2 claims of a process that died: 0 never sent, 2 answered, 0 unknown/, $from),
	'what was answered and not recorded is not lost');
$node->wait_states('postgres', accepted => 3);
is($sim->summary->{recipients}{received_twice}, 0, 'and not sent again');

# ---- nobody there
$node->safe_psql('postgres', q{
SELECT line_notify.create_channel('gone', api_base => 'http://127.0.0.1:1', max_attempts => 2, backoff_base => '10 ms');
SELECT line_notify.set_credential('gone', 'access_token', 'token');
INSERT INTO line_notify.outbox (channel, phone, use_case, template_key, body)
VALUES ('gone', '09012345678', 'parcel_delivery', 'shipment_completed_ja', '{"items": [{"itemKey": "number_001_ja", "content": "1234"}]}');
});
$node->poll_query_until('postgres', q{SELECT state = 'failed' AND attempts = 2 FROM line_notify.notifications WHERE channel = 'gone'})
  or die 'not failed';
pass('what could not be sent in max_attempts attempts has failed');

# ---- a row that cannot be moved to history does not hold up the others
$node->safe_psql('postgres', q{
ALTER TABLE line_notify.history ADD CONSTRAINT never CHECK (reference IS DISTINCT FROM 'ref 55') NOT VALID;
SELECT line_notify.pause('shop');
});
$node->insert('postgres', 10, first => 51, set => { channel => q('shop'), expires_at => "clock_timestamp() + interval '1 second' + i * interval '1 ms'" });
ok($node->poll_query_until('postgres', q{SELECT count(*) = 9 AND (SELECT count(*) = 1 FROM line_notify.set_aside WHERE message ->> 'reference' = 'ref 55')
	FROM line_notify.history WHERE state = 'expired' AND reference ~ '^ref (5[1-9]|60)$'}), 'a row that cannot end does not stop the others');
$node->safe_psql('postgres', q{ALTER TABLE line_notify.history DROP CONSTRAINT never; SELECT line_notify.resume('shop')});
ok($node->poll_query_until('postgres', q{SELECT state = 'expired' FROM line_notify.history WHERE reference = 'ref 55'}),
	'and ends when it can');

# ---- old keys and days
$node->safe_psql('postgres', q{
INSERT INTO line_notify.dedup (channel, dedup_key, id, until) VALUES ('shop', 'old', 1, now() - interval '1 s'), ('shop', 'new', 2, now() + interval '1 day');
INSERT INTO line_notify.daily_sent (channel, day, sent) VALUES ('shop', current_date - 500, 1);
});
$node->restart;
ok($node->poll_query_until('postgres', q{SELECT (SELECT string_agg(dedup_key, ',') = 'new' FROM line_notify.dedup)
	AND NOT EXISTS (SELECT FROM line_notify.daily_sent WHERE day < current_date - 400)}), 'old keys and days are swept up');

# ---- files that are no place for a secret
my $dir = PostgreSQL::Test::Utils::tempdir();
system('mkfifo', '-m', '600', "$dir/pipe") == 0 or die;
append_to_file("$dir/empty", '');
append_to_file("$dir/blank", "\nsecret\n");
append_to_file("$dir/open", "secret\n");
chmod 0600, "$dir/empty", "$dir/blank";
chmod 0644, "$dir/open";
for my $case ([ pipe => 'it is not a regular file' ], [ '' => 'it is not a regular file' ],
	[ empty => 'it is empty or cannot be read' ], [ blank => 'its first line is empty' ],
	[ open => "it must belong to the server's user and be accessible to nobody else (0600), or to root (0640)" ],
	[ none => 'could not open the file: No such file or directory' ])
{
	is($node->safe_psql('postgres', "SELECT line_notify._secret_fault('channel_secret', 'file:$dir/$case->[0]')"), $case->[1], "no secret: $case->[1]");
}

# ---- many at once with one key: a look before the insertion is not enough
$node->safe_psql('postgres', "SELECT line_notify.create_channel('race')");
append_to_file("$dir/race.sql", q{
SELECT floor(extract(epoch FROM clock_timestamp()) * 200) AS k \gset
INSERT INTO line_notify.outbox (channel, phone, use_case, template_key, dedup_key) VALUES ('race', '09012345678', 'parcel_delivery', 't', 'race ' || :k);
});
$node->command_ok([ 'pgbench', '-n', '-c', 8, '-j', 2, '-t', 300, '-f', "$dir/race.sql", $node->connstr('postgres') ], 'a race for keys');
is($node->safe_psql('postgres', q{SELECT count(*) - count(DISTINCT dedup_key) FROM line_notify.notifications WHERE channel = 'race'}), 0,
	'each key was taken once');

# ---- DROP DATABASE by force, with messages on the wire and somebody connected
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->install('other', $sim);
$sim->script_only({ match => { path => 'send' }, at => 'body', do => [{ delay => 30 }, 'answer'] });
$before = $sim->summary->{requests};
$node->insert('other', 2, first => 100);
$sim->wait_requests($before + 2) or die 'nothing is sent';
my ($rc, $o, $err) = $node->psql('postgres', 'DROP DATABASE other WITH (FORCE)');
is($rc, 0, 'DROP DATABASE WITH (FORCE) does not wait for answers');
$sim->script_only();

# ---- a worker that does not step aside
$node->safe_psql('postgres', 'CREATE DATABASE stuck');
$node->install('stuck', $sim);
$node->insert('stuck', 1, first => 200);
$node->wait_states('stuck', accepted => 1);
my $worker = $node->worker_pid('stuck');
# how long a session waits for it
sub patience
{
	$node->append_conf('postgresql.conf', "line_notify.shutdown_timeout = '$_[0]'");
	$node->reload;
	$node->poll_query_until('postgres', "SELECT current_setting('line_notify.shutdown_timeout') = '$_[0]'") or die 'not reloaded';
	return;
}
patience('1min');
kill 'STOP', $worker;
my ($none, $said) = ('', '');
my $rename = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', 'ALTER DATABASE stuck RENAME TO unstuck' ],
	'<', \$none, '>', \$said, '2>', \$said, IPC::Run::timer(120));
# a session that waits for it and is killed lets go
$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'ALTER DATABASE%' AND wait_event_type = 'Extension'")
  or die 'nobody waits';
$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE query LIKE 'ALTER DATABASE%' AND pid <> pg_backend_pid()");
eval { $rename->finish };
kill 'CONT', $worker;
$node->insert('stuck', 1, first => 201);
$node->wait_states('stuck', accepted => 2);
pass('the worker goes on when the session that wanted it away has died');

patience('0');
$worker = $node->worker_pid('stuck');
kill 'STOP', $worker;
($rc, $o, $err) = $node->psql('postgres', 'ALTER DATABASE stuck RENAME TO unstuck');
like($err, qr/did not step aside in time.*being accessed by other users/s, 'a worker that hangs is told, and the command fails as it must');
kill 'CONT', $worker;
$node->insert('stuck', 1, first => 202);
$node->wait_states('stuck', accepted => 3);
pass('and the worker goes on after the failed command');

unlike(slurp_file($log), qr/(PANIC|TRAP|was terminated by signal)/, 'no crash in the log');
$node->stop;
$sim->stop;
done_testing();
