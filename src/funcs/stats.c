/*-------------------------------------------------------------------------
 *
 * stats.c
 *		What SQL may see of this server's processes and settings.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/timestamp.h"

#include "base/breaker.h"
#include "compat.h"
#include "guc.h"
#include "line/line_api.h"
#include "server/identity.h"
#include "server/shmem.h"
#include "server/wakeup.h"

PG_FUNCTION_INFO_V1(line_notify_workers);
PG_FUNCTION_INFO_V1(line_notify_preload_state);
PG_FUNCTION_INFO_V1(line_notify_node);
PG_FUNCTION_INFO_V1(line_notify_twin_runs);
PG_FUNCTION_INFO_V1(line_notify_wake);
PG_FUNCTION_INFO_V1(line_notify_outcome_noted);
PG_FUNCTION_INFO_V1(line_notify_identity_fault);
PG_FUNCTION_INFO_V1(line_notify_timeline_began);
PG_FUNCTION_INFO_V1(line_notify_rescan);
PG_FUNCTION_INFO_V1(line_notify_stats);
PG_FUNCTION_INFO_V1(line_notify_forget_words);
PG_FUNCTION_INFO_V1(line_notify_reset_stats);
PG_FUNCTION_INFO_V1(line_notify_quantile);
PG_FUNCTION_INFO_V1(line_notify_resumed);

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
			return slot->version_mismatch ? "version" : "running";
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
		Datum		values[10];
		bool		nulls[10] = {false};

		if (i < 0)
		{
			memset(nulls, true, sizeof(nulls));
			nulls[1] = nulls[2] = false;
			values[1] = CStringGetTextDatum(launcher_pid != 0 ? "launcher"
											: "no launcher");
			values[2] = Int32GetDatum(launcher_pid);
			nulls[2] = launcher_pid == 0;
		}
		else
		{
			const LnSlot *s = &slots[i];
			pg_atomic_uint32 *in_flight;

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
			in_flight = (pg_atomic_uint32 *) &s->in_flight;
			values[7] = Int32GetDatum((int32) pg_atomic_read_u32(in_flight));
			values[8] = CStringGetTextDatum(s->last_error);
			nulls[8] = s->last_error[0] == '\0';
			values[9] = TimestampTzGetDatum(s->last_error_at);
			nulls[9] = s->last_error_at == 0;
		}
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values,
							 nulls);
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
line_notify_identity_fault(PG_FUNCTION_ARGS)
{
	const char *fault = NULL;

	/* a standby is what it will be promoted to */
	if (!PG_ARGISNULL(0) && !RecoveryInProgress())
		fault = ln_identity_fault(PG_GETARG_TIMESTAMPTZ(0),
								  PG_ARGISNULL(1) ? 0
								  : (uint32) PG_GETARG_INT32(1));
	if (fault == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(fault));
}

Datum
line_notify_timeline_began(PG_FUNCTION_ARGS)
{
	TimestampTz began = ln_identity_timeline_began();

	if (began == DT_NOBEGIN)
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(began);
}

Datum
line_notify_twin_runs(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(ln_identity_twin_runs());
}

Datum
line_notify_wake(PG_FUNCTION_ARGS)
{
	ln_wakeup_at_commit(LN_WORK_ALL);
	PG_RETURN_VOID();
}

/*
 * AFTER INSERT row trigger of outcome.  Not NOTIFY itself: its commit takes a
 * lock that the whole cluster shares, and fails when the queue is full; the
 * worker does that in a transaction of its own.
 */
Datum
line_notify_outcome_noted(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function must be called as a trigger")));
	if (ln_guc_notify_outcomes[0] != '\0')
		ln_wakeup_at_commit(LN_WORK_OUTCOMES);
	return PointerGetDatum(NULL);
}

Datum
line_notify_rescan(PG_FUNCTION_ARGS)
{
	ln_wakeup_at_end();
	PG_RETURN_VOID();
}

/* Order of the output columns of line_notify._stats() */
enum
{
	STATS_DATABASE,
	STATS_CHANNEL,
	STATS_ENDPOINT,
	STATS_SENT,
	STATS_ACCEPTED,
	STATS_UNREACHABLE,
	STATS_REFUSED,
	STATS_THROTTLED,
	STATS_UNAUTHORIZED,
	STATS_MISCONFIGURED,
	STATS_SERVER_ERROR,
	STATS_NOT_SENT,
	STATS_AMBIGUOUS,
	STATS_UNKNOWN,
	STATS_RETRIED,
	STATS_STATUS_429,
	STATS_IN_FLIGHT,
	STATS_TOKENS,
	STATS_BLOCKED_UNTIL,
	STATS_BREAKER,
	STATS_BREAKER_UNTIL,
	STATS_LATENCY,
	STATS_LAST_SUCCESS,
	STATS_LAST_ERROR_AT,
	STATS_LAST_ERROR,
	STATS_LAST_ERROR_TEXT,
	STATS_SINCE,
	STATS_LAST_ERROR_PAUSES,
	STATS_COLUMNS
};

