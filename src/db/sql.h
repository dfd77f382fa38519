/*-------------------------------------------------------------------------
 *
 * sql.h
 *		Statements of ours, and what they return.  The worker's door to SPI.
 *
 * Statements are constant texts, prepared once and kept, every name qualified.
 * They run under the worker's pinned settings, or (receive_webhook, the insert
 * trigger) under the owner with names and operators of pg_catalog only.
 *
 * Every function needs an open transaction and a connected SPI, raises on any
 * database error, and returns memory of the current context.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_SQL_H
#define LN_SQL_H

#include "executor/spi.h"

typedef struct LnStatement
{
	const char *name;			/* for messages */
	const char *sql;
	int			nargs;
	Oid			argtypes[12];
	bool		read_only;		/* in the active snapshot, not in a new one */
	SPIPlanPtr	plan;			/* kept, once it has run */
} LnStatement;

struct LnPolicy;

/*
 * Runs a statement in a snapshot of its own; nulls as for SPI_execute_plan(),
 * expect is the SPI code of success.  Returns the number of rows.
 */
extern uint64 ln_sql_run(LnStatement *st, Datum *args, const char *nulls,
						 int expect);

/*
 * The same, and no trigger, rule or foreign key on our tables fires, neither
 * of others nor of ours.  For a superuser.
 */
extern uint64 ln_sql_run_unhindered(LnStatement *st, Datum *args,
									const char *nulls, int expect);

/* Arrays as arguments; a NULL text is "", a timestamp 0 is NULL. */
extern Datum ln_sql_int8_array(const int64 *v, int n);
extern Datum ln_sql_int4_array(const int *v, int n);
extern Datum ln_sql_text_array(const char *const *v, int n);
extern Datum ln_sql_timestamptz_array(const TimestampTz *v, int n);

/*
 * Rows of ours that statements read as a table of this name, as a trigger
 * reads its transition table: a tuple each, where arrays take a call and a
 * tuple for each value.  It is there from begin to end, or until an error, and
 * lives in the memory context of its beginning; what is added is copied.  A
 * text or timestamp of 0 is NULL.
 */
typedef struct LnColumn
{
	const char *name;
	Oid			type;
} LnColumn;

typedef struct LnTable LnTable;

extern LnTable *ln_sql_table_begin(const char *name, const LnColumn *columns,
								   int ncolumns);
extern void ln_sql_table_add(LnTable *t, Datum *row);
extern void ln_sql_table_end(LnTable *t);

/* 0 for NULL and "" */
extern Datum ln_sql_text_datum(const char *text);

/* Columns of the last result; rows count from 0, columns from 1. */
extern char *ln_sql_text(int row, int col); /* NULL for NULL */
extern int64 ln_sql_int8(int row, int col, int64 if_null);
extern int	ln_sql_int4(int row, int col, int if_null); /* also int2, bool */
extern bool ln_sql_bool(int row, int col);	/* false for NULL */
extern int64 ln_sql_interval_us(int row, int col);	/* 0 for NULL */

/* text[]; NULL for NULL */
extern char **ln_sql_text_list(int row, int col, int *n);

/* A text in UTF-8, or with *fault as it is in the database. */
extern char *ln_sql_utf8(int row, int col, bool *fault);

/* A policy (jsonb); NULL for NULL, and for what INSERT would have refused. */
extern struct LnPolicy *ln_sql_policy(int row, int col);

#endif							/* LN_SQL_H */
