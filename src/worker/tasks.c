/*-------------------------------------------------------------------------
 *
 * tasks.c
 *		Everything that the worker does beside sending: configuration, expiry,
 *		webhook events, silence, retention, counts.
 *
 * Each is a phase with a time at which it is due; the table below has them in
 * the order in which they are looked at.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "replication/syncrep.h"
#include "replication/walsender.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "guc.h"
#include "worker/credential_check.h"
#include "worker/line_statistics.h"
#include "worker/probe.h"
#include "worker/state.h"
#include "worker/token.h"

/* Versions of the SQL objects that this library can work with. */
static const char *const supported_versions[] = {"1.0", NULL};

/*
 * No scan of all lanes more often than this (ms): it may walk dead index
 * entries.
 */
#define SCAN_GAP			1000
#define SCAN_GAP_BUSY		30000
#define SCAN_GAP_DRAIN	5

/*
 * What a scan took is believed up to this (us), and then up to twice what was
 * believed before.
 */
#define SCAN_US_FIRST		INT64CONST(20000)

/*
 * A drainer asks again after so long (us) whether another one is done with a
 * channel.
 */
#define IDENTITY_RETRY		(USECS_PER_SEC / 4)

/*
 * Is the credential of a channel that LINE refused a new one? Look so often
 * (ms).
 */
#define CREDENTIAL_PROBE	10000

/* Rows set aside are brought back in steps of this; locked ones after (ms). */
#define UNBLOCK_BATCH		1000
#define UNBLOCK_RETRY		1000

/*
 * Old dedup keys are swept up so often (ms), by a worker that is awake anyway.
 */
#define SWEEP_GAP			3600000
#define SWEEP_BATCH			10000

/* Webhook events folded in one transaction. */
#define FOLD_BATCH			1000

/*
 * Events of a message that somebody has locked are tried again after so long
 * (ms).
 */
#define FOLD_RETRY			1000

/*
 * LINE's counts are asked for again after so long when there was no token
 * (us).
 */
#define STATISTICS_RETRY		(10 * USECS_PER_SEC)

/* Silence is judged and counters are summed up so often at most (us). */
#define DELIVERY_TIMEOUT_GAP			(5 * USECS_PER_SEC)

/*
 * Retention has a look so often (ms); between two steps of it others get their
 * turn.
 */
#define MAINTENANCE_GAP		3600000
#define MAINTENANCE_PAUSE	100
#define MAINTENANCE_STEP	2000

static void configure(void *arg);
static void fold(void *arg);
static void expire(void *arg);
static void expire_failed(void);
static void settle_in_doubt(void *arg);
static void judge_timeouts(void *arg);
static void release(void *arg);
static void sweep_keys(void *arg);
static void maintain(void *arg);
static void announce(void *arg);

static void resume_if_mended(LnChannel *c);
static void take_identities(void);
static bool credential_probe_is_due(void);
static void note_tokens(void);
static void resume_checked(void);
static void fetch_statistics(void);
static int	scan_gap(void);
static int64 delivery_timeout_gap(void);

/*
 * A chore runs when its time has come.  Its own work says when it is due
 * again;
 * else that is when somebody tells us.  After a failure it rests.
 */
static const struct Chore
{
	const char *activity;
	void		(*work) (void *);
	TimestampTz *due;
	bool		at_home;		/* only where this node may send */
	bool		stay;			/* the worker does not leave before it is done */
	void		(*failed) (void);	/* or NULL */
}			chores[] = {
	{"reading configuration", configure, &W.config_at, false, true, NULL},
	{"recovering claims", ln_worker_rescue, &W.rescue_at, true, true, NULL},
	{"folding webhook events", fold, &W.fold_at, false, true, NULL},
	{"ending expired messages", expire, &W.expiry_at, true, false, expire_failed},
	{"ending the doubt", settle_in_doubt, &W.in_doubt_until, true, false, NULL},
	{"judging silence", judge_timeouts, &W.delivery_timeout_at, true, false, NULL},
	{"releasing messages", release, &W.unblock_at, true, true, NULL},
	{"sweeping old keys", sweep_keys, &W.keys_at, true, false, NULL},
	{"announcing outcomes", announce, &W.announce_at, false, true, NULL},
	{"maintaining history", maintain, &W.maintenance_at, true, false, NULL},
};

