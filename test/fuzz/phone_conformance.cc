/*-------------------------------------------------------------------------
 *
 * phone_conformance.cc
 *		Compares mode "libphonenumber" with the C++ library, in one process.
 *
 * The oracle is Debian's libphonenumber with ICU; our tables for this test
 * come from Debian's python3-phonenumbers of the same version, so that both
 * sides know the same numbering plans.  Inputs are built from real numbers
 * (the library's examples of every region and type, and random walks through
 * our automata) x writing styles x mutations.  Compared are: error class, and
 * for whatever could be parsed E.164, validity, type, region and extension.
 *
 * Also checks the promises of safe mode against the exact answer on the same
 * inputs: it answers nothing, or a fixed point; a valid exact answer is kept
 * or refused, never changed.  And that the shortcut for simple texts, which
 * nearly all real ones take, gives what the long way gives.
 *
 * Usage: phone_conformance INPUTS SEED [regression file [sweep]]
 * The seed is printed; the same seed gives the same inputs.  With "sweep",
 * also every character of Unicode at five places of a number (some minutes).
 *
 *-------------------------------------------------------------------------
 */
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <phonenumbers/phonenumber.pb.h>
#include <phonenumbers/phonenumberutil.h>

extern "C" {
#include "../../src/phone/phone.h"
#include "phone_sample.h"

/* phone.c without its shortcut for simple texts */
bool		ln_long_way_parse(const char *utf8, size_t len, int region_id,
							  LnPhoneMode mode, LnPhone *out);
}

using i18n::phonenumbers::PhoneNumber;
using i18n::phonenumbers::PhoneNumberUtil;
using std::string;
using std::vector;

static uint64_t state;

static uint32_t
rnd(void)
{
	state += 0x9E3779B97F4A7C15ull;
	uint64_t z = state;

	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
	return (uint32_t) ((z ^ (z >> 31)) >> 16);
}

static int
upto(int n)
{
	return (int) (rnd() % (unsigned) n);
}

static bool
chance(int percent)
{
	return upto(100) < percent;
}

static const string &
pick(const vector<string> &v)
{
	return v[upto((int) v.size())];
}

static string
utf8(uint32_t c)
{
	string		s;

	if (c < 0x80)
		s += (char) c;
	else if (c < 0x800)
	{
		s += (char) (0xC0 | c >> 6);
		s += (char) (0x80 | (c & 0x3F));
	}
	else if (c < 0x10000)
	{
		s += (char) (0xE0 | c >> 12);
		s += (char) (0x80 | (c >> 6 & 0x3F));
		s += (char) (0x80 | (c & 0x3F));
	}
	else
	{
		s += (char) (0xF0 | c >> 18);
		s += (char) (0x80 | (c >> 12 & 0x3F));
		s += (char) (0x80 | (c >> 6 & 0x3F));
		s += (char) (0x80 | (c & 0x3F));
	}
	return s;
}

static vector<string> regions;
static vector<string> bases;	/* "+CC NSN" of examples, with a space */

static const vector<string> separators = {
	"-", "-", "-", " ", " ", ".", "/", "(", ")", "[", "]", "~", "  ", " - ",
	") ", " (", "‐", "‑", "‒", "–", "—", "―", "−", "ー", "－", "．", "／", "　",
	"\u00A0", "\u00AD", "\u200B", "\u2060", "（", "）", "［", "］", "\u2053",
	"\u223C"};

