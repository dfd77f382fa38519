/*-------------------------------------------------------------------------
 *
 * credential_check.c
 *		Does LINE take the credential of a paused channel again?
 *
 * The question is check_channel()'s, who the token belongs to; tokens that LINE
 * issues are asked for anew, those in a file are read again.  That LINE answers
 * it does not prove that it takes messages: the waits between questions go on
 * growing until it has taken one, so that a channel whose messages are refused
 * is not tried ever again at the first pace.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "base/crypto.h"
#include "base/retry.h"
#include "compat.h"
#include "worker/credential_check.h"
#include "worker/token.h"

static uint64 asked = 0;		/* so many by this process */

void
ln_recheck_schedule(LnChannel *c)
{
	uint64		random = 0;

	(void) ln_random_bytes(&random, sizeof(random));
	c->recheck.at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
												ln_retry_recheck_ms(c->recheck.questions, random));
	c->recheck.request = 0;
	c->recheck.renewed = c->recheck.passed = false;
}

void
ln_recheck_proved(LnChannel *c)
{
	c->recheck.questions = 0;
}

void
ln_recheck_step(LnChannel **channels, int n, int64 home, HttpClient *http)
{
	TimestampTz now = 0;

	for (int i = 0; i < n; i++)
	{
		LnChannel  *c = channels[i];

		if (!c->row.paused_automatically || c->gone || c->row.home != home)
		{
			/* resumed, whoever did it: an answer on its way is of no interest */
			c->recheck.at = 0;
			c->recheck.request = 0;
			c->recheck.passed = false;
			continue;
		}
		if (c->token == NULL || c->recheck.request != 0 || c->recheck.passed)
			continue;
		if (now == 0)
			now = GetCurrentTimestamp();
		if (c->recheck.at == 0)
			ln_recheck_schedule(c);
		if (c->recheck.at > now)
			continue;
		if (!c->recheck.renewed)
			ln_token_renew(c->token);
		c->recheck.renewed = true;
		if (!ln_token_ready(c->token, now))
			continue;			/* asked for; token.c has its own pace */

		c->recheck.questions++;
		if (ln_token_get(c, "/v2/bot/info", LN_TAG_RECHECK | ++asked, http))
			c->recheck.request = LN_TAG_RECHECK | asked;
		else
			ln_recheck_schedule(c);
	}
}

void
ln_recheck_result(LnChannel **channels, int n, const HttpResult *res)
{
	for (int i = 0; i < n; i++)
	{
		LnChannel  *c = channels[i];

		if (c->recheck.request != res->tag)
			continue;
		ln_recheck_schedule(c);
		c->recheck.passed = res->verdict == HTTP_STATUS && res->status == 200;
		ereport(DEBUG1,
				(errmsg("line_notify asked LINE again about channel \"%s\": %s", c->row.name,
						res->verdict != HTTP_STATUS ? "no answer" : c->recheck.passed ? "its credential is good" : "not yet")));
		return;
	}
}

bool
ln_recheck_passed(LnChannel *c)
{
	bool		passed = c->recheck.passed;

	c->recheck.passed = false;
	return passed;
}

TimestampTz
ln_recheck_deadline(const LnChannel *c, int64 home)
{
	if (!c->row.paused_automatically || c->gone || c->row.home != home || c->token == NULL ||
		c->recheck.request != 0 || c->recheck.passed)
		return DT_NOEND;
	if (c->recheck.renewed)
		return ln_token_deadline(c->token);
	return c->recheck.at;
}
