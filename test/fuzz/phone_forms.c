/*-------------------------------------------------------------------------
 *
 * phone_forms.c
 *		Counts wrong answers of safe mode over generated cells.
 *
 * A cell is a valid number of any region (a random walk through the automata,
 * which are the metadata's patterns), or one with a typing error in it,
 * written in one of the ways below: a form of its prefix, a kind of separator
 * and something around it, so every form meets every other one.  What the
 * number is, is known from how the cell was made, not from reading it; what
 * safe mode answers must be that number or nothing.  Dates are cells without
 * a number.
 *
 * A mistyped number counts as what its digits are: a number or none, by the
 * exact core.  Forms of digits alone (a lost leading zero, a calling code
 * without its plus sign) can be two numbers' text; such a cell is only counted
 * as a collision, if the answer is what these very digits are in the region.
 *
 * Usage: phone_forms CELLS SEED
 * Prints the counts per form and the first wrong cells; status 1 if there is
 * one, or if fewer than 97 % of the lenient cells are read.
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/phone/phone.h"
#include "phone_sample.h"

#define CELL	512

static uint64_t state;

static uint32_t
rnd(void)
{
	uint64_t	z;

	state += 0x9E3779B97F4A7C15ull;
	z = state;
	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
	return (uint32_t) ((z ^ (z >> 31)) >> 16);
}

static int
upto(int n)
{
	return (int) (rnd() % (unsigned) n);
}

/* forms of the prefix */
enum
{
	NATIONAL, PLUS, PLUS_ZERO, PLUS_BRACKETED, ZEROS, ZEROS_BRACKETED,
	SPLIT_ZEROS, SPLIT_BRACKETED, SPLIT_ZERO, DOUBLED, DOUBLED_PLUS,
	ZEROS_DOUBLED, PLUS_TRUNK, ZERO_CODE, PLUS_ZERO_CODE, BARE, CODE,
	CODE_BRACKETED, ZERO_PLUS, N_PREFIXES
};
static const char *const prefix_names[] = {
	"national", "+CC", "+CC 0", "+CC (0)", "00CC", "00CC(0)", "00 CC",
	"00 CC (0)", "00 CC 0", "+CC CC", "+CC +CC", "00CC CC", "+0 (trunk)",
	"0CC", "+0CC", "lost zero", "CC", "CC (0)", "0+CC, 00+CC"
};

/* the trunk 0 that is left out behind a calling code */
static const char *const zeros[] = {
	"(0)", "（0）", "[0]", "( 0 )", "(0) ", "（０）"
};

static const char *const labels[] = {
	"TEL: ", "携帯：", "tel:", "1. ", "① ", "Mobile "
};

static const char *const behind[] = {
	"", "", "", "", "（10:00-18:00）", " ext. 5", "内線12", "x3", ",5", "（更新）"
};

static const char *const extensions[] = {
	"内線12", " ext. 5", "x345", " #12", "分機 3", " ต่อ 5", ";ext=7"
};

/* what stands between the groups */
static const struct
{
	const char *name;
	const char *text;
	bool		lenient;		/* is it to be read? */
}			separators[] = {
	{"nothing", "", true}, {"-", "-", true}, {"space", " ", true},
	{".", ".", true}, {"/", "/", false}, {"U+FF0D", "－", true},
	{"U+30FC", "ー", true}, {"U+FF70", "ｰ", true}, {"_", "_", true},
	{"U+30FB", "・", true}, {"U+FF5E", "～", true}, {"tab", "\t", true},
	{"plus", "+", true}, {"colon", ":", false}, {"U+FF1A", "：", false},
	{"U+3001", "、", false}, {"U+4E00", "一", false}, {"comma", ",", false},
	{"LRM", "-\xE2\x80\x8E", true}
};

#define ONE_OF(list) list[upto((int) (sizeof(list) / sizeof(list[0])))]

