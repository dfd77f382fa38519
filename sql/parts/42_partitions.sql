
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
	-- For support and operator functions.  A reference or batch costs nothing where there
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
	OUT in_doubt_before timestamptz, OUT in_doubt_until timestamptz)
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
			i.in_doubt_before := moment;
			i.in_doubt_until := moment + grace;
		END IF;
		UPDATE line_notify.identity x SET
			timeline = _note_timeline.timeline, synchronous = _note_timeline.synchronous,
			in_doubt_before = i.in_doubt_before, in_doubt_until = i.in_doubt_until
		WHERE x.home = _note_timeline.home;
	END IF;
	in_doubt_before := i.in_doubt_before;
	in_doubt_until := i.in_doubt_until;
END
$$;
REVOKE ALL ON FUNCTION line_notify._note_timeline(bigint, integer, boolean, interval) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._note_timeline(bigint, integer, boolean, interval) IS 'notes on which timeline is sent; returns what is in doubt after a promotion';

-- The time to wait for delivery events is over.  Returns whether there is more.
CREATE FUNCTION line_notify._settle_in_doubt(home bigint, hold boolean, step integer) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	before timestamptz := (SELECT i.in_doubt_before FROM line_notify.identity i WHERE i.home = _settle_in_doubt.home);
	ids bigint[];
BEGIN
	IF hold AND before IS NOT NULL THEN
		ids := ARRAY(SELECT o.id FROM line_notify.outbox o
					 WHERE o.home = _settle_in_doubt.home AND o.due_at <= before AND o.state = 'queued'
					   AND NOT EXISTS (SELECT FROM line_notify.in_flight f WHERE f.id = o.id)
					 ORDER BY o.id LIMIT step FOR UPDATE SKIP LOCKED);
		PERFORM line_notify._finish(ids, 'unknown', 'may have been sent by the server before the promotion');
		IF cardinality(ids) = step THEN
			RETURN true;
		END IF;
	END IF;
	UPDATE line_notify.identity i SET in_doubt_before = NULL, in_doubt_until = NULL WHERE i.home = _settle_in_doubt.home;
	RETURN false;
END
$$;
REVOKE ALL ON FUNCTION line_notify._settle_in_doubt(bigint, boolean, integer) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._settle_in_doubt(bigint, boolean, integer) IS 'after promotion_grace: ends what is in doubt as unknown, or lets it be sent';

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
