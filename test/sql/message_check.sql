-- Every content rule with a message that keeps it and one that breaks it; then
-- the details: units of length, paths, order, bounds.  One case per line.
SET client_encoding = 'UTF8';
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS line_notify;
RESET client_min_messages;
SET search_path = line_notify;

-- short ways to write a request
CREATE FUNCTION pg_temp.template(body jsonb) RETURNS jsonb LANGUAGE sql AS
$$ SELECT jsonb_build_object('templateKey', 'shipment_completed_ja', 'body', body) $$;
CREATE FUNCTION pg_temp.items(n int, content text DEFAULT 'x') RETURNS jsonb LANGUAGE sql AS
$$ SELECT jsonb_build_object('items', coalesce(jsonb_agg(jsonb_build_object('itemKey', 'name_' || i, 'content', content)), '[]')) FROM generate_series(1, n) i $$;
CREATE FUNCTION pg_temp.messages(VARIADIC m jsonb[]) RETURNS jsonb LANGUAGE sql AS
$$ SELECT jsonb_build_object('messages', to_jsonb(m)) $$;
CREATE FUNCTION pg_temp.body(VARIADIC components jsonb[]) RETURNS jsonb LANGUAGE sql AS
$$ SELECT jsonb_build_object('type', 'bubble', 'body', jsonb_build_object('type', 'box', 'layout', 'vertical', 'contents', to_jsonb(components))) $$;
CREATE FUNCTION pg_temp.flex(contents jsonb) RETURNS jsonb LANGUAGE sql AS
$$ SELECT pg_temp.messages(jsonb_build_object('type', 'flex', 'altText', 'alt', 'contents', contents)) $$;
CREATE FUNCTION pg_temp.carousel(VARIADIC bubbles jsonb[]) RETURNS jsonb LANGUAGE sql AS
$$ SELECT pg_temp.flex(jsonb_build_object('type', 'carousel', 'contents', to_jsonb(bubbles))) $$;
CREATE FUNCTION pg_temp.nested(depth int) RETURNS jsonb LANGUAGE sql AS
$$ SELECT (repeat('[', depth) || repeat(']', depth))::jsonb $$;
CREATE FUNCTION pg_temp.emoji(index int) RETURNS jsonb LANGUAGE sql AS
$$ SELECT jsonb_build_object('index', index, 'productId', '5ac1bfd5040ab15980c9b435', 'emojiId', '001') $$;

CREATE TEMP TABLE cases (n int GENERATED ALWAYS AS IDENTITY, rule text, kind text, good jsonb, bad jsonb);

