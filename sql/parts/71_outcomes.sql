
--
-- Outcomes: what the application must act on, handed to each consumer once.
-- A queue of its own for each consumer, so that several sessions take from it
-- without waiting for each other, and what was taken is gone.
--

CREATE TABLE line_notify.consumer (
	channel			text COLLATE "C" NOT NULL REFERENCES line_notify.channel ON DELETE CASCADE,
	name			text COLLATE "C" NOT NULL CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$'),
	outcomes		text[] NOT NULL DEFAULT '{unreachable,undelivered,unconfirmed,invalid,refused,failed,unknown,expired}',
	role			regrole,
	created_at		timestamptz NOT NULL DEFAULT clock_timestamp(),
	PRIMARY KEY (channel, name)
);
COMMENT ON TABLE line_notify.consumer IS 'Who takes outcomes of a channel: default, made with the channel, and those of set_consumer(); see take_outcomes()';
COMMENT ON COLUMN line_notify.consumer.outcomes IS 'what is kept for it';
COMMENT ON COLUMN line_notify.consumer.role IS 'only this role, of those that may send through the channel, and its members take them; NULL = every one of those';

CREATE SEQUENCE line_notify.outcome_seq_seq;
CREATE TABLE line_notify.outcome (
	seq				bigint DEFAULT line_notify._next_number('line_notify.outcome_seq_seq') NOT NULL,
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
	   AND NOT EXISTS (SELECT FROM line_notify.consumer c WHERE c.channel = NEW.channel AND 'delivered' = ANY (c.outcomes))
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
	WHERE c.channel = NEW.channel AND (NEW.state::text = ANY (c.outcomes) OR told.already);
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

CREATE FUNCTION line_notify._check_consumer_name(name text) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF name IS NULL OR name !~ '^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$' THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'invalid consumer name',
			DETAIL = 'A name has 1 to 63 letters, digits, "_", "-" or "." and begins with a letter or digit.';
	END IF;
END
$$;
REVOKE ALL ON FUNCTION line_notify._check_consumer_name(text) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._check_consumer_name(text) IS 'raises 22023 for what no consumer may be called';

CREATE FUNCTION line_notify._check_outcomes(outcomes text[]) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	known CONSTANT text[] := '{accepted,delivered,unreachable,undelivered,unconfirmed,invalid,suppressed,cancelled,refused,failed,unknown,expired}';
	stray text;
BEGIN
	SELECT s INTO stray FROM unnest(outcomes) s WHERE s IS NULL OR s <> ALL (known) LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = format('unknown outcome: "%s"', line_notify._shown(stray)),
			HINT = 'Outcomes are ' || array_to_string(known, ', ') || '.';
	END IF;
END
$$;
REVOKE ALL ON FUNCTION line_notify._check_outcomes(text[]) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._check_outcomes(text[]) IS 'raises 22023 for what no outcome is called';

CREATE FUNCTION line_notify.take_outcomes(
	max integer DEFAULT 1000, states text[] DEFAULT NULL, channel text DEFAULT NULL, consumer text DEFAULT 'default',
	OUT id bigint, OUT state text, OUT revision integer, OUT at timestamptz,
	OUT message_channel text, OUT use_case line_notify.use_case, OUT template_key text, OUT batch text,
	OUT reference text, OUT attempts integer, OUT http_status integer, OUT error text)
RETURNS SETOF record
LANGUAGE line_notify_plpgsql VOLATILE SET search_path = pg_catalog, pg_temp ROWS 1000
AS $$
#variable_conflict use_column
DECLARE
	viewer record := line_notify._viewer();
	mine text[];
	closed_for regrole;
	stray text;
BEGIN
	IF take_outcomes.max IS NULL OR take_outcomes.max < 1 THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'max must be at least 1';
	END IF;
	PERFORM line_notify._check_outcomes(take_outcomes.states);
	PERFORM line_notify._check_channel(take_outcomes.channel);
	PERFORM line_notify._check_consumer_name(take_outcomes.consumer);

	-- channels of which the caller may take what is kept for this consumer
	SELECT array_agg(c.channel) FILTER (WHERE x.may), min(c.role::oid) FILTER (WHERE NOT x.may)
	INTO mine, closed_for
	FROM line_notify.consumer c,
		 LATERAL (SELECT viewer.acts OR c.role IS NULL
				  OR EXISTS (SELECT FROM pg_roles r WHERE r.oid = c.role AND pg_has_role(line_notify._caller(), r.oid, 'USAGE')) AS may) x
	WHERE c.name = take_outcomes.consumer
	  AND (viewer.acts OR c.channel = ANY (viewer.channels))
	  AND (take_outcomes.channel IS NULL OR c.channel = take_outcomes.channel);
	IF mine IS NULL AND closed_for IS NOT NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'insufficient_privilege',
			MESSAGE = format('permission denied for consumer "%s"', line_notify._shown(take_outcomes.consumer)),
			DETAIL = format('Its outcomes are for role %s.', closed_for);
	ELSIF mine IS NULL AND take_outcomes.consumer <> 'default' THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_object',
			MESSAGE = format('consumer "%s" does not exist', line_notify._shown(take_outcomes.consumer)),
			HINT = 'An operator makes one for a channel: line_notify.set_consumer(consumer, channel).';
	END IF;
	SELECT s INTO stray FROM unnest(take_outcomes.states) s
	WHERE mine IS NOT NULL
	  AND NOT EXISTS (SELECT FROM line_notify.consumer c
					  WHERE c.name = take_outcomes.consumer AND c.channel = ANY (mine) AND s = ANY (c.outcomes)) LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = format('outcome "%s" is not kept for consumer "%s"', stray, line_notify._shown(take_outcomes.consumer)),
			HINT = 'An operator decides what is, by channel: line_notify.set_consumer(consumer, channel, outcomes).';
	END IF;

	RETURN QUERY
		WITH picked AS MATERIALIZED (
			SELECT o.seq FROM line_notify.outcome o
			WHERE o.consumer = take_outcomes.consumer
			  AND (take_outcomes.states IS NULL OR o.outcome = ANY (take_outcomes.states) OR o.correction)
			  AND o.channel = ANY (mine)
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
COMMENT ON FUNCTION line_notify.take_outcomes IS 'Hand out up to max outcomes of the caller''s channels that this consumer has not had: each once, for good when the transaction commits. Several sessions may take at the same time. What turns out otherwise later comes again with a larger revision';

CREATE FUNCTION line_notify.set_consumer(consumer text, channel text, outcomes text[] DEFAULT NULL, role regrole DEFAULT NULL) RETURNS void
LANGUAGE line_notify_plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	-- each outcome of the channel is a row for each of them
	most CONSTANT integer := 16;
BEGIN
	PERFORM line_notify._check_consumer_name(set_consumer.consumer);
	IF set_consumer.channel IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'null_value_not_allowed',
			MESSAGE = 'channel of a consumer must not be null';
	END IF;
	PERFORM line_notify._check_channel(set_consumer.channel);
	PERFORM line_notify._check_outcomes(set_consumer.outcomes);
	IF set_consumer.role <> 0 AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = set_consumer.role) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_object',
			MESSAGE = format('role %s does not exist', set_consumer.role);
	END IF;
	-- so that two of us do not both make the last one
	LOCK TABLE line_notify.consumer IN SHARE ROW EXCLUSIVE MODE;
	INSERT INTO line_notify.consumer (channel, name) VALUES (set_consumer.channel, set_consumer.consumer)
	ON CONFLICT ON CONSTRAINT consumer_pkey DO NOTHING;
	IF FOUND AND (SELECT count(*) > most FROM line_notify.consumer c WHERE c.channel = set_consumer.channel) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'configuration_limit_exceeded',
			MESSAGE = format('channel "%s" has %s consumers already', line_notify._shown(set_consumer.channel), most),
			HINT = 'line_notify.drop_consumer() forgets one.';
	END IF;
	UPDATE line_notify.consumer c SET
		outcomes = CASE WHEN set_consumer.outcomes IS NULL THEN c.outcomes
						ELSE ARRAY(SELECT DISTINCT o FROM unnest(set_consumer.outcomes) o ORDER BY o) END,
		role = CASE WHEN set_consumer.role IS NULL THEN c.role ELSE nullif(set_consumer.role::oid, 0)::regrole END
	WHERE c.channel = set_consumer.channel AND c.name = set_consumer.consumer;
	PERFORM line_notify._log_operation('set_consumer', jsonb_strip_nulls(jsonb_build_object('consumer', set_consumer.consumer,
		'channel', set_consumer.channel, 'outcomes', set_consumer.outcomes, 'role', set_consumer.role::text)), false, 0);
END
$$;
REVOKE ALL ON FUNCTION line_notify.set_consumer FROM PUBLIC;
COMMENT ON FUNCTION line_notify.set_consumer IS 'Keep outcomes of a channel for a consumer of take_outcomes(), or other ones from now on; with a role, only that one takes them (''-'' = every sender of the channel). NULL leaves as it is; a new consumer gets what is worth acting on. A channel has at most 16 consumers';

CREATE FUNCTION line_notify.drop_consumer(consumer text, channel text DEFAULT NULL) RETURNS bigint
LANGUAGE line_notify_plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	n bigint;
BEGIN
	PERFORM line_notify._check_channel(channel);
	IF consumer = 'default' THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'the default consumer cannot be dropped',
			HINT = 'line_notify.set_consumer() has less kept for it, or nothing: outcomes => ''{}''.';
	END IF;
	DELETE FROM line_notify.consumer c WHERE c.name = consumer AND (drop_consumer.channel IS NULL OR c.channel = drop_consumer.channel);
	IF NOT FOUND THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_object',
			MESSAGE = format('consumer "%s" does not exist', line_notify._shown(consumer));
	END IF;
	DELETE FROM line_notify.outcome o
	WHERE o.consumer = drop_consumer.consumer AND (drop_consumer.channel IS NULL OR o.channel = drop_consumer.channel);
	GET DIAGNOSTICS n = ROW_COUNT;
	PERFORM line_notify._log_operation('drop_consumer', jsonb_strip_nulls(jsonb_build_object('consumer', consumer, 'channel', channel)), false, n);
	RETURN n;
END
$$;
REVOKE ALL ON FUNCTION line_notify.drop_consumer FROM PUBLIC;
COMMENT ON FUNCTION line_notify.drop_consumer IS 'Forget a consumer of take_outcomes(), of one channel or of all, and what waits for it; returns how many outcomes that were';

CREATE VIEW line_notify.consumers AS
SELECT c.name, c.channel, c.outcomes, c.role, c.created_at, coalesce(w.waiting, 0) AS waiting, w.oldest
FROM line_notify.consumer c
LEFT JOIN (SELECT o.consumer, o.channel, count(*) AS waiting, min(o.at) AS oldest
		   FROM line_notify.outcome o GROUP BY o.consumer, o.channel) w ON w.consumer = c.name AND w.channel = c.channel;
COMMENT ON VIEW line_notify.consumers IS 'Consumers of take_outcomes() by channel, and how many outcomes wait for each';
COMMENT ON COLUMN line_notify.consumers.name IS 'name, as take_outcomes(consumer => ...) has it';
COMMENT ON COLUMN line_notify.consumers.channel IS 'channel whose outcomes it gets';
COMMENT ON COLUMN line_notify.consumers.outcomes IS 'outcomes that are kept for it; see set_consumer()';
COMMENT ON COLUMN line_notify.consumers.role IS 'the only sender that may take them; NULL = every sender of the channel';
COMMENT ON COLUMN line_notify.consumers.created_at IS 'when it was made';
COMMENT ON COLUMN line_notify.consumers.waiting IS 'outcomes that it has not taken yet';
COMMENT ON COLUMN line_notify.consumers.oldest IS 'since when the oldest of them waits';
