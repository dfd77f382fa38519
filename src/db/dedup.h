/*-------------------------------------------------------------------------
 *
 * dedup.h
 *		Who holds a dedup_key: decided at any isolation level, without an
 *		error.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_DEDUP_H
#define LN_DEDUP_H

#include "datatype/timestamp.h"
#include "utils/relcache.h"

/* the relations concerned, as the caller's cache has them */
typedef struct LnDedupTables
{
	Oid			dedup;
	Oid			outbox_pkey;
	Oid			in_flight;
	Oid			in_flight_pkey;
} LnDedupTables;

/*
 * Take a key for message id until a moment.  False: a message that is there,
 * or that an earlier statement or row of this transaction queued, holds it;
 * *holder is its id.  Waits for another transaction that took or frees the key
 * and has not ended.
 */
extern bool ln_dedup_take(const LnDedupTables *tables, const char *channel,
						  const char *key, int64 id, TimestampTz now,
						  TimestampTz until, int64 *holder);

/*
 * Delete the message that holds a key from the outbox, to be replaced by
 * another of the same id.  False: it is not (or no longer) a message that only
 * waits.  *order_key is its order_key or NULL, which its successor must have.
 */
extern bool ln_dedup_remove_waiting(const LnDedupTables *tables,
									Relation outbox, int64 id,
									Oid queued_label, char **order_key);

#endif							/* LN_DEDUP_H */
