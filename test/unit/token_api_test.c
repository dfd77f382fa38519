/*-------------------------------------------------------------------------
 *
 * token_api_test.c
 *		Proves what we send to LINE's token endpoints and how we read what
 *		they answer.
 *
 * The assertion is checked with the openssl program and the public half of
 * the key; its claims byte for byte.  The reader gets every answer cut off at
 * each byte, and each byte replaced, in a heap block of exactly that size, so
 * that the sanitizers see one byte too many.
 *
 *-------------------------------------------------------------------------
 */
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/crypto.h"
#include "line/line_api.h"
#include "tap.h"
#include "line/token_api.h"

static char dir[] = "/tmp/ln_token_test_XXXXXX";

/* in a block without a byte to spare */
static bool
parse(const char *body, size_t len, char *token, size_t room, int64_t *life)
{
	char	   *exact = malloc(len + (len == 0));
	char		err[128];
	bool		result;

	memcpy(exact, body, len);
	result = ln_token_parse(exact, len, token, room, life, err, sizeof(err));
	free(exact);
	return result;
}

static void
good(const char *body, const char *want, long long want_life)
{
	char		token[LN_TOKEN_SIZE];
	int64_t		life;

	ok(parse(body, strlen(body), token, sizeof(token), &life), "read: %s",
	   body);
	is_str(token, want, "its token");
	is_int(life, want_life, "its life");
}

static void
bad(const char *body)
{
	char		token[LN_TOKEN_SIZE];
	int64_t		life = 7;

	ok(!parse(body, strlen(body), token, sizeof(token), &life) &&
	   token[0] == '\0' && life == 0,
	   "refused: %s", body);
}

static void
test_parse(void)
{
	static const char whole[] =
	"{\"token_type\":\"Bearer\",\"access_token\":\"ey.J_0-~+/=\",\"expires_in\":899,\"key_id\":\"k\",\"new\":{\"a\":[1,{}]}}";
	char		token[LN_TOKEN_SIZE];
	char		changed[sizeof(whole)];
	char		small[8];
	int64_t		life;
	int			accepted = 0;

	good(whole, "ey.J_0-~+/=", 899);
	good(" { \"expires_in\" : \"900\" , \"access_token\":\"\\u0061b\",\"token_type\":\"bearer\" } ", "ab", 900);
	good("{\"access_token\":\"one\",\"access_token\":\"two\",\"expires_in\":1,\"token_type\":\"Bearer\"}", "one", 1);

	bad("");
	bad("null");
	bad("[]");
	bad("{}");
	bad("<html>503</html>");
	bad("{\"access_token\":\"\",\"expires_in\":900,\"token_type\":\"Bearer\"}");
	bad("{\"access_token\":\"a b\",\"expires_in\":900,\"token_type\":\"Bearer\"}");
	bad("{\"access_token\":\"a\\r\\nX-Evil: 1\",\"expires_in\":900,\"token_type\":\"Bearer\"}");
	bad("{\"access_token\":\"a\\u0000b\",\"expires_in\":900,\"token_type\":\"Bearer\"}");
	bad("{\"access_token\":\"\xe3\x81\x82\",\"expires_in\":900,\"token_type\":\"Bearer\"}");
	bad("{\"access_token\":{\"a\":\"b\"},\"expires_in\":900,\"token_type\":\"Bearer\"}");
	bad("{\"data\":{\"access_token\":\"a\",\"expires_in\":900,\"token_type\":\"Bearer\"}}");
	bad("{\"access_token\":\"a\",\"expires_in\":900}");
	bad("{\"access_token\":\"a\",\"expires_in\":900,\"token_type\":\"mac\"}");
	bad("{\"access_token\":\"a\",\"token_type\":\"Bearer\"}");
	bad("{\"access_token\":\"a\",\"expires_in\":0,\"token_type\":\"Bearer\"}");
	bad("{\"access_token\":\"a\",\"expires_in\":-1,\"token_type\":\"Bearer\"}");
	bad("{\"access_token\":\"a\",\"expires_in\":1e9,\"token_type\":\"Bearer\"}");
	bad("{\"access_token\":\"a\",\"expires_in\":99999999999999999999,\"token_type\":\"Bearer\"}");
	bad("{\"access_token\":\"a\",\"expires_in\":900,\"token_type\":\"Bearer\"");
	bad("{\"access_token\":\"a\",\"expires_in\":900,\"token_type\":\"Bearer\"}}");

	ok(!parse(whole, sizeof(whole) - 1, small, sizeof(small), &life) &&
	   small[0] == '\0',
	   "a token that does not fit is refused");
	for (size_t i = 0; i + 1 < sizeof(whole) - 1; i++)
		accepted += parse(whole, i, token, sizeof(token), &life);
	is_int(accepted, 0, "no beginning of an answer is taken for one");
	for (size_t i = 0; i < sizeof(whole) - 1; i++)
		for (int c = 0; c < 256; c++)
		{
			memcpy(changed, whole, sizeof(whole));
			changed[i] = (char) c;
			if (parse(changed, sizeof(whole) - 1, token, sizeof(token),
					  &life) &&
				(!ln_token_is_clean(token) || life < 1))
				accepted++;
		}
	is_int(accepted, 0, "no single wrong byte gets an unclean token through");
}

