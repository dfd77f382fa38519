/*-------------------------------------------------------------------------
 *
 * token_request.c
 *		Gets the access tokens that are wanted; see token_request.h.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "line/token_api.h"
#include "worker/questions.h"
#include "worker/token.h"
#include "worker/token_request.h"

static int	asked = 0;			/* so many by this process */

static void
answered(LnChannel *c, int no, const HttpResult *res)
{
	if (res != NULL)
		ln_token_answered(c->token, no, res);
}

static void
request(LnChannel *c, HttpClient *http)
{
	char	   *form = palloc(LN_TOKEN_FORM_SIZE);
	const char *path;
	char		err[256];

	if (ln_token_get(c->token, &c->row, form, &path))
	{
		if (ln_question_post(c, path, form, answered, ++asked, http, err,
							 sizeof(err)))
			ln_token_asked(c->token, asked);
		else
			ln_token_failed(c->token, err);
	}
	explicit_bzero(form, LN_TOKEN_FORM_SIZE);
	pfree(form);
}

void
ln_token_request_step(LnChannel **channels, int n, TimestampTz now,
					  HttpClient *http)
{
	for (int i = 0; i < n; i++)
		if (!channels[i]->gone && ln_token_due(channels[i]->token) <= now)
			request(channels[i], http);
}
