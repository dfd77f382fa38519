/*-------------------------------------------------------------------------
 *
 * enqueue.h
 *		A new message: checked, hashed, scheduled.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_ENQUEUE_H
#define LN_ENQUEUE_H

#include "outbox.h"

/* Channel by name as this backend knows it, or NULL. Valid until the next call that may accept invalidations. */
extern const LnChannelRow *ln_enqueue_channel(const char *name);

#endif							/* LN_ENQUEUE_H */
