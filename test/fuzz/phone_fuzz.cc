/*-------------------------------------------------------------------------
 *
 * phone_fuzz.cc
 *		Coverage-guided fuzzing of phone.c in both modes (libFuzzer).
 *
 * First byte: region, second byte: a choice of how to read on; the rest is the
 * text.  Without the oracle any bytes go in, and what must hold is what
 * phone.h and doc/phone.md promise.  With -DLN_PHONE_ORACLE the library is
 * asked too (valid text only), and must agree.
 *
 *-------------------------------------------------------------------------
 */
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

extern "C" {
#include "../../src/phone/phone.h"
}

#ifdef LN_PHONE_ORACLE
#include <iostream>
#include <phonenumbers/phonenumber.pb.h>
#include <phonenumbers/phonenumberutil.h>

using i18n::phonenumbers::PhoneNumber;
using i18n::phonenumbers::PhoneNumberUtil;
#endif

static const char *const regions[] = {
	"JP", "TH", "TW", "US", "DE", "GB", "IT", "AR", "BR", "MX", "RU", "KZ",
	"AU", "CC", "SM", "KR", "CN", "HK", "SG", "FR", "GG", "IM", "SX", "NF",
	"MG", "GA", "LT", "BY", "FI", "AX", "CO", "CR", "FO", "LI", "UY", "ZZ"
};

static void
broken(const char *promise)
{
	fprintf(stderr, "broken promise: %s\n", promise);
	abort();
}

static void
check_form(const LnPhone *p, bool valid)
{
	if (valid != p->valid || valid != (p->status == LN_PHONE_OK) ||
		(valid && (p->error_position != 0 || !p->parsed)) ||
		(!valid && p->error_position < 1) ||
		strlen(p->e164) != (size_t) p->e164_len ||
		strlen(p->national) != (size_t) p->national_len ||
		strlen(p->extension) != (size_t) p->extension_len ||
		(valid && p->type == LN_PHONE_UNKNOWN) ||
		(!valid && p->type != LN_PHONE_UNKNOWN) ||
		p->parsed != (p->region[0] != '\0'))
		broken("fields that belong together");
	if (valid && !ln_phone_is_e164(p->e164, p->e164_len))
		broken("an answer is E.164");
}

extern "C" int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	LnPhone		exact;
	LnPhone		safe;
	LnPhone		again;
	char	   *text;
	size_t		len;
	const char *name;
	int			region;

	if (size < 1)
		return 0;
	len = size - 1;
	name = regions[data[0] % (sizeof(regions) / sizeof(regions[0]))];
	region = ln_phone_region_id(name, 2);
	/* a copy of the exact size, for the address sanitizer */
	text = (char *) malloc(len ? len : 1);
	memcpy(text, data + 1, len);

	check_form(&exact,
			   ln_phone_parse(text, len, region, LN_PHONE_LIBPHONENUMBER,
							  &exact));
	check_form(&safe, ln_phone_parse(text, len, region, LN_PHONE_SAFE, &safe));
	if (exact.rule != NULL)
		broken("exact answers have no rule");
	if (safe.valid)
	{
		if (exact.valid &&
			(safe.rule != NULL || strcmp(safe.e164, exact.e164) != 0) &&
			!(safe.rule != NULL && strcmp(safe.rule, "float_text") == 0))
			broken("a valid answer is not changed");
		if (!exact.valid && safe.rule == NULL)
			broken("a rescue has a name");
		ln_phone_parse(safe.e164, safe.e164_len, region, LN_PHONE_SAFE,
					   &again);
		if (!again.valid || strcmp(again.e164, safe.e164) != 0 ||
			again.rule != NULL)
			broken("safe mode has a fixed point");
		ln_phone_parse(safe.e164, safe.e164_len, LN_PHONE_REGION_ZZ,
					   LN_PHONE_LIBPHONENUMBER, &again);
		if (!again.valid || strcmp(again.e164, safe.e164) != 0)
			broken("exact mode has a fixed point");
	}
	else if (exact.valid && safe.rule == NULL)
		broken("a refusal has a name");
	else if (safe.e164_len != 0)
		broken("what is refused is not shown");
	ln_phone_is_e164(text, len);

#ifdef LN_PHONE_ORACLE
	{
		static const PhoneNumberUtil *util = NULL;
		PhoneNumber number;
		std::string its_text(text, len);
		std::string e164;
		std::string its_region;
		int			type = LN_PHONE_UNKNOWN;
		bool		valid = false;
		int			error;
		size_t		chars = 0;
		size_t		i;

		if (util == NULL)
		{
			std::cerr.rdbuf(NULL);
			util = PhoneNumberUtil::GetInstance();
		}
		for (i = 0; i < len; i++)
			chars += ((unsigned char) text[i] & 0xC0) != 0x80;
		/* valid UTF-8 of our length only, without NUL as in PostgreSQL */
		if (memchr(text, 0, len) == NULL && chars <= LN_PHONE_MAX_CHARS &&
			len <= 4 * LN_PHONE_MAX_CHARS)
		{
			bool		utf8 = true;

			for (i = 0; i < len && utf8;)
			{
				unsigned char c = text[i];
				size_t		n = c < 0x80 ? 1 : c >= 0xC2 && c <= 0xDF ? 2 :
					c >= 0xE0 && c <= 0xEF ? 3 :
					c >= 0xF0 && c <= 0xF4 ? 4 : 0;

				if (n == 0 || i + n > len)
					utf8 = false;
				for (size_t k = 1; utf8 && k < n; k++)
					utf8 = ((unsigned char) text[i + k] & 0xC0) == 0x80;
				if (utf8 && n == 3 &&
					((c == 0xE0 && (unsigned char) text[i + 1] < 0xA0) ||
					 (c == 0xED && (unsigned char) text[i + 1] > 0x9F)))
					utf8 = false;
				if (utf8 && n == 4 &&
					((c == 0xF0 && (unsigned char) text[i + 1] < 0x90) ||
					 (c == 0xF4 && (unsigned char) text[i + 1] > 0x8F)))
					utf8 = false;
				i += n;
			}
			if (utf8)
			{
				const char *name =
					regions[data[0] % (sizeof(regions) / sizeof(regions[0]))];

				error = util->Parse(its_text, name, &number);
				if (error == PhoneNumberUtil::NO_PARSING_ERROR)
				{
					util->Format(number, PhoneNumberUtil::E164, &e164);
					util->GetRegionCodeForNumber(number, &its_region);
					type = util->GetNumberType(number);
					valid = util->IsValidNumber(number);
				}
				if (error != exact.parse_error || valid != exact.valid ||
					type != exact.type || e164 != exact.e164 ||
					its_region != exact.region)
				{
					fprintf(stderr, "region %s: library %d %d %d %s %s, ours %d %d %d %s %s\n",
							name, error, valid, type, e164.c_str(),
							its_region.c_str(),
							exact.parse_error, exact.valid, exact.type,
							exact.e164, exact.region);
					broken("the library agrees");
				}
			}
		}
	}
#endif
	free(text);
	return 0;
}
