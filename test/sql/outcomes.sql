-- take_outcomes(): every state change worth acting on reaches every consumer
-- once, corrections follow with a larger revision, and nothing else does.
-- No worker: history is written as the worker would.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS line_notify;
SELECT line_notify.create_channel('out', api_base => 'http://127.0.0.1:1');
SELECT line_notify.create_channel('other', api_base => 'http://127.0.0.1:1');
SELECT line_notify._ensure_history(1) > 1 AS history;
CREATE FUNCTION pg_temp.ended(id bigint, state line_notify.message_state, channel text DEFAULT 'out', dedup_key text DEFAULT NULL)
RETURNS void LANGUAGE sql AS $$
	INSERT INTO line_notify.history (id, channel, recipient, use_case, template_key, body, reference, state, attempts, token, outcome, http_status, created_at, expires_at, ended_at)
	VALUES ($1, $3, repeat('b', 64), 'reservation', 'tpl', '{}', 'order-' || $1, $2, 1, $1, 'x', 400, '2026-01-01', '2100-01-02', '2026-01-01')
$$;
CREATE FUNCTION pg_temp.becomes(id bigint, state line_notify.message_state) RETURNS void LANGUAGE sql AS $$
	UPDATE line_notify.history h SET state = $2 WHERE h.id = $1
$$;

-- what is refused
SELECT * FROM line_notify.take_outcomes(0);
SELECT * FROM line_notify.take_outcomes(NULL);
SELECT * FROM line_notify.take_outcomes(states => '{delivered,undeliverable}');
SELECT * FROM line_notify.take_outcomes(states => '{NULL}');
SELECT * FROM line_notify.take_outcomes(channel => 'missing');
SELECT * FROM line_notify.take_outcomes(consumer => '');
SELECT * FROM line_notify.take_outcomes(consumer => NULL);
SELECT line_notify.drop_consumer('default');
SELECT line_notify.drop_consumer('missing');

-- one of each state: the default consumer gets what is worth acting on
SELECT pg_temp.ended(row_number() OVER (), s.state) FROM (
	SELECT unnest(enum_range(NULL::line_notify.message_state)) AS state) s WHERE s.state NOT IN ('queued', 'sending');
SELECT id, state, revision, reference, message_channel, use_case, template_key, attempts, http_status FROM line_notify.take_outcomes() ORDER BY id;
SELECT * FROM line_notify.take_outcomes();

-- filters leave the rest for later
SELECT pg_temp.ended(21, 'failed'), pg_temp.ended(22, 'expired'), pg_temp.ended(23, 'failed', 'other');
SELECT id, state FROM line_notify.take_outcomes(states => '{expired}');
SELECT id, state FROM line_notify.take_outcomes(channel => 'other');
SELECT id, state FROM line_notify.take_outcomes(max => 1);
SELECT id, state FROM line_notify.take_outcomes();

-- a rolled-back take is none
SELECT pg_temp.ended(31, 'failed');
BEGIN;
SELECT id, state FROM line_notify.take_outcomes();
ROLLBACK;
SELECT id, state FROM line_notify.take_outcomes();

-- a second consumer gets what happens after it was made
SELECT line_notify.set_consumer('mail', 'out');
SELECT id, state FROM line_notify.take_outcomes(consumer => 'mail');
SELECT pg_temp.ended(41, 'unreachable');
SELECT id, state FROM line_notify.take_outcomes();
SELECT id, state FROM line_notify.take_outcomes(consumer => 'mail');
SELECT id, state FROM line_notify.take_outcomes(consumer => 'mail');

-- delivered on request
SELECT pg_temp.ended(51, 'accepted');
SELECT pg_temp.becomes(51, 'delivered');
SELECT line_notify.set_consumer('all', 'out', outcomes => '{unreachable,undelivered,unconfirmed,invalid,refused,failed,unknown,expired,delivered}');
SELECT id, state FROM line_notify.take_outcomes(consumer => 'all', states => '{delivered}');
SELECT pg_temp.ended(52, 'accepted');
SELECT pg_temp.becomes(52, 'delivered');
SELECT id, state, revision FROM line_notify.take_outcomes(consumer => 'all', states => '{delivered}');
SELECT id, state, revision FROM line_notify.take_outcomes();

