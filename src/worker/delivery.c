/*-------------------------------------------------------------------------
 *
 * delivery.c
 *		The deliveries in hand: a fixed number of places, in lists.
 *
 * A place is free, in the queue of its endpoint (claimed), on the wire, in the
 * list of those that wait to be recorded, or kept until its record is on disk.
 * Each place has its entry in the send journal, which lives as long as it is
 * not free: see send_journal.h.
 *
 * There are twice as many places as may be in hand.  A claim flushes what was
 * recorded before it, so the kept ones were all in hand at the last claim, and
 * the next one finds places without a flush of its own.
 *
 * Some requests are never answered, though those around them are.  One that is
 * unanswered while a later one has its answer, after a multiple of the usual
 * time, is overdue: it does not count against the window any more (it does
 * against max_in_flight), and its failure says nothing of the channel.  When
 * nothing at all is answered, nothing is overdue.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "db/trace.h"
#include "worker/state.h"

/* Overdue after so many times the usual time, and not before (us). */
#define OVERDUE_FACTOR		8
#define OVERDUE_MIN_US		250000

typedef struct DeliveryList
{
	int			head;			/* -1 = empty */
	int			tail;
	int			n;
} DeliveryList;

static Delivery *deliveries;
static int	size;				/* most of them in hand at once */
static int *free_list;			/* a stack of places */
static int	nfree;
static int	nclaimed;
static int	nsent;
static DeliveryList done =
{
	-1, -1, 0
};
static DeliveryList kept =		/* in order of their records */
{
	-1, -1, 0
};
static LnSendJournal *journal;

void
ln_deliveries_init(int n)
{
	int			places = 2 * n;

	size = n;
	deliveries = MemoryContextAllocZero(W.context, sizeof(Delivery) * places);
	free_list = MemoryContextAlloc(W.context, sizeof(int) * places);
	journal = ln_journal_create(MyDatabaseId, W.claimer, places);
	for (int i = 0; i < places; i++)
	{
		deliveries[i].journal = ln_journal_entry(journal, i);
		deliveries[i].next = -1;
		free_list[nfree++] = places - 1 - i;
	}
}

int
ln_deliveries_size(void)
{
	return size;
}

int
ln_deliveries_free(void)
{
	return size - nclaimed - nsent - done.n;
}

int
ln_deliveries_claimed(void)
{
	return nclaimed;
}

int
ln_deliveries_sent(void)
{
	return nsent;
}

int
ln_deliveries_done(void)
{
	return done.n;
}

Delivery   *
ln_delivery(int no)
{
	return &deliveries[no];
}

int
ln_delivery_no(const Delivery *d)
{
	return (int) (d - deliveries);
}

Delivery   *
ln_delivery_peek(int n)
{
	Assert(n < nfree);
	return &deliveries[free_list[nfree - 1 - n]];
}

Delivery   *
ln_delivery_claim(LnChannel *c, LineKind kind, TimestampTz expires_at)
{
	LnQueue    *q = &c->claimed[kind];
	int			no = free_list[--nfree];
	Delivery   *d = &deliveries[no];

	d->state = DELIVERY_CLAIMED;
	d->next = -1;
	d->channel = c;
	d->kind = kind;
	d->expires_at = expires_at;
	if (q->n == 0)
	{
		q->head = no;
		q->expires_at = expires_at;
	}
	else
		deliveries[q->tail].next = no;
	q->tail = no;
	q->n++;
	q->expires_at = Min(q->expires_at, expires_at);
	c->in_flight++;
	nclaimed++;
	return d;
}

Delivery   *
ln_delivery_first(const LnChannel *c, LineKind kind)
{
	const LnQueue *q = &c->claimed[kind];

	return q->n == 0 ? NULL : &deliveries[q->head];
}

/* Takes the one after "before" (-1 = the first) out of a queue. */
static void
unlink_after(LnQueue *q, int before, Delivery *d)
{
	if (before < 0)
		q->head = d->next;
	else
		deliveries[before].next = d->next;
	if (q->tail == ln_delivery_no(d))
		q->tail = before;
	d->next = -1;
	q->n--;
	nclaimed--;
}

static void
append_sent(LnChannel *c, Delivery *d)
{
	int			no = ln_delivery_no(d);

	d->overdue = false;
	d->prev = c->sent_tail;
	d->next = -1;
	if (c->sent_tail >= 0)
		deliveries[c->sent_tail].next = no;
	else
		c->sent_head = no;
	c->sent_tail = no;
	if (c->overdue_from < 0)
		c->overdue_from = no;
	c->sent++;
}

static void
remove_sent(LnChannel *c, Delivery *d)
{
	if (c->overdue_from == ln_delivery_no(d))
		c->overdue_from = d->next;
	if (d->prev >= 0)
		deliveries[d->prev].next = d->next;
	else
		c->sent_head = d->next;
	if (d->next >= 0)
		deliveries[d->next].prev = d->prev;
	else
		c->sent_tail = d->prev;
	c->overdue -= d->overdue;
	c->sent--;
}

