-- Safe mode, rule by rule: what it refuses although libphonenumber has an
-- answer, and what it reads although libphonenumber has none.  Each writing is
-- a line of its own.
\pset null '-'
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS line_notify;
RESET client_min_messages;
SET search_path = line_notify, public;

CREATE TEMP TABLE cell (no serial, section text, region text, phone text);

-- masks among digits
INSERT INTO cell (section, region, phone) VALUES
	('mask', 'JP', '090-XXXX-XXXX'),
	('mask', 'JP', '090-xxxx-5678'),
	('mask', 'JP', '090-1234-XXXX'),
	('mask', 'JP', '090-1234-56xx'),
	('mask', 'JP', '090-1234-567x'),
	('mask', 'JP', '09X-1234-5678'),
	('mask', 'JP', '090-****-5678'),
	('mask', 'JP', '090-1234-56**'),
	('mask', 'JP', '090-????-5678'),
	('mask', 'JP', '090-1234-5678?'),
	('mask', 'JP', '090-NNNN-NNNN'),
	('mask', 'JP', '０９０－ＸＸＸＸ－５６７８'),
	('mask', 'JP', '090-＊＊＊＊-5678'),
	('mask', 'JP', '090-●●●●-5678'),
	('mask', 'JP', '090-○○○○-5678'),
	('mask', 'JP', '090-____-5678'),
	('mask', 'TW', '0912-XXX-XXX'),
	('mask', 'TH', '081-XXX-XXXX'),
	('mask', 'DE', '030-____-5678'),
	('mask', 'DE', '030 1234***'),
	('mask', 'BR', '0xx11 2345-6789'),
-- but these are bullets, extensions and notes
	('no mask', 'JP', '*090-1234-5678'),
	('no mask', 'JP', '* 090-1234-5678'),
	('no mask', 'JP', '●090-1234-5678'),
	('no mask', 'JP', '03-1234-5678 x12'),
	('no mask', 'US', '(212) 555-0123 x 4'),
	('no mask', 'JP', 'FAX 03-1234-5678'),
	('no mask', 'JP', '090_1234_5678');

-- letters
INSERT INTO cell (section, region, phone) VALUES
	('letters', 'US', '1-800-FLOWERS'),
	('letters', 'JP', '0120-CALL-ME'),
	('letters', 'JP', '090-ABCD-EFGH'),
	('letters', 'TW', '0912-34S-678'),
	('letters', 'TW', '09O-1234-5678'),
	('letters', 'JP', 'O90-1234-5678'),
	('letters', 'JP', '090-1234-567O'),
	('letters', 'JP', '090-1234-5678Wang'),
	('letters', 'DE', '01-63-8114 (Wang)'),
	('letters', 'DE', '030-1234-567O'),
-- letters in front of the number, and few and apart behind it, are not read
	('no letters', 'JP', 'TEL: 090-1234-5678'),
	('no letters', 'JP', 'Tel.03-1234-5678'),
	('no letters', 'JP', '03-1234-5678 (AB)');

-- dates and IP addresses
INSERT INTO cell (section, region, phone) VALUES
	('date', 'TH', '2024-01-15'),
	('date', 'JP', '2024-01-15'),
	('date', 'DE', '2024/1/5'),
	('date', 'DE', '1985.04.01'),
	('date', 'DE', '２０２４－０１－１５'),
	('date', 'DE', '2024_01_15'),
	('date', 'DE', '15.01.2024'),
	('date', 'TH', '01/15/2024'),
	('date', 'TH', '生年月日 2024-01-15'),
	('ip', 'TH', '192.168.0.1'),
	('ip', 'DE', '10.0.0.1/8'),
	('ip', 'DE', '１９２．１６８．０．１'),
	('no date', 'DE', '2024-13-15'),
	('no date', 'DE', '2024-01.15'),
	('date', 'DE', '2024 01 15'),
	('no ip', 'DE', '030.256.78.9');

