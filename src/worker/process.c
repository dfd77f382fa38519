/*-------------------------------------------------------------------------
 *
 * process.c
 *		How the worker process comes and goes: its place in shared memory, its
 *		signals, its settings.
 *
 * It never hangs and is never killed in the middle: a request to stop
 * (SIGTERM, or DDL that wants the database alone) ends the claiming at once,
 * gives what is on the wire a bounded time, and breaks off a transaction that
 * outlasts it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "replication/syncrep.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "base/crypto.h"
#include "db/trace.h"
#include "guc.h"
#include "worker/state.h"
#include "worker/worker.h"

volatile sig_atomic_t ln_worker_stopping = false;
volatile TimestampTz ln_worker_stop_deadline = 0;
bool		ln_worker_drained = false;
static TimeoutId watchdog;
static uint32 generation;		/* of our slot; a later one is not ours */

static void detach(int code, Datum arg);
static void handle_sigterm(SIGNAL_ARGS);
static void handle_sigint(SIGNAL_ARGS);
static void watchdog_handler(void);

static void
take_first_signals(void)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	/* nothing is on the wire yet, and connecting may wait for locks */
	pqsignal(SIGTERM, die);
	pqsignal(SIGINT, handle_sigint);
	BackgroundWorkerUnblockSignals();
}

/* Caller holds the lock. */
static void
take_slot(LnSlot *slot)
{
	W.slot = slot;
	generation = slot->generation;
	/* as long as it is not known which are paused */
	pg_atomic_write_u64(&slot->open_channels, PG_UINT64_MAX);
	slot->state = LN_SLOT_RUNNING;
	slot->pid = MyProcPid;
	slot->procno = ln_shmem_my_procno();
	slot->started_at = GetCurrentTimestamp();
	slot->drained_until = DT_NOBEGIN;
	slot->last_error[0] = '\0';

	/* no interrupt is served before the lock is released */
	before_shmem_exit(detach, (Datum) 0);
}

void
ln_worker_attach(int slotno, uint32 expected)
{
	LnSlot	   *slot = &ln_shared->slots[slotno];

	take_first_signals();
	LWLockAcquire(ln_shared->lock, LW_EXCLUSIVE);
	if (slot->state != LN_SLOT_STARTING || slot->generation != expected)
	{
		/* too late: the launcher gave us up */
		LWLockRelease(ln_shared->lock);
		proc_exit(0);
	}
	take_slot(slot);
	LWLockRelease(ln_shared->lock);
	ln_shmem_wake_launcher();
}

void
ln_worker_attach_drainer(dsm_handle handle)
{
	dsm_segment *segment;
	LnDrain    *drain;

	take_first_signals();
	segment = dsm_attach(handle);
	if (segment == NULL)
		proc_exit(0);			/* the session is gone */
	dsm_pin_mapping(segment);
	drain = dsm_segment_address(segment);
	ln_shmem_make_private(&drain->slot);
	W.drain_until = drain->until;
	LWLockAcquire(ln_shared->lock, LW_EXCLUSIVE);
	take_slot(&drain->slot);
	LWLockRelease(ln_shared->lock);
}

/*
 * Every way out of this process.  ln_worker_leave() has set the state of an
 * orderly end;
 * a slot that is still RUNNING ends here by an error.
 */
static void
detach(int code, Datum arg)
{
	bool		orderly;

	/*
	 * aborts deliveries; their leases and the journal file stay for
	 * ln_worker_rescue()
	 */
	ln_http_destroy(W.http);
	W.http = NULL;

	LWLockAcquire(ln_shared->lock, LW_EXCLUSIVE);
	if (W.slot->generation == generation && W.slot->pid == MyProcPid)
	{
		orderly = W.slot->state != LN_SLOT_RUNNING;
		W.slot->pid = 0;
		W.slot->procno = -1;
		W.slot->version_mismatch = false;
		pg_atomic_write_u32(&W.slot->in_flight, 0);
		if (!orderly)
		{
			TimestampTz now = GetCurrentTimestamp();
			int64		wait;

			/* a minute of healthy life clears the past */
			if (TimestampDifferenceExceeds(W.slot->started_at, now, 60000))
				W.slot->failures = 0;
			W.slot->failures++;
			W.slot->restarts++;
			W.slot->state = LN_SLOT_BACKOFF;
			wait = ln_shmem_backoff_ms(W.slot->failures);
			W.slot->restart_at =
				TimestampTzPlusMilliseconds(now, wait);
			if (W.slot->last_error[0] == '\0')
				strlcpy(W.slot->last_error,
						"ended by an error, see the server log",
						sizeof(W.slot->last_error));
		}
		/* what was noted for us is for the next one */
		pg_atomic_fetch_or_u32(&W.slot->work, LN_WORK_ALL);
		pg_atomic_write_u64(&W.slot->new_lanes, PG_UINT64_MAX);
		pg_atomic_write_u64(&W.slot->new_channels, PG_UINT64_MAX);
	}
	ln_shared->worker_left = true;
	LWLockRelease(ln_shared->lock);
	ln_shmem_wake_launcher();
}

