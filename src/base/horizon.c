/*-------------------------------------------------------------------------
 *
 * horizon.c
 *		Lower bound of what a lane may still hold; see horizon.h.
 *
 *-------------------------------------------------------------------------
 */
#include "base/horizon.h"

bool
ln_horizon_note(LnHorizon *h, int64_t at, uint64_t next_xid)
{
	bool		set_back = at < h->latest;

	if (set_back)
	{
		/* the clock was set back: due times may lie before anything noted */
		h->n = 0;
		h->safe = INT64_MIN;
	}
	h->latest = at;

	/*
	 * When the notes are full, every second one goes.  Long transactions then
	 * find an old note all the same, only a coarser one.
	 */
	if (h->n == HORIZON_NOTES)
	{
		for (int i = 0; i < HORIZON_NOTES / 2; i++)
			h->notes[i] = h->notes[2 * i];
		h->n = HORIZON_NOTES / 2;
	}
	h->notes[h->n].at = at;
	h->notes[h->n].next_xid = next_xid;
	h->n++;
	return set_back;
}

int64_t
ln_horizon_safe(LnHorizon *h, uint32_t xmin, int64_t seen)
{
	uint64_t	next;
	uint64_t	xmin64;
	int			k = -1;

	if (h->n == 0)
		return INT64_MIN;
	next = h->notes[h->n - 1].next_xid;

	/* the running xmin is at most 2^31 behind the next transaction id */
	xmin64 = (next & ~UINT64_C(0xffffffff)) | xmin;
	if (xmin64 > next)
		xmin64 -= UINT64_C(1) << 32;

	for (int i = 0; i < h->n && h->notes[i].next_xid <= xmin64; i++)
		k = i;
	if (k >= 0)
	{
		if (h->safe < h->notes[k].at)
			h->safe = h->notes[k].at;
		/* older notes have nothing more to say */
		for (int i = k; i < h->n; i++)
			h->notes[i - k] = h->notes[i];
		h->n -= k;
	}
	return h->safe < seen ? h->safe : seen;
}
