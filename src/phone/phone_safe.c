/*-------------------------------------------------------------------------
 *
 * phone_safe.c
 *		Safe mode: what is refused and what is rescued.
 *
 * See the comment in phone.c for the order; doc/phone.md has the rules with
 * their reasons and examples.
 *
 *-------------------------------------------------------------------------
 */
#include <stdint.h>
#include <string.h>

#include "phone/phone_internal.h"

/* texts that were rewritten, within rewritten ones */
#define MAX_DEPTH	3

/* A text that is read in place of another one. */
typedef struct Rewritten
{
	Text		text;
	uint32_t	c[LN_PHONE_MAX_CHARS];
	uint8_t		k[LN_PHONE_MAX_CHARS];
	uint8_t		at[LN_PHONE_MAX_CHARS];
} Rewritten;

static bool read_text(const Text *input, int region, bool simple, int depth,
					  LnPhone *out);

/* ----------------------------------------------------------------------
 * What the text shows
 * ----------------------------------------------------------------------
 */

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
				for (left = begin - 1; ln_phone_is_gap(kind[left]); left--)
					;
				right = i;
				while (right < n && ln_phone_is_gap(kind[right]))
					right++;
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
			uint32_t	c = ln_phone_latin(clean->c[i]);

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

		for (left = begin - 1; left >= 0 && (ln_phone_is_gap(kind[left]) ||
											 clean->c[left] == '\\'); left--)
			;
		right = i;
		while (right < n && ln_phone_is_gap(kind[right]))
			right++;
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

/* Thailand counts from the death of the Buddha */
#define THAI_YEARS 543

static bool
is_date(int year, int a, int b, int region)
{
	int			low = a < b ? a : b;
	int			high = a < b ? b : a;

	if (year > 2099 && ln_phone_is_region(region, "TH"))
		year -= THAI_YEARS;
	return year >= 1900 && year <= 2099 && low >= 1 && low <= 12 && high <= 31;
}

/*
 * Eight digits, and perhaps hours, minutes and seconds, without a separator:
 * year, month and day, or the year behind day and month in either order?
 */
static bool
is_compact_date(const uint8_t *d, int n, int region)
{
#define TWO(i) (d[i] * 10 + d[(i) + 1])
	if (n >= 12 && (TWO(8) > 23 || TWO(10) > 59))
		return false;
	if (n == 14 && TWO(12) > 59)
		return false;
	return (is_date(TWO(0) * 100 + TWO(2), TWO(4), TWO(6), region) &&
			TWO(4) <= 12) ||
		(n == 8 && is_date(TWO(4) * 100 + TWO(6), TWO(0), TWO(2), region));
#undef TWO
}

/* "12:00", "12:00:00.000" behind a date: minutes and seconds from index i */
static bool
is_time(const Clean *clean, int i, int last)
{
	int			groups = 0;

	while (i <= last)
	{
		int			begin = i;

		while (i <= last && clean->kind[i] == K_DIGIT)
			i++;
		if (i == begin || (groups < 3 && i - begin > 2))
			return false;
		groups++;
		if (i > last)
			break;
		if (clean->c[i] != ':' && clean->c[i] != 0xFF1A && groups < 3)
			return false;
		i++;
	}
	return groups >= 2;
}

/*
 * Do the digits before this index have the shape of a date or of an IP
 * address?  The name of the rule, or NULL.
 */
