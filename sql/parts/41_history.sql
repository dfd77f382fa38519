
--
-- History: messages that have left the queue, and their attempts
--

CREATE TABLE line_notify.history (
	id				bigint NOT NULL,
	channel			text COLLATE "C" NOT NULL,
	recipient		text,
	use_case		line_notify.use_case,
	template_key	text,
	body			jsonb,
	messages		jsonb,
	notification_disabled boolean,
	aggregation_unit text,
	priority		smallint NOT NULL DEFAULT 0,
	batch			text,
	dedup_key		text,
	order_key		text,
	reference		text,
	policy			jsonb,
	traceparent		text,
	state			line_notify.message_state NOT NULL,
	attempts		integer NOT NULL DEFAULT 0,
	maybe_sent		boolean NOT NULL DEFAULT false,
	token			bigint,
	outcome			text,
	http_status		smallint,
	request_id		text,
	error			text,
	created_at		timestamptz NOT NULL,
	due_at			timestamptz,
	expires_at		timestamptz,
	sent_at			timestamptz,
	ended_at		timestamptz NOT NULL,
	delivered_at	timestamptz,
	delivery_event	text,
	revision		smallint
) PARTITION BY RANGE (id);
-- What a publication by way of this table says of its rows; partitions have a key.
ALTER TABLE ONLY line_notify.history REPLICA IDENTITY FULL;
ALTER TABLE line_notify.history
	@{erased ALTER % SET STATISTICS 0},
	ALTER policy SET STATISTICS 0,
	ALTER error SET STATISTICS 0,
	ALTER request_id SET STATISTICS 0;
-- No key here: each partition has its own.  A key of the parent would come into
-- being with CREATE EXTENSION in a restore, be given to every partition that
-- is attached, and collide with the partition's own one in the dump.
COMMENT ON TABLE line_notify.history IS 'Messages that were sent or ended otherwise; partitions are made and dropped by the worker';
COMMENT ON COLUMN line_notify.history.token IS 'lease token of the last attempt, part of its delivery tag';
COMMENT ON COLUMN line_notify.history.outcome IS 'what the last attempt came to: accepted, unreachable, refused, server_error, ambiguous, ...';
COMMENT ON COLUMN line_notify.history.request_id IS 'x-line-request-id of LINE''s answer: quote it to LINE''s support';
COMMENT ON COLUMN line_notify.history.delivered_at IS 'LINE''s own time of the delivery event';
COMMENT ON COLUMN line_notify.history.revision IS 'how many outcomes of this message consumers were told; see take_outcomes()';

-- A message that ends without having been sent gives its dedup_key back, by
-- whatever road it came here.  What may have arrived keeps it.
CREATE FUNCTION line_notify._free_dedup_key() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	DELETE FROM line_notify.dedup d
	WHERE d.channel = NEW.channel AND d.dedup_key = NEW.dedup_key AND d.id = NEW.id;
	RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION line_notify._free_dedup_key() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._free_dedup_key() IS 'trigger: a message that was not sent gives its dedup_key back';
CREATE TRIGGER free_dedup_key AFTER INSERT ON line_notify.history
	FOR EACH ROW WHEN (NEW.dedup_key IS NOT NULL AND NEW.state IN ('cancelled', 'expired', 'invalid', 'suppressed', 'failed', 'refused'))
	EXECUTE FUNCTION line_notify._free_dedup_key();

CREATE TABLE line_notify.attempt_log (
	id				bigint NOT NULL,
	attempt			integer NOT NULL,
	token			bigint NOT NULL,
	started_at		timestamptz,
	ended_at		timestamptz NOT NULL,
	outcome			text NOT NULL,
	http_status		smallint,
	request_id		text,
	error			text,
	ended_as		line_notify.message_state,
	revision		smallint,
	delivery_event	text,
	PRIMARY KEY (id, attempt, token)
);
ALTER TABLE line_notify.attempt_log ALTER error SET STATISTICS 0, ALTER request_id SET STATISTICS 0;
COMMENT ON TABLE line_notify.attempt_log IS 'Attempts that were followed by another; the last one stands in history';
COMMENT ON COLUMN line_notify.attempt_log.ended_as IS 'state in which the message had ended with this attempt, before redrive() gave it another life';
COMMENT ON COLUMN line_notify.attempt_log.delivery_event IS 'webhookEventId of its delivery: two attempts delivered are billed, and counted, twice';
COMMENT ON COLUMN line_notify.attempt_log.revision IS 'outcomes told until then; see take_outcomes()';

