/*-------------------------------------------------------------------------
 *
 * facts.c
 *		What the gate is asked about an endpoint, and telling others what it
 *		says.
 *
 * Everybody in the worker who wants to know whether an endpoint may be sent to
 * asks here, and gets the same verdict until the clock is read again.  Whoever
 * wants to know from outside reads the last one that was published; it is
 * published before anything that can block.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "guc.h"
#include "server/clock.h"
#include "worker/probe.h"
#include "worker/state.h"
#include "worker/token.h"

/* While recording fails, claiming stops when 1/x of all wait for it. */
#define MAX_UNRECORDED		2

bool
ln_worker_read_clock(void)
{
	static int64 ahead;
	int64		by;

	W.now = GetCurrentTimestamp();
	W.reading++;
	by = ln_clock_set_back(W.now, &ahead);
	if (by > 0)
		ln_tasks_set_back(by);
	return by > 0;
}

int
ln_worker_budget_left(const LnChannel *c)
{
	int64		left;

	if (c->row.daily_budget == 0)
		return PG_INT32_MAX;
	left = c->row.daily_budget - c->row.sent_today - c->in_flight;
	return left > 0 ? (int) Min(left, PG_INT32_MAX) : 0;
}

static void
gather(LnChannel *c, LineKind kind, LnGateFacts *f)
{
	int64		mono_ns = ln_monotonic_ns();
	int64		wait_ns;
	int64		breaker_ms;

	f->disabled = !ln_guc_enabled;
	f->version_mismatch = W.version_mismatch;
	f->no_channel = c->gone;
	f->disarmed = W.home == 0 || c->row.home != W.home;
	f->channel_paused = c->row.paused;
	f->token_refused = c->row.paused_automatically;
	f->endpoint_paused = c->row.endpoint_paused[kind];
	f->token = ln_token_need(c->token, W.now, &f->token_retry);
	f->quiet_until = ln_channel_quiet_until(c, W.now);
	if (c->row.daily_budget > 0 && W.now >= c->row.day_ends)
		ln_tasks_by(TASK_CONFIGURE, DT_NOBEGIN);	/* the new day's count */
	else if (ln_worker_budget_left(c) == 0)
	{
		if (c->row.sent_today >= c->row.daily_budget)
			f->budget_until = c->row.day_ends;
		else
			f->in_flight_full = true;	/* an answer may leave some of it */
	}
	f->limit_until = c->limit_until;
	/* any worker of this cluster may have been told to wait */
	wait_ns = ln_shmem_rate_blocked_until(c->rate_key[kind]) - mono_ns;
	if (wait_ns > 0)
		f->line_wait_until = W.now + wait_ns / 1000 + 1;
	breaker_ms = ln_breaker_wait_ms(&c->breaker, mono_ns / 1000000);
	if (breaker_ms > 0)
		f->breaker_until = W.now + breaker_ms * 1000;
	else
		f->probing =
			ln_breaker_allow(&c->breaker, 1, mono_ns / 1000000) == 0 ||
			!ln_probe_clear(c);
	if (W.drain_until != 0 && !c->mine)
		f->other_drain_until = W.now + OTHER_DRAIN_RETRY;
	f->backoff_until = c->backoff_until;
	f->unrecorded = ln_tasks_failing(TASK_RECORD) &&
		ln_deliveries_done() >= ln_deliveries_size() / MAX_UNRECORDED;
	f->window_full =
		ln_window_free(&c->window, ln_deliveries_current(c),
					   mono_ns / 1000000) == 0;
	if (c->in_flight >= c->row.max_in_flight || ln_deliveries_free() == 0)
		f->in_flight_full = true;
	f->rate_until = c->rate_until[kind];
}

LnVerdict
ln_worker_gate(LnChannel *c, LineKind kind)
{
	if (c->verdict_reading[kind] != W.reading)
	{
		LnGateFacts facts;

		memset(&facts, 0, sizeof(facts));
		gather(c, kind, &facts);
		c->verdict[kind] = ln_gate(&facts, W.now);
		c->verdict_reading[kind] = W.reading;
	}
	return c->verdict[kind];
}

void
ln_worker_regate(LnChannel *c)
{
	c->verdict_reading[0] = c->verdict_reading[1] = 0;
}

static bool
same(const LnVerdict *a, const LnVerdict *b)
{
	return a->reason == b->reason && a->until == b->until &&
		a->not_before == b->not_before;
}

/* Of an endpoint nothing waits for, nothing is asked: no token, no probe. */
void
ln_worker_publish(LnChannel *c)
{
	for (LineKind kind = LINE_TEMPLATE; kind <= LINE_FLEXIBLE; kind++)
	{
		LnVerdict	v = {LN_DUE, LN_NOW, LN_NOW};

		if (c->stats[kind] == NULL)
			continue;
		if (c->claimed[kind].n > 0 || ln_worker_lanes_due(c, kind) <= W.now)
			v = ln_worker_gate(c, kind);
		if (pg_atomic_read_u32(&c->stats[kind]->breaker) !=
			(uint32) c->breaker.state)
			ln_stats_breaker(c->stats[kind], c->breaker.state,
							 W.now + (c->breaker.until_ms -
									  ln_monotonic_ns() / 1000000) * 1000);
		ln_stats_unanswered(c->stats[kind], c->overdue,
							ln_deliveries_oldest(c));
		if (same(&v, &c->published[kind]))
			continue;
		ln_stats_verdict(c->stats[kind], v, W.now);
		c->published[kind] = v;
	}
}

void
ln_worker_publish_all(void)
{
	for (int i = 0; i < W.nchannels; i++)
		ln_worker_publish(W.channels[i]);
}
