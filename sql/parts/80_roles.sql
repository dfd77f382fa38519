
--
-- Roles.  The privileges themselves are the register of who has
-- which role; PostgreSQL dumps, shows and revokes them.
--

CREATE FUNCTION line_notify._has_grant(role regrole, function_name name) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT EXISTS (SELECT FROM pg_proc p, aclexplode(p.proacl) a
				   WHERE p.proname = function_name AND p.pronamespace = 'line_notify'::regnamespace
					 AND a.grantee = role AND a.privilege_type = 'EXECUTE')
$$;
REVOKE ALL ON FUNCTION line_notify._has_grant(regrole, name) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._has_grant(regrole, name) IS 'was this function granted to this very role';

CREATE FUNCTION line_notify._grant_role_functions(kind text, role regrole, give boolean) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	-- what support staff see; an operator sees it too
	views CONSTANT text := 'line_notify.notifications, line_notify.attempts, line_notify.batches, line_notify.consumers, line_notify.channels,'
						   ' line_notify.approvals, line_notify.designs';
	looks CONSTANT text := 'line_notify.find_notifications, line_notify.wait_for';
	acts CONSTANT text := 'line_notify.cancel, line_notify.reschedule, line_notify.redrive, line_notify.pause, line_notify.resume,'
						   ' line_notify.take_outcomes, line_notify.set_consumer, line_notify.drop_consumer, line_notify.check_channel,'
						   ' line_notify.drain, line_notify._note_drain';
	sees CONSTANT text := 'line_notify.stats, line_notify.workers, line_notify.operations, line_notify.daily_totals, line_notify.reconciliation, line_notify.engagement,'
						' line_notify.backlog, line_notify.webhook_lag';
	shows CONSTANT text := 'line_notify.health, line_notify.reset_stats, line_notify._stats, line_notify._workers,'
						 ' line_notify._backlog, line_notify._webhook_lag';
	does text := CASE WHEN give THEN 'GRANT' ELSE 'REVOKE' END;
	whom text := CASE WHEN give THEN 'TO ' ELSE 'FROM ' END || role::text;
BEGIN
	IF role IS NULL OR role = 0 THEN
		RAISE EXCEPTION USING
			ERRCODE = 'null_value_not_allowed',
			MESSAGE = 'role must not be null';
	END IF;
	EXECUTE format('%s SELECT ON %s %s', does, views, whom);
	EXECUTE format('%s EXECUTE ON FUNCTION %s %s', does, looks, whom);
	IF kind = 'operator' THEN
		EXECUTE format('%s SELECT ON %s %s', does, sees, whom);
		EXECUTE format('%s EXECUTE ON ROUTINE %s, %s %s', does, acts, shows, whom);
	END IF;

	-- what another role of ours gives too must stay
	IF NOT give THEN
		IF kind = 'support' AND line_notify._has_grant(role, 'cancel') THEN
			PERFORM line_notify._grant_role_functions('operator', role, true);
		END IF;
		IF EXISTS (SELECT FROM line_notify.sender s WHERE s.role = _grant_role_functions.role) THEN
			PERFORM line_notify.grant_sender(role, '{}');
		END IF;
	END IF;
END
$$;
REVOKE ALL ON FUNCTION line_notify._grant_role_functions(text, regrole, boolean) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._grant_role_functions(text, regrole, boolean) IS 'grants or revokes what belongs to a role of ours';

CREATE FUNCTION line_notify.grant_support(role regrole) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT line_notify._grant_role_functions('support', role, true) $$;
REVOKE ALL ON FUNCTION line_notify.grant_support FROM PUBLIC;
COMMENT ON FUNCTION line_notify.grant_support IS 'Let a role see every message without payload and recipient, and search by number';
CREATE FUNCTION line_notify.revoke_support(role regrole) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT line_notify._grant_role_functions('support', role, false) $$;
REVOKE ALL ON FUNCTION line_notify.revoke_support FROM PUBLIC;
COMMENT ON FUNCTION line_notify.revoke_support IS 'Take back what grant_support() gave';

CREATE FUNCTION line_notify.grant_operator(role regrole) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT line_notify._grant_role_functions('operator', role, true) $$;
REVOKE ALL ON FUNCTION line_notify.grant_operator FROM PUBLIC;
COMMENT ON FUNCTION line_notify.grant_operator IS 'Let a role run the operator functions (cancel, reschedule, redrive, pause, resume), take outcomes, see everything that support and monitoring see';
CREATE FUNCTION line_notify.revoke_operator(role regrole) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT line_notify._grant_role_functions('operator', role, false) $$;
REVOKE ALL ON FUNCTION line_notify.revoke_operator FROM PUBLIC;
COMMENT ON FUNCTION line_notify.revoke_operator IS 'Take back what grant_operator() gave';
