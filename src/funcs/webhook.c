/*-------------------------------------------------------------------------
 *
 * webhook.c
 *		receive_webhook(), receive_verified_events(): LINE's word on what was
 *		delivered.
 *
 * The signature is checked over the raw bytes, in constant time, before
 * anything is parsed.  Events are only inserted; the worker folds them into
 * the messages, so that receiving cannot block on, or deadlock with, sending.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/spi.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "base/crypto.h"
#include "base/name.h"
#include "compat.h"
#include "db/outbox.h"
#include "line/webhook_body.h"
#include "server/shmem.h"
#include "server/wakeup.h"
#include "worker/secret.h"

PG_FUNCTION_INFO_V1(line_notify_receive_webhook);
PG_FUNCTION_INFO_V1(line_notify_receive_webhook_text);
PG_FUNCTION_INFO_V1(line_notify_receive_verified_events);

/* LINE documents no limit; a thousand events are under 400 kB. */
#define MAX_WEBHOOK_BYTES	(4 * 1024 * 1024)

/* 2000-01-01, where the server's time begins, in LINE's */
#define EPOCH_MS			INT64CONST(946684800000)

/* what concerns us of a body */
typedef struct EventList
{
	LnEvent    *list;
	int			n;
	int			capacity;
} EventList;

static void hide_body(void *arg);
static int	receive(const char *name, const char *body, size_t len,
					const char *signature);
static const LnChannelRow *find_channel(const char *name);
static void check_signature(const LnChannelRow *channel, const char *body,
							size_t len, const char *signature);
static int	take_events(const char *channel, const char *json, size_t len);
static int	take_verified_events(const char *channel, Jsonb *json);
pg_noreturn static void no_events(void);
static void add_event(EventList *events, const LnBodyEvent *e);
static int	insert_events(const char *channel, const EventList *events);
static bool signature_matches(const char *secret, const char *body, size_t len,
							  const char *signature, size_t siglen);
static JsonbValue *member(JsonbContainer *object, const char *key);
static char *string_member(JsonbContainer *object, const char *key);

/*
 * Nothing of a body may get into the log by way of an error: it can hold the
 * hash of a telephone number.
 */
static void
hide_body(void *arg)
{
	errhidestmt(true);
	errhidecontext(true);
}

Datum
line_notify_receive_webhook(PG_FUNCTION_ARGS)
{
	bytea	   *raw;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("channel and body must not be null")));
	raw = PG_GETARG_BYTEA_PP(1);
	PG_RETURN_INT32(receive(text_to_cstring(PG_GETARG_TEXT_PP(0)),
							VARDATA_ANY(raw), VARSIZE_ANY_EXHDR(raw),
							PG_ARGISNULL(2) ? ""
							: text_to_cstring(PG_GETARG_TEXT_PP(2))));
}

/*
 * The same for a body that comes as a text, which is what many drivers make of
 * a string.  As bytea it would work until a customer writes a backslash: that
 * is an escape there.  As text it is taken as it is, where the database can
 * hold every body; elsewhere it is refused at once, not at the first emoji.
 */
Datum
line_notify_receive_webhook_text(PG_FUNCTION_ARGS)
{
	text	   *body;
	const char *str;
	int			len;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("channel and body must not be null")));
	body = PG_GETARG_TEXT_PP(1);
	str = VARDATA_ANY(body);
	len = VARSIZE_ANY_EXHDR(body);

	/* bytes in hexadecimal that nobody said to be bytea; no JSON begins so */
	if (len >= 2 && str[0] == '\\' && str[1] == 'x')
	{
		Datum		text = CStringGetDatum(text_to_cstring(body));
		bytea	   *raw = DatumGetByteaPP(DirectFunctionCall1(byteain, text));

		str = VARDATA_ANY(raw);
		len = VARSIZE_ANY_EXHDR(raw);
	}
	else if (GetDatabaseEncoding() != PG_UTF8 &&
			 GetDatabaseEncoding() != PG_SQL_ASCII)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the body of a webhook call must be passed as bytes"),
				 errdetail("A text of this database, in encoding %s, cannot hold every body.",
						   GetDatabaseEncodingName()),
				 errhint("Pass the raw bytes of the request body as bytea, for example $2::bytea."),
				 errhidestmt(true), errhidecontext(true)));
	PG_RETURN_INT32(receive(text_to_cstring(PG_GETARG_TEXT_PP(0)), str, len,
							PG_ARGISNULL(2) ? ""
							: text_to_cstring(PG_GETARG_TEXT_PP(2))));
}

