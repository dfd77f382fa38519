/*-------------------------------------------------------------------------
 *
 * outbox.c
 *		All SQL of the sender: channels, claim, record, rescue, webhook events.
 *
 * Statements are constant texts, prepared once and kept, every name qualified.
 * They run under the worker's pinned settings, or (receive_webhook, the insert
 * trigger) under the owner with names and operators of pg_catalog only.
 *
 * The plans.  Statistics of a queue may say anything, so the worker's settings
 * (pin_settings) leave hash joins only, and each table has an index condition
 * of its own: "id = ANY ($1)" beside the join, a scalar subquery in place of
 * NOT EXISTS.  Without them a batch of n is joined in n * n steps, or a table
 * is read whole because it was empty when it was last analyzed.
 *
 * The protocol.  A row of outbox is written once.  Claiming inserts a lease
 * (id, token) into in_flight; recording deletes the lease, and only when that
 * hit exactly the token it was given, deletes the row and writes history.  So
 * two processes can never both record, and a lease left by a dead process is
 * visible as such at once.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "content/encoding.h"
#include "db/outbox.h"
#include "db/policy.h"

/* kept plans, one per statement */
typedef struct Statement
{
	const char *sql;
	int			nargs;
	Oid			argtypes[12];
	bool		read_only;		/* in the active snapshot, not in a new one */
	SPIPlanPtr	plan;
} Statement;

/* history has partitions for ids below this */
static int64 covered = PG_INT64_MIN;

static uint64 run(Statement *st, Datum *args, const char *nulls, int expect);
static int64 ensure_history(int64 id);
static int	find_busy(const int64 *ids, int n, int64 **busy);
static int	compare_ids(const void *a, const void *b);

static Datum int8_array(const int64 *v, int n);
static Datum int4_array(const int *v, int n);
static Datum bool_array(const bool *v, int n);
static Datum text_array(const char *const *v, int n);
static Datum timestamptz_array(const TimestampTz *v, int n);

static char *utf8_text(int row, int col, bool *fault);
static char *column_text(int row, int col);
static int64 column_int8(int row, int col, int64 if_null);
static int	column_int4(int row, int col, int if_null);
static LnPolicy *column_policy(int row, int col);
static bool column_bool(int row, int col);
static char **column_text_array(int row, int col, int *n);
static int64 column_interval_us(int row, int col);

/* results are made in the caller's context, not in SPI's */
static MemoryContext caller_context;

#define CALLER_CONTEXT(stmt) \
	do { \
		MemoryContext old_ = MemoryContextSwitchTo(caller_context); \
		stmt; \
		MemoryContextSwitchTo(old_); \
	} while (0)

/*
 * Run a kept statement in a snapshot of its own.  Results are in
 * SPI_tuptable.  expect is the SPI code of success.
 */
static uint64
run(Statement *st, Datum *args, const char *nulls, int expect)
{
	MemoryContext ctx = CurrentMemoryContext;
	int			rc;

	if (st->plan == NULL)
	{
		SPIPlanPtr	plan = SPI_prepare(st->sql, st->nargs, st->argtypes);

		if (plan == NULL)
			elog(ERROR, "could not prepare statement: %s",
				 SPI_result_code_string(SPI_result));
		SPI_keepplan(plan);
		st->plan = plan;
	}
	rc = SPI_execute_plan(st->plan, args, nulls, st->read_only, 0);
	if (rc != expect)
		elog(ERROR, "unexpected result of a statement: %s",
			 SPI_result_code_string(rc));
	/* SPI leaves its own context behind */
	MemoryContextSwitchTo(ctx);
	return SPI_processed;
}

char *
ln_outbox_extension_version(void)
{
	static Statement st = {
		.sql =
		"SELECT e.extversion FROM pg_catalog.pg_extension e"
		" WHERE e.extname OPERATOR(pg_catalog.=) 'line_notify'",
		.nargs = 0
	};
	MemoryContext ctx = CurrentMemoryContext;

	caller_context = ctx;
	if (run(&st, NULL, NULL, SPI_OK_SELECT) == 0)
		return NULL;
	return column_text(0, 1);
}

int64
ln_outbox_local_home(void)
{
	static Statement st = {
		.sql =
		"SELECT line_notify._local_home()",
		.nargs = 0
	};

	(void) run(&st, NULL, NULL, SPI_OK_SELECT);
	return column_int8(0, 1, 0);
}

int
ln_outbox_load_channels(LnChannelRow **rows)
{
	static Statement st = {
		.sql =
		"SELECT name, home, api_base, line_channel_id, region, rate_limit, max_in_flight,"
		" default_ttl, on_invalid, on_unknown, on_server_error, max_attempts,"
		" backoff_base, backoff_cap, connect_timeout, total_timeout, use_case_required,"
		" proxy, ca_file, paused_at IS NOT NULL, pause_automatic,"
		" settle_window, dedup_window, on_duplicate, time_zone, quiet_hours, daily_budget, only_recipients,"
		" catalogue_only"
		" FROM line_notify.channel ORDER BY name",
		.nargs = 0,
		.read_only = true
	};
	int			n;
	LnChannelRow *list;

	caller_context = CurrentMemoryContext;
	n = (int) run(&st, NULL, NULL, SPI_OK_SELECT);
	CALLER_CONTEXT(list = palloc0(sizeof(LnChannelRow) * Max(n, 1)));
	for (int i = 0; i < n; i++)
	{
		LnChannelRow *c = &list[i];

		c->name = column_text(i, 1);
		c->home = column_int8(i, 2, 0);
		c->api_base = column_text(i, 3);
		c->line_channel_id = column_text(i, 4);
		c->region = column_text(i, 5);
		c->rate_limit = column_int4(i, 6, 2000);
		c->max_in_flight = column_int4(i, 7, 1);
		c->default_ttl_us = column_interval_us(i, 8);
		c->on_invalid_error = strcmp(column_text(i, 9), "error") == 0;
		c->on_unknown =
			strcmp(column_text(i, 10), "retry") == 0 ? LINE_RETRY : LINE_HOLD;
		c->on_server_error =
			strcmp(column_text(i, 11), "retry") == 0 ? LINE_RETRY : LINE_HOLD;
		c->max_attempts = column_int4(i, 12, INT_MAX);
		c->backoff_base_ms = column_interval_us(i, 13) / 1000;
		c->backoff_cap_ms = column_interval_us(i, 14) / 1000;
		c->connect_timeout_ms = (int) (column_interval_us(i, 15) / 1000);
		c->total_timeout_ms = (int) (column_interval_us(i, 16) / 1000);
		c->use_case_required = column_bool(i, 17);
		c->proxy = column_text(i, 18);
		c->ca_file = column_text(i, 19);
		c->paused = column_bool(i, 20);
		c->paused_automatically = c->paused && column_bool(i, 21);
		c->settle_window_us = column_interval_us(i, 22);
		c->dedup_window_us = column_interval_us(i, 23);
		c->replace_duplicate = strcmp(column_text(i, 24), "replace") == 0;
		c->time_zone = column_text(i, 25);
		c->quiet_hours = column_text(i, 26);
		c->daily_budget = column_int4(i, 27, 0);
		c->only_recipients = column_text_array(i, 28, &c->nonly_recipients);
		c->catalogue_only = column_bool(i, 29);
		if (c->only_recipients != NULL)
			qsort(c->only_recipients, c->nonly_recipients, sizeof(char *),
				  ln_outbox_compare_recipients);
	}
	*rows = list;
	return n;
}

void
ln_outbox_load_credentials(LnChannelRow *rows, int n)
{
	static Statement st = {
		.sql =
		"SELECT channel, kind, value, key_id, flow FROM line_notify.credential",
		.nargs = 0
	};
	int			m;

	caller_context = CurrentMemoryContext;
	m = (int) run(&st, NULL, NULL, SPI_OK_SELECT);
	for (int i = 0; i < m; i++)
	{
		char	   *channel = column_text(i, 1);
		char	   *kind = column_text(i, 2);

		for (int j = 0; j < n; j++)
		{
			if (strcmp(rows[j].name, channel) != 0)
				continue;
			if (strcmp(kind, "access_token") == 0 ||
				strcmp(kind, "client_secret") == 0 ||
				strcmp(kind, "jwt_key") == 0)
			{
				/* set_credential() keeps one of them */
				rows[j].credential = kind[0] == 'a' ? LN_CREDENTIAL_TOKEN :
					kind[0] == 'c' ? LN_CREDENTIAL_SECRET : LN_CREDENTIAL_JWT;
				rows[j].credential_value = column_text(i, 3);
				rows[j].credential_key_id = column_text(i, 4);
				rows[j].credential_v21 = column_text(i, 5) != NULL &&
					strcmp(column_text(i, 5), "v2.1") == 0;
			}
			else if (strcmp(kind, "channel_secret") == 0)
				rows[j].channel_secret = column_text(i, 3);
			else if (strcmp(kind, "previous_channel_secret") == 0)
				rows[j].previous_channel_secret = column_text(i, 3);
		}
	}
}