void
ln_worker_note_end(const char *error)
{
	LWLockAcquire(ln_shared->lock, LW_EXCLUSIVE);
	strlcpy(W.slot->last_error, error, sizeof(W.slot->last_error));
	LWLockRelease(ln_shared->lock);
}

void
ln_worker_leave(LnSlotState state, const char *error)
{
	LWLockAcquire(ln_shared->lock, LW_EXCLUSIVE);
	if (W.slot->generation == generation && W.slot->pid == MyProcPid)
	{
		W.slot->state = state;
		W.slot->next_due = DT_NOEND;
		strlcpy(W.slot->last_error, error ? error : "",
				sizeof(W.slot->last_error));
		if (state == LN_SLOT_BACKOFF)
			W.slot->restart_at =
				TimestampTzPlusMilliseconds(GetCurrentTimestamp(), 1000);
		else
			W.slot->failures = 0;
	}
	LWLockRelease(ln_shared->lock);
	proc_exit(0);
}

void
ln_worker_leave_unless_wanted(LnSlotState state, TimestampTz next_due)
{
	bool		wanted;

	LWLockAcquire(ln_shared->lock, LW_EXCLUSIVE);
	wanted = pg_atomic_read_u32(&W.slot->work) != 0 ||
		pg_atomic_read_u32(&W.slot->quiet) != 0 || W.slot->hold_pid != 0;
	if (!wanted)
	{
		W.slot->state = state;
		W.slot->next_due = next_due;
		W.slot->failures = 0;
	}
	LWLockRelease(ln_shared->lock);
	if (wanted)
		return;
	/* no successor can be at work yet: it needs the lock that ends with us */
	if (state == LN_SLOT_FREE)
	{
		ln_shmem_stats_keep(MyDatabaseId, NULL, 0);
		ConditionVariableBroadcast(&ln_shared->drained);
	}
	ln_deliveries_end_journal();
	proc_exit(0);
}

void
ln_worker_take_database(void)
{
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0, LOCK_WORKER, LOCK_FIELD);
	if (LockAcquire(&tag, ExclusiveLock, true, true) == LOCKACQUIRE_NOT_AVAIL)
		ln_worker_leave(LN_SLOT_BACKOFF,
						"another worker of this database is still running");
	if (!ln_random_bytes(&W.claimer, sizeof(W.claimer)))
		elog(ERROR, "could not get random bytes");
	/* positive, no small number */
	W.claimer = (W.claimer >> 1) | (UINT64CONST(1) << 32);
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (uint32) (W.claimer >> 32),
						 (uint32) W.claimer, LOCK_FIELD);
	(void) LockAcquire(&tag, ExclusiveLock, true, false);
	ln_trace_start(W.claimer);
}

void
ln_worker_take_signals(void)
{
	pqsignal(SIGTERM, handle_sigterm);
	CHECK_FOR_INTERRUPTS();		/* one that came in between */
	watchdog = RegisterTimeout(USER_TIMEOUT, watchdog_handler);
}

void
ln_worker_watchdog(bool on)
{
	if (on)
		enable_timeout_every(watchdog,
							 TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
														 500),
							 500);
	else
		disable_timeout(watchdog, false);
}

/*
 * Settings of the database or role must not change what our statements do, nor
 * how: see the plans in sql.c.
 */