static int
receive(const char *name, const char *body, size_t len, const char *signature)
{
	int			inserted;
	ErrorContextCallback callback;

	callback.callback = hide_body;
	callback.arg = NULL;
	callback.previous = error_context_stack;
	error_context_stack = &callback;

	if (len > MAX_WEBHOOK_BYTES)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("webhook body is larger than %d bytes",
							   MAX_WEBHOOK_BYTES)));
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	check_signature(find_channel(name), body, len, signature);

	if (memchr(body, '\0', len) != NULL ||
		!pg_verify_mbstr(PG_UTF8, body, (int) len, true))
		ereport(ERROR,
				(errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE),
				 errmsg("webhook body is not UTF-8")));
	inserted = take_events(name, body, len);
	SPI_finish();
	error_context_stack = callback.previous;
	return inserted;
}

/*
 * For gateways that have verified LINE's signature already, behind a grant of
 * its own: whoever may call this decides what was delivered.
 */
Datum
line_notify_receive_verified_events(PG_FUNCTION_ARGS)
{
	char	   *name;
	Jsonb	   *json;
	int			inserted;
	ErrorContextCallback callback;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("channel and body must not be null")));
	name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	json = PG_GETARG_JSONB_P(1);

	callback.callback = hide_body;
	callback.arg = NULL;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	if (VARSIZE(json) > 2 * MAX_WEBHOOK_BYTES)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("webhook body is larger than %d bytes",
							   2 * MAX_WEBHOOK_BYTES)));
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	(void) find_channel(name);
	inserted = take_verified_events(name, json);
	SPI_finish();
	error_context_stack = callback.previous;
	PG_RETURN_INT32(inserted);
}

static const LnChannelRow *
find_channel(const char *name)
{
	LnChannelRow *channels;
	int			n = ln_outbox_load_channels(&channels);

	ln_outbox_load_credentials(channels, n);
	for (int i = 0; i < n; i++)
		if (strcmp(channels[i].name, name) == 0)
			return &channels[i];
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("channel \"%s\" does not exist", ln_shown(name))));
	return NULL;
}

/*
 * Raises unless the signature was made with the current or the previous
 * secret.
 */
static void
check_signature(const LnChannelRow *channel, const char *body,
				size_t len, const char *signature)
{
	bool		known_secret = false;
	bool		genuine = false;
	char		err[256];

	for (int i = 0; i < 2; i++)
	{
		const char *value = i == 0 ? channel->channel_secret
		: channel->previous_channel_secret;
		char	   *secret;

		if (value == NULL)
			continue;
		secret = ln_secret_read(value, err, sizeof(err));
		if (secret == NULL)
		{
			/* an old file may be gone */
			if (i == 1)
				continue;
			ereport(ERROR,
					(errcode(ERRCODE_CONFIG_FILE_ERROR),
					 errmsg("could not read the channel secret of channel \"%s\": %s",
							channel->name, err)));
		}
		known_secret = true;
		if (signature_matches(secret, body, len, signature, strlen(signature)))
			genuine = true;
		explicit_bzero(secret, strlen(secret));
	}
	if (!known_secret)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("channel \"%s\" has no channel secret", channel->name),
				 errhint("SELECT line_notify.set_credential('%s', 'channel_secret', 'file:/path');",
						 channel->name)));
	if (!genuine)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				 errmsg("webhook signature does not match"),
				 errhint("Pass the raw bytes of the request body and the header x-line-signature.")));
}

/* Keep the events of a body that concern us; returns how many were new. */
static int
take_events(const char *channel, const char *json, size_t len)
{
	LnWebhookBody body;
	LnBodyEvent e;
	EventList	events = {0};

	if (!ln_webhook_begin(&body, json, len))
		no_events();
	while (ln_webhook_next(&body, &e))
		add_event(&events, &e);
	return insert_events(channel, &events);
}

/*
 * The same for jsonb, of which only our members are looked at: a number may be
 * short and long to print.
 */
