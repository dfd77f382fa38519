
--
-- LINE's own counts, and prices
--

CREATE TABLE line_notify.delivered_counts (
	channel			text COLLATE "C" NOT NULL,
	day				date NOT NULL,
	kind			text NOT NULL CHECK (kind IN ('template', 'flexible')),
	status			text NOT NULL,
	messages		bigint,
	fetched_at		timestamptz NOT NULL DEFAULT clock_timestamp(),
	PRIMARY KEY (channel, day, kind)
);
COMMENT ON TABLE line_notify.delivered_counts IS 'LINE''s own count of messages delivered on a day (UTC+9): what it bills';
COMMENT ON COLUMN line_notify.delivered_counts.status IS 'LINE''s word: ready, unready (asked again hourly), out_of_service, ...; or why there was no answer';

CREATE TABLE line_notify.engagement_count (
	channel			text COLLATE "C" NOT NULL,
	month			date NOT NULL,
	aggregation_unit text COLLATE "C" NOT NULL,
	upto			date NOT NULL,
	status			text NOT NULL,
	opened			bigint,
	clicked			bigint,
	fetched_at		timestamptz NOT NULL DEFAULT clock_timestamp(),
	PRIMARY KEY (channel, month, aggregation_unit)
);
COMMENT ON TABLE line_notify.engagement_count IS 'LINE''s figures about the messages of an aggregation unit in a month (UTC+9); see view engagement';
COMMENT ON COLUMN line_notify.engagement_count.upto IS 'last day that the figures are about';
COMMENT ON COLUMN line_notify.engagement_count.status IS 'ready, or why the last question had no answer; the figures before it stay';
COMMENT ON COLUMN line_notify.engagement_count.opened IS 'people to whom a message was shown; NULL: LINE tells nothing below 20';
COMMENT ON COLUMN line_notify.engagement_count.clicked IS 'people who opened a URL of a message; NULL: LINE tells nothing below 20';

CREATE TABLE line_notify.unit_usage (
	channel			text COLLATE "C" NOT NULL,
	month			date NOT NULL,
	status			text NOT NULL,
	units			bigint,
	fetched_at		timestamptz NOT NULL DEFAULT clock_timestamp(),
	PRIMARY KEY (channel, month)
);
COMMENT ON TABLE line_notify.unit_usage IS 'How many names of aggregation units LINE counted in a month (UTC+9); beyond 1,000 it drops new ones silently, see health()';

-- Channels that LINE can be asked about now.
CREATE FUNCTION line_notify._asking_channels(home bigint) RETURNS SETOF text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT c.name
	FROM line_notify.channel c
	WHERE c.home = _asking_channels.home AND c.paused_at IS NULL
	  AND EXISTS (SELECT FROM line_notify.credential x WHERE x.channel = c.name AND x.kind IN ('access_token', 'client_secret', 'jwt_key'))
	  AND NOT EXISTS (SELECT FROM line_notify.token_status s WHERE s.channel = c.name)
$$;
REVOKE ALL ON FUNCTION line_notify._asking_channels(bigint) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._asking_channels(bigint) IS 'channels that LINE can be asked about now';

-- What to ask for.  Days on which LINE took something from us, the oldest
-- first; LINE counts a day during the next one.  Then, once a day from one in
-- the morning (UTC+9), each aggregation unit of each month: LINE corrects its
-- figures for 14 days after a message reached the user, which it may a day
-- after it was accepted.  LINE allows 60 such questions an hour to a channel; we
-- put half of them, and the rest of the units wait their turn.
CREATE FUNCTION line_notify._wanted_statistics(home bigint, max integer,
	OUT channel text, OUT kind text, OUT day date, OUT upto date, OUT unit text)
