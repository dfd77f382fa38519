/*-------------------------------------------------------------------------
 *
 * phone_internal.h
 *		What the files of the phone number reader share.
 *
 * For phone*.c and their tests only; everybody else includes phone.h.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_PHONE_INTERNAL_H
#define LN_PHONE_INTERNAL_H

#include <stdint.h>

#include "phone/phone.h"

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

#define LENGTH_OF(a) ((int) (sizeof(a) / sizeof((a)[0])))

/* four bytes a character: longer texts need not be looked at */
#define MAX_BYTES	(4 * LN_PHONE_MAX_CHARS)

/* ";phone-context=+..." is put in front of the number: both fit */
#define MAX_NUMBER	(2 * LN_PHONE_MAX_CHARS)

/* is digit n the first one behind a separator? */
#define HAS_GAP(digits, n)	((n) < 64 && ((digits)->gaps >> (n) & 1))

/* digits in front of an annotation that may be cut off */
#define MIN_ANNOTATED	8

/* digits in front of brackets that hold others and end the number */
#define MIN_BEFORE_BRACKETS	5

/* or fewer, if the brackets hold the same ones */
#define MIN_REPEATED	4

/* longest text that a transform rule puts in front of the digits */
#define MAX_TRANSFORM	4

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
	DIGITS_CARRIER_010_DOUBLED,
	DIGITS_PLUS_TRUNK,
	DIGITS_ZERO_CODE,
	N_DIGIT_RULES
};

/*
 * Not seen from outside of the library, so that the compiler may inline them
 * in position independent code.
 */
#if defined(__GNUC__)
#pragma GCC visibility push(hidden)
#endif

extern const char *const ln_phone_rule_names[][N_DIGIT_RULES];
extern const bool ln_phone_checks_context;
extern const char ln_phone_keypad[];

/* A row of digits ('0'-'9') and where in the text they stand. */
typedef struct Digits
{
	const char *d;
	const uint8_t *at;
	uint64_t	gaps;			/* bit n: a separator before digit n */
	int			n;
	bool		plus;			/* stood after a plus sign */
	int			first;			/* position of the first character */
	int			end;			/* one past the last character of the text */
} Digits;

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

/* How ln_phone_exact_text() came to its answer: indexes into the Text. */
typedef struct Trace
{
	int			letters;		/* letters in the number, without extension */
	bool		dialled;		/* three or more: taken as keypad digits */
	int			first_letter;	/* -1 = none */
	bool		loose_letters;	/* a letter stands between digits, or touches
								 * one */
	int			ext_start;		/* -1 = no extension */
} Trace;

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

/* zero (of both forms) to ten, as people write them one by one */
static inline bool
ln_phone_is_han_numeral(uint32_t c)
{
	switch (c)
	{
		case 0x3007:
		case 0x96F6:
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
			return true;
		default:
			return false;
	}
}

/* one of the numbers 00XY of Japan */
static inline bool
ln_phone_is_japanese_00(const LnPhone *p)
{
	return p->country_code == 81 && p->national[0] == '0' &&
		p->national[1] == '0';
}

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
	bool		percent;		/* has a % sign */
	bool		suspicious;		/* has characters that could mask digits */
} Clean;

/* phone.c */
extern bool ln_phone_parse_digits(const Digits *digits, int region,
								  LnPhone *out);
extern void ln_phone_fail(LnPhone *out, LnPhoneStatus status,
						  LnPhoneParseError error, int position);
extern bool ln_phone_refuse(LnPhone *out, LnPhoneStatus status,
							const char *rule, int position);
extern bool ln_phone_confirm(LnPhone *out);
extern const PhoneCode *ln_phone_extract_code(const char *d, int n);
extern const PhoneCode *ln_phone_own_code(int region);
extern bool ln_phone_begins_with_own_code(const Digits *digits, int region);
extern bool ln_phone_is_region(int region, const char *name);
extern bool ln_phone_is_near(const PhoneCode *code, const char *d, int n);
extern bool ln_phone_splits_prefix(const Digits *digits, const LnPhone *p);
extern bool ln_phone_repeats_itself(const Digits *digits);
extern bool ln_phone_repeats_code(const Digits *digits, const LnPhone *p);
extern bool ln_phone_has_zero_before_code(const Digits *digits, int region);
extern void ln_phone_remove_digit(Digits *digits, char *d, int which);

/* phone_exact.c */
extern int	ln_phone_decode(const char *utf8, size_t len, uint32_t *c,
							uint8_t *k, int *chars);
extern bool ln_phone_exact_text(const Text *input, int region, LnPhone *out,
								Trace *trace);
extern void ln_phone_no_trace(Trace *trace);
extern bool ln_phone_is_word(uint32_t c);
extern uint32_t ln_phone_fold(uint32_t c);
extern int	ln_phone_find_ascii(const uint32_t *c, int from, int n,
								const char *word);
extern int	ln_phone_ext_word(const uint32_t *c, int i, int n,
							  const uint32_t *word);

/* phone_clean.c */
extern void ln_phone_clean_text(const Text *input, Clean *clean);
extern uint32_t ln_phone_latin(uint32_t c);
extern bool ln_phone_is_gap(Kind k);

/* phone_safe.c */
extern bool ln_phone_has_other_reading(const Digits *digits, int region,
									   const LnPhone *p);
extern bool ln_phone_refuse_prefix(const Digits *digits, int region,
								   LnPhone *out);
extern bool ln_phone_rescue_row(const Digits *row, int region,
								int text_rule, LnPhone *out);
extern bool ln_phone_safe_text(const Text *input, int region, bool simple,
							   LnPhone *out);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#endif							/* LN_PHONE_INTERNAL_H */
