/*-------------------------------------------------------------------------
 *
 * enqueue_trigger.c
 *		Trigger function for business tables: a changed order becomes a
 *		message.
 *
 * The one trigger argument is a JSON object, the rule.  It reads as the
 * message it makes: its members are columns of the outbox, and {column} in any
 * string stands for a column of the row.
 *
 *		CREATE TRIGGER tell AFTER UPDATE OF status ON orders FOR EACH ROW
 *		WHEN (NEW.status = 'shipped')
 *		EXECUTE FUNCTION line_notify.enqueue_trigger('{
 *			"use_case": "shipment_completed",
 *			"phone": "{phone}",
 *			"dedup_key": "shipped-{order_no}",
 *			"template_key": "shipment_completed_ja",
 *			"body": {"items": [{"itemKey": "date_002_ja",
 *								"content": "{shipped_on:date}"}]}}');
 *
 *	{column}			the value; when it is NULL, the whole string is null
 *	{column?}			optional: when it is NULL, the array element around it
 *						(the item, the button) is left out; outside of arrays,
 *						an empty text
 *	{column:format}		date, time, datetime, number or money, as people of
 *	{column:format:XX}	region XX, or with currency XX, write it
 *	{{ and }}			braces
 *
 * A string that is nothing but one {column} of type jsonb stands for that
 * value.  Everything else is text, and goes into the payload as a JSON string:
 * no value can change the structure of a message.
 *
 * A value that comes from a column and that its member cannot take (a priority
 * of "urgent", an unknown region, a time that is none) is a fault of that row:
 * on_invalid decides, and by default the order is kept and the message parked.
 * What the rule itself says wrongly is an ERROR.
 *
 * An UPDATE that moves a row to another partition fires DELETE there and
 * INSERT here.  The former is recognized and sends nothing; the latter cannot
 * be told from a new row, so a rule for INSERT needs a dedup_key there.
 *
 * An UPDATE sends only when a used column has changed.  Used are those of the
 * rule, of UPDATE OF and of WHEN, or instead those of the member "watch".  The
 * column of a trace is not: it changes with each UPDATE.
 *
 * The INSERT runs with the rights of the owner of the table, as the queries of
 * foreign keys do: who updates orders needs no grant.  What names the columns
 * and the texts is written by who may create triggers on the table and execute
 * this function, so that is not for PUBLIC.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/tupdesc.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/bitmapset.h"
#include "nodes/primnodes.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/datum.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "base/crypto.h"
#include "become.h"
#include "compat.h"
#include "content/format_funcs.h"
#include "content/use_case.h"
#include "db/message_columns.h"
#include "db/policy.h"
#include "db/soft_input.h"
#include "enqueue/insert_trigger.h"
#include "guc.h"
#include "phone/phone.h"

PG_FUNCTION_INFO_V1(line_notify_enqueue_trigger);

/* members of a rule, in the order of the parameters of the INSERT */
#define FIELD(name, type)	FIELD_##name,
typedef enum RuleField
{
	LN_MESSAGE_COLUMNS(FIELD, FIELD, FIELD)
	NFIELDS
} RuleField;
#undef FIELD

static const char *const field_names[NFIELDS] = {
	LN_MESSAGE_COLUMNS(LN_COLUMN_STRING, LN_COLUMN_STRING, LN_COLUMN_STRING)
};
static const char *const field_types[NFIELDS] = {
	LN_MESSAGE_COLUMNS(LN_TYPE_STRING, LN_TYPE_STRING, LN_TYPE_STRING)
};

/* members that are JSON, and not text */
#define IS_JSON(field)	(strcmp(field_types[field], "jsonb") == 0)

typedef enum PartFormat
{
	FORMAT_PLAIN,
	FORMAT_DATE,
	FORMAT_TIME,
	FORMAT_DATETIME,
	FORMAT_NUMBER,
	FORMAT_MONEY
} PartFormat;

static const char *const format_names[] = {
	"", "date", "time", "datetime", "number", "money"
};

/* A literal text, or a place for a column. */
typedef struct Part
{
	char	   *literal;		/* NULL: a column */
	int			attno;
	Oid			type;
	bool		optional;		/* {column?} */
	PartFormat	format;
	char	   *format_argument;	/* region or currency, or NULL */
	FmgrInfo	output;
} Part;

typedef struct Template
{
	int			nparts;
	Part	   *parts;
} Template;

/* A value of the rule. */
typedef struct RuleNode
{
	enum
	{
		NODE_SCALAR,			/* number, boolean, null: as it is */
		NODE_STRING,
		NODE_ARRAY,
		NODE_OBJECT
	}			kind;
	JsonbValue	scalar;
	Template	string;
	int			nchildren;
	struct RuleNode *children;
	char	  **keys;			/* of an object */
	bool		is_data;		/* a column decides what it is: the place of
								 * one, for body and messages of a jsonb
								 * column */
} RuleNode;

