/*-------------------------------------------------------------------------
 *
 * message_check.h
 *		The mechanical content rules of LINE for notification messages.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_MESSAGE_CHECK_H
#define LN_MESSAGE_CHECK_H

#include "base/json_tree.h"

#define LN_FINDING_PATH_LEN		256
#define LN_FINDING_MESSAGE_LEN	240

typedef enum LnSeverity
{
	LN_SEVERITY_ERROR,
	LN_SEVERITY_WARNING
} LnSeverity;

typedef enum LnFault
{
	LN_FAULT_STATEMENT,			/* a mistake in the program */
	LN_FAULT_ROW				/* a value that comes from data */
} LnFault;

typedef enum LnRule
{
#define LN_RULE(symbol, name, severity, fault, description) LN_RULE_##symbol,
#include "content/message_rules.h"
#undef LN_RULE
	LN_RULE_COUNT
} LnRule;

typedef struct LnRuleInfo
{
	const char *name;
	LnSeverity	severity;
	LnFault		fault;
	const char *description;
} LnRuleInfo;

/* indexed by LnRule */
extern const LnRuleInfo ln_message_rules[LN_RULE_COUNT];

typedef enum LnMessageKind
{
	LN_MESSAGE_TEMPLATE,
	LN_MESSAGE_FLEXIBLE
} LnMessageKind;

/*
 * Path and message are valid UTF-8, whatever the input.  No message repeats a
 * value of the payload, which may be personal data; names of properties, keys
 * of the catalogue and types are repeated.
 */
typedef struct LnFinding
{
	LnRule		rule;
	LnSeverity	severity;		/* the rule's, or error where a channel
								 * refuses what we do not know */
	char		path[LN_FINDING_PATH_LEN];	/* messages[0].contents.body */
	char		message[LN_FINDING_MESSAGE_LEN];
} LnFinding;

typedef void (*LnFindingSink) (void *arg, const LnFinding *finding);

typedef struct LnCheck
{
	LnFindingSink sink;			/* called for each finding, in order */
	void	   *arg;
	bool		warnings;		/* look for warnings too? */
	bool		refuse_unknown; /* unknown properties and message types are
								 * errors */
	bool		first_only;		/* only the first finding of each fault goes
								 * to the sink, the others are counted */
	int			max_findings;	/* no more go to the sink */

	/* results, zero at the start */
	int			n_errors;
	int			n_findings;
	bool		seen[2];		/* indexed by LnFault */
} LnCheck;

/* LINE's request without "to" */
extern void ln_message_check_request(LnCheck *check, LnMessageKind kind,
									 const LnJsonTree *request);

/* the parts as the outbox has them; body may be NULL */
extern void ln_message_check_template(LnCheck *check, const char *key,
									  size_t keylen, const LnJsonTree *body);
extern void ln_message_check_messages(LnCheck *check,
									  const LnJsonTree *messages);
extern void ln_message_check_unit(LnCheck *check, const char *unit,
								  size_t len);

/*
 * for findings of who builds the tree, and of other checkers: path may be ""
 */
extern void ln_message_report(LnCheck *check, LnRule rule, const char *path,
							  const char *message);

#endif							/* LN_MESSAGE_CHECK_H */