static const vector<string> odd = {
	"x", "X", "*", "#", ",", ";", ":", "\t", "\n", "\r", "\f", "\v", "_", "=",
	"+", "＋", "ｰ", "・", "～", "〜", "a", "B", "k", "ſ", "K", "ｘ", "Ｘ", "＃", "ｅ",
	"д", "Д", "о", "б", "ᲁ", "ó", "Ó", "\u0301", "é", "文", "様", "携", "ต",
	"\u200E", "\u202A", "\u202C", "\uFEFF", "\u0001", "\u0085", "\u009F",
	"\u007F", "\u2028", "\u2029", "\uFDD0", "\uFFFE", "\U0001FFFF",
	"\U0010FFFF", "\U0001F4DE", "\uFFFD", "²", "①", "Ⅷ", "½", "\\", "/x",
	"\\ x", "/ x", "ext", "tel:", ";ext=", ";isub=", ";phone-context=", "\"",
	"'", "%", "&", "!", "?", "|", "00", "0", "1", "9", "٣", "๙", "۴", "९", "𝟗",
	"𞥉", "３", "０"};

static const vector<string> ext_labels = {
	" ext. ", "ext", " EXT ", " x", "x", "X", " X ", "#", " # ", ";ext=",
	";EXT=", ",", ",,", ";", " , ", "~", "～", " ～ ", " int ", "int", " xt",
	" extn ", " extension ", " extensió ", " extensión ", " extensio\u0301n ",
	"ｅｘｔｎ", "ｘｔ", "ＥＸＴ", "ｘ", "Ｘ", "＃", " доб ", " ДОБ. ", "ᲁᲂб", " anexo ",
	"ANEXO:", "ｉｎｔ", " - ", " -", "-", "  ", " ext.:", " x:", "x．",
	"extenſion ", " ex", " ensi ", ",;", ";,", ", ,", "\t,", "\u00A0x", " x -",
	"e.", " tension "};

static const vector<string> before = {
	"TEL: ", "Tel:", "tel:", "tel: ", "携帯：", "電話 ", "(", "（携帯）", "'", "\"",
	"☎", " ", "\t", "\n", "p:", "Mob ", "เบอร์ ", "전화 ", "1) ", "*", "**",
	"#31#", "*31*", "x", "＋", "+", "++", "00", "~", "_", "\u200E", "\uFEFF",
	"abc "};

static const vector<string> after = {
	" ", "\t", "\n", ".", ")", "）", "（携帯）", " 自宅", "様", " home", " (Wang)",
	" a", " ab", "abc", "#", " #", "*", "x", "\u202C", "\u200E", ",", ";",
	" /", " / x2303", "/x12", "\\ x", "ー", "ｰ", "。", "ext", " ext.", "²", "Ⅳ",
	"\"", "٪", "一", "ต่อ 12", "内線12", "!", "?", "\u0001", "\u00AD", " 0",
	" 00", "\r\n12/x", "\n/x"};

static const vector<string> contexts = {
	"+81", "+1-650", "+44.20", "+(66)", "+", "+x", "example.com", "a.b.c", "a",
	"1a.b", "a1", "a.1b", "-a.b", "a-.b", "a--b", "a.b.", "a..b", ".", "",
	"www.example-1.com", "+８１", "tel:", "+886;ext=1", "example.com;isub=2",
	"+81;", "1", "+1", "+12345678901"};

/* "1234567" -> other scripts */
static string
scripts(const string &s)
{
	static const uint32_t zeros[] = {0xFF10, 0x660, 0x6F0, 0x966, 0xE50,
	0x1D7CE, 0x1E950, 0x1810, 0x11F50, 0x0030};
	uint32_t	zero = zeros[upto(10)];
	int			percent = chance(60) ? 100 : 30;
	string		out;

	for (char c : s)
		if (c >= '0' && c <= '9' && chance(percent))
			out += utf8(zero + (c - '0'));
		else
			out += c;
	return out;
}

static string
letters(const string &s)
{
	static const char *keys[] = {"", "", "ABC", "DEF", "GHI", "JKL", "MNO",
	"PQRS", "TUV", "WXYZ"};
	string		out;
	int			left = 1 + upto(8);
	int			skip = upto(6);

	for (char c : s)
		if (c >= '2' && c <= '9' && skip-- <= 0 && left > 0)
		{
			const char *k = keys[c - '0'];
			char		l = k[upto((int) strlen(k))];

			left--;
			out += chance(50) ? l : (char) (l | 0x20);
		}
		else
			out += c;
	return out;
}

