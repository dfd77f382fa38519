/*-------------------------------------------------------------------------
 *
 * signed_link.c
 *		Addresses for buttons that prove who made them and that expire.
 *
 * A button such as "change the delivery date" opens a page that must know
 * whose parcel it is.  signed_link() appends one parameter to the address:
 *
 *		ln=<base64url of payload>.<base64url of HMAC-SHA256>
 *
 * payload = key number (1 byte), expiry in seconds since 1970 (5 bytes, big
 * endian), the reference as it is (UTF-8).  The MAC is over everything that
 * stands before the dot, from https:// on, so neither the page nor its other
 * parameters nor the token can be exchanged.  Parameters that somebody appends
 * after the token are not covered, and the page would take them for ours: with
 * any of them the link is refused.  A fragment stays with the browser.
 *
 * The reference is readable by whoever has the link, and the link is a bearer
 * credential until it expires: it belongs to one purpose and leads to nothing
 * that a wrong reader must not see.
 *
 * The keys are random, made at CREATE EXTENSION, and stay in the database:
 * table link_key, current and previous, is readable for its owner only and not
 * dumped.  Both functions are SECURITY DEFINER for its sake, with a pinned
 * search_path, and neither is for PUBLIC.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/crypto.h"
#include "compat.h"
#include "content/encoding.h"

#define SECRET_LEN			32
#define PAYLOAD_HEAD		6	/* key number and expiry */
#define MAX_REFERENCE		200 /* bytes; an address has 1000 */
#define MAX_LINK			4000	/* bytes; LINE takes 1000 characters */
#define MAC_CHARS			43	/* of base64url without padding */

/* 5 bytes of seconds last until the year 36812; this is 9999-12-31 */
#define MAX_EXPIRY			INT64CONST(253402300799)

/* seconds from 1970 to 2000, where timestamps of PostgreSQL begin */
#define EPOCH_DIFF \
	((POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * (int64) SECS_PER_DAY)

/* one cached statement: the secret of a key, or of the current one */
static SPIPlanPtr key_plan = NULL;

PG_FUNCTION_INFO_V1(line_notify_signed_link);
PG_FUNCTION_INFO_V1(line_notify_verify_link);
PG_FUNCTION_INFO_V1(line_notify_random_secret);

static bool get_key(int wanted, int *key_no, uint8 *secret);
static int	base64url_decode(const char *in, size_t len, uint8 *out,
							 size_t room);
static Datum verdict(FunctionCallInfo fcinfo, const char *reason,
					 const char *reference, size_t reference_len,
					 int64 expires);

/*
 * signed_link(url, reference, valid_for)
 */
Datum
line_notify_signed_link(PG_FUNCTION_ARGS)
{
	text	   *url_arg = PG_GETARG_TEXT_PP(0);
	text	   *reference_arg = PG_GETARG_TEXT_PP(1);
	Interval   *valid_for = PG_GETARG_INTERVAL_P(2);
	const char *url = VARDATA_ANY(url_arg);
	int			url_len = VARSIZE_ANY_EXHDR(url_arg);
	const char *fragment;
	const char *reference;
	int			reference_len;
	TimestampTz expires_at;
	Datum		now;
	Datum		end;
	int64		expires;
	uint8		payload[PAYLOAD_HEAD + MAX_REFERENCE];
	uint8		secret[SECRET_LEN];
	uint8		mac[LN_SHA256_LEN];
	char		mac_text[4 * ((LN_SHA256_LEN + 2) / 3) + 1];
	char		payload_text[4 * ((sizeof(payload) + 2) / 3) + 1];
	int			key_no;
	StringInfoData link;
	int			i;

	if (url_len < 9 || pg_strncasecmp(url, "https://", 8) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a signed link must be an https address"),
				 errdetail(
						   "Over plain http, everybody on the way could use "
						   "it.")));
	for (i = 0; i < url_len; i++)
	{
		if ((unsigned char) url[i] <= ' ' || (unsigned char) url[i] >= 0x7F)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("an address must be percent-encoded"),
					 errdetail("Character %d is not allowed in an address.",
							   i + 1)));
	}
	reference = ln_encoding_to_utf8(VARDATA_ANY(reference_arg),
									VARSIZE_ANY_EXHDR(reference_arg),
									&reference_len);
	if (reference == NULL || reference_len > MAX_REFERENCE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("reference of a signed link is too long"),
				 errdetail("At most %d bytes are allowed.", MAX_REFERENCE)));

	now = TimestampTzGetDatum(GetCurrentStatementStartTimestamp());
	end = DirectFunctionCall2(timestamptz_pl_interval, now,
							  IntervalPGetDatum(valid_for));
	expires_at = DatumGetTimestampTz(end);
	expires = TIMESTAMP_NOT_FINITE(expires_at) ? MAX_EXPIRY + 1 :
		expires_at / USECS_PER_SEC + EPOCH_DIFF;

	if (expires_at <= GetCurrentStatementStartTimestamp() ||
		expires > MAX_EXPIRY)
		ereport(
				ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg(
						"a signed link must be valid for some time, and not "
						"for ever")));

	if (!get_key(-1, &key_no, secret))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("there is no key for signed links"),
				 errhint("Call line_notify.rotate_link_key().")));

	payload[0] = (uint8) key_no;
	for (i = 0; i < 5; i++)
		payload[1 + i] = (uint8) (expires >> (8 * (4 - i)));
	memcpy(payload + PAYLOAD_HEAD, reference, reference_len);
	ln_base64url_encode(payload, PAYLOAD_HEAD + reference_len, payload_text);

	/* before a fragment, after other parameters */
	fragment = memchr(url, '#', url_len);
	if (fragment == NULL)
		fragment = url + url_len;
	initStringInfo(&link);
	appendBinaryStringInfo(&link, url, fragment - url);
	appendStringInfo(&link, "%sln=%s",
					 memchr(url, '?', fragment - url) == NULL ? "?" :
					 fragment[-1] == '?' || fragment[-1] == '&' ? "" : "&",
					 payload_text);
	if (!ln_hmac_sha256(secret, SECRET_LEN, link.data, link.len, mac))
		elog(ERROR, "could not compute HMAC");
	explicit_bzero(secret, SECRET_LEN);
	ln_base64url_encode(mac, LN_SHA256_LEN, mac_text);
	appendStringInfo(&link, ".%s", mac_text);
	appendBinaryStringInfo(&link, fragment, url + url_len - fragment);

	PG_RETURN_TEXT_P(cstring_to_text_with_len(link.data, link.len));
}

