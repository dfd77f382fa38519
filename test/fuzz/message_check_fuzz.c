/*-------------------------------------------------------------------------
 *
 * message_check_fuzz.c
 *		Coverage-guided fuzzing of the content checker (libFuzzer).
 *
 * The input is JSON, or nearly: the first byte chooses the entry and the mode,
 * the rest is read leniently (json_text.h), so that strings hold any bytes.
 * What must hold is what message_check.h promises: paths and messages are
 * terminated and valid UTF-8, counts agree, a second run says the same, and
 * warnings change nothing about the errors.
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>

#include "../unit/json_text.h"
#include "content/message_check.h"

typedef struct Seen
{
	int			n;
	int			errors;
	int			faults[2];
	uint64_t	hash;			/* of the errors, in order */
} Seen;

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
broken(const char *promise)
{
	fprintf(stderr, "broken promise: %s\n", promise);
	abort();
}

static bool
valid_utf8(const char *s)
{
	const unsigned char *p = (const unsigned char *) s;

	while (*p)
	{
		int			n = *p < 0x80 ? 1 : *p < 0xC2 ? 0 : *p < 0xE0 ? 2 :
		*p < 0xF0 ? 3 : *p < 0xF5 ? 4 : 0;
		int			i;

		if (n == 0 || *p < ' ' || *p == 0x7F)
			return false;
		for (i = 1; i < n; i++)
		{
			if ((p[i] & 0xC0) != 0x80)
				return false;
		}
		p += n;
	}
	return true;
}

static void
sink(void *arg, const LnFinding *finding)
{
	Seen	   *seen = (Seen *) arg;
	const LnRuleInfo *info;
	const char *p;

	if (finding->rule < 0 || finding->rule >= LN_RULE_COUNT)
		broken("the rule exists");
	if (memchr(finding->path, '\0', sizeof(finding->path)) == NULL ||
		memchr(finding->message, '\0', sizeof(finding->message)) == NULL)
		broken("texts are terminated");
	if (!valid_utf8(finding->path) || !valid_utf8(finding->message))
		broken("texts are valid UTF-8 without control characters");
	if (finding->message[0] == '\0')
		broken("there is a message");

	info = &ln_message_rules[finding->rule];
	seen->n++;
	seen->faults[info->fault]++;
	if (finding->severity != LN_SEVERITY_ERROR)
		return;
	seen->errors++;
	seen->hash = seen->hash * 31 + (uint64_t) finding->rule;
	for (p = finding->path; *p; p++)
		seen->hash = seen->hash * 31 + (unsigned char) *p;
}

static LnCheck
run(int entry, bool warnings, bool first_only, bool refuse_unknown, int max,
	const LnJsonTree *tree,
	const char *data, size_t size, Seen *seen)
{
	LnCheck		check;

	memset(seen, 0, sizeof(*seen));
	memset(&check, 0, sizeof(check));
	check.sink = sink;
	check.arg = seen;
	check.warnings = warnings;
	check.first_only = first_only;
	check.refuse_unknown = refuse_unknown;
	check.max_findings = max;
	switch (entry)
	{
		case 0:
			ln_message_check_request(&check, LN_MESSAGE_TEMPLATE, tree);
			break;
		case 1:
			ln_message_check_request(&check, LN_MESSAGE_FLEXIBLE, tree);
			break;
		case 2:
			ln_message_check_messages(&check, tree);
			break;
		default:
			ln_message_check_template(&check, data, size < 80 ? size : 80,
									  tree);
			ln_message_check_unit(&check, data, size < 40 ? size : 40);
			break;
	}
	return check;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	JsonTextParser parser;
	LnJsonTree	tree;

	if (size < 1)
		return 0;
	if (json_text_parse(&parser, (const char *) data + 1, size - 1, &tree))
	{
		int			entry = data[0] & 3;
		int			max = data[0] & 4 ? 2 : 1000000;
		bool		refuse = (data[0] & 8) != 0;
		Seen		with;
		Seen		without;
		Seen		first;
		LnCheck		a;
		LnCheck		b;
		LnCheck		c;

		a = run(entry, true, false, refuse, max, &tree,
				(const char *) data + 1, size - 1, &with);
		b = run(entry, false, false, refuse, max, &tree,
				(const char *) data + 1, size - 1, &without);
		c = run(entry, false, true, refuse, max, &tree,
				(const char *) data + 1, size - 1, &first);
		if (a.n_errors != b.n_errors || b.n_errors != c.n_errors)
			broken("the number of errors does not depend on the mode");
		if (max > 2 &&
			(with.errors != a.n_errors || with.hash != without.hash))
			broken("every error is reported, whatever the mode");
		if (with.n > max + 1)
			broken("no more is reported than asked for");
		if (first.faults[LN_FAULT_STATEMENT] > 1 ||
			first.faults[LN_FAULT_ROW] > 1)
			broken("first_only reports one of each fault");
		if ((c.n_errors > 0) != (first.n > 0))
			broken("first_only reports an error when there is one");
		if (max > 2 && without.faults[LN_FAULT_STATEMENT] > 0 &&
			first.faults[LN_FAULT_STATEMENT] != 1)
			broken("first_only does not miss a statement fault");
	}
	json_text_free(&parser);
	return 0;
}
