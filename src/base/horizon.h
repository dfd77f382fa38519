/*-------------------------------------------------------------------------
 *
 * horizon.h
 *		From which due time on may a lane still hold rows that we have not
 *		seen?  Pure: clock and transaction ids are arguments.
 *
 * A claim that starts at the beginning of the index walks the dead entries of
 * everything that was ever sent, which under a held snapshot cannot be
 * removed.
 * So it starts at a lower bound kept in memory.  The bound is safe because of
 * how a row gets its due time: the inserting transaction first has a
 * transaction id, then reads the clock, and the due time is never before that.
 * Hence, when all transaction ids below N have ended, and N was the next id at
 * time T, every row that is still to become visible is due at or after T.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_HORIZON_H
#define LN_HORIZON_H

#include <stdbool.h>
#include <stdint.h>

#define HORIZON_NOTES	64

typedef struct LnHorizon
{
	struct
	{
		int64_t		at;			/* a clock reading, microseconds */
		uint64_t	next_xid;	/* the next transaction id (64 bits) then */
	}			notes[HORIZON_NOTES];
	int			n;				/* notes in use, oldest first */
	int64_t		safe;			/* everything to come is due at or after */
	int64_t		latest;			/* latest clock reading */
} LnHorizon;

/*
 * Note a clock reading and the next transaction id, read after it.  True when
 * the clock was set back: then bounds computed before are worth nothing.
 */
extern bool ln_horizon_note(LnHorizon *h, int64_t at, uint64_t next_xid);

/*
 * A lane was seen completely up to "seen" (exclusive) by a snapshot whose
 * oldest running transaction is xmin (32 bits, as snapshots have it).  Returns
 * its new lower bound.
 */
extern int64_t ln_horizon_safe(LnHorizon *h, uint32_t xmin, int64_t seen);

#endif							/* LN_HORIZON_H */
