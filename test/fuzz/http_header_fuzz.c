/*-------------------------------------------------------------------------
 *
 * http_header_fuzz.c
 *		Fuzz target for what http.c makes of the lines of a response.
 *
 *		clang -g -O1 -fsanitize=fuzzer,address,undefined -Isrc \
 *			test/fuzz/http_header_fuzz.c -lcurl -lpthread -o http_header_fuzz
 *		./http_header_fuzz -max_total_time=60
 *
 * Includes http.c, since these functions are its own.  The input is cut into
 * lines as libcurl would deliver them, and some where it would not; each lies
 * in memory of exactly its size.  Faults beside memory errors: a status out of
 * range, a delay out of range, a request id that is not printable, more lines
 * or bytes taken than the caps allow, or a status that changes once it is final.
 *
 *-------------------------------------------------------------------------
 */
#include "../../src/http/http.c"

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition) do { if (!(condition)) abort(); } while (0)

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static HttpClient client;
	Transfer	t;
	size_t		pos = 0;
	int			final = 0;

	memset(&t, 0, sizeof(t));
	t.client = &client;
	t.head = HEAD_STATUS;
	t.retry_after_ms = -1;
	client.opt.max_response = 1000;

	while (pos < size)
	{
		const uint8_t *lf = memchr(data + pos, '\n', size - pos);
		size_t		len = lf != NULL ? (size_t) (lf - data) + 1 - pos : size - pos;
		char	   *line = malloc(len);
		size_t		i;
		bool		more;

		memcpy(line, data + pos, len);
		more = on_header(line, 1, len, &t) == len;
		free(line);
		pos += len;

		MUST(t.status == 0 || (t.status >= 100 && t.status <= 999));
		MUST(t.head < HEAD_FINAL || t.status >= 200);
		MUST(final == 0 || t.status == final);
		if (t.head >= HEAD_FINAL)
			final = t.status;
		MUST(t.retry_after_ms >= -1 &&
			 t.retry_after_ms <= MAX_RETRY_AFTER_MS);
		MUST(strnlen(t.request_id, sizeof(t.request_id)) <
			 sizeof(t.request_id));
		for (i = 0; t.request_id[i] != '\0'; i++)
			MUST(t.request_id[i] >= 0x20 && t.request_id[i] < 0x7F);
		if (!more)
		{
			MUST(t.reason != NULL);
			break;
		}
		MUST(t.header_lines <= MAX_HEADER_LINES &&
			 t.header_bytes <= MAX_HEADER_BYTES);
	}

	/* and the same bytes as a body */
	pos = on_write((char *) data, 1, size, &t);
	MUST(t.response_len <= 1000 && (pos == size) == (size <= 1000));
	MUST(t.response_len == 0 || memcmp(t.response, data, t.response_len) == 0);
	free(t.response);

	/* and as a header of a request */
	{
		char	   *text = malloc(size + 1);
		const char *why;

		memcpy(text, data, size);
		text[size] = '\0';
		if (header_good(text, &why))
			MUST(strpbrk(text, "\r\n") == NULL && strchr(text, ':') != NULL);
		else
			MUST(why != NULL);
		free(text);
	}
	return 0;
}
