-- Builders: what they write passes check_message(), mistakes in the program are
-- errors, values from data never are; and the formats of dates, times, amounts.
SET client_encoding = 'UTF8';
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS line_notify;
RESET client_min_messages;
SET search_path = line_notify;
SET TimeZone = 'America/New_York';	-- must not matter
SET lc_time = 'C';
SET DateStyle = 'ISO';

--
-- what they write
--
SELECT item('name_020_ja', '保険証券');
SELECT item('name_020_ja', NULL);
SELECT optional_item('name_020_ja', '保険証券') AS given, optional_item('name_020_ja', NULL) AS "null", optional_item('name_020_ja', '') AS empty;
SELECT items('name_020_ja', '保険証券', 'number_001_ja', NULL);
SELECT button('check_details_ja', 'https://shop.example/1');
SELECT buttons('check_details_ja', 'https://shop.example/1', 'contact_ja', 'https://shop.example/2');
SELECT jsonb_pretty(template_body(
	item('date_002_ja', format_date('2026-11-21')),
	items('name_020_ja', '保険証券', 'number_001_ja', 'AB-1') || optional_item('name_021_ja', NULL),
	buttons('check_details_ja', 'https://shop.example/1')));
SELECT template_body() AS nothing, template_body(items => ARRAY[NULL, NULL]::jsonb[], buttons => '{}') AS only_nulls;
SELECT text_message('ご予約を承りました。');
SELECT text_message('a', '{"sender": {"name": "Shop"}}');
SELECT messages(text_message('a'), NULL, text_message('b'));
SELECT flex_message('alt', flex_bubble(ARRAY[flex_text('a')]));
SELECT flex_text('a', '{"wrap": false, "size": "sm"}');
SELECT flex_button('詳細', 'https://shop.example', '{"style": "primary"}');
SELECT flex_separator();
SELECT flex_row('人数', '2名');
SELECT flex_box('horizontal', ARRAY[flex_text('a'), NULL, flex_text('b')], '{"spacing": "sm"}');
SELECT flex_bubble(ARRAY[flex_text('a')], ARRAY[flex_text('h')], ARRAY[flex_text('f')], '{"size": "kilo"}');
SELECT jsonb_pretty(flex_notice('ご予約の確認', ARRAY[['日時', '2026年11月21日(土) 10:00'], ['人数', '2名']], 'お待ちしております。', '予約を見る', 'https://shop.example/r/1'));

-- all of it passes
SELECT m.* FROM (VALUES
	('template', jsonb_build_object('templateKey', 'shipment_completed_ja', 'body', template_body(item('date_002_ja', format_date('2026-11-21')), items('name_020_ja', '保険証券'), buttons('check_details_ja', 'https://shop.example/1')))),
	('template', jsonb_build_object('templateKey', 'shipment_completed_ja', 'body', template_body())),
	('flexible', jsonb_build_object('messages', messages(text_message('a'), text_message('b', '{"quickReply": {"items": [{"type": "action", "action": {"type": "message", "label": "はい", "text": "はい"}}]}}')))),
	('flexible', jsonb_build_object('messages', messages(flex_notice('ご予約の確認')))),
	('flexible', jsonb_build_object('messages', messages(flex_notice('ご予約の確認', ARRAY['日時', '10:00'])))),
	('flexible', jsonb_build_object('messages', messages(flex_notice('ご予約の確認', ARRAY[['日時', '2026年11月21日(土) 10:00'], ['人数', '2名']], 'お待ちしております。', '予約を見る', 'https://shop.example/r/1', '明日のご予約')))),
	('flexible', jsonb_build_object('messages', messages(flex_message('alt', flex_bubble(
		ARRAY[flex_text('a'), flex_separator(), flex_row('l', 'v'), flex_box('horizontal', ARRAY[flex_text('b')])],
		ARRAY[flex_text('h', '{"weight": "bold"}')],
		ARRAY[flex_button('詳細', 'https://shop.example', '{"style": "primary"}')])))))
) AS v (kind, payload), check_message(kind, payload) AS m;

--
-- values from data are let through; they are what INSERT parks
--
SELECT m.severity, m.path, m.rule FROM (VALUES
	('template', jsonb_build_object('templateKey', 'shipment_completed_ja', 'body', template_body(
		item('date_002_ja', 'a text that is longer than fifteen'),
		items('name_020_ja', NULL, 'name_021_ja', '', 'name_022_ja', E'\x07'),
		buttons('check_details_ja', NULL, 'contact_ja', 'no address')))),
	('flexible', jsonb_build_object('messages', messages(text_message(NULL), text_message(''), text_message(repeat('a', 5001)), flex_notice(NULL, ARRAY[[NULL, '']], NULL, 'only a label'))))
) AS v (kind, payload), check_message(kind, payload) AS m WHERE m.severity = 'error';

