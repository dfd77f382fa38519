/*-------------------------------------------------------------------------
 *
 * shmem.c
 *		Layout, hooks and locks of shared memory.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "storage/shmem.h"
#include "storage/spin.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "guc.h"
#include "line/line_api.h"
#include "server/clock.h"
#include "server/shmem.h"

/* How long to wait when all places for rate limits are taken. */
#define RATE_FULL_NS	INT64CONST(1000000000)

typedef enum RateMake
{
	RATE_FIND,
	RATE_MAKE,
	RATE_INSIST
} RateMake;

LnShared   *ln_shared = NULL;

/* LnRate by key, in shared memory */
static HTAB *rates = NULL;

/* the only slot, in a process that has no shared memory */
static LnSlot *private_slot = NULL;

static shmem_request_hook_type prev_shmem_request_hook = NULL;
static shmem_startup_hook_type prev_shmem_startup_hook = NULL;

static Size shmem_size(int nslots);
static void shmem_request(void);
static void shmem_startup(void);
static LnRate *find_rate(uint64 key, RateMake make);
static void clear_stats(LnStats *s);

void
ln_shmem_install_hooks(void)
{
	prev_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = shmem_request;
	prev_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = shmem_startup;
}

int
ln_shmem_my_procno(void)
{
	return (int) (MyProc - ProcGlobal->allProcs);
}

/*
 * Set the latch of a process by its place; harmless when another process has
 * it now.
 */
static void
set_latch(int procno)
{
	/*
	 * A place, not a pointer kept from somewhere: it always names a valid
	 * latch, at worst that of a process that then wakes for nothing.
	 */
	if (procno >= 0 && procno < (int) ProcGlobal->allProcCount)
		SetLatch(&ProcGlobal->allProcs[procno].procLatch);
}

LnSlot *
ln_shmem_find(Oid database)
{
	if (private_slot != NULL && private_slot->database == database)
		return private_slot;
	for (int i = 0; i < ln_shared->nslots; i++)
	{
		LnSlot	   *slot = &ln_shared->slots[i];

		if (slot->state != LN_SLOT_FREE && slot->database == database)
			return slot;
	}
	return NULL;
}

LnSlot *
ln_shmem_find_or_make(Oid database)
{
	LnSlot	   *slot = ln_shmem_find(database);

	if (slot != NULL)
		return slot;
	for (int i = 0; i < ln_shared->nslots; i++)
	{
		slot = &ln_shared->slots[i];
		if (slot->state != LN_SLOT_FREE)
			continue;
		slot->database = database;
		slot->state = LN_SLOT_WANTED;
		slot->pid = 0;
		slot->procno = -1;
		slot->hold_pid = 0;
		slot->hold_at_once = false;
		slot->version_mismatch = false;
		slot->failures = 0;
		slot->restarts = 0;
		slot->started_at = 0;
		slot->restart_at = 0;
		slot->next_due = DT_NOEND;
		slot->drained_until = DT_NOBEGIN;
		slot->last_error[0] = '\0';
		slot->last_error_at = 0;
		/* whatever was noted before is for a worker that reads everything */
		pg_atomic_write_u32(&slot->work, LN_WORK_ALL);
		pg_atomic_write_u64(&slot->new_lanes, PG_UINT64_MAX);
		pg_atomic_write_u64(&slot->new_channels, PG_UINT64_MAX);
		pg_atomic_write_u32(&slot->in_flight, 0);
		return slot;
	}
	return NULL;
}

bool
ln_shmem_ask_drain(uint64 *recorded)
{
	LnSlot	   *slot;

	LWLockAcquire(ln_shared->lock, LW_EXCLUSIVE);
	slot = ln_shmem_find_or_make(MyDatabaseId);
	if (slot != NULL)
	{
		slot->drained_until = DT_NOBEGIN;
		*recorded = pg_atomic_read_u64(&slot->recorded);
	}
	LWLockRelease(ln_shared->lock);
	ln_shmem_wake(MyDatabaseId, LN_WORK_RESCAN | LN_WORK_DRAIN, 0, 0);
	return slot != NULL;
}

