/*-------------------------------------------------------------------------
 *
 * message_check_test.c
 *		The content checker alone: what SQL cannot reach or cannot count.
 *
 * That every rule works stands in test/sql/message_check.sql.  Here: invalid
 * UTF-8, duplicate keys, exact sizes, the order and number of what is
 * reported, and that the cost of a hostile message is bounded.
 *
 *-------------------------------------------------------------------------
 */
#include <time.h>

#include "content/message_check.h"

#include "json_text.h"
#include "tap.h"

typedef struct Report
{
	int			n;
	LnFinding	first;
	LnFinding	last;
	int			per_rule[LN_RULE_COUNT];
} Report;

static void
sink(void *arg, const LnFinding *finding)
{
	Report	   *r = (Report *) arg;

	if (r->n++ == 0)
		r->first = *finding;
	r->last = *finding;
	r->per_rule[finding->rule]++;
}

static LnCheck
begin(Report *r)
{
	LnCheck		check;

	memset(r, 0, sizeof(*r));
	memset(&check, 0, sizeof(check));
	check.sink = sink;
	check.arg = r;
	check.warnings = true;
	check.max_findings = 100;
	return check;
}

/* checks a request written with ' for " */
static LnCheck
run(LnMessageKind kind, const char *json, Report *r)
{
	LnCheck		check = begin(r);
	JsonTextParser parser;
	LnJsonTree	tree;
	size_t		len = strlen(json);
	char	   *text = malloc(len + 1);
	size_t		i;

	for (i = 0; i <= len; i++)
		text[i] = json[i] == '\'' ? '"' : json[i];
	if (json_text_parse(&parser, text, len, &tree))
		ln_message_check_request(&check, kind, &tree);
	else
		check.n_findings = -1;
	json_text_free(&parser);
	free(text);
	return check;
}

static void
rule_table(void)
{
	int			i;
	int			k;
	bool		names_good = true;
	bool		unique = true;

	for (i = 0; i < LN_RULE_COUNT; i++)
	{
		const char *name = ln_message_rules[i].name;

		names_good = names_good && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(name);
		for (k = 0; k < i; k++)
			unique = unique && strcmp(name, ln_message_rules[k].name) != 0;
	}
	ok(names_good, "names of rules are snake_case");
	ok(unique, "names of rules are unique");
}

static void
utf8(void)
{
	static const struct
	{
		const char *bytes;
		bool		valid;
		const char *what;
	}			cases[] =
	{
		{"a", true, "ASCII"},
		{"\xC2\xA9", true, "two bytes"},
		{"\xE3\x81\x82", true, "three bytes"},
		{"\xF0\x9F\x8E\x89", true, "four bytes"},
		{"\xF4\x8F\xBF\xBF", true, "U+10FFFF"},
		{"\x80", false, "a continuation byte alone"},
		{"\xC3", false, "cut after one of two"},
		{"\xE3\x81", false, "cut after two of three"},
		{"\xF0\x9F\x8E", false, "cut after three of four"},
		{"\xC0\x80", false, "overlong NUL"},
		{"\xC1\xBF", false, "overlong ASCII"},
		{"\xE0\x9F\xBF", false, "overlong, three bytes"},
		{"\xF0\x8F\xBF\xBF", false, "overlong, four bytes"},
		{"\xED\xA0\x80", false, "a surrogate"},
		{"\xF4\x90\x80\x80", false, "above U+10FFFF"},
		{"\xF8\x88\x80\x80\x80", false, "five bytes"},
		{"\xFF", false, "0xFF"},
	};
	size_t		i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		char		json[200];
		Report		r;

		snprintf(json, sizeof(json),
				 "{'templateKey':'a','body':{'items':[{'itemKey':'a','content':'x%s'}]}}",
				 cases[i].bytes);
		run(LN_MESSAGE_TEMPLATE, json, &r);
		ok(r.n == (cases[i].valid ? 0 : 1) &&
		   (cases[i].valid ||
			strcmp(ln_message_rules[r.first.rule].name, "invalid_utf8") == 0),
		   "UTF-8: %s", cases[i].what);
	}
}

