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
 * like TCP's congestion window: once it is full, each answer to what is out
 * opens it by one, that is by a factor of two in a round trip; and it closes
 * again to a little more than what was in use.
 *
 * A full queue would use any window.  More than the answers of a second times
 * the time that one takes (Little's law) only makes them wait longer, each on
 * a connection of its own: twice that and a few is the limit.
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

/* How long an answer takes is the mean of so many. */
#define LN_WINDOW_SAMPLES	32

/* So often is looked whether answers have become longer (ms). */
#define LN_WINDOW_WATCH_MS	10000

/* So long is tried whether more of them bring more answers (ms). */
#define LN_WINDOW_CLIMB_MS	1000

/*
 * How long a peak of use is remembered (ms): bursts of a second apart keep
 * their window.
 */
#define LN_WINDOW_MEMORY_MS	2000

typedef struct LnWindow
{
	int			size;			/* 0 = new */
	int			to_open;		/* so many answers open it, by one each */
	int			peak;			/* most that was out since peak_since_ms */
	int			last_peak;		/* the same of the period before */
	int64_t		peak_since_ms;
	int			answers;		/* since pace_since_ms */
	int			last_answers;	/* the same of the period before */
	int64_t		pace_since_ms;
	int64_t		last_pace_ms;	/* how long the period before was */
	int64_t		usual_us;		/* what an answer takes; 0 = not known */
	int64_t		sum_us;			/* of the samples */
	int64_t		samples;
	int64_t		watched_us;		/* sum of all answers since watched_since_ms */
	int64_t		watched;
	int64_t		watched_since_ms;
	int64_t		loaded_us;		/* mean of all of the period before */
	bool		bound;			/* the limit held it back, since
								 * climb_since_ms */
	bool		climbing;		/* a quarter more is tried */
	int			climb_answers;	/* since climb_since_ms */
	int			climb_before;	/* the same of the period before */
	int64_t		climb_since_ms;
	int64_t		climb_after_ms; /* not again before */
} LnWindow;

/* How many more may be started, with "out" of them unanswered. */
extern int	ln_window_free(LnWindow *w, int out, int64_t now_ms);

/*
 * An answer came after latency_us; out = unanswered before it.  Never grows
 * above max.
 */
extern void ln_window_answered(LnWindow *w, int out, int max,
							   int64_t latency_us, int64_t now_ms);

/* None came. */
extern void ln_window_lost(LnWindow *w);

#endif							/* LN_WINDOW_H */
