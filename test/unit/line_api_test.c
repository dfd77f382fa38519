/*-------------------------------------------------------------------------
 *
 * line_api_test.c
 *		Proves the tables of line_api.c, and its texts.
 *
 * The outcome and decision tables are walked through completely: every status
 * from -1 to 1000 with every verdict, and every outcome with every policy and
 * history.  What must come out is restated here as data, in the words of
 * LINE's documentation, and not as another copy of the same switch.
 *
 *-------------------------------------------------------------------------
 */
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>

#include "line/line_api.h"
#include "tap.h"

/*
 * Status codes by range; the last line that contains a status decides.
 */
static const struct
{
	int			from;
	int			to;
	LineOutcome plain;
	LineOutcome with_retry_after;
}			status_table[] =

{
	{INT_MIN, INT_MAX, LINE_AMBIGUOUS, LINE_AMBIGUOUS},
	{200, 299, LINE_ACCEPTED, LINE_ACCEPTED},
	{300, 399, LINE_MISCONFIGURED, LINE_MISCONFIGURED},
	{400, 499, LINE_REFUSED, LINE_REFUSED},
	{500, 599, LINE_SERVER_ERROR, LINE_SERVER_ERROR},
	{401, 401, LINE_UNAUTHORIZED, LINE_UNAUTHORIZED},
	{403, 405, LINE_MISCONFIGURED, LINE_MISCONFIGURED},
	{407, 407, LINE_MISCONFIGURED, LINE_MISCONFIGURED},
	{408, 408, LINE_SERVER_ERROR, LINE_SERVER_ERROR},
	{415, 415, LINE_MISCONFIGURED, LINE_MISCONFIGURED},
	{422, 422, LINE_UNREACHABLE, LINE_UNREACHABLE},
	{425, 425, LINE_SERVER_ERROR, LINE_SERVER_ERROR},
	{426, 426, LINE_MISCONFIGURED, LINE_MISCONFIGURED},
	{429, 429, LINE_THROTTLED, LINE_THROTTLED},
	{503, 503, LINE_SERVER_ERROR, LINE_THROTTLED},
};

#define LENGTH(array)	((int) (sizeof(array) / sizeof((array)[0])))

static LineOutcome
expected_outcome(int status, bool retry_after)
{
	int			i;

	for (i = LENGTH(status_table) - 1; i > 0; i--)
	{
		if (status >= status_table[i].from && status <= status_table[i].to)
			break;
	}
	return retry_after ? status_table[i].with_retry_after :
		status_table[i].plain;
}

static void
test_outcomes(void)
{
	static const int far[] = {INT_MIN, -1000, 1001, 65536, INT_MAX};
	int			status;
	int			i;
	int			wrong;
	int			retry_after;

	wrong = 0;
	for (status = -1; status <= 1000; status++)
	{
		for (retry_after = 0; retry_after <= 1; retry_after++)
		{
			LineOutcome got = ln_line_outcome(HTTP_STATUS, status,
											  retry_after);

			if (got != expected_outcome(status, retry_after))
			{
				diag("status %d: %s", status, ln_line_outcome_name(got));
				wrong++;
			}
			if (ln_line_outcome(HTTP_NOT_SENT, status,
								retry_after) != LINE_NOT_SENT)
				wrong++;
			if (ln_line_outcome(HTTP_AMBIGUOUS, status,
								retry_after) != LINE_AMBIGUOUS)
				wrong++;
			/* a verdict that does not exist */
			if (ln_line_outcome((HttpVerdict) 77, status,
								retry_after) != LINE_AMBIGUOUS)
				wrong++;
		}
	}
	is_int(wrong, 0, "outcome of every status from -1 to 1000");

	for (i = 0; i < LENGTH(far); i++)
		is_int(ln_line_outcome(HTTP_STATUS, far[i], true), LINE_AMBIGUOUS,
			   "absurd status is ambiguous");

	/* the ones that matter most, each by itself */
	is_int(ln_line_outcome(HTTP_STATUS, 200, false), LINE_ACCEPTED, "200");
	is_int(ln_line_outcome(HTTP_STATUS, 202, false), LINE_ACCEPTED, "202");
	is_int(ln_line_outcome(HTTP_STATUS, 400, false), LINE_REFUSED, "400");
	is_int(ln_line_outcome(HTTP_STATUS, 409, false), LINE_REFUSED, "409");
	is_int(ln_line_outcome(HTTP_STATUS, 413, false), LINE_REFUSED, "413");
	is_int(ln_line_outcome(HTTP_STATUS, 500, true), LINE_SERVER_ERROR,
		   "500 with Retry-After may have been accepted");
}