RETURNS SETOF record
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	WITH c AS (SELECT name FROM line_notify._asking_channels(home) name),
	d AS (
		SELECT t.channel, t.kind, t.day, CASE WHEN t.aggregation_unit ~ '^[A-Za-z0-9_]{1,30}$' THEN t.aggregation_unit END AS unit
		FROM line_notify.daily_count t
		WHERE t.outcome = 'accepted' AND t.kind IN ('template', 'flexible')
		  AND t.day BETWEEN (clock_timestamp() AT TIME ZONE 'Asia/Tokyo')::date - 62
						AND (clock_timestamp() AT TIME ZONE 'Asia/Tokyo')::date - 1),
	today AS (
		SELECT x.eff AS day, (x.eff + interval '1 hour') AT TIME ZONE 'Asia/Tokyo' AS began
		FROM (SELECT ((clock_timestamp() AT TIME ZONE 'Asia/Tokyo') - interval '1 hour')::date AS eff) x),
	units AS (
		SELECT u.*, e.fetched_at,
			   row_number() OVER (PARTITION BY u.channel ORDER BY e.fetched_at NULLS FIRST, u.month, u.unit) AS turn
		FROM (SELECT d.channel, date_trunc('month', d.day::timestamp)::date AS month, d.unit, max(d.day) AS last
			  FROM d, today WHERE d.unit IS NOT NULL AND d.day < today.day GROUP BY 1, 2, 3) u
		CROSS JOIN today
		LEFT JOIN line_notify.engagement_count e ON e.channel = u.channel AND e.month = u.month AND e.aggregation_unit = u.unit
		WHERE u.channel IN (SELECT name FROM c)
		  AND u.last > today.day - 46
		  AND (e.status IS NULL
			   OR e.status = 'ready' AND e.fetched_at < today.began AND (e.fetched_at AT TIME ZONE 'Asia/Tokyo')::date <= u.last + 16
			   OR e.status ~ '^http 4' AND e.status <> 'http 429' AND e.fetched_at < today.began
			   OR e.status <> 'ready' AND (e.status !~ '^http 4' OR e.status = 'http 429') AND e.fetched_at < clock_timestamp() - interval '1 hour'))
	SELECT w.channel, w.kind, w.day, w.upto, w.unit
	FROM (
		SELECT 1 AS part, t.channel, t.kind, t.day, NULL::date AS upto, NULL::text AS unit
		FROM (SELECT DISTINCT d.channel, d.kind, d.day FROM d
			  WHERE d.day >= (clock_timestamp() AT TIME ZONE 'Asia/Tokyo')::date - 45) t
		LEFT JOIN line_notify.delivered_counts k ON k.channel = t.channel AND k.kind = t.kind AND k.day = t.day
		WHERE t.channel IN (SELECT name FROM c)
		  AND (k.status IS NULL
			   OR k.status NOT IN ('ready', 'out_of_service') AND k.fetched_at < clock_timestamp() - interval '1 hour')
		UNION ALL
		SELECT 2, n.channel, 'units', n.month, NULL, NULL
		FROM (SELECT DISTINCT d.channel, date_trunc('month', today.day::timestamp)::date AS month FROM d, today
			  WHERE d.unit IS NOT NULL AND d.day >= date_trunc('month', today.day::timestamp)::date AND d.day < today.day) n
		CROSS JOIN today
		LEFT JOIN line_notify.unit_usage x ON x.channel = n.channel AND x.month = n.month
		WHERE n.channel IN (SELECT name FROM c)
		  AND (x.status IS NULL OR x.fetched_at < today.began)
		UNION ALL
		SELECT 3, u.channel, 'engagement', u.month,
			   least((u.month + interval '1 month')::date - 1, today.day - 1), u.unit
		FROM units u, today
		WHERE u.turn <= 30 - (SELECT count(*) FROM line_notify.engagement_count e
							  WHERE e.channel = u.channel AND e.fetched_at > clock_timestamp() - interval '1 hour')) w
	ORDER BY w.part, w.day, w.channel, w.kind, w.unit
	LIMIT max
$$;
REVOKE ALL ON FUNCTION line_notify._wanted_statistics(bigint, integer) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._wanted_statistics(bigint, integer) IS 'which of LINE''s figures to ask for now';

