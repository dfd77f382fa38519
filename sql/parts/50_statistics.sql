
--
-- Statistics, from shared memory
--

CREATE FUNCTION line_notify._preload_state() RETURNS text
LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'line_notify_preload_state';
REVOKE ALL ON FUNCTION line_notify._preload_state() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._preload_state() IS 'not preloaded, no launcher, disabled or ok';

CREATE FUNCTION line_notify._stats(OUT database oid, OUT channel text, OUT endpoint text,
	OUT sent bigint, OUT accepted bigint, OUT unreachable bigint, OUT refused bigint, OUT throttled bigint,
	OUT unauthorized bigint, OUT misconfigured bigint, OUT server_error bigint, OUT not_sent bigint,
	OUT ambiguous bigint, OUT unknown bigint, OUT retried bigint, OUT status_429 bigint,
	OUT in_flight integer, OUT tokens double precision, OUT blocked_until timestamptz,
	OUT breaker text, OUT breaker_until timestamptz, OUT latency bigint[],
	OUT last_success timestamptz, OUT last_error_at timestamptz, OUT last_error text, OUT last_error_text text, OUT since timestamptz,
	OUT last_error_pauses boolean)
RETURNS SETOF record
LANGUAGE c VOLATILE ROWS 10 AS 'MODULE_PATHNAME', 'line_notify_stats';
REVOKE ALL ON FUNCTION line_notify._stats() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._stats() IS 'rows of view stats, from shared memory';

CREATE FUNCTION line_notify.quantile(latency bigint[], share double precision) RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'line_notify_quantile';
COMMENT ON FUNCTION line_notify.quantile(bigint[], double precision) IS 'time in milliseconds that this share of a latency histogram of view stats stayed below; at most a quarter too large';

CREATE VIEW line_notify.stats AS
SELECT d.datname AS database, s.channel, s.endpoint, s.sent, s.accepted, s.unreachable, s.refused, s.unknown, s.retried,
	   s.status_429, s.throttled, s.unauthorized, s.misconfigured, s.server_error, s.not_sent, s.ambiguous,
	   s.in_flight, s.tokens, s.blocked_until, s.breaker, s.breaker_until,
	   line_notify.quantile(s.latency, 0.5) AS p50_ms, line_notify.quantile(s.latency, 0.99) AS p99_ms, s.latency,
	   s.last_success, s.last_error_at, s.last_error, s.last_error_text, s.since
FROM line_notify._stats() s LEFT JOIN pg_catalog.pg_database d ON d.oid = s.database;
COMMENT ON VIEW line_notify.stats IS 'Counters of each channel and endpoint since the start of the server or reset_stats(), from shared memory; a row appears with the first message';
COMMENT ON COLUMN line_notify.stats.sent IS 'requests begun; each has one outcome among accepted, unreachable, refused, throttled, unauthorized, misconfigured, server_error, not_sent, ambiguous';
COMMENT ON COLUMN line_notify.stats.unknown IS 'messages that ended as unknown';
COMMENT ON COLUMN line_notify.stats.retried IS 'attempts after which another was planned';
COMMENT ON COLUMN line_notify.stats.tokens IS 'messages that LINE''s rate limit would let pass at once';
COMMENT ON COLUMN line_notify.stats.latency IS 'histogram of the time from request to complete answer; see quantile()';
COMMENT ON COLUMN line_notify.stats.last_error IS 'kind of the last outcome that was neither accepted nor unreachable';
COMMENT ON COLUMN line_notify.stats.last_error_text IS 'what it said: status and words of LINE, or of the network';

GRANT EXECUTE ON FUNCTION line_notify._stats() TO pg_monitor;
GRANT SELECT ON line_notify.stats TO pg_monitor;

CREATE FUNCTION line_notify._forget_words() RETURNS void
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'line_notify_forget_words';
REVOKE ALL ON FUNCTION line_notify._forget_words() FROM PUBLIC;
COMMENT ON FUNCTION line_notify._forget_words() IS 'empties last_error_text of view stats, which may quote a message';

CREATE FUNCTION line_notify.reset_stats() RETURNS integer
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'line_notify_reset_stats';
REVOKE ALL ON FUNCTION line_notify.reset_stats() FROM PUBLIC;
COMMENT ON FUNCTION line_notify.reset_stats() IS 'set the counters of this database to zero; returns how many rows of view stats that are';
