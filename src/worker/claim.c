/*-------------------------------------------------------------------------
 *
 * claim.c
 *		Claiming: due rows of a lane get a lease each, and become deliveries.
 *
 * A claim is a short transaction, durable before the first byte leaves.
 * Claims are as large as what can be sent soon and no more often than pays:
 * alone, a message is claimed at once; under load a batch gathers.  One claim
 * is for all channels that may send, a slice for each; where there is more
 * than it can take, the next one begins with the channel after the last.  The
 * lanes of a channel take turns.
 *
 * Whether a channel may be claimed for, says the gate (facts.c); here is how
 * much of it, and what becomes of each row.
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
#include "base/horizon.h"
#include "server/clock.h"
#include "worker/state.h"
#include "worker/token.h"

/* Most rows of one claim: what is lost in certainty at a power failure. */
#define CLAIM_MAX			256

/*
 * Rows of one channel in a claim that has many, at least.  At first two, since
 * it may have no more, and others wait.  Where there is known to be more,
 * eight: a lane has to be found, a page of the index is read to its end for
 * however few, and what is recorded is counted for each channel.  With 200
 * channels that have a backlog, each is served by every seventh claim.
 */
#define CLAIM_SLICE			2
#define CLAIM_SLICE_MORE	8

/*
 * A small claim costs nearly as much as a large one: between claims pass this
 * many times the last one's duration, but at most this long (us).
 */
#define CLAIM_GAP_FACTOR	3
#define CLAIM_GAP_MAX_US	10000

/* A channel whose claim failed backs off so long, doubling (ms). */
#define CLAIM_RETRY_FIRST	100

/* Failures of a channel are counted so far: more make no difference. */
#define CLAIM_FAILURES_MAX	20

/* A request up to this size (bytes) is written in one go. */
#define SHORT_REQUEST		2048

/* A row that cannot be claimed is not looked at again for this long (ms). */
#define QUARANTINE_MS		3600000

/* What one claim is to take from a channel, and what it found there. */
typedef struct Ask
{
	int			no;				/* of the channel, in W.channels */
	LnChannel  *channel;
	int			lane;
	int			limit;
	int			locked;
	TimestampTz last_due;		/* of the locked ones */
	bool		delayed;		/* rows were, by a moment */
} Ask;

/* One claim: what for, and what came of it. */
typedef struct Claim
{
	Ask		   *asks;
	int			nasks;
	int			limit;			/* of all together */
	int			looked;			/* so many asks were looked at: where the
								 * limit is reached, the last one perhaps not
								 * to its end, and those after it not at all */
	LnMessage  *rows;			/* leased; when none is, the locked ones */
	int			n;				/* leased */
	int			locked;
	bool		was_void;		/* the extension or a channel is being
								 * changed: nothing was done */
	bool		covering;		/* making room in history for their outcomes */
	TimestampTz now;
	TransactionId xmin;			/* oldest that was running */
} Claim;

static LnHorizon horizon;
static TimestampTz in_doubt_before = DT_NOBEGIN;
static bool any_suppressed;
static TimestampTz last_claim_at;
static int64 last_claim_us;
static int	next_channel;		/* round robin */

static void message_subject(const LnMessage *m, char *buf);

void
ln_worker_set_in_doubt(TimestampTz before)
{
	in_doubt_before = before;
}

TimestampTz
ln_worker_in_doubt(void)
{
	return in_doubt_before;
}

void
ln_worker_set_suppression(bool any)
{
	any_suppressed = any;
}

/* ---- lanes ---- */

void
ln_worker_lane_fill(LnChannel *c, int lane, TimestampTz since)
{
	ln_lane_fill(&c->lanes[lane], since);
	c->lanes_changed = true;
}

void
ln_worker_lane_wait(LnChannel *c, int lane, TimestampTz at)
{
	ln_lane_wait(&c->lanes[lane], at);
	c->lanes_changed = true;
}

void
ln_worker_lane_scanned(LnChannel *c, int lane, TimestampTz first_due)
{
	ln_lane_scanned(&c->lanes[lane], first_due, W.now);
	c->lanes_changed = true;
}

void
ln_worker_forget_bounds(void)
{
	for (int i = 0; i < W.nchannels; i++)
		for (int p = 0; p < LN_LANES; p++)
			ln_lane_forget(&W.channels[i]->lanes[p]);
	last_claim_at = 0;			/* in the future, if the clock was set back */
}