typedef struct Rule
{
	RuleNode   *fields[NFIELDS];	/* NULL: not given */
	Bitmapset  *used;			/* columns whose change sends */
	int			nreference;
	Part	   *reference;		/* columns of the primary key */
	bool		content_is_data;	/* what kind of message it is, a column
									 * decides */
	Oid			use_case_type;
	Oid			owner;
} Rule;

/* While a rule is read. */
typedef struct RuleReader
{
	Rule	   *rule;
	TriggerData *trigdata;
	TupleDesc	desc;
	bool		is_watched;		/* does a change of what it names send? */
} RuleReader;

static Rule *read_rule(TriggerData *trigdata, MemoryContext context);
static void read_node(RuleReader *r, RuleNode *node,
					  JsonbContainer *container);
static void read_value(RuleReader *r, RuleNode *node, JsonbValue *value);
static void read_template(RuleReader *r, Template *t, const char *text);
static void read_column(RuleReader *r, Part *part, int attno);
static void read_place(RuleReader *r, Part *part, char *place);
static int	find_column(RuleReader *r, const char *name);
pg_noreturn static void rule_fault(TriggerData *trigdata, int sqlstate,
								   const char *detail, const char *hint);

static bool has_column(const RuleNode *node, bool json_only);
static const Part *jsonb_part(const RuleNode *node);
static bool is_changed(const Rule *rule, TupleDesc desc, TupleTableSlot *old,
					   TupleTableSlot *new);
static char *fill_template(const Template *t, TupleTableSlot *row);
static char *part_text(const Part *part, Datum value);
static Datum call_format(PGFunction function, int nargs, Datum value,
						 const char *argument, bool *isnull);
static bool is_left_out(const RuleNode *node, TupleTableSlot *row);
static JsonbValue *push_node(JsonbParseState **state, const RuleNode *node,
							 JsonbIteratorToken as, TupleTableSlot *row);
static Datum fill_json(const RuleNode *node, TupleTableSlot *row,
					   bool *isnull);
static char *fill_text(const RuleNode *node, TupleTableSlot *row);
static char *reference_of(const Rule *rule, TupleTableSlot *row);
static const char *cell_fault(const Rule *rule, RuleField field,
							  const char *text);
static void insert(TriggerData *trigdata, const Rule *rule, const char *fault,
				   Datum *values, char *nulls);
static char *insert_statement(void);
static char *all_fields(void);
static void add_context(void *arg);

Datum
line_notify_enqueue_trigger(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	HeapTuple	old;
	Rule	   *rule;
	TupleTableSlot *row;
	TupleDesc	desc;
	Datum		values[NFIELDS];
	char		nulls[NFIELDS];
	const char *fault = NULL;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_AFTER(trigdata->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigdata->tg_event))
		ereport(
				ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg(
						"function must be called as an AFTER trigger for each row")));

	/*
	 * what replication or a restore brings was sent from where it comes from
	 */
	if (SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA ||
		!ln_guc_enqueue)
		PG_RETURN_POINTER(NULL);

	/* not deleted: on its way to another partition */
	old = trigdata->tg_trigtuple;
	if (TRIGGER_FIRED_BY_DELETE(trigdata->tg_event) &&
		HeapTupleHeaderIndicatesMovedPartitions(old->t_data))
		PG_RETURN_POINTER(NULL);

	/*
	 * Read once per statement: function and table stay as they are that long,
	 * so there is nothing to invalidate.
	 */
	rule = (Rule *) fcinfo->flinfo->fn_extra;
	if (rule == NULL)
	{
		rule = read_rule(trigdata, fcinfo->flinfo->fn_mcxt);
		fcinfo->flinfo->fn_extra = rule;
	}

	desc = RelationGetDescr(trigdata->tg_relation);
	row = trigdata->tg_trigslot;
	if (TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
	{
		row = trigdata->tg_newslot;
		if (!is_changed(rule, desc, trigdata->tg_trigslot, row))
			PG_RETURN_POINTER(NULL);
	}

	for (int i = 0; i < NFIELDS; i++)
	{
		const RuleNode *node = rule->fields[i];
		bool		isnull = true;

		values[i] = (Datum) 0;
		if (IS_JSON(i))
		{
			if (node != NULL)
				values[i] = fill_json(node, row, &isnull);
		}
		else
		{
			char	   *text = node != NULL ? fill_text(node, row) :
			i == FIELD_reference ? reference_of(rule, row) : NULL;

			if (text != NULL && node != NULL && node->is_data)
			{
				const char *wrong = cell_fault(rule, i, text);

				if (wrong != NULL)
				{
					if (fault == NULL)
						fault = wrong;
					text = NULL;
				}
			}
			if (text != NULL)
			{
				values[i] = CStringGetTextDatum(text);
				isnull = false;
			}
		}
		nulls[i] = isnull ? 'n' : ' ';
	}
	if (nulls[FIELD_phone] == ' ' && nulls[FIELD_recipient] == ' ' &&
		(rule->fields[FIELD_phone]->is_data ||
		 rule->fields[FIELD_recipient]->is_data))
	{
		fault = "recipient: given beside phone";
		nulls[FIELD_recipient] = 'n';
	}
	if (nulls[FIELD_policy] == ' ' && rule->fields[FIELD_policy]->is_data)
	{
		LnPolicy	policy;
		const char *member;
		const char *wrong;

		if (!ln_policy_read(DatumGetJsonbP(values[FIELD_policy]), &policy,
							&member, &wrong))
		{
			fault = "policy: invalid";
			nulls[FIELD_policy] = 'n';
		}
	}
	insert(trigdata, rule, fault, values, nulls);
	PG_RETURN_POINTER(NULL);
}

