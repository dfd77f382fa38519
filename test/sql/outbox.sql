-- What the outbox makes of a row: hashed, scheduled, parked or refused.
-- pg_regress without the library preloaded: rows stay where they are, so each
-- can be looked at.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS line_notify CASCADE;
CREATE EXTENSION line_notify;
RESET client_min_messages;
SELECT line_notify.create_channel('shop');

-- a number is hashed and not kept; what LINE calls its sample
INSERT INTO line_notify.outbox (phone, use_case, template_key) VALUES ('080-0000-1234', 'reservation', 't') RETURNING phone, recipient, state, channel, aggregation_unit;
-- any writing, other regions, a ready hash
INSERT INTO line_notify.outbox (phone, region, use_case, template_key) VALUES
	('０９０－１２３４－５６７８', NULL, 'reservation', 't'),
	('+81 (0)90 1234 5678', NULL, 'reservation', 't'),
	('081-234-5678', 'TH', 'reservation', 't'),
	('0912-345-678', 'tw', 'reservation', 't')
	RETURNING recipient;
INSERT INTO line_notify.outbox (recipient, use_case, template_key) VALUES (line_notify.phone_hash('09012345678'), 'reservation', 't') RETURNING recipient;

-- times: due now or later, never in the past; default_ttl from the due time
SELECT count(*) FILTER (WHERE due_at <= clock_timestamp() AND expires_at = due_at + interval '24 hours') FROM line_notify.outbox;
INSERT INTO line_notify.outbox (phone, use_case, template_key, send_after) VALUES ('09012345678', 'reservation', 't', '2100-01-01 00:00+00')
	RETURNING due_at AT TIME ZONE 'UTC', expires_at AT TIME ZONE 'UTC';
INSERT INTO line_notify.outbox (phone, use_case, template_key, send_after) VALUES ('09012345678', 'reservation', 't', '2000-01-01')
	RETURNING due_at > clock_timestamp() - interval '1 minute';
INSERT INTO line_notify.outbox (phone, use_case, template_key, send_after, spread) VALUES ('09012345678', 'reservation', 't', '2100-01-01 00:00+00', '1 hour')
	RETURNING due_at >= '2100-01-01 00:00+00' AND due_at < '2100-01-01 01:00+00';

-- row faults are parked, without number or hash
INSERT INTO line_notify.outbox (phone, use_case, template_key) VALUES
	(NULL, 'reservation', 't'), ('', 'reservation', 't'), ('090-1234', 'reservation', 't'), ('090-XXXX-5678', 'reservation', 't'),
	('+1 212 555 2368', 'reservation', 't'), ('03-1234-5678 / 090-1234-5678', 'reservation', 't')
	RETURNING state, recipient IS NULL AS no_hash, error;
INSERT INTO line_notify.outbox (phone, use_case, template_key, expires_at) VALUES ('09012345678', 'reservation', 't', '2000-01-01') RETURNING state, error;
INSERT INTO line_notify.outbox (phone, use_case, template_key, body) VALUES ('09012345678', 'reservation', 't', '{"items": [{"itemKey": "name_010_ja", "content": ""}]}') RETURNING state, error;
-- times that no dump could restore, an end before the beginning, labels that no index takes
INSERT INTO line_notify.outbox (phone, use_case, template_key, send_after) VALUES ('09012345678', 'reservation', 't', '294276-12-31 23:00+00') RETURNING state, error;
INSERT INTO line_notify.outbox (phone, use_case, template_key, send_after, expires_at) VALUES ('09012345678', 'reservation', 't', now() + '2 hours', now() + '1 hour') RETURNING state, error;
INSERT INTO line_notify.outbox (phone, use_case, template_key, reference) VALUES ('09012345678', 'reservation', 't', (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 100) i)) RETURNING state, error, length(reference);
-- ... or refused, when the channel says so
SELECT line_notify.alter_channel('shop', on_invalid => 'error');
INSERT INTO line_notify.outbox (phone, use_case, template_key) VALUES ('090-1234', 'reservation', 't');
SELECT line_notify.alter_channel('shop', on_invalid => 'park');

