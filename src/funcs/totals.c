/*-------------------------------------------------------------------------
 *
 * totals.c
 *		What the triggers that count messages need to know.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "fmgr.h"
#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"
#include "parser/parsetree.h"
#include "tcop/pquery.h"
#include "utils/lsyscache.h"

#include "compat.h"

PG_FUNCTION_INFO_V1(line_notify_is_restore);

/*
 * Does the client's own statement write history?  Then it restores a dump, and
 * what it writes was counted in its first life.  Our worker has no portal, and
 * our operator functions run inside of a SELECT, CALL or DO.
 */
Datum
line_notify_is_restore(PG_FUNCTION_ARGS)
{
	PlannedStmt *stmt;

	if (ActivePortal == NULL || list_length(ActivePortal->stmts) != 1)
		PG_RETURN_BOOL(false);
	stmt = linitial_node(PlannedStmt, ActivePortal->stmts);
	if (stmt->commandType == CMD_UTILITY && IsA(stmt->utilityStmt, CopyStmt))
	{
		CopyStmt   *copy = (CopyStmt *) stmt->utilityStmt;

		PG_RETURN_BOOL(copy->is_from && copy->relation != NULL &&
					   strcmp(copy->relation->relname, "history") == 0);
	}
	if (stmt->commandType == CMD_INSERT && stmt->resultRelations != NIL)
	{
		Oid			relid =
		rt_fetch(linitial_int(stmt->resultRelations), stmt->rtable)->relid;

		PG_RETURN_BOOL(
					   relid ==
					   get_relname_relid("history",
										 get_namespace_oid("line_notify",
														   false)));
	}
	PG_RETURN_BOOL(false);
}