void
ln_outbox_load_flow(LnChannelRow *rows, int n)
{
	static Statement parts = {
		.sql =
		"SELECT channel, scope, subject FROM line_notify.partial_pause",
		.nargs = 0
	};
	static Statement sent = {
		.sql =
		"SELECT c.name, coalesce(d.sent, 0),"
		" ((clock_timestamp() AT TIME ZONE c.time_zone)::date + 1)::timestamp AT TIME ZONE c.time_zone"
		" FROM line_notify.channel c LEFT JOIN line_notify.daily_sent d"
		"  ON d.channel = c.name AND d.day = (clock_timestamp() AT TIME ZONE c.time_zone)::date",
		.nargs = 0
	};
	int			m;

	caller_context = CurrentMemoryContext;
	m = (int) run(&parts, NULL, NULL, SPI_OK_SELECT);
	for (int j = 0; j < n; j++)
	{
		CALLER_CONTEXT(rows[j].paused_subjects =
					   palloc(sizeof(char *) * Max(m, 1)));
		CALLER_CONTEXT(rows[j].paused_use_cases =
					   palloc(sizeof(char *) * Max(m, 1)));
		rows[j].npaused_subjects = 0;
		rows[j].npaused_use_cases = 0;
	}
	for (int i = 0; i < m; i++)
	{
		char	   *channel = column_text(i, 1);
		char	   *scope = column_text(i, 2);
		char	   *subject = column_text(i, 3);

		for (int j = 0; j < n; j++)
		{
			if (strcmp(rows[j].name, channel) != 0)
				continue;
			if (strcmp(scope, "endpoint") == 0)
				rows[j].endpoint_paused[strcmp(subject, "template") == 0
										? LINE_TEMPLATE
										: LINE_FLEXIBLE] = true;
			else if (strcmp(scope, "use_case") == 0)
				CALLER_CONTEXT(
							   rows[j].paused_use_cases[rows[j].npaused_use_cases++] =
							   pstrdup(subject));
			else
			{
				char	   *text = palloc(LN_SUBJECT_LEN);

				ln_outbox_subject(text,
								  strcmp(scope, "template") == 0
								  ? LINE_TEMPLATE
								  : LINE_FLEXIBLE,
								  subject);
				CALLER_CONTEXT(
							   rows[j].paused_subjects[rows[j].npaused_subjects++] =
							   pstrdup(text));
			}
		}
	}

	m = (int) run(&sent, NULL, NULL, SPI_OK_SELECT);
	for (int i = 0; i < m; i++)
	{
		char	   *channel = column_text(i, 1);

		for (int j = 0; j < n; j++)
		{
			if (strcmp(rows[j].name, channel) != 0)
				continue;
			rows[j].sent_today = column_int8(i, 2, 0);
			rows[j].day_ends = column_int8(i, 3, DT_NOEND);
		}
	}
}

void
ln_outbox_subject(char *buf, LineKind kind, const char *name)
{
	snprintf(buf, LN_SUBJECT_LEN, "%c%s", kind == LINE_TEMPLATE ? 't' : 'u',
			 name);
}

int
ln_outbox_compare_recipients(const void *a, const void *b)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

int
ln_outbox_load_senders(LnSenderRow **rows)
{
	static Statement st = {
		.sql =
		"SELECT role::pg_catalog.oid, channel FROM line_notify.sender",
		.nargs = 0,
		.read_only = true
	};
	int			n;
	LnSenderRow *list;

	caller_context = CurrentMemoryContext;
	n = (int) run(&st, NULL, NULL, SPI_OK_SELECT);
	CALLER_CONTEXT(list = palloc0(sizeof(LnSenderRow) * Max(n, 1)));
	for (int i = 0; i < n; i++)
	{
		bool		isnull;

		list[i].role =
			DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[i],
										   SPI_tuptable->tupdesc, 1, &isnull));
		list[i].channel = column_text(i, 2);
	}
	*rows = list;
	return n;
}

int
ln_outbox_scan_due(int64 home, TimestampTz after, LnLaneRow **rows)
{
	/*
	 * A loose index scan: one probe per lane, however many rows it has.  Rows
	 * that are put aside (due_at infinity) do not count.
	 */
	static Statement st = {
		.sql =
		"WITH RECURSIVE lane AS ("
		" (SELECT o.channel, o.lane FROM line_notify.outbox o"
		"  ORDER BY o.channel, o.lane LIMIT 1)"
		" UNION ALL"
		" SELECT n.channel, n.lane FROM lane l, LATERAL ("
		"  SELECT o.channel, o.lane FROM line_notify.outbox o"
		"  WHERE (o.channel, o.lane) > (l.channel, l.lane)"
		"  ORDER BY o.channel, o.lane LIMIT 1) n)"
		" SELECT l.channel, l.lane,"
		"  (SELECT o.due_at FROM line_notify.outbox o"
		"   WHERE o.channel = l.channel AND o.lane = l.lane"
		"   AND o.home = $1 AND o.due_at < 'infinity' AND o.state = 'queued' AND o.due_at > $2"
		"   AND (SELECT true FROM line_notify.in_flight f WHERE f.id = o.id) IS NULL"
		"   ORDER BY o.due_at, o.id LIMIT 1)"
		" FROM lane l",
		.nargs = 2,
		.argtypes = {INT8OID, TIMESTAMPTZOID}
	};
	Datum		args[] = {Int64GetDatum(home), TimestampTzGetDatum(after)};
	int			n;
	LnLaneRow  *list;

	caller_context = CurrentMemoryContext;
	n = (int) run(&st, args, NULL, SPI_OK_SELECT);
	CALLER_CONTEXT(list = palloc0(sizeof(LnLaneRow) * Max(n, 1)));
	for (int i = 0; i < n; i++)
	{
		list[i].channel = column_text(i, 1);
		list[i].lane = column_int4(i, 2, 0);
		list[i].first_due = column_int8(i, 3, DT_NOEND);
	}
	*rows = list;
	return n;
}

TimestampTz
ln_outbox_next_expiry(int64 home, TimestampTz low)
{
	static Statement st = {
		.sql =
		"SELECT o.expires_at FROM line_notify.outbox o"
		" WHERE o.home = $1 AND o.expires_at >= $2 AND o.expires_at < 'infinity'"
		" AND (SELECT true FROM line_notify.in_flight f WHERE f.id = o.id) IS NULL"
		" ORDER BY o.expires_at LIMIT 1",
		.nargs = 2,
		.argtypes = {INT8OID, TIMESTAMPTZOID}
	};
	Datum		args[] = {Int64GetDatum(home), TimestampTzGetDatum(low)};

	if (run(&st, args, NULL, SPI_OK_SELECT) == 0)
		return DT_NOEND;
	return column_int8(0, 1, DT_NOEND);
}

int
ln_outbox_lock_due(const char *channel, int lane, int64 home,
				   TimestampTz low, TimestampTz now, int limit,
				   LnMessage **rows)
{
	/*
	 * The row lock is against cancel() and friends, which delete rows; it is
	 * skipped, not waited for, since theirs may last as long as a user's
	 * transaction.
	 */
	static Statement st = {
		.sql =
		"SELECT o.id, o.attempts + 1, o.maybe_sent, o.order_key IS NOT NULL,"
		" CASE WHEN o.order_key IS NULL THEN false"
		"  ELSE EXISTS (SELECT FROM line_notify.outbox p"
		"   WHERE p.channel = o.channel AND p.order_key = o.order_key"
		"   AND p.id < o.id AND p.state = 'queued') END,"
		" o.due_at, o.recipient, o.template_key, o.body::text, o.messages::text,"
		" o.notification_disabled, o.aggregation_unit,"
		" coalesce(o.use_case::text, ''), o.policy,"
		" hashtextextended(o.order_key COLLATE \"C\", 0), o.expires_at"
		" FROM line_notify.outbox o"
		" WHERE o.channel = $1 AND o.lane = $2 AND o.due_at >= $3 AND o.due_at <= $4"
		" AND o.home = $5 AND o.state = 'queued' AND o.expires_at > $4"
		" AND (SELECT true FROM line_notify.in_flight f WHERE f.id = o.id) IS NULL"
		" ORDER BY o.due_at, o.id LIMIT $6 FOR UPDATE OF o SKIP LOCKED",
		.nargs = 6,
		.argtypes = {TEXTOID, INT2OID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID, INT4OID}
	};
	Datum		args[] = {
		CStringGetTextDatum(channel), Int16GetDatum(lane),
		TimestampTzGetDatum(low), TimestampTzGetDatum(now),
		Int64GetDatum(home), Int32GetDatum(limit)
	};
	int			n;
	LnMessage  *list;

	caller_context = CurrentMemoryContext;
	n = (int) run(&st, args, NULL, SPI_OK_SELECT);
	CALLER_CONTEXT(list = palloc0(sizeof(LnMessage) * Max(n, 1)));
	for (int i = 0; i < n; i++)
	{
		LnMessage  *m = &list[i];

		m->id = column_int8(i, 1, 0);
		m->attempt = column_int4(i, 2, 1);
		m->maybe_sent = column_bool(i, 3);
		m->ordered = column_bool(i, 4);
		m->blocked = column_bool(i, 5);
		m->due_at = column_int8(i, 6, 0);
		m->recipient = column_text(i, 7);
		m->template_key = utf8_text(i, 8, &m->not_utf8);
		m->body = utf8_text(i, 9, &m->not_utf8);
		m->messages = utf8_text(i, 10, &m->not_utf8);
		m->notification_disabled = column_int4(i, 11, -1);
		m->aggregation_unit = utf8_text(i, 12, &m->not_utf8);
		m->use_case = column_text(i, 13);
		m->policy = column_policy(i, 14);
		m->order_hash = column_int8(i, 15, 0);
		m->expires_at = column_int8(i, 16, DT_NOEND);
	}
	*rows = list;
	return n;
}

