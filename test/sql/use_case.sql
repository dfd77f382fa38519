-- The enum of LINE's purposes, the view over it, and every spelling of a purpose
-- that to_use_case() accepts or refuses.  One case per line.
SET client_encoding = 'UTF8';
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS line_notify;
RESET client_min_messages;
SET search_path = line_notify;

SELECT use_case, no, name_ja, subcategory_ja, name_en FROM use_cases;
SELECT count(*) AS n, count(DISTINCT description_ja) AS ja, count(DISTINCT description_en) AS en FROM use_cases;
SELECT array_agg(no::bigint) = array_agg(rank) AS numbers_follow_the_enum
FROM (SELECT no, rank() OVER (ORDER BY use_case) FROM use_cases) s;

-- every use case is found under each of its own names
SELECT u.use_case, x.kind, x.input
FROM use_cases u,
	LATERAL (VALUES
		('key', u.use_case::text),
		('key in capitals', upper(u.use_case::text)),
		('key with blanks', replace(u.use_case::text, '_', ' ')),
		('number', u.no::text),
		('English', u.name_en),
		('Japanese', u.name_ja || coalesce(u.subcategory_ja, '')),
		('bracketed', u.name_ja || coalesce('（' || u.subcategory_ja || '）', '')),
		('no 通知', replace(u.name_ja, '通知', '') || coalesce(' ' || u.subcategory_ja, '')),
		('お知らせ', replace(u.name_ja, '通知', 'のお知らせ') || coalesce('／' || u.subcategory_ja, '')),
		('sub-category first', coalesce(u.subcategory_ja, '') || u.name_ja),
		('sub-category only', coalesce(u.subcategory_ja, u.name_ja)),
		('decomposed', normalize(u.name_ja || coalesce(u.subcategory_ja, ''), NFD))
	) AS x (kind, input)
WHERE to_use_case(x.input) IS DISTINCT FROM u.use_case;

-- other spellings
CREATE FUNCTION pg_temp.try(input text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	d text; h text;
BEGIN
	RETURN line_notify.to_use_case(input);
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS d = PG_EXCEPTION_DETAIL, h = PG_EXCEPTION_HINT;
	RETURN concat_ws(E'\n', SQLSTATE || ' ' || SQLERRM, nullif(d, ''), nullif(h, ''));
END $$;

\pset format unaligned
SELECT left(input, 20) AS input, pg_temp.try(input) AS result FROM (VALUES
	-- numbers
	('3'), ('03'), ('３'), ('③'), ('No.3'), ('№3'), ('Ｎｏ．２２'), ('#3'), ('3番'), ('3.'), (' 3 '),
	-- widths
	('ﾘﾏｲﾝﾄﾞ通知'), ('ﾘﾏｲﾝﾄﾞ'), ('決済ｴﾗｰ通知'), ('決済エラ－'), ('ｐａｒｃｅｌ＿ｄｅｌｉｖｅｒｙ'), ('配　送　通　知'), ('Parcel-Delivery'),
	-- look-alikes: Kangxi radicals, compatibility ideographs, variation selectors
	('料⾦確定通知'), ('購⼊完了通知'), ('⾒積完了通知'), ('海外旅⾏への出発前の注意喚起'), ('問合せ窓⼝への案内通知'),
	('海外旅行への出発前の注意喚起'), (U&'\F9BE\F90A確定'), ('料金確定' || U&'\FE00'),
	-- okurigana
	('申し込み完了'), ('申込み完了通知'), ('お支払い完了のお知らせ'), ('お問い合わせ窓口へのご案内'), ('見積もり完了'), ('配送のお知らせ'),
	-- parts of a sub-category
	('リマインド（支払期限）'), ('支払期限'), ('お支払い期限のリマインド'), ('契約・申請期限'), ('予約（公共交通機関）'), ('予約通知 公共交通機関の予約変更'), ('リマインド通知・公共交通機関'),
	-- the name without sub-category is the use case without sub-category
	('予約'), ('リマインド'),
	-- ambiguous
	('公共交通機関'), ('完了通知'), ('期限'), ('completed'), ('reservation public'),
	-- a number before the name, as the published list pastes it
	('22 発送完了通知'), ('22. 発送完了通知'), ('22：発送完了通知'), ('２２　発送完了'), ('㉒発送完了通知'), ('No.22 発送完了通知'), ('(22) 発送完了のお知らせ'), ('22番 発送完了'),
	('8　リマインド通知　支払期限のリマインド'), ('3. Reservation (public transport)'), ('22 shipment_completed'), (E'22\t発送完了通知\t\tユーザーが契約している契約に関連して、書類や商品の発送が完了したことを通知する'),
	('ユーザーが注文した修理の完了通知をする'),
	-- which must agree
	('21 発送完了通知'), ('22 出荷'), ('23 発送完了通知'), ('0 予約'), ('2026年の予約'),
	-- two numbers are not one
	('1, 2'), ('1.2'), ('2-2'), ('2 2 発送完了通知'), ('22, 11'),
	-- hiragana that says more than inflection and courtesy does is heard
	('決済が完了いたしましたのでお知らせします'), ('決済が完了しました'), ('障害つうち'), ('決済が完了しませんでした'), ('19 決済が完了していません'),
	('3です'), ('19 ではありません'), ('19 していません'),
	('リマインド(しはらいきげん)'), ('予約(しんかんせん)'), ('予約りまいんど'), ('発送完了まえ'), ('発送完了のみ'), ('発送もれ'), ('障害なし'),
	-- 支払完了 is what the company pays, which surprises: taken by its name only
	('支払完了通知'), ('14 支払完了通知'), ('支払完了のお知らせ'), ('お支払完了しました'), ('お支払い完了'), ('支払い完了のお知らせ'),
	-- words of the trade: never taken, only proposed
	('出荷'), ('お届け予定'), ('停電'), ('メンテナンス'), ('予約キャンセル'), ('保険金'), ('引き落とし'), ('日時の確定'), ('請求'), ('明細'), ('invoice'), ('booking confirmation'), ('payment due'), ('クーポン'),
	-- typos, with the nearest candidates
	('parcel_delivry'), ('配達通知'), ('配送通地'), ('決裁完了'), ('shipment_complete'), ('payment_completd'), ('発送完了しました通知書'), ('outtage'),
	-- nothing of ours
	(''), ('   '), ('通知'), ('はいそう'), ('0'), ('23'), ('99999999999999999999'), ('-'), ('xyz'), ('🎉'), (repeat('配送', 300))
) AS t (input);

\pset format aligned

SELECT to_use_case(NULL) IS NULL AS strict;

-- a table, an index, order by list position
CREATE TEMP TABLE t AS SELECT use_case FROM use_cases ORDER BY name_en COLLATE "C";
CREATE INDEX ON t (use_case);
SELECT use_case FROM t WHERE use_case < 'reminder' ORDER BY use_case;

-- what is judged, and quoted, ends where the text ends: beside it in its row stands a number
CREATE TEMP TABLE beside (said text, phone text);
INSERT INTO beside VALUES ('nonsense', '09012345678');
SELECT to_use_case(said) FROM beside;

-- everybody may ask
CREATE ROLE regress_ln_nobody;
SET ROLE regress_ln_nobody;
SELECT to_use_case('配送'), (SELECT count(*) FROM use_cases);
RESET ROLE;
DROP ROLE regress_ln_nobody;
