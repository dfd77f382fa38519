/*-------------------------------------------------------------------------
 *
 * worker.c
 *		The delivery worker of one database: the life of a message.
 *
 *	claim		a short transaction locks due rows of a lane and writes a lease
 *				for each; durable before the first byte leaves
 *	send		no transaction is open; a token of LINE's rate is taken for
 *				each message, libcurl does the rest
 *	harvest		answers, and failures to get one, become outcomes
 *	record		a short transaction writes what came of a batch, under the
 *				leases
 *
 * This file puts them in order, and has the one place to wait: the latch,
 * libcurl's descriptor and the nearest deadline.  The steps are in the files
 * beside this one, see worker/state.h; whatever decides is a pure function
 * elsewhere (line_api.c, breaker.c, token_bucket.c, window.c, retry.c).
 *
 * What survives the death of the process is the leases and the journal file;
 * see worker/rescue.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "guc.h"
#include "worker/state.h"
#include "worker/token.h"
#include "worker/worker.h"

/* Response bytes kept of an answer: LINE's longest error is under 2 kB. */
#define MAX_RESPONSE		8192

/* Nobody sleeps longer (ms). */
#define LONGEST_WAIT		3600000

LnWorker	ln_worker;

pg_noreturn static void run(void);
static void start(void);
static void send_and_record(void);
static void wait_for_something(void);
static void wait(long timeout);
static void wind_up(bool at_once);
static TimestampTz next_deadline(TimestampTz now);
static bool is_idle(void);

void
ln_worker_main(Datum arg)
{
	uint32		generation;

	memcpy(&generation, MyBgworkerEntry->bgw_extra, sizeof(generation));
	ln_worker_attach(DatumGetInt32(arg), generation);
	run();
}

void
ln_drainer_main(Datum arg)
{
	ln_worker_attach_drainer(DatumGetUInt32(arg));
	run();
}

static void
run(void)
{
	bool		at_once;
	LnSlotState end_state;

	BackgroundWorkerInitializeConnectionByOid(W.slot->database, InvalidOid, 0);
	CHECK_FOR_INTERRUPTS();
	ln_worker_take_signals();
	start();

	for (;;)
	{
		/* first, so that whatever is noted from here on wakes us below */
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ln_worker_must_stop(&at_once, &end_state))
			break;
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
			ln_worker_pin_settings();
			W.config_at = 0;
		}
		ln_worker_take_work();
		send_and_record();
		wait_for_something();
	}
	wind_up(at_once);
	ln_worker_leave(end_state, NULL);
}

/* One turn of the life of all messages in hand. */
static void
send_and_record(void)
{
	/* answers first: they make room */
	ln_http_step(W.http);
	ln_worker_harvest();
	ln_worker_record();

	if (!W.version_mismatch)
	{
		ln_worker_chores();
		ln_worker_claim();
		ln_worker_scan();
	}
	ln_worker_ask_line();
	ln_worker_send();
	ln_http_step(W.http);

	pg_atomic_write_u32(&W.slot->in_flight, W.nclaimed + W.nsent);
	ln_worker_publish_breakers();
	MemoryContextReset(W.batch);
}

static void
wait_for_something(void)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz wake = next_deadline(now);
	TimestampTz resume_at = ln_worker_resume_at(now);
	long		timeout = ln_http_timeout_ms(W.http);

	if (W.drain_until != 0)
	{
		W.drained = resume_at > W.drain_until;
		wake = Min(wake, W.drained ? now : W.drain_until);
	}
	else if (W.slot->resume_at != resume_at)
		ln_shmem_note_drained(W.slot, resume_at);
	W.drain_wanted = W.drain_wanted && resume_at == 0;

	if (is_idle() && ln_guc_idle_timeout > 0 && !W.version_mismatch)
	{
		TimestampTz leave_at =
		TimestampTzPlusMilliseconds(W.idle_since, ln_guc_idle_timeout *
									INT64CONST(1000));

		/* not for a moment: starting costs more than waiting */
		if (now >= leave_at && wake > TimestampTzPlusMilliseconds(now, 1000))
		{
			ln_worker_leave_unless_wanted(LN_SLOT_IDLE, wake);
			return;
		}
		if (now < leave_at)
			wake = Min(wake, leave_at);
	}
	if (wake != DT_NOEND)
	{
		long		ms = wake <= now ? 0 : TimestampDifferenceMilliseconds(now, wake);

		timeout = timeout < 0 ? ms : Min(timeout, ms);
	}
	if (timeout < 0 || timeout > 1000)
		pgstat_report_stat(true);	/* autovacuum shall see it before we sleep */
	if (timeout != 0)
		wait(Min(timeout, LONGEST_WAIT));
}

/*
 * Until the latch is set, a socket of libcurl's is ready, or so long (ms; -1 =
 * whatever it takes).
 */
static void
wait(long timeout)
{
	WaitEvent	event;

	(void) WaitEventSetWait(W.events, timeout, &event, 1, W.wait_event);
}