void
ln_outbox_lease(const LnMessage *rows, int n, int64 home, uint64 claimer)
{
	static Statement st = {
		.sql =
		"INSERT INTO line_notify.in_flight (id, token, claimer, attempt, claimed_at, home)"
		" SELECT r.id, r.token, $4, r.attempt, clock_timestamp(), $5"
		" FROM unnest($1, $2, $3) AS r(id, token, attempt)",
		.nargs = 5,
		.argtypes = {INT8ARRAYOID, INT8ARRAYOID, INT4ARRAYOID, INT8OID, INT8OID}
	};
	int64	   *ids = palloc(sizeof(int64) * n);
	int64	   *tokens = palloc(sizeof(int64) * n);
	int		   *attempts = palloc(sizeof(int) * n);
	int64		highest = PG_INT64_MIN;
	Datum		args[5];

	for (int i = 0; i < n; i++)
	{
		ids[i] = rows[i].id;
		tokens[i] = (int64) rows[i].token;
		attempts[i] = rows[i].attempt;
		highest = Max(highest, rows[i].id);
	}

	/* what is sent must be recordable: no partition, no claim */
	if (highest >= covered)
		covered = ensure_history(highest);

	args[0] = int8_array(ids, n);
	args[1] = int8_array(tokens, n);
	args[2] = int4_array(attempts, n);
	args[3] = Int64GetDatum((int64) claimer);
	args[4] = Int64GetDatum(home);
	if (run(&st, args, NULL, SPI_OK_INSERT) != (uint64) n)
		elog(ERROR, "could not claim all picked messages");
}

/* Make sure that history has a partition for an id; returns where it ends. */
static int64
ensure_history(int64 id)
{
	static Statement st = {
		.sql =
		"SELECT line_notify._ensure_history($1)",
		.nargs = 1,
		.argtypes = {INT8OID}
	};
	Datum		arg = Int64GetDatum(id);

	(void) run(&st, &arg, NULL, SPI_OK_SELECT);
	return column_int8(0, 1, PG_INT64_MIN);
}

void
ln_outbox_forget(void)
{
	covered = PG_INT64_MIN;
}

void
ln_outbox_note_timeline(int64 home, uint32 timeline, bool synchronous,
						int grace_s, TimestampTz *before,
						TimestampTz *until)
{
	static Statement st = {
		.sql =
		"SELECT in_doubt_before, in_doubt_until FROM line_notify._note_timeline($1, $2, $3, $4 * interval '1 second')",
		.nargs = 4,
		.argtypes = {INT8OID, INT4OID, BOOLOID, INT4OID}
	};
	Datum		args[] = {
		Int64GetDatum(home), Int32GetDatum((int32) timeline),
		BoolGetDatum(synchronous), Int32GetDatum(grace_s)
	};

	(void) run(&st, args, NULL, SPI_OK_SELECT);
	*before = column_int8(0, 1, DT_NOBEGIN);
	*until = column_int8(0, 2, DT_NOEND);
}

bool
ln_outbox_settle_in_doubt(int64 home, bool hold, int step)
{
	static Statement st = {
		.sql =
		"SELECT line_notify._settle_in_doubt($1, $2, $3)",
		.nargs = 3,
		.argtypes = {INT8OID, BOOLOID, INT4OID}
	};
	Datum		args[] = {Int64GetDatum(home), BoolGetDatum(hold), Int32GetDatum(step)};

	(void) run(&st, args, NULL, SPI_OK_SELECT);
	return column_bool(0, 1);
}

bool
ln_outbox_maintain(int retention, int payload_retention,
				   int operations_retention, int step)
{
	static Statement st = {
		.sql =
		"SELECT line_notify._maintain(CASE WHEN $1 >= 0 THEN $1 * interval '1 minute' END,"
		" CASE WHEN $2 >= 0 THEN $2 * interval '1 minute' END,"
		" CASE WHEN $3 >= 0 THEN $3 * interval '1 minute' END, $4)",
		.nargs = 4,
		.argtypes = {INT4OID, INT4OID, INT4OID, INT4OID}
	};
	Datum		args[] = {
		Int32GetDatum(retention), Int32GetDatum(payload_retention),
		Int32GetDatum(operations_retention), Int32GetDatum(step)
	};

	(void) run(&st, args, NULL, SPI_OK_SELECT);
	return column_bool(0, 1);
}

void
ln_outbox_quarantine(int64 id, TimestampTz until, const char *reason)
{
	static Statement st = {
		.sql =
		"UPDATE line_notify.outbox SET due_at = $2, error = $3 WHERE id = $1",
		.nargs = 3,
		.argtypes = {INT8OID, TIMESTAMPTZOID, TEXTOID}
	};
	Datum		args[] = {Int64GetDatum(id), TimestampTzGetDatum(until), CStringGetTextDatum(reason)};

	(void) run(&st, args, NULL, SPI_OK_UPDATE);
}

/* Run a statement whose only argument is the ids of rows. */
static void
update_locked(Statement *st, const LnMessage *rows, int n)
{
	int64	   *ids = palloc(sizeof(int64) * n);
	Datum		arg;

	for (int i = 0; i < n; i++)
		ids[i] = rows[i].id;
	arg = int8_array(ids, n);
	(void) run(st, &arg, NULL, SPI_OK_UPDATE);
}

void
ln_outbox_block(const LnMessage *rows, int n)
{
	static Statement st = {
		.sql =
		"UPDATE line_notify.outbox SET due_at = 'infinity' WHERE id = ANY ($1)",
		.nargs = 1,
		.argtypes = {INT8ARRAYOID}
	};

	update_locked(&st, rows, n);
}

void
ln_outbox_delay(const LnMessage *rows, int n)
{
	static Statement st = {
		.sql =
		"UPDATE line_notify.outbox SET due_at = clock_timestamp() + interval '200 ms' WHERE id = ANY ($1)",
		.nargs = 1,
		.argtypes = {INT8ARRAYOID}
	};

	update_locked(&st, rows, n);
}

bool
ln_outbox_has_suppressed(void)
{
	static Statement st = {
		.sql =
		"SELECT EXISTS (SELECT FROM line_notify.suppression)",
		.nargs = 0,
		.read_only = true
	};

	(void) run(&st, NULL, NULL, SPI_OK_SELECT);
	return column_bool(0, 1);
}

bool *
ln_outbox_find_suppressed(const LnMessage *rows, int n)
{
	static Statement st = {
		.sql =
		"SELECT EXISTS (SELECT FROM line_notify.suppression s WHERE s.recipient = r.recipient)"
		" FROM unnest($1) WITH ORDINALITY AS r(recipient, n) ORDER BY r.n",
		.nargs = 1,
		.argtypes = {TEXTARRAYOID}
	};
	const char **recipients = palloc(sizeof(char *) * Max(n, 1));
	bool	   *result = palloc0(sizeof(bool) * Max(n, 1));
	Datum		arg;

	for (int i = 0; i < n; i++)
		recipients[i] = rows[i].recipient;
	arg = text_array(recipients, n);
	if (run(&st, &arg, NULL, SPI_OK_SELECT) != (uint64) n)
		elog(ERROR, "unexpected number of rows");
	for (int i = 0; i < n; i++)
		result[i] = column_bool(i, 1);
	return result;
}

/*
 * Ends picked rows without sending: their time is over, and expiry moves them
 * to history.
 */
static void
end_locked(const LnMessage *rows, int n, const char *state, const char *why)
{
	static Statement st = {
		.sql =
		"UPDATE line_notify.outbox SET state = $3::line_notify.message_state, error = $2, recipient = NULL,"
		" expires_at = clock_timestamp() WHERE id = ANY ($1)",
		.nargs = 3,
		.argtypes = {INT8ARRAYOID, TEXTOID, TEXTOID}
	};
	int64	   *ids = palloc(sizeof(int64) * n);
	Datum		args[3];

	for (int i = 0; i < n; i++)
		ids[i] = rows[i].id;
	args[0] = int8_array(ids, n);
	args[1] = CStringGetTextDatum(why);
	args[2] = CStringGetTextDatum(state);
	(void) run(&st, args, NULL, SPI_OK_UPDATE);
}

void
ln_outbox_suppress(const LnMessage *rows, int n, const char *why)
{
	end_locked(rows, n, "suppressed", why);
}

void
ln_outbox_reject(const LnMessage *rows, int n, const char *why)
{
	end_locked(rows, n, "invalid", why);
}

void
ln_outbox_note_unblock(const char *channel, const char *order_key)
{
	static Statement st = {
		.sql =
		"INSERT INTO line_notify.unblock (channel, order_key) VALUES ($1, $2)",
		.nargs = 2,
		.argtypes = {TEXTOID, TEXTOID}
	};
	Datum		args[2] = {CStringGetTextDatum(channel), (Datum) 0};

	if (order_key != NULL)
		args[1] = CStringGetTextDatum(order_key);
	(void) run(&st, args, order_key != NULL ? "  " : " n", SPI_OK_INSERT);
}

