-- Flow control as seen by SQL alone, without a worker: every setting out of
-- range, keys of wrong shape, duplicates in one transaction, the allow-list,
-- what a sender may do of it.
\set VERBOSITY terse
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS line_notify CASCADE;
RESET client_min_messages;
CREATE EXTENSION line_notify;
SELECT line_notify.create_channel('flow', region => 'JP');
-- settings
SELECT line_notify.alter_channel('flow', settle_window => '-1 second');
SELECT line_notify.alter_channel('flow', settle_window => '25 hours');
SELECT line_notify.alter_channel('flow', dedup_window => '0');
SELECT line_notify.alter_channel('flow', dedup_window => '11 years');
SELECT line_notify.alter_channel('flow', on_duplicate => 'error');
SELECT line_notify.alter_channel('flow', time_zone => 'JST');
SELECT line_notify.alter_channel('flow', time_zone => '');
SELECT line_notify.alter_channel('flow', quiet_hours => '21:00');
SELECT line_notify.alter_channel('flow', quiet_hours => '08:00-08:00');
SELECT line_notify.alter_channel('flow', daily_budget => -1);
SELECT line_notify.alter_channel('flow', only_recipients => '{nobody}');
SELECT line_notify.alter_channel('flow', only_recipients => ARRAY['09012345678', NULL]);
SELECT line_notify.create_channel('other', quiet_hours => 'at night');
SELECT count(*) FROM line_notify.channels WHERE name = 'other';
-- set, seen, cleared
SELECT line_notify.alter_channel('flow', quiet_hours => '21:00-08:00', daily_budget => 5, only_recipients => '{09012345678}', time_zone => 'Asia/Bangkok');
SELECT quiet_hours, daily_budget, sent_today, only_recipients, time_zone FROM line_notify.channels;
SELECT only_recipients = ARRAY[line_notify.phone_hash('09012345678')] AS hashed FROM line_notify.channel;
SELECT line_notify.alter_channel('flow', rate_limit => 100);
SELECT quiet_hours, daily_budget, only_recipients FROM line_notify.channels;
SELECT line_notify.alter_channel('flow', quiet_hours => '', daily_budget => 0, only_recipients => '{}');
SELECT quiet_hours, daily_budget, only_recipients FROM line_notify.channels;
-- when the night ends, as a function
SET timezone = 'UTC';
SELECT at, line_notify._quiet_until('21:00-08:00', 'Asia/Tokyo', at::timestamptz)
FROM (VALUES ('2026-11-21 11:59:59+00'), ('2026-11-21 12:00+00'), ('2026-11-21 22:59+00'), ('2026-11-21 23:00+00'), ('infinity')) v(at);
SELECT line_notify._quiet_until('21:00-08:00', 'Europe/Berlin', '2026-03-28 22:00+00'), line_notify._quiet_until('21:00-08:00', 'Europe/Berlin', '2026-10-24 22:00+00');
SELECT line_notify._quiet_until('now', 'Asia/Tokyo', now());
SELECT line_notify._quiet_until('21:00-08:00', 'Asia/Edo', now());
-- keys
CREATE FUNCTION put(key text, how text DEFAULT NULL, ref text DEFAULT NULL, ord text DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
	WITH i AS (INSERT INTO line_notify.outbox (phone, use_case, template_key, dedup_key, on_duplicate, reference, order_key)
		VALUES ('09012345678', 'reservation', 't', key, how, ref, ord) RETURNING 1)
	SELECT CASE count(*) WHEN 1 THEN 'queued' ELSE 'duplicate' END FROM i $$;
SELECT put('');
SELECT put(repeat('x', 256));
SELECT put(repeat('x', 255)), put(repeat('x', 255));
SELECT put('k', 'update');
SELECT put('k', ord => '');
-- the second of a transaction, also after a savepoint was undone
BEGIN;
SELECT put('a', ref => 'first'), put('a', ref => 'second');
SAVEPOINT s;
SELECT put('b', ref => 'undone');
ROLLBACK TO s;
SELECT put('b', ref => 'kept'), put('b', ref => 'not');
COMMIT;
-- a replacement keeps id and order_key; within one statement the first wins
SELECT put('c', ref => 'old', ord => 'o1');
SELECT id AS old_id FROM line_notify.outbox WHERE reference = 'old' \gset
SELECT put('c', 'replace', 'new', 'o2');
SELECT id = :old_id AS same_id, order_key, on_duplicate FROM line_notify.outbox WHERE reference = 'new';
SELECT count(*) FROM line_notify.unblock;
INSERT INTO line_notify.outbox (phone, use_case, template_key, dedup_key, on_duplicate, reference)
SELECT '09012345678', 'reservation', 't', 'd', 'replace', 'row ' || i FROM generate_series(1, 3) i;
SELECT reference FROM line_notify.outbox ORDER BY id;
-- a row that is parked takes no key; nor does one that is not inserted
INSERT INTO line_notify.outbox (phone, use_case, template_key, dedup_key) VALUES ('12', 'reservation', 't', 'parked');
SET line_notify.enqueue = off;
SELECT put('off');
RESET line_notify.enqueue;
SELECT count(*) FROM line_notify.dedup WHERE dedup_key IN ('parked', 'off');
-- the option of enqueue()
SELECT line_notify.enqueue('09012345678', 'reservation', 't', options => '{"dedup_key": "c"}') = :old_id AS existing;
SELECT line_notify.enqueue('09012345678', 'reservation', 't', options => '{"dedup_key": "c", "on_duplicate": "replace", "reference": "newest"}') = :old_id AS existing;
SELECT reference FROM line_notify.outbox WHERE id = :old_id;
-- a spread that is wider than the message lives is narrowed: chance makes none invalid
INSERT INTO line_notify.outbox (phone, use_case, template_key, batch, spread, expires_at)
SELECT '09012345678', 'reservation', 't', 'spread', '2 hours', now() + interval '1 minute' FROM generate_series(1, 300);
SELECT state, count(*), bool_and(due_at < expires_at) AS in_time, max(due_at) - min(due_at) > '30 seconds' AS spread FROM line_notify.outbox WHERE batch = 'spread' GROUP BY 1;
DELETE FROM line_notify.outbox WHERE batch = 'spread';
-- quiet hours do not count as time of a spread: what would fall into them goes on after them, in no burst
SELECT current_date AS today \gset
SELECT line_notify.alter_channel('flow', quiet_hours => '21:00-08:00', time_zone => 'Asia/Tokyo');
INSERT INTO line_notify.outbox (phone, use_case, template_key, batch, send_after, spread)
SELECT '09012345678', 'reservation', 't', 'night', ((date :'today' + 1) + time '20:00') AT TIME ZONE 'Asia/Tokyo', '4 hours' FROM generate_series(1, 800);
CREATE VIEW night AS
SELECT (due_at AT TIME ZONE 'Asia/Tokyo')::date - date :'today' AS day, extract(hour FROM due_at AT TIME ZONE 'Asia/Tokyo') AS hour, count(*) BETWEEN 100 AND 300 AS about_a_quarter
FROM line_notify.outbox WHERE batch = 'night' GROUP BY 1, 2 ORDER BY 1, 2;
SELECT * FROM night;
SELECT rescheduled FROM line_notify.reschedule(batch => 'night', send_after => ((date :'today' + 3) + time '23:00') AT TIME ZONE 'Asia/Tokyo', spread => '4 hours', expires_at => now() + interval '10 days');
SELECT * FROM night;
-- all of what is left of their life, when that is not enough
SELECT rescheduled FROM line_notify.reschedule(batch => 'night', send_after => ((date :'today' + 3) + time '23:00') AT TIME ZONE 'Asia/Tokyo', spread => '4 hours', expires_at => ((date :'today' + 4) + time '10:00') AT TIME ZONE 'Asia/Tokyo');
SELECT day, hour FROM night;
DROP VIEW night;
DELETE FROM line_notify.outbox WHERE batch = 'night';
SELECT line_notify.alter_channel('flow', quiet_hours => '');
-- the pace of a batch that has begun a second ago: 2,000 of 4,000 are through
BEGIN;
SELECT line_notify._ensure_history(1) > 1 AS history;
INSERT INTO line_notify.outbox (phone, use_case, template_key, batch) SELECT '09012345678', 'reservation', 't', 'pace' FROM generate_series(1, 2000);
INSERT INTO line_notify.history (id, channel, state, batch, created_at, sent_at, ended_at)
SELECT -i, 'flow', 'accepted', 'pace', clock_timestamp(), clock_timestamp() - interval '1 second', clock_timestamp() FROM generate_series(1, 2000) i;
SELECT rate > 200 AS rate, eta < now() + interval '20 seconds' AS eta FROM line_notify.batches WHERE batch = 'pace';
-- a few, for a long time, are no pace
DELETE FROM line_notify.history WHERE id < -3;
UPDATE line_notify.history SET sent_at = now() - interval '1 hour' WHERE id = -1;
SELECT rate < 1 AS rate, eta > now() + interval '10 minutes' AS eta FROM line_notify.batches WHERE batch = 'pace';
ROLLBACK;
-- the allow-list does not raise, whatever on_invalid says
SELECT line_notify.alter_channel('flow', only_recipients => '{09087654321}', on_invalid => 'error');
SELECT put('staging');
SELECT state, error, recipient IS NULL AS forgotten FROM line_notify.outbox WHERE dedup_key = 'staging';
SELECT line_notify.alter_channel('flow', only_recipients => '{}', on_invalid => 'park');
-- a sender without any other right
CREATE ROLE regress_ln_flow;
SELECT line_notify.grant_sender('regress_ln_flow', '{flow}');
SET ROLE regress_ln_flow;
SELECT line_notify.enqueue('09012345678', 'reservation', 't', options => '{"dedup_key": "role"}') = line_notify.enqueue('09012345678', 'reservation', 't', options => '{"dedup_key": "role"}') AS same;
SELECT * FROM line_notify.dedup;
DELETE FROM line_notify.partial_pause;
SELECT line_notify.alter_channel('flow', daily_budget => 0);
RESET ROLE;
SELECT line_notify.revoke_sender('regress_ln_flow');
DROP ROLE regress_ln_flow;
DROP FUNCTION put(text, text, text, text);
DROP EXTENSION line_notify;
