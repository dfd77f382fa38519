/*-------------------------------------------------------------------------
 *
 * token_timer.h
 *		When an access token is read or asked for.  Pure: time is an argument.
 *
 *	none -> asked for -> here -(nearly over)-> here and asked for -> here ...
 *	              |        |
 *	   (failed) waits      +-(401)-> asked for -> on trial -(401)-> given up:
 *	   and is asked again            or re-read      |       the channel pauses
 *	                                                 +-(other answer)-> here
 *
 * A token in a file is "asked for" by reading it, which answers at once.
 * Times are as in gate.h.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_TOKEN_TIMER_H
#define LN_TOKEN_TIMER_H

#include "base/gate.h"

/*
 * A file that could not be read is looked at again so often (us), while there
 * are messages to send; and, if one waits for it, at once when another one
 * comes, but no more often than that.
 */
#define LN_FILE_RETRY		INT64_C(10000000)
#define LN_FILE_RETRY_TOLD	INT64_C(1000000)

typedef enum LnTokenSource
{
	LN_SOURCE_NONE,				/* no credential */
	LN_SOURCE_INLINE,			/* an operator set it */
	LN_SOURCE_FILE,				/* it is the first line of a file */
	LN_SOURCE_ISSUED			/* LINE issues it for a credential */
} LnTokenSource;

typedef struct LnTokenTimer
{
	LnTokenSource source;
	bool		here;			/* a token is at hand */
	bool		wanted;			/* one, or the next one, is */
	bool		asking;			/* the request is on its way */
	int			failures;		/* in a row */
	int64_t		read_at;		/* FILE: last look; LN_NOW = never */
	int64_t		retry_at;
	int64_t		expires_at;		/* LN_NEVER = not known to end */
	int64_t		renew_at;
} LnTokenTimer;

extern void ln_token_timer_init(LnTokenTimer *t, LnTokenSource source);

/* There is something to send: is a token at hand?  Notes what is wanted. */
extern bool ln_token_timer_need(LnTokenTimer *t, int64_t now);

/* When to read the file, or to ask LINE; LN_NEVER = not now. */
extern int64_t ln_token_timer_due(const LnTokenTimer *t);

/* A new message came: a file may have appeared with it. */
extern void ln_token_timer_told(LnTokenTimer *t, int64_t now);

extern void ln_token_timer_asked(LnTokenTimer *t);
extern void ln_token_timer_got(LnTokenTimer *t, int64_t expires_at,
							   int64_t renew_at);

/* None came; LINE is asked again after so long (us), a file at its pace. */
extern void ln_token_timer_failed(LnTokenTimer *t, int64_t wait_us,
								  int64_t now);

/* The one at hand is no longer used. */
extern void ln_token_timer_dropped(LnTokenTimer *t);

/* The clock was set back by so much (us). */
extern void ln_token_timer_set_back(LnTokenTimer *t, int64_t by);

/* For the gate. */
extern LnTokenState ln_token_timer_state(const LnTokenTimer *t);

#endif							/* LN_TOKEN_TIMER_H */
