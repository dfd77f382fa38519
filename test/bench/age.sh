#!/usr/bin/env bash
#
# Does it stay fast: with history, with what waits, under a held snapshot
#
#   MESSAGES=10000 FINISHED="200000" WAITING=100000 bash test/bench/run.sh age
#   MESSAGES=50000 FINISHED="1000000 10000000" WAITING=1000000 ...    the targets of the design
#
# Rate: from the arrival times in nginx's log.  SQL: time of the worker's
# statements per message, from pg_stat_statements.  Every line but the first
# is also given as a ratio of its SQL to that of the empty system.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
messages=${MESSAGES:-10000}
finished=${FINISHED:-200000}
waiting=${WAITING:-100000}
port=54382
bench_setup age
start_nginx
new_server data $port "shared_preload_libraries = 'pg_stat_statements,line_notify'" "shared_buffers = 512MB" \
    "max_wal_size = 8GB" "synchronous_commit = on" "fsync = on" "line_notify.node = 'bench'" \
    "autovacuum_naptime = 5s" "pg_stat_statements.track = top" "max_prepared_transactions = 2"

sql -c "CREATE EXTENSION pg_stat_statements" -c "CREATE EXTENSION line_notify" -c "
SELECT line_notify.create_channel(c, api_base => 'https://localhost:$tls_port', ca_file => '$work/nginx/cert.pem', rate_limit => 100000)
FROM unnest('{shop,paused,quiet}'::text[]) c;
SELECT line_notify.set_credential(c, 'access_token', 'bench') FROM unnest('{shop,paused,quiet}'::text[]) c;
SELECT line_notify.pause('paused');
SELECT line_notify.alter_channel('quiet', quiet_hours => to_char(now() AT TIME ZONE 'Asia/Tokyo' - interval '2 hours', 'HH24:MI') || '-'
	|| to_char(now() AT TIME ZONE 'Asia/Tokyo' + interval '6 hours', 'HH24:MI'))" >/dev/null || die "set-up failed"

fill() { # rows channel batch [column value]
    sql -c "INSERT INTO line_notify.outbox (channel, batch, phone, use_case, template_key, body${4:+, $4})
        SELECT '$2', '$3', '090-1' || lpad((i / 10000 % 1000)::text, 3, '0') || '-' || lpad((i % 10000)::text, 4, '0'), 'parcel_delivery',
            'shipment_completed_ja', '{\"items\": [{\"itemKey\": \"number_001_ja\", \"content\": \"4321-0987-6543\"}]}'${5:+, $5}
        FROM generate_series(1, $1) i"
}

