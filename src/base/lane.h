/*-------------------------------------------------------------------------
 *
 * lane.h
 *		What a claimer remembers of a lane: whether something may be due in it,
 *		and from where on to look.  Pure: time is an argument.
 *
 * A lane is the waiting messages of one channel, priority and endpoint, in
 * order of due time.  Times are as in gate.h.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_LANE_H
#define LN_LANE_H

#include "base/gate.h"

typedef struct LnLane
{
	bool		maybe;			/* something may be due now */
	bool		more;			/* something is: the last claim left it */
	bool		suspect;		/* says the scan; if nothing can be claimed,
								 * somebody has it locked */
	int64_t		low;			/* nothing visible or to come is due before */
	int64_t		head;			/* about when the first of it was due, for
								 * aging */
	int64_t		next_due;		/* of what waits for its time; LN_NEVER */
} LnLane;

extern void ln_lane_init(LnLane *lane);

/* Rows may be there that are due before what it remembers. */
extern void ln_lane_forget(LnLane *lane);

/* Something in it may be due since then. */
extern void ln_lane_fill(LnLane *lane, int64_t since);

/* Something in it will be due then. */
extern void ln_lane_wait(LnLane *lane, int64_t at);

/* The scan says when the first of it is due; LN_NEVER = it is empty. */
extern void ln_lane_scanned(LnLane *lane, int64_t first_due, int64_t now);

/*
 * A claim has looked at it: locked all that it might (full: as many as it may
 * take at once, so that there may be more), the last of them due at last_due;
 * from here on nothing is due before "safe".  True: look with a scan at what
 * is left, it knows more.
 */
extern bool ln_lane_claimed(LnLane *lane, int locked, bool full,
							int64_t last_due, int64_t safe);

/* What waited for its time may be due now.  True: see what comes after it. */
extern bool ln_lane_tick(LnLane *lane, int64_t now);

/* When may something of it be claimed? */
extern int64_t ln_lane_due(const LnLane *lane);

#endif							/* LN_LANE_H */
