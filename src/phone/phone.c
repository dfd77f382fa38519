/*-------------------------------------------------------------------------
 *
 * phone.c
 *		Text of any kind to an E.164 phone number, or a reason why not.
 *
 * The exact core answers what Google's C++ libphonenumber (with ICU) answers:
 * the same E.164 text, validity, type, region and error class.  That library
 * is the only reference: its ports to other languages differ from it.  Where
 * it runs dozens of regular expressions per number, we walk automata that
 * gen_phone_tables.py computed from the same metadata, one table access per
 * digit; see the comments there.
 *
 * There are two front ends to the core.  Nearly all texts consist of digits
 * and separators only; scan_simple() reads them in one pass over the bytes.
 * Everything else (letters, extensions, other scripts, URIs, control
 * characters) goes code point by code point through phone_exact.c, which
 * repeats the library's steps one by one.  The core and the first front end
 * are in this file, since most numbers never leave it.
 *
 * Safe mode (phone_safe.c) stands around the core.  The library answers
 * *something* for masked numbers, dates, IP addresses and names, because it
 * dials letters and drops what it does not know; a wrong answer would send
 * somebody's private message to a stranger.  So safe mode refuses what the
 * text does not plainly say, and on the other hand reads what customers really
 * type.  The order is: refusals that the text alone shows, the core, refusals
 * of a valid answer, and, only if the core has no valid answer, the rescues.
 * doc/phone.md lists all of them with examples.
 *
 * Words used here: NSN = national (significant) number; IDD = the prefix that
 * is dialled for abroad; plan = numbering plan of one region or of one
 * non-geographic calling code; reading = one way to understand a text.
 *
 * Positions are counted in characters of the original text, from 0 inside
 * this file and from 1 in LnPhone.
 *
 *-------------------------------------------------------------------------
 */
#include <stdint.h>
#include <string.h>

#include "phone/phone_internal.h"

/*
 * Automata over the digits of an NSN.  After the last digit, "out" says
 * whether the general pattern of the calling code's main region matches (bit
 * 0), the type (bits 1-4) and, from bit 5 on, the rank of the region among
 * those of the calling code.  Node 0 is the dead one.
 */
typedef struct PhoneNode
{
	uint16_t	next[10];
	uint16_t	out;
} PhoneNode;

#define OUT_GENERAL(out)	((out) & 1)
#define OUT_TYPE(out)		(((out) >> 1) & 15)
#define OUT_RANK(out)		((out) >> 5)

/*
 * Prefix automata: index + 1 of the captures of a match that ends here, and of
 * one that ends here if the input ends too.
 */
typedef struct PrefixNode
{
	uint16_t	next[10];
	uint8_t		match;
	uint8_t		match_end;
} PrefixNode;

typedef struct PhonePlan
{
	char		region[4];
	uint8_t		code;			/* index in phone_codes */
	uint8_t		is_main;		/* main region of its calling code? */
	uint32_t	lengths;		/* bit n: an NSN of n digits is possible */
	uint16_t	general;		/* automaton, if not the main region */
	uint16_t	idd;			/* prefix automata, 0 = none */
	uint16_t	prefix;
	uint8_t		groups;			/* captures in prefix */
	char		insert[5];		/* transform rule: this text ... */
	uint8_t		group;			/* ... and this capture; 0 = no rule */

	/* bit n: digit n, for parse_common() */
	uint16_t	kept;			/* NSNs that begin so have no prefix */
	uint16_t	bare;			/* and texts that begin so are such NSNs */
	uint16_t	trunk_0;		/* "0" and this: the 0 is the prefix */
} PhonePlan;

/*
 * The conformance test compiles this file with the tables of another version.
 */
#ifndef LN_PHONE_TABLES
#define LN_PHONE_TABLES "phone/phone_tables.h"
#endif
#include LN_PHONE_TABLES
/* what newer versions of the library check, for phone_exact.c */
const bool	ln_phone_checks_context = LN_PHONE_CHECKS_CONTEXT;

/* digits that scan_simple() takes; longer rows of digits are left to others */
#define MAX_SIMPLE	40

/* letters that latin_note() takes */
#define MAX_WORD	12

/* digits of extensions that extension_label() takes */
#define MAX_SHORT_EXT	6

/* bytes that scan_plain() takes: as many digits at most, and bits in gaps */
#define MAX_PLAIN	63

#define TEN(n) n, n + 1, n + 2, n + 3, n + 4, n + 5, n + 6, n + 7, n + 8, n + 9

/* positions of an original text in itself */
static const uint8_t identity[LN_PHONE_MAX_CHARS] = {
	TEN(0), TEN(10), TEN(20), TEN(30), TEN(40), TEN(50), TEN(60), TEN(70),
	TEN(80), TEN(90), TEN(100), TEN(110), TEN(120), TEN(130), TEN(140),
	TEN(150), TEN(160), TEN(170), TEN(180), TEN(190), TEN(200), TEN(210),
	TEN(220), TEN(230), TEN(240)
};

#undef TEN
#define WITH_DIGIT_RULES(t) \
	{t, t "+leading_00", t "+jp_184_186", t "+jp_carrier_010", \
		t "+doubled_calling_code", t "+leading_00+doubled_calling_code", \
		t "+jp_carrier_010+doubled_calling_code", t "+plus_before_trunk", \
		t "+zero_before_code"}

const char *const ln_phone_rule_names[][N_DIGIT_RULES] = {
	{NULL, "leading_00", "jp_184_186", "jp_carrier_010",
		"doubled_calling_code", "leading_00+doubled_calling_code",
		"jp_carrier_010+doubled_calling_code", "plus_before_trunk",
	"zero_before_code"},
	WITH_DIGIT_RULES("separators"),
	WITH_DIGIT_RULES("annotation"),
	WITH_DIGIT_RULES("extension_word"),
	WITH_DIGIT_RULES("separators+annotation"),
	WITH_DIGIT_RULES("separators+extension_word")
};

static const char *const status_names[] = {
	"ok", "not_a_number", "invalid_country_code", "too_short", "too_long",
	"not_valid", "ambiguous", "masked", "letters", "multiple"
};

static const char *const type_names[] = {
	"FIXED_LINE", "MOBILE", "FIXED_LINE_OR_MOBILE", "TOLL_FREE",
	"PREMIUM_RATE", "SHARED_COST", "VOIP", "PERSONAL_NUMBER", "PAGER", "UAN",
	"VOICEMAIL", "UNKNOWN"
};

/* What scan_simple() saw besides the digits, for the checks of safe mode. */
typedef struct Simple
{
	int			dots;			/* full stops, anywhere */
	bool		late;			/* digits in brackets behind enough others */
	bool		brackets;		/* any, between or behind digits */
	bool		cuts;			/* separators that could divide two numbers */
	int			zero;			/* a digit 0 alone in brackets, or 0 */
	int			text_rule;		/* TEXT_...: what has been rescued */
} Simple;

/* classes of bytes; 0-9 are the digits */
#define B_SEP	10				/* a separator that libphonenumber knows */
#define B_DASH	11				/* the same, a dash */
#define B_DOT	12				/* the same, a full stop */
#define B_OPEN	13				/* the same, brackets */
#define B_CLOSE 14
#define B_PLUS	15
#define B_SPACE 16				/* tab and line ends */
#define B_FILL	17				/* underscore */
#define B_LEAD	18				/* other punctuation, harmless in front */
#define B_WORD	19				/* letters */
#define B_MULTI 20				/* first byte of a longer character */
#define B_OTHER 21

#define OO B_OTHER
#define LL B_LEAD
#define MM B_MULTI
#define SS B_SEP
#define WW B_WORD
#define TT B_SPACE

