
--
-- What became of messages: the views
--

-- Who looks, and what may that role see?  The functions of a view run as
-- whoever reads it, also when that is another view of a role with the grant:
-- then this says so, which is why everybody may execute it.
CREATE FUNCTION line_notify._viewer(OUT home bigint, OUT everything boolean, OUT channels text[], OUT acts boolean)
LANGUAGE line_notify_plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	who CONSTANT name := line_notify._caller();
	owns CONSTANT boolean := pg_has_role(who, (SELECT c.relowner FROM pg_class c WHERE c.oid = 'line_notify.outbox'::regclass), 'USAGE');
	sends CONSTANT text[] := ARRAY(SELECT s.channel FROM line_notify.sender s, pg_roles r
								   WHERE r.oid = s.role AND pg_has_role(who, r.oid, 'USAGE'));
BEGIN
	home := line_notify._local_home();
	everything := owns
		OR has_table_privilege(who, 'line_notify.history', 'SELECT')
		-- support and operators
		OR has_function_privilege(who, (SELECT p.oid FROM pg_proc p
			WHERE p.proname = 'find_notifications' AND p.pronamespace = 'line_notify'::regnamespace), 'EXECUTE');
	channels := ARRAY(SELECT c.name FROM line_notify.channel c WHERE c.name = ANY (sends) OR '*' = ANY (sends));
	-- who may look at everything (support) may not change it: operators may
	acts := owns
		OR EXISTS (SELECT FROM pg_proc p
				   WHERE p.proname = 'reschedule' AND p.pronamespace = 'line_notify'::regnamespace
					 AND has_function_privilege(who, p.oid, 'EXECUTE'));
	IF NOT everything AND sends = '{}' THEN
		RAISE EXCEPTION USING
			ERRCODE = 'insufficient_privilege',
			MESSAGE = 'permission denied to see messages of line_notify',
			DETAIL = format('Role "%s" is no sender, support or operator. Functions in a view run as the role that reads it, not as its owner.', who),
			HINT = 'To show messages to other roles, read them in a SECURITY DEFINER function of a role that is; see doc/roles.md.';
	END IF;
END
$$;
GRANT EXECUTE ON FUNCTION line_notify._viewer() TO PUBLIC;
COMMENT ON FUNCTION line_notify._viewer() IS 'which messages the caller may see: all (owner, support, operator), or those of the channels it may send through; acts: may it change messages of every channel; raises 42501 for everybody else';

-- What holds up whole endpoints: a row for each channel and endpoint.
CREATE FUNCTION line_notify._endpoint_verdicts(OUT channel text, OUT endpoint text, OUT no integer, OUT reason text,
	OUT until timestamptz, OUT not_before timestamptz)
RETURNS SETOF record
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 10
AS $$
	SELECT c.name, e.endpoint, v.no, v.reason, v.until, v.not_before
	FROM (SELECT line_notify._local_home() AS home) here,
		 line_notify.channel c
		 LEFT JOIN line_notify.token_status t ON t.channel = c.name
		 CROSS JOIN (VALUES ('template'), ('flexible')) e(endpoint)
		 CROSS JOIN LATERAL line_notify._endpoint_verdict(c.name, e.endpoint,
			c.home IS DISTINCT FROM here.home,
			c.paused_at IS NOT NULL,
			c.pause_automatic,
			EXISTS (SELECT FROM line_notify.partial_pause p
					WHERE p.channel = c.name AND p.scope = 'endpoint' AND p.subject = e.endpoint),
			EXISTS (SELECT FROM line_notify.credential k WHERE k.channel = c.name
					AND k.kind IN ('access_token', 'client_secret', 'jwt_key')),
			t.error,
			line_notify._quiet_until(c.quiet_hours, c.time_zone, statement_timestamp()),
			(SELECT date_trunc('day', statement_timestamp() AT TIME ZONE c.time_zone + interval '1 day') AT TIME ZONE c.time_zone
			 FROM line_notify.daily_sent d
			 WHERE d.channel = c.name AND d.day = (statement_timestamp() AT TIME ZONE c.time_zone)::date
			   AND d.sent >= c.daily_budget)) v
