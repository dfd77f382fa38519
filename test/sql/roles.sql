-- Who may do what: a role without a grant nothing, a sender its own channels,
-- support looks, an operator acts, a monitor reads health and figures.  Every
-- operator function is refused to every role that lacks the grant.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS line_notify;
CREATE ROLE ln_nobody;
CREATE ROLE ln_sender;
CREATE ROLE ln_support;
CREATE ROLE ln_operator;
CREATE ROLE ln_monitor;
GRANT pg_monitor TO ln_monitor;
SELECT line_notify.create_channel('mine', api_base => 'http://127.0.0.1:1');
SELECT line_notify.create_channel('theirs', api_base => 'http://127.0.0.1:1');
SELECT line_notify.grant_sender('ln_sender', '{mine}');
SELECT line_notify.grant_support('ln_support');
SELECT line_notify.grant_operator('ln_operator');
SELECT line_notify.grant_operator(NULL);
SELECT line_notify.grant_support('missing');

-- the matrix, from the catalogue
CREATE VIEW pg_temp.matrix AS
	SELECT o.object, string_agg(r.rolname, ' ' ORDER BY r.rolname) AS roles
	FROM (SELECT oid, rolname::text FROM pg_roles WHERE rolname LIKE 'ln\_%') r,
		 LATERAL (
			SELECT p.proname || '()' AS object, has_function_privilege(r.oid, p.oid, 'EXECUTE') AS may
			FROM pg_proc p
			WHERE p.pronamespace = 'line_notify'::regnamespace
			  AND p.proname IN ('cancel', 'reschedule', 'redrive', 'pause', 'resume', 'take_outcomes', 'set_consumer', 'drop_consumer', 'wait_for',
				'find_notifications', 'health', 'reset_stats', 'enqueue', 'arm', 'create_channel', 'alter_channel', 'drop_channel', 'set_credential',
				'grant_sender', 'grant_support', 'grant_operator', 'revoke_sender', 'revoke_support', 'revoke_operator',
				'_finish', '_end_waiting', '_log_operation', '_grant_role_functions', '_note_outcome', '_wait_for', '_filter', '_condition', '_rescan', '_caller')
			UNION ALL
			SELECT c.relname, has_table_privilege(r.oid, c.oid, 'SELECT')
			FROM pg_class c
			WHERE c.relnamespace = 'line_notify'::regnamespace
			  AND c.relkind IN ('r', 'p', 'v')) o
	WHERE o.may
	GROUP BY o.object;
SELECT * FROM pg_temp.matrix ORDER BY object COLLATE "C";

INSERT INTO line_notify.outbox (id, channel, recipient, template_key, reference, expires_at, state, due_at, home, created_at)
	SELECT i, CASE i WHEN 1 THEN 'mine' ELSE 'theirs' END, repeat('a', 64), 'tpl', 'r' || i, '2100-01-01', 'queued', now(), c.home, now()
	FROM generate_series(1, 2) i, line_notify.channel c WHERE c.name = 'mine';
SELECT line_notify._ensure_history(1) > 1 AS history;
INSERT INTO line_notify.history (id, channel, template_key, state, created_at, ended_at)
	VALUES (3, 'mine', 'tpl', 'failed', now(), now()), (4, 'theirs', 'tpl', 'failed', now(), now());

SET ROLE ln_nobody;
SELECT * FROM line_notify.cancel(batch => 'x');
SELECT * FROM line_notify.reschedule(batch => 'x');
SELECT * FROM line_notify.redrive(batch => 'x');
SELECT line_notify.pause();
SELECT line_notify.resume();
SELECT * FROM line_notify.take_outcomes();
SELECT line_notify.wait_for(1);
SELECT * FROM line_notify.find_notifications(reference => 'r1');
SELECT * FROM line_notify.health();
SELECT count(*) FROM line_notify.notifications;
SELECT line_notify.grant_operator('ln_nobody');

SET ROLE ln_sender;
SELECT id, channel FROM line_notify.notifications ORDER BY id;
SELECT id, message_channel FROM line_notify.take_outcomes();
SELECT channel, total FROM line_notify.batches;
SELECT * FROM line_notify.cancel(batch => 'x');
SELECT line_notify.pause();
SELECT * FROM line_notify.find_notifications(reference => 'r1');
SELECT id FROM line_notify.outbox ORDER BY id;
SELECT recipient FROM line_notify.outbox;
SELECT line_notify.wait_for(2, '0');	-- not of its channel: no such message

SET ROLE ln_support;
SELECT id, channel FROM line_notify.notifications ORDER BY id;
SELECT id FROM line_notify.find_notifications(reference => 'r2');
SELECT count(*) FROM line_notify.attempts;
SELECT name FROM line_notify.channels ORDER BY 1;
SELECT * FROM line_notify.cancel(batch => 'x');
SELECT line_notify.resume();
SELECT * FROM line_notify.take_outcomes();
SELECT recipient FROM line_notify.outbox;
SELECT body FROM line_notify.history;
SELECT * FROM line_notify.operations;

SET ROLE ln_operator;
SELECT * FROM line_notify.cancel(ids => '{1}', dry_run => true);
SELECT line_notify.pause('mine');
SELECT line_notify.resume('mine');
SELECT id, message_channel FROM line_notify.take_outcomes();
SELECT count(*) > 0 AS health FROM line_notify.health();
SELECT count(*) FROM line_notify.stats;
SELECT count(*) FROM line_notify.workers;
SELECT function, role FROM line_notify.operations ORDER BY seq;
SELECT recipient FROM line_notify.outbox;
SELECT value FROM line_notify.credential;
SELECT line_notify.create_channel('x');
SELECT line_notify.grant_operator('ln_nobody');

SET ROLE ln_monitor;
SELECT count(*) > 0 AS health FROM line_notify.health();
SELECT count(*) FROM line_notify.stats;
SELECT count(*) FROM line_notify.workers;
SELECT line_notify.reset_stats();
SELECT line_notify.pause();
SELECT count(*) FROM line_notify.notifications;

RESET ROLE;
-- a role with two duties keeps the other one
SELECT line_notify.grant_sender('ln_operator');
SELECT line_notify.revoke_sender('ln_operator');
SELECT count(*) FROM pg_temp.matrix WHERE roles ~ 'operator';
SELECT line_notify.grant_sender('ln_operator');
SELECT line_notify.revoke_operator('ln_operator');
SELECT object FROM pg_temp.matrix WHERE roles ~ 'operator' ORDER BY 1;
SELECT line_notify.grant_operator('ln_operator');
SELECT line_notify.revoke_support('ln_operator');
SELECT line_notify.revoke_sender('ln_operator');
SELECT count(*) FROM pg_temp.matrix WHERE roles ~ 'operator';
SELECT line_notify.revoke_sender('ln_sender');
SELECT line_notify.revoke_support('ln_support');
SELECT line_notify.revoke_operator('ln_operator');
SELECT * FROM pg_temp.matrix WHERE roles ~ 'sender|support|operator' ORDER BY 1;
DROP EXTENSION line_notify CASCADE;
DROP ROLE ln_nobody, ln_sender, ln_support, ln_operator, ln_monitor;
