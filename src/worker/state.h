/*-------------------------------------------------------------------------
 *
 * state.h
 *		What the files of the delivery worker share; nobody else includes it.
 *
 *	worker.c		the loop: the agenda, and the one place to wait
 *	tasks.c			the table of tasks, and those of configuration and upkeep
 *	facts.c			what the gate is asked about, and telling its verdict
 *	claim.c			due rows become leases and deliveries
 *	delivery.c		the deliveries in hand
 *	send.c			deliveries become requests, answers become outcomes
 *	record.c		outcomes become history
 *	rescue.c		leases of processes that died
 *	phase.c			transactions, and the only place that catches errors
 *	process.c		how the process comes and goes, its signals and settings
 *
 * What only one of them uses is in that file.  Words: see src/README.md.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_WORKER_STATE_H
#define LN_WORKER_STATE_H

#include <signal.h>

#include "access/xlogdefs.h"
#include "datatype/timestamp.h"
#include "storage/dsm.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "utils/palloc.h"

#include "base/agenda.h"
#include "base/gate.h"
#include "compat.h"
#include "db/outbox.h"
#include "db/policy.h"
#include "http/http.h"
#include "line/line_api.h"
#include "server/shmem.h"
#include "worker/channel.h"
#include "worker/send_journal.h"

/* locks of ours, apart from users' advisory locks by this field */
#define LOCK_FIELD			3
#define LOCK_WORKER			0	/* one worker per database */
#define LOCK_CLAIM			1	/* one claimer at a time */

/* A drainer asks again after so long (us) whether another one is done. */
#define OTHER_DRAIN_RETRY	(USECS_PER_SEC / 4)

typedef enum DeliveryState
{
	DELIVERY_FREE,				/* -> CLAIMED */
	DELIVERY_CLAIMED,			/* leased, waiting for a rate token -> SENT,
								 * DONE */
	DELIVERY_SENT,				/* in the HTTP client -> DONE */
	DELIVERY_DONE,				/* answered, waiting to be recorded -> KEPT */
	DELIVERY_KEPT				/* recorded, perhaps not yet on disk -> FREE */
} DeliveryState;

/* A message in our hands, from its lease to its record. */
typedef struct Delivery
{
	DeliveryState state;
	int			next;			/* in its list; -1 = the last */
	int			prev;			/* on the wire: the same, backwards */
	bool		overdue;		/* on the wire, and long past the usual time */
	int64		id;
	uint64		token;
	int			attempt;
	bool		maybe_sent;
	bool		ordered;		/* others may wait for its end */
	int64		order_hash;		/* of its order_key */
	TimestampTz expires_at;		/* not sent from then on */
	LnChannel  *channel;
	int			lane;
	LineKind	kind;
	char		subject[LN_SUBJECT_LEN];	/* its template or design */
	char		use_case[NAMEDATALEN];
	LnPolicy	policy;
	char	   *request;		/* body, malloc'd, until sent */
	size_t		request_len;
	LnJournalEntry *journal;
	uint32		token_generation;	/* of the access token it was sent with */
	TimestampTz sent_at;

	/* DONE */
	LineNext	next_step;
	LineOutcome outcome;
	int			status;
	TimestampTz ended_at;
	TimestampTz retry_at;
	bool		attempted;
	int			record_failures;	/* by itself, in a row */
	TimestampTz record_at;		/* not before, after a failure */
	char		request_id[LN_REQUEST_ID_LEN];
	char		error[LN_ERROR_LEN];

	/* KEPT */
	XLogRecPtr	record_end;		/* when WAL is flushed to here, so is its
								 * record */
	TimestampTz recorded_at;
} Delivery;

/* What all of them use. */
typedef struct LnWorker
{
	LnSlot	   *slot;
	uint64		claimer;		/* this process: the key of a session lock
								 * that dies with it */
	MemoryContext context;		/* as long as the worker */
	MemoryContext batch;		/* reset every turn */
	HttpClient *http;

	TimestampTz now;			/* read once a turn, and after each phase */
	uint64		reading;		/* number of that reading, from 1: verdicts
								 * hold for one */

	LnChannel **channels;
	int			nchannels;
	int64		home;			/* 0 = disarmed */
	bool		version_mismatch;
	TimestampTz drain_until;	/* a drainer: leave then; 0 = a worker */
} LnWorker;

extern LnWorker ln_worker;

/* it is in every line of these files */
#define W	ln_worker

