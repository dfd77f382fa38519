/*-------------------------------------------------------------------------
 *
 * channel.h
 *		Channels as the sender sees them, and where their access tokens come
 *		from.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_CHANNEL_H
#define LN_CHANNEL_H

#include "breaker.h"
#include "outbox.h"
#include "utils/palloc.h"

#define LN_MIN_PRIORITY		(-10)
#define LN_MAX_PRIORITY		10
#define LN_PRIORITIES		(LN_MAX_PRIORITY - LN_MIN_PRIORITY + 1)

/* A tenth of a second of difference in due time that one step of priority is worth, times this. */
#define LN_AGING_US			INT64CONST(60000000)

/* Messages of one channel and priority, in order of due time. */
typedef struct LnLane
{
	bool		maybe;			/* something may be due now */
	bool		suspect;		/* says the survey; if nothing can be claimed,
								 * somebody has it locked */
	TimestampTz low;			/* nothing visible or to come is due before */
	TimestampTz next_due;		/* of what waits for its time; DT_NOEND */
} LnLane;

typedef struct LnToken LnToken;	/* token.h */

typedef struct LnChannel
{
	MemoryContext context;		/* owns everything below */
	LnChannelRow row;
	bool		gone;			/* dropped; kept while transfers refer to it */
	LnToken    *token;			/* to send with; outlives reloads */
	uint64		rate_key[2];	/* by LineKind */
	int			in_flight;		/* claimed and not answered */
	int			queued;			/* of these, not sent yet */
	Breaker		breaker;
	int			throttles;		/* answers 429 in a row without Retry-After */
	int64		blocked_until_ns[2];	/* by LineKind, monotonic: LINE said
										 * wait */
	int			failures;		/* of claims, in a row */
	TimestampTz rest_until;		/* after one: no claim before */
	LnLane		lanes[LN_PRIORITIES];
} LnChannel;

/*
 * (Re)load all channels into *list (pointers, allocated in context).  What is
 * in the list already keeps its place, its lanes and its breaker.  Needs a
 * transaction and SPI.  Returns the new number.
 */
extern int	ln_channel_load(LnChannel ***list, int n, MemoryContext context);

/* May it send at all, apart from rates, outages and the lack of a token? */
extern bool ln_channel_permitted(const LnChannel *c, int64 home);

/* The same, and is a token at hand? */
extern bool ln_channel_usable(const LnChannel *c, int64 home);

/* Text of a secret: the value itself, or the first line of the file it names. NULL with a sentence in err. */
extern char *ln_channel_secret(const char *value, char *err, size_t errlen);

#endif							/* LN_CHANNEL_H */
