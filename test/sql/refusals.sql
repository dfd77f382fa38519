-- Whatever there is, from the catalogs, so that a new function, filter or
-- setting comes under test by being there: every function is refused to every
-- role that lacks its grant; every filter that matches nothing changes nothing;
-- every setting out of range is refused, of the server, a channel, a message.
\set VERBOSITY sqlstate
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS line_notify CASCADE;
CREATE EXTENSION line_notify;
SELECT line_notify.create_channel('shop'), line_notify.create_channel('empty'), line_notify.set_credential('shop', 'channel_secret', 'secret');
CREATE ROLE regress_ln_nobody;
CREATE ROLE regress_ln_sender;
CREATE ROLE regress_ln_support;
CREATE ROLE regress_ln_operator;
CREATE ROLE regress_ln_webhook;
CREATE ROLE regress_ln_privacy;
CREATE ROLE regress_ln_monitor;
GRANT pg_monitor TO regress_ln_monitor;
SELECT line_notify.grant_sender('regress_ln_sender', '{shop}'), line_notify.grant_support('regress_ln_support'),
	line_notify.grant_operator('regress_ln_operator'), line_notify.grant_webhook('regress_ln_webhook', true), line_notify.grant_privacy('regress_ln_privacy');

-- 1. functions.  NULLs that the planner cannot see, or it would not call a STRICT one
CREATE FUNCTION call(f oid) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	p record;
	args text;
BEGIN
	SELECT q.*, n.nspname INTO p FROM pg_proc q JOIN pg_namespace n ON n.oid = q.pronamespace WHERE q.oid = f;
	SELECT string_agg(format('nothing.x::%s', format_type(t.type, NULL)), ', ' ORDER BY t.no) INTO args
	FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY t(type, no);
	IF p.provariadic <> 0 THEN
		args := regexp_replace(args, '(.*)nothing', '\1VARIADIC nothing');
	END IF;
	IF p.prokind = 'p' THEN
		EXECUTE format('CALL %I.%I(%s)', p.nspname, p.proname, replace(coalesce(args, ''), 'nothing.x', 'NULL'));
	ELSE
		EXECUTE format('SELECT %I.%I(%s) FROM (SELECT NULL::text AS x OFFSET 0) nothing', p.nspname, p.proname, coalesce(args, ''));
	END IF;
	RETURN 'called';
EXCEPTION WHEN insufficient_privilege THEN
	RETURN 'refused';
WHEN others THEN
	RETURN SQLSTATE;
END $$;
GRANT EXECUTE ON FUNCTION call(oid) TO PUBLIC;
CREATE TABLE tried (role text, function text, result text);
DO $$
DECLARE
	r record;
	result text;
BEGIN
	FOR r IN
		SELECT o.rolname, p.oid, p.oid::regprocedure::text AS signature
		FROM pg_roles o, pg_proc p
		WHERE o.rolname LIKE 'regress\_ln\_%' AND p.pronamespace = 'line_notify'::regnamespace
		  AND p.prorettype <> 'trigger'::regtype
		  AND NOT has_function_privilege(o.oid, p.oid, 'EXECUTE')
	LOOP
		EXECUTE format('SET LOCAL ROLE %I', r.rolname);
		result := call(r.oid);
		RESET ROLE;
		INSERT INTO tried VALUES (r.rolname, r.signature, result);
	END LOOP;
END $$;
SELECT role, count(*) > 40 AS many FROM tried WHERE result = 'refused' GROUP BY 1 ORDER BY 1;
SELECT * FROM tried WHERE result <> 'refused';
-- nothing that acts is for everybody, and triggers for nobody
SELECT p.oid::regprocedure FROM pg_proc p
WHERE p.pronamespace = 'line_notify'::regnamespace AND has_function_privilege('regress_ln_nobody', p.oid, 'EXECUTE')
  AND (p.provolatile = 'v' OR p.prosecdef OR p.prorettype = 'trigger'::regtype
	   OR p.prolang = (SELECT l.oid FROM pg_language l WHERE l.lanname = 'line_notify_plpgsql'))