static const uint8_t byte_class[256] = {
	OO, OO, OO, OO, OO, OO, OO, OO, OO, TT, TT, OO, OO,
	TT, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO,
	OO, OO, OO, OO, OO, OO, SS, OO, LL, OO, OO, OO, OO,
	LL, B_OPEN, B_CLOSE, OO, B_PLUS, OO, B_DASH, B_DOT, SS, 0, 1, 2, 3,
	4, 5, 6, 7, 8, 9, LL, OO, OO, OO, OO, OO, OO,
	WW, WW, WW, WW, WW, WW, WW, WW, WW, WW, WW, WW, WW,
	WW, WW, WW, WW, WW, WW, WW, WW, WW, WW, WW, WW, WW,
	B_OPEN, OO, B_CLOSE, OO, B_FILL, OO, WW, WW, WW, WW, WW, WW, WW,
	WW, WW, WW, WW, WW, WW, WW, WW, WW, WW, WW, WW, WW,
	WW, WW, WW, WW, WW, WW, OO, OO, OO, OO, OO, OO, OO,
	OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO,
	OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO,
	OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO,
	OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO,
	OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, MM,
	OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO,
	OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO,
	OO, OO, OO, MM, OO, MM, MM, MM, MM, MM, MM, MM, MM,
	OO, OO, OO, OO, OO, MM, OO, OO, OO, OO, OO, OO, OO,
OO, OO, OO, OO, OO, OO, OO, OO, OO};

#undef OO
#undef LL
#undef MM
#undef SS
#undef WW
#undef TT

static inline bool parse_common(const Digits *digits, int region,
								LnPhone *out);
static bool parse_any(const Digits *digits, int region, LnPhone *out);
static bool scan_plain(const char *utf8, size_t len, char *d, Digits *digits,
					   Simple *simple);
static bool scan_simple(const char *utf8, size_t len, bool safe, char *d,
						uint8_t *at, Digits *digits, Simple *simple,
						size_t *used);

/* ----------------------------------------------------------------------
 * Entry points
 * ----------------------------------------------------------------------
 */

const char *
ln_phone_status_name(LnPhoneStatus status)
{
	return status_names[status];
}

const char *
ln_phone_type_name(LnPhoneType type)
{
	return type_names[type];
}

const char *
ln_phone_metadata_version(void)
{
	return LN_PHONE_METADATA_VERSION;
}

int
ln_phone_region_id(const char *region, size_t len)
{
	int			a;
	int			b;

	if (len != 2)
		return -1;
	a = (region[0] | 0x20) - 'a';
	b = (region[1] | 0x20) - 'a';
	if (a < 0 || a > 25 || b < 0 || b > 25)
		return -1;
	if (a == 25 && b == 25)
		return LN_PHONE_REGION_ZZ;
	return phone_region_index[a * 26 + b] - 1;
}

const char *
ln_phone_line_country(const LnPhone *p)
{
	if (!p->valid)
		return NULL;
	switch (p->country_code)
	{
		case 81:
			return "JP";
		case 66:
			return "TH";
		case 886:
			return "TW";
		default:
			return NULL;
	}
}

/* ln_phone_confirm(), to which few numbers give cause */
static inline bool
confirm(LnPhone *out)
{
	int			index = phone_code_index[out->country_code] - 1;
	const PhoneCode *code = &phone_codes[index];
	const PhonePlan *plan = &phone_plans[phone_code_plans[code->first]];

	if ((plan->kept >> (out->national[0] - '0') & 1) &&
		(out->country_code != 81 || out->national[0] != '6'))
		return true;
	return ln_phone_confirm(out);
}

/* Is the last group nothing but zeros? */
static bool
ends_in_zeros(const Digits *digits)
{
	int			i = digits->n - 1;

	while (i > 0 && digits->d[i] == '0' && !HAS_GAP(digits, i))
		i--;
	return digits->d[i] == '0';
}

static inline bool
may_be_two(const Digits *digits)
{
	int			n = digits->n;

	/* a separator with seven digits on both sides; see phone_safe.c */
	return n >= 14 &&
		(digits->gaps >> 7 & (((uint64_t) 1 << (n - 13)) - 1)) != 0;
}

/* Is "1" written before every number of the region? */
static inline bool
dials_1(int region)
{
	return region < LN_PHONE_N_REGIONS &&
		phone_codes[phone_plans[region].code].code == 1;
}

/* 19xx, 20xx, 24xx to 26xx */
static inline bool
begins_with_year(const char *d)
{
	return (d[0] == '1' && d[1] == '9') ||
		(d[0] == '2' && (d[1] == '0' || (d[1] >= '4' && d[1] <= '6')));
}

/*
 * What safe mode could object to in a row of digits from its shape alone: a
 * date, an IP address, a decimal fraction, two numbers.  Few texts come near,
 * and those take the long way round, where phone_safe.c looks closely.
 */
static inline bool
has_odd_shape(const Digits *digits, const Simple *simple, int region)
{
	const char *d = digits->d;
	int			n = digits->n;
	uint64_t	second = digits->gaps & (digits->gaps - 1);

	/* years, also Thai ones, at the beginning or in the middle */
	if (digits->gaps == 0)
		return !digits->plus && (n == 8 || n == 12 || n == 14) &&
			(begins_with_year(d) || (n == 8 && begins_with_year(d + 4)));
	/* and "1. ", but not with all of America */
	return (n <= 8 && second != 0) || (simple->cuts && may_be_two(digits)) ||
		(simple->dots > 0 && d[n - 1] == '0' && ends_in_zeros(digits)) ||
		(simple->dots >= 3 && n <= 14) ||
		(HAS_GAP(digits, 1) && (simple->dots > 0 || simple->brackets) &&
		 !digits->plus && !(n == 11 && dials_1(region) && d[0] == '1')) ||
		simple->late || ln_phone_repeats_itself(digits);
}

/* Could the prefix of this valid number be another one? */
static inline bool
has_odd_prefix(const Digits *digits, int region, const LnPhone *p)
{
	const char *d = digits->d;

	if (p->code_len > 0 &&
		(ln_phone_splits_prefix(digits, p) ||
		 ln_phone_repeats_code(digits, p)))
		return true;
	if (d[0] == '0' && (digits->plus || d[1] == '0'))
		return true;
	return !digits->plus &&
		(ln_phone_begins_with_own_code(digits, region) ||
		 (d[0] == '0' && ln_phone_has_zero_before_code(digits, region)));
}

/*
 * Safe mode for a row of digits of a common shape.  False if it takes a closer
 * look at the text to tell.
 */
static bool
judge_digits(Digits *digits, const Simple *simple, int region, LnPhone *out)
{
	const char *rule = ln_phone_rule_names[simple->text_rule][DIGITS_AS_IS];

	if (has_odd_shape(digits, simple, region))
		return false;
	if (!out->valid)
	{
		LnPhone		rescued;

		if (simple->zero > 0)
			return false;
		if (ln_phone_rescue_row(digits, region, simple->text_rule, &rescued))
			*out = rescued;
		else
		{
			/* nothing else could be made of it */
			out->e164[0] = '\0';
			out->e164_len = 0;
		}
		return true;
	}
	if (has_odd_prefix(digits, region, out) &&
		ln_phone_refuse_prefix(digits, region, out))
		return true;
	if (simple->zero > 0)
	{
		/* (0) behind a calling code may be left out, or has to stay */
		LnPhone		other;
		char		d[MAX_SIMPLE];
		Digits		without = *digits;

		memcpy(d, digits->d, digits->n);
		ln_phone_remove_digit(&without, d, simple->zero);
		if (out->code_len == 0 ||
			simple->zero != out->idd_len + out->code_len ||
			(ln_phone_parse_digits(&without, region, &other) &&
			 strcmp(other.e164, out->e164) != 0) ||
			ln_phone_has_other_reading(&without, region, out))
		{
			ln_phone_refuse(out, LN_PHONE_AMBIGUOUS, "two_readings",
							digits->first);
			return true;
		}
	}
	if (confirm(out))
		out->rule = rule;
	return true;
}

