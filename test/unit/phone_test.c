/*-------------------------------------------------------------------------
 *
 * phone_test.c
 *		Unit tests of phone.c that need neither a server nor the library.
 *
 * The fields of LnPhone one by one, the parts of RFC 3966 that newer versions
 * of libphonenumber check (the oracle of the conformance test is too old to
 * know them), limits, and regions.
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>

#include "../../src/phone/phone.c"

static int	passed;
static int	failed;

static void
ok(bool condition, const char *what)
{
	if (condition)
		passed++;
	else
	{
		failed++;
		printf("not ok: %s\n", what);
	}
}

static LnPhone
parse(const char *text, const char *region, LnPhoneMode mode)
{
	LnPhone		phone;

	memset(&phone, 0x55, sizeof(phone));
	ln_phone_parse(text, strlen(text),
				   ln_phone_region_id(region, strlen(region)),
				   mode, &phone);
	return phone;
}

static void
is(const char *text, const char *region, LnPhoneMode mode, const char *e164,
   const char *status, int position)
{
	LnPhone		p = parse(text, region, mode);
	char		what[600];

	snprintf(what, sizeof(what), "%s %s %s: got %s %s at %d", text, region,
			 mode == LN_PHONE_SAFE ? "safe" : "exact", p.e164,
			 ln_phone_status_name(p.status), p.error_position);
	ok(strcmp(p.valid ? p.e164 : "", e164) == 0 &&
	   strcmp(ln_phone_status_name(p.status), status) == 0 &&
	   p.error_position == position, what);
}

/* Is this phone-context well-formed?  RFC 3966, as libphonenumber 9 has it. */
static void
context(const char *value, bool good)
{
	char		text[600];
	LnPhone		p;

	snprintf(text, sizeof(text), "tel:090-1234-5678;phone-context=%s", value);
	p = parse(text, "JP", LN_PHONE_LIBPHONENUMBER);
	ok((p.parse_error != LN_PARSE_NOT_A_NUMBER) == good, text);
}