TimestampTz
ln_shmem_drained(uint64 *recorded)
{
	LnSlot	   *slot;
	TimestampTz drained_until = DT_NOBEGIN;

	LWLockAcquire(ln_shared->lock, LW_SHARED);
	slot = ln_shmem_find(MyDatabaseId);
	if (slot == NULL)
		drained_until = DT_NOEND;	/* the extension was dropped */
	else
	{
		*recorded = pg_atomic_read_u64(&slot->recorded);
		if (slot->state == LN_SLOT_NO_WORKER)
			drained_until = DT_NOEND;	/* somebody has to make room: see
										 * health() */
		else if ((pg_atomic_read_u32(&slot->work) & LN_WORK_DRAIN) == 0)
			drained_until = slot->drained_until;
	}
	LWLockRelease(ln_shared->lock);
	return drained_until;
}

void
ln_shmem_note_drained(LnSlot *slot, TimestampTz drained_until)
{
	bool		changed;

	/* waits for whoever is just noting work */
	LWLockAcquire(ln_shared->lock, LW_EXCLUSIVE);
	changed =
		pg_atomic_read_u32(&slot->work) == 0 &&
		slot->drained_until != drained_until;
	if (changed)
		slot->drained_until = drained_until;
	LWLockRelease(ln_shared->lock);
	if (changed)
		ConditionVariableBroadcast(&ln_shared->drained);
}

void
ln_shmem_wake_running(void)
{
	for (int i = 0; i < ln_shared->nslots; i++)
		if (ln_shared->slots[i].state == LN_SLOT_RUNNING)
			set_latch(ln_shared->slots[i].procno);
}

void
ln_shmem_wake_launcher(void)
{
	if (ln_shared != NULL && ln_shared->launcher_pid != 0)
		set_latch(ln_shared->launcher_procno);
}

static void
note_work(LnSlot *slot, uint32 work)
{
	if (pg_atomic_fetch_or_u32(&slot->work, work) == 0)
		pg_atomic_write_u64(&slot->noted_at, (uint64) GetCurrentTimestamp());
}

void
ln_shmem_wake(Oid database, uint32 work, uint64 lanes, uint64 channels)
{
	LnSlot	   *slot;
	bool		running = false;
	bool		call_launcher = false;
	int			procno = -1;

	if (ln_shared == NULL)
		return;

	LWLockAcquire(ln_shared->lock, LW_SHARED);
	slot = ln_shmem_find(database);
	if (slot != NULL)
	{
		/* details first: the worker takes them after it has seen work */
		pg_atomic_fetch_or_u64(&slot->new_lanes, lanes);
		pg_atomic_fetch_or_u64(&slot->new_channels, channels);
		note_work(slot, work);
		running = slot->state == LN_SLOT_RUNNING;
		procno = slot->procno;
	}
	LWLockRelease(ln_shared->lock);

	if (running)
	{
		set_latch(procno);
		return;
	}

	LWLockAcquire(ln_shared->lock, LW_EXCLUSIVE);
	slot = ln_shmem_find_or_make(database);
	if (slot != NULL)
	{
		pg_atomic_fetch_or_u64(&slot->new_lanes, lanes);
		pg_atomic_fetch_or_u64(&slot->new_channels, channels);
		note_work(slot, work);
		if (slot->state == LN_SLOT_RUNNING)
			set_latch(slot->procno);
		else
		{
			if (slot->state == LN_SLOT_IDLE)
				slot->state = LN_SLOT_WANTED;
			call_launcher = true;
		}
	}
	else
	{
		/* no slot is free: the launcher looks again when one is */
		ln_shared->scan_databases = true;
	}
	LWLockRelease(ln_shared->lock);
	if (call_launcher)
		ln_shmem_wake_launcher();
}

