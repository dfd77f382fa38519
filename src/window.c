/*-------------------------------------------------------------------------
 *
 * window.c
 *		How many messages may be unanswered at once; see window.h.
 *
 *-------------------------------------------------------------------------
 */
#include "window.h"

static int
larger(int a, int b)
{
	return a > b ? a : b;
}

/* What it takes to keep "used" on the wire: a quarter more, so that it can grow. */
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
		w->last_peak = now_ms - w->peak_since_ms < 2 * LN_WINDOW_MEMORY_MS ? w->peak : 0;
		w->peak = out;
		w->peak_since_ms = now_ms;
	}
	w->peak = larger(w->peak, out);
	return w->size > out ? w->size - out : 0;
}

void
ln_window_answered(LnWindow *w, int out, int max)
{
	w->peak = larger(w->peak, out);
	if (w->size < max && w->size < needed(out))
		w->size++;
}

void
ln_window_lost(LnWindow *w)
{
	w->size = larger(w->size / 2, LN_WINDOW_FIRST);
}