/* Stop claiming, wait a bounded time for answers, record. */
static void
wind_up(bool at_once)
{
	ln_worker_send_nothing();
	while (W.nsent > 0 && !at_once &&
		   GetCurrentTimestamp() < ln_worker_stop_deadline)
	{
		long		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(),
														   ln_worker_stop_deadline);
		long		http = ln_http_timeout_ms(W.http);

		wait(http >= 0 ? Min(left, http) : left);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		ln_http_step(W.http);
		ln_worker_harvest();
	}
	ln_http_abort_all(W.http);
	ln_worker_harvest();

	/* all of it, now, each once */
	ln_worker_stopping = true;
	for (int left = W.ndone + 1;
		 W.ndone > 0 && W.ndone < left && !ProcDiePending;)
	{
		left = W.ndone;
		ln_worker_record();
	}
	if (W.ndone == 0)
	{
		ln_journal_destroy(W.journal);
		W.journal = NULL;
	}
	MemoryContextReset(W.batch);
}

static void
start(void)
{
	HttpOptions http;
	char		err[256];

	ln_worker_pin_settings();
	W.context = AllocSetContextCreate(TopMemoryContext, "line_notify worker",
									  ALLOCSET_DEFAULT_SIZES);
	W.batch = AllocSetContextCreate(TopMemoryContext, "line_notify batch",
									ALLOCSET_DEFAULT_SIZES);
	W.wait_event = LnWaitEvent("LineNotifyWorkerMain");
	MemoryContextSwitchTo(W.batch);

	W.announce_at = DT_NOEND;

	/* the process ends here when the extension is not in this database */
	ln_worker_take_work();
	ln_worker_take_database();

	W.ndeliveries = ln_guc_max_in_flight;
	W.deliveries =
		MemoryContextAllocZero(W.context, sizeof(Delivery) * W.ndeliveries);
	W.free_list = MemoryContextAlloc(W.context, sizeof(int) * W.ndeliveries);
	W.claimed = MemoryContextAlloc(W.context, sizeof(int) * W.ndeliveries);
	W.done = MemoryContextAlloc(W.context, sizeof(int) * W.ndeliveries);
	W.journal = ln_journal_create(MyDatabaseId, W.claimer, W.ndeliveries);
	for (int i = 0; i < W.ndeliveries; i++)
	{
		W.deliveries[i].journal = ln_journal_entry(W.journal, i);
		W.free_list[W.nfree++] = i;
	}

	memset(&http, 0, sizeof(http));
	http.max_transfers = W.ndeliveries + LN_SIDE_TRANSFERS;
	http.max_connections = W.ndeliveries + LN_SIDE_TRANSFERS;
	http.max_host_connections = W.ndeliveries + LN_SIDE_TRANSFERS;
	http.max_idle_s = ln_guc_connection_idle;
	http.max_response = MAX_RESPONSE;
	W.http = ln_http_create(&http, err, sizeof(err));
	if (W.http == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_SYSTEM_ERROR),
				 errmsg("could not start the HTTP client: %s", err)));
	W.events = LnCreateWaitEventSet(3);
	AddWaitEventToSet(W.events, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(W.events, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL,
					  NULL);
	AddWaitEventToSet(W.events, WL_SOCKET_READABLE, ln_http_fd(W.http), NULL,
					  NULL);

	/* the other chores are due now */
	W.in_doubt_until = W.probe_at = W.token_at = DT_NOEND;
	W.need_scan = true;
	W.expiry_low = W.in_doubt_before = DT_NOBEGIN;
	W.expire_limit = EXPIRE_BATCH;
	W.record_delay_us = RECORD_DELAY_MIN_US;
	W.idle_since = GetCurrentTimestamp();
	ereport(LOG,
			(errmsg("delivery worker started for database %u", MyDatabaseId)));
}

/* Nothing in hand, and nothing to do before a known time. */
static bool
is_idle(void)
{
	return W.nclaimed + W.nsent + W.ndone == 0 && !W.need_scan &&
		ln_worker_chores_idle() && !ln_any_backoff();
}

/* When is something to be done without being woken?  DT_NOEND = never. */
static TimestampTz
next_deadline(TimestampTz now)
{
	TimestampTz wake = DT_NOEND;

	/* noted for us, and put back because the look at it failed */
	if (pg_atomic_read_u32(&W.slot->work) != 0)
		wake = Max(now, ln_backoff_until("checking the extension"));
	if (!W.version_mismatch)
	{
		wake = Min(wake, ln_worker_chores_deadline(now));
		for (int i = 0; i < W.nchannels && ln_guc_enabled && W.home != 0; i++)
			wake = Min(wake, Max(ln_worker_claim_deadline(W.channels[i], now),
								 W.channels[i]->backoff_until));
	}
	if (W.ndone > 0)
		wake = Min(wake,
				   Max(Max(W.record_at, W.first_done_at + W.record_delay_us),
					   ln_backoff_until("recording outcomes")));
	if (W.nclaimed > 0)
		wake = Min(wake, W.token_at);
	return wake;
}
