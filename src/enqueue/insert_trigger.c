/*-------------------------------------------------------------------------
 *
 * insert_trigger.c
 *		A new message: checked, hashed, scheduled, and the worker woken at
 *		commit.
 *
 * The BEFORE INSERT trigger of outbox runs in the producer's transaction, for
 * every row of every COPY: no SQL per row, channels and grants are cached per
 * backend, and the cache falls by relcache invalidation.
 *
 * Two kinds of fault.  What the statement says wrongly (an unknown channel,
 * two contents, a key of wrong shape) is an ERROR: it would be wrong for every
 * row.  What one row's data says wrongly (a number that is none, an empty
 * value) follows the channel's on_invalid: by default the row is parked as
 * "invalid", because one bad cell must not roll back an order.
 *
 * A row that comes with a state is a row of a dump: it is taken as it is.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "base/crypto.h"
#include "base/name.h"
#include "base/traceparent.h"
#include "become.h"
#include "compat.h"
#include "content/approval.h"
#include "content/message_funcs.h"
#include "content/use_case.h"
#include "db/dedup.h"
#include "db/message_columns.h"
#include "db/message_id.h"
#include "db/policy.h"
#include "db/quiet_time.h"
#include "db/suppression.h"
#include "enqueue/insert_trigger.h"
#include "guc.h"
#include "phone/phone_funcs.h"
#include "server/shmem.h"
#include "server/wakeup.h"

PG_FUNCTION_INFO_V1(line_notify_outbox_insert);
PG_FUNCTION_INFO_V1(line_notify_is_waiting_row);
PG_FUNCTION_INFO_V1(line_notify_next_message_id);
PG_FUNCTION_INFO_V1(line_notify_configuration_changed);
PG_FUNCTION_INFO_V1(line_notify_duplicate_of);

/*
 * Nobody plans a notice for longer; and times at the end of the calendar could
 * not be restored.
 */
#define MAX_AHEAD_US		(INT64CONST(36600) * USECS_PER_DAY)

/* Longest reference and batch in bytes: both are indexed. */
#define MAX_LABEL_BYTES		1000

/* our columns of outbox */
#define COLUMN(name, type)	COL_##name,
typedef enum OutboxColumn
{
	LN_MESSAGE_COLUMNS(COLUMN, COLUMN, COLUMN)
	COL_id,
	COL_state,
	COL_due_at,
	COL_home,
	COL_created_at,
	COL_error,
	NCOLS
} OutboxColumn;
#undef COLUMN

static const char *const column_names[NCOLS] = {
	LN_MESSAGE_COLUMNS(LN_COLUMN_STRING, LN_COLUMN_STRING, LN_COLUMN_STRING)
	"id", "state", "due_at", "home", "created_at", "error"
};

/* where our columns are, and our ids: once per statement */
typedef struct Places
{
	int			attno[NCOLS];	/* 1-based */
	Oid			id_sequence;
} Places;

/* One firing's view of the row. */
typedef struct Row
{
	TupleDesc	desc;
	const int  *attno;			/* of Places */
	Datum	   *values;
	bool	   *nulls;
	bool	   *replace;
} Row;

#define IS_NULL(row, c)		((row)->nulls[(row)->attno[c] - 1])
#define VALUE(row, c)		((row)->values[(row)->attno[c] - 1])

/* what is kept is of these, and falls with any change of them */
static const char *const cached_tables[] = {
	"channel", "sender", "suppression", LN_APPROVAL_TABLES
};

/* of these */
#define TABLE_CHANNEL		0
#define TABLE_SUPPRESSION	2

/* cache of this backend */
static struct
{
	bool		stale;			/* or never loaded: context is NULL */
	bool		invalidated;	/* while it was being loaded */
	bool		registered;
	MemoryContext context;
	Oid			relids[lengthof(cached_tables)];
	LnChannelRow *channels;
	int			nchannels;
	LnSenderRow *senders;
	int			nsenders;
	LnApprovals *approvals;
	Oid			state_type;
	Oid			queued_label;	/* enum values */
	Oid			invalid_label;
	Oid			suppressed_label;
	LnDedupTables dedup;
	bool		any_suppressed; /* somebody objected */
	Oid			suppression_pkey;
}			cache;

/* the message that the row last inserted by this session was a duplicate of */
static int64 duplicate_of = 0;

/* what is known of the next row to come; see ln_enqueue_tell() */
typedef struct LnRowOrigin
{
	const char *fault;
	bool		content_is_data;
} LnRowOrigin;

static LnRowOrigin origin;

static int64 next_id(Oid sequence);
static void load_cache(void);
static void cache_callback(Datum arg, Oid relid);
static void set_value(Row *row, OutboxColumn c, Datum value);
static void set_null(Row *row, OutboxColumn c);
static const LnChannelRow *choose_channel(Row *row);
static const LnChannelRow *find_channel(const char *name);
static void check_sender(const char *channel, Oid owner);
static void check_id(Row *row, Oid owner, Oid sequence);
static void check_key(Row *row, OutboxColumn c);
static void check_trace(Row *row);
static void drop_json_null(Row *row, OutboxColumn c);
static bool shorten_label(Row *row, OutboxColumn c);
static void warn_of_no_preload(void);
static bool is_allowed(const LnChannelRow *channel, const char *recipient);
static void read_policy(Row *row, LnPolicy *policy);
static const char *check_content(Row *row, const LnChannelRow *channel,
								 bool content_is_data, char *buf,
								 size_t buflen);
