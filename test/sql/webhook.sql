-- receive_webhook() accepts what LINE signed, with the current or the previous
-- secret, and nothing else; and no body, however mutilated, does more than raise
-- the errors that are documented.  Regress: no worker is needed to receive.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS line_notify;
SELECT line_notify.create_channel('wh');
SELECT line_notify.set_credential('wh', 'channel_secret', '8c570fa6dd201bb328f1c1eac23a96d8');

-- LINE's published vector
SELECT line_notify.receive_webhook('wh', '{"destination":"U8e742f61d673b39c7fff3cecb7536ef0","events":[]}',
	'GhRKmvmHys4Pi8DxkF4+EayaH0OqtJtaZxgTD9fMDLs=');

-- ours, after a rotation of the secret
SELECT line_notify.set_credential('wh', 'channel_secret', '0123456789abcdef0123456789abcdef');
SELECT line_notify.receive_webhook('wh', '{"destination":"U00000000000000000000000000000000","events":[{"type":"delivery","delivery":{"data":"ln1-00000000000000000042"},"webhookEventId":"01J0000000000000000000000A","deliveryContext":{"isRedelivery":false},"timestamp":1750000000000,"mode":"active"}]}',
	'sEIWpN/aVDm/Sn17jSKzxYJM+2JYpvRPZt03Y5nUj8s=');
-- the previous one is still good
SELECT line_notify.receive_webhook('wh', '{"destination":"U8e742f61d673b39c7fff3cecb7536ef0","events":[]}',
	'GhRKmvmHys4Pi8DxkF4+EayaH0OqtJtaZxgTD9fMDLs=');
-- for a week
UPDATE line_notify.credential SET set_at = now() - interval '6 days 23 hours' WHERE channel = 'wh' AND kind = 'previous_channel_secret';
SELECT line_notify.receive_webhook('wh', '{"destination":"U8e742f61d673b39c7fff3cecb7536ef0","events":[]}',
	'GhRKmvmHys4Pi8DxkF4+EayaH0OqtJtaZxgTD9fMDLs=');
UPDATE line_notify.credential SET set_at = now() - interval '7 days' WHERE channel = 'wh' AND kind = 'previous_channel_secret';
SELECT line_notify.receive_webhook('wh', '{"destination":"U8e742f61d673b39c7fff3cecb7536ef0","events":[]}',
	'GhRKmvmHys4Pi8DxkF4+EayaH0OqtJtaZxgTD9fMDLs=');
UPDATE line_notify.credential SET set_at = now() WHERE channel = 'wh' AND kind = 'previous_channel_secret';
-- or until it is removed
SELECT line_notify.set_credential('wh', 'previous_channel_secret', NULL);

\set VERBOSITY sqlstate
SELECT line_notify.receive_webhook('wh', '{"destination":"U8e742f61d673b39c7fff3cecb7536ef0","events":[]}',
	'GhRKmvmHys4Pi8DxkF4+EayaH0OqtJtaZxgTD9fMDLs=');
-- other spellings of a good signature are none
SELECT line_notify.receive_webhook('wh', 'x', '');
SELECT line_notify.receive_webhook('wh', 'x', NULL);
SELECT line_notify.receive_webhook('wh', 'x', 'sEIWpN/aVDm/Sn17jSKzxYJM+2JYpvRPZt03Y5nUj8s');
SELECT line_notify.receive_webhook('wh', 'x', repeat('A', 100000));
SELECT line_notify.receive_webhook('nil', 'x', '');
SELECT line_notify.receive_webhook(NULL, 'x', '');
SELECT line_notify.receive_webhook('wh', NULL, '');
SELECT line_notify.receive_webhook('wh', decode(repeat('20', 4194305), 'hex'), '');
SELECT line_notify.receive_verified_events('wh', NULL);
SELECT line_notify.receive_verified_events('nil', '{"events":[]}');
SELECT line_notify.receive_verified_events('wh', '[]');
SELECT line_notify.receive_verified_events('wh', jsonb_build_object('events', jsonb_build_array(repeat('x', 9000000))));
-- LINE speaks UTF-8 and JSON
SELECT line_notify.receive_webhook('wh', '\xff', 'SIq7jnh5t6BmA8FbgulJ7qYQy+O35s7EcY4Uqrc+AHo=');
SELECT line_notify.receive_webhook('wh', '[[[', 'ffbK4uvUgGkjlT0iqVXRLKmmB2xQF3C7DUtaIc6dOrY=');
\set VERBOSITY default

-- without a secret, or with one in a file that has gone
SELECT line_notify.create_channel('bare');
SELECT line_notify.receive_webhook('bare', '{"events":[]}', '');
SELECT line_notify.set_credential('bare', 'channel_secret', 'file:/nonexistent/secret');
SELECT line_notify.receive_webhook('bare', '{"events":[]}', '');
-- the old file may go when the new secret is there
SELECT line_notify.set_credential('bare', 'channel_secret', '8c570fa6dd201bb328f1c1eac23a96d8');
SELECT line_notify.receive_webhook('bare', '{"destination":"U8e742f61d673b39c7fff3cecb7536ef0","events":[]}',
	'GhRKmvmHys4Pi8DxkF4+EayaH0OqtJtaZxgTD9fMDLs=');
SELECT line_notify.receive_webhook('bare', '{"events":[]}', '');