CREATE FUNCTION line_notify._next_statistics(home bigint) RETURNS timestamptz
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT least(
		-- one more round
		CASE WHEN (SELECT count(*) FROM line_notify._wanted_statistics(home, 9)) > 8 THEN clock_timestamp() END,
		-- those that were not ready, if any; a moment apart, whatever the clock does
		(SELECT greatest(t.due, clock_timestamp() + interval '10 seconds')
		 FROM (SELECT least(
				  (SELECT min(k.fetched_at) + interval '1 hour' FROM line_notify.delivered_counts k
				   WHERE k.status NOT IN ('ready', 'out_of_service') AND k.channel IN (SELECT line_notify._asking_channels(home))
					 AND k.day >= (clock_timestamp() AT TIME ZONE 'Asia/Tokyo')::date - 45),
				  -- questions failed, or are put off because so many are allowed in an hour
				  (SELECT max(e.fetched_at) + interval '1 hour' FROM line_notify.engagement_count e
				   WHERE e.channel IN (SELECT line_notify._asking_channels(home))
					 AND e.fetched_at > clock_timestamp() - interval '1 hour'
				   GROUP BY e.channel
				   HAVING count(*) >= 22 OR bool_or(e.status <> 'ready')
				   ORDER BY 1 LIMIT 1))) t(due)
		 WHERE t.due IS NOT NULL),
		-- at one in the morning for the day before
		(((clock_timestamp() AT TIME ZONE 'Asia/Tokyo') - interval '1 hour')::date + 1 + interval '1 hour') AT TIME ZONE 'Asia/Tokyo')
$$;
REVOKE ALL ON FUNCTION line_notify._next_statistics(bigint) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._next_statistics(bigint) IS 'when to ask LINE again';

