/*-------------------------------------------------------------------------
 *
 * format.c
 *		Dates, times and amounts as people in Japan, Thailand and Taiwan
 *		write them.
 *
 * to_char() with lc_time depends on the locales of the operating system and
 * knows neither eras nor the Buddhist calendar.  The region is an argument
 * with the default JP, and so is the time zone: a message tells the reader's
 * local time, whatever TimeZone the session has.
 *
 * What cannot be written (infinity, NaN, a year before Christ) is NULL, so
 * that the message is parked like any other with a missing value.  The texts
 * are UTF-8 here and converted at the end.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "pgtime.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "content/encoding.h"
#include "content/format_data.h"

typedef enum FormatRegion
{
	REGION_JP,
	REGION_TH,
	REGION_TW
} FormatRegion;

typedef enum FormatStyle
{
	STYLE_LONG,
	STYLE_SHORT,
	STYLE_ERA
} FormatStyle;

static const char *const zones[] = {
	"Asia/Tokyo", "Asia/Bangkok", "Asia/Taipei"
};

PG_FUNCTION_INFO_V1(line_notify_format_date);
PG_FUNCTION_INFO_V1(line_notify_format_time);
PG_FUNCTION_INFO_V1(line_notify_format_time_range);
PG_FUNCTION_INFO_V1(line_notify_format_datetime);
PG_FUNCTION_INFO_V1(line_notify_format_datetime_range);
PG_FUNCTION_INFO_V1(line_notify_format_number);
PG_FUNCTION_INFO_V1(line_notify_format_money);

static FormatRegion get_region(text * name);
static FormatStyle get_style(text * name);
static bool append_date(StringInfo buf, int year, int month, int day,
						FormatRegion region, FormatStyle style);
static void append_range(StringInfo buf, int hour1, int min1, int hour2,
						 int min2, FormatRegion region);
static const char *from_to(FormatRegion region);
static bool local_time(TimestampTz ts, FormatRegion region, struct pg_tm *tm);
static bool append_number(StringInfo buf, Numeric num, bool two_decimals);

#define RETURN_UTF8(buf) \
	PG_RETURN_TEXT_P(ln_encoding_text_from_utf8((buf).data, (buf).len))

/*
 * format_date(date, region, style)
 */
Datum
line_notify_format_date(PG_FUNCTION_ARGS)
{
	DateADT		date = PG_GETARG_DATEADT(0);
	FormatRegion region = get_region(PG_GETARG_TEXT_PP(1));
	FormatStyle style = get_style(PG_GETARG_TEXT_PP(2));
	StringInfoData buf;
	int			year;
	int			month;
	int			day;

	if (DATE_NOT_FINITE(date))
		PG_RETURN_NULL();
	j2date(date + POSTGRES_EPOCH_JDATE, &year, &month, &day);
	initStringInfo(&buf);
	if (!append_date(&buf, year, month, day, region, style))
		PG_RETURN_NULL();
	RETURN_UTF8(buf);
}

/*
 * format_time(time, region)
 */
Datum
line_notify_format_time(PG_FUNCTION_ARGS)
{
	TimeADT		t = PG_GETARG_TIMEADT(0);
	FormatRegion region = get_region(PG_GETARG_TEXT_PP(1));
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "%d:%02d", (int) (t / USECS_PER_HOUR),
					 (int) (t / USECS_PER_MINUTE % 60));
	if (region == REGION_TH)
		appendStringInfoString(&buf, HOURS_TH);
	RETURN_UTF8(buf);
}

/*
 * format_time_range(time, time, region)
 */
Datum
line_notify_format_time_range(PG_FUNCTION_ARGS)
{
	TimeADT		t1 = PG_GETARG_TIMEADT(0);
	TimeADT		t2 = PG_GETARG_TIMEADT(1);
	FormatRegion region = get_region(PG_GETARG_TEXT_PP(2));
	StringInfoData buf;

	initStringInfo(&buf);
	append_range(&buf, t1 / USECS_PER_HOUR, t1 / USECS_PER_MINUTE % 60,
				 t2 / USECS_PER_HOUR, t2 / USECS_PER_MINUTE % 60, region);
	RETURN_UTF8(buf);
}

/*
 * format_datetime(timestamptz, region, style)
 */
