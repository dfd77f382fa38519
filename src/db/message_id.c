/*-------------------------------------------------------------------------
 *
 * message_id.c
 *		The one source of ids for messages.
 *
 * An id that comes again does harm: two messages under one id, outcomes that
 * cannot be recorded.  Yet sequences are reset all the time, by TRUNCATE ...
 * RESTART IDENTITY, by the "set every sequence to max(id)" of frameworks (our
 * finished messages have left the table they look at), by restores without
 * the sequences, by subscribers of logical replication, which have rows and
 * no values.  So the ids come from a sequence that no column owns, and the
 * sequence is not believed.
 *
 * We draw from it as nextval() does, in one page that all sessions share, one
 * WAL record for many values, but not through nextval(): that would make our
 * sequence what lastval() of the application's session is about.
 *
 * How a reset is noticed.  log_cnt of a sequence counts the values that are
 * logged ahead and is zero or more with everything that PostgreSQL itself
 * writes, be it setval(), ALTER SEQUENCE or nextval().  We write it negative.
 * So its sign says whether the value is ours, over all sessions, crashes and
 * standbys.  If it is not, the next to draw looks for the highest id in all
 * our tables and goes on well above.  If it is, but the values logged ahead
 * are used up, each table is asked whether it has a larger id than was ever
 * drawn: a few probes of indexes for LOG_AHEAD ids.
 *
 * Between drawing an id and writing its row, a session is seen by nobody: for
 * one reset there is a gap above the highest id, and for a second one
 * meanwhile the caller keeps the highest that was drawn in shared memory.
 *
 * The attributes of the sequence (step, ends, cycle) mean nothing here.
 *
 * Other rows of ours, the record of an operator's call or the events of a
 * webhook, have numbers in column seq, from a sequence TABLE_seq_seq.  They
 * are drawn past lastval(), too, and after a reset go on above those of the
 * table.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "access/xloginsert.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/sequence.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "db/message_id.h"
#include "guc.h"

PG_FUNCTION_INFO_V1(line_notify_next_number);

/* Values a WAL record is good for; so many are lost in a crash. */
#define LOG_AHEAD		128

/*
 * Between drawing an id and writing its row a session is seen by nobody.  So
 * after a reset, ids go on so much above the highest of the tables: more than
 * there can be sessions.
 */
#define UNSEEN			10000

/*
 * What was drawn so far above where ids go on is in nobody's way: it is of
 * another database, or of a sequence that was set too high and reset.
 */
#define FAR				(100 * UNSEEN)

#define LAST_COUNT		((INT64CONST(1) << LN_MESSAGE_ID_COUNT_BITS) - 1)

/* log_cnt of ours, and what it says */
#define OURS(ahead)		(-1 - (int64) (ahead))
#define IS_OURS(seq)	((seq)->log_cnt < 0)
#define AHEAD(seq) \
	(IS_OURS(seq) ? -1 - (seq)->log_cnt : (seq)->log_cnt)

/* The page of the sequence, locked. */
typedef struct SequencePage
{
	Relation	rel;
	Buffer		buffer;
	HeapTupleData tuple;
	Form_pg_sequence_data seq;
} SequencePage;

/* Ids of one node, above "base". */
typedef struct Range
{
	int64		base;
	int64		above;			/* we look for ids larger than this */
	int64		end;			/* and smaller than this */
	bool		alive;			/* only what is not deleted */
} Range;

static void lock_page(SequencePage *page, Relation rel);
static void unlock_page(SequencePage *page);
static int64 last_count(const SequencePage *page);
static void write_page(SequencePage *page, int64 count, bool ours,
					   int64 ahead);
static void note_drawn(pg_atomic_uint64 *highest, int64 count);
static void extend(Relation rel, pg_atomic_uint64 *highest);
static bool id_above(Range range);
static int64 highest_id(Range range);
static int64 look_by_index(Oid relid, Range range, bool highest, bool wait);
static int64 look_by_scan(Oid relid, const char *column, Range range);
static int64 look_in_history(Range range, bool highest, bool wait);
static bool has_id(Oid relid, int64 id);
static Oid	our_table(const char *name);
static int64 node_base(void);

