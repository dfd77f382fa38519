/*-------------------------------------------------------------------------
 *
 * dedup.c
 *		Who holds a dedup_key: decided at any isolation level, without an
 *		error.
 *
 * INSERT ... ON CONFLICT DO NOTHING is nearly what is needed, but under
 * REPEATABLE READ and SERIALIZABLE it raises when the other row is newer than
 * the snapshot: a duplicate notice would roll back the order.  Nor does the
 * plain statement say who was first.  So this file does what the executor does
 * for ON CONFLICT, a speculative insertion, without the test of visibility.
 * The unique index is asked with a dirty snapshot: it knows the truth of now,
 * and a transaction in progress is waited for.  No advisory locks: one per key
 * would fill the lock table, one per hash value would make deadlocks.
 *
 * Two transactions that take the same two keys in opposite order can deadlock,
 * as with every unique index.
 *
 * A dirty snapshot takes no predicate locks, so a SERIALIZABLE producer does
 * not conflict with the worker or with another producer because of us.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "db/dedup.h"

/* columns of table dedup, as the script makes them */
enum
{
	DEDUP_CHANNEL = 1,
	DEDUP_KEY,
	DEDUP_ID,
	DEDUP_UNTIL,
	DEDUP_COLUMNS = DEDUP_UNTIL
};

static bool insert_speculatively(ResultRelInfo *info, TupleTableSlot *slot,
								 EState *estate, ItemPointer conflict);
static bool find_by_id(Relation rel, Oid index, int64 id, ItemPointer tid);

bool
ln_dedup_take(const LnDedupTables *tables, const char *channel,
			  const char *key, int64 id, TimestampTz now,
			  TimestampTz until, int64 *holder)
{
	Relation	rel = table_open(tables->dedup, RowExclusiveLock);
	EState	   *estate = CreateExecutorState();
	ResultRelInfo *info = makeNode(ResultRelInfo);
	TupleTableSlot *slot;
	TupleTableSlot *other;
	bool		taken = false;

	if (RelationGetNumberOfAttributes(rel) != DEDUP_COLUMNS)
		elog(ERROR, "table dedup has an unexpected number of columns");

	/* a partition or view here would be somebody's hand, not ours */
	if (rel->rd_rel->relkind != RELKIND_RELATION)
		elog(ERROR, "table dedup is not a plain table");
	InitResultRelInfo(info, rel, 0, NULL, 0);
	ExecOpenIndices(info, true);
	slot = table_slot_create(rel, &estate->es_tupleTable);
	other = table_slot_create(rel, &estate->es_tupleTable);

	for (;;)
	{
		ItemPointerData conflict;
		TM_FailureData failure;
		TM_Result	result;
		bool		isnull;

		CHECK_FOR_INTERRUPTS();
		ExecClearTuple(slot);
		memset(slot->tts_isnull, false, sizeof(bool) * DEDUP_COLUMNS);
		slot->tts_values[DEDUP_CHANNEL - 1] = CStringGetTextDatum(channel);
		slot->tts_values[DEDUP_KEY - 1] = CStringGetTextDatum(key);
		slot->tts_values[DEDUP_ID - 1] = Int64GetDatum(id);
		slot->tts_values[DEDUP_UNTIL - 1] = TimestampTzGetDatum(until);
		ExecStoreVirtualTuple(slot);

		if (insert_speculatively(info, slot, estate, &conflict))
		{
			taken = true;
			break;
		}
		if (!ItemPointerIsValid(&conflict) ||
			!table_tuple_fetch_row_version(rel, &conflict, SnapshotAny, other))
			continue;			/* gone meanwhile */

		*holder = DatumGetInt64(slot_getattr(other, DEDUP_ID, &isnull));
		if (DatumGetTimestampTz(slot_getattr(other, DEDUP_UNTIL, &isnull)) >
			now)
			break;

		/* its window is over, and nobody has swept it up yet */
		result = table_tuple_delete(rel, &conflict, GetCurrentCommandId(true),
									SnapshotAny, InvalidSnapshot, true,
									&failure, false);
		if (result == TM_Invisible)
			elog(ERROR, "attempted to delete invisible tuple");
	}

	ExecCloseIndices(info);
	ExecResetTupleTable(estate->es_tupleTable, false);
	FreeExecutorState(estate);
	table_close(rel, NoLock);
	return taken;
}

