/*-------------------------------------------------------------------------
 *
 * crypto.c
 *		SHA-256, HMAC, RS256, hex, base64 and constant-time comparison.
 *
 * Why this way
 *
 * In OpenSSL 3 an algorithm is looked up by name in the loaded providers, and
 * the one-shot functions (SHA256, HMAC, EVP_Digest with EVP_sha256()) repeat
 * that look-up and allocate a context for every call.  A phone number is
 * 13 bytes, so the look-up costs several times the hash.  Here algorithms and
 * contexts are created at first use, kept, and reused.
 *
 * What fits into one block of SHA-256 (55 bytes; E.164 texts have up to 21) is
 * hashed by OpenSSL's block function directly, if this OpenSSL still has it:
 * it uses the same machine instructions, and a context of EVP costs as much
 * again as the block, even if kept.  The functions are deprecated for what
 * they lack (providers), not for what they do.  Where a provider is to decide,
 * as in a FIPS set-up, the first call of EVP does: if it fails, so do we.
 *
 * They are plain memory without any kernel object behind them, so a child
 * that inherits them over fork() has its own valid copies.  Threads are not
 * provided for: a PostgreSQL process has one, and libcurl's resolver threads
 * never come here.
 *
 * Nothing here palloc()s or raises.  What libcrypto leaves in its error queue
 * after a failure is removed again: the server's own TLS code and libcurl read
 * the same queue, and would take our leftovers for their failures.
 *
 *-------------------------------------------------------------------------
 */
/* for SHA256_Transform(); must stand before OpenSSL's headers */
#define OPENSSL_SUPPRESS_DEPRECATED

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

#include "base/crypto.h"

/*
 * Accepted RSA keys, in bits.  RFC 7518 3.3 requires at least 2048; LINE
 * issues exactly that.  The upper bound sizes the buffer of a signature and
 * keeps one signature below about 0.1 s.
 */
#define RSA_MIN_BITS		2048
#define RSA_MAX_BITS		8192

/* A PEM private key of RSA_MAX_BITS has about 6.4 kB; more is not a key. */
#define PEM_MAX_BYTES		(64 * 1024)

/* SHA-256, NULL until first used */
static EVP_MD *sha256_md = NULL;
static EVP_MD_CTX *sha256_ctx = NULL;

/* HMAC-SHA256, NULL until first used */
static EVP_MAC_CTX *hmac_ctx = NULL;

/* longest message that fits into one block with its padding and length */
#define SHA256_ONE_BLOCK	55

/* two digits a byte */
#define HEX1(h) h "0" h "1" h "2" h "3" h "4" h "5" h "6" h "7" \
	h "8" h "9" h "a" h "b" h "c" h "d" h "e" h "f"

static const char hex_pairs[] =
HEX1("0") HEX1("1") HEX1("2") HEX1("3") HEX1("4") HEX1("5") HEX1("6")
HEX1("7") HEX1("8") HEX1("9") HEX1("a") HEX1("b") HEX1("c") HEX1("d")
HEX1("e") HEX1("f");

#undef HEX1

static const char base64_std[] =
"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static const char base64_url[] =
"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static bool sha256_prepare(void);
static bool hmac_prepare(void);
static int	no_passphrase(char *buf, int size, int rwflag, void *arg);
static int	base64_value(unsigned char c);

#ifndef OPENSSL_NO_DEPRECATED_3_0
/* where byte i of memory is in a word of 64 bits; bytes of a big-endian one */
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define BYTE_AT(i)	(56 - 8 * (i))
#define BIG_ENDIAN_32(v)	(v)
#else
#define BYTE_AT(i)	(8 * (i))
#define BIG_ENDIAN_32(v)	((v) >> 24 | ((v) >> 8 & 0xFF00) | \
							 ((v) & 0xFF00) << 8 | (v) << 24)
#endif

/*
 * FIPS 180-4 5.1.1: the message, a bit, zeros, the length in bits.  In whole
 * words both ways: the vector instructions that read them wait for single
 * bytes, half as long as the block takes (72 ns instead of 48).
 */