/*
 * verify_link(url) returns (valid, reason, reference, expires_at)
 *
 * reason is ok, expired, unsigned_parameters, bad_signature, unknown_key or
 * no_token.  reference and expires_at are given only when the signature is
 * good.
 */
Datum
line_notify_verify_link(PG_FUNCTION_ARGS)
{
	text	   *url_arg = PG_GETARG_TEXT_PP(0);
	const char *url = VARDATA_ANY(url_arg);
	int			url_len = VARSIZE_ANY_EXHDR(url_arg);
	const char *end = url + url_len;
	const char *p;
	const char *token = NULL;
	const char *dot;
	uint8		payload[PAYLOAD_HEAD + MAX_REFERENCE];
	uint8		given[LN_SHA256_LEN];
	uint8		mac[LN_SHA256_LEN];
	uint8		secret[SECRET_LEN];
	int			payload_len;
	int			key_no;
	int64		expires = 0;
	int64		now;
	int			i;

	if (url_len > MAX_LINK)
		return verdict(fcinfo, "no_token", NULL, 0, 0);

	/*
	 * the last "ln=" that begins a parameter: an earlier one was signed over
	 */
	for (p = url; p + 4 < end && *p != '#'; p++)
	{
		if ((*p == '?' || *p == '&') && memcmp(p + 1, "ln=", 3) == 0)
			token = p + 4;
	}
	if (token == NULL)
		return verdict(fcinfo, "no_token", NULL, 0, 0);
	for (dot = token; dot < end && *dot != '.'; dot++)
	{
		if (*dot == '&' || *dot == '#')
			return verdict(fcinfo, "no_token", NULL, 0, 0);
	}
	if (end - dot < 1 + MAC_CHARS ||
		(end - dot > 1 + MAC_CHARS &&
		 dot[1 + MAC_CHARS] != '&' && dot[1 + MAC_CHARS] != '#'))
		return verdict(fcinfo, "no_token", NULL, 0, 0);

	payload_len =
		base64url_decode(token, dot - token, payload, sizeof(payload));
	if (payload_len < PAYLOAD_HEAD ||
		base64url_decode(dot + 1, MAC_CHARS, given, sizeof(given)) !=
		LN_SHA256_LEN)
		return verdict(fcinfo, "no_token", NULL, 0, 0);

	if (!get_key(payload[0], &key_no, secret))
		return verdict(fcinfo, "unknown_key", NULL, 0, 0);
	if (!ln_hmac_sha256(secret, SECRET_LEN, url, dot - url, mac))
		elog(ERROR, "could not compute HMAC");
	explicit_bzero(secret, SECRET_LEN);
	if (!ln_const_time_equal(mac, given, LN_SHA256_LEN))
		return verdict(fcinfo, "bad_signature", NULL, 0, 0);

	for (i = 0; i < 5; i++)
		expires = expires << 8 | payload[1 + i];
	now = GetCurrentStatementStartTimestamp() / USECS_PER_SEC + EPOCH_DIFF;
	return verdict(fcinfo, dot + 1 + MAC_CHARS < end &&
				   dot[1 + MAC_CHARS] == '&' ? "unsigned_parameters" :
				   now < expires ? "ok" : "expired",
				   (char *) payload + PAYLOAD_HEAD, payload_len - PAYLOAD_HEAD,
				   expires);
}

