
--
-- Outbox
--

CREATE TYPE line_notify.message_state AS ENUM (
	'queued', 'sending', 'accepted', 'delivered', 'undelivered', 'unreachable',
	'refused', 'unknown', 'invalid', 'suppressed', 'cancelled', 'expired', 'failed');
COMMENT ON TYPE line_notify.message_state IS 'Where a message stands; view states explains each';

CREATE FUNCTION line_notify._states(OUT state text, OUT terminal boolean, OUT billed text, OUT description_en text, OUT description_ja text)
RETURNS SETOF record
LANGUAGE c IMMUTABLE PARALLEL SAFE ROWS 13 AS 'MODULE_PATHNAME', 'line_notify_states';
COMMENT ON FUNCTION line_notify._states() IS 'rows of view states';

CREATE VIEW line_notify.states AS
SELECT s.state::line_notify.message_state AS state, s.terminal, s.billed, s.description_en, s.description_ja
FROM line_notify._states() s;
COMMENT ON VIEW line_notify.states IS 'What each state of a message means';
GRANT SELECT ON line_notify.states TO PUBLIC;

-- The one source of ids; see message_id.c.  Owned by no column: what resets the
-- sequence of a column, such as TRUNCATE ... RESTART IDENTITY, does not find it.
CREATE SEQUENCE line_notify.message_id_seq MAXVALUE 8796093022207;
COMMENT ON SEQUENCE line_notify.message_id_seq IS 'Count within the ids of messages; drawn by the outbox itself, and not believed when somebody has reset it';

CREATE FUNCTION line_notify._next_number(sequence regclass) RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE STRICT AS 'MODULE_PATHNAME', 'line_notify_next_number';
REVOKE ALL ON FUNCTION line_notify._next_number(regclass) FROM PUBLIC;
COMMENT ON FUNCTION line_notify._next_number(regclass) IS 'nextval() of sequence TABLE_seq_seq, but lastval() stays what the application''s own tables made it, and after a reset it goes on above the rows of the table';

-- What holds of every row of the outbox, however it came: the number and
-- on_duplicate are not stored; a recipient is a SHA-256 in hex, and there is one
-- while the row is queued; it is queued, invalid or suppressed; unless invalid or
-- suppressed, it has either a template or messages; its priority is in range.
-- In C: as seven CHECKs in SQL, one with a regular expression, it cost more than
-- all the rest of a row of a large INSERT.
CREATE FUNCTION line_notify._is_waiting_row(state line_notify.message_state, phone text, on_duplicate text, recipient text,
	priority smallint, template_key text, messages jsonb) RETURNS boolean
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'line_notify_is_waiting_row';
COMMENT ON FUNCTION line_notify._is_waiting_row(line_notify.message_state, text, text, text, smallint, text, jsonb) IS 'what holds of every row of the outbox';
-- a CHECK runs as whoever inserts
GRANT EXECUTE ON FUNCTION line_notify._is_waiting_row(line_notify.message_state, text, text, text, smallint, text, jsonb) TO PUBLIC;

-- Waiting messages.  A row is written once and read once: claiming it inserts
-- into in_flight, recording the outcome deletes it here and inserts into history.
CREATE TABLE line_notify.outbox (
	id				bigint PRIMARY KEY,
	channel			text COLLATE "C" NOT NULL,
	phone			text,
	region			text,
	recipient		text,
	use_case		line_notify.use_case,
	template_key	text,
	body			jsonb,
	messages		jsonb,
	notification_disabled boolean,
	aggregation_unit text,
	priority		smallint NOT NULL DEFAULT 0,
	send_after		timestamptz,
	spread			interval,
	expires_at		timestamptz NOT NULL,
	batch			text,
	dedup_key		text,
	on_duplicate	text,
	order_key		text,
	reference		text,
	policy			jsonb,
	traceparent		text,
	state			line_notify.message_state NOT NULL,
	due_at			timestamptz NOT NULL,
	attempts		integer NOT NULL DEFAULT 0,
	maybe_sent		boolean NOT NULL DEFAULT false,
	home			bigint NOT NULL,
	created_at		timestamptz NOT NULL,
	error			text,
	lane			smallint GENERATED ALWAYS AS ((priority - @{LN_MIN_PRIORITY}) * 2 + CASE WHEN template_key IS NULL THEN 1 ELSE 0 END) STORED,
	CONSTRAINT waiting_row CHECK (line_notify._is_waiting_row(state, phone, on_duplicate, recipient, priority, template_key, messages))
) WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 20000,
		autovacuum_analyze_scale_factor = 0.0, autovacuum_analyze_threshold = 50000);