/* Two or more masked digits, and at most other digits behind them? */
static bool
is_mask(const char *rest, size_t len)
{
	size_t		i = 0;
	size_t		masked;

	while (i < len && ((rest[i] | 0x20) == 'x' || rest[i] == '*'))
		i++;
	masked = i;
	while (i < len && rest[i] >= '0' && rest[i] <= '9')
		i++;
	return masked >= 2 && i == len;
}

/*
 * A word in ASCII letters that ends the text, as in "090-1234-5678 (home)",
 * or "... Wang"?  Its length, or 0.  A word of x or n may be a mask.
 */
static int
latin_note(const char *rest, size_t len)
{
	size_t		n = 0;

	while (n < len && byte_class[(uint8_t) rest[n]] == B_WORD)
		n++;
	if (n < 3 || n > MAX_WORD || (rest[0] | 0x20) == 'x' ||
		(rest[0] | 0x20) == 'n')
		return 0;
	return n == len || (n == len - 1 && rest[n] == ')') ? (int) n : 0;
}

/*
 * One of the usual words for an extension, and up to MAX_SHORT_EXT digits to
 * the end of the text?  How many digits, or 0.  *known: to libphonenumber.
 */
static int
extension_label(const char *rest, size_t len, bool *known)
{
	static const struct
	{
		const char *word;
		bool		known;
	}			labels[] = {
		{"#", true}, {"x", true}, {",", true}, {"ext.", true}, {"ext", true},
		{"\xE5\x86\x85\xE7\xB7\x9A", false},	/* naisen */
		{"\xE5\x88\x86\xE6\xA9\x9F", false},	/* fenji */
		{"\xE8\xBD\x89", false},	/* zhuan */
		{"\xE0\xB8\x95\xE0\xB9\x88\xE0\xB8\xAD", false} /* to */
	};
	size_t		at = 0;
	size_t		digits;
	int			i;

	for (i = 0; i < LENGTH_OF(labels); i++)
		if (rest[0] == labels[i].word[0] &&
			(at = strlen(labels[i].word)) < len &&
			memcmp(rest, labels[i].word, at) == 0)
			break;
	if (i == LENGTH_OF(labels))
		return 0;
	*known = labels[i].known;
	at += rest[at] == ' ';
	if (at == len || len - at > MAX_SHORT_EXT)
		return 0;
	for (digits = at; digits < len; digits++)
		if (rest[digits] < '0' || rest[digits] > '9')
			return 0;
	return (int) (len - at);
}

/*
 * What follows behind the row of digits that scan_simple() read, in safe mode:
 * an extension, a word, a mask.  False if it takes a closer look to tell; else
 * *out is the answer.
 */
static bool
read_rest(const char *utf8, size_t len, size_t used, Digits *digits,
		  Simple *simple, int region, LnPhone *out)
{
	const char *rest = utf8 + used;
	size_t		rest_len = len - used;
	size_t		i = used;
	char		d[MAX_SIMPLE + MAX_WORD];
	Digits		whole = *digits;
	bool		known;
	bool		changed = simple->text_rule == TEXT_SEPARATORS;
	int			n;

	while (i > 0 && utf8[i - 1] == ' ')
		i--;
	if (i == used && is_mask(rest, rest_len) &&
		digits->at[digits->n - 1] + 1 == digits->end)
	{
		out->parse_error = LN_PARSE_NOT_A_NUMBER;
		ln_phone_refuse(out, LN_PHONE_MASKED, "mask", digits->end);
		return true;
	}
	if (digits->n < MIN_ANNOTATED)
		return false;
	memcpy(d, digits->d, digits->n);
	whole.d = d;

	n = extension_label(rest, rest_len, &known);
	if (n > 0)
	{
		/* "/x12" is another number to libphonenumber, and "_x12" masked */
		if (i > 0 && (utf8[i - 1] == '/' || utf8[i - 1] == '\\'))
			return false;
		if ((changed && rest[0] == 'x') || simple->late)
			return false;
		memcpy(d + digits->n, utf8 + len - n, n);
		whole.n += n;
		if (simple->cuts && may_be_two(&whole))
			return false;
		if (!ln_phone_parse_digits(digits, region, out) && known)
			return false;
		if (rest[0] == ',')
		{
			/* or does it separate digits of the number? */
			LnPhone		other;

			if (digits->plus || simple->zero > 0 ||
				has_odd_prefix(digits, region, out) ||
				has_odd_prefix(&whole, region, out) ||
				ln_phone_parse_digits(&whole, region, &other))
				return false;
		}
		if (!known)
			simple->text_rule = changed ? TEXT_SEPARATORS_EXTENSION :
				TEXT_EXTENSION;
		if (!judge_digits(digits, simple, region, out) || !out->valid)
			return false;
		memcpy(out->extension, utf8 + len - n, n);
		out->extension[n] = '\0';
		out->extension_len = n;
		return true;
	}

	n = latin_note(rest, rest_len);
	if (n > 0 && used > 0 && (rest[-1] == ' ' || rest[-1] == '('))
	{
		int			ascii = 0;

		/* does libphonenumber dial it? but no full-width digits then */
		for (i = 0; i < used; i++)
			ascii += utf8[i] >= '0' && utf8[i] <= '9';
		if (ascii != digits->n)
			return false;
		for (i = 0; i < (size_t) n; i++)
			d[whole.n++] = ln_phone_keypad[(rest[i] | 0x20) - 'a'];
		if (ln_phone_parse_digits(&whole, region, out))
			return false;
		ln_phone_parse_digits(digits, region, out);
		simple->text_rule = changed ? TEXT_SEPARATORS_ANNOTATION :
			TEXT_ANNOTATION;
		return judge_digits(digits, simple, region, out) && out->valid;
	}
	return false;
}

/* "2027-12-31", and nothing else */
static bool
is_plain_date(const char *utf8, size_t len, const Digits *digits)
{
	const char *d = digits->d;

	return len == 10 && digits->n == 8 && utf8[4] == '-' && utf8[7] == '-' &&
		((d[0] == '1' && d[1] == '9') || (d[0] == '2' && d[1] == '0')) &&
		((d[4] == '0' && d[5] != '0') || (d[4] == '1' && d[5] <= '2')) &&
		(d[6] <= '2' ? d[6] != '0' || d[7] != '0' :
		 d[6] == '3' && d[7] <= '1');
}

