/*-------------------------------------------------------------------------
 *
 * token_bucket.c
 *		A rate limit that can be judged from outside.
 *
 * The arithmetic
 *
 * Credit is kept as nanoseconds of refill time: a token costs COST ns, and
 * every nanosecond that passes adds one, up to CAPACITY.  In a window of W ns
 * (its end excluded) at most n tokens can be taken, where
 *
 *		n * COST < CAPACITY + W
 *
 * since a full bucket at its start plus what flows in is all there is.  With
 *
 *		CAPACITY = COST + LATE
 *		COST     = (1 s + JITTER + LATE) / limit, rounded up
 *
 * a window of W = 1 s + JITTER gives n * COST < COST + limit * COST, that is
 * n <= limit.  Two allowances are bought with 3.5 % of the rate:
 *
 * - LATE: a taker that comes up to LATE too late (a commit, a reload, the
 *	 scheduler) finds the credit still there, so the average holds.
 * - JITTER: requests may arrive bunched by up to JITTER against the times at
 *	 which their tokens were taken, and a judge at the server still counts no
 *	 more than the limit in any of its seconds.
 *
 * A count of tokens as burst would do the same for large limits only: with a
 * limit of 40, one token of burst leaves no room for lateness.
 *
 *-------------------------------------------------------------------------
 */
#include <stddef.h>

#include "base/token_bucket.h"

#define NS_PER_S	INT64_C(1000000000)

/*
 * How late takers may come without loss.  Longer than a commit with its fsync
 * on ordinary disks; each ms costs 0.1 % of the rate.
 */
#define LATE_NS		INT64_C(20000000)

/*
 * How much later one request may reach the server than another, compared with
 * the times of their tokens.
 */
#define JITTER_NS	INT64_C(15000000)

/* A time older than the bucket's by this much means that the clock was set. */
#define CLOCK_SET_NS	NS_PER_S

/* Longest pause and slow start, so that sums cannot overflow: a year. */
#define MAX_PAUSE_NS	(INT64_C(366) * 86400 * NS_PER_S)

static int64_t token_cost(const TokenBucket *b);
static int64_t credit_between(const TokenBucket *b, int64_t from, int64_t to);
static int64_t level_at(const TokenBucket *b, int64_t now_ns);
static void advance(TokenBucket *b, int64_t now_ns);
static void forget_pause(TokenBucket *b);
static int64_t clamp(int64_t value, int64_t low, int64_t high);

void
ln_bucket_configure(TokenBucket *b, int32_t limit, int64_t now_ns)
{
	int64_t		capacity;

	if (b->limit == 0)
	{
		b->level_ns = 0;
		b->updated_ns = now_ns;
	}
	else
		advance(b, now_ns);

	b->limit = (int32_t) clamp(limit, 1, LN_BUCKET_MAX_LIMIT);
	capacity = token_cost(b) + LATE_NS;
	if (b->level_ns > capacity)
		b->level_ns = capacity;
}

int
ln_bucket_take(TokenBucket *b, int want, int64_t now_ns)
{
	int64_t		cost;
	int64_t		n;

	if (b->limit == 0 || want <= 0)
		return 0;

	advance(b, now_ns);
	if (b->updated_ns < b->blocked_until_ns)
		return 0;

	cost = token_cost(b);
	n = b->level_ns / cost;
	if (n > want)
		n = want;
	b->level_ns -= n * cost;
	return (int) n;
}

int64_t
ln_bucket_wait_ns(const TokenBucket *b, int n, int64_t now_ns)
{
	TokenBucket copy = *b;
	int64_t		cost;
	int64_t		need;
	int64_t		low;
	int64_t		high;

	if (n <= 0)
		return 0;
	if (b->limit == 0)
		return NS_PER_S;		/* not configured yet; come again */

	/*
	 * Reckon from the last update, as the taker will do: an update in between
	 * would round once more.  Only a clock that was set back needs one.
	 */
	if (now_ns < copy.updated_ns)
	{
		advance(&copy, now_ns);
		now_ns = copy.updated_ns;
	}
	cost = token_cost(&copy);
	need = cost * clamp(n, 1, (cost + LATE_NS) / cost);

	/* nothing can be taken before the end of a pause */
	low = now_ns;
	if (low < copy.blocked_until_ns)
		low = copy.blocked_until_ns;
	if (level_at(&copy, low) >= need)
		return low - now_ns;

	/* from here on the level rises by one per nanosecond */
	high = low;
	if (copy.ramp_since_ns != 0 && high < copy.ramp_since_ns + copy.ramp_ns)
		high = copy.ramp_since_ns + copy.ramp_ns;
	if (level_at(&copy, high) < need)
		return high + (need - level_at(&copy, high)) - now_ns;

	/* in the middle of a slow start: search, the level never falls */
	while (high - low > 1)
	{
		int64_t		middle = low + (high - low) / 2;

		if (level_at(&copy, middle) >= need)
			high = middle;
		else
			low = middle;
	}
	return high - now_ns;
}

