/*-------------------------------------------------------------------------
 *
 * line_api.c
 *		LINE's HTTP interface for notification messages: request line,
 *		headers, body, delivery tag; and what an answer means.
 *
 * What an HTTP answer means for a message, and what becomes of the message
 * then, are two tables, and here they stand as two functions without any
 * other input, so that a test can walk through all of both.  LINE asks its
 * clients to branch on the status alone: the texts of its errors are not
 * stable ("Messaging API reference", common specifications).
 *
 * Nothing is allocated, no clock is read, no locale matters.
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "line/line_api.h"

/*
 * A word of this length may be a secret or a recipient: the hash of a phone
 * number has 64 characters, LINE's tokens about 170.  Property names and keys
 * of LINE stay below.
 */
#define SECRET_WORD_LEN		40

/* Where ln_line_body() writes: counts everything, stores what fits. */
typedef struct BodyWriter
{
	char	   *buf;
	size_t		size;
	size_t		len;
} BodyWriter;

/*
 * A stretch of foreign JSON: the rest of an error answer, or what stands
 * between the quotes of one of its strings.  pos NULL = absent.
 */
typedef struct JsonText
{
	const unsigned char *pos;
	const unsigned char *end;
} JsonText;

/* The strings that we want from an error answer, in the order of display. */
enum ErrorPiece
{
	PIECE_MESSAGE,
	PIECE_DETAIL,
	PIECE_PROPERTY,
	NUM_PIECES
};

static const char base32hex[] = "0123456789abcdefghijklmnopqrstuv";

static const char *parse_number(const char *p, const char *end, int64_t max,
								int64_t *value);

static void put(BodyWriter *w, const char *text, size_t len);
static void put_string(BodyWriter *w, const char *text);
static void put_json(BodyWriter *w, const char *text, size_t len);

static bool read_object(JsonText *r, JsonText *pieces, bool in_details);
static bool read_details(JsonText *r, JsonText *pieces);
static bool read_member(JsonText *r, JsonText *key,
						const unsigned char **value);
static bool read_string(JsonText *r, JsonText *content);
static bool skip_value(JsonText *r);
static char find_member(const char *json, size_t len, const char *name,
						bool whole, JsonText *found);
static void skip_space(JsonText *r);
static bool accept(JsonText *r, char c);
static bool text_is(JsonText content, const char *word);
static int32_t next_char(JsonText *content);
static int32_t hex4(const unsigned char *p);
static bool is_word_char(int32_t c);
static size_t show(JsonText content, char *buf, size_t size);

/*
 * What one answer says about the message.
 */
LineOutcome
ln_line_outcome(HttpVerdict verdict, int status, bool has_retry_after)
{
	if (verdict == HTTP_NOT_SENT)
		return LINE_NOT_SENT;
	if (verdict != HTTP_STATUS || status < 200 || status > 599)
		return LINE_AMBIGUOUS;

	if (status <= 299)
		return LINE_ACCEPTED;
	if (status <= 399)
		return LINE_MISCONFIGURED;	/* we never follow a redirect */

	switch (status)
	{
		case 401:
			return LINE_UNAUTHORIZED;
		case 403:
		case 404:
		case 405:
		case 407:
		case 415:
		case 426:
			return LINE_MISCONFIGURED;
		case 408:
		case 425:

			/*
			 * Somebody on the way gave up or would not take the risk.  After
			 * the whole request has left, that says nothing about LINE.
			 */
			return LINE_SERVER_ERROR;
		case 422:
			return LINE_UNREACHABLE;
		case 429:
			return LINE_THROTTLED;
		case 503:
			/* a server that names a time has refused on purpose */
			return has_retry_after ? LINE_THROTTLED : LINE_SERVER_ERROR;
	}

	return status <= 499 ? LINE_REFUSED : LINE_SERVER_ERROR;
}

