/*-------------------------------------------------------------------------
 *
 * worker.c
 *		The delivery worker of one database: the life of a message.
 *
 *	claim		a short transaction locks due rows of a lane and writes a lease
 *				for each; durable before the first byte leaves
 *	send		no transaction is open; a token of LINE's rate is taken for
 *				each message, libcurl does the rest
 *	record		a short transaction writes what came of a batch, under the
 *				leases
 *
 * In between there is one place to wait: the latch, libcurl's descriptor and
 * the nearest deadline.  Decisions are made by pure functions (line_api.c,
 * breaker.c, token_bucket.c, retry.c); this file puts them in order, and is
 * the only one that opens transactions and catches errors.
 *
 * What is on the wire survives an ERROR of any phase: transfers live in
 * malloc'd memory of the HTTP client and in plain structs here, results wait
 * until they can be recorded.  What survives the death of the process is the
 * leases and the witness file; see rescue().
 *
 * Words: a lane is the messages of one channel, priority and endpoint; a lease
 * is a row of in_flight; the claimer is this process, known by the key of a session
 * lock that dies with it; the witness says which messages had a byte handed to
 * the network.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>
#include <unistd.h>

#include "access/transam.h"
#include "access/xlog.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "commands/extension.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "replication/syncrep.h"
#include "replication/walsender.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "channel.h"
#include "compat.h"
#include "counts.h"
#include "crypto.h"
#include "guc.h"
#include "horizon.h"
#include "http.h"
#include "line_api.h"
#include "outbox.h"
#include "retry.h"
#include "sample.h"
#include "shmem.h"
#include "token.h"
#include "witness.h"
#include "worker.h"

/* Versions of the SQL objects that this library can work with. */
static const char *const supported_versions[] = {"1.0", NULL};

/* Most rows of one claim: what is lost in certainty at a power failure. */
#define CLAIM_MAX			256

/* Results are recorded when so many wait, or the oldest waits so long. */
#define RECORD_BATCH		256
#define RECORD_DELAY_US		10000

/* A small claim costs nearly as much as a large one: between claims pass this many times the last one's duration, */
#define CLAIM_GAP_FACTOR	3
/* but at most this long (us). */
#define CLAIM_GAP_MAX_US	10000

/* A failed phase is tried again after so long, doubling (ms). */
#define PHASE_RETRY_FIRST	100
#define PHASE_RETRY_LAST	10000

/* No survey of all lanes more often than this (ms): it may walk dead index entries. */
#define SURVEY_GAP			1000
#define SURVEY_GAP_BUSY		30000

/*
 * Without a rate token, look again after so long (us) at the earliest: at 2,000
 * a second ten tokens have come by then, for one wake-up.
 */
#define TOKEN_NAP_US		5000

/* Rows that a channel may have claimed beyond what it may send: one good claim. */
#define IN_HAND				64

/* So many identical answers 400 to one template or design pause it. */
#define REFUSED_RUN			20

/* Is the credential of a channel that LINE refused a new one? Look so often (ms). */
#define CREDENTIAL_PROBE	10000

/* Rows set aside are brought back in steps of this; locked ones after (ms). */
#define RELEASE_BATCH		1000
#define RELEASE_RETRY		1000

/* Old dedup keys are swept up so often (ms), by a worker that is awake anyway. */
#define SWEEP_GAP			3600000
#define SWEEP_BATCH			10000

/* Webhook events folded in one transaction. */
#define FOLD_BATCH			1000

/* LINE's counts are asked for again after so long when there was no token (us). */
#define COUNTS_RETRY		(10 * USECS_PER_SEC)

/* Silence is judged and counters are summed up so often at most (us). */
#define SILENCE_GAP			(5 * USECS_PER_SEC)

/* Rows moved to history by one expiry transaction. */
#define EXPIRE_BATCH		1000

/* Response bytes kept of an answer: LINE's longest error is under 2 kB. */
#define MAX_RESPONSE		8192

/* Longest pause that a Retry-After can order (ms): then one message asks again. */
#define MAX_PAUSE_MS		900000

/* What may wait to be recorded before claiming stops. */
#define MAX_UNRECORDED		4096

/* Failures in a row, by itself, until a row is known to be the cause. */
#define BAD_ROW_FAILURES	3
/* Such a row is not looked at again for this long (ms). */
#define BAD_ROW_REST		3600000

/* Retention has a look so often (ms); between two steps of it others get their turn. */
#define MAINTENANCE_GAP		3600000
#define MAINTENANCE_PAUSE	100
#define MAINTENANCE_STEP	2000

/* Leases of another claimer that lives (drain): is it still there? (ms) */
#define RESCUE_GAP			5000

/* locks of ours, apart from users' advisory locks by this field */
#define LOCK_FIELD			3
#define LOCK_WORKER			0	/* one worker per database */
#define LOCK_CLAIM			1	/* one claimer at a time */

/*
 * Log lines that one cause may repeat for many messages: sampled, see sample.h.
 * Errors of phases are not, since a failed phase rests before the next attempt.
 */
typedef enum LogClass
{
	LOG_ASIDE,					/* a message cannot be claimed */
	LOG_LEASE,					/* a lease was lost */
	LOG_CLASSES
} LogClass;

typedef enum TransferState
{
	TRANSFER_FREE,				/* -> CLAIMED */
	TRANSFER_CLAIMED,			/* leased, waiting for a rate token -> SENT,
								 * DONE */
	TRANSFER_SENT,				/* in the HTTP client -> DONE */
	TRANSFER_DONE				/* answered, waiting to be recorded -> FREE */
} TransferState;

typedef struct Transfer
{
	TransferState state;
	int64		id;
	uint64		token;
	int			attempt;
	bool		maybe_sent;
	LnChannel  *channel;
	int			lane;
	LineKind	kind;
	char		subject[LN_SUBJECT_LEN];	/* its template or design */
	char	   *request;		/* body, malloc'd, until sent */
	size_t		request_len;
	LnWitnessEntry *witness;
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
} Transfer;

/*
 * A kind of work that failed rests for a while, and only it: a lock on one
 * table must not stop what needs another.
 */
typedef struct Rest
{
	const char *activity;		/* as given to phase() */
	int			failures;		/* in a row */
	TimestampTz until;
} Rest;

#define MAX_RESTS	32

typedef struct Claim Claim;

static struct
{
	LnSlot	   *slot;
	uint32		generation;
	uint64		claimer;
	MemoryContext context;		/* as long as the worker */
	MemoryContext batch;		/* reset every turn */
	uint32		wait_event;

	HttpClient *http;
	LnWitness  *witness;
	Transfer   *transfers;
	int			ntransfers;
	int		   *free_list;		/* places of free transfers */
	int			nfree;
	int		   *claimed;		/* FIFO ring of CLAIMED transfers */
	int			claimed_head;
	int			nclaimed;
	int		   *done;			/* DONE transfers */
	int			ndone;
	int			nsent;

	LnChannel **channels;
	int			nchannels;
	int			next_channel;	/* round robin */
	int64		home;			/* 0 = disarmed */
	bool		standing_still; /* versions do not match */
	bool		any_suppressed; /* somebody objected */

	LnHorizon	horizon;
	TimestampTz expiry_low;
	TimestampTz next_expiry;
	TimestampTz next_silence;	/* when to judge it, and to sum up */
	TimestampTz next_counts;	/* when to ask LINE for its counts */

	bool		need_config;
	bool		need_survey;
	bool		need_fold;
	bool		need_rescue;
	bool		need_release;
	TimestampTz release_at;		/* not before */
	LnReleaseScan release_scan;
	TimestampTz next_probe;
	TimestampTz next_key_sweep;
	uint64		round;			/* of send_claimed() */
	TimestampTz token_at;		/* when a rate token may be there; DT_NOEND =
								 * none is missing */
	TimestampTz last_survey;
	TimestampTz first_done_at;	/* oldest unrecorded result */
	TimestampTz last_claim_at;
	int64		last_claim_us;
	TimestampTz idle_since;
	TimestampTz rescue_at;		/* look for orphans again; DT_NOEND = when
								 * told */
	TimestampTz record_at;		/* results that failed by themselves: not
								 * before */
	int			expire_limit;	/* rows of the next expiry transaction */
	int64		survey_us;		/* what the last survey cost */
	TimestampTz next_maintenance;
	TimestampTz doubt_before;	/* due up to then: perhaps sent by the former
								 * primary; DT_NOBEGIN = no doubt */
	TimestampTz doubt_until;
	Rest		rests[MAX_RESTS];
	int			last_sqlstate;	/* of the last failed phase */
	bool		ended;			/* this phase ended messages: see wait.c */
	LnSample	samples[LOG_CLASSES];
}			W;

/* set by signal handlers */
static volatile sig_atomic_t stop_requested = false;
static volatile TimestampTz stop_deadline = 0;
static TimeoutId watchdog;

static void attach(int slotno, uint32 generation);
static void detach(int code, Datum arg);
pg_noreturn static void leave(LnSlotState state, TimestampTz next_due, const char *error);
static void pin_settings(void);
static void watchdog_handler(void);
static void handle_sigterm(SIGNAL_ARGS);
static void handle_sigint(SIGNAL_ARGS);

static bool may_log(LogClass class, int64 *skipped);
static bool phase(const char *activity, void (*work) (void *), void *arg);
static bool try_phase(const char *activity, void (*work) (void *), void *arg);
static TimestampTz rest_until(const char *activity);
static bool resting(const char *activity);
static void no_rest(const char *activity);
static bool is_row_fault(int sqlstate);
static void configure(void *arg);
static void survey(void *arg);
static int	survey_gap(void);
static void rescue(void *arg);
static void fold(void *arg);
static void expire(void *arg);
static void end_expired(void);
static void release(void *arg);
static void sweep_keys(void *arg);
static void maintain(void *arg);
static void judge_silence(void *arg);
static void settle_doubt(void *arg);

static int64 silence_gap(void);
static void judge_silence_soon(void);
static void take_work(void);
static void forget_bounds(void);
static void publish_breakers(void);
static void claim(void);
static void send_claimed(void);
static void fill_lane(LnLane *lane, TimestampTz at);
static void lock_claims(void);
static void message_subject(const LnMessage *m, char *buf);
static void resume_if_mended(LnChannel *c);
static bool credential_probe_is_due(void);
static LnRun *find_run(LnChannel *channel, const char *subject);
static void harvest(void);
static void record(void);
static void note_return(Transfer *t);
static void claim_failed(Claim *c);
static void note_tokens(void);
static void fetch_counts(void);
static long next_deadline(void);
static bool is_idle(void);
static bool must_stop(bool *at_once, LnSlotState *state);
static void wind_up(bool at_once);

