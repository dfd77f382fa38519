/*-------------------------------------------------------------------------
 *
 * http1_test.c
 *		Heads of requests and answers of servers, as bytes.
 *
 * Each answer is read whole, byte by byte, and cut in two at each place: what
 * is made of it must be the same.  It lies in memory of exactly its size.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>

#include "http/http1.h"
#include "tap.h"

#define MORE	'm'				/* not at its end, the connection is open */
#define DONE	'd'				/* complete */
#define BROKEN	'b'

typedef struct Reading
{
	Http1Answer a;
	char		body[70000];
	size_t		body_len;
	size_t		taken;
} Reading;

/* Read on from a piece of exactly len bytes. */
static void
read_piece(Reading *r, const char *data, size_t len)
{
	char	   *copy = malloc(len > 0 ? len : 1);
	size_t		pos = 0;

	memcpy(copy, data, len);
	while (pos < len && !ln_http1_ended(&r->a))
	{
		const char *body;
		size_t		n;

		pos += ln_http1_feed(&r->a, copy + pos, len - pos, &body, &n);
		if (n > 0)
		{
			if (r->body_len + n > sizeof(r->body) || body < copy ||
				body + n > copy + len)
				abort();
			memcpy(r->body + r->body_len, body, n);
			r->body_len += n;
		}
	}
	r->taken += pos;
	free(copy);
}

static char
state_of(const Http1Answer *a)
{
	return a->state == HTTP1_COMPLETE ? DONE :
		a->state == HTTP1_BROKEN ? BROKEN : MORE;
}

static bool
same(const Reading *x, const Reading *y)
{
	if (state_of(&x->a) != state_of(&y->a) || x->a.status != y->a.status ||
		x->a.odd != y->a.odd ||
		ln_http1_reusable(&x->a) != ln_http1_reusable(&y->a) ||
		x->a.retry_after_s != y->a.retry_after_s ||
		x->a.retry_at != y->a.retry_at ||
		strcmp(x->a.request_id, y->a.request_id) != 0 ||
		x->body_len != y->body_len ||
		memcmp(x->body, y->body, x->body_len) != 0)
		return false;
	return x->a.state != HTTP1_COMPLETE || x->taken == y->taken;
}

/* Read an answer in all ways; the result is that of the first. */
static const Reading *
read_answer(const char *text, size_t len, bool closed)
{
	static Reading whole;
	static Reading other;
	size_t		cut;
	int			differ = 0;
	size_t		i;

	memset(&whole, 0, sizeof(whole));
	ln_http1_begin(&whole.a);
	read_piece(&whole, text, len);
	if (closed)
		ln_http1_end(&whole.a);

	for (cut = 0; cut <= len; cut += len > 2000 ? 97 : 1)
	{
		memset(&other, 0, offsetof(Reading, body));
		other.body_len = other.taken = 0;
		ln_http1_begin(&other.a);
		if (cut == 0)
		{
			for (i = 0; i < len; i++)
				read_piece(&other, text + i, 1);
		}
		else
		{
			read_piece(&other, text, cut);
			read_piece(&other, text + cut, len - cut);
		}
		if (closed)
			ln_http1_end(&other.a);
		if (!same(&whole, &other))
			differ++;
	}
	if (differ > 0)
		ok(false, "cut at %d places, it reads otherwise: %.60s", differ, text);
	return &whole;
}

