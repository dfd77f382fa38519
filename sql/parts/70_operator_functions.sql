
--
-- Operator functions
--
-- Each takes named filters that are combined by AND, needs at least one of
-- them, and leaves a line in operations.
--

CREATE SEQUENCE line_notify.operations_seq_seq;
CREATE TABLE line_notify.operations (
	seq				bigint DEFAULT line_notify._next_number('line_notify.operations_seq_seq') PRIMARY KEY,
	at				timestamptz NOT NULL DEFAULT clock_timestamp(),
	role			name NOT NULL,
	login			name NOT NULL DEFAULT session_user,
	function		text NOT NULL,
	filter			jsonb NOT NULL,
	dry_run			boolean NOT NULL,
	count			bigint NOT NULL
);
ALTER TABLE line_notify.operations ALTER filter SET STATISTICS 0;
COMMENT ON TABLE line_notify.operations IS 'Who did what: every call of an operator function, dry runs and searches of support staff included; kept for line_notify.operations_retention';
COMMENT ON COLUMN line_notify.operations.role IS 'current user at the call: the acting role after SET ROLE, the owner of a SECURITY DEFINER function that calls';
COMMENT ON COLUMN line_notify.operations.login IS 'session user';
COMMENT ON COLUMN line_notify.operations.filter IS 'filters and arguments as given; no telephone number, and of ids at most the first 100';
COMMENT ON COLUMN line_notify.operations.count IS 'messages that were changed or found; of a dry run, would have been';

