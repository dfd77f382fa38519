/*-------------------------------------------------------------------------
 *
 * shmem.h
 *		What the processes of line_notify share: a slot per database, rate
 *		buckets, counters.
 *
 * Plain data only: no pointers, descriptors or handles of one process.  Where
 * nothing else is said, a field is read and written under ln_shared->lock.
 *
 * Life of a slot:
 *
 *	FREE -> WANTED -> STARTING -> RUNNING -> IDLE   left by itself, comes back
 *	          ^  ^       |          |   |           on a wake-up or at next_due
 *	          |  |       v          |   +-> HELD    stepped aside for DDL
 *	          |  +--- NO_WORKER     v
 *	          +------------------ BACKOFF           ended by an error
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_SHMEM_H
#define LN_SHMEM_H

#include "datatype/timestamp.h"
#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/lwlock.h"
#include "storage/spin.h"

#include "base/gate.h"
#include "base/histogram.h"
#include "base/token_bucket.h"

typedef enum LnSlotState
{
	LN_SLOT_FREE = 0,
	LN_SLOT_WANTED,				/* the launcher shall start a worker */
	LN_SLOT_STARTING,			/* registered, not attached yet */
	LN_SLOT_RUNNING,
	LN_SLOT_IDLE,				/* worker left, nothing until next_due */
	LN_SLOT_NO_WORKER,			/* max_worker_processes exhausted */
	LN_SLOT_BACKOFF,			/* ended by an error, restart at restart_at */
	LN_SLOT_HELD				/* away until the holder is done */
} LnSlotState;

/* reasons to wake a worker: bits of LnSlot.work */
#define LN_WORK_OUTBOX		0x01	/* rows were inserted */
#define LN_WORK_WEBHOOK		0x02	/* webhook events were inserted */
#define LN_WORK_CONFIG		0x04	/* channel, credential, identity changed */
#define LN_WORK_EXTENSION	0x08	/* extension created, dropped or updated */
#define LN_WORK_RESCAN		0x10	/* rows changed behind the claim's back */
#define LN_WORK_UNBLOCK		0x20	/* rows that were blocked may go on */
#define LN_WORK_OUTCOMES	0x40	/* outcomes wait for their consumers */
#define LN_WORK_ALL			0x7f
#define LN_WORK_DRAIN		0x80	/* somebody waits in drain() */

typedef struct LnSlot
{
	Oid			database;		/* key; written by whoever fills a free slot */
	uint32		generation;		/* grows with every worker started; a late
								 * exit of an older one changes nothing */
	LnSlotState state;
	int			pid;			/* worker, 0 = none */
	int			procno;			/* its place in ProcGlobal->allProcs */
	int			hold_pid;		/* backend whose DDL wants to be alone */
	bool		hold_at_once;	/* do not wait for answers (DROP) */
	bool		version_mismatch;	/* versions do not match */
	int			failures;		/* in a row */
	int			restarts;
	TimestampTz started_at;
	TimestampTz restart_at;		/* BACKOFF, NO_WORKER: not before */
	TimestampTz next_due;		/* IDLE: when something becomes due; DT_NOEND
								 * = nothing */
	TimestampTz drained_until;	/* for drain(): when something that is due
								 * already may go on; DT_NOBEGIN = at work,
								 * DT_NOEND = nothing is */
	char		last_error[128];
	TimestampTz last_error_at;

	/* lock-free: set by committing backends, taken by the worker */
	pg_atomic_uint32 work;		/* LN_WORK_ bits */
	pg_atomic_uint64 new_lanes; /* bit of outbox.lane */
	pg_atomic_uint64 new_channels;	/* bit ln_shmem_channel_bit(name) */
	pg_atomic_uint32 quiet;		/* 1 = some of these, and nobody was woken */
	pg_atomic_uint64 open_channels; /* by the worker: the bits of channels not
									 * paused, as far as it knows */
	pg_atomic_uint64 noted_at;	/* TimestampTz: when the first of these bits
								 * was set */
	pg_atomic_uint64 wake_at;	/* TimestampTz: when the worker will look
								 * again; within a turn, when that began */
	pg_atomic_uint32 in_flight; /* written by the worker, for display */
	pg_atomic_uint64
				recorded;		/* attempts recorded since server start */
} LnSlot;