--
-- mistakes in the program
--
CREATE FUNCTION pg_temp.try(expression text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	d text; r text;
BEGIN
	EXECUTE 'SELECT (' || expression || ')::text' INTO r;
	RETURN coalesce(r, 'NULL');
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS d = PG_EXCEPTION_DETAIL;
	RETURN SQLSTATE || ' ' || SQLERRM || coalesce(E'\n' || nullif(d, ''), '');
END $$;
\pset format unaligned
SELECT expression, pg_temp.try(expression) AS result FROM (VALUES
	($$item('', 'x')$$),
	($$item(NULL, 'x')$$),
	($$item('name-020', 'x')$$),
	($$item('氏名', 'x')$$),
	($$item(repeat('a', 65), 'x')$$),
	($$button('check details', 'https://a')$$),
	($$items('a')$$),
	($$items('a', 'b', 'c')$$),
	($$buttons('a', 'https://a', 'b')$$),
	($$items(VARIADIC NULL)$$),
	($$items(VARIADIC '{}')$$),
	($$template_body(item('a', 'x'), items('a', 'y'))$$),
	($$template_body(items => items('a', 'x', 'a', 'y'))$$),
	($$template_body(items => (SELECT array_agg(item('k' || i, 'x')) FROM generate_series(1, 16) i))$$),
	($$template_body(buttons => buttons('a', 'https://a', 'b', 'https://a', 'c', 'https://a'))$$),
	($$template_body('"x"')$$),
	($$template_body(items => ARRAY['{"content": "x"}'::jsonb])$$),
	($$messages()$$),
	($$messages(NULL)$$),
	($$messages('{"type": "image"}')$$),
	($$messages(VARIADIC array_fill(text_message('a'), ARRAY[6]))$$),
	($$text_message('a', '[]')$$),
	($$flex_message('a', NULL)$$),
	($$messages(flex_message('a', '{"type": "bubble", "hero": {"type": "image", "url": "https://a"}}'))$$),
	($$flex_box('diagonal', '{}')$$),
	($$flex_box(NULL, '{}')$$),
	($$flex_notice('a', ARRAY['label'])$$),
	($$format_date('2026-11-21', 'US')$$),
	($$format_date('2026-11-21', 'JP', 'medium')$$),
	($$format_money(1, 'EUR')$$)
) AS t (expression);
\pset format aligned

--
-- formats
--
SELECT d, format_date(d) AS jp, format_date(d, style => 'short') AS jp_short, format_date(d, style => 'era') AS jp_era,
	format_date(d, 'TW') AS tw, format_date(d, 'TW', 'short') AS tw_short, format_date(d, 'TW', 'era') AS tw_era
FROM unnest('{2026-11-21,2026-01-01,2024-02-29,2019-04-30,2019-05-01,1989-01-07,1989-01-08,1926-12-25,1926-12-24,1911-12-31,0001-01-01,0001-01-01 BC,infinity,-infinity,NULL}'::date[]) d;
SELECT d, format_date(d, 'TH') AS th, format_date(d, 'th', 'Short') AS th_short
FROM generate_series('2026-01-21'::timestamp, '2026-12-21', '1 month') ts, LATERAL (SELECT ts::date) s (d);
SELECT string_agg(format_date(d, style => 'short'), ' ') AS jp, string_agg(format_date(d, 'TW', 'short'), ' ') AS tw, string_agg(split_part(format_date(d, 'TH'), ' ', 1), ' ') AS th
FROM generate_series('2026-11-22'::timestamp, '2026-11-28', '1 day') ts, LATERAL (SELECT ts::date) s (d);
SELECT t, format_time(t), format_time(t, 'TH'), format_time_range(t, '18:00'), format_time_range(t, '18:00', 'TW'), format_time_range(t, '18:00', 'TH')
FROM unnest('{09:05,00:00,23:59:59.9,24:00,NULL}'::time[]) t;
SELECT z, format_datetime(ts) AS jp, format_datetime(ts, 'TW') AS tw, format_datetime(ts, 'TH') AS th, format_datetime(ts, 'TH', 'short') AS th_short
FROM (VALUES ('2026-11-20 23:30Z'), ('2026-12-31 15:00Z'), ('infinity'), ('-infinity'), (NULL)) v (z), LATERAL (SELECT z::timestamptz) s (ts);
SELECT format_datetime_range('2026-11-21 01:00Z', '2026-11-21 03:00Z') AS one_day, format_datetime_range('2026-11-21 14:00Z', '2026-11-21 16:00Z', style => 'short') AS midnight;
SELECT format_datetime_range('2026-11-21 01:00Z', '2026-11-21 03:00Z', 'TH') AS one_day, format_datetime_range('2026-11-21 14:00Z', '2026-11-21 18:00Z', 'TH', 'short') AS midnight;
SELECT format_datetime_range('2026-11-21 01:00Z', '2026-11-21 03:00Z', 'TW') AS one_day, format_datetime_range('2026-11-21 14:00Z', '2026-11-21 18:00Z', 'TW') AS midnight, format_datetime_range('2026-11-21 01:00Z', 'infinity') AS endless;
SELECT n, format_number(n), format_money(n), format_money(n, 'THB') AS thb, format_money(n, 'TWD') AS twd, format_money(n, 'usd') AS usd
FROM unnest('{0,7,999,1000,12000,123456789012345678901234567890,-5,-1200.50,100.5,100.50,100.125,0.1,12000.00,1e10,NaN,Infinity,-Infinity,NULL}'::numeric[]) n;

-- declared for what they are
SELECT DISTINCT provolatile, proparallel FROM pg_proc WHERE pronamespace = 'line_notify'::regnamespace AND proname ~ '^(item|items|optional_item|button|buttons|template_body|messages|text_message|flex_.*|format_.*)$';

-- everybody may
CREATE ROLE regress_ln_nobody;
SET ROLE regress_ln_nobody;
SELECT messages(text_message(format_money(1)));
RESET ROLE;
DROP ROLE regress_ln_nobody;
