/*-------------------------------------------------------------------------
 *
 * tasks.c
 *		What the worker does when: the table of tasks, and those of
 *		configuration and upkeep.
 *
 * The order of the table is the order within a turn: what makes others free or
 * informed comes first, sending last.  A task with a phase runs in a
 * transaction of its own.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "replication/syncrep.h"
#include "replication/walsender.h"
#include "utils/timestamp.h"

#include "db/trace.h"
#include "guc.h"
#include "server/identity.h"
#include "worker/credential_check.h"
#include "worker/line_statistics.h"
#include "worker/probe.h"
#include "worker/questions.h"
#include "worker/state.h"
#include "worker/token.h"
#include "worker/token_request.h"

/* Versions of the SQL objects that this library can work with. */
static const char *const supported_versions[] = {"1.0", NULL};

/*
 * No scan of all lanes more often than this (ms): it may walk dead index
 * entries.
 */
#define SCAN_GAP			1000
#define SCAN_GAP_BUSY		30000
#define SCAN_GAP_DRAIN		5	/* doubling, while it finds what is locked */

/*
 * What a scan took is believed up to this (us), and then up to twice what was
 * believed before.
 */
#define SCAN_US_FIRST		INT64CONST(20000)

/*
 * Is the credential of a channel that LINE refused a new one?  Look so often
 * (ms).
 */
#define CREDENTIAL_FILES_GAP	10000

/* Rows moved to history by one expiry transaction. */
#define EXPIRE_BATCH		1000

/*
 * So many rows that cannot be moved are passed by in a row; beyond, each waits
 * as any failure does.
 */
#define EXPIRE_PASS_BY		100

/* Rows that some session has locked are tried again after so long (ms). */
#define LOCKED_RETRY		1000

/* Messages that a clock that was set back is told to, in one transaction. */
#define SET_BACK_BATCH		1000

/* Blocked rows are brought back in steps of this. */
#define UNBLOCK_BATCH		1000

/*
 * Old dedup keys are swept up so often (ms), by a worker that is awake anyway.
 */
#define SWEEP_GAP			3600000
#define SWEEP_BATCH			10000

/* Webhook events folded in one transaction. */
#define FOLD_BATCH			1000

/* So many that are refused are passed by in a row, as with expiry. */
#define FOLD_PASS_BY		100

/*
 * LINE's statistics are asked for again after so long (us) when there was no
 * token.
 */
#define STATISTICS_RETRY	(10 * USECS_PER_SEC)

/* Delivery time-outs are judged, counters summed up so often at most (us). */
#define DELIVERY_TIMEOUT_GAP	(5 * USECS_PER_SEC)

/*
 * A step of maintenance takes about so long (ms) while messages wait; between
 * two others get their turn.
 */
#define MAINTENANCE_BUDGET	10
#define MAINTENANCE_PAUSE	50

/* Have the standbys flushed it?  Look so often (ms). */
#define FENCE_LOOK		50

/* What a run of a task hands over. */
typedef struct Run
{
	LnTaskId	task;
	TimestampTz again;			/* in: DT_NOEND; out: when it is due again */
	bool		progress;		/* in: true */
} Run;

static void check_extension(Run *r);
static void configure(Run *r);
static void begin_maintenance(void);
static void follow_clock(Run *r);
static void rescue(Run *r);
static void fold(Run *r);
static bool fold_failed(void);
static void expire(Run *r);
static bool expire_failed(void);
static void settle_in_doubt(Run *r);
static void judge_delivery_timeouts(Run *r);
static void unblock(Run *r);
static void sweep_keys(Run *r);
static void announce(Run *r);
static void maintain(Run *r);
static void record_set_aside(Run *r);
static bool maintain_failed(void);
static void scan(Run *r);

static void take_identities(Run *r);
static void resume_if_another(LnChannel *c);
static void scan_at_once(void);
static void tell_open_channels(void);

static LnTaskResult resume_channels(TimestampTz *again);
static LnTaskResult note_tokens(TimestampTz *again);
static LnTaskResult look_for_credentials(TimestampTz *again);
static LnTaskResult ask_questions(TimestampTz *again);
static LnTaskResult flush_outcomes(TimestampTz *again);
static LnTaskResult find_statistics(TimestampTz *again);
static LnTaskResult record_statistics(TimestampTz *again);

static TimestampTz scan_due(void);
static TimestampTz resume_channels_due(void);
static TimestampTz note_tokens_due(void);
static TimestampTz record_statistics_due(void);
static TimestampTz credential_files_due(void);
static TimestampTz questions_due(void);
static TimestampTz flush_outcomes_due(void);

#define ALWAYS		0
#define MATCHING	LN_NEEDS_VERSION
#define AT_HOME		(LN_NEEDS_VERSION | LN_NEEDS_HOME)
#define SENDING		(LN_NEEDS_VERSION | LN_NEEDS_HOME | LN_NEEDS_ENABLED)

/*
 * due says when a task is due that follows from the state of something else;
 * without it, it is when it was told to be, or as its last run said.
 */
static const struct TaskInfo
{
	const char *name;
	unsigned	needs;
	bool		keeps;			/* the worker stays until it is done */
	bool		lazy;			/* nobody is woken up for it */
	void		(*phase) (Run *r);	/* in a transaction, or */
	LnTaskResult (*run) (TimestampTz *again);
	TimestampTz (*due) (void);	/* or NULL */
	bool		(*failed) (void);	/* or NULL; true = no back-off */
}			infos[TASKS] =

