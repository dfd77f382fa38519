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

/*
 * Single messages that somebody gave an earlier time.  One whose row has
 * another time by now, or is gone, needs nothing.  Not due before now: claims
 * have passed what was due until then (base/lane.h).  The note is locked
 * before the row, and nobody is waited for: who moves a message has its row
 * locked when he deletes the note.
 */
static int
unblock_by_id(Datum limit)
{
	static LnStatement st = {
		.name = "unblock: by id",
		.sql =
		"WITH r AS MATERIALIZED ("
		"  SELECT u.seq, u.id, u.due_at FROM line_notify.unblock u"
		"  WHERE u.order_key IS NULL AND u.id IS NOT NULL"
		" AND u.standbys = '{}'"
		"  ORDER BY u.id, u.seq LIMIT $1 FOR UPDATE SKIP LOCKED),"
		" w AS MATERIALIZED ("
		"  SELECT o.id, r.due_at FROM r JOIN line_notify.outbox o"
		" ON o.id = r.id AND o.due_at > r.due_at AND o.state = 'queued'"
		"  WHERE (SELECT true FROM line_notify.in_flight f"
		" WHERE f.id = o.id) IS NULL),"
		" l AS MATERIALIZED ("
		"  SELECT o.id FROM line_notify.outbox o WHERE o.id"
		" = ANY (ARRAY(SELECT w.id FROM w)) FOR UPDATE SKIP LOCKED),"
		" d AS (DELETE FROM line_notify.unblock x WHERE x.seq = ANY (ARRAY("
		"  SELECT r.seq FROM r WHERE r.id IN (SELECT l.id FROM l)"
		" OR r.id NOT IN (SELECT w.id FROM w)))),"
		" u AS (UPDATE line_notify.outbox o SET due_at = greatest(w.due_at,"
		" clock_timestamp())"
		" FROM w WHERE o.id = w.id AND w.id IN (SELECT l.id FROM l)"
		" RETURNING o.id, o.channel, o.lane,"
		" CASE WHEN o.due_at <= greatest(w.due_at, clock_timestamp())"
		" THEN o.due_at END AS due_at)"
		" SELECT w.id, u.channel, u.lane, u.due_at, w.due_at"
		" FROM w LEFT JOIN u USING (id)"
		" WHERE w.id IN (SELECT l.id FROM l)",
		.nargs = 1,
		.argtypes = {INT4OID}
	};

	return (int) ln_sql_run(&st, &limit, NULL, SPI_OK_SELECT);
}

/*
 * The first message of each order_key that was let go, if it was blocked.  A
 * row that somebody has locked keeps its note, for the next time.
 */
static int
unblock_by_key(Datum limit)
{
	static LnStatement st = {
		.name = "unblock: by key",
		.sql =
		"WITH r AS MATERIALIZED ("
		"  SELECT r.seq, h.id, h.due_at FROM line_notify.unblock r"
		" LEFT JOIN LATERAL ("
		"   SELECT o.id, o.due_at FROM line_notify.outbox o"
		"   WHERE o.channel = r.channel AND o.order_key = r.order_key"
		" AND o.state = 'queued'"
		"   ORDER BY o.id LIMIT 1) h ON true"
		"  WHERE r.order_key IS NOT NULL ORDER BY r.seq LIMIT $1),"
		" l AS MATERIALIZED ("
		"  SELECT o.id FROM line_notify.outbox o"
		"  WHERE o.id = ANY (ARRAY(SELECT r.id FROM r"
		" WHERE r.due_at = 'infinity'))"
		"  FOR UPDATE SKIP LOCKED),"
		" d AS (DELETE FROM line_notify.unblock x WHERE x.seq = ANY (ARRAY("
		"  SELECT r.seq FROM r WHERE r.id IS NULL OR r.due_at < 'infinity'"
		" OR r.id IN (SELECT l.id FROM l)))),"
		" u AS (UPDATE line_notify.outbox o SET due_at = clock_timestamp()"
		" WHERE o.id = ANY (ARRAY(SELECT l.id FROM l))"
		" RETURNING o.id, o.channel, o.lane, nullif(o.due_at, 'infinity')"
		" AS due_at)"
		" SELECT l.id, u.channel, u.lane, u.due_at, clock_timestamp()"
		" FROM l LEFT JOIN u USING (id)",
		.nargs = 1,
		.argtypes = {INT4OID}
	};

	return (int) ln_sql_run(&st, &limit, NULL, SPI_OK_SELECT);
}

