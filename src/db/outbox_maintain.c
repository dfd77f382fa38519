/*-------------------------------------------------------------------------
 *
 * outbox_maintain.c
 *		What time does: expiry, what is in doubt, retention, LINE's figures.
 *
 * Each is one step of something larger, short enough for the sending path.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "db/message_columns.h"
#include "db/outbox.h"
#include "db/sql.h"

TimestampTz
ln_outbox_next_expiry(int64 home, TimestampTz low)
{
	static LnStatement st = {
		.name = "next expiry",
		.sql =
		"SELECT o.expires_at FROM line_notify.outbox o"
		" WHERE o.home = $1 AND o.expires_at >= $2"
		" AND o.expires_at < 'infinity'"
		" AND (SELECT true FROM line_notify.in_flight f"
		" WHERE f.id = o.id) IS NULL"
		" ORDER BY o.expires_at LIMIT 1",
		.nargs = 2,
		.argtypes = {INT8OID, TIMESTAMPTZOID}
	};
	Datum		args[] = {Int64GetDatum(home), TimestampTzGetDatum(low)};

	if (ln_sql_run(&st, args, NULL, SPI_OK_SELECT) == 0)
		return DT_NOEND;
	return ln_sql_int8(0, 1, DT_NOEND);
}

int64
ln_outbox_newest_ahead(void)
{
	static LnStatement st = {
		.name = "newest ahead",
		.sql =
		"SELECT o.created_at FROM line_notify.outbox o ORDER BY o.id DESC"
		" LIMIT 1",
		.nargs = 0
	};

	if (ln_sql_run(&st, NULL, NULL, SPI_OK_SELECT) == 0)
		return 0;
	return Max(ln_sql_int8(0, 1, 0) - GetCurrentTimestamp(), 0);
}

bool
ln_outbox_set_back(int64 home, int64 by_us, int64 *after, int limit)
{
	/*
	 * Whoever named a time of the day means what the clock shows then, so
	 * send_after stays what it is.  created_at says which rows know already.
	 * What becomes due earlier is noted first, where standbys have to know;
	 * see reschedule().
	 */
	static LnStatement st = {
		.name = "set back",
		.sql =
		"WITH x AS MATERIALIZED (SELECT o.* FROM line_notify.outbox o"
		"  WHERE o.id > $3 ORDER BY o.id LIMIT $4 FOR UPDATE SKIP LOCKED),"
		" n AS MATERIALIZED (SELECT x.id, x.channel, x.due_at,"
		"  CASE WHEN x.due_at > clock_timestamp() AND x.due_at < 'infinity'"
		"    AND (x.attempts > 0 OR coalesce(x.send_after,"
		" '-infinity') <= x.created_at)"
		"   THEN greatest(x.due_at - $2 * interval '1 microsecond',"
		" clock_timestamp()) ELSE x.due_at END AS new_due"
		"  FROM x WHERE x.home = $1 AND x.state = 'queued'"
		"  AND (x.created_at > clock_timestamp() OR x.attempts > 0"
		" AND x.due_at > clock_timestamp())),"
		" noted AS (INSERT INTO line_notify.unblock (channel, id, due_at)"
		"  SELECT n.channel, n.id, n.new_due FROM n"
		"  WHERE n.new_due < n.due_at"
		" AND (SELECT line_notify._must_tell_standbys()) RETURNING id),"
		" u AS (UPDATE line_notify.outbox o SET"
		"  due_at = CASE WHEN o.id IN (SELECT t.id FROM noted t) THEN n.due_at"
		" ELSE n.new_due END,"
		"  created_at = least(o.created_at, clock_timestamp())"
		"  FROM n WHERE o.id = n.id AND o.id = ANY (ARRAY(SELECT k.id"
		" FROM n k)))"
		" SELECT max(x.id), count(*) FROM x",
		.nargs = 4,
		.argtypes = {INT8OID, INT8OID, INT8OID, INT4OID}
	};
	Datum		args[] = {
		Int64GetDatum(home), Int64GetDatum(by_us), Int64GetDatum(*after),
		Int32GetDatum(limit)
	};

	(void) ln_sql_run(&st, args, NULL, SPI_OK_SELECT);
	*after = ln_sql_int8(0, 1, *after);
	return ln_sql_int8(0, 2, 0) == limit;
}

