-- View messages: what an ORM does with a table, without the library preloaded,
-- so that rows stay where they are.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS line_notify CASCADE;
DROP ROLE IF EXISTS regress_orm, regress_stranger;
CREATE EXTENSION line_notify;
RESET client_min_messages;
SELECT line_notify.create_channel('shop');
SELECT line_notify.create_channel('other');
CREATE ROLE regress_orm;
CREATE ROLE regress_stranger;
SELECT line_notify.grant_sender('regress_orm', '{shop}');
ALTER TABLE line_notify.outbox ADD COLUMN mine text DEFAULT 'x';
SET ROLE regress_orm;
SET line_notify.default_channel = 'shop';

-- the row comes back, with its id and state, without the number
INSERT INTO line_notify.messages (phone, use_case, template_key, body, reference)
VALUES ('090-1234-5678', 'reservation', 't', '{"items": [{"itemKey": "name_010_ja", "content": "x"}]}', 'order 1')
RETURNING id, phone, recipient, state, channel, use_case, aggregation_unit, priority, attempts, expires_at > now() AS expires, created_at > now() - interval '1 hour' AS created;
-- by every column, as libraries list them, DEFAULT and NULL included
INSERT INTO line_notify.messages (id, channel, phone, region, recipient, use_case, template_key, body, messages, notification_disabled, aggregation_unit,
	priority, send_after, spread, expires_at, batch, dedup_key, on_duplicate, order_key, reference, policy,
	state, attempts, http_status, request_id, error, created_at, sent_at, ended_at, delivered_at)
VALUES (DEFAULT, NULL, '090-1234-5679', NULL, NULL, '予約', 't', NULL, NULL, NULL, NULL,
	NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'order 2', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)
RETURNING id, use_case, priority, state;
INSERT INTO line_notify.messages (phone, use_case, template_key, state) VALUES ('090-1234-5678', 'reservation', 't', 'queued') RETURNING state;
INSERT INTO line_notify.messages (phone, use_case, template_key, state) VALUES ('090-1234-5678', 'reservation', 't', 'accepted');
-- faults of the row, and of the statement
INSERT INTO line_notify.messages (phone, use_case, template_key) VALUES ('090-12', 'reservation', 't') RETURNING state, error, phone;
INSERT INTO line_notify.messages (phone, use_case, template_key) VALUES ('090-1234-5678', 'reservatoin', 't');
INSERT INTO line_notify.messages (phone, use_case) VALUES ('090-1234-5678', 'reservation');
INSERT INTO line_notify.messages (channel, phone, use_case, template_key) VALUES ('other', '090-1234-5678', 'reservation', 't');
INSERT INTO line_notify.messages (id, phone, use_case, template_key) VALUES (4711, '090-1234-5678', 'reservation', 't');
INSERT INTO line_notify.messages (phone, use_case, template_key, priority) VALUES ('090-1234-5678', 'reservation', 't', 11);

-- what languages have for a field that nobody set: '' and JSON's null, false
INSERT INTO line_notify.messages (channel, phone, region, recipient, use_case, template_key, body, messages, notification_disabled, aggregation_unit, batch, on_duplicate, reference, policy, traceparent, state, attempts, error)
VALUES ('', '090-1234-5678', '', '', '', 't', 'null', 'null', false, '', '', '', 'fields', 'null', '', '', 0, '')
RETURNING channel, region, use_case, body, messages, notification_disabled, aggregation_unit, batch, policy, state, attempts, error;
INSERT INTO line_notify.messages (phone, recipient, use_case, template_key, messages, notification_disabled, reference)
VALUES ('', line_notify.phone_hash('090-1234-5678'), 'reservation', '', '[{"type": "text", "text": "x"}]', false, 'fields, too') RETURNING state, template_key, notification_disabled;
INSERT INTO line_notify.messages (phone, use_case, template_key, notification_disabled) VALUES ('090-1234-5678', 'reservation', 't', true);
-- but not for a key
INSERT INTO line_notify.messages (phone, use_case, template_key, dedup_key) VALUES ('090-1234-5678', 'reservation', 't', '');
INSERT INTO line_notify.messages (phone, use_case, template_key, order_key) VALUES ('090-1234-5678', 'reservation', 't', '');
-- and they are written back
UPDATE line_notify.messages SET channel = '', phone = '', region = '', recipient = '', use_case = coalesce(use_case, ''), template_key = 't', body = 'null', messages = 'null', notification_disabled = false,
	aggregation_unit = '', batch = '', dedup_key = '', on_duplicate = '', order_key = '', policy = 'null', traceparent = '', state = '', error = '', priority = 2 WHERE reference = 'fields' RETURNING priority;