/* What holds for all lanes of an endpoint, if that is to be found out anew. */
static void
look_at_lanes(LnChannel *c)
{
	if (!c->lanes_changed)
		return;
	c->lanes_due[0] = c->lanes_due[1] = DT_NOEND;
	c->lanes_more[0] = c->lanes_more[1] = false;
	for (int p = 0; p < LN_LANES; p++)
	{
		LineKind	kind = ln_lane_kind(p);

		c->lanes_due[kind] = Min(c->lanes_due[kind],
								 ln_lane_due(&c->lanes[p]));
		c->lanes_more[kind] = c->lanes_more[kind] || c->lanes[p].more;
	}
	c->lanes_changed = false;
}

TimestampTz
ln_worker_lanes_due(LnChannel *c, LineKind kind)
{
	look_at_lanes(c);
	return c->lanes_due[kind];
}

/* ---- one claim ---- */

void
ln_worker_lock_claims(void)
{
	LOCKTAG		tag;

	/* one claimer at a time; ends with the transaction */
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0, LOCK_CLAIM, LOCK_FIELD);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
}

/* What a claim finds of a due row. */
typedef enum Finding
{
	GO,
	BLOCKED,					/* not the head of its order_key, or its
								 * template, design or use case is paused */
	OVERTAKEN,					/* a later one with its key is on the wire */
	NOT_ALLOWED,				/* not on the list of the channel */
	OPTED_OUT,					/* does not want to be sent notices */
	UNWRITABLE,					/* a text has no UTF-8 form */
	FINDINGS
} Finding;

/*
 * Is another message of this order_key on the wire?  A later one, then: our
 * row was committed, or redriven, after that was claimed.  Other keys with the
 * same hash wait in vain, for a moment.
 */
static bool
is_overtaken(const Ask *a, const LnMessage *m)
{
	return m->ordered && ln_deliveries_have_order(a->channel, m->order_hash);
}

static Finding
judge(const Ask *a, const LnMessage *m, bool opted_out)
{
	char		subject[LN_SUBJECT_LEN];

	if (m->not_utf8)
		return UNWRITABLE;
	if (!ln_channel_allows(a->channel, m->recipient))
		return NOT_ALLOWED;
	if (opted_out)
		return OPTED_OUT;
	message_subject(m, subject);
	if (m->blocked ||
		ln_channel_part_paused(a->channel, ln_lane_kind(a->lane), subject) ||
		ln_channel_use_case_paused(a->channel, m->use_case))
		return BLOCKED;
	if (is_overtaken(a, m))
		return OVERTAKEN;
	return GO;
}

/* Locks what is due, and notes of each lane how much that is. */
static LnMessage *
lock_due(Claim *c)
{
	LnLaneAsk  *lanes = palloc(sizeof(LnLaneAsk) * c->nasks);
	LnMessage  *due;

	for (int i = 0; i < c->nasks; i++)
	{
		Ask		   *a = &c->asks[i];
		LnLane	   *lane = &a->channel->lanes[a->lane];

		lanes[i].channel = a->channel->row.name;
		lanes[i].lane = a->lane;
		lanes[i].low = Max(lane->low, in_doubt_before == DT_NOBEGIN
						   ? DT_NOBEGIN : in_doubt_before + 1);
		lanes[i].limit = a->limit;
		a->last_due = c->now;
	}
	c->locked = ln_outbox_lock_due(lanes, c->nasks, W.home, c->now, c->limit,
								   &due);
	for (int i = 0; i < c->locked; i++)
	{
		Assert(i == 0 || due[i].ask >= due[i - 1].ask);
		c->asks[due[i].ask].locked++;
		c->asks[due[i].ask].last_due = due[i].due_at;
	}
	c->looked =
		c->locked < c->limit ? c->nasks : due[c->locked - 1].ask + 1;
	return due;
}

