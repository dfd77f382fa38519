# Finished messages go after retention, their content after payload_retention:
# whole partitions are dropped, stragglers deleted, rows that wait keep theirs.
# Partitions are made ahead.  Time is simulated by moving rows into the past.
# TAP: the worker does it.

use strict;
use warnings;

use Test::More;
use PostgreSQL::Test::Utils;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main');
$node->install('postgres', $sim);
$node->insert('postgres', 3);
$node->wait_states('postgres', accepted => 3);
ok($node->poll_query_until('postgres', 'SELECT max(high) > (SELECT last_value + 50000 FROM line_notify.message_id_seq) FROM line_notify._history_partitions()'),
	'a partition ahead');

# a year ago: a first partition full of old rows, a second with one old and one
# that ended lately, and a message that has been waiting since
$node->safe_psql('postgres', q{
SELECT setval('line_notify.message_id_seq', 500000);
CREATE TABLE line_notify.h1 PARTITION OF line_notify.history FOR VALUES FROM (100000) TO (200000);
CREATE TABLE line_notify.h2 PARTITION OF line_notify.history FOR VALUES FROM (200000) TO (300000);
CREATE TABLE line_notify.h3 PARTITION OF line_notify.history FOR VALUES FROM (300000) TO (500000);
INSERT INTO line_notify.history (id, channel, recipient, template_key, body, state, created_at, ended_at)
SELECT i, 'shop', repeat('a', 64), 't', '{}', 'accepted', now() - interval '1 year', now() - interval '1 year' FROM generate_series(10, 509) i;
INSERT INTO line_notify.history (id, channel, recipient, template_key, body, state, created_at, ended_at)
VALUES (100001, 'shop', repeat('a', 64), 't', '{}', 'accepted', now() - interval '1 year', now() - interval '1 year'),
	(100002, 'shop', repeat('a', 64), 't', '{}', 'expired', now() - interval '1 year', now()),
	(200001, 'shop', repeat('a', 64), 't', '{}', 'accepted', now() - interval '10 days', now() - interval '10 days'),
	(300001, 'shop', repeat('a', 64), 't', '{}', 'accepted', now(), now());
UPDATE line_notify.history SET created_at = now() - interval '1 year', ended_at = now() - interval '1 year' WHERE id < 10;
INSERT INTO line_notify.attempt_log (id, attempt, token, ended_at, outcome)
VALUES (20, 1, 1, now() - interval '1 year', 'not_sent'), (200001, 1, 1, now() - interval '10 days', 'not_sent');
-- maintenance may have passed by already, and does not expect what ends in the past
DELETE FROM line_notify.maintenance_mark;
});
my $old = $node->safe_psql('postgres', 'SELECT partition FROM line_notify._history_partitions() ORDER BY low LIMIT 1');

