/*-------------------------------------------------------------------------
 *
 * retry.h
 *		Backoff arithmetic.  Pure: time and randomness are arguments.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_RETRY_H
#define LN_RETRY_H

#include <stdint.h>

/*
 * Delay in milliseconds between attempt number "attempt" (from 1) and the next
 * one: full jitter over an exponential, that is uniform in 1 .. min(cap, base
 * * 2^(attempt - 1)), except that what falls below base / 10 is raised to it
 * (never above the cap).  random is uniform over all 64-bit values.  No
 * overflow for any input; arguments below 1 count as 1.
 */
extern int64_t ln_retry_delay_ms(int attempt, int64_t base_ms, int64_t cap_ms,
								 uint64_t random);

/*
 * How long to wait before a paused channel is asked about again, after so many
 * questions (ms): 10 s doubling to 10 minutes, a quarter of it by random.
 */
extern int64_t ln_retry_credential_check_ms(int questions, uint64_t random);

#endif							/* LN_RETRY_H */