static const char *find_recipient(Row *row, const LnChannelRow *channel,
								  char *buf, size_t buflen);
static void forget_origin(void *arg);
static bool is_duplicate(Row *row, const LnChannelRow *channel,
						 Relation outbox, TimestampTz now, TimestampTz until);
pg_noreturn static void statement_fault(int sqlstate, const char *message,
										const char *detail, const char *hint);

static void
statement_fault(int sqlstate, const char *message,
				const char *detail, const char *hint)
{
	/* the statement holds a telephone number: keep it out of the log */
	ereport(ERROR,
			(errcode(sqlstate),
			 errmsg("%s", message),
			 detail ? errdetail("%s", detail) : 0,
			 hint ? errhint("%s", hint) : 0,
			 errhidestmt(true), errhidecontext(true)));
	pg_unreachable();
}

Datum
line_notify_configuration_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function must be called as a trigger")));
	CacheInvalidateRelcache(trigdata->tg_relation);
	ln_wakeup_at_commit(LN_WORK_CONFIG);
	PG_RETURN_POINTER(NULL);
}

Datum
line_notify_outbox_insert(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	HeapTuple	tuple;
	Row			row;
	Places	   *places;
	const LnChannelRow *channel;
	const char *fault = NULL;	/* row fault, for column error */
	char		faultbuf[LN_FINDING_PATH_LEN + 128];
	const char *recipient_fault;
	LnRowOrigin known = origin;
	LnPolicy	policy;
	bool		template;
	TimestampTz now;
	TimestampTz due;
	TimestampTz expires;
	int			priority;
	bool		suppressed;

	memset(&origin, 0, sizeof(origin));
	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_BEFORE(trigdata->tg_event) ||
		!TRIGGER_FIRED_BY_INSERT(trigdata->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigdata->tg_event))
		ereport(
				ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg(
						"function must be called as a BEFORE INSERT trigger for each row")));

	/* other columns than ours may have been added */
	row.desc = RelationGetDescr(trigdata->tg_relation);
	places = (Places *) fcinfo->flinfo->fn_extra;
	if (places == NULL)
	{
		Oid			schema;

		places = MemoryContextAlloc(fcinfo->flinfo->fn_mcxt, sizeof(Places));
		for (int i = 0; i < NCOLS; i++)
		{
			places->attno[i] = SPI_fnumber(row.desc, column_names[i]);
			if (places->attno[i] <= 0)
				ereport(ERROR,
						(errcode(ERRCODE_UNDEFINED_COLUMN),
						 errmsg("column \"%s\" of the outbox does not exist",
								column_names[i])));
		}
		schema = RelationGetNamespace(trigdata->tg_relation);
		places->id_sequence = get_relname_relid("message_id_seq", schema);
		if (!OidIsValid(places->id_sequence))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_TABLE),
					 errmsg("sequence message_id_seq of line_notify is missing")));
		fcinfo->flinfo->fn_extra = places;
	}
	row.attno = places->attno;
	row.values = palloc(sizeof(Datum) * row.desc->natts);
	row.nulls = palloc(sizeof(bool) * row.desc->natts);
	row.replace = palloc0(sizeof(bool) * row.desc->natts);
	tuple = trigdata->tg_trigtuple;
	heap_deform_tuple(tuple, row.desc, row.values, row.nulls);

	/* from a dump: no clock, no checks, no wake-up */
	if (!IS_NULL(&row, COL_state))
	{
		if (!IS_NULL(&row, COL_id))
		{
			ln_message_id_given(places->id_sequence,
								DatumGetInt64(VALUE(&row, COL_id)), false);
			return PointerGetDatum(tuple);
		}
		set_value(&row, COL_id,
				  Int64GetDatum(next_id(places->id_sequence)));
		return PointerGetDatum(heap_modify_tuple(tuple, row.desc, row.values,
												 row.nulls, row.replace));
	}

	duplicate_of = 0;
	if (!ln_guc_enqueue)
		return PointerGetDatum(NULL);

	if (ln_wakeup_count_row() > ln_guc_max_messages_per_transaction)
		statement_fault(
						ERRCODE_PROGRAM_LIMIT_EXCEEDED,
						"too many messages in one transaction",
						psprintf("line_notify.max_messages_per_transaction is %d.",
								 ln_guc_max_messages_per_transaction),
						"If they shall really be sent, a superuser can SET LOCAL line_notify.max_messages_per_transaction for this transaction.");

	drop_json_null(&row, COL_body);
	drop_json_null(&row, COL_messages);
	drop_json_null(&row, COL_policy);
	channel = choose_channel(&row);
	check_sender(channel->name, trigdata->tg_relation->rd_rel->relowner);
	check_id(&row, trigdata->tg_relation->rd_rel->relowner,
			 places->id_sequence);
	read_policy(&row, &policy);
	check_trace(&row);

	template = !IS_NULL(&row, COL_template_key);
	fault = known.fault;
	if (fault == NULL)
	{
		fault = check_content(&row, channel, known.content_is_data, faultbuf,
							  sizeof(faultbuf));
		recipient_fault =
			find_recipient(&row, channel, faultbuf, sizeof(faultbuf));
		if (recipient_fault != NULL)
			fault = recipient_fault;
	}
	set_null(&row, COL_phone);

	/*
	 * The transaction id before the clock: whoever sees that all transactions
	 * older than a moment have ended knows that no row due before that moment
	 * will still appear (horizon.h).
	 */
	(void) GetCurrentTransactionId();
	now = GetCurrentTimestamp();
	due = now;
	if (!IS_NULL(&row, COL_send_after))
		due = DatumGetTimestampTz(VALUE(&row, COL_send_after));
	if (!IS_NULL(&row, COL_spread))
	{
		double		us =
		ln_interval_us(DatumGetIntervalP(VALUE(&row, COL_spread)));

		if (us < 0 || us > 366.0 * USECS_PER_DAY)
			statement_fault(ERRCODE_INVALID_PARAMETER_VALUE,
							"spread is out of range",
							"The range is 0 to 366 days.", NULL);
		/* what is too far ahead is refused below, and could overflow here */
		if (!TIMESTAMP_NOT_FINITE(due) && due <= now + MAX_AHEAD_US)
		{
			TimestampTz end = IS_NULL(&row, COL_expires_at) ? DT_NOEND
			: DatumGetTimestampTz(VALUE(&row, COL_expires_at));

			due = Max(due, now);
			/* chance must not make a message expire before it is due */
			if (end != DT_NOEND)
				us = Min(us, Max((double) end - due, 0));
			due = ln_spread_due(channel->quiet_hours, channel->time_zone, due,
								us, end);
		}
	}
	if (TIMESTAMP_NOT_FINITE(due) && due > 0)
		statement_fault(ERRCODE_INVALID_PARAMETER_VALUE,
						"send_after must be finite", NULL, NULL);
	due = Max(due, now);
	if (shorten_label(&row, COL_batch) && fault == NULL)
		fault = "batch: too long";
	if (shorten_label(&row, COL_reference) && fault == NULL)
		fault = "reference: too long";
	if (due > now + MAX_AHEAD_US)
	{
		if (fault == NULL)
			fault = "send_after: too far ahead";
		due = now;
	}
	if (IS_NULL(&row, COL_expires_at))
		expires = due + Min(channel->default_ttl_us, MAX_AHEAD_US);
	else
	{
		expires = DatumGetTimestampTz(VALUE(&row, COL_expires_at));
		if (TIMESTAMP_NOT_FINITE(expires) && expires > 0)
			statement_fault(
							ERRCODE_INVALID_PARAMETER_VALUE,
							"expires_at must be finite",
							NULL,
							"Give the time after which the notice is useless, or leave it out for the channel's default_ttl.");
		if (expires <= now && fault == NULL)
			fault = "expires_at: in the past";
		if (expires <= due && fault == NULL)
			fault = "expires_at: not after send_after";
		if (expires > now + 2 * MAX_AHEAD_US && fault == NULL)
			fault = "expires_at: too far ahead";
	}

	suppressed = fault == NULL && channel->only_recipients != NULL &&
		!is_allowed(channel, TextDatumGetCString(VALUE(&row, COL_recipient)));
	if (suppressed)
		fault = "only_recipients: not on the list of the channel";
	else if (fault == NULL && cache.any_suppressed &&
			 ln_is_suppressed(cache.relids[TABLE_SUPPRESSION],
							  cache.suppression_pkey,
							  TextDatumGetCString(VALUE(&row, COL_recipient))))
	{
		suppressed = true;
		fault = "the recipient objected";
	}
	if (fault != NULL)
	{
		if (ln_policy_or(policy.on_invalid_error, channel->on_invalid_error) &&
			!suppressed)
			statement_fault(ERRCODE_INVALID_PARAMETER_VALUE,
							"invalid message",
							psprintf("The rule is: %s.", fault),
							"With on_invalid => 'park' such rows are kept as invalid instead.");
		/* the worker moves it to history at once */
		expires = now;
		due = now;
		set_value(&row, COL_error, CStringGetTextDatum(fault));
		set_null(&row, COL_recipient);
	}

	set_value(&row, COL_channel, CStringGetTextDatum(channel->name));
	set_value(&row, COL_state,
			  ObjectIdGetDatum(suppressed ? cache.suppressed_label
							   : fault ? cache.invalid_label
							   : cache.queued_label));
	set_value(&row, COL_due_at, TimestampTzGetDatum(due));
	set_value(&row, COL_expires_at, TimestampTzGetDatum(expires));
	set_value(&row, COL_home, Int64GetDatum(channel->home));
	set_value(&row, COL_created_at, TimestampTzGetDatum(now));

	if (IS_NULL(&row, COL_id))
		set_value(&row, COL_id,
				  Int64GetDatum(next_id(places->id_sequence)));

	/* last, when it is certain that the row will be queued */
	if (!IS_NULL(&row, COL_dedup_key) && fault == NULL &&
		is_duplicate(&row, channel, trigdata->tg_relation, now,
					 now + ln_policy_or(policy.dedup_window_us,
										channel->dedup_window_us)))
		return PointerGetDatum(NULL);
	set_null(&row, COL_on_duplicate);
	priority = IS_NULL(&row, COL_priority)
		? 0
		: DatumGetInt16(VALUE(&row, COL_priority));

	warn_of_no_preload();
	ln_wakeup_for_row(channel->name,
					  ln_lane(priority,
							  template ? LINE_TEMPLATE : LINE_FLEXIBLE),
					  expires);

	tuple =
		heap_modify_tuple(tuple, row.desc, row.values, row.nulls, row.replace);
	return PointerGetDatum(tuple);
}

