/*-------------------------------------------------------------------------
 *
 * approval.c
 *		What a channel may send: approved use cases, approved designs, and the
 *		catalogue of template keys.
 *
 * LINE reviews each use case, and for flexible messages each design.  A
 * message outside of what was reviewed can cost the account, so it is refused
 * at the INSERT.  The insert trigger asks for every row of every COPY: it asks
 * a copy in memory, which falls together with that of the channels
 * (insert_trigger.c).
 *
 * check_message() says the same from the tables, in _context_findings().
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "base/name.h"
#include "compat.h"
#include "content/approval.h"
#include "content/design.h"
#include "content/encoding.h"
#include "content/message_check.h"
#include "content/message_funcs.h"
#include "content/use_case.h"

PG_FUNCTION_INFO_V1(line_notify_design_mismatch);
PG_FUNCTION_INFO_V1(line_notify_design_fault);

#define PATH_LEN	256

typedef struct Approval
{
	char	   *channel;
	Oid			use_case;
	bool		approved;
} Approval;

typedef struct Design
{
	char	   *channel;
	char	   *name;
	Oid			use_case;
	bool		approved;
	const LnJsonTree *skeleton; /* NULL: not one that we can read */
} Design;

/* sorted by kind, key, region */
typedef struct Key
{
	char	   *kind;
	char	   *key;
	char	   *region;
} Key;

static const char approvals_hint[] =
"View line_notify.approvals lists what was approved; "
"line_notify.set_approval() changes it.";

struct LnApprovals
{
	Approval   *approvals;
	int			napprovals;
	Design	   *designs;
	int			ndesigns;
	Key		   *keys;
	int			nkeys;
};

static int	read_table(const char *sql);
static char *text_column(MemoryContext context, int row, int col);
static Oid	oid_column(int row, int col);
static int	compare_keys(const void *a, const void *b);
static bool check_use_case(const LnApprovals *a, const char *channel,
						   Oid use_case, bool is_template, LnRefusal *refusal);
static bool check_designs(const LnApprovals *a, const char *channel,
						  Oid use_case, Jsonb *messages, LnRefusal *refusal);
static bool check_keys(const LnApprovals *a, const char *region,
					   const char *template_key, Jsonb *body,
					   LnRefusal *refusal);
static bool check_key(const LnApprovals *a, const char *kind,
					  const char *region, const char *key, const char *path,
					  LnRefusal *refusal);
static bool check_member(const LnApprovals *a, const char *kind,
						 const char *region, const LnJsonTree *tree,
						 uint32_t object, const char *member,
						 LnRefusal *refusal);
static const char *use_case_name(Oid use_case);
static char *server_text(const char *utf8, int len);

LnApprovals *
ln_approval_load(void)
{
	MemoryContext context = CurrentMemoryContext;
	LnApprovals *a = palloc0(sizeof(LnApprovals));

	a->napprovals = read_table(
							   "SELECT channel, status, use_case FROM "
							   "line_notify.approval");
	a->approvals = MemoryContextAllocZero(context, sizeof(Approval) *
										  Max(a->napprovals, 1));
	for (int i = 0; i < a->napprovals; i++)
	{
		a->approvals[i].channel = text_column(context, i, 1);
		a->approvals[i].approved =
			strcmp(text_column(context, i, 2), "approved") == 0;
		a->approvals[i].use_case = oid_column(i, 3);
	}
	SPI_freetuptable(SPI_tuptable);

	a->ndesigns = read_table(
							 "SELECT channel, status, use_case, name, "
							 "skeleton FROM line_notify.design ORDER BY "
							 "channel, name");
	a->designs =
		MemoryContextAllocZero(context, sizeof(Design) * Max(a->ndesigns, 1));
	for (int i = 0; i < a->ndesigns; i++)
	{
		Design	   *d = &a->designs[i];
		bool		isnull;
		HeapTuple	tuple = SPI_tuptable->vals[i];
		Datum		skeleton =
		SPI_getbinval(tuple, SPI_tuptable->tupdesc, 5, &isnull);
		MemoryContext old;
		uint32_t	where;

		d->channel = text_column(context, i, 1);
		d->approved = strcmp(text_column(context, i, 2), "approved") == 0;
		d->use_case = oid_column(i, 3);
		d->name = text_column(context, i, 4);
		old = MemoryContextSwitchTo(context);
		d->skeleton =
			ln_message_tree((Jsonb *) PG_DETOAST_DATUM_COPY(skeleton));
		if (d->skeleton != NULL &&
			ln_design_fault(d->skeleton, &where) != NULL)
			d->skeleton = NULL;
		MemoryContextSwitchTo(old);
	}
	SPI_freetuptable(SPI_tuptable);

	a->nkeys = read_table(
						  "SELECT kind, key, region FROM "
						  "line_notify.template_catalogue");
	a->keys = MemoryContextAllocZero(context, sizeof(Key) * Max(a->nkeys, 1));
	for (int i = 0; i < a->nkeys; i++)
	{
		a->keys[i].kind = text_column(context, i, 1);
		a->keys[i].key = text_column(context, i, 2);
		a->keys[i].region = text_column(context, i, 3);
	}
	SPI_freetuptable(SPI_tuptable);
	qsort(a->keys, a->nkeys, sizeof(Key), compare_keys);
	return a;
}