bool
ln_shmem_note_quietly(Oid database, uint64 lanes, uint64 channels,
					  TimestampTz by)
{
	LnSlot	   *slot;
	bool		quiet = false;

	if (ln_shared == NULL)
		return false;
	LWLockAcquire(ln_shared->lock, LW_SHARED);
	slot = ln_shmem_find(database);
	if (slot != NULL && slot->state == LN_SLOT_RUNNING &&
		(pg_atomic_read_u64(&slot->open_channels) & channels) == 0)
	{
		pg_atomic_fetch_or_u64(&slot->new_lanes, lanes);
		pg_atomic_fetch_or_u64(&slot->new_channels, channels);
		pg_atomic_exchange_u32(&slot->quiet, 1);	/* a full barrier */
		quiet = (TimestampTz) pg_atomic_read_u64(&slot->wake_at) <= by;
	}
	LWLockRelease(ln_shared->lock);
	return quiet;
}

bool
ln_slot_may_sleep(LnSlot *slot, TimestampTz until)
{
	ln_slot_set_wake(slot, until);
	pg_memory_barrier();
	return pg_atomic_read_u32(&slot->quiet) == 0;
}

bool
ln_shmem_hold(Oid database, bool at_once, int timeout_ms)
{
	TimestampTz deadline =
	TimestampTzPlusMilliseconds(GetCurrentTimestamp(), timeout_ms);

	if (ln_shared == NULL)
		return true;

	for (;;)
	{
		LnSlot	   *slot;
		bool		gone = true;

		LWLockAcquire(ln_shared->lock, LW_EXCLUSIVE);
		slot = ln_shmem_find(database);
		if (slot != NULL)
		{
			slot->hold_pid = MyProcPid;
			slot->hold_at_once = at_once;
			if (slot->state == LN_SLOT_STARTING ||
				slot->state == LN_SLOT_RUNNING)
			{
				gone = false;
				set_latch(slot->procno);
			}
			else
			{
				/* its process may be on the last steps of its way out */
				slot->state = LN_SLOT_HELD;
				gone = slot->pid == 0;
			}
		}
		LWLockRelease(ln_shared->lock);
		if (gone)
			return true;
		if (GetCurrentTimestamp() >= deadline)
			return false;

		/* the worker sets no latch of ours: look again soon */
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 10,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

void
ln_shmem_end_hold(Oid database)
{
	LnSlot	   *slot;

	if (ln_shared == NULL)
		return;
	LWLockAcquire(ln_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < ln_shared->nslots; i++)
	{
		slot = &ln_shared->slots[i];
		if (slot->state == LN_SLOT_FREE || slot->hold_pid != MyProcPid ||
			(OidIsValid(database) && slot->database != database))
			continue;
		slot->hold_pid = 0;
		slot->hold_at_once = false;
		if (slot->state == LN_SLOT_HELD)
			slot->state = LN_SLOT_WANTED;
	}
	LWLockRelease(ln_shared->lock);
	ln_shmem_wake_launcher();
}

int
ln_shmem_backoff_ms(int failures)
{
	return failures >= 9 ? LN_LONGEST_BACKOFF : 1000 << Max(failures - 1, 0);
}

uint64
ln_shmem_channel_bit(const char *name)
{
	return UINT64CONST(1) << (hash_bytes((const unsigned char *) name,
										 strlen(name)) &
							  63);
}

/*
 * The rate limit of a key, or NULL.  Returns with rate_lock held, shared
 * unless it had to be made: the caller releases it.  make = RATE_MAKE takes
 * the place of one that nobody needs, if all are taken; RATE_INSIST that of
 * any one without a pause.
 */
static LnRate *
find_rate(uint64 key, RateMake make)
{
	LnRate	   *rate;
	LnRate	   *other;
	LnRate	   *victim = NULL;
	HASH_SEQ_STATUS scan;
	int64		now;
	bool		found;

	LWLockAcquire(ln_shared->rate_lock, LW_SHARED);
	rate = hash_search(rates, &key, HASH_FIND, NULL);
	if (rate != NULL || make == RATE_FIND)
		return rate;

	LWLockRelease(ln_shared->rate_lock);
	LWLockAcquire(ln_shared->rate_lock, LW_EXCLUSIVE);
	if (hash_get_num_entries(rates) >= LN_RATES &&
		hash_search(rates, &key, HASH_FIND, NULL) == NULL)
	{
		/* nobody holds a mutex, since nobody holds the lock */
		now = ln_monotonic_ns();
		hash_seq_init(&scan, rates);
		while ((other = hash_seq_search(&scan)) != NULL)
		{
			if (!ln_bucket_idle(&other->bucket, now) &&
				(make != RATE_INSIST || other->bucket.blocked_until_ns > now))
				continue;
			if (victim == NULL ||
				other->bucket.updated_ns < victim->bucket.updated_ns)
				victim = other;
		}
		if (victim == NULL)
			return NULL;
		hash_search(rates, &victim->key, HASH_REMOVE, NULL);
	}
	rate = hash_search(rates, &key, HASH_ENTER, &found);
	if (!found)
	{
		SpinLockInit(&rate->mutex);
		memset(&rate->bucket, 0, sizeof(rate->bucket));
	}
	return rate;
}

/*
 * Time to go by, under the mutex.  A process that slept between the clock and
 * the mutex must not set the bucket back: it would fill twice.
 */
static int64
bucket_time(const TokenBucket *b, int64 now)
{
	return Max(now, b->updated_ns);
}

int
ln_shmem_rate_take(uint64 key, int limit, int want, int64 *wait_ns)
{
	LnRate	   *rate = find_rate(key, RATE_MAKE);
	int64		now = ln_monotonic_ns();
	TokenBucket left;
	int			got = 0;

	if (rate == NULL)
		*wait_ns = RATE_FULL_NS;
	else
	{
		SpinLockAcquire(&rate->mutex);
		now = bucket_time(&rate->bucket, now);
		ln_bucket_configure(&rate->bucket, limit, now);
		got = ln_bucket_take(&rate->bucket, want, now);
		left = rate->bucket;
		SpinLockRelease(&rate->mutex);
		/* may search, which is nothing for a spinlock */
		*wait_ns = got < want ? ln_bucket_wait_ns(&left, 1, now) : 0;
	}
	LWLockRelease(ln_shared->rate_lock);
	return got;
}

int64
ln_shmem_rate_blocked_until(uint64 key)
{
	LnRate	   *rate = find_rate(key, RATE_FIND);
	int64		until = 0;

	if (rate != NULL)
	{
		SpinLockAcquire(&rate->mutex);
		until = rate->bucket.blocked_until_ns;
		SpinLockRelease(&rate->mutex);
	}
	LWLockRelease(ln_shared->rate_lock);
	return until != 0 && until > ln_monotonic_ns() ? until : 0;
}

void
ln_shmem_rate_block(uint64 key, int limit, int64 pause_ns)
{
	LnRate	   *rate = find_rate(key, RATE_INSIST);
	int64		now = ln_monotonic_ns();

	if (rate != NULL)
	{
		SpinLockAcquire(&rate->mutex);
		now = bucket_time(&rate->bucket, now);
		ln_bucket_configure(&rate->bucket, limit, now);

		/*
		 * after a pause, from a tenth of the rate to all of it in ten seconds
		 */
		ln_bucket_block(&rate->bucket, pause_ns, INT64CONST(10000000000), 100,
						now);
		SpinLockRelease(&rate->mutex);
	}
	LWLockRelease(ln_shared->rate_lock);
}

void
ln_shmem_rate_unblock(uint64 key)
{
	LnRate	   *rate = find_rate(key, RATE_FIND);
	int64		now = ln_monotonic_ns();

	if (rate != NULL)
	{
		SpinLockAcquire(&rate->mutex);
		ln_bucket_unblock(&rate->bucket, bucket_time(&rate->bucket, now));
		SpinLockRelease(&rate->mutex);
	}
	LWLockRelease(ln_shared->rate_lock);
}

bool
ln_shmem_rate_look(uint64 key, double *tokens, int64 *blocked_ns)
{
	LnRate	   *rate = find_rate(key, RATE_FIND);
	int64		now = ln_monotonic_ns();
	TokenBucket bucket;

	if (rate != NULL)
	{
		SpinLockAcquire(&rate->mutex);
		bucket = rate->bucket;
		SpinLockRelease(&rate->mutex);
	}
	LWLockRelease(ln_shared->rate_lock);
	if (rate == NULL)
		return false;
	*tokens = (double) bucket.level_ns * bucket.limit / 1e9;
	*blocked_ns = Max(0, bucket.blocked_until_ns - now);
	return true;
}

LnStats    *
ln_shmem_stats(Oid database, const char *channel, int kind)
{
	static bool told = false;
	LnStats    *place = NULL;

	if (ln_shared == NULL)
		return NULL;
	LWLockAcquire(ln_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < LN_STATS; i++)
	{
		LnStats    *s = &ln_shared->stats[i];

		if (s->database == database && s->kind == kind &&
			strcmp(s->channel, channel) == 0)
		{
			place = s;
			break;
		}
		if (s->database == InvalidOid && place == NULL)
			place = s;
	}
	if (place != NULL && place->database == InvalidOid)
	{
		clear_stats(place);
		strlcpy(place->channel, channel, sizeof(place->channel));
		place->kind = kind;
		pg_atomic_write_u64(&place->since, (uint64) GetCurrentTimestamp());
		place->database = database;
	}
	LWLockRelease(ln_shared->lock);
	if (place == NULL && !told)
	{
		told = true;
		ereport(LOG,
				(errmsg("no slot is left for statistics of channel \"%s\"",
						channel),
				 errdetail("There are %d, for two endpoints of each channel of each database.",
						   LN_STATS)));
	}
	return place;
}

void
ln_shmem_stats_keep(Oid database, const char *const *channels, int n)
{
	if (ln_shared == NULL)
		return;
	LWLockAcquire(ln_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < LN_STATS; i++)
	{
		LnStats    *s = &ln_shared->stats[i];
		bool		kept = false;

		if (s->database != database)
			continue;
		for (int k = 0; k < n && !kept; k++)
			kept = strcmp(s->channel, channels[k]) == 0;
		if (!kept)
			s->database = InvalidOid;
	}
	LWLockRelease(ln_shared->lock);
}

/* As new, all but the key. */
static void
clear_stats(LnStats *s)
{
	for (int k = 0; k < LN_COUNTERS; k++)
		pg_atomic_write_u64(&s->counters[k], 0);
	for (int k = 0; k < LN_HISTOGRAM_BUCKETS; k++)
		pg_atomic_write_u64(&s->latency[k], 0);
	pg_atomic_write_u64(&s->since, 0);
	pg_atomic_write_u64(&s->last_success, 0);
	pg_atomic_write_u64(&s->last_error_at, 0);
	pg_atomic_write_u32(&s->last_error, 0);
	pg_atomic_write_u64(&s->last_error_pause, 0);
	pg_atomic_write_u32(&s->in_flight, 0);
	pg_atomic_write_u32(&s->breaker, 0);
	pg_atomic_write_u64(&s->breaker_until, 0);
	pg_atomic_write_u64(&s->rate_key, 0);
	pg_atomic_write_u32(&s->resumed, 0);
	pg_atomic_write_u64(&s->verdict_at, 0);
	pg_atomic_write_u32(&s->overdue, 0);
	pg_atomic_write_u64(&s->oldest_sent_at, 0);
	s->words[0] = '\0';
}

void
ln_stats_sent(LnStats *s)
{
	if (s == NULL)
		return;
	pg_atomic_fetch_add_u64(&s->counters[LN_COUNT_SENT], 1);
	pg_atomic_fetch_add_u32(&s->in_flight, 1);
}

void
ln_stats_breaker(LnStats *s, int state, TimestampTz until)
{
	pg_atomic_write_u64(&s->breaker_until, (uint64) until);
	pg_atomic_write_u32(&s->breaker, (uint32) state);
}

void
ln_stats_unanswered(LnStats *s, int overdue, TimestampTz oldest)
{
	if (s == NULL)
		return;
	if (pg_atomic_read_u32(&s->overdue) != (uint32) overdue)
		pg_atomic_write_u32(&s->overdue, (uint32) overdue);
	if (pg_atomic_read_u64(&s->oldest_sent_at) != (uint64) oldest)
		pg_atomic_write_u64(&s->oldest_sent_at, (uint64) oldest);
}

/* One process writes; readers try again when the count has changed. */
void
ln_stats_verdict(LnStats *s, LnVerdict v, TimestampTz now)
{
	if (s == NULL)
		return;
	pg_atomic_fetch_add_u32(&s->changes, 1);
	pg_atomic_write_u32(&s->reason, (uint32) v.reason);
	pg_atomic_write_u64(&s->until, (uint64) v.until);
	pg_atomic_write_u64(&s->not_before, (uint64) v.not_before);
	pg_atomic_write_u64(&s->verdict_at, (uint64) now);
	pg_atomic_fetch_add_u32(&s->changes, 1);
}

bool
ln_stats_read_verdict(LnStats *s, LnVerdict *v, TimestampTz *at)
{
	for (int i = 0; i < 100; i++)
	{
		uint32		before = pg_atomic_read_u32(&s->changes);

		pg_read_barrier();
		v->reason = (LnReason) pg_atomic_read_u32(&s->reason);
		v->until = (int64) pg_atomic_read_u64(&s->until);
		v->not_before = (int64) pg_atomic_read_u64(&s->not_before);
		*at = (TimestampTz) pg_atomic_read_u64(&s->verdict_at);
		pg_read_barrier();
		if (before % 2 == 0 && pg_atomic_read_u32(&s->changes) == before)
			return *at != 0 && v->reason < LN_REASONS;
	}
	return false;
}

void
ln_stats_answer(LnStats *s, int outcome, int next, int status,
				TimestampTz now, int64 latency_us, int64 pause_ns)
{
	if (s == NULL)
		return;
	/* only one process writes it; it may have been set to 0 since */
	if (pg_atomic_read_u32(&s->in_flight) > 0)
		pg_atomic_fetch_sub_u32(&s->in_flight, 1);
	pg_atomic_fetch_add_u64(&s->counters[LN_COUNT_ANSWERS + outcome], 1);
	if (next == LINE_RETRY_LATER)
		pg_atomic_fetch_add_u64(&s->counters[LN_COUNT_RETRIED], 1);
	if (next == LINE_FINISH_UNKNOWN)
		pg_atomic_fetch_add_u64(&s->counters[LN_COUNT_UNKNOWN], 1);
	if (status == 429)
		pg_atomic_fetch_add_u64(&s->counters[LN_COUNT_STATUS_429], 1);
	if (status > 0)
		pg_atomic_fetch_add_u64(&s->latency[ln_histogram_bucket(latency_us)],
								1);
	if (outcome == LINE_ACCEPTED || outcome == LINE_UNREACHABLE)
		pg_atomic_write_u64(&s->last_success, (uint64) now);
	else
	{
		pg_atomic_write_u32(&s->last_error, (uint32) outcome);
		pg_atomic_write_u64(&s->last_error_pause, (uint64) pause_ns);
		pg_atomic_write_u64(&s->last_error_at, (uint64) now);
	}
}

void
ln_shmem_ended(uint32 endings)
{
	if (ln_shared == NULL)
		return;
	for (int i = 0; i < LN_ENDINGS; i++)
		if (endings & ((uint32) 1 << i))
			ConditionVariableBroadcast(&ln_shared->endings[i]);
}

static Size
shmem_size(int nslots)
{
	return add_size(offsetof(LnShared, slots),
					mul_size(nslots, sizeof(LnSlot)));
}

static void
shmem_request(void)
{
	if (prev_shmem_request_hook)
		prev_shmem_request_hook();
	RequestAddinShmemSpace(
						   add_size(shmem_size(ln_guc_max_databases),
									hash_estimate_size(LN_RATES,
													   sizeof(LnRate))));
	RequestNamedLWLockTranche("line_notify", 2);
}

void
ln_shmem_init_slot(LnSlot *slot)
{
	memset(slot, 0, sizeof(*slot));
	slot->procno = -1;
	pg_atomic_init_u32(&slot->work, 0);
	pg_atomic_init_u64(&slot->new_lanes, 0);
	pg_atomic_init_u64(&slot->new_channels, 0);
	pg_atomic_init_u32(&slot->quiet, 0);
	pg_atomic_init_u64(&slot->open_channels, PG_UINT64_MAX);
	pg_atomic_init_u64(&slot->noted_at, 0);
	pg_atomic_init_u64(&slot->wake_at, 0);
	pg_atomic_init_u32(&slot->in_flight, 0);
	pg_atomic_init_u64(&slot->recorded, 0);
}

static void
init_shared(LWLockPadded *locks, int nslots)
{
	memset(ln_shared, 0, shmem_size(nslots));
	ln_shared->lock = &locks[0].lock;
	ln_shared->rate_lock = &locks[1].lock;
	ln_shared->nslots = nslots;
	for (int i = 0; i < LN_HIGHEST; i++)
		pg_atomic_init_u64(&ln_shared->highest_id[i], 0);
	ln_shared->launcher_procno = -1;
	ln_shared->scan_databases = true;
	for (int i = 0; i < LN_ENDINGS; i++)
		ConditionVariableInit(&ln_shared->endings[i]);
	ConditionVariableInit(&ln_shared->drained);
	for (int i = 0; i < LN_STATS; i++)
	{
		LnStats    *s = &ln_shared->stats[i];

		for (int k = 0; k < LN_COUNTERS; k++)
			pg_atomic_init_u64(&s->counters[k], 0);
		for (int k = 0; k < LN_HISTOGRAM_BUCKETS; k++)
			pg_atomic_init_u64(&s->latency[k], 0);
		pg_atomic_init_u64(&s->since, 0);
		pg_atomic_init_u64(&s->last_success, 0);
		pg_atomic_init_u64(&s->last_error_at, 0);
		pg_atomic_init_u32(&s->last_error, 0);
		pg_atomic_init_u64(&s->last_error_pause, 0);
		pg_atomic_init_u32(&s->in_flight, 0);
		pg_atomic_init_u32(&s->breaker, 0);
		pg_atomic_init_u64(&s->breaker_until, 0);
		pg_atomic_init_u64(&s->rate_key, 0);
		pg_atomic_init_u32(&s->changes, 0);
		pg_atomic_init_u32(&s->reason, 0);
		pg_atomic_init_u64(&s->until, 0);
		pg_atomic_init_u64(&s->not_before, 0);
		pg_atomic_init_u64(&s->verdict_at, 0);
		pg_atomic_init_u32(&s->overdue, 0);
		pg_atomic_init_u64(&s->oldest_sent_at, 0);
		pg_atomic_init_u32(&s->resumed, 0);
	}
	for (int i = 0; i < nslots; i++)
		ln_shmem_init_slot(&ln_shared->slots[i]);
}

static HASHCTL *
rate_hash(HASHCTL *info)
{
	memset(info, 0, sizeof(*info));
	info->keysize = sizeof(uint64);
	info->entrysize = sizeof(LnRate);
	return info;
}

void
ln_shmem_make_private(LnSlot *slot)
{
	LWLockPadded *locks =
	MemoryContextAlloc(TopMemoryContext, 2 * sizeof(LWLockPadded));
	int			tranche = LWLockNewTrancheId();
	HASHCTL		info;

	for (int i = 0; i < 2; i++)
		LWLockInitialize(&locks[i].lock, tranche);
	ln_shared = MemoryContextAlloc(TopMemoryContext, shmem_size(0));
	init_shared(locks, 0);
	rates = hash_create("line_notify rates", LN_RATES, rate_hash(&info),
						HASH_ELEM | HASH_BLOBS);
	private_slot = slot;
}

static void
shmem_startup(void)
{
	HASHCTL		info;
	bool		found;

	if (prev_shmem_startup_hook)
		prev_shmem_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	ln_shared = ShmemInitStruct("line_notify",
								shmem_size(ln_guc_max_databases), &found);
	if (!found)
	{
		init_shared(GetNamedLWLockTranche("line_notify"),
					ln_guc_max_databases);
	}
	rates = ShmemInitHash("line_notify rates", LN_RATES, LN_RATES,
						  rate_hash(&info), HASH_ELEM | HASH_BLOBS);
	LWLockRelease(AddinShmemInitLock);
}
