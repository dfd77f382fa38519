
--
-- Health and workers
--

CREATE FUNCTION line_notify._workers(OUT database oid, OUT state text, OUT pid integer, OUT generation bigint,
	OUT started_at timestamptz, OUT restarts integer, OUT next_due timestamptz, OUT in_flight integer, OUT last_error text, OUT last_error_at timestamptz)
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

CREATE FUNCTION line_notify._secret_fault(kind text, value text) RETURNS text
LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'line_notify_secret_fault';
REVOKE ALL ON FUNCTION line_notify._secret_fault(text, text) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._secret_fault(text, text) IS 'why the file of a credential cannot be used on this server, or NULL';

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

-- What health() looks at: a function for each kind of fault, over all channels
-- at once.  Each reads a bounded part of its tables, and may fail: it is health()
-- that must not.

CREATE FUNCTION line_notify._time_limit(milliseconds integer) RETURNS void
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'line_notify_time_limit';
REVOKE ALL ON FUNCTION line_notify._time_limit(integer) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._time_limit(integer) IS 'cancels the statement after that time as statement_timeout does, unless that comes earlier; NULL puts back what was';

CREATE FUNCTION line_notify._ca_fault(path text) RETURNS text
LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'line_notify_ca_fault';
REVOKE ALL ON FUNCTION line_notify._ca_fault(text) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._ca_fault(text) IS 'why a file of certificates cannot be used on this server, or NULL';

-- One probe for each lane that has messages.
CREATE FUNCTION line_notify._due_channels(OUT channel text, OUT since timestamptz, OUT severity text)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp ROWS 10
AS $$
	WITH RECURSIVE k AS (
		(SELECT o.channel, o.lane FROM line_notify.outbox o ORDER BY o.channel, o.lane LIMIT 1)
		UNION ALL
		SELECT n.channel, n.lane FROM k, LATERAL (
			SELECT o.channel, o.lane FROM line_notify.outbox o WHERE (o.channel, o.lane) > (k.channel, k.lane)
			ORDER BY o.channel, o.lane LIMIT 1) n),
		here AS MATERIALIZED (SELECT line_notify._local_home() AS home),
		d AS (SELECT k.channel, min(f.due_at) AS since
			  FROM here, k, LATERAL (
				SELECT q.due_at FROM (
					SELECT o.id, o.due_at, o.home, o.state FROM line_notify.outbox o
					WHERE o.channel = k.channel AND o.lane = k.lane ORDER BY o.due_at LIMIT 5000) q
				WHERE q.home = here.home AND q.state = 'queued'
				  AND NOT EXISTS (SELECT FROM line_notify.in_flight f WHERE f.id = q.id)
				ORDER BY q.due_at LIMIT 1) f
			  WHERE f.due_at < 'infinity'
			  GROUP BY k.channel)
	SELECT d.channel, d.since,
		   CASE WHEN greatest(d.since, (SELECT max(s.last_success) FROM line_notify._stats() s
										WHERE s.channel = d.channel AND s.database = line_notify._database_oid()))
					 < clock_timestamp() - interval '1 minute' THEN 'error' ELSE 'warning' END
	FROM d
$$;
REVOKE ALL ON FUNCTION line_notify._due_channels() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._due_channels() IS 'channels with messages that wait, since when the first is due, and how bad a delay is: error when nothing leaves although something is due';

-- ---- the server

CREATE FUNCTION line_notify._health_server(OUT severity text, OUT subject text, OUT reason text, OUT hint text)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp ROWS 2
AS $$
	SELECT 'error', 'server', w.reason, w.hint
	FROM (VALUES
		('not preloaded', 'line_notify is not in shared_preload_libraries: nothing is sent',
		 'Add line_notify to shared_preload_libraries in postgresql.conf and restart the server; or CALL line_notify.drain() now and then.'),
		('disabled', 'sending is switched off by line_notify.enabled',
		 'Set line_notify.enabled = on and reload the configuration.'),
		('no launcher', 'the launcher is not running',
		 'It restarts by itself within seconds; see the server log, and max_worker_processes.')) w(state, reason, hint)
	WHERE w.state = line_notify._preload_state() AND NOT (w.state = 'no launcher' AND pg_is_in_recovery())
	UNION ALL
	SELECT 'info', 'server', 'this server is a standby: it sends nothing until it is promoted', NULL
	WHERE pg_is_in_recovery()
	UNION ALL
	SELECT 'error', 'server', 'max_worker_processes leaves no room for the launcher and a worker',
		'Increase max_worker_processes and restart the server.'
	WHERE current_setting('max_worker_processes')::integer < 2
$$;
REVOKE ALL ON FUNCTION line_notify._health_server() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._health_server() IS 'part of health(): may this server send at all';

CREATE FUNCTION line_notify._health_settings(OUT severity text, OUT subject text, OUT reason text, OUT hint text)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp ROWS 1
AS $$
	SELECT 'warning', 'server',
		format('line_notify.enqueue is off for %s: what it inserts is not queued',
			   coalesce('role ' || r.rolname, 'every role') || coalesce(' in database ' || d.datname, '')),
		'ALTER ROLE or ALTER DATABASE ... RESET line_notify.enqueue ends that.'
	FROM pg_db_role_setting s
	LEFT JOIN pg_roles r ON r.oid = s.setrole
	LEFT JOIN pg_database d ON d.oid = s.setdatabase
	WHERE (s.setdatabase = 0 OR d.datname = current_database())
	  AND EXISTS (SELECT FROM unnest(s.setconfig) u WHERE u ~* '^line_notify\.enqueue=(off|false|no|0|f|n)$')
$$;
REVOKE ALL ON FUNCTION line_notify._health_settings() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._health_settings() IS 'part of health(): whose inserts are not queued';

-- ---- the worker of this database

