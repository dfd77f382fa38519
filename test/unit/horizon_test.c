/*-------------------------------------------------------------------------
 *
 * horizon_test.c
 *		Proves the promise of the horizon: a row that becomes visible after a
 *		look is never due before the bound that the look gave.
 *
 * The judge plays a server: transactions get their id, then read the clock for
 * their row, and end when they like; looks see what has ended by then.
 *
 *-------------------------------------------------------------------------
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/horizon.h"
#include "tap.h"

#define RUNNING		200

static uint64_t seed = 4711;

static uint64_t
below(uint64_t n)
{
	/* splitmix64 */
	uint64_t	z = (seed += UINT64_C(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return (z ^ (z >> 31)) % n;
}

typedef struct Running
{
	uint64_t	xid;			/* 0 = none */
	int64_t		due;
	bool		has_row;
	int			age;			/* looks that it will outlive */
} Running;

/*
 * One life of a worker.  Returns the rows that came below the bound; *tight
 * gets the looks whose bound was the time of the look itself or close to it.
 */
static int
play(uint64_t first_xid, int steps, int long_ones, int *tight)
{
	static Running running[RUNNING];
	LnHorizon	h;
	uint64_t	next_xid = first_xid;
	int64_t		clock = 1000;
	int64_t		low = INT64_MIN;
	int			broken = 0;

	memset(&h, 0, sizeof(h));
	memset(running, 0, sizeof(running));
	*tight = 0;
	for (int step = 0; step < steps; step++)
	{
		Running    *r = &running[below(RUNNING)];

		clock += (int64_t) below(50);
		if (r->xid == 0)
		{
			r->xid = next_xid++;
			r->has_row = false;
			r->age = below(1000) < (uint64_t) long_ones ? 400 : (int) below(8);
		}
		else if (!r->has_row)
		{
			/* at once, or for later */
			r->due = clock + (below(4) == 0 ? (int64_t) below(100000) : 0);
			r->has_row = true;
		}

		if (below(5) == 0)
		{
			uint64_t	xmin;
			int64_t		at = clock;

			/* the order of a claim: clock, next id, then the snapshot */
			(void) ln_horizon_note(&h, at, next_xid);
			clock += (int64_t) below(3);
			xmin = next_xid;
			for (int i = 0; i < RUNNING; i++)
			{
				if (running[i].xid != 0 && running[i].age-- <= 0 &&
					running[i].has_row)
				{
					/* it ends, and its row is there for the next look */
					if (running[i].due < low)
						broken++;
					running[i].xid = 0;
				}
				if (running[i].xid != 0 && running[i].xid < xmin)
					xmin = running[i].xid;
			}
			low = ln_horizon_safe(&h, (uint32_t) xmin, at);
			if (low > at)
				broken++;
			if (low >= at - 30000)
				(*tight)++;
		}
	}
	return broken;
}

int
main(void)
{
	LnHorizon	h;
	int			tight;

	is_int(play(1000, 200000, 0, &tight), 0, "no row comes below the bound");
	ok(tight > 20000, "and the bound follows the clock");
	is_int(play(1000, 200000, 20, &tight), 0, "nor with long transactions");
	is_int(play(UINT64_C(0xfffff000), 200000, 5, &tight), 0,
		   "nor when ids pass 2^32");
	is_int(play(UINT64_C(0x7ffffff00), 200000, 5, &tight), 0,
		   "nor in a later epoch");

	memset(&h, 0, sizeof(h));
	ok(ln_horizon_safe(&h, 100, 5000) == INT64_MIN,
	   "nothing is known without a note");
	ok(!ln_horizon_note(&h, 1000, 100), "a note");
	is_int(ln_horizon_safe(&h, 100, 900), 900,
		   "all before it have ended: what was seen is the bound");
	ok(!ln_horizon_note(&h, 2000, 200), "another");
	is_int(ln_horizon_safe(&h, 150, 2000), 1000,
		   "one runs that began before it: the older note");
	is_int(ln_horizon_safe(&h, 200, 2000), 2000, "until that has ended");
	is_int(ln_horizon_safe(&h, 150, 2000), 2000,
		   "a bound that was safe stays safe");

	ok(ln_horizon_note(&h, 500, 300), "a clock that was set back is told");
	ok(ln_horizon_safe(&h, 250, 500) == INT64_MIN, "and ends what was known");
	is_int(ln_horizon_safe(&h, 300, 500), 500, "from then on as before");

	/* more notes than there is room for */
	memset(&h, 0, sizeof(h));
	for (int i = 0; i < 10 * HORIZON_NOTES; i++)
		(void) ln_horizon_note(&h, 1000 + i, 1000 + (uint64_t) i);
	ok(h.n <= HORIZON_NOTES, "notes are thinned out");
	ok(ln_horizon_safe(&h, 1000 + 300, 100000) <= 1300,
	   "an old transaction finds one that is not too young");
	return done_testing();
}
