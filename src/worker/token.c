/*-------------------------------------------------------------------------
 *
 * token.c
 *		Access tokens of the channels: where they come from, when they are
 *		replaced.
 *
 * See token.h for the life of a token.  What to send and how to read the
 * answer is in token_api.c; this file remembers, and decides when.
 *
 * A token is asked for only when a message is due: an idle database asks for
 * nothing.  It is replaced at 70 to 80 % of its life, so a busy channel never
 * stops for it; and answers to messages that still carried the old one are
 * told from answers to the new one by the generation that each delivery notes.
 *
 * Secrets are wiped from what we allocate.  Copies that libcurl or the server
 * made on the way are out of our hands, and within this process all the same.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <time.h>

#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/crypto.h"
#include "base/token_timer.h"
#include "compat.h"
#include "line/line_api.h"
#include "line/token_api.h"
#include "worker/secret.h"
#include "worker/token.h"

/*
 * Not used in the last of so many parts of its life: clocks, and the way to
 * LINE.
 */
#define SAFETY_PART		20

struct LnToken
{
	MemoryContext context;		/* owns the texts */

	/* the credential */
	LnCredential kind;
	char	   *name;			/* of the channel, for messages */
	char	   *value;			/* the secret, or file:/path */
	char	   *key_id;
	char	   *channel_id;
	char	   *api_base;
	LnTokenFlow flow;

	/* the token */
	char	   *authorization;	/* header line, or NULL */
	uint32		generation;		/* of it; grows with each */
	bool		on_trial;		/* came after a 401, not proved yet */
	LnTokenTimer timer;
	int			question;		/* number of the last one */

	char		error[256];		/* why there is none, or "" */
	char		told[256];		/* what the operator was told last */
};

static void adopt(LnToken *t, const char *token, TimestampTz expires_at,
				  TimestampTz renew_at);
static void drop(LnToken *t);
static void wipe(char **text);
static void read_issued(LnToken *t);
static void failed(LnToken *t, int64 at_least_ms, const char *why);
static LnTokenSource source(const LnChannelRow *row);
static uint64 random_bits(void);