static void
claim_phase(void *arg)
{
	Claim	   *c = (Claim *) arg;
	LnMessage  *due;
	LnMessage  *found[FINDINGS];
	int			n[FINDINGS] = {0};
	bool	   *opted_out = NULL;

	ln_worker_lock_claims();

	/*
	 * We have waited for ALTER EXTENSION ... UPDATE, see hooks.c: what is in
	 * the tables now may not be ours to send.
	 */
	if (pg_atomic_read_u32(&W.slot->work) & LN_WORK_EXTENSION)
	{
		c->was_void = true;
		return;
	}

	c->now = GetCurrentTimestamp();
	if (ln_horizon_note(&horizon, c->now,
						U64FromFullTransactionId(ReadNextFullTransactionId())))
	{
		/* the clock was set back */
		ln_worker_forget_bounds();
		ln_tasks_look_for_due();
	}
	due = lock_due(c);

	/*
	 * What was inserted after pause() has returned is among these, if we have
	 * not been told of the pause yet; this look is younger than the news.
	 */
	if (c->locked > 0 &&
		(pg_atomic_read_u32(&W.slot->work) & LN_WORK_CONFIG))
	{
		c->was_void = true;
		return;
	}
	c->rows = due;
	c->xmin = GetActiveSnapshot()->xmin;

	if (any_suppressed && c->locked > 0)
		opted_out = ln_outbox_find_suppressed(due, c->locked);
	for (int f = 0; f < FINDINGS; f++)
		found[f] = palloc(sizeof(LnMessage) * Max(c->locked, 1));
	for (int i = 0; i < c->locked; i++)
	{
		Ask		   *a = &c->asks[due[i].ask];
		Finding		f = judge(a, &due[i], opted_out != NULL && opted_out[i]);

		a->delayed = a->delayed || f == OVERTAKEN;
		found[f][n[f]++] = due[i];
	}
	if (n[BLOCKED] > 0)
		ln_outbox_block(found[BLOCKED], n[BLOCKED]);
	if (n[OVERTAKEN] > 0)
		ln_outbox_delay(found[OVERTAKEN], n[OVERTAKEN]);
	if (n[UNWRITABLE] > 0)
		ln_outbox_reject(found[UNWRITABLE], n[UNWRITABLE],
						 "a text cannot be written in UTF-8");
	if (n[OPTED_OUT] > 0)
		ln_outbox_suppress(found[OPTED_OUT], n[OPTED_OUT],
						   "the recipient objected");
	if (n[NOT_ALLOWED] > 0)
		ln_outbox_suppress(found[NOT_ALLOWED], n[NOT_ALLOWED],
						   "only_recipients: not on the list of the channel");
	if (n[UNWRITABLE] + n[OPTED_OUT] + n[NOT_ALLOWED] > 0)
		ln_tasks_expires(c->now);	/* moves what has ended to history */
	if (n[GO] > 0)
	{
		uint64	   *tokens = palloc(sizeof(uint64) * n[GO]);
		int64		highest = PG_INT64_MIN;

		/* what is sent must be recordable: no partition, no claim */
		for (int i = 0; i < n[GO]; i++)
			highest = Max(highest, found[GO][i].id);
		c->covering = true;
		ln_outbox_cover_history(highest);
		c->covering = false;
		if (!ln_random_bytes(tokens, sizeof(uint64) * n[GO]))
			elog(ERROR, "could not get random bytes");
		for (int i = 0; i < n[GO]; i++)
		{
			found[GO][i].token = tokens[i] >> 1;
			/* before the lease can be seen by anybody */
			ln_journal_claim(ln_delivery_peek(i)->journal, found[GO][i].id,
							 found[GO][i].token);
		}
		ln_outbox_lease(found[GO], n[GO], W.home, W.claimer);
		c->rows = found[GO];
	}
	c->n = n[GO];
}

static void
message_subject(const LnMessage *m, char *buf)
{
	if (m->template_key != NULL)
		ln_outbox_subject(buf, LINE_TEMPLATE, m->template_key);
	else
		ln_outbox_subject(buf, LINE_FLEXIBLE, m->use_case);
}

/* Most are short: written once, and copied to where they stay. */
static void
write_request(Delivery *d, const LineMessage *msg)
{
	char		buf[SHORT_REQUEST];

	d->request_len = ln_line_body(msg, buf, sizeof(buf));
	d->request = malloc(d->request_len + 1);
	if (d->request == NULL)
		return;
	if (d->request_len < sizeof(buf))
		memcpy(d->request, buf, d->request_len + 1);
	else
		(void) ln_line_body(msg, d->request, d->request_len + 1);
}

