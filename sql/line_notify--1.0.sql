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
	-- as approval.c says at INSERT
	IF ($3 IS NOT NULL OR $1 = 'flexible') AND EXISTS (SELECT FROM line_notify.approval a WHERE a.channel = $4) THEN
		RETURN QUERY
		SELECT 'error', 'use_case', x.rule, x.message
		FROM (SELECT (SELECT a.status FROM line_notify.approval a WHERE a.channel = $4 AND a.use_case = $3) AS status) s,
			 LATERAL (VALUES ('use_case_not_approved', 'is not approved for the channel', s.status IS NULL),
							 ('use_case_suspended', 'is suspended', s.status = 'suspended')) AS x (rule, message, applies)
		WHERE x.applies;
	END IF;
	IF $1 = 'flexible' AND EXISTS (SELECT FROM line_notify.design d WHERE d.channel = $4 AND d.use_case = $3)
		AND NOT EXISTS (SELECT FROM line_notify.design d
						WHERE d.channel = $4 AND d.use_case = $3 AND d.status = 'approved'
						  AND line_notify.design_mismatch($2 -> 'messages', d.skeleton) IS NULL)
	THEN
		RETURN QUERY
		SELECT 'error', coalesce(max(line_notify.design_mismatch($2 -> 'messages', d.skeleton)), 'messages'),
			   'design_not_approved', 'matches no approved design of the use case'
		FROM line_notify.design d
		WHERE d.channel = $4 AND d.use_case = $3 AND d.status = 'approved';
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
	armed_by		name NOT NULL DEFAULT session_user,
	timeline		integer,
	synchronous		boolean NOT NULL DEFAULT false,
	doubt_before	timestamptz,
	doubt_until		timestamptz
);
COMMENT ON TABLE line_notify.identity IS 'Places that may send: cluster, database and node names; written by create_channel() and arm()';
COMMENT ON COLUMN line_notify.identity.home IS 'random number carried by channels and rows that belong here';
COMMENT ON COLUMN line_notify.identity.system_identifier IS 'the cluster, as in pg_control_system()';
COMMENT ON COLUMN line_notify.identity.database IS 'oid of the database: a template copy has another';
COMMENT ON COLUMN line_notify.identity.timeline IS 'timeline that was last sent from: another one now means that a standby was promoted';
COMMENT ON COLUMN line_notify.identity.synchronous IS 'every claim on it waited for a standby';
COMMENT ON COLUMN line_notify.identity.doubt_before IS 'messages due before may have been sent by the server before the promotion';
COMMENT ON COLUMN line_notify.identity.doubt_until IS 'until then they wait for delivery events; see setting promotion_grace';
COMMENT ON COLUMN line_notify.identity.nodes IS 'values of line_notify.node that may send: a base backup started on another host is not among them';

CREATE TABLE line_notify.channel (
	name			text COLLATE "C" PRIMARY KEY
					CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$'),
	home			bigint NOT NULL,
	api_base		text NOT NULL DEFAULT 'https://api.line.me'
					CHECK (api_base ~ '^(https://[A-Za-z0-9.-]+|http://(127\.0\.0\.1|localhost|\[::1\]))(:[0-9]{1,5})?$'),
	line_channel_id text CHECK (line_channel_id ~ '^[0-9A-Za-z_-]{1,64}$'),
	region			text NOT NULL DEFAULT 'JP',
	rate_limit		integer NOT NULL DEFAULT 2000 CHECK (rate_limit BETWEEN 1 AND 100000),
	max_in_flight	integer NOT NULL DEFAULT 400 CHECK (max_in_flight BETWEEN 1 AND 10000),
	default_ttl		interval NOT NULL DEFAULT '24 hours' CHECK (default_ttl > '0' AND default_ttl <= '3660 days'),
	confirm_within	interval CHECK (confirm_within BETWEEN '1 second' AND '24 hours'),
	on_invalid		text NOT NULL DEFAULT 'park' CHECK (on_invalid IN ('park', 'error')),
	on_unknown		text NOT NULL DEFAULT 'hold' CHECK (on_unknown IN ('hold', 'retry')),
	on_server_error	text NOT NULL DEFAULT 'hold' CHECK (on_server_error IN ('hold', 'retry')),
	max_attempts	integer CHECK (max_attempts BETWEEN 1 AND 10000),
	backoff_base	interval NOT NULL DEFAULT '1 second' CHECK (backoff_base BETWEEN '10 milliseconds' AND '1 hour'),
	backoff_cap		interval NOT NULL DEFAULT '5 minutes' CHECK (backoff_cap BETWEEN '10 milliseconds' AND '1 day'),
	connect_timeout	interval NOT NULL DEFAULT '5 seconds' CHECK (connect_timeout BETWEEN '10 milliseconds' AND '5 minutes'),
	total_timeout	interval NOT NULL DEFAULT '20 seconds' CHECK (total_timeout BETWEEN '10 milliseconds' AND '10 minutes'),
	use_case_required boolean NOT NULL DEFAULT true,
	settle_window	interval NOT NULL DEFAULT '2 minutes' CHECK (settle_window BETWEEN '0' AND '1 day'),
	dedup_window	interval NOT NULL DEFAULT '30 days' CHECK (dedup_window BETWEEN '1 second' AND '3660 days'),
	on_duplicate	text NOT NULL DEFAULT 'ignore' CHECK (on_duplicate IN ('ignore', 'replace')),
	time_zone		text NOT NULL DEFAULT 'Asia/Tokyo',
	quiet_hours		text CHECK (quiet_hours ~ '^([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]$' AND left(quiet_hours, 5) <> right(quiet_hours, 5)),
	daily_budget	integer CHECK (daily_budget > 0),
	only_recipients	text[] CHECK (array_to_string(only_recipients, ',', '?') ~ '^([0-9a-f]{64}(,|$))*$'),
	catalogue_only	boolean NOT NULL DEFAULT false,
	proxy			text CHECK (proxy ~ '^https?://[A-Za-z0-9.\[\]:-]+$'),
	ca_file			text CHECK (ca_file ~ '^/[[:print:]]+$'),
	paused_at		timestamptz,
	pause_reason	text,
	pause_automatic	boolean NOT NULL DEFAULT false,
	created_at		timestamptz NOT NULL DEFAULT clock_timestamp(),
	CONSTRAINT rate_limit_of_line CHECK (rate_limit <= 2000 OR api_base <> 'https://api.line.me')
);
COMMENT ON TABLE line_notify.channel IS 'One row per LINE Messaging API channel; changed by create_channel(), alter_channel(), drop_channel(); read through view channels';
COMMENT ON COLUMN line_notify.channel.home IS 'identity this channel was armed for; see arm()';
COMMENT ON COLUMN line_notify.channel.line_channel_id IS 'LINE''s channel ID: identity of the rate limit, which outlives tokens';
COMMENT ON COLUMN line_notify.channel.confirm_within IS 'outcome unconfirmed for take_outcomes() when no delivery event came so soon after LINE accepted a message; NULL = never';
COMMENT ON COLUMN line_notify.channel.rate_limit IS 'our share of LINE''s 2,000 requests a second per endpoint';
COMMENT ON COLUMN line_notify.channel.settle_window IS 'on_unknown, on_server_error = retry: how long to wait for the delivery event first';
COMMENT ON COLUMN line_notify.channel.dedup_window IS 'how long a dedup_key stays taken';
COMMENT ON COLUMN line_notify.channel.on_duplicate IS 'second message with a dedup_key: ignore it, or replace the first while that is queued';
COMMENT ON COLUMN line_notify.channel.time_zone IS 'for quiet_hours and the day of daily_budget';
COMMENT ON COLUMN line_notify.channel.quiet_hours IS 'nothing is sent in these hours of the day, e.g. 21:00-08:00';
COMMENT ON COLUMN line_notify.channel.daily_budget IS 'most messages a day that LINE may have accepted; what comes after waits for the next day';
COMMENT ON COLUMN line_notify.channel.only_recipients IS 'hashes of the only people that may be sent to, for staging; messages to others become suppressed';
COMMENT ON COLUMN line_notify.channel.catalogue_only IS 'template messages may only use keys that template_catalogue lists for the region';
COMMENT ON COLUMN line_notify.channel.pause_automatic IS 'paused by the worker, which may resume it when the cause is gone; an operator''s pause only ends by resume()';
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

-- Faults that concern one endpoint, or one template, of a channel.  What
-- waits behind them is set aside (due_at infinity), so that it does not stand
-- in the way of the rest.
CREATE TABLE line_notify.partial_pause (
	channel			text COLLATE "C" NOT NULL REFERENCES line_notify.channel ON DELETE CASCADE,
	scope			text NOT NULL CHECK (scope IN ('endpoint', 'template', 'design', 'use_case')),
	subject			text NOT NULL CHECK (scope <> 'endpoint' OR subject IN ('template', 'flexible')),
	reason			text NOT NULL,
	paused_at		timestamptz NOT NULL DEFAULT clock_timestamp(),
	PRIMARY KEY (channel, scope, subject)
);
COMMENT ON TABLE line_notify.partial_pause IS 'Parts of a channel that are paused: endpoints (template or flexible messages), templates and designs that LINE refuses, what an operator named; resume() deletes';
COMMENT ON COLUMN line_notify.partial_pause.scope IS 'endpoint; template = one template_key; design = the flexible messages of one use case, which LINE refuses; use_case = every message of one, by pause()';
COMMENT ON COLUMN line_notify.partial_pause.subject IS 'template or flexible; a template_key; a use case (empty = none)';

CREATE TABLE line_notify.daily_sent (
	channel			text COLLATE "C" NOT NULL,
	day				date NOT NULL,
	sent			bigint NOT NULL,
	PRIMARY KEY (channel, day)
) WITH (fillfactor = 50);
COMMENT ON TABLE line_notify.daily_sent IS 'Messages that LINE accepted or may have accepted, by day of the channel''s time zone: what daily_budget is compared with';

-- Backends and workers keep channels in memory; a change reaches them at commit.
CREATE FUNCTION line_notify._configuration_changed() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'line_notify_configuration_changed';
REVOKE ALL ON FUNCTION line_notify._configuration_changed() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._configuration_changed() IS 'trigger: tells caches and the worker at commit';

CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON line_notify.channel
	FOR EACH STATEMENT EXECUTE FUNCTION line_notify._configuration_changed();
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON line_notify.partial_pause
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
	confirm_within interval DEFAULT NULL,
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
	ca_file text DEFAULT NULL,
	settle_window interval DEFAULT NULL,
	dedup_window interval DEFAULT NULL,
	on_duplicate text DEFAULT NULL,
	time_zone text DEFAULT NULL,
	quiet_hours text DEFAULT NULL,
	daily_budget integer DEFAULT NULL,
	only_recipients text[] DEFAULT NULL,
	catalogue_only boolean DEFAULT NULL)
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
		confirm_within => create_channel.confirm_within,
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
		ca_file => create_channel.ca_file,
		settle_window => create_channel.settle_window,
		dedup_window => create_channel.dedup_window,
		on_duplicate => create_channel.on_duplicate,
		time_zone => create_channel.time_zone,
		quiet_hours => create_channel.quiet_hours,
		daily_budget => create_channel.daily_budget,
		only_recipients => create_channel.only_recipients,
		catalogue_only => create_channel.catalogue_only);
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
	confirm_within interval DEFAULT NULL,
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
	ca_file text DEFAULT NULL,
	settle_window interval DEFAULT NULL,
	dedup_window interval DEFAULT NULL,
	on_duplicate text DEFAULT NULL,
	time_zone text DEFAULT NULL,
	quiet_hours text DEFAULT NULL,
	daily_budget integer DEFAULT NULL,
	only_recipients text[] DEFAULT NULL,
	catalogue_only boolean DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	allowed text[];
	stranger integer;
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
	IF alter_channel.time_zone IS NOT NULL AND
		NOT EXISTS (SELECT FROM pg_timezone_names z WHERE z.name = alter_channel.time_zone)
	THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = format('time zone "%s" not recognized', alter_channel.time_zone),
			HINT = 'View pg_timezone_names lists them; abbreviations are not accepted.';
	END IF;

	-- numbers are for people to write, hashes are what is kept
	SELECT array_agg(h.hash ORDER BY h.n), min(h.n) FILTER (WHERE h.hash IS NULL)
	INTO allowed, stranger
	FROM (SELECT u.n, CASE WHEN u.x ~ '^[0-9a-f]{64}$' THEN u.x
					  ELSE encode(sha256(convert_to(line_notify.normalize_phone(u.x,
						coalesce(alter_channel.region, (SELECT c.region FROM line_notify.channel c WHERE c.name = alter_channel.name))), 'UTF8')), 'hex') END AS hash
		  FROM unnest(alter_channel.only_recipients) WITH ORDINALITY AS u(x, n)) h;
	IF stranger IS NOT NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = format('only_recipients has an invalid phone number at position %s', stranger);
	END IF;

	UPDATE line_notify.channel c SET
		api_base = coalesce(alter_channel.api_base, c.api_base),
		line_channel_id = coalesce(alter_channel.line_channel_id, c.line_channel_id),
		region = upper(coalesce(alter_channel.region, c.region)),
		rate_limit = coalesce(alter_channel.rate_limit, c.rate_limit),
		max_in_flight = coalesce(alter_channel.max_in_flight, c.max_in_flight),
		default_ttl = coalesce(alter_channel.default_ttl, c.default_ttl),
		confirm_within = nullif(coalesce(alter_channel.confirm_within, c.confirm_within), '0'),
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
		ca_file = nullif(coalesce(alter_channel.ca_file, c.ca_file), ''),
		settle_window = coalesce(alter_channel.settle_window, c.settle_window),
		dedup_window = coalesce(alter_channel.dedup_window, c.dedup_window),
		on_duplicate = coalesce(alter_channel.on_duplicate, c.on_duplicate),
		time_zone = coalesce(alter_channel.time_zone, c.time_zone),
		quiet_hours = nullif(coalesce(alter_channel.quiet_hours, c.quiet_hours), ''),
		daily_budget = nullif(coalesce(alter_channel.daily_budget, c.daily_budget), 0),
		only_recipients = CASE WHEN alter_channel.only_recipients IS NULL THEN c.only_recipients ELSE allowed END,
		catalogue_only = coalesce(alter_channel.catalogue_only, c.catalogue_only)
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
COMMENT ON FUNCTION line_notify.alter_channel IS 'Change settings of a channel; NULL leaves a setting as it is; '''' clears proxy, ca_file and quiet_hours, 0 clears max_attempts, daily_budget and confirm_within, {} clears only_recipients';

CREATE FUNCTION line_notify.drop_channel(name text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	-- whoever is just inserting into it is waited for
	LOCK TABLE line_notify.outbox IN SHARE ROW EXCLUSIVE MODE;
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
		IF NOT (line_notify._caller_is_superuser() OR pg_has_role(line_notify._caller(), 'pg_read_server_files', 'USAGE')) THEN
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
	IF set_credential.kind = 'channel_secret' AND set_credential.value IS NOT NULL THEN
		INSERT INTO line_notify.credential (channel, kind, value)
		SELECT c.channel, 'previous_channel_secret', c.value FROM line_notify.credential c
		WHERE c.channel = set_credential.channel AND c.kind = 'channel_secret'
		  AND c.value IS DISTINCT FROM set_credential.value
		ON CONFLICT (channel, kind) DO UPDATE SET value = excluded.value, set_at = clock_timestamp(), set_by = session_user;
	END IF;

	IF set_credential.value IS NULL THEN
		-- a secret that is taken away is not to live on as the previous one
		DELETE FROM line_notify.credential c
		WHERE c.channel = set_credential.channel
		  AND (c.kind = set_credential.kind OR set_credential.kind = 'channel_secret' AND c.kind = 'previous_channel_secret');
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

CREATE FUNCTION line_notify._quiet_until(quiet_hours text, time_zone text, at timestamptz) RETURNS timestamptz
LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'line_notify_quiet_until';
GRANT EXECUTE ON FUNCTION line_notify._quiet_until(text, text, timestamptz) TO PUBLIC;	-- pure, used in views
COMMENT ON FUNCTION line_notify._quiet_until(text, text, timestamptz) IS 'end of the quiet hours that a moment lies in, or NULL';

CREATE FUNCTION line_notify._paused_part(scope text, subject text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
	SELECT CASE scope
		WHEN 'endpoint' THEN subject || ' messages'
		WHEN 'template' THEN 'messages of template ' || subject
		WHEN 'design' THEN 'flexible messages of ' || coalesce('use case ' || nullif(subject, ''), 'no use case')
		ELSE 'messages of use case ' || subject END
$$;
GRANT EXECUTE ON FUNCTION line_notify._paused_part(text, text) TO PUBLIC;	-- pure, used in views
COMMENT ON FUNCTION line_notify._paused_part(text, text) IS 'what a row of partial_pause stops, in words';

CREATE VIEW line_notify.channels AS
SELECT c.name, c.api_base, c.line_channel_id, c.region, c.rate_limit, c.max_in_flight,
	   c.default_ttl, c.confirm_within, c.on_invalid, c.on_unknown, c.on_server_error, c.max_attempts,
	   c.backoff_base, c.backoff_cap, c.connect_timeout, c.total_timeout,
	   c.use_case_required, c.proxy, c.ca_file,
	   c.settle_window, c.dedup_window, c.on_duplicate, c.time_zone, c.quiet_hours, c.daily_budget,
	   coalesce((SELECT d.sent FROM line_notify.daily_sent d
				 WHERE d.channel = c.name AND d.day = (clock_timestamp() AT TIME ZONE c.time_zone)::date), 0) AS sent_today,
	   cardinality(c.only_recipients) AS only_recipients, c.catalogue_only,
	   line_notify._quiet_until(c.quiet_hours, c.time_zone, clock_timestamp()) AS quiet_until,
	   c.home IS NOT DISTINCT FROM (SELECT line_notify._local_home()) AS armed,
	   c.paused_at IS NOT NULL OR p.reasons IS NOT NULL AS paused,
	   coalesce(c.pause_reason, p.reasons) AS pause_reason, c.pause_automatic,
	   coalesce(c.paused_at, p.paused_at) AS paused_at,
	   ARRAY(SELECT k.kind FROM line_notify.credential k WHERE k.channel = c.name ORDER BY k.kind) AS credentials,
	   c.created_at
FROM line_notify.channel c
CROSS JOIN LATERAL (
	SELECT string_agg(format('%s: %s', line_notify._paused_part(x.scope, x.subject), x.reason), '; ' ORDER BY x.paused_at) AS reasons,
		   min(x.paused_at) AS paused_at
	FROM line_notify.partial_pause x WHERE x.channel = c.name) p;
COMMENT ON VIEW line_notify.channels IS 'Channels with their settings; never a secret';
COMMENT ON COLUMN line_notify.channels.paused IS 'the channel, or an endpoint, template or design of it; pause_reason says which';
COMMENT ON COLUMN line_notify.channels.sent_today IS 'messages that LINE accepted or may have accepted, compared with daily_budget';
COMMENT ON COLUMN line_notify.channels.only_recipients IS 'length of the allow-list, NULL = none';
COMMENT ON COLUMN line_notify.channels.quiet_until IS 'end of the quiet hours it is in, or NULL';

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
				   ' batch, dedup_key, on_duplicate, order_key, reference, policy), SELECT (id) ON line_notify.outbox TO %s', grant_sender.role);
	EXECUTE format('GRANT SELECT ON line_notify.notifications, line_notify.attempts, line_notify.batches TO %s', grant_sender.role);
	EXECUTE format('GRANT EXECUTE ON FUNCTION line_notify._viewer, line_notify._hold_ups, line_notify.take_outcomes, line_notify.wait_for TO %s', grant_sender.role);
	EXECUTE format('GRANT EXECUTE ON FUNCTION line_notify.enqueue(text, line_notify.use_case, text, jsonb, jsonb, text, jsonb), line_notify._duplicate_of(),'
				   ' line_notify.signed_link(text, text, interval) TO %s', grant_sender.role);
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
		EXECUTE format('REVOKE ALL ON line_notify.outbox, line_notify.notifications, line_notify.attempts, line_notify.batches FROM %s', revoke_sender.role);
		EXECUTE format('REVOKE ALL ON FUNCTION line_notify._viewer, line_notify._hold_ups, line_notify.take_outcomes, line_notify.wait_for FROM %s', revoke_sender.role);
		-- what another duty of the role gives too must stay
		IF line_notify._has_grant(revoke_sender.role, 'cancel') THEN
			PERFORM line_notify._grant_duty('operator', revoke_sender.role, true);
		ELSIF line_notify._has_grant(revoke_sender.role, 'find_notifications') THEN
			PERFORM line_notify._grant_duty('support', revoke_sender.role, true);
		END IF;
		EXECUTE format('REVOKE INSERT (channel, phone, region, recipient, use_case, template_key, body, messages,'
					   ' notification_disabled, aggregation_unit, priority, send_after, spread, expires_at,'
					   ' batch, dedup_key, on_duplicate, order_key, reference, policy), SELECT (id) ON line_notify.outbox FROM %s', revoke_sender.role);
		EXECUTE format('REVOKE ALL ON FUNCTION line_notify.enqueue(text, line_notify.use_case, text, jsonb, jsonb, text, jsonb), line_notify._duplicate_of(),'
					   ' line_notify.signed_link(text, text, interval) FROM %s', revoke_sender.role);
	END IF;
END
$$;
REVOKE ALL ON FUNCTION line_notify.revoke_sender(regrole, text[]) FROM PUBLIC;
COMMENT ON FUNCTION line_notify.revoke_sender(regrole, text[]) IS 'Take back what grant_sender() gave';

-- Approvals.  A channel without any row here has not told what was approved,
-- and may send everything; from the first row on, what is not listed is refused.
CREATE TABLE line_notify.approval (
	channel			text COLLATE "C" NOT NULL REFERENCES line_notify.channel ON DELETE CASCADE,
	use_case		line_notify.use_case NOT NULL,
	status			text COLLATE "C" NOT NULL DEFAULT 'approved' CHECK (status IN ('approved', 'suspended')),
	reviewed_on		date,
	reference		text,
	changed_at		timestamptz NOT NULL DEFAULT clock_timestamp(),
	changed_by		name NOT NULL DEFAULT session_user,
	PRIMARY KEY (channel, use_case)
);
REVOKE ALL ON line_notify.approval FROM PUBLIC;
COMMENT ON TABLE line_notify.approval IS 'Use cases that LINE approved for a channel; changed by set_approval() and drop_approval(), read through view approvals';
COMMENT ON COLUMN line_notify.approval.channel IS 'whose approval it is';
COMMENT ON COLUMN line_notify.approval.use_case IS 'the reviewed purpose';
COMMENT ON COLUMN line_notify.approval.status IS 'approved, or suspended: new messages are refused';
COMMENT ON COLUMN line_notify.approval.reviewed_on IS 'day of LINE''s answer';
COMMENT ON COLUMN line_notify.approval.reference IS 'where the review can be found: number, address, mail';
COMMENT ON COLUMN line_notify.approval.changed_at IS 'when the row was last changed';
COMMENT ON COLUMN line_notify.approval.changed_by IS 'who changed it';

CREATE TABLE line_notify.design (
	channel			text COLLATE "C" NOT NULL REFERENCES line_notify.channel ON DELETE CASCADE,
	name			text COLLATE "C" NOT NULL CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$'),
	use_case		line_notify.use_case NOT NULL,
	skeleton		jsonb NOT NULL,
	status			text COLLATE "C" NOT NULL DEFAULT 'approved' CHECK (status IN ('approved', 'suspended')),
	reviewed_on		date,
	reference		text,
	changed_at		timestamptz NOT NULL DEFAULT clock_timestamp(),
	changed_by		name NOT NULL DEFAULT session_user,
	PRIMARY KEY (channel, name)
);
REVOKE ALL ON line_notify.design FROM PUBLIC;
COMMENT ON TABLE line_notify.design IS 'Designs that LINE approved for the flexible messages of a use case, which must match one of them once there is one; changed by set_design() and drop_design(), read through view designs';
COMMENT ON COLUMN line_notify.design.channel IS 'whose design it is';
COMMENT ON COLUMN line_notify.design.name IS 'name for people';
COMMENT ON COLUMN line_notify.design.use_case IS 'the use case it was reviewed for';
COMMENT ON COLUMN line_notify.design.skeleton IS 'messages with places: {name} in a string is any text; in arrays {"{optional}": element} and {"{repeat}": element}; doubled braces stand for themselves';
COMMENT ON COLUMN line_notify.design.status IS 'approved, or suspended: new messages of this design are refused';
COMMENT ON COLUMN line_notify.design.reviewed_on IS 'day of LINE''s answer';
COMMENT ON COLUMN line_notify.design.reference IS 'where the review can be found: number, address, mail';
COMMENT ON COLUMN line_notify.design.changed_at IS 'when the row was last changed';
COMMENT ON COLUMN line_notify.design.changed_by IS 'who changed it';

CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON line_notify.approval
	FOR EACH STATEMENT EXECUTE FUNCTION line_notify._configuration_changed();
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON line_notify.design
	FOR EACH STATEMENT EXECUTE FUNCTION line_notify._configuration_changed();
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON line_notify.template_catalogue
	FOR EACH STATEMENT EXECUTE FUNCTION line_notify._configuration_changed();

CREATE FUNCTION line_notify.design_mismatch(messages jsonb, skeleton jsonb) RETURNS text
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'line_notify_design_mismatch';
COMMENT ON FUNCTION line_notify.design_mismatch(jsonb, jsonb) IS 'where messages differ from a design, NULL when they match it';
GRANT EXECUTE ON FUNCTION line_notify.design_mismatch(jsonb, jsonb) TO PUBLIC;

CREATE FUNCTION line_notify._design_fault(skeleton jsonb) RETURNS text
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'line_notify_design_fault';
REVOKE ALL ON FUNCTION line_notify._design_fault(jsonb) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._design_fault(jsonb) IS 'what is wrong with a design, or NULL';

CREATE FUNCTION line_notify.set_approval(
	channel text,
	use_case line_notify.use_case,
	status text DEFAULT 'approved',
	reviewed_on date DEFAULT NULL,
	reference text DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	IF set_approval.channel IS NULL OR set_approval.use_case IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'null_value_not_allowed',
			MESSAGE = 'channel and use case of an approval must not be null';
	END IF;
	IF set_approval.status IS NULL OR set_approval.status NOT IN ('approved', 'suspended') THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = format('unknown status: "%s"', set_approval.status),
			HINT = 'Use approved or suspended; drop_approval() removes an approval.';
	END IF;
	IF NOT EXISTS (SELECT FROM line_notify.channel c WHERE c.name = set_approval.channel) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_object',
			MESSAGE = format('channel "%s" does not exist', set_approval.channel);
	END IF;
	INSERT INTO line_notify.approval AS a (channel, use_case, status, reviewed_on, reference)
	VALUES (set_approval.channel, set_approval.use_case, set_approval.status, set_approval.reviewed_on, set_approval.reference)
	ON CONFLICT (channel, use_case) DO UPDATE SET
		status = excluded.status,
		reviewed_on = coalesce(excluded.reviewed_on, a.reviewed_on),
		reference = coalesce(excluded.reference, a.reference),
		changed_at = clock_timestamp(), changed_by = session_user;
END
$$;
REVOKE ALL ON FUNCTION line_notify.set_approval(text, line_notify.use_case, text, date, text) FROM PUBLIC;
COMMENT ON FUNCTION line_notify.set_approval(text, line_notify.use_case, text, date, text) IS 'Note that LINE approved (or suspended) a use case of a channel; from the first one on, other use cases are refused';

CREATE FUNCTION line_notify.drop_approval(channel text, use_case line_notify.use_case) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	DELETE FROM line_notify.approval a
	WHERE a.channel = drop_approval.channel AND a.use_case = drop_approval.use_case;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_object',
			MESSAGE = format('channel "%s" has no approval of %s', drop_approval.channel, drop_approval.use_case);
	END IF;
END
$$;
REVOKE ALL ON FUNCTION line_notify.drop_approval(text, line_notify.use_case) FROM PUBLIC;
COMMENT ON FUNCTION line_notify.drop_approval(text, line_notify.use_case) IS 'Forget an approval; with the last one, the channel may send every use case again';

CREATE FUNCTION line_notify.set_design(
	channel text,
	name text,
	use_case line_notify.use_case,
	skeleton jsonb,
	status text DEFAULT 'approved',
	reviewed_on date DEFAULT NULL,
	reference text DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	fault text := line_notify._design_fault(set_design.skeleton);
BEGIN
	IF set_design.channel IS NULL OR set_design.use_case IS NULL OR set_design.skeleton IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'null_value_not_allowed',
			MESSAGE = 'channel, use case and skeleton of a design must not be null';
	END IF;
	IF set_design.status IS NULL OR set_design.status NOT IN ('approved', 'suspended') THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = format('unknown status: "%s"', set_design.status),
			HINT = 'Use approved or suspended; drop_design() removes a design.';
	END IF;
	IF set_design.name IS NULL OR set_design.name !~ '^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$' THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'invalid name of a design',
			DETAIL = 'A name has 1 to 63 letters, digits, "_", "-" or "." and begins with a letter or digit.';
	END IF;
	IF fault IS NOT NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'invalid design',
			DETAIL = fault || '.',
			HINT = 'A design is an array of message objects; {name} in a string is a place for any text.';
	END IF;
	IF NOT EXISTS (SELECT FROM line_notify.channel c WHERE c.name = set_design.channel) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_object',
			MESSAGE = format('channel "%s" does not exist', set_design.channel);
	END IF;
	INSERT INTO line_notify.design AS d (channel, name, use_case, skeleton, status, reviewed_on, reference)
	VALUES (set_design.channel, set_design.name, set_design.use_case, set_design.skeleton,
			set_design.status, set_design.reviewed_on, set_design.reference)
	ON CONFLICT (channel, name) DO UPDATE SET
		use_case = excluded.use_case, skeleton = excluded.skeleton, status = excluded.status,
		reviewed_on = coalesce(excluded.reviewed_on, d.reviewed_on),
		reference = coalesce(excluded.reference, d.reference),
		changed_at = clock_timestamp(), changed_by = session_user;
END
$$;
REVOKE ALL ON FUNCTION line_notify.set_design(text, text, line_notify.use_case, jsonb, text, date, text) FROM PUBLIC;
COMMENT ON FUNCTION line_notify.set_design(text, text, line_notify.use_case, jsonb, text, date, text) IS 'Note that LINE approved (or suspended) a design of the flexible messages of a use case; from the first one on, messages of the use case must match one';

CREATE FUNCTION line_notify.drop_design(channel text, name text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	DELETE FROM line_notify.design d
	WHERE d.channel = drop_design.channel AND d.name = drop_design.name;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_object',
			MESSAGE = format('channel "%s" has no design "%s"', drop_design.channel, drop_design.name);
	END IF;
END
$$;
REVOKE ALL ON FUNCTION line_notify.drop_design(text, text) FROM PUBLIC;
COMMENT ON FUNCTION line_notify.drop_design(text, text) IS 'Forget a design; with the last one of a use case, its messages are free in their form again';

CREATE VIEW line_notify.approvals AS
SELECT a.channel, a.use_case, a.status, a.reviewed_on, a.reference,
	   (SELECT count(*) FROM line_notify.design d
		WHERE d.channel = a.channel AND d.use_case = a.use_case AND d.status = 'approved') AS designs,
	   a.changed_at, a.changed_by
FROM line_notify.approval a;
REVOKE ALL ON line_notify.approvals FROM PUBLIC;
COMMENT ON VIEW line_notify.approvals IS 'Use cases that LINE approved, by channel; channels that are not here may send every use case';
COMMENT ON COLUMN line_notify.approvals.designs IS 'approved designs; 0 = flexible messages are free in their form, unless designs has suspended ones';

CREATE VIEW line_notify.designs AS
SELECT d.channel, d.name, d.use_case, d.status, d.reviewed_on, d.reference, d.skeleton, d.changed_at, d.changed_by
FROM line_notify.design d;
REVOKE ALL ON line_notify.designs FROM PUBLIC;
COMMENT ON VIEW line_notify.designs IS 'Designs of flexible messages that LINE approved, by channel';

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
	on_duplicate	text CONSTRAINT on_duplicate_is_not_stored CHECK (on_duplicate IS NULL),
	order_key		text,
	reference		text,
	policy			jsonb,
	state			line_notify.message_state NOT NULL,
	due_at			timestamptz NOT NULL,
	attempts		integer NOT NULL DEFAULT 0,
	maybe_sent		boolean NOT NULL DEFAULT false,
	home			bigint NOT NULL,
	created_at		timestamptz NOT NULL,
	error			text,
	lane			smallint GENERATED ALWAYS AS ((priority + 10) * 2 + CASE WHEN template_key IS NULL THEN 1 ELSE 0 END) STORED,
	CONSTRAINT one_content CHECK ((template_key IS NULL) <> (messages IS NULL) OR state IN ('invalid', 'suppressed')),
	CONSTRAINT waiting_state CHECK (state IN ('queued', 'invalid', 'suppressed')),
	CONSTRAINT has_recipient CHECK (recipient IS NOT NULL OR state <> 'queued')
) WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 20000,
		autovacuum_analyze_scale_factor = 0.0, autovacuum_analyze_threshold = 50000);
-- What points to a person, and what a message says, shall not be copied into
-- pg_statistic, where erasure would not find it.  No plan of ours needs it: the
-- statistics of a queue may say anything.
ALTER TABLE line_notify.outbox
	ALTER recipient SET STATISTICS 0,
	ALTER body SET STATISTICS 0,
	ALTER messages SET STATISTICS 0,
	ALTER reference SET STATISTICS 0,
	ALTER dedup_key SET STATISTICS 0,
	ALTER order_key SET STATISTICS 0;
-- The claim walks one lane of a channel in order of due time.  A lane is a
-- priority and an endpoint, since LINE limits and refuses by endpoint.
CREATE INDEX outbox_claim ON line_notify.outbox (channel, lane, due_at, id);
CREATE INDEX outbox_expiry ON line_notify.outbox (expires_at);
CREATE INDEX outbox_reference ON line_notify.outbox (reference) WHERE reference IS NOT NULL;
CREATE INDEX outbox_batch ON line_notify.outbox (batch) WHERE batch IS NOT NULL;
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
COMMENT ON COLUMN line_notify.outbox.spread IS 'a random share of this is added to send_after, never beyond expires_at';
COMMENT ON COLUMN line_notify.outbox.expires_at IS 'not after; default the channel''s default_ttl from the time it may first be sent';
COMMENT ON COLUMN line_notify.outbox.batch IS 'name of the campaign or run this message belongs to';
COMMENT ON COLUMN line_notify.outbox.dedup_key IS 'second message of a channel with the same key inserts nothing';
COMMENT ON COLUMN line_notify.outbox.on_duplicate IS 'of this INSERT: ignore or replace; default the channel''s; not stored';
COMMENT ON COLUMN line_notify.outbox.order_key IS 'messages with the same key are sent in order, one at a time';
COMMENT ON COLUMN line_notify.outbox.reference IS 'the application''s own id, e.g. the order number';
COMMENT ON COLUMN line_notify.outbox.policy IS 'what this message wants otherwise than its channel: {"max_attempts": 3, "on_unknown": "retry"}; also on_server_error, backoff_base, backoff_cap, settle_window, on_invalid, dedup_window';
COMMENT ON COLUMN line_notify.outbox.state IS 'set by us; a row that arrives with a state (owner only, as in a restore) is taken as it is';
COMMENT ON COLUMN line_notify.outbox.due_at IS 'when it may be sent next';
COMMENT ON COLUMN line_notify.outbox.attempts IS 'attempts made so far';
COMMENT ON COLUMN line_notify.outbox.maybe_sent IS 'an earlier attempt may have reached the customer';
COMMENT ON COLUMN line_notify.outbox.lane IS 'priority and endpoint: (priority + 10) * 2, and 1 for flexible messages';
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

-- Which message holds a dedup_key.  Narrow, written by the insert trigger
-- (dedup.c) and freed when its message ends without having been sent.
CREATE TABLE line_notify.dedup (
	channel			text COLLATE "C" NOT NULL,
	dedup_key		text COLLATE "C" NOT NULL,
	id				bigint NOT NULL,
	until			timestamptz NOT NULL,
	PRIMARY KEY (channel, dedup_key)
);
ALTER TABLE line_notify.dedup ALTER dedup_key SET STATISTICS 0;
CREATE INDEX dedup_until ON line_notify.dedup (until);
COMMENT ON TABLE line_notify.dedup IS 'Keys that are taken: a second message with such a key is not queued';
COMMENT ON COLUMN line_notify.dedup.until IS 'from then on the key is free, whatever became of the message';

-- Rows set aside that the worker shall look at again.  A list without a unique
-- key: writers never wait for each other, and the worker reads it after they
-- have committed, so that it sees what they did.
CREATE TABLE line_notify.release (
	seq				bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
	channel			text COLLATE "C" NOT NULL,
	order_key		text
) WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 10000);
ALTER TABLE line_notify.release ALTER order_key SET STATISTICS 0;
COMMENT ON TABLE line_notify.release IS 'Where messages that were set aside may go on: behind an order_key, or (NULL) anywhere in the channel';

CREATE FUNCTION line_notify._release() RETURNS trigger
LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'line_notify_release';
REVOKE ALL ON FUNCTION line_notify._release() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._release() IS 'trigger: notes in table release what a deleted row held back, wakes the worker at commit';

-- However a message leaves the queue, the next one of its order_key may go.
CREATE TRIGGER release AFTER DELETE ON line_notify.outbox
	FOR EACH ROW WHEN (OLD.order_key IS NOT NULL) EXECUTE FUNCTION line_notify._release();
CREATE TRIGGER release AFTER DELETE ON line_notify.partial_pause
	FOR EACH ROW EXECUTE FUNCTION line_notify._release();

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
	policy			jsonb,
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
	delivery_event	text,
	revision		smallint
) PARTITION BY RANGE (id);
ALTER TABLE line_notify.history
	ALTER recipient SET STATISTICS 0,
	ALTER body SET STATISTICS 0,
	ALTER messages SET STATISTICS 0,
	ALTER reference SET STATISTICS 0,
	ALTER dedup_key SET STATISTICS 0,
	ALTER order_key SET STATISTICS 0;
-- No key here: each partition has its own.  A key of the parent would come into
-- being with CREATE EXTENSION in a restore, be given to every partition that
-- is attached, and collide with the partition's own one in the dump.
COMMENT ON TABLE line_notify.history IS 'Messages that were sent or ended otherwise; partitions are made and dropped by the worker';
COMMENT ON COLUMN line_notify.history.token IS 'lease token of the last attempt, part of its delivery tag';
COMMENT ON COLUMN line_notify.history.outcome IS 'what the last attempt came to: accepted, unreachable, refused, server_error, ambiguous, ...';
COMMENT ON COLUMN line_notify.history.request_id IS 'x-line-request-id of LINE''s answer: quote it to LINE''s support';
COMMENT ON COLUMN line_notify.history.delivered_at IS 'LINE''s own time of the delivery event';
COMMENT ON COLUMN line_notify.history.revision IS 'how many outcomes of this message consumers were told; see take_outcomes()';

-- A message that ends without having been sent gives its dedup_key back, by
-- whatever road it came here.  What may have arrived keeps it.
CREATE FUNCTION line_notify._free_dedup_key() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	DELETE FROM line_notify.dedup d
	WHERE d.channel = NEW.channel AND d.dedup_key = NEW.dedup_key AND d.id = NEW.id;
	RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION line_notify._free_dedup_key() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._free_dedup_key() IS 'trigger: a message that was not sent gives its dedup_key back';
CREATE TRIGGER free_dedup_key AFTER INSERT ON line_notify.history
	FOR EACH ROW WHEN (NEW.dedup_key IS NOT NULL AND NEW.state IN ('cancelled', 'expired', 'invalid', 'suppressed', 'failed', 'refused'))
	EXECUTE FUNCTION line_notify._free_dedup_key();

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
	ended_as		line_notify.message_state,
	revision		smallint,
	delivery_event	text,
	PRIMARY KEY (id, attempt, token)
);
COMMENT ON TABLE line_notify.attempt_log IS 'Attempts that were followed by another; the last one stands in history';
COMMENT ON COLUMN line_notify.attempt_log.ended_as IS 'state in which the message had ended with this attempt, before redrive() gave it another life';
COMMENT ON COLUMN line_notify.attempt_log.delivery_event IS 'webhookEventId of its delivery: two attempts delivered are billed, and counted, twice';
COMMENT ON COLUMN line_notify.attempt_log.revision IS 'outcomes told until then; see take_outcomes()';

-- Moves waiting rows that nobody is sending into history.  Locks first, then
-- looks for a claim with a snapshot taken after the lock: a message on the
-- wire is the worker's to answer for.  In batches, in the order of id: memory
-- is bounded, and two callers lock in the same order.
CREATE FUNCTION line_notify._end_waiting(ids bigint[], new_state line_notify.message_state, why text,
	OUT ended bigint, OUT unknown bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	chunk bigint[];
	locked bigint[];
	r record;
BEGIN
	ended := 0;
	unknown := 0;
	PERFORM line_notify._assert_read_committed();
	FOR chunk IN
		SELECT array_agg(x.id ORDER BY x.id)
		FROM (SELECT i.id, row_number() OVER (ORDER BY i.id) AS n FROM unnest(_end_waiting.ids) i(id)) x
		GROUP BY (x.n - 1) / 10000
		ORDER BY (x.n - 1) / 10000
	LOOP
		-- what is on the wire is not even locked: the worker would wait for
		-- the end of our transaction to record it
		locked := ARRAY(SELECT o.id FROM line_notify.outbox o
						WHERE o.id = ANY (chunk) AND o.state = 'queued'
						  AND NOT EXISTS (SELECT FROM line_notify.in_flight f WHERE f.id = o.id)
						ORDER BY o.id FOR UPDATE);
		CONTINUE WHEN cardinality(locked) = 0;
		-- an old message may belong where retention has dropped the partition
		PERFORM line_notify._ensure_history(g.id)
		FROM (WITH p AS MATERIALIZED (SELECT x.low, x.high FROM line_notify._history_partitions() x)
			  SELECT l.id FROM unnest(locked) l(id)
			  WHERE NOT EXISTS (SELECT FROM p WHERE l.id >= p.low AND l.id < p.high)) g;
		WITH o AS (
			DELETE FROM line_notify.outbox o
			WHERE o.id = ANY (locked)
			  AND NOT EXISTS (SELECT FROM line_notify.in_flight f WHERE f.id = o.id)
			RETURNING o.*),
		h AS (
			INSERT INTO line_notify.history (id, channel, recipient, use_case, template_key, body, messages,
				notification_disabled, aggregation_unit, priority, batch, dedup_key, order_key, reference, policy, state,
				attempts, maybe_sent, error, created_at, due_at, expires_at, ended_at)
			SELECT o.id, o.channel, o.recipient, o.use_case, o.template_key, o.body, o.messages,
				o.notification_disabled, o.aggregation_unit, o.priority, o.batch, o.dedup_key, o.order_key, o.reference, o.policy,
				-- what may have been sent once never ends as if it had not
				CASE WHEN o.maybe_sent THEN 'unknown' ELSE new_state END,
				o.attempts, o.maybe_sent, coalesce(o.error || '; ', '') || why, o.created_at, o.due_at, o.expires_at, clock_timestamp()
			FROM o
			RETURNING state, maybe_sent)
		SELECT count(*) FILTER (WHERE NOT h.maybe_sent) AS e, count(*) FILTER (WHERE h.maybe_sent) AS u INTO r FROM h;
		ended := ended + r.e;
		unknown := unknown + r.u;
	END LOOP;
	-- our locks may have hidden rows from a claim, also when we roll back
	PERFORM line_notify._rescan();
END
$$;
REVOKE ALL ON FUNCTION line_notify._end_waiting(bigint[], line_notify.message_state, text) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._end_waiting(bigint[], line_notify.message_state, text) IS 'ends waiting rows without sending: how many as asked, and how many as unknown because an attempt may have arrived; rows being sent are left alone';

CREATE FUNCTION line_notify._finish(ids bigint[], new_state line_notify.message_state, why text) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT e.ended + e.unknown FROM line_notify._end_waiting(ids, new_state, why) e $$;
REVOKE ALL ON FUNCTION line_notify._finish(bigint[], line_notify.message_state, text) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._finish(bigint[], line_notify.message_state, text) IS 'ends waiting rows without sending; returns how many';

-- REPEATABLE READ would not see a claim that was committed since: better say
-- so than answer for a message that is on the wire.
CREATE FUNCTION line_notify._assert_read_committed() RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
		RAISE EXCEPTION USING
			ERRCODE = 'active_sql_transaction',
			MESSAGE = 'this must be called in a READ COMMITTED transaction',
			DETAIL = 'An older snapshot does not show what the worker has claimed since.';
	END IF;
END
$$;
REVOKE ALL ON FUNCTION line_notify._assert_read_committed() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._assert_read_committed() IS 'raises 25001 under REPEATABLE READ and SERIALIZABLE';

CREATE FUNCTION line_notify._rescan() RETURNS void
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'line_notify_rescan';
REVOKE ALL ON FUNCTION line_notify._rescan() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._rescan() IS 'when the transaction ends, either way, the worker looks at everything again';

-- Partitions are made at run time, so that retention can drop them; ATTACH
-- takes no lock that readers or writers of other partitions would feel.
CREATE FUNCTION line_notify._history_partitions(OUT partition regclass, OUT low bigint, OUT high bigint)
RETURNS SETOF record
LANGUAGE sql STABLE ROWS 50 SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
	SELECT c.oid::regclass,
		   coalesce((regexp_match(b.bound, 'FROM \(''?(-?\d+)''?\)'))[1]::bigint, -9223372036854775808),
		   coalesce((regexp_match(b.bound, 'TO \(''?(-?\d+)''?\)'))[1]::bigint, 9223372036854775807)
	FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid,
		 LATERAL (SELECT pg_get_expr(c.relpartbound, c.oid)) b(bound)
	WHERE i.inhparent = 'line_notify.history'::regclass
	ORDER BY 2
$$;
REVOKE ALL ON FUNCTION line_notify._history_partitions() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._history_partitions() IS 'partitions of history with their range of ids, in order';

CREATE FUNCTION line_notify._ensure_history(upto bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s'
	SET client_min_messages = warning
AS $$
DECLARE
	last_low bigint;
	last_seconds double precision;
	below bigint;
	above bigint;
	span bigint;
	upper_bound bigint;
	part text;
BEGIN
	SELECT p.high INTO upper_bound FROM line_notify._history_partitions() p
	WHERE upto >= p.low AND (upto < p.high OR p.high = 9223372036854775807);
	IF FOUND OR upto IS NULL THEN
		RETURN upper_bound;
	END IF;

	-- one maker at a time, and a fresh look after waiting for it
	PERFORM pg_advisory_xact_lock(1279872592, 1);
	SELECT p.high INTO upper_bound FROM line_notify._history_partitions() p
	WHERE upto >= p.low AND (upto < p.high OR p.high = 9223372036854775807);
	IF FOUND THEN
		RETURN upper_bound;
	END IF;
	SELECT max(p.high) FILTER (WHERE p.high <= upto), min(p.low) FILTER (WHERE p.low > upto),
		   max(p.low) FILTER (WHERE p.high <= upto)
	INTO below, above, last_low
	FROM line_notify._history_partitions() p;

	-- about a day's worth of ids, judged by the last partition
	span := 100000;
	IF below IS NOT NULL AND below > last_low THEN
		SELECT extract(epoch FROM clock_timestamp() - h.created_at) INTO last_seconds
		FROM line_notify.history h WHERE h.id >= last_low AND h.id < below ORDER BY h.id LIMIT 1;
		span := below - greatest(last_low, 0);
		span := greatest(100000, least(10000000, 10 * span,
			span * (86400.0 / greatest(coalesce(last_seconds, 86400), 60))));
		span := (span + 99999) / 100000 * 100000;
	END IF;
	IF upto >= 9223372036854775807 - 2 * span THEN
		upper_bound := NULL;
	ELSIF upto < 0 THEN
		upper_bound := 0;
	ELSE
		upper_bound := (upto / span + 1) * span;
	END IF;
	upper_bound := least(upper_bound, above);

	part := 'history_' || CASE WHEN below IS NULL THEN 'first' ELSE replace(below::text, '-', 'm') END;
	EXECUTE format('CREATE TABLE line_notify.%I (LIKE line_notify.history INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING COMMENTS)'
				   ' WITH (fillfactor = 90, autovacuum_analyze_scale_factor = 0.0, autovacuum_analyze_threshold = 100000)', part);
	EXECUTE format('ALTER TABLE line_notify.%I ADD PRIMARY KEY (id), '
				   'ALTER recipient SET STATISTICS 0, ALTER body SET STATISTICS 0, ALTER messages SET STATISTICS 0, '
				   'ALTER reference SET STATISTICS 0, ALTER dedup_key SET STATISTICS 0, ALTER order_key SET STATISTICS 0', part);
	-- For support and for verbs.  A reference or batch costs nothing where there
	-- is none.  Recipients are random, so a btree or hash index would cost as
	-- much as all the rest of a record; Bloom filters cost nearly nothing, and a
	-- search reads 6 bytes a message.
	EXECUTE format('CREATE INDEX ON line_notify.%I (reference) WHERE reference IS NOT NULL', part);
	EXECUTE format('CREATE INDEX ON line_notify.%I (batch) WHERE batch IS NOT NULL', part);
	EXECUTE format('CREATE INDEX ON line_notify.%I USING brin (recipient text_bloom_ops(n_distinct_per_range = -0.5))'
				   ' WITH (pages_per_range = 32, autosummarize = on)', part);
	-- a new index knows its first pages by heart: every insert there would rewrite the filter
	PERFORM brin_desummarize_range(c.oid, 0)
	FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
	WHERE i.indrelid = format('line_notify.%I', part)::regclass AND a.amname = 'brin';
	-- rows lie in the order of their end
	EXECUTE format('CREATE INDEX ON line_notify.%I USING brin (ended_at) WITH (pages_per_range = 16, autosummarize = on)', part);
	EXECUTE format('ALTER TABLE line_notify.history ATTACH PARTITION line_notify.%I FOR VALUES FROM (%s) TO (%s)',
				   part, coalesce(quote_literal(below), 'MINVALUE'), coalesce(quote_literal(upper_bound), 'MAXVALUE'));
	RETURN coalesce(upper_bound, 9223372036854775807);
END
$$;
REVOKE ALL ON FUNCTION line_notify._ensure_history(bigint) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._ensure_history(bigint) IS 'makes the partition of history that an id belongs to, if there is none; returns where it ends';

-- Ids grow with time: the first id whose row was made after a moment, found by
-- halving, with a probe of the primary key each.
CREATE FUNCTION line_notify._first_id_after(moment timestamptz) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	low bigint := (SELECT h.id FROM line_notify.history h ORDER BY h.id LIMIT 1);
	high bigint := (SELECT least(h.id, 9223372036854775806) + 1 FROM line_notify.history h ORDER BY h.id DESC LIMIT 1);
	middle bigint;
	probe record;
BEGIN
	WHILE low < high LOOP
		middle := low + (high - low) / 2;
		SELECT h.id, h.created_at INTO probe FROM line_notify.history h WHERE h.id >= middle ORDER BY h.id LIMIT 1;
		IF NOT FOUND OR probe.created_at > moment THEN
			high := middle;
		ELSE
			low := least(probe.id, 9223372036854775806) + 1;
		END IF;
	END LOOP;
	RETURN coalesce((SELECT h.id FROM line_notify.history h WHERE h.id >= low ORDER BY h.id LIMIT 1), low);
END
$$;
REVOKE ALL ON FUNCTION line_notify._first_id_after(timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._first_id_after(timestamptz) IS 'id from which on rows of history were made after a moment';

-- A worker says where it stands.  On another timeline than the last one that
-- sent, a standby was promoted, and claims of the last moments may be missing
-- here, unless each of them had waited for a standby.
CREATE FUNCTION line_notify._note_timeline(home bigint, timeline integer, synchronous boolean, grace interval,
	OUT doubt_before timestamptz, OUT doubt_until timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	i line_notify.identity;
	moment timestamptz := clock_timestamp();
BEGIN
	SELECT * INTO i FROM line_notify.identity x WHERE x.home = _note_timeline.home;
	IF i.timeline IS DISTINCT FROM _note_timeline.timeline OR i.synchronous <> _note_timeline.synchronous THEN
		IF i.timeline <> _note_timeline.timeline AND NOT i.synchronous THEN
			i.doubt_before := moment;
			i.doubt_until := moment + grace;
		END IF;
		UPDATE line_notify.identity x SET
			timeline = _note_timeline.timeline, synchronous = _note_timeline.synchronous,
			doubt_before = i.doubt_before, doubt_until = i.doubt_until
		WHERE x.home = _note_timeline.home;
	END IF;
	doubt_before := i.doubt_before;
	doubt_until := i.doubt_until;
END
$$;
REVOKE ALL ON FUNCTION line_notify._note_timeline(bigint, integer, boolean, interval) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._note_timeline(bigint, integer, boolean, interval) IS 'notes on which timeline is sent; returns what is in doubt after a promotion';

-- The time to wait for delivery events is over.  Returns whether there is more.
CREATE FUNCTION line_notify._settle_doubt(home bigint, hold boolean, step integer) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	before timestamptz := (SELECT i.doubt_before FROM line_notify.identity i WHERE i.home = _settle_doubt.home);
	ids bigint[];
BEGIN
	IF hold AND before IS NOT NULL THEN
		ids := ARRAY(SELECT o.id FROM line_notify.outbox o
					 WHERE o.home = _settle_doubt.home AND o.due_at <= before AND o.state = 'queued'
					   AND NOT EXISTS (SELECT FROM line_notify.in_flight f WHERE f.id = o.id)
					 ORDER BY o.id LIMIT step FOR UPDATE SKIP LOCKED);
		PERFORM line_notify._finish(ids, 'unknown', 'may have been sent by the server before the promotion');
		IF cardinality(ids) = step THEN
			RETURN true;
		END IF;
	END IF;
	UPDATE line_notify.identity i SET doubt_before = NULL, doubt_until = NULL WHERE i.home = _settle_doubt.home;
	RETURN false;
END
$$;
REVOKE ALL ON FUNCTION line_notify._settle_doubt(bigint, boolean, integer) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._settle_doubt(bigint, boolean, integer) IS 'after promotion_grace: ends what is in doubt as unknown, or lets it be sent';

-- What time does to history, in small steps: a partition ahead, whole
-- partitions dropped, stragglers deleted, payloads forgotten.  Returns whether
-- there is more to do now.
CREATE FUNCTION line_notify._maintain(retention interval, payload_retention interval, operations_retention interval,
	step integer) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '200ms'
	SET client_min_messages = warning
AS $$
DECLARE
	p record;
	newest bigint;
	old_id bigint;
	n bigint;
	again boolean := false;
	cutoff timestamptz := clock_timestamp() - retention;
	payload_cutoff timestamptz := clock_timestamp() - payload_retention;
	operations_cutoff timestamptz := clock_timestamp() - operations_retention;
BEGIN
	-- ahead: nobody's transaction shall have to make a partition
	SELECT s.last_value INTO newest FROM line_notify.outbox_id_seq s;
	SELECT x.low, x.high INTO p FROM line_notify._history_partitions() x ORDER BY x.low DESC LIMIT 1;
	IF p.high IS NULL OR newest > p.high - 50000 THEN
		PERFORM line_notify._ensure_history(greatest(newest, coalesce(p.high, 0)));
	END IF;

	IF retention IS NOT NULL THEN
		old_id := line_notify._first_id_after(cutoff);
		FOR p IN SELECT * FROM line_notify._history_partitions() x WHERE x.high <= old_id ORDER BY x.low
		LOOP
			-- rows that wait, or are on the wire, still need it
			CONTINUE WHEN EXISTS (SELECT FROM line_notify.outbox o WHERE o.id < p.high AND o.id >= p.low)
				OR EXISTS (SELECT FROM line_notify.in_flight f WHERE f.id < p.high AND f.id >= p.low);
			EXECUTE format('SELECT count(*) FROM (SELECT FROM %s WHERE ended_at >= $1 LIMIT 1) x', p.partition)
				INTO n USING cutoff;
			IF n = 0 THEN
				BEGIN
					EXECUTE format('DROP TABLE %s', p.partition);
				EXCEPTION WHEN lock_not_available THEN
					NULL;		-- somebody reads history; the next time
				END;
			ELSE
				EXECUTE format('DELETE FROM %s WHERE id IN (SELECT id FROM %1$s WHERE ended_at < $1 ORDER BY id LIMIT $2)', p.partition)
					USING cutoff, step;
				GET DIAGNOSTICS n = ROW_COUNT;
				again := again OR n = step;
			END IF;
		END LOOP;
		WITH a AS (
			SELECT a.id, a.attempt, a.token FROM line_notify.attempt_log a
			WHERE a.ended_at < cutoff
			  AND NOT EXISTS (SELECT FROM line_notify.outbox o WHERE o.id = a.id)
			  AND NOT EXISTS (SELECT FROM line_notify.history h WHERE h.id = a.id)
			ORDER BY a.id LIMIT step)
		DELETE FROM line_notify.attempt_log l USING a
		WHERE l.id = a.id AND l.attempt = a.attempt AND l.token = a.token;
		GET DIAGNOSTICS n = ROW_COUNT;
		again := again OR n = step;
		-- outcomes that no consumer took in all that time
		DELETE FROM line_notify.outcome o
		WHERE o.ctid = ANY (ARRAY(SELECT x.ctid FROM line_notify.outcome x
								  WHERE x.at < cutoff LIMIT step FOR UPDATE SKIP LOCKED));
		GET DIAGNOSTICS n = ROW_COUNT;
		again := again OR n = step;
	END IF;

	IF payload_retention IS NOT NULL THEN
		old_id := line_notify._first_id_after(payload_cutoff);
		UPDATE line_notify.history h SET body = NULL, messages = NULL
		WHERE h.id = ANY (ARRAY(
			SELECT x.id FROM line_notify.history x
			WHERE x.id < old_id AND x.ended_at < payload_cutoff
			  AND (x.body IS NOT NULL OR x.messages IS NOT NULL)
			ORDER BY x.id LIMIT step));
		GET DIAGNOSTICS n = ROW_COUNT;
		again := again OR n = step;
	END IF;

	-- their numbers grow with time
	IF operations_retention IS NOT NULL THEN
		DELETE FROM line_notify.operations o
		WHERE o.at < operations_cutoff
		  AND o.seq = ANY (ARRAY(SELECT x.seq FROM line_notify.operations x ORDER BY x.seq LIMIT step));
		GET DIAGNOSTICS n = ROW_COUNT;
		again := again OR n = step;
	END IF;
	RETURN again;
END
$$;
REVOKE ALL ON FUNCTION line_notify._maintain(interval, interval, interval, integer) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._maintain(interval, interval, interval, integer) IS 'one step of retention and of partitions ahead; returns whether more is to be done at once';

CREATE FUNCTION line_notify._outbox_insert() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'line_notify_outbox_insert';
REVOKE ALL ON FUNCTION line_notify._outbox_insert() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._outbox_insert() IS 'trigger: normalizes, hashes, checks and schedules a new message, wakes the worker at commit';

CREATE TRIGGER prepare BEFORE INSERT ON line_notify.outbox
	FOR EACH ROW EXECUTE FUNCTION line_notify._outbox_insert();

-- Not for PUBLIC: what it inserts is inserted with the rights of the owner of
-- the table, so who may create triggers there and execute this may send.
CREATE FUNCTION line_notify.enqueue_trigger() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'line_notify_enqueue_trigger';
-- It sends with the right of the table's owner.  So whoever may execute it and
-- has TRIGGER on a table can send as that owner: none of the grant functions gives it.
REVOKE ALL ON FUNCTION line_notify.enqueue_trigger() FROM PUBLIC;
COMMENT ON FUNCTION line_notify.enqueue_trigger() IS 'trigger for tables of the application, AFTER INSERT, UPDATE or DELETE FOR EACH ROW: sends a message about the row; its argument is a JSON object of columns of outbox, with {column} for values';

CREATE FUNCTION line_notify._duplicate_of() RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'line_notify_duplicate_of';
REVOKE ALL ON FUNCTION line_notify._duplicate_of() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._duplicate_of() IS 'id of the message that the row last inserted by this session was a duplicate of, or NULL';

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
					'spread', 'expires_at', 'batch', 'dedup_key', 'on_duplicate', 'order_key', 'reference', 'policy') LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = format('unknown option "%s"', stray),
			HINT = 'Options are the columns of line_notify.outbox: region, recipient, notification_disabled, aggregation_unit, priority, send_after, spread, expires_at, batch, dedup_key, on_duplicate, order_key, reference, policy.';
	END IF;
	SELECT * INTO o FROM jsonb_to_record(enqueue.options) AS
		x(region text, recipient text, notification_disabled boolean, aggregation_unit text, priority smallint,
		  send_after timestamptz, spread interval, expires_at timestamptz, batch text, dedup_key text,
		  on_duplicate text, order_key text, reference text, policy jsonb);
	INSERT INTO line_notify.outbox (channel, phone, region, recipient, use_case, template_key, body, messages,
		notification_disabled, aggregation_unit, priority, send_after, spread, expires_at, batch, dedup_key, on_duplicate, order_key, reference, policy)
	VALUES (enqueue.channel, enqueue.phone, o.region, o.recipient, enqueue.use_case, enqueue.template_key, enqueue.body, enqueue.messages,
		o.notification_disabled, o.aggregation_unit, coalesce(o.priority, 0::smallint), o.send_after, o.spread, o.expires_at, o.batch, o.dedup_key, o.on_duplicate, o.order_key, o.reference, o.policy)
	RETURNING id INTO new_id;
	-- nothing was inserted: a duplicate, or enqueueing is switched off
	RETURN coalesce(new_id, line_notify._duplicate_of());
END
$$;
REVOKE ALL ON FUNCTION line_notify.enqueue(text, line_notify.use_case, text, jsonb, jsonb, text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION line_notify.enqueue(text, line_notify.use_case, text, jsonb, jsonb, text, jsonb) IS 'Queue one message; the same as an INSERT into outbox; returns its id, or that of the message that holds its dedup_key already; NULL when line_notify.enqueue is off';

CREATE FUNCTION line_notify._preload_state() RETURNS text
LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'line_notify_preload_state';
REVOKE ALL ON FUNCTION line_notify._preload_state() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._preload_state() IS 'not preloaded, no launcher, disabled or ok';

CREATE FUNCTION line_notify._stats(OUT database oid, OUT channel text, OUT endpoint text,
	OUT sent bigint, OUT accepted bigint, OUT unreachable bigint, OUT refused bigint, OUT throttled bigint,
	OUT unauthorized bigint, OUT misconfigured bigint, OUT server_error bigint, OUT not_sent bigint,
	OUT ambiguous bigint, OUT unknown bigint, OUT retried bigint, OUT status_429 bigint,
	OUT in_flight integer, OUT tokens double precision, OUT blocked_until timestamptz,
	OUT breaker text, OUT breaker_until timestamptz, OUT latency bigint[],
	OUT last_success timestamptz, OUT last_error_at timestamptz, OUT last_error text, OUT last_error_text text, OUT since timestamptz)
RETURNS SETOF record
LANGUAGE c VOLATILE ROWS 10 AS 'MODULE_PATHNAME', 'line_notify_stats';
REVOKE ALL ON FUNCTION line_notify._stats() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._stats() IS 'rows of view stats, from shared memory';

CREATE FUNCTION line_notify.quantile(latency bigint[], share double precision) RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'line_notify_quantile';
COMMENT ON FUNCTION line_notify.quantile(bigint[], double precision) IS 'time in milliseconds that this share of a latency histogram of view stats stayed below; at most a quarter too large';

CREATE VIEW line_notify.stats AS
SELECT d.datname AS database, s.channel, s.endpoint, s.sent, s.accepted, s.unreachable, s.refused, s.unknown, s.retried,
	   s.status_429, s.throttled, s.unauthorized, s.misconfigured, s.server_error, s.not_sent, s.ambiguous,
	   s.in_flight, s.tokens, s.blocked_until, s.breaker, s.breaker_until,
	   line_notify.quantile(s.latency, 0.5) AS p50_ms, line_notify.quantile(s.latency, 0.99) AS p99_ms, s.latency,
	   s.last_success, s.last_error_at, s.last_error, s.last_error_text, s.since
FROM line_notify._stats() s LEFT JOIN pg_catalog.pg_database d ON d.oid = s.database;
COMMENT ON VIEW line_notify.stats IS 'Counters of each channel and endpoint since the start of the server or reset_stats(), from shared memory; a row appears with the first message';
COMMENT ON COLUMN line_notify.stats.sent IS 'requests begun; each has one outcome among accepted, unreachable, refused, throttled, unauthorized, misconfigured, server_error, not_sent, ambiguous';
COMMENT ON COLUMN line_notify.stats.unknown IS 'messages that ended as unknown';
COMMENT ON COLUMN line_notify.stats.retried IS 'attempts after which another was planned';
COMMENT ON COLUMN line_notify.stats.tokens IS 'messages that LINE''s rate limit would let pass at once';
COMMENT ON COLUMN line_notify.stats.latency IS 'histogram of the time from request to complete answer; see quantile()';
COMMENT ON COLUMN line_notify.stats.last_error IS 'kind of the last outcome that was neither accepted nor unreachable';
COMMENT ON COLUMN line_notify.stats.last_error_text IS 'what it said: status and words of LINE, or of the network';

GRANT EXECUTE ON FUNCTION line_notify._stats() TO pg_monitor;
GRANT SELECT ON line_notify.stats TO pg_monitor;

CREATE FUNCTION line_notify.reset_stats() RETURNS integer
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'line_notify_reset_stats';
REVOKE ALL ON FUNCTION line_notify.reset_stats() FROM PUBLIC;
COMMENT ON FUNCTION line_notify.reset_stats() IS 'set the counters of this database to zero; returns how many rows of view stats that are';

-- Who looks, and what may that role see?  By its privileges, outside of SECURITY
-- DEFINER functions.  The functions of a view run with the rights of whoever
-- reads it, so each grant of such a view includes them.
CREATE FUNCTION line_notify._caller() RETURNS name
LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'line_notify_caller';
REVOKE ALL ON FUNCTION line_notify._caller() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._caller() IS 'role that acts, outside of SECURITY DEFINER functions';

CREATE FUNCTION line_notify._viewer(OUT home bigint, OUT everything boolean, OUT channels text[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT line_notify._local_home(),
		   pg_has_role(line_notify._caller(), (SELECT c.relowner FROM pg_class c WHERE c.oid = 'line_notify.outbox'::regclass), 'MEMBER')
		   OR has_table_privilege(line_notify._caller(), 'line_notify.history', 'SELECT')
		   -- support and operators
		   OR has_function_privilege(line_notify._caller(), (SELECT p.oid FROM pg_proc p
				WHERE p.proname = 'find_notifications' AND p.pronamespace = 'line_notify'::regnamespace), 'EXECUTE'),
		   (SELECT coalesce(array_agg(c.name), '{}')
			FROM line_notify.channel c
			WHERE EXISTS (SELECT FROM line_notify.sender s, pg_roles r
						  WHERE s.channel IN ('*', c.name) AND r.oid = s.role
							AND pg_has_role(line_notify._caller(), r.oid, 'MEMBER')))
$$;
REVOKE ALL ON FUNCTION line_notify._viewer() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._viewer() IS 'which messages the caller may see: all (owner, support, operator), or those of the channels it may send through';

-- What holds up whole endpoints of channels.  A row for each channel and
-- endpoint that the caller may see; reason NULL = nothing.
CREATE FUNCTION line_notify._hold_ups(OUT channel text, OUT endpoint text, OUT reason text, OUT until timestamptz,
	OUT quiet_hours text, OUT time_zone text, OUT doubt_before timestamptz, OUT doubt_until timestamptz)
RETURNS SETOF record
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 10
AS $$
	SELECT c.name, e.endpoint, r.reason, r.until, c.quiet_hours, c.time_zone, i.doubt_before, i.doubt_until
	FROM line_notify._viewer() me,
		 line_notify.channel c
		 LEFT JOIN line_notify.identity i ON i.home = c.home
		 CROSS JOIN (VALUES ('template'), ('flexible')) e(endpoint)
		 LEFT JOIN line_notify._stats() s
			ON s.channel = c.name AND s.endpoint = e.endpoint
			   AND s.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
		 LEFT JOIN LATERAL (
			SELECT x.reason, x.until
			FROM (VALUES
				(1, c.home IS DISTINCT FROM me.home, 'disarmed', NULL::timestamptz),
				(2, pg_is_in_recovery(), 'standby', NULL),
				(3, line_notify._preload_state() <> 'ok', line_notify._preload_state(), NULL),
				(3, EXISTS (SELECT FROM line_notify._workers() w
							WHERE w.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
							  AND w.state IN ('no slot', 'backoff', 'held', 'version')), 'no worker', NULL),
				(4, c.paused_at IS NOT NULL, 'channel paused', NULL),
				(5, NOT EXISTS (SELECT FROM line_notify.credential k WHERE k.channel = c.name
								AND k.kind IN ('access_token', 'client_secret', 'jwt_key')), 'no credential', NULL),
				(6, EXISTS (SELECT FROM line_notify.token_status t WHERE t.channel = c.name), 'no access token', NULL),
				(7, EXISTS (SELECT FROM line_notify.partial_pause p WHERE p.channel = c.name
							AND p.scope = 'endpoint' AND p.subject = e.endpoint), 'endpoint paused', NULL),
				(8, line_notify._quiet_until(c.quiet_hours, c.time_zone, statement_timestamp()) IS NOT NULL, 'quiet hours',
					line_notify._quiet_until(c.quiet_hours, c.time_zone, statement_timestamp())),
				(9, c.daily_budget <= (SELECT d.sent FROM line_notify.daily_sent d
									   WHERE d.channel = c.name AND d.day = (statement_timestamp() AT TIME ZONE c.time_zone)::date),
					'daily budget used up', date_trunc('day', statement_timestamp() AT TIME ZONE c.time_zone + interval '1 day') AT TIME ZONE c.time_zone),
				(10, s.breaker <> 'closed', 'circuit breaker ' || s.breaker, s.breaker_until),
				(11, s.blocked_until > statement_timestamp(), 'LINE said wait', s.blocked_until)
			) x(no, holds, reason, until)
			WHERE x.holds
			ORDER BY x.no LIMIT 1) r ON true
	WHERE me.everything OR c.name = ANY (me.channels)
$$;
REVOKE ALL ON FUNCTION line_notify._hold_ups() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._hold_ups() IS 'what holds up the endpoints of the caller''s channels now';

CREATE VIEW line_notify.notifications WITH (security_barrier) AS
WITH me AS MATERIALIZED (SELECT v.* FROM line_notify._viewer() v),
	 hold AS MATERIALIZED (SELECT k.* FROM line_notify._hold_ups() k)
SELECT o.id, o.channel, o.use_case, o.template_key, o.batch, o.reference, o.dedup_key, o.order_key, o.priority,
	   CASE WHEN f.id IS NULL THEN o.state ELSE 'sending' END AS state,
	   o.attempts + CASE WHEN f.id IS NULL THEN 0 ELSE 1 END AS attempts,
	   NULL::smallint AS http_status, NULL::text AS request_id,
	   o.created_at, o.due_at, o.expires_at, f.claimed_at AS sent_at, NULL::timestamptz AS ended_at,
	   f.delivered_at, o.error, o.policy,
	   CASE WHEN f.id IS NOT NULL OR o.state <> 'queued' THEN NULL
			WHEN k.channel IS NULL THEN 'no such channel'
			WHEN o.home IS DISTINCT FROM me.home THEN 'disarmed'
			WHEN k.reason IN ('disarmed', 'standby', 'not preloaded', 'disabled', 'no launcher', 'no worker', 'channel paused', 'no credential', 'no access token', 'endpoint paused') THEN k.reason
			WHEN EXISTS (SELECT FROM line_notify.partial_pause p WHERE p.channel = o.channel
						 AND p.scope = 'template' AND p.subject = o.template_key) THEN 'template paused'
			WHEN EXISTS (SELECT FROM line_notify.partial_pause p WHERE p.channel = o.channel
						 AND (p.scope = 'use_case' OR p.scope = 'design' AND o.template_key IS NULL)
						 AND p.subject = coalesce(o.use_case::text, '')) THEN 'use case paused'
			WHEN o.due_at <= k.doubt_before THEN 'in doubt after a promotion'
			WHEN o.due_at = 'infinity' THEN 'behind another message of its order_key'
			WHEN o.due_at > statement_timestamp() AND o.attempts > 0 THEN 'next attempt'
			WHEN o.due_at > statement_timestamp() THEN 'not due yet'
			ELSE coalesce(k.reason, 'in line') END AS waiting_reason,
	   CASE WHEN f.id IS NOT NULL OR o.state <> 'queued' THEN NULL
			ELSE greatest(t.moment, line_notify._quiet_until(k.quiet_hours, k.time_zone, t.moment)) END AS waiting_until
FROM me, line_notify.outbox o
LEFT JOIN line_notify.in_flight f ON f.id = o.id
LEFT JOIN hold k ON k.channel = o.channel AND k.endpoint = CASE WHEN o.template_key IS NULL THEN 'flexible' ELSE 'template' END
CROSS JOIN LATERAL (SELECT greatest(nullif(o.due_at, 'infinity'), k.until, statement_timestamp(),
									CASE WHEN o.due_at <= k.doubt_before THEN k.doubt_until END) AS moment) t
WHERE me.everything OR o.channel = ANY (me.channels)
UNION ALL
SELECT h.id, h.channel, h.use_case, h.template_key, h.batch, h.reference, h.dedup_key, h.order_key, h.priority,
	   h.state, h.attempts, h.http_status, h.request_id,
	   h.created_at, h.due_at, h.expires_at, h.sent_at, h.ended_at,
	   h.delivered_at, h.error, h.policy, NULL, NULL
FROM me, line_notify.history h
WHERE me.everything OR h.channel = ANY (me.channels);
COMMENT ON VIEW line_notify.notifications IS 'Every message, waiting or finished, one row each; no payload, no recipient';
COMMENT ON COLUMN line_notify.notifications.waiting_reason IS 'why it has not been sent yet; in line = it is its turn soon';
COMMENT ON COLUMN line_notify.notifications.policy IS 'what it wants otherwise than its channel';
COMMENT ON COLUMN line_notify.notifications.waiting_until IS 'not before this time, quiet hours included; of what waits for somebody, only the time it is due';

CREATE VIEW line_notify.batches WITH (security_barrier) AS
WITH me AS MATERIALIZED (SELECT v.* FROM line_notify._viewer() v),
	 part AS (
		SELECT o.channel, o.batch, CASE WHEN f.id IS NULL THEN o.state ELSE 'sending' END AS state, count(*) AS n,
			   min(o.created_at) AS first_at, NULL::timestamptz AS last_at, 0::bigint AS recent,
			   max(nullif(o.due_at, 'infinity')) AS last_due
		FROM line_notify.outbox o LEFT JOIN line_notify.in_flight f ON f.id = o.id
		WHERE o.batch IS NOT NULL
		GROUP BY 1, 2, 3
		UNION ALL
		SELECT h.channel, h.batch, h.state, count(*), min(h.created_at), max(h.ended_at),
			   count(*) FILTER (WHERE h.sent_at IS NOT NULL AND h.ended_at > statement_timestamp() - interval '1 minute'), NULL
		FROM line_notify.history h
		WHERE h.batch IS NOT NULL
		GROUP BY 1, 2, 3)
SELECT p.batch, p.channel,
	   sum(p.n)::bigint AS total,
	   coalesce(sum(p.n) FILTER (WHERE p.state = 'queued'), 0)::bigint AS queued,
	   coalesce(sum(p.n) FILTER (WHERE p.state = 'sending'), 0)::bigint AS sending,
	   coalesce(sum(p.n) FILTER (WHERE p.state = 'accepted'), 0)::bigint AS accepted,
	   coalesce(sum(p.n) FILTER (WHERE p.state = 'delivered'), 0)::bigint AS delivered,
	   coalesce(sum(p.n) FILTER (WHERE p.state = 'undelivered'), 0)::bigint AS undelivered,
	   coalesce(sum(p.n) FILTER (WHERE p.state = 'unreachable'), 0)::bigint AS unreachable,
	   coalesce(sum(p.n) FILTER (WHERE p.state = 'refused'), 0)::bigint AS refused,
	   coalesce(sum(p.n) FILTER (WHERE p.state = 'unknown'), 0)::bigint AS unknown,
	   coalesce(sum(p.n) FILTER (WHERE p.state = 'invalid'), 0)::bigint AS invalid,
	   coalesce(sum(p.n) FILTER (WHERE p.state = 'suppressed'), 0)::bigint AS suppressed,
	   coalesce(sum(p.n) FILTER (WHERE p.state = 'cancelled'), 0)::bigint AS cancelled,
	   coalesce(sum(p.n) FILTER (WHERE p.state = 'expired'), 0)::bigint AS expired,
	   coalesce(sum(p.n) FILTER (WHERE p.state = 'failed'), 0)::bigint AS failed,
	   min(p.first_at) AS created_at,
	   max(p.last_at) AS last_ended_at,
	   round(sum(p.recent) / 60.0, 1) AS rate,
	   CASE WHEN sum(p.n) FILTER (WHERE p.state IN ('queued', 'sending')) IS NULL THEN NULL
			WHEN sum(p.recent) > 0 THEN
				greatest(max(p.last_due),
						 statement_timestamp() + sum(p.n) FILTER (WHERE p.state IN ('queued', 'sending')) / (sum(p.recent) / 60.0) * interval '1 second')
			END AS eta
FROM me, part p
WHERE me.everything OR p.channel = ANY (me.channels)
GROUP BY p.batch, p.channel;
COMMENT ON VIEW line_notify.batches IS 'One row for each batch and channel: how many messages are in which state, how fast it goes, when it will be through';
COMMENT ON COLUMN line_notify.batches.rate IS 'messages a second that were sent, over the last minute';
COMMENT ON COLUMN line_notify.batches.eta IS 'when the rest will be sent at this rate, and not before the last is due; NULL when nothing waits or nothing moves';

CREATE VIEW line_notify.attempts WITH (security_barrier) AS
WITH me AS MATERIALIZED (SELECT v.* FROM line_notify._viewer() v)
SELECT a.id, a.attempt, a.started_at, a.ended_at, a.outcome, a.http_status, a.request_id, a.error, a.ended_as
FROM me, line_notify.attempt_log a
WHERE me.everything
   OR EXISTS (SELECT FROM line_notify.outbox o WHERE o.id = a.id AND o.channel = ANY (me.channels))
   OR EXISTS (SELECT FROM line_notify.history h WHERE h.id = a.id AND h.channel = ANY (me.channels))
UNION ALL
SELECT h.id, h.attempts, h.sent_at, h.ended_at, h.outcome, h.http_status, h.request_id, h.error, NULL
FROM me, line_notify.history h
WHERE h.outcome IS NOT NULL
  AND (me.everything OR h.channel = ANY (me.channels));
COMMENT ON VIEW line_notify.attempts IS 'Every finished attempt to send a message';
COMMENT ON COLUMN line_notify.attempts.ended_as IS 'the message had ended with this attempt, before redrive() gave it another life';

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
ALTER TABLE line_notify.webhook_event ALTER recipient SET STATISTICS 0;
COMMENT ON TABLE line_notify.webhook_event IS 'Delivery events from LINE that the worker has not folded into history yet';
COMMENT ON COLUMN line_notify.webhook_event.event_id IS 'LINE''s webhookEventId, the same on redelivery';

CREATE TABLE line_notify.seen_event (
	event_id		text COLLATE "C" PRIMARY KEY,
	seen_at			timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 10000);
CREATE INDEX seen_event_at ON line_notify.seen_event (seen_at);
COMMENT ON TABLE line_notify.seen_event IS 'Ids of follow and unfollow events that were counted, for eight days, so that one that LINE delivers again is not counted again; they name nobody';

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
	silence			timestamptz,
	unconfirmed		timestamptz
);
COMMENT ON TABLE line_notify.sweep_mark IS 'How far the silence after messages has been judged';
COMMENT ON COLUMN line_notify.sweep_mark.silence IS 'messages answered before this are settled';
COMMENT ON COLUMN line_notify.sweep_mark.unconfirmed IS 'messages answered before this have been looked at for confirm_within';

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
	-- one pass over the rows, and the rest over a handful of groups
	WITH g AS MATERIALIZED (
		SELECT r.channel, r.template_key IS NULL AS flexible, r.aggregation_unit, r.state, r.outcome,
			   date_bin('1 minute', r.ended_at, '2000-01-01 00:00+00') AS ended,
			   date_bin('1 minute', r.delivered_at, '2000-01-01 00:00+00') AS delivered, count(*) AS n
		FROM new_rows r
		GROUP BY 1, 2, 3, 4, 5, 6, 7),
	m AS (
		INSERT INTO line_notify.minute_count (channel, minute, accepted, delivered)
		SELECT g.channel, g.ended, sum(g.n), coalesce(sum(g.n) FILTER (WHERE g.state = 'delivered'), 0)
		FROM g
		WHERE g.state IN ('accepted', 'delivered') AND g.outcome = 'accepted'
		GROUP BY 1, 2)
	INSERT INTO line_notify.daily_count (channel, day, kind, aggregation_unit, outcome, n)
	SELECT g.channel, (o.at AT TIME ZONE 'Asia/Tokyo')::date,
		   CASE WHEN g.flexible THEN 'flexible' ELSE 'template' END, g.aggregation_unit, o.outcome, sum(g.n)
	FROM g,
		 LATERAL (SELECT g.state::text, CASE WHEN g.state = 'delivered' THEN coalesce(g.delivered, g.ended) ELSE g.ended END
				  -- the event overtook the answer
				  UNION ALL SELECT 'accepted', g.ended WHERE g.state = 'delivered' AND g.outcome = 'accepted') o(outcome, at)
	GROUP BY 1, 2, 3, 4, 5;
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
		IF upto < horizon THEN
			again := true;
		ELSE
			next_at := least(next_at, upto + silence_after + interval '1 second');
		END IF;
	END LOOP;
	SELECT _sweep_silence.again OR u.again, least(_sweep_silence.next_at, u.next_at) INTO again, next_at
	FROM line_notify._sweep_unconfirmed() u;
	IF NOT again THEN
		PERFORM line_notify._sum_up(silence_after);
	END IF;
END
$$;
REVOKE ALL ON FUNCTION line_notify._sweep_silence(interval) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._sweep_silence(interval) IS 'judges the silence after one more minute of accepted messages of each channel; says whether to go on, else when there will be more';

-- Messages of which nothing was heard within confirm_within: an outcome for
-- consumers, while the message stays accepted.  What was accepted more than an
-- hour before the setting was made is left alone.
CREATE FUNCTION line_notify._sweep_unconfirmed(OUT again boolean, OUT next_at timestamptz)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_bitmapscan = on SET enable_hashjoin = on
AS $$
DECLARE
	c record;
	m record;
	horizon timestamptz;
	upto timestamptz;
BEGIN
	again := false;
	next_at := 'infinity';
	FOR c IN SELECT n.name, n.confirm_within,
					coalesce(s.unconfirmed, clock_timestamp() - n.confirm_within - interval '1 hour') AS mark
			 FROM line_notify.channel n LEFT JOIN line_notify.sweep_mark s ON s.channel = n.name
			 WHERE n.confirm_within IS NOT NULL
	LOOP
		horizon := clock_timestamp() - c.confirm_within;
		SELECT x.minute, sum(x.accepted) > sum(x.delivered) AS silent INTO m
		FROM line_notify.minute_count x
		WHERE x.channel = c.name AND x.minute >= date_trunc('minute', c.mark) AND x.accepted > 0
		  AND x.minute + interval '1 minute' > c.mark
		GROUP BY x.minute ORDER BY x.minute LIMIT 1;
		CONTINUE WHEN NOT FOUND;
		IF greatest(m.minute, c.mark) >= horizon THEN
			next_at := least(next_at, greatest(m.minute, c.mark) + c.confirm_within + interval '1 second');
			CONTINUE;
		END IF;
		upto := least(m.minute + interval '1 minute', horizon);
		IF m.silent THEN
			WITH h AS (
				UPDATE line_notify.history h SET revision = 1
				WHERE h.channel = c.name AND h.state = 'accepted' AND h.revision IS NULL
				  AND h.ended_at >= greatest(m.minute, c.mark) AND h.ended_at < upto
				RETURNING h.id, h.channel)
			INSERT INTO line_notify.outcome (consumer, id, channel, outcome, revision, correction)
			SELECT k.name, h.id, h.channel, 'unconfirmed', 1, false
			FROM h, line_notify.consumer k WHERE 'unconfirmed' = ANY (k.outcomes);
		END IF;
		INSERT INTO line_notify.sweep_mark AS s (channel, unconfirmed) VALUES (c.name, upto)
		ON CONFLICT (channel) DO UPDATE SET unconfirmed = excluded.unconfirmed;
		again := true;
	END LOOP;
END
$$;
REVOKE ALL ON FUNCTION line_notify._sweep_unconfirmed() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._sweep_unconfirmed() IS 'notes the outcome unconfirmed for one more minute of accepted messages of each channel';

CREATE TABLE line_notify.delivered_counts (
	channel			text COLLATE "C" NOT NULL,
	day				date NOT NULL,
	kind			text NOT NULL CHECK (kind IN ('template', 'flexible')),
	status			text NOT NULL,
	messages		bigint,
	fetched_at		timestamptz NOT NULL DEFAULT clock_timestamp(),
	PRIMARY KEY (channel, day, kind)
);
COMMENT ON TABLE line_notify.delivered_counts IS 'LINE''s own count of messages delivered on a day (UTC+9): what it bills';
COMMENT ON COLUMN line_notify.delivered_counts.status IS 'LINE''s word: ready, unready (asked again hourly), out_of_service, ...; or why there was no answer';

CREATE TABLE line_notify.engagement_count (
	channel			text COLLATE "C" NOT NULL,
	month			date NOT NULL,
	aggregation_unit text COLLATE "C" NOT NULL,
	upto			date NOT NULL,
	status			text NOT NULL,
	opened			bigint,
	clicked			bigint,
	fetched_at		timestamptz NOT NULL DEFAULT clock_timestamp(),
	PRIMARY KEY (channel, month, aggregation_unit)
);
COMMENT ON TABLE line_notify.engagement_count IS 'LINE''s figures about the messages of an aggregation unit in a month (UTC+9); see view engagement';
COMMENT ON COLUMN line_notify.engagement_count.upto IS 'last day that the figures are about';
COMMENT ON COLUMN line_notify.engagement_count.status IS 'ready, or why the last question had no answer; the figures before it stay';
COMMENT ON COLUMN line_notify.engagement_count.opened IS 'people to whom a message was shown; NULL: LINE tells nothing below 20';
COMMENT ON COLUMN line_notify.engagement_count.clicked IS 'people who opened a URL of a message; NULL: LINE tells nothing below 20';

CREATE TABLE line_notify.unit_usage (
	channel			text COLLATE "C" NOT NULL,
	month			date NOT NULL,
	status			text NOT NULL,
	units			bigint,
	fetched_at		timestamptz NOT NULL DEFAULT clock_timestamp(),
	PRIMARY KEY (channel, month)
);
COMMENT ON TABLE line_notify.unit_usage IS 'How many names of aggregation units LINE counted in a month (UTC+9); beyond 1,000 it drops new ones silently, see health()';

-- Channels that LINE can be asked about now.
CREATE FUNCTION line_notify._asking_channels(home bigint) RETURNS SETOF text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT c.name
	FROM line_notify.channel c
	WHERE c.home = _asking_channels.home AND c.paused_at IS NULL
	  AND EXISTS (SELECT FROM line_notify.credential x WHERE x.channel = c.name AND x.kind IN ('access_token', 'client_secret', 'jwt_key'))
	  AND NOT EXISTS (SELECT FROM line_notify.token_status s WHERE s.channel = c.name)
$$;
REVOKE ALL ON FUNCTION line_notify._asking_channels(bigint) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._asking_channels(bigint) IS 'channels that LINE can be asked about now';

-- What to ask for.  Days on which LINE took something from us, the oldest
-- first; LINE counts a day during the next one.  Then, once a day from one in
-- the morning (UTC+9), each aggregation unit of each month: LINE corrects its
-- figures for 14 days after a message reached the user, which it may a day
-- after it was accepted.  LINE allows 60 such questions an hour to a channel; we
-- put half of them, and the rest of the units wait their turn.
CREATE FUNCTION line_notify._wanted_counts(home bigint, max integer,
	OUT channel text, OUT kind text, OUT day date, OUT upto date, OUT unit text)
RETURNS SETOF record
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	WITH c AS (SELECT name FROM line_notify._asking_channels(home) name),
	d AS (
		SELECT t.channel, t.kind, t.day, CASE WHEN t.aggregation_unit ~ '^[A-Za-z0-9_]{1,30}$' THEN t.aggregation_unit END AS unit
		FROM line_notify.daily_count t
		WHERE t.outcome = 'accepted' AND t.kind IN ('template', 'flexible')
		  AND t.day BETWEEN (clock_timestamp() AT TIME ZONE 'Asia/Tokyo')::date - 62
						AND (clock_timestamp() AT TIME ZONE 'Asia/Tokyo')::date - 1),
	today AS (
		SELECT x.eff AS day, (x.eff + interval '1 hour') AT TIME ZONE 'Asia/Tokyo' AS began
		FROM (SELECT ((clock_timestamp() AT TIME ZONE 'Asia/Tokyo') - interval '1 hour')::date AS eff) x),
	units AS (
		SELECT u.*, e.fetched_at,
			   row_number() OVER (PARTITION BY u.channel ORDER BY e.fetched_at NULLS FIRST, u.month, u.unit) AS turn
		FROM (SELECT d.channel, date_trunc('month', d.day::timestamp)::date AS month, d.unit, max(d.day) AS last
			  FROM d, today WHERE d.unit IS NOT NULL AND d.day < today.day GROUP BY 1, 2, 3) u
		CROSS JOIN today
		LEFT JOIN line_notify.engagement_count e ON e.channel = u.channel AND e.month = u.month AND e.aggregation_unit = u.unit
		WHERE u.channel IN (SELECT name FROM c)
		  AND u.last > today.day - 46
		  AND (e.status IS NULL
			   OR e.status = 'ready' AND e.fetched_at < today.began AND (e.fetched_at AT TIME ZONE 'Asia/Tokyo')::date <= u.last + 16
			   OR e.status ~ '^http 4' AND e.status <> 'http 429' AND e.fetched_at < today.began
			   OR e.status <> 'ready' AND (e.status !~ '^http 4' OR e.status = 'http 429') AND e.fetched_at < clock_timestamp() - interval '1 hour'))
	SELECT w.channel, w.kind, w.day, w.upto, w.unit
	FROM (
		SELECT 1 AS part, t.channel, t.kind, t.day, NULL::date AS upto, NULL::text AS unit
		FROM (SELECT DISTINCT d.channel, d.kind, d.day FROM d
			  WHERE d.day >= (clock_timestamp() AT TIME ZONE 'Asia/Tokyo')::date - 45) t
		LEFT JOIN line_notify.delivered_counts k ON k.channel = t.channel AND k.kind = t.kind AND k.day = t.day
		WHERE t.channel IN (SELECT name FROM c)
		  AND (k.status IS NULL
			   OR k.status NOT IN ('ready', 'out_of_service') AND k.fetched_at < clock_timestamp() - interval '1 hour')
		UNION ALL
		SELECT 2, n.channel, 'units', n.month, NULL, NULL
		FROM (SELECT DISTINCT d.channel, date_trunc('month', today.day::timestamp)::date AS month FROM d, today
			  WHERE d.unit IS NOT NULL AND d.day >= date_trunc('month', today.day::timestamp)::date AND d.day < today.day) n
		CROSS JOIN today
		LEFT JOIN line_notify.unit_usage x ON x.channel = n.channel AND x.month = n.month
		WHERE n.channel IN (SELECT name FROM c)
		  AND (x.status IS NULL OR x.fetched_at < today.began)
		UNION ALL
		SELECT 3, u.channel, 'engagement', u.month,
			   least((u.month + interval '1 month')::date - 1, today.day - 1), u.unit
		FROM units u, today
		WHERE u.turn <= 30 - (SELECT count(*) FROM line_notify.engagement_count e
							  WHERE e.channel = u.channel AND e.fetched_at > clock_timestamp() - interval '1 hour')) w
	ORDER BY w.part, w.day, w.channel, w.kind, w.unit
	LIMIT max
$$;
REVOKE ALL ON FUNCTION line_notify._wanted_counts(bigint, integer) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._wanted_counts(bigint, integer) IS 'which of LINE''s figures to ask for now';

CREATE FUNCTION line_notify._next_counts(home bigint) RETURNS timestamptz
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT least(
		-- one more round
		CASE WHEN (SELECT count(*) FROM line_notify._wanted_counts(home, 9)) > 8 THEN clock_timestamp() END,
		-- those that were not ready, if any; a moment apart, whatever the clock does
		(SELECT greatest(t.due, clock_timestamp() + interval '10 seconds')
		 FROM (SELECT least(
				  (SELECT min(k.fetched_at) + interval '1 hour' FROM line_notify.delivered_counts k
				   WHERE k.status NOT IN ('ready', 'out_of_service') AND k.channel IN (SELECT line_notify._asking_channels(home))
					 AND k.day >= (clock_timestamp() AT TIME ZONE 'Asia/Tokyo')::date - 45),
				  -- questions failed, or are put off because so many are allowed in an hour
				  (SELECT max(e.fetched_at) + interval '1 hour' FROM line_notify.engagement_count e
				   WHERE e.channel IN (SELECT line_notify._asking_channels(home))
					 AND e.fetched_at > clock_timestamp() - interval '1 hour'
				   GROUP BY e.channel
				   HAVING count(*) >= 22 OR bool_or(e.status <> 'ready')
				   ORDER BY 1 LIMIT 1))) t(due)
		 WHERE t.due IS NOT NULL),
		-- at one in the morning for the day before
		(((clock_timestamp() AT TIME ZONE 'Asia/Tokyo') - interval '1 hour')::date + 1 + interval '1 hour') AT TIME ZONE 'Asia/Tokyo')
$$;
REVOKE ALL ON FUNCTION line_notify._next_counts(bigint) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._next_counts(bigint) IS 'when to look for counts again';

-- An answer of LINE, or the lack of one.
CREATE FUNCTION line_notify._record_count(channel text, kind text, day date, upto date, unit text, status text, number bigint, clicked bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF kind = 'engagement' THEN
		INSERT INTO line_notify.engagement_count AS e (channel, month, aggregation_unit, upto, status, opened, clicked)
		VALUES (_record_count.channel, _record_count.day, _record_count.unit, _record_count.upto, _record_count.status,
				_record_count.number, _record_count.clicked)
		ON CONFLICT ON CONSTRAINT engagement_count_pkey DO UPDATE
			SET status = excluded.status, fetched_at = clock_timestamp(),
				upto = CASE excluded.status WHEN 'ready' THEN excluded.upto ELSE e.upto END,
				opened = CASE excluded.status WHEN 'ready' THEN excluded.opened ELSE e.opened END,
				clicked = CASE excluded.status WHEN 'ready' THEN excluded.clicked ELSE e.clicked END;
	ELSIF kind = 'units' THEN
		INSERT INTO line_notify.unit_usage AS x (channel, month, status, units)
		VALUES (_record_count.channel, _record_count.day, _record_count.status, _record_count.number)
		ON CONFLICT ON CONSTRAINT unit_usage_pkey DO UPDATE
			SET status = excluded.status, units = coalesce(excluded.units, x.units), fetched_at = clock_timestamp();
	ELSE
		INSERT INTO line_notify.delivered_counts AS k (channel, day, kind, status, messages)
		VALUES (_record_count.channel, _record_count.day, _record_count.kind, _record_count.status, _record_count.number)
		ON CONFLICT ON CONSTRAINT delivered_counts_pkey DO UPDATE
			SET status = excluded.status, messages = excluded.messages, fetched_at = clock_timestamp();
	END IF;
END
$$;
REVOKE ALL ON FUNCTION line_notify._record_count(text, text, date, date, text, text, bigint, bigint) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._record_count(text, text, date, date, text, text, bigint, bigint) IS 'keeps an answer of LINE about its figures';

CREATE VIEW line_notify.engagement WITH (security_barrier) AS
WITH ours AS (
	SELECT t.channel, date_trunc('month', t.day::timestamp)::date AS month, t.aggregation_unit,
		   coalesce(sum(t.messages) FILTER (WHERE t.outcome = 'accepted'), 0)::bigint AS accepted,
		   coalesce(sum(t.messages) FILTER (WHERE t.outcome = 'delivered'), 0)::bigint AS delivered,
		   max(t.day) AS last
	FROM line_notify.daily_totals t
	WHERE t.kind IN ('template', 'flexible') AND t.outcome IN ('accepted', 'delivered') AND t.aggregation_unit IS NOT NULL
	GROUP BY 1, 2, 3)
SELECT channel, month, aggregation_unit, o.accepted, o.delivered, e.opened, e.clicked,
	   round(e.opened::numeric / nullif(o.delivered, 0), 4) AS opened_share,
	   round(e.clicked::numeric / nullif(o.delivered, 0), 4) AS clicked_share,
	   e.upto, e.status, e.fetched_at,
	   e.status IS DISTINCT FROM 'ready' OR (e.fetched_at AT TIME ZONE 'Asia/Tokyo')::date <= o.last + 16 AS provisional
FROM ours o FULL JOIN line_notify.engagement_count e USING (channel, month, aggregation_unit);
COMMENT ON VIEW line_notify.engagement IS 'How the messages of an aggregation unit were received, by month (UTC+9): ours sent and delivered, LINE''s opened and clicked';
COMMENT ON COLUMN line_notify.engagement.aggregation_unit IS 'as sent; the key of the use case unless the message named another';
COMMENT ON COLUMN line_notify.engagement.opened IS 'people to whom a message was shown, as LINE counts; NULL: not asked yet, or fewer than 20, which LINE does not tell';
COMMENT ON COLUMN line_notify.engagement.clicked IS 'people who opened a URL of a message; NULL as above';
COMMENT ON COLUMN line_notify.engagement.opened_share IS 'opened / delivered; people are counted once, messages each: a unit that writes to the same people often has small shares';
COMMENT ON COLUMN line_notify.engagement.upto IS 'last day that LINE''s figures are about';
COMMENT ON COLUMN line_notify.engagement.status IS 'ready, or why LINE''s last answer could not be used; NULL = not asked yet';
COMMENT ON COLUMN line_notify.engagement.provisional IS 'LINE corrects its figures for 14 days after a message has reached the user; they are asked for daily until then';
GRANT SELECT ON line_notify.engagement TO pg_monitor;

CREATE TABLE line_notify.price (
	channel			text COLLATE "C" NOT NULL REFERENCES line_notify.channel ON DELETE CASCADE,
	valid_from		date NOT NULL,
	currency		text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
	per_message		numeric NOT NULL CHECK (per_message >= 0),
	monthly_fee		numeric NOT NULL DEFAULT 0 CHECK (monthly_fee >= 0),
	PRIMARY KEY (channel, valid_from)
);
COMMENT ON TABLE line_notify.price IS 'What LINE charges for a channel from a day on; see set_price()';

CREATE FUNCTION line_notify.set_price(channel text, per_message numeric, monthly_fee numeric DEFAULT 0,
	currency text DEFAULT 'JPY', valid_from date DEFAULT current_date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	INSERT INTO line_notify.price AS p (channel, valid_from, currency, per_message, monthly_fee)
	VALUES (set_price.channel, set_price.valid_from, set_price.currency, set_price.per_message, set_price.monthly_fee)
	ON CONFLICT ON CONSTRAINT price_pkey DO UPDATE
		SET currency = excluded.currency, per_message = excluded.per_message, monthly_fee = excluded.monthly_fee;
END
$$;
REVOKE ALL ON FUNCTION line_notify.set_price(text, numeric, numeric, text, date) FROM PUBLIC;
COMMENT ON FUNCTION line_notify.set_price(text, numeric, numeric, text, date) IS 'Price of a delivered message and fee of a month, from a day on; view reconciliation computes with it';

CREATE VIEW line_notify.reconciliation WITH (security_barrier) AS
WITH ours AS (
	SELECT t.channel, t.day, t.kind,
		   sum(t.messages) FILTER (WHERE t.outcome = 'accepted') AS accepted,
		   sum(t.messages) FILTER (WHERE t.outcome = 'delivered') AS delivered
	FROM line_notify.daily_totals t
	WHERE t.kind IN ('template', 'flexible') AND t.outcome IN ('accepted', 'delivered')
	GROUP BY 1, 2, 3),
days AS (
	SELECT channel, day, sum(o.accepted)::bigint AS accepted, coalesce(sum(o.delivered), 0)::bigint AS delivered,
		   sum(k.messages)::bigint AS line_count,
		   string_agg(DISTINCT k.status, ', ') AS line_status,
		   sum(coalesce(k.messages, o.delivered, 0))::bigint AS billed,
		   coalesce(bool_and(k.messages IS NOT NULL), false) AS complete
	FROM ours o FULL JOIN line_notify.delivered_counts k USING (channel, day, kind)
	GROUP BY channel, day),
priced AS (
	SELECT d.*, p.currency, d.billed * p.per_message AS cost
	FROM days d
	LEFT JOIN LATERAL (SELECT * FROM line_notify.price x WHERE x.channel = d.channel AND x.valid_from <= d.day
					   ORDER BY x.valid_from DESC LIMIT 1) p ON true)
SELECT 'day' AS period, channel, day AS starts, accepted, delivered, line_count, line_status,
	   CASE WHEN complete THEN line_count - delivered END AS difference, currency, cost, NOT complete AS provisional
FROM priced
UNION ALL
SELECT 'month', m.channel, m.starts, m.accepted, m.delivered, m.line_count, m.line_status, m.difference,
	   coalesce(m.currency, f.currency), coalesce(m.cost, 0) + f.monthly_fee, m.provisional
FROM (SELECT channel, date_trunc('month', day::timestamp)::date AS starts, sum(accepted)::bigint AS accepted, sum(delivered)::bigint AS delivered,
			 sum(line_count)::bigint AS line_count, string_agg(DISTINCT line_status, ', ') AS line_status,
			 CASE WHEN bool_and(complete) THEN (sum(line_count) - sum(delivered))::bigint END AS difference,
			 max(currency) AS currency, sum(cost) AS cost, NOT bool_and(complete) AS provisional
	  FROM priced GROUP BY 1, 2) m
LEFT JOIN LATERAL (SELECT * FROM line_notify.price x WHERE x.channel = m.channel AND x.valid_from < m.starts + interval '1 month'
				   ORDER BY x.valid_from DESC LIMIT 1) f ON true;
COMMENT ON VIEW line_notify.reconciliation IS 'Our deliveries beside LINE''s count, by day and by month (UTC+9), with the cost';
COMMENT ON COLUMN line_notify.reconciliation.difference IS 'LINE''s count minus our delivery events: positive when webhooks were lost; NULL until LINE has counted every kind';
COMMENT ON COLUMN line_notify.reconciliation.cost IS 'of LINE''s count, or of our delivery events where LINE has not counted yet; months with their fee';
COMMENT ON COLUMN line_notify.reconciliation.provisional IS 'LINE has not counted all of it yet';
GRANT SELECT ON line_notify.daily_totals, line_notify.reconciliation TO pg_monitor;

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
GRANT EXECUTE ON FUNCTION line_notify._workers() TO pg_monitor;
GRANT SELECT ON line_notify.workers TO pg_monitor;

CREATE FUNCTION line_notify._secret_fault(value text) RETURNS text
LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'line_notify_secret_fault';
REVOKE ALL ON FUNCTION line_notify._secret_fault(text) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._secret_fault(text) IS 'why the file of a credential cannot be read on this server, or NULL';

-- What to look at when requests get no answer, or a bad one.
CREATE FUNCTION line_notify._outage_hint(kind text, words text, api_base text, proxy text, total_timeout interval) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE
		WHEN kind = 'not_sent' AND words ~* 'resolv' THEN
			format('The name in %s cannot be resolved on this server: see its name service.', coalesce(proxy, api_base))
		WHEN kind = 'not_sent' AND words ~* 'certificate|ssl|tls' THEN
			'The certificate of the other side is not accepted: see ca_file, the system''s certificates, and the clock of this server.'
		WHEN kind = 'not_sent' AND proxy IS NOT NULL THEN
			format('Is the proxy %s up, and does it let this server through?', proxy)
		WHEN kind = 'not_sent' THEN
			format('Nothing was sent: can this server reach %s, and do firewalls let it?', api_base)
		WHEN kind = 'ambiguous' THEN
			format('Requests went out, and no complete answer came (total_timeout is %s): such messages end as unknown, or are sent again, as on_unknown says.', total_timeout)
		WHEN kind = 'server_error' THEN
			'The fault is on LINE''s side: see its status page. Such messages end as unknown, or are sent again, as on_server_error says.'
		ELSE 'It goes on by itself.' END
$$;
REVOKE ALL ON FUNCTION line_notify._outage_hint(text, text, text, text, interval) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._outage_hint(text, text, text, text, interval) IS 'what to look at after an outcome of this kind';

CREATE FUNCTION line_notify.health(OUT severity text, OUT subject text, OUT reason text, OUT hint text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	c record;
	x record;
	here bigint := line_notify._local_home();
	standby boolean := pg_is_in_recovery();
	n bigint;
	since timestamptz;
	moving boolean;
BEGIN
	-- ---- the server
	subject := 'server';
	severity := 'error';
	CASE line_notify._preload_state()
		WHEN 'not preloaded' THEN
			reason := 'line_notify is not in shared_preload_libraries: nothing is sent';
			hint := 'Add line_notify to shared_preload_libraries in postgresql.conf and restart the server; or CALL line_notify.drain() now and then.';
			RETURN NEXT;
		WHEN 'disabled' THEN
			reason := 'sending is switched off by line_notify.enabled';
			hint := 'Set line_notify.enabled = on and reload the configuration.';
			RETURN NEXT;
		WHEN 'no launcher' THEN
			IF NOT standby THEN
				reason := 'the launcher is not running';
				hint := 'It restarts by itself within seconds; see the server log, and max_worker_processes.';
				RETURN NEXT;
			END IF;
		ELSE NULL;
	END CASE;
	IF standby THEN
		severity := 'info';
		reason := 'this server is a standby: it sends nothing until it is promoted';
		hint := NULL;
		RETURN NEXT;
	END IF;
	IF current_setting('max_worker_processes')::integer < 2 THEN
		severity := 'error';
		reason := 'max_worker_processes leaves no room for the launcher and a worker';
		hint := 'Increase max_worker_processes and restart the server.';
		RETURN NEXT;
	END IF;
	FOR x IN
		SELECT coalesce('role ' || r.rolname, 'every role') ||
			   coalesce(' in database ' || d.datname, '') AS whose
		FROM pg_db_role_setting s
		LEFT JOIN pg_roles r ON r.oid = s.setrole
		LEFT JOIN pg_database d ON d.oid = s.setdatabase
		WHERE (s.setdatabase = 0 OR d.datname = current_database())
		  AND EXISTS (SELECT FROM unnest(s.setconfig) u
					  WHERE u ~* '^line_notify\.enqueue=(off|false|no|0|f|n)$')
	LOOP
		severity := 'warning';
		reason := format('line_notify.enqueue is off for %s: what it inserts is not queued', x.whose);
		hint := 'ALTER ROLE or ALTER DATABASE ... RESET line_notify.enqueue ends that.';
		RETURN NEXT;
	END LOOP;

	-- ---- the worker of this database
	FOR x IN SELECT * FROM line_notify._workers() w
			 WHERE w.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
			   AND (w.state NOT IN ('running', 'idle') OR w.last_error <> '')
	LOOP
		severity := CASE WHEN x.state IN ('no slot', 'version') THEN 'error' ELSE 'warning' END;
		subject := 'worker';
		reason := CASE x.state
			WHEN 'no slot' THEN 'no free background worker slot'
			WHEN 'backoff' THEN 'the worker stopped with an error and is started again after a pause'
			WHEN 'held' THEN 'the worker stepped aside for a command on this database'
			WHEN 'version' THEN 'library and extension versions do not match'
			WHEN 'running' THEN 'the worker runs, and something failed'
			ELSE 'the worker is ' || x.state END || coalesce(': ' || nullif(x.last_error, ''), '');
		hint := CASE x.state
			WHEN 'no slot' THEN 'You may need to increase "max_worker_processes".'
			WHEN 'version' THEN format('Run ALTER EXTENSION line_notify UPDATE in database "%s", or restart the server after an upgrade of the package.', current_database())
			WHEN 'held' THEN 'It comes back when the command is done.'
			ELSE 'It tries again by itself; the server log has the error.'
			END;
		RETURN NEXT;
	END LOOP;
	IF NOT standby AND line_notify._preload_state() = 'ok'
		AND NOT EXISTS (SELECT FROM line_notify._workers() k WHERE k.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()))
		AND (SELECT count(*) FROM line_notify._workers() k WHERE k.database IS NOT NULL) >= current_setting('line_notify.max_databases')::integer
	THEN
		subject := 'worker';
		severity := 'error';
		reason := 'there is no place for this database: nothing is sent from it';
		hint := 'Increase line_notify.max_databases and restart the server.';
		RETURN NEXT;
	END IF;
	IF NOT standby THEN
		subject := 'worker';
		severity := 'warning';
		SELECT count(*) INTO n FROM line_notify.in_flight f
		WHERE f.claimed_at < clock_timestamp() - interval '15 minutes';
		IF n > 0 THEN
			reason := format('%s messages were claimed more than 15 minutes ago and their outcome is not recorded', n);
			hint := 'They are recovered when a worker of the place that claimed them runs; see view workers.';
			RETURN NEXT;
		END IF;
		SELECT min(e.received_at) INTO since FROM line_notify.webhook_event e;
		IF since < clock_timestamp() - interval '5 minutes' THEN
			reason := format('delivery events wait since %s', date_trunc('second', since));
			hint := 'The worker of this database folds them into the messages; see view workers.';
			RETURN NEXT;
		END IF;
		SELECT a.pid, a.xact_start INTO x FROM pg_stat_activity a
		WHERE a.datname = current_database() AND a.backend_type = 'client backend' AND a.backend_xid IS NOT NULL
		  AND a.xact_start < clock_timestamp() - interval '1 hour'
		ORDER BY a.xact_start LIMIT 1;
		IF FOUND THEN
			severity := 'info';
			reason := format('process %s has a transaction open since %s: what it queued waits for its COMMIT, and claims become slower', x.pid, date_trunc('second', x.xact_start));
			hint := 'See pg_stat_activity.';
			RETURN NEXT;
		END IF;
	END IF;

	FOR x IN SELECT i.doubt_before, i.doubt_until FROM line_notify.identity i WHERE i.home = here AND i.doubt_before IS NOT NULL
	LOOP
		severity := 'warning';
		subject := 'promotion';
		reason := format('messages due before %s may have been sent by the former primary: they wait until %s for delivery events', x.doubt_before, x.doubt_until);
		hint := 'Then line_notify.on_promotion decides: hold ends them as unknown, send sends them. With a synchronous standby there is no doubt.';
		RETURN NEXT;
	END LOOP;

	-- ---- channels
	IF NOT EXISTS (SELECT FROM line_notify.channel) THEN
		severity := 'info';
		subject := 'channels';
		reason := 'there is no channel yet';
		hint := 'SELECT line_notify.create_channel(''name'', line_channel_id => ''...'');';
		RETURN NEXT;
	END IF;
	-- one probe for each channel that has messages
	FOR x IN
		WITH RECURSIVE k AS (
			(SELECT o.channel FROM line_notify.outbox o ORDER BY o.channel LIMIT 1)
			UNION ALL
			SELECT n.channel FROM k, LATERAL (
				SELECT o.channel FROM line_notify.outbox o WHERE o.channel > k.channel ORDER BY o.channel LIMIT 1) n)
		SELECT k.channel FROM k WHERE NOT EXISTS (SELECT FROM line_notify.channel h WHERE h.name = k.channel)
	LOOP
		severity := 'error';
		subject := format('channel %s', x.channel);
		reason := 'messages wait for this channel, and it does not exist';
		hint := format('Make it again with line_notify.create_channel(%1$L, ...), or end them: SELECT line_notify.cancel(ids => ARRAY(SELECT id FROM line_notify.notifications WHERE channel = %1$L AND state = ''queued''));', x.channel);
		RETURN NEXT;
	END LOOP;
	FOR c IN SELECT * FROM line_notify.channel k ORDER BY k.name
	LOOP
		subject := format('channel %s', c.name);
		moving := NOT standby;
		IF c.home IS DISTINCT FROM here THEN
			severity := 'error';
			reason := format('disarmed: this database or node ("%s") is not where the channel was armed (%s)', line_notify._node(),
				coalesce((SELECT 'nodes ' || array_to_string(i.nodes, ', ') FROM line_notify.identity i WHERE i.home = c.home), 'unknown'));
			hint := CASE WHEN standby
				THEN 'After promotion it would send nothing. If it should, run on the primary: SELECT line_notify.arm(nodes => ...); with both nodes.'
				ELSE 'If messages shall be sent from here, and no longer from there, run SELECT line_notify.arm();' END;
			RETURN NEXT;
			moving := false;
		END IF;
		IF c.paused_at IS NOT NULL THEN
			severity := 'error';
			reason := 'paused: ' || coalesce(c.pause_reason, 'by an operator');
			hint := CASE WHEN c.pause_automatic
				THEN format('LINE refuses the access token, and is asked again by itself. Another one, by line_notify.set_credential(%1$L, ...), or SELECT line_notify.resume(%1$L); resumes at once.', c.name)
				ELSE format('When the cause is mended: SELECT line_notify.resume(%L);', c.name) END;
			RETURN NEXT;
			moving := false;
		END IF;
		FOR x IN SELECT * FROM line_notify.partial_pause q WHERE q.channel = c.name ORDER BY q.scope, q.subject
		LOOP
			severity := 'error';
			reason := format('paused %s: %s', line_notify._paused_part(x.scope, x.subject), x.reason);
			-- no more than that part: somebody may have paused the channel, too
			hint := format('When the cause is mended: SELECT line_notify.resume(%L%s);', c.name,
						   CASE WHEN x.scope = 'template' THEN format(', template_key => %L', x.subject)
								WHEN x.scope IN ('use_case', 'design') AND x.subject <> '' THEN format(', use_case => %L', x.subject) END);
			RETURN NEXT;
			moving := false;
		END LOOP;
		IF c.daily_budget <= (SELECT d.sent FROM line_notify.daily_sent d
							  WHERE d.channel = c.name AND d.day = (clock_timestamp() AT TIME ZONE c.time_zone)::date) THEN
			severity := 'warning';
			reason := format('the daily budget of %s messages is used up', c.daily_budget);
			hint := format('It goes on at midnight (%s); SELECT line_notify.alter_channel(%L, daily_budget => ...); raises it.', c.time_zone, c.name);
			RETURN NEXT;
			moving := false;
		END IF;
		IF line_notify._quiet_until(c.quiet_hours, c.time_zone, clock_timestamp()) IS NOT NULL THEN
			severity := 'info';
			reason := format('quiet hours until %s', line_notify._quiet_until(c.quiet_hours, c.time_zone, clock_timestamp()));
			hint := NULL;
			RETURN NEXT;
			moving := false;
		END IF;
		IF NOT EXISTS (SELECT FROM line_notify.credential k WHERE k.channel = c.name AND k.kind IN ('access_token', 'client_secret', 'jwt_key')) THEN
			severity := 'error';
			reason := 'no credential to send with';
			hint := format('SELECT line_notify.set_credential(%L, ''access_token'', ''file:/path'');', c.name);
			RETURN NEXT;
			moving := false;
		END IF;
		FOR x IN SELECT k.kind, line_notify._secret_fault(k.value) AS fault FROM line_notify.credential k
				 WHERE k.channel = c.name AND k.value LIKE 'file:%' ORDER BY k.kind
		LOOP
			CONTINUE WHEN x.fault IS NULL;
			severity := 'error';
			reason := format('the file of credential %s: %s', x.kind, x.fault);
			hint := 'The file must be readable by the server''s user, and by nobody else, on every node that may send.';
			RETURN NEXT;
		END LOOP;
		IF c.ca_file IS NOT NULL AND pg_stat_file(c.ca_file, true) IS NULL THEN
			severity := 'error';
			reason := 'ca_file does not exist on this server';
			hint := format('Install it on every node that may send, or SELECT line_notify.alter_channel(%L, ca_file => '''');', c.name);
			RETURN NEXT;
		END IF;
		CONTINUE WHEN standby;

		SELECT 'error', format('no access token since %s: %s', date_trunc('second', t.since), t.error),
			format('It is asked for again by itself, every minute at least; SELECT * FROM line_notify.check_channel(%L) tries each step now.', c.name)
		INTO severity, reason, hint
		FROM line_notify.token_status t WHERE t.channel = c.name;
		IF FOUND THEN
			RETURN NEXT;
			moving := false;
		END IF;
		FOR x IN SELECT s.endpoint, s.breaker, s.breaker_until, s.blocked_until, s.last_error_text
				 FROM line_notify._stats() s
				 WHERE s.channel = c.name
				   AND s.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
				   AND (s.breaker <> 'closed' OR s.blocked_until > clock_timestamp())
				 ORDER BY s.endpoint
		LOOP
			moving := false;
			severity := 'warning';
			IF x.blocked_until > clock_timestamp() THEN
				reason := format('%s messages: LINE said wait until %s%s', x.endpoint, date_trunc('second', x.blocked_until),
								 ', ' || x.last_error_text);
				hint := 'It goes on by itself. If 429 is frequent, lower rate_limit; LINE''s plan may also have a monthly limit. A 503 is an overload or maintenance at LINE.';
				RETURN NEXT;
			-- one breaker serves both endpoints
			ELSIF x.endpoint = (SELECT min(s.endpoint) FROM line_notify._stats() s
								WHERE s.channel = c.name AND s.breaker <> 'closed'
								  AND s.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())) THEN
				SELECT format('the circuit breaker is %s: a run of requests failed%s', x.breaker,
							  format(', last %s at %s', concat_ws(': ', s.last_error, s.last_error_text), date_trunc('second', s.last_error_at))),
					   format('%s It goes on by itself when a question, and then a message, is answered; SELECT * FROM line_notify.check_channel(%L) tries each step now.',
							  line_notify._outage_hint(s.last_error, s.last_error_text, c.api_base, c.proxy, c.total_timeout), c.name)
				INTO reason, hint
				FROM line_notify._stats() s
				WHERE s.channel = c.name AND s.last_error IS NOT NULL
				  AND s.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
				ORDER BY s.last_error_at DESC LIMIT 1;
				IF NOT FOUND THEN
					reason := format('the circuit breaker is %s: a run of requests failed', x.breaker);
					hint := format('SELECT * FROM line_notify.check_channel(%L) tries each step now.', c.name);
				END IF;
				RETURN NEXT;
			END IF;
		END LOOP;

		-- late for no reason above?
		IF moving THEN
			SELECT min(f.due_at) INTO since
			FROM generate_series(0, 41) lane,
				 LATERAL (SELECT o.due_at FROM line_notify.outbox o
						  WHERE o.channel = c.name AND o.lane = lane::smallint AND o.home = here AND o.state = 'queued'
							AND NOT EXISTS (SELECT FROM line_notify.in_flight f WHERE f.id = o.id)
						  ORDER BY o.due_at LIMIT 1) f;
			IF since < clock_timestamp() - interval '1 minute' THEN
				severity := 'warning';
				reason := format('messages that are due wait since %s', date_trunc('second', since));
				hint := 'More are due than the rate limit lets pass, or no worker runs; see views stats, workers and batches.';
				RETURN NEXT;
			END IF;
		END IF;
		FOR x IN SELECT u.units, u.month FROM line_notify.unit_usage u
				 WHERE u.channel = c.name AND u.units >= 900
				   AND u.month = date_trunc('month', clock_timestamp() AT TIME ZONE 'Asia/Tokyo')::date
		LOOP
			severity := 'warning';
			reason := format('LINE counts %s names of aggregation units this month; beyond 1,000 it keeps no statistics of new ones', x.units);
			hint := 'Use few, stable names (the default is the key of the use case); messages are sent nevertheless.';
			RETURN NEXT;
		END LOOP;
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
		-- the latest messages only: this must stay cheap
		SELECT count(*) INTO n
		FROM (SELECT h.state, h.ended_at, h.channel FROM line_notify.history h ORDER BY h.id DESC LIMIT 100000) h
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
-- Each takes named filters that are combined by AND, needs at least one of
-- them, and leaves a line in operations.
--

