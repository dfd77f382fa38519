
--
-- What the columns of our views are.  Tools show it beside the data, and doc/reference.md
-- is made of it; a test asks the catalog for views without it.  What a column is in its
-- table is said there; see the end for which.
--

COMMENT ON COLUMN line_notify.states.state IS 'the state';
COMMENT ON COLUMN line_notify.states.terminal IS 'nothing happens to the message any more by itself; a delivery event still counts';
COMMENT ON COLUMN line_notify.states.billed IS 'does LINE charge for it';
COMMENT ON COLUMN line_notify.states.description_en IS 'what it means, in English';
COMMENT ON COLUMN line_notify.states.description_ja IS 'what it means, in Japanese';

COMMENT ON COLUMN line_notify.channels.armed IS 'this server may send through it; see arm()';
COMMENT ON COLUMN line_notify.channels.pause_reason IS 'why it, or a part of it, is paused';
COMMENT ON COLUMN line_notify.channels.paused_at IS 'since when';
COMMENT ON COLUMN line_notify.channels.credentials IS 'kinds of credentials that are set, never their values';

COMMENT ON COLUMN line_notify.approvals.channel IS 'whose approval it is';
COMMENT ON COLUMN line_notify.approvals.use_case IS 'the reviewed purpose';
COMMENT ON COLUMN line_notify.approvals.status IS 'approved, or suspended: new messages are refused';
COMMENT ON COLUMN line_notify.approvals.reviewed_on IS 'day of LINE''s answer';
COMMENT ON COLUMN line_notify.approvals.reference IS 'where the review can be found: number, address, mail';
COMMENT ON COLUMN line_notify.approvals.changed_at IS 'when the row was last changed';
COMMENT ON COLUMN line_notify.approvals.changed_by IS 'who changed it';

COMMENT ON COLUMN line_notify.designs.channel IS 'whose design it is';
COMMENT ON COLUMN line_notify.designs.name IS 'name for people';
COMMENT ON COLUMN line_notify.designs.use_case IS 'the use case it was reviewed for';
COMMENT ON COLUMN line_notify.designs.status IS 'approved, or suspended: new messages of this design are refused';
COMMENT ON COLUMN line_notify.designs.reviewed_on IS 'day of LINE''s answer';
COMMENT ON COLUMN line_notify.designs.reference IS 'where the review can be found: number, address, mail';
COMMENT ON COLUMN line_notify.designs.skeleton IS 'messages with places for what differs; see set_design()';
COMMENT ON COLUMN line_notify.designs.changed_at IS 'when the row was last changed';
COMMENT ON COLUMN line_notify.designs.changed_by IS 'who changed it';

COMMENT ON COLUMN line_notify.notifications.id IS 'id of the message, as INSERT or enqueue() returned it';
COMMENT ON COLUMN line_notify.notifications.channel IS 'channel it goes through';
COMMENT ON COLUMN line_notify.notifications.template_key IS 'template message: key of LINE''s template; NULL = flexible message';
COMMENT ON COLUMN line_notify.notifications.batch IS 'name of the campaign or run it belongs to';
COMMENT ON COLUMN line_notify.notifications.dedup_key IS 'key by which a second one is a duplicate';
COMMENT ON COLUMN line_notify.notifications.traceparent IS 'W3C trace context of what caused it: where the trace of the order meets LINE''s request_id';
COMMENT ON COLUMN line_notify.notifications.state IS 'where it stands; view states explains each';
COMMENT ON COLUMN line_notify.notifications.attempts IS 'attempts made so far, the one on the wire included';
COMMENT ON COLUMN line_notify.notifications.request_id IS 'x-line-request-id of LINE''s last answer: quote it to LINE''s support';
COMMENT ON COLUMN line_notify.notifications.expires_at IS 'not after';
COMMENT ON COLUMN line_notify.notifications.error IS 'why it waits or how it ended; no personal data';

