
--
-- Channels and credentials
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
	in_doubt_before	timestamptz,
	in_doubt_until		timestamptz,
	handover		text CHECK (handover IN ('given', 'taking')),
	handover_at		timestamptz,
	handover_to		text[],
	handover_lsn	pg_lsn,
	disarmed_at		timestamptz,
	disarmed_why	text CHECK (disarmed_why IN ('restored', 'cut loose', 'twin', 'armed elsewhere'))
);
COMMENT ON TABLE line_notify.identity IS 'Places that may send: cluster, database and node names; written by create_channel() and arm()';
COMMENT ON COLUMN line_notify.identity.home IS 'random number carried by channels and rows that belong here';
COMMENT ON COLUMN line_notify.identity.system_identifier IS 'the cluster, as in pg_control_system()';
COMMENT ON COLUMN line_notify.identity.database IS 'oid of the database: a template copy has another';
COMMENT ON COLUMN line_notify.identity.timeline IS 'timeline that was last sent from: another one now means that a standby was promoted';
COMMENT ON COLUMN line_notify.identity.synchronous IS 'every claim on it waited for a standby';
COMMENT ON COLUMN line_notify.identity.in_doubt_before IS 'messages due before may have been sent by the server before the promotion';
COMMENT ON COLUMN line_notify.identity.in_doubt_until IS 'until then they wait for delivery events; see setting promotion_grace';
COMMENT ON COLUMN line_notify.identity.handover IS 'given: the worker has ended in order, with nothing claimed, and claims nothing before it has taken this back; taking: it waits for those in handover_to to know';
COMMENT ON COLUMN line_notify.identity.handover_at IS 'when';
COMMENT ON COLUMN line_notify.identity.handover_to IS 'standbys that were attached then: slot, or application name if no other has it';
COMMENT ON COLUMN line_notify.identity.handover_lsn IS 'taking: what they must have flushed';
COMMENT ON COLUMN line_notify.identity.disarmed_at IS 'since then nothing is sent on the strength of this row: the server found that it is a copy, or arm() has taken its place';
COMMENT ON COLUMN line_notify.identity.disarmed_why IS 'restored: started from a backup; cut loose: a standby that was started without standby.signal, not promoted; twin: another server with the same identity ran on the host; armed elsewhere: arm() on another node';
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
	on_silence		text NOT NULL DEFAULT 'withhold' CHECK (on_silence IN ('withhold', 'unconfirmed')),
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
	unknown_content	text NOT NULL DEFAULT 'warn' CHECK (unknown_content IN ('warn', 'refuse')),
	proxy			text CHECK (proxy ~ '^https?://[A-Za-z0-9.\[\]:-]+$'),
	ca_file			text CHECK (ca_file ~ '^/[[:print:]]+$'),
	paused_at		timestamptz,
	pause_reason	text,
	pause_automatic	boolean NOT NULL DEFAULT false,
	created_at		timestamptz NOT NULL DEFAULT clock_timestamp(),
	CONSTRAINT rate_limit_of_line CHECK (rate_limit <= 2000 OR api_base <> 'https://api.line.me')
);
-- who may be sent to, and why LINE refused a message, shall not be copied into
-- pg_statistic: see 40_outbox.sql
ALTER TABLE line_notify.channel
	ALTER only_recipients SET STATISTICS 0,
	ALTER pause_reason SET STATISTICS 0,
	ALTER proxy SET STATISTICS 0,
	ALTER ca_file SET STATISTICS 0;
