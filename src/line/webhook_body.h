/*-------------------------------------------------------------------------
 *
 * webhook_body.h
 *		What LINE's webhook bodies say to us.
 *
 * Pure: no PostgreSQL, no clock, no allocation.  Foreign bytes: bounded, never
 * trusted, no terminator needed, no recursion, linear time.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_WEBHOOK_BODY_H
#define LN_WEBHOOK_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/crypto.h"
#include "line/line_api.h"

/* a ULID has 26 characters; be lenient, but bounded */
#define LN_EVENT_ID_MAX		64

/* 2000 to 2100 (ms since 1970), else it is no time of LINE's */
#define LN_EVENT_FIRST_MS	INT64_C(946684800000)
#define LN_EVENT_LAST_MS	INT64_C(4102444800000)

typedef enum LnEventType
{
	LN_EVENT_DELIVERY,
	LN_EVENT_FOLLOW,
	LN_EVENT_UNFOLLOW
} LnEventType;

typedef struct LnBodyEvent
{
	LnEventType type;
	char		id[LN_EVENT_ID_MAX + 1];	/* webhookEventId, plain ASCII */
	int64_t		at_ms;			/* its own time, ms since 1970; 0 = not told */

	/* a delivery names the message by our tag, or its recipient */
	bool		tagged;
	int64_t		message_id;
	int			attempt;
	uint64_t	token;
	char		recipient[LN_SHA256_HEXLEN + 1];	/* or "" */
} LnBodyEvent;

typedef struct LnWebhookBody
{
	const char *pos;
	const char *end;
} LnWebhookBody;

/*
 * Begin with a body; false when it is no JSON object with an array "events".
 */
extern bool ln_webhook_begin(LnWebhookBody *b, const char *body, size_t len);

/*
 * The next event that concerns us; false = there is none any more.  What has
 * another type, another shape or a time that LINE cannot mean is passed over,
 * whatever it holds: bodies carry the events of other people, too, and what
 * these wrote must not keep a delivery from being heard of.
 */
extern bool ln_webhook_next(LnWebhookBody *b, LnBodyEvent *event);

/*
 * The same for an event whose members were read elsewhere; each may be NULL.
 * False when it is none of ours.  Leaves at_ms alone.
 */
extern bool ln_webhook_event(LnBodyEvent *event, const char *type,
							 const char *id, const char *data);

/* Is it a time that LINE can mean (ms since 1970)? */
extern bool ln_webhook_time(double ms);

#endif							/* LN_WEBHOOK_BODY_H */
