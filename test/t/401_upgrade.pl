# Upgrades.  ALTER EXTENSION UPDATE from an older version makes what CREATE
# EXTENSION makes; every row stays as it is.  Library and objects out of step, in
# either order: the worker stands still, says so, and goes on when they match;
# INSERTs are taken all the time; what was on the wire is recorded.  A dump of the
# older version goes into the newer.  TAP: an installation of its own, since files
# of it are replaced; processes.

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Copy qw(copy);
use File::Path qw(make_path);
use IPC::Run;
use Test::More;
use PostgreSQL::Test::Utils;
use LineNotify::Sim;
use LineNotify::Node;

# ---- an installation of our own, as links to the other one's files
my %dir;
for my $what (qw(bindir pkglibdir sharedir))
{
	chomp($dir{$what} = `"$ENV{PG_CONFIG}" --$what`);
	$dir{$what} = abs_path($dir{$what});
}
# Debian's layout: lib/postgresql/15/bin and share/postgresql/15
my $base = $dir{bindir} =~ s{/lib/postgresql/\d+/bin$}{}r;
plan skip_all => "the layout of $dir{bindir} is not Debian's" if $base eq $dir{bindir};
my $mine = $PostgreSQL::Test::Utils::tmp_check . '/installation';
for my $from (values %dir)
{
	my $to = $mine . substr($from, length $base);
	make_path(dirname($to));
	# links where that is possible, one file system
	system('cp', '-al', $from, dirname($to)) == 0
	  or system('cp', '-a', $from, dirname($to)) == 0
	  or BAIL_OUT("could not copy $from");
}
my $extension = $mine . substr($dir{sharedir}, length $base) . '/extension';
my $library = $mine . substr($dir{pkglibdir}, length $base) . '/line_notify.so';
command_ok([ $^X, "$ENV{LN_SRC}/test/upgrade/older.pl", "$ENV{LN_SRC}/sql/line_notify--1.0.sql", $extension ], 'a version 0.9');
copy("$ENV{LN_SRC}/test/upgrade/line_notify--1.0--1.1test.sql", $extension) or BAIL_OUT("copy: $!");

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main', install_path => dirname($mine . substr($dir{bindir}, length $base)));
is($node->safe_psql('postgres', 'SELECT setting FROM pg_config WHERE name = \'SHAREDIR\''), dirname($extension), 'it runs from there');

sub versions_differ
{
	my ($db, $version) = @_;
	ok($node->poll_query_until($db, "SELECT state = 'version' AND last_error LIKE '%$version' FROM line_notify.workers WHERE database = '$db'"),
		"$db: the worker stands still at $version");
	like($node->safe_psql($db, 'SELECT severity, subject, reason, hint FROM line_notify.health()'),
		qr/^error\|worker\|library and extension versions do not match.*$version.*ALTER EXTENSION line_notify UPDATE.*restart/m, 'and health() says what to do');
	return;
}

# A session of its own: returns a function that has it do something, and waits;
# without an argument it ends.
sub session
{
	my ($db) = @_;
	my ($in, $out) = ('', '');
	my $n = 0;
	my $h = IPC::Run::start([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($db) ], '<', \$in, '>', \$out, IPC::Run::timeout(60));
	return sub {
		my ($sql) = @_;
		return $h->finish if !defined $sql;
		$n++;
		$in .= "$sql\n\\echo done $n\n";
		$h->pump until $out =~ /done $n\n/;
		return;
	};
}

sub catalog
{
	my ($db) = @_;
	return $node->safe_psql($db, slurp_file("$ENV{LN_SRC}/test/upgrade/catalog.sql"));
}