-- What failed shows for a minute: what still fails is tried again every ten
-- seconds, and says so again.
CREATE FUNCTION line_notify._health_worker(OUT severity text, OUT subject text, OUT reason text, OUT hint text)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp ROWS 1
AS $$
	SELECT CASE WHEN w.state IN ('no slot', 'version') THEN 'error'
				WHEN w.state = 'backoff' AND EXISTS (SELECT FROM line_notify._due_channels() d WHERE d.severity = 'error') THEN 'error'
				ELSE 'warning' END,
		'worker',
		CASE w.state
			WHEN 'no slot' THEN 'no free background worker slot'
			WHEN 'backoff' THEN 'the worker stopped with an error and is started again after a pause'
			WHEN 'held' THEN 'the worker stepped aside for a command on this database'
			WHEN 'version' THEN 'library and extension versions do not match'
			WHEN 'running' THEN 'the worker runs, and something failed'
			ELSE 'the worker is ' || w.state END || coalesce(': ' || nullif(w.last_error, ''), ''),
		CASE w.state
			WHEN 'no slot' THEN 'You may need to increase "max_worker_processes".'
			WHEN 'version' THEN format('Run ALTER EXTENSION line_notify UPDATE in database "%s", or restart the server after an upgrade of the package.', current_database())
			WHEN 'held' THEN 'It comes back when the command is done.'
			ELSE 'It tries again by itself; the server log has the error.' END
	FROM line_notify._workers() w
	WHERE w.database = line_notify._database_oid()
	  AND (w.state NOT IN ('running', 'idle')
		   OR w.last_error <> '' AND w.last_error_at > clock_timestamp() - interval '1 minute')
	UNION ALL
	SELECT 'error', 'worker', 'there is no place for this database: nothing is sent from it',
		'Increase line_notify.max_databases and restart the server.'
	WHERE NOT pg_is_in_recovery() AND line_notify._preload_state() = 'ok'
	  AND NOT EXISTS (SELECT FROM line_notify._workers() w WHERE w.database = line_notify._database_oid())
	  AND (SELECT count(w.database) FROM line_notify._workers() w) >= current_setting('line_notify.max_databases')::integer
$$;
REVOKE ALL ON FUNCTION line_notify._health_worker() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._health_worker() IS 'part of health(): the worker of this database';

CREATE FUNCTION line_notify._health_leases(OUT severity text, OUT subject text, OUT reason text, OUT hint text)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp ROWS 1
AS $$
	SELECT 'warning', 'worker', format('%s messages were claimed more than 15 minutes ago and their outcome is not recorded', count(*)),
		'They are recovered when a worker of the place that claimed them runs; see view workers.'
	FROM line_notify.in_flight f
	WHERE f.claimed_at < clock_timestamp() - interval '15 minutes'
	HAVING count(*) > 0
$$;
REVOKE ALL ON FUNCTION line_notify._health_leases() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._health_leases() IS 'part of health(): claims of long ago';

CREATE FUNCTION line_notify._health_events(OUT severity text, OUT subject text, OUT reason text, OUT hint text)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp ROWS 1
AS $$
	SELECT 'warning', 'worker', format('delivery events wait since %s', date_trunc('second', e.received_at)),
		'The worker of this database folds them into the messages; see view workers.'
	FROM (SELECT w.received_at FROM line_notify.webhook_event w WHERE w.why IS NULL ORDER BY w.seq LIMIT 1) e
	WHERE e.received_at < clock_timestamp() - interval '5 minutes'
	UNION ALL
	SELECT 'error', 'database', format('what %s delivery events say of their messages cannot be recorded (SQLSTATE %s)', count(*), string_agg(DISTINCT e.why, ', ')),
		'Somebody changed our tables: look for constraints, triggers and rules of others on line_notify.history, in_flight, outbox and daily_count. They are tried again by themselves.'
	FROM (SELECT w.why FROM line_notify.webhook_event w ORDER BY w.seq LIMIT 10000) e
	WHERE e.why IS NOT NULL
	HAVING count(*) > 0
	UNION ALL
	SELECT 'error', 'channel ' || s.channel, format('%s messages cannot become undelivered (SQLSTATE %s), and those after them wait', s.refused, s.why),
		'Somebody changed our tables: look for constraints, triggers and rules of others on line_notify.history, outcome, daily_count and minute_count. It is tried again by itself.'
	FROM line_notify.sweep_mark s
	WHERE s.refused > 0
$$;
REVOKE ALL ON FUNCTION line_notify._health_events() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._health_events() IS 'part of health(): delivery events that are not folded';

CREATE FUNCTION line_notify._health_transactions(OUT severity text, OUT subject text, OUT reason text, OUT hint text)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp ROWS 1
AS $$
	SELECT 'info', 'worker',
		format('process %s has a transaction open since %s: what it queued waits for its COMMIT, and claims become slower', a.pid, date_trunc('second', a.xact_start)),
		'See pg_stat_activity.'
	FROM pg_stat_activity a
	WHERE a.datname = current_database() AND a.backend_type = 'client backend' AND a.backend_xid IS NOT NULL
	  AND a.xact_start < clock_timestamp() - interval '1 hour'
	ORDER BY a.xact_start LIMIT 1
$$;
REVOKE ALL ON FUNCTION line_notify._health_transactions() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._health_transactions() IS 'part of health(): transactions that have been open for long';

CREATE FUNCTION line_notify._health_held_worker(OUT severity text, OUT subject text, OUT reason text, OUT hint text)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp ROWS 1
AS $$
	SELECT w.severity, 'worker', format('%s: %s', w.reason, w.meaning_en), format('What ends it: %s.', w.what_ends_it)
	FROM line_notify._endpoint_verdict(NULL, NULL, false, false, false, false, true, NULL, NULL, NULL) v
	JOIN line_notify._waiting_reasons() w ON w.no = v.no
	WHERE w.severity IS NOT NULL
$$;
REVOKE ALL ON FUNCTION line_notify._health_held_worker() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._health_held_worker() IS 'part of health(): what holds the worker up as a whole, such as a lock or a synchronous standby';

