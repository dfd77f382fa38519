-- What the verbs do to messages in every state, what each filter matches and
-- refuses, what is counted, and what is written down.  No worker: rows are
-- inserted with their states, as the owner may.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS line_notify;
RESET client_min_messages;
SELECT line_notify.create_channel('verbs', api_base => 'http://127.0.0.1:1');
SELECT line_notify.create_channel('other', api_base => 'http://127.0.0.1:1');
SELECT line_notify._ensure_history(1) > 1 AS history;

CREATE FUNCTION pg_temp.waiting(first bigint, last bigint, batch text, due timestamptz DEFAULT now(), channel text DEFAULT 'verbs',
	maybe_sent boolean DEFAULT false, dedup_key text DEFAULT NULL)
RETURNS void LANGUAGE sql AS $$
	INSERT INTO line_notify.outbox (id, channel, recipient, use_case, template_key, reference, batch, dedup_key, expires_at, state, due_at, home, created_at, maybe_sent, attempts)
	SELECT i, $5, repeat('a', 64), 'reservation', 'tpl', 'ref-' || i, $3, $7, '2100-01-01', 'queued', $4, c.home, '2026-01-01 00:00+00'::timestamptz + i * interval '1 s', $6, $6::int
	FROM generate_series($1, $2) i, line_notify.channel c WHERE c.name = $5
$$;
CREATE FUNCTION pg_temp.ended(first bigint, last bigint, state line_notify.message_state, maybe_sent boolean DEFAULT false, dedup_key text DEFAULT NULL, batch text DEFAULT 'ended')
RETURNS void LANGUAGE sql AS $$
	INSERT INTO line_notify.history (id, channel, recipient, use_case, template_key, body, reference, batch, dedup_key, state, maybe_sent, attempts, token, outcome, http_status, created_at, expires_at, sent_at, ended_at)
	SELECT i, 'verbs', repeat('b', 64), 'reservation', 'tpl', '{}', 'ref-' || i, $6, $5, $3, $4, 1, i + 1000, 'not_sent', CASE WHEN $3 = 'unreachable' THEN 422 END, '2026-01-01', '2026-01-02', '2026-01-01', '2026-01-01'
	FROM generate_series($1, $2) i
$$;
CREATE VIEW pg_temp.now AS
	SELECT id, state, attempts, error, waiting_reason FROM line_notify.notifications ORDER BY id;

-- every filter with nothing matching
SELECT * FROM line_notify.cancel(ids => '{1,2,3}');
SELECT * FROM line_notify.cancel(ids => '{}');
SELECT * FROM line_notify.cancel(batch => 'none');
SELECT * FROM line_notify.cancel(reference => 'none');
SELECT * FROM line_notify.cancel(dedup_key => 'none');
SELECT * FROM line_notify.cancel(channel => 'verbs');
SELECT * FROM line_notify.cancel(use_case => 'reminder');
SELECT * FROM line_notify.cancel(template_key => 'none');
SELECT * FROM line_notify.cancel(state => 'unknown');
SELECT * FROM line_notify.cancel(from_time => '-infinity');
SELECT * FROM line_notify.cancel(to_time => 'infinity');
SELECT * FROM line_notify.reschedule(batch => 'none', send_after => '2026-01-01 00:00+00');
SELECT * FROM line_notify.redrive(batch => 'none');

-- what no operator function takes
SELECT * FROM line_notify.cancel();
SELECT * FROM line_notify.cancel(reason => 'no filter');
SELECT * FROM line_notify.cancel(channel => 'missing');
SELECT * FROM line_notify.cancel(ids => '{1,NULL}');
SELECT * FROM line_notify.cancel(batch => 'b', dry_run => NULL);
SELECT * FROM line_notify.reschedule(batch => 'b', send_after => now(), dry_run => NULL);
SELECT * FROM line_notify.redrive(batch => 'b', dry_run => NULL);
SELECT * FROM line_notify.reschedule(batch => 'b');
SELECT * FROM line_notify.reschedule(send_after => now());
SELECT * FROM line_notify.reschedule(batch => 'b', send_after => 'infinity');
SELECT * FROM line_notify.reschedule(batch => 'b', expires_at => 'infinity');
SELECT * FROM line_notify.reschedule(batch => 'b', expires_at => '2020-01-01');
SELECT * FROM line_notify.reschedule(batch => 'b', spread => '-1 second');
SELECT * FROM line_notify.reschedule(batch => 'b', spread => '367 days');
SELECT * FROM line_notify.reschedule(batch => 'b', send_after => '2099-01-02', expires_at => '2099-01-01');
SELECT * FROM line_notify.redrive(batch => 'b', state => 'queued');
SELECT * FROM line_notify.redrive(batch => 'b', state => 'sending');
SELECT * FROM line_notify.redrive(batch => 'b', state => 'invalid');
SELECT * FROM line_notify.redrive(batch => 'b', state => 'suppressed');
SELECT * FROM line_notify.redrive(batch => 'b', state => 'unknown');
SELECT * FROM line_notify.redrive(batch => 'b', state => 'delivered');
SELECT * FROM line_notify.pause('missing');
SELECT * FROM line_notify.resume('missing');
SELECT line_notify.find_notifications();
SELECT line_notify.find_notifications(phone => 'not a number');
SELECT line_notify.find_notifications(phone => '090-1234-5678', recipient => repeat('a', 64));
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT * FROM line_notify.cancel(batch => 'b');
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT * FROM line_notify.redrive(batch => 'b');
ROLLBACK;