static const struct
{
	const char *name;
	const char *text;
	char		open;			/* while the connection is open */
	char		closed;			/* when it has been closed */
	int			status;			/* of a complete status line, final or not */
	bool		reusable;
	const char *body;
}			cases[] =
{
#define H11		"HTTP/1.1 200 OK\r\n"
#define L0		"Content-Length: 0\r\n\r\n"
	/* framing */
	{"a length", H11 "Content-Length: 2\r\n\r\n{}", DONE, DONE, 200, true,
	"{}"},
	{"a length of nothing", H11 L0, DONE, DONE, 200, true, ""},
	{"less than it says", H11 "Content-Length: 3\r\n\r\n{}", MORE, BROKEN, 200,
	false, "{}"},
	{"more than it says", H11 "Content-Length: 1\r\n\r\n{}", DONE, DONE, 200,
	true, "{"},
	{"until the end", H11 "\r\nabc", MORE, DONE, 200, false, "abc"},
	{"until the end, nothing", H11 "\r\n", MORE, DONE, 200, false, ""},
	{"204", "HTTP/1.1 204 No\r\n\r\nabc", DONE, DONE, 204, true, ""},
	{"304 with a length", "HTTP/1.1 304 No\r\nContent-Length: 9\r\n\r\n", DONE,
	DONE, 304, true, ""},
	{"204 with a length", "HTTP/1.1 204 No\r\nContent-Length: 9\r\n\r\n", DONE,
	DONE, 204, false, ""},
	{"chunks", H11 "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\nA\r\n0123456789\r\n0\r\n\r\n",
	DONE, DONE, 200, true, "ab0123456789"},
	{"chunks with a trailer", H11 "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nA: b\r\nRetry-After: 5\r\n\r\n",
	DONE, DONE, 200, true, "a"},
	{"chunks with extensions",
		H11 "Transfer-Encoding: chunked\r\n\r\n1;a=b\r\na\r\n00000 ;x\r\n\r\n",
	DONE, DONE, 200, true, "a"},
	{"chunks without an end",
		H11 "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n", MORE, BROKEN, 200,
	false, "a"},
	{"half a trailer", H11 "Transfer-Encoding: chunked\r\n\r\n0\r\nA", MORE,
	BROKEN, 200, false, ""},
	{"the last chunk, and no more",
		H11 "Transfer-Encoding: chunked\r\n\r\n0\r\n", MORE, BROKEN, 200,
	false, ""},
	{"a chunk size that is none",
		H11 "Transfer-Encoding: chunked\r\n\r\nzz\r\n", BROKEN, BROKEN, 200,
	false, ""},
	{"an empty chunk size", H11 "Transfer-Encoding: chunked\r\n\r\n\r\n",
	BROKEN, BROKEN, 200, false, ""},
	{"a chunk size with a sign",
		H11 "Transfer-Encoding: chunked\r\n\r\n+1\r\na", BROKEN, BROKEN, 200,
	false, ""},
	{"a chunk size as 0x1", H11 "Transfer-Encoding: chunked\r\n\r\n0x1\r\na",
	BROKEN, BROKEN, 200, false, ""},
	{"the largest chunk",
		H11 "Transfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\nab", MORE,
	BROKEN, 200, false, "ab"},
	{"an absurd chunk",
		H11 "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nab", BROKEN,
	BROKEN, 200, false, ""},
	{"a chunk too long", H11 "Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
	BROKEN, BROKEN, 200, false, "a"},
	{"CR and no LF after a chunk",
		H11 "Transfer-Encoding: chunked\r\n\r\n1\r\na\rb\n", BROKEN, BROKEN,
	200, false, "a"},
	{"Chunked in capitals",
		H11 "transfer-ENCODING:\tCHUNKED \r\n\r\n0\r\n\r\n", DONE, DONE, 200,
	true, ""},
	{"gzip, chunked",
		H11 "Transfer-Encoding: gzip, chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
	DONE, DONE, 200, false, "a"},
	{"chunked, gzip", H11 "Transfer-Encoding: chunked, gzip\r\n\r\n1\r\n",
	MORE, DONE, 200, false, "1\r\n"},
	{"chunked twice",
		H11 "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", DONE, DONE,
	200, false, ""},
	{"gzip alone", H11 "Transfer-Encoding: gzip\r\n\r\nab", MORE, DONE, 200,
	false, "ab"},
	{"chunks beside a length",
		H11 "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	DONE, DONE, 200, false, ""},
	{"chunks in HTTP/1.0", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	DONE, DONE, 200, false, ""},

	/* lengths */
	{"the same length twice",
		H11 "Content-Length: 1\r\nContent-Length: 1\r\n\r\na", DONE, DONE, 200,
	false, "a"},
	{"the same length in a list", H11 "Content-Length: 1, 1\r\n\r\na", DONE,
	DONE, 200, false, "a"},
	{"two lengths", H11 "Content-Length: 1\r\nContent-Length: 2\r\n\r\na",
	BROKEN, BROKEN, 200, false, ""},
	{"two lengths in a list", H11 "Content-Length: 1,2\r\n\r\na", BROKEN,
	BROKEN, 200, false, ""},
	{"a negative length", H11 "Content-Length: -1\r\n\r\na", BROKEN, BROKEN,
	200, false, ""},
	{"a length with a sign", H11 "Content-Length: +1\r\n\r\na", BROKEN, BROKEN,
	200, false, ""},
	{"a length with a fraction", H11 "Content-Length: 1.0\r\n\r\na", BROKEN,
	BROKEN, 200, false, ""},
	{"a length in hexadecimal", H11 "Content-Length: 0x1\r\n\r\na", BROKEN,
	BROKEN, 200, false, ""},
	{"a length in words", H11 "Content-Length: many\r\n\r\na", BROKEN, BROKEN,
	200, false, ""},
	{"no length in the header", H11 "Content-Length:\r\n\r\na", BROKEN, BROKEN,
	200, false, ""},
	{"a comma for a length", H11 "Content-Length: 1,\r\n\r\na", BROKEN, BROKEN,
	200, false, ""},
	{"a length in two words", H11 "Content-Length: 1 1\r\n\r\na", BROKEN,
	BROKEN, 200, false, ""},
	{"an absurd length", H11 "Content-Length: 99999999999999999999\r\n\r\na",
	BROKEN, BROKEN, 200, false, ""},
	{"a long length", H11 "Content-Length: 000000000000000000000001\r\n\r\na",
	DONE, DONE, 200, true, "a"},
	{"a folded length", H11 "Content-Length: 1\r\n 0\r\n\r\n0123456789",
	BROKEN, BROKEN, 200, false, ""},
	{"a folded coding", H11 "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
	BROKEN, BROKEN, 200, false, ""},
	{"another folded header", H11 "A: b\r\n c\r\nContent-Length: 1\r\n\r\na",
	DONE, DONE, 200, false, "a"},
	{"a blank before the colon", H11 "Content-Length : 1\r\n\r\na", MORE, DONE,
	200, false, "a"},

	/* may it be used again? */
	{"close", H11 "Connection: close\r\n" L0, DONE, DONE, 200, false, ""},
	{"close in a list", H11 "Connection: x, CLOSE ,y\r\n" L0, DONE, DONE, 200,
	false, ""},
	{"close beside keep-alive",
		H11 "Connection: keep-alive\r\nConnection: close\r\n" L0, DONE, DONE,
	200, false, ""},
	{"closed is not close", H11 "Connection: closed\r\n" L0, DONE, DONE, 200,
	true, ""},
	{"HTTP/1.0", "HTTP/1.0 200 OK\r\n" L0, DONE, DONE, 200, false, ""},
	{"HTTP/1.0 with keep-alive",
		"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n" L0, DONE, DONE, 200,
	true, ""},
	{"HTTP/1.0 until the end", "HTTP/1.0 200 OK\r\n\r\n{}", MORE, DONE, 200,
	false, "{}"},
	{"bare line feeds", "HTTP/1.1 200 OK\nContent-Length: 1\n\na", DONE, DONE,
	200, false, "a"},
	{"a control character", H11 "A: b\x01\r\n" L0, DONE, DONE, 200, false, ""},
	{"a carriage return in a line", H11 "A: b\rContent-Length: 5\r\n" L0, DONE,
	DONE, 200, false, ""},
	{"a line without a colon", H11 "HTTP/1.1 404 No\r\n" L0, DONE, DONE, 200,
	false, ""},
	{"an empty name", H11 ": b\r\n" L0, DONE, DONE, 200, false, ""},
	{"bytes above 127 in a value", H11 "A: \xE3\x81\x93\r\n" L0, DONE, DONE,
	200, true, ""},
	{"bytes above 127 in a name", H11 "\xE3\x81\x93: a\r\n" L0, DONE, DONE,
	200, false, ""},

	/* status lines */
	{"nothing", "", MORE, BROKEN, 0, false, ""},
	{"a begin", "HTTP/1.1 20", MORE, BROKEN, 0, false, ""},
	{"without line feed", "HTTP/1.1 200 OK\r", MORE, BROKEN, 0, false, ""},
	{"the line", "HTTP/1.1 500 Oops\r\n", MORE, BROKEN, 500, false, ""},
	{"no reason", "HTTP/1.1 202 \r\n" L0, DONE, DONE, 202, true, ""},
	{"no second blank", "HTTP/1.1 202\r\n" L0, DONE, DONE, 202, true, ""},
	{"999", "HTTP/1.1 999 What\r\n" L0, DONE, DONE, 999, true, ""},
	{"099", "HTTP/1.1 099 What\r\n" L0, BROKEN, BROKEN, 0, false, ""},
	{"1000", "HTTP/1.1 1000 What\r\n" L0, BROKEN, BROKEN, 0, false, ""},
	{"20", "HTTP/1.1 20 What\r\n" L0, BROKEN, BROKEN, 0, false, ""},
	{"a word", "HTTP/1.1 OK\r\n" L0, BROKEN, BROKEN, 0, false, ""},
	{"a tab", "HTTP/1.1\t200 OK\r\n" L0, BROKEN, BROKEN, 0, false, ""},
	{"two blanks", "HTTP/1.1  200 OK\r\n" L0, BROKEN, BROKEN, 0, false, ""},
	{"HTTP/1.2", "HTTP/1.2 200 OK\r\n" L0, DONE, DONE, 200, false, ""},
	{"HTTP/2", "HTTP/2 200 OK\r\n" L0, BROKEN, BROKEN, 0, false, ""},
	{"HTTP/2.0", "HTTP/2.0 200 OK\r\n" L0, BROKEN, BROKEN, 0, false, ""},
	{"HTTP/0.9", "HTTP/0.9 200 OK\r\n" L0, BROKEN, BROKEN, 0, false, ""},
	{"HTTP/1", "HTTP/1 200 OK\r\n" L0, BROKEN, BROKEN, 0, false, ""},
	{"HTTP/11.1", "HTTP/11.1 200 OK\r\n" L0, BROKEN, BROKEN, 0, false, ""},
	{"small letters", "http/1.1 200 OK\r\n" L0, BROKEN, BROKEN, 0, false, ""},
	{"ICY", "ICY 200 OK\r\n\r\n", BROKEN, BROKEN, 0, false, ""},
	{"an empty line before it", "\r\nHTTP/1.1 200 OK\r\n" L0, BROKEN, BROKEN,
	0, false, ""},
	{"a blank before it", " HTTP/1.1 200 OK\r\n" L0, BROKEN, BROKEN, 0, false,
	""},
	{"another protocol", "SSH-2.0-OpenSSH_9.2\r\n", BROKEN, BROKEN, 0, false,
	""},
	{"another protocol, not even a line", "SSH", BROKEN, BROKEN, 0, false, ""},
	{"a page", "<html>", BROKEN, BROKEN, 0, false, ""},

	/* interim answers */
	{"100 alone", "HTTP/1.1 100 Continue\r\n\r\n", MORE, BROKEN, 100, false,
	""},
	{"100 and 200", "HTTP/1.1 100 Continue\r\n\r\n" H11 L0, DONE, DONE, 200,
	true, ""},
	{"103 with a length", "HTTP/1.1 103 Hints\r\nContent-Length: 9\r\nConnection: close\r\n\r\n" H11 L0, DONE, DONE, 200, true, ""},
	{"101", "HTTP/1.1 101 Switch\r\nUpgrade: x\r\n\r\n" H11 L0, BROKEN, BROKEN,
	101, false, ""},
};

static void
test_answers(void)
{
	size_t		i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		const char *text = cases[i].text;
		size_t		len = strlen(text);
		const Reading *r = read_answer(text, len, false);
		char		open = state_of(&r->a);
		bool		reusable = ln_http1_reusable(&r->a);
		char		closed;

		r = read_answer(text, len, true);
		closed = state_of(&r->a);
		if (!ok(open == cases[i].open && closed == cases[i].closed &&
				r->a.status == cases[i].status &&
				reusable == cases[i].reusable &&
				r->body_len == strlen(cases[i].body) &&
				memcmp(r->body, cases[i].body, r->body_len) == 0 &&
				(closed == BROKEN) == (r->a.reason != NULL), "%s",
				cases[i].name))
			diag("%c %c %d %s odd %x \"%.*s\" %s", open, closed, r->a.status,
				 reusable ? "reusable" : "not reusable", r->a.odd,
				 (int) r->body_len, r->body, r->a.reason ? r->a.reason : "");
	}
}

