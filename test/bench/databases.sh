#!/usr/bin/env bash
#
# Many databases: the CPU of all workers a message, with the same messages in one
# database and in eight.
#
#   MESSAGES=38000 ROUNDS=3 PAUSE=0.02 bash test/bench/run.sh databases
#
# Twice, as in channels.sh: with a backlog; and in portions of 190, PAUSE seconds
# apart, each into the next of the databases.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
messages=${MESSAGES:-38000}
rounds=${ROUNDS:-3}
port=54335
bench_setup databases
start_nginx
new_server data $port "shared_preload_libraries = 'line_notify'" "shared_buffers = 256MB" "max_wal_size = 4GB" \
    "line_notify.node = 'bench'" "line_notify.max_in_flight = 1000" "max_worker_processes = 20"
for d in 1 2 3 4 5 6 7 8; do
    sql -c "CREATE DATABASE d$d"
    sql -d "d$d" -c "CREATE EXTENSION line_notify" -c "
        SELECT line_notify.create_channel('shop', api_base => 'http://127.0.0.1:$plain_port', line_channel_id => (1000 + $d)::text, rate_limit => 100000);
        SELECT line_notify.set_credential('shop', 'access_token', 'bench')" >/dev/null
done

# CPU of all workers so far, in ticks; none ends while it is measured
cpu() {
    sql -c "SELECT pid FROM pg_stat_activity WHERE backend_type = 'line_notify worker'" |
        while read -r pid; do awk '{print $14 + $15}' "/proc/$pid/stat"; done | awk '{n += $1} END {print n + 0}'
}
insert() { # from, to
    echo "INSERT INTO line_notify.outbox (phone, use_case, template_key, body)
        SELECT '090-1' || lpad((i / 10000)::text, 3, '0') || '-' || lpad((i % 10000)::text, 4, '0'), 'parcel_delivery',
            'shipment_completed_ja', '{\"items\": [{\"itemKey\": \"number_001_ja\", \"content\": \"4321\"}]}'
        FROM generate_series($1, $2) i;"
}
all_gone() { # databases
    local d
    for d in $(seq "$1"); do
        sql -d "d$d" -c "DO \$\$ BEGIN WHILE EXISTS (SELECT FROM line_notify.outbox) LOOP PERFORM pg_sleep(0.05); COMMIT; END LOOP; END \$\$"
    done
}
cost() { # databases, messages of a portion, what that is called
    local before each from d portion=$2 sessions=()
    [ "$portion" -lt "$messages" ] || portion=$((messages / $1))
    for d in $(seq "$1"); do sql -d "d$d" -c "$(insert 1 400)"; done
    all_gone "$1"
    before=$(cpu)
    for d in $(seq "$1"); do
        for from in $(seq 1 $portion $((messages / $1))); do
            insert "$from" $((from + portion - 1))
            echo "SELECT pg_sleep($1 * ${PAUSE:-0.02});"
        done >"$work/insert-$d.sql"
        sql -d "d$d" -f "$work/insert-$d.sql" >/dev/null &
        sessions+=($!)
    done
    wait "${sessions[@]}"
    all_gone "$1"
    each=$(awk -v t="$(($(cpu) - before))" -v hz="$(getconf CLK_TCK)" -v n="$messages" 'BEGIN {printf "%.1f", 1e6 * t / hz / n}')
    say "round $round, $3, $1 databases: $each us of the workers' CPU a message"
    result "{\"bench\": \"databases\", \"how\": \"$3\", \"databases\": $1, \"messages\": $messages, \"cpu_us\": $each, \"date\": \"$(date +%F)\"}"
}
for round in $(seq "$rounds"); do
    for n in 1 8; do cost "$n" "$messages" backlog; done
    for n in 1 8; do cost "$n" 190 portions; done
done