-- two readings, numbers that exist in Japan only, two numbers
INSERT INTO cell (section, region, phone) VALUES
	('readings', 'TH', '0081-90-1234-5678'),
	('readings', 'TH', '00-66 62-848-2693'),
	('readings', 'JP', '0066-67-107-2420'),
	('one reading', 'TH', '001 66 81 234 5678'),
	('one reading', 'DE', '0049 30 12345678'),
	('00XY', 'JP', '0066-123-4567'),
	('00XY', 'JP', '0037-123-456'),
	('00XY', 'JP', '+81 0077 123 4567'),
	('two', 'JP', '090-1234-5678 / 03-1234-5678'),
	('two', 'JP', '090-1234-5678, 080-1111-2222'),
	('two', 'JP', '090-1234-5678、080-1111-2222'),
	('two', 'JP', '090-1234-5678 080-1111-2222'),
	('two', 'JP', E'090-1234-5678\n080-1111-2222'),
	('two', 'JP', '090-1234-5678または03-1234-5678'),
	('two', 'JP', '090-1234-5678（自宅03-1234-5678）'),
	('two', 'JP', '0312345678;0387654321'),
	('two', 'JP', 'TEL 03-1234-5678 FAX 03-1234-5679'),
	('two', 'JP', '+819012345678 +818011112222'),
	('two', 'DE', '030-1234567/030-765432'),
	('one', 'DE', '030/12345678');

-- rescue (a): separators, invisible characters
INSERT INTO cell (section, region, phone) VALUES
	('separators', 'JP', '090ｰ1234ｰ5678'),
	('separators', 'JP', '090_1234_5678'),
	('separators', 'JP', '090＿1234＿5678'),
	('separators', 'JP', '090・1234・5678'),
	('separators', 'JP', '090･1234･5678'),
	('separators', 'JP', '090·1234·5678'),
	('separators', 'JP', '090•1234•5678'),
	('separators', 'JP', '090～1234～5678'),
	('separators', 'JP', '090〜1234〜5678'),
	('separators', 'JP', '090~1234~5678'),
	('separators', 'JP', '090─1234─5678'),
	('separators', 'JP', '090。1234。5678'),
	('separators', 'JP', '090｡1234｡5678'),
	('separators', 'JP', E'090\t1234\t5678'),
	('separators', 'JP', E'090\n1234\n5678'),
	('separators', 'JP', E'090-1234-\r\n5678'),
	('separators', 'JP', U&'090\20021234\202F5678'),
	('separators', 'JP', U&'090-\200E1234-\202C5678'),
	('separators', 'JP', U&'\FEFF\202A+81\206690\2069 1234 5678'),
	('separators', 'JP', U&'0\FE0F\20E3\0039\FE0F\20E3\0030\FE0F\20E312345678'),
	('separators', 'JP', '【090】1234-5678'),
	('separators', 'JP', '＋81｛90｝1234ー5678');

-- rescue (b): annotations and extension words
INSERT INTO cell (section, region, phone) VALUES
	('annotation', 'JP', '090-1234-5678（携帯）'),
	('annotation', 'JP', '090-1234-5678(携帯)'),
	('annotation', 'JP', '090-1234-5678【携帯】'),
	('annotation', 'JP', '090-1234-5678 自宅'),
	('annotation', 'JP', '090-1234-5678様'),
	('annotation', 'JP', '090-1234-5678　田中様方'),
	('annotation', 'JP', '090-1234-5678 ※本人'),
	('annotation', 'JP', '090-1234-5678：携帯'),
	('annotation', 'JP', '090-1234-5678 (10時以降)'),
	('annotation', 'JP', '090-1234-5678 (mobile)'),
	('annotation', 'JP', '090-1234-5678 Wang'),
	('annotation', 'TH', '081-234-5678 มือถือ'),
	('annotation', 'TH', '081-234-5678 (บ้าน)'),
	('annotation', 'TW', '0912-345-678（手機）'),
	('annotation', 'KR', '010-2000-0000 집'),
	('annotation', 'SE', '070 123 45 67 (Axel)'),
	('extension', 'JP', '03-1234-5678内線12'),
	('extension', 'JP', '03-1234-5678（内線 123）'),
	('extension', 'JP', '03-1234-5678 内線：１２３'),
	('extension', 'TW', '02-2345-6789 分機 12'),
	('extension', 'TW', '02-2345-6789轉12'),
	('extension', 'TW', '02-2345-6789#12'),
	('extension', 'CN', '010-5992-8888 转 12'),
	('extension', 'TH', '02-123-4567 ต่อ 12'),
	('extension', 'KR', '02-2000-1234 내선 12'),
-- not cut: too few digits, other numerals, a note that continues the number
	('no annotation', 'JP', '090-1234（携帯）'),
	('no annotation', 'JP', '090-1234-567八'),
	('no annotation', 'JP', '090-1234-567（8）'),
	('no annotation', 'JP', '090-1234-5678または5679'),
	('no annotation', 'JP', '090-1234-5678 自宅 1234-5678');