static int64
next_id(Oid sequence)
{
	pg_atomic_uint64 *highest = NULL;

	if (ln_shared != NULL)
		highest = &ln_shared->highest_id[MyDatabaseId % LN_HIGHEST];
	return ln_message_id_next(sequence, highest);
}

Datum
line_notify_next_message_id(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(next_id(get_relname_relid("message_id_seq",
											  get_namespace_oid("line_notify",
																false))));
}

/* Labels of message_state that a row of the outbox may have. */
typedef struct WaitingStates
{
	Oid			queued;
	Oid			invalid;
	Oid			suppressed;
} WaitingStates;

static WaitingStates *
waiting_states(FmgrInfo *flinfo)
{
	WaitingStates *s = (WaitingStates *) flinfo->fn_extra;
	Oid			type = get_fn_expr_argtype(flinfo, 0);

	if (s != NULL)
		return s;
	s = MemoryContextAlloc(flinfo->fn_mcxt, sizeof(WaitingStates));
	s->queued = GetSysCacheOid2(ENUMTYPOIDNAME, Anum_pg_enum_oid,
								ObjectIdGetDatum(type),
								CStringGetDatum("queued"));
	s->invalid = GetSysCacheOid2(ENUMTYPOIDNAME, Anum_pg_enum_oid,
								 ObjectIdGetDatum(type),
								 CStringGetDatum("invalid"));
	s->suppressed = GetSysCacheOid2(ENUMTYPOIDNAME, Anum_pg_enum_oid,
									ObjectIdGetDatum(type),
									CStringGetDatum("suppressed"));
	flinfo->fn_extra = s;
	return s;
}