# somebody reads it: retention does not queue up behind him for long
my $reader = $node->background_psql('postgres');
$reader->query_safe("BEGIN; SELECT count(*) FROM $old");
$node->append_conf('postgresql.conf', 'line_notify.retention = 30d');
$node->reload;
ok($node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM line_notify.history WHERE id = 100001'), 'a straggler is deleted');
is($node->safe_psql('postgres', "SELECT to_regclass('$old') IS NOT NULL"), 't', 'a partition that is read stays for now');
$node->insert('postgres', 1, first => 10);
$node->poll_query_until('postgres', "SELECT state = 'accepted' FROM line_notify.notifications WHERE id = 510001") or die;
pass('and nobody is held up');
$reader->query_safe('COMMIT');
$reader->quit;
$node->reload;
ok($node->poll_query_until('postgres', "SELECT to_regclass('$old') IS NULL"), 'then it is dropped');
is($node->safe_psql('postgres', 'SELECT string_agg(id::text, \' \' ORDER BY id) FROM line_notify.history'), '100002 200001 300001 510001', 'what ended lately stays');
ok($node->poll_query_until('postgres', 'SELECT count(*) = 1 FROM line_notify.attempt_log'), 'old attempts go after their messages');
ok($node->poll_query_until('postgres', 'SELECT body IS NULL FROM line_notify.history WHERE id = 200001'), 'content is forgotten earlier');
is($node->safe_psql('postgres', 'SELECT body IS NOT NULL FROM line_notify.history WHERE id = 300001'), 't', 'but not that of young ones');

# a message with an old id that still waits finds its partition
$node->safe_psql('postgres', q{
INSERT INTO line_notify.outbox (id, channel, recipient, template_key, body, state, due_at, expires_at, home, created_at)
SELECT 50, 'shop', repeat('b', 64), 'shipment_completed_ja', '{"items": [{"itemKey": "number_001_ja", "content": "1234"}]}', 'queued', now(), now() + interval '1 hour', home, now() FROM line_notify.channel;
SELECT line_notify._wake();
});
ok($node->poll_query_until('postgres', 'SELECT count(*) = 1 FROM line_notify.history WHERE id = 50'), 'a partition is made again for a row that came late');

# a row that somebody has locked, and one that a trigger of the owner's keeps as
# it is, do not keep the content of what ended after them
$node->safe_psql('postgres', q{
INSERT INTO line_notify.history (id, channel, recipient, template_key, body, state, created_at, ended_at)
SELECT 300010 + i, 'shop', repeat('a', 64), 't', '{}', 'accepted', now(), now() - interval '29 days' + i * interval '1 hour' FROM generate_series(0, 599) i;
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN CASE OLD.id WHEN 300011 THEN NULL ELSE NEW END; END $$;
CREATE TRIGGER keep BEFORE UPDATE ON line_notify.h3 FOR EACH ROW EXECUTE FUNCTION keep();
DELETE FROM line_notify.maintenance_mark;});
my $holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN; SELECT FROM line_notify.history WHERE id = 300010 FOR UPDATE');
$node->reload;
ok($node->poll_query_until('postgres', q{SELECT string_agg(id::text, ' ' ORDER BY id) = '300010 300011' FROM line_notify.history WHERE body IS NOT NULL AND ended_at < now() - interval '7 days'}),
	'all content but theirs is forgotten')
  or diag($node->safe_psql('postgres', q{SELECT count(*) FROM line_notify.history WHERE body IS NOT NULL AND ended_at < now() - interval '7 days'; SELECT * FROM line_notify.maintenance_mark}));
ok($node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM line_notify.health() WHERE subject = 'retention' AND reason ~ 'content of messages is kept 2[12] days .*longer' AND hint ~ 'locked.*trigger'}),
	'health() says so') or diag($node->safe_psql('postgres', 'SELECT * FROM line_notify.health()'));
$holder->query_safe('COMMIT');
$holder->quit;
ok($node->poll_query_until('postgres', 'SELECT body IS NULL FROM line_notify.history WHERE id = 300010'), 'it is looked at again soon');
$node->safe_psql('postgres', 'DROP TRIGGER keep ON line_notify.h3');
$node->reload;
ok($node->poll_query_until('postgres', 'SELECT body IS NULL FROM line_notify.history WHERE id = 300011'), 'so is the other');
is($node->safe_psql('postgres', q{SELECT count(*) FROM line_notify.health() WHERE subject = 'retention'}), 0, 'and health() has nothing more to say');

# more of them than are remembered: nothing is passed by, and little is done
is($node->safe_psql('postgres', q{
BEGIN;
INSERT INTO line_notify.history (id, channel, recipient, template_key, body, state, created_at, ended_at)
SELECT 400000 + i, 'shop', repeat('a', 64), 't', '{}', 'accepted', now(), now() - interval '20 days' + i * interval '1 s' FROM generate_series(1, 3000) i;
CREATE FUNCTION keep_all() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER keep_all BEFORE UPDATE ON line_notify.h3 FOR EACH ROW EXECUTE FUNCTION keep_all();
DELETE FROM line_notify.maintenance_mark;
SELECT line_notify._maintain_payloads(now() - interval '7 days', '1 minute');
SELECT line_notify._maintain_payloads(now() - interval '7 days', '1 minute');
SELECT mark < now() - interval '19 days', cardinality(left_over) FROM line_notify.maintenance_mark;
DROP TRIGGER keep_all ON line_notify.h3;
SELECT line_notify._maintain_payloads(now() - interval '7 days', '1 minute');
SELECT mark = now() - interval '7 days', left_over FROM line_notify.maintenance_mark;
SELECT count(body) FROM line_notify.history WHERE ended_at < now() - interval '7 days';
ROLLBACK}), "f\nf\nt|1000\nf\nt|{}\n0", 'more than are remembered');