Datum
line_notify_format_datetime(PG_FUNCTION_ARGS)
{
	FormatRegion region = get_region(PG_GETARG_TEXT_PP(1));
	FormatStyle style = get_style(PG_GETARG_TEXT_PP(2));
	StringInfoData buf;
	struct pg_tm tm;

	initStringInfo(&buf);
	if (!local_time(PG_GETARG_TIMESTAMPTZ(0), region, &tm) ||
		!append_date(&buf, tm.tm_year, tm.tm_mon, tm.tm_mday, region, style))
		PG_RETURN_NULL();
	appendStringInfo(&buf, region == REGION_TH && style != STYLE_SHORT ?
					 TIME_TH "%d:%02d" : " %d:%02d", tm.tm_hour, tm.tm_min);
	if (region == REGION_TH)
		appendStringInfoString(&buf, HOURS_TH);
	RETURN_UTF8(buf);
}

/*
 * format_datetime_range(timestamptz, timestamptz, region, style): the second
 * date is written only when it differs
 */
Datum
line_notify_format_datetime_range(PG_FUNCTION_ARGS)
{
	FormatRegion region = get_region(PG_GETARG_TEXT_PP(2));
	FormatStyle style = get_style(PG_GETARG_TEXT_PP(3));
	StringInfoData buf;
	struct pg_tm a;
	struct pg_tm b;

	initStringInfo(&buf);
	if (!local_time(PG_GETARG_TIMESTAMPTZ(0), region, &a) ||
		!local_time(PG_GETARG_TIMESTAMPTZ(1), region, &b) ||
		!append_date(&buf, a.tm_year, a.tm_mon, a.tm_mday, region, style))
		PG_RETURN_NULL();
	appendStringInfoString(&buf, region == REGION_TH && style != STYLE_SHORT ?
						   TIME_TH : " ");
	if (a.tm_year == b.tm_year && a.tm_mon == b.tm_mon &&
		a.tm_mday == b.tm_mday)
		append_range(&buf, a.tm_hour, a.tm_min, b.tm_hour, b.tm_min, region);
	else
	{
		appendStringInfo(&buf, "%d:%02d", a.tm_hour, a.tm_min);
		appendStringInfoString(&buf, region == REGION_TH ? HOURS_TH " - " :
							   from_to(region));
		if (!append_date(&buf, b.tm_year, b.tm_mon, b.tm_mday, region, style))
			PG_RETURN_NULL();
		appendStringInfo(&buf, region == REGION_TH && style != STYLE_SHORT ?
						 TIME_TH "%d:%02d" : " %d:%02d", b.tm_hour, b.tm_min);
		if (region == REGION_TH)
			appendStringInfoString(&buf, HOURS_TH);
	}
	RETURN_UTF8(buf);
}

/*
 * format_number(numeric)
 */
Datum
line_notify_format_number(PG_FUNCTION_ARGS)
{
	StringInfoData buf;

	initStringInfo(&buf);
	if (!append_number(&buf, PG_GETARG_NUMERIC(0), false))
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text_with_len(buf.data, buf.len));
}

/*
 * format_money(numeric, currency)
 *
 * Never rounds: whoever has fractions of a yen shall see them.
 */
Datum
line_notify_format_money(PG_FUNCTION_ARGS)
{
	static const struct
	{
		const char *code;
		const char *before;
		const char *after;
		bool		two_decimals;
	}			currencies[] =
	{
		{"JPY", "", YEN, false},
		{"THB", BAHT, "", true},
		{"TWD", "NT$", "", true},
		{"USD", "US$", "", true},
	};
	char	   *code = text_to_cstring(PG_GETARG_TEXT_PP(1));
	StringInfoData number;
	StringInfoData buf;
	bool		negative;
	size_t		i;

	for (i = 0; i < lengthof(currencies); i++)
	{
		if (pg_strcasecmp(code, currencies[i].code) == 0)
			break;
	}
	if (i == lengthof(currencies))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown currency"),
				 errhint("The currencies are JPY, THB, TWD and USD.")));

	initStringInfo(&number);
	if (!append_number(&number, PG_GETARG_NUMERIC(0),
					   currencies[i].two_decimals))
		PG_RETURN_NULL();
	negative = number.data[0] == '-';
	initStringInfo(&buf);
	appendStringInfo(&buf, "%s%s%s%s", negative ? "-" : "",
					 currencies[i].before, number.data + negative,
					 currencies[i].after);
	RETURN_UTF8(buf);
}

static FormatRegion
get_region(text * name)
{
	char	   *str = text_to_cstring(name);

	if (pg_strcasecmp(str, "JP") == 0)
		return REGION_JP;
	if (pg_strcasecmp(str, "TH") == 0)
		return REGION_TH;
	if (pg_strcasecmp(str, "TW") == 0)
		return REGION_TW;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown region"),
			 errhint("The regions that LINE serves are JP, TH and TW.")));
}

