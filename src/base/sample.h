/*-------------------------------------------------------------------------
 *
 * sample.h
 *		Which of many equal log lines to write.  Pure: time is an argument.
 *
 * An outage makes the same line for every message.  The first few of a minute
 * are written, then one a minute, which says how many were left out.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_SAMPLE_H
#define LN_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

/* Lines of one class in a minute before they are sampled. */
#define SAMPLE_BURST	5

/* One class of lines; all zero at the start. */
typedef struct LnSample
{
	int64_t		window_ms;		/* when this minute began */
	int			written;		/* lines in it */
	int64_t		skipped;		/* lines left out since the last one written */
} LnSample;

/*
 * Shall this line be written?  If so, *skipped says how many of its class were
 * left out since the last one.
 */
extern bool ln_sample(LnSample *s, int64_t now_ms, int64_t *skipped);

#endif							/* LN_SAMPLE_H */
