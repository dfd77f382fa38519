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
 * Delay in milliseconds before attempt number "attempt" + 1: full jitter over
 * an exponential, i.e. uniform in [min(base, cap) / 2 .. that * 2] would not
 * spread enough; we take uniform in (0, min(cap, base * 2^(attempt - 1))],
 * never less than base / 10.  random is uniform over all 64-bit values.
 * attempt >= 1; base, cap > 0; no overflow for any input.
 */
extern int64_t ln_retry_delay_ms(int attempt, int64_t base_ms, int64_t cap_ms, uint64_t random);

#endif							/* LN_RETRY_H */