/* Row i of the last result: id, channel, lane and due_at. */
static void
add_lane(LnLaneRow *rows, int *nrows, int i)
{
	char	   *channel = ln_sql_text(i, 2);
	int			lane = ln_sql_int4(i, 3, 0);
	TimestampTz due = ln_sql_int8(i, 4, DT_NOBEGIN);
	LnLaneRow  *last = *nrows > 0 ? &rows[*nrows - 1] : NULL;

	if (last != NULL && last->lane == lane &&
		strcmp(last->channel, channel) == 0)
	{
		last->first_due = Min(last->first_due, due);
		return;
	}
	last = &rows[(*nrows)++];
	last->channel = channel;
	last->lane = lane;
	last->first_due = due;
}

/*
 * What the last statement let go: n rows, with the time each was to have.  One
 * that a trigger of the owner's keeps as it was, without due_at, is let go
 * unhindered: nobody would ever look at it again.
 */
static void
add_lanes(LnLaneRow *rows, int *nrows, int n)
{
	static LnStatement st = {
		.name = "unblock: kept",
		.sql =
		"UPDATE line_notify.outbox o"
		" SET due_at = greatest(k.due_at, clock_timestamp())"
		" FROM unnest($1, $2) k(id, due_at) WHERE o.id = k.id"
		" RETURNING o.id, o.channel, o.lane, o.due_at",
		.nargs = 2,
		.argtypes = {INT8ARRAYOID, TIMESTAMPTZARRAYOID}
	};
	int64	   *kept = palloc(sizeof(int64) * Max(n, 1));
	TimestampTz *due = palloc(sizeof(TimestampTz) * Max(n, 1));
	int			nkept = 0;

	for (int i = 0; i < n; i++)
		if (ln_sql_int8(i, 4, DT_NOEND) == DT_NOEND)
		{
			kept[nkept] = ln_sql_int8(i, 1, 0);
			due[nkept++] = ln_sql_int8(i, 5, DT_NOBEGIN);
		}
		else
			add_lane(rows, nrows, i);
	if (nkept > 0)
	{
		Datum		args[] = {
			ln_sql_int8_array(kept, nkept),
			ln_sql_timestamptz_array(due, nkept)
		};

		n = (int) ln_sql_run_unhindered(&st, args, NULL,
										SPI_OK_UPDATE_RETURNING);
		for (int i = 0; i < n; i++)
			add_lane(rows, nrows, i);
	}
	pfree(kept);
	pfree(due);
}

/*
 * Everything of a channel, also what will be blocked again.  In steps, lane
 * by lane in order of id.  Adds lanes to rows, which has room for all.
 */
