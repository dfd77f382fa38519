/*-------------------------------------------------------------------------
 *
 * check_common.c
 *		What the files of the content checker share.
 *
 *-------------------------------------------------------------------------
 */
#include <stdarg.h>
#include <stdio.h>

#include "base/name.h"
#include "content/check_common.h"

/*
 * The member of an object when it has the type, else 0, after a report if it
 * has another type, or is missing and required.  null counts as missing.
 */
uint32_t
ln_check_get(LnChecker *c, const LnPathSegment *up, uint32_t object,
			 const char *key, size_t len, LnJsonType type, bool required)
{
	static const char *const names[] =
	{
		"null", "a boolean", "a boolean", "a number", "a string", "an array",
		"an object"
	};
	uint32_t	node = ln_json_find(c->tree, object, key, len);
	LnPathSegment seg = {up, key, len, 0};

	if (node == 0 || c->tree->nodes[node].type == LN_JSON_NULL)
	{
		if (required)
			ln_check_report(c, &seg, LN_RULE_PROPERTY_MISSING, "is required");
		return 0;
	}
	if (c->tree->nodes[node].type != type)
	{
		ln_check_report(c, &seg, LN_RULE_PROPERTY_TYPE, "must be %s",
						names[type]);
		return 0;
	}
	return node;
}

/*
 * The same for a text that comes from data, where null is a value that was
 * NULL and not a mistake in the program.
 */
uint32_t
ln_check_get_text(LnChecker *c, const LnPathSegment *up, uint32_t object,
				  const char *key, size_t len, bool required)
{
	uint32_t	node = ln_json_find(c->tree, object, key, len);
	LnPathSegment seg = {up, key, len, 0};

	if (node != 0 && required && c->tree->nodes[node].type == LN_JSON_NULL)
	{
		ln_check_report(c, &seg, LN_RULE_VALUE_NULL, "is null");
		return 0;
	}
	return ln_check_get(c, up, object, key, len, LN_JSON_STRING, required);
}

/*
 * A text of at most max UTF-16 units (0: any).  False when it is not UTF-8.
 */
bool
ln_check_text(LnChecker *c, const LnPathSegment *seg, uint32_t node,
			  size_t max, int flags)
{
	LnTextFacts facts;

	ln_check_scan(c->tree->nodes[node].str, c->tree->nodes[node].len, &facts);

	if (facts.invalid)
	{
		ln_check_report(c, seg, LN_RULE_INVALID_UTF8, "is not valid UTF-8");
		return false;
	}
	if (facts.utf16 == 0)
	{
		if (!(flags & TEXT_EMPTY_OK))
			ln_check_report(c, seg, LN_RULE_VALUE_EMPTY, "is empty");
	}
	else if (facts.blank && !(flags & TEXT_BLANK_OK))
		ln_check_report(c, seg, flags & TEXT_BLANK_WARN ?
						LN_RULE_FLEX_TEXT_BLANK : LN_RULE_VALUE_BLANK,
						"consists of blanks only");
	if (max > 0 && facts.utf16 > max)
	{
		if (flags & TEXT_CLUSTERS && facts.clusters <= max)
			ln_check_report(c, seg, LN_RULE_TEMPLATE_TEXT_LONG,
							"%zu UTF-16 units long, LINE documents at most"
							" %zu characters", facts.utf16, max);
		else
			ln_check_report(c, seg, LN_RULE_VALUE_TOO_LONG,
							"%zu UTF-16 units long, at most %zu are allowed",
							facts.utf16, max);
	}
	if (facts.control)
		ln_check_report(c, seg, LN_RULE_CONTROL_CHARACTER,
						"contains a control character");
	if (facts.tab_or_return)
		ln_check_report(c, seg, LN_RULE_TAB_OR_RETURN,
						"contains a tab or a carriage return");
	if (facts.line_break && (flags & TEXT_NO_BREAKS))
		ln_check_report(c, seg, LN_RULE_LINE_BREAK, "contains a line break");
	if (facts.bidi)
		ln_check_report(c, seg, LN_RULE_BIDI_CONTROL,
						"contains a character that changes the writing"
						" direction");
	return true;
}

