/*-------------------------------------------------------------------------
 *
 * format_data.h
 *		The words of dates and amounts in Japanese, Thai and Chinese, UTF-8.
 *
 * Apart from format.c, because pg_bsd_indent damages some of these bytes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_FORMAT_DATA_H
#define LN_FORMAT_DATA_H

static const char *const weekdays_jp[] = {"日", "月", "火", "水", "木", "金", "土"};
static const char *const weekdays_tw[] = {"日", "一", "二", "三", "四", "五", "六"};
static const char *const weekdays_th[] = {
	"วันอาทิตย์", "วันจันทร์", "วันอังคาร", "วันพุธ",
	"วันพฤหัสบดี", "วันศุกร์", "วันเสาร์"
};
static const char *const months_th[] = {
	"มกราคม", "กุมภาพันธ์", "มีนาคม", "เมษายน", "พฤษภาคม", "มิถุนายน",
	"กรกฎาคม", "สิงหาคม", "กันยายน", "ตุลาคม", "พฤศจิกายน", "ธันวาคม"
};
static const char *const months_th_short[] = {
	"ม.ค.", "ก.พ.", "มี.ค.", "เม.ย.", "พ.ค.", "มิ.ย.",
	"ก.ค.", "ส.ค.", "ก.ย.", "ต.ค.", "พ.ย.", "ธ.ค."
};

/* the eras that people alive use, by their first day */
static const struct
{
	int			first_day;		/* yyyymmdd */
	int			first_year;
	const char *name;
}			eras_jp[] = {
	{20190501, 2019, "令和"},
	{19890108, 1989, "平成"},
	{19261225, 1926, "昭和"},
};

/* formats of appendStringInfo() */
#define DATE_TH			"%sที่ %d %s %d"
#define DATE_CJK		"%s%d年%d月%d日"
#define DATE_CJK_FIRST	"%s元年%d月%d日"

#define ERA_TW			"民國"
#define TIME_TH			" เวลา "	/* between date and time */
#define HOURS_TH		" น."	/* after a time */
#define FROM_TO_JP		"〜"
#define FROM_TO_TW		"～"
#define YEN				"円"
#define BAHT			"฿"

#endif							/* LN_FORMAT_DATA_H */
