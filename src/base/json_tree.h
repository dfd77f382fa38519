/*-------------------------------------------------------------------------
 *
 * json_tree.h
 *		A parsed JSON value as one flat array of nodes.
 *
 * Nodes stand in the order of the text (preorder), so the subtree of node i is
 * nodes[i] .. nodes[i].end - 1, its first child is i + 1, and the sibling
 * after it starts at nodes[i].end.  Strings are not copied: they point into
 * whatever the builder read, which must live as long as the tree.
 *
 * Pure: no PostgreSQL, no allocation.  Who builds a tree is responsible for
 * the two bounds below; what walks one may recurse over its depth.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_JSON_TREE_H
#define LN_JSON_TREE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/*
 * A bubble of 30 kB that does nothing but nest boxes could reach 600 levels,
 * but what people design stays below 20.
 */
#define LN_JSON_MAX_DEPTH	100

/*
 * Five carousels of 50 kB have less than 60,000 values.  A request of 2 MB can
 * have a million, but only one that LINE refuses anyhow.
 */
#define LN_JSON_MAX_NODES	100000

typedef enum LnJsonType
{
	LN_JSON_NULL,
	LN_JSON_FALSE,
	LN_JSON_TRUE,
	LN_JSON_NUMBER,
	LN_JSON_STRING,
	LN_JSON_ARRAY,
	LN_JSON_OBJECT
} LnJsonType;

typedef struct LnJsonNode
{
	const char *key;			/* name in the parent object, UTF-8, not
								 * terminated; NULL elsewhere */
	const char *str;			/* string: its bytes, unescaped, UTF-8, not
								 * terminated; number: its decimal text, or
								 * NULL when that would be unreasonably long */
	uint32_t	key_len;
	uint32_t	len;			/* of str */
	uint32_t	end;			/* index after the last node of the subtree */
	uint32_t	count;			/* of children */
	LnJsonType	type;
} LnJsonNode;

typedef struct LnJsonTree
{
	const LnJsonNode *nodes;	/* nodes[0] is the root */
	uint32_t	n_nodes;		/* at least 1 */
	size_t		n_bytes;		/* sum of all key_len and len */
} LnJsonTree;

static inline bool
ln_json_key_is(const LnJsonNode *node, const char *key, size_t len)
{
	/* most names of one length differ in the first byte */
	return node->key_len == len &&
		(len == 0 ||
		 (node->key[0] == key[0] && memcmp(node->key, key, len) == 0));
}

/* the member of an object, 0 (the root, never a member) when there is none */
static inline uint32_t
ln_json_find(const LnJsonTree *tree, uint32_t object,
			 const char *key, size_t len)
{
	uint32_t	end = tree->nodes[object].end;
	uint32_t	i;

	if (tree->nodes[object].type != LN_JSON_OBJECT)
		return 0;
	for (i = object + 1; i < end; i = tree->nodes[i].end)
	{
		if (ln_json_key_is(&tree->nodes[i], key, len))
			return i;
	}
	return 0;
}

#endif							/* LN_JSON_TREE_H */
