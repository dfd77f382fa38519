/*-------------------------------------------------------------------------
 *
 * histogram.h
 *		Times in buckets of growing width: four to each doubling, so that a
 *		quantile is at most a quarter too large.  Pure.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_HISTOGRAM_H
#define LN_HISTOGRAM_H

#include <stdint.h>

/* The first bucket ends here (us): no request over a network is faster. */
#define LN_HISTOGRAM_UNIT_US	64

/*
 * Doublings above the unit: the last bucket holds everything from 18 minutes.
 */
#define LN_HISTOGRAM_DOUBLINGS	24
#define LN_HISTOGRAM_BUCKETS	(4 * LN_HISTOGRAM_DOUBLINGS + 2)

/* Which bucket a time belongs to; negative times to the first. */
extern int	ln_histogram_bucket(int64_t us);

/* The upper bound (exclusive) of a bucket; INT64_MAX of the last. */
extern int64_t ln_histogram_bound_us(int bucket);

/*
 * Upper bound of the bucket that the q-th of a thousand lies in; -1 when all
 * are empty.
 */
extern int64_t ln_histogram_quantile_us(const uint64_t *counts, int permille);

#endif							/* LN_HISTOGRAM_H */
