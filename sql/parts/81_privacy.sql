
--
-- Privacy
--

CREATE TABLE line_notify.suppression (
	recipient		text COLLATE "C" PRIMARY KEY CHECK (recipient ~ '^[0-9a-f]{64}$'),
	reason			text,
	since			timestamptz NOT NULL DEFAULT clock_timestamp(),
	set_by			name NOT NULL DEFAULT session_user
);
ALTER TABLE line_notify.suppression ALTER recipient SET STATISTICS 0, ALTER reason SET STATISTICS 0;
COMMENT ON TABLE line_notify.suppression IS 'People who objected to being sent notices; see suppress_recipient()';
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON line_notify.suppression
	FOR EACH STATEMENT EXECUTE FUNCTION line_notify._configuration_changed();

CREATE FUNCTION line_notify._recipient(phone text, region text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF phone ~ '^[0-9a-f]{64}$' THEN
		RETURN phone;
	END IF;
	IF phone IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'null_value_not_allowed',
			MESSAGE = 'phone must not be null';
	END IF;
	-- raises for what is no number, and keeps the statement out of the log
	PERFORM line_notify.assert_phone(phone, region);
	RETURN line_notify.phone_hash(phone, region);
END
$$;
REVOKE ALL ON FUNCTION line_notify._recipient(text, text) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._recipient(text, text) IS 'hash of a telephone number, or the hash as it is; never NULL';

CREATE FUNCTION line_notify.suppress_recipient(phone text, reason text DEFAULT NULL, region text DEFAULT NULL) RETURNS bigint
LANGUAGE line_notify_plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	hash text := line_notify._recipient(phone, region);
	ids bigint[];
	n bigint;
BEGIN
	PERFORM line_notify._log_search('suppress_recipient', CASE WHEN phone = hash THEN 'a recipient hash' ELSE 'a telephone number' END);
	PERFORM line_notify._assert_read_committed();
	INSERT INTO line_notify.suppression (recipient, reason) VALUES (hash, suppress_recipient.reason)
	ON CONFLICT (recipient) DO UPDATE SET reason = coalesce(excluded.reason, suppression.reason);
	-- what others insert meanwhile is caught when it is claimed
	ids := ARRAY(SELECT o.id FROM line_notify.outbox o
				 WHERE o.recipient = hash AND NOT EXISTS (SELECT FROM line_notify.in_flight f WHERE f.id = o.id));
	SELECT e.ended + e.unknown INTO n FROM line_notify._end_waiting(ids, 'suppressed', 'the recipient objected') e;
	UPDATE line_notify.history h SET recipient = NULL WHERE h.id = ANY (ids) AND h.state = 'suppressed';
	PERFORM line_notify._log_operation('suppress_recipient', '{}', false, n);
	RETURN n;
END
$$;
REVOKE ALL ON FUNCTION line_notify.suppress_recipient(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION line_notify.suppress_recipient(text, text, text) IS 'Send nothing more to a person (telephone number, or hash): new messages become suppressed, waiting ones end; returns how many of these';

CREATE FUNCTION line_notify.unsuppress_recipient(phone text, region text DEFAULT NULL) RETURNS boolean
LANGUAGE line_notify_plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	hash text := line_notify._recipient(phone, region);
	found_one boolean;
BEGIN
	PERFORM line_notify._log_search('unsuppress_recipient', CASE WHEN phone = hash THEN 'a recipient hash' ELSE 'a telephone number' END);
	DELETE FROM line_notify.suppression s WHERE s.recipient = hash;
	found_one := FOUND;
	PERFORM line_notify._log_operation('unsuppress_recipient', '{}', false, found_one::integer);
	RETURN found_one;
END
$$;
REVOKE ALL ON FUNCTION line_notify.unsuppress_recipient(text, text) FROM PUBLIC;
COMMENT ON FUNCTION line_notify.unsuppress_recipient(text, text) IS 'The person objects no longer; returns whether they did';

-- Counts stay: rows lose what points to the person, and keep state and times.
CREATE FUNCTION line_notify.forget_recipient(phone text, region text DEFAULT NULL) RETURNS bigint
LANGUAGE line_notify_plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	hash text := line_notify._recipient(phone, region);
	waiting bigint[];
	ids bigint[];
	refs text[];
	keys text[];
	order_keys text[];
	parked bigint[];
	give_up timestamptz := clock_timestamp() + interval '2 minutes';
	said CONSTANT text := '^([^:]*).*(\(message \d+).*$';
	said_of CONSTANT text := '\(message (\d{1,18})';
BEGIN
	PERFORM line_notify._log_search('forget_recipient', CASE WHEN phone = hash THEN 'a recipient hash' ELSE 'a telephone number' END);
	PERFORM line_notify._assert_read_committed();
	-- What is being sent is the worker's until LINE answers: wait for that,
	-- holding no lock.  Each statement here sees what was recorded meanwhile.
	WHILE clock_timestamp() < give_up AND
		EXISTS (SELECT FROM line_notify.outbox o JOIN line_notify.in_flight f ON f.id = o.id WHERE o.recipient = hash)
	LOOP
		PERFORM pg_sleep(0.1);
	END LOOP;
	waiting := ARRAY(SELECT o.id FROM line_notify.outbox o
					 WHERE o.recipient = hash AND NOT EXISTS (SELECT FROM line_notify.in_flight f WHERE f.id = o.id));
	PERFORM line_notify._end_waiting(waiting, 'cancelled', 'erased');
	IF EXISTS (SELECT FROM line_notify.outbox o WHERE o.recipient = hash AND o.state = 'queued') THEN
		RAISE EXCEPTION USING
			ERRCODE = 'object_in_use',
			MESSAGE = 'a message to this recipient is being sent',
			HINT = 'Try again when the worker has recorded it.';
	END IF;

	-- what the worker has not moved to history yet, or never will from here
	WITH w AS (
		SELECT o.id, o.reference, o.dedup_key, o.order_key FROM line_notify.outbox o
		WHERE o.recipient = hash AND o.state <> 'queued' FOR UPDATE),
	gone AS (
		UPDATE line_notify.outbox o
		SET @{erased % = NULL}, error = NULL
		FROM w WHERE o.id = w.id),
	-- answered and not recorded yet: what would go back to the queue ends
	a AS (
		SELECT s.ctid AS place, s.id, m.reference, m.dedup_key, m.order_key
		FROM line_notify.set_aside s, LATERAL jsonb_to_record(s.message) AS m(recipient text, reference text, dedup_key text, order_key text)
		WHERE m.recipient = hash FOR UPDATE OF s),
	stripped AS (
		UPDATE line_notify.set_aside s
		SET message = s.message - ARRAY[@{erased '%'}, 'error'], error = NULL, request_id = NULL,
			state = coalesce(s.state, CASE WHEN s.ambiguous OR (s.message ->> 'maybe_sent')::boolean THEN 'unknown' ELSE 'cancelled' END)
		FROM a WHERE s.ctid = a.place),
	found AS (
		SELECT w.id, w.reference, w.dedup_key, w.order_key FROM w
		UNION ALL
		SELECT a.id, a.reference, a.dedup_key, a.order_key FROM a),
	freed AS (
		DELETE FROM line_notify.dedup d USING found b WHERE d.id = b.id AND d.dedup_key = b.dedup_key)
	SELECT coalesce(array_agg(b.id), '{}'), array_agg(DISTINCT b.reference) FILTER (WHERE b.reference IS NOT NULL),
		   array_agg(DISTINCT b.dedup_key) FILTER (WHERE b.dedup_key IS NOT NULL),
		   array_agg(DISTINCT b.order_key) FILTER (WHERE b.order_key IS NOT NULL)
	INTO parked, refs, keys, order_keys
	FROM found b;
	SELECT coalesce(array_agg(h.id), '{}'), refs || array_agg(DISTINCT h.reference) FILTER (WHERE h.reference IS NOT NULL),
		   keys || array_agg(DISTINCT h.dedup_key) FILTER (WHERE h.dedup_key IS NOT NULL),
		   order_keys || array_agg(DISTINCT h.order_key) FILTER (WHERE h.order_key IS NOT NULL)
	INTO ids, refs, keys, order_keys
	FROM line_notify.history h WHERE h.recipient = hash;
	DELETE FROM line_notify.webhook_event e WHERE e.recipient = hash;
	DELETE FROM line_notify.dedup d USING line_notify.history h
	WHERE h.id = ANY (ids) AND d.channel = h.channel AND d.dedup_key = h.dedup_key
	  AND d.id = h.id;	-- a key that was free again may be another person's by now
	UPDATE line_notify.attempt_log a SET error = NULL, request_id = NULL WHERE a.id = ANY (ids || parked);
	UPDATE line_notify.operations p SET filter = p.filter - 'reference' - 'dedup_key'
	WHERE p.filter ->> 'reference' = ANY (refs) OR p.filter ->> 'dedup_key' = ANY (keys);
	-- a note without a key unblocks the whole channel, which does no harm
	UPDATE line_notify.unblock r SET order_key = NULL WHERE r.order_key = ANY (order_keys);
	-- nobody is added to a list by that: an empty one allows nobody
	UPDATE line_notify.channel c SET only_recipients = array_remove(c.only_recipients, hash)
	WHERE hash = ANY (c.only_recipients);
	UPDATE line_notify.history h
	SET @{erased % = NULL}, error = NULL, request_id = NULL
	WHERE h.id = ANY (ids);
	-- what LINE said of one of these messages, where it stopped a channel: "... 403: words (message 5, request x)"
	UPDATE line_notify.channel c SET pause_reason = regexp_replace(c.pause_reason, said, '\1 \2)')
	WHERE substring(c.pause_reason from said_of)::bigint = ANY (ids || parked);
	UPDATE line_notify.partial_pause p SET reason = regexp_replace(p.reason, said, '\1 \2)')
	WHERE substring(p.reason from said_of)::bigint = ANY (ids || parked);
	PERFORM line_notify._forget_words();
	PERFORM line_notify._log_operation('forget_recipient', '{}', false, cardinality(ids || parked));
	RETURN cardinality(ids || parked);
END
$$;
REVOKE ALL ON FUNCTION line_notify.forget_recipient(text, text) FROM PUBLIC;
COMMENT ON FUNCTION line_notify.forget_recipient(text, text) IS 'Erase a person (telephone number, or hash) from every table of line_notify: what waits is cancelled, what was sent loses recipient, content, reference and keys; counts stay, and so does an objection. Returns how many messages that concerned. WAL, backups and logs are outside of its reach';

CREATE FUNCTION line_notify.grant_privacy(role regrole) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	EXECUTE format('GRANT EXECUTE ON FUNCTION line_notify.suppress_recipient(text, text, text),'
				   ' line_notify.unsuppress_recipient(text, text), line_notify.forget_recipient(text, text) TO %s', role);
END
$$;
REVOKE ALL ON FUNCTION line_notify.grant_privacy(regrole) FROM PUBLIC;
COMMENT ON FUNCTION line_notify.grant_privacy(regrole) IS 'Let a role note objections and erase people';

CREATE FUNCTION line_notify.revoke_privacy(role regrole) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	EXECUTE format('REVOKE EXECUTE ON FUNCTION line_notify.suppress_recipient(text, text, text),'
				   ' line_notify.unsuppress_recipient(text, text), line_notify.forget_recipient(text, text) FROM %s', role);
END
$$;
REVOKE ALL ON FUNCTION line_notify.revoke_privacy(regrole) FROM PUBLIC;
COMMENT ON FUNCTION line_notify.revoke_privacy(regrole) IS 'Take back what grant_privacy() gave';