StaticAssertDecl(LINE_OUTCOMES == LN_COUNT_UNKNOWN - LN_COUNT_ANSWERS,
				 "one counter for each outcome of an attempt");
StaticAssertDecl(STATS_STATUS_429 - STATS_SENT == LN_COUNT_STATUS_429,
				 "columns in the order of the counters");

static void
put_time(Datum *values, bool *nulls, int column, TimestampTz at, bool wanted)
{
	values[column] = TimestampTzGetDatum(at);
	nulls[column] = !wanted;
}

Datum
line_notify_stats(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	TimestampTz now = GetCurrentTimestamp();

	InitMaterializedSRF(fcinfo, 0);
	if (ln_shared == NULL)
		return (Datum) 0;

	for (int i = 0; i < LN_STATS; i++)
	{
		LnStats    *s = &ln_shared->stats[i];
		Datum		values[STATS_COLUMNS];
		bool		nulls[STATS_COLUMNS] = {false};
		Datum		latency[LN_HISTOGRAM_BUCKETS];
		Oid			database;
		char		channel[sizeof(s->channel)];
		int			kind;
		char		words[sizeof(s->words)];
		double		tokens = 0;
		int64		blocked_ns = 0;
		TimestampTz blocked_until;
		BreakerState breaker;
		TimestampTz breaker_until;
		TimestampTz last_success;
		TimestampTz last_error_at;
		LineOutcome last_error;
		int64		pause;
		TimestampTz since;
		uint64		counters[LN_COUNTERS];
		uint64		buckets[LN_HISTOGRAM_BUCKETS];
		uint64		rate_key;
		uint32		in_flight;
		static const char *const breakers[] = {"closed", "open", "half-open"};

		/*
		 * a copy: under the lock the place keeps its owner, and nothing can
		 * fail
		 */
		LWLockAcquire(ln_shared->lock, LW_SHARED);
		database = s->database;
		memcpy(channel, s->channel, sizeof(channel));
		kind = s->kind;
		for (int k = 0; k < LN_COUNTERS; k++)
			counters[k] = pg_atomic_read_u64(&s->counters[k]);
		for (int k = 0; k < LN_HISTOGRAM_BUCKETS; k++)
			buckets[k] = pg_atomic_read_u64(&s->latency[k]);
		in_flight = pg_atomic_read_u32(&s->in_flight);
		rate_key = pg_atomic_read_u64(&s->rate_key);
		breaker = (BreakerState) pg_atomic_read_u32(&s->breaker);
		breaker_until = (TimestampTz) pg_atomic_read_u64(&s->breaker_until);
		last_success = (TimestampTz) pg_atomic_read_u64(&s->last_success);
		last_error_at = (TimestampTz) pg_atomic_read_u64(&s->last_error_at);
		last_error = (LineOutcome) pg_atomic_read_u32(&s->last_error);
		pause = (int64) pg_atomic_read_u64(&s->last_error_pause);
		since = (TimestampTz) pg_atomic_read_u64(&s->since);
		memcpy(words, s->words, sizeof(words));
		LWLockRelease(ln_shared->lock);
		if (database == InvalidOid)
			continue;

		values[STATS_DATABASE] = ObjectIdGetDatum(database);
		values[STATS_CHANNEL] = CStringGetTextDatum(channel);
		values[STATS_ENDPOINT] =
			CStringGetTextDatum(kind == LINE_TEMPLATE ? "template"
								: "flexible");
		for (int k = 0; k < LN_COUNTERS; k++)
			values[STATS_SENT + k] = Int64GetDatum((int64) counters[k]);
		values[STATS_IN_FLIGHT] = Int32GetDatum((int32) in_flight);

		nulls[STATS_TOKENS] =
			!ln_shmem_rate_look(rate_key, &tokens, &blocked_ns);
		values[STATS_TOKENS] = Float8GetDatum(tokens);
		blocked_until = now + blocked_ns / 1000;
		put_time(values, nulls, STATS_BLOCKED_UNTIL, blocked_until,
				 blocked_ns > 0);
		values[STATS_BREAKER] = CStringGetTextDatum(breakers[breaker]);
		put_time(values, nulls, STATS_BREAKER_UNTIL, breaker_until,
				 breaker == BREAKER_OPEN);

		for (int k = 0; k < LN_HISTOGRAM_BUCKETS; k++)
			latency[k] = Int64GetDatum((int64) buckets[k]);
		values[STATS_LATENCY] =
			PointerGetDatum(construct_array(latency, LN_HISTOGRAM_BUCKETS,
											INT8OID, 8, FLOAT8PASSBYVAL,
											TYPALIGN_DOUBLE));
		put_time(values, nulls, STATS_LAST_SUCCESS, last_success,
				 last_success != 0);
		put_time(values, nulls, STATS_LAST_ERROR_AT, last_error_at,
				 last_error_at != 0);
		values[STATS_LAST_ERROR] =
			CStringGetTextDatum(ln_line_outcome_name(last_error));
		nulls[STATS_LAST_ERROR] = nulls[STATS_LAST_ERROR_AT];
		put_time(values, nulls, STATS_SINCE, since, true);
		values[STATS_LAST_ERROR_PAUSES] =
			BoolGetDatum(pause != 0 &&
						 pause == ln_shmem_rate_blocked_until(rate_key));
		values[STATS_LAST_ERROR_TEXT] = CStringGetTextDatum(words);
		nulls[STATS_LAST_ERROR_TEXT] =
			nulls[STATS_LAST_ERROR_AT] || words[0] == '\0';
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values,
							 nulls);
	}
	return (Datum) 0;
}

