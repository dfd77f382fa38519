/*-------------------------------------------------------------------------
 *
 * breaker.c
 *		Circuit breaker; see breaker.h.
 *
 *-------------------------------------------------------------------------
 */
#include "base/breaker.h"

int
ln_breaker_allow(Breaker *b, int want, int64_t now_ms)
{
	if (want <= 0)
		return 0;
	if (b->state == BREAKER_OPEN && now_ms >= b->until_ms)
	{
		b->state = BREAKER_HALF_OPEN;
		b->probing = false;
	}
	switch (b->state)
	{
		case BREAKER_CLOSED:
			return want;
		case BREAKER_HALF_OPEN:
			return b->probing ? 0 : 1;
		case BREAKER_OPEN:
			break;
	}
	return 0;
}

void
ln_breaker_started(Breaker *b)
{
	if (b->state == BREAKER_HALF_OPEN)
		b->probing = true;
}

void
ln_breaker_success(Breaker *b)
{
	/*
	 * Also while open: answers to what was sent before it opened prove that
	 * the other side lives.
	 */
	b->state = BREAKER_CLOSED;
	b->failures = 0;
	b->openings = 0;
	b->probing = false;
}

void
ln_breaker_failure(Breaker *b, int64_t now_ms)
{
	int64_t		pause = BREAKER_FIRST_MS;

	b->failures++;
	/* stragglers of the flow that opened it do not prolong the pause */
	if (b->state == BREAKER_OPEN)
		return;
	if (b->state == BREAKER_CLOSED && b->failures < BREAKER_THRESHOLD)
		return;
	for (int i = 0; i < b->openings && pause < BREAKER_LAST_MS; i++)
		pause *= 2;
	if (pause > BREAKER_LAST_MS)
		pause = BREAKER_LAST_MS;
	b->state = BREAKER_OPEN;
	b->openings++;
	b->probing = false;
	b->until_ms = now_ms + pause;
}

void
ln_breaker_neutral(Breaker *b)
{
	b->probing = false;
}

int64_t
ln_breaker_wait_ms(const Breaker *b, int64_t now_ms)
{
	if (b->state != BREAKER_OPEN)
		return -1;
	return b->until_ms > now_ms ? b->until_ms - now_ms : 0;
}