static bool
same(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

void
ln_token_configure(LnToken **token, const LnChannelRow *row,
				   MemoryContext context)
{
	LnToken    *t = *token;
	MemoryContext old;

	if (t != NULL &&
		(t->kind != row->credential ||
		 !same(t->value, row->credential_value) ||
		 !same(t->key_id, row->credential_key_id) ||
		 !same(t->channel_id, row->line_channel_id) ||
		 t->flow != (row->credential_v21 ? LN_FLOW_V21 : LN_FLOW_STATELESS) ||
		 !same(t->api_base, row->api_base)))
	{
		/*
		 * Another credential.  If the old one had been reported, the new one
		 * starts with a clean sheet, and that is reported, too.
		 */
		char		told[sizeof(t->told)];
		uint32		generation = t->generation;

		strlcpy(told, t->told, sizeof(told));
		ln_token_free(token);
		ln_token_configure(token, row, context);
		strlcpy((*token)->told, told, sizeof(told));
		(*token)->generation += generation;
		return;
	}
	if (t == NULL)
	{
		MemoryContext own = AllocSetContextCreate(context, "line_notify token",
												  ALLOCSET_SMALL_SIZES);

		old = MemoryContextSwitchTo(own);
		t = palloc0(sizeof(LnToken));
		t->context = own;
		t->kind = row->credential;
		t->name = pstrdup(row->name);
		t->value =
			row->credential_value ? pstrdup(row->credential_value) : NULL;
		t->key_id =
			row->credential_key_id ? pstrdup(row->credential_key_id) : NULL;
		t->channel_id =
			row->line_channel_id ? pstrdup(row->line_channel_id) : NULL;
		t->api_base = pstrdup(row->api_base);
		t->flow = row->credential_v21 ? LN_FLOW_V21 : LN_FLOW_STATELESS;
		ln_token_timer_init(&t->timer, source(row));
		if (row->token_error != NULL)
			strlcpy(t->told, row->token_error, sizeof(t->told));
		MemoryContextSwitchTo(old);
		*token = t;
	}

	/* a reload tries again at once what failed before */
	t->timer.retry_at = LN_NOW;
	t->timer.failures = 0;
	if (t->kind == LN_CREDENTIAL_TOKEN)
		read_issued(t);
}

static LnTokenSource
source(const LnChannelRow *row)
{
	switch (row->credential)
	{
		case LN_CREDENTIAL_NONE:
			break;
		case LN_CREDENTIAL_TOKEN:
			return strncmp(row->credential_value, "file:", 5) == 0
				? LN_SOURCE_FILE : LN_SOURCE_INLINE;
		case LN_CREDENTIAL_SECRET:
		case LN_CREDENTIAL_JWT:
			return LN_SOURCE_ISSUED;
	}
	return LN_SOURCE_NONE;
}

void
ln_token_free(LnToken **token)
{
	if (*token == NULL)
		return;
	wipe(&(*token)->value);
	wipe(&(*token)->authorization);
	MemoryContextDelete((*token)->context);
	*token = NULL;
}

const char *
ln_token_header(const LnToken *token, TimestampTz now)
{
	if (token == NULL || now >= token->timer.expires_at)
		return NULL;
	return token->authorization;
}

uint32
ln_token_generation(const LnToken *token)
{
	return token->generation;
}

LnTokenState
ln_token_need(LnToken *t, TimestampTz now, TimestampTz *retry)
{
	*retry = DT_NOEND;
	if (t == NULL)
		return LN_TOKEN_NONE;
	if (now >= t->timer.expires_at)
		drop(t);
	(void) ln_token_timer_need(&t->timer, now);
	*retry = ln_token_timer_due(&t->timer);
	return ln_token_timer_state(&t->timer);
}

TimestampTz
ln_token_due(const LnToken *t)
{
	return t == NULL ? DT_NOEND : ln_token_timer_due(&t->timer);
}

void
ln_token_set_back(LnToken *t, int64 by)
{
	if (t != NULL)
		ln_token_timer_set_back(&t->timer, by);
}

void
ln_token_look_again(LnToken *t, TimestampTz now)
{
	if (t != NULL)
		ln_token_timer_told(&t->timer, now);
}

bool
ln_token_get(LnToken *t, const LnChannelRow *row, char *form,
			 const char **path)
{
	char		err[256];

	if (t->kind == LN_CREDENTIAL_TOKEN)
	{
		read_issued(t);
		return false;
	}
	if (!ln_token_form(row, form, LN_TOKEN_FORM_SIZE, err, sizeof(err)))
	{
		failed(t, 0, err);
		return false;
	}
	*path = ln_token_path(t->flow);
	return true;
}

void
ln_token_asked(LnToken *t, int no)
{
	t->question = no;
	ln_token_timer_asked(&t->timer);
}

void
ln_token_failed(LnToken *t, const char *why)
{
	failed(t, 0, why);
}

void
ln_token_answered(LnToken *t, int no, const HttpResult *res)
{
	char	   *token;
	char		why[200];
	int64		life;

	/* the credential may be another one by now */
	if (t == NULL || !t->timer.asking || t->question != no)
		return;
	if (res->verdict != HTTP_STATUS)
	{
		failed(t, 0,
			   psprintf("no answer from the token endpoint: %s",
						res->error[0] ? res->error
						: "the connection was lost"));
		return;
	}
	if (res->status != 200)
	{
		ln_token_error_text(res->body, res->body_len, why, sizeof(why));
		failed(t, res->retry_after_ms,
			   psprintf("the token endpoint answered %d%s%s", res->status,
						why[0] ? ": " : "", why));
		return;
	}
	token = palloc(LN_TOKEN_SIZE);
	if (res->body_truncated ||
		!ln_token_parse(res->body, res->body_len, token, LN_TOKEN_SIZE, &life,
						why, sizeof(why)))
		failed(t, 0,
			   psprintf("the token endpoint's answer is not understood: %s",
						res->body_truncated ? "it is too long" : why));
	else
	{
		/* its life began when we asked, at the latest */
		TimestampTz asked = GetCurrentTimestamp() - res->elapsed_us;
		int64		usable_ms = life * 1000 - life * 1000 / SAFETY_PART;

		adopt(t, token, TimestampTzPlusMilliseconds(asked, usable_ms),
			  TimestampTzPlusMilliseconds(asked,
										  ln_token_renew_ms(life,
															random_bits())));
		ereport(DEBUG1,
				(errmsg("new access token for channel \"%s\", good for "
						INT64_FORMAT " s", t->name, life)));
	}
	explicit_bzero(token, LN_TOKEN_SIZE);
	pfree(token);
}

bool
ln_token_refused(LnToken *t, uint32 generation)
{
	uint32		before;

	if (t == NULL)
		return false;
	/* an answer to an old one, or the new one is on its way */
	if (generation != t->generation || t->authorization == NULL)
		return true;
	if (t->on_trial)
		return false;
	switch (t->kind)
	{
		case LN_CREDENTIAL_NONE:
			return false;
		case LN_CREDENTIAL_TOKEN:
			/* has the file changed since we read it? */
			before = t->generation;
			read_issued(t);
			t->on_trial = t->generation != before;
			return t->on_trial;
		case LN_CREDENTIAL_SECRET:
		case LN_CREDENTIAL_JWT:
			drop(t);
			t->on_trial = true;
			return true;
	}
	return false;
}

void
ln_token_renew(LnToken *t)
{
	if (t->kind == LN_CREDENTIAL_TOKEN)
		read_issued(t);
	else
		drop(t);
}

void
ln_token_proved(LnToken *t, uint32 generation)
{
	if (t != NULL && t->generation == generation)
		t->on_trial = false;
}

uint64
ln_token_fingerprint(const LnToken *t)
{
	char		err[200];
	char	   *secret;
	uint64		result;

	if (t == NULL || t->value == NULL)
		return 0;
	secret = ln_secret_read(t->value, err, sizeof(err));
	if (secret == NULL)
		return 0;
	result = hash_bytes_extended((const unsigned char *) secret,
								 (int) strlen(secret), (uint64) t->kind);
	if (t->key_id != NULL)
		result ^= hash_bytes_extended((const unsigned char *) t->key_id,
									  (int) strlen(t->key_id), 1);
	explicit_bzero(secret, strlen(secret));
	pfree(secret);
	return result | 1;
}

bool
ln_token_news(const LnToken *t, const char **error)
{
	if (t == NULL || strcmp(t->error, t->told) == 0)
		return false;
	/* no error yet is no good news: it has not been tried */
	if (t->error[0] == '\0' && t->authorization == NULL)
		return false;
	*error = t->error;
	return true;
}

void
ln_token_told(LnToken *t)
{
	if (t->error[0] != '\0')
		ereport(WARNING,
				(errmsg("could not get an access token for channel \"%s\": %s",
						t->name, t->error)));
	else
		ereport(LOG,
				(errmsg("channel \"%s\" has an access token again", t->name)));
	strlcpy(t->told, t->error, sizeof(t->told));
}

bool
ln_token_form(const LnChannelRow *row, char *form, size_t size, char *err,
			  size_t errlen)
{
	char	   *secret;
	bool		ok;

	form[0] = '\0';
	if (row->line_channel_id == NULL)
	{
		strlcpy(err,
				"the channel has no line_channel_id, which LINE wants to know",
				errlen);
		return false;
	}
	secret = ln_secret_read(row->credential_value, err, errlen);
	if (secret == NULL)
		return false;
	if (row->credential == LN_CREDENTIAL_SECRET)
	{
		ok = ln_token_form_secret(row->line_channel_id, secret, form, size);
		if (!ok)
			strlcpy(err, "the channel secret is too long", errlen);
	}
	else
	{
		const char *kid = row->credential_key_id ? row->credential_key_id : "";

		ok = ln_token_form_assertion(row->credential_v21 ? LN_FLOW_V21
									 : LN_FLOW_STATELESS,
									 row->line_channel_id, secret, kid,
									 (int64) time(NULL), form, size, err,
									 errlen);
	}
	explicit_bzero(secret, strlen(secret));
	pfree(secret);
	return ok;
}

/* ---- helpers ---- */

/* No token came.  One at hand is used as long as it lives. */
static void
failed(LnToken *t, int64 at_least_ms, const char *why)
{
	int64		wait_ms;

	wait_ms = Max(at_least_ms,
				  ln_token_retry_ms(t->timer.failures + 1, random_bits()));
	ln_token_timer_failed(&t->timer, wait_ms * 1000, GetCurrentTimestamp());
	/* one that is still good makes it no news yet */
	if (t->authorization == NULL)
		strlcpy(t->error, why, sizeof(t->error));
	else
		ereport(DEBUG1,
				(errmsg("could not renew the access token of channel \"%s\" yet: %s",
						t->name, why)));
}

/* A token that an operator set: inline, or the first line of a file. */
static void
read_issued(LnToken *t)
{
	char		err[200];
	char	   *token = ln_secret_read_token(t->value, err, sizeof(err));

	if (token == NULL)
	{
		/* what was read before goes on until LINE objects */
		snprintf(t->error, sizeof(t->error), "its file cannot be read: %s",
				 err);
		ln_token_timer_failed(&t->timer, 0, GetCurrentTimestamp());
		return;
	}
	if (t->authorization == NULL ||
		strcmp(strrchr(t->authorization, ' ') + 1, token) != 0)
		adopt(t, token, DT_NOEND, DT_NOEND);
	else
	{
		ln_token_timer_got(&t->timer, DT_NOEND, DT_NOEND);
		t->error[0] = '\0';
	}
	explicit_bzero(token, strlen(token));
	pfree(token);
}

static void
adopt(LnToken *t, const char *token, TimestampTz expires_at,
	  TimestampTz renew_at)
{
	static const char scheme[] = "Authorization: Bearer ";
	size_t		len = strlen(token);
	char	   *header = MemoryContextAlloc(t->context, sizeof(scheme) + len);

	memcpy(header, scheme, sizeof(scheme) - 1);
	memcpy(header + sizeof(scheme) - 1, token, len + 1);
	wipe(&t->authorization);
	t->authorization = header;
	t->generation++;
	ln_token_timer_got(&t->timer, expires_at, renew_at);
	t->error[0] = '\0';
}

static void
drop(LnToken *t)
{
	wipe(&t->authorization);
	ln_token_timer_dropped(&t->timer);
}

static void
wipe(char **text)
{
	if (*text == NULL)
		return;
	explicit_bzero(*text, strlen(*text));
	pfree(*text);
	*text = NULL;
}

static uint64
random_bits(void)
{
	uint64		bits = 0;

	(void) ln_random_bytes(&bits, sizeof(bits));
	return bits;
}
