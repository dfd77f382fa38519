/*-------------------------------------------------------------------------
 *
 * send_journal.c
 *		The black box of a claimer; see send_journal.h.
 *
 * The files lie in pg_stat_tmp, which base backups leave out and nothing
 * clears: data there must be expendable, and ours is.  Without a file every
 * orphan is "unknown", which is true, only less exact.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "common/file_perm.h"
#include "pgstat.h"
#include "port/atomics.h"
#include "storage/fd.h"
#include "utils/memutils.h"

#include "db/trace.h"
#include "worker/send_journal.h"

#define JOURNAL_MAGIC	UINT64CONST(0x326e6c7465737469)
#define BOOT_ID_LEN		36

typedef struct JournalHeader
{
	uint64		magic;
	uint64		claimer;
	uint64		device;
	uint64		inode;
	char		boot_id[BOOT_ID_LEN + 4];
	int32		nentries;
	int32		unused;
	char		pad[48];		/* entries start on a cache line */
} JournalHeader;

StaticAssertDecl(sizeof(JournalHeader) == 128, "header of the journal file");
StaticAssertDecl(sizeof(LnJournalEntry) == 384, "entry of the journal file");

struct LnSendJournal
{
	char		path[MAXPGPATH];
	JournalHeader *header;
	size_t		size;
};

static void
journal_path(char *path, Oid database, uint64 claimer)
{
	snprintf(path, MAXPGPATH, "%s/line_notify.%u." UINT64_FORMAT,
			 PG_STAT_TMP_DIR, database, claimer);
}

/* The kernel's id of this boot; empty where there is none. */
static void
read_boot_id(char *buf)
{
	int			fd = OpenTransientFile("/proc/sys/kernel/random/boot_id",
									   O_RDONLY | PG_BINARY);

	memset(buf, 0, BOOT_ID_LEN + 4);
	if (fd < 0)
		return;
	if (read(fd, buf, BOOT_ID_LEN) != BOOT_ID_LEN)
		memset(buf, 0, BOOT_ID_LEN + 4);
	CloseTransientFile(fd);
}

LnSendJournal *
ln_journal_create(Oid database, uint64 claimer, int n)
{
	LnSendJournal *w =
	MemoryContextAllocZero(TopMemoryContext, sizeof(LnSendJournal));
	struct stat st;
	int			fd;
	int			save;
	void	   *map;

	journal_path(w->path, database, claimer);
	w->size = sizeof(JournalHeader) + sizeof(LnJournalEntry) * (size_t) n;
	(void) mkdir(PG_STAT_TMP_DIR, pg_dir_create_mode);	/* usually there */
	fd = OpenTransientFile(w->path, O_RDWR | O_CREAT | O_TRUNC | PG_BINARY);
	if (fd < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not create file \"%s\": %m", w->path)));

	/*
	 * Allocate now: a full disk found by a store into the map would be a
	 * SIGBUS, and the end of every session of the server.
	 */
	do
	{
		errno = posix_fallocate(fd, 0, (off_t) w->size);
	} while (errno == EINTR);	/* a latch that was set */
	if (errno != 0 || fstat(fd, &st) != 0)
	{
		save = errno;
		CloseTransientFile(fd);
		(void) unlink(w->path);
		errno = save;
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not write file \"%s\": %m", w->path)));
	}
	map = mmap(NULL, w->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	save = errno;
	CloseTransientFile(fd);
	if (map == MAP_FAILED)
	{
		(void) unlink(w->path);
		errno = save;
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not map file \"%s\": %m", w->path)));
	}

	w->header = (JournalHeader *) map;
	memset(map, 0, w->size);
	w->header->claimer = claimer;
	w->header->device = (uint64) st.st_dev;
	w->header->inode = (uint64) st.st_ino;
	w->header->nentries = n;
	read_boot_id(w->header->boot_id);
	pg_write_barrier();
	w->header->magic = JOURNAL_MAGIC;
	return w;
}

LnJournalEntry *
ln_journal_entry(LnSendJournal *w, int i)
{
	Assert(i >= 0 && i < w->header->nentries);
	return (LnJournalEntry *) (w->header + 1) + i;
}

void
ln_journal_claim(LnJournalEntry *e, int64 id, uint64 token)
{
	e->id = 0;
	pg_write_barrier();
	e->asked = 0;
	e->complete = 0;
	e->status = 0;
	e->has_retry_after = 0;
	e->sent_at = 0;
	e->ended_at = 0;
	e->request_id[0] = '\0';
	e->error[0] = '\0';
	e->token = token;
	pg_write_barrier();
	e->id = id;
	ln_trace("entry", INT64_FORMAT " " UINT64_FORMAT, id, token);
}