bool
ln_outbox_unblock(int limit, LnUnblockScan *scan, LnLaneRow **rows,
				  int *nrows, bool *stuck)
{
	/*
	 * The first message of each order_key that was let go, if it was set
	 * aside.  A row that somebody has locked keeps its note, for the next
	 * time.
	 */
	static Statement by_key = {
		.sql =
		"WITH r AS MATERIALIZED ("
		"  SELECT r.seq, h.id, h.due_at FROM line_notify.unblock r LEFT JOIN LATERAL ("
		"   SELECT o.id, o.due_at FROM line_notify.outbox o"
		"   WHERE o.channel = r.channel AND o.order_key = r.order_key AND o.state = 'queued'"
		"   ORDER BY o.id LIMIT 1) h ON true"
		"  WHERE r.order_key IS NOT NULL ORDER BY r.seq LIMIT $1),"
		" l AS MATERIALIZED ("
		"  SELECT o.id FROM line_notify.outbox o"
		"  WHERE o.id = ANY (ARRAY(SELECT r.id FROM r WHERE r.due_at = 'infinity'))"
		"  FOR UPDATE SKIP LOCKED),"
		" d AS (DELETE FROM line_notify.unblock x WHERE x.seq = ANY (ARRAY("
		"  SELECT r.seq FROM r WHERE r.id IS NULL OR r.due_at < 'infinity' OR r.id IN (SELECT l.id FROM l))))"
		" UPDATE line_notify.outbox o SET due_at = clock_timestamp()"
		" WHERE o.id = ANY (ARRAY(SELECT l.id FROM l))"
		" RETURNING o.channel, o.lane",
		.nargs = 1,
		.argtypes = {INT4OID}
	};
	static Statement left = {
		.sql =
		"SELECT r.seq FROM line_notify.unblock r WHERE r.order_key IS NOT NULL ORDER BY r.seq LIMIT 1",
		.nargs = 0
	};

	/*
	 * Everything of a channel, also what will be set aside again.  In steps,
	 * lane by lane in order of id.
	 */
	static Statement next = {
		.sql =
		"SELECT r.seq, r.channel FROM line_notify.unblock r WHERE r.order_key IS NULL ORDER BY r.seq LIMIT 1",
		.nargs = 0
	};
	static Statement by_lane = {
		.sql =
		"UPDATE line_notify.outbox o SET due_at = clock_timestamp()"
		" WHERE o.id = ANY (ARRAY(SELECT p.id FROM line_notify.outbox p"
		"  WHERE p.channel = $1 AND p.lane = $2 AND p.due_at = 'infinity' AND p.id > $3"
		"  AND p.state = 'queued' ORDER BY p.id LIMIT $4 FOR UPDATE SKIP LOCKED))"
		" RETURNING o.id",
		.nargs = 4,
		.argtypes = {TEXTOID, INT2OID, INT8OID, INT4OID}
	};
	static Statement done = {
		.sql =
		"DELETE FROM line_notify.unblock WHERE seq = $1",
		.nargs = 1,
		.argtypes = {INT8OID}
	};
	Datum		arg = Int32GetDatum(limit);
	LnLaneRow  *list;
	int			n;

	caller_context = CurrentMemoryContext;
	n = (int) run(&by_key, &arg, NULL, SPI_OK_UPDATE_RETURNING);
	CALLER_CONTEXT(list = palloc0(sizeof(LnLaneRow) * (n + LN_LANES)));
	for (int i = 0; i < n; i++)
	{
		list[i].channel = column_text(i, 1);
		list[i].lane = column_int4(i, 2, 0);
	}
	*rows = list;
	*nrows = n;
	*stuck = false;
	if (run(&left, NULL, NULL, SPI_OK_SELECT) > 0)
	{
		int64		oldest = column_int8(0, 1, 0);

		*stuck = n == 0 && oldest == scan->oldest;
		scan->oldest = oldest;
		if (!*stuck)
			return true;		/* those first: they are few */
	}

	if (run(&next, NULL, NULL, SPI_OK_SELECT) == 0)
		return *stuck;
	*stuck = false;
	if (column_int8(0, 1, 0) != scan->seq)
	{
		scan->seq = column_int8(0, 1, 0);
		scan->lane = 0;
		scan->after = 0;
	}
	{
		char	   *channel = column_text(0, 2);
		int			budget = limit;

		while (budget > 0 && scan->lane < LN_LANES)
		{
			Datum		args[] = {
				CStringGetTextDatum(channel), Int16GetDatum(scan->lane),
				Int64GetDatum(scan->after), Int32GetDatum(budget)
			};
			int			m = (int) run(&by_lane, args, NULL, SPI_OK_UPDATE_RETURNING);

			for (int i = 0; i < m; i++)
				scan->after = Max(scan->after, column_int8(i, 1, 0));
			if (m > 0)
			{
				list[*nrows].channel = channel;
				list[(*nrows)++].lane = scan->lane;
			}
			if (m < budget)
			{
				scan->lane++;
				scan->after = 0;
			}
			budget -= m;
		}
		if (scan->lane == LN_LANES)
		{
			arg = Int64GetDatum(scan->seq);
			(void) run(&done, &arg, NULL, SPI_OK_DELETE);
		}
	}
	return true;
}

void
ln_outbox_count_sent(const char *channel, int n)
{
	static Statement st = {
		.sql =
		"INSERT INTO line_notify.daily_sent AS d (channel, day, sent)"
		" SELECT c.name, (clock_timestamp() AT TIME ZONE c.time_zone)::date, $2"
		" FROM line_notify.channel c WHERE c.name = $1"
		" ON CONFLICT (channel, day) DO UPDATE SET sent = d.sent + excluded.sent",
		.nargs = 2,
		.argtypes = {TEXTOID, INT4OID}
	};
	Datum		args[] = {CStringGetTextDatum(channel), Int32GetDatum(n)};

	(void) run(&st, args, NULL, SPI_OK_INSERT);
}

void
ln_outbox_sweep_keys(int limit)
{
	static Statement keys = {
		.sql =
		"DELETE FROM line_notify.dedup d WHERE (d.channel, d.dedup_key) IN ("
		" SELECT x.channel, x.dedup_key FROM line_notify.dedup x"
		" WHERE x.until < clock_timestamp() ORDER BY x.until LIMIT $1 FOR UPDATE SKIP LOCKED)",
		.nargs = 1,
		.argtypes = {INT4OID}
	};
	static Statement days = {
		.sql =
		"DELETE FROM line_notify.daily_sent WHERE day < current_date - 400",
		.nargs = 0
	};

	/* LINE says nothing of how long it redelivers; days are generous */
	static Statement events = {
		.sql =
		"DELETE FROM line_notify.seen_event s WHERE s.event_id IN ("
		" SELECT x.event_id FROM line_notify.seen_event x"
		" WHERE x.seen_at < clock_timestamp() - interval '8 days' ORDER BY x.seen_at LIMIT $1)",
		.nargs = 1,
		.argtypes = {INT4OID}
	};
	Datum		arg = Int32GetDatum(limit);

	(void) run(&keys, &arg, NULL, SPI_OK_DELETE);
	(void) run(&days, NULL, NULL, SPI_OK_DELETE);
	(void) run(&events, &arg, NULL, SPI_OK_DELETE);
}

static const char *
final_state(LineNext next)
{
	switch (next)
	{
		case LINE_FINISH_ACCEPTED:
			return "accepted";
		case LINE_FINISH_UNREACHABLE:
			return "unreachable";
		case LINE_FINISH_REFUSED:
			return "refused";
		case LINE_FINISH_UNKNOWN:
			return "unknown";
		case LINE_FINISH_FAILED:
			return "failed";
		case LINE_RETRY_LATER:
		case LINE_RETURN:
			break;
	}
	return NULL;
}

