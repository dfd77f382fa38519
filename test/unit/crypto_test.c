/*-------------------------------------------------------------------------
 *
 * crypto_test.c
 *		Proves crypto.c against published vectors and the openssl program.
 *
 * SHA-256: FIPS 180-4 examples and RFC 4231 (HMAC).  Base64: RFC 4648.
 * Signatures of LINE webhooks: LINE's own example and one of ours.  RS256 is
 * deterministic, so our signature must equal, byte for byte, the one that the
 * openssl program makes with the same key.
 *
 *-------------------------------------------------------------------------
 */
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/evp.h>

#include "base/crypto.h"
#include "tap.h"

static char dir[] = "/tmp/ln_crypto_test_XXXXXX";

static void
unhex(const char *hex, uint8_t *out)
{
	unsigned int v;

	for (; *hex; hex += 2)
	{
		sscanf(hex, "%2x", &v);
		*out++ = (uint8_t) v;
	}
}

static void
sha256_is(const char *data, size_t len, const char *want, const char *name)
{
	uint8_t		out[LN_SHA256_LEN];
	char		hex[LN_SHA256_HEXLEN + 1];

	memset(out, 0, sizeof(out));
	ok(ln_sha256(data, len, out), "SHA-256 of %s succeeds", name);
	ln_hex_encode(out, sizeof(out), hex);
	hex[LN_SHA256_HEXLEN] = '\0';
	is_str(hex, want, name);
}

static void
test_sha256(void)
{
	char	   *million = malloc(1000000);
	char		block[200];
	size_t		i;
	uint8_t		a[LN_SHA256_LEN];
	uint8_t		b[LN_SHA256_LEN];

	sha256_is("", 0,
			  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
			  "empty string");
	sha256_is(NULL, 0,
			  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
			  "NULL with length 0");
	sha256_is("abc", 3,
			  "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
			  "FIPS 180-4, one block");
	sha256_is("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
			  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
			  "FIPS 180-4, two blocks");
	memset(million, 'a', 1000000);
	sha256_is(million, 1000000,
			  "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
			  "FIPS 180-4, a million times a");
	free(million);
	sha256_is("\0", 1,
			  "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
			  "one NUL byte");

	/* reuse of one context: nothing of the previous call may shine through */
	memset(block, 'x', sizeof(block));
	for (i = 0; i <= sizeof(block); i++)
	{
		if (!ln_sha256(block, i, a) || !ln_sha256("abc", 3, b) ||
			!ln_sha256(block, i, b) || memcmp(a, b, sizeof(a)) != 0)
			break;
	}
	is_int((long long) i, (long long) sizeof(block) + 1,
		   "lengths 0 to 200, alternating, are stable");

	/* one block or more: the same as OpenSSL's own one-shot function */
	for (i = 0; i < sizeof(block); i++)
		block[i] = (char) (i * 7 + 1);
	for (i = 0; i <= sizeof(block); i++)
	{
		unsigned int outlen = 0;

		if (!ln_sha256(block, i, a) ||
			EVP_Digest(block, i, b, &outlen, EVP_sha256(), NULL) != 1 ||
			memcmp(a, b, sizeof(a)) != 0)
			break;
	}
	is_int((long long) i, (long long) sizeof(block) + 1,
		   "lengths 0 to 200 are as EVP_Digest has them");

	/* input and output in one place */
	memset(block, 0, sizeof(block));
	memcpy(block, "abc", 3);
	ok(ln_sha256(block, 3, (uint8_t *) block) && ln_sha256("abc", 3, a) &&
	   memcmp(block, a, sizeof(a)) == 0, "the message may be overwritten");
}

static void
hmac_is(const uint8_t *key, size_t keylen, const uint8_t *data, size_t len,
		const char *want, const char *name)
{
	uint8_t		out[LN_SHA256_LEN];
	char		hex[LN_SHA256_HEXLEN + 1];

	memset(out, 0, sizeof(out));
	ok(ln_hmac_sha256(key, keylen, data, len, out), "HMAC of %s succeeds",
	   name);
	ln_hex_encode(out, sizeof(out), hex);
	hex[strlen(want)] = '\0';	/* RFC 4231 case 5 is truncated */
	is_str(hex, want, name);
}