const char *
ln_line_outcome_name(LineOutcome outcome)
{
	switch (outcome)
	{
		case LINE_ACCEPTED:
			return "accepted";
		case LINE_UNREACHABLE:
			return "unreachable";
		case LINE_REFUSED:
			return "refused";
		case LINE_THROTTLED:
			return "throttled";
		case LINE_UNAUTHORIZED:
			return "unauthorized";
		case LINE_MISCONFIGURED:
			return "misconfigured";
		case LINE_SERVER_ERROR:
			return "server_error";
		case LINE_NOT_SENT:
			return "not_sent";
		case LINE_AMBIGUOUS:
			return "ambiguous";
	}
	return "ambiguous";
}

/*
 * May the message have reached LINE's queue?  When in doubt, yes.
 */
bool
ln_line_may_have_been_sent(LineOutcome outcome)
{
	switch (outcome)
	{
		case LINE_ACCEPTED:
		case LINE_SERVER_ERROR:
		case LINE_AMBIGUOUS:
			return true;
		case LINE_UNREACHABLE:
		case LINE_REFUSED:
		case LINE_THROTTLED:
		case LINE_UNAUTHORIZED:
		case LINE_MISCONFIGURED:
		case LINE_NOT_SENT:
			return false;
	}
	return true;
}

/*
 * What becomes of the row.
 *
 * A row that may have been sent by an earlier attempt is never called
 * unreachable, refused or failed by a later one: that answer is about the
 * later attempt only.
 */
LineNext
ln_line_decide(const LineCase *c)
{
	bool		again = c->attempt < c->max_attempts;

	switch (c->outcome)
	{
		case LINE_ACCEPTED:
			return LINE_FINISH_ACCEPTED;

		case LINE_UNREACHABLE:
			return c->maybe_sent ? LINE_FINISH_UNKNOWN
				: LINE_FINISH_UNREACHABLE;

		case LINE_REFUSED:
			return c->maybe_sent ? LINE_FINISH_UNKNOWN : LINE_FINISH_REFUSED;

		case LINE_THROTTLED:
		case LINE_UNAUTHORIZED:
		case LINE_MISCONFIGURED:
			/* no fault of this row; its own time to live ends the waiting */
			return LINE_RETURN;

		case LINE_NOT_SENT:
			if (again)
				return LINE_RETRY_LATER;
			return c->maybe_sent ? LINE_FINISH_UNKNOWN : LINE_FINISH_FAILED;

		case LINE_SERVER_ERROR:
			return c->on_server_error == LINE_RETRY && again ?
				LINE_RETRY_LATER : LINE_FINISH_UNKNOWN;

		case LINE_AMBIGUOUS:
			return c->on_unknown == LINE_RETRY && again ?
				LINE_RETRY_LATER : LINE_FINISH_UNKNOWN;
	}
	return LINE_FINISH_UNKNOWN;
}

/*
 * Write a delivery tag; see line_api.h.
 */
void
ln_line_tag(char *buf, int64_t id, int attempt, uint64_t token)
{
	char		digits[20];
	int			n;
	uint64_t	v;
	int			shift;

	if (attempt > LINE_TAG_MAX_ATTEMPT)
		attempt = LINE_TAG_MAX_ATTEMPT;

	memcpy(buf, "ln1-", 4);
	buf += 4;

	v = id > 0 ? (uint64_t) id : 0;
	n = 0;
	do
		digits[n++] = (char) ('0' + v % 10);
	while ((v /= 10) != 0);
	while (n > 0)
		*buf++ = digits[--n];
	*buf++ = '-';

	v = attempt > 0 ? (uint64_t) attempt : 0;
	do
		digits[n++] = (char) ('0' + v % 10);
	while ((v /= 10) != 0);
	while (n > 0)
		*buf++ = digits[--n];
	*buf++ = '-';

	/* 13 * 5 = 65 bits: the first character carries only 4 */
	for (shift = 60; shift >= 0; shift -= 5)
		*buf++ = base32hex[token >> shift & 0x1F];
	*buf = '\0';
}

/*
 * Read a decimal number from 1 to max without leading zero; NULL = none.
 * Returns where it ends.
 */
