/*-------------------------------------------------------------------------
 *
 * unblock_trigger.c
 *		A row that held others back is gone: note it for the worker.
 *
 * The trigger does not bring the next message forward itself.  What it can see
 * is not what will be there when its transaction commits: a message of the
 * same order_key may be committed, claimed and blocked in between, and would
 * then wait for ever.  The worker, which is the only one that blocks rows,
 * looks after the commit.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#include "db/outbox.h"
#include "server/shmem.h"
#include "server/wakeup.h"

PG_FUNCTION_INFO_V1(line_notify_note_unblock);

/*
 * AFTER DELETE row trigger of outbox (unblocks the order_key) and of
 * partial_pause (has no order_key: unblocks the channel).
 */
Datum
line_notify_note_unblock(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	TupleDesc	desc;
	int			order_key;
	char	   *key = NULL;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_AFTER(trigdata->tg_event) ||
		!TRIGGER_FIRED_BY_DELETE(trigdata->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigdata->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function must be called as an AFTER DELETE trigger for each row")));

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	desc = RelationGetDescr(trigdata->tg_relation);
	order_key = SPI_fnumber(desc, "order_key");
	if (order_key > 0)
		key = SPI_getvalue(trigdata->tg_trigtuple, desc, order_key);
	ln_outbox_note_unblock(SPI_getvalue(trigdata->tg_trigtuple, desc,
										SPI_fnumber(desc, "channel")),
						   key);
	SPI_finish();
	ln_wakeup_at_commit(LN_WORK_UNBLOCK);
	return PointerGetDatum(NULL);
}
