/*-------------------------------------------------------------------------
 *
 * use_case.c
 *		The purposes (利用用途) for which LINE accepts notification messages.
 *
 * The names of purposes reach a database by copy and paste: from PDF files
 * that write ⽤ (U+2F64, a Kangxi radical) for 用, in half-width katakana, in
 * full-width digits, with 通知 at the end or without, with 申し込み for 申込.
 * So names are compared by a skeleton of code points: NFKC, lower case,
 * without 通知 and お知らせ, without hiragana (which carries the varying
 * okurigana and particles), long-vowel marks, spaces and punctuation.  All
 * names stay distinct under it.  Hiragana that is more than that (しません) makes
 * a text no name.  The comparison works on code points and not on bytes, so it
 * is the same in every server encoding.
 *
 * A number before the name ("22. 発送完了通知", as the published list pastes) must
 * agree with it.  What is no name at all is never guessed: the error proposes
 * what is near in writing, or what the words of the trade in use_case_data.h
 * are said for.
 *
 * Glossary: a *form* is one skeleton under which a use case is found; an input
 * *fits* a use case when it is a part of one of its forms.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_enum.h"
#include "common/unicode_norm.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "base/name.h"
#include "compat.h"
#include "content/encoding.h"
#include "content/use_case.h"
#include "content/use_case_data.h"

/*
 * Longer inputs are no name of ours, with its description either; bounds the
 * work of the edit distance.
 */
#define MAX_INPUT_BYTES		600
#define MAX_FORM_CHARS		160

/* How much of a wrong input an error message repeats, in bytes. */
#define MAX_QUOTED_BYTES	60

/* How many candidates an error message names. */
#define MAX_CANDIDATES		3
#define MAX_AMBIGUOUS		8

#define FORMS_PER_ROW		12

typedef struct Form
{
	int			row;			/* index into use_case_rows */
	bool		described;		/* contains the description */
	int			len;
	pg_wchar	chars[MAX_FORM_CHARS];
} Form;

typedef struct EnumLabel
{
	float4		order;
	NameData	label;
} EnumLabel;

/* built at first use, lives as long as the process */
static Form *forms = NULL;
static int	n_forms = 0;
static bool forms_ready = false;

PG_FUNCTION_INFO_V1(line_notify_to_use_case);
PG_FUNCTION_INFO_V1(line_notify_use_case_list);

static void build_forms(void);
static int	find_row(const pg_wchar *chars, int nchars, bool *described);
static int	fold(const char *utf8, int len, pg_wchar *out, int room,
				 bool keep_hiragana);
static bool is_digit(pg_wchar c);
static bool is_hiragana(pg_wchar c);
static bool is_separator(pg_wchar c);
static bool says_more(const pg_wchar *full, int nfull);
static int	parse_number(const pg_wchar *chars, int len, int *used);
static int	find_end(const pg_wchar *hay, int haylen,
					 const pg_wchar *needle, int len);
static int	edit_distance(const pg_wchar *a, int alen,
						  const pg_wchar *b, int blen);
static int	pick_by_words(const pg_wchar *chars, int nchars,
						  const char *utf8,
						  int utf8len, int *picked, int n_picked);
static void append_candidate(StringInfo hint, int row);
pg_noreturn static void raise_payout(const char *str, int len, int payout);
pg_noreturn static void raise_unknown(const char *str, int len,
									  const pg_wchar *chars, int nchars,
									  const char *utf8, int utf8len,
									  int number);
static Oid	value_of_key(const char *key, Oid enum_type, bool missing_ok);
static int	compare_labels(const void *a, const void *b);

/*
 * to_use_case(text) returns use_case
 */
Datum
line_notify_to_use_case(PG_FUNCTION_ARGS)
{
	text	   *input = PG_GETARG_TEXT_PP(0);

	PG_RETURN_OID(
				  ln_use_case_parse(VARDATA_ANY(input),
									VARSIZE_ANY_EXHDR(input),
									get_func_rettype(fcinfo->flinfo->fn_oid),
									false));
}