static int
read_table(const char *sql)
{
	int			rc = SPI_execute(sql, true, 0);

	if (rc != SPI_OK_SELECT)
		elog(ERROR, "could not read what was approved: %s",
			 SPI_result_code_string(rc));
	return (int) SPI_processed;
}

static char *
text_column(MemoryContext context, int row, int col)
{
	char	   *value =
	SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, col);

	return MemoryContextStrdup(context, value != NULL ? value : "");
}

static Oid
oid_column(int row, int col)
{
	bool		isnull;
	HeapTuple	tuple = SPI_tuptable->vals[row];
	Datum		value = SPI_getbinval(tuple, SPI_tuptable->tupdesc, col,
									  &isnull);

	return isnull ? InvalidOid : DatumGetObjectId(value);
}

static int
compare_keys(const void *a, const void *b)
{
	const Key  *x = (const Key *) a;
	const Key  *y = (const Key *) b;
	int			c = strcmp(x->kind, y->kind);

	if (c == 0)
		c = strcmp(x->key, y->key);
	return c != 0 ? c : strcmp(x->region, y->region);
}

bool
ln_approval_check(const LnApprovals *a, const char *channel,
				  const char *region, bool catalogue_only, Oid use_case,
				  const char *template_key, Jsonb *content,
				  LnRefusal *refusal)
{
	memset(refusal, 0, sizeof(*refusal));
	if (a->napprovals > 0 &&
		!check_use_case(a, channel, use_case, template_key != NULL, refusal))
		return false;
	if (template_key == NULL)
		return a->ndesigns == 0 ||
			check_designs(a, channel, use_case, content, refusal);
	return !catalogue_only ||
		check_keys(a, region, template_key, content, refusal);
}

/* Channels without any row have not told us what was approved. */
static bool
check_use_case(const LnApprovals *a, const char *channel, Oid use_case,
			   bool is_template, LnRefusal *refusal)
{
	bool		any = false;

	for (int i = 0; i < a->napprovals; i++)
	{
		const Approval *p = &a->approvals[i];

		if (strcmp(p->channel, channel) != 0)
			continue;
		any = true;
		if (p->use_case != use_case)
			continue;
		if (p->approved)
			return true;
		refusal->rule = "use_case_suspended";
		refusal->message =
			psprintf("use case %s of channel \"%s\" is suspended",
					 use_case_name(use_case), channel);
		refusal->hint = approvals_hint;
		return false;
	}
	/* a template implies its use case, which was reviewed with it */
	if (!any || (is_template && !OidIsValid(use_case)))
		return true;
	refusal->rule = "use_case_not_approved";
	refusal->message =
		OidIsValid(use_case)
		? psprintf("use case %s is not approved for channel \"%s\"",
				   use_case_name(use_case), channel)
		: psprintf(
				   "a message through channel \"%s\" needs an approved use "
				   "case",
				   channel);
	refusal->hint = approvals_hint;
	return false;
}

/* Use cases without a design are free in their form. */
static bool
check_designs(const LnApprovals *a, const char *channel, Oid use_case,
			  Jsonb *messages, LnRefusal *refusal)
{
	const LnJsonTree *tree = NULL;
	const Design *nearest = NULL;
	uint32_t	furthest = 0;
	bool		any = false;
	char		path[PATH_LEN];

	for (int i = 0; i < a->ndesigns; i++)
	{
		const Design *d = &a->designs[i];
		uint32_t	where;

		if (d->use_case != use_case || strcmp(d->channel, channel) != 0)
			continue;
		any = true;
		if (!d->approved || d->skeleton == NULL)
			continue;
		if (tree == NULL)
			tree = ln_message_tree(messages);
		if (tree == NULL)
			break;				/* refused by the content rules already */
		if (ln_design_matches(d->skeleton, tree, &where))
			return true;
		if (nearest == NULL || where > furthest)
		{
			nearest = d;
			furthest = where;
		}
	}
	if (!any)
		return true;
	refusal->rule = "design_not_approved";
	refusal->message =
		psprintf("message has no approved design of use case %s",
				 use_case_name(use_case));
	if (nearest != NULL)
	{
		ln_design_path(tree, furthest, path, sizeof(path));
		refusal->detail =
			psprintf("It differs from design \"%s\" at messages%s.",
					 nearest->name, path);
	}
	else
		refusal->detail = "Every design of the use case is suspended.";
	refusal->hint = "View line_notify.designs lists what was approved; "
		"line_notify.set_design() changes it.";
	return false;
}