-- the request
INSERT INTO cases (rule, kind, good, bad) VALUES
('payload_type', 'template', '{"templateKey": "a"}', '"a"'),
('payload_type', 'flexible', pg_temp.messages('{"type": "text", "text": "a"}'), '[{"type": "text", "text": "a"}]'),
('to_not_allowed', 'template', '{"templateKey": "a"}', '{"templateKey": "a", "to": "3d06a39d40790f11761295e053029378ae28c4b4f6f301693005e079f3d4ca64"}'),
('wrong_kind', 'template', '{"templateKey": "a"}', '{"templateKey": "a", "messages": []}'),
('wrong_kind', 'flexible', pg_temp.messages('{"type": "text", "text": "a"}'), pg_temp.messages('{"type": "text", "text": "a"}') || '{"templateKey": "a"}'),
('json_too_deep', 'template', '{"templateKey": "a"}' || jsonb_build_object('x', pg_temp.nested(98)), '{"templateKey": "a"}' || jsonb_build_object('x', pg_temp.nested(101))),
('json_too_many_values', 'template', '{"templateKey": "a"}' || jsonb_build_object('x', (SELECT jsonb_agg(1) FROM generate_series(1, 99997))), '{"templateKey": "a"}' || jsonb_build_object('x', (SELECT jsonb_agg(1) FROM generate_series(1, 99998)))),
('number_out_of_range', 'template', '{"templateKey": "a", "x": [1000000000000000, -1e15, 0.000000000000000000000000000001]}', '{"templateKey": "a", "x": [1e131071]}'),
('number_out_of_range', 'template', '{"templateKey": "a"}', '{"templateKey": "a", "x": 1e-31}'),
('request_too_large', 'template', '{"templateKey": "a"}' || jsonb_build_object('x', repeat('x', 2 * 1024 * 1024 - 72 - 26)), '{"templateKey": "a"}' || jsonb_build_object('x', repeat('x', 2 * 1024 * 1024 - 72 - 25))),
('request_too_large', 'template', '{"templateKey": "a"}' || jsonb_build_object('x', repeat('"', 1024 * 1024 - 100)), '{"templateKey": "a"}' || jsonb_build_object('x', repeat('"', 1024 * 1024))),
('request_too_large', 'template', '{"templateKey": "a"}', '{"templateKey": "a"}' || jsonb_build_object('x', repeat('x', 17 * 1024 * 1024))),
('notification_disabled', 'template', '{"templateKey": "a", "notificationDisabled": null}', '{"templateKey": "a", "notificationDisabled": true}'),
('aggregation_units_count', 'template', '{"templateKey": "a", "customAggregationUnits": ["a"]}', '{"templateKey": "a", "customAggregationUnits": ["a", "b"]}'),
('aggregation_unit_invalid', 'template', '{"templateKey": "a", "customAggregationUnits": ["parcel_DELIVERY_0123456789abcde"]}' #- '{customAggregationUnits}' || '{"customAggregationUnits": ["parcel_DELIVERY_0123456789abcd"]}', '{"templateKey": "a", "customAggregationUnits": ["parcel_DELIVERY_0123456789abcde"]}'),
('aggregation_unit_invalid', 'flexible', pg_temp.messages('{"type": "text", "text": "a"}') || '{"customAggregationUnits": []}', pg_temp.messages('{"type": "text", "text": "a"}') || '{"customAggregationUnits": ["a-b"]}'),
('aggregation_unit_invalid', 'template', '{"templateKey": "a", "customAggregationUnits": null}', '{"templateKey": "a", "customAggregationUnits": [""]}');

-- any property
INSERT INTO cases (rule, kind, good, bad) VALUES
('property_missing', 'template', '{"templateKey": "a"}', '{}'),
('property_missing', 'template', '{"templateKey": "a"}', '{"templateKey": null}'),
('property_missing', 'template', pg_temp.template('{"items": [{"itemKey": "a", "content": "x"}]}'), pg_temp.template('{"items": [{"content": "x"}]}')),
('property_missing', 'template', pg_temp.template('{"buttons": []}'), pg_temp.template('{"buttons": [{"buttonKey": "a"}]}')),
('property_missing', 'flexible', pg_temp.messages('{"type": "text", "text": "a"}'), '{}'),
('property_missing', 'flexible', pg_temp.messages('{"type": "text", "text": "a"}'), pg_temp.messages('{"type": "text"}')),
('property_missing', 'flexible', pg_temp.messages('{"type": "text", "text": "a"}'), pg_temp.messages('{"text": "a"}')),
('property_missing', 'flexible', pg_temp.flex(pg_temp.body('{"type": "text", "text": "a"}')), pg_temp.messages('{"type": "flex", "altText": "a"}')),
('property_missing', 'flexible', pg_temp.flex(pg_temp.body('{"type": "text", "contents": [{"type": "span", "text": "a"}]}')), pg_temp.flex(pg_temp.body('{"type": "text"}'))),
('property_missing', 'flexible', pg_temp.flex(pg_temp.body('{"type": "button", "action": {"type": "uri", "label": "a", "uri": "https://a"}}')), pg_temp.flex(pg_temp.body('{"type": "button"}'))),
('property_type', 'template', pg_temp.template('{"items": []}'), pg_temp.template('{"items": {}}')),
('property_type', 'template', '{"templateKey": "a", "body": null}', '{"templateKey": "a", "body": []}'),
('property_type', 'template', pg_temp.template('{"emphasizedItem": null, "items": null, "buttons": null}'), pg_temp.template('{"items": [null]}')),
('property_type', 'template', pg_temp.template('{"items": [{"itemKey": "a", "content": "1200"}]}'), pg_temp.template('{"items": [{"itemKey": "a", "content": 1200}]}')),
('property_type', 'template', '{"templateKey": "a"}', '{"templateKey": "a", "customAggregationUnits": "a"}'),
('property_type', 'flexible', pg_temp.messages('{"type": "text", "text": "a"}') || '{"notificationDisabled": true}', pg_temp.messages('{"type": "text", "text": "a"}') || '{"notificationDisabled": "true"}'),
('property_type', 'flexible', pg_temp.messages('{"type": "text", "text": "a"}'), '{"messages": "a"}'),
('property_type', 'flexible', pg_temp.messages('{"type": "text", "text": "a"}'), '{"messages": ["a"]}'),
('property_misspelt', 'template', pg_temp.template('{"items": [], "unknown": 1}'), pg_temp.template('{"Items": []}')),
('property_misspelt', 'template', pg_temp.template('{"emphasizedItem": {"itemKey": "a", "content": "x"}}'), pg_temp.template('{"emphasized_item": {"itemKey": "a", "content": "x"}}'));

-- any text
INSERT INTO cases (rule, kind, good, bad) VALUES
('value_null', 'template', pg_temp.template('{"items": [{"itemKey": "a", "content": "x"}]}'), pg_temp.template('{"items": [{"itemKey": "a", "content": null}]}')),
('value_null', 'template', pg_temp.template('{"buttons": [{"buttonKey": "a", "url": "https://a"}]}'), pg_temp.template('{"buttons": [{"buttonKey": "a", "url": null}]}')),
('value_null', 'flexible', pg_temp.messages('{"type": "text", "text": "a"}'), pg_temp.messages('{"type": "text", "text": null}')),
('value_empty', 'template', pg_temp.template('{"items": [{"itemKey": "a", "content": "x"}]}'), pg_temp.template('{"items": [{"itemKey": "a", "content": ""}]}')),
('value_empty', 'template', pg_temp.template('{"buttons": [{"buttonKey": "a", "url": "https://a"}]}'), pg_temp.template('{"buttons": [{"buttonKey": "a", "url": ""}]}')),
('value_empty', 'flexible', pg_temp.messages('{"type": "text", "text": "a"}'), pg_temp.messages('{"type": "text", "text": ""}')),
('value_empty', 'flexible', pg_temp.flex(pg_temp.body('{"type": "text", "text": "a"}')), pg_temp.flex(pg_temp.body('{"type": "text", "text": ""}'))),
('value_empty', 'flexible', pg_temp.flex(pg_temp.body('{"type": "text", "text": "", "contents": [{"type": "span", "text": " "}]}')), pg_temp.flex(pg_temp.body('{"type": "text", "contents": [{"type": "span", "text": ""}]}'))),
('value_blank', 'template', pg_temp.template('{"items": [{"itemKey": "a", "content": " x "}]}'), pg_temp.template('{"items": [{"itemKey": "a", "content": " "}]}')),
('value_blank', 'template', pg_temp.template('{"items": [{"itemKey": "a", "content": "　x　"}]}'), pg_temp.template('{"items": [{"itemKey": "a", "content": "　"}]}')),
('value_blank', 'flexible', pg_temp.messages('{"type": "text", "text": "\na"}'), pg_temp.messages('{"type": "text", "text": "\n \u200b\ufeff"}')),
('value_too_long', 'template', pg_temp.template('{"emphasizedItem": {"itemKey": "a", "content": "2026年11月21日(土)X"}}'), pg_temp.template('{"emphasizedItem": {"itemKey": "a", "content": "2026年11月21日(土)XY"}}')),
('value_too_long', 'template', pg_temp.template(pg_temp.items(1, repeat('あ', 300))), pg_temp.template(pg_temp.items(1, repeat('あ', 301)))),
('value_too_long', 'template', pg_temp.template(pg_temp.items(1, repeat('🎉', 150))), pg_temp.template(pg_temp.items(1, repeat('🎉', 150) || 'x'))),
('value_too_long', 'template', pg_temp.template(jsonb_build_object('buttons', jsonb_build_array(jsonb_build_object('buttonKey', 'a', 'url', 'https://' || repeat('a', 992))))), pg_temp.template(jsonb_build_object('buttons', jsonb_build_array(jsonb_build_object('buttonKey', 'a', 'url', 'https://' || repeat('a', 993)))))),
('value_too_long', 'flexible', pg_temp.messages(jsonb_build_object('type', 'text', 'text', repeat('あ', 5000))), pg_temp.messages(jsonb_build_object('type', 'text', 'text', repeat('あ', 5001)))),
('value_too_long', 'flexible', pg_temp.messages(jsonb_build_object('type', 'textV2', 'text', repeat('あ', 5000))), pg_temp.messages(jsonb_build_object('type', 'textV2', 'text', repeat('あ', 5001)))),
('value_too_long', 'flexible', pg_temp.messages(jsonb_build_object('type', 'flex', 'altText', repeat('あ', 1500), 'contents', pg_temp.body('{"type": "filler"}'))), pg_temp.messages(jsonb_build_object('type', 'flex', 'altText', repeat('あ', 1501), 'contents', pg_temp.body('{"type": "filler"}')))),
('value_too_long', 'flexible', pg_temp.messages(jsonb_build_object('type', 'template', 'altText', repeat('あ', 1500), 'template', '{"type": "confirm", "text": "a", "actions": [{"type": "message", "label": "a", "text": "a"}, {"type": "message", "label": "a", "text": "a"}]}'::jsonb)), pg_temp.messages(jsonb_build_object('type', 'template', 'altText', repeat('あ', 1501), 'template', '{"type": "confirm", "text": "a", "actions": []}'::jsonb))),
('value_too_long', 'flexible', pg_temp.messages(jsonb_build_object('type', 'location', 'title', repeat('あ', 100), 'address', repeat('あ', 100), 'latitude', 35.6, 'longitude', 139.7)), pg_temp.messages(jsonb_build_object('type', 'location', 'title', repeat('あ', 101), 'address', 'a', 'latitude', 35.6, 'longitude', 139.7))),
('value_too_long', 'flexible', pg_temp.messages(jsonb_build_object('type', 'location', 'title', 'a', 'address', 'a', 'latitude', 35.6, 'longitude', 139.7)), pg_temp.messages(jsonb_build_object('type', 'location', 'title', 'a', 'address', repeat('あ', 101), 'latitude', 35.6, 'longitude', 139.7))),
('value_too_long', 'flexible', pg_temp.messages(jsonb_build_object('type', 'text', 'text', 'a', 'sender', jsonb_build_object('name', repeat('あ', 20)))), pg_temp.messages(jsonb_build_object('type', 'text', 'text', 'a', 'sender', jsonb_build_object('name', repeat('あ', 21))))),
('value_too_long', 'flexible', pg_temp.flex(pg_temp.body(jsonb_build_object('type', 'button', 'action', jsonb_build_object('type', 'uri', 'label', 'a', 'uri', 'https://' || repeat('a', 992))))), pg_temp.flex(pg_temp.body(jsonb_build_object('type', 'button', 'action', jsonb_build_object('type', 'uri', 'label', 'a', 'uri', 'https://' || repeat('a', 993)))))),
('value_too_long', 'flexible', pg_temp.flex(pg_temp.body(jsonb_build_object('type', 'button', 'action', jsonb_build_object('type', 'uri', 'label', 'a', 'uri', 'https://a', 'altUri', jsonb_build_object('desktop', 'https://' || repeat('a', 992)))))), pg_temp.flex(pg_temp.body(jsonb_build_object('type', 'button', 'action', jsonb_build_object('type', 'uri', 'label', 'a', 'uri', 'https://a', 'altUri', jsonb_build_object('desktop', 'https://' || repeat('a', 993))))))),
('value_too_long', 'flexible', pg_temp.flex(pg_temp.body(jsonb_build_object('type', 'button', 'action', jsonb_build_object('type', 'postback', 'label', 'a', 'data', repeat('a', 300))))), pg_temp.flex(pg_temp.body(jsonb_build_object('type', 'button', 'action', jsonb_build_object('type', 'postback', 'label', 'a', 'data', repeat('a', 301)))))),
('value_too_long', 'flexible', pg_temp.flex(pg_temp.body(jsonb_build_object('type', 'button', 'action', jsonb_build_object('type', 'message', 'label', 'a', 'text', repeat('a', 300))))), pg_temp.flex(pg_temp.body(jsonb_build_object('type', 'button', 'action', jsonb_build_object('type', 'message', 'label', 'a', 'text', repeat('a', 301)))))),
('value_too_long', 'flexible', pg_temp.flex(pg_temp.body(jsonb_build_object('type', 'button', 'action', jsonb_build_object('type', 'clipboard', 'label', 'a', 'clipboardText', repeat('a', 1000))))), pg_temp.flex(pg_temp.body(jsonb_build_object('type', 'button', 'action', jsonb_build_object('type', 'clipboard', 'label', 'a', 'clipboardText', repeat('a', 1001)))))),
('value_too_long', 'flexible', pg_temp.flex(pg_temp.body(jsonb_build_object('type', 'button', 'action', jsonb_build_object('type', 'datetimepicker', 'label', 'a', 'mode', 'date', 'data', repeat('a', 300))))), pg_temp.flex(pg_temp.body(jsonb_build_object('type', 'button', 'action', jsonb_build_object('type', 'datetimepicker', 'label', 'a', 'mode', 'date', 'data', repeat('a', 301)))))),
('control_character', 'template', pg_temp.template('{"items": [{"itemKey": "a", "content": "a b"}]}'), pg_temp.template('{"items": [{"itemKey": "a", "content": "a\u0007b"}]}')),
('control_character', 'template', pg_temp.template('{"items": [{"itemKey": "a", "content": "a\u00a0b"}]}'), pg_temp.template('{"items": [{"itemKey": "a", "content": "a\u0085b"}]}')),
('control_character', 'flexible', pg_temp.messages('{"type": "text", "text": "a\nb"}'), pg_temp.messages('{"type": "text", "text": "a\u007fb"}')),
('tab_or_return', 'flexible', pg_temp.messages('{"type": "text", "text": "a\nb"}'), pg_temp.messages('{"type": "text", "text": "a\r\nb"}')),
('tab_or_return', 'flexible', pg_temp.messages('{"type": "text", "text": "a b"}'), pg_temp.messages('{"type": "text", "text": "a\tb"}')),
('line_break', 'template', pg_temp.template('{"items": [{"itemKey": "a", "content": "a b"}]}'), pg_temp.template('{"items": [{"itemKey": "a", "content": "a\nb"}]}')),
('bidi_control', 'flexible', pg_temp.messages('{"type": "text", "text": "a\u200eb"}'), pg_temp.messages('{"type": "text", "text": "a\u202eb"}'));

-- any address
INSERT INTO cases (rule, kind, good, bad)
SELECT rule, 'template', pg_temp.template(jsonb_build_object('buttons', jsonb_build_array(jsonb_build_object('buttonKey', 'a', 'url', good)))), pg_temp.template(jsonb_build_object('buttons', jsonb_build_array(jsonb_build_object('buttonKey', 'a', 'url', bad))))
FROM (VALUES
	('url_scheme', 'https://example.com', 'www.example.com'),
	('url_scheme', 'HTTPS://example.com', 'ftp://example.com'),
	('url_scheme', 'https://example.com', 'javascript:alert(1)'),
	('url_scheme', 'https://example.com', 'https:example.com'),
	('url_scheme', 'https://example.com', ' https://example.com'),
	('url_malformed', 'https://example.com/?a=%E3%81%82#x', 'https://'),
	('url_malformed', 'https://[::1]:8443/~a;b(c)!$&''*+,=', 'https:///path'),
	('url_malformed', 'https://xn--wgv71a119e.jp', 'https://日本語.jp'),
	('url_malformed', 'https://example.com/%20', 'https://example.com/a b'),
	('url_malformed', 'https://example.com/%5C', 'https://example.com\a'),
	('url_malformed', 'https://example.com/100%25', 'https://example.com/100%'),
	('url_malformed', 'https://example.com/%aF', 'https://example.com/%g0'),
	('url_malformed', 'https://example.com/%0A', E'https://example.com/\n'),
	('url_not_https', 'https://example.com', 'http://example.com'),
	('url_not_https', 'https://example.com', 'tel:0120000000')) u (rule, good, bad);
INSERT INTO cases (rule, kind, good, bad)
SELECT rule, 'flexible', pg_temp.flex(pg_temp.body(jsonb_build_object('type', 'button', 'action', jsonb_build_object('type', 'uri', 'label', 'a', 'uri', good)))), pg_temp.flex(pg_temp.body(jsonb_build_object('type', 'button', 'action', jsonb_build_object('type', 'uri', 'label', 'a', 'uri', bad))))
FROM (VALUES
	('url_not_https', 'tel:+81120000000', 'http://example.com'),
	('url_app_scheme', 'line://ti/p/@example', 'lines://a'),
	('url_app_scheme', 'tel:117', 'mailto:help@example.com'),
	('url_scheme', 'https://a', 'file:///etc/hosts'),
	('url_malformed', 'tel:117', 'tel:'),
	('url_malformed', 'tel:117', 'tel:0120 000 000')) u (rule, good, bad);

-- template messages
INSERT INTO cases (rule, kind, good, bad) VALUES
('template_key_invalid', 'template', jsonb_build_object('templateKey', repeat('a', 64)), jsonb_build_object('templateKey', repeat('a', 65))),
('template_key_invalid', 'template', '{"templateKey": "Check_Contact9"}', '{"templateKey": ""}'),
('template_key_invalid', 'template', '{"templateKey": "service_cancellationl_ja"}', '{"templateKey": "service-cancellation"}'),
('item_key_invalid', 'template', pg_temp.template('{"items": [{"itemKey": "name_013_ja", "content": "x"}]}'), pg_temp.template('{"items": [{"itemKey": "氏名", "content": "x"}]}')),
('item_key_duplicate', 'template', pg_temp.template('{"items": [{"itemKey": "a", "content": "x"}, {"itemKey": "A", "content": "x"}]}'), pg_temp.template('{"items": [{"itemKey": "a", "content": "x"}, {"itemKey": "a", "content": "y"}]}')),
('item_key_duplicate', 'template', pg_temp.template('{"emphasizedItem": {"itemKey": "a", "content": "x"}, "items": [{"itemKey": "b", "content": "x"}]}'), pg_temp.template('{"emphasizedItem": {"itemKey": "a", "content": "x"}, "items": [{"itemKey": "a", "content": "x"}]}')),
('items_count', 'template', pg_temp.template(pg_temp.items(15)), pg_temp.template(pg_temp.items(16))),
('button_key_invalid', 'template', pg_temp.template('{"buttons": [{"buttonKey": "check_shop_location", "url": "https://a"}]}'), pg_temp.template('{"buttons": [{"buttonKey": "check shop", "url": "https://a"}]}')),
('button_key_duplicate', 'template', pg_temp.template('{"items": [{"itemKey": "a", "content": "x"}], "buttons": [{"buttonKey": "a", "url": "https://a"}, {"buttonKey": "b", "url": "https://a"}]}'), pg_temp.template('{"buttons": [{"buttonKey": "a", "url": "https://a"}, {"buttonKey": "a", "url": "https://b"}]}')),
('buttons_count', 'template', pg_temp.template('{"buttons": [{"buttonKey": "a", "url": "https://a"}, {"buttonKey": "b", "url": "https://a"}]}'), pg_temp.template('{"buttons": [{"buttonKey": "a", "url": "https://a"}, {"buttonKey": "b", "url": "https://a"}, {"buttonKey": "c", "url": "https://a"}]}'));

-- flexible messages
INSERT INTO cases (rule, kind, good, bad) VALUES
('messages_count', 'flexible', pg_temp.messages('{"type": "text", "text": "1"}', '{"type": "text", "text": "2"}', '{"type": "text", "text": "3"}', '{"type": "text", "text": "4"}', '{"type": "text", "text": "5"}'), '{"messages": []}'),
('messages_count', 'flexible', pg_temp.messages('{"type": "text", "text": "1"}'), pg_temp.messages('{"type": "text", "text": "1"}', '{"type": "text", "text": "2"}', '{"type": "text", "text": "3"}', '{"type": "text", "text": "4"}', '{"type": "text", "text": "5"}', '{"type": "text", "text": "6"}')),
('message_type_unknown', 'flexible', pg_temp.messages('{"type": "text", "text": "1"}'), pg_temp.messages('{"type": "Text", "text": "1"}')),
('message_media', 'flexible', pg_temp.messages('{"type": "text", "text": "1"}'), pg_temp.messages('{"type": "image", "originalContentUrl": "https://a", "previewImageUrl": "https://a"}')),
('message_media', 'flexible', pg_temp.messages('{"type": "text", "text": "1"}'), pg_temp.messages('{"type": "video", "originalContentUrl": "https://a", "previewImageUrl": "https://a"}')),
('message_media', 'flexible', pg_temp.messages('{"type": "text", "text": "1"}'), pg_temp.messages('{"type": "text", "text": "1"}', '{"type": "audio", "originalContentUrl": "https://a", "duration": 1}')),
('message_imagemap', 'flexible', pg_temp.messages('{"type": "text", "text": "1"}'), pg_temp.messages('{"type": "imagemap"}')),
('message_coupon', 'flexible', pg_temp.messages('{"type": "text", "text": "1"}'), pg_temp.messages('{"type": "coupon", "couponId": "a"}')),
('message_sticker', 'flexible', pg_temp.messages('{"type": "text", "text": "1"}'), pg_temp.messages('{"type": "sticker", "packageId": "446", "stickerId": "1988"}')),
('quick_reply_count', 'flexible', pg_temp.messages('{"type": "text", "text": "1"}' || jsonb_build_object('quickReply', jsonb_build_object('items', (SELECT jsonb_agg('{"type": "action", "action": {"type": "message", "label": "a", "text": "a"}}'::jsonb) FROM generate_series(1, 13))))), pg_temp.messages('{"type": "text", "text": "1"}' || jsonb_build_object('quickReply', jsonb_build_object('items', (SELECT jsonb_agg('{"type": "action", "action": {"type": "message", "label": "a", "text": "a"}}'::jsonb) FROM generate_series(1, 14)))))),
('quick_reply_image', 'flexible', pg_temp.messages('{"type": "text", "text": "1", "quickReply": {"items": [{"type": "action", "action": {"type": "location", "label": "a"}}]}}'), pg_temp.messages('{"type": "text", "text": "1", "quickReply": {"items": [{"type": "action", "imageUrl": "https://a", "action": {"type": "location", "label": "a"}}]}}')),
('sender_icon', 'flexible', pg_temp.messages('{"type": "text", "text": "1", "sender": {"name": "Shop"}}'), pg_temp.messages('{"type": "text", "text": "1", "sender": {"iconUrl": "https://a"}}')),
('sender_name', 'flexible', pg_temp.messages('{"type": "text", "text": "1", "sender": {"name": "Shop"}}'), pg_temp.messages('{"type": "text", "text": "1", "sender": {"name": "ONLINE SHOP"}}')),
('sender_name_line', 'flexible', pg_temp.messages('{"type": "text", "text": "1", "sender": {"name": "Shop"}}'), pg_temp.messages('{"type": "text", "text": "1", "sender": {"name": "LINE Pay"}}')),
('emojis_count', 'flexible', pg_temp.messages(jsonb_build_object('type', 'text', 'text', repeat('$', 20), 'emojis', (SELECT jsonb_agg(pg_temp.emoji(i)) FROM generate_series(0, 19) i))), pg_temp.messages(jsonb_build_object('type', 'text', 'text', repeat('$', 21), 'emojis', (SELECT jsonb_agg(pg_temp.emoji(i)) FROM generate_series(0, 20) i)))),
('emoji_index', 'flexible', pg_temp.messages(jsonb_build_object('type', 'text', 'text', 'あ🎉$', 'emojis', jsonb_build_array(pg_temp.emoji(3)))), pg_temp.messages(jsonb_build_object('type', 'text', 'text', 'あ🎉$', 'emojis', jsonb_build_array(pg_temp.emoji(2))))),
('emoji_index', 'flexible', pg_temp.messages(jsonb_build_object('type', 'text', 'text', '$', 'emojis', jsonb_build_array(pg_temp.emoji(0)))), pg_temp.messages(jsonb_build_object('type', 'text', 'text', '$', 'emojis', jsonb_build_array(pg_temp.emoji(1))))),
('emoji_index', 'flexible', pg_temp.messages(jsonb_build_object('type', 'text', 'text', '$', 'emojis', jsonb_build_array(pg_temp.emoji(0)))), pg_temp.messages(jsonb_build_object('type', 'text', 'text', '$', 'emojis', jsonb_build_array(pg_temp.emoji(-1))))),
('emoji_index', 'flexible', pg_temp.messages(jsonb_build_object('type', 'text', 'text', '$$', 'emojis', jsonb_build_array(pg_temp.emoji(0), pg_temp.emoji(1)))), pg_temp.messages(jsonb_build_object('type', 'text', 'text', '$$', 'emojis', jsonb_build_array(pg_temp.emoji(0), pg_temp.emoji(0))))),
('substitution_count', 'flexible', pg_temp.messages((SELECT jsonb_build_object('type', 'textV2', 'text', string_agg('{k' || i || '}', ''), 'substitution', jsonb_object_agg('k' || i, '{"type": "emoji", "productId": "a", "emojiId": "1"}'::jsonb)) FROM generate_series(1, 100) i)), pg_temp.messages((SELECT jsonb_build_object('type', 'textV2', 'text', 'a', 'substitution', jsonb_object_agg('k' || i, '{"type": "emoji", "productId": "a", "emojiId": "1"}'::jsonb)) FROM generate_series(1, 101) i))),
('substitution_key_invalid', 'flexible', pg_temp.messages('{"type": "textV2", "text": "{a_23456789012345678Z}", "substitution": {"a_23456789012345678Z": {"type": "emoji", "productId": "a", "emojiId": "1"}}}'), pg_temp.messages('{"type": "textV2", "text": "{a-b}", "substitution": {"a-b": {"type": "emoji", "productId": "a", "emojiId": "1"}}}')),
('substitution_type_unknown', 'flexible', pg_temp.messages('{"type": "textV2", "text": "{a}", "substitution": {"a": {"type": "emoji", "productId": "a", "emojiId": "1"}}}'), pg_temp.messages('{"type": "textV2", "text": "{a}", "substitution": {"a": {"type": "picture"}}}')),
('substitution_mention', 'flexible', pg_temp.messages('{"type": "textV2", "text": "a"}'), pg_temp.messages('{"type": "textV2", "text": "{a}", "substitution": {"a": {"type": "mention", "mentionee": {"type": "all"}}}}')),
('substitution_unused', 'flexible', pg_temp.messages('{"type": "textV2", "text": "{a}{a}", "substitution": {"a": {"type": "emoji", "productId": "a", "emojiId": "1"}}}'), pg_temp.messages('{"type": "textV2", "text": "{{a}}", "substitution": {"a": {"type": "emoji", "productId": "a", "emojiId": "1"}}}')),
('placeholder_unknown', 'flexible', pg_temp.messages('{"type": "textV2", "text": "{{b}}"}'), pg_temp.messages('{"type": "textV2", "text": "{b}"}')),
('brace_unbalanced', 'flexible', pg_temp.messages('{"type": "textV2", "text": "a {{ b }} c }}"}'), pg_temp.messages('{"type": "textV2", "text": "a } b"}')),
('brace_unbalanced', 'flexible', pg_temp.messages('{"type": "text", "text": "a { b"}'), pg_temp.messages('{"type": "textV2", "text": "a {"}')),
('location_out_of_range', 'flexible', pg_temp.messages('{"type": "location", "title": "a", "address": "b", "latitude": -90, "longitude": 180.0}'), pg_temp.messages('{"type": "location", "title": "a", "address": "b", "latitude": 139.7, "longitude": 35.6}')),
('template_type_unknown', 'flexible', pg_temp.messages('{"type": "template", "altText": "a", "template": {"type": "buttons", "text": "a", "actions": [{"type": "message", "label": "a", "text": "a"}]}}'), pg_temp.messages('{"type": "template", "altText": "a", "template": {"type": "button"}}')),
('template_image', 'flexible', pg_temp.messages('{"type": "template", "altText": "a", "template": {"type": "buttons", "thumbnailImageUrl": null, "text": "a", "actions": [{"type": "uri", "uri": "https://a", "label": "a"}]}}'), pg_temp.messages('{"type": "template", "altText": "a", "template": {"type": "buttons", "thumbnailImageUrl": "https://a", "text": "a", "actions": [{"type": "uri", "uri": "https://a", "label": "a"}]}}')),
('template_image', 'flexible', pg_temp.messages('{"type": "template", "altText": "a", "template": {"type": "carousel", "columns": [{"text": "a", "actions": [{"type": "uri", "uri": "https://a", "label": "a"}]}]}}'), pg_temp.messages('{"type": "template", "altText": "a", "template": {"type": "carousel", "columns": [{"thumbnailImageUrl": "https://a", "text": "a", "actions": [{"type": "uri", "uri": "https://a", "label": "a"}]}]}}')),
('template_image', 'flexible', pg_temp.messages('{"type": "text", "text": "a"}'), pg_temp.messages('{"type": "template", "altText": "a", "template": {"type": "image_carousel", "columns": []}}')),
('template_count', 'flexible', pg_temp.messages('{"type": "text", "text": "a"}'), pg_temp.messages('{"type": "template", "altText": "a", "template": {"type": "confirm", "text": "a", "actions": [{"type": "uri", "uri": "https://a", "label": "a"}]}}')),
('template_count', 'flexible', pg_temp.messages('{"type": "text", "text": "a"}'), pg_temp.messages('{"type": "template", "altText": "a", "template": {"type": "carousel", "columns": []}}')),
('template_text_long', 'flexible', pg_temp.messages(jsonb_build_object('type', 'template', 'altText', 'a', 'template', jsonb_build_object('type', 'buttons', 'title', 'a', 'text', repeat('👪', 30), 'actions', '[{"type": "message", "label": "a", "text": "a"}]'::jsonb))), pg_temp.messages(jsonb_build_object('type', 'template', 'altText', 'a', 'template', jsonb_build_object('type', 'buttons', 'title', 'a', 'text', repeat('👪', 31), 'actions', '[{"type": "message", "label": "a", "text": "a"}]'::jsonb)))),
('value_too_long', 'flexible', pg_temp.messages(jsonb_build_object('type', 'template', 'altText', 'a', 'template', jsonb_build_object('type', 'buttons', 'text', repeat('あ', 160), 'actions', '[{"type": "message", "label": "a", "text": "a"}]'::jsonb))), pg_temp.messages(jsonb_build_object('type', 'template', 'altText', 'a', 'template', jsonb_build_object('type', 'buttons', 'text', repeat('あ', 161), 'actions', '[{"type": "message", "label": "a", "text": "a"}]'::jsonb)))),
('value_too_long', 'flexible', pg_temp.messages(jsonb_build_object('type', 'template', 'altText', 'a', 'template', jsonb_build_object('type', 'buttons', 'title', 'a', 'text', repeat('あ', 60), 'actions', '[{"type": "message", "label": "a", "text": "a"}]'::jsonb))), pg_temp.messages(jsonb_build_object('type', 'template', 'altText', 'a', 'template', jsonb_build_object('type', 'buttons', 'title', 'a', 'text', repeat('あ', 61), 'actions', '[{"type": "message", "label": "a", "text": "a"}]'::jsonb)))),
('template_columns', 'flexible', pg_temp.messages('{"type": "template", "altText": "a", "template": {"type": "carousel", "columns": [{"text": "a", "actions": [{"type": "message", "label": "a", "text": "a"}]}]}}'), pg_temp.messages('{"type": "template", "altText": "a", "template": {"type": "carousel", "columns": [{"text": "a", "actions": [{"type": "message", "label": "a", "text": "a"}]}, {"text": "a", "title": "b", "actions": [{"type": "message", "label": "a", "text": "a"}, {"type": "message", "label": "b", "text": "b"}]}]}}')),
('action_place', 'flexible', pg_temp.messages('{"type": "text", "text": "1", "quickReply": {"items": [{"type": "action", "action": {"type": "camera", "label": "a"}}]}}'), pg_temp.messages('{"type": "template", "altText": "a", "template": {"type": "buttons", "text": "a", "actions": [{"type": "camera", "label": "a"}]}}')),
('action_type_unknown', 'flexible', pg_temp.flex(pg_temp.body('{"type": "button", "action": {"type": "message", "label": "a", "text": "a"}}')), pg_temp.flex(pg_temp.body('{"type": "button", "action": {"type": "url", "label": "a"}}'))),
('value_too_long', 'flexible', pg_temp.flex(pg_temp.body(jsonb_build_object('type', 'button', 'action', jsonb_build_object('type', 'uri', 'uri', 'https://a', 'label', repeat('あ', 40))))), pg_temp.flex(pg_temp.body(jsonb_build_object('type', 'button', 'action', jsonb_build_object('type', 'uri', 'uri', 'https://a', 'label', repeat('あ', 41)))))),
('action_label', 'flexible', pg_temp.flex(pg_temp.body(jsonb_build_object('type', 'button', 'action', jsonb_build_object('type', 'uri', 'uri', 'https://a', 'label', repeat('👪', 20))))), pg_temp.flex(pg_temp.body(jsonb_build_object('type', 'button', 'action', jsonb_build_object('type', 'uri', 'uri', 'https://a', 'label', repeat('👪', 21)))))),
('action_label', 'flexible', pg_temp.flex(pg_temp.body('{"type": "button", "action": {"type": "uri", "uri": "https://a", "label": "a"}}')), pg_temp.flex(pg_temp.body('{"type": "button", "action": {"type": "uri", "uri": "https://a", "label": " "}}'))),
('action_label_missing', 'flexible', pg_temp.flex(pg_temp.body('{"type": "text", "text": "a", "action": {"type": "uri", "uri": "https://a"}}')), pg_temp.flex(pg_temp.body('{"type": "button", "action": {"type": "uri", "uri": "https://a"}}'))),
('datetime_invalid', 'flexible', pg_temp.flex(pg_temp.body('{"type": "button", "action": {"type": "datetimepicker", "label": "a", "data": "a", "mode": "date", "min": "2028-02-29"}}')), pg_temp.flex(pg_temp.body('{"type": "button", "action": {"type": "datetimepicker", "label": "a", "data": "a", "mode": "date", "min": "2027-02-29"}}'))),
('datetime_order', 'flexible', pg_temp.flex(pg_temp.body('{"type": "button", "action": {"type": "datetimepicker", "label": "a", "data": "a", "mode": "time", "min": "09:00", "max": "18:00"}}')), pg_temp.flex(pg_temp.body('{"type": "button", "action": {"type": "datetimepicker", "label": "a", "data": "a", "mode": "time", "min": "18:00", "max": "09:00"}}'))),
('datetime_initial', 'flexible', pg_temp.flex(pg_temp.body('{"type": "button", "action": {"type": "datetimepicker", "label": "a", "data": "a", "mode": "time", "initial": "09:00", "min": "09:00", "max": "18:00"}}')), pg_temp.flex(pg_temp.body('{"type": "button", "action": {"type": "datetimepicker", "label": "a", "data": "a", "mode": "time", "initial": "19:00", "min": "09:00", "max": "18:00"}}'))),
('property_conflict', 'flexible', pg_temp.flex(pg_temp.body('{"type": "button", "action": {"type": "postback", "label": "a", "data": "a", "text": "b"}}')), pg_temp.flex(pg_temp.body('{"type": "button", "action": {"type": "postback", "label": "a", "data": "a", "text": "b", "displayText": "c"}}'))),
('property_ignored', 'flexible', pg_temp.flex(pg_temp.body('{"type": "button", "action": {"type": "postback", "label": "a", "data": "a", "inputOption": "openKeyboard", "fillInText": "b"}}')), pg_temp.flex(pg_temp.body('{"type": "button", "action": {"type": "postback", "label": "a", "data": "a", "inputOption": "openVoice", "fillInText": "b"}}'))),
('property_advised', 'flexible', pg_temp.messages('{"type": "text", "text": "1", "quickReply": {"items": [{"type": "action", "action": {"type": "postback", "label": "a", "data": "a", "displayText": "b"}}]}}'), pg_temp.messages('{"type": "text", "text": "1", "quickReply": {"items": [{"action": {"type": "postback", "label": "a", "data": "a"}}]}}')),
('property_unknown', 'flexible', pg_temp.flex(pg_temp.body('{"type": "filler", "flex": 1}')), pg_temp.flex(pg_temp.body('{"type": "filler", "grow": 1}')));

-- Flex
INSERT INTO cases (rule, kind, good, bad) VALUES
('flex_container_unknown', 'flexible', pg_temp.flex('{"type": "bubble", "body": {"type": "box", "layout": "vertical", "contents": []}}'), pg_temp.flex('{"type": "bubbles"}')),
('flex_container_unknown', 'flexible', pg_temp.carousel('{"type": "bubble", "body": {"type": "box", "layout": "vertical", "contents": []}}'), pg_temp.carousel('{"type": "carousel", "contents": []}')),
('flex_component_unknown', 'flexible', pg_temp.flex(pg_temp.body('{"type": "separator"}', '{"type": "filler"}')), pg_temp.flex(pg_temp.body('{"type": "table"}'))),
('bubble_empty', 'flexible', pg_temp.flex('{"type": "bubble", "header": {"type": "box", "layout": "vertical", "contents": []}}'), pg_temp.flex('{"type": "bubble", "styles": {}, "body": null}')),
('flex_block', 'flexible', pg_temp.flex('{"type": "bubble", "hero": {"type": "box", "layout": "vertical", "contents": []}}'), pg_temp.flex('{"type": "bubble", "footer": {"type": "text", "text": "a"}}')),
('flex_media', 'flexible', pg_temp.flex(pg_temp.body('{"type": "text", "text": "image"}')), pg_temp.flex(pg_temp.body('{"type": "image", "url": "https://a"}'))),
('flex_media', 'flexible', pg_temp.flex('{"type": "bubble", "body": {"type": "box", "layout": "vertical", "contents": []}}'), pg_temp.flex('{"type": "bubble", "hero": {"type": "image", "url": "https://a"}}')),
('flex_media', 'flexible', pg_temp.flex('{"type": "bubble", "body": {"type": "box", "layout": "vertical", "contents": []}}'), pg_temp.flex('{"type": "bubble", "hero": {"type": "video", "url": "https://a", "previewUrl": "https://a", "altContent": {"type": "image", "url": "https://a"}}}')),
('flex_media', 'flexible', pg_temp.flex(pg_temp.body('{"type": "box", "layout": "horizontal", "contents": [{"type": "box", "layout": "vertical", "contents": []}]}')), pg_temp.flex(pg_temp.body('{"type": "box", "layout": "horizontal", "contents": [{"type": "box", "layout": "vertical", "contents": [{"type": "image", "url": "https://a"}]}]}'))),
('flex_media', 'flexible', pg_temp.flex(pg_temp.body('{"type": "box", "layout": "vertical", "contents": [], "background": {"type": "linearGradient", "angle": "0deg", "startColor": "#ff0000", "endColor": "#0000ff"}}')), pg_temp.flex(pg_temp.body('{"type": "box", "layout": "vertical", "contents": [], "background": {"type": "image", "url": "https://a"}}'))),
('flex_media', 'flexible', pg_temp.flex(pg_temp.body('{"type": "filler", "future": {"type": "map"}}')), pg_temp.flex(pg_temp.body('{"type": "filler", "future": [[{"x": {"type": "image"}}]]}'))),
('flex_media', 'flexible', pg_temp.carousel('{"type": "bubble", "body": {"type": "box", "layout": "vertical", "contents": []}}', '{"type": "bubble", "body": {"type": "box", "layout": "vertical", "contents": []}}'), pg_temp.carousel('{"type": "bubble", "body": {"type": "box", "layout": "vertical", "contents": []}}', pg_temp.body('{"type": "image", "url": "https://a"}'))),
('flex_icon', 'flexible', pg_temp.flex(pg_temp.body('{"type": "box", "layout": "baseline", "contents": [{"type": "text", "text": "a"}]}')), pg_temp.flex(pg_temp.body('{"type": "box", "layout": "baseline", "contents": [{"type": "icon", "url": "https://a"}]}'))),
('flex_child', 'flexible', pg_temp.flex(pg_temp.body('{"type": "box", "layout": "baseline", "contents": [{"type": "filler"}]}')), pg_temp.flex(pg_temp.body('{"type": "box", "layout": "baseline", "contents": [{"type": "separator"}]}'))),
('flex_child', 'flexible', pg_temp.flex(pg_temp.body('{"type": "text", "contents": [{"type": "span", "text": "a"}]}')), pg_temp.flex(pg_temp.body('{"type": "span", "text": "a"}'))),
('flex_child', 'flexible', pg_temp.flex(pg_temp.body('{"type": "text", "contents": [{"type": "span", "text": "a"}]}')), pg_temp.flex(pg_temp.body('{"type": "text", "contents": [{"type": "text", "text": "a"}]}'))),
('flex_layout', 'flexible', pg_temp.flex(pg_temp.body('{"type": "box", "layout": "horizontal", "contents": []}')), pg_temp.flex(pg_temp.body('{"type": "box", "layout": "column", "contents": []}'))),
('property_value', 'flexible', pg_temp.flex(pg_temp.body('{"type": "text", "text": "a", "align": "center", "wrap": false, "maxLines": 2, "size": "14px", "style": "italic"}')), pg_temp.flex(pg_temp.body('{"type": "text", "text": "a", "align": "middle"}'))),
('property_type', 'flexible', pg_temp.flex(pg_temp.body('{"type": "text", "text": "a", "wrap": true}')), pg_temp.flex(pg_temp.body('{"type": "text", "text": "a", "wrap": "true"}'))),
('property_value', 'flexible', pg_temp.flex('{"type": "bubble", "size": "giga", "body": {"type": "box", "layout": "vertical", "contents": []}}'), pg_temp.flex('{"type": "bubble", "size": "full", "body": {"type": "box", "layout": "vertical", "contents": []}}')),
('property_value', 'flexible', pg_temp.flex(pg_temp.body('{"type": "button", "style": "link", "height": "sm", "action": {"type": "datetimepicker", "label": "a", "data": "", "mode": "time"}}')), pg_temp.flex(pg_temp.body('{"type": "button", "action": {"type": "datetimepicker", "label": "a", "data": "", "mode": "now"}}'))),
('flex_text_blank', 'flexible', pg_temp.flex(pg_temp.body('{"type": "text", "text": "a"}')), pg_temp.flex(pg_temp.body('{"type": "text", "text": " "}'))),
('bubble_too_large', 'flexible', pg_temp.flex(pg_temp.body(jsonb_build_object('type', 'text', 'text', repeat('x', 29800)))), pg_temp.flex(pg_temp.body(jsonb_build_object('type', 'text', 'text', repeat('x', 30 * 1024))))),
('bubble_too_large', 'flexible', pg_temp.flex(pg_temp.body(jsonb_build_object('type', 'text', 'text', repeat('あ', 9900)))), pg_temp.flex(pg_temp.body(jsonb_build_object('type', 'text', 'text', repeat('あ', 10300))))),
('bubble_too_large', 'flexible', pg_temp.carousel('{"type": "bubble", "body": {"type": "box", "layout": "vertical", "contents": []}}'), pg_temp.carousel('{"type": "bubble", "body": {"type": "box", "layout": "vertical", "contents": []}}', pg_temp.body(jsonb_build_object('type', 'text', 'text', repeat(E'\n', 16000))))),
('carousel_too_large', 'flexible', pg_temp.carousel(pg_temp.body(jsonb_build_object('type', 'text', 'text', repeat('x', 24000))), pg_temp.body(jsonb_build_object('type', 'text', 'text', repeat('x', 24000)))), pg_temp.carousel(pg_temp.body(jsonb_build_object('type', 'text', 'text', repeat('x', 26000))), pg_temp.body(jsonb_build_object('type', 'text', 'text', repeat('x', 26000))))),
('size_near_limit', 'flexible', pg_temp.flex(pg_temp.body(jsonb_build_object('type', 'text', 'text', repeat('x', 29800)))), pg_temp.flex(pg_temp.body(jsonb_build_object('type', 'text', 'text', repeat('x', 30100))))),
('carousel_count', 'flexible', pg_temp.carousel(VARIADIC array_fill('{"type": "bubble", "body": {"type": "box", "layout": "vertical", "contents": []}}'::jsonb, ARRAY[12])), pg_temp.carousel(VARIADIC array_fill('{"type": "bubble", "body": {"type": "box", "layout": "vertical", "contents": []}}'::jsonb, ARRAY[13]))),
('carousel_count', 'flexible', pg_temp.carousel('{"type": "bubble", "body": {"type": "box", "layout": "vertical", "contents": []}}'), pg_temp.flex('{"type": "carousel", "contents": []}')),
('carousel_sizes', 'flexible', pg_temp.carousel('{"type": "bubble", "size": "mega", "body": {"type": "box", "layout": "vertical", "contents": []}}', '{"type": "bubble", "body": {"type": "box", "layout": "vertical", "contents": []}}'), pg_temp.carousel('{"type": "bubble", "size": "kilo", "body": {"type": "box", "layout": "vertical", "contents": []}}', '{"type": "bubble", "body": {"type": "box", "layout": "vertical", "contents": []}}')),
('too_many_findings', 'flexible', pg_temp.messages('{"type": "text", "text": "a"}'), pg_temp.flex((SELECT pg_temp.body(VARIADIC array_agg('{"type": "text", "text": ""}'::jsonb)) FROM generate_series(1, 101))));

-- The good message has no finding at all, the bad one the finding of its rule;
-- where and what is printed.
\pset format unaligned
SELECT c.rule, r.severity, r.fault, f.found AS findings_of_the_bad_message,
	(SELECT string_agg(concat_ws(' ', severity, path, rule), E'\n') FROM check_message(c.kind, c.good)) AS findings_of_the_good_message
FROM cases c LEFT JOIN content_rules r USING (rule),
	LATERAL (SELECT string_agg(concat_ws(' ', severity, path, m.rule) || ': ' || message, E'\n') AS found, bool_or(m.rule = c.rule AND m.severity = r.severity) AS hit, count(*)
		FROM (SELECT * FROM check_message(c.kind, c.bad) LIMIT CASE WHEN c.rule <> 'too_many_findings' THEN 4 END) m) f
WHERE c.rule <> 'too_many_findings'
ORDER BY n;
\pset format aligned

SELECT c.n, c.rule, 'the good message has findings' AS problem FROM cases c WHERE EXISTS (SELECT FROM check_message(c.kind, c.good) m WHERE m.rule <> 'property_unknown' OR c.rule = 'property_unknown')
UNION ALL
SELECT c.n, c.rule, 'the bad message has no such finding' FROM cases c WHERE NOT EXISTS (SELECT FROM check_message(c.kind, c.bad) m WHERE m.rule = c.rule)
UNION ALL
SELECT NULL, m.rule, 'reported in another severity than listed' FROM cases c, check_message(c.kind, c.bad) m LEFT JOIN content_rules r USING (rule, severity) WHERE r.rule IS NULL;

-- rules without a case: invalid UTF-8 needs a SQL_ASCII database (and is tested
-- there); those about catalogue and channel have a test of their own
SELECT rule FROM content_rules EXCEPT SELECT rule FROM cases ORDER BY rule;

-- a cap on findings, and what is beyond it is not lost silently
SELECT count(*), max(m.rule) FILTER (WHERE path = '') AS last, max(message) FILTER (WHERE path = '') AS message
FROM cases, check_message(kind, bad) m WHERE cases.rule = 'too_many_findings';

-- unknown properties are no errors
SELECT * FROM check_message('template', '{"templateKey": "a", "new": {"x": [1, null, true]}, "body": {"colour": "red", "items": [{"itemKey": "a", "content": "x", "hint": 1}]}}');
SELECT * FROM check_message('flexible', pg_temp.messages('{"type": "text", "text": "a", "new": 1}') || '{"new": 1}');

-- all findings of one message at once, in reading order
SELECT severity, path, rule, message FROM check_message('template', '{"templateKey": "no good", "body": {
	"emphasizedItem": {"itemKey": "date_002_ja", "content": "much too long for an emphasized item"},
	"items": [{"itemKey": "date_002_ja", "content": ""}, {"itemKey": "name_020_ja"}, "x"],
	"buttons": [{"buttonKey": "check_details_ja", "url": "shop.example"}]}}');

