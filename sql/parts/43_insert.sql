
--
-- How messages come in
--

CREATE FUNCTION line_notify._outbox_insert() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'line_notify_outbox_insert';
REVOKE ALL ON FUNCTION line_notify._outbox_insert() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._outbox_insert() IS 'trigger: normalizes, hashes, checks and schedules a new message, wakes the worker at commit';

CREATE TRIGGER prepare BEFORE INSERT ON line_notify.outbox
	FOR EACH ROW EXECUTE FUNCTION line_notify._outbox_insert();

-- Not for PUBLIC: what it inserts is inserted with the rights of the owner of
-- the table, so who may create triggers there and execute this may send.
CREATE FUNCTION line_notify.enqueue_trigger() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'line_notify_enqueue_trigger';
-- It sends with the right of the table's owner.  So whoever may execute it and
-- has TRIGGER on a table can send as that owner: none of the grant functions gives it.
REVOKE ALL ON FUNCTION line_notify.enqueue_trigger() FROM PUBLIC;
COMMENT ON FUNCTION line_notify.enqueue_trigger() IS 'trigger for tables of the application, AFTER INSERT, UPDATE or DELETE FOR EACH ROW: sends a message about the row; its argument is a JSON object of columns of outbox, with {column} for values';

CREATE FUNCTION line_notify._duplicate_of() RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'line_notify_duplicate_of';
REVOKE ALL ON FUNCTION line_notify._duplicate_of() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._duplicate_of() IS 'id of the message that the row last inserted by this session was a duplicate of, or NULL';

CREATE FUNCTION line_notify.enqueue(
	phone text,
	use_case line_notify.use_case,
	template_key text DEFAULT NULL,
	body jsonb DEFAULT NULL,
	messages jsonb DEFAULT NULL,
	channel text DEFAULT NULL,
	options jsonb DEFAULT '{}')
RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	o record;
	stray text;
	new_id bigint;
BEGIN
	SELECT k INTO stray FROM jsonb_object_keys(enqueue.options) k
	WHERE k NOT IN ('region', 'recipient', @{notification_disabled.. '%'}) LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = format('unknown option "%s"', line_notify._shown(stray)),
			HINT = 'Options are the columns of line_notify.outbox: region, recipient, @{notification_disabled.. %}.';
	END IF;
	SELECT * INTO o FROM jsonb_to_record(enqueue.options) AS
		x(region text, recipient text, @{notification_disabled.. % %type});
	o.priority := coalesce(o.priority, 0);
	INSERT INTO line_notify.outbox (@{channel..messages %}, @{notification_disabled.. %})
	VALUES (enqueue.channel, enqueue.phone, o.region, o.recipient, enqueue.use_case, enqueue.template_key, enqueue.body, enqueue.messages,
		@{notification_disabled.. o.%})
	RETURNING id INTO new_id;
	-- nothing was inserted: a duplicate, or enqueueing is switched off
	RETURN coalesce(new_id, line_notify._duplicate_of());
END
$$;
REVOKE ALL ON FUNCTION line_notify.enqueue(text, line_notify.use_case, text, jsonb, jsonb, text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION line_notify.enqueue(text, line_notify.use_case, text, jsonb, jsonb, text, jsonb) IS 'Queue one message; the same as an INSERT into outbox; returns its id, or that of the message that holds its dedup_key already; NULL when line_notify.enqueue is off';