ORDER BY p.oid::regprocedure::text;
-- tables and views
SELECT c.relname FROM pg_class c
WHERE c.relnamespace = 'line_notify'::regnamespace AND c.relkind IN ('r', 'v', 'p', 'S')
  AND has_table_privilege('regress_ln_nobody', c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE')
ORDER BY 1;

-- 2. filters.  An operator function is what has ids, from_time and to_time; a filter is what all of them have
INSERT INTO line_notify.outbox (phone, use_case, template_key, channel, batch, reference, dedup_key, send_after)
SELECT '09012345678', 'reservation', 'tpl', 'shop', 'b', 'r', 'd' || i, now() + interval '1 hour' FROM generate_series(1, 3) i;
SELECT line_notify._ensure_history(10) > 10 AS history;
INSERT INTO line_notify.history (id, channel, recipient, use_case, template_key, batch, reference, dedup_key, state, created_at, ended_at)
SELECT 100 + i, 'shop', repeat('a', 64), 'reservation', 'tpl', 'b', 'r', 'e' || i, 'failed', now(), now() FROM generate_series(1, 3) i;
CREATE TABLE before AS SELECT * FROM line_notify.notifications;
CREATE FUNCTION verbs(OUT f oid, OUT verb text) RETURNS SETOF record LANGUAGE sql AS $$
	SELECT oid, proname FROM pg_proc WHERE pronamespace = 'line_notify'::regnamespace
	AND proname !~ '^_' AND proargnames @> '{ids,from_time,to_time}' $$;
CREATE FUNCTION filters(OUT filter text, OUT type text) RETURNS SETOF record LANGUAGE sql AS $$
	SELECT a.name, format_type(p.proargtypes[a.no - 1], NULL)
	FROM verbs() v JOIN pg_proc p ON p.oid = v.f, unnest(p.proargnames) WITH ORDINALITY a(name, no)
	WHERE a.no <= p.pronargs
	GROUP BY 1, 2 HAVING count(*) = (SELECT count(*) FROM verbs()) AND a.name <> 'dry_run' $$;
SELECT verb FROM verbs() ORDER BY 1;
CREATE FUNCTION nothing(verb text, filter text, type text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	value text := CASE WHEN filter = 'channel' THEN 'empty' WHEN filter = 'from_time' THEN 'infinity' WHEN filter = 'to_time' THEN '-infinity'
		WHEN type = 'bigint[]' THEN '{-1}' WHEN type = 'text' THEN 'nothing' WHEN type = 'line_notify.use_case' THEN 'outage'
		WHEN type = 'line_notify.message_state' THEN 'expired' END;
	result text;
BEGIN
	EXECUTE format('SELECT x::text FROM line_notify.%I(%I => %L%s) x', verb, filter, value,
		CASE verb WHEN 'reschedule' THEN ', spread => ''0''' ELSE '' END) INTO result;
	RETURN result;
END $$;
SELECT v.verb, f.filter, nothing(v.verb, f.filter, f.type) FROM verbs() v, filters() f ORDER BY 1, 2;
SELECT count(*) FROM (TABLE before EXCEPT SELECT * FROM line_notify.notifications) x;
-- the others
SELECT line_notify.resume('empty'), line_notify.resume('shop', use_case => 'outage'), line_notify.resume('shop', template_key => 'nothing');
SELECT * FROM line_notify.take_outcomes(channel => 'empty');
SELECT * FROM line_notify.take_outcomes(states => '{expired}');
SELECT * FROM line_notify.find_notifications(reference => 'nothing');
SELECT * FROM line_notify.find_notifications(phone => '09087654321');
SELECT * FROM line_notify.find_notifications(recipient => repeat('b', 64));
SELECT * FROM line_notify.find_notifications(reference => 'r', channel => 'empty');
SELECT line_notify.suppress_recipient('09087654321'), line_notify.unsuppress_recipient('09087654321'), line_notify.unsuppress_recipient('09087654321');
SELECT line_notify.forget_recipient('09087654321');
-- no filter, and what is no value of one
SELECT verb, (SELECT call(f)) FROM verbs() ORDER BY 1;
SELECT * FROM line_notify.cancel(channel => 'gone');
SELECT * FROM line_notify.cancel(ids => '{NULL}');
SELECT * FROM line_notify.reschedule(batch => 'b');
SELECT * FROM line_notify.redrive(state => 'queued');
SELECT line_notify.pause('gone');
SELECT line_notify.resume('gone');
SELECT * FROM line_notify.take_outcomes(max => 0);
SELECT * FROM line_notify.take_outcomes(states => '{sent}');
SELECT * FROM line_notify.take_outcomes(consumer => 'no such name');
SELECT line_notify.set_consumer('mail', 'gone');
SELECT line_notify.drop_consumer('nobody');
SELECT line_notify.wait_for(1, '-1 second');
SELECT line_notify.wait_for(1, '31 days');

-- 3. settings of the server: ALTER SYSTEM checks values, and nothing is to be changed by this
SELECT format('ALTER SYSTEM SET %s = %L', s.name, b.value)
FROM pg_settings s,
	 LATERAL (SELECT (s.min_val::bigint - 1)::text AS value WHERE s.vartype = 'integer'
			  UNION ALL SELECT (s.max_val::bigint + 1)::text WHERE s.vartype = 'integer'
			  UNION ALL SELECT 'perhaps' WHERE s.vartype IN ('bool', 'enum', 'integer')) b
WHERE s.name LIKE 'line\_notify.%' AND s.context <> 'postmaster'
ORDER BY s.name, b.value \gexec
SELECT name FROM pg_settings WHERE name LIKE 'line\_notify.%' AND vartype = 'string' ORDER BY 1;	-- any text
SELECT name FROM pg_settings WHERE name LIKE 'line\_notify.%' AND setting <> boot_val AND name <> 'line_notify.enabled';

-- 4. settings of a channel
CREATE TABLE bad (setting text, value text);
INSERT INTO bad VALUES
	('api_base', 'http://api.line.me'), ('api_base', 'https://api.line.me/v2'), ('api_base', 'ftp://x'), ('api_base', ''),
	('line_channel_id', ''), ('line_channel_id', 'a b'), ('region', 'Japan'), ('region', 'XX'),
	('rate_limit', '0'), ('rate_limit', '2001'), ('max_in_flight', '0'), ('max_in_flight', '10001'),
	('default_ttl', '0'), ('default_ttl', '-1 day'), ('default_ttl', '3661 days'), ('confirm_within', '-1 s'), ('confirm_within', '25 hours'),
	('on_silence', 'undelivered'), ('on_invalid', 'ignore'), ('unknown_content', 'ignore'), ('on_unknown', 'drop'), ('on_server_error', ''), ('max_attempts', '-1'), ('max_attempts', '10001'),
	('backoff_base', '1 ms'), ('backoff_base', '2 hours'), ('backoff_cap', '1 ms'), ('backoff_cap', '2 days'),
	('connect_timeout', '0'), ('connect_timeout', '6 minutes'), ('total_timeout', '0'), ('total_timeout', '11 minutes'),
	('proxy', 'socks5://x'), ('proxy', 'http://a b'), ('ca_file', 'relative.pem'), ('ca_file', E'/new\nline'),
	('settle_window', '-1 s'), ('settle_window', '2 days'), ('dedup_window', '0'), ('dedup_window', '11 years'), ('on_duplicate', 'error'),
	('time_zone', 'JST'), ('quiet_hours', '25:00-08:00'), ('quiet_hours', '08:00-08:00'), ('daily_budget', '-1'),
	('only_recipients', '{nobody}'), ('only_recipients', '{NULL}');
-- whatever alter_channel() takes and the table above has not; a boolean has no range
SELECT a.name, format_type(p.proargtypes[a.no - 1], NULL)
FROM pg_proc p, unnest(p.proargnames) WITH ORDINALITY a(name, no)
WHERE p.oid = 'line_notify.alter_channel'::regproc AND a.name NOT IN (SELECT setting FROM bad)
ORDER BY a.no;
CREATE FUNCTION set_channel(setting text, value text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('SELECT line_notify.alter_channel(''shop'', %I => %L)', setting, value);
	RETURN 'taken';
EXCEPTION WHEN others THEN
	RETURN SQLSTATE;
END $$;
SELECT set_channel(setting, value), count(*) FROM bad GROUP BY 1;
SELECT setting, value FROM bad WHERE set_channel(setting, value) = 'taken';
SELECT line_notify.alter_channel('shop', rate_limit => 100000, api_base => 'http://127.0.0.1:1');

-- 5. policies of a message, options of enqueue()
CREATE FUNCTION put(options text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM line_notify.enqueue('09012345678', 'reservation', 'tpl', channel => 'shop', options => options::jsonb);
	RETURN 'taken';
EXCEPTION WHEN others THEN
	RETURN SQLSTATE;
END $$;
SELECT p, put(jsonb_build_object('policy', p::jsonb)::text) FROM unnest(ARRAY[
	'{}', '{"max_attempts": 1}', '{"max_attempts": 10000}', '{"max_attempts": 0}', '{"max_attempts": "3"}', '{"max_attempts": null}',
	'{"on_unknown": "retry"}', '{"on_server_error": "hold"}', '{"on_invalid": "park"}',
	'{"backoff_base": "10 ms"}', '{"backoff_base": "1 hour"}', '{"backoff_cap": "1 day"}', '{"settle_window": "0"}', '{"settle_window": "PT24H"}', '{"dedup_window": "1 second"}',
	'{"backoff_base": "00:00:05", "backoff_cap": "1 minute", "on_unknown": "retry", "on_server_error": "retry", "max_attempts": 5}',
	'[]', '7', '"retry"', 'null', '{"colour": "red"}', '{"max_attempts": -1}', '{"max_attempts": 10001}', '{"max_attempts": 1.5}', '{"max_attempts": 1e30}', '{"max_attempts": true}',
	'{"max_attempts": [1]}', '{"on_unknown": "drop"}', '{"on_unknown": ""}', '{"on_unknown": 1}', '{"on_server_error": {}}', '{"on_invalid": "ignore"}',
	'{"backoff_base": "9 ms"}', '{"backoff_base": "61 minutes"}', '{"backoff_base": 5}', '{"backoff_base": "soon"}', '{"backoff_cap": "25 hours"}', '{"backoff_cap": "-1 s"}',
	'{"settle_window": "-1 s"}', '{"settle_window": "25 hours"}', '{"settle_window": "9999999999 years"}', '{"dedup_window": "0"}', '{"dedup_window": "4000 days"}', '{"dedup_window": ""}']) WITH ORDINALITY u(p, n) ORDER BY n;
SELECT o, put(o) FROM unnest(ARRAY[
	'{"priority": 11}', '{"priority": -11}', '{"priority": "high"}', '{"priority": 40000}', '{"spread": "-1 s"}', '{"spread": "367 days"}', '{"spread": "wide"}',
	'{"send_after": "infinity"}', '{"send_after": "soon"}', '{"expires_at": "infinity"}', '{"dedup_key": ""}', '{"order_key": ""}', '{"on_duplicate": "error"}',
	'{"region": "XX"}', '{"notification_disabled": true}', '{"recipient": "abc"}', '{"aggregation_unit": ""}', '{"colour": "red"}']) WITH ORDINALITY u(o, n) ORDER BY n;
-- parsed alike by the worker, and in SQL
\set VERBOSITY default
\set SHOW_CONTEXT never
INSERT INTO line_notify.outbox (channel, phone, use_case, template_key, policy) VALUES ('shop', '09012345678', 'reservation', 'tpl', '{"max_attempts": "many"}');
INSERT INTO line_notify.outbox (channel, phone, use_case, template_key, policy) VALUES ('shop', '09012345678', 'reservation', 'tpl', '{"attempts": 1}');
INSERT INTO line_notify.outbox (channel, phone, use_case, template_key, policy) VALUES ('shop', '09012345678', 'reservation', 'tpl', '[1]');
-- a policy that counts at once: the window of a key, and what becomes of an invalid row
SELECT line_notify.enqueue('09012345678', 'reservation', 'tpl', channel => 'shop', options => '{"dedup_key": "week", "policy": {"dedup_window": "7 days"}}') > 0 AS queued;
SELECT until - now() BETWEEN '6 days 23 hours' AND '7 days' AS a_week FROM line_notify.dedup WHERE dedup_key = 'week';
SELECT line_notify.enqueue('12', 'reservation', 'tpl', channel => 'shop', options => '{"policy": {"on_invalid": "error"}}');
SELECT line_notify.enqueue('12', 'reservation', 'tpl', channel => 'shop', options => '{"reference": "parked"}') > 0 AS parked;
SET ROLE regress_ln_sender;
INSERT INTO line_notify.outbox (channel, phone, use_case, template_key, policy) VALUES ('shop', '09012345678', 'reservation', 'tpl', '{"on_unknown": "retry"}');
SELECT count(*) FROM line_notify.notifications WHERE policy ->> 'on_unknown' = 'retry';
RESET ROLE;

DROP FUNCTION call(oid), verbs(), filters(), nothing(text, text, text), set_channel(text, text), put(text);
DROP TABLE tried, before, bad;
DROP EXTENSION line_notify CASCADE;
DROP OWNED BY regress_ln_nobody, regress_ln_sender, regress_ln_support, regress_ln_operator, regress_ln_webhook, regress_ln_privacy, regress_ln_monitor;
DROP ROLE regress_ln_nobody, regress_ln_sender, regress_ln_support, regress_ln_operator, regress_ln_webhook, regress_ln_privacy, regress_ln_monitor;
