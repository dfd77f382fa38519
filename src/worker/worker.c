/*-------------------------------------------------------------------------
 *
 * worker.c
 *		The delivery worker of one database: its loop, and the one place that
 *		waits.
 *
 * The life of a message:
 *
 *	claim		a short transaction locks due rows of a lane and writes a lease
 *				for each; durable before the first byte leaves
 *	send		no transaction is open; a token of LINE's rate is taken for
 *				each message, and the HTTP client (http/) writes and reads
 *	harvest		answers, and failures to get one, become outcomes
 *	record		a short transaction writes what came of a batch, under the
 *				leases
 *
 * Each of them, and everything else that is to be done now and then, is a task
 * of the agenda (tasks.c, base/agenda.c).  Whether a message may go says the
 * gate (facts.c, base/gate.c).  A turn of the loop takes what came in, runs
 * the tasks that are due, and sleeps until the next one is.
 *
 * What survives the death of the process is the leases and the send journal;
 * see rescue.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/resource.h>

#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "guc.h"
#include "server/clock.h"
#include "worker/questions.h"
#include "worker/state.h"
#include "worker/worker.h"

/* Response bytes kept of an answer: LINE's longest error is under 2 kB. */
#define MAX_RESPONSE		8192

/*
 * Descriptors that libcurl needs besides one for each connection: some for
 * every 64 of them, and those of resolvers and files of authorities.
 */
#define CURL_FILES(connections)	((connections) / 8 + 128)

/* Nobody sleeps longer (ms). */
#define LONGEST_WAIT		3600000

LnWorker	ln_worker;

static WaitEventSet *events;	/* latch, postmaster, HTTP client, clock */
static int	clock_watch;
static uint32 wait_event;
static TimestampTz idle_since;

pg_noreturn static void run(void);
pg_noreturn static void work(void);
static void start(void);
static void begin_turn(void);
static void take_answers(void);
static void wait_for_something(void);
static void wait(long timeout);
static void wind_up(bool at_once);
static void hand_over(void *arg);
static void would_hand_over(void *arg);
static bool leave_if_idle(TimestampTz now, TimestampTz *wake);

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

/* An error that ends the process is told by health(), too. */
static void
run(void)
{
	PG_TRY();
	{
		work();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(TopMemoryContext);
		ln_worker_note_end(CopyErrorData()->message);
		PG_RE_THROW();
	}
	PG_END_TRY();
	pg_unreachable();
}

static void
work(void)
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
			ln_tasks_by(TASK_CONFIGURE, DT_NOBEGIN);
		}
		begin_turn();
		if (ln_tasks_take_notes())
			idle_since = W.now;
		ln_tasks_check_extension();
		take_answers();
		ln_tasks_run();
		ln_http_step(W.http);
		ln_worker_publish_all();
		wait_for_something();
	}
	wind_up(at_once);
	/* not for a moment only: whoever comes next would have to take it back */
	if (end_state == LN_SLOT_BACKOFF && W.home != 0 && !ProcDiePending)
		(void) ln_phase("handing over", hand_over, NULL);
	ln_worker_leave(end_state, NULL);
}

static void
hand_over(void *arg)
{
	ln_outbox_hand_over(W.home);
}

static void
would_hand_over(void *arg)
{
	*(bool *) arg = ln_outbox_would_hand_over(W.home);
}

static void
begin_turn(void)
{
	(void) ln_worker_read_clock();
	ln_slot_set_wake(W.slot, W.now);
	MemoryContextReset(W.batch);
}

static void
take_answers(void)
{
	ln_http_step(W.http);
	ln_worker_harvest();
}

static void
wait_for_something(void)
{
	TimestampTz wake = ln_tasks_wake();
	TimestampTz resume = ln_tasks_resume();
	TimestampTz now = GetCurrentTimestamp();
	long		timeout = ln_http_timeout_ms(W.http);

	if (W.drain_until != 0)
	{
		ln_worker_drained = resume > W.drain_until;
		wake = Min(wake, ln_worker_drained ? now : W.drain_until);
	}
	else if (W.slot->drained_until != resume)
		ln_shmem_note_drained(W.slot, resume);
	pg_atomic_write_u32(&W.slot->in_flight, ln_deliveries_claimed() +
						ln_deliveries_sent());
	if (leave_if_idle(now, &wake) || !ln_slot_may_sleep(W.slot, wake))
		return;

	if (wake != DT_NOEND)
	{
		long		ms = 0;

		if (wake > now)
			ms = TimestampDifferenceMilliseconds(now, wake);
		timeout = timeout < 0 ? ms : Min(timeout, ms);
	}
	if (timeout < 0 || timeout > 1000)
		pgstat_report_stat(true);	/* for autovacuum, before we sleep */
	if (timeout != 0)
		wait(Min(timeout, LONGEST_WAIT));
}

/*
 * Nothing in hand, and nothing to do before a known time: then leave, after a
 * while, unless a standby that takes over would miss our last words, or that
 * cannot be found out.  True = somebody noted work just now, or set the clock.
 */