-- cancel: waiting rows only, each filter alone and combined
SELECT pg_temp.waiting(1, 3, 'a');
SELECT pg_temp.waiting(4, 4, 'b', maybe_sent => true);
SELECT pg_temp.waiting(5, 5, 'b');
SELECT pg_temp.waiting(6, 6, 'b', channel => 'other');
SELECT pg_temp.waiting(7, 7, 'b', dedup_key => 'key');
INSERT INTO line_notify.in_flight (id, token, claimer, attempt, claimed_at, home) VALUES (5, 1, 1, 1, now(), 1);
SELECT * FROM line_notify.cancel(batch => 'b', dry_run => true);
SELECT * FROM line_notify.cancel(reference => 'ref-1', batch => 'b');
SELECT * FROM line_notify.cancel(reference => 'ref-1', reason => 'order withdrawn');
SELECT * FROM line_notify.cancel(from_time => '2026-01-01 00:00:02+00', to_time => '2026-01-01 00:00:03+00');
SELECT * FROM line_notify.cancel(dedup_key => 'key');
SELECT * FROM line_notify.cancel(channel => 'other');
SELECT * FROM pg_temp.now;
SELECT * FROM line_notify.cancel(batch => 'b');
SELECT * FROM line_notify.cancel(ids => '{3,4}');
SELECT * FROM pg_temp.now;

-- a message on the wire is answered for by nobody but the worker
SELECT * FROM line_notify.cancel(ids => '{5}');
SELECT * FROM line_notify.reschedule(ids => '{5}', send_after => '2099-01-01');
DELETE FROM line_notify.in_flight;

-- reschedule
SELECT pg_temp.waiting(11, 13, 'r');
UPDATE line_notify.outbox SET expires_at = '2098-01-01' WHERE id = 13;
INSERT INTO line_notify.unblock (channel, id, due_at) SELECT 'verbs', i, now() FROM generate_series(12, 13) i;
SELECT * FROM line_notify.reschedule(batch => 'r', send_after => '2099-01-01', dry_run => true);
SELECT * FROM line_notify.reschedule(batch => 'r', send_after => '2099-01-01');
-- what an earlier call wanted is forgotten of what has been moved
DELETE FROM line_notify.unblock WHERE id IS NOT NULL RETURNING id;
SELECT id, due_at = '2099-01-01' AS moved, send_after = '2099-01-01' AS noted FROM line_notify.outbox WHERE batch = 'r' ORDER BY id;
SELECT * FROM line_notify.reschedule(batch => 'r', send_after => '2000-01-01');
SELECT id, due_at <= now() AS due FROM line_notify.outbox WHERE batch = 'r' ORDER BY id;
SELECT * FROM line_notify.reschedule(ids => '{13}', send_after => '2099-01-01', spread => '1 day', expires_at => '2099-01-03');
SELECT id, due_at BETWEEN '2099-01-01' AND '2099-01-02' AS spread, expires_at = '2099-01-03' AS later FROM line_notify.outbox WHERE id = 13;
SELECT count(*) AS not_put_in_the_past FROM line_notify.outbox WHERE batch = 'r' AND due_at > now() - interval '1 minute';

-- redrive: by default what failed without having been sent
SELECT pg_temp.ended(21, 21, 'failed');
SELECT pg_temp.ended(22, 22, 'refused');
SELECT pg_temp.ended(23, 23, 'expired');
SELECT pg_temp.ended(24, 24, 'cancelled');
SELECT pg_temp.ended(25, 25, 'unreachable');
SELECT pg_temp.ended(26, 26, 'unknown', true);
SELECT pg_temp.ended(27, 27, 'accepted');
SELECT pg_temp.ended(28, 28, 'delivered');
SELECT pg_temp.ended(29, 29, 'refused', true);
SELECT pg_temp.ended(30, 30, 'failed');
UPDATE line_notify.history SET body = NULL WHERE id = 30;	-- past payload_retention
SELECT * FROM line_notify.redrive(batch => 'ended', dry_run => true);
SELECT * FROM line_notify.redrive(batch => 'ended');
SELECT id, state, attempts FROM line_notify.notifications WHERE batch = 'ended' ORDER BY id;
SELECT * FROM line_notify.redrive(batch => 'ended');
SELECT * FROM line_notify.redrive(ids => '{25}', state => 'unreachable');
SELECT * FROM line_notify.redrive(batch => 'ended', allow_duplicates => true);
SELECT * FROM line_notify.redrive(batch => 'ended', state => 'delivered', allow_duplicates => true, send_after => '2099-01-01');
SELECT o.id, o.state, o.attempts, o.maybe_sent, o.expires_at > now() AS not_expired, o.due_at > now() AS later
FROM line_notify.outbox o WHERE o.batch = 'ended' ORDER BY id;
-- what health() counts is what history has
SELECT m.channel, sum(m.unknown) AS unknown, sum(m.answered) AS answered, sum(m.unreachable) AS unreachable, sum(m.refused) AS refused, h.*
FROM line_notify.minute_count m,
	 LATERAL (SELECT count(*) FILTER (WHERE r.state = 'unknown') AS unknown, count(r.http_status) AS answered,
					 count(*) FILTER (WHERE r.state = 'unreachable') AS unreachable,
					 count(r.http_status) FILTER (WHERE r.state = 'refused') AS refused
			  FROM line_notify.history r WHERE r.channel = m.channel) h
