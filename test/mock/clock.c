/*
 * The server's clock, ahead or behind by the seconds that the file CLOCK_FILE
 * says; the monotonic clock is left alone.  With SLOW_CLOCK=n both run n times
 * slower than they do, from the start of the program on, as the program itself
 * does under valgrind.  A timer that is cancelled when the clock is set is one
 * when another file comes in place of CLOCK_FILE.  For LD_PRELOAD.
 *
 *	cc -shared -fPIC -o clock.so clock.c -ldl
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static const char *path;
static int64_t slower;			/* 0 = not at all */
static struct timespec since[2];	/* by clock: CLOCK_REALTIME is 0 */
static int	timer = -1;			/* the one that stands for the clock */

__attribute__((constructor))
static void
start(void)
{
	const char *file = getenv("CLOCK_FILE");
	const char *slow = getenv("SLOW_CLOCK");

	if (file != NULL)
		path = realpath(file, NULL);
	clock_gettime(CLOCK_REALTIME, &since[CLOCK_REALTIME]);
	clock_gettime(CLOCK_MONOTONIC, &since[CLOCK_MONOTONIC]);
	if (slow != NULL)
		slower = atol(slow);
}

static long
offset(void)
{
	char		text[32] = "";
	int			fd;

	if (path == NULL || (fd = open(path, O_RDONLY)) < 0)
		return 0;
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	close(fd);
	return atol(text);
}

int
clock_gettime(clockid_t clock, struct timespec *ts)
{
	static int	(*real) (clockid_t, struct timespec *);
	int			rc;

	if (real == NULL)
		real = (int (*) (clockid_t, struct timespec *))
			dlsym(RTLD_NEXT, "clock_gettime");
	rc = real(clock, ts);
	if (rc == 0 && slower > 0 &&
		(clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC))
	{
		int64_t		ns;

		ns = (ts->tv_sec - since[clock].tv_sec) * INT64_C(1000000000) +
			ts->tv_nsec - since[clock].tv_nsec;
		ns = since[clock].tv_nsec + ns / slower;
		ts->tv_sec = since[clock].tv_sec + ns / 1000000000;
		ts->tv_nsec = ns % 1000000000;
	}
	if (rc == 0 && clock == CLOCK_REALTIME)
		ts->tv_sec += offset();
	return rc;
}

int
gettimeofday(struct timeval *tv, void *zone)
{
	struct timespec ts;
	int			rc = clock_gettime(CLOCK_REALTIME, &ts);

	(void) zone;
	tv->tv_sec = ts.tv_sec;
	tv->tv_usec = ts.tv_nsec / 1000;
	return rc;
}

time_t
time(time_t *at)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	if (at != NULL)
		*at = ts.tv_sec;
	return ts.tv_sec;
}

/* One of a process: a watch of the directory. */
int
timerfd_create(clockid_t clock, int flags)
{
	char		dir[PATH_MAX];

	if (path == NULL)
	{
		int			(*real) (clockid_t, int) = (int (*) (clockid_t, int))
			dlsym(RTLD_NEXT, "timerfd_create");

		return real(clock, flags);
	}
	timer = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	inotify_add_watch(timer, dirname(strcpy(dir, path)), IN_MOVED_TO);
	return timer;
}

int
timerfd_settime(int fd, int flags, const struct itimerspec *new,
				struct itimerspec *old)
{
	static int	(*real) (int, int, const struct itimerspec *,
						 struct itimerspec *);

	if (path != NULL && fd == timer)
		return 0;
	if (real == NULL)
		real = (int (*) (int, int, const struct itimerspec *,
						 struct itimerspec *))
			dlsym(RTLD_NEXT, "timerfd_settime");
	return real(fd, flags, new, old);
}

ssize_t
read(int fd, void *buffer, size_t len)
{
	static ssize_t (*real) (int, void *, size_t);
	char		moves[4096];

	if (real == NULL)
		real = (ssize_t (*) (int, void *, size_t)) dlsym(RTLD_NEXT, "read");
	if (path == NULL || timer < 0 || fd != timer)
		return real(fd, buffer, len);
	if (real(fd, moves, sizeof(moves)) > 0)
		errno = ECANCELED;
	return -1;
}
