/*-------------------------------------------------------------------------
 *
 * outbox_webhook.c
 *		Webhook events: inserted when they come, folded into messages in order.
 *
 * receive_webhook() only inserts, so it cannot deadlock with recording, nor be
 * lost against it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "db/message_columns.h"
#include "db/outbox.h"
#include "db/sql.h"
#include "db/trace.h"

/* a webhook event while it is folded */
typedef struct Event
{
	int64		seq;
	char	   *type;
	int64		id;				/* 0 = it has no tag of ours */
	int64		token;
	TimestampTz at;
	char	   *event;
	char	   *channel;
	char	   *recipient;		/* or NULL */
} Event;

static int	find_busy(const int64 *ids, int n, int64 **busy);
static int	compare_ids(const void *a, const void *b);
static void fold_tagged(Event *const *list, int n);
static bool fold_untagged(const Event *e);
static void count_follows(Event *const *list, int n);
static bool is_among(Event *const *list, int n, int64 id);

/*
 * Events are taken in the order they came in.  A message may be in any of
 * three places; the worker is the only one that moves it between them, so
 * within this transaction it cannot slip through.  What somebody else has
 * locked (a redrive() that is not committed) is not waited for: the events of
 * that message stay.
 */
int
ln_outbox_fold(int limit, int64 *after, bool *left)
{
	static LnStatement take = {
		.name = "fold: take",
		.sql =
		"SELECT e.type, e.message_id, e.token, e.event_at, e.event_id,"
		" e.channel, e.recipient, e.seq"
		" FROM line_notify.webhook_event e WHERE e.seq > $2 ORDER BY e.seq"
		" LIMIT $1 FOR UPDATE SKIP LOCKED",
		.nargs = 2,
		.argtypes = {INT4OID, INT8OID}
	};
	static LnStatement taken = {
		.name = "fold: taken",
		.sql =
		"DELETE FROM line_notify.webhook_event e WHERE e.seq = ANY ($1)",
		.nargs = 1,
		.argtypes = {INT8ARRAYOID}
	};
	Datum		args[] = {Int32GetDatum(limit), Int64GetDatum(*after)};
	int			n;
	int			ntagged = 0;
	int			nuntagged = 0;
	int			nfollows = 0;
	int			ntaken = 0;
	int			nbusy;
	bool		repeats = false;
	Event	   *list;
	Event	  **tagged;
	Event	  **untagged;
	Event	  **follows;
	int64	   *seqs;
	int64	   *ids;
	int64	   *busy;

	*left = false;
	n = (int) ln_sql_run(&take, args, NULL, SPI_OK_SELECT);
	list = palloc0(sizeof(Event) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		list[i].type = ln_sql_text(i, 1);
		list[i].id = ln_sql_int8(i, 2, 0);
		list[i].token = ln_sql_int8(i, 3, 0);
		list[i].at = ln_sql_int8(i, 4, 0);
		list[i].event = ln_sql_text(i, 5);
		list[i].channel = ln_sql_text(i, 6);
		list[i].recipient = ln_sql_text(i, 7);
		list[i].seq = ln_sql_int8(i, 8, 0);
	}
	/* those that were left do not stand in the way of the others */
	*after = n == limit ? list[n - 1].seq : 0;
	if (n == 0)
		return 0;

	tagged = palloc(sizeof(Event *) * n);
	untagged = palloc(sizeof(Event *) * n);
	follows = palloc(sizeof(Event *) * n);
	seqs = palloc(sizeof(int64) * n);
	ids = palloc(sizeof(int64) * n);
	for (int i = 0; i < n; i++)
		if (list[i].id != 0)
			ids[ntagged++] = list[i].id;
	nbusy = find_busy(ids, ntagged, &busy);
	/* two events of one message: one after the other */
	qsort(ids, ntagged, sizeof(int64), compare_ids);
	for (int i = 1; i < ntagged && !repeats; i++)
		repeats = ids[i] == ids[i - 1];

	ntagged = 0;
	for (int i = 0; i < n; i++)
	{
		Event	   *e = &list[i];

		if (strcmp(e->type, "delivery") != 0)
			follows[nfollows++] = e;
		else if (e->id == 0)
		{
			untagged[nuntagged++] = e;
			continue;
		}
		else if ((nbusy > 0 && bsearch(&e->id, busy, nbusy, sizeof(int64),
									   compare_ids) != NULL) ||
				 (repeats && is_among(tagged, ntagged, e->id)))
		{
			*left = true;
			continue;
		}
		else
			tagged[ntagged++] = e;
		seqs[ntaken++] = e->seq;
	}
	if (ntagged > 0)
		fold_tagged(tagged, ntagged);
	/* one by one: two of them may be about two messages to the same person */
	for (int i = 0; i < nuntagged; i++)
	{
		if (fold_untagged(untagged[i]))
			seqs[ntaken++] = untagged[i]->seq;
		else
			*left = true;
	}
	if (nfollows > 0)
		count_follows(follows, nfollows);
	if (ntaken > 0)
	{
		args[0] = ln_sql_int8_array(seqs, ntaken);
		(void) ln_sql_run(&taken, args, NULL, SPI_OK_DELETE);
	}
	return ntaken;
}

