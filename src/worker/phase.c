/*-------------------------------------------------------------------------
 *
 * phase.c
 *		Transactions of the worker: the one place that opens them and that
 *		catches errors.
 *
 * What is on the wire survives an ERROR of any phase: deliveries live in
 * malloc'd memory of the HTTP client and in plain structs, results wait until
 * they can be recorded.  The kind of work that failed backs off,
 * doubling, and only it.  Its errors are sampled: whatever is broken, the log
 * stays readable, and the disk it is on does not fill.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/sample.h"
#include "server/clock.h"
#include "worker/state.h"

PG_FUNCTION_INFO_V1(line_notify_is_row_fault);

/* No more activities than these; what comes later shares the last place. */
#define MAX_ACTIVITIES	40

static LnSample samples[LOG_CLASSES];
static struct
{
	const char *activity;		/* a constant of its caller */
	LnSample	sample;
}			errors[MAX_ACTIVITIES];
static int	last_sqlstate;		/* of the last failed phase */
static bool ended_messages;		/* this phase has */
static const char *failing;		/* activity that slot->last_error is of */

bool
ln_worker_may_log(LogClass class, int64 *skipped)
{
	return ln_sample(&samples[class], ln_monotonic_ns() / 1000000, skipped);
}

/* Which errors of an activity are logged. */
static LnSample *
sample_of(const char *activity)
{
	int			i = 0;

	while (i < MAX_ACTIVITIES - 1 && errors[i].activity != NULL &&
		   strcmp(errors[i].activity, activity) != 0)
		i++;
	errors[i].activity = activity;
	return &errors[i].sample;
}

void
ln_phase_ended_messages(void)
{
	ended_messages = true;
}

/* For health(): what fails, until it works again. */
static void
note_failure(const char *activity, const char *message)
{
	LWLockAcquire(ln_shared->lock, LW_EXCLUSIVE);
	snprintf(W.slot->last_error, sizeof(W.slot->last_error), "%s: %s",
			 activity, message);
	W.slot->last_error_at = GetCurrentTimestamp();
	LWLockRelease(ln_shared->lock);
	failing = activity;
}

static void
note_success(const char *activity)
{
	if (failing == NULL || strcmp(failing, activity) != 0)
		return;
	failing = NULL;
	LWLockAcquire(ln_shared->lock, LW_EXCLUSIVE);
	if (!W.version_mismatch)
		W.slot->last_error[0] = '\0';
	LWLockRelease(ln_shared->lock);
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
		int64		skipped;

		MemoryContextSwitchTo(ctx);
		HOLD_INTERRUPTS();
		ln_worker_watchdog(false);
		errcontext("line_notify worker, %s", activity);
		edata = CopyErrorData();
		if (ln_sample(sample_of(activity), ln_monotonic_ns() / 1000000,
					  &skipped))
		{
			if (skipped > 0)
				errcontext(INT64_FORMAT
						   " more errors of this activity since the last one that was logged",
						   skipped);
			EmitErrorReport();
		}
		/* of a part that failed as well: whatever follows would be in there */
		AbortOutOfAnyTransaction();
		FlushErrorState();
		note_failure(activity, edata->message);
		/* gone tables: was the extension dropped? */
		if (edata->sqlerrcode == ERRCODE_UNDEFINED_TABLE ||
			edata->sqlerrcode == ERRCODE_INVALID_SCHEMA_NAME ||
			edata->sqlerrcode == ERRCODE_UNDEFINED_FUNCTION)
			pg_atomic_fetch_or_u32(&W.slot->work, LN_WORK_EXTENSION);
		last_sqlstate = edata->sqlerrcode;

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
	/* it may have waited for a lock, or for a standby */
	(void) ln_worker_read_clock();
	if (ok)
		note_success(activity);
	if (ok && ended_messages)
		ln_shmem_ended(LN_ENDINGS_ALL);
	ended_messages = false;
	return ok;
}

void
ln_phase_set(const char *name, const char *value)
{
	/*
	 * Of a source above that of the pinned settings: one of the same source
	 * would become the new default, and GUC_ACTION_LOCAL mean nothing.
	 */
	(void) set_config_option(name, value, PGC_SUSET, PGC_S_SESSION,
							 GUC_ACTION_LOCAL, true, 0, false);
}

int
ln_phase_part(void (*work) (void *), void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile int sqlstate = 0;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		work(arg);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		sqlstate = geterrcode();
		if (!ln_is_row_fault(sqlstate))
			PG_RE_THROW();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		ln_outbox_forget();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return sqlstate;
}

int
ln_phase_sqlstate(void)
{
	return last_sqlstate;
}

bool
ln_phase_row_fault(void)
{
	return ln_is_row_fault(last_sqlstate);
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

/* The same for functions of ours, by the five characters of an SQLSTATE. */
Datum
line_notify_is_row_fault(PG_FUNCTION_ARGS)
{
	const char *state = text_to_cstring(PG_GETARG_TEXT_PP(0));

	if (strlen(state) != 5 ||
		strspn(state, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 5)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is not an SQLSTATE", state)));
	PG_RETURN_BOOL(ln_is_row_fault(MAKE_SQLSTATE(state[0], state[1], state[2],
												 state[3], state[4])));
}
