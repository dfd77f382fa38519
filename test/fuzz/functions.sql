-- Calls every function of the catalog with extreme values of each of its argument
-- types, as several roles; run by test/sanitize.sh, where a crash or a report of the
-- sanitizers is the finding.  Here: an error that "cannot happen" (class XX).
--
-- psql -v calls=N: so many calls of each function and role.  Every call is undone.

\set ON_ERROR_STOP 1
SET client_min_messages = warning;
CREATE SCHEMA fuzz;
GRANT USAGE ON SCHEMA fuzz TO PUBLIC;
CREATE TABLE fuzz.value (type text, value text);
GRANT SELECT ON fuzz.value TO PUBLIC;
-- expressions; what has no values of its own gets NULL
INSERT INTO fuzz.value SELECT type, unnest(expressions) FROM (VALUES
	('text', ARRAY['''''', '''a''', 'repeat(''x'', 1000000)', 'repeat(''携'', 300000)', 'repeat(''['', 100000)', 'repeat(''{a}'', 20000)',
		'''090-1234-5678''', 'repeat(''0'', 100000)', 'repeat(''+81'', 50000)', '''%s%n%d''', 'chr(1)', 'chr(1114111)', 'chr(8238) || ''０９０''',
		'''+819012345678;ext='' || repeat(''1'', 1000)', '''shop''', '''NaN''', '''{}''', '''file:/etc/passwd''',
		'''https://a.example/?x='' || repeat(''&'', 10000)', '''JP''', '''TH''', '''template''', '''flexible''', '''libphonenumber''', '''era''',
		'''21:00-08:00''', 'repeat(''3'', 64)', '''*''', '''-''']),
	('integer', '{0,1,-1,100,2147483647,-2147483648}'),
	('smallint', '{0,1,-1,32767,-32768}'),
	('bigint', '{0,1,-1,9223372036854775807,-9223372036854775808}'),
	('boolean', '{true,false}'),
	('double precision', ARRAY['''NaN''', '''Infinity''', '''-Infinity''', '1e308', '-0.0', '0.5']),
	('numeric', ARRAY['''NaN''', '''Infinity''', '''-Infinity''', '1e1000', '-1e1000', '1e-16000', '12345.6789', '9e130000']),
	('interval', ARRAY['''0''', '''1 ms''', '''-1 day''', '''178000000 years''', '''-178000000 years''', '''2147483647 days''', '''9223372036854775807 us''']),
	('timestamp with time zone', ARRAY['''infinity''', '''-infinity''', '''294276-12-31 23:59:59.999999+00''', '''4713-01-01 BC''', 'now()']),
	('date', ARRAY['''infinity''', '''-infinity''', '''5874897-12-31''', '''4713-01-01 BC''', 'current_date']),
	('time without time zone', ARRAY['''24:00''', '''00:00''', '''23:59:59.9999999''']),
	('bytea', ARRAY['''''', '''\x00''', 'decode(repeat(''ff'', 100000), ''hex'')', 'decode(repeat(''5b'', 100000), ''hex'')', 'convert_to(''{"events":[]}'', ''UTF8'')']),
	('jsonb', ARRAY['''null''', '''{}''', '''[]''', '''1''', '''"a"''', '(repeat(''['', 3000) || repeat('']'', 3000))', '(repeat(''{"a":'', 3000) || ''1'' || repeat(''}'', 3000))',
		'''{"items":[{"itemKey":"a","content":null}]}''', '''{"":{"":[1e1000,-1e1000]}}''', '''[{"{repeat}":{"{optional}":"{a}{b}{c}"}}]''',
		'''{"emphasizedItem":[],"items":{},"buttons":"x"}''', '''{"ids":[1],"priority":99999999999999999999,"policy":{"max_attempts":1e100}}''',
		'''[{"type":"flex","altText":"a","contents":{"type":"bubble","body":{"type":"box","layout":"vertical","contents":[null,1,{}]}}}]''',
		'(SELECT jsonb_object_agg(''k'' || i, i) FROM generate_series(1, 20000) i)']),
	('regrole', ARRAY['0', '4294967295', '''pg_read_all_data''']),
	('oid', '{0,1259,4294967295}'),
	('name', ARRAY['''''', '''a''']),
	('pg_lsn', ARRAY['''0/0''', '''FFFFFFFF/FFFFFFFF''']),
	('line_notify.use_case', ARRAY['''reminder''', '''shipment_completed''']),
	('line_notify.message_state', ARRAY['''queued''', '''accepted''', '''unknown''', '''invalid'''])
) v(type, expressions);