void
ln_outbox_refused_event(int64 seq, int sqlstate)
{
	static LnStatement st = {
		.name = "refused event",
		.sql =
		"UPDATE line_notify.webhook_event SET why = $2 WHERE seq = $1",
		.nargs = 2,
		.argtypes = {INT8OID, TEXTOID}
	};
	Datum		args[] = {
		Int64GetDatum(seq), CStringGetTextDatum(unpack_sql_state(sqlstate))
	};

	(void) ln_sql_run(&st, args, NULL, SPI_OK_UPDATE);
}

/*
 * Delivery events with our tag: the message may wait, be on the wire, or have
 * ended.
 */
static void
fold_tagged(Event *const *list, int n)
{
	/*
	 * Several attempts at one message, and LINE delivered more than one of
	 * them (redrive, on_unknown = retry): each is billed, so each is counted,
	 * once.  An attempt that was heard of is known by the event in its row of
	 * attempt_log, the last one by that of the message.
	 */
	static LnStatement has_attempts = {
		.name = "fold tagged: has attempts",
		.sql =
		"SELECT FROM line_notify.attempt_log a WHERE a.id = ANY ($1) LIMIT 1",
		.nargs = 1,
		.argtypes = {INT8ARRAYOID}
	};
	static LnStatement count_again = {
		.name = "fold tagged: count again",
		.sql =
		"WITH x AS ("
		"  SELECT e.*, h.channel, h.template_key, h.aggregation_unit,"
		" h.token = e.token AS last"
		"  FROM unnest($1, $2, $3, $4) AS e(id, token, at, event)"
		"  JOIN line_notify.history h ON h.id = e.id"
		"  WHERE h.id = ANY ($1) AND h.state = 'delivered'"
		" AND h.delivery_event IS DISTINCT FROM e.event"
		"  AND EXISTS (SELECT FROM line_notify.attempt_log a WHERE a.id = e.id"
		"   AND CASE WHEN h.token = e.token"
		" THEN a.delivery_event = h.delivery_event"
		"    ELSE a.token = e.token AND a.delivery_event IS NULL END)),"
		" u AS (UPDATE line_notify.history h SET delivery_event = x.event"
		" FROM x"
		"  WHERE h.id = ANY ($1) AND h.id = x.id AND x.last)"
		" INSERT INTO line_notify.daily_count (channel, day, kind,"
		" aggregation_unit, outcome, n)"
		" SELECT x.channel, (x.at AT TIME ZONE 'Asia/Tokyo')::date,"
		"  CASE WHEN x.template_key IS NULL THEN 'flexible'"
		" ELSE 'template' END, x.aggregation_unit, 'delivered', count(*)"
		" FROM x GROUP BY 1, 2, 3, 4",
		.nargs = 4,
		.argtypes = {
			INT8ARRAYOID, INT8ARRAYOID, TIMESTAMPTZARRAYOID, TEXTARRAYOID
		}
	};
	static LnStatement note_attempts = {
		.name = "fold tagged: note attempts",
		.sql =
		"UPDATE line_notify.attempt_log a SET delivery_event = e.event"
		" FROM unnest($1, $2, $3, $4) AS e(id, token, at, event)"
		" WHERE a.ctid = ANY (ARRAY(SELECT x.ctid"
		" FROM line_notify.attempt_log x"
		"  WHERE x.id = ANY ($1) AND x.delivery_event IS NULL"
		" FOR UPDATE SKIP LOCKED))"
		" AND a.id = e.id AND a.token = e.token",
		.nargs = 4,
		.argtypes = {
			INT8ARRAYOID, INT8ARRAYOID, TIMESTAMPTZARRAYOID, TEXTARRAYOID
		}
	};
	static LnStatement fold_history = {
		.name = "fold tagged: fold history",
		.sql =
		"UPDATE line_notify.history h SET state = 'delivered',"
		" delivered_at = e.at, delivery_event = e.event,"
		"  token = coalesce(h.token, e.token)"
		" FROM unnest($1, $2, $3, $4) AS e(id, token, at, event)"
		" WHERE h.id = ANY ($1) AND h.id = e.id AND h.state <> 'delivered'"
		/* in doubt after a promotion: the claim was never heard of here */
		" AND (h.token = e.token OR h.token IS NULL AND h.state = 'unknown'"
		" AND NOT h.maybe_sent"
		"  OR EXISTS (SELECT FROM line_notify.attempt_log a WHERE a.id = e.id"
		" AND a.token = e.token))",
		.nargs = 4,
		.argtypes = {
			INT8ARRAYOID, INT8ARRAYOID, TIMESTAMPTZARRAYOID, TEXTARRAYOID
		}
	};
	static LnStatement fold_in_flight = {
		.name = "fold tagged: fold in flight",
		.sql =
		"UPDATE line_notify.in_flight f SET delivered_at = e.at,"
		" delivery_event = e.event"
		" FROM unnest($1, $2, $3, $4) AS e(id, token, at, event)"
		" WHERE f.id = ANY ($1) AND f.id = e.id AND f.delivered_at IS NULL"
		" AND (f.token = e.token"
		" OR EXISTS (SELECT FROM line_notify.attempt_log a"
		" WHERE a.id = e.id AND a.token = e.token))",
		.nargs = 4,
		.argtypes = {
			INT8ARRAYOID, INT8ARRAYOID, TIMESTAMPTZARRAYOID, TEXTARRAYOID
		}
	};
	static LnStatement fold_waiting = {
		.name = "fold tagged: fold waiting",
		.sql =
		"WITH e AS (SELECT DISTINCT ON (e.id) e.* FROM unnest($1, $2, $3,"
		" $4) AS e(id, token, at, event) ORDER BY e.id),"
		" o AS (DELETE FROM line_notify.outbox o USING e"
		"  WHERE o.id = ANY ($1) AND o.id = e.id"
		"  AND (EXISTS (SELECT FROM line_notify.attempt_log a"
		" WHERE a.id = e.id AND a.token = e.token)"
		/* after a promotion: a claim that this server never heard of */
		"   OR o.due_at <= (SELECT i.in_doubt_before"
		" FROM line_notify.identity i WHERE i.home = o.home))"
		"  AND (SELECT true FROM line_notify.in_flight f"
		" WHERE f.id = o.id) IS NULL"
		"  RETURNING o.*, e.token, e.at, e.event)"
		" INSERT INTO line_notify.history (id, channel, priority,"
		LN_KEPT_COLUMNS
		"  state, attempts, maybe_sent, token, error, created_at, due_at,"
		" expires_at, ended_at, delivered_at, delivery_event)"
		" SELECT o.id, o.channel, o.priority," LN_KEPT_COLUMNS_OF_O
		"  'delivered', o.attempts, o.maybe_sent, o.token, o.error,"
		" o.created_at, o.due_at, o.expires_at,"
		"  clock_timestamp(), o.at, o.event FROM o",
		.nargs = 4,
		.argtypes = {
			INT8ARRAYOID, INT8ARRAYOID, TIMESTAMPTZARRAYOID, TEXTARRAYOID
		}
	};

	/*
	 * Another database may send through the same LINE channel, which has one
	 * webhook: health() has to be able to say so.  Looked for after the
	 * others, so that what they moved is not taken for it.
	 */
	static LnStatement count_elsewhere = {
		.name = "fold tagged: count elsewhere",
		.sql =
		"INSERT INTO line_notify.daily_count (channel, day, kind, outcome, n)"
		" SELECT e.channel, (e.at AT TIME ZONE 'Asia/Tokyo')::date, 'account',"
		" 'elsewhere', count(*)"
		" FROM unnest($1, $2, $3, $4, $5) AS e(id, token, at, event, channel)"
		" WHERE NOT EXISTS (SELECT FROM line_notify.history h"
		" WHERE h.id = e.id AND h.token = e.token)"
		" AND NOT EXISTS (SELECT FROM line_notify.in_flight f"
		" WHERE f.id = e.id AND f.token = e.token)"
		" AND NOT EXISTS (SELECT FROM line_notify.attempt_log a"
		" WHERE a.id = e.id AND a.token = e.token)"
		" GROUP BY 1, 2",
		.nargs = 5,
		.argtypes = {
			INT8ARRAYOID, INT8ARRAYOID, TIMESTAMPTZARRAYOID, TEXTARRAYOID,
			TEXTARRAYOID
		}
	};
	int64	   *ids = palloc(sizeof(int64) * n);
	int64	   *tokens = palloc(sizeof(int64) * n);
	TimestampTz *ats = palloc(sizeof(TimestampTz) * n);
	const char **events = palloc(sizeof(char *) * n);
	const char **channels = palloc(sizeof(char *) * n);
	uint64		known;
	bool		attempts;
	Datum		args[5];

	for (int i = 0; i < n; i++)
	{
		ids[i] = list[i]->id;
		tokens[i] = list[i]->token;
		ats[i] = list[i]->at;
		events[i] = list[i]->event;
		channels[i] = list[i]->channel;
		ln_trace("fold", INT64_FORMAT " " UINT64_FORMAT, ids[i], tokens[i]);
	}
	args[0] = ln_sql_int8_array(ids, n);
	args[1] = ln_sql_int8_array(tokens, n);
	args[2] = ln_sql_timestamptz_array(ats, n);
	args[3] = ln_sql_text_array(events, n);
	args[4] = ln_sql_text_array(channels, n);

	attempts = ln_sql_run(&has_attempts, args, NULL, SPI_OK_SELECT) > 0;
	if (attempts)
		(void) ln_sql_run(&count_again, args, NULL, SPI_OK_INSERT);
	known = ln_sql_run(&fold_history, args, NULL, SPI_OK_UPDATE);
	known += ln_sql_run(&fold_in_flight, args, NULL, SPI_OK_UPDATE);
	known += ln_sql_run(&fold_waiting, args, NULL, SPI_OK_INSERT);
	if (attempts)
		(void) ln_sql_run(&note_attempts, args, NULL, SPI_OK_UPDATE);
	if (known < n)
		(void) ln_sql_run(&count_elsewhere, args, NULL, SPI_OK_INSERT);
}

