/*-------------------------------------------------------------------------
 *
 * check_channel.c
 *		check_channel(): is everything right between here and LINE?
 *
 * Runs in the caller's backend, with an HTTP client of its own that lives for
 * the call, and walks the way of a message without sending one: the credential
 * can be read, the name resolves, TLS is verified, a token is issued, LINE
 * knows it, the account may use each kind of notification message (asked by
 * the harmless question how many were delivered on a day), and the channel has
 * a webhook, without which no delivery is heard of.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/name.h"
#include "compat.h"
#include "http/http.h"
#include "line/line_api.h"
#include "line/token_api.h"
#include "worker/secret.h"
#include "worker/token.h"

PG_FUNCTION_INFO_V1(line_notify_check_channel);

#define WEBHOOK_ENDPOINT	"/v2/bot/channel/webhook/endpoint"

/* what LINE answers to these questions is below 1 kB, a token below 4 kB */
#define MAX_ANSWER		8192

typedef struct Check
{
	ReturnSetInfo *rsinfo;
	const LnChannelRow *channel;
	HttpClient *http;
	MemoryContextCallback cleanup;
	bool		connected;		/* told that the connection is fine */
} Check;

static void destroy_client(void *arg);
static void tell(Check *check, const char *step, bool ok, const char *detail,
				 const char *hint);
static bool ask(Check *check, const char *step, HttpRequest *req,
				HttpResult *res);
static bool get_token(Check *check, char *authorization, size_t size);
static bool get(Check *check, const char *path, const char *authorization,
				HttpResult *res);
static void check_webhook_secret(Check *check);
static void check_webhook_endpoint(Check *check, const char *authorization);

Datum
line_notify_check_channel(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	MemoryContext context = CurrentMemoryContext;
	LnChannelRow *channels;
	int			n;
	Check	   *check = palloc0(sizeof(Check));
	HttpOptions options;
	HttpResult	res;
	char		err[256];
	char		word[100];
	char	   *authorization = palloc(LN_TOKEN_SIZE + 64);

	InitMaterializedSRF(fcinfo, 0);
	check->rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	MemoryContextSwitchTo(context);
	n = ln_outbox_load_channels(&channels);
	ln_outbox_load_credentials(channels, n);
	SPI_finish();
	MemoryContextSwitchTo(context);
	for (int i = 0; i < n; i++)
		if (strcmp(channels[i].name, name) == 0)
			check->channel = &channels[i];
	if (check->channel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("channel \"%s\" does not exist", ln_shown(name)),
				 errhint("View line_notify.channels lists the channels.")));

	/* freed with this context, so also when the caller cancels */
	memset(&options, 0, sizeof(options));
	options.max_transfers = options.max_connections =
		options.max_host_connections = 1;
	options.max_idle_s = 10;
	options.max_response = MAX_ANSWER;
	check->http = ln_http_create(&options, err, sizeof(err));
	if (check->http == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_SYSTEM_ERROR),
				 errmsg("could not start the HTTP client: %s", err)));
	check->cleanup.func = destroy_client;
	check->cleanup.arg = check;
	MemoryContextRegisterResetCallback(context, &check->cleanup);

	check_webhook_secret(check);
	if (get_token(check, authorization, LN_TOKEN_SIZE + 64) &&
		get(check, "/v2/bot/info", authorization, &res))
	{
		char		yesterday[16];
		struct pg_tm tm;
		fsec_t		fsec;
		static const struct
		{
			const char *step;
			const char *path;
		}			kinds[] = {
			{"template messages", "/v2/bot/message/delivery/pnp/templated"},
			{"flexible messages", "/v2/bot/message/delivery/pnp"}
		};

		if (ln_line_json_member(res.body, res.body_len, "basicId", word,
								sizeof(word)))
			tell(check, "account", true,
				 psprintf("LINE knows the token as the account %s", word),
				 NULL);
		else
			tell(check, "account", true, "LINE knows the token", NULL);

		/* LINE's days are those of UTC+9 */
		if (timestamp2tm(GetCurrentTimestamp() - USECS_PER_DAY +
						 9 * USECS_PER_HOUR,
						 NULL, &tm, &fsec, NULL, NULL) != 0)
			elog(ERROR, "timestamp out of range");
		snprintf(yesterday, sizeof(yesterday), "%04d%02d%02d", tm.tm_year,
				 tm.tm_mon, tm.tm_mday);
		for (int i = 0; i < (int) lengthof(kinds); i++)
			if (get(check, psprintf("%s?date=%s", kinds[i].path, yesterday),
					authorization, &res))
				tell(check, kinds[i].step, true,
					 "LINE answers questions about them; no message was sent",
					 NULL);
		check_webhook_endpoint(check, authorization);
	}
	explicit_bzero(authorization, LN_TOKEN_SIZE + 64);
	destroy_client(check);
	return (Datum) 0;
}

/* may run twice: at the end, and when the context goes */
static void
destroy_client(void *arg)
{
	Check	   *check = (Check *) arg;

	ln_http_destroy(check->http);
	check->http = NULL;
}

