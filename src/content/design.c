/*-------------------------------------------------------------------------
 *
 * design.c
 *		Approved designs of flexible messages; see design.h.
 *
 * Matching costs at most the number of nodes of the message times that of the
 * design: in an array the positions reached in the design are kept as a set,
 * so that nothing is tried twice however many repetitions a design has.
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>

#include "content/design.h"

typedef struct Match
{
	const LnJsonTree *design;
	const LnJsonTree *message;
	uint32_t	furthest;
} Match;

typedef enum Modifier
{
	MODIFIER_NONE,
	MODIFIER_OPTIONAL,
	MODIFIER_REPEAT
} Modifier;

static bool match(Match *m, uint32_t d, uint32_t n);
static bool match_array(Match *m, uint32_t d, uint32_t n);
static bool match_string(const char *design, size_t dlen, const char *text,
						 size_t tlen);
static Modifier modifier(const LnJsonTree *design, uint32_t d);
static size_t place(const char *design, const char *end);
static bool is_place(const LnJsonNode *node);
static const char *fault(const LnJsonTree *design, uint32_t d,
						 uint32_t *where);

bool
ln_design_matches(const LnJsonTree *design, const LnJsonTree *message,
				  uint32_t *where)
{
	Match		m = {design, message, 0};
	bool		ok = match(&m, 0, 0);

	*where = m.furthest;
	return ok;
}

static bool
match(Match *m, uint32_t d, uint32_t n)
{
	const LnJsonNode *want = &m->design->nodes[d];
	const LnJsonNode *have = &m->message->nodes[n];
	bool		ok = false;

	switch (want->type)
	{
		case LN_JSON_NULL:
		case LN_JSON_FALSE:
		case LN_JSON_TRUE:
			ok = have->type == want->type;
			break;
		case LN_JSON_NUMBER:
			ok = have->type == LN_JSON_NUMBER && want->str != NULL &&
				have->str != NULL && have->len == want->len &&
				memcmp(have->str, want->str, want->len) == 0;
			break;
		case LN_JSON_STRING:
			if (have->type == LN_JSON_STRING)
				ok = match_string(want->str, want->len, have->str, have->len);
			else
				ok = have->type == LN_JSON_NUMBER && is_place(want);
			break;
		case LN_JSON_ARRAY:
			if (have->type == LN_JSON_ARRAY)
				return match_array(m, d, n);
			break;
		case LN_JSON_OBJECT:
			if (have->type == LN_JSON_OBJECT && have->count == want->count)
			{
				uint32_t	i;

				ok = true;
				for (i = d + 1; i < want->end && ok;
					 i = m->design->nodes[i].end)
				{
					const LnJsonNode *member = &m->design->nodes[i];
					uint32_t	found =
					ln_json_find(m->message, n, member->key,
								 member->key_len);

					if (found == 0)
						ok = false;
					else if (!match(m, i, found))
						return false;
				}
			}
			break;
	}
	if (!ok && n > m->furthest)
		m->furthest = n;
	return ok;
}

/*
 * The set of positions: at[j] = the elements so far may be those of the design
 * before its j-th.
 */
static bool
match_array(Match *m, uint32_t d, uint32_t n)
{
	const LnJsonNode *nodes = m->design->nodes;
	uint32_t	element[LN_DESIGN_MAX_ELEMENTS];
	unsigned char kind[LN_DESIGN_MAX_ELEMENTS];
	bool		at[LN_DESIGN_MAX_ELEMENTS + 1] = {true};
	uint32_t	count = 0;
	uint32_t	i;
	uint32_t	j;

	for (i = d + 1; i < nodes[d].end; i = nodes[i].end)
	{
		if (count == LN_DESIGN_MAX_ELEMENTS)
			return false;		/* not without fault */
		kind[count] = modifier(m->design, i);
		element[count] = kind[count] == MODIFIER_NONE ? i : i + 1;
		count++;
	}

	for (j = 0; j < count; j++)
		if (at[j] && kind[j] != MODIFIER_NONE)
			at[j + 1] = true;
	for (i = n + 1; i < m->message->nodes[n].end; i = m->message->nodes[i].end)
	{
		bool		next[LN_DESIGN_MAX_ELEMENTS + 1] = {false};
		bool		any = false;
		uint32_t	furthest = m->furthest;

		for (j = 0; j < count; j++)
		{
			if (at[j] && match(m, element[j], i))
			{
				next[kind[j] == MODIFIER_REPEAT ? j : j + 1] = true;
				any = true;
			}
		}
		if (!any)
		{
			if (i > m->furthest)
				m->furthest = i;
			return false;
		}
		m->furthest = furthest; /* where others failed tells nothing */
		for (j = 0; j < count; j++)
			if (next[j] && kind[j] != MODIFIER_NONE)
				next[j + 1] = true;
		memcpy(at, next, sizeof(at));
	}
	if (!at[count] && n > m->furthest)
		m->furthest = n;
	return at[count];
}

/*
 * The usual way with wildcards: only the last place that was passed can have
 * to take more.
 */
