#!/usr/bin/env bash
#
# Burn-down of a full outbox over TLS, one worker, beside a bare libcurl multi loop
#
#   MESSAGES=200000 ROUNDS=2 DELAYS="50 200" bash test/bench/run.sh throughput
#   PLAIN=1 …                over plain HTTP
#
# synchronous_commit = on, states durable; nginx's log says how many requests
# came, and that none came twice.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
messages=${MESSAGES:-200000}
rounds=${ROUNDS:-2}
delays=${DELAYS-50 200}
port=54320
bench_setup throughput
# shellcheck disable=SC2086
start_nginx $delays
new_server data $port "shared_preload_libraries = 'line_notify'" "shared_buffers = 256MB" "max_wal_size = 4GB" \
    "synchronous_commit = on" "fsync = on" "line_notify.node = 'bench'" "line_notify.max_in_flight = 5000"

base=https://localhost:$tls_port
ca_file=$work/nginx/cert.pem
[ -z "${PLAIN:-}" ] || { base=http://127.0.0.1:$plain_port; ca_file=; delays=; }
bare=
as_user gcc -O2 -o "$work/http_bench" -I "$work/src/src" "$work/src/test/bench/http_bench.c" "$work"/src/src/http/*.c -lcurl 2>"$work/gcc.log" &&
    as_user "$work/http_bench" ${ca_file:+-a "$ca_file"} -m bare -r 3 $base/v2/bot/message/pnp/templated/push >"$work/bare.txt" 2>&1
cat "$work/bare.txt"
bare=$(sed -n 's/^bare[^0-9]*\([0-9.]*\) .*/\1/p' "$work/bare.txt" | tail -1)

sql -c "CREATE EXTENSION line_notify" -c "
SELECT line_notify.create_channel('shop', api_base => '$base', ca_file => nullif('$ca_file', ''), rate_limit => 100000, max_in_flight => 4000);
SELECT line_notify.set_credential('shop', 'access_token', 'bench');
SELECT line_notify.pause('shop')" >/dev/null

# CPU of the worker so far, in ticks
cpu() { awk '{print $14 + $15}' "/proc/$(sql -c "SELECT pid FROM pg_stat_activity WHERE backend_type = 'line_notify worker'" | head -1)/stat" 2>/dev/null || echo 0; }

burn() { # kind, label, messages: queues them, sends them, prints
    local content values began rate seen twice before each
    case $1 in
        template) content="template_key, body"; values="'shipment_completed_ja', '{\"items\": [{\"itemKey\": \"name_010_ja\", \"content\": \"テスト商品\"}, {\"itemKey\": \"number_001_ja\", \"content\": \"4321-0987-6543\"}]}'" ;;
        flexible) content="messages"; values="'[{\"type\": \"text\", \"text\": \"ご注文の商品を発送しました。お届け予定は明日 14:00〜16:00 です。\"}]'" ;;
    esac
    sql -c "INSERT INTO line_notify.outbox (phone, use_case, $content)
        SELECT '090-1' || lpad((i / 10000)::text, 3, '0') || '-' || lpad((i % 10000)::text, 4, '0'), 'parcel_delivery', $values
        FROM generate_series(1, $3) i" -c "VACUUM ANALYZE line_notify.outbox" -c CHECKPOINT
    : >"$work/nginx/access.log"
    before=$(cpu)
    began=$(date +%s.%N)
    sql -c "SELECT line_notify.resume('shop')" >/dev/null
    sql -c "DO \$\$ BEGIN WHILE EXISTS (SELECT FROM line_notify.outbox) LOOP PERFORM pg_sleep(0.05); COMMIT; END LOOP; END \$\$"
    rate=$(awk -v a="$began" -v b="$(date +%s.%N)" -v n="$3" 'BEGIN {printf "%.0f", n / (b - a)}')
    each=$(awk -v t="$(($(cpu) - before))" -v hz="$(getconf CLK_TCK)" -v n="$3" 'BEGIN {printf "%.1f", 1e6 * t / hz / n}')
    sql -c "SELECT line_notify.pause('shop')" >/dev/null
    # let nginx flush its log: it does so within a second
    for _ in $(seq 40); do [ "$(wc -l <"$work/nginx/access.log")" -ge "$3" ] && break; read -rt 0.1 <> <(:); done
    seen=$(wc -l <"$work/nginx/access.log")
    twice=$(awk '{split($2, a, "-"); print a[2]}' "$work/nginx/access.log" | sort | uniq -d | wc -l)
    say "$1, $2: $rate messages/s, $each us of the worker's CPU each; nginx saw $seen requests, $twice messages twice${bare:+; $(awk -v a="$rate" -v b="$bare" 'BEGIN {printf "%.0f %% of bare libcurl (%.0f/s)", 100 * a / b, b}')}"
    result "{\"bench\": \"throughput\", \"kind\": \"$1\", \"case\": \"$2\", \"messages\": $3, \"rate\": $rate, \"cpu_us\": $each, \"bare\": ${bare:-null}, \"requests\": $seen, \"twice\": $twice, \"date\": \"$(date +%F)\"}"
}

# the first round makes WAL segments, extends tables and grows the window; the next is the steady state
for round in $(seq "$rounds"); do
    burn template "round $round" "$messages"
    burn flexible "round $round" "$messages"
done
# a road that takes time: no comparison, since a bare loop only needs more connections
bare=
for delay in $delays; do
    sql -c "SELECT line_notify.alter_channel('shop', api_base => 'https://localhost:$((tls_port + delay))')" >/dev/null
    burn template "$delay ms" $((messages / 4))
done
