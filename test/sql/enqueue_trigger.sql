-- enqueue_trigger(): what a row becomes, when it is sent, with whose rights,
-- and every mistake in a rule.
SET client_encoding = 'UTF8';
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS line_notify;
SELECT count(line_notify.drop_channel(name)) FROM line_notify.channels;
RESET client_min_messages;
SELECT line_notify.create_channel('shop');
\set VERBOSITY default
\set SHOW_CONTEXT never

-- what was queued since the last look
CREATE FUNCTION queued(OUT state text, OUT recipient boolean, OUT use_case text, OUT content text, OUT dedup_key text, OUT order_key text, OUT reference text, OUT error text)
RETURNS SETOF record LANGUAGE sql AS $$
  WITH gone AS (DELETE FROM line_notify.outbox RETURNING *)
  SELECT state::text, recipient IS NOT NULL, use_case::text, coalesce(messages #>> '{0,text}', body::text, messages::text),
    dedup_key, order_key, reference, error
  FROM gone ORDER BY id $$;

CREATE TABLE orders (
  order_no integer PRIMARY KEY,
  customer text,
  phone text,
  country text,
  status text NOT NULL DEFAULT 'new',
  note text,
  total numeric(12,2),
  due date,
  made_at timestamptz,
  extra jsonb
);
CREATE TRIGGER tell AFTER INSERT OR UPDATE ON orders FOR EACH ROW
EXECUTE FUNCTION line_notify.enqueue_trigger('{
  "use_case": "purchase_completed",
  "phone": "{phone}",
  "order_key": "customer-{customer}",
  "messages": [{"type": "text", "text": "{customer}: no. {order_no}, {note}"}]}');

-- 1. values, however hostile, stay values
INSERT INTO orders (order_no, customer, phone, note) VALUES (1, 'Sato', '090-1234-5678', 'plain');
INSERT INTO orders (order_no, customer, phone, note) VALUES (2, 'Sato', '090-1234-5678', E'"}], "to": "x" {phone} {{ \\ \n\t end');
INSERT INTO orders (order_no, customer, phone, note) VALUES (3, '様', '090-1234-5678', 'ご注文😀');
SELECT * FROM queued();

-- 2. an UPDATE that changes no used column sends nothing
UPDATE orders SET status = 'packed', total = 5 WHERE order_no = 1;
UPDATE orders SET note = note, customer = customer || '' WHERE order_no = 1;
SELECT * FROM queued();
UPDATE orders SET note = 'changed' WHERE order_no = 1;
UPDATE orders SET note = NULL WHERE order_no = 1;
SELECT state, content, error FROM queued();

-- 3. no number, a wrong one: as on_invalid says
INSERT INTO orders (order_no, customer, note) VALUES (10, 'a', 'b');
INSERT INTO orders (order_no, customer, phone, note) VALUES (11, 'a', '12', 'b');
SELECT state, recipient, error, reference FROM queued();
SELECT line_notify.alter_channel('shop', on_invalid => 'error');
INSERT INTO orders (order_no, customer, note) VALUES (12, 'a', 'b');
SELECT count(*) FROM orders WHERE order_no = 12;
SELECT line_notify.alter_channel('shop', on_invalid => 'park');

-- 4. COPY, upsert, MERGE
COPY orders (order_no, customer, phone, note) FROM stdin;
20	c	09012345678	copied
21	c	09012345678	copied
\.
INSERT INTO orders (order_no, customer, phone, note) VALUES (20, 'c', '09012345678', 'again'), (22, 'c', '09012345678', 'new')
ON CONFLICT (order_no) DO UPDATE SET note = excluded.note;
INSERT INTO orders (order_no, customer, phone, note) VALUES (20, 'c', '09012345678', 'again') ON CONFLICT DO NOTHING;
MERGE INTO orders o USING (VALUES (21, 'merged'), (23, 'merged')) v (no, note) ON o.order_no = v.no
WHEN MATCHED THEN UPDATE SET note = v.note
WHEN NOT MATCHED THEN INSERT (order_no, customer, phone, note) VALUES (v.no, 'c', '09012345678', v.note);
SELECT state, content, reference FROM queued();
DROP TRIGGER tell ON orders;

-- 5. UPDATE OF and WHEN count as used: the content need not change
CREATE TRIGGER shipped AFTER UPDATE OF status ON orders FOR EACH ROW
WHEN (NEW.status = 'shipped')
EXECUTE FUNCTION line_notify.enqueue_trigger('{"use_case": "shipment_completed", "phone": "{phone}", "dedup_key": "shipped-{order_no}",
  "messages": [{"type": "text", "text": "{order_no} shipped"}]}');
UPDATE orders SET status = 'shipped' WHERE order_no = 1;
UPDATE orders SET status = 'shipped' WHERE order_no = 1;	-- unchanged
UPDATE orders SET status = 'new' WHERE order_no = 1;
UPDATE orders SET status = 'shipped' WHERE order_no = 1;	-- the dedup_key is taken
SELECT state, content, dedup_key, reference FROM queued();
DROP TRIGGER shipped ON orders;

CREATE TRIGGER shipped AFTER UPDATE ON orders FOR EACH ROW
WHEN (OLD.status IS DISTINCT FROM NEW.status)
EXECUTE FUNCTION line_notify.enqueue_trigger('{"use_case": "shipment_completed", "phone": "{phone}", "messages": [{"type": "text", "text": "constant"}]}');
UPDATE orders SET status = 'other' WHERE order_no = 2;
UPDATE orders SET total = 2 WHERE order_no = 2;
SELECT content, reference FROM queued();
DROP TRIGGER shipped ON orders;

CREATE TRIGGER watch AFTER UPDATE ON orders FOR EACH ROW
EXECUTE FUNCTION line_notify.enqueue_trigger('{"watch": ["due"], "use_case": "reminder", "phone": "{phone}", "messages": [{"type": "text", "text": "{note}"}]}');
UPDATE orders SET note = 'watched' WHERE order_no = 2;
UPDATE orders SET due = '2026-11-21' WHERE order_no = 2;
SELECT content FROM queued();
DROP TRIGGER watch ON orders;

-- 6. templates, optional items, formats, literal braces; DateStyle has no say
CREATE TRIGGER tell AFTER INSERT ON orders FOR EACH ROW
EXECUTE FUNCTION line_notify.enqueue_trigger('{
  "channel": "shop", "region": "{country}", "use_case": "{status}", "phone": "{phone}", "reference": "order/{order_no}", "priority": 3,
  "expires_at": "2099-01-01", "batch": "b", "aggregation_unit": "unit",
  "template_key": "order_item_completion_ja",
  "body": {"emphasizedItem": {"itemKey": "a", "content": "{total:money}"},
    "items": [{"itemKey": "b", "content": "{due:date}"}, {"itemKey": "c", "content": "{note?}"}, {"itemKey": "d", "content": "{made_at:datetime:TW}"},
      {"itemKey": "e", "content": "{{{due}}} {made_at} {total} {total:number} {total:money:THB}"}],
    "buttons": [{"buttonKey": "f", "url": "https://example.com/{order_no}"}, {"buttonKey": "g", "url": "https://example.com/{note?}"}]}}');
SET DateStyle = 'SQL, DMY';
SET TimeZone = 'Asia/Tokyo';
INSERT INTO orders (order_no, status, phone, country, total, due, made_at) VALUES (30, 'estimate_completed', '081-234-5678', 'TH', 12000, '2026-11-21', '2026-11-21 12:00+09');
INSERT INTO orders (order_no, status, phone, country, total, due, made_at, note) VALUES (31, '7', '0912345678', 'TW', 12000.5, '2026-11-21', '2026-11-21 12:00+09', 'there');
INSERT INTO orders (order_no, status, phone, country, total, due, made_at, note) VALUES (32, 'reminder', '0912345678', 'TW', 1, 'infinity', '-infinity', 'there');
RESET DateStyle;
RESET TimeZone;
SELECT * FROM queued();
DROP TRIGGER tell ON orders;

-- 7. a payload that is a jsonb column, whole or in part
CREATE TRIGGER tell AFTER INSERT ON orders FOR EACH ROW WHEN (NEW.note = 'whole')
EXECUTE FUNCTION line_notify.enqueue_trigger('{"use_case": "reminder", "phone": "{phone}", "messages": "{extra}"}');
CREATE TRIGGER tell2 AFTER INSERT ON orders FOR EACH ROW WHEN (NEW.note = 'part')
EXECUTE FUNCTION line_notify.enqueue_trigger('{"use_case": "reminder", "phone": "{phone}", "messages": [{"type": "text", "text": "a"}, "{extra}", {"type": "text", "text": "{extra} in a text"}]}');
INSERT INTO orders (order_no, phone, note, extra) VALUES (40, '09012345678', 'whole', line_notify.messages(line_notify.text_message('whole')));
INSERT INTO orders (order_no, phone, note, extra) VALUES (41, '09012345678', 'part', line_notify.text_message('part'));
SELECT jsonb_path_query_array(messages, '$[*].text') FROM line_notify.outbox ORDER BY id;
INSERT INTO orders (order_no, phone, note, extra) VALUES (42, '09012345678', 'part', '7');
INSERT INTO orders (order_no, phone, note) VALUES (43, '09012345678', 'whole');
DROP TRIGGER tell ON orders;
DROP TRIGGER tell2 ON orders;
-- what a column says wrongly parks the message, and keeps the order
SELECT state, error, reference FROM queued();

-- 8. DELETE and foreign key cascades
CREATE TABLE parcels (id integer, part integer, order_no integer REFERENCES orders ON UPDATE CASCADE ON DELETE CASCADE, phone char(20), PRIMARY KEY (part, id));
CREATE TRIGGER tell AFTER INSERT OR UPDATE OR DELETE ON parcels FOR EACH ROW
EXECUTE FUNCTION line_notify.enqueue_trigger('{"use_case": "parcel_delivery", "phone": "{phone}", "messages": [{"type": "text", "text": "[{phone}] {order_no}"}]}');
INSERT INTO parcels VALUES (1, 2, 20, '09012345678');
UPDATE orders SET order_no = 120 WHERE order_no = 20;
DELETE FROM orders WHERE order_no = 120;
SELECT state, content, reference FROM queued();
TRUNCATE parcels;
DROP TABLE parcels;

-- 9. partitions, whose columns lie elsewhere
CREATE TABLE visits (id integer, phone text, day date, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE visits_1 (day date NOT NULL, dropped text, phone text, id integer NOT NULL);
ALTER TABLE visits_1 DROP COLUMN dropped;
ALTER TABLE visits ATTACH PARTITION visits_1 FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TRIGGER tell AFTER INSERT OR UPDATE ON visits FOR EACH ROW
EXECUTE FUNCTION line_notify.enqueue_trigger('{"use_case": "reservation", "phone": "{phone}", "reference": "{id}", "messages": [{"type": "text", "text": "{id} {day:date:TH}"}]}');
CREATE TABLE visits_2 PARTITION OF visits FOR VALUES FROM ('2027-01-01') TO ('2028-01-01');
INSERT INTO visits VALUES (1, '09012345678', '2026-05-01'), (2, '09012345678', '2027-05-01');
UPDATE visits SET day = '2026-05-02' WHERE id = 1;
SELECT state, content, reference FROM queued();
DROP TABLE visits;

-- 10. nothing under the replica role, even when the trigger is ALWAYS, nor when switched off
CREATE TRIGGER tell AFTER INSERT ON orders FOR EACH ROW
EXECUTE FUNCTION line_notify.enqueue_trigger('{"use_case": "reminder", "phone": "{phone}", "messages": [{"type": "text", "text": "x"}]}');
ALTER TABLE orders ENABLE ALWAYS TRIGGER tell;
SET session_replication_role = replica;
INSERT INTO orders (order_no, phone) VALUES (50, '09012345678');
RESET session_replication_role;
BEGIN;
SET LOCAL line_notify.enqueue = off;
INSERT INTO orders (order_no, phone) VALUES (51, '09012345678');
COMMIT;
SELECT count(*) FROM queued();
DROP TRIGGER tell ON orders;

-- 11. deferred to the end of the transaction
CREATE CONSTRAINT TRIGGER tell AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
EXECUTE FUNCTION line_notify.enqueue_trigger('{"use_case": "reminder", "phone": "{phone}", "messages": [{"type": "text", "text": "deferred"}]}');
BEGIN;
INSERT INTO orders (order_no, phone) VALUES (52, '09012345678');
SELECT count(*) FROM line_notify.outbox;
COMMIT;
SELECT content FROM queued();
DROP TRIGGER tell ON orders;

-- 12. the rights are those of the owner of the table
CREATE ROLE regress_ln_owner;
CREATE ROLE regress_ln_clerk;
CREATE SCHEMA ln_shop AUTHORIZATION regress_ln_owner;
GRANT USAGE ON SCHEMA ln_shop TO regress_ln_clerk;
SET ROLE regress_ln_owner;
CREATE TABLE ln_shop.orders (id integer PRIMARY KEY, phone text);
GRANT INSERT, TRIGGER ON ln_shop.orders TO regress_ln_clerk;
-- without a grant the owner cannot even make the trigger
CREATE TRIGGER tell AFTER INSERT ON ln_shop.orders FOR EACH ROW
EXECUTE FUNCTION line_notify.enqueue_trigger('{"use_case": "reminder", "phone": "{phone}", "messages": [{"type": "text", "text": "owner"}]}');
RESET ROLE;
SELECT line_notify.grant_sender('regress_ln_owner', '{shop}');
GRANT EXECUTE ON FUNCTION line_notify.enqueue_trigger() TO regress_ln_owner;
SET ROLE regress_ln_owner;
CREATE TRIGGER tell AFTER INSERT ON ln_shop.orders FOR EACH ROW
EXECUTE FUNCTION line_notify.enqueue_trigger('{"use_case": "reminder", "phone": "{phone}", "messages": [{"type": "text", "text": "owner"}]}');
SET ROLE regress_ln_clerk;
INSERT INTO ln_shop.orders VALUES (1, '09012345678');
SELECT current_user;
INSERT INTO line_notify.outbox (phone, use_case, messages) VALUES ('09012345678', 'reminder', '[{"type": "text", "text": "clerk"}]');
CREATE TRIGGER mine AFTER INSERT ON ln_shop.orders FOR EACH ROW EXECUTE FUNCTION line_notify.enqueue_trigger('{}');
RESET ROLE;
SELECT content FROM queued();
-- the grant is gone, and so is the right
SELECT line_notify.revoke_sender('regress_ln_owner');
SET ROLE regress_ln_clerk;
INSERT INTO ln_shop.orders VALUES (2, '09012345678');
SELECT current_user;
RESET ROLE;
DROP SCHEMA ln_shop CASCADE;
REVOKE EXECUTE ON FUNCTION line_notify.enqueue_trigger() FROM regress_ln_owner;
DROP ROLE regress_ln_owner, regress_ln_clerk;

-- 13. a cell that its member cannot take is a fault of the row, told by name and
-- without its value; what the rule itself says is not
CREATE TABLE jobs (id integer PRIMARY KEY, phone text DEFAULT '09012345678', v text, j jsonb);
CREATE FUNCTION cell(member text, value text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  r record;
  got text;
BEGIN
  EXECUTE format('CREATE TRIGGER t AFTER INSERT ON jobs FOR EACH ROW EXECUTE FUNCTION line_notify.enqueue_trigger(%L)',
    jsonb_build_object('use_case', 'reminder', 'phone', '{phone}', 'messages', jsonb_build_array(line_notify.text_message('x'))) || member::jsonb);
  BEGIN
    INSERT INTO jobs (id, v, j) VALUES (1, value, CASE WHEN value ~ '^[[{]' THEN value::jsonb END);
    SELECT * INTO r FROM queued();
    got := concat_ws(' | ', r.state, r.error);
  EXCEPTION WHEN others THEN
    got := 'ERROR: ' || SQLERRM;
  END;
  DROP TRIGGER t ON jobs;
  TRUNCATE jobs;
  RETURN got;
END $$;
SELECT member, left(value, 30) AS value, cell(member, value) FROM (VALUES
  ('{"region": "{v}"}', 'Japan'), ('{"region": "{v}"}', 'XX'), ('{"region": "{v}"}', 'JP'), ('{"region": "{v}"}', NULL), ('{"region": "{v}"}', ''),
  ('{"priority": "{v}"}', 'urgent'), ('{"priority": "{v}"}', '11'), ('{"priority": "{v}"}', '99999999999'), ('{"priority": "{v}"}', '1.5'), ('{"priority": "{v}"}', ' 3 '),
  ('{"send_after": "{v}"}', 'soon'), ('{"send_after": "{v}"}', '2026-02-30'), ('{"send_after": "{v}"}', 'infinity'), ('{"send_after": "{v}"}', '2099-13-01 10:00'),
  ('{"send_after": "{v}"}', '2200-01-01'), ('{"send_after": "{v}"}', '-infinity'), ('{"send_after": "{v}"}', repeat('1', 500)), ('{"send_after": "{v}"}', 'today'),
  ('{"expires_at": "{v}"}', 'never'), ('{"expires_at": "{v}"}', 'infinity'), ('{"expires_at": "{v}"}', '2001-01-01'), ('{"expires_at": "{v}"}', 'tomorrow'),
  ('{"spread": "{v}"}', 'wide'), ('{"spread": "{v}"}', '-1 hour'), ('{"spread": "{v}"}', '2 years'), ('{"spread": "{v}"}', '1 hour'),
  ('{"notification_disabled": "{v}"}', 'perhaps'), ('{"notification_disabled": "{v}"}', 'yes'),
  ('{"use_case": "{v}"}', 'advertising'), ('{"use_case": "{v}"}', NULL), ('{"use_case": "{v}"}', 'reservation'),
  ('{"dedup_key": "{v}"}', ''), ('{"dedup_key": "{v}"}', repeat('k', 256)), ('{"order_key": "{v}"}', repeat('k', 5000)), ('{"order_key": "{v}"}', 'k'),
  ('{"on_duplicate": "{v}"}', 'update'), ('{"on_duplicate": "{v}"}', 'ignore'),
  ('{"recipient": "{v}"}', 'abc'), ('{"recipient": "{v}", "phone": null}', 'abc'), ('{"recipient": "{v}", "phone": null}', repeat('a', 64)), ('{"recipient": "{v}", "phone": null}', NULL),
  ('{"policy": "{j}"}', '{"max_attempts": 0.5}'), ('{"policy": {"on_unknown": "{v}"}}', 'perhaps'), ('{"policy": {"on_unknown": "{v}"}}', 'retry'), ('{"policy": {"on_unknown": "{v}"}}', NULL),
  ('{"messages": "{j}"}', '[]'), ('{"messages": "{j}"}', '{"type": "text"}'), ('{"messages": ["{j}"]}', NULL),
  ('{"messages": null, "template_key": "{v}"}', NULL), ('{"messages": null, "template_key": "{v}"}', 'not a key'), ('{"template_key": "{v}"}', 'both'),
  ('{"aggregation_unit": "{v}"}', repeat('u', 40)),
  ('{"batch": "{v}"}', repeat('b', 3000)),
  -- the rule
  ('{"region": "Japan"}', 'JP'), ('{"priority": "urgent"}', '1'), ('{"send_after": "soon"}', '1'), ('{"spread": "wide"}', '1'), ('{"dedup_key": ""}', '1'),
  ('{"policy": {"on_unknown": "perhaps"}}', '1'), ('{"policy": 7}', '1'), ('{"use_case": "advertising"}', '1'),
  -- there is no policy of a channel that does not exist
  ('{"channel": "{v}"}', 'elsewhere')) v(member, value);
-- two of them: the first is told
SELECT cell('{"priority": "{v}", "send_after": "{v}"}', 'x');
-- an error on the way leaves nothing to the next row, here in the same transaction
BEGIN;
SELECT cell('{"channel": "nowhere", "priority": "{v}"}', 'urgent');
INSERT INTO line_notify.outbox (phone, use_case, template_key) VALUES ('09012345678', 'reminder', 'tpl');
SELECT state, error FROM queued();
COMMIT;
-- on_invalid => error: the order is refused
SELECT line_notify.alter_channel('shop', on_invalid => 'error');
SELECT cell('{"priority": "{v}"}', 'urgent');
SELECT cell('{"priority": "{v}", "policy": {"on_invalid": "park"}}', 'urgent');
SELECT line_notify.alter_channel('shop', on_invalid => 'park');
SELECT cell('{"priority": "{v}", "policy": {"on_invalid": "error"}}', 'urgent');
-- a use case that is not approved, from a cell and from the rule
SELECT line_notify.set_approval('shop', 'reminder');
SELECT cell('{"use_case": "{v}"}', 'reservation'), cell('{"use_case": "reservation"}', 'x'), cell('{"use_case": "{v}"}', 'reminder');
SELECT line_notify.drop_approval('shop', 'reminder');
DROP TABLE jobs;
DROP FUNCTION cell(text, text);

-- 14. a row that moves to another partition is not deleted; that it is not new
-- only a dedup_key can tell
CREATE TABLE orders_by_status (id integer, phone text, status text, note text, PRIMARY KEY (id, status)) PARTITION BY LIST (status);
CREATE TABLE orders_open PARTITION OF orders_by_status FOR VALUES IN ('new', 'paid');
CREATE TABLE orders_shipped PARTITION OF orders_by_status FOR VALUES IN ('shipped');
CREATE TRIGGER made AFTER INSERT ON orders_by_status FOR EACH ROW
EXECUTE FUNCTION line_notify.enqueue_trigger('{"use_case": "reminder", "phone": "{phone}", "reference": "{id}", "dedup_key": "new-{id}", "messages": [{"type": "text", "text": "{id} made"}]}');
CREATE TRIGGER gone AFTER DELETE ON orders_by_status FOR EACH ROW
EXECUTE FUNCTION line_notify.enqueue_trigger('{"use_case": "reminder", "phone": "{phone}", "reference": "{id}", "messages": [{"type": "text", "text": "{id} cancelled"}]}');
CREATE TRIGGER shipped AFTER INSERT OR UPDATE ON orders_by_status FOR EACH ROW WHEN (NEW.status = 'shipped')
EXECUTE FUNCTION line_notify.enqueue_trigger('{"use_case": "reminder", "phone": "{phone}", "reference": "{id}", "dedup_key": "sent-{id}", "messages": [{"type": "text", "text": "{id} shipped"}]}');
INSERT INTO orders_by_status VALUES (1, '09012345678', 'new'), (2, '09012345678', 'new');
UPDATE orders_by_status SET status = 'paid';
UPDATE orders_by_status SET status = 'shipped' WHERE id = 1;	-- moves
UPDATE orders_by_status SET note = 'late' WHERE id = 1;
DELETE FROM orders_by_status WHERE id = 2;
BEGIN;
UPDATE orders_by_status SET status = 'new' WHERE id = 1;	-- back
DELETE FROM orders_by_status WHERE id = 1;
COMMIT;
SELECT content, dedup_key FROM queued();
DROP TABLE orders_by_status;

-- 15. mistakes in a rule, told at the first firing
CREATE FUNCTION try(rule text, events text DEFAULT 'AFTER INSERT') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  state text; message text; detail text; hint text;
BEGIN
  EXECUTE format('CREATE TRIGGER t %s ON orders FOR EACH ROW EXECUTE FUNCTION line_notify.enqueue_trigger(%s)', events, rule);
  INSERT INTO orders (order_no, phone) VALUES (100, '09012345678');
  RAISE 'no error';
EXCEPTION WHEN others THEN
  GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
  RETURN concat_ws(' | ', state, message, nullif(detail, ''));
END $$;
SELECT try('');
SELECT try($r$'a', 'b'$r$);
SELECT try($r$'{'$r$);
SELECT try($r$'[]'$r$);
SELECT try($r$'{"phone": "{phone}", "colour": "red"}'$r$);
SELECT try($r$'{"use_case": "reminder"}'$r$);
SELECT try($r$'{"phone": "{telephone}"}'$r$);
SELECT try($r$'{"phone": "{ctid}"}'$r$);
SELECT try($r$'{"phone": "{phone"}'$r$);
SELECT try($r$'{"phone": "{}"}'$r$);
SELECT try($r$'{"phone": ["{phone}"]}'$r$);
SELECT try($r$'{"phone": "{phone}", "watch": "phone"}'$r$);
SELECT try($r$'{"phone": "{phone}", "watch": [1]}'$r$);
SELECT try($r$'{"phone": "{phone}", "watch": ["x"]}'$r$);
SELECT try($r$'{"phone": "{phone:sound}"}'$r$);
SELECT try($r$'{"phone": "{phone:date}"}'$r$);
SELECT try($r$'{"phone": "{phone}", "channel": "other", "use_case": "reminder", "messages": []}'$r$);
SELECT try($r$'{"phone": "{phone}", "use_case": "advertising", "messages": []}'$r$);
SELECT try($r$'{"phone": "{phone}", "use_case": "reminder", "messages": [{"type": "video"}]}'$r$);
SELECT try($r$'{"phone": "{phone}", "use_case": "reminder", "body": 7}'$r$);
SELECT try($r$'{"phone": "{phone}"}'$r$, 'BEFORE INSERT');
SELECT line_notify.enqueue_trigger();

SELECT count(*) FROM queued();
DROP TABLE orders;
DROP FUNCTION queued();
DROP FUNCTION try(text, text);
SELECT line_notify.drop_channel('shop');