static void
sha256_one_block(const void *data, size_t len, uint8_t out[LN_SHA256_LEN])
{
	const uint8_t *p = data;
	uint64_t	block[SHA256_CBLOCK / 8] = {0};
	uint64_t   *word = block;
	size_t		left = len;
	SHA256_CTX	ctx;
	size_t		i;

	for (; left >= 8; left -= 8, p += 8)
		memcpy(word++, p, 8);
	*word = (uint64_t) 0x80 << BYTE_AT(left);
	for (i = 0; i < left; i++)
		*word |= (uint64_t) p[i] << BYTE_AT(i);
	block[SHA256_CBLOCK / 8 - 1] = (uint64_t) (len >> 5) << BYTE_AT(6) |
		(uint64_t) (len << 3 & 0xFF) << BYTE_AT(7);
	SHA256_Init(&ctx);
	SHA256_Transform(&ctx, (unsigned char *) block);
	for (i = 0; i < 8; i++)
	{
		uint32_t	h = BIG_ENDIAN_32(ctx.h[i]);

		memcpy(out + 4 * i, &h, 4);
	}
}
#endif

/*
 * SHA-256 of len bytes.  data may be NULL when len is 0.
 */
bool
ln_sha256(const void *data, size_t len, uint8_t out[LN_SHA256_LEN])
{
	uint8_t		digest[LN_SHA256_LEN];

	if (sha256_ctx == NULL && !sha256_prepare())
		return false;

#ifndef OPENSSL_NO_DEPRECATED_3_0
	if (len <= SHA256_ONE_BLOCK)
	{
		sha256_one_block(data, len, out);
		return true;
	}
#endif

	/* passing the fetched algorithm again would only make it compare them */
	if (EVP_DigestInit_ex2(sha256_ctx, NULL, NULL) != 1 ||
		EVP_DigestUpdate(sha256_ctx, data, len) != 1 ||
		EVP_DigestFinal_ex(sha256_ctx, digest, NULL) != 1)
	{
		/* start from scratch next time, whatever state the context is in */
		EVP_MD_CTX_free(sha256_ctx);
		sha256_ctx = NULL;
		ERR_clear_error();
		return false;
	}

	memcpy(out, digest, LN_SHA256_LEN);
	return true;
}

/*
 * HMAC-SHA256 (RFC 2104).  Both key and data may be empty, and NULL when
 * empty.
 */
bool
ln_hmac_sha256(const void *key, size_t keylen,
			   const void *data, size_t len,
			   uint8_t out[LN_SHA256_LEN])
{
	uint8_t		digest[LN_SHA256_LEN];
	size_t		digestlen = 0;

	if (hmac_ctx == NULL && !hmac_prepare())
		return false;

	/*
	 * A NULL key would mean "the key of last time" to EVP_MAC_init, which is
	 * the last thing that a caller with an empty secret wants.
	 */
	if (key == NULL || keylen == 0)
	{
		key = "";
		keylen = 0;
	}

	if (EVP_MAC_init(hmac_ctx, key, keylen, NULL) != 1 ||
		(len > 0 && EVP_MAC_update(hmac_ctx, data, len) != 1) ||
		EVP_MAC_final(hmac_ctx, digest, &digestlen, sizeof(digest)) != 1 ||
		digestlen != sizeof(digest))
	{
		EVP_MAC_CTX_free(hmac_ctx);
		hmac_ctx = NULL;
		ERR_clear_error();
		return false;
	}

	memcpy(out, digest, LN_SHA256_LEN);
	return true;
}

/*
 * Lower-case hexadecimal; 2 * len characters, no terminator.
 */
void
ln_hex_encode(const uint8_t *in, size_t len, char *out)
{
	size_t		i = 0;

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	/* four bytes at once, their eight digits in the bytes of one word */
	for (; i + 4 <= len; i += 4)
	{
		uint32_t	four;
		uint64_t	w;

		memcpy(&four, in + i, 4);
		w = (four | (uint64_t) four << 16) & UINT64_C(0x0000FFFF0000FFFF);
		w = (w | w << 8) & UINT64_C(0x00FF00FF00FF00FF);
		w = (w >> 4 & UINT64_C(0x000F000F000F000F)) |
			(w & UINT64_C(0x000F000F000F000F)) << 8;
		/* 10 to 15 have a carry when 6 is added, and are letters */
		w += UINT64_C(0x3030303030303030) + ('a' - '0' - 10) *
			((w + UINT64_C(0x0606060606060606)) >> 4 &
			 UINT64_C(0x0101010101010101));
		memcpy(out + 2 * i, &w, 8);
	}
#endif
	for (; i < len; i++)
		memcpy(out + 2 * i, hex_pairs + 2 * in[i], 2);
}

