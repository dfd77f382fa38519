/*-------------------------------------------------------------------------
 *
 * message_funcs.c
 *		The content rules, applied to jsonb: check_message(), and the entries
 *		for the outbox.
 *
 * The tree is built from the binary form of jsonb in one pass; its strings
 * point into the jsonb, so a typical message costs no allocation.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/syscache.h"

#include "base/name.h"
#include "become.h"
#include "compat.h"
#include "content/encoding.h"
#include "content/message_funcs.h"

/* enough for nearly every template message, 7 kB of stack */
#define STACK_NODES		128

/*
 * No jsonb above this can be a request of 2 MB: an element takes two bytes as
 * text ("1,") and at most twelve here.  Refused before it is decompressed.
 */
#define MAX_JSONB_BYTES	(16 * 1024 * 1024)

/* how many findings check_message() returns */
#define MAX_FINDINGS	100

/* how many warnings an INSERT reports, and a column names */
#define MAX_NOTICES		10

/* a number has to be within this and to have at most so many decimals */
#define MAX_NUMBER		INT64CONST(1000000000000000)
#define MAX_SCALE		30

typedef struct TreeBuilder
{
	LnJsonNode *nodes;
	uint32		n_nodes;
	uint32		room;
	size_t		n_bytes;
	int			encoding;		/* of the database */
	bool		number_fault;	/* some number was not written out */
	bool		text_fault;		/* some string is not UTF-8 */
	LnRule		fault;			/* why building stopped */
	LnJsonNode	on_stack[STACK_NODES];
} TreeBuilder;

PG_FUNCTION_INFO_V1(line_notify_check_message);
PG_FUNCTION_INFO_V1(line_notify_content_rules);
PG_FUNCTION_INFO_V1(line_notify_content_warnings);

static bool refuses_unknown(Datum channel);
static void check_context(FunctionCallInfo fcinfo);
static bool build_tree(TreeBuilder *b, Jsonb *jb, LnJsonTree *tree);
static bool add_container(TreeBuilder *b, JsonbContainer *jc, uint32 self,
						  int depth);
static LnJsonNode *add_node(TreeBuilder *b);
static void add_scalar(TreeBuilder *b, LnJsonNode *node, JEntry entry,
					   char *base, uint32 offset, uint32 len);
static void add_number(TreeBuilder *b, LnJsonNode *node, Numeric num);
static const char *to_utf8(TreeBuilder *b, const char *str, uint32 *len);
static void free_tree(TreeBuilder *b);
static const char *fault_message(LnRule rule);
static int	run_check(LnMessageKind kind, const char *template_key,
					  Jsonb *value, const char *unit, bool refuse_unknown,
					  LnContentFinding *first);
static void check_value(LnCheck *check, const char *template_key,
						Jsonb *value);
static void keep_first(void *arg, const LnFinding *finding);
static void append_warning(void *arg, const LnFinding *finding);
static void notice_warning(void *arg, const LnFinding *finding);
static void put_row(void *arg, const LnFinding *finding);
static void to_server(char *dst, size_t room, const char *src);

/*
 * check_message(kind, payload, use_case, channel)
 *		returns setof (severity, path, rule, message)
 */
Datum
line_notify_check_message(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	char	   *kind_name;
	LnMessageKind kind;
	LnCheck		check;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("kind and payload of a message must not be null")));
	kind_name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	if (strcmp(kind_name, "template") == 0)
		kind = LN_MESSAGE_TEMPLATE;
	else if (strcmp(kind_name, "flexible") == 0)
		kind = LN_MESSAGE_FLEXIBLE;
	else
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown kind of message: \"%s\"",
						ln_shown(kind_name)),
				 errhint("The kinds are \"template\" and \"flexible\".")));

	InitMaterializedSRF(fcinfo, 0);
	memset(&check, 0, sizeof(check));
	check.sink = put_row;
	check.arg = rsinfo;
	check.warnings = true;
	check.max_findings = MAX_FINDINGS;
	if (!PG_ARGISNULL(3))
		check.refuse_unknown = refuses_unknown(PG_GETARG_DATUM(3));

	if (toast_raw_datum_size(PG_GETARG_DATUM(1)) > MAX_JSONB_BYTES)
		ln_message_report(&check, LN_RULE_REQUEST_TOO_LARGE, "",
						  fault_message(LN_RULE_REQUEST_TOO_LARGE));
	else
	{
		TreeBuilder builder;
		LnJsonTree	tree;

		if (!build_tree(&builder, PG_GETARG_JSONB_P(1), &tree))
			ln_message_report(&check, builder.fault, "",
							  fault_message(builder.fault));
		else
		{
			if (builder.number_fault)
				ln_message_report(&check, LN_RULE_NUMBER_OUT_OF_RANGE, "",
								  fault_message(LN_RULE_NUMBER_OUT_OF_RANGE));
			ln_message_check_request(&check, kind, &tree);
			if (builder.text_fault)
				ln_message_report(&check, LN_RULE_INVALID_UTF8, "",
								  fault_message(LN_RULE_INVALID_UTF8));
		}
		free_tree(&builder);
	}

	if (!PG_ARGISNULL(2) || !PG_ARGISNULL(3))
		check_context(fcinfo);
	return (Datum) 0;
}

