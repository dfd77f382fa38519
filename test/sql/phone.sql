-- Phone numbers in SQL: the functions and their arguments, the vectors of
-- LINE's specification, and that they may stand wherever immutable functions
-- may.  Whether "libphonenumber" mode equals that library is another test's
-- business (test/phone_conformance.sh), safe mode's rules are phone_safe.sql's.
\pset null '(null)'
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS line_notify;
RESET client_min_messages;
SET search_path = line_notify, public;

SELECT phone_metadata_version();

--
-- Vectors: what is normalized, and the hash that LINE wants
--
CREATE TEMP TABLE vector (phone text, region text, hash text);
INSERT INTO vector VALUES
	('+818000001234', 'JP', 'd41e0ad70dddfeb68f149ad6fc61574b9c5780ab7bcb2fba5517771ffbb2409c'),
	('080-1234-1234', 'JP', '9d5915ca8456e277339a6483d338edd9bcd51f28d6f3192f119cb61345891291'),
	('090-1234-5678', 'JP', '3d06a39d40790f11761295e053029378ae28c4b4f6f301693005e079f3d4ca64'),
	('０９０１２３４５６７８', 'JP', '3d06a39d40790f11761295e053029378ae28c4b4f6f301693005e079f3d4ca64'),
	('+81 (0)90 1234 5678', 'JP', '3d06a39d40790f11761295e053029378ae28c4b4f6f301693005e079f3d4ca64'),
	('080-1234-5678', 'JP', '8b664e742106a6db1edb1a51c79ced6d56b2541557fdfab1c41e98204c1b3713'),
	('070-1234-5678', 'JP', '1e1d188f09d9be9b5c24f120ca7cb62359f49a3a3be9c100ba200b5f4e08cba1'),
	('060-1234-5678', 'JP', 'f8a9b9e5a2ca7172566e85965cbfb5cda55d55c8ffd102baa937178e7e9f29bd'),
	('081-234-5678', 'TH', '7fc93a279e8accbc8e77df576f2f1806df2b9cbff068711f3de71108184e6bb2'),
	('0912-345-678', 'TW', '1315ec4a63ba3d2b8f5db63688770e89a402ee623ef33e4c8c2f36e48f271be0');
SELECT phone, region, normalize_phone(phone, region),
	phone_hash(phone, region) = hash AS hash,
	phone_hash_bytes(phone, region) = decode(hash, 'hex') AS bytes,
	phone_type(phone, region), line_country(phone, region)
FROM vector;

-- what common mistakes would hash to occurs nowhere
SELECT phone, count(*) AS mistakes
FROM (VALUES ('819012345678'), ('09012345678'), ('+8109012345678'),
	('+81-90-1234-5678'), ('+81 90 1234 5678'), (E'+819012345678\n'),
	('＋819012345678')) AS v(phone),
	(VALUES ('0ad07193350775c6d4377f8b039d32877e66c69a454ed886b05279771c0fca0b'),
	('9876ccefa1e426aad25916a9cec49e9598bffcd5434d356c7d0c3cd3f0142baa'),
	('de57fdf38dcae93fee0c574d8d8948a407de87e42330745f6045a2f5408b4e5e'),
	('14578bb63fff7637c6d7829db46d98b090e4fb9784d5d9dd3eee71a1b0cd4034'),
	('a75acbe31b7031dc2a4a83e93628b98208639ea3d8bb40a383574f9f0abad302'),
	('77d21322fa1212cd4085313f91379814d576a63e67a7ce83d1e54dcb090f6535'),
	('b73008059a19b8df63eebe902c239f65ef2bb6221288dd59fa8068e164757a28')) AS w(hash)
WHERE phone_hash(phone) = hash OR phone_hash(phone, 'JP', 'libphonenumber') = hash
	OR phone_hash(phone) IS DISTINCT FROM
		'3d06a39d40790f11761295e053029378ae28c4b4f6f301693005e079f3d4ca64'
GROUP BY phone;

-- our hash is PostgreSQL's
SELECT phone_hash('090-1234-5678') = encode(sha256('+819012345678'::bytea), 'hex') AS same;