static string
grouped(const string &s)
{
	string		out;
	bool		same = chance(70);
	string		one = pick(separators);
	int			next = 1 + upto(5);

	for (char c : s)
	{
		if (next-- == 0)
		{
			out += same ? one : pick(separators);
			next = 1 + upto(4);
		}
		out += c;
	}
	return out;
}

static vector<string>
chars(const string &s)
{
	vector<string> out;

	for (size_t i = 0; i < s.size();)
	{
		size_t		len = 1;

		while (i + len < s.size() &&
			   ((unsigned char) s[i + len] & 0xC0) == 0x80)
			len++;
		out.push_back(s.substr(i, len));
		i += len;
	}
	return out;
}

static string
mutated(const string &s)
{
	vector<string> c = chars(s);
	int			n = 1 + upto(3);

	while (n-- > 0)
	{
		size_t		at = c.empty() ? 0 : upto((int) c.size());

		switch (upto(6))
		{
			case 0:
				if (!c.empty())
					c.erase(c.begin() + at);
				break;
			case 1:
				c.insert(c.begin() + at, pick(odd));
				break;
			case 2:
				c.insert(c.begin() + at,
						 chance(50) ? pick(separators) : utf8('0' + upto(10)));
				break;
			case 3:
				if (!c.empty())
					c[at] = pick(odd);
				break;
			case 4:
				if (!c.empty())
					c.insert(c.begin() + at, c[at]);
				break;
			default:
				if (at + 1 < c.size())
					std::swap(c[at], c[at + 1]);
				break;
		}
	}
	string		out;

	for (const string &x : c)
		out += x;
	return out;
}

static string
digits_only(int n)
{
	string		s;

	while (n-- > 0)
		s += (char) ('0' + upto(10));
	return s;
}

