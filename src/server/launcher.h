/*-------------------------------------------------------------------------
 *
 * launcher.h
 *		The process that starts a worker in every database that needs one.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_LAUNCHER_H
#define LN_LAUNCHER_H

/* Register the launcher with the postmaster; from _PG_init. */
extern void ln_launcher_register(void);

extern PGDLLEXPORT void ln_launcher_main(Datum arg);

#endif							/* LN_LAUNCHER_H */
