/*-------------------------------------------------------------------------
 *
 * message_funcs.h
 *		The content rules, applied to jsonb.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_MESSAGE_FUNCS_H
#define LN_MESSAGE_FUNCS_H

#include "utils/jsonb.h"

#include "content/message_check.h"

/* path and message are in the encoding of the database */
typedef struct LnContentFinding
{
	bool		is_row_fault;	/* park the row instead of an ERROR */
	char		path[LN_FINDING_PATH_LEN];	/* "" for the message as a whole */
	const char *rule;			/* static */
	char		message[LN_FINDING_MESSAGE_LEN];
} LnContentFinding;

/*
 * What the outbox checks at INSERT: errors only, no warnings; refuse_unknown
 * makes errors of properties and message types that we do not know.  Return
 * the number of errors and, when there is one, the first in *first: the first
 * statement fault if there is any, else the first row fault.  No SPI, no
 * catalogue access (but for conversions in databases that are not UTF8), no
 * result memory.
 *
 * The names of aggregation units are ASCII; aggregation_unit may be NULL, and
 * so may body.  notification_disabled is a boolean column, and LINE takes it
 * for flexible messages, so there is nothing to check about it.
 */
extern int	ln_check_template(const char *template_key, Jsonb *body,
							  const char *aggregation_unit,
							  bool refuse_unknown, LnContentFinding *first);
extern int	ln_check_flexible(Jsonb *messages, const char *aggregation_unit,
							  bool refuse_unknown, LnContentFinding *first);

/* A NOTICE for each warning about a content that has passed the above. */
extern void ln_notice_warnings(const char *template_key, Jsonb *value);

/*
 * The tree of a jsonb value in the current context; NULL when it is too large
 * or too deep, or not UTF-8.  Its strings may point into jb.
 */
extern const LnJsonTree *ln_message_tree(Jsonb *jb);

#endif							/* LN_MESSAGE_FUNCS_H */
