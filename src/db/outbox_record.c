/*-------------------------------------------------------------------------
 *
 * outbox_record.c
 *		Recording: a lease ends, its message leaves the queue or returns to it.
 *
 * Recording deletes the lease, and only when that hit exactly the token it was
 * given, deletes the row and writes history.  So two processes can never both
 * record, and a lease left by a dead process is visible as such at once.
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
#include "db/trace.h"

/* history has partitions for ids below this */
static int64 covered = PG_INT64_MIN;

int64
ln_outbox_ensure_history(int64 id)
{
	static LnStatement st = {
		.name = "ensure history",
		.sql =
		"SELECT line_notify._ensure_history($1)",
		.nargs = 1,
		.argtypes = {INT8OID}
	};
	Datum		arg = Int64GetDatum(id);

	(void) ln_sql_run(&st, &arg, NULL, SPI_OK_SELECT);
	return ln_sql_int8(0, 1, PG_INT64_MIN);
}

void
ln_outbox_cover_history(int64 id)
{
	if (id >= covered)
		covered = ln_outbox_ensure_history(id);
}

void
ln_outbox_forget(void)
{
	covered = PG_INT64_MIN;
}

/* for qsort over names of channels */
static int
compare_names(const void *a, const void *b)
{
	const char *name = *(const char *const *) a;
	const char *other = *(const char *const *) b;

	return name == other ? 0 : strcmp(name, other);
}

/* For all channels at once, and in one order whoever does. */
void
ln_outbox_count_sent(const LnRecord *recs, int n)
{
	static LnStatement st = {
		.name = "count sent",
		.sql =
		"INSERT INTO line_notify.daily_sent AS d (channel, day, sent)"
		" SELECT c.name, (clock_timestamp() AT TIME ZONE c.time_zone)::date,"
		" r.n"
		" FROM unnest($1, $2) AS r(channel, n)"
		" JOIN line_notify.channel c ON c.name = r.channel"
		" WHERE c.name = ANY ($1) ORDER BY c.name"
		" ON CONFLICT (channel, day) DO UPDATE"
		" SET sent = d.sent + excluded.sent",
		.nargs = 2,
		.argtypes = {TEXTARRAYOID, INT4ARRAYOID}
	};
	const char **channels = palloc(sizeof(char *) * n);
	int		   *counts = palloc(sizeof(int) * n);
	int			nsent = 0;
	int			nchannels = 0;
	Datum		args[2];

	for (int i = 0; i < n; i++)
		if (recs[i].attempted && ln_line_may_have_been_sent(recs[i].outcome))
			channels[nsent++] = recs[i].channel;
	if (nsent == 0)
		return;
	qsort(channels, nsent, sizeof(char *), compare_names);
	for (int i = 0; i < nsent; i++)
	{
		if (i == 0 || strcmp(channels[i], channels[nchannels - 1]) != 0)
		{
			channels[nchannels] = channels[i];
			counts[nchannels++] = 0;
		}
		counts[nchannels - 1]++;
	}
	args[0] = ln_sql_text_array(channels, nchannels);
	args[1] = ln_sql_int4_array(counts, nchannels);
	(void) ln_sql_run(&st, args, NULL, SPI_OK_INSERT);
}

const char *
ln_outbox_final_state(LineNext next)
{
	switch (next)
	{
		case LINE_FINISH_ACCEPTED:
			return "accepted";
		case LINE_FINISH_UNREACHABLE:
			return "unreachable";
		case LINE_FINISH_REFUSED:
			return "refused";
		case LINE_FINISH_UNKNOWN:
			return "unknown";
		case LINE_FINISH_FAILED:
			return "failed";
		case LINE_RETRY_LATER:
		case LINE_RETURN:
			break;
	}
	return NULL;
}

/*
 * A trigger of the owner's may keep a row and say nothing: RETURN NEW in one
 * BEFORE DELETE does, or RETURN OLD in one BEFORE UPDATE.  To believe that the
 * row is gone, or waits for its time, would be to send its message again.
 */