/* NULs do not fit into the table. */
static void
test_nuls(void)
{
	static const char reason[] = "HTTP/1.1 200 O\0K\r\n" L0;
	static const char digits[] = "HTTP/1.1 2\0" "0 OK\r\n" L0;
	static const char header[] = H11 "A: b\0c\r\n" L0;
	static const char zeros[] = "\0\0\0\0";
	const Reading *r = read_answer(reason, sizeof(reason) - 1, false);

	ok(state_of(&r->a) == BROKEN && r->a.status == 0, "NUL in the reason");
	r = read_answer(digits, sizeof(digits) - 1, false);
	ok(state_of(&r->a) == BROKEN && r->a.status == 0, "NUL in the status");
	r = read_answer(header, sizeof(header) - 1, false);
	ok(state_of(&r->a) == DONE && r->a.status == 200 &&
	   !ln_http1_reusable(&r->a), "NUL in a header");
	r = read_answer(zeros, sizeof(zeros) - 1, false);
	ok(state_of(&r->a) == BROKEN && r->a.status == 0, "NULs");
}

static void
test_headers(void)
{
	static const struct
	{
		const char *lines;
		long long	after;
		long long	at;			/* -1 = none */
	}			waits[] =
	{
		{"A: b", -1, -1},
		{"Retry-After: 0", 0, -1},
		{"retry-after:7\t ", 7, -1},
		{"Retry-After: 3\r\nRetry-After: 9\r\nRetry-After: 4", 9, -1},
		{"Retry-After: 99999999999999999999999", 1000000000, -1},
		{"Retry-After: 1.5", -1, -1},
		{"Retry-After:", -1, -1},
		{"Retry-After: Sun, 06 Nov 1994 08:49:37 GMT", -1, 784111777},
		{"Retry-After: 5\r\nRetry-After: Sun, 06 Nov 1994 08:49:37 GMT", 5,
		784111777},
		{"X-Retry-After: 5", -1, -1},
		{"Retry-After : 5", -1, -1},
	};
	char		text[1000];
	const Reading *r;
	size_t		i;

	for (i = 0; i < sizeof(waits) / sizeof(waits[0]); i++)
	{
		int			n = snprintf(text, sizeof(text),
								 "HTTP/1.1 503 Busy\r\n%s\r\n"
								 "Content-Length: 0\r\n\r\n", waits[i].lines);

		r = read_answer(text, (size_t) n, false);
		ok(r->a.retry_after_s == waits[i].after &&
		   (r->a.retry_at == INT64_MIN ? -1 : r->a.retry_at) == waits[i].at,
		   "%.*s", (int) strcspn(waits[i].lines, "\r"), waits[i].lines);
	}

	snprintf(text, sizeof(text),
			 H11 "X-Line-Request-ID: a\x1b[\x7f\xff" "b\r\n"
			 "Content-Length: 0\r\n\r\n");
	r = read_answer(text, strlen(text), false);
	is_str(r->a.request_id, "a?[??b", "a request id is made printable");
	snprintf(text, sizeof(text), H11 "x-line-request-id: %0200d\r\n"
			 "Content-Length: 0\r\n\r\n", 1);
	r = read_answer(text, strlen(text), false);
	is_int((long long) strlen(r->a.request_id), 79, "and cut");
	snprintf(text, sizeof(text), "HTTP/1.1 103 x\r\nx-line-request-id: a\r\n"
			 "Retry-After: 9\r\n\r\n" H11 "Content-Length: 0\r\n\r\n");
	r = read_answer(text, strlen(text), false);
	ok(r->a.request_id[0] == '\0' && r->a.retry_after_s == -1,
	   "headers of an interim answer do not count");
	snprintf(text, sizeof(text), H11 "Transfer-Encoding: chunked\r\n\r\n0\r\n"
			 "x-line-request-id: a\r\nRetry-After: 9\r\n\r\n");
	r = read_answer(text, strlen(text), false);
	ok(r->a.request_id[0] == '\0' && r->a.retry_after_s == -1 &&
	   state_of(&r->a) == DONE, "nor do trailers");
}