/*
 * The CHECK of the outbox: also for rows that come past the trigger, and for
 * what is updated.  Arguments: state, phone, on_duplicate, recipient,
 * priority, template_key, messages.  What is NULL and must not be, says its
 * column.
 */
Datum
line_notify_is_waiting_row(PG_FUNCTION_ARGS)
{
	const WaitingStates *s;
	Oid			state;
	bool		ended;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(4))
		PG_RETURN_BOOL(true);
	s = waiting_states(fcinfo->flinfo);
	state = PG_GETARG_OID(0);
	ended = state == s->invalid || state == s->suppressed;
	if (!ended && (state != s->queued || PG_ARGISNULL(3) ||
				   PG_ARGISNULL(5) == PG_ARGISNULL(6)))
		PG_RETURN_BOOL(false);
	if (!PG_ARGISNULL(1) || !PG_ARGISNULL(2) ||
		PG_GETARG_INT16(4) < LN_MIN_PRIORITY ||
		PG_GETARG_INT16(4) > LN_MAX_PRIORITY)
		PG_RETURN_BOOL(false);
	PG_RETURN_BOOL(PG_ARGISNULL(3) ||
				   ln_is_sha256_hex(TextDatumGetCString(PG_GETARG_DATUM(3))));
}

/* Once in a session, to whoever expects that messages go by themselves. */
static void
warn_of_no_preload(void)
{
	static bool warned;

	if (ln_shared != NULL || warned)
		return;
	warned = true;
	ereport(WARNING,
			(errmsg("messages wait until somebody calls line_notify.drain()"),
			 errdetail("line_notify is not in shared_preload_libraries, so no worker sends them."),
			 errhint("Add line_notify to shared_preload_libraries in postgresql.conf and restart the server."),
			 errhidestmt(true), errhidecontext(true)));
}

/*
 * A caller of this library that knows where the values of a row come from says
 * so before it inserts that row.  An error on the way there must not leave
 * this to somebody else's row: it ends with the caller's memory context.
 */
void
ln_enqueue_tell(const char *fault, bool content_is_data)
{
	MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));

	callback->func = forget_origin;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	origin.fault = fault;
	origin.content_is_data = content_is_data;
}

static void
forget_origin(void *arg)
{
	memset(&origin, 0, sizeof(origin));
}

