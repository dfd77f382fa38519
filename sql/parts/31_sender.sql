
--
-- Senders: which role may send through which channel
--

-- DROP ROLE tells nobody, and a number that is free may be given again.
CREATE FUNCTION line_notify._forget_dropped_roles() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	-- no statement without a row: its trigger reloads caches
	IF EXISTS (SELECT FROM line_notify.sender s WHERE NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = s.role)) THEN
		DELETE FROM line_notify.sender s WHERE NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = s.role);
	END IF;
	-- for operators, until they name another: nobody is let in by a DROP ROLE
	UPDATE line_notify.consumer c SET role = (SELECT k.relowner FROM pg_class k WHERE k.oid = 'line_notify.consumer'::regclass)
	WHERE c.role IS NOT NULL AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = c.role);
END
$$;
REVOKE ALL ON FUNCTION line_notify._forget_dropped_roles() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._forget_dropped_roles() IS 'deletes what roles that do not exist any more were granted';

CREATE FUNCTION line_notify.grant_sender(role regrole, channels text[] DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	missing text;
BEGIN
	PERFORM line_notify._forget_dropped_roles();
	SELECT x INTO missing FROM unnest(grant_sender.channels) x
	WHERE NOT EXISTS (SELECT FROM line_notify.channel c WHERE c.name = x) LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_object',
			MESSAGE = format('channel "%s" does not exist', line_notify._shown(missing));
	END IF;
	INSERT INTO line_notify.sender (role, channel)
	SELECT grant_sender.role, x FROM unnest(coalesce(grant_sender.channels, '{*}')) x
	ON CONFLICT DO NOTHING;
	EXECUTE format('GRANT INSERT (id, @{channel.. %}), SELECT (id) ON line_notify.outbox TO %s', grant_sender.role);
	EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON line_notify.messages TO %s', grant_sender.role);
	EXECUTE format('GRANT SELECT ON line_notify.notifications, line_notify.attempts, line_notify.batches TO %s', grant_sender.role);
	EXECUTE format('GRANT EXECUTE ON FUNCTION line_notify.take_outcomes, line_notify.wait_for TO %s', grant_sender.role);
	EXECUTE format('GRANT EXECUTE ON FUNCTION line_notify.enqueue(text, line_notify.use_case, text, jsonb, jsonb, text, jsonb), line_notify._duplicate_of(),'
				   ' line_notify.signed_link(text, text, interval) TO %s', grant_sender.role);
END
$$;
REVOKE ALL ON FUNCTION line_notify.grant_sender(regrole, text[]) FROM PUBLIC;
COMMENT ON FUNCTION line_notify.grant_sender(regrole, text[]) IS 'Let a role insert messages for the named channels (default: all) and see its own';

CREATE FUNCTION line_notify.revoke_sender(role regrole, channels text[] DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM line_notify._forget_dropped_roles();
	IF NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = revoke_sender.role) THEN
		RETURN;
	END IF;
	DELETE FROM line_notify.sender s
	WHERE s.role = revoke_sender.role
	  AND (revoke_sender.channels IS NULL OR s.channel = ANY (revoke_sender.channels));
	IF NOT EXISTS (SELECT FROM line_notify.sender s WHERE s.role = revoke_sender.role) THEN
		EXECUTE format('REVOKE ALL ON line_notify.outbox, line_notify.messages, line_notify.notifications, line_notify.attempts, line_notify.batches FROM %s', revoke_sender.role);
		EXECUTE format('REVOKE ALL ON FUNCTION line_notify.take_outcomes, line_notify.wait_for FROM %s', revoke_sender.role);
		-- what another role of ours gives too must stay
		IF line_notify._has_grant(revoke_sender.role, 'cancel') THEN
			PERFORM line_notify._grant_role_functions('operator', revoke_sender.role, true);
		ELSIF line_notify._has_grant(revoke_sender.role, 'find_notifications') THEN
			PERFORM line_notify._grant_role_functions('support', revoke_sender.role, true);
		END IF;
		EXECUTE format('REVOKE INSERT (id, @{channel.. %}), SELECT (id) ON line_notify.outbox FROM %s', revoke_sender.role);
		EXECUTE format('REVOKE ALL ON FUNCTION line_notify.enqueue(text, line_notify.use_case, text, jsonb, jsonb, text, jsonb), line_notify._duplicate_of(),'
					   ' line_notify.signed_link(text, text, interval) FROM %s', revoke_sender.role);
	END IF;
END
$$;
REVOKE ALL ON FUNCTION line_notify.revoke_sender(regrole, text[]) FROM PUBLIC;
COMMENT ON FUNCTION line_notify.revoke_sender(regrole, text[]) IS 'Take back what grant_sender() gave';
