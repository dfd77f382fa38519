/*-------------------------------------------------------------------------
 *
 * phone_funcs.c
 *		SQL functions for phone numbers.
 *
 * They are thin: arguments in, ln_phone_parse(), result out.  None is STRICT,
 * because an omitted or NULL region means the default one ('JP'), and only a
 * NULL phone makes the result NULL.  A phone text that is no number is never
 * an error here, except in assert_phone(); a region or mode that does not
 * exist always is, for a typo must not empty a column.
 *
 * The functions are immutable, and their results follow from the numbering
 * tables.  A release that changes those tables says so, since expression
 * indexes must be rebuilt then.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "base/crypto.h"
#include "compat.h"
#include "phone/phone_funcs.h"

/* a character has at most four bytes in every server encoding */
#define MAX_PHONE_BYTES (4 * LN_PHONE_MAX_CHARS)

/* what the conversion functions may need, with their terminator */
#define MAX_UTF8_BYTES (MAX_PHONE_BYTES * MAX_CONVERSION_GROWTH + 1)

#define DEFAULT_REGION "JP"

PG_FUNCTION_INFO_V1(line_notify_normalize_phone);
PG_FUNCTION_INFO_V1(line_notify_assert_phone);
PG_FUNCTION_INFO_V1(line_notify_parse_phone);
PG_FUNCTION_INFO_V1(line_notify_phone_hash);
PG_FUNCTION_INFO_V1(line_notify_phone_hash_bytes);
PG_FUNCTION_INFO_V1(line_notify_phone_is_valid);
PG_FUNCTION_INFO_V1(line_notify_phone_type);
PG_FUNCTION_INFO_V1(line_notify_phone_region);
PG_FUNCTION_INFO_V1(line_notify_line_country);
PG_FUNCTION_INFO_V1(line_notify_is_e164);
PG_FUNCTION_INFO_V1(line_notify_phone_metadata_version);

static bool parse_arguments(FunctionCallInfo fcinfo, LnPhone *phone);
static bool is_ascii(const char *data, size_t len);
static size_t convert_to_utf8(const char *from, size_t len, char *to);
static int	get_region(Datum region);
static LnPhoneMode get_mode(Datum mode);
static void report_invalid_phone(const LnPhone *phone);
static void hash_phone(const LnPhone *phone, uint8_t out[LN_SHA256_LEN]);

/*
 * normalize_phone(phone, region, mode) returns text
 */
Datum
line_notify_normalize_phone(PG_FUNCTION_ARGS)
{
	LnPhone		phone;

	if (!parse_arguments(fcinfo, &phone) || !phone.valid)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text_with_len(phone.e164, phone.e164_len));
}

/*
 * assert_phone(phone, region, mode) returns text, or an error
 */
Datum
line_notify_assert_phone(PG_FUNCTION_ARGS)
{
	LnPhone		phone;

	if (!parse_arguments(fcinfo, &phone))
		PG_RETURN_NULL();
	if (!phone.valid)
		report_invalid_phone(&phone);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(phone.e164, phone.e164_len));
}

/*
 * phone_hash(phone, region, mode) returns text
 */
Datum
line_notify_phone_hash(PG_FUNCTION_ARGS)
{
	LnPhone		phone;

	if (!parse_arguments(fcinfo, &phone) || !phone.valid)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(ln_phone_hash(&phone));
}

/*
 * phone_hash_bytes(phone, region, mode) returns bytea
 */
Datum
line_notify_phone_hash_bytes(PG_FUNCTION_ARGS)
{
	LnPhone		phone;
	bytea	   *result;

	if (!parse_arguments(fcinfo, &phone) || !phone.valid)
		PG_RETURN_NULL();
	result = (bytea *) palloc(VARHDRSZ + LN_SHA256_LEN);
	SET_VARSIZE(result, VARHDRSZ + LN_SHA256_LEN);
	hash_phone(&phone, (uint8_t *) VARDATA(result));
	PG_RETURN_BYTEA_P(result);
}

/*
 * phone_is_valid(phone, region, mode) returns boolean
 */