static void
test_names(void)
{
	static const struct
	{
		LineOutcome outcome;
		const char *name;
		bool		maybe;
	}			names[] =
	{
		{LINE_ACCEPTED, "accepted", true},
		{LINE_UNREACHABLE, "unreachable", false},
		{LINE_REFUSED, "refused", false},
		{LINE_THROTTLED, "throttled", false},
		{LINE_UNAUTHORIZED, "unauthorized", false},
		{LINE_MISCONFIGURED, "misconfigured", false},
		{LINE_SERVER_ERROR, "server_error", true},
		{LINE_NOT_SENT, "not_sent", false},
		{LINE_AMBIGUOUS, "ambiguous", true},
	};
	int			i;

	is_int(LENGTH(names), LINE_OUTCOMES, "the table names every outcome");
	for (i = 0; i < LENGTH(names); i++)
	{
		is_str(ln_line_outcome_name(names[i].outcome), names[i].name, "name");
		ok(ln_line_may_have_been_sent(names[i].outcome) == names[i].maybe,
		   "%s may%s have been sent", names[i].name,
		   names[i].maybe ? "" : " not");
	}
	ok(ln_line_may_have_been_sent((LineOutcome) 99),
	   "when in doubt it may have been sent");
	is_str(ln_line_outcome_name((LineOutcome) 99), "ambiguous",
		   "an outcome that does not exist");
}

/*
 * Decisions: for each outcome, four answers: attempts left or used up, with
 * nothing sent before or maybe something.  Policies in capitals are resolved
 * below.
 */
enum
{
	ACC = LINE_FINISH_ACCEPTED,
	UNR = LINE_FINISH_UNREACHABLE,
	REF = LINE_FINISH_REFUSED,
	UNK = LINE_FINISH_UNKNOWN,
	FAI = LINE_FINISH_FAILED,
	RET = LINE_RETRY_LATER,
	BCK = LINE_RETURN,
	BY_SERVER_ERROR = 100,		/* hold: unknown; retry: retry later */
	BY_UNKNOWN
};

static const struct
{
	LineOutcome outcome;
	int			next[2][2];		/* [attempts used up][maybe sent] */
}			decisions[] =

{
	/*-				   left: clean,			  maybe	  used up: clean, maybe */
	{LINE_ACCEPTED, {{ACC, ACC}, {ACC, ACC}}},
	{LINE_UNREACHABLE, {{UNR, UNK}, {UNR, UNK}}},
	{LINE_REFUSED, {{REF, UNK}, {REF, UNK}}},
	{LINE_THROTTLED, {{BCK, BCK}, {BCK, BCK}}},
	{LINE_UNAUTHORIZED, {{BCK, BCK}, {BCK, BCK}}},
	{LINE_MISCONFIGURED, {{BCK, BCK}, {BCK, BCK}}},
	{LINE_SERVER_ERROR, {{BY_SERVER_ERROR, BY_SERVER_ERROR}, {UNK, UNK}}},
	{LINE_NOT_SENT, {{RET, RET}, {FAI, UNK}}},
	{LINE_AMBIGUOUS, {{BY_UNKNOWN, BY_UNKNOWN}, {UNK, UNK}}},
};

