/*-------------------------------------------------------------------------
 *
 * outbox_claim.c
 *		Claiming: the scan for due rows, their locks, their leases.
 *
 * A row of outbox is written once.  Claiming inserts a lease (id, token) into
 * in_flight; see outbox_record.c for its other end.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "db/outbox.h"
#include "db/sql.h"
#include "db/trace.h"

int
ln_outbox_scan_due(int64 home, TimestampTz after, LnLaneRow **rows)
{
	/*
	 * A loose index scan: one probe per lane, however many rows it has.  Rows
	 * that are blocked (due_at infinity) do not count.
	 */
	static LnStatement st = {
		.name = "scan due",
		.sql =
		"WITH RECURSIVE lane AS ("
		" (SELECT o.channel, o.lane FROM line_notify.outbox o"
		"  ORDER BY o.channel, o.lane LIMIT 1)"
		" UNION ALL"
		" SELECT n.channel, n.lane FROM lane l, LATERAL ("
		"  SELECT o.channel, o.lane FROM line_notify.outbox o"
		"  WHERE (o.channel, o.lane) > (l.channel, l.lane)"
		"  ORDER BY o.channel, o.lane LIMIT 1) n)"
		" SELECT l.channel, l.lane,"
		"  (SELECT o.due_at FROM line_notify.outbox o"
		"   WHERE o.channel = l.channel AND o.lane = l.lane"
		"   AND o.home = $1 AND o.due_at < 'infinity' AND o.state = 'queued'"
		" AND o.due_at > $2"
		"   AND (SELECT true FROM line_notify.in_flight f"
		" WHERE f.id = o.id) IS NULL"
		"   ORDER BY o.due_at, o.id LIMIT 1)"
		" FROM lane l",
		.nargs = 2,
		.argtypes = {INT8OID, TIMESTAMPTZOID}
	};
	Datum		args[] = {Int64GetDatum(home), TimestampTzGetDatum(after)};
	int			n;
	LnLaneRow  *list;

	n = (int) ln_sql_run(&st, args, NULL, SPI_OK_SELECT);
	list = palloc0(sizeof(LnLaneRow) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		list[i].channel = ln_sql_text(i, 1);
		list[i].lane = ln_sql_int4(i, 2, 0);
		list[i].first_due = ln_sql_int8(i, 3, DT_NOEND);
	}
	*rows = list;
	return n;
}

int
ln_outbox_lock_due(const LnLaneAsk *asks, int nasks, int64 home,
				   TimestampTz now, int limit, LnMessage **rows)
{
	/*
	 * The row lock is against cancel() and friends, which delete rows; it is
	 * skipped, not waited for, since theirs may last as long as a user's
	 * transaction.
	 */
	static LnStatement st = {
		.name = "lock due",
		.sql =
		"SELECT a.n::integer, m.*"
		" FROM unnest($1, $2, $3, $4) WITH ORDINALITY AS a(channel, lane, low,"
		" most, n), LATERAL ("
		"SELECT o.id, o.attempts + 1, o.maybe_sent, o.order_key IS NOT NULL,"
		" CASE WHEN o.order_key IS NULL THEN false"
		"  ELSE EXISTS (SELECT FROM line_notify.outbox p"
		"   WHERE p.channel = o.channel AND p.order_key = o.order_key"
		"   AND p.id < o.id AND p.state = 'queued') END,"
		" o.due_at, o.recipient, o.template_key, o.body::text,"
		" o.messages::text,"
		" o.notification_disabled, o.aggregation_unit,"
		" coalesce(o.use_case::text, ''), o.policy,"
		" hashtextextended(o.order_key COLLATE \"C\", 0), o.expires_at"
		" FROM line_notify.outbox o"
		" WHERE o.channel = a.channel AND o.lane = a.lane::smallint"
		" AND o.due_at >= a.low AND o.due_at <= $5"
		" AND o.home = $6 AND o.state = 'queued'"
		" AND (o.expires_at > $5) IS TRUE"
		" AND (SELECT true FROM line_notify.in_flight f"
		" WHERE f.id = o.id) IS NULL"
		" ORDER BY o.due_at, o.id LIMIT a.most FOR UPDATE OF o SKIP LOCKED) m"
		" LIMIT $7",
		.nargs = 7,
		.argtypes = {
			TEXTARRAYOID, INT4ARRAYOID, TIMESTAMPTZARRAYOID, INT4ARRAYOID,
			TIMESTAMPTZOID, INT8OID, INT4OID
		}
	};
	const char **channels = palloc(sizeof(char *) * nasks);
	int		   *lanes = palloc(sizeof(int) * nasks);
	TimestampTz *lows = palloc(sizeof(TimestampTz) * nasks);
	int		   *limits = palloc(sizeof(int) * nasks);
	Datum		args[7];
	int			n;
	LnMessage  *list;

	for (int i = 0; i < nasks; i++)
	{
		channels[i] = asks[i].channel;
		lanes[i] = asks[i].lane;
		lows[i] = asks[i].low;
		limits[i] = asks[i].limit;
	}
	args[0] = ln_sql_text_array(channels, nasks);
	args[1] = ln_sql_int4_array(lanes, nasks);
	args[2] = ln_sql_timestamptz_array(lows, nasks);
	args[3] = ln_sql_int4_array(limits, nasks);
	args[4] = TimestampTzGetDatum(now);
	args[5] = Int64GetDatum(home);
	args[6] = Int32GetDatum(limit);
	n = (int) ln_sql_run(&st, args, NULL, SPI_OK_SELECT);
	list = palloc0(sizeof(LnMessage) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		LnMessage  *m = &list[i];

		m->ask = ln_sql_int4(i, 1, 1) - 1;
		m->id = ln_sql_int8(i, 2, 0);
		m->attempt = ln_sql_int4(i, 3, 1);
		m->maybe_sent = ln_sql_bool(i, 4);
		m->ordered = ln_sql_bool(i, 5);
		m->blocked = ln_sql_bool(i, 6);
		m->due_at = ln_sql_int8(i, 7, 0);
		m->recipient = ln_sql_text(i, 8);
		m->template_key = ln_sql_utf8(i, 9, &m->not_utf8);
		m->body = ln_sql_utf8(i, 10, &m->not_utf8);
		m->messages = ln_sql_utf8(i, 11, &m->not_utf8);
		m->notification_disabled = ln_sql_int4(i, 12, -1);
		m->aggregation_unit = ln_sql_utf8(i, 13, &m->not_utf8);
		m->use_case = ln_sql_text(i, 14);
		m->policy = ln_sql_policy(i, 15);
		m->order_hash = ln_sql_int8(i, 16, 0);
		m->expires_at = ln_sql_int8(i, 17, DT_NOEND);
	}
	*rows = list;
	return n;
}

