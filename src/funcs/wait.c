/*-------------------------------------------------------------------------
 *
 * wait.c
 *		wait_for(): sleep until a message has been sent.
 *
 * No polling: the worker wakes a condition variable in shared memory after
 * every record, operator functions do so when they commit.  A session that
 * sleeps looks at the tables with a new snapshot each time it is woken;
 * messages share a few variables, so it may be woken for another one.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "db/outbox.h"
#include "server/shmem.h"
#include "server/wakeup.h"

PG_FUNCTION_INFO_V1(line_notify_wait_for);

/*
 * _wait_for(id, timeout in ms) -> state as text, NULL when there is no such
 * message.  The SQL function around it checks who may see the message.
 */
Datum
line_notify_wait_for(PG_FUNCTION_ARGS)
{
	int64		id = PG_GETARG_INT64(0);
	int64		timeout_ms = PG_GETARG_INT64(1);
	TimestampTz deadline = GetCurrentTimestamp() + timeout_ms * 1000;
	MemoryContext ctx = CurrentMemoryContext;
	char	   *state = NULL;
	uint32		wait_event;
	ConditionVariable *cv;

	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("recovery is in progress"),
				 errhint("Wait on the primary: a standby is not told when messages are sent.")));
	if (ln_shared == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("line_notify must be loaded via \"shared_preload_libraries\"")));
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("this must be called in a READ COMMITTED transaction")));
	if (ln_wakeup_rows_pending())
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("this transaction has queued messages itself"),
				 errdetail("They are not sent before it commits."),
				 errhint("COMMIT first.")));

	wait_event = LnWaitEvent("LineNotifyWaitFor");
	cv = &ln_shared->endings[(uint64) id % LN_ENDINGS];
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	ConditionVariablePrepareToSleep(cv);
	for (;;)
	{
		long		left;

		if (state != NULL)
			pfree(state);
		MemoryContextSwitchTo(ctx);

		/*
		 * The worker may have made the partition of history that the message
		 * is now in.  Our locks are held already, so the planner would not
		 * hear of it by itself.
		 */
		AcceptInvalidationMessages();
		state = ln_outbox_state(id);
		if (state == NULL ||
			(strcmp(state, "queued") != 0 && strcmp(state, "sending") != 0))
			break;
		left =
			TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline);
		if (left <= 0)
			break;

		/*
		 * The query above may have slept on a variable of its own; then this
		 * returns at once, and we look again.
		 */
		(void) ConditionVariableTimedSleep(cv, left, wait_event);
	}
	ConditionVariableCancelSleep();
	SPI_finish();
	if (state == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(state));
}
