/*-------------------------------------------------------------------------
 *
 * messages_view.c
 *		INSERT into view messages: the outbox for ORMs.
 *
 * Libraries that map objects to rows want their row back, with its id, also
 * when it was a duplicate and nothing was inserted; a table cannot do that.
 *
 * The INSTEAD OF trigger puts the row into the outbox without SQL: what the
 * executor does for an INSERT of one row, BEFORE triggers (ours among them),
 * generated columns, constraints, indexes and AFTER triggers, is one function
 * that PostgreSQL has for logical replication.  No privilege on the outbox is
 * needed: the trigger there asks whether the role may send.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "become.h"
#include "compat.h"
#include "content/use_case.h"
#include "db/message_columns.h"
#include "db/sql.h"
#include "enqueue/insert_trigger.h"

PG_FUNCTION_INFO_V1(line_notify_messages_insert);

/*
 * What an INSERT may say.  The others are the answer; "id" is among these for
 * those who choose it (the outbox decides who may).
 */
static const char *const inputs[] = {
	"id",
	LN_MESSAGE_COLUMNS(LN_COLUMN_STRING, LN_COLUMN_STRING, LN_COLUMN_STRING)
};

/* what is not said back, since it points to a person */
static const char *const secrets[] = {"phone", "recipient"};

/*
 * An empty text is what many languages have for a field that nobody set.  Not
 * for keys: one that was computed to nothing must not pass unseen.
 */
static const char *const never_empty[] = {"dedup_key", "order_key"};

/* One column of the view, and where it is in the outbox. */
typedef struct ViewColumn
{
	int			outbox;			/* attribute number; 0 = it is not there */
	bool		is_input;
	bool		may_be_empty;	/* a text, and '' is no value */
	bool		is_secret;
	bool		is_use_case;	/* text in the view, an enum in the outbox */
	bool		is_state;
} ViewColumn;

/* Once per statement. */
typedef struct View
{
	Oid			outbox;
	int			natts;			/* of the view */
	ViewColumn *columns;
	int			id;				/* attribute numbers in the view */
	int			state;
	TupleDesc	outbox_desc;	/* a copy */
	ExprState **defaults;		/* of columns of the outbox, or NULL */

	/*
	 * For the insertion.  Relations are open during one row only, since
	 * nobody tells us in time when the statement ends: at an error, the
	 * references are gone before our memory is.  What is made from them is
	 * kept, or each row would parse constraints.
	 */
	EState	   *estate;
	ResultRelInfo *info;
	TupleTableSlot *slot;
	int			nindexes;
	Oid		   *indexes;
} View;

static void hide_statement(void *arg);
static View *describe(Relation view, MemoryContext context);
static Relation open_outbox(View *v);
static void close_outbox(View *v, Relation outbox);
static bool is_one_of(const char *name, const char *const *list, int n);
static void fill_outbox_row(const View *v, TupleTableSlot *slot,
							EState *estate, const Datum *values,
							const bool *nulls);
static HeapTuple answer(const View *v, TupleDesc desc, TupleTableSlot *slot,
						Datum *values, bool *nulls);
static HeapTuple existing(int64 id, Oid owner, TupleDesc desc, const View *v,
						  Datum *values, bool *nulls);