-- Moves waiting rows that nobody is sending into history.  Locks first, then
-- looks for a claim with a snapshot taken after the lock: a message on the
-- wire is the worker's to answer for.  In batches, in the order of id: memory
-- is bounded, and two callers lock in the same order.
CREATE FUNCTION line_notify._end_waiting(ids bigint[], new_state line_notify.message_state, why text,
	OUT ended bigint, OUT unknown bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	chunk bigint[];
	locked bigint[];
	r record;
	here bigint := line_notify._local_home();
	before timestamptz;
BEGIN
	ended := 0;
	unknown := 0;
	PERFORM line_notify._assert_read_committed();
	PERFORM line_notify._note_promotion();
	before := line_notify._in_doubt_before(here);
	FOR chunk IN
		SELECT array_agg(x.id ORDER BY x.id)
		FROM (SELECT i.id, row_number() OVER (ORDER BY i.id) AS n FROM unnest(_end_waiting.ids) i(id)) x
		GROUP BY (x.n - 1) / 10000
		ORDER BY (x.n - 1) / 10000
	LOOP
		-- what is on the wire is not even locked: the worker would wait for
		-- the end of our transaction to record it
		locked := ARRAY(SELECT o.id FROM line_notify.outbox o
						WHERE o.id = ANY (chunk) AND o.state = 'queued'
						  AND NOT EXISTS (SELECT FROM line_notify.in_flight f WHERE f.id = o.id)
						ORDER BY o.id FOR UPDATE);
		CONTINUE WHEN cardinality(locked) = 0;
		-- an old message may belong where retention has dropped the partition
		PERFORM line_notify._ensure_history(g.id)
		FROM (WITH p AS MATERIALIZED (SELECT x.low, x.high FROM line_notify._history_partitions() x)
			  SELECT l.id FROM unnest(locked) l(id)
			  WHERE NOT EXISTS (SELECT FROM p WHERE l.id >= p.low AND l.id < p.high)) g;
		WITH o AS (
			DELETE FROM line_notify.outbox o
			WHERE o.id = ANY (locked)
			  AND NOT EXISTS (SELECT FROM line_notify.in_flight f WHERE f.id = o.id)
			RETURNING o.*),
		h AS (
			INSERT INTO line_notify.history (id, channel, priority, @{kept|erased %}, state,
				attempts, maybe_sent, error, created_at, due_at, expires_at, ended_at)
			SELECT o.id, o.channel, o.priority, @{kept|erased o.%},
				-- what may have been sent once never ends as if it had not
				CASE WHEN o.maybe_sent OR o.home = here AND o.due_at <= before THEN 'unknown' ELSE new_state END,
				o.attempts, o.maybe_sent, coalesce(o.error || '; ', '') || why, o.created_at, o.due_at, o.expires_at, clock_timestamp()
			FROM o
			RETURNING state)
		SELECT count(*) FILTER (WHERE h.state = new_state) AS e, count(*) FILTER (WHERE h.state <> new_state) AS u INTO r FROM h;
		ended := ended + r.e;
		unknown := unknown + r.u;
	END LOOP;
	-- our locks may have hidden rows from a claim, also when we roll back
	PERFORM line_notify._rescan();
END
$$;
REVOKE ALL ON FUNCTION line_notify._end_waiting(bigint[], line_notify.message_state, text) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._end_waiting(bigint[], line_notify.message_state, text) IS 'ends waiting rows without sending: how many as asked, and how many as unknown because an attempt, or one of the server before a promotion, may have arrived; rows being sent are left alone';

CREATE FUNCTION line_notify._finish(ids bigint[], new_state line_notify.message_state, why text) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT e.ended + e.unknown FROM line_notify._end_waiting(ids, new_state, why) e $$;
REVOKE ALL ON FUNCTION line_notify._finish(bigint[], line_notify.message_state, text) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._finish(bigint[], line_notify.message_state, text) IS 'ends waiting rows without sending; returns how many';

-- REPEATABLE READ would not see a claim that was committed since: better say
-- so than answer for a message that is on the wire.
CREATE FUNCTION line_notify._assert_read_committed() RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
		RAISE EXCEPTION USING
			ERRCODE = 'active_sql_transaction',
			MESSAGE = 'this must be called in a READ COMMITTED transaction',
			DETAIL = 'An older snapshot does not show what the worker has claimed since.',
			HINT = 'Call it in a transaction of its own: BEGIN ISOLATION LEVEL READ COMMITTED; or, if that comes from default_transaction_isolation, SET default_transaction_isolation = ''read committed''; before BEGIN.';
	END IF;
END
$$;
REVOKE ALL ON FUNCTION line_notify._assert_read_committed() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._assert_read_committed() IS 'raises 25001 under REPEATABLE READ and SERIALIZABLE';

CREATE FUNCTION line_notify._rescan() RETURNS void
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'line_notify_rescan';
REVOKE ALL ON FUNCTION line_notify._rescan() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._rescan() IS 'when the transaction ends, either way, the worker looks at everything again';