int64
ln_message_id_next(Oid sequence, pg_atomic_uint64 *highest)
{
	Relation	rel = relation_open(sequence, RowExclusiveLock);
	SequencePage page;
	int64		count;

	if (rel->rd_rel->relkind != RELKIND_SEQUENCE)
		elog(ERROR, "relation %u is not a sequence", sequence);
	for (;;)
	{
		int64		ahead;

		lock_page(&page, rel);
		count = last_count(&page);
		ahead = AHEAD(page.seq);
		if (IS_OURS(page.seq) && ahead > 0)
		{
			count++;
			write_page(&page, count, true, ahead - 1);
			note_drawn(highest, count);
			unlock_page(&page);
			break;
		}
		unlock_page(&page);
		if (count >= LAST_COUNT)
			ereport(ERROR,
					(errcode(ERRCODE_SEQUENCE_GENERATOR_LIMIT_EXCEEDED),
					 errmsg("all ids for messages have been used"),
					 errdetail("The last value of sequence line_notify.message_id_seq is " INT64_FORMAT ".",
							   count),
					 errhint("If somebody set it so high, set it to 1: ids go on above those in use.")));
		extend(rel, highest);
	}

	/* the lock lasts as long as the transaction, as that of nextval() */
	relation_close(rel, NoLock);
	return node_base() + count;
}

void
ln_message_id_given(Oid sequence, int64 id, bool fresh)
{
	Relation	rel;
	SequencePage page;
	int64		count;

	if (has_id(our_table("history"), id) ||
		(fresh && (has_id(our_table("in_flight"), id) ||
				   has_id(our_table("attempt_log"), id))))
		ereport(ERROR,
				(errcode(ERRCODE_UNIQUE_VIOLATION),
				 errmsg("message " INT64_FORMAT " exists already", id),
				 errdetail("It has left the outbox; see view line_notify.notifications."),
				 errhint("Leave the id out: the outbox gives one."),
				 errhidestmt(true), errhidecontext(true)));

	/* an id of another node, or of nobody, is not in our way */
	if (id <= node_base() || id - node_base() > LAST_COUNT)
		return;
	count = id - node_base();
	rel = relation_open(sequence, RowExclusiveLock);
	lock_page(&page, rel);
	if (count > last_count(&page))
	{
		int64		step = count - last_count(&page);
		int64		ahead = AHEAD(page.seq);

		/* not ours until somebody has looked what else is above */
		write_page(&page, count, false, ahead >= step ? ahead - step : -1);
	}
	unlock_page(&page);
	relation_close(rel, NoLock);
}

/*
 * The highest number of the table that the sequence is for, 0 if it has none,
 * or there is no such table.
 */
static int64
highest_number(Relation sequence)
{
	char	   *name = pstrdup(RelationGetRelationName(sequence));
	char	   *suffix = strstr(name, "_seq_seq");
	Range		all = {0, 0, PG_INT64_MAX, false};

	if (suffix == NULL)
		return 0;
	*suffix = '\0';
	return look_by_scan(our_table(name), "seq", all);
}

/* nextval() of a sequence of ours, of which lastval() does not hear */
Datum
line_notify_next_number(PG_FUNCTION_ARGS)
{
	Relation	rel = relation_open(PG_GETARG_OID(0), RowExclusiveLock);
	SequencePage page;
	int64		highest = -1;	/* nobody has looked */
	int64		count;

	if (rel->rd_rel->relkind != RELKIND_SEQUENCE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a sequence",
						RelationGetRelationName(rel))));
	lock_page(&page, rel);
	if (!IS_OURS(page.seq))
	{
		/* new, or reset */
		unlock_page(&page);
		highest = highest_number(rel);
		lock_page(&page, rel);
	}
	count = last_count(&page);
	if (!IS_OURS(page.seq) && highest > count)
		count = highest + UNSEEN;
	count++;
	write_page(&page, count, true,
			   IS_OURS(page.seq) ? AHEAD(page.seq) - 1 : -1);
	unlock_page(&page);
	relation_close(rel, NoLock);
	PG_RETURN_INT64(count);
}

static void
lock_page(SequencePage *page, Relation rel)
{
	ItemId		item;
	Page		p;

	/* write_page() may have to log, and what is logged is flushed at commit */
	if (RelationNeedsWAL(rel))
		(void) GetTopTransactionId();
	page->rel = rel;
	page->buffer = ReadBuffer(rel, 0);
	LockBuffer(page->buffer, BUFFER_LOCK_EXCLUSIVE);
	p = BufferGetPage(page->buffer);
	item = PageGetItemId(p, FirstOffsetNumber);
	if (!ItemIdIsNormal(item))
		elog(ERROR, "sequence \"%s\" has no value",
			 RelationGetRelationName(rel));
	page->tuple.t_data = (HeapTupleHeader) PageGetItem(p, item);
	page->tuple.t_len = ItemIdGetLength(item);
	page->seq = (Form_pg_sequence_data) GETSTRUCT(&page->tuple);
}

static void
unlock_page(SequencePage *page)
{
	UnlockReleaseBuffer(page->buffer);
}

static int64
last_count(const SequencePage *page)
{
	int64		last = page->seq->last_value;

	if (!page->seq->is_called)
		last--;
	return Max(last, 0);
}

/*
 * Set the value.  ahead: how many values after it are logged already; -1, or
 * a checkpoint since, makes it log some.
 */
