/*-------------------------------------------------------------------------
 *
 * probe.c
 *		A free question before a message that probes; see probe.h.
 *
 * The question is that of check_channel(), to the same host, by the same road
 * (proxy, certificate, time-outs).  Any answer below 500 is a good one: what
 * LINE thinks of the token is for others to find out.  It does not prove that
 * messages are taken, so a message still probes, one at a time.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "server/clock.h"
#include "server/shmem.h"
#include "worker/probe.h"
#include "worker/questions.h"
#include "worker/token.h"

bool
ln_probe_clear(LnChannel *c)
{
	if (c->breaker.state != BREAKER_HALF_OPEN)
		return true;
	c->probe.wanted = !c->probe.good;
	return c->probe.good;
}

bool
ln_probe_wanted(const LnChannel *c)
{
	return c->probe.wanted && !c->probe.asking;
}

static void
answered(LnChannel *c, int no, const HttpResult *res)
{
	c->probe.asking = false;
	if (res == NULL || res->aborted || c->breaker.state != BREAKER_HALF_OPEN)
		return;
	c->probe.good = res->verdict == HTTP_STATUS && res->status < 500;
	if (!c->probe.good)
		ln_breaker_failure(&c->breaker, ln_monotonic_ns() / 1000000);
}

void
ln_probe_step(LnChannel **channels, int n, TimestampTz now, HttpClient *http)
{
	for (int i = 0; i < n; i++)
	{
		LnChannel  *c = channels[i];

		if (!ln_probe_wanted(c))
			continue;
		c->probe.wanted = false;
		if (c->gone || c->breaker.state != BREAKER_HALF_OPEN ||
			ln_token_header(c->token, now) == NULL)
			continue;
		c->probe.asking =
			ln_question_get(c, "/v2/bot/info", answered, 0, http);
		if (!c->probe.asking)
			ln_breaker_failure(&c->breaker, ln_monotonic_ns() / 1000000);
	}
}