int
ln_outbox_record(const LnRecord *recs, int n)
{
	/*
	 * Finished: lease, row and history in one statement.  A delivery event
	 * that overtook the answer wins.  The row may be gone (deleted by a
	 * superuser); the message was sent all the same, so history gets what we
	 * know.
	 */
	static Statement finish = {
		.sql =
		"WITH r AS (SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9)"
		"  AS r(id, token, state, outcome, http_status, request_id, error, sent_at, ended_at)),"
		" f AS (DELETE FROM line_notify.in_flight f USING r"
		"  WHERE f.id = ANY ($1) AND f.id = r.id AND f.token = r.token RETURNING f.*),"
		" o AS (DELETE FROM line_notify.outbox o USING f WHERE o.id = ANY ($1) AND o.id = f.id RETURNING o.*)"
		" INSERT INTO line_notify.history (id, channel, recipient, use_case, template_key, body, messages,"
		"  notification_disabled, aggregation_unit, priority, batch, dedup_key, order_key, reference, policy,"
		"  state, attempts, maybe_sent, token, outcome, http_status, request_id, error,"
		"  created_at, due_at, expires_at, sent_at, ended_at, delivered_at, delivery_event)"
		" SELECT f.id, coalesce(o.channel, '?'), o.recipient, o.use_case, o.template_key, o.body, o.messages,"
		"  o.notification_disabled, o.aggregation_unit, coalesce(o.priority, 0), o.batch, o.dedup_key, o.order_key, o.reference, o.policy,"
		"  CASE WHEN f.delivered_at IS NULL THEN r.state::line_notify.message_state ELSE 'delivered' END,"
		"  f.attempt, coalesce(o.maybe_sent, false), f.token, r.outcome, nullif(r.http_status, 0),"
		"  nullif(r.request_id, ''), nullif(r.error, ''),"
		"  coalesce(o.created_at, f.claimed_at), o.due_at, o.expires_at, r.sent_at, r.ended_at,"
		"  f.delivered_at, f.delivery_event"
		" FROM f JOIN r ON r.id = f.id LEFT JOIN o ON o.id = f.id",
		.nargs = 9,
		.argtypes = {INT8ARRAYOID, INT8ARRAYOID, TEXTARRAYOID, TEXTARRAYOID, INT4ARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZARRAYOID}
	};

	/*
	 * Back to the queue.  Unless the delivery event came meanwhile: then the
	 * message has arrived, and a second copy is the last thing to send; such
	 * rows are left for finish, below.
	 */
	static Statement requeue = {
		.sql =
		"WITH r AS (SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
		"  AS r(id, token, outcome, http_status, request_id, error, sent_at, ended_at, retry_at, consume, ambiguous, logged)),"
		" f AS (DELETE FROM line_notify.in_flight f USING r"
		"  WHERE f.id = ANY ($1) AND f.id = r.id AND f.token = r.token AND f.delivered_at IS NULL RETURNING f.*),"
		" u AS (UPDATE line_notify.outbox o SET"
		"   due_at = greatest(r.retry_at, clock_timestamp()),"
		"   attempts = o.attempts + r.consume::integer,"
		"   maybe_sent = o.maybe_sent OR r.ambiguous,"
		"   error = nullif(r.error, '')"
		"  FROM f JOIN r ON r.id = f.id WHERE o.id = ANY ($1) AND o.id = f.id),"
		" l AS (INSERT INTO line_notify.attempt_log (id, attempt, token, started_at, ended_at, outcome, http_status, request_id, error)"
		"  SELECT f.id, f.attempt, f.token, r.sent_at, r.ended_at, r.outcome, nullif(r.http_status, 0),"
		"   nullif(r.request_id, ''), nullif(r.error, '')"
		"  FROM f JOIN r ON r.id = f.id WHERE r.logged)"
		" SELECT f.id FROM f",
		.nargs = 12,
		.argtypes = {INT8ARRAYOID, INT8ARRAYOID, TEXTARRAYOID, INT4ARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZARRAYOID, BOOLARRAYOID, BOOLARRAYOID, BOOLARRAYOID}
	};
	int64	   *ids = palloc(sizeof(int64) * n);
	int64	   *tokens = palloc(sizeof(int64) * n);
	const char **states = palloc(sizeof(char *) * n);
	const char **outcomes = palloc(sizeof(char *) * n);
	int		   *statuses = palloc(sizeof(int) * n);
	const char **request_ids = palloc(sizeof(char *) * n);
	const char **errors = palloc(sizeof(char *) * n);
	TimestampTz *sent = palloc(sizeof(TimestampTz) * n);
	TimestampTz *ended = palloc(sizeof(TimestampTz) * n);
	TimestampTz *retry = palloc(sizeof(TimestampTz) * n);
	bool	   *consume = palloc(sizeof(bool) * n);
	bool	   *ambiguous = palloc(sizeof(bool) * n);
	bool	   *logged = palloc(sizeof(bool) * n);
	int			held = 0;

	/* after a failure, partitions may be missing: look at each */
	if (covered == PG_INT64_MIN)
	{
		for (int i = 0; i < n; i++)
			ensure_history(recs[i].id);
	}

	/* first those that go back, then those that end */
	for (int ends = 0; ends <= 1; ends++)
	{
		int			m = 0;
		int			hit = 0;

		for (int i = 0; i < n; i++)
		{
			const LnRecord *r = &recs[i];
			const char *state = final_state(r->next);

			if ((state != NULL) != (ends == 1))
				continue;
			ids[m] = r->id;
			tokens[m] = (int64) r->token;
			states[m] = state;
			outcomes[m] = ln_line_outcome_name(r->outcome);
			statuses[m] = r->status;
			request_ids[m] = r->request_id;
			errors[m] = r->error;
			sent[m] = r->sent_at;
			ended[m] = r->ended_at;
			retry[m] = r->retry_at;
			consume[m] = r->next == LINE_RETRY_LATER;
			ambiguous[m] = ln_line_may_have_been_sent(r->outcome);
			logged[m] = r->attempted;
			m++;
		}
		if (m == 0)
			continue;
		if (ends == 0)
		{
			Datum		args[] = {
				int8_array(ids, m), int8_array(tokens, m),
				text_array(outcomes, m), int4_array(statuses, m),
				text_array(request_ids, m), text_array(errors, m),
				timestamptz_array(sent, m), timestamptz_array(ended, m),
				timestamptz_array(retry, m), bool_array(consume, m),
			bool_array(ambiguous, m), bool_array(logged, m)};

			hit = (int) run(&requeue, args, NULL, SPI_OK_SELECT);
			/* leases still there have a delivery event: they end after all */
			for (int i = 0; i < m; i++)
				states[i] = "delivered";
		}
		if (hit < m)
		{
			Datum		args[] = {
				int8_array(ids, m), int8_array(tokens, m),
				text_array(states, m), text_array(outcomes, m),
				int4_array(statuses, m), text_array(request_ids, m),
				text_array(errors, m), timestamptz_array(sent, m),
			timestamptz_array(ended, m)};

			hit += (int) run(&finish, args, NULL, SPI_OK_INSERT);
		}
		held += hit;
	}

	/* what may have been accepted counts for the day, channel by channel */
	for (int i = 0; i < n; i++)
	{
		int			count = 0;
		bool		first = true;

		for (int j = 0; j < n; j++)
		{
			if (strcmp(recs[j].channel, recs[i].channel) != 0)
				continue;
			first = first && j >= i;
			if (!first)
				break;
			count += recs[j].attempted &&
				ln_line_may_have_been_sent(recs[j].outcome);
		}
		if (first && count > 0)
			ln_outbox_count_sent(recs[i].channel, count);
	}
	return held;
}

void
ln_outbox_note_token(const char *channel, const char *error)
{
	static Statement note = {
		.sql =
		"INSERT INTO line_notify.token_status (channel, error)"
		" SELECT c.name, $2 FROM line_notify.channel c WHERE c.name = $1"
		" ON CONFLICT (channel) DO UPDATE SET error = excluded.error",
		.nargs = 2,
		.argtypes = {TEXTOID, TEXTOID}
	};
	static Statement forget = {
		.sql =
		"DELETE FROM line_notify.token_status WHERE channel = $1",
		.nargs = 1,
		.argtypes = {TEXTOID}
	};
	Datum		args[] = {CStringGetTextDatum(channel), CStringGetTextDatum(error)};

	if (error[0] != '\0')
		(void) run(&note, args, NULL, SPI_OK_INSERT);
	else
		(void) run(&forget, args, NULL, SPI_OK_DELETE);
}

bool
ln_outbox_pause(const char *channel, const char *reason)
{
	static Statement st = {
		.sql =
		"UPDATE line_notify.channel SET paused_at = clock_timestamp(), pause_reason = $2, pause_automatic = true"
		" WHERE name = $1 AND paused_at IS NULL",
		.nargs = 2,
		.argtypes = {TEXTOID, TEXTOID}
	};
	Datum		args[] = {CStringGetTextDatum(channel), CStringGetTextDatum(reason)};

	return run(&st, args, NULL, SPI_OK_UPDATE) > 0;
}

bool
ln_outbox_pause_part(const char *channel, const char *scope,
					 const char *subject, const char *reason)
{
	static Statement st = {
		.sql =
		"INSERT INTO line_notify.partial_pause (channel, scope, subject, reason)"
		" SELECT c.name, $2, $3, $4 FROM line_notify.channel c WHERE c.name = $1"
		" ON CONFLICT DO NOTHING",
		.nargs = 4,
		.argtypes = {TEXTOID, TEXTOID, TEXTOID, TEXTOID}
	};
	Datum		args[] = {
		CStringGetTextDatum(channel), CStringGetTextDatum(scope),
		CStringGetTextDatum(subject), CStringGetTextDatum(reason)
	};

	return run(&st, args, NULL, SPI_OK_INSERT) > 0;
}

bool
ln_outbox_resume(const char *channel)
{
	static Statement st = {
		.sql =
		"UPDATE line_notify.channel SET paused_at = NULL, pause_reason = NULL, pause_automatic = false"
		" WHERE name = $1 AND pause_automatic",
		.nargs = 1,
		.argtypes = {TEXTOID}
	};
	Datum		arg = CStringGetTextDatum(channel);

	return run(&st, &arg, NULL, SPI_OK_UPDATE) > 0;
}

int
ln_outbox_expire(int64 home, TimestampTz low, TimestampTz now, int limit,
				 TimestampTz *last)
{
	/*
	 * Rows that were invalid or suppressed at INSERT carry their own time as
	 * expires_at and take the same road.
	 */
	static Statement pick = {
		.sql =
		"SELECT o.id, o.expires_at FROM line_notify.outbox o"
		" WHERE o.expires_at >= $2 AND o.expires_at <= $3 AND o.home = $1"
		" AND (SELECT true FROM line_notify.in_flight f WHERE f.id = o.id) IS NULL"
		" ORDER BY o.expires_at LIMIT $4 FOR UPDATE OF o SKIP LOCKED",
		.nargs = 4,
		.argtypes = {INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID}
	};
	static Statement move = {
		.sql =
		"WITH o AS (DELETE FROM line_notify.outbox o WHERE o.id = ANY ($1) RETURNING o.*)"
		" INSERT INTO line_notify.history (id, channel, recipient, use_case, template_key, body, messages,"
		"  notification_disabled, aggregation_unit, priority, batch, dedup_key, order_key, reference, policy,"
		"  state, attempts, maybe_sent, error, created_at, due_at, expires_at, ended_at)"
		" SELECT o.id, o.channel, o.recipient, o.use_case, o.template_key, o.body, o.messages,"
		"  o.notification_disabled, o.aggregation_unit, o.priority, o.batch, o.dedup_key, o.order_key, o.reference, o.policy,"
		"  CASE WHEN o.maybe_sent THEN 'unknown'"
		"   WHEN o.state <> 'queued' THEN o.state"
		"   WHEN o.due_at <= (SELECT i.in_doubt_before FROM line_notify.identity i WHERE i.home = o.home) THEN 'unknown'"
		"   ELSE 'expired' END,"
		"  o.attempts, o.maybe_sent, o.error, o.created_at, o.due_at, o.expires_at, clock_timestamp()"
		" FROM o",
		.nargs = 1,
		.argtypes = {INT8ARRAYOID}
	};
	Datum		args[] = {
		Int64GetDatum(home), TimestampTzGetDatum(low),
		TimestampTzGetDatum(now), Int32GetDatum(limit)
	};
	int			n;
	int64	   *ids;
	int64		highest = PG_INT64_MIN;
	Datum		arg;

	n = (int) run(&pick, args, NULL, SPI_OK_SELECT);
	if (n == 0)
		return 0;
	ids = palloc(sizeof(int64) * n);
	for (int i = 0; i < n; i++)
	{
		ids[i] = column_int8(i, 1, 0);
		highest = Max(highest, ids[i]);
		*last = column_int8(i, 2, DT_NOEND);
	}
	(void) ensure_history(highest);
	arg = int8_array(ids, n);
	return (int) run(&move, &arg, NULL, SPI_OK_INSERT);
}