CREATE FUNCTION line_notify._health_promotion(OUT severity text, OUT subject text, OUT reason text, OUT hint text)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp ROWS 1
AS $$
	SELECT 'warning', 'promotion',
		format('messages due before %s may have been sent by the former primary: they wait until %s for delivery events', i.in_doubt_before, i.in_doubt_until),
		'Then line_notify.on_promotion decides: hold and hold_all end them as unknown, send sends them. With a synchronous standby there is no doubt.'
	FROM line_notify.identity i
	WHERE i.home = line_notify._local_home() AND i.in_doubt_before IS NOT NULL
	UNION ALL
	SELECT 'warning', 'promotion',
		format('nothing is sent until %s have on disk what changed here (a hand-over is taken back, the server is armed, or claims stopped to wait for a standby), or until %s',
			   array_to_string(i.handover_to, ', '),
			   date_trunc('second', i.handover_at + current_setting('line_notify.promotion_grace')::interval)),
		'Are these standbys up, and do they stream? See pg_stat_replication.'
	FROM line_notify.identity i
	WHERE i.home = line_notify._local_home() AND i.handover IS NOT NULL AND NOT pg_is_in_recovery()
	UNION ALL
	SELECT 'warning', 'promotion',
		format('what was freed by hand (resume(), reschedule(), redrive() and their like) is not sent until %s have that on disk, or until %s',
			   string_agg(DISTINCT s.standby, ', '),
			   date_trunc('second', max(u.seen_at) + current_setting('line_notify.promotion_grace')::interval)),
		'Are these standbys up, and do they stream? See pg_stat_replication; the slot of one that is gone for good: SELECT pg_drop_replication_slot(...);'
	FROM line_notify.unblock u, unnest(u.standbys) s(standby)
	WHERE u.order_key IS NULL AND NOT pg_is_in_recovery()
	HAVING count(*) > 0
$$;
REVOKE ALL ON FUNCTION line_notify._health_promotion() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._health_promotion() IS 'part of health(): what waits since a promotion, or for standbys to know';

-- ---- secrets that leave by logical replication

CREATE FUNCTION line_notify._health_publications(OUT severity text, OUT subject text, OUT reason text, OUT hint text)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp ROWS 1
AS $$
	SELECT 'error', 'publication', format('subscribers receive %s, by publication %s', p.what, p.publications),
		format('Drop it and publish your own tables instead (CREATE PUBLICATION ... FOR TABLES IN SCHEMA ...;), then %s.', p.cure)
	FROM (SELECT line_notify._published_by('credential', 'value') AS publications, 'credentials' AS what,
				 'set them again as file:/path, and have LINE issue new ones' AS cure
		  WHERE EXISTS (SELECT FROM line_notify.credential k WHERE k.value NOT LIKE 'file:%')
		  UNION ALL
		  SELECT line_notify._published_by('link_key', 'secret'), 'the keys of signed links', 'SELECT line_notify.rotate_link_key(); twice'
		  WHERE EXISTS (SELECT FROM line_notify.link_key)) p
	WHERE p.publications IS NOT NULL
$$;
REVOKE ALL ON FUNCTION line_notify._health_publications() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._health_publications() IS 'part of health(): secrets that subscribers receive';

-- ---- who would send after a failover

CREATE FUNCTION line_notify._health_nodes(OUT severity text, OUT subject text, OUT reason text, OUT hint text)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp ROWS 1
AS $$
	SELECT 'warning', 'nodes',
		format('%s standby %s attached, and after a failover only %s may send: %s', s.n,
			   CASE WHEN s.n = 1 THEN 'server is' ELSE 'servers are' END,
			   CASE WHEN cardinality(i.nodes) = 1 THEN 'the node of this name' ELSE 'the nodes of these names' END,
			   array_to_string(i.nodes, ', ')),
		format('Give each server a name of its own, line_notify.node (Patroni: in postgresql.parameters of each node, not in the common configuration), reload, and run here: SELECT line_notify.arm(nodes => %L);',
			   i.nodes || ARRAY(SELECT 'name of standby ' || k FROM generate_series(1, s.n + 1 - cardinality(i.nodes)) k))
	FROM line_notify.identity i,
		 (SELECT sum(a.servers)::integer AS n FROM line_notify._attached_standbys() a) s
	WHERE i.home = line_notify._local_home() AND s.n >= cardinality(i.nodes)
	UNION ALL
	SELECT 'warning', 'nodes',
		format('standby %s has no name of its own: when it takes over after a planned switchover, what is due is in doubt all the same', string_agg(a.standby, ', ')),
		'Set primary_slot_name there, or application_name in primary_conninfo, to what no other standby has.'
	FROM line_notify._attached_standbys() a, line_notify.identity i
	WHERE i.home = line_notify._local_home() AND NOT i.synchronous AND a.standby NOT IN (SELECT line_notify._named_standbys())
	HAVING count(*) > 0
$$;
REVOKE ALL ON FUNCTION line_notify._health_nodes() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._health_nodes() IS 'part of health(): standbys that could not take over';

-- ---- the database

-- Partitions are made ahead, and nothing is claimed that could not be recorded.
CREATE FUNCTION line_notify._health_history(OUT severity text, OUT subject text, OUT reason text, OUT hint text)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp ROWS 1
AS $$
	SELECT 'error', 'database', 'there is no partition of line_notify.history for messages that are due, and none can be made: they are not sent',
		coalesce((SELECT format('Event trigger %s may refuse it: let it pass by what is in schema line_notify; the server log has its words.',
								string_agg(quote_ident(e.evtname), ', ' ORDER BY e.evtname))
				  FROM pg_event_trigger e
				  WHERE e.evtenabled IN ('O', 'A') AND e.evtevent IN ('ddl_command_start', 'ddl_command_end')
					AND (e.evttags IS NULL OR e.evttags && '{"CREATE TABLE","ALTER TABLE","CREATE INDEX"}')
				  HAVING count(*) > 0),
				 'The server log has the error; a full disk, or a lock that somebody holds on the table?')
	WHERE EXISTS (SELECT FROM line_notify._due_channels() d WHERE d.since < clock_timestamp() - interval '5 seconds')
	  AND EXISTS (SELECT FROM (SELECT o.id FROM line_notify.outbox o ORDER BY o.id DESC LIMIT 1) o
				  WHERE NOT EXISTS (SELECT FROM line_notify._history_partitions() p WHERE o.id >= p.low AND o.id < p.high))
$$;
REVOKE ALL ON FUNCTION line_notify._health_history() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._health_history() IS 'part of health(): is there room to record outcomes, and what stands in the way';

-- What was to be forgotten, and is still there.
CREATE FUNCTION line_notify._health_retention(OUT severity text, OUT subject text, OUT reason text, OUT hint text)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp ROWS 1
AS $$
	SELECT 'warning', 'retention', format('messages are kept %s longer than line_notify.retention', justify_hours(date_trunc('hour', r.messages))),
		'Is there a transaction that holds line_notify.history, or a trigger of yours on it? The server log may have an error of maintenance.'
	FROM line_notify._retention_lag() r WHERE r.messages > '1 day'
	UNION ALL
	SELECT 'warning', 'retention', format('the content of messages is kept %s longer than line_notify.payload_retention', date_trunc('minute', r.contents)),
		'Does a session hold their rows of line_notify.history locked, or does a trigger of yours keep them as they are? SELECT left_over FROM line_notify.maintenance_mark; has their ids.'
	FROM line_notify._retention_lag() r WHERE r.contents > '10 minutes'
