/*-------------------------------------------------------------------------
 *
 * questions.c
 *		What LINE is asked beside messages; see questions.h.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "worker/questions.h"
#include "worker/token.h"

typedef struct Question
{
	uint64		tag;			/* 0 = free */
	LnAnswered	answered;		/* NULL = nobody wants the answer */
	LnChannel  *channel;
	int			no;
} Question;

static Question questions[LN_QUESTIONS];
static uint64 asked = 0;		/* so many by this process */

static Question *
free_question(void)
{
	for (int i = 0; i < LN_QUESTIONS; i++)
		if (questions[i].tag == 0)
			return &questions[i];
	return NULL;
}

static bool
ask(Question *q, LnChannel *c, LnAnswered answered, int no, HttpRequest *req,
	const char *path, HttpClient *http, char *err, size_t errlen)
{
	req->tag = LN_TAG_QUESTION | ++asked;
	req->url = psprintf("%s%s", c->row.api_base, path);
	req->connect_timeout_ms = c->row.connect_timeout_ms;
	req->total_timeout_ms = c->row.total_timeout_ms;
	req->ca_file = c->row.ca_file;
	req->proxy = c->row.proxy;
	if (!ln_http_add(http, req, err, errlen))
		return false;
	q->tag = req->tag;
	q->answered = answered;
	q->channel = c;
	q->no = no;
	return true;
}

bool
ln_question_get(LnChannel *c, const char *path, LnAnswered answered, int no,
				HttpClient *http)
{
	Question   *q = free_question();
	HttpRequest req;
	const char *headers[3];
	char		err[256];

	if (q == NULL)
		return false;
	memset(&req, 0, sizeof(req));
	req.method = "GET";
	headers[0] = ln_token_header(c->token, GetCurrentTimestamp());
	headers[1] = "Accept: application/json";
	headers[2] = LINE_USER_AGENT;
	if (headers[0] == NULL)
		return false;
	req.headers = headers;
	req.nheaders = lengthof(headers);
	return ask(q, c, answered, no, &req, path, http, err, sizeof(err));
}

bool
ln_question_post(LnChannel *c, const char *path, const char *form,
				 LnAnswered answered, int no, HttpClient *http, char *err,
				 size_t errlen)
{
	static const char *const headers[] = {
		"Content-Type: application/x-www-form-urlencoded",
		"Accept: application/json",
		LINE_USER_AGENT
	};
	Question   *q = free_question();
	HttpRequest req;

	if (q == NULL)
	{
		strlcpy(err, "too many questions are on their way", errlen);
		return false;
	}
	memset(&req, 0, sizeof(req));
	req.method = "POST";
	req.headers = headers;
	req.nheaders = lengthof(headers);
	req.body = form;
	req.body_len = strlen(form);
	return ask(q, c, answered, no, &req, path, http, err, errlen);
}

void
ln_question_answered(const HttpResult *res)
{
	for (int i = 0; i < LN_QUESTIONS; i++)
	{
		Question   *q = &questions[i];

		if (q->tag != res->tag)
			continue;
		q->tag = 0;
		if (q->answered != NULL)
			q->answered(q->channel, q->no, res);
		return;
	}
}

void
ln_questions_forget(LnChannel *c)
{
	for (int i = 0; i < LN_QUESTIONS; i++)
	{
		Question   *q = &questions[i];
		LnAnswered	answered = q->answered;

		if (q->tag == 0 || q->channel != c || answered == NULL)
			continue;
		/* its place in the client is taken until the answer comes */
		q->answered = NULL;
		answered(c, q->no, NULL);
	}
}

int
ln_questions_pending(void)
{
	int			n = 0;

	for (int i = 0; i < LN_QUESTIONS; i++)
		n += questions[i].tag != 0;
	return n;
}
