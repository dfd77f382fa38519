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
 * HTTP client before the first byte leaves; the status after it arrived.  So
 * an orphan with an untouched entry provably never left.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_SEND_JOURNAL_H
#define LN_SEND_JOURNAL_H

typedef struct LnSendJournal LnSendJournal;

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
} LnJournalEntry;

/* Create the file of a claimer, for n entries; raises when it cannot. */
extern LnSendJournal *ln_journal_create(Oid database, uint64 claimer, int n);

/* Entry i, 0 <= i < n. */
extern LnJournalEntry *ln_journal_entry(LnSendJournal *w, int i);

/* Clear and claim an entry for a message. */
extern void ln_journal_claim(LnJournalEntry *e, int64 id, uint64 token);

/* Remove the own file: nothing is in flight any more. */
extern void ln_journal_destroy(LnSendJournal *w);

/*
 * Entries that a dead claimer left, or NULL when there is no file or it cannot
 * be believed.  *n = their number; palloc'd.
 */
extern LnJournalEntry *ln_journal_read(Oid database, uint64 claimer, int *n);

/* Remove files of this database whose claimer is not in the list. */
extern void ln_journal_sweep(Oid database, const uint64 *keep, int nkeep);

#endif							/* LN_SEND_JOURNAL_H */