static bool
leave_if_idle(TimestampTz now, TimestampTz *wake)
{
	TimestampTz leave_at;
	bool		stay = false;

	if (ln_deliveries_claimed() + ln_deliveries_sent() +
		ln_deliveries_done() > 0 || ln_tasks_keep() ||
		W.version_mismatch || ln_guc_idle_timeout <= 0)
	{
		idle_since = now;
		return false;
	}
	idle_since = Min(idle_since, now);	/* the clock was set back */
	/* at once, when nothing may be sent or another database has no process */
	leave_at = W.home == 0 || W.nchannels == 0 || ln_shared->worker_wanted
		? now : TimestampTzPlusMilliseconds(idle_since, ln_guc_idle_timeout *
											INT64CONST(1000));
	if (now < leave_at)
	{
		*wake = Min(*wake, leave_at);
		return false;
	}
	/* not for a moment: starting costs more than waiting */
	if (*wake <= TimestampTzPlusMilliseconds(now, 1000))
		return false;
	if (W.home != 0 && !ln_shared->worker_wanted)
		stay = !ln_phase("looking for standbys", would_hand_over, &stay) ||
			stay;
	if (stay)
	{
		idle_since = now;
		return false;
	}
	/* *wake is of the clock as it was when this turn began */
	if (!ln_worker_read_clock())
		ln_worker_leave_unless_wanted(LN_SLOT_IDLE, *wake);
	return true;
}

/*
 * Until the latch is set, a socket of the HTTP client is ready, the clock is
 * set, or so long (ms; -1 = whatever it takes).
 */
static void
wait(long timeout)
{
	WaitEvent	event;

	if (WaitEventSetWait(events, timeout, &event, 1, wait_event) > 0 &&
		event.events == WL_SOCKET_READABLE && event.fd == clock_watch)
		ln_clock_seen(clock_watch);
}

/* Stop claiming, wait a bounded time for answers, record. */
static void
wind_up(bool at_once)
{
	TimestampTz again;
	int			left;

	begin_turn();
	ln_worker_send_nothing();
	while (ln_deliveries_sent() > 0 && !at_once &&
		   GetCurrentTimestamp() < ln_worker_stop_deadline)
	{
		long		ms =
		TimestampDifferenceMilliseconds(GetCurrentTimestamp(),
										ln_worker_stop_deadline);
		long		http = ln_http_timeout_ms(W.http);

		wait(http >= 0 ? Min(ms, http) : ms);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		take_answers();
	}
	ln_http_abort_all(W.http);
	ln_worker_harvest();

	/* all of it, now, each once */
	ln_worker_stopping = true;
	do
	{
		left = ln_deliveries_done();
		if (left > 0)
			(void) ln_worker_record(&again);
	} while (ln_deliveries_done() > 0 && ln_deliveries_done() < left &&
			 !ProcDiePending);
	if (ln_deliveries_done() == 0)
		ln_deliveries_end_journal();
	MemoryContextReset(W.batch);
}

/*
 * How many messages may be on the wire at once: as many as wanted, unless
 * there are not so many descriptors for their connections.  The limit that a
 * process starts with (often 1024) is raised as far as it may be; the server's
 * own files come on top, since it opens as many as it was told to.
 */
static int
places(int wanted)
{
	int			connections = wanted + LN_QUESTIONS;
	rlim_t		need = max_files_per_process + connections +
	CURL_FILES(connections);
	rlim_t		left;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return wanted;
	if (limit.rlim_cur < need && limit.rlim_cur < limit.rlim_max)
	{
		rlim_t		before = limit.rlim_cur;

		limit.rlim_cur = Min(need, limit.rlim_max);
		if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
			limit.rlim_cur = before;
	}

	/* where they are few, the server closes its files when it needs others */
	left = limit.rlim_cur - Min(max_files_per_process, limit.rlim_cur / 4);
	while (connections > LN_QUESTIONS + 1 &&
		   connections + CURL_FILES(connections) > left)
		connections--;
	return connections - LN_QUESTIONS;
}

static void
start(void)
{
	HttpOptions http;
	char		err[256];
	int			nplaces = places(ln_guc_max_in_flight);

	ln_worker_pin_settings();
	W.context = AllocSetContextCreate(TopMemoryContext, "line_notify worker",
									  ALLOCSET_DEFAULT_SIZES);
	W.batch = AllocSetContextCreate(TopMemoryContext, "line_notify batch",
									ALLOCSET_DEFAULT_SIZES);
	wait_event = LnWaitEvent("LineNotifyWorkerMain");
	MemoryContextSwitchTo(W.batch);

	ln_tasks_init();
	begin_turn();

	/* the process ends here when the extension is not in this database */
	(void) ln_tasks_take_notes();
	ln_tasks_check_extension();
	ln_worker_take_database();
	if (nplaces < ln_guc_max_in_flight)
		ereport(WARNING,
				(errmsg("no more than %d messages can be on the wire at once",
						nplaces),
				 errdetail("There are no descriptors for the connections of %d.",
						   ln_guc_max_in_flight),
				 errhint("Raise the server's limit of open files (ulimit -n), or lower \"line_notify.max_in_flight\".")));
	ln_deliveries_init(nplaces);

	memset(&http, 0, sizeof(http));
	http.max_transfers = ln_deliveries_size() + LN_QUESTIONS;
	http.max_connections = ln_deliveries_size() + LN_QUESTIONS;
	http.max_host_connections = ln_deliveries_size() + LN_QUESTIONS;
	http.max_idle_s = ln_guc_connection_idle;
	http.max_response = MAX_RESPONSE;
	W.http = ln_http_create(&http, err, sizeof(err));
	if (W.http == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_SYSTEM_ERROR),
				 errmsg("could not start the HTTP client: %s", err)));
	events = LnCreateWaitEventSet(4);
	AddWaitEventToSet(events, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(events, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL,
					  NULL);
	AddWaitEventToSet(events, WL_SOCKET_READABLE, ln_http_fd(W.http), NULL,
					  NULL);
	clock_watch = ln_clock_watch();
	if (clock_watch >= 0)
		AddWaitEventToSet(events, WL_SOCKET_READABLE, clock_watch, NULL,
						  NULL);
	idle_since = W.now;
	ereport(LOG, (errmsg("delivery worker started for database %u",
						 MyDatabaseId)));
}
