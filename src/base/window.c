/*-------------------------------------------------------------------------
 *
 * window.c
 *		How many messages may be unanswered at once; see window.h.
 *
 *-------------------------------------------------------------------------
 */
#include "base/window.h"

static int
larger(int a, int b)
{
	return a > b ? a : b;
}

/*
 * What it takes to keep "used" on the wire: a quarter more, so that it can
 * grow.
 */
static int
needed(int used)
{
	return used + used / 4 + LN_WINDOW_FIRST;
}

int
ln_window_room(LnWindow *w, int out, int64_t now_ms)
{
	if (w->size == 0)
	{
		w->size = LN_WINDOW_FIRST;
		w->peak_since_ms = now_ms;
	}
	if (now_ms - w->peak_since_ms >= LN_WINDOW_MEMORY_MS ||
		now_ms < w->peak_since_ms)
	{
		int			enough = needed(larger(w->peak, w->last_peak));

		if (w->size > enough)
			w->size = enough;
		/* after a long rest, the time before it says nothing */
		w->last_peak =
			now_ms - w->peak_since_ms < 2 * LN_WINDOW_MEMORY_MS ? w->peak : 0;
		w->peak = out;
		w->peak_since_ms = now_ms;
	}
	w->peak = larger(w->peak, out);
	return w->size > out ? w->size - out : 0;
}

/*
 * Note how quick an answer was; the quickest of late.  When answers have
 * become slower, either the way is longer now or they wait in a line of our
 * making: let the line run empty, once, to know.
 */
static int64_t
quickest(LnWindow *w, int64_t latency_us, int64_t now_ms)
{
	int64_t		elapsed_ms = now_ms - w->quickest_since_ms;

	if (elapsed_ms >= LN_WINDOW_QUICKEST_MS || elapsed_ms < 0)
	{
		bool		slower = w->last_quickest_us > 0 &&
		w->quickest_us > w->last_quickest_us * 3 / 2;

		if (slower && !w->doubted)
			w->size = LN_WINDOW_FIRST;
		else
			w->last_quickest_us =
				elapsed_ms >= 2 * LN_WINDOW_QUICKEST_MS ? 0 : w->quickest_us;
		w->doubted = slower && !w->doubted;
		w->quickest_us = 0;
		w->quickest_since_ms = now_ms;
	}
	if (w->quickest_us == 0 || latency_us < w->quickest_us)
		w->quickest_us = latency_us;
	if (w->last_quickest_us > 0 && w->last_quickest_us < w->quickest_us)
		return w->last_quickest_us;
	return w->quickest_us;
}

/* Count an answer; most that is of use, by Little's law. */
static int
useful(LnWindow *w, int64_t latency_us, int64_t now_ms)
{
	int64_t		elapsed_ms = now_ms - w->pace_since_ms;
	int64_t		us = quickest(w, latency_us > 0 ? latency_us : 1, now_ms);
	double		size;

	if (elapsed_ms >= LN_WINDOW_PACE_MS || elapsed_ms < 0)
	{
		w->last_answers = w->answers;
		w->last_pace_ms = elapsed_ms < 0 ? 0 : elapsed_ms;
		w->answers = 0;
		w->pace_since_ms = now_ms;
		elapsed_ms = 0;
	}
	w->answers++;
	elapsed_ms += w->last_pace_ms;
	if (elapsed_ms == 0)
		return LN_WINDOW_FLOOR;
	size = LN_WINDOW_FLOOR +
		2.0 * (w->answers + w->last_answers) * (us / 1000.0) / elapsed_ms;
	return size > INT32_MAX ? INT32_MAX : (int) size;
}

void
ln_window_answered(LnWindow *w, int out, int max, int64_t latency_us,
				   int64_t now_ms)
{
	int			limit = useful(w, latency_us, now_ms);

	w->peak = larger(w->peak, out);
	if (w->size < max && w->size < needed(out) && w->size < limit)
		w->size++;
	else if (w->size > limit)
		w->size--;
}

void
ln_window_lost(LnWindow *w)
{
	w->size = larger(w->size / 2, LN_WINDOW_FIRST);
}
