/*-------------------------------------------------------------------------
 *
 * phone_bench.cc
 *		phone.c beside Google's C++ libphonenumber, in one process.
 *
 * Two corpora, made from random valid numbers of JP, TH, TW, US, DE and GB:
 * clean (the ways a form field is filled in) and messy (what old customer
 * tables hold).  Each candidate runs over the whole corpus several times, in
 * turns; the best run counts.  Prints a table and a line of JSON.
 *
 * With four arguments, only our reader runs over one of the corpora, once, in
 * a function by itself, so that callgrind can count its instructions.
 *
 * Usage: phone_bench [lines [clean|messy exact|safe]]
 *
 *-------------------------------------------------------------------------
 */
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <iostream>
#include <string>
#include <time.h>
#include <vector>

#include <phonenumbers/phonenumber.pb.h>
#include <phonenumbers/phonenumberutil.h>

extern "C" {
#include "../../src/phone/phone.h"
#include "../fuzz/phone_sample.h"
}

using i18n::phonenumbers::PhoneNumber;
using i18n::phonenumbers::PhoneNumberUtil;
using std::string;
using std::vector;

struct Line
{
	string		text;
	string		region;
};

static uint64_t state = 42;

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

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

static string
grouped(const string &s, const string &separator)
{
	string		out;
	size_t		first = s.size() > 10 ? 3 : s.size() > 8 ? 2 : s.size() - 4;

	for (size_t i = 0; i < s.size(); i++)
	{
		if (i == first || (s.size() - i == 4 && i > first))
			out += separator;
		out += s[i];
	}
	return out;
}

static string
wide(const string &s)
{
	string		out;

	for (char c : s)
		if (c >= '0' && c <= '9')
		{
			out += "\xEF\xBC";
			out += (char) (0x90 + c - '0');
		}
		else if (c == '-')
			out += "\xEF\xBC\x8D";
		else
			out += c;
	return out;
}

struct Number
{
	string		region;
	string		trunk;
	string		cc;
	string		nsn;
};

static Number
number(void)
{
	static const struct
	{
		const char *region;
		const char *trunk;
		int			cc;
	}			countries[] = {
		{"JP", "0", 81}, {"TH", "0", 66}, {"TW", "0", 886}, {"US", "", 1},
		{"DE", "0", 49}, {"GB", "0", 44}
	};
	int			c = upto(6);
	bool		mobile = upto(4) != 0;
	Number		n;
	int			index = 0;

	while (ln_sample_code(index) != countries[c].cc)
		index++;
	n.region = countries[c].region;
	n.trunk = countries[c].trunk;
	n.cc = std::to_string(countries[c].cc);
	for (;;)
	{
		char		buf[64];
		LnPhone		phone;
		string		text;

		ln_sample_national(index, rnd, buf);
		n.nsn = buf;
		text = "+" + n.cc + n.nsn;
		if (!ln_phone_parse(text.data(), text.size(), LN_PHONE_REGION_ZZ,
							LN_PHONE_SAFE, &phone))
			continue;
		if (mobile ? phone.type == LN_PHONE_MOBILE ||
			phone.type == LN_PHONE_FIXED_LINE_OR_MOBILE :
			phone.type == LN_PHONE_FIXED_LINE ||
			phone.type == LN_PHONE_FIXED_LINE_OR_MOBILE)
			return n;
	}
}

static Line
clean(void)
{
	Number		n = number();
	int			style = upto(100);
	Line		l;

	l.region = n.region;
	if (style < 40)
		l.text = grouped(n.trunk + n.nsn, "-");
	else if (style < 60)
		l.text = n.trunk + n.nsn;
	else if (style < 80)
		l.text = "+" + n.cc + n.nsn;
	else if (style < 95)
		l.text = "+" + n.cc + " " + grouped(n.nsn, " ");
	else
		l.text = wide(grouped(n.trunk + n.nsn, "-"));
	return l;
}

static Line
messy(void)
{
	static const char *const separators[] = {
		".", " - ", "－", "ー", "―", "‐", "–", "/", "ｰ", "_", "・", "～", "\t",
		"  "
	};
	static const char *const before[] = {
		"TEL: ", "携帯：", "電話 ", "Tel.", "'", "(", "自宅 ", "\xE2\x80\x8E", "โทร "
	};
	static const char *const after[] = {
		"（携帯）", "様", " 自宅", " ext. 12", "#12", " 内線12", " 分機 3", " ต่อ 5",
		" x7", "\xE2\x80\xAC", "\n", " (home)", " Wang", ",12", "。"
	};
	Number		n = number();
	Line		l;

	l.region = n.region;
	switch (upto(10))
	{
		case 0:
			l.text = "+" + n.cc + " (" +
				(n.trunk.empty() ? "1" : n.trunk) + ")" + n.nsn;
			break;
		case 1:
			l.text = "00" + n.cc + n.nsn;
			break;
		case 2:
			l.text = n.cc + "-" + n.nsn;
			break;
		case 3:
			l.text = wide(grouped(n.trunk + n.nsn, "-"));
			break;
		default:
			l.text = grouped(n.trunk + n.nsn, separators[upto(14)]);
			break;
	}
	if (upto(100) < 12)
	{
		string		out;

		for (char c : l.text)
			if (c >= '0' && c <= '9')
			{
				out += "\xE0\xB9";
				out += (char) (0x90 + c - '0');
			}
			else
				out += c;
		l.text = out;
	}
	if (upto(100) < 25)
		l.text = before[upto(9)] + l.text;
	if (upto(100) < 40)
		l.text += after[upto(15)];
	if (upto(100) < 6)
	{
		size_t		at = l.text.size() / 2;

		while (at > 0 && ((unsigned char) l.text[at] & 0xC0) == 0x80)
			at--;
		l.text.replace(at, std::string::npos, "XXXX");
	}
	if (upto(100) < 6)
		l.text += std::to_string(upto(1000));
	if (upto(100) < 4)
		l.text = "2024-01-15";
	return l;
}