static bool
has_prefix(const char *str, size_t len, const char *prefix, size_t plen)
{
	size_t		i;

	if (len < plen)
		return false;
	for (i = 0; i < plen; i++)
	{
		char		ch = str[i];

		if (ch >= 'A' && ch <= 'Z')
			ch += 'a' - 'A';
		if (ch != prefix[i])
			return false;
	}
	return true;
}

bool
ln_check_is_hex(char ch)
{
	return (ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'f') ||
		(ch >= 'A' && ch <= 'F');
}

/*
 * Length of a scheme and its colon, 0 when there is none.  "host:8080" is no
 * scheme: what belongs to an app is followed by slashes.
 */
static size_t
scheme_length(const char *url, size_t len)
{
	size_t		i;

	for (i = 0; i < len && url[i] != ':'; i++)
	{
		char		ch = url[i] | 0x20;

		if (!(ch >= 'a' && ch <= 'z') &&
			(i == 0 || !((url[i] >= '0' && url[i] <= '9') ||
						 url[i] == '+' || url[i] == '-' || url[i] == '.')))
			return 0;
	}
	return i > 0 && i + 2 < len && url[i + 1] == '/' && url[i + 2] == '/'
		? i + 1 : 0;
}

/*
 * An address.  The schemes are those of LINE's reference, "URI action".  What
 * else it takes is known from its page on URL schemes (in rich menus and Flex
 * Messages, the scheme of an app) and from what people sent (mailto:, in
 * quick replies and Flex Messages), so that is a warning.
 */
void
ln_check_url(LnChecker *c, const LnPathSegment *seg, uint32_t node,
			 size_t max, LnUrlUse use)
{
	static const char *const never =
	"javascript: vbscript: data: file: ftp: about: blob: content:";
	const char *url = c->tree->nodes[node].str;
	size_t		urllen = c->tree->nodes[node].len;
	size_t		i;
	LnTextFacts facts;
	bool		web = false;

	if (urllen == 0)
	{
		ln_check_report(c, seg, LN_RULE_VALUE_EMPTY, "is empty");
		return;
	}
	ln_check_scan(url, urllen, &facts);
	if (facts.utf16 > max)
		ln_check_report(c, seg, LN_RULE_VALUE_TOO_LONG,
						"%zu UTF-16 units long, at most %zu are allowed",
						facts.utf16, max);

	if (has_prefix(url, urllen, LIT("https://")))
	{
		i = 8;
		web = true;
	}
	else if (use == LN_URL_IMAGE)
	{
		ln_check_report(c, seg, LN_RULE_URL_SCHEME,
						"must begin with https://");
		return;
	}
	else if (has_prefix(url, urllen, LIT("http://")))
	{
		i = 7;
		web = true;
		ln_check_report(c, seg, LN_RULE_URL_NOT_HTTPS,
						"https is safer and looks better");
	}
	else if (has_prefix(url, urllen, LIT("line:")) ||
			 has_prefix(url, urllen, LIT("tel:")))
	{
		i = url[0] == 'l' || url[0] == 'L' ? 5 : 4;
		if (use == LN_URL_TEMPLATE_BUTTON)
			ln_check_report(c, seg, LN_RULE_URL_NOT_HTTPS,
							"LINE does not document line: and tel: here");
	}
	else if (has_prefix(url, urllen, LIT("mailto:")))
	{
		i = 7;
		ln_check_report(c, seg, LN_RULE_URL_APP_SCHEME,
						"LINE does not document mailto:");
	}
	else if (use != LN_URL_ACTION &&
			 (i = scheme_length(url, urllen)) > 0 &&
			 !ln_check_in_list(url, i, never))
		ln_check_report(c, seg, LN_RULE_URL_APP_SCHEME,
						"the scheme of an app works only where the app is"
						" installed");
	else
	{
		ln_check_report(c, seg, LN_RULE_URL_SCHEME,
						"must begin with https://, http://, line: or tel:");
		return;
	}

	if (i == urllen || (web && strchr("/?#:@", url[i]) != NULL))
	{
		ln_check_report(c, seg, LN_RULE_URL_MALFORMED, "has no host");
		return;
	}
	for (; i < urllen; i++)
	{
		unsigned char ch = (unsigned char) url[i];

		/* RFC 3986: what is neither reserved nor unreserved */
		if (ch <= ' ' || ch >= 0x7F || strchr("\"<>\\^`{|}", ch) != NULL)
		{
			ln_check_report(c, seg, LN_RULE_URL_MALFORMED,
							"character %zu must be percent-encoded as UTF-8",
							i + 1);
			return;
		}
		if (ch == '%' &&
			(i + 2 >= urllen || !ln_check_is_hex(url[i + 1]) ||
			 !ln_check_is_hex(url[i + 2])))
		{
			ln_check_report(c, seg, LN_RULE_URL_MALFORMED,
							"the %% at character %zu is not followed by two"
							" hex digits", i + 1);
			return;
		}
	}
}

