/*-------------------------------------------------------------------------
 *
 * traceparent.c
 *		The header "traceparent" of the W3C's Trace Context; see traceparent.h.
 *
 * https://www.w3.org/TR/trace-context/#traceparent-header:
 * version "-" trace-id "-" parent-id "-" trace-flags, in lower-case hex.  A
 * version that we do not know is read as far as we know it; what follows is
 * kept.
 *
 *-------------------------------------------------------------------------
 */
#include <stdbool.h>
#include <string.h>

#include "base/traceparent.h"

static bool
is_hex(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!((p[i] >= '0' && p[i] <= '9') || (p[i] >= 'a' && p[i] <= 'f')))
			return false;
	return true;
}

static bool
is_zero(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != '0')
			return false;
	return true;
}

LnTraceparent
ln_traceparent_read(const char *text, size_t len)
{
	static const struct
	{
		size_t		at;
		size_t		n;
	}			fields[] = {{0, 2}, {3, 32}, {36, 16}, {53, 2}};
	const size_t known = 55;

	if (len == 0)
		return LN_TRACEPARENT_NONE;
	if (len < known || len > LN_TRACEPARENT_MAX)
		return LN_TRACEPARENT_MALFORMED;
	for (int i = 0; i < 4; i++)
	{
		size_t		end = fields[i].at + fields[i].n;

		if (!is_hex(text + fields[i].at, fields[i].n) ||
			(end < len && text[end] != '-'))
			return LN_TRACEPARENT_MALFORMED;
	}
	/* 00 has these fields and no more; ff is forbidden */
	if ((memcmp(text, "00", 2) == 0 && len != known) ||
		memcmp(text, "ff", 2) == 0)
		return LN_TRACEPARENT_MALFORMED;
	for (size_t i = known; i < len; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return LN_TRACEPARENT_MALFORMED;
	if (is_zero(text + 3, 32) || is_zero(text + 36, 16))
		return LN_TRACEPARENT_NONE;
	return LN_TRACEPARENT_VALID;
}