static void
test_forms(void)
{
	char		form[LN_TOKEN_FORM_SIZE];
	char		tight[60];

	ok(ln_token_form_secret("1234567890", "s&e=c r%t+", form, sizeof(form)),
	   "form by secret");
	is_str(form, "grant_type=client_credentials&client_id=1234567890&client_secret=s%26e%3Dc%20r%25t%2B",
		   "everything special is encoded");
	ok(!ln_token_form_secret("1234567890", "secret", tight, sizeof(tight)) &&
	   tight[0] == '\0',
	   "no half form");
	ok(!ln_form_encode("a", form, 1) && ln_form_encode("a", form, 2) &&
	   !ln_form_encode("%", form, 3) &&
	   ln_form_encode("%", form, 4), "room to the byte");
	is_str(ln_token_path(LN_FLOW_STATELESS), "/oauth2/v3/token", "stateless");
	is_str(ln_token_path(LN_FLOW_V21), "/oauth2/v2.1/token", "v2.1");
}

static char *
slurp(const char *name)
{
	static char buf[20000];
	char		path[100];
	FILE	   *f;
	size_t		n;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "r");
	n = f ? fread(buf, 1, sizeof(buf) - 1, f) : 0;
	buf[n] = '\0';
	if (f)
		fclose(f);
	return buf;
}

static void
spit(const char *name, const void *data, size_t len)
{
	char		path[100];
	FILE	   *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	if (f == NULL || fwrite(data, 1, len, f) != len)
		perror(path);
	if (f)
		fclose(f);
}

/* base64url without padding, by way of the strict decoder */
static int
unbase64url(const char *in, size_t len, uint8_t *out, size_t room)
{
	char		padded[4000];
	size_t		n = 0;

	for (; n < len; n++)
		padded[n] = in[n] == '-' ? '+' : in[n] == '_' ? '/' : in[n];
	while (n % 4 != 0)
		padded[n++] = '=';
	return ln_base64_decode(padded, n, out, room);
}