int
ln_outbox_orphans(int64 home, uint64 me, LnOrphan **rows)
{
	static Statement st = {
		.sql =
		"SELECT f.id, f.token, f.attempt, f.claimer,"
		" coalesce((SELECT o.maybe_sent FROM line_notify.outbox o WHERE o.id = f.id), false),"
		" coalesce((SELECT o.channel FROM line_notify.outbox o WHERE o.id = f.id), '?'),"
		" (SELECT o.policy FROM line_notify.outbox o WHERE o.id = f.id)"
		" FROM line_notify.in_flight f"
		" WHERE f.claimer <> $2 AND f.home = $1 ORDER BY f.claimer, f.id",
		.nargs = 2,
		.argtypes = {INT8OID, INT8OID}
	};
	Datum		args[] = {Int64GetDatum(home), Int64GetDatum((int64) me)};
	int			n;
	LnOrphan   *list;

	caller_context = CurrentMemoryContext;
	n = (int) run(&st, args, NULL, SPI_OK_SELECT);
	CALLER_CONTEXT(list = palloc0(sizeof(LnOrphan) * Max(n, 1)));
	for (int i = 0; i < n; i++)
	{
		list[i].id = column_int8(i, 1, 0);
		list[i].token = (uint64) column_int8(i, 2, 0);
		list[i].attempt = column_int4(i, 3, 1);
		list[i].claimer = (uint64) column_int8(i, 4, 0);
		list[i].maybe_sent = column_bool(i, 5);
		list[i].channel = column_text(i, 6);
		list[i].policy = column_policy(i, 7);
	}
	*rows = list;
	return n;
}

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

static void fold_tagged(Event *const *list, int n);
static bool fold_untagged(const Event *e);
static void count_follows(Event *const *list, int n);
static bool is_among(Event *const *list, int n, int64 id);

/*
 * Events are taken in the order they came in.  A message may be in any of
 * three
 * places; the worker is the only one that moves it between them, so within
 * this
 * transaction it cannot slip through.  What somebody else has locked (a
 * redrive() that is not committed) is not waited for: the events of that
 * message stay.
 */
