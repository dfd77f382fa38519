# What owners do to databases, roles and our tables: hostile settings, locks,
# TRUNCATE, VACUUM FULL, added columns and constraints, a row that cannot be
# recorded or claimed.  Others are not held up, the worker lives.  TAP: a worker
# and concurrent sessions.

use strict;
use warnings;

use Test::More;
use PostgreSQL::Test::Utils;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main');
$node->install('postgres', $sim);
my $n = 0;

sub sends
{
	my ($k, $name, %opt) = @_;
	my $before = $sim->summary->{requests};
	$node->insert('postgres', $k, first => $n + 1, %opt);
	$n += $k;
	ok($sim->wait_requests($before + $k), $name)
	  or diag $node->safe_psql('postgres', 'SELECT * FROM line_notify.health(); SELECT * FROM line_notify.workers');
}

sub recorded
{
	my ($name, $more) = @_;
	$more //= '';
	ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM line_notify.in_flight $more"), $name);
}

# settings of the database and of the role the worker has
my @hostile = (
	'search_path = hostile', 'role = nobody', 'default_transaction_read_only = on',
	'default_transaction_isolation = serializable', 'statement_timeout = 1', 'lock_timeout = 1',
	'idle_in_transaction_session_timeout = 1', 'session_replication_role = replica', 'row_security = off',
	'standard_conforming_strings = off', 'array_nulls = off', 'synchronous_commit = off',
	'enable_indexscan = off', 'enable_nestloop = off', 'enable_seqscan = on', 'plan_cache_mode = force_custom_plan',
	"timezone = 'Asia/Kolkata'", "datestyle = 'SQL, DMY'", "intervalstyle = 'sql_standard'", 'extra_float_digits = -15',
	'quote_all_identifiers = on', 'transform_null_equals = on', "bytea_output = 'escape'", 'check_function_bodies = off',
	"plpgsql.extra_errors = 'all'", ($node->pg_version < 16 ? 'force_parallel_mode' : 'debug_parallel_query') . ' = on', 'jit = on', 'jit_above_cost = 0',
	"client_encoding = 'LATIN1'", "xmloption = 'document'", "work_mem = '64kB'", "temp_buffers = '800kB'", 'max_parallel_workers_per_gather = 8',
	'temp_file_limit = 0', 'hash_mem_multiplier = 1', 'enable_hashagg = off', 'enable_sort = off');
$node->safe_psql('postgres', q{
CREATE ROLE nobody;
CREATE SCHEMA hostile;
CREATE FUNCTION hostile.boom(bigint, bigint) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''fooled''; END';
CREATE OPERATOR hostile.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = hostile.boom);
});
my $role = $node->safe_psql('template1', 'SELECT rolname FROM pg_roles WHERE oid = 10');
my $pid = $node->worker_pid('postgres');
$node->safe_psql('template1', join '', (map { "ALTER DATABASE postgres SET $_;" } @hostile),
	qq{ALTER ROLE "$role" SET search_path = hostile; SELECT pg_terminate_backend($pid)});
{
	# our own sessions stay sane
	local $ENV{PGOPTIONS} = join ' ', map { "-c $_" } 'role=none', 'default_transaction_read_only=off', 'statement_timeout=0', 'lock_timeout=0',
	  'session_replication_role=origin', 'search_path=public', 'default_transaction_isolation=read\\ committed', 'plpgsql.extra_errors=none',
	  'standard_conforming_strings=on', 'client_encoding=UTF8', 'idle_in_transaction_session_timeout=0', 'transform_null_equals=off', 'temp_file_limit=-1';
	ok($node->poll_query_until('template1', "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'line_notify worker' AND datname = 'postgres' AND pid <> $pid"),
		'a new worker, under hostile settings');
	sends(3, 'sends');
	recorded('and records');
	$node->wait_states('postgres', accepted => 3);
	unlike(slurp_file($node->logfile), qr/temporary file size exceeds/, 'nor does it want for temporary files');
}
$node->safe_psql('template1', 'ALTER DATABASE postgres RESET ALL');
$node->safe_psql('template1', "ALTER ROLE $role RESET ALL");

# a lock on one of our tables: rows wait, and go on when it is released
for my $table (qw(outbox in_flight history))
{
	my $lock = $node->background_psql('postgres', on_error_stop => 1);
	$lock->query_safe("BEGIN; LOCK TABLE line_notify.$table IN EXCLUSIVE MODE");
	if ($table ne 'outbox')
	{
		$node->insert('postgres', 1, first => ++$n);
		ok($node->poll_query_until('postgres',
			"SELECT last_error LIKE '%lock timeout%' FROM line_notify.workers WHERE database = 'postgres'"), "LOCK TABLE $table: noticed, not waited for");
	}
	$lock->query_safe('COMMIT');
	$lock->quit;
	$node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM line_notify.outbox') or die 'what was locked out is not sent';
	sends(1, "LOCK TABLE $table, released: sends");
	recorded('and records');
}

