/*
 * The gate: whatever holds a message, nothing of it is claimed or sent; and
 * what nothing holds goes.  Harnesses for CBMC; see run.sh.
 */
#include <stddef.h>

#include "base/gate.c"

int64_t		nondet_i64(void);

#define CHECK(condition, what) __CPROVER_assert(condition, what)
#define GIVEN(condition) __CPROVER_assume(condition)

void
gate(void)
{
	LnGateFacts f;				/* any */
	int64_t		now = nondet_i64();
	LnVerdict	v;
	bool		held;
	bool		paced;

	GIVEN(f.token >= LN_TOKEN_READY && f.token <= LN_TOKEN_FAILED);
	GIVEN(now > 0 && now < LN_NEVER);

	v = ln_gate(&f, now);
	held = f.standby || f.disabled || f.version_mismatch || f.disarmed ||
		f.no_channel || f.channel_paused || f.endpoint_paused ||
		f.token != LN_TOKEN_READY || f.quiet_until > now ||
		f.budget_until > now || f.limit_until > now ||
		f.line_wait_until > now || f.breaker_until > now || f.probing ||
		f.other_drain_until > now || f.backoff_until > now || f.unrecorded;
	paced = f.window_full || f.rate_until > now;

	CHECK(v.reason >= LN_DUE && v.reason < LN_REASONS, "a reason");
	CHECK(ln_gate_may_claim(v) == !held, "claimed if nothing holds it");
	CHECK(ln_gate_may_send(v) == (!held && !paced),
		  "sent if nothing holds it, at the pace");
	if (held && v.until != LN_NEVER && f.token == LN_TOKEN_READY)
		CHECK(v.until > now, "a time to come");
	(void) ln_gate_resume(v);
}

/* given any verdict of its endpoint */
void
gate_message(void)
{
	LnMessageFacts m;			/* any */
	LnVerdict	endpoint;
	LnVerdict	v;
	int64_t		now = nondet_i64();
	bool		held;

	GIVEN(endpoint.reason >= LN_DUE && endpoint.reason < LN_REASONS);
	GIVEN(now > 0 && now < LN_NEVER);

	v = ln_gate_message(&m, endpoint, now);
	held = m.disarmed || m.template_paused || m.use_case_paused ||
		m.due <= m.in_doubt_before || m.untold || m.blocked || m.due > now ||
		m.row_locked;

	CHECK(v.reason >= LN_DUE && v.reason < LN_REASONS, "a reason, too");
	CHECK(ln_gate_may_claim(v) == (ln_gate_may_claim(endpoint) && !held),
		  "its own reasons hold it, and nothing else does");
	(void) ln_gate_resume(v);
}