void
ln_worker_pin_settings(void)
{
	MemoryContext ctx = CurrentMemoryContext;

	static const char *const settings[][2] = {
		{"role", "none"},
		{"search_path", "pg_catalog, pg_temp"},
		{"default_transaction_isolation", "read committed"},
		{"default_transaction_read_only", "off"},
		{"default_transaction_deferrable", "off"},
		{"session_replication_role", "origin"},
		{"row_security", "on"},
		{"statement_timeout", "0"},
		{"lock_timeout", "1s"},
		{"idle_in_transaction_session_timeout", "0"},
		{"transaction_timeout", "0"},
		{"idle_session_timeout", "0"},
		{"enable_seqscan", "off"},
		{"enable_nestloop", "off"},
		{"enable_mergejoin", "off"},
		{"enable_hashjoin", "on"},
		{"enable_bitmapscan", "off"},
		{"enable_material", "off"},
		{"enable_indexscan", "on"},
		{"enable_indexonlyscan", "on"},
		{"enable_partition_pruning", "on"},
		{"max_parallel_workers_per_gather", "0"},
		{"standard_conforming_strings", "on"},
		{"array_nulls", "on"},
		{"default_tablespace", ""},
		{"default_table_access_method", "heap"},
		{"plpgsql.extra_errors", "none"},
		{"plpgsql.extra_warnings", "none"},
		{"plan_cache_mode", "force_generic_plan"},
		{"jit", "off"},
		{"temp_file_limit", "-1"},
		{"log_min_duration_statement", "-1"},
		{"log_statement", "none"},
		{"debug_print_parse", "off"},
		{"debug_print_rewritten", "off"},
		{"debug_print_plan", "off"},
		{"application_name", "line_notify worker"},
	};

	/*
	 * First who we are: a database may say that its sessions are somebody
	 * else's.  No reload says so again.  Roles are looked up.
	 */
	if (GetSessionUserId() != BOOTSTRAP_SUPERUSERID)
	{
		StartTransactionCommand();
		SetConfigOption("session_authorization",
						GetUserNameFromId(BOOTSTRAP_SUPERUSERID, false),
						PGC_SUSET, PGC_S_OVERRIDE);
		CommitTransactionCommand();
		/* the end of a transaction leaves another one */
		MemoryContextSwitchTo(ctx);
	}

	for (int i = 0; i < (int) lengthof(settings); i++)
	{
		if (GetConfigOption(settings[i][0], true, false) != NULL)
			SetConfigOption(settings[i][0], settings[i][1], PGC_SUSET,
							PGC_S_OVERRIDE);
	}

	/*
	 * At least "on": a claim must survive a crash here, and of the standby
	 * that takes over; more if the server says so.  A reload may have lowered
	 * it.
	 */
	if (synchronous_commit < SYNCHRONOUS_COMMIT_ON)
		SetConfigOption("synchronous_commit", "on", PGC_SUSET, PGC_S_OVERRIDE);
}

static void
handle_sigterm(SIGNAL_ARGS)
{
	int			save_errno = errno;

	if (!ln_worker_stopping)
	{
		ln_worker_stopping = true;
		ln_worker_stop_deadline =
			TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
										ln_guc_shutdown_timeout);
	}
	SetLatch(MyLatch);
	errno = save_errno;
}

/*
 * Lock time-outs arrive as SIGINT from ourselves; those are wanted.  One from
 * somebody else (pg_cancel_backend) is not: a commit whose wait for a standby
 * is cancelled looks like success.
 */
static void
handle_sigint(SIGNAL_ARGS)
{
	if (get_timeout_indicator(LOCK_TIMEOUT, false))
		StatementCancelHandler(postgres_signal_arg);
}

/*
 * Ticks during transactions: one that outlasts the time we were given to stop
 * or to step aside (a lock, a standby that does not answer) is broken off as
 * "die" would.
 */
static void
watchdog_handler(void)
{
	/* a torn or late look is made good by the next tick */
	if (ln_worker_stop_deadline == 0 && W.slot->hold_pid != 0)
		ln_worker_stop_deadline =
			TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
										W.slot->hold_at_once
										? 0
										: ln_guc_shutdown_timeout);
	if (ln_worker_stop_deadline != 0 &&
		GetCurrentTimestamp() > ln_worker_stop_deadline)
	{
		InterruptPending = true;
		ProcDiePending = true;
		SetLatch(MyLatch);
	}
}

bool
ln_worker_must_stop(bool *at_once, LnSlotState *state)
{
	bool		held;

	if (W.drain_until != 0 &&
		(ln_worker_drained || GetCurrentTimestamp() >= W.drain_until))
		ln_worker_stopping = true;
	LWLockAcquire(ln_shared->lock, LW_SHARED);
	held = W.slot->hold_pid != 0;
	*at_once = held && W.slot->hold_at_once;

	LWLockRelease(ln_shared->lock);
	*state = held ? LN_SLOT_HELD :
		W.drain_until != 0 ? LN_SLOT_IDLE : LN_SLOT_BACKOFF;
	if (!held && !ln_worker_stopping)
	{
		/* the holder gave up meanwhile, which the watchdog may have seen */
		ln_worker_stop_deadline = 0;
		return false;
	}
	if (ln_worker_stop_deadline == 0)
		ln_worker_stop_deadline =
			TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
										ln_guc_shutdown_timeout);
	return true;
}
