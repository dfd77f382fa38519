
--
-- Phone numbers
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
