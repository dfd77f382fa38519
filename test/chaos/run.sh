#!/usr/bin/env bash
#
# Chaos at size: what the product says of each message, held against what a judge
# noted that knows nothing of it.
#
#   bash test/chaos/run.sh [messages] [seed]        (100,000; 1)
#
# judge.c answers after 1 to 512 ms, with every status, never, or breaks off at
# every point, and closes idle connections at random; how often changes every few
# seconds.  Meanwhile the worker is killed, terminated and stopped for seconds,
# the server killed, stopped and restarted, settings are reloaded, readers hold
# transactions.  A fifth of the messages go through a second database whose
# history is dropped after a minute; there only copies are looked for, and what
# does not end.
#
# Policies are the defaults; total_timeout is 3 s, so that what hangs does not
# take hours, and an operator resumes what LINE's refusals have paused.
#
# Prints what it found; status 0 when nothing was taken twice or lost, every state
# is true, no step was one that the model lacks (../model/replay.py), and, in a run
# of two minutes or more, every fault and every deed has happened.

. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
messages=${1:-100000}
seed=${2:-1}
port=${CHAOS_PORT:-54331}
judge_port=${CHAOS_JUDGE_PORT:-9531}
faults=(        # what the judge does, per 10,000 requests, from one time to the next
    "good_close 300 hang 20 status 500 wait 2 close_head 20 reset_head 20 reset_body 20 close_after 20 reset_after 20 close_status 20 reset_headers 20 close_short 20 garbage 20"
    "hang 100"
    "hang 500 status 100"
    "good_close 3000"
    "hang 2000 close_after 100"
    "status 2000"
    "wait 20"
)

base_packages
plain_user
make_work chaos
private_postgres
say "seed $seed, $messages messages"
build PG_CFLAGS="-O2 -DUSE_ASSERT_CHECKING=1" || { tail -30 "$work/build.log"; die "the build failed"; }

profile=0
next_faults() {
    tr ' ' '\n' <<<"${faults[profile++ % ${#faults[@]}]}" | paste -d' ' - - >"$work/faults"
}
next_faults
ulimit -n 20000
start_judge "$judge_port" "$work/judge.log" "$seed" "$work/faults"
processes+=("$judge")

new_server data "$port" "shared_preload_libraries = 'line_notify'" "line_notify.node = 'chaos'" "fsync = off" \
    "full_page_writes = off" "shared_buffers = 256MB" "max_wal_size = 2GB" "restart_after_crash = on" "max_locks_per_transaction = 256" \
    "line_notify.max_in_flight = 2000" "line_notify.shutdown_timeout = '300ms'" "autovacuum_naptime = '10s'" \
    "line_notify.trace_file = 'line_notify.trace'"
log=$work/data.log
sql() { as_user "$pgbin/psql" -X -q -At -v ON_ERROR_STOP=1 -p "$port" "$@"; }
# until it answers: the server may be recovering
sure() {
    local n
    for n in $(seq 600); do
        sql "$@" 2>>"$work/sql.log" && return
        sleep 0.1
    done
    tail -5 "$work/sql.log"
    die "the server does not come back"
}
door=0
for db in main churn; do
    sql -c "CREATE DATABASE $db" -c "ALTER DATABASE churn SET line_notify.retention = '1min'" >/dev/null 2>&1
    sql -d $db -c "CREATE EXTENSION line_notify" -c "
SELECT line_notify.create_channel(c, api_base => 'http://127.0.0.1:$((judge_port + door++))', rate_limit => 5000, max_in_flight => 1000,
    total_timeout => '3 s', backoff_base => '50 ms', backoff_cap => '1 s', default_ttl => '1 day')
FROM unnest(ARRAY['shop', 'news']) c;
SELECT line_notify.set_credential(c, 'access_token', 'chaos') FROM unnest(ARRAY['shop', 'news']) c" >/dev/null || die "no channels"
done

# messages of a batch: templates of one channel, texts of the other
insert() { # database batch n
    sql -d "$1" -c "INSERT INTO line_notify.outbox (channel, phone, use_case, template_key, body, messages, reference)
        SELECT CASE i % 4 WHEN 0 THEN 'news' ELSE 'shop' END,
            '090-' || lpad((1000 + i / 10000 % 9000)::text, 4, '0') || '-' || lpad((i % 10000)::text, 4, '0'), 'parcel_delivery',
            CASE WHEN i % 2 = 0 THEN NULL ELSE 'shipment_completed_ja' END,
            CASE WHEN i % 2 = 0 THEN NULL ELSE '{\"items\": [{\"itemKey\": \"number_001_ja\", \"content\": \"1234\"}]}'::jsonb END,
            CASE WHEN i % 2 = 0 THEN '[{\"type\": \"text\", \"text\": \"発送しました\"}]'::jsonb END, 'batch $2'
        FROM generate_series(1, $3) i" 2>>"$work/sql.log"
}
queued() { sure -d "$1" -c "SELECT count(*) FROM line_notify.outbox"; }
worker() { sure -d "$1" -c "SELECT pid FROM pg_stat_activity WHERE backend_type = 'line_notify worker' AND datname = '$1'"; }
start() {
    local n
    for n in $(seq 600); do
        as_user "$pgbin/pg_ctl" -D "$work/data" -l "$log" -w start >/dev/null 2>&1 && return
        sleep 0.1
    done
    die "the server does not start"
}