/*
 * use_case_list() returns setof (use_case, no, name_ja, ...)
 *
 * The enum decides which rows there are: a value that this library does not
 * know yet has a number and no names, and a purpose that the installed version
 * of the extension lacks is left out until ALTER EXTENSION ... UPDATE.
 */
Datum
line_notify_use_case_list(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid			enum_type;
	CatCList   *list;
	EnumLabel  *labels;
	int			n_labels;
	int			i;

	InitMaterializedSRF(fcinfo, 0);
	enum_type = TupleDescAttr(rsinfo->setDesc, 0)->atttypid;

	list = SearchSysCacheList1(ENUMTYPOIDNAME, ObjectIdGetDatum(enum_type));
	n_labels = list->n_members;
	labels = palloc(sizeof(EnumLabel) * Max(n_labels, 1));
	for (i = 0; i < n_labels; i++)
	{
		Form_pg_enum en = (Form_pg_enum) GETSTRUCT(&list->members[i]->tuple);

		labels[i].order = en->enumsortorder;
		labels[i].label = en->enumlabel;
	}
	ReleaseCatCacheList(list);
	qsort(labels, n_labels, sizeof(EnumLabel), compare_labels);

	for (i = 0; i < n_labels; i++)
	{
		const char *key = NameStr(labels[i].label);
		Datum		values[7];
		bool		nulls[7];
		int			row;

		memset(nulls, true, sizeof(nulls));

		/* enum_in, because it refuses a value that is not committed yet */
		values[0] = DirectFunctionCall2(enum_in, CStringGetDatum(key),
										ObjectIdGetDatum(enum_type));
		nulls[0] = false;
		values[1] = Int32GetDatum(i + 1);
		nulls[1] = false;

		for (row = 0; row < LN_USE_CASE_COUNT; row++)
		{
			if (strcmp(use_case_rows[row].key, key) == 0)
				break;
		}
		if (row < LN_USE_CASE_COUNT)
		{
			const UseCaseRow *r = &use_case_rows[row];
			const char *texts[5];
			int			j;

			texts[0] = r->name_ja;
			texts[1] = r->subcategory_ja;
			texts[2] = r->description_ja;
			texts[3] = r->name_en;
			texts[4] = r->description_en;
			values[1] = Int32GetDatum(row + 1);
			for (j = 0; j < 5; j++)
			{
				int			len;
				const char *str;

				str = ln_encoding_from_utf8(texts[j], strlen(texts[j]), &len);
				if (str == NULL || len == 0)
					continue;
				values[2 + j] =
					PointerGetDatum(cstring_to_text_with_len(str, len));
				nulls[2 + j] = false;
			}
		}
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values,
							 nulls);
	}

	return (Datum) 0;
}

Oid
ln_use_case_parse(const char *str, int len, Oid enum_type, bool missing_ok)
{
	const char *utf8;
	int			utf8len = 0;
	pg_wchar	chars[MAX_FORM_CHARS];
	int			nchars;
	int			number;
	int			used;
	int			found;
	bool		described = false;
	pg_wchar	full[MAX_FORM_CHARS];
	int			nfull;

	/*
	 * the key as it is, the usual case; also a key that is newer than we are
	 */
	if (len < NAMEDATALEN)
	{
		char		key[NAMEDATALEN];
		Oid			value;

		memcpy(key, str, len);
		key[len] = '\0';
		value = value_of_key(key, enum_type, true);
		if (OidIsValid(value))
			return value;
	}

	utf8 = len <= MAX_INPUT_BYTES ? ln_encoding_to_utf8(str, len, &utf8len)
		: NULL;
	if (utf8 == NULL ||
		!pg_verify_mbstr(PG_UTF8, utf8, utf8len, true))
	{
		if (missing_ok)
			return InvalidOid;
		raise_unknown(str, len, NULL, 0, NULL, 0, -1);
	}

	if (!forms_ready)
		build_forms();

	nchars = fold(utf8, utf8len, chars, MAX_FORM_CHARS, false);
	if (nchars <= 0)
	{
		if (missing_ok)
			return InvalidOid;
		raise_unknown(str, len, NULL, 0, nchars < 0 ? NULL : utf8, utf8len,
					  -1);
	}

	/* a number alone, or before a name that must agree with it */
	number = parse_number(chars, nchars, &used);
	if (number > LN_USE_CASE_COUNT || (number == 0 && used == nchars))
		found = -1;
	else if (number > 0 && used == nchars)
		found = number - 1;
	else
	{
		found = find_row(chars + used, nchars - used, &described);
		if (number >= 0 && found != number - 1)
			found = -1;
	}
	nfull = fold(utf8, utf8len, full, MAX_FORM_CHARS, true);
	if (found < 0 ||
		(!described && (nfull < 0 || says_more(full, nfull))))
	{
		if (missing_ok)
			return InvalidOid;
		raise_unknown(str, len, chars + used, nchars - used, utf8, utf8len,
					  number);
	}

	/*
	 * 支払完了通知 is what the company pays.  Who writes it in words of
	 * their own may mean what the customer paid, which is 決済完了通知.
	 */
	if (used == 0 &&
		strcmp(use_case_rows[found].key, "payout_completed") == 0)
	{
		/* の of のお知らせ is no such word */
		if (nfull != nchars &&
			!(nfull == nchars + 1 && full[nchars] == 0x306E))
		{
			if (missing_ok)
				return InvalidOid;
			raise_payout(str, len, found);
		}
	}
	return value_of_key(use_case_rows[found].key, enum_type, false);
}