void
ln_worker_main(Datum arg)
{
	uint32		generation;
	HttpOptions http_options;
	char		err[256];
	LOCKTAG		tag;
	bool		at_once;
	LnSlotState end_state;

	memcpy(&generation, MyBgworkerEntry->bgw_extra, sizeof(generation));
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	/* nothing is on the wire yet, and connecting may wait for locks */
	pqsignal(SIGTERM, die);
	pqsignal(SIGINT, handle_sigint);
	BackgroundWorkerUnblockSignals();

	attach(DatumGetInt32(arg), generation);
	BackgroundWorkerInitializeConnectionByOid(W.slot->database, InvalidOid, 0);
	CHECK_FOR_INTERRUPTS();
	pqsignal(SIGTERM, handle_sigterm);
	CHECK_FOR_INTERRUPTS();		/* one that came in between */
	pin_settings();
	watchdog = RegisterTimeout(USER_TIMEOUT, watchdog_handler);

	W.context = AllocSetContextCreate(TopMemoryContext, "line_notify worker", ALLOCSET_DEFAULT_SIZES);
	W.batch = AllocSetContextCreate(TopMemoryContext, "line_notify batch", ALLOCSET_DEFAULT_SIZES);
	W.wait_event = LnWaitEvent("LineNotifyWorkerMain");

	MemoryContextSwitchTo(W.batch);

	/* take_work() leaves when the extension is not in this database */
	W.need_config = true;

	take_work();

	/* one worker, and a name that dies with it */
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0, LOCK_WORKER, LOCK_FIELD);
	if (LockAcquire(&tag, ExclusiveLock, true, true) == LOCKACQUIRE_NOT_AVAIL)
		leave(LN_SLOT_BACKOFF, 0, "another worker of this database is still running");
	if (!ln_random_bytes(&W.claimer, sizeof(W.claimer)))
		elog(ERROR, "could not get random bytes");
	W.claimer = (W.claimer >> 1) | (UINT64CONST(1) << 32);	/* positive, no small
															 * number */

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (uint32) (W.claimer >> 32), (uint32) W.claimer, LOCK_FIELD);
	(void) LockAcquire(&tag, ExclusiveLock, true, false);

	W.ntransfers = ln_guc_max_in_flight;
	W.transfers = MemoryContextAllocZero(W.context, sizeof(Transfer) * W.ntransfers);
	W.free_list = MemoryContextAlloc(W.context, sizeof(int) * W.ntransfers);
	W.claimed = MemoryContextAlloc(W.context, sizeof(int) * W.ntransfers);
	W.done = MemoryContextAlloc(W.context, sizeof(int) * W.ntransfers);
	W.witness = ln_witness_create(MyDatabaseId, W.claimer, W.ntransfers);

	for (int i = 0; i < W.ntransfers; i++)
	{
		W.transfers[i].witness = ln_witness_entry(W.witness, i);
		W.free_list[W.nfree++] = i;
	}

	memset(&http_options, 0, sizeof(http_options));
	http_options.max_transfers = W.ntransfers + LN_SIDE_TRANSFERS;
	http_options.max_connections = W.ntransfers + LN_SIDE_TRANSFERS;
	http_options.max_host_connections = W.ntransfers + LN_SIDE_TRANSFERS;

	http_options.max_idle_s = ln_guc_connection_idle;
	http_options.max_response = MAX_RESPONSE;
	W.http = ln_http_create(&http_options, err, sizeof(err));

	if (W.http == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_SYSTEM_ERROR),
				 errmsg("could not start the HTTP client: %s", err)));

	ereport(LOG, (errmsg("line_notify worker started for database %u", MyDatabaseId)));
	W.need_rescue = W.need_survey = W.need_fold = W.need_release = true;
	W.rescue_at = DT_NOEND;
	W.expiry_low = DT_NOBEGIN;
	W.expire_limit = EXPIRE_BATCH;
	W.token_at = W.next_probe = DT_NOEND;
	W.next_key_sweep = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), SWEEP_GAP / 60);
	W.next_maintenance = 0;
	W.doubt_before = DT_NOBEGIN;
	W.doubt_until = DT_NOEND;
	W.idle_since = GetCurrentTimestamp();

	for (;;)
	{
		long		timeout;

		/* first, so that whatever is noted from here on wakes us below */
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (must_stop(&at_once, &end_state))
			break;
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
			pin_settings();
			W.need_config = true;
		}
		take_work();

		ln_http_step(W.http);
		harvest();
		record();

		if (!W.standing_still)
		{
			if (credential_probe_is_due())
				W.need_config = true;

			if (W.need_config)
				W.need_config = !try_phase("reading configuration", configure, NULL);

			if (W.home != 0 && (W.need_rescue || W.rescue_at <= GetCurrentTimestamp()))
				W.need_rescue = !try_phase("recovering claims", rescue, NULL) || W.need_rescue;

			if (W.need_fold)
				W.need_fold = !try_phase("folding webhook events", fold, &W.need_fold) || W.need_fold;

			if (W.home != 0 && W.next_expiry <= GetCurrentTimestamp())
				end_expired();
			if (W.home != 0 && W.doubt_until <= GetCurrentTimestamp())
				(void) try_phase("ending the doubt", settle_doubt, NULL);
			if (W.home != 0 && W.next_silence <= GetCurrentTimestamp())
				(void) try_phase("judging silence", judge_silence, NULL);
			if (W.home != 0 && W.need_release && W.release_at <= GetCurrentTimestamp())
				(void) try_phase("releasing messages", release, NULL);
			if (W.home != 0 && W.next_key_sweep <= GetCurrentTimestamp())
				(void) try_phase("sweeping old keys", sweep_keys, NULL);
			if (W.home != 0 && W.next_maintenance <= GetCurrentTimestamp())
				(void) try_phase("maintaining history", maintain, NULL);
			claim();
			if (W.need_survey &&
				TimestampDifferenceExceeds(W.last_survey, GetCurrentTimestamp(),
										   survey_gap()))
				W.need_survey = !try_phase("looking for due messages", survey, NULL);
		}
		ln_token_step(W.channels, W.nchannels, W.http);
		note_tokens();
		fetch_counts();
		send_claimed();
		ln_http_step(W.http);

		pg_atomic_write_u32(&W.slot->in_flight, W.nclaimed + W.nsent);
		publish_breakers();
		MemoryContextReset(W.batch);

		timeout = next_deadline();
		if (timeout < 0 || timeout > 1000)
			pgstat_report_stat(true);	/* autovacuum shall see it before we
										 * sleep */
		if (timeout != 0)
			(void) WaitLatchOrSocket(MyLatch,
									 WL_LATCH_SET | WL_SOCKET_READABLE | WL_EXIT_ON_PM_DEATH |
									 (timeout > 0 ? WL_TIMEOUT : 0),
									 ln_http_fd(W.http), timeout, W.wait_event);
	}

	wind_up(at_once);
	leave(end_state, DT_NOEND, NULL);
}

/* ---------------------------------------------------------------- process */

static void
attach(int slotno, uint32 generation)
{
	LWLockAcquire(ln_shared->lock, LW_EXCLUSIVE);
	W.slot = &ln_shared->slots[slotno];
	W.generation = generation;

	if (W.slot->state != LN_SLOT_STARTING || W.slot->generation != generation)
	{
		/* too late: the launcher gave us up */
		LWLockRelease(ln_shared->lock);
		proc_exit(0);
	}
	W.slot->state = LN_SLOT_RUNNING;
	W.slot->pid = MyProcPid;
	W.slot->procno = ln_shmem_my_procno();
	W.slot->started_at = GetCurrentTimestamp();
	W.slot->last_error[0] = '\0';

	/* no interrupt is served before the lock is released */
	before_shmem_exit(detach, (Datum) 0);
	LWLockRelease(ln_shared->lock);
	ln_shmem_wake_launcher();
}

/*
 * Every way out of this process.  leave() has set the state of an orderly end;
 * a slot that is still RUNNING ends here by an error.
 */
static void
detach(int code, Datum arg)
{
	bool		orderly;

	/* aborts transfers; their leases and the witness file stay for rescue() */
	ln_http_destroy(W.http);
	W.http = NULL;

	LWLockAcquire(ln_shared->lock, LW_EXCLUSIVE);
	if (W.slot->generation == W.generation && W.slot->pid == MyProcPid)
	{
		orderly = W.slot->state != LN_SLOT_RUNNING;
		W.slot->pid = 0;
		W.slot->procno = -1;
		W.slot->standing_still = false;

		pg_atomic_write_u32(&W.slot->in_flight, 0);
		if (!orderly)
		{
			TimestampTz now = GetCurrentTimestamp();

			/* a minute of healthy life clears the past */
			if (TimestampDifferenceExceeds(W.slot->started_at, now, 60000))
				W.slot->failures = 0;
			W.slot->failures++;
			W.slot->restarts++;
			W.slot->state = LN_SLOT_BACKOFF;
			W.slot->restart_at = TimestampTzPlusMilliseconds(now, ln_shmem_backoff_ms(W.slot->failures));

			if (W.slot->last_error[0] == '\0')
				strlcpy(W.slot->last_error, "ended by an error, see the server log",
						sizeof(W.slot->last_error));
		}
		/* what was noted for us is for the next one */
		pg_atomic_fetch_or_u32(&W.slot->work, LN_WORK_ALL);
		pg_atomic_write_u64(&W.slot->new_lanes, PG_UINT64_MAX);
		pg_atomic_write_u64(&W.slot->new_channels, PG_UINT64_MAX);
	}
	LWLockRelease(ln_shared->lock);
	ln_shmem_wake_launcher();
}

/* Orderly end.  Comes back (to the loop) never; for IDLE and FREE the caller has checked that no work is noted. */
static void
leave(LnSlotState state, TimestampTz next_due, const char *error)
{
	LWLockAcquire(ln_shared->lock, LW_EXCLUSIVE);
	if (W.slot->generation == W.generation && W.slot->pid == MyProcPid)
	{
		W.slot->state = state;
		W.slot->next_due = next_due;

		strlcpy(W.slot->last_error, error ? error : "", sizeof(W.slot->last_error));
		if (state == LN_SLOT_BACKOFF)
			W.slot->restart_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), 1000);

		else
			W.slot->failures = 0;
	}
	LWLockRelease(ln_shared->lock);
	proc_exit(0);
}

/*
 * Settings of the database or role must not change what our statements do, nor
 * how: see the plans in outbox.c.
 */
static void
pin_settings(void)
{
	static const char *const settings[][2] = {
		{"role", "none"},
		{"search_path", "pg_catalog, pg_temp"},
		{"default_transaction_isolation", "read committed"},
		{"default_transaction_read_only", "off"},
		{"default_transaction_deferrable", "off"},
		{"session_replication_role", "origin"},
		{"row_security", "on"},
		{"statement_timeout", "0"},
		{"lock_timeout", "1s"},
		{"idle_in_transaction_session_timeout", "0"},
		{"transaction_timeout", "0"},
		{"idle_session_timeout", "0"},
		{"enable_seqscan", "off"},
		{"enable_nestloop", "off"},
		{"enable_mergejoin", "off"},
		{"enable_hashjoin", "on"},
		{"enable_bitmapscan", "off"},
		{"enable_material", "off"},
		{"enable_indexscan", "on"},
		{"enable_indexonlyscan", "on"},
		{"enable_partition_pruning", "on"},
		{"max_parallel_workers_per_gather", "0"},
		{"standard_conforming_strings", "on"},
		{"array_nulls", "on"},
		{"default_tablespace", ""},
		{"default_table_access_method", "heap"},
		{"plpgsql.extra_errors", "none"},
		{"plpgsql.extra_warnings", "none"},
		{"plan_cache_mode", "force_generic_plan"},
		{"jit", "off"},
		{"log_min_duration_statement", "-1"},
		{"log_statement", "none"},
		{"application_name", "line_notify worker"},
	};

	for (int i = 0; i < (int) lengthof(settings); i++)
	{
		if (GetConfigOption(settings[i][0], true, false) != NULL)
			SetConfigOption(settings[i][0], settings[i][1], PGC_SUSET, PGC_S_OVERRIDE);
	}

	/*
	 * At least "on": a claim must survive a crash here, and of the standby
	 * that takes over; more if the server says so.  A reload may have lowered
	 * it.
	 */
	if (synchronous_commit < SYNCHRONOUS_COMMIT_ON)
		SetConfigOption("synchronous_commit", "on", PGC_SUSET, PGC_S_OVERRIDE);
}

