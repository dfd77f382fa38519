/*-------------------------------------------------------------------------
 *
 * webhook_body_fuzz.c
 *		Fuzz target for what is read from webhook bodies.
 *
 * Beside memory errors, these are faults: an id or recipient that is not what
 * it is said to be, a time that LINE cannot mean, more events than a body of
 * that length can hold, and events of a body that is refused.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "line/webhook_body.h"

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition) do { if (!(condition)) abort(); } while (0)

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char	   *body = malloc(size > 0 ? size : 1); /* exact: one byte more is
													 * an error */
	LnWebhookBody b;
	LnBodyEvent e;
	size_t		n = 0;

	if (size > 0)
		memcpy(body, data, size);
	if (ln_webhook_begin(&b, body, size))
	{
		MUST(size >= 13 && memchr(body, '[', size) != NULL);
		while (ln_webhook_next(&b, &e))
		{
			n++;
			MUST(strnlen(e.id, sizeof(e.id)) <= LN_EVENT_ID_MAX &&
				 e.id[0] != '\0');
			for (const char *p = e.id; *p != '\0'; p++)
				MUST(*p >= 0x20 && *p < 0x7F);
			MUST(e.at_ms == 0 ||
				 (e.at_ms >= LN_EVENT_FIRST_MS &&
				  e.at_ms <= LN_EVENT_LAST_MS));
			if (e.type != LN_EVENT_DELIVERY)
				MUST(!e.tagged && e.recipient[0] == '\0');
			else if (e.tagged)
				MUST(e.message_id > 0 && e.attempt > 0 &&
					 e.recipient[0] == '\0');
			else
				MUST(strlen(e.recipient) == 64 &&
					 strspn(e.recipient, "0123456789abcdef") == 64);
		}
		MUST(n <= size / 20);
	}
	free(body);
	return 0;
}
