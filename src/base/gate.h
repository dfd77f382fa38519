/*-------------------------------------------------------------------------
 *
 * gate.h
 *		When may a message go?  The one place that says so.  Pure: time is an
 *		argument.
 *
 * Whatever can hold a channel or a message is a reason here, with the time at
 * which it ends.  Claiming, sending, the time to wake up, drain(),
 * waiting_reason, health() and stats all read a verdict of this file; see
 * src/README.md.
 *
 * Times are microseconds of the server's clock.  LN_NOW (DT_NOBEGIN) = it
 * holds nothing, LN_NEVER (DT_NOEND) = time does not end it: an event does,
 * which view waiting_reasons names, and which wakes the worker.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_GATE_H
#define LN_GATE_H

#include <stdbool.h>
#include <stdint.h>

/* the same numbers as DT_NOBEGIN and DT_NOEND */
#define LN_NOW		INT64_MIN
#define LN_NEVER	INT64_MAX

/* The same moment on a clock that was set back by so much; 0 = no moment. */
static inline int64_t
ln_set_back(int64_t at, int64_t by)
{
	return at == LN_NOW || at == LN_NEVER || at == 0 ? at : at - by;
}

/*
 * In order of what to tell first, when several hold: what somebody must fix,
 * before what a message waits for, before what passes by itself.  The names
 * are in gate.c, what they mean in funcs/waiting_reasons_data.h.
 */
typedef enum LnReason
{
	LN_DUE = 0,					/* nothing holds it: the next claim takes it */

	/* no process of ours would take it */
	LN_NO_CHANNEL,
	LN_DISARMED,
	LN_STANDBY,
	LN_DISABLED,
	LN_NO_LAUNCHER,
	LN_DATABASE_CLOSED,
	LN_NO_DATABASE_SLOT,
	LN_NO_WORKER_SLOT,
	LN_WORKER_FAILED,
	LN_VERSION_MISMATCH,
	LN_WORKER_HELD,

	/* somebody must act on the channel */
	LN_CHANNEL_PAUSED,
	LN_TOKEN_REFUSED,
	LN_NO_CREDENTIAL,
	LN_CREDENTIAL_UNREADABLE,
	LN_NO_TOKEN,
	LN_ENDPOINT_PAUSED,

	/* the message itself */
	LN_TEMPLATE_PAUSED,
	LN_USE_CASE_PAUSED,
	LN_IN_DOUBT,
	LN_UNTOLD,
	LN_ORDER_KEY,
	LN_QUARANTINE,
	LN_NEXT_ATTEMPT,
	LN_NOT_DUE,
	LN_ROW_LOCKED,

	/* it passes */
	LN_TOKEN_FETCH,
	LN_QUIET_HOURS,
	LN_DAILY_BUDGET,
	LN_MONTHLY_LIMIT,
	LN_LINE_SAID_WAIT,
	LN_BREAKER_OPEN,
	LN_BREAKER_HALF_OPEN,
	LN_OTHER_DRAIN,
	LN_SYNC_STANDBY,
	LN_LOCK,
	LN_CLAIM_FAILED,
	LN_RECORDING_FAILED,
	LN_NOT_RESPONDING,
	LN_NOT_PRELOADED,
	LN_WORKER_STARTING,

	/* it moves, at a pace: what is claimed stays in hand */
	LN_ANSWERS_PENDING,
	LN_RATE_LIMIT,
	LN_MAX_IN_FLIGHT,			/* holds what is not claimed yet */

	LN_REASONS
} LnReason;

#define LN_FIRST_PACE	LN_ANSWERS_PENDING

/* What ends it. */
typedef enum LnEnds
{
	LN_ENDS_BY_TIME,			/* "until" says when */
	LN_ENDS_BY_WORK,			/* what we do or wait for ourselves: drain()
								 * stays for it */
	LN_ENDS_BY_EVENT			/* somebody does something */
} LnEnds;

