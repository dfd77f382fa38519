/*-------------------------------------------------------------------------
 *
 * outbox_unblock.c
 *		Blocked messages may go on: what an order_key or a pause held back.
 *
 * The trigger line_notify._note_unblock() writes notes; the worker reads them
 * under the claim lock.
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

void
ln_outbox_note_unblock(const char *channel, const char *order_key)
{
	static LnStatement st = {
		.name = "note unblock",
		.sql =
		"INSERT INTO line_notify.unblock (channel, order_key) VALUES ($1, $2)",
		.nargs = 2,
		.argtypes = {TEXTOID, TEXTOID}
	};
	Datum		args[2] = {CStringGetTextDatum(channel), (Datum) 0};

	if (order_key != NULL)
		args[1] = CStringGetTextDatum(order_key);
	(void) ln_sql_run(&st, args, order_key != NULL ? "  " : " n",
					  SPI_OK_INSERT);
}

bool
ln_outbox_unblock(int limit, LnUnblockScan *scan, LnLaneRow **rows,
				  int *nrows, bool *stuck)
{
	/*
	 * The first message of each order_key that was let go, if it was set
	 * aside.  A row that somebody has locked keeps its note, for the next
	 * time.
	 */
	static LnStatement by_key = {
		.name = "unblock: by key",
		.sql =
		"WITH r AS MATERIALIZED ("
		"  SELECT r.seq, h.id, h.due_at FROM line_notify.unblock r LEFT JOIN LATERAL ("
		"   SELECT o.id, o.due_at FROM line_notify.outbox o"
		"   WHERE o.channel = r.channel AND o.order_key = r.order_key AND o.state = 'queued'"
		"   ORDER BY o.id LIMIT 1) h ON true"
		"  WHERE r.order_key IS NOT NULL ORDER BY r.seq LIMIT $1),"
		" l AS MATERIALIZED ("
		"  SELECT o.id FROM line_notify.outbox o"
		"  WHERE o.id = ANY (ARRAY(SELECT r.id FROM r WHERE r.due_at = 'infinity'))"
		"  FOR UPDATE SKIP LOCKED),"
		" d AS (DELETE FROM line_notify.unblock x WHERE x.seq = ANY (ARRAY("
		"  SELECT r.seq FROM r WHERE r.id IS NULL OR r.due_at < 'infinity' OR r.id IN (SELECT l.id FROM l))))"
		" UPDATE line_notify.outbox o SET due_at = clock_timestamp()"
		" WHERE o.id = ANY (ARRAY(SELECT l.id FROM l))"
		" RETURNING o.channel, o.lane",
		.nargs = 1,
		.argtypes = {INT4OID}
	};
	static LnStatement left = {
		.name = "unblock: left",
		.sql =
		"SELECT r.seq FROM line_notify.unblock r WHERE r.order_key IS NOT NULL ORDER BY r.seq LIMIT 1",
		.nargs = 0
	};

	/*
	 * Everything of a channel, also what will be set aside again.  In steps,
	 * lane by lane in order of id.
	 */
	static LnStatement next = {
		.name = "unblock: next",
		.sql =
		"SELECT r.seq, r.channel FROM line_notify.unblock r WHERE r.order_key IS NULL ORDER BY r.seq LIMIT 1",
		.nargs = 0
	};
	static LnStatement by_lane = {
		.name = "unblock: by lane",
		.sql =
		"UPDATE line_notify.outbox o SET due_at = clock_timestamp()"
		" WHERE o.id = ANY (ARRAY(SELECT p.id FROM line_notify.outbox p"
		"  WHERE p.channel = $1 AND p.lane = $2 AND p.due_at = 'infinity' AND p.id > $3"
		"  AND p.state = 'queued' ORDER BY p.id LIMIT $4 FOR UPDATE SKIP LOCKED))"
		" RETURNING o.id",
		.nargs = 4,
		.argtypes = {TEXTOID, INT2OID, INT8OID, INT4OID}
	};
	static LnStatement done = {
		.name = "unblock: done",
		.sql =
		"DELETE FROM line_notify.unblock WHERE seq = $1",
		.nargs = 1,
		.argtypes = {INT8OID}
	};
	Datum		arg = Int32GetDatum(limit);
	LnLaneRow  *list;
	int			n;

	n = (int) ln_sql_run(&by_key, &arg, NULL, SPI_OK_UPDATE_RETURNING);
	list = palloc0(sizeof(LnLaneRow) * (n + LN_LANES));
	for (int i = 0; i < n; i++)
	{
		list[i].channel = ln_sql_text(i, 1);
		list[i].lane = ln_sql_int4(i, 2, 0);
	}
	*rows = list;
	*nrows = n;
	*stuck = false;
	if (ln_sql_run(&left, NULL, NULL, SPI_OK_SELECT) > 0)
	{
		int64		oldest = ln_sql_int8(0, 1, 0);

		*stuck = n == 0 && oldest == scan->oldest;
		scan->oldest = oldest;
		if (!*stuck)
			return true;		/* those first: they are few */
	}

	if (ln_sql_run(&next, NULL, NULL, SPI_OK_SELECT) == 0)
		return *stuck;
	*stuck = false;
	if (ln_sql_int8(0, 1, 0) != scan->seq)
	{
		scan->seq = ln_sql_int8(0, 1, 0);
		scan->lane = 0;
		scan->after = 0;
	}
	{
		char	   *channel = ln_sql_text(0, 2);
		int			budget = limit;

		while (budget > 0 && scan->lane < LN_LANES)
		{
			Datum		args[] = {
				CStringGetTextDatum(channel), Int16GetDatum(scan->lane),
				Int64GetDatum(scan->after), Int32GetDatum(budget)
			};
			int			m = (int) ln_sql_run(&by_lane, args, NULL,
											 SPI_OK_UPDATE_RETURNING);

			for (int i = 0; i < m; i++)
				scan->after = Max(scan->after, ln_sql_int8(i, 1, 0));
			if (m > 0)
			{
				list[*nrows].channel = channel;
				list[(*nrows)++].lane = scan->lane;
			}
			if (m < budget)
			{
				scan->lane++;
				scan->after = 0;
			}
			budget -= m;
		}
		if (scan->lane == LN_LANES)
		{
			arg = Int64GetDatum(scan->seq);
			(void) ln_sql_run(&done, &arg, NULL, SPI_OK_DELETE);
		}
	}
	return true;
}