--
-- Which countries LINE serves
--
SELECT phone, region, line_country(phone, region)
FROM (VALUES ('090-1234-5678', 'JP'), ('03-1234-5678', 'JP'), ('02-123-4567', 'TH'),
	('02-2345-6789', 'TW'), ('+66812345678', 'JP'), ('+1 212 555 0123', 'JP'),
	('+800 1234 5678', 'JP'), ('+82 10-2000-0000', 'JP'), ('090-1234', 'JP')) AS v(phone, region);

--
-- Types and regions of numbers everywhere
--
SELECT phone, (parse_phone(phone, region, 'libphonenumber')).*
FROM (VALUES ('050-1234-5678', 'JP'), ('0120-123-456', 'JP'), ('0570-012-345', 'JP'),
	('020-4123-4567', 'JP'), ('0990-123-456', 'JP'), ('03-1234-5678 ext. 12', 'JP'),
	('+1 650 253 0000', 'JP'), ('+44 1534 456789', 'GB'), ('+7 701 234 5678', 'RU'),
	('06 1234 5678', 'IT'), ('011 15-2345-6789', 'AR'), ('+39 06698 12345', 'IT'),
	('+800 1234 5678', 'ZZ'), ('+870 301234567', 'ZZ'), ('tel:90-1234-5678;phone-context=+81', 'US'),
	('1-800-FLOWERS', 'US'), ('๐๘๑-๒๓๔-๕๖๗๘', 'TH')) AS v(phone, region);

--
-- No number: the reason, and the first character that is wrong
--
SELECT phone, home, p.e164, p.valid, p.type, p.region, p.country_code,
	p.national, p.status, p.error_position, p.rule
FROM (VALUES ('', 'JP'), ('   ', 'JP'), ('abc', 'JP'), ('090', 'JP'), ('+81', 'JP'),
	('090-1234-567', 'JP'), ('090-1234-56789', 'JP'), ('090-0234-5678', 'JP'),
	('+999 123 4567', 'JP'), ('090-1234-5678', 'ZZ'), ('010 81', 'JP'),
	('090-1234;5678-90', 'JP'), ('12345678901234567890', 'JP'), ('+1 212', 'JP'),
	('+1 999 999 9999', 'JP')) AS v(phone, home),
	LATERAL parse_phone(phone, home, 'libphonenumber') AS p;

--
-- Arguments: a NULL phone is NULL, a NULL region or mode is the default
--
SELECT normalize_phone(NULL), assert_phone(NULL), phone_hash(NULL),
	phone_hash_bytes(NULL), phone_is_valid(NULL), phone_type(NULL),
	phone_region(NULL), line_country(NULL), is_e164(NULL);
SELECT parse_phone(NULL) IS NULL AS parse_phone;
SELECT normalize_phone('090-1234-5678', NULL) AS region,
	normalize_phone('090-1234-5678', NULL, NULL) AS both,
	normalize_phone('090-1234-5678', 'jp', NULL) AS mode,
	normalize_phone('081-234-5678', region => 'Th') AS by_name,
	normalize_phone('090-XXXX-XXXX', mode => 'libphonenumber') AS mode_by_name,
	normalize_phone('+819012345678', 'zz') AS no_region;
-- a typo in region or mode is an error, even beside a NULL phone
\set SHOW_CONTEXT never
SELECT normalize_phone('090-1234-5678', 'JPN');
SELECT normalize_phone('090-1234-5678', 'XX');
SELECT normalize_phone('090-1234-5678', '');
SELECT normalize_phone('090-1234-5678', '日');
SELECT normalize_phone(NULL, 'XX');
SELECT phone_hash('090-1234-5678', 'JP', 'strict');
SELECT parse_phone('090-1234-5678', 'JP', 'Safe');
-- assert_phone says why and where, but does not repeat the number
SELECT assert_phone('090-1234-5678');
SELECT assert_phone('090-1234-567');
SELECT assert_phone('090-XXXX-5678');
SELECT assert_phone('090-1234-5678 / 080-1234-5678');
SELECT assert_phone('0081-90-1234-5678', 'TH');
SELECT assert_phone('1-800-FLOWERS', 'US');
SELECT assert_phone('2024-01-15');
SELECT assert_phone('192.168.0.1');
SELECT assert_phone('090-1234-5678', 'ZZ');
SELECT assert_phone('0066-123-4567');
SELECT assert_phone('+81');
SELECT assert_phone('');
SELECT assert_phone(repeat('0', 251));
\set VERBOSITY sqlstate
SELECT assert_phone('090-1234-567');
SELECT phone_type('090-1234-5678', 'XX');
SELECT phone_type('090-1234-5678', 'JP', 'exact');
\set VERBOSITY default