/*
 * An event without tag names the recipient only: it is taken to mean the
 * oldest message to them that waits for one.  False: somebody has that locked,
 * or it is still being sent.
 */
static bool
fold_untagged(const Event *e)
{
	static LnStatement find = {
		.name = "fold untagged: find",
		.sql =
		"SELECT x.id FROM line_notify.history x"
		" WHERE x.recipient = $2 AND x.channel = $1"
		" AND x.state IN ('accepted', 'unknown', 'undelivered')"
		" AND x.sent_at <= $3 + interval '1 minute'"
		" AND x.sent_at > $3 - interval '25 hours'"
		" AND NOT EXISTS (SELECT FROM line_notify.history y"
		"  WHERE y.recipient = $2 AND y.delivery_event = $4)"
		" ORDER BY x.sent_at, x.id LIMIT 1",
		.nargs = 4,
		.argtypes = {TEXTOID, TEXTOID, TIMESTAMPTZOID, TEXTOID}
	};

	/* the event may have overtaken the answer to the message it is about */
	static LnStatement on_the_wire = {
		.name = "fold untagged: on the wire",
		.sql =
		"SELECT FROM line_notify.in_flight f JOIN line_notify.outbox o"
		" ON o.id = f.id"
		" WHERE o.recipient = $2 AND o.channel = $1"
		" AND f.claimed_at <= $3 + interval '1 minute'"
		" AND f.claimed_at > $3 - interval '25 hours'"
		" AND NOT EXISTS (SELECT FROM line_notify.history y"
		"  WHERE y.recipient = $2 AND y.delivery_event = $4) LIMIT 1",
		.nargs = 4,
		.argtypes = {TEXTOID, TEXTOID, TIMESTAMPTZOID, TEXTOID}
	};
	static LnStatement deliver = {
		.name = "fold untagged: deliver",
		.sql =
		"UPDATE line_notify.history h SET state = 'delivered',"
		" delivered_at = $2, delivery_event = $3"
		" WHERE h.id = $1",
		.nargs = 3,
		.argtypes = {INT8OID, TIMESTAMPTZOID, TEXTOID}
	};
	Datum		args[] = {CStringGetTextDatum(e->channel),
		CStringGetTextDatum(e->recipient ? e->recipient : ""),
	TimestampTzGetDatum(e->at), CStringGetTextDatum(e->event)};
	Datum		found[] = {0, args[2], args[3]};
	int64		id;
	int64	   *busy;

	if (ln_sql_run(&find, args, NULL, SPI_OK_SELECT) == 0)
		return ln_sql_run(&on_the_wire, args, NULL, SPI_OK_SELECT) ==
			0;					/* nothing it could mean */
	id = ln_sql_int8(0, 1, 0);
	if (find_busy(&id, 1, &busy) > 0)
		return false;
	found[0] = Int64GetDatum(id);
	(void) ln_sql_run(&deliver, found, NULL, SPI_OK_UPDATE);
	ln_trace("fold", INT64_FORMAT " 0", id);
	return true;
}