/*
 * The use case that has this form, -1 for none and for several; described says
 * whether its description is in it.
 */
static int
find_row(const pg_wchar *chars, int nchars, bool *described)
{
	int			found = -1;
	int			i;

	for (i = 0; i < n_forms; i++)
	{
		if (forms[i].len == nchars &&
			memcmp(forms[i].chars, chars, nchars * sizeof(pg_wchar)) == 0)
		{
			if (found >= 0 && found != forms[i].row)
				return -1;
			found = forms[i].row;
			*described = forms[i].described;
		}
	}
	return found;
}

/*
 * Is there more in the hiragana of a text than inflection, particles and
 * courtesy?  決済が完了しませんでした has the skeleton of 決済完了通知, and
 * リマインド(しはらいきげん) that of リマインド通知.
 */
static bool
says_more(const pg_wchar *full, int nfull)
{
	int			i = 0;

	while (i < nfull)
	{
		int			longest = 0;
		bool		inflects = i > 0 && !is_hiragana(full[i - 1]);

		if (!is_hiragana(full[i]))
		{
			i++;
			continue;
		}
		for (int k = 0; k < (int) lengthof(use_case_particles); k++)
		{
			const UseCaseParticle *particle = &use_case_particles[k];
			const unsigned char *p = (const unsigned char *) particle->text;
			int			n = 0;

			while (*p != '\0' && i + n < nfull &&
				   utf8_to_unicode(p) == full[i + n])
			{
				p += pg_utf_mblen(p);
				n++;
			}
			if (*p == '\0' && n > longest &&
				(inflects || !particle->inflection))
				longest = n;
		}
		if (longest == 0)
			return true;
		i += longest;
	}
	return false;
}

char *
ln_use_case_key(Oid use_case)
{
	return DatumGetCString(DirectFunctionCall1(enum_out,
											   ObjectIdGetDatum(use_case)));
}

static void
add_form(int row, const pg_wchar *chars, int len, bool described)
{
	Form	   *form;
	int			i;

	if (len <= 0)
		return;
	for (i = 0; i < n_forms; i++)
	{
		if (forms[i].row == row && forms[i].len == len &&
			memcmp(forms[i].chars, chars, len * sizeof(pg_wchar)) == 0)
			return;
	}
	form = &forms[n_forms++];
	form->row = row;
	form->described = described;
	form->len = len;
	memcpy(form->chars, chars, len * sizeof(pg_wchar));
}

/* a followed by b */
static int
join(pg_wchar *out, const pg_wchar *a, int alen, const pg_wchar *b, int blen)
{
	alen = Min(alen, MAX_FORM_CHARS);
	blen = Min(blen, MAX_FORM_CHARS - alen);
	memcpy(out, a, alen * sizeof(pg_wchar));
	memcpy(out + alen, b, blen * sizeof(pg_wchar));
	return alen + blen;
}