bool
ln_phone_parse(const char *utf8, size_t len, int region_id, LnPhoneMode mode,
			   LnPhone *out)
{
	char		d[MAX_PLAIN];
	uint8_t		at[MAX_SIMPLE];
	uint32_t	c[LN_PHONE_MAX_CHARS];
	uint8_t		k[LN_PHONE_MAX_CHARS];
	Digits		digits;
	Simple		simple;
	Text		input;
	Trace		trace;
	bool		is_simple;
	size_t		used;
	int			chars;

	if (region_id < 0 || region_id >= LN_PHONE_N_REGIONS)
		region_id = LN_PHONE_REGION_ZZ;

	/* most texts */
	digits.at = identity;
	if (scan_plain(utf8, len, d, &digits, &simple))
	{
		if (parse_common(&digits, region_id, out) ||
			parse_any(&digits, region_id, out))
		{
			if (mode == LN_PHONE_LIBPHONENUMBER)
				return true;
			if (!simple.brackets &&
				!has_odd_shape(&digits, &simple, region_id))
			{
				bool		odd = has_odd_prefix(&digits, region_id, out);

				/* the position of a refusal is that of the first byte */
				if (odd && byte_class[(uint8_t) *utf8] > 9 && *utf8 != '+')
					goto look_closer;
				if (odd && ln_phone_refuse_prefix(&digits, region_id, out))
					return false;
				if (confirm(out))
					return true;
			}
		}
		if (mode == LN_PHONE_SAFE && is_plain_date(utf8, len, &digits))
		{
			out->parse_error = LN_PARSE_NOT_A_NUMBER;
			return ln_phone_refuse(out, LN_PHONE_NOT_A_NUMBER, "date", 0);
		}
	}

look_closer:
	is_simple = scan_simple(utf8, len, mode == LN_PHONE_SAFE, d, at, &digits,
							&simple, &used);
	if (is_simple && used < len)
	{
		if (read_rest(utf8, len, used, &digits, &simple, region_id, out))
			return out->valid;
		is_simple = false;
	}
	else if (is_simple)
	{
		ln_phone_parse_digits(&digits, region_id, out);
		if (mode == LN_PHONE_LIBPHONENUMBER ||
			judge_digits(&digits, &simple, region_id, out))
			return out->valid;
		is_simple = simple.text_rule == TEXT_AS_IS;
	}

	if (len > MAX_BYTES)
	{
		ln_phone_fail(out, LN_PHONE_TOO_LONG, LN_PARSE_TOO_LONG_NSN,
					  LN_PHONE_MAX_CHARS);
		return false;
	}
	input.n = ln_phone_decode(utf8, len, c, k, &chars);
	if (input.n < 0)
	{
		if (chars >= LN_PHONE_MAX_CHARS)
			ln_phone_fail(out, LN_PHONE_TOO_LONG, LN_PARSE_TOO_LONG_NSN,
						  LN_PHONE_MAX_CHARS);
		else
			ln_phone_fail(out, LN_PHONE_NOT_A_NUMBER, LN_PARSE_NOT_A_NUMBER,
						  chars);
		return false;
	}
	input.c = c;
	input.k = k;
	input.at = identity;
	input.end = input.n;
	if (mode == LN_PHONE_LIBPHONENUMBER)
		return ln_phone_exact_text(&input, region_id, out, &trace);
	return ln_phone_safe_text(&input, region_id, is_simple, out);
}

/* ----------------------------------------------------------------------
 * The core: digits to a number
 * ----------------------------------------------------------------------
 */

static inline unsigned
walk(unsigned node, const char *d, int n)
{
	int			i;

	for (i = 0; i < n && node != 0; i++)
		node = phone_nodes[node].next[d[i] - '0'];
	return phone_nodes[node].out;
}

/* no result of an automaton */
#define NOT_WALKED	0xFFFFFFFFu

static inline unsigned
general_root(const PhonePlan *plan)
{
	return plan->is_main ? phone_codes[plan->code].root : plan->general;
}

/* Does the general pattern of this plan match? */
static bool
is_viable(const PhonePlan *plan, const char *d, int n)
{
	return OUT_GENERAL(walk(general_root(plan), d, n));
}

/* Copies the digits of an NSN; most have 8 to 16, so two moves do. */
static inline void
copy_digits(char *to, const char *from, int n)
{
	if (n >= 8 && n <= 16)
	{
		memcpy(to, from, 8);
		memcpy(to + n - 8, from + n - 8, 8);
	}
	else
		memcpy(to, from, n);
}

/* The calling code that the digits begin with, or NULL. */
const PhoneCode *
ln_phone_extract_code(const char *d, int n)
{
	int			value = 0;
	int			i;

	if (n == 0 || d[0] == '0')
		return NULL;
	for (i = 0; i < 3 && i < n; i++)
	{
		value = value * 10 + (d[i] - '0');
		if (phone_code_index[value])
			return &phone_codes[phone_code_index[value] - 1];
	}
	return NULL;
}

/*
 * Length of the prefix as a backtracking engine finds it, or -1.  *captures
 * gets begin and end of both groups.
 */
static inline int
match_prefix(unsigned node, const char *d, int n, const uint8_t **captures)
{
	int			best = -1;
	unsigned	record = 0;
	int			i;

	for (i = 0; node != 0; i++)
	{
		const PrefixNode *p = &phone_prefix_nodes[node];

		if (i == n)
		{
			if (p->match_end)
			{
				best = i;
				record = p->match_end;
			}
			break;
		}
		if (p->match)
		{
			best = i;
			record = p->match;
		}
		node = p->next[d[i] - '0'];
	}
	if (best >= 0)
		*captures = phone_captures[record - 1];
	return best;
}

/*
 * Takes the national prefix (and a carrier code) off *d, or rewrites it by the
 * transform rule of the plan into buf, which holds *n + MAX_TRANSFORM digits.
 * A viable number is only changed into another viable one.
 */
static void
strip_national_prefix(const PhonePlan *plan, const char **d, int *n, char *buf,
					  unsigned *result)
{
	const uint8_t *captures;
	const char *stripped;
	int			stripped_n;
	int			len;
	unsigned	walked;

	*result = NOT_WALKED;
	if (plan->prefix == 0 || *n == 0)
		return;
	len = match_prefix(plan->prefix, *d, *n, &captures);
	if (len < 0)
		return;
	if (plan->group != 0 &&
		captures[2 * plan->groups - 1] > captures[2 * plan->groups - 2])
	{
		int			begin = captures[2 * plan->group - 2];
		int			end = captures[2 * plan->group - 1];
		int			insert_len = (int) strlen(plan->insert);
		char	   *to = buf;

		memcpy(to, plan->insert, insert_len);
		to += insert_len;
		memcpy(to, *d + begin, end - begin);
		to += end - begin;
		memcpy(to, *d + len, *n - len);
		to += *n - len;
		stripped = buf;
		stripped_n = (int) (to - buf);
	}
	else
	{
		if (len == 0)
			return;
		stripped = *d + len;
		stripped_n = *n - len;
	}
	walked = walk(general_root(plan), stripped, stripped_n);
	if (!OUT_GENERAL(walked) && is_viable(plan, *d, *n))
		return;
	if (plan->is_main)
		*result = walked;
	*d = stripped;
	*n = stripped_n;
}

static inline bool
length_is_possible(const PhonePlan *plan, int n)
{
	return n < 32 && (plan->lengths >> n & 1);
}

static inline bool
length_is_too_long(const PhonePlan *plan, int n)
{
	return n >= 32 || plan->lengths >> n == 0;
}

/* Position of digit k, also one past the last one. */
static int
digit_position(const Digits *digits, int k)
{
	if (k < 0)
		return digits->first;
	if (k < digits->n)
		return digits->at[k];
	return digits->n > 0 ? digits->at[digits->n - 1] + 1 : digits->end;
}

void
ln_phone_fail(LnPhone *out, LnPhoneStatus status, LnPhoneParseError error,
			  int position)
{
	out->valid = false;
	out->parsed = false;
	out->status = status;
	out->parse_error = error;
	out->type = LN_PHONE_UNKNOWN;
	out->country_code = 0;
	out->idd_len = 0;
	out->code_len = 0;
	out->e164_len = 0;
	out->national_len = 0;
	out->extension_len = 0;
	out->error_position = position + 1;
	out->rule = NULL;
	out->region[0] = '\0';
	out->e164[0] = '\0';
	out->national[0] = '\0';
	out->extension[0] = '\0';
}

/* The fields of a number that was parsed, of plan and code, but its type. */
static inline void
fill(LnPhone *out, const PhoneCode *code, const char *d, int n)
{
	out->parsed = true;
	out->parse_error = LN_PARSE_OK;
	out->country_code = code->code;
	out->e164[0] = '+';
	memcpy(out->e164 + 1, code->digits, 3);
	copy_digits(out->e164 + 1 + code->len, d, n);
	out->e164_len = 1 + code->len + n;
	out->e164[out->e164_len] = '\0';
	copy_digits(out->national, d, n);
	out->national[n] = '\0';
	out->national_len = n;
	out->extension[0] = '\0';
	out->extension_len = 0;
	out->rule = NULL;
}

