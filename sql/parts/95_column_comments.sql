
--
-- What the columns of our views are.  Tools show it beside the data, and doc/reference.md
-- is made of it; a test asks the catalog for views without it.
--

COMMENT ON COLUMN line_notify.states.state IS 'the state';
COMMENT ON COLUMN line_notify.states.terminal IS 'nothing happens to the message any more by itself; a delivery event still counts';
COMMENT ON COLUMN line_notify.states.billed IS 'does LINE charge for it';
COMMENT ON COLUMN line_notify.states.description_en IS 'what it means, in English';
COMMENT ON COLUMN line_notify.states.description_ja IS 'what it means, in Japanese';

COMMENT ON COLUMN line_notify.channels.name IS 'name of ours, as column channel of a message has it';
COMMENT ON COLUMN line_notify.channels.api_base IS 'where requests go; LINE''s API unless this is a test';
COMMENT ON COLUMN line_notify.channels.line_channel_id IS 'LINE''s channel ID: identity of the rate limit, which outlives tokens';
COMMENT ON COLUMN line_notify.channels.region IS 'ISO code of the country whose national form phone numbers may be in';
COMMENT ON COLUMN line_notify.channels.rate_limit IS 'our share of LINE''s 2,000 requests a second per endpoint';
COMMENT ON COLUMN line_notify.channels.max_in_flight IS 'most requests on the wire at once';
COMMENT ON COLUMN line_notify.channels.default_ttl IS 'a message without expires_at expires so long after it may first be sent';
COMMENT ON COLUMN line_notify.channels.confirm_within IS 'outcome unconfirmed for take_outcomes() when no delivery event came so soon; NULL = never';
COMMENT ON COLUMN line_notify.channels.on_invalid IS 'a message that is invalid by its data: park it as invalid, or error';
COMMENT ON COLUMN line_notify.channels.on_unknown IS 'sent, and no answer came: hold it as unknown, or retry';
COMMENT ON COLUMN line_notify.channels.on_server_error IS 'LINE answered 5xx: hold it as unknown, or retry';
COMMENT ON COLUMN line_notify.channels.max_attempts IS 'attempts that consume one; NULL = only expires_at ends the waiting';
COMMENT ON COLUMN line_notify.channels.backoff_base IS 'wait before the second attempt; doubles with each';
COMMENT ON COLUMN line_notify.channels.backoff_cap IS 'longest wait between attempts';
COMMENT ON COLUMN line_notify.channels.connect_timeout IS 'longest time for a connection to come about';
COMMENT ON COLUMN line_notify.channels.total_timeout IS 'longest time for a request with its answer';
COMMENT ON COLUMN line_notify.channels.use_case_required IS 'a flexible message must name its use case';
COMMENT ON COLUMN line_notify.channels.proxy IS 'proxy for requests to LINE, NULL = none';
COMMENT ON COLUMN line_notify.channels.ca_file IS 'file of the certificates that are trusted, NULL = the system''s';
COMMENT ON COLUMN line_notify.channels.settle_window IS 'before something is sent again: how long to wait for the delivery event first';
COMMENT ON COLUMN line_notify.channels.dedup_window IS 'how long a dedup_key stays taken';
COMMENT ON COLUMN line_notify.channels.on_duplicate IS 'second message with a dedup_key: ignore it, or replace the first while that is queued';
COMMENT ON COLUMN line_notify.channels.time_zone IS 'for quiet_hours and the day of daily_budget';
COMMENT ON COLUMN line_notify.channels.quiet_hours IS 'nothing is sent in these hours of the day, e.g. 21:00-08:00';
COMMENT ON COLUMN line_notify.channels.daily_budget IS 'most messages a day that LINE may have accepted; what comes after waits for the next day';
COMMENT ON COLUMN line_notify.channels.catalogue_only IS 'template messages may only use keys that template_catalogue lists for the region';
COMMENT ON COLUMN line_notify.channels.armed IS 'this server may send through it; see arm()';
COMMENT ON COLUMN line_notify.channels.pause_reason IS 'why it, or a part of it, is paused';
COMMENT ON COLUMN line_notify.channels.pause_automatic IS 'paused by the worker, which may resume it when the cause is gone; an operator''s pause only ends by resume()';
COMMENT ON COLUMN line_notify.channels.paused_at IS 'since when';
COMMENT ON COLUMN line_notify.channels.credentials IS 'kinds of credentials that are set, never their values';
COMMENT ON COLUMN line_notify.channels.created_at IS 'when it was created';

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
COMMENT ON COLUMN line_notify.notifications.use_case IS 'reviewed purpose of the message';
COMMENT ON COLUMN line_notify.notifications.template_key IS 'template message: key of LINE''s template; NULL = flexible message';
COMMENT ON COLUMN line_notify.notifications.batch IS 'name of the campaign or run it belongs to';
COMMENT ON COLUMN line_notify.notifications.reference IS 'the application''s own id, e.g. the order number';
COMMENT ON COLUMN line_notify.notifications.dedup_key IS 'key by which a second one is a duplicate';
COMMENT ON COLUMN line_notify.notifications.order_key IS 'messages with the same key are sent in order, one at a time';
COMMENT ON COLUMN line_notify.notifications.traceparent IS 'W3C trace context of what caused it: where the trace of the order meets LINE''s request_id';
COMMENT ON COLUMN line_notify.notifications.priority IS '-10 to 10, larger is sooner';
COMMENT ON COLUMN line_notify.notifications.state IS 'where it stands; view states explains each';
COMMENT ON COLUMN line_notify.notifications.attempts IS 'attempts made so far, the one on the wire included';
COMMENT ON COLUMN line_notify.notifications.http_status IS 'status of LINE''s last answer';
COMMENT ON COLUMN line_notify.notifications.request_id IS 'x-line-request-id of LINE''s last answer: quote it to LINE''s support';
COMMENT ON COLUMN line_notify.notifications.created_at IS 'when it was queued';
COMMENT ON COLUMN line_notify.notifications.due_at IS 'when it may be sent next';
COMMENT ON COLUMN line_notify.notifications.expires_at IS 'not after';
COMMENT ON COLUMN line_notify.notifications.sent_at IS 'when its last attempt began';
COMMENT ON COLUMN line_notify.notifications.ended_at IS 'when it left the queue; NULL while it waits';
COMMENT ON COLUMN line_notify.notifications.delivered_at IS 'LINE''s own time of the delivery event';
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

COMMENT ON COLUMN line_notify.channels.on_silence IS 'accepted, and no delivery event: what is made of it where none come at all';
COMMENT ON COLUMN line_notify.backlog.channel IS 'channel';
COMMENT ON COLUMN line_notify.backlog.endpoint IS 'template or flexible: LINE limits each by itself';
COMMENT ON COLUMN line_notify.webhook_lag.channel IS 'channel';
