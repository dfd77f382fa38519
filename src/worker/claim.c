/*-------------------------------------------------------------------------
 *
 * claim.c
 *		Claiming: due rows of a lane get a lease each, and become deliveries.
 *
 * A claim is a short transaction, durable before the first byte leaves.
 * Claims are as large as what can be sent soon and no more often than pays:
 * alone, a message is claimed at once; under load a batch gathers.  Channels
 * take turns, and so do the lanes of a channel.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "storage/lock.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/crypto.h"
#include "guc.h"
#include "worker/probe.h"
#include "worker/state.h"
#include "worker/token.h"


/* A channel whose claim failed rests so long, doubling (ms). */
#define CLAIM_RETRY_FIRST	100

/*
 * Until the question before a probe is answered, a channel is looked at so
 * often (us).
 */
#define PROBE_WAIT_US	50000

/* A row that cannot be claimed is not looked at again for this long (ms). */
#define QUARANTINE_MS		3600000

/* One claim: what for, and what came of it. */
typedef struct Claim
{
	LnChannel  *channel;
	int			lane;
	int			limit;
	LnMessage  *rows;			/* claimed; when none is, the picked ones */
	int			n;				/* claimed */
	int			picked;
	TimestampTz now;
} Claim;

static void message_subject(const LnMessage *m, char *buf);

void
ln_worker_lock_claims(void)
{
	LOCKTAG		tag;

	/* one claimer at a time; ends with the transaction */
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0, LOCK_CLAIM, LOCK_FIELD);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
}

/* What a claim finds of a due row. */
typedef enum Verdict
{
	GO,
	BLOCKED,					/* not the head of its order_key, or its
								 * template, design or use case is paused */
	OVERTAKEN,					/* a later one of its order_key is on the wire */
	NOT_ALLOWED,				/* not on the list of the channel */
	OPTED_OUT,					/* does not want to be sent notices */
	UNWRITABLE,					/* a text has no UTF-8 form */
	VERDICTS
} Verdict;

/*
 * Is another message of this order_key on the wire?  A later one, then: our
 * row was committed, or redriven, after that was claimed.  Other keys with the
 * same hash wait in vain, for a moment.
 */
static bool
is_overtaken(const Claim *c, const LnMessage *m)
{
	if (!m->ordered)
		return false;
	for (int i = 0; i < W.ndeliveries; i++)
	{
		const Delivery *t = &W.deliveries[i];

		if (t->state != DELIVERY_FREE && t->ordered &&
			t->order_hash == m->order_hash && t->channel == c->channel)
			return true;
	}
	return false;
}

static Verdict
judge(const Claim *c, const LnMessage *m, bool objected)
{
	char		subject[LN_SUBJECT_LEN];

	if (m->not_utf8)
		return UNWRITABLE;
	if (!ln_channel_allows(c->channel, m->recipient))
		return NOT_ALLOWED;
	if (objected)
		return OPTED_OUT;
	message_subject(m, subject);
	if (m->blocked ||
		ln_channel_part_paused(c->channel, ln_lane_kind(c->lane), subject) ||
		ln_channel_use_case_paused(c->channel, m->use_case))
		return BLOCKED;
	if (is_overtaken(c, m))
		return OVERTAKEN;
	return GO;
}