-- statement faults are errors
INSERT INTO line_notify.outbox (channel, phone, template_key) VALUES ('nosuch', '09012345678', 't');
INSERT INTO line_notify.outbox (phone, use_case, template_key) VALUES ('09012345678', 'advertising', 't');
INSERT INTO line_notify.outbox (phone, recipient, template_key) VALUES ('09012345678', line_notify.phone_hash('09012345678'), 't');
INSERT INTO line_notify.outbox (recipient, template_key) VALUES ('abc', 't');
INSERT INTO line_notify.outbox (recipient, template_key) VALUES (upper(line_notify.phone_hash('09012345678')), 't');
INSERT INTO line_notify.outbox (phone, use_case) VALUES ('09012345678', 'reservation');
INSERT INTO line_notify.outbox (phone, use_case, template_key, messages) VALUES ('09012345678', 'reservation', 't', '[]');
INSERT INTO line_notify.outbox (phone, use_case, template_key, body) VALUES ('09012345678', 'reservation', 't', '"text"');
INSERT INTO line_notify.outbox (phone, use_case, messages) VALUES ('09012345678', 'reservation', '{"type": "text"}');
INSERT INTO line_notify.outbox (phone, use_case, messages, body) VALUES ('09012345678', 'reservation', '[{"type": "text", "text": "x"}]', '{}');
INSERT INTO line_notify.outbox (phone, messages) VALUES ('09012345678', '[{"type": "text", "text": "x"}]');
INSERT INTO line_notify.outbox (phone, use_case, template_key, notification_disabled) VALUES ('09012345678', 'reservation', 't', true);
INSERT INTO line_notify.outbox (phone, region, use_case, template_key) VALUES ('09012345678', 'XX', 'reservation', 't');
INSERT INTO line_notify.outbox (phone, use_case, template_key, priority) VALUES ('09012345678', 'reservation', 't', 11);
INSERT INTO line_notify.outbox (phone, use_case, template_key, spread) VALUES ('09012345678', 'reservation', 't', '-1 hour');
INSERT INTO line_notify.outbox (phone, use_case, template_key, send_after) VALUES ('09012345678', 'reservation', 't', 'infinity');
INSERT INTO line_notify.outbox (phone, use_case, template_key, expires_at) VALUES ('09012345678', 'reservation', 't', 'infinity');
INSERT INTO line_notify.outbox (phone, use_case, messages) VALUES ('09012345678', 'reservation', '[{"type": "image", "originalContentUrl": "https://x"}]');

-- several channels: the message must name one
SELECT line_notify.create_channel('thai', region => 'TH');
INSERT INTO line_notify.outbox (phone, use_case, template_key) VALUES ('09012345678', 'reservation', 't');
INSERT INTO line_notify.outbox (channel, phone, use_case, template_key) VALUES ('thai', '081-234-5678', 'reservation', 't') RETURNING channel, recipient;
SET line_notify.default_channel = 'shop';
INSERT INTO line_notify.outbox (phone, use_case, template_key) VALUES ('09012345678', 'reservation', 't') RETURNING channel;
SET line_notify.default_channel = 'gone';
INSERT INTO line_notify.outbox (phone, use_case, template_key) VALUES ('09012345678', 'reservation', 't');
RESET line_notify.default_channel;
SELECT line_notify.drop_channel('thai');
DELETE FROM line_notify.outbox WHERE channel = 'thai';
SELECT line_notify.drop_channel('thai');

-- switched off for this session; the fuse
BEGIN;
SET LOCAL line_notify.enqueue = off;
INSERT INTO line_notify.outbox (phone, use_case, template_key) VALUES ('09012345678', 'reservation', 't') RETURNING id;
COMMIT;
BEGIN;
SET LOCAL line_notify.max_messages_per_transaction = 3;
INSERT INTO line_notify.outbox (phone, use_case, template_key) SELECT '09012345678', 'reservation', 't' FROM generate_series(1, 4);
ROLLBACK;

-- the fuse counts what is queued, not what a savepoint took back: 1, 3 again and again, 3
BEGIN;
SET LOCAL line_notify.max_messages_per_transaction = 3;
INSERT INTO line_notify.outbox (phone, use_case, template_key) VALUES ('09012345678', 'reservation', 't');
DO $$
BEGIN
	FOR i IN 1..5 LOOP
		BEGIN
			INSERT INTO line_notify.outbox (phone, use_case, template_key) VALUES ('09012345678', 'reservation', 't');
			BEGIN
				INSERT INTO line_notify.outbox (phone, use_case, template_key) VALUES ('09012345678', 'reservation', 't');
			EXCEPTION WHEN division_by_zero THEN
				NULL;
			END;
			PERFORM 1 / 0;
		EXCEPTION WHEN division_by_zero THEN
			NULL;
		END;
	END LOOP;