/* Whose our tables are: the owner of their schema. */
static Oid
our_owner(void)
{
	Oid			schema = get_namespace_oid("line_notify", false);
	HeapTuple	tuple = SearchSysCache1(NAMESPACEOID,
										ObjectIdGetDatum(schema));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for schema %u", schema);
	owner = ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner;
	ReleaseSysCache(tuple);
	return owner;
}

/*
 * Does the channel refuse what we do not know?  Raises when the caller may not
 * ask about it.
 */
static bool
refuses_unknown(Datum channel)
{
	Oid			types[2] = {TEXTOID, OIDOID};
	Datum		args[2];
	LnUser		caller;
	bool		isnull = true;
	bool		result = false;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	caller = ln_become(our_owner());
	args[0] = channel;
	args[1] = ObjectIdGetDatum(caller.id);
	if (SPI_execute_with_args("SELECT line_notify._refuses_unknown($1, $2)",
							  2, types, args, NULL, true, 1)
		!= SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "could not read a channel");
	ln_become_again(caller);
	result = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0],
										SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	return !isnull && result;
}

/*
 * What depends on the use case and the channel is asked in SQL, because the
 * catalogue and the channels are tables.
 */
static void
check_context(FunctionCallInfo fcinfo)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid			types[4] = {TEXTOID, JSONBOID, InvalidOid, TEXTOID};
	Datum		args[4];
	char		nulls[4];
	uint64		i;
	int			j;
	LnUser		caller;

	types[2] = get_fn_expr_argtype(fcinfo->flinfo, 2);
	for (j = 0; j < 4; j++)
	{
		args[j] = PG_GETARG_DATUM(j);
		nulls[j] = PG_ARGISNULL(j) ? 'n' : ' ';
	}
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	caller = ln_become(our_owner());
	if (SPI_execute_with_args("SELECT severity, path, rule, message"
							  " FROM line_notify._context_findings($1, $2, "
							  "$3, $4)",
							  4, types, args, nulls, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not check the context of a message");
	for (i = 0; i < SPI_processed; i++)
	{
		Datum		values[4];
		bool		isnull[4];

		for (j = 0; j < 4; j++)
			values[j] =
				SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc,
							  j + 1, &isnull[j]);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values,
							 isnull);
	}
	ln_become_again(caller);
	SPI_finish();
}

/*
 * content_rules() returns setof (rule, severity, fault, description)
 */
Datum
line_notify_content_rules(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	int			i;

	InitMaterializedSRF(fcinfo, 0);
	for (i = 0; i < LN_RULE_COUNT; i++)
	{
		const LnRuleInfo *info = &ln_message_rules[i];
		Datum		values[4];
		bool		nulls[4] = {false};

		values[0] = CStringGetTextDatum(info->name);
		values[1] = CStringGetTextDatum(info->severity == LN_SEVERITY_ERROR ?
										"error" : "warning");
		values[2] = CStringGetTextDatum(info->fault == LN_FAULT_STATEMENT ?
										"statement" : "row");
		values[3] = CStringGetTextDatum(info->description);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values,
							 nulls);
	}
	return (Datum) 0;
}

int
ln_check_template(const char *template_key, Jsonb *body,
				  const char *aggregation_unit, bool refuse_unknown,
				  LnContentFinding *first)
{
	return run_check(LN_MESSAGE_TEMPLATE, template_key, body, aggregation_unit,
					 refuse_unknown, first);
}

int
ln_check_flexible(Jsonb *messages, const char *aggregation_unit,
				  bool refuse_unknown, LnContentFinding *first)
{
	return run_check(LN_MESSAGE_FLEXIBLE, NULL, messages, aggregation_unit,
					 refuse_unknown, first);
}