base=
measure() { # label [statement to run meanwhile in another session]
    local lsn wal rate cost seen
    sql -c "SELECT line_notify.pause('shop')" >/dev/null
    [ -n "${no_fill:-}" ] || fill "$messages" shop run
    sql -c "ANALYZE line_notify.outbox" -c CHECKPOINT -c "SELECT pg_stat_statements_reset()" >/dev/null
    : >"$work/nginx/access.log"
    lsn=$(sql -c "SELECT pg_current_wal_insert_lsn()")
    sql -c "SELECT line_notify.resume('shop')" >/dev/null
    sql -c "DO \$\$ BEGIN FOR i IN 1..6000 LOOP
        EXIT WHEN NOT EXISTS (SELECT FROM line_notify.outbox WHERE batch = 'run') AND NOT EXISTS (SELECT FROM line_notify.in_flight);
        PERFORM pg_sleep(0.05); COMMIT; END LOOP; END \$\$" 2>>"$work/err"
    wal=$(sql -c "SELECT round(pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '$lsn') / $messages)")
    cost=$(sql -c "SELECT round((1000 * sum(total_exec_time) / $messages)::numeric, 1) FROM pg_stat_statements
        WHERE query ~ 'line_notify\.' AND query !~ 'DO |resume|pause'")
    for _ in $(seq 30); do [ "$(wc -l <"$work/nginx/access.log")" -ge "$messages" ] && break; read -rt 0.1 <> <(:); done
    read -r seen rate < <(awk 'NR == 1 {a = $1} {b = $1; n++} END {printf "%d %.0f\n", n, (b > a) ? n / (b - a) : 0}' "$work/nginx/access.log")
    base=${base:-$cost}
    ratio=$(awk -v a="$cost" -v b="$base" 'BEGIN {printf "%.2f", a / b}')
    printf '%-44s %8s %8s %8s %9s %8s\n' "$1" "$seen" "$rate" "$cost" "$ratio" "$wal"
    lines+="${lines:+, }{\"case\": \"$1\", \"requests\": $seen, \"rate\": $rate, \"sql_us\": $cost, \"ratio\": $ratio, \"wal_bytes\": $wal}"
}
clear_waiting() { sql -c "DELETE FROM line_notify.outbox" -c "VACUUM line_notify.outbox" -c "VACUUM line_notify.in_flight"; }

lines=
printf '%-44s %8s %8s %8s %9s %8s\n' case requests rate/s "SQL us" "x empty" "WAL B"
measure "warming up" >/dev/null
base=
lines=
measure "empty"
for n in $finished; do
    sql -c "DO \$\$ DECLARE low bigint := (SELECT last_value + 1 FROM line_notify.message_id_seq); b bigint := low; high bigint;
    BEGIN
        high := $n - (SELECT count(*) FROM line_notify.history) + low;
        WHILE b IS NOT NULL AND b <= high LOOP b := line_notify._ensure_history(b); END LOOP;
        INSERT INTO line_notify.history (id, channel, recipient, use_case, template_key, body, state, attempts, outcome, http_status, request_id, created_at, due_at, expires_at, sent_at, ended_at)
        SELECT i, 'shop', encode(sha256(i::text::bytea), 'hex'), 'parcel_delivery', 'shipment_completed_ja', '{\"items\": []}', 'accepted', 1, 'accepted', 202,
            md5(i::text), now() - interval '1 hour', now() - interval '1 hour', now() + interval '1 day', now() - interval '1 hour', now() - interval '1 hour'
        FROM generate_series(low, high - 1) i;
        PERFORM setval('line_notify.message_id_seq', high);
    END \$\$" -c "ANALYZE line_notify.history"
    measure "$n finished"
done
fill "$waiting" shop later send_after "now() + interval '1 day'"
measure "$waiting waiting, not due"
clear_waiting
fill "$waiting" paused p
measure "$waiting waiting, channel paused"
clear_waiting
fill "$waiting" quiet q
measure "$waiting waiting, quiet hours"
clear_waiting
fill 1 shop head "order_key, send_after" "'k', now() + interval '1 day'"
fill "$waiting" shop blocked order_key "'k'"
# each of them is looked at once, and set aside
measure "$waiting blocked by order_key, set aside"
measure "$waiting blocked by order_key"
clear_waiting
fill "$waiting" shop backlog priority "-5"
measure "$waiting waiting, due, lower priority" 
sql -c "SELECT line_notify.pause('shop')" >/dev/null
clear_waiting

# a snapshot that is held all the time
coproc HELD { as_user "$pgbin/psql" -X -q -At -p $port -c "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1" -f - ; }
echo "SELECT pg_backend_pid();" >&"${HELD[1]}"; read -r _ <&"${HELD[0]}"
echo "SELECT 'held', count(*) FROM line_notify.channel;" >&"${HELD[1]}"; read -r _ <&"${HELD[0]}"
for i in 1 2 3; do measure "held snapshot, round $i"; done
echo "ROLLBACK;" >&"${HELD[1]}"
# a producer that inserted early and commits late
echo "BEGIN; INSERT INTO line_notify.outbox (channel, phone, use_case, template_key, batch)
    SELECT 'shop', '09012345678', 'parcel_delivery', 'shipment_completed_ja', 'late' FROM generate_series(1, 1000); SELECT 'open';" >&"${HELD[1]}"
while read -r x <&"${HELD[0]}"; do [ "$x" = open ] && break; done
measure "while a producer is open"
echo "COMMIT; SELECT 'done';" >&"${HELD[1]}"
while read -r x <&"${HELD[0]}"; do [ "$x" = done ] && break; done
sql -c "DO \$\$ BEGIN FOR i IN 1..600 LOOP EXIT WHEN NOT EXISTS (SELECT FROM line_notify.outbox WHERE batch = 'late');
    PERFORM pg_sleep(0.05); COMMIT; END LOOP; END \$\$"
late=$(sql -c "SELECT count(*) FROM line_notify.notifications WHERE batch = 'late' AND state = 'accepted'")
say "of 1000 messages of the late producer, accepted: $late"
exec {HELD[1]}>&-
say "dead tuples, size and automatic vacuums at the end:"
as_user "$pgbin/psql" -X -p $port -c "SELECT relname, n_dead_tup AS dead, pg_size_pretty(pg_total_relation_size(relid)) AS size, autovacuum_count AS autovacuums
    FROM pg_stat_user_tables WHERE schemaname = 'line_notify' AND (relname IN ('outbox', 'in_flight', 'attempt_log') OR relname ~ '^history_') ORDER BY pg_total_relation_size(relid) DESC LIMIT 6"
per=$(sql -c "SELECT round(sum(pg_total_relation_size(inhrelid)) / (SELECT count(*) FROM line_notify.history)) FROM pg_inherits WHERE inhparent = 'line_notify.history'::regclass")
say "history: $per bytes a message"
result "{\"bench\": \"age\", \"messages\": $messages, \"waiting\": $waiting, \"history_bytes\": $per, \"late\": $late, \"cases\": [$lines], \"date\": \"$(date +%F)\"}"