/*
 * What is wrong with a value that came from a column, or NULL.  A name and a
 * reason, and never the value itself: it may be somebody's number.
 */
static const char *
cell_fault(const Rule *rule, RuleField field, const char *text)
{
	size_t		len = strlen(text);
	TimestampTz at;
	int64		us;
	int			n;
	bool		b;

	switch (field)
	{
		case FIELD_region:
			return ln_phone_region_id(text, len) < 0 ? "region: unknown"
				: NULL;
		case FIELD_recipient:
			return ln_is_sha256_hex(text) ? NULL
				: "recipient: no SHA-256 hash";
		case FIELD_use_case:
			return OidIsValid(ln_use_case_parse(text, len, rule->use_case_type,
												true))
				? NULL
				: "use_case: unknown";
		case FIELD_notification_disabled:
			return parse_bool(text, &b) ? NULL
				: "notification_disabled: no boolean";
		case FIELD_priority:
			return ln_soft_integer(text, &n) && n >= LN_MIN_PRIORITY &&
				n <= LN_MAX_PRIORITY
				? NULL
				: psprintf("priority: no number from %d to %d",
						   LN_MIN_PRIORITY, LN_MAX_PRIORITY);
		case FIELD_send_after:
			return ln_soft_timestamptz(text, &at) && at != DT_NOEND
				? NULL
				: "send_after: not a finite time";
		case FIELD_expires_at:
			return ln_soft_timestamptz(text, &at) && at != DT_NOEND
				? NULL
				: "expires_at: not a finite time";
		case FIELD_spread:
			return ln_soft_interval(text, &us) && us >= 0 &&
				us <= 366 * USECS_PER_DAY
				? NULL
				: "spread: no interval from 0 to 366 days";
		case FIELD_dedup_key:
			return len < 1 || len > LN_MAX_KEY ? "dedup_key: empty or too long"
				: NULL;
		case FIELD_order_key:
			return len < 1 || len > LN_MAX_KEY ? "order_key: empty or too long"
				: NULL;
		case FIELD_on_duplicate:
			return strcmp(text, "ignore") != 0 && strcmp(text, "replace") != 0
				? "on_duplicate: neither ignore nor replace"
				: NULL;
		default:
			return NULL;
	}
}

/*
 * INSERT with the rights of the table's owner.  An error restores them, as it
 * does for foreign keys.
 */
static void
insert(TriggerData *trigdata, const Rule *rule, const char *fault,
	   Datum *values, char *nulls)
{
	static SPIPlanPtr plan = NULL;
	ErrorContextCallback context;
	LnUser		former;
	int			rc;

	context.callback = add_context;
	context.arg = trigdata;
	context.previous = error_context_stack;
	error_context_stack = &context;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	former = ln_become(rule->owner);
	if (plan == NULL)
	{
		Oid			types[NFIELDS];
		SPIPlanPtr	made;

		for (int i = 0; i < NFIELDS; i++)
			types[i] = IS_JSON(i) ? JSONBOID : TEXTOID;
		made = SPI_prepare(insert_statement(), NFIELDS, types);
		if (made == NULL)
			elog(ERROR, "could not prepare the insertion of a message: %s",
				 SPI_result_code_string(SPI_result));
		if (SPI_keepplan(made) != 0)
			elog(ERROR,
				 "could not keep the plan for the insertion of a message");
		plan = made;
	}
	if (fault != NULL || rule->content_is_data)
		ln_enqueue_tell(fault, rule->content_is_data);
	rc = SPI_execute_plan(plan, values, nulls, false, 0);
	if (rc != SPI_OK_INSERT)
		elog(ERROR, "could not insert a message: %s",
			 SPI_result_code_string(rc));
	ln_become_again(former);
	SPI_finish();
	error_context_stack = context.previous;
}

/*
 * The insertion of a message: its parameters are texts, or jsonb, in the order
 * of RuleField.  It runs under the caller's search_path: every name in it says
 * its schema.
 */