static void
claim_phase(void *arg)
{
	Claim	   *c = (Claim *) arg;
	LnLane	   *lane = &c->channel->lanes[c->lane];
	LnMessage  *picked;
	LnMessage  *sorted[VERDICTS];
	int			n[VERDICTS] = {0};
	bool	   *objected = NULL;
	TimestampTz last_due;

	ln_worker_lock_claims();

	/*
	 * We have waited for ALTER EXTENSION ... UPDATE, see hooks.c: what is in
	 * the tables now may not be ours to send.
	 */
	if (pg_atomic_read_u32(&W.slot->work) & LN_WORK_EXTENSION)
		return;

	c->now = GetCurrentTimestamp();
	if (ln_horizon_note(&W.horizon, c->now,
						U64FromFullTransactionId(ReadNextFullTransactionId())))
		ln_worker_forget_bounds();	/* the clock was set back */
	c->picked =
		ln_outbox_lock_due(c->channel->row.name, c->lane, W.home,
						   Max(lane->low, W.in_doubt_before == DT_NOBEGIN
							   ? DT_NOBEGIN
							   : W.in_doubt_before + 1),
						   c->now, c->limit, &picked);
	c->rows = picked;
	c->n = 0;
	last_due = c->picked > 0 ? picked[c->picked - 1].due_at : c->now;

	if (W.any_suppressed && c->picked > 0)
		objected = ln_outbox_find_suppressed(picked, c->picked);
	for (int v = 0; v < VERDICTS; v++)
		sorted[v] = palloc(sizeof(LnMessage) * Max(c->picked, 1));
	for (int i = 0; i < c->picked; i++)
	{
		Verdict		v = judge(c, &picked[i], objected != NULL && objected[i]);

		sorted[v][n[v]++] = picked[i];
	}
	if (n[BLOCKED] > 0)
		ln_outbox_block(sorted[BLOCKED], n[BLOCKED]);
	if (n[OVERTAKEN] > 0)
	{
		ln_outbox_delay(sorted[OVERTAKEN], n[OVERTAKEN]);
		W.need_scan = true;
	}
	if (n[UNWRITABLE] > 0)
		ln_outbox_reject(sorted[UNWRITABLE], n[UNWRITABLE],
						 "a text cannot be written in UTF-8");
	if (n[OPTED_OUT] > 0)
		ln_outbox_suppress(sorted[OPTED_OUT], n[OPTED_OUT],
						   "the recipient objected");
	if (n[NOT_ALLOWED] > 0)
		ln_outbox_suppress(sorted[NOT_ALLOWED], n[NOT_ALLOWED],
						   "only_recipients: not on the list of the channel");
	if (n[UNWRITABLE] + n[OPTED_OUT] + n[NOT_ALLOWED] > 0)
		W.expiry_at = c->now;	/* expiry moves what has ended to history */
	if (n[GO] > 0)
	{
		uint64	   *tokens = palloc(sizeof(uint64) * n[GO]);

		if (!ln_random_bytes(tokens, sizeof(uint64) * n[GO]))
			elog(ERROR, "could not get random bytes");
		for (int i = 0; i < n[GO]; i++)
		{
			sorted[GO][i].token = tokens[i] >> 1;
			/* before the lease can be seen by anybody */
			ln_journal_claim(
							 W.deliveries[W.free_list[W.nfree - 1 - i]].journal,
							 sorted[GO][i].id, sorted[GO][i].token);
		}
		ln_outbox_lease(sorted[GO], n[GO], W.home, W.claimer);
		c->rows = sorted[GO];
	}
	c->n = n[GO];

	/*
	 * From here on the lane holds nothing before this, except rows of
	 * transactions that were running before: see horizon.c.
	 */
	lane->maybe = c->picked == c->limit;
	lane->head = last_due;
	lane->low = ln_horizon_safe(&W.horizon, GetActiveSnapshot()->xmin,
								lane->maybe ? last_due : c->now);
}

static void
message_subject(const LnMessage *m, char *buf)
{
	if (m->template_key != NULL)
		ln_outbox_subject(buf, LINE_TEMPLATE, m->template_key);
	else
		ln_outbox_subject(buf, LINE_FLEXIBLE, m->use_case);
}

/* Move the claimed rows into deliveries; no error can come between. */
static void
take_claimed(Claim *c)
{
	for (int i = 0; i < c->n; i++)
	{
		LnMessage  *m = &c->rows[i];
		int			place = W.free_list[--W.nfree];
		Delivery   *t = &W.deliveries[place];
		LineMessage msg;

		t->state = DELIVERY_CLAIMED;
		t->id = m->id;
		t->token = m->token;
		t->attempt = m->attempt;
		t->maybe_sent = m->maybe_sent;
		t->ordered = m->ordered;
		t->order_hash = m->order_hash;
		t->expires_at = m->expires_at;
		t->channel = c->channel;
		t->lane = c->lane;
		t->kind = m->template_key != NULL ? LINE_TEMPLATE : LINE_FLEXIBLE;
		t->sent_at = 0;
		t->attempted = false;
		message_subject(m, t->subject);
		strlcpy(t->use_case, m->use_case, sizeof(t->use_case));
		if (m->policy != NULL)
			t->policy = *m->policy;
		else
			ln_policy_init(&t->policy);

		memset(&msg, 0, sizeof(msg));
		msg.kind = t->kind;
		msg.to = m->recipient;
		msg.template_key = m->template_key;
		msg.body = m->body;
		msg.body_len = m->body ? strlen(m->body) : 0;
		msg.messages = m->messages;
		msg.messages_len = m->messages ? strlen(m->messages) : 0;
		msg.notification_disabled = m->notification_disabled;
		msg.aggregation_unit = m->aggregation_unit;
		t->request_len = ln_line_body(&msg, NULL, 0);
		t->request = malloc(t->request_len + 1);
		if (t->request != NULL)
			(void) ln_line_body(&msg, t->request, t->request_len + 1);

		c->channel->in_flight++;
		c->channel->queued++;
		W.claimed[(W.claimed_head + W.nclaimed) % W.ndeliveries] = place;
		W.nclaimed++;
	}
}

