/*-------------------------------------------------------------------------
 *
 * gate.c
 *		When may a message go?  See gate.h.
 *
 *-------------------------------------------------------------------------
 */
#include "base/gate.h"

static const struct
{
	const char *name;			/* waiting_reason; at most 63 bytes */
	LnEnds		ends;
}			reasons[LN_REASONS] =

{
	[LN_DUE] = {"due", LN_ENDS_BY_WORK},
	[LN_NO_CHANNEL] = {"no such channel", LN_ENDS_BY_EVENT},
	[LN_DISARMED] = {"disarmed", LN_ENDS_BY_EVENT},
	[LN_STANDBY] = {"standby", LN_ENDS_BY_EVENT},
	[LN_DISABLED] = {"disabled", LN_ENDS_BY_EVENT},
	[LN_NO_LAUNCHER] = {"no launcher", LN_ENDS_BY_TIME},
	[LN_DATABASE_CLOSED] = {"database closed", LN_ENDS_BY_EVENT},
	[LN_NO_DATABASE_SLOT] = {"no database slot", LN_ENDS_BY_EVENT},
	[LN_NO_WORKER_SLOT] = {"no worker slot", LN_ENDS_BY_EVENT},
	[LN_WORKER_FAILED] = {"worker failed", LN_ENDS_BY_TIME},
	[LN_VERSION_MISMATCH] = {"version mismatch", LN_ENDS_BY_EVENT},
	[LN_WORKER_HELD] = {"worker held", LN_ENDS_BY_EVENT},
	[LN_CHANNEL_PAUSED] = {"channel paused", LN_ENDS_BY_EVENT},
	[LN_TOKEN_REFUSED] = {"access token refused", LN_ENDS_BY_EVENT},
	[LN_NO_CREDENTIAL] = {"no credential", LN_ENDS_BY_EVENT},
	[LN_CREDENTIAL_UNREADABLE] = {"credential unreadable", LN_ENDS_BY_EVENT},
	[LN_NO_TOKEN] = {"no access token", LN_ENDS_BY_TIME},
	[LN_ENDPOINT_PAUSED] = {"endpoint paused", LN_ENDS_BY_EVENT},
	[LN_TEMPLATE_PAUSED] = {"template paused", LN_ENDS_BY_EVENT},
	[LN_USE_CASE_PAUSED] = {"use case paused", LN_ENDS_BY_EVENT},
	[LN_IN_DOUBT] = {"in doubt after a promotion", LN_ENDS_BY_TIME},
	[LN_UNTOLD] = {"not known to standbys yet", LN_ENDS_BY_WORK},
	[LN_ORDER_KEY] = {
		"behind another message of its order_key", LN_ENDS_BY_EVENT
	},
	[LN_QUARANTINE] = {"quarantine", LN_ENDS_BY_TIME},
	[LN_NEXT_ATTEMPT] = {"next attempt", LN_ENDS_BY_TIME},
	[LN_NOT_DUE] = {"not due yet", LN_ENDS_BY_TIME},
	[LN_ROW_LOCKED] = {"locked by a session", LN_ENDS_BY_EVENT},
	[LN_TOKEN_FETCH] = {"access token being fetched", LN_ENDS_BY_WORK},
	[LN_QUIET_HOURS] = {"quiet hours", LN_ENDS_BY_TIME},
	[LN_DAILY_BUDGET] = {"daily budget used up", LN_ENDS_BY_TIME},
	[LN_MONTHLY_LIMIT] = {"monthly limit reached", LN_ENDS_BY_EVENT},
	[LN_LINE_SAID_WAIT] = {"LINE said wait", LN_ENDS_BY_TIME},
	[LN_BREAKER_OPEN] = {"circuit breaker open", LN_ENDS_BY_TIME},
	[LN_BREAKER_HALF_OPEN] = {"circuit breaker half-open", LN_ENDS_BY_WORK},
	[LN_OTHER_DRAIN] = {"another drain", LN_ENDS_BY_WORK},
	[LN_SYNC_STANDBY] = {
		"waiting for a synchronous standby", LN_ENDS_BY_EVENT
	},
	[LN_LOCK] = {"waiting for a lock", LN_ENDS_BY_EVENT},
	[LN_CLAIM_FAILED] = {"claim failed", LN_ENDS_BY_TIME},
	[LN_RECORDING_FAILED] = {"recording failed", LN_ENDS_BY_WORK},
	[LN_NOT_RESPONDING] = {"worker not responding", LN_ENDS_BY_EVENT},
	[LN_NOT_PRELOADED] = {"not preloaded", LN_ENDS_BY_EVENT},
	[LN_WORKER_STARTING] = {"worker starting", LN_ENDS_BY_WORK},
	[LN_ANSWERS_PENDING] = {"waiting for answers", LN_ENDS_BY_WORK},
	[LN_RATE_LIMIT] = {"rate limit", LN_ENDS_BY_TIME},
	[LN_MAX_IN_FLIGHT] = {"max_in_flight reached", LN_ENDS_BY_WORK},
};

const char *
ln_reason_name(LnReason reason)
{
	return reasons[reason].name;
}

LnEnds
ln_reason_ends(LnReason reason)
{
	return reasons[reason].ends;
}

