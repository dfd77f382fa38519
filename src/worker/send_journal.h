/*-------------------------------------------------------------------------
 *
 * send_journal.h
 *		The black box of a claimer: which claimed messages had a byte handed
 *		to the network, and what came back, kept in a file that survives a
 *		kill -9 of this process and the restart of the server that follows.
 *
 * Shared memory does not: it is built anew after a crash.  A mapped file's
 * pages belong to the kernel, so every store made before the kill is there
 * afterwards.  A power loss or reboot forgets them, which is why the file
 * carries the kernel's boot id, and its own inode, so that no copy of it (a
 * base backup, a clone of the disk) is ever believed.
 *
 * Order: entries are written before the claim commits; "asked" is set by the
 * HTTP client before the first byte leaves; what came back before anything is
 * made of it.  So an orphan with an untouched entry provably never left.
 *
 * The asynchronous record (test/model/README.md, rule A)
 *
 * An outcome may be recorded by a commit that is not flushed yet.  A crash of
 * the server can take such a commit; the lease is there again, and must be
 * what one is whose outcome was never recorded.  Hence:
 *
 * - An entry has all that the record had.  ln_worker_reconstruct() makes the
 *   record of it, for whoever finds the lease of a dead claimer; only what it
 *   would make the same of may be committed so (record.c).
 * - An entry lives until its record is on disk: its place keeps the WAL
 *   position of that commit, and is free when GetFlushRecPtr() has passed it.
 * - Who frees, reuses or removes entries looks whether that is so, or flushes:
 *   a claim that needs places (it does not wait for them), a claimer that
 *   leaves in order, the sweep of the files of dead ones.
 * - An idle worker flushes, line_notify.flush_outcomes_after after the first
 *   record that is not on disk; mostly the WAL writer has done it by then, or
 *   the next claim, which is always durable.
 * - Never with synchronous standbys: nothing would be sent twice, but after a
 *   failover what was recorded and not yet there would be unknown.  And only
 *   where a channel holds what is unknown: after a power loss the journal is
 *   not believed, and on_unknown = retry would send once more what had been
 *   seen as accepted.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_SEND_JOURNAL_H
#define LN_SEND_JOURNAL_H

#include "datatype/timestamp.h"

typedef struct LnSendJournal LnSendJournal;

#define LN_REQUEST_ID_LEN	80
#define LN_ERROR_LEN		256

typedef struct LnJournalEntry
{
	int64		id;				/* message; 0 = free */
	uint64		token;			/* its lease */
	volatile uint8 asked;		/* the body was asked for */
	uint8		complete;		/* a complete status came */
	uint16		status;			/* that status */
	uint8		has_retry_after;
	uint8		unused[3];
	int64		sent_at;		/* TimestampTz, when it was about to leave */
	int64		ended_at;		/* TimestampTz, when the attempt was over, by
								 * an answer or without; 0 = not known */
	char		request_id[LN_REQUEST_ID_LEN];	/* with complete */
	char		error[LN_ERROR_LEN];	/* with ended_at */
	char		unused2[8];
} LnJournalEntry;

/* Create the file of a claimer, for n entries; raises when it cannot. */
extern LnSendJournal *ln_journal_create(Oid database, uint64 claimer, int n);

/* Entry i, 0 <= i < n. */
extern LnJournalEntry *ln_journal_entry(LnSendJournal *w, int i);

/* Clear and claim an entry for a message. */
extern void ln_journal_claim(LnJournalEntry *e, int64 id, uint64 token);

/* A complete status came. */
extern void ln_journal_answered(LnJournalEntry *e, int status,
								bool has_retry_after, const char *request_id);

/* The attempt is over, and perhaps sent: what will be recorded of it. */
extern void ln_journal_ended(LnJournalEntry *e, TimestampTz at,
							 const char *error);

/* Nothing of it is needed: its record is on disk. */
extern void ln_journal_free(LnJournalEntry *e);

/*
 * Remove the own file: nothing is in flight any more, and what was recorded is
 * on disk.
 */
extern void ln_journal_destroy(LnSendJournal *w);

/*
 * Entries that a dead claimer left, or NULL when there is no file or it cannot
 * be believed.  *n = their number; palloc'd.
 */
extern LnJournalEntry *ln_journal_read(Oid database, uint64 claimer, int *n);

/*
 * Remove files of this database whose claimer is not in the list: those that
 * have leases, by a snapshot that is older than this call.
 */
extern void ln_journal_sweep(Oid database, const uint64 *keep, int nkeep);

#endif							/* LN_SEND_JOURNAL_H */