void
ln_bucket_block(TokenBucket *b, int64_t pause_ns, int64_t ramp_ns,
				int32_t from_permille, int64_t now_ns)
{
	int64_t		until;

	if (b->limit != 0)
		advance(b, now_ns);
	else
		b->updated_ns = now_ns;

	until = b->updated_ns + clamp(pause_ns, 0, MAX_PAUSE_NS);
	if (until < b->blocked_until_ns)
		return;

	b->level_ns = 0;
	b->blocked_until_ns = until;
	b->ramp_since_ns = until;
	b->ramp_ns = clamp(ramp_ns, 0, MAX_PAUSE_NS);
	b->ramp_permille = (int32_t) clamp(from_permille, 1, 1000);
}

void
ln_bucket_unblock(TokenBucket *b, int64_t now_ns)
{
	if (b->limit != 0)
		advance(b, now_ns);
	forget_pause(b);
}

bool
ln_bucket_idle(const TokenBucket *b, int64_t now_ns)
{
	if (b->limit == 0)
		return true;
	/* advance() has not forgotten a slow start that is over meanwhile */
	if (now_ns < b->blocked_until_ns ||
		(b->ramp_since_ns != 0 && now_ns < b->ramp_since_ns + b->ramp_ns))
		return false;
	return now_ns >= b->updated_ns &&
		level_at(b, now_ns) >= token_cost(b) + LATE_NS;
}

/*
 * Price of a token in nanoseconds of refill time.
 */
static int64_t
token_cost(const TokenBucket *b)
{
	return (NS_PER_S + JITTER_NS + LATE_NS + b->limit - 1) / b->limit;
}

/*
 * Credit that flows in from one time to another: nothing while blocked, a
 * rising share during the slow start, everything else.
 */
static int64_t
credit_between(const TokenBucket *b, int64_t from, int64_t to)
{
	int64_t		credit = 0;
	int64_t		ramp_end;

	if (from < b->blocked_until_ns)
		from = b->blocked_until_ns;
	if (from >= to)
		return 0;

	ramp_end = b->ramp_since_ns + b->ramp_ns;
	if (b->ramp_since_ns != 0 && from < ramp_end)
	{
		int64_t		end = to < ramp_end ? to : ramp_end;
		double		f = (double) (from - b->ramp_since_ns) / b->ramp_ns;
		double		e = (double) (end - b->ramp_since_ns) / b->ramp_ns;
		double		s = b->ramp_permille / 1000.0;
		double		share = s + (1.0 - s) * (f + e) / 2;

		/* the mean share of the stretch, rounded down */
		credit = (int64_t) ((double) (end - from) * share);
		from = end;
	}
	return credit + (to - from);
}

/*
 * Level at a time not before the last update.
 */
static int64_t
level_at(const TokenBucket *b, int64_t now_ns)
{
	int64_t		capacity = token_cost(b) + LATE_NS;
	int64_t		credit = credit_between(b, b->updated_ns, now_ns);

	return credit >= capacity - b->level_ns ? capacity : b->level_ns + credit;
}

/*
 * Bring the bucket to the present.
 *
 * A time slightly in the past is another taker's luck: nothing changes.  A
 * time far in the past is a clock that was set back (or a shared segment that
 * outlived its clock): without credit for it, the remaining pause is kept.  A
 * time far ahead fills the bucket, and no more than that.
 */
static void
advance(TokenBucket *b, int64_t now_ns)
{
	if (now_ns < b->updated_ns - CLOCK_SET_NS)
	{
		int64_t		back = b->updated_ns - now_ns;

		if (b->blocked_until_ns != 0)
			b->blocked_until_ns -= back;
		if (b->ramp_since_ns != 0)
			b->ramp_since_ns -= back;
		b->updated_ns = now_ns;
		return;
	}
	if (now_ns <= b->updated_ns)
		return;

	b->level_ns = level_at(b, now_ns);
	b->updated_ns = now_ns;

	/* forget what is over, so that the hot path stays in integers */
	if (b->ramp_since_ns != 0 && now_ns - b->ramp_since_ns >= b->ramp_ns)
		forget_pause(b);
}

static void
forget_pause(TokenBucket *b)
{
	b->blocked_until_ns = 0;
	b->ramp_since_ns = 0;
	b->ramp_ns = 0;
	b->ramp_permille = 0;
}

static int64_t
clamp(int64_t value, int64_t low, int64_t high)
{
	return value < low ? low : value > high ? high : value;
}