/* tasks.c ---------------------------------------------------------------- */

typedef enum LnTaskId
{
	TASK_EXTENSION,
	TASK_CONFIGURE,
	TASK_SET_BACK,
	TASK_RECORD,
	TASK_RESCUE,
	TASK_FOLD,
	TASK_EXPIRE,
	TASK_IN_DOUBT,
	TASK_DELIVERY_TIMEOUTS,
	TASK_UNBLOCK,
	TASK_SWEEP_KEYS,
	TASK_ANNOUNCE,
	TASK_MAINTAIN,
	TASK_SET_ASIDE,
	TASK_CLAIM,
	TASK_SCAN,
	TASK_RESUME,
	TASK_NOTE_TOKENS,
	TASK_FIND_STATISTICS,
	TASK_RECORD_STATISTICS,
	TASK_CREDENTIAL_FILES,
	TASK_QUESTIONS,
	TASK_SEND,
	TASK_FLUSH,
	TASKS
} LnTaskId;

/* Sets up the table. */
extern void ln_tasks_init(void);

/*
 * Takes over what was noted for us in shared memory: it makes tasks due.
 * False = nothing was.
 */
extern bool ln_tasks_take_notes(void);

/* The clock was set back so much (us): what waits waits no longer for it. */
extern void ln_tasks_set_back(int64 by);

/* Looks for the extension; leaves the process when it is not there. */
extern void ln_tasks_check_extension(void);

/* Runs what is due, each task once. */
extern void ln_tasks_run(void);

/* A task is due at that time, or before. */
extern void ln_tasks_by(LnTaskId id, TimestampTz at);

/* Has its last run failed? */
extern bool ln_tasks_failing(LnTaskId id);

/* When to run tasks again; DT_NOEND = when told. */
extern TimestampTz ln_tasks_wake(void);

/*
 * For drain(): when may something that is due go on?  DT_NOBEGIN = it does,
 * or we work at it; DT_NOEND = nothing is due, or somebody must act.
 */
extern TimestampTz ln_tasks_resume(void);

/* Is there a task that the worker shall stay for? */
extern bool ln_tasks_keep(void);

/* What happens makes something else due. */
extern void ln_tasks_look_for_due(void);	/* scan all lanes */
extern void ln_tasks_look_again(void);	/* the same: what the scan saw could
										 * not be claimed */
extern void ln_tasks_counted(void); /* something was: judge time-outs */
extern void ln_tasks_expires(TimestampTz at);	/* a message, which waits
												 * again */

/* facts.c ---------------------------------------------------------------- */

/*
 * Read the clock: what was said of endpoints before is to be asked anew.
 * True = it was set back, and so were the times of our agenda.
 */
extern bool ln_worker_read_clock(void);

/* The verdict of the gate on an endpoint, now. */
extern LnVerdict ln_worker_gate(LnChannel *c, LineKind kind);

/* Something has happened to a channel: ask anew. */
extern void ln_worker_regate(LnChannel *c);

/* How many more messages of a channel may be claimed within its budget. */
extern int	ln_worker_budget_left(const LnChannel *c);

/* Tell others what holds the endpoints of a channel, or of all. */
extern void ln_worker_publish(LnChannel *c);
extern void ln_worker_publish_all(void);

/* process.c -------------------------------------------------------------- */

/*
 * Set by SIGTERM; when what is on the wire has had its time (0 = not known
 * yet).
 */
extern volatile sig_atomic_t ln_worker_stopping;
extern volatile TimestampTz ln_worker_stop_deadline;

/*
 * Take the place that the launcher prepared, and the first signals.  Leaves
 * the process if it is too late.
 */
extern void ln_worker_attach(int slotno, uint32 expected);

/*
 * The same for a drainer, whose place is in the segment of the session that
 * called drain().
 */
extern void ln_worker_attach_drainer(dsm_handle handle);

/* A drainer: nothing is left to do. */
extern bool ln_worker_drained;

/* From here on signals are ours: a request to stop ends the work in order. */
extern void ln_worker_take_signals(void);

/*
 * Settings of the database or role must not change what our statements do, nor
 * how.
 */
extern void ln_worker_pin_settings(void);

/*
 * Become the one worker of this database, under a name that dies with the
 * process; or leave.
 */
extern void ln_worker_take_database(void);

/*
 * Shall we stop?  Then also how: at_once = without waiting for answers, state
 * = what the slot becomes.
 */
extern bool ln_worker_must_stop(bool *at_once, LnSlotState *state);