/* follow and unfollow events: counted, and nothing else is kept of them */
static void
count_follows(Event *const *list, int n)
{
	static LnStatement count = {
		.name = "count follows: count",
		.sql =
		"WITH fresh AS ("
		" INSERT INTO line_notify.seen_event (event_id)"
		" SELECT e.event FROM unnest($4) AS e(event) ON CONFLICT DO NOTHING"
		" RETURNING event_id)"
		" INSERT INTO line_notify.daily_count (channel, day, kind, outcome, n)"
		" SELECT e.channel, (e.at AT TIME ZONE 'Asia/Tokyo')::date, 'account',"
		" e.type, count(*)"
		" FROM unnest($1, $2, $3, $4) AS e(channel, type, at, event)"
		" JOIN fresh f ON f.event_id = e.event GROUP BY 1, 2, 4",
		.nargs = 4,
		.argtypes = {
			TEXTARRAYOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID, TEXTARRAYOID
		}
	};
	const char **channels = palloc(sizeof(char *) * n);
	const char **types = palloc(sizeof(char *) * n);
	const char **events = palloc(sizeof(char *) * n);
	TimestampTz *ats = palloc(sizeof(TimestampTz) * n);
	Datum		args[4];

	for (int i = 0; i < n; i++)
	{
		channels[i] = list[i]->channel;
		types[i] = list[i]->type;
		events[i] = list[i]->event;
		ats[i] = list[i]->at;
	}
	args[0] = ln_sql_text_array(channels, n);
	args[1] = ln_sql_text_array(types, n);
	args[2] = ln_sql_timestamptz_array(ats, n);
	args[3] = ln_sql_text_array(events, n);
	(void) ln_sql_run(&count, args, NULL, SPI_OK_INSERT);
}