void
ln_worker_chores(void)
{
	if (credential_probe_is_due())
		W.config_at = 0;
	for (int i = 0; i < (int) lengthof(chores); i++)
	{
		const struct Chore *c = &chores[i];
		TimestampTz due = *c->due;

		if (due > GetCurrentTimestamp() || (c->at_home && W.home == 0) ||
			ln_backing_off(c->activity))
			continue;
		*c->due = DT_NOEND;
		if (ln_phase(c->activity, c->work, NULL))
			continue;
		*c->due = due;
		if (c->failed != NULL)
			c->failed();
	}
}

void
ln_worker_ask_line(void)
{
	if (ln_guc_enabled && W.home != 0 && !W.version_mismatch)
		ln_credential_check_step(W.channels, W.nchannels, W.home, W.http);
	ln_probe_step(W.channels, W.nchannels, W.http);
	ln_token_step(W.channels, W.nchannels, W.http);
	note_tokens();
	resume_checked();
	fetch_statistics();
}

TimestampTz
ln_worker_chores_deadline(TimestampTz now)
{
	TimestampTz wake = W.probe_at;

	for (int i = 0; i < (int) lengthof(chores); i++)
	{
		/* old keys are swept by a worker that is awake for something else */
		if ((!chores[i].at_home || W.home != 0) && chores[i].due != &W.keys_at)
			wake = Min(wake, Max(*chores[i].due,
								 ln_backoff_until(chores[i].activity)));
	}
	for (int i = 0; i < W.nchannels && W.home != 0 && ln_guc_enabled; i++)
		wake = Min(wake, ln_credential_check_deadline(W.channels[i], W.home));
	if (W.home != 0 && ln_guc_enabled && ln_line_statistics_pending() == 0)
		wake =
			Min(wake, Max(W.statistics_at,
						  ln_backoff_until("looking for counts to ask for")));
	if (W.need_scan && W.nclaimed + W.nsent == 0)
		wake =
			Min(wake,
				Max(TimestampTzPlusMilliseconds(W.last_scan, scan_gap() + 1),
					ln_backoff_until("looking for due messages")));
	return wake;
}

bool
ln_worker_chores_due(TimestampTz now)
{
	for (int i = 0; i < (int) lengthof(chores); i++)
		if (*chores[i].due <= now && chores[i].due != &W.maintenance_at &&
			chores[i].due != &W.keys_at && (!chores[i].at_home || W.home != 0))
			return true;
	return W.need_scan;
}

bool
ln_worker_chores_idle(void)
{
	for (int i = 0; i < (int) lengthof(chores); i++)
		if (chores[i].stay && *chores[i].due != DT_NOEND &&
			(!chores[i].at_home || W.home != 0))
			return false;
	return W.probe_at == DT_NOEND && ln_line_statistics_pending() == 0;
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
void
ln_worker_take_work(void)
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

		if (!ln_try_phase("checking the extension", check_extension, &version))
		{
			pg_atomic_fetch_or_u32(&W.slot->work, work);
			return;
		}
		ln_outbox_forget();
		if (version == NULL)
		{
			ln_worker_leave_unless_wanted(LN_SLOT_FREE, DT_NOEND);
			return;				/* somebody creates it right now: look again */
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
		W.config_at = W.rescue_at = W.fold_at = W.unblock_at = 0;
		W.need_scan = true;
	}
	if (work & LN_WORK_CONFIG)
	{
		W.config_at = W.rescue_at = 0;
		W.need_scan = true;
	}

	if (work & LN_WORK_WEBHOOK)
		W.fold_at = 0;
	if (work & LN_WORK_OUTCOMES)
		W.announce_at = 0;
	if (work & LN_WORK_DRAIN)
		W.drain_wanted = true;
	if (work & LN_WORK_RESCAN)
	{
		ln_worker_forget_bounds();
		W.need_scan = true;
		W.last_scan = 0;
		W.fold_at = 0;			/* they may have had messages of events locked */
	}
	if (work & LN_WORK_UNBLOCK)
		W.unblock_at = 0;
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
					ln_worker_fill_lane(&W.channels[i]->lanes[p],
										W.idle_since);
		}
		/* some of the new rows may be for later, or parked */
		W.need_scan = true;
	}
}

