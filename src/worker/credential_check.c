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
#include "worker/questions.h"
#include "worker/token.h"

void
ln_credential_check_schedule(LnChannel *c)
{
	uint64		random = 0;
	int64		ms;

	(void) ln_random_bytes(&random, sizeof(random));
	ms = ln_retry_credential_check_ms(c->credential_check.questions, random);
	c->credential_check.at =
		TimestampTzPlusMilliseconds(GetCurrentTimestamp(), ms);
	c->credential_check.renewed = c->credential_check.passed = false;
}

void
ln_credential_check_proved(LnChannel *c)
{
	c->credential_check.questions = 0;
}

static void
answered(LnChannel *c, int no, const HttpResult *res)
{
	c->credential_check.asking = false;
	/* resumed meanwhile, whoever did it */
	if (res == NULL || !c->row.paused_automatically)
		return;
	ln_credential_check_schedule(c);
	c->credential_check.passed =
		res->verdict == HTTP_STATUS && res->status == 200;
	ereport(DEBUG1,
			(errmsg("asked LINE again about the credential of channel \"%s\": %s",
					c->row.name,
					res->verdict != HTTP_STATUS ? "no answer"
					: c->credential_check.passed ? "its credential is good"
					: "not yet")));
}

/* Is there anything to ask about this channel, sooner or later? */
static bool
is_wanted(const LnChannel *c, int64 home)
{
	return c->row.paused_automatically && !c->gone && c->row.home == home &&
		c->token != NULL && !c->credential_check.asking &&
		!c->credential_check.passed;
}

void
ln_credential_check_step(LnChannel **channels, int n, int64 home,
						 TimestampTz now, HttpClient *http)
{
	for (int i = 0; i < n; i++)
	{
		LnChannel  *c = channels[i];
		TimestampTz retry;

		if (!c->row.paused_automatically)
		{
			c->credential_check.at = 0;
			c->credential_check.passed = false;
		}
		if (!is_wanted(c, home))
			continue;
		if (c->credential_check.at == 0)
			ln_credential_check_schedule(c);
		if (c->credential_check.at > now)
			continue;
		if (!c->credential_check.renewed)
			ln_token_renew(c->token);
		c->credential_check.renewed = true;
		if (ln_token_need(c->token, now, &retry) != LN_TOKEN_READY)
			continue;			/* asked for, at a pace of its own */

		c->credential_check.questions++;
		c->credential_check.asking =
			ln_question_get(c, "/v2/bot/info", answered, 0, http);
		if (!c->credential_check.asking)
			ln_credential_check_schedule(c);
	}
}

TimestampTz
ln_credential_check_due(LnChannel *c, int64 home, TimestampTz now)
{
	TimestampTz retry;

	if (!is_wanted(c, home))
		return DT_NOEND;
	if (c->credential_check.renewed && c->credential_check.at <= now &&
		ln_token_need(c->token, now, &retry) != LN_TOKEN_READY)
		return DT_NOEND;		/* the token comes first */
	return c->credential_check.at == 0 ? DT_NOBEGIN : c->credential_check.at;
}
