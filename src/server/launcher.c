/*-------------------------------------------------------------------------
 *
 * launcher.c
 *		The process that starts a worker in every database that needs one.
 *
 * It is connected to no database (shared catalogues only), so no database is
 * blocked by it, and no setting names databases: when the server starts, each
 * one that accepts connections and is no template is probed by a worker that
 * leaves at once where the extension is missing.  From then on commits tell:
 * CREATE EXTENSION, INSERT and friends take a slot and set the launcher's
 * latch.
 *
 * Workers are BGW_NEVER_RESTART: the launcher restarts them, with a back-off
 * that a minute of healthy life resets, so that a broken database costs little
 * and the others nothing.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "guc.h"
#include "server/clock.h"
#include "server/identity.h"
#include "server/launcher.h"
#include "server/shmem.h"

/*
 * Probing workers at once: a server with 500 databases shall not lose all its
 * worker slots at start.
 */
#define MAX_STARTING		4

/* A worker that has not attached after this long never will (ms). */
#define START_TIMEOUT		30000

/* Look for databases without a place no more often than this (ms). */
#define SCAN_GAP			60000

/*
 * Look for a free worker slot again after this long (ms), or when one of ours
 * ends.
 */
#define NO_WORKER_RETRY		5000
#define NO_WORKER_ERROR		"no free background worker slot"

/*
 * Databases that may not be connected to, or are templates, are looked at so
 * often (ms): nobody tells when that ends.
 */
#define CLOSED_RETRY		3000

typedef struct OidList
{
	Oid		   *oids;			/* as long as the launcher */
	int			n;
	int			capacity;
} OidList;

static OidList to_probe;		/* databases still to be probed */
static OidList closed;			/* not to be connected to, or templates */
static OidList closed_before;	/* to be looked at again */

static MemoryContext launcher_context;

/*
 * Handles of the workers we started, by slot: they tell of one that never
 * attached.
 */
static BackgroundWorkerHandle **handles;

static int	clock_watch;

static void wait(long timeout, uint32 wait_event);
static void launcher_exit(int code, Datum arg);
static void wake_idle(void);
static void list_databases(void);
static void look_at_closed(void);
static void place_databases(void);
static long start_workers(void);
static void call_idle(void);
static bool stopped(int slotno);
static void back_off(LnSlot *slot, TimestampTz now, const char *error);
static bool database_exists(Oid database);

void
ln_launcher_register(void)
{
	BackgroundWorker worker;

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags =
		BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	/* a standby sends nothing; promotion starts us */
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = 5;
	strlcpy(worker.bgw_library_name, "line_notify", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "ln_launcher_main", BGW_MAXLEN);
	strlcpy(worker.bgw_name, "line_notify launcher", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "line_notify launcher", BGW_MAXLEN);
	RegisterBackgroundWorker(&worker);
}

void
ln_launcher_main(Datum arg)
{
	uint32		wait_event;
	bool		scan_wanted = false;
	TimestampTz last_scan = 0;
	TimestampTz last_look = 0;
	int64		ahead = 0;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);

	before_shmem_exit(launcher_exit, (Datum) 0);
	LWLockAcquire(ln_shared->lock, LW_EXCLUSIVE);
	ln_shared->launcher_pid = MyProcPid;
	ln_shared->launcher_procno = ln_shmem_my_procno();
	ln_shared->scan_databases = true;
	LWLockRelease(ln_shared->lock);
	ln_identity_begin();

	launcher_context =
		AllocSetContextCreate(TopMemoryContext, "line_notify launcher",
							  ALLOCSET_DEFAULT_SIZES);
	handles = MemoryContextAllocZero(TopMemoryContext,
									 sizeof(BackgroundWorkerHandle *) *
									 ln_shared->nslots);
	clock_watch = ln_clock_watch();
	wait_event = LnWaitEvent("LineNotifyLauncherMain");
	ereport(LOG, (errmsg("delivery launcher started")));
	pgstat_report_activity(STATE_IDLE, NULL);

	for (;;)
	{
		long		timeout;
		bool		scan;

		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
			wake_idle();
		}
		if (ln_clock_set_back(GetCurrentTimestamp(), &ahead) > 0)
		{
			/* all of these times are of the clock as it was before */
			last_scan = last_look = 0;
			wake_idle();
		}
		ln_identity_step();

		LWLockAcquire(ln_shared->lock, LW_EXCLUSIVE);
		scan = ln_shared->scan_databases;
		ln_shared->scan_databases = false;
		LWLockRelease(ln_shared->lock);

		/*
		 * asked for by databases that found no place: not for each of their
		 * commits
		 */
		scan_wanted = scan_wanted || scan;
		if (scan_wanted &&
			TimestampDifferenceExceeds(last_scan, GetCurrentTimestamp(),
									   SCAN_GAP))
		{
			list_databases();
			scan_wanted = false;
			last_scan = GetCurrentTimestamp();
		}
		if (closed.n > 0 &&
			TimestampDifferenceExceeds(last_look, GetCurrentTimestamp(),
									   CLOSED_RETRY))
		{
			look_at_closed();
			last_look = GetCurrentTimestamp();
		}
		place_databases();

		timeout = start_workers();
		if (closed.n > 0)
			timeout = timeout < 0 ? CLOSED_RETRY : Min(timeout, CLOSED_RETRY);
		MemoryContextReset(launcher_context);

		wait(timeout, wait_event);
	}
}

