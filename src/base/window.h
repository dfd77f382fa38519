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
 * is in use, that is by a factor of two in a round trip, and closes again to a
 * little more than what was in use.
 *
 * A full queue would use any window.  More than the answers of a second times
 * the time that the quickest of them took (Little's law) only makes them wait
 * longer, each on a connection of its own: twice that and a few is the limit.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_WINDOW_H
#define LN_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

/* What a channel may lose whose other side was never seen to answer. */
#define LN_WINDOW_FIRST		8

/*
 * What a channel may have out in any case once it answers: the sender has
 * other things to do, too.
 */
#define LN_WINDOW_FLOOR		32

/* Over so long (ms), and the period before, are answers counted. */
#define LN_WINDOW_PACE_MS	250

/*
 * How long the quickest answer is remembered (ms): a queue in front of the
 * other side hides it.
 */
#define LN_WINDOW_QUICKEST_MS	10000

/*
 * How long a peak of use is remembered (ms): bursts of a second apart keep
 * their window.
 */
#define LN_WINDOW_MEMORY_MS	2000

typedef struct LnWindow
{
	int			size;			/* 0 = new */
	int			peak;			/* most that was out since peak_since_ms */
	int			last_peak;		/* the same of the period before */
	int64_t		peak_since_ms;
	int			answers;		/* since pace_since_ms */
	int			last_answers;	/* the same of the period before */
	int64_t		pace_since_ms;
	int64_t		last_pace_ms;	/* how long the period before was */
	int64_t		quickest_us;	/* answer since quickest_since_ms; 0 = none */
	int64_t		last_quickest_us;
	int64_t		quickest_since_ms;
	bool		doubted;		/* the quickest of late is kept once more */
} LnWindow;

/* How many more may be started, with "out" of them unanswered. */
extern int	ln_window_room(LnWindow *w, int out, int64_t now_ms);

/*
 * An answer came after latency_us; out = unanswered before it.  Never grows
 * above max.
 */
extern void ln_window_answered(LnWindow *w, int out, int max,
							   int64_t latency_us, int64_t now_ms);

/* None came. */
extern void ln_window_lost(LnWindow *w);

#endif							/* LN_WINDOW_H */
