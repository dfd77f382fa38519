
--
-- Why messages wait: the gate (base/gate.c), for SQL
--

CREATE FUNCTION line_notify._waiting_reasons(OUT no integer, OUT reason text, OUT meaning_en text, OUT meaning_ja text,
	OUT ends_by_itself boolean, OUT what_ends_it text, OUT severity text)
RETURNS SETOF record
LANGUAGE c IMMUTABLE PARALLEL SAFE ROWS 44 AS 'MODULE_PATHNAME', 'line_notify_waiting_reasons';
REVOKE ALL ON FUNCTION line_notify._waiting_reasons() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION line_notify._waiting_reasons() TO PUBLIC;
COMMENT ON FUNCTION line_notify._waiting_reasons() IS 'rows of view waiting_reasons; severity of those that health() tells when messages are due';

CREATE VIEW line_notify.waiting_reasons AS
SELECT reason, meaning_en, meaning_ja, ends_by_itself, what_ends_it FROM line_notify._waiting_reasons()
WHERE reason <> 'another drain'		-- only drain() itself can tell
ORDER BY no;
COMMENT ON VIEW line_notify.waiting_reasons IS 'Every value of waiting_reason, in the order in which the first of several is told';
COMMENT ON COLUMN line_notify.waiting_reasons.reason IS 'value of column waiting_reason of view notifications';
COMMENT ON COLUMN line_notify.waiting_reasons.meaning_en IS 'what it means';
COMMENT ON COLUMN line_notify.waiting_reasons.meaning_ja IS 'the same in Japanese';
COMMENT ON COLUMN line_notify.waiting_reasons.ends_by_itself IS 'false: somebody has to do something';
COMMENT ON COLUMN line_notify.waiting_reasons.what_ends_it IS 'what that is, or what comes by itself';
GRANT SELECT ON line_notify.waiting_reasons TO PUBLIC;

CREATE FUNCTION line_notify._endpoint_verdict(channel text, endpoint text, disarmed boolean, paused boolean,
	paused_automatically boolean, endpoint_paused boolean, has_credential boolean, token_error text,
	quiet_until timestamptz, budget_until timestamptz,
	OUT no integer, OUT reason text, OUT until timestamptz, OUT not_before timestamptz)
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'line_notify_endpoint_verdict';
REVOKE ALL ON FUNCTION line_notify._endpoint_verdict FROM PUBLIC;
COMMENT ON FUNCTION line_notify._endpoint_verdict IS 'what holds an endpoint of a channel now, by these facts, the state of the worker, and the verdict that it has published';

CREATE FUNCTION line_notify._message_verdict(endpoint_no integer, endpoint_until timestamptz, endpoint_not_before timestamptz,
	disarmed boolean, template_paused boolean, use_case_paused boolean, due_at timestamptz, attempted boolean,
	quarantined boolean, row_locked boolean, in_doubt_before timestamptz, in_doubt_until timestamptz, untold boolean,
	OUT no integer, OUT reason text, OUT until timestamptz, OUT not_before timestamptz)
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'line_notify_message_verdict';
GRANT EXECUTE ON FUNCTION line_notify._message_verdict TO PUBLIC;	-- pure, used in views
COMMENT ON FUNCTION line_notify._message_verdict IS 'what holds a message now, by these facts and the verdict on its endpoint';

CREATE FUNCTION line_notify._unanswered(OUT channel text, OUT on_the_wire integer, OUT overdue integer, OUT since timestamptz)
RETURNS SETOF record
LANGUAGE c VOLATILE ROWS 10 AS 'MODULE_PATHNAME', 'line_notify_unanswered';
REVOKE ALL ON FUNCTION line_notify._unanswered() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._unanswered() IS 'requests without answer, per endpoint: how many, how many of the channel are overdue (later ones are answered), since when the oldest of the channel waits';
