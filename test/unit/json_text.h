/*-------------------------------------------------------------------------
 *
 * json_text.h
 *		JSON text to the tree of json_tree.h, for tests without PostgreSQL.
 *
 * Lenient where that gives the checker more to chew on: strings may hold any
 * bytes, an escaped surrogate without its partner becomes invalid UTF-8, an
 * object may have a key twice.  Strings live in one buffer of the size of the
 * text, which the tree points into.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_JSON_TEXT_H
#define LN_JSON_TEXT_H

#include <stdlib.h>

#include "base/json_tree.h"

typedef struct JsonTextParser
{
	const char *p;
	const char *end;
	char	   *strings;
	size_t		used;
	LnJsonNode *nodes;
	uint32_t	n_nodes;
	uint32_t	room;
	size_t		n_bytes;
	const char *refused;		/* static: why the limits were exceeded */
} JsonTextParser;

static void json_text_free(JsonTextParser *j);
static bool json_text_parse(JsonTextParser *j, const char *text, size_t len,
							LnJsonTree *tree);

static void
json_text_space(JsonTextParser *j)
{
	while (j->p < j->end &&
		   (*j->p == ' ' || *j->p == '\n' || *j->p == '\t' || *j->p == '\r'))
		j->p++;
}

static LnJsonNode *
json_text_node(JsonTextParser *j)
{
	LnJsonNode *node;

	if (j->n_nodes == LN_JSON_MAX_NODES)
	{
		j->refused = "json_too_many_values";
		return NULL;
	}
	if (j->n_nodes == j->room)
	{
		j->room = j->room ? j->room * 2 : 16;
		j->nodes = realloc(j->nodes, j->room * sizeof(LnJsonNode));
		if (j->nodes == NULL)
			abort();
	}
	node = &j->nodes[j->n_nodes++];
	memset(node, 0, sizeof(*node));
	node->end = j->n_nodes;
	return node;
}

static void
json_text_put(JsonTextParser *j, unsigned int c)
{
	char	   *s = j->strings + j->used;

	if (c < 0x80)
	{
		s[0] = (char) c;
		j->used += 1;
	}
	else if (c < 0x800)
	{
		s[0] = (char) (0xC0 | c >> 6);
		s[1] = (char) (0x80 | (c & 0x3F));
		j->used += 2;
	}
	else if (c < 0x10000)
	{
		s[0] = (char) (0xE0 | c >> 12);
		s[1] = (char) (0x80 | (c >> 6 & 0x3F));
		s[2] = (char) (0x80 | (c & 0x3F));
		j->used += 3;
	}
	else
	{
		s[0] = (char) (0xF0 | c >> 18);
		s[1] = (char) (0x80 | (c >> 12 & 0x3F));
		s[2] = (char) (0x80 | (c >> 6 & 0x3F));
		s[3] = (char) (0x80 | (c & 0x3F));
		j->used += 4;
	}
}

static int
json_text_hex4(JsonTextParser *j)
{
	int			value = 0;
	int			i;

	if (j->end - j->p < 4)
		return -1;
	for (i = 0; i < 4; i++)
	{
		char		ch = *j->p++;
		int			digit = ch >= '0' && ch <= '9' ? ch - '0' :
			ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 :
			ch >= 'A' && ch <= 'F' ? ch - 'A' + 10 : -1;

		if (digit < 0)
			return -1;
		value = value * 16 + digit;
	}
	return value;
}

