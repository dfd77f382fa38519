
--
-- Totals.  Every statement that ends messages adds a few narrow rows here, by
-- a statement trigger on history; nobody updates a common row, so a user's
-- open transaction never holds up the worker.  The worker sums them up.
--

CREATE TABLE line_notify.daily_count (
	channel			text COLLATE "C" NOT NULL,
	day				date NOT NULL,
	kind			text NOT NULL,
	aggregation_unit text,
	outcome			text NOT NULL,
	n				bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 5000);
-- without a key: else a publication of all tables would refuse to sum it up
ALTER TABLE line_notify.daily_count REPLICA IDENTITY FULL;
CREATE INDEX daily_count_day ON line_notify.daily_count (channel, day);
COMMENT ON TABLE line_notify.daily_count IS 'Summands of view daily_totals; no personal data, kept when messages go';
COMMENT ON COLUMN line_notify.daily_count.day IS 'in UTC+9, as LINE counts: of the answer, or of the delivery event';

CREATE VIEW line_notify.daily_totals AS
SELECT channel, day, kind, aggregation_unit, outcome, sum(n)::bigint AS messages
FROM line_notify.daily_count
GROUP BY channel, day, kind, aggregation_unit, outcome
HAVING sum(n) <> 0;
COMMENT ON VIEW line_notify.daily_totals IS 'How many messages came to which outcome on which day (UTC+9); outlives the messages';
COMMENT ON COLUMN line_notify.daily_totals.kind IS 'template or flexible; account: follow and unfollow events, and delivery events of messages that are not in this database';
COMMENT ON COLUMN line_notify.daily_totals.outcome IS 'accepted: LINE took it (whatever came then); the others are where it ended, delivered by the day of the event; elsewhere: delivery events of messages that are not in this database, those that LINE sends again included';

CREATE TABLE line_notify.minute_count (
	channel			text COLLATE "C" NOT NULL,
	minute			timestamptz NOT NULL,
	accepted		bigint NOT NULL,
	delivered		bigint NOT NULL,
	unknown			bigint NOT NULL DEFAULT 0,
	answered		bigint NOT NULL DEFAULT 0,
	unreachable		bigint NOT NULL DEFAULT 0,
	refused			bigint NOT NULL DEFAULT 0
) WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 5000);
ALTER TABLE line_notify.minute_count REPLICA IDENTITY FULL;
CREATE INDEX minute_count_minute ON line_notify.minute_count (minute, channel);
COMMENT ON TABLE line_notify.minute_count IS 'By the minute of LINE''s answer: messages that wait for a delivery event, and those that got one; the evidence that webhooks arrive. Also those that ended as unknown and were not settled since, those that LINE answered, and of these the ones that are unreachable, and that it refused';

-- What an event is late by, for monitoring.  The latest quarter of an hour is
-- left out: its events may be on their way.
CREATE FUNCTION line_notify._webhook_lag(OUT channel text, OUT accepted bigint, OUT heard_of bigint, OUT last_heard_of timestamptz,
	OUT events_waiting bigint, OUT oldest_event timestamptz)
RETURNS SETOF record
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 10
AS $$
	SELECT c.name, coalesce(sum(m.accepted) FILTER (WHERE m.minute >= statement_timestamp() - interval '75 minutes'), 0)::bigint,
		   coalesce(sum(m.delivered) FILTER (WHERE m.minute >= statement_timestamp() - interval '75 minutes'), 0)::bigint,
		   (SELECT max(k.minute) FROM line_notify.minute_count k WHERE k.channel = c.name AND k.delivered > 0),
		   e.n, e.oldest
	FROM line_notify.channel c
	LEFT JOIN line_notify.minute_count m ON m.channel = c.name
		AND m.minute BETWEEN statement_timestamp() - interval '75 minutes' AND statement_timestamp() - interval '15 minutes',
		LATERAL (SELECT count(*) AS n, min(w.received_at) AS oldest FROM line_notify.webhook_event w WHERE w.channel = c.name) e
	WHERE c.on_silence = 'withhold'
	GROUP BY c.name, e.n, e.oldest
