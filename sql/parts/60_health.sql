
--
-- Health and workers
--

CREATE FUNCTION line_notify._workers(OUT database oid, OUT state text, OUT pid integer, OUT generation bigint,
	OUT started_at timestamptz, OUT restarts integer, OUT next_due timestamptz, OUT in_flight integer, OUT last_error text)
RETURNS SETOF record
LANGUAGE c VOLATILE ROWS 10 AS 'MODULE_PATHNAME', 'line_notify_workers';
REVOKE ALL ON FUNCTION line_notify._workers() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._workers() IS 'rows of view workers, from shared memory';

CREATE VIEW line_notify.workers AS
SELECT d.datname AS database, w.state, w.pid, w.generation, w.started_at, w.restarts, w.next_due, w.in_flight, w.last_error
FROM line_notify._workers() w LEFT JOIN pg_catalog.pg_database d ON d.oid = w.database;
COMMENT ON VIEW line_notify.workers IS 'The launcher (no database) and the delivery worker of each database of this cluster';
GRANT EXECUTE ON FUNCTION line_notify._workers() TO pg_monitor;
GRANT SELECT ON line_notify.workers TO pg_monitor;

CREATE FUNCTION line_notify._secret_fault(value text) RETURNS text
LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'line_notify_secret_fault';
REVOKE ALL ON FUNCTION line_notify._secret_fault(text) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._secret_fault(text) IS 'why the file of a credential cannot be read on this server, or NULL';

-- What to look at when requests get no answer, or a bad one.
CREATE FUNCTION line_notify._outage_hint(kind text, words text, api_base text, proxy text, total_timeout interval) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE
		WHEN kind = 'not_sent' AND words ~* 'resolv' THEN
			format('The name in %s cannot be resolved on this server: see its name service.', coalesce(proxy, api_base))
		WHEN kind = 'not_sent' AND words ~* 'certificate|ssl|tls' THEN
			'The certificate of the other side is not accepted: see ca_file, the system''s certificates, and the clock of this server.'
		WHEN kind = 'not_sent' AND proxy IS NOT NULL THEN
			format('Is the proxy %s up, and does it let this server through?', proxy)
		WHEN kind = 'not_sent' THEN
			format('Nothing was sent: can this server reach %s, and do firewalls let it?', api_base)
		WHEN kind = 'ambiguous' THEN
			format('Requests went out, and no complete answer came (total_timeout is %s): such messages end as unknown, or are sent again, as on_unknown says.', total_timeout)
		WHEN kind = 'server_error' THEN
			'The fault is on LINE''s side: see its status page. Such messages end as unknown, or are sent again, as on_server_error says.'
		ELSE 'It goes on by itself.' END
$$;
REVOKE ALL ON FUNCTION line_notify._outage_hint(text, text, text, text, interval) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._outage_hint(text, text, text, text, interval) IS 'what to look at after an outcome of this kind';