$$;
REVOKE ALL ON FUNCTION line_notify._endpoint_verdicts() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._endpoint_verdicts() IS 'what holds up each endpoint of each channel now';

-- The same with what holds up single messages of them.  running are the transactions of others that run, our own
-- processes apart: one of them may have the row of a message locked.
CREATE FUNCTION line_notify._all_hold_ups(OUT channel text, OUT endpoint text, OUT no integer, OUT reason text,
	OUT until timestamptz, OUT not_before timestamptz, OUT quiet_hours text, OUT time_zone text,
	OUT in_doubt_before timestamptz, OUT in_doubt_until timestamptz, OUT fenced boolean, OUT running xid[])
RETURNS SETOF record
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 10
AS $$
	SELECT v.channel, v.endpoint, v.no, v.reason, v.until, v.not_before, c.quiet_hours, c.time_zone,
		   i.in_doubt_before, i.in_doubt_until, i.handover IS NOT NULL, l.running
	FROM line_notify._endpoint_verdicts() v
		 JOIN line_notify.channel c ON c.name = v.channel
		 LEFT JOIN line_notify.identity i ON i.home = c.home
		 CROSS JOIN (SELECT coalesce(array_agg(x.transactionid), '{}') AS running FROM pg_locks x
					 WHERE x.locktype = 'transactionid' AND x.mode = 'ExclusiveLock' AND x.granted
					   AND x.pid <> pg_backend_pid()
					   AND NOT EXISTS (SELECT FROM pg_stat_activity a
									   WHERE a.pid = x.pid AND a.backend_type LIKE 'line\_notify %')) l
$$;
REVOKE ALL ON FUNCTION line_notify._all_hold_ups() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._all_hold_ups() IS 'what holds up the endpoints of all channels now';

CREATE FUNCTION line_notify._hold_ups(OUT channel text, OUT endpoint text, OUT no integer, OUT reason text,
	OUT until timestamptz, OUT not_before timestamptz, OUT quiet_hours text, OUT time_zone text,
	OUT in_doubt_before timestamptz, OUT in_doubt_until timestamptz, OUT fenced boolean, OUT running xid[])
RETURNS SETOF record
LANGUAGE line_notify_plpgsql STABLE SET search_path = pg_catalog, pg_temp ROWS 10
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
		SELECT k.*
		FROM line_notify._viewer() me, line_notify._all_hold_ups() k
		WHERE me.everything OR k.channel = ANY (me.channels);
END
$$;
GRANT EXECUTE ON FUNCTION line_notify._hold_ups() TO PUBLIC;	-- of use in views; see _viewer()
COMMENT ON FUNCTION line_notify._hold_ups() IS 'what holds up the endpoints of the caller''s channels now';

CREATE VIEW line_notify.notifications WITH (security_barrier) AS
WITH me AS MATERIALIZED (SELECT v.* FROM line_notify._viewer() v),
	 hold AS MATERIALIZED (SELECT k.* FROM line_notify._hold_ups() k)
-- the last column stands outside of the union, where who does not ask for it
-- does not pay for it
SELECT m.id, m.channel, m.use_case, m.template_key, m.batch, m.reference, m.dedup_key, m.order_key, m.priority,
	   m.state, m.attempts, m.http_status, m.request_id,
	   m.created_at, m.due_at, m.expires_at, m.sent_at, m.ended_at,
	   m.delivered_at, m.error, @{policy.. m.%}, m.waiting_reason, m.waiting_until,
	   line_notify._content_warnings(m.template_key, m.body, m.messages) AS content_warnings