-- content that was not there is a change
UPDATE line_notify.messages SET body = '{"items": []}' WHERE reference = 'fields';
UPDATE line_notify.messages SET messages = '[]' WHERE reference = 'fields';
UPDATE line_notify.messages SET channel = 'other' WHERE reference = 'fields';

-- duplicates: the id and the state of the first, in the same statement too
INSERT INTO line_notify.messages (phone, use_case, template_key, dedup_key, reference)
VALUES ('090-1234-5678', 'reservation', 't', 'a', 'first'), ('090-1234-5678', 'reservation', 't', 'b', 'second'), ('090-1234-5678', 'reservation', 't', 'a', 'third')
RETURNING id, state, dedup_key;
SELECT count(*) FROM line_notify.messages WHERE dedup_key IS NOT NULL;
BEGIN ISOLATION LEVEL REPEATABLE READ;
INSERT INTO line_notify.messages (phone, use_case, template_key, dedup_key) VALUES ('090-1234-5678', 'reservation', 't', 'a') RETURNING id, phone, recipient, state;
COMMIT;
INSERT INTO line_notify.messages (phone, use_case, template_key, dedup_key, on_duplicate, reference)
VALUES ('090-1234-5678', 'reservation', 't', 'a', 'replace', 'instead') RETURNING id, state, on_duplicate, reference;
RESET ROLE;
SELECT line_notify._end_waiting(ARRAY(SELECT id FROM line_notify.outbox WHERE dedup_key = 'b'), 'unknown', 'test');
SET ROLE regress_orm;
INSERT INTO line_notify.messages (phone, use_case, template_key, dedup_key) VALUES ('090-1234-5678', 'reservation', 't', 'b') RETURNING id, state;
-- nothing is queued while enqueueing is off: a row without id, no error
SET line_notify.enqueue = off;
INSERT INTO line_notify.messages (phone, use_case, template_key, reference) VALUES ('090-1234-5678', 'reservation', 't', 'off') RETURNING id, state, reference;
RESET line_notify.enqueue;

-- COPY, upserts, MERGE
COPY line_notify.messages (phone, use_case, template_key, reference) FROM stdin;
090-1234-5678	reservation	t	copied
090-12	reservation	t	copied
\.
SELECT state, reference FROM line_notify.messages WHERE reference = 'copied' ORDER BY id;
INSERT INTO line_notify.messages (phone, use_case, template_key) VALUES ('090-1234-5678', 'reservation', 't') ON CONFLICT DO NOTHING RETURNING state;
INSERT INTO line_notify.messages (phone, use_case, template_key) VALUES ('090-1234-5678', 'reservation', 't') ON CONFLICT (id) DO NOTHING;
-- MERGE: into a view with triggers from 17 on; the same to be read here, whatever the server
BEGIN;
DO $$
DECLARE
	merge CONSTANT text := 'MERGE INTO line_notify.messages m USING (VALUES (''merged''), (''merged, too'')) v(key) ON m.dedup_key = v.key
		WHEN MATCHED AND m.priority = 3 THEN DELETE WHEN MATCHED THEN UPDATE SET priority = 3
		WHEN NOT MATCHED THEN INSERT (phone, use_case, template_key, dedup_key) VALUES (''090-1234-5678'', ''reservation'', ''t'', v.key)';
	got text;
	did text[];