/* One input; region becomes the default region. */
static string
generate(string *region)
{
	const PhoneNumberUtil &util = *PhoneNumberUtil::GetInstance();
	string		cc;
	string		nsn;
	string		home;
	string		s;

	if (chance(40))
	{
		const string &b = pick(bases);
		size_t		space = b.find(' ');

		cc = b.substr(1, space - 1);
		nsn = b.substr(space + 1);
	}
	else
	{
		char		buf[64];
		int			code = upto(ln_sample_codes());

		cc = std::to_string(ln_sample_code(code));
		ln_sample_national(code, rnd, buf);
		nsn = buf;
	}
	if (chance(8))
		nsn = digits_only(1 + upto(16));
	if (chance(8) && !nsn.empty())
		nsn[upto((int) nsn.size())] = (char) ('0' + upto(10));
	if (chance(4))
		nsn += digits_only(1 + upto(3));
	if (chance(4) && nsn.size() > 2)
		nsn.erase(nsn.size() - 1 - upto(2));
	if (chance(1))
		cc = std::to_string(1 + upto(999));

	vector<string> homes;

	if (chance(85))
	{
		std::list<string> list;

		util.GetRegionCodesForCountryCallingCode(atoi(cc.c_str()), &list);
		homes.assign(list.begin(), list.end());
	}
	if (!homes.empty())
		home = pick(homes);
	else
		home = pick(regions);
	if (home == "001")
		home = pick(regions);
	if (chance(3))
		home = "ZZ";
	*region = home;

	static const vector<string> idds = {
		"00", "00", "010", "011", "001", "002", "009", "019", "0011", "810",
		"8~10",
	"119", "0033010", "0014", "00414"};
	static const vector<string> trunks = {
		"0", "0", "0", "1", "8", "06", "(0)", "015", "90", "80", "0xx11",
		"180020", "44",
	"184", "186", "003768", "1001", "00", "000", "0 0", "183", "1831", "10"};

	switch (upto(14))
	{
		case 0:
		case 1:
			s = "+" + cc + nsn;
			break;
		case 2:
			s = "+" + cc + " " + pick(trunks) + nsn;
			break;
		case 3:
			s = pick(idds) + (chance(50) ? "-" : "") + cc + nsn;
			break;
		case 4:
		case 5:
			s = pick(trunks) + nsn;
			break;
		case 6:
			s = nsn;
			break;
		case 7:
			s = cc + nsn;
			break;
		case 8:
			s = cc + pick(trunks) + nsn;
			break;
		case 9:
			s = pick(idds) + cc + pick(trunks) + nsn;
			break;
		case 10:
			s = "+" + cc + " " + cc + nsn;
			break;
		case 11:
			s = "0" + nsn;
			break;
		case 12:
			s = "+" + cc + nsn.substr(0, upto((int) nsn.size() + 1));
			break;
		default:
			s = "+" + pick(idds) + cc + nsn;
			break;
	}
	if (chance(55))
		s = grouped(s);
	if (chance(8))
		s = letters(s);
	if (chance(12))
		s = scripts(s);
	if (chance(14))
		s += pick(ext_labels) + digits_only(1 + upto(chance(80) ? 6 : 22)) +
			(chance(10) ? "#" : "");
	if (chance(3))
		s += pick(ext_labels) + digits_only(1 + upto(5));
	if (chance(3))
		s += ";isub=" + digits_only(upto(4));
	if (chance(5))
		s = (chance(50) ? "tel:" : "") + s +
			";phone-context=" + pick(contexts);
	if (chance(1))
		s += ";ext=" + digits_only(1 + upto(4));
	if (chance(10))
		s = pick(before) + s;
	if (chance(12))
		s += pick(after);
	if (chance(6))
	{
		static const vector<string> rescue = {
			"_", "・", "･", "ｰ", "〜", "～", "\t", "\n", "\u200E", "\u202C",
			"\uFEFF", "一", "様", "（携帯）", " 自宅", "内線", "O", "l", "XX", "**",
			"??", "●●", "__", "n", "NN"};
		vector<string> c = chars(s);

		for (int n = 1 + upto(2); n > 0; n--)
			c.insert(c.begin() + upto((int) c.size() + 1), pick(rescue));
		s.clear();
		for (const string &x : c)
			s += x;
	}
	if (chance(2))
	{
		string		other = digits_only(8);

		s += pick(separators) + (chance(50) ? "0" : "+") + other;
	}
	if (chance(22))
		s = mutated(s);
	if (chance(1))
	{
		s.clear();
		for (int n = upto(14); n > 0; n--)
			s += chance(60) ? utf8('0' + upto(10)) :
				chance(50) ? pick(odd) : pick(separators);
	}
	return s;
}

/* ASCII digits of an extension in any script, by way of the library */
static string
ascii_digits(string s)
{
	PhoneNumberUtil::GetInstance()->NormalizeDigitsOnly(&s);
	return s;
}

static string
quoted(const string &s)
{
	string		out;
	char		buf[8];

	for (unsigned char c : s)
		if (c < 0x20 || c == 0x7F || c == '\\')
		{
			snprintf(buf, sizeof(buf), "\\x%02x", c);
			out += buf;
		}
		else
			out += (char) c;
	return out;
}

static long differences;
static long broken;
static long valid_count;
static long refused;
static std::map<string, long> refusals;
static long rescued;