/* the next significant character of a name, '\0' at the end */
static char
fold_name(const char **p, const char *end)
{
	while (*p < end && (**p == '_' || **p == '-' || **p == ' '))
		(*p)++;
	if (*p >= end)
		return '\0';
	if (**p >= 'A' && **p <= 'Z')
		return *(*p)++ + ('a' - 'A');
	return *(*p)++;
}

/* equal but for case, underscores, hyphens and blanks? */
bool
ln_check_same_name(const char *a, size_t alen, const char *b, size_t blen)
{
	const char *a_end = a + alen;
	const char *b_end = b + blen;
	char		x;
	char		y;

	do
	{
		x = fold_name(&a, a_end);
		y = fold_name(&b, b_end);
	} while (x == y && x != '\0');
	return x == y;
}

/* are unknown properties worth the search? */
bool
ln_check_looks_for_unknown(const LnChecker *c)
{
	return c->out->warnings || c->out->refuse_unknown;
}

/*
 * Reports properties that are not among the names, which are separated by
 * blanks.
 */
void
ln_check_names(LnChecker *c, const LnPathSegment *seg, uint32_t object,
			   const char *names)
{
	const LnJsonNode *nodes;
	uint32_t	i;

	if (!ln_check_looks_for_unknown(c))
		return;
	nodes = c->tree->nodes;
	for (i = object + 1; i < nodes[object].end; i = nodes[i].end)
	{
		const LnJsonNode *child = &nodes[i];
		LnPathSegment child_seg = {seg, child->key, child->key_len, 0};
		const char *name;
		size_t		len;

		if (ln_check_in_list(child->key, child->key_len, names))
			continue;
		for (name = names;; name += len + 1)
		{
			len = strcspn(name, " ");
			if (ln_check_same_name(name, len, child->key, child->key_len))
			{
				ln_check_report(c, &child_seg, LN_RULE_PROPERTY_MISSPELT,
								"LINE's name is \"%.*s\"", (int) len, name);
				break;
			}
			if (name[len] == '\0')
			{
				ln_check_report(c, &child_seg, LN_RULE_PROPERTY_UNKNOWN,
								"LINE documents no such property here");
				break;
			}
		}
	}
}

/* bytes of a string in JSON, with its quotes */
static size_t
string_size(const char *str, size_t len)
{
	size_t		size = len + 2;
	size_t		i;

	for (i = 0; i < len; i++)
	{
		unsigned char ch = (unsigned char) str[i];

		if (ch == '"' || ch == '\\')
			size += 1;
		else if (ch < ' ')
			size += strchr("\b\f\n\r\t", ch) != NULL && ch != '\0' ? 1 : 5;
	}
	return size;
}

/*
 * May it have more bytes than that as JSON?  Spares the walk for what cannot:
 * escapes make a string at most six times longer, quotes, comma and colon add
 * six bytes to a node.
 */