static void
test_decisions(void)
{
	static const struct
	{
		int			attempt;
		int			max;
		int			used_up;
	}			counts[] =
	{
		{1, 1, 1}, {1, 2, 0}, {2, 2, 1}, {3, 2, 1}, {7, 8, 0},
		{1, INT_MAX, 0}, {INT_MAX - 1, INT_MAX, 0}, {INT_MAX, INT_MAX, 1},
		{1, 0, 1}, {1, -5, 1},
	};
	int			i;
	int			n;
	int			bits;
	int			wrong = 0;
	int			broken = 0;
	LineCase	c;

	is_int(LENGTH(decisions), LINE_OUTCOMES,
		   "the table decides every outcome");
	for (i = 0; i < LENGTH(decisions); i++)
	{
		for (n = 0; n < LENGTH(counts); n++)
		{
			for (bits = 0; bits < 8; bits++)
			{
				int			want;
				int			got;

				memset(&c, 0, sizeof(c));
				c.outcome = decisions[i].outcome;
				c.attempt = counts[n].attempt;
				c.max_attempts = counts[n].max;
				c.maybe_sent = bits & 1;
				c.on_unknown = bits & 2 ? LINE_RETRY : LINE_HOLD;
				c.on_server_error = bits & 4 ? LINE_RETRY : LINE_HOLD;

				want = decisions[i].next[counts[n].used_up][bits & 1];
				if (want == BY_SERVER_ERROR)
					want = bits & 4 ? RET : UNK;
				if (want == BY_UNKNOWN)
					want = bits & 2 ? RET : UNK;

				got = ln_line_decide(&c);
				if (got != want)
				{
					diag("%s attempt %d of %d, bits %d: %d, want %d",
						 ln_line_outcome_name(c.outcome), c.attempt,
						 c.max_attempts, bits, got, want);
					wrong++;
				}

				/* the promises, said once more across the whole table */
				if ((c.maybe_sent || ln_line_may_have_been_sent(c.outcome)) &&
					(got == FAI || got == REF || got == UNR))
					broken++;
				if (ln_line_may_have_been_sent(c.outcome) && got == BCK)
					broken++;
				if (c.on_unknown == LINE_HOLD &&
					c.on_server_error == LINE_HOLD &&
					ln_line_may_have_been_sent(c.outcome) &&
					got != ACC && got != UNK)
					broken++;
			}
		}
	}
	is_int(wrong, 0, "decision for every outcome, policy, count and history");
	is_int(broken, 0,
		   "nothing maybe sent ends as failed, nor goes out again on hold");

	memset(&c, 0, sizeof(c));
	c.outcome = (LineOutcome) 99;
	is_int(ln_line_decide(&c), LINE_FINISH_UNKNOWN,
		   "an outcome that does not exist is unknown");
}

static void
tag_is(int64_t id, int attempt, uint64_t token, const char *want)
{
	char		buf[LINE_TAG_SIZE];
	int64_t		id2 = -1;
	int			attempt2 = -1;
	uint64_t	token2 = 0;

	memset(buf, 'x', sizeof(buf));
	ln_line_tag(buf, id, attempt, token);
	is_str(buf, want, "tag");
	ok(strlen(buf) >= 16 && strlen(buf) <= 100 &&
	   strspn(buf, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
			  "0123456789_-") == strlen(buf), "within LINE's rules");
	ok(ln_line_parse_tag(buf, strlen(buf), &id2, &attempt2, &token2) &&
	   id2 == id && token2 == token &&
	   attempt2 == (attempt > 9999 ? 9999 : attempt), "reads back");
}