void
ln_outbox_note_timeline(int64 home, uint32 timeline, bool synchronous,
						int grace_s, TimestampTz *before,
						TimestampTz *until, bool *fenced)
{
	static LnStatement st = {
		.name = "note timeline",
		.sql =
		"SELECT in_doubt_before, in_doubt_until, fenced"
		" FROM line_notify._note_timeline($1, $2, $3,"
		" $4 * interval '1 second')",
		.nargs = 4,
		.argtypes = {INT8OID, INT4OID, BOOLOID, INT4OID}
	};
	Datum		args[] = {
		Int64GetDatum(home), Int32GetDatum((int32) timeline),
		BoolGetDatum(synchronous), Int32GetDatum(grace_s)
	};

	(void) ln_sql_run(&st, args, NULL, SPI_OK_SELECT);
	*before = ln_sql_int8(0, 1, DT_NOBEGIN);
	*until = ln_sql_int8(0, 2, DT_NOEND);
	*fenced = ln_sql_bool(0, 3);
}

void
ln_outbox_hand_over(int64 home)
{
	static LnStatement st = {
		.name = "hand over",
		.sql =
		"SELECT line_notify._hand_over($1)",
		.nargs = 1,
		.argtypes = {INT8OID}
	};
	Datum		arg = Int64GetDatum(home);

	(void) ln_sql_run(&st, &arg, NULL, SPI_OK_SELECT);
}

bool
ln_outbox_would_hand_over(int64 home)
{
	static LnStatement st = {
		.name = "would hand over",
		.sql =
		"SELECT line_notify._would_hand_over($1)",
		.nargs = 1,
		.argtypes = {INT8OID}
	};
	Datum		arg = Int64GetDatum(home);

	(void) ln_sql_run(&st, &arg, NULL, SPI_OK_SELECT);
	return ln_sql_bool(0, 1);
}

bool
ln_outbox_take_back(int64 home, int grace_s)
{
	static LnStatement st = {
		.name = "take back",
		.sql =
		"SELECT line_notify._take_back($1, $2 * interval '1 second')",
		.nargs = 2,
		.argtypes = {INT8OID, INT4OID}
	};
	Datum		args[] = {Int64GetDatum(home), Int32GetDatum(grace_s)};

	(void) ln_sql_run(&st, args, NULL, SPI_OK_SELECT);
	return ln_sql_bool(0, 1);
}

bool
ln_outbox_settle_in_doubt(int64 home, bool hold, int step, bool *locked)
{
	static LnStatement st = {
		.name = "settle in doubt",
		.sql =
		"SELECT s, s IS NULL FROM line_notify._settle_in_doubt($1, $2, $3) s",
		.nargs = 3,
		.argtypes = {INT8OID, BOOLOID, INT4OID}
	};
	Datum		args[] = {
		Int64GetDatum(home), BoolGetDatum(hold), Int32GetDatum(step)
	};

	(void) ln_sql_run(&st, args, NULL, SPI_OK_SELECT);
	*locked = ln_sql_bool(0, 2);
	return ln_sql_bool(0, 1);
}

/*
 * One part of what time does to history, for a few milliseconds.  Returns
 * whether there is more of that part; *next_at is when to begin again, after
 * the last one.
 */