CREATE FUNCTION line_notify.health(OUT severity text, OUT subject text, OUT reason text, OUT hint text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	c record;
	x record;
	here bigint := line_notify._local_home();
	standby boolean := pg_is_in_recovery();
	n bigint;
	due bigint;
	since timestamptz;
	moving boolean;
	success timestamptz;
	still text;				-- severity of what delays: error when nothing leaves although something is due
BEGIN
	-- ---- the server
	subject := 'server';
	severity := 'error';
	CASE line_notify._preload_state()
		WHEN 'not preloaded' THEN
			reason := 'line_notify is not in shared_preload_libraries: nothing is sent';
			hint := 'Add line_notify to shared_preload_libraries in postgresql.conf and restart the server; or CALL line_notify.drain() now and then.';
			RETURN NEXT;
		WHEN 'disabled' THEN
			reason := 'sending is switched off by line_notify.enabled';
			hint := 'Set line_notify.enabled = on and reload the configuration.';
			RETURN NEXT;
		WHEN 'no launcher' THEN
			IF NOT standby THEN
				reason := 'the launcher is not running';
				hint := 'It restarts by itself within seconds; see the server log, and max_worker_processes.';
				RETURN NEXT;
			END IF;
		ELSE NULL;
	END CASE;
	IF standby THEN
		severity := 'info';
		reason := 'this server is a standby: it sends nothing until it is promoted';
		hint := NULL;
		RETURN NEXT;
	END IF;
	IF current_setting('max_worker_processes')::integer < 2 THEN
		severity := 'error';
		reason := 'max_worker_processes leaves no room for the launcher and a worker';
		hint := 'Increase max_worker_processes and restart the server.';
		RETURN NEXT;
	END IF;
	FOR x IN
		SELECT coalesce('role ' || r.rolname, 'every role') ||
			   coalesce(' in database ' || d.datname, '') AS whose
		FROM pg_db_role_setting s
		LEFT JOIN pg_roles r ON r.oid = s.setrole
		LEFT JOIN pg_database d ON d.oid = s.setdatabase
		WHERE (s.setdatabase = 0 OR d.datname = current_database())
		  AND EXISTS (SELECT FROM unnest(s.setconfig) u
					  WHERE u ~* '^line_notify\.enqueue=(off|false|no|0|f|n)$')
	LOOP
		severity := 'warning';
		reason := format('line_notify.enqueue is off for %s: what it inserts is not queued', x.whose);
		hint := 'ALTER ROLE or ALTER DATABASE ... RESET line_notify.enqueue ends that.';
		RETURN NEXT;
	END LOOP;

	-- ---- the worker of this database
	FOR x IN SELECT * FROM line_notify._workers() w
			 WHERE w.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
			   AND (w.state NOT IN ('running', 'idle') OR w.last_error <> '')
	LOOP
		severity := CASE WHEN x.state IN ('no slot', 'version') THEN 'error' ELSE 'warning' END;
		subject := 'worker';
		reason := CASE x.state
			WHEN 'no slot' THEN 'no free background worker slot'
			WHEN 'backoff' THEN 'the worker stopped with an error and is started again after a pause'
			WHEN 'held' THEN 'the worker stepped aside for a command on this database'
			WHEN 'version' THEN 'library and extension versions do not match'
			WHEN 'running' THEN 'the worker runs, and something failed'
			ELSE 'the worker is ' || x.state END || coalesce(': ' || nullif(x.last_error, ''), '');
		hint := CASE x.state
			WHEN 'no slot' THEN 'You may need to increase "max_worker_processes".'
			WHEN 'version' THEN format('Run ALTER EXTENSION line_notify UPDATE in database "%s", or restart the server after an upgrade of the package.', current_database())
			WHEN 'held' THEN 'It comes back when the command is done.'
			ELSE 'It tries again by itself; the server log has the error.'
			END;
		RETURN NEXT;
	END LOOP;
	IF NOT standby AND line_notify._preload_state() = 'ok'
		AND NOT EXISTS (SELECT FROM line_notify._workers() k WHERE k.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()))
		AND (SELECT count(*) FROM line_notify._workers() k WHERE k.database IS NOT NULL) >= current_setting('line_notify.max_databases')::integer
	THEN
		subject := 'worker';
		severity := 'error';
		reason := 'there is no place for this database: nothing is sent from it';
		hint := 'Increase line_notify.max_databases and restart the server.';
		RETURN NEXT;
	END IF;
	IF NOT standby THEN
		subject := 'worker';
		severity := 'warning';
		SELECT count(*) INTO n FROM line_notify.in_flight f
		WHERE f.claimed_at < clock_timestamp() - interval '15 minutes';
		IF n > 0 THEN
			reason := format('%s messages were claimed more than 15 minutes ago and their outcome is not recorded', n);
			hint := 'They are recovered when a worker of the place that claimed them runs; see view workers.';
			RETURN NEXT;
		END IF;
		SELECT min(e.received_at) INTO since FROM line_notify.webhook_event e;
		IF since < clock_timestamp() - interval '5 minutes' THEN
			reason := format('delivery events wait since %s', date_trunc('second', since));
			hint := 'The worker of this database folds them into the messages; see view workers.';
			RETURN NEXT;
		END IF;
		SELECT a.pid, a.xact_start INTO x FROM pg_stat_activity a
		WHERE a.datname = current_database() AND a.backend_type = 'client backend' AND a.backend_xid IS NOT NULL
		  AND a.xact_start < clock_timestamp() - interval '1 hour'
		ORDER BY a.xact_start LIMIT 1;
		IF FOUND THEN
			severity := 'info';
			reason := format('process %s has a transaction open since %s: what it queued waits for its COMMIT, and claims become slower', x.pid, date_trunc('second', x.xact_start));
			hint := 'See pg_stat_activity.';
			RETURN NEXT;
		END IF;
	END IF;

	-- what holds the worker up as a whole
	FOR x IN
		SELECT DISTINCT w.reason, w.severity, w.meaning_en, w.what_ends_it
		FROM line_notify._endpoint_verdict(NULL, NULL, false, false, false, false, true, NULL, NULL, NULL) v
		JOIN line_notify._waiting_reasons() w ON w.no = v.no
		WHERE w.severity IS NOT NULL AND NOT standby
	LOOP
		severity := x.severity;
		subject := 'worker';
		reason := format('%s: %s', x.reason, x.meaning_en);
		hint := format('What ends it: %s.', x.what_ends_it);
		RETURN NEXT;
	END LOOP;

	FOR x IN SELECT i.in_doubt_before, i.in_doubt_until FROM line_notify.identity i WHERE i.home = here AND i.in_doubt_before IS NOT NULL
	LOOP
		severity := 'warning';
		subject := 'promotion';
		reason := format('messages due before %s may have been sent by the former primary: they wait until %s for delivery events', x.in_doubt_before, x.in_doubt_until);
		hint := 'Then line_notify.on_promotion decides: hold ends them as unknown, send sends them. With a synchronous standby there is no doubt.';
		RETURN NEXT;
	END LOOP;

	FOR x IN SELECT i.handover_at, i.handover_to FROM line_notify.identity i WHERE i.home = here AND i.handover IS NOT NULL AND NOT standby
	LOOP
		severity := 'warning';
		subject := 'promotion';
		reason := format('nothing is sent until %s have on disk what changed here (a hand-over is taken back, the server is armed, or claims stopped to wait for a standby), or until %s',
						 array_to_string(x.handover_to, ', '),
						 date_trunc('second', x.handover_at + current_setting('line_notify.promotion_grace')::interval));
		hint := 'Are these standbys up, and do they stream? See pg_stat_replication.';
		RETURN NEXT;
	END LOOP;

	-- ---- who was given everything: nobody is given functions of ours that begin with _
	FOR x IN
		SELECT coalesce(format('role "%s"', r.rolname), 'every role') AS whose, coalesce(quote_ident(r.rolname), 'PUBLIC') AS whom
		FROM pg_proc p, aclexplode(p.proacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
		WHERE p.oid IN ('line_notify._end_waiting(bigint[], line_notify.message_state, text)'::regprocedure,
						'line_notify._insert_secret(line_notify.credential)'::regprocedure)
		  AND a.grantee <> p.proowner
		GROUP BY 1, 2 ORDER BY 1
	LOOP
		severity := 'warning';
		subject := 'privileges';
		reason := format('%s may call every function of line_notify, the internal ones included', x.whose);
		hint := format('Default privileges (\ddp in psql) or GRANT ... ON ALL FUNCTIONS gave that. REVOKE EXECUTE ON ALL ROUTINES IN SCHEMA line_notify FROM %s; then grant what is needed with line_notify.grant_sender() and its like.', x.whom);
		RETURN NEXT;
	END LOOP;

	-- ---- secrets that leave by logical replication
	FOR x IN
		SELECT line_notify._published_by('credential', 'value') AS publications, 'credentials' AS what,
			   'set them again as file:/path, and have LINE issue new ones' AS cure
		WHERE EXISTS (SELECT FROM line_notify.credential k WHERE k.value NOT LIKE 'file:%')
		UNION ALL
		SELECT line_notify._published_by('link_key', 'secret'), 'the keys of signed links', 'SELECT line_notify.rotate_link_key(); twice'
		WHERE EXISTS (SELECT FROM line_notify.link_key)
	LOOP
		CONTINUE WHEN x.publications IS NULL;
		severity := 'error';
		subject := 'publication';
		reason := format('subscribers receive %s, by publication %s', x.what, x.publications);
		hint := format('Drop it and publish your own tables instead (CREATE PUBLICATION ... FOR TABLES IN SCHEMA ...;), then %s.', x.cure);
		RETURN NEXT;
	END LOOP;

	-- ---- who would send after a failover
	SELECT count(*) INTO n FROM pg_stat_replication r
	WHERE r.state = 'streaming' AND r.replay_lsn IS NOT NULL
	  AND NOT EXISTS (SELECT FROM pg_replication_slots s WHERE s.active_pid = r.pid AND s.slot_type = 'logical');
	FOR x IN SELECT i.nodes FROM line_notify.identity i WHERE i.home = here AND NOT standby AND n >= cardinality(i.nodes)
	LOOP
		severity := 'warning';
		subject := 'nodes';
		reason := format('%s standby %s attached, and after a failover only %s may send: %s', n,
						 CASE WHEN n = 1 THEN 'server is' ELSE 'servers are' END,
						 CASE WHEN cardinality(x.nodes) = 1 THEN 'the node of this name' ELSE 'the nodes of these names' END,
						 array_to_string(x.nodes, ', '));
		hint := format('Give each server a name of its own, line_notify.node (Patroni: in postgresql.parameters of each node, not in the common configuration), reload, and run here: SELECT line_notify.arm(nodes => %L);',
					   x.nodes || ARRAY(SELECT 'name of standby ' || k FROM generate_series(1, n + 1 - cardinality(x.nodes)) k));
		RETURN NEXT;
	END LOOP;

	-- ---- channels
	IF NOT EXISTS (SELECT FROM line_notify.channel) THEN
		severity := 'info';
		subject := 'channels';
		reason := 'there is no channel yet';
		hint := 'SELECT line_notify.create_channel(''name'', line_channel_id => ''...'');';
		RETURN NEXT;
	END IF;
	-- one probe for each channel that has messages
	FOR x IN
		WITH RECURSIVE k AS (
			(SELECT o.channel FROM line_notify.outbox o ORDER BY o.channel LIMIT 1)
			UNION ALL
			SELECT n.channel FROM k, LATERAL (
				SELECT o.channel FROM line_notify.outbox o WHERE o.channel > k.channel ORDER BY o.channel LIMIT 1) n)
		SELECT k.channel FROM k WHERE NOT EXISTS (SELECT FROM line_notify.channel h WHERE h.name = k.channel)
	LOOP
		severity := 'error';
		subject := format('channel %s', x.channel);
		reason := 'messages wait for this channel, and it does not exist';
		hint := format('Make it again with line_notify.create_channel(%1$L, ...), or end them: SELECT line_notify.cancel(ids => ARRAY(SELECT id FROM line_notify.notifications WHERE channel = %1$L AND state = ''queued''));', x.channel);
		RETURN NEXT;
	END LOOP;
	FOR c IN SELECT * FROM line_notify.channel k ORDER BY k.name
	LOOP
		subject := format('channel %s', c.name);
		moving := NOT standby;
		SELECT min(f.due_at) INTO since
		FROM generate_series(0, 41) l(no),
			 LATERAL (SELECT o.due_at FROM line_notify.outbox o
					  WHERE o.channel = c.name AND o.lane = l.no::smallint AND o.home = here AND o.state = 'queued'
						AND NOT EXISTS (SELECT FROM line_notify.in_flight f WHERE f.id = o.id)
					  ORDER BY o.due_at LIMIT 1) f;
		SELECT max(s.last_success) INTO success
		FROM line_notify._stats() s
		WHERE s.channel = c.name AND s.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database());
		still := CASE WHEN greatest(since, success) < clock_timestamp() - interval '1 minute' AND since IS NOT NULL
					  THEN 'error' ELSE 'warning' END;
		IF c.home IS DISTINCT FROM here THEN
			severity := 'error';
			reason := line_notify._disarmed_reason(c.home);
			SELECT count(*), count(*) FILTER (WHERE w.due_at <= clock_timestamp()) INTO n, due
			FROM (SELECT o.due_at FROM line_notify.outbox o
				  WHERE o.channel = c.name AND o.home IS DISTINCT FROM here AND o.state = 'queued' LIMIT 100000) w;
			hint := CASE WHEN standby
				THEN 'After promotion it would send nothing. If it should, run on the primary: SELECT line_notify.arm(nodes => ...); with every node, this one too.'
				ELSE format('%s %s, %s of them due. If messages shall be sent from here, and no longer from there: SELECT line_notify.arm(); sends them, SELECT line_notify.arm(backlog => ''cancel''); cancels them.',
							CASE WHEN n = 100000 THEN 'At least 100000' ELSE n::text END, CASE WHEN n = 1 THEN 'message waits' ELSE 'messages wait' END, due) END;
			RETURN NEXT;
			moving := false;
		END IF;
		IF c.paused_at IS NOT NULL THEN
			severity := 'error';
			reason := 'paused: ' || coalesce(c.pause_reason, 'by an operator');
			hint := CASE WHEN c.pause_automatic
				THEN format('LINE refuses the access token, and is asked again by itself. Another one, by line_notify.set_credential(%1$L, ...), or SELECT line_notify.resume(%1$L); resumes at once.', c.name)
				ELSE format('When the cause is mended: SELECT line_notify.resume(%L);', c.name) END;
			RETURN NEXT;
			moving := false;
		END IF;
		FOR x IN SELECT * FROM line_notify.partial_pause q WHERE q.channel = c.name ORDER BY q.scope, q.subject
		LOOP
			severity := 'error';
			reason := format('paused %s: %s', line_notify._paused_part(x.scope, x.subject), x.reason);
			-- no more than that part: somebody may have paused the channel, too
			hint := format('When the cause is mended: SELECT line_notify.resume(%L%s);', c.name,
						   CASE WHEN x.scope = 'template' THEN format(', template_key => %L', x.subject)
								WHEN x.scope IN ('use_case', 'design') AND x.subject <> '' THEN format(', use_case => %L', x.subject) END);
			RETURN NEXT;
			moving := false;
		END LOOP;
		IF c.daily_budget <= (SELECT d.sent FROM line_notify.daily_sent d
							  WHERE d.channel = c.name AND d.day = (clock_timestamp() AT TIME ZONE c.time_zone)::date) THEN
			severity := still;
			reason := format('the daily budget of %s messages is used up', c.daily_budget);
			hint := format('It goes on at midnight (%s); SELECT line_notify.alter_channel(%L, daily_budget => ...); raises it.', c.time_zone, c.name);
			RETURN NEXT;
			moving := false;
		END IF;
		IF line_notify._quiet_until(c.quiet_hours, c.time_zone, clock_timestamp()) IS NOT NULL THEN
			severity := 'info';
			reason := format('quiet hours until %s', line_notify._quiet_until(c.quiet_hours, c.time_zone, clock_timestamp()));
			hint := NULL;
			RETURN NEXT;
			moving := false;
		END IF;
		IF NOT EXISTS (SELECT FROM line_notify.credential k WHERE k.channel = c.name AND k.kind IN ('access_token', 'client_secret', 'jwt_key')) THEN
			severity := 'error';
			reason := 'no credential to send with';
			hint := format('SELECT line_notify.set_credential(%L, ''access_token'', ''file:/path'');', c.name);
			RETURN NEXT;
			moving := false;
		END IF;
		FOR x IN SELECT k.kind, line_notify._secret_fault(k.value) AS fault FROM line_notify.credential k
				 WHERE k.channel = c.name AND k.value LIKE 'file:%' ORDER BY k.kind
		LOOP
			CONTINUE WHEN x.fault IS NULL;
			severity := 'error';
			reason := format('the file of credential %s: %s', x.kind, x.fault);
			hint := 'The file must be readable by the server''s user, and by nobody else, on every node that may send.';
			RETURN NEXT;
		END LOOP;
		IF c.ca_file IS NOT NULL AND pg_stat_file(c.ca_file, true) IS NULL THEN
			severity := 'error';
			reason := 'ca_file does not exist on this server';
			hint := format('Install it on every node that may send, or SELECT line_notify.alter_channel(%L, ca_file => '''');', c.name);
			RETURN NEXT;
		END IF;
		CONTINUE WHEN standby;

		FOR x IN
			SELECT sum(u.on_the_wire) AS n, max(u.overdue) AS overdue,
				   extract(epoch FROM clock_timestamp() - min(u.since))::integer AS seconds
			FROM line_notify._unanswered() u WHERE u.channel = c.name
			HAVING min(u.since) < clock_timestamp() - interval '5 seconds'
		LOOP
			severity := 'warning';
			IF x.overdue > 0 THEN
				reason := format('%s requests unanswered for up to %s seconds, while later ones are answered', x.overdue, x.seconds);
				hint := format('They end after total_timeout (%s), as unknown or to be sent again; they take places of max_in_flight (%s) until then.', c.total_timeout, c.max_in_flight);
			ELSE
				reason := format('%s requests unanswered for up to %s seconds', x.n, x.seconds);
				hint := format('They end after total_timeout (%s); SELECT * FROM line_notify.check_channel(%L) tries each step now.', c.total_timeout, c.name);
			END IF;
			RETURN NEXT;
		END LOOP;
		-- what the worker says of it, when something is due
		FOR x IN
			SELECT w.reason, w.severity, w.meaning_en, w.what_ends_it, string_agg(v.endpoint, ' and ' ORDER BY v.endpoint DESC) AS endpoints
			FROM line_notify._endpoint_verdicts() v
			JOIN line_notify._waiting_reasons() w ON w.no = v.no
			WHERE v.channel = c.name AND w.severity IS NOT NULL
			  AND w.no NOT IN (SELECT s.no FROM line_notify._endpoint_verdict(NULL, NULL, false, false, false, false, true, NULL, NULL, NULL) s)
			  AND EXISTS (SELECT FROM generate_series(0, 41) l, LATERAL (
						  SELECT FROM line_notify.outbox o
						  WHERE o.channel = c.name AND o.lane = l AND o.due_at <= clock_timestamp() LIMIT 1) d)
			GROUP BY 1, 2, 3, 4
		LOOP
			severity := x.severity;
			reason := format('%s messages wait: %s: %s', x.endpoints, x.reason, x.meaning_en);
			hint := format('What ends it: %s.', x.what_ends_it);
			RETURN NEXT;
			moving := false;
		END LOOP;
		SELECT 'error', format('no access token since %s: %s', date_trunc('second', t.since), t.error),
			format('It is asked for again by itself, every minute at least; SELECT * FROM line_notify.check_channel(%L) tries each step now.', c.name)
		INTO severity, reason, hint
		FROM line_notify.token_status t WHERE t.channel = c.name;
		IF FOUND THEN
			RETURN NEXT;
			moving := false;
		END IF;
		FOR x IN SELECT s.endpoint, s.breaker, s.breaker_until, s.blocked_until, s.last_error, s.last_error_text
				 FROM line_notify._stats() s
				 WHERE s.channel = c.name
				   AND s.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
				   AND (s.breaker <> 'closed' OR s.blocked_until > clock_timestamp())
				 ORDER BY s.endpoint
		LOOP
			moving := false;
			severity := still;
			IF x.blocked_until > clock_timestamp() THEN
				reason := format('%s messages: LINE said wait until %s%s', x.endpoint, date_trunc('second', x.blocked_until),
								 -- the latest error may be of another message
								 CASE WHEN x.last_error = 'throttled' OR x.last_error_text ~ '\m(429|503)\M' THEN ', ' || x.last_error_text END);
				hint := 'It goes on by itself. If 429 is frequent, lower rate_limit; LINE''s plan may also have a monthly limit. A 503 is an overload or maintenance at LINE.';
				RETURN NEXT;
			-- one breaker serves both endpoints
			ELSIF x.endpoint = (SELECT min(s.endpoint) FROM line_notify._stats() s
								WHERE s.channel = c.name AND s.breaker <> 'closed'
								  AND s.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())) THEN
				SELECT format('the circuit breaker is %s: a run of requests failed%s', x.breaker,
							  format(', last %s at %s', concat_ws(': ', s.last_error, s.last_error_text), date_trunc('second', s.last_error_at))),
					   format('%s It goes on by itself when a question, and then a message, is answered; SELECT * FROM line_notify.check_channel(%L) tries each step now.',
							  line_notify._outage_hint(s.last_error, s.last_error_text, c.api_base, c.proxy, c.total_timeout), c.name)
				INTO reason, hint
				FROM line_notify._stats() s
				WHERE s.channel = c.name AND s.last_error IS NOT NULL
				  AND s.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
				ORDER BY s.last_error_at DESC LIMIT 1;
				IF NOT FOUND THEN
					reason := format('the circuit breaker is %s: a run of requests failed', x.breaker);
					hint := format('SELECT * FROM line_notify.check_channel(%L) tries each step now.', c.name);
				END IF;
				RETURN NEXT;
			END IF;
		END LOOP;

		-- late for no reason above?
		IF moving THEN
			IF since < clock_timestamp() - interval '1 minute' THEN
				severity := still;
				reason := format('messages that are due wait since %s', date_trunc('second', since));
				hint := 'More are due than the rate limit lets pass, or no worker runs; see views stats, workers and batches.';
				RETURN NEXT;
			END IF;
		END IF;
		FOR x IN SELECT u.units, u.month FROM line_notify.unit_usage u
				 WHERE u.channel = c.name AND u.units >= 900
				   AND u.month = date_trunc('month', clock_timestamp() AT TIME ZONE 'Asia/Tokyo')::date
		LOOP
			severity := 'warning';
			reason := format('LINE counts %s names of aggregation units this month; beyond 1,000 it keeps no statistics of new ones', x.units);
			hint := 'Use few, stable names (the default is the key of the use case); messages are sent nevertheless.';
			RETURN NEXT;
		END LOOP;
		-- accepted messages of the last day around which no event came
		SELECT CASE c.on_silence WHEN 'unconfirmed' THEN 'info' ELSE 'warning' END, format('no delivery event came for %s messages that LINE accepted between %s and %s', sum(q.accepted),
				to_char(min(q.minute), 'YYYY-MM-DD HH24:MI'), to_char(max(q.minute), 'YYYY-MM-DD HH24:MI TZ')),
			'Check that LINE''s webhook reaches line_notify.receive_webhook(). Without events these messages stay accepted.'
		INTO severity, reason, hint
		FROM line_notify.minute_count q
		WHERE q.channel = c.name AND q.minute < clock_timestamp() - interval '16 minutes'
		  AND q.minute > clock_timestamp() - interval '25 hours'
		  AND NOT EXISTS (SELECT FROM line_notify.minute_count e
						  WHERE e.channel = c.name AND e.delivered > 0
							AND e.minute BETWEEN q.minute - interval '15 minutes' AND q.minute + interval '15 minutes')
		HAVING sum(q.accepted) > 0;
		IF FOUND THEN
			RETURN NEXT;
		END IF;
		-- and those that a consumer waits for, since confirm_within is set
		SELECT 'error', format('%s messages that LINE accepted since %s are not handed out as unconfirmed: no delivery event came for any message of that time', sum(q.accepted - q.delivered),
				to_char(min(q.minute), 'YYYY-MM-DD HH24:MI TZ')),
			format('Connect LINE''s webhook to line_notify.receive_webhook(). If it is not connected on purpose, SELECT line_notify.alter_channel(%L, on_silence => ''unconfirmed''); hands them out.', c.name)
		INTO severity, reason, hint
		FROM line_notify.minute_count q, line_notify.sweep_mark s
		WHERE s.channel = c.name AND c.confirm_within IS NOT NULL AND c.on_silence = 'withhold'
		  AND q.channel = c.name AND q.minute >= s.withheld AND q.minute < s.unconfirmed
		  AND q.minute > clock_timestamp() - interval '25 hours'
		  AND NOT EXISTS (SELECT FROM line_notify.minute_count e
						  WHERE e.channel = c.name AND e.delivered > 0
							AND e.minute BETWEEN q.minute - interval '15 minutes' AND q.minute + interval '15 minutes')
		HAVING sum(q.accepted - q.delivered) > 0;
		IF FOUND THEN
			RETURN NEXT;
		END IF;
		SELECT 'info', format('%s delivery events since yesterday were for messages that are not in this database', sum(d.n)),
			'Another database or program sends through this LINE channel, which has one webhook: let the receiver hand each call to every database (--dsn several times).'
		INTO severity, reason, hint
		FROM line_notify.daily_count d
		WHERE d.channel = c.name AND d.outcome = 'elsewhere'
		  AND d.day >= (clock_timestamp() AT TIME ZONE 'Asia/Tokyo')::date - 1
		HAVING sum(d.n) > 0;
		IF FOUND THEN
			RETURN NEXT;
		END IF;
		-- the latest messages only: this must stay cheap
		SELECT (SELECT sum(q.unknown) FROM line_notify.minute_count q
				WHERE q.channel = c.name AND q.minute > clock_timestamp() - interval '1 hour') AS unknown,
			   count(*) FILTER (WHERE h.age < interval '1 hour' AND h.state = 'unreachable') AS unreachable,
			   count(*) FILTER (WHERE h.age < interval '1 hour' AND h.http_status IS NOT NULL) AS answered,
			   -- silence is known a day later
			   count(*) FILTER (WHERE h.age BETWEEN '1 day' AND '2 days' AND h.state = 'undelivered') AS undelivered,
			   count(*) FILTER (WHERE h.age BETWEEN '1 day' AND '2 days' AND h.state = 'delivered') AS delivered
		INTO x
		FROM (SELECT h.state, clock_timestamp() - h.ended_at AS age, h.channel, h.http_status FROM line_notify.history h ORDER BY h.id DESC LIMIT 100000) h
		WHERE h.channel = c.name;
		IF x.unknown > 0 THEN
			severity := 'warning';
			reason := format('%s messages of the last hour ended as unknown: sent, and no answer came', x.unknown);
			hint := 'The delivery webhook settles them; line_notify.redrive(..., allow_duplicates => true) sends again.';
			RETURN NEXT;
		END IF;
		-- some are always out of reach; most of them is another matter
		IF x.unreachable >= 20 AND x.unreachable * 2 > x.answered THEN
			severity := 'warning';
			reason := format('%s of the %s messages that LINE answered in the last hour are unreachable (422)', x.unreachable, x.answered);
			hint := 'LINE answers 422 when nobody uses LINE with the number, the number is not of Japan, Thailand or Taiwan, the user has switched notification messages off, or has not accepted the privacy policy of March 2022. If nearly all are, look for a wrong region or column.';
			RETURN NEXT;
		END IF;
		IF x.undelivered >= 20 AND x.undelivered > x.delivered THEN
			severity := 'warning';
			reason := format('%s messages of yesterday are undelivered, and %s delivered: LINE accepted them, and no delivery event came', x.undelivered, x.delivered);
			hint := 'LINE says so by silence when the user has blocked the account, or has not answered the question for consent or confirmed the number by SMS within 24 hours. doc/outcomes.md tells what a user can do.';
			RETURN NEXT;
		END IF;
	END LOOP;

	-- ---- contents: a sample of the latest messages, waiting and sent
	FOR x IN
		SELECT w.channel, count(w.found) AS doubtful, count(*) AS seen, min(w.found) AS example
		FROM (SELECT m.channel, line_notify._content_warnings(m.template_key, m.body, m.messages) AS found
			  FROM ((SELECT o.channel, o.template_key, o.body, o.messages FROM line_notify.outbox o ORDER BY o.id DESC LIMIT 500)
					UNION ALL
					(SELECT h.channel, h.template_key, h.body, h.messages FROM line_notify.history h ORDER BY h.id DESC LIMIT 500)) m) w
		GROUP BY w.channel HAVING count(w.found) > 0
		ORDER BY w.channel
	LOOP
		severity := 'info';
		subject := 'channel ' || x.channel;
		reason := format('%s of the latest %s messages have content that LINE may refuse, such as: %s', x.doubtful, x.seen, left(x.example, 200));
		hint := 'Column content_warnings of line_notify.notifications says which; line_notify.check_message() says why.';
		RETURN NEXT;
	END LOOP;

	-- ---- outcomes that the tables refuse
	SELECT 'error', format('%s outcomes cannot be recorded (SQLSTATE %s)', count(*), string_agg(DISTINCT s.why, ', ')),
		'Somebody changed our tables: look for constraints, triggers and rules of others on line_notify.outbox, history and attempt_log.'
		' The messages were sent as line_notify.set_aside says; they are recorded when that is undone.'
	INTO severity, reason, hint
	FROM line_notify.set_aside s HAVING count(*) > 0;
	IF FOUND THEN
		subject := 'database';
		RETURN NEXT;
	END IF;
END
$$;
REVOKE ALL ON FUNCTION line_notify.health() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION line_notify.health() TO pg_monitor;
COMMENT ON FUNCTION line_notify.health() IS 'Everything that stops or slows delivery, with what to do; no row = all is well';