void
ln_outbox_lease(const LnMessage *rows, int n, int64 home, uint64 claimer)
{
	static LnStatement st = {
		.name = "lease",
		.sql =
		"INSERT INTO line_notify.in_flight (id, token, claimer, attempt,"
		" claimed_at, home)"
		" SELECT r.id, r.token, $1, r.attempt, clock_timestamp(), $2"
		" FROM claimed r",
		.nargs = 2,
		.argtypes = {INT8OID, INT8OID}
	};
	static const LnColumn columns[] = {
		{"id", INT8OID}, {"token", INT8OID}, {"attempt", INT4OID}
	};
	LnTable    *claimed = ln_sql_table_begin("claimed", columns,
											 lengthof(columns));
	Datum		args[] = {Int64GetDatum((int64) claimer), Int64GetDatum(home)};

	for (int i = 0; i < n; i++)
	{
		Datum		row[] = {
			Int64GetDatum(rows[i].id), Int64GetDatum((int64) rows[i].token),
			Int32GetDatum(rows[i].attempt)
		};

		ln_sql_table_add(claimed, row);
	}
	if (ln_sql_run(&st, args, NULL, SPI_OK_INSERT) != (uint64) n)
		elog(ERROR, "could not claim all locked messages");
	ln_sql_table_end(claimed);
	for (int i = 0; i < n; i++)
		ln_trace("claim",
				 INT64_FORMAT " " UINT64_FORMAT " %d %d " INT64_FORMAT,
				 rows[i].id, rows[i].token, rows[i].attempt,
				 rows[i].maybe_sent, home);
}

void
ln_outbox_quarantine(int64 id, TimestampTz until, const char *reason)
{
	static LnStatement st = {
		.name = "quarantine",
		.sql =
		"UPDATE line_notify.outbox SET due_at = $2,"
		" error = 'in quarantine: ' || $3 WHERE id = $1",
		.nargs = 3,
		.argtypes = {INT8OID, TIMESTAMPTZOID, TEXTOID}
	};
	Datum		args[] = {
		Int64GetDatum(id), TimestampTzGetDatum(until),
		CStringGetTextDatum(reason)
	};

	/* it may be a trigger of the owner's that keeps it from being claimed */
	(void) ln_sql_run_unhindered(&st, args, NULL, SPI_OK_UPDATE);
}

/*
 * Update n locked rows by a statement that returns of each whether it became
 * what it was to be.  If not, it would be claimed again, and again.
 */