void
ln_outbox_kept(const char *table)
{
	ereport(ERROR,
			(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
			 errmsg("a trigger on line_notify.%s keeps a row from being written or deleted",
					table)));
}

/* How many of these messages have a row in outbox? */
static uint64
count_waiting(Datum ids)
{
	static LnStatement st = {
		.name = "record: waiting",
		.sql =
		"SELECT FROM line_notify.outbox o WHERE o.id = ANY ($1)",
		.nargs = 1,
		.argtypes = {INT8ARRAYOID}
	};

	return ln_sql_run(&st, &ids, NULL, SPI_OK_SELECT);
}

/* What a lease said, when it ended. */
typedef struct Lease
{
	bool		held;			/* it was there, under this token */
	int			attempt;
	TimestampTz claimed_at;
	TimestampTz delivered_at;	/* a delivery event overtook the answer; 0 =
								 * none did */
	char	   *delivery_event;
} Lease;

/*
 * End the leases of records.  Who holds one, and only who does, says below
 * what became of the message.  Returns how many were held.
 */
static int
end_leases(const LnRecord *recs, int n, Lease *leases)
{
	static LnStatement st = {
		.name = "record: leases",
		.sql =
		"DELETE FROM line_notify.in_flight f USING recorded r"
		" WHERE f.id = ANY ($1) AND f.id = r.id AND f.token = r.token"
		" RETURNING r.n, f.attempt, f.claimed_at, f.delivered_at,"
		" f.delivery_event",
		.nargs = 1,
		.argtypes = {INT8ARRAYOID}
	};
	static LnStatement kept = {
		.name = "record: kept leases",
		.sql =
		"SELECT FROM line_notify.in_flight f JOIN recorded r ON f.id = r.id"
		" WHERE f.id = ANY ($1) AND f.token = r.token",
		.nargs = 1,
		.argtypes = {INT8ARRAYOID}
	};
	static const LnColumn columns[] = {
		{"n", INT4OID}, {"id", INT8OID}, {"token", INT8OID}
	};
	LnTable    *recorded = ln_sql_table_begin("recorded", columns,
											  lengthof(columns));
	int64	   *ids = palloc(sizeof(int64) * n);
	Datum		arg;
	int			held;

	for (int i = 0; i < n; i++)
	{
		Datum		row[] = {
			Int32GetDatum(i), Int64GetDatum(recs[i].id),
			Int64GetDatum((int64) recs[i].token)
		};

		ln_sql_table_add(recorded, row);
		ids[i] = recs[i].id;
	}
	arg = ln_sql_int8_array(ids, n);
	held = (int) ln_sql_run(&st, &arg, NULL, SPI_OK_DELETE_RETURNING);
	for (int i = 0; i < held; i++)
	{
		Lease	   *lease = &leases[ln_sql_int4(i, 1, 0)];

		lease->held = true;
		lease->attempt = ln_sql_int4(i, 2, 1);
		lease->claimed_at = ln_sql_int8(i, 3, 0);
		lease->delivered_at = ln_sql_int8(i, 4, 0);
		lease->delivery_event = ln_sql_text(i, 5);
	}
	if (held < n && ln_sql_run(&kept, &arg, NULL, SPI_OK_SELECT) > 0)
		ln_outbox_kept("in_flight");
	ln_sql_table_end(recorded);
	return held;
}

/* Table "ended": what became of messages whose leases have ended. */
static const LnColumn ended_columns[] = {
	{"id", INT8OID}, {"token", INT8OID}, {"attempt", INT4OID},
	{"state", TEXTOID}, {"outcome", TEXTOID}, {"http_status", INT4OID},
	{"request_id", TEXTOID}, {"error", TEXTOID},
	{"sent_at", TIMESTAMPTZOID}, {"ended_at", TIMESTAMPTZOID},
	{"retry_at", TIMESTAMPTZOID}, {"consume", BOOLOID},
	{"ambiguous", BOOLOID}, {"logged", BOOLOID},
	{"claimed_at", TIMESTAMPTZOID}, {"delivered_at", TIMESTAMPTZOID},
	{"delivery_event", TEXTOID}
};