static char *
insert_statement(void)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "INSERT INTO line_notify.outbox (%s) VALUES (",
					 all_fields());
	for (int i = 0; i < NFIELDS; i++)
	{
		if (i > 0)
			appendStringInfoString(&sql, ", ");
		if (i == FIELD_use_case)
			appendStringInfo(&sql, "line_notify.to_use_case($%d)", i + 1);
		else if (i == FIELD_priority)
			appendStringInfo(&sql, "coalesce($%d::pg_catalog.int2, '0'::pg_catalog.int2)",
							 i + 1);
		else
			appendStringInfo(&sql, "$%d::pg_catalog.%s", i + 1,
							 field_types[i]);
	}
	appendStringInfoChar(&sql, ')');
	return sql.data;
}

/* "channel, phone, ..." */
static char *
all_fields(void)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < NFIELDS; i++)
		appendStringInfo(&list, "%s%s", i > 0 ? ", " : "", field_names[i]);
	return list.data;
}

static void
add_context(void *arg)
{
	TriggerData *trigdata = (TriggerData *) arg;

	errcontext(
			   "message of trigger \"%s\" of table \"%s\", sent with the rights of the table's owner",
			   trigdata->tg_trigger->tgname,
			   RelationGetRelationName(trigdata->tg_relation));
}

/* ---- the rule ---- */

static void
rule_fault(TriggerData *trigdata, int sqlstate, const char *detail,
		   const char *hint)
{
	ereport(ERROR, (errcode(sqlstate),
					errmsg("invalid rule of trigger \"%s\" of table \"%s\"",
						   trigdata->tg_trigger->tgname,
						   RelationGetRelationName(trigdata->tg_relation)),
					errdetail("%s", detail), hint ? errhint("%s", hint) : 0));
	pg_unreachable();
}

static Rule *
read_rule(TriggerData *trigdata, MemoryContext context)
{
	Trigger    *trigger = trigdata->tg_trigger;
	MemoryContext old;
	RuleReader	r;
	Rule	   *rule;
	Datum		argument;
	Jsonb	   *json;
	JsonbIterator *it;
	JsonbValue	v;
	JsonbIteratorToken tok;
	Bitmapset  *watch = NULL;
	bool		has_watch = false;

	if (trigger->tgnargs != 1)
		rule_fault(trigdata, ERRCODE_INVALID_PARAMETER_VALUE,
				   psprintf("The trigger has %d arguments.", trigger->tgnargs),
				   "The one argument is a JSON object: {\"use_case\": ..., \"phone\": \"{column}\", ...}.");

	old = MemoryContextSwitchTo(context);
	rule = palloc0(sizeof(Rule));
	rule->owner = trigdata->tg_relation->rd_rel->relowner;
	r.rule = rule;
	r.trigdata = trigdata;
	r.desc = RelationGetDescr(trigdata->tg_relation);

	argument = CStringGetDatum(trigger->tgargs[0]);
	json = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, argument));
	if (!JB_ROOT_IS_OBJECT(json))
		rule_fault(trigdata, ERRCODE_INVALID_PARAMETER_VALUE,
				   "The rule is not a JSON object.", NULL);

	it = JsonbIteratorInit(&json->root);
	(void) JsonbIteratorNext(&it, &v, true);
	while (JsonbIteratorNext(&it, &v, true) == WJB_KEY)
	{
		char	   *key = pnstrdup(v.val.string.val, v.val.string.len);
		RuleNode   *node = palloc0(sizeof(RuleNode));
		int			field;

		(void) JsonbIteratorNext(&it, &v, true);
		if (strcmp(key, "watch") == 0)
		{
			JsonbIterator *names;
			JsonbValue	name;
			char	   *column;

			if (v.type != jbvBinary ||
				!JsonContainerIsArray(v.val.binary.data))
				rule_fault(trigdata, ERRCODE_INVALID_PARAMETER_VALUE,
						   "Member \"watch\" is not an array of column names.",
						   NULL);
			names = JsonbIteratorInit(v.val.binary.data);
			while ((tok = JsonbIteratorNext(&names, &name, true)) != WJB_DONE)
			{
				if (tok != WJB_ELEM)
					continue;
				if (name.type != jbvString)
					rule_fault(trigdata, ERRCODE_INVALID_PARAMETER_VALUE,
							   "Member \"watch\" is not an array of column names.", NULL);
				column = pnstrdup(name.val.string.val, name.val.string.len);
				watch = bms_add_member(watch, find_column(&r, column));
			}
			has_watch = true;
			continue;
		}
		for (field = 0; field < NFIELDS; field++)
			if (strcmp(key, field_names[field]) == 0)
				break;
		if (field == NFIELDS)
			rule_fault(trigdata, ERRCODE_INVALID_PARAMETER_VALUE,
					   psprintf("\"%s\" is not a member of a rule.", key),
					   psprintf("Members are %s and watch.", all_fields()));
		/* each UPDATE has a trace of its own */
		r.is_watched = field != FIELD_traceparent;
		read_value(&r, node, &v);
		if (!IS_JSON(field) &&
			node->kind != NODE_SCALAR && node->kind != NODE_STRING)
			rule_fault(
					   trigdata, ERRCODE_INVALID_PARAMETER_VALUE,
					   psprintf("Member \"%s\" is neither a string nor a number.",
								key),
					   NULL);
		rule->fields[field] = node;
		node->is_data =
			has_column(node, IS_JSON(field) && field != FIELD_policy);
		if (node->is_data &&
			(field == FIELD_use_case || field == FIELD_template_key ||
			 field == FIELD_aggregation_unit || field == FIELD_body ||
			 field == FIELD_messages))
			rule->content_is_data = true;
	}
	rule->use_case_type = GetSysCacheOid2(
										  TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum("use_case"),
										  ObjectIdGetDatum(get_namespace_oid("line_notify", false)));
	if (rule->fields[FIELD_phone] == NULL &&
		rule->fields[FIELD_recipient] == NULL)
		rule_fault(trigdata, ERRCODE_INVALID_PARAMETER_VALUE,
				   "The rule says neither \"phone\" nor \"recipient\".",
				   "Name the column with the telephone number: \"phone\": \"{column}\".");

	/*
	 * what UPDATE OF and WHEN look at; a WHEN clause is often all about
	 * status
	 */
	for (int i = 0; i < trigger->tgnattr; i++)
		rule->used = bms_add_member(rule->used, trigger->tgattr[i]);
	if (trigger->tgqual != NULL)
	{
		Node	   *qual = stringToNode(trigger->tgqual);
		Bitmapset  *vars = NULL;
		int			x = -1;

		pull_varattnos(qual, PRS2_OLD_VARNO, &vars);
		pull_varattnos(qual, PRS2_NEW_VARNO, &vars);
		while ((x = bms_next_member(vars, x)) >= 0)
		{
			int			attno = x + FirstLowInvalidHeapAttributeNumber;

			if (attno > 0)
				rule->used = bms_add_member(rule->used, attno);
			else if (attno == 0)	/* the whole row */
				for (int a = 1; a <= r.desc->natts; a++)
					rule->used = bms_add_member(rule->used, a);
		}
	}
	if (has_watch)
		rule->used = watch;

	{
		Bitmapset  *key =
		RelationGetIndexAttrBitmap(trigdata->tg_relation,
								   INDEX_ATTR_BITMAP_PRIMARY_KEY);
		int			x = -1;

		rule->reference = palloc0(sizeof(Part) * Max(bms_num_members(key), 1));
		while ((x = bms_next_member(key, x)) >= 0)
			read_column(&r, &rule->reference[rule->nreference++],
						x + FirstLowInvalidHeapAttributeNumber);
	}
	MemoryContextSwitchTo(old);
	return rule;
}