{
	[TASK_EXTENSION] = {
		"checking the extension", ALWAYS, true, false, check_extension
	},
	[TASK_CONFIGURE] = {
		"reading configuration", MATCHING, true, false, configure
	},
	[TASK_SET_BACK] = {
		"following a clock that was set back", AT_HOME, true, false,
		follow_clock
	},
	[TASK_RECORD] = {
		"recording outcomes", ALWAYS, true, false, NULL, ln_worker_record,
		ln_worker_record_due
	},
	[TASK_RESCUE] = {"recovering claims", AT_HOME, true, false, rescue},
	[TASK_FOLD] = {
		"folding webhook events", MATCHING, true, false, fold,
		.failed = fold_failed
	},
	[TASK_EXPIRE] = {
		"ending expired messages", AT_HOME, false, false, expire,
		.failed = expire_failed
	},
	[TASK_IN_DOUBT] = {
		"ending what is in doubt", AT_HOME, false, false, settle_in_doubt
	},
	[TASK_DELIVERY_TIMEOUTS] = {
		"judging delivery time-outs", AT_HOME, false, false,
		judge_delivery_timeouts
	},
	[TASK_UNBLOCK] = {"unblocking messages", AT_HOME, true, false, unblock},
	[TASK_SWEEP_KEYS] = {
		"sweeping old keys", AT_HOME, false, true, sweep_keys
	},
	[TASK_ANNOUNCE] = {"announcing outcomes", MATCHING, true, false, announce},
	[TASK_MAINTAIN] = {
		"maintaining history", MATCHING, false, false, maintain,
		.failed = maintain_failed
	},
	[TASK_SET_ASIDE] = {
		"recording what was set aside", MATCHING, false, false,
		record_set_aside
	},
	[TASK_CLAIM] = {
		"claiming", SENDING, false, false, NULL, ln_worker_claim,
		ln_worker_claim_due
	},
	[TASK_SCAN] = {
		"looking for due messages", AT_HOME, true, false, scan,.due = scan_due
	},
	[TASK_RESUME] = {
		"resuming a channel", MATCHING, true, false, NULL, resume_channels,
		resume_channels_due
	},
	[TASK_NOTE_TOKENS] = {
		"noting the state of a token", MATCHING, true, false, NULL,
		note_tokens, note_tokens_due
	},
	[TASK_FIND_STATISTICS] = {
		"looking for statistics to ask for", SENDING, false, false, NULL,
		find_statistics
	},
	[TASK_RECORD_STATISTICS] = {
		"recording statistics", AT_HOME, true, false, NULL, record_statistics,
		record_statistics_due
	},
	[TASK_CREDENTIAL_FILES] = {
		"looking for another credential", AT_HOME, true, false, NULL,
		look_for_credentials, credential_files_due
	},
	[TASK_QUESTIONS] = {
		"asking LINE", SENDING, false, false, NULL, ask_questions,
		questions_due
	},
	[TASK_SEND] = {
		"sending", ALWAYS, false, false, NULL, ln_worker_send,
		ln_worker_send_due
	},
	[TASK_FLUSH] = {
		"flushing outcomes", ALWAYS, false, false, NULL, flush_outcomes,
		flush_outcomes_due
	},
};

static LnTask tasks[TASKS];
static bool need_scan = true;	/* what waits is not known */
static int	fruitless;			/* scans in a row that saw locked rows only */
static bool drain_wanted;		/* somebody waits in drain() */
static bool extension_is_gone;
static bool fenced;				/* a hand-over is being taken back */
static bool place_pending;		/* W.home is 0 until the launcher has looked */
static TimestampTz credential_files_at = DT_NOEND;

static int	set_backs;			/* that we have seen */
static int64 set_back_by;		/* (us); 0 = by what the newest message says */
static int64 set_back_after = PG_INT64_MIN; /* ids up to here know */

static struct
{
	int			limit;			/* events of the next transaction */
	int64		after;			/* seq; 0 = from the first event on */
	int64		from;			/* where the last one began */
	int64		reached;		/* and ended; 0 = there were no more */
	int64		refused;		/* last event that the tables refuse: those up
								 * to here are left until ... */
	TimestampTz refused_until;
	int			passed_by;		/* refused ones in a row */
}			folding = {.limit = FOLD_BATCH};

static int	maintenance_part;	/* the next one of this pass */
static TimestampTz next_pass = DT_NOEND;	/* as far as its parts have said */
static TimestampTz last_scan;
static int64 scan_us;			/* what it cost */
static TimestampTz expiry_low = DT_NOBEGIN; /* nothing that waits expires
											 * before */
static TimestampTz expiry_last; /* of the rows of the last transaction */
static int	expire_limit = EXPIRE_BATCH;	/* rows of the next one */
static int	passed_by;			/* rows in a row */

/* ---- the agenda ---- */

void
ln_tasks_init(void)
{
	for (int i = 0; i < TASKS; i++)
	{
		tasks[i].name = infos[i].name;
		tasks[i].needs = infos[i].needs;
		tasks[i].keeps = infos[i].keeps;
		tasks[i].lazy = infos[i].lazy;
		tasks[i].due = infos[i].due != NULL ? DT_NOEND : DT_NOBEGIN;
		tasks[i].not_before = LN_NOW;
	}
	/* these wait for something to happen */
	tasks[TASK_EXTENSION].due = tasks[TASK_IN_DOUBT].due = DT_NOEND;
	tasks[TASK_ANNOUNCE].due = DT_NOEND;
	W.version_mismatch = true;	/* as far as we know */
}

