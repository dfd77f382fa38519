-- Twelve orders.  The texts are of the kinds that companies send today.
\set QUIET 1
INSERT INTO orders (id, customer_phone, region, use_case, template_key, text, emphasis, details) VALUES
	-- an insurer: the documents of the renewed policy were posted
	(1, '090-2000-0001', 'JP', 'shipment_completed', 'shipment_completed_ja', NULL, '11月21日(土)', ARRAY['ペット保険 継続書類', '2345-6789-0123']),
	-- a real-estate portal: an inquiry was received
	(2, '０９０－２０００－０００２', 'JP', 'application_completed', NULL, 'お問い合わせを受け付けました。担当者より2営業日以内にご連絡いたします。', NULL, NULL),
	-- a spectacles shop: purchase confirmation
	(3, '+81 90 2000 0003', 'JP', 'purchase_completed', NULL, 'ご注文ありがとうございます。メガネ 1点、12,000円のご購入を承りました。', NULL, NULL),
	-- a haulier: planned delivery time
	(4, '090(2000)0004', 'JP', 'parcel_delivery', 'shipment_completed_ja', NULL, '11月22日(日)', ARRAY['お届け予定 14:00〜16:00', '4321-0987-6543']),
	-- a parcel service, to somebody without LINE
	(5, '090 2000 0005（携帯）', 'JP', 'parcel_delivery', 'shipment_completed_ja', NULL, '11月23日(月)', ARRAY['冷蔵便', '1111-2222-3333']),
	-- a parcel service: delivery notice
	(6, 'TEL:090.2000.0006', 'JP', 'parcel_delivery', 'shipment_completed_ja', NULL, '11月21日(土)', ARRAY['お荷物 1個', '5555-6666-7777']),
	-- a sightseeing bus: reminder on the day before
	(7, '+81 (0)90 2000 0007', 'JP', 'reminder_public_transport', 'ride_reservation_reminder_previous_day_ja', NULL, '11月22日(日)', ARRAY['東京駅 7:30 発', '3号車 12A']),
	-- a power retailer: the bill
	(8, '0081-90-2000-0008', 'JP', 'bill_confirmed', NULL, '11月分の電気料金が確定しました。ご請求額は 8,420円、お支払期限は12月10日です。', NULL, NULL),
	-- a bank: a debit, to a number that LINE cannot notify
	(9, '09020000009', 'JP', 'payment_completed', NULL, '11月21日 口座振替により 5,500円をお支払いいただきました。', NULL, NULL),
	-- a shop: deadline of a convenience-store payment
	(10, '090‐2000‐0010', 'JP', 'reminder_payment_deadline', NULL, 'コンビニ決済のお支払期限は11月25日(水)です。お支払番号 1234-567890', NULL, NULL),
	-- a shop: goods were dispatched, to somebody who blocked the account
	(11, '  ０９０ ２０００ ００１１', 'JP', 'shipment_completed', 'shipment_completed_ja', NULL, '11月21日(土)', ARRAY['商品を発送しました', '8888-9999-0000']),
	-- a subscription: the number was masked by somebody; no message, and no error for the order
	(12, '090-XXXX-0012', 'JP', 'parcel_delivery', 'shipment_completed_ja', NULL, '12月1日(火)', ARRAY['定期便 次回お届け', '—']);

SELECT id AS "order", customer_phone AS "phone as typed", use_case FROM orders ORDER BY id;
