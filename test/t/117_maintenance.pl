# Maintenance of our own neither holds up messages nor is held up for good: by a
# reader in a long transaction, by a small lock table, by somebody's view of a
# partition.  What has outlived retention goes wherever it lies, also out of a
# partition that is still being filled; content
# goes at its time although the worker has left.  TAP: the worker does it.

use strict;
use warnings;

use Test::More;
use PostgreSQL::Test::Utils;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main', max_locks_per_transaction => 10, max_connections => 20, autovacuum => 'off',
	'line_notify.max_databases' => 8);
$node->install('postgres', $sim);
sub sql { return $node->safe_psql('postgres', $_[0]); }
sub partitions { return sql('SELECT count(*) FROM line_notify._history_partitions()'); }
my $n = 0;
sub is_sent
{
	my ($name) = @_;
	$n += 3;
	$node->insert('postgres', 3, first => $n);
	ok($node->poll_query_until('postgres', "SELECT count(*) = 3 FROM line_notify.history WHERE reference IN ('ref $n', 'ref @{[ $n + 1 ]}', 'ref @{[ $n + 2 ]}') AND state = 'accepted'"), $name)
	  or diag(sql('SELECT * FROM line_notify.health()'), sql('SELECT * FROM line_notify.notifications'));
	return;
}
is_sent('messages are sent');

# a part whose time is over ends with what it has in hand, and says that there is more
is(sql(q{
BEGIN;
DELETE FROM line_notify.history;
INSERT INTO line_notify.history (id, channel, recipient, template_key, body, state, created_at, ended_at)
SELECT 50000 + i, 'shop', repeat('a', 64), 't', '{}', 'accepted', now() - interval '1 year', now() - interval '1 year' FROM generate_series(1, 3000) i;
INSERT INTO line_notify.attempt_log (id, attempt, token, ended_at, outcome)
SELECT i, 1, 1, now() - interval '1 year', 'not_sent' FROM generate_series(1, 1000) i;
SELECT line_notify._maintain_rows(now() - interval '1 month', '0');
SELECT count(*) FROM line_notify.history;
SELECT more FROM line_notify._maintain_attempts(now() - interval '1 month', '0', 0);
SELECT count(*) FROM line_notify.attempt_log;
ROLLBACK}), "t\n2000\nt\n800", 'maintenance gives way');

# 330 partitions, a year old; a reader has one of them open; one has a view
sql('ALTER SYSTEM SET line_notify.retention = -1; SELECT pg_reload_conf();');
for my $i (0 .. 32)
{
	sql(join '', map { sprintf 'CREATE TABLE line_notify.old_%d PARTITION OF line_notify.history FOR VALUES FROM (%d) TO (%d);', $_, 1000000 + 1000 * $_, 1001000 + 1000 * $_ } 10 * $i .. 10 * $i + 9);
}
sql(q{
SELECT setval('line_notify.message_id_seq', 2000000), line_notify._ensure_history(2000000);
INSERT INTO line_notify.history (id, channel, recipient, template_key, body, state, created_at, ended_at)
SELECT 1000000 + 100 * i, 'shop', repeat('a', 64), 't', '{}', 'accepted', now() - interval '1 year', now() - interval '1 year' FROM generate_series(0, 3299) i;
UPDATE line_notify.history SET created_at = now() - interval '1 year', ended_at = now() - interval '1 year' WHERE id < 1000000;
-- in the partition that is being filled
INSERT INTO line_notify.history (id, channel, recipient, template_key, body, state, created_at, ended_at)
SELECT 1999000 - i, 'shop', repeat('a', 64), 't', '{}', 'accepted', now() - interval '1 year', now() - interval '1 year' FROM generate_series(1, 500) i;
INSERT INTO line_notify.attempt_log (id, attempt, token, ended_at, outcome)
SELECT 1000000 + i, 1, 1, now() - interval '1 year', 'not_sent' FROM generate_series(0, 9999) i;
-- and one that is young, of a message that is young
INSERT INTO line_notify.attempt_log (id, attempt, token, ended_at, outcome) VALUES (2000001, 1, 1, now(), 'not_sent');
CREATE VIEW report AS SELECT id FROM line_notify.old_7;});
is(sql("SELECT count(*) FROM line_notify.history WHERE tableoid = 'line_notify.old_7'::regclass"), 10, 'ten messages in the one with a view');
my $reader = $node->background_psql('postgres');
$reader->query_safe('BEGIN; SELECT count(*) FROM line_notify.old_3');
my $offset = -s $node->logfile;
sql('ALTER SYSTEM SET line_notify.retention = 43200; SELECT pg_reload_conf();');
is_sent('with a reader in a transaction, messages are sent');
ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM line_notify.history WHERE ended_at < now() - interval '31 days'"),
	'what cannot be dropped is deleted') or diag(partitions(), sql("SELECT count(*) FROM line_notify.history WHERE ended_at < now() - interval '31 days'"));
ok($node->poll_query_until('postgres', 'SELECT count(*) = 1 FROM line_notify.attempt_log'), 'with the attempts of those messages')
  or diag(sql('SELECT count(*) FROM line_notify.attempt_log'));
$reader->query_safe('COMMIT');
$reader->quit;
$node->reload;
is_sent('while partitions are dropped, messages are sent');
ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_class WHERE relname ~ '^old_([0-9]+)\$' AND relname <> 'old_7'"), 'all are dropped but the one with a view')
  or diag(partitions());