/* out = hay without needle, which is in it once at most */
static int
cut(pg_wchar *out, const pg_wchar *hay, int haylen,
	const pg_wchar *needle, int len)
{
	int			end = find_end(hay, haylen, needle, len);
	int			begin = end > 0 ? end - len : 0;

	return join(out, hay, begin, hay + end, haylen - end);
}

static void
build_forms(void)
{
	Form	   *longest;		/* one per row: name and sub-category */
	int			row;

	/* an error half-way leaves forms_ready unset, and we start again */
	longest = palloc0(sizeof(Form) * LN_USE_CASE_COUNT);
	if (forms == NULL)
		forms = MemoryContextAlloc(TopMemoryContext, sizeof(Form) *
								   LN_USE_CASE_COUNT *
								   FORMS_PER_ROW);
	n_forms = 0;

	for (row = 0; row < LN_USE_CASE_COUNT; row++)
	{
		const UseCaseRow *r = &use_case_rows[row];
		Form	   *l = &longest[row];
		pg_wchar	name[MAX_FORM_CHARS];
		pg_wchar	sub[MAX_FORM_CHARS];
		int			namelen =
		fold(r->name_ja, strlen(r->name_ja), name,
			 MAX_FORM_CHARS, false);
		int			sublen = fold(r->subcategory_ja, strlen(r->subcategory_ja),
								  sub, MAX_FORM_CHARS, false);

		l->row = row;
		l->len = join(l->chars, name, namelen, sub, Max(sublen, 0));
	}

	for (row = 0; row < LN_USE_CASE_COUNT; row++)
	{
		const UseCaseRow *r = &use_case_rows[row];
		pg_wchar	name[MAX_FORM_CHARS];
		pg_wchar	sub[MAX_FORM_CHARS];
		pg_wchar	buf[MAX_FORM_CHARS];
		pg_wchar	description[MAX_FORM_CHARS];
		int			namelen;
		int			sublen;
		int			len;

		len = fold(r->key, strlen(r->key), buf, MAX_FORM_CHARS, false);
		add_form(row, buf, len, false);
		len = fold(r->description_ja, strlen(r->description_ja), description,
				   MAX_FORM_CHARS, false);
		add_form(row, description, len, true);
		len = join(buf, longest[row].chars, longest[row].len, description,
				   Max(len, 0));
		add_form(row, buf, len, true);
		len = fold(r->name_en, strlen(r->name_en), buf, MAX_FORM_CHARS, false);
		add_form(row, buf, len, false);

		namelen = fold(r->name_ja, strlen(r->name_ja), name,
					   MAX_FORM_CHARS, false);
		sublen = fold(r->subcategory_ja, strlen(r->subcategory_ja),
					  sub, MAX_FORM_CHARS, false);
		if (sublen <= 0)
			add_form(row, name, namelen, false);
		else
		{
			pg_wchar	rest[MAX_FORM_CHARS];
			int			restlen;
			int			other;

			len = join(buf, name, namelen, sub, sublen);
			add_form(row, buf, len, false);
			len = join(buf, sub, sublen, name, namelen);
			add_form(row, buf, len, false);
			add_form(row, sub, sublen, false);

			/*
			 * リマインド(支払期限): the sub-category without the
			 * repeated name
			 */
			restlen = cut(rest, sub, sublen, name, namelen);
			len = join(buf, name, namelen, rest, restlen);
			add_form(row, buf, len, false);
			len = join(buf, rest, restlen, name, namelen);
			add_form(row, buf, len, false);

			/* 支払期限 alone, where it cannot mean another use case */
			for (other = 0; other < LN_USE_CASE_COUNT; other++)
			{
				if (other != row &&
					find_end(longest[other].chars, longest[other].len,
							 rest, restlen) > 0)
					break;
			}
			if (other == LN_USE_CASE_COUNT)
				add_form(row, rest, restlen, false);
		}
	}
	pfree(longest);
	forms_ready = true;
}

/*
 * Writes the skeleton of a valid UTF-8 text and returns its length, 0 when
 * nothing is left, -1 when it does not fit.
 */