int
main(void)
{
	const LnPhoneMode exact = LN_PHONE_LIBPHONENUMBER;
	const LnPhoneMode safe = LN_PHONE_SAFE;
	LnPhone		p;
	char		text[2000];
	int			i;
	int			regions = 0;

	/* regions */
	ok(ln_phone_region_id("JP", 2) >= 0, "JP");
	ok(ln_phone_region_id("JP", 2) == ln_phone_region_id("jp", 2), "jp");
	ok(ln_phone_region_id("ZZ", 2) == LN_PHONE_REGION_ZZ, "ZZ");
	ok(ln_phone_region_id("XX", 2) == -1, "XX");
	ok(ln_phone_region_id("", 0) == -1, "empty region");
	ok(ln_phone_region_id("001", 3) == -1, "001");
	ok(ln_phone_region_id("J", 1) == -1, "J");
	ok(ln_phone_region_id("JPN", 3) == -1, "JPN");
	ok(ln_phone_region_id("J\xE3", 2) == -1, "J and a byte");
	ok(ln_phone_region_id("@`", 2) == -1, "neighbours of letters");
	for (i = 0; i < 26 * 26; i++)
	{
		char		name[2] = {(char) ('A' + i / 26), (char) ('a' + i % 26)};

		regions += ln_phone_region_id(name, 2) >= 0;
	}
	ok(regions == LN_PHONE_N_REGIONS + 1, "all regions and ZZ");
	ok(!ln_phone_parse("09012345678", 11, -1, safe, &p) &&
	   ln_phone_parse("+819012345678", 13, -1, safe, &p), "no region at all");

	/* every field */
	p = parse("03-1234-5678 ext. 12", "JP", exact);
	ok(p.valid && p.parsed && p.status == LN_PHONE_OK &&
	   p.parse_error == LN_PARSE_OK && p.type == LN_PHONE_FIXED_LINE &&
	   p.country_code == 81 && p.e164_len == 12 && p.national_len == 9 &&
	   p.extension_len == 2 && p.error_position == 0 && p.rule == NULL &&
	   strcmp(p.region, "JP") == 0 && strcmp(p.e164, "+81312345678") == 0 &&
	   strcmp(p.national, "312345678") == 0 && strcmp(p.extension, "12") == 0,
	   "fields of a valid number");
	p = parse("abc", "JP", exact);
	ok(!p.valid && !p.parsed && p.status == LN_PHONE_NOT_A_NUMBER &&
	   p.parse_error == LN_PARSE_NOT_A_NUMBER && p.type == LN_PHONE_UNKNOWN &&
	   p.country_code == 0 && p.e164_len == 0 && p.national_len == 0 &&
	   p.extension_len == 0 && p.error_position == 4 && p.region[0] == '\0' &&
	   p.e164[0] == '\0', "fields of no number");
	p = parse("090-1234-567", "JP", exact);
	ok(!p.valid && p.parsed && strcmp(p.e164, "+81901234567") == 0,
	   "exact mode shows what was parsed");
	p = parse("090-1234-567", "JP", safe);
	ok(!p.valid && p.parsed && p.e164_len == 0 && p.e164[0] == '\0' &&
	   strcmp(p.national, "901234567") == 0, "safe mode shows no E.164");
	p = parse("090-XXXX-XXXX", "JP", safe);
	ok(!p.parsed && p.national_len == 0 && strcmp(p.rule, "mask") == 0,
	   "a refusal shows nothing");

	/* LINE's countries */
	p = parse("+818000001234", "ZZ", safe);
	ok(strcmp(ln_phone_line_country(&p), "JP") == 0 &&
	   p.type == LN_PHONE_TOLL_FREE, "LINE's sample number");
	p = parse("081-234-5678", "TH", safe);
	ok(strcmp(ln_phone_line_country(&p), "TH") == 0, "Thailand");
	p = parse("0912345678", "TW", safe);
	ok(strcmp(ln_phone_line_country(&p), "TW") == 0, "Taiwan");
	p = parse("+12125550123", "JP", safe);
	ok(ln_phone_line_country(&p) == NULL, "elsewhere");
	p = parse("090", "JP", safe);
	ok(ln_phone_line_country(&p) == NULL, "no number, no country");

	/* all 060, 070, 080 and 090 numbers that begin with 1 to 9 are mobile */
	for (i = 0; i < 36; i++)
	{
		snprintf(text, sizeof(text), "0%d0-%d234-5678", 6 + i / 9, 1 + i % 9);
		p = parse(text, "JP", safe);
		ok(p.valid && p.type == LN_PHONE_MOBILE, text);
	}

	/* error classes and positions */
	is("", "JP", exact, "", "not_a_number", 1);
	is("+81", "JP", exact, "", "not_a_number", 4);
	is("+812", "JP", exact, "", "too_short", 5);
	is("010 81", "JP", exact, "", "too_short", 7);
	is("+999 1234567", "JP", exact, "", "invalid_country_code", 2);
	is("090-1234-5678", "ZZ", exact, "", "invalid_country_code", 1);
	is("tel 090-1234-5678", "ZZ", exact, "", "invalid_country_code", 5);
	is("12345678901234567890", "JP", exact, "", "too_long", 18);
	is("090-1234-5678文0", "JP", exact, "", "not_a_number", 14);
	is("090-0234-5678", "JP", exact, "", "not_valid", 5);
	is("090-1234-567", "JP", exact, "", "not_valid", 13);
	is("090-1234-56789", "JP", exact, "", "not_valid", 14);
	is("携帯 090-1234-567", "JP", safe, "", "not_valid", 16);

	/* phone-context */
	context("+81", true);
	context("+1-650.(253)", true);
	context("+", false);
	context("+-", false);
	context("+1a", false);
	context("+１", true);
	context("", false);
	context("example.com", true);
	context("a", true);
	context("a.", true);
	context("a1-b", true);
	context("1", false);
	context("1a", false);
	context("a.1b", false);
	context("1a.b", true);
	context("-a", false);
	context("a-", false);
	context("a-.b", false);
	context("a.-b", false);
	context("a--b.c", true);
	context("a..b", false);
	context(".a", false);
	context("a_b", false);
	context("é", false);
	context("a..", false);
	is("90-1234-5678;phone-context=+81", "US", exact, "+819012345678", "ok",
	   0);
	is("tel:90-1234-5678;phone-context=+81;ext=1", "US", exact,
	   "+819012345678", "ok", 0);

	/* rules of safe mode: status and position; others are in phone_safe.sql */
	is("662582501.0", "TH", safe, "+66662582501", "ok", 0);
	is("42345678.0", "TW", safe, "", "not_valid", 9);
	is("携帯 00 65 (0)80 45 6789", "TH", safe, "", "ambiguous", 4);
	is("+66 66 2582 5019", "TH", safe, "", "not_valid", 16);
	is("060-123-4567", "JP", safe, "", "not_valid", 1);
	is("20271231", "TH", safe, "", "not_a_number", 1);
	is("20271231", "TH", exact, "+6620271231", "ok", 0);
	is("+8 190-1234-5678", "JP", safe, "", "ambiguous", 1);
	is("090-1234-XXXX", "JP", safe, "", "masked", 10);
	is("%2B819087654321", "JP", safe, "+819087654321", "ok", 0);
	is("+81+81", "TH", safe, "", "not_a_number", 4);
	p = parse("03-1234-5678 ext. 12", "JP", safe);
	ok(p.valid && p.rule == NULL && strcmp(p.extension, "12") == 0 &&
	   p.extension_len == 2, "an extension of the library has no rule");
	p = parse("+81 90-1234-5678", "JP", exact);
	ok(p.idd_len == 0 && p.code_len == 2, "a calling code in the text");
	p = parse("010-81-90-1234-5678", "JP", exact);
	ok(p.idd_len == 3 && p.code_len == 2, "an international prefix");
	p = parse("090-1234-5678", "JP", exact);
	ok(p.idd_len == 0 && p.code_len == 0, "neither");

	/* one mistyped digit */
	{
		const PhoneCode *th = ln_phone_extract_code("66", 2);

		ok(th != NULL && th->code == 66, "66");
		ok(ln_phone_is_near(th, "6625825019", 10), "a digit too many");
		ok(ln_phone_is_near(th, "66258250", 8), "a digit lost");
		ok(ln_phone_is_near(th, "662582501", 9), "a digit changed");
		ok(!ln_phone_is_near(th, "66812345678", 11), "two digits too many");
		ok(!ln_phone_is_near(th, "", 0), "nothing");
	}

	/* masks of first digits against what they stand for */
	for (i = 0; i < LN_PHONE_N_REGIONS; i++)
	{
		int			d;

		for (d = 0; d < 100; d++)
		{
			LnPhone		common;
			LnPhone		any;
			Digits		digits;
			int			k;

			snprintf(text, sizeof(text), "%02d", d);
			for (k = 2; k < 12; k++)
				text[k] = (char) ('0' + (d * 7 + k * k * 3 + i) % 10);
			digits.d = text;
			digits.at = identity;
			digits.gaps = 0;
			digits.plus = d % 2 != 0;
			digits.first = digits.end = 0;
			for (digits.n = 6; digits.n < 12; digits.n++)
				if (parse_common(&digits, i, &common) &&
					(!parse_any(&digits, i, &any) ||
					 strcmp(common.e164, any.e164) != 0 ||
					 common.type != any.type ||
					 common.code_len != any.code_len ||
					 strcmp(common.region, any.region) != 0))
					ok(false, text);
		}
	}

	/* limits: 250 characters, however many bytes they have */
	memset(text, ' ', sizeof(text));
	strcpy(text + 239, "09012345678");
	is(text, "JP", exact, "+819012345678", "ok", 0);
	is(text, "JP", safe, "+819012345678", "ok", 0);
	memset(text, ' ', sizeof(text));
	strcpy(text + 240, "09012345678");
	is(text, "JP", exact, "", "too_long", 251);
	is(text, "JP", safe, "", "too_long", 251);
	for (i = 0; i < 239; i++)
		memcpy(text + 3 * i, "\xE3\x80\x80", 3);
	strcpy(text + 3 * 239, "09012345678");
	is(text, "JP", safe, "+819012345678", "ok", 0);
	for (i = 0; i < 250; i++)
		memcpy(text + 4 * i, "\xF0\x9F\x93\x9E", 4);
	text[1000] = '\0';
	is(text, "JP", safe, "", "not_a_number", 251);
	memset(text, '1', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	is(text, "JP", safe, "", "too_long", 251);
	text[250] = '\0';
	is(text, "JP", safe, "", "too_long", 18);

	/* bytes that are no UTF-8 */
	is("090-1234-5678\xFF", "JP", safe, "", "not_a_number", 14);
	is("\xC0\xB0" "90-1234-5678", "JP", safe, "", "not_a_number", 1);
	is("090-1234-5678\xE3\x80", "JP", exact, "", "not_a_number", 14);
	is("\xED\xA0\x80" "090-1234-5678", "JP", exact, "", "not_a_number", 1);
	is("\xF4\x90\x80\x80", "JP", exact, "", "not_a_number", 1);

	/* E.164 */
	ok(ln_phone_is_e164("+819012345678", 13), "E.164");
	ok(!ln_phone_is_e164("819012345678", 12), "without plus");
	ok(!ln_phone_is_e164("+81901234567890123456789", 24),
	   "too long for E.164");
	ok(!ln_phone_is_e164("+", 1) && !ln_phone_is_e164("", 0), "nothing");
	ok(!ln_phone_is_e164("+999123456789", 13), "no such calling code");
	ok(!ln_phone_is_e164("+0819012345678", 14), "leading zero");
	ok(ln_phone_is_e164("+2908000", 8), "a short one");

	/* names */
	for (i = LN_PHONE_OK; i <= LN_PHONE_MULTIPLE; i++)
		ok(ln_phone_status_name((LnPhoneStatus) i)[0] != '\0', "status name");
	ok(strcmp(ln_phone_status_name(LN_PHONE_MULTIPLE), "multiple") == 0,
	   "last status");
	ok(strcmp(ln_phone_type_name(LN_PHONE_UNKNOWN), "UNKNOWN") == 0,
	   "last type");
	ok(LENGTH_OF(status_names) == LN_PHONE_MULTIPLE + 1 &&
	   LENGTH_OF(type_names) == LN_PHONE_UNKNOWN + 1, "a name for each value");

	printf("# phone_test: %d passed, %d failed\n1..%d\n", passed, failed,
		   passed + failed);
	return failed != 0;
}