CREATE FUNCTION line_notify._log_operation(called text, filter jsonb, dry_run boolean, count bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF dry_run IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'null_value_not_allowed',
			MESSAGE = 'dry_run must be true or false';
	END IF;
	IF jsonb_array_length(filter -> 'ids') > 100 THEN
		filter := filter || jsonb_build_object(
			'ids', jsonb_path_query_array(filter, '$.ids[0 to 99]'),
			'number_of_ids', jsonb_array_length(filter -> 'ids'));
	END IF;
	INSERT INTO line_notify.operations (role, function, filter, dry_run, count)
	VALUES (line_notify._caller(), called, filter, dry_run, count);
END
$$;
REVOKE ALL ON FUNCTION line_notify._log_operation(text, jsonb, boolean, bigint) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._log_operation(text, jsonb, boolean, bigint) IS 'writes a line of operations';

-- What tells of a person is told to the server's log as well, before it is
-- answered: a line of operations goes with the transaction.
CREATE FUNCTION line_notify._log_search(called text, what text) RETURNS void
LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'line_notify_log_search';
REVOKE ALL ON FUNCTION line_notify._log_search(text, text) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._log_search(text, text) IS 'logs that the caller calls a function with a telephone number, a hash or a reference, and not which';

CREATE FUNCTION line_notify._filter(ids bigint[], batch text, reference text, dedup_key text, channel text,
	use_case line_notify.use_case, template_key text, state line_notify.message_state,
	from_time timestamptz, to_time timestamptz) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	f jsonb := jsonb_strip_nulls(jsonb_build_object('ids', ids, 'batch', batch, 'reference', reference,
		'dedup_key', dedup_key, 'channel', channel, 'use_case', use_case, 'template_key', template_key,
		'state', state, 'from_time', from_time, 'to_time', to_time));
BEGIN
	IF f = '{}' THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'a filter is needed',
			DETAIL = 'Without one, every message of every channel would be meant.',
			HINT = 'If so, say from_time => ''-infinity''.';
	END IF;
	IF array_position(ids, NULL) IS NOT NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'null_value_not_allowed',
			MESSAGE = 'ids must not contain NULL';
	END IF;
	PERFORM line_notify._check_channel(channel);
	RETURN f;
END
$$;
REVOKE ALL ON FUNCTION line_notify._filter FROM PUBLIC;
COMMENT ON FUNCTION line_notify._filter IS 'the filters of an operator function as one value, checked';

-- The condition that a filter stands for, over a table with alias m; $1 is
-- the array of ids.  Values are quoted as literals, so that the planner knows
-- them, and NULL (no filter) drops out of the concatenation.
CREATE FUNCTION line_notify._condition(filter jsonb) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT concat_ws(' AND ',
		CASE WHEN filter ? 'ids' THEN 'm.id = ANY ($1)' ELSE '$1 IS NULL' END,
		'm.batch = ' || quote_literal(filter ->> 'batch'),
		'm.reference = ' || quote_literal(filter ->> 'reference'),
		'm.dedup_key = ' || quote_literal(filter ->> 'dedup_key'),
		'm.channel = ' || quote_literal(filter ->> 'channel'),
		'm.use_case = ' || quote_literal(filter ->> 'use_case') || '::line_notify.use_case',
		'm.template_key = ' || quote_literal(filter ->> 'template_key'),
		'm.state = ' || quote_literal(filter ->> 'state') || '::line_notify.message_state',
		'm.created_at >= ' || quote_literal(filter ->> 'from_time') || '::timestamptz',
		'm.created_at < ' || quote_literal(filter ->> 'to_time') || '::timestamptz')
$$;
REVOKE ALL ON FUNCTION line_notify._condition(jsonb) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._condition(jsonb) IS 'a filter as SQL';

-- The ids that a filter matches, in order, ten thousand at a time: one pass
-- over the table, and what does not fit into work_mem is sorted on disk.
CREATE FUNCTION line_notify._chunks(of text, states line_notify.message_state[], filter jsonb, ids bigint[])
RETURNS SETOF bigint[]
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_hashagg = off ROWS 30
AS $$
BEGIN
	RETURN QUERY EXECUTE format(
		'SELECT array_agg(x.id ORDER BY x.id)'
		' FROM (SELECT m.id, row_number() OVER (ORDER BY m.id) AS n FROM line_notify.%I m'
		'		WHERE m.state = ANY ($2) AND %s) x'
		' GROUP BY (x.n - 1) / 10000 ORDER BY (x.n - 1) / 10000', of, line_notify._condition(filter))
		USING ids, states;
END
$$;
REVOKE ALL ON FUNCTION line_notify._chunks(text, line_notify.message_state[], jsonb, bigint[]) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._chunks(text, line_notify.message_state[], jsonb, bigint[]) IS 'ids of the messages in outbox or history that a filter matches';

CREATE FUNCTION line_notify.cancel(
	ids bigint[] DEFAULT NULL, batch text DEFAULT NULL, reference text DEFAULT NULL,
	dedup_key text DEFAULT NULL, channel text DEFAULT NULL, use_case line_notify.use_case DEFAULT NULL,
	template_key text DEFAULT NULL, state line_notify.message_state DEFAULT NULL,
	from_time timestamptz DEFAULT NULL, to_time timestamptz DEFAULT NULL,
	reason text DEFAULT NULL, dry_run boolean DEFAULT false,
	OUT cancelled bigint, OUT unknown bigint, OUT sending bigint)
LANGUAGE line_notify_plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	f jsonb := line_notify._filter(ids, batch, reference, dedup_key, channel, use_case, template_key, state, from_time, to_time);
	chunk bigint[];
	r record;
	here bigint := line_notify._local_home();
	before timestamptz;
BEGIN
	PERFORM line_notify._assert_read_committed();
	PERFORM line_notify._note_promotion();
	before := line_notify._in_doubt_before(here);
	cancelled := 0;
	unknown := 0;
	sending := 0;
	FOR chunk IN SELECT k FROM line_notify._chunks('outbox', '{queued}', f, ids) k
	LOOP
		IF dry_run THEN
			SELECT count(*) FILTER (WHERE f.id IS NULL AND NOT m.perhaps) AS ended,
				   count(*) FILTER (WHERE f.id IS NULL AND m.perhaps) AS unknown
			INTO r
			FROM line_notify.outbox o LEFT JOIN line_notify.in_flight f ON f.id = o.id,
				 LATERAL (SELECT o.maybe_sent OR coalesce(o.home = here AND o.due_at <= before, false)) m(perhaps)
			WHERE o.id = ANY (chunk);
		ELSE
			r := line_notify._end_waiting(chunk, 'cancelled', coalesce('cancelled: ' || reason, 'cancelled'));
		END IF;
		cancelled := cancelled + r.ended;
		unknown := unknown + r.unknown;
		sending := sending + cardinality(chunk) - r.ended - r.unknown;
	END LOOP;
	PERFORM line_notify._log_operation('cancel', f || jsonb_strip_nulls(jsonb_build_object('reason', reason)),
									   dry_run, cancelled + unknown);
END
$$;
REVOKE ALL ON FUNCTION line_notify.cancel FROM PUBLIC;
COMMENT ON FUNCTION line_notify.cancel IS 'End waiting messages without sending them. Returns how many were cancelled, how many ended as unknown because an earlier attempt, or one of the server before a promotion, may have arrived, and how many were left alone because they are being sent right now (or ended meanwhile). from_time and to_time are about created_at';

CREATE FUNCTION line_notify.reschedule(
	ids bigint[] DEFAULT NULL, batch text DEFAULT NULL, reference text DEFAULT NULL,
	dedup_key text DEFAULT NULL, channel text DEFAULT NULL, use_case line_notify.use_case DEFAULT NULL,
	template_key text DEFAULT NULL, state line_notify.message_state DEFAULT NULL,
	from_time timestamptz DEFAULT NULL, to_time timestamptz DEFAULT NULL,
	send_after timestamptz DEFAULT NULL, spread interval DEFAULT NULL, expires_at timestamptz DEFAULT NULL,
	dry_run boolean DEFAULT false,
	OUT rescheduled bigint, OUT too_late bigint, OUT sending bigint)
LANGUAGE line_notify_plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	f jsonb := line_notify._filter(ids, batch, reference, dedup_key, channel, use_case, template_key, state, from_time, to_time);
	chunk bigint[];
	movable bigint[];		-- of these: not being sent, and not in doubt
	n bigint;
	here bigint := line_notify._local_home();
	before timestamptz;		-- what is in doubt stays so
	tell boolean := line_notify._must_tell_standbys();
BEGIN
	PERFORM line_notify._assert_read_committed();
	PERFORM line_notify._note_promotion();
	before := coalesce(line_notify._in_doubt_before(here), '-infinity');
	PERFORM line_notify._check_times(send_after, spread, expires_at);
	IF send_after IS NULL AND spread IS NULL AND expires_at IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'nothing to change',
			HINT = 'Give send_after, spread or expires_at.';
	END IF;
	rescheduled := 0;
	too_late := 0;
	sending := 0;
	FOR chunk IN SELECT k FROM line_notify._chunks('outbox', '{queued}', f, ids) k
	LOOP
		movable := chunk;
		IF NOT dry_run THEN
			movable := ARRAY(SELECT o.id FROM line_notify.outbox o
							 WHERE o.id = ANY (chunk) AND NOT EXISTS (SELECT FROM line_notify.in_flight l WHERE l.id = o.id)
							 ORDER BY o.id FOR UPDATE OF o);
		END IF;
		movable := ARRAY(SELECT o.id FROM line_notify.outbox o
						 WHERE o.id = ANY (movable) AND o.state = 'queued'
						   AND (o.home <> here OR here IS NULL OR o.due_at > before)
						   AND NOT EXISTS (SELECT FROM line_notify.in_flight l WHERE l.id = o.id));
		-- What would expire before its new time stays as it is.  The locks gave
		-- this transaction its id before the clock is read; see horizon.h.
		IF dry_run THEN
			SELECT count(*) INTO n FROM line_notify.outbox o
			WHERE o.id = ANY (movable)
			  AND coalesce(reschedule.expires_at, o.expires_at)
				  > greatest(coalesce(reschedule.send_after, o.send_after), clock_timestamp()) + coalesce(reschedule.spread, '0');
		ELSE
			WITH o AS MATERIALIZED (
				SELECT o.id, o.channel, o.due_at, o.send_after,
					CASE WHEN reschedule.send_after IS NULL AND reschedule.spread IS NULL THEN o.due_at
						 ELSE coalesce((SELECT line_notify._spread_due(c.quiet_hours, c.time_zone,
											greatest(coalesce(reschedule.send_after, o.send_after), clock_timestamp()),
											coalesce(reschedule.spread, '0'), coalesce(reschedule.expires_at, o.expires_at))
										FROM line_notify.channel c WHERE c.name = o.channel),
									   greatest(coalesce(reschedule.send_after, o.send_after), clock_timestamp())) END AS new_due
				FROM line_notify.outbox o
				WHERE o.id = ANY (movable)
				  AND coalesce(reschedule.expires_at, o.expires_at)
					  > greatest(coalesce(reschedule.send_after, o.send_after), clock_timestamp()) + coalesce(reschedule.spread, '0')),
			overridden AS (
				-- an earlier call waits no longer for what it wanted
				DELETE FROM line_notify.unblock u USING o
				WHERE u.order_key IS NULL AND u.id = o.id
				  AND (reschedule.send_after IS NOT NULL OR reschedule.spread IS NOT NULL)),
			noted AS (
				-- what was blocked before stays so until the worker has seen it
				INSERT INTO line_notify.unblock (channel, id, due_at)
				SELECT o.channel, o.id, o.new_due FROM o
				WHERE tell AND o.new_due < o.due_at AND o.due_at < 'infinity'
				RETURNING id)
			UPDATE line_notify.outbox m SET
				due_at = CASE WHEN m.id IN (SELECT n.id FROM noted n) THEN o.due_at ELSE o.new_due END,
				send_after = coalesce(reschedule.send_after, o.send_after),
				spread = coalesce(reschedule.spread, m.spread),
				expires_at = coalesce(reschedule.expires_at, m.expires_at)
			FROM o WHERE m.id = o.id;
			GET DIAGNOSTICS n = ROW_COUNT;
		END IF;
		rescheduled := rescheduled + n;
		too_late := too_late + cardinality(movable) - n;
		sending := sending + cardinality(chunk) - cardinality(movable);
	END LOOP;
	IF NOT dry_run THEN
		PERFORM line_notify._rescan();
	END IF;
	PERFORM line_notify._log_operation('reschedule',
		f || jsonb_strip_nulls(jsonb_build_object('send_after', send_after, 'spread', spread, 'expires_at', expires_at)),
		dry_run, rescheduled);
END
$$;
REVOKE ALL ON FUNCTION line_notify.reschedule FROM PUBLIC;
COMMENT ON FUNCTION line_notify.reschedule IS 'Give waiting messages another time (past = now), a random spread, another expiry. Returns how many were changed, how many were not because they would expire before their new time (give expires_at too), and how many are being sent right now, or may have been sent before a promotion (or ended meanwhile). Where standbys are attached, an earlier time counts when these know of it, at most promotion_grace later';

CREATE FUNCTION line_notify._check_times(send_after timestamptz, spread interval, expires_at timestamptz) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF send_after = 'infinity' OR expires_at = 'infinity' THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'send_after and expires_at must be finite';
	END IF;
	IF expires_at <= clock_timestamp() THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'expires_at is in the past',
			HINT = 'line_notify.cancel() ends messages.';
	END IF;
	IF spread < '0' OR spread > '366 days' THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'spread is out of range',
			DETAIL = 'The range is 0 to 366 days.';
	END IF;
	IF expires_at <= greatest(send_after, clock_timestamp()) + coalesce(spread, '0') THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'expires_at is not after send_after and spread';
	END IF;
END
$$;
REVOKE ALL ON FUNCTION line_notify._check_times(timestamptz, interval, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._check_times(timestamptz, interval, timestamptz) IS 'raises 22023 for times that no message can have';

-- A message keeps its id through a second life, so that the application's and
-- LINE's references to it stay good, and a late delivery event of the first
-- life still stops the second.  The first life's end goes to attempt_log.
CREATE FUNCTION line_notify.redrive(
	ids bigint[] DEFAULT NULL, batch text DEFAULT NULL, reference text DEFAULT NULL,
	dedup_key text DEFAULT NULL, channel text DEFAULT NULL, use_case line_notify.use_case DEFAULT NULL,
	template_key text DEFAULT NULL, state line_notify.message_state DEFAULT NULL,
	from_time timestamptz DEFAULT NULL, to_time timestamptz DEFAULT NULL,
	allow_duplicates boolean DEFAULT false,
	send_after timestamptz DEFAULT NULL, spread interval DEFAULT NULL, expires_at timestamptz DEFAULT NULL,
	dry_run boolean DEFAULT false,
	OUT redriven bigint, OUT maybe_sent bigint, OUT impossible bigint)
LANGUAGE line_notify_plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	f jsonb := line_notify._filter(ids, batch, reference, dedup_key, channel, use_case, template_key, state, from_time, to_time);
	states line_notify.message_state[];
	chunk bigint[];
	now_there bigint;
	perhaps bigint;
	forgotten timestamptz;
	n bigint;
	tell_by interval := CASE WHEN line_notify._must_tell_standbys() THEN current_setting('line_notify.promotion_grace')::interval END;
BEGIN
	PERFORM line_notify._assert_read_committed();
	PERFORM line_notify._note_promotion();
	PERFORM line_notify._check_times(send_after, spread, expires_at);
	-- a template message that old without a body may have had one
	SELECT clock_timestamp() - s.setting::integer * interval '1 minute' INTO forgotten
	FROM pg_settings s WHERE s.name = 'line_notify.payload_retention' AND s.setting::integer >= 0;
	IF state IN ('queued', 'sending') THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = format('messages in state %s have not ended', state),
			HINT = 'line_notify.reschedule() moves waiting messages.';
	ELSIF state = 'invalid' THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'invalid messages cannot be sent again',
			DETAIL = 'Their recipient is not known: the number was not valid, and numbers are not kept.',
			HINT = 'Insert the corrected message.';
	ELSIF state = 'suppressed' THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'suppressed messages cannot be sent again',
			DETAIL = 'The recipient objected.';
	ELSIF state IN ('unknown', 'accepted', 'delivered', 'undelivered') AND allow_duplicates IS NOT TRUE THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = format('messages in state %s may have been sent', state),
			HINT = 'If a second copy does less harm than none, say allow_duplicates => true.';
	END IF;
	-- Unless it is named: not what ended as it should (cancelled), nor what
	-- would end the same way again (unreachable), nor what went well.
	states := CASE WHEN state IS NOT NULL THEN ARRAY[state]
				   WHEN allow_duplicates THEN '{failed,expired,refused,unknown}'
				   ELSE '{failed,expired,refused}' END;
	redriven := 0;
	maybe_sent := 0;
	impossible := 0;
	PERFORM pg_current_xact_id();		-- before the clock is read; see horizon.h
	FOR chunk IN SELECT k FROM line_notify._chunks('history', states, f, ids) k
	LOOP
		SELECT count(*) INTO perhaps FROM line_notify.history h
		WHERE h.id = ANY (chunk) AND h.maybe_sent AND NOT allow_duplicates;
		IF dry_run THEN
			SELECT count(*) INTO n FROM line_notify.history h JOIN line_notify.channel c ON c.name = h.channel
			WHERE h.id = ANY (chunk) AND h.state = ANY (states) AND (allow_duplicates OR NOT h.maybe_sent)
			  AND h.recipient IS NOT NULL AND (h.template_key IS NULL) <> (h.messages IS NULL)
				  AND (h.body IS NOT NULL OR h.template_key IS NULL OR forgotten IS NULL OR h.ended_at >= forgotten)
			  AND NOT EXISTS (SELECT FROM line_notify.dedup d
							  WHERE d.channel = h.channel AND d.dedup_key = h.dedup_key
								AND d.id <> h.id AND d.until > clock_timestamp());
		ELSE
			WITH keys AS (
				-- a key that a later message took meanwhile is not free
				INSERT INTO line_notify.dedup AS d (channel, dedup_key, id, until)
				SELECT DISTINCT ON (h.channel, h.dedup_key) h.channel, h.dedup_key, h.id,
					clock_timestamp() + coalesce((h.policy ->> 'dedup_window')::interval, c.dedup_window)
				FROM line_notify.history h JOIN line_notify.channel c ON c.name = h.channel
				WHERE h.id = ANY (chunk) AND h.dedup_key IS NOT NULL
				  AND h.state = ANY (states) AND (allow_duplicates OR NOT h.maybe_sent)
				  AND h.recipient IS NOT NULL AND (h.template_key IS NULL) <> (h.messages IS NULL)
				  AND (h.body IS NOT NULL OR h.template_key IS NULL OR forgotten IS NULL OR h.ended_at >= forgotten)
				ORDER BY h.channel, h.dedup_key, h.id DESC
				ON CONFLICT ON CONSTRAINT dedup_pkey DO UPDATE SET id = excluded.id, until = excluded.until
					WHERE d.id = excluded.id OR d.until <= clock_timestamp()
				RETURNING d.id),
			h AS (
				DELETE FROM line_notify.history h
				USING line_notify.channel c
				WHERE c.name = h.channel
				  AND (h.dedup_key IS NULL OR h.id IN (SELECT k.id FROM keys k))
				  AND h.id = ANY (chunk) AND h.state = ANY (states) AND (allow_duplicates OR NOT h.maybe_sent)
				  -- erased, or its content is past payload_retention
				  AND h.recipient IS NOT NULL AND (h.template_key IS NULL) <> (h.messages IS NULL)
				  AND (h.body IS NOT NULL OR h.template_key IS NULL OR forgotten IS NULL OR h.ended_at >= forgotten)
				RETURNING h.*, c.home, c.default_ttl,
					line_notify._spread_due(c.quiet_hours, c.time_zone, greatest(redrive.send_after, clock_timestamp()),
						coalesce(redrive.spread, '0'), coalesce(redrive.expires_at, 'infinity')) AS new_due),
			noted AS (
				INSERT INTO line_notify.unblock (channel, id, due_at)
				SELECT h.channel, h.id, h.new_due FROM h WHERE h.new_due < clock_timestamp() + tell_by),
			first_life AS (
				INSERT INTO line_notify.attempt_log (id, attempt, token, started_at, ended_at, outcome, http_status, request_id, error,
					ended_as, revision, delivery_event)
				SELECT h.id, h.attempts,
					-- ended by an operator: below all others of the message, since an operator may end each of its lives
					coalesce(h.token, least((SELECT min(a.token) FROM line_notify.attempt_log a WHERE a.id = h.id), 0) - 1),
					h.sent_at, coalesce(h.delivered_at, h.ended_at),
					CASE WHEN h.delivered_at IS NOT NULL OR h.outcome IS NULL THEN h.state::text ELSE h.outcome END,
					h.http_status, h.request_id, h.error, h.state, coalesce(h.revision, 0), h.delivery_event
				FROM h),
			uncounted AS (
				-- how it ended is no longer so; that LINE took it, or delivered it, stays true
				INSERT INTO line_notify.daily_count (channel, day, kind, aggregation_unit, outcome, n)
				SELECT h.channel, (h.ended_at AT TIME ZONE 'Asia/Tokyo')::date,
					CASE WHEN h.template_key IS NULL THEN 'flexible' ELSE 'template' END, h.aggregation_unit, h.state::text, -count(*)
				FROM h WHERE h.state NOT IN ('accepted', 'delivered')
				GROUP BY 1, 2, 3, 4, 5),
			known AS (
				INSERT INTO line_notify.minute_count (channel, minute, accepted, delivered, unknown, answered, unreachable, refused)
				SELECT h.channel, date_trunc('minute', h.ended_at), 0, 0, -count(*) FILTER (WHERE h.state = 'unknown'),
					-count(h.http_status), -count(*) FILTER (WHERE h.state = 'unreachable'),
					-count(h.http_status) FILTER (WHERE h.state = 'refused')
				FROM h WHERE h.state = 'unknown' OR h.http_status IS NOT NULL
				GROUP BY 1, 2),
			told AS (
				-- what nobody has taken yet needs no fallback now
				DELETE FROM line_notify.outcome o
				WHERE o.ctid = ANY (ARRAY(SELECT p.ctid FROM line_notify.outcome p JOIN h ON h.id = p.id FOR UPDATE OF p SKIP LOCKED)))
			INSERT INTO line_notify.outbox (id, channel, priority, send_after, spread, expires_at, @{kept|erased %}, state, due_at, attempts, maybe_sent, home, created_at, error)
			SELECT h.id, h.channel, h.priority, redrive.send_after, redrive.spread,
				coalesce(redrive.expires_at,
						 CASE WHEN h.expires_at > h.new_due THEN h.expires_at ELSE h.new_due + h.default_ttl END),
				@{kept|erased h.%}, 'queued',
				greatest(h.new_due, clock_timestamp() + tell_by), 0,
				h.maybe_sent OR h.state IN ('unknown', 'accepted', 'delivered', 'undelivered'),
				h.home, h.created_at, h.error
			FROM h;
			GET DIAGNOSTICS n = ROW_COUNT;
		END IF;
		redriven := redriven + n;
		maybe_sent := maybe_sent + perhaps;
		impossible := impossible + cardinality(chunk) - perhaps - n;
	END LOOP;
	IF NOT dry_run THEN
		PERFORM line_notify._rescan();
	END IF;
	PERFORM line_notify._log_operation('redrive',
		f || jsonb_strip_nulls(jsonb_build_object('allow_duplicates', nullif(allow_duplicates, false),
			'send_after', send_after, 'spread', spread, 'expires_at', expires_at)),
		dry_run, redriven);
END
$$;
REVOKE ALL ON FUNCTION line_notify.redrive FROM PUBLIC;
COMMENT ON FUNCTION line_notify.redrive IS 'Queue ended messages again, under their own id and with new attempts: failed, expired and refused ones, others when state names them; what may have been sent only with allow_duplicates. Returns how many were queued, how many were not because they may have been sent, and how many cannot be sent again (content or recipient erased, channel dropped, dedup_key taken by a later message)';

-- What to pause: nothing named = every channel; a channel; its messages of one
-- template; its messages of one use case, of both kinds.  Without a channel,
-- those of every channel.
CREATE FUNCTION line_notify.pause(
	channel text DEFAULT NULL, reason text DEFAULT NULL,
	use_case line_notify.use_case DEFAULT NULL, template_key text DEFAULT NULL)
RETURNS bigint
LANGUAGE line_notify_plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	why text := format('%s (%s)', coalesce(reason, 'by an operator'), line_notify._caller());
	n bigint;
BEGIN
	PERFORM line_notify._check_channel(channel);
	IF use_case IS NULL AND template_key IS NULL THEN
		UPDATE line_notify.channel c SET paused_at = clock_timestamp(), pause_automatic = false, pause_reason = why
		WHERE channel IS NULL OR c.name = channel;
	ELSE
		INSERT INTO line_notify.partial_pause (channel, scope, subject, reason)
		SELECT c.name, x.scope, x.subject, why
		FROM line_notify.channel c, (VALUES ('use_case', use_case::text), ('template', template_key)) x(scope, subject)
		WHERE (channel IS NULL OR c.name = channel) AND x.subject IS NOT NULL
		ON CONFLICT ON CONSTRAINT partial_pause_pkey DO UPDATE SET reason = excluded.reason, paused_at = clock_timestamp();
	END IF;
	GET DIAGNOSTICS n = ROW_COUNT;
	PERFORM line_notify._log_operation('pause', jsonb_strip_nulls(jsonb_build_object('channel', channel,
		'use_case', use_case, 'template_key', template_key, 'reason', reason)), false, n);
	RETURN n;
END
$$;
REVOKE ALL ON FUNCTION line_notify.pause FROM PUBLIC;
COMMENT ON FUNCTION line_notify.pause IS 'Stop sending: everything, a channel, the messages of a template, or those of a use case; what is on the wire ends normally. A template message has the use case that its INSERT names. Returns how many things are paused now';

CREATE FUNCTION line_notify._resumed(channel text) RETURNS void
LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'line_notify_resumed';
REVOKE ALL ON FUNCTION line_notify._resumed(text) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._resumed(text) IS 'ends pauses that LINE asked for, and closes the circuit breaker';

CREATE FUNCTION line_notify.resume(
	channel text DEFAULT NULL,
	use_case line_notify.use_case DEFAULT NULL, template_key text DEFAULT NULL)
RETURNS bigint
LANGUAGE line_notify_plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	n bigint;
	m bigint := 0;
BEGIN
	PERFORM line_notify._check_channel(channel);
	DELETE FROM line_notify.partial_pause p
	WHERE (channel IS NULL OR p.channel = channel)
	  AND (use_case IS NULL AND template_key IS NULL
		   OR p.scope IN ('use_case', 'design') AND p.subject = use_case::text
		   OR p.scope = 'template' AND p.subject = template_key);
	GET DIAGNOSTICS n = ROW_COUNT;
	IF use_case IS NULL AND template_key IS NULL THEN
		UPDATE line_notify.channel c SET paused_at = NULL, pause_reason = NULL, pause_automatic = false
		WHERE (channel IS NULL OR c.name = channel) AND c.paused_at IS NOT NULL;
		GET DIAGNOSTICS m = ROW_COUNT;
		PERFORM line_notify._resumed(c.name) FROM line_notify.channel c WHERE channel IS NULL OR c.name = channel;
	END IF;
	PERFORM line_notify._log_operation('resume', jsonb_strip_nulls(jsonb_build_object('channel', channel,
		'use_case', use_case, 'template_key', template_key)), false, n + m);
	RETURN n + m;
END
$$;
REVOKE ALL ON FUNCTION line_notify.resume FROM PUBLIC;
COMMENT ON FUNCTION line_notify.resume IS 'Send again: everything, a channel including its paused endpoints, templates and designs, LINE''s wish to wait and an open circuit breaker, or one template or use case. Returns how many things were paused';

CREATE FUNCTION line_notify._check_channel(channel text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
	IF channel IS NOT NULL AND NOT EXISTS (SELECT FROM line_notify.channel c WHERE c.name = channel) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_object',
			MESSAGE = format('channel "%s" does not exist', line_notify._shown(channel)),
			HINT = 'View line_notify.channels lists the channels.';
	END IF;
END
$$;
REVOKE ALL ON FUNCTION line_notify._check_channel(text) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._check_channel(text) IS 'raises 42704 for a channel that does not exist';

CREATE FUNCTION line_notify.find_notifications(
	phone text DEFAULT NULL, reference text DEFAULT NULL, recipient text DEFAULT NULL,
	region text DEFAULT NULL, channel text DEFAULT NULL, max integer DEFAULT 100)
RETURNS SETOF line_notify.notifications
LANGUAGE line_notify_plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off ROWS 10
AS $$
#variable_conflict use_variable
DECLARE
	hash text := recipient;
	n bigint;
BEGIN
	IF phone IS NOT NULL THEN
		IF hash IS NOT NULL THEN
			RAISE EXCEPTION USING
				ERRCODE = 'invalid_parameter_value',
				MESSAGE = 'give either phone or recipient';
		END IF;
		hash := line_notify.phone_hash(phone, region);
		IF hash IS NULL THEN
			RAISE EXCEPTION USING
				ERRCODE = 'invalid_parameter_value',
				MESSAGE = 'invalid phone number',
				HINT = 'Pass the number with its country code, or name its region.';
		END IF;
	ELSIF hash IS NULL AND reference IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'give a phone number, a recipient hash or a reference';
	END IF;
	PERFORM line_notify._log_search('find_notifications', CASE WHEN phone IS NOT NULL THEN 'a telephone number'
		WHEN recipient IS NOT NULL THEN 'a recipient hash' ELSE 'a reference' END);
	-- One branch for each key, so that each finds its index.
	RETURN QUERY
		SELECT v.* FROM line_notify.notifications v
		WHERE v.id = ANY (ARRAY(
				SELECT o.id FROM line_notify.outbox o
				WHERE hash IS NOT NULL AND o.recipient = hash
				UNION ALL
				SELECT h.id FROM line_notify.history h
				WHERE hash IS NOT NULL AND h.recipient = hash
				UNION ALL
				SELECT o.id FROM line_notify.outbox o
				WHERE hash IS NULL AND o.reference = find_notifications.reference
				UNION ALL
				SELECT h.id FROM line_notify.history h
				WHERE hash IS NULL AND h.reference = find_notifications.reference))
		  AND (find_notifications.reference IS NULL OR v.reference = find_notifications.reference)
		  AND (find_notifications.channel IS NULL OR v.channel = find_notifications.channel)
		ORDER BY v.id DESC
		LIMIT max;
	GET DIAGNOSTICS n = ROW_COUNT;
	PERFORM line_notify._log_operation('find_notifications',
		jsonb_strip_nulls(jsonb_build_object('phone', CASE WHEN phone IS NOT NULL THEN true END,
			'recipient', CASE WHEN recipient IS NOT NULL THEN true END,
			'reference', reference, 'region', region, 'channel', channel)), false, n);
END
$$;
REVOKE ALL ON FUNCTION line_notify.find_notifications FROM PUBLIC;
COMMENT ON FUNCTION line_notify.find_notifications IS 'For support staff: the messages to a telephone number (or its hash) or about a reference, latest first. The search is recorded in operations, and in the server log whatever becomes of the transaction, without the number';
