/*-------------------------------------------------------------------------
 *
 * suppression.c
 *		Who objected to being sent notices.
 *
 * Asked for every new message once anybody has objected, so it probes the
 * index directly, without SQL, and with a snapshot of now: a transaction that
 * began before the objection must not send after it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "db/suppression.h"

bool
ln_is_suppressed(Oid table, Oid index, const char *recipient)
{
	Relation	rel = table_open(table, AccessShareLock);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	ScanKeyData key;
	SysScanDesc scan;
	bool		found;

	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(recipient));
	scan = systable_beginscan(rel, index, true, snapshot, 1, &key);
	found = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(rel, AccessShareLock);
	return found;
}