BEGIN
	IF current_setting('server_version_num')::int < 170000 THEN
		BEGIN
			EXECUTE merge;
		EXCEPTION WHEN feature_not_supported OR wrong_object_type THEN
			RETURN;
		END;
		RAISE 'MERGE was not refused';
	END IF;
	FOR i IN 1 .. 3 LOOP
		FOR got IN EXECUTE merge || ' RETURNING concat_ws('' '', merge_action(), m.dedup_key, m.id IS NOT NULL, m.phone IS NULL, m.state, m.priority)' LOOP
			did := did || got;
		END LOOP;
	END LOOP;
	IF ARRAY(SELECT x FROM unnest(did) x ORDER BY x COLLATE "C") <> '{DELETE merged t t queued 3,"DELETE merged, too t t queued 3",INSERT merged t t queued 0,"INSERT merged, too t t queued 0",UPDATE merged t t queued 3,"UPDATE merged, too t t queued 3"}'
	   OR (SELECT count(*) FROM line_notify.messages WHERE dedup_key ~ '^merged' AND state = 'cancelled') <> 2 THEN
		RAISE 'MERGE did %', did;
	END IF;
	-- another's message is not there to be matched, nor to be changed
	EXECUTE 'MERGE INTO line_notify.messages m USING (VALUES (1)) v(i) ON m.channel = ''other'' WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN DO NOTHING';
END $$;
ROLLBACK;

-- read after write
SELECT id, reference, state, phone, recipient, body FROM line_notify.messages WHERE reference = 'order 1';
-- updates: times and priority
UPDATE line_notify.messages SET send_after = '2099-01-01 00:00+00', expires_at = '2099-01-02 00:00+00' WHERE reference = 'order 1' RETURNING send_after AT TIME ZONE 'UTC' AS send_after, state;
UPDATE line_notify.messages SET send_after = '2099-03-01' WHERE reference = 'order 1';
UPDATE line_notify.messages SET priority = 11 WHERE reference = 'order 1';
UPDATE line_notify.messages SET priority = 5 WHERE reference = 'order 1' RETURNING priority;
-- an older snapshot does not show what is being sent
BEGIN ISOLATION LEVEL REPEATABLE READ;
UPDATE line_notify.messages SET priority = 6 WHERE reference = 'order 1';
ROLLBACK;
UPDATE line_notify.messages SET send_after = NULL WHERE reference = 'order 1' RETURNING send_after <= clock_timestamp() AS now;
SELECT state, priority, isfinite(send_after) AS finite, expires_at AT TIME ZONE 'UTC' FROM line_notify.messages WHERE reference = 'order 1';
-- a library writes everything back, what it made the object with included
UPDATE line_notify.messages SET id = id, channel = channel, phone = '090-1234-5678', use_case = '予約', template_key = 't',
	body = '{"items": [{"content": "x", "itemKey": "name_010_ja"}]}', state = 'queued', attempts = 0, created_at = NULL, priority = 6 WHERE reference = 'order 1' RETURNING priority;
-- but changes nothing else
UPDATE line_notify.messages SET body = '{"items": [{"itemKey": "name_010_ja", "content": "y"}]}' WHERE reference = 'order 1';
UPDATE line_notify.messages SET phone = '090-1234-9999' WHERE reference = 'order 1';
UPDATE line_notify.messages SET state = 'cancelled' WHERE reference = 'order 1';
UPDATE line_notify.messages SET reference = 'x' WHERE reference = 'order 1';
UPDATE line_notify.messages SET dedup_key = 'x' WHERE reference = 'order 1';

-- DELETE cancels
DELETE FROM line_notify.messages WHERE reference = 'order 1' RETURNING reference;
SELECT state, error FROM line_notify.messages WHERE reference = 'order 1';
DELETE FROM line_notify.messages WHERE reference = 'order 1';
UPDATE line_notify.messages SET priority = 1 WHERE reference = 'order 1';
UPDATE line_notify.messages SET send_after = '2099-01-01' WHERE reference = 'order 1';
UPDATE line_notify.messages SET priority = 6, send_after = '2001-01-01' WHERE reference = 'order 1' RETURNING state;
-- times of JavaScript have milliseconds: not another time, for a message that ended
DELETE FROM line_notify.messages WHERE reference = 'fields, too';
UPDATE line_notify.messages SET expires_at = date_trunc('milliseconds', expires_at) WHERE reference = 'fields, too' RETURNING state;
UPDATE line_notify.messages SET expires_at = date_trunc('second', expires_at) WHERE reference = 'fields, too' RETURNING state;
UPDATE line_notify.messages SET expires_at = date_trunc('minute', expires_at) - interval '1 minute' WHERE reference = 'fields, too';
RESET ROLE;
INSERT INTO line_notify.in_flight (id, token, claimer, attempt, claimed_at, home) SELECT id, 1, 1, 1, now(), home FROM line_notify.outbox WHERE reference = 'order 2';
SET ROLE regress_orm;
SELECT state, attempts FROM line_notify.messages WHERE reference = 'order 2';
DELETE FROM line_notify.messages WHERE reference = 'order 2';
UPDATE line_notify.messages SET priority = 1 WHERE reference = 'order 2';
DELETE FROM line_notify.messages WHERE dedup_key = 'b';
RESET ROLE;
SELECT role, function, count FROM line_notify.operations ORDER BY seq;

