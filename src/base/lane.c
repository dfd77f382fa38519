/*-------------------------------------------------------------------------
 *
 * lane.c
 *		What a claimer remembers of a lane; see lane.h.
 *
 *-------------------------------------------------------------------------
 */
#include "base/lane.h"

void
ln_lane_init(LnLane *lane)
{
	lane->maybe = lane->more = lane->suspect = false;
	lane->low = lane->head = LN_NOW;
	lane->next_due = LN_NEVER;
}

void
ln_lane_forget(LnLane *lane)
{
	lane->low = LN_NOW;
}

void
ln_lane_fill(LnLane *lane, int64_t since)
{
	if (lane->maybe)
		return;
	lane->maybe = true;
	lane->head = since;
}

void
ln_lane_wait(LnLane *lane, int64_t at)
{
	if (at < lane->next_due)
		lane->next_due = at;
}

void
ln_lane_scanned(LnLane *lane, int64_t first_due, int64_t now)
{
	lane->next_due = first_due;
	if (first_due > now)
		return;
	lane->next_due = LN_NEVER;
	lane->maybe = true;
	lane->suspect = true;
	lane->head = first_due;
	if (first_due < lane->low)
		lane->low = first_due;
}

bool
ln_lane_claimed(LnLane *lane, int locked, bool full, int64_t last_due,
				int64_t safe)
{
	bool		look = locked > 0 || lane->suspect;

	lane->maybe = lane->more = full;
	lane->suspect = false;
	lane->head = last_due;
	lane->low = safe;
	return look;
}

bool
ln_lane_tick(LnLane *lane, int64_t now)
{
	if (lane->maybe || lane->next_due > now)
		return false;
	lane->maybe = true;
	lane->head = lane->next_due;
	if (lane->next_due < lane->low)
		lane->low = lane->next_due;
	lane->next_due = LN_NEVER;
	return true;
}

int64_t
ln_lane_due(const LnLane *lane)
{
	return lane->maybe ? LN_NOW : lane->next_due;
}