-- rescues (c) to (f): by the digits
INSERT INTO cell (section, region, phone) VALUES
	('00', 'JP', '0081-90-1234-5678'),
	('00', 'TW', '0081-90-1234-5678'),
	('00', 'JP', '00 66 81 234 5678'),
	('00', 'TH', '0066 81 234 5678'),
	('00', 'JP', '0081-90-1234-5678（携帯）'),
	('00', 'JP', '+0081 90 1234 5678'),
	('184', 'JP', '184-090-1234-5678'),
	('184', 'JP', '18609012345678'),
	('184', 'TH', '184-081-234-5678'),
	('carrier', 'JP', '0033-010-66-81-234-5678'),
	('carrier', 'JP', '001-010-886-912-345-678'),
	('carrier', 'JP', '009120-010-81-90-1234-5678'),
	('doubled', 'JP', '+81 81 90 1234 5678'),
	('doubled', 'JP', '+81 +81 90 1234 5678'),
	('doubled', 'JP', '8181-90-1234-5678'),
	('doubled', 'TH', '+66 66 81 234 5678'),
	('doubled', 'JP', '0081 81 90 1234 5678'),
	('plain', 'JP', '010-81-90-1234-5678'),
	('plain', 'JP', '81-90-1234-5678'),
	('plain', 'JP', '9012345678'),
	('plain', 'JP', '+81 (0)90 1234 5678'),
	('plain', 'JP', '０３（１２３４）５６７８');

-- not aligned: releases differ in the width of invisible characters
\pset format unaligned
-- found by review: masks at the end where numbers have no fixed length, an
-- e-mail address, a lookalike apart, a Japanese carrier before a number of
-- Japan, notes behind both of two numbers
INSERT INTO cell (section, region, phone) VALUES
	('mask', 'DE', '030-1234____'),
	('mask', 'DE', '030 1234•••'),
	('mask', 'DE', '030 1234 ・・・'),
	('mask', 'DE', '030 1234…'),
	('mask', 'DE', '030 1234⚫⚫'),
	('no mask', 'JP', '090-1234-5678・'),
	('no mask', 'JP', 'TEL ____03-1234-5678____'),
	('no mask', 'JP', '090-1234-5678・・・田中'),
	('no mask', 'JP', '…090-1234-5678'),
	('date', 'TH', '2024--01--15'),
	('letters', 'DE', '030-1234567 О'),
	('letters', 'DE', '030-1234567 八'),
	('e-mail', 'SG', '61234567@qq.com'),
	('e-mail', 'JP', '09012345678＠docomo.ne.jp'),
	('no e-mail', 'JP', '090-1234-5678＠田中'),
	('readings', 'JP', '0033-03-1234-5678'),
	('readings', 'JP', '0061 03 1234 5678'),
	('one reading', 'JP', '0081 090-1234-5678'),
	('one reading', 'JP', '0033 1 23 45 67 89'),
	('two', 'JP', '090-1234-5678（携帯）03-1234-5678（自宅）'),
	('two', 'TH', '081-234-5678 (มือถือ) 02-234-5678 (บ้าน)');

-- Readings that a person would not make, of texts that customer tables hold
INSERT INTO cell (section, region, phone) VALUES
-- a number that a spreadsheet or data frame took for a number
	('float', 'TH', '662582501.0'),
	('float', 'TW', '42345678.0'),
	('float', 'JP', '9087654321.0'),
	('float', 'JP', '9087654321.00'),
	('float', 'TH', '66662582501.0'),
	('float', 'JP', '+819087654321.0'),
	('float', 'TH', '20271231.0'),
	('float', 'DE', '030-12345678.0'),
	('no float', 'FR', '04.72.40.00.00'),
	('no float', 'JP', '090.8765.4300'),
-- a calling code or 00 never spans a separator; (0) behind either code
	('split', 'TH', '00 65 (0)80 45 6789'),
	('split', 'TH', '00 34 (0)722 555 019'),
	('split', 'TW', '00 266 0 2450 5501'),
	('split', 'TH', '00351(0)912 555 019'),
	('split', 'JP', '+8 190-1234-5678'),
	('split', 'TH', '00447911 12345'),
	('split', 'TH', '+0081 90 1234 5678'),
	('no split', 'JP', '+ 8 1 9 0 1 2 3 4 5 6 7 8'),
	('no split', 'RU', '8 10 81 90 1234 5678'),
	('no split', 'TH', '00 65 8045 6789'),
	('(0)', 'PT', '+351 (0)912 555 019'),
	('(0)', 'IT', '+39 (0)6 6982 1234'),
	('(0)', 'IT', '+39 (0)333 123 4567'),
