/*-------------------------------------------------------------------------
 *
 * crypto.c
 *		SHA-256 and hex.  (Stand-in until the whole of crypto.h is here.)
 *
 *-------------------------------------------------------------------------
 */
#include <openssl/evp.h>

#include "crypto.h"

static EVP_MD *sha256_md;
static EVP_MD_CTX *sha256_ctx;

bool
ln_sha256(const void *data, size_t len, uint8_t out[LN_SHA256_LEN])
{
	if (sha256_ctx == NULL)
	{
		if (sha256_md == NULL)
			sha256_md = EVP_MD_fetch(NULL, "SHA256", NULL);
		if (sha256_md == NULL)
			return false;
		sha256_ctx = EVP_MD_CTX_new();
		if (sha256_ctx == NULL)
			return false;
	}
	return EVP_DigestInit_ex2(sha256_ctx, sha256_md, NULL) &&
		EVP_DigestUpdate(sha256_ctx, data, len) &&
		EVP_DigestFinal_ex(sha256_ctx, out, NULL);
}

void
ln_hex_encode(const uint8_t *in, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";
	size_t		i;

	for (i = 0; i < len; i++)
	{
		out[2 * i] = digits[in[i] >> 4];
		out[2 * i + 1] = digits[in[i] & 15];
	}
}
