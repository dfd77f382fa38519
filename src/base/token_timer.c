/*-------------------------------------------------------------------------
 *
 * token_timer.c
 *		When an access token is read or asked for; see token_timer.h.
 *
 *-------------------------------------------------------------------------
 */
#include "base/token_timer.h"

#include <string.h>

void
ln_token_timer_init(LnTokenTimer *t, LnTokenSource source)
{
	memset(t, 0, sizeof(*t));
	t->source = source;
	t->read_at = t->retry_at = LN_NOW;
	t->expires_at = t->renew_at = LN_NEVER;
}

bool
ln_token_timer_need(LnTokenTimer *t, int64_t now)
{
	if (now >= t->expires_at)
		ln_token_timer_dropped(t);
	t->wanted = t->source != LN_SOURCE_NONE &&
		(!t->here || now >= t->renew_at);
	return t->here;
}

int64_t
ln_token_timer_due(const LnTokenTimer *t)
{
	return t->wanted && !t->asking ? t->retry_at : LN_NEVER;
}

void
ln_token_timer_told(LnTokenTimer *t, int64_t now)
{
	if (t->source == LN_SOURCE_FILE && !t->here &&
		(t->read_at == LN_NOW || now - t->read_at >= LN_FILE_RETRY_TOLD ||
		 now < t->read_at))
		t->retry_at = LN_NOW;
}

void
ln_token_timer_asked(LnTokenTimer *t)
{
	t->wanted = false;
	t->asking = true;
}

void
ln_token_timer_got(LnTokenTimer *t, int64_t expires_at, int64_t renew_at)
{
	t->here = true;
	t->wanted = t->asking = false;
	t->failures = 0;
	t->retry_at = LN_NOW;
	t->expires_at = expires_at;
	t->renew_at = renew_at;
}

void
ln_token_timer_failed(LnTokenTimer *t, int64_t wait_us, int64_t now)
{
	t->asking = false;
	t->wanted = false;			/* whoever still needs it says so again */
	t->failures++;
	if (t->source == LN_SOURCE_FILE || t->source == LN_SOURCE_INLINE)
	{
		t->read_at = now;
		wait_us = LN_FILE_RETRY;
		/* the one at hand may be the one before */
		if (t->here)
			t->renew_at = LN_NOW;
	}
	t->retry_at = now + wait_us;
}

void
ln_token_timer_dropped(LnTokenTimer *t)
{
	t->here = false;
	t->expires_at = t->renew_at = LN_NEVER;
}

LnTokenState
ln_token_timer_state(const LnTokenTimer *t)
{
	if (t->here)
		return LN_TOKEN_READY;
	switch (t->source)
	{
		case LN_SOURCE_NONE:
			return LN_TOKEN_NONE;
		case LN_SOURCE_INLINE:
		case LN_SOURCE_FILE:
			return t->failures > 0 ? LN_TOKEN_UNREADABLE : LN_TOKEN_ASKED;
		case LN_SOURCE_ISSUED:
			break;
	}
	/* between two attempts it is not on its way */
	return t->failures > 0 && !t->asking ? LN_TOKEN_FAILED : LN_TOKEN_ASKED;
}

void
ln_token_timer_set_back(LnTokenTimer *t, int64_t by)
{
	t->read_at = ln_set_back(t->read_at, by);
	t->retry_at = ln_set_back(t->retry_at, by);
	t->expires_at = ln_set_back(t->expires_at, by);
	t->renew_at = ln_set_back(t->renew_at, by);
}
