
--
-- Waiting for a message, and sending without a worker
--

CREATE FUNCTION line_notify._wait_for(id bigint, timeout_ms bigint) RETURNS text
LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'line_notify_wait_for';
REVOKE ALL ON FUNCTION line_notify._wait_for(bigint, bigint) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._wait_for(bigint, bigint) IS 'sleeps until a message has left the queue';

CREATE FUNCTION line_notify.wait_for(id bigint, timeout interval DEFAULT '30 seconds') RETURNS line_notify.message_state
LANGUAGE line_notify_plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	viewer record := line_notify._viewer();
BEGIN
	IF timeout < '0' OR timeout > '30 days' THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'timeout is out of range',
			DETAIL = 'The range is 0 to 30 days.';
	END IF;
	IF NOT viewer.everything
	   AND NOT EXISTS (SELECT FROM line_notify.outbox o WHERE o.id = wait_for.id AND o.channel = ANY (viewer.channels))
	   AND NOT EXISTS (SELECT FROM line_notify.history h WHERE h.id = wait_for.id AND h.channel = ANY (viewer.channels)) THEN
		RETURN NULL;
	END IF;
	RETURN line_notify._wait_for(id, (extract(epoch FROM timeout) * 1000)::bigint);
END
$$;
REVOKE ALL ON FUNCTION line_notify.wait_for(bigint, interval) FROM PUBLIC;
COMMENT ON FUNCTION line_notify.wait_for(bigint, interval) IS 'Sleep until a message has been sent or has ended otherwise, at most timeout; returns its state then, NULL when there is no such message. Commit the INSERT first';

CREATE FUNCTION line_notify._note_drain(sent bigint) RETURNS bigint
LANGUAGE line_notify_plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM line_notify._log_operation('drain', '{}', false, sent);
	RETURN (SELECT count(*) FROM line_notify.outbox o
			 WHERE o.due_at <= clock_timestamp() AND o.state = 'queued');
END
$$;
REVOKE ALL ON FUNCTION line_notify._note_drain(bigint) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._note_drain(bigint) IS 'logs a drain(); returns how many messages are due and have not been sent';

CREATE PROCEDURE line_notify.drain(timeout interval DEFAULT '5 minutes', INOUT sent bigint DEFAULT NULL, INOUT waiting bigint DEFAULT NULL)
LANGUAGE c AS 'MODULE_PATHNAME', 'line_notify_drain';
REVOKE ALL ON PROCEDURE line_notify.drain FROM PUBLIC;
COMMENT ON PROCEDURE line_notify.drain IS 'Send what is due now, and come back when it is done or after timeout: sent = attempts made meanwhile, waiting = messages that are due and still there (see health()). Needs no preloaded library: then a background worker does it for the time of the call, and everything else that a worker does. Not inside a transaction block';