COMMENT ON TABLE line_notify.channel IS 'One row per LINE Messaging API channel; changed by create_channel(), alter_channel(), drop_channel(); read through view channels';
COMMENT ON COLUMN line_notify.channel.name IS 'name of ours, as column channel of a message has it';
COMMENT ON COLUMN line_notify.channel.api_base IS 'where requests go; LINE''s API unless this is a test';
COMMENT ON COLUMN line_notify.channel.region IS 'ISO code of the country whose national form phone numbers may be in';
COMMENT ON COLUMN line_notify.channel.max_in_flight IS 'most requests on the wire at once';
COMMENT ON COLUMN line_notify.channel.default_ttl IS 'a message without expires_at expires so long after it may first be sent';
COMMENT ON COLUMN line_notify.channel.on_invalid IS 'a message that is invalid by its data: park it as invalid, or error';
COMMENT ON COLUMN line_notify.channel.on_unknown IS 'sent, and no answer came: hold it as unknown, or retry';
COMMENT ON COLUMN line_notify.channel.on_server_error IS 'LINE answered 5xx: hold it as unknown, or retry';
COMMENT ON COLUMN line_notify.channel.backoff_base IS 'wait before the second attempt; doubles with each';
COMMENT ON COLUMN line_notify.channel.backoff_cap IS 'longest wait between attempts';
COMMENT ON COLUMN line_notify.channel.connect_timeout IS 'longest time for a connection to come about';
COMMENT ON COLUMN line_notify.channel.total_timeout IS 'longest time for a request with its answer';
COMMENT ON COLUMN line_notify.channel.use_case_required IS 'a flexible message must name its use case';
COMMENT ON COLUMN line_notify.channel.proxy IS 'proxy for requests to LINE, NULL = none';
COMMENT ON COLUMN line_notify.channel.ca_file IS 'file of the certificates that are trusted, NULL = the system''s';
COMMENT ON COLUMN line_notify.channel.created_at IS 'when it was created';
COMMENT ON COLUMN line_notify.channel.home IS 'identity this channel was armed for; see arm()';
COMMENT ON COLUMN line_notify.channel.line_channel_id IS 'LINE''s channel ID: identity of the rate limit, which outlives tokens';
COMMENT ON COLUMN line_notify.channel.confirm_within IS 'outcome unconfirmed for take_outcomes() when no delivery event came so soon after LINE accepted a message; NULL = never';
COMMENT ON COLUMN line_notify.channel.on_silence IS 'after confirm_within, when no delivery event came for any message of the channel at that time: withhold the outcome, or hand it out as unconfirmed (webhooks are not connected on purpose)';
COMMENT ON COLUMN line_notify.channel.rate_limit IS 'our share of LINE''s 2,000 requests a second per endpoint';
COMMENT ON COLUMN line_notify.channel.settle_window IS 'on_unknown, on_server_error = retry: how long to wait for the delivery event first';
COMMENT ON COLUMN line_notify.channel.dedup_window IS 'how long a dedup_key stays taken';
COMMENT ON COLUMN line_notify.channel.on_duplicate IS 'second message with a dedup_key: ignore it, or replace the first while that is queued';
COMMENT ON COLUMN line_notify.channel.time_zone IS 'for quiet_hours and the day of daily_budget';
COMMENT ON COLUMN line_notify.channel.quiet_hours IS 'nothing is sent in these hours of the day, e.g. 21:00-08:00';
COMMENT ON COLUMN line_notify.channel.daily_budget IS 'most messages a day that LINE may have accepted; what comes after waits for the next day';
COMMENT ON COLUMN line_notify.channel.only_recipients IS 'hashes of the only people that may be sent to, for staging; messages to others become suppressed';
COMMENT ON COLUMN line_notify.channel.catalogue_only IS 'template messages may only use keys that template_catalogue lists for the region';
COMMENT ON COLUMN line_notify.channel.unknown_content IS 'message types and properties that we do not know: warn of them, or refuse them';
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
-- A policy-less table under row security is invisible even to pg_read_all_data,
-- whose members read TOAST and pg_statistic, though.
ALTER TABLE line_notify.credential
	ALTER channel SET STORAGE PLAIN,
	ALTER kind SET STORAGE PLAIN,
	ALTER value SET STORAGE PLAIN,
	ALTER key_id SET STORAGE PLAIN,
	ALTER flow SET STORAGE PLAIN,
	ALTER value SET STATISTICS 0,
	ENABLE ROW LEVEL SECURITY;
REVOKE ALL ON line_notify.credential FROM PUBLIC;
COMMENT ON TABLE line_notify.credential IS 'Secrets, or file:/path of where they are; not dumped, no policy: only a superuser sees it';
COMMENT ON COLUMN line_notify.credential.key_id IS 'jwt_key: the "kid" that LINE''s console gave for the public key';
COMMENT ON COLUMN line_notify.credential.flow IS 'jwt_key: which tokens to ask for, stateless or v2.1';
CREATE FUNCTION line_notify._insert_secret(line_notify.credential) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'line_notify_insert_secret';
REVOKE ALL ON FUNCTION line_notify._insert_secret(line_notify.credential) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._insert_secret(line_notify.credential) IS 'INSERT of a credential that logical decoding does not see';