deeds=("kill worker" "terminate worker" "freeze worker" "immediate stop" "kill server" "reload" "reader" "restart")
declare -A happened=()
deed=0
readers=()
act() {
    local what=${deeds[deed++ % ${#deeds[@]}]} pid
    case $what in
        "kill worker") pid=$(worker main) && [ -n "$pid" ] && kill -9 $pid ;;
        "terminate worker") sure -c "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'line_notify worker'" | grep -q t ;;
        "freeze worker") pid=$(worker main) && [ -n "$pid" ] && kill -STOP $pid && { sleep 4; kill -CONT $pid; } ;;
        "immediate stop") as_user "$pgbin/pg_ctl" -D "$work/data" -m immediate -w stop >/dev/null 2>&1; start ;;
        "kill server") kill -9 "$(head -1 "$work/data/postmaster.pid")"; start ;;
        reload) as_user "$pgbin/pg_ctl" -D "$work/data" reload >/dev/null ;;
        reader)
            for db in main churn; do
                sql -d $db -c "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM line_notify.notifications WHERE id < 1000; SELECT pg_sleep(20); COMMIT" >/dev/null 2>&1 &
                readers+=($!)
            done ;;
        restart) as_user "$pgbin/pg_ctl" -D "$work/data" -l "$log" -m fast -w restart >/dev/null 2>&1 || start ;;
    esac && happened[$what]=$((${happened[$what]:-0} + 1))
}
resumed=0
operator() {
    local n db
    for db in main churn; do
        n=$(sql -d $db -c "SELECT count(line_notify.resume(name)) FROM line_notify.channels WHERE paused" 2>>"$work/sql.log")
        resumed=$((resumed + ${n:-0}))
    done
}

# what is due by now
meanwhile() {
    if [ $((SECONDS - last_act)) -ge 6 ]; then
        act
        operator
        last_act=$SECONDS
    fi
    if [ $((SECONDS - last_faults)) -ge 10 ]; then
        next_faults
        kill -HUP "$judge"
        last_faults=$SECONDS
    fi
}

began=$SECONDS
sent=0 churned=0 batch=0 last_act=$SECONDS last_faults=$SECONDS last_batch=$SECONDS size=5000
while [ $((sent + churned)) -lt "$messages" ]; do
    left=$((messages - sent - churned))
    [ $left -ge $size ] || size=$left
    batch=$((batch + 1))
    db=main
    [ $((batch % 5)) -ne 0 ] || db=churn
    waiting=$(queued $db) || exit 1
    if [ "$waiting" -lt 40000 ]; then
        # of a batch that failed it is asked whether it was committed
        if insert $db $batch "$size" ||
            [ "$(sure -d $db -c "SELECT count(*) FROM line_notify.notifications WHERE reference = 'batch $batch'")" -gt 0 ]; then
            [ $db = main ] && sent=$((sent + size)) || churned=$((churned + size))
            last_batch=$SECONDS
        fi
    else
        sleep 0.2
        operator
    fi
    meanwhile
    [ $((SECONDS - last_batch)) -lt 600 ] || { tail -5 "$work/sql.log"; die "nothing can be queued for 10 minutes"; }
done
last=-1 still=$SECONDS
while in_main=$(queued main) && in_churn=$(queued churn) || exit 1; left=$((in_main + in_churn)); [ $left -gt 0 ]; do
    # the end is not for what hangs
    if [ $left -gt 5000 ]; then meanwhile; else : >"$work/faults"; kill -HUP "$judge"; fi
    [ "$left" = $last ] || still=$SECONDS
    last=$left
    [ $((SECONDS - still)) -lt 120 ] || { sure -d main -c "SELECT * FROM line_notify.health()"; say "$left do not end"; break; }
    operator
    sleep 0.5
done
seconds=$((SECONDS - began))
kill "$judge"
wait "$judge" 2>/dev/null
for p in "${readers[@]}"; do wait "$p"; done

sure -c "CREATE DATABASE verdict" >/dev/null
sure -d verdict -c "CREATE TABLE log (at bigint, door integer, id bigint, attempt integer, fault text, status integer, whole integer, taken integer);
    CREATE TABLE said (id bigint, state text)" >/dev/null
