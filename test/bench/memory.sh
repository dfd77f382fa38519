#!/usr/bin/env bash
#
# Resident memory of the worker, from message to message
#
#   MESSAGES=100000 bash test/bench/run.sh memory
#
# Private memory (RssAnon) after each tenth; flat is the claim.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
messages=${MESSAGES:-100000}
port=54383
bench_setup memory
start_nginx
new_server data $port "shared_preload_libraries = 'line_notify'" "max_wal_size = 4GB" "line_notify.node = 'bench'" "line_notify.idle_timeout = 0"
sql -c "CREATE EXTENSION line_notify" -c "
SELECT line_notify.create_channel('shop', api_base => 'https://localhost:$tls_port', ca_file => '$work/nginx/cert.pem', rate_limit => 100000);
SELECT line_notify.set_credential('shop', 'access_token', 'bench')" >/dev/null
rounds=()
pids=
for i in $(seq 10); do
    sql -c "INSERT INTO line_notify.outbox (phone, use_case, template_key)
        SELECT '090-1' || lpad((i / 10000 % 1000)::text, 3, '0') || '-' || lpad((i % 10000)::text, 4, '0'), 'parcel_delivery', 'shipment_completed_ja'
        FROM generate_series(1, $((messages / 10))) i" -c "DO \$\$ BEGIN WHILE EXISTS (SELECT FROM line_notify.outbox) LOOP PERFORM pg_sleep(0.1); COMMIT; END LOOP; END \$\$"
    pid=$(sql -c "SELECT pid FROM pg_stat_activity WHERE backend_type = 'line_notify worker'")
    pids+=" $pid"
    rounds+=("$(awk '/RssAnon/ {print $2}' "/proc/$pid/status")")
    printf '%9d messages: %6d kB private\n' $((i * messages / 10)) "${rounds[-1]}"
done
[ "$(tr ' ' '\n' <<<"$pids" | sort -u | grep -c .)" = 1 ] || say "the worker was not the same one all the time"
result "{\"bench\": \"memory\", \"messages\": $messages, \"kb\": [$(IFS=,; echo "${rounds[*]}")], \"date\": \"$(date +%F)\"}"
