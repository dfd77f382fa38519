/*-------------------------------------------------------------------------
 *
 * window_test.c
 *		Proves that the window is as large as a healthy link needs and as
 *		small as a dying one should have.
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "tap.h"
#include "base/window.h"

#define MAX_OUT		4000
#define TICK_MS		1

typedef struct Run
{
	int			answered;		/* in the last second */
	int			lost;			/* on the wire when the link died, and after */
} Run;

/*
 * A link with a round trip of rtt_ms on which "rate" a second are to be sent,
 * that dies (answers nothing any more) at die_ms.
 */
static Run
run_link(int rate, int rtt_ms, int max, int die_ms)
{
	LnWindow	w = {0};
	Run			r = {0, 0};
	static int	due[MAX_OUT];	/* when the answer of each comes */
	int			out = 0;
	double		tokens = 0;
	int			now;
	int			i;

	for (now = 0; now < die_ms + 5000; now += TICK_MS)
	{
		tokens += rate * TICK_MS / 1000.0;
		if (tokens > rate / 50.0 + 1)
			tokens = rate / 50.0 + 1;
		for (i = 0; i < out && now < die_ms;)
		{
			if (due[i] > now)
			{
				i++;
				continue;
			}
			ln_window_answered(&w, out, max, rtt_ms * 1000, now);
			due[i] = due[--out];
			if (now >= die_ms - 1000)
				r.answered++;
		}
		while (tokens >= 1 && ln_window_free(&w, out, now) > 0)
		{
			due[out++] = now + rtt_ms;
			tokens -= 1;
		}
	}
	r.lost = out;
	return r;
}

/*
 * A full queue at "rate" a second on a link where answers take a time of a
 * mix: from low_ms to high_ms, and quick_percent of them 2 ms.  Answers a
 * second, in the last 10 seconds of a minute.
 */
static int
run_mix(int rate, int low_ms, int high_ms, int quick_percent, int max)
{
	LnWindow	w = {0};
	static int	due[MAX_OUT];
	static int	sent_at[MAX_OUT];
	int			out = 0;
	int			answered = 0;
	double		tokens = 0;
	unsigned	seed = 12345;

	for (int now = 0; now < 60000; now++)
	{
		tokens += rate / 1000.0;
		if (tokens > rate / 50.0 + 1)
			tokens = rate / 50.0 + 1;
		for (int i = 0; i < out;)
		{
			if (due[i] > now)
			{
				i++;
				continue;
			}
			ln_window_answered(&w, out, max, (now - sent_at[i]) * 1000, now);
			out--;
			due[i] = due[out];
			sent_at[i] = sent_at[out];
			answered += now >= 50000;
		}
		while (tokens >= 1 && ln_window_free(&w, out, now) > 0)
		{
			seed = seed * 1103515245 + 12345;
			sent_at[out] = now;
			due[out++] = now + ((int) (seed >> 16) % 100 < quick_percent ? 2
								: low_ms + (int) (seed >> 8) %
								(high_ms - low_ms + 1));
			tokens -= 1;
		}
	}
	return answered / 10;
}

/*
 * A full queue in front of a server that takes rtt_ms for an answer and gives
 * at most "pace" of them in a ms.  Returns how many too many are out, if any;
 * fails when the server is not kept busy.
 */
static int
run_server(int pace, int rtt_ms, int max, int ms)
{
	LnWindow	w = {0};
	static int	sent_at[MAX_OUT];
	int			out = 0;
	int			answered = 0;
	/* and a quarter more, while that is tried */
	int			most = (2 * pace * rtt_ms + LN_WINDOW_FLOOR + pace) * 5 / 4;

	for (int now = 0; now < ms; now++)
	{
		for (int k = 0; k < pace && out > 0 && sent_at[0] + rtt_ms <= now; k++)
		{
			int			latency_us = (now - sent_at[0]) * 1000;

			ln_window_answered(&w, out, max, latency_us, now);
			memmove(sent_at, sent_at + 1, sizeof(int) * (--out));
			answered++;
		}
		for (int room = ln_window_free(&w, out, now); room > 0; room--)
			sent_at[out++] = now;
	}
	if (answered < (ms - 500) * pace * 0.95)
		return -answered;
	return out > most ? out - most : 0;
}

/*
 * A full queue on a link whose round trip grows from one time to another: how
 * long until half of max is out (ms).
 */
static int
slower_link(int rate, int rtt_ms, int then_ms, int max)
{
	LnWindow	w = {0};
	static int	due[MAX_OUT];
	int			out = 0;
	double		tokens = 0;

	for (int now = 0; now < 120000; now++)
	{
		tokens += rate / 1000.0;
		if (tokens > rate / 50.0 + 1)
			tokens = rate / 50.0 + 1;
		for (int i = 0; i < out;)
		{
			if (due[i] > now)
			{
				i++;
				continue;
			}
			ln_window_answered(&w, out, max,
							   (now < 15000 ? rtt_ms : then_ms) * 1000, now);
			due[i] = due[--out];
		}
		while (tokens >= 1 && ln_window_free(&w, out, now) > 0)
		{
			due[out++] = now + (now < 15000 ? rtt_ms : then_ms);
			tokens -= 1;
		}
		if (now > 15000 && out >= max / 2)
			return now - 15000;
	}
	return 120000;
}

/*
 * A full queue in front of a server that answers each after rtt_ms, however
 * many there are; "batch" ms pass between two looks at what has come.  How
 * many round trips until max are out.
 */