# ---- the library is newer: 0.9 in the database, a row in every state
$node->safe_psql('postgres', 'CREATE DATABASE old; CREATE DATABASE fresh');
$node->safe_psql('old', q{CREATE EXTENSION line_notify VERSION '0.9'});
$node->safe_psql('fresh', 'CREATE EXTENSION line_notify');
isnt(catalog('old'), catalog('fresh'), '0.9 differs from 1.0');
$node->install('old', $sim);
versions_differ('old', '0.9');
$node->safe_psql('old', q{
SELECT line_notify._ensure_history(2000000);
INSERT INTO line_notify.history (id, channel, recipient, template_key, body, state, created_at, ended_at, sent_at, error)
SELECT 100 + i * 150000, 'shop', repeat('0', 64), 'shipment_completed_ja', '{}', s, now() - interval '2 days', now() - interval '1 day', now() - interval '1 day', 'kept'
FROM unnest('{accepted,delivered,undelivered,unreachable,refused,unknown,invalid,suppressed,cancelled,expired,failed}'::line_notify.message_state[]) WITH ORDINALITY AS x(s, i);
INSERT INTO line_notify.attempt_log (id, attempt, token, ended_at, outcome) VALUES (150100, 1, 1, now(), 'throttled');
INSERT INTO line_notify.minute_count VALUES ('shop', '2026-01-01', 3, 2);
SELECT setval('line_notify.message_id_seq', 2000000)});
$node->insert('old', 4);
$node->safe_psql('old', q{
INSERT INTO line_notify.in_flight (id, token, claimer, attempt, claimed_at, home)
SELECT min(id), 4711, 42, 1, now(), min(home) FROM line_notify.outbox});
my %every = map { $_ => 1 } qw(accepted delivered undelivered unreachable refused unknown invalid suppressed cancelled expired failed sending);
is_deeply($node->states('old'), { %every, queued => 3 }, 'INSERTs are taken, a row in every state');
is($node->safe_psql('old', "CALL line_notify.drain('1 h', NULL, NULL)", timeout => $PostgreSQL::Test::Utils::timeout_default), '0|4', 'drain() sends nothing, and does not wait');
is($sim->summary->{requests}, 0, 'LINE has heard nothing');

my @tables = qw(outbox in_flight attempt_log history channel identity sender minute_count);
my $rows = join ';', map { "SELECT '$_', x.* FROM line_notify.$_ x ORDER BY 2, 3" } @tables, 'credential';
my $before = $node->safe_psql('old', $rows);
my $dump = $node->basedir . '/old.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, $node->connstr('old') ], 'pg_dump of 0.9');

# rolled back: nothing has happened
$node->safe_psql('old', 'BEGIN; ALTER EXTENSION line_notify UPDATE; ROLLBACK');
is($node->safe_psql('old', q{SELECT extversion FROM pg_extension WHERE extname = 'line_notify'}), '0.9', 'an update that is rolled back');
versions_differ('old', '0.9');

delete $every{sending};

# compared before the worker sees them
is($node->safe_psql('old', "BEGIN; ALTER EXTENSION line_notify UPDATE; $rows; COMMIT"), $before, 'updated, every row is as it was');
is(catalog('old'), catalog('fresh'), 'and the objects are what CREATE EXTENSION makes');
$node->wait_states('old', %every, accepted => 4, unknown => 2);
is($sim->summary->{requests}, 3, 'the worker goes on: what waited is sent once, what may have been sent is unknown');
is($node->safe_psql('old', q{SELECT reason FROM line_notify.health() WHERE severity = 'error'}), '', 'and health() knows no error');

# the dump of 0.9 in a database with 1.0
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, $node->connstr('restored') ], 'a dump of 0.9 is restored as 1.0');
is(catalog('restored') =~ s/^dumped.*\n//mgr, catalog('fresh') =~ s/^dumped.*\n//mgr, 'with the objects of 1.0');
# not kept: the token, on purpose, and what 0.9 did not dump
$before =~ s/^(credential|minute_count)\|.*\n?//mg;
is($node->safe_psql('restored', $rows) . "\n", $before, 'every row is as it was');
like($node->safe_psql('restored', 'SELECT reason FROM line_notify.health()'), qr/disarmed/, 'disarmed');

# ---- no claim is made between the first change and the commit, and none after
# it by a library that does not know the version
copy("$ENV{LN_SRC}/test/upgrade/line_notify--1.0--1.0test1.sql", $extension) or BAIL_OUT("copy: $!");
$node->install('fresh', $sim);
$node->insert('fresh', 1, first => 101);
$node->wait_states('fresh', accepted => 1);
my $seen = $sim->summary->{requests};
{
	my $alter = session('fresh');
	$alter->("BEGIN; ALTER EXTENSION line_notify UPDATE TO '1.0test1';");
	$node->insert('fresh', 2, first => 102);
	ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'line_notify worker' AND datname = 'fresh' AND wait_event_type = 'Lock'"),
		'the worker waits for an update under way');
	$alter->('COMMIT;');
	$alter->();
}
versions_differ('fresh', '1.0test1');
is($node->safe_psql('fresh', "CALL line_notify.drain('1 h', NULL, NULL)", timeout => $PostgreSQL::Test::Utils::timeout_default), '0|2', 'and takes nothing when it has committed');
is($sim->summary->{requests}, $seen, 'nothing was sent');
$node->safe_psql('postgres', 'DROP DATABASE fresh; CREATE DATABASE fresh');
$node->safe_psql('fresh', 'CREATE EXTENSION line_notify');

