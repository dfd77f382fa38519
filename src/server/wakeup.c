/*-------------------------------------------------------------------------
 *
 * wakeup.c
 *		Tell the worker of this database at COMMIT that there is work.
 *
 * Not by NOTIFY, whose commit takes a lock that the whole cluster shares, and
 * not by polling: a commit callback sets the worker's latch, or leaves a note
 * where the channel is paused (as long as no open one has the same bit: with
 * dozens of open channels it wakes the worker all the same).  The callback is
 * registered once per backend (callbacks are never forgotten by the server, so
 * one per transaction would grow without bound) and works on a few static
 * variables.  A rolled-back savepoint may wake for nothing; that is harmless.
 * Its rows are not counted, though: the count decides (the fuse of the
 * transaction, whether wait_for() can ever return).
 *
 * PREPARE TRANSACTION moves the rows out of this backend's hands; whoever runs
 * COMMIT PREPARED wakes the worker, see hooks.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "server/shmem.h"
#include "server/wakeup.h"

static bool registered = false;

/* of the current transaction */
static uint32 pending_work = 0;
static bool pending_at_end = false;
static bool holding = false;	/* workers stay away until it ends */
static uint64 pending_lanes = 0;
static uint64 pending_channels = 0;
static TimestampTz pending_expiry = DT_NOEND;	/* the first of its rows */
static int64 pending_rows = 0;
static Oid	pending_database = InvalidOid;	/* a new one */

/*
 * Subtransactions that queued rows, the innermost first; in
 * TopTransactionContext.
 */
typedef struct RowLevel
{
	struct RowLevel *outer;
	int			nest;
	int64		rows_before;
} RowLevel;

static RowLevel *levels = NULL;

static void
forget(void)
{
	levels = NULL;
	pending_work = 0;
	pending_at_end = false;
	holding = false;
	pending_lanes = 0;
	pending_channels = 0;
	pending_expiry = DT_NOEND;
	pending_rows = 0;
	pending_database = InvalidOid;
}

static void
wake(void)
{
	uint32		work =
	pending_work | (pending_at_end ? LN_WORK_RESCAN : 0);

	/* of a paused channel nothing is due before it expires */
	if (work != LN_WORK_OUTBOX ||
		!ln_shmem_note_quietly(MyDatabaseId, pending_lanes, pending_channels,
							   pending_expiry))
		ln_shmem_wake(MyDatabaseId, work, pending_lanes, pending_channels);
}

static void
wakeup_xact_callback(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
			if (holding)
				ln_shmem_end_hold(InvalidOid);
			if (pending_work != 0 || pending_at_end)
				wake();
			if (OidIsValid(pending_database))
				ln_shmem_wake(pending_database, LN_WORK_ALL, 0, 0);
			/* an operator may have ended messages */
			if (pending_at_end)
				ln_shmem_ended(LN_ENDINGS_ALL);
			forget();
			break;
		case XACT_EVENT_ABORT:
			if (holding)
				ln_shmem_end_hold(InvalidOid);
			if (pending_at_end)
				ln_shmem_wake(MyDatabaseId, LN_WORK_RESCAN, 0, 0);
			forget();
			break;
		case XACT_EVENT_PREPARE:
			if (holding)
				ln_shmem_end_hold(InvalidOid);
			forget();
			break;
		default:
			break;
	}
}

static void
wakeup_subxact_callback(SubXactEvent event, SubTransactionId mySubid,
						SubTransactionId parentSubid, void *arg)
{
	int			nest = GetCurrentTransactionNestLevel();

	if (levels == NULL || levels->nest < nest)
		return;
	if (event == SUBXACT_EVENT_COMMIT_SUB)
	{
		/* its rows are the parent's now */
		if (nest == 2 ||
			(levels->outer != NULL && levels->outer->nest == nest - 1))
			levels = levels->outer;
		else
			levels->nest = nest - 1;
	}
	else if (event == SUBXACT_EVENT_ABORT_SUB)
	{
		pending_rows = levels->rows_before;
		levels = levels->outer;
	}
}

static void
ensure_registered(void)
{
	if (registered)
		return;
	RegisterSubXactCallback(wakeup_subxact_callback, NULL);
	RegisterXactCallback(wakeup_xact_callback, NULL);
	registered = true;
}

void
ln_wakeup_at_commit(uint32 work)
{
	ensure_registered();
	pending_work |= work;
}

void
ln_wakeup_new_database(Oid database)
{
	ensure_registered();
	pending_database = database;
}

void
ln_wakeup_hold_until_end(void)
{
	ensure_registered();
	holding = true;
}

void
ln_wakeup_at_end(void)
{
	ensure_registered();
	pending_at_end = true;
}

void
ln_wakeup_for_row(const char *channel, int lane, TimestampTz expires_at)
{
	ensure_registered();
	pending_work |= LN_WORK_OUTBOX;
	pending_lanes |= UINT64CONST(1) << lane;
	pending_channels |= ln_shmem_channel_bit(channel);
	pending_expiry = Min(pending_expiry, expires_at);
}

bool
ln_wakeup_rows_pending(void)
{
	return pending_rows > 0;
}

int64
ln_wakeup_count_row(void)
{
	int			nest = GetCurrentTransactionNestLevel();

	ensure_registered();
	if (nest > 1 && (levels == NULL || levels->nest < nest))
	{
		RowLevel   *level =
		MemoryContextAlloc(TopTransactionContext, sizeof(RowLevel));

		level->outer = levels;
		level->nest = nest;
		level->rows_before = pending_rows;
		levels = level;
	}
	return ++pending_rows;
}