static void
handle_sigterm(SIGNAL_ARGS)
{
	int			save_errno = errno;

	if (!stop_requested)
	{
		stop_requested = true;
		stop_deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), ln_guc_shutdown_timeout);
	}
	SetLatch(MyLatch);
	errno = save_errno;
}

/*
 * Lock time-outs arrive as SIGINT from ourselves; those are wanted.  One from
 * somebody else (pg_cancel_backend) is not: a commit whose wait for a standby
 * is cancelled looks like success.
 */
static void
handle_sigint(SIGNAL_ARGS)
{
	if (get_timeout_indicator(LOCK_TIMEOUT, false))
		StatementCancelHandler(postgres_signal_arg);
}

/*
 * Ticks during transactions: one that outlasts the time we were given to stop
 * or to step aside (a lock, a standby that does not answer) is broken off as
 * "die" would.
 */
static void
watchdog_handler(void)
{
	/* a torn or late look is made good by the next tick */
	if (stop_deadline == 0 && W.slot->hold_pid != 0)
		stop_deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
													W.slot->hold_at_once ? 0 : ln_guc_shutdown_timeout);
	if (stop_deadline != 0 && GetCurrentTimestamp() > stop_deadline)
	{
		InterruptPending = true;
		ProcDiePending = true;
		SetLatch(MyLatch);
	}
}

/*
 * Shall we stop?  Then also how: at_once = without waiting for answers, state =
 * what the slot becomes.
 */
static bool
must_stop(bool *at_once, LnSlotState *state)
{
	bool		held;

	LWLockAcquire(ln_shared->lock, LW_SHARED);
	held = W.slot->hold_pid != 0;
	*at_once = held && W.slot->hold_at_once;

	LWLockRelease(ln_shared->lock);
	*state = held ? LN_SLOT_HELD : LN_SLOT_BACKOFF;
	if (!held && !stop_requested)
	{
		/* the holder gave up meanwhile, which the watchdog may have seen */
		stop_deadline = 0;
		return false;
	}
	if (stop_deadline == 0)
		stop_deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), ln_guc_shutdown_timeout);
	return true;
}

/* Stop claiming, wait a bounded time for answers, record. */
static void
wind_up(bool at_once)
{
	/* what never left goes back as it came */
	while (W.nclaimed > 0)
	{
		Transfer   *t = &W.transfers[W.claimed[W.claimed_head]];

		W.claimed_head = (W.claimed_head + 1) % W.ntransfers;
		W.nclaimed--;

		t->channel->queued--;
		t->next = LINE_RETURN;
		t->outcome = LINE_NOT_SENT;
		t->state = TRANSFER_DONE;
		t->attempted = false;
		t->ended_at = t->retry_at = GetCurrentTimestamp();
		W.done[W.ndone++] = (int) (t - W.transfers);
	}
	while (W.nsent > 0 && !at_once && GetCurrentTimestamp() < stop_deadline)
	{
		long		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), stop_deadline);
		long		http = ln_http_timeout_ms(W.http);

		(void) WaitLatchOrSocket(MyLatch, WL_LATCH_SET | WL_SOCKET_READABLE | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
								 ln_http_fd(W.http), http >= 0 ? Min(left, http) : left, W.wait_event);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		ln_http_step(W.http);
		harvest();
	}
	ln_http_abort_all(W.http);
	harvest();
	/* all of it, now, each once */
	stop_requested = true;
	for (int left = W.ndone + 1; W.ndone > 0 && W.ndone < left && !ProcDiePending;)
	{
		left = W.ndone;

		record();
	}
	if (W.ndone == 0)
	{
		ln_witness_destroy(W.witness);
		W.witness = NULL;
	}
	MemoryContextReset(W.batch);
}

/* ------------------------------------------------------------ transactions */

/* Shall a line of this class be written, and how many were left out since the last one? */
static bool
may_log(LogClass class, int64 *skipped)
{
	return ln_sample(&W.samples[class], ln_monotonic_ns() / 1000000, skipped);
}

/*
 * Run one short transaction.  The one place that catches errors: the phase is
 * undone, logged and tried again later; the process and what is on the wire go
 * on.  Returns whether it committed.
 */
static bool
phase(const char *activity, void (*work) (void *), void *arg)
{
	volatile bool ok = false;
	MemoryContext ctx = CurrentMemoryContext;

	enable_timeout_every(watchdog, TimestampTzPlusMilliseconds(GetCurrentTimestamp(), 500), 500);
	PG_TRY();
	{
		Oid			schema;

		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();

		/*
		 * DROP EXTENSION locks the schema before the tables in it.  So do we,
		 * since making a partition would lock it after them: a deadlock that
		 * the DROP might lose.
		 */
		schema = get_namespace_oid("line_notify", true);
		if (OidIsValid(schema))
			LockDatabaseObject(NamespaceRelationId, schema, 0, AccessShareLock);
		SPI_connect();
		PushActiveSnapshot(GetTransactionSnapshot());
		pgstat_report_activity(STATE_RUNNING, activity);

		MemoryContextSwitchTo(W.batch);
		work(arg);

		SPI_finish();
		PopActiveSnapshot();
		CommitTransactionCommand();
		ok = true;
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		MemoryContextSwitchTo(ctx);
		HOLD_INTERRUPTS();
		disable_timeout(watchdog, false);
		errcontext("line_notify worker, %s", activity);
		edata = CopyErrorData();
		EmitErrorReport();
		AbortCurrentTransaction();
		FlushErrorState();
		LWLockAcquire(ln_shared->lock, LW_EXCLUSIVE);
		snprintf(W.slot->last_error, sizeof(W.slot->last_error), "%s: %s", activity, edata->message);
		LWLockRelease(ln_shared->lock);
		/* gone tables: was the extension dropped? */
		if (edata->sqlerrcode == ERRCODE_UNDEFINED_TABLE ||
			edata->sqlerrcode == ERRCODE_INVALID_SCHEMA_NAME ||
			edata->sqlerrcode == ERRCODE_UNDEFINED_FUNCTION)
			pg_atomic_fetch_or_u32(&W.slot->work, LN_WORK_EXTENSION);
		W.last_sqlstate = edata->sqlerrcode;

		FreeErrorData(edata);
		/* partitions may be gone, too */
		ln_outbox_forget();
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	disable_timeout(watchdog, false);
	MemoryContextSwitchTo(ctx);
	pgstat_report_stat(!ok);
	pgstat_report_activity(STATE_IDLE, NULL);
	if (ok && W.ended)
		ln_shmem_ended(LN_ENDINGS_ALL);
	W.ended = false;

	for (int i = 0; i < MAX_RESTS; i++)
	{
		Rest	   *rest = &W.rests[i];

		if (rest->activity != NULL && strcmp(rest->activity, activity) != 0)
			continue;
		if (!ok)
		{
			rest->activity = activity;
			rest->until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
													  Min(PHASE_RETRY_LAST, PHASE_RETRY_FIRST << Min(rest->failures, 8)));
			rest->failures++;
		}
		else if (rest->failures > 0)
		{
			rest->failures = 0;
			rest->until = 0;
			LWLockAcquire(ln_shared->lock, LW_EXCLUSIVE);
			if (!W.standing_still)
				W.slot->last_error[0] = '\0';

			LWLockRelease(ln_shared->lock);
		}
		break;
	}
	return ok;
}

/* Until when does this kind of work rest after a failure?  DT_NOBEGIN = it does not. */
static TimestampTz
rest_until(const char *activity)
{
	for (int i = 0; i < MAX_RESTS && W.rests[i].activity != NULL; i++)
	{
		if (strcmp(W.rests[i].activity, activity) == 0)
			return W.rests[i].failures > 0 ? W.rests[i].until : DT_NOBEGIN;
	}
	return DT_NOBEGIN;
}

static void
no_rest(const char *activity)
{
	for (int i = 0; i < MAX_RESTS && W.rests[i].activity != NULL; i++)
	{
		if (strcmp(W.rests[i].activity, activity) == 0)
			W.rests[i].failures = 0;
	}
}

static bool
resting(const char *activity)
{
	return rest_until(activity) > GetCurrentTimestamp();
}

/* phase(), unless it rests after a failure. */
static bool
try_phase(const char *activity, void (*work) (void *), void *arg)
{
	return !resting(activity) && phase(activity, work, arg);
}

/*
 * Can a row be the cause of this error?  Locks, shortage of memory or disk,
 * and shutdown are not its fault.
 */
static bool
is_row_fault(int sqlstate)
{
	switch (ERRCODE_TO_CATEGORY(sqlstate))
	{
		case ERRCODE_INSUFFICIENT_RESOURCES:	/* 53 */
		case ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE:	/* 55: locks */
		case ERRCODE_OPERATOR_INTERVENTION: /* 57 */
		case ERRCODE_SYSTEM_ERROR:	/* 58 */
		case ERRCODE_TRANSACTION_ROLLBACK:	/* 40: deadlocks */
		case ERRCODE_INTERNAL_ERROR:	/* XX */
			return false;
		default:
			return sqlstate != ERRCODE_UNDEFINED_TABLE &&
				sqlstate != ERRCODE_UNDEFINED_FUNCTION &&
				sqlstate != ERRCODE_INVALID_SCHEMA_NAME;
	}
}

static void
check_extension(void *arg)
{
	*(char **) arg = ln_outbox_extension_version();
}

/*
 * Take over what was noted for us.  Leaves the process when the extension is
 * not in this database.
 */
