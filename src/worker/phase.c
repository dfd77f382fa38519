/*-------------------------------------------------------------------------
 *
 * phase.c
 *		Transactions of the worker: the one place that opens them and that
 *		catches errors.
 *
 * What is on the wire survives an ERROR of any phase: deliveries live in
 * malloc'd memory of the HTTP client and in plain structs, results wait until
 * they can be recorded.  The kind of work that failed rests for a while,
 * doubling, and only it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/lmgr.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "worker/state.h"

/* A failed phase is tried again after so long, doubling (ms). */
#define PHASE_RETRY_FIRST	100
#define PHASE_RETRY_LAST	10000

bool
ln_worker_may_log(LogClass class, int64 *skipped)
{
	return ln_sample(&W.samples[class], ln_monotonic_ns() / 1000000, skipped);
}

/*
 * This kind of work has failed: it rests, longer each time.  Or it has not:
 * all is well.
 */
static void
note_backoff(const char *activity, bool ok)
{
	for (int i = 0; i < MAX_BACKOFFS; i++)
	{
		Backoff    *backoff = &W.backoffs[i];

		if (backoff->activity != NULL &&
			strcmp(backoff->activity, activity) != 0)
			continue;
		if (!ok)
		{
			backoff->activity = activity;
			backoff->until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
														 Min(PHASE_RETRY_LAST,
															 PHASE_RETRY_FIRST << Min(backoff->failures, 8)));
			backoff->failures++;
		}
		else if (backoff->failures > 0)
		{
			backoff->failures = 0;
			backoff->until = 0;
			LWLockAcquire(ln_shared->lock, LW_EXCLUSIVE);
			if (!W.version_mismatch)
				W.slot->last_error[0] = '\0';
			LWLockRelease(ln_shared->lock);
		}
		return;
	}
}

bool
ln_phase(const char *activity, void (*work) (void *), void *arg)
{
	volatile bool ok = false;
	MemoryContext ctx = CurrentMemoryContext;

	ln_worker_watchdog(true);
	PG_TRY();
	{
		Oid			schema;

		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();

		/*
		 * DROP EXTENSION locks the schema before the tables in it.  So do we,
		 * since making a partition would lock it after them: a deadlock that
		 * the DROP might lose.
		 */
		schema = get_namespace_oid("line_notify", true);
		if (OidIsValid(schema))
			LockDatabaseObject(NamespaceRelationId, schema, 0,
							   AccessShareLock);
		SPI_connect();
		PushActiveSnapshot(GetTransactionSnapshot());
		pgstat_report_activity(STATE_RUNNING, activity);

		MemoryContextSwitchTo(W.batch);
		work(arg);

		SPI_finish();
		PopActiveSnapshot();
		CommitTransactionCommand();
		ok = true;
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		MemoryContextSwitchTo(ctx);
		HOLD_INTERRUPTS();
		ln_worker_watchdog(false);
		errcontext("line_notify worker, %s", activity);
		edata = CopyErrorData();
		EmitErrorReport();
		AbortCurrentTransaction();
		FlushErrorState();
		LWLockAcquire(ln_shared->lock, LW_EXCLUSIVE);
		snprintf(W.slot->last_error, sizeof(W.slot->last_error), "%s: %s",
				 activity, edata->message);
		LWLockRelease(ln_shared->lock);
		/* gone tables: was the extension dropped? */
		if (edata->sqlerrcode == ERRCODE_UNDEFINED_TABLE ||
			edata->sqlerrcode == ERRCODE_INVALID_SCHEMA_NAME ||
			edata->sqlerrcode == ERRCODE_UNDEFINED_FUNCTION)
			pg_atomic_fetch_or_u32(&W.slot->work, LN_WORK_EXTENSION);
		W.last_sqlstate = edata->sqlerrcode;

		FreeErrorData(edata);
		/* partitions may be gone, too */
		ln_outbox_forget();
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	ln_worker_watchdog(false);
	MemoryContextSwitchTo(ctx);
	pgstat_report_stat(!ok);
	pgstat_report_activity(STATE_IDLE, NULL);
	if (ok && W.ended)
		ln_shmem_ended(LN_ENDINGS_ALL);
	W.ended = false;

	note_backoff(activity, ok);
	return ok;
}

TimestampTz
ln_backoff_until(const char *activity)
{
	for (int i = 0; i < MAX_BACKOFFS && W.backoffs[i].activity != NULL; i++)
	{
		if (strcmp(W.backoffs[i].activity, activity) == 0)
			return W.backoffs[i].failures > 0 ? W.backoffs[i].until
				: DT_NOBEGIN;
	}
	return DT_NOBEGIN;
}

void
ln_backoff_clear(const char *activity)
{
	for (int i = 0; i < MAX_BACKOFFS && W.backoffs[i].activity != NULL; i++)
	{
		if (strcmp(W.backoffs[i].activity, activity) == 0)
			W.backoffs[i].failures = 0;
	}
}

bool
ln_backing_off(const char *activity)
{
	return ln_backoff_until(activity) > GetCurrentTimestamp();
}

/* ln_phase(), unless it rests after a failure. */
bool
ln_try_phase(const char *activity, void (*work) (void *), void *arg)
{
	return !ln_backing_off(activity) && ln_phase(activity, work, arg);
}

bool
ln_is_row_fault(int sqlstate)
{
	switch (ERRCODE_TO_CATEGORY(sqlstate))
	{
		case ERRCODE_INSUFFICIENT_RESOURCES:	/* 53 */
		case ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE:	/* 55: locks */
		case ERRCODE_OPERATOR_INTERVENTION: /* 57 */
		case ERRCODE_SYSTEM_ERROR:	/* 58 */
		case ERRCODE_TRANSACTION_ROLLBACK:	/* 40: deadlocks */
		case ERRCODE_INTERNAL_ERROR:	/* XX */
			return false;
		default:
			return sqlstate != ERRCODE_UNDEFINED_TABLE &&
				sqlstate != ERRCODE_UNDEFINED_FUNCTION &&
				sqlstate != ERRCODE_INVALID_SCHEMA_NAME;
	}
}

bool
ln_any_backoff(void)
{
	for (int i = 0; i < MAX_BACKOFFS && W.backoffs[i].activity != NULL; i++)
		if (W.backoffs[i].failures > 0)
			return true;
	return false;
}