/* A channel that takes listed keys only. */
static bool
check_keys(const LnApprovals *a, const char *region, const char *template_key,
		   Jsonb *body, LnRefusal *refusal)
{
	static const struct
	{
		const char *list;
		const char *kind;
		const char *member;
	}			lists[] = {
		{"items", "item", "itemKey"},
		{"buttons", "button", "buttonKey"},
	};
	const LnJsonTree *tree;
	uint32_t	object;

	if (!check_key(a, "template", region, template_key, "templateKey",
				   refusal))
		return false;
	if (body == NULL || (tree = ln_message_tree(body)) == NULL)
		return true;
	object = ln_json_find(tree, 0, "emphasizedItem", 14);
	if (object != 0 &&
		!check_member(a, "item", region, tree, object, "itemKey", refusal))
		return false;
	for (int i = 0; i < (int) lengthof(lists); i++)
	{
		uint32_t	list =
		ln_json_find(tree, 0, lists[i].list, strlen(lists[i].list));
		uint32_t	end = list == 0 ? 0 : tree->nodes[list].end;

		if (list == 0 || tree->nodes[list].type != LN_JSON_ARRAY)
			continue;
		for (uint32_t j = list + 1; j < end; j = tree->nodes[j].end)
			if (!check_member(a, lists[i].kind, region, tree, j,
							  lists[i].member, refusal))
				return false;
	}
	return true;
}

static bool
check_member(const LnApprovals *a, const char *kind,
			 const char *region, const LnJsonTree *tree,
			 uint32_t object, const char *member,
			 LnRefusal *refusal)
{
	uint32_t	node = ln_json_find(tree, object, member, strlen(member));
	char		path[PATH_LEN];

	if (node == 0 || tree->nodes[node].type != LN_JSON_STRING)
		return true;
	ln_design_path(tree, node, path, sizeof(path));
	return check_key(a, kind, region,
					 server_text(tree->nodes[node].str, tree->nodes[node].len),
					 psprintf("body.%s", path), refusal);
}

static bool
check_key(const LnApprovals *a, const char *kind, const char *region,
		  const char *key, const char *path, LnRefusal *refusal)
{
	Key			want;

	want.kind = unconstify(char *, kind);
	want.key = unconstify(char *, key);
	want.region = unconstify(char *, region);
	if (bsearch(&want, a->keys, a->nkeys, sizeof(Key), compare_keys) != NULL)
		return true;
	refusal->rule = kind[0] == 't' ? "template_key_unlisted" :
		kind[0] == 'i' ? "item_key_unlisted" : "button_key_unlisted";
	refusal->message =
		psprintf("%s key \"%s\" is not in the catalogue", kind,
				 ln_shown(key));
	refusal->detail =
		psprintf("%s: the channel takes the listed keys of region %s only.",
				 path, region);
	refusal->hint = "Add it to line_notify.template_catalogue, or switch "
		"catalogue_only of the channel off.";
	return false;
}

static const char *
use_case_name(Oid use_case)
{
	if (!OidIsValid(use_case))
		return "(none)";
	return ln_use_case_key(use_case);
}

static char *
server_text(const char *utf8, int len)
{
	int			outlen;
	const char *str = ln_encoding_from_utf8(utf8, len, &outlen);

	return str == NULL ? pstrdup("?") : pnstrdup(str, outlen);
}

/*
 * design_mismatch(messages, skeleton) returns text: where messages differ from
 * a design, NULL when they match it
 */
Datum
line_notify_design_mismatch(PG_FUNCTION_ARGS)
{
	const LnJsonTree *messages = ln_message_tree(PG_GETARG_JSONB_P(0));
	const LnJsonTree *skeleton = ln_message_tree(PG_GETARG_JSONB_P(1));
	const char *fault;
	char		path[PATH_LEN];
	uint32_t	where;

	if (messages == NULL || skeleton == NULL)
		ereport(
				ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg(
						"messages or design are too large, too deep, or no "
						"UTF-8")));
	fault = ln_design_fault(skeleton, &where);
	if (fault != NULL)
	{
		ln_design_path(skeleton, where, path, sizeof(path));
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid design"),
				 errdetail("messages%s: %s.", path, fault)));
	}
	if (ln_design_matches(skeleton, messages, &where))
		PG_RETURN_NULL();
	ln_design_path(messages, where, path, sizeof(path));
	PG_RETURN_TEXT_P(cstring_to_text(psprintf("messages%s", path)));
}

/*
 * _design_fault(skeleton) returns text: what is wrong with a design, or NULL
 */
Datum
line_notify_design_fault(PG_FUNCTION_ARGS)
{
	const LnJsonTree *skeleton = ln_message_tree(PG_GETARG_JSONB_P(0));
	const char *fault;
	char		path[PATH_LEN];
	uint32_t	where;

	if (skeleton == NULL)
		PG_RETURN_TEXT_P(
						 cstring_to_text("it is too large, too deep, or no "
										 "UTF-8"));
	fault = ln_design_fault(skeleton, &where);
	if (fault == NULL)
		PG_RETURN_NULL();
	ln_design_path(skeleton, where, path, sizeof(path));
	PG_RETURN_TEXT_P(cstring_to_text(psprintf("messages%s: %s", path, fault)));
}