TimestampTz
ln_worker_closed_until(LnChannel *c, LineKind kind, TimestampTz now)
{
	int64		mono_ns = ln_monotonic_ns();
	int64		blocked_ns;
	int64		breaker_ms;
	TimestampTz quiet;

	if (!ln_channel_permitted(c, W.home) || c->row.endpoint_paused[kind])
		return DT_NOEND;
	if (!ln_channel_usable(c, W.home))
		return ln_token_deadline(c->token);
	if (W.drain_until != 0 && !c->mine)
		return Max(W.config_at, now + 1000);
	quiet = ln_channel_quiet_until(c, now);
	if (quiet != 0)
		return quiet;
	/* any worker of this cluster may have been told to wait */
	blocked_ns = ln_shmem_rate_blocked_until(c->rate_key[kind]);
	if (blocked_ns > mono_ns)
		return now + (blocked_ns - mono_ns) / 1000 + 1;
	breaker_ms = ln_breaker_wait_ms(&c->breaker, mono_ns / 1000000);
	if (breaker_ms > 0)
		return now + breaker_ms * 1000;
	if (ln_breaker_allow(&c->breaker, 1, mono_ns / 1000000) == 0)
		return DT_NOEND;		/* the probe is on the wire */
	if (!ln_probe_clear(c))
		return now + PROBE_WAIT_US;
	return 0;
}

/* What is left of today's budget for new claims. */
static int
budget_left(const LnChannel *c, TimestampTz now)
{
	int64		left;

	if (c->row.daily_budget == 0)
		return PG_INT32_MAX;
	if (now >= c->row.day_ends)
	{
		W.config_at = 0;		/* a new day: read its count */
		return 0;
	}
	left = c->row.daily_budget - c->row.sent_today - c->in_flight;
	return left > 0 ? (int) left : 0;
}

/*
 * Free deliveries that a channel may take.  Half of all are divided evenly and
 * kept for the channels that do not use theirs, so that a slow one cannot take
 * what others need; the other half is for whoever comes first.
 */
static int
fair_share(const LnChannel *c)
{
	int			usable = 1;		/* c itself */
	int			share;
	int			kept = 0;

	for (int i = 0; i < W.nchannels; i++)
		usable +=
			W.channels[i] != c && ln_channel_usable(W.channels[i], W.home);

	share = Max(W.ndeliveries / (2 * usable), 1);
	for (int i = 0; i < W.nchannels; i++)
	{
		LnChannel  *other = W.channels[i];

		if (other != c && ln_channel_usable(other, W.home) &&
			other->in_flight < share)
			kept += share - other->in_flight;
	}
	return Min(W.nfree, Max(W.nfree - kept, share - c->in_flight));
}

/* How many rows of an endpoint a channel may be given now. */
static int
room(LnChannel *c, LineKind kind, TimestampTz now)
{
	int64		now_ms = ln_monotonic_ns() / 1000000;
	int			in_hand;
	int			want;

	if (ln_worker_closed_until(c, kind, now) != 0)
		return 0;
	want = Min(CLAIM_MAX, fair_share(c));
	want = Min(want, c->row.max_in_flight - c->in_flight);
	want = Min(want, budget_left(c, now));

	/*
	 * No more in hand than a tenth of a second's worth of tokens, and one
	 * good claim.  While half of it is there, let a batch gather.
	 */
	in_hand = Min(CLAIM_MAX, Max(c->row.rate_limit / 10, 1));
	if (c->queued > in_hand / 2)
		return 0;
	want = Min(want, in_hand - c->queued);
	return ln_breaker_allow(&c->breaker, want, now_ms);
}