# ---- the objects are newer: updated under a library that does not know them
my $requests = $sim->summary->{requests};
$sim->script_only({ match => { path => 'send' }, at => 'body', do => [ 'hold', 'answer' ] });
$node->insert('old', 2, first => 10);
ok($sim->wait_requests($requests + 2, 30), 'two messages are on the wire');
$node->safe_psql('old', "ALTER EXTENSION line_notify UPDATE TO '1.1test'");
versions_differ('old', '1.1test');
is($node->safe_psql('old', 'SELECT count(*) FROM line_notify.in_flight'), 2, 'they are still on the wire');
$sim->clear_script;
$node->wait_states('old', %every, accepted => 6, unknown => 2);
ok(1, 'what was on the wire is recorded');
$node->insert('old', 3, first => 20);
is($node->states('old')->{queued}, 3, 'INSERTs are taken by the older library');
is($node->safe_psql('old', "CALL line_notify.drain('1 h', NULL, NULL)", timeout => $PostgreSQL::Test::Utils::timeout_default), '0|3', 'and wait');
is($sim->summary->{requests}, $requests + 2, 'nothing is sent');
is($node->safe_psql('old', q{SELECT count(*) FROM line_notify.history WHERE note = 'none'}), 17, 'old partitions have the new column');

# the dump of the newer one does not go into the older: nothing is taken by half
$node->command_ok([ 'pg_dump', '-f', $dump, $node->connstr('old') ], 'pg_dump of 1.1');

# ---- the library that knows both
my $src = $PostgreSQL::Test::Utils::tmp_check . '/src';
system('cp', '-a', $ENV{LN_SRC}, $src) == 0 or BAIL_OUT("could not copy $ENV{LN_SRC}");
command_ok([ 'sh', '-c', qq{grep -l 'supported_versions\\[\\] = {"1.0", NULL}' '$src'/src/*/*.c | xargs sed -i 's/supported_versions\\[\\] = {"1.0", NULL}/supported_versions[] = {"1.0", "1.1test", NULL}/' && }
	  . qq{make -s -C '$src' with_llvm=no PG_CONFIG='$ENV{PG_CONFIG}' && rm '$library' && cp '$src/line_notify.so' '$library'} ], 'a newer library');
$node->restart;
$node->wait_states('old', %every, accepted => 9, unknown => 2);
is($sim->summary->{requests}, $requests + 5, 'after the restart it sends what waited');
is($node->safe_psql('old', q{SELECT reason FROM line_notify.health() WHERE severity = 'error'}), '', 'and health() knows no error');
$node->install('fresh', $sim);
$node->insert('fresh', 2, first => 30);
$node->wait_states('fresh', accepted => 2);
ok(1, 'it runs the older objects of another database too');

# a dump taken at 1.1 restored where 1.0 is the default stops and says why
$node->safe_psql('postgres', 'CREATE DATABASE back');
my ($out, $err) = ('', '');
IPC::Run::run([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-1', '-f', $dump, $node->connstr('back') ], '>', \$out, '2>', \$err);
like($err, qr/"note" not found in parent|column "note" of relation|"line_notify.extra" does not exist/, 'a newer dump into an older version is an error');
$node->safe_psql('back', q{CREATE EXTENSION line_notify VERSION '1.1test'});
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, $node->connstr('back') ], 'into the version it was taken from, made before, it goes');

is($sim->summary->{recipients}{received_twice}, 0, 'nobody got two copies');
unlike(slurp_file($node->logfile), qr/(PANIC|TRAP|was terminated by signal)/, 'no crash in the log');
$node->stop;
$sim->stop;
done_testing();