-- a calling code twice, or a digit mistyped
	('doubled', 'TH', '+66 66 2582 5019'),
	('doubled', 'TH', '+66 +66 2582 5019'),
	('doubled', 'US', '+1 +1 415 555 2671'),
	('doubled', 'TW', '00383 383 28 839 274'),
	('doubled', 'DE', '+49 49 30 12345678'),
	('060', 'JP', '060-123-4567'),
	('060', 'JP', '060-1234-5678'),
-- dates without separators, and with a time
	('date', 'TH', '20271231'),
	('date', 'HK', '31122027'),
	('date', 'DE', '20271231235959'),
	('date', 'DE', '2027-12-31 12:00'),
	('date', 'DE', '2027:12:31 12:00:00'),
	('no date', 'HK', '20271331'),
	('no date', 'TH', '2582-5019'),
-- plus signs
	('plus', 'JP', '+81+90-8765-4321'),
	('plus', 'JP', '090+8765+4321'),
	('plus', 'JP', '%2B819087654321'),
	('plus', 'JP', '%2B81%2090%208765%204321'),
	('plus', 'JP', '%28090%29+8765-4321'),
	('plus', 'JP', '+090-8765-4321'),
	('plus', 'TH', '+089-876-5432'),
	('plus', 'AT', '+43+5968 (+43+5968)'),
	('plus', 'DE', '+49.440.100'),
	('plus', 'DE', '+049.440.100'),
-- a 0 before the calling code
	('0CC', 'TW', '0886-912-555-019'),
	('0CC', 'JP', '081-90-1234-5678'),
	('0CC', 'US', '01 415 555 2671'),
	('0CC', 'TH', '066 2 582 5019'),
	('0CC', 'TH', '066 81 234 5678'),
	('0CC', 'TH', '066-258-2501'),
	('0CC', 'DE', '04921-12345'),
	('0CC', 'IT', '039 0612345'),
-- the same number twice
	('twice', 'JP', '090 8765 4321 / 090 8765 4321'),
	('twice', 'JP', '+819012345678 (090-1234-5678)'),
	('twice', 'TH', '662582501.0 / 662582501.0'),
	('twice', 'JP', '090-8765-4321 090-8765-4322'),
	('twice', 'JP', '090 8765 4321 / 090 8765 4321 / 090 8765 4321'),
	('twice', 'LU', '+352 3828 (3828)'),
	('twice', 'DE', '1697 (01697)'),
	('twice', 'AT', '43 (0)15213 (015213)'),
-- characters that separate lists, times and extensions elsewhere
	('loose', 'JP', '090：8765：4321'),
	('loose', 'JP', '090:8765:4321'),
	('loose', 'JP', '090、1234、5678'),
	('loose', 'JP', '090一8765一4321'),
	('loose', 'JP', '+81|90|1234|5678'),
	('loose', 'JP', '03-1234-5678、5679'),
	('loose', 'DE', '030-123456、7'),
	('loose', 'DE', '00:49:30:12:34:56'),
	('loose', 'AD', '376 376845,305'),
	('loose', 'AD', '+376 376 319～987'),
-- opening hours
	('hours', 'JP', '090-8765-4321（10:00-18:00）'),
	('hours', 'JP', '090-8765-4321 (9:00~17:30)'),
	('hours', 'JP', '090-8765-4321（平日 10時～18時）'),
	('hours', 'JP', '090-8765-4321 平日10:00-18:00'),
	('hours', 'DE', '030-12345678 (10-18)'),
	('hours', 'JP', '090-8765-4321（1234-5678）');

-- siblings of these that were found later
INSERT INTO cell (section, region, phone) VALUES
-- years of the Thai calendar, blanks
	('date', 'TH', '2570-12-31'),
	('date', 'TH', '25701231'),
	('date', 'TH', '31122570'),
	('date', 'TH', '2027 12 31'),
	('date', 'TH', '2027 12 31 10:30'),
	('date', 'TH', '๓๑/๑๒/๒๕๗๐'),
	('date', 'TH', '20271231（10:00-18:00）'),
	('date', 'TH', '2027-12-31内線1'),
	('date', 'TH', '20271231 ext. 5'),
	('date', 'TH', '20271231,5'),
	('no date', 'TH', '02-027-1231 ext. 5'),
	('no date', 'HK', '25701231'),
	('no date', 'HK', '2570 1231'),
	('no date', 'JP', '+201012311234'),
	('no date', 'JP', '"+(201012311234)"'),