/* The rest of it, if it is valid. */
static inline void
fill_valid(LnPhone *out, const PhoneCode *code, unsigned result)
{
	out->type = OUT_TYPE(result);
	memcpy(out->region,
		   phone_plans[phone_code_plans[code->first + OUT_RANK(result)]]
		   .region, 4);
	out->valid = true;
	out->status = LN_PHONE_OK;
	out->error_position = 0;
}

/*
 * What parse_any() answers to most valid numbers, for which the tables know
 * from one or two digits that no prefix is to be tried.  False: ask it; *out
 * is not touched then.
 */
static inline bool
parse_common(const Digits *digits, int region, LnPhone *out)
{
	const char *d = digits->d;
	const char *end = d + digits->n;
	const PhonePlan *plan;
	const PhoneCode *code;
	unsigned	node;
	unsigned	result;
	int			code_len = 0;
	int			n;
	int			i;

	if (digits->plus)
	{
		code = ln_phone_extract_code(d, digits->n);
		if (code == NULL)
			return false;
		code_len = code->len;
		d += code_len;
		plan = &phone_plans[phone_code_plans[code->first]];
		if (end - d < 2)
			return false;
		/* "+81 (0)90" */
		if (*d == '0' && (plan->trunk_0 >> (d[1] - '0') & 1))
			d++;
		else if (!(plan->kept >> (*d - '0') & 1))
			return false;
	}
	else
	{
		if (region >= LN_PHONE_N_REGIONS)
			return false;
		plan = &phone_plans[region];
		code = &phone_codes[plan->code];
		if (*d == '0' && (plan->trunk_0 >> (d[1] - '0') & 1) && plan->is_main)
			d++;
		else if (!(plan->bare >> (*d - '0') & 1))
			return false;
	}
	n = (int) (end - d);
	if (!length_is_possible(plan, n))
		return false;
	node = code->root;
	for (i = 0; i < n; i++)
		node = phone_nodes[node].next[d[i] - '0'];
	result = phone_nodes[node].out;
	/* a prefix is only taken off if the rest is viable */
	if (OUT_TYPE(result) == LN_PHONE_UNKNOWN || !OUT_GENERAL(result))
		return false;
	out->idd_len = 0;
	out->code_len = code_len;
	fill(out, code, d, n);
	fill_valid(out, code, result);
	return true;
}

/*
 * Digits to a number: international prefix, calling code, national prefix,
 * then type and region.
 */
static bool
parse_any(const Digits *digits, int region, LnPhone *out)
{
	const PhonePlan *plan = NULL;
	const PhoneCode *code = NULL;
	const uint8_t *captures;
	const char *d = digits->d;
	int			n = digits->n;
	bool		plus = digits->plus;
	int			idd_len = 0;
	int			code_len = 0;
	bool		incomplete = false; /* too short without its national prefix */
	char		buf1[MAX_NUMBER + MAX_TRANSFORM];
	char		buf2[MAX_NUMBER + 2 * MAX_TRANSFORM];
	unsigned	result;

	if (region < LN_PHONE_N_REGIONS)
		plan = &phone_plans[region];
	else if (!plus)
	{
		ln_phone_fail(out, LN_PHONE_INVALID_COUNTRY_CODE,
					  LN_PARSE_INVALID_COUNTRY_CODE, digits->first);
		return false;
	}

	if (plus)
	{
		if (n <= 2)
		{
			ln_phone_fail(out, LN_PHONE_TOO_SHORT,
						  LN_PARSE_TOO_SHORT_AFTER_IDD,
						  digit_position(digits, n));
			return false;
		}
		code = ln_phone_extract_code(d, n);
		if (code != NULL)
		{
			code_len = code->len;
			d += code_len;
			n -= code_len;
		}
	}
	if (code == NULL && plan != NULL)
	{
		int			len = match_prefix(plan->idd, d, n, &captures);

		/* no calling code begins with 0, so what looked like an IDD is none */
		if (len >= 0 && !(len < n && d[len] == '0'))
		{
			d += len;
			n -= len;
			if (n <= 2 && !plus)
			{
				ln_phone_fail(out, LN_PHONE_TOO_SHORT,
							  LN_PARSE_TOO_SHORT_AFTER_IDD,
							  digit_position(digits, digits->n));
				return false;
			}
			if (n > 2)
				code = ln_phone_extract_code(d, n);
			if (code == NULL)
			{
				ln_phone_fail(out, LN_PHONE_INVALID_COUNTRY_CODE,
							  LN_PARSE_INVALID_COUNTRY_CODE,
							  digit_position(digits, digits->n - n));
				return false;
			}
			idd_len = len;
			code_len = code->len;
			d += code_len;
			n -= code_len;
		}
		else
		{
			const PhoneCode *own = &phone_codes[plan->code];

			/* the region's own calling code without a plus sign? */
			if (n >= own->len && d[0] == own->digits[0] &&
				memcmp(d, own->digits, own->len) == 0)
			{
				const char *rest = d + own->len;
				int			rest_n = n - own->len;

				strip_national_prefix(plan, &rest, &rest_n, buf1, &result);
				if (((result != NOT_WALKED ? OUT_GENERAL(result) :
					  is_viable(plan, rest, rest_n)) &&
					 !is_viable(plan, d, n)) ||
					length_is_too_long(plan, n))
				{
					code = own;
					code_len = own->len;
					d = rest;
					n = rest_n;
				}
			}
		}
	}
	if (code == NULL && plus)
	{
		ln_phone_fail(out, LN_PHONE_INVALID_COUNTRY_CODE,
					  LN_PARSE_INVALID_COUNTRY_CODE,
					  digit_position(digits, 0));
		return false;
	}

	/* from here on the main region of the calling code decides */
	if (code != NULL)
		plan = &phone_plans[phone_code_plans[code->first]];
	if (n < 2 || plan == NULL)
	{
		ln_phone_fail(out, LN_PHONE_TOO_SHORT, LN_PARSE_TOO_SHORT_NSN,
					  digit_position(digits, digits->n));
		return false;
	}
	{
		const char *rest = d;
		int			rest_n = n;

		strip_national_prefix(plan, &rest, &rest_n, buf2, &result);
		if (length_is_possible(plan, rest_n) ||
			length_is_too_long(plan, rest_n))
		{
			d = rest;
			n = rest_n;
		}
		else
		{
			incomplete = rest_n < n;
			result = NOT_WALKED;
		}
	}
	if (n < 2)
	{
		ln_phone_fail(out, LN_PHONE_TOO_SHORT, LN_PARSE_TOO_SHORT_NSN,
					  digit_position(digits, digits->n));
		return false;
	}
	if (n > LN_PHONE_MAX_NSN)
	{
		ln_phone_fail(out, LN_PHONE_TOO_LONG, LN_PARSE_TOO_LONG_NSN,
					  digit_position(digits,
									 digits->n - n + LN_PHONE_MAX_NSN));
		return false;
	}
	code = &phone_codes[plan->code];

	out->idd_len = idd_len;
	out->code_len = code_len;
	fill(out, code, d, n);

	if (result == NOT_WALKED)
		result = walk(code->root, d, n);
	if (OUT_TYPE(result) != LN_PHONE_UNKNOWN)
	{
		fill_valid(out, code, result);
		return true;
	}

	/* not valid: the region follows from the leading digits alone */
	out->valid = false;
	out->type = LN_PHONE_UNKNOWN;
	out->status = LN_PHONE_NOT_VALID;
	if (code->n_plans == 1)
		memcpy(out->region, plan->region, 4);
	else
	{
		unsigned	node = code->lead;
		unsigned	rank = 0;
		int			i;

		for (i = 0; i < n && node != 0; i++)
		{
			unsigned	here;

			node = phone_nodes[node].next[d[i] - '0'];
			here = OUT_RANK(phone_nodes[node].out);
			if (here != 0 && (rank == 0 || here < rank))
				rank = here;
		}
		if (rank != 0)
		{
			int			of_region = phone_code_plans[code->first + rank - 1];

			memcpy(out->region, phone_plans[of_region].region, 4);
		}
		else
			memcpy(out->region, "ZZ\0", 4);
	}
	{
		unsigned	node = code->root;
		int			i;

		/* the first digit that is too many, or cannot stand here, or lacks */
		if (plan->lengths != 0 && plan->lengths >> (n + 1) == 0 &&
			!length_is_possible(plan, n))
			for (i = n; !length_is_possible(plan, i); i--)
				;
		else if (incomplete ||
				 ((plan->lengths & ((1u << n) - 1)) == 0 &&
				  !length_is_possible(plan, n)))
			i = n;
		else
			for (i = 0; i < n; i++)
			{
				node = phone_nodes[node].next[d[i] - '0'];
				if (node == 0 || node > LN_PHONE_LAST_LIVE)
					break;
			}
		out->error_position = digit_position(digits, digits->n - n + i) + 1;
	}
	return false;
}