static void
configure(void *arg)
{
	W.maintenance_at = 0;		/* retention may have changed */
	W.home = ln_outbox_local_home();
	W.in_doubt_before = DT_NOBEGIN;
	W.in_doubt_until = DT_NOEND;
	if (W.home != 0)
		ln_outbox_note_timeline(W.home, GetWALInsertionTimeLine(),
								SyncRepRequested() &&
								SyncRepStandbyNames != NULL &&
								SyncRepStandbyNames[0] != 0,
								ln_guc_promotion_grace, &W.in_doubt_before,
								&W.in_doubt_until);
	W.any_suppressed = ln_outbox_has_suppressed();
	W.statistics_at = 0;
	W.nchannels = ln_channel_load(&W.channels, W.nchannels, W.context);
	if (W.drain_until != 0)
		take_identities();
	for (int i = 0; i < W.nchannels; i++)
	{
		/* the scan, which comes next, says which lanes have something */
		for (int p = 0; p < LN_LANES; p++)
			W.channels[i]->lanes[p].low = DT_NOBEGIN;
		if (W.channels[i]->row.paused_automatically)
			resume_if_mended(W.channels[i]);
	}
	W.expiry_low = DT_NOBEGIN;
	W.need_scan = true;
	W.last_scan = 0;
}

/*
 * Drainers have no rate limit in common: one at a time sends with a channel
 * ID,
 * whatever the database.  Others wait for the session lock.
 */
static void
take_identities(void)
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
			W.config_at = GetCurrentTimestamp() + IDENTITY_RETRY;
	}
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
				(errmsg("resumed channel \"%s\": its credential has changed",
						c->row.name)));
}

/*
 * Files are read again now and then, as long as a channel waits for a better
 * one.
 */
static bool
credential_probe_is_due(void)
{
	TimestampTz now = GetCurrentTimestamp();
	bool		waiting = false;

	for (int i = 0; i < W.nchannels && !waiting; i++)
		waiting = W.channels[i]->row.paused_automatically;

	if (!waiting)
		W.probe_at = DT_NOEND;
	else if (W.probe_at == DT_NOEND || W.probe_at <= now)
	{
		bool		due = W.probe_at != DT_NOEND;

		W.probe_at = TimestampTzPlusMilliseconds(now, CREDENTIAL_PROBE);
		return due;
	}
	return false;
}

/* What waits, and for when?  Also finds rows that a claim had to skip. */
static void
scan(void *arg)
{
	LnLaneRow  *rows;
	TimestampTz now = GetCurrentTimestamp();
	int			n;

	W.last_scan = now;
	n = W.home != 0 ? ln_outbox_scan_due(W.home, W.in_doubt_before, &rows) : 0;

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
	W.expiry_at =
		W.home != 0 ? ln_outbox_next_expiry(W.home, W.expiry_low) : DT_NOEND;

	/* one long one has waited for a lock; the next will tell */
	W.scan_us = Min(Max(0, GetCurrentTimestamp() - now),
					Max(SCAN_US_FIRST, 2 * W.scan_us));
}

/*
 * Milliseconds between two scans.  Where dead index entries pile up behind a
 * held snapshot one may take a second: it shall not take more than a fiftieth
 * of the time.
 */
static int
scan_gap(void)
{
	int			gap = W.nclaimed + W.nsent == 0 ? SCAN_GAP : SCAN_GAP_BUSY;

	if ((W.drain_wanted || W.drain_until != 0) && gap == SCAN_GAP)
		gap = SCAN_GAP_DRAIN;
	return Max(gap, (int) Min(W.scan_us / 20, 600000));
}