static int
fold(const char *utf8, int len, pg_wchar *out, int room, bool keep_hiragana)
{
	static const pg_wchar words[][4] = {
		{0x901A, 0x77E5, 0},	/* 通知 */
		{0x304A, 0x77E5, 0x3089, 0x305B},	/* お知らせ */
	};
	static const int word_lens[] = {2, 4};
	pg_wchar   *raw;
	pg_wchar   *norm;
	pg_wchar   *p1;
	pg_wchar   *p2;
	int			nraw = 0;
	int			n = 0;
	bool		apart = false;
	const unsigned char *p = (const unsigned char *) utf8;
	const unsigned char *end = p + len;

	raw = palloc((len + 1) * sizeof(pg_wchar));
	while (p < end)
	{
		pg_wchar	c = utf8_to_unicode(p);

		p += pg_utf_mblen(p);

		/*
		 * Variation selectors choose a glyph, not a character.  They are
		 * dropped beforehand, as they would keep NFKC from composing.
		 */
		if ((c >= 0xFE00 && c <= 0xFE0F) || (c >= 0xE0100 && c <= 0xE01EF))
			continue;
		raw[nraw++] = c;
	}
	raw[nraw] = 0;
	norm = unicode_normalize(UNICODE_NFKC, raw);
	pfree(raw);

	/*
	 * First what separates, so that it cannot split a word either.  Between
	 * digits it stays: "1, 2" is not 12.
	 */
	for (p1 = p2 = norm; *p1 != 0; p1++)
	{
		pg_wchar	c = *p1;

		if (c >= 'A' && c <= 'Z')
			c += 'a' - 'A';
		if (is_separator(c))
		{
			apart = true;
			continue;
		}
		if (apart && p2 > norm && is_digit(p2[-1]) && is_digit(c))
			*p2++ = '.';
		*p2++ = c;
		apart = false;
	}
	*p2 = 0;

	/* then what varies */
	for (p1 = norm; *p1 != 0; p1++)
	{
		int			w;

		for (w = 0; w < (int) lengthof(words); w++)
		{
			int			k;

			for (k = 0; k < word_lens[w] && p1[k] == words[w][k]; k++)
				;
			if (k == word_lens[w])
			{
				p1 += k - 1;

				break;
			}
		}
		if (w < (int) lengthof(words) ||
			(!keep_hiragana && is_hiragana(*p1)))
			continue;
		if (n == room)
		{
			n = -1;
			break;
		}
		out[n++] = *p1;
	}
	pfree(norm);
	return n;
}

static bool
is_digit(pg_wchar c)
{
	return c >= '0' && c <= '9';
}

static bool
is_hiragana(pg_wchar c)
{
	return c >= 0x3041 && c <= 0x309F;
}

static bool
is_separator(pg_wchar c)
{
	if (c < 0x80)
		return !((c >= 'a' && c <= 'z') || is_digit(c));
	return c < 0xC0 ||			/* Latin-1 punctuation */
		(c >= 0x2000 && c <= 0x206F) || /* general punctuation */
		(c >= 0x3000 && c <= 0x3004) || (c >= 0x3008 && c <= 0x3040) ||
		c == 0x30A0 ||
		c == 0x30FB ||			/* katakana double hyphen, middle dot */
		c == 0x30FC ||			/* long vowel, often typed as a hyphen */
		c == 0x2212 || c == 0xFEFF;
}

/*
 * "3", "no3", "3番" as folded, alone or before something else.  Returns -1 when
 * there is none, and sets *used to the number of characters.
 */
static int
parse_number(const pg_wchar *chars, int len, int *used)
{
	int			number = 0;
	int			i = 0;
	int			digits;

	*used = 0;
	if (len > 2 && chars[0] == 'n' && chars[1] == 'o')
		i = 2;
	digits = i;
	for (; i < len && is_digit(chars[i]); i++)
		number = Min(number * 10 + (int) (chars[i] - '0'), 100000);
	if (i == digits)
		return -1;
	if (i < len && chars[i] == 0x756A)	/* 番 */
		i++;
	*used = i;
	return number;
}

