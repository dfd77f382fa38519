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

#include "phone.h"

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
	char		text[5];		/* transform rule: this text ... */
	uint8_t		group;			/* ... and this capture; 0 = no rule */
} PhonePlan;

typedef struct PhoneCode
{
	uint16_t	code;
	char		text[4];
	uint8_t		len;
	uint8_t		first;			/* in phone_code_plans: the main region */
	uint8_t		n_plans;
	uint16_t	root;			/* automaton of NSNs */
	uint16_t	lead;			/* automaton of leading digits, 0 = none */
} PhoneCode;

/* The conformance test compiles this file with the tables of another version. */
#ifndef LN_PHONE_TABLES
#define LN_PHONE_TABLES "phone_tables.h"
#endif
#include LN_PHONE_TABLES
#include "phone_unicode.h"

#define LENGTH_OF(a) ((int) (sizeof(a) / sizeof((a)[0])))

/* four bytes a character: longer texts need not be looked at */
#define MAX_BYTES	(4 * LN_PHONE_MAX_CHARS)

/* ";phone-context=+..." is put in front of the number: both fit */
#define MAX_NUMBER	(2 * LN_PHONE_MAX_CHARS)

/* digits that scan_simple() takes; longer rows of digits are left to others */
#define MAX_SIMPLE	40

/* room for the text of a transform rule in front of the digits */
#define MAX_TRANSFORM	4

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
} Simple;