static void
add_ended(LnTable *t, const LnRecord *r, const Lease *lease, const char *state)
{
	Datum		row[] = {
		Int64GetDatum(r->id), Int64GetDatum((int64) r->token),
		Int32GetDatum(lease->attempt),
		ln_sql_text_datum(state),
		ln_sql_text_datum(ln_line_outcome_name(r->outcome)),
		Int32GetDatum(r->status),
		ln_sql_text_datum(r->request_id), ln_sql_text_datum(r->error),
		TimestampTzGetDatum(r->sent_at), TimestampTzGetDatum(r->ended_at),
		TimestampTzGetDatum(r->retry_at),
		BoolGetDatum(r->next == LINE_RETRY_LATER),
		BoolGetDatum(ln_line_may_have_been_sent(r->outcome)),
		BoolGetDatum(r->attempted),
		TimestampTzGetDatum(lease->claimed_at),
		TimestampTzGetDatum(lease->delivered_at),
		ln_sql_text_datum(lease->delivery_event)
	};

	StaticAssertStmt(lengthof(row) == lengthof(ended_columns),
					 "a value for each column");
	ln_sql_table_add(t, row);
}

int
ln_outbox_record(const LnRecord *recs, int n)
{
	/*
	 * The row may be gone (deleted by a superuser); the message was sent all
	 * the same, so history gets what we know.
	 */
	static LnStatement finish = {
		.name = "record: finish",
		.sql =
		"WITH o AS (DELETE FROM line_notify.outbox o WHERE o.id = ANY ($1)"
		"  RETURNING o.id, o.channel, o.priority," LN_KEPT_COLUMNS_OF_O
		"  o.maybe_sent, o.created_at, o.due_at, o.expires_at),"
		" h AS (INSERT INTO line_notify.history (id, channel, priority,"
		LN_KEPT_COLUMNS
		"  state, attempts, maybe_sent, token, outcome, http_status,"
		" request_id, error,"
		"  created_at, due_at, expires_at, sent_at, ended_at, delivered_at,"
		" delivery_event)"
		" SELECT r.id, coalesce(o.channel, '?'), coalesce(o.priority, 0),"
		LN_KEPT_COLUMNS_OF_O
		"  r.state::line_notify.message_state, r.attempt,"
		" coalesce(o.maybe_sent, false), r.token, r.outcome,"
		" nullif(r.http_status, 0), r.request_id, r.error,"
		"  coalesce(o.created_at, r.claimed_at), o.due_at, o.expires_at,"
		" r.sent_at, r.ended_at, r.delivered_at, r.delivery_event"
		" FROM ended r LEFT JOIN o ON o.id = r.id RETURNING 1)"
		" SELECT (SELECT count(*) FROM o), (SELECT count(*) FROM h)",
		.nargs = 1,
		.argtypes = {INT8ARRAYOID}
	};
	static LnStatement requeue = {
		.name = "record: requeue",
		.sql =
		"WITH u AS (UPDATE line_notify.outbox o SET"
		"   due_at = greatest(r.retry_at, clock_timestamp()),"
		"   attempts = o.attempts + r.consume::integer,"
		"   maybe_sent = o.maybe_sent OR r.ambiguous,"
		"   error = r.error"
		"  FROM ended r WHERE o.id = ANY ($1) AND o.id = r.id"
		"  RETURNING coalesce(o.due_at >= r.retry_at, true) AS moved),"
		" l AS (INSERT INTO line_notify.attempt_log (id, attempt, token,"
		" started_at, ended_at, outcome, http_status, request_id, error)"
		" SELECT r.id, r.attempt, r.token, r.sent_at, r.ended_at, r.outcome,"
		" nullif(r.http_status, 0), r.request_id, r.error"
		" FROM ended r WHERE r.logged RETURNING 1)"
		" SELECT (SELECT count(*) FROM u WHERE u.moved),"
		" (SELECT count(*) FROM l)",
		.nargs = 1,
		.argtypes = {INT8ARRAYOID}
	};
	Lease	   *leases = palloc0(sizeof(Lease) * n);
	int64	   *ids = palloc(sizeof(int64) * n);
	int			held;

	/* after a failure, partitions may be missing: look at each */
	if (covered == PG_INT64_MIN)
	{
		for (int i = 0; i < n; i++)
			ln_outbox_ensure_history(recs[i].id);
	}

	held = end_leases(recs, n, leases);

	/* first those that go back, then those that end */
	for (int ends = 0; ends <= 1; ends++)
	{
		LnTable    *ended = ln_sql_table_begin("ended", ended_columns,
											   lengthof(ended_columns));
		int			m = 0;
		int			to_write = 0;	/* rows of history, or attempt_log */

		for (int i = 0; i < n; i++)
		{
			const char *state = ln_outbox_final_state(recs[i].next);

			/*
			 * A delivery event that overtook the answer wins: the message has
			 * arrived, and a second copy is the last thing to send.
			 */
			if (leases[i].delivered_at != 0)
				state = "delivered";
			if (!leases[i].held || (state != NULL) != (ends == 1))
				continue;
			ids[m++] = recs[i].id;
			to_write += ends || recs[i].attempted;
			add_ended(ended, &recs[i], &leases[i], state);
		}
		if (m > 0)
		{
			Datum		arg = ln_sql_int8_array(ids, m);
			uint64		changed;
			int64		written;

			(void) ln_sql_run(ends ? &finish : &requeue, &arg, NULL,
							  SPI_OK_SELECT);
			changed = ln_sql_int8(0, 1, 0);
			written = ln_sql_int8(0, 2, 0);
			/* the rest are gone, or were kept */
			if (changed < m && count_waiting(arg) > (ends ? 0 : changed))
				ln_outbox_kept("outbox");
			if (written < to_write)
				ln_outbox_kept(ends ? "history" : "attempt_log");
		}
		ln_sql_table_end(ended);
	}

	ln_outbox_count_sent(recs, n);
	for (int i = 0; i < n; i++)
		ln_trace("record", INT64_FORMAT " " UINT64_FORMAT " %s %s %d %d",
				 recs[i].id, recs[i].token,
				 ln_line_outcome_name(recs[i].outcome),
				 ln_trace_next(recs[i].next), held, n);
	return held;
}

