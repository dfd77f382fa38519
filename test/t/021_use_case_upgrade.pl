# A later version of the extension adds a use case: no table that uses the type
# is rewritten, the order is as the script says, a library that does not know
# the new name copes, and dump and restore keep the value.
# TAP: an update script has to be installed, and pg_dump run.

use strict;
use warnings;

use File::Copy;
use Test::More;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

my $dir = `"$ENV{PG_CONFIG}" --sharedir`;
chomp $dir;
my $script = 'line_notify--1.0--1.0test1.sql';
copy("$ENV{LN_SRC}/test/upgrade/$script", "$dir/extension/$script")
  or die "could not write to $dir/extension: $! (test/check.sh uses a private copy of PostgreSQL)";

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;

sub ask { return $node->safe_psql(@_) }

ask('postgres', q{
CREATE EXTENSION line_notify;
CREATE TABLE plain (id int PRIMARY KEY, use_case line_notify.use_case NOT NULL DEFAULT 'outage');
CREATE INDEX ON plain (use_case);
CREATE TABLE parts (use_case line_notify.use_case) PARTITION BY LIST (use_case);
CREATE TABLE part_1 PARTITION OF parts FOR VALUES IN ('reminder', 'outage');
INSERT INTO plain SELECT row_number() OVER (), use_case FROM line_notify.use_cases;
INSERT INTO parts VALUES ('outage');
CREATE VIEW seen AS SELECT * FROM plain WHERE use_case > 'outage';
});
my $files = q{SELECT string_agg(relname || pg_relation_filenode(oid), ',' ORDER BY relname) FROM pg_class
WHERE relname IN ('plain', 'plain_pkey', 'plain_use_case_idx', 'part_1') OR relnamespace = 'line_notify'::regnamespace};
my $before = ask('postgres', $files);

# in the transaction of the update, the value cannot be used yet
my ($status, $out, $err) = $node->psql('postgres', q{
BEGIN; ALTER EXTENSION line_notify UPDATE TO '1.0test1'; SELECT * FROM line_notify.use_cases; COMMIT});
like($err, qr/unsafe use of new value "test_purpose"/, 'PostgreSQL refuses the value before commit');
is(ask('postgres', q{SELECT extversion FROM pg_extension WHERE extname = 'line_notify'}), '1.0', 'and nothing has changed');

ask('postgres', q{ALTER EXTENSION line_notify UPDATE TO '1.0test1'});
is(ask('postgres', $files), $before, 'no file of a table or index has changed');
is(ask('postgres', 'SELECT count(*) FROM line_notify.use_cases'), 23, 'one more use case');
is(ask('postgres', q{SELECT use_case, no, name_ja IS NULL FROM line_notify.use_cases WHERE use_case IN ('outage', 'test_purpose', 'application_completed') ORDER BY use_case}),
	"outage|9|f\ntest_purpose|10|t\napplication_completed|10|f", 'in its place; the names of the old ones as before');
is(ask('postgres', q{SELECT line_notify.to_use_case('test_purpose')}), 'test_purpose', 'to_use_case() takes the new key');
is(ask('postgres', q{SELECT line_notify.to_use_case('申込完了通知')}), 'application_completed', 'and the old names');

ask('postgres', q{INSERT INTO plain VALUES (23, 'test_purpose'); ALTER TABLE plain ALTER use_case SET DEFAULT 'test_purpose'});
is(ask('postgres', q{SELECT count(*) FROM seen}), 14, 'a view made before compares as the script says');
is(ask('postgres', q{SET enable_seqscan = off; SELECT id FROM plain WHERE use_case = 'test_purpose'}), 23, 'the index finds it');

# dump and restore, beside a database that was never updated
my $file = $PostgreSQL::Test::Utils::tmp_check . '/use_case.sql';
$node->command_ok([ 'pg_dump', '-f', $file, $node->connstr('postgres') ], 'pg_dump');
ask('postgres', 'CREATE DATABASE copy');
ask('copy', q{CREATE EXTENSION line_notify VERSION '1.0test1'});
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $file, $node->connstr('copy') ], 'restore');
my $rows = 'SELECT * FROM plain ORDER BY use_case';
is(ask('copy', $rows), ask('postgres', $rows), 'the rows are equal, and in the same order');
is(ask('copy', 'SELECT count(*) FROM part_1'), 1, 'partitions by use case too');

# a library that knows more than the installed version: what the type lacks is
# not shown, and asking for it is an error
ask('postgres', 'CREATE DATABASE older');
ask('older', q{CREATE EXTENSION line_notify;
DELETE FROM pg_enum WHERE enumtypid = 'line_notify.use_case'::regtype AND enumlabel = 'shipment_completed'});
is(ask('older', 'SELECT count(*) FROM line_notify.use_cases'), 21, 'an older type has fewer use cases');
($status, $out, $err) = $node->psql('older', q{SELECT line_notify.to_use_case('発送完了通知')});
like($err, qr/invalid input value for enum line_notify.use_case: "shipment_completed"/, 'a name the type lacks is an error');

$node->stop;
unlink "$dir/extension/$script";
done_testing();