static void
move_locked(LnStatement *st, Datum *args, int n)
{
	int			updated = (int) ln_sql_run(st, args, NULL,
										   SPI_OK_UPDATE_RETURNING);
	int			moved = 0;

	for (int i = 0; i < updated; i++)
		moved += ln_sql_bool(i, 1);
	if (moved < n)
		ln_outbox_kept("outbox");
}

/* The same by a statement whose only argument is the ids of rows. */
static void
update_locked(LnStatement *st, const LnMessage *rows, int n)
{
	int64	   *ids = palloc(sizeof(int64) * n);
	Datum		arg;

	for (int i = 0; i < n; i++)
		ids[i] = rows[i].id;
	arg = ln_sql_int8_array(ids, n);
	move_locked(st, &arg, n);
	for (int i = 0; i < n; i++)
		ln_trace("held", INT64_FORMAT, ids[i]);
}

void
ln_outbox_block(const LnMessage *rows, int n)
{
	static LnStatement st = {
		.name = "block",
		.sql =
		"UPDATE line_notify.outbox SET due_at = 'infinity'"
		" WHERE id = ANY ($1) RETURNING due_at = 'infinity'",
		.nargs = 1,
		.argtypes = {INT8ARRAYOID}
	};

	update_locked(&st, rows, n);
}

void
ln_outbox_delay(const LnMessage *rows, int n)
{
	static LnStatement st = {
		.name = "delay",
		.sql =
		"UPDATE line_notify.outbox SET due_at = clock_timestamp() +"
		" interval '200 ms' WHERE id = ANY ($1)"
		" RETURNING due_at > now()",
		.nargs = 1,
		.argtypes = {INT8ARRAYOID}
	};

	update_locked(&st, rows, n);
}

bool
ln_outbox_has_suppressed(void)
{
	static LnStatement st = {
		.name = "has suppressed",
		.sql =
		"SELECT EXISTS (SELECT FROM line_notify.suppression)",
		.nargs = 0,
		.read_only = true
	};

	(void) ln_sql_run(&st, NULL, NULL, SPI_OK_SELECT);
	return ln_sql_bool(0, 1);
}

bool *
ln_outbox_find_suppressed(const LnMessage *rows, int n)
{
	static LnStatement st = {
		.name = "find suppressed",
		.sql =
		"SELECT EXISTS (SELECT FROM line_notify.suppression s"
		" WHERE s.recipient = r.recipient)"
		" FROM unnest($1) WITH ORDINALITY AS r(recipient, n) ORDER BY r.n",
		.nargs = 1,
		.argtypes = {TEXTARRAYOID}
	};
	const char **recipients = palloc(sizeof(char *) * Max(n, 1));
	bool	   *result = palloc0(sizeof(bool) * Max(n, 1));
	Datum		arg;

	for (int i = 0; i < n; i++)
		recipients[i] = rows[i].recipient;
	arg = ln_sql_text_array(recipients, n);
	if (ln_sql_run(&st, &arg, NULL, SPI_OK_SELECT) != (uint64) n)
		elog(ERROR, "unexpected number of rows");
	for (int i = 0; i < n; i++)
		result[i] = ln_sql_bool(i, 1);
	return result;
}

/*
 * Ends locked rows without sending: their time is over, and expiry moves them
 * to history.
 */
static void
end_locked(const LnMessage *rows, int n, const char *state, const char *why)
{
	static LnStatement st = {
		.name = "end locked",
		.sql =
		"UPDATE line_notify.outbox SET state = $3::line_notify.message_state,"
		" error = $2, recipient = NULL,"
		" expires_at = clock_timestamp() WHERE id = ANY ($1)"
		" RETURNING state = $3::line_notify.message_state",
		.nargs = 3,
		.argtypes = {INT8ARRAYOID, TEXTOID, TEXTOID}
	};
	int64	   *ids = palloc(sizeof(int64) * n);
	Datum		args[3];

	for (int i = 0; i < n; i++)
		ids[i] = rows[i].id;
	args[0] = ln_sql_int8_array(ids, n);
	args[1] = CStringGetTextDatum(why);
	args[2] = CStringGetTextDatum(state);
	move_locked(&st, args, n);
	for (int i = 0; i < n; i++)
		ln_trace("stopped", INT64_FORMAT " %s", ids[i], state);
}

void
ln_outbox_suppress(const LnMessage *rows, int n, const char *why)
{
	end_locked(rows, n, "suppressed", why);
}

void
ln_outbox_reject(const LnMessage *rows, int n, const char *why)
{
	end_locked(rows, n, "invalid", why);
}
