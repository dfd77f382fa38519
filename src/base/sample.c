/*-------------------------------------------------------------------------
 *
 * sample.c
 *		Which of many equal log lines to write; see sample.h.
 *
 *-------------------------------------------------------------------------
 */
#include "base/sample.h"

#define WINDOW_MS	60000

bool
ln_sample(LnSample *s, int64_t now_ms, int64_t *skipped)
{
	*skipped = 0;
	/* also when the clock was set back */
	if (s->written == 0 || now_ms - s->window_ms >= WINDOW_MS ||
		now_ms < s->window_ms)
	{
		/* a busy class stays sampled: its next window begins full, save one */
		s->written = s->skipped > 0 ? SAMPLE_BURST - 1 : 0;
		s->window_ms = now_ms;
	}
	if (s->written >= SAMPLE_BURST)
	{
		s->skipped++;
		return false;
	}
	s->written++;
	*skipped = s->skipped;
	s->skipped = 0;
	return true;
}