Datum
line_notify_phone_is_valid(PG_FUNCTION_ARGS)
{
	LnPhone		phone;

	if (!parse_arguments(fcinfo, &phone))
		PG_RETURN_NULL();
	PG_RETURN_BOOL(phone.valid);
}

/*
 * phone_type(phone, region, mode) returns text; UNKNOWN if it is no number
 */
Datum
line_notify_phone_type(PG_FUNCTION_ARGS)
{
	LnPhone		phone;

	if (!parse_arguments(fcinfo, &phone))
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(ln_phone_type_name(phone.type)));
}

/*
 * phone_region(phone, region, mode) returns text; NULL if it is no number
 */
Datum
line_notify_phone_region(PG_FUNCTION_ARGS)
{
	LnPhone		phone;

	if (!parse_arguments(fcinfo, &phone) || !phone.parsed)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(phone.region));
}

/*
 * line_country(phone, region, mode) returns text: JP, TH, TW or NULL
 */
Datum
line_notify_line_country(PG_FUNCTION_ARGS)
{
	LnPhone		phone;
	const char *country;

	if (!parse_arguments(fcinfo, &phone))
		PG_RETURN_NULL();
	country = ln_phone_line_country(&phone);
	if (country == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(country));
}

/*
 * parse_phone(phone, region, mode) returns record
 */
Datum
line_notify_parse_phone(PG_FUNCTION_ARGS)
{
	enum
	{
		E164, VALID, TYPE, REGION, COUNTRY_CODE, NATIONAL, EXTENSION, STATUS,
		ERROR_POSITION, RULE, N_COLUMNS
	};
	LnPhone		phone;
	TupleDesc	desc;
	Datum		values[N_COLUMNS];
	bool		nulls[N_COLUMNS];

	if (!parse_arguments(fcinfo, &phone))
		PG_RETURN_NULL();
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	memset(nulls, 0, sizeof(nulls));

#define SET_TEXT(column, value) \
	(values[column] = CStringGetTextDatum(value))
#define SET_TEXT_OR_NULL(column, value) \
	((value)[0] == '\0' ? (void) (nulls[column] = true) : \
	 (void) SET_TEXT(column, value))

	SET_TEXT_OR_NULL(E164, phone.e164);
	values[VALID] = BoolGetDatum(phone.valid);
	SET_TEXT(TYPE, ln_phone_type_name(phone.type));
	SET_TEXT_OR_NULL(REGION, phone.region);
	values[COUNTRY_CODE] = Int32GetDatum(phone.country_code);
	nulls[COUNTRY_CODE] = !phone.parsed;
	SET_TEXT_OR_NULL(NATIONAL, phone.national);
	SET_TEXT_OR_NULL(EXTENSION, phone.extension);
	SET_TEXT(STATUS, ln_phone_status_name(phone.status));
	values[ERROR_POSITION] = Int32GetDatum(phone.error_position);
	nulls[ERROR_POSITION] = phone.error_position == 0;
	if (phone.rule == NULL)
		nulls[RULE] = true;
	else
		SET_TEXT(RULE, phone.rule);

	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc),
													  values, nulls)));
}

/*
 * is_e164(text) returns boolean
 */
Datum
line_notify_is_e164(PG_FUNCTION_ARGS)
{
	Datum		datum = PG_GETARG_DATUM(0);
	text	   *value;

	/* every server encoding has ASCII as its first half */
	if (toast_raw_datum_size(datum) - VARHDRSZ > MAX_PHONE_BYTES)
		PG_RETURN_BOOL(false);
	value = PG_GETARG_TEXT_PP(0);
	PG_RETURN_BOOL(ln_phone_is_e164(VARDATA_ANY(value),
									VARSIZE_ANY_EXHDR(value)));
}

/*
 * phone_metadata_version() returns text
 */
Datum
line_notify_phone_metadata_version(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(ln_phone_metadata_version()));
}

