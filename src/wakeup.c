/*-------------------------------------------------------------------------
 *
 * wakeup.c
 *		Tell the worker of this database at COMMIT that there is work.
 *
 * Not by NOTIFY, whose commit takes a lock that the whole cluster shares, and
 * not by polling: a commit callback sets the worker's latch.  The callback is
 * registered once per backend (callbacks are never forgotten by the server, so
 * one per transaction would grow without bound) and works on a few static
 * variables.  A rolled-back savepoint may wake for nothing; that is harmless.
 *
 * PREPARE TRANSACTION moves the rows out of this backend's hands; whoever runs
 * COMMIT PREPARED wakes the worker, see hooks.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"

#include "shmem.h"
#include "wakeup.h"

static bool registered = false;

/* of the current transaction */
static uint32 pending_work = 0;
static bool pending_at_end = false;
static uint64 pending_lanes = 0;
static uint64 pending_channels = 0;
static int64 pending_rows = 0;

static void
forget(void)
{
	pending_work = 0;
	pending_at_end = false;
	pending_lanes = 0;
	pending_channels = 0;
	pending_rows = 0;
}

static void
wakeup_xact_callback(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
			if (pending_work != 0 || pending_at_end)
				ln_shmem_wake(MyDatabaseId,
							  pending_work | (pending_at_end ? LN_WORK_RESCAN : 0),
							  pending_lanes, pending_channels);
			/* a verb may have ended messages */
			if (pending_at_end)
				ln_shmem_ended(LN_ENDINGS_ALL);
			forget();
			break;
		case XACT_EVENT_ABORT:
			if (pending_at_end)
				ln_shmem_wake(MyDatabaseId, LN_WORK_RESCAN, 0, 0);
			forget();
			break;
		case XACT_EVENT_PREPARE:
			forget();
			break;
		default:
			break;
	}
}

static void
ensure_registered(void)
{
	if (registered)
		return;
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
ln_wakeup_at_end(void)
{
	ensure_registered();
	pending_at_end = true;
}

void
ln_wakeup_for_row(const char *channel, int lane)
{
	ensure_registered();
	pending_work |= LN_WORK_OUTBOX;
	pending_lanes |= UINT64CONST(1) << lane;
	pending_channels |= ln_shmem_channel_bit(channel);
}

bool
ln_wakeup_rows_pending(void)
{
	return pending_rows > 0;
}

int64
ln_wakeup_count_row(void)
{
	ensure_registered();
	return ++pending_rows;
}
