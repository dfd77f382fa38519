/*-------------------------------------------------------------------------
 *
 * rescue.c
 *		Rescue: leases of processes that died.
 *
 * A claimer lives as long as its session lock.  What its journal file saw says
 * what became of each message: no byte left, an answer came, or we do not
 * know.  A crash may also have taken the record of an outcome, whose lease is
 * there again then; it is made anew.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/timestamp.h"

#include "db/trace.h"
#include "worker/state.h"

/* Leases of another claimer that lives: is it still there? (ms) */
#define RESCUE_GAP			5000

typedef struct Part
{
	LnRecord   *recs;
	int			n;
} Part;

static int	record_all(LnRecord *recs, int n);

void
ln_worker_reconstruct(const LnOrphan *o, const LnJournalEntry *e,
					  const LnChannel *channel, LnRecord *r)
{
	LineCase	c;
	LnPolicy	policy;

	memset(r, 0, sizeof(LnRecord));
	r->id = o->id;
	r->token = o->token;
	r->channel = o->channel;
	r->request_id = r->error = "";
	r->ended_at = r->retry_at = GetCurrentTimestamp();
	if (e != NULL && !e->asked)
	{
		r->next = LINE_RETURN;
		r->outcome = LINE_NOT_SENT;
		return;
	}

	r->attempted = true;
	/* without a journal, not before it was claimed */
	r->sent_at = e != NULL && e->sent_at != 0 ? e->sent_at : o->claimed_at;
	memset(&c, 0, sizeof(c));
	if (e != NULL && e->complete)
	{
		c.outcome = ln_line_outcome(HTTP_STATUS, e->status,
									e->has_retry_after);
		r->status = e->status;
		r->request_id = e->request_id;
	}
	else
	{
		c.outcome = LINE_AMBIGUOUS;
		r->error = "the sending process died before the answer came";
	}
	if (e != NULL && e->ended_at != 0)
	{
		r->ended_at = r->retry_at = e->ended_at;
		r->error = e->error;
	}
	c.attempt = o->attempt;
	ln_policy_init(&policy);
	if (o->policy != NULL)
		policy = *o->policy;
	c.max_attempts =
		(int) ln_policy_or(policy.max_attempts,
						   channel ? channel->row.max_attempts : PG_INT32_MAX);
	c.maybe_sent = o->maybe_sent;
	c.on_unknown = (LineDisposition)
		ln_policy_or(policy.on_unknown,
					 channel ? channel->row.on_unknown : LINE_HOLD);
	c.on_server_error = (LineDisposition)
		ln_policy_or(policy.on_server_error,
					 channel ? channel->row.on_server_error : LINE_HOLD);
	r->outcome = c.outcome;
	r->next = ln_line_decide(&c);
	if (r->next == LINE_RETRY_LATER && channel != NULL)
		r->retry_at = ln_worker_retry_at(&channel->row, &policy, o->attempt,
										 r->outcome, r->ended_at);
}

/*
 * Claims of processes that are dead: their session lock is free.  What the
 * journal saw decides; without it the truth is that we do not know.
 */
TimestampTz
ln_worker_rescue(bool *progress)
{
	LnOrphan   *orphans;
	int			n = ln_outbox_orphans(W.home, W.claimer, &orphans);
	uint64		living[64];
	int			nliving = 0;

	living[nliving++] = W.claimer;

	for (int i = 0; i < n;)
	{
		uint64		claimer = orphans[i].claimer;
		LnJournalEntry *seen;
		LnRecord   *recs = palloc0(sizeof(LnRecord) * (n - i));
		LOCKTAG		tag;
		int			nseen;
		int			m = 0;
		int			counts[3] = {0, 0, 0};
		int			nrefused;

		SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (uint32) (claimer >> 32),
							 (uint32) claimer, LOCK_FIELD);
		if (LockAcquire(&tag, ExclusiveLock, false, true) ==
			LOCKACQUIRE_NOT_AVAIL)
		{
			if (nliving < (int) lengthof(living))
				living[nliving++] = claimer;
			while (i < n && orphans[i].claimer == claimer)
				i++;
			continue;
		}

		seen = ln_journal_read(MyDatabaseId, claimer, &nseen);
		for (; i < n && orphans[i].claimer == claimer; i++)
		{
			LnOrphan   *o = &orphans[i];
			LnRecord   *r = &recs[m++];
			LnJournalEntry *e = NULL;
			LnChannel  *channel = NULL;

			for (int k = 0; k < nseen && e == NULL; k++)
				if (seen[k].id == o->id && seen[k].token == o->token)
					e = &seen[k];
			for (int k = 0; k < W.nchannels; k++)
				if (strcmp(W.channels[k]->row.name, o->channel) == 0)
					channel = W.channels[k];
			ln_worker_reconstruct(o, e, channel, r);
			ln_trace("rescue",
					 INT64_FORMAT " " UINT64_FORMAT " " UINT64_FORMAT " %s %d %s %s %d %d",
					 o->id, o->token, claimer,
					 e == NULL ? "none" : e->complete ? "complete"
					 : e->asked ? "asked" : "unasked", r->status,
					 ln_line_outcome_name(r->outcome), ln_trace_next(r->next),
					 o->attempt, o->maybe_sent);
			counts[!r->attempted ? 0 : r->status != 0 ? 1 : 2]++;
		}
		nrefused = record_all(recs, m);
		*progress = true;
		ln_phase_ended_messages();

		ereport(LOG,
				(errmsg("recovered %d claims of a process that died: %d never sent, %d answered, %d unknown",
						m, counts[0], counts[1], counts[2]),
				 nrefused > 0
				 ? errdetail("The tables refused %d of them, which were set aside; see line_notify.health().",
							 nrefused)
				 : 0));
		if (nrefused > 0)
		{
			ln_tasks_by(TASK_SET_ASIDE, DT_NOBEGIN);
			ln_tasks_by(TASK_UNBLOCK, DT_NOBEGIN);
		}
	}

	/*
	 * Files of claimers that have no leases go; those of the ones just
	 * recorded only once this has committed.  A claimer that lives (drain) is
	 * watched: nobody tells us when it dies.
	 */
	if (*progress)
	{
		ln_tasks_look_for_due();
		return DT_NOBEGIN;
	}
	ln_journal_sweep(MyDatabaseId, living, nliving);
	return nliving > 1
		? TimestampTzPlusMilliseconds(GetCurrentTimestamp(), RESCUE_GAP)
		: DT_NOEND;
}

static void
record_part(void *arg)
{
	Part	   *p = (Part *) arg;

	(void) ln_outbox_record(p->recs, p->n);
}

/*
 * Record in this transaction; what the tables refuse is halved until the row
 * that they object to stands alone, and that goes aside.  So one such row does
 * not keep the others from being rescued.  Returns how many did.
 */
static int
record_all(LnRecord *recs, int n)
{
	Part		part = {recs, n};
	int			sqlstate = n > 0 ? ln_phase_part(record_part, &part) : 0;
	int			nrefused;

	if (sqlstate == 0)
		return 0;
	if (n == 1)
	{
		ln_worker_set_aside(recs, sqlstate);
		return 1;
	}
	nrefused = record_all(recs, n / 2);
	return nrefused + record_all(recs + n / 2, n - n / 2);
}