static void
read_policy(Row *row, LnPolicy *policy)
{
	const char *member;
	const char *fault;

	ln_policy_init(policy);
	if (!IS_NULL(row, COL_policy) &&
		!ln_policy_read(DatumGetJsonbP(VALUE(row, COL_policy)), policy,
						&member, &fault))
		statement_fault(
						ERRCODE_INVALID_PARAMETER_VALUE,
						"invalid policy of a message",
						member[0] == '\0'
						? psprintf("The policy %s.", fault)
						: psprintf("Member \"%s\" %s%s.", member,
								   strncmp(fault, "is ", 3) == 0
								   ? "" : "must be ",
								   fault),
						"Members are max_attempts, backoff_base, backoff_cap, on_unknown, on_server_error, settle_window, on_invalid and dedup_window, as of a channel.");
}

/*
 * What is wrong for every row raises.  Returns what is wrong with this row
 * only, or NULL.
 */
static const char *
check_content(Row *row, const LnChannelRow *channel,
			  bool content_is_data, char *buf,
			  size_t buflen)
{
	bool		template = !IS_NULL(row, COL_template_key);
	const char *fault = NULL;
	LnContentFinding finding;
	LnRefusal	refusal;
	char	   *template_key;
	Jsonb	   *content;
	char	   *unit = NULL;
	int			priority;

	if (content_is_data && template == !IS_NULL(row, COL_messages))
		return template ? "messages: given beside template_key"
			: "messages: missing";
	if (content_is_data && !template && !IS_NULL(row, COL_body))
		return "template_key: missing";
	if (content_is_data && !template && channel->use_case_required &&
		IS_NULL(row, COL_use_case))
		return "use_case: missing";

	if (!IS_NULL(row, COL_recipient) && !IS_NULL(row, COL_phone))
		statement_fault(ERRCODE_INVALID_PARAMETER_VALUE,
						"a message has either a phone number or a recipient hash",
						"Both phone and recipient are given.", NULL);
	if (template == !IS_NULL(row, COL_messages))
		statement_fault(
						ERRCODE_INVALID_PARAMETER_VALUE,
						"a message has either a template or message objects",
						template ? "Both template_key and messages are given."
						: "Neither template_key nor messages is given.",
						"Template messages have template_key and body, flexible messages have messages.");
	if (!template && !IS_NULL(row, COL_body))
		statement_fault(ERRCODE_INVALID_PARAMETER_VALUE,
						"a flexible message has no body",
						"Column body belongs to template messages.", NULL);
	if (template && !IS_NULL(row, COL_notification_disabled))
	{
		if (DatumGetBool(VALUE(row, COL_notification_disabled)))
			statement_fault(ERRCODE_INVALID_PARAMETER_VALUE,
							"a template message cannot disable the notification",
							"LINE knows notification_disabled for flexible messages only.", NULL);
		/* what a library makes of a boolean that nobody set */
		set_null(row, COL_notification_disabled);
	}
	if (!template && channel->use_case_required && IS_NULL(row, COL_use_case))
		statement_fault(ERRCODE_NOT_NULL_VIOLATION,
						"a flexible message needs a use case",
						"LINE reviews every flexible message for one of 22 use cases.",
						"View line_notify.use_cases lists them; use_case_required => false of the channel switches this check off.");
	priority = IS_NULL(row, COL_priority)
		? 0
		: DatumGetInt16(VALUE(row, COL_priority));
	if (priority < LN_MIN_PRIORITY || priority > LN_MAX_PRIORITY)
		statement_fault(ERRCODE_INVALID_PARAMETER_VALUE,
						"priority is out of range",
						psprintf("The range is %d to %d; larger is sooner.",
								 LN_MIN_PRIORITY, LN_MAX_PRIORITY),
						NULL);

	check_key(row, COL_dedup_key);
	check_key(row, COL_order_key);
	if (!IS_NULL(row, COL_on_duplicate))
	{
		char	   *action = TextDatumGetCString(VALUE(row, COL_on_duplicate));

		if (strcmp(action, "ignore") != 0 && strcmp(action, "replace") != 0)
			statement_fault(ERRCODE_INVALID_PARAMETER_VALUE,
							psprintf("unknown value of on_duplicate: \"%s\"",
									 ln_shown(action)),
							NULL, "Use ignore or replace.");
	}

	if (!IS_NULL(row, COL_aggregation_unit))
		unit = TextDatumGetCString(VALUE(row, COL_aggregation_unit));
	else if (!IS_NULL(row, COL_use_case))
	{
		/* else LINE's statistics of the first month would be lost */
		unit = ln_use_case_key(DatumGetObjectId(VALUE(row, COL_use_case)));
		if (strlen(unit) > 30)
			unit[30] = '\0';	/* LINE's limit */
		set_value(row, COL_aggregation_unit, CStringGetTextDatum(unit));
	}

	template_key = template
		? TextDatumGetCString(VALUE(row, COL_template_key)) : NULL;
	content = !template ? DatumGetJsonbP(VALUE(row, COL_messages))
		: IS_NULL(row, COL_body) ? NULL
		: DatumGetJsonbP(VALUE(row, COL_body));
	if (template
		? ln_check_template(template_key, content, unit,
							channel->refuse_unknown, &finding) > 0
		: ln_check_flexible(content, unit, channel->refuse_unknown,
							&finding) > 0)
	{
		if (!finding.is_row_fault && !content_is_data)
			statement_fault(
							ERRCODE_INVALID_PARAMETER_VALUE,
							psprintf("message breaks a content rule of LINE: %s",
									 finding.rule),
							psprintf("%s%s%s.", finding.path,
									 finding.path[0] ? ": " : "",
									 finding.message),
							"line_notify.check_message() lists everything that is wrong with a message.");
		snprintf(buf, buflen, "%s at %s", finding.rule,
				 finding.path[0] ? finding.path : "message");
		fault = buf;
	}
	else if (ln_guc_content_warnings == LN_CONTENT_WARNINGS_NOTICE)
		ln_notice_warnings(template_key, content);

	if (!ln_approval_check(cache.approvals, channel->name, channel->region,
						   channel->catalogue_only,
						   IS_NULL(row, COL_use_case)
						   ? InvalidOid
						   : DatumGetObjectId(VALUE(row, COL_use_case)),
						   template_key, content, &refusal))
	{
		if (content_is_data)
			return "approval: not approved";
		statement_fault(ERRCODE_CHECK_VIOLATION, refusal.message,
						refusal.detail, refusal.hint);
	}
	return fault;
}