static void
test_tags(void)
{
	static const char *const bad[] =
	{
		"", "ln1", "ln1-", "ln1--", "ln1-1", "ln1-1-1", "ln1-1-1-",
		"ln1-1-1-000000000000", /* 12 characters */
		"ln1-1-1-00000000000000",	/* 14 */
		"ln1-0-1-0000000000000",
		"ln1-01-1-0000000000000",
		"ln1-1-0-0000000000000",
		"ln1-1-01-0000000000000",
		"ln1-1-10000-0000000000000",
		"ln1--1-1-0000000000000",
		"ln1-+1-1-0000000000000",
		"ln1- 1-1-0000000000000",
		"ln1-1-1-000000000000w",
		"ln1-1-1-000000000000V",
		"ln1-1-1-000000000000 ",
		"ln1-1-1-g000000000000",	/* 65 bits */
		"ln1-1-1-0000000000000-",
		"ln1-1-1-0000000000000\n",
		"LN1-1-1-0000000000000",
		"ln2-1-1-0000000000000",
		"ln1-9223372036854775808-1-0000000000000",
		"ln1-99999999999999999999-1-0000000000000",
		"ln1-18446744073709551617-1-0000000000000",
		"15034552939884E286D47532DF2A7A2B2E7C3D1FB1C5ED1A1D066BC3menu01",
		"ln1-00000000000000000042",
	};
	int64_t		id;
	int			attempt;
	uint64_t	token;
	int			i;
	int			wrong;
	uint64_t	seed = 1;

	tag_is(1, 1, 0, "ln1-1-1-0000000000000");
	tag_is(42, 3, UINT64_C(0x0123456789abcdef), "ln1-42-3-028q5cu4qnjff");
	tag_is(INT64_MAX, 9999, UINT64_MAX,
		   "ln1-9223372036854775807-9999-fvvvvvvvvvvvv");
	tag_is(10, 10000, 1, "ln1-10-9999-0000000000001");
	tag_is(10, INT_MAX, 1, "ln1-10-9999-0000000000001");

	for (i = 0; i < LENGTH(bad); i++)
	{
		id = 7;
		attempt = 7;
		token = 7;
		ok(!ln_line_parse_tag(bad[i], strlen(bad[i]), &id, &attempt, &token) &&
		   id == 7 && attempt == 7 && token == 7,
		   "not a tag of ours, nothing written: case %d", i);
	}
	ok(!ln_line_parse_tag("ln1-1-1-000000\0000000", 21, &id, &attempt, &token),
	   "NUL inside a tag");

	/* one changed byte must change the meaning or be refused */
	wrong = 0;
	for (i = 0; i < 20000; i++)
	{
		char		buf[LINE_TAG_SIZE];
		char		again[LINE_TAG_SIZE];
		size_t		len;

		seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
		ln_line_tag(buf, (int64_t) (seed >> (1 + seed % 60)) + 1,
					(int) (seed >> 20) % 9999 + 1, seed * 31);
		len = strlen(buf);
		buf[seed / 7 % len] = (char) (seed >> 50);
		if (ln_line_parse_tag(buf, len, &id, &attempt, &token))
		{
			ln_line_tag(again, id, attempt, token);
			if (strlen(again) != len || memcmp(again, buf, len) != 0)
				wrong++;
		}
	}
	is_int(wrong, 0, "whatever is accepted is written back identically");
}

#define HASH \
	"f8bcd4a32a28bdcef5fb2da5c3c6cf1b3d1b3c2c2a0f4b8b2a5b9d2f5c7e8a90"

static void
body_is(const LineMessage *m, const char *want, const char *name)
{
	char		buf[2000];
	char		guard[2000];
	size_t		n = strlen(want);
	size_t		room;
	int			wrong = 0;

	memset(guard, 'x', sizeof(guard));
	memset(buf, 'x', sizeof(buf));
	is_int((long long) ln_line_body(m, buf, sizeof(buf)), (long long) n,
		   "length");
	is_str(buf, want, name);
	is_int((long long) ln_line_body(m, NULL, 0), (long long) n,
		   "length without a buffer");

	for (room = 1; room <= n + 2; room++)
	{
		memset(buf, 'x', sizeof(buf));
		if (ln_line_body(m, buf, room) != n ||
			strcmp(buf, room > n ? want : "") != 0 ||
			memcmp(buf + room, guard, sizeof(buf) - room) != 0)
			wrong++;
	}
	is_int(wrong, 0, "all or nothing in every smaller room, and never beyond");
}