-- strange names in a path: quoted, cut, without control characters
SELECT path, length(path) FROM check_message('flexible', pg_temp.flex(pg_temp.body('{"type": "filler"}' ||
	jsonb_build_object(E'a"b\n\\' || U&'\009B' || '日本', '{"type": "image"}'::jsonb, repeat('é', 500), '[{"type": "image"}]'::jsonb, '', '{"type": "image"}'::jsonb))));
SELECT right(path, 30) AS path_ends, length(path) FROM check_message('flexible', pg_temp.flex(pg_temp.body('{"type": "filler"}' ||
	('{"x":' || repeat('{"long_property_name":', 60) || '{"type": "image"}' || repeat('}', 60) || '}')::jsonb)));

-- mistakes in the call
CREATE FUNCTION pg_temp.try(kind text, payload jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	h text;
BEGIN
	PERFORM line_notify.check_message(kind, payload);
	RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS h = PG_EXCEPTION_HINT;
	RETURN SQLSTATE || ' ' || SQLERRM || ' ' || h;
END $$;
SELECT pg_temp.try('push', '{}');
SELECT pg_temp.try(repeat('あ', 100), '{}');
SELECT pg_temp.try(NULL, '{}');
SELECT pg_temp.try('template', NULL);
SELECT * FROM check_message('template', 'null');
SELECT * FROM check_message('flexible', '1e100000');

-- hostile input is refused without work: these would take minutes if a number
-- were written out, or a property searched for, once per element
SELECT rule FROM check_message('template', ('{"templateKey": "a", "x": [' || repeat('1e131071,', 50000) || '1]}')::jsonb);
SELECT count(*) FROM check_message('flexible', pg_temp.messages((SELECT jsonb_build_object('type', 'textV2', 'text', repeat('{x}', 1600), 'substitution', jsonb_object_agg('k' || i, 1)) FROM generate_series(1, 50000) i)));
SELECT count(*) FROM check_message('template', pg_temp.template(pg_temp.items(30000)));

-- everybody may ask
CREATE ROLE regress_ln_nobody;
SET ROLE regress_ln_nobody;
SELECT rule FROM line_notify.check_message('template', '{}');
SELECT count(*) > 0 AS readable FROM line_notify.content_rules;
RESET ROLE;
DROP ROLE regress_ln_nobody;