static bool
match_string(const char *design, size_t dlen, const char *text, size_t tlen)
{
	const char *dend = design + dlen;
	const char *tend = text + tlen;
	const char *after = NULL;	/* the last place */
	const char *taken = NULL;	/* what it takes ends here */

	for (;;)
	{
		size_t		skip = design < dend ? place(design, dend) : 0;

		if (skip > 0)
		{
			design += skip;
			after = design;
			taken = text;

			continue;
		}
		if (design == dend && text == tend)
			return true;
		if (design < dend && text < tend && *design == *text)
		{
			/* a brace that stands for itself is doubled */
			design += (*design == '{' || *design == '}') &&
				design + 1 < dend && design[1] == design[0] ? 2 : 1;
			text++;

			continue;
		}
		if (after == NULL || taken == tend)
			return false;
		design = after;
		text = ++taken;
	}
}

/* Length of the place that begins here, 0 = none does. */
static size_t
place(const char *design, const char *end)
{
	const char *close;

	if (*design != '{' || (design + 1 < end && design[1] == '{'))
		return 0;
	close = memchr(design, '}', end - design);
	return close == NULL ? 0 : close - design + 1;
}

static bool
is_place(const LnJsonNode *node)
{
	return node->len > 0 &&
		place(node->str, node->str + node->len) == node->len;
}

static Modifier
modifier(const LnJsonTree *design, uint32_t d)
{
	const LnJsonNode *node = &design->nodes[d];

	if (node->type != LN_JSON_OBJECT || node->count != 1)
		return MODIFIER_NONE;
	node++;
	if (ln_json_key_is(node, "{repeat}", 8))
		return MODIFIER_REPEAT;
	if (ln_json_key_is(node, "{optional}", 10))
		return MODIFIER_OPTIONAL;
	return MODIFIER_NONE;
}

const char *
ln_design_fault(const LnJsonTree *design, uint32_t *where)
{
	*where = 0;
	if (design->nodes[0].type != LN_JSON_ARRAY || design->nodes[0].count == 0)
		return "must be an array of message objects";
	return fault(design, 0, where);
}

static const char *
fault(const LnJsonTree *design, uint32_t d, uint32_t *where)
{
	const LnJsonNode *node = &design->nodes[d];
	uint32_t	i;

	*where = d;
	if (node->type == LN_JSON_NUMBER && node->str == NULL)
		return "the number is out of range";
	if (node->type == LN_JSON_STRING)
	{
		const char *p = node->str;
		const char *end = p + node->len;

		while (p < end)
		{
			size_t		len = place(p, end);

			if (len == 0 && *p == '{' && (p + 1 == end || p[1] != '{'))
				return "an opening brace is not closed; one that stands for "
					"itself is doubled";
			if (len == 2)
				return "a place has no name";
			if (len > 0)
				p += len;
			else if ((*p == '{' || *p == '}') && p + 1 < end && p[1] == *p)
				p += 2;
			else
				p++;
		}
	}
	if (node->type == LN_JSON_ARRAY && node->count > LN_DESIGN_MAX_ELEMENTS)
		return "the array has too many elements";
	for (i = d + 1; i < node->end; i = design->nodes[i].end)
	{
		const LnJsonNode *child = &design->nodes[i];
		uint32_t	value = i;
		const char *what;

		*where = i;
		if (node->type == LN_JSON_OBJECT && child->key_len > 0 &&
			child->key[0] == '{')
			return "the name of a member must not begin with a brace";
		if (node->type == LN_JSON_ARRAY &&
			modifier(design, i) != MODIFIER_NONE)
		{
			/* below the modifier, whose name is no member */
			value = *where = i + 1;
			if (design->nodes[value].type == LN_JSON_ARRAY &&
				design->nodes[value].count > 0)
				return "an array within {repeat} or {optional} must be in "
					"an object";
		}
		what = fault(design, value, where);
		if (what != NULL)
			return what;
	}
	return NULL;
}

void
ln_design_path(const LnJsonTree *tree, uint32_t node, char *buf, size_t room)
{
	uint32_t	at = 0;
	size_t		len = 0;

	buf[0] = '\0';
	while (at != node && len < room - 1)
	{
		bool		is_array = tree->nodes[at].type == LN_JSON_ARRAY;
		uint32_t	child = at + 1;
		uint32_t	index = 0;
		int			n;

		while (tree->nodes[child].end <= node)
		{
			child = tree->nodes[child].end;
			index++;
		}
		if (is_array)
			n = snprintf(buf + len, room - len, "[%u]", (unsigned int) index);
		else
		{
			const LnJsonNode *member = &tree->nodes[child];
			bool		plain = member->key_len > 0;
			uint32_t	i;

			for (i = 0; i < member->key_len; i++)
				if (member->key[i] <= ' ' || member->key[i] > '~')
					plain = false;
			n = snprintf(buf + len, room - len, "%s%.*s", len > 0 ? "." : "",
						 plain ? (int) member->key_len : 1,
						 plain ? member->key : "?");
		}
		if (n < 0 || (size_t) n >= room - len)
			break;
		len += n;
		at = child;
	}
}
