/*
 * slow_clock.c
 *		Preloaded into a server under valgrind: its time runs SLOW_CLOCK times
 *		slower, so that what happens after so many milliseconds happens after
 *		as much work as without valgrind.
 *
 * SIGRTMIN begins to count instructions, and the next one ends that and writes
 * them down; both at the next look at the clock, since callgrind does not bear
 * it within a signal handler.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <valgrind/callgrind.h>

static volatile sig_atomic_t asked;
static int	counting;
static int64_t slower;			/* 0 = not at all */
static int64_t since[2];		/* s; CLOCK_REALTIME is 0, CLOCK_MONOTONIC 1 */

static void
note(int signo)
{
	asked = 1;
}

__attribute__((constructor))
static void
start(void)
{
	struct sigaction act = {.sa_handler = note,.sa_flags = SA_RESTART};

	sigaction(SIGRTMIN, &act, NULL);
	if (getenv("SLOW_CLOCK") != NULL)
	{
		since[CLOCK_REALTIME] = atoll(getenv("SLOW_REALTIME"));
		since[CLOCK_MONOTONIC] = atoll(getenv("SLOW_MONOTONIC"));
		slower = atoll(getenv("SLOW_CLOCK"));
	}
}

static void
toggle(void)
{
	asked = 0;
	counting = !counting;
	if (counting)
	{
		CALLGRIND_START_INSTRUMENTATION;
		CALLGRIND_ZERO_STATS;
	}
	else
	{
		CALLGRIND_STOP_INSTRUMENTATION;
		CALLGRIND_DUMP_STATS;
	}
}

int
clock_gettime(clockid_t id, struct timespec *t)
{
	int			rc = (int) syscall(SYS_clock_gettime, id, t);
	int64_t		ns;

	if (asked)
		toggle();
	if (rc != 0 || slower == 0 ||
		(id != CLOCK_REALTIME && id != CLOCK_MONOTONIC))
		return rc;
	ns = ((t->tv_sec - since[id]) * INT64_C(1000000000) + t->tv_nsec) /
		slower;
	t->tv_sec = since[id] + ns / 1000000000;
	t->tv_nsec = ns % 1000000000;
	return 0;
}

int
gettimeofday(struct timeval *restrict tv, void *restrict tz)
{
	struct timespec t;
	int			rc = clock_gettime(CLOCK_REALTIME, &t);

	tv->tv_sec = t.tv_sec;
	tv->tv_usec = t.tv_nsec / 1000;
	return rc;
}

time_t
time(time_t *p)
{
	struct timespec t;

	(void) clock_gettime(CLOCK_REALTIME, &t);
	if (p != NULL)
		*p = t.tv_sec;
	return t.tv_sec;
}