/* Move the leased rows into deliveries; no error can come between. */
static void
take_claimed(Claim *c)
{
	for (int i = 0; i < c->n; i++)
	{
		LnMessage  *m = &c->rows[i];
		Delivery   *d = ln_delivery_claim(c->asks[m->ask].channel,
										  m->template_key != NULL
										  ? LINE_TEMPLATE : LINE_FLEXIBLE,
										  m->expires_at);
		LineMessage msg;

		d->id = m->id;
		d->token = m->token;
		d->attempt = m->attempt;
		d->maybe_sent = m->maybe_sent;
		d->ordered = m->ordered;
		d->order_hash = m->order_hash;
		d->lane = c->asks[m->ask].lane;
		d->sent_at = 0;
		d->attempted = false;
		message_subject(m, d->subject);
		strlcpy(d->use_case, m->use_case, sizeof(d->use_case));
		if (m->policy != NULL)
			d->policy = *m->policy;
		else
			ln_policy_init(&d->policy);

		memset(&msg, 0, sizeof(msg));
		msg.kind = d->kind;
		msg.to = m->recipient;
		msg.template_key = m->template_key;
		msg.body = m->body;
		msg.body_len = m->body ? strlen(m->body) : 0;
		msg.messages = m->messages;
		msg.messages_len = m->messages ? strlen(m->messages) : 0;
		msg.notification_disabled = m->notification_disabled;
		msg.aggregation_unit = m->aggregation_unit;
		write_request(d, &msg);
	}
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
 * A claim failed.  When a row may be the cause, its channels are claimed for
 * one by one, and each with half as many, until a single row fails again and
 * again: it is put in quarantine, with the reason, and the others go on.
 * Otherwise they back off.
 */
static void
claim_failed(Claim *c)
{
	bool		row_fault = ln_phase_row_fault() && !c->covering;
	bool		alone = c->limit == 1;
	int64		skipped;

	for (int i = 0; i < c->nasks; i++)
	{
		LnChannel  *channel = c->asks[i].channel;

		/* locks: no shorter batch would help, nor one for each channel */
		if (row_fault || c->covering)
			channel->failures = Min(channel->failures + 1, CLAIM_FAILURES_MAX);
		channel->backoff_until = 0;
		if (!row_fault || alone)
		{
			channel->retries = Min(channel->retries + 1, 6);
			channel->backoff_until =
				TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
											CLAIM_RETRY_FIRST <<
											channel->retries);
		}
		if (row_fault && alone && c->locked == 1 && c->rows != NULL &&
			(CLAIM_MAX >> channel->failures) == 0 &&
			ln_phase("putting a message into quarantine", quarantine_phase, c))
		{
			if (ln_worker_may_log(LOG_QUARANTINE, &skipped))
				ereport(WARNING,
						(errmsg("message " INT64_FORMAT " is in quarantine for an hour: it cannot be claimed",
								c->rows[0].id),
						 skipped > 0 ? errdetail(INT64_FORMAT " more messages since the last such line.", skipped) : 0,
						 errhint("Its column error in view line_notify.notifications has the reason.")));
			channel->backoff_until = 0;
			ln_tasks_look_for_due();
		}
		ln_worker_regate(channel);
	}
}

/*
 * From here on a lane holds nothing before this, except rows of transactions
 * that were running before: see horizon.c.
 */
static void
note_claimed(const Claim *c, const Ask *a, bool full)
{
	TimestampTz safe = ln_horizon_safe(&horizon, c->xmin,
									   full ? a->last_due : c->now);

	if (ln_lane_claimed(&a->channel->lanes[a->lane], a->locked, full,
						a->last_due, safe) || a->delayed)
	{
		if (a->locked > 0)
			ln_tasks_look_for_due();
		else
			ln_tasks_look_again();
	}
	a->channel->lanes_changed = true;
}

/* ---- which, and how much ---- */

/*
 * Free places that channels may take.  Half of all are divided evenly and kept
 * for the channels that do not use theirs, so that a slow one cannot take what
 * others need; the other half is for whoever comes first.
 */
typedef struct Shares
{
	int			share;			/* of each channel that may send; 0 = not
								 * divided yet */
	int			kept;			/* of all shares, not used by their channels */
	int			free;			/* places that nobody has asked for */
} Shares;

static bool
is_usable(const LnChannel *c)
{
	return !c->gone && !c->row.paused && W.home != 0 &&
		c->row.home == W.home && ln_token_header(c->token, W.now) != NULL;
}

static Shares
divide(void)
{
	Shares		s = {0, 0, ln_deliveries_free()};
	int			usable = 0;

	for (int i = 0; i < W.nchannels; i++)
		usable += is_usable(W.channels[i]);
	s.share = Max(ln_deliveries_size() / (2 * Max(usable, 1)), 1);
	for (int i = 0; i < W.nchannels; i++)
		if (is_usable(W.channels[i]))
			s.kept += Max(s.share - W.channels[i]->in_flight, 0);
	return s;
}