GROUP BY m.channel, h.unknown, h.answered, h.unreachable, h.refused;
-- the first life is kept, with its token, so that its delivery event still counts
SELECT id, attempt, token, outcome, ended_as FROM line_notify.attempt_log ORDER BY id;

-- a dedup_key that somebody else took is not taken back; a free one is
SELECT pg_temp.ended(31, 31, 'failed', dedup_key => 'k1', batch => 'keys');
SELECT pg_temp.ended(32, 32, 'failed', dedup_key => 'k2', batch => 'keys');
SELECT pg_temp.ended(33, 34, 'failed', dedup_key => 'k3', batch => 'keys');
INSERT INTO line_notify.dedup VALUES ('verbs', 'k1', 99, 'infinity');
SELECT * FROM line_notify.redrive(batch => 'keys', dry_run => true);
SELECT * FROM line_notify.redrive(batch => 'keys');
SELECT dedup_key, id FROM line_notify.dedup ORDER BY 1;

-- more than one internal batch
SELECT pg_temp.waiting(1001, 13000, 'large');
SELECT * FROM line_notify.reschedule(batch => 'large', send_after => '2099-01-01');
SELECT * FROM line_notify.cancel(batch => 'large');
SELECT * FROM line_notify.redrive(batch => 'large', state => 'cancelled', send_after => '2099-01-01');
SELECT batch, total, queued, cancelled FROM line_notify.batches WHERE batch = 'large';
SELECT * FROM line_notify.cancel(batch => 'large');
-- and once more, with several lives that no attempt ended
SELECT * FROM line_notify.redrive(ids => '{1001,1002}', state => 'cancelled', send_after => '2099-01-01');
SELECT * FROM line_notify.cancel(ids => '{1001,1002}');
SELECT * FROM line_notify.redrive(ids => '{1001,1002}', state => 'cancelled', send_after => '2099-01-01');
SELECT * FROM line_notify.cancel(ids => '{1001,1002}');
SELECT id, count(*), count(DISTINCT token) FROM line_notify.attempt_log WHERE id IN (1001, 1002) GROUP BY 1 ORDER BY 1;

-- pause and resume; waiting_reason says what holds a message up
SELECT line_notify._preload_state();
SELECT line_notify.pause('verbs', 'for the test');
SELECT name, paused, pause_reason = format('for the test (%s)', current_user) AS reason FROM line_notify.channels ORDER BY 1;
SELECT line_notify.resume('verbs');
SELECT line_notify.resume('verbs');
SELECT line_notify.pause();
SELECT line_notify.resume();
SELECT line_notify.pause('verbs', template_key => 'tpl');
SELECT line_notify.pause(use_case => 'reminder');
SELECT channel, scope, subject FROM line_notify.partial_pause ORDER BY 1, 2, 3;
SELECT line_notify.resume('verbs', template_key => 'tpl');
SELECT line_notify.resume(use_case => 'reminder');
SELECT line_notify.resume(use_case => 'reminder');

-- support: by reference, by number, by hash; the number is not written down
UPDATE line_notify.outbox SET recipient = line_notify.phone_hash('090-1234-5678') WHERE id = 12;
SELECT id, state FROM line_notify.find_notifications(reference => 'ref-25');
SELECT id, state FROM line_notify.find_notifications(phone => '+81 90 1234 5678');
SELECT id, state FROM line_notify.find_notifications(phone => '09012345678', reference => 'ref-11');
SELECT id FROM line_notify.find_notifications(recipient => repeat('b', 64), max => 3);
SELECT id FROM line_notify.find_notifications(reference => 'none');

SELECT function, dry_run, count, filter FROM line_notify.operations ORDER BY seq;
SELECT count(*) FROM line_notify.operations WHERE filter::text LIKE '%1234%';
SELECT * FROM line_notify.cancel(ids => ARRAY(SELECT generate_series(100000, 101000)::bigint));
SELECT jsonb_array_length(filter -> 'ids'), filter -> 'number_of_ids' FROM line_notify.operations ORDER BY seq DESC LIMIT 1;

SELECT line_notify.wait_for(1);
DROP EXTENSION line_notify CASCADE;