static void
take_work(void)
{
	uint32		work = pg_atomic_exchange_u32(&W.slot->work, 0);
	uint64		lanes;
	uint64		bits;

	if (work == 0)
		return;
	W.idle_since = GetCurrentTimestamp();

	if (work & LN_WORK_EXTENSION)
	{
		char	   *version = NULL;
		bool		known = false;

		if (!try_phase("checking the extension", check_extension, &version))
		{
			pg_atomic_fetch_or_u32(&W.slot->work, work);
			return;
		}
		ln_outbox_forget();
		if (version == NULL)
		{
			LWLockAcquire(ln_shared->lock, LW_EXCLUSIVE);
			if (pg_atomic_read_u32(&W.slot->work) == 0)
			{
				W.slot->state = LN_SLOT_FREE;

				LWLockRelease(ln_shared->lock);
				if (W.witness != NULL)
					ln_witness_destroy(W.witness);
				proc_exit(0);
			}
			LWLockRelease(ln_shared->lock);
			return;				/* somebody creates it right now: look again */
		}
		for (int i = 0; supported_versions[i] != NULL; i++)
			known = known || strcmp(version, supported_versions[i]) == 0;
		W.standing_still = !known;

		LWLockAcquire(ln_shared->lock, LW_EXCLUSIVE);
		if (known && W.slot->standing_still)
			W.slot->last_error[0] = '\0';
		W.slot->standing_still = !known;

		if (!known)
			snprintf(W.slot->last_error, sizeof(W.slot->last_error),
					 "library 1.0 does not know extension version %s", version);
		LWLockRelease(ln_shared->lock);
		W.need_config = W.need_survey = W.need_fold = W.need_rescue = W.need_release = true;
	}
	if (work & LN_WORK_CONFIG)
		W.need_config = W.need_survey = W.need_rescue = true;

	if (work & LN_WORK_WEBHOOK)
		W.need_fold = true;

	if (work & LN_WORK_RESCAN)
	{
		forget_bounds();
		W.need_survey = true;
		W.last_survey = 0;
	}
	if (work & LN_WORK_RELEASE)
	{
		W.need_release = true;
		W.release_at = 0;
	}
	if (work & LN_WORK_OUTBOX)
	{
		lanes = pg_atomic_exchange_u64(&W.slot->new_lanes, 0);
		bits = pg_atomic_exchange_u64(&W.slot->new_channels, 0);
		for (int i = 0; i < W.nchannels; i++)
		{
			if ((ln_shmem_channel_bit(W.channels[i]->row.name) & bits) == 0)
				continue;
			for (int p = 0; p < LN_LANES; p++)
				if (lanes & (UINT64CONST(1) << p))
					fill_lane(&W.channels[i]->lanes[p], W.idle_since);
		}
		/* some of the new rows may be for later, or parked */
		W.need_survey = true;
	}
}

/* Rows may be due before what the lanes remember. */
static void
forget_bounds(void)
{
	for (int i = 0; i < W.nchannels; i++)
		for (int p = 0; p < LN_LANES; p++)
			W.channels[i]->lanes[p].low = DT_NOBEGIN;
	W.expiry_low = DT_NOBEGIN;

	/* these may lie in the future, if the clock was set back */
	W.last_survey = W.last_claim_at = 0;
}

/* Something in a lane may be due since "at". */
static void
fill_lane(LnLane *lane, TimestampTz at)
{
	if (lane->maybe)
		return;
	lane->maybe = true;
	lane->head = at;
}

static void
configure(void *arg)
{
	W.next_maintenance = 0;		/* retention may have changed */
	W.home = ln_outbox_local_home();
	W.doubt_before = DT_NOBEGIN;
	W.doubt_until = DT_NOEND;

	if (W.home != 0)
		ln_outbox_note_timeline(W.home, GetWALInsertionTimeLine(),
								SyncRepRequested() && SyncRepStandbyNames != NULL && SyncRepStandbyNames[0] != 0,
								ln_guc_promotion_grace, &W.doubt_before, &W.doubt_until);
	W.any_suppressed = ln_outbox_has_suppressed();
	W.next_counts = 0;
	W.nchannels = ln_channel_load(&W.channels, W.nchannels, W.context);

	for (int i = 0; i < W.nchannels; i++)
	{
		/* the survey, which comes next, says which lanes have something */
		for (int p = 0; p < LN_LANES; p++)
			W.channels[i]->lanes[p].low = DT_NOBEGIN;

		if (W.channels[i]->row.paused_automatically)
			resume_if_mended(W.channels[i]);
	}
	W.expiry_low = DT_NOBEGIN;
	W.need_survey = true;
	W.last_survey = 0;
}

/*
 * A channel that the worker paused goes on by itself when its credential is
 * another one than LINE refused.  After a restart nobody knows what was
 * refused: then it is tried once, at the price of one more refusal.
 */
static void
resume_if_mended(LnChannel *c)
{
	uint64		credential = ln_token_fingerprint(c->token);

	if (credential == 0 || c->refused_token == credential)
		return;
	c->refused_token = credential;
	if (ln_outbox_resume(c->row.name))
		ereport(LOG,
				(errmsg("line_notify resumed channel \"%s\": its credential has changed", c->row.name)));
}

/* Files are read again now and then, as long as a channel waits for a better one. */
static bool
credential_probe_is_due(void)
{
	TimestampTz now = GetCurrentTimestamp();
	bool		waiting = false;

	for (int i = 0; i < W.nchannels && !waiting; i++)
		waiting = W.channels[i]->row.paused_automatically;

	if (!waiting)
		W.next_probe = DT_NOEND;

	else if (W.next_probe == DT_NOEND || W.next_probe <= now)
	{
		bool		due = W.next_probe != DT_NOEND;

		W.next_probe = TimestampTzPlusMilliseconds(now, CREDENTIAL_PROBE);

		return due;
	}
	return false;
}

/* What waits, and for when?  Also finds rows that a claim had to skip. */
static void
survey(void *arg)
{
	LnLaneRow  *rows;
	TimestampTz now = GetCurrentTimestamp();
	int			n;

	W.last_survey = now;
	n = W.home != 0 ? ln_outbox_survey(W.home, W.doubt_before, &rows) : 0;

	for (int i = 0; i < W.nchannels; i++)
		for (int p = 0; p < LN_LANES; p++)
			W.channels[i]->lanes[p].next_due = DT_NOEND;

	for (int i = 0; i < n; i++)
	{
		for (int j = 0; j < W.nchannels; j++)
		{
			LnLane	   *lane = &W.channels[j]->lanes[rows[i].lane];

			if (strcmp(W.channels[j]->row.name, rows[i].channel) != 0)
				continue;
			lane->next_due = rows[i].first_due;
			if (rows[i].first_due <= now)
			{
				lane->maybe = true;
				lane->head = rows[i].first_due;
				lane->suspect = true;
				lane->low = Min(lane->low, rows[i].first_due);
			}
		}
	}
	W.next_expiry = W.home != 0 ? ln_outbox_next_expiry(W.home, W.expiry_low) : DT_NOEND;
	W.survey_us = Max(0, GetCurrentTimestamp() - now);
}

/*
 * Milliseconds between two surveys.  Where dead index entries pile up behind a
 * held snapshot one may take a second: it shall not take more than a fiftieth
 * of the time.
 */
static int
survey_gap(void)
{
	int			gap = W.nclaimed + W.nsent == 0 ? SURVEY_GAP : SURVEY_GAP_BUSY;

	return Max(gap, (int) Min(W.survey_us / 20, 600000));
}

/*
 * Claims of processes that are dead: their session lock is free.  What the
 * witness saw decides; without it the truth is that we do not know.
 */
static void
rescue(void *arg)
{
	bool		recovered = false;
	LnOrphan   *orphans;
	int			n = ln_outbox_orphans(W.home, W.claimer, &orphans);
	uint64		living[64];
	int			nliving = 0;

	living[nliving++] = W.claimer;

	for (int i = 0; i < n;)
	{
		uint64		claimer = orphans[i].claimer;
		LnWitnessEntry *seen;
		LnRecord   *recs = palloc0(sizeof(LnRecord) * (n - i));
		LOCKTAG		tag;
		int			nseen;
		int			m = 0;
		int			counts[3] = {0, 0, 0};

		SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (uint32) (claimer >> 32), (uint32) claimer, LOCK_FIELD);
		if (LockAcquire(&tag, ExclusiveLock, false, true) == LOCKACQUIRE_NOT_AVAIL)
		{
			if (nliving < (int) lengthof(living))
				living[nliving++] = claimer;
			while (i < n && orphans[i].claimer == claimer)
				i++;
			continue;
		}

		seen = ln_witness_read(MyDatabaseId, claimer, &nseen);
		for (; i < n && orphans[i].claimer == claimer; i++)
		{
			LnOrphan   *o = &orphans[i];
			LnRecord   *r = &recs[m++];
			LnWitnessEntry *e = NULL;
			LineCase	c;
			LnChannel  *channel = NULL;

			for (int k = 0; k < nseen && e == NULL; k++)
				if (seen[k].id == o->id && seen[k].token == o->token)
					e = &seen[k];
			for (int k = 0; k < W.nchannels; k++)
				if (strcmp(W.channels[k]->row.name, o->channel) == 0)
					channel = W.channels[k];

			r->id = o->id;
			r->token = o->token;
			r->channel = o->channel;
			r->request_id = "";
			r->ended_at = r->retry_at = GetCurrentTimestamp();
			if (e != NULL && !e->asked)
			{
				r->next = LINE_RETURN;
				r->outcome = LINE_NOT_SENT;
				r->error = "";
				counts[0]++;
				continue;
			}
			r->attempted = true;
			r->sent_at = r->ended_at;
			memset(&c, 0, sizeof(c));
			if (e != NULL && e->complete)
			{
				c.outcome = ln_line_outcome(HTTP_STATUS, e->status, e->has_retry_after);
				r->status = e->status;
				r->error = "";
				counts[1]++;
			}
			else
			{
				c.outcome = LINE_AMBIGUOUS;
				r->error = "the sending process died before the answer came";
				counts[2]++;
			}
			c.attempt = o->attempt;
			c.max_attempts = channel ? channel->row.max_attempts : PG_INT32_MAX;
			c.maybe_sent = o->maybe_sent;
			c.on_unknown = channel ? channel->row.on_unknown : LINE_HOLD;
			c.on_server_error = channel ? channel->row.on_server_error : LINE_HOLD;
			r->outcome = c.outcome;
			r->next = ln_line_decide(&c);
		}
		(void) ln_outbox_record(recs, m);
		recovered = W.ended = true;

		ereport(LOG,
				(errmsg("line_notify recovered %d claims of a process that died: %d never sent, %d answered, %d unknown",
						m, counts[0], counts[1], counts[2])));
	}

	/*
	 * Files of claimers that have no leases go; those of the ones just
	 * recorded only once this has committed.  A claimer that lives (drain) is
	 * watched: nobody tells us when it dies.
	 */
	W.need_rescue = recovered;

	if (recovered)
		W.need_survey = true;

	else
		ln_witness_sweep(MyDatabaseId, living, nliving);
	W.rescue_at = nliving > 1 ? TimestampTzPlusMilliseconds(GetCurrentTimestamp(), RESCUE_GAP) : DT_NOEND;
}

static void
fold(void *again)
{
	int			n = ln_outbox_fold(FOLD_BATCH);

	*(bool *) again = n == FOLD_BATCH;
	W.ended = n > 0;

	judge_silence_soon();
}

/* What nobody wakes us for: the silence after messages; sums. */
static void
judge_silence(void *arg)
{
	TimestampTz now = GetCurrentTimestamp();

	W.next_silence = ln_outbox_sweep_silence(ln_guc_silence_after * USECS_PER_SEC);

	if (W.next_silence != DT_NOBEGIN)
		W.next_silence = Max(W.next_silence, now + silence_gap());
}

