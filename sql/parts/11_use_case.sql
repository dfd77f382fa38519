
--
-- Use cases
--
-- This file is ASCII: a script is read in the encoding of the database, so the
-- Japanese names live in C tables that are converted there.
--

CREATE TYPE line_notify.use_case AS ENUM (
	'parcel_delivery',
	'reservation',
	'reservation_public_transport',
	'reservation_change_public_transport',
	'reminder',
	'reminder_public_transport',
	'reminder_contract_deadline',
	'reminder_payment_deadline',
	'outage',
	'application_completed',
	'bill_confirmed',
	'purchase_completed',
	'registration_completed',
	'payout_completed',
	'overseas_travel_alert',
	'inquiry_guidance',
	'product_completed',
	'repair_completed',
	'payment_completed',
	'payment_error',
	'estimate_completed',
	'shipment_completed'
);
COMMENT ON TYPE line_notify.use_case IS 'purposes for which LINE accepts notification messages, see the view use_cases; extended by ALTER EXTENSION line_notify UPDATE only, because values added by hand are not dumped';

CREATE FUNCTION line_notify.to_use_case(text)
RETURNS line_notify.use_case
AS 'MODULE_PATHNAME', 'line_notify_to_use_case'
LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION line_notify.to_use_case(text) IS 'use case from its key, number, Japanese or English name in any usual spelling; raises 22023 with the nearest candidates otherwise';

CREATE FUNCTION line_notify._use_cases(
	OUT use_case line_notify.use_case,
	OUT no integer,
	OUT name_ja text,
	OUT subcategory_ja text,
	OUT description_ja text,
	OUT name_en text,
	OUT description_en text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'line_notify_use_case_list'
LANGUAGE C STABLE STRICT PARALLEL SAFE ROWS 22;
COMMENT ON FUNCTION line_notify._use_cases() IS 'rows of the view use_cases';

CREATE VIEW line_notify.use_cases AS
SELECT use_case, no, name_ja, subcategory_ja, description_ja, name_en, description_en
FROM line_notify._use_cases();
COMMENT ON VIEW line_notify.use_cases IS 'purposes for which LINE accepts notification messages';
COMMENT ON COLUMN line_notify.use_cases.use_case IS 'key, used everywhere in this extension and as default aggregation unit';
COMMENT ON COLUMN line_notify.use_cases.no IS 'number in LINE''s list';
COMMENT ON COLUMN line_notify.use_cases.name_ja IS 'Japanese name; NULL where the encoding of the database lacks the characters';
COMMENT ON COLUMN line_notify.use_cases.subcategory_ja IS 'Japanese sub-category, or NULL';
COMMENT ON COLUMN line_notify.use_cases.description_ja IS 'what such a message tells, Japanese';
COMMENT ON COLUMN line_notify.use_cases.name_en IS 'English name';
COMMENT ON COLUMN line_notify.use_cases.description_en IS 'what such a message tells, English';

GRANT EXECUTE ON FUNCTION line_notify.to_use_case(text), line_notify._use_cases() TO PUBLIC;
GRANT SELECT ON line_notify.use_cases TO PUBLIC;