END $$;
SAVEPOINT a;
SAVEPOINT b;
INSERT INTO line_notify.outbox (phone, use_case, template_key) VALUES ('09012345678', 'reservation', 't');
RELEASE b;
INSERT INTO line_notify.outbox (phone, use_case, template_key) VALUES ('09012345678', 'reservation', 't');
SAVEPOINT c;
INSERT INTO line_notify.outbox (phone, use_case, template_key) VALUES ('09012345678', 'reservation', 't');
ROLLBACK TO c;
ROLLBACK TO a;
INSERT INTO line_notify.outbox (phone, use_case, template_key) SELECT '09012345678', 'reservation', 't' FROM generate_series(1, 2);
SAVEPOINT d;
INSERT INTO line_notify.outbox (phone, use_case, template_key) VALUES ('09012345678', 'reservation', 't');
ROLLBACK;

-- rows that are too long or too far ahead are parked, and say why
BEGIN;
DELETE FROM line_notify.outbox;
INSERT INTO line_notify.outbox (phone, use_case, template_key, batch) VALUES ('09012345678', 'reservation', 't', repeat('b', 2000));
INSERT INTO line_notify.outbox (phone, use_case, template_key, reference) VALUES ('09012345678', 'reservation', 't', repeat('r', 2000));
INSERT INTO line_notify.outbox (phone, use_case, template_key, send_after) VALUES ('09012345678', 'reservation', 't', '9999-12-31');
INSERT INTO line_notify.outbox (phone, use_case, template_key, expires_at) VALUES ('09012345678', 'reservation', 't', '9999-12-31');
INSERT INTO line_notify.outbox (phone, use_case, template_key, send_after, spread) SELECT '09012345678', 'reservation', 't', '294276-12-31', '366 days' FROM generate_series(1, 8);
SELECT state, error, length(batch), length(reference) FROM line_notify.outbox ORDER BY id;
ROLLBACK;

-- our trigger functions where they do not belong
\set VERBOSITY sqlstate
CREATE TEMP TABLE elsewhere (channel text, phone text);
CREATE TRIGGER t AFTER INSERT ON elsewhere FOR EACH ROW EXECUTE FUNCTION line_notify._outbox_insert();
INSERT INTO elsewhere VALUES ('x', 'y');
DROP TRIGGER t ON elsewhere;
CREATE TRIGGER t BEFORE INSERT ON elsewhere FOR EACH ROW EXECUTE FUNCTION line_notify._outbox_insert();
INSERT INTO elsewhere VALUES ('x', 'y');
DROP TRIGGER t ON elsewhere;
CREATE TRIGGER t BEFORE INSERT ON elsewhere FOR EACH ROW EXECUTE FUNCTION line_notify._note_unblock();
INSERT INTO elsewhere VALUES ('x', 'y');
\set VERBOSITY default
DROP TABLE elsewhere;

-- enqueue() is the same as a function
SELECT line_notify.enqueue('09012345678', 'reservation', 'tmpl', options => '{"reference": "r1", "priority": 5, "batch": "b"}') > 0;
SELECT use_case, template_key, reference, priority, batch, state FROM line_notify.notifications WHERE reference = 'r1';
SELECT line_notify.enqueue('09012345678', 'reservation', 'tmpl', options => '{"colour": "red"}');
SELECT line_notify.enqueue('09012345678', 'reservation');

-- a row of a dump is taken as it is; nobody else can bring a number past the trigger
INSERT INTO line_notify.outbox (id, channel, template_key, state, recipient, due_at, expires_at, home, created_at)
VALUES (9000, 'nosuch', 't', 'queued', line_notify.phone_hash('09012345678'), '2000-01-01', '2000-01-02', 7, '2000-01-01') RETURNING due_at = '2000-01-01', home;
-- what holds of every row, in C and in words
SELECT count(*), count(*) FILTER (WHERE good) AS good,
	count(*) FILTER (WHERE line_notify._is_waiting_row(state, phone, on_duplicate, recipient, priority::smallint, template_key, messages::jsonb) <> good) AS differ
FROM unnest(enum_range(NULL::line_notify.message_state)) state, (VALUES (NULL), ('09012345678')) a(phone), (VALUES (NULL), ('ignore')) b(on_duplicate),
	(VALUES (NULL), (repeat('0a', 32)), (repeat('a', 63)), (repeat('a', 65)), (repeat('A', 64)), (repeat('g', 64)), (repeat('a', 64) || E'\n'), ('')) c(recipient),
	(VALUES (-11), (-10), (0), (10), (11)) d(priority), (VALUES (NULL), ('t')) e(template_key), (VALUES (NULL), ('[]')) f(messages),
	LATERAL (SELECT phone IS NULL AND on_duplicate IS NULL AND state IN ('queued', 'invalid', 'suppressed')
		AND coalesce(recipient ~ '^[0-9a-f]{64}$', state <> 'queued') AND priority BETWEEN -10 AND 10
		AND ((template_key IS NULL) <> (messages IS NULL) OR state <> 'queued') AS good) g;