/*
 * Does a column have a say in it?  json_only: a jsonb column, which can be
 * anything.
 */
static bool
has_column(const RuleNode *node, bool json_only)
{
	if (node->kind == NODE_STRING)
	{
		for (int i = 0; i < node->string.nparts; i++)
			if (node->string.parts[i].literal == NULL &&
				(!json_only || jsonb_part(node) != NULL))
				return true;
	}
	for (int i = 0; i < node->nchildren; i++)
		if (has_column(&node->children[i], json_only))
			return true;
	return false;
}

static void
read_value(RuleReader *r, RuleNode *node, JsonbValue *value)
{
	check_stack_depth();
	switch (value->type)
	{
		case jbvString:
			node->kind = NODE_STRING;
			read_template(r, &node->string,
						  pnstrdup(value->val.string.val,
								   value->val.string.len));
			break;
		case jbvBinary:
			read_node(r, node, value->val.binary.data);
			break;
		default:
			node->kind = NODE_SCALAR;
			node->scalar = *value;
			break;
	}
}

static void
read_node(RuleReader *r, RuleNode *node, JsonbContainer *container)
{
	JsonbIterator *it = JsonbIteratorInit(container);
	JsonbValue	v;
	JsonbIteratorToken tok;
	int			n = JsonContainerSize(container);
	int			i = 0;

	node->kind = JsonContainerIsObject(container) ? NODE_OBJECT : NODE_ARRAY;
	node->children = palloc0(sizeof(RuleNode) * Max(n, 1));
	node->keys = palloc0(sizeof(char *) * Max(n, 1));
	while ((tok = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		if (tok == WJB_KEY)
			node->keys[i] = pnstrdup(v.val.string.val, v.val.string.len);
		else if (tok == WJB_VALUE || tok == WJB_ELEM)
			read_value(r, &node->children[i++], &v);
	}
	node->nchildren = i;
}

static void
read_template(RuleReader *r, Template *t, const char *text)
{
	StringInfoData literal;
	const char *p = text;
	int			max_parts = 1;

	for (const char *q = text; *q != '\0'; q++)
		if (*q == '{')
			max_parts += 2;
	t->parts = palloc0(sizeof(Part) * max_parts);
	initStringInfo(&literal);
	for (;;)
	{
		if (*p == '\0' || (*p == '{' && p[1] != '{'))
		{
			const char *end;

			if (literal.len > 0)
			{
				t->parts[t->nparts++].literal = pstrdup(literal.data);
				resetStringInfo(&literal);
			}
			if (*p == '\0')
				break;
			end = strchr(p, '}');
			if (end == NULL)
				rule_fault(
						   r->trigdata, ERRCODE_INVALID_PARAMETER_VALUE,
						   psprintf(
									"There is an opening brace without a closing one in \"%s\".",
									text),
						   "A brace that stands for itself is doubled: {{ and }}.");
			read_place(r, &t->parts[t->nparts++],
					   pnstrdup(p + 1, end - p - 1));
			p = end + 1;
			continue;
		}
		/* no server encoding uses the bytes of braces within a character */
		appendStringInfoChar(&literal, *p);
		p += (p[0] == '{' || p[0] == '}') && p[1] == p[0] ? 2 : 1;
	}
	pfree(literal.data);
}

static int
find_column(RuleReader *r, const char *name)
{
	int			attno = SPI_fnumber(r->desc, name);

	if (attno <= 0)
		rule_fault(r->trigdata, ERRCODE_UNDEFINED_COLUMN,
				   psprintf("Column \"%s\" does not exist.", name),
				   "Column names are written as they are, without quotes; a brace that stands for itself is doubled: {{ and }}.");
	/* 18: computed when read, and a trigger has only what is stored */
	if (TupleDescAttr(r->desc, attno - 1)->attgenerated == 'v')
		rule_fault(r->trigdata, ERRCODE_FEATURE_NOT_SUPPORTED,
				   psprintf("Column \"%s\" is a virtual generated column.",
							name),
				   "Make it a stored one.");
	return attno;
}

static void
read_column(RuleReader *r, Part *part, int attno)
{
	Oid			output;
	bool		varlena;

	part->attno = attno;
	part->type = getBaseType(TupleDescAttr(r->desc, attno - 1)->atttypid);
	getTypeOutputInfo(part->type, &output, &varlena);
	fmgr_info_cxt(output, &part->output, CurrentMemoryContext);
}

/*
 * What stands between braces: column, column?, column:format,
 * column:format:argument.
 */
static void
read_place(RuleReader *r, Part *part, char *place)
{
	char	   *format = NULL;
	int			len = strlen(place);

	if (SPI_fnumber(r->desc, place) <= 0)
	{
		if (len > 0 && place[len - 1] == '?')
		{
			part->optional = true;
			place[len - 1] = '\0';
		}
		format = strchr(place, ':');
		if (format != NULL)
			*format++ = '\0';
	}
	read_column(r, part, find_column(r, place));
	if (r->is_watched)
		r->rule->used = bms_add_member(r->rule->used, part->attno);

	if (format != NULL)
	{
		bool		fits;

		part->format_argument = strchr(format, ':');
		if (part->format_argument != NULL)
			*part->format_argument++ = '\0';
		part->format = FORMAT_DATE;
		while (part->format <= FORMAT_MONEY &&
			   strcmp(format, format_names[part->format]) != 0)
			part->format++;
		switch (part->format)
		{
			case FORMAT_DATE:
				fits = part->type == DATEOID || part->type == TIMESTAMPOID;
				break;
			case FORMAT_TIME:
				fits = part->type == TIMEOID || part->type == TIMESTAMPOID;
				break;
			case FORMAT_DATETIME:
				fits = part->type == TIMESTAMPTZOID;
				break;
			case FORMAT_NUMBER:
			case FORMAT_MONEY:
				fits = part->type == INT2OID || part->type == INT4OID ||
					part->type == INT8OID || part->type == NUMERICOID;
				break;
			default:
				rule_fault(r->trigdata, ERRCODE_INVALID_PARAMETER_VALUE,
						   psprintf("There is no format \"%s\".", format),
						   "Formats are date, time, datetime, number and money.");
		}
		if (!fits)
			rule_fault(
					   r->trigdata, ERRCODE_DATATYPE_MISMATCH,
					   psprintf(
								"Format \"%s\" does not fit type %s of column \"%s\".",
								format, format_type_be(part->type), place),
					   "date takes date and timestamp, time takes time and timestamp, datetime takes timestamptz, number and money take integers and numeric.");
	}
}

/* ---- filling it in ---- */

static bool
is_changed(const Rule *rule, TupleDesc desc, TupleTableSlot *old,
		   TupleTableSlot *new)
{
	int			attno = -1;

	while ((attno = bms_next_member(rule->used, attno)) >= 0)
	{
		Form_pg_attribute att = TupleDescAttr(desc, attno - 1);
		bool		old_null;
		bool		new_null;
		Datum		old_value = slot_getattr(old, attno, &old_null);
		Datum		new_value = slot_getattr(new, attno, &new_null);

		if (old_null != new_null)
			return true;
		if (!old_null &&
			!datum_image_eq(old_value, new_value, att->attbyval, att->attlen))
			return true;
	}
	return false;
}

/* The text, or NULL when a column that is not optional is. */
static char *
fill_template(const Template *t, TupleTableSlot *row)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < t->nparts; i++)
	{
		const Part *part = &t->parts[i];
		char	   *text = part->literal;

		if (text == NULL)
		{
			bool		isnull;
			Datum		value = slot_getattr(row, part->attno, &isnull);

			if (!isnull)
				text = part_text(part, value);

			if (text == NULL && !part->optional)
				return NULL;
		}
		if (text != NULL)
			appendStringInfoString(&buf, text);
	}
	return buf.data;
}

