/*-------------------------------------------------------------------------
 *
 * worker.h
 *		The delivery worker of one database.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_WORKER_H
#define LN_WORKER_H

extern PGDLLEXPORT void ln_worker_main(Datum arg);

#endif							/* LN_WORKER_H */