static int
take_verified_events(const char *channel, Jsonb *json)
{
	JsonbValue *list;
	EventList	events = {0};

	if (!JB_ROOT_IS_OBJECT(json) ||
		(list = member(&json->root, "events")) == NULL ||
		list->type != jbvBinary ||
		!JsonContainerIsArray(list->val.binary.data))
		no_events();
	for (int i = 0; i < (int) JsonContainerSize(list->val.binary.data); i++)
	{
		JsonbValue *element =
		getIthJsonbValueFromContainer(list->val.binary.data, i);
		JsonbContainer *event;
		JsonbValue *v;
		LnBodyEvent e;

		if (element == NULL || element->type != jbvBinary ||
			!JsonContainerIsObject(element->val.binary.data))
			continue;
		event = element->val.binary.data;
		memset(&e, 0, sizeof(e));
		v = member(event, "delivery");
		if (!ln_webhook_event(&e, string_member(event, "type"),
							  string_member(event, "webhookEventId"),
							  v != NULL && v->type == jbvBinary &&
							  JsonContainerIsObject(v->val.binary.data)
							  ? string_member(v->val.binary.data, "data")
							  : NULL))
			continue;
		v = member(event, "timestamp");
		if (v != NULL && v->type == jbvNumeric)
		{
			Datum		number = NumericGetDatum(v->val.numeric);
			double		ms;

			number = DirectFunctionCall1(numeric_float8_no_overflow, number);
			ms = DatumGetFloat8(number);
			if (!ln_webhook_time(ms))
				continue;
			e.at_ms = (int64) ms;
		}
		add_event(&events, &e);
	}
	return insert_events(channel, &events);
}

pg_noreturn static void
no_events(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("webhook body has no array \"events\"")));
}

static void
add_event(EventList *events, const LnBodyEvent *e)
{
	static const char *const types[] = {
		[LN_EVENT_DELIVERY] = "delivery",
		[LN_EVENT_FOLLOW] = "follow",
		[LN_EVENT_UNFOLLOW] = "unfollow"
	};
	LnEvent    *out;

	CHECK_FOR_INTERRUPTS();
	if (events->list == NULL)
	{
		events->capacity = 64;
		events->list = palloc(sizeof(LnEvent) * events->capacity);
	}
	else if (events->n == events->capacity)
	{
		events->capacity *= 2;
		events->list = repalloc(events->list,
								sizeof(LnEvent) * events->capacity);
	}
	out = &events->list[events->n++];
	memset(out, 0, sizeof(*out));
	out->event_id = pstrdup(e->id);
	out->type = types[e->type];
	out->event_at = e->at_ms == 0 ? GetCurrentTimestamp()
		: (TimestampTz) (e->at_ms - EPOCH_MS) * 1000;
	out->tagged = e->tagged;
	out->message_id = e->message_id;
	out->attempt = e->attempt;
	out->token = e->token;
	out->recipient = e->recipient[0] != '\0' ? pstrdup(e->recipient) : NULL;
}

static int
insert_events(const char *channel, const EventList *events)
{
	int			inserted;

	if (events->n == 0)
		return 0;
	inserted = ln_outbox_insert_events(channel, events->list, events->n);
	if (inserted > 0)
		ln_wakeup_at_commit(LN_WORK_WEBHOOK);
	return inserted;
}

static bool
signature_matches(const char *secret, const char *body, size_t len,
				  const char *signature, size_t siglen)
{
	uint8_t		mac[LN_SHA256_LEN];
	uint8_t		given[LN_SHA256_LEN + 3];

	if (!ln_hmac_sha256(secret, strlen(secret), body, len, mac))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not compute an HMAC")));
	return ln_base64_decode(signature, siglen, given, sizeof(given)) ==
		LN_SHA256_LEN &&
		ln_const_time_equal(mac, given, LN_SHA256_LEN);
}

static JsonbValue *
member(JsonbContainer *object, const char *key)
{
	return getKeyJsonValueFromContainer(object, key, (int) strlen(key), NULL);
}

static char *
string_member(JsonbContainer *object, const char *key)
{
	JsonbValue *v = member(object, key);

	if (v == NULL || v->type != jbvString)
		return NULL;
	return pnstrdup(v->val.string.val, v->val.string.len);
}