sql -d verdict -c "\\copy log FROM '$work/judge.log' (DELIMITER ' ')"
sql -d main -c "\\copy (SELECT id, state FROM line_notify.notifications) TO STDOUT" | sql -d verdict -c "\\copy said FROM STDIN"
sql -d verdict -c "CREATE TABLE did AS
    SELECT door, id, count(*) AS requests, sum(taken) AS taken,
        -- after these LINE may have it, or has it
        count(*) FILTER (WHERE whole = 1 AND (taken = 1 OR status = 0 OR status = 202 OR status >= 500 AND status <> 503)) AS doubtful,
        bool_or(status = 202 AND whole = 1) AS accepted,
        bool_or(status = 422) AS unreachable,
        bool_or(status BETWEEN 400 AND 499 AND status NOT IN (422, 429)) AS refused
    FROM log WHERE id <> 0 GROUP BY door, id" -c "CREATE INDEX ON said (id)" -c "CREATE INDEX ON log (door, id)" -c "ANALYZE"
q() { sql -d verdict -c "$1"; }
rows=$(q "SELECT count(*) FROM said")
twice=$(q "SELECT count(*) FROM did WHERE taken > 1")
again=$(q "SELECT count(*) FROM did WHERE doubtful > 1")
ends=$(q "SELECT count(*) FROM said WHERE state NOT IN ('accepted', 'unreachable', 'refused', 'unknown', 'failed')")
lies=$(q "SELECT count(*) FROM said s LEFT JOIN did d ON d.door = 0 AND d.id = s.id WHERE CASE s.state
    WHEN 'accepted' THEN d.accepted IS NOT TRUE
    WHEN 'unreachable' THEN d.unreachable IS NOT TRUE OR d.taken > 0
    WHEN 'refused' THEN d.refused IS NOT TRUE OR d.taken > 0
    WHEN 'failed' THEN d.doubtful > 0
    WHEN 'unknown' THEN false ELSE true END")
say "$(q "SELECT string_agg(state || ' ' || n, ', ' ORDER BY n DESC) FROM (SELECT state, count(*) AS n FROM said GROUP BY 1) s")"
say "unknown, and what the judge noted last: $(q "SELECT string_agg(what || ' ' || n, ', ' ORDER BY n DESC) FROM (
    SELECT coalesce(l.fault || CASE WHEN l.status > 0 THEN ' ' || l.status ELSE '' END || CASE l.whole WHEN 0 THEN ', not whole' ELSE '' END, 'nothing') AS what, count(*) AS n
    FROM said s LEFT JOIN LATERAL (SELECT l.* FROM log l WHERE l.door = 0 AND l.id = s.id ORDER BY l.attempt DESC LIMIT 1) l ON true
    WHERE s.state = 'unknown' GROUP BY 1) u")"
say "requests: $(q "SELECT count(*) FROM log WHERE id <> 0"), of them $(q "SELECT count(*) FROM log WHERE door = 1") of the second database, where $(q "SELECT count(*) FROM did WHERE door = 1") of $churned messages came"
never=
for what in "${deeds[@]}"; do [ -n "${happened[$what]:-}" ] || never+="${never:+, }$what"; done
for what in $(grep -oE '[a-z_]+' <<<"${faults[*]}" | sort -u); do
    [ -n "$(q "SELECT 1 FROM log WHERE fault = '$what' LIMIT 1")" ] || never+="${never:+, }$what"
done
say "$(for what in "${!happened[@]}"; do printf '%s %d, ' "$what" "${happened[$what]}"; done)a channel resumed $resumed times${never:+; never: $never}"
say "partitions of the second database: $(sure -d churn -c "SELECT count(*) FROM pg_inherits WHERE inhparent = 'line_notify.history'::regclass")"
# what was done, step by step, against the model
oid=$(q "SELECT oid FROM pg_database WHERE datname = 'main'")
trace=$work/data/line_notify.trace
[ -s "$trace" ] || die "there is no trace"
sql -d main -f "$work/src/test/model/look.sql" >"$work/look" || die "the tables cannot be looked at"
{
    printf '\nlook 0 0 %s begin .\n' "$oid"
    sed -E "s/^([a-z]+)/\\1 0 0 $oid/; s/\$/ ./" "$work/look"
    printf 'look 0 0 %s end .\n' "$oid"
} >>"$trace"
python3 "$work/src/test/model/replay.py" "$trace" >"$work/replay.out"
foreign=$?
say "against the model: $(tail -1 "$work/replay.out")"
[ $foreign -eq 0 ] || head -20 "$work/replay.out"
crashes=$(grep -cE 'PANIC|TRAP|was terminated by signal (6|7|8|11)' "$log")
say "$((sent + churned)) messages in $seconds s, $((sent - rows)) lost, $twice taken twice, $again asked again after a doubt, $lies states untrue, $ends without an end, $crashes crashes"
[ -z "$never" ] || [ $seconds -lt 120 ] || exit 1
[ "$((sent - rows))$twice$again$lies$ends$left$crashes$foreign" = 00000000 ]