/* What is kept for this channel. */
static int
own_share(const LnChannel *c, const Shares *s)
{
	return is_usable(c) ? Max(s->share - c->in_flight, 0) : 0;
}

static int
fair_share(const LnChannel *c, const Shares *s)
{
	int			kept = s->kept - own_share(c, s);

	return Min(s->free, Max(s->free - kept, s->share - c->in_flight));
}

/* It asks for so many, once. */
static void
take_share(const LnChannel *c, Shares *s, int n)
{
	s->kept -= Min(n, own_share(c, s));
	s->free -= n;
}

/* How many rows of an endpoint may be claimed now, if the gate lets any. */
static int
capacity(LnChannel *c, LineKind kind, const Shares *s)
{
	int			in_hand;
	int			want;

	if (!ln_gate_may_claim(ln_worker_gate(c, kind)))
		return 0;
	want = Min(CLAIM_MAX, fair_share(c, s));
	want = Min(want, c->row.max_in_flight - c->in_flight);
	want = Min(want, ln_worker_budget_left(c));

	/*
	 * No more in hand than a tenth of a second's worth of tokens, and one
	 * good claim.  While half of it is there, let a batch gather.
	 */
	in_hand = Min(CLAIM_MAX, Max(c->row.rate_limit / 10, 1));
	if (c->claimed[0].n + c->claimed[1].n > in_hand / 2)
		return 0;
	want = Min(want, in_hand - c->claimed[0].n - c->claimed[1].n);
	return Max(ln_breaker_allow(&c->breaker, want,
								ln_monotonic_ns() / 1000000), 0);
}

/*
 * Which lane of a channel is next, and how many rows of it?  -1 = none.  Lanes
 * take turns by the age of what waits in them, a step of priority being worth
 * a minute: large is sooner, but small is not never.
 */
static int
next_lane(LnChannel *c, const Shares *s, int *limit)
{
	int			best = -1;
	TimestampTz best_key = DT_NOEND;
	int			capacities[2] = {-1, -1};

	if (Min(ln_worker_lanes_due(c, LINE_TEMPLATE),
			ln_worker_lanes_due(c, LINE_FLEXIBLE)) > W.now)
		return -1;
	for (int p = 0; p < LN_LANES; p++)
	{
		LnLane	   *lane = &c->lanes[p];
		LineKind	kind = ln_lane_kind(p);
		TimestampTz key;

		if (ln_lane_tick(lane, W.now))
		{
			c->lanes_changed = true;
			ln_tasks_look_for_due();	/* what comes after it */
		}
		if (!lane->maybe)
			continue;
		if (capacities[kind] < 0)
			capacities[kind] = capacity(c, kind, s);
		if (capacities[kind] == 0)
			continue;
		key = (lane->head == DT_NOBEGIN ? 0 : lane->head) -
			ln_lane_priority(p) * LN_AGING_US;
		if (best < 0 || key < best_key)
		{
			best = p;
			best_key = key;
			*limit = capacities[kind];
		}
	}
	return best;
}

/* In hand or on the wire is something: then a batch may gather. */
static bool
is_busy(void)
{
	return ln_deliveries_claimed() + ln_deliveries_sent() > 0;
}

static TimestampTz
gap_ends(void)
{
	return last_claim_at +
		Min(CLAIM_GAP_MAX_US, CLAIM_GAP_FACTOR * last_claim_us);
}

/*
 * For which channels is the next claim, and how much of each?  Of several,
 * each has a slice.  One whose claim failed is alone, with fewer after each
 * failure: a row may be the cause.
 */
static void
choose(Claim *c)
{
	Shares		s = divide();
	int			slice;
	int			n = 0;

	c->asks = palloc(sizeof(Ask) * Min(Max(W.nchannels, 1), CLAIM_MAX));
	for (int k = 0; k < W.nchannels && c->nasks < CLAIM_MAX; k++)
	{
		Ask			a;

		memset(&a, 0, sizeof(a));
		a.no = (next_channel + k) % W.nchannels;
		a.channel = W.channels[a.no];
		if ((a.lane = next_lane(a.channel, &s, &a.limit)) < 0)
			continue;
		if (a.channel->failures > 0 && c->nasks > 0)
			break;
		c->asks[c->nasks++] = a;
		if (a.channel->failures > 0)
		{
			c->asks[0].limit = Min(a.limit,
								   Max(CLAIM_MAX >> a.channel->failures, 1));
			break;
		}
	}

	slice = CLAIM_MAX / Max(c->nasks, 1);
	for (int i = 0; i < c->nasks; i++)
	{
		Ask			a = c->asks[i];

		a.limit = Min(a.limit, Max(slice, a.channel->lanes[a.lane].more
								   ? CLAIM_SLICE_MORE : CLAIM_SLICE));
		a.limit = Min(a.limit, fair_share(a.channel, &s));
		if (a.limit <= 0)
			continue;
		take_share(a.channel, &s, a.limit);
		c->limit += a.limit;
		c->asks[n++] = a;
	}
	c->nasks = n;
	c->limit = Min(c->limit, CLAIM_MAX);
}