static void
tell(Check *check, const char *step, bool ok, const char *detail,
	 const char *hint)
{
	Datum		values[4];
	bool		nulls[4] = {false};

	values[0] = CStringGetTextDatum(step);
	values[1] = BoolGetDatum(ok);
	values[2] = CStringGetTextDatum(detail);
	if (hint != NULL)
		values[3] = CStringGetTextDatum(hint);
	nulls[3] = hint == NULL;
	tuplestore_putvalues(check->rsinfo->setResult, check->rsinfo->setDesc,
						 values, nulls);
}

/*
 * One request; false when it got no status, which is told: of the connection,
 * unless that was good for another one.
 */
static bool
ask(Check *check, const char *step, HttpRequest *req, HttpResult *res)
{
	char		err[256];

	if (!check->connected)
		step = "connection";
	req->connect_timeout_ms = check->channel->connect_timeout_ms;
	req->total_timeout_ms = check->channel->total_timeout_ms;
	req->ca_file = check->channel->ca_file;
	req->proxy = check->channel->proxy;
	if (!ln_http_add(check->http, req, err, sizeof(err)))
	{
		tell(check, step, false, err, NULL);
		return false;
	}
	for (;;)
	{
		long		timeout;

		ln_http_step(check->http);
		if (ln_http_next(check->http, res))
			break;
		timeout = ln_http_timeout_ms(check->http);
		(void) WaitLatchOrSocket(MyLatch,
								 WL_LATCH_SET | WL_SOCKET_READABLE |
								 WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
								 ln_http_fd(check->http),
								 timeout < 0 ? 1000 : Min(timeout, 1000),
								 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	if (res->verdict != HTTP_STATUS)
	{
		tell(
			 check, step, false,
			 psprintf("%s: %s", ln_http_fault_name(res->curl_code),
					  res->error[0] ? res->error : "no answer"),
			 res->verdict == HTTP_NOT_SENT
			 ? "Check the network, name resolution, firewall, and the channel's proxy and ca_file."
			 : "The server was reached, and gave no complete answer within the channel's total_timeout.");
		return false;
	}
	if (!check->connected)
		tell(check, "connection", true,
			 psprintf("%s answers%s", check->channel->api_base,
					  strncmp(check->channel->api_base, "https:", 6) == 0
					  ? ", its certificate is good"
					  : ""),
			 NULL);
	check->connected = true;
	return true;
}

/* A GET with the token; false when the answer is not 200, which is told. */
static bool
get(Check *check, const char *path, const char *authorization, HttpResult *res)
{
	const char *headers[] = {authorization, "Accept: application/json",
	LINE_USER_AGENT};
	HttpRequest req;
	char		why[200];
	const char *step = strcmp(path, "/v2/bot/info") == 0 ? "account"
	: strcmp(path, WEBHOOK_ENDPOINT) == 0 ? "webhook endpoint"
	: strstr(path, "templated") != NULL
	? "template messages"
	: "flexible messages";
	const char *hint = NULL;

	memset(&req, 0, sizeof(req));
	req.method = "GET";
	req.url = psprintf("%s%s", check->channel->api_base, path);
	req.headers = headers;
	req.nheaders = lengthof(headers);
	if (!ask(check, step, &req, res))
		return false;
	if (res->status == 200)
		return true;
	if (res->status == 404 && strcmp(path, WEBHOOK_ENDPOINT) == 0)
	{
		tell(check, step, false,
			 "the channel has none: no delivery event comes",
			 "Set the address of the receiver as webhook URL in LINE's console, and switch \"Use webhook\" on.");
		return false;
	}
	ln_line_error_text(res->body, res->body_len, why, sizeof(why));
	if (res->status == 401)
		hint =
			"The token is wrong, expired or revoked: line_notify.set_credential().";
	else if (res->status == 403 && strcmp(path, WEBHOOK_ENDPOINT) == 0)
		hint =
			"This token may not ask for it, which says nothing about sending: LINE's console shows the webhook URL.";
	else if (res->status == 403)
		hint =
			"LINE has not enabled notification messages of this kind for the account, the token belongs to another one, or source IP addresses are registered in the channel's Security tab, where LINE wants none.";
	else if (res->status == 429)
		hint =
			"Too many requests at the moment; this says nothing about the channel.";
	tell(check, step, false,
		 psprintf("LINE answered %d%s%s%s%s%s", res->status,
				  why[0] ? ": " : "", why,
				  res->request_id[0] ? " (request " : "", res->request_id,
				  res->request_id[0] ? ")" : ""),
		 hint);
	return false;
}

/* The header to ask with, of the credential or issued for it. */
static bool
get_token(Check *check, char *authorization, size_t size)
{
	static const char *const headers[] = {
		"Content-Type: application/x-www-form-urlencoded",
		"Accept: application/json",
		LINE_USER_AGENT
	};
	const LnChannelRow *c = check->channel;
	HttpRequest req;
	HttpResult	res;
	char	   *form;
	char	   *secret;
	char		err[256];
	int64		life;
	bool		ok;

	if (c->credential == LN_CREDENTIAL_NONE)
	{
		tell(
			 check, "credential", false,
			 "the channel has no credential to send with",
			 psprintf(
					  "SELECT line_notify.set_credential(%s, 'client_secret', 'file:/path');",
					  quote_literal_cstr(c->name)));
		return false;
	}
	strlcpy(authorization, "Authorization: Bearer ", size);
	if (c->credential == LN_CREDENTIAL_TOKEN)
	{
		secret = ln_secret_read_token(c->credential_value, err, sizeof(err));
		ok = secret != NULL && strlcat(authorization, secret, size) < size;
		if (secret != NULL)
			explicit_bzero(secret, strlen(secret));
		tell(check, "credential", ok,
			 ok ? "an access token is set"
			 : psprintf("the access token cannot be used: %s", err),
			 NULL);
		return ok;
	}

	form = palloc(LN_TOKEN_FORM_SIZE);
	ok = ln_token_form(c, form, LN_TOKEN_FORM_SIZE, err, sizeof(err));
	tell(check, "credential", ok,
		 !ok ? psprintf("the %s cannot be used: %s",
						c->credential == LN_CREDENTIAL_JWT ? "key"
						: "channel secret",
						err)
		 : c->credential == LN_CREDENTIAL_JWT ? "a private key is set"
		 : "a channel secret is set",
		 NULL);
	if (!ok)
		return false;
	memset(&req, 0, sizeof(req));
	req.method = "POST";
	req.url = psprintf("%s%s", c->api_base,
					   ln_token_path(c->credential_v21 ? LN_FLOW_V21
									 : LN_FLOW_STATELESS));
	req.headers = headers;
	req.nheaders = lengthof(headers);
	req.body = form;
	req.body_len = strlen(form);
	ok = ask(check, "token", &req, &res);
	explicit_bzero(form, LN_TOKEN_FORM_SIZE);
	if (!ok)
		return false;

	if (res.status != 200)
	{
		ln_token_error_text(res.body, res.body_len, err, sizeof(err));
		tell(
			 check, "token", false,
			 psprintf("the token endpoint answered %d%s%s", res.status,
					  err[0] ? ": " : "", err),
			 "The channel ID, the secret or key, or its key_id is not what LINE's console shows.");
		return false;
	}
	secret = palloc(LN_TOKEN_SIZE);
	ok = !res.body_truncated &&
		ln_token_parse(res.body, res.body_len, secret, LN_TOKEN_SIZE, &life,
					   err, sizeof(err)) &&
		strlcat(authorization, secret, size) < size;
	explicit_bzero(secret, LN_TOKEN_SIZE);
	tell(check, "token", ok,
		 ok ? psprintf("LINE issued one for " INT64_FORMAT " s", life)
		 : psprintf("the token endpoint's answer is not understood: %s",
					res.body_truncated ? "it is too long" : err),
		 NULL);
	return ok;
}

/* Without it delivery events are refused; not needed to send. */
static void
check_webhook_secret(Check *check)
{
	char		err[256];
	char	   *secret;

	if (check->channel->channel_secret == NULL)
	{
		tell(
			 check, "webhook secret", false,
			 "none is set: receive_webhook() refuses every delivery event",
			 psprintf(
					  "SELECT line_notify.set_credential(%s, 'channel_secret', 'file:/path');",
					  quote_literal_cstr(check->channel->name)));
		return;
	}
	secret =
		ln_secret_read(check->channel->channel_secret, err, sizeof(err));
	tell(check, "webhook secret", secret != NULL,
		 secret ? "it is set" : psprintf("it cannot be read: %s", err), NULL);
	if (secret != NULL)
		explicit_bzero(secret, strlen(secret));
}

/* Where does LINE send delivery events to?  Not needed to send. */
static void
check_webhook_endpoint(Check *check, const char *authorization)
{
	HttpResult	res;
	char		address[512];
	char		active[8];

	if (!get(check, WEBHOOK_ENDPOINT, authorization, &res))
		return;
	if (!ln_line_json_member(res.body, res.body_len, "endpoint", address,
							 sizeof(address)) ||
		strncmp(address, "http", 4) != 0 ||
		!ln_line_json_member(res.body, res.body_len, "active", active,
							 sizeof(active)) ||
		(strcmp(active, "true") != 0 && strcmp(active, "false") != 0))
		tell(check, "webhook endpoint", false,
			 "LINE's answer is not understood",
			 "LINE's console shows the webhook URL, and whether it is used.");
	else if (strcmp(active, "true") == 0)
		tell(check, "webhook endpoint", true,
			 psprintf("LINE sends delivery events to %s", address), NULL);
	else
		tell(check, "webhook endpoint", false,
			 psprintf("it is %s, and switched off: no delivery event comes",
					  address),
			 "Switch \"Use webhook\" on in LINE's console.");
}
