/*-------------------------------------------------------------------------
 *
 * record.c
 *		Recording: outcomes of finished deliveries become history, under their
 *		leases.
 *
 * Results wait in memory until they can be written, their leases and journals
 * with them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/timestamp.h"

#include "worker/state.h"

static void note_return(Delivery *t);

typedef struct Batch
{
	LnRecord   *recs;
	int			n;
	int			held;
} Batch;

static void
record_phase(void *arg)
{
	Batch	   *b = (Batch *) arg;

	b->held = ln_outbox_record(b->recs, b->n);
}

/*
 * Record a batch; one that the database refuses is halved until the row that
 * it objects to stands alone.  ok[i] says what is through.
 */
static void
record_batch(LnRecord *recs, bool *ok, int n)
{
	Batch		b = {recs, n, 0};
	int64		skipped;

	if (ln_phase("recording outcomes", record_phase, &b))
	{
		if (b.held != n && ln_worker_may_log(LOG_LEASE, &skipped))
			ereport(WARNING,
					(errmsg("%d of %d leases were no longer ours when their outcome was recorded",
							n - b.held, n),
					 skipped > 0
					 ? errdetail(INT64_FORMAT
								 " more batches since the last such line.",
								 skipped)
					 : 0));
		memset(ok, true, sizeof(bool) * n);
		return;
	}
	memset(ok, false, sizeof(bool) * n);
	if (n > 1 && ln_is_row_fault(W.last_sqlstate) && !ProcDiePending)
	{
		record_batch(recs, ok, n / 2);
		record_batch(recs + n / 2, ok + n / 2, n - n / 2);
	}
}

void
ln_worker_record(void)
{
	TimestampTz now = GetCurrentTimestamp();
	LnRecord   *recs;
	bool	   *ok;
	int		   *places;
	int			n = 0;
	int			left = 0;
	uint32		ended = 0;

	if (W.ndone == 0)
		return;
	if (!ln_worker_stopping &&
		(ln_backing_off("recording outcomes") || W.record_at > now))
		return;
	if (W.ndone < RECORD_BATCH && W.nsent + W.nclaimed > 0 &&
		now - W.first_done_at < W.record_delay_us)
		return;

	recs = palloc0(sizeof(LnRecord) * RECORD_BATCH * 4);
	ok = palloc0(sizeof(bool) * RECORD_BATCH * 4);
	places = palloc(sizeof(int) * RECORD_BATCH * 4);
	for (int i = 0; i < W.ndone && n < RECORD_BATCH * 4; i++)
	{
		Delivery   *t = &W.deliveries[W.done[i]];
		LnRecord   *r = &recs[n];

		if (t->record_at > now && !ln_worker_stopping)
			continue;
		places[n++] = i;
		r->id = t->id;
		r->token = t->token;
		r->channel = t->channel->row.name;
		r->next = t->next;
		r->outcome = t->outcome;
		r->status = t->status;
		r->request_id = t->request_id;
		r->error = t->error;
		r->sent_at = t->attempted ? t->sent_at : 0;
		r->ended_at = t->ended_at;
		r->retry_at = t->retry_at;
		r->attempted = t->attempted;
	}
	if (n > 0)
	{
		record_batch(recs, ok, n);
		W.record_delay_us =
			RECORD_DELAY_FACTOR * (GetCurrentTimestamp() - now);
		W.record_delay_us = Max(RECORD_DELAY_MIN_US,
								Min(W.record_delay_us, RECORD_DELAY_MAX_US));
	}
	if (ln_backing_off("recording outcomes") &&
		ln_is_row_fault(W.last_sqlstate))
		ln_backoff_clear("recording outcomes"); /* the rows rest, see below */

	for (int k = 0; k < n; k++)
	{
		int			i = places[k];
		Delivery   *t = &W.deliveries[W.done[i]];

		if (!ok[k])
		{
			/*
			 * A row that the database refuses by itself waits here, its lease
			 * and its journal with it, and does not hold up the others.
			 */
			if (ln_is_row_fault(W.last_sqlstate))
			{
				t->record_at = TimestampTzPlusMilliseconds(now, 1000 << Min(t->record_failures, 8));
				t->record_failures++;
			}
			continue;
		}
		if (t->next == LINE_RETRY_LATER || t->next == LINE_RETURN)
			note_return(t);
		else
			ended |= ln_shmem_ending(t->id);
		if (t->attempted)
			pg_atomic_fetch_add_u64(&W.slot->recorded, 1);
		t->channel->in_flight--;
		if (t->attempted && ln_line_may_have_been_sent(t->outcome))
			t->channel->row.sent_today++;
		t->journal->id = 0;
		t->state = DELIVERY_FREE;
		W.free_list[W.nfree++] = W.done[i];
		W.done[i] = -1;
	}

	ln_shmem_ended(ended);

	/* close the gaps; those that failed set when to try again */
	W.record_at = W.ndone > 0 ? DT_NOEND : 0;
	for (int i = 0; i < W.ndone; i++)
	{
		if (W.done[i] < 0)
			continue;
		W.record_at = Min(W.record_at, W.deliveries[W.done[i]].record_at);
		W.done[left++] = W.done[i];
	}
	W.ndone = left;
	if (left == 0)
		W.record_at = 0;
	W.first_done_at = left > 0 ? now : 0;
	W.idle_since = now;
	ln_worker_judge_timeouts_soon();
}

/*
 * A message went back to the queue: its lane has something at that time, and
 * it may expire.
 */
static void
note_return(Delivery *t)
{
	LnLane	   *lane = &t->channel->lanes[t->lane];

	lane->next_due = Min(lane->next_due, t->retry_at);
	/* the look for the next expiry has passed over it */
	W.expiry_at = Min(W.expiry_at, t->expires_at);
}