void
ln_worker_scan(void)
{
	if (W.need_scan &&
		TimestampDifferenceExceeds(W.last_scan, GetCurrentTimestamp(),
								   scan_gap()))
		W.need_scan = !ln_try_phase("looking for due messages", scan, NULL);
}

static void
fold(void *arg)
{
	bool		left;
	int64		after = W.fold_after;
	int			n = ln_outbox_fold(FOLD_BATCH, &after, &left);

	left = left || W.fold_left;
	if (left && after == 0)
		W.fold_at =
			TimestampTzPlusMilliseconds(GetCurrentTimestamp(), FOLD_RETRY);
	else if (after != 0 || W.fold_after != 0)
		W.fold_at = 0;			/* also from the beginning: others came late */
	W.fold_left = left && after != 0;
	W.fold_after = after;
	W.ended = n > 0;
	ln_worker_judge_timeouts_soon();
}

/* What nobody wakes us for: the silence after messages; sums. */
static void
judge_timeouts(void *arg)
{
	TimestampTz now = GetCurrentTimestamp();

	W.delivery_timeout_at = ln_outbox_sweep_delivery_timeout(
															 ln_guc_delivery_timeout * USECS_PER_SEC);
	if (W.delivery_timeout_at != DT_NOBEGIN)
		W.delivery_timeout_at =
			Max(W.delivery_timeout_at, now + delivery_timeout_gap());
}

/* So often at most (us). */
static int64
delivery_timeout_gap(void)
{
	return Min(DELIVERY_TIMEOUT_GAP,
			   ln_guc_delivery_timeout * USECS_PER_SEC / 10);
}

/* Something was counted. */
void
ln_worker_judge_timeouts_soon(void)
{
	W.delivery_timeout_at =
		Min(W.delivery_timeout_at,
			GetCurrentTimestamp() + delivery_timeout_gap());
}

static void
expire(void *arg)
{
	TimestampTz now = GetCurrentTimestamp();
	int			n;

	W.expiry_last = DT_NOBEGIN;
	n = ln_outbox_expire(W.home, W.expiry_low, now, W.expire_limit,
						 &W.expiry_last);
	W.ended = n > 0;
	if (n == W.expire_limit)
		W.expiry_at = W.expiry_last;
	else
		W.expiry_at = ln_outbox_next_expiry(W.home, W.expiry_low);

	/* rows locked by others are looked at again a little later */
	if (W.expiry_at <= now && n < W.expire_limit)
		W.expiry_at = TimestampTzPlusMilliseconds(now, 1000);
	W.expire_limit = Min(EXPIRE_BATCH, W.expire_limit * 2);
}

/*
 * Expiry failed: halve the batch, until a row that cannot be moved stands
 * alone.
 */
static void
expire_failed(void)
{
	if (!ln_is_row_fault(W.last_sqlstate))
		return;
	/* the other rows need not wait for the one that is at fault */
	ln_backoff_clear("ending expired messages");
	if (W.expire_limit > 1)
		W.expire_limit /= 2;
	else if (W.expiry_last != DT_NOBEGIN)
	{
		/* pass it by; the next configuration or restart tries again */
		W.expiry_low = W.expiry_at = W.expiry_last + 1;
	}
}

/* After a promotion, the time to wait for delivery events is over. */
static void
settle_in_doubt(void *arg)
{
	/* the change of the identity makes us read the configuration again */
	if (ln_outbox_settle_in_doubt(W.home,
								  ln_guc_on_promotion == LN_PROMOTION_HOLD,
								  EXPIRE_BATCH))
		W.in_doubt_until = 0;
}

static void
maintain(void *arg)
{
	bool		again =
	ln_outbox_maintain(ln_guc_retention, ln_guc_payload_retention,
					   ln_guc_operations_retention, MAINTENANCE_STEP);

	W.maintenance_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
												   again ? MAINTENANCE_PAUSE
												   : MAINTENANCE_GAP);
}