static int
run_check(LnMessageKind kind, const char *template_key, Jsonb *value,
		  const char *unit, bool refuse_unknown, LnContentFinding *first)
{
	LnCheck		check;

	memset(&check, 0, sizeof(check));
	check.sink = keep_first;
	check.arg = first;
	check.first_only = true;
	check.max_findings = 2;
	check.refuse_unknown = refuse_unknown;

	if (unit != NULL)
		ln_message_check_unit(&check, unit, strlen(unit));
	if (value == NULL && kind == LN_MESSAGE_FLEXIBLE)
		ln_message_report(&check, LN_RULE_PROPERTY_MISSING, "messages",
						  "is required");
	else
		check_value(&check, template_key, value);
	return check.n_errors;
}

/*
 * The body of a template message, which may be NULL, or the messages of a
 * flexible one (without template_key).
 */
static void
check_value(LnCheck *check, const char *template_key, Jsonb *value)
{
	const char *where = template_key != NULL ? "body" : "messages";
	TreeBuilder builder;
	LnJsonTree	tree;

	if (value == NULL)
	{
		if (template_key != NULL)
			ln_message_check_template(check, template_key,
									  strlen(template_key), NULL);
		return;
	}
	if (!build_tree(&builder, value, &tree))
		ln_message_report(check, builder.fault, where,
						  fault_message(builder.fault));
	else
	{
		if (builder.number_fault)
			ln_message_report(check, LN_RULE_NUMBER_OUT_OF_RANGE, where,
							  fault_message(LN_RULE_NUMBER_OUT_OF_RANGE));
		if (template_key != NULL)
			ln_message_check_template(check, template_key,
									  strlen(template_key), &tree);
		else
			ln_message_check_messages(check, &tree);

		/* after the check, which may have said where */
		if (builder.text_fault)
			ln_message_report(check, LN_RULE_INVALID_UTF8, where,
							  fault_message(LN_RULE_INVALID_UTF8));
	}
	free_tree(&builder);
}

void
ln_notice_warnings(const char *template_key, Jsonb *value)
{
	LnCheck		check;

	memset(&check, 0, sizeof(check));
	check.sink = notice_warning;
	check.warnings = true;
	check.max_findings = MAX_NOTICES;
	check_value(&check, template_key, value);
}

/*
 * _content_warnings(template_key, body, messages): "rule at path; ...", NULL
 * for a content without findings, or without content.
 */
Datum
line_notify_content_warnings(PG_FUNCTION_ARGS)
{
	char	   *key = PG_ARGISNULL(0) ? NULL :
	text_to_cstring(PG_GETARG_TEXT_PP(0));
	int			n = key != NULL ? 1 : 2;
	StringInfoData buf;
	LnCheck		check;

	/* payload_retention may have taken the content */
	if (PG_ARGISNULL(n))
		PG_RETURN_NULL();
	initStringInfo(&buf);
	memset(&check, 0, sizeof(check));
	check.sink = append_warning;
	check.arg = &buf;
	check.warnings = true;
	check.max_findings = MAX_NOTICES;
	check_value(&check, key, PG_GETARG_JSONB_P(n));
	if (buf.len == 0)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text_with_len(buf.data, buf.len));
}

const LnJsonTree *
ln_message_tree(Jsonb *jb)
{
	TreeBuilder builder;
	LnJsonTree *tree = palloc(sizeof(LnJsonTree));
	LnJsonNode *nodes;

	if (!build_tree(&builder, jb, tree) || builder.text_fault)
	{
		free_tree(&builder);
		return NULL;
	}
	nodes = palloc(sizeof(LnJsonNode) * tree->n_nodes);
	memcpy(nodes, tree->nodes, sizeof(LnJsonNode) * tree->n_nodes);
	tree->nodes = nodes;
	free_tree(&builder);
	return tree;
}

/*
 * Builds the tree of a jsonb value.  False when it is refused, with the rule
 * in b->fault.  Call free_tree() in either case.
 */
static bool
build_tree(TreeBuilder *b, Jsonb *jb, LnJsonTree *tree)
{
	LnJsonNode *root;
	bool		ok;

	b->nodes = b->on_stack;
	b->room = STACK_NODES;
	b->n_nodes = 0;
	b->n_bytes = 0;
	b->encoding = GetDatabaseEncoding();
	b->number_fault = false;
	b->text_fault = false;

	if (VARSIZE(jb) > MAX_JSONB_BYTES)
	{
		b->fault = LN_RULE_REQUEST_TOO_LARGE;
		return false;
	}

	if (JB_ROOT_IS_SCALAR(jb))
	{
		/* an array of one element; its type is all that matters */
		JEntry		entry = jb->root.children[0];

		root = add_node(b);
		add_scalar(b, root, entry, (char *) &jb->root.children[1], 0,
				   JBE_OFFLENFLD(entry));
		ok = true;
	}
	else
	{
		root = add_node(b);
		root->type = JB_ROOT_IS_OBJECT(jb) ? LN_JSON_OBJECT : LN_JSON_ARRAY;
		ok = add_container(b, &jb->root, 0, 1);
	}

	tree->nodes = b->nodes;
	tree->n_nodes = b->n_nodes;
	tree->n_bytes = b->n_bytes;
	return ok;
}

