-- Signed links: made, verified, expired, forged, and after a change of the key.
SET client_encoding = 'UTF8';
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS line_notify;
RESET client_min_messages;
SET search_path = line_notify;

-- a link keeps the address, its parameters and its fragment
SELECT regexp_replace(signed_link(url, 'order-42'), 'ln=[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{43}', 'ln=TOKEN')
FROM unnest('{https://shop.example,https://shop.example/change,https://shop.example/change?,https://shop.example/change?a=1,https://shop.example/change?a=1&,https://shop.example/change?a=1#part,https://shop.example/#part?x,HTTPS://shop.example/}'::text[]) url;

-- it verifies
SELECT v.valid, v.reason, v.reference, v.expires_at BETWEEN now() + '6 days 23:59' AND now() + '7 days 00:01' AS a_week
FROM unnest('{https://shop.example,https://shop.example/change?,https://shop.example/change?a=1&b=2,https://shop.example/change?a=1#part}'::text[]) url, verify_link(signed_link(url, 'order-42')) v;
SELECT v.valid, v.reference FROM unnest('{注文-42,"",🎉,a&b=c#d?e.f}'::text[]) r, verify_link(signed_link('https://shop.example', r)) v;
SELECT v.valid, length(v.reference), length(l) < 500 AS fits_a_button FROM signed_link('https://shop.example', repeat('x', 200)) l, verify_link(l) v;
SELECT v.expires_at - date_trunc('second', now()) BETWEEN '59 minutes' AND '61 minutes' AS an_hour FROM verify_link(signed_link('https://shop.example', 'x', '1 hour')) v;

-- a link may be signed again, for another purpose; the last token counts
SELECT v.reference FROM verify_link(signed_link(signed_link('https://shop.example', 'inner'), 'outer')) v;

-- parameters that are appended afterwards were not signed, and the page would believe them
SELECT more, v.valid, v.reason, v.reference FROM signed_link('https://shop.example/?order=1', 'order-42') l, unnest(ARRAY['&order=2', '&utm_source=line', '#part', '&x=1#part?ln=1', '&', '#part&order=2']) more, verify_link(l || more) v;

-- forged: every single character of a link that is changed makes it bad
SELECT v.valid, v.reason, count(*) FROM signed_link('https://shop.example/?a=1', 'order-42') l, generate_series(1, length(l)) i,
	verify_link(overlay(l PLACING CASE substr(l, i, 1) WHEN 'A' THEN 'B' ELSE 'A' END FROM i FOR 1)) v
GROUP BY 1, 2 HAVING v.valid OR v.reason = 'ok';
-- cut short anywhere
SELECT v.valid, count(*) FROM signed_link('https://shop.example/?a=1', 'order-42') l, generate_series(0, length(l) - 1) i, verify_link(left(l, i)) v GROUP BY 1;
-- token of one address at another; parameters added in front
SELECT v.* FROM signed_link('https://shop.example/1', 'x') l, verify_link(replace(l, '/1', '/2')) v;
SELECT v.* FROM signed_link('https://shop.example/1', 'x') l, verify_link(replace(l, '?', '?admin=1&')) v;
-- the last token is looked at, so a token that is appended makes it bad
SELECT v.valid, v.reason FROM signed_link('https://shop.example/1', 'x') l, verify_link(l || '&ln=AAAA.AAAA') v;
-- nothing like a link
SELECT v.valid, v.reason, v.reference IS NULL AND v.expires_at IS NULL AS silent FROM unnest(ARRAY['', 'x', 'https://shop.example', 'https://shop.example?ln=', 'https://shop.example?ln=.', 'https://shop.example?ln=AQAAAAAA.' || repeat('A', 43), 'https://shop.example?xln=1', repeat('?ln=', 2000), 'https://shop.example?ln=A.' || repeat('A', 43), 'https://shop.example?ln=BAAAAAAAeA.' || repeat('A', 43)]) l, verify_link(l) v;
SELECT verify_link(NULL) IS NULL AS strict, signed_link('https://a', NULL) IS NULL AS strict;

-- expired: the expiry is a whole second, so this one is in the past already
SELECT v.valid, v.reason, v.reference FROM verify_link(signed_link('https://shop.example', 'order-42', '1 microsecond')) v;

-- mistakes
\set VERBOSITY terse
SELECT signed_link('http://shop.example', 'x');
SELECT signed_link('shop.example', 'x');
SELECT signed_link('', 'x');
SELECT signed_link('https://shop.example/日本', 'x');
SELECT signed_link('https://shop.example/a b', 'x');
SELECT signed_link('https://shop.example', repeat('x', 201));
SELECT signed_link('https://shop.example', 'x', '0');
SELECT signed_link('https://shop.example', 'x', '-1 day');
SELECT signed_link('https://shop.example', 'x', '10000 years');
\set VERBOSITY default

-- a change of the key: the previous one still verifies, the one before does not
SELECT rotate_link_key();
CREATE TEMP TABLE old AS SELECT signed_link('https://shop.example', 'order-42') AS l;
SELECT count(*) AS keys, count(DISTINCT secret) AS secrets FROM link_key;
SELECT rotate_link_key();
SELECT v.valid, v.reason FROM old, verify_link(l) v;
SELECT v.valid, v.reason FROM verify_link(signed_link('https://shop.example', 'order-42')) v;
SELECT rotate_link_key();
SELECT v.valid, v.reason FROM old, verify_link(l) v;
SELECT count(*) AS keys, count(DISTINCT secret) AS secrets, min(octet_length(secret)) AS bytes FROM link_key;
SELECT count(rotate_link_key()) FROM generate_series(1, 260);
SELECT v.valid, v.reason FROM verify_link(signed_link('https://shop.example', 'order-42')) v;

-- no key
BEGIN;
DELETE FROM link_key;
SELECT signed_link('https://shop.example', 'x');
ROLLBACK;

-- who may: nobody by default; who is granted it does not see the key
CREATE ROLE regress_ln_sender;
GRANT EXECUTE ON FUNCTION signed_link, verify_link TO regress_ln_sender;
CREATE ROLE regress_ln_reader IN ROLE pg_read_all_data;
CREATE ROLE regress_ln_nobody;
SET ROLE regress_ln_nobody;
SELECT signed_link('https://shop.example', 'x');
SELECT verify_link('https://shop.example');
SELECT rotate_link_key();
SELECT _random_secret();
SELECT count(*) FROM link_key;
SET ROLE regress_ln_reader;
SELECT count(*) AS what_pg_read_all_data_sees FROM link_key;
SET ROLE regress_ln_sender;
SELECT v.valid FROM verify_link(signed_link('https://shop.example', 'x')) v;
SELECT count(*) FROM link_key;
RESET ROLE;
DROP OWNED BY regress_ln_sender;
DROP ROLE regress_ln_sender, regress_ln_reader, regress_ln_nobody;

-- the keys are not dumped
SELECT count(*) FROM pg_extension, unnest(extconfig) t WHERE extname = 'line_notify' AND t = 'link_key'::regclass;
