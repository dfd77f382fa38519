/*-------------------------------------------------------------------------
 *
 * stats.c
 *		What SQL may see of this server's processes and settings.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "guc.h"
#include "shmem.h"
#include "wakeup.h"

PG_FUNCTION_INFO_V1(line_notify_workers);
PG_FUNCTION_INFO_V1(line_notify_preload_state);
PG_FUNCTION_INFO_V1(line_notify_node);
PG_FUNCTION_INFO_V1(line_notify_caller_is_superuser);
PG_FUNCTION_INFO_V1(line_notify_caller);
PG_FUNCTION_INFO_V1(line_notify_wake);

static const char *
state_name(const LnSlot *slot)
{
	switch (slot->state)
	{
		case LN_SLOT_FREE:
			return "free";
		case LN_SLOT_WANTED:
		case LN_SLOT_STARTING:
			return "starting";
		case LN_SLOT_RUNNING:
			return slot->standing_still ? "version" : "running";
		case LN_SLOT_IDLE:
			return "idle";
		case LN_SLOT_NO_WORKER:
			return "no slot";
		case LN_SLOT_BACKOFF:
			return "backoff";
		case LN_SLOT_HELD:
			return "held";
	}
	return "?";
}

Datum
line_notify_workers(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	LnSlot	   *slots;
	int			n;
	int			launcher_pid;

	InitMaterializedSRF(fcinfo, 0);
	if (ln_shared == NULL)
		return (Datum) 0;

	/* a copy, so that nothing can fail under the lock */
	slots = palloc(sizeof(LnSlot) * ln_shared->nslots);
	LWLockAcquire(ln_shared->lock, LW_SHARED);
	n = ln_shared->nslots;
	memcpy(slots, ln_shared->slots, sizeof(LnSlot) * n);
	launcher_pid = ln_shared->launcher_pid;
	LWLockRelease(ln_shared->lock);

	for (int i = -1; i < n; i++)
	{
		Datum		values[9];
		bool		nulls[9] = {false};

		if (i < 0)
		{
			memset(nulls, true, sizeof(nulls));
			nulls[1] = nulls[2] = false;
			values[1] = CStringGetTextDatum(launcher_pid != 0 ? "launcher" : "no launcher");
			values[2] = Int32GetDatum(launcher_pid);
			nulls[2] = launcher_pid == 0;
		}
		else
		{
			const LnSlot *s = &slots[i];

			if (s->state == LN_SLOT_FREE)
				continue;
			values[0] = ObjectIdGetDatum(s->database);
			values[1] = CStringGetTextDatum(state_name(s));
			values[2] = Int32GetDatum(s->pid);
			nulls[2] = s->pid == 0;
			values[3] = Int64GetDatum((int64) s->generation);
			values[4] = TimestampTzGetDatum(s->started_at);
			nulls[4] = s->started_at == 0;
			values[5] = Int32GetDatum(s->restarts);
			values[6] = TimestampTzGetDatum(s->next_due);
			nulls[6] = s->state != LN_SLOT_IDLE || s->next_due == DT_NOEND;
			values[7] = Int32GetDatum((int32) pg_atomic_read_u32((pg_atomic_uint32 *) &s->in_flight));
			values[8] = CStringGetTextDatum(s->last_error);
			nulls[8] = s->last_error[0] == '\0';
		}
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

Datum
line_notify_preload_state(PG_FUNCTION_ARGS)
{
	const char *state = "ok";

	if (ln_shared == NULL)
		state = "not preloaded";
	else if (!ln_guc_enabled)
		state = "disabled";
	else if (ln_shared->launcher_pid == 0)
		state = "no launcher";
	PG_RETURN_TEXT_P(cstring_to_text(state));
}

Datum
line_notify_node(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(ln_guc_node()));
}

Datum
line_notify_caller_is_superuser(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(superuser_arg(GetOuterUserId()));
}

Datum
line_notify_caller(PG_FUNCTION_ARGS)
{
	PG_RETURN_OID(GetOuterUserId());
}

Datum
line_notify_wake(PG_FUNCTION_ARGS)
{
	ln_wakeup_at_commit(LN_WORK_ALL);
	PG_RETURN_VOID();
}
