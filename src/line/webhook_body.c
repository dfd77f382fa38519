/*-------------------------------------------------------------------------
 *
 * webhook_body.c
 *		What LINE's webhook bodies say to us.
 *
 * Not by the server's jsonb, which refuses a whole body for what a database
 * cannot store: a zero character, half a surrogate pair, or an emoji in a
 * database that is not UTF-8, in a message that somebody else sent.  We keep
 * nothing of a body but letters and digits, and leave the rest unread.
 *
 *-------------------------------------------------------------------------
 */
#include "line/webhook_body.h"

#include <stdlib.h>
#include <string.h>

static bool read_event(const char *json, size_t len, LnBodyEvent *event);
static bool string_member(const char *json, size_t len, const char *name,
						  char *buf, size_t size);
static bool read_time(const char *json, size_t len, int64_t *ms);

bool
ln_webhook_begin(LnWebhookBody *b, const char *body, size_t len)
{
	const char *events;
	size_t		events_len;

	b->pos = b->end = NULL;
	if (!ln_line_json_array(body, len, "events", &events, &events_len))
		return false;
	b->pos = events;
	b->end = events + events_len;
	return true;
}

bool
ln_webhook_next(LnWebhookBody *b, LnBodyEvent *event)
{
	const char *json;
	size_t		len;

	while (b->pos != NULL &&
		   ln_line_json_element(&b->pos, b->end, &json, &len))
	{
		if (read_event(json, len, event))
			return true;
	}
	return false;
}

bool
ln_webhook_event(LnBodyEvent *event, const char *type, const char *id,
				 const char *data)
{
	if (type == NULL || id == NULL || id[0] == '\0' ||
		strlen(id) > LN_EVENT_ID_MAX)
		return false;
	if (strcmp(type, "delivery") == 0)
		event->type = LN_EVENT_DELIVERY;
	else if (strcmp(type, "follow") == 0)
		event->type = LN_EVENT_FOLLOW;
	else if (strcmp(type, "unfollow") == 0)
		event->type = LN_EVENT_UNFOLLOW;
	else
		return false;
	for (const char *p = id; *p != '\0'; p++)
		if (*p < 0x20 || *p > 0x7E)
			return false;
	memmove(event->id, id, strlen(id) + 1);

	event->tagged = false;
	event->recipient[0] = '\0';
	if (event->type != LN_EVENT_DELIVERY)
		return true;			/* counted, and nothing of them is kept */
	if (data == NULL)
		return false;
	event->tagged = ln_line_parse_tag(data, strlen(data), &event->message_id,
									  &event->attempt, &event->token);
	if (!event->tagged)
	{
		if (!ln_is_sha256_hex(data))
			return false;		/* a tag of somebody else */
		memcpy(event->recipient, data, sizeof(event->recipient));
	}
	return true;
}

bool
ln_webhook_time(double ms)
{
	return ms > (double) LN_EVENT_FIRST_MS && ms < (double) LN_EVENT_LAST_MS;
}

/*
 * One element; false when it is none of ours.
 */
static bool
read_event(const char *json, size_t len, LnBodyEvent *event)
{
	char		type[16];
	char		id[LN_EVENT_ID_MAX + 1];
	char		data[128];
	const char *delivery;
	size_t		delivery_len;
	bool		has_data;

	memset(event, 0, sizeof(*event));
	if (!string_member(json, len, "type", type, sizeof(type)) ||
		!string_member(json, len, "webhookEventId", id, sizeof(id)))
		return false;
	has_data =
		ln_line_json_object(json, len, "delivery", &delivery, &delivery_len) &&
		string_member(delivery, delivery_len, "data", data, sizeof(data));
	return ln_webhook_event(event, type, id, has_data ? data : NULL) &&
		read_time(json, len, &event->at_ms);
}

/*
 * A member that is a string of printable ASCII and fits.
 */
static bool
string_member(const char *json, size_t len, const char *name,
			  char *buf, size_t size)
{
	return ln_line_json_member_type(json, len, name) == '"' &&
		ln_line_json_member(json, len, name, buf, size);
}

/*
 * The time of an event; 0 where there is no number.  False for a time that
 * LINE cannot mean.
 */
static bool
read_time(const char *json, size_t len, int64_t *ms)
{
	char		text[40];
	char	   *end;
	double		value;

	*ms = 0;
	switch (ln_line_json_member_type(json, len, "timestamp"))
	{
		case '-':
		case '0':
		case '1':
		case '2':
		case '3':
		case '4':
		case '5':
		case '6':
		case '7':
		case '8':
		case '9':
			break;
		default:
			return true;
	}
	if (!ln_line_json_member(json, len, "timestamp", text, sizeof(text)) ||
		strspn(text, "0123456789+-.eE") != strlen(text))
		return false;
	value = strtod(text, &end);
	if (*end != '\0' || !ln_webhook_time(value))
		return false;
	*ms = (int64_t) value;
	return true;
}