-- the truth comes later: after the outcome was taken, a correction
SELECT pg_temp.ended(61, 'unknown');
SELECT id, state, revision FROM line_notify.take_outcomes();
SELECT pg_temp.becomes(61, 'delivered');
SELECT id, state, revision FROM line_notify.take_outcomes();
-- also for a filter: whoever was told must be told
SELECT pg_temp.ended(62, 'undelivered');
SELECT id, state, revision FROM line_notify.take_outcomes(states => '{undelivered}');
SELECT pg_temp.becomes(62, 'delivered');
SELECT id, state, revision FROM line_notify.take_outcomes(states => '{undelivered}');
-- before it was taken: nothing to act on any more, except for who wants delivered
SELECT pg_temp.ended(63, 'unknown');
SELECT pg_temp.becomes(63, 'delivered');
SELECT id, state, revision FROM line_notify.take_outcomes();
SELECT id, state, revision FROM line_notify.take_outcomes(consumer => 'all') WHERE id = 63;
-- one outcome overtakes another
SELECT pg_temp.ended(64, 'unknown');
SELECT pg_temp.becomes(64, 'undelivered');
SELECT id, state, revision FROM line_notify.take_outcomes();
SELECT pg_temp.becomes(64, 'delivered');
SELECT id, state, revision FROM line_notify.take_outcomes();
-- the same state written again is no news
SELECT pg_temp.becomes(64, 'delivered');
SELECT id, state, revision FROM line_notify.take_outcomes();

-- a second life: the first one's outcome is withdrawn if nobody took it
SELECT pg_temp.ended(71, 'failed'), pg_temp.ended(72, 'failed');
SELECT id, state, revision FROM line_notify.take_outcomes(max => 1);
SELECT * FROM line_notify.redrive(ids => '{71,72}');
SELECT id, state, revision FROM line_notify.take_outcomes();
DELETE FROM line_notify.outbox WHERE id IN (71, 72);
SELECT pg_temp.ended(71, 'accepted'), pg_temp.ended(72, 'refused');
SELECT pg_temp.becomes(71, 'delivered');
SELECT id, state, revision FROM line_notify.take_outcomes() ORDER BY id;

-- rows of a dump carry their revision and tell nobody anything
CREATE TEMP TABLE dump AS SELECT * FROM line_notify.history;
DELETE FROM line_notify.history;
INSERT INTO line_notify.history SELECT * FROM dump;
SELECT id, state, revision FROM line_notify.take_outcomes();

-- in a copy that may not send, outcomes are not handed out either
SELECT pg_temp.ended(81, 'failed');
UPDATE line_notify.identity SET nodes = '{elsewhere}';
SELECT id, state, revision FROM line_notify.take_outcomes();
SELECT line_notify.arm() >= 0 AS armed;
SELECT id, state, revision FROM line_notify.take_outcomes();

-- unconfirmed: accepted, and no event within confirm_within; corrected like the others
SELECT line_notify.alter_channel('out', confirm_within => '25 hours');
SELECT line_notify.alter_channel('out', confirm_within => '0.5 s');
SELECT line_notify.alter_channel('out', confirm_within => '10 minutes');
DO $$ BEGIN	-- not at the top level, where it would pass for a dump
INSERT INTO line_notify.history (id, channel, template_key, state, outcome, created_at, ended_at)
	VALUES (91, 'out', 't', 'accepted', 'accepted', now(), now() - interval '20 minutes'),
		   (92, 'out', 't', 'accepted', 'accepted', now(), now() - interval '20 minutes'),
		   (93, 'out', 't', 'accepted', 'accepted', now(), now() - interval '5 minutes'),
		   (94, 'out', 't', 'delivered', 'accepted', now(), now() - interval '20 minutes'),
		   (95, 'other', 't', 'accepted', 'accepted', now(), now() - interval '20 minutes');
END $$;
DO $$ BEGIN LOOP EXIT WHEN NOT (SELECT again FROM line_notify._sweep_unconfirmed()); END LOOP; END $$;
SELECT again, next_at BETWEEN now() AND now() + interval '11 minutes' AS later FROM line_notify._sweep_unconfirmed();
SELECT id, state, revision FROM line_notify.take_outcomes(1);
SELECT pg_temp.becomes(91, 'delivered'), pg_temp.becomes(92, 'delivered');
SELECT id, state, revision FROM line_notify.take_outcomes();

SELECT name, channel, outcomes, waiting FROM line_notify.consumers ORDER BY name, channel;
SELECT line_notify.drop_consumer('mail') > 0 AS dropped;
SELECT name, channel FROM line_notify.consumers ORDER BY name, channel;
DROP EXTENSION line_notify CASCADE;