static void
write_page(SequencePage *page, int64 count, bool ours, int64 ahead)
{
	Form_pg_sequence_data seq = page->seq;
	Page		p = BufferGetPage(page->buffer);
	bool		log = RelationNeedsWAL(page->rel);

	/*
	 * A checkpoint may have written the page with fewer values used than the
	 * record before it stood for, and recovery begins with that page.
	 */
	if (ahead < 0 || (log && PageGetLSN(p) <= GetRedoRecPtr()))
		ahead = Min(LOG_AHEAD, LAST_COUNT - count);
	else
		log = false;

	START_CRIT_SECTION();
	MarkBufferDirty(page->buffer);
	seq->is_called = true;
	if (log)
	{
		xl_seq_rec	rec;
		XLogRecPtr	lsn;

		/* recovery finds the sequence with all of them used */
		seq->last_value = count + ahead;
		seq->log_cnt = ours ? OURS(0) : 0;
		LnSeqRecSetRelation(&rec, page->rel);
		XLogBeginInsert();
		XLogRegisterBuffer(0, page->buffer, REGBUF_WILL_INIT);
		XLogRegisterData((char *) &rec, sizeof(rec));
		XLogRegisterData((char *) page->tuple.t_data, page->tuple.t_len);
		lsn = XLogInsert(RM_SEQ_ID, XLOG_SEQ_LOG);
		PageSetLSN(p, lsn);
	}
	seq->last_value = count;
	seq->log_cnt = ours ? OURS(ahead) : ahead;
	END_CRIT_SECTION();
}

/* The highest that was drawn. */
static void
note_drawn(pg_atomic_uint64 *highest, int64 count)
{
	uint64		known;

	if (highest == NULL)
		return;
	known = pg_atomic_read_u64(highest);
	while (known < (uint64) count &&
		   !pg_atomic_compare_exchange_u64(highest, &known, (uint64) count))
		;
}

/*
 * Make values available: look what is in the tables, and log ahead.  One
 * session at a time; the page itself is not locked while we look, so it is
 * compared afterwards.
 */
static void
extend(Relation rel, pg_atomic_uint64 *highest)
{
	LockPage(rel, 0, ExclusiveLock);
	for (;;)
	{
		SequencePage page;
		Range		range;
		int64		last;
		bool		ours;
		bool		ready;
		int64		floor;

		CHECK_FOR_INTERRUPTS();
		lock_page(&page, rel);
		last = last_count(&page);
		ours = IS_OURS(page.seq);
		ready = ours && AHEAD(page.seq) > 0;
		unlock_page(&page);
		if (ready || last >= LAST_COUNT)
			break;				/* somebody was faster, or it is the end */

		floor = last;
		range.alive = false;
		range.base = node_base();
		range.end = range.base + LAST_COUNT + 1;
		range.above = range.base + last;
		if (!ours || id_above(range))
		{
			/* whatever the sequence says, ids go on above all there are */
			range.above = range.base;
			floor = Max(last, highest_id(range) - range.base);
			if (!ours && floor > 0)
				floor = Min(floor + UNSEEN, LAST_COUNT);

			/* reset twice while somebody has an id and no row yet */
			if (!ours && highest != NULL)
			{
				int64		drawn = (int64) pg_atomic_read_u64(highest);

				if (drawn > floor && drawn - floor < FAR)
					floor = Min(drawn, LAST_COUNT);
			}
			if (floor > last)
				ereport(LOG,
						(errmsg("ids of messages go on above " INT64_FORMAT ", not above " INT64_FORMAT,
								range.base + floor, range.base + last),
						 errdetail("Sequence line_notify.message_id_seq was reset, or messages came with ids of their own."),
						 errhidestmt(true), errhidecontext(true)));
		}

		lock_page(&page, rel);
		if (last == last_count(&page) && ours == IS_OURS(page.seq))
		{
			write_page(&page, floor, true, -1);
			unlock_page(&page);
			break;
		}
		unlock_page(&page);
	}
	UnlockPage(rel, 0, ExclusiveLock);
}

/*
 * Does any table have an id above?  What somebody else has locked is passed
 * over: no INSERT waits because of this, and the next look comes soon.
 */
static bool
id_above(Range range)
{
	return look_by_index(our_table("outbox"), range, false, false) > 0 ||
		look_by_index(our_table("in_flight"), range, false, false) > 0 ||
		look_by_index(our_table("attempt_log"), range, false, false) > 0 ||
		look_in_history(range, false, false) > 0;
}