/* Is there an event of this message in the list? */
static bool
is_among(Event *const *list, int n, int64 id)
{
	for (int i = 0; i < n; i++)
		if (list[i]->id == id)
			return true;
	return false;
}

int
ln_outbox_insert_events(const char *channel, const LnEvent *events, int n)
{
	/*
	 * New is what neither waits to be folded nor was folded into its message
	 * already.  ON CONFLICT waits for a concurrent copy of the same event.
	 */
	static LnStatement st = {
		.name = "insert events",
		.sql =
		"INSERT INTO line_notify.webhook_event (channel, event_id, type,"
		" message_id, attempt, token, recipient, event_at)"
		" SELECT $1, e.event_id, e.type, nullif(e.message_id, 0),"
		" nullif(e.attempt, 0),"
		"  CASE WHEN e.message_id OPERATOR(pg_catalog.<>) 0"
		" THEN e.token END, nullif(e.recipient, ''), e.event_at"
		" FROM unnest($2, $3, $4, $5, $6, $7, $8) WITH ORDINALITY"
		"  AS e(event_id, type, message_id, attempt, token, recipient,"
		" event_at, n)"
		" WHERE NOT EXISTS (SELECT FROM line_notify.history h"
		"  WHERE h.id OPERATOR(pg_catalog.=) e.message_id"
		" AND h.delivery_event OPERATOR(pg_catalog.=) e.event_id)"
		" AND NOT EXISTS (SELECT FROM line_notify.attempt_log a"
		"  WHERE a.id OPERATOR(pg_catalog.=) e.message_id"
		" AND a.delivery_event OPERATOR(pg_catalog.=) e.event_id)"
		" AND NOT EXISTS (SELECT FROM line_notify.seen_event s"
		" WHERE s.event_id OPERATOR(pg_catalog.=) e.event_id)"
		" ORDER BY e.n"			/* whatever way it is joined */
		" ON CONFLICT (event_id) DO NOTHING",
		.nargs = 8,
		.argtypes = {
			TEXTOID, TEXTARRAYOID, TEXTARRAYOID, INT8ARRAYOID, INT4ARRAYOID,
			INT8ARRAYOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID
		}
	};
	const char **ids = palloc(sizeof(char *) * n);
	const char **types = palloc(sizeof(char *) * n);
	int64	   *messages = palloc(sizeof(int64) * n);
	int		   *attempts = palloc(sizeof(int) * n);
	int64	   *tokens = palloc(sizeof(int64) * n);
	const char **recipients = palloc(sizeof(char *) * n);
	TimestampTz *ats = palloc(sizeof(TimestampTz) * n);
	Datum		args[8];

	for (int i = 0; i < n; i++)
	{
		ids[i] = events[i].event_id;
		types[i] = events[i].type;
		messages[i] = events[i].tagged ? events[i].message_id : 0;
		attempts[i] = events[i].tagged ? events[i].attempt : 0;
		tokens[i] = (int64) events[i].token;
		recipients[i] = events[i].recipient ? events[i].recipient : "";
		ats[i] = events[i].event_at;
	}
	args[0] = CStringGetTextDatum(channel);
	args[1] = ln_sql_text_array(ids, n);
	args[2] = ln_sql_text_array(types, n);
	args[3] = ln_sql_int8_array(messages, n);
	args[4] = ln_sql_int4_array(attempts, n);
	args[5] = ln_sql_int8_array(tokens, n);
	args[6] = ln_sql_text_array(recipients, n);
	args[7] = ln_sql_timestamptz_array(ats, n);
	return (int) ln_sql_run(&st, args, NULL, SPI_OK_INSERT);
}

