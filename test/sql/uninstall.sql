-- What DROP EXTENSION warns of: what of the application hangs on it.  Messages
-- that wait go with it, without a word: README, "Upgrade, move, remove".
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS line_notify CASCADE;
RESET client_min_messages;
CREATE EXTENSION line_notify;
CREATE TABLE orders (
	id		int PRIMARY KEY,
	phone	text,
	e164	line_notify.e164,
	purpose	line_notify.use_case DEFAULT 'outage',
	hash	text GENERATED ALWAYS AS (line_notify.phone_hash(phone)) STORED);
CREATE INDEX orders_by_number ON orders (line_notify.normalize_phone(phone));
CREATE TRIGGER notify AFTER INSERT ON orders FOR EACH ROW
	EXECUTE FUNCTION line_notify.enqueue_trigger('{"use_case": "parcel_delivery", "phone": "{phone}",
		"template_key": "shipment_completed_ja", "body": {"items": [{"itemKey": "number_001_ja", "content": "{id}"}]}}');
CREATE VIEW sent AS SELECT reference, state FROM line_notify.notifications;
SELECT line_notify.create_channel('shop');
INSERT INTO orders VALUES (1, '090-1234-5678', '+819012345678');
-- refused: each of them is named
DROP EXTENSION line_notify;
DROP SCHEMA line_notify CASCADE;
SELECT state, count(*) FROM line_notify.notifications GROUP BY state;
-- and goes with CASCADE: the view, the trigger, the index and the columns, but no row
DROP EXTENSION line_notify CASCADE;
SELECT * FROM orders;
SELECT tgname FROM pg_trigger WHERE tgrelid = 'orders'::regclass AND NOT tgisinternal;
-- nothing of ours is left
SELECT nspname FROM pg_namespace WHERE nspname = 'line_notify';
SELECT count(*) FROM pg_class WHERE relname LIKE 'history\_%';
DROP TABLE orders;
CREATE EXTENSION line_notify;
DROP EXTENSION line_notify;
CREATE EXTENSION line_notify;
