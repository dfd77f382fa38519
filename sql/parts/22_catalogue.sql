
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
	OUT description text,
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
	description	text,
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
COMMENT ON COLUMN line_notify.template_catalogue.description IS 'what the reader sees below the title: LINE''s Description of a template, NULL when not known';
COMMENT ON COLUMN line_notify.template_catalogue.use_case IS 'use case that the template implies, or NULL';
COMMENT ON COLUMN line_notify.template_catalogue.source IS 'line: came with the extension, not dumped; user: yours, wins over line';

INSERT INTO line_notify.template_catalogue (kind, region, key, name, label, description, use_case, source)
SELECT kind, region, key, name, label, description, use_case::line_notify.use_case, 'line' FROM line_notify._known_catalogue();

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
		RETURN QUERY VALUES ('error', 'templateKey', 'template_key_unlisted', format('"%s" is not in the catalogue', line_notify._shown($1)));
	ELSIF implied <> $4 THEN
		RETURN QUERY VALUES ('warning', 'templateKey', 'use_case_mismatch', format('the catalogue says %s', implied));
	END IF;
	IF NOT coalesce($5, false) THEN
		RETURN;
	END IF;

	RETURN QUERY
	SELECT 'error', k.path, k.kind || '_key_unlisted', format('"%s" is not in the catalogue', line_notify._shown(k.key))
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

-- What check_message() says of a channel is for those who send through it, and
-- for those who read its settings.  It asks as the owner, and says who called it.
CREATE FUNCTION line_notify._refuses_unknown(channel text, caller oid) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	IF NOT has_table_privilege($2, 'line_notify.channels', 'SELECT')
		AND NOT EXISTS (SELECT FROM line_notify.sender s WHERE s.channel IN ('*', $1) AND pg_has_role($2, s.role, 'USAGE'))
	THEN
		RAISE EXCEPTION USING
			ERRCODE = 'insufficient_privilege',
			MESSAGE = 'permission denied to check a message against a channel',
			HINT = 'line_notify.grant_sender(role, channels) gives it; without a channel, everybody may check one.';
	END IF;
	PERFORM line_notify._check_channel($1);
	RETURN (SELECT c.unknown_content = 'refuse' FROM line_notify.channel c WHERE c.name = $1);
END
$$;
REVOKE ALL ON FUNCTION line_notify._refuses_unknown(text, oid) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._refuses_unknown(text, oid) IS 'does the channel refuse message types and properties that we do not know; raises when the caller may not ask';

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
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	c jsonb := (SELECT to_jsonb(ch) FROM line_notify.channel ch WHERE ch.name = $4);
BEGIN
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
REVOKE ALL ON FUNCTION line_notify._context_findings(text, jsonb, line_notify.use_case, text) FROM PUBLIC;