LnVerdict
ln_gate_verdict(LnReason reason, int64_t until)
{
	LnVerdict	v = {reason, until, LN_NOW};

	if (until != LN_NEVER && reasons[reason].ends == LN_ENDS_BY_TIME)
		v.not_before = until;
	return v;
}

LnVerdict
ln_gate_both(LnVerdict a, LnVerdict b)
{
	LnVerdict	v;

	v.reason = a.reason == LN_DUE ? b.reason
		: b.reason == LN_DUE || a.reason < b.reason ? a.reason : b.reason;
	v.until = a.until > b.until ? a.until : b.until;
	v.not_before = a.not_before > b.not_before ? a.not_before : b.not_before;
	return v;
}

static void
holds(LnVerdict *v, LnReason reason, int64_t until)
{
	*v = ln_gate_both(*v, ln_gate_verdict(reason, until));
}

/* A time that is over, or 0, holds nothing. */
static void
holds_until(LnVerdict *v, LnReason reason, int64_t until, int64_t now)
{
	if (until != 0 && until > now)
		holds(v, reason, until);
}

LnVerdict
ln_gate(const LnGateFacts *f, int64_t now)
{
	LnVerdict	v = {LN_DUE, LN_NOW, LN_NOW};

	if (f->no_channel)
		holds(&v, LN_NO_CHANNEL, LN_NEVER);
	if (f->disarmed)
		holds(&v, LN_DISARMED, LN_NEVER);
	if (f->standby)
		holds(&v, LN_STANDBY, LN_NEVER);
	if (f->disabled)
		holds(&v, LN_DISABLED, LN_NEVER);
	if (f->version_mismatch)
		holds(&v, LN_VERSION_MISMATCH, LN_NEVER);
	if (f->channel_paused)
		holds(&v, f->token_refused ? LN_TOKEN_REFUSED : LN_CHANNEL_PAUSED,
			  LN_NEVER);
	if (f->endpoint_paused)
		holds(&v, LN_ENDPOINT_PAUSED, LN_NEVER);
	switch (f->token)
	{
		case LN_TOKEN_READY:
			break;
		case LN_TOKEN_NONE:
			holds(&v, LN_NO_CREDENTIAL, LN_NEVER);
			break;
		case LN_TOKEN_UNREADABLE:
			holds(&v, LN_CREDENTIAL_UNREADABLE, f->token_retry);
			break;
		case LN_TOKEN_ASKED:
			holds(&v, LN_TOKEN_FETCH, LN_NEVER);
			break;
		case LN_TOKEN_FAILED:
			holds(&v, LN_NO_TOKEN, f->token_retry);
			break;
	}
	holds_until(&v, LN_QUIET_HOURS, f->quiet_until, now);
	holds_until(&v, LN_DAILY_BUDGET, f->budget_until, now);
	holds_until(&v, LN_MONTHLY_LIMIT, f->limit_until, now);
	holds_until(&v, LN_LINE_SAID_WAIT, f->line_wait_until, now);
	holds_until(&v, LN_BREAKER_OPEN, f->breaker_until, now);
	if (f->probing)
		holds(&v, LN_BREAKER_HALF_OPEN, LN_NEVER);
	holds_until(&v, LN_OTHER_DRAIN, f->other_drain_until, now);
	holds_until(&v, LN_CLAIM_FAILED, f->backoff_until, now);
	if (f->unrecorded)
		holds(&v, LN_RECORDING_FAILED, LN_NEVER);
	if (f->window_full)
		holds(&v, LN_ANSWERS_PENDING, LN_NEVER);
	holds_until(&v, LN_RATE_LIMIT, f->rate_until, now);
	/* what is claimed goes on, so it must not hide when */
	if (f->in_flight_full && v.reason == LN_DUE)
		holds(&v, LN_MAX_IN_FLIGHT, LN_NEVER);
	return v;
}

LnVerdict
ln_gate_message(const LnMessageFacts *m, LnVerdict endpoint, int64_t now)
{
	LnVerdict	v = endpoint;

	if (m->disarmed)
		holds(&v, LN_DISARMED, LN_NEVER);
	if (m->template_paused)
		holds(&v, LN_TEMPLATE_PAUSED, LN_NEVER);
	if (m->use_case_paused)
		holds(&v, LN_USE_CASE_PAUSED, LN_NEVER);
	if (m->due <= m->in_doubt_before)
		holds(&v, LN_IN_DOUBT, m->in_doubt_until);
	if (m->untold)
		holds(&v, LN_UNTOLD, LN_NEVER);
	if (m->blocked)
		holds(&v, LN_ORDER_KEY, LN_NEVER);
	else if (m->due > now)
		holds(&v, m->quarantined ? LN_QUARANTINE
			  : m->attempted ? LN_NEXT_ATTEMPT : LN_NOT_DUE, m->due);
	if (m->row_locked)
		holds(&v, LN_ROW_LOCKED, LN_NEVER);
	return v;
}

int64_t
ln_gate_resume(LnVerdict v)
{
	switch (reasons[v.reason].ends)
	{
		case LN_ENDS_BY_WORK:
			return LN_NOW;
		case LN_ENDS_BY_EVENT:
			return LN_NEVER;
		case LN_ENDS_BY_TIME:
			break;
	}
	return v.until;
}
