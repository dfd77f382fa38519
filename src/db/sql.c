/*-------------------------------------------------------------------------
 *
 * sql.c
 *		Statements of ours, and what they return.
 *
 * The plans.  Statistics of a queue may say anything, so the worker's settings
 * (ln_worker_pin_settings) leave hash joins only, and each table has an index
 * condition of its own: "id = ANY ($1)" beside the join, a scalar subquery in
 * place of NOT EXISTS.  Without them a batch of n is joined in n * n steps, or
 * a table is read whole because it was empty when it was last analyzed.  What
 * would do as condition of another index, but shall not, is "(...) IS TRUE".
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/jsonb.h"
#include "utils/queryenvironment.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "compat.h"
#include "content/encoding.h"
#include "db/policy.h"
#include "db/sql.h"

/* The planner is told so, since the first batch is none to judge by. */
#define TABLE_ROWS			100

/*
 * Up to this size (kB) a table of ours needs no file: a batch of outcomes
 * takes a part of it, and no work_mem or full disk is in its way.
 */
#define TABLE_KB			16384

/* The row of a result that was read last, taken apart. */
static HeapTuple row_read;
static Datum values_read[MaxTupleAttributeNumber];
static bool nulls_read[MaxTupleAttributeNumber];

/*
 * Prepared on first use and kept.  The result is in SPI_tuptable until the
 * next statement; whatever is made from it is made in the current context,
 * which SPI leaves for its own and this function comes back to.
 */
uint64
ln_sql_run(LnStatement *st, Datum *args, const char *nulls, int expect)
{
	MemoryContext ctx = CurrentMemoryContext;
	int			rc;

	row_read = NULL;
	if (st->plan == NULL)
	{
		SPIPlanPtr	plan = SPI_prepare(st->sql, st->nargs, st->argtypes);

		if (plan == NULL)
			elog(ERROR, "could not prepare statement \"%s\": %s", st->name,
				 SPI_result_code_string(SPI_result));
		SPI_keepplan(plan);
		st->plan = plan;
	}
	rc = SPI_execute_plan(st->plan, args, nulls, st->read_only, 0);
	if (rc != expect)
		elog(ERROR, "unexpected result of statement \"%s\": %s", st->name,
			 SPI_result_code_string(rc));
	MemoryContextSwitchTo(ctx);
	return SPI_processed;
}

