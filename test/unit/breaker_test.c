/*-------------------------------------------------------------------------
 *
 * breaker_test.c
 *		Proves what an outage costs: a handful, then single probes.
 *
 *-------------------------------------------------------------------------
 */
#include "base/breaker.h"
#include "tap.h"

/* How many messages start in an outage, if each fails after "latency"? */
static int
cost_of_outage(int64_t duration_ms, int64_t latency_ms)
{
	Breaker		b = {0};
	int			started = 0;
	int64_t		answer_at = -1;
	int64_t		now;

	for (now = 0; now < duration_ms; now++)
	{
		if (answer_at >= 0 && now >= answer_at)
		{
			ln_breaker_failure(&b, now);
			answer_at = -1;
		}
		if (answer_at < 0 && ln_breaker_allow(&b, 1, now) > 0)
		{
			ln_breaker_started(&b);
			started++;
			answer_at = now + latency_ms;
		}
	}
	return started;
}

int
main(void)
{
	Breaker		b = {0};
	int			i;
	int64_t		pause;

	is_int(ln_breaker_allow(&b, 100, 0), 100, "closed: everything");
	is_int(ln_breaker_allow(&b, 0, 0), 0, "nothing wanted, nothing allowed");
	is_int(ln_breaker_allow(&b, -5, 0), 0, "also less than nothing");
	is_int(ln_breaker_wait_ms(&b, 0), -1, "nothing to wait for");

	for (i = 0; i < BREAKER_THRESHOLD - 1; i++)
		ln_breaker_failure(&b, 10);
	is_int(ln_breaker_allow(&b, 7, 10), 7, "a few failures do not open it");
	ln_breaker_success(&b);
	for (i = 0; i < BREAKER_THRESHOLD - 1; i++)
		ln_breaker_failure(&b, 10);
	is_int(ln_breaker_allow(&b, 7, 10), 7,
		   "a success in between starts the count again");
	ln_breaker_failure(&b, 10);
	is_int(ln_breaker_allow(&b, 7, 10), 0, "a run of failures opens it");
	is_int(ln_breaker_wait_ms(&b, 10), BREAKER_FIRST_MS,
		   "for the first pause");
	ln_breaker_failure(&b, 500);
	is_int(ln_breaker_wait_ms(&b, 10), BREAKER_FIRST_MS,
		   "stragglers do not prolong it");
	is_int(ln_breaker_allow(&b, 7, 10 + BREAKER_FIRST_MS - 1), 0,
		   "not a moment early");

	is_int(ln_breaker_allow(&b, 7, 10 + BREAKER_FIRST_MS), 1,
		   "then one probe");
	is_int(ln_breaker_allow(&b, 7, 10 + BREAKER_FIRST_MS), 1,
		   "which may not have been started");
	ln_breaker_started(&b);
	is_int(ln_breaker_allow(&b, 7, 10 + BREAKER_FIRST_MS), 0,
		   "no second one while it is on the wire");
	ln_breaker_neutral(&b);
	is_int(ln_breaker_allow(&b, 7, 10 + BREAKER_FIRST_MS), 1,
		   "one that says nothing is repeated");
	ln_breaker_started(&b);
	ln_breaker_failure(&b, 2000);
	is_int(ln_breaker_wait_ms(&b, 2000), 2 * BREAKER_FIRST_MS,
		   "a failed probe doubles the pause");

	pause = 0;
	for (i = 0; i < 20; i++)
	{
		pause = ln_breaker_wait_ms(&b, 100000 * i);
		(void) ln_breaker_allow(&b, 1, 100000 * (i + 1) - 1);
		ln_breaker_started(&b);
		ln_breaker_failure(&b, 100000 * (i + 1));
	}
	is_int(ln_breaker_wait_ms(&b, 100000 * 20), BREAKER_LAST_MS,
		   "up to the last");
	ok(pause >= 0, "a pause is never negative");

	ln_breaker_success(&b);
	is_int(ln_breaker_allow(&b, 7, 0), 7,
		   "a late answer to an earlier message closes it");
	for (i = 0; i < BREAKER_THRESHOLD; i++)
		ln_breaker_failure(&b, 0);
	is_int(ln_breaker_wait_ms(&b, 0), BREAKER_FIRST_MS,
		   "and the pause begins short again");

	ok(cost_of_outage(60000, 1) <= BREAKER_THRESHOLD + 6,
	   "a minute of refusals costs %d messages", cost_of_outage(60000, 1));
	ok(cost_of_outage(3600000, 20000) <= BREAKER_THRESHOLD + 50,
	   "an hour of time-outs of 20 s costs %d",
	   cost_of_outage(3600000, 20000));
	return done_testing();
}