static unsigned
have(void)
{
	return (W.version_mismatch ? 0 : LN_NEEDS_VERSION) |
		(W.home != 0 ? LN_NEEDS_HOME : 0) |
		(ln_guc_enabled ? LN_NEEDS_ENABLED : 0);
}

/* The time of a task that follows from the state of something else. */
static void
refresh(int id)
{
	if (infos[id].due != NULL)
		tasks[id].due = (tasks[id].needs & ~have()) == 0 ? infos[id].due()
			: DT_NOEND;
}

void
ln_tasks_by(LnTaskId id, TimestampTz at)
{
	ln_task_by(&tasks[id], at);
}

static void
run_phase(void *arg)
{
	Run		   *r = (Run *) arg;

	infos[r->task].phase(r);
}

static void
run(LnTaskId id)
{
	const struct TaskInfo *info = &infos[id];
	LnTaskResult result;
	Run			r = {id, DT_NOEND, true};
	int			seen = set_backs;

	ln_task_begin(&tasks[id]);
	if (info->phase == NULL)
		result = info->run(&r.again);
	else if (ln_phase(info->name, run_phase, &r))
		result = r.progress ? LN_TASK_PROGRESS : LN_TASK_IDLE;
	else
		result = LN_TASK_FAILED;
	if (info->due != NULL)
		r.again = info->due();
	if (set_backs != seen)
		r.again = DT_NOBEGIN;	/* it may be a time of the clock before */
	ln_task_end(&tasks[id], result, r.again, GetCurrentTimestamp());
	if (result == LN_TASK_FAILED && info->failed != NULL && info->failed())
		ln_task_forgive(&tasks[id]);
}

void
ln_tasks_run(void)
{
	for (int i = 0; i < TASKS; i++)
	{
		refresh(i);
		if (ln_task_ready(&tasks[i], have(), W.now))
			run((LnTaskId) i);
	}
}

bool
ln_tasks_failing(LnTaskId id)
{
	return tasks[id].failures > 0;
}

TimestampTz
ln_tasks_wake(void)
{
	for (int i = 0; i < TASKS; i++)
		refresh(i);
	return ln_agenda_wake(tasks, TASKS, have());
}

bool
ln_tasks_keep(void)
{
	return ln_agenda_keeps(tasks, TASKS, have()) || place_pending ||
		ln_questions_pending() > 0;
}

TimestampTz
ln_tasks_resume(void)
{
	TimestampTz resume;
	bool		may_scan = (infos[TASK_SCAN].needs & ~have()) == 0;

	if (ln_deliveries_claimed() + ln_deliveries_sent() +
		ln_deliveries_done() > 0 ||
		pg_atomic_read_u32(&W.slot->work) != 0 ||
		(need_scan && may_scan) || place_pending)
		return DT_NOBEGIN;
	resume = ln_agenda_resume(tasks, TASKS, have());
	if (resume > W.now)
		resume = DT_NOEND;		/* a task for later is none of drain()'s */
	if ((have() & SENDING) == SENDING)
		resume = Min(resume, ln_worker_claim_resume());
	if (resume == DT_NOEND)
		drain_wanted = false;
	return resume;
}

void
ln_tasks_set_back(int64 by)
{
	for (int i = 0; i < TASKS; i++)
		ln_task_set_back(&tasks[i], by);
	for (int i = 0; i < W.nchannels; i++)
	{
		LnChannel  *c = W.channels[i];

		c->backoff_until = ln_set_back(c->backoff_until, by);
		c->limit_until = ln_set_back(c->limit_until, by);
		for (int k = 0; k < 2; k++)
			c->rate_until[k] = ln_set_back(c->rate_until[k], by);
		c->answered_sent_at = ln_set_back(c->answered_sent_at, by);
		c->credential_check.at = ln_set_back(c->credential_check.at, by);
		ln_token_set_back(c->token, by);
	}
	ln_deliveries_set_back(by);
	credential_files_at = ln_set_back(credential_files_at, by);
	folding.refused_until = ln_set_back(folding.refused_until, by);
	W.drain_until = ln_set_back(W.drain_until, by);
	ln_worker_forget_bounds();
	set_backs++;
	set_back_by += by;
	set_back_after = PG_INT64_MIN;
	ln_tasks_by(TASK_SET_BACK, DT_NOBEGIN);
	begin_maintenance();
	ereport(LOG,
			(errmsg("the clock of this server was set back by %d s",
					(int) (by / USECS_PER_SEC))));
}

void
ln_tasks_look_for_due(void)
{
	need_scan = true;
	fruitless = 0;
}

void
ln_tasks_look_again(void)
{
	need_scan = true;
	fruitless = Min(fruitless + 1, 7);
}

/* So often at most (us). */
static int64
delivery_timeout_gap(void)
{
	return Min(DELIVERY_TIMEOUT_GAP,
			   ln_guc_delivery_timeout * USECS_PER_SEC / 10);
}

void
ln_tasks_counted(void)
{
	ln_tasks_by(TASK_DELIVERY_TIMEOUTS, W.now + delivery_timeout_gap());
}

void
ln_tasks_expires(TimestampTz at)
{
	ln_tasks_by(TASK_EXPIRE, at);
}

/* ---- what others note for us ---- */