COMMENT ON COLUMN line_notify.attempts.id IS 'id of the message';
COMMENT ON COLUMN line_notify.attempts.attempt IS 'number of the attempt, from 1 for each message; with id, a key';
COMMENT ON COLUMN line_notify.attempts.started_at IS 'when its request began';
COMMENT ON COLUMN line_notify.attempts.ended_at IS 'when its answer came, or it was given up';
COMMENT ON COLUMN line_notify.attempts.outcome IS 'what it came to: accepted, unreachable, refused, throttled, server_error, not_sent, ambiguous, ...';
COMMENT ON COLUMN line_notify.attempts.http_status IS 'status of LINE''s answer, NULL = none came';
COMMENT ON COLUMN line_notify.attempts.request_id IS 'x-line-request-id of LINE''s answer: quote it to LINE''s support';
COMMENT ON COLUMN line_notify.attempts.error IS 'words of LINE, or of the network';
COMMENT ON COLUMN line_notify.attempts.traceparent IS 'W3C trace context of the message';

COMMENT ON COLUMN line_notify.batches.batch IS 'name of the batch';
COMMENT ON COLUMN line_notify.batches.channel IS 'channel its messages go through';
COMMENT ON COLUMN line_notify.batches.total IS 'messages of the batch that are still known';
COMMENT ON COLUMN line_notify.batches.queued IS 'messages that wait';
COMMENT ON COLUMN line_notify.batches.sending IS 'messages on the wire';
COMMENT ON COLUMN line_notify.batches.accepted IS 'messages that LINE accepted, without a delivery event so far';
COMMENT ON COLUMN line_notify.batches.delivered IS 'messages with a delivery event';
COMMENT ON COLUMN line_notify.batches.undelivered IS 'messages accepted by LINE for which no delivery event came in time';
COMMENT ON COLUMN line_notify.batches.unreachable IS 'messages to people LINE does not reach';
COMMENT ON COLUMN line_notify.batches.refused IS 'messages that LINE refused';
COMMENT ON COLUMN line_notify.batches.unknown IS 'messages that may have been sent, and nobody knows';
COMMENT ON COLUMN line_notify.batches.invalid IS 'messages that were invalid by their data';
COMMENT ON COLUMN line_notify.batches.suppressed IS 'messages to people who objected, or who are not on the channel''s list';
COMMENT ON COLUMN line_notify.batches.cancelled IS 'messages that were cancelled';
COMMENT ON COLUMN line_notify.batches.expired IS 'messages that expired before they were sent';
COMMENT ON COLUMN line_notify.batches.failed IS 'messages that ran out of attempts';
COMMENT ON COLUMN line_notify.batches.created_at IS 'when its first message was queued';
COMMENT ON COLUMN line_notify.batches.last_ended_at IS 'when its last message ended';

COMMENT ON COLUMN line_notify.stats.database IS 'database whose worker counts';
COMMENT ON COLUMN line_notify.stats.channel IS 'channel';
COMMENT ON COLUMN line_notify.stats.endpoint IS 'template or flexible: LINE limits each by itself';
COMMENT ON COLUMN line_notify.stats.accepted IS 'requests that LINE accepted';
COMMENT ON COLUMN line_notify.stats.unreachable IS 'requests answered 422: LINE does not reach that person';
COMMENT ON COLUMN line_notify.stats.refused IS 'requests that LINE refused';
COMMENT ON COLUMN line_notify.stats.status_429 IS 'answers 429, of those throttled';
COMMENT ON COLUMN line_notify.stats.throttled IS 'requests answered 429, or 503 with Retry-After: they go again later';
COMMENT ON COLUMN line_notify.stats.unauthorized IS 'requests answered 401';
COMMENT ON COLUMN line_notify.stats.misconfigured IS 'requests answered by what cannot be LINE''s API, or with a right that is missing';
COMMENT ON COLUMN line_notify.stats.server_error IS 'requests answered 5xx';
COMMENT ON COLUMN line_notify.stats.not_sent IS 'requests of which provably nothing was sent';
COMMENT ON COLUMN line_notify.stats.ambiguous IS 'requests that went out without a complete answer';
COMMENT ON COLUMN line_notify.stats.in_flight IS 'requests on the wire now';
COMMENT ON COLUMN line_notify.stats.blocked_until IS 'LINE said wait until then';
COMMENT ON COLUMN line_notify.stats.breaker IS 'circuit breaker: closed, open or half-open';
COMMENT ON COLUMN line_notify.stats.breaker_until IS 'when it tries again';
COMMENT ON COLUMN line_notify.stats.p50_ms IS 'median time from request to complete answer, in ms';
COMMENT ON COLUMN line_notify.stats.p99_ms IS '99th percentile of that time, in ms';
COMMENT ON COLUMN line_notify.stats.last_success IS 'when LINE last accepted a message, or said that somebody is unreachable';
COMMENT ON COLUMN line_notify.stats.last_error_at IS 'when last_error was';
COMMENT ON COLUMN line_notify.stats.since IS 'when counting began';

