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
 * characters) goes code point by code point through exact_text(), which
 * repeats the library's steps one by one.
 *
 * Safe mode stands around the core.  The library answers *something* for
 * masked numbers, dates, IP addresses and names, because it dials letters and
 * drops what it does not know; a wrong answer would send somebody's private
 * message to a stranger.  So safe mode refuses what the text does not plainly
 * say, and on the other hand reads what customers really type.  The order is:
 * refusals that the text alone shows, the core, refusals of a valid answer,
 * and, only if the core has no valid answer, the rescues.  doc/phone.md lists
 * all of them with examples.
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

#include "phone/phone.h"

/*
 * Automata over the digits of an NSN.  After the last digit, "out" says
 * whether the general pattern of the calling code's main region matches (bit
 * 0), the type (bits 1-4) and, from bit 5 on, the place of the region among
 * those of the calling code.  Node 0 is the dead one.
 */
typedef struct PhoneNode
{
	uint16_t	next[10];
	uint16_t	out;
} PhoneNode;

#define OUT_GENERAL(out)	((out) & 1)
#define OUT_TYPE(out)		(((out) >> 1) & 15)
#define OUT_PLACE(out)		((out) >> 5)

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
} PhonePlan;

typedef struct PhoneCode
{
	uint16_t	code;
	char		digits[4];
	uint8_t		len;
	uint8_t		first;			/* in phone_code_plans: the main region */
	uint8_t		n_plans;
	uint16_t	root;			/* automaton of NSNs */
	uint16_t	lead;			/* automaton of leading digits, 0 = none */
} PhoneCode;

/*
 * The conformance test compiles this file with the tables of another version.
 */
#ifndef LN_PHONE_TABLES
#define LN_PHONE_TABLES "phone/phone_tables.h"
#endif
#include LN_PHONE_TABLES
#include "phone/phone_unicode.h"

#define LENGTH_OF(a) ((int) (sizeof(a) / sizeof((a)[0])))

/* four bytes a character: longer texts need not be looked at */
#define MAX_BYTES	(4 * LN_PHONE_MAX_CHARS)

/* ";phone-context=+..." is put in front of the number: both fit */
#define MAX_NUMBER	(2 * LN_PHONE_MAX_CHARS)

/* digits that scan_simple() takes; longer rows of digits are left to others */
#define MAX_SIMPLE	40

/* digits in front of an annotation that may be cut off */
#define MIN_ANNOTATED	8

/* room for the text of a transform rule in front of the digits */
#define MAX_TRANSFORM	4

#define TEN(n) n, n + 1, n + 2, n + 3, n + 4, n + 5, n + 6, n + 7, n + 8, n + 9

/* positions of an original text in itself */
static const uint8_t identity[LN_PHONE_MAX_CHARS] = {
	TEN(0), TEN(10), TEN(20), TEN(30), TEN(40), TEN(50), TEN(60), TEN(70),
	TEN(80), TEN(90), TEN(100), TEN(110), TEN(120), TEN(130), TEN(140),
	TEN(150), TEN(160), TEN(170), TEN(180), TEN(190), TEN(200), TEN(210),
	TEN(220), TEN(230), TEN(240)
};

#undef TEN

/* rescues of the text, and of the digits */
enum
{
	TEXT_AS_IS,
	TEXT_SEPARATORS,
	TEXT_ANNOTATION,
	TEXT_EXTENSION,
	TEXT_SEPARATORS_ANNOTATION,
	TEXT_SEPARATORS_EXTENSION
};
enum
{
	DIGITS_AS_IS,
	DIGITS_LEADING_00,
	DIGITS_184_186,
	DIGITS_CARRIER_010,
	DIGITS_DOUBLED,
	DIGITS_LEADING_00_DOUBLED,
	DIGITS_CARRIER_010_DOUBLED
};

#define WITH_DIGIT_RULES(t) \
	{t, t "+leading_00", t "+jp_184_186", t "+jp_carrier_010", \
		t "+doubled_calling_code", t "+leading_00+doubled_calling_code", \
		t "+jp_carrier_010+doubled_calling_code"}

