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
 * What it takes to keep "used" on the wire: a quarter more, so that it is not
 * full when a few more come.
 */
static int
needed(int used)
{
	return used + used / 4 + LN_WINDOW_FIRST;
}

/*
 * So many are out.  When that is all that may be, the answer of each of them
 * opens the window by one: a factor of two in a round trip, however many
 * answers are taken at once.
 */
static void
use(LnWindow *w, int out)
{
	w->peak = larger(w->peak, out);
	if (out >= w->size)
		w->to_open = w->size;
}

int
ln_window_free(LnWindow *w, int out, int64_t now_ms)
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
		/* after long without requests, the time before it says nothing */
		w->last_peak =
			now_ms - w->peak_since_ms < 2 * LN_WINDOW_MEMORY_MS ? w->peak : 0;
		w->peak = out;
		w->peak_since_ms = now_ms;
	}
	use(w, out);
	return w->size > out ? w->size - out : 0;
}

/*
 * How long an answer takes where none waits in a line of our making: the mean
 * of some that came while few were out.  Single ones say nothing, since some
 * come at once (a 422) and others late.
 */
static void
sample(LnWindow *w, int out, int64_t latency_us)
{
	if (out > LN_WINDOW_FLOOR)
		return;
	w->sum_us += latency_us;
	if (++w->samples < LN_WINDOW_SAMPLES)
		return;
	w->usual_us = w->sum_us / w->samples;
	w->sum_us = w->samples = 0;
}

/*
 * When all answers have become longer, either the way is longer now or they
 * wait in such a line: let it run empty, once, to know.
 */
static void
watch(LnWindow *w, int64_t now_ms)
{
	int64_t		elapsed_ms = now_ms - w->watched_since_ms;
	int64_t		mean_us;

	if (elapsed_ms >= 0 && elapsed_ms < LN_WINDOW_WATCH_MS)
		return;
	if (w->watched > 0)
	{
		mean_us = w->watched_us / w->watched;
		if (w->loaded_us > 0 && mean_us > w->loaded_us * 3 / 2 &&
			elapsed_ms < 2 * LN_WINDOW_WATCH_MS)
		{
			w->size = LN_WINDOW_FIRST;
			w->sum_us = w->samples = 0;
		}
		w->loaded_us = mean_us;
	}
	w->watched_us = w->watched = 0;
	w->watched_since_ms = now_ms;
}

/*
 * The samples are of answers that came first, and so too quick where some take
 * long.  When the limit holds the channel back, a quarter more is tried for a
 * second: more answers prove that it was too low, and the same number that
 * there is a line.
 */
static void
climb(LnWindow *w, int64_t now_ms)
{
	int64_t		elapsed_ms = now_ms - w->climb_since_ms;

	w->climb_answers++;
	if (elapsed_ms >= 0 && elapsed_ms < LN_WINDOW_CLIMB_MS)
		return;
	if (elapsed_ms < 0 || elapsed_ms >= 2 * LN_WINDOW_CLIMB_MS)
		w->climbing = w->bound = false;
	if (w->climbing)
	{
		w->climbing =
			w->climb_answers > w->climb_before + w->climb_before / 16;
		if (w->climbing)
			w->usual_us = w->usual_us * 5 / 4;
		else
		{
			/* noise may have raised it before */
			w->usual_us = w->usual_us * 24 / 25;
			w->climb_after_ms = now_ms + 3 * LN_WINDOW_CLIMB_MS;
		}
	}
	else if (w->bound && (w->usual_us > 0 || w->samples > 0) &&
			 (now_ms >= w->climb_after_ms ||
			  now_ms < w->climb_after_ms - 3 * LN_WINDOW_CLIMB_MS))
	{
		if (w->usual_us == 0)
			w->usual_us = w->sum_us / w->samples;
		w->climbing = true;
	}
	w->climb_before = w->climb_answers;
	w->climb_answers = 0;
	w->climb_since_ms = now_ms;
	w->bound = false;
}

/* Count an answer; most that is of use, by Little's law. */
static int
useful(LnWindow *w, int out, int64_t latency_us, int64_t now_ms)
{
	int64_t		elapsed_ms = now_ms - w->pace_since_ms;
	int64_t		usual_us;
	double		size;

	if (elapsed_ms >= LN_WINDOW_PACE_MS || elapsed_ms < 0)
	{
		w->last_answers = w->answers;
		w->last_pace_ms = elapsed_ms < 0 ? 0 : elapsed_ms;
		w->answers = 0;
		w->pace_since_ms = now_ms;
		elapsed_ms = 0;
	}
	if (latency_us < 1)
		latency_us = 1;
	w->answers++;
	w->watched++;
	w->watched_us += latency_us;
	sample(w, out, latency_us);
	watch(w, now_ms);
	climb(w, now_ms);
	usual_us = w->usual_us > 0 ? w->usual_us
		: w->samples > 0 ? w->sum_us / w->samples : latency_us;
	elapsed_ms += w->last_pace_ms;
	if (elapsed_ms == 0)
		return LN_WINDOW_FLOOR;
	size = LN_WINDOW_FLOOR +
		2.0 * (w->answers + w->last_answers) * (usual_us / 1000.0) /
		elapsed_ms;
	if (w->climbing)
		size *= 1.25;
	return size > INT32_MAX ? INT32_MAX : (int) size;
}

void
ln_window_answered(LnWindow *w, int out, int max, int64_t latency_us,
				   int64_t now_ms)
{
	int			limit = useful(w, out, latency_us, now_ms);

	use(w, out);
	if (w->size >= limit && limit < max && out >= w->size - w->size / 8)
		w->bound = true;
	if (w->to_open > 0)
		w->to_open--;
	else
		limit = w->size < limit ? w->size : limit;
	if (w->size < max && w->size < limit)
		w->size++;
	else if (w->size > limit)
		w->size--;
}

void
ln_window_lost(LnWindow *w)
{
	w->size = larger(w->size / 2, LN_WINDOW_FIRST);
}