/*
 * One round of what ExecInsert() does for ON CONFLICT DO NOTHING.  False:
 * there is another row, at *conflict if that is valid.
 */
static bool
insert_speculatively(ResultRelInfo *info, TupleTableSlot *slot, EState *estate,
					 ItemPointer conflict)
{
	uint32		token;
	bool		lost = false;

	ItemPointerSetInvalid(conflict);
	if (!LnExecCheckIndexConstraints(info, slot, estate, conflict))
		return false;

	token = SpeculativeInsertionLockAcquire(GetCurrentTransactionId());
	table_tuple_insert_speculative(info->ri_RelationDesc, slot,
								   GetCurrentCommandId(true), 0, NULL, token);
	(void) LnExecInsertIndexTuples(info, slot, estate, true, &lost);
	table_tuple_complete_speculative(info->ri_RelationDesc, slot, token,
									 !lost);

	/* whoever waits for the token looks at what we made of it */
	SpeculativeInsertionLockRelease(GetCurrentTransactionId());
	ResetPerTupleExprContext(estate);
	return !lost;
}

bool
ln_dedup_remove_waiting(const LnDedupTables *tables, Relation outbox, int64 id,
						Oid queued_label, char **order_key)
{
	TupleDesc	desc = RelationGetDescr(outbox);
	Relation	in_flight = table_open(tables->in_flight, AccessShareLock);
	TupleTableSlot *slot = table_slot_create(outbox, NULL);
	ItemPointerData tid;
	ItemPointerData claim;
	TM_FailureData failure;
	bool		removed = false;

	/*
	 * What is on the wire is left alone before its row is locked, because the
	 * lock would last as long as this transaction and recording would wait
	 * for it.  Then lock and look again: the claim writes its lease while it
	 * holds the row.
	 */
	if (find_by_id(outbox, tables->outbox_pkey, id, &tid) &&
		!find_by_id(in_flight, tables->in_flight_pkey, id, &claim) &&
		table_tuple_lock(outbox, &tid, SnapshotAny, slot,
						 GetCurrentCommandId(true), LockTupleExclusive,
						 LockWaitBlock, TUPLE_LOCK_FLAG_FIND_LAST_VERSION,
						 &failure) == TM_Ok &&
		!find_by_id(in_flight, tables->in_flight_pkey, id, &claim))
	{
		Oid			state = InvalidOid;
		bool		maybe_sent = true;
		Datum		ordered = (Datum) 0;
		bool		unordered = true;

		for (int i = 0; i < desc->natts; i++)
		{
			Form_pg_attribute att = TupleDescAttr(desc, i);
			bool		isnull;
			Datum		value;

			if (att->attisdropped)
				continue;
			value = slot_getattr(slot, i + 1, &isnull);
			if (strcmp(NameStr(att->attname), "state") == 0)
				state = DatumGetObjectId(value);
			else if (strcmp(NameStr(att->attname), "maybe_sent") == 0)
				maybe_sent = DatumGetBool(value);
			else if (strcmp(NameStr(att->attname), "order_key") == 0)
			{
				ordered = value;
				unordered = isnull;
			}
		}
		if (state == queued_label && !maybe_sent)
		{
			*order_key = unordered ? NULL : TextDatumGetCString(ordered);
			if (table_tuple_delete(outbox, &slot->tts_tid,
								   GetCurrentCommandId(true), SnapshotAny,
								   InvalidSnapshot, true, &failure,
								   false) != TM_Ok)
				elog(ERROR, "could not delete a tuple that was locked");
			removed = true;
		}
	}
	ExecDropSingleTupleTableSlot(slot);
	table_close(in_flight, NoLock);
	return removed;
}

/*
 * Place of the row with this id, as of now; also one whose transaction has not
 * ended.
 */
static bool
find_by_id(Relation rel, Oid index, int64 id, ItemPointer tid)
{
	SnapshotData dirty;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	/* the id is the first column of both tables */
	InitDirtySnapshot(dirty);
	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(id));
	scan = systable_beginscan(rel, index, true, &dirty, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		*tid = tuple->t_self;
	systable_endscan(scan);
	return HeapTupleIsValid(tuple);
}