/* where the last occurrence of a word ends, 0 when there is none */
static int
find_end(const pg_wchar *hay, int haylen, const pg_wchar *needle, int len)
{
	int			i;

	for (i = haylen - len; i >= 0; i--)
	{
		if (memcmp(hay + i, needle, len * sizeof(pg_wchar)) == 0)
			return i + len;
	}
	return 0;
}

/* Levenshtein, all costs 1 */
static int
edit_distance(const pg_wchar *a, int alen, const pg_wchar *b, int blen)
{
	int			line[MAX_FORM_CHARS + 1];
	int			i;
	int			j;

	for (j = 0; j <= blen; j++)
		line[j] = j;
	for (i = 1; i <= alen; i++)
	{
		int			diagonal = line[0];

		line[0] = i;
		for (j = 1; j <= blen; j++)
		{
			int			above = line[j];
			int			best = diagonal + (a[i - 1] != b[j - 1]);

			best = Min(best, above + 1);
			best = Min(best, line[j - 1] + 1);
			line[j] = best;
			diagonal = above;
		}
	}
	return line[blen];
}

/* Raises the error for a text that names payout_completed in own words. */
static void
raise_payout(const char *str, int len, int payout)
{
	int			payment = 0;
	StringInfoData hint;

	while (strcmp(use_case_rows[payment].key, "payment_completed") != 0)
		payment++;
	initStringInfo(&hint);
	append_candidate(&hint, payout);
	appendStringInfoString(&hint, " or ");
	append_candidate(&hint, payment);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("ambiguous use case: \"%s\"",
					pnstrdup(str, pg_mbcliplen(str, len, MAX_QUOTED_BYTES))),
			 errdetail("It may be what the company pays to the user, or what"
					   " the user paid."),
			 errhint("Did you mean %s?", hint.data)));
}

/* the key and the Japanese name, for a hint */
static void
append_candidate(StringInfo hint, int row)
{
	const UseCaseRow *r = &use_case_rows[row];
	char	   *name = psprintf(r->subcategory_ja[0] ? "%s %s" : "%s",
								r->name_ja, r->subcategory_ja);
	int			len;
	const char *name_db = ln_encoding_from_utf8(name, strlen(name), &len);

	appendStringInfo(hint, "\"%s\"", r->key);
	if (name_db != NULL)
		appendStringInfo(hint, " (%.*s)", len, name_db);
}

static int
add_picked(int *picked, int n_picked, int row)
{
	int			i;

	for (i = 0; i < n_picked; i++)
	{
		if (picked[i] == row)
			return n_picked;
	}
	if (n_picked < MAX_CANDIDATES)
		picked[n_picked++] = row;
	return n_picked;
}

/* Is all of it one of the words of the trade, and so no slip of the finger? */
static bool
is_word(const pg_wchar *chars, int nchars)
{
	for (int i = 0; i < (int) lengthof(use_case_words); i++)
	{
		const char *text = use_case_words[i].word;
		pg_wchar	word[MAX_FORM_CHARS];

		if (fold(text, strlen(text), word, MAX_FORM_CHARS, false) == nchars &&
			memcmp(word, chars, nchars * sizeof(pg_wchar)) == 0)
			return true;
	}
	return false;
}

/*
 * What the words of the trade in a text are said for, up to MAX_CANDIDATES:
 * longer words say more, and what scores less than a fifth of the best is
 * left out.  chars is the skeleton, utf8 the text as it came, for words that
 * are hiragana only, or nearly.
 */
