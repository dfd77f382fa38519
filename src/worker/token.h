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
 *	none -> asked for -> here -(nearly over)-> here and asked for -> here ...
 *	              |        |
 *	   (failed) waits      +-(401)-> asked for -> on trial -(401)-> given up: the
 *	   and is asked again            or re-read      |              channel pauses
 *	                                                 +-(other answer)-> here
 *
 * Requests go through the worker's HTTP client, apart from messages by their
 * tags.  Nothing here needs a transaction.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_TOKEN_H
#define LN_TOKEN_H

#include "datatype/timestamp.h"

#include "http/http.h"
#include "worker/channel.h"

/*
 * tags with one of these bits are no messages: see also line_statistics.h and
 * credential_check.h
 */
#define LN_TAG_TOKEN		(UINT64CONST(1) << 62)
#define LN_TAG_STATISTICS		(UINT64CONST(1) << 61)
#define LN_TAG_CREDENTIAL_CHECK		(UINT64CONST(1) << 60)
#define LN_TAG_PROBE		(UINT64CONST(1) << 59)
#define LN_TAG_SIDE			(LN_TAG_TOKEN | LN_TAG_STATISTICS | LN_TAG_CREDENTIAL_CHECK | LN_TAG_PROBE)

/* places in the HTTP client for such requests */
#define LN_SIDE_TRANSFERS	16

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
 * There is something to send: is there a token?  Asks for one, or for the
 * next, if need be.
 */
extern bool ln_token_ready(LnToken *token, TimestampTz now);

/*
 * When to ask ln_token_ready() again, having got false; DT_NOEND = an answer
 * is on its way, or it is hopeless.
 */
extern TimestampTz ln_token_deadline(const LnToken *token);

/*
 * Ask LINE something in the name of a channel whose token is ready: GET path,
 * by the road that its messages take.  The answer comes with that tag.  False
 * when there is no place for it.
 */
extern bool ln_token_get(const LnChannel *c, const char *path, uint64 tag,
						 HttpClient *http);

/* Start the requests that are wanted. */
extern void ln_token_step(LnChannel **channels, int n, HttpClient *http);

/* An answer with LN_TAG_TOKEN. */
extern void ln_token_result(LnChannel **channels, int n,
							const HttpResult *res);

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
extern bool ln_token_form(const LnChannelRow *row, char *form, size_t room,
						  char *err, size_t errlen);

#endif							/* LN_TOKEN_H */