void
ln_journal_answered(LnJournalEntry *e, int status, bool has_retry_after,
					const char *request_id)
{
	e->status = (uint16) Min(Max(status, 0), 999);
	e->has_retry_after = has_retry_after;
	strlcpy(e->request_id, request_id, sizeof(e->request_id));
	pg_write_barrier();
	e->complete = 1;
}

void
ln_journal_ended(LnJournalEntry *e, TimestampTz at, const char *error)
{
	strlcpy(e->error, error, sizeof(e->error));
	pg_write_barrier();
	e->ended_at = at;
}

void
ln_journal_free(LnJournalEntry *e)
{
	e->id = 0;
	pg_write_barrier();
	/* texts of others do not outlive their message here */
	memset(e, 0, sizeof(LnJournalEntry));
}

void
ln_journal_destroy(LnSendJournal *w)
{
	if (w == NULL || w->header == NULL)
		return;
	ln_trace_now("left", "%lld", (long long) ln_trace_flushed());
	(void) munmap(w->header, w->size);
	w->header = NULL;
	(void) unlink(w->path);
}

LnJournalEntry *
ln_journal_read(Oid database, uint64 claimer, int *n)
{
	char		path[MAXPGPATH];
	char		boot_id[BOOT_ID_LEN + 4];
	JournalHeader header;
	LnJournalEntry *entries = NULL;
	struct stat st;
	int			fd;

	*n = 0;
	journal_path(path, database, claimer);
	fd = OpenTransientFile(path, O_RDONLY | PG_BINARY);
	if (fd < 0)
		return NULL;
	read_boot_id(boot_id);
	if (fstat(fd, &st) == 0 &&
		read(fd, &header, sizeof(header)) == (ssize_t) sizeof(header) &&
		header.magic == JOURNAL_MAGIC && header.claimer == claimer &&
		header.device == (uint64) st.st_dev &&
		header.inode == (uint64) st.st_ino && boot_id[0] != '\0' &&
		memcmp(header.boot_id, boot_id, sizeof(boot_id)) == 0 &&
		header.nentries > 0 &&
		st.st_size == (off_t) (sizeof(header) + sizeof(LnJournalEntry) *
							   (size_t) header.nentries))
	{
		ssize_t		size =
		(ssize_t) (sizeof(LnJournalEntry) * (size_t) header.nentries);

		entries = palloc(size);
		if (read(fd, entries, size) == size)
		{
			*n = header.nentries;
			for (int i = 0; i < *n; i++)
				entries[i].request_id[LN_REQUEST_ID_LEN - 1] =
					entries[i].error[LN_ERROR_LEN - 1] = '\0';
		}
		else
		{
			pfree(entries);
			entries = NULL;
		}
	}
	CloseTransientFile(fd);
	return entries;
}

/*
 * Flush all WAL that there is, as a commit does: what a snapshot of ours saw
 * was inserted before.
 */
static void
flush_wal(void)
{
	XLogRecPtr	end = GetXLogInsertRecPtr();

	/*
	 * At the start of a page this is behind its header, which is written with
	 * the next record: XLogFlush() would complain.
	 */
	if (XLogSegmentOffset(end, wal_segment_size) == SizeOfXLogLongPHD)
		end -= SizeOfXLogLongPHD;
	else if (end % XLOG_BLCKSZ == SizeOfXLogShortPHD)
		end -= SizeOfXLogShortPHD;
	XLogFlush(end);
}

void
ln_journal_sweep(Oid database, const uint64 *keep, int nkeep)
{
	char		prefix[64];
	size_t		len;
	DIR		   *dir = AllocateDir(PG_STAT_TMP_DIR);
	struct dirent *de;
	bool		flushed = false;

	len = snprintf(prefix, sizeof(prefix), "line_notify.%u.", database);
	while (dir != NULL &&
		   (de = ReadDirExtended(dir, PG_STAT_TMP_DIR, LOG)) != NULL)
	{
		uint64		claimer;
		bool		kept = false;

		if (strncmp(de->d_name, prefix, len) != 0)
			continue;
		claimer = strtou64(de->d_name + len, NULL, 10);
		for (int i = 0; i < nkeep; i++)
			kept = kept || keep[i] == claimer;
		if (!kept)
		{
			char		path[MAXPGPATH];

			/* it has no leases, perhaps by a commit that is not flushed */
			if (!flushed)
				flush_wal();
			flushed = true;
			journal_path(path, database, claimer);
			ln_trace_now("swept", UINT64_FORMAT " %lld", claimer,
						 (long long) ln_trace_flushed());
			(void) unlink(path);
		}
	}
	if (dir != NULL)
		FreeDir(dir);
}