static int
trips_to_full(int rtt_ms, int max, int batch)
{
	LnWindow	w = {0};
	static int	due[MAX_OUT];	/* first come, first served */
	int			out = 0;

	for (int now = 0; now < 1000 * rtt_ms; now += batch)
	{
		int			n = 0;

		while (n < out && due[n] <= now)
		{
			ln_window_answered(&w, out - n, max, rtt_ms * 1000, now);
			n++;
		}
		out -= n;
		memmove(due, due + n, sizeof(int) * out);
		for (int room = ln_window_free(&w, out, now); room > 0; room--)
			due[out++] = now + rtt_ms;
		if (out == max)
			return now / rtt_ms;
	}
	return 1000;
}

int
main(void)
{
	LnWindow	w = {0};
	Run			r;
	int			i;

	is_int(ln_window_free(&w, 0, 0), LN_WINDOW_FIRST,
		   "a channel never seen to answer gets a handful");
	is_int(ln_window_free(&w, LN_WINDOW_FIRST, 1), 0, "and no more");
	is_int(ln_window_free(&w, LN_WINDOW_FIRST + 5, 1), 0,
		   "never a negative number");
	for (i = 0; i < LN_WINDOW_FIRST; i++)
		ln_window_answered(&w, LN_WINDOW_FIRST, 400, 1000000, 1);
	is_int(w.size, 2 * LN_WINDOW_FIRST,
		   "it doubles in a round trip while it is in use");
	for (i = 0; i < 100; i++)
		ln_window_answered(&w, 1, 400, 1000000, 1);
	is_int(w.size, 2 * LN_WINDOW_FIRST, "and does not grow while it is not");
	for (i = 0; i < 10000; i++)
		ln_window_answered(&w, w.size, 400, 1000000, 1 + i);
	is_int(w.size, 400, "never above the limit of the channel");
	ln_window_lost(&w);
	is_int(w.size, 200, "one that is lost halves it");
	for (i = 0; i < 20; i++)
		ln_window_lost(&w);
	is_int(w.size, LN_WINDOW_FIRST, "down to what it began with");
	for (i = 0; i < 10000; i++)
		ln_window_answered(&w, w.size, 400, 1000000, 1 + i);
	(void) ln_window_free(&w, 0, 100000);
	(void) ln_window_free(&w, 0, 200000);
	is_int(ln_window_free(&w, 0, 300000), LN_WINDOW_FIRST,
		   "after a rest it begins anew");
	(void) ln_window_free(&w, 3, 5);
	ok(ln_window_free(&w, 0, 5) > 0, "a clock that was set back is survived");

	r = run_link(2000, 200, 500, 20000);
	ok(r.answered >= 1900, "2,000/s at 200 ms: %d/s", r.answered);
	r = run_link(100, 3000, 400, 60000);
	ok(r.answered >= 95, "100/s at 3 s: %d/s", r.answered);
	r = run_link(2000, 50, 400, 20000);
	ok(r.answered >= 1900, "2,000/s at 50 ms: %d/s", r.answered);
	ok(r.lost <= 100 + 60, "which dies: %d lost, 100 were on the wire",
	   r.lost);
	r = run_link(2000, 2, 400, 20000);
	ok(r.answered >= 1900 && r.lost <= 4 + 60,
	   "2,000/s at 2 ms: %d/s, %d lost", r.answered, r.lost);
	r = run_link(10, 100, 400, 20000);
	ok(r.lost <= LN_WINDOW_FIRST + 2, "10/s at 100 ms: %d lost", r.lost);
	i = slower_link(2000, 20, 400, 400);
	ok(i < 40000, "a link that becomes twenty times slower is used to the full after %d ms", i);
	i = run_mix(2000, 20, 200, 0, 400);
	ok(i >= 1850, "answers after 20 to 200 ms, evenly: %d/s of 2,000", i);
	i = run_mix(2000, 100, 100, 10, 400);
	ok(i >= 1850,
	   "answers after 100 ms, and one in ten at once: %d/s of 2,000", i);
	i = run_mix(2000, 1, 200, 50, 400);
	ok(i >= 1850,
	   "answers after 1 to 200 ms, and half of them at once: %d/s of 2,000",
	   i);
	i = run_mix(2000, 199, 200, 80, 400);
	ok(i >= 1850, "answers after 200 ms, and most at once: %d/s of 2,000", i);
	for (int quick = 0; quick <= 90; quick += 10)
		for (int high = 10; high <= 200; high += 38)
		{
			i = run_mix(2000, 1, high, quick, 400);
			ok(i >= 1850,
			   "answers after 1 to %d ms, %d %% at once: %d/s of 2,000", high,
			   quick, i);
		}
	/* it doubles, also when the answers of a round trip come at once */
	for (int batch = 1; batch <= 50; batch += 7)
	{
		i = trips_to_full(200, 400, batch);
		ok(i <= 8, "answers after 200 ms, taken every %d ms: 400 are out after %d of them", batch, i);
		i = trips_to_full(200, 4000, batch);
		ok(i <= 14, "and 4,000 after %d", i);
	}
	i = run_server(12, 1, 400, 5000);
	ok(i == 0,
	   "a server that answers 12 in a ms: %d more on the wire than it needs",
	   i);
	i = run_server(12, 1, 400, 60000);
	ok(i >= 0 && i <= 60, "after a minute of it: %d more", i);
	return done_testing();
}
