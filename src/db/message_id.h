/*-------------------------------------------------------------------------
 *
 * message_id.h
 *		The one source of ids for messages.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_MESSAGE_ID_H
#define LN_MESSAGE_ID_H

#include "port/atomics.h"

/*
 * An id is the number of the node (line_notify.node_number), and below it a
 * count.  53 bits together: JavaScript and everything else that keeps numbers
 * as doubles reads them exactly.  At 2,000 a second the count lasts 139 years.
 */
#define LN_MESSAGE_ID_COUNT_BITS	43

/*
 * A new id.  None of our tables has it, or has had it as far as they still
 * know.  Not transactional, as with every sequence; raises 2200H after the
 * last.  lastval() does not hear of it.  "highest" is the highest count that
 * any session has drawn, or NULL where no memory is shared.
 */
extern int64 ln_message_id_next(Oid sequence, pg_atomic_uint64 *highest);

/*
 * A row comes with an id that was not drawn: those to come go on above it.
 * Raises 23505 if a message of that id has left the outbox already, or, with
 * "fresh", if anything of it is in our tables.  What the outbox itself has is
 * found by its primary key.
 */
extern void ln_message_id_given(Oid sequence, int64 id, bool fresh);

#endif							/* LN_MESSAGE_ID_H */
