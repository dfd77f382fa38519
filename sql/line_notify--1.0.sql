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
-- None is STRICT: region and mode may be NULL, which means the default.  All are
-- immutable as long as the library's numbering tables stay the same; a release
-- that changes them asks for REINDEX of expression indexes.
--

CREATE FUNCTION line_notify.normalize_phone(phone text, region text DEFAULT 'JP', mode text DEFAULT 'safe')
RETURNS text
AS 'MODULE_PATHNAME', 'line_notify_normalize_phone'
LANGUAGE C IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE COST 1;
COMMENT ON FUNCTION line_notify.normalize_phone(text, text, text) IS
  'The phone number in E.164 form, or NULL when the text is not one valid number';

CREATE FUNCTION line_notify.assert_phone(phone text, region text DEFAULT 'JP', mode text DEFAULT 'safe')
RETURNS text
AS 'MODULE_PATHNAME', 'line_notify_assert_phone'
LANGUAGE C IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE COST 1;
COMMENT ON FUNCTION line_notify.assert_phone(text, text, text) IS
  'As normalize_phone, but an error with reason and position instead of NULL';

CREATE FUNCTION line_notify.parse_phone(phone text, region text DEFAULT 'JP', mode text DEFAULT 'safe',
  OUT e164 text, OUT valid boolean, OUT type text, OUT region text,
  OUT country_code integer, OUT "national" text, OUT extension text,
  OUT status text, OUT error_position integer, OUT rule text)
RETURNS record
AS 'MODULE_PATHNAME', 'line_notify_parse_phone'
LANGUAGE C IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION line_notify.parse_phone(text, text, text) IS
  'All that can be said of a phone number: its parts, or the reason and the position of the first offending character';

CREATE FUNCTION line_notify.phone_hash(phone text, region text DEFAULT 'JP', mode text DEFAULT 'safe')
RETURNS text
AS 'MODULE_PATHNAME', 'line_notify_phone_hash'
LANGUAGE C IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE COST 2;
COMMENT ON FUNCTION line_notify.phone_hash(text, text, text) IS
  'SHA-256 of the E.164 form in lower-case hex, as LINE wants its recipients; NULL when the text is not one valid number';

CREATE FUNCTION line_notify.phone_hash_bytes(phone text, region text DEFAULT 'JP', mode text DEFAULT 'safe')
RETURNS bytea
AS 'MODULE_PATHNAME', 'line_notify_phone_hash_bytes'
LANGUAGE C IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE COST 2;
COMMENT ON FUNCTION line_notify.phone_hash_bytes(text, text, text) IS
  'SHA-256 of the E.164 form; half the size of phone_hash, for storage and indexes';

CREATE FUNCTION line_notify.phone_is_valid(phone text, region text DEFAULT 'JP', mode text DEFAULT 'safe')
RETURNS boolean
AS 'MODULE_PATHNAME', 'line_notify_phone_is_valid'
LANGUAGE C IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE COST 1;
COMMENT ON FUNCTION line_notify.phone_is_valid(text, text, text) IS
  'Is the text one valid phone number?';

CREATE FUNCTION line_notify.phone_type(phone text, region text DEFAULT 'JP', mode text DEFAULT 'safe')
RETURNS text
AS 'MODULE_PATHNAME', 'line_notify_phone_type'
LANGUAGE C IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE COST 1;
COMMENT ON FUNCTION line_notify.phone_type(text, text, text) IS
  'Type of the number as libphonenumber names it: MOBILE, FIXED_LINE, TOLL_FREE, VOIP, ...; UNKNOWN when it is not valid';

CREATE FUNCTION line_notify.phone_region(phone text, region text DEFAULT 'JP', mode text DEFAULT 'safe')
RETURNS text
AS 'MODULE_PATHNAME', 'line_notify_phone_region'
LANGUAGE C IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE COST 1;
COMMENT ON FUNCTION line_notify.phone_region(text, text, text) IS
  'Region of the number: an ISO code, 001 for numbers of no country, ZZ when unknown, NULL when the text is no number';

CREATE FUNCTION line_notify.line_country(phone text, region text DEFAULT 'JP', mode text DEFAULT 'safe')
RETURNS text
AS 'MODULE_PATHNAME', 'line_notify_line_country'
LANGUAGE C IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE COST 1;
COMMENT ON FUNCTION line_notify.line_country(text, text, text) IS
  'JP, TH or TW when LINE serves the country of the number, else NULL';

CREATE FUNCTION line_notify.is_e164(text)
RETURNS boolean
AS 'MODULE_PATHNAME', 'line_notify_is_e164'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1;
COMMENT ON FUNCTION line_notify.is_e164(text) IS
  'Is the text a plus sign, an existing country calling code and digits, in E.164 length?';

CREATE DOMAIN line_notify.e164 AS text
  CONSTRAINT e164_check CHECK (line_notify.is_e164(VALUE));
COMMENT ON DOMAIN line_notify.e164 IS 'Phone number in E.164 form, for example +819012345678';

CREATE FUNCTION line_notify.phone_metadata_version()
RETURNS text
AS 'MODULE_PATHNAME', 'line_notify_phone_metadata_version'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1;
COMMENT ON FUNCTION line_notify.phone_metadata_version() IS
  'Version of the numbering plans in the library, as libphonenumber numbers them';

GRANT EXECUTE ON FUNCTION
  line_notify.normalize_phone(text, text, text),
  line_notify.assert_phone(text, text, text),
  line_notify.parse_phone(text, text, text),
  line_notify.phone_hash(text, text, text),
  line_notify.phone_hash_bytes(text, text, text),
  line_notify.phone_is_valid(text, text, text),
  line_notify.phone_type(text, text, text),
  line_notify.phone_region(text, text, text),
  line_notify.line_country(text, text, text),
  line_notify.is_e164(text),
  line_notify.phone_metadata_version()
  TO PUBLIC;
GRANT USAGE ON DOMAIN line_notify.e164 TO PUBLIC;

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