/* Text as code points; at[i] is the position in the original. */
typedef struct Text
{
	const uint32_t *c;
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

static bool scan_simple(const char *utf8, size_t len, char *d, uint8_t *at,
						Digits *digits, Simple *simple);
static bool parse_digits(const Digits *digits, int region, LnPhone *out);
static void fail(LnPhone *out, LnPhoneStatus status, LnPhoneParseError error,
				 int position);
static int	decode(const char *utf8, size_t len, uint32_t *c, int *chars);
static bool exact_text(const Text *text, int region, LnPhone *out,
					   Trace *trace);
static bool safe_text(const Text *text, int region, LnPhone *out);
static bool confirm(LnPhone *out);

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
	uint8_t		identity[LN_PHONE_MAX_CHARS];
	Digits		digits;
	Simple		simple;
	Text		text;
	Trace		trace;
	int			chars;
	int			i;

	if (scan_simple(utf8, len, d, at, &digits, &simple))
	{
		bool		valid = parse_digits(&digits, region_id, out);

		if (mode == LN_PHONE_LIBPHONENUMBER)
			return valid;

		/*
		 * What safe mode could object to in a text of digits and separators:
		 * a date, an IP address, two numbers, two readings of a leading 00.
		 * Few texts come near, and those take the long way round.
		 */
		if (valid &&
			!(digits.n <= 8 && simple.runs == 2) &&
			!(digits.n <= 14 && simple.dots >= 3) &&
			!(digits.n >= 14 && simple.runs > 0) &&
			!(d[0] == '0' && d[1] == '0'))
			return confirm(out);
	}

	if (len > MAX_BYTES)
	{
		fail(out, LN_PHONE_TOO_LONG, LN_PARSE_TOO_LONG_NSN,
			 LN_PHONE_MAX_CHARS);
		return false;
	}
	text.n = decode(utf8, len, c, &chars);
	if (text.n < 0)
	{
		if (chars >= LN_PHONE_MAX_CHARS)
			fail(out, LN_PHONE_TOO_LONG, LN_PARSE_TOO_LONG_NSN,
				 LN_PHONE_MAX_CHARS);
		else
			fail(out, LN_PHONE_NOT_A_NUMBER, LN_PARSE_NOT_A_NUMBER, chars);
		return false;
	}
	for (i = 0; i < text.n; i++)
		identity[i] = (uint8_t) i;
	text.c = c;
	text.at = identity;
	text.end = text.n;
	if (mode == LN_PHONE_LIBPHONENUMBER)
		return exact_text(&text, region_id, out, &trace);
	return safe_text(&text, region_id, out);
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
		int			text_len = (int) strlen(plan->text);
		char	   *to = buf;

		memcpy(to, plan->text, text_len);
		to += text_len;
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
			if (n >= own->len && memcmp(d, own->text, own->len) == 0)
			{
				const char *rest = d + own->len;
				int			rest_n = n - own->len;

				strip_national_prefix(plan, &rest, &rest_n, buf1);
				if ((!is_viable(plan, d, n) && is_viable(plan, rest, rest_n)) ||
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
	memcpy(out->e164 + 1, code->text, 3);
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
			   phone_plans[phone_code_plans[code->first + OUT_PLACE(result)]].region,
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
			memcpy(out->region,
				   phone_plans[phone_code_plans[code->first + place - 1]].region,
				   4);
		else
			memcpy(out->region, "ZZ\0", 4);
	}
	{
		unsigned	node = code->root;
		int			i;

		/* the digit after which no number can follow any more */
		for (i = 0; i < n; i++)
		{
			node = phone_nodes[node].next[d[i] - '0'];
			if (node == 0)
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
#define B_PLUS	12
#define B_MULTI 13				/* first byte of a longer character */
#define B_OTHER 14

#define OO B_OTHER
#define MM B_MULTI
#define SS B_SEP

static const uint8_t byte_class[256] = {
	OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO,
	OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO,
	SS, OO, OO, OO, OO, OO, OO, OO, SS, SS, OO, B_PLUS, OO, SS, B_DOT, SS,
	0, 1, 2, 3, 4, 5, 6, 7, 8, 9, OO, OO, OO, OO, OO, OO,
	OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO,
	OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, SS, OO, SS, OO, OO,
	OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO,
	OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO,
	OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO,
	OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO,
	OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO,
	OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO,
	OO, OO, MM, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO,
	OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO,
	OO, OO, MM, MM, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, MM,
	OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO, OO
};

#undef OO
#undef MM
#undef SS

/*
 * Reads a text that consists of decimal digits (ASCII and full-width), of
 * separators, and of at most one plus sign before the first digit.  Such a
 * text has no extension and no letters, whatever stands outside the digits is
 * dropped, and it is a number for libphonenumber if it has three digits.
 * False: somebody else must look at it.
 */
static bool
scan_simple(const char *utf8, size_t len, char *d, uint8_t *at,
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

	if (len > LN_PHONE_MAX_CHARS)
		return false;
	for (; p < end; p++, position++)
	{
		unsigned	k = byte_class[*p];

		if (k == B_MULTI)
		{
			if (*p == 0xEF && end - p >= 3 && p[1] == 0xBC)
			{
				if (p[2] >= 0x90 && p[2] <= 0x99)
					k = p[2] - 0x90;	/* full-width digits */
				else if (p[2] == 0x8B)
					k = B_PLUS;
				else if (p[2] == 0x8E)
					k = B_DOT;
				else if (p[2] == 0x8D || p[2] == 0x8F || p[2] == 0x88 ||
						 p[2] == 0x89 || p[2] == 0xBB || p[2] == 0xBD)
					k = B_SEP;
				else
					return false;
				p += 2;
			}
			else if (*p == 0xE3 && end - p >= 3 &&
					 ((p[1] == 0x80 && p[2] == 0x80) ||
					  (p[1] == 0x83 && p[2] == 0xBC)))
			{
				k = B_SEP;		/* U+3000, U+30FC */
				p += 2;
			}
			else if (*p == 0xE2 && end - p >= 3 &&
					 ((p[1] == 0x80 && p[2] >= 0x90 && p[2] <= 0x95) ||
					  (p[1] == 0x88 && p[2] == 0x92)))
			{
				k = B_SEP;		/* U+2010-2015, U+2212 */
				p += 2;
			}
			else if (*p == 0xC2 && end - p >= 2 && p[1] == 0xA0)
			{
				k = B_SEP;		/* U+00A0 */
				p += 1;
			}
			else
				return false;
		}
		if (k <= 9)
		{
			if (n == MAX_SIMPLE)
				return false;
			if (first < 0)
				first = position;
			runs += gap;
			gap = false;
			d[n] = (char) ('0' + k);
			at[n] = (uint8_t) position;
			n++;
		}
		else if (k <= B_DOT)
		{
			gap = n > 0;
			dots += k == B_DOT;
		}
		else if (k == B_PLUS && n == 0 && !plus)
		{
			plus = true;
			first = position;
		}
		else
			return false;
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
	return plus || true;
}

/* ----------------------------------------------------------------------
 * Characters
 * ----------------------------------------------------------------------
 */

/*
 * UTF-8 to code points.  Returns how many, or -1: then *chars says before
 * which character the text is malformed or longer than we look at.
 */
static int
decode(const char *utf8, size_t len, uint32_t *c, int *chars)
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
			more = 0;
		else if (cp >= 0xC2 && cp <= 0xDF)
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
		c[n++] = cp;
		p += more + 1;
	}
	*chars = n;
	return n;
}

/* Value of a decimal digit of any script, or -1. */
static int
digit_value(uint32_t c)
{
	int			low = 0;
	int			high = LENGTH_OF(phone_digit_zeros);

	if (c < 0x80)
		return c >= '0' && c <= '9' ? (int) c - '0' : -1;
	if (c < 0x660)
		return -1;
	if (c >= 0xFF10 && c <= 0xFF19)
		return (int) c - 0xFF10;
	while (high - low > 1)
	{
		int			middle = (low + high) / 2;

		if (phone_digit_zeros[middle] <= c)
			low = middle;
		else
			high = middle;
	}
	return c - phone_digit_zeros[low] <= 9 ? (int) (c - phone_digit_zeros[low]) : -1;
}

/* General category L or N. */
static bool
is_word(uint32_t c)
{
	int			low = 0;
	int			high = LENGTH_OF(phone_word_ranges);

	if (c < 0x80)
		return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
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

static bool
is_plus(uint32_t c)
{
	return c == '+' || c == 0xFF0B;
}

/* what [a-z] matches without regard to case: long s and the Kelvin sign too */
static bool
is_alpha(uint32_t c)
{
	return (c < 0x80 && (c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
		c == 0x17F || c == 0x212A;
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
ext_tail(const uint32_t *c, int i, int n, int max, int *digits, int *count)
{
	int			k;

	if (i < n && (c[i] == ':' || c[i] == '.' || c[i] == 0xFF0E))
		i++;
	while (i < n && is_ext_space(c[i], true, true))
		i++;
	for (k = i; k < n && digit_value(c[k]) >= 0; k++)
		;
	*digits = i;
	*count = k - i;
	if (k < n && c[k] == '#')
		k++;
	return k == n && *count >= 1 && *count <= max;
}

/*
 * Does an extension begin at c[start] and reach to the end?  Then its digits
 * are c[*digits .. *digits + *count).  Six forms, tried in this order.
 */
static bool
match_extension(const uint32_t *c, int start, int n, int *digits, int *count)
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
		for (k = i; k < n && digit_value(c[k]) >= 0; k++)
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
	if (len > 0 && ext_tail(c, i + len, n, 20, digits, count))
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
	if (len > 0 && ext_tail(c, i + len, n, 9, digits, count))
		return true;

	/* American style: "- 503#" */
	for (i = start; i < n && (c[i] == '-' || c[i] == ' '); i++)
		;
	if (i > start)
	{
		for (k = i; k < n && digit_value(c[k]) >= 0; k++)
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
		ext_tail(c, i + 2, n, 15, digits, count))
		return true;
	if (i < n && c[i] == ';' && ext_tail(c, i + 1, n, 15, digits, count))
		return true;
	if (i < n && c[i] == ',')
	{
		while (i < n && c[i] == ',')
			i++;
		if (ext_tail(c, i, n, 9, digits, count))
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
looks_viable(const uint32_t *c, int n, int *where)
{
	int			i = 0;
	int			count = 0;
	int			third;
	int			digits;
	int			ext_count;

	if (n == 2 && digit_value(c[0]) >= 0 && digit_value(c[1]) >= 0)
		return true;
	while (i < n && is_plus(c[i]))
		i++;
	for (; i < n && count < 3; i++)
	{
		if (digit_value(c[i]) >= 0)
			count++;
		else if (!is_separator(c[i]) && c[i] != '*' && c[i] != 'x' &&
				 c[i] != 'X')
			break;
	}
	*where = i;
	if (count < 3)
		return false;
	third = i;
	for (; i < n; i++)
		if (digit_value(c[i]) < 0 && !is_separator(c[i]) && c[i] != '*' &&
			!is_alpha(c[i]))
			break;
	*where = i;
	if (i == n)
		return true;
	/* an extension may begin anywhere after the third digit */
	for (i = third; i <= *where; i++)
		if (match_extension(c, i, n, &digits, &ext_count))
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

/*
 * The exact core for any text.  trace is for safe mode.
 */
static bool
exact_text(const Text *text, int region, LnPhone *out, Trace *trace)
{
	const uint32_t *t = text->c;
	uint32_t	c[MAX_NUMBER];
	uint8_t		at[MAX_NUMBER];
	char		d[MAX_NUMBER];
	uint8_t		digit_at[MAX_NUMBER];
	char		extension[LN_PHONE_MAX_EXT + 1];
	int			extension_len = 0;
	Digits		digits;
	int			n = 0;
	int			context;
	int			start = 0;
	int			end = text->n;
	int			where = 0;
	int			i;
	bool		valid;

	trace->letters = 0;
	trace->dialled = false;
	trace->first_letter = -1;
	trace->loose_letters = false;
	trace->ext_start = -1;

	context = find_ascii(t, 0, text->n, ";phone-context=");
	if (context >= 0)
	{
		int			value = context + 15;
		int			value_end = find_ascii(t, value, text->n, ";");
		int			tel;

		if (value_end < 0)
			value_end = text->n;
#if LN_PHONE_CHECKS_CONTEXT
		if (!is_phone_context(t + value, value_end - value))
		{
			fail(out, LN_PHONE_NOT_A_NUMBER, LN_PARSE_NOT_A_NUMBER,
				 value < text->n ? text->at[value] : text->end);
			return false;
		}
		if (t[value] == '+')
#else
		if (value < text->n - 1 && t[value] == '+')
#endif
		{
			for (i = value; i < value_end; i++)
			{
				c[n] = t[i];
				at[n++] = text->at[i];
			}
		}
		tel = find_ascii(t, 0, text->n, "tel:");
		start = tel >= 0 ? tel + 4 : 0;
		/* "tel:" behind the context: the library takes all that follows */
		end = start <= context ? context : text->n;
	}
	else
	{
		/* from the first character that can begin a number ... */
		for (i = 0; i < text->n; i++)
			if (!is_interchange(t[i]))
			{
				fail(out, LN_PHONE_NOT_A_NUMBER, LN_PARSE_NOT_A_NUMBER,
					 text->at[i]);
				return false;
			}
		while (start < end && !is_plus(t[start]) && digit_value(t[start]) < 0)
			start++;
		/* ... to the last letter, number or # ... */
		while (end > start && !is_word(t[end - 1]) && t[end - 1] != '#')
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
					int			k = i + 1;

					while (k < end && t[k] == ' ')
						k++;
					if (k < end && t[k] == 'x')
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
		at[n++] = text->at[i];
	}
	i = find_ascii(c, 0, n, ";isub=");
	if (i >= 0)
		n = i;

	if (!looks_viable(c, n, &where))
	{
		fail(out, LN_PHONE_NOT_A_NUMBER, LN_PARSE_NOT_A_NUMBER,
			 where < n ? at[where] : n > 0 ? at[n - 1] + 1 : text->end);
		return false;
	}
	if (region >= LN_PHONE_N_REGIONS && !is_plus(c[0]))
	{
		fail(out, LN_PHONE_INVALID_COUNTRY_CODE,
			 LN_PARSE_INVALID_COUNTRY_CODE, at[0]);
		return false;
	}

	/* the leftmost extension, if what is left still looks like a number */
	for (i = 0; i < n; i++)
	{
		int			from;
		int			count;
		int			k;

		if (!match_extension(c, i, n, &from, &count))
			continue;
		if (looks_viable(c, i, &where))
		{
			for (k = 0; k < count; k++)
				extension[k] = (char) ('0' + digit_value(c[from + k]));
			extension_len = count;
			trace->ext_start = at[i];
			n = i;
		}
		break;
	}

	digits.first = at[0];
	digits.end = text->end;
	for (i = 0; i < n && is_plus(c[i]); i++)
		;
	digits.plus = i > 0;
	start = i;
	for (; i < n; i++)
		if (is_alpha(c[i]))
		{
			if (trace->letters == 0)
				trace->first_letter = at[i];
			trace->letters++;
			if ((i > start && digit_value(c[i - 1]) >= 0) ||
				(i + 1 < n && digit_value(c[i + 1]) >= 0))
				trace->loose_letters = true;
		}
	trace->dialled = trace->letters >= 3;
	digits.n = 0;
	for (i = start; i < n; i++)
	{
		if (trace->dialled)
		{
			if (c[i] >= '0' && c[i] <= '9')
				d[digits.n] = (char) c[i];
			else if (c[i] < 0x80 && is_alpha(c[i]))
				d[digits.n] = keypad[(c[i] | 0x20) - 'a'];
			else
				continue;
		}
		else
		{
			int			value = digit_value(c[i]);

			if (value < 0)
				continue;
			d[digits.n] = (char) ('0' + value);
		}
		digit_at[digits.n++] = at[i];
	}
	/* letters with digits behind them, at any distance, are loose too */
	if (trace->letters > 0 && !trace->loose_letters)
		for (i = start; i < n; i++)
			if (at[i] > trace->first_letter && digit_value(c[i]) >= 0)
				trace->loose_letters = true;
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
static bool confirm(LnPhone *out){return out->valid;}
static bool safe_text(const Text *text, int region, LnPhone *out){Trace t; bool v= exact_text(text,region,out,&t); out->rule="x"; return v;}
bool ln_phone_is_e164(const char *t,size_t n){return t&&n;}