/* what stands around the number */
enum
{
	ALONE, FLOAT, FLOAT_2, TWICE, TWICE_BRACKETS, TWICE_LINES, TWICE_NATIONAL,
	HOURS, HOURS_WORDS, NOTE, NOTE_WORD, LABEL, FULL_WIDTH, THAI, PERCENT,
	QUOTED, BIDI, EXTENSION, N_WRAPS
};
static const char *const wrap_names[] = {
	"alone", ".0", ".00", "twice, slash", "twice, brackets", "twice, lines",
	"twice, in two forms", "(10:00-18:00)", "(hours, words)", "(note)",
	"note", "label", "full-width", "Thai digits", "percent", "quoted", "bidi",
	"extension word"
};

typedef struct Count
{
	long		cells;
	long		right;
	long		none;
	long		collisions;
	long		wrong;
}			Count;

static Count by_prefix[N_PREFIXES];
static Count by_separator[sizeof(separators) / sizeof(separators[0])];
static Count by_wrap[N_WRAPS];
static Count typos;
static Count dates;
static Count all;
static Count lenient;

static void
group_digits(const char *digits, const char *separator, char *out)
{
	int			left = (int) strlen(digits);
	int			next = 2 + upto(3);

	*out = '\0';
	if (separator[0] == '\0')
		next = left;
	while (left > 0)
	{
		if (next > left || left - next == 1)
			next = left;
		strncat(out, digits, next);
		digits += next;
		left -= next;
		next = 2 + upto(3);
		if (left > 0)
			strcat(out, separator);
	}
}

static void
replace_digits(const char *in, const char *zero, char *out)
{
	size_t		len = strlen(zero);

	for (; *in; in++)
		if (*in >= '0' && *in <= '9')
		{
			memcpy(out, zero, len);
			out[len - 1] = (char) (out[len - 1] + *in - '0');
			out += len;
		}
		else
			*out++ = *in;
	*out = '\0';
}

static bool
exact(const char *text, int region, LnPhone *out)
{
	return ln_phone_parse(text, strlen(text), region, LN_PHONE_LIBPHONENUMBER,
						  out);
}

/* The trunk prefix with which this number is written at home, or NULL. */
static const char *
trunk_of(const char *nsn, const char *e164, int region)
{
	static const char *const trunks[] = {"0", "8", "1", "06", "01", ""};
	size_t		i;

	for (i = 0; i < sizeof(trunks) / sizeof(trunks[0]); i++)
	{
		char		text[64];
		LnPhone		p;

		snprintf(text, sizeof(text), "%s%s", trunks[i], nsn);
		if (exact(text, region, &p) && strcmp(p.e164, e164) == 0)
			return trunks[i];
	}
	return NULL;
}

static void
mistype(char *nsn)
{
	int			n = (int) strlen(nsn);
	int			i = upto(n);

	switch (upto(4))
	{
		case 0:
			memmove(nsn + i, nsn + i + 1, n - i);
			break;
		case 1:
			memmove(nsn + i + 1, nsn + i, n - i + 1);
			nsn[i] = (char) ('0' + upto(10));
			break;
		case 2:
			nsn[i] = (char) ('0' + upto(10));
			break;
		default:
			if (i + 1 < n)
			{
				char		c = nsn[i];

				nsn[i] = nsn[i + 1];
				nsn[i + 1] = c;
			}
			break;
	}
}

static void
count(Count * c, const LnPhone *safe, bool right, bool collision)
{
	c->cells++;
	if (!safe->valid)
		c->none++;
	else if (right)
		c->right++;
	else if (collision)
		c->collisions++;
	else
		c->wrong++;
}

static void
report(const char *kind, const char *name, const Count * c)
{
	printf("%-10s %-20s %10ld %10ld %10ld %8ld %8ld\n", kind, name, c->cells,
		   c->right, c->none, c->collisions, c->wrong);
}

static void
show(const char *text, int region, const char *truth, const LnPhone *p,
	 const char *form)
{
	static int	shown;

	if (shown++ < 60)
		printf("WRONG %s: \"%s\" region %d truth %s answer %s rule %s\n", form,
			   text, region, truth, p->e164, p->rule ? p->rule : "-");
}

