/*-------------------------------------------------------------------------
 *
 * insert_trigger.h
 *		A new message: checked, hashed, scheduled.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_ENQUEUE_H
#define LN_ENQUEUE_H

#include "db/outbox.h"

/*
 * Longest dedup_key and order_key in bytes: they are index entries of several
 * indexes, and whatever is longer is no key but somebody's payload.
 */
#define LN_MAX_KEY	255

/*
 * Of the next row that this session inserts: it is invalid for this reason
 * (NULL = not that we knew), so that nothing else of it is checked; its
 * content as a whole comes from data, so that what is wrong with it is no
 * ERROR but follows on_invalid.  Holds until that row, or the reset of the
 * current memory context, which an error brings.
 */
extern void ln_enqueue_tell(const char *fault, bool content_is_data);

/*
 * Id of the message that the row last inserted by this session was a duplicate
 * of; 0 = of none, or enqueueing is off.
 */
extern int64 ln_enqueue_duplicate_of(void);

#endif							/* LN_ENQUEUE_H */
