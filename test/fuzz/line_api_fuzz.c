/*-------------------------------------------------------------------------
 *
 * line_api_fuzz.c
 *		Fuzz target for what line_api.c reads and writes.
 *
 *		clang -g -O1 -fsanitize=fuzzer,address,undefined -Isrc \
 *			test/fuzz/line_api_fuzz.c src/line/line_api.c -o line_api_fuzz
 *		./line_api_fuzz -max_total_time=60
 *
 * The first byte chooses the function, the second one the room for its result.
 * Beside memory errors, these are faults: a text that is not printable ASCII,
 * not terminated, or longer than its room; a tag that is accepted and comes
 * back different; a request body whose length is not what was announced.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "line/line_api.h"

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition) do { if (!(condition)) abort(); } while (0)

static void
error_text(const char *data, size_t size, size_t room)
{
	char	   *buf = malloc(room + 1);
	size_t		i;

	/* room 0 must not be touched at all */
	buf[room] = 'x';
	ln_line_error_text(data, size, buf, room);
	MUST(buf[room] == 'x');
	if (room > 0)
	{
		size_t		len = strnlen(buf, room);

		MUST(len < room);
		for (i = 0; i < len; i++)
			MUST(buf[i] >= 0x20 && buf[i] < 0x7F);
	}
	free(buf);
}

static void
parse_tag(const char *data, size_t size)
{
	int64_t		id;
	int			attempt;
	uint64_t	token;
	char		buf[LINE_TAG_SIZE];

	if (ln_line_parse_tag(data, size, &id, &attempt, &token))
	{
		MUST(id > 0 && attempt > 0 && attempt <= LINE_TAG_MAX_ATTEMPT);
		ln_line_tag(buf, id, attempt, token);
		MUST(strlen(buf) == size && memcmp(buf, data, size) == 0);
	}
}

static void
any_tag(const char *data, size_t size)
{
	int64_t		id;
	int64_t		id2;
	int			attempt;
	int			attempt2;
	uint64_t	token;
	uint64_t	token2;
	char		buf[LINE_TAG_SIZE];

	if (size < 20)
		return;
	memcpy(&id, data, 8);
	memcpy(&attempt, data + 8, 4);
	memcpy(&token, data + 12, 8);
	ln_line_tag(buf, id, attempt, token);
	MUST(strlen(buf) < LINE_TAG_SIZE);
	if (id > 0 && attempt > 0)
	{
		MUST(ln_line_parse_tag(buf, strlen(buf), &id2, &attempt2, &token2));
		MUST(id2 == id && token2 == token);
	}
}

static void
request_body(const char *data, size_t size, size_t room)
{
	LineMessage m;
	char	   *text = malloc(size + 1);
	char	   *buf = malloc(room + 1);
	size_t		len;

	memcpy(text, data, size);
	text[size] = '\0';
	memset(&m, 0, sizeof(m));
	m.kind = size % 2 ? LINE_TEMPLATE : LINE_FLEXIBLE;
	m.to = text;
	m.template_key = text;
	m.body = m.messages = data;
	m.body_len = m.messages_len = size;
	m.notification_disabled = (int) (size % 3) - 1;
	m.aggregation_unit = size % 5 ? text : NULL;

	buf[room] = 'x';
	len = ln_line_body(&m, buf, room);
	MUST(buf[room] == 'x');
	if (room > len)
		MUST(buf[len] == '\0' && buf[0] == '{' && buf[len - 1] == '}');
	else if (room > 0)
		MUST(buf[0] == '\0');
	free(text);
	free(buf);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t		room;

	if (size < 2)
		return 0;
	room = data[1];
	switch (data[0] % 4)
	{
		case 0:
			error_text((const char *) data + 2, size - 2, room);
			break;
		case 1:
			parse_tag((const char *) data + 2, size - 2);
			break;
		case 2:
			any_tag((const char *) data + 2, size - 2);
			break;
		case 3:
			request_body((const char *) data + 2, size - 2, room * 16);
			break;
	}
	return 0;
}