-- What points to a person, and what a message says, shall not be copied into
-- pg_statistic, where erasure would not find it.  No plan of ours needs it: the
-- statistics of a queue may say anything.
ALTER TABLE line_notify.outbox
	@{erased ALTER % SET STATISTICS 0},
	ALTER policy SET STATISTICS 0,
	ALTER error SET STATISTICS 0;
-- The claim walks one lane of a channel in order of due time.  A lane is a
-- priority and an endpoint, since LINE limits and refuses by endpoint.
CREATE INDEX outbox_claim ON line_notify.outbox (channel, lane, due_at, id);
CREATE INDEX outbox_expiry ON line_notify.outbox (expires_at);
CREATE INDEX outbox_reference ON line_notify.outbox (reference) WHERE reference IS NOT NULL;
CREATE INDEX outbox_batch ON line_notify.outbox (batch) WHERE batch IS NOT NULL;
CREATE INDEX outbox_dedup ON line_notify.outbox (dedup_key) WHERE dedup_key IS NOT NULL;
CREATE INDEX outbox_order ON line_notify.outbox (channel, order_key, id) WHERE order_key IS NOT NULL;
COMMENT ON TABLE line_notify.outbox IS 'INSERT here to send a LINE notification message; holds what waits, see view notifications for everything';
COMMENT ON COLUMN line_notify.outbox.id IS 'given by the outbox, never twice; below 2^53; grows with time';
COMMENT ON COLUMN line_notify.outbox.channel IS 'channel to send through; may be omitted when there is one, or line_notify.default_channel is set';
COMMENT ON COLUMN line_notify.outbox.phone IS 'telephone number as the customer wrote it; hashed at INSERT and not kept';
COMMENT ON COLUMN line_notify.outbox.region IS 'ISO code of the country whose national form phone may be in; default the channel''s';
COMMENT ON COLUMN line_notify.outbox.recipient IS 'SHA-256 of the E.164 number in hex; personal data all the same';
COMMENT ON COLUMN line_notify.outbox.use_case IS 'reviewed purpose of the message';
COMMENT ON COLUMN line_notify.outbox.template_key IS 'template message: key of LINE''s template';
COMMENT ON COLUMN line_notify.outbox.body IS 'template message: emphasizedItem, items, buttons';
COMMENT ON COLUMN line_notify.outbox.messages IS 'flexible message: array of message objects';
COMMENT ON COLUMN line_notify.outbox.notification_disabled IS 'flexible message: deliver without a sound on the phone';
COMMENT ON COLUMN line_notify.outbox.aggregation_unit IS 'name for LINE''s statistics; default the use case';
COMMENT ON COLUMN line_notify.outbox.priority IS '@{LN_MIN_PRIORITY} to @{LN_MAX_PRIORITY}, larger is sooner';
COMMENT ON COLUMN line_notify.outbox.send_after IS 'not before';
COMMENT ON COLUMN line_notify.outbox.spread IS 'a random share of this is added to send_after, never beyond expires_at';
COMMENT ON COLUMN line_notify.outbox.expires_at IS 'not after; default the channel''s default_ttl from the time it may first be sent';
COMMENT ON COLUMN line_notify.outbox.batch IS 'name of the campaign or run this message belongs to';
COMMENT ON COLUMN line_notify.outbox.dedup_key IS 'second message of a channel with the same key inserts nothing';
COMMENT ON COLUMN line_notify.outbox.on_duplicate IS 'of this INSERT: ignore or replace; default the channel''s; not stored';
COMMENT ON COLUMN line_notify.outbox.order_key IS 'messages with the same key are sent in order, one at a time';
COMMENT ON COLUMN line_notify.outbox.reference IS 'the application''s own id, e.g. the order number';
COMMENT ON COLUMN line_notify.outbox.policy IS 'what this message wants otherwise than its channel: {"max_attempts": 3, "on_unknown": "retry"}; also on_server_error, backoff_base, backoff_cap, settle_window, on_invalid, dedup_window';
COMMENT ON COLUMN line_notify.outbox.traceparent IS 'W3C trace context of what caused the message; kept with it, and not sent to LINE';
COMMENT ON COLUMN line_notify.outbox.state IS 'set by us; a row that arrives with a state (owner only, as in a restore) is taken as it is';
COMMENT ON COLUMN line_notify.outbox.due_at IS 'when it may be sent next';
COMMENT ON COLUMN line_notify.outbox.attempts IS 'attempts made so far';
COMMENT ON COLUMN line_notify.outbox.maybe_sent IS 'an earlier attempt may have reached the customer';
COMMENT ON COLUMN line_notify.outbox.lane IS 'priority and endpoint: twice the priority above @{LN_MIN_PRIORITY}, and 1 for flexible messages';
COMMENT ON COLUMN line_notify.outbox.home IS 'identity that may send it';
COMMENT ON COLUMN line_notify.outbox.error IS 'why it waits or is invalid; no personal data';