/*
 * Adds what is in a container; nodes[self] is its own node.  Follows the
 * layout described in utils/jsonb.h: for an object, the entries of all keys
 * come before those of the values, and so do their bytes.
 */
static bool
add_container(TreeBuilder *b, JsonbContainer *jc, uint32 self, int depth)
{
	bool		is_object = JsonContainerIsObject(jc);
	uint32		count = JsonContainerSize(jc);
	uint32		n_entries = is_object ? count * 2 : count;
	char	   *base = (char *) &jc->children[n_entries];
	uint32		key_offset = 0;
	uint32		offset = is_object ? getJsonbOffset(jc, count) : 0;
	uint32		i;

	if (depth > LN_JSON_MAX_DEPTH)
	{
		b->fault = LN_RULE_JSON_TOO_DEEP;
		return false;
	}
	if (count > LN_JSON_MAX_NODES - b->n_nodes)
	{
		b->fault = LN_RULE_JSON_TOO_MANY_VALUES;
		return false;
	}

	for (i = 0; i < count; i++)
	{
		JEntry		entry = jc->children[is_object ? count + i : i];
		uint32		end = JBE_HAS_OFF(entry) ? JBE_OFFLENFLD(entry) :
		offset + JBE_OFFLENFLD(entry);
		uint32		index = b->n_nodes;
		LnJsonNode *node;

		if (index >= LN_JSON_MAX_NODES)
		{
			b->fault = LN_RULE_JSON_TOO_MANY_VALUES;
			return false;
		}
		node = add_node(b);
		if (is_object)
		{
			JEntry		key = jc->children[i];
			uint32		key_end = JBE_HAS_OFF(key) ? JBE_OFFLENFLD(key) :
			key_offset + JBE_OFFLENFLD(key);

			node->key_len = key_end - key_offset;
			node->key = to_utf8(b, base + key_offset, &node->key_len);
			b->n_bytes += node->key_len;
			key_offset = key_end;
		}

		if (JBE_ISCONTAINER(entry))
		{
			JsonbContainer *child =
			(JsonbContainer *) (base + INTALIGN(offset));

			node->type =
				JsonContainerIsObject(child) ? LN_JSON_OBJECT : LN_JSON_ARRAY;
			if (!add_container(b, child, index, depth + 1))
				return false;
		}
		else
			add_scalar(b, node, entry, base, offset, end - offset);
		offset = end;
	}
	b->nodes[self].count = count;
	b->nodes[self].end = b->n_nodes;
	return true;
}

static LnJsonNode *
add_node(TreeBuilder *b)
{
	LnJsonNode *node;

	if (b->n_nodes == b->room)
	{
		uint32		room = b->room * 4;

		if (b->nodes == b->on_stack)
		{
			b->nodes = palloc(room * sizeof(LnJsonNode));
			memcpy(b->nodes, b->on_stack, b->n_nodes * sizeof(LnJsonNode));
		}
		else
			b->nodes = repalloc(b->nodes, room * sizeof(LnJsonNode));
		b->room = room;
	}
	node = &b->nodes[b->n_nodes++];
	memset(node, 0, sizeof(*node));
	node->end = b->n_nodes;
	return node;
}

static void
add_scalar(TreeBuilder *b, LnJsonNode *node, JEntry entry, char *base,
		   uint32 offset, uint32 len)
{
	if (JBE_ISSTRING(entry))
	{
		node->type = LN_JSON_STRING;
		node->len = len;
		node->str = to_utf8(b, base + offset, &node->len);
		b->n_bytes += node->len;
	}
	else if (JBE_ISNUMERIC(entry))
		add_number(b, node, (Numeric) (base + INTALIGN(offset)));
	else
		node->type = JBE_ISBOOL_TRUE(entry) ? LN_JSON_TRUE :
			JBE_ISBOOL_FALSE(entry) ? LN_JSON_FALSE : LN_JSON_NULL;
}

/*
 * 1e131071 takes ten bytes in jsonb and 128 kB as text, so the size of a
 * number is looked at before it is written out.
 */