bool
ln_check_may_exceed(const LnJsonTree *tree, size_t size)
{
	return tree->n_bytes * 6 + (size_t) tree->n_nodes * 8 > size;
}

/* bytes of a subtree as JSON without blanks */
size_t
ln_check_json_size(const LnJsonTree *tree, uint32_t node)
{
	size_t		size = 0;
	uint32_t	i;

	for (i = node; i < tree->nodes[node].end; i++)
	{
		const LnJsonNode *n = &tree->nodes[i];

		if (n->key != NULL && i != node)
			size += string_size(n->key, n->key_len) + 1;	/* colon */

		switch (n->type)
		{
			case LN_JSON_NULL:
			case LN_JSON_TRUE:
				size += 4;
				break;
			case LN_JSON_FALSE:
				size += 5;
				break;
			case LN_JSON_NUMBER:
				size += n->len;
				break;
			case LN_JSON_STRING:
				size += string_size(n->str, n->len);
				break;
			case LN_JSON_ARRAY:
			case LN_JSON_OBJECT:
				size += 2 + (n->count > 1 ? n->count - 1 : 0);	/* commas */
				break;
		}
	}
	return size;
}

/* the length of a valid UTF-8 sequence at p, 0 when it is none */
static int
utf8_sequence(const unsigned char *p, const unsigned char *end, uint32_t *code)
{
	int			n;
	int			i;
	uint32_t	c;

	if (*p < 0xC2 || *p > 0xF4)
		return 0;
	n = *p < 0xE0 ? 2 : *p < 0xF0 ? 3 : 4;
	if (end - p < n)
		return 0;
	c = *p & (0xFF >> (n + 1));
	for (i = 1; i < n; i++)
	{
		if ((p[i] & 0xC0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3F);
	}
	if ((n == 3 && (c < 0x800 || (c >= 0xD800 && c <= 0xDFFF))) ||
		(n == 4 && (c < 0x10000 || c > 0x10FFFF)))
		return 0;
	*code = c;
	return n;
}

/*
 * Might the character belong to the grapheme cluster before it?  Generous:
 * whole blocks of scripts with combining marks, since what is counted too low
 * is a warning, and what is counted too high refuses a good text.
 */
static bool
may_combine(uint32_t c)
{
	return (c >= 0x0300 && c <= 0x036F) ||	/* combining marks */
		(c >= 0x0483 && c <= 0x0489) ||
		(c >= 0x0591 && c <= 0x05C7) || (c >= 0x0610 && c <= 0x061A) ||
		(c >= 0x064B && c <= 0x0670) || (c >= 0x06D6 && c <= 0x06ED) ||
		(c >= 0x0700 && c <= 0x0DFF) || /* Syriac to Sinhala */
		c == 0x0E31 || (c >= 0x0E33 && c <= 0x0E3A) ||	/* Thai */
		(c >= 0x0E47 && c <= 0x0E4E) ||
		(c >= 0x0E80 && c <= 0x109F) || /* Lao to Myanmar */
		(c >= 0x1100 && c <= 0x11FF) || /* Hangul letters */
		(c >= 0x135D && c <= 0x135F) ||
		(c >= 0x1700 && c <= 0x1CFF) || (c >= 0x1DC0 && c <= 0x1DFF) ||
		c == 0x200C || c == 0x200D ||
		(c >= 0x20D0 && c <= 0x20FF) || (c >= 0x2CEF && c <= 0x2CF1) ||
		(c >= 0x2DE0 && c <= 0x2DFF) ||
		(c >= 0x302A && c <= 0x302F) || c == 0x3099 || c == 0x309A ||
		(c >= 0xA66F && c <= 0xA6F1) || (c >= 0xA800 && c <= 0xABFF) ||
		(c >= 0xD7B0 && c <= 0xD7FF) ||
		(c >= 0xFE00 && c <= 0xFE0F) || (c >= 0xFE20 && c <= 0xFE2F) ||
		(c >= 0xFF9E && c <= 0xFF9F) ||
		(c >= 0x10A00 && c <= 0x16FFF) || (c >= 0x1D165 && c <= 0x1D244) ||
		(c >= 0x1E000 && c <= 0x1E94A) ||
		(c >= 0x1F1E6 && c <= 0x1F1FF) ||	/* flags: counted as none */
		(c >= 0x1F3FB && c <= 0x1F3FF) || c >= 0xE0000;
}

void
ln_check_scan(const char *str, size_t len, LnTextFacts *facts)
{
	const unsigned char *p = (const unsigned char *) str;
	const unsigned char *end = p + len;
	bool		joined = false;

	memset(facts, 0, sizeof(*facts));
	facts->blank = true;
	while (p < end)
	{
		if (*p < 0x80)
		{
			if (*p > ' ' && *p != 0x7F)
				facts->blank = false;
			else if (*p == '\n')
				facts->line_break = true;
			else if (*p == '\t' || *p == '\r')
				facts->tab_or_return = true;
			else if (*p != ' ')
				facts->control = true;
			facts->utf16++;
			facts->clusters += *p != '\n';	/* which may follow a \r */
			joined = false;
			p++;
		}
		else
		{
			uint32_t	c;
			int			n = utf8_sequence(p, end, &c);

			if (n == 0)
			{
				facts->invalid = true;
				return;
			}
			if (c < 0xA0)
				facts->control = true;
			else if ((c >= 0x202A && c <= 0x202E) ||
					 (c >= 0x2066 && c <= 0x2069))
				facts->bidi = true;
			else if (!(c == 0xA0 || c == 0x3000 || c == 0xFEFF ||
					   c == 0x3164 || (c >= 0x2000 && c <= 0x200F) ||
					   c == 0x2028 || c == 0x2029 || c == 0x202F ||
					   c == 0x205F || c == 0x2060))
				facts->blank = false;
			facts->utf16 += n == 4 ? 2 : 1;

			/* Japanese without marks comes first */
			if ((c >= 0x3400 && c <= 0x9FFF) || !may_combine(c))
				facts->clusters += !joined;
			joined = c == 0x200D;	/* joins emojis */
			p += n;
		}
	}
}

/* 1 to max letters, digits and underscores */
bool
ln_check_is_key(const char *str, size_t len, size_t max)
{
	size_t		i;

	if (len < 1 || len > max)
		return false;
	for (i = 0; i < len; i++)
	{
		char		ch = str[i];

		if (!((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
			  (ch >= '0' && ch <= '9') || ch == '_'))
			return false;
	}
	return true;
}

bool
ln_check_string_is(const LnJsonNode *node, const char *str, size_t len)
{
	return node->type == LN_JSON_STRING && node->len == len &&
		memcmp(node->str, str, len) == 0;
}

/* is str one of the words, which are separated by single blanks? */
bool
ln_check_in_list(const char *str, size_t len, const char *list)
{
	for (;;)
	{
		size_t		i;

		for (i = 0;
			 i < len && list[i] == str[i] && list[i] != ' ' && list[i] != '\0';
			 i++)
			;
		if (i == len && len > 0 && (list[i] == ' ' || list[i] == '\0'))
			return true;
		for (list += i; *list != ' '; list++)
		{
			if (*list == '\0')
				return false;
		}
		list++;
	}
}

/*
 * Appends a property name to a path: as it is when it is an identifier, else
 * quoted, without what could break a log line, and cut; a number is not said.
 */
static size_t
append_name(char *buf, size_t room, const char *name, size_t len, bool first)
{
	size_t		used = 0;
	size_t		i;
	bool		plain;

	if (!first && ln_has_number(name, len))
	{
		name = "...";
		len = 3;
	}
	plain = len > 0 && len <= 64;
	for (i = 0; plain && i < len; i++)
	{
		char		ch = name[i];

		plain = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
			(ch >= '0' && ch <= '9') || ch == '_' || (first && ch == '[') ||
			(first && ch == ']') || (first && ch == '.');
	}
	if (plain)
	{
		if (!first && used < room)
			buf[used++] = '.';
		for (i = 0; i < len && used < room; i++)
			buf[used++] = name[i];
		return used;
	}

	if (room < 80)
		return room;			/* counts as cut */
	memcpy(buf, "[\"", 2);
	used = 2;
	for (i = 0; i < len;)
	{
		unsigned char ch = (unsigned char) name[i];
		uint32_t	code;
		int			n = 1;

		if (used > 64)
		{
			memcpy(buf + used, "...", 3);
			used += 3;
			break;
		}
		if (ch >= 0x80)
			n = utf8_sequence((const unsigned char *) name + i,
							  (const unsigned char *) name + len, &code);
		if (n > 1 && code >= 0xA0)
		{
			memcpy(buf + used, name + i, n);
			used += n;
		}
		else
			buf[used++] =
				n == 1 && ch >= ' ' && ch < 0x7F && ch != '"' && ch != '\\'
				? (char) ch
				: '?';
		i += n > 0 ? n : 1;
	}
	memcpy(buf + used, "\"]", 2);
	return used + 2;
}

static void
build_path(char *buf, const LnPathSegment *seg)
{
	/* the segments from the root down; deeper ones than fit are cut anyway */
	const LnPathSegment *stack[2 * LN_JSON_MAX_DEPTH + 16];
	int			n = 0;
	size_t		used = 0;
	const size_t room = LN_FINDING_PATH_LEN - 4;	/* for "..." and the end */

	for (; seg != NULL && n < (int) (sizeof(stack) / sizeof(stack[0]));
		 seg = seg->up)
		stack[n++] = seg;
	while (n-- > 0)
	{
		size_t		before = used;

		seg = stack[n];
		if (seg->key != NULL)
			used += append_name(buf + used, room - used, seg->key, seg->len,
								used == 0);
		else
		{
			char		index[16];
			size_t		len = (size_t) snprintf(index, sizeof(index), "[%u]",
												(unsigned) seg->index);

			if (len <= room - used)
				memcpy(buf + used, index, len);
			used += len <= room - used ? len : room - used;
		}
		if (used >= room)
		{
			memcpy(buf + before, "...", 3);
			used = before + 3;
			break;
		}
	}
	buf[used] = '\0';
}

void
ln_check_report(LnChecker *c, const LnPathSegment *seg, LnRule rule,
				const char *fmt,...)
{
	const LnRuleInfo *info = &ln_message_rules[rule];
	LnSeverity	severity = info->severity;
	LnFinding	finding;
	va_list		args;

	if (c->out->refuse_unknown && (rule == LN_RULE_PROPERTY_UNKNOWN ||
								   rule == LN_RULE_PROPERTY_MISSPELT ||
								   rule == LN_RULE_MESSAGE_TYPE_UNKNOWN))
		severity = LN_SEVERITY_ERROR;
	if (severity == LN_SEVERITY_WARNING && !c->out->warnings)
		return;
	if (severity == LN_SEVERITY_ERROR)
		c->out->n_errors++;
	if (c->out->first_only)
	{
		/* a statement fault comes before any row fault */
		if (c->out->seen[LN_FAULT_STATEMENT] || c->out->seen[info->fault])
			return;
		c->out->seen[info->fault] = true;
	}
	if (c->out->n_findings > c->out->max_findings)
		return;
	if (c->out->n_findings++ == c->out->max_findings)
	{
		if (!c->out->warnings)
			return;
		finding.rule = LN_RULE_TOO_MANY_FINDINGS;
		finding.severity = LN_SEVERITY_WARNING;
		finding.path[0] = '\0';
		snprintf(finding.message, sizeof(finding.message),
				 "more than %d findings", c->out->max_findings);
		c->out->sink(c->out->arg, &finding);
		return;
	}

	finding.rule = rule;
	finding.severity = severity;
	build_path(finding.path, seg);
	va_start(args, fmt);
	vsnprintf(finding.message, sizeof(finding.message), fmt, args);
	va_end(args);
	c->out->sink(c->out->arg, &finding);
}
