/*-------------------------------------------------------------------------
 *
 * token_api.c
 *		LINE's token endpoints: what to send, what the answer says, and when
 *		to ask again.
 *
 * See "Channel access token" and "Issue channel access token v2.1" of LINE's
 * documentation, and RFC 7523 for the assertion.
 *
 *-------------------------------------------------------------------------
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/crypto.h"
#include "line/line_api.h"
#include "line/token_api.h"

#define ASSERTION_TYPE "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"

/*
 * header and claims of an assertion: two ids of at most 64 characters, and
 * numbers
 */
#define MAX_JOSE		768

/* LINE's channel secrets have 32 hexadecimal digits. */
#define SECRET_LEN		24

/* RSA 8192, the largest that crypto.c takes */
#define MAX_SIGNATURE	1024

/*
 * A token that lives for less is of no use, one that lives longer than LINE's
 * longest is none of LINE's.
 */
#define MIN_LIFE		1
#define MAX_LIFE		(INT64_C(10) * 365 * 86400)

static bool json_safe(const char *id);

const char *
ln_token_path(LnTokenFlow flow)
{
	return flow == LN_FLOW_V21 ? "/oauth2/v2.1/token" : "/oauth2/v3/token";
}

bool
ln_form_encode(const char *text, char *buf, size_t size)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t		used = 0;

	if (size == 0)
		return false;
	for (; *text != '\0'; text++)
	{
		unsigned char c = (unsigned char) *text;
		bool		plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
		(c >= 'a' && c <= 'z') || strchr("-._~", c) != NULL;

		if (used + (plain ? 1 : 3) >= size)
		{
			buf[0] = '\0';
			return false;
		}
		if (plain)
			buf[used++] = (char) c;
		else
		{
			buf[used++] = '%';
			buf[used++] = hex[c >> 4];
			buf[used++] = hex[c & 15];
		}
	}
	buf[used] = '\0';
	return true;
}

bool
ln_token_form_secret(const char *channel_id, const char *secret,
					 char *form, size_t size)
{
	char		id[3 * 64 + 1];
	size_t		n;

	if (size == 0)
		return false;
	form[0] = '\0';
	if (!ln_form_encode(channel_id, id, sizeof(id)))
		return false;
	n = (size_t) snprintf(
						  form, size,
						  "grant_type=client_credentials&client_id=%s&client_secret=", id);
	if (n >= size || !ln_form_encode(secret, form + n, size - n))
	{
		form[0] = '\0';
		return false;
	}
	return true;
}

bool
ln_token_form_assertion(LnTokenFlow flow, const char *channel_id,
						const char *pem, const char *kid, int64_t now,
						char *form, size_t size, char *err, size_t errlen)
{
	char		jose[MAX_JOSE];
	uint8_t		signature[MAX_SIGNATURE];
	size_t		siglen = sizeof(signature);
	size_t		n;
	char	   *assertion;

	if (size == 0)
		return false;
	form[0] = '\0';
	if (!json_safe(channel_id) || !json_safe(kid))
	{
		snprintf(
				 err, errlen,
				 "channel id and key id must have 1 to 64 letters, digits, \"_\", \"-\" or \".\"");
		return false;
	}

	n = (size_t) snprintf(
						  form, size,
						  "grant_type=client_credentials&client_assertion_type=%s&client_assertion=",
						  ASSERTION_TYPE);
	if (n >= size)
		goto too_long;
	assertion = form + n;

	/* base64url needs 4/3 and a terminator */
	snprintf(jose, sizeof(jose),
			 "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"%s\"}", kid);
	if (n + strlen(jose) * 4 / 3 + 4 >= size)
		goto too_long;
	n += ln_base64url_encode((const uint8_t *) jose, strlen(jose), form + n);
	form[n++] = '.';

	/*
	 * the stateless flow is documented with the same claims; what it does not
	 * need it ignores
	 */
	snprintf(jose, sizeof(jose),
			 "{\"iss\":\"%s\",\"sub\":\"%s\",\"aud\":\"https://api.line.me/\",\"exp\":%" PRId64 ",\"token_exp\":%d}",
			 channel_id, channel_id, now + LN_ASSERTION_LIFE,
			 flow == LN_FLOW_V21 ? LN_TOKEN_V21_LIFE : 900);
	if (n + strlen(jose) * 4 / 3 + 4 >= size)
		goto too_long;
	n += ln_base64url_encode((const uint8_t *) jose, strlen(jose), form + n);

	if (!ln_rs256_sign(pem, strlen(pem), assertion,
					   (size_t) (form + n - assertion), signature, &siglen,
					   err, errlen))
	{
		form[0] = '\0';
		return false;
	}
	form[n++] = '.';
	if (n + siglen * 4 / 3 + 4 >= size)
		goto too_long;
	(void) ln_base64url_encode(signature, siglen, form + n);
	return true;

too_long:
	form[0] = '\0';
	snprintf(err, errlen, "the signed assertion is too long");
	return false;
}