Datum
line_notify_messages_insert(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	View	   *v = (View *) fcinfo->flinfo->fn_extra;
	TupleDesc	desc;
	Datum	   *values;
	bool	   *nulls;
	Relation	outbox;
	MemoryContext old;
	ErrorContextCallback callback;
	HeapTuple	result;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_INSTEAD(trigdata->tg_event) ||
		!TRIGGER_FIRED_BY_INSERT(trigdata->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function must be called as an INSTEAD OF INSERT trigger")));
	if (v == NULL)
	{
		v = describe(trigdata->tg_relation, fcinfo->flinfo->fn_mcxt);
		fcinfo->flinfo->fn_extra = v;
	}
	callback.callback = hide_statement;
	callback.arg = NULL;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	desc = RelationGetDescr(trigdata->tg_relation);
	values = palloc(sizeof(Datum) * v->natts);
	nulls = palloc(sizeof(bool) * v->natts);
	heap_deform_tuple(trigdata->tg_trigtuple, desc, values, nulls);

	outbox = open_outbox(v);
	ResetPerTupleExprContext(v->estate);
	fill_outbox_row(v, v->slot, v->estate, values, nulls);
	ItemPointerSetInvalid(&v->slot->tts_tid);

	/* what is looked up at the first row must last */
	old = MemoryContextSwitchTo(v->estate->es_query_cxt);
	ExecSimpleRelationInsert(v->info, v->estate, v->slot);
	MemoryContextSwitchTo(old);

	if (ItemPointerIsValid(&v->slot->tts_tid))
		result = answer(v, desc, v->slot, values, nulls);
	else
		result = existing(ln_enqueue_duplicate_of(),
						  outbox->rd_rel->relowner, desc, v, values, nulls);
	close_outbox(v, outbox);
	error_context_stack = callback.previous;
	return PointerGetDatum(result);
}

/* The statement of any error here has the number of the message. */
static void
hide_statement(void *arg)
{
	errhidestmt(true);
	errhidecontext(true);
}

static Relation
open_outbox(View *v)
{
	Relation	outbox = table_open(v->outbox, RowExclusiveLock);
	List	   *indexes = RelationGetIndexList(outbox);

	if (v->info == NULL)
	{
		MemoryContext old =
		MemoryContextSwitchTo(v->estate->es_query_cxt);

		v->info = makeNode(ResultRelInfo);
		InitResultRelInfo(v->info, outbox, 0, NULL, 0);
		ExecOpenIndices(v->info, false);
		v->nindexes = v->info->ri_NumIndices;
		v->indexes = palloc(sizeof(Oid) * Max(v->nindexes, 1));
		for (int i = 0; i < v->nindexes; i++)
			v->indexes[i] =
				RelationGetRelid(v->info->ri_IndexRelationDescs[i]);
		v->slot = MakeSingleTupleTableSlot(v->outbox_desc,
										   table_slot_callbacks(outbox));
		MemoryContextSwitchTo(old);
	}
	else
	{
		/* only this very transaction can have done that */
		if (RelationGetNumberOfAttributes(outbox) != v->outbox_desc->natts ||
			list_length(indexes) != v->nindexes)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_IN_USE),
					 errmsg("table line_notify.outbox was altered by a statement that inserts into it")));
		v->info->ri_RelationDesc = outbox;
		for (int i = 0; i < v->nindexes; i++)
			v->info->ri_IndexRelationDescs[i] =
				index_open(v->indexes[i], RowExclusiveLock);
	}
	list_free(indexes);
	return outbox;
}

static void
close_outbox(View *v, Relation outbox)
{
	ExecClearTuple(v->slot);
	ExecCloseIndices(v->info);
	table_close(outbox, NoLock);
}

static View *
describe(Relation view, MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	TupleDesc	desc = RelationGetDescr(view);
	View	   *v = palloc0(sizeof(View));
	Relation	outbox;
	TupleDesc	outbox_desc;

	v->outbox = get_relname_relid("outbox", RelationGetNamespace(view));
	if (!OidIsValid(v->outbox))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table line_notify.outbox is missing")));
	outbox = table_open(v->outbox, RowExclusiveLock);
	outbox_desc = RelationGetDescr(outbox);
	v->natts = desc->natts;
	v->columns = palloc0(sizeof(ViewColumn) * v->natts);
	for (int i = 0; i < v->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		const char *name = NameStr(att->attname);
		ViewColumn *c = &v->columns[i];

		if (att->attisdropped)
			continue;
		c->is_input = is_one_of(name, inputs, lengthof(inputs));
		c->is_secret = is_one_of(name, secrets, lengthof(secrets));
		c->may_be_empty = att->atttypid == TEXTOID &&
			!is_one_of(name, never_empty, lengthof(never_empty));
		c->is_use_case = strcmp(name, "use_case") == 0;
		c->is_state = strcmp(name, "state") == 0;
		c->outbox = Max(SPI_fnumber(outbox_desc, name), 0);
		if (c->outbox > 0 && !c->is_use_case && !c->is_state &&
			TupleDescAttr(outbox_desc, c->outbox - 1)->atttypid !=
			att->atttypid)
			elog(ERROR, "column \"%s\" has different types in view and outbox",
				 name);
		if (strcmp(name, "id") == 0)
			v->id = i + 1;
		if (c->is_state)
			v->state = i + 1;
	}
	if (v->id == 0 || v->state == 0)
		elog(ERROR, "view messages has no column id or state");

	v->outbox_desc = CreateTupleDescCopyConstr(outbox_desc);
	v->estate = CreateExecutorState();
	v->defaults = palloc0(sizeof(ExprState *) * outbox_desc->natts);
	for (int i = 0; i < outbox_desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(outbox_desc, i);
		Expr	   *expr;

		if (att->attisdropped || att->attgenerated)
			continue;
		expr = (Expr *) build_column_default(outbox, i + 1);
		if (expr != NULL)
			v->defaults[i] = ExecInitExpr(expression_planner(expr), NULL);
	}
	table_close(outbox, NoLock);
	MemoryContextSwitchTo(old);
	return v;
}

static bool
is_one_of(const char *name, const char *const *list, int n)
{
	for (int i = 0; i < n; i++)
		if (strcmp(name, list[i]) == 0)
			return true;
	return false;
}