static void
check(const string &text, const string &region)
{
	const PhoneNumberUtil &util = *PhoneNumberUtil::GetInstance();
	PhoneNumber number;
	LnPhone		ours;
	int			id = ln_phone_region_id(region.data(), region.size());
	int			error = util.Parse(text, region, &number);
	string		e164;
	string		its_region;
	int			type = LN_PHONE_UNKNOWN;
	bool		valid = false;
	bool		same;

	if (chars(text).size() > LN_PHONE_MAX_CHARS)
		return;
	ln_phone_parse(text.data(), text.size(), id, LN_PHONE_LIBPHONENUMBER,
				   &ours);
	if (error == PhoneNumberUtil::NO_PARSING_ERROR)
	{
		util.Format(number, PhoneNumberUtil::E164, &e164);
		util.GetRegionCodeForNumber(number, &its_region);
		type = util.GetNumberType(number);
		valid = util.IsValidNumber(number);
	}
	same = error == ours.parse_error && valid == ours.valid &&
		type == ours.type && e164 == ours.e164 && its_region == ours.region &&
		ascii_digits(number.extension()) == ours.extension;
	valid_count += valid;
	if (!same)
	{
		if (differences++ < 50)
			printf("DIFFERENCE region %s text \"%s\"\n"
				   "   library: error %d valid %d type %d %s %s ext %s\n"
				   "   ours:    error %d valid %d type %d %s %s ext %s\n",
				   region.c_str(), quoted(text).c_str(), error, valid, type,
				   e164.c_str(), its_region.c_str(),
				   quoted(number.extension()).c_str(), ours.parse_error,
				   ours.valid, ours.type, ours.e164, ours.region,
				   ours.extension);
		return;
	}

	/* the promises of safe mode */
	LnPhone		safe;
	LnPhone		again;
	const char *promise = NULL;

	ln_phone_parse(text.data(), text.size(), id, LN_PHONE_SAFE, &safe);
	if (safe.valid)
	{
		if (ours.valid &&
			(safe.rule != NULL || strcmp(safe.e164, ours.e164) != 0) &&
			!(safe.rule != NULL && strcmp(safe.rule, "float_text") == 0))
			promise = "a valid answer was changed";
		if (!ours.valid && safe.rule == NULL)
			promise = "a rescue without a name";
		if (!ln_phone_is_e164(safe.e164, safe.e164_len))
			promise = "an answer that is not E.164";
		if (safe.error_position != 0 || safe.status != LN_PHONE_OK)
			promise = "an answer with an error";
		ln_phone_parse(safe.e164, safe.e164_len, id, LN_PHONE_SAFE, &again);
		if (!again.valid || strcmp(again.e164, safe.e164) != 0 ||
			again.rule != NULL)
			promise = "not a fixed point of safe mode";
		ln_phone_parse(safe.e164, safe.e164_len, id, LN_PHONE_LIBPHONENUMBER,
					   &again);
		if (!again.valid || strcmp(again.e164, safe.e164) != 0)
			promise = "not a fixed point of the library";
		rescued += !ours.valid;
	}
	else
	{
		if (safe.status == LN_PHONE_OK || safe.error_position < 1 ||
			safe.error_position > (int) chars(text).size() + 1)
			promise = "no answer, and no reason";
		if (ours.valid && safe.rule == NULL)
			promise = "a refusal without a name";
		refused += ours.valid;
		if (ours.valid && safe.rule != NULL)
			refusals[safe.rule]++;
	}
	/* the long way: the same, but it may name one more reason for a rescue */
	for (int mode = 0; mode < 2 && promise == NULL; mode++)
	{
		const LnPhone *shortcut = mode == 0 ? &safe : &ours;

		ln_long_way_parse(text.data(), text.size(), id,
						  mode == 0 ? LN_PHONE_SAFE : LN_PHONE_LIBPHONENUMBER,
						  &again);
		if (again.valid != shortcut->valid ||
			again.status != shortcut->status ||
			again.type != shortcut->type || again.parsed != shortcut->parsed ||
			again.error_position != shortcut->error_position ||
			(again.rule == NULL) != (shortcut->rule == NULL) ||
			strcmp(again.e164, shortcut->e164) != 0 ||
			strcmp(again.region, shortcut->region) != 0 ||
			strcmp(again.national, shortcut->national) != 0 ||
			strcmp(again.extension, shortcut->extension) != 0)
			promise = "the shortcut differs from the long way";
	}
	if (promise != NULL && broken++ < 50)
		printf("BROKEN PROMISE region %s text \"%s\": %s\n"
			   "   exact: %s %s   safe: %s %s %s at %d\n",
			   region.c_str(), quoted(text).c_str(), promise,
			   ln_phone_status_name(ours.status), ours.e164,
			   ln_phone_status_name(safe.status), safe.e164,
			   safe.rule ? safe.rule : "-", safe.error_position);
}

