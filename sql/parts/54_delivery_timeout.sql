
CREATE FUNCTION line_notify._is_row_fault(sqlstate text) RETURNS boolean
LANGUAGE c IMMUTABLE PARALLEL SAFE STRICT AS 'MODULE_PATHNAME', 'line_notify_is_row_fault';
REVOKE ALL ON FUNCTION line_notify._is_row_fault(text) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._is_row_fault(text) IS 'is a row at fault, not a lock, a disk or a shutdown';

-- Messages of a time become undelivered.  Where the tables refuse one of them, it
-- alone stays as it is.
CREATE FUNCTION line_notify._end_undelivered(of_channel text, since timestamptz, upto timestamptz, OUT refused bigint, OUT why text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	one bigint;
BEGIN
	BEGIN
		UPDATE line_notify.history h SET state = 'undelivered'
		WHERE h.channel = of_channel AND h.state = 'accepted' AND h.ended_at >= since AND h.ended_at < upto;
	EXCEPTION WHEN OTHERS THEN
		IF NOT line_notify._is_row_fault(SQLSTATE) THEN
			RAISE;
		END IF;
		FOR one IN SELECT h.id FROM line_notify.history h
				   WHERE h.channel = of_channel AND h.state = 'accepted' AND h.ended_at >= since AND h.ended_at < upto
		LOOP
			BEGIN
				UPDATE line_notify.history h SET state = 'undelivered' WHERE h.id = one AND h.state = 'accepted';
			EXCEPTION WHEN OTHERS THEN
				IF NOT line_notify._is_row_fault(SQLSTATE) THEN
					RAISE;
				END IF;
				why := SQLSTATE;
			END;
		END LOOP;
	END;
	-- also those that a trigger keeps without a word
	SELECT count(*) INTO refused FROM line_notify.history h
	WHERE h.channel = of_channel AND h.state = 'accepted' AND h.ended_at >= since AND h.ended_at < upto;
	IF refused > 0 AND why IS NULL THEN
		why := '27000';
	END IF;
END
$$;
REVOKE ALL ON FUNCTION line_notify._end_undelivered(text, timestamptz, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._end_undelivered(text, timestamptz, timestamptz) IS 'ends messages of a time as undelivered; says how many the tables keep from that, and with which SQLSTATE';

-- No delivery event means not delivered only if events were arriving: one for
-- another message of the channel, answered within 15 minutes of this one.
-- Otherwise the silence proves nothing, and the message stays as it is.
CREATE FUNCTION line_notify._sweep_delivery_timeout(delivery_timeout interval, OUT again boolean, OUT next_at timestamptz)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_bitmapscan = on SET enable_hashjoin = on
AS $$
DECLARE
	horizon timestamptz := clock_timestamp() - delivery_timeout;
	c record;
	m record;
	upto timestamptz;
	left_over record;
BEGIN
	again := false;
	next_at := 'infinity';
	FOR c IN SELECT n.name, coalesce(s.settled, '-infinity') AS mark
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
			next_at := least(next_at, greatest(m.minute, c.mark) + delivery_timeout + interval '1 second');
			CONTINUE;
		END IF;
		upto := least(m.minute + interval '1 minute', horizon);
		-- at most a minute's worth of messages in one transaction
		IF m.silent AND EXISTS (SELECT FROM line_notify.minute_count x
				   WHERE x.channel = c.name AND x.delivered > 0
					 AND x.minute BETWEEN m.minute - interval '15 minutes' AND m.minute + interval '15 minutes')
		THEN
			SELECT e.refused, e.why INTO left_over
			FROM line_notify._end_undelivered(c.name, greatest(m.minute, c.mark), upto) e;
			IF left_over.refused > 0 THEN
				-- this channel waits here for whoever changed our tables, and no other
				INSERT INTO line_notify.sweep_mark AS s (channel, refused, why) VALUES (c.name, left_over.refused, left_over.why)
				ON CONFLICT (channel) DO UPDATE SET refused = excluded.refused, why = excluded.why;
				next_at := least(next_at, clock_timestamp() + interval '10 seconds');
				CONTINUE;
			END IF;
		END IF;
		INSERT INTO line_notify.sweep_mark AS s (channel, settled) VALUES (c.name, upto)
		ON CONFLICT (channel) DO UPDATE SET settled = excluded.settled, refused = 0, why = NULL;
		IF upto < horizon THEN
			again := true;
		ELSE
			next_at := least(next_at, upto + delivery_timeout + interval '1 second');
		END IF;
	END LOOP;
	SELECT _sweep_delivery_timeout.again OR u.again, least(_sweep_delivery_timeout.next_at, u.next_at) INTO again, next_at
	FROM line_notify._sweep_unconfirmed() u;
	IF NOT again THEN
		PERFORM line_notify._sum_up(delivery_timeout);
	END IF;
END
$$;
REVOKE ALL ON FUNCTION line_notify._sweep_delivery_timeout(interval) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._sweep_delivery_timeout(interval) IS 'judges the silence after one more minute of accepted messages of each channel; says whether to go on, else when there will be more';

-- Messages of which nothing was heard within confirm_within: an outcome for
-- consumers, while the message stays accepted.  What was accepted more than an
-- hour before the setting was made is left alone.
--
-- Silence is no news, either, where no delivery event came for any other message
-- of that time: a webhook that is not connected would send everybody an SMS.
-- Such a minute waits until an event of its neighbours must have come, then it is
-- passed by, and remembered: on_silence = unconfirmed goes back to it.
CREATE FUNCTION line_notify._sweep_unconfirmed(OUT again boolean, OUT next_at timestamptz)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_bitmapscan = on SET enable_hashjoin = on
AS $$
DECLARE
	c record;
	m record;
	horizon timestamptz;
	upto timestamptz;
	evidence boolean;
	patience timestamptz;
BEGIN
	again := false;
	next_at := 'infinity';
	-- released: told once, by their revision
	UPDATE line_notify.sweep_mark s SET unconfirmed = least(s.unconfirmed, s.withheld), withheld = NULL
	FROM line_notify.channel n
	WHERE n.name = s.channel AND s.withheld IS NOT NULL AND (n.on_silence = 'unconfirmed' OR n.confirm_within IS NULL);
	FOR c IN SELECT n.name, n.confirm_within, n.on_silence,
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
		evidence := c.on_silence = 'unconfirmed' OR EXISTS (SELECT FROM line_notify.minute_count x
				   WHERE x.channel = c.name AND x.delivered > 0
					 AND x.minute BETWEEN m.minute - interval '15 minutes' AND m.minute + interval '15 minutes');
		patience := m.minute + interval '16 minutes' + c.confirm_within;
		IF m.silent AND NOT evidence AND clock_timestamp() < patience THEN
			next_at := least(next_at, patience);
			CONTINUE;
		END IF;
		IF m.silent AND evidence THEN
			WITH h AS (
				UPDATE line_notify.history h SET revision = 1
				WHERE h.channel = c.name AND h.state = 'accepted' AND h.revision IS NULL
				  AND h.ended_at >= greatest(m.minute, c.mark) AND h.ended_at < upto
				RETURNING h.id, h.channel)
			INSERT INTO line_notify.outcome (consumer, id, channel, outcome, revision, correction)
			SELECT k.name, h.id, h.channel, 'unconfirmed', 1, false
			FROM h JOIN line_notify.consumer k ON k.channel = h.channel WHERE 'unconfirmed' = ANY (k.outcomes);
		END IF;
		INSERT INTO line_notify.sweep_mark AS s (channel, unconfirmed, withheld)
		VALUES (c.name, upto, CASE WHEN m.silent AND NOT evidence THEN m.minute END)
		ON CONFLICT (channel) DO UPDATE SET unconfirmed = excluded.unconfirmed,
			withheld = coalesce(s.withheld, excluded.withheld);
		again := true;
	END LOOP;
END
$$;
REVOKE ALL ON FUNCTION line_notify._sweep_unconfirmed() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._sweep_unconfirmed() IS 'notes the outcome unconfirmed for one more minute of accepted messages of each channel';