int
ln_outbox_fold(int limit, int64 *after, bool *left)
{
	static Statement take = {
		.sql =
		"SELECT e.type, e.message_id, e.token, e.event_at, e.event_id, e.channel, e.recipient, e.seq"
		" FROM line_notify.webhook_event e WHERE e.seq > $2 ORDER BY e.seq LIMIT $1 FOR UPDATE SKIP LOCKED",
		.nargs = 2,
		.argtypes = {INT4OID, INT8OID}
	};
	static Statement taken = {
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

	caller_context = CurrentMemoryContext;
	*left = false;
	n = (int) run(&take, args, NULL, SPI_OK_SELECT);
	CALLER_CONTEXT(list = palloc0(sizeof(Event) * Max(n, 1)));
	for (int i = 0; i < n; i++)
	{
		list[i].type = column_text(i, 1);
		list[i].id = column_int8(i, 2, 0);
		list[i].token = column_int8(i, 3, 0);
		list[i].at = column_int8(i, 4, 0);
		list[i].event = column_text(i, 5);
		list[i].channel = column_text(i, 6);
		list[i].recipient = column_text(i, 7);
		list[i].seq = column_int8(i, 8, 0);
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
		args[0] = int8_array(seqs, ntaken);
		(void) run(&taken, args, NULL, SPI_OK_DELETE);
	}
	return ntaken;
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
	static Statement has_attempts = {
		.sql =
		"SELECT FROM line_notify.attempt_log a WHERE a.id = ANY ($1) LIMIT 1",
		.nargs = 1,
		.argtypes = {INT8ARRAYOID}
	};
	static Statement count_again = {
		.sql =
		"WITH x AS ("
		"  SELECT e.*, h.channel, h.template_key, h.aggregation_unit, h.token = e.token AS last"
		"  FROM unnest($1, $2, $3, $4) AS e(id, token, at, event)"
		"  JOIN line_notify.history h ON h.id = e.id"
		"  WHERE h.id = ANY ($1) AND h.state = 'delivered' AND h.delivery_event IS DISTINCT FROM e.event"
		"  AND EXISTS (SELECT FROM line_notify.attempt_log a WHERE a.id = e.id"
		"   AND CASE WHEN h.token = e.token THEN a.delivery_event = h.delivery_event"
		"    ELSE a.token = e.token AND a.delivery_event IS NULL END)),"
		" u AS (UPDATE line_notify.history h SET delivery_event = x.event FROM x"
		"  WHERE h.id = ANY ($1) AND h.id = x.id AND x.last)"
		" INSERT INTO line_notify.daily_count (channel, day, kind, aggregation_unit, outcome, n)"
		" SELECT x.channel, (x.at AT TIME ZONE 'Asia/Tokyo')::date,"
		"  CASE WHEN x.template_key IS NULL THEN 'flexible' ELSE 'template' END, x.aggregation_unit, 'delivered', count(*)"
		" FROM x GROUP BY 1, 2, 3, 4",
		.nargs = 4,
		.argtypes = {INT8ARRAYOID, INT8ARRAYOID, TIMESTAMPTZARRAYOID, TEXTARRAYOID}
	};
	static Statement note_attempts = {
		.sql =
		"UPDATE line_notify.attempt_log a SET delivery_event = e.event"
		" FROM unnest($1, $2, $3, $4) AS e(id, token, at, event)"
		" WHERE a.ctid = ANY (ARRAY(SELECT x.ctid FROM line_notify.attempt_log x"
		"  WHERE x.id = ANY ($1) AND x.delivery_event IS NULL FOR UPDATE SKIP LOCKED))"
		" AND a.id = e.id AND a.token = e.token",
		.nargs = 4,
		.argtypes = {INT8ARRAYOID, INT8ARRAYOID, TIMESTAMPTZARRAYOID, TEXTARRAYOID}
	};
	static Statement fold_history = {
		.sql =
		"UPDATE line_notify.history h SET state = 'delivered', delivered_at = e.at, delivery_event = e.event"
		" FROM unnest($1, $2, $3, $4) AS e(id, token, at, event)"
		" WHERE h.id = ANY ($1) AND h.id = e.id AND h.state <> 'delivered'"
		" AND (h.token = e.token OR EXISTS (SELECT FROM line_notify.attempt_log a WHERE a.id = e.id AND a.token = e.token))",
		.nargs = 4,
		.argtypes = {INT8ARRAYOID, INT8ARRAYOID, TIMESTAMPTZARRAYOID, TEXTARRAYOID}
	};
	static Statement fold_in_flight = {
		.sql =
		"UPDATE line_notify.in_flight f SET delivered_at = e.at, delivery_event = e.event"
		" FROM unnest($1, $2, $3, $4) AS e(id, token, at, event)"
		" WHERE f.id = ANY ($1) AND f.id = e.id AND f.delivered_at IS NULL"
		" AND (f.token = e.token OR EXISTS (SELECT FROM line_notify.attempt_log a WHERE a.id = e.id AND a.token = e.token))",
		.nargs = 4,
		.argtypes = {INT8ARRAYOID, INT8ARRAYOID, TIMESTAMPTZARRAYOID, TEXTARRAYOID}
	};
	static Statement fold_waiting = {
		.sql =
		"WITH e AS (SELECT DISTINCT ON (e.id) e.* FROM unnest($1, $2, $3, $4) AS e(id, token, at, event) ORDER BY e.id),"
		" o AS (DELETE FROM line_notify.outbox o USING e"
		"  WHERE o.id = ANY ($1) AND o.id = e.id"
		"  AND (EXISTS (SELECT FROM line_notify.attempt_log a WHERE a.id = e.id AND a.token = e.token)"
		/* after a promotion: a claim that this server never heard of */
		"   OR o.due_at <= (SELECT i.in_doubt_before FROM line_notify.identity i WHERE i.home = o.home))"
		"  AND (SELECT true FROM line_notify.in_flight f WHERE f.id = o.id) IS NULL"
		"  RETURNING o.*, e.token, e.at, e.event)"
		" INSERT INTO line_notify.history (id, channel, recipient, use_case, template_key, body, messages,"
		"  notification_disabled, aggregation_unit, priority, batch, dedup_key, order_key, reference, policy,"
		"  state, attempts, maybe_sent, token, error, created_at, due_at, expires_at, ended_at, delivered_at, delivery_event)"
		" SELECT o.id, o.channel, o.recipient, o.use_case, o.template_key, o.body, o.messages,"
		"  o.notification_disabled, o.aggregation_unit, o.priority, o.batch, o.dedup_key, o.order_key, o.reference, o.policy,"
		"  'delivered', o.attempts, o.maybe_sent, o.token, o.error, o.created_at, o.due_at, o.expires_at,"
		"  clock_timestamp(), o.at, o.event FROM o",
		.nargs = 4,
		.argtypes = {INT8ARRAYOID, INT8ARRAYOID, TIMESTAMPTZARRAYOID, TEXTARRAYOID}
	};
	int64	   *ids = palloc(sizeof(int64) * n);
	int64	   *tokens = palloc(sizeof(int64) * n);
	TimestampTz *ats = palloc(sizeof(TimestampTz) * n);
	const char **events = palloc(sizeof(char *) * n);
	bool		attempts;
	Datum		args[4];

	for (int i = 0; i < n; i++)
	{
		ids[i] = list[i]->id;
		tokens[i] = list[i]->token;
		ats[i] = list[i]->at;
		events[i] = list[i]->event;
	}
	args[0] = int8_array(ids, n);
	args[1] = int8_array(tokens, n);
	args[2] = timestamptz_array(ats, n);
	args[3] = text_array(events, n);

	attempts = run(&has_attempts, args, NULL, SPI_OK_SELECT) > 0;
	if (attempts)
		(void) run(&count_again, args, NULL, SPI_OK_INSERT);
	(void) run(&fold_history, args, NULL, SPI_OK_UPDATE);
	(void) run(&fold_in_flight, args, NULL, SPI_OK_UPDATE);
	(void) run(&fold_waiting, args, NULL, SPI_OK_INSERT);
	if (attempts)
		(void) run(&note_attempts, args, NULL, SPI_OK_UPDATE);
}

/*
 * An event without tag names the recipient only: it is taken to mean the
 * oldest
 * message to them that waits for one.  False: somebody has that locked, or it
 * is
 * still being sent.
 */
static bool
fold_untagged(const Event *e)
{
	static Statement find = {
		.sql =
		"SELECT x.id FROM line_notify.history x"
		" WHERE x.recipient = $2 AND x.channel = $1 AND x.state IN ('accepted', 'unknown', 'undelivered')"
		" AND x.sent_at <= $3 + interval '1 minute' AND x.sent_at > $3 - interval '25 hours'"
		" AND NOT EXISTS (SELECT FROM line_notify.history y"
		"  WHERE y.recipient = $2 AND y.delivery_event = $4)"
		" ORDER BY x.sent_at, x.id LIMIT 1",
		.nargs = 4,
		.argtypes = {TEXTOID, TEXTOID, TIMESTAMPTZOID, TEXTOID}
	};

	/* the event may have overtaken the answer to the message it is about */
	static Statement on_the_wire = {
		.sql =
		"SELECT FROM line_notify.in_flight f JOIN line_notify.outbox o ON o.id = f.id"
		" WHERE o.recipient = $2 AND o.channel = $1"
		" AND f.claimed_at <= $3 + interval '1 minute' AND f.claimed_at > $3 - interval '25 hours'"
		" AND NOT EXISTS (SELECT FROM line_notify.history y"
		"  WHERE y.recipient = $2 AND y.delivery_event = $4) LIMIT 1",
		.nargs = 4,
		.argtypes = {TEXTOID, TEXTOID, TIMESTAMPTZOID, TEXTOID}
	};
	static Statement deliver = {
		.sql =
		"UPDATE line_notify.history h SET state = 'delivered', delivered_at = $2, delivery_event = $3"
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

	if (run(&find, args, NULL, SPI_OK_SELECT) == 0)
		return run(&on_the_wire, args, NULL, SPI_OK_SELECT) ==
			0;					/* nothing it could mean */
	id = column_int8(0, 1, 0);
	if (find_busy(&id, 1, &busy) > 0)
		return false;
	found[0] = Int64GetDatum(id);
	(void) run(&deliver, found, NULL, SPI_OK_UPDATE);
	return true;
}

/* follow and unfollow events: counted, and nothing else is kept of them */
static void
count_follows(Event *const *list, int n)
{
	static Statement count = {
		.sql =
		"WITH fresh AS ("
		" INSERT INTO line_notify.seen_event (event_id)"
		" SELECT e.event FROM unnest($4) AS e(event) ON CONFLICT DO NOTHING RETURNING event_id)"
		" INSERT INTO line_notify.daily_count (channel, day, kind, outcome, n)"
		" SELECT e.channel, (e.at AT TIME ZONE 'Asia/Tokyo')::date, 'account', e.type, count(*)"
		" FROM unnest($1, $2, $3, $4) AS e(channel, type, at, event)"
		" JOIN fresh f ON f.event_id = e.event GROUP BY 1, 2, 4",
		.nargs = 4,
		.argtypes = {TEXTARRAYOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID, TEXTARRAYOID}
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
	args[0] = text_array(channels, n);
	args[1] = text_array(types, n);
	args[2] = timestamptz_array(ats, n);
	args[3] = text_array(events, n);
	(void) run(&count, args, NULL, SPI_OK_INSERT);
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

/*
 * Which of these messages has somebody locked?  The others are ours from here
 * on.  Sorted.
 */
static int
find_busy(const int64 *ids, int n, int64 **busy)
{
	static Statement st = {
		.sql =
		"WITH h AS MATERIALIZED (SELECT h.id FROM line_notify.history h WHERE h.id = ANY ($1) FOR UPDATE SKIP LOCKED),"
		" o AS MATERIALIZED (SELECT o.id FROM line_notify.outbox o WHERE o.id = ANY ($1) FOR UPDATE SKIP LOCKED)"
		" SELECT DISTINCT x.id FROM (SELECT h.id FROM line_notify.history h WHERE h.id = ANY ($1)"
		"  EXCEPT ALL SELECT h.id FROM h) x"
		" UNION SELECT y.id FROM (SELECT o.id FROM line_notify.outbox o WHERE o.id = ANY ($1)"
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
	arg = int8_array(ids, n);
	m = (int) run(&st, &arg, NULL, SPI_OK_SELECT);
	CALLER_CONTEXT(list = palloc(sizeof(int64) * Max(m, 1)));
	for (int i = 0; i < m; i++)
		list[i] = column_int8(i, 1, 0);
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

TimestampTz
ln_outbox_sweep_delivery_timeout(int64 timeout_us)
{
	static Statement st = {
		.sql =
		"SELECT s.again, s.next_at"
		" FROM line_notify._sweep_delivery_timeout($1 * interval '1 microsecond') s",
		.nargs = 1,
		.argtypes = {INT8OID}
	};
	Datum		arg = Int64GetDatum(timeout_us);

	(void) run(&st, &arg, NULL, SPI_OK_SELECT);
	return column_bool(0, 1) ? DT_NOBEGIN : column_int8(0, 2, DT_NOEND);
}

int
ln_outbox_wanted_statistics(int64 home, LnStatistic *counts, TimestampTz *next)
{
	static Statement st = {
		.sql =
		"SELECT w.channel, w.kind, to_char(w.day, 'YYYYMMDD'), to_char(w.upto, 'YYYYMMDD'), w.unit"
		" FROM line_notify._wanted_statistics($1, $2) w",
		.nargs = 2,
		.argtypes = {INT8OID, INT4OID}
	};
	static Statement when = {
		.sql =
		"SELECT line_notify._next_statistics($1)",
		.nargs = 1,
		.argtypes = {INT8OID}
	};
	Datum		args[] = {Int64GetDatum(home), Int32GetDatum(LN_STATISTICS_MAX)};
	int			n;

	caller_context = CurrentMemoryContext;
	n = Min((int) run(&st, args, NULL, SPI_OK_SELECT), LN_STATISTICS_MAX);
	memset(counts, 0, sizeof(LnStatistic) * LN_STATISTICS_MAX);
	for (int i = 0; i < n; i++)
	{
		char	   *value;

		strlcpy(counts[i].channel, column_text(i, 1),
				sizeof(counts[i].channel));
		strlcpy(counts[i].kind, column_text(i, 2), sizeof(counts[i].kind));
		strlcpy(counts[i].day, column_text(i, 3), sizeof(counts[i].day));
		value = column_text(i, 4);
		strlcpy(counts[i].upto, value ? value : "", sizeof(counts[i].upto));
		value = column_text(i, 5);
		strlcpy(counts[i].unit, value ? value : "", sizeof(counts[i].unit));
	}
	(void) run(&when, args, NULL, SPI_OK_SELECT);
	*next = column_int8(0, 1, DT_NOEND);
	return n;
}

void
ln_outbox_record_statistics(const LnStatistic *counts, int n)
{
	static Statement st = {
		.sql =
		"SELECT line_notify._record_statistic($1, $2, to_date($3, 'YYYYMMDD'),"
		" to_date(nullif($4, ''), 'YYYYMMDD'), nullif($5, ''), $6, nullif($7, -1), nullif($8, -1))",
		.nargs = 8,
		.argtypes = {TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, INT8OID, INT8OID}
	};

	for (int i = 0; i < n; i++)
	{
		Datum		args[] = {CStringGetTextDatum(counts[i].channel),
			CStringGetTextDatum(counts[i].kind),
			CStringGetTextDatum(counts[i].day),
			CStringGetTextDatum(counts[i].upto),
			CStringGetTextDatum(counts[i].unit),
			CStringGetTextDatum(counts[i].status),
			Int64GetDatum(counts[i].number),
		Int64GetDatum(counts[i].clicked)};

		(void) run(&st, args, NULL, SPI_OK_SELECT);
	}
}

int
ln_outbox_insert_events(const char *channel, const LnEvent *events, int n)
{
	/*
	 * New is what neither waits to be folded nor was folded into its message
	 * already.  ON CONFLICT waits for a concurrent copy of the same event.
	 */
	static Statement st = {
		.sql =
		"INSERT INTO line_notify.webhook_event (channel, event_id, type, message_id, attempt, token, recipient, event_at)"
		" SELECT $1, e.event_id, e.type, nullif(e.message_id, 0), nullif(e.attempt, 0),"
		"  CASE WHEN e.message_id OPERATOR(pg_catalog.<>) 0 THEN e.token END, nullif(e.recipient, ''), e.event_at"
		" FROM unnest($2, $3, $4, $5, $6, $7, $8) WITH ORDINALITY"
		"  AS e(event_id, type, message_id, attempt, token, recipient, event_at, n)"
		" WHERE NOT EXISTS (SELECT FROM line_notify.history h"
		"  WHERE h.id OPERATOR(pg_catalog.=) e.message_id AND h.delivery_event OPERATOR(pg_catalog.=) e.event_id)"
		" AND NOT EXISTS (SELECT FROM line_notify.attempt_log a"
		"  WHERE a.id OPERATOR(pg_catalog.=) e.message_id AND a.delivery_event OPERATOR(pg_catalog.=) e.event_id)"
		" AND NOT EXISTS (SELECT FROM line_notify.seen_event s WHERE s.event_id OPERATOR(pg_catalog.=) e.event_id)"
		" ORDER BY e.n"			/* whatever way it is joined */
		" ON CONFLICT (event_id) DO NOTHING",
		.nargs = 8,
		.argtypes = {TEXTOID, TEXTARRAYOID, TEXTARRAYOID, INT8ARRAYOID, INT4ARRAYOID, INT8ARRAYOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID}
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
	args[1] = text_array(ids, n);
	args[2] = text_array(types, n);
	args[3] = int8_array(messages, n);
	args[4] = int4_array(attempts, n);
	args[5] = int8_array(tokens, n);
	args[6] = text_array(recipients, n);
	args[7] = timestamptz_array(ats, n);
	return (int) run(&st, args, NULL, SPI_OK_INSERT);
}

bool
ln_outbox_announce(const char *notify_channel)
{
	static Statement st = {
		.sql =
		"SELECT pg_notify($1, '') WHERE pg_notification_queue_usage() < 0.5",
		.nargs = 1,
		.argtypes = {TEXTOID}
	};
	Datum		arg = CStringGetTextDatum(notify_channel);

	return run(&st, &arg, NULL, SPI_OK_SELECT) > 0;
}

int64
ln_outbox_note_drain(int64 sent)
{
	static Statement st = {
		.sql = "SELECT line_notify._note_drain($1)",
		.nargs = 1,
		.argtypes = {INT8OID}
	};
	Datum		arg = Int64GetDatum(sent);

	caller_context = CurrentMemoryContext;
	(void) run(&st, &arg, NULL, SPI_OK_SELECT);
	return column_int8(0, 1, 0);
}

char *
ln_outbox_state(int64 id)
{
	static Statement st = {
		.sql =
		"SELECT s.state FROM ("
		" SELECT CASE WHEN EXISTS (SELECT FROM line_notify.in_flight f WHERE f.id OPERATOR(pg_catalog.=) $1)"
		"  THEN 'sending' ELSE o.state::pg_catalog.text END AS state"
		" FROM line_notify.outbox o WHERE o.id OPERATOR(pg_catalog.=) $1"
		" UNION ALL"
		" SELECT h.state::pg_catalog.text FROM line_notify.history h WHERE h.id OPERATOR(pg_catalog.=) $1) s",
		.nargs = 1,
		.argtypes = {INT8OID}
	};
	Datum		arg = Int64GetDatum(id);

	caller_context = CurrentMemoryContext;
	if (run(&st, &arg, NULL, SPI_OK_SELECT) == 0)
		return NULL;
	return column_text(0, 1);
}

/* ---- arrays ---- */

static Datum
int8_array(const int64 *v, int n)
{
	Datum	   *d = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
		d[i] = Int64GetDatum(v[i]);
	return PointerGetDatum(
						   construct_array(d, n, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

static Datum
int4_array(const int *v, int n)
{
	Datum	   *d = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
		d[i] = Int32GetDatum(v[i]);
	return PointerGetDatum(
						   construct_array(d, n, INT4OID, 4, true, TYPALIGN_INT));
}

static Datum
bool_array(const bool *v, int n)
{
	Datum	   *d = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
		d[i] = BoolGetDatum(v[i]);
	return PointerGetDatum(
						   construct_array(d, n, BOOLOID, 1, true, TYPALIGN_CHAR));
}

static Datum
text_array(const char *const *v, int n)
{
	Datum	   *d = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
		d[i] = CStringGetTextDatum(v[i] ? v[i] : "");
	return PointerGetDatum(
						   construct_array(d, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/* 0 stands for NULL */
static Datum
timestamptz_array(const TimestampTz *v, int n)
{
	Datum	   *d = palloc(sizeof(Datum) * Max(n, 1));
	bool	   *nulls = palloc(sizeof(bool) * Max(n, 1));
	int			lower = 1;

	for (int i = 0; i < n; i++)
	{
		d[i] = TimestampTzGetDatum(v[i]);
		nulls[i] = v[i] == 0;
	}
	return PointerGetDatum(
						   construct_md_array(d, nulls, 1, &n, &lower, TIMESTAMPTZOID, 8,
											  FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/* ---- columns ---- */

static Datum
column(int row, int col, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, col,
						 isnull);
}

/*
 * text-like columns (text, name), copied to the caller's context; NULL for
 * NULL
 */
static char *
column_text(int row, int col)
{
	bool		isnull;
	Datum		d = column(row, col, &isnull);
	char	   *result = NULL;

	if (!isnull)
		CALLER_CONTEXT(result = TextDatumGetCString(d));
	return result;
}

/* The same in UTF-8, or with *fault as it is in the database. */
static char *
utf8_text(int row, int col, bool *fault)
{
	char	   *text = column_text(row, col);
	const char *utf8;
	int			len;

	if (text == NULL || GetDatabaseEncoding() == PG_UTF8)
		return text;

	CALLER_CONTEXT(utf8 = ln_encoding_to_utf8(text, strlen(text), &len));
	if (utf8 == NULL || !pg_verify_mbstr(PG_UTF8, utf8, len, true))
	{
		*fault = true;
		return text;
	}
	return unconstify(char *, utf8);
}

static int64
column_int8(int row, int col, int64 if_null)
{
	bool		isnull;
	Datum		d = column(row, col, &isnull);

	return isnull ? if_null : DatumGetInt64(d);
}

/* int4, int2 and bool columns */
static int
column_int4(int row, int col, int if_null)
{
	bool		isnull;
	Datum		d = column(row, col, &isnull);

	if (isnull)
		return if_null;
	switch (SPI_gettypeid(SPI_tuptable->tupdesc, col))
	{
		case INT2OID:
			return DatumGetInt16(d);
		case BOOLOID:
			return DatumGetBool(d) ? 1 : 0;
		default:
			return DatumGetInt32(d);
	}
}

/* text[] columns; NULL for NULL */
static char **
column_text_array(int row, int col, int *n)
{
	bool		isnull;
	Datum		d = column(row, col, &isnull);
	Datum	   *elements;
	char	  **result;

	*n = 0;
	if (isnull)
		return NULL;
	deconstruct_array(DatumGetArrayTypeP(d), TEXTOID, -1, false, TYPALIGN_INT,
					  &elements, NULL, n);
	CALLER_CONTEXT(result = palloc(sizeof(char *) * Max(*n, 1)));
	for (int i = 0; i < *n; i++)
		CALLER_CONTEXT(result[i] = TextDatumGetCString(elements[i]));
	return result;
}

/*
 * jsonb columns with a policy; NULL for NULL, and for what INSERT would have
 * refused
 */
static LnPolicy *
column_policy(int row, int col)
{
	bool		isnull;
	Datum		d = column(row, col, &isnull);
	LnPolicy   *policy;
	const char *member;
	const char *fault;

	if (isnull)
		return NULL;
	CALLER_CONTEXT(policy = palloc(sizeof(LnPolicy)));
	return ln_policy_read(DatumGetJsonbP(d), policy, &member, &fault) ? policy
		: NULL;
}

static bool
column_bool(int row, int col)
{
	bool		isnull;
	Datum		d = column(row, col, &isnull);

	return !isnull && DatumGetBool(d);
}

static int64
column_interval_us(int row, int col)
{
	bool		isnull;
	Datum		d = column(row, col, &isnull);
	Interval   *iv;

	if (isnull)
		return 0;
	iv = DatumGetIntervalP(d);
	return iv->time + (int64) iv->day * USECS_PER_DAY +
		(int64) iv->month * DAYS_PER_MONTH * USECS_PER_DAY;
}
