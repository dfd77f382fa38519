/*-------------------------------------------------------------------------
 *
 * record.c
 *		Recording: outcomes of finished deliveries become history, under their
 *		leases.
 *
 * Results wait in memory until they can be written, their leases and journals
 * with them.  The commit that records them need not be flushed, when what it
 * says could be said again: see send_journal.h.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "replication/syncrep.h"
#include "utils/timestamp.h"

#include "guc.h"
#include "worker/state.h"

/*
 * Results are recorded when so many wait, or the oldest waits so long (us): 40
 * times what the last record took, since a small batch costs nearly as much as
 * a large one.  With nothing else in hand, at once.
 */
#define RECORD_BATCH		256
#define RECORD_DELAY_FACTOR	40
#define RECORD_DELAY_MIN_US	10000
#define RECORD_DELAY_MAX_US	100000

/* A row refused by itself is tried again so often (ms), doubling. */
#define ROW_RETRY_FIRST		1000

/* Failures by itself after which an outcome is set aside, seconds later. */
#define SET_ASIDE_AFTER		3

static int64 delay_us = RECORD_DELAY_MIN_US;	/* how long results may wait */
static int	nrefused = 0;		/* deliveries that the database refused */

typedef struct Batch
{
	LnRecord   *recs;
	int			n;
	bool		durable;		/* flushed when it is committed */
	int			held;
} Batch;

static void
record_phase(void *arg)
{
	Batch	   *b = (Batch *) arg;

	if (!b->durable)
		ln_phase_set("synchronous_commit", "off");
	b->held = ln_outbox_record(b->recs, b->n);
}

/*
 * Record a batch; one that the database refuses is halved until the row that
 * it objects to stands alone.  fault[i]: 0 = it is through, or the SQLSTATE of
 * what kept it from that.
 */
static void
record_batch(LnRecord *recs, int *fault, int n, bool durable)
{
	Batch		b = {recs, n, durable, 0};
	int64		skipped;

	if (ln_phase("recording outcomes", record_phase, &b))
	{
		if (b.held != n && ln_worker_may_log(LOG_LEASE, &skipped))
			ereport(WARNING,
					(errmsg("%d of %d leases were no longer ours when their outcome was recorded",
							n - b.held, n),
					 skipped > 0 ? errdetail(INT64_FORMAT " more batches since the last such line.", skipped) : 0));
		memset(fault, 0, sizeof(int) * n);
		return;
	}
	for (int i = 0; i < n; i++)
		fault[i] = ln_phase_sqlstate();
	if (n > 1 && ln_phase_row_fault() && !ProcDiePending)
	{
		record_batch(recs, fault, n / 2, durable);
		record_batch(recs + n / 2, fault + n / 2, n - n / 2, durable);
	}
}

static void
fill(LnRecord *r, const Delivery *d)
{
	r->id = d->id;
	r->token = d->token;
	r->channel = d->channel->row.name;
	r->next = d->next_step;
	r->outcome = d->outcome;
	r->status = d->status;
	r->request_id = d->request_id;
	r->error = d->error;
	r->sent_at = d->attempted ? d->sent_at : 0;
	r->ended_at = d->ended_at;
	r->retry_at = d->retry_at;
	r->attempted = d->attempted;
}

/*
 * May a crash take this record?  If the lease that is there again says the
 * same, together with the journal; and if what is held as unknown, where the
 * journal is gone as well, is all that can come of it.
 */
static bool
may_be_lost(const Delivery *d, const LnRecord *r)
{
	const LnChannelRow *row = &d->channel->row;
	LnOrphan	o;
	LnRecord	again;

	if (r->next == LINE_RETRY_LATER || r->next == LINE_RETURN ||
		ln_policy_or(d->policy.on_unknown, row->on_unknown) != LINE_HOLD ||
		ln_policy_or(d->policy.on_server_error, row->on_server_error) !=
		LINE_HOLD)
		return false;
	memset(&o, 0, sizeof(o));
	o.attempt = d->attempt;
	o.maybe_sent = d->maybe_sent;
	o.policy = unconstify(LnPolicy *, &d->policy);
	ln_worker_reconstruct(&o, d->journal, d->channel, &again);
	return again.next == r->next && again.outcome == r->outcome &&
		again.status == r->status && again.attempted == r->attempted &&
		again.sent_at == r->sent_at && again.ended_at == r->ended_at &&
		strcmp(again.request_id, r->request_id) == 0 &&
		strcmp(again.error, r->error) == 0;
}

/* Is one of them to be flushed?  Then all are. */
static bool
must_be_durable(Delivery **list, const LnRecord *recs, int n)
{
	if (ln_guc_flush_outcomes_after == 0 ||
		(SyncRepStandbyNames != NULL && SyncRepStandbyNames[0] != '\0'))
		return true;
	for (int i = 0; i < n; i++)
		if (!may_be_lost(list[i], &recs[i]))
			return true;
	return false;
}

/*
 * It is in the tables, or aside: the place is free when that is on disk.
 * Returns whom to wake.
 */
static uint32
recorded(Delivery *d, bool aside)
{
	LnChannel  *c = d->channel;
	uint32		ended = 0;

	if (!aside &&
		(d->next_step == LINE_RETRY_LATER || d->next_step == LINE_RETURN))
	{
		/* back in the queue */
		ln_worker_lane_wait(c, d->lane, d->retry_at);
		ln_tasks_expires(d->expires_at);
	}
	else
		ended = ln_shmem_ending(d->id);
	if (d->attempted)
		pg_atomic_fetch_add_u64(&W.slot->recorded, 1);
	c->in_flight--;
	if (d->attempted && ln_line_may_have_been_sent(d->outcome))
		c->row.sent_today++;
	nrefused -= d->record_at != 0;
	d->state = DELIVERY_KEPT;
	ln_worker_regate(c);
	return ended;
}