# the clock was ahead as the first row of a partition was made
$node->safe_psql('postgres', q{
CREATE TABLE line_notify.h4 PARTITION OF line_notify.history FOR VALUES FROM (5000000) TO (5010000);
CREATE TABLE line_notify.h5 PARTITION OF line_notify.history FOR VALUES FROM (5010000) TO (5020000);
SELECT setval('line_notify.message_id_seq', 6000000);
INSERT INTO line_notify.history (id, channel, recipient, template_key, body, state, created_at, ended_at)
VALUES (5000001, 'shop', repeat('a', 64), 't', '{}', 'accepted', now() + interval '10 years', now() - interval '100 days'),
	(5000002, 'shop', repeat('a', 64), 't', '{}', 'accepted', now() - interval '100 days', now() - interval '100 days'),
	(5010001, 'shop', repeat('a', 64), 't', '{}', 'accepted', now() + interval '10 years', now() + interval '10 years'),
	(5010002, 'shop', repeat('a', 64), 't', '{}', 'accepted', now() - interval '100 days', now() - interval '100 days');});
is($node->safe_psql('postgres', q{SELECT messages >= '60 days' FROM line_notify._retention_lag()}), 'f', 'the first row of all is young');
$node->reload;
ok($node->poll_query_until('postgres', q{SELECT to_regclass('line_notify.h4') IS NULL}), 'its partition is dropped all the same')
  or diag($node->safe_psql('postgres', 'SELECT id, created_at, ended_at FROM line_notify.history WHERE id BETWEEN 5000000 AND 5020000'));
ok($node->poll_query_until('postgres', q{SELECT array_agg(id) = '{5010001}' FROM line_notify.history WHERE id BETWEEN 5000000 AND 5020000}), 'or the old rows of it deleted');

# what a trigger of the owner's keeps does not keep the rest
is($node->safe_psql('postgres', q{
BEGIN;
INSERT INTO line_notify.history (id, channel, recipient, template_key, body, state, created_at, ended_at)
SELECT 5010010 + i, 'shop', repeat('a', 64), 't', '{}', 'accepted', now() - interval '1 year', now() - interval '1 year' FROM generate_series(1, 3000) i;
CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN CASE WHEN OLD.id > 5010100 THEN OLD END; END $$;
CREATE TRIGGER hold BEFORE DELETE ON line_notify.h5 FOR EACH ROW EXECUTE FUNCTION hold();
SELECT line_notify._maintain_rows(now() - interval '1 month', '1 minute');
SELECT count(*) FROM line_notify.history WHERE id BETWEEN 5010010 AND 5020000;
ROLLBACK}), "f\n90", 'what a trigger keeps does not keep the others');

# the edges of bigint
$node->safe_psql('postgres', q{
INSERT INTO line_notify.outbox (id, channel, recipient, template_key, body, state, due_at, expires_at, home, created_at)
SELECT x, 'shop', repeat('b', 64), 'shipment_completed_ja', '{"items": [{"itemKey": "number_001_ja", "content": "1234"}]}', 'queued', now(), now() + interval '1 hour', home, now() FROM line_notify.channel, unnest('{9223372036854775807, 9223372036854775806}'::bigint[]) x;
SELECT line_notify._wake();
});
ok($node->poll_query_until('postgres', 'SELECT count(*) = 2 FROM line_notify.history WHERE id > 9223372036854775805'), 'the largest ids');
unlike(slurp_file($node->logfile), qr/(PANIC|TRAP|was terminated by signal)/, 'no crash in the log');
# the log of verbs has a retention of its own
$node->safe_psql('postgres', q{
INSERT INTO line_notify.operations (at, role, function, filter, dry_run, count)
SELECT now() - interval '500 days', 'r', 'cancel', '{}', false, 0 FROM generate_series(1, 5000);
INSERT INTO line_notify.operations (at, role, function, filter, dry_run, count)
VALUES (now() - interval '300 days', 'r', 'cancel', '{}', false, 0), (now(), 'r', 'cancel', '{}', false, 0);
});
$node->reload;
ok($node->poll_query_until('postgres', 'SELECT count(*) = 2 FROM line_notify.operations'), 'old operations go after 400 days')
  or diag($node->safe_psql('postgres', 'SELECT count(*), min(at) FROM line_notify.operations'));
$node->append_conf('postgresql.conf', 'line_notify.operations_retention = 30d');
$node->reload;
ok($node->poll_query_until('postgres', 'SELECT count(*) = 1 FROM line_notify.operations'), 'or as it is set');
$node->append_conf('postgresql.conf', "line_notify.operations_retention = -1\nline_notify.retention = 1d");
$node->safe_psql('postgres', "UPDATE line_notify.operations SET at = '1999-01-01'");
$node->reload;
$node->insert('postgres', 1, first => 20);
ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM line_notify.history WHERE id = 200001"), 'history is maintained');
is($node->safe_psql('postgres', 'SELECT count(*) FROM line_notify.operations'), 1, '-1: for ever');

$node->stop;
$sim->stop;
done_testing();