-- Claimed and not yet recorded: narrow, and as small as what is on the wire.
CREATE TABLE line_notify.in_flight (
	id				bigint PRIMARY KEY,
	token			bigint NOT NULL,
	claimer			bigint NOT NULL,
	attempt			integer NOT NULL,
	claimed_at		timestamptz NOT NULL,
	home			bigint NOT NULL,
	delivered_at	timestamptz,
	delivery_event	text
) WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 10000);
COMMENT ON TABLE line_notify.in_flight IS 'Messages handed to the sender and not yet recorded';
COMMENT ON COLUMN line_notify.in_flight.token IS 'lease token: only its holder may record the outcome';
COMMENT ON COLUMN line_notify.in_flight.claimer IS 'key of the session lock that the claiming process holds while it lives';

-- Which message holds a dedup_key.  Narrow, written by the insert trigger
-- (dedup.c) and freed when its message ends without having been sent.
CREATE TABLE line_notify.dedup (
	channel			text COLLATE "C" NOT NULL,
	dedup_key		text COLLATE "C" NOT NULL,
	id				bigint NOT NULL,
	until			timestamptz NOT NULL,
	PRIMARY KEY (channel, dedup_key)
);
ALTER TABLE line_notify.dedup ALTER dedup_key SET STATISTICS 0;
CREATE INDEX dedup_until ON line_notify.dedup (until);
COMMENT ON TABLE line_notify.dedup IS 'Keys that are taken: a second message with such a key is not queued';
COMMENT ON COLUMN line_notify.dedup.until IS 'from then on the key is free, whatever became of the message';

-- Blocked rows that the worker shall look at again.  A list without a unique
-- key: writers never wait for each other, and the worker reads it after they
-- have committed, so that it sees what they did.
CREATE SEQUENCE line_notify.unblock_seq_seq;
CREATE TABLE line_notify.unblock (
	seq				bigint DEFAULT line_notify._next_number('line_notify.unblock_seq_seq') PRIMARY KEY,
	channel			text COLLATE "C" NOT NULL,
	order_key		text,
	id				bigint,
	due_at			timestamptz,
	standbys		text[],
	lsn				pg_lsn,
	seen_at			timestamptz,
	CHECK ((id IS NULL) = (due_at IS NULL))
) WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 10000);
CREATE INDEX unblock_by_hand ON line_notify.unblock (id, seq) WHERE order_key IS NULL;
ALTER TABLE line_notify.unblock ALTER order_key SET STATISTICS 0;
ALTER TABLE line_notify.unblock ALTER standbys SET STATISTICS 0;
COMMENT ON TABLE line_notify.unblock IS 'Where messages may go on, or go sooner: those blocked behind an order_key; one message (id); without both, those blocked anywhere in the channel';
COMMENT ON COLUMN line_notify.unblock.due_at IS 'new time of message id, sooner than that of its row';
COMMENT ON COLUMN line_notify.unblock.standbys IS 'what somebody freed goes on when these have the note on disk; NULL = the worker has not seen it yet, empty = it may go on';
COMMENT ON COLUMN line_notify.unblock.lsn IS 'end of the WAL when the worker saw it';
COMMENT ON COLUMN line_notify.unblock.seen_at IS 'when that was: promotion_grace later it goes on in any case';

CREATE FUNCTION line_notify._note_unblock() RETURNS trigger
LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'line_notify_note_unblock';
REVOKE ALL ON FUNCTION line_notify._note_unblock() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._note_unblock() IS 'trigger: notes in table unblock what a deleted row held back, wakes the worker at commit';

-- However a message leaves the queue, the next one of its order_key may go.
CREATE TRIGGER unblock AFTER DELETE ON line_notify.outbox
	FOR EACH ROW WHEN (OLD.order_key IS NOT NULL) EXECUTE FUNCTION line_notify._note_unblock();
CREATE TRIGGER unblock AFTER DELETE ON line_notify.partial_pause
	FOR EACH ROW EXECUTE FUNCTION line_notify._note_unblock();