/*
 * One rate limit of LINE: a channel ID and an endpoint.  Looked up in a hash
 * table under ln_shared->rate_lock, which whoever uses a bucket holds shared,
 * and whoever makes or forgets one exclusively.
 */
typedef struct LnRate
{
	uint64		key;
	slock_t		mutex;			/* of the bucket, for a few instructions */
	TokenBucket bucket;
} LnRate;

/*
 * Rate limits in use within the same few seconds, in the whole server.  One
 * that has not been used since its bucket was full gives way to another.
 */
#define LN_RATES	1024

/* What is counted of an endpoint of a channel; names in stats.c. */
typedef enum LnCounter
{
	LN_COUNT_SENT,				/* requests begun */
	LN_COUNT_ANSWERS,			/* nine of these: LineOutcome + this */
	LN_COUNT_UNKNOWN = LN_COUNT_ANSWERS + 9,	/* messages that ended as
												 * unknown */
	LN_COUNT_RETRIED,			/* attempts that another follows */
	LN_COUNT_STATUS_429,
	LN_COUNTERS
} LnCounter;

/* Room for what an error said: status and a sentence. */
#define LN_STATS_WORDS	200

/*
 * Counters and present condition of one endpoint of one channel.  The key
 * (database, kind, channel) is written under ln_shared->lock; the rest by the
 * worker of the database, which keeps a pointer, and by reset_stats().  Only
 * that worker gives a place back, or the launcher when the database has gone;
 * who else reads or writes holds the lock, so that the key cannot change
 * meanwhile.
 */
typedef struct LnStats
{
	Oid			database;		/* InvalidOid = free */
	int			kind;			/* LineKind */
	char		channel[64];
	pg_atomic_uint64 counters[LN_COUNTERS];
	pg_atomic_uint64 latency[LN_HISTOGRAM_BUCKETS]; /* of complete answers */
	pg_atomic_uint64 since;		/* TimestampTz of the last reset */
	pg_atomic_uint64 last_success;	/* TimestampTz, 0 = never */
	pg_atomic_uint64 last_error_at; /* TimestampTz, 0 = never */
	pg_atomic_uint32 last_error;	/* its LineOutcome */
	pg_atomic_uint64 last_error_pause;	/* monotonic ns: the end of the pause
										 * that it made; 0 = it made none */
	pg_atomic_uint32 in_flight;
	pg_atomic_uint32 breaker;	/* BreakerState */
	pg_atomic_uint64 breaker_until; /* TimestampTz, 0 = none */
	pg_atomic_uint64 rate_key;
	pg_atomic_uint32 resumed;	/* set by resume(), taken by the worker */
	pg_atomic_uint32 changes;	/* of the verdict: odd = one is under way */
	pg_atomic_uint32 reason;	/* LnReason: the gate's verdict */
	pg_atomic_uint64 until;
	pg_atomic_uint64 not_before;
	pg_atomic_uint64 verdict_at;	/* TimestampTz, 0 = never */
	pg_atomic_uint32 overdue;	/* of the channel: requests without answer,
								 * though later ones are answered */
	pg_atomic_uint64 oldest_sent_at;	/* of the channel: TimestampTz of the
										 * oldest request without answer, 0 */
	char		words[LN_STATS_WORDS];	/* of the last error; by the worker,
										 * under the lock */
} LnStats;

#define LN_STATS	512

/* wait_for() sleeps on the one of these that its message's id falls on */
#define LN_ENDINGS	16

/* What became of our place on this host; see identity.h. */
typedef enum LnPlace
{
	LN_PLACE_UNKNOWN = 0,		/* nobody asked yet; TAKEN or TWIN follow */
	LN_PLACE_TAKEN,				/* ours, as long as the launcher lives */
	LN_PLACE_TWIN				/* another server has it */
} LnPlace;