/* So often at most (us). */
static int64
silence_gap(void)
{
	return Min(SILENCE_GAP, ln_guc_silence_after * USECS_PER_SEC / 10);
}

/* Something was counted. */
static void
judge_silence_soon(void)
{
	W.next_silence = Min(W.next_silence, GetCurrentTimestamp() + silence_gap());
}

static void
expire(void *arg)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz *last = (TimestampTz *) arg;
	int			n;

	n = ln_outbox_expire(W.home, W.expiry_low, now, W.expire_limit, last);
	W.ended = n > 0;

	if (n == W.expire_limit)
		W.next_expiry = *last;

	else
		W.next_expiry = ln_outbox_next_expiry(W.home, W.expiry_low);

	/* rows locked by others are looked at again a little later */
	if (W.next_expiry <= now && n < W.expire_limit)
		W.next_expiry = TimestampTzPlusMilliseconds(now, 1000);
	W.expire_limit = Min(EXPIRE_BATCH, W.expire_limit * 2);
}

/* Expiry, halving the batch until a row that cannot be moved stands alone. */
static void
end_expired(void)
{
	TimestampTz last = DT_NOBEGIN;

	if (resting("ending expired messages") ||
		phase("ending expired messages", expire, &last) ||
		!is_row_fault(W.last_sqlstate))
		return;
	if (W.expire_limit > 1)
		W.expire_limit /= 2;

	else if (last != DT_NOBEGIN)
	{
		/* pass it by; the next configuration or restart tries again */
		W.expiry_low = last + 1;
		W.next_expiry = last + 1;
	}
}

/* After a promotion, the time to wait for delivery events is over. */
static void
settle_doubt(void *arg)
{
	/* the change of the identity makes us read the configuration again */
	if (!ln_outbox_settle_doubt(W.home, ln_guc_on_promotion == LN_PROMOTION_HOLD, EXPIRE_BATCH))
		W.doubt_until = DT_NOEND;
}

static void
maintain(void *arg)
{
	bool		again = ln_outbox_maintain(ln_guc_retention, ln_guc_payload_retention, MAINTENANCE_STEP);

	W.next_maintenance = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
													 again ? MAINTENANCE_PAUSE : MAINTENANCE_GAP);
}

static void
lock_claims(void)
{
	LOCKTAG		tag;

	/* one claimer at a time; ends with the transaction */
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0, LOCK_CLAIM, LOCK_FIELD);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
}

/* Bring back what was set aside and may go on. */
static void
release(void *arg)
{
	LnLaneRow  *rows;
	int			n;
	bool		stuck;
	TimestampTz now = GetCurrentTimestamp();

	lock_claims();
	W.need_release = ln_outbox_release(RELEASE_BATCH, &W.release_scan, &rows, &n, &stuck);
	W.release_at = stuck ? TimestampTzPlusMilliseconds(now, RELEASE_RETRY) : 0;

	for (int i = 0; i < n; i++)
		for (int j = 0; j < W.nchannels; j++)
			if (strcmp(W.channels[j]->row.name, rows[i].channel) == 0)
				fill_lane(&W.channels[j]->lanes[rows[i].lane], now);
}

static void
sweep_keys(void *arg)
{
	W.next_key_sweep = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), SWEEP_GAP);

	ln_outbox_sweep_keys(SWEEP_BATCH);
}

/* ------------------------------------------------------------------ claim */

struct Claim
{
	LnChannel  *channel;
	int			lane;
	int			limit;
	LnMessage  *rows;
	int			n;				/* claimed */
	int			picked;
	TimestampTz now;
};

static void
claim_phase(void *arg)
{
	Claim	   *c = (Claim *) arg;
	LnLane	   *lane = &c->channel->lanes[c->lane];
	LnMessage  *blocked;
	LnMessage  *strangers;
	int			nblocked = 0;
	int			nstrangers = 0;
	LnMessage  *objectors;
	int			nobjectors = 0;
	LnMessage  *unwritable;
	int			nunwritable = 0;
	bool	   *objected = NULL;
	TimestampTz last_due;
	Snapshot	snapshot = GetActiveSnapshot();

	lock_claims();
	c->now = GetCurrentTimestamp();
	if (ln_horizon_note(&W.horizon, c->now, U64FromFullTransactionId(ReadNextFullTransactionId())))
		forget_bounds();		/* the clock was set back */
	c->picked = ln_outbox_pick(c->channel->row.name, c->lane, W.home,
							   Max(lane->low, W.doubt_before == DT_NOBEGIN ? DT_NOBEGIN : W.doubt_before + 1),
							   c->now, c->limit, &c->rows);

	/*
	 * Only the first waiting message of an order_key may go, none of a paused
	 * template or design, and none to a person who is not on the list or has
	 * objected.
	 */
	if (W.any_suppressed && c->picked > 0)
		objected = ln_outbox_find_suppressed(c->rows, c->picked);
	objectors = palloc(sizeof(LnMessage) * Max(c->picked, 1));
	last_due = c->picked > 0 ? c->rows[c->picked - 1].due_at : c->now;
	blocked = palloc(sizeof(LnMessage) * Max(c->picked, 1));
	strangers = palloc(sizeof(LnMessage) * Max(c->picked, 1));
	unwritable = palloc(sizeof(LnMessage) * Max(c->picked, 1));
	c->n = 0;
	for (int i = 0; i < c->picked; i++)
	{
		LnMessage  *m = &c->rows[i];
		char		subject[LN_SUBJECT_LEN];

		message_subject(m, subject);
		if (m->not_utf8)
			unwritable[nunwritable++] = *m;
		else if (!ln_channel_allows(c->channel, m->recipient))
			strangers[nstrangers++] = *m;
		else if (objected != NULL && objected[i])
			objectors[nobjectors++] = *m;
		else if (m->blocked || ln_channel_part_paused(c->channel, ln_lane_kind(c->lane), subject))
			blocked[nblocked++] = *m;
		else
			c->rows[c->n++] = *m;
	}
	if (nblocked > 0)
		ln_outbox_park(blocked, nblocked);
	if (nunwritable > 0)
	{
		ln_outbox_reject(unwritable, nunwritable, "a text cannot be written in UTF-8");
		W.next_expiry = c->now;
	}
	if (nobjectors > 0)
	{
		ln_outbox_suppress(objectors, nobjectors, "the recipient objected");
		W.next_expiry = c->now;
	}
	if (nstrangers > 0)
	{
		ln_outbox_suppress(strangers, nstrangers, "only_recipients: not on the list of the channel");
		W.next_expiry = c->now;
	}

	if (c->n > 0)
	{
		uint64	   *tokens = palloc(sizeof(uint64) * c->n);

		if (!ln_random_bytes(tokens, sizeof(uint64) * c->n))
			elog(ERROR, "could not get random bytes");
		for (int i = 0; i < c->n; i++)
		{
			c->rows[i].token = tokens[i] >> 1;
			/* before the lease can be seen by anybody */
			ln_witness_claim(W.transfers[W.free_list[W.nfree - 1 - i]].witness,
							 c->rows[i].id, c->rows[i].token);
		}
		ln_outbox_mark(c->rows, c->n, W.home, W.claimer);
	}

	/*
	 * From here on the lane holds nothing before this, except rows of
	 * transactions that were running before: see horizon.c.
	 */
	lane->maybe = c->picked == c->limit;
	lane->head = last_due;
	lane->low = ln_horizon_safe(&W.horizon, snapshot->xmin,
								lane->maybe ? last_due : c->now);
}

static void
message_subject(const LnMessage *m, char *buf)
{
	if (m->template_key != NULL)
		ln_outbox_subject(buf, LINE_TEMPLATE, m->template_key);
	else
		ln_outbox_subject(buf, LINE_FLEXIBLE, m->use_case ? m->use_case : "");
}

/* Move the claimed rows into transfers; no error can come between. */
static void
take_claimed(Claim *c)
{
	for (int i = 0; i < c->n; i++)
	{
		LnMessage  *m = &c->rows[i];
		int			place = W.free_list[--W.nfree];
		Transfer   *t = &W.transfers[place];
		LineMessage msg;

		t->state = TRANSFER_CLAIMED;
		t->id = m->id;
		t->token = m->token;
		t->attempt = m->attempt;
		t->maybe_sent = m->maybe_sent;
		t->channel = c->channel;
		t->lane = c->lane;
		t->kind = m->template_key != NULL ? LINE_TEMPLATE : LINE_FLEXIBLE;
		t->sent_at = 0;
		t->attempted = false;
		message_subject(m, t->subject);

		memset(&msg, 0, sizeof(msg));
		msg.kind = t->kind;
		msg.to = m->recipient;
		msg.template_key = m->template_key;
		msg.body = m->body;
		msg.body_len = m->body ? strlen(m->body) : 0;
		msg.messages = m->messages;
		msg.messages_len = m->messages ? strlen(m->messages) : 0;
		msg.notification_disabled = m->notification_disabled;
		msg.aggregation_unit = m->aggregation_unit;
		t->request_len = ln_line_body(&msg, NULL, 0);
		t->request = malloc(t->request_len + 1);
		if (t->request != NULL)
			(void) ln_line_body(&msg, t->request, t->request_len + 1);

		c->channel->in_flight++;
		c->channel->queued++;
		W.claimed[(W.claimed_head + W.nclaimed) % W.ntransfers] = place;
		W.nclaimed++;
	}
}

/*
 * May messages of an endpoint be sent now?  0 = yes, otherwise when to ask
 * again; DT_NOEND = something will happen first (configuration, an answer).
 */
static TimestampTz
closed_until(LnChannel *c, LineKind kind, TimestampTz now)
{
	int64		mono_ns = ln_monotonic_ns();
	int64		blocked_ns;
	int64		breaker_ms;
	TimestampTz quiet;

	if (!ln_channel_permitted(c, W.home) || c->row.endpoint_paused[kind])
		return DT_NOEND;
	if (!ln_channel_usable(c, W.home))
		return ln_token_deadline(c->token);
	quiet = ln_channel_quiet_until(c, now);
	if (quiet != 0)
		return quiet;
	/* any worker of this cluster may have been told to wait */
	blocked_ns = ln_shmem_rate_blocked_until(c->rate_key[kind]);
	if (blocked_ns > mono_ns)
		return now + (blocked_ns - mono_ns) / 1000 + 1;
	breaker_ms = ln_breaker_wait_ms(&c->breaker, mono_ns / 1000000);
	if (breaker_ms > 0)
		return now + breaker_ms * 1000;
	if (ln_breaker_allow(&c->breaker, 1, mono_ns / 1000000) == 0)
		return DT_NOEND;		/* the probe is on the wire */
	return 0;
}

/* What is left of today's budget for new claims. */
static int
budget_left(const LnChannel *c, TimestampTz now)
{
	int64		left;

	if (c->row.daily_budget == 0)
		return PG_INT32_MAX;
	if (now >= c->row.day_ends)
	{
		W.need_config = true;	/* a new day: read its count */

		return 0;
	}
	left = c->row.daily_budget - c->row.sent_today - c->in_flight;
	return left > 0 ? (int) left : 0;
}

