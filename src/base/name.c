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

bool
ln_has_number(const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *) text;
	int			digits = 0;

	for (size_t i = 0; i < len; i++)
	{
		/* also full width: U+FF10 to U+FF19 */
		if ((p[i] >= '0' && p[i] <= '9') ||
			(len - i >= 3 && p[i] == 0xEF && p[i + 1] == 0xBC &&
			 p[i + 2] >= 0x90 && p[i + 2] <= 0x99))
			digits++;
	}
	return digits > MAX_DIGITS;
}
