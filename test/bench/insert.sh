#!/usr/bin/env bash
#
# The checked INSERT beside a plain table's, and what bystanders lose
#
#   ROWS=50000 BENCH_SECONDS=5 bash test/bench/run.sh insert
#
# The plain table has the same columns and indexes, and gets the same values; its
# id comes from a sequence.  messages is the view for ORMs over the outbox.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
rows=${ROWS:-50000}
seconds=${BENCH_SECONDS:-5}
port=54385
bench_setup insert
start_nginx
new_server data $port "shared_preload_libraries = 'line_notify'" "shared_buffers = 256MB" "max_wal_size = 4GB" "line_notify.node = 'bench'"
sql -c "CREATE EXTENSION line_notify" -c "
SELECT line_notify.create_channel('shop', api_base => 'https://localhost:$tls_port', ca_file => '$work/nginx/cert.pem', rate_limit => 100000);
SELECT line_notify.set_credential('shop', 'access_token', 'bench');
SELECT line_notify.pause('shop')" -c "
CREATE TABLE plain (LIKE line_notify.outbox INCLUDING ALL EXCLUDING CONSTRAINTS);
CREATE SEQUENCE plain_id;
ALTER TABLE plain ALTER id SET DEFAULT nextval('plain_id'), ALTER channel SET DEFAULT 'shop', ALTER expires_at SET DEFAULT now(), ALTER state SET DEFAULT 'queued', ALTER due_at SET DEFAULT now(),
	ALTER home SET DEFAULT 1, ALTER created_at SET DEFAULT now()" >/dev/null || die "set-up failed"
body='{"items": [{"itemKey": "number_001_ja", "content": "4321-0987-6543"}]}'
declare -A single bulk
for t in plain line_notify.outbox line_notify.messages; do
    echo "\\set n random(0, 99999999)
INSERT INTO $t (phone, use_case, template_key, body) VALUES ('090' || lpad(:n::text, 8, '1'), 'parcel_delivery', 'shipment_completed_ja', '$body');" >"$work/$t.sql"
    single[$t]=$(as_user "$pgbin/pgbench" -n -p $port -M prepared -c 1 -T "$seconds" -f "$work/$t.sql" postgres 2>&1 | sed -n 's/^latency average = \([0-9.]*\) ms/\1/p')
    ms=$(sql -c '\timing on' -c "INSERT INTO $t (phone, use_case, template_key, body)
        SELECT '090' || lpad(i::text, 8, '1'), 'parcel_delivery', 'shipment_completed_ja', '$body' FROM generate_series(1, $rows) i" | sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p' | tail -1)
    bulk[$t]=$(awk -v m="$ms" -v n="$rows" 'BEGIN {printf "%.1f", 1000 * m / n}')
    printf '%-20s single %8.1f us (a transaction each), bulk %6.1f us a row\n' "$t" "$(awk -v m="${single[$t]}" 'BEGIN {print 1000 * m}')" "${bulk[$t]}"
done

# bystanders: pgbench alone, and while the worker sends at full speed
as_user "$pgbin/pgbench" -i -q -s 5 -p $port postgres >/dev/null 2>&1
tps() { as_user "$pgbin/pgbench" -n -p $port -c 2 -T "$seconds" postgres 2>&1 | sed -n 's/^tps = \([0-9]*\).*/\1/p'; }
alone=$(tps)
sql -c "SELECT line_notify.resume('shop')" >/dev/null
busy=$(tps)
left=$(sql -c "SELECT count(*) FROM line_notify.outbox")
say "pgbench beside it: $alone tps alone, $busy tps while the worker sends ($left messages left at the end)"
result "{\"bench\": \"insert\", \"rows\": $rows, \"single_ms\": [${single[plain]}, ${single[line_notify.outbox]}, ${single[line_notify.messages]}], \"bulk_us\": [${bulk[plain]}, ${bulk[line_notify.outbox]}, ${bulk[line_notify.messages]}], \"tps_alone\": $alone, \"tps_busy\": $busy, \"left\": $left, \"date\": \"$(date +%F)\"}"
