/*-------------------------------------------------------------------------
 *
 * retry_test.c
 *		Proves the bounds and the spread of the backoff.
 *
 *-------------------------------------------------------------------------
 */
#include <limits.h>
#include <stdint.h>

#include "base/retry.h"
#include "tap.h"

static uint64_t seed = 42;

static uint64_t
next_random(void)
{
	/* splitmix64 */
	uint64_t	z = (seed += UINT64_C(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

/* Bounds, and the mean and both halves of what must be uniform. */
static void
spread_is(int attempt, int64_t base, int64_t cap, int64_t max)
{
	int64_t		least = base / 10 < max ? base / 10 : max;
	int64_t		low = INT64_MAX;
	int64_t		high = 0;
	double		sum = 0;
	int			n = 20000;
	int			i;

	if (least < 1)
		least = 1;
	for (i = 0; i < n; i++)
	{
		int64_t		d = ln_retry_delay_ms(attempt, base, cap, next_random());

		if (d < low)
			low = d;
		if (d > high)
			high = d;
		sum += (double) d;
	}
	ok(low >= least && high <= max,
	   "attempt %d, base %lld, cap %lld: within %lld and %lld", attempt,
	   (long long) base, (long long) cap, (long long) least, (long long) max);
	ok(low <= least + max / 100 && high >= max - max / 100,
	   "and it reaches both ends");
	ok(sum / n > 0.48 * (double) max && sum / n < 0.56 * (double) max + 1,
	   "and its mean is in the middle");
}

int
main(void)
{
	static const int attempts[] = {
		INT_MIN, -1, 0, 1, 2, 62, 63, 64, 65, 1000, INT_MAX
	};
	static const int64_t values[] = {
		INT64_MIN, -1, 0, 1, 2, 999, INT64_C(1) << 40, INT64_MAX / 2,
		INT64_MAX - 1, INT64_MAX
	};
	static const uint64_t randoms[] = {
		0, 1, UINT64_MAX / 2, UINT64_MAX - 1, UINT64_MAX
	};
	size_t		a,
				b,
				c,
				r;
	int			wrong = 0;

	spread_is(1, 1000, 60000, 1000);
	spread_is(2, 1000, 60000, 2000);
	spread_is(3, 1000, 60000, 4000);
	spread_is(6, 1000, 60000, 32000);
	spread_is(7, 1000, 60000, 60000);
	spread_is(100, 1000, 60000, 60000);
	spread_is(INT_MAX, 1000, 60000, 60000);

	is_int(ln_retry_delay_ms(1, 1, 1, 0), 1, "smallest of all");
	is_int(ln_retry_delay_ms(1, 1, 1, UINT64_MAX), 1, "whatever the dice");
	is_int(ln_retry_delay_ms(1, 1000, 60000, 0), 100,
		   "never below a tenth of the base");
	is_int(ln_retry_delay_ms(5, 1000, 60000, 0), 100, "also later");
	is_int(ln_retry_delay_ms(1, 1000, 50, 3), 50, "unless the cap is smaller");
	is_int(ln_retry_delay_ms(3, 1000, 60000, 3999), 4000, "upper end");

	for (a = 0; a < sizeof(attempts) / sizeof(attempts[0]); a++)
		for (b = 0; b < sizeof(values) / sizeof(values[0]); b++)
			for (c = 0; c < sizeof(values) / sizeof(values[0]); c++)
				for (r = 0; r < sizeof(randoms) / sizeof(randoms[0]); r++)
				{
					int64_t		cap = values[c] < 1 ? 1 : values[c];
					int64_t		d = ln_retry_delay_ms(attempts[a], values[b],
													  values[c], randoms[r]);

					if (d < 1 || d > cap)
						wrong++;
				}
	is_int(wrong, 0, "extreme arguments stay within 1 and the cap");

	is_int(ln_retry_credential_check_ms(0, 0), 7500,
		   "a paused channel: first question after 7.5 s");
	is_int(ln_retry_credential_check_ms(0, 2500), 10000, "or 10 s");
	is_int(ln_retry_credential_check_ms(1, 0), 15000,
		   "the second after twice that");
	is_int(ln_retry_credential_check_ms(6, 0), 450000,
		   "the longest is 10 minutes");
	is_int(ln_retry_credential_check_ms(INT_MAX, 150000), 600000, "for ever");
	is_int(ln_retry_credential_check_ms(-1, 0), 7500, "nonsense is the first");

	return done_testing();
}