static void
test_hmac(void)
{
	uint8_t		key[131];
	uint8_t		data[200];
	const char *text;

	memset(key, 0x0b, 20);
	hmac_is(key, 20, (const uint8_t *) "Hi There", 8,
			"b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
			"RFC 4231 case 1");
	hmac_is((const uint8_t *) "Jefe", 4,
			(const uint8_t *) "what do ya want for nothing?", 28,
			"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
			"RFC 4231 case 2");
	memset(key, 0xaa, 20);
	memset(data, 0xdd, 50);
	hmac_is(key, 20, data, 50,
			"773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
			"RFC 4231 case 3");
	unhex("0102030405060708090a0b0c0d0e0f10111213141516171819", key);
	memset(data, 0xcd, 50);
	hmac_is(key, 25, data, 50,
			"82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
			"RFC 4231 case 4");
	memset(key, 0x0c, 20);
	hmac_is(key, 20, (const uint8_t *) "Test With Truncation", 20,
			"a3b6167473100ee06e0c796c2955552b",
			"RFC 4231 case 5");
	memset(key, 0xaa, 131);
	text = "Test Using Larger Than Block-Size Key - Hash Key First";
	hmac_is(key, 131, (const uint8_t *) text, strlen(text),
			"60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
			"RFC 4231 case 6");
	text = "This is a test using a larger than block-size key and a larger "
		"than block-size data. The key needs to be hashed before being used "
		"by the HMAC algorithm.";
	hmac_is(key, 131, (const uint8_t *) text, strlen(text),
			"9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
			"RFC 4231 case 7");

	/* an empty key is a key, not "the one of last time" */
	hmac_is((const uint8_t *) "", 0, (const uint8_t *) "", 0,
			"b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad",
			"empty key, empty data");
	hmac_is(NULL, 0, NULL, 0,
			"b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad",
			"NULL key, NULL data");
}

static void
line_signature_is(const char *secret, const char *body, const char *want,
				  const char *name)
{
	uint8_t		mac[LN_SHA256_LEN];
	uint8_t		decoded[LN_SHA256_LEN];
	char		text[48];

	ok(ln_hmac_sha256(secret, strlen(secret), body, strlen(body), mac),
	   "%s: computed", name);
	is_int((long long) ln_base64_encode(mac, sizeof(mac), text), 44,
		   "length of its base64");
	is_str(text, want, name);
	is_int(ln_base64_decode(want, strlen(want), decoded, sizeof(decoded)),
		   LN_SHA256_LEN, "decodes into exactly the room");
	ok(ln_const_time_equal(mac, decoded, sizeof(mac)), "compares equal");
	decoded[31] ^= 1;
	ok(!ln_const_time_equal(mac, decoded, sizeof(mac)),
	   "differs in the last bit");
}

static void
test_line_signatures(void)
{
	line_signature_is("8c570fa6dd201bb328f1c1eac23a96d8",
					  "{\"destination\":\"U8e742f61d673b39c7fff3cecb7536ef0\","
					  "\"events\":[]}",
					  "GhRKmvmHys4Pi8DxkF4+EayaH0OqtJtaZxgTD9fMDLs=",
					  "LINE's signature example");
	line_signature_is("0123456789abcdef0123456789abcdef",
					  "{\"destination\":\"U00000000000000000000000000000000\","
					  "\"events\":[{\"type\":\"delivery\",\"delivery\":"
					  "{\"data\":\"ln1-00000000000000000042\"},"
					  "\"webhookEventId\":\"01J0000000000000000000000A\","
					  "\"deliveryContext\":{\"isRedelivery\":false},"
					  "\"timestamp\":1750000000000,\"mode\":\"active\"}]}",
					  "sEIWpN/aVDm/Sn17jSKzxYJM+2JYpvRPZt03Y5nUj8s=",
					  "signature of a delivery event");
}

static void
test_base64(void)
{
	static const struct
	{
		const char *plain;
		const char *std;
		const char *url;
	}			good[] =
	{
		/* RFC 4648 section 10 */
		{"", "", ""},
		{"f", "Zg==", "Zg"},
		{"fo", "Zm8=", "Zm8"},
		{"foo", "Zm9v", "Zm9v"},
		{"foob", "Zm9vYg==", "Zm9vYg"},
		{"fooba", "Zm9vYmE=", "Zm9vYmE"},
		{"foobar", "Zm9vYmFy", "Zm9vYmFy"},
		/* the two characters that differ */
		{"\xfb\xff\xbf", "+/+/", "-_-_"},
	};
	static const char *const bad[] =
	{
		"Z", "Zg", "Zg=", "Zm8", "====", "=", "Zg==Zg==", "Z===", "Zm=v",
		"Zh==",					/* unused bits set */
		"Zm9=",					/* likewise */
		" Zg==", "Zg== ", "Zm9v\n", "Zm 9", "-_-_", "Zm9\x80", "Zm\xc3\xa4",
	};
	char		text[16];
	uint8_t		out[16];
	size_t		i;
	size_t		n;
	uint8_t		untouched[16];

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
	{
		n = ln_base64_encode((const uint8_t *) good[i].plain,
							 strlen(good[i].plain), text);
		is_str(text, good[i].std, "base64");
		is_int((long long) n, (long long) strlen(good[i].std), "its length");
		n = ln_base64url_encode((const uint8_t *) good[i].plain,
								strlen(good[i].plain), text);
		is_str(text, good[i].url, "base64url");
		is_int((long long) n, (long long) strlen(good[i].url), "its length");
		n = strlen(good[i].plain);
		ok(ln_base64_decode(good[i].std, strlen(good[i].std), out,
							n) == (int) n &&
		   memcmp(out, good[i].plain, n) == 0, "decodes back");
		if (n > 0)
			is_int(ln_base64_decode(good[i].std, strlen(good[i].std), out,
									n - 1), -1, "not with a byte less room");
	}

	memset(untouched, 0x55, sizeof(untouched));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		memset(out, 0x55, sizeof(out));
		ok(ln_base64_decode(bad[i], strlen(bad[i]), out, sizeof(out)) == -1 &&
		   memcmp(out, untouched, sizeof(out)) == 0,
		   "malformed base64 %d is refused, nothing written", (int) i);
	}
	ok(ln_base64_decode("Zm\0v", 4, out, sizeof(out)) == -1,
	   "NUL inside base64 is refused");
}