static string
unquoted(const string &s)
{
	string		out;

	for (size_t i = 0; i < s.size(); i++)
		if (s[i] == '\\' && i + 3 < s.size() && s[i + 1] == 'x')
		{
			out += (char) strtol(s.substr(i + 2, 2).c_str(), NULL, 16);
			i += 3;
		}
		else
			out += s[i];
	return out;
}

int
main(int argc, char **argv)
{
	const PhoneNumberUtil &util = *PhoneNumberUtil::GetInstance();
	long		inputs = argc > 1 ? atol(argv[1]) : 100000;
	long		listed = 0;

	state = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
	std::cerr.rdbuf(NULL);		/* it complains about control characters */

	std::set<string> set;

	util.GetSupportedRegions(&set);
	regions.assign(set.begin(), set.end());
	for (const string &r : regions)
		for (int type = 0; type <= 10; type++)
		{
			PhoneNumber number;
			string		nsn;

			auto		kind = (PhoneNumberUtil::PhoneNumberType) type;

			if (!util.GetExampleNumberForType(r, kind, &number))
				continue;
			util.GetNationalSignificantNumber(number, &nsn);
			bases.push_back("+" + std::to_string(number.country_code()) + " " +
							nsn);
		}
	for (int i = 0; i < ln_sample_codes(); i++)
	{
		PhoneNumber number;
		string		nsn;

		if (util.GetExampleNumberForNonGeoEntity(ln_sample_code(i), &number))
		{
			util.GetNationalSignificantNumber(number, &nsn);
			bases.push_back("+" + std::to_string(number.country_code()) + " " +
							nsn);
		}
	}

	if (argc > 3)
	{
		FILE	   *f = fopen(argv[3], "r");
		char		line[4096];

		if (f == NULL)
		{
			perror(argv[3]);
			return 1;
		}
		while (fgets(line, sizeof(line), f))
		{
			string		s(line);

			if (s[0] == '#' || s.size() < 4)
				continue;
			if (s.back() == '\n')
				s.pop_back();
			check(unquoted(s.substr(3)), s.substr(0, 2));
			listed++;
		}
		fclose(f);
	}

	if (argc > 4 && strcmp(argv[4], "sweep") == 0)
		for (uint32_t c = 1; c <= 0x10FFFF; c++)
		{
			if (c >= 0xD800 && c <= 0xDFFF)
				continue;
			string		x = utf8(c);

			check("650" + x + "253-0000", "US");
			check(x + "650-253-0000", "US");
			check("650-253-0000" + x, "US");
			check("650-253-0000" + x + "12", "US");
			check("650-253-0000 e" + x + "t 12", "US");
			listed += 5;
		}

	for (long i = 0; i < inputs; i++)
	{
		string		region;
		string		text = generate(&region);

		check(text, region);
	}
	for (const auto &r : refusals)
		printf("refused: %s %ld\n", r.first.c_str(), r.second);
	printf("phone_conformance: %ld inputs and %ld of the regression list, "
		   "seed %s, tables %s: %ld valid, %ld differences; safe mode: %ld "
		   "refused, %ld rescued, %ld broken promises\n",
		   inputs, listed, argc > 2 ? argv[2] : "1",
		   ln_phone_metadata_version(),
		   valid_count, differences, refused, rescued, broken);
	return differences != 0 || broken != 0;
}
