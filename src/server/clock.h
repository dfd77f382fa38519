/*-------------------------------------------------------------------------
 *
 * clock.h
 *		The clock that runs on by itself, and the one that somebody sets.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_CLOCK_H
#define LN_CLOCK_H

#include "datatype/timestamp.h"

/* monotonic clock */
extern int64 ln_monotonic_ns(void);

/*
 * By how much (us) was the clock set back since *ahead was noted?  That is 0
 * at first; returns 0 when it was not.
 */
extern int64 ln_clock_set_back(TimestampTz now, int64 *ahead);

/*
 * A descriptor that becomes readable when the clock is set, also as the
 * machine goes on after a sleep: who waits for a time of the clock that was
 * does not learn of it otherwise.  For the life of the process; -1 where the
 * system has none.
 */
extern int	ln_clock_watch(void);

/* It was readable: until the next time. */
extern void ln_clock_seen(int watch);

#endif							/* LN_CLOCK_H */
