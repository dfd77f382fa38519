/*-------------------------------------------------------------------------
 *
 * quiet.c
 *		Quiet hours; see quiet.h.
 *
 * What counts is what a clock on the wall shows.  When the clock is put
 * forward over the end of the quiet hours, they end with the jump; when it is
 * put back over it, they end when it shows that time first, and the hour that
 * comes twice is judged by what the clock shows then.
 *
 *-------------------------------------------------------------------------
 */
#include "base/quiet.h"

#define MINUTE	60
#define DAY		86400

static int	two_digits(const char *s);
static int64_t begins(const LnQuiet *q, int64_t at, LnUtcOffset offset,
					  void *zone);
static int	time_of_day(int64_t at, LnUtcOffset offset, void *zone);
static bool is_quiet(const LnQuiet *q, int64_t at, LnUtcOffset offset,
					 void *zone);

bool
ln_quiet_parse(const char *text, LnQuiet *q)
{
	int			part[4];

	for (int i = 0; i < 4; i++)
	{
		const char *s = text + 3 * i;

		/* up to here the text is known to be long enough */
		part[i] = two_digits(s);
		if (part[i] < 0 || part[i] > (i % 2 == 0 ? 23 : 59) ||
			s[2] != ":-:"[i])
			return false;
	}
	q->from = part[0] * 60 + part[1];
	q->until = part[2] * 60 + part[3];
	return true;
}

int64_t
ln_quiet_until(const LnQuiet *q, int64_t now, LnUtcOffset offset, void *zone)
{
	int64_t		end;

	if (!is_quiet(q, now, offset, zone))
		return 0;

	end = q->until * MINUTE - time_of_day(now, offset, zone);
	if (end <= 0)
		end += DAY;
	end += now;
	if (offset(end, zone) == offset(now, zone))
		return end;

	/*
	 * The clock is put forward or back before that.  It is then, once in half
	 * a year, the simplest to look at it every minute.
	 */
	end = now - ((now % MINUTE) + MINUTE) % MINUTE;
	for (int i = 0; i < 2 * DAY / MINUTE; i++)
	{
		end += MINUTE;
		if (!is_quiet(q, end, offset, zone) ||
			time_of_day(end, offset, zone) / MINUTE == q->until)
			return end;
	}
	return end;
}

/* When they begin next; at lies in none. */
static int64_t
begins(const LnQuiet *q, int64_t at, LnUtcOffset offset, void *zone)
{
	int64_t		begin = q->from * MINUTE - time_of_day(at, offset, zone);

	if (begin <= 0)
		begin += DAY;
	begin += at;
	/* when the clock is put forward or back before that */
	begin += offset(at, zone) - offset(begin, zone);
	return begin > at ? begin : begin + DAY;
}

int64_t
ln_quiet_pass(const LnQuiet *q, int64_t from, int64_t left,
			  LnUtcOffset offset, void *zone)
{
	int64_t		at = from;

	if (q->from == q->until)
		return from + left;
	for (;;)
	{
		int64_t		end = ln_quiet_until(q, at, offset, zone);
		int64_t		begin;

		if (end != 0)
			at = end;
		begin = begins(q, at, offset, zone);
		if (at + left < begin)
			return at + left;
		left -= begin - at;
		at = begin;
	}
}

static bool
is_quiet(const LnQuiet *q, int64_t at, LnUtcOffset offset, void *zone)
{
	int			minute = time_of_day(at, offset, zone) / MINUTE;

	if (q->from == q->until)
		return true;
	if (q->from < q->until)
		return minute >= q->from && minute < q->until;
	return minute >= q->from || minute < q->until;
}

/* Seconds after midnight, as the clock on the wall shows. */
static int
time_of_day(int64_t at, LnUtcOffset offset, void *zone)
{
	int64_t		local = (at + offset(at, zone)) % DAY;

	return (int) (local < 0 ? local + DAY : local);
}

static int
two_digits(const char *s)
{
	if (s[0] < '0' || s[0] > '9' || s[1] < '0' || s[1] > '9')
		return -1;
	return (s[0] - '0') * 10 + s[1] - '0';
}
