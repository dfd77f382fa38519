/*-------------------------------------------------------------------------
 *
 * tap.h
 *		A test harness in one header: TAP on standard output.
 *
 * Each test is one program of one file.  ok() and its relatives print one line
 * and go on after a failure; done_testing() prints the plan and gives main()
 * its result.  A program that dies early prints no plan, which the runner
 * counts as a failure.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_TAP_H
#define LN_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int	tap_count = 0;
static int	tap_failed = 0;

static bool ok(bool passed, const char *fmt,...)
			__attribute__((format(printf, 2, 3), unused));
static void diag(const char *fmt,...)
			__attribute__((format(printf, 1, 2), unused));
static bool is_int(long long got, long long want, const char *name)
			__attribute__((unused));
static bool is_str(const char *got, const char *want, const char *name)
			__attribute__((unused));
static int	done_testing(void);

/* One test; returns whether it passed, so that the caller can add a diag(). */
static bool
ok(bool passed, const char *fmt,...)
{
	va_list		args;

	tap_count++;
	if (!passed)
		tap_failed++;
	printf("%s %d - ", passed ? "ok" : "not ok", tap_count);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
	return passed;
}

/* A remark; also for measured figures. */
static void
diag(const char *fmt,...)
{
	va_list		args;

	fputs("# ", stdout);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

static bool
is_int(long long got, long long want, const char *name)
{
	if (ok(got == want, "%s", name))
		return true;
	diag("got %lld, want %lld", got, want);
	return false;
}

static bool
is_str(const char *got, const char *want, const char *name)
{
	if (ok(strcmp(got, want) == 0, "%s", name))
		return true;
	diag("got  \"%s\"", got);
	diag("want \"%s\"", want);
	return false;
}

static int
done_testing(void)
{
	printf("1..%d\n", tap_count);
	fflush(stdout);
	return tap_failed == 0 ? 0 : 1;
}

#endif							/* LN_TAP_H */