static void
test_dates(void)
{
	static const struct
	{
		const char *text;
		bool		good;
		long long	seconds;
	}			dates[] =
	{
		{"Sun, 06 Nov 1994 08:49:37 GMT", true, 784111777},
		{"Sunday, 06-Nov-94 08:49:37 GMT", true, 784111777},
		{"Sun Nov  6 08:49:37 1994", true, 784111777},
		{"Sun Nov 16 08:49:37 1994", true, 784975777},
		{"Thu, 01 Jan 1970 00:00:00 GMT", true, 0},
		{"Wed, 31 Dec 1969 23:59:59 GMT", true, -1},
		{"Tue, 29 Feb 2000 23:59:60 GMT", true, 951868800},
		{"Thu, 29 Feb 2024 12:00:00 GMT", true, 1709208000},
		{"Fri, 31 Dec 2099 23:59:59 GMT", true, 4102444799LL},
		{"Wednesday, 01-Jan-69 00:00:00 GMT", true, 3124224000LL},
		{"Fri, 31 Dec 9999 23:59:59 GMT", true, 253402300799LL},
		{"Sun, 06 Nov 1994 08:49:37 +0900", false, 0},
		{"Sun, 06 Nov 1994 08:49:37 EST", false, 0},
		{"Sun, 32 Nov 1994 08:49:37 GMT", false, 0},
		{"Sun, 00 Nov 1994 08:49:37 GMT", false, 0},
		{"Sun, 06 Foo 1994 08:49:37 GMT", false, 0},
		{"Sun, 06 Nov 1994 24:49:37 GMT", false, 0},
		{"Sun, 06 Nov 1994 08:60:37 GMT", false, 0},
		{"Sun, 06 Nov 1994 08:49:61 GMT", false, 0},
		{"Sun, 6 Nov 1994 08:49:37 GMT", false, 0},
		{"Sun, 06 Nov 94 08:49:37 GMT", false, 0},
		{"Someday, 06-Nov-94 08:49:37 GMT", false, 0},
		{"1994-11-06T08:49:37Z", false, 0},
		{"", false, 0},
		{"Sun", false, 0},
		{"                             ", false, 0},
		{"                        ", false, 0},
	};
	size_t		i;
	size_t		cut;
	int			partial = 0;

	for (i = 0; i < sizeof(dates) / sizeof(dates[0]); i++)
	{
		size_t		len = strlen(dates[i].text);
		char	   *copy = malloc(len + 1);
		int64_t		seconds = 0;
		bool		good;

		memcpy(copy, dates[i].text, len);
		good = ln_http1_date(copy, len, &seconds);
		ok(good == dates[i].good && (!good || seconds == dates[i].seconds),
		   "date \"%s\": %lld", dates[i].text, (long long) seconds);
		free(copy);
		for (cut = 0; cut < len && dates[i].good; cut++)
		{
			copy = malloc(cut + 1);
			memcpy(copy, dates[i].text, cut);
			partial += ln_http1_date(copy, cut, &seconds);
			free(copy);
		}
	}
	is_int(partial, 0, "no piece of a date is one");
}