/* A cell with the shape of a date, in any region. */
static void
date_cell(int regions)
{
	char		text[64];
	int			y = 1900 + upto(200);
	int			m = 1 + upto(12);
	int			d = 1 + upto(31);
	int			region = upto(regions);
	LnPhone		p;

	/* where years are counted so */
	if (upto(8) == 0)
	{
		region = ln_phone_region_id("TH", 2);
		y += 543;
	}
	switch (upto(10))
	{
		case 0:
			snprintf(text, sizeof(text), "%04d%02d%02d.0", y, m, d);
			break;
		case 6:
			snprintf(text, sizeof(text), "%04d %02d %02d", y, m, d);
			break;
		case 7:
			snprintf(text, sizeof(text), "%02d.%02d.%04d", d, m, y);
			break;
		case 1:
			snprintf(text, sizeof(text), "%02d%02d%04d", d, m, y);
			break;
		case 2:
			snprintf(text, sizeof(text), "%04d-%02d-%02d", y, m, d);
			break;
		case 3:
			snprintf(text, sizeof(text), "%04d/%02d/%02d %02d:%02d", y, m, d,
					 upto(24), upto(60));
			break;
		case 4:
			snprintf(text, sizeof(text), "%04d%02d%02d%02d%02d%02d", y, m, d,
					 upto(24), upto(60), upto(60));
			break;
		case 5:
			snprintf(text, sizeof(text), "%04d:%02d:%02d %02d:%02d:%02d", y, m,
					 d, upto(24), upto(60), upto(60));
			break;
		default:
			snprintf(text, sizeof(text), "%04d%02d%02d", y, m, d);
			break;
	}
	strcat(text, ONE_OF(behind));
	ln_phone_parse(text, strlen(text), region, LN_PHONE_SAFE, &p);
	count(&dates, &p, false, false);
	count(&all, &p, false, false);
	if (p.valid)
		show(text, region, "none", &p, "date");
}