/*
 * Free transfers that a channel may take.  Half of all are divided evenly and
 * kept for the channels that do not use theirs, so that a slow one cannot take
 * what others need; the other half is for whoever comes first.
 */
static int
fair_share(const LnChannel *c)
{
	int			usable = 0;
	int			share;
	int			kept = 0;

	for (int i = 0; i < W.nchannels; i++)
		usable += W.channels[i] == c || ln_channel_usable(W.channels[i], W.home);

	share = Max(W.ntransfers / (2 * usable), 1);
	for (int i = 0; i < W.nchannels; i++)
	{
		LnChannel  *other = W.channels[i];

		if (other != c && ln_channel_usable(other, W.home) && other->in_flight < share)
			kept += share - other->in_flight;
	}
	return Min(W.nfree, Max(W.nfree - kept, share - c->in_flight));
}

/* Show the breakers in view stats; resume() closes them. */
static void
publish_breakers(void)
{
	for (int i = 0; i < W.nchannels; i++)
	{
		LnChannel  *c = W.channels[i];

		for (int k = 0; k < 2; k++)
		{
			LnStats    *s = c->stats[k];

			if (s == NULL)
				continue;
			if (pg_atomic_read_u32(&s->resumed) != 0 && pg_atomic_exchange_u32(&s->resumed, 0) != 0)
				ln_breaker_success(&c->breaker);
			if (pg_atomic_read_u32(&s->breaker) == (uint32) c->breaker.state)
				continue;
			pg_atomic_write_u64(&s->breaker_until,
								(uint64) (GetCurrentTimestamp() +
										  (c->breaker.until_ms - ln_monotonic_ns() / 1000000) * 1000));
			pg_atomic_write_u32(&s->breaker, (uint32) c->breaker.state);
		}
	}
}

/* How many rows of an endpoint a channel may be given now. */
static int
room(LnChannel *c, LineKind kind, TimestampTz now)
{
	int64		now_ms = ln_monotonic_ns() / 1000000;
	int			in_hand;
	int			want;

	if (closed_until(c, kind, now) != 0)
		return 0;
	want = Min(CLAIM_MAX, fair_share(c));
	want = Min(want, c->row.max_in_flight - c->in_flight);
	want = Min(want, budget_left(c, now));

	/*
	 * No more in hand than a tenth of a second's worth of tokens, and not
	 * much more than may be sent.  While half of it is there, let a batch
	 * gather.
	 */
	in_hand = Max(ln_window_room(&c->window, c->sent, now_ms), IN_HAND);
	in_hand = Min(in_hand, Max(c->row.rate_limit / 10, 1));
	if (c->queued > in_hand / 2)
		return 0;
	want = Min(want, in_hand - c->queued);
	return ln_breaker_allow(&c->breaker, want, now_ms);
}

static void
defer_phase(void *arg)
{
	Claim	   *c = (Claim *) arg;

	ln_outbox_defer(c->rows[0].id,
					TimestampTzPlusMilliseconds(GetCurrentTimestamp(), BAD_ROW_REST),
					W.slot->last_error);
}

/*
 * A channel's claim failed: that channel rests.  When a single row fails again
 * and again by its own fault, it is put aside, with the reason, and the others
 * go on.
 */
static void
claim_failed(Claim *c)
{
	LnChannel  *channel = c->channel;
	bool		row_fault = is_row_fault(W.last_sqlstate);
	int64		skipped;

	/* locks: no shorter batch would help */
	if (row_fault || channel->failures == 0)
		channel->failures++;
	channel->rest_until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
													  row_fault && c->limit > 1 ? 0
													  : PHASE_RETRY_FIRST << Min(channel->failures, 6));
	if (row_fault && c->limit == 1 && c->picked == 1 && c->rows != NULL &&
		(CLAIM_MAX >> channel->failures) == 0 &&
		phase("putting a message aside", defer_phase, c))
	{
		if (may_log(LOG_ASIDE, &skipped))
			ereport(WARNING,
					(errmsg("line_notify put message " INT64_FORMAT " aside for an hour: it cannot be claimed",
							c->rows[0].id),
					 skipped > 0 ? errdetail(INT64_FORMAT " more messages since the last such line.", skipped) : 0,
					 errhint("Its column error in view line_notify.notifications has the reason.")));
		channel->rest_until = 0;
		W.need_survey = true;
	}
}

/*
 * Claim for every channel that has room and, maybe, due messages.  Lanes of a
 * channel take turns by the age of what waits in them, a step of priority being
 * worth a minute: large is sooner, but small is not never.
 */
static void
claim(void)
{
	TimestampTz now = GetCurrentTimestamp();

	if (!ln_guc_enabled || W.home == 0 || W.nchannels == 0 || W.ndone > MAX_UNRECORDED)
		return;

	for (int k = 0; k < W.nchannels; k++)
	{
		LnChannel  *channel = W.channels[(W.next_channel + k) % W.nchannels];
		int			best = -1;
		TimestampTz best_key = DT_NOEND;
		int			rooms[2] = {-1, -1};
		Claim		c;
		instr_time	start;
		instr_time	duration;

		if (channel->rest_until > now)
			continue;
		for (int p = 0; p < LN_LANES; p++)
		{
			LnLane	   *lane = &channel->lanes[p];
			LineKind	kind = ln_lane_kind(p);
			TimestampTz key;

			if (!lane->maybe && lane->next_due <= now)
			{
				lane->maybe = true;
				lane->head = lane->next_due;
				lane->low = Min(lane->low, lane->next_due);
				lane->next_due = DT_NOEND;
				W.need_survey = true;	/* what comes after it */
			}
			if (!lane->maybe)
				continue;
			/* without a token: asked for, if it can be */
			if (ln_channel_permitted(channel, W.home) && !ln_token_ready(channel->token, now))
				break;
			if (rooms[kind] < 0)
				rooms[kind] = Max(room(channel, kind, now), 0);
			if (rooms[kind] == 0)
				continue;
			key = (lane->head == DT_NOBEGIN ? 0 : lane->head) - ln_lane_priority(p) * LN_AGING_US;
			if (best < 0 || key < best_key)
			{
				best = p;
				best_key = key;
			}
		}
		if (best < 0)
			continue;
		memset(&c, 0, sizeof(c));
		c.channel = channel;
		c.lane = best;
		c.limit = rooms[ln_lane_kind(best)];
		/* after failures, fewer at a time: one row may be the cause */
		if (channel->failures > 0)
			c.limit = Min(c.limit, Max(CLAIM_MAX >> channel->failures, 1));
		/* busy: let a batch gather */
		if (W.nclaimed + W.nsent > 0 && c.limit < CLAIM_MAX &&
			now - W.last_claim_at < Min(CLAIM_GAP_MAX_US, CLAIM_GAP_FACTOR * W.last_claim_us))
			continue;

		INSTR_TIME_SET_CURRENT(start);
		if (!phase("claiming messages", claim_phase, &c))
		{
			claim_failed(&c);
			continue;
		}
		channel->failures = 0;
		INSTR_TIME_SET_CURRENT(duration);
		INSTR_TIME_SUBTRACT(duration, start);
		W.last_claim_at = GetCurrentTimestamp();
		W.last_claim_us = (int64) INSTR_TIME_GET_MICROSEC(duration);

		/*
		 * A wait for a standby that was cut short looks like success.  Then
		 * nothing of this claim is sent: the leases stay, and the next worker
		 * finds that their witness saw nothing.
		 */
		if (ProcDiePending || QueryCancelPending)
			return;
		if (c.n > 0)
			W.idle_since = W.last_claim_at;

		/*
		 * what comes next; or why the survey saw something that we could not
		 * take
		 */
		if (c.n > 0 || channel->lanes[best].suspect)
			W.need_survey = true;

		channel->lanes[best].suspect = false;
		take_claimed(&c);
		if (W.nfree == 0)
			break;
	}
	W.next_channel = (W.next_channel + 1) % Max(W.nchannels, 1);
}

/* ------------------------------------------------------------------- send */

/* An attempt has come to an end: decide, and keep for record(). */
static void
finish(Transfer *t, LineOutcome outcome, bool attempted)
{
	LineCase	c;
	TimestampTz now = GetCurrentTimestamp();
	LnChannel  *channel = t->channel;

	memset(&c, 0, sizeof(c));
	c.outcome = outcome;
	c.attempt = t->attempt;
	c.max_attempts = channel->row.max_attempts;
	c.maybe_sent = t->maybe_sent;
	c.on_unknown = channel->row.on_unknown;
	c.on_server_error = channel->row.on_server_error;

	t->outcome = outcome;
	t->next = attempted ? ln_line_decide(&c) : LINE_RETURN;
	if (attempted)
		ln_stats_answer(channel->stats[t->kind], outcome, t->next, t->status, now, now - t->sent_at);
	t->attempted = attempted;
	t->ended_at = now;
	t->retry_at = now;
	if (t->next == LINE_RETRY_LATER)
	{
		uint64		random = 0;

		(void) ln_random_bytes(&random, sizeof(random));
		t->retry_at = TimestampTzPlusMilliseconds(now,
												  ln_retry_delay_ms(t->attempt, channel->row.backoff_base_ms,
																	channel->row.backoff_cap_ms, random));
		/* the delivery event may still say that it arrived */
		if (ln_line_may_have_been_sent(outcome))
			t->retry_at = Max(t->retry_at, now + channel->row.settle_window_us);
	}
	if (t->state == TRANSFER_CLAIMED)
		channel->queued--;
	free(t->request);
	t->request = NULL;
	t->state = TRANSFER_DONE;
	t->record_failures = 0;
	t->record_at = 0;
	W.record_at = 0;
	W.done[W.ndone++] = (int) (t - W.transfers);

	if (W.first_done_at == 0)
		W.first_done_at = now;
}