bool
ln_outbox_maintain(int part, int retention, int payload_retention,
				   int operations_retention, int budget_ms,
				   TimestampTz *next_at)
{
	static LnStatement st = {
		.name = "maintain",
		.sql =
		"SELECT m.more, m.next_at, m.next_after FROM line_notify._maintain($1,"
		" CASE WHEN $2 >= 0 THEN $2 * interval '1 minute' END,"
		" CASE WHEN $3 >= 0 THEN $3 * interval '1 minute' END,"
		" CASE WHEN $4 >= 0 THEN $4 * interval '1 minute' END,"
		" $5 * interval '1 millisecond', $6) m",
		.nargs = 6,
		.argtypes = {INT4OID, INT4OID, INT4OID, INT4OID, INT4OID, INT8OID}
	};
	static int64 after = PG_INT64_MIN;	/* attempts: of this pass */
	Datum		args[] = {
		Int32GetDatum(part), Int32GetDatum(retention),
		Int32GetDatum(payload_retention), Int32GetDatum(operations_retention),
		Int32GetDatum(budget_ms), Int64GetDatum(after)
	};

	(void) ln_sql_run(&st, args, NULL, SPI_OK_SELECT);
	*next_at = ln_sql_int8(0, 2, DT_NOEND);
	after = ln_sql_int8(0, 3, PG_INT64_MIN);
	return ln_sql_bool(0, 1);
}

#define PREVIOUS_SECRET_IS_OLD \
	"kind = 'previous_channel_secret' AND set_at <= now() - interval '" LN_PREVIOUS_SECRET "'"

void
ln_outbox_sweep_keys(int limit)
{
	static LnStatement keys = {
		.name = "sweep keys: keys",
		.sql =
		"DELETE FROM line_notify.dedup d WHERE (d.channel, d.dedup_key) IN ("
		" SELECT x.channel, x.dedup_key FROM line_notify.dedup x"
		" WHERE x.until < clock_timestamp() ORDER BY x.until LIMIT $1"
		" FOR UPDATE SKIP LOCKED)",
		.nargs = 1,
		.argtypes = {INT4OID}
	};
	static LnStatement days = {
		.name = "sweep keys: days",
		.sql =
		"DELETE FROM line_notify.daily_sent WHERE day < current_date - 400",
		.nargs = 0
	};

	/* LINE says nothing of how long it redelivers; days are generous */
	static LnStatement events = {
		.name = "sweep keys: events",
		.sql =
		"DELETE FROM line_notify.seen_event s WHERE s.event_id IN ("
		" SELECT x.event_id FROM line_notify.seen_event x"
		" WHERE x.seen_at < clock_timestamp() - interval '8 days'"
		" ORDER BY x.seen_at LIMIT $1)",
		.nargs = 1,
		.argtypes = {INT4OID}
	};

	/* a DELETE, of nothing too, has the configuration read again */
	static LnStatement find_secret = {
		.name = "sweep keys: find secrets",
		.sql =
		"SELECT 1 FROM line_notify.credential WHERE " PREVIOUS_SECRET_IS_OLD
		" LIMIT 1",
		.nargs = 0
	};
	static LnStatement secrets = {
		.name = "sweep keys: secrets",
		.sql =
		"DELETE FROM line_notify.credential WHERE " PREVIOUS_SECRET_IS_OLD,
		.nargs = 0
	};
	Datum		arg = Int32GetDatum(limit);

	(void) ln_sql_run(&keys, &arg, NULL, SPI_OK_DELETE);
	(void) ln_sql_run(&days, NULL, NULL, SPI_OK_DELETE);
	(void) ln_sql_run(&events, &arg, NULL, SPI_OK_DELETE);
	if (ln_sql_run(&find_secret, NULL, NULL, SPI_OK_SELECT) > 0)
		(void) ln_sql_run(&secrets, NULL, NULL, SPI_OK_DELETE);
}

/*
 * Rows that were invalid or suppressed at INSERT carry their own time as
 * expires_at and take the same road.  Returns how many are locked.
 */