static bool
cell(int regions)
{
	static const char *const line_codes[] = {"81", "66", "886"};
	char		nsn[64];
	char		cc[8];
	char		e164[80];
	char		groups[160];
	char		number[200];
	char		text[2 * CELL];
	char		other[200];
	const char *trunk;
	const char *separator;
	LnPhone		home;
	LnPhone		plain;
	LnPhone		truth;
	LnPhone		safe;
	int			code = upto(ln_sample_codes());
	int			prefix = upto(N_PREFIXES);
	int			sep = upto((int) (sizeof(separators) / sizeof(separators[0])));
	int			wrap = upto(3) == 0 ? ALONE : upto(N_WRAPS);
	bool		typo = upto(4) == 0;
	bool		digits_alone;
	bool		right;
	bool		collision = false;
	bool		is_lenient;
	int			region;
	char		form[100];

	if (upto(3) == 0)
	{
		const char *wanted = line_codes[upto(3)];

		for (code = 0; ln_sample_code(code) != atoi(wanted); code++)
			;
	}
	snprintf(cc, sizeof(cc), "%d", ln_sample_code(code));
	ln_sample_national(code, rnd, nsn);
	snprintf(e164, sizeof(e164), "+%s%s", cc, nsn);
	if (!exact(e164, LN_PHONE_REGION_ZZ, &home) ||
		strcmp(home.e164, e164) != 0)
		return false;
	region = ln_phone_region_id(home.region, strlen(home.region));
	if (region < 0)
	{
		if (prefix == NATIONAL || (prefix >= PLUS_TRUNK && prefix <= CODE))
			return false;		/* at home nowhere */
		region = upto(regions);
	}
	if (nsn[0] == '0' && nsn[1] == '0')
		return false;			/* "00..." is dialled in its country only */
	trunk = trunk_of(nsn, e164, region);

	/* abroad, where the form does not need the home region */
	if (((prefix >= PLUS && prefix <= ZEROS_DOUBLED) ||
		 prefix == PLUS_ZERO_CODE || prefix >= CODE_BRACKETED) &&
		upto(2) == 0)
	{
		static const char *const some[] = {"JP", "TH", "TW", "KR", "SG", "BR"};

		region = upto(2) == 0 ? upto(regions) :
			ln_phone_region_id(some[upto(6)], 2);
	}
	else if (prefix == NATIONAL || prefix == PLUS_TRUNK || prefix == BARE)
	{
		if (trunk == NULL || (prefix == PLUS_TRUNK && trunk[0] != '0'))
			return false;
	}
	if (typo && (prefix == BARE || prefix == CODE))
		typo = false;
	if (typo)
	{
		mistype(nsn);
		if (strlen(nsn) < 4 || nsn[0] == '0')
			return false;		/* "00..." would be another form */
		snprintf(e164, sizeof(e164), "+%s%s", cc, nsn);
		/* a calling code is never part of the error */
		if (exact(e164, LN_PHONE_REGION_ZZ, &truth) &&
			strcmp(truth.e164, e164) != 0)
			return false;
	}
	else
		truth = home;
	if (typo && (prefix == NATIONAL || prefix == PLUS_TRUNK))
	{
		snprintf(other, sizeof(other), "%s%s", trunk, nsn);
		exact(other, region, &truth);
	}

	/* a plus sign, colon or list comma is a separator of whole numbers only */
	separator = separators[sep].text;
	digits_alone = wrap == FLOAT || wrap == FLOAT_2;
	if (digits_alone)
	{
		/* what a spreadsheet takes for a number has no leading zero */
		if (prefix != BARE && prefix != CODE && prefix != PLUS)
			return false;
		sep = 0;
		separator = "";
	}
	group_digits(nsn, separator, groups);
	switch (prefix)
	{
		case NATIONAL:
			{
				char		with_trunk[80];

				snprintf(with_trunk, sizeof(with_trunk), "%s%s", trunk, nsn);
				group_digits(with_trunk, separator, number);
			}
			break;
		case PLUS:
			snprintf(number, sizeof(number), "+%s%s%s", cc, separator, groups);
			break;
		case PLUS_ZERO:
			snprintf(number, sizeof(number), "+%s%s0%s", cc, separator,
					 groups);
			break;
		case PLUS_BRACKETED:
			snprintf(number, sizeof(number), "+%s%s%s%s", cc,
					 upto(2) ? " " : "", ONE_OF(zeros), groups);
			break;
		case ZEROS:
			snprintf(number, sizeof(number), "00%s%s%s", cc, separator,
					 groups);
			break;
		case ZEROS_BRACKETED:
			snprintf(number, sizeof(number), "00%s%s%s", cc, ONE_OF(zeros),
					 groups);
			break;
		case SPLIT_ZEROS:
			snprintf(number, sizeof(number), "00%s%s%s%s",
					 upto(2) ? " " : "-", cc, upto(2) ? " " : separator,
					 groups);
			break;
		case SPLIT_BRACKETED:
			snprintf(number, sizeof(number), "00 %s %s%s", cc, ONE_OF(zeros),
					 groups);
			break;
		case SPLIT_ZERO:
			snprintf(number, sizeof(number), "00 %s 0 %s", cc, groups);
			break;
		case DOUBLED:
			snprintf(number, sizeof(number), "+%s %s %s", cc, cc, groups);
			break;
		case DOUBLED_PLUS:
			snprintf(number, sizeof(number), "+%s%s+%s %s", cc,
					 upto(2) ? " " : "", cc, groups);
			break;
		case ZEROS_DOUBLED:
			snprintf(number, sizeof(number), "00%s %s %s", cc, cc, groups);
			break;
		case PLUS_TRUNK:
			snprintf(number, sizeof(number), "+%s%s", trunk, groups);
			break;
		case ZERO_CODE:
			snprintf(number, sizeof(number), "0%s%s%s", cc, separator, groups);
			break;
		case PLUS_ZERO_CODE:
			snprintf(number, sizeof(number), "+0%s%s%s", cc, separator,
					 groups);
			break;
		case BARE:
			strcpy(number, groups);
			break;
		case CODE_BRACKETED:
			snprintf(number, sizeof(number), "%s%s%s%s", cc,
					 upto(2) ? " " : "", ONE_OF(zeros), groups);
			break;
		case ZERO_PLUS:
			snprintf(number, sizeof(number), "%s+%s%s%s",
					 upto(2) ? "0" : "00", cc, separator, groups);
			break;
		default:
			snprintf(number, sizeof(number), "%s%s%s", cc, separator, groups);
			break;
	}

	switch (wrap)
	{
		case FLOAT:
			snprintf(text, sizeof(text), "%s.0%s", number, ONE_OF(behind));
			break;
		case FLOAT_2:
			snprintf(text, sizeof(text), "%s.00%s", number, ONE_OF(behind));
			break;
		case TWICE:
			snprintf(text, sizeof(text), "%s / %s", number, number);
			break;
		case TWICE_BRACKETS:
			snprintf(text, sizeof(text), "%s (%s)", number, number);
			break;
		case TWICE_LINES:
			snprintf(text, sizeof(text), "%s\n%s", number, number);
			break;
		case TWICE_NATIONAL:
			if (typo || trunk == NULL)
				return false;
			snprintf(text, sizeof(text), "%s (%s%s)", number, trunk, nsn);
			if (region != ln_phone_region_id(home.region, strlen(home.region)))
				return false;
			break;
		case HOURS:
			snprintf(text, sizeof(text), "%s%s", number,
					 upto(2) ? "（10:00-18:00）" : " (9:00~17:30)");
			break;
		case HOURS_WORDS:
			snprintf(text, sizeof(text), "%s%s", number,
					 upto(2) ? "（平日 10時～18時）" : "（10:00～18:00 土日休）");
			break;
		case NOTE:
			snprintf(text, sizeof(text), "%s%s", number,
					 upto(2) ? "（携帯）" : " (home)");
			break;
		case NOTE_WORD:
			snprintf(text, sizeof(text), "%s%s", number,
					 upto(2) ? " 自宅" : "様");
			break;
		case LABEL:
			snprintf(text, sizeof(text), "%s%s", ONE_OF(labels), number);
			break;
		case FULL_WIDTH:
			replace_digits(number, "\xEF\xBC\x90", text);
			break;
		case THAI:
			replace_digits(number, "\xE0\xB9\x90", text);
			break;
		case PERCENT:
			{
				char	   *to = text;
				const char *from;

				for (from = number; *from; from++)
					if (*from == '+' || *from == ' ' || *from == '(' ||
						*from == ')' || *from == '/')
						to += sprintf(to, "%%%02X", *from);
					else
						*to++ = *from;
				*to = '\0';
			}
			break;
		case QUOTED:
			snprintf(text, sizeof(text), "\"%s\"", number);
			break;
		case BIDI:
			snprintf(text, sizeof(text), "\xE2\x80\xAA%s\xE2\x80\xAC", number);
			break;
		case EXTENSION:
			snprintf(text, sizeof(text), "%s%s", number, ONE_OF(extensions));
			break;
		default:
			strcpy(text, number);
			break;
	}

	ln_phone_parse(text, strlen(text), region, LN_PHONE_SAFE, &safe);
	right = safe.valid && truth.valid && strcmp(safe.e164, truth.e164) == 0;
	if (safe.valid && !right &&
		(prefix == BARE || prefix == CODE ||
		 (typo && (prefix == DOUBLED || prefix == ZERO_CODE ||
				   prefix == ZEROS_DOUBLED || prefix == PLUS_ZERO_CODE ||
				   prefix == DOUBLED_PLUS))))
	{
		const char *first = prefix == ZERO_CODE || prefix == PLUS_ZERO_CODE ?
		"0" : prefix >= DOUBLED && prefix <= ZEROS_DOUBLED ? "+" : "";

		snprintf(other, sizeof(other), "%s%s%s%s", first,
				 prefix == BARE ? "" : cc, first[0] == '+' ? cc : "", nsn);
		/* and a lost zero needs a region that reads it so */
		collision = (exact(other, region, &plain) &&
					 strcmp(plain.e164, safe.e164) == 0) ||
			(prefix == BARE && strcmp(plain.e164, truth.e164) != 0);
	}
	/* the error was mended: nobody else is reached */
	if (safe.valid && typo && strcmp(safe.e164, home.e164) == 0)
		right = true;

	/* 001 set apart, then another calling code: as the region dials */
	if (safe.valid && !right && typo && prefix == ZEROS && cc[1] == '\0' &&
		separator[0] != '\0')
	{
		snprintf(other, sizeof(other), "00%s%s", cc, nsn);
		collision = exact(other, region, &plain) &&
			strcmp(plain.e164, safe.e164) == 0;
	}
	/* what a comma or a tilde announces is an extension to the library */
	if (safe.valid && !right && typo && safe.extension_len > 0)
		collision = true;
	/* where numbers begin with 0 themselves, so does this one */
	if (safe.valid && !right && (prefix == PLUS_ZERO || prefix == SPLIT_ZERO))
	{
		snprintf(other, sizeof(other), "+%s0%s", cc, nsn);
		right = exact(other, region, &plain) &&
			strcmp(plain.e164, safe.e164) == 0;
	}
	/* or if the rest is mistyped, even if the 0 is in brackets */
	if (safe.valid && !right && typo &&
		(prefix == PLUS_BRACKETED || prefix == ZEROS_BRACKETED ||
		 prefix == SPLIT_BRACKETED || prefix == CODE_BRACKETED))
	{
		snprintf(other, sizeof(other), "+%s0%s", cc, nsn);
		collision |= exact(other, region, &plain) &&
			strcmp(plain.e164, safe.e164) == 0;
	}
	snprintf(form, sizeof(form), "%s, %s, %s%s", prefix_names[prefix],
			 separators[sep].name, wrap_names[wrap], typo ? ", typo" : "");
	if (safe.valid && !right && !collision)
		show(text, region, truth.valid ? e164 : "none", &safe, form);
	if (typo)
		count(&typos, &safe, right, collision);
	else
	{
		count(&by_prefix[prefix], &safe, right, collision);
		count(&by_separator[sep], &safe, right, collision);
		count(&by_wrap[wrap], &safe, right, collision);

		/* plainly one number to a person */
		is_lenient = separators[sep].lenient &&
			(prefix == NATIONAL || prefix == PLUS || prefix == BARE ||
			 (prefix == PLUS_BRACKETED && trunk != NULL && trunk[0] == '0')) &&
			strlen(nsn) >= 8 && wrap != TWICE_NATIONAL &&
			(!digits_alone || text[strlen(text) - 1] == '0');
		if (is_lenient)
		{
			ln_phone_parse(e164, strlen(e164), region, LN_PHONE_SAFE, &plain);
			if (plain.valid)
				count(&lenient, &safe, right, collision);
		}
	}
	count(&all, &safe, right, collision);
	return true;
}