/* What is kept of the place: the name of the node, cut. */
#define LN_PLACE_NODE	128

/*
 * The highest id of a message that was drawn, without the node's number: that
 * of a database at its OID modulo this.  Two that share one see larger gaps
 * when ids are reset.
 */
#define LN_HIGHEST			64

typedef struct LnShared
{
	LWLock	   *lock;
	int			launcher_pid;	/* 0 = not running */
	int			launcher_procno;
	bool		scan_databases; /* launcher: look for databases again */
	bool		worker_wanted;	/* no process is left for one more: workers
								 * that are idle leave */
	bool		worker_left;	/* launcher: there may be a process again */
	LnPlace		place;			/* on this host; by the launcher */
	bool		place_wanted;	/* launcher: find out; set by workers */
	char		place_node[LN_PLACE_NODE];	/* the name it was asked for */
	TimestampTz twin_at;		/* TWIN: when the other one was seen */
	int			nslots;
	LWLock	   *rate_lock;		/* protects the table of rates, not the
								 * buckets in it */
	ConditionVariable endings[LN_ENDINGS];	/* a message has ended */
	ConditionVariable drained;	/* some drained_until has changed */
	pg_atomic_uint64 highest_id[LN_HIGHEST];	/* by whoever draws one */
	LnStats		stats[LN_STATS];
	LnSlot		slots[FLEXIBLE_ARRAY_MEMBER];
} LnShared;

/* NULL when the library is not preloaded */
extern LnShared *ln_shared;

extern void ln_shmem_install_hooks(void);

/* A slot that nobody has used yet. */
extern void ln_shmem_init_slot(LnSlot *slot);

/*
 * Where the library is not preloaded: memory of this process in place of the
 * shared, with this slot, so that a drainer finds everything as a worker does.
 */
extern void ln_shmem_make_private(LnSlot *slot);

/* Place of MyProc in ProcGlobal->allProcs. */
extern int	ln_shmem_my_procno(void);

/* The slot of a database, or NULL.  Caller holds the lock. */
extern LnSlot *ln_shmem_find(Oid database);

/*
 * The same, taking a free slot if need be; NULL when all are taken.  Caller
 * holds the lock exclusively.
 */
extern LnSlot *ln_shmem_find_or_make(Oid database);

/*
 * Note work for the worker of a database and wake it, or the launcher to start
 * it.  Raises nothing.
 */
extern void ln_shmem_wake(Oid database, uint32 work, uint64 lanes,
						  uint64 channels);

/*
 * Note rows of these lanes and channels for the worker, without waking it, if
 * it need not look at them before "by": it knows the channels as paused, and
 * will look by then.  False = nothing was decided, use ln_shmem_wake().
 *
 * To be called when they are committed.  The worker does not miss them: it
 * writes open_channels before it looks for rows, and wake_at before it looks
 * at quiet for the last time and sleeps; see test/model/wakeup.pml.
 */
extern bool ln_shmem_note_quietly(Oid database, uint64 lanes, uint64 channels,
								  TimestampTz by);

/*
 * The worker: will look again then.  False = something was noted quietly, by
 * somebody who did not know that; it shall look at once.
 */
extern bool ln_slot_may_sleep(LnSlot *slot, TimestampTz until);

extern void ln_shmem_wake_launcher(void);

/* Wake all workers.  Caller holds the lock. */
extern void ln_shmem_wake_running(void);

/*
 * Ask the worker of this database to send all that is due, and to tell when
 * nothing is left.  recorded is as below, of before.  false = all slots are
 * taken.
 */
extern bool ln_shmem_ask_drain(uint64 *recorded);

/*
 * Its answer: drained_until of the slot, and recorded.  DT_NOBEGIN as long as
 * there is no worker, DT_NOEND when there will be none.
 */
extern TimestampTz ln_shmem_drained(uint64 *recorded);

/* The worker answers, if nothing new was noted for it meanwhile. */
extern void ln_shmem_note_drained(LnSlot *slot, TimestampTz drained_until);

