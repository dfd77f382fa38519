/*-------------------------------------------------------------------------
 *
 * http1_fuzz.c
 *		Fuzz target for http1.c: answers, dates, URLs and headers of requests.
 *
 *		bash test/fuzz/run.sh http1 60
 *
 * The first bytes of the input say where it is cut; each piece lies in memory
 * of exactly its size.  Faults beside memory errors: cut otherwise, it reads
 * otherwise; a status out of range, or one that changes once it is final; a
 * body that is not a part of the input in its order; a request id that is not
 * printable; more taken than the caps allow; bytes taken after the end; a head
 * that we built and cannot read.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "http/http1.h"

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition) do { if (!(condition)) abort(); } while (0)

typedef struct Reading
{
	Http1Answer a;
	size_t		taken;
	size_t		body_len;
	uint32_t	body_hash;
	int			final;			/* status, once it is final */
} Reading;

static void
read_piece(Reading *r, const uint8_t *data, size_t len)
{
	char	   *copy = malloc(len > 0 ? len : 1);
	size_t		pos = 0;
	size_t		i;

	memcpy(copy, data, len);
	while (pos < len && !ln_http1_ended(&r->a))
	{
		const char *body;
		size_t		n;
		size_t		used = ln_http1_feed(&r->a, copy + pos, len - pos, &body,
										 &n);

		MUST(used > 0 && used <= len - pos);
		MUST(n == 0 || (body >= copy + pos && body + n <= copy + pos + used));
		for (i = 0; i < n; i++)
			r->body_hash = (r->body_hash ^ (uint8_t) body[i]) * 16777619u;
		r->body_len += n;
		pos += used;

		MUST(r->a.status == 0 || (r->a.status >= 100 && r->a.status <= 999));
		MUST(r->final == 0 || r->a.status == r->final);
		if (ln_http1_final(&r->a))
			r->final = r->a.status;
		MUST(n == 0 || r->final > 0);
		MUST((r->a.state == HTTP1_BROKEN) == (r->a.reason != NULL));
		MUST(ln_http1_ended(&r->a) || (r->a.lines <= HTTP1_MAX_LINES &&
									   r->a.bytes <= HTTP1_MAX_BYTES &&
									   r->a.interims <= HTTP1_MAX_INTERIM));
		MUST(r->a.retry_after_s >= -1 &&
			 r->a.retry_after_s <= INT64_C(1000000000));
		for (i = 0; r->a.request_id[i] != '\0'; i++)
			MUST(r->a.request_id[i] >= 0x20 && r->a.request_id[i] < 0x7F);
		MUST(i < sizeof(r->a.request_id));
	}
	if (ln_http1_ended(&r->a) && pos < len)
	{
		const char *body;
		size_t		n;

		MUST(ln_http1_feed(&r->a, copy + pos, len - pos, &body, &n) == 0 &&
			 n == 0);
	}
	r->taken += pos;
	free(copy);
}

static void
read_cut(Reading *r, const uint8_t *data, size_t size, size_t step)
{
	size_t		pos = 0;

	memset(r, 0, sizeof(*r));
	r->body_hash = 2166136261u;
	ln_http1_begin(&r->a);
	while (pos < size)
	{
		size_t		n = step == 0 || step > size - pos ? size - pos : step;

		read_piece(r, data + pos, n);
		pos += n;
	}
}

static void
must_be_same(const Reading *x, const Reading *y)
{
	MUST(x->a.status == y->a.status);
	MUST((x->a.state == HTTP1_BROKEN) == (y->a.state == HTTP1_BROKEN));
	MUST((x->a.state == HTTP1_COMPLETE) == (y->a.state == HTTP1_COMPLETE));
	MUST(x->body_len == y->body_len && x->body_hash == y->body_hash);
	MUST(ln_http1_reusable(&x->a) == ln_http1_reusable(&y->a));
	MUST(x->a.retry_after_s == y->a.retry_after_s &&
		 x->a.retry_at == y->a.retry_at);
	MUST(strcmp(x->a.request_id, y->a.request_id) == 0);
	MUST(x->a.state == HTTP1_BROKEN || x->taken == y->taken);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static Reading whole;
	static Reading other;
	size_t		step;
	char	   *text;
	const char *why = NULL;
	Http1Url	url;
	int64_t		seconds;

	if (size < 1)
		return 0;
	step = data[0];
	data++;
	size--;

	read_cut(&whole, data, size, 0);
	read_cut(&other, data, size, 1);
	must_be_same(&whole, &other);
	read_cut(&other, data, size, step);
	must_be_same(&whole, &other);
	ln_http1_end(&whole.a);
	ln_http1_end(&other.a);
	must_be_same(&whole, &other);
	MUST(ln_http1_ended(&whole.a));

	text = malloc(size + 1);
	memcpy(text, data, size);
	if (ln_http1_date(text, size, &seconds))
		MUST(size >= 24 && size <= 33);
	text[size] = '\0';

	/* as a header, and as a URL, of a request that a server must understand */
	if (ln_http1_header_good(text, &why))
		MUST(strpbrk(text, "\r\n") == NULL && strchr(text, ':') != NULL);
	else
		MUST(why != NULL);
	if (ln_http1_url(text, &url))
	{
		const char *const headers[] = {"A: b"};
		size_t		len = ln_http1_head(NULL, 0, "POST", &url, headers, 1, 7);
		char	   *head = malloc(len);
		size_t		i;
		int			lines = 0;

		MUST(ln_http1_head(head, len, "POST", &url, headers, 1, 7) == len);
		MUST(memcmp(head, "POST /", 6) == 0);
		for (i = 0; i < len; i++)
			lines += head[i] == '\n';
		MUST(lines == 6 && memcmp(head + len - 4, "\r\n\r\n", 4) == 0);
		free(head);
	}
	free(text);
	return 0;
}