/* A line, a piece of text again and again, an end. */
static char *
repeated(const char *begin, const char *text, int times, const char *end,
		 size_t *len)
{
	size_t		n = strlen(text);
	char	   *s =
	malloc(strlen(begin) + n * (size_t) times + strlen(end) + 1);
	char	   *p = s + strlen(begin);
	int			i;

	strcpy(s, begin);
	for (i = 0; i < times; i++, p += n)
		memcpy(p, text, n);
	strcpy(p, end);
	*len = strlen(s);
	return s;
}

static void
test_caps(void)
{
	static const struct
	{
		const char *name;
		const char *begin;
		const char *text;
		int			times;
		const char *end;
		char		state;
		int			status;
	}			floods[] =
	{
		{"250 headers", H11, "A: b\r\n", 250, L0, DONE, 200},
		{"300 headers", H11, "A: b\r\n", 300, L0, BROKEN, 200},
		{"16 interim answers", "", "HTTP/1.1 102 P\r\n\r\n", 16, H11 L0, DONE,
		200},
		{"17 interim answers", "", "HTTP/1.1 102 P\r\n\r\n", 17, H11 L0,
		BROKEN, 102},
		{"a header of 60,000 bytes", H11 "A: ", "b", 60000, "\r\n" L0, DONE,
		200},
		{"a header of 70,000 bytes", H11 "A: ", "b", 70000, "\r\n" L0, BROKEN,
		200},
		{"a reason of 60,000 bytes", "HTTP/1.1 200 ", "b", 60000, "\r\n" L0,
		DONE, 200},
		{"a reason of 70,000 bytes", "HTTP/1.1 200 ", "b", 70000, "\r\n" L0,
		BROKEN, 0},
		{"trailers for ever", H11 "Transfer-Encoding: chunked\r\n\r\n0\r\n",
		"A: b\r\n", 300, "\r\n", BROKEN, 200},
		{"an extension of 70,000 bytes",
			H11 "Transfer-Encoding: chunked\r\n\r\n1;", "b", 70000,
		"\r\na\r\n0\r\n\r\n", BROKEN, 200},
		{"1,000 chunks", H11 "Transfer-Encoding: chunked\r\n\r\n",
		"1\r\na\r\n", 1000, "0\r\n\r\n", DONE, 200},
		{"20,000 chunks", H11 "Transfer-Encoding: chunked\r\n\r\n",
		"1\r\na\r\n", 20000, "0\r\n\r\n", BROKEN, 200},
		{"a length behind 600 blanks", H11 "Content-Length:", " ", 600,
		"1\r\n\r\na", BROKEN, 200},
	};
	size_t		i;

	for (i = 0; i < sizeof(floods) / sizeof(floods[0]); i++)
	{
		size_t		len;
		char	   *text = repeated(floods[i].begin, floods[i].text,
									floods[i].times, floods[i].end, &len);
		const Reading *r = read_answer(text, len, false);

		if (!ok(state_of(&r->a) == floods[i].state &&
				r->a.status == floods[i].status, "%s", floods[i].name))
			diag("%c %d %s", state_of(&r->a), r->a.status,
				 r->a.reason ? r->a.reason : "");
		free(text);
	}
}