$$;
REVOKE ALL ON FUNCTION line_notify._webhook_lag() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._webhook_lag() IS 'rows of view webhook_lag';

CREATE VIEW line_notify.webhook_lag AS
SELECT l.channel, l.accepted, l.heard_of, l.last_heard_of, l.events_waiting, l.oldest_event FROM line_notify._webhook_lag() l;
COMMENT ON VIEW line_notify.webhook_lag IS 'Whether LINE''s webhook arrives, by channel, for monitoring; a channel whose on_silence says that none is connected is left out';
COMMENT ON COLUMN line_notify.webhook_lag.accepted IS 'messages that LINE accepted in the hour that ended 15 minutes ago';
COMMENT ON COLUMN line_notify.webhook_lag.heard_of IS 'how many of them a delivery event came for';
COMMENT ON COLUMN line_notify.webhook_lag.last_heard_of IS 'when the latest message that an event came for was accepted, to the minute';
COMMENT ON COLUMN line_notify.webhook_lag.events_waiting IS 'events that the worker has not folded into their messages yet';
COMMENT ON COLUMN line_notify.webhook_lag.oldest_event IS 'when the oldest of them was received';
GRANT EXECUTE ON FUNCTION line_notify._webhook_lag() TO pg_monitor;
GRANT SELECT ON line_notify.webhook_lag TO pg_monitor;

CREATE TABLE line_notify.sweep_mark (
	channel			text COLLATE "C" PRIMARY KEY,
	unconfirmed		timestamptz,
	withheld		timestamptz,
	refused			bigint NOT NULL DEFAULT 0,
	why				text,
	settled			timestamptz
);
COMMENT ON TABLE line_notify.sweep_mark IS 'How far messages without a delivery event have been judged';
COMMENT ON COLUMN line_notify.sweep_mark.settled IS 'messages answered before this are settled';
COMMENT ON COLUMN line_notify.sweep_mark.refused IS 'messages of the minute after settled that the tables keep from becoming undelivered';
COMMENT ON COLUMN line_notify.sweep_mark.why IS 'the SQLSTATE with which they do; it is tried again';
COMMENT ON COLUMN line_notify.sweep_mark.unconfirmed IS 'messages answered before this have been looked at for confirm_within';
COMMENT ON COLUMN line_notify.sweep_mark.withheld IS 'the first minute whose messages were not handed out as unconfirmed, since no delivery event came at that time; see on_silence';

-- Rows of a dump are not counted a second time: they come by COPY or INSERT
-- into history itself, which nothing of ours does at the top level.
CREATE FUNCTION line_notify._is_restore() RETURNS boolean
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'line_notify_is_restore';
REVOKE ALL ON FUNCTION line_notify._is_restore() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._is_restore() IS 'is the statement that the client sent a COPY or INSERT into history';