void
ln_outbox_set_aside(const LnRecord *rec, int sqlstate)
{
	static LnStatement st = {
		.name = "set aside",
		.sql =
		"WITH f AS (DELETE FROM line_notify.in_flight f WHERE f.id = $1"
		" AND f.token = $2 RETURNING f.*),"
		" o AS (DELETE FROM line_notify.outbox o USING f WHERE o.id = f.id"
		" RETURNING o.*),"
		/* as its trigger does */
		" u AS (INSERT INTO line_notify.unblock (channel, order_key)"
		" SELECT o.channel, o.order_key FROM o WHERE o.order_key IS NOT NULL)"
		" INSERT INTO line_notify.set_aside (id, token, attempt, state,"
		" outcome, http_status, request_id, error,"
		"  sent_at, ended_at, retry_at, consume, ambiguous, logged,"
		" delivered_at, delivery_event, message, why)"
		" SELECT f.id, f.token, f.attempt, $3, $4, $5, $6, $7, $8, $9, $10,"
		" ($11 & 1) <> 0, ($11 & 2) <> 0, ($11 & 4) <> 0,"
		"  f.delivered_at, f.delivery_event, to_jsonb(o.*), $12"
		" FROM f LEFT JOIN o ON true",
		.nargs = 12,
		.argtypes = {
			INT8OID, INT8OID, TEXTOID, TEXTOID, INT4OID, TEXTOID, TEXTOID,
			TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID, TEXTOID
		}
	};
	const char *state = ln_outbox_final_state(rec->next);
	int			flags = (rec->next == LINE_RETRY_LATER ? 1 : 0) |
	(ln_line_may_have_been_sent(rec->outcome) ? 2 : 0) |
	(rec->attempted ? 4 : 0);
	Datum		args[] = {
		Int64GetDatum(rec->id), Int64GetDatum((int64) rec->token),
		CStringGetTextDatum(state ? state : ""),
		CStringGetTextDatum(ln_line_outcome_name(rec->outcome)),
		Int32GetDatum(rec->status), CStringGetTextDatum(rec->request_id),
		CStringGetTextDatum(rec->error), TimestampTzGetDatum(rec->sent_at),
		TimestampTzGetDatum(rec->ended_at), TimestampTzGetDatum(rec->retry_at),
		Int32GetDatum(flags), CStringGetTextDatum(unpack_sql_state(sqlstate))
	};
	char		nulls[] = "            ";

	if (state == NULL)
		nulls[2] = 'n';
	if (rec->sent_at == 0)
		nulls[7] = 'n';
	(void) ln_sql_run_unhindered(&st, args, nulls, SPI_OK_INSERT);
	ln_trace("aside", INT64_FORMAT " " UINT64_FORMAT " %s %s", rec->id,
			 rec->token, ln_line_outcome_name(rec->outcome),
			 ln_trace_next(rec->next));
}