/* Bring back what was set aside and may go on. */
static void
release(void *arg)
{
	LnLaneRow  *rows;
	int			n;
	bool		stuck;
	TimestampTz now = GetCurrentTimestamp();

	ln_worker_lock_claims();
	if (ln_outbox_unblock(UNBLOCK_BATCH, &W.unblock_scan, &rows, &n, &stuck))
		W.unblock_at =
			stuck ? TimestampTzPlusMilliseconds(now, UNBLOCK_RETRY) : 0;
	for (int i = 0; i < n; i++)
		for (int j = 0; j < W.nchannels; j++)
			if (strcmp(W.channels[j]->row.name, rows[i].channel) == 0)
				ln_worker_fill_lane(&W.channels[j]->lanes[rows[i].lane], now);
}

static void
sweep_keys(void *arg)
{
	W.keys_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), SWEEP_GAP);
	ln_outbox_sweep_keys(SWEEP_BATCH);
}

/*
 * A hint to those who LISTEN.  It may be lost and it may come for nothing, so
 * no standby is waited for with NOTIFY's lock held, nor the disk; and hardly
 * for others who hold that lock, which may be waiting for theirs.
 */
static void
announce(void *arg)
{
	int64		skipped;

	if (ln_guc_notify_outcomes[0] == '\0')
		return;
	(void) set_config_option("synchronous_commit", "off", PGC_SUSET,
							 PGC_S_OVERRIDE, GUC_ACTION_LOCAL, true, 0, false);
	(void) set_config_option("lock_timeout", "50ms", PGC_SUSET, PGC_S_OVERRIDE,
							 GUC_ACTION_LOCAL, true, 0, false);
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

		if (ln_backing_off("noting the state of a token"))
			return;
		news.channel = W.channels[i]->row.name;

		if (ln_token_news(W.channels[i]->token, &news.error) &&
			ln_phase("noting the state of a token", note_token_phase, &news))
			ln_token_told(W.channels[i]->token);
	}
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
static void
resume_checked(void)
{
	for (int i = 0; i < W.nchannels && !W.version_mismatch; i++)
		if (!ln_backing_off("resuming a channel") &&
			ln_credential_check_passed(W.channels[i]))
			(void) ln_phase("resuming a channel", resume_phase, W.channels[i]);
}

typedef struct Wanted
{
	LnStatistic counts[LN_STATISTICS_MAX];
	int			n;
} Wanted;

static void
wanted_statistics_phase(void *arg)
{
	Wanted	   *w = (Wanted *) arg;

	w->n = ln_outbox_wanted_statistics(W.home, w->counts, &W.statistics_at);
}

static void
record_statistics_phase(void *arg)
{
	const LnStatistic *counts;
	int			n = ln_line_statistics_answers(&counts);

	ln_outbox_record_statistics(counts, n);
}

/*
 * Ask LINE how many messages it delivered on past days, and keep the answers.
 */
static void
fetch_statistics(void)
{
	const LnStatistic *answers;
	Wanted		w;

	if (W.version_mismatch || W.home == 0 || ln_line_statistics_pending() > 0)
		return;
	if (ln_line_statistics_answers(&answers) > 0)
	{
		if (!ln_try_phase("recording counts", record_statistics_phase, NULL))
			return;
		ln_line_statistics_forget();
		/* what was asked and not told decides when to look again */
		W.statistics_at = 0;
	}
	if (!ln_guc_enabled || W.statistics_at > GetCurrentTimestamp())
		return;
	if (!ln_try_phase("looking for counts to ask for", wanted_statistics_phase,
					  &w) ||
		w.n == 0)
		return;
	if (ln_line_statistics_ask(W.channels, W.nchannels, w.counts, w.n,
							   W.http) < w.n)
		W.statistics_at =
			Max(W.statistics_at, GetCurrentTimestamp() + STATISTICS_RETRY);
}