int
ln_deliveries_current(LnChannel *c)
{
	TimestampTz before =
	W.now - Max(OVERDUE_MIN_US, OVERDUE_FACTOR * c->window.usual_us);

	while (c->overdue_from >= 0)
	{
		Delivery   *d = &deliveries[c->overdue_from];

		if (d->sent_at >= before || d->sent_at >= c->answered_sent_at)
			break;
		d->overdue = true;
		c->overdue++;
		c->overdue_from = d->next;
	}
	return c->sent - c->overdue;
}

TimestampTz
ln_deliveries_oldest(const LnChannel *c)
{
	return c->sent_head < 0 ? 0 : deliveries[c->sent_head].sent_at;
}

void
ln_delivery_sent(Delivery *d)
{
	LnQueue    *q = &d->channel->claimed[d->kind];

	Assert(d->state == DELIVERY_CLAIMED && q->head == ln_delivery_no(d));
	unlink_after(q, -1, d);
	d->state = DELIVERY_SENT;
	append_sent(d->channel, d);
	nsent++;
}

static void
append(DeliveryList *list, Delivery *d)
{
	int			no = ln_delivery_no(d);

	d->next = -1;
	if (list->n++ == 0)
		list->head = no;
	else
		deliveries[list->tail].next = no;
	list->tail = no;
}

void
ln_delivery_done(Delivery *d)
{
	if (d->state == DELIVERY_SENT)
	{
		remove_sent(d->channel, d);
		nsent--;
	}
	d->state = DELIVERY_DONE;
	append(&done, d);
}

void
ln_deliveries_remove(LnChannel *c, LineKind kind,
					 bool (*which) (const Delivery *d),
					 void (*take) (Delivery *d))
{
	LnQueue    *q = &c->claimed[kind];
	int			before = -1;
	TimestampTz expires_at = DT_NOEND;

	for (int i = q->head, n = q->n; n > 0; n--)
	{
		Delivery   *d = &deliveries[i];

		i = d->next;
		if (which == NULL || which(d))
		{
			unlink_after(q, before, d);
			take(d);
			continue;
		}
		before = ln_delivery_no(d);
		expires_at = Min(expires_at, d->expires_at);
	}
	q->expires_at = expires_at;
}

Delivery   *
ln_deliveries_done_first(void)
{
	return done.n == 0 ? NULL : &deliveries[done.head];
}

Delivery   *
ln_deliveries_done_next(const Delivery *d)
{
	return d->next < 0 ? NULL : &deliveries[d->next];
}

/* Those whose record is flushed are free. */
static void
release(XLogRecPtr flushed)
{
	while (kept.n > 0 && deliveries[kept.head].record_end <= flushed)
	{
		Delivery   *d = &deliveries[kept.head];

		kept.head = d->next;
		kept.n--;
		d->next = -1;
		d->state = DELIVERY_FREE;
		ln_trace("freed", INT64_FORMAT " " UINT64_FORMAT " %lld %lld", d->id,
				 d->token, (long long) d->record_end,
				 (long long) ln_trace_flushed());
		ln_journal_free(d->journal);
		free_list[nfree++] = ln_delivery_no(d);
	}
}

void
ln_deliveries_flush(void)
{
	if (kept.n == 0)
		return;
	XLogFlush(deliveries[kept.tail].record_end);
	release(deliveries[kept.tail].record_end);
}

void
ln_deliveries_reserve(int n)
{
	release(GetFlushRecPtr(NULL));
	if (nfree < n)
		ln_deliveries_flush();
	Assert(nfree >= n);
}

TimestampTz
ln_deliveries_unflushed_since(void)
{
	return kept.n == 0 ? 0 : deliveries[kept.head].recorded_at;
}

void
ln_deliveries_sweep(void)
{
	DeliveryList left = {-1, -1, 0};

	for (int i = done.head, n = done.n; n > 0; n--)
	{
		Delivery   *d = &deliveries[i];

		i = d->next;
		if (d->state == DELIVERY_KEPT)
		{
			/* at least as late as the commit that recorded it */
			d->record_end = XactLastCommitEnd;
			d->recorded_at = W.now;
			append(&kept, d);
		}
		else
			append(&left, d);
	}
	done = left;
	release(GetFlushRecPtr(NULL));
}

void
ln_deliveries_set_back(int64 by)
{
	for (int i = 0; i < 2 * size; i++)
	{
		Delivery   *d = &deliveries[i];

		/* the journal keeps what was read: this one's record is durable */
		if (d->state == DELIVERY_SENT)
			d->sent_at = ln_set_back(d->sent_at, by);
		if (d->state == DELIVERY_DONE)
		{
			d->record_at = ln_set_back(d->record_at, by);
			d->retry_at = ln_set_back(d->retry_at, by);
		}
	}
}

bool
ln_deliveries_have_order(const LnChannel *c, int64 order_hash)
{
	for (int i = 0; i < 2 * size; i++)
	{
		const Delivery *d = &deliveries[i];

		if (d->state != DELIVERY_FREE && d->state != DELIVERY_KEPT &&
			d->ordered &&
			d->order_hash == order_hash && d->channel == c)
			return true;
	}
	return false;
}

void
ln_deliveries_end_journal(void)
{
	ln_deliveries_flush();
	if (journal != NULL)
		ln_journal_destroy(journal);
	journal = NULL;
}