/*
 * Leave because nothing is to be done before next_due (state IDLE), or ever
 * (FREE).  Returns if somebody has noted work meanwhile.
 */
extern void ln_worker_leave_unless_wanted(LnSlotState state,
										  TimestampTz next_due);

/* The error that ends this process, for health(). */
extern void ln_worker_note_end(const char *error);

/* Orderly end, whatever is noted: it is for the next worker. */
pg_noreturn extern void ln_worker_leave(LnSlotState state, const char *error);

/* Transactions that outlast the time we were given to stop are broken off. */
extern void ln_worker_watchdog(bool on);

/* phase.c ---------------------------------------------------------------- */

/*
 * Run one short transaction: work(arg) under SPI and a snapshot.  An error is
 * logged, sampled by activity (a constant), and the transaction undone; the
 * process and what is on the wire go on.  Returns whether it committed.
 */
extern bool ln_phase(const char *activity, void (*work) (void *), void *arg);

/*
 * Part of a phase, in a transaction within.  0 = done, or the SQLSTATE of an
 * error that a row can be the cause of: then only this part is undone.  Any
 * other error ends the phase.
 */
extern int	ln_phase_part(void (*work) (void *), void *arg);

/*
 * Within a phase: a setting, for this transaction only.  Raises as SET LOCAL
 * would.
 */
extern void ln_phase_set(const char *name, const char *value);

/* Within a phase: it has ended messages, for which others may wait. */
extern void ln_phase_ended_messages(void);

/*
 * Can a row be the cause of the last error?  Locks, shortage of memory or
 * disk, and shutdown are not its fault.
 */
extern bool ln_phase_row_fault(void);
extern bool ln_is_row_fault(int sqlstate);

/* The SQLSTATE of the last error. */
extern int	ln_phase_sqlstate(void);

/*
 * Log lines that one cause may repeat for many messages: sampled, see
 * sample.h.  So are the errors of each kind of phase.
 */
typedef enum LogClass
{
	LOG_QUARANTINE,				/* a message cannot be claimed */
	LOG_LEASE,					/* a lease was lost */
	LOG_ANNOUNCE,				/* listeners are not told of outcomes */
	LOG_SET_ASIDE,				/* the tables refuse an outcome */
	LOG_PAUSE,					/* a channel, or a part of it, is paused */
	LOG_CLASSES
} LogClass;

/*
 * Shall a line of this class be written, and how many were left out since the
 * last one?
 */
extern bool ln_worker_may_log(LogClass class, int64 *skipped);

/* delivery.c ------------------------------------------------------------- */

/* Places for n deliveries in hand and their journal. */
extern void ln_deliveries_init(int n);

extern int	ln_deliveries_size(void);
extern int	ln_deliveries_free(void);	/* how many more may be in hand */
extern int	ln_deliveries_claimed(void);	/* not sent yet */
extern int	ln_deliveries_sent(void);	/* on the wire */
extern int	ln_deliveries_done(void);	/* not recorded yet */

/* The one that a request has as its tag. */
extern Delivery *ln_delivery(int no);
extern int	ln_delivery_no(const Delivery *d);

/* The n-th free one to be taken next, to note its lease in the journal. */
extern Delivery *ln_delivery_peek(int n);

/* A free one becomes CLAIMED, last in the queue of that channel and kind. */
extern Delivery *ln_delivery_claim(LnChannel *c, LineKind kind,
								   TimestampTz expires_at);

/* The first of a queue leaves it, is SENT; or NULL. */
extern Delivery *ln_delivery_first(const LnChannel *c, LineKind kind);
extern void ln_delivery_sent(Delivery *d);

/*
 * How many of a channel are on the wire and not overdue: an answer that others
 * have had long ago does not take the place of a new request.
 */
extern int	ln_deliveries_current(LnChannel *c);

/* When the one was sent that is unanswered for the longest time; 0 = none. */
extern TimestampTz ln_deliveries_oldest(const LnChannel *c);

/* It is DONE, from whatever state it was in. */
extern void ln_delivery_done(Delivery *d);

/* Takes out of a queue all that "which" says, and gives them to "take". */
extern void ln_deliveries_remove(LnChannel *c, LineKind kind,
								 bool (*which) (const Delivery *d),
								 void (*take) (Delivery *d));

/* DONE ones, from the one that waits longest; then NULL. */
extern Delivery *ln_deliveries_done_first(void);
extern Delivery *ln_deliveries_done_next(const Delivery *d);

