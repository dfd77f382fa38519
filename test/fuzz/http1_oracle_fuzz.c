/*-------------------------------------------------------------------------
 *
 * http1_oracle_fuzz.c
 *		http1.c beside another parser of HTTP/1.1, on the same bytes: Debian's
 *		libhttp-parser, that of nginx and early Node.js.
 *
 *		bash test/fuzz/run.sh http1_oracle 60
 *
 * Both read an answer from a connection that then ends.  They must agree on
 * whether it is complete, on its status, its body and on where it ends.  Where
 * they may differ, and why:
 *
 *	we take it, the oracle does not
 *		anything with an "odd" flag: we are lenient about what cannot change a
 *		status, and never use the connection again; the oracle is strict.  Of
 *		what we call harmless it refuses blanks before a chunk extension.
 *	the oracle takes it, we do not
 *		empty lines before the status line		an answer begins with HTTP/
 *		HTTP/0.9, 2.0, 3.4						we asked in HTTP/1.1
 *		status below 100						there is none
 *		more lines, bytes, interim answers		our caps
 *			than we take
 *		101										not asked for; the oracle stops
 *		a folded Content-Length or				who unfolds it reads another
 *			Transfer-Encoding						number than who does not
 *		a length above 2^63						nor does the oracle, above 2^64
 *		CR and something else than LF, or		Debian's oracle takes any byte
 *			any two bytes, after a chunk		for the line end
 *		bytes above 127 in a chunk size			a fault of the oracle: it has a
 *												table of 128 digits
 *	one takes it, or both, and they read otherwise
 *		a header whose name only begins with	a fault of the oracle: it takes
 *			Transfer-Encoding					what follows a 204 for a body,
 *												refuses Content-Length, and
 *												forgets the coding before it
 *		a tab beside a length or a coding		the oracle does not skip it
 *		Content-Length or Transfer-Encoding		the oracle reads a body, if the
 *			where none is: 1xx, 204, 304		header is well-formed
 *		an odd flag of ours for length, coding	the reader of such an answer
 *			or header								may choose; we close
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <http_parser.h>

#include "http/http1.h"

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Result
{
	bool		complete;
	bool		broken;
	bool		upgrade;
	int			status;
	size_t		end;
	size_t		body_len;
	char		body[65536];
} Result;

static int
on_body(http_parser *p, const char *at, size_t len)
{
	Result	   *r = p->data;

	if (r->body_len + len <= sizeof(r->body))
		memcpy(r->body + r->body_len, at, len);
	r->body_len += len;
	return 0;
}

static int
on_complete(http_parser *p)
{
	Result	   *r = p->data;

	if (p->status_code >= 200)
	{
		r->complete = true;
		r->status = (int) p->status_code;
		http_parser_pause(p, 1);
	}
	else
		r->body_len = 0;
	return 0;
}

static void
oracle(Result *r, const char *data, size_t size)
{
	http_parser_settings settings;
	http_parser p;

	memset(r, 0, offsetof(Result, body));
	http_parser_settings_init(&settings);
	settings.on_body = on_body;
	settings.on_message_complete = on_complete;
	http_parser_init(&p, HTTP_RESPONSE);
	p.data = r;
	r->end = http_parser_execute(&p, &settings, data, size);
	r->upgrade = p.upgrade;
	if (!r->complete && HTTP_PARSER_ERRNO(&p) == HPE_OK && !p.upgrade)
		(void) http_parser_execute(&p, &settings, NULL, 0);
	r->broken = !r->complete;
}

static void
ours(Result *r, Http1Answer *a, const char *data, size_t size)
{
	size_t		pos = 0;

	memset(r, 0, offsetof(Result, body));
	ln_http1_begin(a);
	while (pos < size && !ln_http1_ended(a))
	{
		const char *body;
		size_t		n;

		pos += ln_http1_feed(a, data + pos, size - pos, &body, &n);
		if (n > 0)
		{
			if (r->body_len + n <= sizeof(r->body))
				memcpy(r->body + r->body_len, body, n);
			r->body_len += n;
		}
	}
	r->end = pos;
	ln_http1_end(a);
	r->complete = a->state == HTTP1_COMPLETE;
	r->broken = !r->complete;
	r->status = a->status;
}

/* Reasons for which we may refuse what the oracle takes. */
static bool
stricter(const Http1Answer *a, const char *data, size_t size)
{
	static const char *const reasons[] =
	{
		"no HTTP answer", "no HTTP status line", "response head too long",
		"too many interim responses",
		"the server changes to another protocol",
		"a header that says where the answer ends is folded",
		"an absurd Content-Length", "an absurd chunk size",
		"a chunk is longer than it says",
	};
	size_t		i;

	for (i = 0; i < size; i++)
	{
		/* a length that begins on the next line */
		if (i > 0 && data[i - 1] == '\n' &&
			(data[i] == ' ' || data[i] == '\t') && a->reason != NULL &&
			strcmp(a->reason, "a malformed Content-Length") == 0)
			return true;
		if (data[i] == '\r' && (i + 1 == size || data[i + 1] != '\n'))
			return true;
		if ((unsigned char) data[i] > 127 && a->reason != NULL &&
			strcmp(a->reason, "a malformed chunk size") == 0)
			return true;
	}
	for (i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
	{
		if (a->reason != NULL && strcmp(a->reason, reasons[i]) == 0)
			return true;
	}
	return false;
}

static bool
begins(const char *line, size_t len, const char *word)
{
	return len >= strlen(word) && strncasecmp(line, word, strlen(word)) == 0;
}

/*
 * A header that the oracle takes for one that says where the body ends, and
 * which is not: its name only begins with Transfer-Encoding, or there is no
 * body.
 */
static bool
no_such_body(const char *data, size_t size)
{
	bool		has_body = true;
	size_t		i;

	for (i = 0; i < size; i++)
	{
		const char *line = data + i;
		size_t		len = size - i;

		if (i > 0 && line[-1] != '\n')
			continue;
		if (begins(line, len, "HTTP/1.") && len > 12)
			has_body = line[9] != '1' && strncmp(line + 9, "204", 3) != 0 &&
				strncmp(line + 9, "304", 3) != 0;
		else if (begins(line, len, "transfer-encoding"))
		{
			if (!has_body || len == 17 || line[17] != ':')
				return true;
		}
		else if (!has_body && begins(line, len, "content-length"))
			return true;
	}
	return false;
}

static void
differs(const char *what, const Result *us, const Result *it,
		const Http1Answer *a)
{
	fprintf(stderr, "%s: ours %s %d end %zu body %zu odd %x (%s); "
			"oracle %s %d end %zu body %zu\n", what,
			us->complete ? "complete" : "incomplete", us->status, us->end,
			us->body_len, a->odd, a->reason != NULL ? a->reason : "",
			it->complete ? "complete" : "incomplete", it->status, it->end,
			it->body_len);
	abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static Result us;
	static Result it;
	Http1Answer a;
	const char *text = (const char *) data;
	bool		may_differ;

	ours(&us, &a, text, size);
	if ((a.has_length || a.has_coding) && memchr(text, '\t', size) != NULL)
		return 0;
	oracle(&it, text, size);

	may_differ = a.odd != 0 || no_such_body(text, size);

	if (us.complete && !it.complete)
	{
		if (!may_differ)
			differs("only we", &us, &it, &a);
	}
	else if (it.complete && !us.complete)
	{
		if (!stricter(&a, text, size) && !may_differ)
			differs("only the oracle", &us, &it, &a);
	}
	else if (us.complete)
	{
		if (us.status != it.status && !may_differ)
			differs("status", &us, &it, &a);
		if ((us.end != it.end || us.body_len != it.body_len ||
			 (us.body_len <= sizeof(us.body) &&
			  memcmp(us.body, it.body, us.body_len) != 0)) && !may_differ)
			differs("end", &us, &it, &a);
	}
	return 0;
}