static bool
unblock_by_lane(int limit, LnUnblockScan *scan, LnLaneRow *rows, int *nrows)
{
	static LnStatement next = {
		.name = "unblock: next",
		.sql =
		"SELECT r.seq, r.channel FROM line_notify.unblock r"
		" WHERE r.order_key IS NULL AND r.id IS NULL AND r.standbys = '{}'"
		" ORDER BY r.seq LIMIT 1",
		.nargs = 0
	};
	static LnStatement by_lane = {
		.name = "unblock: by lane",
		.sql =
		"WITH p AS MATERIALIZED (SELECT o.id FROM line_notify.outbox o"
		"  WHERE o.channel = $1 AND o.lane = $2 AND o.due_at = 'infinity'"
		" AND o.id > $3"
		"  AND o.state = 'queued' ORDER BY o.id LIMIT $4),"
		" l AS MATERIALIZED (SELECT o.id FROM line_notify.outbox o"
		"  WHERE o.id = ANY (ARRAY(SELECT p.id FROM p))"
		" AND o.due_at = 'infinity' AND o.state = 'queued'"
		" FOR UPDATE SKIP LOCKED),"
		/* what somebody has locked gets a note of its own */
		" n AS (INSERT INTO line_notify.unblock"
		" (channel, id, due_at, standbys)"
		"  SELECT $1, p.id, clock_timestamp(), '{}' FROM p"
		"  WHERE p.id NOT IN (SELECT l.id FROM l)),"
		" u AS (UPDATE line_notify.outbox o SET due_at = clock_timestamp()"
		" WHERE o.id = ANY (ARRAY(SELECT l.id FROM l))"
		" RETURNING o.id, o.channel, o.lane, nullif(o.due_at, 'infinity')"
		" AS due_at)"
		" SELECT p.id, $1, $2, CASE WHEN l.id IS NULL"
		" THEN clock_timestamp() ELSE u.due_at END, clock_timestamp()"
		" FROM p LEFT JOIN l USING (id) LEFT JOIN u USING (id)",
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
	char	   *channel;

	if (ln_sql_run(&next, NULL, NULL, SPI_OK_SELECT) == 0)
		return false;
	if (ln_sql_int8(0, 1, 0) != scan->seq)
	{
		scan->seq = ln_sql_int8(0, 1, 0);
		scan->lane = 0;
		scan->after = 0;
	}
	channel = ln_sql_text(0, 2);
	while (limit > 0 && scan->lane < LN_LANES)
	{
		Datum		args[] = {
			CStringGetTextDatum(channel), Int16GetDatum(scan->lane),
			Int64GetDatum(scan->after), Int32GetDatum(limit)
		};
		int			m = (int) ln_sql_run(&by_lane, args, NULL,
										 SPI_OK_SELECT);

		for (int i = 0; i < m; i++)
			scan->after = Max(scan->after, ln_sql_int8(i, 1, 0));
		add_lanes(rows, nrows, m);
		if (m < limit)
		{
			scan->lane++;
			scan->after = 0;
		}
		limit -= m;
	}
	if (scan->lane == LN_LANES)
	{
		Datum		arg = Int64GetDatum(scan->seq);

		(void) ln_sql_run(&done, &arg, NULL, SPI_OK_DELETE);
	}
	return true;
}

static bool
freed_by_hand(void)
{
	static LnStatement st = {
		.name = "unblock: by hand",
		.sql =
		"SELECT FROM line_notify.unblock u WHERE u.order_key IS NULL LIMIT 1",
		.nargs = 0
	};

	return ln_sql_run(&st, NULL, NULL, SPI_OK_SELECT) > 0;
}

/*
 * What somebody freed by hand: do the standbys know?  Returns whether there is
 * any such note.
 */
static bool
tell_standbys(int grace_s, bool *untold)
{
	static LnStatement tell = {
		.name = "unblock: tell standbys",
		.sql =
		"SELECT line_notify._tell_standbys($1 * interval '1 second')",
		.nargs = 1,
		.argtypes = {INT4OID}
	};
	Datum		arg = Int32GetDatum(grace_s);

	*untold = false;
	if (!freed_by_hand())
		return false;
	(void) ln_sql_run(&tell, &arg, NULL, SPI_OK_SELECT);
	*untold = ln_sql_bool(0, 1);
	return true;
}

LnNotesLeft
ln_outbox_unblock(int limit, int grace_s, LnUnblockScan *scan,
				  LnLaneRow **rows, int *nrows)
{
	static LnStatement left = {
		.name = "unblock: left",
		.sql =
		"SELECT r.seq FROM line_notify.unblock r WHERE r.order_key IS NOT NULL"
		" ORDER BY r.seq LIMIT 1",
		.nargs = 0
	};
	LnNotesLeft notes = LN_NOTES_NONE;
	bool		untold;
	bool		by_hand = tell_standbys(grace_s, &untold);
	int			n;

	*rows = palloc0(sizeof(LnLaneRow) * 3 * limit);
	*nrows = 0;
	if (by_hand)
	{
		n = unblock_by_id(Int32GetDatum(limit));
		add_lanes(*rows, nrows, n);
		if (n > 0)
			notes = LN_NOTES_LEFT;
		else if (untold)
			notes = LN_NOTES_UNTOLD;
	}

	n = unblock_by_key(Int32GetDatum(limit));
	add_lanes(*rows, nrows, n);
	if (ln_sql_run(&left, NULL, NULL, SPI_OK_SELECT) > 0)
	{
		int64		oldest = ln_sql_int8(0, 1, 0);
		bool		stuck = n == 0 && oldest == scan->oldest;

		scan->oldest = oldest;
		if (!stuck)
			return LN_NOTES_LEFT;	/* those first: they are few */
		notes = Max(notes, LN_NOTES_LOCKED);
	}

	if (by_hand && unblock_by_lane(limit, scan, *rows, nrows))
		notes = LN_NOTES_LEFT;
	if (by_hand && notes == LN_NOTES_NONE && freed_by_hand())
		notes = LN_NOTES_LOCKED;
	return notes;
}