/*
 * Ask the worker of a database to step aside, and wait until it has (at most
 * timeout_ms; false then).  at_once: do not wait for answers on the wire.  The
 * hold belongs to this backend and ends with ln_shmem_end_hold, which the
 * caller sees to also when this raises (a cancelled wait), or with the
 * backend.  There, InvalidOid means all holds of this backend.
 */
extern bool ln_shmem_hold(Oid database, bool at_once, int timeout_ms);
extern void ln_shmem_end_hold(Oid database);

/* The longest of them (ms). */
#define LN_LONGEST_BACKOFF	300000

/*
 * Back-off of a worker after the n-th failure in a row: 1 s, doubling to 5
 * min.
 */
extern int	ln_shmem_backoff_ms(int failures);

/* bit of a channel name in LnSlot.new_channels */
extern uint64 ln_shmem_channel_bit(const char *name);

/*
 * Take up to want sends from a rate limit; *wait_ns is set when fewer were
 * there.
 * None at all when LN_RATES others are in use.
 */
extern int	ln_shmem_rate_take(uint64 key, int limit, int want,
							   int64 *wait_ns);

/* LINE said wait: for all workers.  Never shortens a pause in force. */
extern void ln_shmem_rate_block(uint64 key, int limit, int64 pause_ns);

/* End of the pause in force (monotonic clock), 0 = none. */
extern int64 ln_shmem_rate_blocked_until(uint64 key);

/*
 * An operator says that the cause of a pause is gone: ends it, and the slow
 * start.
 */
extern void ln_shmem_rate_unblock(uint64 key);

/*
 * Tokens there now, and when a pause of LINE's ends (0 = none); false when
 * nobody sends with this key.
 */
extern bool ln_shmem_rate_look(uint64 key, double *tokens, int64 *blocked_ns);

/*
 * The counters of an endpoint of a channel; made when there are none.  NULL
 * when all places are taken: then it is not counted.
 */
extern LnStats *ln_shmem_stats(Oid database, const char *channel, int kind);

/*
 * Give back the places of a database, all but those of the n channels named.
 */
extern void ln_shmem_stats_keep(Oid database, const char *const *channels,
								int n);

/*
 * A request begins; it has come to an outcome, next follows, and it has made a
 * pause until pause_ns (monotonic clock; 0 = none).  s may be NULL.
 */
extern void ln_stats_sent(LnStats *s);
extern void ln_stats_answer(LnStats *s, int outcome, int next, int status,
							TimestampTz now, int64 latency_us, int64 pause_ns);

/* Show the breaker. */
extern void ln_stats_breaker(LnStats *s, int state, TimestampTz until);

/*
 * Publish the gate's verdict on an endpoint; s may be NULL.  Read it: false =
 * there is none, or it changes too fast.
 */
extern void ln_stats_verdict(LnStats *s, LnVerdict v, TimestampTz now);
extern bool ln_stats_read_verdict(LnStats *s, LnVerdict *v, TimestampTz *at);

/*
 * Publish how many requests are unanswered though later ones are answered, and
 * when the oldest that has no answer was sent (0 = none).  s may be NULL.
 */
extern void ln_stats_unanswered(LnStats *s, int overdue, TimestampTz oldest);

/* When the worker will look again. */
static inline void
ln_slot_set_wake(LnSlot *slot, TimestampTz at)
{
	pg_atomic_write_u64(&slot->wake_at, (uint64) at);
}

/*
 * Keep what the last error said, its status first (0 = none).  s may be NULL.
 */
extern void ln_stats_error(LnStats *s, int status, const char *words);

/* Messages with these bits have ended: wake who waits for them. */
#define LN_ENDINGS_ALL	(((uint32) 1 << LN_ENDINGS) - 1)

static inline uint32
ln_shmem_ending(int64 id)
{
	return (uint32) 1 << ((uint64) id % LN_ENDINGS);
}

extern void ln_shmem_ended(uint32 endings);

#endif							/* LN_SHMEM_H */