-- HMAC-SHA256, RFC 2104, to sign what we make up
CREATE FUNCTION pg_temp.sign(key text, body bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	inner_pad bytea := decode(repeat('36', 64), 'hex');
	outer_pad bytea := decode(repeat('5c', 64), 'hex');
BEGIN
	FOR i IN 0 .. length(key) - 1 LOOP
		inner_pad := set_byte(inner_pad, i, ascii(substr(key, i + 1, 1)) # 54);
		outer_pad := set_byte(outer_pad, i, ascii(substr(key, i + 1, 1)) # 92);
	END LOOP;
	RETURN encode(sha256(outer_pad || sha256(inner_pad || body)), 'base64');
END $$;
SELECT pg_temp.sign('8c570fa6dd201bb328f1c1eac23a96d8', '{"destination":"U8e742f61d673b39c7fff3cecb7536ef0","events":[]}');

-- 5,000 bodies: bytes changed, removed, doubled, cut off
CREATE TEMP TABLE seen (code text PRIMARY KEY, n int);
SELECT setseed(0.42) \g /dev/null
DO $$
DECLARE
	whole CONSTANT bytea := '{"destination":"U00000000000000000000000000000000","events":[{"type":"delivery","delivery":{"data":"ln1-00000000000000000042"},"webhookEventId":"01J0000000000000000000000A","deliveryContext":{"isRedelivery":false},"timestamp":1750000000000,"mode":"active"},{"type":"follow","webhookEventId":"01J0000000000000000000000B","timestamp":1750000000000}]}';
	body bytea;
	at int;
	code text;
BEGIN
	FOR i IN 1 .. 5000 LOOP
		body := whole;
		FOR j IN 1 .. 1 + floor(random() * 4) LOOP
			at := floor(random() * length(body));
			body := CASE floor(random() * 5)::int
				WHEN 0 THEN set_byte(body, at, floor(random() * 256)::int)
				WHEN 1 THEN substr(body, 1, at) || substr(body, at + 2)
				WHEN 2 THEN substr(body, 1, at) || substr(body, greatest(1, at - 20))
				WHEN 3 THEN set_byte(body, at, get_byte('"{}[],:0nul'::bytea, floor(random() * 10)::int))
				ELSE substr(body, 1, greatest(at, 1)) END;
			EXIT WHEN length(body) < 2;
		END LOOP;
		BEGIN
			PERFORM line_notify.receive_webhook('wh', body, pg_temp.sign('0123456789abcdef0123456789abcdef', body));
			code := '00000';
		EXCEPTION WHEN OTHERS THEN
			code := sqlstate;
		END;
		INSERT INTO seen VALUES (code, 1) ON CONFLICT ON CONSTRAINT seen_pkey DO UPDATE SET n = seen.n + 1;
	END LOOP;
END $$;
-- taken, no events, not UTF-8: nothing else
SELECT code FROM seen WHERE code NOT IN ('00000', '22023', '22021');
SELECT count(*) >= 3 AS several FROM seen;
\set VERBOSITY sqlstate
-- nesting costs nothing
SELECT line_notify.receive_webhook('wh', b, pg_temp.sign('0123456789abcdef0123456789abcdef', b)) FROM (SELECT convert_to(repeat('[', 1000000), 'UTF8')) x(b);

-- a body that comes as a string, with what bytea would read as escapes: of
-- unknown type, as text, as varchar, as bytes, and bytes that nobody declared
SELECT $${"destination":"U8e742f61d673b39c7fff3cecb7536ef0","events":[{"type":"message","webhookEventId":"01H000000000000000000000M1","message":{"type":"text","text":"a\\b \\\\ \u3042 \\012 😀"}},{"type":"delivery","delivery":{"data":"ln1-42-1-0000000000001"},"webhookEventId":"01H0000000000000000000000%s","timestamp":1750000000000,"mode":"active","deliveryContext":{"isRedelivery":false}}]}$$ AS body \gset
CREATE FUNCTION pg_temp.sign_text(body text) RETURNS text LANGUAGE sql AS $$ SELECT pg_temp.sign('0123456789abcdef0123456789abcdef', convert_to(body, 'UTF8')) $$;
SELECT line_notify.receive_webhook('wh', :'body', pg_temp.sign_text(:'body'));
SELECT line_notify.receive_webhook('wh', replace(:'body', '%s', 'T')::text, pg_temp.sign_text(replace(:'body', '%s', 'T')));
SELECT line_notify.receive_webhook('wh'::varchar, replace(:'body', '%s', 'V')::varchar, pg_temp.sign_text(replace(:'body', '%s', 'V'))::varchar);
SELECT line_notify.receive_webhook('wh', convert_to(replace(:'body', '%s', 'B'), 'UTF8'), pg_temp.sign_text(replace(:'body', '%s', 'B')));
SELECT line_notify.receive_webhook('wh', convert_to(replace(:'body', '%s', 'X'), 'UTF8')::text, pg_temp.sign_text(replace(:'body', '%s', 'X')));
SELECT line_notify.receive_webhook('wh', '\x7b7', 'x');
SELECT line_notify.receive_webhook('wh', NULL::text, 'x');

-- taken away: neither it nor the one before is good any more
SELECT line_notify.set_credential('wh', 'channel_secret', '8c570fa6dd201bb328f1c1eac23a96d8');
SELECT line_notify.set_credential('wh', 'channel_secret', NULL);
SELECT line_notify.receive_webhook('wh', '{"destination":"U8e742f61d673b39c7fff3cecb7536ef0","events":[]}',
	'GhRKmvmHys4Pi8DxkF4+EayaH0OqtJtaZxgTD9fMDLs=');

TRUNCATE line_notify.webhook_event;
SELECT line_notify.drop_channel('wh');