/* Something was inserted: where? */
static void
fill_lanes(void)
{
	uint64		lanes = pg_atomic_exchange_u64(&W.slot->new_lanes, 0);
	uint64		bits = pg_atomic_exchange_u64(&W.slot->new_channels, 0);

	for (int i = 0; i < W.nchannels; i++)
	{
		LnChannel  *c = W.channels[i];

		if ((ln_shmem_channel_bit(c->row.name) & bits) == 0)
			continue;
		for (int p = 0; p < LN_LANES; p++)
			if (lanes & (UINT64CONST(1) << p))
				ln_worker_lane_fill(c, p, W.now);
		ln_token_look_again(c->token, W.now);
	}
	/* some of the new rows may be for later, or blocked */
	ln_tasks_look_for_due();
	ln_task_forgive(&tasks[TASK_CLAIM]);
}

/* resume() closes breakers, and ends what LINE had us wait for. */
static void
take_resumed(void)
{
	for (int i = 0; i < W.nchannels; i++)
	{
		LnChannel  *c = W.channels[i];
		bool		resumed = false;

		for (int k = 0; k < 2; k++)
			if (c->stats[k] != NULL &&
				pg_atomic_exchange_u32(&c->stats[k]->resumed, 0) != 0)
				resumed = true;
		if (!resumed)
			continue;
		ln_breaker_success(&c->breaker);
		c->limit_until = 0;
		ln_worker_regate(c);
	}
}

bool
ln_tasks_take_notes(void)
{
	uint32		work = pg_atomic_exchange_u32(&W.slot->work, 0);

	/* details were noted before, see fill_lanes() */
	if (pg_atomic_exchange_u32(&W.slot->quiet, 0) != 0)
		work |= LN_WORK_OUTBOX;
	if (work == 0)
		return false;
	if (work & LN_WORK_EXTENSION)
		ln_tasks_by(TASK_EXTENSION, DT_NOBEGIN);
	if (work & LN_WORK_CONFIG)
	{
		take_resumed();
		ln_tasks_by(TASK_CONFIGURE, DT_NOBEGIN);
		ln_tasks_by(TASK_RESCUE, DT_NOBEGIN);
		ln_tasks_look_for_due();
	}
	if (work & LN_WORK_WEBHOOK)
		ln_tasks_by(TASK_FOLD, DT_NOBEGIN);
	if (work & LN_WORK_OUTCOMES)
		ln_tasks_by(TASK_ANNOUNCE, DT_NOBEGIN);
	if (work & LN_WORK_DRAIN)
	{
		drain_wanted = true;
		ln_tasks_look_for_due();
	}
	if (work & LN_WORK_RESCAN)
	{
		ln_worker_forget_bounds();
		scan_at_once();
		/* they may have had messages of events locked, and leave notes */
		ln_tasks_by(TASK_FOLD, DT_NOBEGIN);
		ln_tasks_by(TASK_UNBLOCK, DT_NOBEGIN);
	}
	if (work & LN_WORK_UNBLOCK)
		ln_tasks_by(TASK_UNBLOCK, DT_NOBEGIN);
	if (work & LN_WORK_OUTBOX)
		fill_lanes();
	return true;
}

/* ---- the extension ---- */

/*
 * Leaves the process when the extension is not in this database; sends nothing
 * when it is of a version that this library does not know.
 */
static void
check_extension(Run *r)
{
	char	   *version = ln_outbox_extension_version();
	bool		known = false;

	ln_outbox_forget();
	extension_is_gone = version == NULL;
	W.version_mismatch = true;
	if (version == NULL)
	{
		ln_trace("dropped", "-");
		return;
	}
	for (int i = 0; supported_versions[i] != NULL; i++)
		known = known || strcmp(version, supported_versions[i]) == 0;
	W.version_mismatch = !known;

	LWLockAcquire(ln_shared->lock, LW_EXCLUSIVE);
	if (known && W.slot->version_mismatch)
		W.slot->last_error[0] = '\0';
	W.slot->version_mismatch = !known;
	if (!known)
		snprintf(W.slot->last_error, sizeof(W.slot->last_error),
				 "library 1.0 does not know extension version %s", version);
	LWLockRelease(ln_shared->lock);
	ln_tasks_by(TASK_CONFIGURE, DT_NOBEGIN);
	ln_tasks_by(TASK_RESCUE, DT_NOBEGIN);
	ln_tasks_by(TASK_FOLD, DT_NOBEGIN);
	ln_tasks_by(TASK_UNBLOCK, DT_NOBEGIN);
	ln_tasks_look_for_due();
}

void
ln_tasks_check_extension(void)
{
	if (ln_task_ready(&tasks[TASK_EXTENSION], have(), W.now))
		run(TASK_EXTENSION);
	if (extension_is_gone)
	{
		ln_worker_leave_unless_wanted(LN_SLOT_FREE, DT_NOEND);
		/* somebody creates it right now: look again */
		ln_tasks_by(TASK_EXTENSION, DT_NOBEGIN);
	}
}

/* ---- configuration ---- */

