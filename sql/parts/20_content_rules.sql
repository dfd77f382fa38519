
--
-- Content rules
--

CREATE FUNCTION line_notify.check_message(
	kind text,
	payload jsonb,
	use_case line_notify.use_case DEFAULT NULL,
	channel text DEFAULT NULL,
	OUT severity text,
	OUT path text,
	OUT rule text,
	OUT message text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'line_notify_check_message'
LANGUAGE C STABLE PARALLEL SAFE ROWS 1;
COMMENT ON FUNCTION line_notify.check_message(text, jsonb, line_notify.use_case, text) IS 'what LINE would object to in a message (kind template or flexible; payload is LINE''s request without "to"): one row for each finding, none for a good message';

CREATE FUNCTION line_notify._content_warnings(template_key text, body jsonb, messages jsonb) RETURNS text
AS 'MODULE_PATHNAME', 'line_notify_content_warnings'
LANGUAGE C IMMUTABLE PARALLEL SAFE COST 100;
COMMENT ON FUNCTION line_notify._content_warnings(text, jsonb, jsonb) IS 'what check_message() warns of in a stored content, in short: rule at path; ...';

CREATE FUNCTION line_notify._content_rules(
	OUT rule text,
	OUT severity text,
	OUT fault text,
	OUT description text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'line_notify_content_rules'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 80;
COMMENT ON FUNCTION line_notify._content_rules() IS 'rows of the view content_rules';

CREATE VIEW line_notify.content_rules AS
SELECT rule, severity, fault, description FROM line_notify._content_rules();
COMMENT ON VIEW line_notify.content_rules IS 'every rule that check_message() and INSERT into the outbox apply';
COMMENT ON COLUMN line_notify.content_rules.rule IS 'name, as returned by check_message() and stored with a parked row';
COMMENT ON COLUMN line_notify.content_rules.severity IS 'error: refused; warning: reported by check_message(), in column content_warnings of notifications, and at INSERT with line_notify.content_warnings = notice';
COMMENT ON COLUMN line_notify.content_rules.fault IS 'statement: a mistake in the program, an ERROR at INSERT; row: a value that comes from data, treated as on_invalid says';
COMMENT ON COLUMN line_notify.content_rules.description IS 'what the rule forbids';

GRANT EXECUTE ON FUNCTION line_notify.check_message(text, jsonb, line_notify.use_case, text), line_notify._content_rules(), line_notify._content_warnings(text, jsonb, jsonb) TO PUBLIC;
GRANT SELECT ON line_notify.content_rules TO PUBLIC;
