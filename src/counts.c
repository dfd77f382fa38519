/*-------------------------------------------------------------------------
 *
 * counts.c
 *		LINE's own count of what was delivered on a day.
 *
 * See "Get number of sent LINE notification messages": status is ready,
 * unready (asked again later), out_of_service, and whatever LINE may add.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "compat.h"
#include "counts.h"
#include "line_api.h"
#include "token.h"

typedef struct Question
{
	uint64		tag;			/* 0 = free */
	LnCount		count;
} Question;

static Question questions[LN_COUNTS_MAX];
static LnCount answers[LN_COUNTS_MAX];
static int	nanswers = 0;
static uint64 asked = 0;		/* so many by this process */

int
ln_counts_ask(LnChannel **channels, int nchannels, const LnCount *counts, int n, HttpClient *http)
{
	TimestampTz now = GetCurrentTimestamp();
	int			done = 0;

	for (int i = 0; i < n && i < LN_COUNTS_MAX; i++)
	{
		LnChannel  *c = NULL;
		Question   *q = NULL;
		HttpRequest req;
		const char *headers[2];
		char		err[256];

		for (int j = 0; j < nchannels; j++)
			if (strcmp(channels[j]->row.name, counts[i].channel) == 0)
				c = channels[j];
		for (int j = 0; j < LN_COUNTS_MAX && q == NULL; j++)
			if (questions[j].tag == 0)
				q = &questions[j];
		if (c == NULL || c->gone || q == NULL || !ln_token_ready(c->token, now))
			continue;
		memset(&req, 0, sizeof(req));
		req.tag = LN_TAG_COUNTS | ++asked;
		req.method = "GET";
		req.url = psprintf("%s/v2/bot/message/delivery/pnp%s?date=%s", c->row.api_base,
						   strcmp(counts[i].kind, "template") == 0 ? "/templated" : "", counts[i].day);
		headers[0] = ln_token_header(c->token, now);
		headers[1] = "Accept: application/json";
		req.headers = headers;
		req.nheaders = lengthof(headers);
		req.connect_timeout_ms = c->row.connect_timeout_ms;
		req.total_timeout_ms = c->row.total_timeout_ms;
		req.ca_file = c->row.ca_file;
		req.proxy = c->row.proxy;
		if (!ln_http_add(http, &req, err, sizeof(err)))
			continue;
		q->tag = req.tag;
		q->count = counts[i];
		done++;
	}
	return done;
}

int
ln_counts_pending(void)
{
	int			n = 0;

	for (int i = 0; i < LN_COUNTS_MAX; i++)
		n += questions[i].tag != 0;
	return n;
}

void
ln_counts_result(const HttpResult *res)
{
	for (int i = 0; i < LN_COUNTS_MAX; i++)
	{
		LnCount    *a;
		char		number[32];

		if (questions[i].tag != res->tag)
			continue;
		questions[i].tag = 0;
		if (nanswers == LN_COUNTS_MAX)
			return;				/* asked again later */
		a = &answers[nanswers++];
		*a = questions[i].count;
		a->messages = -1;
		if (res->verdict != HTTP_STATUS)
			strlcpy(a->status, "no answer", sizeof(a->status));
		else if (res->status != 200)
			snprintf(a->status, sizeof(a->status), "http %d", res->status);
		else if (res->body_truncated ||
				 !ln_line_json_member(res->body, res->body_len, "status", a->status, sizeof(a->status)))
			strlcpy(a->status, "not understood", sizeof(a->status));
		else if (ln_line_json_member(res->body, res->body_len, "success", number, sizeof(number)) &&
				 number[0] != '\0' && strlen(number) <= 18 &&
				 strspn(number, "0123456789") == strlen(number))
			a->messages = strtoll(number, NULL, 10);
		else if (strcmp(a->status, "ready") == 0)
			strlcpy(a->status, "not understood", sizeof(a->status));
		return;
	}
}

int
ln_counts_answers(const LnCount **counts)
{
	*counts = answers;
	return nanswers;
}

void
ln_counts_forget(void)
{
	nanswers = 0;
}