bool
ln_phone_parse_digits(const Digits *digits, int region, LnPhone *out)
{
	return parse_common(digits, region, out) ||
		parse_any(digits, region, out);
}

/* No number: *out says why, and keeps nothing that could be taken for one. */
bool
ln_phone_refuse(LnPhone *out, LnPhoneStatus status, const char *rule,
				int position)
{
	LnPhoneParseError error = out->parse_error;

	ln_phone_fail(out, status, error, position);
	out->rule = rule;
	return false;
}


/*
 * Does a separator stand inside of the international prefix, or of the calling
 * code?  Then these digits were not meant as such.  Spelled numbers ("+ 8 1 9
 * ...") have separators everywhere, and 8~10 has one to wait for the tone.
 */
bool
ln_phone_splits_prefix(const Digits *digits, const LnPhone *p)
{
	int			end = p->idd_len + p->code_len;
	uint64_t	inside = (((uint64_t) 1 << end) - 1) & ~(uint64_t) 1;

	if (p->idd_len > 0)
		inside &= ~((uint64_t) 1 << p->idd_len);
	if (p->idd_len == 3 && memcmp(digits->d, "810", 3) == 0)
		inside &= ~(uint64_t) 2;
	if ((digits->gaps & inside) == 0)
		return false;
	return digits->n >= 64 ||
		digits->gaps != (((uint64_t) 1 << digits->n) - 1 - 1);
}

/* Takes one digit out of a row; d has the digits, and may be changed. */
void
ln_phone_remove_digit(Digits *digits, char *d, int which)
{
	uint64_t	below = ((uint64_t) 2 << which) - 1;

	memmove(d + which, d + which + 1, digits->n - which - 1);
	digits->d = d;
	digits->n--;
	/* separators before and behind it become one */
	digits->gaps = (digits->gaps & below) | (digits->gaps >> 1 & ~below);
}

/* Is it the same digits twice, with a separator between? */
bool
ln_phone_repeats_itself(const Digits *digits)
{
	int			half = digits->n / 2;

	return digits->n == 2 * half && HAS_GAP(digits, half) &&
		memcmp(digits->d, digits->d + half, half) == 0;
}

/* Is the calling code followed by itself, as a group of its own? */
bool
ln_phone_repeats_code(const Digits *digits, const LnPhone *p)
{
	int			end = p->idd_len + p->code_len;

	return HAS_GAP(digits, end + p->code_len) &&
		digits->n > end + p->code_len &&
		memcmp(digits->d + p->idd_len, digits->d + end, p->code_len) == 0;
}

/*
 * Is this 0, the region's own calling code, and a number of possible length?
 * But not if a separator divides the code, or the writer's first group goes on
 * behind it.
 */
bool
ln_phone_has_zero_before_code(const Digits *digits, int region)
{
	const PhoneCode *code;
	const PhonePlan *plan;
	uint64_t	inside;
	int			rest;

	if (region >= LN_PHONE_N_REGIONS)
		return false;
	code = ln_phone_own_code(region);
	rest = digits->n - 1 - code->len;
	if (digits->d[1] != code->digits[0] ||
		rest < 2 || rest > LN_PHONE_MAX_NSN ||
		memcmp(digits->d + 1, code->digits, code->len) != 0)
		return false;
	/* perhaps with a trunk 0 of its own */
	plan = &phone_plans[phone_code_plans[code->first]];
	if (!length_is_possible(plan, rest) &&
		!(digits->d[1 + code->len] == '0' &&
		  length_is_possible(plan, rest - 1)))
		return false;
	inside = (((uint64_t) 1 << (1 + code->len)) - 1) & ~(uint64_t) 3;
	return digits->gaps == 0 ||
		((digits->gaps & inside) == 0 &&
		 (HAS_GAP(digits, 1) || HAS_GAP(digits, 1 + code->len)));
}

/*
 * Is there a valid number that differs from these digits by one typing error:
 * a digit lost, added, or changed, or two exchanged?
 */
bool
ln_phone_is_near(const PhoneCode *code, const char *d, int n)
{
	unsigned	node = code->root;
	bool		same = true;
	int			i;

#define IS_NUMBER(node, d, n) \
	(OUT_TYPE(walk(node, d, n)) != LN_PHONE_UNKNOWN)

	for (i = 0; node != 0; i++)
	{
		const uint16_t *next = phone_nodes[node].next;
		int			other;

		/* a code of one digit that is left out is what is asked about */
		same &= i < n && d[i] == d[0];
		if (i < n && !(same && code->len == 1 && d[0] == code->digits[0]) &&
			IS_NUMBER(node, d + i + 1, n - i - 1))
			return true;
		if (i + 1 < n && d[i] != d[i + 1] &&
			IS_NUMBER(phone_nodes[next[d[i + 1] - '0']].next[d[i] - '0'],
					  d + i + 2, n - i - 2))
			return true;
		for (other = 0; other < 10; other++)
		{
			if (next[other] == 0)
				continue;
			if (IS_NUMBER(next[other], d + i, n - i) ||
				(i < n && other != d[i] - '0' &&
				 IS_NUMBER(next[other], d + i + 1, n - i - 1)))
				return true;
		}
		if (i == n)
			break;
		node = next[d[i] - '0'];
	}
#undef IS_NUMBER
	return false;
}

/* The calling code of a region, which is not ZZ. */
const PhoneCode *
ln_phone_own_code(int region)
{
	return &phone_codes[phone_plans[region].code];
}

bool
ln_phone_is_region(int region, const char *name)
{
	return region < LN_PHONE_N_REGIONS &&
		strcmp(phone_plans[region].region, name) == 0;
}

/* Does the text begin with the calling code of its own region? */
bool
ln_phone_begins_with_own_code(const Digits *digits, int region)
{
	const PhoneCode *code;

	if (digits->plus || region >= LN_PHONE_N_REGIONS)
		return false;
	code = ln_phone_own_code(region);
	return digits->d[0] == code->digits[0] && digits->n >= code->len &&
		memcmp(digits->d, code->digits, code->len) == 0;
}

/*
 * The last word on a valid number.  Refused are the Japanese carrier codes
 * 00XY (toll-free numbers to libphonenumber, but nobody can be reached by
 * "+8100..."); the personal numbers 060 of Japan, which went out of use before
 * 060 became a mobile prefix, so that today they are mobile numbers with a
 * digit lost; and the few numbers whose E.164 text reads as another number.
 */
