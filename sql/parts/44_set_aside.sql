
--
-- Outcomes that the tables refuse
--
-- A message was sent, and what became of it cannot be written down: a CHECK of
-- the owner's, a trigger that raises, an id that is there already.  To keep it
-- in flight would stop the channel after some hundred of them, and to send it
-- again would be worse.  So it waits where nothing can refuse it.
--

CREATE TABLE line_notify.set_aside (
	id				bigint,
	token			bigint,
	attempt			integer,
	state			text,
	outcome			text,
	http_status		integer,
	request_id		text,
	error			text,
	sent_at			timestamptz,
	ended_at		timestamptz,
	retry_at		timestamptz,
	consume			boolean,
	ambiguous		boolean,
	logged			boolean,
	delivered_at	timestamptz,
	delivery_event	text,
	message			jsonb,
	why				text,
	at				timestamptz DEFAULT clock_timestamp(),
	tried_at		timestamptz
);
-- no key by intention, and publications must not mind
ALTER TABLE line_notify.set_aside REPLICA IDENTITY FULL;
ALTER TABLE line_notify.set_aside
	ALTER message SET STATISTICS 0,
	ALTER error SET STATISTICS 0,
	ALTER request_id SET STATISTICS 0,
	ALTER why SET STATISTICS 0;
COMMENT ON TABLE line_notify.set_aside IS 'Outcomes that outbox or history refused; the worker tries again to record them, and health() names them';
COMMENT ON COLUMN line_notify.set_aside.state IS 'state in which the message ended; NULL = it goes back to the queue';
COMMENT ON COLUMN line_notify.set_aside.message IS 'its row of the outbox; NULL = that was gone';
COMMENT ON COLUMN line_notify.set_aside.why IS 'SQLSTATE of the refusal';
COMMENT ON COLUMN line_notify.set_aside.tried_at IS 'when it was last refused again: others come first';

CREATE FUNCTION line_notify._set_aside_end(s line_notify.set_aside) RETURNS timestamptz
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE WHEN s.state IS NULL AND s.delivered_at IS NULL
				THEN greatest(s.ended_at, (s.message ->> 'expires_at')::timestamptz) ELSE s.ended_at END
$$;
REVOKE ALL ON FUNCTION line_notify._set_aside_end(line_notify.set_aside) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._set_aside_end(line_notify.set_aside) IS 'when a message that is aside ended, or will have: what waits to go back to the queue, when it expires';

CREATE FUNCTION line_notify._next_message_id() RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'line_notify_next_message_id';
REVOKE ALL ON FUNCTION line_notify._next_message_id() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._next_message_id() IS 'a new id from the one source of ids';

CREATE FUNCTION line_notify.record_set_aside(OUT recorded bigint, OUT refused bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	r record;
	m line_notify.outbox;
	new_id bigint;
	remark text;
	returns boolean;
	due timestamptz;
	written boolean;
	tell_by interval := CASE WHEN line_notify._must_tell_standbys() THEN current_setting('line_notify.promotion_grace')::interval END;
BEGIN
	PERFORM line_notify._note_promotion();
	recorded := 0;
	refused := 0;
	FOR r IN SELECT s.ctid AS place, s.* FROM line_notify.set_aside s
			 ORDER BY s.tried_at NULLS FIRST, s.at LIMIT 500 FOR UPDATE SKIP LOCKED
	LOOP
		BEGIN
			returns := r.state IS NULL AND r.delivered_at IS NULL;
			DELETE FROM line_notify.set_aside s WHERE s.ctid = r.place;
			m := jsonb_populate_record(NULL::line_notify.outbox, coalesce(r.message, '{}'));
			-- two messages under one id: this one gets one of its own
			new_id := r.id;
			remark := NULL;
			IF EXISTS (SELECT FROM line_notify.history h WHERE h.id = r.id)
			   OR EXISTS (SELECT FROM line_notify.outbox o WHERE o.id = r.id) THEN
				new_id := line_notify._next_message_id();
				remark := format('its id was %s, which another message has, too', r.id);
				UPDATE line_notify.dedup d SET id = new_id
				WHERE d.channel = m.channel AND d.dedup_key = m.dedup_key AND d.id = r.id;
			END IF;
			PERFORM line_notify._ensure_history(new_id);
			written := true;
			IF returns AND r.logged THEN
				INSERT INTO line_notify.attempt_log (id, attempt, token, started_at, ended_at, outcome, http_status, request_id, error)
				VALUES (new_id, r.attempt, r.token, r.sent_at, r.ended_at, r.outcome, nullif(r.http_status, 0), nullif(r.request_id, ''), nullif(r.error, ''));
				written := FOUND;
			END IF;
			IF returns AND r.message IS NULL THEN
				NULL;	-- somebody deleted its row: there is nothing to send again
			ELSIF returns THEN
				due := greatest(r.retry_at, clock_timestamp());
				IF due < clock_timestamp() + tell_by THEN
					INSERT INTO line_notify.unblock (channel, id, due_at) VALUES (m.channel, new_id, due);
				END IF;
				INSERT INTO line_notify.outbox (id, channel, priority, send_after, spread, expires_at, @{kept|erased %},
					state, due_at, attempts, maybe_sent, home, created_at, error)
				VALUES (new_id, m.channel, m.priority, m.send_after, m.spread, m.expires_at, @{kept|erased m.%},
					'queued', greatest(due, clock_timestamp() + tell_by), m.attempts + r.consume::integer, m.maybe_sent OR r.ambiguous,
					m.home, m.created_at, nullif(concat_ws('; ', nullif(r.error, ''), remark), ''));
				written := written AND FOUND;
			ELSE
				INSERT INTO line_notify.history (id, channel, priority, @{kept|erased %}, state, attempts, maybe_sent, token,
					outcome, http_status, request_id, error, created_at, due_at, expires_at, sent_at, ended_at, delivered_at, delivery_event)
				VALUES (new_id, coalesce(m.channel, '?'), coalesce(m.priority, 0), @{kept|erased m.%},
					CASE WHEN r.delivered_at IS NULL THEN r.state ELSE 'delivered' END::line_notify.message_state,
					r.attempt, coalesce(m.maybe_sent, false), r.token, r.outcome, nullif(r.http_status, 0), nullif(r.request_id, ''),
					nullif(concat_ws('; ', nullif(r.error, ''), remark), ''), coalesce(m.created_at, r.sent_at, r.ended_at), m.due_at, m.expires_at,
					r.sent_at, r.ended_at, r.delivered_at, r.delivery_event);
				written := FOUND;
			END IF;
			IF NOT written THEN
				RAISE EXCEPTION USING ERRCODE = 'triggered_data_change_violation', MESSAGE = 'a trigger keeps a row from being written';
			END IF;
			recorded := recorded + 1;
		EXCEPTION WHEN OTHERS THEN
			refused := refused + 1;
			UPDATE line_notify.set_aside s SET why = SQLSTATE, tried_at = clock_timestamp() WHERE s.ctid = r.place;
		END;
	END LOOP;
	PERFORM line_notify._rescan();
END
$$;
REVOKE ALL ON FUNCTION line_notify.record_set_aside() FROM PUBLIC;
COMMENT ON FUNCTION line_notify.record_set_aside() IS 'Record now what the tables refused before; the worker calls it by itself. Looks at 500 outcomes, and returns how many of them were recorded, and how many are still refused';
