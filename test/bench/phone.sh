#!/usr/bin/env bash
#
# Phone numbers beside libphonenumber in one process, and beside usual SQL over 1 M rows
#
#   bash test/bench/run.sh phone
#
# Environment: BENCH_LINES (in process, default 100000), BENCH_ROWS (in SQL,
# default 1000000), BENCH_ROUNDS (default 5; the best round counts, in SQL by the
# time on the CPU).

set -u
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

lines=${BENCH_LINES:-100000}
rows=${BENCH_ROWS:-1000000}
rounds=${BENCH_ROUNDS:-5}

bench_setup phone
need_packages g++ libphonenumber-dev

step "in one process with libphonenumber $(dpkg-query -W -f '${Version}' libphonenumber-dev 2>/dev/null)"
src=$work/src
{ as_user gcc -O2 -std=c99 "-I$src/src" -r -o "$work/sample.o" \
    "$src/test/fuzz/phone_sample.c" "$src"/src/phone/phone_{clean,exact,safe}.c &&
    as_user g++ -O2 -std=c++17 -Wno-deprecated-declarations -o "$work/phone_bench" \
        "$src/test/bench/phone_bench.cc" "$work/sample.o" -lphonenumber; } ||
    die "could not compile the benchmark"
as_user "$work/phone_bench" "$lines" >"$work/core.log" || die "the benchmark failed"
grep -v '^{' "$work/core.log"
grep '^{' "$work/core.log" | while read -r line; do result "$line"; done

if command -v valgrind >/dev/null; then
    step "instructions a call, by callgrind, over $lines lines"
    for which in "clean exact" "clean safe" "messy exact" "messy safe"; do
        # shellcheck disable=SC2086
        n=$(as_user valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect=counted \
            "$work/phone_bench" "$lines" $which 2>&1 | sed -n 's/.*Collected : //p')
        printf '%-12s %6d\n' "$which" $((n / lines))
        result "{\"bench\": \"phone_instructions\", \"what\": \"$which\", \"lines\": $lines, \"instructions\": $((n / lines))}"
    done
else
    echo "no valgrind: instructions are not counted"
fi

step "in SQL, $rows rows, one backend, best of $rounds rounds"
new_server data 54339 "shared_buffers = 512MB" "fsync = off" "autovacuum = off" \
    "max_wal_size = 4GB" "jit = off" "max_parallel_workers_per_gather = 0"
as_user psql -p 54339 -X -q -v ON_ERROR_STOP=1 -v rows="$rows" -v rounds="$rounds" <<'SQL' >"$work/sql.log" || { cat "$work/sql.log"; die "the SQL part failed"; }
\pset footer off
SET client_min_messages = warning;
CREATE EXTENSION line_notify;
CREATE EXTENSION pgcrypto;
SET search_path = line_notify, public;

-- the ways a form field is filled in, all valid mobile numbers
CREATE TABLE bench AS
SELECT CASE r WHEN 'JP' THEN
		CASE WHEN s < 40 THEN '0' || a || '-' || b || '-' || c
			WHEN s < 60 THEN '0' || a || b || c
			WHEN s < 80 THEN '+81' || a || b || c
			WHEN s < 95 THEN '+81 ' || a || ' ' || b || ' ' || c
			ELSE translate('0' || a || '-' || b || '-' || c, '0123456789-', '０１２３４５６７８９－') END
	WHEN 'TH' THEN
		CASE WHEN s < 40 THEN '08' || substr(b, 1, 1) || '-' || substr(b, 2) || '-' || c
			WHEN s < 60 THEN '08' || b || c
			WHEN s < 80 THEN '+668' || b || c
			ELSE '+66 8' || substr(b, 1, 1) || ' ' || substr(b, 2) || ' ' || c END
	ELSE
		CASE WHEN s < 40 THEN '091' || substr(b, 1, 1) || '-' || substr(b, 2) || '-' || substr(c, 2)
			WHEN s < 60 THEN '091' || b || substr(c, 2)
			WHEN s < 80 THEN '+88691' || b || substr(c, 2)
			ELSE '+886 91' || substr(b, 1, 1) || ' ' || substr(b, 2) || ' ' || substr(c, 2) END
	END AS p, r
FROM (SELECT (ARRAY['JP', 'JP', 'JP', 'TH', 'TW'])[1 + i % 5] AS r, (i * 7919::bigint) % 100 AS s,
		(ARRAY['70', '80', '90'])[1 + i % 3] AS a,
		to_char(1000 + (i * 104729::bigint) % 9000, 'FM0000') AS b,
		to_char((i * 15485863::bigint) % 10000, 'FM0000') AS c
	FROM generate_series(1, :rows) AS i) AS x;
