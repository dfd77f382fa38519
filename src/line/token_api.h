/*-------------------------------------------------------------------------
 *
 * token_api.h
 *		LINE's token endpoints: what to send, what the answer says, and when
 *		to ask again.
 *
 * Pure: no PostgreSQL, no libcurl, no clock.  Texts that hold a secret are
 * written into the caller's buffers, so that the caller can wipe them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_TOKEN_API_H
#define LN_TOKEN_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum LnTokenFlow
{
	LN_FLOW_STATELESS,			/* POST /oauth2/v3/token: 15 minutes, any
								 * number of them, cannot be revoked */
	LN_FLOW_V21					/* POST /oauth2/v2.1/token: as long as asked
								 * for, 30 at a time, can be revoked */
} LnTokenFlow;

/*
 * LINE's tokens have 170 to a few hundred characters; "opaque and can be long"
 */
#define LN_TOKEN_SIZE		4096

/*
 * enough for any form: a secret of 8192 characters has up to three times as
 * many encoded
 */
#define LN_TOKEN_FORM_SIZE	26000

/*
 * What we ask for in the v2.1 flow (s).  Tokens are kept in memory only, so
 * each start of a worker asks for another one, and LINE refuses the 31st that
 * is alive: an hour allows 25 restarts in an hour.
 */
#define LN_TOKEN_V21_LIFE	3600

/*
 * How far ahead an assertion ends (s); LINE accepts up to 30 minutes, clocks
 * differ.
 */
#define LN_ASSERTION_LIFE	600

/* path of the endpoint, e.g. "/oauth2/v3/token" */
extern const char *ln_token_path(LnTokenFlow flow);

/*
 * The form that asks for a stateless token by channel id and channel secret.
 * False when it does not fit; form is "" then.
 */
extern bool ln_token_form_secret(const char *channel_id, const char *secret,
								 char *form, size_t size);

/*
 * The form that asks for a token by an assertion signed with RS256; pem is the
 * private key, kid what LINE's console said when its public half was
 * registered, now is in seconds since 1970.  False with a sentence, without
 * key material, in err.
 */
extern bool ln_token_form_assertion(LnTokenFlow flow, const char *channel_id,
									const char *pem, const char *kid,
									int64_t now, char *form, size_t size,
									char *err, size_t errlen);

/*
 * The answer of status 200.  Fills token (size LN_TOKEN_SIZE) and its life in
 * seconds; false with a sentence in err.  Foreign bytes: bounded, never
 * trusted; what is no clean header value is refused.
 */
extern bool ln_token_parse(const char *body, size_t len, char *token,
						   size_t size, int64_t *life, char *err,
						   size_t errlen);

/*
 * A word of the token endpoint's error answer, as ln_line_error_text() does;
 * what could be a channel secret that it repeats (24 letters and digits or
 * more) comes out as "...", too.
 */
extern void ln_token_error_text(const char *body, size_t len, char *buf,
								size_t size);

/* Is the text one that may stand behind "Bearer " in a header? */
extern bool ln_token_is_clean(const char *token);

/* Percent-encode for a form; false (and "") when it does not fit. */
extern bool ln_form_encode(const char *text, char *buf, size_t size);

/*
 * How long after its issue a token is to be replaced (ms): between 70 and 80 %
 * of its life, by random, so that many workers do not ask in step.
 */
extern int64_t ln_token_renew_ms(int64_t life, uint64_t random);

/*
 * How long to wait after so many failures in a row (ms): 1 s doubling to a
 * minute, half of it by random.
 */
extern int64_t ln_token_retry_ms(int failures, uint64_t random);

#endif							/* LN_TOKEN_API_H */
