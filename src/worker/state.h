/*-------------------------------------------------------------------------
 *
 * state.h
 *		What the files of the delivery worker share; nobody else includes it.
 *
 *	worker.c			the loop: the order of things, and the one place to wait
 *	worker/process.c	how the process comes and goes, its signals and settings
 *	worker/phase.c		transactions, and the only place that catches errors
 *	worker/claim.c		due rows become leases and deliveries
 *	worker/send.c		deliveries become requests, answers become outcomes
 *	worker/record.c		outcomes become history
 *	worker/rescue.c		leases of processes that died
 *	worker/tasks.c		configuration, expiry, silence, retention ...: the rest
 *
 * Words: a lane is the messages of one channel, priority and endpoint; a lease
 * is a row of in_flight; the claimer is this process, known by the key of a
 * session lock that dies with it; the journal says which messages had a byte
 * handed to the network.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_WORKER_STATE_H
#define LN_WORKER_STATE_H

#include <signal.h>

#include "datatype/timestamp.h"
#include "storage/dsm.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "utils/palloc.h"

#include "base/horizon.h"
#include "base/sample.h"
#include "compat.h"
#include "db/outbox.h"
#include "db/policy.h"
#include "http/http.h"
#include "line/line_api.h"
#include "server/shmem.h"
#include "worker/channel.h"
#include "worker/send_journal.h"

/* Most rows of one claim: what is lost in certainty at a power failure. */
#define CLAIM_MAX			256

/*
 * A small claim costs nearly as much as a large one: between claims pass this
 * many times the last one's duration,
 */
#define CLAIM_GAP_FACTOR	3
/* but at most this long (us). */
#define CLAIM_GAP_MAX_US	10000

/*
 * Results are recorded when so many wait, or the oldest waits so long (us): 40
 * times what the last record took, since a small batch costs nearly as much as
 * a large one.  With nothing else in hand, at once.
 */
#define RECORD_BATCH		256
#define RECORD_DELAY_FACTOR	40
#define RECORD_DELAY_MIN_US	10000
#define RECORD_DELAY_MAX_US	100000

/* What may wait to be recorded before claiming stops. */
#define MAX_UNRECORDED		4096

/* Rows moved to history by one expiry transaction. */
#define EXPIRE_BATCH		1000

/* locks of ours, apart from users' advisory locks by this field */
#define LOCK_FIELD			3
#define LOCK_WORKER			0	/* one worker per database */
#define LOCK_CLAIM			1	/* one claimer at a time */

/*
 * Log lines that one cause may repeat for many messages: sampled, see
 * sample.h.
 * Errors of phases are not, since a failed phase rests before the next
 * attempt.
 */
typedef enum LogClass
{
	LOG_QUARANTINE,				/* a message cannot be claimed */
	LOG_LEASE,					/* a lease was lost */
	LOG_ANNOUNCE,				/* listeners are not told of outcomes */
	LOG_CLASSES
} LogClass;

typedef enum DeliveryState
{
	DELIVERY_FREE,				/* -> CLAIMED */
	DELIVERY_CLAIMED,			/* leased, waiting for a rate token -> SENT,
								 * DONE */
	DELIVERY_SENT,				/* in the HTTP client -> DONE */
	DELIVERY_DONE				/* answered, waiting to be recorded -> FREE */
} DeliveryState;

typedef struct Delivery
{
	DeliveryState state;
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
	LineNext	next;
	LineOutcome outcome;
	int			status;
	TimestampTz ended_at;
	TimestampTz retry_at;
	bool		attempted;
	int			record_failures;	/* by itself, in a row */
	TimestampTz record_at;		/* not before, after a failure */
	char		request_id[80];
	char		error[256];
} Delivery;

/*
 * A kind of work that failed rests for a while, and only it: a lock on one
 * table must not stop what needs another.
 */
typedef struct Backoff
{
	const char *activity;		/* as given to phase() */
	int			failures;		/* in a row */
	TimestampTz until;
} Backoff;

#define MAX_BACKOFFS	32

typedef struct LnWorker
{
	LnSlot	   *slot;
	uint32		generation;
	uint64		claimer;
	MemoryContext context;		/* as long as the worker */
	MemoryContext batch;		/* reset every turn */
	WaitEventSet *events;		/* latch, postmaster, libcurl */
	uint32		wait_event;

	HttpClient *http;
	LnSendJournal *journal;
	Delivery   *deliveries;
	int			ndeliveries;
	int		   *free_list;		/* places of free deliveries */
	int			nfree;
	int		   *claimed;		/* FIFO ring of CLAIMED deliveries */
	int			claimed_head;
	int			nclaimed;
	int		   *done;			/* DONE deliveries */
	int			ndone;
	int			nsent;

	LnChannel **channels;
	int			nchannels;
	int			next_channel;	/* round robin */
	int64		home;			/* 0 = disarmed */
	bool		version_mismatch;	/* versions do not match */
	bool		any_suppressed; /* somebody objected */

	LnHorizon	horizon;
	/* when chores are due: 0 = now, DT_NOEND = when told; worker/tasks.c */
	TimestampTz config_at;
	TimestampTz rescue_at;
	TimestampTz fold_at;
	TimestampTz expiry_at;
	TimestampTz delivery_timeout_at;
	TimestampTz unblock_at;
	TimestampTz keys_at;
	TimestampTz maintenance_at;
	TimestampTz statistics_at;
	TimestampTz announce_at;
	TimestampTz probe_at;		/* is there a better credential? */
	TimestampTz in_doubt_until; /* the doubt after a promotion, see below */
	bool		need_scan;
	TimestampTz last_scan;
	int64		scan_us;		/* what it cost, see scan() */
	TimestampTz expiry_low;		/* nothing that waits expires before */
	TimestampTz expiry_last;	/* of the rows of the last transaction */
	int			expire_limit;	/* rows of the next one */
	LnUnblockScan unblock_scan;
	int64		fold_after;		/* seq; 0 = from the first event on */
	bool		fold_left;		/* there are events that had to stay */

	uint64		round;			/* of ln_worker_send() */
	TimestampTz token_at;		/* when a rate token may be there; DT_NOEND =
								 * none is missing */
	TimestampTz first_done_at;	/* oldest unrecorded result */
	int64		record_delay_us;	/* how long it may wait */
	TimestampTz record_at;		/* results that failed by themselves: not
								 * before */
	TimestampTz last_claim_at;
	int64		last_claim_us;
	TimestampTz idle_since;
	bool		drain_wanted;	/* somebody waits in drain(): no rest between
								 * scans */
	TimestampTz drain_until;	/* a drainer: leave then; 0 = a worker */
	bool		drained;		/* a drainer: nothing is left to do */
	TimestampTz in_doubt_before;	/* due up to then: perhaps sent by the
									 * former primary; DT_NOBEGIN = no doubt */
	Backoff		backoffs[MAX_BACKOFFS];
	int			last_sqlstate;	/* of the last failed phase */
	bool		ended;			/* this phase ended messages: see wait.c */
	LnSample	samples[LOG_CLASSES];
} LnWorker;