static const char *
parse_number(const char *p, const char *end, int64_t max, int64_t *value)
{
	int64_t		v = 0;
	const char *start = p;

	while (p < end && *p >= '0' && *p <= '9')
	{
		int			digit = *p - '0';

		if (p == start && digit == 0)
			return NULL;
		if (v > (max - digit) / 10)
			return NULL;
		v = v * 10 + digit;
		p++;
	}
	if (p == start)
		return NULL;
	*value = v;
	return p;
}

bool
ln_line_parse_tag(const char *text, size_t len, int64_t *id, int *attempt,
				  uint64_t *token)
{
	const char *p = text;
	const char *end = text + len;
	int64_t		the_id;
	int64_t		the_attempt;
	uint64_t	the_token = 0;
	int			i;

	if (len >= LINE_TAG_SIZE || len < 4 || memcmp(p, "ln1-", 4) != 0)
		return false;
	p += 4;

	p = parse_number(p, end, INT64_MAX, &the_id);
	if (p == NULL || p == end || *p++ != '-')
		return false;
	p = parse_number(p, end, LINE_TAG_MAX_ATTEMPT, &the_attempt);
	if (p == NULL || p == end || *p++ != '-')
		return false;

	if (end - p != 13)
		return false;
	for (i = 0; i < 13; i++)
	{
		int			digit;

		if (p[i] >= '0' && p[i] <= '9')
			digit = p[i] - '0';
		else if (p[i] >= 'a' && p[i] <= 'v')
			digit = p[i] - 'a' + 10;
		else
			return false;
		if (i == 0 && digit > 0x0F)
			return false;		/* would not fit into 64 bits */
		the_token = the_token << 5 | (uint64_t) digit;
	}

	*id = the_id;
	*attempt = (int) the_attempt;
	*token = the_token;
	return true;
}

/*
 * Path of an endpoint ("LINE notification messages API reference").  The
 * flexible one really has no version in it.
 */
const char *
ln_line_path(LineKind kind)
{
	return kind == LINE_TEMPLATE ?
		"/v2/bot/message/pnp/templated/push" : "/bot/pnp/push";
}

/*
 * The request body; see line_api.h.
 */
size_t
ln_line_body(const LineMessage *m, char *buf, size_t size)
{
	BodyWriter	w = {buf, size, 0};

#define PUT(literal)	put(&w, literal, sizeof(literal) - 1)

	PUT("{\"to\":");
	put_string(&w, m->to);

	if (m->kind == LINE_TEMPLATE)
	{
		PUT(",\"templateKey\":");
		put_string(&w, m->template_key);
		if (m->body != NULL)
		{
			PUT(",\"body\":");
			put_json(&w, m->body, m->body_len);
		}
	}
	else
	{
		PUT(",\"messages\":");
		put_json(&w, m->messages, m->messages_len);
		if (m->notification_disabled == 1)
			PUT(",\"notificationDisabled\":true");
		else if (m->notification_disabled == 0)
			PUT(",\"notificationDisabled\":false");
	}

	if (m->aggregation_unit != NULL)
	{
		PUT(",\"customAggregationUnits\":[");
		put_string(&w, m->aggregation_unit);
		PUT("]");
	}
	PUT("}");

#undef PUT

	if (w.len < size)
		buf[w.len] = '\0';
	else if (size > 0)
		buf[0] = '\0';
	return w.len;
}

static void
put(BodyWriter *w, const char *text, size_t len)
{
	/* without overflow: len is a length in memory, as is w->len */
	if (w->len < w->size && len < w->size - w->len)
		memcpy(w->buf + w->len, text, len);
	w->len += len;
}

/*
 * Valid JSON without the white space between its tokens: jsonb writes a space
 * after each colon and comma, which would count for LINE's limit on the size
 * of a request, and be paid for in every byte sent.
 */