static void
test_urls(void)
{
	static const struct
	{
		const char *url;
		const char *base;		/* NULL = refused */
		const char *host;
		const char *path;
	}			urls[] =
	{
		{"https://api.line.me/bot/pnp/push", "https://api.line.me",
		"api.line.me", "/bot/pnp/push"},
		{"https://api.line.me", "https://api.line.me", "api.line.me", ""},
		{"https://api.line.me:443/a", "https://api.line.me:443", "api.line.me",
		"/a"},
		{"https://api.line.me:80/a", "https://api.line.me:80",
		"api.line.me:80", "/a"},
		{"http://127.0.0.1:80/a", "http://127.0.0.1:80", "127.0.0.1", "/a"},
		{"http://127.0.0.1:8443/a", "http://127.0.0.1:8443", "127.0.0.1:8443",
		"/a"},
		{"http://[::1]:8080/a?b=c#d", "http://[::1]:8080", "[::1]:8080",
		"/a?b=c"},
		{"http://h?b=c", "http://h", "h", "?b=c"},
		{"http://h#f", "http://h", "h", ""},
		{"http://h/a b", NULL, NULL, NULL},
		{"http://h/\r\nX: y", NULL, NULL, NULL},
		{"http://h/\x7f", NULL, NULL, NULL},
		{"http://h/\xe3\x81\x93", NULL, NULL, NULL},
		{"http:///a", NULL, NULL, NULL},
		{"https://", NULL, NULL, NULL},
		{"HTTPS://h/", NULL, NULL, NULL},
		{"ftp://h/", NULL, NULL, NULL},
		{"", NULL, NULL, NULL},
		{NULL, NULL, NULL, NULL},
	};
	size_t		i;

	for (i = 0; i < sizeof(urls) / sizeof(urls[0]); i++)
	{
		Http1Url	u;
		bool		good = ln_http1_url(urls[i].url, &u);

		ok(good == (urls[i].base != NULL) &&
		   (!good || (u.base_len == strlen(urls[i].base) &&
					  strncmp(urls[i].url, urls[i].base, u.base_len) == 0 &&
					  u.host_len == strlen(urls[i].host) &&
					  strncmp(u.host, urls[i].host, u.host_len) == 0 &&
					  u.path_len == strlen(urls[i].path) &&
					  strncmp(u.path, urls[i].path, u.path_len) == 0 &&
					  u.https == (urls[i].url[4] == 's'))),
		   "URL %d is %s", (int) i, good ? "one" : "none");
	}
}

