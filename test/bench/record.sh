#!/usr/bin/env bash
#
# What it is worth that the record of an outcome is not flushed: line_notify.flush_outcomes_after
# 0 (with the record) and 200 ms (the default), in turns on one server
#
#   MESSAGES=50000 ROUNDS=3 STEADY=2000 bash test/bench/run.sh record
#
# fsyncs of the WAL (pg_stat_wal) per 1,000 messages of a burn-down, and from
# COMMIT to the request, idle and at 500/s (latency.py).

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
messages=${MESSAGES:-50000}
port=54320
bench_setup record
start_nginx
as_user python3 "$work/src/test/mock/line_api.py" --log "$work/requests.jsonl" >"$work/sim.out" 2>"$work/sim.err" &
for _ in $(seq 200); do grep -q '^ready' "$work/sim.out" && break; read -rt 0.05 <> <(:); done
processes+=("$(sed -n 's/.*pid=\([0-9]*\).*/\1/p' "$work/sim.out")")
new_server data $port "shared_preload_libraries = 'line_notify'" "shared_buffers = 256MB" "max_wal_size = 4GB" "line_notify.node = 'bench'"
sql -c "CREATE EXTENSION line_notify" -c "
SELECT line_notify.create_channel('shop', api_base => 'http://$(sed -n 's/^ready http=\([^ ]*\).*/\1/p' "$work/sim.out")');
SELECT line_notify.set_credential('shop', 'access_token', 'line-sim-token');
SELECT line_notify.create_channel('burn', api_base => 'http://127.0.0.1:$plain_port', rate_limit => 100000);
SELECT line_notify.set_credential('burn', 'access_token', 'bench');
SELECT line_notify.pause('burn');
ALTER ROLE CURRENT_USER SET line_notify.default_channel = 'shop'" >/dev/null
plain_table

burn() {
    local began syncs
    sql -c "INSERT INTO line_notify.outbox (channel, phone, use_case, template_key)
        SELECT 'burn', '090-1' || lpad((i / 10000)::text, 3, '0') || '-' || lpad((i % 10000)::text, 4, '0'), 'parcel_delivery', 'x'
        FROM generate_series(1, $messages) i" -c "VACUUM ANALYZE line_notify.outbox" -c CHECKPOINT
    syncs=$(sql -c "SELECT wal_sync FROM pg_stat_wal")
    began=$(date +%s.%N)
    sql -c "SELECT line_notify.resume('burn')" >/dev/null
    sql -c "DO \$\$ BEGIN WHILE EXISTS (SELECT FROM line_notify.outbox) LOOP PERFORM pg_sleep(0.05); COMMIT; END LOOP; END \$\$"
    awk -v a="$began" -v b="$(date +%s.%N)" -v n="$messages" -v s="$(($(sql -c "SELECT wal_sync FROM pg_stat_wal") - syncs))" \
        'BEGIN {printf "burn-down: %.0f messages/s, %.1f fsyncs per 1,000\n", n / (b - a), 1000 * s / n}'
    sql -c "SELECT line_notify.pause('burn')" >/dev/null
}

steady() {
    as_user env PYTHONPATH="$work/src/test/bench" python3 "$work/src/test/bench/latency.py" \
        "$pgbin/psql" $port "$work/requests.jsonl" "${IDLE:-200}" "${STEADY:-2000}" "${SESSIONS:-4}" >"$work/latency.txt" 2>&1 ||
        { tail "$work/latency.txt"; die "the measurement failed"; }
    grep -v '^{\|cold' "$work/latency.txt"
}

for round in $(seq "${ROUNDS:-3}"); do
    for after in 0 200ms; do
        sql -c "ALTER SYSTEM SET line_notify.flush_outcomes_after = '$after'" -c "SELECT pg_reload_conf()" >/dev/null
        say "round $round, flush_outcomes_after = $after, load $(cut -d' ' -f1 /proc/loadavg)"
        burn
        steady
    done
done