FROM (
SELECT o.id, o.channel, o.use_case, o.template_key, o.batch, o.reference, o.dedup_key, o.order_key, o.priority,
	   CASE WHEN f.id IS NULL THEN o.state ELSE 'sending' END AS state,
	   o.attempts + CASE WHEN f.id IS NULL THEN 0 ELSE 1 END AS attempts,
	   NULL::smallint AS http_status, NULL::text AS request_id,
	   o.created_at, o.due_at, o.expires_at, f.claimed_at AS sent_at, NULL::timestamptz AS ended_at,
	   f.delivered_at, o.error, @{policy.. o.%},
	   w.reason AS waiting_reason,
	   CASE WHEN w.reason IS NOT NULL
			THEN greatest(t.moment, line_notify._quiet_until(k.quiet_hours, k.time_zone, t.moment)) END AS waiting_until,
	   o.body, o.messages
FROM me, line_notify.outbox o
LEFT JOIN line_notify.in_flight f ON f.id = o.id
LEFT JOIN hold k ON k.channel = o.channel AND k.endpoint = CASE WHEN o.template_key IS NULL THEN 'flexible' ELSE 'template' END
LEFT JOIN LATERAL line_notify._message_verdict(k.no, k.until, k.not_before,
	o.home IS DISTINCT FROM me.home,
	EXISTS (SELECT FROM line_notify.partial_pause p
			WHERE p.channel = o.channel AND p.scope = 'template' AND p.subject = o.template_key),
	EXISTS (SELECT FROM line_notify.partial_pause p
			WHERE p.channel = o.channel AND (p.scope = 'use_case' OR p.scope = 'design' AND o.template_key IS NULL)
			  AND p.subject = coalesce(o.use_case::text, '')),
	o.due_at, o.attempts > 0, o.error LIKE 'in quarantine: %', o.xmax = ANY (k.running),
	k.in_doubt_before, k.in_doubt_until,
	k.fenced OR EXISTS (SELECT FROM line_notify.unblock u WHERE u.order_key IS NULL AND u.id = o.id)
	OR o.due_at = 'infinity' AND o.order_key IS NULL
	   AND EXISTS (SELECT FROM line_notify.unblock u WHERE u.order_key IS NULL AND u.id IS NULL AND u.channel = o.channel)) w ON f.id IS NULL AND o.state = 'queued'
CROSS JOIN LATERAL (SELECT greatest(nullif(o.due_at, 'infinity'), w.not_before, statement_timestamp()) AS moment) t
WHERE me.everything OR o.channel = ANY (me.channels)
UNION ALL
SELECT h.id, h.channel, h.use_case, h.template_key, h.batch, h.reference, h.dedup_key, h.order_key, h.priority,
	   h.state, h.attempts, h.http_status, h.request_id,
	   h.created_at, h.due_at, h.expires_at, h.sent_at, h.ended_at,
	   h.delivered_at, h.error, @{policy.. h.%}, NULL, NULL,
	   h.body, h.messages
FROM me, line_notify.history h
WHERE me.everything OR h.channel = ANY (me.channels)
UNION ALL
-- answered, and not recorded yet
SELECT a.id, o.channel, o.use_case, o.template_key, o.batch, o.reference, o.dedup_key, o.order_key, o.priority,
	   coalesce(a.state, 'sending')::line_notify.message_state, a.attempt, nullif(a.http_status, 0)::smallint, nullif(a.request_id, ''),
	   o.created_at, o.due_at, o.expires_at, a.sent_at, a.ended_at,
	   a.delivered_at, concat_ws('; ', nullif(a.error, ''), format('not recorded yet: the tables refuse it with SQLSTATE %s', a.why)),
	   @{policy.. o.%}, NULL, NULL,
	   o.body, o.messages
FROM me, line_notify.set_aside a, LATERAL jsonb_to_record(a.message)
	 AS o(channel text, use_case line_notify.use_case, template_key text, batch text, reference text, dedup_key text, order_key text,
		  priority smallint, @{policy.. % %type}, created_at timestamptz, due_at timestamptz, expires_at timestamptz, body jsonb, messages jsonb)
WHERE me.everything OR o.channel = ANY (me.channels)) m;
COMMENT ON VIEW line_notify.notifications IS 'Every message, waiting or finished, one row each; no payload, no recipient';
COMMENT ON COLUMN line_notify.notifications.waiting_reason IS 'why it has not been sent yet; what each value means and what ends it says view waiting_reasons';
COMMENT ON COLUMN line_notify.notifications.content_warnings IS 'what check_message() warns of, by the rules of today; NULL also when the content has been removed';
COMMENT ON COLUMN line_notify.notifications.policy IS 'what it wants otherwise than its channel';
COMMENT ON COLUMN line_notify.notifications.waiting_until IS 'not before this time, quiet hours included; of what waits for somebody, only the time it is due';