/*
 * _random_secret() returns bytea: what a new key is made of
 */
Datum
line_notify_random_secret(PG_FUNCTION_ARGS)
{
	bytea	   *result = palloc(VARHDRSZ + SECRET_LEN);

	SET_VARSIZE(result, VARHDRSZ + SECRET_LEN);
	if (!ln_random_bytes(VARDATA(result), SECRET_LEN))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random values")));
	PG_RETURN_BYTEA_P(result);
}

/*
 * Reads key number wanted, or the current key when it is negative.  The caller
 * is SECURITY DEFINER, so this runs with the rights of the owner.
 */
static bool
get_key(int wanted, int *key_no, uint8 *secret)
{
	Oid			argtypes[1] = {INT4OID};
	Datum		args[1] = {Int32GetDatum(wanted)};
	bool		found = false;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (key_plan == NULL)
	{
		static const char query[] =
		"SELECT key_no, secret FROM line_notify.link_key"
		" WHERE CASE WHEN $1 OPERATOR(pg_catalog.<) 0 THEN is_current"
		" ELSE key_no OPERATOR(pg_catalog.=) $1 END";
		SPIPlanPtr	plan = SPI_prepare(query, 1, argtypes);

		if (plan == NULL || SPI_keepplan(plan) != 0)
			elog(ERROR, "could not prepare the statement for link keys");
		key_plan = plan;
	}
	if (SPI_execute_plan(key_plan, args, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read the link keys");
	if (SPI_processed == 1)
	{
		bool		isnull1;
		bool		isnull2;
		Datum		no = SPI_getbinval(SPI_tuptable->vals[0],
									   SPI_tuptable->tupdesc, 1, &isnull1);
		Datum		value = SPI_getbinval(SPI_tuptable->vals[0],
										  SPI_tuptable->tupdesc, 2, &isnull2);

		if (!isnull1 && !isnull2)
		{
			bytea	   *bytes = DatumGetByteaPP(value);

			if (VARSIZE_ANY_EXHDR(bytes) == SECRET_LEN)
			{
				memcpy(secret, VARDATA_ANY(bytes), SECRET_LEN);
				*key_no = DatumGetInt32(no);
				found = true;
			}
		}
	}
	SPI_finish();
	return found;
}

/* strict: -1 on a wrong character, length, or bits that must be zero */
static int
base64url_decode(const char *in, size_t len, uint8 *out, size_t room)
{
	uint32		bits = 0;
	int			n_bits = 0;
	size_t		n = 0;
	size_t		i;

	if (len % 4 == 1)
		return -1;
	for (i = 0; i < len; i++)
	{
		char		ch = in[i];
		int			v;

		if (ch >= 'A' && ch <= 'Z')
			v = ch - 'A';
		else if (ch >= 'a' && ch <= 'z')
			v = ch - 'a' + 26;
		else if (ch >= '0' && ch <= '9')
			v = ch - '0' + 52;
		else if (ch == '-')
			v = 62;
		else if (ch == '_')
			v = 63;
		else
			return -1;
		bits = (bits << 6 | v) & 0xFFFF;
		n_bits += 6;
		if (n_bits >= 8)
		{
			n_bits -= 8;
			if (n == room)
				return -1;
			out[n++] = (uint8) (bits >> n_bits);
		}
	}
	if (bits & ((1 << n_bits) - 1))
		return -1;
	return (int) n;
}

/* reference NULL: neither it nor the expiry is told */
static Datum
verdict(FunctionCallInfo fcinfo, const char *reason, const char *reference,
		size_t reference_len, int64 expires)
{
	TupleDesc	tupdesc;
	Datum		values[4];
	bool		nulls[4] = {false, false, true, true};

	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = BoolGetDatum(strcmp(reason, "ok") == 0);
	values[1] = CStringGetTextDatum(reason);
	values[2] = (Datum) 0;
	values[3] = (Datum) 0;
	if (reference != NULL)
	{
		text	   *t = ln_encoding_text_from_utf8(reference, reference_len);

		values[2] = PointerGetDatum(t);
		values[3] = TimestampTzGetDatum((expires - EPOCH_DIFF) *
										USECS_PER_SEC);
		nulls[2] = nulls[3] = false;
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(tupdesc, values,
													  nulls)));
}