static void
configure(Run *r)
{
	TimestampTz before = DT_NOBEGIN;
	TimestampTz until = DT_NOEND;

	fenced = false;
	begin_maintenance();		/* retention may have changed */
	ln_tasks_by(TASK_DELIVERY_TIMEOUTS, DT_NOBEGIN);	/* on_silence, too */
	W.home = ln_outbox_take_home();
	/* if not, there is a twin, or the launcher has yet to look, and tells */
	place_pending = W.home != 0 && !ln_identity_has_place();
	if (place_pending)
	{
		W.home = 0;
		if (W.drain_until != 0)
			r->again = DT_NOBEGIN;	/* a drainer knows now */
	}
	if (W.home != 0)
		ln_outbox_note_timeline(W.home, GetWALInsertionTimeLine(),
								SyncRepRequested() &&
								SyncRepStandbyNames != NULL &&
								SyncRepStandbyNames[0] != 0,
								ln_guc_promotion_grace, &before, &until,
								&fenced);
	if (fenced)
	{
		/* nothing is claimed, what is new neither */
		before = END_TIMESTAMP - 1;
		until = W.now;
	}
	ln_worker_set_in_doubt(before);
	tasks[TASK_IN_DOUBT].due = until;
	ln_worker_set_suppression(ln_outbox_has_suppressed());
	ln_tasks_by(TASK_FIND_STATISTICS, DT_NOBEGIN);
	W.nchannels = ln_channel_load(&W.channels, W.nchannels, W.context,
								  ln_questions_forget);
	if (W.drain_until != 0)
		take_identities(r);
	for (int i = 0; i < W.nchannels; i++)
		if (W.channels[i]->row.paused_automatically)
			resume_if_another(W.channels[i]);
	tell_open_channels();
	/* the scan says which lanes have something */
	ln_worker_forget_bounds();
	scan_at_once();
}

/* Whoever queues a message for another one need not wake us. */
static void
tell_open_channels(void)
{
	uint64		bits = 0;

	for (int i = 0; i < W.nchannels; i++)
		if (!W.channels[i]->row.paused)
			bits |= ln_shmem_channel_bit(W.channels[i]->row.name);
	pg_atomic_write_u64(&W.slot->open_channels, bits);
}

/*
 * Drainers have no rate limit in common: one at a time sends with a channel
 * ID, whatever the database.  Others wait for the session lock.
 */
static void
take_identities(Run *r)
{
	LOCKTAG		tag;

	for (int i = 0; i < W.nchannels; i++)
	{
		uint64		key = W.channels[i]->rate_key[LINE_TEMPLATE];

		if (W.channels[i]->mine)
			continue;
		SET_LOCKTAG_ADVISORY(tag, InvalidOid, (uint32) (key >> 32),
							 (uint32) key, LOCK_FIELD);
		W.channels[i]->mine = LockAcquire(&tag, ExclusiveLock, true, true) !=
			LOCKACQUIRE_NOT_AVAIL;
		if (!W.channels[i]->mine)
			r->again = GetCurrentTimestamp() + OTHER_DRAIN_RETRY;
	}
}

/*
 * A channel that the worker paused goes on by itself when its credential is
 * another one than LINE refused.  After a restart nobody knows what was
 * refused: then it is tried once, at the price of one more refusal.
 */
static void
resume_if_another(LnChannel *c)
{
	uint64		credential = ln_token_fingerprint(c->token);

	if (credential == 0 || c->refused_token == credential)
		return;
	c->refused_token = credential;
	if (ln_outbox_resume(c->row.name))
		ereport(LOG,
				(errmsg("resumed channel \"%s\": its credential has changed",
						c->row.name)));
}

/*
 * Files are read again now and then, as long as a channel waits for a better
 * one.
 */
static TimestampTz
credential_files_due(void)
{
	bool		waiting = false;

	for (int i = 0; i < W.nchannels && !waiting; i++)
		waiting = W.channels[i]->row.paused_automatically;
	if (!waiting)
		credential_files_at = DT_NOEND;
	else if (credential_files_at == DT_NOEND)
		credential_files_at =
			TimestampTzPlusMilliseconds(W.now, CREDENTIAL_FILES_GAP);
	return credential_files_at;
}

static LnTaskResult
look_for_credentials(TimestampTz *again)
{
	credential_files_at = DT_NOEND;
	ln_tasks_by(TASK_CONFIGURE, DT_NOBEGIN);
	return LN_TASK_PROGRESS;
}

/* ---- due messages ---- */

/*
 * Milliseconds between two scans.  Where dead index entries pile up behind a
 * held snapshot one may take a second: it shall not take more than a fiftieth
 * of the time.
 */
static int
scan_gap(void)
{
	bool		busy = ln_deliveries_claimed() + ln_deliveries_sent() > 0;
	int			gap = busy ? SCAN_GAP_BUSY : SCAN_GAP;

	if ((drain_wanted || W.drain_until != 0) && !busy)
		gap = SCAN_GAP_DRAIN << fruitless;
	return Max(gap, (int) Min(scan_us / 20, 600000));
}

/* What is remembered is void: no gap, as far as others have left one. */
static void
scan_at_once(void)
{
	expiry_low = DT_NOBEGIN;
	last_scan = 0;
	ln_tasks_look_for_due();
}

static TimestampTz
scan_due(void)
{
	if (!need_scan)
		return DT_NOEND;
	if (last_scan > W.now)
		return DT_NOBEGIN;		/* the clock was set back */
	return TimestampTzPlusMilliseconds(last_scan, scan_gap());
}

/* What waits, and for when?  Also finds rows that a claim had to skip. */
static void
scan(Run *r)
{
	LnLaneRow  *rows;
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz first[LN_LANES];
	int			n;

	last_scan = now;
	n = ln_outbox_scan_due(W.home, ln_worker_in_doubt(), &rows);
	for (int j = 0; j < W.nchannels; j++)
	{
		for (int p = 0; p < LN_LANES; p++)
			first[p] = DT_NOEND;
		for (int i = 0; i < n; i++)
			if (strcmp(W.channels[j]->row.name, rows[i].channel) == 0)
				first[rows[i].lane] = rows[i].first_due;
		for (int p = 0; p < LN_LANES; p++)
			ln_worker_lane_scanned(W.channels[j], p, first[p]);
	}
	tasks[TASK_EXPIRE].due = ln_outbox_next_expiry(W.home, expiry_low);
	need_scan = false;

	/* one long one has waited for a lock; the next will tell */
	scan_us = Min(Max(0, GetCurrentTimestamp() - now),
				  Max(SCAN_US_FIRST, 2 * scan_us));
}

