/*-------------------------------------------------------------------------
 *
 * quiet.h
 *		Quiet hours: when does the night end?  Pure: the clock and the time
 *		zone are arguments.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_QUIET_H
#define LN_QUIET_H

#include <stdbool.h>
#include <stdint.h>

/* Hours of the day in which nothing is sent: from <= time of day < until. */
typedef struct LnQuiet
{
	int			from;			/* minutes after midnight; from > until spans
								 * midnight, from = until is the whole day */
	int			until;
} LnQuiet;

/* Local time minus UTC, in seconds, at a moment (seconds since 1970). */
typedef int (*LnUtcOffset) (int64_t at, void *zone);

/* Reads "HH:MM-HH:MM"; false if it is nothing of that kind. */
extern bool ln_quiet_parse(const char *text, LnQuiet *q);

/*
 * End of the quiet hours that "now" (seconds since 1970) lies in; 0 = it does
 * not lie in any.  With from = until, the same time of the next day.
 */
extern int64_t ln_quiet_until(const LnQuiet *q, int64_t now,
							  LnUtcOffset offset, void *zone);

/*
 * The moment (seconds since 1970) at which "left" seconds outside of quiet
 * hours have passed since "from": the time stands still in them.  A whole day
 * of quiet hours holds nothing up here.
 */
extern int64_t ln_quiet_pass(const LnQuiet *q, int64_t from, int64_t left,
							 LnUtcOffset offset, void *zone);

#endif							/* LN_QUIET_H */