/*
 * A value as text, independent of the session's DateStyle and the like; NULL
 * when the format has no text for it, such as for infinity.
 */
static char *
part_text(const Part *part, Datum value)
{
	const char *arg = part->format_argument;
	char		buf[MAXDATELEN + 1];
	bool		isnull;
	char	   *str;

	switch (part->format)
	{
		case FORMAT_PLAIN:
			switch (part->type)
			{
				case DATEOID:
				case TIMESTAMPOID:
				case TIMESTAMPTZOID:
				case TIMEOID:
				case TIMETZOID:
					return pstrdup(JsonEncodeDateTime(buf, value, part->type,
													  NULL));
				case BPCHAROID:
					str = OutputFunctionCall(unconstify(FmgrInfo *,
														&part->output),
											 value);
					for (int len = strlen(str); len > 0 && str[len - 1] == ' ';
						 len--)
						str[len - 1] = '\0';
					return str;
				default:
					return OutputFunctionCall(unconstify(FmgrInfo *,
														 &part->output),
											  value);
			}
		case FORMAT_DATE:
			if (part->type == TIMESTAMPOID)
			{
				if (TIMESTAMP_NOT_FINITE(DatumGetTimestamp(value)))
					return NULL;
				value = DirectFunctionCall1(timestamp_date, value);
			}
			value = call_format(line_notify_format_date, 3, value,
								arg ? arg : "JP", &isnull);
			break;
		case FORMAT_TIME:
			if (part->type == TIMESTAMPOID)
			{
				if (TIMESTAMP_NOT_FINITE(DatumGetTimestamp(value)))
					return NULL;
				value = DirectFunctionCall1(timestamp_time, value);
			}
			value = call_format(line_notify_format_time, 2, value,
								arg ? arg : "JP", &isnull);
			break;
		case FORMAT_DATETIME:
			value = call_format(line_notify_format_datetime, 3, value,
								arg ? arg : "JP", &isnull);
			break;
		case FORMAT_NUMBER:
		case FORMAT_MONEY:
			if (part->type == INT2OID)
				value = DirectFunctionCall1(int2_numeric, value);
			else if (part->type == INT4OID)
				value = DirectFunctionCall1(int4_numeric, value);
			else if (part->type == INT8OID)
				value = DirectFunctionCall1(int8_numeric, value);
			if (part->format == FORMAT_MONEY)
				value = call_format(line_notify_format_money, 2, value,
									arg ? arg : "JPY", &isnull);
			else
				value = call_format(line_notify_format_number, 1, value, NULL,
									&isnull);
			break;
		default:
			elog(ERROR, "unknown format %d", (int) part->format);
	}
	return isnull ? NULL : TextDatumGetCString(value);
}

