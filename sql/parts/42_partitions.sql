
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

	-- one maker at a time, and a fresh look after waiting for it; the lock that
	-- ATTACH takes, too, and nobody who is not trusted with the table
	LOCK TABLE ONLY line_notify.history IN SHARE UPDATE EXCLUSIVE MODE;
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
				   ' WITH (fillfactor = 90, autovacuum_analyze_scale_factor = 0.0, autovacuum_analyze_threshold = 100000,'
				   ' autovacuum_vacuum_insert_scale_factor = 0.0, autovacuum_vacuum_insert_threshold = 50000)', part);
	-- LIKE does not take along which columns keep no statistics
	EXECUTE (SELECT format('ALTER TABLE line_notify.%I ADD PRIMARY KEY (id)', part) || string_agg(format(', ALTER %I SET STATISTICS 0', a.attname), '')
			 FROM pg_attribute a
			 WHERE a.attrelid = 'line_notify.history'::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attstattarget = 0);
	-- For support, operator functions, and libraries that look for a key before they
	-- insert.  A reference, batch or dedup_key costs nothing where there is none.
	-- Recipients are random, so a btree or hash index would cost as much as all the
	-- rest of a record; Bloom filters cost nearly nothing, and a search reads 6
	-- bytes a message.
	-- Vacuum summarizes what is new.  Not autosummarize: a worker at full speed
	-- asks more often than autovacuum listens, and each time that is logged, with
	-- the whole statement.
	EXECUTE format('CREATE INDEX ON line_notify.%I (reference) WHERE reference IS NOT NULL', part);
	EXECUTE format('CREATE INDEX ON line_notify.%I (batch) WHERE batch IS NOT NULL', part);
	EXECUTE format('CREATE INDEX ON line_notify.%I (dedup_key) WHERE dedup_key IS NOT NULL', part);
	EXECUTE format('CREATE INDEX ON line_notify.%I USING brin (recipient text_bloom_ops(n_distinct_per_range = -0.5))'
				   ' WITH (pages_per_range = 32)', part);
	-- a new index knows its first pages by heart: every insert there would rewrite the filter
	PERFORM brin_desummarize_range(c.oid, 0)
	FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
	WHERE i.indrelid = format('line_notify.%I', part)::regclass AND a.amname = 'brin';
	-- rows lie in the order of their end
	EXECUTE format('CREATE INDEX ON line_notify.%I USING brin (ended_at) WITH (pages_per_range = 16)', part);
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

-- Who is attached.  Only a name that one server has says which that is; a slot
-- serves one at a time.
CREATE FUNCTION line_notify._attached_standbys(OUT standby text, OUT flush_lsn pg_lsn, OUT servers bigint)
RETURNS SETOF record
LANGUAGE sql STABLE ROWS 2 SET search_path = pg_catalog, pg_temp
AS $$
	SELECT coalesce('slot ' || s.slot_name, 'application ' || r.application_name), min(r.flush_lsn), count(*)
	FROM pg_stat_replication r LEFT JOIN pg_replication_slots s ON s.active_pid = r.pid
	WHERE r.state IN ('streaming', 'catchup') AND r.replay_lsn IS NOT NULL AND s.slot_type IS DISTINCT FROM 'logical'
	GROUP BY 1
$$;
REVOKE ALL ON FUNCTION line_notify._attached_standbys() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._attached_standbys() IS 'standbys that stream from here, and how far they have it on disk';

-- Who may be promoted one day: also one that is away, and has left its slot.
CREATE FUNCTION line_notify._known_standbys(OUT standby text, OUT flush_lsn pg_lsn)
RETURNS SETOF record
LANGUAGE sql STABLE ROWS 2 SET search_path = pg_catalog, pg_temp
AS $$
	SELECT a.standby, a.flush_lsn FROM line_notify._attached_standbys() a
	UNION ALL
	SELECT 'slot ' || s.slot_name, s.restart_lsn FROM pg_replication_slots s
	WHERE s.slot_type = 'physical' AND NOT s.active AND s.restart_lsn IS NOT NULL
$$;
REVOKE ALL ON FUNCTION line_notify._known_standbys() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._known_standbys() IS 'standbys that stream from here, or whose slot waits for them, and how far they have it on disk';

-- Those of a name that others have, too, by default: the one of all standbys, or
-- that of the cluster, which Debian makes the same everywhere.  A standby of a
-- standby may be called that, and has not been asked.
CREATE FUNCTION line_notify._named_standbys() RETURNS SETOF text
LANGUAGE sql STABLE ROWS 2 SET search_path = pg_catalog, pg_temp
AS $$
	SELECT a.standby FROM line_notify._attached_standbys() a
	WHERE a.servers = 1
	  AND a.standby NOT IN ('application walreceiver', 'application ' || current_setting('cluster_name'))
	ORDER BY 1
$$;
REVOKE ALL ON FUNCTION line_notify._named_standbys() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._named_standbys() IS 'standbys that stream from here, and whose name says which server it is';

CREATE FUNCTION line_notify._own_standby_name() RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT coalesce('slot ' || nullif(current_setting('primary_slot_name'), ''),
		'application ' || coalesce(
			(regexp_match(current_setting('primary_conninfo'), 'application_name\s*=\s*''?([^'' ]+)'))[1],
			nullif(current_setting('cluster_name'), ''), 'walreceiver'))
