/*-------------------------------------------------------------------------
 *
 * waiting_reasons.c
 *		Why messages wait, for SQL: the gate over what tables say and what the
 *		worker has published.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xlog.h"
#include "catalog/pg_database.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/builtins.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "base/gate.h"
#include "compat.h"
#include "guc.h"
#include "line/line_api.h"
#include "server/shmem.h"

/* A worker that is so late (us) does not respond. */
#define LATE	(5 * USECS_PER_SEC)

PG_FUNCTION_INFO_V1(line_notify_waiting_reasons);
PG_FUNCTION_INFO_V1(line_notify_endpoint_verdict);
PG_FUNCTION_INFO_V1(line_notify_message_verdict);
PG_FUNCTION_INFO_V1(line_notify_unanswered);

typedef struct ReasonRow
{
	const char *severity;
	const char *meaning_en;
	const char *meaning_ja;
	const char *what_ends_it;
} ReasonRow;

#include "funcs/waiting_reasons_data.h"

/*
 * _waiting_reasons(OUT no int, OUT reason text, OUT meaning_en text, OUT
 * meaning_ja text, OUT ends_by_itself bool, OUT what_ends_it text, OUT
 * severity text)
 */
Datum
line_notify_waiting_reasons(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < LN_REASONS; i++)
	{
		const ReasonRow *r = &rows[i];
		Datum		values[7];
		bool		nulls[7] = {false};

		values[0] = Int32GetDatum(i);
		values[1] = CStringGetTextDatum(ln_reason_name((LnReason) i));
		values[2] = CStringGetTextDatum(r->meaning_en);
		values[3] = CStringGetTextDatum(pg_any_to_server(r->meaning_ja,
														 strlen(r->meaning_ja),
														 PG_UTF8));
		values[4] = BoolGetDatum(ln_reason_ends((LnReason) i) !=
								 LN_ENDS_BY_EVENT);
		values[5] = CStringGetTextDatum(r->what_ends_it);
		nulls[6] = r->severity == NULL;
		values[6] = nulls[6] ? (Datum) 0 : CStringGetTextDatum(r->severity);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values,
							 nulls);
	}
	return (Datum) 0;
}

/* What the process that runs does not say: that it cannot. */
static LnVerdict
process_verdict(const LnSlot *slot, TimestampTz now)
{
	LnVerdict	open = {LN_DUE, LN_NOW, LN_NOW};
	PGPROC	   *proc = BackendPidGetProc(slot->pid);
	uint32		event = proc != NULL ? proc->wait_event_info : 0;
	LnSlot	   *s = unconstify(LnSlot *, slot);
	TimestampTz wake_at = (TimestampTz) pg_atomic_read_u64(&s->wake_at);
	TimestampTz noted_at = (TimestampTz) pg_atomic_read_u64(&s->noted_at);
	bool		noted = pg_atomic_read_u32(&s->work) != 0;

	if (event == WAIT_EVENT_SYNC_REP)
		return ln_gate_verdict(LN_SYNC_STANDBY, LN_NEVER);
	if ((event & 0xFF000000) == PG_WAIT_LOCK)
		return ln_gate_verdict(LN_LOCK, LN_NEVER);
	if ((wake_at != DT_NOEND && wake_at != 0 && now - wake_at > LATE) ||
		(noted && noted_at != 0 && now - noted_at > LATE))
		return ln_gate_verdict(LN_NOT_RESPONDING, LN_NEVER);
	return open;
}

/* May no worker connect to this database?  As the launcher sees it. */
static bool
database_is_closed(void)
{
	HeapTuple	tuple = SearchSysCache1(DATABASEOID,
										ObjectIdGetDatum(MyDatabaseId));
	bool		closed = false;

	if (HeapTupleIsValid(tuple))
	{
		Form_pg_database row = (Form_pg_database) GETSTRUCT(tuple);

		closed = !row->datallowconn || row->datistemplate;
		ReleaseSysCache(tuple);
	}
	return closed;
}

