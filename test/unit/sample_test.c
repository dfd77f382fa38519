/*-------------------------------------------------------------------------
 *
 * sample_test.c
 *		Proves that rare lines are all written, that floods are cut to one a
 *		minute, and that every line is either written or counted.
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "base/sample.h"
#include "tap.h"

int
main(void)
{
	LnSample	s;
	int64_t		skipped;
	int64_t		told = 0;
	int			written = 0;
	int			i;

	memset(&s, 0, sizeof(s));
	for (i = 0; i < 100; i++)
		written += ln_sample(&s, INT64_C(1000) + i * INT64_C(13000),
							 &skipped) && skipped == 0;
	ok(written == 100, "a line every 13 seconds: all of them");

	memset(&s, 0, sizeof(s));
	written = 0;
	for (i = 0; i < SAMPLE_BURST; i++)
		written += ln_sample(&s, 5, &skipped);
	ok(written == SAMPLE_BURST, "the first few at once");
	ok(!ln_sample(&s, 6, &skipped), "not the next");
	ok(!ln_sample(&s, 60004, &skipped), "nor within the minute");
	ok(ln_sample(&s, 60005, &skipped) && skipped == 2,
	   "one after a minute, with the number left out");
	ok(!ln_sample(&s, 60006, &skipped), "and only one");

	memset(&s, 0, sizeof(s));
	written = 0;
	for (i = 0; i < 600000; i++)	/* 1,000 a second for ten minutes */
	{
		if (ln_sample(&s, i, &skipped))
		{
			written++;
			told += skipped;
		}
	}
	ok(written == SAMPLE_BURST + 9,
	   "a flood of ten minutes: a burst, then one a minute");
	ok(written + told + s.skipped == 600000,
	   "every line is written or counted");

	memset(&s, 0, sizeof(s));
	(void) ln_sample(&s, 1000000, &skipped);
	ok(ln_sample(&s, 0, &skipped), "a clock set back silences nothing");
	(void) ln_sample(&s, INT64_MAX, &skipped);
	ok(ln_sample(&s, INT64_MAX, &skipped), "the end of time");
	return done_testing();
}