static void
test_assertion(void)
{
	char		command[400];
	char		form[LN_TOKEN_FORM_SIZE];
	char		err[200];
	char	   *pem;
	char	   *jwt;
	char	   *dot1;
	char	   *dot2;
	uint8_t		out[2000];
	int			n;

	snprintf(command, sizeof(command), "cd %s && openssl genrsa -out key.pem 2048 2>/dev/null && openssl rsa -in key.pem -pubout -out pub.pem 2>/dev/null", dir);
	ok(system(command) == 0, "openssl makes a key");
	pem = strdup(slurp("key.pem"));

	for (int flow = 0; flow < 2; flow++)
	{
		ok(ln_token_form_assertion((LnTokenFlow) flow, "1234567890", pem,
								   "kid-1_x", 1750000000, form, sizeof(form),
								   err, sizeof(err)),
		   "form by assertion");
		jwt = strstr(form, "client_assertion=");
		ok(strncmp(form, "grant_type=client_credentials&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&", 117) == 0 &&
		   jwt != NULL, "its three fields");
		if (jwt == NULL)
			return;
		jwt += strlen("client_assertion=");
		dot1 = strchr(jwt, '.');
		dot2 = dot1 ? strchr(dot1 + 1, '.') : NULL;
		ok(dot1 != NULL && dot2 != NULL && strspn(jwt, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.") == strlen(jwt),
		   "three parts, nothing to encode");
		if (dot2 == NULL)
			return;
		n = unbase64url(jwt, (size_t) (dot1 - jwt), out, sizeof(out) - 1);
		out[n < 0 ? 0 : n] = '\0';
		is_str((char *) out,
			   "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"kid-1_x\"}",
			   "header");
		n = unbase64url(dot1 + 1, (size_t) (dot2 - dot1 - 1), out,
						sizeof(out) - 1);
		out[n < 0 ? 0 : n] = '\0';
		is_str((char *) out,
			   flow == LN_FLOW_V21 ?
			   "{\"iss\":\"1234567890\",\"sub\":\"1234567890\",\"aud\":\"https://api.line.me/\",\"exp\":1750000600,\"token_exp\":3600}" :
			   "{\"iss\":\"1234567890\",\"sub\":\"1234567890\",\"aud\":\"https://api.line.me/\",\"exp\":1750000600,\"token_exp\":900}",
			   "claims");
		n = unbase64url(dot2 + 1, strlen(dot2 + 1), out, sizeof(out));
		is_int(n, 256, "signature of a 2048-bit key");
		spit("sig", out, n > 0 ? (size_t) n : 0);
		spit("data", jwt, (size_t) (dot2 - jwt));
		snprintf(command, sizeof(command), "cd %s && openssl dgst -sha256 -verify pub.pem -signature sig data >/dev/null", dir);
		ok(system(command) == 0, "openssl verifies it");
	}

	ok(!ln_token_form_assertion(LN_FLOW_STATELESS, "1\"}", pem, "k", 0, form,
								sizeof(form), err, sizeof(err)) &&
	   form[0] == '\0',
	   "a channel id that would break out of the claims");
	ok(!ln_token_form_assertion(LN_FLOW_STATELESS, "1", pem, "", 0, form,
								sizeof(form), err, sizeof(err)),
	   "no key id");
	ok(!ln_token_form_assertion(LN_FLOW_STATELESS, "1",
								"-----BEGIN NONSENSE-----", "k", 0, form,
								sizeof(form), err, sizeof(err)) &&
	   form[0] == '\0' && strstr(err, "NONSENSE") == NULL,
	   "no key; the error does not repeat it");
	ok(!ln_token_form_assertion(LN_FLOW_STATELESS, "1", pem, "k", 0, form, 300,
								err, sizeof(err)) && form[0] == '\0',
	   "no room");
	free(pem);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	ok(system(command) == 0, "cleaned up");
}

static void
test_error(void)
{
	char		buf[200];
	static const char doc[] = "{\"error\":\"invalid_client\",\"error_description\":\"secret 8c570fa6dd201bb328f1c1eac23a96d8 of 1234567890 is wrong\"}";

	ln_token_error_text(doc, strlen(doc), buf, sizeof(buf));
	is_str(buf, "invalid_client: secret ... of 1234567890 is wrong",
		   "a repeated secret is left out");
	for (size_t room = 1; room < sizeof(buf); room++)
	{
		ln_token_error_text(doc, strlen(doc), buf, room);
		if (strlen(buf) >= room ||
			strstr(buf, "8c570fa6dd201bb328f1c1ea") != NULL)
			break;
		if (room == sizeof(buf) - 1)
			ok(true, "at any room");
	}
	ln_token_error_text("nonsense", 8, buf, sizeof(buf));
	is_str(buf, "", "nothing of nonsense");
}

static void
test_schedule(void)
{
	int64_t		least = INT64_MAX;
	int64_t		most = 0;

	for (uint64_t r = 0; r < 5000; r++)
	{
		int64_t		ms = ln_token_renew_ms(900, r * 7919);

		least = ms < least ? ms : least;
		most = ms > most ? ms : most;
	}
	is_int(least, 630000, "replaced no sooner than after 70 % of its life");
	is_int(most, 720000, "and no later than after 80 %");
	is_int(ln_token_retry_ms(0, 0), 0, "no failure, no wait");
	is_int(ln_token_retry_ms(1, 0), 500, "first failure");
	is_int(ln_token_retry_ms(1, 500), 1000, "at most a second");
	is_int(ln_token_retry_ms(7, 30000), 60000, "a minute is the longest");
	is_int(ln_token_retry_ms(2000000000, 0), 30000, "also after very many");
}

static void
test_member(void)
{
	char		buf[20];
	static const char doc[] = "{\"status\":\"ready\",\"success\":9223372036854775807,\"n\":null,\"o\":{\"x\":\"y\"}}";

	ok(ln_line_json_member(doc, strlen(doc), "status", buf, sizeof(buf)) && strcmp(buf, "ready") == 0, "a string");
	ok(ln_line_json_member(doc, strlen(doc), "success", buf, sizeof(buf)) && strcmp(buf, "9223372036854775807") == 0, "a number");
	ok(ln_line_json_member(doc, strlen(doc), "n", buf, sizeof(buf)) && strcmp(buf, "null") == 0, "null");
	ok(!ln_line_json_member(doc, strlen(doc), "x", buf, sizeof(buf)),
	   "not of an inner object");
	ok(!ln_line_json_member(doc, strlen(doc), "o", buf, sizeof(buf)),
	   "no object");
	ok(!ln_line_json_member(doc, strlen(doc), "success", buf, 19) &&
	   buf[0] == '\0', "no room for the terminator");
}

static void
test_object(void)
{
	static const char doc[] = "{\"a\":[{\"overview\":{}}], \"overview\": {\"n\": 7, \"o\":{}}, \"clicks\":[{\"url\":\"x\"}]}";
	const char *inner = NULL;
	size_t		len = 0;
	char		buf[20];

	ok(ln_line_json_object(doc, strlen(doc), "overview", &inner, &len) && len == 16 && strncmp(inner, "{\"n\": 7, \"o\":{}}", len) == 0, "an object");
	ok(ln_line_json_member(inner, len, "n", buf, sizeof(buf)) &&
	   strcmp(buf, "7") == 0, "and a member of it");
	ok(ln_line_json_object(doc, strlen(doc) - 9, "overview", &inner, &len) &&
	   len == 16, "what follows may be cut off");
	ok(!ln_line_json_object(doc, (size_t) (inner - doc) + 15, "overview",
							&inner, &len), "not the object itself");
	ok(!ln_line_json_object(doc, strlen(doc), "a", &inner, &len),
	   "an array is none");
	ok(!ln_line_json_object(doc, strlen(doc), "clicks", &inner, &len),
	   "nor is that one");
	ok(!ln_line_json_object("{}", 2, "overview", &inner, &len) && !ln_line_json_object("[]", 2, "overview", &inner, &len) &&
	   !ln_line_json_object("", 0, "overview", &inner, &len) && !ln_line_json_object(NULL, 0, "overview", &inner, &len) &&
	   !ln_line_json_object("{\"overview\":{}", 13, "overview", &inner, &len),
	   "nothing there");
	ok(ln_line_json_object("{\"overview\":{}", 14, "overview", &inner, &len) &&
	   len == 2, "an empty one");
}

int
main(void)
{
	if (mkdtemp(dir) == NULL)
		return 1;
	test_parse();
	test_forms();
	test_assertion();
	test_error();
	test_schedule();
	test_member();
	test_object();
	return done_testing();
}
