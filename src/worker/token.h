/*-------------------------------------------------------------------------
 *
 * token.h
 *		Access tokens of the channels: where they come from, when they are
 *		replaced.
 *
 * A token is either set by an operator (access_token) or issued by LINE for a
 * channel secret or a signed assertion; then it lives in this process's memory
 * only, is asked for when a message needs it, and is replaced before it ends,
 * while the old one is still in use.
 *
 * When, is decided by base/token_timer.c; the requests themselves are made by
 * token_request.c.  Nothing here needs a transaction.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_TOKEN_H
#define LN_TOKEN_H

#include "datatype/timestamp.h"

#include "base/gate.h"
#include "db/outbox.h"
#include "http/http.h"
#include "utils/palloc.h"

typedef struct LnToken LnToken;

/*
 * Take a credential over into *token (made on first use, freed when it is gone
 * from the row); a token at hand stays if the credential is the same.  Reads
 * the file of a file:/path.
 */
extern void ln_token_configure(LnToken **token, const LnChannelRow *row,
							   MemoryContext context);
extern void ln_token_free(LnToken **token);

/* The header line to send with, valid until the next call; NULL = none now. */
extern const char *ln_token_header(const LnToken *token, TimestampTz now);

/* Which token that was, for ln_token_refused() and ln_token_proved(). */
extern uint32 ln_token_generation(const LnToken *token);

/*
 * There is something to send: is there a token?  Notes that one, or the next,
 * is wanted.  *retry = when it is tried to get one again; see LnGateFacts.
 */
extern LnTokenState ln_token_need(LnToken *token, TimestampTz now,
								  TimestampTz *retry);

/* When is ln_token_get() to be called?  DT_NOEND = not now. */
extern TimestampTz ln_token_due(const LnToken *token);

/* The clock was set back by so much (us). */
extern void ln_token_set_back(LnToken *t, int64 by);

/* A new message came: has its file, that could not be read, appeared? */
extern void ln_token_look_again(LnToken *token, TimestampTz now);

/*
 * Get the one that is wanted: reads its file; or returns true, and the form
 * (LN_TOKEN_FORM_SIZE bytes, which the caller wipes) to ask LINE with.  Then
 * ln_token_asked() or ln_token_failed() follows, and ln_token_answered().
 */
extern bool ln_token_get(LnToken *token, const LnChannelRow *row, char *form,
						 const char **path);
extern void ln_token_asked(LnToken *token, int no);
extern void ln_token_failed(LnToken *token, const char *why);

/* The answer to the question of that number; others are not for this token. */
extern void ln_token_answered(LnToken *token, int no, const HttpResult *res);

/*
 * LINE answered 401 to a message sent with that generation.  True: another
 * token is at hand or on its way, send again.  False: this was the other one.
 */
extern bool ln_token_refused(LnToken *token, uint32 generation);

/* Have a fresh one: asked for anew, or read again. */
extern void ln_token_renew(LnToken *token);

/* LINE took that generation. */
extern void ln_token_proved(LnToken *token, uint32 generation);

/*
 * A number that changes with the credential, its file included (for a token
 * that an operator set: with the token); 0 = it cannot be read.
 */
extern uint64 ln_token_fingerprint(const LnToken *token);

/*
 * Something about this token should be told to the operator (or is no longer
 * so): *error, "" = all is well.
 */
extern bool ln_token_news(const LnToken *token, const char **error);
extern void ln_token_told(LnToken *token);

/*
 * Build the request that issues a token for a credential: the form, into a
 * buffer of LN_TOKEN_FORM_SIZE that the caller wipes.  False with a sentence
 * in err.
 */
extern bool ln_token_form(const LnChannelRow *row, char *form, size_t size,
						  char *err, size_t errlen);

#endif							/* LN_TOKEN_H */
