-- Channels, credentials and the right to send: what the functions accept and
-- what they refuse.  pg_regress, because it is all SQL; nothing is sent here.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS line_notify CASCADE;
CREATE EXTENSION line_notify;
RESET client_min_messages;

SELECT line_notify.create_channel('shop', line_channel_id => '1234567890');
SELECT name, api_base, line_channel_id, region, rate_limit, default_ttl, on_invalid, on_unknown, on_server_error,
	max_attempts, armed, paused, credentials FROM line_notify.channels;

-- refused names and values
SELECT line_notify.create_channel('shop');
SELECT line_notify.create_channel(NULL);
SELECT line_notify.create_channel('');
SELECT line_notify.create_channel('no blanks');
SELECT line_notify.create_channel('-dash');
SELECT line_notify.create_channel('x', region => 'XX');
SELECT line_notify.create_channel('x', rate_limit => 0);
SELECT line_notify.create_channel('x', rate_limit => 2001);
SELECT line_notify.create_channel('x', default_ttl => '0');
SELECT line_notify.create_channel('x', on_invalid => 'ignore');
SELECT line_notify.create_channel('x', on_unknown => 'drop');
SELECT line_notify.create_channel('x', on_server_error => '');
SELECT line_notify.create_channel('x', max_attempts => -1);
SELECT line_notify.create_channel('x', connect_timeout => '0');
SELECT line_notify.create_channel('x', api_base => 'http://api.line.me');
SELECT line_notify.create_channel('x', api_base => 'https://user:secret@api.line.me');
SELECT line_notify.create_channel('x', api_base => 'https://api.line.me/path');
SELECT line_notify.create_channel('x', api_base => 'ftp://api.line.me');
SELECT line_notify.create_channel('x', ca_file => 'relative.pem');
SELECT line_notify.create_channel('x', proxy => 'socks5://127.0.0.1');
SELECT count(*) FROM line_notify.channels;

-- change and clear
SELECT line_notify.alter_channel('shop', max_attempts => 5, proxy => 'http://127.0.0.1:3128', on_unknown => 'retry');
SELECT max_attempts, proxy, on_unknown FROM line_notify.channels;
SELECT line_notify.alter_channel('shop', max_attempts => 0, proxy => '');
SELECT max_attempts, proxy, on_unknown FROM line_notify.channels;
SELECT line_notify.alter_channel('nosuch', region => 'TH');

-- credentials
SELECT line_notify.set_credential('shop', 'access_token', 'abc');
SELECT line_notify.set_credential('shop', 'channel_secret', 'first');
SELECT line_notify.set_credential('shop', 'channel_secret', 'second');
SELECT credentials FROM line_notify.channels;
SELECT kind, value FROM line_notify.credential ORDER BY kind;
SELECT line_notify.set_credential('shop', 'access_token', NULL);
SELECT credentials FROM line_notify.channels;
SELECT line_notify.set_credential('nosuch', 'access_token', 'x');
SELECT line_notify.set_credential('shop', 'password', 'x');
SELECT line_notify.set_credential('shop', 'access_token', '');
SELECT line_notify.set_credential('shop', 'access_token', E'a\nX-Evil: 1');
SELECT line_notify.set_credential('shop', 'access_token', 'file:relative');

-- who may what
CREATE ROLE regress_ln_nobody;
CREATE ROLE regress_ln_reader IN ROLE pg_read_all_data;
SET ROLE regress_ln_nobody;
SELECT line_notify.create_channel('mine');
SELECT line_notify.set_credential('shop', 'access_token', 'x');
SELECT * FROM line_notify.credential;
SELECT * FROM line_notify.channels;
INSERT INTO line_notify.outbox (phone, template_key) VALUES ('090-1234-5678', 'x');
RESET ROLE;
SET ROLE regress_ln_reader;
SELECT count(*) FROM line_notify.credential;	-- row security hides secrets from it
RESET ROLE;
-- a role that may create channels still may not choose where tokens go
GRANT EXECUTE ON FUNCTION line_notify.create_channel TO regress_ln_nobody;
SET ROLE regress_ln_nobody;
SELECT line_notify.create_channel('evil', api_base => 'https://attacker.example');
SELECT line_notify.create_channel('evil', proxy => 'http://attacker.example:1');
RESET ROLE;
DROP OWNED BY regress_ln_nobody, regress_ln_reader;
DROP ROLE regress_ln_nobody, regress_ln_reader;

-- arm()
SELECT line_notify.arm(backlog => 'burn');
SELECT line_notify.arm(nodes => '{}');
SET client_min_messages = warning;	-- the name of this host is in the notice
SELECT line_notify.arm(nodes => '{a,b}');
SELECT armed FROM line_notify.channels;
SELECT severity, subject, regexp_replace(reason, 'node "[^"]*"', 'node "..."') FROM line_notify.health() WHERE subject LIKE 'channel%';
SELECT line_notify.arm();
RESET client_min_messages;
SELECT armed FROM line_notify.channels;

-- pause, resume, drop
SELECT line_notify.pause('shop', 'holiday');
SELECT paused, pause_reason LIKE 'holiday%' FROM line_notify.channels;
SELECT line_notify.resume('shop');
SELECT line_notify.pause('nosuch');
SELECT line_notify.resume('nosuch');
INSERT INTO line_notify.outbox (phone, use_case, template_key) VALUES ('090-1234-5678', 'reservation', 'x');
SELECT line_notify.drop_channel('shop');
DELETE FROM line_notify.outbox;
SELECT line_notify.drop_channel('shop');
SELECT line_notify.drop_channel('shop');
SELECT count(*) FROM line_notify.channels;
-- leave a fresh one for the tests that follow
DROP EXTENSION line_notify;
CREATE EXTENSION line_notify;
