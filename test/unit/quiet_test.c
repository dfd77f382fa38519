/*-------------------------------------------------------------------------
 *
 * quiet_test.c
 *		Proves when quiet hours end, also on the days on which the clock is
 *		changed.
 *
 *-------------------------------------------------------------------------
 */
#include "base/quiet.h"
#include "tap.h"

#define HOUR	3600
#define DAY		86400

/* Japan: no change of the clock */
static int
japan(int64_t at, void *zone)
{
	(void) at;
	(void) zone;
	return 9 * HOUR;
}

/*
 * Berlin around two of its days: forward on 2026-03-29 at 01:00 UTC (02:00 to
 * 03:00), back on 2026-10-25 at 01:00 UTC (03:00 to 02:00).
 */
#define FORWARD	INT64_C(1774746000)
#define BACK	INT64_C(1792890000)

static int
berlin(int64_t at, void *zone)
{
	(void) zone;
	return at >= FORWARD && at < BACK ? 2 * HOUR : HOUR;
}

/* Its slow and plain twin: look at the clock every minute. */
static int64_t
by_walking(const LnQuiet *q, int64_t now, LnUtcOffset offset)
{
	int64_t		t;
	bool		began = false;

	for (t = now; t < now + 3 * DAY; t = t - t % 60 + 60)
	{
		int			minute = (int) ((t + offset(t, NULL)) % DAY / 60);
		bool		quiet = q->from < q->until
			? minute >= q->from && minute < q->until
			: minute >= q->from || minute < q->until;

		if (!quiet)
			return began ? t : 0;
		began = true;
	}
	return t;
}

static void
agrees(const char *hours, LnUtcOffset offset, int64_t around, const char *name)
{
	LnQuiet		q;
	int			wrong = 0;
	int64_t		t;

	(void) ln_quiet_parse(hours, &q);
	for (t = around - 2 * DAY; t < around + 2 * DAY; t += 77)
	{
		int64_t		got = ln_quiet_until(&q, t, offset, NULL);

		if (got != by_walking(&q, t, offset) && wrong++ == 0)
			diag("at %lld: %lld, not %lld", (long long) (t - around),
				 (long long) (got - around),
				 (long long) (by_walking(&q, t, offset) - around));
	}
	is_int(wrong, 0, name);
}