static int
pick_by_words(const pg_wchar *chars, int nchars,
			  const char *utf8, int utf8len, int *picked, int n_picked)
{
	pg_wchar	full[MAX_FORM_CHARS];
	int			nfull = fold(utf8, utf8len, full, MAX_FORM_CHARS, true);
	int			score[LN_USE_CASE_COUNT] = {0};
	int			best = 0;
	int			row;
	int			i;

	for (i = 0; i < (int) lengthof(use_case_words); i++)
	{
		const UseCaseWord *w = &use_case_words[i];
		pg_wchar	word[MAX_FORM_CHARS];
		int			n = fold(w->word, strlen(w->word), word, MAX_FORM_CHARS,
							 false);
		int			end = n >= 2 ? find_end(chars, nchars, word, n) : 0;
		int			total = nchars;
		int			weight;
		int			k;

		if (end == 0)
		{
			n = fold(w->word, strlen(w->word), word, MAX_FORM_CHARS, true);
			end = n > 0 ? find_end(full, nfull, word, n) : 0;
			total = nfull;
		}
		if (end == 0)
			continue;

		/*
		 * An ideograph says as much as some letters, and what comes last is
		 * what it is about, in Japanese and mostly in English.
		 */
		weight = n * (word[0] < 0x1000 ? 2 : word[0] < 0x3100 ? 5 : 8);
		weight += weight * end / Max(total, 1);
		for (k = 0; k < 4 && w->numbers[k] > 0; k++)
		{
			row = w->numbers[k] - 1;
			score[row] += weight - k;
			best = Max(best, score[row]);
		}
	}

	/* what speaks for a name also speaks for its sub-categories */
	for (row = 0; row < LN_USE_CASE_COUNT; row++)
	{
		if (score[row] == 0 || use_case_rows[row].subcategory_ja[0] == '\0')
			continue;
		for (i = 0; i < LN_USE_CASE_COUNT; i++)
		{
			if (use_case_rows[i].subcategory_ja[0] == '\0' &&
				strcmp(use_case_rows[i].name_ja,
					   use_case_rows[row].name_ja) == 0)
				score[row] += score[i];
		}
		best = Max(best, score[row]);
	}

	while (best > 0 && n_picked < MAX_CANDIDATES)
	{
		int			top = 0;

		for (row = 1; row < LN_USE_CASE_COUNT; row++)
		{
			if (score[row] > score[top])
				top = row;
		}
		if (score[top] == 0 || score[top] * 5 < best)
			break;
		n_picked = add_picked(picked, n_picked, top);
		score[top] = 0;
	}
	return n_picked;
}

/*
 * What is near in writing.  With close, only what a slip of the finger or two
 * explains.
 */
static int
pick_by_distance(const pg_wchar *chars, int nchars, bool close,
				 int *picked, int n_picked)
{
	int			distance[LN_USE_CASE_COUNT];
	int			best = INT_MAX;
	int			row;
	int			i;

	for (row = 0; row < LN_USE_CASE_COUNT; row++)
		distance[row] = INT_MAX;
	for (i = 0; i < n_forms; i++)
	{
		int			d = edit_distance(chars, nchars,
									  forms[i].chars, forms[i].len);
		int			longer = Max(nchars, forms[i].len);

		/* what shares less than about half is not near */
		if (close ? d * 4 <= longer : d * 5 <= longer * 3)
			distance[forms[i].row] = Min(distance[forms[i].row], d);
	}
	while (n_picked < MAX_CANDIDATES)
	{
		int			nearest = -1;

		for (row = 0; row < LN_USE_CASE_COUNT; row++)
		{
			if (distance[row] != INT_MAX &&
				(nearest < 0 || distance[row] < distance[nearest]))
				nearest = row;
		}

		/* a clear winner needs no company */
		if (nearest < 0 ||
			(best != INT_MAX && distance[nearest] > best + (best > 1)))
			break;
		best = Min(best, distance[nearest]);
		n_picked = add_picked(picked, n_picked, nearest);
		distance[nearest] = INT_MAX;
	}
	return n_picked;
}

/* The descriptions that share most pairs of characters with a text. */
static int
pick_by_description(const pg_wchar *chars, int nchars,
					int *picked, int n_picked)
{
	int			share[LN_USE_CASE_COUNT] = {0};
	int			best = 0;
	int			row;
	int			i;
	int			k;

	for (i = 0; i < n_forms; i++)
	{
		int			n = 0;

		for (k = 0; k + 1 < nchars; k++)
			n += find_end(forms[i].chars, forms[i].len, chars + k, 2) > 0;
		share[forms[i].row] = Max(share[forms[i].row], n);
		best = Max(best, n);
	}
	/* of a text of some length, one pair says nothing */
	if (best * 3 < nchars - 1)
		return n_picked;
	for (row = 0; row < LN_USE_CASE_COUNT; row++)
	{
		if (best > 0 && share[row] == best)
			n_picked = add_picked(picked, n_picked, row);
	}
	return n_picked;
}