/*
 * A row that the database refuses by itself waits here, its lease and its
 * journal entry with it, and does not hold up the others.
 */
static void
refused(Delivery *d)
{
	nrefused += d->record_at == 0;
	d->record_at =
		TimestampTzPlusMilliseconds(W.now, ROW_RETRY_FIRST <<
									Min(d->record_failures, 8));
	d->record_failures++;
}

static void
count_part(void *arg)
{
	ln_outbox_count_sent((LnRecord *) arg, 1);
}

void
ln_worker_set_aside(LnRecord *rec, int sqlstate)
{
	ln_outbox_set_aside(rec, sqlstate);
	/* it counts for the day all the same, unless that is what is refused */
	(void) ln_phase_part(count_part, rec);
}

typedef struct Aside
{
	LnRecord   *rec;
	int			sqlstate;
} Aside;

static void
set_aside_phase(void *arg)
{
	Aside	   *a = (Aside *) arg;

	ln_worker_set_aside(a->rec, a->sqlstate);
}

/*
 * A row that the database has refused for some seconds goes where nothing
 * refuses it, since there is not room for many here.  False: not yet, or that
 * failed, too.
 */
static bool
set_aside(Delivery *d, LnRecord *rec, int sqlstate)
{
	Aside		aside = {rec, sqlstate};
	int64		skipped;

	if (d->record_failures < SET_ASIDE_AFTER ||
		!ln_phase("setting an outcome aside", set_aside_phase, &aside))
		return false;
	ln_tasks_by(TASK_SET_ASIDE,
				TimestampTzPlusMilliseconds(W.now, SET_ASIDE_GAP));
	ln_tasks_by(TASK_UNBLOCK, DT_NOBEGIN);
	if (ln_worker_may_log(LOG_SET_ASIDE, &skipped))
		ereport(WARNING,
				(errmsg("the outcome of message " INT64_FORMAT " cannot be recorded and was set aside",
						d->id),
				 skipped > 0
				 ? errdetail("SQLSTATE %s; " INT64_FORMAT " more since the last such line.",
							 unpack_sql_state(sqlstate), skipped)
				 : errdetail("SQLSTATE %s.", unpack_sql_state(sqlstate)),
				 errhint("See line_notify.health(); it is recorded when the tables take it.")));
	return true;
}

TimestampTz
ln_worker_record_set_aside(void)
{
	int64		through;
	bool		found = ln_outbox_record_set_aside(&through);

	if (through > 0)
	{
		ln_phase_ended_messages();
		ln_tasks_look_for_due();
		ereport(LOG,
				(errmsg("recorded " INT64_FORMAT " outcomes that had been set aside",
						through)));
	}
	/* it takes so many at a time: only what finds none is the end */
	if (through > 0)
		return GetCurrentTimestamp();
	return found
		? TimestampTzPlusMilliseconds(GetCurrentTimestamp(), SET_ASIDE_GAP)
		: DT_NOEND;
}

void
ln_worker_record_soon(void)
{
	delay_us = RECORD_DELAY_MIN_US;
}

TimestampTz
ln_worker_record_due(void)
{
	TimestampTz due = DT_NOEND;
	Delivery   *first = NULL;

	for (Delivery *d = ln_deliveries_done_first(); d != NULL;
		 d = ln_deliveries_done_next(d))
	{
		if (d->record_at != 0)
			due = Min(due, d->record_at);
		else if (first == NULL)
			first = d;
		if (first != NULL && nrefused == 0)
			break;
	}
	if (first == NULL)
		return due;
	if (ln_deliveries_done() >= RECORD_BATCH ||
		ln_deliveries_sent() + ln_deliveries_claimed() == 0)
		return DT_NOBEGIN;
	return Min(due, first->ended_at + delay_us);
}

LnTaskResult
ln_worker_record(TimestampTz *again)
{
	int			most = RECORD_BATCH * 4;
	LnRecord   *recs = palloc0(sizeof(LnRecord) * most);
	Delivery  **list = palloc(sizeof(Delivery *) * most);
	int		   *fault = palloc0(sizeof(int) * most);
	int			n = 0;
	bool		failed = false;
	uint32		ended = 0;
	TimestampTz began = W.now;

	for (Delivery *d = ln_deliveries_done_first(); d != NULL && n < most;
		 d = ln_deliveries_done_next(d))
	{
		if (d->record_at > W.now && !ln_worker_stopping)
			continue;
		fill(&recs[n], d);
		list[n++] = d;
	}
	if (n == 0)
		return LN_TASK_IDLE;
	record_batch(recs, fault, n, must_be_durable(list, recs, n));
	delay_us = RECORD_DELAY_FACTOR * (GetCurrentTimestamp() - began);
	delay_us = Max(RECORD_DELAY_MIN_US, Min(delay_us, RECORD_DELAY_MAX_US));

	for (int i = 0; i < n; i++)
	{
		if (fault[i] == 0)
			ended |= recorded(list[i], false);
		else if (!ln_is_row_fault(fault[i]))
			failed = true;
		else
		{
			refused(list[i]);
			if (set_aside(list[i], &recs[i], fault[i]))
				ended |= recorded(list[i], true);
		}
	}
	ln_deliveries_sweep();
	ln_shmem_ended(ended);
	ln_tasks_counted();
	return failed ? LN_TASK_FAILED : LN_TASK_PROGRESS;
}