static void
bad_keys(void)
{
	Report		r;
	LnCheck		c;

	c = run(LN_MESSAGE_TEMPLATE, "{'templateKey':'a','templateKey':5,'body':{'items':[],'items':5}}", &r);
	ok(c.n_errors == 0,
	   "of a key that stands twice, the first counts everywhere");
	run(LN_MESSAGE_FLEXIBLE,
		"{'messages':[{'type':'flex','altText':'a','contents':{'type':'bubble','\xFF\xE3':{'type':'image'}}}]}", &r);
	is_str(r.first.path, "messages[0].contents[\"??\"]",
		   "invalid UTF-8 in a path is replaced");
}

/* a bubble whose compact JSON has exactly so many bytes */
static int
bubble_of(size_t size, Report *r)
{
	static const char head[] =
		"{'messages':[{'type':'flex','altText':'a','contents':"
		"{'type':'bubble','body':{'type':'box','layout':'vertical',"
		"'contents':[{'type':'text','text':'";
	static const char tail[] = "'}]}}}]}";

	/* what of head and tail belongs to the bubble */
	size_t		frame = strlen(strstr(head, "{'type':'bubble'")) + strlen("'}]}}");
	char	   *json = malloc(size + 500);
	LnCheck		c;

	strcpy(json, head);
	memset(json + strlen(head), 'x', size - frame);
	strcpy(json + strlen(head) + size - frame, tail);
	c = run(LN_MESSAGE_FLEXIBLE, json, r);
	free(json);
	return c.n_findings;
}

static void
sizes(void)
{
	Report		r;

	is_int(bubble_of(30000, &r), 0, "a bubble of 30000 bytes");
	is_int(bubble_of(30001, &r), 1,
		   "a bubble of 30001 bytes is near the limit");
	is_str(ln_message_rules[r.first.rule].name, "size_near_limit",
		   "and the rule says so");
	bubble_of(30720, &r);
	is_str(ln_message_rules[r.first.rule].name, "size_near_limit",
		   "a bubble of 30720 bytes is near the limit");
	bubble_of(30721, &r);
	is_str(ln_message_rules[r.first.rule].name, "bubble_too_large",
		   "a bubble of 30721 bytes is too large");
}

static void
order(void)
{
	static const char both[] =
		"{'items':[{'itemKey':'a','content':''},{'itemKey':'b','content':''},{'itemKey':'-','content':''}],'buttons':[{}]}";
	char	   *text = strdup(both);
	JsonTextParser parser;
	LnJsonTree	tree;
	LnCheck		check;
	Report		r;
	char	   *p;

	for (p = text; *p; p++)
		*p = *p == '\'' ? '"' : *p;
	ok(json_text_parse(&parser, text, strlen(text), &tree), "parsed");

	check = begin(&r);
	check.first_only = true;
	check.warnings = false;
	ln_message_check_template(&check, "a", 1, &tree);
	is_int(check.n_errors, 6, "every error is counted");
	is_int(r.n, 2, "with first_only, one row fault and one statement fault are reported");
	is_str(r.first.path, "body.items[0].content", "the first row fault");
	is_str(r.last.path, "body.items[2].itemKey",
		   "and the first statement fault after it");

	check = begin(&r);
	check.first_only = true;
	ln_message_check_template(&check, "-", 1, &tree);
	is_int(r.n, 1, "after a statement fault, nothing more is reported");
	is_str(r.first.path, "templateKey", "the statement fault");

	check = begin(&r);
	check.max_findings = 3;
	ln_message_check_template(&check, "a", 1, &tree);
	is_int(check.n_errors, 6, "every error is counted beyond the cap");
	is_int(r.n, 4, "the cap and one more");
	is_str(ln_message_rules[r.last.rule].name, "too_many_findings",
		   "which says that there are more");

	check = begin(&r);
	ln_message_check_template(&check, "a", 1, NULL);
	is_int(r.n, 0, "a template without body");
	check = begin(&r);
	ln_message_check_messages(&check, &tree);
	is_str(ln_message_rules[r.first.rule].name, "payload_type",
		   "an object is no list of messages");
	check = begin(&r);
	ln_message_check_unit(&check, "a b", 3);
	is_str(r.first.path, "customAggregationUnits[0]",
		   "the path of an aggregation unit");
	check = begin(&r);
	ln_message_report(&check, LN_RULE_JSON_TOO_DEEP, "messages", "too deep");
	is_str(r.first.path, "messages", "a finding of the caller");

	json_text_free(&parser);
	free(text);
}

