/*-------------------------------------------------------------------------
 *
 * use_case_data.h
 *		The purposes (利用用途) for which LINE accepts notification messages.
 *
 * Written by hand from the published list (December 2024; unchanged since), in
 * its order; the row's position is its number.  The Japanese texts are NFKC
 * and UTF-8, whatever the encoding of the database: use_case.c converts them.
 * The install script holds the keys only, because a script is read in the
 * encoding of the database.
 *
 * A new use case is appended here and to the enum by ALTER TYPE ... ADD VALUE
 * in an update script.  The library must cope with an enum that is older or
 * newer than this table.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_USE_CASE_DATA_H
#define LN_USE_CASE_DATA_H

typedef struct UseCaseRow
{
	const char *key;
	const char *name_ja;
	const char *subcategory_ja; /* "" when there is none */
	const char *description_ja;
	const char *name_en;
	const char *description_en;
} UseCaseRow;

static const UseCaseRow use_case_rows[] =
{
	{"parcel_delivery",
		"配送通知", "",
		"ユーザーが受け取る配送物のお届け予定を通知する",
		"Parcel delivery",
	"Tells when a parcel addressed to the user is going to arrive."},
	{"reservation",
		"予約通知", "",
		"ユーザーが申込をした予約に関する完了あるいはキャンセルを通知する",
		"Reservation",
	"Confirms or cancels a reservation that the user made."},
	{"reservation_public_transport",
		"予約通知", "公共交通機関の予約",
		"ユーザーが申込をした公共交通機関の予約に関する、完了もしくはキャンセルを通知する",
		"Reservation (public transport)",
	"Confirms or cancels a public transport reservation that the user made."},
	{"reservation_change_public_transport",
		"予約通知", "公共交通機関の予約変更",
		"ユーザーが申込をした公共交通機関の予約の変更に関する情報を通知する",
		"Reservation change (public transport)",
	"Informs about a change of a public transport reservation that the user made."},
	{"reminder",
		"リマインド通知", "",
		"ユーザーが申し込みをした予約に関するリマインド通知をする",
		"Reminder",
	"Reminds the user of a reservation."},
	{"reminder_public_transport",
		"リマインド通知", "公共交通機関の予約のリマインド",
		"ユーザーが申し込みをした公共交通機関の予約に関するリマインド通知をする",
		"Reminder (public transport)",
	"Reminds the user of a public transport reservation."},
	{"reminder_contract_deadline",
		"リマインド通知", "契約・申請期限のリマインド",
		"ユーザーが申込をした、あるいは契約している契約物の契約期限、有効期限、申請期限に関するリマインド通知をする",
		"Reminder (contract or application deadline)",
	"Reminds the user that a contract ends, something expires, or an application is due."},
	{"reminder_payment_deadline",
		"リマインド通知", "支払期限のリマインド",
		"ユーザーが契約している契約の支払期限に関するリマインド通知をする",
		"Reminder (payment deadline)",
	"Reminds the user that a payment under a contract is due."},
	{"outage",
		"障害通知", "",
		"ユーザーが利用しているインフラ(電力、ガス、通信)に関する障害・メンテナンスを通知する",
		"Outage",
	"Informs about an outage or maintenance of electricity, gas or communications that the user depends on."},
	{"application_completed",
		"申込完了通知", "",
		"ユーザーが会員登録やサービスの利用登録をしたものについて、受付を完了した旨を通知する",
		"Application received",
	"Confirms that the user's application for a membership or a service was received."},
	{"bill_confirmed",
		"料金確定通知", "",
		"ユーザーが契約しているサービスの料金確定を通知する",
		"Bill confirmed",
	"Tells the final charge for a service that the user has a contract for."},
	{"purchase_completed",
		"購入完了通知", "",
		"ユーザーが商品やサービスを購入した際に、その商品やサービスの購入が完了したことを通知をする",
		"Purchase completed",
	"Confirms the purchase of goods or a service."},
	{"registration_completed",
		"登録完了通知", "",
		"ユーザーが会員登録やサービスの利用登録をした際に、登録が完了したことを通知をする",
		"Registration completed",
	"Confirms that the user is now registered as a member or for a service."},
	{"payout_completed",
		"支払完了通知", "",
		"ユーザーが請求した保険金等の支払金が支払完了されたことを通知する",
		"Payout completed",
	"Confirms that money which the user claimed, such as an insurance benefit, was paid out."},
	{"overseas_travel_alert",
		"海外旅行への出発前の注意喚起", "",
		"ユーザーが申し込んだ契約に関連して、海外旅行に出発する前に注意喚起の通知をする",
		"Alert before travel abroad",
	"Warns the user before travelling abroad, in connection with a contract."},
	{"inquiry_guidance",
		"問合せ窓口への案内通知", "",
		"問合せの電話をしてきたユーザーに対して、LINE公式アカウントの問合せ窓口を誘導する通知をする ※旧LINEコールAPIのCalltoLINEの代替としての用途",
		"Guidance to the inquiry desk",
	"Leads a user who telephoned with a question to the help desk in the LINE Official Account."},
	{"product_completed",
		"製品完成通知", "",
		"ユーザーが注文した製品が完成したことを通知をする",
		"Product completed",
	"Tells that a product which the user ordered has been made."},
	{"repair_completed",
		"修理完了通知", "",
		"ユーザーが注文した修理の完了通知をする",
		"Repair completed",
	"Tells that a repair which the user ordered is done."},
	{"payment_completed",
		"決済完了通知", "",
		"ユーザーが決済を行った際に、その決済が完了したことを通知する",
		"Payment completed",
	"Confirms that the user's payment went through."},
	{"payment_error",
		"決済エラー通知", "",
		"ユーザーが決済を行った際に、その決済がエラーで完了しなかったことを通知する",
		"Payment failed",
	"Tells that the user's payment failed."},
	{"estimate_completed",
		"見積完了通知", "",
		"ユーザーが依頼をした見積や試算結果が完了したことを通知する",
		"Estimate completed",
	"Tells that an estimate or calculation which the user asked for is ready."},
	{"shipment_completed",
		"発送完了通知", "",
		"ユーザーが契約している契約に関連して、書類や商品の発送が完了したことを通知する",
		"Shipment completed",
	"Tells that documents or goods were dispatched, in connection with a contract."},
};

#define LN_USE_CASE_COUNT	((int) (sizeof(use_case_rows) / sizeof(use_case_rows[0])))

#endif							/* LN_USE_CASE_DATA_H */
