/*-------------------------------------------------------------------------
 *
 * states_data.h
 *		The states of a message in words; included by states.c only.
 *
 * Apart, because the layout tool cannot read Japanese.
 *
 *-------------------------------------------------------------------------
 */
/* order of the enum message_state */
static const StateRow states[] = {
	{"queued", false, "no",
		"waits to be sent; waiting_reason of view notifications says for what",
	"送信待ち。notifications ビューの waiting_reason が理由を示す"},
	{"sending", false, "perhaps", "claimed by the worker or on the wire",
	"送信中"},
	{"accepted", false, "perhaps",
		"LINE took the request; not yet known whether it reached the person",
	"LINE が受け付けた。利用者に届いたかはまだ分からない"},
	{"delivered", true, "yes",
		"LINE's delivery event came: the person can see it",
	"配信完了イベントを受信。利用者が閲覧できる"},
	{"undelivered", false, "no", "accepted, and no delivery event within 24 hours although events arrived: the user blocked the account, did not consent, or did not confirm the number by SMS; a late event still wins",
	"受付後24時間以内に配信完了イベントがない。ブロック、受信の同意なし、SMS認証の未完了のいずれか。遅れたイベントで delivered になる"},
	{"unreachable", true, "no", "LINE cannot notify this number (HTTP 422): no LINE user has it, it is not of Japan, Thailand or Taiwan, the user refuses notification messages, or has not accepted the privacy policy of March 2022; LINE does not say which",
	"LINE はこの番号に通知できない(HTTP 422)。番号のLINE利用者がいない、日本・タイ・台湾の番号でない、利用者が受信を拒否している、2022年3月改定のプライバシーポリシーに未同意、のいずれか。どれかは示されない"},
	{"refused", true, "no",
		"LINE refused the request: an error in the message or the set-up",
	"LINE がリクエストを拒否した(内容または設定の誤り)"},
	{"unknown", false, "perhaps", "sent, and no answer came: it may have arrived; never sent again by itself unless the channel says so",
	"送信したが応答がない。届いた可能性があるため、既定では再送しない"},
	{"invalid", true, "no", "never sent: the number or a value was not usable, column error says which",
	"送信していない。番号または値が不正(error 列を参照)"},
	{"suppressed", true, "no", "the person objected before LINE had taken it",
	"LINE に受け付けられる前に、本人が通知を拒否した"},
	{"cancelled", true, "no", "cancelled before LINE had taken it",
	"LINE に受け付けられる前に取り消された"},
	{"expired", true, "no", "its time was over before LINE had taken it",
	"LINE に受け付けられる前に期限が切れた"},
	{"failed", true, "no",
		"not taken by LINE: its last attempt failed before anything left",
	"LINE に受け付けられていない。最後の試行が送信前に失敗した"},
};