-- An answer of LINE, or the lack of one.
CREATE FUNCTION line_notify._record_statistic(channel text, kind text, day date, upto date, unit text, status text, number bigint, clicked bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF kind = 'engagement' THEN
		INSERT INTO line_notify.engagement_count AS e (channel, month, aggregation_unit, upto, status, opened, clicked)
		VALUES (_record_statistic.channel, _record_statistic.day, _record_statistic.unit, _record_statistic.upto, _record_statistic.status,
				_record_statistic.number, _record_statistic.clicked)
		ON CONFLICT ON CONSTRAINT engagement_count_pkey DO UPDATE
			SET status = excluded.status, fetched_at = clock_timestamp(),
				upto = CASE excluded.status WHEN 'ready' THEN excluded.upto ELSE e.upto END,
				opened = CASE excluded.status WHEN 'ready' THEN excluded.opened ELSE e.opened END,
				clicked = CASE excluded.status WHEN 'ready' THEN excluded.clicked ELSE e.clicked END;
	ELSIF kind = 'units' THEN
		INSERT INTO line_notify.unit_usage AS x (channel, month, status, units)
		VALUES (_record_statistic.channel, _record_statistic.day, _record_statistic.status, _record_statistic.number)
		ON CONFLICT ON CONSTRAINT unit_usage_pkey DO UPDATE
			SET status = excluded.status, units = coalesce(excluded.units, x.units), fetched_at = clock_timestamp();
	ELSE
		INSERT INTO line_notify.delivered_counts AS k (channel, day, kind, status, messages)
		VALUES (_record_statistic.channel, _record_statistic.day, _record_statistic.kind, _record_statistic.status, _record_statistic.number)
		ON CONFLICT ON CONSTRAINT delivered_counts_pkey DO UPDATE
			SET status = excluded.status, messages = excluded.messages, fetched_at = clock_timestamp();
	END IF;
END
$$;
REVOKE ALL ON FUNCTION line_notify._record_statistic(text, text, date, date, text, text, bigint, bigint) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._record_statistic(text, text, date, date, text, text, bigint, bigint) IS 'keeps an answer of LINE about its figures';

CREATE VIEW line_notify.engagement WITH (security_barrier) AS
WITH ours AS (
	SELECT t.channel, date_trunc('month', t.day::timestamp)::date AS month, t.aggregation_unit,
		   coalesce(sum(t.messages) FILTER (WHERE t.outcome = 'accepted'), 0)::bigint AS accepted,
		   coalesce(sum(t.messages) FILTER (WHERE t.outcome = 'delivered'), 0)::bigint AS delivered,
		   max(t.day) AS last
	FROM line_notify.daily_totals t
	WHERE t.kind IN ('template', 'flexible') AND t.outcome IN ('accepted', 'delivered') AND t.aggregation_unit IS NOT NULL
	GROUP BY 1, 2, 3)
SELECT channel, month, aggregation_unit, o.accepted, o.delivered, e.opened, e.clicked,
	   round(e.opened::numeric / nullif(o.delivered, 0), 4) AS opened_share,
	   round(e.clicked::numeric / nullif(o.delivered, 0), 4) AS clicked_share,
	   e.upto, e.status, e.fetched_at,
	   e.status IS DISTINCT FROM 'ready' OR (e.fetched_at AT TIME ZONE 'Asia/Tokyo')::date <= o.last + 16 AS provisional
FROM ours o FULL JOIN line_notify.engagement_count e USING (channel, month, aggregation_unit);
COMMENT ON VIEW line_notify.engagement IS 'How the messages of an aggregation unit were received, by month (UTC+9): ours sent and delivered, LINE''s opened and clicked';
COMMENT ON COLUMN line_notify.engagement.aggregation_unit IS 'as sent; the key of the use case unless the message named another';
COMMENT ON COLUMN line_notify.engagement.opened IS 'people to whom a message was shown, as LINE counts; NULL: not asked yet, or fewer than 20, which LINE does not tell';
COMMENT ON COLUMN line_notify.engagement.clicked IS 'people who opened a URL of a message; NULL as above';
COMMENT ON COLUMN line_notify.engagement.opened_share IS 'opened / delivered; people are counted once, messages each: a unit that writes to the same people often has small shares';
COMMENT ON COLUMN line_notify.engagement.upto IS 'last day that LINE''s figures are about';
COMMENT ON COLUMN line_notify.engagement.status IS 'ready, or why LINE''s last answer could not be used; NULL = not asked yet';
COMMENT ON COLUMN line_notify.engagement.provisional IS 'LINE corrects its figures for 14 days after a message has reached the user; they are asked for daily until then';
GRANT SELECT ON line_notify.engagement TO pg_monitor;

CREATE TABLE line_notify.price (
	channel			text COLLATE "C" NOT NULL REFERENCES line_notify.channel ON DELETE CASCADE,
	valid_from		date NOT NULL,
	currency		text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
	per_message		numeric NOT NULL CHECK (per_message >= 0),
	monthly_fee		numeric NOT NULL DEFAULT 0 CHECK (monthly_fee >= 0),
	PRIMARY KEY (channel, valid_from)
);
COMMENT ON TABLE line_notify.price IS 'What LINE charges for a channel from a day on; see set_price()';

CREATE FUNCTION line_notify.set_price(channel text, per_message numeric, monthly_fee numeric DEFAULT 0,
	currency text DEFAULT 'JPY', valid_from date DEFAULT current_date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- here, since the table would repeat what it refuses
	PERFORM line_notify._check_channel(coalesce(set_price.channel, ''));
	IF set_price.per_message IS NULL OR set_price.monthly_fee IS NULL OR set_price.per_message < 0 OR set_price.monthly_fee < 0 THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'price and fee must not be null or negative';
	END IF;
	IF set_price.currency IS NULL OR set_price.currency !~ '^[A-Z]{3}$' OR set_price.valid_from IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'invalid currency or day of a price',
			DETAIL = 'A currency has three capital letters, as in ISO 4217; the day must not be null.';
	END IF;
	INSERT INTO line_notify.price AS p (channel, valid_from, currency, per_message, monthly_fee)
	VALUES (set_price.channel, set_price.valid_from, set_price.currency, set_price.per_message, set_price.monthly_fee)
	ON CONFLICT ON CONSTRAINT price_pkey DO UPDATE
		SET currency = excluded.currency, per_message = excluded.per_message, monthly_fee = excluded.monthly_fee;
END
$$;
REVOKE ALL ON FUNCTION line_notify.set_price(text, numeric, numeric, text, date) FROM PUBLIC;
COMMENT ON FUNCTION line_notify.set_price(text, numeric, numeric, text, date) IS 'Price of a delivered message and fee of a month, from a day on; view reconciliation computes with it';

CREATE VIEW line_notify.reconciliation WITH (security_barrier) AS
WITH ours AS (
	SELECT t.channel, t.day, t.kind,
		   sum(t.messages) FILTER (WHERE t.outcome = 'accepted') AS accepted,
		   sum(t.messages) FILTER (WHERE t.outcome = 'delivered') AS delivered
	FROM line_notify.daily_totals t
	WHERE t.kind IN ('template', 'flexible') AND t.outcome IN ('accepted', 'delivered')
	GROUP BY 1, 2, 3),
days AS (
	SELECT channel, day, sum(o.accepted)::bigint AS accepted, coalesce(sum(o.delivered), 0)::bigint AS delivered,
		   sum(k.messages)::bigint AS line_count,
		   string_agg(DISTINCT k.status, ', ') AS line_status,
		   sum(coalesce(k.messages, o.delivered, 0))::bigint AS billed,
		   coalesce(bool_and(k.messages IS NOT NULL), false) AS complete
	FROM ours o FULL JOIN line_notify.delivered_counts k USING (channel, day, kind)
	GROUP BY channel, day),
priced AS (
	SELECT d.*, p.currency, d.billed * p.per_message AS cost
	FROM days d
	LEFT JOIN LATERAL (SELECT * FROM line_notify.price x WHERE x.channel = d.channel AND x.valid_from <= d.day
					   ORDER BY x.valid_from DESC LIMIT 1) p ON true)
SELECT 'day' AS period, channel, day AS starts, accepted, delivered, line_count, line_status,
	   CASE WHEN complete THEN line_count - delivered END AS difference, currency, cost, NOT complete AS provisional
FROM priced
UNION ALL
SELECT 'month', m.channel, m.starts, m.accepted, m.delivered, m.line_count, m.line_status, m.difference,
	   coalesce(m.currency, f.currency), coalesce(m.cost, 0) + f.monthly_fee, m.provisional
FROM (SELECT channel, date_trunc('month', day::timestamp)::date AS starts, sum(accepted)::bigint AS accepted, sum(delivered)::bigint AS delivered,
			 sum(line_count)::bigint AS line_count, string_agg(DISTINCT line_status, ', ') AS line_status,
			 CASE WHEN bool_and(complete) THEN (sum(line_count) - sum(delivered))::bigint END AS difference,
			 max(currency) AS currency, sum(cost) AS cost, NOT bool_and(complete) AS provisional
	  FROM priced GROUP BY 1, 2) m
LEFT JOIN LATERAL (SELECT * FROM line_notify.price x WHERE x.channel = m.channel AND x.valid_from < m.starts + interval '1 month'
				   ORDER BY x.valid_from DESC LIMIT 1) f ON true;
COMMENT ON VIEW line_notify.reconciliation IS 'Our deliveries beside LINE''s count, by day and by month (UTC+9), with the cost';
COMMENT ON COLUMN line_notify.reconciliation.difference IS 'LINE''s count minus our delivery events: positive when webhooks were lost; NULL until LINE has counted every kind';
COMMENT ON COLUMN line_notify.reconciliation.cost IS 'of LINE''s count, or of our delivery events where LINE has not counted yet; months with their fee';
COMMENT ON COLUMN line_notify.reconciliation.provisional IS 'LINE has not counted all of it yet';
GRANT SELECT ON line_notify.daily_totals, line_notify.reconciliation TO pg_monitor;