static void
quarantine_phase(void *arg)
{
	Claim	   *c = (Claim *) arg;

	ln_outbox_quarantine(c->rows[0].id,
						 TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
													 QUARANTINE_MS),
						 W.slot->last_error);
}

/*
 * A channel's claim failed: that channel rests.  When a single row fails again
 * and again by its own fault, it is put aside, with the reason, and the others
 * go on.
 */
static void
claim_failed(Claim *c)
{
	LnChannel  *channel = c->channel;
	bool		row_fault = ln_is_row_fault(W.last_sqlstate);
	int64		skipped;

	/* locks: no shorter batch would help */
	if (row_fault || channel->failures == 0)
		channel->failures++;
	channel->backoff_until =
		TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
									row_fault && c->limit > 1
									? 0
									: CLAIM_RETRY_FIRST
									<< Min(channel->failures, 6));
	if (row_fault && c->limit == 1 && c->picked == 1 && c->rows != NULL &&
		(CLAIM_MAX >> channel->failures) == 0 &&
		ln_phase("putting a message aside", quarantine_phase, c))
	{
		if (ln_worker_may_log(LOG_QUARANTINE, &skipped))
			ereport(WARNING,
					(errmsg("message " INT64_FORMAT
							" is in quarantine for an hour: it cannot be claimed",
							c->rows[0].id),
					 skipped > 0
					 ? errdetail(INT64_FORMAT
								 " more messages since the last such line.",
								 skipped)
					 : 0,
					 errhint("Its column error in view line_notify.notifications has the reason.")));
		channel->backoff_until = 0;
		W.need_scan = true;
	}
}

/*
 * Which lane of a channel is next, and how many rows of it?  -1 = none.  Lanes
 * take turns by the age of what waits in them, a step of priority being worth
 * a minute: large is sooner, but small is not never.
 */
static int
next_lane(LnChannel *channel, TimestampTz now, int *limit)
{
	int			best = -1;
	TimestampTz best_key = DT_NOEND;
	int			rooms[2] = {-1, -1};

	for (int p = 0; p < LN_LANES; p++)
	{
		LnLane	   *lane = &channel->lanes[p];
		LineKind	kind = ln_lane_kind(p);
		TimestampTz key;

		if (!lane->maybe && lane->next_due <= now)
		{
			lane->maybe = true;
			lane->head = lane->next_due;
			lane->low = Min(lane->low, lane->next_due);
			lane->next_due = DT_NOEND;
			W.need_scan = true; /* what comes after it */
		}
		if (!lane->maybe)
			continue;
		/* without a token: asked for, if it can be */
		if (ln_channel_permitted(channel, W.home) &&
			!ln_token_ready(channel->token, now))
			break;
		if (rooms[kind] < 0)
			rooms[kind] = Max(room(channel, kind, now), 0);
		if (rooms[kind] == 0)
			continue;
		key = (lane->head == DT_NOBEGIN ? 0 : lane->head) -
			ln_lane_priority(p) * LN_AGING_US;
		if (best < 0 || key < best_key)
		{
			best = p;
			best_key = key;
			*limit = rooms[kind];
		}
	}
	return best;
}

/* Is the last claim so recent that it is better to let a batch gather? */
static bool
too_soon(TimestampTz now)
{
	return W.nclaimed + W.nsent > 0 &&
		now - W.last_claim_at <
		Min(CLAIM_GAP_MAX_US, CLAIM_GAP_FACTOR * W.last_claim_us);
}

