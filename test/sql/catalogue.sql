-- The catalogue of template keys: what comes with the extension, rows of one's
-- own, what check_message() makes of it, and what is dumped.
SET client_encoding = 'UTF8';
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS line_notify;
RESET client_min_messages;
SET search_path = line_notify;

SELECT kind, region, source, count(*), count(name) AS names, count(label) AS labels, count(use_case) AS use_cases FROM template_catalogue GROUP BY 1, 2, 3 ORDER BY 1;
SELECT key, name, label, use_case FROM template_catalogue WHERE kind = 'template' ORDER BY key;
SELECT key, description FROM template_catalogue WHERE description IS NOT NULL ORDER BY key;
SELECT key, label FROM template_catalogue WHERE kind <> 'template' AND label IS NOT NULL ORDER BY kind, key;

-- an unknown key is no finding: nobody has the whole catalogue
SELECT * FROM check_message('template', '{"templateKey": "unknown_ja", "body": {"items": [{"itemKey": "unknown_ja", "content": "x"}]}}');
SELECT * FROM check_message('template', '{"templateKey": "unknown_ja"}', 'reminder');

-- another use case than the template implies
SELECT * FROM check_message('template', '{"templateKey": "order_item_completion_ja"}', 'product_completed');
SELECT * FROM check_message('template', '{"templateKey": "order_item_completion_ja"}', 'reminder');

-- one's own rows, also for a key that LINE's list has
INSERT INTO template_catalogue (kind, key, use_case) VALUES ('template', 'order_item_completion_ja', 'reminder'), ('template', 'own_ja', 'outage');
INSERT INTO template_catalogue (kind, region, key) VALUES ('item', 'TW', 'own_item');
SELECT * FROM check_message('template', '{"templateKey": "order_item_completion_ja"}', 'reminder');
SELECT * FROM check_message('template', '{"templateKey": "own_ja"}', 'reminder');

-- the allow-list, which a channel can switch on
SELECT f.* FROM _catalogue_findings('own_ja', template_body(item('name_013_ja', 'x'), items('name_014_ja', 'x'), buttons('contact_ja', 'https://a')), 'JP', 'outage', true) f;
SELECT f.* FROM _catalogue_findings('unknown_ja', template_body(item('own_item', 'x'), items('name_014_ja', 'x', 'b', 'x'), buttons('c', 'https://a')), 'JP', 'outage', true) f;
SELECT f.* FROM _catalogue_findings('unknown_ja', '{"items": 1, "buttons": [{}], "emphasizedItem": null}', 'TW', NULL, true) f;
SELECT f.* FROM _catalogue_findings('own_ja', NULL, 'TH', NULL, true) f;
SELECT f.* FROM _catalogue_findings('own_ja', NULL, 'TH', NULL, false) f;

-- what cannot be a row
INSERT INTO template_catalogue (kind, key) VALUES ('template', 'no-key');
INSERT INTO template_catalogue (kind, key) VALUES ('picture', 'key');
INSERT INTO template_catalogue (kind, key, region) VALUES ('item', 'key', 'US');
INSERT INTO template_catalogue (kind, key, use_case) VALUES ('item', 'key', 'reminder');
INSERT INTO template_catalogue (kind, key) VALUES ('template', 'own_ja');

-- a channel
SELECT create_channel('shop', region => 'JP') IS NOT NULL AS created;
SELECT * FROM check_message('flexible', jsonb_build_object('messages', messages(text_message('a'))), NULL, 'shop');
SELECT * FROM check_message('flexible', jsonb_build_object('messages', messages(text_message('a'))), 'reminder', 'shop');
SELECT * FROM check_message('template', '{"templateKey": "own_ja"}', NULL, 'shop');
SELECT * FROM check_message('template', '{"templateKey": "own_ja"}', 'reminder', 'shop');
SELECT * FROM check_message('template', '"x"', 'reminder', 'shop');
\set VERBOSITY sqlstate
SELECT * FROM check_message('template', '{"templateKey": "own_ja"}', NULL, 'no such channel');
\set VERBOSITY default

-- who may: the catalogue itself is not public; asking is, but not about a channel
CREATE ROLE regress_ln_nobody;
SET ROLE regress_ln_nobody;
\set VERBOSITY terse
SELECT severity, rule FROM check_message('template', '{"templateKey": "own_ja"}', 'reminder', 'shop');
\set VERBOSITY default
SELECT severity, rule FROM check_message('template', '{"templateKey": "own_ja"}', 'reminder');
SELECT count(*) FROM template_catalogue;
RESET ROLE;
DROP ROLE regress_ln_nobody;

-- only one's own rows are dumped
SELECT condition.c FROM pg_extension, unnest(extconfig, extcondition) AS condition (t, c) WHERE extname = 'line_notify' AND condition.t = 'template_catalogue'::regclass;

SELECT drop_channel('shop') IS NOT NULL AS dropped;
DELETE FROM template_catalogue WHERE source = 'user';
