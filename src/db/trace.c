/*-------------------------------------------------------------------------
 *
 * trace.c
 *		Trace events; see trace.h.
 *
 * A line is: event, time (us since 1970), claimer, database, what belongs to
 * the event, and a full stop.  It begins and ends with a line end, so that
 * what a kill cuts short spoils no line but its own.
 *
 * The file is opened for appending by every process that traces: the kernel
 * puts their writes in one order, which agrees with whatever one of them could
 * know of another.  So the order of lines is one in which things may have
 * happened, if
 *
 * - what others can notice (a byte to the network, a file that goes) is
 *   written before it is done: ln_trace_now().  A process that dies in between
 *   has not done it, perhaps;
 * - what happens in a transaction is written before that commits, and that it
 *   has committed, with the end of its record, how far WAL is on disk and
 *   whether it has waited for a standby, right after.  Whoever sees the effect
 *   sees the lines of it;
 * - what only this process and its journal know is written with the next line
 *   of these.  When it dies before, its journal knows more than the trace.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/xact.h"
#include "access/xlog.h"
#include "common/file_perm.h"
#include "miscadmin.h"
#include "replication/syncrep.h"
#include "storage/fd.h"
#include "utils/timestamp.h"

#include "db/outbox.h"
#include "db/trace.h"

#define BUFFER_SIZE		65536

/* No line of ours is longer. */
#define LONGEST_LINE	512

static int	fd = -1;
static char path[MAXPGPATH];	/* what fd is */
static bool broken;				/* until it is another one */
static uint64 me;
static char buffer[BUFFER_SIZE];
static int	used;
static bool in_transaction;		/* lines of it were written */

static void
write_out(void)
{
	int			len = used;

	used = 0;
	if (strcmp(path, ln_guc_trace_file) != 0)
	{
		if (fd >= 0)
			(void) close(fd);
		strlcpy(path, ln_guc_trace_file, sizeof(path));
		fd = BasicOpenFilePerm(path, O_WRONLY | O_CREAT | O_APPEND | PG_BINARY,
							   pg_file_create_mode);
		broken = false;
	}
	if (broken)
		return;
	/* one write, or lines of two processes would be mixed */
	if (fd >= 0)
		errno = 0;
	if (fd < 0 || write(fd, buffer, len) != len)
	{
		broken = true;
		/* what is written of it is short: as everywhere in the server */
		if (errno == 0)
			errno = ENOSPC;
		/* not even an interrupt: we may be amid a step of the HTTP client */
		HOLD_INTERRUPTS();
		ereport(WARNING,
				(errcode_for_file_access(),
				 errmsg("could not write to trace file \"%s\": %m", path)));
		RESUME_INTERRUPTS();
	}
}

static void vadd(const char *event, const char *fmt, va_list args)
			pg_attribute_printf(2, 0);
static void add(const char *event, const char *fmt,...)
			pg_attribute_printf(2, 3);

static void
vadd(const char *event, const char *fmt, va_list args)
{
	TimestampTz now = GetCurrentTimestamp();
	int			n;

	if (used + LONGEST_LINE > BUFFER_SIZE)
		write_out();
	n = snprintf(buffer + used, LONGEST_LINE,
				 "\n%s " INT64_FORMAT " " UINT64_FORMAT " %u ", event,
				 now + (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) *
				 USECS_PER_DAY,
				 me, MyDatabaseId);
	n += vsnprintf(buffer + used + n, LONGEST_LINE - n, fmt, args);
	used += Min(n, LONGEST_LINE - 4);
	buffer[used++] = ' ';
	buffer[used++] = '.';
	buffer[used++] = '\n';
}

static void
add(const char *event, const char *fmt,...)
{
	va_list		args;

	va_start(args, fmt);
	vadd(event, fmt, args);
	va_end(args);
}

/*
 * Are there synchronous standbys, and was the wait for one cut short?  Such a
 * commit looks like any other (SyncRepWaitForLSN()).
 */
static const char *
standby(void)
{
	if (SyncRepStandbyNames == NULL || SyncRepStandbyNames[0] == '\0')
		return "none";
	return ProcDiePending ? "cut" : "set";
}

static void
at_end(XactEvent event, void *arg)
{
	if (!in_transaction || !ln_trace_on())
		return;
	if (event == XACT_EVENT_PRE_COMMIT)
		write_out();
	else if (event == XACT_EVENT_COMMIT)
	{
		add("commit", "%lld %lld %s", (long long) XactLastCommitEnd,
			(long long) ln_trace_flushed(), standby());
		write_out();
		in_transaction = false;
	}
	else if (event == XACT_EVENT_ABORT)
	{
		add("abort", "-");
		write_out();
		in_transaction = false;
	}
}

void
ln_trace_add(bool now, const char *event, const char *fmt,...)
{
	va_list		args;

	if (me == 0)
		return;					/* a session: what it does, the tables say */
	va_start(args, fmt);
	vadd(event, fmt, args);
	va_end(args);
	in_transaction = in_transaction || IsTransactionState();
	if (now)
		write_out();
}

void
ln_trace_start(uint64 claimer)
{
	struct stat st;

	me = claimer;
	RegisterXactCallback(at_end, NULL);
	if (!ln_trace_on())
		return;
	if (stat(DataDir, &st) != 0)
		st.st_ino = 0;
	ln_trace_now("start", "%u %llu", GetWALInsertionTimeLine(),
				 (unsigned long long) st.st_ino);
}

XLogRecPtr
ln_trace_flushed(void)
{
	return GetFlushRecPtr(NULL);
}

const char *
ln_trace_next(LineNext next)
{
	const char *state = ln_outbox_final_state(next);

	if (state != NULL)
		return state;
	return next == LINE_RETRY_LATER ? "retry" : "return";
}