/*
 * Which of these messages has somebody locked?  The others are ours from here
 * on.  Sorted.
 */
static int
find_busy(const int64 *ids, int n, int64 **busy)
{
	static LnStatement st = {
		.name = "find busy",
		.sql =
		"WITH h AS MATERIALIZED (SELECT h.id FROM line_notify.history h"
		" WHERE h.id = ANY ($1) FOR UPDATE SKIP LOCKED),"
		" o AS MATERIALIZED (SELECT o.id FROM line_notify.outbox o"
		" WHERE o.id = ANY ($1) FOR UPDATE SKIP LOCKED)"
		" SELECT DISTINCT x.id FROM (SELECT h.id FROM line_notify.history h"
		" WHERE h.id = ANY ($1)"
		"  EXCEPT ALL SELECT h.id FROM h) x"
		" UNION SELECT y.id FROM (SELECT o.id FROM line_notify.outbox o"
		" WHERE o.id = ANY ($1)"
		"  EXCEPT ALL SELECT o.id FROM o) y"
		" ORDER BY 1",
		.nargs = 1,
		.argtypes = {INT8ARRAYOID}
	};
	Datum		arg;
	int			m;
	int64	   *list;

	*busy = NULL;
	if (n == 0)
		return 0;
	arg = ln_sql_int8_array(ids, n);
	m = (int) ln_sql_run(&st, &arg, NULL, SPI_OK_SELECT);
	list = palloc(sizeof(int64) * Max(m, 1));
	for (int i = 0; i < m; i++)
		list[i] = ln_sql_int8(i, 1, 0);
	*busy = list;
	return m;
}

static int
compare_ids(const void *a, const void *b)
{
	int64		x = *(const int64 *) a;
	int64		y = *(const int64 *) b;

	return (x > y) - (x < y);
}