int
main(int argc, char **argv)
{
	long		cells = argc > 1 ? atol(argv[1]) : 100000;
	int			regions = 0;
	size_t		i;
	double		rate;

	state = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
	for (i = 0; i < 26 * 26; i++)
	{
		char		name[2] = {(char) ('A' + i / 26), (char) ('A' + i % 26)};
		int			id = ln_phone_region_id(name, 2);

		if (id != LN_PHONE_REGION_ZZ && id >= regions)
			regions = id + 1;
	}
	while (all.cells < cells)
		if (upto(50) == 0)
			date_cell(regions);
		else
			cell(regions);

	printf("%-10s %-20s %10s %10s %10s %8s %8s\n", "", "form", "cells",
		   "right", "no answer", "collide", "wrong");
	for (i = 0; i < N_PREFIXES; i++)
		report("prefix", prefix_names[i], &by_prefix[i]);
	for (i = 0; i < sizeof(separators) / sizeof(separators[0]); i++)
		report("separator", separators[i].name, &by_separator[i]);
	for (i = 0; i < N_WRAPS; i++)
		report("around", wrap_names[i], &by_wrap[i]);
	report("mistyped", "", &typos);
	report("dates", "", &dates);
	report("lenient", "", &lenient);
	report("all", "", &all);
	rate = 100.0 * lenient.right / (lenient.cells > 0 ? lenient.cells : 1);
	printf("phone_forms: %ld cells, seed %s, tables %s: %ld wrong, %.2f %% of "
		   "%ld lenient cells read\n", all.cells, argc > 2 ? argv[2] : "1",
		   ln_phone_metadata_version(), all.wrong, rate, lenient.cells);
	return all.wrong > 0 || rate < 97;
}