int
main(void)
{
	LnQuiet		q;
	int64_t		midnight = INT64_C(1767193200);	/* 2026-01-01 00:00 in Japan */

	ok(ln_quiet_parse("21:00-08:30", &q) && q.from == 21 * 60 &&
	   q.until == 8 * 60 + 30, "21:00-08:30");
	ok(ln_quiet_parse("00:00-23:59", &q), "00:00-23:59");
	ok(!ln_quiet_parse("", &q), "empty");
	ok(!ln_quiet_parse("21:00", &q), "half");
	ok(!ln_quiet_parse("21:00-8:00", &q), "one digit");
	ok(!ln_quiet_parse("24:00-08:00", &q), "hour 24");
	ok(!ln_quiet_parse("21:60-08:00", &q), "minute 60");
	ok(!ln_quiet_parse("21:00-08:00x", &q), "more behind it");
	ok(!ln_quiet_parse("21-00-08-00", &q), "other signs");

	(void) ln_quiet_parse("21:00-08:00", &q);
	is_int(ln_quiet_until(&q, midnight, japan, NULL), midnight + 8 * HOUR,
		   "midnight is in the night");
	is_int(ln_quiet_until(&q, midnight + 8 * HOUR - 1, japan, NULL),
		   midnight + 8 * HOUR, "a second before its end");
	is_int(ln_quiet_until(&q, midnight + 8 * HOUR, japan, NULL), 0,
		   "its end is not in it");
	is_int(ln_quiet_until(&q, midnight + 21 * HOUR - 1, japan, NULL), 0,
		   "nor is the second before its begin");
	is_int(ln_quiet_until(&q, midnight + 21 * HOUR, japan, NULL),
		   midnight + DAY + 8 * HOUR, "its begin is");

	(void) ln_quiet_parse("12:00-13:00", &q);
	is_int(ln_quiet_until(&q, midnight + 12 * HOUR + 1, japan, NULL),
		   midnight + 13 * HOUR, "within a day");
	is_int(ln_quiet_until(&q, midnight + 13 * HOUR, japan, NULL), 0,
		   "after it");
	is_int(ln_quiet_until(&q, -DAY + 3 * HOUR + 60, japan, NULL),
		   -DAY + 4 * HOUR, "before 1970");

	(void) ln_quiet_parse("21:00-08:00", &q);
	is_int(ln_quiet_until(&q, FORWARD - 4 * HOUR, berlin, NULL),
		   FORWARD + 5 * HOUR, "the short night ends at 8, not at 9");
	is_int(ln_quiet_until(&q, BACK - 4 * HOUR, berlin, NULL), BACK + 6 * HOUR,
		   "the long night ends at 8, not at 7");
	(void) ln_quiet_parse("21:00-02:30", &q);
	is_int(ln_quiet_until(&q, FORWARD - HOUR, berlin, NULL), FORWARD,
		   "02:30 that does not exist: with the jump");

	/* the time stands still in them */
	(void) ln_quiet_parse("21:00-08:00", &q);
	is_int(ln_quiet_pass(&q, midnight + 10 * HOUR, HOUR, japan, NULL),
		   midnight + 11 * HOUR, "a spread within the day");
	is_int(ln_quiet_pass(&q, midnight + 20 * HOUR, HOUR - 1, japan, NULL),
		   midnight + 21 * HOUR - 1, "up to the last second");
	is_int(ln_quiet_pass(&q, midnight + 20 * HOUR, HOUR, japan, NULL),
		   midnight + DAY + 8 * HOUR, "the next is in the morning");
	is_int(ln_quiet_pass(&q, midnight + 20 * HOUR, 3 * HOUR, japan, NULL),
		   midnight + DAY + 10 * HOUR, "and so on");
	is_int(ln_quiet_pass(&q, midnight + 23 * HOUR, 10, japan, NULL),
		   midnight + DAY + 8 * HOUR + 10, "from within the night");
	is_int(ln_quiet_pass(&q, midnight + 8 * HOUR, 13 * HOUR * 2, japan, NULL),
		   midnight + 2 * DAY + 8 * HOUR, "two days of it");
	is_int(ln_quiet_pass(&q, FORWARD - 4 * HOUR, 60, berlin, NULL),
		   FORWARD + 5 * HOUR + 60, "over the short night");
	is_int(ln_quiet_pass(&q, FORWARD - 24 * HOUR, 24 * HOUR, berlin, NULL),
		   FORWARD + 5 * HOUR + 11 * HOUR,
		   "a begin after the jump is not needed");
	(void) ln_quiet_parse("00:00-00:00", &q);
	is_int(ln_quiet_pass(&q, midnight, HOUR, japan, NULL), midnight + HOUR,
		   "always quiet: nothing to go round");
	(void) ln_quiet_parse("02:15-02:45", &q);
	is_int(ln_quiet_pass(&q, FORWARD - HOUR, 30 * DAY, berlin, NULL) > FORWARD,
		   1, "hours that do not exist come to an end");

	agrees("21:00-08:00", berlin, FORWARD,
		   "a night with the clock put forward");
	agrees("21:00-08:00", berlin, BACK, "a night with the clock put back");
	agrees("21:00-02:30", berlin, FORWARD, "an end that does not exist");
	agrees("02:15-02:45", berlin, FORWARD, "quiet hours that do not exist");
	agrees("02:15-02:45", berlin, BACK, "quiet hours that come twice");
	agrees("02:30-23:00", berlin, BACK, "a begin that comes twice");
	agrees("13:00-12:00", berlin, FORWARD, "nearly the whole day");
	agrees("21:00-08:00", japan, midnight, "Japan");
	return done_testing();
}