ALTER TABLE bench ADD e text;
UPDATE bench SET e = normalize_phone(p, r, 'libphonenumber');
VACUUM (FULL, ANALYZE) bench;
SELECT count(*) AS rows, count(e) AS valid,
	count(*) FILTER (WHERE e IS DISTINCT FROM normalize_phone(p, r)) AS safe_differs FROM bench;

-- what is in many a code base: six countries, no check
CREATE FUNCTION public.typical(phone text, region text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
	d text := regexp_replace(translate(phone, '０１２３４５６７８９＋－', '0123456789+-'), '[^0-9+]', '', 'g');
	cc text := CASE region WHEN 'JP' THEN '81' WHEN 'TH' THEN '66' WHEN 'TW' THEN '886'
		WHEN 'US' THEN '1' WHEN 'DE' THEN '49' WHEN 'GB' THEN '44' END;
BEGIN
	IF d LIKE '+%' THEN
		RETURN d;
	ELSIF d LIKE '0%' THEN
		RETURN '+' || cc || substr(d, 2);
	END IF;
	RETURN '+' || cc || d;
END $$;

CREATE TABLE candidate (no serial, name text, expression text, best float8);
INSERT INTO candidate (name, expression) VALUES
	('scan alone', 'p'),
	('encode(sha256(e::bytea), ''hex'')', 'encode(sha256(e::bytea), ''hex'')'),
	('sha256(e::bytea)', 'sha256(e::bytea)'),
	('pgcrypto encode(digest(e))', 'encode(public.digest(e, ''sha256''), ''hex'')'),
	('regexp_replace alone', 'regexp_replace(p, ''[^0-9+]'', '''', ''g'')'),
	('PL/pgSQL normalizer', 'public.typical(p, r)'),
	('PL/pgSQL + sha256 + encode', 'encode(sha256(public.typical(p, r)::bytea), ''hex'')'),
	('normalize_phone(p, r)', 'line_notify.normalize_phone(p, r)'),
	('normalize_phone, exact', 'line_notify.normalize_phone(p, r, ''libphonenumber'')'),
	('phone_hash(p, r)', 'line_notify.phone_hash(p, r)'),
	('phone_hash(e)', 'line_notify.phone_hash(e)'),
	('phone_hash_bytes(p, r)', 'line_notify.phone_hash_bytes(p, r)'),
	('phone_type(p, r)', 'line_notify.phone_type(p, r)'),
	('phone_is_valid(p, r)', 'line_notify.phone_is_valid(p, r)'),
	('is_e164(e)', 'line_notify.is_e164(e)');
SELECT set_config('bench.rounds', :'rounds', false) AS rounds \gset
-- time on the CPU of this backend, in ms: other work on the machine hardly changes it
CREATE FUNCTION public.cpu_ms() RETURNS float8 LANGUAGE sql VOLATILE AS
	$$SELECT split_part(pg_read_file('/proc/self/schedstat', 0, 100), ' ', 1)::float8 / 1e6$$;
DO $$
DECLARE
	c record;
	started float8;
	ms float8;
BEGIN
	PERFORM count(*) FROM line_notify.bench;
	FOR round IN 1 .. current_setting('bench.rounds')::int LOOP
		FOR c IN SELECT * FROM line_notify.candidate ORDER BY no LOOP
			started := public.cpu_ms();
			EXECUTE 'SELECT count(' || c.expression || ') FROM line_notify.bench';
			ms := public.cpu_ms() - started;
			UPDATE line_notify.candidate SET best = least(best, ms) WHERE no = c.no;
		END LOOP;
	END LOOP;
END $$;
SELECT name, round(best::numeric) AS ms,
	round((best * 1e6 / :rows)::numeric) AS ns_per_row,
	round((best / (SELECT best FROM candidate WHERE no = 2))::numeric, 2) AS "x sha256+encode"
FROM candidate ORDER BY no;
\pset tuples_only on
\pset format unaligned
SELECT json_build_object('bench', 'phone_sql', 'rows', :rows, 'server', current_setting('server_version'),
	'hash_vs_sha256', round(((SELECT best FROM candidate WHERE name = 'phone_hash(e)') /
		(SELECT best FROM candidate WHERE no = 2))::numeric, 3),
	'ms', json_object_agg(name, round(best::numeric, 1))) FROM candidate;
SQL
grep -v '^{' "$work/sql.log"
result "$(grep '^{' "$work/sql.log")"