/* The highest id of all tables, range.above if there is none. */
static int64
highest_id(Range range)
{
	static const char *const indexed[] = {
		"outbox", "in_flight", "attempt_log"
	};
	static const char *const scanned[] = {"dedup", "outcome"};
	int64		highest = range.above;

	for (int i = 0; i < lengthof(indexed); i++)
		highest = Max(highest, look_by_index(our_table(indexed[i]), range,
											 true, true));
	highest = Max(highest, look_in_history(range, true, true));

	/* these have no index to ask, and this is rare */
	for (int i = 0; i < lengthof(scanned); i++)
		highest = Max(highest,
					  look_by_scan(our_table(scanned[i]), "id", range));
	return highest;
}

/*
 * An id in the range that the table has or had: some id, or the highest; 0 if
 * there is none, or, without "wait", if the table is locked.
 */
static int64
look_by_index(Oid relid, Range range, bool highest, bool wait)
{
	Relation	rel;
	Relation	index = NULL;
	ScanKeyData keys[2];
	SnapshotData dirty;
	AttrNumber	attno;
	SysScanDesc scan;
	HeapTuple	tuple;
	int64		id = 0;

	if (!wait && !ConditionalLockRelationOid(relid, AccessShareLock))
		return 0;
	rel = table_open(relid, wait ? AccessShareLock : NoLock);
	attno = get_attnum(relid, "id");
	list_free(RelationGetIndexList(rel));
	if (attno != InvalidAttrNumber && OidIsValid(rel->rd_pkindex))
	{
		index = index_open(rel->rd_pkindex, AccessShareLock);
		ScanKeyInit(&keys[0], attno, BTGreaterStrategyNumber, F_INT8GT,
					Int64GetDatum(range.above));
		ScanKeyInit(&keys[1], attno, BTLessStrategyNumber, F_INT8LT,
					Int64GetDatum(range.end));

		/* what was rolled back or deleted may have been seen, too */
		InitDirtySnapshot(dirty);
		scan = systable_beginscan_ordered(rel, index,
										  range.alive ? &dirty : SnapshotAny,
										  2, keys);
		tuple = systable_getnext_ordered(scan, highest
										 ? BackwardScanDirection
										 : ForwardScanDirection);
		if (HeapTupleIsValid(tuple))
		{
			bool		isnull;

			id = DatumGetInt64(heap_getattr(tuple, attno,
											RelationGetDescr(rel), &isnull));
		}
		systable_endscan_ordered(scan);
		index_close(index, AccessShareLock);
	}

	/* no longer than we look: our transaction may be a long one */
	table_close(rel, AccessShareLock);
	return id;
}

static int64
look_by_scan(Oid relid, const char *column, Range range)
{
	Relation	rel = table_open(relid, AccessShareLock);
	AttrNumber	attno = get_attnum(relid, column);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false,
										  SnapshotAny, 0, NULL);
	HeapTuple	tuple;
	int64		highest = 0;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		int64		id = DatumGetInt64(heap_getattr(tuple, attno,
													RelationGetDescr(rel),
													&isnull));

		CHECK_FOR_INTERRUPTS();
		if (!isnull && id > range.above && id < range.end)
			highest = Max(highest, id);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return highest;
}

/* As look_by_index(), in the partitions of history that the range reaches. */
static int64
look_in_history(Range range, bool highest, bool wait)
{
	Oid			relid = our_table("history");
	Relation	rel;
	PartitionDesc desc;
	PartitionBoundInfo bounds;
	int64		id = 0;

	if (!wait && !ConditionalLockRelationOid(relid, AccessShareLock))
		return 0;
	rel = table_open(relid, wait ? AccessShareLock : NoLock);
	desc = RelationGetPartitionDesc(rel, true);
	bounds = desc->boundinfo;

	/* from the top: what ends below the range ends the search */
	for (int i = bounds ? bounds->ndatums : -1; i >= 0 && id == 0; i--)
	{
		int			part = bounds->indexes[i];

		if (i < bounds->ndatums &&
			bounds->kind[i][0] != PARTITION_RANGE_DATUM_MAXVALUE &&
			(bounds->kind[i][0] == PARTITION_RANGE_DATUM_MINVALUE ||
			 DatumGetInt64(bounds->datums[i][0]) <= range.above))
			break;
		if (part >= 0)
			id = look_by_index(desc->oids[part], range, highest, wait);
	}
	table_close(rel, AccessShareLock);
	return id;
}

/* Is there, as of now, a row of this id? */
static bool
has_id(Oid relid, int64 id)
{
	Range		range = {0, id - 1, id + 1, true};

	if (id == PG_INT64_MIN || id == PG_INT64_MAX)
		return false;
	if (get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE)
		return look_in_history(range, false, true) > 0;
	return look_by_index(relid, range, false, true) > 0;
}

static Oid
our_table(const char *name)
{
	Oid			relid = get_relname_relid(name, get_namespace_oid("line_notify",
																  false));

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table line_notify.%s is missing", name)));
	return relid;
}

static int64
node_base(void)
{
	return (int64) ln_guc_node_number << LN_MESSAGE_ID_COUNT_BITS;
}