static void
test_bodies(void)
{
	LineMessage m;

	is_str(ln_line_path(LINE_TEMPLATE), "/v2/bot/message/pnp/templated/push",
		   "path of template messages");
	is_str(ln_line_path(LINE_FLEXIBLE), "/bot/pnp/push",
		   "path of flexible messages, without a version");

	memset(&m, 0, sizeof(m));
	m.kind = LINE_TEMPLATE;
	m.to = HASH;
	m.template_key = "shipment_completed_ja";
	body_is(&m,
			"{\"to\":\"" HASH "\",\"templateKey\":\"shipment_completed_ja\"}",
			"template without a body");
	m.body = " {\"a b\": \"c, d: e\\\" f\\\\\", \"g\" :\t[ 1 ,\n-2.5e+3,\r true , null, \"\" , {} ] } ";
	m.body_len = strlen(m.body);
	body_is(&m,
			"{\"to\":\"" HASH "\",\"templateKey\":\"shipment_completed_ja\","
			"\"body\":{\"a b\":\"c, d: e\\\" f\\\\\","
			"\"g\":[1,-2.5e+3,true,null,\"\",{}]}}",
			"white space goes between tokens, and stays in strings");
	m.body = "{\"a\": \"b\\\\\", \"c  d\": \"\343\200\200 \\\\\\\" \"}";
	m.body_len = strlen(m.body);
	body_is(&m,
			"{\"to\":\"" HASH "\",\"templateKey\":\"shipment_completed_ja\","
			"\"body\":{\"a\":\"b\\\\\",\"c  d\":\"\343\200\200 \\\\\\\" \"}}",
			"a backslash that is escaped escapes nothing");
	m.body = "{\"items\":[]}";
	m.body_len = strlen(m.body);
	m.aggregation_unit = "delivery";
	m.notification_disabled = 1;	/* not for templates */
	body_is(&m,
			"{\"to\":\"" HASH "\",\"templateKey\":\"shipment_completed_ja\","
			"\"body\":{\"items\":[]},"
			"\"customAggregationUnits\":[\"delivery\"]}",
			"template with everything");

	memset(&m, 0, sizeof(m));
	m.kind = LINE_FLEXIBLE;
	m.to = HASH;
	m.messages = "[{\"type\":\"text\",\"text\":\"\xE3\x81\x93\"}]IGNORED";
	m.messages_len = strlen(m.messages) - 7;
	m.notification_disabled = -1;
	body_is(&m,
			"{\"to\":\"" HASH "\",\"messages\":[{\"type\":\"text\",\"text\":"
			"\"\xE3\x81\x93\"}]}", "flexible, UTF-8 as it is");
	m.notification_disabled = 0;
	body_is(&m,
			"{\"to\":\"" HASH "\",\"messages\":[{\"type\":\"text\",\"text\":"
			"\"\xE3\x81\x93\"}],\"notificationDisabled\":false}",
			"notificationDisabled false");
	m.notification_disabled = 1;
	m.aggregation_unit = "a\"b\\c\n\t\x01\x1f\x7f/\xE3\x81\x93";
	body_is(&m,
			"{\"to\":\"" HASH "\",\"messages\":[{\"type\":\"text\",\"text\":"
			"\"\xE3\x81\x93\"}],\"notificationDisabled\":true,"
			"\"customAggregationUnits\":[\"a\\\"b\\\\c\\u000a\\u0009\\u0001"
			"\\u001f\x7f/\xE3\x81\x93\"]}", "strings are escaped");
	m.to = "\"";
	m.aggregation_unit = "";
	body_is(&m, "{\"to\":\"\\\"\",\"messages\":[{\"type\":\"text\",\"text\":"
			"\"\xE3\x81\x93\"}],\"notificationDisabled\":true,"
			"\"customAggregationUnits\":[\"\"]}", "even the recipient");
}

static void
error_is(const char *body, size_t len, const char *want, const char *name)
{
	char	   *copy = malloc(len > 0 ? len : 1);
	char		buf[300];
	char		last[300] = "";
	size_t		room;
	int			wrong = 0;

	/* a copy of its exact size, so that the sanitizer sees a byte too far */
	memcpy(copy, body, len);
	memset(buf, 'x', sizeof(buf));
	ln_line_error_text(copy, len, buf, sizeof(buf));
	is_str(buf, want, name);

	for (room = 1; room < sizeof(buf); room++)
	{
		char	   *small = malloc(room);
		size_t		i;

		memset(small, '\xff', room);
		ln_line_error_text(copy, len, small, room);
		if (memchr(small, '\0', room) == NULL)
			wrong++;
		else
		{
			for (i = 0; small[i] != '\0'; i++)
			{
				if (small[i] < 0x20 || small[i] > 0x7e)
					wrong++;
			}
			if (strlen(small) + 6 < strlen(last))
				wrong++;		/* hardly ever shorter with more room */
			strcpy(last, small);
		}
		free(small);
	}
	if (wrong > 0)
		ok(false, "in every smaller room: %d faults", wrong);
	free(copy);
}