$$;
REVOKE ALL ON FUNCTION line_notify._health_retention() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._health_retention() IS 'part of health(): what was to be forgotten, and is still there';

-- Who was given everything?  Nobody is given these two functions, nor these tables,
-- by the functions grant_...().  ALTER DEFAULT PRIVILEGES has its say when the
-- extension, or a partition, is made.
CREATE FUNCTION line_notify._health_privileges(OUT severity text, OUT subject text, OUT reason text, OUT hint text)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp ROWS 1
AS $$
	SELECT 'warning', 'privileges',
		format('%s may %s of line_notify, the internal ones included', coalesce(format('role "%s"', r.rolname), 'every role'),
			   CASE WHEN g.function THEN 'call every function' ELSE 'use tables' END),
		format('Default privileges (\ddp in psql) or GRANT ... ON ALL %1$s gave that. REVOKE ALL ON ALL %2$s IN SCHEMA line_notify FROM %3$s; then grant what is needed with line_notify.grant_sender() and its like.',
			   CASE WHEN g.function THEN 'FUNCTIONS' ELSE 'TABLES' END, CASE WHEN g.function THEN 'ROUTINES' ELSE 'TABLES' END,
			   coalesce(quote_ident(r.rolname), 'PUBLIC'))
	FROM (SELECT true AS function, a.grantee
		  FROM pg_proc p, aclexplode(p.proacl) a
		  WHERE p.oid IN ('line_notify._end_waiting(bigint[], line_notify.message_state, text)'::regprocedure,
						  'line_notify._insert_secret(line_notify.credential)'::regprocedure)
			AND a.grantee <> p.proowner
		  UNION
		  SELECT false, a.grantee
		  FROM pg_class c, aclexplode(c.relacl) a
		  WHERE c.relnamespace = 'line_notify'::regnamespace
			AND (c.relname IN ('credential', 'in_flight') OR c.relispartition AND c.relkind = 'r')
			AND a.grantee <> c.relowner) g
	LEFT JOIN pg_roles r ON r.oid = g.grantee
	ORDER BY g.function DESC, r.rolname
$$;
REVOKE ALL ON FUNCTION line_notify._health_privileges() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._health_privileges() IS 'part of health(): roles that were given everything of ours';

CREATE FUNCTION line_notify._health_set_aside(OUT severity text, OUT subject text, OUT reason text, OUT hint text)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp ROWS 1
AS $$
	SELECT 'error', 'database', format('%s outcomes cannot be recorded (SQLSTATE %s)', count(*), string_agg(DISTINCT s.why, ', ')),
		'Somebody changed our tables: look for constraints, triggers and rules of others on line_notify.outbox, history, attempt_log and in_flight.'
		' What became of the messages says line_notify.set_aside; it is recorded when that is undone.'
	FROM line_notify.set_aside s HAVING count(*) > 0
$$;
REVOKE ALL ON FUNCTION line_notify._health_set_aside() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._health_set_aside() IS 'part of health(): outcomes that the tables refuse';

-- ---- channels: first what holds messages up

CREATE FUNCTION line_notify._health_channels(OUT severity text, OUT subject text, OUT reason text, OUT hint text)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp ROWS 1
AS $$
	SELECT 'info', 'channels', 'there is no channel yet', 'SELECT line_notify.create_channel(''name'', line_channel_id => ''...'');'
	WHERE NOT EXISTS (SELECT FROM line_notify.channel)
	UNION ALL
	SELECT 'error', 'channel ' || d.channel, 'messages wait for this channel, and it does not exist',
		format('Make it again with line_notify.create_channel(%1$L, ...), or end them: SELECT line_notify.cancel(ids => ARRAY(SELECT id FROM line_notify.notifications WHERE channel = %1$L AND state = ''queued''));', d.channel)
	FROM (WITH RECURSIVE k AS (
			(SELECT o.channel FROM line_notify.outbox o ORDER BY o.channel LIMIT 1)
			UNION ALL
			SELECT n.channel FROM k, LATERAL (
				SELECT o.channel FROM line_notify.outbox o WHERE o.channel > k.channel ORDER BY o.channel LIMIT 1) n)
		  SELECT k.channel FROM k) d
	WHERE NOT EXISTS (SELECT FROM line_notify.channel c WHERE c.name = d.channel)
$$;
REVOKE ALL ON FUNCTION line_notify._health_channels() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._health_channels() IS 'part of health(): channels that do not exist';

CREATE FUNCTION line_notify._health_disarmed(OUT severity text, OUT subject text, OUT reason text, OUT hint text)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp ROWS 1
AS $$
	SELECT 'error', 'channel ' || c.name, line_notify._disarmed_reason(c.home),
		CASE WHEN pg_is_in_recovery()
			THEN 'After promotion it would send nothing. If it should, run on the primary: SELECT line_notify.arm(nodes => ...); with every node, this one too.'
			ELSE format('%s %s, %s of them due. If messages shall be sent from here, and no longer from there: SELECT line_notify.arm(); sends them, SELECT line_notify.arm(backlog => ''cancel''); cancels them.',
						CASE WHEN w.n = 10000 THEN 'At least 10000' ELSE w.n::text END,
						CASE WHEN w.n = 1 THEN 'message waits' ELSE 'messages wait' END, w.due) END
	FROM (SELECT line_notify._local_home() AS home) here, line_notify.channel c,
		 LATERAL (SELECT count(*) AS n, count(*) FILTER (WHERE q.due_at <= clock_timestamp()) AS due
				  FROM (SELECT o.due_at FROM line_notify.outbox o
						WHERE o.channel = c.name AND o.home IS DISTINCT FROM here.home AND o.state = 'queued' LIMIT 10000) q) w
	WHERE c.home IS DISTINCT FROM here.home
	ORDER BY c.name
$$;
REVOKE ALL ON FUNCTION line_notify._health_disarmed() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._health_disarmed() IS 'part of health(): channels that may not send from here';