bool
ln_phone_from_datum(Datum phone_text, int region_id, LnPhoneMode mode,
					LnPhone *out)
{
	static const char too_long[MAX_PHONE_BYTES + 1];
	text	   *value;
	char	   *data;
	size_t		len;
	bool		valid;

	/*
	 * A text with more bytes than our longest has more characters too.  Its
	 * content does not matter then, so a toasted gigabyte stays where it is.
	 */
	if (toast_raw_datum_size(phone_text) - VARHDRSZ > MAX_PHONE_BYTES)
		return ln_phone_parse(too_long, sizeof(too_long), region_id, mode,
							  out);

	value = DatumGetTextPP(phone_text);
	data = VARDATA_ANY(value);
	len = VARSIZE_ANY_EXHDR(value);

	/*
	 * SQL_ASCII says nothing about bytes above 127.  We take them for UTF-8;
	 * what is not, is not a number.
	 */
	if (GetDatabaseEncoding() == PG_UTF8 ||
		GetDatabaseEncoding() == PG_SQL_ASCII || is_ascii(data, len))
		valid = ln_phone_parse(data, len, region_id, mode, out);
	else
	{
		char		utf8[MAX_UTF8_BYTES];

		len = convert_to_utf8(data, len, utf8);
		valid = ln_phone_parse(utf8, len, region_id, mode, out);
	}

	if ((Pointer) value != DatumGetPointer(phone_text))
		pfree(value);
	return valid;
}

static bool
is_ascii(const char *data, size_t len)
{
	size_t		i;

	for (i = 0; i < len; i++)
		if (IS_HIGHBIT_SET(data[i]))
			return false;
	return true;
}

/*
 * Server encoding to UTF-8, without errors: what Unicode does not have becomes
 * U+FFFD, which is no part of any number.  to has MAX_UTF8_BYTES; returns the
 * length.
 */
static size_t
convert_to_utf8(const char *from, size_t len, char *to)
{
	int			encoding = GetDatabaseEncoding();
	Oid			proc = FindDefaultConversionProc(encoding, PG_UTF8);
	size_t		done = 0;
	size_t		to_len = 0;

	if (!OidIsValid(proc))
		return 0;				/* no text, no number */
	while (done < len)
	{
		done += pg_do_encoding_conversion_buf(proc, encoding, PG_UTF8,
											  (unsigned char *) from + done,
											  (int) (len - done),
											  (unsigned char *) to + to_len,
											  (int) (MAX_UTF8_BYTES - to_len),
											  true);
		to_len += strlen(to + to_len);
		if (done < len)
		{
			if (MAX_UTF8_BYTES - to_len < 4)
				break;			/* cannot happen: see MAX_UTF8_BYTES */
			memcpy(to + to_len, "\xEF\xBF\xBD", 4);
			to_len += 3;
			done += Min(pg_encoding_mblen(encoding, from + done),
						(int) (len - done));
		}
	}
	return to_len;
}

/*
 * The three arguments that all functions here share.  False: the phone is
 * NULL; region and mode are checked even then.
 */
static bool
parse_arguments(FunctionCallInfo fcinfo, LnPhone *phone)
{
	LnPhoneMode mode = LN_PHONE_SAFE;
	int			region = PG_ARGISNULL(1)
	? ln_phone_region_id(DEFAULT_REGION, strlen(DEFAULT_REGION))
	: get_region(PG_GETARG_DATUM(1));

	if (!PG_ARGISNULL(2))
		mode = get_mode(PG_GETARG_DATUM(2));
	if (PG_ARGISNULL(0))
		return false;
	ln_phone_from_datum(PG_GETARG_DATUM(0), region, mode, phone);
	return true;
}

/*
 * An argument for an error message, unless it may be a telephone number that
 * stands in the wrong place.
 */
static char *
short_argument(text * value)
{
	char	   *str = text_to_cstring(value);
	int			digits = 0;

	for (const char *p = str; *p != '\0'; p++)
		digits += *p >= '0' && *p <= '9';
	return digits > 3 || strlen(str) > 32 ? pstrdup("...") : str;
}

static int
get_region(Datum region)
{
	text	   *value = DatumGetTextPP(region);
	int			id;

	id = ln_phone_region_id(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
	if (id < 0)
		ereport(
				ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown region \"%s\"", short_argument(value)),
				 errhint(
						 "Regions are ISO 3166 codes of two letters, "
						 "for example JP, TH or TW; ZZ stands for none."),
				 errhidestmt(true), errhidecontext(true)));
	return id;
}

