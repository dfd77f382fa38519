-- What the tables say, for replay.py: in one snapshot, a line each, without time,
-- process and database, which whoever asks puts behind the first word.
SELECT format('op redrive %s', (bool_or(filter ->> 'allow_duplicates' = 'true') IS TRUE)::integer)
FROM line_notify.operations WHERE function = 'redrive' AND NOT dry_run AND count > 0 HAVING count(*) > 0
UNION ALL SELECT 'doubt -' FROM line_notify.identity WHERE timeline > 1 HAVING count(*) > 0
UNION ALL SELECT 'resend -' WHERE current_setting('line_notify.on_promotion', true) = 'send'
	OR (SELECT count(*) FROM line_notify.identity) > 1	-- arm() elsewhere
UNION ALL SELECT format('row %s outbox %s %s %s %s', o.id, o.state, o.attempts, o.maybe_sent::integer, coalesce(f.token, 0))
FROM line_notify.outbox o LEFT JOIN line_notify.in_flight f USING (id)
UNION ALL SELECT format('row %s history %s %s %s %s', h.id, h.state, h.attempts, h.maybe_sent::integer, coalesce(h.token, 0)) FROM line_notify.history h
UNION ALL SELECT format('row %s aside aside %s 0 %s', s.id, s.attempt, s.token) FROM line_notify.set_aside s;
