/*
 * What an answer means, and what becomes of the message: all inputs.
 * Harnesses for CBMC; see run.sh.
 */
#include "line/line_api.c"

int			nondet_int(void);
_Bool		nondet_bool(void);

#define CHECK(condition, what) __CPROVER_assert(condition, what)
#define GIVEN(condition) __CPROVER_assume(condition)

void
outcome(void)
{
	HttpVerdict verdict = (HttpVerdict) nondet_int();
	int			status = nondet_int();
	bool		retry_after = nondet_bool();
	LineOutcome o = ln_line_outcome(verdict, status, retry_after);

	CHECK(o >= 0 && o < LINE_OUTCOMES, "an outcome for every input");
	CHECK((o == LINE_ACCEPTED) ==
		  (verdict == HTTP_STATUS && status >= 200 && status <= 299),
		  "accepted is a complete 2xx, and nothing else");
	CHECK((o == LINE_NOT_SENT) == (verdict == HTTP_NOT_SENT),
		  "not sent is what the client proved, and nothing else");
	if (verdict != HTTP_STATUS && verdict != HTTP_NOT_SENT)
		CHECK(o == LINE_AMBIGUOUS, "no complete status: unknown");
	if (verdict == HTTP_STATUS && status >= 500 && status <= 599)
		CHECK(o == (status == 503 && retry_after
					? LINE_THROTTLED : LINE_SERVER_ERROR),
			  "a 5xx may have been accepted, unless it names a time");
	CHECK((o == LINE_THROTTLED) ==
		  (verdict == HTTP_STATUS &&
		   (status == 429 || (status == 503 && retry_after))),
		  "throttled is what names a time, and nothing else");
	CHECK((o == LINE_UNREACHABLE) ==
		  (verdict == HTTP_STATUS && status == 422),
		  "unreachable is a 422, and nothing else");
	if (verdict == HTTP_STATUS && status >= 300 && status <= 499)
		CHECK(ln_line_may_have_been_sent(o) ==
			  (status == 408 || status == 425),
			  "3xx and 4xx: not accepted, unless a proxy gave up");
}

void
decide(void)
{
	LineCase	c;
	LineNext	n;
	bool		sent;
	bool		again;

	c.outcome = (LineOutcome) nondet_int();
	c.attempt = nondet_int();
	c.max_attempts = nondet_int();
	c.maybe_sent = nondet_bool();
	c.on_unknown = nondet_bool() ? LINE_RETRY : LINE_HOLD;
	c.on_server_error = nondet_bool() ? LINE_RETRY : LINE_HOLD;
	GIVEN(c.outcome >= 0 && c.outcome < LINE_OUTCOMES);

	n = ln_line_decide(&c);
	sent = ln_line_may_have_been_sent(c.outcome);
	again = n == LINE_RETRY_LATER || n == LINE_RETURN;

	CHECK(n >= LINE_FINISH_ACCEPTED && n <= LINE_RETURN, "total");
	CHECK((n == LINE_FINISH_ACCEPTED) == (c.outcome == LINE_ACCEPTED),
		  "accepted by a 2xx only, and always");
	if (sent &&
		(c.outcome == LINE_SERVER_ERROR ? c.on_server_error
		 : c.on_unknown) == LINE_HOLD)
		CHECK(!again, "hold: what may have been sent is never sent again");
	else if (sent || c.outcome == LINE_NOT_SENT)
		CHECK((n == LINE_RETRY_LATER) == (c.outcome != LINE_ACCEPTED &&
										  c.attempt < c.max_attempts),
			  "otherwise it is, as often as there are attempts");
	CHECK((n == LINE_RETURN) ==
		  (c.outcome == LINE_THROTTLED || c.outcome == LINE_UNAUTHORIZED ||
		   c.outcome == LINE_MISCONFIGURED),
		  "what is no fault of the message goes back as it came");
	if (n == LINE_FINISH_UNKNOWN)
		CHECK(c.maybe_sent || sent, "unknown only when ambiguous");
	if (c.maybe_sent)
		CHECK(n != LINE_FINISH_FAILED && n != LINE_FINISH_REFUSED &&
			  n != LINE_FINISH_UNREACHABLE,
			  "sent once perhaps: never ends as not sent");
	if (n == LINE_RETRY_LATER)
		CHECK(c.attempt < c.max_attempts, "attempts are limited");
	if (n == LINE_RETURN)
		CHECK(!sent, "an attempt that may have arrived is consumed");
}
