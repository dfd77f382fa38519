/*-------------------------------------------------------------------------
 *
 * identity.h
 *		Is this server the one that was armed, or a copy of it?
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_IDENTITY_H
#define LN_IDENTITY_H

#include "datatype/timestamp.h"

/*
 * How was this server started?  From _PG_init in the postmaster, before the
 * recovery that removes the traces.
 */
extern void ln_identity_note_start(void);

/*
 * Has this server its place on the host under its present node name?  A worker
 * asks before it claims.  False also when the launcher has yet to find out: it
 * wakes all workers when it knows.
 */
extern bool ln_identity_has_place(void);

/* The launcher: take the place, if one of the workers has asked for it. */
extern void ln_identity_step(void);

/*
 * Readable when somebody knocks, which ln_identity_step() lets in: the kernel
 * keeps few of them, and whoever comes then finds nobody.  -1 = none.
 */
extern int	ln_identity_socket(void);

/* The launcher begins, maybe after another one that has lost the place. */
extern void ln_identity_begin(void);

/*
 * Why an identity that was armed then, and was last sent from on that timeline
 * (0 = never), is not believed here: "restored", "cut loose", "twin"; or NULL.
 */
extern const char *ln_identity_fault(TimestampTz armed_at, uint32 timeline);

/*
 * When this server began its timeline, by its own clock: none of its own
 * transactions is older.  DT_NOBEGIN = it did not begin one, or nobody knows.
 */
extern TimestampTz ln_identity_timeline_began(void);

/* Does another server with our identity run on this host now? */
extern bool ln_identity_twin_runs(void);

#endif							/* LN_IDENTITY_H */
