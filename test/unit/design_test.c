/*-------------------------------------------------------------------------
 *
 * design_test.c
 *		What an approved design lets through, place by place.
 *
 *-------------------------------------------------------------------------
 */
#include "content/design.h"
#include "json_text.h"
#include "tap.h"

/* "" = matches, else where it does not, "(root)" for the whole */
static void
match_is(const char *design, const char *message, const char *want)
{
	JsonTextParser dp;
	JsonTextParser mp;
	LnJsonTree	d;
	LnJsonTree	m;
	uint32_t	where;
	char		path[64];
	bool		parsed = json_text_parse(&dp, design, strlen(design), &d);

	parsed = json_text_parse(&mp, message, strlen(message), &m) && parsed;
	if (ok(parsed, "parsed: %s", message))
	{
		bool		matches = ln_design_matches(&d, &m, &where);

		if (matches)
			is_str("matches", want[0] == '\0' ? "matches" : want, message);
		else
		{
			ln_design_path(&m, where, path, sizeof(path));
			is_str(path[0] ? path : "(root)", want, message);
		}
	}
	json_text_free(&dp);
	json_text_free(&mp);
}

static void
fault_is(const char *design, const char *want_path, const char *want)
{
	JsonTextParser p;
	LnJsonTree	d;
	uint32_t	where = 0;
	char		path[64];

	if (ok(json_text_parse(&p, design, strlen(design), &d),
		   "parsed: %s", design))
	{
		const char *what = ln_design_fault(&d, &where);

		is_str(what ? what : "", want, design);
		ln_design_path(&d, where, path, sizeof(path));
		if (what)
			is_str(path, want_path, design);
	}
	json_text_free(&p);
}

static void
test_strings(void)
{
	match_is("[\"a\"]", "[\"a\"]", "");
	match_is("[\"a\"]", "[\"b\"]", "[0]");
	match_is("[\"a\"]", "[\"ab\"]", "[0]");
	match_is("[\"ab\"]", "[\"a\"]", "[0]");
	match_is("[\"\"]", "[\"\"]", "");
	match_is("[\"no. {n}, {text}!\"]", "[\"no. 7, a, b!\"]", "");
	match_is("[\"no. {n}, {text}!\"]", "[\"no. 7, a, b\"]", "[0]");
	match_is("[\"no. {n}, {text}!\"]", "[\"No. 7, a!\"]", "[0]");
	match_is("[\"no. {n}, {text}!\"]", "[\"no. , !\"]", "");
	match_is("[\"{a}{b}\"]", "[\"\"]", "");
	match_is("[\"{a}x{b}x\"]", "[\"xxyxx\"]", "");
	match_is("[\"{a}xyx\"]", "[\"xyxyx\"]", "");
	match_is("[\"{{{a}}}\"]", "[\"{7}\"]", "");
	match_is("[\"{{{a}}}\"]", "[\"7\"]", "[0]");
	match_is("[\"{{a}}\"]", "[\"{a}\"]", "");
	match_is("[\"{{a}}\"]", "[\"b\"]", "[0]");
	match_is("[\"a}b\"]", "[\"a}b\"]", "");
	match_is("[\"https://a.example/{no}\"]", "[\"https://b.example/1\"]",
			 "[0]");
	match_is("[\"https://a.example/{no}\"]", "[\"https://a.example/1?x=}\"]",
			 "");
	/* a message cannot bring places of its own */
	match_is("[\"a\"]", "[\"{a}\"]", "[0]");
	match_is("[\"{a}\"]", "[\"{b\"]", "");
}

