
-- Signed links.  The keys stay in this database: no policy, so that nobody but
-- the owner reads them, and not dumped, so that a restored copy has its own.
CREATE FUNCTION line_notify._random_secret()
RETURNS bytea
AS 'MODULE_PATHNAME', 'line_notify_random_secret'
LANGUAGE C VOLATILE PARALLEL SAFE;
REVOKE ALL ON FUNCTION line_notify._random_secret() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._random_secret() IS '32 cryptographically random bytes';

-- Secrets in a table go wherever the table is published.  UNLOGGED would keep
-- them here, and lose them in a crash and on standbys.
CREATE FUNCTION line_notify._published_by(tab text, col text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT string_agg(p.pubname, ', ' ORDER BY p.pubname)
	FROM pg_publication_tables p
	WHERE p.schemaname = 'line_notify' AND p.tablename = tab AND col = ANY (p.attnames)
$$;
REVOKE ALL ON FUNCTION line_notify._published_by(text, text) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._published_by(text, text) IS 'publications that carry a column of ours to subscribers, or NULL';

CREATE TABLE line_notify.link_key (
	key_no		integer PRIMARY KEY CHECK (key_no BETWEEN 0 AND 255),
	secret		bytea NOT NULL CHECK (octet_length(secret) = 32),
	is_current	boolean NOT NULL,
	created_at	timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE UNIQUE INDEX link_key_is_current ON line_notify.link_key (is_current);
-- Members of pg_read_all_data read TOAST and pg_statistic.
ALTER TABLE line_notify.link_key
	ALTER secret SET STORAGE PLAIN,
	ALTER secret SET STATISTICS 0,
	ENABLE ROW LEVEL SECURITY;
REVOKE ALL ON line_notify.link_key FROM PUBLIC;
COMMENT ON TABLE line_notify.link_key IS 'keys of signed_link(): the current one, and the previous one, which still verifies; see rotate_link_key()';
COMMENT ON COLUMN line_notify.link_key.key_no IS 'number that stands in the links';
COMMENT ON COLUMN line_notify.link_key.secret IS 'key of the HMAC';
COMMENT ON COLUMN line_notify.link_key.is_current IS 'signs new links; the other one only verifies';
COMMENT ON COLUMN line_notify.link_key.created_at IS 'when it was made';
CREATE FUNCTION line_notify._insert_secret(line_notify.link_key) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'line_notify_insert_secret';
REVOKE ALL ON FUNCTION line_notify._insert_secret(line_notify.link_key) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._insert_secret(line_notify.link_key) IS 'INSERT of a key that logical decoding does not see';

CREATE FUNCTION line_notify._insert_link_key(no integer) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$ SELECT line_notify._insert_secret(ROW(no, line_notify._random_secret(), true, clock_timestamp())::line_notify.link_key) $$;
REVOKE ALL ON FUNCTION line_notify._insert_link_key(integer) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._insert_link_key(integer) IS 'makes the current key of signed_link()';
SELECT line_notify._insert_link_key(1) WHERE line_notify._published_by('link_key', 'secret') IS NULL;

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
COMMENT ON FUNCTION line_notify.verify_link(text) IS 'was this address made by signed_link() in this database, and is it still valid? reason: ok, expired, unsigned_parameters (some were appended), bad_signature, unknown_key, no_token';

CREATE FUNCTION line_notify.rotate_link_key()
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	former line_notify.link_key;
	publication text := line_notify._published_by('link_key', 'secret');
BEGIN
	IF publication IS NOT NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'object_not_in_prerequisite_state',
			MESSAGE = 'the new key would be sent to subscribers',
			DETAIL = format('Publications of this database carry it: %s.', publication),
			HINT = 'Publish your own tables instead of all: CREATE PUBLICATION ... FOR TABLES IN SCHEMA ...;';
	END IF;
	LOCK TABLE line_notify.link_key IN SHARE ROW EXCLUSIVE MODE;
	SELECT * INTO former FROM line_notify.link_key WHERE is_current;
	-- no UPDATE: logical decoding would see it
	DELETE FROM line_notify.link_key;
	IF former.key_no IS NOT NULL THEN
		former.is_current := false;
		PERFORM line_notify._insert_secret(former);
	END IF;
	PERFORM line_notify._insert_link_key(coalesce((former.key_no + 1) % 256, 1));
END
$$;
REVOKE ALL ON FUNCTION line_notify.rotate_link_key() FROM PUBLIC;
COMMENT ON FUNCTION line_notify.rotate_link_key() IS 'makes a new key for signed_link(); links of the current key stay valid until the next rotation, older ones end now';
