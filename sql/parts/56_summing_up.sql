
-- Many summands become one.  Rows that others are adding are not visible yet,
-- and stay for the next time.
CREATE FUNCTION line_notify._sum_up(keep interval) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_seqscan = on SET enable_hashjoin = on
AS $$
BEGIN
	IF (SELECT count(*) FROM (SELECT FROM line_notify.daily_count c GROUP BY c.channel, c.day, c.kind, c.aggregation_unit, c.outcome
							  HAVING count(*) > 1 LIMIT 1) x) > 0 THEN
		WITH gone AS (
			DELETE FROM line_notify.daily_count d
			WHERE (d.channel, d.day) IN (SELECT c.channel, c.day FROM line_notify.daily_count c
										 GROUP BY c.channel, c.day, c.kind, c.aggregation_unit, c.outcome HAVING count(*) > 1)
			RETURNING *)
		INSERT INTO line_notify.daily_count (channel, day, kind, aggregation_unit, outcome, n)
		SELECT channel, day, kind, aggregation_unit, outcome, sum(n) FROM gone
		GROUP BY 1, 2, 3, 4, 5 HAVING sum(n) <> 0;
	END IF;
	DELETE FROM line_notify.minute_count m WHERE m.minute < clock_timestamp() - keep - interval '1 day';
	IF (SELECT count(*) FROM (SELECT FROM line_notify.minute_count c GROUP BY c.channel, c.minute
							  HAVING count(*) > 2 LIMIT 1) x) > 0 THEN
		WITH gone AS (DELETE FROM line_notify.minute_count RETURNING *)
		INSERT INTO line_notify.minute_count (channel, minute, accepted, delivered, unknown, answered, unreachable, refused)
		SELECT channel, minute, sum(accepted), sum(delivered), sum(unknown), sum(answered), sum(unreachable), sum(refused) FROM gone GROUP BY 1, 2;
	END IF;
END
$$;
REVOKE ALL ON FUNCTION line_notify._sum_up(interval) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._sum_up(interval) IS 'joins summands of daily_count and minute_count';