#define ERROR_IS(body, want, name) \
	error_is(body, sizeof(body) - 1, want, name)

static void
test_error_texts(void)
{
	char		buf[8] = "x";
	char	   *big;
	size_t		i;

	/* as LINE answers */
	ERROR_IS("{\"message\":\"Failed to send messages\"}",
			 "Failed to send messages", "422");
	ERROR_IS("{\"message\":\"The request body has 1 error(s)\",\"details\":"
			 "[{\"message\":\"The value must be a valid SHA-256 digest.\","
			 "\"property\":\"to\"}]}",
			 "The request body has 1 error(s): The value must be a valid "
			 "SHA-256 digest. (to)", "400 with details");
	ERROR_IS(" {\r\n\t\"details\" : [ { \"property\" : \"p\" , \"message\" : "
			 "\"d\" } , {\"message\":\"second\"} ] , \"message\" : \"m\" } ",
			 "m: d (p)", "any order, any white space, first of the details");
	ERROR_IS("{\"error\":\"invalid_request\",\"error_description\":\"no key\"}",
			 "invalid_request: no key", "token endpoint");
	ERROR_IS("{\"message\":\"m\",\"details\":[]}", "m", "empty details");
	ERROR_IS("{\"message\":\"m\",\"details\":[{}]}", "m", "empty detail");
	ERROR_IS("{\"message\":\"m\",\"details\":[{\"property\":\"p\"}]}",
			 "m (p)", "property only");
	ERROR_IS("{\"details\":[{\"message\":\"d\",\"property\":\"p\"}]}",
			 "d (p)", "details only");
	ERROR_IS("{\"message\":\"a\",\"message\":\"b\"}", "a", "first name wins");
	ERROR_IS("{\"message\":\"\",\"details\":[{\"message\":\"d\"}]}", "d",
			 "empty message");
	ERROR_IS("{\"x\":{\"message\":\"no\"},"
			 "\"y\":[[1,{\"a\":2}],true,null,-1.5e3],"
			 "\"message\":\"m\"}", "m", "other members are skipped");
	ERROR_IS("{\"details\":[1,2,{\"message\":\"no\"}],\"message\":\"m\"}", "m",
			 "details that are no objects");
	ERROR_IS("{\"details\":{\"message\":\"no\"},\"message\":\"m\"}", "m",
			 "details that are no array");
	ERROR_IS("{\"message\":{\"message\":\"no\"}}", "", "message is no string");
	ERROR_IS("{\"message\":null}", "", "message is null");
	ERROR_IS("\xEF\xBB\xBF{\"message\":\"m\"}", "m", "byte order mark");
	ERROR_IS("{\"mess\\u0061ge\":\"m\"}", "m", "escaped name");
	ERROR_IS("{\"message2\":\"no\",\"messag\":\"no\"}", "", "similar names");

	/* foreign text */
	ERROR_IS("{\"message\":\"\xE9\x9B\xBB\xE8\xA9\xB1 \xF0\x9F\x98\x80\"}",
			 "\\u96fb\\u8a71 \\ud83d\\ude00", "Japanese and an emoji");
	ERROR_IS("{\"message\":\"\\u96FB\\ud83d\\ude00\\u0041\\n\\t\\\"\\\\\\/\"}",
			 "\\u96fb\\ud83d\\ude00A\\u000a\\u0009\"\\/", "escapes");
	ERROR_IS("{\"message\":\"\\u0000\\u001b[31m\x7f\"}",
			 "\\u0000\\u001b[31m\\u007f", "control characters");
	ERROR_IS("{\"message\":\"a\xff\xc0\x80\xed\xa0\x80\xf5z\"}",
			 "a\\ufffd\\ufffd\\ufffd\\ud800\\ufffdz", "no UTF-8");
	ERROR_IS("{\"message\":\"a\xe3\x81\"}", "a\\ufffd\\ufffd",
			 "cut-off UTF-8");

	/* cut off or malformed: what was complete counts */
	ERROR_IS("{\"message\":\"m\",\"details\":[{\"message\":\"d\",\"prop",
			 "m: d", "cut off in the details");
	ERROR_IS("{\"message\":\"m\"", "m", "cut off after the message");
	ERROR_IS("{\"message\":\"m", "", "cut off in the message");
	ERROR_IS("{\"message\":\"a\nb\"}", "", "raw line feed in a string");
	ERROR_IS("{\"message\":\"a\\x\"}", "", "unknown escape");
	ERROR_IS("{\"message\":\"a\\u12G4\"}", "", "bad hex");
	ERROR_IS("{\"message\":\"a\\u12", "", "cut off in an escape");
	ERROR_IS("{\"message\":\"a\\", "", "cut off after a backslash");
	ERROR_IS("{\"message\":\"a\0b\"}", "", "NUL in a string");
	ERROR_IS("{\"message\":\"a\\\0\"}", "", "NUL after a backslash");
	ERROR_IS("{\"message\"", "", "cut off after a name");
	ERROR_IS("{\"message\":", "", "cut off after a colon");
	ERROR_IS("{", "", "only a brace");
	ERROR_IS("{}", "", "empty object");
	ERROR_IS("[{\"message\":\"m\"}]", "", "an array");
	ERROR_IS("\"message\"", "", "a string");
	ERROR_IS("<html><body>502 Bad Gateway</body></html>", "", "HTML");
	ERROR_IS("", "", "nothing");
	ERROR_IS("\0\0\0\0", "", "NULs");
	ERROR_IS("{{{{", "", "braces");
	ERROR_IS("{\"a\":]}", "", "wrong bracket");

	/* nothing that could be a secret or a recipient */
	ERROR_IS("{\"message\":\"to " HASH " is bad\"}", "to ... is bad",
			 "a hash is hidden");
	ERROR_IS("{\"message\":\"Bearer abcdefghijklmnopqrstuvwxyz/ABCDEFGHIJKLM+=\"}",
			 "Bearer ...", "a token is hidden");
	ERROR_IS("{\"message\":\"abcdefghijklmnopqrst\\/uvwxyzABCDEFGHIJKLM+=\"}",
			 "...", "also with escaped slashes");
	ERROR_IS("{\"message\":\"abcdefghijklmnopqrstuvwxyz0123456789ABC\"}",
			 "abcdefghijklmnopqrstuvwxyz0123456789ABC", "39 characters stay");
	ERROR_IS("{\"message\":\"abcdefghijklmnopqrstuvwxyz0123456789ABCD!\"}",
			 "...!", "40 do not");

	/* depth and length cost nothing but time */
	big = malloc(2000000);
	memset(big, '[', 1000000);
	memcpy(big, "{\"a\":", 5);
	error_is(big, 100000, "", "nesting of 100,000");
	memset(big + 100000, ']', 99995);
	memcpy(big + 199995, ",\"message\":\"deep\"}", 18);
	error_is(big, 199995 + 18, "deep", "and what comes after it");
	memcpy(big, "{\"message\":\"", 12);
	for (i = 12; i < 100000; i++)
		big[i] = i % 7 == 0 ? ' ' : 'a';
	memcpy(big + 100000, "\"}", 2);
	ln_line_error_text(big, 100002, buf, sizeof(buf));
	ok(strlen(buf) == sizeof(buf) - 1, "a long message is cut");
	free(big);

	ln_line_error_text(NULL, 0, buf, sizeof(buf));
	is_str(buf, "", "no body at all");
	buf[0] = 'x';
	ln_line_error_text("{}", 2, buf, 0);
	ok(buf[0] == 'x', "no room at all");
}

int
main(void)
{
	test_outcomes();
	test_names();
	test_decisions();
	test_tags();
	test_bodies();
	test_error_texts();
	return done_testing();
}