/* What holds up everything in this database; *running = its worker is. */
static LnVerdict
server_verdict(TimestampTz now, bool *running)
{
	LnVerdict	open = {LN_DUE, LN_NOW, LN_NOW};
	LnSlot		copy;
	LnSlot	   *slot;
	bool		full = true;

	*running = false;
	if (RecoveryInProgress())
		return ln_gate_verdict(LN_STANDBY, LN_NEVER);
	if (!ln_guc_enabled)
		return ln_gate_verdict(LN_DISABLED, LN_NEVER);
	if (ln_shared == NULL)
		return ln_gate_verdict(LN_NOT_PRELOADED, LN_NEVER);
	if (ln_shared->launcher_pid == 0)
		return ln_gate_verdict(LN_NO_LAUNCHER, LN_NEVER);

	LWLockAcquire(ln_shared->lock, LW_SHARED);
	slot = ln_shmem_find(MyDatabaseId);
	if (slot != NULL)
		copy = *slot;
	for (int i = 0; i < ln_shared->nslots && full; i++)
		full = ln_shared->slots[i].state != LN_SLOT_FREE;
	LWLockRelease(ln_shared->lock);
	if (slot == NULL && database_is_closed())
		return ln_gate_verdict(LN_DATABASE_CLOSED, LN_NEVER);
	if (slot == NULL)
		return full ? ln_gate_verdict(LN_NO_DATABASE_SLOT, LN_NEVER)
			: ln_gate_verdict(LN_WORKER_STARTING, LN_NEVER);
	switch (copy.state)
	{
		case LN_SLOT_FREE:
		case LN_SLOT_WANTED:
		case LN_SLOT_STARTING:
			return ln_gate_verdict(LN_WORKER_STARTING, LN_NEVER);
		case LN_SLOT_IDLE:
			return open;		/* it comes when it is needed */
		case LN_SLOT_NO_WORKER:
			return ln_gate_verdict(LN_NO_WORKER_SLOT, LN_NEVER);
		case LN_SLOT_BACKOFF:
			return ln_gate_verdict(LN_WORKER_FAILED, copy.restart_at);
		case LN_SLOT_HELD:
			return ln_gate_verdict(LN_WORKER_HELD, LN_NEVER);
		case LN_SLOT_RUNNING:
			break;
	}
	*running = true;
	if (copy.version_mismatch)
		return ln_gate_verdict(LN_VERSION_MISMATCH, LN_NEVER);
	return process_verdict(&copy, now);
}

/* The verdict the worker has published on an endpoint, if it still holds. */
static LnVerdict
published_verdict(const char *channel, int kind, TimestampTz now)
{
	LnVerdict	open = {LN_DUE, LN_NOW, LN_NOW};
	LnVerdict	v = open;
	TimestampTz at;

	LWLockAcquire(ln_shared->lock, LW_SHARED);
	for (int i = 0; i < LN_STATS; i++)
	{
		LnStats    *s = &ln_shared->stats[i];

		if (s->database != MyDatabaseId || s->kind != kind ||
			strcmp(s->channel, channel) != 0)
			continue;
		if (!ln_stats_read_verdict(s, &v, &at) ||
			(v.until != LN_NEVER && v.until <= now))
			v = open;
		break;
	}
	LWLockRelease(ln_shared->lock);
	return v;
}

static int64
time_arg(FunctionCallInfo fcinfo, int n, int64 if_null)
{
	return PG_ARGISNULL(n) ? if_null : PG_GETARG_TIMESTAMPTZ(n);
}

static bool
bool_arg(FunctionCallInfo fcinfo, int n)
{
	return !PG_ARGISNULL(n) && PG_GETARG_BOOL(n);
}

/* (no int, reason text, until timestamptz, not_before timestamptz) */
static Datum
verdict_row(FunctionCallInfo fcinfo, LnVerdict v)
{
	TupleDesc	desc;
	Datum		values[4];
	bool		nulls[4] = {false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = Int32GetDatum(v.reason);
	values[1] = CStringGetTextDatum(ln_reason_name(v.reason));
	values[2] = TimestampTzGetDatum(v.until);
	values[3] = TimestampTzGetDatum(v.not_before);
	nulls[3] = v.not_before == LN_NOW;
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values,
											 nulls));
}

/*
 * _endpoint_verdict(channel text, endpoint text, disarmed bool, paused bool,
 * paused_automatically bool, endpoint_paused bool, has_credential bool,
 * token_error text, quiet_until timestamptz, budget_until timestamptz): what
 * holds an endpoint of a channel.
 */
