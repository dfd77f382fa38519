/*-------------------------------------------------------------------------
 *
 * crypto.h
 *		SHA-256, HMAC, RS256, hex, base64 and constant-time comparison.
 *
 * The one door to libcrypto.  Algorithms are fetched once per process (an
 * implicit fetch per call triples the cost of a hash); nothing here palloc()s
 * or raises, so that pure code and curl callbacks may use it.  A function
 * that can fail returns false and leaves the output untouched.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_CRYPTO_H
#define LN_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define LN_SHA256_LEN		32
#define LN_SHA256_HEXLEN	64

/*
 * SHA-256 of len bytes; false when libcrypto cannot give the algorithm (FIPS
 * set-ups, memory)
 */
extern bool ln_sha256(const void *data, size_t len,
					  uint8_t out[LN_SHA256_LEN]);

/* HMAC-SHA256 */
extern bool ln_hmac_sha256(const void *key, size_t keylen,
						   const void *data, size_t len,
						   uint8_t out[LN_SHA256_LEN]);

/* lower-case hex; writes 2 * len characters, no terminator */
extern void ln_hex_encode(const uint8_t *in, size_t len, char *out);

/* is this terminated text a SHA-256 in lower-case hex? */
static inline bool
ln_is_sha256_hex(const char *text)
{
	return strspn(text, "0123456789abcdef") == LN_SHA256_HEXLEN &&
		text[LN_SHA256_HEXLEN] == '\0';
}

/*
 * standard base64 with padding; out holds 4 * ((len + 2) / 3) + 1 bytes;
 * returns the length, terminated
 */
extern size_t ln_base64_encode(const uint8_t *in, size_t len, char *out);

/*
 * base64url without padding (RFC 7515); out as above; returns the length,
 * terminated
 */
extern size_t ln_base64url_encode(const uint8_t *in, size_t len, char *out);

/*
 * strict standard base64 with padding; returns the length, or -1 on any
 * malformed byte or when it does not fit
 */
extern int	ln_base64_decode(const char *in, size_t len, uint8_t *out,
							 size_t size);

/* compares in time that depends on len only */
extern bool ln_const_time_equal(const void *a, const void *b, size_t len);

/* cryptographically random bytes */
extern bool ln_random_bytes(void *out, size_t len);

/*
 * RSASSA-PKCS1-v1_5 with SHA-256 (JWS "RS256", RFC 7518 3.3) over data with a
 * PEM private key (PKCS#1 or PKCS#8, no passphrase).  sig gets at most *siglen
 * bytes, *siglen the real length.  On failure, errbuf holds a sentence without
 * any key material.
 */
extern bool ln_rs256_sign(const char *pem, size_t pemlen,
						  const void *data, size_t len,
						  uint8_t *sig, size_t *siglen,
						  char *errbuf, size_t errlen);

/*
 * How many certificates does a PEM text hold?  -1 = one of them, or a key or
 * list of revocations, cannot be read: OpenSSL takes nothing of such a file.
 * What is in between, such as comments, is passed by.
 */
extern int	ln_count_certificates(const char *pem, size_t len);

#endif							/* LN_CRYPTO_H */
