/*-------------------------------------------------------------------------
 *
 * insert_secret.c
 *		How a secret gets into its table, and nowhere else.
 *
 * Row security keeps the tables of secrets from members of pg_read_all_data,
 * but not from a role with REPLICATION, which decodes the changes of every
 * table from WAL.  So their rows are inserted without what logical decoding
 * reads, the way a rewritten table is: a crash and a physical standby lose
 * nothing.  There are no updates, which cannot be done so, and a DELETE tells
 * the key only.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "compat.h"

PG_FUNCTION_INFO_V1(line_notify_insert_secret);
PG_FUNCTION_INFO_V1(line_notify_hide_statement);

/*
 * _insert_secret(row): inserts a row of one of our tables, unseen by logical
 * decoding.  NOT NULL, CHECK and unique constraints are those of the table;
 * triggers and foreign keys are the caller's to mind.  Only for its owner,
 * whoever was granted the function: row security would not be asked.
 */
Datum
line_notify_insert_secret(PG_FUNCTION_ARGS)
{
	HeapTupleHeader row = PG_GETARG_HEAPTUPLEHEADER(0);
	Oid			relid = get_typ_typrelid(HeapTupleHeaderGetTypeId(row));
	Relation	rel = table_open(relid, RowExclusiveLock);
	EState	   *estate = CreateExecutorState();
	ResultRelInfo *info = makeNode(ResultRelInfo);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	HeapTupleData tuple;

	if (!LnRelationOwnercheck(relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE,
					   RelationGetRelationName(rel));
	tuple.t_len = HeapTupleHeaderGetDatumLength(row);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	tuple.t_data = row;
	heap_deform_tuple(&tuple, RelationGetDescr(rel), slot->tts_values,
					  slot->tts_isnull);
	ExecStoreVirtualTuple(slot);

	InitResultRelInfo(info, rel, 0, NULL, 0);
	ExecOpenIndices(info, false);
	ExecConstraints(info, slot, estate);
	table_tuple_insert(rel, slot, GetCurrentCommandId(true),
					   TABLE_INSERT_NO_LOGICAL, NULL);
	(void) LnExecInsertIndexTuples(info, slot, estate, false, NULL);

	ExecCloseIndices(info);
	ExecDropSingleTupleTableSlot(slot);
	FreeExecutorState(estate);
	table_close(rel, NoLock);
	PG_RETURN_VOID();
}

/*
 * _hide_statement(instead): what pg_stat_activity shows as the statement of
 * this session, until its next one.
 */
Datum
line_notify_hide_statement(PG_FUNCTION_ARGS)
{
	pgstat_report_activity(STATE_RUNNING,
						   text_to_cstring(PG_GETARG_TEXT_PP(0)));
	PG_RETURN_VOID();
}
