
--
-- Webhook
--

CREATE SEQUENCE line_notify.webhook_event_seq_seq;
CREATE TABLE line_notify.webhook_event (
	seq				bigint DEFAULT line_notify._next_number('line_notify.webhook_event_seq_seq') PRIMARY KEY,
	channel			text COLLATE "C" NOT NULL,
	event_id		text NOT NULL UNIQUE,
	type			text NOT NULL,
	message_id		bigint,
	attempt			integer,
	token			bigint,
	recipient		text,
	event_at		timestamptz NOT NULL,
	received_at		timestamptz NOT NULL DEFAULT clock_timestamp(),
	why				text
) WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 10000);
ALTER TABLE line_notify.webhook_event ALTER recipient SET STATISTICS 0;
COMMENT ON TABLE line_notify.webhook_event IS 'Delivery events from LINE that the worker has not folded into history yet';
COMMENT ON COLUMN line_notify.webhook_event.event_id IS 'LINE''s webhookEventId, the same on redelivery';
COMMENT ON COLUMN line_notify.webhook_event.why IS 'SQLSTATE with which the tables refused what it says of its message; it is tried again';

CREATE TABLE line_notify.seen_event (
	event_id		text COLLATE "C" PRIMARY KEY,
	seen_at			timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 10000);
CREATE INDEX seen_event_at ON line_notify.seen_event (seen_at);
COMMENT ON TABLE line_notify.seen_event IS 'Ids of follow and unfollow events that were counted, for eight days, so that one that LINE delivers again is not counted again; they name nobody';

CREATE FUNCTION line_notify.receive_webhook(channel text, body bytea, signature text) RETURNS integer
LANGUAGE c VOLATILE CALLED ON NULL INPUT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'line_notify_receive_webhook';
REVOKE ALL ON FUNCTION line_notify.receive_webhook(text, bytea, text) FROM PUBLIC;
COMMENT ON FUNCTION line_notify.receive_webhook(text, bytea, text) IS 'Check the signature of a webhook call of LINE over its raw body and keep its events; returns how many were new';

-- a string, as most drivers pass one, is no bytea: that would read its backslashes
CREATE FUNCTION line_notify.receive_webhook(channel text, body text, signature text) RETURNS integer
LANGUAGE c VOLATILE CALLED ON NULL INPUT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'line_notify_receive_webhook_text';
REVOKE ALL ON FUNCTION line_notify.receive_webhook(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION line_notify.receive_webhook(text, text, text) IS 'The same for a raw body that comes as a text, in databases whose encoding is UTF8; elsewhere it says to pass bytes';

CREATE FUNCTION line_notify.receive_verified_events(channel text, body jsonb) RETURNS integer
LANGUAGE c VOLATILE CALLED ON NULL INPUT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'line_notify_receive_verified_events';
REVOKE ALL ON FUNCTION line_notify.receive_verified_events(text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION line_notify.receive_verified_events(text, jsonb) IS 'The same for a gateway that has verified the signature itself: whoever may call this decides what was delivered';

CREATE FUNCTION line_notify.grant_webhook(role regrole, verified boolean DEFAULT false) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	EXECUTE format('GRANT EXECUTE ON FUNCTION line_notify.receive_webhook(text, bytea, text), line_notify.receive_webhook(text, text, text) TO %s', role);
	IF verified THEN
		EXECUTE format('GRANT EXECUTE ON FUNCTION line_notify.receive_verified_events(text, jsonb) TO %s', role);
	END IF;
END
$$;
REVOKE ALL ON FUNCTION line_notify.grant_webhook(regrole, boolean) FROM PUBLIC;
COMMENT ON FUNCTION line_notify.grant_webhook(regrole, boolean) IS 'Let a role hand in webhook calls of LINE, and nothing else; verified: also events without a signature';

CREATE FUNCTION line_notify.revoke_webhook(role regrole) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	EXECUTE format('REVOKE EXECUTE ON FUNCTION line_notify.receive_webhook(text, bytea, text), line_notify.receive_webhook(text, text, text), line_notify.receive_verified_events(text, jsonb) FROM %s', role);
END
$$;
REVOKE ALL ON FUNCTION line_notify.revoke_webhook(regrole) FROM PUBLIC;
COMMENT ON FUNCTION line_notify.revoke_webhook(regrole) IS 'Take back what grant_webhook() gave';