-- others see nothing, and may nothing
SET ROLE regress_stranger;
SELECT count(*) FROM line_notify.messages;
INSERT INTO line_notify.messages (phone, use_case, template_key) VALUES ('090-1234-5678', 'reservation', 't');
RESET ROLE;
INSERT INTO line_notify.messages (channel, phone, use_case, template_key, reference) VALUES ('other', '090-1234-5678', 'reservation', 't', 'of others') RETURNING channel;
SET ROLE regress_orm;
SELECT count(*) FROM line_notify.messages WHERE channel = 'other';
UPDATE line_notify.messages SET priority = 1 WHERE reference = 'of others';
DELETE FROM line_notify.messages WHERE reference = 'of others';

-- the outbox: DEFAULT for the id, a text as use case, the candidates of a misspelt one
INSERT INTO line_notify.outbox (id, phone, use_case, template_key) VALUES (DEFAULT, '090-1234-5678', '予約'::text, 't') RETURNING id IS NOT NULL AS given;
INSERT INTO line_notify.outbox (phone, use_case, template_key) VALUES ('090-1234-5678', 'reservatoin'::text, 't');
INSERT INTO line_notify.outbox (id, phone, use_case, template_key) VALUES (4711, '090-1234-5678', 'reservation', 't');
RESET ROLE;
SELECT count(*) FILTER (WHERE mine = 'x') = count(*) AS own_columns_have_defaults FROM line_notify.outbox;

-- what is looked for has an index, waiting or ended: those who look for a key
-- before they insert do so for every message
SET ROLE regress_orm;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
CREATE FUNCTION pg_temp.plan(condition text) RETURNS TABLE (searches text) LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS off) SELECT id FROM line_notify.messages WHERE ' || condition LOOP
		searches := (regexp_match(line, 'Index.* Scan using \w+ on (?:outbox|history_)|Seq Scan on (?:outbox|history_)'))[1];
		CONTINUE WHEN searches IS NULL;
		RETURN NEXT;
	END LOOP;
END $$;
SELECT c, count(*) FILTER (WHERE searches LIKE 'Index%') AS by_index, count(*) FILTER (WHERE searches LIKE 'Seq%') AS of_all
FROM (VALUES ('id = 1'), ('reference = ''x'''), ('batch = ''x'''), ('dedup_key = ''x'''), ('dedup_key IN (''x'', ''y'')')) v(c), pg_temp.plan(c) GROUP BY c ORDER BY c;
RESET enable_seqscan;
RESET enable_bitmapscan;
DROP FUNCTION pg_temp.plan(text);
RESET ROLE;

-- what a tool that reads the catalog finds
SELECT column_name, data_type, is_nullable, column_default FROM information_schema.columns
WHERE table_schema = 'line_notify' AND table_name = 'messages' AND (is_nullable = 'NO' OR data_type = 'USER-DEFINED');
-- every column of a view that somebody other than we may read says what it is
SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
WHERE c.relkind = 'v' AND c.relnamespace = 'line_notify'::regnamespace AND c.relname !~ '^_' AND col_description(c.oid, a.attnum) IS NULL
ORDER BY 1, a.attnum;

-- what a tool wants that does not find our objects among its models
DROP TABLE line_notify.outbox CASCADE;
DROP TYPE line_notify.use_case CASCADE;
DROP VIEW line_notify.messages;

DROP EXTENSION line_notify CASCADE;
DROP ROLE regress_orm, regress_stranger;