-- a single 0 behind a full stop is a fraction, whatever the groups are
	('float', 'HR', '+385.612.8172.0'),
	('float', 'JP', '(+39) 899 345 399.0'),
	('float', 'KR', '+0886 38137784.0'),
	('float', 'TH', '662582501.0（10:00-18:00）'),
	('float', 'TH', '662582501.0内線12'),
	('float', 'TH', '662582501.0 ext 5'),
	('float', 'TH', '662582501.0,5'),
	('no float', 'RU', '+7.495.123.00.00'),
-- blanks in brackets; (0) behind no calling code
	('(0)', 'IT', '+39 ( 0 )43 2005 6051'),
	('(0)', 'JP', '+81 ( 0 )90 1234 5678'),
	('(0)', 'CN', '66 (0)2571 3229'),
	('(0)', 'CN', '298-(0)3785-74'),
	('(0)', 'JP', '81 (0)90 1234 5678'),
	('(0)', 'TH', '+81 90 1234 5(0)78'),
	('(0)', 'AU', '0(0)49 30 12345678'),
	('(0)', 'FR', '+49 (0)3(0)0 12345678'),
-- a list, a region's own prefix set apart, a comma behind 0 and the own code
	('list', 'EG', '1. 5762 697 58'),
	('list', 'AT', '1. +4300431117'),
	('list', 'US', '1. 415 555 2671'),
	('split', 'TH', '001 48 03094 016'),
	('split', 'BR', '0014 688 0237 50'),
	('no split', 'TH', '001 480 309 4016'),
	('0CC', 'TW', '0886-09149,23062'),
	('0CC', 'MD', '0373-09005,3111'),
-- the plus sign behind zeros begins a number; one part is refused
	('plus', 'JP', '0+81 90 1234 5678'),
	('plus', 'IT', '0+258 8476 38529'),
	('plus', 'IN', '+49+493327685(home)');

SELECT section, c.region, replace(replace(replace(phone, E'\n', '\n'), E'\r', '\r'), E'\t', '\t') AS phone,
	normalize_phone(phone, c.region, 'libphonenumber') AS exact,
	s.e164 AS safe, s.extension AS ext, s.status, s.error_position AS pos, s.rule
FROM cell c, LATERAL parse_phone(phone, c.region) AS s
ORDER BY no;
\pset format aligned

-- A valid exact answer is kept or refused, and only the text of a decimal
-- fraction changes it; an answer reads as itself, in both modes and
-- everywhere; a rescue has a name, a refusal too.
SELECT count(*) FILTER (WHERE exact IS NOT NULL AND safe <> exact AND rule <> 'float_text') AS changed,
	count(*) FILTER (WHERE exact IS NULL AND safe IS NOT NULL AND rule IS NULL) AS nameless_rescues,
	count(*) FILTER (WHERE exact IS NOT NULL AND safe IS NULL AND rule IS NULL) AS nameless_refusals,
	count(*) FILTER (WHERE safe IS NOT NULL AND
		(normalize_phone(safe, region) IS DISTINCT FROM safe OR
		 normalize_phone(safe, 'ZZ') IS DISTINCT FROM safe OR
		 normalize_phone(safe, region, 'libphonenumber') IS DISTINCT FROM safe OR
		 NOT is_e164(safe))) AS no_fixed_points,
	count(*) FILTER (WHERE (safe IS NULL) <> (phone_hash(phone, region) IS NULL)) AS hashes,
	count(*) FILTER (WHERE safe IS NULL AND phone_is_valid(phone, region)) AS valids
FROM (SELECT c.*, normalize_phone(phone, c.region, 'libphonenumber') AS exact,
		normalize_phone(phone, c.region) AS safe, (parse_phone(phone, c.region)).rule
	FROM cell c) AS x;

-- 78 to 81 % of Thai and Taiwanese mobile numbers are Japanese ones too: the
-- region matters, and nothing can guess it
SELECT normalize_phone('081-234-5678', 'TH') AS th, normalize_phone('081-234-5678', 'JP') AS jp;