bool
ln_phone_confirm(LnPhone *out)
{
	const PhoneCode *code;
	const PhonePlan *plan;
	int			index;

	if (ln_phone_is_japanese_00(out))
		return ln_phone_refuse(out, LN_PHONE_NOT_VALID, "jp_carrier_code", 0);
	if (out->country_code == 81 && out->national_len == 9 &&
		out->national[0] == '6' && out->national[1] == '0')
		return ln_phone_refuse(out, LN_PHONE_NOT_VALID, "jp_060_short", 0);

	index = phone_code_index[out->country_code] - 1;
	code = &phone_codes[index];
	plan = &phone_plans[phone_code_plans[code->first]];
	if (!(plan->kept >> (out->national[0] - '0') & 1))
	{
		char		buf[LN_PHONE_MAX_NSN + MAX_TRANSFORM];
		const char *rest = out->national;
		int			rest_n = out->national_len;
		unsigned	result;

		strip_national_prefix(plan, &rest, &rest_n, buf, &result);
		if (rest != out->national &&
			(length_is_possible(plan, rest_n) ||
			 length_is_too_long(plan, rest_n)) &&
			(rest_n != out->national_len ||
			 memcmp(rest, out->national, rest_n) != 0))
			return ln_phone_refuse(out, LN_PHONE_AMBIGUOUS,
								   "not_a_fixed_point", 0);
	}
	return true;
}

/* ----------------------------------------------------------------------
 * Front end 1: digits and separators
 * ----------------------------------------------------------------------
 */

/* what scan_character() says besides the above */
#define M_HIDDEN	22			/* invisible */
#define M_DASH		23			/* a dash that libphonenumber does not know */
#define M_KANA_DASH 24			/* another, which is a letter to Unicode ... */
#define M_KANA_SEP	25			/* ... and one that libphonenumber knows */
#define M_MIDDLE_DOT 26
#define M_THAI_MARK 32			/* vowels and tones above or below letters */
#define M_ASIAN		27			/* Han, kana and Thai letters */
#define M_NUMERAL	28			/* Han numerals */
#define M_MARK		29			/* of the same blocks, no letter */
#define M_TILDE		30			/* a dash to us, but libphonenumber takes the
								 * last one for an extension */
#define M_STOP		31			/* an ideographic full stop */

/*
 * The characters of two and three bytes that are frequent in cells with phone
 * numbers.  Sets *len; B_OTHER if it is none of them.
 */
static inline unsigned
scan_character(const unsigned char *p, const unsigned char *end, int *len)
{
	uint32_t	c;

	*len = 2;
	if (*p == 0xC2)
		return end - p >= 2 && p[1] == 0xA0 ? B_SEP : B_OTHER;

	*len = 3;
	if (end - p < 3 || (p[1] & 0xC0) != 0x80 || (p[2] & 0xC0) != 0x80)
		return B_OTHER;
	c = (uint32_t) (*p & 0x0F) << 12 | (uint32_t) (p[1] & 0x3F) << 6 |
		(p[2] & 0x3F);
	if (c >= 0x4E00 && c <= 0x9FFF)
		return ln_phone_is_han_numeral(c) ? M_NUMERAL : M_ASIAN;
	if (c >= 0xFF10 && c <= 0xFF19)
		return c - 0xFF10;
	if (c >= 0x0E00 && c <= 0x0E7F)
	{
		if (c >= 0x0E50 && c <= 0x0E59)
			return c - 0x0E50;
		if ((c >= 0x0E01 && c <= 0x0E30) || c == 0x0E32 || c == 0x0E33 ||
			(c >= 0x0E40 && c <= 0x0E46))
			return M_ASIAN;
		return (c >= 0x0E31 && c <= 0x0E3A) || (c >= 0x0E47 && c <= 0x0E4E) ?
			M_THAI_MARK : B_OTHER;
	}
	if (c >= 0x3041 && c <= 0x30FF)
	{
		if (c == 0x30FC)
			return M_KANA_SEP;
		if (c == 0x30FB)
			return M_MIDDLE_DOT;
		return c <= 0x3096 || (c >= 0x30A1 && c <= 0x30FA) ? M_ASIAN : M_MARK;
	}
	if ((c >= 0x2010 && c <= 0x2015) || c == 0x2212 || c == 0xFF0D)
		return B_DASH;
	if (c == 0x3000 || c == 0xFF0F)
		return B_SEP;
	if (c == 0xFF08 || c == 0xFF3B)
		return B_OPEN;
	if (c == 0xFF09 || c == 0xFF3D)
		return B_CLOSE;
	if (c == 0xFF0E)
		return B_DOT;
	if (c == 0xFF0B)
		return B_PLUS;
	if (c == 0xFF70)
		return M_KANA_DASH;
	if (c == 0x301C || c == 0x2500)
		return M_DASH;
	if (c == 0xFF5E)
		return M_TILDE;
	if (c == 0x3002 || c == 0xFF61)
		return M_STOP;
	if (c == 0xFF65)
		return M_MIDDLE_DOT;
	if (c == 0x200E || c == 0x200F || (c >= 0x202A && c <= 0x202E) ||
		(c >= 0x2066 && c <= 0x2069) || c == 0xFEFF)
		return M_HIDDEN;
	if (c == 0xFF1A)
		return B_LEAD;
	return B_OTHER;
}

/*
 * The same as scan_simple(), for the most plain of texts: a plus sign at the
 * beginning, digits, also full-width, and common separators.  It keeps no
 * positions, so only a valid answer may be built upon it.
 */
static bool
scan_plain(const char *utf8, size_t len, char *d, Digits *digits,
		   Simple *simple)
{
	const unsigned char *p = (const unsigned char *) utf8;
	const unsigned char *end = p + len;
	uint64_t	gaps = 0;
	unsigned	seen = 0;		/* classes of separators, as bits */
	int			dots = 0;
	int			n = 0;

#ifdef LN_PHONE_NO_SHORTCUT
	/* the conformance test compares with a copy that goes the long way */
	return false;
#endif
	if (len > MAX_PLAIN || len == 0)
		return false;
	/* words behind it are more frequent than before it */
	if (byte_class[end[-1]] > B_CLOSE && (end[-1] < 0x8D || end[-1] > 0x99))
		return false;
	digits->plus = p < end && *p == '+';
	p += digits->plus;
	while (p < end)
	{
		unsigned	k = byte_class[*p];

		if (k <= 9)
		{
			d[n++] = (char) *p++;
		}
		else if (k <= B_CLOSE)
		{
			gaps |= (uint64_t) 1 << n;
			seen |= 1u << k;
			dots += k == B_DOT;
			p++;
		}
		else if (end - p >= 3 && p[0] == 0xEF && p[1] == 0xBC &&
				 p[2] >= 0x8D && p[2] <= 0x99 && p[2] != 0x8E)
		{
			/* U+FF0D, U+FF0F and the digits */
			if (p[2] >= 0x90)
				d[n++] = (char) ('0' + (p[2] - 0x90));
			else
			{
				gaps |= (uint64_t) 1 << n;
				seen |= 1u << (p[2] == 0x8D ? B_DASH : B_SEP);
			}
			p += 3;
		}
		else
			return false;
	}
	if (n < 3 || n > MAX_SIMPLE)
		return false;
	digits->d = d;
	/* separators between digits only */
	digits->gaps = gaps & (((uint64_t) 1 << n) - 2);
	digits->n = n;
	digits->first = 0;
	digits->end = 0;
	simple->dots = dots;
	simple->late = false;
	simple->brackets = (seen & (1u << B_OPEN | 1u << B_CLOSE)) != 0;
	simple->cuts = (seen & 1u << B_SEP) != 0;
	simple->zero = 0;
	simple->text_rule = TEXT_AS_IS;
	return true;
}