CREATE FUNCTION line_notify._hide_statement(instead text) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'line_notify_hide_statement';
REVOKE ALL ON FUNCTION line_notify._hide_statement(text) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._hide_statement(text) IS 'what pg_stat_activity shows in place of the statement that calls this';

CREATE TABLE line_notify.token_status (
	channel			text COLLATE "C" PRIMARY KEY REFERENCES line_notify.channel ON DELETE CASCADE,
	error			text NOT NULL,
	since			timestamptz NOT NULL DEFAULT clock_timestamp()
);
ALTER TABLE line_notify.token_status ALTER error SET STATISTICS 0;
COMMENT ON TABLE line_notify.token_status IS 'Channels for which the worker could not get an access token, for health(); never a secret';

CREATE TABLE line_notify.sender (
	role			regrole NOT NULL,
	channel			text COLLATE "C" NOT NULL,
	PRIMARY KEY (role, channel)
);
COMMENT ON TABLE line_notify.sender IS 'Which role may send through which channel (* = every one); see grant_sender()';

-- Faults that concern one endpoint, or one template, of a channel.  What
-- waits behind them is blocked (due_at infinity), so that it does not stand
-- in the way of the rest.
CREATE TABLE line_notify.partial_pause (
	channel			text COLLATE "C" NOT NULL REFERENCES line_notify.channel ON DELETE CASCADE,
	scope			text NOT NULL CHECK (scope IN ('endpoint', 'template', 'design', 'use_case')),
	subject			text NOT NULL CHECK (scope <> 'endpoint' OR subject IN ('template', 'flexible')),
	reason			text NOT NULL,
	paused_at		timestamptz NOT NULL DEFAULT clock_timestamp(),
	PRIMARY KEY (channel, scope, subject)
);
ALTER TABLE line_notify.partial_pause ALTER reason SET STATISTICS 0;
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

CREATE FUNCTION line_notify._database_oid() RETURNS oid
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$ SELECT d.oid FROM pg_database d WHERE d.datname = current_database() $$;
REVOKE ALL ON FUNCTION line_notify._database_oid() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._database_oid() IS 'this database';

CREATE FUNCTION line_notify._node() RETURNS text
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'line_notify_node';
REVOKE ALL ON FUNCTION line_notify._node() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._node() IS 'name of this node: setting line_notify.node, or the host name';

CREATE FUNCTION line_notify._identity_fault(armed_at timestamptz, timeline integer) RETURNS text
LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'line_notify_identity_fault';
REVOKE ALL ON FUNCTION line_notify._identity_fault(timestamptz, integer) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._identity_fault(timestamptz, integer) IS 'restored or twin: why this server is taken for a copy of the one that was armed then; or NULL';

CREATE FUNCTION line_notify._timeline_began() RETURNS timestamptz
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'line_notify_timeline_began';
REVOKE ALL ON FUNCTION line_notify._timeline_began() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._timeline_began() IS 'when this server was promoted, by its own clock: what it wrote itself is not older; or NULL';

CREATE FUNCTION line_notify._twin_runs() RETURNS boolean
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'line_notify_twin_runs';
REVOKE ALL ON FUNCTION line_notify._twin_runs() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._twin_runs() IS 'does another server with this system identifier and node name run on this host';

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
	  AND i.disarmed_at IS NULL
	  AND line_notify._identity_fault(i.armed_at, i.timeline) IS NULL
	ORDER BY i.armed_at DESC
	LIMIT 1
$$;
GRANT EXECUTE ON FUNCTION line_notify._local_home() TO PUBLIC;	-- used in views
COMMENT ON FUNCTION line_notify._local_home() IS 'the identity row that this cluster, database and node are named in, or NULL';

