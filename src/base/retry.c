/*-------------------------------------------------------------------------
 *
 * retry.c
 *		Backoff arithmetic.
 *
 * Exponential with full jitter: after an outage of a minute, thousands of rows
 * have the same attempt number, and whatever is not spread over the whole
 * interval comes back as a wave.  Time and randomness are arguments, so a test
 * can say exactly what must come out.
 *
 *-------------------------------------------------------------------------
 */
#include "base/retry.h"

/* Lower bound of a delay as a part of the base: a tenth. */
#define FLOOR_DIVISOR	10

/*
 * Questions about a paused channel: a person who fixes it shall not wait long,
 * LINE shall hardly notice.
 */
#define CREDENTIAL_CHECK_FIRST_MS	10000
#define CREDENTIAL_CHECK_LAST_MS		600000

/*
 * Delay in milliseconds before the attempt after "attempt"; see retry.h.
 * Arguments below 1 count as 1.
 */
int64_t
ln_retry_delay_ms(int attempt, int64_t base_ms, int64_t cap_ms,
				  uint64_t random)
{
	int64_t		max;
	int64_t		delay;
	int64_t		least;

	if (base_ms < 1)
		base_ms = 1;
	if (cap_ms < 1)
		cap_ms = 1;

	/* double until the cap, which also keeps clear of overflow */
	max = base_ms < cap_ms ? base_ms : cap_ms;
	while (attempt > 1 && max < cap_ms)
	{
		max = max > cap_ms / 2 ? cap_ms : max * 2;
		attempt--;
	}

	/* the bias of the modulo is below 2^-20 for any cap below 200 days */
	delay = 1 + (int64_t) (random % (uint64_t) max);

	least = base_ms / FLOOR_DIVISOR;
	if (least > max)
		least = max;
	return delay < least ? least : delay;
}

/*
 * Wait before the next question about a paused channel; see retry.h.
 */
int64_t
ln_retry_credential_check_ms(int questions, uint64_t random)
{
	int64_t		wait = CREDENTIAL_CHECK_FIRST_MS;

	while (questions-- > 0 && wait < CREDENTIAL_CHECK_LAST_MS)
		wait *= 2;
	if (wait > CREDENTIAL_CHECK_LAST_MS)
		wait = CREDENTIAL_CHECK_LAST_MS;
	return wait - wait / 4 + (int64_t) (random % (uint64_t) (wait / 4 + 1));
}