-- An expression of that type; now and then NULL.
CREATE FUNCTION fuzz.any_of(wanted text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	element text := substring(wanted FROM '^(.*)\[\]$');
	found text;
BEGIN
	IF random() < 0.15 THEN
		RETURN 'NULL';
	ELSIF element IS NOT NULL THEN
		RETURN CASE floor(random() * 4)::int WHEN 0 THEN '''{}''' WHEN 1 THEN format('array_fill(NULL::%s, ARRAY[1000])', element)
			WHEN 2 THEN format('ARRAY[ARRAY[%s]]::%s', fuzz.any_of(element), wanted)
			ELSE format('ARRAY[%s, %s]::%s', fuzz.any_of(element), fuzz.any_of(element), wanted) END;
	END IF;
	SELECT v.value INTO found FROM fuzz.value v WHERE v.type = wanted ORDER BY random() LIMIT 1;
	RETURN coalesce(found, 'NULL');
END $$;

-- Calls one function so often, as the current user.
CREATE FUNCTION fuzz.calls(function oid, n integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	name text := (SELECT format('line_notify.%I', p.proname) FROM pg_proc p WHERE p.oid = function);
	statement text;
BEGIN
	FOR i IN 1 .. n LOOP
		SELECT format('SELECT x::text FROM %s(%s) x', name, coalesce(string_agg(CASE WHEN p.provariadic <> 0 AND a.i = p.pronargs THEN 'VARIADIC ' ELSE '' END
				|| format('(%s)::%s', fuzz.any_of(format_type(a.type, NULL)), format_type(a.type, NULL)), ', ' ORDER BY a.i), ''))
			INTO statement
			FROM pg_proc p LEFT JOIN LATERAL unnest(p.proargtypes) WITH ORDINALITY a(type, i) ON true WHERE p.oid = function GROUP BY p.oid;
		BEGIN
			EXECUTE statement;
			RAISE EXCEPTION 'undone' USING ERRCODE = 'FUZZ0';
		EXCEPTION WHEN OTHERS THEN
			IF SQLSTATE LIKE 'XX%' THEN
				RAISE WARNING 'cannot happen: % by %', SQLERRM, left(statement, 1000);
			END IF;
		END;
	END LOOP;
END $$;

CREATE ROLE fuzz_nobody;
CREATE ROLE fuzz_sender;
CREATE ROLE fuzz_operator;
CREATE ROLE fuzz_clerk;
SELECT line_notify.grant_sender('fuzz_sender'), line_notify.grant_operator('fuzz_operator'), line_notify.grant_support('fuzz_clerk'),
	line_notify.grant_privacy('fuzz_clerk'), line_notify.grant_webhook('fuzz_clerk', true);

-- some calls wait, or work for long: each has its time
\set ON_ERROR_STOP 0
SET statement_timeout = '2s';
SET lock_timeout = '1s';
SET client_min_messages = warning;
SELECT count(*) > 100 AS enough FROM pg_proc WHERE pronamespace = 'line_notify'::regnamespace \gset
\if :enough
\else
	\warn 'cannot happen: no functions'
\endif
SELECT format('SET ROLE %I; SELECT fuzz.calls(%s, %s); RESET ROLE', r.rolname, p.oid, :calls)
FROM pg_proc p CROSS JOIN (SELECT rolname FROM pg_roles WHERE rolname LIKE 'fuzz\_%' OR rolname = current_user) r
WHERE p.pronamespace = 'line_notify'::regnamespace AND p.prokind = 'f' AND p.prorettype NOT IN ('trigger'::regtype, 'language_handler'::regtype)
	AND NOT 'internal'::regtype = ANY (p.proargtypes) AND has_function_privilege(r.rolname, p.oid, 'EXECUTE')
ORDER BY r.rolname, p.proname
\gexec
RESET ROLE;
