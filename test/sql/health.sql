-- health() names every reason why nothing is sent that can be brought about
-- without a worker: each line brings one about, looks for its row, and undoes
-- it.  (Throttling, an open breaker, a worker in trouble, standbys: TAP.)
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS line_notify;
SELECT severity, subject, reason FROM line_notify.health();
SELECT line_notify.create_channel('h', api_base => 'http://127.0.0.1:1');
SELECT line_notify.set_credential('h', 'access_token', 'secret');
SELECT line_notify._ensure_history(1) > 1 AS history;

CREATE TEMP TABLE fault (no serial, cause text, expected text, undo text);
INSERT INTO fault (cause, expected, undo) VALUES
('SELECT line_notify.pause(''h'', ''why'')', 'error | channel h | paused: why%', 'SELECT line_notify.resume(''h'')'),
('SELECT line_notify.pause(''h'', ''why'', template_key => ''t1'')', 'error | channel h | paused messages of template t1: why%', 'SELECT line_notify.resume(''h'')'),
('SELECT line_notify.pause(''h'', ''why'', use_case => ''reminder'')', 'error | channel h | paused messages of use case reminder: why%', 'SELECT line_notify.resume(''h'')'),
('INSERT INTO line_notify.partial_pause VALUES (''h'', ''endpoint'', ''flexible'', ''403'')', 'error | channel h | paused flexible messages: 403 | Security tab', 'DELETE FROM line_notify.partial_pause'),
('UPDATE line_notify.identity SET nodes = ''{elsewhere}''', 'error | channel h | disarmed: % is not where the channel was armed (nodes elsewhere)', 'SELECT line_notify.arm()'),
('UPDATE line_notify.channel SET home = 1', 'error | channel h | disarmed: %(unknown)', 'SELECT line_notify.arm()'),
('UPDATE line_notify.identity SET system_identifier = 1', 'error | channel h | disarmed: % of another cluster)', 'SELECT line_notify.arm()'),
('UPDATE line_notify.identity SET database = 1', 'error | channel h | disarmed: %, another database)', 'SELECT line_notify.arm()'),
('SELECT line_notify.alter_channel(''h'', quiet_hours => to_char(now() AT TIME ZONE ''Asia/Tokyo'' - interval ''1 hour'', ''HH24:MI'') || ''-'' || to_char(now() AT TIME ZONE ''Asia/Tokyo'' + interval ''1 hour'', ''HH24:MI''))',
	'info | channel h | quiet hours until %', 'SELECT line_notify.alter_channel(''h'', quiet_hours => '''')'),
('WITH d AS (INSERT INTO line_notify.daily_sent SELECT ''h'', (now() AT TIME ZONE ''Asia/Tokyo'')::date + i, 5 FROM generate_series(0, 1) i) SELECT line_notify.alter_channel(''h'', daily_budget => 5)',
	'warning | channel h | the daily budget of 5 messages is used up', 'SELECT line_notify.alter_channel(''h'', daily_budget => 0)'),
('SELECT line_notify.set_credential(''h'', ''access_token'', NULL)', 'error | channel h | no credential to send with', 'SELECT line_notify.set_credential(''h'', ''access_token'', ''secret'')'),
('SELECT line_notify.set_credential(''h'', ''access_token'', ''file:/nonexistent/token'')', 'error | channel h | the file of credential access_token: could not open the file: %', 'SELECT line_notify.set_credential(''h'', ''access_token'', ''secret'')'),
('SELECT line_notify.set_credential(''h'', ''channel_secret'', ''file:/tmp'')', 'error | channel h | the file of credential channel_secret: it is not a regular file', 'DELETE FROM line_notify.credential WHERE kind ~ ''channel_secret'''),
('SELECT line_notify.alter_channel(''h'', ca_file => ''/nonexistent/ca.pem'')', 'error | channel h | ca_file does not exist on this server', 'SELECT line_notify.alter_channel(''h'', ca_file => '''')'),
('INSERT INTO line_notify.token_status (channel, since, error) VALUES (''h'', now(), ''refused'')', 'error | channel h | no access token since %: refused', 'DELETE FROM line_notify.token_status'),
('INSERT INTO line_notify.in_flight VALUES (1, 1, 1, 1, now() - interval ''1 hour'', 1)', 'warning | worker | 1 messages were claimed more than 15 minutes ago %', 'DELETE FROM line_notify.in_flight'),
('INSERT INTO line_notify.webhook_event (channel, event_id, type, event_at, received_at) VALUES (''h'', ''e'', ''delivery'', now(), now() - interval ''1 hour'')', 'warning | worker | delivery events wait since %', 'DELETE FROM line_notify.webhook_event'),
('INSERT INTO line_notify.history (id, channel, state, created_at, ended_at) VALUES (1, ''h'', ''unknown'', now(), now())', 'warning | channel h | 1 messages of the last hour ended as unknown%', 'WITH d AS (DELETE FROM line_notify.minute_count) DELETE FROM line_notify.history'),
('INSERT INTO line_notify.history (id, channel, state, http_status, created_at, ended_at) SELECT i, ''h'', CASE WHEN i % 3 > 0 THEN ''unreachable'' ELSE ''accepted'' END::line_notify.message_state, CASE WHEN i % 3 > 0 THEN 422 ELSE 202 END, now(), now() FROM generate_series(1, 60) i',
	'warning | channel h | 40 of the 60 messages that LINE answered in the last hour are unreachable (422) | unreachable', 'WITH d AS (DELETE FROM line_notify.minute_count), e AS (DELETE FROM line_notify.daily_count) DELETE FROM line_notify.history'),
('INSERT INTO line_notify.history (id, channel, state, outcome, http_status, created_at, ended_at) SELECT i, ''h'', CASE WHEN i % 3 > 0 THEN ''refused'' ELSE ''accepted'' END::line_notify.message_state, CASE WHEN i % 3 > 0 THEN ''refused'' ELSE ''accepted'' END, CASE WHEN i % 3 > 0 THEN 400 ELSE 202 END, now(), now() FROM generate_series(1, 60) i',
	'warning | channel h | 40 of the 60 messages that LINE answered in the last hour were refused', 'WITH d AS (DELETE FROM line_notify.minute_count), e AS (DELETE FROM line_notify.daily_count) DELETE FROM line_notify.history'),
-- not those that it delivered after a 500
('INSERT INTO line_notify.history (id, channel, state, outcome, http_status, created_at, ended_at) SELECT i, ''h'', CASE WHEN i <= 40 THEN ''refused'' ELSE ''unknown'' END::line_notify.message_state, CASE WHEN i <= 40 THEN ''refused'' ELSE ''server_error'' END, CASE WHEN i <= 40 THEN 400 ELSE 500 END, now(), now() FROM generate_series(1, 70) i; UPDATE line_notify.history SET state = ''delivered'' WHERE http_status = 500',
	'warning | channel h | 40 of the 70 messages that LINE answered in the last hour were refused', 'WITH d AS (DELETE FROM line_notify.minute_count), e AS (DELETE FROM line_notify.daily_count) DELETE FROM line_notify.history'),
('INSERT INTO line_notify.history (id, channel, state, http_status, created_at, ended_at) SELECT i, ''h'', CASE WHEN i % 3 > 0 THEN ''undelivered'' ELSE ''delivered'' END::line_notify.message_state, 202, now() - interval ''30 hours'', now() - interval ''30 hours'' FROM generate_series(1, 60) i',
	'warning | channel h | 40 messages of the last two days are undelivered, and 20 delivered: % | undelivered', 'WITH d AS (DELETE FROM line_notify.minute_count), e AS (DELETE FROM line_notify.daily_count) DELETE FROM line_notify.history'),
('INSERT INTO line_notify.outbox (id, channel, recipient, template_key, expires_at, state, due_at, home, created_at) SELECT 1, ''h'', repeat(''a'', 64), ''t'', ''2100-01-01'', ''queued'', now() - interval ''1 hour'', c.home, now() FROM line_notify.channel c',
	'error | channel h | messages that are due wait since %', 'DELETE FROM line_notify.outbox'),
('INSERT INTO line_notify.outbox (id, channel, recipient, template_key, expires_at, state, due_at, home, created_at) SELECT 1, ''gone'', repeat(''a'', 64), ''t'', ''2100-01-01'', ''queued'', now(), c.home, now() FROM line_notify.channel c',
	'error | channel gone | messages wait for this channel, and it does not exist', 'DELETE FROM line_notify.outbox'),
('INSERT INTO line_notify.daily_count (channel, day, kind, outcome, n) VALUES (''h'', (now() AT TIME ZONE ''Asia/Tokyo'')::date, ''account'', ''elsewhere'', 3)',
	'info | channel h | 3 delivery events since yesterday were for messages that are not in this database', 'DELETE FROM line_notify.daily_count'),
('ALTER ROLE CURRENT_USER SET line_notify.enqueue = off', 'warning | server | line_notify.enqueue is off for role %', 'ALTER ROLE CURRENT_USER RESET line_notify.enqueue');

-- and the state whose Japanese words the hint has, or the word for source IP addresses
CREATE FUNCTION pg_temp.rows() RETURNS SETOF text LANGUAGE sql AS
	$$ SELECT concat_ws(' | ', severity, subject, reason, (SELECT s.state FROM line_notify.states s WHERE position(s.description_ja IN hint) > 0), substring(hint FROM 'Security tab'))
	   FROM line_notify.health() WHERE subject <> 'server' OR reason !~ 'preload' $$;
-- nothing but the missing preload
SELECT * FROM pg_temp.rows();
DO $$
DECLARE
	f record;
	row text;
	seen boolean;
BEGIN
	FOR f IN SELECT * FROM fault ORDER BY no LOOP
		EXECUTE f.cause;
		seen := false;
		FOR row IN SELECT * FROM pg_temp.rows() LOOP
			IF row LIKE f.expected THEN
				seen := true;
			ELSE
				RAISE WARNING '%: also %', f.expected, row;
			END IF;
		END LOOP;
		IF NOT seen THEN
			RAISE WARNING 'not seen: %', f.expected;
		END IF;
		EXECUTE f.undo;
		IF EXISTS (SELECT * FROM pg_temp.rows()) THEN
			RAISE WARNING 'still there: %', f.expected;
		END IF;
	END LOOP;
END
$$;
SELECT count(*) FROM fault;
-- every row says what to do, except where there is nothing to do
SELECT reason FROM line_notify.health() WHERE hint IS NULL;
DROP EXTENSION line_notify CASCADE;
