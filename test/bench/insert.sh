#!/usr/bin/env bash
#
# The checked INSERT beside a plain table's, and what bystanders lose
#
#   ROWS=50000 BENCH_SECONDS=5 bash test/bench/run.sh insert
#
# The plain table has the same columns and indexes, and gets the same values; its
# id comes from a sequence.  messages is the view for ORMs over the outbox.  CPU is
# that of the session, which a loaded machine changes less than the time.

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
SELECT line_notify.pause('shop')" >/dev/null || die "set-up failed"
plain_table
body='{"items": [{"itemKey": "number_001_ja", "content": "4321-0987-6543"}]}'
declare -A single bulk single_cpu bulk_cpu
values="'090' || lpad(%s::text, 8, '1'), 'parcel_delivery', 'shipment_completed_ja', '$body'"
columns="(phone, use_case, template_key, body)"
# ticks of this session so far
cpu="SELECT sum(t::bigint) AS ticks FROM unnest((string_to_array(pg_read_file('/proc/self/stat'), ' '))[14:15]) t"
in_us() { awk -v t="$1" -v hz="$(getconf CLK_TCK)" -v n="$rows" 'BEGIN {printf "%.1f", 1e6 * t / hz / n}'; }
for t in plain line_notify.outbox line_notify.messages; do
    # shellcheck disable=SC2059
    printf "\\set n random(0, 99999999)\nINSERT INTO $t $columns VALUES ($values);\n" :n >"$work/$t.sql"
    single[$t]=$(as_user "$pgbin/pgbench" -n -p $port -M prepared -c 1 -T "$seconds" -f "$work/$t.sql" postgres 2>&1 | sed -n 's/^latency average = \([0-9.]*\) ms/\1/p')
    # shellcheck disable=SC2059
    sql >"$work/$t.out" <<END
PREPARE one (int) AS INSERT INTO $t $columns VALUES ($(printf "$values" '$1'));
$cpu \gset before_
SELECT 'EXECUTE one(' || i || ')' FROM generate_series(1, $rows) i \gexec
$cpu \gset after_
\echo single :after_ticks :before_ticks
$cpu \gset before_
\timing on
INSERT INTO $t $columns SELECT $(printf "$values" i) FROM generate_series(1, $rows) i;
\timing off
$cpu \gset after_
\echo bulk :after_ticks :before_ticks
END
    single_cpu[$t]=$(in_us "$(awk '/^single/ {print $2 - $3}' "$work/$t.out")")
    bulk_cpu[$t]=$(in_us "$(awk '/^bulk/ {print $2 - $3}' "$work/$t.out")")
    bulk[$t]=$(sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p' "$work/$t.out" | awk -v n="$rows" '{printf "%.1f", 1000 * $1 / n}')
    printf '%-20s single %8.1f us, CPU %6.1f us (a transaction each); bulk %6.1f us, CPU %6.1f us a row\n' "$t" \
        "$(awk -v m="${single[$t]}" 'BEGIN {print 1000 * m}')" "${single_cpu[$t]}" "${bulk[$t]}" "${bulk_cpu[$t]}"
done

# bystanders: pgbench alone, and while the worker sends at full speed
as_user "$pgbin/pgbench" -i -q -s 5 -p $port postgres >/dev/null 2>&1
tps() { as_user "$pgbin/pgbench" -n -p $port -c 2 -T "$seconds" postgres 2>&1 | sed -n 's/^tps = \([0-9]*\).*/\1/p'; }
alone=$(tps)
sql -c "SELECT line_notify.resume('shop')" >/dev/null
busy=$(tps)
left=$(sql -c "SELECT count(*) FROM line_notify.outbox")
say "pgbench beside it: $alone tps alone, $busy tps while the worker sends ($left messages left at the end)"
result "{\"bench\": \"insert\", \"rows\": $rows, \"single_ms\": [${single[plain]}, ${single[line_notify.outbox]}, ${single[line_notify.messages]}], \"bulk_us\": [${bulk[plain]}, ${bulk[line_notify.outbox]}, ${bulk[line_notify.messages]}], \"single_cpu_us\": [${single_cpu[plain]}, ${single_cpu[line_notify.outbox]}, ${single_cpu[line_notify.messages]}], \"bulk_cpu_us\": [${bulk_cpu[plain]}, ${bulk_cpu[line_notify.outbox]}, ${bulk_cpu[line_notify.messages]}], \"tps_alone\": $alone, \"tps_busy\": $busy, \"left\": $left, \"date\": \"$(date +%F)\"}"
