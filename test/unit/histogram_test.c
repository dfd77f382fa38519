/*-------------------------------------------------------------------------
 *
 * histogram_test.c
 *		Proves that every time has a bucket whose bounds enclose it, that
 *		buckets are at most a quarter wide, and what quantiles say.
 *
 *-------------------------------------------------------------------------
 */
#include <stdint.h>
#include <string.h>

#include "base/histogram.h"
#include "tap.h"

static void
enclosed(void)
{
	int			bad = 0;
	int			wide = 0;
	int			back = 0;
	int			last = 0;
	int64_t		us;

	for (us = 0; us < INT64_C(4000000000); us += 1 + us / 300)
	{
		int			b = ln_histogram_bucket(us);
		int64_t		bound = ln_histogram_bound_us(b);

		if (us >= bound ||
			(b > 0 && b < LN_HISTOGRAM_BUCKETS - 1 &&
			 us < ln_histogram_bound_us(b - 1) &&
			 ln_histogram_bucket(ln_histogram_bound_us(b - 1) - 1) >= b))
			bad++;
		if (b < last)
			back++;
		/* above a few units, where quarters exist */
		if (us >= 8 * LN_HISTOGRAM_UNIT_US && b < LN_HISTOGRAM_BUCKETS - 1 &&
			bound > us + us / 4 + LN_HISTOGRAM_UNIT_US)
			wide++;
		last = b;
	}
	ok(bad == 0, "every time lies below the bound of its bucket");
	ok(back == 0, "a longer time is never in an earlier bucket");
	ok(wide == 0, "no bucket is wider than a quarter of its time");
	ok(last == LN_HISTOGRAM_BUCKETS - 1, "the last bucket is reached");
}

static void
edges(void)
{
	ok(ln_histogram_bucket(-1) == 0 && ln_histogram_bucket(INT64_MIN) == 0,
	   "negative times: the first bucket");
	ok(ln_histogram_bucket(0) == 0 && ln_histogram_bucket(63) == 0,
	   "below a unit: the first bucket");
	ok(ln_histogram_bucket(64) == 1, "a unit: the second");
	ok(ln_histogram_bucket(INT64_MAX) == LN_HISTOGRAM_BUCKETS - 1,
	   "the longest time: the last");
	ok(ln_histogram_bound_us(LN_HISTOGRAM_BUCKETS - 1) == INT64_MAX,
	   "which has no bound");
}

static void
quantiles(void)
{
	uint64_t	c[LN_HISTOGRAM_BUCKETS];

	memset(c, 0, sizeof(c));
	ok(ln_histogram_quantile_us(c, 500) == -1, "of nothing: none");
	c[ln_histogram_bucket(1000)] = 99;
	c[ln_histogram_bucket(1000000)] = 1;
	ok(ln_histogram_quantile_us(c, 500) ==
	   ln_histogram_bound_us(ln_histogram_bucket(1000)), "median");
	ok(ln_histogram_quantile_us(c, 990) ==
	   ln_histogram_bound_us(ln_histogram_bucket(1000)),
	   "p99 of 99 short and 1 long");
	ok(ln_histogram_quantile_us(c, 991) ==
	   ln_histogram_bound_us(ln_histogram_bucket(1000000)),
	   "just above: the long one");
	ok(ln_histogram_quantile_us(c, 0) ==
	   ln_histogram_bound_us(ln_histogram_bucket(1000)),
	   "p0: the first there is");
	c[ln_histogram_bucket(1000)] = UINT64_MAX / 2000;
	ok(ln_histogram_quantile_us(c, 500) ==
	   ln_histogram_bound_us(ln_histogram_bucket(1000)),
	   "no overflow of large counts");
}

int
main(void)
{
	enclosed();
	edges();
	quantiles();
	return done_testing();
}