/* a repeated n times between head and tail */
static char *
repeated(const char *head, const char *a, int n, const char *tail)
{
	size_t		len = strlen(a);
	char	   *s = malloc(strlen(head) + len * n + strlen(tail) + 1);
	char	   *p = s + strlen(head);
	int			i;

	strcpy(s, head);
	for (i = 0; i < n; i++, p += len)
		memcpy(p, a, len);
	strcpy(p, tail);
	return s;
}

static void
hostile(void)
{
	static const struct
	{
		LnMessageKind kind;
		const char *what;
		const char *head;
		const char *a;
		int			n;
		const char *tail;
	}			cases[] =
	{
		{LN_MESSAGE_TEMPLATE, "many items",
			"{'templateKey':'a','body':{'items':[{}",
				",{'itemKey':'a','content':''}", 30000, "]}}"},
		{LN_MESSAGE_TEMPLATE, "many properties", "{'templateKey':'a'",
			",'b':1", 90000, "}"},
		{LN_MESSAGE_FLEXIBLE, "many messages", "{'messages':[{}",
			",{'type':'text','text':''}", 30000, "]}"},
		{LN_MESSAGE_FLEXIBLE, "many empty texts", "{'messages':[{'type':'flex','altText':'a','contents':{'type':'bubble','body':{'type':'box','layout':'vertical','contents':[{}", ",{'type':'text','text':''}", 30000, "]}}}]}"},
		{LN_MESSAGE_FLEXIBLE, "many images", "{'messages':[{'type':'flex','altText':'a','contents':{'type':'bubble','body':{'type':'box','layout':'vertical','contents':[{}", ",{'type':'image'}", 45000, "]}}}]}"},
		{LN_MESSAGE_FLEXIBLE, "many bubbles", "{'messages':[{'type':'flex','altText':'a','contents':{'type':'carousel','contents':[{}", ",{'type':'bubble','size':'x'}", 30000, "]}}]}"},
		{LN_MESSAGE_FLEXIBLE, "many placeholders",
			"{'messages':[{'type':'textV2','text':'", "{a}", 300000,
				"','substitution':{'a':{},'b':1}}]}"},
		{LN_MESSAGE_FLEXIBLE, "many substitutions", "{'messages':[{'type':'textV2','text':'{x}{y}{z}','substitution':{'a':{}", ",'b':1", 90000, "}}]}"},
		{LN_MESSAGE_FLEXIBLE, "many properties of a bubble", "{'messages':[{'type':'flex','altText':'a','contents':{'type':'bubble'", ",'size':'x'", 90000, "}}]}"},
		{LN_MESSAGE_FLEXIBLE, "a long unknown name", "{'messages':[{'type':'flex','altText':'a','contents':{'type':'bubble','", "\xE3\x81\x82", 500000, "':{'type':'image'}}}]}"},
	};
	size_t		i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		char	   *json = repeated(cases[i].head, cases[i].a, cases[i].n,
									cases[i].tail);
		Report		r;
		LnCheck		c;
		clock_t		t = clock();

		c = run(cases[i].kind, json, &r);
		t = clock() - t;

		/* parsed, and no more reported than the cap and one */
		ok(c.n_findings >= 0 && r.n <= 101, "hostile: %s", cases[i].what);
		diag("%.1f ms for %zu bytes, %d errors", t * 1e3 / CLOCKS_PER_SEC,
			 strlen(json), c.n_errors);
		free(json);
	}
}

int
main(void)
{
	rule_table();
	utf8();
	bad_keys();
	sizes();
	order();
	hostile();
	return done_testing();
}
