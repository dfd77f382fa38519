/*-------------------------------------------------------------------------
 *
 * states.c
 *		What each state of a message means, for view states.
 *
 * Here and not in the script, because Japanese text in an extension script
 * could not be loaded into every server encoding.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "compat.h"

PG_FUNCTION_INFO_V1(line_notify_states);

typedef struct StateRow
{
	const char *state;
	bool		terminal;
	const char *billed;
	const char *en;
	const char *ja;
} StateRow;

/* order of the enum message_state */
static const StateRow states[] = {
	{"queued", false, "no", "waits to be sent; waiting_reason of view notifications says for what",
	"�35�信待ち�35�notifications ビューの waiting_reason が理由を示す"},
	{"sending", false, "perhaps", "claimed by the worker or on the wire",
	"�35�信中"},
	{"accepted", false, "perhaps", "LINE took the request; not yet known whether it reached the person",
	"LINE が受け付けた�35�利用�35�に届いたかはまだ分からない"},
	{"delivered", true, "yes", "LINE's delivery event came: the person can see it",
	"配信完了イベントを受信�35�利用�35�が閲覧できる"},
	{"undelivered", false, "no", "accepted, and no delivery event within 24 hours although events arrived: blocked, or no consent; a late event still wins",
	"受付後24時間以内に配信完了イベントがなく�35�ブロックまたは同意なしと判断�35�遅れたイベントで delivered になる"},
	{"unreachable", true, "no", "LINE cannot notify this number (HTTP 422)",
	"LINE はこの番号に�35�知できない(HTTP 422)"},
	{"refused", true, "no", "LINE refused the request: an error in the message or the set-up",
	"LINE がリクエストを拒否した(内容または設定の誤り)"},
	{"unknown", false, "perhaps", "sent, and no answer came: it may have arrived; never sent again by itself unless the channel says so",
	"�35�信したが応答がない�35�届いた可能�35�があるため�35�既定では再�35�しない"},
	{"invalid", true, "no", "never sent: the number or a value was not usable, column error says which",
	"�35�信していない�35�番号または�35�が不正(error 列を参照)"},
	{"suppressed", true, "no", "never sent: the person objected",
	"�35�信していない�35�本人が�35�知を拒否している"},
	{"cancelled", true, "no", "never sent: cancelled",
	"�35�信していない�35�取り消された"},
	{"expired", true, "no", "never sent: its time was over",
	"�35�信していない�35�期限が切れた"},
	{"failed", true, "no", "never sent: all attempts failed before anything left",
	"�35�信していない�35�すべての試行が�35�信前に失敗した"},
};

Datum
line_notify_states(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < (int) lengthof(states); i++)
	{
		const StateRow *s = &states[i];
		Datum		values[5];
		bool		nulls[5] = {false, false, false, false, false};

		values[0] = CStringGetTextDatum(s->state);
		values[1] = BoolGetDatum(s->terminal);
		values[2] = CStringGetTextDatum(s->billed);
		values[3] = CStringGetTextDatum(s->en);
		values[4] = CStringGetTextDatum(pg_any_to_server(s->ja, strlen(s->ja), PG_UTF8));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
