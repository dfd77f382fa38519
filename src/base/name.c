/*-------------------------------------------------------------------------
 *
 * name.c
 *		What callers send, in our messages; see name.h.
 *
 *-------------------------------------------------------------------------
 */
#include "base/name.h"

#include <string.h>

/* As long as the name of a channel may be. */
#define MAX_NAME	63

/* The shortest numbers in use have 7 digits; a name may hold a date. */
#define MAX_DIGITS	6

const char *
ln_shown(const char *text)
{
	size_t		len = strlen(text);
	size_t		named = strspn(text,
							   "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
							   "abcdefghijklmnopqrstuvwxyz"
							   "0123456789_.-+/");

	return len <= MAX_NAME && named == len && !ln_has_number(text, len)
		? text : "...";
}

/*
 * Bytes of the digit that stands here, 0 = none; also of full width: U+FF10 to
 * U+FF19.
 */
static int
digit_length(const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *) text;

	if (*p >= '0' && *p <= '9')
		return 1;
	return len >= 3 && p[0] == 0xEF && p[1] == 0xBC &&
		p[2] >= 0x90 && p[2] <= 0x99 ? 3 : 0;
}

bool
ln_has_number(const char *text, size_t len)
{
	int			digits = 0;

	for (size_t i = 0; i < len; i++)
		digits += digit_length(text + i, len - i) > 0;
	return digits > MAX_DIGITS;
}

void
ln_star_number(char *text)
{
	size_t		len = strlen(text);
	int			n;

	if (!ln_has_number(text, len))
		return;
	for (size_t i = 0; i < len; i += n > 0 ? n : 1)
		if ((n = digit_length(text + i, len - i)) > 0)
			memset(text + i, '*', n);
}