/*
 * Makes the recipient of a number; returns what is wrong with that, or NULL.
 */
static const char *
find_recipient(Row *row, const LnChannelRow *channel, char *buf, size_t buflen)
{
	if (!IS_NULL(row, COL_recipient))
	{
		if (!ln_is_sha256_hex(TextDatumGetCString(VALUE(row, COL_recipient))))
			statement_fault(ERRCODE_INVALID_PARAMETER_VALUE,
							"invalid recipient hash",
							"A recipient is the SHA-256 of the E.164 number as 64 lower-case hexadecimal digits.",
							"Give the number in column phone, or use line_notify.phone_hash().");
	}
	else if (IS_NULL(row, COL_phone))
		return "phone: missing";
	else
	{
		LnPhone		phone;
		int			region;
		char	   *code = IS_NULL(row, COL_region)
		? channel->region
		: TextDatumGetCString(VALUE(row, COL_region));

		region = ln_phone_region_id(code, strlen(code));
		if (region < 0)
			statement_fault(
							ERRCODE_INVALID_PARAMETER_VALUE,
							strlen(code) > 3 ? "unknown region"
							: psprintf("unknown region: \"%s\"", code),
							NULL,
							"Regions are ISO 3166-1 codes of two letters, such as JP, TH or TW.");
		if (!ln_phone_from_datum(VALUE(row, COL_phone), region, LN_PHONE_SAFE,
								 &phone))
		{
			snprintf(buf, buflen, "phone: %s",
					 ln_phone_status_name(phone.status));
			return buf;
		}
		else if (ln_phone_line_country(&phone) == NULL)
			return "phone: not_served_by_line";
		else
			set_value(row, COL_recipient, ln_phone_hash(&phone));
	}
	return NULL;
}

static void
set_value(Row *row, OutboxColumn c, Datum value)
{
	int			i = row->attno[c] - 1;

	row->values[i] = value;
	row->nulls[i] = false;
	row->replace[i] = true;
}

static void
set_null(Row *row, OutboxColumn c)
{
	int			i = row->attno[c] - 1;

	row->nulls[i] = true;
	row->replace[i] = true;
}

static const LnChannelRow *
choose_channel(Row *row)
{
	const LnChannelRow *channel;
	char	   *name = NULL;

	if (!IS_NULL(row, COL_channel))
		name = TextDatumGetCString(VALUE(row, COL_channel));
	else if (ln_guc_default_channel != NULL &&
			 ln_guc_default_channel[0] != '\0')
		name = ln_guc_default_channel;

	if (cache.stale || cache.context == NULL)
		load_cache();
	if (name != NULL)
	{
		channel = find_channel(name);
		if (channel == NULL)
			statement_fault(ERRCODE_UNDEFINED_OBJECT,
							psprintf("channel \"%s\" does not exist",
									 ln_shown(name)),
							NULL,
							"View line_notify.channels lists the channels.");
		return channel;
	}
	if (cache.nchannels != 1)
		statement_fault(
						ERRCODE_INVALID_PARAMETER_VALUE,
						cache.nchannels == 0
						? "there is no channel to send through"
						: "the message names no channel",
						cache.nchannels == 0
						? NULL
						: "There are several channels, and a wrong one reaches strangers.",
						cache.nchannels == 0
						? "Create one with line_notify.create_channel()."
						: "Name it in column channel, or set line_notify.default_channel for the role or database.");
	return &cache.channels[0];
}

/*
 * Channel by name as this backend knows it, or NULL. Valid until the next call
 * that may accept invalidations.
 */
static const LnChannelRow *
find_channel(const char *name)
{
	for (int i = 0; i < cache.nchannels; i++)
		if (strcmp(cache.channels[i].name, name) == 0)
			return &cache.channels[i];
	return NULL;
}