/*
 * Reads a text that is a row of digits with separators, whatever stands in
 * front of it.  There is no letter, extension or second plus sign in such a
 * text, so libphonenumber takes the digits as they are, if there are three.
 *
 * In safe mode, also a text which libphonenumber surely calls no number and
 * which is rescued by its looks: with dashes, dots and invisible characters
 * that it does not know between the digits, or with words in Han, kana or
 * Thai behind them.  simple->text_rule says which.
 *
 * False: somebody else must look at it.  In safe mode, *used says how many
 * bytes were read: less than all if what follows is nothing of these.
 */
static bool
scan_simple(const char *utf8, size_t len, bool safe, char *d, uint8_t *at,
			Digits *digits, Simple *simple, size_t *used)
{
	const unsigned char *p = (const unsigned char *) utf8;
	const unsigned char *end = p + len;
	int			n = 0;
	int			position = 0;
	int			first = -1;
	int			dots = 0;
	bool		plus = false;
	bool		gap = false;
	bool		fill = false;	/* unknown separators since the last digit */
	bool		changed = false;
	bool		tail = false;
	bool		word = false;	/* the last character was a letter, in front */
	bool		letter = false; /* of ASCII */
	bool		open = false;	/* in brackets, behind enough digits */
	bool		inside = false; /* digits in them */
	bool		behind = false; /* the same with fewer digits before them */
	bool		late = false;
	bool		bracket = false;	/* an open bracket was the last thing */
	bool		dirty = true;	/* no digit was the last thing */
	int			alone = -1;		/* the digit behind that */
	bool		brackets = false;
	bool		cuts = false;
	bool		tilde = false;
	bool		stop = false;
	int			zero = 0;
	int			tildes = 0;
	const unsigned char *tail_p = NULL;
	int			tail_position = 0;
	uint64_t	gaps = 0;

#ifdef LN_PHONE_NO_SHORTCUT
	/* the conformance test compares with a copy that goes the long way */
	return false;
#endif
	if (len > LN_PHONE_MAX_CHARS)
		return false;
	for (; p < end; position++)
	{
		unsigned	k = byte_class[*p];
		int			char_len = 1;

		if (k == B_MULTI)
			k = scan_character(p, end, &char_len);
		if (k <= 9)
		{
			if (n == MAX_SIMPLE)
				return false;
			if (dirty)
			{
				if (tail)
					break;
				/* a letter that touches it may stand for a digit */
				if (word && safe)
					return false;
				if (first < 0)
					first = position;
				gaps |= (uint64_t) gap << n;
				changed |= fill;
				tildes += tilde;
				gap = false;
				fill = false;
				tilde = false;
				inside = open;
				late |= behind;
				if (bracket)
					alone = n;
				bracket = false;
				dirty = false;
			}
			d[n] = (char) ('0' + k);
			at[n] = (uint8_t) position;
			n++;
			p += char_len;
			continue;
		}
		dirty = true;
		if (k != B_WORD)
			letter = false;
		if (k <= B_CLOSE)
		{
			gap = n > 0;
			dots += k == B_DOT && n > 0;
			cuts |= k != B_DOT && k != B_DASH;
			word = false;
			if (k >= B_OPEN)
			{
				brackets = true;
				bracket = k == B_OPEN && n > 0;
				if (k == B_CLOSE && alone > 0 && alone == n - 1 &&
					d[alone] == '0')
				{
					/* twice is odd */
					late |= zero > 0;
					if (zero == 0)
						zero = alone;
				}
				alone = -1;
				open = k == B_OPEN && n >= MIN_ANNOTATED;
				behind = k == B_OPEN && n >= MIN_REPEATED;
				inside = false;
			}
			else if (k != B_SEP)
			{
				bracket = false;
				alone = -1;
			}
		}
		else if (k == M_KANA_SEP)
		{
			/* a separator, but not trimmed off the end */
			gap = n > 0;
			changed |= fill && !tail;
			word = false;
			bracket = false;
			alone = -1;
		}
		else if (n == 0 && !plus)
		{
			/* in front of the number */
			if (k == B_PLUS)
			{
				plus = true;
				first = position;
				word = false;
			}
			else if (k == B_WORD)
			{
				/* a word of n or x may be a mask */
				if (safe && !letter &&
					((*p | 0x20) == 'x' || (*p | 0x20) == 'n'))
					return false;
				word = letter = true;
				p++;
				continue;
			}
			else if (k == B_OTHER || k == M_TILDE || k == M_STOP)
				return false;
			else if (k != M_HIDDEN)
				word = k == M_NUMERAL;
		}
		else if (!safe)
			return false;
		else if (tail)
		{
			if (k != M_ASIAN && k != M_NUMERAL && k != M_THAI_MARK)
				break;
		}
		else
		{
			if (k != M_HIDDEN && k != B_SPACE)
			{
				bracket = false;
				alone = -1;
			}
			switch (k)
			{
				case M_HIDDEN:
					fill = true;
					break;
				case B_SPACE:
					gap = fill = cuts = true;
					break;
				case M_DASH:
					gap = fill = true;
					break;
				case M_STOP:
					dots++;
					gap = fill = true;
					break;
				case M_TILDE:
					tilde = true;
					gap = fill = true;
					break;
				case M_KANA_DASH:
					gap = changed = true;
					break;
				case B_FILL:
				case M_MIDDLE_DOT:
					/* a row of them hides digits */
					if (fill)
						return false;
					gap = fill = true;
					break;
				case M_ASIAN:
					/* digits in brackets with words are no part of a number */
					if (n < MIN_ANNOTATED || inside)
						return false;
					tail = true;
					tail_p = p;
					tail_position = position;
					break;
				default:
					stop = true;
					break;
			}
			if (stop)
				break;
		}
		p += char_len;
	}
	/* unknown separators before an extension hide it from libphonenumber */
	if (n < 3 || tildes == 1 || (p < end && fill))
		return false;
	if (p < end && tail)
	{
		/* a word is a part of what follows */
		p = tail_p;
		position = tail_position;
		tail = false;
	}
	*used = p - (const unsigned char *) utf8;
	digits->d = d;
	digits->at = at;
	digits->gaps = gaps;
	digits->n = n;
	digits->plus = plus;
	digits->first = first;
	digits->end = position;
	simple->dots = dots;
	simple->late = late;
	simple->zero = zero < n - 1 ? zero : 0;
	simple->brackets = brackets;
	simple->cuts = cuts;
	simple->text_rule = tail ?
		(changed ? TEXT_SEPARATORS_ANNOTATION : TEXT_ANNOTATION) :
		(changed ? TEXT_SEPARATORS : TEXT_AS_IS);
	return true;
}

/* ----------------------------------------------------------------------
 * E.164 texts
 * ----------------------------------------------------------------------
 */

/*
 * E.164 allows 15 digits.  A few countries (Germany, for one) have valid
 * numbers beyond that, or very short ones, and what we answer must be E.164 to
 * ourselves, so there the automaton decides.
 */
bool
ln_phone_is_e164(const char *input, size_t len)
{
	const PhoneCode *code;
	int			n = (int) len - 1;
	int			i;

	if (len < 2 || len > 1 + 3 + LN_PHONE_MAX_NSN || input[0] != '+')
		return false;
	for (i = 1; i <= n; i++)
		if (input[i] < '0' || input[i] > '9')
			return false;
	code = ln_phone_extract_code(input + 1, n);
	if (code == NULL)
		return false;
	if (n >= 7 && n <= 15)
		return true;
	return OUT_TYPE(walk(code->root, input + 1 + code->len, n - code->len)) !=
		LN_PHONE_UNKNOWN;
}
