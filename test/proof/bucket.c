/*
 * The token bucket never lets through more than its limit in a sliding second.
 *
 * The lemma, by induction over calls: whatever a call of ln_bucket_take()
 * finds,
 *
 *		level after + taken * cost  <=  level before + time passed
 *
 * and 0 <= level <= cost + LATE.  Summed over the calls of a window of W ns, n
 * tokens cost at most cost + LATE + W; main() shows that this
 * leaves room for no more than "limit" of them in W = 1 s + JITTER.
 *
 * LIMIT is a number per run: with a symbolic one the solver does not end.
 */
#include "base/token_bucket.c"

#ifdef NATIVE
#define nondet_int()	0
#define nondet_i64()	0
#define __CPROVER_assert(condition, what)	((void) 0)
#define __CPROVER_assume(condition)		((void) 0)
#else
int			nondet_int(void);
int64_t		nondet_i64(void);
#endif

#define CHECK(condition, what) __CPROVER_assert(condition, what)
#define GIVEN(condition) __CPROVER_assume(condition)

#ifndef LIMIT
#define LIMIT 2000
#endif

/* monotonic clock: 126 years */
#define CLOCK_MAX	INT64_C(4000000000000000000)

void
take(void)
{
	TokenBucket b = {0};
	int64_t		cost;
	int64_t		level;
	int64_t		updated;
	int64_t		now = nondet_i64();
	int			want = nondet_int();
	int64_t		n;

	b.limit = LIMIT;
	cost = token_cost(&b);
	b.level_ns = nondet_i64();
	b.updated_ns = nondet_i64();
	GIVEN(b.level_ns >= 0 && b.level_ns <= cost + LATE_NS);
	GIVEN(b.updated_ns >= 0 && b.updated_ns <= CLOCK_MAX);
	GIVEN(now >= 0 && now <= CLOCK_MAX);
	level = b.level_ns;
	updated = b.updated_ns;

	n = ln_bucket_take(&b, want, now);
	CHECK(n >= 0, "no negative number");
	if (want > 0)
		CHECK(n == want || (n < want && b.level_ns < cost),
			  "all that there is, and no more than wanted");
	CHECK(b.level_ns >= 0 && b.level_ns <= cost + LATE_NS, "level in bounds");
	if (b.updated_ns >= updated)
		CHECK(b.level_ns + n * cost <= level + (b.updated_ns - updated),
			  "credit is conserved");
	else
		CHECK(b.level_ns + n * cost <= level, "a clock set back gives none");
}

/* a pause: nothing before its end, and no credit at it */
void
block(void)
{
	TokenBucket b = {0};
	int64_t		now = nondet_i64();
	int64_t		pause = nondet_i64();
	int64_t		later = nondet_i64();

	int64_t		earlier = nondet_i64();

	b.limit = LIMIT;
	b.level_ns = nondet_i64();
	b.updated_ns = nondet_i64();
	GIVEN(b.level_ns >= 0 && b.level_ns <= token_cost(&b) + LATE_NS);
	GIVEN(b.updated_ns >= 0 && b.updated_ns <= now && now <= CLOCK_MAX);
	GIVEN(earlier == 0 || (earlier > now && earlier <= CLOCK_MAX));
	b.blocked_until_ns = b.ramp_since_ns = earlier;
	ln_bucket_block(&b, pause, 0, 1000, now);
	CHECK(b.blocked_until_ns == 0 || b.blocked_until_ns >= now, "in time");
	CHECK(b.blocked_until_ns >= earlier, "a longer pause stays");
	GIVEN(later >= now && later < b.blocked_until_ns);
	CHECK(ln_bucket_take(&b, nondet_int(), later) == 0, "nothing in a pause");
}

#ifdef NATIVE
/*
 * n * cost <= cost + LATE + W, with W = 1 s + JITTER excluded, leaves n <=
 * limit: for each limit, run instead of proven, since there are a million.
 */
#include <stdio.h>

int
main(void)
{
	TokenBucket b = {0};
	long		bad = 0;

	for (int32_t limit = 1; limit <= LN_BUCKET_MAX_LIMIT; limit++)
	{
		b.limit = limit;
		bad += (limit + 1) * token_cost(&b) <
			token_cost(&b) + LATE_NS + NS_PER_S + JITTER_NS;
	}
	printf("%ld\n", bad);
	return bad != 0;
}
#endif