CREATE VIEW line_notify.batches WITH (security_barrier) AS
WITH me AS MATERIALIZED (SELECT v.* FROM line_notify._viewer() v),
	 part AS (
		SELECT o.channel, o.batch, CASE WHEN f.id IS NULL THEN o.state ELSE 'sending' END AS state, count(*) AS n,
			   min(o.created_at) AS first_at, NULL::timestamptz AS last_at, 0::bigint AS recent,
			   max(nullif(o.due_at, 'infinity')) AS last_due, NULL::timestamptz AS first_sent, NULL::timestamptz AS first_recent
		FROM line_notify.outbox o LEFT JOIN line_notify.in_flight f ON f.id = o.id
		WHERE o.batch IS NOT NULL
		GROUP BY 1, 2, 3
		UNION ALL
		SELECT h.channel, h.batch, h.state, count(*), min(h.created_at), max(h.ended_at),
			   count(*) FILTER (WHERE h.sent_at IS NOT NULL AND h.ended_at > statement_timestamp() - interval '1 minute'), NULL,
			   min(h.sent_at), min(h.sent_at) FILTER (WHERE h.ended_at > statement_timestamp() - interval '1 minute')
		FROM line_notify.history h
		WHERE h.batch IS NOT NULL
		GROUP BY 1, 2, 3),
	 -- a batch that begins has no minute behind it; a few messages alone are no pace
	 pace AS (
		SELECT p.channel, p.batch,
			   sum(p.recent) / extract(epoch FROM least(interval '1 minute', greatest(interval '100 milliseconds',
					statement_timestamp() - CASE WHEN sum(p.recent) < 10 THEN min(p.first_sent) ELSE min(p.first_recent) END))) AS rate
		FROM part p
		GROUP BY p.channel, p.batch HAVING sum(p.recent) > 0)
SELECT p.batch, p.channel,
	   sum(p.n)::bigint AS total,
	   coalesce(sum(p.n) FILTER (WHERE p.state = 'queued'), 0)::bigint AS queued,
	   coalesce(sum(p.n) FILTER (WHERE p.state = 'sending'), 0)::bigint AS sending,
	   coalesce(sum(p.n) FILTER (WHERE p.state = 'accepted'), 0)::bigint AS accepted,
	   coalesce(sum(p.n) FILTER (WHERE p.state = 'delivered'), 0)::bigint AS delivered,
	   coalesce(sum(p.n) FILTER (WHERE p.state = 'undelivered'), 0)::bigint AS undelivered,
	   coalesce(sum(p.n) FILTER (WHERE p.state = 'unreachable'), 0)::bigint AS unreachable,
	   coalesce(sum(p.n) FILTER (WHERE p.state = 'refused'), 0)::bigint AS refused,
	   coalesce(sum(p.n) FILTER (WHERE p.state = 'unknown'), 0)::bigint AS unknown,
	   coalesce(sum(p.n) FILTER (WHERE p.state = 'invalid'), 0)::bigint AS invalid,
	   coalesce(sum(p.n) FILTER (WHERE p.state = 'suppressed'), 0)::bigint AS suppressed,
	   coalesce(sum(p.n) FILTER (WHERE p.state = 'cancelled'), 0)::bigint AS cancelled,
	   coalesce(sum(p.n) FILTER (WHERE p.state = 'expired'), 0)::bigint AS expired,
	   coalesce(sum(p.n) FILTER (WHERE p.state = 'failed'), 0)::bigint AS failed,
	   min(p.first_at) AS created_at,
	   max(p.last_at) AS last_ended_at,
	   round(coalesce(e.rate, 0), 1) AS rate,
	   greatest(max(p.last_due),
				statement_timestamp() + sum(p.n) FILTER (WHERE p.state IN ('queued', 'sending')) / e.rate * interval '1 second') AS eta