--
-- E.164
--
SELECT left(phone, 30) AS phone, is_e164(phone)
FROM (VALUES ('+819012345678'), ('+818000001234'), ('+12125550123'), ('819012345678'),
	('+81 90'), ('+81-90-1234-5678'), ('+999123456789'), ('+0123456789'), ('+'), (''),
	('+81'), ('+123456'), ('+8190123456789012'), ('＋819012345678'), (E'+819012345678\n'),
	('+81901234567890123456'), (repeat('1', 2000))) AS v(phone);
CREATE TEMP TABLE contact (id int, phone e164);
INSERT INTO contact VALUES (1, '+819012345678'), (2, NULL);
INSERT INTO contact VALUES (3, '090-1234-5678');
INSERT INTO contact VALUES (3, normalize_phone('090-1234-5678'));
SELECT * FROM contact;

--
-- Where immutable functions may stand
--
CREATE TABLE phone_customer (
	id int PRIMARY KEY,
	tel text CHECK (tel IS NULL OR line_notify.phone_is_valid(tel)),
	tel_e164 text GENERATED ALWAYS AS (line_notify.normalize_phone(tel)) STORED,
	tel_hash bytea GENERATED ALWAYS AS (line_notify.phone_hash_bytes(tel, 'JP')) STORED);
INSERT INTO phone_customer
	SELECT i, '090-' || to_char(1000 + i % 9000, 'FM0000') || '-' || to_char(i % 10000, 'FM0000')
	FROM generate_series(1, 20000) AS i;
INSERT INTO phone_customer VALUES (0, '090-1234-567');
SELECT tel_e164, tel_hash FROM phone_customer WHERE id = 234;
CREATE INDEX phone_customer_hash ON phone_customer ((line_notify.phone_hash(tel, 'JP')));
ANALYZE phone_customer;
SELECT id, tel FROM phone_customer
	WHERE line_notify.phone_hash(tel, 'JP') = line_notify.phone_hash('+819012340234');
EXPLAIN (COSTS OFF) SELECT id FROM phone_customer
	WHERE line_notify.phone_hash(tel, 'JP') = 'd41e0ad70dddfeb68f149ad6fc61574b9c5780ab7bcb2fba5517771ffbb2409c';
-- parallel plans
BEGIN;
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL max_parallel_workers_per_gather = 2;
EXPLAIN (COSTS OFF) SELECT count(line_notify.normalize_phone(tel)) FROM phone_customer
	WHERE line_notify.phone_is_valid(tel);
SELECT count(line_notify.normalize_phone(tel)), count(line_notify.phone_hash(tel)),
	bool_and(line_notify.phone_type(tel) = 'MOBILE')
	FROM phone_customer WHERE line_notify.phone_is_valid(tel);
COMMIT;
DROP TABLE phone_customer;

--
-- Long texts: no more than 250 characters are a number, and a toasted one is
-- not even fetched
--
SELECT n, p.status, p.error_position
FROM (VALUES (249), (250), (251), (5000)) AS v(n),
	LATERAL parse_phone(repeat(' ', n - 11) || '09012345678') AS p;
SELECT n, (parse_phone(repeat('　', n - 11) || '09012345678', mode => 'libphonenumber')).status
FROM (VALUES (250), (251)) AS v(n);
CREATE TEMP TABLE huge (t text);
ALTER TABLE huge ALTER t SET STORAGE EXTERNAL;
INSERT INTO huge SELECT repeat('0901234567', 1000000);
INSERT INTO huge SELECT rpad('090-1234-5678', 800, ' ');
SELECT normalize_phone(t), (parse_phone(t)).status, is_e164(t), phone_hash(t) FROM huge;

--
-- Who may do what
--
SELECT p.proname, p.provolatile, p.proparallel, p.proisstrict, p.procost,
	has_function_privilege('public', p.oid, 'execute') AS public,
	obj_description(p.oid, 'pg_proc') IS NOT NULL AS comment
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname = 'line_notify' AND (p.proname ~ 'phone' OR p.proname IN ('is_e164', 'line_country'))
ORDER BY p.proname COLLATE "C";
