-- The shop of the demo: what an application developer writes.
\set QUIET 1
\o /dev/null
SET client_min_messages = warning;

CREATE EXTENSION line_notify;

-- One row per LINE Messaging API channel.  The token would be file:/path in
-- real life; the simulator's is no secret.
SELECT line_notify.create_channel('shop', api_base => :'api', line_channel_id => '1234567890');
SELECT line_notify.set_credential('shop', 'access_token', 'line-sim-token');
SELECT line_notify.set_credential('shop', 'channel_secret', '8c570fa6dd201bb328f1c1eac23a96d8');

CREATE TABLE orders (
	id				integer PRIMARY KEY,
	customer_phone	text,			-- as customers write it
	region			text NOT NULL DEFAULT 'JP',
	use_case		line_notify.use_case NOT NULL,
	template_key	text,			-- a template message, or
	text			text,			-- a flexible one
	emphasis		text,
	details			text[]
);

-- Telling the customer is one INSERT in the transaction that changes the order.
CREATE FUNCTION tell_customer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO line_notify.outbox (phone, region, use_case, template_key, body, messages, reference)
	VALUES (NEW.customer_phone, NEW.region, NEW.use_case, NEW.template_key,
		CASE WHEN NEW.template_key IS NOT NULL THEN
			jsonb_build_object(
				'emphasizedItem', jsonb_build_object('itemKey', 'date_002_ja', 'content', NEW.emphasis),
				'items', (SELECT jsonb_agg(jsonb_build_object(
							'itemKey', (ARRAY['name_010_ja', 'number_001_ja', 'price_001_ja'])[i], 'content', d))
						  FROM unnest(NEW.details) WITH ORDINALITY AS x(d, i)),
				'buttons', jsonb_build_array(jsonb_build_object(
							'buttonKey', 'check_details_ja', 'url', 'https://shop.example/orders/' || NEW.id)))
		END,
		CASE WHEN NEW.text IS NOT NULL THEN
			jsonb_build_array(jsonb_build_object('type', 'text', 'text', NEW.text))
		END,
		'order ' || NEW.id);
	RETURN NEW;
END $$;

CREATE TRIGGER tell_customer AFTER INSERT ON orders
	FOR EACH ROW EXECUTE FUNCTION tell_customer();
