/*-------------------------------------------------------------------------
 *
 * name_test.c
 *		Proves that names are shown, and that numbers in any writing, hashes,
 *		secrets and people's names are not.
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "base/name.h"
#include "tap.h"

static const char *const shown[] = {
	"", "shop", "shop-2", "shop-2026-11", "Asia/Tokyo", "Etc/GMT+9",
	"on_duplicate",
	"a23456b", "123456",
};

static const char *const hidden[] = {
	"090-1234-5678", "09012345678", "+819012345678", "shop-20261127",
	"1234567",
	"\xEF\xBC\x90\xEF\xBC\x99\xEF\xBC\x90", /* full width */
	"\xE5\xB1\xB1\xE7\x94\xB0", /* a person */
	"no such", "x\ny", "a\"b", "%s", "x@example.com",
	"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
	"8c570fa6dd201bb328f1c1eac23a96d8",
	/* 64 letters */
	"abcdefghijklmnopabcdefghijklmnopabcdefghijklmnopabcdefghijklmnop",
	"\xEF", "\xEF\xBC",
};

static bool
number(const char *text)
{
	return ln_has_number(text, strlen(text));
}

int
main(void)
{
	unsigned	i;

	for (i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
		ok(strcmp(ln_shown(shown[i]), shown[i]) == 0, "shown: \"%s\"",
		   shown[i]);
	for (i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
		ok(strcmp(ln_shown(hidden[i]), "...") == 0, "hidden, no. %u", i);
	ok(number("\xE6\xB3\xA8\xE6\x96\x87 \xEF\xBC\x90\xEF\xBC\x99\xEF\xBC\x90 12 34"),
	   "seven digits, some of full width");
	ok(!number("\xE6\xB3\xA8\xE6\x96\x87 \xEF\xBC\x90\xEF\xBC\x99\xEF\xBC\x90 12 3"),
	   "six are none");
	ok(!number("\xEF\xBC\x9A\xEF\xBC\x8F\xEF"),
	   "beside the digits; cut short");
	ok(!ln_has_number("123456789", 6), "it ends where it ends");
	{
		char		text[] = "type bigint: \"090-1234-5678 \xEF\xBC\x90\"";
		char		name[] = "type int4: \"12 a\"";

		ln_star_number(text);
		ok(strcmp(text, "type bigint: \"***-****-**** ***\"") == 0,
		   "the digits of a number, %s", text);
		ln_star_number(name);
		ok(strcmp(name, "type int4: \"12 a\"") == 0, "not those of others");
	}
	return done_testing();
}