/* Hand claimed messages to the HTTP client as fast as LINE's rate allows. */
static void
send_claimed(void)
{
	int			n = W.nclaimed;
	TimestampTz now = GetCurrentTimestamp();

	W.round++;
	W.token_at = DT_NOEND;

	for (int i = 0; i < n; i++)
	{
		Transfer   *t = &W.transfers[W.claimed[W.claimed_head]];
		LnChannel  *channel = t->channel;
		HttpRequest req;
		char		url[512];
		char		tag_header[64 + LINE_TAG_SIZE];
		char		tag[LINE_TAG_SIZE];
		const char *headers[3];
		int64		wait_ns;
		int			place = W.claimed[W.claimed_head];

		t->request_id[0] = t->error[0] = '\0';
		t->status = 0;

		/*
		 * paused, disarmed or out of order since it was claimed: back, as it
		 * came
		 */
		if (!ln_guc_enabled || closed_until(channel, t->kind, now) != 0 ||
			ln_channel_part_paused(channel, t->kind, t->subject))
		{
			W.claimed_head = (W.claimed_head + 1) % W.ntransfers;
			W.nclaimed--;

			finish(t, LINE_NOT_SENT, false);
			continue;
		}

		/* must wait: to the end of the ring, another channel may be free */
		wait_ns = 0;
		if (channel->dry[t->kind] == W.round ||
			ln_window_room(&channel->window, channel->sent, ln_monotonic_ns() / 1000000) == 0 ||
			ln_shmem_rate_take(channel->rate_key[t->kind], channel->row.rate_limit, 1, &wait_ns) == 0)
		{
			channel->dry[t->kind] = W.round;

			if (wait_ns > 0)
				W.token_at = Min(W.token_at, now + Max(wait_ns / 1000, TOKEN_NAP_US));
			W.claimed_head = (W.claimed_head + 1) % W.ntransfers;
			W.claimed[(W.claimed_head + W.nclaimed - 1) % W.ntransfers] = place;

			continue;
		}
		W.claimed_head = (W.claimed_head + 1) % W.ntransfers;
		W.nclaimed--;

		ln_breaker_started(&channel->breaker);

		ln_line_tag(tag, t->id, t->attempt, t->token);
		snprintf(tag_header, sizeof(tag_header), "X-Line-Delivery-Tag: %s", tag);
		headers[0] = "Content-Type: application/json";
		headers[1] = ln_token_header(channel->token, GetCurrentTimestamp());
		headers[2] = tag_header;
		snprintf(url, sizeof(url), "%s%s", channel->row.api_base, ln_line_path(t->kind));
		memset(&req, 0, sizeof(req));
		req.tag = (uint64) place;
		req.method = "POST";
		req.url = url;
		req.headers = headers;
		req.nheaders = lengthof(headers);
		req.body = t->request;
		req.body_len = t->request_len;
		req.connect_timeout_ms = channel->row.connect_timeout_ms;
		req.total_timeout_ms = channel->row.total_timeout_ms;
		req.ca_file = channel->row.ca_file;
		req.proxy = channel->row.proxy;
		req.witness = &t->witness->asked;
		t->token_generation = ln_token_generation(channel->token);
		t->sent_at = GetCurrentTimestamp();
		ln_stats_sent(channel->stats[t->kind]);
		if (t->request == NULL)
			strlcpy(t->error, "out of memory", sizeof(t->error));
		if (t->request == NULL || !ln_http_add(W.http, &req, t->error, sizeof(t->error)))
		{
			ln_breaker_failure(&channel->breaker, ln_monotonic_ns() / 1000000);
			finish(t, LINE_NOT_SENT, true);
			continue;
		}
		channel->queued--;
		channel->sent++;
		free(t->request);
		t->request = NULL;
		t->state = TRANSFER_SENT;
		W.nsent++;
	}
}

/* A fault that others would meet too: stop them, say why. */
typedef struct Pause
{
	const char *channel;
	const char *scope;			/* NULL = the whole channel */
	const char *subject;
	char		reason[400];
} Pause;

static void
pause_phase(void *arg)
{
	Pause	   *p = (Pause *) arg;

	if (p->scope == NULL)
		(void) ln_outbox_pause(p->channel, p->reason);
	else
		(void) ln_outbox_pause_part(p->channel, p->scope, p->subject, p->reason);
}

static void
describe(Pause *p, const Transfer *t, const char *what)
{
	snprintf(p->reason, sizeof(p->reason), "%s %d%s%s (message " INT64_FORMAT "%s%s)",
			 what, t->status, t->error[0] ? ": " : "", t->error, t->id,
			 t->request_id[0] ? ", request " : "", t->request_id);
}

/* 401: the token is bad, for everything that the channel sends. */
static void
pause_channel(LnChannel *channel, const Transfer *t)
{
	Pause		p = {.channel = channel->row.name};

	if (channel->row.paused)
		return;
	channel->row.paused = true; /* at once, for what is claimed */
	channel->refused_token = ln_token_fingerprint(channel->token);
	describe(&p, t, "LINE answered");
	ereport(WARNING,
			(errmsg("line_notify paused channel \"%s\": %s", channel->row.name, p.reason),
			 errhint("A new credential resumes it, or SELECT line_notify.resume('%s');", channel->row.name)));
	if (!phase("pausing a channel", pause_phase, &p))
		channel->row.paused = false;	/* the next answer tries again */
}

/* 403, 404 and their like: an endpoint that the channel may not use, or a wrong address. */
static void
pause_endpoint(LnChannel *channel, const Transfer *t)
{
	Pause		p = {
		.channel = channel->row.name,
		.scope = "endpoint",
		.subject = t->kind == LINE_TEMPLATE ? "template" : "flexible"
	};

	if (channel->row.paused || channel->row.endpoint_paused[t->kind])
		return;
	channel->row.endpoint_paused[t->kind] = true;
	describe(&p, t, "LINE answered");
	ereport(WARNING,
			(errmsg("line_notify paused %s messages of channel \"%s\": %s",
					p.subject, channel->row.name, p.reason),
			 errhint("Mend the cause, then SELECT line_notify.resume('%s');", channel->row.name)));
	if (!phase("pausing an endpoint", pause_phase, &p))
		channel->row.endpoint_paused[t->kind] = false;
}

/*
 * A template or design that LINE refuses again and again in the same words is
 * wrong itself; its other messages wait until somebody has looked at it.
 */
static void
count_refusal(LnChannel *channel, const Transfer *t)
{
	LnRun	   *run = find_run(channel, t->subject);
	uint32		error = hash_bytes((const unsigned char *) t->error, strlen(t->error));
	Pause		p;

	if (run == NULL)
	{
		run = &channel->runs[channel->next_run];
		channel->next_run = (channel->next_run + 1) % LN_RUNS;
		strlcpy(run->subject, t->subject, sizeof(run->subject));
		run->length = 0;
	}
	if (run->length > 0 && run->error != error)
		run->length = 0;
	run->error = error;
	if (++run->length < REFUSED_RUN || ln_channel_part_paused(channel, t->kind, t->subject))
		return;
	run->length = 0;

	p.channel = channel->row.name;
	p.scope = t->kind == LINE_TEMPLATE ? "template" : "use_case";
	p.subject = t->subject + 1;
	describe(&p, t, psprintf("LINE refused %d messages in a row with", REFUSED_RUN));
	ereport(WARNING,
			(errmsg("line_notify paused %s \"%s\" of channel \"%s\": %s",
					t->kind == LINE_TEMPLATE ? "template" : "flexible messages of use case",
					p.subject, channel->row.name, p.reason),
			 errhint("Mend the cause, then SELECT line_notify.resume('%s');", channel->row.name)));
	(void) phase("pausing a template", pause_phase, &p);
}

static LnRun *
find_run(LnChannel *channel, const char *subject)
{
	for (int i = 0; i < LN_RUNS; i++)
		if (strcmp(channel->runs[i].subject, subject) == 0)
			return &channel->runs[i];
	return NULL;
}

/* Take the finished transfers from the HTTP client. */
static void
harvest(void)
{
	HttpResult	res;

	while (ln_http_next(W.http, &res))
	{
		Transfer   *t;
		LnChannel  *channel;
		LineOutcome outcome = ln_line_outcome(res.verdict, res.status, res.retry_after_ms >= 0);
		int64		now_ms = ln_monotonic_ns() / 1000000;
		LnRun	   *run;

		if (res.tag & LN_TAG_SIDE)
		{
			if (res.tag & LN_TAG_TOKEN)
				ln_token_result(W.channels, W.nchannels, &res);
			else
				ln_counts_result(&res);
			continue;
		}
		t = &W.transfers[res.tag];
		channel = t->channel;
		W.nsent--;

		if (res.verdict == HTTP_STATUS)
			ln_window_answered(&channel->window, channel->sent, channel->row.max_in_flight);
		else if (!res.aborted)
			ln_window_lost(&channel->window);
		channel->sent--;
		t->status = res.status;
		strlcpy(t->request_id, res.request_id, sizeof(t->request_id));
		if (res.verdict == HTTP_STATUS)
		{
			t->witness->status = (uint16) Min(Max(res.status, 0), 999);
			t->witness->has_retry_after = res.retry_after_ms >= 0;
			pg_write_barrier();
			t->witness->complete = 1;
		}
		if (outcome != LINE_ACCEPTED && res.verdict == HTTP_STATUS)
			ln_line_error_text(res.body, res.body_len, t->error, sizeof(t->error));
		if (t->error[0] == '\0' && outcome != LINE_ACCEPTED)
			strlcpy(t->error, res.error, sizeof(t->error));

		switch (outcome)
		{
			case LINE_ACCEPTED:
			case LINE_UNREACHABLE:
			case LINE_REFUSED:
				channel->throttles = 0;
				ln_breaker_success(&channel->breaker);
				ln_token_proved(channel->token, t->token_generation);
				if (res.status == 400)
					count_refusal(channel, t);
				else if ((run = find_run(channel, t->subject)) != NULL)
					run->length = 0;
				break;
			case LINE_THROTTLED:
				break;
			case LINE_UNAUTHORIZED:
				ln_breaker_neutral(&channel->breaker);
				if (!ln_token_refused(channel->token, t->token_generation))
					pause_channel(channel, t);
				break;
			case LINE_MISCONFIGURED:
				ln_breaker_neutral(&channel->breaker);
				pause_endpoint(channel, t);
				break;
			case LINE_SERVER_ERROR:
			case LINE_NOT_SENT:
			case LINE_AMBIGUOUS:
				if (res.aborted)
					ln_breaker_neutral(&channel->breaker);
				else
					ln_breaker_failure(&channel->breaker, now_ms);
				break;
		}
		if (res.status == 429 || res.status == 503)
		{
			/* as LINE says, else 1 s doubling to a minute, for all workers */
			int64		pause_ms = Min(res.retry_after_ms, MAX_PAUSE_MS);

			ln_breaker_neutral(&channel->breaker);
			if (pause_ms < 0)
				pause_ms = 1000 << Min(channel->throttles, 6);
			/* one answer of a burst counts */
			if (ln_shmem_rate_blocked_until(channel->rate_key[t->kind]) == 0)
				channel->throttles++;
			ln_shmem_rate_block(channel->rate_key[t->kind], channel->row.rate_limit, pause_ms * 1000000);
		}
		finish(t, outcome, true);
	}
}

/* ----------------------------------------------------------------- record */

typedef struct Batch
{
	LnRecord   *recs;
	int			n;
	int			held;
} Batch;

static void
record_phase(void *arg)
{
	Batch	   *b = (Batch *) arg;

	b->held = ln_outbox_record(b->recs, b->n);
}

/*
 * Record a batch; one that the database refuses is halved until the row that
 * it objects to stands alone.  ok[i] says what is through.
 */
static void
record_batch(LnRecord *recs, bool *ok, int n)
{
	Batch		b = {recs, n, 0};
	int64		skipped;

	if (phase("recording outcomes", record_phase, &b))
	{
		if (b.held != n && may_log(LOG_LEASE, &skipped))
			ereport(WARNING,
					(errmsg("line_notify: %d of %d leases were no longer ours when their outcome was recorded",
							n - b.held, n),
					 skipped > 0 ? errdetail(INT64_FORMAT " more batches since the last such line.", skipped) : 0));
		memset(ok, true, sizeof(bool) * n);
		return;
	}
	memset(ok, false, sizeof(bool) * n);
	if (n > 1 && is_row_fault(W.last_sqlstate) && !ProcDiePending)
	{
		record_batch(recs, ok, n / 2);
		record_batch(recs + n / 2, ok + n / 2, n - n / 2);
	}
}