static void
expire(Run *r)
{
	TimestampTz now = GetCurrentTimestamp();
	int			n;

	expiry_last = DT_NOBEGIN;
	n = ln_outbox_expire(W.home, expiry_low, now, expire_limit, &expiry_last);
	if (n > 0)
		ln_phase_ended_messages();
	r->progress = n > 0;
	if (n == expire_limit)
		r->again = expiry_last;
	else
		r->again = ln_outbox_next_expiry(W.home, expiry_low);
	/* rows locked by others are looked at again a little later */
	if (r->again <= now && n < expire_limit)
		r->again = TimestampTzPlusMilliseconds(now, LOCKED_RETRY);
	expire_limit = Min(EXPIRE_BATCH, expire_limit * 2);
	passed_by = 0;
}

static void
expire_aside(void *arg)
{
	ln_outbox_expire_aside(W.home, expiry_low, GetCurrentTimestamp(),
						   *(int *) arg);
	ln_phase_ended_messages();
}

/*
 * Expiry failed: halve the batch, until a row that cannot be moved stands
 * alone.  That goes aside: others may have the same time.
 */
static bool
expire_failed(void)
{
	int			sqlstate = ln_phase_sqlstate();

	if (!ln_phase_row_fault())
		return false;
	if (expire_limit > 1)
	{
		expire_limit /= 2;
		return true;
	}
	if (expiry_last == DT_NOBEGIN)
		return false;			/* no row was found: it is none's fault */
	if (ln_phase("setting an expired message aside", expire_aside, &sqlstate))
	{
		ln_tasks_by(TASK_SET_ASIDE,
					TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
												SET_ASIDE_GAP));
		ln_tasks_by(TASK_UNBLOCK, DT_NOBEGIN);
		return true;
	}
	/* pass it by; the next configuration or restart tries again */
	expiry_low = expiry_last + 1;
	return ++passed_by < EXPIRE_PASS_BY;
}

/* ---- upkeep ---- */

/*
 * Messages that were queued, or attempted, on the clock as it was before must
 * not wait until it shows that time again.  At the start of the worker, too:
 * nobody may have seen it being set back.
 */
static void
follow_clock(Run *r)
{
	if (set_back_by == 0)
		set_back_by = ln_outbox_newest_ahead();
	if (set_back_by > USECS_PER_SEC &&
		ln_outbox_set_back(W.home, set_back_by, &set_back_after,
						   SET_BACK_BATCH))
	{
		r->again = DT_NOBEGIN;
		return;
	}
	set_back_by = 0;
	set_back_after = PG_INT64_MIN;
	ln_tasks_by(TASK_UNBLOCK, DT_NOBEGIN);
	ln_worker_forget_bounds();
	scan_at_once();
}

static void
rescue(Run *r)
{
	r->progress = false;
	r->again = ln_worker_rescue(&r->progress);
}

static void
fold(Run *r)
{
	static bool some_stayed = false;	/* since somebody had them locked */
	TimestampTz now = GetCurrentTimestamp();
	bool		stay;
	int			n;

	if (folding.refused_until <= now)
		folding.refused = 0;
	folding.from = folding.reached =
		folding.after != 0 ? folding.after : folding.refused;
	n = ln_outbox_fold(folding.limit, &folding.reached, &stay);
	folding.limit = Min(FOLD_BATCH, folding.limit * 2);
	folding.passed_by = 0;

	stay = stay || some_stayed;
	r->progress = n > 0 || folding.reached != folding.from;
	if (stay && folding.reached == 0 && n == 0)
		r->again = TimestampTzPlusMilliseconds(now, LOCKED_RETRY);
	else if (stay || folding.reached != 0 || folding.after != 0)
		r->again = DT_NOBEGIN;	/* also from the beginning: others came late,
								 * or waited for the first of their message */
	if (folding.refused != 0)
		r->again = Min(r->again, folding.refused_until);
	some_stayed = stay && folding.reached != 0;
	folding.after = folding.reached;
	if (n > 0)
		ln_phase_ended_messages();
	ln_tasks_counted();
}

typedef struct RefusedEvent
{
	int64		seq;
	int			sqlstate;
} RefusedEvent;

static void
note_refused_event(void *arg)
{
	RefusedEvent *e = (RefusedEvent *) arg;

	ln_outbox_refused_event(e->seq, e->sqlstate);
}

/*
 * Folding failed: halve the batch, until the event that the tables object to
 * stands alone.  It stays, for some seconds those behind it are folded, and
 * then it is tried again.
 */
static bool
fold_failed(void)
{
	RefusedEvent e = {folding.reached, ln_phase_sqlstate()};

	if (!ln_phase_row_fault())
		return false;
	if (folding.limit > 1)
	{
		folding.limit /= 2;
		return true;
	}
	if (folding.reached == folding.from)
		return false;			/* there was none: it is none's fault */
	(void) ln_phase("noting an event that is refused", note_refused_event,
					&e);
	if (folding.refused == 0)
		folding.refused_until =
			TimestampTzPlusMilliseconds(GetCurrentTimestamp(), SET_ASIDE_GAP);
	folding.refused = folding.after = folding.reached;
	return ++folding.passed_by < FOLD_PASS_BY;
}

