/*-------------------------------------------------------------------------
 *
 * clock.c
 *		The clock that runs on by itself, and the one that somebody sets.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/timerfd.h>
#endif

#include "server/clock.h"

/* A clock that goes back by less (us) is being adjusted: nobody's matter. */
#define CLOCK_STEP			USECS_PER_SEC

/* A timer that nobody waits for ends then (year 9999, s). */
#define NO_END				INT64CONST(253402300799)

int64
ln_monotonic_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64) ts.tv_sec * INT64CONST(1000000000) + ts.tv_nsec;
}

int64
ln_clock_set_back(TimestampTz now, int64 *ahead)
{
	int64		was = *ahead;

	*ahead = now - ln_monotonic_ns() / 1000;
	return was != 0 && *ahead < was - CLOCK_STEP ? was - *ahead : 0;
}

/* The kernel cancels such a timer when the clock is set: timerfd_create(2). */
int
ln_clock_watch(void)
{
#ifdef TFD_TIMER_CANCEL_ON_SET
	struct itimerspec at = {.it_value = {.tv_sec = NO_END}};
	int			fd = timerfd_create(CLOCK_REALTIME,
									TFD_NONBLOCK | TFD_CLOEXEC);

	if (fd >= 0 &&
		timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET,
						&at, NULL) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
#endif
	return -1;
}

void
ln_clock_seen(int watch)
{
	uint64		ends;

	/* ECANCELED says so, and the timer runs on */
	(void) !read(watch, &ends, sizeof(ends));
}
