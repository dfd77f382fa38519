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
	char	   *message;
	char	   *detail;			/* or NULL */
	char	   *hint;			/* or NULL */
} LnRefusal;

/*
 * Everything, in the current context.  SPI is connected, with the rights of
 * the owner of the tables; names and operators of pg_catalog only.
 */
extern LnApprovals *ln_approval_load(void);

/* Is a change of this relation one of what was loaded? */
extern bool ln_approval_depends_on(const LnApprovals *a, Oid relid);

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
