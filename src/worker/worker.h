/*-------------------------------------------------------------------------
 *
 * worker.h
 *		The delivery worker of one database.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_WORKER_H
#define LN_WORKER_H

#include "storage/dsm.h"

#include "server/shmem.h"

extern PGDLLEXPORT void ln_worker_main(Datum arg);

/*
 * A worker for the time of one drain(), where the library is not preloaded: it
 * sends what is due and leaves.  arg is the handle of a dynamic segment with
 * an LnDrain.
 */
extern PGDLLEXPORT void ln_drainer_main(Datum arg);

typedef struct LnDrain
{
	TimestampTz until;			/* then it leaves in any case */
	LnSlot		slot;			/* its place, as if in shared memory; IDLE =
								 * it has left in order */
} LnDrain;

#endif							/* LN_WORKER_H */