LnTaskResult
ln_worker_claim(TimestampTz *again)
{
	Claim		c;
	instr_time	start;
	instr_time	duration;

	memset(&c, 0, sizeof(c));
	choose(&c);
	if (c.nasks == 0)
		return LN_TASK_IDLE;
	ln_deliveries_reserve(c.limit);

	/* what follows may wait for a lock, or for a standby */
	for (int i = 0; i < c.nasks; i++)
		ln_worker_publish(c.asks[i].channel);
	INSTR_TIME_SET_CURRENT(start);
	if (!ln_phase("claiming messages", claim_phase, &c))
	{
		claim_failed(&c);
		next_channel = (c.asks[c.nasks - 1].no + 1) % W.nchannels;
		return LN_TASK_PROGRESS;
	}
	INSTR_TIME_SET_CURRENT(duration);
	INSTR_TIME_SUBTRACT(duration, start);
	last_claim_at = GetCurrentTimestamp();
	last_claim_us = (int64) INSTR_TIME_GET_MICROSEC(duration);

	/*
	 * A wait for a standby that was cut short looks like success.  Then
	 * nothing of this claim is sent: the leases stay, and the next worker
	 * finds that their journal saw nothing.
	 */
	if (ProcDiePending || QueryCancelPending)
		return LN_TASK_IDLE;
	if (c.was_void)
		return LN_TASK_IDLE;
	for (int i = 0; i < c.looked; i++)
	{
		Ask		   *a = &c.asks[i];

		a->channel->failures = a->channel->retries = 0;
		a->channel->backoff_until = 0;
		note_claimed(&c, a, a->locked == a->limit ||
					 (c.locked == c.limit && i == c.looked - 1));
		next_channel = (a->no + 1) % W.nchannels;
	}
	take_claimed(&c);
	for (int i = 0; i < c.looked; i++)
		ln_worker_regate(c.asks[i].channel);
	return c.locked > 0 ? LN_TASK_PROGRESS : LN_TASK_IDLE;
}

/* When can this endpoint be claimed for?  See ln_worker_claim_due(). */
static TimestampTz
endpoint_due(LnChannel *c, LineKind kind, Shares *s, int *left)
{
	TimestampTz due = ln_worker_lanes_due(c, kind);
	int			room;
	LnVerdict	v;

	if (due == DT_NOEND)
		return DT_NOEND;
	if (due > W.now)
		return due;				/* then the gate is asked */
	v = ln_worker_gate(c, kind);
	if (!ln_gate_may_claim(v))
		return v.until;
	if (s->share == 0)
		*s = divide();
	room = capacity(c, kind, s);
	if (room == 0)
		return DT_NOEND;		/* a place, an answer or a token comes first */
	if (c->lanes_more[kind])
		*left += room;
	/* a good claim is there: no batch has to gather */
	return is_busy() && *left < CLAIM_MAX / 2 ? gap_ends() : DT_NOBEGIN;
}

TimestampTz
ln_worker_claim_due(void)
{
	TimestampTz due = DT_NOEND;
	Shares		s = {0, 0, 0};
	int			left = 0;		/* by the last claims, as far as known */

	for (int i = 0; i < W.nchannels && due > W.now; i++)
		for (LineKind kind = LINE_TEMPLATE; kind <= LINE_FLEXIBLE; kind++)
			due = Min(due, endpoint_due(W.channels[i], kind, &s, &left));
	return due;
}

TimestampTz
ln_worker_claim_resume(void)
{
	TimestampTz resume = DT_NOEND;

	for (int i = 0; i < W.nchannels; i++)
		for (LineKind kind = LINE_TEMPLATE; kind <= LINE_FLEXIBLE; kind++)
			if (ln_worker_lanes_due(W.channels[i], kind) <= W.now)
				resume = Min(resume,
							 ln_gate_resume(ln_worker_gate(W.channels[i],
														   kind)));
	return resume;
}