-- The worker's question: where may I send from?  What it learns of being a copy
-- must outlive the traces.
CREATE FUNCTION line_notify._take_home() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	x record;
BEGIN
	-- no statement without a row: its trigger would call us again
	FOR x IN
		SELECT i.home, line_notify._identity_fault(i.armed_at, i.timeline) AS fault
		FROM line_notify.identity i
		WHERE i.disarmed_at IS NULL
		  AND i.system_identifier = (SELECT c.system_identifier FROM pg_control_system() c)
		  AND i.database = line_notify._database_oid()
		  AND line_notify._node() = ANY (i.nodes)
	LOOP
		IF x.fault IS NOT NULL THEN
			UPDATE line_notify.identity i SET disarmed_at = clock_timestamp(), disarmed_why = x.fault WHERE i.home = x.home;
		END IF;
	END LOOP;
	RETURN line_notify._local_home();
END
$$;
REVOKE ALL ON FUNCTION line_notify._take_home() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._take_home() IS 'the same for the worker, which notes that this server is a copy';

-- Why a channel or its rows may not be sent from here, for health().
CREATE FUNCTION line_notify._disarmed_reason(home bigint) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT format('disarmed: database "%s" on node "%s" %s', current_database(), line_notify._node(),
		CASE coalesce(i.disarmed_why, line_notify._identity_fault(i.armed_at, i.timeline))
			WHEN 'restored' THEN 'was restored from a backup, and the original may have sent what waits here'
			WHEN 'cut loose' THEN 'was a standby and was not promoted, but started without standby.signal: its primary may send what waits here'
			WHEN 'twin' THEN 'is a copy: another server with its identity was running on this host'
			ELSE 'is not where the channel was armed ' ||
				CASE WHEN i.home IS NULL THEN '(unknown)'
					 WHEN i.system_identifier <> (SELECT c.system_identifier FROM pg_control_system() c)
						 THEN format('(nodes %s of another cluster)', array_to_string(i.nodes, ', '))
					 WHEN i.database <> line_notify._database_oid()
						 THEN format('(nodes %s, another database)', array_to_string(i.nodes, ', '))
					 ELSE format('(nodes %s)', array_to_string(i.nodes, ', ')) END END)
	FROM (VALUES (home)) h(home) LEFT JOIN line_notify.identity i ON i.home = h.home
$$;
REVOKE ALL ON FUNCTION line_notify._disarmed_reason(bigint) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._disarmed_reason(bigint) IS 'why nothing of this home is sent from here, in words';

-- The parameters, here and below, are the list in src/db/channel_settings.h.
CREATE FUNCTION line_notify.create_channel(
	name text,
	@{api_base.. % %type DEFAULT NULL})
RETURNS void
LANGUAGE line_notify_plpgsql SET search_path = pg_catalog, pg_temp
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
			MESSAGE = format('channel "%s" already exists', line_notify._shown(create_channel.name)),
			HINT = 'Use line_notify.alter_channel() to change it.';
	END IF;

	-- The first channel arms this database on this node; after a restore
	-- elsewhere that is what line_notify.arm() is for.
	here := line_notify._local_home();
	IF here IS NULL THEN
		INSERT INTO line_notify.identity (home, system_identifier, database, nodes)
		SELECT ('x' || encode(substr(decode(md5(random()::text || clock_timestamp()::text || db::text), 'hex'), 1, 7), 'hex'))::bit(56)::bigint,
			   c.system_identifier, db, ARRAY[line_notify._node()]
		FROM pg_control_system() c, line_notify._database_oid() db
		RETURNING home INTO here;
	END IF;

	INSERT INTO line_notify.channel (name, home) VALUES (create_channel.name, here);
	INSERT INTO line_notify.consumer (channel, name) VALUES (create_channel.name, 'default');
	PERFORM line_notify.alter_channel(create_channel.name, @{api_base.. % => create_channel.%});
END
$$;
REVOKE ALL ON FUNCTION line_notify.create_channel FROM PUBLIC;
COMMENT ON FUNCTION line_notify.create_channel IS 'Register a LINE Messaging API channel and let this database send through it';

CREATE FUNCTION line_notify.alter_channel(
	name text,
	@{api_base.. % %type DEFAULT NULL})
