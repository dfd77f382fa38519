/*-------------------------------------------------------------------------
 *
 * agenda.h
 *		What is done when: a table of tasks.  Pure: time is an argument.
 *
 * A task is due at a time (LN_NOW = now, LN_NEVER = when told).  The loop runs
 * each task that is due, once a turn, in the order of the table, and sleeps
 * until the first of them.  A task that failed backs off, and only it; one
 * that wants to run again at once although nothing came of it backs off too,
 * so that no fault can make the loop spin.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_AGENDA_H
#define LN_AGENDA_H

#include "base/gate.h"

/* What must hold for a task to be run: bits that the worker gives. */
#define LN_NEEDS_VERSION	0x01	/* library and extension match */
#define LN_NEEDS_HOME		0x02	/* this node may send */
#define LN_NEEDS_ENABLED	0x04	/* line_notify.enabled */

/* After a failure a task is tried again after so long, doubling (us). */
#define LN_BACKOFF_FIRST	INT64_C(100000)
#define LN_BACKOFF_LAST		INT64_C(10000000)

/* After so many turns without progress a task waits, doubling (us). */
#define LN_IDLE_RUNS		3
#define LN_IDLE_FIRST		INT64_C(1000)
#define LN_IDLE_LAST		INT64_C(1000000)

typedef enum LnTaskResult
{
	LN_TASK_PROGRESS,			/* something was done */
	LN_TASK_IDLE,				/* nothing was there to be done */
	LN_TASK_FAILED
} LnTaskResult;

typedef struct LnTask
{
	const char *name;			/* as in pg_stat_activity and the log */
	unsigned	needs;			/* LN_NEEDS_ bits */
	bool		keeps;			/* the worker stays until it is done */
	bool		lazy;			/* nobody is woken up for it */
	int64_t		due;
	int64_t		not_before;		/* back-off; LN_NOW = none */
	int			failures;		/* in a row */
	int			idle_runs;		/* in a row */
} LnTask;

/* Is it to be run? */
extern bool ln_task_ready(const LnTask *t, unsigned have, int64_t now);

/* When will it be?  LN_NEVER = not without being told. */
extern int64_t ln_task_at(const LnTask *t, unsigned have);

/* It is due at that time, or before. */
extern void ln_task_by(LnTask *t, int64_t at);

/* It is run now: what makes it due from here on is for the next time. */
extern void ln_task_begin(LnTask *t);

/*
 * It has run, and is due again at "again" (LN_NOW, LN_NEVER as above).  After
 * a failure it is due at once, but for the back-off.
 */
extern void ln_task_end(LnTask *t, LnTaskResult result, int64_t again,
						int64_t now);

/* The clock was set back by so much (us). */
extern void ln_task_set_back(LnTask *t, int64_t by);

/* Its failure was another's: no back-off. */
extern void ln_task_forgive(LnTask *t);

/* When is the next one to be run? */
extern int64_t ln_agenda_wake(const LnTask *tasks, int n, unsigned have);

/*
 * The same, of those that the worker stays for, and drain(); whether they back
 * off or not.
 */
extern int64_t ln_agenda_resume(const LnTask *tasks, int n, unsigned have);

/* Is there one that the worker shall stay for? */
extern bool ln_agenda_keeps(const LnTask *tasks, int n, unsigned have);

#endif							/* LN_AGENDA_H */