typedef struct LnVerdict
{
	LnReason	reason;			/* the first that holds */
	int64_t		until;			/* when to ask again: the last of all that
								 * hold; LN_NOW = nothing does, LN_NEVER = an
								 * event comes first */
	int64_t		not_before;		/* the last that time ends; LN_NOW = none */
} LnVerdict;

/* Where the access token of a channel comes from, and how that stands. */
typedef enum LnTokenState
{
	LN_TOKEN_READY,
	LN_TOKEN_NONE,				/* no credential is set */
	LN_TOKEN_UNREADABLE,		/* its file cannot be read, or holds none */
	LN_TOKEN_ASKED,				/* on its way */
	LN_TOKEN_FAILED				/* LINE gave none */
} LnTokenState;

/*
 * All that can hold an endpoint of a channel.  Zeroed, nothing does; times
 * that are 0 hold nothing either.
 */
typedef struct LnGateFacts
{
	/* the server */
	bool		standby;
	bool		disabled;		/* line_notify.enabled */
	bool		version_mismatch;
	bool		disarmed;

	/* what an operator did, or LINE's refusals made us do */
	bool		no_channel;
	bool		channel_paused;
	bool		token_refused;	/* paused by us, for a 401 */
	bool		endpoint_paused;

	LnTokenState token;
	int64_t		token_retry;	/* UNREADABLE, FAILED: next attempt; LN_NEVER
								 * = when told */

	int64_t		quiet_until;
	int64_t		budget_until;	/* used up: end of the day */
	int64_t		limit_until;	/* LINE's monthly one: next question */
	int64_t		line_wait_until;	/* 429, 503 */
	int64_t		breaker_until;	/* open: next probe */
	bool		probing;		/* half-open: its question or message is on
								 * the way */
	int64_t		other_drain_until;	/* another drain() has this channel: next
									 * look */
	int64_t		backoff_until;	/* a claim of it failed */
	bool		unrecorded;		/* too many outcomes wait to be recorded */

	/* pace */
	bool		window_full;
	int64_t		rate_until;		/* no token of the bucket before */
	bool		in_flight_full; /* no place for one more */
} LnGateFacts;

/* All that can hold one message, beside its endpoint. */
typedef struct LnMessageFacts
{
	bool		disarmed;		/* its home is another one */
	bool		template_paused;
	bool		use_case_paused;
	bool		blocked;		/* behind another one of its order_key, or
								 * until a pause ends: due "infinity" */
	bool		quarantined;	/* it could not be claimed; until it is due */
	bool		attempted;		/* and comes back when it is due */
	bool		row_locked;
	int64_t		due;
	int64_t		in_doubt_before;	/* LN_NOW = nothing is */
	int64_t		in_doubt_until;
	bool		untold;			/* standbys have yet to know that it may go */
} LnMessageFacts;

/* What holds an endpoint of a channel. */
extern LnVerdict ln_gate(const LnGateFacts *facts, int64_t now);

/* What holds a message, given the verdict of its endpoint. */
extern LnVerdict ln_gate_message(const LnMessageFacts *facts,
								 LnVerdict endpoint, int64_t now);

/* Both hold: the first reason, the later times. */
extern LnVerdict ln_gate_both(LnVerdict a, LnVerdict b);

/* One reason, until then (see LnVerdict). */
extern LnVerdict ln_gate_verdict(LnReason reason, int64_t until);

/* May a message be claimed; may a claimed one be sent, or wait in hand? */
static inline bool
ln_gate_may_claim(LnVerdict v)
{
	return v.reason == LN_DUE || v.reason >= LN_FIRST_PACE;
}

static inline bool
ln_gate_may_send(LnVerdict v)
{
	return v.reason == LN_DUE || v.reason == LN_MAX_IN_FLIGHT;
}

/*
 * For drain(): when may something that is due and has this verdict go on?
 * LN_NOW = it does, or we are working on it; LN_NEVER = somebody must act.
 */
extern int64_t ln_gate_resume(LnVerdict v);

extern const char *ln_reason_name(LnReason reason);
extern LnEnds ln_reason_ends(LnReason reason);

#endif							/* LN_GATE_H */