/* The row as an INSERT into the outbox would have it before any trigger. */
static void
fill_outbox_row(const View *v, TupleTableSlot *slot, EState *estate,
				const Datum *values, const bool *nulls)
{
	TupleDesc	desc = slot->tts_tupleDescriptor;
	ExprContext *econtext = GetPerTupleExprContext(estate);

	ExecClearTuple(slot);
	for (int i = 0; i < desc->natts; i++)
	{
		slot->tts_values[i] = (Datum) 0;
		slot->tts_isnull[i] = true;
	}
	for (int i = 0; i < v->natts; i++)
	{
		const ViewColumn *c = &v->columns[i];

		if (nulls[i] ||
			(c->may_be_empty &&
			 VARSIZE_ANY_EXHDR(DatumGetPointer(values[i])) == 0))
			continue;

		/* some libraries send a state to begin with; ours is the same */
		if (c->is_state &&
			strcmp(TextDatumGetCString(values[i]), "queued") != 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("the state of a new message cannot be chosen"),
					 errhint("Leave the column out."),
					 errhidestmt(true), errhidecontext(true)));
		if (!c->is_input || c->outbox == 0)
			continue;
		slot->tts_isnull[c->outbox - 1] = false;
		if (c->is_use_case)
		{
			text	   *t = DatumGetTextPP(values[i]);
			Oid			type = TupleDescAttr(desc, c->outbox - 1)->atttypid;

			slot->tts_values[c->outbox - 1] =
				ObjectIdGetDatum(ln_use_case_parse(VARDATA_ANY(t),
												   VARSIZE_ANY_EXHDR(t),
												   type, false));
		}
		else
			slot->tts_values[c->outbox - 1] = values[i];
	}
	for (int i = 0; i < desc->natts; i++)
		if (slot->tts_isnull[i] && v->defaults[i] != NULL)
			slot->tts_values[i] = ExecEvalExpr(v->defaults[i], econtext,
											   &slot->tts_isnull[i]);
	ExecStoreVirtualTuple(slot);
}

/* The row of the view for what is in the outbox now. */
static HeapTuple
answer(const View *v, TupleDesc desc, TupleTableSlot *slot, Datum *values,
	   bool *nulls)
{
	slot_getallattrs(slot);
	for (int i = 0; i < v->natts; i++)
	{
		const ViewColumn *c = &v->columns[i];

		nulls[i] = true;
		if (c->outbox == 0 || c->is_secret ||
			slot->tts_isnull[c->outbox - 1])
			continue;
		nulls[i] = false;
		values[i] = slot->tts_values[c->outbox - 1];
		if (c->is_use_case || c->is_state)
		{
			Oid			output;
			bool		varlena;

			getTypeOutputInfo(TupleDescAttr(slot->tts_tupleDescriptor,
											c->outbox - 1)->atttypid,
							  &output, &varlena);
			values[i] = CStringGetTextDatum(OidOutputFunctionCall(output,
																  values[i]));
		}
	}
	return heap_form_tuple(desc, values, nulls);
}

/*
 * The row of the view for the message that ours is a duplicate of, as it is
 * now, whatever snapshot the transaction has.  Nothing was queued at all
 * (id 0): the row as it came, without an id.  The statement runs with the
 * rights of the owner under the caller's search_path: every name and operator
 * in it says its schema.
 */
static HeapTuple
existing(int64 id, Oid owner, TupleDesc desc, const View *v, Datum *values,
		 bool *nulls)
{
	static LnStatement st = {
		.name = "state of a message",
		.sql =
		"SELECT coalesce("
		" (SELECT 'sending' FROM line_notify.in_flight f"
		" WHERE f.id OPERATOR(pg_catalog.=) $1),"
		" (SELECT o.state::pg_catalog.text FROM line_notify.outbox o"
		" WHERE o.id OPERATOR(pg_catalog.=) $1),"
		" (SELECT h.state::pg_catalog.text FROM line_notify.history h"
		" WHERE h.id OPERATOR(pg_catalog.=) $1),"
		" (SELECT coalesce(s.state, 'sending') FROM line_notify.set_aside s"
		" WHERE s.id OPERATOR(pg_catalog.=) $1 LIMIT 1))",
		.nargs = 1,
		.argtypes = {INT8OID},
		.read_only = true
	};
	Datum		arg = Int64GetDatum(id);
	char	   *state;
	MemoryContext context = CurrentMemoryContext;
	LnUser		former;

	for (int i = 0; i < v->natts; i++)
		if (v->columns[i].is_secret || !v->columns[i].is_input)
			nulls[i] = true;
	nulls[v->id - 1] = id == 0;
	if (id == 0)
		return heap_form_tuple(desc, values, nulls);
	values[v->id - 1] = Int64GetDatum(id);

	former = ln_become(owner);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");

	/* the other may be a row of this very statement */
	CommandCounterIncrement();
	PushActiveSnapshot(GetLatestSnapshot());
	(void) ln_sql_run(&st, &arg, NULL, SPI_OK_SELECT);
	PopActiveSnapshot();
	state = ln_sql_text(0, 1);
	MemoryContextSwitchTo(context);
	if (state != NULL)
	{
		nulls[v->state - 1] = false;
		values[v->state - 1] = CStringGetTextDatum(state);
	}
	SPI_finish();
	ln_become_again(former);
	return heap_form_tuple(desc, values, nulls);
}