$$;
REVOKE ALL ON FUNCTION line_notify._own_standby_name() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._own_standby_name() IS 'what this server is called in _attached_standbys() of its primary';

-- A worker ends in order, and nothing is claimed.  Standbys that are attached
-- get this as they get the rest of the shutdown: one of them may go on without
-- a doubt, unless the note was taken back.
CREATE FUNCTION line_notify._hand_over(home bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	standbys text[] := ARRAY(SELECT line_notify._named_standbys());
BEGIN
	IF cardinality(standbys) > 0 AND NOT EXISTS (SELECT FROM line_notify.in_flight) THEN
		UPDATE line_notify.identity i
		SET handover = 'given', handover_at = clock_timestamp(), handover_to = standbys, handover_lsn = NULL
		WHERE i.home = _hand_over.home AND i.handover IS NULL;
	END IF;
END
$$;
REVOKE ALL ON FUNCTION line_notify._hand_over(bigint) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._hand_over(bigint) IS 'notes that nothing is on the wire, for a standby that takes over';

-- The note is being taken back: do all who may believe it know, or can they
-- not believe it any more?  Returns whether it is done.
CREATE FUNCTION line_notify._take_back(home bigint, grace interval) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	i line_notify.identity;
BEGIN
	SELECT * INTO i FROM line_notify.identity x WHERE x.home = _take_back.home;
	IF i.handover IS DISTINCT FROM 'taking' THEN
		RETURN true;
	END IF;
	IF i.handover_lsn IS NULL THEN
		-- the word itself was committed before this
		UPDATE line_notify.identity x SET handover_lsn = pg_current_wal_insert_lsn() WHERE x.home = i.home;
		RETURN false;
	END IF;
	IF clock_timestamp() < i.handover_at + grace AND EXISTS (
		SELECT FROM unnest(i.handover_to) w(standby)
		WHERE NOT EXISTS (SELECT FROM line_notify._known_standbys() k
						  WHERE k.standby = w.standby AND k.flush_lsn >= i.handover_lsn))
	THEN
		RETURN false;
	END IF;
	UPDATE line_notify.identity x
	SET handover = NULL, handover_at = NULL, handover_to = NULL, handover_lsn = NULL
	WHERE x.home = i.home;
	RETURN true;
END
$$;
REVOKE ALL ON FUNCTION line_notify._take_back(bigint, interval) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._take_back(bigint, interval) IS 'waits, in steps, until no standby believes in the hand-over any more';

-- The promotion was at moment, and is noted later: what came due meanwhile is in
-- doubt, too, since the former primary may have gone on for a while.  What was
-- inserted since the promotion is in nobody's hands but ours.
--
-- What was blocked at a promotion may have been freed, and sent, by what this
-- server has not heard of: the message before it has ended, somebody was about
-- to let it go.  It is in doubt as what was due.  Only what a part of a channel
-- that is paused still holds is not: who resumes that waits for the standbys
-- (table unblock).  Nor has the former primary sent what was not due by its
-- clock, which may have been ahead of ours.  Of a standby that lacks more than
-- the last moments nothing of that is true: on_promotion = hold_all.
CREATE FUNCTION line_notify._blocked_in_doubt(home bigint, moment timestamptz, noted timestamptz) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
	UPDATE line_notify.outbox o SET due_at = _blocked_in_doubt.moment
	WHERE o.home = _blocked_in_doubt.home AND o.state = 'queued' AND o.due_at > _blocked_in_doubt.moment
	  AND o.created_at <= greatest(_blocked_in_doubt.moment, pg_last_xact_replay_timestamp())
	  AND (o.due_at <= greatest(_blocked_in_doubt.noted, pg_last_xact_replay_timestamp())
		   OR current_setting('line_notify.on_promotion', true) = 'hold_all'
		   OR o.id IN (SELECT u.id FROM line_notify.unblock u WHERE u.id IS NOT NULL)
		   OR o.due_at = 'infinity'
			  AND (o.order_key IS NOT NULL
				   OR NOT EXISTS (
					SELECT FROM line_notify.partial_pause p
					WHERE p.channel = o.channel
					  AND CASE p.scope
						  WHEN 'endpoint' THEN p.subject = CASE WHEN o.template_key IS NULL THEN 'flexible' ELSE 'template' END
						  WHEN 'template' THEN p.subject = o.template_key
						  WHEN 'design' THEN o.template_key IS NULL AND p.subject = coalesce(o.use_case::text, '')
						  ELSE p.subject = coalesce(o.use_case::text, '') END)));
	DELETE FROM line_notify.unblock u WHERE u.id IS NOT NULL;
$$;
REVOKE ALL ON FUNCTION line_notify._blocked_in_doubt(bigint, timestamptz, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._blocked_in_doubt(bigint, timestamptz, timestamptz) IS 'after a promotion: what was blocked, or came due since, is in doubt, too';

-- A worker says where it stands.  On another timeline than the last one that
-- sent, a standby was promoted, and claims of the last moments may be missing
-- here, unless each of them had waited for a standby, or the server before has
-- handed over.
--
-- The note is believed by whom it names, and for half as long as its writer
-- waits, when it has to, before it sends again.  That assumes that their clocks
-- differ by less than the other half.
CREATE FUNCTION line_notify._note_timeline(home bigint, timeline integer, synchronous boolean, grace interval,
	OUT in_doubt_before timestamptz, OUT in_doubt_until timestamptz, OUT fenced boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	i line_notify.identity;
	o line_notify.identity;
	moment timestamptz := clock_timestamp();
	proof boolean := current_setting('line_notify.on_promotion', true) IS DISTINCT FROM 'hold_all';
	me text;
BEGIN
	SELECT * INTO o FROM line_notify.identity x WHERE x.home = _note_timeline.home;
	i := o;
	IF i.timeline <> _note_timeline.timeline THEN
		me := line_notify._own_standby_name();
		IF proof AND i.handover = 'given' AND me = ANY (i.handover_to)
			AND moment BETWEEN i.handover_at - grace / 2 AND i.handover_at + grace / 2
		THEN
			-- the others on the list may believe it, too
			i.handover_to := array_remove(i.handover_to, me);
			i.handover := CASE WHEN cardinality(i.handover_to) > 0 THEN 'taking' END;
			i.handover_at := moment;
		ELSE
			IF NOT (proof AND i.synchronous) THEN
				i.in_doubt_before := least(moment, line_notify._timeline_began());
				i.in_doubt_until := moment + grace;
			END IF;
			i.handover := NULL;
		END IF;
	ELSIF i.handover = 'given' THEN
		-- it was ours
		i.handover := 'taking';
		i.handover_at := moment;
	ELSIF i.synchronous AND NOT _note_timeline.synchronous AND i.handover IS NULL THEN
		-- who takes over must know that claims wait for nobody any more
		i.handover := 'taking';
		i.handover_at := moment;
		i.handover_to := ARRAY(SELECT a.standby FROM line_notify._attached_standbys() a ORDER BY 1);
	END IF;
	IF i.handover IS DISTINCT FROM o.handover THEN
		i.handover_lsn := NULL;
		IF i.handover IS NULL THEN
			i.handover_at := NULL;
			i.handover_to := NULL;
		END IF;
	END IF;
	i.timeline := _note_timeline.timeline;
	i.synchronous := _note_timeline.synchronous;
	IF i IS DISTINCT FROM o THEN
		UPDATE line_notify.identity x SET
			timeline = i.timeline, synchronous = i.synchronous,
			in_doubt_before = i.in_doubt_before, in_doubt_until = i.in_doubt_until,
			handover = i.handover, handover_at = i.handover_at, handover_to = i.handover_to, handover_lsn = i.handover_lsn
		WHERE x.home = _note_timeline.home;
	END IF;
	IF i.in_doubt_before IS DISTINCT FROM o.in_doubt_before THEN
		PERFORM line_notify._blocked_in_doubt(_note_timeline.home, i.in_doubt_before, moment);
	END IF;
	in_doubt_before := i.in_doubt_before;
	in_doubt_until := i.in_doubt_until;
	fenced := i.handover IS NOT NULL;
END
$$;
REVOKE ALL ON FUNCTION line_notify._note_timeline(bigint, integer, boolean, interval) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._note_timeline(bigint, integer, boolean, interval) IS 'notes on which timeline is sent; returns what is in doubt after a promotion, and whether a hand-over must be taken back before anything is sent';

-- Before a message is moved or ended: a promotion that no worker has seen yet
-- is noted, so that what is in doubt does not get a time after it.
CREATE FUNCTION line_notify._note_promotion() RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT line_notify._note_timeline(i.home, t.now, i.synchronous, current_setting('line_notify.promotion_grace')::interval)
	FROM line_notify.identity i,
		 (SELECT ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::integer) t(now)
	WHERE i.timeline <> t.now AND i.home = (SELECT line_notify._local_home())
$$;
REVOKE ALL ON FUNCTION line_notify._note_promotion() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._note_promotion() IS 'notes a promotion that no worker has seen yet';

CREATE FUNCTION line_notify._in_doubt_before(home bigint) RETURNS timestamptz
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE WHEN i.handover IS NULL THEN i.in_doubt_before ELSE clock_timestamp() END
	FROM line_notify.identity i WHERE i.home = _in_doubt_before.home
$$;
REVOKE ALL ON FUNCTION line_notify._in_doubt_before(bigint) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._in_doubt_before(bigint) IS 'messages due before may have been sent by another server, or NULL';

-- What somebody frees by hand waits until the standbys know that he did: one
-- that is promoted without knowing would take it for blocked, and once it is
-- freed there, too, send it again.  Not where each claim waits for a standby.
CREATE FUNCTION line_notify._must_tell_standbys() RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT EXISTS (SELECT FROM line_notify._known_standbys())
	   AND NOT EXISTS (SELECT FROM line_notify.identity i WHERE i.home = line_notify._local_home() AND i.synchronous)
$$;
REVOKE ALL ON FUNCTION line_notify._must_tell_standbys() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._must_tell_standbys() IS 'do standbys have to know what is freed by hand, before it goes';

-- An idle worker stays for this: its last words, should the server end in order.
CREATE FUNCTION line_notify._would_hand_over(home bigint) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT line_notify._must_tell_standbys() AND EXISTS (
		SELECT FROM line_notify.channel c, generate_series(0, @{LN_LANES} - 1) l(lane)
		-- probes of outbox_claim: the first of a lane, the last
		WHERE (SELECT o.due_at FROM line_notify.outbox o
			   WHERE o.channel = c.name AND o.lane = l.lane AND o.home = _would_hand_over.home
			   ORDER BY o.due_at LIMIT 1) <= statement_timestamp()
		   OR (SELECT o.due_at FROM line_notify.outbox o
			   WHERE o.channel = c.name AND o.lane = l.lane AND o.home = _would_hand_over.home
			   ORDER BY o.due_at DESC LIMIT 1) = 'infinity')
$$;
REVOKE ALL ON FUNCTION line_notify._would_hand_over(bigint) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._would_hand_over(bigint) IS 'would anything be in doubt if a standby were promoted without a note?';

-- The worker's part of that, in steps: who has to know, and do they?  Returns
-- whether any note still waits.
CREATE FUNCTION line_notify._tell_standbys(grace interval) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- Noted before, so that it is on disk where this is.  Who moves a message
	-- once more has its note locked, maybe for long.
	WITH a AS MATERIALIZED (
		SELECT CASE WHEN line_notify._must_tell_standbys()
					THEN ARRAY(SELECT s.standby FROM line_notify._known_standbys() s) ELSE '{}' END AS standbys)
	UPDATE line_notify.unblock u
	SET lsn = pg_current_wal_insert_lsn(), seen_at = clock_timestamp(), standbys = a.standbys
	FROM a
	WHERE u.seq = ANY (ARRAY(SELECT x.seq FROM line_notify.unblock x
							 WHERE x.order_key IS NULL AND x.standbys IS NULL LIMIT 5000 FOR UPDATE SKIP LOCKED));
	WITH a AS MATERIALIZED (SELECT s.standby, s.flush_lsn FROM line_notify._known_standbys() s)
	UPDATE line_notify.unblock u SET standbys = '{}'
	WHERE u.seq = ANY (ARRAY(
		SELECT x.seq FROM line_notify.unblock x
		WHERE x.order_key IS NULL AND x.standbys <> '{}'
		  AND (clock_timestamp() >= x.seen_at + grace
			   OR x.standbys <@ ARRAY(SELECT a.standby FROM a WHERE a.flush_lsn >= x.lsn))
		LIMIT 5000 FOR UPDATE SKIP LOCKED));
	RETURN EXISTS (SELECT FROM line_notify.unblock u WHERE u.order_key IS NULL AND u.standbys IS DISTINCT FROM '{}');
END
$$;
REVOKE ALL ON FUNCTION line_notify._tell_standbys(interval) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._tell_standbys(interval) IS 'waits, in steps, until the standbys know what was freed by hand';

-- The time to wait for delivery events is over.  Returns whether there is more;
-- NULL = somebody has the rest locked, which is not to be sent when he lets go.
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
		IF EXISTS (SELECT FROM line_notify.outbox o
				   WHERE o.home = _settle_in_doubt.home AND o.due_at <= before AND o.state = 'queued'
					 AND NOT EXISTS (SELECT FROM line_notify.in_flight f WHERE f.id = o.id)) THEN
			RETURN NULL;
		END IF;
	END IF;
	UPDATE line_notify.identity i SET in_doubt_before = NULL, in_doubt_until = NULL WHERE i.home = _settle_in_doubt.home;
	RETURN false;
END
$$;
REVOKE ALL ON FUNCTION line_notify._settle_in_doubt(bigint, boolean, integer) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._settle_in_doubt(bigint, boolean, integer) IS 'after promotion_grace: ends what is in doubt as unknown, or lets it be sent';

-- What time does to history.  Each part is a function with planner settings of
-- its own (the worker's are for its short statements), run in a transaction of
-- its own, for a few milliseconds: messages are sent in between.  Nothing waits
-- for a lock.  Returns whether there is more to do now.
CREATE TABLE line_notify.maintenance_mark (
	part			text COLLATE "C" PRIMARY KEY,
	mark			timestamptz NOT NULL,
	left_over		bigint[] NOT NULL DEFAULT '{}'
);
COMMENT ON TABLE line_notify.maintenance_mark IS 'How far maintenance has come';
COMMENT ON COLUMN line_notify.maintenance_mark.part IS 'payloads: the content of messages that ended before is forgotten';
COMMENT ON COLUMN line_notify.maintenance_mark.left_over IS 'but for these: a session had them locked, or a trigger kept them as they were';

CREATE FUNCTION line_notify._newest_id() RETURNS bigint
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$ SELECT (current_setting('line_notify.node_number')::bigint << 43) + s.last_value FROM line_notify.message_id_seq s $$;
REVOKE ALL ON FUNCTION line_notify._newest_id() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._newest_id() IS 'about the largest id that this server has given';

-- Nobody's transaction shall have to make a partition.
CREATE FUNCTION line_notify._maintain_ahead() RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	newest bigint := line_notify._newest_id();
BEGIN
	-- not while a dump is restored, which brings its own
	IF EXISTS (SELECT FROM line_notify.channel) THEN
		PERFORM line_notify._ensure_history(newest);
		PERFORM line_notify._ensure_history(newest + 50000);
	END IF;
	RETURN false;
END
$$;
REVOKE ALL ON FUNCTION line_notify._maintain_ahead() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._maintain_ahead() IS 'maintenance: makes the next partition of history';

-- One partition in a transaction: each takes a dozen locks, and the lock table
-- is everybody's.  A lock that is not free ends it until the next time, since
-- whoever waited would hold up all readers behind him; a partition that cannot be
-- dropped (somebody has made a view of it) is passed by, and its rows are deleted
-- like those of one that is still being filled.
CREATE FUNCTION line_notify._maintain_drop(cutoff timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET client_min_messages = warning
	SET enable_bitmapscan = on SET enable_seqscan = off SET jit = off
AS $$
DECLARE
	newest bigint := line_notify._newest_id();
	looks integer := 0;
	p record;
	young boolean;
	since timestamptz;
BEGIN
	-- one by one: a query of history would lock every partition and index of it
	FOR p IN SELECT * FROM line_notify._history_partitions() x WHERE x.high <= newest ORDER BY x.low
	LOOP
		EXIT WHEN cutoff IS NULL;
		-- ids grow with time, so one row tells; a row with an old id that came
		-- late does not speak for the partitions after its own, nor one that
		-- was made while the clock was ahead for any
		EXECUTE format('SELECT created_at FROM %s ORDER BY id LIMIT 1', p.partition) INTO since;
		CONTINUE WHEN since > cutoff AND since <= clock_timestamp();
		-- what has to be looked at closely
		looks := looks + 1;
		EXIT WHEN looks > 20;
		-- rows that wait, or are on the wire, still need it
		CONTINUE WHEN EXISTS (SELECT FROM line_notify.outbox o WHERE o.id < p.high AND o.id >= p.low)
			OR EXISTS (SELECT FROM line_notify.in_flight f WHERE f.id < p.high AND f.id >= p.low);
		EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE ended_at >= $1)', p.partition) INTO young USING cutoff;
		CONTINUE WHEN young;
		BEGIN
			LOCK TABLE ONLY line_notify.history IN ACCESS EXCLUSIVE MODE NOWAIT;
			EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE NOWAIT', p.partition);
			EXECUTE format('DROP TABLE %s', p.partition);
			RETURN true;
		EXCEPTION
			WHEN lock_not_available OR deadlock_detected OR out_of_memory THEN
				RAISE DEBUG 'could not drop % yet: %', p.partition, SQLERRM;
				RETURN NULL;
			WHEN OTHERS THEN
				RAISE LOG 'could not drop % after its retention: %', p.partition, SQLERRM;
		END;
	END LOOP;
	RETURN false;
END
$$;
REVOKE ALL ON FUNCTION line_notify._maintain_drop(timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._maintain_drop(timestamptz) IS 'maintenance: drops a partition of history of which everything ended before; NULL = a lock was not free';

CREATE FUNCTION line_notify._maintain_rows(cutoff timestamptz, budget interval) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	SET enable_bitmapscan = on SET enable_seqscan = off SET jit = off SET enable_tidscan = on
AS $$
DECLARE
	began timestamptz := clock_timestamp();
	p record;
	since timestamptz;
	found bigint;
	deleted bigint;
BEGIN
	FOR p IN SELECT * FROM line_notify._history_partitions() x ORDER BY x.low
	LOOP
		EXIT WHEN cutoff IS NULL;
		EXECUTE format('SELECT created_at FROM %s ORDER BY id LIMIT 1', p.partition) INTO since;
		CONTINUE WHEN since IS NULL OR since > cutoff AND since <= clock_timestamp();
		LOOP
			EXECUTE format('WITH x AS MATERIALIZED (SELECT x.ctid FROM %1$s x WHERE x.ended_at < $1 LIMIT 1000 FOR UPDATE SKIP LOCKED),
				d AS (DELETE FROM %1$s WHERE ctid = ANY (ARRAY(SELECT x.ctid FROM x)) RETURNING 1)
				SELECT (SELECT count(*) FROM x), (SELECT count(*) FROM d)', p.partition)
				INTO found, deleted USING cutoff;
			-- what a trigger of the owner's keeps is not ours to delete
			EXIT WHEN found < 1000 OR deleted = 0;
			IF clock_timestamp() > began + budget THEN
				RETURN true;
			END IF;
		END LOOP;
	END LOOP;
	RETURN false;
END
$$;
REVOKE ALL ON FUNCTION line_notify._maintain_rows(timestamptz, interval) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._maintain_rows(timestamptz, interval) IS 'maintenance: deletes messages that ended before, wherever they are';

-- Attempts go after their messages.  One that is not gone is not looked at twice
-- in a pass: after says from which id on.
CREATE FUNCTION line_notify._maintain_attempts(cutoff timestamptz, budget interval, INOUT after bigint, OUT more boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	SET enable_nestloop = on SET enable_hashjoin = off SET enable_tidscan = on
AS $$
DECLARE
	began timestamptz := clock_timestamp();
	old_id bigint := coalesce(line_notify._first_id_after(cutoff), 9223372036854775807);
	here tid[];
	last_id bigint;
	n integer;
BEGIN
	LOOP
		SELECT array_agg(x.ctid), max(x.id), count(*) INTO here, last_id, n
		FROM (SELECT a.ctid, a.id FROM line_notify.attempt_log a
			  WHERE a.id >= after AND a.id < old_id ORDER BY a.id LIMIT 200) x;
		DELETE FROM line_notify.attempt_log a
		WHERE a.ctid = ANY (here) AND a.ended_at < cutoff
		  AND NOT EXISTS (SELECT FROM line_notify.outbox o WHERE o.id = a.id)
		  AND NOT EXISTS (SELECT FROM line_notify.history h WHERE h.id = a.id);
		more := n = 200;
		EXIT WHEN NOT more;
		after := greatest(last_id, after + 1);
		EXIT WHEN clock_timestamp() > began + budget;
	END LOOP;
	IF NOT more THEN
		after := -9223372036854775808;
	END IF;
END
$$;
REVOKE ALL ON FUNCTION line_notify._maintain_attempts(timestamptz, interval, bigint) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._maintain_attempts(timestamptz, interval, bigint) IS 'maintenance: deletes attempts that ended before, and whose message is gone';

-- Outcomes that no consumer took in all that time.
CREATE FUNCTION line_notify._maintain_outcomes(cutoff timestamptz, budget interval) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	SET enable_nestloop = on SET enable_tidscan = on
AS $$
DECLARE
	began timestamptz := clock_timestamp();
	n bigint;
BEGIN
	LOOP
		DELETE FROM line_notify.outcome o
		WHERE o.ctid = ANY (ARRAY(
			SELECT x.ctid
			FROM (SELECT DISTINCT k.name FROM line_notify.consumer k) c,
				 LATERAL (SELECT q.ctid, q.at FROM line_notify.outcome q WHERE q.consumer = c.name ORDER BY q.seq LIMIT 200 FOR UPDATE SKIP LOCKED) x
			WHERE x.at < cutoff));
		GET DIAGNOSTICS n = ROW_COUNT;
		IF n < 200 OR clock_timestamp() > began + budget THEN
			RETURN n >= 200;
		END IF;
	END LOOP;
END
$$;
REVOKE ALL ON FUNCTION line_notify._maintain_outcomes(timestamptz, interval) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._maintain_outcomes(timestamptz, interval) IS 'maintenance: deletes outcomes that nobody took';

-- Ids grow with time, more or less: a row that came late, or restored, may have
-- the first id of all.
CREATE FUNCTION line_notify._oldest_history() RETURNS timestamptz
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	SET enable_bitmapscan = on SET enable_seqscan = off SET jit = off
AS $$
DECLARE
	oldest timestamptz;
	since timestamptz;
	p record;
BEGIN
	FOR p IN SELECT * FROM line_notify._history_partitions() LOOP
		EXECUTE format('SELECT created_at FROM %s ORDER BY id LIMIT 1', p.partition) INTO since;
		oldest := least(oldest, since, clock_timestamp());
	END LOOP;
	RETURN oldest;
END
$$;
REVOKE ALL ON FUNCTION line_notify._oldest_history() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._oldest_history() IS 'maintenance: about when the oldest message of history was made';

-- Window after window, by the time that messages ended, so that what is forgotten
-- is not looked at again.  Rows come into history at the time they end; a
-- restored one comes with the mark unset.
CREATE FUNCTION line_notify._maintain_payloads(cutoff timestamptz, budget interval) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	SET enable_bitmapscan = on SET enable_seqscan = off SET jit = off
AS $$
DECLARE
	began timestamptz := clock_timestamp();
	-- one that lies ahead is void: the clock was set back, or payload_retention raised
	reached timestamptz := (SELECT m.mark FROM line_notify.maintenance_mark m WHERE m.part = 'payloads' AND m.mark <= cutoff);
	-- what cannot be forgotten does not hold up what ended after it
	left_over bigint[] := coalesce((SELECT m.left_over FROM line_notify.maintenance_mark m WHERE m.part = 'payloads' AND m.mark <= cutoff), '{}');
	most_left CONSTANT integer := 1000;
	span interval;
	n bigint;
	kept bigint[];
BEGIN
	IF left_over <> '{}' THEN
		UPDATE line_notify.history h SET body = NULL, messages = NULL
		WHERE h.id = ANY (ARRAY(SELECT z.id FROM line_notify.history z WHERE z.id = ANY (left_over) FOR UPDATE SKIP LOCKED));
		left_over := ARRAY(SELECT h.id FROM line_notify.history h
						   WHERE h.id = ANY (left_over) AND (h.body IS NOT NULL OR h.messages IS NOT NULL));
	END IF;
	reached := coalesce(reached, least(line_notify._oldest_history() - interval '1 day', cutoff));
	<<windows>>
	WHILE reached < cutoff AND cardinality(left_over) < most_left AND clock_timestamp() < began + budget LOOP
		-- a day in which nothing ended, or as much as one window can do
		span := interval '1 day';
		LOOP
			SELECT count(*) INTO n
			FROM (SELECT FROM line_notify.history h
				  WHERE h.ended_at >= reached AND h.ended_at < least(reached + span, cutoff) LIMIT 2000) x;
			EXIT WHEN n < 2000 OR span < interval '1 second';
			span := span / 4;
		END LOOP;
		WHILE n > 0 LOOP
			WITH x AS MATERIALIZED (
				SELECT h.id FROM line_notify.history h
				WHERE h.ended_at >= reached AND h.ended_at < least(reached + span, cutoff)
				  AND (h.body IS NOT NULL OR h.messages IS NOT NULL)
				  AND h.id <> ALL (left_over)
				LIMIT 200),
			u AS (
				UPDATE line_notify.history h SET body = NULL, messages = NULL
				WHERE h.id = ANY (ARRAY(SELECT z.id FROM line_notify.history z
										WHERE z.id = ANY (ARRAY(SELECT x.id FROM x)) FOR UPDATE SKIP LOCKED))
				RETURNING h.id)
			SELECT count(*), coalesce(array_agg(x.id) FILTER (WHERE u.id IS NULL), '{}') INTO n, kept
			FROM x LEFT JOIN u USING (id);
			left_over := left_over || kept;
			EXIT windows WHEN cardinality(left_over) >= most_left OR n > 0 AND clock_timestamp() > began + budget;
		END LOOP;
		reached := least(reached + span, cutoff);
	END LOOP;
	INSERT INTO line_notify.maintenance_mark AS m (part, mark, left_over) VALUES ('payloads', reached, left_over)
	ON CONFLICT (part) DO UPDATE SET mark = excluded.mark, left_over = excluded.left_over
	WHERE (m.mark, m.left_over) <> (excluded.mark, excluded.left_over);
	RETURN reached < cutoff AND cardinality(left_over) < most_left;
END
$$;
REVOKE ALL ON FUNCTION line_notify._maintain_payloads(timestamptz, interval) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._maintain_payloads(timestamptz, interval) IS 'maintenance: forgets the content of messages that ended before';

-- What the tables refuse to record is kept no longer than if they had not.  What
-- was to go back to the queue has ended when it expired.
CREATE FUNCTION line_notify._maintain_set_aside(cutoff timestamptz, payload_cutoff timestamptz, budget interval) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	SET enable_tidscan = on
AS $$
DECLARE
	began timestamptz := clock_timestamp();
	n bigint;
	forgotten bigint;
BEGIN
	LOOP
		DELETE FROM line_notify.set_aside s
		WHERE s.ctid = ANY (ARRAY(SELECT x.ctid FROM line_notify.set_aside x
								  WHERE line_notify._set_aside_end(x) < cutoff LIMIT 1000 FOR UPDATE SKIP LOCKED));
		GET DIAGNOSTICS n = ROW_COUNT;
		UPDATE line_notify.set_aside s
		SET message = s.message - '{body,messages}'::text[],
			state = coalesce(s.state, CASE WHEN s.delivered_at IS NOT NULL THEN 'delivered'
										   WHEN s.ambiguous OR (s.message ->> 'maybe_sent')::boolean THEN 'unknown' ELSE 'expired' END)
		WHERE s.ctid = ANY (ARRAY(SELECT x.ctid FROM line_notify.set_aside x
								  WHERE line_notify._set_aside_end(x) < payload_cutoff AND x.message ?| '{body,messages}' LIMIT 1000 FOR UPDATE SKIP LOCKED));
		GET DIAGNOSTICS forgotten = ROW_COUNT;
		IF greatest(n, forgotten) < 1000 OR clock_timestamp() > began + budget THEN
			RETURN greatest(n, forgotten) >= 1000;
		END IF;
	END LOOP;
END
$$;
REVOKE ALL ON FUNCTION line_notify._maintain_set_aside(timestamptz, timestamptz, interval) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._maintain_set_aside(timestamptz, timestamptz, interval) IS 'maintenance: deletes outcomes set aside that ended before, forgets the content of their messages';

CREATE FUNCTION line_notify._maintain_operations(cutoff timestamptz, budget interval) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	began timestamptz := clock_timestamp();
	n bigint;
BEGIN
	LOOP
		-- their numbers grow with time
		DELETE FROM line_notify.operations o
		WHERE o.at < cutoff
		  AND o.seq = ANY (ARRAY(SELECT x.seq FROM line_notify.operations x ORDER BY x.seq LIMIT 200));
		GET DIAGNOSTICS n = ROW_COUNT;
		IF n < 200 OR clock_timestamp() > began + budget THEN
			RETURN n = 200;
		END IF;
	END LOOP;
END
$$;
REVOKE ALL ON FUNCTION line_notify._maintain_operations(timestamptz, interval) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._maintain_operations(timestamptz, interval) IS 'maintenance: deletes old entries of the log of operator functions';

-- When will there be something to do?  The worker may leave until then, and the
-- launcher keeps the time.
CREATE FUNCTION line_notify._maintain_next(retention interval, payload_retention interval, operations_retention interval) RETURNS timestamptz
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	SET enable_bitmapscan = on SET enable_seqscan = off SET jit = off
AS $$
DECLARE
	now timestamptz := clock_timestamp();
	following timestamptz;
	payload timestamptz;
	other timestamptz;
BEGIN
	-- The content of some message, mostly the first, is to be forgotten at that time.
	-- Does another one come before seven eighths of what is left until then?  Each
	-- look may read all that ended since the last VACUUM, and nothing is sent
	-- meanwhile; who comes a bit too early looks again.
	following := (SELECT h.ended_at FROM line_notify.history h WHERE h.ended_at >= now - payload_retention LIMIT 1) + payload_retention;
	WHILE following IS NOT NULL LOOP
		payload := now + greatest((following - now) * 7 / 8, interval '1 minute');
		EXIT WHEN payload <= now + interval '1 minute';
		following := (SELECT h.ended_at FROM line_notify.history h
					  WHERE h.ended_at >= now - payload_retention AND h.ended_at < payload - payload_retention LIMIT 1) + payload_retention;
	END LOOP;
	payload := least(payload, (SELECT min(line_notify._set_aside_end(s)) + payload_retention FROM line_notify.set_aside s
							   WHERE s.message ?| '{body,messages}'));
	other := least(line_notify._oldest_history() + retention + line_notify._retention_grace(retention),
				   (SELECT min(line_notify._set_aside_end(s)) + retention FROM line_notify.set_aside s),
				   (SELECT min(x.at) + retention FROM (SELECT DISTINCT k.name FROM line_notify.consumer k) c,
						LATERAL (SELECT q.at FROM line_notify.outcome q WHERE q.consumer = c.name ORDER BY q.seq LIMIT 1) x),
				   (SELECT o.at + operations_retention FROM line_notify.operations o ORDER BY o.seq LIMIT 1));
	RETURN coalesce(least(greatest(payload, now + interval '30 seconds'), greatest(other, now + interval '1 hour')), 'infinity');
END
$$;
REVOKE ALL ON FUNCTION line_notify._maintain_next(interval, interval, interval) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._maintain_next(interval, interval, interval) IS 'maintenance: when something will have to be forgotten';

-- Dropping a partition is nearly free, deleting its rows is not: so long a row
-- may wait for the others of its partition.
CREATE FUNCTION line_notify._retention_grace(retention interval) RETURNS interval
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$ SELECT least(interval '1 day', retention / 10) $$;
REVOKE ALL ON FUNCTION line_notify._retention_grace(interval) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._retention_grace(interval) IS 'how much longer than retention a message may be kept until its partition is dropped';

CREATE FUNCTION line_notify._maintain(part integer, retention interval, payload_retention interval, operations_retention interval,
	budget interval, after bigint, OUT more boolean, OUT next_at timestamptz, OUT next_after bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	cutoff timestamptz := clock_timestamp() - retention;
	overdue timestamptz := cutoff - line_notify._retention_grace(retention);
BEGIN
	CASE part
		WHEN 0 THEN
			PERFORM line_notify._forget_dropped_roles();
			more := line_notify._maintain_ahead();
		WHEN 1 THEN
			more := line_notify._maintain_drop(cutoff);
			-- a lock was not free
			IF more IS NULL THEN
				next_at := clock_timestamp() + interval '30 seconds';
			END IF;
		WHEN 2 THEN more := line_notify._maintain_rows(overdue, budget);
		WHEN 3 THEN
			IF retention IS NOT NULL THEN
				SELECT a.more, a.after INTO more, next_after FROM line_notify._maintain_attempts(overdue, budget, _maintain.after) a;
			END IF;
		WHEN 4 THEN
			more := line_notify._maintain_outcomes(cutoff, budget);
			more := line_notify._maintain_set_aside(cutoff, clock_timestamp() - payload_retention, budget) OR more;
		WHEN 5 THEN
			more := payload_retention IS NOT NULL AND line_notify._maintain_payloads(clock_timestamp() - payload_retention, budget);
			IF EXISTS (SELECT FROM line_notify.maintenance_mark m WHERE m.left_over <> '{}') THEN
				next_at := clock_timestamp() + interval '30 seconds';
			END IF;
		WHEN 6 THEN more := line_notify._maintain_operations(clock_timestamp() - operations_retention, budget);
		WHEN 7 THEN next_at := line_notify._maintain_next(retention, payload_retention, operations_retention);
	END CASE;
	more := coalesce(more, false);
END
$$;
REVOKE ALL ON FUNCTION line_notify._maintain(integer, interval, interval, interval, interval, bigint) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._maintain(integer, interval, interval, interval, interval, bigint) IS 'a part of maintenance, for a few milliseconds; more: there is more of it, next_at: when to begin again';

-- For monitoring: by how much the oldest message has outlived line_notify.retention,
-- or its content line_notify.payload_retention.
CREATE FUNCTION line_notify._retention_lag(OUT messages interval, OUT contents interval)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT (SELECT greatest(statement_timestamp() - h.ended_at - s.kept - line_notify._retention_grace(s.kept), '0')
			FROM (SELECT x.ended_at FROM line_notify.history x WHERE x.ended_at <= statement_timestamp() ORDER BY x.id LIMIT 1) h
			WHERE s.kept > '0'),
		   (SELECT greatest(statement_timestamp() - min(h.ended_at) - s.content_kept, '0')
			FROM line_notify.maintenance_mark m, line_notify.history h
			WHERE m.left_over <> '{}' AND h.id = ANY (m.left_over) AND (h.body IS NOT NULL OR h.messages IS NOT NULL)
			  AND s.content_kept > '0' HAVING count(*) > 0)
	FROM (SELECT current_setting('line_notify.retention', true)::interval,
				 current_setting('line_notify.payload_retention', true)::interval) s(kept, content_kept)
$$;
REVOKE ALL ON FUNCTION line_notify._retention_lag() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._retention_lag() IS 'by how much the oldest message has outlived line_notify.retention, and a day (a tenth of a shorter one) that it may wait for the others of its partition; and content that is left over line_notify.payload_retention; NULL when there is none';
GRANT EXECUTE ON FUNCTION line_notify._retention_lag() TO pg_monitor;