/*
 * After the transaction that recorded them: KEPT ones leave the list of DONE
 * ones.  Those whose record is on disk are FREE.
 */
extern void ln_deliveries_sweep(void);

/* What was recorded is on disk; the places of it are free. */
extern void ln_deliveries_flush(void);

/*
 * See to it that so many places are free, no more than ln_deliveries_free():
 * those whose record is on disk, or it flushes.
 */
extern void ln_deliveries_reserve(int n);

/* When was the first recorded that is perhaps not on disk?  0 = all is. */
extern TimestampTz ln_deliveries_unflushed_since(void);

/*
 * The clock was set back by so much (us): which of them was sent before which
 * goes by their times.
 */
extern void ln_deliveries_set_back(int64 by);

/* Is one of this order_key, by its hash, in our hands? */
extern bool ln_deliveries_have_order(const LnChannel *c, int64 order_hash);

/* The journal goes, since all is recorded; that is flushed first. */
extern void ln_deliveries_end_journal(void);

/* claim.c ---------------------------------------------------------------- */

/* Task: claim for every channel that may. */
extern LnTaskResult ln_worker_claim(TimestampTz *again);

/* When is there something to claim? */
extern TimestampTz ln_worker_claim_due(void);

/* When may something that is due go on?  As ln_tasks_resume(). */
extern TimestampTz ln_worker_claim_resume(void);

/* One claimer at a time in a database; until the end of the transaction. */
extern void ln_worker_lock_claims(void);

/* Messages due up to then were perhaps sent by the former primary. */
extern void ln_worker_set_in_doubt(TimestampTz before);
extern TimestampTz ln_worker_in_doubt(void);

/* Somebody has opted out, or is not allowed: look at recipients. */
extern void ln_worker_set_suppression(bool any);

/* Rows may be due before what the lanes remember. */
extern void ln_worker_forget_bounds(void);

/* Something in a lane may be due since then, or will be. */
extern void ln_worker_lane_fill(LnChannel *c, int lane, TimestampTz since);
extern void ln_worker_lane_wait(LnChannel *c, int lane, TimestampTz at);

/* When is something of an endpoint due? */
extern TimestampTz ln_worker_lanes_due(LnChannel *c, LineKind kind);
extern void ln_worker_lane_scanned(LnChannel *c, int lane,
								   TimestampTz first_due);

/* send.c ----------------------------------------------------------------- */

/* Task: hand claimed messages to the HTTP client as fast as LINE allows. */
extern LnTaskResult ln_worker_send(TimestampTz *again);
extern TimestampTz ln_worker_send_due(void);

/* Take the answers from the HTTP client. */
extern void ln_worker_harvest(void);

/*
 * When to try again after such an outcome: backoff, and time for a delivery
 * event to come.
 */
extern TimestampTz ln_worker_retry_at(const LnChannelRow *row,
									  const LnPolicy *policy, int attempt,
									  LineOutcome outcome, TimestampTz now);

/* Give what was claimed and not sent back, as it came. */
extern void ln_worker_send_nothing(void);

/* record.c --------------------------------------------------------------- */

/* To record what was set aside is tried again after so long (ms). */
#define SET_ASIDE_GAP		10000

/*
 * Task: write down what came of finished deliveries, when enough of them wait
 * or one waits long enough.
 */
extern LnTaskResult ln_worker_record(TimestampTz *again);
extern TimestampTz ln_worker_record_due(void);

/*
 * Within a phase: try again to record what was set aside.  Returns when to
 * look again.
 */
extern TimestampTz ln_worker_record_set_aside(void);

/* Within a phase: an outcome that the tables refuse goes aside. */
extern void ln_worker_set_aside(LnRecord *rec, int sqlstate);

/* Something is to be recorded soon: others wait for it. */
extern void ln_worker_record_soon(void);

/* rescue.c --------------------------------------------------------------- */

/*
 * Within a phase: leases of claimers that are dead.  Returns when to look
 * again.
 */
extern TimestampTz ln_worker_rescue(bool *progress);

/*
 * What is to be recorded of an attempt, by its lease and its journal entry
 * (NULL = nobody knows), and by the channel (NULL = it is gone)?  Texts are
 * those of o and e.
 */
extern void ln_worker_reconstruct(const LnOrphan *o, const LnJournalEntry *e,
								  const LnChannel *channel, LnRecord *r);

#endif							/* LN_WORKER_STATE_H */