COMMENT ON COLUMN line_notify.workers.database IS 'its database; NULL = the launcher';
COMMENT ON COLUMN line_notify.workers.state IS 'what the process is doing, or why there is none';
COMMENT ON COLUMN line_notify.workers.pid IS 'process, as in pg_stat_activity';
COMMENT ON COLUMN line_notify.workers.generation IS 'how many workers this database has had';
COMMENT ON COLUMN line_notify.workers.started_at IS 'when it started';
COMMENT ON COLUMN line_notify.workers.restarts IS 'starts after a failure, in a row';
COMMENT ON COLUMN line_notify.workers.next_due IS 'when something is due next, as far as the worker knows';
COMMENT ON COLUMN line_notify.workers.in_flight IS 'messages on the wire';
COMMENT ON COLUMN line_notify.workers.last_error IS 'what last went wrong and has not gone right since';

COMMENT ON COLUMN line_notify.daily_totals.channel IS 'channel';
COMMENT ON COLUMN line_notify.daily_totals.day IS 'day, UTC+9';
COMMENT ON COLUMN line_notify.daily_totals.aggregation_unit IS 'as sent; the key of the use case unless the message named another';
COMMENT ON COLUMN line_notify.daily_totals.messages IS 'how many';

COMMENT ON COLUMN line_notify.engagement.channel IS 'channel';
COMMENT ON COLUMN line_notify.engagement.month IS 'first day of the month, UTC+9';
COMMENT ON COLUMN line_notify.engagement.accepted IS 'our messages of that unit that LINE accepted';
COMMENT ON COLUMN line_notify.engagement.delivered IS 'our messages of that unit with a delivery event';
COMMENT ON COLUMN line_notify.engagement.clicked_share IS 'clicked / delivered';
COMMENT ON COLUMN line_notify.engagement.fetched_at IS 'when LINE was asked last';

COMMENT ON COLUMN line_notify.reconciliation.period IS 'day or month';
COMMENT ON COLUMN line_notify.reconciliation.channel IS 'channel';
COMMENT ON COLUMN line_notify.reconciliation.starts IS 'first day of the period, UTC+9';
COMMENT ON COLUMN line_notify.reconciliation.accepted IS 'our messages that LINE accepted';
COMMENT ON COLUMN line_notify.reconciliation.delivered IS 'our delivery events';
COMMENT ON COLUMN line_notify.reconciliation.line_count IS 'messages that LINE counts as delivered, which it bills';
COMMENT ON COLUMN line_notify.reconciliation.line_status IS 'what LINE said of its count: ready, unready, out_of_service';
COMMENT ON COLUMN line_notify.reconciliation.currency IS 'currency of cost, as set_price() has it';

COMMENT ON COLUMN line_notify.backlog.channel IS 'channel';
COMMENT ON COLUMN line_notify.backlog.endpoint IS 'template or flexible: LINE limits each by itself';
COMMENT ON COLUMN line_notify.webhook_lag.channel IS 'channel';

-- a column of which nothing is said is what it is there
DO $$
DECLARE
	source record;
	c record;
BEGIN
	FOR source IN
		SELECT x.there::regclass AS there, x.here::regclass AS here
		FROM (VALUES (1, 'line_notify.channel', 'line_notify.channels'),
			  (2, 'line_notify.outbox', 'line_notify.messages'),
			  (3, 'line_notify.history', 'line_notify.messages'),
			  (4, 'line_notify.outbox', 'line_notify.notifications'),
			  (5, 'line_notify.messages', 'line_notify.notifications')) x(n, there, here)
		ORDER BY x.n
	LOOP
		FOR c IN
			SELECT h.attname AS name, col_description(t.attrelid, t.attnum) AS words
			FROM pg_attribute h JOIN pg_attribute t ON t.attrelid = source.there AND t.attname = h.attname
			WHERE h.attrelid = source.here AND h.attnum > 0
			  AND col_description(h.attrelid, h.attnum) IS NULL AND col_description(t.attrelid, t.attnum) IS NOT NULL
		LOOP
			EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', source.here, c.name, c.words);
		END LOOP;
	END LOOP;
END
$$;