void
ln_worker_claim(void)
{
	TimestampTz now = GetCurrentTimestamp();

	if (!ln_guc_enabled || W.home == 0 || W.nchannels == 0 ||
		W.ndone > MAX_UNRECORDED)
		return;

	for (int k = 0; k < W.nchannels && W.nfree > 0; k++)
	{
		LnChannel  *channel = W.channels[(W.next_channel + k) % W.nchannels];
		Claim		c;
		instr_time	start;
		instr_time	duration;

		memset(&c, 0, sizeof(c));
		c.channel = channel;
		if (channel->backoff_until > now ||
			(c.lane = next_lane(channel, now, &c.limit)) < 0)
			continue;
		/* after failures, fewer at a time: one row may be the cause */
		if (channel->failures > 0)
			c.limit = Min(c.limit, Max(CLAIM_MAX >> channel->failures, 1));
		if (c.limit < CLAIM_MAX && too_soon(now))
			continue;

		INSTR_TIME_SET_CURRENT(start);
		if (!ln_phase("claiming messages", claim_phase, &c))
		{
			claim_failed(&c);
			continue;
		}
		channel->failures = 0;
		INSTR_TIME_SET_CURRENT(duration);
		INSTR_TIME_SUBTRACT(duration, start);
		W.last_claim_at = GetCurrentTimestamp();
		W.last_claim_us = (int64) INSTR_TIME_GET_MICROSEC(duration);

		/*
		 * A wait for a standby that was cut short looks like success.  Then
		 * nothing of this claim is sent: the leases stay, and the next worker
		 * finds that their journal saw nothing.
		 */
		if (ProcDiePending || QueryCancelPending)
			return;
		if (c.n > 0)
			W.idle_since = W.last_claim_at;

		/*
		 * what comes next; or why the scan saw something that we could not
		 * take
		 */
		if (c.n > 0 || channel->lanes[c.lane].suspect)
			W.need_scan = true;
		channel->lanes[c.lane].suspect = false;
		take_claimed(&c);
	}
	W.next_channel = (W.next_channel + 1) % Max(W.nchannels, 1);
}

void
ln_worker_forget_bounds(void)
{
	for (int i = 0; i < W.nchannels; i++)
		for (int p = 0; p < LN_LANES; p++)
			W.channels[i]->lanes[p].low = DT_NOBEGIN;
	W.expiry_low = DT_NOBEGIN;

	/* these may lie in the future, if the clock was set back */
	W.last_scan = W.last_claim_at = 0;
}

void
ln_worker_fill_lane(LnLane *lane, TimestampTz at)
{
	if (lane->maybe)
		return;
	lane->maybe = true;
	lane->head = at;
}

TimestampTz
ln_worker_claim_deadline(LnChannel *c, TimestampTz now)
{
	TimestampTz wake = DT_NOEND;

	for (LineKind kind = LINE_TEMPLATE; kind <= LINE_FLEXIBLE; kind++)
	{
		TimestampTz due = DT_NOEND;
		TimestampTz closed;

		for (int p = 0; p < LN_LANES; p++)
		{
			if (ln_lane_kind(p) == kind)
				due = Min(due, c->lanes[p].maybe ? now : c->lanes[p].next_due);
		}
		if (due == DT_NOEND)
			continue;
		closed = ln_worker_closed_until(c, kind, now);
		if (closed == 0 && c->row.daily_budget > 0 && budget_left(c, now) == 0)
			closed = c->row.sent_today < c->row.daily_budget ? DT_NOEND
				: c->row.day_ends;
		if (closed != 0)
			due = Max(due, closed);
		else if (due <= now && room(c, kind, now) <= 0)
			continue;			/* an answer makes room */
		else if (due <= now && W.nclaimed + W.nsent > 0)
			due = W.last_claim_at +
				Min(CLAIM_GAP_MAX_US, CLAIM_GAP_FACTOR * W.last_claim_us);

		wake = Min(wake, due);
	}
	return wake;
}

TimestampTz
ln_worker_resume_at(TimestampTz now)
{
	TimestampTz resume_at = DT_NOEND;

	if (W.nclaimed + W.nsent + W.ndone > 0 ||
		pg_atomic_read_u32(&W.slot->work) != 0)
		return 0;
	if (W.version_mismatch)
		return DT_NOEND;
	if (ln_worker_chores_due(now))
		return 0;
	if (!ln_guc_enabled || W.home == 0)
		return DT_NOEND;
	for (int i = 0; i < W.nchannels; i++)
	{
		LnChannel  *c = W.channels[i];
		bool		due[2] = {false, false};

		for (int p = 0; p < LN_LANES; p++)
			if (c->lanes[p].maybe || c->lanes[p].next_due <= now)
				due[ln_lane_kind(p)] = true;
		for (LineKind kind = LINE_TEMPLATE; kind <= LINE_FLEXIBLE; kind++)
		{
			TimestampTz closed;

			if (!due[kind])
				continue;
			closed =
				Max(ln_worker_closed_until(c, kind, now), c->backoff_until);
			if (closed == 0 && budget_left(c, now) == 0)
				closed = c->row.day_ends;
			if (closed <= now)
				return 0;
			resume_at = Min(resume_at, closed);
		}
	}
	return resume_at;
}
