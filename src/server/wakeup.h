/*-------------------------------------------------------------------------
 *
 * wakeup.h
 *		Tell the worker of this database at COMMIT that there is work.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_WAKEUP_H
#define LN_WAKEUP_H

#include "datatype/timestamp.h"

/* Note work of the current transaction; told to the worker when it commits. */
extern void ln_wakeup_at_commit(uint32 work);

/* The same for a new row of the outbox. */
extern void ln_wakeup_for_row(const char *channel, int lane,
							  TimestampTz expires_at);

/* The current transaction makes a database that may need a worker. */
extern void ln_wakeup_new_database(Oid database);

/*
 * Rows queued by the current transaction so far, this one included, those of
 * rolled-back savepoints not.
 */
extern int64 ln_wakeup_count_row(void);

/* Has the current transaction queued rows? */
extern bool ln_wakeup_rows_pending(void);

/*
 * Tell the worker whether the transaction commits or aborts: its locks may
 * have hidden rows.
 */
extern void ln_wakeup_at_end(void);

/* What ln_shmem_hold() holds stays held until the transaction ends. */
extern void ln_wakeup_hold_until_end(void);

#endif							/* LN_WAKEUP_H */