static const char *
find_shape(const Clean *clean, int end, int region)
{
	int			value[5];
	int			len[5];
	Kind		sep[5];
	int			groups = 0;
	int			n_digits = 0;
	int			last = -1;
	int			i;

	for (i = 0; i < end; i++)
		if (clean->kind[i] == K_DIGIT)
		{
			n_digits++;
			last = i;
		}
	/* a plus sign before it, whatever stands between them */
	for (i = clean->first_digit - 1; i >= 0 && clean->kind[i] != K_PLUS; i--)
		;
	if (n_digits < 4 || n_digits > 20 || i >= 0)
		return NULL;
	if ((n_digits == 8 || n_digits == 12 ||
		 n_digits == 14) &&
		last - clean->first_digit == n_digits - 1)
		return is_compact_date(clean->k + clean->first_digit,
							   n_digits, region) ? "date" : NULL;
	for (i = clean->first_digit; i <= last;)
	{
		value[groups] = 0;
		len[groups] = 0;
		for (; i <= last && clean->kind[i] == K_DIGIT; i++)
		{
			if (++len[groups] > 4)
				return NULL;
			value[groups] = value[groups] * 10 + clean->k[i];
		}
		groups++;
		if (i > last)
			break;
		if (groups == LENGTH_OF(sep))
			return NULL;
		/* what follows a date behind a space is the time of day */
		if (groups == 3 && clean->kind[i] == K_SPACE &&
			is_time(clean, i + 1, last))
			break;
		sep[groups] = K_OTHER;
		for (; clean->kind[i] != K_DIGIT; i++)
		{
			/* as cameras write it */
			if (groups < 3 &&
				(sep[groups] == K_OTHER || sep[groups] == K_SPACE) &&
				(clean->c[i] == ':' || clean->c[i] == 0xFF1A))
			{
				sep[groups] = K_HASH;
				continue;
			}
			if (clean->kind[i] == K_SPACE)
			{
				if (sep[groups] == K_OTHER)
					sep[groups] = K_SPACE;
				continue;
			}
			if ((sep[groups] != K_OTHER && sep[groups] != K_SPACE &&
				 sep[groups] != (Kind) clean->kind[i]) ||
				(clean->kind[i] != K_DASH && clean->kind[i] != K_DOT &&
				 clean->kind[i] != K_SLASH && clean->kind[i] != K_FILL))
				return NULL;
			sep[groups] = (Kind) clean->kind[i];
		}
	}
	if (groups == 3 && sep[1] == sep[2])
	{
		int			year = len[0] == 4 ? 0 : 2;
		int			a = year == 0 ? 1 : 0;
		int			b = year == 0 ? 2 : 1;

		/* year, month, day; or with the year at the end, in either order */
		if (len[year] == 4 && len[a] <= 2 && len[b] <= 2 &&
			is_date(value[year], value[a], value[b], region) &&
			(year == 2 || value[1] <= 12))
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

static void
put(Rewritten *to, uint32_t c, uint8_t k, uint8_t at)
{
	to->c[to->text.n] = c;
	to->k[to->text.n] = k;
	to->at[to->text.n] = at;
	to->text.n++;
}

/* Appends a part of the text. */
static void
put_part(Rewritten *to, const Clean *clean, int from, int end)
{
	int			len = end - from;

	if (len <= 0)
		return;
	memcpy(to->c + to->text.n, clean->c + from, len * sizeof(uint32_t));
	memcpy(to->k + to->text.n, clean->k + from, len);
	memcpy(to->at + to->text.n, clean->at + from, len);
	to->text.n += len;
}

static void
begin_rewriting(Rewritten *to, const Clean *clean)
{
	to->text.c = to->c;
	to->text.k = to->k;
	to->text.at = to->at;
	to->text.n = 0;
	to->text.end = clean->easy.end;
}

/*
 * Reads the rewritten text.  The rule that rewrote it is the one to be named,
 * whatever else was done; a refusal keeps the name of its reason.
 */
static bool
read_rewritten(const Rewritten *text, int region, int depth, const char *rule,
			   LnPhone *out)
{
	bool		valid = read_text(&text->text, region, false, depth + 1, out);

	if (valid || out->rule == NULL)
		out->rule = rule;
	return valid;
}

/*
 * The number as a spreadsheet or data frame wrote it after it took it for a
 * number: digits, a full stop, zeros up to this index.  Other full stops
 * before it make groups of them all, but not of a single 0.  The index of the
 * full stop, or -1.
 */
static int
find_fraction(const Clean *clean, int end)
{
	int			last = end - 1;
	int			i;
	int			k;

	if (clean->dots == 0)
		return -1;
	while (last > 0 && clean->kind[last] != K_DIGIT)
		last--;
	for (i = last; i > 0 && clean->k[i] == 0; i--)
		;
	if (i == last || clean->kind[i] != K_DOT || i <= clean->first_digit)
		return -1;
	for (k = clean->first_digit; k < i; k++)
		if (clean->kind[k] == K_DOT &&
			(i + 1 < last ||
			 (clean->k[k + 1] == 0 && clean->kind[k + 2] != K_DIGIT)))
			return -1;
	return clean->kind[i - 1] == K_DIGIT ? i : -1;
}

/* Digits only (and plus signs) before the fraction? */
static bool
is_plain_integer(const Clean *clean, int end)
{
	int			i;

	if (end < 0)
		return false;
	for (i = clean->first_digit; i < end; i++)
		if (clean->kind[i] != K_DIGIT && clean->kind[i] != K_PLUS)
			return false;
	return true;
}

static int
hex_value(uint32_t c)
{
	if (c >= '0' && c <= '9')
		return (int) c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? (int) c - 'a' + 10 : -1;
}

/*
 * Undoes the encoding of URLs, for the characters that numbers have beside
 * their digits.  False if there is none.
 */
static bool
decode_percent(const Clean *clean, Rewritten *to)
{
	const uint32_t *c = clean->c;
	bool		changed = false;
	int			i;

	begin_rewriting(to, clean);
	for (i = 0; i < clean->easy.n; i++)
	{
		int			value = -1;

		if (c[i] == '%' && i + 2 < clean->easy.n && c[i + 1] < 0x80 &&
			hex_value(c[i + 1]) >= 0 && hex_value(c[i + 2]) >= 0)
			value = hex_value(c[i + 1]) * 16 + hex_value(c[i + 2]);
		if (value == '+')
			put(to, '+', C_PLUS, clean->at[i]);
		else if (value == ' ' || value == '-' || value == '(' ||
				 value == ')' || value == '.' || value == '/')
			put(to, (uint32_t) value, C_SEPARATOR, clean->at[i]);
		else
		{
			put(to, c[i], clean->k[i], clean->at[i]);
			continue;
		}
		changed = true;
		i += 2;
	}
	return changed;
}

/*
 * Characters that separate groups of digits in some hands, but lists, times
 * and extensions in others: taken for separators only where the groups
 * themselves show a number that is written out, with its trunk 0 or plus sign
 * in front and the same character, twice or more, between all groups.
 */
static bool
is_loose_separator(uint32_t c)
{
	switch (c)
	{
		case ':':
		case 0xFF1A:
		case ',':
		case 0xFF0C:
		case 0x3001:			/* ideographic comma */
		case 0xFF64:
		case ';':
		case 0xFF1B:
		case '|':
		case 0xFF5C:
		case '=':
		case 0xFF1D:
		case 0x4E00:			/* one, which looks like a dash */
		case 0x2F00:
		case 0x31D0:
			return true;
		default:
			return false;
	}
}

static bool
replace_loose_separators(const Clean *clean, Rewritten *to, uint32_t *which)
{
	int			groups = 1;
	int			group = 0;
	bool		all_pairs = true;
	int			i;

	*which = 0;
	if (clean->n_digits < MIN_ANNOTATED ||
		(clean->k[clean->first_digit] != 0 &&
		 (clean->first_digit == 0 ||
		  clean->kind[clean->first_digit - 1] != K_PLUS)))
		return false;
	begin_rewriting(to, clean);
	put_part(to, clean, 0, clean->first_digit);
	for (i = clean->first_digit; i <= clean->last_digit; i++)
	{
		if (clean->kind[i] == K_DIGIT)
		{
			group++;
			put_part(to, clean, i, i + 1);
			continue;
		}
		if (clean->kind[i] == K_SPACE && i > 0 &&
			(is_loose_separator(clean->c[i - 1]) ||
			 is_loose_separator(clean->c[i + 1])))
			continue;
		if (!is_loose_separator(clean->c[i]) ||
			(*which != 0 && clean->c[i] != *which) || group < 2)
			return false;
		*which = clean->c[i];
		all_pairs &= group == 2;
		groups++;
		group = 0;
		put(to, '-', C_SEPARATOR, clean->at[i]);
	}
	if (groups < 3 || group < 2 || (all_pairs && group == 2))
		return false;
	put_part(to, clean, clean->last_digit + 1, clean->easy.n);
	return true;
}

/* What may stand beside the zero; scan_simple() has the same. */
static inline bool
is_beside_zero(const Clean *clean, int i)
{
	return clean->kind[i] == K_SPACE || clean->kind[i] == K_SLASH;
}

/*
 * "(0)", also "( 0 )", from an index behind other digits on: that of the
 * bracket, and *end one behind the other bracket, or -1.
 */
static int
find_bracketed_zero(const Clean *clean, int from, int *end)
{
	int			i;

	for (i = from; i > 0 && i + 2 < clean->last_digit; i++)
		if (clean->kind[i] == K_OPEN)
		{
			int			k = i + 1;

			while (is_beside_zero(clean, k))
				k++;
			if (clean->k[k] != 0)
				continue;
			for (k++; is_beside_zero(clean, k); k++)
				;
			if (k < clean->last_digit && clean->kind[k] == K_CLOSE)
			{
				*end = k + 1;
				return i;
			}
		}
	return -1;
}

/*
 * The digits of a text in front of position end; false if anything stands
 * between them that is no separator, and, if strict, also if words follow.
 */
static bool
collect_digits(const Text *input, int end, bool strict, char *d, uint8_t *at,
			   Digits *digits)
{
	const uint8_t *k = input->k;
	bool		gap = false;
	int			i = 0;
	int			n = 0;

	while (i < input->n && k[i] > C_PLUS)
		i++;
	if (i == input->n)
		return false;
	digits->first = input->at[i];
	digits->end = input->end;
	digits->plus = k[i] == C_PLUS;
	digits->gaps = 0;
	while (i < input->n && k[i] == C_PLUS)
		i++;
	for (; i < input->n && input->at[i] < end; i++)
	{
		if (IS_DIGIT(k[i]))
		{
			if (gap && n < 64)
				digits->gaps |= (uint64_t) (n > 0) << n;
			gap = false;
			d[n] = (char) ('0' + k[i]);
			at[n++] = input->at[i];
		}
		else if (k[i] == C_SEPARATOR)
		{
			/* soft hyphens and the like are invisible */
			gap |= input->c[i] != 0xAD && input->c[i] != 0x200B &&
				input->c[i] != 0x2060;
		}
		else
		{
			/* what follows the last digit does not matter, unless a word */
			for (; i < input->n && input->at[i] < end; i++)
				if (IS_DIGIT(k[i]) ||
					(strict && ln_phone_is_word(input->c[i])))
					return false;
			break;
		}
	}
	digits->d = d;
	digits->at = at;
	digits->n = n;
	return n >= 3;
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
	return ln_phone_exact_text(&part, region, &phone, &trace) &&
		!trace.dialled &&
		!trace.loose_letters;
}

/* where two numbers stand in a text, as indexes */
typedef struct Two
{
	int			left_begin;
	int			left_end;
	int			right_begin;
	int			right_end;
} Two;

/*
 * Two numbers in one cell: the index where the second one begins, or -1.
 * Anything that cannot stand inside of a number, a slash and a plus sign
 * divide clearly; spaces and brackets only between longer numbers.
 */
static int
find_second_number(const Clean *clean, int region, Two *two)
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

		two->left_begin = 0;
		for (k = 0; !found && k < i; k++)
			if (clear[k] && right[k] < left[i])
			{
				found = part_is_number(clean, right[k], left[i], min, region);
				two->left_begin = right[k];
			}
		if (!found)
			continue;
		two->left_end = left[i];
		two->right_begin = right[i];
		two->right_end = clean->easy.n;
		/* with what stands behind it, or without: a note */
		if (part_is_number(clean, right[i], clean->easy.n, min, region) ||
			part_is_number(clean, right[i], clean->last_digit + 1, min,
						   region))
			return right[i];
		for (m = i + 1; m < cuts; m++)
			if (clear[m] && right[i] < left[m] &&
				part_is_number(clean, right[i], left[m], min, region))
			{
				two->right_end = left[m];
				return right[i];
			}
	}
	return -1;
}

