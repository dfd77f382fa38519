
--
-- View messages: the outbox for ORMs and drivers
--
-- What a library that maps objects to rows expects of a table: INSERT gives a
-- row back, with an id, also for a duplicate; what was inserted can be read,
-- by all columns; UPDATE and DELETE mean something.  No internal column, no
-- column that must be given, no type that a library must be taught.
--

CREATE VIEW line_notify.messages WITH (security_barrier) AS
WITH me AS MATERIALIZED (SELECT v.* FROM line_notify._viewer() v)
SELECT o.id, o.channel, NULL::text AS phone, o.region, NULL::text AS recipient, o.use_case::text AS use_case,
	   o.template_key, NULL::jsonb AS body, NULL::jsonb AS messages, o.notification_disabled, o.aggregation_unit,
	   o.priority, o.send_after, o.spread, o.expires_at, o.batch, o.dedup_key, NULL::text AS on_duplicate,
	   @{order_key.. o.%},
	   CASE WHEN f.id IS NULL THEN o.state::text ELSE 'sending' END AS state,
	   o.attempts + CASE WHEN f.id IS NULL THEN 0 ELSE 1 END AS attempts,
	   NULL::integer AS http_status, NULL::text AS request_id, o.error, o.created_at,
	   f.claimed_at AS sent_at, NULL::timestamptz AS ended_at, f.delivered_at
FROM me, line_notify.outbox o LEFT JOIN line_notify.in_flight f ON f.id = o.id
WHERE me.everything OR o.channel = ANY (me.channels)
UNION ALL
SELECT h.id, h.channel, NULL, NULL, NULL, h.use_case::text,
	   h.template_key, NULL, NULL, h.notification_disabled, h.aggregation_unit,
	   h.priority, NULL, NULL, h.expires_at, h.batch, h.dedup_key, NULL,
	   @{order_key.. h.%}, h.state::text, h.attempts,
	   h.http_status, h.request_id, h.error, h.created_at,
	   h.sent_at, h.ended_at, h.delivered_at
FROM me, line_notify.history h
WHERE me.everything OR h.channel = ANY (me.channels)
UNION ALL
-- answered, and not recorded yet
SELECT s.id, o.channel, NULL, NULL, NULL, o.use_case,
	   o.template_key, NULL, NULL, o.notification_disabled, o.aggregation_unit,
	   o.priority, o.send_after, o.spread, o.expires_at, o.batch, o.dedup_key, NULL,
	   @{order_key.. o.%}, coalesce(s.state, 'sending'), s.attempt,
	   nullif(s.http_status, 0), nullif(s.request_id, ''), nullif(s.error, ''), o.created_at,
	   s.sent_at, CASE WHEN s.state IS NOT NULL THEN s.ended_at END, s.delivered_at
FROM me, line_notify.set_aside s, LATERAL jsonb_to_record(s.message)
	 AS o(channel text, use_case text, template_key text, @{notification_disabled.. % %type}, created_at timestamptz)
WHERE me.everything OR o.channel = ANY (me.channels);
COMMENT ON VIEW line_notify.messages IS 'The outbox for ORMs: INSERT returns the row with its id, that of the earlier message for a duplicate; SELECT shows what became of one''s messages; UPDATE of send_after, spread, expires_at, priority reschedules; DELETE cancels';
COMMENT ON COLUMN line_notify.messages.id IS 'given at INSERT, below 2^53; of a duplicate, the id of the message that holds its dedup_key';
COMMENT ON COLUMN line_notify.messages.phone IS 'telephone number as the customer wrote it; hashed at INSERT, always NULL afterwards';
COMMENT ON COLUMN line_notify.messages.recipient IS 'instead of phone: SHA-256 of the E.164 number in hex; always NULL afterwards';
COMMENT ON COLUMN line_notify.messages.use_case IS 'reviewed purpose of the message: its key, number or Japanese name; the key afterwards';
COMMENT ON COLUMN line_notify.messages.body IS 'template message: emphasizedItem, items, buttons; content is not read back';
COMMENT ON COLUMN line_notify.messages.messages IS 'flexible message: array of message objects; content is not read back';
COMMENT ON COLUMN line_notify.messages.priority IS '@{LN_MIN_PRIORITY} to @{LN_MAX_PRIORITY}, larger is sooner; default 0; can be updated while it waits';
COMMENT ON COLUMN line_notify.messages.send_after IS 'not before; can be updated while it waits, NULL = now';
COMMENT ON COLUMN line_notify.messages.spread IS 'a random share of this is added to send_after; can be updated while it waits';
COMMENT ON COLUMN line_notify.messages.expires_at IS 'not after; default the channel''s default_ttl; can be updated while it waits';
COMMENT ON COLUMN line_notify.messages.dedup_key IS 'second message of a channel with the same key is not queued, and gets the id of the first';
COMMENT ON COLUMN line_notify.messages.on_duplicate IS 'of this INSERT: ignore or replace; default the channel''s; always NULL afterwards';
COMMENT ON COLUMN line_notify.messages.policy IS 'what this message wants otherwise than its channel';
COMMENT ON COLUMN line_notify.messages.state IS 'where the message stands, as a text; view states explains each';
COMMENT ON COLUMN line_notify.messages.http_status IS 'status of LINE''s last answer';
COMMENT ON COLUMN line_notify.messages.error IS 'why it waits, is invalid, or failed; no personal data';
COMMENT ON COLUMN line_notify.messages.created_at IS 'when it was queued';
COMMENT ON COLUMN line_notify.messages.sent_at IS 'when its last attempt began';
COMMENT ON COLUMN line_notify.messages.ended_at IS 'when it left the queue; NULL while it waits';

