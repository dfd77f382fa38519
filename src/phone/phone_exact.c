/*-------------------------------------------------------------------------
 *
 * phone_exact.c
 *		Any text, step by step as libphonenumber reads it.
 *
 * The second front end to the core in phone.c: code point by code point, with
 * letters, extensions, other scripts, URIs and control characters.  Nothing
 * here is of our own invention; what differs from the C++ library is a bug.
 *
 *-------------------------------------------------------------------------
 */
#include <stdint.h>
#include <string.h>

#include "phone/phone_internal.h"
#include "phone/phone_unicode.h"

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
bool
ln_phone_is_word(uint32_t c)
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
int
ln_phone_decode(const char *utf8, size_t len, uint32_t *c, uint8_t *k,
				int *chars)
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
uint32_t
ln_phone_fold(uint32_t c)
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

const char	ln_phone_keypad[] = "22233344455566677778889999";

/* ----------------------------------------------------------------------
 * Front end 2: any text, step by step as libphonenumber does it
 * ----------------------------------------------------------------------
 */

/* Index of an ASCII word in c[from..n), or -1. */
int
ln_phone_find_ascii(const uint32_t *c, int from, int n, const char *word)
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
int
ln_phone_ext_word(const uint32_t *c, int i, int n, const uint32_t *word)
{
	int			k;

	for (k = 0; word[k] != 0; k++)
		if (i + k >= n || ln_phone_fold(c[i + k]) != word[k])
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
	switch (ln_phone_fold(c[i - 1]))
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
	len = ln_phone_ext_word(c, start, n, ext_rfc);
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
	if (k < n && ln_phone_fold(c[k]) == 'e')
		k++;
	if (k + 1 < n && ln_phone_fold(c[k]) == 'x' &&
		ln_phone_fold(c[k + 1]) == 't')
	{
		k += 2;
		if (ln_phone_ext_word(c, k, n, ensi) > 0 && k + 4 < n)
		{
			if (ln_phone_fold(c[k + 4]) == 0xF3)
				k += 5;
			else if (ln_phone_fold(c[k + 4]) == 'o')
				k += k + 5 < n && c[k + 5] == 0x301 ? 6 : 5;
		}
		if (k < n && ln_phone_fold(c[k]) == 'n')
			k++;
		len = k - i;
	}
	if (len == 0)
	{
		k = i;
		if (k < n && ln_phone_fold(c[k]) == 0xFF45)
			k++;
		if (ln_phone_ext_word(c, k, n, wide_xt) > 0)
		{
			k += 2;
			if (k < n && ln_phone_fold(c[k]) == 0xFF4E)
				k++;
			len = k - i;
		}
	}
	if (len == 0)
		len = ln_phone_ext_word(c, i, n, dob);
	if (len == 0)
		len = ln_phone_ext_word(c, i, n, anexo);
	if (len > 0 && ext_tail(c, class, i + len, n, 20, digits, count))
		return true;

	/* ambiguous labels */
	len = 0;
	if (i < n && (ln_phone_fold(c[i]) == 'x' ||
				  ln_phone_fold(c[i]) == 0xFF58 || c[i] == '#' ||
				  c[i] == 0xFF03 || c[i] == '~' || c[i] == 0xFF5E))
		len = 1;
	if (len == 0)
		len = ln_phone_ext_word(c, i, n, intern);
	if (len == 0)
		len = ln_phone_ext_word(c, i, n, wide_int);
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

void
ln_phone_no_trace(Trace *trace)
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
bool
ln_phone_exact_text(const Text *input, int region, LnPhone *out, Trace *trace)
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

	ln_phone_no_trace(trace);
	context = ln_phone_find_ascii(t, 0, input->n, ";phone-context=");
	if (context >= 0)
	{
		int			value = context + 15;
		int			value_end = ln_phone_find_ascii(t, value, input->n, ";");
		int			tel;

		if (value_end < 0)
			value_end = input->n;
		if (ln_phone_checks_context &&
			!is_phone_context(t + value, value_end - value))
		{
			ln_phone_fail(out, LN_PHONE_NOT_A_NUMBER,
						  LN_PARSE_NOT_A_NUMBER,
						  value < input->n ? input->at[value] : input->end);
			return false;
		}
		/* versions that do not check also overlook a lone plus at the end */
		if (value < input->n - (ln_phone_checks_context ? 0 : 1) &&
			t[value] == '+')
		{
			for (i = value; i < value_end; i++)
			{
				c[n] = t[i];
				k[n] = input->k[i];
				at[n++] = input->at[i];
			}
		}
		tel = ln_phone_find_ascii(t, 0, input->n, "tel:");
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
				ln_phone_fail(out, LN_PHONE_NOT_A_NUMBER,
							  LN_PARSE_NOT_A_NUMBER,
							  input->at[i]);
				return false;
			}
		while (start < end && input->k[start] > C_PLUS)
			start++;
		/* ... to the last letter, number or # ... */
		while (end > start && !IS_DIGIT(input->k[end - 1]) &&
			   !ln_phone_is_word(t[end - 1]) && t[end - 1] != '#')
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
	i = ln_phone_find_ascii(c, 0, n, ";isub=");
	if (i >= 0)
		n = i;

	if (!looks_viable(c, k, n, &where))
	{
		ln_phone_fail(out, LN_PHONE_NOT_A_NUMBER,
					  LN_PARSE_NOT_A_NUMBER,
					  where < n ? at[where] :
					  n > 0 ? at[n - 1] + 1 : input->end);
		return false;
	}
	if (region == LN_PHONE_REGION_ZZ && k[0] != C_PLUS)
	{
		ln_phone_fail(out, LN_PHONE_INVALID_COUNTRY_CODE,
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
			d[digits.n] = ln_phone_keypad[(c[i] | 0x20) - 'a'];
		else
			continue;
		digit_at[digits.n++] = at[i];
	}
	digits.d = d;
	digits.at = digit_at;
	digits.gaps = 0;			/* nobody asks for them here */
	valid = ln_phone_parse_digits(&digits, region, out);
	if (out->parsed && extension_len > 0)
	{
		memcpy(out->extension, extension, extension_len);
		out->extension[extension_len] = '\0';
		out->extension_len = extension_len;
	}
	return valid;
}
