/*-------------------------------------------------------------------------
 *
 * drain.c
 *		drain(): send what is due now, and come back when it is done.
 *
 * Where the library is preloaded, the worker of the database is asked and
 * answers through its slot.  Elsewhere a drainer is started: the same program
 * in a background worker of its own, for the time of one call.  So sending
 * never happens inside a transaction, a snapshot or an error handler of the
 * caller's session.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xlog.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "utils/inval.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "db/outbox.h"
#include "guc.h"
#include "server/shmem.h"
#include "worker/worker.h"

/* Longest time that one call may take (us). */
#define MAX_TIMEOUT		USECS_PER_DAY

PG_FUNCTION_INFO_V1(line_notify_drain);

static int64 timeout_us(FunctionCallInfo fcinfo);
static int64 ask_worker(TimestampTz deadline);
static void stop_drainer(int code, Datum handle);
static int64 run_drainer(TimestampTz deadline);

/*
 * drain(timeout interval, INOUT sent bigint, INOUT waiting bigint): attempts
 * made meanwhile, and messages that are due and still there.
 */
Datum
line_notify_drain(PG_FUNCTION_ARGS)
{
	int64		timeout = timeout_us(fcinfo);
	TupleDesc	desc;
	Datum		values[2];
	bool		nulls[2] = {false, false};
	HeapTuple	result;
	int64		sent;

	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("recovery is in progress"),
				 errhint("Messages are sent from the primary only.")));
	PreventCommandIfReadOnly("drain()");
	if (fcinfo->context == NULL || !IsA(fcinfo->context, CallContext) ||
		((CallContext *) fcinfo->context)->atomic)
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("drain() cannot run inside a transaction block, a function or a trigger"),
				 errdetail("Messages are not sent before the transaction that queued them has committed."),
				 errhint("COMMIT first.")));
	if (!ln_guc_enabled)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("sending is switched off"),
				 errhint("line_notify.enabled is off: set it on in postgresql.conf and reload.")));
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	desc = BlessTupleDesc(CreateTupleDescCopy(desc));

	/* no lock and no snapshot while others work */
	if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	SPI_commit();
	if (ln_shared != NULL)
		sent = ask_worker(GetCurrentTimestamp() + timeout);
	else
		sent = run_drainer(GetCurrentTimestamp() + timeout);
	/* what was replaced meanwhile: the extension itself, perhaps */
	AcceptInvalidationMessages();
	values[0] = Int64GetDatum(sent);
	values[1] = Int64GetDatum(ln_outbox_note_drain(sent));
	SPI_finish();
	result = heap_form_tuple(desc, values, nulls);
	PG_RETURN_DATUM(HeapTupleGetDatum(result));
}

static int64
timeout_us(FunctionCallInfo fcinfo)
{
	Interval   *timeout = PG_ARGISNULL(0) ? NULL : PG_GETARG_INTERVAL_P(0);

	if (timeout == NULL || timeout->month != 0 || timeout->day < 0 ||
		timeout->day > 1 || timeout->time < 0 || timeout->time > MAX_TIMEOUT ||
		timeout->day * USECS_PER_DAY + timeout->time > MAX_TIMEOUT)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("timeout is out of range"),
				 errdetail("The range is 0 to 1 day.")));
	return timeout->day * USECS_PER_DAY + timeout->time;
}

/*
 * The worker of this database does it.  Returns the attempts that it recorded
 * meanwhile.
 */
static int64
ask_worker(TimestampTz deadline)
{
	uint32		wait_event = LnWaitEvent("LineNotifyDrain");
	uint64		before = 0;
	uint64		recorded = 0;

	if (!ln_shmem_ask_drain(&before))
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("there is no worker for this database"),
				 errhint("Raise line_notify.max_databases and restart.")));
	recorded = before;
	ConditionVariablePrepareToSleep(&ln_shared->drained);
	while (GetCurrentTimestamp() < deadline)
	{
		TimestampTz drained_until = ln_shmem_drained(&recorded);
		long		left;

		if (drained_until > deadline)
			break;
		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(),
											   deadline);
		(void) ConditionVariableTimedSleep(&ln_shared->drained, left,
										   wait_event);
	}
	ConditionVariableCancelSleep();
	(void) ln_shmem_drained(&recorded);
	return (int64) (recorded - before);
}

/*
 * Nobody waits any more: the drainer stops in order, with what is on the wire.
 */
static void
stop_drainer(int code, Datum handle)
{
	BackgroundWorkerHandle *h =
	(BackgroundWorkerHandle *) DatumGetPointer(handle);

	TerminateBackgroundWorker(h);
}

/* Start a drainer and wait for its end. */
static int64
run_drainer(TimestampTz deadline)
{
	dsm_segment *segment = dsm_create(sizeof(LnDrain), 0);
	LnDrain    *drain = dsm_segment_address(segment);
	BackgroundWorker worker;
	BackgroundWorkerHandle *handle;
	BgwHandleStatus status;
	int64		sent;

	/* it goes with this transaction, if an error ends it */
	drain->until = deadline;
	ln_shmem_init_slot(&drain->slot);
	drain->slot.database = MyDatabaseId;
	drain->slot.state = LN_SLOT_STARTING;
	drain->slot.next_due = DT_NOEND;
	pg_atomic_write_u32(&drain->slot.work, LN_WORK_ALL);
	pg_atomic_write_u64(&drain->slot.new_lanes, PG_UINT64_MAX);
	pg_atomic_write_u64(&drain->slot.new_channels, PG_UINT64_MAX);

	memset(&worker, 0, sizeof(worker));
	worker.bgw_main_arg = UInt32GetDatum(dsm_segment_handle(segment));
	worker.bgw_flags =
		BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_notify_pid = MyProcPid;
	strlcpy(worker.bgw_library_name, "line_notify", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "ln_drainer_main", BGW_MAXLEN);
	snprintf(worker.bgw_name, BGW_MAXLEN,
			 "line_notify drainer for database %u", MyDatabaseId);
	strlcpy(worker.bgw_type, "line_notify drainer", BGW_MAXLEN);
	if (!RegisterDynamicBackgroundWorker(&worker, &handle))
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("could not start a background worker"),
				 errhint("Raise max_worker_processes, or try again when others have ended.")));

	/*
	 * Cancelled or terminated: the drainer stops in order, with what is on
	 * the wire.
	 */
	PG_ENSURE_ERROR_CLEANUP(stop_drainer, PointerGetDatum(handle));
	{
		status = WaitForBackgroundWorkerShutdown(handle);
	}
	PG_END_ENSURE_ERROR_CLEANUP(stop_drainer, PointerGetDatum(handle));
	if (status == BGWH_POSTMASTER_DIED)
		ereport(FATAL,
				(errcode(ERRCODE_ADMIN_SHUTDOWN),
				 errmsg("terminating connection because the postmaster has died")));

	if (drain->slot.state != LN_SLOT_IDLE)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("messages could not be sent: %s",
							   drain->slot.last_error[0]
							   ? drain->slot.last_error
							   : "the background worker did not start"),
						errhint("The server log has the details.")));
	sent = (int64) pg_atomic_read_u64(&drain->slot.recorded);
	dsm_detach(segment);
	return sent;
}