extern LnWorker ln_worker;

/* it is in every line of these files */
#define W	ln_worker

/* worker/process.c ------------------------------------------------------- */

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
extern void ln_worker_attach(int slotno, uint32 generation);

/*
 * The same for a drainer, whose place is in the segment of the session that
 * called drain().
 */
extern void ln_worker_attach_drainer(dsm_handle handle);

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

/* Orderly end, whatever is noted: it is for the next worker. */
pg_noreturn extern void ln_worker_leave(LnSlotState state, const char *error);

/* Transactions that outlast the time we were given to stop are broken off. */
extern void ln_worker_watchdog(bool on);

/* worker/phase.c --------------------------------------------------------- */

/*
 * Run one short transaction: work(arg) under SPI and a snapshot.  An error is
 * logged and the transaction undone; the process and what is on the wire go
 * on.
 * Returns whether it committed.
 */
extern bool ln_phase(const char *activity, void (*work) (void *), void *arg);

/* The same, unless this kind of work rests after a failure. */
extern bool ln_try_phase(const char *activity, void (*work) (void *),
						 void *arg);

/* Until when does it rest?  DT_NOBEGIN = it does not. */
extern TimestampTz ln_backoff_until(const char *activity);
extern bool ln_backing_off(const char *activity);
extern void ln_backoff_clear(const char *activity);
extern bool ln_any_backoff(void);

/*
 * Can a row be the cause of this error?  Locks, shortage of memory or disk,
 * and shutdown are not its fault.
 */
extern bool ln_is_row_fault(int sqlstate);

/*
 * Shall a line of this class be written, and how many were left out since the
 * last one?
 */
extern bool ln_worker_may_log(LogClass class, int64 *skipped);

/* worker/claim.c --------------------------------------------------------- */

/* Claim for every channel that has room and, maybe, due messages. */
extern void ln_worker_claim(void);

/* One claimer at a time in a database; until the end of the transaction. */
extern void ln_worker_lock_claims(void);

/* Rows may be due before what the lanes remember. */
extern void ln_worker_forget_bounds(void);

/* Something in a lane may be due since "at". */
extern void ln_worker_fill_lane(LnLane *lane, TimestampTz at);

/*
 * May messages of an endpoint be sent now?  0 = yes, otherwise when to ask
 * again; DT_NOEND = something will happen first (configuration, an answer).
 */
extern TimestampTz ln_worker_closed_until(LnChannel *c, LineKind kind,
										  TimestampTz now);

/* When a channel can be claimed for next, without anything else happening. */
extern TimestampTz ln_worker_claim_deadline(LnChannel *c, TimestampTz now);

/*
 * When may something that is due already go on?  0 = it does, DT_NOEND =
 * nothing is due, or what is waits for something else than time.
 */
extern TimestampTz ln_worker_resume_at(TimestampTz now);

/* worker/send.c ---------------------------------------------------------- */

/* Hand claimed messages to the HTTP client as fast as LINE's rate allows. */
extern void ln_worker_send(void);

/* Take the finished deliveries from the HTTP client. */
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

/* Show the breakers in view stats; resume() closes them. */
extern void ln_worker_publish_breakers(void);

/* worker/record.c -------------------------------------------------------- */

/*
 * Write down what came of finished deliveries, when enough of them wait or one
 * waits long enough.
 */
extern void ln_worker_record(void);

/* worker/rescue.c -------------------------------------------------------- */

/* A phase: leases of claimers that are dead. */
extern void ln_worker_rescue(void *arg);

/* worker/tasks.c -------------------------------------------------------- */

/*
 * Take over what was noted for us.  Leaves the process when the extension is
 * not in this database.
 */
extern void ln_worker_take_work(void);

/* Whatever else is due now, each in a phase of its own. */
extern void ln_worker_chores(void);

/* What waits, and for when?  Finds rows that a claim had to skip, too. */
extern void ln_worker_scan(void);

/* Tokens that are missing or old; LINE's counts. */
extern void ln_worker_ask_line(void);

/* Something was counted. */
extern void ln_worker_judge_timeouts_soon(void);

/* When the next of the above is due; DT_NOEND = when told. */
extern TimestampTz ln_worker_chores_deadline(TimestampTz now);

/* Is one of the above due now? */
extern bool ln_worker_chores_due(TimestampTz now);

/* Is none of the above due soon? */
extern bool ln_worker_chores_idle(void);

#endif							/* LN_WORKER_STATE_H */
