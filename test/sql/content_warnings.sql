-- Warnings about a content become visible where somebody looks: a NOTICE at
-- INSERT on request, a column of view notifications, a row of health().  And
-- what a channel does about content that we do not know.
SET client_encoding = 'UTF8';
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS line_notify;
SELECT count(line_notify.drop_channel(name)) FROM line_notify.channels;
RESET client_min_messages;
SET search_path = line_notify, public;
\set SHOW_CONTEXT never
SELECT create_channel('shop', use_case_required => false);
SELECT unknown_content FROM channels;
\set doubtful '''[{"type": "flex", "altText": "a", "contents": {"type": "bubble", "body": {"type": "box", "layout": "vertical", "contents": [{"type": "button", "action": {"type": "uri", "label": "open", "uri": "myshop://orders/1"}}, {"type": "text", "text": "a", "shadow": "md"}]}}}]'''
\set good '''[{"type": "text", "text": "Order 7 is on its way"}]'''
\set poll '''[{"type": "poll", "question": "1 or 2?"}]'''

-- silent, unless somebody asked
SHOW line_notify.content_warnings;
INSERT INTO outbox (phone, messages) VALUES ('09012345678', :doubtful);
SET line_notify.content_warnings = notice;
INSERT INTO outbox (phone, messages) VALUES ('09012345678', :doubtful), ('09012345678', :good);
INSERT INTO outbox (phone, template_key, body) VALUES ('09012345678', 'shipment_completed_ja', '{"items": [{"itemKey": "number_001_ja", "content": "1\n2"}]}');
INSERT INTO outbox (phone, template_key) VALUES ('09012345678', 'shipment_completed_ja');
-- an error is an error, without notices
INSERT INTO outbox (phone, messages) VALUES ('09012345678', '[{"type": "text", "text": "a", "new": 1, "quoteToken": 1}]');
RESET line_notify.content_warnings;

-- later, and without the content nothing
SELECT template_key IS NOT NULL AS template, content_warnings FROM notifications ORDER BY id;
SELECT severity, reason, hint FROM health() WHERE reason LIKE '%content%';
SELECT _content_warnings(NULL, NULL, NULL), _content_warnings('a', NULL, NULL);
-- who counts messages does not check their contents
CREATE FUNCTION public.plan_of(q text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	l text; found boolean := false;
BEGIN
	FOR l IN EXECUTE 'EXPLAIN (VERBOSE) ' || q LOOP found := found OR l LIKE '%_content_warnings%'; END LOOP;
	RETURN found;
END $$;
SELECT plan_of('SELECT state, count(*) FROM line_notify.notifications GROUP BY 1') AS count_does, plan_of('TABLE line_notify.notifications') AS all_does;
DROP FUNCTION plan_of;

-- what we do not know
INSERT INTO outbox (phone, messages) VALUES ('09012345678', :poll) RETURNING state;
SELECT alter_channel('shop', unknown_content => 'refuse');
SELECT unknown_content FROM channels;
INSERT INTO outbox (phone, messages) VALUES ('09012345678', :poll);
INSERT INTO outbox (phone, messages) VALUES ('09012345678', :doubtful);
INSERT INTO outbox (phone, template_key, body) VALUES ('09012345678', 'shipment_completed_ja', '{"Items": []}');
INSERT INTO outbox (phone, messages) VALUES ('09012345678', :good) RETURNING state;
SELECT severity, path, rule FROM check_message('flexible', jsonb_build_object('messages', :poll::jsonb), NULL, 'shop');
SELECT severity, path, rule FROM check_message('flexible', jsonb_build_object('messages', :poll::jsonb));
SELECT check_message('flexible', jsonb_build_object('messages', :poll::jsonb), NULL, 'no such');
SELECT alter_channel('shop', unknown_content => 'ignore');
SELECT alter_channel('shop', unknown_content => 'warn');
INSERT INTO outbox (phone, messages) VALUES ('09012345678', :poll) RETURNING state;

-- everybody may ask, but not about a channel
CREATE ROLE regress_ln_nobody;
SET ROLE regress_ln_nobody;
\set VERBOSITY terse
SELECT rule FROM line_notify.check_message('flexible', jsonb_build_object('messages', :poll::jsonb), NULL, 'shop') WHERE severity = 'warning';
\set VERBOSITY default
SELECT rule FROM line_notify.check_message('flexible', jsonb_build_object('messages', :poll::jsonb)) WHERE severity = 'warning';
RESET ROLE;
DROP ROLE regress_ln_nobody;
DELETE FROM outbox;
SELECT drop_channel('shop');