/*
 * Common part of the two encoders.  Returns the length without terminator.
 */
static size_t
base64_encode(const uint8_t *in, size_t len, const char *alphabet, bool pad,
			  char *out)
{
	char	   *start = out;
	uint32_t	v;

	for (; len >= 3; len -= 3, in += 3)
	{
		v = (uint32_t) in[0] << 16 | (uint32_t) in[1] << 8 | in[2];
		*out++ = alphabet[v >> 18];
		*out++ = alphabet[v >> 12 & 0x3F];
		*out++ = alphabet[v >> 6 & 0x3F];
		*out++ = alphabet[v & 0x3F];
	}

	if (len > 0)
	{
		v = (uint32_t) in[0] << 16 | (len == 2 ? (uint32_t) in[1] << 8 : 0);
		*out++ = alphabet[v >> 18];
		*out++ = alphabet[v >> 12 & 0x3F];
		if (len == 2)
			*out++ = alphabet[v >> 6 & 0x3F];
		else if (pad)
			*out++ = '=';
		if (pad)
			*out++ = '=';
	}

	*out = '\0';
	return (size_t) (out - start);
}

size_t
ln_base64_encode(const uint8_t *in, size_t len, char *out)
{
	return base64_encode(in, len, base64_std, true, out);
}

size_t
ln_base64url_encode(const uint8_t *in, size_t len, char *out)
{
	return base64_encode(in, len, base64_url, false, out);
}

/*
 * Strict inverse of ln_base64_encode: no white space, padding required, unused
 * bits zero.  So every byte string has exactly one accepted text, and a
 * signature cannot be varied without becoming malformed.  Nothing is written
 * unless the whole text is good and fits.
 */
int
ln_base64_decode(const char *in, size_t len, uint8_t *out, size_t size)
{
	size_t		npad = 0;
	size_t		nchars;
	size_t		outlen;
	size_t		i;
	uint32_t	v = 0;
	int			bits = 0;

	if (len == 0)
		return 0;
	if (len % 4 != 0)
		return -1;
	if (in[len - 1] == '=')
		npad = (in[len - 2] == '=') ? 2 : 1;

	nchars = len - npad;
	outlen = len / 4 * 3 - npad;
	if (outlen > size || outlen > INT_MAX)
		return -1;

	for (i = 0; i < nchars; i++)
	{
		if (base64_value((unsigned char) in[i]) < 0)
			return -1;
	}
	if (npad > 0 &&
		(base64_value((unsigned char) in[nchars - 1]) &
		 (npad == 1 ? 0x03 : 0x0F)) != 0)
		return -1;

	for (i = 0; i < nchars; i++)
	{
		v = v << 6 | (uint32_t) base64_value((unsigned char) in[i]);
		bits += 6;
		if (bits >= 8)
		{
			bits -= 8;
			*out++ = (uint8_t) (v >> bits);
		}
	}
	return (int) outlen;
}

/*
 * Compare len bytes in a time that does not depend on where they differ.
 */
bool
ln_const_time_equal(const void *a, const void *b, size_t len)
{
	return len == 0 || CRYPTO_memcmp(a, b, len) == 0;
}

/*
 * Cryptographically random bytes.  libcrypto's generator notices a fork by
 * itself and reseeds.
 */
bool
ln_random_bytes(void *out, size_t len)
{
	if (len > INT_MAX)
		return false;
	if (len > 0 && RAND_bytes(out, (int) len) != 1)
	{
		ERR_clear_error();
		return false;
	}
	return true;
}

/*
 * Sign data with RS256; see crypto.h.  Parses the key each time: tokens are
 * signed a few times an hour, and no parsed key stays in memory meanwhile.
 */