CREATE FUNCTION line_notify._health_pauses(OUT severity text, OUT subject text, OUT reason text, OUT hint text)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp ROWS 1
AS $$
	SELECT 'error', 'channel ' || p.channel, p.reason, p.hint
	FROM (SELECT c.name AS channel, 0 AS no, '' AS part, 'paused: ' || coalesce(c.pause_reason, 'by an operator') AS reason,
				 CASE WHEN c.pause_automatic
					THEN format('LINE refuses the access token, and is asked again by itself. Another one, by line_notify.set_credential(%1$L, ...), or SELECT line_notify.resume(%1$L); resumes at once.', c.name)
					ELSE format('When the cause is fixed: SELECT line_notify.resume(%L);', c.name) END AS hint
		  FROM line_notify.channel c WHERE c.paused_at IS NOT NULL
		  UNION ALL
		  SELECT q.channel, 1, q.scope || ' ' || q.subject, format('paused %s: %s', line_notify._paused_part(q.scope, q.subject), q.reason),
				 CASE WHEN q.scope = 'endpoint' AND q.reason ~ '\m403\M'
					THEN format('SELECT * FROM line_notify.check_channel(%L); asks LINE. Source IP addresses in the channel''s Security tab can be the cause, too: LINE wants none there. ', q.channel)
					ELSE '' END ||
				 -- no more than that part: somebody may have paused the channel, too
				 format('When the cause is fixed: SELECT line_notify.resume(%L%s);', q.channel,
						CASE WHEN q.scope = 'template' THEN format(', template_key => %L', q.subject)
							 WHEN q.scope IN ('use_case', 'design') AND q.subject <> '' THEN format(', use_case => %L', q.subject) END)
		  FROM line_notify.partial_pause q) p
	ORDER BY p.channel, p.no, p.part
$$;
REVOKE ALL ON FUNCTION line_notify._health_pauses() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._health_pauses() IS 'part of health(): channels, and parts of them, that are paused';

CREATE FUNCTION line_notify._health_limits(OUT severity text, OUT subject text, OUT reason text, OUT hint text)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp ROWS 1
AS $$
	SELECT coalesce((SELECT w.severity FROM line_notify._due_channels() w WHERE w.channel = c.name), 'warning'), 'channel ' || c.name,
		format('the daily budget of %s messages is used up', c.daily_budget),
		format('It goes on at midnight (%s); SELECT line_notify.alter_channel(%L, daily_budget => ...); raises it.', c.time_zone, c.name)
	FROM line_notify.channel c
	JOIN line_notify.daily_sent d ON d.channel = c.name AND d.day = (clock_timestamp() AT TIME ZONE c.time_zone)::date
	WHERE c.daily_budget <= d.sent
	UNION ALL
	SELECT 'info', 'channel ' || c.name, format('quiet hours until %s', q.until), NULL
	FROM line_notify.channel c, LATERAL line_notify._quiet_until(c.quiet_hours, c.time_zone, clock_timestamp()) q(until)
	WHERE q.until IS NOT NULL
$$;
REVOKE ALL ON FUNCTION line_notify._health_limits() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._health_limits() IS 'part of health(): quiet hours and daily budgets';

CREATE FUNCTION line_notify._health_credentials(OUT severity text, OUT subject text, OUT reason text, OUT hint text)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp ROWS 1
AS $$
	SELECT 'error', 'channel ' || c.name, 'no credential to send with',
		format('SELECT line_notify.set_credential(%L, ''access_token'', ''file:/path'');', c.name)
	FROM line_notify.channel c
	WHERE NOT EXISTS (SELECT FROM line_notify.credential k WHERE k.channel = c.name AND k.kind IN ('access_token', 'client_secret', 'jwt_key'))
	UNION ALL
	SELECT 'error', 'channel ' || k.channel, format('the file of credential %s: %s', k.kind, f.fault),
		'The file must be readable by the server''s user, and by nobody else, on every node that may send.'
	FROM line_notify.credential k, LATERAL line_notify._secret_fault(k.kind, k.value) f(fault)
	WHERE k.value LIKE 'file:%' AND f.fault IS NOT NULL
$$;
REVOKE ALL ON FUNCTION line_notify._health_credentials() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._health_credentials() IS 'part of health(): credentials, and their files on this server';

