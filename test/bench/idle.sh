#!/usr/bin/env bash
#
# What an idle system does: statements and wake-ups in a minute
#
#   BENCH_SECONDS=60 bash test/bench/run.sh idle
#
# Statements from pg_stat_statements, wake-ups from the kernel's count of
# voluntary context switches of launcher and worker.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
seconds=${BENCH_SECONDS:-60}
port=54384
bench_setup idle
start_nginx
new_server data $port "shared_preload_libraries = 'pg_stat_statements,line_notify'" "pg_stat_statements.track = all" \
    "line_notify.node = 'bench'" "autovacuum = off"
sql -c "CREATE EXTENSION pg_stat_statements" -c "CREATE EXTENSION line_notify" -c "
SELECT line_notify.create_channel('shop', api_base => 'https://localhost:$tls_port', ca_file => '$work/nginx/cert.pem', rate_limit => 100000);
SELECT line_notify.set_credential('shop', 'access_token', 'bench');
INSERT INTO line_notify.outbox (phone, use_case, template_key) VALUES ('09012345678', 'parcel_delivery', 'shipment_completed_ja')" \
    -c "DO \$\$ BEGIN WHILE EXISTS (SELECT FROM line_notify.outbox) LOOP PERFORM pg_sleep(0.1); COMMIT; END LOOP; END \$\$" >/dev/null
mapfile -t pids < <(pgrep -f -P "$(head -1 "$work/data/postmaster.pid")" 'line_notify (launcher|worker)')
status=("${pids[@]/#//proc/}")
status=("${status[@]/%//status}")
switches() { awk '/^voluntary/ {n += $2} END {print n + 0}' "${status[@]}"; }
read -rt 8 <> <(:)                      # what follows the last message, e.g. the connection's end
sql -c "SELECT pg_stat_statements_reset()" >/dev/null
before=$(switches)
read -rt "$seconds" <> <(:)
wake=$(($(switches) - before))
n=$(sql -c "SELECT coalesce(sum(calls), 0) FROM pg_stat_statements WHERE query !~ 'pg_stat_statements'")
say "${#pids[@]} processes, $seconds s: $n statements, $wake wake-ups"
result "{\"bench\": \"idle\", \"seconds\": $seconds, \"processes\": ${#pids[@]}, \"statements\": $n, \"wakeups\": $wake, \"date\": \"$(date +%F)\"}"
