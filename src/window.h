/*-------------------------------------------------------------------------
 *
 * window.h
 *		How many messages may be unanswered at once.  Pure: time is an
 *		argument.
 *
 * What is on the wire when the other side falls silent becomes unknown.  A
 * fixed limit that is large enough for a slow link (400 at 200 ms) is far too
 * much for a fast one that dies: at 2,000 a second all 400 are out before the
 * first one times out.  So the limit follows what answers prove to be needed,
 * like TCP's congestion window: it opens by one for each answer as long as it
 * is in use, that is by a factor of two in a round trip, and closes again to
 * twice what was in use.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_WINDOW_H
#define LN_WINDOW_H

#include <stdint.h>

/* What a channel may lose whose other side was never seen to answer. */
#define LN_WINDOW_FIRST		8

/* How long a peak of use is remembered (ms): bursts of a second apart keep their window. */
#define LN_WINDOW_MEMORY_MS	2000

typedef struct LnWindow
{
	int			size;			/* 0 = new */
	int			peak;			/* most that was out since peak_since_ms */
	int			last_peak;		/* the same of the period before */
	int64_t		peak_since_ms;
} LnWindow;

/* How many more may be started, with "out" of them unanswered. */
extern int	ln_window_room(LnWindow *w, int out, int64_t now_ms);

/* An answer came; out = unanswered before it.  Never grows above max. */
extern void ln_window_answered(LnWindow *w, int out, int max);

/* None came. */
extern void ln_window_lost(LnWindow *w);

#endif							/* LN_WINDOW_H */