bool
ln_rs256_sign(const char *pem, size_t pemlen,
			  const void *data, size_t len,
			  uint8_t *sig, size_t *siglen,
			  char *errbuf, size_t errlen)
{
	uint8_t		result[RSA_MAX_BITS / 8];
	size_t		resultlen = sizeof(result);
	const char *reason = NULL;
	BIO		   *bio = NULL;
	EVP_PKEY   *key = NULL;
	EVP_MD_CTX *ctx = NULL;
	EVP_PKEY_CTX *keyctx = NULL;

	ERR_set_mark();

	if (sha256_md == NULL && !sha256_prepare())
		reason = "SHA-256 is not available from libcrypto.";
	else if (pemlen == 0 || pemlen > PEM_MAX_BYTES)
		reason = "The private key is empty or too long.";
	else if ((bio = BIO_new_mem_buf(pem, (int) pemlen)) == NULL)
		reason = "Out of memory.";
	else if ((key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase,
											NULL)) == NULL)
		reason = "The private key is not readable as PEM without passphrase.";
	else if (!EVP_PKEY_is_a(key, "RSA"))
		reason = "The private key is not an RSA key.";
	else if (EVP_PKEY_get_bits(key) < RSA_MIN_BITS)
		reason = "The private key has less than 2048 bits.";
	else if (EVP_PKEY_get_bits(key) > RSA_MAX_BITS)
		reason = "The private key has more than 8192 bits.";
	else if ((size_t) EVP_PKEY_get_size(key) > *siglen)
		reason = "The signature does not fit into the buffer.";
	else if ((ctx = EVP_MD_CTX_new()) == NULL)
		reason = "Out of memory.";
	else if (EVP_DigestSignInit(ctx, &keyctx, sha256_md, NULL, key) != 1 ||
			 EVP_PKEY_CTX_set_rsa_padding(keyctx, RSA_PKCS1_PADDING) != 1 ||
			 EVP_DigestSign(ctx, result, &resultlen, data, len) != 1)
		reason = "libcrypto could not sign with the private key.";

	if (reason == NULL)
	{
		memcpy(sig, result, resultlen);
		*siglen = resultlen;
	}
	else if (errlen > 0)
		snprintf(errbuf, errlen, "%s", reason);

	EVP_MD_CTX_free(ctx);		/* frees keyctx, too */
	EVP_PKEY_free(key);
	BIO_free(bio);
	ERR_pop_to_mark();

	return reason == NULL;
}

int
ln_count_certificates(const char *pem, size_t len)
{
	BIO		   *bio = len <= INT_MAX ? BIO_new_mem_buf(pem, (int) len) : NULL;

	STACK_OF(X509_INFO) * found;
	int			n = 0;

	if (bio == NULL)
		return -1;
	ERR_set_mark();
	found = PEM_X509_INFO_read_bio(bio, NULL, no_passphrase, NULL);
	if (found == NULL)
		n = -1;
	for (int i = 0; found != NULL && i < sk_X509_INFO_num(found); i++)
		n += sk_X509_INFO_value(found, i)->x509 != NULL;
	sk_X509_INFO_pop_free(found, X509_INFO_free);
	ERR_pop_to_mark();
	BIO_free(bio);
	return n;
}

/*
 * Fetch SHA-256 and create its context.  Can be repeated after a failure.
 */
static bool
sha256_prepare(void)
{
	if (sha256_md == NULL)
		sha256_md = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (sha256_md != NULL && sha256_ctx == NULL)
	{
		sha256_ctx = EVP_MD_CTX_new();
		if (sha256_ctx != NULL &&
			EVP_DigestInit_ex2(sha256_ctx, sha256_md, NULL) != 1)
		{
			EVP_MD_CTX_free(sha256_ctx);
			sha256_ctx = NULL;
		}
	}
	if (sha256_ctx == NULL)
		ERR_clear_error();
	return sha256_ctx != NULL;
}

/*
 * Fetch HMAC, create its context and tell it the digest.
 */
static bool
hmac_prepare(void)
{
	EVP_MAC    *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	char		digest[] = "SHA256";
	OSSL_PARAM	params[2];

	if (mac != NULL)
	{
		hmac_ctx = EVP_MAC_CTX_new(mac);	/* holds its own reference */
		EVP_MAC_free(mac);
	}

	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
												 digest, 0);
	params[1] = OSSL_PARAM_construct_end();

	if (hmac_ctx != NULL && EVP_MAC_CTX_set_params(hmac_ctx, params) != 1)
	{
		EVP_MAC_CTX_free(hmac_ctx);
		hmac_ctx = NULL;
	}
	if (hmac_ctx == NULL)
		ERR_clear_error();
	return hmac_ctx != NULL;
}

/*
 * Passphrase callback that has none: without it libcrypto would ask for one at
 * the terminal of the process.
 */
static int
no_passphrase(char *buf, int size, int rwflag, void *arg)
{
	(void) buf;
	(void) size;
	(void) rwflag;
	(void) arg;
	return -1;
}

/*
 * Value of a character of the standard alphabet, or -1.
 */
static int
base64_value(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	if (c == '/')
		return 63;
	return -1;
}