static bool
json_text_string(JsonTextParser *j, const char **str, uint32_t *len)
{
	size_t		start = j->used;

	if (j->p >= j->end || *j->p++ != '"')
		return false;
	while (j->p < j->end && *j->p != '"')
	{
		if (*j->p != '\\')
		{
			j->strings[j->used++] = *j->p++;
			continue;
		}
		if (++j->p >= j->end)
			return false;
		switch (*j->p++)
		{
			case 'b':
				json_text_put(j, '\b');
				break;
			case 'f':
				json_text_put(j, '\f');
				break;
			case 'n':
				json_text_put(j, '\n');
				break;
			case 'r':
				json_text_put(j, '\r');
				break;
			case 't':
				json_text_put(j, '\t');
				break;
			case '"':
			case '\\':
			case '/':
				json_text_put(j, (unsigned char) j->p[-1]);
				break;
			case 'u':
				{
					int			c = json_text_hex4(j);

					if (c < 0)
						return false;
					if (c >= 0xD800 && c < 0xDC00 && j->end - j->p >= 6 &&
						j->p[0] == '\\' && j->p[1] == 'u')
					{
						const char *back = j->p;
						int			low;

						j->p += 2;
						low = json_text_hex4(j);
						if (low >= 0xDC00 && low < 0xE000)
							c = 0x10000 + ((c - 0xD800) << 10) +
								(low - 0xDC00);
						else
							j->p = back;
					}
					json_text_put(j, (unsigned int) c);
					break;
				}
			default:
				return false;
		}
	}
	if (j->p >= j->end)
		return false;
	j->p++;
	*str = j->strings + start;
	*len = (uint32_t) (j->used - start);
	j->n_bytes += *len;
	return true;
}

static bool
json_text_value(JsonTextParser *j, const char *key, uint32_t key_len,
				int depth)
{
	uint32_t	self = j->n_nodes;
	LnJsonNode *node = json_text_node(j);
	uint32_t	count = 0;

	if (node == NULL)
		return false;
	node->key = key;
	node->key_len = key_len;
	json_text_space(j);
	if (j->p >= j->end)
		return false;

	if (*j->p == '{' || *j->p == '[')
	{
		bool		is_object = *j->p++ == '{';
		char		close = is_object ? '}' : ']';

		node->type = is_object ? LN_JSON_OBJECT : LN_JSON_ARRAY;
		if (depth >= LN_JSON_MAX_DEPTH)
		{
			j->refused = "json_too_deep";
			return false;
		}
		json_text_space(j);
		while (j->p < j->end && *j->p != close)
		{
			const char *name = NULL;
			uint32_t	name_len = 0;

			if (count > 0)
			{
				if (*j->p++ != ',')
					return false;
				json_text_space(j);
			}
			if (is_object)
			{
				if (!json_text_string(j, &name, &name_len))
					return false;
				json_text_space(j);
				if (j->p >= j->end || *j->p++ != ':')
					return false;
			}
			if (!json_text_value(j, name, name_len, depth + 1))
				return false;
			count++;
			json_text_space(j);
		}
		if (j->p >= j->end)
			return false;
		j->p++;
		j->nodes[self].count = count;
		j->nodes[self].end = j->n_nodes;
		return true;
	}
	if (*j->p == '"')
	{
		node->type = LN_JSON_STRING;
		return json_text_string(j, &node->str, &node->len);
	}
	if (j->end - j->p >= 4 && memcmp(j->p, "null", 4) == 0)
	{
		j->p += 4;
		return true;
	}
	if (j->end - j->p >= 4 && memcmp(j->p, "true", 4) == 0)
	{
		node->type = LN_JSON_TRUE;
		j->p += 4;
		return true;
	}
	if (j->end - j->p >= 5 && memcmp(j->p, "false", 5) == 0)
	{
		node->type = LN_JSON_FALSE;
		j->p += 5;
		return true;
	}

	node->type = LN_JSON_NUMBER;
	node->str = j->p;
	while (j->p < j->end && *j->p != '\0' &&
		   strchr("+-.0123456789Ee", *j->p) != NULL)
		j->p++;
	node->len = (uint32_t) (j->p - node->str);
	if (node->len == 0)
		return false;
	if (node->len > 50)
	{
		node->str = NULL;
		node->len = 0;
	}
	j->n_bytes += node->len;
	return true;
}

/* call json_text_free() in any case */
static bool
json_text_parse(JsonTextParser *j, const char *text, size_t len,
				LnJsonTree *tree)
{
	memset(j, 0, sizeof(*j));
	j->p = text;
	j->end = text + len;
	j->strings = malloc(len + 8);
	if (j->strings == NULL)
		abort();
	if (!json_text_value(j, NULL, 0, 0))
		return false;
	json_text_space(j);
	if (j->p != j->end)
		return false;
	tree->nodes = j->nodes;
	tree->n_nodes = j->n_nodes;
	tree->n_bytes = j->n_bytes;
	return true;
}

static void
json_text_free(JsonTextParser *j)
{
	free(j->strings);
	free(j->nodes);
}

#endif							/* LN_JSON_TEXT_H */
