-- Server encodings: the same cell gives the same number in every one, broken
-- bytes under SQL_ASCII are no number, and nothing is ever an error.
\set keep :DBNAME
\set VERBOSITY terse

CREATE DATABASE ln_phone_euc TEMPLATE template0 ENCODING 'EUC_JP' LC_COLLATE 'C' LC_CTYPE 'C';
CREATE DATABASE ln_phone_latin TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C';
CREATE DATABASE ln_phone_ascii TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C';

\c ln_phone_euc
SET client_min_messages = error;
CREATE EXTENSION line_notify;
SET client_encoding = 'UTF8';
SELECT phone, (line_notify.parse_phone(phone)).*
FROM (VALUES ('０９０－１２３４－５６７８'), ('090-1234-5678（携帯）'), ('090ｰ1234ｰ5678'),
	('03-1234-5678内線12'), ('携帯090-1234-567'), ('090-1234-5678')) AS v(phone);
-- a character that Unicode does not have, as bytes that EUC_JP allows
SELECT line_notify.normalize_phone('090-1234-5678 ' || convert_from('\xfdfe'::bytea, 'EUC_JP')) AS unmapped,
	(line_notify.parse_phone('090-' || convert_from('\xfdfe'::bytea, 'EUC_JP') || '1234-5678')).status;

\c ln_phone_latin
SET client_min_messages = error;
CREATE EXTENSION line_notify;
SET client_encoding = 'UTF8';
SELECT phone, line_notify.normalize_phone(phone, region), (line_notify.parse_phone(phone, region)).rule
FROM (VALUES ('03-1234-5678', 'JP'), (U&'030\00A01234567', 'DE'), ('030·1234·567', 'DE'),
	('030 1234567 (Büro)', 'DE')) AS v(phone, region);

\c ln_phone_ascii
SET client_min_messages = error;
CREATE EXTENSION line_notify;
SELECT line_notify.normalize_phone(E'\xef\xbc\x90\xef\xbc\x99\xef\xbc\x901234-5678') AS utf8,
	line_notify.normalize_phone(E'090-1234-5678\xef\xbc\x88\xe6\x90\xba\xe5\xb8\xaf\xef\xbc\x89') AS note;
SELECT n, p.e164, p.status, p.error_position, line_notify.is_e164(phone), line_notify.phone_hash(phone)
FROM (VALUES (1, E'090-1234-5678\xff'), (2, E'\x80090-1234-5678'), (3, E'090-1234\xe3\x81-5678'),
	(4, E'090-1234-5678\xf0\x9f\x93'), (5, E'\xc0\xb0\xc0\xb9\xc0\xb012345678'), (6, E'\xed\xa0\x80090-1234-5678'),
	(7, E'\xf5\x80\x80\x80'), (8, repeat(E'\xff', 999)), (9, repeat(E'\xff', 1001))) AS v(n, phone),
	LATERAL line_notify.parse_phone(phone) AS p;
SELECT (line_notify.parse_phone(E'090-1234-5678\xff', 'JP', 'libphonenumber')).status;
SELECT line_notify.assert_phone(E'090-1234-5678\xff');

\c :keep
DROP DATABASE ln_phone_euc;
DROP DATABASE ln_phone_latin;
DROP DATABASE ln_phone_ascii;