static void
test_heads(void)
{
	static const char *const headers[] = {"A: b", "X-Tag: 1"};
	char		buf[300];
	Http1Url	u;
	size_t		len;
	size_t		room;
	int			wrong = 0;
	static const char post[] = "POST /p?q HTTP/1.1\r\nHost: h:81\r\n"
		"Accept: */*\r\nA: b\r\nX-Tag: 1\r\nContent-Length: 1234567890123\r\n"
		"\r\n";

	ln_http1_url("http://h:81/p?q", &u);
	len = ln_http1_head(buf, sizeof(buf), "POST", &u, headers, 2,
						INT64_C(1234567890123));
	buf[len] = '\0';
	is_str(buf, post, "the head of a POST");
	for (room = 0; room < sizeof(post) + 3; room++)
	{
		char	   *exact = malloc(room + 1);

		memset(exact, '#', room + 1);
		len = ln_http1_head(exact, room, "POST", &u, headers, 2,
							INT64_C(1234567890123));
		if (len != sizeof(post) - 1 || exact[room] != '#' ||
			(len <= room && memcmp(exact, post, len) != 0))
			wrong++;
		free(exact);
	}
	is_int(wrong, 0, "in any room it says how long it is, and stays inside");

	ln_http1_url("https://h?q", &u);
	len = ln_http1_head(buf, sizeof(buf), "GET", &u, NULL, 0, -1);
	buf[len] = '\0';
	is_str(buf, "GET /?q HTTP/1.1\r\nHost: h\r\nAccept: */*\r\n\r\n",
		   "the head of a GET");
	len = ln_http1_head(buf, sizeof(buf), "POST", &u, NULL, 0, 0);
	buf[len] = '\0';
	ok(strstr(buf, "\r\nContent-Length: 0\r\n") != NULL, "a length of 0");
}

int
main(void)
{
	test_answers();
	test_nuls();
	test_headers();
	test_dates();
	test_caps();
	test_urls();
	test_heads();
	return done_testing();
}