static int
lock_expired(int64 home, TimestampTz low, TimestampTz now, int limit,
			 int64 **ids, TimestampTz *last)
{
	static LnStatement st = {
		.name = "expire: lock",
		.sql =
		"SELECT o.id, o.expires_at FROM line_notify.outbox o"
		" WHERE o.expires_at >= $2 AND o.expires_at <= $3 AND o.home = $1"
		" AND (SELECT true FROM line_notify.in_flight f"
		" WHERE f.id = o.id) IS NULL"
		" ORDER BY o.expires_at LIMIT $4 FOR UPDATE OF o SKIP LOCKED",
		.nargs = 4,
		.argtypes = {INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID}
	};
	Datum		args[] = {
		Int64GetDatum(home), TimestampTzGetDatum(low),
		TimestampTzGetDatum(now), Int32GetDatum(limit)
	};
	int			n = (int) ln_sql_run(&st, args, NULL, SPI_OK_SELECT);

	*ids = palloc(sizeof(int64) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		(*ids)[i] = ln_sql_int8(i, 1, 0);
		*last = ln_sql_int8(i, 2, DT_NOEND);
	}
	return n;
}

/* What ends (o), and what its channel waits for (v). */
#define EXPIRED \
	"WITH o AS (DELETE FROM line_notify.outbox o WHERE o.id = ANY ($1)" \
	" RETURNING o.*)," \
	" v AS MATERIALIZED (SELECT x.* FROM line_notify._endpoint_verdicts() x)"

#define EXPIRED_STATE \
	" CASE WHEN o.maybe_sent THEN 'unknown'" \
	"  WHEN o.state <> 'queued' THEN o.state" \
	"  WHEN o.due_at <= CASE WHEN i.handover IS NULL" \
	" THEN i.in_doubt_before ELSE clock_timestamp() END THEN 'unknown'" \
	"  ELSE 'expired' END"

#define EXPIRED_ERROR \
	" CASE WHEN o.state <> 'queued' THEN o.error" \
	" ELSE coalesce(o.error || '; ', '') || 'its time was over after '" \
	"  || date_trunc('second', clock_timestamp() - o.created_at)" \
	" || ', waiting for: ' || w.reason END"

#define FROM_EXPIRED \
	" FROM o LEFT JOIN line_notify.identity i ON i.home = o.home" \
	" LEFT JOIN v ON v.channel = o.channel AND v.endpoint = CASE" \
	" WHEN o.template_key IS NULL THEN 'flexible' ELSE 'template' END" \
	" CROSS JOIN LATERAL line_notify._message_verdict(v.no, v.until," \
	" v.not_before, false," \
	"  EXISTS (SELECT FROM line_notify.partial_pause p" \
	"   WHERE p.channel = o.channel AND p.scope = 'template'" \
	" AND p.subject = o.template_key)," \
	"  EXISTS (SELECT FROM line_notify.partial_pause p" \
	"   WHERE p.channel = o.channel AND (p.scope = 'use_case'" \
	" OR p.scope = 'design' AND o.template_key IS NULL)" \
	"   AND p.subject = coalesce(o.use_case::text, ''))," \
	"  o.due_at, o.attempts > 0, o.error LIKE 'in quarantine: %', false," \
	" i.in_doubt_before, i.in_doubt_until," \
	"  i.handover IS NOT NULL OR EXISTS (SELECT FROM line_notify.unblock u" \
	" WHERE u.order_key IS NULL AND u.id = o.id)" \
	"  OR o.due_at = 'infinity' AND o.order_key IS NULL" \
	"     AND EXISTS (SELECT FROM line_notify.unblock u WHERE u.order_key" \
	" IS NULL AND u.id IS NULL AND u.channel = o.channel)) w"