RETURNS void
LANGUAGE line_notify_plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	allowed text[];
	not_valid integer;
	fault text;
	broken name;			-- constraint; a message would say it in the server's language
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
			MESSAGE = format('time zone "%s" not recognized', line_notify._shown(alter_channel.time_zone)),
			HINT = 'View pg_timezone_names lists them; abbreviations are not accepted.';
	END IF;

	-- numbers are for people to write, hashes are what is kept
	SELECT array_agg(h.hash ORDER BY h.n), min(h.n) FILTER (WHERE h.hash IS NULL)
	INTO allowed, not_valid
	FROM (SELECT u.n, CASE WHEN u.x ~ '^[0-9a-f]{64}$' THEN u.x
					  ELSE encode(sha256(convert_to(line_notify.normalize_phone(u.x,
						coalesce(alter_channel.region, (SELECT c.region FROM line_notify.channel c WHERE c.name = alter_channel.name))), 'UTF8')), 'hex') END AS hash
		  FROM unnest(alter_channel.only_recipients) WITH ORDINALITY AS u(x, n)) h;
	IF not_valid IS NOT NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = format('only_recipients has an invalid phone number at position %s', not_valid);
	END IF;

	UPDATE line_notify.channel c SET
		@{set % = coalesce(alter_channel.%, c.%)},
		@{cleared % = nullif(coalesce(alter_channel.%, c.%), %value)},
		region = upper(coalesce(alter_channel.region, c.region)),
		only_recipients = CASE WHEN alter_channel.only_recipients IS NULL THEN c.only_recipients ELSE allowed END
	WHERE c.name = alter_channel.name;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_object',
			MESSAGE = format('channel "%s" does not exist', line_notify._shown(alter_channel.name)),
			HINT = 'View line_notify.channels lists the channels.';
	END IF;
	fault := line_notify._ca_fault(nullif(alter_channel.ca_file, ''));
	IF fault IS NOT NULL THEN
		RAISE WARNING USING
			MESSAGE = format('ca_file "%s" %s', alter_channel.ca_file, fault),
			DETAIL = format('Channel "%s" sends nothing from this server until that is fixed.', alter_channel.name),
			HINT = 'It holds the certificates (PEM) that are trusted, and must be readable by the server''s user.';
	END IF;
EXCEPTION WHEN check_violation THEN
	GET STACKED DIAGNOSTICS broken = CONSTRAINT_NAME;
	RAISE EXCEPTION USING
		ERRCODE = 'invalid_parameter_value',
		MESSAGE = 'invalid value for a channel setting',
		DETAIL = format('The failing rule is %s: %s.', broken,
			(SELECT pg_get_constraintdef(k.oid) FROM pg_constraint k
			 WHERE k.conrelid = 'line_notify.channel'::regclass AND k.conname = broken)),
		HINT = 'The README lists every channel setting with its range.';
