/*-------------------------------------------------------------------------
 *
 * token_api_fuzz.c
 *		Fuzz target for the answers of LINE's token and count endpoints.
 *
 * The first byte chooses the room, the rest is the answer.  Beside memory
 * errors, these are faults: a token that would break a header, a life that is
 * no life, a text that is not printable ASCII or not terminated.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "line/line_api.h"
#include "line/token_api.h"

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition) do { if (!(condition)) abort(); } while (0)

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = {
		"access_token", "expires_in", "status", "success", ""
	};
	size_t		room;
	char	   *buf;
	char	   *body;
	char		err[128];
	int64_t		life;

	if (size < 1)
		return 0;
	room = 1 + data[0] * 16;
	buf = malloc(room);
	body = malloc(size);		/* exactly: one byte more is an error */
	memcpy(body, data + 1, size - 1);
	body = realloc(body, size > 1 ? size - 1 : 1);

	if (ln_token_parse(body, size - 1, buf, room, &life, err, sizeof(err)))
	{
		MUST(strnlen(buf, room) < room && ln_token_is_clean(buf));
		MUST(life >= 1);
	}
	else
		MUST(buf[0] == '\0');
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
	{
		bool		found = ln_line_json_member(body, size - 1, names[i], buf,
												room);

		MUST(strnlen(buf, room) < room);
		MUST(found || buf[0] == '\0');
		for (const char *p = buf; *p != '\0'; p++)
			MUST(*p >= 0x20 && *p < 0x7F);
	}
	{
		const char *object = NULL;
		size_t		object_len = 0;

		if (ln_line_json_object(body, size - 1, "overview", &object,
								&object_len))
			MUST(object > body && object_len >= 2 &&
				 object + object_len <= body + size - 1 && object[0] == '{');
	}
	ln_token_error_text(body, size - 1, buf, room);
	MUST(strnlen(buf, room) < room);
	free(body);
	free(buf);
	return 0;
}