CREATE FUNCTION line_notify._count_new() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF line_notify._is_restore() THEN
		RETURN NULL;
	END IF;
	-- one pass over the rows; what is left are summands
	WITH g AS MATERIALIZED (
		SELECT r.channel, CASE WHEN r.template_key IS NULL THEN 'flexible' ELSE 'template' END AS kind, r.aggregation_unit, r.state,
			   r.outcome, date_bin('1 minute', r.ended_at, '2000-01-01 00:00+00') AS ended,
			   date_bin('1 minute', r.delivered_at, '2000-01-01 00:00+00') AS delivered, count(*) AS n,
			   count(r.http_status) AS answered
		FROM new_rows r
		GROUP BY 1, 2, 3, 4, 5, 6, 7),
	m AS (
		INSERT INTO line_notify.minute_count (channel, minute, accepted, delivered, unknown, answered, unreachable, refused)
		SELECT g.channel, g.ended, CASE WHEN g.state IN ('accepted', 'delivered') AND g.outcome = 'accepted' THEN g.n ELSE 0 END,
			   CASE WHEN g.state = 'delivered' AND g.outcome = 'accepted' THEN g.n ELSE 0 END,
			   CASE WHEN g.state = 'unknown' THEN g.n ELSE 0 END,
			   g.answered, CASE WHEN g.state = 'unreachable' THEN g.n ELSE 0 END,
			   CASE WHEN g.state = 'refused' THEN g.answered ELSE 0 END
		FROM g
		WHERE g.answered > 0 OR g.state = 'unknown' OR g.state IN ('accepted', 'delivered') AND g.outcome = 'accepted')
	INSERT INTO line_notify.daily_count (channel, day, kind, aggregation_unit, outcome, n)
	SELECT g.channel, (CASE WHEN g.state = 'delivered' THEN coalesce(g.delivered, g.ended) ELSE g.ended END AT TIME ZONE 'Asia/Tokyo')::date,
		   g.kind, g.aggregation_unit, g.state::text, g.n
	FROM g
	UNION ALL
	-- the event overtook the answer
	SELECT g.channel, (g.ended AT TIME ZONE 'Asia/Tokyo')::date, g.kind, g.aggregation_unit, 'accepted', g.n
	FROM g
	WHERE g.state = 'delivered' AND g.outcome = 'accepted';
	RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION line_notify._count_new() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._count_new() IS 'trigger: adds ended messages to daily_count and minute_count';

CREATE FUNCTION line_notify._count_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_hashjoin = on SET enable_mergejoin = on
AS $$
BEGIN
	-- accepted stays what it was; any other first word is taken back
	INSERT INTO line_notify.daily_count (channel, day, kind, aggregation_unit, outcome, n)
	SELECT a.channel, (c.at AT TIME ZONE 'Asia/Tokyo')::date,
		   CASE WHEN a.template_key IS NULL THEN 'flexible' ELSE 'template' END, a.aggregation_unit, c.outcome, sum(c.n)
	FROM new_rows a JOIN old_rows b ON b.id = a.id,
		 LATERAL (VALUES (a.state::text, CASE WHEN a.state = 'delivered' THEN coalesce(a.delivered_at, a.ended_at) ELSE a.ended_at END, 1),
						 (b.state::text, b.ended_at, -1)) c(outcome, at, n)
	WHERE a.state <> b.state AND NOT (c.n < 0 AND b.state IN ('accepted', 'delivered'))
	GROUP BY 1, 2, 3, 4, 5;
	INSERT INTO line_notify.minute_count (channel, minute, accepted, delivered, unknown, unreachable, refused)
	SELECT a.channel, date_trunc('minute', b.ended_at), 0,
		   count(*) FILTER (WHERE a.state = 'delivered' AND b.state <> 'delivered' AND a.outcome = 'accepted'),
		   count(*) FILTER (WHERE a.state = 'unknown') - count(*) FILTER (WHERE b.state = 'unknown'),
		   count(*) FILTER (WHERE a.state = 'unreachable') - count(*) FILTER (WHERE b.state = 'unreachable'),
		   count(a.http_status) FILTER (WHERE a.state = 'refused') - count(b.http_status) FILTER (WHERE b.state = 'refused')
	FROM new_rows a JOIN old_rows b ON b.id = a.id
	WHERE a.state = 'delivered' AND b.state <> 'delivered' AND a.outcome = 'accepted'
	   OR (a.state = 'unknown') <> (b.state = 'unknown')
	   OR (a.state = 'unreachable') <> (b.state = 'unreachable')
	   OR (a.state = 'refused') <> (b.state = 'refused')
	GROUP BY 1, 2;
	RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION line_notify._count_changed() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._count_changed() IS 'trigger: corrects daily_count and minute_count when a message turns out otherwise';

CREATE TRIGGER count_new AFTER INSERT ON line_notify.history REFERENCING NEW TABLE AS new_rows
	FOR EACH STATEMENT EXECUTE FUNCTION line_notify._count_new();
CREATE TRIGGER count_changed AFTER UPDATE ON line_notify.history REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
	FOR EACH STATEMENT EXECUTE FUNCTION line_notify._count_changed();