/* such an id needs no escaping, neither in JSON nor in a form */
static bool
json_safe(const char *id)
{
	size_t		len = strlen(id);

	return len >= 1 && len <= 64 &&
		strspn(
			   id,
			   "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-.") ==
		len;
}

void
ln_token_error_text(const char *body, size_t len, char *buf, size_t size)
{
	char	   *in = buf;
	char	   *out = buf;

	if (size == 0)
		return;
	ln_line_error_text(body, len, buf, size);

	/*
	 * a word that may have been cut off tells nothing, and could be half a
	 * secret
	 */
	if (strlen(buf) + 8 > size)
	{
		size_t		end = strlen(buf);

		while (end > 0 && buf[end - 1] != ' ')
			end--;
		buf[end] = '\0';
	}
	while (*in != '\0')
	{
		size_t		word = strspn(
								  in,
								  "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

		if (word >= SECRET_LEN)
		{
			memcpy(out, "...", 3);
			out += 3;
			in += word;
		}
		else
		{
			word += word == 0;
			memmove(out, in, word);
			out += word;
			in += word;
		}
	}
	*out = '\0';
}

bool
ln_token_is_clean(const char *token)
{
	const unsigned char *p = (const unsigned char *) token;

	if (*p == '\0')
		return false;
	for (; *p != '\0'; p++)
		if (*p <= 0x20 || *p >= 0x7F)
			return false;
	return true;
}

bool
ln_token_parse(const char *body, size_t len, char *token, size_t size,
			   int64_t *life, char *err, size_t errlen)
{
	char		word[32];
	int64_t		seconds = 0;

	if (size > 0)
		token[0] = '\0';
	*life = 0;
	if (!ln_line_json_member(body, len, "access_token", token, size) ||
		!ln_token_is_clean(token))
	{
		if (size > 0)
			token[0] = '\0';
		snprintf(err, errlen, "the answer holds no usable access_token");
		return false;
	}
	/* RFC 6749 5.1: compared without regard to case */
	if (!ln_line_json_member(body, len, "token_type", word, sizeof(word)) ||
		strcasecmp(word, "bearer") != 0)
	{
		memset(token, 0, size);
		snprintf(err, errlen, "the answer's token_type is not Bearer");
		return false;
	}
	if (ln_line_json_member(body, len, "expires_in", word, sizeof(word)) &&
		word[0] != '\0' && strlen(word) <= 12 &&
		strspn(word, "0123456789") == strlen(word))
	{
		for (const char *p = word; *p != '\0'; p++)
			seconds = seconds * 10 + (*p - '0');
	}
	if (seconds < MIN_LIFE || seconds > MAX_LIFE)
	{
		memset(token, 0, size);
		snprintf(err, errlen,
				 "the answer's expires_in is no usable number of seconds");
		return false;
	}
	*life = seconds;
	return true;
}

int64_t
ln_token_renew_ms(int64_t life, uint64_t random)
{
	return life * 700 + (int64_t) (random % 1001) * life / 10;
}

int64_t
ln_token_retry_ms(int failures, uint64_t random)
{
	int64_t		most;

	if (failures <= 0)
		return 0;
	most = failures > 6 ? 60000 : INT64_C(1000) << (failures - 1);
	return most / 2 + (int64_t) (random % (uint64_t) (most / 2 + 1));
}
