/*-------------------------------------------------------------------------
 *
 * catalogue_data.h
 *		The part of LINE's catalogue of template, item and button keys that is
 *		publicly known.
 *
 * Written by hand from LINE's documentation (Japanese catalogue as of October
 * 2025, which lists 91 templates, 204 items and 8 buttons on pages of ten, and
 * the examples of the API reference).  It is NOT complete: a key that is not
 * here is not wrong.  Which use case a template implies is our reading of its
 * title.  UTF-8; catalogue.c converts.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_CATALOGUE_DATA_H
#define LN_CATALOGUE_DATA_H

typedef struct CatalogueRow
{
	const char *kind;
	const char *region;
	const char *key;
	const char *name;			/* Japanese name, or NULL */
	const char *label;			/* what the reader sees, or NULL */
	const char *description;	/* what the reader sees below, or NULL */
	const char *use_case;		/* key, or NULL */
} CatalogueRow;

static const CatalogueRow catalogue_rows[] =
{
	{"template", "JP", "order_item_completion_ja",
		"注文商品完成通知", "ご注文商品完成のお知らせ",
		"商品が完成いたしましたので、お知らせいたします。",
	"product_completed"},
	{"template", "JP", "service_cancellationl_ja",
		"欠便通知", "欠便のお知らせ",
		"ご予約いただいた便の欠便をお知らせいたします。",
	"reservation_change_public_transport"},
	{"template", "JP", "boarding_time_change_ja",
		"搭乗時間変更通知", "搭乗時間変更のお知らせ",
		"ご予約いただいた便の搭乗時間の変更をお知らせいたします。",
	"reservation_change_public_transport"},
	{"template", "JP", "ride_time_change_ja",
		"乗車時間変更通知", "乗車時間変更のお知らせ",
		"ご予約いただいた便の乗車時間の変更をお知らせいたします。",
	"reservation_change_public_transport"},
	{"template", "JP", "boarding_location_change_ja",
		"搭乗場所変更通知", "搭乗場所変更のお知らせ",
		"ご予約いただいた便の搭乗場所の変更をお知らせいたします。",
	"reservation_change_public_transport"},
	{"template", "JP", "ride_location_change_ja",
		"乗車場所変更通知", "乗車場所変更のお知らせ",
		"ご予約いただいた便の乗車場所の変更をお知らせいたします。",
	"reservation_change_public_transport"},
	{"template", "JP", "ride_reservation_reminder_previous_day_ja",
		"予約-前日リマインド通知(乗車)", "ご乗車前日のお知らせ",
		"明日のご乗車の便について、お知らせいたします。",
	"reminder_public_transport"},
	{"template", "JP", "ride_reservation_reminder_ja",
		"予約-リマインド通知(乗車)", "ご乗車予約のリマインド",
		"ご乗車が近づいてまいりましたので、ご案内いたします。",
	"reminder_public_transport"},
	{"template", "JP", "boarding_reservation_reminder_previous_day_ja",
		"予約-前日リマインド通知(搭乗)", "ご搭乗前日のお知らせ",
		"明日のご搭乗の便について、お知らせいたします。",
	"reminder_public_transport"},
	{"template", "JP", "boarding_reservation_reminder_ja",
		"予約-リマインド通知(搭乗)", "ご搭乗予約のリマインド",
		"ご搭乗が近づいてまいりましたので、ご案内いたします。",
	"reminder_public_transport"},
	{"template", "JP", "shipment_completed_ja",
		NULL, NULL,
		NULL,
	"shipment_completed"},
	{"item", "JP", "name_013_ja",
		NULL, "受取店舗名",
		NULL,
	NULL},
	{"item", "JP", "name_014_ja",
		NULL, "受付店舗名",
		NULL,
	NULL},
	{"item", "JP", "name_015_ja",
		NULL, "利用店舗名",
		NULL,
	NULL},
	{"item", "JP", "name_016_ja",
		NULL, "講座名",
		NULL,
	NULL},
	{"item", "JP", "name_017_ja",
		NULL, "修理品名",
		NULL,
	NULL},
	{"item", "JP", "name_018_ja",
		NULL, "加盟店名",
		NULL,
	NULL},
	{"item", "JP", "name_019_ja",
		NULL, "ご利用カード名",
		NULL,
	NULL},
	{"item", "JP", "name_020_ja",
		NULL, "書類名",
		NULL,
	NULL},
	{"item", "JP", "name_021_ja",
		NULL, "発送書類名",
		NULL,
	NULL},
	{"item", "JP", "name_022_ja",
		NULL, "配送担当店名",
		NULL,
	NULL},
	{"item", "JP", "date_002_ja",
		NULL, NULL,
		NULL,
	NULL},
	{"item", "JP", "time_range_001_ja",
		NULL, NULL,
		NULL,
	NULL},
	{"item", "JP", "number_001_ja",
		NULL, NULL,
		NULL,
	NULL},
	{"item", "JP", "price_001_ja",
		NULL, NULL,
		NULL,
	NULL},
	{"item", "JP", "name_010_ja",
		NULL, NULL,
		NULL,
	NULL},
	{"button", "JP", "check_details_ja",
		NULL, "詳細を確認する",
		NULL,
	NULL},
	{"button", "JP", "check_delivery_status_ja",
		NULL, "配達状況を確認する",
		NULL,
	NULL},
	{"button", "JP", "change_delivery_datetime_ja",
		NULL, "配達日時を変更する",
		NULL,
	NULL},
	{"button", "JP", "contact_ja",
		NULL, "お問い合わせ",
		NULL,
	NULL},
	{"button", "JP", "check_how_to_update_ja",
		NULL, "更新方法を確認する",
		NULL,
	NULL},
	{"button", "JP", "check_purchase_history_ja",
		NULL, "購入履歴を確認する",
		NULL,
	NULL},
	{"button", "JP", "check_order_history_ja",
		NULL, "注文履歴を確認する",
		NULL,
	NULL},
	{"button", "JP", "check_shop_location",
		NULL, "お店の場所はこちら",
		NULL,
	NULL},
};

#endif							/* LN_CATALOGUE_DATA_H */
