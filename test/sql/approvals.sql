-- What a channel may send: approved use cases, approved designs, listed keys;
-- at INSERT, and the same by check_message().
SET client_encoding = 'UTF8';
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS line_notify;
SELECT count(line_notify.drop_channel(name)) FROM line_notify.channels;
RESET client_min_messages;
SET search_path = line_notify, public;
\set SHOW_CONTEXT never
SELECT create_channel('shop'), create_channel('other');

CREATE FUNCTION public.send(use_case use_case, messages jsonb, channel text DEFAULT 'shop') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  rules text := (SELECT string_agg(c.rule || ' at ' || c.path, '; ') FROM line_notify.check_message('flexible', jsonb_build_object('messages', messages), use_case, channel) c);
  detail text;
BEGIN
  INSERT INTO line_notify.outbox (channel, phone, use_case, messages) VALUES (channel, '09012345678', use_case, messages);
  RETURN concat_ws(' | ', 'queued', rules);
EXCEPTION WHEN others THEN
  GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
  RETURN concat_ws(' | ', sqlstate, sqlerrm, nullif(detail, ''), rules);
END $$;
\set text 'messages(text_message(''Order 7 is on its way''))'

-- 1. use cases: nothing is said, so everything goes
SELECT send('reminder', :text);
SELECT set_approval('shop', 'shipment_completed', reviewed_on => '2026-11-01', reference => 'review 4711');
SELECT send('shipment_completed', :text);
SELECT send('reminder', :text);
SELECT send('reminder', :text, 'other');
SELECT alter_channel('shop', use_case_required => false);
SELECT send(NULL, :text);
SELECT alter_channel('shop', use_case_required => true);
INSERT INTO outbox (channel, phone, template_key) VALUES ('shop', '09012345678', 'shipment_completed_ja') RETURNING state;
INSERT INTO outbox (channel, phone, use_case, template_key) VALUES ('shop', '09012345678', 'reminder', 'shipment_completed_ja');

-- the same session, and another status
SELECT set_approval('shop', 'shipment_completed', 'suspended');
SELECT send('shipment_completed', :text);
SELECT channel, use_case, status, reviewed_on, reference, designs FROM approvals;
BEGIN;
SELECT set_approval('shop', 'shipment_completed');
SELECT send('shipment_completed', :text);
ROLLBACK;
SELECT send('shipment_completed', :text);
SELECT set_approval('shop', 'shipment_completed');

-- 2. designs
SELECT set_design('shop', 'shipped', 'shipment_completed', '[{"type": "text", "text": "Order {number} is on its way"}]');
SELECT send('shipment_completed', :text);
SELECT send('shipment_completed', messages(text_message('Order 7 is on its way. Buy more!')));
SELECT send('shipment_completed', messages(text_message('Order 7 is on its way'), text_message('Buy more!')));
SELECT set_approval('shop', 'reminder');
SELECT send('reminder', messages(text_message('free in its form')));

SELECT set_design('shop', 'table', 'shipment_completed', messages(flex_notice('{title}', ARRAY['{label}', '{value}'], '{sentence}', 'Open', 'https://shop.example/{path}', '{title}')));
SELECT send('shipment_completed', messages(flex_notice('Shipped', ARRAY['No.', '7'], 'Thanks {not a place}', 'Open', 'https://shop.example/o/7')));
SELECT send('shipment_completed', messages(flex_notice('Shipped', ARRAY['No.', '7'], 'Thanks', 'Open', 'https://evil.example/o/7')));
SELECT send('shipment_completed', messages(flex_notice('Shipped', ARRAY['No.', '7', 'Day', '8'], 'Thanks', 'Open', 'https://shop.example/o/7')));
SELECT send('shipment_completed', :text);
SELECT set_design('shop', 'shipped', 'shipment_completed', '[{"type": "text", "text": "Order {number} is on its way"}]', 'suspended');
SELECT send('shipment_completed', :text);
SELECT drop_design('shop', 'table');
SELECT send('shipment_completed', :text);
SELECT name, use_case, status, skeleton FROM designs;
SELECT drop_design('shop', 'shipped');
SELECT send('shipment_completed', :text);

-- repeated and optional elements
SELECT design_mismatch('["a", "b", "b"]', '["a", {"{repeat}": "b"}, {"{optional}": "c"}]');
SELECT design_mismatch('["a", "b", "d"]', '["a", {"{repeat}": "b"}, {"{optional}": "c"}]');
SELECT design_mismatch(NULL, '[]');

-- 3. mistakes
SELECT set_approval('none', 'reminder');
SELECT set_approval('shop', NULL);
SELECT set_approval('shop', 'reminder', 'granted');
SELECT drop_approval('shop', 'outage');
SELECT set_design('shop', 'x', 'reminder', '[{"type": "text", "text": "a {b"}]');
SELECT set_design('shop', 'x', 'reminder', '{}');
SELECT set_design('shop', 'a b', 'reminder', '["a"]');
SELECT set_design('shop', 'x', 'reminder', '["a"]', 'granted');
SELECT set_design('shop', 'x', 'reminder', NULL);
SELECT set_design('none', 'x', 'reminder', '["a"]');
SELECT drop_design('shop', 'x');
SELECT design_mismatch('[]', '["{}"]');