static void
add_number(TreeBuilder *b, LnJsonNode *node, Numeric num)
{
	static Numeric max = NULL;
	static Numeric min = NULL;
	Datum		d = NumericGetDatum(num);

	if (min == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		max = int64_to_numeric(MAX_NUMBER);
		min = int64_to_numeric(-MAX_NUMBER);
		MemoryContextSwitchTo(old);
	}

	node->type = LN_JSON_NUMBER;
	if (DatumGetBool(DirectFunctionCall2(numeric_gt, d,
										 NumericGetDatum(max))) ||
		DatumGetBool(DirectFunctionCall2(numeric_lt, d,
										 NumericGetDatum(min))) ||
		DatumGetInt32(DirectFunctionCall1(numeric_scale, d)) > MAX_SCALE)
	{
		b->number_fault = true;
		return;
	}
	node->str = DatumGetCString(DirectFunctionCall1(numeric_out, d));
	node->len = strlen(node->str);
	b->n_bytes += node->len;
}

/*
 * A string in UTF-8.  What cannot be (any bytes are a string in a SQL_ASCII
 * database) stays as it is and is noted.
 */
static const char *
to_utf8(TreeBuilder *b, const char *str, uint32 *len)
{
	const char *utf8;
	int			outlen;

	if (b->encoding == PG_UTF8)
		return str;
	utf8 = ln_encoding_to_utf8(str, *len, &outlen);
	if (utf8 == NULL || !pg_verify_mbstr(PG_UTF8, utf8, outlen, true))
	{
		b->text_fault = true;
		return str;
	}
	*len = outlen;
	return utf8;
}

static void
free_tree(TreeBuilder *b)
{
	if (b->nodes != b->on_stack)
		pfree(b->nodes);
}

static const char *
fault_message(LnRule rule)
{
	return ln_message_rules[rule].description;
}

/* is called for the first row fault, and after it for a statement fault */
static void
keep_first(void *arg, const LnFinding *finding)
{
	LnContentFinding *first = (LnContentFinding *) arg;
	const LnRuleInfo *info = &ln_message_rules[finding->rule];

	first->is_row_fault = info->fault == LN_FAULT_ROW;
	first->rule = info->name;
	to_server(first->path, sizeof(first->path), finding->path);
	to_server(first->message, sizeof(first->message), finding->message);
}

/* warnings only: the errors of a stored row were taken care of */
static void
append_warning(void *arg, const LnFinding *finding)
{
	StringInfo	buf = (StringInfo) arg;
	char		path[LN_FINDING_PATH_LEN];

	if (finding->severity == LN_SEVERITY_ERROR)
		return;
	to_server(path, sizeof(path), finding->path);
	appendStringInfo(buf, "%s%s", buf->len > 0 ? "; " : "",
					 ln_message_rules[finding->rule].name);
	if (path[0] != '\0')
		appendStringInfo(buf, " at %s", path);
}

static void
notice_warning(void *arg, const LnFinding *finding)
{
	char		path[LN_FINDING_PATH_LEN];
	char		message[LN_FINDING_MESSAGE_LEN];

	if (finding->severity == LN_SEVERITY_ERROR)
		return;
	to_server(path, sizeof(path), finding->path);
	to_server(message, sizeof(message), finding->message);
	ereport(NOTICE,
			(errmsg("content of a message: %s",
					ln_message_rules[finding->rule].name),
			 errdetail("%s%s%s.", path, path[0] ? ": " : "", message),
			 errhidestmt(true), errhidecontext(true)));
}

static void
put_row(void *arg, const LnFinding *finding)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) arg;
	const LnRuleInfo *info = &ln_message_rules[finding->rule];
	char		path[LN_FINDING_PATH_LEN];
	char		message[LN_FINDING_MESSAGE_LEN];
	Datum		values[4];
	bool		nulls[4] = {false};

	to_server(path, sizeof(path), finding->path);
	to_server(message, sizeof(message), finding->message);
	values[0] = CStringGetTextDatum(finding->severity == LN_SEVERITY_ERROR ?
									"error" : "warning");
	values[1] = CStringGetTextDatum(path);
	values[2] = CStringGetTextDatum(info->name);
	values[3] = CStringGetTextDatum(message);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

static void
to_server(char *dst, size_t room, const char *src)
{
	int			len;
	const char *str = ln_encoding_from_utf8(src, strlen(src), &len);

	if (str == NULL)
	{
		str = "?";
		len = 1;
	}
	len = pg_mbcliplen(str, len, room - 1);
	memcpy(dst, str, len);
	dst[len] = '\0';
}