bool
ln_outbox_record_set_aside(int64 *recorded)
{
	static LnStatement st = {
		.name = "record set aside",
		.sql = "SELECT r.recorded FROM line_notify.record_set_aside() r"
		" WHERE EXISTS (SELECT FROM line_notify.set_aside)",
	};

	*recorded = 0;
	if (ln_sql_run(&st, NULL, NULL, SPI_OK_SELECT) == 0)
		return false;
	*recorded = ln_sql_int8(0, 1, 0);
	return true;
}

int
ln_outbox_orphans(int64 home, uint64 me, LnOrphan **rows)
{
	static LnStatement st = {
		.name = "orphans",
		.sql =
		"SELECT f.id, f.token, f.attempt, f.claimer, f.claimed_at,"
		" coalesce((SELECT o.maybe_sent FROM line_notify.outbox o"
		" WHERE o.id = f.id), false),"
		" coalesce((SELECT o.channel FROM line_notify.outbox o"
		" WHERE o.id = f.id), '?'),"
		" (SELECT o.policy FROM line_notify.outbox o WHERE o.id = f.id)"
		" FROM line_notify.in_flight f"
		" WHERE f.claimer <> $2 AND f.home = $1 ORDER BY f.claimer, f.id",
		.nargs = 2,
		.argtypes = {INT8OID, INT8OID}
	};
	Datum		args[] = {Int64GetDatum(home), Int64GetDatum((int64) me)};
	int			n;
	LnOrphan   *list;

	n = (int) ln_sql_run(&st, args, NULL, SPI_OK_SELECT);
	list = palloc0(sizeof(LnOrphan) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		list[i].id = ln_sql_int8(i, 1, 0);
		list[i].token = (uint64) ln_sql_int8(i, 2, 0);
		list[i].attempt = ln_sql_int4(i, 3, 1);
		list[i].claimer = (uint64) ln_sql_int8(i, 4, 0);
		list[i].claimed_at = ln_sql_int8(i, 5, 0);
		list[i].maybe_sent = ln_sql_bool(i, 6);
		list[i].channel = ln_sql_text(i, 7);
		list[i].policy = ln_sql_policy(i, 8);
	}
	*rows = list;
	return n;
}
