/*-------------------------------------------------------------------------
 *
 * breaker.h
 *		Circuit breaker: a short run of failures stops the flow, single probes
 *		find out when it may go on.  Pure: time is an argument.
 *
 * So an outage costs a handful of messages their certainty, not the queue.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_BREAKER_H
#define LN_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Failures in a row that open it: few enough to cost little, more than one bad
 * connection gives.
 */
#define BREAKER_THRESHOLD	5

/* First pause after opening, doubling up to the last (ms). */
#define BREAKER_FIRST_MS	1000
#define BREAKER_LAST_MS		60000

typedef enum BreakerState
{
	BREAKER_CLOSED,				/* -> OPEN after BREAKER_THRESHOLD failures */
	BREAKER_OPEN,				/* -> HALF_OPEN when the pause is over */
	BREAKER_HALF_OPEN			/* one probe: -> CLOSED or OPEN */
} BreakerState;

typedef struct Breaker
{
	BreakerState state;
	int			failures;		/* in a row */
	int			openings;		/* in a row, sets the pause */
	int64_t		until_ms;		/* OPEN: end of the pause */
	bool		probing;		/* HALF_OPEN: the probe is on the wire */
} Breaker;

/* How many may be started now: 0, 1 (a probe) or want. */
extern int	ln_breaker_allow(Breaker *b, int want, int64_t now_ms);

/* A probe was really started (ln_breaker_allow had said 1 in half-open). */
extern void ln_breaker_started(Breaker *b);

extern void ln_breaker_success(Breaker *b);
extern void ln_breaker_failure(Breaker *b, int64_t now_ms);

/* Neither: the attempt says nothing about the other side (aborted by us). */
extern void ln_breaker_neutral(Breaker *b);

/* When to ask again; -1 = nothing to wait for. */
extern int64_t ln_breaker_wait_ms(const Breaker *b, int64_t now_ms);

#endif							/* LN_BREAKER_H */