Datum
line_notify_endpoint_verdict(PG_FUNCTION_ARGS)
{
	TimestampTz now = GetCurrentTimestamp();
	LnGateFacts f;
	LnVerdict	v;
	bool		running;

	memset(&f, 0, sizeof(f));
	f.disarmed = bool_arg(fcinfo, 2);
	f.channel_paused = bool_arg(fcinfo, 3);
	f.token_refused = bool_arg(fcinfo, 4);
	f.endpoint_paused = bool_arg(fcinfo, 5);
	f.token_retry = LN_NEVER;
	if (!bool_arg(fcinfo, 6))
		f.token = LN_TOKEN_NONE;
	else if (!PG_ARGISNULL(7))
	{
		char	   *error = text_to_cstring(PG_GETARG_TEXT_PP(7));

		/* see token.c */
		f.token = strncmp(error, "its file", 8) == 0 ||
			strncmp(error, "it must consist", 15) == 0
			? LN_TOKEN_UNREADABLE : LN_TOKEN_FAILED;
	}
	f.quiet_until = time_arg(fcinfo, 8, 0);
	f.budget_until = time_arg(fcinfo, 9, 0);
	v = ln_gate_both(ln_gate(&f, now), server_verdict(now, &running));
	if (running && !PG_ARGISNULL(0) && !PG_ARGISNULL(1))
	{
		char	   *channel = text_to_cstring(PG_GETARG_TEXT_PP(0));
		char	   *endpoint = text_to_cstring(PG_GETARG_TEXT_PP(1));

		v = ln_gate_both(v, published_verdict(channel,
											  strcmp(endpoint, "template") == 0
											  ? LINE_TEMPLATE : LINE_FLEXIBLE,
											  now));
	}
	return verdict_row(fcinfo, v);
}

/*
 * _message_verdict(endpoint_no int, until timestamptz, not_before timestamptz,
 * disarmed bool, template_paused bool, use_case_paused bool, due_at
 * timestamptz, attempted bool, quarantined bool, row_locked bool,
 * in_doubt_before timestamptz, in_doubt_until timestamptz, untold bool): what
 * holds a message, given the verdict of its endpoint; none = there is no such
 * channel.
 */
Datum
line_notify_message_verdict(PG_FUNCTION_ARGS)
{
	TimestampTz now = GetCurrentTimestamp();
	LnMessageFacts m;
	LnVerdict	endpoint;

	if (PG_ARGISNULL(0))
		endpoint = ln_gate_verdict(LN_NO_CHANNEL, LN_NEVER);
	else
	{
		int			no = PG_GETARG_INT32(0);

		if (no < 0 || no >= LN_REASONS)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("no such reason: %d", no)));
		endpoint.reason = (LnReason) no;
		endpoint.until = time_arg(fcinfo, 1, LN_NEVER);
		endpoint.not_before = time_arg(fcinfo, 2, LN_NOW);
	}
	memset(&m, 0, sizeof(m));
	m.disarmed = bool_arg(fcinfo, 3);
	m.template_paused = bool_arg(fcinfo, 4);
	m.use_case_paused = bool_arg(fcinfo, 5);
	m.due = time_arg(fcinfo, 6, LN_NOW);
	m.blocked = m.due == LN_NEVER;
	m.attempted = bool_arg(fcinfo, 7);
	m.quarantined = bool_arg(fcinfo, 8);
	m.row_locked = bool_arg(fcinfo, 9);
	m.in_doubt_before = time_arg(fcinfo, 10, LN_NOW);
	m.in_doubt_until = time_arg(fcinfo, 11, LN_NEVER);
	m.untold = bool_arg(fcinfo, 12);
	return verdict_row(fcinfo, ln_gate_message(&m, endpoint, now));
}

/*
 * _unanswered(OUT channel text, OUT on_the_wire int, OUT overdue int, OUT
 * since timestamptz): channels of this database that have requests without
 * answer.
 */
Datum
line_notify_unanswered(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; ln_shared != NULL && i < LN_STATS; i++)
	{
		LnStats    *s = &ln_shared->stats[i];
		char		channel[sizeof(s->channel)];
		uint32		in_flight;
		uint32		overdue;
		TimestampTz since;
		bool		ours;
		Datum		values[4];
		bool		nulls[4] = {false};

		LWLockAcquire(ln_shared->lock, LW_SHARED);
		ours = s->database == MyDatabaseId;
		memcpy(channel, s->channel, sizeof(channel));
		in_flight = pg_atomic_read_u32(&s->in_flight);
		overdue = pg_atomic_read_u32(&s->overdue);
		since = (TimestampTz) pg_atomic_read_u64(&s->oldest_sent_at);
		LWLockRelease(ln_shared->lock);
		if (!ours || in_flight == 0 || since == 0)
			continue;
		values[0] = CStringGetTextDatum(channel);
		values[1] = Int32GetDatum((int32) in_flight);
		values[2] = Int32GetDatum((int32) overdue);
		values[3] = TimestampTzGetDatum(since);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values,
							 nulls);
	}
	return (Datum) 0;
}