static const char *const rule_names[][7] = {
	{NULL, "leading_00", "jp_184_186", "jp_carrier_010",
		"doubled_calling_code", "leading_00+doubled_calling_code",
	"jp_carrier_010+doubled_calling_code"},
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

/* A row of digits ('0'-'9') and where in the text they stand. */
typedef struct Digits
{
	const char *d;
	const uint8_t *at;
	int			n;
	bool		plus;			/* stood after a plus sign */
	int			first;			/* position of the first character */
	int			end;			/* one past the last character of the text */
} Digits;

/* What scan_simple() saw besides the digits, for the checks of safe mode. */
typedef struct Simple
{
	int			runs;			/* runs of separators between digits */
	int			dots;			/* full stops, anywhere */
	int			text_rule;		/* TEXT_...: what has been rescued */
} Simple;

/*
 * Text as code points.  k[i] says what libphonenumber sees in c[i] (classes
 * C_...), at[i] is the position in the original.
 */
typedef struct Text
{
	const uint32_t *c;
	const uint8_t *k;
	const uint8_t *at;
	int			n;
	int			end;			/* length of the original */
} Text;

/* How exact_text() came to its answer: indexes into the Text. */
typedef struct Trace
{
	int			letters;		/* letters in the number, without extension */
	bool		dialled;		/* three or more: taken as keypad digits */
	int			first_letter;	/* -1 = none */
	bool		loose_letters;	/* a letter stands between digits, or touches
								 * one */
	int			ext_start;		/* -1 = no extension */
} Trace;

static bool scan_simple(const char *utf8, size_t len, bool safe, char *d,
						uint8_t *at, Digits *digits, Simple *simple);
static bool parse_digits(const Digits *digits, int region, LnPhone *out);
static void fail(LnPhone *out, LnPhoneStatus status, LnPhoneParseError error,
				 int position);
static int	decode(const char *utf8, size_t len, uint32_t *c, uint8_t *k,
				   int *chars);
static bool exact_text(const Text *input, int region, LnPhone *out,
					   Trace *trace);
static bool safe_text(const Text *input, int region, bool simple,
					  LnPhone *out);
static bool confirm(LnPhone *out);
static inline bool begins_with_own_code(const Digits *digits, int region);

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

bool
ln_phone_parse(const char *utf8, size_t len, int region_id, LnPhoneMode mode,
			   LnPhone *out)
{
	char		d[MAX_SIMPLE];
	uint8_t		at[MAX_SIMPLE];
	uint32_t	c[LN_PHONE_MAX_CHARS];
	uint8_t		k[LN_PHONE_MAX_CHARS];
	Digits		digits;
	Simple		simple;
	Text		input;
	Trace		trace;
	bool		is_simple;
	int			chars;

	if (region_id < 0 || region_id >= LN_PHONE_N_REGIONS)
		region_id = LN_PHONE_REGION_ZZ;
	is_simple = scan_simple(utf8, len, mode == LN_PHONE_SAFE, d, at, &digits,
							&simple);
	if (is_simple)
	{
		bool		valid = parse_digits(&digits, region_id, out);

		if (mode == LN_PHONE_LIBPHONENUMBER)
			return valid;

		/*
		 * What safe mode could object to in a row of digits: a date, an IP
		 * address, two numbers, two readings of a leading 00.  Few texts come
		 * near, and those take the long way round.
		 */
		if (valid &&
			!(digits.n <= 8 && simple.runs == 2) &&
			!(digits.n <= 14 && simple.dots >= 3) &&
			!(digits.n >= 14 && simple.runs > 0) &&
			!(d[0] == '0' && d[1] == '0') &&
			!begins_with_own_code(&digits, region_id))
		{
			if (!confirm(out))
				return false;
			out->rule = rule_names[simple.text_rule][DIGITS_AS_IS];
			return true;
		}
		is_simple = simple.text_rule == TEXT_AS_IS;
	}

	if (len > MAX_BYTES)
	{
		fail(out, LN_PHONE_TOO_LONG, LN_PARSE_TOO_LONG_NSN,
			 LN_PHONE_MAX_CHARS);
		return false;
	}
	input.n = decode(utf8, len, c, k, &chars);
	if (input.n < 0)
	{
		if (chars >= LN_PHONE_MAX_CHARS)
			fail(out, LN_PHONE_TOO_LONG, LN_PARSE_TOO_LONG_NSN,
				 LN_PHONE_MAX_CHARS);
		else
			fail(out, LN_PHONE_NOT_A_NUMBER, LN_PARSE_NOT_A_NUMBER, chars);
		return false;
	}
	input.c = c;
	input.k = k;
	input.at = identity;
	input.end = input.n;
	if (mode == LN_PHONE_LIBPHONENUMBER)
		return exact_text(&input, region_id, out, &trace);
	return safe_text(&input, region_id, is_simple, out);
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

/* Does the general pattern of this plan match? */
static bool
is_viable(const PhonePlan *plan, const char *d, int n)
{
	return OUT_GENERAL(walk(plan->is_main ? phone_codes[plan->code].root :
							plan->general, d, n));
}

/* The calling code that the digits begin with, or NULL. */
static const PhoneCode *
extract_code(const char *d, int n)
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
 * transform rule of the plan into buf, which has room for *n + MAX_TRANSFORM
 * digits.  A viable number is only changed into another viable one.
 */
static void
strip_national_prefix(const PhonePlan *plan, const char **d, int *n, char *buf)
{
	const uint8_t *captures;
	const char *stripped;
	int			stripped_n;
	int			len;

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
	if (!is_viable(plan, stripped, stripped_n) && is_viable(plan, *d, *n))
		return;
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

static void
fail(LnPhone *out, LnPhoneStatus status, LnPhoneParseError error,
	 int position)
{
	out->valid = false;
	out->parsed = false;
	out->status = status;
	out->parse_error = error;
	out->type = LN_PHONE_UNKNOWN;
	out->country_code = 0;
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

/*
 * Digits to a number: international prefix, calling code, national prefix,
 * then type and region.
 */
static bool
parse_digits(const Digits *digits, int region, LnPhone *out)
{
	const PhonePlan *plan = NULL;
	const PhoneCode *code = NULL;
	const uint8_t *captures;
	const char *d = digits->d;
	int			n = digits->n;
	bool		plus = digits->plus;
	bool		incomplete = false; /* too short without its national prefix */
	char		buf1[MAX_NUMBER + MAX_TRANSFORM];
	char		buf2[MAX_NUMBER + 2 * MAX_TRANSFORM];
	unsigned	result;

	if (region < LN_PHONE_N_REGIONS)
		plan = &phone_plans[region];
	else if (!plus)
	{
		fail(out, LN_PHONE_INVALID_COUNTRY_CODE,
			 LN_PARSE_INVALID_COUNTRY_CODE, digits->first);
		return false;
	}

	if (plus)
	{
		if (n <= 2)
		{
			fail(out, LN_PHONE_TOO_SHORT, LN_PARSE_TOO_SHORT_AFTER_IDD,
				 digit_position(digits, n));
			return false;
		}
		code = extract_code(d, n);
		if (code != NULL)
		{
			d += code->len;
			n -= code->len;
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
				fail(out, LN_PHONE_TOO_SHORT, LN_PARSE_TOO_SHORT_AFTER_IDD,
					 digit_position(digits, digits->n));
				return false;
			}
			if (n > 2)
				code = extract_code(d, n);
			if (code == NULL)
			{
				fail(out, LN_PHONE_INVALID_COUNTRY_CODE,
					 LN_PARSE_INVALID_COUNTRY_CODE,
					 digit_position(digits, digits->n - n));
				return false;
			}
			d += code->len;
			n -= code->len;
		}
		else
		{
			const PhoneCode *own = &phone_codes[plan->code];

			/* the region's own calling code without a plus sign? */
			if (n >= own->len && memcmp(d, own->digits, own->len) == 0)
			{
				const char *rest = d + own->len;
				int			rest_n = n - own->len;

				strip_national_prefix(plan, &rest, &rest_n, buf1);
				if ((!is_viable(plan, d, n) &&
					 is_viable(plan, rest, rest_n)) ||
					length_is_too_long(plan, n))
				{
					code = own;
					d = rest;
					n = rest_n;
				}
			}
		}
	}
	if (code == NULL && plus)
	{
		fail(out, LN_PHONE_INVALID_COUNTRY_CODE,
			 LN_PARSE_INVALID_COUNTRY_CODE, digit_position(digits, 0));
		return false;
	}

	/* from here on the main region of the calling code decides */
	if (code != NULL)
		plan = &phone_plans[phone_code_plans[code->first]];
	if (n < 2 || plan == NULL)
	{
		fail(out, LN_PHONE_TOO_SHORT, LN_PARSE_TOO_SHORT_NSN,
			 digit_position(digits, digits->n));
		return false;
	}
	{
		const char *rest = d;
		int			rest_n = n;

		strip_national_prefix(plan, &rest, &rest_n, buf2);
		if (length_is_possible(plan, rest_n) ||
			length_is_too_long(plan, rest_n))
		{
			d = rest;
			n = rest_n;
		}
		else
			incomplete = rest_n < n;
	}
	if (n < 2)
	{
		fail(out, LN_PHONE_TOO_SHORT, LN_PARSE_TOO_SHORT_NSN,
			 digit_position(digits, digits->n));
		return false;
	}
	if (n > LN_PHONE_MAX_NSN)
	{
		fail(out, LN_PHONE_TOO_LONG, LN_PARSE_TOO_LONG_NSN,
			 digit_position(digits, digits->n - n + LN_PHONE_MAX_NSN));
		return false;
	}
	code = &phone_codes[plan->code];

	out->parsed = true;
	out->parse_error = LN_PARSE_OK;
	out->country_code = code->code;
	out->e164[0] = '+';
	memcpy(out->e164 + 1, code->digits, 3);
	memcpy(out->e164 + 1 + code->len, d, n);
	out->e164_len = 1 + code->len + n;
	out->e164[out->e164_len] = '\0';
	memcpy(out->national, d, n);
	out->national[n] = '\0';
	out->national_len = n;
	out->extension[0] = '\0';
	out->extension_len = 0;
	out->rule = NULL;

	result = walk(code->root, d, n);
	out->type = OUT_TYPE(result);
	if (out->type != LN_PHONE_UNKNOWN)
	{
		memcpy(out->region,
			   phone_plans[phone_code_plans[code->first + OUT_PLACE(result)]]
			   .region,
			   4);
		out->valid = true;
		out->status = LN_PHONE_OK;
		out->error_position = 0;
		return true;
	}

	/* not valid: the region follows from the leading digits alone */
	out->valid = false;
	out->status = LN_PHONE_NOT_VALID;
	if (code->n_plans == 1)
		memcpy(out->region, plan->region, 4);
	else
	{
		unsigned	node = code->lead;
		unsigned	place = 0;
		int			i;

		for (i = 0; i < n && node != 0; i++)
		{
			unsigned	here;

			node = phone_nodes[node].next[d[i] - '0'];
			here = OUT_PLACE(phone_nodes[node].out);
			if (here != 0 && (place == 0 || here < place))
				place = here;
		}
		if (place != 0)
			memcpy(
				   out->region,
				   phone_plans[phone_code_plans[code->first + place - 1]].region,
				   4);
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

/* ----------------------------------------------------------------------
 * Front end 1: digits and separators
 * ----------------------------------------------------------------------
 */

/* classes of bytes; 0-9 are the digits */
#define B_SEP	10				/* a separator that libphonenumber knows */
#define B_DOT	11				/* the same, a full stop */
#define B_OPEN	12				/* the same, brackets */
#define B_CLOSE 13
#define B_PLUS	14
#define B_SPACE 15				/* tab and line ends */
#define B_FILL	16				/* underscore */
#define B_LEAD	17				/* other punctuation, harmless in front */
#define B_WORD	18				/* letters */
#define B_MULTI 19				/* first byte of a longer character */
#define B_OTHER 20

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
	LL, B_OPEN, B_CLOSE, OO, B_PLUS, OO, SS, B_DOT, SS, 0, 1, 2, 3,
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

/* what scan_character() says besides the above */
#define M_HIDDEN	21			/* invisible */
#define M_DASH		22			/* a dash that libphonenumber does not know */
#define M_KANA_DASH 23			/* another, which is a letter to Unicode ... */
#define M_KANA_SEP	24			/* ... and one that libphonenumber knows */
#define M_MIDDLE_DOT 25
#define M_ASIAN		26			/* Han and kana letters */
#define M_NUMERAL	27			/* Han numerals */
#define M_MARK		28			/* of the same blocks, no letter */

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
	{
		switch (c)
		{
			case 0x4E00:
			case 0x4E8C:
			case 0x4E09:
			case 0x56DB:
			case 0x4E94:
			case 0x516D:
			case 0x4E03:
			case 0x516B:
			case 0x4E5D:
			case 0x5341:
			case 0x96F6:
				return M_NUMERAL;
			default:
				return M_ASIAN;
		}
	}
	if (c >= 0xFF10 && c <= 0xFF19)
		return c - 0xFF10;
	if (c >= 0x0E50 && c <= 0x0E59)
		return c - 0x0E50;
	if (c >= 0x3041 && c <= 0x30FF)
	{
		if (c == 0x30FC)
			return M_KANA_SEP;
		if (c == 0x30FB)
			return M_MIDDLE_DOT;
		return c <= 0x3096 || (c >= 0x30A1 && c <= 0x30FA) ? M_ASIAN : M_MARK;
	}
	if ((c >= 0x2010 && c <= 0x2015) || c == 0x2212 || c == 0x3000 ||
		c == 0xFF0D || c == 0xFF0F)
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
 * Reads a text that is a row of digits with separators, whatever stands in
 * front of it.  There is no letter, extension or second plus sign in such a
 * text, so libphonenumber takes the digits as they are, if there are three.
 *
 * In safe mode, also a text which libphonenumber surely calls no number and
 * which is rescued by its looks: with dashes, dots and invisible characters
 * that it does not know between the digits, or with words in Han and kana
 * behind them.  simple->text_rule says which.
 *
 * False: somebody else must look at it.
 */
static bool
scan_simple(const char *utf8, size_t len, bool safe, char *d, uint8_t *at,
			Digits *digits, Simple *simple)
{
	const unsigned char *p = (const unsigned char *) utf8;
	const unsigned char *end = p + len;
	int			n = 0;
	int			position = 0;
	int			first = -1;
	int			runs = 0;
	int			dots = 0;
	bool		plus = false;
	bool		gap = false;
	bool		fill = false;	/* unknown separators since the last digit */
	bool		changed = false;
	bool		tail = false;
	bool		word = false;	/* the last character was a letter, in front */
	bool		open = false;	/* in brackets, behind enough digits */
	bool		inside = false; /* digits in them */

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
			/* a letter that touches the number may stand for a digit */
			if (n == MAX_SIMPLE || tail || (word && safe))
				return false;
			if (first < 0)
				first = position;
			runs += gap;
			changed |= fill;
			gap = false;
			fill = false;
			inside = open;
			d[n] = (char) ('0' + k);
			at[n] = (uint8_t) position;
			n++;
		}
		else if (k <= B_CLOSE)
		{
			gap = n > 0;
			dots += k == B_DOT;
			word = false;
			if (k >= B_OPEN)
			{
				open = k == B_OPEN && n >= MIN_ANNOTATED;
				inside = false;
			}
		}
		else if (k == M_KANA_SEP)
		{
			/* a separator, but not trimmed off the end */
			gap = n > 0;
			changed |= fill && !tail;
			word = false;
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
				if (safe && !word &&
					((*p | 0x20) == 'x' || (*p | 0x20) == 'n'))
					return false;
				word = true;
			}
			else if (k == B_OTHER)
				return false;
			else if (k != M_HIDDEN)
				word = k == M_NUMERAL;
		}
		else if (!safe)
			return false;
		else if (tail)
		{
			if (k != M_ASIAN && k != M_NUMERAL)
				return false;
		}
		else
		{
			switch (k)
			{
				case B_SPACE:
					gap = fill = true;
					break;
				case M_HIDDEN:
				case M_DASH:
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
					break;
				default:
					return false;
			}
		}
		p += char_len;
	}
	if (n < 3)
		return false;
	digits->d = d;
	digits->at = at;
	digits->n = n;
	digits->plus = plus;
	digits->first = first;
	digits->end = position;
	simple->runs = runs;
	simple->dots = dots;
	simple->text_rule = tail ?
		(changed ? TEXT_SEPARATORS_ANNOTATION : TEXT_ANNOTATION) :
		(changed ? TEXT_SEPARATORS : TEXT_AS_IS);
	return true;
}

/* ----------------------------------------------------------------------
 * Characters
 * ----------------------------------------------------------------------
 */

/* Value of a decimal digit of any script, or -1. */
static int
digit_value(uint32_t c)
{
	int			low = 0;
	int			high = LENGTH_OF(phone_digit_zeros);

	if (c < 0x80)
		return c >= '0' && c <= '9' ? (int) c - '0' : -1;
	if (c >= 0xFF10 && c <= 0xFF19)
		return (int) c - 0xFF10;
	if (c >= 0x0E50 && c <= 0x0E59)
		return (int) c - 0x0E50;

	/* no need to search where most text is: nothing between these zeros */
	if (c < 0x0660 || (c >= 0x1C5A && c < 0xA620) ||
		(c >= 0xABFA && c < 0x104A0))
		return -1;
	while (high - low > 1)
	{
		int			middle = (low + high) / 2;

		if (phone_digit_zeros[middle] <= c)
			low = middle;
		else
			high = middle;
	}
	return c - phone_digit_zeros[low] <= 9 ? (int) (c - phone_digit_zeros[low])
		: -1;
}

/* General category L or N. */
static bool
is_word(uint32_t c)
{
	int			low = 0;
	int			high = LENGTH_OF(phone_word_ranges);

	if (c < 0x80)
		return (c >= '0' && c <= '9') ||
			((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
	while (high - low > 1)
	{
		int			middle = (low + high) / 2;

		if (phone_word_ranges[middle][0] <= c)
			low = middle;
		else
			high = middle;
	}
	return c >= phone_word_ranges[low][0] && c <= phone_word_ranges[low][1];
}

/* libphonenumber refuses text with controls (but some) and noncharacters. */
static bool
is_interchange(uint32_t c)
{
	return !(c <= 0x08 || c == 0x0B || (c >= 0x0E && c <= 0x1F) ||
			 (c >= 0x7F && c <= 0x9F) || (c >= 0xFDD0 && c <= 0xFDEF) ||
			 (c & 0xFFFE) == 0xFFFE);
}

/* separators that libphonenumber knows, without x */
static bool
is_separator(uint32_t c)
{
	switch (c)
	{
		case ' ':
		case '-':
		case '(':
		case ')':
		case '.':
		case '/':
		case '[':
		case ']':
		case '~':
		case 0x00A0:
		case 0x00AD:
		case 0x200B:
		case 0x2010:
		case 0x2011:
		case 0x2012:
		case 0x2013:
		case 0x2014:
		case 0x2015:
		case 0x2053:
		case 0x2060:
		case 0x2212:
		case 0x223C:
		case 0x3000:
		case 0x30FC:
		case 0xFF08:
		case 0xFF09:
		case 0xFF0D:
		case 0xFF0E:
		case 0xFF0F:
		case 0xFF3B:
		case 0xFF3D:
			return true;
		default:
			return false;
	}
}

/*
 * What libphonenumber sees in a character: the value of a digit, or one of
 * these.
 */
enum
{
	C_PLUS = 10,
	C_SEPARATOR,
	C_STAR,
	C_X,						/* a separator and a letter */
	C_ALPHA,
	C_OTHER,
	C_REFUSED					/* spoils the whole text */
};

#define IS_DIGIT(k)		((k) <= 9)
#define IS_ALPHA(k)		((k) == C_X || (k) == C_ALPHA)

#define OO C_OTHER
#define RR C_REFUSED
#define SS C_SEPARATOR
#define AA C_ALPHA

static const uint8_t ascii_class[128] = {
	RR, RR, RR, RR, RR, RR, RR, RR, RR, OO, OO, RR, OO, OO, RR, RR,
	RR, RR, RR, RR, RR, RR, RR, RR, RR, RR, RR, RR, RR, RR, RR, RR,
	SS, OO, OO, OO, OO, OO, OO, OO, SS, SS, C_STAR, C_PLUS, OO, SS, SS, SS,
	0, 1, 2, 3, 4, 5, 6, 7, 8, 9, OO, OO, OO, OO, OO, OO,
	OO, AA, AA, AA, AA, AA, AA, AA, AA, AA, AA, AA, AA, AA, AA, AA,
	AA, AA, AA, AA, AA, AA, AA, AA, C_X, AA, AA, SS, OO, SS, OO, OO,
	OO, AA, AA, AA, AA, AA, AA, AA, AA, AA, AA, AA, AA, AA, AA, AA,
	AA, AA, AA, AA, AA, AA, AA, AA, C_X, AA, AA, OO, OO, OO, SS, RR
};

#undef OO
#undef RR
#undef SS
#undef AA

static int
class_of(uint32_t c)
{
	int			value;

	if (c < 0x80)
		return ascii_class[c];
	value = digit_value(c);
	if (value >= 0)
		return value;
	if (c == 0xFF0B)
		return C_PLUS;
	if (is_separator(c))
		return C_SEPARATOR;
	if (c == 0x17F || c == 0x212A)
		return C_ALPHA;			/* long s, Kelvin: [a-z] in any case */
	return is_interchange(c) ? C_OTHER : C_REFUSED;
}

/*
 * UTF-8 to code points and their classes.  Returns how many, or -1: then
 * *chars says before which character the text is malformed or longer than we
 * look at.
 */
static int
decode(const char *utf8, size_t len, uint32_t *c, uint8_t *k, int *chars)
{
	const unsigned char *p = (const unsigned char *) utf8;
	const unsigned char *end = p + len;
	int			n = 0;

	while (p < end)
	{
		uint32_t	cp = *p;
		int			more;
		int			i;

		*chars = n;
		if (n == LN_PHONE_MAX_CHARS)
			return -1;
		if (cp < 0x80)
		{
			k[n] = ascii_class[cp];
			c[n++] = cp;
			p++;
			continue;
		}
		if (cp >= 0xC2 && cp <= 0xDF)
		{
			more = 1;
			cp &= 0x1F;
		}
		else if (cp >= 0xE0 && cp <= 0xEF)
		{
			more = 2;
			cp &= 0x0F;
		}
		else if (cp >= 0xF0 && cp <= 0xF4)
		{
			more = 3;
			cp &= 0x07;
		}
		else
			return -1;
		if (end - p <= more)
			return -1;
		for (i = 1; i <= more; i++)
		{
			if ((p[i] & 0xC0) != 0x80)
				return -1;
			cp = cp << 6 | (p[i] & 0x3F);
		}
		if ((more == 2 && (cp < 0x800 || (cp >= 0xD800 && cp <= 0xDFFF))) ||
			(more == 3 && (cp < 0x10000 || cp > 0x10FFFF)))
			return -1;
		k[n] = (uint8_t) class_of(cp);
		c[n++] = cp;
		p += more + 1;
	}
	*chars = n;
	return n;
}

/* Simple case folding, for the characters that extension labels can meet. */
static uint32_t
fold(uint32_t c)
{
	if ((c >= 'A' && c <= 'Z') || c == 0xD3)
		return c + 0x20;
	if (c >= 0xFF21 && c <= 0xFF3A)
		return c + 0x20;
	if (c >= 0x0410 && c <= 0x042F)
		return c + 0x20;
	if (c == 0x17F)
		return 's';
	if (c == 0x1C81)
		return 0x0434;
	if (c == 0x1C82)
		return 0x043E;
	return c;
}

static const char keypad[] = "22233344455566677778889999";

/* ----------------------------------------------------------------------
 * Front end 2: any text, step by step as libphonenumber does it
 * ----------------------------------------------------------------------
 */

/* Index of an ASCII word in c[from..n), or -1. */
static int
find_ascii(const uint32_t *c, int from, int n, const char *word)
{
	int			len = (int) strlen(word);
	int			i;
	int			k;

	for (i = from; i + len <= n; i++)
	{
		for (k = 0; k < len && c[i + k] == (unsigned char) word[k]; k++)
			;
		if (k == len)
			return i;
	}
	return -1;
}

/* [ \u00A0\t,] and the variants of it in the extension patterns */
static bool
is_ext_space(uint32_t c, bool comma, bool dash)
{
	return c == ' ' || c == 0xA0 || c == '\t' || (comma && c == ',') ||
		(dash && c == '-');
}

/* The word at c[i..n) without regard to case: length or 0. */
static int
ext_word(const uint32_t *c, int i, int n, const uint32_t *word)
{
	int			k;

	for (k = 0; word[k] != 0; k++)
		if (i + k >= n || fold(c[i + k]) != word[k])
			return 0;
	return k;
}

/* optional [:.], spaces, 1 to max digits, optional #, and nothing behind */
static bool
ext_tail(const uint32_t *c, const uint8_t *k, int i, int n, int max,
		 int *digits, int *count)
{
	int			j;

	if (i < n && (c[i] == ':' || c[i] == '.' || c[i] == 0xFF0E))
		i++;
	while (i < n && is_ext_space(c[i], true, true))
		i++;
	for (j = i; j < n && IS_DIGIT(k[j]); j++)
		;
	*digits = i;
	*count = j - i;
	if (j < n && c[j] == '#')
		j++;
	return j == n && *count >= 1 && *count <= max;
}

/*
 * Where an extension at the end of c[0..n) could begin at the earliest, or n:
 * nowhere.  Behind any label there are only a colon or full stop, spaces,
 * digits and #; and no digits before those.
 */
static int
first_extension_start(const uint32_t *c, const uint8_t *k, int n)
{
	int			i = n;
	int			gap;

	if (i > 0 && c[i - 1] == '#')
		i--;
	while (i > 0 && IS_DIGIT(k[i - 1]))
		i--;
	if (i == 0 || i == n || !IS_DIGIT(k[i]))
		return n;
	for (gap = i; gap > 0 && !IS_DIGIT(k[gap - 1]); gap--)
		;
	if (c[n - 1] == '#')
		return gap;
	for (; i > gap && is_ext_space(c[i - 1], true, true); i--)
		if (c[i - 1] == ',')
			return gap;
	if (i > gap && (c[i - 1] == ':' || c[i - 1] == '.' || c[i - 1] == 0xFF0E))
		i--;
	if (i == gap)
		return n;
	switch (fold(c[i - 1]))
	{
		case 'x':
		case 't':
		case 'n':
		case 'o':
		case '#':
		case '~':
		case ';':
		case '=':
		case ',':
		case 0x301:
		case 0xF3:
		case 0x431:
		case 0xFF03:
		case 0xFF4E:
		case 0xFF54:
		case 0xFF58:
		case 0xFF5E:
			return gap;
		default:
			return n;
	}
}

/*
 * Does an extension begin at c[start] and reach to the end?  Then its digits
 * are c[*digits .. *digits + *count).  Six forms, tried in this order.
 */
static bool
match_extension(const uint32_t *c, const uint8_t *class, int start, int n,
				int *digits, int *count)
{
	static const uint32_t ext_rfc[] = {';', 'e', 'x', 't', '=', 0};
	static const uint32_t ensi[] = {'e', 'n', 's', 'i', 0};
	static const uint32_t anexo[] = {'a', 'n', 'e', 'x', 'o', 0};
	static const uint32_t dob[] = {0x434, 0x43E, 0x431, 0};
	static const uint32_t wide_xt[] = {0xFF58, 0xFF54, 0};
	static const uint32_t intern[] = {'i', 'n', 't', 0};
	static const uint32_t wide_int[] = {0xFF49, 0xFF4E, 0xFF54, 0};
	int			i;
	int			k;
	int			len;

	/* ";ext=" */
	len = ext_word(c, start, n, ext_rfc);
	if (len > 0)
	{
		i = start + len;
		for (k = i; k < n && IS_DIGIT(class[k]); k++)
			;
		*digits = i;
		*count = k - i;
		if (k == n && *count >= 1 && *count <= 20)
			return true;
	}

	for (i = start; i < n && is_ext_space(c[i], true, false); i++)
		;

	/* explicit labels */
	len = 0;
	k = i;
	if (k < n && fold(c[k]) == 'e')
		k++;
	if (k + 1 < n && fold(c[k]) == 'x' && fold(c[k + 1]) == 't')
	{
		k += 2;
		if (ext_word(c, k, n, ensi) > 0 && k + 4 < n)
		{
			if (fold(c[k + 4]) == 0xF3)
				k += 5;
			else if (fold(c[k + 4]) == 'o')
				k += k + 5 < n && c[k + 5] == 0x301 ? 6 : 5;
		}
		if (k < n && fold(c[k]) == 'n')
			k++;
		len = k - i;
	}
	if (len == 0)
	{
		k = i;
		if (k < n && fold(c[k]) == 0xFF45)
			k++;
		if (ext_word(c, k, n, wide_xt) > 0)
		{
			k += 2;
			if (k < n && fold(c[k]) == 0xFF4E)
				k++;
			len = k - i;
		}
	}
	if (len == 0)
		len = ext_word(c, i, n, dob);
	if (len == 0)
		len = ext_word(c, i, n, anexo);
	if (len > 0 && ext_tail(c, class, i + len, n, 20, digits, count))
		return true;

	/* ambiguous labels */
	len = 0;
	if (i < n && (fold(c[i]) == 'x' || fold(c[i]) == 0xFF58 || c[i] == '#' ||
				  c[i] == 0xFF03 || c[i] == '~' || c[i] == 0xFF5E))
		len = 1;
	if (len == 0)
		len = ext_word(c, i, n, intern);
	if (len == 0)
		len = ext_word(c, i, n, wide_int);
	if (len > 0 && ext_tail(c, class, i + len, n, 9, digits, count))
		return true;

	/* American style: "- 503#" */
	for (i = start; i < n && (c[i] == '-' || c[i] == ' '); i++)
		;
	if (i > start)
	{
		for (k = i; k < n && IS_DIGIT(class[k]); k++)
			;
		*digits = i;
		*count = k - i;
		if (*count >= 1 && *count <= 6 && k == n - 1 && c[k] == '#')
			return true;
	}

	/* commas and semicolons, as in automatic dialling */
	for (i = start; i < n && is_ext_space(c[i], false, false); i++)
		;
	if (i + 1 < n && c[i] == ',' && c[i + 1] == ',' &&
		ext_tail(c, class, i + 2, n, 15, digits, count))
		return true;
	if (i < n && c[i] == ';' &&
		ext_tail(c, class, i + 1, n, 15, digits, count))
		return true;
	if (i < n && c[i] == ',')
	{
		while (i < n && c[i] == ',')
			i++;
		if (ext_tail(c, class, i, n, 9, digits, count))
			return true;
	}
	return false;
}

/*
 * libphonenumber's test whether this looks like a number: two digits alone, or
 * plus signs, three digits with separators between, then separators, digits
 * and letters, and at the end perhaps an extension.  If not, *where is the
 * first character that does not fit.
 */
static bool
looks_viable(const uint32_t *c, const uint8_t *k, int n, int *where)
{
	int			i = 0;
	int			count = 0;
	int			third;
	int			digits;
	int			ext_count;

	if (n == 2 && IS_DIGIT(k[0]) && IS_DIGIT(k[1]))
		return true;
	while (i < n && k[i] == C_PLUS)
		i++;
	for (; i < n && count < 3; i++)
	{
		if (IS_DIGIT(k[i]))
			count++;
		else if (k[i] != C_SEPARATOR && k[i] != C_STAR && k[i] != C_X)
			break;
	}
	*where = i;
	if (count < 3)
		return false;
	third = i;
	while (i < n && k[i] <= C_ALPHA && k[i] != C_PLUS)
		i++;
	*where = i;
	if (i == n)
		return true;
	/* an extension may begin anywhere after the third digit */
	i = first_extension_start(c, k, n);
	for (i = i < third ? third : i; i <= *where && i < n; i++)
		if (match_extension(c, k, i, n, &digits, &ext_count))
			return true;
	return false;
}

#if LN_PHONE_CHECKS_CONTEXT
/* Is this a value for ";phone-context=", by RFC 3966? */
static bool
is_phone_context(const uint32_t *c, int n)
{
	bool		digit = false;
	bool		last_alphabetic = false;
	int			label = 0;
	int			i;

	if (n == 0)
		return false;
	if (c[0] == '+')
	{
		/* global-number-digits: at least one digit among visual separators */
		for (i = 1; i < n; i++)
		{
			if (digit_value(c[i]) >= 0)
				digit = true;
			else if (c[i] != '-' && c[i] != '.' && c[i] != '(' && c[i] != ')')
				return false;
		}
		return digit;
	}

	/*
	 * domain name: labels of letters, digits and inner hyphens, of which the
	 * last begins with a letter; a full stop may follow it
	 */
	for (i = 0; i < n; i++)
	{
		bool		letter = c[i] < 0x80 && (c[i] | 0x20) >= 'a' &&
		(c[i] | 0x20) <= 'z';

		if (letter || digit_value(c[i]) >= 0)
		{
			if (i == label)
				last_alphabetic = letter;
		}
		else if (c[i] == '-')
		{
			if (i == label || i + 1 == n || c[i + 1] == '.')
				return false;
		}
		else if (c[i] == '.')
		{
			if (i == label)
				return false;
			if (i + 1 < n)
				label = i + 1;
		}
		else
			return false;
	}
	return last_alphabetic;
}
#endif

static void
no_trace(Trace *trace)
{
	trace->letters = 0;
	trace->dialled = false;
	trace->first_letter = -1;
	trace->loose_letters = false;
	trace->ext_start = -1;
}

/*
 * The exact core for any text.  trace is for safe mode.
 */
static bool
exact_text(const Text *input, int region, LnPhone *out, Trace *trace)
{
	const uint32_t *t = input->c;
	uint32_t	c[MAX_NUMBER];
	uint8_t		k[MAX_NUMBER];
	uint8_t		at[MAX_NUMBER];
	char		d[MAX_NUMBER];
	uint8_t		digit_at[MAX_NUMBER];
	char		extension[LN_PHONE_MAX_EXT + 1];
	int			extension_len = 0;
	Digits		digits;
	int			n = 0;
	int			context;
	int			start = 0;
	int			end = input->n;
	int			where = 0;
	int			i;
	bool		valid;

	no_trace(trace);
	context = find_ascii(t, 0, input->n, ";phone-context=");
	if (context >= 0)
	{
		int			value = context + 15;
		int			value_end = find_ascii(t, value, input->n, ";");
		int			tel;

		if (value_end < 0)
			value_end = input->n;
#if LN_PHONE_CHECKS_CONTEXT
		if (!is_phone_context(t + value, value_end - value))
		{
			fail(out, LN_PHONE_NOT_A_NUMBER, LN_PARSE_NOT_A_NUMBER,
				 value < input->n ? input->at[value] : input->end);
			return false;
		}
		if (t[value] == '+')
#else
		if (value < input->n - 1 && t[value] == '+')
#endif
		{
			for (i = value; i < value_end; i++)
			{
				c[n] = t[i];
				k[n] = input->k[i];
				at[n++] = input->at[i];
			}
		}
		tel = find_ascii(t, 0, input->n, "tel:");
		start = tel >= 0 ? tel + 4 : 0;
		/* "tel:" behind the context: the library takes all that follows */
		end = start <= context ? context : input->n;
	}
	else
	{
		/* from the first character that can begin a number ... */
		for (i = 0; i < input->n; i++)
			if (input->k[i] == C_REFUSED)
			{
				fail(out, LN_PHONE_NOT_A_NUMBER, LN_PARSE_NOT_A_NUMBER,
					 input->at[i]);
				return false;
			}
		while (start < end && input->k[start] > C_PLUS)
			start++;
		/* ... to the last letter, number or # ... */
		while (end > start && !IS_DIGIT(input->k[end - 1]) &&
			   !is_word(t[end - 1]) && t[end - 1] != '#')
			end--;
		/* ... but of two numbers "x/x" in a line only the first */
		for (i = start; i < end;)
		{
			int			line = i;
			int			cut = -1;

			for (; i < end && !(t[i] >= 0x0A && t[i] <= 0x0D) &&
				 t[i] != 0x2028 && t[i] != 0x2029; i++)
			{
				if (t[i] == '/' || t[i] == '\\')
				{
					int			x = i + 1;

					while (x < end && t[x] == ' ')
						x++;
					if (x < end && t[x] == 'x')
						cut = i;
				}
			}
			if (cut >= 0)
			{
				start = line;
				end = cut;
				break;
			}
			i++;
		}
	}
	for (i = start; i < end; i++)
	{
		c[n] = t[i];
		k[n] = input->k[i];
		at[n++] = input->at[i];
	}
	i = find_ascii(c, 0, n, ";isub=");
	if (i >= 0)
		n = i;

	if (!looks_viable(c, k, n, &where))
	{
		fail(out, LN_PHONE_NOT_A_NUMBER, LN_PARSE_NOT_A_NUMBER,
			 where < n ? at[where] : n > 0 ? at[n - 1] + 1 : input->end);
		return false;
	}
	if (region >= LN_PHONE_N_REGIONS && k[0] != C_PLUS)
	{
		fail(out, LN_PHONE_INVALID_COUNTRY_CODE,
			 LN_PARSE_INVALID_COUNTRY_CODE, at[0]);
		return false;
	}

	/* the leftmost extension, if what is left still looks like a number */
	for (i = first_extension_start(c, k, n); i < n; i++)
	{
		int			from;
		int			count;
		int			j;

		if (!match_extension(c, k, i, n, &from, &count))
			continue;
		if (looks_viable(c, k, i, &where))
		{
			for (j = 0; j < count; j++)
				extension[j] = (char) ('0' + k[from + j]);
			extension_len = count;
			trace->ext_start = at[i];
			n = i;
		}
		break;
	}

	digits.first = at[0];
	digits.end = input->end;
	for (i = 0; i < n && k[i] == C_PLUS; i++)
		;
	digits.plus = i > 0;
	start = i;
	for (; i < n; i++)
		if (IS_ALPHA(k[i]))
		{
			if (trace->letters == 0)
				trace->first_letter = at[i];
			trace->letters++;
			if ((i > start && IS_DIGIT(k[i - 1])) ||
				(i + 1 < n && IS_DIGIT(k[i + 1])))
				trace->loose_letters = true;
		}
		else if (trace->letters > 0 && IS_DIGIT(k[i]))
			trace->loose_letters = true;	/* digits behind it, anywhere */
	trace->dialled = trace->letters >= 3;
	digits.n = 0;
	for (i = start; i < n; i++)
	{
		if (!trace->dialled)
		{
			if (!IS_DIGIT(k[i]))
				continue;
			d[digits.n] = (char) ('0' + k[i]);
		}
		else if (c[i] >= '0' && c[i] <= '9')
			d[digits.n] = (char) c[i];
		else if (c[i] < 0x80 && IS_ALPHA(k[i]))
			d[digits.n] = keypad[(c[i] | 0x20) - 'a'];
		else
			continue;
		digit_at[digits.n++] = at[i];
	}
	digits.d = d;
	digits.at = digit_at;
	valid = parse_digits(&digits, region, out);
	if (out->parsed && extension_len > 0)
	{
		memcpy(out->extension, extension, extension_len);
		out->extension[extension_len] = '\0';
		out->extension_len = extension_len;
	}
	return valid;
}

/* ----------------------------------------------------------------------
 * Safe mode
 * ----------------------------------------------------------------------
 */

/* What a character is, to somebody who looks for a number in a cell. */
typedef enum Kind
{
	K_OTHER,					/* punctuation, symbols, controls */
	K_DIGIT,
	K_PLUS,
	K_DASH,
	K_DOT,
	K_SLASH,
	K_SPACE,
	K_OPEN,						/* brackets */
	K_CLOSE,
	K_FILL,						/* underscores and middle dots: separators,
								 * but in rows they mask digits */
	K_INVISIBLE,
	K_MASK,						/* stands for an unknown digit (as x and n,
								 * which are K_LATIN, may) */
	K_HASH,
	K_LATIN,					/* letters, also full-width */
	K_ASIAN,					/* letters that need no space before them */
	K_NUMERAL,					/* numbers that are not decimal digits */
	K_LETTER					/* other letters */
} Kind;

/* Lower-case ASCII of Latin letters, full-width ones too. */
static uint32_t
latin(uint32_t c)
{
	c = fold(c);
	return c >= 0xFF41 && c <= 0xFF5A ? c - 0xFF41 + 'a' : c;
}

static bool
is_asian(uint32_t c)
{
	return (c >= 0x0E00 && c <= 0x0E7F) ||	/* Thai */
		(c >= 0x1100 && c <= 0x11FF) || /* Hangul */
		(c >= 0x3005 && c <= 0x3007) ||
		(c >= 0x3040 && c <= 0x318F) || /* kana, bopomofo, Hangul */
		(c >= 0x31A0 && c <= 0x31BF) ||
		(c >= 0x31F0 && c <= 0x31FF) ||
		(c >= 0x3400 && c <= 0x9FFF) || /* Han */
		(c >= 0xAC00 && c <= 0xD7A3) ||
		(c >= 0xF900 && c <= 0xFAFF) ||
		(c >= 0xFF66 && c <= 0xFFDC) || /* half-width kana, Hangul */
		(c >= 0x20000 && c <= 0x3FFFF);
}

/* of a character that is neither a digit nor ASCII */
static Kind
kind_of(uint32_t c)
{
	switch (c)
	{
		case 0xFF0B:
			return K_PLUS;
		case 0x00AF:			/* macron */
		case 0x02D7:
		case 0x058A:
		case 0x05BE:
		case 0x1400:
		case 0x1806:
		case 0x2010:
		case 0x2011:
		case 0x2012:
		case 0x2013:
		case 0x2014:
		case 0x2015:
		case 0x203E:
		case 0x2043:
		case 0x2053:
		case 0x207B:
		case 0x208B:
		case 0x2212:
		case 0x223C:
		case 0x23AF:
		case 0x2500:			/* box drawing */
		case 0x2501:
		case 0x2796:
		case 0x2E17:
		case 0x2E1A:
		case 0x2E3A:
		case 0x2E3B:
		case 0x2E40:
		case 0x2E5D:
		case 0x301C:			/* wave dash */
		case 0x3030:
		case 0x30A0:
		case 0x30FC:			/* long vowel marks */
		case 0xFE31:
		case 0xFE32:
		case 0xFE58:
		case 0xFE63:
		case 0xFF0D:
		case 0xFF5E:
		case 0xFF70:
		case 0xFFE3:
			return K_DASH;
		case 0x2024:
		case 0x3002:
		case 0xFE52:
		case 0xFF0E:
		case 0xFF61:
			return K_DOT;
		case 0x2044:
		case 0x2215:
		case 0xFF0F:
			return K_SLASH;
		case 0x0085:
		case 0x00A0:
		case 0x1680:
		case 0x2028:
		case 0x2029:
		case 0x202F:
		case 0x205F:
		case 0x2800:
		case 0x3000:
			return K_SPACE;
		case 0x2768:
		case 0x300A:
		case 0x300C:
		case 0x300E:
		case 0x3008:
		case 0x3010:
		case 0x3014:
		case 0x3016:
		case 0x3018:
		case 0xFE59:
		case 0xFF08:
		case 0xFF1C:
		case 0xFF3B:
		case 0xFF5B:
		case 0xFF62:
			return K_OPEN;
		case 0x2769:
		case 0x300B:
		case 0x300D:
		case 0x300F:
		case 0x3009:
		case 0x3011:
		case 0x3015:
		case 0x3017:
		case 0x3019:
		case 0xFE5A:
		case 0xFF09:
		case 0xFF1E:
		case 0xFF3D:
		case 0xFF5D:
		case 0xFF63:
			return K_CLOSE;
		case 0x00B7:
		case 0x0387:
		case 0x2017:
		case 0x203F:
		case 0x2022:
		case 0x2027:
		case 0x2219:
		case 0x22C5:
		case 0x30FB:
		case 0xFE33:
		case 0xFE34:
		case 0xFE4D:
		case 0xFE4E:
		case 0xFE4F:
		case 0xFF3F:
		case 0xFF65:
			return K_FILL;
		case 0x00AD:			/* soft hyphen */
		case 0x034F:
		case 0x061C:
		case 0x115F:			/* Hangul fillers */
		case 0x1160:
		case 0x17B4:
		case 0x17B5:
		case 0x180E:
		case 0x20E3:			/* the frame of a keycap */
		case 0x3164:
		case 0xFEFF:
		case 0xFFA0:
			return K_INVISIBLE;
		case 0x00D7:			/* multiplication signs */
		case 0x2026:			/* ellipses */
		case 0x204E:
		case 0x2217:
		case 0x22EF:
		case 0x2573:
		case 0x25A0:			/* squares, circles and the like */
		case 0x25A1:
		case 0x25B2:
		case 0x25B3:
		case 0x25BC:
		case 0x25BD:
		case 0x25C6:
		case 0x25C7:
		case 0x25CB:
		case 0x25CE:
		case 0x25CF:
		case 0x25EF:
		case 0x25FB:
		case 0x25FC:
		case 0x25FD:
		case 0x25FE:
		case 0x2605:
		case 0x2606:
		case 0x2613:
		case 0x26AA:
		case 0x26AB:
		case 0x2715:
		case 0x2716:
		case 0x2731:
		case 0x274C:
		case 0x2753:
		case 0x2754:
		case 0x2A2F:
		case 0x2B1B:
		case 0x2B1C:
		case 0x2B24:
		case 0x2B55:
		case 0xFE56:
		case 0xFE61:
		case 0x1F534:
		case 0x1F535:
		case 0xFF0A:
		case 0xFF1F:
			return K_MASK;
		case 0xFF03:
			return K_HASH;
		case 0x3007:			/* Han numerals */
		case 0x4E00:
		case 0x4E8C:
		case 0x4E09:
		case 0x56DB:
		case 0x4E94:
		case 0x516D:
		case 0x4E03:
		case 0x516B:
		case 0x4E5D:
		case 0x5341:
		case 0x96F6:
			return K_NUMERAL;
		default:
			break;
	}
	if (is_asian(c))
		return K_ASIAN;
	if (c >= 0x2000 && c <= 0x200A)
		return K_SPACE;
	if ((c >= 0x200B && c <= 0x200F) || (c >= 0x202A && c <= 0x202E) ||
		(c >= 0x2060 && c <= 0x206F) || (c >= 0xFE00 && c <= 0xFE0F) ||
		(c >= 0xE0000 && c <= 0xE0FFF))
		return K_INVISIBLE;
	if (!is_word(c))
		return K_OTHER;
	if (latin(c) < 0x80)
		return K_LATIN;
	if ((c >= 0x00B2 && c <= 0x00BE) || (c >= 0x2070 && c <= 0x218B) ||
		(c >= 0x2460 && c <= 0x249B) || (c >= 0x24EA && c <= 0x24FF) ||
		(c >= 0x2776 && c <= 0x2793) || (c >= 0x3021 && c <= 0x3029) ||
		(c >= 0x3220 && c <= 0x3229) || (c >= 0x3280 && c <= 0x3289))
		return K_NUMERAL;
	return K_LETTER;
}

/* the same for ASCII */
#define OO K_OTHER
#define SP K_SPACE
#define LL K_LATIN
#define DD K_DIGIT

static const uint8_t ascii_kind[128] = {
	OO, OO, OO, OO, OO, OO, OO, OO, OO, SP,
	SP, SP, SP, SP, OO, OO, OO, OO, OO, OO,
	OO, OO, OO, OO, OO, OO, OO, OO, OO, OO,
	OO, OO, SP, OO, OO, K_HASH, OO, OO, OO, OO,
	K_OPEN, K_CLOSE, K_MASK, K_PLUS, OO, K_DASH, K_DOT, K_SLASH, DD, DD,
	DD, DD, DD, DD, DD, DD, DD, DD, OO, OO,
	K_OPEN, OO, K_CLOSE, K_MASK, OO, LL, LL, LL, LL, LL,
	LL, LL, LL, LL, LL, LL, LL, LL, LL, LL,
	LL, LL, LL, LL, LL, LL, LL, LL, LL, LL,
	LL, K_OPEN, OO, K_CLOSE, OO, K_FILL, OO, LL, LL, LL,
	LL, LL, LL, LL, LL, LL, LL, LL, LL, LL,
	LL, LL, LL, LL, LL, LL, LL, LL, LL, LL,
LL, LL, LL, K_OPEN, OO, K_CLOSE, K_DASH, OO};

#undef OO
#undef SP
#undef LL
#undef DD

static bool
is_gap(Kind k)
{
	return k == K_DASH || k == K_DOT || k == K_SLASH || k == K_SPACE ||
		k == K_OPEN || k == K_CLOSE || k == K_FILL || k == K_PLUS;
}

/*
 * A text made easy: invisible characters dropped, separators of every kind
 * replaced by ones that the core knows.
 */
typedef struct Clean
{
	Text		easy;
	uint32_t	c[LN_PHONE_MAX_CHARS];
	uint8_t		k[LN_PHONE_MAX_CHARS];
	uint8_t		at[LN_PHONE_MAX_CHARS];
	uint8_t		kind[LN_PHONE_MAX_CHARS];	/* of the original character */
	int			first_change;	/* index here, or n: nothing changed */
	int			n_digits;
	int			first_digit;	/* index, -1 = none */
	int			last_digit;
	int			dots;
	bool		suspicious;		/* has characters that could mask digits */
} Clean;

static void
clean_text(const Text *input, Clean *clean)
{
	int			n = 0;
	int			i;

	clean->first_change = -1;
	clean->n_digits = 0;
	clean->first_digit = -1;
	clean->last_digit = -1;
	clean->dots = 0;
	clean->suspicious = false;
	for (i = 0; i < input->n; i++)
	{
		uint32_t	c = input->c[i];
		uint8_t		k = input->k[i];
		Kind		kind = IS_DIGIT(k) ? K_DIGIT :
		c < 0x80 ? (Kind) ascii_kind[c] : kind_of(c);

		if (kind == K_INVISIBLE)
		{
			if (clean->first_change < 0)
				clean->first_change = n;
			continue;
		}
		if (k != C_SEPARATOR || kind == K_DASH)
		{
			uint32_t	plain = c;

			switch (kind)
			{
				case K_DASH:
					/* a tilde can announce an extension, a dash cannot */
					if (k != C_SEPARATOR || c == '~' || c == 0x2053 ||
						c == 0x223C)
						plain = '-';
					break;
				case K_FILL:
					plain = '-';
					break;
				case K_DOT:
					plain = '.';
					break;
				case K_SLASH:
					plain = '/';
					break;
				case K_SPACE:
					plain = ' ';
					break;
				case K_OPEN:
					plain = '(';
					break;
				case K_CLOSE:
					plain = ')';
					break;
				default:
					break;
			}
			if (plain != c)
			{
				c = plain;
				k = C_SEPARATOR;
			}
		}
		if (c != input->c[i] && clean->first_change < 0)
			clean->first_change = n;
		if (kind == K_DIGIT)
		{
			if (clean->first_digit < 0)
				clean->first_digit = n;
			clean->last_digit = n;
			clean->n_digits++;
		}
		else if (kind == K_DOT)
			clean->dots++;
		else if (kind == K_MASK || kind == K_HASH || kind == K_FILL ||
				 kind == K_LATIN)
			clean->suspicious = true;
		clean->c[n] = c;
		clean->k[n] = k;
		clean->at[n] = input->at[i];
		clean->kind[n] = (uint8_t) kind;
		n++;
	}
	if (clean->first_change < 0)
		clean->first_change = n;
	clean->easy.c = clean->c;
	clean->easy.k = clean->k;
	clean->easy.at = clean->at;
	clean->easy.n = n;
	clean->easy.end = input->end;
}

/*
 * Index of a character that stands for an unknown digit, or -1.  A single x
 * may also announce an extension, a single star or circle may be a bullet.
 */
static int
find_mask(const Clean *clean, const Trace *trace)
{
	const uint8_t *kind = clean->kind;
	int			n = clean->easy.n;
	int			i;

	if (!clean->suspicious)
		return -1;
	for (i = 0; i < n;)
	{
		int			begin = i;
		int			left;
		int			right;
		int			len;
		int			xs = 0;
		int			ns = 0;
		bool		bullet;

		if (kind[i] == K_FILL)
		{
			/* one is a separator; a row of them hides digits */
			while (i < n && kind[i] == K_FILL)
				i++;
			len = i - begin;
			if (len >= 3 ||
				(len == 2 && ((begin > 0 && kind[begin - 1] == K_DASH) ||
							  (i < n && kind[i] == K_DASH))))
			{
				if (begin > clean->first_digit && i <= clean->last_digit)
					return begin;
			}
			if (len >= 2 && clean->n_digits > 0 && begin > clean->last_digit)
			{
				/*
				 * the last digits, unless it leads to a word, or goes around
				 */
				for (left = begin - 1; is_gap(kind[left]); left--)
					;
				for (right = i; right < n && is_gap(kind[right]); right++)
					;
				if (kind[left] == K_DIGIT &&
					(right == n || kind[right] < K_LATIN) &&
					(clean->first_digit == 0 ||
					 kind[clean->first_digit - 1] != K_FILL))
					return begin;
			}
			continue;
		}
		for (; i < n; i++)
		{
			uint32_t	c = latin(clean->c[i]);

			if (kind[i] == K_LATIN && c == 'x')
				xs++;
			else if (kind[i] == K_LATIN && c == 'n')
				ns++;
			else if (kind[i] != K_MASK && kind[i] != K_HASH)
				break;
		}
		len = i - begin;
		if (len == 0)
		{
			/* the rest of a word cannot begin a mask */
			if (kind[i] == K_LATIN)
				while (i < n && kind[i] == K_LATIN)
					i++;
			else
				i++;
			continue;
		}
		if (xs + ns > 0 && i < n && kind[i] == K_LATIN)
		{
			while (i < n && kind[i] == K_LATIN)
				i++;
			continue;
		}
		if (len == 1 && (ns > 0 || kind[begin] == K_HASH))
			continue;

		for (left = begin - 1; left >= 0 && (is_gap(kind[left]) ||
											 clean->c[left] == '\\'); left--)
			;
		for (right = i; right < n && is_gap(kind[right]); right++)
			;
		if (left >= 0 && kind[left] != K_DIGIT)
			left = -1;
		if (right < n && kind[right] != K_DIGIT)
			right = n;
		if (left < 0 && right == n)
			continue;			/* not among digits */
		if (len >= 2)
			return begin;
		if (xs > 0 && trace->ext_start >= 0 &&
			clean->at[begin] >= trace->ext_start)
			continue;
		if (left >= 0 && right < n)
		{
			/* "x302/x2303": two extensions */
			for (left = begin - 1; clean->c[left] == ' '; left--)
				;
			if (xs > 0 && (clean->c[left] == '/' || clean->c[left] == '\\'))
				continue;
			return begin;
		}
		/* a masked first digit would have hidden the 0 or the plus sign */
		bullet = right < n && (clean->k[right] == 0 || kind[i] == K_PLUS);
		if ((left >= 0 && left == begin - 1) ||
			(right < n && right == i && !bullet))
			return begin;
	}
	return -1;
}

/*
 * Do the digits have the shape of a date or of an IP address?  The name of the
 * rule, or NULL.
 */
static const char *
find_shape(const Clean *clean)
{
	int			value[5];
	int			len[5];
	Kind		sep[5];
	int			groups = 0;
	int			i;

	if (clean->n_digits < 4 || clean->n_digits > 14 ||
		(clean->n_digits > 8 && clean->dots < 3) ||
		(clean->first_digit > 0 &&
		 clean->kind[clean->first_digit - 1] == K_PLUS))
		return NULL;
	for (i = clean->first_digit; i <= clean->last_digit;)
	{
		value[groups] = 0;
		len[groups] = 0;
		for (; i <= clean->last_digit && clean->kind[i] == K_DIGIT; i++)
		{
			if (++len[groups] > 4)
				return NULL;
			value[groups] = value[groups] * 10 + clean->k[i];
		}
		groups++;
		if (i > clean->last_digit)
			break;
		if (groups == LENGTH_OF(sep))
			return NULL;
		sep[groups] = K_OTHER;
		for (; clean->kind[i] != K_DIGIT; i++)
		{
			if (clean->kind[i] == K_SPACE)
				continue;
			if ((sep[groups] != K_OTHER &&
				 sep[groups] != (Kind) clean->kind[i]) ||
				(clean->kind[i] != K_DASH && clean->kind[i] != K_DOT &&
				 clean->kind[i] != K_SLASH && clean->kind[i] != K_FILL))
				return NULL;
			sep[groups] = (Kind) clean->kind[i];
		}
		if (sep[groups] == K_OTHER)
			return NULL;
	}
	if (groups == 3 && sep[1] == sep[2])
	{
		int			year = len[0] == 4 ? 0 : 2;
		int			a = year == 0 ? 1 : 0;
		int			b = year == 0 ? 2 : 1;
		int			low = value[a] < value[b] ? value[a] : value[b];
		int			high = value[a] < value[b] ? value[b] : value[a];

		/* year, month, day; or with the year at the end, in either order */
		if (len[year] == 4 && value[year] >= 1900 && value[year] <= 2099 &&
			len[a] <= 2 && len[b] <= 2 && low >= 1 && low <= 12 &&
			high <= 31 && (year == 2 || value[1] <= 12))
			return "date";
	}
	if (groups >= 4 && sep[1] == K_DOT && sep[2] == K_DOT && sep[3] == K_DOT &&
		value[0] <= 255 && value[1] <= 255 && value[2] <= 255 &&
		value[3] <= 255 && len[0] <= 3 && len[1] <= 3 && len[2] <= 3 &&
		len[3] <= 3 &&
		(groups == 4 || (sep[4] == K_SLASH && value[4] <= 32)))
		return "ip_address";
	return NULL;
}

/* The digits of a text without letters; false if there is anything else. */
static bool
collect_digits(const Text *input, char *d, uint8_t *at, Digits *digits)
{
	const uint8_t *k = input->k;
	int			i = 0;
	int			n = 0;

	while (i < input->n && k[i] > C_PLUS)
		i++;
	if (i == input->n)
		return false;
	digits->first = input->at[i];
	digits->end = input->end;
	digits->plus = k[i] == C_PLUS;
	while (i < input->n && k[i] == C_PLUS)
		i++;
	for (; i < input->n; i++)
	{
		if (IS_DIGIT(k[i]))
		{
			d[n] = (char) ('0' + k[i]);
			at[n++] = input->at[i];
		}
		else if (k[i] == C_PLUS && n > 0)
		{
			/* "+81 +81 90 ...": the calling code twice, which is seen later */
			const PhoneCode *code = extract_code(d, n);

			if (code == NULL || code->len != n)
				return false;
			digits->plus = true;
		}
		else if (k[i] != C_SEPARATOR)
		{
			/* what follows the last digit does not matter, unless a word */
			for (; i < input->n; i++)
				if (is_word(input->c[i]))
					return false;
			break;
		}
	}
	digits->d = d;
	digits->at = at;
	digits->n = n;
	return n >= 3;
}

/* No number: *out says why, and keeps nothing that could be taken for one. */
static bool
refuse(LnPhone *out, LnPhoneStatus status, const char *rule, int position)
{
	LnPhoneParseError error = out->parse_error;

	fail(out, status, error, position);
	out->rule = rule;
	return false;
}

/*
 * The last word on a valid number.  Refused are the Japanese carrier codes
 * 00XY (toll-free numbers to libphonenumber, but nobody can be reached by
 * "+8100..."), and the few numbers whose E.164 text reads as another number.
 */
static bool
confirm(LnPhone *out)
{
	const PhoneCode *code;
	const PhonePlan *plan;
	int			index;

	if (out->country_code == 81 && out->national[0] == '0' &&
		out->national[1] == '0')
		return refuse(out, LN_PHONE_NOT_VALID, "jp_carrier_code", 0);

	index = phone_code_index[out->country_code] - 1;
	code = &phone_codes[index];
	plan = &phone_plans[phone_code_plans[code->first]];
	if (plan->prefix != 0)
	{
		char		buf[LN_PHONE_MAX_NSN + MAX_TRANSFORM];
		const char *rest = out->national;
		int			rest_n = out->national_len;

		strip_national_prefix(plan, &rest, &rest_n, buf);
		if (rest != out->national &&
			(length_is_possible(plan, rest_n) ||
			 length_is_too_long(plan, rest_n)) &&
			(rest_n != out->national_len ||
			 memcmp(rest, out->national, rest_n) != 0))
			return refuse(out, LN_PHONE_AMBIGUOUS, "not_a_fixed_point", 0);
	}
	return true;
}

/* Is this part of a text alone a valid number of at least so many digits? */
static bool
part_is_number(const Clean *clean, int from, int to,
			   int min_digits, int region)
{
	Text		part;
	Trace		trace;
	LnPhone		phone;
	int			digits = 0;
	int			i;

	for (i = from; i < to; i++)
		digits += clean->kind[i] == K_DIGIT;
	if (digits < min_digits)
		return false;
	part.c = clean->c + from;
	part.k = clean->k + from;
	part.at = clean->at + from;
	part.n = to - from;
	part.end = clean->easy.end;
	return exact_text(&part, region, &phone, &trace) && !trace.dialled &&
		!trace.loose_letters;
}

/*
 * Two numbers in one cell: the index where the second one begins, or -1.
 * Anything that cannot stand inside of a number, a slash and a plus sign
 * divide clearly; spaces and brackets only between longer numbers.
 */
static int
find_second_number(const Clean *clean, int region)
{
	enum
	{
		MAX_CUTS = 16,			/* a cell with more is no number anyway */
		MIN_CLEAR = 7,			/* digits on either side */
		MIN_SPACE = 8
	};
	int			left[MAX_CUTS];
	int			right[MAX_CUTS];
	bool		clear[MAX_CUTS];
	int			cuts = 0;
	int			i;
	int			k;
	int			m;

	if (clean->n_digits < 2 * MIN_CLEAR)
		return -1;
	for (i = clean->first_digit + 1; i < clean->last_digit && cuts < MAX_CUTS;)
	{
		int			begin = i;
		bool		strong = false;

		for (; i < clean->last_digit; i++)
		{
			Kind		kind = (Kind) clean->kind[i];

			if (kind == K_DIGIT || kind == K_DASH || kind == K_DOT ||
				kind == K_FILL)
				break;
			if (kind != K_SPACE && kind != K_OPEN && kind != K_CLOSE)
			{
				strong = true;
				if (kind == K_PLUS)
					break;
			}
		}
		if (i == begin && clean->kind[i] != K_PLUS)
		{
			i++;
			continue;
		}
		left[cuts] = begin;
		right[cuts] = i;
		clear[cuts] = strong;
		cuts++;
		if (clean->kind[i] == K_PLUS)
			i++;
	}
	for (i = 0; i < cuts; i++)
	{
		int			min = clear[i] ? MIN_CLEAR : MIN_SPACE;
		bool		found = part_is_number(clean, 0, left[i], min, region);

		for (k = 0; !found && k < i; k++)
			if (clear[k] && right[k] < left[i])
				found = part_is_number(clean, right[k], left[i], min, region);
		if (!found)
			continue;
		/* with what stands behind it, or without: a note */
		if (part_is_number(clean, right[i], clean->easy.n, min, region) ||
			part_is_number(clean, right[i], clean->last_digit + 1, min,
						   region))
			return right[i];
		for (m = i + 1; m < cuts; m++)
			if (clear[m] && right[i] < left[m] &&
				part_is_number(clean, right[i], left[m], min, region))
				return right[i];
	}
	return -1;
}

/* A letter that looks like a 0 or 1, or a Han numeral. */
static bool
is_lookalike(const Clean *clean, int i)
{
	switch (latin(clean->c[i]))
	{
		case 'i':
		case 'l':
		case 'o':
		case 'q':
		case 0x039F:			/* Greek */
		case 0x03BF:
		case 0x0406:			/* Cyrillic */
		case 0x043E:
		case 0x0456:
			return true;
		default:
			return clean->kind[i] == K_NUMERAL &&
				clean->c[i] >= 0x3007 && clean->c[i] <= 0x9FFF &&
				!(clean->c[i] >= 0x3021 && clean->c[i] <= 0x3289);
	}
}

/* A single one of them right before the first digit. */
static bool
begins_with_lookalike(const Clean *clean)
{
	int			i = clean->first_digit;

	if (i < 1 || clean->kind[i - 1] < K_LATIN)
		return false;
	if (i >= 2 && clean->kind[i - 2] >= K_LATIN)
		return false;			/* the end of a word */
	return is_lookalike(clean, i - 1);
}

/* Does the text begin with the calling code of its own region? */
static inline bool
begins_with_own_code(const Digits *digits, int region)
{
	const PhoneCode *code;

	if (digits->plus || region >= LN_PHONE_N_REGIONS)
		return false;
	code = &phone_codes[phone_plans[region].code];
	return digits->d[0] == code->digits[0] && digits->n >= code->len &&
		memcmp(digits->d, code->digits, code->len) == 0;
}

/* The same, and also 00, from a look at the first digits only. */
static bool
may_lack_plus(const Clean *clean, int region)
{
	int			i = clean->first_digit;
	int			first;

	if (i < 0)
		return false;
	first = clean->k[i];
	if (first != 0)
		return region < LN_PHONE_N_REGIONS &&
			phone_codes[phone_plans[region].code].digits[0] == '0' + first;
	for (i++; i < clean->last_digit && !IS_DIGIT(clean->k[i]); i++)
		;
	return i <= clean->last_digit && clean->k[i] == 0;
}

/*
 * Refusals of a valid answer, from the text that it was read from.
 */
static bool
accept(const Text *input, const Clean *clean, const Trace *trace, int region,
	   LnPhone *out)
{
	char		d[LN_PHONE_MAX_CHARS];
	uint8_t		at[LN_PHONE_MAX_CHARS];
	Digits		digits;
	LnPhone		other;
	int			second;

	if (trace->dialled || trace->loose_letters)
		return refuse(out, LN_PHONE_LETTERS, "letters", trace->first_letter);
	second = find_second_number(clean, region);
	if (second >= 0)
		return refuse(out, LN_PHONE_MULTIPLE, "two_numbers",
					  clean->at[second]);

	/*
	 * 00 is the international prefix to most people, whatever the region
	 * dials; and a number that begins with the region's calling code may lack
	 * the plus sign only.
	 */
	if (may_lack_plus(clean, region) &&
		collect_digits(input, d, at, &digits) && !digits.plus &&
		((d[0] == '0' && d[1] == '0' && d[2] != '0') ||
		 begins_with_own_code(&digits, region)))
	{
		int			skip = d[0] == '0' ? 2 : 0;
		int			first = digits.first;

		/* without the extension, which a tilde may announce */
		while (trace->ext_start >= 0 && digits.n > skip + 1 &&
			   digits.at[digits.n - 1] >= trace->ext_start)
			digits.n--;

		digits.d += skip;
		digits.at += skip;
		digits.n -= skip;
		digits.plus = true;
		if (parse_digits(&digits, region, &other) &&
			strcmp(other.e164, out->e164) != 0)
			return refuse(out, LN_PHONE_AMBIGUOUS, "two_readings", first);
	}
	return confirm(out);
}

/*
 * Words that announce an extension where libphonenumber knows none:
 * Japanese, simplified and traditional Chinese, Thai, Korean.
 */
static const uint32_t ext_words[][4] = {
	{0x5185, 0x7DDA, 0},		/* naisen */
	{0x5185, 0x7EBF, 0},
	{0x5167, 0x7DDA, 0},
	{0x5206, 0x6A5F, 0},		/* fenji */
	{0x5206, 0x673A, 0},
	{0x8F49, 0},				/* zhuan */
	{0x8F6C, 0},
	{0x8EE2, 0},
	{0x0E15, 0x0E48, 0x0E2D, 0},	/* to */
	{0xB0B4, 0xC120, 0},		/* naeseon */
	{'e', 'x', 't', 0},
	{'t', 'e', 0}
};

/*
 * Cuts an annotation off the end: bracketed, or words behind the number.
 * Returns the new length, or -1.  Digits are allowed in it only as an
 * extension behind a word for one, or a few in brackets.
 */
static int
cut_annotation(const Clean *clean, char *extension, int *extension_len)
{
	enum
	{
		MAX_EXT_DIGITS = 8,
		MAX_NOTE_DIGITS = 4
	};
	const uint8_t *kind = clean->kind;
	int			n = clean->easy.n;
	int			digits = 0;
	int			last = -1;
	int			tail_digits = 0;
	bool		apart = false;
	bool		bracket = false;
	int			i = 0;
	int			k;
	int			w;

	*extension_len = 0;
	while (i < n && kind[i] != K_DIGIT && kind[i] != K_PLUS)
		i++;
	for (; i < n; i++)
	{
		if (kind[i] == K_DIGIT)
		{
			digits++;
			last = i;
		}
		else if (kind[i] == K_OPEN && digits >= MIN_ANNOTATED)
		{
			bool		words = false;
			bool		inside = false;

			/*
			 * Brackets with words in them are no part of the number.  If they
			 * are not closed, who knows whose the digits in them are.
			 */
			for (k = i + 1; k < n && kind[k] != K_CLOSE && kind[k] != K_OPEN;
				 k++)
			{
				words |= kind[k] >= K_LATIN;
				inside |= kind[k] == K_DIGIT && !words;
			}
			if (words && k < n && kind[k] == K_CLOSE)
				break;
			if (words && inside)
				return -1;
		}
		else if (kind[i] == K_PLUS ? digits > 0 : clean->k[i] != C_SEPARATOR)
			break;
	}
	if (i == n || digits < MIN_ANNOTATED)
		return -1;
	for (k = last + 1; k < n && kind[k] < K_LATIN; k++)
	{
		if (kind[k] == K_DIGIT)
		{
			if (!bracket)
				return -1;
			break;
		}
		if (kind[k] == K_OPEN)
			bracket = true;
		else if (kind[k] != K_DASH && kind[k] != K_DOT && kind[k] != K_FILL)
			apart = true;
		if (kind[k] == K_PLUS || kind[k] == K_MASK)
			return -1;
	}
	if (k == n)
		return -1;
	apart |= bracket;
	if (kind[k] != K_ASIAN && !apart)
		return -1;
	/* "090 1234 567 O" */
	if (!bracket && is_lookalike(clean, k) &&
		(k + 1 == n || kind[k + 1] < K_LATIN ||
		 (kind[k] == K_LATIN && kind[k + 1] != K_LATIN)))
		return -1;
	/* "61234567@qq.com": an e-mail address */
	if (kind[k] == K_LATIN && k == last + 2 &&
		(clean->c[last + 1] == '@' || clean->c[last + 1] == 0xFF20))
		return -1;
	for (i = k; i < n; i++)
		tail_digits += kind[i] == K_DIGIT;
	if (tail_digits == 0)
		return last + 1;

	for (w = 0; w < LENGTH_OF(ext_words); w++)
	{
		int			len = ext_word(clean->c, k, n, ext_words[w]);

		if (len == 0)
			continue;
		for (i = k + len; i < n && kind[i] != K_DIGIT; i++)
			;
		if (i > k + len + 4)
			continue;			/* too far from the word */
		for (k = i; k < n && kind[k] == K_DIGIT; k++)
		{
			if (*extension_len == MAX_EXT_DIGITS)
				return -1;
			extension[(*extension_len)++] =
				(char) ('0' + clean->k[k]);
		}
		if (*extension_len != tail_digits)
		{
			*extension_len = 0;
			return -1;
		}
		return last + 1;
	}
	return bracket && tail_digits <= MAX_NOTE_DIGITS ? last + 1 : -1;
}

/*
 * One reading of digits, without the first skip of them.  If it is not a
 * number, the calling code may have been written twice.
 */
static bool
read_digits(const Digits *all, int skip, bool plus, int region, LnPhone *out,
			bool *doubled)
{
	Digits		digits = *all;
	const PhoneCode *code;

	*doubled = false;
	digits.d += skip;
	digits.at += skip;
	digits.n -= skip;
	digits.plus = plus;
	if (parse_digits(&digits, region, out))
		return true;
	if (plus)
		code = extract_code(digits.d, digits.n);
	else if (region < LN_PHONE_N_REGIONS)
		code = &phone_codes[phone_plans[region].code];
	else
		code = NULL;
	if (code == NULL || digits.n < 2 * code->len ||
		memcmp(digits.d, code->digits, code->len) != 0 ||
		memcmp(digits.d + code->len, code->digits, code->len) != 0)
		return false;
	digits.d += code->len;
	digits.at += code->len;
	digits.n -= code->len;
	digits.plus = true;
	*doubled = true;
	return parse_digits(&digits, region, out);
}

/*
 * Another reading for the digits of a text that is no number as it stands.
 * The first one found goes to *out; a second, different one makes the text
 * ambiguous.
 */
static void
try_reading(const Digits *digits, int skip, bool plus, int region,
			int text_rule, int rule, int rule_doubled, LnPhone *out,
			bool *found)
{
	LnPhone		reading;
	bool		doubled;

	if (!read_digits(digits, skip, plus, region, &reading, &doubled))
		return;
	if (!doubled && rule == DIGITS_AS_IS)
		return;					/* nothing was rescued */
	if (!*found)
	{
		*out = reading;
		out->rule = rule_names[text_rule][doubled ? rule_doubled : rule];
		*found = true;
	}
	else if (strcmp(reading.e164, out->e164) != 0)
		refuse(out, LN_PHONE_AMBIGUOUS, "two_readings", digits->first);
}

/*
 * Rescues by the digits alone.  True if there was a reading, which may yet be
 * refused.
 */
static bool
rescue_digits(const Text *input, int region, int text_rule, LnPhone *out)
{
	char		d[LN_PHONE_MAX_CHARS];
	uint8_t		at[LN_PHONE_MAX_CHARS];
	Digits		digits;
	bool		japan = region < LN_PHONE_N_REGIONS &&
	strcmp(phone_plans[region].region, "JP") == 0;
	bool		found = false;
	int			carrier = 0;

	if (!collect_digits(input, d, at, &digits) || digits.n < 8)
		return false;

	/* 0081 90 ...: as everybody writes it, whatever the region dials */
	if (d[0] == '0' && d[1] == '0' && d[2] != '0')
		try_reading(&digits, 2, true, region, text_rule, DIGITS_LEADING_00,
					DIGITS_LEADING_00_DOUBLED, out, &found);

	/* 184 and 186 hide and show the caller's number */
	if (japan && !digits.plus && d[0] == '1' && d[1] == '8' &&
		(d[2] == '4' || d[2] == '6') && d[3] == '0')
		try_reading(&digits, 3, false, region, text_rule, DIGITS_184_186,
					DIGITS_184_186, out, &found);

	/* 0033-010-, 001-010-, 009120-010-: a carrier, then abroad */
	if (japan && !digits.plus && d[0] == '0' && d[1] == '0')
	{
		if (d[2] == '1')
			carrier = 3;
		else if (d[2] == '9' && d[3] == '1')
			carrier = 6;
		else if (d[2] != '0')
			carrier = 4;
		if (carrier > 0 && digits.n > carrier + 3 &&
			memcmp(d + carrier, "010", 3) == 0)
			try_reading(&digits, carrier + 3, true, region, text_rule,
						DIGITS_CARRIER_010, DIGITS_CARRIER_010_DOUBLED, out,
						&found);
	}

	/* 0033-03-...: through a carrier to Tokyo, or to France? */
	if (found && carrier > 0 && digits.n > carrier && d[carrier] == '0')
		try_reading(&digits, carrier, false, region, text_rule,
					DIGITS_LEADING_00, DIGITS_LEADING_00_DOUBLED, out, &found);

	/* +81 81 90 ...; as it stands it is no number, so it must be doubled */
	if (!(d[0] == '0' && d[1] == '0'))
		try_reading(&digits, 0, digits.plus, region, text_rule, DIGITS_AS_IS,
					DIGITS_DOUBLED, out, &found);

	if (found && out->valid)
	{
		const char *rule = out->rule;

		if (confirm(out))
			out->rule = rule;
	}
	return found;
}

/*
 * Safe mode: refusals, the core, refusals of its answer, rescues.  simple: the
 * text has digits and separators only, and *out has the exact answer already.
 */
static bool
safe_text(const Text *input, int region, bool simple, LnPhone *out)
{
	Clean		clean;
	Trace		trace;
	Trace		clean_trace;
	LnPhone		first;
	Text		part;
	char		extension[LN_PHONE_MAX_EXT + 1];
	int			extension_len;
	const char *shape;
	bool		valid;
	int			text_rule = TEXT_AS_IS;
	int			i;

	if (simple)
	{
		valid = out->valid;
		no_trace(&trace);
	}
	else
		valid = exact_text(input, region, out, &trace);
	clean_text(input, &clean);

	i = find_mask(&clean, &trace);
	if (i >= 0)
		return refuse(out, LN_PHONE_MASKED, "mask", clean.at[i]);
	shape = find_shape(&clean);
	if (shape != NULL)
		return refuse(out, LN_PHONE_NOT_A_NUMBER, shape,
					  clean.at[clean.first_digit]);
	if (begins_with_lookalike(&clean))
		return refuse(out, LN_PHONE_LETTERS, "letters",
					  clean.at[clean.first_digit - 1]);
	if (valid)
		return accept(input, &clean, &trace, region, out);

	first = *out;
	if (clean.n_digits == 0 ||
		find_ascii(input->c, 0, input->n, ";phone-context=") >= 0)
		goto no_number;

	/* (a) other separators, and characters that nobody sees */
	if (clean.first_change < clean.easy.n)
	{
		text_rule = TEXT_SEPARATORS;
		if (exact_text(&clean.easy, region, out, &clean_trace))
		{
			if (accept(&clean.easy, &clean, &clean_trace, region, out))
				out->rule = rule_names[text_rule][DIGITS_AS_IS];
			return out->valid;
		}
		if (first.status == LN_PHONE_NOT_A_NUMBER)
			first = *out;
		if (clean_trace.loose_letters)
			trace = clean_trace;
	}
	i = find_second_number(&clean, region);
	if (i >= 0)
		return refuse(out, LN_PHONE_MULTIPLE, "two_numbers", clean.at[i]);
	if (trace.loose_letters)
		return refuse(out, LN_PHONE_LETTERS, "letters", trace.first_letter);

	/* (b) annotations and extensions behind the number */
	part = clean.easy;
	i = cut_annotation(&clean, extension, &extension_len);
	if (i >= 0)
	{
		part.n = i;
		if (clean.first_change >= i)
			text_rule = TEXT_AS_IS;
		if (extension_len > 0)
			text_rule = text_rule == TEXT_AS_IS ? TEXT_EXTENSION :
				TEXT_SEPARATORS_EXTENSION;
		else
			text_rule = text_rule == TEXT_AS_IS ? TEXT_ANNOTATION :
				TEXT_SEPARATORS_ANNOTATION;
		if (exact_text(&part, region, out, &clean_trace))
		{
			if (accept(&part, &clean, &clean_trace, region, out))
				out->rule = rule_names[text_rule][DIGITS_AS_IS];
			goto extension;
		}
		if (first.status == LN_PHONE_NOT_A_NUMBER)
			first = *out;
	}

	/* (c) to (f) by the digits */
	if (rescue_digits(&part, region, text_rule, out))
		goto extension;

no_number:
	*out = first;
	if (trace.dialled)
		return refuse(out, LN_PHONE_LETTERS, "letters", trace.first_letter);
	if (first.status == LN_PHONE_NOT_A_NUMBER)
	{
		/* a letter in place of a digit explains better why */
		for (i = clean.first_digit + 1; i < clean.last_digit; i++)
			if (clean.kind[i] == K_LATIN &&
				(clean.kind[i - 1] == K_DIGIT || clean.kind[i + 1] == K_DIGIT))
				return refuse(out, LN_PHONE_LETTERS, "letters", clean.at[i]);
	}
	out->e164[0] = '\0';
	out->e164_len = 0;
	return false;

extension:
	if (out->valid && part.n < clean.easy.n && extension_len > 0)
	{
		memcpy(out->extension, extension, extension_len);
		out->extension[extension_len] = '\0';
		out->extension_len = extension_len;
	}
	return out->valid;
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
	code = extract_code(input + 1, n);
	if (code == NULL)
		return false;
	if (n >= 7 && n <= 15)
		return true;
	return OUT_TYPE(walk(code->root, input + 1 + code->len, n - code->len)) !=
		LN_PHONE_UNKNOWN;
}
