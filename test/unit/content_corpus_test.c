/*-------------------------------------------------------------------------
 *
 * content_corpus_test.c
 *		The content checker on contents of which LINE's documents say whether
 *		it takes them.
 *
 * test/content/corpus.tsv has one content a line and says where its verdict
 * comes from.  What LINE refuses must never leave, and what it takes must
 * never be stopped: the INSERT looks at errors only, so a warning is no help.
 * The simulated LINE API is held to the same lines (000_simulator.pl).
 *
 *-------------------------------------------------------------------------
 */
#include "content/message_check.h"

#include "json_text.h"
#include "tap.h"

#define FLEX_HEAD	"{\"type\":\"flex\",\"altText\":\"a\",\"contents\":"
#define BODY_HEAD	"{\"type\":\"bubble\",\"body\":{\"type\":\"box\"," \
	"\"layout\":\"vertical\",\"contents\":["
#define BODY_TAIL	"]}}"
#define TEXT_HEAD	"{\"type\":\"text\",\"text\":\"a\","

/* what surrounds a content of each place */
static const struct
{
	const char *place;
	const char *head;
	const char *tail;
}			places[] =
{
	{"request", "", ""},
	{"templated", "", ""},
	{"message", "{\"messages\":[", "]}"},
	{"container", "{\"messages\":[" FLEX_HEAD, "}]}"},
	{"bubble", "{\"messages\":[" FLEX_HEAD
		"{\"type\":\"carousel\",\"contents\":[", "]}}]}"},
	{"component", "{\"messages\":[" FLEX_HEAD BODY_HEAD, BODY_TAIL "}]}"},
	{"child", "{\"messages\":[" FLEX_HEAD BODY_HEAD
		"{\"type\":\"box\",\"layout\":\"baseline\",\"contents\":[",
	"]}" BODY_TAIL "}]}"},
	{"span", "{\"messages\":[" FLEX_HEAD BODY_HEAD
		"{\"type\":\"text\",\"contents\":[", "]}" BODY_TAIL "}]}"},
	{"action", "{\"messages\":[" FLEX_HEAD BODY_HEAD
		"{\"type\":\"button\",\"action\":", "}" BODY_TAIL "}]}"},
	{"template", "{\"messages\":[{\"type\":\"template\",\"altText\":\"a\","
		"\"template\":", "}]}"},
	{"reply", "{\"messages\":[" TEXT_HEAD "\"quickReply\":", "}]}"},
	{"quick", "{\"messages\":[" TEXT_HEAD
		"\"quickReply\":{\"items\":[{\"type\":\"action\",\"action\":",
	"}]}}]}"},
	{"sender", "{\"messages\":[" TEXT_HEAD "\"sender\":", "}]}"},
};

typedef struct Seen
{
	int			errors;
	int			warnings;
	LnFinding	first;			/* error, else warning */
} Seen;

static void
sink(void *arg, const LnFinding *finding)
{
	Seen	   *seen = (Seen *) arg;

	if (finding->severity == LN_SEVERITY_ERROR)
	{
		if (seen->errors++ == 0)
			seen->first = *finding;
	}
	else if (seen->warnings++ == 0 && seen->errors == 0)
		seen->first = *finding;
}

static bool
check(const char *place, const char *json, bool refuse_unknown, Seen *seen)
{
	size_t		i;
	char	   *text;
	JsonTextParser parser;
	LnJsonTree	tree;
	LnCheck		c;
	bool		parsed;

	memset(seen, 0, sizeof(*seen));
	memset(&c, 0, sizeof(c));
	c.sink = sink;
	c.arg = seen;
	c.warnings = true;
	c.refuse_unknown = refuse_unknown;
	c.max_findings = 100;
	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++)
	{
		if (strcmp(places[i].place, place) == 0)
			break;
	}
	if (i == sizeof(places) / sizeof(places[0]))
		return false;
	text = malloc(strlen(places[i].head) + strlen(json) +
				  strlen(places[i].tail) + 1);
	sprintf(text, "%s%s%s", places[i].head, json, places[i].tail);
	parsed = json_text_parse(&parser, text, strlen(text), &tree);
	if (parsed)
		ln_message_check_request(&c, strcmp(place, "templated") == 0
								 ? LN_MESSAGE_TEMPLATE
								 : LN_MESSAGE_FLEXIBLE, &tree);
	json_text_free(&parser);
	free(text);
	return parsed;
}

int
main(void)
{
	char		path[1000];
	char		line[20000];
	FILE	   *f;
	int			n_refused = 0;
	int			n_lawful = 0;
	int			silent = 0;
	int			warned = 0;
	int			stopped = 0;

	/* beside this file's folder */
	snprintf(path, sizeof(path), "%s", __FILE__);
	strcpy(strstr(path, "unit/content_corpus_test.c"), "content/corpus.tsv");
	f = fopen(path, "r");
	ok(f != NULL, "there is a corpus");
	if (f == NULL)
		return done_testing();

	while (fgets(line, sizeof(line), f) != NULL)
	{
		char	   *verdict = strtok(line, "\t\n");
		char	   *source = strtok(NULL, "\t\n");
		char	   *place = strtok(NULL, "\t\n");
		char	   *json = strtok(NULL, "\n");
		Seen		seen;
		Seen		strict;
		bool		good;

		if (verdict == NULL || verdict[0] == '#')
			continue;
		if (json == NULL || !check(place, json, false, &seen) ||
			!check(place, json, true, &strict))
		{
			ok(false, "a line of the corpus cannot be read: %s", source);
			continue;
		}
		if (strcmp(verdict, "refused") == 0)
		{
			n_refused++;
			good = seen.errors > 0;
			silent += seen.errors + seen.warnings == 0;
			warned += seen.errors == 0 && seen.warnings > 0;
		}
		else if (strcmp(verdict, "unknown") == 0)
			good = seen.errors == 0 && seen.warnings > 0 && strict.errors > 0;
		else if (strcmp(verdict, "doubtful") == 0)
			good = seen.errors == 0 && seen.warnings > 0 && strict.errors == 0;
		else
		{
			n_lawful++;
			good = seen.errors == 0 && strict.errors == 0;
			stopped += !good;
		}
		ok(good, "%s, %s: %s %.90s", verdict, source, place, json);
		if (!good && seen.errors + seen.warnings > 0)
			diag("%s at %s: %s", ln_message_rules[seen.first.rule].name,
				 seen.first.path, seen.first.message);
	}
	fclose(f);
	diag("%d refused: %d pass in silence, %d with a warning; %d lawful: %d"
		 " stopped", n_refused, silent, warned, n_lawful, stopped);
	ok(n_refused >= 150 && n_lawful >= 150, "the corpus is large enough");
	return done_testing();
}
