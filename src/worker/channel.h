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

#include "base/breaker.h"
#include "db/outbox.h"
#include "pgtime.h"
#include "base/quiet.h"
#include "utils/palloc.h"
#include "base/window.h"

/*
 * One step of priority is worth so much waiting (us): larger is sooner, but
 * smaller is not never.
 */
#define LN_AGING_US			INT64CONST(60000000)

/* Messages of one channel, priority and endpoint, in order of due time. */
typedef struct LnLane
{
	bool		maybe;			/* something may be due now */
	bool		suspect;		/* says the scan; if nothing can be claimed,
								 * somebody has it locked */
	TimestampTz low;			/* nothing visible or to come is due before */
	TimestampTz head;			/* about when the first of it was due, for
								 * aging */
	TimestampTz next_due;		/* of what waits for its time; DT_NOEND */
} LnLane;

typedef struct LnToken LnToken; /* token.h */

/* A row of identical answers 400 to messages of one template or design. */
typedef struct LnStreak
{
	char		subject[LN_SUBJECT_LEN];	/* "" = free; see
											 * ln_channel_subject */
	uint32		error;			/* hash of LINE's words */
	int			length;
} LnStreak;

/* Templates and designs watched at once, per channel; the oldest gives way. */
#define LN_STREAKS			16

/*
 * Asking whether LINE takes the credential of a paused channel again; see
 * credential_check.c
 */
typedef struct LnCredentialCheck
{
	TimestampTz at;				/* next question; 0 = not known yet */
	int			questions;		/* since LINE took a message */
	bool		renewed;		/* the token for this question is new */
	bool		passed;			/* the last answer was good */
	uint64		request;		/* tag of the question on its way, or 0 */
} LnCredentialCheck;

/* A free question before a message that probes; see probe.h */
typedef struct LnProbe
{
	bool		wanted;			/* ask it */
	bool		good;			/* it was answered: one message may go */
	uint64		request;		/* tag of the question on its way, or 0 */
} LnProbe;

typedef struct LnChannel
{
	MemoryContext context;		/* owns everything below */
	LnChannelRow row;
	bool		gone;			/* dropped; kept while deliveries refer to it */
	LnToken    *token;			/* to send with; outlives reloads */
	uint64		rate_key[2];	/* by LineKind */
	struct LnStats *stats[2];	/* by LineKind; in shared memory, or NULL */
	int			in_flight;		/* claimed and not answered */
	int			queued;			/* of these, not sent yet */
	int			sent;			/* of these, on the wire */
	uint64		dry[2];			/* by LineKind: no rate token in this round */
	bool		mine;			/* a drainer: no other one sends with this
								 * channel ID */
	uint64		refused_token;	/* fingerprint of the credential that LINE
								 * refused */
	LnCredentialCheck credential_check;
	Breaker		breaker;
	LnProbe		probe;
	int			throttles;		/* answers 429 in a row without Retry-After */
	int			failures;		/* of claims, in a row */
	TimestampTz backoff_until;	/* after one: no claim before */
	LnWindow	window;			/* how many may be unanswered */
	LnStreak	runs[LN_STREAKS];	/* identical refusals by template or
									 * design */
	int			next_run;
	LnQuiet		quiet;
	pg_tz	   *zone;
	TimestampTz quiet_checked;	/* what quiet_until says holds from here */
	TimestampTz quiet_until;	/* to here, if quiet; 0 = not quiet */
	LnLane		lanes[LN_LANES];
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

/* End of the quiet hours of a channel, 0 = it has none now. */
extern TimestampTz ln_channel_quiet_until(LnChannel *c, TimestampTz now);

/* Is this endpoint, template or design paused? */
extern bool ln_channel_part_paused(const LnChannel *c, LineKind kind,
								   const char *subject);

/* Is everything of this use case paused? */
extern bool ln_channel_use_case_paused(const LnChannel *c,
									   const char *use_case);

/* May this person be sent to? */
extern bool ln_channel_allows(const LnChannel *c, const char *recipient);

/*
 * Text of a secret: the value itself, or the first line of the file it names.
 * NULL with a sentence in err.
 */
extern char *ln_channel_secret(const char *value, char *err, size_t errlen);

#endif							/* LN_CHANNEL_H */