/*
 * A function of format.c, which may answer NULL; the third argument is the
 * style.
 */
static Datum
call_format(PGFunction function, int nargs, Datum value,
			const char *argument, bool *isnull)
{
	LOCAL_FCINFO(fcinfo, 3);
	Datum		result;

	InitFunctionCallInfoData(*fcinfo, NULL, nargs, InvalidOid, NULL, NULL);
	for (int i = 0; i < nargs; i++)
	{
		fcinfo->args[i].value =
			i == 0 ? value : CStringGetTextDatum(i == 1 ? argument : "long");
		fcinfo->args[i].isnull = false;
	}
	result = function(fcinfo);
	*isnull = fcinfo->isnull;
	return result;
}

/*
 * Is an optional column of this array element NULL?  Arrays within it are on
 * their own.
 */
static bool
is_left_out(const RuleNode *node, TupleTableSlot *row)
{
	if (node->kind == NODE_STRING)
	{
		for (int i = 0; i < node->string.nparts; i++)
		{
			const Part *part = &node->string.parts[i];

			if (part->literal == NULL && part->optional)
			{
				bool		isnull;

				(void) slot_getattr(row, part->attno, &isnull);
				if (isnull)
					return true;
			}
		}
	}
	else if (node->kind == NODE_OBJECT)
	{
		for (int i = 0; i < node->nchildren; i++)
			if (is_left_out(&node->children[i], row))
				return true;
	}
	return false;
}

