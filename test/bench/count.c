/*
 * count.c
 *		Preloaded into a server under callgrind: SIGRTMIN begins to count the
 *		instructions of a process, and the next one ends that and writes them
 *		down.
 *
 * Both at the next look at the clock, since callgrind does not bear it within
 * a signal handler.  callgrind_control reaches no process that was forked.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stddef.h>
#include <time.h>

#include <valgrind/callgrind.h>

static volatile sig_atomic_t asked;
static int	counting;

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
clock_gettime(clockid_t clock, struct timespec *ts)
{
	static int	(*next) (clockid_t, struct timespec *);

	if (asked)
		toggle();
	if (next == NULL)
		next = (int (*) (clockid_t, struct timespec *))
			dlsym(RTLD_NEXT, "clock_gettime");
	return next(clock, ts);
}
