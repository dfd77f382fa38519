/*-------------------------------------------------------------------------
 *
 * token_bucket_test.c
 *		Proves the promise of the token bucket: no sliding second above the
 *		limit, and at least 95 % of it under saturation.
 *
 * The judge knows nothing of buckets: it has the list of arrivals, and looks
 * whether any limit + 1 of them lie within less than a second.
 *
 *-------------------------------------------------------------------------
 */
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>

#include "tap.h"
#include "base/token_bucket.h"

#define US	INT64_C(1000)
#define MS	INT64_C(1000000)
#define S	INT64_C(1000000000)

static uint64_t seed = 4711;

static uint64_t
next_random(void)
{
	/* splitmix64 */
	uint64_t	z = (seed += UINT64_C(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

/* uniform in [0, n) */
static int64_t
below(int64_t n)
{
	return n > 0 ? (int64_t) (next_random() % (uint64_t) n) : 0;
}

/* The arrivals of one run. */
static int64_t *arrivals = NULL;
static size_t narrivals = 0;
static size_t arrivals_room = 0;

static void
arrive(int64_t t)
{
	if (narrivals == arrivals_room)
	{
		arrivals_room = arrivals_room ? arrivals_room * 2 : 65536;
		arrivals = realloc(arrivals, arrivals_room * sizeof(*arrivals));
	}
	arrivals[narrivals++] = t;
}

static int
by_time(const void *a, const void *b)
{
	int64_t		x = *(const int64_t *) a;
	int64_t		y = *(const int64_t *) b;

	return x < y ? -1 : x > y;
}

/* Sliding seconds, each open at its end, with more than limit arrivals. */
static int
crowded_seconds(int limit)
{
	size_t		i;
	int			n = 0;

	qsort(arrivals, narrivals, sizeof(*arrivals), by_time);
	for (i = (size_t) limit; i < narrivals; i++)
	{
		if (arrivals[i] - arrivals[i - (size_t) limit] < S)
			n++;
	}
	return n;
}

/*
 * Several takers with random habits share a bucket for "seconds".  late: how
 * much later than it could a taker comes; jitter: how differently long the way
 * to the server is.
 */
static void
simulate(int limit, int takers, int64_t late, int64_t jitter, int seconds,
		 bool saturated)
{
	TokenBucket b;
	int64_t		start = 1000 * S + below(S);
	int64_t		end = start + seconds * S;
	int64_t		due[16];
	int			i;
	double		average;
	int			crowded;

	memset(&b, 0, sizeof(b));
	ln_bucket_configure(&b, limit, start);
	narrivals = 0;
	for (i = 0; i < takers; i++)
		due[i] = start + below(10 * MS);

	for (;;)
	{
		int			who = 0;
		int64_t		now;
		int			want;
		int			got;

		for (i = 1; i < takers; i++)
		{
			if (due[i] < due[who])
				who = i;
		}
		now = due[who];
		if (now >= end)
			break;

		/* few or many, rarely absurdly many */
		want = (int) (below(20) == 0 ? INT_MAX : 1 + below(limit / 20 + 2));
		got = ln_bucket_take(&b, want, now - below(2 * US));
		for (i = 0; i < got; i++)
			arrive(now + below(jitter + 1));

		if (!saturated && below(50) == 0)
			due[who] = now + below(2 * S);
		else
			due[who] = now + ln_bucket_wait_ns(&b, (int) (1 + below(3)), now) +
				below(late + 1);
		if (due[who] == now)
			due[who]++;
	}

	average = (double) narrivals / seconds;
	crowded = crowded_seconds(limit);
	ok(crowded == 0, "limit %d, %d takers, late %lld us, jitter %lld us, %s: "
	   "no second above", limit, takers, (long long) (late / US),
	   (long long) (jitter / US), saturated ? "saturated" : "with pauses");
	if (saturated)
		ok(average >= 0.95 * limit, "average %.1f of %d per second (%.2f %%)",
		   average, limit, 100 * average / limit);
}

static void
test_promise(void)
{
	static const int limits[] = {1, 2, 7, 40, 100, 2000, 100000};
	static const int secs[] = {200, 200, 100, 60, 40, 20, 6};
	size_t		i;

	for (i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
	{
		simulate(limits[i], 1, 0, 0, secs[i], true);
		simulate(limits[i], 3, 5 * MS, 0, secs[i], true);
		simulate(limits[i], 3, 19 * MS, 15 * MS, secs[i], true);
		simulate(limits[i], 9, 10 * MS, 15 * MS, secs[i], true);
		simulate(limits[i], 4, 300 * MS, 15 * MS, secs[i], false);
	}
	simulate(LN_BUCKET_MAX_LIMIT, 2, MS, 15 * MS, 2, true);
}

/* The two functions agree on when a token is there. */
static void
test_wait(void)
{
	int			early = 0;
	int			late = 0;
	int			i;

	for (i = 0; i < 20000; i++)
	{
		TokenBucket b;
		TokenBucket copy;
		int64_t		now = 1 + below(1000 * S);
		int			limit = 1 + (int) below(i % 2 ? 20 : 100000);
		int			n = 1 + (int) below(limit / 60 + 1);
		int64_t		wait;

		memset(&b, 0, sizeof(b));
		ln_bucket_configure(&b, limit, now);
		now += below(50 * MS);
		(void) ln_bucket_take(&b, (int) below(5), now);
		if (i % 3 == 0)
			ln_bucket_block(&b, below(3 * S), below(2) ? below(20 * S) : 0,
							(int32_t) (1 + below(1000)), now);
		now += below(i % 5 ? 3 * S : 30 * S);

		wait = ln_bucket_wait_ns(&b, n, now);
		copy = b;
		if (ln_bucket_take(&copy, n, now + wait) != n)
			late++;
		copy = b;
		if (wait > 0 && ln_bucket_take(&copy, n, now + wait - 1) >= n)
			early++;
	}
	is_int(late, 0, "after the wait that was named, the tokens are there");
	is_int(early, 0, "a nanosecond before, they are not");
}

static void
test_clock(void)
{
	TokenBucket b;
	int64_t		now = 5000 * S;
	int			got;
	int			burst;
	int			i;

	memset(&b, 0, sizeof(b));
	is_int(ln_bucket_take(&b, 5, now), 0, "an all-zero bucket gives nothing");
	ok(ln_bucket_wait_ns(&b, 1, now) > 0, "and says wait");
	ln_bucket_configure(&b, 2000, now);
	is_int(ln_bucket_take(&b, 5000, now), 0, "a new bucket is empty");
	is_int(ln_bucket_take(&b, 5000, now + 1 * S), 39,
		   "a full one holds 20 ms and a token");
	is_int(ln_bucket_take(&b, 1, now + 1 * S), 0, "and then no more");
	is_int(ln_bucket_take(&b, 0, now + 2 * S), 0, "zero wanted");
	is_int(ln_bucket_take(&b, -7, now + 2 * S), 0, "fewer than zero wanted");
	burst = ln_bucket_take(&b, INT_MAX, now + 2 * S);
	is_int(burst, 39, "all that is wanted: what is there");

	now += 2 * S;
	got = ln_bucket_take(&b, INT_MAX, now + INT64_C(1000000) * S);
	is_int(got, 39, "a clock that jumps far ahead: one full bucket");
	now += INT64_C(1000000) * S;

	got = 0;
	for (i = 0; i < 1000; i++)
		got += ln_bucket_take(&b, INT_MAX, now - below(S));
	is_int(got, 0, "a clock a little behind gives nothing");
	got = ln_bucket_take(&b, INT_MAX, now + 10 * MS);
	is_int(got, 19, "and costs nothing");

	/* set back by hours: goes on from there, without credit for it */
	now -= 3 * 3600 * S;
	is_int(ln_bucket_take(&b, INT_MAX, now), 0, "set back: no credit");
	got = ln_bucket_take(&b, INT_MAX, now + 10 * MS);
	ok(got == 19 || got == 20, "set back: but it does not stand still");

	/* the same with a pause in force */
	now += 10 * MS;
	ln_bucket_block(&b, 10 * S, 0, 1000, now);
	now -= 3600 * S;
	is_int(ln_bucket_take(&b, INT_MAX, now), 0, "paused, and set back");
	is_int(ln_bucket_take(&b, INT_MAX, now + 10 * S), 0,
		   "the pause lasts as long as it should");
	ok(ln_bucket_take(&b, INT_MAX, now + 10 * S + 10 * MS) > 0,
	   "and no longer");

	/* a clock that jumps to and fro, judged by the true time */
	memset(&b, 0, sizeof(b));
	now = 5000 * S;
	ln_bucket_configure(&b, 2000, now);
	narrivals = 0;
	for (i = 0; i < 20000; i++)
	{
		int64_t		clock = now + i * MS;

		/* back by up to 0.9 s at random moments, never forward */
		if (below(10) == 0)
			clock -= below(900 * MS);
		got = ln_bucket_take(&b, INT_MAX, clock);
		while (got-- > 0)
			arrive(now + i * MS);
	}
	is_int(crowded_seconds(2000), 0,
		   "clocks that disagree by 0.9 s: no second above");
	ok(narrivals >= 19 * 1900, "and the average holds: %.1f",
	   (double) narrivals / 20);
}

static void
test_pause(void)
{
	TokenBucket b;
	int64_t		now = 100 * S;
	int64_t		t;
	int			tenths[30];
	int			i;
	int			fell = 0;
	int			total = 0;

	memset(&b, 0, sizeof(b));
	ln_bucket_configure(&b, 1000, now);
	now += S;
	ln_bucket_block(&b, 2 * S, 10 * S, 100, now);
	is_int(ln_bucket_take(&b, 100, now), 0, "blocked: the credit is gone");
	ok(ln_bucket_wait_ns(&b, 1, now + S) > S, "wait covers the pause");
	ln_bucket_block(&b, S / 2, 0, 1000, now + S);
	is_int(ln_bucket_take(&b, 100, now + 2 * S - 1), 0,
		   "to the last ns, a shorter pause does not shorten it");
	is_int(ln_bucket_take(&b, 100, now + 2 * S), 0,
		   "what is returned during a pause is forfeited");

	/* slow start: counts by second after the pause */
	now += 2 * S;
	memset(tenths, 0, sizeof(tenths));
	for (t = 0; t < 15 * S; t += MS)
		tenths[t / S] += ln_bucket_take(&b, INT_MAX, now + t);
	for (i = 1; i < 15; i++)
	{
		if (tenths[i] < tenths[i - 1] - 2)
			fell++;
	}
	is_int(fell, 0, "slow start never falls");
	ok(tenths[0] >= 125 && tenths[0] <= 150, "begins at a tenth: %d",
	   tenths[0]);
	ok(tenths[5] >= 540 && tenths[5] <= 640, "half way: %d", tenths[5]);
	ok(tenths[11] >= 950 && tenths[11] <= 1000, "and is over: %d", tenths[11]);
	ok(b.ramp_since_ns == 0 && b.blocked_until_ns == 0, "and forgotten");
	for (i = 0; i < 10; i++)
		total += tenths[i];
	ok(total >= 5100 && total <= 5500, "half the rate in all: %d", total);

	/* reconfigured in the middle */
	now += 20 * S;
	ln_bucket_block(&b, 5 * S, 10 * S, 1, now);
	ln_bucket_configure(&b, 50000, now + S);
	is_int(ln_bucket_take(&b, INT_MAX, now + 4 * S), 0,
		   "a new limit does not end the pause");
	ln_bucket_unblock(&b, now + 4 * S);
	ok(ln_bucket_take(&b, INT_MAX, now + 4 * S + 10 * MS) >= 480,
	   "resume does, and the slow start with it");

	/* absurd arguments */
	ln_bucket_block(&b, INT64_MAX, INT64_MAX, INT_MIN, now + 5 * S);
	is_int(ln_bucket_take(&b, 1, now + 6 * S), 0, "endless pause");
	ok(ln_bucket_wait_ns(&b, INT_MAX, now + 6 * S) > 0, "a finite wait");
	ln_bucket_unblock(&b, now + 6 * S);
	ln_bucket_block(&b, INT64_MIN, INT64_MIN, INT_MAX, now + 6 * S);
	is_int(ln_bucket_take(&b, INT_MAX, now + 6 * S), 0,
		   "a negative pause is none, but empties");
	ok(ln_bucket_take(&b, INT_MAX, now + 6 * S + 10 * MS) > 0,
	   "and goes on at once");
	ln_bucket_configure(&b, INT_MAX, now + 7 * S);
	is_int(b.limit, LN_BUCKET_MAX_LIMIT, "limit too large");
	ln_bucket_configure(&b, INT_MIN, now + 7 * S);
	is_int(b.limit, 1, "limit too small");
	ok(ln_bucket_take(&b, INT_MAX, now + 7 * S) <= 1,
	   "credit of a large limit is worth little under a small one");

	/* blocked before it was ever configured */
	memset(&b, 0, sizeof(b));
	ln_bucket_block(&b, S, 0, 1000, now);
	ln_bucket_configure(&b, 1000, now);
	is_int(ln_bucket_take(&b, 10, now + S), 0,
		   "a pause before the limit holds");
	ok(ln_bucket_take(&b, 10, now + S + 10 * MS) > 0, "and ends");
}

static void
test_idle(void)
{
	int64_t		now = 1000 * S;
	TokenBucket b;

	memset(&b, 0, sizeof(b));
	ok(ln_bucket_idle(&b, now),
	   "nobody needs a bucket that was never configured");
	ln_bucket_configure(&b, 10, now);
	ok(!ln_bucket_idle(&b, now), "an empty one is needed");
	ok(!ln_bucket_idle(&b, now - 5 * S), "whatever the clock says");
	ok(ln_bucket_idle(&b, now + S), "a full one is not");
	is_int(ln_bucket_take(&b, 1, now + S), 1, "used again");
	ok(!ln_bucket_idle(&b, now + S), "it is needed again");

	/* the pause must be remembered, and the slow start after it */
	ln_bucket_block(&b, 30 * S, 10 * S, 100, now + 10 * S);
	ok(!ln_bucket_idle(&b, now + 39 * S), "nor one with a pause");
	ok(!ln_bucket_idle(&b, now + 49 * S), "or a slow start");
	ok(ln_bucket_idle(&b, now + 51 * S), "but one whose slow start is over");
	ln_bucket_block(&b, 30 * S, 0, 1000, now + 60 * S);
	ok(!ln_bucket_idle(&b, now + 89 * S),
	   "nor one with a pause without slow start");
	ok(ln_bucket_idle(&b, now + 91 * S), "until it has ended and filled");
}

int
main(void)
{
	test_promise();
	test_idle();
	test_wait();
	test_clock();
	test_pause();
	free(arrivals);
	return done_testing();
}