/* A role with the column grants may send through the channels it was given. */
static void
check_sender(const char *channel, Oid owner)
{
	Oid			role = GetUserId();

	if (role == owner || superuser_arg(role) || has_privs_of_role(role, owner))
		return;
	for (int i = 0; i < cache.nsenders; i++)
	{
		const LnSenderRow *s = &cache.senders[i];

		if ((strcmp(s->channel, "*") == 0 ||
			 strcmp(s->channel, channel) == 0) &&
			(s->role == role || has_privs_of_role(role, s->role)))
			return;
	}
	statement_fault(
					ERRCODE_INSUFFICIENT_PRIVILEGE,
					psprintf("permission denied to send through channel \"%s\"", channel),
					NULL,
					"line_notify.grant_sender(role, channels) gives it.");
}

/*
 * An id is ours to give.  Senders have the right to name the column, so that
 * its DEFAULT can be written down, as many libraries do.
 */
static void
check_id(Row *row, Oid owner, Oid sequence)
{
	if (IS_NULL(row, COL_id))
		return;
	if (!has_privs_of_role(GetUserId(), owner))
		statement_fault(ERRCODE_INSUFFICIENT_PRIVILEGE,
						"permission denied to choose the id of a message",
						NULL,
						"Leave the id out, or say DEFAULT; reference is for ids of the application.");
	ln_message_id_given(sequence, DatumGetInt64(VALUE(row, COL_id)), true);
}

static void
check_key(Row *row, OutboxColumn c)
{
	int			len;

	if (IS_NULL(row, c))
		return;
	len = VARSIZE_ANY_EXHDR(DatumGetTextPP(VALUE(row, c)));
	if (len < 1 || len > LN_MAX_KEY)
		statement_fault(ERRCODE_INVALID_PARAMETER_VALUE,
						psprintf("invalid %s", column_names[c]),
						psprintf("A key has 1 to %d bytes.", LN_MAX_KEY),
						"Use NULL for none.");
}

/*
 * A trace that is none is left out: a tracer that is switched off must not
 * keep a message from being sent.  Nor must one that is malformed: it came in
 * a header of whoever called the application, and the order is worth more.
 * The W3C says the same: begin another trace.  Said once in a session.
 */
static void
check_trace(Row *row)
{
	static bool told;
	text	   *t;
	LnTraceparent is;

	if (IS_NULL(row, COL_traceparent))
		return;
	t = DatumGetTextPP(VALUE(row, COL_traceparent));
	is = ln_traceparent_read(VARDATA_ANY(t), VARSIZE_ANY_EXHDR(t));
	if (is == LN_TRACEPARENT_VALID)
		return;
	set_null(row, COL_traceparent);
	if (is == LN_TRACEPARENT_NONE || told)
		return;
	told = true;
	ereport(NOTICE,
			(errmsg("a malformed traceparent was left out"),
			 errdetail("It is version, trace id, parent id and flags in lower-case hexadecimal digits: 00-<32>-<16>-<2>."),
			 errhint("Give the header as the tracer makes it, or NULL for none."),
			 errhidestmt(true), errhidecontext(true)));
}

/*
 * JSON's null is no value, either: it is what json_encode(null), Json(None) or
 * a column of SQLAlchemy make of none.
 */
static void
drop_json_null(Row *row, OutboxColumn c)
{
	Jsonb	   *json;
	JsonbValue	v;

	if (IS_NULL(row, c))
		return;
	json = DatumGetJsonbP(VALUE(row, c));
	if (JB_ROOT_IS_SCALAR(json) && JsonbExtractScalar(&json->root, &v) &&
		v.type == jbvNull)
		set_null(row, c);
}

/*
 * Cuts off a reference or batch that no index could take; says whether it had
 * to.
 */
static bool
shorten_label(Row *row, OutboxColumn c)
{
	text	   *t;
	int			len;

	if (IS_NULL(row, c))
		return false;
	t = DatumGetTextPP(VALUE(row, c));
	len = VARSIZE_ANY_EXHDR(t);
	if (len <= MAX_LABEL_BYTES)
		return false;
	len = pg_mbcliplen(VARDATA_ANY(t), len, MAX_LABEL_BYTES);
	set_value(row, c,
			  PointerGetDatum(cstring_to_text_with_len(VARDATA_ANY(t), len)));
	return true;
}

/* Staging: is the person on the list?  The list is sorted. */
static bool
is_allowed(const LnChannelRow *channel, const char *recipient)
{
	return bsearch(&recipient, channel->only_recipients,
				   channel->nonly_recipients, sizeof(char *),
				   ln_outbox_compare_recipients) != NULL;
}

/*
 * Take the row's dedup_key.  True: another message holds it, and the row is
 * not to be inserted.  With "replace", the other one is removed while it only
 * waits, and the row takes over its id and its place behind its order_key.
 */
