#!/usr/bin/env bash
#
# What the content rules cost: check_message() on a typical template and on a
# bubble of 30 kB, and INSERT with them beside a plain table.
#
#   bash test/bench/message.sh [ROWS]       default 100000
#
# Starts a server of its own, unless LN_BENCH_SERVER=1 says that the environment
# (PGHOST, PGPORT, ...) leads to one where the extension can be created.  Prints
# medians of five runs; a figure is never a test.

set -u
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

rows=${1:-100000}

if [ "${LN_BENCH_SERVER:-}" != 1 ]; then
    base_packages
    plain_user
    make_work bench
    private_postgres
    build || die "build failed: $(tail -5 "$work/build.log")"
    new_server bench 54312 "shared_buffers = 256MB" "max_wal_size = 4GB" "checkpoint_timeout = 1h"
    run_psql() { as_user psql -X -q -p 54312 -v ON_ERROR_STOP=1 "$@"; }
else
    run_psql() { psql -X -q -v ON_ERROR_STOP=1 "$@"; }
fi

db=ln_bench_message
run_psql -d postgres -c "SET client_min_messages = warning" -c "DROP DATABASE IF EXISTS $db" -c "CREATE DATABASE $db TEMPLATE template0 ENCODING 'UTF8'" ||
    die "cannot create $db"

run_psql -d "$db" -v rows="$rows" <<'SQL'
SET client_encoding = 'UTF8';
SET client_min_messages = warning;
CREATE EXTENSION line_notify;
SELECT line_notify.create_channel('bench', region => 'JP') \g /dev/null

-- the typical template: one emphasized item, four items, two buttons
CREATE TABLE sample (kind text, name text, payload jsonb);
INSERT INTO sample VALUES
('template', 'typical template', jsonb_build_object('templateKey', 'shipment_completed_ja', 'body', line_notify.template_body(
	line_notify.item('date_002_ja', '2026年11月21日(土)'),
	line_notify.items('name_020_ja', '保険証券', 'number_001_ja', '1234-5678-9012', 'name_022_ja', '東京中央支店', 'time_range_001_ja', '10:00〜12:00'),
	line_notify.buttons('check_delivery_status_ja', 'https://example.com/status/123456789', 'change_delivery_datetime_ja', 'https://example.com/change/123456789')))),
('template', 'template without body', '{"templateKey": "shipment_completed_ja"}'),
('flexible', 'flex_notice()', jsonb_build_object('messages', line_notify.messages(line_notify.flex_notice('お届け予定のお知らせ',
	ARRAY[['お届け日', '2026年11月21日(土)'], ['時間帯', '10:00〜12:00'], ['お問い合わせ番号', '1234-5678-9012']], 'ご不在の場合は持ち戻ります。', '日時を変更する', 'https://example.com/change/123456789'))));
INSERT INTO sample
SELECT 'flexible', 'bubble of 30 kB', jsonb_build_object('messages', line_notify.messages(line_notify.flex_message('明細',
	line_notify.flex_bubble((SELECT array_agg(line_notify.flex_row('品目 ' || i, format('商品番号 %s 数量 2 小計 12,000円', 1000 + i))) FROM generate_series(1, 113) i)))));

CREATE TABLE figures (n int GENERATED ALWAYS AS IDENTITY, what text, unit text, value numeric);

CREATE FUNCTION median(statement text, per int) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
	t timestamptz; times numeric[];
BEGIN
	FOR i IN 1 .. 5 LOOP
		t := clock_timestamp();
		EXECUTE statement;
		times := times || extract(epoch FROM clock_timestamp() - t);
	END LOOP;
	RETURN (SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY x) FROM unnest(times) x) * 1e6 / per;
END $$;

SET max_parallel_workers_per_gather = 0;
SET jit = off;

-- a call of a set-returning function that finds nothing is the zero line
INSERT INTO figures (what, unit, value)
SELECT 'zero line: a set-returning function without rows', 'µs', round(median('SELECT count(*) FROM generate_series(1, 20000) i, LATERAL jsonb_object_keys(CASE WHEN i > 0 THEN ''{}'' END::jsonb)', 20000), 2);
INSERT INTO figures (what, unit, value)
SELECT format('check_message(), %s (%s bytes of JSON)', s.name, octet_length(payload::text)), 'µs',
	round(median(format('SELECT count(*) FROM sample s, generate_series(1, %s) i, LATERAL line_notify.check_message(s.kind, CASE WHEN i > 0 THEN s.payload END) WHERE s.name = %L', n, s.name), n), 2)
FROM (SELECT *, CASE WHEN octet_length(payload::text) > 10000 THEN 1000 ELSE 20000 END AS n FROM sample) s ORDER BY octet_length(payload::text);

-- the same table without the trigger
CREATE TABLE plain (LIKE line_notify.outbox INCLUDING CONSTRAINTS INCLUDING INDEXES);
CREATE SEQUENCE plain_id;
ALTER TABLE plain ALTER id SET DEFAULT nextval('plain_id'), ALTER state SET DEFAULT 'queued', ALTER home SET DEFAULT 1,
	ALTER created_at SET DEFAULT now(), ALTER due_at SET DEFAULT now(), ALTER expires_at SET DEFAULT now() + interval '1 day',
	ALTER priority SET DEFAULT 0, ALTER attempts SET DEFAULT 0, ALTER maybe_sent SET DEFAULT false;

-- seconds of one INSERT of n rows, undone
CREATE FUNCTION insert_once(target text, who text, payload jsonb, n int) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
	t timestamptz; seconds numeric;
BEGIN
	t := clock_timestamp();
	EXECUTE format('INSERT INTO %s (channel, %s, use_case, template_key, body, messages)
		SELECT ''bench'', %s, ''shipment_completed'', $1 ->> ''templateKey'', $1 -> ''body'', $1 -> ''messages'' FROM generate_series(1, $2) i',
		target, who, CASE who WHEN 'phone' THEN '''0901'' || lpad((i + 1000000)::text, 7, ''0'')'
			ELSE 'repeat(''0'', 56) || lpad(i::text, 8, ''0'')' END) USING payload, n;
	seconds := extract(epoch FROM clock_timestamp() - t);
	RAISE EXCEPTION 'undo' USING ERRCODE = 'LN000';
EXCEPTION WHEN SQLSTATE 'LN000' THEN
	RETURN seconds;
END $$;

INSERT INTO figures (what, unit, value)
SELECT format('INSERT into %s, %s', t.label, s.name), 'rows/s', round(:rows / percentile_disc(0.5) WITHIN GROUP (ORDER BY insert_once(t.target, t.who, s.payload, :rows)))
FROM (SELECT row_number() OVER () AS i, * FROM sample WHERE octet_length(payload::text) < 10000) s,
	(VALUES (1, 'plain', 'recipient', 'a plain table with the same columns'), (2, 'line_notify.outbox', 'recipient', 'the outbox, by hash'), (3, 'line_notify.outbox', 'phone', 'the outbox, by number')) t (i, target, who, label),
	generate_series(1, 5) run
GROUP BY s.i, s.name, t.i, t.label ORDER BY s.i, t.i;

SELECT what, value || ' ' || unit AS median FROM figures ORDER BY n;
SQL
status=$?
run_psql -d postgres -c "DROP DATABASE $db"
exit $status
