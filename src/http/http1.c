/*-------------------------------------------------------------------------
 *
 * http1.c
 *		HTTP/1.1 as bytes; see http1.h.
 *
 * An answer decides what becomes of a message, so nothing is guessed: what is
 * no status line is none, and the only thing that a faulty answer can cost is
 * the connection it came on.  A status that was read stays, whatever follows
 * it.  The result never depends on how the bytes were cut.
 *
 *-------------------------------------------------------------------------
 */
#include <limits.h>
#include <string.h>

#include "http/http1.h"

/* Longest number of seconds that is worth telling apart: 30 years */
#define MAX_RETRY_AFTER_S	INT64_C(1000000000)

static bool take_line(Http1Answer *a, const char *line, size_t len);
static bool take_status(Http1Answer *a, const char *line, size_t len);
static bool take_header(Http1Answer *a, const char *line, size_t len);
static bool take_length(Http1Answer *a, const char *value, size_t len);
static void take_coding(Http1Answer *a, const char *value, size_t len);
static void take_connection(Http1Answer *a, const char *value, size_t len);
static void take_retry_after(Http1Answer *a, const char *value, size_t len);
static void take_chunk_size(Http1Answer *a, const char *line, size_t len);
static void head_ends(Http1Answer *a);
static bool next_token(const char **pos, const char *end, const char **token,
					   size_t *len);
static bool name_is(const char *name, size_t len, const char *lower);
static bool broken(Http1Answer *a, const char *reason);