-- 4. listed keys only
SELECT drop_approval('shop', 'reminder'), drop_approval('shop', 'shipment_completed');
SELECT alter_channel('shop', catalogue_only => true);
SELECT catalogue_only FROM channels WHERE name = 'shop';
INSERT INTO outbox (channel, phone, template_key) VALUES ('shop', '09012345678', 'unknown_ja');
SELECT rule FROM check_message('template', '{"templateKey": "unknown_ja"}', NULL, 'shop');
INSERT INTO template_catalogue (kind, key) VALUES ('template', 'unknown_ja'), ('item', 'item_ja'), ('button', 'button_ja');
INSERT INTO outbox (channel, phone, template_key) VALUES ('shop', '09012345678', 'unknown_ja') RETURNING state;
INSERT INTO outbox (channel, phone, template_key, body) VALUES ('shop', '09012345678', 'unknown_ja',
  template_body(item('item_ja', 'a'), items('item_2_ja', 'b')));
INSERT INTO outbox (channel, phone, template_key, body) VALUES ('shop', '09012345678', 'unknown_ja',
  template_body(item('item_0_ja', 'a'), items('item_ja', 'b')));
INSERT INTO outbox (channel, phone, template_key, body) VALUES ('shop', '09012345678', 'unknown_ja',
  template_body(NULL, items('item_ja', 'b'), buttons('button_ja', 'https://a.example', 'button_2_ja', 'https://a.example')));
INSERT INTO outbox (channel, phone, template_key, body) VALUES ('shop', '09012345678', 'unknown_ja',
  template_body(NULL, items('item_ja', 'b'), buttons('button_ja', 'https://a.example'))) RETURNING state;
INSERT INTO outbox (channel, phone, template_key) VALUES ('other', '09012345678', 'not_listed_ja') RETURNING state;
-- the region of the channel decides
SELECT alter_channel('shop', region => 'TW');
INSERT INTO outbox (channel, phone, template_key) VALUES ('shop', '09012345678', 'unknown_ja');
SELECT alter_channel('shop', region => 'JP', catalogue_only => false);
INSERT INTO outbox (channel, phone, template_key) VALUES ('shop', '09012345678', 'not_listed_ja') RETURNING state;
DELETE FROM template_catalogue WHERE source = 'user';

-- 5. who may
CREATE ROLE regress_ln_nobody;
SET ROLE regress_ln_nobody;
SELECT line_notify.set_approval('shop', 'reminder');
SELECT line_notify.drop_approval('shop', 'reminder');
SELECT line_notify.set_design('shop', 'x', 'reminder', '["a"]');
SELECT line_notify.drop_design('shop', 'x');
SELECT * FROM line_notify.approvals;
SELECT * FROM line_notify.designs;
RESET ROLE;
DROP ROLE regress_ln_nobody;

DELETE FROM outbox;
DROP FUNCTION public.send(use_case, jsonb, text);
-- a channel takes its approvals along
SELECT set_approval('other', 'reminder'), set_design('other', 'x', 'reminder', '["a"]');
SELECT drop_channel('shop'), drop_channel('other');

-- 6. what has been sent lately and is refused from now on is named
SELECT create_channel('shop'), create_channel('busy');
SELECT count(_ensure_history(1));
-- as the worker does, and not as a restore
DO $$ BEGIN
INSERT INTO line_notify.history (id, channel, state, use_case, aggregation_unit, template_key, created_at, ended_at)
SELECT i, CASE WHEN i <= 3 THEN 'shop' ELSE 'busy' END, 'accepted', CASE i WHEN 1 THEN 'reminder' WHEN 2 THEN 'outage' ELSE 'parcel_delivery' END::use_case,
	CASE i WHEN 1 THEN 'reminder' WHEN 2 THEN 'outage' ELSE 'parcel_delivery' END, 't', now(), now()
FROM generate_series(1, 50010) i;
END $$;
-- also where the others send so much more
SELECT set_approval('shop', 'outage');
INSERT INTO outbox (channel, phone, use_case, messages)
SELECT 'shop', '09012345678', 'outage', messages(text_message('No power in ' || t)) FROM unnest('{Chuo,Minato,Buy more}'::text[]) t;
SELECT set_design('shop', 'x', 'outage', '[{"type": "text", "text": "Power in {place} is back"}]');
SELECT set_design('shop', 'y', 'outage', '[{"type": "text", "text": "No power in {place}"}]');
SELECT drop_design('shop', 'x'), drop_design('shop', 'y');
SELECT set_design('shop', 'y', 'outage', '[{"type": "text", "text": "No power in {place}"}]');
SELECT drop_approval('shop', 'outage'), drop_design('shop', 'y');
SELECT alter_channel('shop', use_case_required => false);
INSERT INTO outbox (channel, phone, messages) VALUES ('shop', '09012345678', messages(text_message('Hello'))) RETURNING state;
SELECT set_approval('shop', 'reminder');
SELECT set_design('shop', 'y', 'outage', '[{"type": "text", "text": "No power in {place}"}]', 'suspended');
DELETE FROM outbox;
DELETE FROM history;
DELETE FROM daily_count;
DELETE FROM minute_count;
SELECT drop_channel('shop'), drop_channel('busy');
SELECT (SELECT count(*) FROM approvals) + (SELECT count(*) FROM designs);
