
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
