/*-------------------------------------------------------------------------
 *
 * approval.h
 *		What a channel may send: approved use cases, approved designs, and the
 *		catalogue of template keys, kept in memory for the insert trigger.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_APPROVAL_H
#define LN_APPROVAL_H

#include "utils/jsonb.h"

typedef struct LnApprovals LnApprovals;

/* A message that a channel may not send. */
typedef struct LnRefusal
{
	const char *rule;			/* as check_message() calls it; static */
	const char *message;
	const char *detail;			/* or NULL */
	const char *hint;			/* or NULL */
} LnRefusal;

/*
 * Everything, in the current context.  SPI is connected, with the rights of
 * the owner of the tables; names and operators of pg_catalog only.
 */
extern LnApprovals *ln_approval_load(void);

/* the names of the tables that this reads */
#define LN_APPROVAL_TABLES	"approval", "design", "template_catalogue"

/*
 * May this be sent through the channel?  use_case may be invalid, template_key
 * is NULL for flexible messages, content is the body (may be NULL) or the
 * messages.  No SQL; the refusal is made in the current context.
 */
extern bool ln_approval_check(const LnApprovals *a, const char *channel,
							  const char *region, bool catalogue_only,
							  Oid use_case, const char *template_key,
							  Jsonb *content, LnRefusal *refusal);

#endif							/* LN_APPROVAL_H */