\set VERBOSITY terse
UPDATE line_notify.outbox SET priority = 11 WHERE id = 9000;
INSERT INTO line_notify.outbox (channel, phone, template_key, state, recipient, due_at, expires_at, home, created_at)
VALUES ('shop', '09012345678', 't', 'queued', line_notify.phone_hash('09012345678'), '2000-01-01', '2000-01-02', 7, '2000-01-01');
SET session_replication_role = replica;
INSERT INTO line_notify.outbox (phone, use_case, template_key) VALUES ('09012345678', 'reservation', 't');
RESET session_replication_role;
\set VERBOSITY default

-- senders: own channels, named columns, own rows
CREATE ROLE regress_ln_shop;
CREATE ROLE regress_ln_other;
SELECT line_notify.create_channel('second');
SELECT line_notify.grant_sender('regress_ln_shop', '{shop}');
SELECT line_notify.grant_sender('regress_ln_other', '{second}');
SELECT line_notify.grant_sender('regress_ln_shop', '{nosuch}');
SET SESSION AUTHORIZATION regress_ln_shop;
INSERT INTO line_notify.outbox (channel, phone, use_case, template_key, reference) VALUES ('shop', '09012345678', 'reservation', 't', 'mine') RETURNING id > 0;
INSERT INTO line_notify.outbox (channel, phone, use_case, template_key) VALUES ('second', '09012345678', 'reservation', 't');
INSERT INTO line_notify.outbox (channel, phone, template_key, state) VALUES ('shop', '09012345678', 't', 'queued');
SELECT recipient FROM line_notify.outbox;
UPDATE line_notify.outbox SET priority = 1;
DELETE FROM line_notify.outbox;
SELECT DISTINCT channel FROM line_notify.notifications;
SELECT line_notify.enqueue('09012345678', 'reservation', 't', channel => 'shop') > 0;
RESET SESSION AUTHORIZATION;
SET SESSION AUTHORIZATION regress_ln_other;
SELECT count(*) FROM line_notify.notifications;
RESET SESSION AUTHORIZATION;
SELECT line_notify.revoke_sender('regress_ln_shop');
SET SESSION AUTHORIZATION regress_ln_shop;
INSERT INTO line_notify.outbox (channel, phone, use_case, template_key) VALUES ('shop', '09012345678', 'reservation', 't');
RESET SESSION AUTHORIZATION;
DROP OWNED BY regress_ln_shop, regress_ln_other;
DROP ROLE regress_ln_shop, regress_ln_other;

-- not preloaded: accepted, and health() says why nothing moves
SELECT severity, subject, reason FROM line_notify.health() WHERE subject = 'server';
SELECT state, terminal, billed FROM line_notify.states;

-- everything of ours has a comment
SELECT d.objtype, d.obj FROM (
	SELECT 'function' AS objtype, p.oid::regprocedure::text AS obj, obj_description(p.oid, 'pg_proc') AS c FROM pg_proc p WHERE pronamespace = 'line_notify'::regnamespace
	UNION ALL
	SELECT 'relation', r.oid::regclass::text, obj_description(r.oid, 'pg_class') FROM pg_class r WHERE relnamespace = 'line_notify'::regnamespace AND relkind IN ('r', 'v', 'p')
	UNION ALL
	SELECT 'type', t.oid::regtype::text, obj_description(t.oid, 'pg_type') FROM pg_type t WHERE typnamespace = 'line_notify'::regnamespace AND typtype IN ('e', 'd')) d
WHERE c IS NULL ORDER BY 1, 2;
-- PUBLIC may execute pure functions only
SELECT p.oid::regprocedure FROM pg_proc p
WHERE pronamespace = 'line_notify'::regnamespace AND provolatile = 'v'
  AND has_function_privilege('public', p.oid, 'EXECUTE') ORDER BY p.oid::regprocedure::text COLLATE "C";
SELECT r.oid::regclass, privilege_type FROM pg_class r, aclexplode(r.relacl) a
WHERE relnamespace = 'line_notify'::regnamespace AND a.grantee = 0 ORDER BY r.oid::regclass::text COLLATE "C";
-- leave a fresh one for the tests that follow
DROP EXTENSION line_notify;
CREATE EXTENSION line_notify;