/*
 * Raises the error for a text that names no use case, or several.  chars is
 * NULL when it cannot be compared at all; number is one that stood before it.
 */
static void
raise_unknown(const char *str, int len, const pg_wchar *chars, int nchars,
			  const char *utf8, int utf8len, int number)
{
	int			picked[MAX_AMBIGUOUS];
	int			n_picked = 0;
	bool		ambiguous = false;
	bool		disagree = false;
	bool		slip = false;	/* of the finger */
	bool		more = false;	/* a name, and something else */
	bool		described;
	int			row;
	StringInfoData hint;
	char	   *quoted;
	int			i;

	row = nchars > 0 ? find_row(chars, nchars, &described)
		: number <= LN_USE_CASE_COUNT ? number - 1 : -1;
	if (row >= 0)
	{
		n_picked = add_picked(picked, n_picked, row);
		disagree = number >= 0 && row != number - 1;
		more = !disagree;
		if (disagree && number > 0 && number <= LN_USE_CASE_COUNT)
			n_picked = add_picked(picked, n_picked, number - 1);
	}

	/* which use cases does it fit? */
	else if (nchars > 0)
	{
		for (row = 0; row < LN_USE_CASE_COUNT && n_picked < MAX_AMBIGUOUS;
			 row++)
		{
			for (i = 0; i < n_forms; i++)
			{
				/* of a description, a part is no name */
				if (forms[i].row == row && !forms[i].described &&
					find_end(forms[i].chars, forms[i].len, chars,
							 nchars) > 0)
				{
					picked[n_picked++] = row;
					break;
				}
			}
		}
		ambiguous = n_picked > 1;
	}

	/* else which ones are near, in writing or in what they mean? */
	if (n_picked == 0 && nchars > 0 && !is_word(chars, nchars))
	{
		n_picked = pick_by_distance(chars, nchars, true, picked, n_picked);
		slip = n_picked > 0;
	}
	if (!ambiguous && !disagree && !slip && utf8 != NULL)
		n_picked = pick_by_words(chars, nchars, utf8, utf8len, picked,
								 n_picked);
	if (n_picked == 0 && nchars > 0)
		n_picked = pick_by_description(chars, nchars, picked, n_picked);
	if (n_picked == 0 && nchars > 0)
		n_picked = pick_by_distance(chars, nchars, false, picked, n_picked);

	initStringInfo(&hint);
	for (i = 0; i < n_picked; i++)
	{
		if (i > 0)
			appendStringInfoString(&hint, i == n_picked - 1 ? " or " : ", ");
		append_candidate(&hint, picked[i]);
	}

	quoted = ln_has_number(str, len) ? pstrdup("...")
		: pnstrdup(str, pg_mbcliplen(str, len, MAX_QUOTED_BYTES));
	ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 ambiguous ? errmsg("ambiguous use case: \"%s\"", quoted)
			 : errmsg("unknown use case: \"%s\"", quoted),
			 ambiguous ? errdetail("It fits several use cases.")
			 : disagree ? errdetail("The number and the name do not agree.")
			 : more ? errdetail("There is more in it than the name.")
			 : 0,
			 n_picked > 0
			 ? errhint("Did you mean %s?", hint.data)
			 : errhint(
					   "The view line_notify.use_cases lists the keys, "
					   "numbers and names.")));
}

/* the enum value of a label */
static Oid
value_of_key(const char *key, Oid enum_type, bool missing_ok)
{
	if (missing_ok &&
		!SearchSysCacheExists2(ENUMTYPOIDNAME, ObjectIdGetDatum(enum_type),
							   CStringGetDatum(key)))
		return InvalidOid;

	/* enum_in, because it refuses a value that is not committed yet */
	return DatumGetObjectId(DirectFunctionCall2(enum_in, CStringGetDatum(key),
												ObjectIdGetDatum(enum_type)));
}

static int
compare_labels(const void *a, const void *b)
{
	float4		x = ((const EnumLabel *) a)->order;
	float4		y = ((const EnumLabel *) b)->order;

	return (x > y) - (x < y);
}