/* What nobody wakes us for: silence after messages; sums. */
static void
judge_delivery_timeouts(Run *r)
{
	TimestampTz now = GetCurrentTimestamp();

	r->again = ln_outbox_sweep_delivery_timeout(ln_guc_delivery_timeout *
												USECS_PER_SEC);
	if (r->again != DT_NOBEGIN)
		r->again = Max(r->again, now + delivery_timeout_gap());
}

/*
 * After a promotion, the time to wait for delivery events is over.  After a
 * hand-over that came to nothing, or with several standbys: do all know?
 */
static void
settle_in_doubt(Run *r)
{
	bool		locked;

	/* the change of the identity makes us read the configuration again */
	if (fenced)
	{
		if (!ln_outbox_take_back(W.home, ln_guc_promotion_grace))
			r->again = TimestampTzPlusMilliseconds(W.now, FENCE_LOOK);
		return;
	}
	if (ln_outbox_settle_in_doubt(W.home,
								  ln_guc_on_promotion != LN_PROMOTION_SEND,
								  EXPIRE_BATCH, &locked))
		r->again = DT_NOBEGIN;
	else if (locked)
		r->again = TimestampTzPlusMilliseconds(W.now, LOCKED_RETRY);
}

/* What the parts have said is of settings, or of a clock, that are no more. */
static void
begin_maintenance(void)
{
	maintenance_part = 0;
	next_pass = DT_NOEND;
	ln_tasks_by(TASK_MAINTAIN, DT_NOBEGIN);
}

/*
 * A pass goes through the parts of maintenance, each in transactions of its
 * own.  Also where nothing may be sent: retention is a promise.  The parts say
 * when the next pass begins; a worker that leaves meanwhile is started for
 * it.
 */
static void
maintain(Run *r)
{
	TimestampTz next_at;
	bool		more =
	ln_outbox_maintain(maintenance_part, ln_guc_retention,
					   ln_guc_payload_retention, ln_guc_operations_retention,
					   MAINTENANCE_BUDGET, &next_at);

	next_pass = Min(next_pass, next_at);
	if (!more)
		maintenance_part = (maintenance_part + 1) % LN_MAINTENANCE_PARTS;
	if (!more && maintenance_part == 0)
	{
		r->again = next_pass;
		next_pass = DT_NOEND;
	}
	else
		r->again = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
											   MAINTENANCE_PAUSE);
}

/* What one part met must not stop the others. */
static bool
maintain_failed(void)
{
	maintenance_part = (maintenance_part + 1) % LN_MAINTENANCE_PARTS;
	return false;
}

static void
record_set_aside(Run *r)
{
	r->again = ln_worker_record_set_aside();
}

/* Bring back what was blocked and may go on. */
static void
unblock(Run *r)
{
	static LnUnblockScan where;
	LnLaneRow  *rows;
	int			n;
	LnNotesLeft left;
	TimestampTz now = GetCurrentTimestamp();

	ln_worker_lock_claims();
	left = ln_outbox_unblock(UNBLOCK_BATCH, ln_guc_promotion_grace, &where,
							 &rows, &n);
	if (left == LN_NOTES_LEFT)
		r->again = DT_NOBEGIN;
	else if (left == LN_NOTES_UNTOLD)
		r->again = TimestampTzPlusMilliseconds(now, FENCE_LOOK);
	else if (left == LN_NOTES_LOCKED)
		r->again = TimestampTzPlusMilliseconds(now, LOCKED_RETRY);
	for (int i = 0; i < n; i++)
		for (int j = 0; j < W.nchannels; j++)
			if (strcmp(W.channels[j]->row.name, rows[i].channel) == 0)
			{
				if (rows[i].first_due > GetCurrentTimestamp())
					ln_worker_lane_wait(W.channels[j], rows[i].lane,
										rows[i].first_due);
				else
					ln_worker_lane_fill(W.channels[j], rows[i].lane, now);
			}
}

static void
sweep_keys(Run *r)
{
	r->again = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), SWEEP_GAP);
	ln_outbox_sweep_keys(SWEEP_BATCH);
}

/*
 * A hint to those who LISTEN.  It may be lost and it may come for nothing, so
 * no standby is waited for with NOTIFY's lock held, nor the disk; and hardly
 * for others who hold that lock, which may be waiting for theirs.
 */
static void
announce(Run *r)
{
	int64		skipped;

	if (ln_guc_notify_outcomes[0] == '\0')
		return;
	ln_phase_set("synchronous_commit", "off");
	ln_phase_set("lock_timeout", "50ms");
	if (!ln_outbox_announce(ln_guc_notify_outcomes) &&
		ln_worker_may_log(LOG_ANNOUNCE, &skipped))
		ereport(WARNING,
				(errmsg("did not announce outcomes: more than half of the NOTIFY queue is full"),
				 skipped > 0 ? errdetail(INT64_FORMAT
										 " more times since the last such line.",
										 skipped)
				 : 0,
				 errhint("A session that listens and stays in a transaction keeps the server from emptying it.")));
}

/*
 * Nobody waits for the WAL writer.  What drain() has sent is on disk when it
 * comes back: this is the last task of the turn that empties our hands.
 */