static void
test_values(void)
{
	match_is("[\"{price}\"]", "[12]", "");
	match_is("[\"{price} yen\"]", "[12]", "[0]");
	match_is("[\"{price}\"]", "[true]", "[0]");
	match_is("[\"{price}\"]", "[null]", "[0]");
	match_is("[\"{price}\"]", "[{}]", "[0]");
	match_is("[12]", "[12]", "");
	match_is("[12]", "[13]", "[0]");
	match_is("[12]", "[\"12\"]", "[0]");
	match_is("[true, false, null]", "[true, false, null]", "");
	match_is("[true, false, null]", "[true, true, null]", "[1]");
	match_is("[{\"a\": 1, \"b\": {\"c\": \"{x}\"}}]",
			 "[{\"a\": 1, \"b\": {\"c\": \"y\"}}]", "");
	match_is("[{\"a\": 1, \"b\": {\"c\": \"{x}\"}}]",
			 "[{\"b\": {\"c\": \"y\"}, \"a\": 1}]", "");
	match_is("[{\"a\": 1, \"b\": {\"c\": \"{x}\"}}]",
			 "[{\"a\": 1, \"b\": {\"c\": true}}]", "[0].b.c");
	match_is("[{\"a\": 1, \"b\": {\"c\": \"{x}\"}}]",
			 "[{\"a\": 1, \"b\": {\"c\": \"y\", \"d\": 1}}]", "[0].b");
	match_is("[{\"a\": 1}]", "[{}]", "[0]");
	match_is("[{\"a\": 1}]", "[{\"b\": 1}]", "[0]");
	match_is("[{\"a\": 1}]", "[[1]]", "[0]");
	match_is("[[]]", "[{}]", "[0]");
}

static void
test_arrays(void)
{
	const char *rows = "[\"head\", {\"{repeat}\": {\"row\": \"{x}\"}}, {\"{optional}\": \"note: {n}\"}, \"foot\"]";

	match_is(rows, "[\"head\", \"foot\"]", "");
	match_is(rows, "[\"head\", {\"row\": 1}, {\"row\": \"a\"}, {\"row\": 3}, \"foot\"]", "");
	match_is(rows, "[\"head\", {\"row\": 1}, \"note: b\", \"foot\"]", "");
	match_is(rows, "[\"head\", \"note: b\", \"note: c\", \"foot\"]", "[2]");
	match_is(rows, "[\"head\", {\"row\": null}, \"foot\"]", "[1].row");
	match_is(rows, "[\"head\", {\"row\": 1}]", "(root)");
	match_is("[\"a\", \"b\"]", "[\"a\"]", "(root)");
	match_is("[\"a\", \"b\"]", "[\"a\", \"b\", \"c\"]", "[2]");
	match_is("[]", "[]", "");
	match_is("[{\"{repeat}\": \"{x}\"}, \"end\"]", "[\"a\", \"end\", \"end\"]",
			 "");
	match_is("[{\"{repeat}\": \"{x}\"}, {\"{repeat}\": \"{x}\"}, {\"{repeat}\": \"{x}\"}, true]",
			 "[\"a\", \"a\", \"a\", \"a\", \"a\", \"a\", \"a\", \"a\", \"a\", \"a\", false]", "[10]");
	/* what looks like a modifier, in a message, is nothing special */
	match_is("[{\"a\": 1}]", "[{\"{repeat}\": {\"a\": 1}}]", "[0]");
}

static void
test_faults(void)
{
	fault_is("[{\"type\": \"text\", \"text\": \"{a} {{b}} c}\"}]", "", "");
	fault_is("{}", "", "must be an array of message objects");
	fault_is("[]", "", "must be an array of message objects");
	fault_is("\"{messages}\"", "", "must be an array of message objects");
	fault_is("[{\"a\": [\"{b\"]}]", "[0].a[0]",
			 "an opening brace is not closed; one that stands for itself is doubled");
	fault_is("[\"{\"]", "[0]",
			 "an opening brace is not closed; one that stands for itself is doubled");
	fault_is("[\"{}\"]", "[0]", "a place has no name");
	fault_is("[{\"{repeat}\": \"{}\"}]", "[0].{repeat}",
			 "a place has no name");
	fault_is("[{\"{a}\": 1}]", "[0].{a}",
			 "the name of a member must not begin with a brace");
	fault_is("[{\"{repeat}\": {\"a\": 1}}]", "", "");
	fault_is("[{\"a\": {\"{repeat}\": 1}}]", "[0].a.{repeat}",
			 "the name of a member must not begin with a brace");
	fault_is("[{\"{repeat}\": {\"{optional}\": 1}}]",
			 "[0].{repeat}.{optional}",
			 "the name of a member must not begin with a brace");
	fault_is("[{\"{repeat}\": {\"a\": \"{\"}}]", "[0].{repeat}.a",
			 "an opening brace is not closed; one that stands for itself is doubled");
}

int
main(void)
{
	test_strings();
	test_values();
	test_arrays();
	test_faults();
	return done_testing();
}