uint64
ln_sql_run_unhindered(LnStatement *st, Datum *args, const char *nulls,
					  int expect)
{
	int			level = NewGUCNestLevel();
	uint64		n;

	/* of a source above that of the pinned settings, see ln_phase_set() */
	(void) set_config_option("session_replication_role", "replica", PGC_SUSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	n = ln_sql_run(st, args, nulls, expect);
	AtEOXact_GUC(true, level);
	return n;
}

Datum
ln_sql_int8_array(const int64 *v, int n)
{
	Datum	   *d = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
		d[i] = Int64GetDatum(v[i]);
	return PointerGetDatum(construct_array(d, n, INT8OID, 8,
										   FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

Datum
ln_sql_int4_array(const int *v, int n)
{
	Datum	   *d = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
		d[i] = Int32GetDatum(v[i]);
	return PointerGetDatum(construct_array(d, n, INT4OID, 4,
										   true, TYPALIGN_INT));
}

Datum
ln_sql_text_array(const char *const *v, int n)
{
	Datum	   *d = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
		d[i] = CStringGetTextDatum(v[i] ? v[i] : "");
	return PointerGetDatum(construct_array(d, n, TEXTOID, -1,
										   false, TYPALIGN_INT));
}

/* 0 stands for NULL */
Datum
ln_sql_timestamptz_array(const TimestampTz *v, int n)
{
	Datum	   *d = palloc(sizeof(Datum) * Max(n, 1));
	bool	   *nulls = palloc(sizeof(bool) * Max(n, 1));
	int			lower = 1;

	for (int i = 0; i < n; i++)
	{
		d[i] = TimestampTzGetDatum(v[i]);
		nulls[i] = v[i] == 0;
	}
	return PointerGetDatum(construct_md_array(d, nulls, 1, &n, &lower,
											  TIMESTAMPTZOID, 8,
											  FLOAT8PASSBYVAL,
											  TYPALIGN_DOUBLE));
}

struct LnTable
{
	TupleDesc	desc;
	Tuplestorestate *rows;
	EphemeralNamedRelationData enr;
};

LnTable    *
ln_sql_table_begin(const char *name, const LnColumn *columns, int ncolumns)
{
	LnTable    *t = palloc0(sizeof(LnTable));
	int			rc;

	t->desc = CreateTemplateTupleDesc(ncolumns);
	for (int i = 0; i < ncolumns; i++)
		TupleDescInitEntry(t->desc, i + 1, columns[i].name, columns[i].type,
						   -1, 0);
	t->rows = tuplestore_begin_heap(false, false, TABLE_KB);
	t->enr.md.name = unconstify(char *, name);
	t->enr.md.reliddesc = InvalidOid;
	t->enr.md.tupdesc = t->desc;
	t->enr.md.enrtype = ENR_NAMED_TUPLESTORE;
	t->enr.md.enrtuples = TABLE_ROWS;
	t->enr.reldata = t->rows;
	/* a part of this transaction that failed may have left one */
	(void) SPI_unregister_relation(name);
	rc = SPI_register_relation(&t->enr);
	if (rc != SPI_OK_REL_REGISTER)
		elog(ERROR, "could not register table \"%s\": %s", name,
			 SPI_result_code_string(rc));
	return t;
}

void
ln_sql_table_add(LnTable *t, Datum *row)
{
	bool		nulls[MaxTupleAttributeNumber];

	for (int i = 0; i < t->desc->natts; i++)
	{
		Oid			type = TupleDescAttr(t->desc, i)->atttypid;

		nulls[i] = type == TIMESTAMPTZOID ? DatumGetTimestampTz(row[i]) == 0
			: type == TEXTOID && DatumGetPointer(row[i]) == NULL;
	}
	tuplestore_putvalues(t->rows, t->desc, row, nulls);
}

void
ln_sql_table_end(LnTable *t)
{
	(void) SPI_unregister_relation(t->enr.md.name);
	tuplestore_end(t->rows);
	pfree(t);
}

Datum
ln_sql_text_datum(const char *text)
{
	return text == NULL || text[0] == '\0'
		? (Datum) 0 : CStringGetTextDatum(text);
}

/*
 * Value of the last result; row from 0, col from 1.  Whoever reads one column
 * of a row reads the others, too: to look for each from the start of the row
 * costs more than to take it apart.
 */
static Datum
column(int row, int col, bool *isnull)
{
	Assert(col >= 1 && col <= SPI_tuptable->tupdesc->natts);
	if (row_read != SPI_tuptable->vals[row])
	{
		row_read = SPI_tuptable->vals[row];
		heap_deform_tuple(row_read, SPI_tuptable->tupdesc, values_read,
						  nulls_read);
	}
	*isnull = nulls_read[col - 1];
	return values_read[col - 1];
}

/*
 * text-like columns (text, name), copied to the caller's context; NULL for
 * NULL
 */
char *
ln_sql_text(int row, int col)
{
	bool		isnull;
	Datum		d = column(row, col, &isnull);
	char	   *result = NULL;

	if (!isnull)
		result = TextDatumGetCString(d);
	return result;
}

/* The same in UTF-8, or with *fault as it is in the database. */
char *
ln_sql_utf8(int row, int col, bool *fault)
{
	char	   *text = ln_sql_text(row, col);
	const char *utf8;
	int			len;

	if (text == NULL || GetDatabaseEncoding() == PG_UTF8)
		return text;

	utf8 = ln_encoding_to_utf8(text, strlen(text), &len);
	if (utf8 == NULL || !pg_verify_mbstr(PG_UTF8, utf8, len, true))
	{
		*fault = true;
		return text;
	}
	return unconstify(char *, utf8);
}

int64
ln_sql_int8(int row, int col, int64 if_null)
{
	bool		isnull;
	Datum		d = column(row, col, &isnull);

	return isnull ? if_null : DatumGetInt64(d);
}

/* int4, int2 and bool columns */
int
ln_sql_int4(int row, int col, int if_null)
{
	bool		isnull;
	Datum		d = column(row, col, &isnull);

	if (isnull)
		return if_null;
	switch (SPI_gettypeid(SPI_tuptable->tupdesc, col))
	{
		case INT2OID:
			return DatumGetInt16(d);
		case BOOLOID:
			return DatumGetBool(d) ? 1 : 0;
		default:
			return DatumGetInt32(d);
	}
}

/* text[] columns; NULL for NULL */
char **
ln_sql_text_list(int row, int col, int *n)
{
	bool		isnull;
	Datum		d = column(row, col, &isnull);
	Datum	   *elements;
	char	  **result;

	*n = 0;
	if (isnull)
		return NULL;
	deconstruct_array(DatumGetArrayTypeP(d), TEXTOID, -1, false, TYPALIGN_INT,
					  &elements, NULL, n);
	result = palloc(sizeof(char *) * Max(*n, 1));
	for (int i = 0; i < *n; i++)
		result[i] = TextDatumGetCString(elements[i]);
	return result;
}

/*
 * jsonb columns with a policy; NULL for NULL, and for what INSERT would have
 * refused
 */
LnPolicy   *
ln_sql_policy(int row, int col)
{
	bool		isnull;
	Datum		d = column(row, col, &isnull);
	LnPolicy   *policy;
	const char *member;
	const char *fault;

	if (isnull)
		return NULL;
	policy = palloc(sizeof(LnPolicy));
	return ln_policy_read(DatumGetJsonbP(d), policy, &member, &fault) ? policy
		: NULL;
}

bool
ln_sql_bool(int row, int col)
{
	bool		isnull;
	Datum		d = column(row, col, &isnull);

	return !isnull && DatumGetBool(d);
}

int64
ln_sql_interval_us(int row, int col)
{
	bool		isnull;
	Datum		d = column(row, col, &isnull);
	Interval   *iv;

	if (isnull)
		return 0;
	iv = DatumGetIntervalP(d);
	return iv->time + (int64) iv->day * USECS_PER_DAY +
		(int64) iv->month * DAYS_PER_MONTH * USECS_PER_DAY;
}
