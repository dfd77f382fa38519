/*-------------------------------------------------------------------------
 *
 * credential_check.c
 *		Does LINE take the credential of a paused channel again?
 *
 * The question is check_channel()'s, who the token belongs to; tokens that
 * LINE issues are asked for anew, those in a file are read again.  That LINE
 * answers it does not prove that it takes messages: the waits between
 * questions go on growing until it has taken one, so that a channel whose
 * messages are refused is not tried ever again at the first pace.
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
ln_credential_check_schedule(LnChannel *c)
{
	uint64		random = 0;

	(void) ln_random_bytes(&random, sizeof(random));
	c->credential_check.at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
														 ln_retry_credential_check_ms(c->credential_check.questions, random));
	c->credential_check.request = 0;
	c->credential_check.renewed = c->credential_check.passed = false;
}

void
ln_credential_check_proved(LnChannel *c)
{
	c->credential_check.questions = 0;
}

void
ln_credential_check_step(LnChannel **channels, int n, int64 home,
						 HttpClient *http)
{
	TimestampTz now = 0;

	for (int i = 0; i < n; i++)
	{
		LnChannel  *c = channels[i];

		if (!c->row.paused_automatically || c->gone || c->row.home != home)
		{
			/*
			 * resumed, whoever did it: an answer on its way is of no interest
			 */
			c->credential_check.at = 0;
			c->credential_check.request = 0;
			c->credential_check.passed = false;
			continue;
		}
		if (c->token == NULL || c->credential_check.request != 0 ||
			c->credential_check.passed)
			continue;
		if (now == 0)
			now = GetCurrentTimestamp();
		if (c->credential_check.at == 0)
			ln_credential_check_schedule(c);
		if (c->credential_check.at > now)
			continue;
		if (!c->credential_check.renewed)
			ln_token_renew(c->token);
		c->credential_check.renewed = true;
		if (!ln_token_ready(c->token, now))
			continue;			/* asked for; token.c has its own pace */

		c->credential_check.questions++;
		if (ln_token_get(c, "/v2/bot/info", LN_TAG_CREDENTIAL_CHECK | ++asked,
						 http))
			c->credential_check.request = LN_TAG_CREDENTIAL_CHECK | asked;
		else
			ln_credential_check_schedule(c);
	}
}

void
ln_credential_check_result(LnChannel **channels, int n, const HttpResult *res)
{
	for (int i = 0; i < n; i++)
	{
		LnChannel  *c = channels[i];

		if (c->credential_check.request != res->tag)
			continue;
		ln_credential_check_schedule(c);
		c->credential_check.passed =
			res->verdict == HTTP_STATUS && res->status == 200;
		ereport(DEBUG1,
				(errmsg("asked LINE again about the credential of channel \"%s\": %s",
						c->row.name,
						res->verdict != HTTP_STATUS ? "no answer"
						: c->credential_check.passed ? "its credential is good"
						: "not yet")));
		return;
	}
}

bool
ln_credential_check_passed(LnChannel *c)
{
	bool		passed = c->credential_check.passed;

	c->credential_check.passed = false;
	return passed;
}

TimestampTz
ln_credential_check_deadline(const LnChannel *c, int64 home)
{
	if (!c->row.paused_automatically || c->gone || c->row.home != home ||
		c->token == NULL || c->credential_check.request != 0 ||
		c->credential_check.passed)
		return DT_NOEND;
	if (c->credential_check.renewed)
		return ln_token_deadline(c->token);
	return c->credential_check.at;
}
