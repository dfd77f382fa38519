/* line_notify--1.0.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION line_notify" to load this file. \quit

-- Fails when somebody created the schema beforehand: nothing of ours may live
-- in a schema that another role controls.
CREATE SCHEMA line_notify;
COMMENT ON SCHEMA line_notify IS 'LINE notification messages: phone numbers, outbox, delivery';
GRANT USAGE ON SCHEMA line_notify TO PUBLIC;

--
-- 1. Phone numbers
--

--
-- 2. Use cases
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

CREATE FUNCTION line_notify.use_case_list(
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
COMMENT ON FUNCTION line_notify.use_case_list() IS 'rows of the view use_cases';

CREATE VIEW line_notify.use_cases AS
SELECT use_case, no, name_ja, subcategory_ja, description_ja, name_en, description_en
FROM line_notify.use_case_list();
COMMENT ON VIEW line_notify.use_cases IS 'purposes for which LINE accepts notification messages';
COMMENT ON COLUMN line_notify.use_cases.use_case IS 'key, used everywhere in this extension and as default aggregation unit';
COMMENT ON COLUMN line_notify.use_cases.no IS 'number in LINE''s list';
COMMENT ON COLUMN line_notify.use_cases.name_ja IS 'Japanese name; NULL where the encoding of the database lacks the characters';
COMMENT ON COLUMN line_notify.use_cases.subcategory_ja IS 'Japanese sub-category, or NULL';
COMMENT ON COLUMN line_notify.use_cases.description_ja IS 'what such a message tells, Japanese';
COMMENT ON COLUMN line_notify.use_cases.name_en IS 'English name';
COMMENT ON COLUMN line_notify.use_cases.description_en IS 'what such a message tells, English';

GRANT EXECUTE ON FUNCTION line_notify.to_use_case(text), line_notify.use_case_list() TO PUBLIC;
GRANT SELECT ON line_notify.use_cases TO PUBLIC;

--
-- 3. Content rules and builders
--

CREATE FUNCTION line_notify.check_message(
	kind text,
	payload jsonb,
	use_case line_notify.use_case DEFAULT NULL,
	channel text DEFAULT NULL,
	OUT severity text,
	OUT path text,
	OUT rule text,
	OUT message text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'line_notify_check_message'
LANGUAGE C STABLE PARALLEL SAFE ROWS 1;
COMMENT ON FUNCTION line_notify.check_message(text, jsonb, line_notify.use_case, text) IS 'what LINE would object to in a message (kind template or flexible; payload is LINE''s request without "to"): one row for each finding, none for a good message';

CREATE FUNCTION line_notify.content_rule_list(
	OUT rule text,
	OUT severity text,
	OUT fault text,
	OUT description text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'line_notify_content_rules'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 80;
COMMENT ON FUNCTION line_notify.content_rule_list() IS 'rows of the view content_rules';

CREATE VIEW line_notify.content_rules AS
SELECT rule, severity, fault, description FROM line_notify.content_rule_list();
COMMENT ON VIEW line_notify.content_rules IS 'every rule that check_message() and INSERT into the outbox apply';
COMMENT ON COLUMN line_notify.content_rules.rule IS 'name, as returned by check_message() and stored with a parked row';
COMMENT ON COLUMN line_notify.content_rules.severity IS 'error: refused; warning: reported by check_message() only';
COMMENT ON COLUMN line_notify.content_rules.fault IS 'statement: a mistake in the program, an ERROR at INSERT; row: a value that comes from data, treated as on_invalid says';
COMMENT ON COLUMN line_notify.content_rules.description IS 'what the rule forbids';

GRANT EXECUTE ON FUNCTION line_notify.check_message(text, jsonb, line_notify.use_case, text), line_notify.content_rule_list() TO PUBLIC;
GRANT SELECT ON line_notify.content_rules TO PUBLIC;

--
-- 4. Channels, credentials, grants
--

--
-- 5. Outbox, history
--

--
-- 6. Webhook
--

--
-- 7. Health, stats, workers
--

--
-- 8. Verbs
--

--
-- 9. Registration for dump
--
