/*-------------------------------------------------------------------------
 *
 * quiet_time.h
 *		Quiet hours in the server's time and time zones.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_QUIET_TIME_H
#define LN_QUIET_TIME_H

#include "datatype/timestamp.h"
#include "pgtime.h"

#include "base/quiet.h"

/* End of the quiet hours that a moment lies in; 0 = it lies in none. */
extern TimestampTz ln_quiet_time_until(const LnQuiet *quiet, pg_tz *zone,
									   TimestampTz at);

/* Microseconds of an interval, its months of 30 days. */
static inline double
ln_interval_us(const Interval *i)
{
	return (double) i->time +
		((double) i->day + (double) i->month * DAYS_PER_MONTH) *
		USECS_PER_DAY;
}

/*
 * When a message is due that shall go at a random moment of the spread_us
 * after "since".  Quiet hours (NULL = none) do not count: what would fall into
 * them goes on after them at the same pace, and not in a burst.  Before
 * expires_at (DT_NOEND = never), if "since" and the spread are.
 */
extern TimestampTz ln_spread_due(const char *quiet_hours,
								 const char *time_zone, TimestampTz since,
								 double spread_us, TimestampTz expires_at);

#endif							/* LN_QUIET_TIME_H */
