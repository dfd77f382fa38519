/*-------------------------------------------------------------------------
 *
 * line_statistics.c
 *		LINE's own figures: what was delivered on a day, how the messages of an
 *		aggregation unit were received, how many units are in use.
 *
 * See "Get number of sent LINE notification messages": status is ready,
 * unready (asked again later), out_of_service, and whatever LINE may add.  The
 * other two ("Get statistics per aggregation unit", "Get number of units used
 * this month") have no status; an answer that is understood counts as ready.
 *
 * What LINE says of single URLs is not looked at: a URL may hold a customer's
 * reference.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "compat.h"
#include "line/line_api.h"
#include "worker/line_statistics.h"
#include "worker/questions.h"
#include "worker/token.h"

static LnStatistic asked[LN_STATISTICS_MAX];
static bool is_asked[LN_STATISTICS_MAX];
static int	nasked = 0;
static LnStatistic answers[LN_STATISTICS_MAX];
static int	nanswers = 0;

static void read_answer(LnStatistic *a, const HttpResult *res);
static bool read_figure(const char *json, size_t len, const char *name,
						int64 *figure);

static void
answered(LnChannel *c, int no, const HttpResult *res)
{
	is_asked[no] = false;
	nasked--;
	if (res != NULL && nanswers < LN_STATISTICS_MAX)	/* else again later */
	{
		answers[nanswers] = asked[no];
		read_answer(&answers[nanswers++], res);
	}
}

static bool
ask(LnChannel *c, const LnStatistic *s, HttpClient *http)
{
	const char *path;
	int			no = 0;

	while (no < LN_STATISTICS_MAX && is_asked[no])
		no++;
	if (no == LN_STATISTICS_MAX)
		return false;
	if (strcmp(s->kind, "engagement") == 0)
		path = psprintf("/v2/bot/insight/message/event/aggregation"
						"?customAggregationUnit=%s&from=%s&to=%s",
						s->unit, s->day, s->upto);
	else if (strcmp(s->kind, "units") == 0)
		path = "/v2/bot/message/aggregation/info";
	else
		path = psprintf("/v2/bot/message/delivery/pnp%s?date=%s",
						strcmp(s->kind, "template") == 0 ? "/templated" : "",
						s->day);
	if (!ln_question_get(c, path, answered, no, http))
		return false;
	asked[no] = *s;
	is_asked[no] = true;
	nasked++;
	return true;
}

int
ln_line_statistics_ask(LnChannel **channels, int nchannels,
					   const LnStatistic *wanted, int n, TimestampTz now,
					   HttpClient *http)
{
	int			done = 0;

	for (int i = 0; i < n; i++)
		for (int j = 0; j < nchannels; j++)
		{
			LnChannel  *c = channels[j];
			TimestampTz retry;

			if (!c->gone && strcmp(c->row.name, wanted[i].channel) == 0 &&
				ln_token_need(c->token, now, &retry) == LN_TOKEN_READY)
				done += ask(c, &wanted[i], http);
		}
	return done;
}

int
ln_line_statistics_pending(void)
{
	return nasked;
}

static void
read_answer(LnStatistic *a, const HttpResult *res)
{
	const char *overview;
	size_t		len;
	bool		understood;

	a->number = a->clicked = -1;
	if (res->verdict != HTTP_STATUS)
	{
		strlcpy(a->status, "no answer", sizeof(a->status));
		return;
	}
	if (res->status != 200)
	{
		snprintf(a->status, sizeof(a->status), "http %d", res->status);
		return;
	}
	if (strcmp(a->kind, "engagement") == 0)
	{
		/* a long list of URLs may follow, cut off by the cap of answers */
		strlcpy(a->status, "ready", sizeof(a->status));
		understood =
			ln_line_json_object(res->body, res->body_len, "overview",
								&overview, &len) &&
			read_figure(overview, len, "uniqueImpression", &a->number) &&
			read_figure(overview, len, "uniqueClick", &a->clicked);
	}
	else if (strcmp(a->kind, "units") == 0)
	{
		strlcpy(a->status, "ready", sizeof(a->status));
		understood = read_figure(res->body, res->body_len,
								 "numOfCustomAggregationUnits", &a->number) &&
			a->number >= 0;
	}
	else
	{
		understood = ln_line_json_member(res->body, res->body_len, "status",
										 a->status, sizeof(a->status)) &&
			a->status[0] != '\0';
		if (!read_figure(res->body, res->body_len, "success", &a->number) ||
			a->number < 0)
			understood = understood && strcmp(a->status, "ready") != 0;
	}
	if (!understood)
	{
		strlcpy(a->status, "not understood", sizeof(a->status));
		a->number = a->clicked = -1;
	}
}

/*
 * A whole number that is not negative, or -1 for null and for a member that is
 * absent: LINE withholds figures below 20.  False for anything else.
 */
static bool
read_figure(const char *json, size_t len, const char *name, int64 *figure)
{
	char		text[32];

	*figure = -1;
	if (!ln_line_json_member(json, len, name, text, sizeof(text)))
		return true;
	if (strcmp(text, "null") == 0)
		return true;
	if (text[0] == '\0' || strlen(text) > 18 ||
		strspn(text, "0123456789") != strlen(text))
		return false;
	*figure = strtoll(text, NULL, 10);
	return true;
}

int
ln_line_statistics_answers(const LnStatistic **counts)
{
	*counts = answers;
	return nanswers;
}

void
ln_line_statistics_forget(void)
{
	nanswers = 0;
}
