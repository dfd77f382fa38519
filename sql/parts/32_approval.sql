
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
DECLARE
	missing text;
BEGIN
	IF set_approval.channel IS NULL OR set_approval.use_case IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'null_value_not_allowed',
			MESSAGE = 'channel and use case of an approval must not be null';
	END IF;
	IF set_approval.status IS NULL OR set_approval.status NOT IN ('approved', 'suspended') THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = format('unknown status: "%s"', line_notify._shown(set_approval.status)),
			HINT = 'Use approved or suspended; drop_approval() removes an approval.';
	END IF;
	PERFORM line_notify._check_channel(set_approval.channel);
	INSERT INTO line_notify.approval AS a (channel, use_case, status, reviewed_on, reference)
	VALUES (set_approval.channel, set_approval.use_case, set_approval.status, set_approval.reviewed_on, set_approval.reference)
	ON CONFLICT (channel, use_case) DO UPDATE SET
		status = excluded.status,
		reviewed_on = coalesce(excluded.reviewed_on, a.reviewed_on),
		reference = coalesce(excluded.reference, a.reference),
		changed_at = clock_timestamp(), changed_by = session_user;

	-- with the first one, INSERTs that went well begin to fail
	IF (SELECT count(*) FROM line_notify.approval a WHERE a.channel = set_approval.channel) = 1 THEN
		-- the latest rows may all be of other channels: an aggregation unit is the
		-- use case, where nobody named one
		SELECT string_agg(coalesce(u.use_case::text, 'none (flexible messages)'), ', ' ORDER BY u.use_case) INTO missing
		FROM (SELECT o.use_case
			  FROM (SELECT x.channel, x.use_case, x.template_key FROM line_notify.outbox x ORDER BY x.id DESC LIMIT 10000) o
			  WHERE o.channel = set_approval.channel AND (o.use_case IS NOT NULL OR o.template_key IS NULL)
			  UNION
			  SELECT h.use_case
			  FROM (SELECT x.channel, x.use_case, x.template_key, x.state FROM line_notify.history x ORDER BY x.id DESC LIMIT 50000) h
			  WHERE h.channel = set_approval.channel AND h.state <> 'invalid' AND (h.use_case IS NOT NULL OR h.template_key IS NULL)
			  UNION
			  SELECT e.use_case
			  FROM line_notify.daily_count d, unnest(enum_range(NULL::line_notify.use_case)) e(use_case)
			  WHERE d.channel = set_approval.channel AND d.day > (clock_timestamp() AT TIME ZONE 'Asia/Tokyo')::date - 30
				AND d.aggregation_unit = e.use_case::text AND d.n > 0) u
		WHERE NOT EXISTS (SELECT FROM line_notify.approval a WHERE a.channel = set_approval.channel AND a.use_case = u.use_case);
		IF missing IS NOT NULL THEN
			RAISE WARNING USING
				MESSAGE = format('from now on channel "%s" refuses use cases that it has sent lately: %s', set_approval.channel, missing),
				DETAIL = 'From the first approval on, what is not listed is refused at INSERT.',
				HINT = 'Set the others in the same transaction, if LINE approved them: SELECT line_notify.set_approval(...) for each.';
		END IF;
	END IF;
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
			MESSAGE = format('channel "%s" has no approval of %s', line_notify._shown(drop_approval.channel), drop_approval.use_case);
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
	n bigint;
	differ bigint;
	first text;
BEGIN
	IF set_design.channel IS NULL OR set_design.use_case IS NULL OR set_design.skeleton IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'null_value_not_allowed',
			MESSAGE = 'channel, use case and skeleton of a design must not be null';
	END IF;
	IF set_design.status IS NULL OR set_design.status NOT IN ('approved', 'suspended') THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = format('unknown status: "%s"', line_notify._shown(set_design.status)),
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
	PERFORM line_notify._check_channel(coalesce(set_design.channel, ''));
	INSERT INTO line_notify.design AS d (channel, name, use_case, skeleton, status, reviewed_on, reference)
	VALUES (set_design.channel, set_design.name, set_design.use_case, set_design.skeleton,
			set_design.status, set_design.reviewed_on, set_design.reference)
	ON CONFLICT (channel, name) DO UPDATE SET
		use_case = excluded.use_case, skeleton = excluded.skeleton, status = excluded.status,
		reviewed_on = coalesce(excluded.reviewed_on, d.reviewed_on),
		reference = coalesce(excluded.reference, d.reference),
		changed_at = clock_timestamp(), changed_by = session_user;

	-- with the first one, INSERTs that went well begin to fail
	IF (SELECT count(*) FROM line_notify.design d
		WHERE d.channel = set_design.channel AND d.use_case = set_design.use_case) = 1
	THEN
		SELECT count(*), count(x.fault), min(x.fault) INTO n, differ, first
		FROM (SELECT CASE WHEN set_design.status = 'suspended' THEN ''
						  ELSE line_notify.design_mismatch(m.messages, set_design.skeleton) END AS fault
			  FROM (SELECT o.messages
					FROM (SELECT y.* FROM line_notify.outbox y ORDER BY y.id DESC LIMIT 10000) o
					WHERE o.channel = set_design.channel AND o.use_case = set_design.use_case AND o.messages IS NOT NULL
					UNION ALL
					SELECT h.messages
					FROM (SELECT y.* FROM line_notify.history y ORDER BY y.id DESC LIMIT 50000) h
					WHERE h.channel = set_design.channel AND h.use_case = set_design.use_case AND h.messages IS NOT NULL
					LIMIT 1000) m) x;
		IF differ > 0 THEN
			RAISE WARNING USING
				MESSAGE = format('from now on channel "%s" refuses messages like %s of the latest %s of use case %s',
								 set_design.channel, differ, n, set_design.use_case),
				DETAIL = 'From the first design on, flexible messages must match one. ' ||
					CASE WHEN set_design.status = 'suspended' THEN 'This one is suspended.'
						 ELSE format('They differ from this one, for instance at %s.', first) END,
				HINT = 'Set the other designs in the same transaction, if LINE approved them: SELECT line_notify.set_design(...) for each.';
		END IF;
	END IF;
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
			MESSAGE = format('channel "%s" has no design "%s"', line_notify._shown(drop_design.channel), line_notify._shown(drop_design.name));
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
