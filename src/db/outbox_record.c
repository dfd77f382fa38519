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
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

/*
 * Count messages that LINE accepted or may have accepted today, for all
 * channels at once, and in one order whoever does.
 */
static void
count_sent(const LnRecord *recs, int n)
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

int
ln_outbox_record(const LnRecord *recs, int n)
{
	/*
	 * Finished: lease, row and history in one statement.  A delivery event
	 * that overtook the answer wins.  The row may be gone (deleted by a
	 * superuser); the message was sent all the same, so history gets what we
	 * know.
	 */
	static LnStatement finish = {
		.name = "record: finish",
		.sql =
		"WITH r AS (SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9)"
		"  AS r(id, token, state, outcome, http_status, request_id, error,"
		" sent_at, ended_at)),"
		" f AS (DELETE FROM line_notify.in_flight f USING r"
		"  WHERE f.id = ANY ($1) AND f.id = r.id AND f.token = r.token"
		" RETURNING f.*),"
		" o AS (DELETE FROM line_notify.outbox o USING f WHERE o.id = ANY ($1)"
		" AND o.id = f.id RETURNING o.*)"
		" INSERT INTO line_notify.history (id, channel, priority,"
		LN_KEPT_COLUMNS
		"  state, attempts, maybe_sent, token, outcome, http_status,"
		" request_id, error,"
		"  created_at, due_at, expires_at, sent_at, ended_at, delivered_at,"
		" delivery_event)"
		" SELECT f.id, coalesce(o.channel, '?'), coalesce(o.priority, 0),"
		LN_KEPT_COLUMNS_OF_O
		"  CASE WHEN f.delivered_at IS NULL"
		" THEN r.state::line_notify.message_state ELSE 'delivered' END,"
		"  f.attempt, coalesce(o.maybe_sent, false), f.token, r.outcome,"
		" nullif(r.http_status, 0),"
		"  nullif(r.request_id, ''), nullif(r.error, ''),"
		"  coalesce(o.created_at, f.claimed_at), o.due_at, o.expires_at,"
		" r.sent_at, r.ended_at,"
		"  f.delivered_at, f.delivery_event"
		" FROM f JOIN r ON r.id = f.id LEFT JOIN o ON o.id = f.id",
		.nargs = 9,
		.argtypes = {
			INT8ARRAYOID, INT8ARRAYOID, TEXTARRAYOID, TEXTARRAYOID,
			INT4ARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID,
			TIMESTAMPTZARRAYOID
		}
	};

	/*
	 * Back to the queue.  Unless the delivery event came meanwhile: then the
	 * message has arrived, and a second copy is the last thing to send; such
	 * rows are left for finish, below.
	 */
	static LnStatement requeue = {
		.name = "record: requeue",
		.sql =
		"WITH r AS (SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9,"
		" $10, $11, $12)"
		"  AS r(id, token, outcome, http_status, request_id, error, sent_at,"
		" ended_at, retry_at, consume, ambiguous, logged)),"
		" f AS (DELETE FROM line_notify.in_flight f USING r"
		"  WHERE f.id = ANY ($1) AND f.id = r.id AND f.token = r.token"
		" AND f.delivered_at IS NULL RETURNING f.*),"
		" u AS (UPDATE line_notify.outbox o SET"
		"   due_at = greatest(r.retry_at, clock_timestamp()),"
		"   attempts = o.attempts + r.consume::integer,"
		"   maybe_sent = o.maybe_sent OR r.ambiguous,"
		"   error = nullif(r.error, '')"
		"  FROM f JOIN r ON r.id = f.id WHERE o.id = ANY ($1)"
		" AND o.id = f.id),"
		" l AS (INSERT INTO line_notify.attempt_log (id, attempt, token,"
		" started_at, ended_at, outcome, http_status, request_id, error)"
		"  SELECT f.id, f.attempt, f.token, r.sent_at, r.ended_at, r.outcome,"
		" nullif(r.http_status, 0),"
		"   nullif(r.request_id, ''), nullif(r.error, '')"
		"  FROM f JOIN r ON r.id = f.id WHERE r.logged)"
		" SELECT f.id FROM f",
		.nargs = 12,
		.argtypes = {
			INT8ARRAYOID, INT8ARRAYOID, TEXTARRAYOID, INT4ARRAYOID,
			TEXTARRAYOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID,
			TIMESTAMPTZARRAYOID, TIMESTAMPTZARRAYOID, BOOLARRAYOID,
			BOOLARRAYOID, BOOLARRAYOID
		}
	};
	int64	   *ids = palloc(sizeof(int64) * n);
	int64	   *tokens = palloc(sizeof(int64) * n);
	const char **states = palloc(sizeof(char *) * n);
	const char **outcomes = palloc(sizeof(char *) * n);
	int		   *statuses = palloc(sizeof(int) * n);
	const char **request_ids = palloc(sizeof(char *) * n);
	const char **errors = palloc(sizeof(char *) * n);
	TimestampTz *sent = palloc(sizeof(TimestampTz) * n);
	TimestampTz *ended = palloc(sizeof(TimestampTz) * n);
	TimestampTz *retry = palloc(sizeof(TimestampTz) * n);
	bool	   *consume = palloc(sizeof(bool) * n);
	bool	   *ambiguous = palloc(sizeof(bool) * n);
	bool	   *logged = palloc(sizeof(bool) * n);
	int			held = 0;

	/* after a failure, partitions may be missing: look at each */
	if (covered == PG_INT64_MIN)
	{
		for (int i = 0; i < n; i++)
			ln_outbox_ensure_history(recs[i].id);
	}

	/* first those that go back, then those that end */
	for (int ends = 0; ends <= 1; ends++)
	{
		int			m = 0;
		int			hit = 0;

		for (int i = 0; i < n; i++)
		{
			const LnRecord *r = &recs[i];
			const char *state = ln_outbox_final_state(r->next);

			if ((state != NULL) != (ends == 1))
				continue;
			ids[m] = r->id;
			tokens[m] = (int64) r->token;
			states[m] = state;
			outcomes[m] = ln_line_outcome_name(r->outcome);
			statuses[m] = r->status;
			request_ids[m] = r->request_id;
			errors[m] = r->error;
			sent[m] = r->sent_at;
			ended[m] = r->ended_at;
			retry[m] = r->retry_at;
			consume[m] = r->next == LINE_RETRY_LATER;
			ambiguous[m] = ln_line_may_have_been_sent(r->outcome);
			logged[m] = r->attempted;
			m++;
		}
		if (m == 0)
			continue;
		if (ends == 0)
		{
			Datum		args[] = {ln_sql_int8_array(ids, m),
				ln_sql_int8_array(tokens, m),
				ln_sql_text_array(outcomes, m),
				ln_sql_int4_array(statuses, m),
				ln_sql_text_array(request_ids, m),
				ln_sql_text_array(errors, m),
				ln_sql_timestamptz_array(sent, m),
				ln_sql_timestamptz_array(ended, m),
				ln_sql_timestamptz_array(retry, m),
				ln_sql_bool_array(consume, m),
				ln_sql_bool_array(ambiguous, m),
			ln_sql_bool_array(logged, m)};

			hit = (int) ln_sql_run(&requeue, args, NULL, SPI_OK_SELECT);
			/* leases still there have a delivery event: they end after all */
			for (int i = 0; i < m; i++)
				states[i] = "delivered";
		}
		if (hit < m)
		{
			Datum		args[] = {ln_sql_int8_array(ids, m),
				ln_sql_int8_array(tokens, m),
				ln_sql_text_array(states, m),
				ln_sql_text_array(outcomes, m),
				ln_sql_int4_array(statuses, m),
				ln_sql_text_array(request_ids, m),
				ln_sql_text_array(errors, m),
				ln_sql_timestamptz_array(sent, m),
			ln_sql_timestamptz_array(ended, m)};

			hit += (int) ln_sql_run(&finish, args, NULL, SPI_OK_INSERT);
		}
		held += hit;
	}

	count_sent(recs, n);
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
		" RETURNING o.*)"
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
	(void) ln_sql_run(&st, args, nulls, SPI_OK_INSERT);
	ln_trace("aside", INT64_FORMAT " " UINT64_FORMAT " %s %s", rec->id,
			 rec->token, ln_line_outcome_name(rec->outcome),
			 ln_trace_next(rec->next));

	/* what may have been accepted counts for the day, as when recorded */
	count_sent(rec, 1);
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