FROM me, part p
LEFT JOIN pace e ON e.channel = p.channel AND e.batch = p.batch
WHERE me.everything OR p.channel = ANY (me.channels)
GROUP BY p.batch, p.channel, e.rate;
COMMENT ON VIEW line_notify.batches IS 'One row for each batch and channel: how many messages are in which state, how fast it goes, when it will be through';
COMMENT ON COLUMN line_notify.batches.rate IS 'messages a second that were sent, over the last minute, or since the first of them';
COMMENT ON COLUMN line_notify.batches.eta IS 'when the rest will be sent at this rate, and not before the last is due; NULL when nothing waits or nothing moves';

CREATE VIEW line_notify.attempts WITH (security_barrier) AS
WITH me AS MATERIALIZED (SELECT v.* FROM line_notify._viewer() v)
-- numbered here: what LINE told to wait, and redrive(), do not count for max_attempts
SELECT t.id, (row_number() OVER (PARTITION BY t.id ORDER BY t.last, t.ended_at, t.token))::integer AS attempt,
	   t.started_at, t.ended_at, t.outcome, t.http_status, t.request_id, t.error, t.ended_as, t.traceparent
FROM (
SELECT a.id, 0 AS last, a.token, a.started_at, a.ended_at, a.outcome, a.http_status, a.request_id, a.error, a.ended_as,
	   coalesce((SELECT o.traceparent FROM line_notify.outbox o WHERE o.id = a.id),
				(SELECT h.traceparent FROM line_notify.history h WHERE h.id = a.id)) AS traceparent
FROM me, line_notify.attempt_log a
WHERE me.everything
   OR EXISTS (SELECT FROM line_notify.outbox o WHERE o.id = a.id AND o.channel = ANY (me.channels))
   OR EXISTS (SELECT FROM line_notify.history h WHERE h.id = a.id AND h.channel = ANY (me.channels))
UNION ALL
SELECT h.id, 1, h.token, h.sent_at, h.ended_at, h.outcome, h.http_status, h.request_id, h.error, NULL, h.traceparent
FROM me, line_notify.history h
WHERE h.outcome IS NOT NULL
  AND (me.everything OR h.channel = ANY (me.channels))
UNION ALL
-- answered, and not recorded yet
SELECT s.id, 2, s.token, s.sent_at, s.ended_at, s.outcome, nullif(s.http_status, 0)::smallint, nullif(s.request_id, ''), nullif(s.error, ''), NULL,
	   o.traceparent
FROM me, line_notify.set_aside s, LATERAL jsonb_to_record(s.message) AS o(channel text, traceparent text)
WHERE s.logged
  AND (me.everything OR o.channel = ANY (me.channels))) t;
COMMENT ON VIEW line_notify.attempts IS 'Every finished attempt to send a message';
COMMENT ON COLUMN line_notify.attempts.ended_as IS 'the message had ended with this attempt, before redrive() gave it another life';