static void
record(void)
{
	TimestampTz now = GetCurrentTimestamp();
	LnRecord   *recs;
	bool	   *ok;
	int		   *places;
	int			n = 0;
	int			left = 0;
	uint32		ended = 0;

	if (W.ndone == 0)
		return;
	if (!stop_requested &&
		(resting("recording outcomes") || W.record_at > now))
		return;
	if (W.ndone < RECORD_BATCH && W.nsent > 0 && now - W.first_done_at < RECORD_DELAY_US)
		return;

	recs = palloc0(sizeof(LnRecord) * RECORD_BATCH * 4);
	ok = palloc0(sizeof(bool) * RECORD_BATCH * 4);
	places = palloc(sizeof(int) * RECORD_BATCH * 4);
	for (int i = 0; i < W.ndone && n < RECORD_BATCH * 4; i++)
	{
		Transfer   *t = &W.transfers[W.done[i]];
		LnRecord   *r = &recs[n];

		if (t->record_at > now && !stop_requested)
			continue;
		places[n++] = i;
		r->id = t->id;
		r->token = t->token;
		r->channel = t->channel->row.name;
		r->next = t->next;
		r->outcome = t->outcome;
		r->status = t->status;
		r->request_id = t->request_id;
		r->error = t->error;
		r->sent_at = t->attempted ? t->sent_at : 0;
		r->ended_at = t->ended_at;
		r->retry_at = t->retry_at;
		r->attempted = t->attempted;
	}
	if (n > 0)
		record_batch(recs, ok, n);
	if (resting("recording outcomes") && is_row_fault(W.last_sqlstate))
		no_rest("recording outcomes");	/* the rows rest, see below */

	for (int k = 0; k < n; k++)
	{
		int			i = places[k];
		Transfer   *t = &W.transfers[W.done[i]];

		if (!ok[k])
		{
			/*
			 * A row that the database refuses by itself waits here, its lease
			 * and its witness with it, and does not hold up the others.
			 */
			if (is_row_fault(W.last_sqlstate))
				t->record_at = TimestampTzPlusMilliseconds(now, 1000 << Min(t->record_failures++, 8));
			continue;
		}
		if (t->next == LINE_RETRY_LATER || t->next == LINE_RETURN)
			note_return(t);
		else
			ended |= ln_shmem_ending(t->id);
		t->channel->in_flight--;
		if (t->attempted && ln_line_may_have_been_sent(t->outcome))
			t->channel->row.sent_today++;
		t->witness->id = 0;
		t->state = TRANSFER_FREE;
		W.free_list[W.nfree++] = W.done[i];
		W.done[i] = -1;
	}

	ln_shmem_ended(ended);

	/* close the gaps; those that failed set when to try again */
	W.record_at = W.ndone > 0 ? DT_NOEND : 0;

	for (int i = 0; i < W.ndone; i++)
	{
		if (W.done[i] < 0)
			continue;
		W.record_at = Min(W.record_at, W.transfers[W.done[i]].record_at);
		W.done[left++] = W.done[i];
	}
	W.ndone = left;

	if (left == 0)
		W.record_at = 0;
	W.first_done_at = left > 0 ? now : 0;
	W.idle_since = now;

	judge_silence_soon();
}

/* A message went back to the queue: its lane has something at that time. */
static void
note_return(Transfer *t)
{
	LnLane	   *lane = &t->channel->lanes[t->lane];

	lane->next_due = Min(lane->next_due, t->retry_at);
}

/* ----------------------------------------------------------------- tokens */

typedef struct TokenNews
{
	const char *channel;
	const char *error;
} TokenNews;

static void
note_token_phase(void *arg)
{
	TokenNews  *news = (TokenNews *) arg;

	ln_outbox_note_token(news->channel, news->error);
}

/* Let health() know which channels have no access token, and why. */
static void
note_tokens(void)
{
	for (int i = 0; i < W.nchannels; i++)
	{
		TokenNews	news;

		if (resting("noting the state of a token"))
			return;
		news.channel = W.channels[i]->row.name;

		if (ln_token_news(W.channels[i]->token, &news.error) &&
			phase("noting the state of a token", note_token_phase, &news))
			ln_token_told(W.channels[i]->token);
	}
}

/* ----------------------------------------------------------------- counts */

typedef struct Wanted
{
	LnCount		counts[LN_COUNTS_MAX];
	int			n;
} Wanted;

static void
wanted_counts_phase(void *arg)
{
	Wanted	   *w = (Wanted *) arg;

	w->n = ln_outbox_wanted_counts(W.home, w->counts, &W.next_counts);
}

static void
record_counts_phase(void *arg)
{
	const LnCount *counts;
	int			n = ln_counts_answers(&counts);

	ln_outbox_record_counts(counts, n);
}

/* Ask LINE how many messages it delivered on past days, and keep the answers. */
static void
fetch_counts(void)
{
	const LnCount *answers;
	Wanted		w;

	if (W.standing_still || W.home == 0 || ln_counts_pending() > 0)
		return;
	if (ln_counts_answers(&answers) > 0)
	{
		if (!try_phase("recording counts", record_counts_phase, NULL))
			return;
		ln_counts_forget();
	}
	if (!ln_guc_enabled || W.next_counts > GetCurrentTimestamp())
		return;
	if (!try_phase("looking for counts to ask for", wanted_counts_phase, &w) || w.n == 0)
		return;
	if (ln_counts_ask(W.channels, W.nchannels, w.counts, w.n, W.http) < w.n)
		W.next_counts = Max(W.next_counts, GetCurrentTimestamp() + COUNTS_RETRY);
}

/* ------------------------------------------------------------------- wait */

/* Nothing in hand, and nothing to do before a known time. */
static bool
is_idle(void)
{
	if (W.nclaimed + W.nsent + W.ndone > 0 || W.need_fold || W.need_config || W.need_survey || W.need_release ||
		W.next_probe != DT_NOEND ||
		(W.home != 0 && (W.need_rescue || W.rescue_at != DT_NOEND)))
		return false;
	for (int i = 0; i < MAX_RESTS && W.rests[i].activity != NULL; i++)
		if (W.rests[i].failures > 0)
			return false;
	return true;
}

/* When a channel can be claimed for next, without anything else happening. */
static TimestampTz
channel_deadline(LnChannel *c, TimestampTz now)
{
	TimestampTz wake = DT_NOEND;

	for (LineKind kind = LINE_TEMPLATE; kind <= LINE_FLEXIBLE; kind++)
	{
		TimestampTz due = DT_NOEND;
		TimestampTz closed;

		for (int p = 0; p < LN_LANES; p++)
		{
			if (ln_lane_kind(p) == kind)
				due = Min(due, c->lanes[p].maybe ? now : c->lanes[p].next_due);
		}
		if (due == DT_NOEND)
			continue;
		closed = closed_until(c, kind, now);
		if (closed == 0 && c->row.daily_budget > 0 && budget_left(c, now) == 0)
			closed = c->row.sent_today < c->row.daily_budget ? DT_NOEND : c->row.day_ends;
		if (closed != 0)
			due = Max(due, closed);
		else if (due <= now && room(c, kind, now) <= 0)
			continue;			/* an answer makes room */
		else if (due <= now && W.nclaimed + W.nsent > 0)
			due = W.last_claim_at + Min(CLAIM_GAP_MAX_US, CLAIM_GAP_FACTOR * W.last_claim_us);

		wake = Min(wake, due);
	}
	return wake;
}

/* The earlier of wake and the time when a kind of work may go on. */
static TimestampTz
earlier(TimestampTz wake, TimestampTz due, const char *activity)
{
	return Min(wake, Max(due, rest_until(activity)));
}

/* Milliseconds until something is to be done without being woken; -1 = nothing. */
static long
next_deadline(void)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz wake = DT_NOEND;
	long		timeout = ln_http_timeout_ms(W.http);

	/* noted for us, and put back because the look at it failed */
	if (pg_atomic_read_u32(&W.slot->work) != 0)
		wake = earlier(wake, now, "checking the extension");
	if (!W.standing_still)
	{
		if (W.need_config)
			wake = earlier(wake, now, "reading configuration");
		if (W.need_fold)
			wake = earlier(wake, now, "folding webhook events");
		if (W.home != 0)
		{
			wake = earlier(wake, W.need_rescue ? now : W.rescue_at, "recovering claims");
			wake = earlier(wake, W.next_expiry, "ending expired messages");
			wake = earlier(wake, W.next_silence, "judging silence");
			if (ln_guc_enabled && ln_counts_pending() == 0)
				wake = earlier(wake, W.next_counts, "looking for counts to ask for");
			if (W.need_release)
				wake = earlier(wake, W.release_at, "releasing messages");
			wake = earlier(wake, W.next_maintenance, "maintaining history");
			wake = earlier(wake, W.doubt_until, "ending the doubt");
		}
		if (W.need_survey && W.nclaimed + W.nsent == 0)
			wake = earlier(wake, TimestampTzPlusMilliseconds(W.last_survey, survey_gap() + 1),
						   "looking for due messages");
		wake = Min(wake, W.next_probe);
		for (int i = 0; i < W.nchannels && ln_guc_enabled && W.home != 0; i++)
			wake = Min(wake, Max(channel_deadline(W.channels[i], now), W.channels[i]->rest_until));
	}
	if (W.ndone > 0)
		wake = earlier(wake, Max(W.record_at, W.first_done_at + RECORD_DELAY_US), "recording outcomes");
	if (W.nclaimed > 0)
		wake = Min(wake, W.token_at);

	if (is_idle() && ln_guc_idle_timeout > 0 && !W.standing_still)
	{
		TimestampTz leave_at = TimestampTzPlusMilliseconds(W.idle_since, ln_guc_idle_timeout * INT64CONST(1000));

		/* not for a moment: starting costs more than waiting */
		if (now >= leave_at && wake > TimestampTzPlusMilliseconds(now, 1000))
		{
			bool		nothing;

			LWLockAcquire(ln_shared->lock, LW_EXCLUSIVE);
			nothing = pg_atomic_read_u32(&W.slot->work) == 0 && W.slot->hold_pid == 0;

			if (nothing)
			{
				W.slot->state = LN_SLOT_IDLE;
				W.slot->next_due = wake;
				W.slot->failures = 0;
			}
			LWLockRelease(ln_shared->lock);
			if (nothing)
			{
				ln_witness_destroy(W.witness);
				proc_exit(0);
			}
			return 0;
		}
		if (now < leave_at)
			wake = Min(wake, leave_at);
	}

	if (wake != DT_NOEND)
	{
		long		ms = wake <= now ? 0 : TimestampDifferenceMilliseconds(now, wake);

		timeout = timeout < 0 ? ms : Min(timeout, ms);
	}
	return timeout < 0 ? -1 : Min(timeout, 3600000);
}