/*
 * What becomes of a text with two numbers in it: if both are the same one,
 * however it is written, and there are no other digits, it is that number.
 */
static bool
read_two(const Clean *clean, const Two *two, int region, int depth,
		 LnPhone *out)
{
	Rewritten	part;
	LnPhone		left;
	LnPhone		right;

	if (depth < MAX_DEPTH && two->left_begin <= clean->first_digit &&
		two->right_end > clean->last_digit)
	{
		begin_rewriting(&part, clean);
		put_part(&part, clean, two->left_begin, two->left_end);
		if (read_rewritten(&part, region, depth, "same_number_twice", &left))
		{
			begin_rewriting(&part, clean);
			put_part(&part, clean, two->right_begin, two->right_end);
			if (read_rewritten(&part, region, depth, "same_number_twice",
							   &right) &&
				strcmp(left.e164, right.e164) == 0)
			{
				*out = left;
				return true;
			}
		}
	}
	return ln_phone_refuse(out, LN_PHONE_MULTIPLE, "two_numbers",
						   clean->at[two->right_begin]);
}

/* A letter that looks like a 0 or 1, or a Han numeral. */
static bool
is_lookalike(const Clean *clean, int i)
{
	switch (ln_phone_latin(clean->c[i]))
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
			return ln_phone_is_han_numeral(clean->c[i]);
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

/* The digits without the first so many of them. */
static Digits
digits_behind(const Digits *all, int skip, bool plus)
{
	Digits		digits = *all;

	digits.d += skip;
	digits.at += skip;
	digits.n -= skip;
	digits.gaps >>= skip;
	digits.plus = plus;
	return digits;
}

/* Is this, read with a plus sign, a number other than p? */
static bool
differs_with_plus(const Digits *all, int skip, int region, const LnPhone *p)
{
	Digits		digits;
	LnPhone		other;

	if (all->n <= skip + 1)
		return false;
	digits = digits_behind(all, skip, true);
	if (!ln_phone_parse_digits(&digits, region, &other))
	{
		const PhoneCode *code = ln_phone_extract_code(digits.d, digits.n);

		/* the code twice? */
		return code != NULL && other.code_len == code->len &&
			ln_phone_repeats_code(&digits, &other) &&
			differs_with_plus(all, skip + code->len, region, p);
	}
	return strcmp(other.e164, p->e164) != 0;
}

/*
 * Readings of digits which are the number p to libphonenumber, but may well
 * have been meant otherwise.
 */
bool
ln_phone_has_other_reading(const Digits *digits, int region, const LnPhone *p)
{
	const char *d = digits->d;
	const PhoneCode *code;

	/* 00 is the international prefix to most people, whatever is dialled */
	if (d[0] == '0' && d[1] == '0' && d[2] != '0')
	{
		if (differs_with_plus(digits, 2, region, p))
			return true;

		/*
		 * Where the region's own prefix is longer and was not set apart, or
		 * none, behind 00 may stand a number with one digit mistyped.  So it
		 * surely is if its calling code is set apart.  (Japan's own 00XY are
		 * refused by name.)
		 */
		code = ln_phone_extract_code(d + 2, digits->n - 2);
		if (p->idd_len != 2 && code != NULL && !ln_phone_is_japanese_00(p) &&
			!(p->idd_len == 3 && HAS_GAP(digits, 3) &&
			  HAS_GAP(digits, 3 + p->code_len)) &&
			(HAS_GAP(digits, 2 + code->len) ||
			 ln_phone_is_near(code, d + 2 + code->len,
							  digits->n - 2 - code->len)))
			return true;
	}
	if (digits->plus)
	{
		/* a 0 too many before the calling code */
		if (d[0] == '0' && d[1] != '0' &&
			differs_with_plus(digits, 1, region, p))
			return true;
	}
	else
	{
		/* only the plus sign lacks, or is a 0 */
		if (ln_phone_begins_with_own_code(digits, region) &&
			differs_with_plus(digits, 0, region, p))
			return true;
		if (d[0] == '0' && ln_phone_has_zero_before_code(digits, region) &&
			differs_with_plus(digits, 1, region, p))
			return true;
	}
	/* the calling code twice */
	return p->code_len > 0 && ln_phone_repeats_code(digits, p) &&
		differs_with_plus(digits, p->idd_len + p->code_len, region, p);
}

/* Refuses a number whose prefix may have been meant otherwise: true. */
bool
ln_phone_refuse_prefix(const Digits *digits, int region, LnPhone *out)
{
	const char *rule = NULL;

	if (ln_phone_has_other_reading(digits, region, out))
		rule = "two_readings";
	else if (out->code_len > 0 && ln_phone_splits_prefix(digits, out))
		rule = "split_prefix";
	if (rule == NULL)
		return false;
	ln_phone_refuse(out, LN_PHONE_AMBIGUOUS, rule, digits->first);
	return true;
}

/*
 * Is nothing before this index but the prefix and calling code that p was read
 * from, or, as the rescues read it, zeros and this code, also twice?
 */
static bool
stands_behind_code(const Clean *clean, int end, const LnPhone *p)
{
	char		d[LN_PHONE_MAX_CHARS];
	const char *code = p->e164 + 1;
	int			n = 0;
	int			i;

	for (i = clean->first_digit; i < end; i++)
		if (clean->kind[i] == K_DIGIT)
			d[n++] = (char) ('0' + clean->k[i]);
	if (p->code_len == 0 || n == p->idd_len + p->code_len)
		return p->code_len > 0;
	for (i = 0; i < 2 && n >= p->code_len &&
		 memcmp(d + n - p->code_len, code, p->code_len) == 0; i++)
		n -= p->code_len;
	while (i > 0 && n > 0 && d[n - 1] == '0')
		n--;
	return n == 0;
}

/* Takes the digit of "(0)" out of the writable arrays; false if none. */
static bool
remove_bracketed_zero(const Clean *clean, char *d, uint8_t *at,
					  Digits *digits)
{
	int			end;
	int			i = find_bracketed_zero(clean, clean->first_digit + 1, &end);
	int			zero = 0;

	if (i < 0)
		return false;
	while (zero < digits->n && at[zero] < clean->at[i])
		zero++;
	if (zero == 0 || zero + 1 >= digits->n || zero >= 62)
		return false;
	memmove(at + zero, at + zero + 1, digits->n - zero - 1);
	ln_phone_remove_digit(digits, d, zero);
	return true;
}

/*
 * Commas, semicolons and tildes announce an extension, but are separators to
 * others: is it a number with all the digits, too?
 */
static bool
reads_on(const Clean *clean, int ext_start, int region, const LnPhone *p)
{
	char		d[LN_PHONE_MAX_CHARS];
	uint8_t		at[LN_PHONE_MAX_CHARS];
	Digits		digits;
	LnPhone		other;
	bool		gap = false;
	bool		tilde;
	int			i;

	for (i = 0; i < clean->easy.n && clean->at[i] < ext_start; i++)
		;
	while (i < clean->easy.n && clean->kind[i] == K_SPACE)
		i++;
	/* tildes have become dashes in the cleaned text */
	if (i == clean->easy.n ||
		(clean->kind[i] != K_DASH && clean->c[i] != ',' &&
		 clean->c[i] != ';'))
		return false;
	tilde = clean->kind[i] == K_DASH;

	digits.d = d;
	digits.at = at;
	digits.n = 0;
	digits.gaps = 0;
	digits.first = clean->at[clean->first_digit];
	digits.end = clean->easy.end;
	digits.plus = clean->first_digit > 0 &&
		clean->kind[clean->first_digit - 1] == K_PLUS;
	for (i = clean->first_digit; i <= clean->last_digit; i++)
		if (clean->kind[i] == K_DIGIT)
		{
			if (gap && digits.n < 64)
				digits.gaps |= (uint64_t) 1 << digits.n;
			gap = false;
			d[digits.n] = (char) ('0' + clean->k[i]);
			at[digits.n++] = clean->at[i];
		}
		else
			gap = true;
	if (ln_phone_parse_digits(&digits, region, &other) ||
		ln_phone_has_other_reading(&digits, region, p))
		return true;
	if (tilde && other.parsed &&
		ln_phone_is_near(ln_phone_extract_code(other.e164 + 1,
											   other.e164_len - 1),
						 other.national, other.national_len))
		return true;
	if (remove_bracketed_zero(clean, d, at, &digits))
		return ln_phone_parse_digits(&digits, region, &other);

	/* without a 0 behind the calling code */
	i = p->idd_len + p->code_len;
	if (i == 0 || i >= digits.n || d[i] != '0')
		return false;
	memmove(d + i, d + i + 1, digits.n - i - 1);
	digits.n--;
	return ln_phone_parse_digits(&digits, region, &other);
}

/* Stands something before digit n that is rare within a number? */
static bool
divides_numbers(const Clean *clean, int n)
{
	int			i;

	for (i = clean->first_digit; i < clean->last_digit; i++)
	{
		n -= clean->kind[i] == K_DIGIT;
		if (n == 0 && clean->kind[i] != K_DIGIT &&
			(clean->c[i] == '\n' ||
			 (clean->kind[i] != K_SPACE && clean->kind[i] != K_DASH &&
			  clean->kind[i] != K_DOT)))
			return true;
	}
	return false;
}

/*
 * "1. 90 1234 5678": the first digit counts a list, unless the rest is the
 * same number.  A dot alone, or a digit in brackets, only if the rest is
 * another one.
 */
static bool
is_list_item(const Clean *clean, const Digits *digits, int region,
			 const LnPhone *p)
{
	int			i = clean->first_digit;
	Digits		rest;
	LnPhone		other;
	bool		dot = clean->kind[i + 1] == K_DOT;

	if (!HAS_GAP(digits, 1) || digits->plus ||
		(!dot && clean->kind[i + 1] != K_CLOSE))
		return false;
	rest = digits_behind(digits, 1, false);
	if (ln_phone_parse_digits(&rest, region, &other))
		return strcmp(other.e164, p->e164) != 0;
	return dot ? clean->kind[i + 2] == K_SPACE :
		i == 0 || clean->kind[i - 1] != K_OPEN;
}

/*
 * "16 97 (01697)": do the digits behind this bracket, but for zeros in front,
 * stand before it, too?
 */
static bool
repeats_in_brackets(const Clean *clean, int bracket)
{
	int			i = clean->last_digit;
	int			k = bracket;
	int			first = bracket + 1;
	int			digits = 0;

	while (first < i && (clean->kind[first] != K_DIGIT ||
						 clean->k[first] == 0))
		first++;
	for (; i >= first; i--)
	{
		if (clean->kind[i] != K_DIGIT)
			continue;
		while (--k >= 0 && clean->kind[k] != K_DIGIT)
			;
		if (k < 0 || clean->k[k] != clean->k[i])
			return false;
		digits++;
	}
	return digits >= MIN_REPEATED;
}

/*
 * Refusals of a valid answer, from the text that it was read from.
 */
static bool
accept(const Text *input, const Clean *clean, const Trace *trace, int region,
	   int depth, LnPhone *out)
{
	char		d[LN_PHONE_MAX_CHARS];
	uint8_t		at[LN_PHONE_MAX_CHARS];
	Digits		digits;
	LnPhone		other;
	Two			two;
	int			end;
	int			i;

	if (trace->dialled || trace->loose_letters)
		return ln_phone_refuse(out, LN_PHONE_LETTERS, "letters",
							   trace->first_letter);
	if (find_second_number(clean, region, &two) >= 0)
		return read_two(clean, &two, region, depth, out);

	if (!collect_digits(input, trace->ext_start >= 0 ? trace->ext_start :
						input->end, false, d, at, &digits))
		return ln_phone_confirm(out);

	if (trace->ext_start >= 0)
	{
		const char *shape;

		for (i = 0; i < clean->easy.n && clean->at[i] < trace->ext_start; i++)
			;
		shape = find_shape(clean, i, region);
		if (shape != NULL)
			return ln_phone_refuse(out, LN_PHONE_NOT_A_NUMBER, shape,
								   clean->at[clean->first_digit]);
		i = find_fraction(clean, i);
		if (is_plain_integer(clean, i))
			return ln_phone_refuse(out, LN_PHONE_AMBIGUOUS, "two_readings",
								   clean->at[i]);
	}
	if (trace->ext_start >= 0 &&
		reads_on(clean, trace->ext_start, region, out))
		return ln_phone_refuse(out, LN_PHONE_AMBIGUOUS, "two_readings",
							   trace->ext_start);
	if (ln_phone_refuse_prefix(&digits, region, out))
		return false;
	if (is_list_item(clean, &digits, region, out))
		return ln_phone_refuse(out, LN_PHONE_AMBIGUOUS, "two_readings",
							   digits.first);
	if (ln_phone_repeats_itself(&digits))
	{
		Digits		half = digits;

		half.n /= 2;
		/* the prefix is repeated too, or half of it is a number */
		if (d[0] == '0' || digits.plus || divides_numbers(clean, half.n) ||
			ln_phone_parse_digits(&half, region, &other))
			return ln_phone_refuse(out, LN_PHONE_AMBIGUOUS, "two_readings",
								   digits.first);
	}

	/* (0) behind a calling code, once, may be left out, or has to stay */
	i = find_bracketed_zero(clean, clean->first_digit + 1, &end);
	if (i >= 0 &&
		(!stands_behind_code(clean, i, out) ||
		 find_bracketed_zero(clean, end, &end) >= 0 ||
		 (remove_bracketed_zero(clean, d, at, &digits) &&
		  ((ln_phone_parse_digits(&digits, region, &other) &&
			strcmp(other.e164, out->e164) != 0) ||
		   ln_phone_has_other_reading(&digits, region, out)))))
		return ln_phone_refuse(out, LN_PHONE_AMBIGUOUS, "two_readings",
							   digits.first);

	/* a note in brackets at the end, with digits of its own, was read too */
	for (i = clean->last_digit; i > clean->first_digit; i--)
	{
		if (clean->at[i] > at[digits.n - 1])
			continue;
		if (clean->kind[i] == K_OPEN &&
			(part_is_number(clean, 0, i, MIN_BEFORE_BRACKETS, region) ||
			 repeats_in_brackets(clean, i)))
			return ln_phone_refuse(out, LN_PHONE_AMBIGUOUS, "two_readings",
								   clean->at[i]);
		if (clean->kind[i] == K_OPEN || clean->kind[i] == K_CLOSE)
			break;
	}
	return ln_phone_confirm(out);
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
 * Are all digits here times of day or days of a month, at least one of them
 * with its minutes or a word for hours?  "10:00-18:00", "9-18", "10".
 */
static bool
is_opening_hours(const Clean *clean, int from, int end)
{
	bool		time = false;
	int			i = from;

	while (i < end)
	{
		int			value = 0;
		int			begin = i;

		while (i < end && clean->kind[i] == K_DIGIT && i - begin < 3)
			value = value * 10 + clean->k[i++];
		if (i == begin)
		{
			i++;
			continue;
		}
		if (i - begin > 2 || value > 59)
			return false;
		if (i < end &&
			(clean->c[i] == ':' || clean->c[i] == 0xFF1A ||
			 clean->c[i] == 0x6642 || clean->c[i] == 0x65F6 ||
			 clean->c[i] == 0x9EDE || clean->c[i] == 0x70B9))
			time = true;
	}
	return time;
}

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
			if (k < n && kind[k] == K_CLOSE &&
				(words || is_opening_hours(clean, i + 1, k)))
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
		int			len = ln_phone_ext_word(clean->c, k, n, ext_words[w]);

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
	return (bracket && tail_digits <= MAX_NOTE_DIGITS) ||
		is_opening_hours(clean, k, n) ? last + 1 : -1;
}

/*
 * One reading of digits, without the first skip of them.  If it is not a
 * number, the calling code may have been written twice.
 */
static bool
read_digits(const Digits *all, int skip, bool plus, int region, LnPhone *out,
			bool *doubled)
{
	Digits		digits = digits_behind(all, skip, plus);
	const PhoneCode *code;

	*doubled = false;
	if (ln_phone_parse_digits(&digits, region, out))
		return true;
	if (plus)
		code = ln_phone_extract_code(digits.d, digits.n);
	else if (region != LN_PHONE_REGION_ZZ)
		code = ln_phone_own_code(region);
	else
		code = NULL;
	if (code == NULL || digits.n < 2 * code->len ||
		memcmp(digits.d, code->digits, code->len) != 0 ||
		memcmp(digits.d + code->len, code->digits, code->len) != 0)
		return false;
	digits = digits_behind(&digits, code->len, true);

	/* or is it written once, and a digit behind it mistyped? */
	if (ln_phone_is_near(code, digits.d, digits.n))
		return false;
	*doubled = true;
	return ln_phone_parse_digits(&digits, region, out);
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
	if (!doubled && plus)
	{
		Digits		read = digits_behind(digits, skip, true);

		if (ln_phone_splits_prefix(&read, &reading))
			return;
		if (ln_phone_repeats_code(&read, &reading) &&
			differs_with_plus(&read, reading.code_len, region, &reading))
		{
			*found = true;
			ln_phone_refuse(out, LN_PHONE_AMBIGUOUS, "two_readings",
							digits->first);
			return;
		}
	}
	if (!*found)
	{
		*out = reading;
		if (doubled)
			rule = rule_doubled;
		out->rule = ln_phone_rule_names[text_rule][rule];
		*found = true;
	}
	else if (strcmp(reading.e164, out->e164) != 0)
		ln_phone_refuse(out, LN_PHONE_AMBIGUOUS, "two_readings",
						digits->first);
}

/* Are the last digits in brackets, behind as many as a number may have? */
static bool
ends_in_brackets(const Clean *clean, const Text *input)
{
	int			i = input->n - 1;
	int			before = 0;
	int			k;

	while (i >= 0 && !IS_DIGIT(input->k[i]))
		i--;
	for (; i >= 0 && clean->kind[i] != K_OPEN; i--)
		if (clean->kind[i] == K_CLOSE)
			return false;
	for (k = 0; k < i; k++)
		before += clean->kind[k] == K_DIGIT;
	return before >= MIN_BEFORE_BRACKETS;
}

/* Is it, without the plus sign, nearly a number of the region? */
static bool
is_near_home(const Digits *digits, int region)
{
	const PhoneCode *own;
	Digits		national = *digits;
	LnPhone		plain;

	if (region == LN_PHONE_REGION_ZZ)
		return false;
	own = ln_phone_own_code(region);
	national.plus = false;
	return !ln_phone_parse_digits(&national, region, &plain) && plain.parsed &&
		(ln_phone_is_near(own, digits->d + 1, digits->n - 1) ||
		 ln_phone_is_near(own, plain.national, plain.national_len));
}

/*
 * "001 48 ..." in Thailand, "0014 682 ..." in Brazil, which dials a carrier:
 * is the region's own prefix a group, and what follows no American area?
 */
static bool
sets_idd_apart(const Digits *digits, int region)
{
	LnPhone		dialled;

	if (digits->d[2] != '1' || HAS_GAP(digits, 2) ||
		!((HAS_GAP(digits, 3) && HAS_GAP(digits, 5)) || HAS_GAP(digits, 4)))
		return false;
	ln_phone_parse_digits(digits, region, &dialled);
	return dialled.idd_len > 2 && HAS_GAP(digits, dialled.idd_len) &&
		(dialled.idd_len == 4 || dialled.code_len == 2);
}

/*
 * Rescues by the digits alone.  True if there was a reading, which may yet be
 * refused.
 */
static bool
rescue_digits(const Text *input, const Clean *clean, int region,
			  int text_rule, LnPhone *out)
{
	char		d[LN_PHONE_MAX_CHARS];
	uint8_t		at[LN_PHONE_MAX_CHARS];
	Digits		digits;

	return !ends_in_brackets(clean, input) &&
		collect_digits(input, input->end, true, d, at, &digits) &&
		ln_phone_rescue_row(&digits, region, text_rule, out);
}

bool
ln_phone_rescue_row(const Digits *row, int region, int text_rule, LnPhone *out)
{
	Digits		digits = *row;
	const char *d = digits.d;
	bool		japan = ln_phone_is_region(region, "JP");
	bool		found = false;
	int			carrier = 0;

	if (digits.n < MIN_ANNOTATED || ln_phone_repeats_itself(&digits))
		return false;

	/* 0081 90 ...: as everybody writes it, whatever the region dials */
	if (d[0] == '0' && d[1] == '0' && d[2] != '0' &&
		!sets_idd_apart(&digits, region))
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

	/*
	 * +090-...: the plus sign of a form, or a space in a URL, before a number
	 * of the region; or 0 in place of the second 0 or of the plus sign,
	 * before a calling code: any one behind a plus sign, else the region's
	 * own.
	 */
	if (d[0] == '0' && d[1] != '0' && !found)
	{
		const PhoneCode *code = ln_phone_extract_code(d + 1, digits.n - 1);

		if (digits.plus)
			try_reading(&digits, 0, false, region, text_rule,
						DIGITS_PLUS_TRUNK, DIGITS_PLUS_TRUNK, out, &found);
		if (code != NULL &&
			(digits.plus || (region != LN_PHONE_REGION_ZZ &&
							 code == ln_phone_own_code(region))) &&
			!is_near_home(&digits, region))
			try_reading(&digits, 1, true, region, text_rule, DIGITS_ZERO_CODE,
						DIGITS_ZERO_CODE, out, &found);
	}

	if (found && out->valid)
	{
		const char *rule = out->rule;

		if (ln_phone_confirm(out))
			out->rule = rule;
	}
	return found;
}

/* The same text with the character for one as the digit. */
static bool
read_as_one(const Clean *clean, int region, LnPhone *out)
{
	Rewritten	text;
	Trace		trace;
	int			i;

	begin_rewriting(&text, clean);
	for (i = 0; i < clean->easy.n; i++)
		if (clean->c[i] == 0x4E00)
			put(&text, '1', 1, clean->at[i]);
		else
			put_part(&text, clean, i, i + 1);
	return ln_phone_exact_text(&text.text, region, out, &trace);
}

/* The calling code at index i, behind a plus sign, or NULL. */
static const PhoneCode *
code_at(const Clean *clean, int i)
{
	char		d[3];
	int			n = 0;

	while (i < clean->easy.n && n < 3 && clean->kind[i] == K_DIGIT)
		d[n++] = (char) ('0' + clean->k[i++]);
	return ln_phone_extract_code(d, n);
}

/* Is the plus sign at this index followed by the code that is before it? */
static bool
is_code_twice(const Clean *clean, int plus)
{
	const PhoneCode *code = code_at(clean, clean->first_digit);
	int			i;

	if (code == NULL || code != code_at(clean, plus + 1))
		return false;
	for (i = clean->first_digit + code->len; i < plus; i++)
		if (clean->kind[i] == K_DIGIT)
			return false;
	return true;
}

/* Is the second of these set apart from both sides? */
static bool
code_stands_apart(const Clean *clean, int plus)
{
	int			behind = plus + 1 + code_at(clean, plus + 1)->len;

	return clean->kind[plus - 1] != K_DIGIT || behind == clean->easy.n ||
		clean->kind[behind] != K_DIGIT;
}

/*
 * Plus signs between the digits: blanks of a URL, or columns that were joined.
 * As a separator each, unless the calling code is written twice, a part alone
 * is a number, or nothing but zeros stands before the first one.  Returns
 * false if there is none; else *out, which was not valid, may have become so.
 */
static bool
read_plus_signs(const Clean *clean, int region, int depth, LnPhone *out)
{
	Rewritten	text;
	LnPhone		part;
	const char *rule = "plus_separator";
	int			second = -1;
	bool		only_zeros = true;	/* before the first of them */
	int			before = 0;		/* digits there */
	bool		twice;
	int			i;

	begin_rewriting(&text, clean);
	put_part(&text, clean, 0, clean->first_digit);
	for (i = clean->first_digit; i < clean->easy.n; i++)
		if (i < clean->last_digit && clean->kind[i] == K_PLUS)
		{
			if (second < 0)
				second = i;
			put(&text, ' ', C_SEPARATOR, clean->at[i]);
		}
		else
		{
			if (second < 0 && clean->kind[i] == K_DIGIT)
			{
				before++;
				only_zeros &= clean->k[i] == 0;
			}
			put_part(&text, clean, i, i + 1);
		}
	if (second < 0)
		return false;
	/* "1. +81 90..." is a list */
	if (!only_zeros &&
		(before > 2 || clean->kind[second - 1] == K_DIGIT ||
		 (clean->first_digit > 0 &&
		  clean->kind[clean->first_digit - 1] == K_PLUS)))
		read_rewritten(&text, region, depth, rule, out);

	/*
	 * From the second one on.  "+66 +66 2..." is the code twice and nothing
	 * else; but in "+66+662...", 66 may begin the national number.
	 */
	begin_rewriting(&text, clean);
	put_part(&text, clean, second, clean->easy.n);
	twice = is_code_twice(clean, second);
	read_rewritten(&text, region, depth, rule, &part);
	if (only_zeros || (twice && code_stands_apart(clean, second)))
	{
		for (i = second + 1; i < clean->last_digit; i++)
			if (clean->kind[i] == K_PLUS)
			{
				ln_phone_refuse(out, LN_PHONE_MULTIPLE, "two_numbers",
								clean->at[i]);
				return true;
			}
		*out = part;
		if (part.valid && !only_zeros)
			out->rule = ln_phone_rule_names[TEXT_AS_IS][DIGITS_DOUBLED];
	}
	else if (out->valid &&
			 (part.valid ? strcmp(part.e164, out->e164) != 0 :
			  part.status >= LN_PHONE_AMBIGUOUS))
		ln_phone_refuse(out, LN_PHONE_AMBIGUOUS, "two_readings",
						clean->at[second]);
	return true;
}

/*
 * Safe mode: refusals, the core, refusals of its answer, rescues.  simple: the
 * text has digits and separators only, and *out has the exact answer already.
 */
bool
ln_phone_safe_text(const Text *input, int region, bool simple, LnPhone *out)
{
	return read_text(input, region, simple, 0, out);
}

static bool
read_text(const Text *input, int region, bool simple, int depth, LnPhone *out)
{
	Clean		clean;
	Trace		trace;
	Trace		clean_trace;
	LnPhone		first;
	Text		part;
	char		extension[LN_PHONE_MAX_EXT + 1];
	int			extension_len;
	const char *shape;
	Rewritten	rewritten;
	Two			two;
	uint32_t	separator;
	bool		valid;
	int			text_rule = TEXT_AS_IS;
	int			end;
	int			i;
	int			k;

	if (simple)
	{
		valid = out->valid;
		ln_phone_no_trace(&trace);
	}
	else
		valid = ln_phone_exact_text(input, region, out, &trace);
	ln_phone_clean_text(input, &clean);

	if (clean.percent && depth < MAX_DEPTH &&
		decode_percent(&clean, &rewritten))
	{
		first = *out;
		if (read_rewritten(&rewritten, region, depth, "percent_encoded",
						   out) && valid)
		{
			/* "%2049 30 12": was it 20, or a blank? */
			if (strcmp(first.e164, out->e164) != 0)
				return ln_phone_refuse(out, LN_PHONE_AMBIGUOUS,
									   "two_readings", 0);
			out->rule = NULL;
		}
		return out->valid;
	}

	i = find_mask(&clean, &trace);
	if (i >= 0)
		return ln_phone_refuse(out, LN_PHONE_MASKED, "mask", clean.at[i]);
	shape = find_shape(&clean, clean.easy.n, region);
	if (shape != NULL)
		return ln_phone_refuse(out, LN_PHONE_NOT_A_NUMBER, shape,
							   clean.at[clean.first_digit]);
	i = find_fraction(&clean, clean.easy.n);
	if (i >= 0 && depth < MAX_DEPTH)
	{
		LnPhone		whole;

		begin_rewriting(&rewritten, &clean);
		put_part(&rewritten, &clean, 0, i);
		put_part(&rewritten, &clean, clean.last_digit + 1, clean.easy.n);
		read_rewritten(&rewritten, region, depth, "float_text", &whole);
		if (is_plain_integer(&clean, i) ||
			(i + 1 == clean.last_digit && !(whole.valid && valid)))
		{
			*out = whole;
			return out->valid;
		}
		/* "066-2582501.0": who knows */
		if (whole.valid)
			return ln_phone_refuse(out, LN_PHONE_AMBIGUOUS, "two_readings",
								   clean.at[i]);
	}
	if (begins_with_lookalike(&clean))
		return ln_phone_refuse(out, LN_PHONE_LETTERS, "letters",
							   clean.at[clean.first_digit - 1]);
	first = *out;
	if (valid)
	{
		if (accept(input, &clean, &trace, region, depth, out) &&
			out->rule != NULL)
		{
			/* the same number twice, which libphonenumber read once */
			if (strcmp(first.e164, out->e164) != 0)
				return ln_phone_refuse(out, LN_PHONE_AMBIGUOUS,
									   "two_readings",
									   clean.at[clean.first_digit]);
			out->rule = NULL;
		}
		return out->valid;
	}

	if (clean.n_digits == 0 ||
		ln_phone_find_ascii(input->c, 0, input->n, ";phone-context=") >= 0)
		goto no_number;

	/* (a) other separators, and characters that nobody sees */
	if (clean.first_change < clean.easy.n)
	{
		text_rule = TEXT_SEPARATORS;
		if (ln_phone_exact_text(&clean.easy, region, out, &clean_trace))
		{
			if (accept(&clean.easy, &clean, &clean_trace, region, depth,
					   out) && out->rule == NULL)
				out->rule = ln_phone_rule_names[text_rule][DIGITS_AS_IS];
			return out->valid;
		}
		if (first.status == LN_PHONE_NOT_A_NUMBER)
			first = *out;
		if (clean_trace.loose_letters)
			trace = clean_trace;
	}
	if (find_second_number(&clean, region, &two) >= 0)
		return read_two(&clean, &two, region, depth, out);
	if (depth < MAX_DEPTH)
	{
		if (replace_loose_separators(&clean, &rewritten, &separator))
		{
			if (read_rewritten(&rewritten, region, depth, "separators", out))
			{
				LnPhone		digits;

				/* a one, after all? */
				if (separator != 0x4E00 ||
					!read_as_one(&clean, region, &digits))
					return true;
				return ln_phone_refuse(out, LN_PHONE_AMBIGUOUS, "two_readings",
									   clean.at[clean.first_digit]);
			}
			if (out->status >= LN_PHONE_AMBIGUOUS)
				return false;
		}
		if (read_plus_signs(&clean, region, depth, out) &&
			(out->valid || out->status >= LN_PHONE_AMBIGUOUS))
			return out->valid;
	}
	if (trace.loose_letters)
		return ln_phone_refuse(out, LN_PHONE_LETTERS, "letters",
							   trace.first_letter);

	/* (b) annotations and extensions behind the number */
	part = clean.easy;
	i = cut_annotation(&clean, extension, &extension_len);
	if (i >= 0)
	{
		shape = find_shape(&clean, i, region);
		if (shape != NULL)
			return ln_phone_refuse(out, LN_PHONE_NOT_A_NUMBER, shape,
								   clean.at[clean.first_digit]);
		k = find_fraction(&clean, i);
		if (is_plain_integer(&clean, k) && depth < MAX_DEPTH)
		{
			begin_rewriting(&rewritten, &clean);
			put_part(&rewritten, &clean, 0, k);
			put_part(&rewritten, &clean, i, clean.easy.n);
			return read_rewritten(&rewritten, region, depth, "float_text",
								  out);
		}
		part.n = i;
		if (clean.first_change >= i)
			text_rule = TEXT_AS_IS;
		if (extension_len > 0)
			text_rule = text_rule == TEXT_AS_IS ? TEXT_EXTENSION :
				TEXT_SEPARATORS_EXTENSION;
		else
			text_rule = text_rule == TEXT_AS_IS ? TEXT_ANNOTATION :
				TEXT_SEPARATORS_ANNOTATION;
		if (ln_phone_exact_text(&part, region, out, &clean_trace))
		{
			if (accept(&part, &clean, &clean_trace, region, depth, out) &&
				out->rule == NULL)
				out->rule = ln_phone_rule_names[text_rule][DIGITS_AS_IS];
			goto extension;
		}
		if (first.status == LN_PHONE_NOT_A_NUMBER)
			first = *out;
	}

	/* (c) to (f) by the digits */
	valid = rescue_digits(&part, &clean, region, text_rule, out);

	/* (g) a bracketed zero that the country does not have */
	i = depth < MAX_DEPTH ?
		find_bracketed_zero(&clean, clean.first_digit + 1, &end) : -1;
	if (i >= 0 && valid && out->valid && !stands_behind_code(&clean, i, out))
		return ln_phone_refuse(out, LN_PHONE_AMBIGUOUS, "two_readings",
							   clean.at[i]);
	if (i >= 0 && (out->valid || !valid) &&
		find_bracketed_zero(&clean, end, &k) < 0)
	{
		LnPhone		without;

		begin_rewriting(&rewritten, &clean);
		put_part(&rewritten, &clean, 0, i);
		put_part(&rewritten, &clean, end, clean.easy.n);
		/* it stands behind a calling code, or what is this? */
		if (read_rewritten(&rewritten, region, depth, "bracketed_zero",
						   &without) &&
			stands_behind_code(&clean, i, &without))
		{
			if (!valid)
			{
				*out = without;
				return true;
			}
		}
		/* with and without it */
		if (valid && (without.status >= LN_PHONE_AMBIGUOUS ||
					  (without.valid &&
					   strcmp(without.e164, out->e164) != 0)))
			return ln_phone_refuse(out, LN_PHONE_AMBIGUOUS, "two_readings",
								   clean.at[i]);
	}
	if (valid)
		goto extension;

no_number:
	*out = first;
	if (trace.dialled)
		return ln_phone_refuse(out, LN_PHONE_LETTERS, "letters",
							   trace.first_letter);
	if (first.status == LN_PHONE_NOT_A_NUMBER)
	{
		/* a letter in place of a digit explains better why */
		for (i = clean.first_digit + 1; i < clean.last_digit; i++)
			if (clean.kind[i] == K_LATIN &&
				(clean.kind[i - 1] == K_DIGIT || clean.kind[i + 1] == K_DIGIT))
				return ln_phone_refuse(out, LN_PHONE_LETTERS, "letters",
									   clean.at[i]);
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
