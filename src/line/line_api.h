/*-------------------------------------------------------------------------
 *
 * line_api.h
 *		LINE's HTTP interface for notification messages: request line,
 *		headers, body, delivery tag; and what an answer means.
 *
 * Pure: no PostgreSQL, no libcurl, no clock, no allocation.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_LINE_API_H
#define LN_LINE_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/http.h"

typedef enum LineKind
{
	LINE_TEMPLATE,				/* POST /v2/bot/message/pnp/templated/push,
								 * 202 */
	LINE_FLEXIBLE				/* POST /bot/pnp/push, 200 */
} LineKind;

/* What one attempt came to.  Each value says what is known of the message. */
typedef enum LineOutcome
{
	LINE_ACCEPTED,				/* 2xx: LINE took the request */
	LINE_UNREACHABLE,			/* 422: LINE cannot notify this number */
	LINE_REFUSED,				/* 400, 413, other 4xx: never accepted, a
								 * repetition would be refused again */
	LINE_THROTTLED,				/* 429; 503 with Retry-After: not accepted,
								 * may be repeated later */
	LINE_UNAUTHORIZED,			/* 401: not accepted, the token is bad */
	LINE_MISCONFIGURED,			/* 403, 3xx, 404, 405, 407, 415, 426: not
								 * accepted, and all others would fail alike */
	LINE_SERVER_ERROR,			/* other complete 5xx: LINE says it may have
								 * been accepted nevertheless */
	LINE_NOT_SENT,				/* proved: nothing of the body left */
	LINE_AMBIGUOUS				/* sent, and no complete status: unknown */
} LineOutcome;

#define LINE_OUTCOMES	(LINE_AMBIGUOUS + 1)

/* the table of outcomes; total: every verdict, every int */
extern LineOutcome ln_line_outcome(HttpVerdict verdict, int status,
								   bool has_retry_after);

/* stable lower-case name, e.g. "server_error" */
extern const char *ln_line_outcome_name(LineOutcome outcome);

/*
 * may the message have reached LINE's queue? (accepted, server_error,
 * ambiguous)
 */
extern bool ln_line_may_have_been_sent(LineOutcome outcome);

/* What to do with the row, given policies and history. */
typedef enum LineDisposition
{
	LINE_HOLD,					/* keep as unknown: never send twice */
	LINE_RETRY					/* send again: may arrive twice */
} LineDisposition;

typedef enum LineNext
{
	LINE_FINISH_ACCEPTED,
	LINE_FINISH_UNREACHABLE,
	LINE_FINISH_REFUSED,
	LINE_FINISH_UNKNOWN,
	LINE_FINISH_FAILED,			/* attempts used up, nothing ever left */
	LINE_RETRY_LATER,			/* back to the queue, attempt consumed,
								 * backoff */
	LINE_RETURN					/* back to the queue, attempt not consumed;
								 * the channel (or endpoint) is paused */
} LineNext;

typedef struct LineCase
{
	LineOutcome outcome;
	int			attempt;		/* this attempt's number, from 1 */
	int			max_attempts;
	bool		maybe_sent;		/* an earlier attempt of this row may have
								 * been accepted */
	LineDisposition on_unknown;
	LineDisposition on_server_error;
} LineCase;

/*
 * The decision table of the life of a message.  A row that may have been sent
 * once never ends as failed, refused or unreachable: it ends as unknown (or
 * accepted).
 */
extern LineNext ln_line_decide(const LineCase *c);

/* Who asks: a header for LINE's support and for gateways on the way. */
#define LINE_USER_AGENT	"User-Agent: line_notify/1.0"

/*
 * Delivery tag "ln1-<id>-<attempt>-<token as 13 characters of base32hex,
 * lower case>": 21 to 42 (LINE: 16 to 100) of [A-Za-z0-9_-], no personal
 * data.  id > 0.  attempt >= 1; those above LINE_TAG_MAX_ATTEMPT are written
 * as LINE_TAG_MAX_ATTEMPT, and only the token tells them apart.  buf holds
 * LINE_TAG_SIZE bytes.
 */
#define LINE_TAG_SIZE	48
#define LINE_TAG_MAX_ATTEMPT	9999
extern void ln_line_tag(char *buf, int64_t id, int attempt, uint64_t token);

/*
 * The inverse; false when the text is no tag of ours (strict: round trip
 * equal).
 */
extern bool ln_line_parse_tag(const char *text, size_t len, int64_t *id,
							  int *attempt, uint64_t *token);

/* Path of an endpoint, e.g. "/bot/pnp/push" */
extern const char *ln_line_path(LineKind kind);

/*
 * The request body.  Pieces are JSON texts already valid (body, messages) or
 * plain strings that are escaped here (to, template_key, unit); white space
 * between their tokens is left out.  Everything is UTF-8.  Returns the length
 * without terminator.  Half a request would be worse than none: unless length
 * and terminator fit in size, buf becomes "".
 */
typedef struct LineMessage
{
	LineKind	kind;
	const char *to;				/* 64 hex digits */
	const char *template_key;	/* template */
	const char *body;			/* template: JSON object text, or NULL */
	size_t		body_len;
	const char *messages;		/* flexible: JSON array text */
	size_t		messages_len;
	int			notification_disabled;	/* flexible: -1 unset, 0, 1 */
	const char *aggregation_unit;	/* NULL = none */
} LineMessage;

extern size_t ln_line_body(const LineMessage *m, char *buf, size_t size);

/*
 * A word of LINE's error answer for the operator, as
 *
 *		message: details[0].message (details[0].property)
 *
 * or, from the token endpoints, "error: error_description".  Printable ASCII
 * (others as \uXXXX), at most size - 1 bytes, terminated; "" when the bytes
 * are no such document.  Of a document that is cut off or malformed further
 * on, what stood complete before that place.  Long words that could be a token
 * or a recipient (hex, base64, JWT of 40 characters or more) come out as
 * "...", since a rude server may send back what it got.  Foreign bytes:
 * bounded, never trusted, needs no terminator.
 */
extern void ln_line_error_text(const char *body, size_t len, char *buf,
							   size_t size);

/*
 * A member of a JSON object, not of the objects in it: what a string says, or
 * a number, true, false or null as it is written.  False, and buf "", when the
 * bytes are no complete object, the member is absent (the first of equal names
 * counts), is an object or array, has a character that is not printable ASCII,
 * or does not fit with its terminator.  Foreign bytes, as above.
 */
extern bool ln_line_json_member(const char *json, size_t len, const char *name,
								char *buf, size_t size);

/*
 * The first character of the value that ln_line_json_member() would read; 0 =
 * there is none.
 */
extern char ln_line_json_member_type(const char *json, size_t len,
									 const char *name);

/*
 * The object that stands under a name in a JSON object, as bytes of the text
 * given.  What follows it may be cut off.  False, and nothing set, when there
 * is none before the text ends or stops being JSON.
 */
extern bool ln_line_json_object(const char *json, size_t len, const char *name,
								const char **object, size_t *object_len);

/*
 * The array that stands under a name in a JSON object, without its brackets.
 * False when the bytes are no complete object, or have none there.
 */
extern bool ln_line_json_array(const char *json, size_t len, const char *name,
							   const char **array, size_t *array_len);

/*
 * The next element of what ln_line_json_array() found, from *pos on, which
 * moves behind it; false at the end.  An element is any value, as bytes.
 */
extern bool ln_line_json_element(const char **pos, const char *end,
								 const char **element, size_t *element_len);

#endif							/* LN_LINE_API_H */