# maintenance
$node->safe_psql('postgres', "VACUUM FULL line_notify.$_") for qw(outbox in_flight);
$node->safe_psql('postgres', 'REINDEX TABLE line_notify.outbox; CLUSTER line_notify.outbox USING outbox_claim');
sends(1, 'after VACUUM FULL, REINDEX and CLUSTER');
$node->safe_psql('postgres', 'ALTER TABLE line_notify.outbox ADD COLUMN mine text DEFAULT \'x\'; ALTER TABLE line_notify.history ADD COLUMN theirs int; ALTER TABLE line_notify.in_flight ADD COLUMN ours int');
sends(2, 'with added columns');
recorded('and records');
$sim->script_only({ match => { path => 'send' }, at => 'body', do => [ 'hold', 'answer' ] });
my $before = $sim->summary->{requests};
$node->insert('postgres', 2, first => $n + 1);
$n += 2;
$sim->wait_requests($before + 2) or die;
$node->safe_psql('postgres', 'TRUNCATE line_notify.outbox');
$sim->script_only();
recorded('TRUNCATE of the outbox under messages on the wire');
is($node->safe_psql('postgres', "SELECT count(*) FROM line_notify.history WHERE channel = '?' AND state = 'accepted'"), 2, 'what was sent is in history all the same');
sends(1, 'and the next one is sent');

# a row that history refuses stays in flight, and only that one
$node->safe_psql('postgres', "ALTER TABLE line_notify.history ADD CONSTRAINT picky CHECK (reference NOT LIKE 'ref 66%')");
$node->insert('postgres', 12, first => 660);
ok($node->poll_query_until('postgres', "SELECT count(*) = 2 FROM line_notify.history WHERE reference IN ('ref 670', 'ref 671')"), 'the neighbours of rows that cannot be recorded are');
$pid = $node->worker_pid('postgres');
sends(5, 'others are not held up');
recorded('and recorded', "WHERE id NOT IN (SELECT id FROM line_notify.outbox WHERE reference LIKE 'ref 66%')");
is($node->worker_pid('postgres'), $pid, 'the worker lives');
like($node->safe_psql('postgres', "SELECT last_error FROM line_notify.workers WHERE database = 'postgres'"), qr/^$|picky|check constraint/, 'the reason can be seen');
$node->safe_psql('postgres', 'ALTER TABLE line_notify.history DROP CONSTRAINT picky');
recorded('the constraint gone, they are recorded');

# a row that cannot be claimed is in quarantine, and only that one
$node->safe_psql('postgres', "ALTER TABLE line_notify.in_flight ADD CONSTRAINT odd CHECK (id % 10 <> 3)");
my ($low) = $node->safe_psql('postgres', $node->insert_sql(20, first => 700) . ' RETURNING id') =~ /^(\d+)/;
$n = 800;
ok($node->poll_query_until('postgres', "SELECT count(*) = 18 FROM line_notify.history WHERE reference LIKE 'ref 7__'"), 'rows that cannot be claimed do not stop the others')
  or diag $node->safe_psql('postgres', "SELECT * FROM line_notify.notifications WHERE reference LIKE 'ref 7__'");
like($node->safe_psql('postgres', "SELECT DISTINCT error FROM line_notify.notifications WHERE state = 'queued'"), qr/odd/, 'they say why');
$node->safe_psql('postgres', 'ALTER TABLE line_notify.in_flight DROP CONSTRAINT odd');

# advisory locks, which anybody may take: the number of ours of before, and those
# that SQL would call ours of today; a partition dropped by somebody, so that a
# new one has to be made
my $stranger = $node->background_psql('postgres', on_error_stop => 1);
$stranger->query_safe('SET ROLE nobody');
my @locks = split /\n/, $node->safe_psql('postgres', q{SELECT format('%s, %s', classid::int8::int4, objid::int8::int4) FROM pg_locks
	WHERE locktype = 'advisory' AND pid IN (SELECT pid FROM line_notify.workers) AND classid::int8 < 2^31 AND objid::int8 < 2^31});
cmp_ok(scalar(@locks), '>=', 1, 'the worker holds locks that SQL shows as advisory ones');
$stranger->query_safe("SELECT pg_advisory_lock($_)") for '1279872592, 1', '(1279872592::int8 << 32) + 1', @locks;
$node->safe_psql('postgres', 'DROP TABLE line_notify.history_first');
sends(1, 'after a partition of history was dropped');
recorded('a new one is made, whatever advisory locks a stranger holds');
# its process ends later than the session
$stranger->query_safe('SELECT pg_advisory_unlock_all()');
$stranger->quit;
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid IN (1, 2)"), 0, 'we take none that SQL can name');
is($node->safe_psql('postgres', "SELECT string_agg(proname, ' ') FROM pg_proc WHERE pronamespace = 'line_notify'::regnamespace AND prosrc ~ 'advisory'"), '', 'nor does any function of ours');

# the role of a sender disappears
$node->safe_psql('postgres', q{CREATE ROLE app LOGIN; SELECT line_notify.grant_sender('app');});
$node->safe_psql('postgres', 'DROP OWNED BY app; DROP ROLE app');
sends(1, 'after the role of a sender was dropped');
is($node->safe_psql('postgres', 'SELECT count(*) FROM line_notify.notifications') > 0, 1, 'and the views work');

is($sim->summary->{messages}{received_twice}, 0, 'no message was sent twice');
unlike(slurp_file($node->logfile), qr/(PANIC|TRAP|was terminated by signal)/, 'no crash in the log');
$node->stop;
$sim->stop;
done_testing();