/* Every byte value, and every length up to 64, there and back. */
static void
test_base64_round_trip(void)
{
	uint8_t		in[64];
	uint8_t		out[64];
	char		text[4 * 22 + 1];
	int			bad = 0;
	int			n;
	int			round;

	for (round = 0; round < 2000; round++)
	{
		size_t		len = (size_t) round % 65;

		if (!ln_random_bytes(in, len))
			bad++;
		n = (int) ln_base64_encode(in, len, text);
		if (ln_base64_decode(text, (size_t) n, out, len) != (int) len ||
			memcmp(in, out, len) != 0)
			bad++;
	}
	is_int(bad, 0, "2000 random strings survive base64");
}

static void
test_small_things(void)
{
	uint8_t		bytes[4] = {0x00, 0x1f, 0xa0, 0xff};
	char		hex[9];
	uint8_t		a[32] = {0};
	uint8_t		b[32] = {0};

	memset(hex, 'x', sizeof(hex));
	ln_hex_encode(bytes, 4, hex);
	ok(memcmp(hex, "001fa0ffx", 9) == 0,
	   "hex is lower case, without a terminator");

	ok(ln_const_time_equal(NULL, NULL, 0), "nothing equals nothing");
	ok(ln_random_bytes(a, sizeof(a)) && ln_random_bytes(b, sizeof(b)) &&
	   memcmp(a, b, sizeof(a)) != 0, "random bytes differ");
	ok(ln_random_bytes(a, 0), "no random bytes");
}

/* Run a command in our temporary directory; true = status 0. */
static bool run(const char *fmt,...)
			__attribute__((format(printf, 1, 2)));

static bool
run(const char *fmt,...)
{
	char		cmd[1024];
	int			n;
	va_list		args;

	n = snprintf(cmd, sizeof(cmd), "cd %s && ", dir);
	va_start(args, fmt);
	vsnprintf(cmd + n, sizeof(cmd) - n, fmt, args);
	va_end(args);
	return system(cmd) == 0;
}

static size_t
slurp(const char *name, char *buf, size_t room)
{
	char		path[256];
	FILE	   *f;
	size_t		n = 0;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if ((f = fopen(path, "rb")) != NULL)
	{
		n = fread(buf, 1, room, f);
		fclose(f);
	}
	return n;
}

static void
spill(const char *name, const void *buf, size_t len)
{
	char		path[256];
	FILE	   *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if ((f = fopen(path, "wb")) != NULL)
	{
		fwrite(buf, 1, len, f);
		fclose(f);
	}
}

static void
rs256_refused(const char *pem, size_t pemlen, size_t room, const char *name)
{
	uint8_t		sig[2048];
	size_t		siglen = room;
	char		err[200] = "";
	size_t		i;

	memset(sig, 0x55, sizeof(sig));
	ok(!ln_rs256_sign(pem, pemlen, "data", 4, sig, &siglen, err, sizeof(err)),
	   "refused: %s", name);
	for (i = 0; i < sizeof(sig) && sig[i] == 0x55; i++)
		;
	ok(i == sizeof(sig) && siglen == room && strlen(err) > 10 &&
	   err[strlen(err) - 1] == '.',
	   "output untouched, and a sentence: %s", err);
	ok(ERR_peek_error() == 0, "error queue left empty");
}