/* The jsonb column that a string is nothing but the place of; NULL: none. */
static const Part *
jsonb_part(const RuleNode *node)
{
	if (node->kind == NODE_STRING && node->string.nparts == 1 &&
		node->string.parts[0].literal == NULL &&
		node->string.parts[0].type == JSONBOID)
		return &node->string.parts[0];
	return NULL;
}

static JsonbValue *
push_node(JsonbParseState **state, const RuleNode *node,
		  JsonbIteratorToken as, TupleTableSlot *row)
{
	JsonbValue	v;
	const Part *json = jsonb_part(node);
	char	   *text;

	if (node->kind == NODE_ARRAY || node->kind == NODE_OBJECT)
	{
		bool		is_object = node->kind == NODE_OBJECT;

		(void) pushJsonbValue(state,
							  is_object ? WJB_BEGIN_OBJECT : WJB_BEGIN_ARRAY,
							  NULL);
		for (int i = 0; i < node->nchildren; i++)
		{
			if (is_object)
			{
				v.type = jbvString;
				v.val.string.val = node->keys[i];
				v.val.string.len = strlen(node->keys[i]);
				(void) pushJsonbValue(state, WJB_KEY, &v);
			}
			else if (is_left_out(&node->children[i], row))
				continue;
			(void) push_node(state, &node->children[i],
							 is_object ? WJB_VALUE : WJB_ELEM, row);
		}
		return pushJsonbValue(state,
							  is_object ? WJB_END_OBJECT : WJB_END_ARRAY,
							  NULL);
	}

	v.type = jbvNull;
	if (node->kind == NODE_SCALAR)
		v = node->scalar;
	else if (json != NULL)
	{
		bool		isnull;
		Datum		value = slot_getattr(row, json->attno, &isnull);

		if (!isnull)
		{
			Jsonb	   *jb = DatumGetJsonbP(value);

			if (JB_ROOT_IS_SCALAR(jb))
				(void) JsonbExtractScalar(&jb->root, &v);
			else
			{
				v.type = jbvBinary;
				v.val.binary.data = &jb->root;
				v.val.binary.len = VARSIZE_ANY_EXHDR(jb);
			}
		}
	}
	else if ((text = fill_template(&node->string, row)) != NULL)
	{
		v.type = jbvString;
		v.val.string.val = text;
		v.val.string.len = strlen(text);
	}
	return pushJsonbValue(state, as, &v);
}

/* body or messages */
static Datum
fill_json(const RuleNode *node, TupleTableSlot *row, bool *isnull)
{
	JsonbParseState *state = NULL;
	const Part *json = jsonb_part(node);
	JsonbValue	v;

	*isnull = false;
	if (json != NULL)
		return slot_getattr(row, json->attno, isnull);
	if (node->kind == NODE_ARRAY || node->kind == NODE_OBJECT)
		return JsonbPGetDatum(JsonbValueToJsonb(push_node(&state, node,
														  WJB_ELEM, row)));

	*isnull = node->kind == NODE_SCALAR && node->scalar.type == jbvNull;

	/* a scalar is no message: let the content check say so, of any but null */
	v.type = jbvBool;
	v.val.boolean = false;
	return JsonbPGetDatum(JsonbValueToJsonb(&v));
}

/* The other fields. */
static char *
fill_text(const RuleNode *node, TupleTableSlot *row)
{
	JsonbValue	v;
	Datum		number;

	if (node->kind == NODE_STRING)
		return fill_template(&node->string, row);
	v = node->scalar;
	switch (v.type)
	{
		case jbvNumeric:
			number = NumericGetDatum(v.val.numeric);
			return DatumGetCString(DirectFunctionCall1(numeric_out, number));
		case jbvBool:
			return pstrdup(v.val.boolean ? "true" : "false");
		default:
			return NULL;
	}
}

/* The primary key, its columns in the order of the table. */
static char *
reference_of(const Rule *rule, TupleTableSlot *row)
{
	StringInfoData buf;

	if (rule->nreference == 0)
		return NULL;
	initStringInfo(&buf);
	for (int i = 0; i < rule->nreference; i++)
	{
		const Part *part = &rule->reference[i];
		bool		isnull;
		Datum		value = slot_getattr(row, part->attno, &isnull);

		if (buf.len > 0)
			appendStringInfoChar(&buf, ',');
		if (!isnull)
			appendStringInfoString(&buf, part_text(part, value));
	}
	return buf.data;
}