CREATE FUNCTION line_notify._content_rules(
	OUT rule text,
	OUT severity text,
	OUT fault text,
	OUT description text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'line_notify_content_rules'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 80;
COMMENT ON FUNCTION line_notify._content_rules() IS 'rows of the view content_rules';

CREATE VIEW line_notify.content_rules AS
SELECT rule, severity, fault, description FROM line_notify._content_rules();
COMMENT ON VIEW line_notify.content_rules IS 'every rule that check_message() and INSERT into the outbox apply';
COMMENT ON COLUMN line_notify.content_rules.rule IS 'name, as returned by check_message() and stored with a parked row';
COMMENT ON COLUMN line_notify.content_rules.severity IS 'error: refused; warning: reported by check_message() only';
COMMENT ON COLUMN line_notify.content_rules.fault IS 'statement: a mistake in the program, an ERROR at INSERT; row: a value that comes from data, treated as on_invalid says';
COMMENT ON COLUMN line_notify.content_rules.description IS 'what the rule forbids';

GRANT EXECUTE ON FUNCTION line_notify.check_message(text, jsonb, line_notify.use_case, text), line_notify._content_rules() TO PUBLIC;
GRANT SELECT ON line_notify.content_rules TO PUBLIC;

-- Builders: IMMUTABLE, for everybody.  They never fail because of a value, only
-- because of a mistake in the program (22023); see builders.c.

CREATE FUNCTION line_notify.item(
	key text,
	content text)
RETURNS jsonb
AS 'MODULE_PATHNAME', 'line_notify_item'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION line_notify.item(text, text) IS 'item of a template message; a NULL content stays null, and INSERT treats it as on_invalid says';

CREATE FUNCTION line_notify.optional_item(
	key text,
	content text)
RETURNS jsonb
AS 'MODULE_PATHNAME', 'line_notify_optional_item'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION line_notify.optional_item(text, text) IS 'item of a template message, or NULL, which template_body() leaves out, when there is no content';

CREATE FUNCTION line_notify.items(VARIADIC pairs text[])
RETURNS jsonb[]
AS 'MODULE_PATHNAME', 'line_notify_items'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION line_notify.items(VARIADIC text[]) IS 'items of a template message: items(key, content, key, content, ...)';

CREATE FUNCTION line_notify.button(
	key text,
	url text)
RETURNS jsonb
AS 'MODULE_PATHNAME', 'line_notify_button'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION line_notify.button(text, text) IS 'button of a template message';

CREATE FUNCTION line_notify.buttons(VARIADIC pairs text[])
RETURNS jsonb[]
AS 'MODULE_PATHNAME', 'line_notify_buttons'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION line_notify.buttons(VARIADIC text[]) IS 'buttons of a template message: buttons(key, url, key, url)';

CREATE FUNCTION line_notify.template_body(
	emphasized jsonb DEFAULT NULL,
	items jsonb[] DEFAULT NULL,
	buttons jsonb[] DEFAULT NULL)
RETURNS jsonb
AS 'MODULE_PATHNAME', 'line_notify_template_body'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION line_notify.template_body(jsonb, jsonb[], jsonb[]) IS 'body of a template message; NULL elements are left out';

CREATE FUNCTION line_notify.messages(VARIADIC messages jsonb[])
RETURNS jsonb
AS 'MODULE_PATHNAME', 'line_notify_messages'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION line_notify.messages(VARIADIC jsonb[]) IS 'messages of a flexible message, 1 to 5; NULLs are left out';

CREATE FUNCTION line_notify.text_message(
	text text,
	options jsonb DEFAULT NULL)
RETURNS jsonb
AS 'MODULE_PATHNAME', 'line_notify_text_message'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION line_notify.text_message(text, jsonb) IS 'text message; options are further properties, such as quickReply';

CREATE FUNCTION line_notify.flex_message(
	alt_text text,
	contents jsonb,
	options jsonb DEFAULT NULL)
RETURNS jsonb
AS 'MODULE_PATHNAME', 'line_notify_flex_message'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION line_notify.flex_message(text, jsonb, jsonb) IS 'Flex message of a bubble or carousel';

CREATE FUNCTION line_notify.flex_notice(
	title text,
	rows text[] DEFAULT NULL,
	text text DEFAULT NULL,
	button_label text DEFAULT NULL,
	button_url text DEFAULT NULL,
	alt_text text DEFAULT NULL)
RETURNS jsonb
AS 'MODULE_PATHNAME', 'line_notify_flex_notice'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION line_notify.flex_notice(text, text[], text, text, text, text) IS 'complete Flex message: title, table (rows are pairs of label and value), sentence, button; alt_text defaults to the title';

CREATE FUNCTION line_notify.flex_bubble(
	body jsonb[],
	header jsonb[] DEFAULT NULL,
	footer jsonb[] DEFAULT NULL,
	options jsonb DEFAULT NULL)
RETURNS jsonb
AS 'MODULE_PATHNAME', 'line_notify_flex_bubble'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION line_notify.flex_bubble(jsonb[], jsonb[], jsonb[], jsonb) IS 'Flex bubble; each block is a list of components, put into a vertical box';

CREATE FUNCTION line_notify.flex_box(
	layout text,
	contents jsonb[],
	options jsonb DEFAULT NULL)
RETURNS jsonb
AS 'MODULE_PATHNAME', 'line_notify_flex_box'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION line_notify.flex_box(text, jsonb[], jsonb) IS 'Flex box with layout horizontal, vertical or baseline';

CREATE FUNCTION line_notify.flex_text(
	text text,
	options jsonb DEFAULT NULL)
RETURNS jsonb
AS 'MODULE_PATHNAME', 'line_notify_flex_text'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION line_notify.flex_text(text, jsonb) IS 'Flex text that wraps; options are further properties, such as size, weight, color';

CREATE FUNCTION line_notify.flex_row(
	label text,
	value text,
	options jsonb DEFAULT NULL)
RETURNS jsonb
AS 'MODULE_PATHNAME', 'line_notify_flex_row'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION line_notify.flex_row(text, text, jsonb) IS 'line of a table: a pale label and a value';

CREATE FUNCTION line_notify.flex_button(
	label text,
	uri text,
	options jsonb DEFAULT NULL)
RETURNS jsonb
AS 'MODULE_PATHNAME', 'line_notify_flex_button'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION line_notify.flex_button(text, text, jsonb) IS 'Flex button that opens an address';

CREATE FUNCTION line_notify.flex_separator(options jsonb DEFAULT NULL)
RETURNS jsonb
AS 'MODULE_PATHNAME', 'line_notify_flex_separator'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION line_notify.flex_separator(jsonb) IS 'Flex separator';

-- Formats: NULL for what cannot be written, such as infinity.

CREATE FUNCTION line_notify.format_date(
	date date,
	region text DEFAULT 'JP',
	style text DEFAULT 'long')
RETURNS text
AS 'MODULE_PATHNAME', 'line_notify_format_date'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION line_notify.format_date(date, text, text) IS 'date as people write it in region JP, TH (Buddhist era) or TW; style long, short or era';

CREATE FUNCTION line_notify.format_time(
	clock time,
	region text DEFAULT 'JP')
RETURNS text
AS 'MODULE_PATHNAME', 'line_notify_format_time'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION line_notify.format_time(time, text) IS 'time of day as people write it';

CREATE FUNCTION line_notify.format_time_range(
	from_time time,
	to_time time,
	region text DEFAULT 'JP')
RETURNS text
AS 'MODULE_PATHNAME', 'line_notify_format_time_range'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION line_notify.format_time_range(time, time, text) IS 'range of times of day as people write it';

CREATE FUNCTION line_notify.format_datetime(
	instant timestamptz,
	region text DEFAULT 'JP',
	style text DEFAULT 'long')
RETURNS text
AS 'MODULE_PATHNAME', 'line_notify_format_datetime'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION line_notify.format_datetime(timestamptz, text, text) IS 'date and time in the region''s own time zone, whatever TimeZone is';

CREATE FUNCTION line_notify.format_datetime_range(
	from_instant timestamptz,
	to_instant timestamptz,
	region text DEFAULT 'JP',
	style text DEFAULT 'long')
RETURNS text
AS 'MODULE_PATHNAME', 'line_notify_format_datetime_range'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION line_notify.format_datetime_range(timestamptz, timestamptz, text, text) IS 'range of instants in the region''s own time zone; a second date only when it differs';

CREATE FUNCTION line_notify.format_number(number numeric)
RETURNS text
AS 'MODULE_PATHNAME', 'line_notify_format_number'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION line_notify.format_number(numeric) IS 'number with commas, without a fraction that is zero';

CREATE FUNCTION line_notify.format_money(
	amount numeric,
	currency text DEFAULT 'JPY')
RETURNS text
AS 'MODULE_PATHNAME', 'line_notify_format_money'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION line_notify.format_money(numeric, text) IS 'amount in JPY, THB, TWD or USD as people write it; never rounded';

GRANT EXECUTE ON FUNCTION
	line_notify.item(text, text),
	line_notify.optional_item(text, text),
	line_notify.items(VARIADIC text[]),
	line_notify.button(text, text),
	line_notify.buttons(VARIADIC text[]),
	line_notify.template_body(jsonb, jsonb[], jsonb[]),
	line_notify.messages(VARIADIC jsonb[]),
	line_notify.text_message(text, jsonb),
	line_notify.flex_message(text, jsonb, jsonb),
	line_notify.flex_notice(text, text[], text, text, text, text),
	line_notify.flex_bubble(jsonb[], jsonb[], jsonb[], jsonb),
	line_notify.flex_box(text, jsonb[], jsonb),
	line_notify.flex_text(text, jsonb),
	line_notify.flex_row(text, text, jsonb),
	line_notify.flex_button(text, text, jsonb),
	line_notify.flex_separator(jsonb),
	line_notify.format_date(date, text, text),
	line_notify.format_time(time, text),
	line_notify.format_time_range(time, time, text),
	line_notify.format_datetime(timestamptz, text, text),
	line_notify.format_datetime_range(timestamptz, timestamptz, text, text),
	line_notify.format_number(numeric),
	line_notify.format_money(numeric, text)
TO PUBLIC;

-- Catalogue of template, item and button keys.  LINE's own is not public as a
-- whole, so a key that is not here is not wrong, unless a channel says so.
-- Rows of LINE (source line) come with the extension and with its updates, and
-- users add theirs (source user, which wins); only those are dumped, and since
-- the source is part of the key, a restore cannot collide with a later release
-- that knows the same key.
CREATE FUNCTION line_notify._known_catalogue(
	OUT kind text,
	OUT region text,
	OUT key text,
	OUT name text,
	OUT label text,
	OUT use_case text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'line_notify_known_catalogue'
LANGUAGE C STABLE STRICT PARALLEL SAFE ROWS 33;
REVOKE ALL ON FUNCTION line_notify._known_catalogue() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._known_catalogue() IS 'what this release knows of LINE''s catalogue; copied into template_catalogue';

CREATE TABLE line_notify.template_catalogue (
	kind		text COLLATE "C" NOT NULL CHECK (kind IN ('template', 'item', 'button')),
	region		text COLLATE "C" NOT NULL DEFAULT 'JP' CHECK (region IN ('JP', 'TH', 'TW')),
	key			text COLLATE "C" NOT NULL CHECK (key ~ '^[A-Za-z0-9_]{1,64}$'),
	name		text,
	label		text,
	use_case	line_notify.use_case CHECK (use_case IS NULL OR kind = 'template'),
	source		text COLLATE "C" NOT NULL DEFAULT 'user' CHECK (source IN ('user', 'line')),
	PRIMARY KEY (kind, region, key, source)
);
REVOKE ALL ON line_notify.template_catalogue FROM PUBLIC;
COMMENT ON TABLE line_notify.template_catalogue IS 'keys of LINE''s catalogue for template messages, as far as known; add your own rows, never change those of source line';
COMMENT ON COLUMN line_notify.template_catalogue.kind IS 'template, item or button';
COMMENT ON COLUMN line_notify.template_catalogue.region IS 'country of the LINE Official Account: JP, TH or TW';
COMMENT ON COLUMN line_notify.template_catalogue.key IS 'templateKey, itemKey or buttonKey';
COMMENT ON COLUMN line_notify.template_catalogue.name IS 'name in LINE''s catalogue';
COMMENT ON COLUMN line_notify.template_catalogue.label IS 'what the reader sees: title, item label, button text';
COMMENT ON COLUMN line_notify.template_catalogue.use_case IS 'use case that the template implies, or NULL';
COMMENT ON COLUMN line_notify.template_catalogue.source IS 'line: came with the extension, not dumped; user: yours, wins over line';

INSERT INTO line_notify.template_catalogue (kind, region, key, name, label, use_case, source)
SELECT kind, region, key, name, label, use_case::line_notify.use_case, 'line' FROM line_notify._known_catalogue();

SELECT pg_extension_config_dump('line_notify.template_catalogue', 'WHERE source = ''user''');

-- What the catalogue says about a template message.  The outbox calls this, with
-- allow_list, for channels that take listed keys only.
CREATE FUNCTION line_notify._catalogue_findings(
	template_key text,
	body jsonb,
	region text,
	use_case line_notify.use_case,
	allow_list boolean,
	OUT severity text,
	OUT path text,
	OUT rule text,
	OUT message text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	implied line_notify.use_case;
BEGIN
	SELECT c.use_case INTO implied
	FROM line_notify.template_catalogue c
	WHERE c.kind = 'template' AND c.key = $1 AND ($3 IS NULL OR c.region = $3)
	ORDER BY c.source DESC, c.region
	LIMIT 1;
	IF NOT FOUND AND $5 THEN
		RETURN QUERY VALUES ('error', 'templateKey', 'template_key_unlisted', format('"%s" is not in the catalogue', $1));
	ELSIF implied <> $4 THEN
		RETURN QUERY VALUES ('warning', 'templateKey', 'use_case_mismatch', format('the catalogue says %s', implied));
	END IF;
	IF NOT coalesce($5, false) THEN
		RETURN;
	END IF;

	RETURN QUERY
	SELECT 'error', k.path, k.kind || '_key_unlisted', format('"%s" is not in the catalogue', k.key)
	FROM (
		SELECT 'item' AS kind, 'body.emphasizedItem.itemKey' AS path, $2 #>> '{emphasizedItem,itemKey}' AS key, 0 AS n
		UNION ALL
		SELECT 'item', format('body.items[%s].itemKey', i.n - 1), i.value ->> 'itemKey', i.n
		FROM jsonb_array_elements(CASE jsonb_typeof($2 -> 'items') WHEN 'array' THEN $2 -> 'items' ELSE '[]' END) WITH ORDINALITY AS i (value, n)
		UNION ALL
		SELECT 'button', format('body.buttons[%s].buttonKey', b.n - 1), b.value ->> 'buttonKey', 1000 + b.n
		FROM jsonb_array_elements(CASE jsonb_typeof($2 -> 'buttons') WHEN 'array' THEN $2 -> 'buttons' ELSE '[]' END) WITH ORDINALITY AS b (value, n)
	) k
	WHERE k.key IS NOT NULL
	  AND NOT EXISTS (SELECT FROM line_notify.template_catalogue c
					  WHERE c.kind = k.kind AND c.key = k.key AND ($3 IS NULL OR c.region = $3))
	ORDER BY k.n
	LIMIT 100;
END
$$;
REVOKE ALL ON FUNCTION line_notify._catalogue_findings(text, jsonb, text, line_notify.use_case, boolean) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._catalogue_findings(text, jsonb, text, line_notify.use_case, boolean) IS 'what the catalogue says about a template message; with allow_list, unlisted keys are errors';

-- What check_message() finds in the use case and the channel.
CREATE FUNCTION line_notify._context_findings(
	kind text,
	payload jsonb,
	use_case line_notify.use_case,
	channel text,
	OUT severity text,
	OUT path text,
	OUT rule text,
	OUT message text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	c jsonb;
BEGIN
	IF $4 IS NOT NULL THEN
		SELECT to_jsonb(ch) INTO c FROM line_notify.channel ch WHERE ch.name = $4;
		IF NOT FOUND THEN
			RAISE EXCEPTION 'channel "%" does not exist', $4 USING ERRCODE = 'undefined_object';
		END IF;
	END IF;
	IF $1 = 'flexible' AND $3 IS NULL AND (c ->> 'use_case_required')::boolean THEN
		RETURN QUERY VALUES ('error', 'use_case', 'use_case_missing', 'is required for flexible messages');
	END IF;
	IF $1 = 'template' AND jsonb_typeof($2) = 'object' THEN
		RETURN QUERY
		SELECT * FROM line_notify._catalogue_findings($2 ->> 'templateKey', $2 -> 'body', c ->> 'region', $3,
			coalesce((c ->> 'catalogue_only')::boolean, false));
	END IF;
END
$$;
COMMENT ON FUNCTION line_notify._context_findings(text, jsonb, line_notify.use_case, text) IS 'what check_message() finds in the use case and the channel';
GRANT EXECUTE ON FUNCTION line_notify._context_findings(text, jsonb, line_notify.use_case, text) TO PUBLIC;

-- Signed links.  The keys stay in this database: no policy, so that nobody but
-- the owner reads them, and not dumped, so that a restored copy has its own.
CREATE FUNCTION line_notify._random_secret()
RETURNS bytea
AS 'MODULE_PATHNAME', 'line_notify_random_secret'
LANGUAGE C VOLATILE PARALLEL SAFE;
REVOKE ALL ON FUNCTION line_notify._random_secret() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._random_secret() IS '32 cryptographically random bytes';

CREATE TABLE line_notify.link_key (
	key_no		integer PRIMARY KEY CHECK (key_no BETWEEN 0 AND 255),
	secret		bytea NOT NULL CHECK (octet_length(secret) = 32),
	is_current	boolean NOT NULL,
	created_at	timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE UNIQUE INDEX link_key_is_current ON line_notify.link_key (is_current);
ALTER TABLE line_notify.link_key ENABLE ROW LEVEL SECURITY;
REVOKE ALL ON line_notify.link_key FROM PUBLIC;
COMMENT ON TABLE line_notify.link_key IS 'keys of signed_link(): the current one, and the previous one, which still verifies; see rotate_link_key()';
COMMENT ON COLUMN line_notify.link_key.key_no IS 'number that stands in the links';
COMMENT ON COLUMN line_notify.link_key.secret IS 'key of the HMAC';
COMMENT ON COLUMN line_notify.link_key.is_current IS 'signs new links; the other one only verifies';
COMMENT ON COLUMN line_notify.link_key.created_at IS 'when it was made';
INSERT INTO line_notify.link_key (key_no, secret, is_current) VALUES (1, line_notify._random_secret(), true);

CREATE FUNCTION line_notify.signed_link(
	url text,
	reference text,
	valid_for interval DEFAULT '7 days')
RETURNS text
AS 'MODULE_PATHNAME', 'line_notify_signed_link'
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED SECURITY DEFINER
SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION line_notify.signed_link(text, text, interval) FROM PUBLIC;
COMMENT ON FUNCTION line_notify.signed_link(text, text, interval) IS 'https address that carries a reference, an expiry and a signature, for a button; the reader can read the reference';

CREATE FUNCTION line_notify.verify_link(
	url text,
	OUT valid boolean,
	OUT reason text,
	OUT reference text,
	OUT expires_at timestamptz)
AS 'MODULE_PATHNAME', 'line_notify_verify_link'
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED SECURITY DEFINER
SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION line_notify.verify_link(text) FROM PUBLIC;
COMMENT ON FUNCTION line_notify.verify_link(text) IS 'was this address made by signed_link() in this database, and is it still valid? reason: ok, expired, bad_signature, unknown_key, no_token';

CREATE FUNCTION line_notify.rotate_link_key()
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	no integer;
BEGIN
	LOCK TABLE line_notify.link_key IN SHARE ROW EXCLUSIVE MODE;
	DELETE FROM line_notify.link_key WHERE NOT is_current;
	UPDATE line_notify.link_key SET is_current = false RETURNING (key_no + 1) % 256 INTO no;
	INSERT INTO line_notify.link_key (key_no, secret, is_current)
	VALUES (coalesce(no, 1), line_notify._random_secret(), true);
END
$$;
REVOKE ALL ON FUNCTION line_notify.rotate_link_key() FROM PUBLIC;
COMMENT ON FUNCTION line_notify.rotate_link_key() IS 'makes a new key for signed_link(); links of the current key stay valid until the next rotation, older ones end now';

--
-- 4. Channels, credentials, grants
--

-- What a restored dump, a template copy or a base backup started elsewhere
-- must not inherit: the right to send.  A home is where rows may be sent from.
CREATE TABLE line_notify.identity (
	home			bigint PRIMARY KEY,
	system_identifier bigint NOT NULL,
	database		oid NOT NULL,
	nodes			text[] NOT NULL CHECK (cardinality(nodes) > 0),
	armed_at		timestamptz NOT NULL DEFAULT clock_timestamp(),
	armed_by		name NOT NULL DEFAULT session_user
);
COMMENT ON TABLE line_notify.identity IS 'Places that may send: cluster, database and node names; written by create_channel() and arm()';
COMMENT ON COLUMN line_notify.identity.home IS 'random number carried by channels and rows that belong here';
COMMENT ON COLUMN line_notify.identity.system_identifier IS 'the cluster, as in pg_control_system()';
COMMENT ON COLUMN line_notify.identity.database IS 'oid of the database: a template copy has another';
COMMENT ON COLUMN line_notify.identity.nodes IS 'values of line_notify.node that may send: a base backup started on another host is not among them';

CREATE TABLE line_notify.channel (
	name			text COLLATE "C" PRIMARY KEY
					CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$'),
	home			bigint NOT NULL,
	api_base		text NOT NULL DEFAULT 'https://api.line.me'
					CHECK (api_base ~ '^(https://[A-Za-z0-9.-]+|http://(127\.0\.0\.1|localhost|\[::1\]))(:[0-9]{1,5})?$'),
	line_channel_id text CHECK (line_channel_id ~ '^[0-9A-Za-z_-]{1,64}$'),
	region			text NOT NULL DEFAULT 'JP',
	rate_limit		integer NOT NULL DEFAULT 2000 CHECK (rate_limit BETWEEN 1 AND 2000),
	max_in_flight	integer NOT NULL DEFAULT 400 CHECK (max_in_flight BETWEEN 1 AND 10000),
	default_ttl		interval NOT NULL DEFAULT '24 hours' CHECK (default_ttl > '0'),
	on_invalid		text NOT NULL DEFAULT 'park' CHECK (on_invalid IN ('park', 'error')),
	on_unknown		text NOT NULL DEFAULT 'hold' CHECK (on_unknown IN ('hold', 'retry')),
	on_server_error	text NOT NULL DEFAULT 'hold' CHECK (on_server_error IN ('hold', 'retry')),
	max_attempts	integer CHECK (max_attempts BETWEEN 1 AND 10000),
	backoff_base	interval NOT NULL DEFAULT '1 second' CHECK (backoff_base BETWEEN '10 milliseconds' AND '1 hour'),
	backoff_cap		interval NOT NULL DEFAULT '5 minutes' CHECK (backoff_cap BETWEEN '10 milliseconds' AND '1 day'),
	connect_timeout	interval NOT NULL DEFAULT '5 seconds' CHECK (connect_timeout BETWEEN '10 milliseconds' AND '5 minutes'),
	total_timeout	interval NOT NULL DEFAULT '20 seconds' CHECK (total_timeout BETWEEN '10 milliseconds' AND '10 minutes'),
	use_case_required boolean NOT NULL DEFAULT true,
	proxy			text CHECK (proxy ~ '^https?://[A-Za-z0-9.\[\]:-]+$'),
	ca_file			text CHECK (ca_file ~ '^/[[:print:]]+$'),
	paused_at		timestamptz,
	pause_reason	text,
	created_at		timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE line_notify.channel IS 'One row per LINE Messaging API channel; changed by create_channel(), alter_channel(), drop_channel(); read through view channels';
COMMENT ON COLUMN line_notify.channel.home IS 'identity this channel was armed for; see arm()';
COMMENT ON COLUMN line_notify.channel.line_channel_id IS 'LINE''s channel ID: identity of the rate limit, which outlives tokens';
COMMENT ON COLUMN line_notify.channel.rate_limit IS 'our share of LINE''s 2,000 requests a second per endpoint';
COMMENT ON COLUMN line_notify.channel.max_attempts IS 'attempts that consume one; NULL = only expires_at ends the waiting';

CREATE TABLE line_notify.credential (
	channel			text COLLATE "C" NOT NULL REFERENCES line_notify.channel ON DELETE CASCADE,
	kind			text NOT NULL CHECK (kind IN ('access_token', 'client_secret', 'jwt_key', 'channel_secret', 'previous_channel_secret')),
	value			text NOT NULL,
	key_id			text CHECK (key_id ~ '^[0-9A-Za-z_.-]{1,64}$'),
	flow			text CHECK (flow IN ('stateless', 'v2.1')),
	set_at			timestamptz NOT NULL DEFAULT clock_timestamp(),
	set_by			name NOT NULL DEFAULT session_user,
	PRIMARY KEY (channel, kind)
);
-- A policy-less table under row security is invisible even to pg_read_all_data.
ALTER TABLE line_notify.credential ENABLE ROW LEVEL SECURITY;
REVOKE ALL ON line_notify.credential FROM PUBLIC;
COMMENT ON TABLE line_notify.credential IS 'Secrets, or file:/path of where they are; not dumped, no policy: only a superuser sees it';
COMMENT ON COLUMN line_notify.credential.key_id IS 'jwt_key: the "kid" that LINE''s console gave for the public key';
COMMENT ON COLUMN line_notify.credential.flow IS 'jwt_key: which tokens to ask for, stateless or v2.1';

CREATE TABLE line_notify.token_status (
	channel			text COLLATE "C" PRIMARY KEY REFERENCES line_notify.channel ON DELETE CASCADE,
	error			text NOT NULL,
	since			timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE line_notify.token_status IS 'Channels for which the worker could not get an access token, for health(); never a secret';

CREATE TABLE line_notify.sender (
	role			regrole NOT NULL,
	channel			text COLLATE "C" NOT NULL,
	PRIMARY KEY (role, channel)
);
COMMENT ON TABLE line_notify.sender IS 'Which role may send through which channel (* = every one); see grant_sender()';

-- Backends and workers keep channels in memory; a change reaches them at commit.
CREATE FUNCTION line_notify._configuration_changed() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'line_notify_configuration_changed';
REVOKE ALL ON FUNCTION line_notify._configuration_changed() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._configuration_changed() IS 'trigger: tells caches and the worker at commit';

CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON line_notify.channel
	FOR EACH STATEMENT EXECUTE FUNCTION line_notify._configuration_changed();
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON line_notify.credential
	FOR EACH STATEMENT EXECUTE FUNCTION line_notify._configuration_changed();
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON line_notify.sender
	FOR EACH STATEMENT EXECUTE FUNCTION line_notify._configuration_changed();
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON line_notify.identity
	FOR EACH STATEMENT EXECUTE FUNCTION line_notify._configuration_changed();

CREATE FUNCTION line_notify._node() RETURNS text
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'line_notify_node';
REVOKE ALL ON FUNCTION line_notify._node() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._node() IS 'name of this node: setting line_notify.node, or the host name';

CREATE FUNCTION line_notify._caller_is_superuser() RETURNS boolean
LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'line_notify_caller_is_superuser';
REVOKE ALL ON FUNCTION line_notify._caller_is_superuser() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._caller_is_superuser() IS 'is the role outside of SECURITY DEFINER functions a superuser';

CREATE FUNCTION line_notify._caller() RETURNS oid
LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'line_notify_caller';
REVOKE ALL ON FUNCTION line_notify._caller() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._caller() IS 'the role outside of SECURITY DEFINER functions';

-- Of use in views, whose functions run with the rights of who asks; says no
-- more than whether this place is armed.
CREATE FUNCTION line_notify._local_home() RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT i.home
	FROM line_notify.identity i, pg_control_system() c, pg_database d
	WHERE d.datname = current_database()
	  AND i.database = d.oid
	  AND i.system_identifier = c.system_identifier
	  AND line_notify._node() = ANY (i.nodes)
	ORDER BY i.armed_at DESC
	LIMIT 1
$$;
COMMENT ON FUNCTION line_notify._local_home() IS 'the identity row that this cluster, database and node are named in, or NULL';

CREATE FUNCTION line_notify.create_channel(
	name text,
	api_base text DEFAULT NULL,
	line_channel_id text DEFAULT NULL,
	region text DEFAULT NULL,
	rate_limit integer DEFAULT NULL,
	max_in_flight integer DEFAULT NULL,
	default_ttl interval DEFAULT NULL,
	on_invalid text DEFAULT NULL,
	on_unknown text DEFAULT NULL,
	on_server_error text DEFAULT NULL,
	max_attempts integer DEFAULT NULL,
	backoff_base interval DEFAULT NULL,
	backoff_cap interval DEFAULT NULL,
	connect_timeout interval DEFAULT NULL,
	total_timeout interval DEFAULT NULL,
	use_case_required boolean DEFAULT NULL,
	proxy text DEFAULT NULL,
	ca_file text DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	here bigint;
BEGIN
	IF create_channel.name IS NULL OR create_channel.name !~ '^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$' THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'invalid channel name',
			DETAIL = 'A channel name has 1 to 63 letters, digits, "_", "-" or "." and begins with a letter or digit.';
	END IF;
	IF EXISTS (SELECT FROM line_notify.channel c WHERE c.name = create_channel.name) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'duplicate_object',
			MESSAGE = format('channel "%s" already exists', create_channel.name),
			HINT = 'Use line_notify.alter_channel() to change it.';
	END IF;

	-- The first channel arms this database on this node; after a restore
	-- elsewhere that is what line_notify.arm() is for.
	here := line_notify._local_home();
	IF here IS NULL THEN
		INSERT INTO line_notify.identity (home, system_identifier, database, nodes)
		SELECT ('x' || encode(substr(decode(md5(random()::text || clock_timestamp()::text || d.oid::text), 'hex'), 1, 7), 'hex'))::bit(56)::bigint,
			   c.system_identifier, d.oid, ARRAY[line_notify._node()]
		FROM pg_control_system() c, pg_database d
		WHERE d.datname = current_database()
		RETURNING home INTO here;
	END IF;

	INSERT INTO line_notify.channel (name, home) VALUES (create_channel.name, here);
	PERFORM line_notify.alter_channel(create_channel.name,
		api_base => create_channel.api_base,
		line_channel_id => create_channel.line_channel_id,
		region => create_channel.region,
		rate_limit => create_channel.rate_limit,
		max_in_flight => create_channel.max_in_flight,
		default_ttl => create_channel.default_ttl,
		on_invalid => create_channel.on_invalid,
		on_unknown => create_channel.on_unknown,
		on_server_error => create_channel.on_server_error,
		max_attempts => create_channel.max_attempts,
		backoff_base => create_channel.backoff_base,
		backoff_cap => create_channel.backoff_cap,
		connect_timeout => create_channel.connect_timeout,
		total_timeout => create_channel.total_timeout,
		use_case_required => create_channel.use_case_required,
		proxy => create_channel.proxy,
		ca_file => create_channel.ca_file);
END
$$;
REVOKE ALL ON FUNCTION line_notify.create_channel FROM PUBLIC;
COMMENT ON FUNCTION line_notify.create_channel IS 'Register a LINE Messaging API channel and let this database send through it';

CREATE FUNCTION line_notify.alter_channel(
	name text,
	api_base text DEFAULT NULL,
	line_channel_id text DEFAULT NULL,
	region text DEFAULT NULL,
	rate_limit integer DEFAULT NULL,
	max_in_flight integer DEFAULT NULL,
	default_ttl interval DEFAULT NULL,
	on_invalid text DEFAULT NULL,
	on_unknown text DEFAULT NULL,
	on_server_error text DEFAULT NULL,
	max_attempts integer DEFAULT NULL,
	backoff_base interval DEFAULT NULL,
	backoff_cap interval DEFAULT NULL,
	connect_timeout interval DEFAULT NULL,
	total_timeout interval DEFAULT NULL,
	use_case_required boolean DEFAULT NULL,
	proxy text DEFAULT NULL,
	ca_file text DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	IF (alter_channel.api_base IS NOT NULL AND alter_channel.api_base <> 'https://api.line.me'
		OR alter_channel.proxy IS NOT NULL OR alter_channel.ca_file IS NOT NULL)
		AND NOT line_notify._caller_is_superuser()
	THEN
		RAISE EXCEPTION USING
			ERRCODE = 'insufficient_privilege',
			MESSAGE = 'permission denied to set api_base, proxy or ca_file',
			DETAIL = 'They decide where access tokens and messages go, so only a superuser may set them.';
	END IF;
	IF alter_channel.region IS NOT NULL THEN
		PERFORM line_notify.normalize_phone('', alter_channel.region);	-- raises for an unknown region
	END IF;

	UPDATE line_notify.channel c SET
		api_base = coalesce(alter_channel.api_base, c.api_base),
		line_channel_id = coalesce(alter_channel.line_channel_id, c.line_channel_id),
		region = upper(coalesce(alter_channel.region, c.region)),
		rate_limit = coalesce(alter_channel.rate_limit, c.rate_limit),
		max_in_flight = coalesce(alter_channel.max_in_flight, c.max_in_flight),
		default_ttl = coalesce(alter_channel.default_ttl, c.default_ttl),
		on_invalid = coalesce(alter_channel.on_invalid, c.on_invalid),
		on_unknown = coalesce(alter_channel.on_unknown, c.on_unknown),
		on_server_error = coalesce(alter_channel.on_server_error, c.on_server_error),
		max_attempts = nullif(coalesce(alter_channel.max_attempts, c.max_attempts), 0),
		backoff_base = coalesce(alter_channel.backoff_base, c.backoff_base),
		backoff_cap = coalesce(alter_channel.backoff_cap, c.backoff_cap),
		connect_timeout = coalesce(alter_channel.connect_timeout, c.connect_timeout),
		total_timeout = coalesce(alter_channel.total_timeout, c.total_timeout),
		use_case_required = coalesce(alter_channel.use_case_required, c.use_case_required),
		proxy = nullif(coalesce(alter_channel.proxy, c.proxy), ''),
		ca_file = nullif(coalesce(alter_channel.ca_file, c.ca_file), '')
	WHERE c.name = alter_channel.name;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_object',
			MESSAGE = format('channel "%s" does not exist', alter_channel.name),
			HINT = 'View line_notify.channels lists the channels.';
	END IF;
EXCEPTION WHEN check_violation THEN
	RAISE EXCEPTION USING
		ERRCODE = 'invalid_parameter_value',
		MESSAGE = 'invalid value for a channel setting',
		DETAIL = format('The failing rule is %s: %s.', substring(sqlerrm from 'constraint "([^"]+)"'),
			(SELECT pg_get_constraintdef(k.oid) FROM pg_constraint k
			 WHERE k.conrelid = 'line_notify.channel'::regclass
			   AND k.conname = substring(sqlerrm from 'constraint "([^"]+)"'))),
		HINT = 'The README lists every channel setting with its range.';
END
$$;
REVOKE ALL ON FUNCTION line_notify.alter_channel FROM PUBLIC;
COMMENT ON FUNCTION line_notify.alter_channel IS 'Change settings of a channel; NULL leaves a setting as it is, '''' clears proxy and ca_file, 0 clears max_attempts';

CREATE FUNCTION line_notify.drop_channel(name text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM FROM line_notify.channel c WHERE c.name = drop_channel.name FOR UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_object',
			MESSAGE = format('channel "%s" does not exist', drop_channel.name);
	END IF;
	IF EXISTS (SELECT FROM line_notify.outbox o WHERE o.channel = drop_channel.name) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'object_in_use',
			MESSAGE = format('channel "%s" has messages waiting', drop_channel.name),
			HINT = 'Cancel them with line_notify.cancel(channel => ...) or let them be sent first.';
	END IF;
	DELETE FROM line_notify.sender s WHERE s.channel = drop_channel.name;
	DELETE FROM line_notify.channel c WHERE c.name = drop_channel.name;
END
$$;
REVOKE ALL ON FUNCTION line_notify.drop_channel(text) FROM PUBLIC;
COMMENT ON FUNCTION line_notify.drop_channel(text) IS 'Remove a channel that has nothing waiting; its history stays';

CREATE FUNCTION line_notify.set_credential(channel text, kind text, value text, key_id text DEFAULT NULL, flow text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	issues CONSTANT boolean := set_credential.kind IN ('client_secret', 'jwt_key');
BEGIN
	IF NOT EXISTS (SELECT FROM line_notify.channel c WHERE c.name = set_credential.channel) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_object',
			MESSAGE = format('channel "%s" does not exist', set_credential.channel);
	END IF;
	IF set_credential.kind IS NULL OR set_credential.kind NOT IN ('access_token', 'client_secret', 'jwt_key', 'channel_secret', 'previous_channel_secret') THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'unknown kind of credential',
			HINT = 'Kinds are access_token, client_secret, jwt_key, channel_secret and previous_channel_secret.';
	END IF;
	IF set_credential.value LIKE 'file:%' THEN
		IF set_credential.value NOT LIKE 'file:/%' THEN
			RAISE EXCEPTION USING
				ERRCODE = 'invalid_parameter_value',
				MESSAGE = 'the path of a credential file must be absolute',
				HINT = 'Write file:/path/of/the/secret.';
		END IF;
		IF NOT (line_notify._caller_is_superuser() OR pg_has_role(session_user, 'pg_read_server_files', 'MEMBER')) THEN
			RAISE EXCEPTION USING
				ERRCODE = 'insufficient_privilege',
				MESSAGE = 'permission denied to read a credential from a server file',
				DETAIL = 'Only roles with the privileges of "pg_read_server_files" may name a server file.';
		END IF;
	ELSIF set_credential.value IS NOT NULL AND (set_credential.value = '' OR length(set_credential.value) > 8192) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'a credential has 1 to 8192 characters';
	ELSIF set_credential.kind = 'access_token' AND length(set_credential.value) > 4000 THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'an access token has at most 4000 characters';
	ELSIF set_credential.kind <> 'jwt_key' AND set_credential.value ~ '[^!-~]' THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'a credential has printable ASCII characters only, and no space';
	END IF;
	IF set_credential.value IS NOT NULL AND issues AND
		(SELECT c.line_channel_id IS NULL FROM line_notify.channel c WHERE c.name = set_credential.channel)
	THEN
		RAISE EXCEPTION USING
			ERRCODE = 'object_not_in_prerequisite_state',
			MESSAGE = format('channel "%s" has no line_channel_id', set_credential.channel),
			DETAIL = 'LINE issues access tokens for a channel ID.',
			HINT = format('SELECT line_notify.alter_channel(%L, line_channel_id => ''...'');', set_credential.channel);
	END IF;
	IF set_credential.value IS NOT NULL AND (set_credential.kind = 'jwt_key') <> (set_credential.key_id IS NOT NULL)
		OR set_credential.flow IS NOT NULL AND set_credential.kind <> 'jwt_key'
	THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'key_id and flow belong to a jwt_key',
			HINT = 'key_id is the "kid" that LINE''s console shows for the registered public key.';
	END IF;
	IF set_credential.key_id !~ '^[0-9A-Za-z_.-]{1,64}$' OR set_credential.flow NOT IN ('stateless', 'v2.1') THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'invalid key_id or flow',
			DETAIL = 'A key_id has 1 to 64 letters, digits, "_", "-" or "."; flow is stateless or v2.1.';
	END IF;

	-- one generation back stays valid while LINE and its proxies change over
	IF set_credential.kind = 'channel_secret' THEN
		INSERT INTO line_notify.credential (channel, kind, value)
		SELECT c.channel, 'previous_channel_secret', c.value FROM line_notify.credential c
		WHERE c.channel = set_credential.channel AND c.kind = 'channel_secret'
		  AND c.value IS DISTINCT FROM set_credential.value
		ON CONFLICT (channel, kind) DO UPDATE SET value = excluded.value, set_at = clock_timestamp(), set_by = session_user;
	END IF;

	IF set_credential.value IS NULL THEN
		DELETE FROM line_notify.credential c
		WHERE c.channel = set_credential.channel AND c.kind = set_credential.kind;
		RETURN;
	END IF;

	-- one way to get access tokens at a time
	IF set_credential.kind IN ('access_token', 'client_secret', 'jwt_key') THEN
		DELETE FROM line_notify.credential c
		WHERE c.channel = set_credential.channel
		  AND c.kind IN ('access_token', 'client_secret', 'jwt_key') AND c.kind <> set_credential.kind;
	END IF;
	INSERT INTO line_notify.credential (channel, kind, value, key_id, flow)
	VALUES (set_credential.channel, set_credential.kind, set_credential.value, set_credential.key_id, set_credential.flow)
	ON CONFLICT (channel, kind) DO UPDATE
		SET value = excluded.value, key_id = excluded.key_id, flow = excluded.flow,
			set_at = clock_timestamp(), set_by = session_user;
END
$$;
REVOKE ALL ON FUNCTION line_notify.set_credential(text, text, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION line_notify.set_credential(text, text, text, text, text) IS 'Set (or with NULL remove) a secret of a channel; file:/path keeps it out of the database; access_token, client_secret and jwt_key replace each other';

CREATE FUNCTION line_notify.check_channel(name text, OUT step text, OUT ok boolean, OUT detail text, OUT hint text)
RETURNS SETOF record
LANGUAGE c VOLATILE STRICT ROWS 6 SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'line_notify_check_channel';
REVOKE ALL ON FUNCTION line_notify.check_channel(text) FROM PUBLIC;
COMMENT ON FUNCTION line_notify.check_channel(text) IS 'Try everything between here and LINE without sending a message: credential, connection, token, account, permission';

CREATE FUNCTION line_notify.arm(nodes text[] DEFAULT NULL, backlog text DEFAULT 'keep')
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	here bigint;
	sysid bigint := (SELECT c.system_identifier FROM pg_control_system() c);
	db oid := (SELECT d.oid FROM pg_database d WHERE d.datname = current_database());
	wanted text[] := coalesce(arm.nodes, ARRAY[line_notify._node()]);
	n bigint;
BEGIN
	IF arm.backlog IS NULL OR arm.backlog NOT IN ('keep', 'cancel') THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = format('unknown backlog policy: "%s"', arm.backlog),
			HINT = 'Use keep (send what waits) or cancel.';
	END IF;
	IF cardinality(wanted) = 0 OR array_position(wanted, NULL) IS NOT NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'nodes must name at least one node, and no NULL';
	END IF;

	UPDATE line_notify.identity i SET nodes = wanted, armed_at = clock_timestamp(), armed_by = session_user
	WHERE i.system_identifier = sysid AND i.database = db
	RETURNING i.home INTO here;
	IF here IS NULL THEN
		INSERT INTO line_notify.identity (home, system_identifier, database, nodes)
		VALUES (('x' || encode(substr(decode(md5(random()::text || clock_timestamp()::text || db::text), 'hex'), 1, 7), 'hex'))::bit(56)::bigint,
				sysid, db, wanted)
		RETURNING home INTO here;
	END IF;

	UPDATE line_notify.channel c SET home = here WHERE c.home <> here;
	IF arm.backlog = 'keep' THEN
		UPDATE line_notify.outbox o SET home = here, due_at = greatest(o.due_at, clock_timestamp())
		WHERE o.home <> here;
		GET DIAGNOSTICS n = ROW_COUNT;
	ELSE
		-- nothing of it is in flight from here: this place could not send
		n := line_notify._finish(ARRAY(SELECT o.id FROM line_notify.outbox o WHERE o.home <> here),
								 'cancelled', 'cancelled by arm()');
		UPDATE line_notify.outbox o SET home = here WHERE o.home <> here;
	END IF;
	UPDATE line_notify.in_flight f SET home = here WHERE f.home <> here;
	RETURN n;
END
$$;
REVOKE ALL ON FUNCTION line_notify.arm(text[], text) FROM PUBLIC;
COMMENT ON FUNCTION line_notify.arm(text[], text) IS 'Let this database send from the named nodes (default: this one); backlog: keep or cancel what waits from elsewhere; returns how many rows that concerned';

CREATE VIEW line_notify.channels AS
SELECT c.name, c.api_base, c.line_channel_id, c.region, c.rate_limit, c.max_in_flight,
	   c.default_ttl, c.on_invalid, c.on_unknown, c.on_server_error, c.max_attempts,
	   c.backoff_base, c.backoff_cap, c.connect_timeout, c.total_timeout,
	   c.use_case_required, c.proxy, c.ca_file,
	   c.home IS NOT DISTINCT FROM (SELECT line_notify._local_home()) AS armed,
	   c.paused_at IS NOT NULL AS paused, c.pause_reason, c.paused_at,
	   ARRAY(SELECT k.kind FROM line_notify.credential k WHERE k.channel = c.name ORDER BY k.kind) AS credentials,
	   c.created_at
FROM line_notify.channel c;
COMMENT ON VIEW line_notify.channels IS 'Channels with their settings; never a secret';

CREATE FUNCTION line_notify.grant_sender(role regrole, channels text[] DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	missing text;
BEGIN
	SELECT x INTO missing FROM unnest(grant_sender.channels) x
	WHERE NOT EXISTS (SELECT FROM line_notify.channel c WHERE c.name = x) LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_object',
			MESSAGE = format('channel "%s" does not exist', missing);
	END IF;
	INSERT INTO line_notify.sender (role, channel)
	SELECT grant_sender.role, x FROM unnest(coalesce(grant_sender.channels, '{*}')) x
	ON CONFLICT DO NOTHING;
	EXECUTE format('GRANT INSERT (channel, phone, region, recipient, use_case, template_key, body, messages,'
				   ' notification_disabled, aggregation_unit, priority, send_after, spread, expires_at,'
				   ' batch, dedup_key, order_key, reference), SELECT (id) ON line_notify.outbox TO %s', grant_sender.role);
	EXECUTE format('GRANT SELECT ON line_notify.notifications, line_notify.attempts TO %s', grant_sender.role);
	EXECUTE format('GRANT EXECUTE ON FUNCTION line_notify.enqueue(text, line_notify.use_case, text, jsonb, jsonb, text, jsonb) TO %s', grant_sender.role);
END
$$;
REVOKE ALL ON FUNCTION line_notify.grant_sender(regrole, text[]) FROM PUBLIC;
COMMENT ON FUNCTION line_notify.grant_sender(regrole, text[]) IS 'Let a role insert messages for the named channels (default: all) and see its own';

CREATE FUNCTION line_notify.revoke_sender(role regrole, channels text[] DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	DELETE FROM line_notify.sender s
	WHERE s.role = revoke_sender.role
	  AND (revoke_sender.channels IS NULL OR s.channel = ANY (revoke_sender.channels));
	IF NOT EXISTS (SELECT FROM line_notify.sender s WHERE s.role = revoke_sender.role) THEN
		EXECUTE format('REVOKE ALL ON line_notify.outbox, line_notify.notifications, line_notify.attempts FROM %s', revoke_sender.role);
		EXECUTE format('REVOKE INSERT (channel, phone, region, recipient, use_case, template_key, body, messages,'
					   ' notification_disabled, aggregation_unit, priority, send_after, spread, expires_at,'
					   ' batch, dedup_key, order_key, reference), SELECT (id) ON line_notify.outbox FROM %s', revoke_sender.role);
		EXECUTE format('REVOKE ALL ON FUNCTION line_notify.enqueue(text, line_notify.use_case, text, jsonb, jsonb, text, jsonb) FROM %s', revoke_sender.role);
	END IF;
END
$$;
REVOKE ALL ON FUNCTION line_notify.revoke_sender(regrole, text[]) FROM PUBLIC;
COMMENT ON FUNCTION line_notify.revoke_sender(regrole, text[]) IS 'Take back what grant_sender() gave';

CREATE FUNCTION line_notify._visible_channels() RETURNS text[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT coalesce(array_agg(c.name), '{}')
	FROM line_notify.channel c
	WHERE EXISTS (SELECT FROM line_notify.sender s, pg_roles r
				  WHERE s.channel IN ('*', c.name) AND r.oid = s.role
					AND pg_has_role(line_notify._caller(), r.oid, 'USAGE'))
$$;
COMMENT ON FUNCTION line_notify._visible_channels() IS 'channels whose messages the caller may see as a sender';

--
-- 5. Outbox, history
--

CREATE TYPE line_notify.message_state AS ENUM (
	'queued', 'sending', 'accepted', 'delivered', 'undelivered', 'unreachable',
	'refused', 'unknown', 'invalid', 'suppressed', 'cancelled', 'expired', 'failed');
COMMENT ON TYPE line_notify.message_state IS 'Where a message stands; view states explains each';

CREATE FUNCTION line_notify._states(OUT state text, OUT terminal boolean, OUT billed text, OUT description_en text, OUT description_ja text)
RETURNS SETOF record
LANGUAGE c IMMUTABLE PARALLEL SAFE ROWS 13 AS 'MODULE_PATHNAME', 'line_notify_states';
REVOKE ALL ON FUNCTION line_notify._states() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._states() IS 'rows of view states';

CREATE VIEW line_notify.states AS
SELECT s.state::line_notify.message_state AS state, s.terminal, s.billed, s.description_en, s.description_ja
FROM line_notify._states() s;
COMMENT ON VIEW line_notify.states IS 'What each state of a message means';
GRANT SELECT ON line_notify.states TO PUBLIC;

-- Waiting messages.  A row is written once and read once: claiming it inserts
-- into in_flight, recording the outcome deletes it here and inserts into history.
CREATE TABLE line_notify.outbox (
	id				bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
	channel			text COLLATE "C" NOT NULL,
	phone			text CONSTRAINT phone_is_not_stored CHECK (phone IS NULL),
	region			text,
	recipient		text CONSTRAINT recipient_is_sha256 CHECK (recipient ~ '^[0-9a-f]{64}$'),
	use_case		line_notify.use_case,
	template_key	text,
	body			jsonb,
	messages		jsonb,
	notification_disabled boolean,
	aggregation_unit text,
	priority		smallint NOT NULL DEFAULT 0 CHECK (priority BETWEEN -10 AND 10),
	send_after		timestamptz,
	spread			interval,
	expires_at		timestamptz NOT NULL,
	batch			text,
	dedup_key		text,
	order_key		text,
	reference		text,
	state			line_notify.message_state NOT NULL,
	due_at			timestamptz NOT NULL,
	attempts		integer NOT NULL DEFAULT 0,
	maybe_sent		boolean NOT NULL DEFAULT false,
	home			bigint NOT NULL,
	created_at		timestamptz NOT NULL,
	error			text,
	CONSTRAINT one_content CHECK ((template_key IS NULL) <> (messages IS NULL) OR state IN ('invalid', 'suppressed')),
	CONSTRAINT waiting_state CHECK (state IN ('queued', 'invalid', 'suppressed')),
	CONSTRAINT has_recipient CHECK (recipient IS NOT NULL OR state <> 'queued')
) WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 20000,
		autovacuum_analyze_scale_factor = 0.0, autovacuum_analyze_threshold = 50000);
-- The claim walks one lane (channel, priority) in order of due time.
CREATE INDEX outbox_claim ON line_notify.outbox (channel, priority, due_at, id);
CREATE INDEX outbox_expiry ON line_notify.outbox (expires_at);
CREATE INDEX outbox_order ON line_notify.outbox (channel, order_key, id) WHERE order_key IS NOT NULL;
COMMENT ON TABLE line_notify.outbox IS 'INSERT here to send a LINE notification message; holds what waits, see view notifications for everything';
COMMENT ON COLUMN line_notify.outbox.channel IS 'channel to send through; may be omitted when there is one, or line_notify.default_channel is set';
COMMENT ON COLUMN line_notify.outbox.phone IS 'telephone number as the customer wrote it; hashed at INSERT and not kept';
COMMENT ON COLUMN line_notify.outbox.region IS 'ISO code of the country whose national form phone may be in; default the channel''s';
COMMENT ON COLUMN line_notify.outbox.recipient IS 'SHA-256 of the E.164 number in hex; personal data all the same';
COMMENT ON COLUMN line_notify.outbox.use_case IS 'reviewed purpose of the message';
COMMENT ON COLUMN line_notify.outbox.template_key IS 'template message: key of LINE''s template';
COMMENT ON COLUMN line_notify.outbox.body IS 'template message: emphasizedItem, items, buttons';
COMMENT ON COLUMN line_notify.outbox.messages IS 'flexible message: array of message objects';
COMMENT ON COLUMN line_notify.outbox.notification_disabled IS 'flexible message: deliver without sounding the phone';
COMMENT ON COLUMN line_notify.outbox.aggregation_unit IS 'name for LINE''s statistics; default the use case';
COMMENT ON COLUMN line_notify.outbox.priority IS '-10 to 10, larger is sooner';
COMMENT ON COLUMN line_notify.outbox.send_after IS 'not before';
COMMENT ON COLUMN line_notify.outbox.spread IS 'a random share of this is added to send_after';
COMMENT ON COLUMN line_notify.outbox.expires_at IS 'not after; default the channel''s default_ttl from the time it may first be sent';
COMMENT ON COLUMN line_notify.outbox.batch IS 'name of the campaign or run this message belongs to';
COMMENT ON COLUMN line_notify.outbox.dedup_key IS 'second message of a channel with the same key inserts nothing';
COMMENT ON COLUMN line_notify.outbox.order_key IS 'messages with the same key are sent in order, one at a time';
COMMENT ON COLUMN line_notify.outbox.reference IS 'the application''s own id, e.g. the order number';
COMMENT ON COLUMN line_notify.outbox.state IS 'set by us; a row that arrives with a state (owner only, as in a restore) is taken as it is';
COMMENT ON COLUMN line_notify.outbox.due_at IS 'when it may be sent next';
COMMENT ON COLUMN line_notify.outbox.attempts IS 'attempts made so far';
COMMENT ON COLUMN line_notify.outbox.maybe_sent IS 'an earlier attempt may have reached the customer';
COMMENT ON COLUMN line_notify.outbox.home IS 'identity that may send it';
COMMENT ON COLUMN line_notify.outbox.error IS 'why it waits or is invalid; no personal data';

-- Claimed and not yet recorded: narrow, and as small as what is on the wire.
CREATE TABLE line_notify.in_flight (
	id				bigint PRIMARY KEY,
	token			bigint NOT NULL,
	claimer			bigint NOT NULL,
	attempt			integer NOT NULL,
	claimed_at		timestamptz NOT NULL,
	home			bigint NOT NULL,
	delivered_at	timestamptz,
	delivery_event	text
) WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 10000);
COMMENT ON TABLE line_notify.in_flight IS 'Messages handed to the sender and not yet recorded';
COMMENT ON COLUMN line_notify.in_flight.token IS 'lease token: only its holder may record the outcome';
COMMENT ON COLUMN line_notify.in_flight.claimer IS 'key of the session lock that the claiming process holds while it lives';

CREATE TABLE line_notify.history (
	id				bigint NOT NULL,
	channel			text COLLATE "C" NOT NULL,
	recipient		text,
	use_case		line_notify.use_case,
	template_key	text,
	body			jsonb,
	messages		jsonb,
	notification_disabled boolean,
	aggregation_unit text,
	priority		smallint NOT NULL DEFAULT 0,
	batch			text,
	dedup_key		text,
	order_key		text,
	reference		text,
	state			line_notify.message_state NOT NULL,
	attempts		integer NOT NULL DEFAULT 0,
	maybe_sent		boolean NOT NULL DEFAULT false,
	token			bigint,
	outcome			text,
	http_status		smallint,
	request_id		text,
	error			text,
	created_at		timestamptz NOT NULL,
	due_at			timestamptz,
	expires_at		timestamptz,
	sent_at			timestamptz,
	ended_at		timestamptz NOT NULL,
	delivered_at	timestamptz,
	delivery_event	text
) PARTITION BY RANGE (id);
-- No key here: each partition has its own.  A key of the parent would come into
-- being with CREATE EXTENSION in a restore, be given to every partition that
-- is attached, and collide with the partition's own one in the dump.
COMMENT ON TABLE line_notify.history IS 'Messages that were sent or ended otherwise; partitions are made and dropped by the worker';
COMMENT ON COLUMN line_notify.history.token IS 'lease token of the last attempt, part of its delivery tag';
COMMENT ON COLUMN line_notify.history.outcome IS 'what the last attempt came to: accepted, unreachable, refused, server_error, ambiguous, ...';
COMMENT ON COLUMN line_notify.history.request_id IS 'x-line-request-id of LINE''s answer: quote it to LINE''s support';
COMMENT ON COLUMN line_notify.history.delivered_at IS 'LINE''s own time of the delivery event';

CREATE TABLE line_notify.attempt_log (
	id				bigint NOT NULL,
	attempt			integer NOT NULL,
	token			bigint NOT NULL,
	started_at		timestamptz,
	ended_at		timestamptz NOT NULL,
	outcome			text NOT NULL,
	http_status		smallint,
	request_id		text,
	error			text,
	PRIMARY KEY (id, attempt, token)
);
COMMENT ON TABLE line_notify.attempt_log IS 'Attempts that were followed by another; the last one stands in history';

-- Moves waiting rows that nobody is sending into history.  Locks first, then
-- looks for a claim with a snapshot taken after the lock.
CREATE FUNCTION line_notify._finish(ids bigint[], new_state line_notify.message_state, why text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	locked bigint[];
	n bigint;
BEGIN
	IF cardinality(ids) = 0 OR ids IS NULL THEN
		RETURN 0;
	END IF;
	-- REPEATABLE READ would not see a claim that was committed since: say so
	-- instead of answering for a message that is on the wire.
	IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
		RAISE EXCEPTION USING
			ERRCODE = 'active_sql_transaction',
			MESSAGE = 'this must be called in a READ COMMITTED transaction';
	END IF;
	locked := ARRAY(SELECT o.id FROM line_notify.outbox o WHERE o.id = ANY (ids) ORDER BY o.id FOR UPDATE);
	PERFORM line_notify._ensure_history(locked[cardinality(locked)]);
	WITH o AS (
		DELETE FROM line_notify.outbox o
		WHERE o.id = ANY (locked)
		  AND NOT EXISTS (SELECT FROM line_notify.in_flight f WHERE f.id = o.id)
		RETURNING o.*)
	INSERT INTO line_notify.history (id, channel, recipient, use_case, template_key, body, messages,
		notification_disabled, aggregation_unit, priority, batch, dedup_key, order_key, reference, state,
		attempts, maybe_sent, error, created_at, due_at, expires_at, ended_at)
	SELECT o.id, o.channel, o.recipient, o.use_case, o.template_key, o.body, o.messages,
		o.notification_disabled, o.aggregation_unit, o.priority, o.batch, o.dedup_key, o.order_key, o.reference,
		-- what may have been sent once never ends as if it had not
		CASE WHEN o.maybe_sent THEN 'unknown' ELSE new_state END,
		o.attempts, o.maybe_sent, coalesce(o.error || '; ', '') || why, o.created_at, o.due_at, o.expires_at, clock_timestamp()
	FROM o;
	GET DIAGNOSTICS n = ROW_COUNT;
	RETURN n;
END
$$;
REVOKE ALL ON FUNCTION line_notify._finish(bigint[], line_notify.message_state, text) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._finish(bigint[], line_notify.message_state, text) IS 'ends waiting rows without sending; returns how many';

-- Partitions are made at run time, so that retention can drop them; ATTACH
-- takes no lock that readers or writers of other partitions would feel.
CREATE FUNCTION line_notify._ensure_history(upto bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s'
	SET client_min_messages = warning
AS $$
DECLARE
	span CONSTANT bigint := 1000000;
	covered bigint;
	upper_bound bigint;
	part text;
BEGIN
	-- one maker at a time, and a fresh look after waiting for it
	PERFORM pg_advisory_xact_lock(1279872592, 1);
	SELECT max((regexp_match(pg_get_expr(c.relpartbound, c.oid), 'TO \(''?(-?\d+)''?\)'))[1]::bigint)
	INTO covered
	FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
	WHERE i.inhparent = 'line_notify.history'::regclass;
	IF upto IS NULL OR covered > upto THEN
		RETURN covered;
	END IF;
	upper_bound := (upto / span + 1) * span;
	part := 'history_' || CASE WHEN covered IS NULL THEN '0' ELSE covered::text END;
	EXECUTE format('CREATE TABLE line_notify.%I (LIKE line_notify.history INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING COMMENTS)'
				   ' WITH (fillfactor = 90, autovacuum_analyze_scale_factor = 0.0, autovacuum_analyze_threshold = 100000)', part);
	EXECUTE format('ALTER TABLE line_notify.%I ADD PRIMARY KEY (id)', part);
	EXECUTE format('ALTER TABLE line_notify.history ATTACH PARTITION line_notify.%I FOR VALUES FROM (%s) TO (%s)',
				   part, coalesce(covered::text, 'MINVALUE'), upper_bound);
	RETURN upper_bound;
END
$$;
REVOKE ALL ON FUNCTION line_notify._ensure_history(bigint) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._ensure_history(bigint) IS 'makes the partition of history that an id belongs to; returns the end of what is covered';

CREATE FUNCTION line_notify._outbox_insert() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'line_notify_outbox_insert';
REVOKE ALL ON FUNCTION line_notify._outbox_insert() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._outbox_insert() IS 'trigger: normalizes, hashes, checks and schedules a new message, wakes the worker at commit';

CREATE TRIGGER prepare BEFORE INSERT ON line_notify.outbox
	FOR EACH ROW EXECUTE FUNCTION line_notify._outbox_insert();

CREATE FUNCTION line_notify.enqueue(
	phone text,
	use_case line_notify.use_case,
	template_key text DEFAULT NULL,
	body jsonb DEFAULT NULL,
	messages jsonb DEFAULT NULL,
	channel text DEFAULT NULL,
	options jsonb DEFAULT '{}')
RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	o record;
	stray text;
	new_id bigint;
BEGIN
	SELECT k INTO stray FROM jsonb_object_keys(enqueue.options) k
	WHERE k NOT IN ('region', 'recipient', 'notification_disabled', 'aggregation_unit', 'priority', 'send_after',
					'spread', 'expires_at', 'batch', 'dedup_key', 'order_key', 'reference') LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = format('unknown option "%s"', stray),
			HINT = 'Options are the columns of line_notify.outbox: region, recipient, notification_disabled, aggregation_unit, priority, send_after, spread, expires_at, batch, dedup_key, order_key, reference.';
	END IF;
	SELECT * INTO o FROM jsonb_to_record(enqueue.options) AS
		x(region text, recipient text, notification_disabled boolean, aggregation_unit text, priority smallint,
		  send_after timestamptz, spread interval, expires_at timestamptz, batch text, dedup_key text,
		  order_key text, reference text);
	INSERT INTO line_notify.outbox (channel, phone, region, recipient, use_case, template_key, body, messages,
		notification_disabled, aggregation_unit, priority, send_after, spread, expires_at, batch, dedup_key, order_key, reference)
	VALUES (enqueue.channel, enqueue.phone, o.region, o.recipient, enqueue.use_case, enqueue.template_key, enqueue.body, enqueue.messages,
		o.notification_disabled, o.aggregation_unit, coalesce(o.priority, 0::smallint), o.send_after, o.spread, o.expires_at, o.batch, o.dedup_key, o.order_key, o.reference)
	RETURNING id INTO new_id;
	RETURN new_id;
END
$$;
REVOKE ALL ON FUNCTION line_notify.enqueue(text, line_notify.use_case, text, jsonb, jsonb, text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION line_notify.enqueue(text, line_notify.use_case, text, jsonb, jsonb, text, jsonb) IS 'Queue one message; the same as an INSERT into outbox; returns its id';

CREATE VIEW line_notify.notifications WITH (security_barrier) AS
WITH me AS MATERIALIZED (
	SELECT (SELECT line_notify._local_home()) AS home,
		   (SELECT line_notify._visible_channels()) AS channels,
		   has_table_privilege('line_notify.history', 'SELECT') AS everything)
SELECT o.id, o.channel, o.use_case, o.template_key, o.batch, o.reference, o.dedup_key, o.order_key, o.priority,
	   CASE WHEN f.id IS NULL THEN o.state ELSE 'sending' END AS state,
	   o.attempts + CASE WHEN f.id IS NULL THEN 0 ELSE 1 END AS attempts,
	   NULL::smallint AS http_status, NULL::text AS request_id,
	   o.created_at, o.due_at, o.expires_at, f.claimed_at AS sent_at, NULL::timestamptz AS ended_at,
	   f.delivered_at, o.error,
	   CASE WHEN f.id IS NOT NULL OR o.state <> 'queued' THEN NULL
			WHEN o.home IS DISTINCT FROM me.home OR c.home IS DISTINCT FROM me.home THEN 'disarmed'
			WHEN c.paused_at IS NOT NULL THEN 'channel paused'
			WHEN o.due_at = 'infinity' THEN 'behind another message of its order_key'
			WHEN o.due_at > statement_timestamp() AND o.attempts > 0 THEN 'next attempt'
			WHEN o.due_at > statement_timestamp() THEN 'not due yet'
			ELSE 'in line' END AS waiting_reason,
	   CASE WHEN f.id IS NULL AND o.state = 'queued' AND o.due_at > statement_timestamp() THEN o.due_at END AS waiting_until
FROM me, line_notify.outbox o
LEFT JOIN line_notify.in_flight f ON f.id = o.id
LEFT JOIN line_notify.channel c ON c.name = o.channel
WHERE me.everything OR o.channel = ANY (me.channels)
UNION ALL
SELECT h.id, h.channel, h.use_case, h.template_key, h.batch, h.reference, h.dedup_key, h.order_key, h.priority,
	   h.state, h.attempts, h.http_status, h.request_id,
	   h.created_at, h.due_at, h.expires_at, h.sent_at, h.ended_at,
	   h.delivered_at, h.error, NULL, NULL
FROM me, line_notify.history h
WHERE me.everything OR h.channel = ANY (me.channels);
COMMENT ON VIEW line_notify.notifications IS 'Every message, waiting or finished, one row each; no payload, no recipient';
COMMENT ON COLUMN line_notify.notifications.waiting_reason IS 'why it has not been sent yet';

CREATE VIEW line_notify.attempts WITH (security_barrier) AS
WITH me AS MATERIALIZED (
	SELECT (SELECT line_notify._visible_channels()) AS channels,
		   has_table_privilege('line_notify.history', 'SELECT') AS everything)
SELECT a.id, a.attempt, a.started_at, a.ended_at, a.outcome, a.http_status, a.request_id, a.error
FROM me, line_notify.attempt_log a
WHERE me.everything
   OR EXISTS (SELECT FROM line_notify.outbox o WHERE o.id = a.id AND o.channel = ANY (me.channels))
   OR EXISTS (SELECT FROM line_notify.history h WHERE h.id = a.id AND h.channel = ANY (me.channels))
UNION ALL
SELECT h.id, h.attempts, h.sent_at, h.ended_at, h.outcome, h.http_status, h.request_id, h.error
FROM me, line_notify.history h
WHERE h.outcome IS NOT NULL
  AND (me.everything OR h.channel = ANY (me.channels));
COMMENT ON VIEW line_notify.attempts IS 'Every finished attempt to send a message';

--
-- 6. Webhook
--

CREATE TABLE line_notify.webhook_event (
	seq				bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
	channel			text COLLATE "C" NOT NULL,
	event_id		text NOT NULL UNIQUE,
	type			text NOT NULL,
	message_id		bigint,
	attempt			integer,
	token			bigint,
	recipient		text,
	event_at		timestamptz NOT NULL,
	received_at		timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 10000);
COMMENT ON TABLE line_notify.webhook_event IS 'Delivery events from LINE that the worker has not folded into history yet';
COMMENT ON COLUMN line_notify.webhook_event.event_id IS 'LINE''s webhookEventId, the same on redelivery';

CREATE FUNCTION line_notify.receive_webhook(channel text, body bytea, signature text) RETURNS integer
LANGUAGE c VOLATILE CALLED ON NULL INPUT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'line_notify_receive_webhook';
REVOKE ALL ON FUNCTION line_notify.receive_webhook(text, bytea, text) FROM PUBLIC;
COMMENT ON FUNCTION line_notify.receive_webhook(text, bytea, text) IS 'Check the signature of a webhook call of LINE over its raw body and keep its events; returns how many were new';

CREATE FUNCTION line_notify.receive_verified_events(channel text, body jsonb) RETURNS integer
LANGUAGE c VOLATILE CALLED ON NULL INPUT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'line_notify_receive_verified_events';
REVOKE ALL ON FUNCTION line_notify.receive_verified_events(text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION line_notify.receive_verified_events(text, jsonb) IS 'The same for a gateway that has verified the signature itself: whoever may call this decides what was delivered';

CREATE FUNCTION line_notify.grant_webhook(role regrole, verified boolean DEFAULT false) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	EXECUTE format('GRANT EXECUTE ON FUNCTION line_notify.receive_webhook(text, bytea, text) TO %s', role);
	IF verified THEN
		EXECUTE format('GRANT EXECUTE ON FUNCTION line_notify.receive_verified_events(text, jsonb) TO %s', role);
	END IF;
END
$$;
REVOKE ALL ON FUNCTION line_notify.grant_webhook(regrole, boolean) FROM PUBLIC;
COMMENT ON FUNCTION line_notify.grant_webhook(regrole, boolean) IS 'Let a role hand in webhook calls of LINE, and nothing else; verified: also events without a signature';

CREATE FUNCTION line_notify.revoke_webhook(role regrole) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	EXECUTE format('REVOKE EXECUTE ON FUNCTION line_notify.receive_webhook(text, bytea, text), line_notify.receive_verified_events(text, jsonb) FROM %s', role);
END
$$;
REVOKE ALL ON FUNCTION line_notify.revoke_webhook(regrole) FROM PUBLIC;
COMMENT ON FUNCTION line_notify.revoke_webhook(regrole) IS 'Take back what grant_webhook() gave';

--
-- Totals.  Every statement that ends messages adds a few narrow rows here, by
-- a statement trigger on history; nobody updates a common row, so a user's
-- open transaction never holds up the worker.  The worker sums them up.
--

CREATE TABLE line_notify.daily_count (
	channel			text COLLATE "C" NOT NULL,
	day				date NOT NULL,
	kind			text NOT NULL,
	aggregation_unit text,
	outcome			text NOT NULL,
	n				bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 5000);
CREATE INDEX daily_count_day ON line_notify.daily_count (channel, day);
COMMENT ON TABLE line_notify.daily_count IS 'Summands of view daily_totals; no personal data, kept when messages go';
COMMENT ON COLUMN line_notify.daily_count.day IS 'in UTC+9, as LINE counts: of the answer, or of the delivery event';

CREATE VIEW line_notify.daily_totals AS
SELECT channel, day, kind, aggregation_unit, outcome, sum(n)::bigint AS messages
FROM line_notify.daily_count
GROUP BY channel, day, kind, aggregation_unit, outcome
HAVING sum(n) <> 0;
COMMENT ON VIEW line_notify.daily_totals IS 'How many messages came to which outcome on which day (UTC+9); outlives the messages';
COMMENT ON COLUMN line_notify.daily_totals.kind IS 'template or flexible; account: follow and unfollow events';
COMMENT ON COLUMN line_notify.daily_totals.outcome IS 'accepted: LINE took it (whatever came then); the others are where it ended, delivered by the day of the event';

CREATE TABLE line_notify.minute_count (
	channel			text COLLATE "C" NOT NULL,
	minute			timestamptz NOT NULL,
	accepted		bigint NOT NULL,
	delivered		bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 5000);
CREATE INDEX minute_count_minute ON line_notify.minute_count (minute, channel);
COMMENT ON TABLE line_notify.minute_count IS 'By the minute of LINE''s answer: messages that wait for a delivery event, and those that got one; the evidence that webhooks arrive';

CREATE TABLE line_notify.sweep_mark (
	channel			text COLLATE "C" PRIMARY KEY,
	silence			timestamptz NOT NULL
);
COMMENT ON TABLE line_notify.sweep_mark IS 'How far the silence after messages has been judged';
COMMENT ON COLUMN line_notify.sweep_mark.silence IS 'messages answered before this are settled';

-- Rows of a dump are not counted a second time: they come by COPY or INSERT
-- into history itself, which nothing of ours does at the top level.
CREATE FUNCTION line_notify._is_restore() RETURNS boolean
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'line_notify_is_restore';
REVOKE ALL ON FUNCTION line_notify._is_restore() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._is_restore() IS 'is the statement that the client sent a COPY or INSERT into history';

CREATE FUNCTION line_notify._count_new() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF line_notify._is_restore() THEN
		RETURN NULL;
	END IF;
	INSERT INTO line_notify.daily_count (channel, day, kind, aggregation_unit, outcome, n)
	SELECT r.channel, (o.at AT TIME ZONE 'Asia/Tokyo')::date,
		   CASE WHEN r.template_key IS NULL THEN 'flexible' ELSE 'template' END, r.aggregation_unit, o.outcome, count(*)
	FROM new_rows r,
		 LATERAL (SELECT r.state::text, CASE WHEN r.state = 'delivered' THEN coalesce(r.delivered_at, r.ended_at) ELSE r.ended_at END
				  -- the event overtook the answer
				  UNION ALL SELECT 'accepted', r.ended_at WHERE r.state = 'delivered' AND r.outcome = 'accepted') o(outcome, at)
	GROUP BY 1, 2, 3, 4, 5;
	INSERT INTO line_notify.minute_count (channel, minute, accepted, delivered)
	SELECT r.channel, date_trunc('minute', r.ended_at), count(*), count(*) FILTER (WHERE r.state = 'delivered')
	FROM new_rows r
	WHERE r.state IN ('accepted', 'delivered') AND r.outcome = 'accepted'
	GROUP BY 1, 2;
	RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION line_notify._count_new() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._count_new() IS 'trigger: adds ended messages to daily_count and minute_count';

CREATE FUNCTION line_notify._count_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_hashjoin = on SET enable_mergejoin = on
AS $$
BEGIN
	-- accepted stays what it was; any other first word is taken back
	INSERT INTO line_notify.daily_count (channel, day, kind, aggregation_unit, outcome, n)
	SELECT a.channel, (c.at AT TIME ZONE 'Asia/Tokyo')::date,
		   CASE WHEN a.template_key IS NULL THEN 'flexible' ELSE 'template' END, a.aggregation_unit, c.outcome, sum(c.n)
	FROM new_rows a JOIN old_rows b ON b.id = a.id,
		 LATERAL (VALUES (a.state::text, CASE WHEN a.state = 'delivered' THEN coalesce(a.delivered_at, a.ended_at) ELSE a.ended_at END, 1),
						 (b.state::text, b.ended_at, -1)) c(outcome, at, n)
	WHERE a.state <> b.state AND NOT (c.n < 0 AND b.state IN ('accepted', 'delivered'))
	GROUP BY 1, 2, 3, 4, 5;
	INSERT INTO line_notify.minute_count (channel, minute, accepted, delivered)
	SELECT a.channel, date_trunc('minute', a.ended_at), 0, count(*)
	FROM new_rows a JOIN old_rows b ON b.id = a.id
	WHERE a.state = 'delivered' AND b.state <> 'delivered' AND a.outcome = 'accepted'
	GROUP BY 1, 2;
	RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION line_notify._count_changed() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._count_changed() IS 'trigger: corrects daily_count and minute_count when a message turns out otherwise';

CREATE TRIGGER count_new AFTER INSERT ON line_notify.history REFERENCING NEW TABLE AS new_rows
	FOR EACH STATEMENT EXECUTE FUNCTION line_notify._count_new();
CREATE TRIGGER count_changed AFTER UPDATE ON line_notify.history REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
	FOR EACH STATEMENT EXECUTE FUNCTION line_notify._count_changed();
-- In the order of their end, rows lie side by side.
CREATE INDEX history_ended ON line_notify.history USING brin (ended_at) WITH (pages_per_range = 16, autosummarize = on);

-- No delivery event means not delivered only if events were arriving: one for
-- another message of the channel, answered within 15 minutes of this one.
-- Otherwise the silence proves nothing, and the message stays as it is.
CREATE FUNCTION line_notify._sweep_silence(silence_after interval, OUT again boolean, OUT next_at timestamptz)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_bitmapscan = on SET enable_hashjoin = on
AS $$
DECLARE
	horizon timestamptz := clock_timestamp() - silence_after;
	c record;
	m record;
	upto timestamptz;
	ids bigint[];
BEGIN
	again := false;
	next_at := 'infinity';
	FOR c IN SELECT n.name, coalesce(s.silence, '-infinity') AS mark
			 FROM line_notify.channel n LEFT JOIN line_notify.sweep_mark s ON s.channel = n.name
	LOOP
		-- the next minute with messages that nothing was heard of
		SELECT x.minute, sum(x.accepted) > sum(x.delivered) AS silent INTO m
		FROM line_notify.minute_count x
		WHERE x.channel = c.name AND x.minute >= date_trunc('minute', c.mark) AND x.accepted > 0
		  AND x.minute + interval '1 minute' > c.mark
		GROUP BY x.minute ORDER BY x.minute LIMIT 1;
		IF NOT FOUND THEN
			CONTINUE;
		END IF;
		IF greatest(m.minute, c.mark) >= horizon THEN
			next_at := least(next_at, greatest(m.minute, c.mark) + silence_after + interval '1 second');
			CONTINUE;
		END IF;
		upto := least(m.minute + interval '1 minute', horizon);
		-- at most a minute's worth of messages in one transaction
		IF m.silent AND EXISTS (SELECT FROM line_notify.minute_count x
				   WHERE x.channel = c.name AND x.delivered > 0
					 AND x.minute BETWEEN m.minute - interval '15 minutes' AND m.minute + interval '15 minutes')
		THEN
			UPDATE line_notify.history h SET state = 'undelivered'
			WHERE h.channel = c.name AND h.state = 'accepted'
			  AND h.ended_at >= greatest(m.minute, c.mark) AND h.ended_at < upto;
		END IF;
		INSERT INTO line_notify.sweep_mark AS s (channel, silence) VALUES (c.name, upto)
		ON CONFLICT (channel) DO UPDATE SET silence = excluded.silence;
		again := true;
	END LOOP;
	IF NOT again THEN
		PERFORM line_notify._sum_up(silence_after);
	END IF;
END
$$;
REVOKE ALL ON FUNCTION line_notify._sweep_silence(interval) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._sweep_silence(interval) IS 'judges the silence after one more minute of accepted messages of each channel; says whether to go on, else when there will be more';

-- Many summands become one.  Rows that others are adding are not visible yet,
-- and stay for the next time.
CREATE FUNCTION line_notify._sum_up(keep interval) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_seqscan = on SET enable_hashjoin = on
AS $$
BEGIN
	IF (SELECT count(*) FROM (SELECT FROM line_notify.daily_count c GROUP BY c.channel, c.day, c.kind, c.aggregation_unit, c.outcome
							  HAVING count(*) > 1 LIMIT 1) x) > 0 THEN
		WITH gone AS (
			DELETE FROM line_notify.daily_count d
			WHERE (d.channel, d.day) IN (SELECT c.channel, c.day FROM line_notify.daily_count c
										 GROUP BY c.channel, c.day, c.kind, c.aggregation_unit, c.outcome HAVING count(*) > 1)
			RETURNING *)
		INSERT INTO line_notify.daily_count (channel, day, kind, aggregation_unit, outcome, n)
		SELECT channel, day, kind, aggregation_unit, outcome, sum(n) FROM gone
		GROUP BY 1, 2, 3, 4, 5 HAVING sum(n) <> 0;
	END IF;
	DELETE FROM line_notify.minute_count m WHERE m.minute < clock_timestamp() - keep - interval '1 day';
	IF (SELECT count(*) FROM (SELECT FROM line_notify.minute_count c GROUP BY c.channel, c.minute
							  HAVING count(*) > 2 LIMIT 1) x) > 0 THEN
		WITH gone AS (DELETE FROM line_notify.minute_count RETURNING *)
		INSERT INTO line_notify.minute_count (channel, minute, accepted, delivered)
		SELECT channel, minute, sum(accepted), sum(delivered) FROM gone GROUP BY 1, 2;
	END IF;
END
$$;
REVOKE ALL ON FUNCTION line_notify._sum_up(interval) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._sum_up(interval) IS 'joins summands of daily_count and minute_count';

--
-- 7. Health, stats, workers
--

CREATE FUNCTION line_notify._workers(OUT database oid, OUT state text, OUT pid integer, OUT generation bigint,
	OUT started_at timestamptz, OUT restarts integer, OUT next_due timestamptz, OUT in_flight integer, OUT last_error text)
RETURNS SETOF record
LANGUAGE c VOLATILE ROWS 10 AS 'MODULE_PATHNAME', 'line_notify_workers';
REVOKE ALL ON FUNCTION line_notify._workers() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._workers() IS 'rows of view workers, from shared memory';

CREATE VIEW line_notify.workers AS
SELECT d.datname AS database, w.state, w.pid, w.generation, w.started_at, w.restarts, w.next_due, w.in_flight, w.last_error
FROM line_notify._workers() w LEFT JOIN pg_catalog.pg_database d ON d.oid = w.database;
COMMENT ON VIEW line_notify.workers IS 'The launcher (no database) and the delivery worker of each database of this cluster';
GRANT SELECT ON line_notify.workers TO pg_monitor;

CREATE FUNCTION line_notify._preload_state() RETURNS text
LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'line_notify_preload_state';
REVOKE ALL ON FUNCTION line_notify._preload_state() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._preload_state() IS 'not preloaded, no launcher, disabled or ok';

CREATE FUNCTION line_notify.health(OUT severity text, OUT subject text, OUT reason text, OUT hint text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	c record;
	w record;
	here bigint := line_notify._local_home();
	n bigint;
BEGIN
	subject := 'server';
	severity := 'error';
	CASE line_notify._preload_state()
		WHEN 'not preloaded' THEN
			reason := 'line_notify is not in shared_preload_libraries: nothing is sent';
			hint := 'Add line_notify to shared_preload_libraries in postgresql.conf and restart the server.';
			RETURN NEXT;
		WHEN 'disabled' THEN
			reason := 'sending is switched off by line_notify.enabled';
			hint := 'Set line_notify.enabled = on and reload the configuration.';
			RETURN NEXT;
		WHEN 'no launcher' THEN
			IF NOT pg_is_in_recovery() THEN
				reason := 'the launcher is not running';
				hint := 'It restarts by itself within seconds; see the server log, and max_worker_processes.';
				RETURN NEXT;
			END IF;
		ELSE NULL;
	END CASE;
	IF pg_is_in_recovery() THEN
		severity := 'info';
		reason := 'this server is a standby: it sends nothing until it is promoted';
		hint := NULL;
		RETURN NEXT;
	END IF;

	FOR w IN SELECT * FROM line_notify._workers() x
			 WHERE x.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
			   AND x.state NOT IN ('running', 'idle')
	LOOP
		severity := 'warning';
		subject := 'worker';
		reason := CASE w.state
			WHEN 'no slot' THEN 'no free background worker slot'
			WHEN 'backoff' THEN 'the worker stopped with an error and is started again after a pause'
			WHEN 'held' THEN 'the worker stepped aside for a command on this database'
			WHEN 'version' THEN 'library and extension versions do not match'
			ELSE 'the worker is ' || w.state END || coalesce(': ' || nullif(w.last_error, ''), '');
		hint := CASE w.state
			WHEN 'no slot' THEN 'You may need to increase "max_worker_processes".'
			WHEN 'version' THEN format('Run ALTER EXTENSION line_notify UPDATE in database "%s", or restart the server after an upgrade of the package.', current_database())
			END;
		IF w.state IN ('no slot', 'version') THEN
			severity := 'error';
		END IF;
		RETURN NEXT;
	END LOOP;

	IF NOT EXISTS (SELECT FROM line_notify.channel) THEN
		severity := 'info';
		subject := 'channels';
		reason := 'there is no channel yet';
		hint := 'SELECT line_notify.create_channel(''name'', line_channel_id => ''...'');';
		RETURN NEXT;
	END IF;
	FOR c IN SELECT * FROM line_notify.channel x ORDER BY x.name
	LOOP
		subject := format('channel %s', c.name);
		IF c.home IS DISTINCT FROM here THEN
			severity := 'error';
			reason := format('disarmed: this database or node ("%s") is not where the channel was armed (%s)', line_notify._node(),
				coalesce((SELECT 'nodes ' || array_to_string(i.nodes, ', ') FROM line_notify.identity i WHERE i.home = c.home), 'unknown'));
			hint := 'If messages shall be sent from here, and no longer from there, run SELECT line_notify.arm();';
			RETURN NEXT;
		END IF;
		IF c.paused_at IS NOT NULL THEN
			severity := 'error';
			reason := 'paused: ' || coalesce(c.pause_reason, 'by an operator');
			hint := format('When the cause is mended: SELECT line_notify.resume(%L);', c.name);
			RETURN NEXT;
		END IF;
		IF NOT EXISTS (SELECT FROM line_notify.credential k WHERE k.channel = c.name AND k.kind IN ('access_token', 'client_secret', 'jwt_key')) THEN
			severity := 'error';
			reason := 'no credential to send with';
			hint := format('SELECT line_notify.set_credential(%L, ''access_token'', ''file:/path'');', c.name);
			RETURN NEXT;
		END IF;
		SELECT 'error', format('no access token since %s: %s', date_trunc('second', t.since), t.error),
			format('It is asked for again by itself, every minute at least; SELECT * FROM line_notify.check_channel(%L) tries each step now.', c.name)
		INTO severity, reason, hint
		FROM line_notify.token_status t WHERE t.channel = c.name;
		IF FOUND THEN
			RETURN NEXT;
		END IF;
		-- accepted messages of the last day around which no event came
		SELECT 'warning', format('no delivery event came for %s messages that LINE accepted between %s and %s', sum(q.accepted),
				to_char(min(q.minute), 'YYYY-MM-DD HH24:MI'), to_char(max(q.minute), 'YYYY-MM-DD HH24:MI TZ')),
			'Check that LINE''s webhook reaches line_notify.receive_webhook(). Without events these messages stay accepted.'
		INTO severity, reason, hint
		FROM line_notify.minute_count q
		WHERE q.channel = c.name AND q.minute < clock_timestamp() - interval '16 minutes'
		  AND q.minute > clock_timestamp() - interval '25 hours'
		  AND NOT EXISTS (SELECT FROM line_notify.minute_count e
						  WHERE e.channel = c.name AND e.delivered > 0
							AND e.minute BETWEEN q.minute - interval '15 minutes' AND q.minute + interval '15 minutes')
		HAVING sum(q.accepted) > 0;
		IF FOUND THEN
			RETURN NEXT;
		END IF;
		SELECT count(*) INTO n FROM line_notify.history h
		WHERE h.channel = c.name AND h.state = 'unknown' AND h.ended_at > clock_timestamp() - interval '1 hour';
		IF n > 0 THEN
			severity := 'warning';
			reason := format('%s messages of the last hour ended as unknown: sent, and no answer came', n);
			hint := 'The delivery webhook settles them; line_notify.redrive(..., allow_duplicates => true) sends again.';
			RETURN NEXT;
		END IF;
	END LOOP;
END
$$;
REVOKE ALL ON FUNCTION line_notify.health() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION line_notify.health() TO pg_monitor;
COMMENT ON FUNCTION line_notify.health() IS 'Everything that stops or slows delivery, with what to do; no row = all is well';

--
-- 8. Verbs
--

CREATE FUNCTION line_notify.pause(channel text, reason text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	UPDATE line_notify.channel c SET paused_at = clock_timestamp(),
		pause_reason = format('%s (%s)', coalesce(pause.reason, 'by an operator'), session_user)
	WHERE c.name = pause.channel;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING ERRCODE = 'undefined_object',
			MESSAGE = format('channel "%s" does not exist', pause.channel);
	END IF;
END
$$;
REVOKE ALL ON FUNCTION line_notify.pause(text, text) FROM PUBLIC;
COMMENT ON FUNCTION line_notify.pause(text, text) IS 'Stop sending through a channel; what is on the wire ends normally';

CREATE FUNCTION line_notify.resume(channel text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	UPDATE line_notify.channel c SET paused_at = NULL, pause_reason = NULL WHERE c.name = resume.channel;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING ERRCODE = 'undefined_object',
			MESSAGE = format('channel "%s" does not exist', resume.channel);
	END IF;
END
$$;
REVOKE ALL ON FUNCTION line_notify.resume(text) FROM PUBLIC;
COMMENT ON FUNCTION line_notify.resume(text) IS 'Send through a paused channel again';

--
-- 9. Registration for dump
--

SELECT pg_catalog.pg_extension_config_dump('line_notify.identity', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.channel', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.sender', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.outbox', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.in_flight', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.history', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.attempt_log', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.webhook_event', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.daily_count', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.minute_count', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.sweep_mark', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.outbox_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.webhook_event_seq_seq', '');

-- A worker for this database starts when the transaction commits.
CREATE FUNCTION line_notify._wake() RETURNS void
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'line_notify_wake';
REVOKE ALL ON FUNCTION line_notify._wake() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._wake() IS 'at commit, starts or wakes the worker of this database';
SELECT line_notify._wake();