static LnPhoneMode
get_mode(Datum mode)
{
	text	   *value = DatumGetTextPP(mode);
	const char *data = VARDATA_ANY(value);
	size_t		len = VARSIZE_ANY_EXHDR(value);

	if (len == 4 && memcmp(data, "safe", 4) == 0)
		return LN_PHONE_SAFE;
	if (len == 14 && memcmp(data, "libphonenumber", 14) == 0)
		return LN_PHONE_LIBPHONENUMBER;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown phone number mode \"%s\"", short_argument(value)),
			 errhint("Modes are \"safe\" and \"libphonenumber\"."),
			 errhidestmt(true), errhidecontext(true)));
	return LN_PHONE_SAFE;		/* keep compiler quiet */
}

/*
 * Says what is wrong and where, but not what was typed: a phone number is
 * personal data and must not reach the log.
 */
static void
report_invalid_phone(const LnPhone *phone)
{
	const char *detail = NULL;
	const char *hint = NULL;

	switch (phone->status)
	{
		case LN_PHONE_NOT_A_NUMBER:
			if (phone->rule != NULL && strcmp(phone->rule, "date") == 0)
				detail = "It has the shape of a date";
			else if (phone->rule != NULL &&
					 strcmp(phone->rule, "ip_address") == 0)
				detail = "It has the shape of an IP address";
			else
				detail = "It does not look like a phone number";
			break;
		case LN_PHONE_INVALID_COUNTRY_CODE:
			detail = "It has no country calling code that exists";
			hint =
				"Pass the number with its country code, or name its region.";
			break;
		case LN_PHONE_TOO_SHORT:
			detail = "It has too few digits";
			break;
		case LN_PHONE_TOO_LONG:
			detail = "It is too long";
			break;
		case LN_PHONE_NOT_VALID:
			if (phone->rule != NULL &&
				strcmp(phone->rule, "jp_carrier_code") == 0)
				detail = "Numbers with a Japanese carrier code "
					"have no international form";
			else if (phone->rule != NULL &&
					 strcmp(phone->rule, "jp_060_short") == 0)
				detail = "A Japanese mobile number lacks a digit";
			else
				detail = "No such number is issued";
			break;
		case LN_PHONE_AMBIGUOUS:
			detail = "It can be read as two different numbers";
			hint = "Write the number with a plus sign and its country code.";
			break;
		case LN_PHONE_MASKED:
			detail = "Digits of it are masked";
			break;
		case LN_PHONE_LETTERS:
			detail = "It has letters in place of digits";
			break;
		case LN_PHONE_MULTIPLE:
			detail = "It holds more than one number";
			break;
		case LN_PHONE_OK:
			break;
	}
	if (detail == NULL)
		elog(ERROR, "no reason for an invalid phone number");

	ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid phone number: %s",
					ln_phone_status_name(phone->status)),
			 phone->parsed
			 ? errdetail(
						 "%s: %d digits after country code %d, "
						 "see character %d.",
						 detail, phone->national_len, phone->country_code,
						 phone->error_position)
			 : errdetail("%s, see character %d.", detail,
						 phone->error_position),
			 hint != NULL ? errhint("%s", hint) : 0, errhidestmt(true),
			 errhidecontext(true)));
}

static void
hash_phone(const LnPhone *phone, uint8_t out[LN_SHA256_LEN])
{
	if (!ln_sha256(phone->e164, phone->e164_len, out))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not compute SHA-256"),
				 errdetail("The OpenSSL library does not provide it."),
				 errhidestmt(true), errhidecontext(true)));
}

Datum
ln_phone_hash(const LnPhone *phone)
{
	uint8_t		hash[LN_SHA256_LEN];
	text	   *result = (text *) palloc(VARHDRSZ + LN_SHA256_HEXLEN);

	hash_phone(phone, hash);
	SET_VARSIZE(result, VARHDRSZ + LN_SHA256_HEXLEN);
	ln_hex_encode(hash, LN_SHA256_LEN, VARDATA(result));
	return PointerGetDatum(result);
}