static bool
is_duplicate(Row *row, const LnChannelRow *channel,
			 Relation outbox, TimestampTz now, TimestampTz until)
{
	bool		replace = channel->replace_duplicate;
	int64		holder;
	char	   *order_key;

	if (ln_dedup_take(&cache.dedup, channel->name,
					  TextDatumGetCString(VALUE(row, COL_dedup_key)),
					  DatumGetInt64(VALUE(row, COL_id)),
					  now, until, &holder))
		return false;
	duplicate_of = holder;
	if (!IS_NULL(row, COL_on_duplicate))
		replace = strcmp(TextDatumGetCString(VALUE(row, COL_on_duplicate)),
						 "replace") == 0;
	if (!replace || !ln_dedup_remove_waiting(&cache.dedup, outbox, holder,
											 cache.queued_label, &order_key))
		return true;
	set_value(row, COL_id, Int64GetDatum(holder));
	if (order_key != NULL)
		set_value(row, COL_order_key, CStringGetTextDatum(order_key));
	else
		set_null(row, COL_order_key);
	return false;
}

int64
ln_enqueue_duplicate_of(void)
{
	return duplicate_of;
}

Datum
line_notify_duplicate_of(PG_FUNCTION_ARGS)
{
	if (duplicate_of == 0)
		PG_RETURN_NULL();
	PG_RETURN_INT64(duplicate_of);
}

static void
cache_callback(Datum arg, Oid relid)
{
	bool		ours = relid == InvalidOid;

	for (int i = 0; !ours && i < (int) lengthof(cached_tables); i++)
		ours = relid == cache.relids[i];
	if (ours)
		cache.stale = cache.invalidated = true;
}

/*
 * Read channels and grants with the rights of the tables' owner.  The
 * statements have no operator that a hostile search_path could replace.
 */
static void
load_cache(void)
{
	Oid			nsp = get_namespace_oid("line_notify", false);
	LnUser		former;
	MemoryContext context;
	MemoryContext old;
	HeapTuple	tup;
	Oid			owner;

	if (!cache.registered)
	{
		CacheRegisterRelcacheCallback(cache_callback, (Datum) 0);
		cache.registered = true;
	}
	for (int i = 0; i < (int) lengthof(cached_tables); i++)
	{
		cache.relids[i] = get_relname_relid(cached_tables[i], nsp);
		if (!OidIsValid(cache.relids[i]))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_TABLE),
					 errmsg("tables of line_notify are missing")));
	}
	tup = SearchSysCache1(RELOID,
						  ObjectIdGetDatum(cache.relids[TABLE_CHANNEL]));
	if (!HeapTupleIsValid(tup))
		elog(ERROR, "cache lookup failed for relation %u",
			 cache.relids[TABLE_CHANNEL]);
	owner = ((Form_pg_class) GETSTRUCT(tup))->relowner;
	ReleaseSysCache(tup);

	/* belongs to the transaction until everything has been read */
	context =
		AllocSetContextCreate(CurTransactionContext, "line_notify channels",
							  ALLOCSET_SMALL_SIZES);

	former = ln_become(owner);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	old = MemoryContextSwitchTo(context);

	/*
	 * Before the read: an invalidation while we read must not get lost.  An
	 * error while we read leaves the cache stale, since "loading" is never
	 * followed by "fresh".  What is read is of now, whatever snapshot the
	 * transaction has: the cache outlives it.
	 */
	cache.stale = true;
	cache.invalidated = false;

	PushActiveSnapshot(GetLatestSnapshot());

	{
		LnChannelRow *channels;
		LnSenderRow *senders;
		int			nchannels = ln_outbox_load_channels(&channels);
		int			nsenders = ln_outbox_load_senders(&senders);
		bool		any_suppressed = ln_outbox_has_suppressed();
		LnApprovals *approvals;

		MemoryContextSwitchTo(context);
		approvals = ln_approval_load();
		MemoryContextSwitchTo(old);
		PopActiveSnapshot();
		SPI_finish();
		ln_become_again(former);
		MemoryContextSetParent(context, TopMemoryContext);
		cache.stale = cache.invalidated;

		if (cache.context != NULL)
			MemoryContextDelete(cache.context);
		cache.context = context;
		cache.channels = channels;
		cache.nchannels = nchannels;
		cache.senders = senders;
		cache.nsenders = nsenders;
		cache.approvals = approvals;
		cache.any_suppressed = any_suppressed;
	}

	cache.suppression_pkey = get_relname_relid("suppression_pkey", nsp);
	cache.dedup.dedup = get_relname_relid("dedup", nsp);
	cache.dedup.outbox_pkey = get_relname_relid("outbox_pkey", nsp);
	cache.dedup.in_flight = get_relname_relid("in_flight", nsp);
	cache.dedup.in_flight_pkey = get_relname_relid("in_flight_pkey", nsp);
	cache.state_type = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid,
									   CStringGetDatum("message_state"),
									   ObjectIdGetDatum(nsp));
	cache.queued_label = GetSysCacheOid2(ENUMTYPOIDNAME, Anum_pg_enum_oid,
										 ObjectIdGetDatum(cache.state_type),
										 CStringGetDatum("queued"));
	cache.invalid_label = GetSysCacheOid2(ENUMTYPOIDNAME, Anum_pg_enum_oid,
										  ObjectIdGetDatum(cache.state_type),
										  CStringGetDatum("invalid"));
	cache.suppressed_label =
		GetSysCacheOid2(ENUMTYPOIDNAME, Anum_pg_enum_oid,
						ObjectIdGetDatum(cache.state_type),
						CStringGetDatum("suppressed"));
}