CREATE FUNCTION line_notify._messages_insert() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'line_notify_messages_insert';
REVOKE ALL ON FUNCTION line_notify._messages_insert() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._messages_insert() IS 'trigger: puts a row of view messages into the outbox, returns what became of it';

CREATE TRIGGER queue INSTEAD OF INSERT ON line_notify.messages
	FOR EACH ROW EXECUTE FUNCTION line_notify._messages_insert();

CREATE FUNCTION line_notify._may_change(channel text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	viewer record := line_notify._viewer();
BEGIN
	IF NOT viewer.acts AND (channel = ANY (viewer.channels)) IS NOT TRUE THEN
		RAISE EXCEPTION USING
			ERRCODE = 'insufficient_privilege',
			MESSAGE = format('permission denied to change messages of channel "%s"', line_notify._shown(channel)),
			DETAIL = 'To see them is not enough.',
			HINT = 'line_notify.grant_sender() lets a role send through a channel, grant_operator() work on all.';
	END IF;
END
$$;
REVOKE ALL ON FUNCTION line_notify._may_change(text) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._may_change(text) IS 'raises 42501 when the caller may not change messages of the channel';

-- Libraries write back every column of an object that they read a while ago.
-- What they did not change is let pass, compared with what the tables have:
-- NULL, an empty text, false and JSON's null are the same where nothing is.
CREATE FUNCTION line_notify._messages_update() RETURNS trigger
LANGUAGE line_notify_plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	held record;
	plain text;
	changed text;
	r record;
	earlier CONSTANT text[] := '{queued,sending,""}';
	-- content that the tables do not have is not theirs to forget yet
	waits CONSTANT boolean := OLD.state IN ('queued', 'sending');
BEGIN
	PERFORM line_notify._may_change(OLD.channel);
	SELECT x.* INTO held FROM (
		SELECT o.recipient, o.body, o.messages, o.region, c.region AS channel_region
		FROM line_notify.outbox o LEFT JOIN line_notify.channel c ON c.name = o.channel WHERE o.id = OLD.id
		UNION ALL
		SELECT h.recipient, h.body, h.messages, NULL, c.region
		FROM line_notify.history h LEFT JOIN line_notify.channel c ON c.name = h.channel WHERE h.id = OLD.id
		UNION ALL
		SELECT m.recipient, m.body, m.messages, m.region, c.region
		FROM line_notify.set_aside s, LATERAL jsonb_to_record(s.message) AS m(channel text, recipient text, body jsonb, messages jsonb, region text)
			 LEFT JOIN line_notify.channel c ON c.name = m.channel
		WHERE s.id = OLD.id) x;
	-- those with words of their own are below
	plain := (SELECT x.name FROM (VALUES @{kept|erased ('%', coalesce(NEW.%::text, '') <> coalesce(OLD.%::text, ''))}) x(name, differs)
			  WHERE x.differs AND x.name NOT IN ('use_case', 'notification_disabled', 'aggregation_unit', 'policy', 'traceparent',
				'body', 'messages', 'recipient') LIMIT 1);
	changed := CASE
		WHEN NEW.id IS DISTINCT FROM OLD.id THEN 'id'
		WHEN NEW.channel <> '' AND NEW.channel <> OLD.channel THEN 'channel'
		WHEN coalesce(NEW.use_case, '') <> coalesce(OLD.use_case, '')
			AND line_notify.to_use_case(NEW.use_case)::text IS DISTINCT FROM OLD.use_case THEN 'use_case'
		WHEN plain IS NOT NULL THEN plain
		WHEN coalesce(NEW.notification_disabled, false) <> coalesce(OLD.notification_disabled, false) THEN 'notification_disabled'
		WHEN NEW.aggregation_unit IS DISTINCT FROM OLD.aggregation_unit AND NEW.aggregation_unit <> '' THEN 'aggregation_unit'
		WHEN nullif(NEW.policy, 'null') IS DISTINCT FROM OLD.policy THEN 'policy'
		WHEN NEW.traceparent IS DISTINCT FROM OLD.traceparent
			-- what is none, or malformed, was not kept
			AND (OLD.traceparent IS NOT NULL OR NEW.traceparent ~ '^[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-|$)') THEN 'traceparent'
		-- content is not read back, so an object has what it was made with.  What
		-- the tables have forgotten (erased, past payload_retention) passes.
		WHEN NEW.body <> 'null' AND (NEW.body <> held.body OR held.body IS NULL AND waits) THEN 'body'
		WHEN NEW.messages <> 'null' AND (NEW.messages <> held.messages OR held.messages IS NULL AND waits) THEN 'messages'
		WHEN NEW.recipient <> '' AND NEW.recipient <> held.recipient THEN 'recipient'
		WHEN NEW.phone <> '' AND held.recipient IS NOT NULL
			AND line_notify.phone_hash(NEW.phone, coalesce(nullif(NEW.region, ''), held.region, held.channel_region)) IS DISTINCT FROM held.recipient THEN 'phone'
		WHEN NEW.state IS DISTINCT FROM OLD.state AND NOT coalesce(NEW.state = ANY (earlier), true) THEN 'state'
		END;
	IF changed IN ('phone', 'recipient', 'body', 'messages') THEN
		-- a guess that is wrong is a search
		PERFORM line_notify._log_search('messages', format('another %s in an UPDATE', changed));
	END IF;
	IF changed IS NOT NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'feature_not_supported',
			MESSAGE = format('column "%s" of a message cannot be changed', changed),
			DETAIL = format('Message %s is %s.', OLD.id, OLD.state),
			HINT = CASE changed WHEN 'state' THEN 'DELETE cancels a message that waits; line_notify.redrive() sends again.'
					ELSE 'send_after, spread, expires_at and priority can be, while it waits. Otherwise DELETE it (which cancels it) and insert another.' END;
	END IF;

	IF NEW.priority IS NULL THEN
		NEW.priority := OLD.priority;
	END IF;
	-- times of JavaScript have milliseconds, some of PHP and Java seconds
	IF NEW.expires_at IS NULL OR NEW.expires_at IN (date_trunc('milliseconds', OLD.expires_at), date_trunc('second', OLD.expires_at)) THEN
		NEW.expires_at := OLD.expires_at;
	END IF;
	IF NEW.send_after IN (date_trunc('milliseconds', OLD.send_after), date_trunc('second', OLD.send_after)) THEN
		NEW.send_after := OLD.send_after;
	END IF;
	IF NEW.priority NOT BETWEEN @{LN_MIN_PRIORITY} AND @{LN_MAX_PRIORITY} THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'priority is out of range',
			DETAIL = 'The range is @{LN_MIN_PRIORITY} to @{LN_MAX_PRIORITY}; larger is sooner.';
	END IF;
	IF (NEW.send_after, NEW.spread, NEW.expires_at, NEW.priority) IS NOT DISTINCT FROM (OLD.send_after, OLD.spread, OLD.expires_at, OLD.priority) THEN
		RETURN OLD;
	END IF;
	-- history keeps no send_after: that of an object from before is written back
	IF OLD.ended_at IS NOT NULL AND (NEW.expires_at, NEW.priority) IS NOT DISTINCT FROM (OLD.expires_at, OLD.priority)
	   AND coalesce(NEW.send_after <= OLD.ended_at, true) THEN
		RETURN OLD;
	END IF;
	IF OLD.state <> 'queued' THEN
		RAISE EXCEPTION USING
			ERRCODE = CASE OLD.state WHEN 'sending' THEN 'object_in_use' ELSE 'object_not_in_prerequisite_state' END,
			MESSAGE = format('message %s cannot be rescheduled: it is %s', OLD.id, OLD.state),
			HINT = CASE OLD.state WHEN 'sending' THEN 'It is being sent right now.' ELSE 'It does not wait any more.' END;
	END IF;
	IF (NEW.send_after, NEW.spread, NEW.expires_at) IS DISTINCT FROM (OLD.send_after, OLD.spread, OLD.expires_at) THEN
		r := line_notify.reschedule(ids => ARRAY[OLD.id],
			send_after => CASE WHEN NEW.send_after IS DISTINCT FROM OLD.send_after THEN coalesce(NEW.send_after, clock_timestamp()) END,
			spread => CASE WHEN NEW.spread IS DISTINCT FROM OLD.spread THEN coalesce(NEW.spread, '0') END,
			expires_at => CASE WHEN NEW.expires_at <> OLD.expires_at THEN NEW.expires_at END);
		IF r.too_late > 0 THEN
			RAISE EXCEPTION USING
				ERRCODE = 'invalid_parameter_value',
				MESSAGE = format('message %s would expire before it is due', OLD.id),
				DETAIL = format('It expires at %s.', NEW.expires_at),
				HINT = 'Set expires_at, too.';
		ELSIF r.rescheduled = 0 THEN
			RAISE EXCEPTION USING
				ERRCODE = 'object_in_use',
				MESSAGE = format('message %s cannot be rescheduled: it is being sent', OLD.id);
		END IF;
	END IF;
	IF NEW.priority <> OLD.priority THEN
		PERFORM line_notify._assert_read_committed();
		UPDATE line_notify.outbox o SET priority = NEW.priority
		WHERE o.id = OLD.id AND o.state = 'queued'
		  AND NOT EXISTS (SELECT FROM line_notify.in_flight f WHERE f.id = o.id);
		IF NOT FOUND THEN
			RAISE EXCEPTION USING
				ERRCODE = 'object_in_use',
				MESSAGE = format('message %s cannot be rescheduled: it is being sent', OLD.id);
		END IF;
		PERFORM line_notify._rescan();
	END IF;
	OLD.priority := NEW.priority;
	OLD.send_after := NEW.send_after;
	OLD.spread := NEW.spread;
	OLD.expires_at := NEW.expires_at;
	IF OLD.send_after IS NULL THEN
		OLD.send_after := (SELECT o.send_after FROM line_notify.outbox o WHERE o.id = OLD.id);
	END IF;
	RETURN OLD;
END
$$;
REVOKE ALL ON FUNCTION line_notify._messages_update() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._messages_update() IS 'trigger: UPDATE of view messages reschedules a message that waits';

CREATE TRIGGER reschedule INSTEAD OF UPDATE ON line_notify.messages
	FOR EACH ROW EXECUTE FUNCTION line_notify._messages_update();

CREATE FUNCTION line_notify._messages_delete() RETURNS trigger
LANGUAGE line_notify_plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	r record;
BEGIN
	PERFORM line_notify._may_change(OLD.channel);
	IF OLD.state = 'queued' THEN
		r := line_notify.cancel(ids => ARRAY[OLD.id], reason => 'DELETE FROM messages');
		IF r.cancelled + r.unknown > 0 THEN
			RETURN OLD;
		END IF;
	END IF;
	-- more than once is no fault: libraries repeat themselves
	IF OLD.state = 'cancelled' THEN
		RETURN OLD;
	END IF;
	RAISE EXCEPTION USING
		ERRCODE = CASE WHEN OLD.state IN ('queued', 'sending') THEN 'object_in_use' ELSE 'object_not_in_prerequisite_state' END,
		MESSAGE = CASE WHEN OLD.state IN ('queued', 'sending') THEN format('message %s cannot be cancelled: it is being sent', OLD.id)
				  ELSE format('message %s cannot be cancelled: it is %s', OLD.id, OLD.state) END,
		HINT = 'DELETE cancels a message that waits. Finished messages go by themselves, after line_notify.retention.';
END
$$;
REVOKE ALL ON FUNCTION line_notify._messages_delete() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._messages_delete() IS 'trigger: DELETE from view messages cancels a message that waits';

CREATE TRIGGER cancel INSTEAD OF DELETE ON line_notify.messages
	FOR EACH ROW EXECUTE FUNCTION line_notify._messages_delete();

-- A parameter that arrives as text, as those of many drivers do, is taken as
-- to_use_case() takes it, in the outbox, too.
CREATE CAST (text AS line_notify.use_case) WITH FUNCTION line_notify.to_use_case(text) AS ASSIGNMENT;
COMMENT ON CAST (text AS line_notify.use_case) IS 'as to_use_case(): key, number or Japanese name';
CREATE CAST (varchar AS line_notify.use_case) WITH FUNCTION line_notify.to_use_case(text) AS ASSIGNMENT;
COMMENT ON CAST (varchar AS line_notify.use_case) IS 'as to_use_case(): key, number or Japanese name';