CREATE TABLE line_notify.operations (
	seq				bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
	at				timestamptz NOT NULL DEFAULT clock_timestamp(),
	role			name NOT NULL,
	login			name NOT NULL DEFAULT session_user,
	verb			text NOT NULL,
	filter			jsonb NOT NULL,
	dry_run			boolean NOT NULL,
	count			bigint NOT NULL
);
ALTER TABLE line_notify.operations ALTER filter SET STATISTICS 0;
COMMENT ON TABLE line_notify.operations IS 'Who did what: every call of a verb, dry runs and searches of support staff included; kept for line_notify.operations_retention';
COMMENT ON COLUMN line_notify.operations.role IS 'acting role, after SET ROLE';
COMMENT ON COLUMN line_notify.operations.login IS 'role that logged in';
COMMENT ON COLUMN line_notify.operations.filter IS 'filters and arguments as given; no telephone number, and of ids at most the first 100';
COMMENT ON COLUMN line_notify.operations.count IS 'messages that were changed or found; of a dry run, would have been';

CREATE FUNCTION line_notify._log_operation(verb text, filter jsonb, dry_run boolean, count bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF dry_run IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'null_value_not_allowed',
			MESSAGE = 'dry_run must be true or false';
	END IF;
	IF jsonb_array_length(filter -> 'ids') > 100 THEN
		filter := filter || jsonb_build_object(
			'ids', jsonb_path_query_array(filter, '$.ids[0 to 99]'),
			'number_of_ids', jsonb_array_length(filter -> 'ids'));
	END IF;
	INSERT INTO line_notify.operations (role, verb, filter, dry_run, count)
	VALUES (line_notify._caller(), verb, filter, dry_run, count);
END
$$;
REVOKE ALL ON FUNCTION line_notify._log_operation(text, jsonb, boolean, bigint) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._log_operation(text, jsonb, boolean, bigint) IS 'writes a line of operations';

CREATE FUNCTION line_notify._filter(ids bigint[], batch text, reference text, dedup_key text, channel text,
	use_case line_notify.use_case, template_key text, state line_notify.message_state,
	from_time timestamptz, to_time timestamptz) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	f jsonb := jsonb_strip_nulls(jsonb_build_object('ids', ids, 'batch', batch, 'reference', reference,
		'dedup_key', dedup_key, 'channel', channel, 'use_case', use_case, 'template_key', template_key,
		'state', state, 'from_time', from_time, 'to_time', to_time));
BEGIN
	IF f = '{}' THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'a filter is needed',
			DETAIL = 'Without one, every message of every channel would be meant.',
			HINT = 'If so, say from_time => ''-infinity''.';
	END IF;
	IF array_position(ids, NULL) IS NOT NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'null_value_not_allowed',
			MESSAGE = 'ids must not contain NULL';
	END IF;
	IF channel IS NOT NULL AND NOT EXISTS (SELECT FROM line_notify.channel c WHERE c.name = _filter.channel) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_object',
			MESSAGE = format('channel "%s" does not exist', channel),
			HINT = 'View line_notify.channels lists the channels.';
	END IF;
	RETURN f;
END
$$;
REVOKE ALL ON FUNCTION line_notify._filter FROM PUBLIC;
COMMENT ON FUNCTION line_notify._filter IS 'the filters of a verb as one value, checked';

-- The condition that a filter stands for, over a table with alias m; $1 is
-- the array of ids.  Values are quoted as literals, so that the planner knows
-- them, and NULL (no filter) drops out of the concatenation.
CREATE FUNCTION line_notify._condition(filter jsonb) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT concat_ws(' AND ',
		CASE WHEN filter ? 'ids' THEN 'm.id = ANY ($1)' ELSE '$1 IS NULL' END,
		'm.batch = ' || quote_literal(filter ->> 'batch'),
		'm.reference = ' || quote_literal(filter ->> 'reference'),
		'm.dedup_key = ' || quote_literal(filter ->> 'dedup_key'),
		'm.channel = ' || quote_literal(filter ->> 'channel'),
		'm.use_case = ' || quote_literal(filter ->> 'use_case') || '::line_notify.use_case',
		'm.template_key = ' || quote_literal(filter ->> 'template_key'),
		'm.state = ' || quote_literal(filter ->> 'state') || '::line_notify.message_state',
		'm.created_at >= ' || quote_literal(filter ->> 'from_time') || '::timestamptz',
		'm.created_at < ' || quote_literal(filter ->> 'to_time') || '::timestamptz')
$$;
REVOKE ALL ON FUNCTION line_notify._condition(jsonb) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._condition(jsonb) IS 'a filter as SQL';

-- The ids that a filter matches, in order, ten thousand at a time: one pass
-- over the table, and what does not fit into work_mem is sorted on disk.
CREATE FUNCTION line_notify._chunks(of text, states line_notify.message_state[], filter jsonb, ids bigint[])
RETURNS SETOF bigint[]
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_hashagg = off ROWS 30
AS $$
BEGIN
	RETURN QUERY EXECUTE format(
		'SELECT array_agg(x.id ORDER BY x.id)'
		' FROM (SELECT m.id, row_number() OVER (ORDER BY m.id) AS n FROM line_notify.%I m'
		'		WHERE m.state = ANY ($2) AND %s) x'
		' GROUP BY (x.n - 1) / 10000 ORDER BY (x.n - 1) / 10000', of, line_notify._condition(filter))
		USING ids, states;
END
$$;
REVOKE ALL ON FUNCTION line_notify._chunks(text, line_notify.message_state[], jsonb, bigint[]) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._chunks(text, line_notify.message_state[], jsonb, bigint[]) IS 'ids of the messages in outbox or history that a filter matches';

CREATE FUNCTION line_notify.cancel(
	ids bigint[] DEFAULT NULL, batch text DEFAULT NULL, reference text DEFAULT NULL,
	dedup_key text DEFAULT NULL, channel text DEFAULT NULL, use_case line_notify.use_case DEFAULT NULL,
	template_key text DEFAULT NULL, state line_notify.message_state DEFAULT NULL,
	from_time timestamptz DEFAULT NULL, to_time timestamptz DEFAULT NULL,
	reason text DEFAULT NULL, dry_run boolean DEFAULT false,
	OUT cancelled bigint, OUT unknown bigint, OUT sending bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	f jsonb := line_notify._filter(ids, batch, reference, dedup_key, channel, use_case, template_key, state, from_time, to_time);
	chunk bigint[];
	r record;
BEGIN
	PERFORM line_notify._assert_read_committed();
	cancelled := 0;
	unknown := 0;
	sending := 0;
	FOR chunk IN SELECT k FROM line_notify._chunks('outbox', '{queued}', f, ids) k
	LOOP
		IF dry_run THEN
			SELECT count(*) FILTER (WHERE f.id IS NULL AND NOT o.maybe_sent) AS ended,
				   count(*) FILTER (WHERE f.id IS NULL AND o.maybe_sent) AS unknown
			INTO r
			FROM line_notify.outbox o LEFT JOIN line_notify.in_flight f ON f.id = o.id
			WHERE o.id = ANY (chunk);
		ELSE
			r := line_notify._end_waiting(chunk, 'cancelled', coalesce('cancelled: ' || reason, 'cancelled'));
		END IF;
		cancelled := cancelled + r.ended;
		unknown := unknown + r.unknown;
		sending := sending + cardinality(chunk) - r.ended - r.unknown;
	END LOOP;
	PERFORM line_notify._log_operation('cancel', f || jsonb_strip_nulls(jsonb_build_object('reason', reason)),
									   dry_run, cancelled + unknown);
END
$$;
REVOKE ALL ON FUNCTION line_notify.cancel FROM PUBLIC;
COMMENT ON FUNCTION line_notify.cancel IS 'End waiting messages without sending them. Returns how many were cancelled, how many ended as unknown because an earlier attempt may have arrived, and how many were left alone because they are being sent right now (or ended meanwhile). from_time and to_time are about created_at';

CREATE FUNCTION line_notify.reschedule(
	ids bigint[] DEFAULT NULL, batch text DEFAULT NULL, reference text DEFAULT NULL,
	dedup_key text DEFAULT NULL, channel text DEFAULT NULL, use_case line_notify.use_case DEFAULT NULL,
	template_key text DEFAULT NULL, state line_notify.message_state DEFAULT NULL,
	from_time timestamptz DEFAULT NULL, to_time timestamptz DEFAULT NULL,
	send_after timestamptz DEFAULT NULL, spread interval DEFAULT NULL, expires_at timestamptz DEFAULT NULL,
	dry_run boolean DEFAULT false,
	OUT rescheduled bigint, OUT too_late bigint, OUT sending bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	f jsonb := line_notify._filter(ids, batch, reference, dedup_key, channel, use_case, template_key, state, from_time, to_time);
	chunk bigint[];
	late bigint;
	n bigint;
BEGIN
	PERFORM line_notify._assert_read_committed();
	PERFORM line_notify._check_times(send_after, spread, expires_at);
	IF send_after IS NULL AND spread IS NULL AND expires_at IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'nothing to change',
			HINT = 'Give send_after, spread or expires_at.';
	END IF;
	rescheduled := 0;
	too_late := 0;
	sending := 0;
	FOR chunk IN SELECT k FROM line_notify._chunks('outbox', '{queued}', f, ids) k
	LOOP
		IF NOT dry_run THEN
			PERFORM FROM line_notify.outbox o
			WHERE o.id = ANY (chunk) AND NOT EXISTS (SELECT FROM line_notify.in_flight l WHERE l.id = o.id)
			ORDER BY o.id FOR UPDATE OF o;
		END IF;
		-- What would expire before its new time stays as it is.  The locks gave
		-- this transaction its id before the clock is read; see horizon.h.
		SELECT count(*) INTO late FROM line_notify.outbox o
		WHERE o.id = ANY (chunk)
		  AND coalesce(reschedule.expires_at, o.expires_at)
			  <= greatest(coalesce(reschedule.send_after, o.send_after), clock_timestamp()) + coalesce(reschedule.spread, '0')
		  AND NOT EXISTS (SELECT FROM line_notify.in_flight l WHERE l.id = o.id);
		IF dry_run THEN
			SELECT count(*) - late INTO n FROM line_notify.outbox o
			WHERE o.id = ANY (chunk)
			  AND NOT EXISTS (SELECT FROM line_notify.in_flight l WHERE l.id = o.id);
		ELSE
			UPDATE line_notify.outbox o SET
				due_at = CASE WHEN reschedule.send_after IS NULL AND reschedule.spread IS NULL THEN o.due_at
							  ELSE greatest(coalesce(reschedule.send_after, o.send_after), clock_timestamp())
								   + random() * coalesce(reschedule.spread, '0') END,
				send_after = coalesce(reschedule.send_after, o.send_after),
				spread = coalesce(reschedule.spread, o.spread),
				expires_at = coalesce(reschedule.expires_at, o.expires_at)
			WHERE o.id = ANY (chunk) AND o.state = 'queued'
			  AND coalesce(reschedule.expires_at, o.expires_at)
				  > greatest(coalesce(reschedule.send_after, o.send_after), clock_timestamp()) + coalesce(reschedule.spread, '0')
			  AND NOT EXISTS (SELECT FROM line_notify.in_flight l WHERE l.id = o.id);
			GET DIAGNOSTICS n = ROW_COUNT;
		END IF;
		rescheduled := rescheduled + n;
		too_late := too_late + late;
		sending := sending + cardinality(chunk) - late - n;
	END LOOP;
	IF NOT dry_run THEN
		PERFORM line_notify._rescan();
	END IF;
	PERFORM line_notify._log_operation('reschedule',
		f || jsonb_strip_nulls(jsonb_build_object('send_after', send_after, 'spread', spread, 'expires_at', expires_at)),
		dry_run, rescheduled);
END
$$;
REVOKE ALL ON FUNCTION line_notify.reschedule FROM PUBLIC;
COMMENT ON FUNCTION line_notify.reschedule IS 'Give waiting messages another time (past = now), a random spread, another expiry. Returns how many were changed, how many were not because they would expire before their new time (give expires_at too), and how many are being sent right now (or ended meanwhile)';

CREATE FUNCTION line_notify._check_times(send_after timestamptz, spread interval, expires_at timestamptz) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF send_after = 'infinity' OR expires_at = 'infinity' THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'send_after and expires_at must be finite';
	END IF;
	IF expires_at <= clock_timestamp() THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'expires_at is in the past',
			HINT = 'line_notify.cancel() ends messages.';
	END IF;
	IF spread < '0' OR spread > '366 days' THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'spread is out of range',
			DETAIL = 'The range is 0 to 366 days.';
	END IF;
	IF expires_at <= greatest(send_after, clock_timestamp()) + coalesce(spread, '0') THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'expires_at is not after send_after and spread';
	END IF;
END
$$;
REVOKE ALL ON FUNCTION line_notify._check_times(timestamptz, interval, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._check_times(timestamptz, interval, timestamptz) IS 'raises 22023 for times that no message can have';

-- A message keeps its id through a second life, so that the application's and
-- LINE's references to it stay good, and a late delivery event of the first
-- life still stops the second.  The first life's end goes to attempt_log.
CREATE FUNCTION line_notify.redrive(
	ids bigint[] DEFAULT NULL, batch text DEFAULT NULL, reference text DEFAULT NULL,
	dedup_key text DEFAULT NULL, channel text DEFAULT NULL, use_case line_notify.use_case DEFAULT NULL,
	template_key text DEFAULT NULL, state line_notify.message_state DEFAULT NULL,
	from_time timestamptz DEFAULT NULL, to_time timestamptz DEFAULT NULL,
	allow_duplicates boolean DEFAULT false,
	send_after timestamptz DEFAULT NULL, spread interval DEFAULT NULL, expires_at timestamptz DEFAULT NULL,
	dry_run boolean DEFAULT false,
	OUT redriven bigint, OUT maybe_sent bigint, OUT impossible bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	f jsonb := line_notify._filter(ids, batch, reference, dedup_key, channel, use_case, template_key, state, from_time, to_time);
	states line_notify.message_state[];
	chunk bigint[];
	now_there bigint;
	perhaps bigint;
	forgotten timestamptz;
	n bigint;
BEGIN
	PERFORM line_notify._assert_read_committed();
	PERFORM line_notify._check_times(send_after, spread, expires_at);
	-- a template message that old without a body may have had one
	PERFORM line_notify._caller();		-- loads the library, and so the setting
	SELECT clock_timestamp() - s.setting::integer * interval '1 minute' INTO forgotten
	FROM pg_settings s WHERE s.name = 'line_notify.payload_retention' AND s.setting::integer >= 0;
	IF state IN ('queued', 'sending') THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = format('messages in state %s have not ended', state),
			HINT = 'line_notify.reschedule() moves waiting messages.';
	ELSIF state = 'invalid' THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'invalid messages cannot be sent again',
			DETAIL = 'Their recipient is not known: the number was not valid, and numbers are not kept.',
			HINT = 'Insert the corrected message.';
	ELSIF state = 'suppressed' THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'suppressed messages cannot be sent again',
			DETAIL = 'The recipient objected.';
	ELSIF state IN ('unknown', 'accepted', 'delivered', 'undelivered') AND allow_duplicates IS NOT TRUE THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = format('messages in state %s may have been sent', state),
			HINT = 'If a second copy does less harm than none, say allow_duplicates => true.';
	END IF;
	-- Unless it is named: not what ended as it should (cancelled), nor what
	-- would end the same way again (unreachable), nor what went well.
	states := CASE WHEN state IS NOT NULL THEN ARRAY[state]
				   WHEN allow_duplicates THEN '{failed,expired,refused,unknown}'
				   ELSE '{failed,expired,refused}' END;
	redriven := 0;
	maybe_sent := 0;
	impossible := 0;
	PERFORM pg_current_xact_id();		-- before the clock is read; see horizon.h
	FOR chunk IN SELECT k FROM line_notify._chunks('history', states, f, ids) k
	LOOP
		SELECT count(*) INTO perhaps FROM line_notify.history h
		WHERE h.id = ANY (chunk) AND h.maybe_sent AND NOT allow_duplicates;
		IF dry_run THEN
			SELECT count(*) INTO n FROM line_notify.history h JOIN line_notify.channel c ON c.name = h.channel
			WHERE h.id = ANY (chunk) AND h.state = ANY (states) AND (allow_duplicates OR NOT h.maybe_sent)
			  AND h.recipient IS NOT NULL AND (h.template_key IS NULL) <> (h.messages IS NULL)
				  AND (h.body IS NOT NULL OR h.template_key IS NULL OR forgotten IS NULL OR h.ended_at >= forgotten)
			  AND NOT EXISTS (SELECT FROM line_notify.dedup d
							  WHERE d.channel = h.channel AND d.dedup_key = h.dedup_key
								AND d.id <> h.id AND d.until > clock_timestamp());
		ELSE
			WITH keys AS (
				-- a key that a later message took meanwhile is not free
				INSERT INTO line_notify.dedup AS d (channel, dedup_key, id, until)
				SELECT DISTINCT ON (h.channel, h.dedup_key) h.channel, h.dedup_key, h.id,
					clock_timestamp() + coalesce((h.policy ->> 'dedup_window')::interval, c.dedup_window)
				FROM line_notify.history h JOIN line_notify.channel c ON c.name = h.channel
				WHERE h.id = ANY (chunk) AND h.dedup_key IS NOT NULL
				  AND h.state = ANY (states) AND (allow_duplicates OR NOT h.maybe_sent)
				  AND h.recipient IS NOT NULL AND (h.template_key IS NULL) <> (h.messages IS NULL)
				  AND (h.body IS NOT NULL OR h.template_key IS NULL OR forgotten IS NULL OR h.ended_at >= forgotten)
				ORDER BY h.channel, h.dedup_key, h.id DESC
				ON CONFLICT ON CONSTRAINT dedup_pkey DO UPDATE SET id = excluded.id, until = excluded.until
					WHERE d.id = excluded.id OR d.until <= clock_timestamp()
				RETURNING d.id),
			h AS (
				DELETE FROM line_notify.history h
				USING line_notify.channel c
				WHERE c.name = h.channel
				  AND (h.dedup_key IS NULL OR h.id IN (SELECT k.id FROM keys k))
				  AND h.id = ANY (chunk) AND h.state = ANY (states) AND (allow_duplicates OR NOT h.maybe_sent)
				  -- erased, or its content is past payload_retention
				  AND h.recipient IS NOT NULL AND (h.template_key IS NULL) <> (h.messages IS NULL)
				  AND (h.body IS NOT NULL OR h.template_key IS NULL OR forgotten IS NULL OR h.ended_at >= forgotten)
				RETURNING h.*, c.home, c.default_ttl,
					greatest(redrive.send_after, clock_timestamp()) + random() * coalesce(redrive.spread, '0') AS new_due),
			first_life AS (
				INSERT INTO line_notify.attempt_log (id, attempt, token, started_at, ended_at, outcome, http_status, request_id, error,
					ended_as, revision, delivery_event)
				SELECT h.id, h.attempts,
					-- ended by a verb: below all others of the message, since a verb may end each of its lives
					coalesce(h.token, least((SELECT min(a.token) FROM line_notify.attempt_log a WHERE a.id = h.id), 0) - 1),
					h.sent_at, coalesce(h.delivered_at, h.ended_at),
					CASE WHEN h.delivered_at IS NOT NULL OR h.outcome IS NULL THEN h.state::text ELSE h.outcome END,
					h.http_status, h.request_id, h.error, h.state, coalesce(h.revision, 0), h.delivery_event
				FROM h),
			uncounted AS (
				-- how it ended is no longer so; that LINE took it, or delivered it, stays true
				INSERT INTO line_notify.daily_count (channel, day, kind, aggregation_unit, outcome, n)
				SELECT h.channel, (h.ended_at AT TIME ZONE 'Asia/Tokyo')::date,
					CASE WHEN h.template_key IS NULL THEN 'flexible' ELSE 'template' END, h.aggregation_unit, h.state::text, -count(*)
				FROM h WHERE h.state NOT IN ('accepted', 'delivered')
				GROUP BY 1, 2, 3, 4, 5),
			told AS (
				-- what nobody has taken yet needs no fallback now
				DELETE FROM line_notify.outcome o
				WHERE o.ctid = ANY (ARRAY(SELECT p.ctid FROM line_notify.outcome p JOIN h ON h.id = p.id FOR UPDATE OF p SKIP LOCKED)))
			INSERT INTO line_notify.outbox (id, channel, recipient, use_case, template_key, body, messages,
				notification_disabled, aggregation_unit, priority, send_after, spread, expires_at, batch, dedup_key,
				order_key, reference, policy, state, due_at, attempts, maybe_sent, home, created_at, error)
			SELECT h.id, h.channel, h.recipient, h.use_case, h.template_key, h.body, h.messages,
				h.notification_disabled, h.aggregation_unit, h.priority, redrive.send_after, redrive.spread,
				coalesce(redrive.expires_at,
						 CASE WHEN h.expires_at > h.new_due THEN h.expires_at ELSE h.new_due + h.default_ttl END),
				h.batch, h.dedup_key, h.order_key, h.reference, h.policy, 'queued', h.new_due, 0,
				h.maybe_sent OR h.state IN ('unknown', 'accepted', 'delivered', 'undelivered'),
				h.home, h.created_at, h.error
			FROM h;
			GET DIAGNOSTICS n = ROW_COUNT;
		END IF;
		redriven := redriven + n;
		maybe_sent := maybe_sent + perhaps;
		impossible := impossible + cardinality(chunk) - perhaps - n;
	END LOOP;
	IF NOT dry_run THEN
		PERFORM line_notify._rescan();
	END IF;
	PERFORM line_notify._log_operation('redrive',
		f || jsonb_strip_nulls(jsonb_build_object('allow_duplicates', nullif(allow_duplicates, false),
			'send_after', send_after, 'spread', spread, 'expires_at', expires_at)),
		dry_run, redriven);
END
$$;
REVOKE ALL ON FUNCTION line_notify.redrive FROM PUBLIC;
COMMENT ON FUNCTION line_notify.redrive IS 'Queue ended messages again, under their own id and with new attempts: failed, expired and refused ones, others when state names them; what may have been sent only with allow_duplicates. Returns how many were queued, how many were not because they may have been sent, and how many cannot be sent again (content or recipient erased, channel dropped, dedup_key taken by a later message)';

-- What to pause: nothing named = every channel; a channel; its messages of one
-- template; its messages of one use case, of both kinds.  Without a channel,
-- those of every channel.
CREATE FUNCTION line_notify.pause(
	channel text DEFAULT NULL, reason text DEFAULT NULL,
	use_case line_notify.use_case DEFAULT NULL, template_key text DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	why text := format('%s (%s)', coalesce(reason, 'by an operator'), line_notify._caller());
	n bigint;
BEGIN
	PERFORM line_notify._check_channel(channel);
	IF use_case IS NULL AND template_key IS NULL THEN
		UPDATE line_notify.channel c SET paused_at = clock_timestamp(), pause_automatic = false, pause_reason = why
		WHERE channel IS NULL OR c.name = channel;
	ELSE
		INSERT INTO line_notify.partial_pause (channel, scope, subject, reason)
		SELECT c.name, x.scope, x.subject, why
		FROM line_notify.channel c, (VALUES ('use_case', use_case::text), ('template', template_key)) x(scope, subject)
		WHERE (channel IS NULL OR c.name = channel) AND x.subject IS NOT NULL
		ON CONFLICT ON CONSTRAINT partial_pause_pkey DO UPDATE SET reason = excluded.reason, paused_at = clock_timestamp();
	END IF;
	GET DIAGNOSTICS n = ROW_COUNT;
	PERFORM line_notify._log_operation('pause', jsonb_strip_nulls(jsonb_build_object('channel', channel,
		'use_case', use_case, 'template_key', template_key, 'reason', reason)), false, n);
	RETURN n;
END
$$;
REVOKE ALL ON FUNCTION line_notify.pause FROM PUBLIC;
COMMENT ON FUNCTION line_notify.pause IS 'Stop sending: everything, a channel, the messages of a template, or those of a use case; what is on the wire ends normally. A template message has the use case that its INSERT names. Returns how many things are paused now';

CREATE FUNCTION line_notify._resumed(channel text) RETURNS void
LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'line_notify_resumed';
REVOKE ALL ON FUNCTION line_notify._resumed(text) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._resumed(text) IS 'ends pauses that LINE asked for, and closes the circuit breaker';

CREATE FUNCTION line_notify.resume(
	channel text DEFAULT NULL,
	use_case line_notify.use_case DEFAULT NULL, template_key text DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	n bigint;
	m bigint := 0;
BEGIN
	PERFORM line_notify._check_channel(channel);
	DELETE FROM line_notify.partial_pause p
	WHERE (channel IS NULL OR p.channel = channel)
	  AND (use_case IS NULL AND template_key IS NULL
		   OR p.scope IN ('use_case', 'design') AND p.subject = use_case::text
		   OR p.scope = 'template' AND p.subject = template_key);
	GET DIAGNOSTICS n = ROW_COUNT;
	IF use_case IS NULL AND template_key IS NULL THEN
		UPDATE line_notify.channel c SET paused_at = NULL, pause_reason = NULL, pause_automatic = false
		WHERE (channel IS NULL OR c.name = channel) AND c.paused_at IS NOT NULL;
		GET DIAGNOSTICS m = ROW_COUNT;
		PERFORM line_notify._resumed(c.name) FROM line_notify.channel c WHERE channel IS NULL OR c.name = channel;
	END IF;
	PERFORM line_notify._log_operation('resume', jsonb_strip_nulls(jsonb_build_object('channel', channel,
		'use_case', use_case, 'template_key', template_key)), false, n + m);
	RETURN n + m;
END
$$;
REVOKE ALL ON FUNCTION line_notify.resume FROM PUBLIC;
COMMENT ON FUNCTION line_notify.resume IS 'Send again: everything, a channel including its paused endpoints, templates and designs, LINE''s wish to wait and an open circuit breaker, or one template or use case. Returns how many things were paused';

CREATE FUNCTION line_notify._check_channel(channel text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
	IF channel IS NOT NULL AND NOT EXISTS (SELECT FROM line_notify.channel c WHERE c.name = channel) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_object',
			MESSAGE = format('channel "%s" does not exist', channel),
			HINT = 'View line_notify.channels lists the channels.';
	END IF;
END
$$;
REVOKE ALL ON FUNCTION line_notify._check_channel(text) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._check_channel(text) IS 'raises 42704 for a channel that does not exist';

CREATE FUNCTION line_notify.find_notifications(
	phone text DEFAULT NULL, reference text DEFAULT NULL, recipient text DEFAULT NULL,
	region text DEFAULT NULL, channel text DEFAULT NULL, max integer DEFAULT 100)
RETURNS SETOF line_notify.notifications
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off ROWS 10
AS $$
#variable_conflict use_variable
DECLARE
	hash text := recipient;
	n bigint;
BEGIN
	IF phone IS NOT NULL THEN
		IF hash IS NOT NULL THEN
			RAISE EXCEPTION USING
				ERRCODE = 'invalid_parameter_value',
				MESSAGE = 'give either phone or recipient';
		END IF;
		hash := line_notify.phone_hash(phone, region);
		IF hash IS NULL THEN
			RAISE EXCEPTION USING
				ERRCODE = 'invalid_parameter_value',
				MESSAGE = 'invalid phone number',
				HINT = 'Pass the number with its country code, or name its region.';
		END IF;
	ELSIF hash IS NULL AND reference IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'give a phone number, a recipient hash or a reference';
	END IF;
	-- One branch for each key, so that each finds its index.
	RETURN QUERY
		SELECT v.* FROM line_notify.notifications v
		WHERE v.id = ANY (ARRAY(
				SELECT o.id FROM line_notify.outbox o
				WHERE hash IS NOT NULL AND o.recipient = hash
				UNION ALL
				SELECT h.id FROM line_notify.history h
				WHERE hash IS NOT NULL AND h.recipient = hash
				UNION ALL
				SELECT o.id FROM line_notify.outbox o
				WHERE hash IS NULL AND o.reference = find_notifications.reference
				UNION ALL
				SELECT h.id FROM line_notify.history h
				WHERE hash IS NULL AND h.reference = find_notifications.reference))
		  AND (find_notifications.reference IS NULL OR v.reference = find_notifications.reference)
		  AND (find_notifications.channel IS NULL OR v.channel = find_notifications.channel)
		ORDER BY v.id DESC
		LIMIT max;
	GET DIAGNOSTICS n = ROW_COUNT;
	PERFORM line_notify._log_operation('find_notifications',
		jsonb_strip_nulls(jsonb_build_object('phone', CASE WHEN phone IS NOT NULL THEN true END,
			'recipient', CASE WHEN recipient IS NOT NULL THEN true END,
			'reference', reference, 'region', region, 'channel', channel)), false, n);
END
$$;
REVOKE ALL ON FUNCTION line_notify.find_notifications FROM PUBLIC;
COMMENT ON FUNCTION line_notify.find_notifications IS 'For support staff: the messages to a telephone number (or its hash) or about a reference, latest first. The search is recorded in operations, without the number';

--
-- Outcomes: what the application must act on, handed to each consumer once.
-- A queue of its own for each consumer, so that several sessions take from it
-- without waiting for each other, and what was taken is gone.
--

CREATE TABLE line_notify.consumer (
	name			text COLLATE "C" PRIMARY KEY CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$'),
	outcomes		text[] NOT NULL,
	created_at		timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE line_notify.consumer IS 'Who takes outcomes; see take_outcomes()';
COMMENT ON COLUMN line_notify.consumer.outcomes IS 'what is kept for it; its calls of take_outcomes() add to this';
INSERT INTO line_notify.consumer (name, outcomes) VALUES
	('default', '{unreachable,undelivered,unconfirmed,invalid,refused,failed,unknown,expired}');

CREATE TABLE line_notify.outcome (
	seq				bigint GENERATED BY DEFAULT AS IDENTITY,
	consumer		text COLLATE "C" NOT NULL,
	id				bigint NOT NULL,
	channel			text COLLATE "C" NOT NULL,
	outcome			text NOT NULL,
	revision		smallint NOT NULL,
	correction		boolean NOT NULL,
	at				timestamptz NOT NULL DEFAULT clock_timestamp(),
	PRIMARY KEY (consumer, seq)
) WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 5000);
CREATE INDEX outcome_id ON line_notify.outcome (id);
COMMENT ON TABLE line_notify.outcome IS 'Outcomes that a consumer has not taken yet';
COMMENT ON COLUMN line_notify.outcome.revision IS 'counts the outcomes of a message: a larger one corrects a smaller';
COMMENT ON COLUMN line_notify.outcome.correction IS 'the consumer was told something else before';

-- Runs BEFORE the row is written, and marks it with a revision; so a row that
-- comes from a dump, with its revision, tells nobody anything a second time.
CREATE FUNCTION line_notify._note_outcome() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	before text[];			-- what may have been told about this message
	revised smallint;
	pending text[];			-- consumers that were not told yet
BEGIN
	-- the common case, made short: nobody was told anything, nobody wants to know
	IF TG_OP = 'UPDATE' AND OLD.state = 'accepted' AND NEW.state = 'delivered' AND OLD.revision IS NULL
	   AND NOT EXISTS (SELECT FROM line_notify.consumer c WHERE 'delivered' = ANY (c.outcomes))
	   AND NOT EXISTS (SELECT FROM line_notify.attempt_log a WHERE a.id = NEW.id AND a.revision > 0)
	THEN
		NEW.revision := 1;
		RETURN NEW;
	END IF;

	IF TG_OP = 'UPDATE' THEN
		before := ARRAY[CASE WHEN OLD.state = 'accepted' AND OLD.revision > 0 THEN 'unconfirmed' ELSE OLD.state::text END];
		revised := OLD.revision;
	END IF;
	-- the ends of earlier lives; see redrive()
	SELECT before || array_agg(a.ended_as::text), greatest(revised, max(a.revision))
	INTO before, revised
	FROM line_notify.attempt_log a WHERE a.id = NEW.id AND a.revision > 0;
	NEW.revision := coalesce(revised, 0) + 1;

	IF revised > 0 THEN
		-- What is not taken yet is overtaken by the truth.  Rows that a session
		-- is just taking are skipped: the worker never waits for a client, and
		-- that consumer gets the correction.
		WITH gone AS (
			DELETE FROM line_notify.outcome o
			WHERE o.ctid = ANY (ARRAY(SELECT p.ctid FROM line_notify.outcome p WHERE p.id = NEW.id FOR UPDATE SKIP LOCKED))
			RETURNING o.consumer, o.correction)
		SELECT array_agg(g.consumer) INTO pending FROM gone g WHERE NOT g.correction;
	END IF;

	INSERT INTO line_notify.outcome (consumer, id, channel, outcome, revision, correction)
	SELECT c.name, NEW.id, NEW.channel, NEW.state::text, NEW.revision, told.already
	FROM line_notify.consumer c,
		 LATERAL (SELECT coalesce(revised > 0 AND c.outcomes && before AND NOT c.name = ANY (coalesce(pending, '{}')), false) AS already) told
	WHERE NEW.state::text = ANY (c.outcomes) OR told.already;
	RETURN NEW;
END
$$;
REVOKE ALL ON FUNCTION line_notify._note_outcome() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._note_outcome() IS 'trigger: queues an outcome for the consumers that want it';

CREATE FUNCTION line_notify._outcome_noted() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'line_notify_outcome_noted';
REVOKE ALL ON FUNCTION line_notify._outcome_noted() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._outcome_noted() IS 'trigger: at commit, asks the worker to announce outcomes; see setting line_notify.notify_outcomes';
CREATE TRIGGER noted AFTER INSERT ON line_notify.outcome
	FOR EACH ROW EXECUTE FUNCTION line_notify._outcome_noted();

CREATE TRIGGER outcome_ended BEFORE INSERT ON line_notify.history FOR EACH ROW
	WHEN (NEW.revision IS NULL AND NEW.state NOT IN ('accepted', 'cancelled', 'suppressed'))
	EXECUTE FUNCTION line_notify._note_outcome();
CREATE TRIGGER outcome_changed BEFORE UPDATE OF state ON line_notify.history FOR EACH ROW
	WHEN (OLD.state IS DISTINCT FROM NEW.state)
	EXECUTE FUNCTION line_notify._note_outcome();


CREATE FUNCTION line_notify.take_outcomes(
	max integer DEFAULT 1000, states text[] DEFAULT NULL, channel text DEFAULT NULL, consumer text DEFAULT 'default',
	OUT id bigint, OUT state text, OUT revision integer, OUT at timestamptz,
	OUT message_channel text, OUT use_case line_notify.use_case, OUT template_key text, OUT batch text,
	OUT reference text, OUT attempts integer, OUT http_status integer, OUT error text)
RETURNS SETOF record
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 1000
AS $$
#variable_conflict use_column
DECLARE
	known CONSTANT text[] := '{accepted,delivered,unreachable,undelivered,unconfirmed,invalid,suppressed,cancelled,refused,failed,unknown,expired}';
	viewer record := line_notify._viewer();
	kept text[];
	stray text;
BEGIN
	IF take_outcomes.max IS NULL OR take_outcomes.max < 1 THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'max must be at least 1';
	END IF;
	SELECT s INTO stray FROM unnest(take_outcomes.states) s WHERE s IS NULL OR s <> ALL (known) LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = format('unknown outcome: "%s"', stray),
			HINT = 'Outcomes are ' || array_to_string(known, ', ') || '.';
	END IF;
	IF take_outcomes.channel IS NOT NULL AND NOT EXISTS (SELECT FROM line_notify.channel c WHERE c.name = take_outcomes.channel) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_object',
			MESSAGE = format('channel "%s" does not exist', take_outcomes.channel);
	END IF;

	-- A new consumer, or a new wish, counts from here on.
	SELECT c.outcomes INTO kept FROM line_notify.consumer c WHERE c.name = take_outcomes.consumer;
	IF NOT FOUND THEN
		IF take_outcomes.consumer IS NULL OR take_outcomes.consumer !~ '^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$' THEN
			RAISE EXCEPTION USING
				ERRCODE = 'invalid_parameter_value',
				MESSAGE = 'invalid consumer name',
				DETAIL = 'A name has 1 to 63 letters, digits, "_", "-" or "." and begins with a letter or digit.';
		END IF;
		INSERT INTO line_notify.consumer (name, outcomes)
		SELECT take_outcomes.consumer, c.outcomes FROM line_notify.consumer c WHERE c.name = 'default'
		ON CONFLICT (name) DO NOTHING;
	END IF;
	IF NOT coalesce(kept, '{}') @> coalesce(take_outcomes.states, '{}') THEN
		UPDATE line_notify.consumer c
		SET outcomes = ARRAY(SELECT unnest(c.outcomes) UNION SELECT unnest(take_outcomes.states) ORDER BY 1)
		WHERE c.name = take_outcomes.consumer AND NOT c.outcomes @> take_outcomes.states;
	END IF;

	RETURN QUERY
		WITH picked AS MATERIALIZED (
			SELECT o.seq FROM line_notify.outcome o
			WHERE o.consumer = take_outcomes.consumer
			  AND (take_outcomes.states IS NULL OR o.outcome = ANY (take_outcomes.states) OR o.correction)
			  AND (take_outcomes.channel IS NULL OR o.channel = take_outcomes.channel)
			  AND (viewer.everything OR o.channel = ANY (viewer.channels))
			  -- a restored copy must not send the fallback again
			  AND EXISTS (SELECT FROM line_notify.channel c WHERE c.name = o.channel AND c.home = viewer.home)
			ORDER BY o.seq
			LIMIT take_outcomes.max
			FOR UPDATE OF o SKIP LOCKED),
		taken AS (
			DELETE FROM line_notify.outcome o USING picked p
			WHERE o.consumer = take_outcomes.consumer AND o.seq = p.seq
			RETURNING o.*)
		SELECT t.id, t.outcome, t.revision::integer, t.at, t.channel,
			   coalesce(h.use_case, w.use_case), coalesce(h.template_key, w.template_key), coalesce(h.batch, w.batch),
			   coalesce(h.reference, w.reference), coalesce(h.attempts, w.attempts), h.http_status::integer, coalesce(h.error, w.error)
		FROM taken t
		LEFT JOIN line_notify.history h ON h.id = t.id
		LEFT JOIN line_notify.outbox w ON w.id = t.id
		ORDER BY t.seq;
END
$$;
REVOKE ALL ON FUNCTION line_notify.take_outcomes FROM PUBLIC;
COMMENT ON FUNCTION line_notify.take_outcomes IS 'Hand out up to max outcomes that this consumer has not had: each once, for good when the transaction commits. Several sessions may take at the same time. What turns out otherwise later comes again with a larger revision';

CREATE FUNCTION line_notify.drop_consumer(consumer text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	n bigint;
BEGIN
	IF consumer = 'default' THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'the default consumer cannot be dropped';
	END IF;
	DELETE FROM line_notify.consumer c WHERE c.name = consumer;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_object',
			MESSAGE = format('consumer "%s" does not exist', consumer);
	END IF;
	DELETE FROM line_notify.outcome o WHERE o.consumer = drop_consumer.consumer;
	GET DIAGNOSTICS n = ROW_COUNT;
	PERFORM line_notify._log_operation('drop_consumer', jsonb_build_object('consumer', consumer), false, n);
	RETURN n;
END
$$;
REVOKE ALL ON FUNCTION line_notify.drop_consumer FROM PUBLIC;
COMMENT ON FUNCTION line_notify.drop_consumer IS 'Forget a consumer of take_outcomes() and what waits for it; returns how many outcomes that were';

CREATE VIEW line_notify.consumers AS
SELECT c.name, c.outcomes, c.created_at, w.waiting, w.oldest
FROM line_notify.consumer c,
	 LATERAL (SELECT count(*) AS waiting, min(o.at) AS oldest FROM line_notify.outcome o WHERE o.consumer = c.name) w;
COMMENT ON VIEW line_notify.consumers IS 'Consumers of take_outcomes() and how many outcomes wait for each';


CREATE FUNCTION line_notify._wait_for(id bigint, timeout_ms bigint) RETURNS text
LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'line_notify_wait_for';
REVOKE ALL ON FUNCTION line_notify._wait_for(bigint, bigint) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._wait_for(bigint, bigint) IS 'sleeps until a message has left the queue';

CREATE FUNCTION line_notify.wait_for(id bigint, timeout interval DEFAULT '30 seconds') RETURNS line_notify.message_state
LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	viewer record := line_notify._viewer();
BEGIN
	IF timeout < '0' OR timeout > '30 days' THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'timeout is out of range',
			DETAIL = 'The range is 0 to 30 days.';
	END IF;
	IF NOT viewer.everything
	   AND NOT EXISTS (SELECT FROM line_notify.outbox o WHERE o.id = wait_for.id AND o.channel = ANY (viewer.channels))
	   AND NOT EXISTS (SELECT FROM line_notify.history h WHERE h.id = wait_for.id AND h.channel = ANY (viewer.channels)) THEN
		RETURN NULL;
	END IF;
	RETURN line_notify._wait_for(id, (extract(epoch FROM timeout) * 1000)::bigint);
END
$$;
REVOKE ALL ON FUNCTION line_notify.wait_for(bigint, interval) FROM PUBLIC;
COMMENT ON FUNCTION line_notify.wait_for(bigint, interval) IS 'Sleep until a message has been sent or has ended otherwise, at most timeout; returns its state then, NULL when there is no such message. Commit the INSERT first';

CREATE FUNCTION line_notify._note_drain(sent bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM line_notify._log_operation('drain', '{}', false, sent);
	RETURN (SELECT count(*) FROM line_notify.outbox o
			 WHERE o.due_at <= clock_timestamp() AND o.state = 'queued');
END
$$;
REVOKE ALL ON FUNCTION line_notify._note_drain(bigint) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._note_drain(bigint) IS 'logs a drain(); returns how many messages are due and have not been sent';

CREATE PROCEDURE line_notify.drain(timeout interval DEFAULT '5 minutes', INOUT sent bigint DEFAULT NULL, INOUT waiting bigint DEFAULT NULL)
LANGUAGE c AS 'MODULE_PATHNAME', 'line_notify_drain';
REVOKE ALL ON PROCEDURE line_notify.drain FROM PUBLIC;
COMMENT ON PROCEDURE line_notify.drain IS 'Send what is due now, and come back when it is done or after timeout: sent = attempts made meanwhile, waiting = messages that are due and still there (see health()). Needs no preloaded library: then a background worker does it for the time of the call, and everything else that a worker does. Not inside a transaction block';

--
-- Grants of duties.  The privileges themselves are the register of who has
-- which duty; PostgreSQL dumps, shows and revokes them.
--

CREATE FUNCTION line_notify._has_grant(role regrole, function_name name) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT EXISTS (SELECT FROM pg_proc p, aclexplode(p.proacl) a
				   WHERE p.proname = function_name AND p.pronamespace = 'line_notify'::regnamespace
					 AND a.grantee = role AND a.privilege_type = 'EXECUTE')
$$;
REVOKE ALL ON FUNCTION line_notify._has_grant(regrole, name) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._has_grant(regrole, name) IS 'was this function granted to this very role';

CREATE FUNCTION line_notify._grant_duty(duty text, role regrole, give boolean) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	-- what support staff see; an operator sees it too
	views CONSTANT text := 'line_notify.notifications, line_notify.attempts, line_notify.batches, line_notify.consumers, line_notify.channels,'
						   ' line_notify.approvals, line_notify.designs';
	looks CONSTANT text := 'line_notify.find_notifications, line_notify.wait_for,'
						   ' line_notify._viewer, line_notify._hold_ups, line_notify._local_home, line_notify._quiet_until';
	verbs CONSTANT text := 'line_notify.cancel, line_notify.reschedule, line_notify.redrive, line_notify.pause, line_notify.resume,'
						   ' line_notify.take_outcomes, line_notify.drop_consumer, line_notify.check_channel,'
						   ' line_notify.drain, line_notify._note_drain';
	sees CONSTANT text := 'line_notify.stats, line_notify.workers, line_notify.operations, line_notify.daily_totals, line_notify.reconciliation, line_notify.engagement';
	shows CONSTANT text := 'line_notify.health, line_notify.reset_stats, line_notify._stats, line_notify._workers';
	verb text := CASE WHEN give THEN 'GRANT' ELSE 'REVOKE' END;
	whom text := CASE WHEN give THEN 'TO ' ELSE 'FROM ' END || role::text;
BEGIN
	IF role IS NULL OR role = 0 THEN
		RAISE EXCEPTION USING
			ERRCODE = 'null_value_not_allowed',
			MESSAGE = 'role must not be null';
	END IF;
	EXECUTE format('%s SELECT ON %s %s', verb, views, whom);
	EXECUTE format('%s EXECUTE ON FUNCTION %s %s', verb, looks, whom);
	IF duty = 'operator' THEN
		EXECUTE format('%s SELECT ON %s %s', verb, sees, whom);
		EXECUTE format('%s EXECUTE ON ROUTINE %s, %s %s', verb, verbs, shows, whom);
	END IF;

	-- what another duty of the role gives too must stay
	IF NOT give THEN
		IF duty = 'support' AND line_notify._has_grant(role, 'cancel') THEN
			PERFORM line_notify._grant_duty('operator', role, true);
		END IF;
		IF EXISTS (SELECT FROM line_notify.sender s WHERE s.role = _grant_duty.role) THEN
			PERFORM line_notify.grant_sender(role, '{}');
		END IF;
	END IF;
END
$$;
REVOKE ALL ON FUNCTION line_notify._grant_duty(text, regrole, boolean) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._grant_duty(text, regrole, boolean) IS 'grants or revokes what belongs to a duty';

CREATE FUNCTION line_notify.grant_support(role regrole) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT line_notify._grant_duty('support', role, true) $$;
REVOKE ALL ON FUNCTION line_notify.grant_support FROM PUBLIC;
COMMENT ON FUNCTION line_notify.grant_support IS 'Let a role see every message without payload and recipient, and search by number';
CREATE FUNCTION line_notify.revoke_support(role regrole) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT line_notify._grant_duty('support', role, false) $$;
REVOKE ALL ON FUNCTION line_notify.revoke_support FROM PUBLIC;
COMMENT ON FUNCTION line_notify.revoke_support IS 'Take back what grant_support() gave';

CREATE FUNCTION line_notify.grant_operator(role regrole) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT line_notify._grant_duty('operator', role, true) $$;
REVOKE ALL ON FUNCTION line_notify.grant_operator FROM PUBLIC;
COMMENT ON FUNCTION line_notify.grant_operator IS 'Let a role run every verb (cancel, reschedule, redrive, pause, resume), take outcomes, see everything that support and monitoring see';
CREATE FUNCTION line_notify.revoke_operator(role regrole) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT line_notify._grant_duty('operator', role, false) $$;
REVOKE ALL ON FUNCTION line_notify.revoke_operator FROM PUBLIC;
COMMENT ON FUNCTION line_notify.revoke_operator IS 'Take back what grant_operator() gave';

--
-- Privacy
--

CREATE TABLE line_notify.suppression (
	recipient		text COLLATE "C" PRIMARY KEY CHECK (recipient ~ '^[0-9a-f]{64}$'),
	reason			text,
	since			timestamptz NOT NULL DEFAULT clock_timestamp(),
	set_by			name NOT NULL DEFAULT session_user
);
ALTER TABLE line_notify.suppression ALTER recipient SET STATISTICS 0, ALTER reason SET STATISTICS 0;
COMMENT ON TABLE line_notify.suppression IS 'People who objected to being sent notices; see suppress_recipient()';
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON line_notify.suppression
	FOR EACH STATEMENT EXECUTE FUNCTION line_notify._configuration_changed();

CREATE FUNCTION line_notify._recipient(phone text, region text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF phone ~ '^[0-9a-f]{64}$' THEN
		RETURN phone;
	END IF;
	IF phone IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'null_value_not_allowed',
			MESSAGE = 'phone must not be null';
	END IF;
	-- raises for what is no number, and keeps the statement out of the log
	PERFORM line_notify.assert_phone(phone, region);
	RETURN line_notify.phone_hash(phone, region);
END
$$;
REVOKE ALL ON FUNCTION line_notify._recipient(text, text) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._recipient(text, text) IS 'hash of a telephone number, or the hash as it is; never NULL';

CREATE FUNCTION line_notify.suppress_recipient(phone text, reason text DEFAULT NULL, region text DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	hash text := line_notify._recipient(phone, region);
	ids bigint[];
	n bigint;
BEGIN
	PERFORM line_notify._assert_read_committed();
	INSERT INTO line_notify.suppression (recipient, reason) VALUES (hash, suppress_recipient.reason)
	ON CONFLICT (recipient) DO UPDATE SET reason = coalesce(excluded.reason, suppression.reason);
	-- what others insert meanwhile is caught when it is claimed
	ids := ARRAY(SELECT o.id FROM line_notify.outbox o
				 WHERE o.recipient = hash AND NOT EXISTS (SELECT FROM line_notify.in_flight f WHERE f.id = o.id));
	SELECT e.ended + e.unknown INTO n FROM line_notify._end_waiting(ids, 'suppressed', 'the recipient objected') e;
	UPDATE line_notify.history h SET recipient = NULL WHERE h.id = ANY (ids) AND h.state = 'suppressed';
	PERFORM line_notify._log_operation('suppress_recipient', '{}', false, n);
	RETURN n;
END
$$;
REVOKE ALL ON FUNCTION line_notify.suppress_recipient(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION line_notify.suppress_recipient(text, text, text) IS 'Send nothing more to a person (telephone number, or hash): new messages become suppressed, waiting ones end; returns how many of these';

CREATE FUNCTION line_notify.unsuppress_recipient(phone text, region text DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	hash text := line_notify._recipient(phone, region);
	found_one boolean;
BEGIN
	DELETE FROM line_notify.suppression s WHERE s.recipient = hash;
	found_one := FOUND;
	PERFORM line_notify._log_operation('unsuppress_recipient', '{}', false, found_one::integer);
	RETURN found_one;
END
$$;
REVOKE ALL ON FUNCTION line_notify.unsuppress_recipient(text, text) FROM PUBLIC;
COMMENT ON FUNCTION line_notify.unsuppress_recipient(text, text) IS 'The person objects no longer; returns whether they did';

-- Counts stay: rows lose what points to the person, and keep state and times.
CREATE FUNCTION line_notify.forget_recipient(phone text, region text DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	hash text := line_notify._recipient(phone, region);
	waiting bigint[];
	ids bigint[];
	refs text[];
	keys text[];
	order_keys text[];
	parked bigint;
	give_up timestamptz := clock_timestamp() + interval '2 minutes';
BEGIN
	PERFORM line_notify._assert_read_committed();
	-- What is being sent is the worker's until LINE answers: wait for that,
	-- holding no lock.  Each statement here sees what was recorded meanwhile.
	WHILE clock_timestamp() < give_up AND
		EXISTS (SELECT FROM line_notify.outbox o JOIN line_notify.in_flight f ON f.id = o.id WHERE o.recipient = hash)
	LOOP
		PERFORM pg_sleep(0.1);
	END LOOP;
	waiting := ARRAY(SELECT o.id FROM line_notify.outbox o
					 WHERE o.recipient = hash AND NOT EXISTS (SELECT FROM line_notify.in_flight f WHERE f.id = o.id));
	PERFORM line_notify._end_waiting(waiting, 'cancelled', 'erased');
	IF EXISTS (SELECT FROM line_notify.outbox o WHERE o.recipient = hash AND o.state = 'queued') THEN
		RAISE EXCEPTION USING
			ERRCODE = 'object_in_use',
			MESSAGE = 'a message to this recipient is being sent',
			HINT = 'Try again when the worker has recorded it.';
	END IF;

	-- what the worker has not moved to history yet, or never will from here
	WITH w AS (
		SELECT o.id, o.reference, o.dedup_key, o.order_key FROM line_notify.outbox o
		WHERE o.recipient = hash AND o.state <> 'queued' FOR UPDATE),
	gone AS (
		UPDATE line_notify.outbox o
		SET recipient = NULL, body = NULL, messages = NULL, reference = NULL, dedup_key = NULL, order_key = NULL, error = NULL
		FROM w WHERE o.id = w.id),
	freed AS (
		DELETE FROM line_notify.dedup d USING w WHERE d.id = w.id)
	SELECT count(*), array_agg(DISTINCT w.reference) FILTER (WHERE w.reference IS NOT NULL),
		   array_agg(DISTINCT w.dedup_key) FILTER (WHERE w.dedup_key IS NOT NULL),
		   array_agg(DISTINCT w.order_key) FILTER (WHERE w.order_key IS NOT NULL)
	INTO parked, refs, keys, order_keys
	FROM w;
	SELECT array_agg(h.id), refs || array_agg(DISTINCT h.reference) FILTER (WHERE h.reference IS NOT NULL),
		   keys || array_agg(DISTINCT h.dedup_key) FILTER (WHERE h.dedup_key IS NOT NULL),
		   order_keys || array_agg(DISTINCT h.order_key) FILTER (WHERE h.order_key IS NOT NULL)
	INTO ids, refs, keys, order_keys
	FROM line_notify.history h WHERE h.recipient = hash;
	DELETE FROM line_notify.webhook_event e WHERE e.recipient = hash;
	IF ids IS NULL THEN
		ids := '{}';
	END IF;
	DELETE FROM line_notify.dedup d USING line_notify.history h
	WHERE h.id = ANY (ids) AND d.channel = h.channel AND d.dedup_key = h.dedup_key
	  AND d.id = h.id;	-- a key that was free again may be another person's by now
	UPDATE line_notify.attempt_log a SET error = NULL, request_id = NULL WHERE a.id = ANY (ids);
	UPDATE line_notify.operations p SET filter = p.filter - 'reference' - 'dedup_key'
	WHERE p.filter ->> 'reference' = ANY (refs) OR p.filter ->> 'dedup_key' = ANY (keys);
	-- a note without a key releases the whole channel, which does no harm
	UPDATE line_notify.release r SET order_key = NULL WHERE r.order_key = ANY (order_keys);
	-- nobody is added to a list by that: an empty one allows nobody
	UPDATE line_notify.channel c SET only_recipients = array_remove(c.only_recipients, hash)
	WHERE hash = ANY (c.only_recipients);
	UPDATE line_notify.history h
	SET recipient = NULL, body = NULL, messages = NULL, reference = NULL, dedup_key = NULL, order_key = NULL,
		error = NULL, request_id = NULL
	WHERE h.id = ANY (ids);
	PERFORM line_notify._log_operation('forget_recipient', '{}', false, cardinality(ids) + parked);
	RETURN cardinality(ids) + parked;
END
$$;
REVOKE ALL ON FUNCTION line_notify.forget_recipient(text, text) FROM PUBLIC;
COMMENT ON FUNCTION line_notify.forget_recipient(text, text) IS 'Erase a person (telephone number, or hash) from every table of line_notify: what waits is cancelled, what was sent loses recipient, content, reference and keys; counts stay, and so does an objection. Returns how many messages that concerned. WAL, backups and logs are outside of its reach';

CREATE FUNCTION line_notify.grant_privacy(role regrole) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	EXECUTE format('GRANT EXECUTE ON FUNCTION line_notify.suppress_recipient(text, text, text),'
				   ' line_notify.unsuppress_recipient(text, text), line_notify.forget_recipient(text, text) TO %s', role);
END
$$;
REVOKE ALL ON FUNCTION line_notify.grant_privacy(regrole) FROM PUBLIC;
COMMENT ON FUNCTION line_notify.grant_privacy(regrole) IS 'Let a role note objections and erase people';

CREATE FUNCTION line_notify.revoke_privacy(role regrole) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	EXECUTE format('REVOKE EXECUTE ON FUNCTION line_notify.suppress_recipient(text, text, text),'
				   ' line_notify.unsuppress_recipient(text, text), line_notify.forget_recipient(text, text) FROM %s', role);
END
$$;
REVOKE ALL ON FUNCTION line_notify.revoke_privacy(regrole) FROM PUBLIC;
COMMENT ON FUNCTION line_notify.revoke_privacy(regrole) IS 'Take back what grant_privacy() gave';

--
-- 9. Registration for dump
--

SELECT pg_catalog.pg_extension_config_dump('line_notify.identity', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.channel', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.sender', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.approval', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.design', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.partial_pause', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.daily_sent', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.dedup', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.release', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.release_seq_seq', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.outbox', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.in_flight', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.history', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.attempt_log', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.webhook_event', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.seen_event', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.daily_count', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.delivered_counts', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.engagement_count', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.unit_usage', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.price', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.suppression', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.minute_count', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.sweep_mark', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.outbox_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.webhook_event_seq_seq', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.operations', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.operations_seq_seq', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.consumer', 'WHERE name <> ''default''');
SELECT pg_catalog.pg_extension_config_dump('line_notify.outcome', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.outcome_seq_seq', '');

-- A worker for this database starts when the transaction commits.
CREATE FUNCTION line_notify._wake() RETURNS void
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'line_notify_wake';
REVOKE ALL ON FUNCTION line_notify._wake() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._wake() IS 'at commit, starts or wakes the worker of this database';
SELECT line_notify._wake();