static void
put_json(BodyWriter *w, const char *text, size_t len)
{
	const char *end = text + len;
	const char *run = text;
	const char *p = text;

	while (p < end)
	{
		if (*p == '"')
		{
			for (p++; p < end && *p != '"'; p++)
			{
				if (*p == '\\')
					p++;		/* whatever is escaped, it ends no string */
			}
			if (p < end)
				p++;
		}
		else if (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r')
		{
			put(w, run, p - run);
			run = ++p;
		}
		else
			p++;
	}

	/*
	 * an escape at the very end would be no JSON: stay within it all the same
	 */
	put(w, run, end - run);
}

/*
 * A JSON string with quotes.  Bytes above 0x7F are UTF-8 and stay as they are.
 */
static void
put_string(BodyWriter *w, const char *text)
{
	const char *run = text;
	const char *p;

	put(w, "\"", 1);
	for (p = text; *p != '\0'; p++)
	{
		unsigned char c = (unsigned char) *p;
		char		escape[6] = {'\\', 'u', '0', '0'};

		if (c >= 0x20 && c != '"' && c != '\\')
			continue;

		put(w, run, (size_t) (p - run));
		run = p + 1;
		if (c < 0x20)
		{
			escape[4] = base32hex[c >> 4];
			escape[5] = base32hex[c & 0x0F];
			put(w, escape, 6);
		}
		else
		{
			escape[1] = (char) c;
			put(w, escape, 2);
		}
	}
	put(w, run, (size_t) (p - run));
	put(w, "\"", 1);
}

/*
 * A word of LINE's error answer for the operator; see line_api.h.
 *
 * One pass finds where the strings stand, a second one decodes them straight
 * into the result: no intermediate buffers, no recursion, linear time.
 */
void
ln_line_error_text(const char *body, size_t len, char *buf, size_t size)
{
	static const char *const before[NUM_PIECES] = {"", ": ", " ("};
	static const char *const after[NUM_PIECES] = {"", "", ")"};
	JsonText	r;
	JsonText	pieces[NUM_PIECES];
	size_t		used = 0;
	int			i;

	if (size == 0)
		return;
	buf[0] = '\0';
	if (body == NULL || len == 0)
		return;

	r.pos = (const unsigned char *) body;
	r.end = r.pos + len;
	memset(pieces, 0, sizeof(pieces));

	/* a byte order mark is no JSON, but some gateways write one */
	if (len >= 3 && memcmp(body, "\xEF\xBB\xBF", 3) == 0)
		r.pos += 3;

	/* whether it was complete does not matter */
	(void) read_object(&r, pieces, false);

	for (i = 0; i < NUM_PIECES; i++)
	{
		const char *lead = used > 0 ? before[i] : "";
		const char *tail = used > 0 ? after[i] : "";
		size_t		leadlen = strlen(lead);
		size_t		taillen = strlen(tail);
		size_t		n;

		if (pieces[i].pos == NULL || pieces[i].pos == pieces[i].end)
			continue;
		if (size - 1 - used <= leadlen + taillen)
			break;

		n = show(pieces[i], buf + used + leadlen,
				 size - 1 - used - leadlen - taillen);
		if (n == 0)
			continue;
		memcpy(buf + used, lead, leadlen);
		used += leadlen + n;
		memcpy(buf + used, tail, taillen);
		used += taillen;
	}
	buf[used] = '\0';
}

/*
 * A member of a JSON object; see line_api.h.
 */
bool
ln_line_json_member(const char *json, size_t len, const char *name,
					char *buf, size_t size)
{
	JsonText	found;
	size_t		used = 0;
	char		type;

	if (size == 0)
		return false;
	buf[0] = '\0';
	type = find_member(json, len, name, true, &found);
	if (type == 0 || type == '{' || type == '[')
		return false;

	if (type == '"')
	{
		found.pos++;			/* what stands between the quotes */
		found.end--;
	}
	while (found.pos < found.end)
	{
		int32_t		c = next_char(&found);

		if (c < 0x20 || c > 0x7E || used + 1 >= size)
		{
			buf[0] = '\0';
			return false;
		}
		buf[used++] = (char) c;
	}
	buf[used] = '\0';
	return true;
}

char
ln_line_json_member_type(const char *json, size_t len, const char *name)
{
	JsonText	found;

	return find_member(json, len, name, true, &found);
}

/*
 * Find the first member of that name: where its value stands, and how it
 * begins.  0 = there is none, or the text is no object; if whole, no complete
 * one with nothing behind it.
 */
static char
find_member(const char *json, size_t len, const char *name, bool whole,
			JsonText *found)
{
	JsonText	r;
	JsonText	key;
	JsonText	value;
	char		type = 0;

	if (json == NULL || len == 0)
		return 0;
	r.pos = (const unsigned char *) json;
	r.end = r.pos + len;

	skip_space(&r);
	if (!accept(&r, '{'))
		return 0;
	do
	{
		if (!read_member(&r, &key, &value.pos))
			return 0;			/* also of an object without members */
		value.end = r.pos;
		if (type == 0 && text_is(key, name))
		{
			*found = value;
			type = (char) *value.pos;
			if (!whole)
				return type;
		}
		skip_space(&r);
	} while (accept(&r, ','));
	if (!accept(&r, '}'))
		return 0;
	skip_space(&r);
	return r.pos == r.end ? type : 0;
}

/*
 * An object in a JSON object; see line_api.h.
 */
bool
ln_line_json_object(const char *json, size_t len, const char *name,
					const char **object, size_t *object_len)
{
	JsonText	found;

	if (find_member(json, len, name, false, &found) != '{')
		return false;
	*object = (const char *) found.pos;
	*object_len = (size_t) (found.end - found.pos);
	return true;
}

/*
 * An array in a JSON object; see line_api.h.
 */
bool
ln_line_json_array(const char *json, size_t len, const char *name,
				   const char **array, size_t *array_len)
{
	JsonText	found;

	if (find_member(json, len, name, true, &found) != '[' ||
		found.end[-1] != ']')
		return false;
	*array = (const char *) found.pos + 1;
	*array_len = (size_t) (found.end - found.pos) - 2;
	return true;
}

bool
ln_line_json_element(const char **pos, const char *end,
					 const char **element, size_t *element_len)
{
	JsonText	r;
	const unsigned char *begin;

	r.pos = (const unsigned char *) *pos;
	r.end = (const unsigned char *) end;
	skip_space(&r);
	(void) accept(&r, ',');
	skip_space(&r);
	begin = r.pos;
	if (!skip_value(&r))
		return false;
	*element = (const char *) begin;
	*element_len = (size_t) (r.pos - begin);
	*pos = (const char *) r.pos;
	return true;
}

/*
 * Note the strings of an object that we want.  "message" and the first of
 * "details" come from LINE's send endpoints, "error" and "error_description"
 * from its token endpoints.  The first of equal names counts.
 *
 * This and the following readers return false where the text stops being JSON;
 * what was noted until then stays.
 */
static bool
read_object(JsonText *r, JsonText *pieces, bool in_details)
{
	JsonText	name;
	JsonText	value;
	int			piece;
	bool		good;

	skip_space(r);
	if (!accept(r, '{'))
		return false;
	skip_space(r);
	if (accept(r, '}'))
		return true;

	do
	{
		skip_space(r);
		if (!read_string(r, &name))
			return false;
		skip_space(r);
		if (!accept(r, ':'))
			return false;
		skip_space(r);
		if (r->pos == r->end)
			return false;

		piece = NUM_PIECES;
		if (in_details)
		{
			if (text_is(name, "message"))
				piece = PIECE_DETAIL;
			else if (text_is(name, "property"))
				piece = PIECE_PROPERTY;
		}
		else
		{
			if (text_is(name, "message") || text_is(name, "error"))
				piece = PIECE_MESSAGE;
			else if (text_is(name, "error_description"))
				piece = PIECE_DETAIL;
		}

		if (*r->pos == '"')
		{
			good = read_string(r, &value);
			if (good && piece != NUM_PIECES && pieces[piece].pos == NULL)
				pieces[piece] = value;
		}
		else if (*r->pos == '[' && !in_details && text_is(name, "details"))
			good = read_details(r, pieces);
		else
			good = skip_value(r);
		if (!good)
			return false;

		skip_space(r);
	} while (accept(r, ','));

	return accept(r, '}');
}

/*
 * The array "details": its first element, if that is an object.
 */
static bool
read_details(JsonText *r, JsonText *pieces)
{
	if (!accept(r, '['))
		return false;
	skip_space(r);
	if (accept(r, ']'))
		return true;

	if (r->pos < r->end && *r->pos == '{')
	{
		if (!read_object(r, pieces, true))
			return false;
	}
	else if (!skip_value(r))
		return false;

	skip_space(r);
	while (accept(r, ','))
	{
		skip_space(r);
		if (!skip_value(r))
			return false;
		skip_space(r);
	}
	return accept(r, ']');
}

/*
 * A key, and the value after it, which begins at *value and ends where r
 * stands then.
 */
static bool
read_member(JsonText *r, JsonText *key, const unsigned char **value)
{
	skip_space(r);
	if (!read_string(r, key))
		return false;
	skip_space(r);
	if (!accept(r, ':'))
		return false;
	skip_space(r);
	*value = r->pos;
	return skip_value(r);
}

/*
 * Read a string, and say what stands between its quotes.  Bytes that are no
 * UTF-8 are let through here: next_char() turns them into U+FFFD.
 */
static bool
read_string(JsonText *r, JsonText *content)
{
	if (!accept(r, '"'))
		return false;
	content->pos = r->pos;

	while (r->pos < r->end)
	{
		unsigned char c = *r->pos;

		if (c == '"')
		{
			content->end = r->pos++;
			return true;
		}
		if (c < 0x20)
			return false;
		if (c == '\\')
		{
			r->pos++;
			if (r->pos == r->end)
				return false;
			if (*r->pos == 'u')
			{
				if (r->end - r->pos < 5 || hex4(r->pos + 1) < 0)
					return false;
				r->pos += 4;
			}
			else if (*r->pos == '\0' ||
					 strchr("\"\\/bfnrt", *r->pos) == NULL)
				return false;
		}
		r->pos++;
	}
	return false;
}

/*
 * Skip any value.  Brackets are counted, not matched, so depth costs nothing.
 */
static bool
skip_value(JsonText *r)
{
	size_t		depth = 0;
	JsonText	ignored;

	for (;;)
	{
		skip_space(r);
		if (r->pos == r->end)
			return false;

		switch (*r->pos)
		{
			case '"':
				if (!read_string(r, &ignored))
					return false;
				break;
			case '{':
			case '[':
				depth++;
				r->pos++;
				break;
			case '}':
			case ']':
				if (depth == 0)
					return false;
				depth--;
				r->pos++;
				break;
			case ',':
			case ':':
				if (depth == 0)
					return false;
				r->pos++;
				continue;		/* the value goes on */
			default:
				/* number, true, false, null: whatever it is, up to its end */
				if (!is_word_char(*r->pos))
					return false;
				while (r->pos < r->end && is_word_char(*r->pos))
					r->pos++;
				break;
		}
		if (depth == 0)
			return true;
	}
}

static void
skip_space(JsonText *r)
{
	while (r->pos < r->end && (*r->pos == ' ' || *r->pos == '\t' ||
							   *r->pos == '\n' || *r->pos == '\r'))
		r->pos++;
}

/*
 * Step over c if it comes next.
 */
static bool
accept(JsonText *r, char c)
{
	if (r->pos == r->end || *r->pos != (unsigned char) c)
		return false;
	r->pos++;
	return true;
}

static bool
text_is(JsonText content, const char *word)
{
	for (; *word != '\0'; word++)
	{
		if (next_char(&content) != (unsigned char) *word)
			return false;
	}
	return content.pos == content.end;
}

/*
 * The next character of the inside of a string that read_string() accepted, or
 * -1 at its end.  Surrogates stand for themselves, malformed UTF-8 is U+FFFD
 * for each byte.
 */
static int32_t
next_char(JsonText *content)
{
	const unsigned char *p = content->pos;
	int32_t		c;
	int32_t		least;
	int			more;
	int			i;

	if (p == content->end)
		return -1;
	c = *p;
	content->pos++;

	if (c == '\\')
	{
		c = *content->pos++;
		switch (c)
		{
			case 'b':
				return '\b';
			case 'f':
				return '\f';
			case 'n':
				return '\n';
			case 'r':
				return '\r';
			case 't':
				return '\t';
			case 'u':
				content->pos += 4;
				return hex4(p + 2);
		}
		return c;
	}
	if (c < 0x80)
		return c;

	if (c >= 0xC2 && c <= 0xDF)
	{
		more = 1;
		c &= 0x1F;
		least = 0x80;
	}
	else if (c >= 0xE0 && c <= 0xEF)
	{
		more = 2;
		c &= 0x0F;
		least = 0x800;
	}
	else if (c >= 0xF0 && c <= 0xF4)
	{
		more = 3;
		c &= 0x07;
		least = 0x10000;
	}
	else
		return 0xFFFD;

	if (content->end - content->pos < more)
		return 0xFFFD;
	for (i = 0; i < more; i++)
	{
		if ((content->pos[i] & 0xC0) != 0x80)
			return 0xFFFD;
		c = c << 6 | (content->pos[i] & 0x3F);
	}
	if (c < least || c > 0x10FFFF)
		return 0xFFFD;
	content->pos += more;
	return c;
}

/*
 * Value of four hexadecimal digits, or -1.
 */
static int32_t
hex4(const unsigned char *p)
{
	int32_t		value = 0;
	int			i;

	for (i = 0; i < 4; i++)
	{
		if (p[i] >= '0' && p[i] <= '9')
			value = value << 4 | (p[i] - '0');
		else if (p[i] >= 'a' && p[i] <= 'f')
			value = value << 4 | (p[i] - 'a' + 10);
		else if (p[i] >= 'A' && p[i] <= 'F')
			value = value << 4 | (p[i] - 'A' + 10);
		else
			return -1;
	}
	return value;
}

/*
 * Characters of tokens and hashes: base64 of both kinds, hex, JWT, and percent
 * encoding.
 */
static bool
is_word_char(int32_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
		(c >= 'a' && c <= 'z') ||
		(c > 0 && c < 0x80 && strchr("+/=_-.~%", (int) c) != NULL);
}

/*
 * Write the characters of a string as printable ASCII, without a terminator,
 * at most size bytes.  A character or escape is written whole or not at all.
 */
static size_t
show(JsonText content, char *buf, size_t size)
{
	size_t		used = 0;
	bool		in_word = false;
	char		out[13];
	size_t		n;

	while (content.pos < content.end)
	{
		JsonText	ahead = content;
		int32_t		c = next_char(&content);

		if (is_word_char(c) && !in_word)
		{
			/* looks at a bounded stretch at each beginning of a word */
			for (n = 0;
				 n < SECRET_WORD_LEN && is_word_char(next_char(&ahead));)
				n++;
			if (n == SECRET_WORD_LEN)
			{
				do
					content = ahead;
				while (is_word_char(next_char(&ahead)));
				if (size - used < 3)
					break;
				memcpy(buf + used, "...", 3);
				used += 3;
				continue;
			}
		}
		in_word = is_word_char(c);

		if (c >= 0x20 && c < 0x7F)
		{
			out[0] = (char) c;
			n = 1;
		}
		else
		{
			int32_t		units[2];
			int			i;
			int			shift;

			units[0] = c;
			units[1] = -1;
			if (c > 0xFFFF)
			{
				units[0] = 0xD800 + ((c - 0x10000) >> 10);
				units[1] = 0xDC00 + ((c - 0x10000) & 0x3FF);
			}
			n = 0;
			for (i = 0; i < 2 && units[i] >= 0; i++)
			{
				out[n++] = '\\';
				out[n++] = 'u';
				for (shift = 12; shift >= 0; shift -= 4)
					out[n++] = base32hex[units[i] >> shift & 0x0F];
			}
		}
		if (n > size - used)
			break;
		memcpy(buf + used, out, n);
		used += n;
	}
	return used;
}