CREATE FUNCTION line_notify._health_certificates(OUT severity text, OUT subject text, OUT reason text, OUT hint text)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp ROWS 1
AS $$
	SELECT 'error', 'channel ' || c.name, format('ca_file %s', f.fault),
		format('Install it on every node that may send, or SELECT line_notify.alter_channel(%L, ca_file => '''');', c.name)
	FROM (SELECT DISTINCT x.ca_file FROM line_notify.channel x WHERE x.ca_file IS NOT NULL) a,
		 LATERAL line_notify._ca_fault(a.ca_file) f(fault),
		 line_notify.channel c
	WHERE f.fault IS NOT NULL AND c.ca_file = a.ca_file
	ORDER BY c.name
$$;
REVOKE ALL ON FUNCTION line_notify._health_certificates() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._health_certificates() IS 'part of health(): the files of certificates, on this server';

-- What the worker says of an endpoint, when something is due.
CREATE FUNCTION line_notify._health_endpoints(OUT severity text, OUT subject text, OUT reason text, OUT hint text)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp ROWS 1
AS $$
	SELECT w.severity, 'channel ' || v.channel,
		format('%s messages wait: %s: %s', string_agg(v.endpoint, ' and ' ORDER BY v.endpoint DESC), w.reason, w.meaning_en),
		format('What ends it: %s.', w.what_ends_it)
	FROM line_notify._due_channels() d
	JOIN line_notify._endpoint_verdicts() v ON v.channel = d.channel
	JOIN line_notify._waiting_reasons() w ON w.no = v.no
	WHERE d.since <= clock_timestamp() AND w.severity IS NOT NULL
	  AND w.no NOT IN (SELECT s.no FROM line_notify._endpoint_verdict(NULL, NULL, false, false, false, false, true, NULL, NULL, NULL) s)
	GROUP BY w.severity, v.channel, w.reason, w.meaning_en, w.what_ends_it
	ORDER BY v.channel, w.reason
$$;
REVOKE ALL ON FUNCTION line_notify._health_endpoints() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._health_endpoints() IS 'part of health(): what the worker waits for with messages of a channel';

CREATE FUNCTION line_notify._health_tokens(OUT severity text, OUT subject text, OUT reason text, OUT hint text)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp ROWS 1
AS $$
	SELECT 'error', 'channel ' || t.channel, format('no access token since %s: %s', date_trunc('second', t.since), t.error),
		format('It is asked for again by itself, every minute at least; SELECT * FROM line_notify.check_channel(%L) tries each step now.', t.channel)
	FROM line_notify.token_status t
	-- a bad file has a row of its own, also while a token read before goes on
	WHERE t.error NOT LIKE 'its file cannot be read: %'
	ORDER BY t.channel
$$;
REVOKE ALL ON FUNCTION line_notify._health_tokens() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._health_tokens() IS 'part of health(): channels that LINE gives no access token for';

CREATE FUNCTION line_notify._health_network(OUT severity text, OUT subject text, OUT reason text, OUT hint text)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp ROWS 1
AS $$
	WITH s AS MATERIALIZED (
			SELECT x.* FROM line_notify._stats() x WHERE x.database = line_notify._database_oid()),
		 d AS MATERIALIZED (
			SELECT w.* FROM line_notify._due_channels() w
			WHERE EXISTS (SELECT FROM s WHERE s.breaker <> 'closed' OR s.blocked_until > clock_timestamp()))
	SELECT coalesce(d.severity, 'warning'), 'channel ' || c.name, r.reason, r.hint
	FROM line_notify.channel c
	JOIN LATERAL (
		SELECT s.endpoint,
			format('%s messages: LINE said wait until %s%s', s.endpoint, date_trunc('second', s.blocked_until),
				   -- the latest error may be of another message, and of a shorter wait
				   CASE WHEN s.last_error_pauses THEN ', ' || s.last_error_text END) AS reason,
			'It goes on by itself. If 429 is frequent, lower rate_limit; LINE''s plan may also have a monthly limit. A 503 is an overload or maintenance at LINE.' AS hint
		FROM s WHERE s.channel = c.name AND s.blocked_until > clock_timestamp()
		UNION ALL
		-- one breaker serves both endpoints
		(SELECT s.endpoint,
			format('the circuit breaker is %s: a run of requests failed%s', s.breaker,
				   format(', last %s at %s', concat_ws(': ', e.last_error, e.last_error_text), date_trunc('second', e.last_error_at))),
			concat_ws(' ', line_notify._outage_hint(e.last_error, e.last_error_text, c.api_base, c.proxy, c.total_timeout),
				format('It goes on by itself when a question, and then a message, is answered; SELECT * FROM line_notify.check_channel(%L) tries each step now.', c.name))
		 FROM s LEFT JOIN LATERAL (
			SELECT l.* FROM s l WHERE l.channel = c.name AND l.last_error IS NOT NULL ORDER BY l.last_error_at DESC LIMIT 1) e ON true
		 WHERE s.channel = c.name AND s.breaker <> 'closed'
		   AND NOT EXISTS (SELECT FROM s b WHERE b.channel = c.name AND b.blocked_until > clock_timestamp())
		 ORDER BY s.endpoint LIMIT 1)) r ON true
	LEFT JOIN d ON d.channel = c.name
	ORDER BY c.name, r.endpoint
$$;
REVOKE ALL ON FUNCTION line_notify._health_network() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._health_network() IS 'part of health(): open circuit breakers, and what LINE said to wait for';

-- A message that cannot be claimed is in quarantine for an hour: one is its own
-- fault, many are ours.
CREATE FUNCTION line_notify._health_quarantine(OUT severity text, OUT subject text, OUT reason text, OUT hint text)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp ROWS 1
AS $$
	SELECT coalesce(d.severity, 'warning'), 'channel ' || c.name,
		format('%s messages could not be claimed and are in quarantine for an hour, such as %s: %s', count(*), min(q.id), left(min(q.error), 200)),
		'Look for constraints, triggers and rules of others on line_notify.in_flight and line_notify.outbox; then SELECT line_notify.reschedule(...) sends them at once.'
	FROM line_notify.channel c
	CROSS JOIN generate_series(0, @{LN_LANES} - 1) l(no)
	CROSS JOIN LATERAL (SELECT o.id, o.error FROM line_notify.outbox o
						WHERE o.channel = c.name AND o.lane = l.no::smallint AND o.due_at > clock_timestamp() AND o.due_at < clock_timestamp() + interval '1 hour'
						ORDER BY o.due_at DESC LIMIT 1000) q
	LEFT JOIN line_notify._due_channels() d ON d.channel = c.name
	WHERE q.error LIKE 'in quarantine: %'
	GROUP BY c.name, d.severity
	ORDER BY c.name
$$;
REVOKE ALL ON FUNCTION line_notify._health_quarantine() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._health_quarantine() IS 'part of health(): messages that cannot be claimed';

CREATE FUNCTION line_notify._health_late(OUT severity text, OUT subject text, OUT reason text, OUT hint text)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp ROWS 1
AS $$
	SELECT d.severity, 'channel ' || d.channel, format('messages that are due wait since %s', date_trunc('second', d.since)),
		'More are due than the rate limit lets pass, or no worker runs; see views stats, workers and batches.'
	FROM line_notify._due_channels() d
	JOIN line_notify.channel c ON c.name = d.channel
	WHERE d.since < clock_timestamp() - interval '1 minute'
	ORDER BY d.channel
$$;
REVOKE ALL ON FUNCTION line_notify._health_late() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._health_late() IS 'part of health(): channels that are late, for no reason that another part knows';

-- ---- channels: what becomes of what is sent

CREATE FUNCTION line_notify._health_unanswered(OUT severity text, OUT subject text, OUT reason text, OUT hint text)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp ROWS 1
AS $$
	SELECT 'warning', 'channel ' || c.name,
		CASE WHEN u.overdue > 0 THEN format('%s requests unanswered for up to %s seconds, while later ones are answered', u.overdue, u.seconds)
			 ELSE format('%s requests unanswered for up to %s seconds', u.n, u.seconds) END,
		CASE WHEN u.overdue > 0 THEN format('They end after total_timeout (%s), as unknown or to be sent again; they take places of max_in_flight (%s) until then.', c.total_timeout, c.max_in_flight)
			 ELSE format('They end after total_timeout (%s); SELECT * FROM line_notify.check_channel(%L) tries each step now.', c.total_timeout, c.name) END
	FROM line_notify.channel c
	JOIN (SELECT x.channel, sum(x.on_the_wire) AS n, max(x.overdue) AS overdue,
				 extract(epoch FROM clock_timestamp() - min(x.since))::integer AS seconds
		  FROM line_notify._unanswered() x
		  GROUP BY x.channel
		  HAVING min(x.since) < clock_timestamp() - interval '5 seconds') u ON u.channel = c.name
	ORDER BY c.name
$$;
REVOKE ALL ON FUNCTION line_notify._health_unanswered() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._health_unanswered() IS 'part of health(): requests that nobody answers';

-- Accepted messages of the last day around which no event came, and among those
-- the ones that a consumer waits for, since confirm_within is set.
CREATE FUNCTION line_notify._health_delivery(OUT severity text, OUT subject text, OUT reason text, OUT hint text)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp ROWS 1
AS $$
	WITH silent AS MATERIALIZED (
		SELECT m.channel, m.minute, m.accepted
		FROM (SELECT q.channel, q.minute, sum(q.accepted) AS accepted,
					 sum(sum(q.delivered)) OVER (PARTITION BY q.channel ORDER BY q.minute
						RANGE BETWEEN INTERVAL '15 minutes' PRECEDING AND INTERVAL '15 minutes' FOLLOWING) AS heard_of
			  FROM line_notify.minute_count q
			  WHERE q.minute > clock_timestamp() - interval '25 hours 15 minutes'
			  GROUP BY q.channel, q.minute) m
		WHERE m.heard_of = 0 AND m.accepted > 0 AND m.minute > clock_timestamp() - interval '25 hours')
	SELECT CASE c.on_silence WHEN 'unconfirmed' THEN 'info' ELSE 'warning' END, 'channel ' || c.name,
		format('no delivery event came for %s messages that LINE accepted between %s and %s', sum(m.accepted),
			   to_char(min(m.minute), 'YYYY-MM-DD HH24:MI'), to_char(max(m.minute), 'YYYY-MM-DD HH24:MI TZ')),
		'Check that LINE''s webhook reaches line_notify.receive_webhook(). Without events these messages stay accepted.'
	FROM line_notify.channel c JOIN silent m ON m.channel = c.name
	WHERE m.minute < clock_timestamp() - interval '16 minutes'
	GROUP BY c.name
	UNION ALL
	SELECT 'error', 'channel ' || c.name,
		format('%s messages that LINE accepted since %s are not handed out as unconfirmed: no delivery event came for any message of that time', sum(m.accepted),
			   to_char(min(m.minute), 'YYYY-MM-DD HH24:MI TZ')),
		format('Connect LINE''s webhook to line_notify.receive_webhook(). If it is not connected on purpose, SELECT line_notify.alter_channel(%L, on_silence => ''unconfirmed''); hands them out.', c.name)
	FROM line_notify.channel c JOIN silent m ON m.channel = c.name
	JOIN line_notify.sweep_mark s ON s.channel = c.name AND m.minute >= s.withheld AND m.minute < s.unconfirmed
	WHERE c.confirm_within IS NOT NULL AND c.on_silence = 'withhold'
	GROUP BY c.name
$$;
REVOKE ALL ON FUNCTION line_notify._health_delivery() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._health_delivery() IS 'part of health(): accepted messages that no delivery event tells of';

CREATE FUNCTION line_notify._health_outcomes(OUT severity text, OUT subject text, OUT reason text, OUT hint text)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp ROWS 1
AS $$
	SELECT r.severity, 'channel ' || r.channel, r.reason, r.hint
	FROM (SELECT h.channel, x.no, 'warning' AS severity, x.reason, x.hint
		  FROM (SELECT m.channel, sum(m.unknown) AS unknown, sum(m.unreachable) AS unreachable, sum(m.answered) AS answered,
					 sum(m.refused) AS refused
				FROM line_notify.minute_count m WHERE m.minute > clock_timestamp() - interval '1 hour'
				GROUP BY m.channel) h,
			   LATERAL (VALUES
				(1, h.unknown > 0, format('%s messages of the last hour ended as unknown: sent, and LINE did not say whether it took them', h.unknown),
				 'The delivery webhook settles them; line_notify.redrive(..., allow_duplicates => true) sends again.'),
				-- some are always out of reach; most of them is another matter
				(2, h.unreachable >= 20 AND h.unreachable * 2 > h.answered,
				 format('%s of the %s messages that LINE answered in the last hour are unreachable (422)', h.unreachable, h.answered),
				 concat_ws(' ', 'LINE answers 422 when nobody uses LINE with the number, the number is not of Japan, Thailand or Taiwan, the user has switched notification messages off, or has not accepted the privacy policy of March 2022. If nearly all are, look for a wrong region or column.',
					(SELECT '(ja) ' || s.description_ja FROM line_notify.states s WHERE s.state = 'unreachable'))),
				(6, h.refused >= 20 AND h.refused * 2 > h.answered,
				 format('%s of the %s messages that LINE answered in the last hour were refused', h.refused, h.answered),
				 'Columns http_status and error of line_notify.notifications have the answers; line_notify.check_message() names each rule of LINE that a content breaks.')
			   ) x(no, holds, reason, hint)
		  WHERE x.holds
		  UNION ALL
		  -- silence is known a day later
		  SELECT c.name, 3, 'warning',
				 format('%s messages of the last two days are undelivered, and %s delivered: LINE accepted them, and no delivery event came', u.undelivered, u.delivered),
				 concat_ws(' ', 'LINE says so by silence when the user has blocked the account, or has not answered the question for consent or confirmed the number by SMS within 24 hours. doc/outcomes.md tells what a user can do.',
					(SELECT '(ja) ' || s.description_ja FROM line_notify.states s WHERE s.state = 'undelivered'))
		  FROM line_notify.channel c,
			   LATERAL (SELECT coalesce(sum(d.n) FILTER (WHERE d.outcome = 'undelivered'), 0) AS undelivered,
							   coalesce(sum(d.n) FILTER (WHERE d.outcome = 'delivered'), 0) AS delivered
						FROM line_notify.daily_count d
						WHERE d.channel = c.name AND d.day >= (clock_timestamp() AT TIME ZONE 'Asia/Tokyo')::date - 2) u
		  WHERE u.undelivered >= 20 AND u.undelivered > u.delivered
		  UNION ALL
		  SELECT d.channel, 4, 'info', format('%s delivery events since yesterday were for messages that are not in this database', sum(d.n)),
				 'Another database or program sends through this LINE channel, which has one webhook: let the receiver hand each call to every database (--dsn several times).'
		  FROM line_notify.channel c
		  JOIN line_notify.daily_count d ON d.channel = c.name AND d.day >= (clock_timestamp() AT TIME ZONE 'Asia/Tokyo')::date - 1
		  WHERE d.outcome = 'elsewhere'
		  GROUP BY d.channel HAVING sum(d.n) > 0
		  UNION ALL
		  SELECT u.channel, 5, 'warning', format('LINE counts %s names of aggregation units this month; beyond 1,000 it keeps no statistics of new ones', u.units),
				 'Use few, stable names (the default is the key of the use case); messages are sent nevertheless.'
		  FROM line_notify.unit_usage u
		  WHERE u.units >= 900 AND u.month = date_trunc('month', clock_timestamp() AT TIME ZONE 'Asia/Tokyo')::date) r
	WHERE EXISTS (SELECT FROM line_notify.channel c WHERE c.name = r.channel)
	ORDER BY r.channel, r.no
$$;
REVOKE ALL ON FUNCTION line_notify._health_outcomes() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._health_outcomes() IS 'part of health(): shares of outcomes that mean something';

CREATE FUNCTION line_notify._health_contents(OUT severity text, OUT subject text, OUT reason text, OUT hint text)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp ROWS 1
AS $$
	SELECT 'info', 'channel ' || w.channel,
		format('%s of the latest %s messages have content that LINE may refuse, such as: %s', count(w.found), count(*), left(min(w.found), 200)),
		'Column content_warnings of line_notify.notifications says which; line_notify.check_message() says why.'
	FROM (SELECT m.channel, line_notify._content_warnings(m.template_key, m.body, m.messages) AS found
		  FROM ((SELECT o.channel, o.template_key, o.body, o.messages FROM line_notify.outbox o ORDER BY o.id DESC LIMIT 500)
				UNION ALL
				(SELECT h.channel, h.template_key, h.body, h.messages FROM line_notify.history h ORDER BY h.id DESC LIMIT 500)) m) w
	GROUP BY w.channel HAVING count(w.found) > 0
	ORDER BY w.channel
$$;
REVOKE ALL ON FUNCTION line_notify._health_contents() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._health_contents() IS 'part of health(): doubtful contents of the latest messages, waiting and sent';

-- Each part by itself: what one of them meets, a lock, a missing privilege, a
-- want of memory or of time, is told, and the others are heard.
CREATE FUNCTION line_notify.health(OUT severity text, OUT subject text, OUT reason text, OUT hint text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	SET lock_timeout = '50ms' SET jit = off SET max_parallel_workers_per_gather = 0
AS $$
DECLARE
	ends timestamptz := clock_timestamp() + interval '900 milliseconds';
	part_ends timestamptz;
	told text[] := '{}';	-- subjects
	unseen text[] := '{}';	-- for want of time
	p record;
	wrong text;
BEGIN
	FOR p IN
		SELECT v.name, v.looks_at
		FROM (VALUES
			('server', 'the settings of the server', true),
			('settings', 'the settings of roles', true),
			('worker', 'the worker', true),
			('held_worker', 'what the worker waits for', false),
			('history', 'partitions of line_notify.history', false),
			('set_aside', 'line_notify.set_aside', true),
			('promotion', 'line_notify.identity', true),
			('nodes', 'standby servers', false),
			('publications', 'publications', true),
			('channels', 'line_notify.channel and outbox', true),
			('disarmed', 'where channels may send from', true),
			('pauses', 'pauses', true),
			('credentials', 'credentials', true),
			('certificates', 'certificates', true),
			('limits', 'quiet hours and budgets', true),
			('tokens', 'access tokens', false),
			('network', 'circuit breakers', false),
			('endpoints', 'what messages wait for', false),
			('quarantine', 'messages that cannot be claimed', false),
			('late', 'messages that are late', false),
			('unanswered', 'requests on the wire', false),
			('leases', 'line_notify.in_flight', false),
			('events', 'line_notify.webhook_event', false),
			('transactions', 'open transactions', false),
			('delivery', 'delivery events', false),
			('outcomes', 'counts of outcomes', false),
			('retention', 'what is to be forgotten', false),
			('privileges', 'privileges', true),
			('contents', 'contents', false)) v(name, looks_at, on_standby)
		WHERE v.on_standby OR NOT pg_is_in_recovery()
	LOOP
		wrong := NULL;
		IF clock_timestamp() >= ends THEN
			unseen := unseen || p.looks_at;
			CONTINUE;
		END IF;
		-- none may use up the time of all
		part_ends := least(ends, clock_timestamp() + interval '300 milliseconds');
		BEGIN
			PERFORM line_notify._time_limit(greatest(ceil(extract(epoch FROM part_ends - clock_timestamp()) * 1000), 1)::integer);
			BEGIN
				FOR severity, subject, reason, hint IN EXECUTE format('SELECT h.* FROM line_notify._health_%s() h', p.name)
				LOOP
					CONTINUE WHEN p.name = 'late' AND subject = ANY (told);
					told := told || subject;
					RETURN NEXT;
				END LOOP;
			EXCEPTION WHEN OTHERS THEN
				wrong := SQLERRM;
			END;
			PERFORM line_notify._time_limit(NULL);
		EXCEPTION WHEN query_canceled THEN
			IF clock_timestamp() < part_ends THEN
				RAISE;			-- it was not us
			END IF;
			PERFORM line_notify._time_limit(NULL);
			unseen := unseen || p.looks_at;
		END;
		IF wrong IS NOT NULL THEN
			severity := 'warning';
			subject := 'health';
			reason := format('could not look at %s: %s', p.looks_at, wrong);
			hint := 'What is wrong there is not told until this is fixed.';
			RETURN NEXT;
		END IF;
	END LOOP;
	IF unseen <> '{}' THEN
		severity := 'warning';
		subject := 'health';
		reason := format('did not look at everything, for want of time: %s', array_to_string(unseen, ', '));
		hint := 'The server is busy, or our tables are bloated: see pg_stat_user_tables.';
		RETURN NEXT;
	END IF;
END
$$;
REVOKE ALL ON FUNCTION line_notify.health() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION line_notify.health() TO pg_monitor;
COMMENT ON FUNCTION line_notify.health() IS 'Everything that stops or slows delivery, with what to do; no row = all is well.  Neither fails nor waits: says what it could not look at within a second';