static TimestampTz
flush_outcomes_due(void)
{
	TimestampTz since = ln_deliveries_unflushed_since();

	if (since == 0)
		return DT_NOEND;
	if (since > W.now)
		return DT_NOBEGIN;		/* the clock was set back */
	if (drain_wanted && ln_deliveries_claimed() + ln_deliveries_sent() +
		ln_deliveries_done() == 0)
		return DT_NOBEGIN;
	return TimestampTzPlusMilliseconds(since, ln_guc_flush_outcomes_after);
}

static LnTaskResult
flush_outcomes(TimestampTz *again)
{
	ln_deliveries_flush();
	return LN_TASK_PROGRESS;
}

/* ---- what LINE is asked ---- */

static TimestampTz
questions_due(void)
{
	TimestampTz due = DT_NOEND;

	for (int i = 0; i < W.nchannels; i++)
	{
		LnChannel  *c = W.channels[i];

		if (c->gone)
			continue;
		if (ln_probe_wanted(c))
			return DT_NOBEGIN;
		due = Min(due, ln_credential_check_due(c, W.home, W.now));
		due = Min(due, ln_token_due(c->token));
	}
	return due;
}

static LnTaskResult
ask_questions(TimestampTz *again)
{
	int			before = ln_questions_pending();

	ln_credential_check_step(W.channels, W.nchannels, W.home, W.now, W.http);
	ln_probe_step(W.channels, W.nchannels, W.now, W.http);
	ln_token_request_step(W.channels, W.nchannels, W.now, W.http);
	for (int i = 0; i < W.nchannels; i++)
		ln_worker_regate(W.channels[i]);
	return ln_questions_pending() > before ? LN_TASK_PROGRESS : LN_TASK_IDLE;
}

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

static TimestampTz
note_tokens_due(void)
{
	const char *error;

	for (int i = 0; i < W.nchannels; i++)
		if (ln_token_news(W.channels[i]->token, &error))
			return DT_NOBEGIN;
	return DT_NOEND;
}

/* Let health() know which channels have no access token, and why. */
static LnTaskResult
note_tokens(TimestampTz *again)
{
	for (int i = 0; i < W.nchannels; i++)
	{
		TokenNews	news;

		news.channel = W.channels[i]->row.name;
		if (!ln_token_news(W.channels[i]->token, &news.error))
			continue;
		if (!ln_phase(infos[TASK_NOTE_TOKENS].name, note_token_phase, &news))
			return LN_TASK_FAILED;
		ln_token_told(W.channels[i]->token);
	}
	return LN_TASK_PROGRESS;
}

static TimestampTz
resume_channels_due(void)
{
	for (int i = 0; i < W.nchannels; i++)
		if (W.channels[i]->credential_check.passed)
			return DT_NOBEGIN;
	return DT_NOEND;
}

static void
resume_phase(void *arg)
{
	LnChannel  *c = (LnChannel *) arg;

	if (ln_outbox_resume(c->row.name))
		ereport(LOG,
				(errmsg("resumed channel \"%s\": LINE takes its credential again",
						c->row.name)));
}

/*
 * Channels that were paused for a 401, and that LINE would not refuse any
 * more.
 */
static LnTaskResult
resume_channels(TimestampTz *again)
{
	for (int i = 0; i < W.nchannels; i++)
	{
		LnChannel  *c = W.channels[i];

		if (!c->credential_check.passed)
			continue;
		if (!ln_phase(infos[TASK_RESUME].name, resume_phase, c))
			return LN_TASK_FAILED;
		c->credential_check.passed = false;
	}
	return LN_TASK_PROGRESS;
}

typedef struct Wanted
{
	LnStatistic list[LN_STATISTICS_MAX];
	int			n;
	TimestampTz next;
} Wanted;

static void
wanted_statistics_phase(void *arg)
{
	Wanted	   *w = (Wanted *) arg;

	w->n = ln_outbox_wanted_statistics(W.home, w->list, &w->next);
}

/* Which statistics are to be asked for, and when to look again? */
static LnTaskResult
find_statistics(TimestampTz *again)
{
	const LnStatistic *answers;
	Wanted	   *w;

	/* one batch after the other: recording the answers makes it due */
	if (ln_line_statistics_pending() > 0 ||
		ln_line_statistics_answers(&answers) > 0)
		return LN_TASK_IDLE;
	w = palloc(sizeof(Wanted));
	if (!ln_phase(infos[TASK_FIND_STATISTICS].name, wanted_statistics_phase,
				  w))
		return LN_TASK_FAILED;
	*again = w->next;
	if (w->n > 0 &&
		ln_line_statistics_ask(W.channels, W.nchannels, w->list, w->n, W.now,
							   W.http) < w->n)
		*again = Max(*again, W.now + STATISTICS_RETRY);
	return LN_TASK_PROGRESS;
}

static TimestampTz
record_statistics_due(void)
{
	const LnStatistic *answers;

	return ln_line_statistics_pending() == 0 &&
		ln_line_statistics_answers(&answers) > 0 ? DT_NOBEGIN : DT_NOEND;
}

static void
record_statistics_phase(void *arg)
{
	const LnStatistic *answers;
	int			n = ln_line_statistics_answers(&answers);

	ln_outbox_record_statistics(answers, n);
}

static LnTaskResult
record_statistics(TimestampTz *again)
{
	if (!ln_phase(infos[TASK_RECORD_STATISTICS].name, record_statistics_phase,
				  NULL))
		return LN_TASK_FAILED;
	ln_line_statistics_forget();
	/* what was asked and not told decides when to look again */
	ln_tasks_by(TASK_FIND_STATISTICS, DT_NOBEGIN);
	return LN_TASK_PROGRESS;
}
