-- Column traceparent: what is taken, what is none, and by which
-- doors it comes in.  Regress: nothing is sent.
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS line_notify;
SELECT line_notify.create_channel('shop') \g /dev/null
\set SHOW_CONTEXT never
\set trace '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
CREATE ROLE regress_tracer;
SELECT line_notify.grant_sender('regress_tracer') \g /dev/null

-- a sender gives it by both relations and by enqueue(), and reads it
SET ROLE regress_tracer;
INSERT INTO line_notify.outbox (reference, traceparent, phone, use_case, template_key) VALUES ('outbox', :'trace', '090-1234-5678', 'reservation', 't');
INSERT INTO line_notify.messages (reference, traceparent, phone, use_case, template_key) VALUES ('messages', :'trace', '090-1234-5678', 'reservation', 't')
RETURNING state, traceparent;
SELECT line_notify.enqueue('090-1234-5678', 'reservation', 't', options => jsonb_build_object('reference', 'enqueue', 'traceparent', :'trace')) > 0 AS queued;
COPY line_notify.messages (reference, traceparent, phone, use_case, template_key) FROM STDIN;
copy	00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00	090-1234-5678	reservation	t
\.
SELECT reference, traceparent, n.traceparent = m.traceparent AS the_same FROM line_notify.notifications n JOIN line_notify.messages m USING (id, reference, traceparent) ORDER BY id;
SELECT attname FROM pg_attribute WHERE attrelid = 'line_notify.attempts'::regclass AND attname = 'traceparent';

-- written back unchanged, or what a tracer that is off had given; not changed
UPDATE line_notify.messages SET traceparent = :'trace', priority = 1 WHERE reference = 'messages' RETURNING priority;
UPDATE line_notify.messages SET traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b8-01' WHERE reference = 'messages';
UPDATE line_notify.messages SET traceparent = NULL WHERE reference = 'messages';
INSERT INTO line_notify.messages (reference, traceparent, phone, use_case, template_key) VALUES ('off', '', '090-1234-5678', 'reservation', 't') RETURNING traceparent;
UPDATE line_notify.messages SET traceparent = '' WHERE reference = 'off';
UPDATE line_notify.messages SET traceparent = '00-00000000000000000000000000000000-0000000000000000-00' WHERE reference = 'off';
UPDATE line_notify.messages SET traceparent = :'trace' WHERE reference = 'off';

-- what is malformed is left out, said once in a session, and may be written back; which texts are is in unit:traceparent
SET client_min_messages = notice;
INSERT INTO line_notify.outbox (traceparent, phone, use_case, template_key, reference) VALUES ('nonsense', '090-1234-5678', 'reservation', 't', 'malformed');
INSERT INTO line_notify.messages (traceparent, phone, use_case, template_key) VALUES (upper(:'trace'), '090-1234-5678', 'reservation', 't') RETURNING state, traceparent;
UPDATE line_notify.messages SET traceparent = 'nonsense', priority = 1 WHERE reference = 'malformed' RETURNING traceparent, priority;
UPDATE line_notify.messages SET traceparent = :'trace' WHERE reference = 'malformed';
SET client_min_messages = error;
RESET ROLE;

-- a rule: from a column; and an UPDATE of nothing but the trace sends nothing
CREATE TABLE orders (id int PRIMARY KEY, phone text, status text, trace text);
CREATE TRIGGER tell AFTER INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION line_notify.enqueue_trigger(
	'{"use_case": "reservation", "phone": "{phone}", "template_key": "t", "reference": "order {id} {status}", "traceparent": "{trace}"}');
INSERT INTO orders VALUES (1, '090-1234-5678', 'new', :'trace'), (2, '090-1234-5678', 'new', NULL), (3, '090-1234-5678', 'new', 'nonsense'),
	(4, '090-1234-5678', 'new', '00-00000000000000000000000000000000-0000000000000000-00');
UPDATE orders SET trace = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b9-01' WHERE id = 1;
UPDATE orders SET trace = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902ba-01', status = 'sent' WHERE id = 1;
SELECT reference, traceparent, state FROM line_notify.notifications WHERE reference ~ '^order' ORDER BY id;
-- a row of a dump is taken as it is
INSERT INTO line_notify.outbox (channel, reference, traceparent, template_key, recipient, state, due_at, expires_at, home, created_at)
SELECT 'shop', 'restored', 'as it was', 't', repeat('a', 64), 'queued', now(), now(), home, now() FROM line_notify.channel RETURNING traceparent;

DROP TABLE orders;
DROP EXTENSION line_notify CASCADE;
DROP ROLE regress_tracer;
