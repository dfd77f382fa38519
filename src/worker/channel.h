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

#include "pgtime.h"
#include "utils/palloc.h"

#include "base/breaker.h"
#include "base/gate.h"
#include "base/lane.h"
#include "base/quiet.h"
#include "base/window.h"
#include "db/outbox.h"

struct LnToken;
struct LnStats;

/*
 * One step of priority is worth so much waiting (us): larger is sooner, but
 * smaller is not never.
 */
#define LN_AGING_US			INT64CONST(60000000)

/* Identical answers in a row, to messages of one template or design. */
typedef struct LnStreak
{
	char		subject[LN_SUBJECT_LEN];	/* "" = free; see
											 * ln_outbox_subject() */
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
	bool		asking;			/* the question is on its way */
} LnCredentialCheck;

/* A free question before a message that probes; see probe.h */
typedef struct LnProbe
{
	bool		wanted;			/* ask it */
	bool		good;			/* it was answered: one message may go */
	bool		asking;			/* the question is on its way */
} LnProbe;

/* Deliveries of an endpoint, claimed and not sent, first come first. */
typedef struct LnQueue
{
	int			head;			/* index of a Delivery; -1 = empty */
	int			tail;
	int			n;
	TimestampTz expires_at;		/* the first of them to expire; or before */
} LnQueue;

typedef struct LnChannel
{
	MemoryContext context;		/* owns everything below */
	LnChannelRow row;
	bool		gone;			/* dropped; kept while deliveries need it */
	struct LnToken *token;		/* to send with; outlives reloads */
	uint64		rate_key[2];	/* by LineKind */
	struct LnStats *stats[2];	/* by LineKind; in shared memory, or NULL */
	int			in_flight;		/* claimed and not answered */
	LnQueue		claimed[2];		/* of these, not sent yet; by LineKind */
	int			sent;			/* of these, on the wire, */
	int			sent_head;		/* in order of their sending; index of a
								 * Delivery, -1 = none */
	int			sent_tail;
	int			overdue_from;	/* the first of them that is not overdue; -1 =
								 * all are */
	int			overdue;		/* so many are, see delivery.c */
	TimestampTz answered_sent_at;	/* when the latest request was sent that
									 * has been answered */
	TimestampTz rate_until[2];	/* no rate token before; 0 = there was one */
	TimestampTz limit_until;	/* LINE's monthly limit: not asked before */
	bool		mine;			/* a drainer: no other one sends with this
								 * channel ID */
	uint64		refused_token;	/* fingerprint of the credential that LINE
								 * refused */
	LnCredentialCheck credential_check;
	Breaker		breaker;
	LnProbe		probe;
	int			throttles;		/* answers 429 in a row without Retry-After */
	int			failures;		/* of claims, in a row */
	int			retries;		/* of these, after which the channel waited */
	TimestampTz backoff_until;	/* after one: no claim before */
	LnWindow	window;			/* how many may be unanswered */
	LnStreak	streaks[LN_STREAKS];	/* identical refusals by template or
										 * design */
	int			next_streak;
	int			odd_length[2];	/* by LineKind: answers 4xx in a row that are
								 * not about the message */
	LnQuiet		quiet;
	pg_tz	   *zone;
	TimestampTz quiet_checked;	/* what quiet_until says holds from here */
	TimestampTz quiet_until;	/* to here, if quiet; 0 = not quiet */
	LnLane		lanes[LN_LANES];
	bool		lanes_changed;	/* the following is to be computed anew */
	TimestampTz lanes_due[2];	/* by LineKind: when something is due, */
	bool		lanes_more[2];	/* and has the last claim left some of it? */

	LnVerdict	verdict[2];		/* of the gate, by LineKind, */
	uint64		verdict_reading[2]; /* at that clock reading; 0 = none */
	LnVerdict	published[2];	/* the last one that others were told */
} LnChannel;

/*
 * (Re)load all channels into *list (pointers, allocated in context).  What is
 * in the list already keeps its place, its lanes and its breaker.  Needs a
 * transaction and SPI.  Returns the new number.  freed is called for each that
 * goes.
 */
extern int	ln_channel_load(LnChannel ***list, int n, MemoryContext context,
							void (*freed) (LnChannel *c));

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

#endif							/* LN_CHANNEL_H */