/*
 * Until the latch is set, somebody asks who holds the place of this server,
 * the clock is set, or so long (ms; -1 = whatever it takes).
 */
static void
wait(long timeout, uint32 wait_event)
{
	WaitEventSet *events = LnCreateWaitEventSet(4);
	WaitEvent	event;

	AddWaitEventToSet(events, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(events, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL,
					  NULL);
	if (ln_identity_socket() >= 0)
		AddWaitEventToSet(events, WL_SOCKET_READABLE, ln_identity_socket(),
						  NULL, NULL);
	if (clock_watch >= 0)
		AddWaitEventToSet(events, WL_SOCKET_READABLE, clock_watch, NULL,
						  NULL);
	if (WaitEventSetWait(events, timeout, &event, 1, wait_event) > 0 &&
		event.events == WL_SOCKET_READABLE && event.fd == clock_watch)
		ln_clock_seen(clock_watch);
	FreeWaitEventSet(events);
}

static void
launcher_exit(int code, Datum arg)
{
	LWLockAcquire(ln_shared->lock, LW_EXCLUSIVE);
	if (ln_shared->launcher_pid == MyProcPid)
		ln_shared->launcher_pid = 0;
	LWLockRelease(ln_shared->lock);
}

/*
 * Settings changed: the kill switch, the name of the node, files of secrets;
 * or the clock was set back, so that what is due is due earlier than they
 * said.  Workers that left because there was nothing to do have another look.
 */
static void
wake_idle(void)
{
	LWLockAcquire(ln_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < ln_shared->nslots; i++)
	{
		if (ln_shared->slots[i].state == LN_SLOT_IDLE)
			ln_shared->slots[i].state = LN_SLOT_WANTED;
	}
	LWLockRelease(ln_shared->lock);
}

/*
 * A database waits for a worker, and the server has no process for one more:
 * workers that have nothing to do leave.
 */
static void
call_idle(void)
{
	LWLockAcquire(ln_shared->lock, LW_EXCLUSIVE);
	ln_shared->worker_wanted = true;
	ln_shmem_wake_running();
	LWLockRelease(ln_shared->lock);
}

/* Calls visit for each row of pg_database, in a transaction of its own. */
static void
scan_pg_database(bool (*visit) (Form_pg_database row, void *arg), void *arg)
{
	Relation	rel;
	TableScanDesc scan;
	HeapTuple	tuple;

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	rel = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(rel, 0, NULL);
	while (HeapTupleIsValid(tuple = heap_getnext(scan, ForwardScanDirection)))
	{
		if (!visit((Form_pg_database) GETSTRUCT(tuple), arg))
			break;
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	CommitTransactionCommand();
}

static bool
is_candidate(Form_pg_database row)
{
	return row->datallowconn && !row->datistemplate &&
		row->datconnlimit != DATCONNLIMIT_INVALID_DB;
}

static void
note(OidList *list, Oid database)
{
	for (int i = 0; i < list->n; i++)
		if (list->oids[i] == database)
			return;
	if (list->n == list->capacity)
	{
		list->capacity = Max(64, list->capacity * 2);
		list->oids = list->oids == NULL
			? MemoryContextAlloc(TopMemoryContext,
								 sizeof(Oid) * list->capacity)
			: repalloc(list->oids, sizeof(Oid) * list->capacity);
	}
	list->oids[list->n++] = database;
}

/*
 * The templates that initdb made are closed for good.  The rest may be opened
 * again, and then has messages that nobody would wake us for.
 */
static bool
note_candidate(Form_pg_database row, void *arg)
{
	if (is_candidate(row))
		note(&to_probe, row->oid);
	else if (row->oid >= FirstNormalObjectId || row->oid == PostgresDbOid)
		note(&closed, row->oid);
	return true;
}

/* Note all databases; each is probed once, when there is a place for it. */
static void
list_databases(void)
{
	to_probe.n = closed.n = 0;
	scan_pg_database(note_candidate, NULL);
}

static bool
note_opened(Form_pg_database row, void *arg)
{
	for (int i = 0; i < closed_before.n; i++)
		if (closed_before.oids[i] == row->oid)
			return note_candidate(row, arg);
	return true;
}

/* Which of the closed databases have been opened, or dropped? */
static void
look_at_closed(void)
{
	OidList		swap = closed_before;

	closed_before = closed;
	closed = swap;
	closed.n = 0;
	scan_pg_database(note_opened, NULL);
}

/*
 * Give places to databases that are still to be probed.  When all are taken,
 * the rest waits: a prober that leaves frees its place and wakes us.
 */
static void
place_databases(void)
{
	LWLockAcquire(ln_shared->lock, LW_EXCLUSIVE);
	while (to_probe.n > 0 &&
		   ln_shmem_find_or_make(to_probe.oids[to_probe.n - 1]) != NULL)
		to_probe.n--;
	LWLockRelease(ln_shared->lock);
}

typedef struct FindDatabase
{
	Oid			oid;
	bool		found;			/* it may be connected to */
	bool		closed;			/* it is there, and may not */
} FindDatabase;

static bool
find_database(Form_pg_database row, void *arg)
{
	FindDatabase *find = (FindDatabase *) arg;

	if (row->oid != find->oid)
		return true;
	find->found = is_candidate(row);
	find->closed = !find->found;
	return false;
}

static bool
database_exists(Oid database)
{
	FindDatabase find = {database, false, false};

	scan_pg_database(find_database, &find);
	if (find.closed)
		note(&closed, database);
	return find.found;
}

/* Has the worker last started for a slot ended?  False when we cannot know. */
static bool
stopped(int slotno)
{
	pid_t		pid;

	return handles[slotno] != NULL &&
		GetBackgroundWorkerPid(handles[slotno], &pid) == BGWH_STOPPED;
}

/*
 * The worker of a slot failed: try again, later each time.  Caller holds the
 * lock exclusively.
 */
static void
back_off(LnSlot *slot, TimestampTz now, const char *error)
{
	slot->state = LN_SLOT_BACKOFF;
	slot->failures++;
	slot->restart_at =
		TimestampTzPlusMilliseconds(now, ln_shmem_backoff_ms(slot->failures));
	strlcpy(slot->last_error, error, sizeof(slot->last_error));
}

/*
 * Start what is wanted and due.  Returns the milliseconds until the next thing
 * to do, -1 = only a latch will tell.
 */
static long
start_workers(void)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz wake = DT_NOEND;
	int			starting = 0;
	bool		left;

	/* a process has ended: there may be a place for another */
	LWLockAcquire(ln_shared->lock, LW_EXCLUSIVE);
	left = ln_shared->worker_left;
	ln_shared->worker_left = ln_shared->worker_wanted = false;
	LWLockRelease(ln_shared->lock);

	for (int i = 0; i < ln_shared->nslots; i++)
	{
		LnSlot	   *slot = &ln_shared->slots[i];
		BackgroundWorker worker;
		bool		start = false;
		bool		gone;
		bool		ended = stopped(i);
		bool		complain = false;
		bool		no_worker = false;
		Oid			database = InvalidOid;

		LWLockAcquire(ln_shared->lock, LW_EXCLUSIVE);
		if (slot->state != LN_SLOT_FREE && slot->hold_pid != 0 &&
			BackendPidGetProc(slot->hold_pid) == NULL)
			slot->hold_pid = 0; /* the holder died without releasing */
		if (ended && slot->state == LN_SLOT_RUNNING)
		{
			/* it could not say goodbye */
			slot->pid = 0;
			slot->procno = -1;
			back_off(slot, now, "worker exited unexpectedly");
		}
		switch (slot->state)
		{
			case LN_SLOT_FREE:
			case LN_SLOT_RUNNING:
				break;
			case LN_SLOT_STARTING:
				if (!ended &&
					now < TimestampTzPlusMilliseconds(slot->started_at,
													  START_TIMEOUT))
				{
					starting++;
					wake =
						Min(wake, TimestampTzPlusMilliseconds(slot->started_at,
															  START_TIMEOUT));
					break;
				}
				back_off(slot, now,
						 "worker did not start, see the server log");
				if (slot->hold_pid != 0)
					slot->state = LN_SLOT_HELD;
				wake = Min(wake, slot->restart_at);
				break;
			case LN_SLOT_HELD:
				if (slot->hold_pid == 0)
					start = true;
				else
				{
					/* watch over the holder */
					wake = Min(wake, TimestampTzPlusMilliseconds(now, 1000));
				}
				break;
			case LN_SLOT_WANTED:
				start = slot->hold_pid == 0;
				break;
			case LN_SLOT_IDLE:
				if (slot->next_due <= now)
					start = true;
				else
					wake = Min(wake, slot->next_due);
				break;
			case LN_SLOT_NO_WORKER:
				if (left)
					slot->restart_at = now;
				/* FALLTHROUGH */
			case LN_SLOT_BACKOFF:
				/* no back-off is so long: the clock was set back */
				if (slot->restart_at <= now ||
					TimestampTzPlusMilliseconds(now, LN_LONGEST_BACKOFF) <
					slot->restart_at)
					start = true;
				else
					wake = Min(wake, slot->restart_at);
				break;
		}
		if (slot->pid != 0 || slot->hold_pid != 0)
			start = false;		/* the last one has not quite left, and wakes
								 * us then; or its place is claimed */
		if (start && starting >= MAX_STARTING)
			start = false;		/* a worker that attaches or leaves wakes us */
		if (start)
		{
			slot->state = LN_SLOT_STARTING;
			slot->started_at = now;
			slot->generation++;
			database = slot->database;
			memset(&worker, 0, sizeof(worker));
			worker.bgw_main_arg = Int32GetDatum(i);
			memcpy(worker.bgw_extra, &slot->generation, sizeof(uint32));
		}
		LWLockRelease(ln_shared->lock);
		if (!start)
			continue;

		gone = !database_exists(database);
		if (!gone)
		{
			MemoryContext old;
			bool		registered;

			worker.bgw_flags =
				BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
			worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
			worker.bgw_restart_time = BGW_NEVER_RESTART;
			worker.bgw_notify_pid = MyProcPid;
			strlcpy(worker.bgw_library_name, "line_notify", BGW_MAXLEN);
			strlcpy(worker.bgw_function_name, "ln_worker_main", BGW_MAXLEN);
			snprintf(worker.bgw_name, BGW_MAXLEN,
					 "line_notify worker for database %u", database);
			strlcpy(worker.bgw_type, "line_notify worker", BGW_MAXLEN);
			if (handles[i] != NULL)
				pfree(handles[i]);
			handles[i] = NULL;
			old = MemoryContextSwitchTo(TopMemoryContext);
			registered = RegisterDynamicBackgroundWorker(&worker, &handles[i]);
			MemoryContextSwitchTo(old);
			if (registered)
			{
				starting++;
				wake =
					Min(wake, TimestampTzPlusMilliseconds(now, START_TIMEOUT));
				continue;
			}
		}

		if (gone)
			ln_shmem_stats_keep(database, NULL, 0);
		LWLockAcquire(ln_shared->lock, LW_EXCLUSIVE);
		if (slot->state == LN_SLOT_STARTING && slot->pid == 0)
		{
			if (gone)
				slot->state = LN_SLOT_FREE;
			else if (starting > 0)
			{
				/* our own probers have the slots for a moment; they wake us */
				slot->state =
					slot->hold_pid != 0 ? LN_SLOT_HELD : LN_SLOT_WANTED;
			}
			else
			{
				/* once, not every five seconds */
				complain = strcmp(slot->last_error, NO_WORKER_ERROR) != 0;
				slot->state =
					slot->hold_pid != 0 ? LN_SLOT_HELD : LN_SLOT_NO_WORKER;
				slot->restart_at =
					TimestampTzPlusMilliseconds(now, NO_WORKER_RETRY);
				strlcpy(slot->last_error, NO_WORKER_ERROR,
						sizeof(slot->last_error));
				no_worker = true;
				wake = Min(wake, slot->restart_at);
			}
		}
		LWLockRelease(ln_shared->lock);
		/* whoever waits in drain() waits for nobody */
		if (no_worker || gone)
			ConditionVariableBroadcast(&ln_shared->drained);
		if (no_worker)
			call_idle();
		if (complain)
			ereport(WARNING,
					(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
					 errmsg("no free background worker slot for line_notify"),
					 errhint("You may need to increase \"max_worker_processes\".")));
	}

	if (wake == DT_NOEND)
		return -1;
	return Max(0, Min(TimestampDifferenceMilliseconds(GetCurrentTimestamp(),
													  wake),
					  3600000));
}