static volatile unsigned sink;

/* best time per line, in nanoseconds, of several candidates in turns */
static vector<double>
measure(const vector<Line> &lines,
		const vector<std::function<void(const Line &, int)>> &candidates,
		const vector<int> &repetitions)
{
	vector<double> best(candidates.size(), 1e9);
	vector<int> ids;

	for (const Line &l : lines)
		ids.push_back(ln_phone_region_id(l.region.data(), l.region.size()));
	for (int round = 0; round < 20; round++)
		for (size_t c = 0; c < candidates.size(); c++)
		{
			if (round >= repetitions[c])
				continue;
			double		start = now();

			for (size_t i = 0; i < lines.size(); i++)
				candidates[c] (lines[i], ids[i]);
			double		ns = (now() - start) * 1e9 / lines.size();

			if (ns < best[c])
				best[c] = ns;
		}
	return best;
}

/* callgrind collects from here, see phone.sh */
extern "C" __attribute__((noinline)) void
counted(const char *text, size_t len, int id, LnPhoneMode mode)
{
	LnPhone		phone;

	ln_phone_parse(text, len, id, mode, &phone);
	sink += phone.e164_len + phone.type;
}

int
main(int argc, char **argv)
{
	int			n = argc > 1 ? atoi(argv[1]) : 100000;

	if (argc > 3)
	{
		/* the corpora follow from one state, so the clean one comes first */
		vector<Line> lines;

		for (int i = 0; i < n; i++)
			lines.push_back(clean());
		if (string(argv[2]) == "messy")
			for (Line &l : lines)
				l = messy();
		for (const Line &l : lines)
			counted(l.text.data(), l.text.size(),
					ln_phone_region_id(l.region.data(), l.region.size()),
					string(argv[3]) == "safe" ? LN_PHONE_SAFE
					: LN_PHONE_LIBPHONENUMBER);
		return 0;
	}

	const PhoneNumberUtil &util = *PhoneNumberUtil::GetInstance();

	std::cerr.rdbuf(NULL);

	auto		library = [&](const Line &l, int)
	{
		PhoneNumber number;
		string		e164;

		if (util.Parse(l.text, l.region, &number) ==
			PhoneNumberUtil::NO_PARSING_ERROR &&
			util.IsValidNumber(number))
		{
			util.Format(number, PhoneNumberUtil::E164, &e164);
			sink += e164.size();
		}
	};
	auto		library_type = [&](const Line &l, int)
	{
		PhoneNumber number;
		string		e164;

		if (util.Parse(l.text, l.region, &number) ==
			PhoneNumberUtil::NO_PARSING_ERROR &&
			util.IsValidNumber(number))
		{
			util.Format(number, PhoneNumberUtil::E164, &e164);
			sink += e164.size() + util.GetNumberType(number);
		}
	};
	auto		exact = [](const Line &l, int id)
	{
		LnPhone		phone;

		ln_phone_parse(l.text.data(), l.text.size(), id,
					   LN_PHONE_LIBPHONENUMBER, &phone);
		sink += phone.e164_len + phone.type;
	};
	auto		safe = [](const Line &l, int id)
	{
		LnPhone		phone;

		ln_phone_parse(l.text.data(), l.text.size(), id, LN_PHONE_SAFE,
					   &phone);
		sink += phone.e164_len + phone.type;
	};

	printf("ns per number, best of several runs over %d lines\n", n);
	printf("%-8s %14s %14s %14s %14s %10s %10s\n", "corpus", "library",
		   "with type",
		   "exact", "safe", "ratio", "ratio safe");
	for (int corpus = 0; corpus < 2; corpus++)
	{
		vector<Line> lines;

		for (int i = 0; i < n; i++)
			lines.push_back(corpus == 0 ? clean() : messy());
		vector<double> t = measure(lines, {library, library_type, exact, safe},
								   {3, 2, 20, 20});

		printf("%-8s %14.0f %14.0f %14.1f %14.1f %9.0fx %9.0fx\n",
			   corpus == 0 ? "clean" : "messy", t[0], t[1], t[2], t[3],
			   t[0] / t[2], t[0] / t[3]);
		printf("{\"bench\": \"phone_core\", \"corpus\": \"%s\", "
			   "\"lines\": %d, "
			   "\"library_ns\": %.0f, \"library_with_type_ns\": %.0f, "
			   "\"exact_ns\": %.1f, \"safe_ns\": %.1f, \"exact_ratio\": %.1f, "
			   "\"safe_ratio\": %.1f}\n", corpus == 0 ? "clean" : "messy", n,
			   t[0], t[1], t[2], t[3], t[0] / t[2], t[0] / t[3]);
		fflush(stdout);
	}
	return 0;
}
