/*-------------------------------------------------------------------------
 *
 * token_bucket.h
 *		A rate limit that can be judged from outside.  Pure: plain struct (may
 *		live in shared memory under the caller's lock), time is an argument.
 *
 * LINE counts per channel and endpoint with a token bucket of unknown depth,
 * and our own promise is stricter: never more than "rate" in any sliding
 * second.  So the bucket is GCRA-like with a burst far below the rate, and
 * rate * (1 s) + burst never exceeds the limit: the caller's limit is the
 * sliding-second bound, the refill rate is derived from it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_TOKEN_BUCKET_H
#define LN_TOKEN_BUCKET_H

#include <stdint.h>

typedef struct TokenBucket
{
	int64_t		level_ns;		/* credit in nanoseconds of refill time */
	int64_t		updated_ns;		/* monotonic clock of the last update */
	int32_t		limit;			/* per sliding second, as last configured */
	int32_t		ramp_permille;	/* slow start: share of the limit in force, 1..1000 */
	int64_t		ramp_since_ns;	/* when the ramp began; 0 = none */
	int64_t		blocked_until_ns;	/* 429/503: nothing before this; 0 = none */
} TokenBucket;

/* (Re)configure; keeps credit. limit 1..1000000 */
extern void ln_bucket_configure(TokenBucket *b, int32_t limit, int64_t now_ns);

/* Take up to want tokens; returns how many. */
extern int	ln_bucket_take(TokenBucket *b, int want, int64_t now_ns);

/* Give back tokens that were not used. */
extern void ln_bucket_return(TokenBucket *b, int n, int64_t now_ns);

/* Nanoseconds until at least n tokens are there (0 = now). */
extern int64_t ln_bucket_wait_ns(const TokenBucket *b, int n, int64_t now_ns);

/* Nothing until now + pause; afterwards a slow start over ramp_ns from ramp_permille of the limit. */
extern void ln_bucket_block(TokenBucket *b, int64_t pause_ns, int64_t ramp_ns, int32_t from_permille, int64_t now_ns);

#endif							/* LN_TOKEN_BUCKET_H */