END
$$;
REVOKE ALL ON FUNCTION line_notify.alter_channel FROM PUBLIC;
COMMENT ON FUNCTION line_notify.alter_channel IS 'Change settings of a channel; NULL leaves a setting as it is; '''' clears proxy, ca_file and quiet_hours, 0 clears max_attempts, daily_budget and confirm_within, {} clears only_recipients';

CREATE FUNCTION line_notify.drop_channel(name text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s'
AS $$
#variable_conflict use_column
BEGIN
	-- whoever is just inserting into it is waited for, and not for long, since
	-- everybody waits behind us
	LOCK TABLE line_notify.outbox IN SHARE ROW EXCLUSIVE MODE;
	PERFORM FROM line_notify.channel c WHERE c.name = drop_channel.name FOR UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_object',
			MESSAGE = format('channel "%s" does not exist', line_notify._shown(drop_channel.name));
	END IF;
	IF EXISTS (SELECT FROM line_notify.outbox o WHERE o.channel = drop_channel.name) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'object_in_use',
			MESSAGE = format('channel "%s" has messages waiting', line_notify._shown(drop_channel.name)),
			HINT = 'Cancel them with line_notify.cancel(channel => ...) or let them be sent first.';
	END IF;
	DELETE FROM line_notify.sender s WHERE s.channel = drop_channel.name;
	DELETE FROM line_notify.outcome o WHERE o.channel = drop_channel.name;
	DELETE FROM line_notify.channel c WHERE c.name = drop_channel.name;
END
$$;
REVOKE ALL ON FUNCTION line_notify.drop_channel(text) FROM PUBLIC;
COMMENT ON FUNCTION line_notify.drop_channel(text) IS 'Remove a channel that has nothing waiting; its history stays';

CREATE FUNCTION line_notify.set_credential(channel text, kind text, value text, key_id text DEFAULT NULL, flow text DEFAULT NULL) RETURNS void
LANGUAGE line_notify_plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	issues CONSTANT boolean := set_credential.kind IN ('client_secret', 'jwt_key');
	former text;
BEGIN
	PERFORM line_notify._hide_statement('line_notify.set_credential(...)');
	-- one at a time, and the channel stays, as a foreign key would see to
	PERFORM FROM line_notify.channel c WHERE c.name = set_credential.channel FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_object',
			MESSAGE = format('channel "%s" does not exist', line_notify._shown(set_credential.channel));
	END IF;
	IF set_credential.kind IS NULL OR set_credential.kind NOT IN ('access_token', 'client_secret', 'jwt_key', 'channel_secret', 'previous_channel_secret') THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'unknown kind of credential',
			HINT = 'Kinds are access_token, client_secret, jwt_key, channel_secret and previous_channel_secret.';
	END IF;
	IF set_credential.value LIKE 'file:%' THEN
		IF set_credential.value NOT LIKE 'file:/%' OR octet_length(set_credential.value) > 4096 THEN
			RAISE EXCEPTION USING
				ERRCODE = 'invalid_parameter_value',
				MESSAGE = 'the path of a credential file must be absolute, and no longer than 4096 bytes',
				HINT = 'Write file:/path/of/the/secret.';
		END IF;
		IF NOT (line_notify._caller_is_superuser() OR pg_has_role(line_notify._caller(), 'pg_read_server_files', 'USAGE')) THEN
			RAISE EXCEPTION USING
				ERRCODE = 'insufficient_privilege',
				MESSAGE = 'permission denied to read a credential from a server file',
				DETAIL = 'Only roles with the privileges of "pg_read_server_files" may name a server file.';
		END IF;
	ELSIF set_credential.value IS NOT NULL AND line_notify._published_by('credential', 'value') IS NOT NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'object_not_in_prerequisite_state',
			MESSAGE = 'the credential would be sent to subscribers',
			DETAIL = format('Publications of this database carry it: %s.', line_notify._published_by('credential', 'value')),
			HINT = 'Use file:/path of a file on each server, or publish your own tables instead of all: CREATE PUBLICATION ... FOR TABLES IN SCHEMA ...;';
	ELSIF set_credential.value IS NOT NULL AND octet_length(set_credential.value) NOT BETWEEN 1 AND 7000 THEN
		-- it must fit into its row: see above
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'a credential has 1 to 7000 bytes';
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
			MESSAGE = format('channel "%s" has no line_channel_id', line_notify._shown(set_credential.channel)),
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

	SELECT c.value INTO former FROM line_notify.credential c
	WHERE c.channel = set_credential.channel AND c.kind = 'channel_secret' AND set_credential.kind = 'channel_secret'
	  AND c.value IS DISTINCT FROM set_credential.value;
	-- one way to get access tokens at a time, one generation of the channel
	-- secret; a secret that is taken away is not to live on as the previous one
	DELETE FROM line_notify.credential c
	WHERE c.channel = set_credential.channel
	  AND (c.kind = set_credential.kind
		   OR c.kind = 'previous_channel_secret' AND set_credential.kind = 'channel_secret' AND (former IS NOT NULL OR set_credential.value IS NULL)
		   OR c.kind IN ('access_token', 'client_secret', 'jwt_key') AND set_credential.kind IN ('access_token', 'client_secret', 'jwt_key')
			  AND set_credential.value IS NOT NULL);
	IF set_credential.value IS NULL THEN
		RETURN;
	END IF;
	-- one generation back stays valid while LINE and its proxies change over
	IF former IS NOT NULL THEN
		PERFORM line_notify._insert_secret(ROW(set_credential.channel, 'previous_channel_secret', former, NULL, NULL, clock_timestamp(), session_user)::line_notify.credential);
	END IF;
	PERFORM line_notify._insert_secret(ROW(set_credential.channel, set_credential.kind, set_credential.value,
		set_credential.key_id, set_credential.flow, clock_timestamp(), session_user)::line_notify.credential);
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
	db oid := line_notify._database_oid();
	wanted text[] := coalesce(arm.nodes, ARRAY[line_notify._node()]);
	former text[];
	n bigint;
BEGIN
	IF arm.backlog IS NULL OR arm.backlog NOT IN ('keep', 'cancel') THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = format('unknown backlog policy: "%s"', line_notify._shown(arm.backlog)),
			HINT = 'Use keep (send what waits) or cancel.';
	END IF;
	IF cardinality(wanted) = 0 OR array_position(wanted, NULL) IS NOT NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'nodes must name at least one node, and no NULL';
	END IF;

	IF line_notify._node() = ANY (wanted) AND line_notify._twin_runs() THEN
		RAISE EXCEPTION USING
			ERRCODE = 'object_not_in_prerequisite_state',
			MESSAGE = format('another server of this cluster runs on this host as node "%s"', line_notify._node()),
			DETAIL = 'Both have the same system identifier: one is a copy of the other, and both would send.',
			HINT = 'Set line_notify.node to another name in the configuration of the copy, reload it, and call arm() there.';
	END IF;

	-- Where one may send already, it stays the same place.  Elsewhere it is a
	-- new one, so that what came along with a copy is told from what is new.
	here := line_notify._local_home();
	SELECT array_agg(DISTINCT x ORDER BY x) INTO former
	FROM line_notify.identity i, unnest(i.nodes) x
	WHERE i.system_identifier = sysid AND i.database = db AND i.disarmed_at IS NULL AND x <> ALL (wanted);
	IF former IS NOT NULL THEN
		RAISE NOTICE USING
			MESSAGE = format('no longer armed: %s', array_to_string(former, ', ')),
			HINT = format('To arm these nodes as well: SELECT line_notify.arm(nodes => %L);', former || wanted);
	END IF;
	IF here IS NOT NULL THEN
		UPDATE line_notify.identity i SET nodes = wanted, armed_at = clock_timestamp(), armed_by = session_user
		WHERE i.home = here;
	ELSE
		UPDATE line_notify.identity i SET disarmed_at = clock_timestamp(), disarmed_why = 'armed elsewhere'
		WHERE i.system_identifier = sysid AND i.database = db AND i.disarmed_at IS NULL;
		-- standbys have to know before anything is sent: see _note_timeline()
		INSERT INTO line_notify.identity (home, system_identifier, database, nodes, handover, handover_at, handover_to)
		SELECT ('x' || encode(substr(decode(md5(random()::text || clock_timestamp()::text || db::text), 'hex'), 1, 7), 'hex'))::bit(56)::bigint,
			   sysid, db, wanted, t.handover, CASE WHEN t.handover IS NOT NULL THEN clock_timestamp() END,
			   CASE WHEN t.handover IS NOT NULL THEN ARRAY(SELECT k.standby FROM line_notify._known_standbys() k ORDER BY 1) END
		FROM (SELECT CASE WHEN line_notify._must_tell_standbys() THEN 'taking' END) t(handover)
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

CREATE FUNCTION line_notify._spread_due(quiet_hours text, time_zone text, since timestamptz, spread interval, expires_at timestamptz)
RETURNS timestamptz
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'line_notify_spread_due';
REVOKE ALL ON FUNCTION line_notify._spread_due(text, text, timestamptz, interval, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._spread_due(text, text, timestamptz, interval, timestamptz) IS 'a random moment of the spread since then, in which quiet hours do not count; before expires_at, if the spread is';

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
SELECT c.name, @{api_base..daily_budget c.%},
	   coalesce((SELECT d.sent FROM line_notify.daily_sent d
				 WHERE d.channel = c.name AND d.day = (clock_timestamp() AT TIME ZONE c.time_zone)::date), 0) AS sent_today,
	   cardinality(c.only_recipients) AS only_recipients, @{catalogue_only.. c.%},
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
