/*-------------------------------------------------------------------------
 *
 * traceparent_test.c
 *		Proves which texts are a traceparent, which say that there is none, and
 *		that every other text is neither.
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "base/traceparent.h"
#include "tap.h"

#define T "4bf92f3577b34da6a3ce929d0e0e4736"
#define P "00f067aa0ba902b7"
#define Z32 "00000000000000000000000000000000"
#define Z16 "0000000000000000"

int
main(void)
{
	static const struct
	{
		const char *text;
		LnTraceparent expected;
	}			cases[] = {
		{"00-" T "-" P "-01", LN_TRACEPARENT_VALID},
		{"00-" T "-" P "-00", LN_TRACEPARENT_VALID},
		{"00-" T "-" P "-ff", LN_TRACEPARENT_VALID},
		{"cc-" T "-" P "-01", LN_TRACEPARENT_VALID},
		{"cc-" T "-" P "-01-what-the-future-will-be-like",
		LN_TRACEPARENT_VALID},
		{"", LN_TRACEPARENT_NONE},
		{"00-" Z32 "-" P "-01", LN_TRACEPARENT_NONE},
		{"00-" T "-" Z16 "-01", LN_TRACEPARENT_NONE},
		{"00-" Z32 "-" Z16 "-00", LN_TRACEPARENT_NONE},
		{"00-" T "-" P "-01-more", LN_TRACEPARENT_MALFORMED},
		{"00-" T "-" P "-01 ", LN_TRACEPARENT_MALFORMED},
		{"cc-" T "-" P "-01.more", LN_TRACEPARENT_MALFORMED},
		{"cc-" T "-" P "-01-a\nb", LN_TRACEPARENT_MALFORMED},
		{"cc-" T "-" P "-01-\xe3\x81\x82", LN_TRACEPARENT_MALFORMED},
		{"ff-" T "-" P "-01", LN_TRACEPARENT_MALFORMED},
		{"00-" T "-" P, LN_TRACEPARENT_MALFORMED},
		{"00-4BF92F3577B34DA6A3CE929D0E0E4736-" P "-01",
		LN_TRACEPARENT_MALFORMED},
		{"00_" T "-" P "-01", LN_TRACEPARENT_MALFORMED},
		{" 0-" T "-" P "-01", LN_TRACEPARENT_MALFORMED},
		{"00-" T "-" P "-0g", LN_TRACEPARENT_MALFORMED},
		{T, LN_TRACEPARENT_MALFORMED},
		{"nonsense", LN_TRACEPARENT_MALFORMED}
	};
	static const char good[] = "00-" T "-" P "-01";
	char		buf[LN_TRACEPARENT_MAX + 2];
	int			bad = 0;

	for (int i = 0; i < (int) (sizeof(cases) / sizeof(cases[0])); i++)
		ok(ln_traceparent_read(cases[i].text, strlen(cases[i].text)) ==
		   cases[i].expected,
		   "\"%s\"", cases[i].text);

	memset(buf, 'x', sizeof(buf));
	memcpy(buf, "01-" T "-" P "-01-", 56);
	ok(ln_traceparent_read(buf, LN_TRACEPARENT_MAX) == LN_TRACEPARENT_VALID,
	   "the longest");
	ok(ln_traceparent_read(buf, LN_TRACEPARENT_MAX + 1) ==
	   LN_TRACEPARENT_MALFORMED, "and one byte more");

	/* any byte that is wrong, at any place, and any text that is cut short */
	for (int at = 0; at < 55; at++)
	{
		for (int byte = 0; byte < 256; byte++)
		{
			int			hyphen = good[at] == '-';
			int			hex = (byte >= '0' && byte <= '9') ||
			(byte >= 'a' && byte <= 'f');

			memcpy(buf, good, 55);
			buf[at] = (char) byte;
			/* another version than 00 is fine, too */
			if ((ln_traceparent_read(buf, 55) == LN_TRACEPARENT_VALID) !=
				(hyphen ? byte == '-' : hex))
				bad++;
		}
		if (at > 0 &&
			ln_traceparent_read(good, at) != LN_TRACEPARENT_MALFORMED)
			bad++;
	}
	ok(bad == 0, "each wrong byte is noticed");
	return done_testing();
}