int
ln_outbox_expire(int64 home, TimestampTz low, TimestampTz now, int limit,
				 TimestampTz *last)
{
	static LnStatement move = {
		.name = "expire: move",
		.sql =
		EXPIRED
		" INSERT INTO line_notify.history (id, channel, priority,"
		LN_KEPT_COLUMNS
		"  state, attempts, maybe_sent, error, created_at, due_at, expires_at,"
		" ended_at)"
		" SELECT o.id, o.channel, o.priority," LN_KEPT_COLUMNS_OF_O
		EXPIRED_STATE ", o.attempts, o.maybe_sent," EXPIRED_ERROR ","
		"  o.created_at, o.due_at, o.expires_at, clock_timestamp()"
		FROM_EXPIRED,
		.nargs = 1,
		.argtypes = {INT8ARRAYOID}
	};
	int64	   *ids;
	int64		highest = PG_INT64_MIN;
	int			n = lock_expired(home, low, now, limit, &ids, last);
	Datum		arg;

	if (n == 0)
		return 0;
	for (int i = 0; i < n; i++)
		highest = Max(highest, ids[i]);
	(void) ln_outbox_ensure_history(highest);
	arg = ln_sql_int8_array(ids, n);
	if (ln_sql_run(&move, &arg, NULL, SPI_OK_INSERT) != n)
		ln_outbox_kept("outbox or history");
	return n;
}

void
ln_outbox_expire_aside(int64 home, TimestampTz low, TimestampTz now,
					   int sqlstate)
{
	static LnStatement st = {
		.name = "expire: aside",
		.sql =
		EXPIRED ","
		/* as its trigger does */
		" u AS (INSERT INTO line_notify.unblock (channel, order_key)"
		" SELECT o.channel, o.order_key FROM o WHERE o.order_key IS NOT NULL)"
		" INSERT INTO line_notify.set_aside (id, attempt, state, error,"
		"  ended_at, consume, ambiguous, logged, message, why)"
		" SELECT o.id, o.attempts," EXPIRED_STATE "," EXPIRED_ERROR ","
		"  clock_timestamp(), false, false, false, to_jsonb(o.*), $2"
		FROM_EXPIRED,
		.nargs = 2,
		.argtypes = {INT8ARRAYOID, TEXTOID}
	};
	int64	   *ids;
	TimestampTz last;
	int			n = lock_expired(home, low, now, 1, &ids, &last);
	Datum		args[] = {
		ln_sql_int8_array(ids, n),
		CStringGetTextDatum(unpack_sql_state(sqlstate))
	};

	(void) ln_sql_run_unhindered(&st, args, NULL, SPI_OK_INSERT);
}

TimestampTz
ln_outbox_sweep_delivery_timeout(int64 timeout_us)
{
	static LnStatement st = {
		.name = "sweep delivery timeout",
		.sql =
		"SELECT s.again, s.next_at"
		" FROM line_notify._sweep_delivery_timeout($1 *"
		" interval '1 microsecond') s",
		.nargs = 1,
		.argtypes = {INT8OID}
	};
	Datum		arg = Int64GetDatum(timeout_us);

	(void) ln_sql_run(&st, &arg, NULL, SPI_OK_SELECT);
	return ln_sql_bool(0, 1) ? DT_NOBEGIN : ln_sql_int8(0, 2, DT_NOEND);
}

int
ln_outbox_wanted_statistics(int64 home, LnStatistic *counts, TimestampTz *next)
{
	static LnStatement st = {
		.name = "wanted statistics",
		.sql =
		"SELECT w.channel, w.kind, to_char(w.day, 'YYYYMMDD'),"
		" to_char(w.upto, 'YYYYMMDD'), w.unit"
		" FROM line_notify._wanted_statistics($1, $2) w",
		.nargs = 2,
		.argtypes = {INT8OID, INT4OID}
	};
	static LnStatement when = {
		.name = "wanted statistics: when",
		.sql =
		"SELECT line_notify._next_statistics($1)",
		.nargs = 1,
		.argtypes = {INT8OID}
	};
	Datum		args[] = {
		Int64GetDatum(home), Int32GetDatum(LN_STATISTICS_MAX)
	};
	int			n;

	n = Min((int) ln_sql_run(&st, args, NULL, SPI_OK_SELECT),
			LN_STATISTICS_MAX);
	memset(counts, 0, sizeof(LnStatistic) * LN_STATISTICS_MAX);
	for (int i = 0; i < n; i++)
	{
		char	   *value;

		strlcpy(counts[i].channel, ln_sql_text(i, 1),
				sizeof(counts[i].channel));
		strlcpy(counts[i].kind, ln_sql_text(i, 2), sizeof(counts[i].kind));
		strlcpy(counts[i].day, ln_sql_text(i, 3), sizeof(counts[i].day));
		value = ln_sql_text(i, 4);
		strlcpy(counts[i].upto, value ? value : "", sizeof(counts[i].upto));
		value = ln_sql_text(i, 5);
		strlcpy(counts[i].unit, value ? value : "", sizeof(counts[i].unit));
	}
	(void) ln_sql_run(&when, args, NULL, SPI_OK_SELECT);
	*next = ln_sql_int8(0, 1, DT_NOEND);
	return n;
}