-- For monitoring, which may not see messages: how many wait for what.  As many
-- as anybody wants to know of are looked at in each lane, so that a long queue
-- costs no more than a short one.
CREATE FUNCTION line_notify._backlog(OUT channel text, OUT endpoint text, OUT reason text, OUT messages bigint, OUT oldest_due timestamptz)
RETURNS SETOF record
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_hashjoin = on ROWS 20
AS $$
	WITH me AS MATERIALIZED (SELECT line_notify._local_home() AS home),
		 hold AS MATERIALIZED (SELECT k.* FROM line_notify._all_hold_ups() k),
		 pause AS MATERIALIZED (SELECT p.channel, p.scope, p.subject FROM line_notify.partial_pause p),
		 waits AS (
			SELECT o.channel, e.endpoint, o.due_at,
				   w.reason
			FROM me
			CROSS JOIN (SELECT h.name FROM line_notify.channel h
				  UNION SELECT x.channel FROM (
					WITH RECURSIVE k AS (
						(SELECT o.channel FROM line_notify.outbox o ORDER BY o.channel LIMIT 1)
						UNION ALL
						SELECT n.channel FROM k, LATERAL (
							SELECT o.channel FROM line_notify.outbox o WHERE o.channel > k.channel ORDER BY o.channel LIMIT 1) n)
					SELECT k.channel FROM k) x) c(name)
			CROSS JOIN generate_series(0, @{LN_LANES} - 1) l(no)
			CROSS JOIN LATERAL (SELECT q.*, q.xmax FROM line_notify.outbox q
						  WHERE q.channel = c.name AND q.lane = l.no::smallint AND q.state = 'queued'
						  ORDER BY q.due_at LIMIT 10000) o
			CROSS JOIN LATERAL (SELECT CASE WHEN o.template_key IS NULL THEN 'flexible' ELSE 'template' END) e(endpoint)
			LEFT JOIN hold k ON k.channel = o.channel AND k.endpoint = e.endpoint
			CROSS JOIN LATERAL line_notify._message_verdict(k.no, k.until, k.not_before,
				o.home IS DISTINCT FROM me.home,
				EXISTS (SELECT FROM pause p WHERE p.channel = o.channel
						AND p.scope = 'template' AND p.subject = o.template_key),
				EXISTS (SELECT FROM pause p WHERE p.channel = o.channel
						AND (p.scope = 'use_case' OR p.scope = 'design' AND o.template_key IS NULL)
						AND p.subject = coalesce(o.use_case::text, '')),
				o.due_at, o.attempts > 0, o.error LIKE 'in quarantine: %', o.xmax = ANY (k.running),
				k.in_doubt_before, k.in_doubt_until,
				k.fenced OR EXISTS (SELECT FROM line_notify.unblock u WHERE u.order_key IS NULL AND u.id = o.id)
				OR o.due_at = 'infinity' AND o.order_key IS NULL
				   AND EXISTS (SELECT FROM line_notify.unblock u WHERE u.order_key IS NULL AND u.id IS NULL AND u.channel = o.channel)) w
			WHERE NOT EXISTS (SELECT FROM line_notify.in_flight f WHERE f.id = o.id))
	SELECT w.channel, w.endpoint, w.reason, count(*), min(w.due_at) FILTER (WHERE w.due_at <= statement_timestamp())
	FROM waits w
	GROUP BY 1, 2, 3
$$;
REVOKE ALL ON FUNCTION line_notify._backlog() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._backlog() IS 'rows of view backlog';

CREATE VIEW line_notify.backlog AS
SELECT b.channel, b.endpoint, b.reason, b.messages, b.oldest_due FROM line_notify._backlog() b;
COMMENT ON VIEW line_notify.backlog IS 'How many messages wait for what, by channel and endpoint, for monitoring: no message is named';
COMMENT ON COLUMN line_notify.backlog.reason IS 'as waiting_reason of view notifications';
COMMENT ON COLUMN line_notify.backlog.messages IS 'the first 10,000 of each priority are looked at';
COMMENT ON COLUMN line_notify.backlog.oldest_due IS 'since when the oldest of them could have been sent; NULL when none is due';
GRANT EXECUTE ON FUNCTION line_notify._backlog() TO pg_monitor;
GRANT SELECT ON line_notify.backlog TO pg_monitor;