static void
test_rs256(void)
{
	static const char *const bits[] = {"2048", "3072", "4096"};
	static const char *const pems[] = {"pkcs8.pem", "pkcs1.pem"};
	static const char input[] =
	"eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiIxMjM0NTY3ODkwIn0";
	char		pem[16384];
	size_t		pemlen;
	uint8_t		sig[1024];
	size_t		siglen;
	uint8_t		want[1024];
	size_t		wantlen;
	char		err[200];
	size_t		i;
	size_t		j;

	if (mkdtemp(dir) == NULL)
	{
		ok(false, "temporary directory");
		return;
	}
	spill("input", input, sizeof(input) - 1);

	for (i = 0; i < 3; i++)
	{
		ok(run("openssl genpkey -algorithm RSA -out pkcs8.pem"
			   " -pkeyopt rsa_keygen_bits:%s 2>genpkey.log && openssl rsa"
			   " -traditional -in pkcs8.pem -out pkcs1.pem 2>/dev/null && "
			   "openssl pkey -in pkcs8.pem -pubout -out public.pem && "
			   "openssl dgst -sha256 -sign pkcs8.pem -out want input",
			   bits[i]),
		   "openssl makes a key of %s bits", bits[i]);
		wantlen = slurp("want", (char *) want, sizeof(want));

		for (j = 0; j < 2; j++)
		{
			pemlen = slurp(pems[j], pem, sizeof(pem));
			siglen = sizeof(sig);
			memset(sig, 0, sizeof(sig));
			ok(ln_rs256_sign(pem, pemlen, input, sizeof(input) - 1, sig,
							 &siglen, err, sizeof(err)),
			   "signs with %s of %s bits", pems[j], bits[i]);
			ok(siglen == wantlen && memcmp(sig, want, wantlen) == 0,
			   "equals the signature of the openssl program");
			spill("sig", sig, siglen);
			ok(run("openssl dgst -sha256 -verify public.pem"
				   " -signature sig input >/dev/null"),
			   "the openssl program verifies it");
			sig[5] ^= 1;
			spill("sig", sig, siglen);
			ok(!run("openssl dgst -sha256 -verify public.pem"
					" -signature sig input >/dev/null 2>&1"),
			   "and not after a change");
		}
	}

	pemlen = slurp("pkcs8.pem", pem, sizeof(pem));
	rs256_refused(pem, pemlen, 511, "room of one byte too few");
	rs256_refused(pem, pemlen / 2, 1024, "half a key");
	rs256_refused(pem, 0, 1024, "no key");
	rs256_refused(pem, SIZE_MAX, 1024, "absurd length");
	rs256_refused("hello", 5, 1024, "not a key");

	ok(run("openssl pkey -in pkcs8.pem -aes256 -passout pass:secret"
		   " -out locked.pem"), "openssl locks the key");
	pemlen = slurp("locked.pem", pem, sizeof(pem));
	rs256_refused(pem, pemlen, 1024, "key with passphrase (and no prompt)");
	pemlen = slurp("public.pem", pem, sizeof(pem));
	rs256_refused(pem, pemlen, 1024, "public key");
	ok(run("openssl genpkey -algorithm EC -out ec.pem"
		   " -pkeyopt ec_paramgen_curve:P-256"), "openssl makes an EC key");
	pemlen = slurp("ec.pem", pem, sizeof(pem));
	rs256_refused(pem, pemlen, 1024, "EC key");
	ok(run("openssl genpkey -algorithm RSA -out small.pem"
		   " -pkeyopt rsa_keygen_bits:1024 2>/dev/null"),
	   "openssl makes a small key");
	pemlen = slurp("small.pem", pem, sizeof(pem));
	rs256_refused(pem, pemlen, 1024, "1024 bits");

	run("rm -rf %s", dir);
}

/* A child uses what its parent created, and the parent goes on with it. */
static void
test_fork(void)
{
	uint8_t		a[LN_SHA256_LEN];
	uint8_t		b[LN_SHA256_LEN];
	pid_t		pid;
	int			status = -1;
	bool		passed;

	passed = ln_sha256("abc", 3, a);
	fflush(stdout);
	pid = fork();
	if (pid == 0)
	{
		passed = ln_sha256("abc", 3, b) && memcmp(a, b, sizeof(a)) == 0 &&
			ln_hmac_sha256("k", 1, "d", 1, b) && ln_random_bytes(b, 32);
		_exit(passed ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	is_int(status, 0, "a forked child hashes with its inherited contexts");
	ok(passed && ln_sha256("abc", 3, b) && memcmp(a, b, sizeof(a)) == 0,
	   "and so does the parent afterwards");
}

int
main(void)
{
	test_sha256();
	test_hmac();
	test_line_signatures();
	test_base64();
	test_base64_round_trip();
	test_small_things();
	test_rs256();
	test_fork();
	return done_testing();
}