void
ln_outbox_record_statistics(const LnStatistic *counts, int n)
{
	static LnStatement st = {
		.name = "record statistics",
		.sql =
		"SELECT line_notify._record_statistic($1, $2, to_date($3, 'YYYYMMDD'),"
		" to_date(nullif($4, ''), 'YYYYMMDD'), nullif($5, ''), $6,"
		" nullif($7, -1), nullif($8, -1))",
		.nargs = 8,
		.argtypes = {TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID,
		INT8OID, INT8OID}
	};

	for (int i = 0; i < n; i++)
	{
		Datum		args[] = {CStringGetTextDatum(counts[i].channel),
			CStringGetTextDatum(counts[i].kind),
			CStringGetTextDatum(counts[i].day),
			CStringGetTextDatum(counts[i].upto),
			CStringGetTextDatum(counts[i].unit),
			CStringGetTextDatum(counts[i].status),
			Int64GetDatum(counts[i].number),
		Int64GetDatum(counts[i].clicked)};

		(void) ln_sql_run(&st, args, NULL, SPI_OK_SELECT);
	}
}

bool
ln_outbox_announce(const char *notify_channel)
{
	static LnStatement st = {
		.name = "announce",
		.sql =
		"SELECT pg_notify($1, '') WHERE pg_notification_queue_usage() < 0.5",
		.nargs = 1,
		.argtypes = {TEXTOID}
	};
	Datum		arg = CStringGetTextDatum(notify_channel);

	return ln_sql_run(&st, &arg, NULL, SPI_OK_SELECT) > 0;
}

int64
ln_outbox_note_drain(int64 sent)
{
	static LnStatement st = {
		.name = "note drain",
		.sql = "SELECT line_notify._note_drain($1)",
		.nargs = 1,
		.argtypes = {INT8OID}
	};
	Datum		arg = Int64GetDatum(sent);

	(void) ln_sql_run(&st, &arg, NULL, SPI_OK_SELECT);
	return ln_sql_int8(0, 1, 0);
}

char *
ln_outbox_state(int64 id)
{
	static LnStatement st = {
		.name = "state",
		.sql =
		"SELECT s.state FROM ("
		" SELECT CASE WHEN EXISTS (SELECT FROM line_notify.in_flight f"
		" WHERE f.id OPERATOR(pg_catalog.=) $1)"
		"  THEN 'sending' ELSE o.state::pg_catalog.text END AS state"
		" FROM line_notify.outbox o WHERE o.id OPERATOR(pg_catalog.=) $1"
		" UNION ALL"
		" SELECT h.state::pg_catalog.text FROM line_notify.history h"
		" WHERE h.id OPERATOR(pg_catalog.=) $1) s",
		.nargs = 1,
		.argtypes = {INT8OID}
	};
	Datum		arg = Int64GetDatum(id);

	if (ln_sql_run(&st, &arg, NULL, SPI_OK_SELECT) == 0)
		return NULL;
	return ln_sql_text(0, 1);
}
