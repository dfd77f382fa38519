#!/usr/bin/env bash
#
# Instructions of the worker by part (callgrind), on a machine however busy
#
#   MESSAGES=6000 bash test/bench/run.sh instructions
#
# A burn-down over plain HTTP, one channel; the worker's own instructions and those of
# its libraries, not the kernel's.  The clock is slowed down as much as valgrind slows
# the worker down (../mock/clock.c), so that batches are what they are without it.  Two
# runs of one build differ by half a percent; a pass of maintenance (other tasks) may
# fall into one of them.  The functions: callgrind_annotate on the file that is named.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
messages=${MESSAGES:-6000}
port=54331
KEEP=1
bench_setup instructions
start_nginx
need_packages valgrind
for part in bench/count mock/clock; do
    as_user gcc -O2 -shared -fPIC -o "$work/${part#*/}.so" "$work/src/test/$part.c" -ldl || die "$part.c does not build"
done
new_server data $port "shared_preload_libraries = 'line_notify'" "shared_buffers = 256MB" "line_notify.node = 'bench'" \
    "line_notify.max_in_flight = 5000" "autovacuum = off" "checkpoint_timeout = '1d'"
as_user "$pgbin/pg_ctl" -D "$work/data" -m fast -w stop >/dev/null
as_user bash -c 'ulimit -n $(ulimit -Hn); exec "$@"' bash env SLOW_CLOCK=60 \
    LD_PRELOAD="$work/count.so $work/clock.so" valgrind --tool=callgrind --instr-atstart=no --callgrind-out-file="$work/callgrind.%p" \
    --log-file="$work/valgrind.%p" "$pgbin/postgres" -D "$work/data" >"$work/data.log" 2>&1 &
for _ in $(seq 200); do as_user "$pgbin/pg_isready" -q -p $port && break; read -rt 0.3 <> <(:); done

sql -c "CREATE EXTENSION line_notify" -c "
SELECT line_notify.create_channel('shop', api_base => 'http://127.0.0.1:$plain_port', rate_limit => 100000, max_in_flight => 4000);
SELECT line_notify.set_credential('shop', 'access_token', 'bench');
SELECT line_notify.pause('shop')" >/dev/null || die "no extension: $(tail -3 "$work/data.log")"

burn() { # messages
    sql -c "INSERT INTO line_notify.outbox (phone, use_case, template_key, body)
        SELECT '090-1' || lpad((i / 10000)::text, 3, '0') || '-' || lpad((i % 10000)::text, 4, '0'), 'parcel_delivery',
        'shipment_completed_ja', '{\"items\": [{\"itemKey\": \"name_010_ja\", \"content\": \"テスト商品\"}, {\"itemKey\": \"number_001_ja\", \"content\": \"4321-0987-6543\"}]}'
        FROM generate_series(1, $1) i" -c "VACUUM ANALYZE line_notify.outbox" -c CHECKPOINT
    pid=$(sql -c "SELECT pid FROM pg_stat_activity WHERE backend_type = 'line_notify worker'" | head -1)
    [ "$1" -ne "$messages" ] || kill -RTMIN "$pid"
    sql -c "SELECT line_notify.resume('shop')" >/dev/null
    sql -c "DO \$\$ BEGIN WHILE EXISTS (SELECT FROM line_notify.outbox) LOOP PERFORM pg_sleep(0.01); COMMIT; END LOOP; END \$\$"
    [ "$1" -ne "$messages" ] || kill -RTMIN "$pid"
    sql -c "SELECT line_notify.pause('shop')" >/dev/null
}

burn $((messages / 2 + 1))      # plans, connections, the first partition
burn "$messages"
for _ in $(seq 300); do [ -s "$work/callgrind.$pid.1" ] && break; read -rt 0.1 <> <(:); done
[ -s "$work/callgrind.$pid.1" ] || die "nothing was counted"
callgrind_annotate --inclusive=yes --threshold=100 "$work/callgrind.$pid.1" 2>/dev/null | awk -v n="$messages" '
    BEGIN {
        name["ln_worker_record"] = "record"; name["ln_worker_claim"] = "claim"; name["ln_http_step"] = "HTTP, answers"
        name["ln_worker_send"] = "sending"; name["ln_worker_harvest"] = "outcomes"; name["ln_tasks_run"] = "tasks"
    }
    { gsub(/,/, "", $1) }
    /PROGRAM TOTALS/ { total = $1 / n }
    match($0, /:ln_[a-z_]+ /) { f = substr($0, RSTART + 1, RLENGTH - 2); if (f in name && !(name[f] in of)) of[name[f]] = $1 / n }
    END {
        other = of["tasks"] - of["record"] - of["claim"] - of["sending"]
        printf "%.0f instructions a message outside the kernel, %.0f without other tasks\n", total, total - other
        for (p in of) if (p != "tasks") printf "  %7.0f %s\n", of[p], p
    }'
say "functions: callgrind_annotate $work/callgrind.$pid.1"
as_user "$pgbin/pg_ctl" -D "$work/data" -m fast -w stop >/dev/null
