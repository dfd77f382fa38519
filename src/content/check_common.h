/*-------------------------------------------------------------------------
 *
 * check_common.h
 *		What the files of the content checker share: where a finding is, the
 *		report of one, texts and addresses.
 *
 * Where a finding is, is known only while walking: each level of the walk has
 * a LnPathSegment on the stack that points to its parent's, and the text of a
 * path is put together when something is found, which is hardly ever.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_CHECK_COMMON_H
#define LN_CHECK_COMMON_H

#include "content/message_check.h"

/* string literal and its length, for ln_json_find() and others */
#define LIT(s)					(s), (sizeof(s) - 1)

/* no more elements of an over-long array are looked into */
#define LN_CHECK_MAX_LOOKED_AT	64

/* of template, item and button keys; ours: longer than any key seen */
#define LN_CHECK_MAX_KEY		64

typedef struct LnPathSegment
{
	const struct LnPathSegment *up;
	const char *key;			/* NULL: an array element */
	size_t		len;			/* of key */
	uint32_t	index;
} LnPathSegment;

typedef struct LnChecker
{
	LnCheck    *out;
	const LnJsonTree *tree;
} LnChecker;

/* what one pass over a text tells */
typedef struct LnTextFacts
{
	size_t		utf16;			/* length in UTF-16 units */
	size_t		clusters;		/* no text has fewer grapheme clusters */
	bool		blank;			/* nothing but blanks, or nothing */
	bool		invalid;		/* not UTF-8; the rest is unreliable then */
	bool		control;
	bool		tab_or_return;
	bool		line_break;
	bool		bidi;
} LnTextFacts;

/* how a text is treated */
#define TEXT_EMPTY_OK		0x01
#define TEXT_BLANK_OK		0x02
#define TEXT_BLANK_WARN		0x04	/* blank is a warning only */
#define TEXT_NO_BREAKS		0x08	/* warn of line breaks */
#define TEXT_CLUSTERS		0x10	/* LINE counts grapheme clusters */

/* what an address is for, which decides about its scheme */
typedef enum LnUrlUse
{
	LN_URL_TEMPLATE_BUTTON,		/* LINE documents no schemes */
	LN_URL_ACTION,				/* http, https, line, tel */
	LN_URL_FLEX_ACTION,			/* and those of apps */
	LN_URL_IMAGE				/* https */
} LnUrlUse;

extern uint32_t ln_check_get(LnChecker *c, const LnPathSegment *up,
							 uint32_t object, const char *key, size_t len,
							 LnJsonType type, bool required);
extern uint32_t ln_check_get_text(LnChecker *c, const LnPathSegment *up,
								  uint32_t object, const char *key,
								  size_t len, bool required);
extern bool ln_check_text(LnChecker *c, const LnPathSegment *seg,
						  uint32_t node, size_t max, int flags);
extern void ln_check_url(LnChecker *c, const LnPathSegment *seg,
						 uint32_t node, size_t max, LnUrlUse use);
extern bool ln_check_looks_for_unknown(const LnChecker *c);
extern bool ln_check_same_name(const char *a, size_t alen,
							   const char *b, size_t blen);
extern void ln_check_names(LnChecker *c, const LnPathSegment *seg,
						   uint32_t object, const char *names);
extern bool ln_check_may_exceed(const LnJsonTree *tree, size_t size);
extern size_t ln_check_json_size(const LnJsonTree *tree, uint32_t node);
extern void ln_check_scan(const char *str, size_t len, LnTextFacts *facts);
extern bool ln_check_is_hex(char ch);
extern bool ln_check_is_key(const char *str, size_t len, size_t max);
extern bool ln_check_string_is(const LnJsonNode *node,
							   const char *str, size_t len);
extern bool ln_check_in_list(const char *str, size_t len, const char *list);
extern void ln_check_report(LnChecker *c, const LnPathSegment *seg,
							LnRule rule, const char *fmt,...)
			__attribute__((format(printf, 4, 5)));

/* flexible_check.c: the messages of a flexible message */
extern void ln_flexible_check(LnChecker *c, const LnPathSegment *seg,
							  uint32_t list);

#endif							/* LN_CHECK_COMMON_H */
