/*-------------------------------------------------------------------------
 *
 * token_bucket.h
 *		A rate limit that can be judged from outside.  Pure: plain struct (may
 *		live in shared memory under the caller's lock), time is an argument.
 *
 * LINE counts per channel and endpoint with a token bucket of unknown depth,
 * and our own promise is stricter: never more than "limit" in any sliding
 * second.  The refill rate is derived from that promise, with an allowance
 * for late takers and for jitter on the way to the server; token_bucket.c has
 * the arithmetic.  Under saturation about 96.6 % of the limit are used.
 *
 * Takers may be many.  Each must read the clock (monotonic) while it holds the
 * lock of the bucket, or go by the bucket's own time where that is later: a
 * time older than it gives no credit, and one older by more than a second is
 * taken for a clock that was set back.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_TOKEN_BUCKET_H
#define LN_TOKEN_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

/* An all-zero struct is valid, and empty until configured. */
typedef struct TokenBucket
{
	int64_t		level_ns;		/* credit in nanoseconds of refill time */
	int64_t		updated_ns;		/* monotonic clock of the last update */
	int64_t		ramp_since_ns;	/* when the slow start begins; 0 = none */
	int64_t		ramp_ns;		/* how long it takes to the full limit */
	int64_t		blocked_until_ns;	/* 429/503: nothing before; 0 = none */
	int32_t		limit;			/* per sliding second, as last configured */
	int32_t		ramp_permille;	/* share of the limit at ramp_since_ns,
								 * 1..1000 */
} TokenBucket;

#define LN_BUCKET_MAX_LIMIT	1000000

/*
 * (Re)configure; keeps credit, pause and slow start.  limit is 1 to
 * LN_BUCKET_MAX_LIMIT (and brought into it).  A new bucket starts empty, so
 * that a restart in the middle of full traffic adds no burst to it.
 */
extern void ln_bucket_configure(TokenBucket *b, int32_t limit, int64_t now_ns);

/* Take up to want tokens; returns how many. */
extern int	ln_bucket_take(TokenBucket *b, int want, int64_t now_ns);

/*
 * Nanoseconds until at least n tokens are there (0 = now), if nobody else
 * takes any.  n above what the bucket can hold means a full bucket.
 */
extern int64_t ln_bucket_wait_ns(const TokenBucket *b, int n, int64_t now_ns);

/*
 * Nothing until now + pause; the credit is gone.  Afterwards a slow start that
 * rises evenly over ramp_ns from from_permille of the limit to all of it.  A
 * pause that ends before the one in force changes nothing.
 */
extern void ln_bucket_block(TokenBucket *b, int64_t pause_ns, int64_t ramp_ns,
							int32_t from_permille, int64_t now_ns);

/*
 * Would a new bucket in its place do no harm?  It has no pause and no slow
 * start, and nobody has taken from it since it was full.
 */
extern bool ln_bucket_idle(const TokenBucket *b, int64_t now_ns);

/* End pause and slow start at once (an operator's resume). */
extern void ln_bucket_unblock(TokenBucket *b, int64_t now_ns);

#endif							/* LN_TOKEN_BUCKET_H */