/* tchar of RFC 9110 5.6.2: what a header's name is made of */
static inline bool
is_name_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		(c >= '0' && c <= '9') ||
		(c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static inline bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* ---------- requests ---------- */

bool
ln_http1_header_good(const char *line, const char **why)
{
	static const char *const reserved[] =
	{
		/* these would break the framing, and the proof with it */
		"content-length", "transfer-encoding", "expect", "connection",
		"upgrade", "te", "trailer", "host", "keep-alive", "proxy-connection"
	};
	const unsigned char *p;
	const char *colon;
	size_t		i;
	size_t		namelen;

	for (p = (const unsigned char *) line; *p != '\0'; p++)
	{
		if (*p < 0x20 || *p == 0x7F)
		{
			*why = "A header contains a control character.";
			return false;
		}
	}

	colon = strchr(line, ':');
	namelen = colon != NULL ? (size_t) (colon - line) : 0;
	if (namelen == 0)
	{
		*why = "A header has no name.";
		return false;
	}
	for (i = 0; i < namelen; i++)
	{
		if (!is_name_byte(line[i]))
		{
			*why = "A header has a malformed name.";
			return false;
		}
	}
	if (colon[1 + strspn(colon + 1, " ")] == '\0')
	{
		*why = "A header has no value.";
		return false;
	}
	for (i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
	{
		if (name_is(line, namelen, reserved[i]))
		{
			*why = "A header is reserved for the HTTP client.";
			return false;
		}
	}
	return true;
}

bool
ln_http1_url(const char *url, Http1Url *parts)
{
	const unsigned char *p;
	const char *usual;
	size_t		usual_len;
	size_t		len;

	if (url == NULL)
		return false;
	memset(parts, 0, sizeof(*parts));
	if (strncmp(url, "https://", 8) == 0)
	{
		parts->https = true;
		parts->host = url + 8;
		usual = ":443";
	}
	else if (strncmp(url, "http://", 7) == 0)
	{
		parts->host = url + 7;
		usual = ":80";
	}
	else
		return false;
	for (p = (const unsigned char *) url; *p != '\0'; p++)
	{
		if (*p <= 0x20 || *p >= 0x7F)
			return false;
	}

	len = strcspn(parts->host, "/?#");
	if (len == 0)
		return false;
	parts->path = parts->host + len;
	parts->path_len = strcspn(parts->path, "#");
	parts->base_len = (size_t) (parts->path - url);

	usual_len = strlen(usual);
	if (len > usual_len &&
		memcmp(parts->host + len - usual_len, usual, usual_len) == 0)
		len -= usual_len;
	parts->host_len = len;
	return true;
}

/* Where the text of a head goes; counts on when it is full. */
typedef struct Writer
{
	char	   *buf;
	size_t		size;
	size_t		len;
} Writer;

static inline void
put(Writer *w, const char *text, size_t len)
{
	if (w->len <= w->size && len <= w->size - w->len)
		memcpy(w->buf + w->len, text, len);
	else
		w->size = 0;			/* no more */
	w->len += len;
}

#define PUT(w, literal)		put(w, literal, sizeof(literal) - 1)

size_t
ln_http1_head(char *buf, size_t size, const char *method, const Http1Url *url,
			  const char *const *headers, int nheaders, int64_t body_len)
{
	Writer		w = {buf, size, 0};
	int			i;

	put(&w, method, strlen(method));
	PUT(&w, " ");
	if (url->path_len == 0 || url->path[0] != '/')
		PUT(&w, "/");
	put(&w, url->path, url->path_len);
	PUT(&w, " HTTP/1.1\r\nHost: ");
	put(&w, url->host, url->host_len);
	PUT(&w, "\r\nAccept: */*\r\n");
	for (i = 0; i < nheaders; i++)
	{
		put(&w, headers[i], strlen(headers[i]));
		PUT(&w, "\r\n");
	}
	if (body_len >= 0)
	{
		char		digits[24];
		size_t		n = sizeof(digits);
		uint64_t	rest = (uint64_t) body_len;

		do
		{
			digits[--n] = (char) ('0' + rest % 10);
			rest /= 10;
		} while (rest > 0);
		PUT(&w, "Content-Length: ");
		put(&w, digits + n, sizeof(digits) - n);
		PUT(&w, "\r\n");
	}
	PUT(&w, "\r\n");
	return w.len;
}

/* ---------- answers ---------- */

void
ln_http1_begin(Http1Answer *a)
{
	/* all but the line, which line_len says is empty */
	memset(a, 0, offsetof(Http1Answer, line));
	a->state = HTTP1_STATUS_LINE;
	a->retry_after_s = -1;
	a->retry_at = INT64_MIN;
}

size_t
ln_http1_feed(Http1Answer *a, const char *data, size_t len, const char **body,
			  size_t *body_len)
{
	size_t		pos = 0;

	*body = NULL;
	*body_len = 0;
	while (pos < len)
	{
		const char *start = data + pos;
		const char *lf;
		size_t		n;

		switch (a->state)
		{
			case HTTP1_LENGTH:
			case HTTP1_CHUNK:
				n = len - pos;
				if (n > a->left)
					n = (size_t) a->left;
				a->left -= n;
				if (a->left == 0)
					a->state = a->state == HTTP1_CHUNK ? HTTP1_CHUNK_END :
						HTTP1_COMPLETE;
				*body = start;
				*body_len = n;
				return pos + n;

			case HTTP1_UNTIL_CLOSE:
				*body = start;
				*body_len = len - pos;
				return len;

			case HTTP1_COMPLETE:
			case HTTP1_BROKEN:
				return pos;

			case HTTP1_STATUS_LINE:
			case HTTP1_INTERIM:
			case HTTP1_HEAD:
			case HTTP1_CHUNK_SIZE:
			case HTTP1_CHUNK_END:
			case HTTP1_TRAILER:
				break;
		}

		/* a line, or a piece of one */
		lf = memchr(start, '\n', len - pos);
		n = lf != NULL ? (size_t) (lf - start) + 1 : len - pos;
		pos += n;
		a->bytes += n;
		if (a->bytes > HTTP1_MAX_BYTES)
		{
			(void) broken(a, "response head too long");
			return pos;
		}

		if (a->line_len == 0 && lf != NULL)
		{
			if (n > HTTP1_LINE_ROOM)
				a->odd |= HTTP1_ODD_LONG;
			if (!take_line(a, start, n > HTTP1_LINE_ROOM ?
						   HTTP1_LINE_ROOM : n))
				return pos;
			continue;
		}

		if (a->line_len < HTTP1_LINE_ROOM)
		{
			size_t		keep = HTTP1_LINE_ROOM - a->line_len;

			memcpy(a->line + a->line_len, start, n < keep ? n : keep);
		}
		a->line_len += n;

		/* what will never be right need not be waited for */
		if (a->state == HTTP1_STATUS_LINE &&
			memcmp(a->line, "HTTP/",
				   a->line_len < 5 ? a->line_len : 5) != 0)
		{
			(void) broken(a, "no HTTP answer");
			return pos;
		}
		if (a->state == HTTP1_CHUNK_END && a->line[0] != '\r' &&
			a->line[0] != '\n')
		{
			(void) broken(a, "a chunk is longer than it says");
			return pos;
		}

		if (lf != NULL)
		{
			n = a->line_len;
			a->line_len = 0;
			if (n > HTTP1_LINE_ROOM)
			{
				a->odd |= HTTP1_ODD_LONG;
				n = HTTP1_LINE_ROOM;
			}
			if (!take_line(a, a->line, n))
				return pos;
		}
	}
	return pos;
}

void
ln_http1_end(Http1Answer *a)
{
	if (ln_http1_ended(a))
		return;
	a->keep_alive = false;
	if (a->state == HTTP1_UNTIL_CLOSE)
		a->state = HTTP1_COMPLETE;
	else
		(void) broken(a, a->state == HTTP1_STATUS_LINE && a->bytes == 0 ?
					  "the server closed the connection without an answer" :
					  "the server closed the connection within its answer");
}

/*
 * Take a line, with its end, or without it when it is too long.  False = the
 * message has ended or is broken.
 */
static bool
take_line(Http1Answer *a, const char *line, size_t len)
{
	bool		odd_byte = false;
	size_t		i;

	/* without its end; a line that is cut has none */
	if (line[len - 1] == '\n')
	{
		len--;
		if (len > 0 && line[len - 1] == '\r')
			len--;
		else
			a->odd |= HTTP1_ODD_LINE_END;
	}
	for (i = 0; i < len; i++)
		odd_byte |= ((unsigned char) line[i] < 0x20 && line[i] != '\t') ||
			line[i] == 0x7F;
	if (odd_byte)
		a->odd |= HTTP1_ODD_BYTE;

	switch (a->state)
	{
		case HTTP1_CHUNK_SIZE:
			take_chunk_size(a, line, len);
			return !ln_http1_ended(a);
		case HTTP1_CHUNK_END:
			if (len > 0)
				return broken(a, "a chunk is longer than it says");
			a->state = HTTP1_CHUNK_SIZE;
			return true;
		default:
			break;
	}

	if (++a->lines > HTTP1_MAX_LINES)
		return broken(a, "response head too long");

	switch (a->state)
	{
		case HTTP1_STATUS_LINE:
			return take_status(a, line, len);
		case HTTP1_INTERIM:
			if (len == 0)
				a->state = HTTP1_STATUS_LINE;
			else
				(void) take_header(a, line, len);
			return true;
		case HTTP1_HEAD:
			if (len == 0)
				head_ends(a);
			else
				(void) take_header(a, line, len);
			return !ln_http1_ended(a);
		case HTTP1_TRAILER:
			if (len == 0)
			{
				a->state = HTTP1_COMPLETE;
				return false;
			}
			(void) take_header(a, line, len);
			return true;
		default:
			return broken(a, "not reached");
	}
}

/*
 * "HTTP/1.x nnn reason"
 */
static bool
take_status(Http1Answer *a, const char *line, size_t len)
{
	int			status;

	if (len < 12 || memcmp(line, "HTTP/1.", 7) != 0 || !is_digit(line[7]) ||
		line[8] != ' ' || line[9] < '1' || line[9] > '9' ||
		!is_digit(line[10]) || !is_digit(line[11]) ||
		(len > 12 && line[12] != ' '))
		return broken(a, "no HTTP status line");
	if (memchr(line, '\0', len) != NULL)
		return broken(a, "a NUL in the status line");

	status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
	a->minor = line[7] - '0';
	if (a->minor > 1)
		a->odd |= HTTP1_ODD_VERSION;
	if (len == 12 || status > 599)
		a->odd |= HTTP1_ODD_STATUS;

	a->status = status;
	if (status >= 200)
	{
		a->state = HTTP1_HEAD;
		return true;
	}
	if (status == 101)
		return broken(a, "the server changes to another protocol");
	if (++a->interims > HTTP1_MAX_INTERIM)
		return broken(a, "too many interim responses");
	a->state = HTTP1_INTERIM;
	return true;
}

/*
 * One header.  Those of the final answer count; those of an interim one or
 * after the body only have to look like one.
 */
static bool
take_header(Http1Answer *a, const char *line, size_t len)
{
	size_t		name_len = 0;
	const char *value;
	size_t		value_len;

	if (is_blank(line[0]))
	{
		a->odd |= HTTP1_ODD_FOLD;
		if (a->framing_line && a->state == HTTP1_HEAD)
			return broken(a, "a header that says where the answer ends is folded");
		return true;
	}
	a->framing_line = false;

	while (name_len < len && is_name_byte(line[name_len]))
		name_len++;
	if (name_len == 0 || name_len == len || line[name_len] != ':')
	{
		a->odd |= HTTP1_ODD_HEADER;
		return true;
	}
	if (a->state != HTTP1_HEAD)
		return true;
	value = line + name_len + 1;
	value_len = len - name_len - 1;
	while (value_len > 0 && is_blank(*value))
	{
		value++;
		value_len--;
	}
	while (value_len > 0 && is_blank(value[value_len - 1]))
		value_len--;

	switch (name_len)
	{
		case 10:
			if (name_is(line, name_len, "connection"))
				take_connection(a, value, value_len);
			break;
		case 11:
			if (name_is(line, name_len, "retry-after"))
				take_retry_after(a, value, value_len);
			break;
		case 14:
			if (name_is(line, name_len, "content-length"))
				return take_length(a, value, value_len);
			break;
		case 17:
			if (name_is(line, name_len, "transfer-encoding"))
				take_coding(a, value, value_len);
			else if (name_is(line, name_len, "x-line-request-id"))
				ln_http1_printable(a->request_id, sizeof(a->request_id),
								   value, value_len);
			break;
	}
	return true;
}

/*
 * Content-Length: one number, or the same one again and again.
 */
static bool
take_length(Http1Answer *a, const char *value, size_t len)
{
	const char *end = value + len;
	const char *token;
	size_t		n;
	int			found = 0;

	a->framing_line = true;
	while (next_token(&value, end, &token, &n))
	{
		uint64_t	number = 0;
		size_t		i;

		if (n == 0)
			return broken(a, "a malformed Content-Length");
		for (i = 0; i < n; i++)
		{
			if (!is_digit(token[i]))
				return broken(a, "a malformed Content-Length");
			if (number > (uint64_t) (INT64_MAX - 9) / 10)
				return broken(a, "an absurd Content-Length");
			number = number * 10 + (uint64_t) (token[i] - '0');
		}
		found++;
		if (a->has_length)
		{
			a->odd |= HTTP1_ODD_LENGTH;
			if (number != a->length)
				return broken(a, "two different Content-Lengths");
		}
		a->has_length = true;
		a->length = number;
	}
	return found > 0 || broken(a, "a malformed Content-Length");
}

/*
 * Transfer-Encoding: chunked, and whatever else it says is not undone.
 */
static void
take_coding(Http1Answer *a, const char *value, size_t len)
{
	const char *end = value + len;
	const char *token;
	size_t		n;

	a->framing_line = true;
	while (next_token(&value, end, &token, &n))
	{
		if (a->chunked || !name_is(token, n, "chunked"))
			a->odd |= HTTP1_ODD_CODING;
		if (n == 0)
			continue;
		a->has_coding = true;
		a->chunked = name_is(token, n, "chunked");
	}
}

static void
take_connection(Http1Answer *a, const char *value, size_t len)
{
	const char *end = value + len;
	const char *token;
	size_t		n;

	while (next_token(&value, end, &token, &n))
	{
		if (name_is(token, n, "close"))
			a->close = true;
		else if (name_is(token, n, "keep-alive"))
			a->says_keep_alive = true;
	}
}

/*
 * Retry-After (RFC 9110 10.2.3): seconds or a date; of several, the longest.
 */
static void
take_retry_after(Http1Answer *a, const char *value, size_t len)
{
	int64_t		seconds = 0;
	size_t		i;

	for (i = 0; i < len && is_digit(value[i]); i++)
	{
		seconds = seconds * 10 + (value[i] - '0');
		if (seconds > MAX_RETRY_AFTER_S)
			seconds = MAX_RETRY_AFTER_S;
	}
	if (i > 0 && i == len)
	{
		if (seconds > a->retry_after_s)
			a->retry_after_s = seconds;
	}
	else if (ln_http1_date(value, len, &seconds) && seconds > a->retry_at)
		a->retry_at = seconds;
}

/*
 * "size[;extension]" in hexadecimal digits.
 */
static void
take_chunk_size(Http1Answer *a, const char *line, size_t len)
{
	uint64_t	size = 0;
	size_t		i;

	for (i = 0; i < len; i++)
	{
		char		c = line[i];
		unsigned int digit;

		if (is_digit(c))
			digit = (unsigned int) (c - '0');
		else if (c >= 'a' && c <= 'f')
			digit = (unsigned int) (c - 'a') + 10;
		else if (c >= 'A' && c <= 'F')
			digit = (unsigned int) (c - 'A') + 10;
		else
			break;
		if (size > (uint64_t) INT64_MAX >> 4)
		{
			(void) broken(a, "an absurd chunk size");
			return;
		}
		size = size << 4 | digit;
	}
	if (i == 0 || (i < len && line[i] != ';' && !is_blank(line[i])))
	{
		(void) broken(a, "a malformed chunk size");
		return;
	}
	if (i < len)
		a->odd |= HTTP1_ODD_CHUNK;
	a->left = size;
	a->state = size > 0 ? HTTP1_CHUNK : HTTP1_TRAILER;
}

/*
 * The head of the final answer is complete: where will the answer end?
 */
static void
head_ends(Http1Answer *a)
{
	a->keep_alive = !a->close && (a->minor > 0 || a->says_keep_alive);

	if (a->status == 204 || a->status == 304)
	{
		if (a->has_coding)
			a->odd |= HTTP1_ODD_CODING;
		if (a->status == 204 && a->length > 0)
			a->odd |= HTTP1_ODD_LENGTH;
		a->state = HTTP1_COMPLETE;
	}
	else if (a->has_coding)
	{
		if (a->has_length)
			a->odd |= HTTP1_ODD_LENGTH;
		if (a->minor == 0)
			a->odd |= HTTP1_ODD_CODING;
		if (a->chunked)
			a->state = HTTP1_CHUNK_SIZE;
		else
			a->state = HTTP1_UNTIL_CLOSE;
	}
	else if (a->has_length)
	{
		a->left = a->length;
		a->state = a->length > 0 ? HTTP1_LENGTH : HTTP1_COMPLETE;
	}
	else
		a->state = HTTP1_UNTIL_CLOSE;

	if (a->state == HTTP1_UNTIL_CLOSE)
		a->keep_alive = false;
}

/*
 * The next element of a list with commas, without the blanks around it.
 */
static bool
next_token(const char **pos, const char *end, const char **token, size_t *len)
{
	const char *p = *pos;
	const char *comma;
	const char *last;

	if (p > end)
		return false;			/* the last one was given */
	comma = memchr(p, ',', (size_t) (end - p));
	last = comma != NULL ? comma : end;
	*pos = last + 1;
	while (p < last && is_blank(*p))
		p++;
	while (last > p && is_blank(last[-1]))
		last--;
	*token = p;
	*len = (size_t) (last - p);
	return true;
}

/* Is it this name or word, given in lower case? */
static bool
name_is(const char *name, size_t len, const char *lower)
{
	size_t		i;

	for (i = 0; i < len; i++)
	{
		char		c = name[i];

		if (c >= 'A' && c <= 'Z')
			c = (char) (c - 'A' + 'a');
		if (lower[i] == '\0' || c != lower[i])
			return false;
	}
	return lower[i] == '\0';
}

static bool
broken(Http1Answer *a, const char *reason)
{
	a->state = HTTP1_BROKEN;
	a->reason = reason;
	a->keep_alive = false;
	return false;
}

/* ---------- texts ---------- */

/*
 * Read a number of exactly n digits.
 */
static bool
digits(const char *text, int n, int *value)
{
	int			i;

	*value = 0;
	for (i = 0; i < n; i++)
	{
		if (!is_digit(text[i]))
			return false;
		*value = *value * 10 + (text[i] - '0');
	}
	return true;
}

bool
ln_http1_date(const char *text, size_t len, int64_t *seconds)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	static const char *const weekdays[] =
	{
		"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday",
		"Sunday"
	};
	int			year,
				month,
				day,
				hour,
				minute,
				second;
	const char *month_text;
	int64_t		y,
				era_day;
	size_t		i;

	if (len == 29 && text[3] == ',' && text[4] == ' ')
	{
		/* Sun, 06 Nov 1994 08:49:37 GMT */
		if (!digits(text + 5, 2, &day) || text[7] != ' ' ||
			text[11] != ' ' || !digits(text + 12, 4, &year) ||
			text[16] != ' ' || memcmp(text + 25, " GMT", 4) != 0)
			return false;
		month_text = text + 8;
		text += 17;
	}
	else if (len == 24 && text[3] == ' ')
	{
		/* Sun Nov  6 08:49:37 1994 */
		char		padded[2];

		padded[0] = text[8] == ' ' ? '0' : text[8];
		padded[1] = text[9];
		if (text[7] != ' ' || !digits(padded, 2, &day) || text[10] != ' ' ||
			text[19] != ' ' || !digits(text + 20, 4, &year))
			return false;
		month_text = text + 4;
		text += 11;
	}
	else
	{
		/* Sunday, 06-Nov-94 08:49:37 GMT */
		for (i = 0; i < 7; i++)
		{
			size_t		n = strlen(weekdays[i]);

			if (len == n + 24 && memcmp(text, weekdays[i], n) == 0)
				break;
		}
		if (i == 7)
			return false;
		text += len - 24;
		if (memcmp(text, ", ", 2) != 0 || !digits(text + 2, 2, &day) ||
			text[4] != '-' || text[8] != '-' ||
			!digits(text + 9, 2, &year) || text[11] != ' ' ||
			memcmp(text + 20, " GMT", 4) != 0)
			return false;
		year += year < 70 ? 2000 : 1900;
		month_text = text + 5;
		text += 12;
	}

	for (month = 0; month < 12; month++)
	{
		if (memcmp(month_text, months + 3 * month, 3) == 0)
			break;
	}
	if (month == 12 || !digits(text, 2, &hour) || text[2] != ':' ||
		!digits(text + 3, 2, &minute) || text[5] != ':' ||
		!digits(text + 6, 2, &second) ||
		day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60)
		return false;

	/* days of the proleptic Gregorian calendar, years beginning in March */
	y = month < 2 ? year - 1 : year;
	era_day = 365 * y + y / 4 - y / 100 + y / 400 +
		(153 * ((month + 10) % 12) + 2) / 5 + day - 1;
	*seconds = ((era_day - 719468) * 24 + hour) * 3600 + minute * 60 + second;
	return true;
}

void
ln_http1_printable(char *dst, size_t size, const char *src, size_t len)
{
	size_t		i;

	while (len > 0 && (src[len - 1] == '\n' || src[len - 1] == '\r'))
		len--;
	if (len > size - 1)
		len = size - 1;
	for (i = 0; i < len; i++)
		dst[i] = src[i] >= 0x20 && src[i] < 0x7F ? src[i] : '?';
	dst[len] = '\0';
}