is(sql("SELECT count(*) FROM line_notify.old_7"), 0, 'which is empty');
is(sql("SELECT messages = '0' AND contents IS NULL FROM line_notify._retention_lag()"), 't', 'retention is not behind');
unlike(slurp_file($node->logfile, $offset), qr/out of shared memory|WARNING|PANIC|TRAP/, 'and nobody complained');

# an error of one part does not stop the others
sql(q{
CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
CREATE TRIGGER no BEFORE DELETE ON line_notify.attempt_log FOR EACH STATEMENT EXECUTE FUNCTION no();
INSERT INTO line_notify.operations (at, role, function, filter, dry_run, count) VALUES (now() - interval '500 days', 'r', 'cancel', '{}', false, 0);
UPDATE line_notify.attempt_log SET ended_at = now() - interval '1 year', id = 1000;
ALTER TABLE line_notify.history DISABLE TRIGGER USER;
UPDATE line_notify.history SET ended_at = ended_at - interval '8 days', created_at = created_at - interval '8 days';
ALTER TABLE line_notify.history ENABLE TRIGGER USER;
DELETE FROM line_notify.maintenance_mark;});
$node->reload;
ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM line_notify.operations WHERE at < now() - interval '400 days'"), 'an error of one part: the later ones run');
ok($node->poll_query_until('postgres', "SELECT bool_and(body IS NULL) FROM line_notify.history"), 'each of them');
sql('DROP TRIGGER no ON line_notify.attempt_log');
is_sent('messages are sent');

# the worker has left; content goes when its time comes, also in copies, which
# may not send, and in which nobody does anything
sql(q{
ALTER SYSTEM SET line_notify.payload_retention = 1;
ALTER SYSTEM SET line_notify.idle_timeout = '1s';
SELECT pg_reload_conf()});
ok($node->poll_query_until('postgres', "SELECT state = 'idle' AND pid IS NULL AND next_due BETWEEN now() AND now() + interval '2 minutes' FROM line_notify.workers WHERE database = 'postgres'"),
	'the worker leaves, and the launcher knows when there is content to forget')
  or diag(sql('SELECT * FROM line_notify.workers'));
$node->safe_psql('template1', 'CREATE DATABASE copy TEMPLATE postgres');
$node->safe_psql('template1', 'ALTER DATABASE copy IS_TEMPLATE true');
$node->safe_psql('template1', 'CREATE DATABASE copy_2 TEMPLATE copy');
$node->safe_psql('template1', 'ALTER DATABASE copy IS_TEMPLATE false');
is($node->safe_psql($_, 'SELECT count(body) > 0 FROM line_notify.history'), 't', "there is content in $_") for qw(copy copy_2);
ok($node->poll_query_until($_, "SELECT bool_and(body IS NULL) FROM line_notify.history"), "it is forgotten in $_") or diag($node->safe_psql($_, 'SELECT * FROM line_notify.workers'))
  for qw(postgres copy copy_2);

# where a later one lies before it, the first to be forgotten is found all the same
sql(q{
SELECT line_notify._ensure_history(2100000);
INSERT INTO line_notify.history (id, channel, template_key, body, state, created_at, ended_at)
SELECT 2100000 + i, 'shop', 't', '{}', 'accepted', now() - interval '6 days', now() - interval '1 day' * (2 * i - 1) FROM generate_series(1, 3) i});
is(sql("SELECT line_notify._maintain_next('100 years', '7 days', NULL) BETWEEN now() + interval '1.5 days' AND now() + interval '2 days'"), 't',
	'the next pass is in time, and not much too early')
  or diag(sql("SELECT now(), line_notify._maintain_next('100 years', '7 days', NULL)"));

# as many rows as a large day has, at once: nothing is logged, and the indexes by
# recipient and by time know them afterwards
my $from = -s $node->logfile;
sql(q{
SELECT count(line_notify._ensure_history(i)) FROM generate_series(2200000, 2500000, 10000) i;
INSERT INTO line_notify.history (id, channel, recipient, template_key, state, created_at, due_at, expires_at, token, outcome, http_status, request_id, ended_at)
SELECT 2200000 + i, 'shop', encode(sha256(i::text::bytea), 'hex'), 'shipment_completed_ja', 'accepted', clock_timestamp(), now(), now(), 1, 'accepted', 202, md5(i::text), clock_timestamp()
FROM generate_series(1, 300000) i;});
unlike(slurp_file($node->logfile, $from), qr/brin/i, 'nothing is logged');
sql('ALTER SYSTEM SET autovacuum = on; ALTER SYSTEM SET autovacuum_naptime = 1; SELECT pg_reload_conf()');
my $brin = q{FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
	WHERE amname = 'brin' AND i.indrelid = (SELECT h.tableoid FROM line_notify.history h WHERE h.id = 2400000)};
is(sql("SELECT count(*) $brin"), 2, 'two indexes by ranges');
ok($node->poll_query_until('postgres', "SELECT vacuum_count + autovacuum_count > 0 FROM pg_stat_all_tables WHERE relid = (SELECT h.tableoid FROM line_notify.history h WHERE h.id = 2400000)"), 'autovacuum comes');
is(sql("SELECT sum(brin_summarize_new_values(c.oid)) <= 2 $brin"), 't', 'and summarizes them');

$node->stop;
$sim->stop;
done_testing();