void
ln_stats_error(LnStats *s, int status, const char *words)
{
	char		shown[LN_STATS_WORDS];

	if (s == NULL)
		return;
	if (status != 0)
		snprintf(shown, sizeof(shown), "HTTP status %d%s%s", status,
				 words[0] != '\0' ? ": " : "", words);
	else
		strlcpy(shown, words, sizeof(shown));
	/* in an outage all say the same, and nobody else writes here */
	if (strcmp(s->words, shown) == 0)
		return;
	LWLockAcquire(ln_shared->lock, LW_EXCLUSIVE);
	strlcpy(s->words, shown, sizeof(s->words));
	LWLockRelease(ln_shared->lock);
}

/* The worker may count while we do this; such a count survives or not. */
Datum
line_notify_reset_stats(PG_FUNCTION_ARGS)
{
	int			n = 0;

	if (ln_shared == NULL)
		PG_RETURN_INT32(0);
	LWLockAcquire(ln_shared->lock, LW_SHARED);
	for (int i = 0; i < LN_STATS; i++)
	{
		LnStats    *s = &ln_shared->stats[i];

		if (s->database != MyDatabaseId)
			continue;
		for (int k = 0; k < LN_COUNTERS; k++)
			pg_atomic_write_u64(&s->counters[k], 0);
		for (int k = 0; k < LN_HISTOGRAM_BUCKETS; k++)
			pg_atomic_write_u64(&s->latency[k], 0);
		pg_atomic_write_u64(&s->last_success, 0);
		pg_atomic_write_u64(&s->last_error_at, 0);
		pg_atomic_write_u64(&s->since, (uint64) GetCurrentTimestamp());
		n++;
	}
	LWLockRelease(ln_shared->lock);
	PG_RETURN_INT32(n);
}

/*
 * _forget_words(): what LINE said last may quote a message of a person who is
 * erased.
 */
Datum
line_notify_forget_words(PG_FUNCTION_ARGS)
{
	if (ln_shared == NULL)
		PG_RETURN_VOID();
	LWLockAcquire(ln_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < LN_STATS; i++)
		if (ln_shared->stats[i].database == MyDatabaseId)
			ln_shared->stats[i].words[0] = '\0';
	LWLockRelease(ln_shared->lock);
	PG_RETURN_VOID();
}

/*
 * quantile(latency bigint[], share double precision): milliseconds, NULL of
 * nothing
 */
Datum
line_notify_quantile(PG_FUNCTION_ARGS)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(0);
	double		share = PG_GETARG_FLOAT8(1);
	uint64		counts[LN_HISTOGRAM_BUCKETS] = {0};
	Datum	   *elements;
	bool	   *nulls;
	int			n;
	int64		us;

	if (!(share >= 0 && share <= 1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("share must be between 0 and 1")));
	deconstruct_array(array, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE,
					  &elements, &nulls, &n);
	if (n != LN_HISTOGRAM_BUCKETS)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("a latency histogram has %d buckets",
						LN_HISTOGRAM_BUCKETS),
				 errhint("Pass column latency of view line_notify.stats.")));
	for (int i = 0; i < n; i++)
		if (!nulls[i] && DatumGetInt64(elements[i]) > 0)
			counts[i] = (uint64) DatumGetInt64(elements[i]);
	us = ln_histogram_quantile_us(counts, (int) (share * 1000 + 0.5));
	if (us < 0)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(us == PG_INT64_MAX ? get_float8_infinity() : us / 1000.0);
}

/*
 * An operator resumes a channel: pauses that LINE asked for and the breaker
 * end at once.  Not undone by a rollback; then LINE says it again.
 */
Datum
line_notify_resumed(PG_FUNCTION_ARGS)
{
	char	   *channel = text_to_cstring(PG_GETARG_TEXT_PP(0));

	if (ln_shared != NULL)
	{
		LWLockAcquire(ln_shared->lock, LW_SHARED);
		for (int i = 0; i < LN_STATS; i++)
		{
			LnStats    *s = &ln_shared->stats[i];

			if (s->database != MyDatabaseId ||
				strcmp(s->channel, channel) != 0)
				continue;
			ln_shmem_rate_unblock(pg_atomic_read_u64(&s->rate_key));
			pg_atomic_write_u32(&s->resumed, 1);
		}
		LWLockRelease(ln_shared->lock);
	}
	ln_wakeup_at_commit(LN_WORK_CONFIG);
	PG_RETURN_VOID();
}
