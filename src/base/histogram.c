/*-------------------------------------------------------------------------
 *
 * histogram.c
 *		Times in buckets of growing width; see histogram.h.
 *
 * Bucket 0 is below one unit.  Then 1 + 4 * e + s holds the times whose number
 * of units v has its highest bit at e and s as the two bits below it.  For
 * v of 1 and 2 there are not two bits below: some buckets stay empty.
 *
 *-------------------------------------------------------------------------
 */
#include "base/histogram.h"

int
ln_histogram_bucket(int64_t us)
{
	int64_t		v = us / LN_HISTOGRAM_UNIT_US;
	int			e = 0;

	if (us < LN_HISTOGRAM_UNIT_US)
		return 0;
	while (v >> (e + 1) != 0)
		e++;
	if (e >= LN_HISTOGRAM_DOUBLINGS)
		return LN_HISTOGRAM_BUCKETS - 1;
	return 1 + 4 * e + (int) (((v << 2) >> e) & 3);
}

int64_t
ln_histogram_bound_us(int bucket)
{
	int			e = (bucket - 1) / 4;
	int			s = (bucket - 1) % 4;
	int64_t		quarters;

	if (bucket <= 0)
		return LN_HISTOGRAM_UNIT_US;
	if (bucket >= LN_HISTOGRAM_BUCKETS - 1)
		return INT64_MAX;

	/*
	 * rounded up: a bound lies between whole units where quarters do not fit
	 */
	quarters = (int64_t) (4 + s + 1) << e;
	return (quarters + 3) / 4 * LN_HISTOGRAM_UNIT_US;
}

int64_t
ln_histogram_quantile_us(const uint64_t *counts, int permille)
{
	uint64_t	total = 0;
	uint64_t	seen = 0;
	uint64_t	wanted;
	int			i;

	for (i = 0; i < LN_HISTOGRAM_BUCKETS; i++)
		total += counts[i];
	if (total == 0)
		return -1;

	/*
	 * the smallest rank that is not below the share; divided first, for huge
	 * totals
	 */
	wanted = total / 1000 * permille + (total % 1000 * permille + 999) / 1000;
	if (wanted == 0)
		wanted = 1;
	for (i = 0; i < LN_HISTOGRAM_BUCKETS - 1; i++)
	{
		seen += counts[i];
		if (seen >= wanted)
			break;
	}
	return ln_histogram_bound_us(i);
}