static FormatStyle
get_style(text * name)
{
	char	   *str = text_to_cstring(name);

	if (pg_strcasecmp(str, "long") == 0)
		return STYLE_LONG;
	if (pg_strcasecmp(str, "short") == 0)
		return STYLE_SHORT;
	if (pg_strcasecmp(str, "era") == 0)
		return STYLE_ERA;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown style of a date"),
			 errhint("The styles are \"long\", \"short\" and \"era\".")));
}

static bool
append_date(StringInfo buf, int year, int month, int day, FormatRegion region,
			FormatStyle style)
{
	int			weekday = j2day(date2j(year, month, day));
	size_t		i;

	if (year < 1)
		return false;

	if (region == REGION_TH)
	{
		/* Buddhist era; since 1941, its year begins on 1 January too */
		if (style == STYLE_SHORT)
			appendStringInfo(buf, "%d %s %d", day, months_th_short[month - 1],
							 year + 543);
		else
			appendStringInfo(buf, DATE_TH, weekdays_th[weekday], day,
							 months_th[month - 1], year + 543);
		return true;
	}

	if (style == STYLE_SHORT)
		appendStringInfo(buf, "%d/%d", month, day);
	else
	{
		const char *era = "";
		int			shown_year = year;

		if (style == STYLE_ERA && region == REGION_TW && year > 1911)
		{
			era = ERA_TW;
			shown_year = year - 1911;
		}
		for (i = 0; style == STYLE_ERA && region == REGION_JP &&
			 i < lengthof(eras_jp);
			 i++)
		{
			if (year * 10000 + month * 100 + day >= eras_jp[i].first_day)
			{
				era = eras_jp[i].name;
				shown_year = year - eras_jp[i].first_year + 1;

				break;
			}
		}
		if (shown_year == 1 && *era && region == REGION_JP)
			appendStringInfo(buf, DATE_CJK_FIRST, era, month, day);
		else
			appendStringInfo(buf, DATE_CJK, era, shown_year, month, day);
	}
	appendStringInfo(buf, "(%s)", region == REGION_JP ? weekdays_jp[weekday] :
					 weekdays_tw[weekday]);
	return true;
}

static void
append_range(StringInfo buf, int hour1, int min1, int hour2, int min2,
			 FormatRegion region)
{
	appendStringInfo(buf, "%d:%02d%s%d:%02d%s", hour1, min1,
					 from_to(region),
					 hour2, min2, region == REGION_TH ? HOURS_TH : "");
}

/*
 * The dash of a range.  Japanese has the wave dash, for which PostgreSQL's
 * EUC_JP has the full-width tilde instead.
 */
static const char *
from_to(FormatRegion region)
{
	int			len;

	if (region == REGION_TH)
		return "-";
	if (region == REGION_JP &&
		ln_encoding_from_utf8(FROM_TO_JP, strlen(FROM_TO_JP), &len) != NULL)
		return FROM_TO_JP;
	return FROM_TO_TW;
}

static bool
local_time(TimestampTz ts, FormatRegion region, struct pg_tm *tm)
{
	pg_tz	   *tz = pg_tzset(zones[region]);
	fsec_t		fsec;
	int			offset;

	if (tz == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("time zone \"%s\" is not installed", zones[region])));
	return !TIMESTAMP_NOT_FINITE(ts) &&
		timestamp2tm(ts, &offset, tm, &fsec, NULL, tz) == 0;
}

/* digits in groups of three, without a fraction that is zero */
static bool
append_number(StringInfo buf, Numeric num, bool two_decimals)
{
	char	   *str;
	char	   *point;
	char	   *end;
	int			n;
	int			i;

	if (numeric_is_nan(num) || numeric_is_inf(num))
		return false;
	str = DatumGetCString(DirectFunctionCall1(numeric_out,
											  NumericGetDatum(num)));
	if (*str == '-')
	{
		appendStringInfoChar(buf, '-');
		str++;
	}
	point = strchr(str, '.');
	n = point ? (int) (point - str) : (int) strlen(str);
	for (i = 0; i < n; i++)
	{
		if (i > 0 && (n - i) % 3 == 0)
			appendStringInfoChar(buf, ',');
		appendStringInfoChar(buf, str[i]);
	}
	if (point == NULL)
		return true;
	end = point + strlen(point);
	while (end[-1] == '0')
		*--end = '\0';
	if (end == point + 1)
		return true;
	appendStringInfoString(buf, point);
	if (two_decimals && end == point + 2)
		appendStringInfoChar(buf, '0');
	return true;
}
