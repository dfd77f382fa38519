#!/usr/bin/env bash
#
# A channel whose requests hang, and one whose answers take what they take
#
#   SECONDS_EACH=40 MESSAGES=40000 bash test/bench/run.sh hanging
#
# First 200 messages a second are offered, of whose requests 0, 1, 5 and 20 % are
# read and never answered (the others after 5 to 50 ms): how many came to the judge
# (test/chaos/judge.c) within a second of their INSERT.  Then a full queue at
# LINE's limit of 2,000 a second with 400 requests out, over a road of 20 to 200
# ms, and one of 100 ms where every tenth is refused at once: how fast it drains.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
each=${SECONDS_EACH:-40}
messages=${MESSAGES:-40000}
port=54333
judge_port=9543
bench_setup hanging
new_server data $port "shared_preload_libraries = 'line_notify'" "line_notify.node = 'bench'" "line_notify.max_in_flight = 5000"

sql -c "CREATE EXTENSION line_notify" -c "
SELECT line_notify.create_channel('shop', api_base => 'http://127.0.0.1:$judge_port', rate_limit => 2000, max_in_flight => 400);
SELECT line_notify.set_credential('shop', 'access_token', 'bench')" -c "
CREATE PROCEDURE insert_messages(first integer, last integer) LANGUAGE sql AS \$\$
    INSERT INTO line_notify.outbox (phone, use_case, template_key, body)
    SELECT '090-1' || lpad((i / 10000)::text, 3, '0') || '-' || lpad((i % 10000)::text, 4, '0'), 'parcel_delivery',
    'shipment_completed_ja', '{\"items\": [{\"itemKey\": \"number_001_ja\", \"content\": \"4321\"}]}'
    FROM generate_series(first, last) i\$\$;
CREATE PROCEDURE offer(n integer) LANGUAGE plpgsql AS \$\$
BEGIN
    FOR i IN 0 .. n * 20 - 1 LOOP
        CALL insert_messages(i * 10 + 1, i * 10 + 10);
        COMMIT;
        PERFORM pg_sleep(0.05);
    END LOOP;
END\$\$" >/dev/null || die "no channel"

# a judge of its own for each case; its log is $work/log
judge=
with_faults() { # "name weight ..."
    [ -z "$judge" ] || { kill "$judge"; wait "$judge"; } 2>/dev/null
    tr ' ' '\n' <<<"$1" | paste -d' ' - - >"$work/faults"
    start_judge "$judge_port" "$work/log" 1 "$work/faults"
    processes=("$judge")
    sql -c "SELECT line_notify.resume('shop')" >/dev/null
}

for share in 0 100 500 2000; do
    with_faults "hang $share min_ms 5 max_ms 50"
    from=$(sql -c "SELECT coalesce(max(id), 0) FROM line_notify.notifications")
    sql -c "CALL offer($each)"
    sleep 1.5
    health=$(sql -c "SELECT string_agg(severity || ': ' || reason, '; ') FROM line_notify.health() WHERE severity <> 'ok' AND subject LIKE 'channel%'")
    sql -F' ' -c "SELECT id, (extract(epoch FROM created_at) * 1000)::bigint FROM line_notify.notifications WHERE id > $from" >"$work/created"
    say "$((share / 100)) % hang: $(awk 'NR == FNR { made[$1] = $2; n++; next }
        $3 in made && !seen[$3]++ { late = $1 - made[$3]; if (late <= 1000) good++; if (late > worst) worst = late }
        END { printf "%.1f %% of %d on the wire within a second, slowest of what came %d ms", 100 * good / n, n, worst }' "$work/created" "$work/log"); load $(cut -d' ' -f1 /proc/loadavg); health: ${health:-nothing}"
    # what hangs ends before the next
    sql -c "DO \$\$ BEGIN WHILE EXISTS (SELECT FROM line_notify.outbox) LOOP PERFORM pg_sleep(0.1); COMMIT; END LOOP; END \$\$"
done
for faults in "min_ms 20 max_ms 200" "quick 1000 min_ms 100 max_ms 100"; do
    with_faults "$faults"
    for round in 1 2; do
        sql -c "SELECT line_notify.pause('shop')" -c "CALL insert_messages(1, $messages)" -c "VACUUM ANALYZE line_notify.outbox" >/dev/null
        before=$(wc -l <"$work/log")
        sql -c "SELECT line_notify.resume('shop')" >/dev/null
        sql -c "DO \$\$ BEGIN WHILE EXISTS (SELECT FROM line_notify.outbox) LOOP PERFORM pg_sleep(0.05); COMMIT; END LOOP; END \$\$"
        for _ in $(seq 40); do [ $(($(wc -l <"$work/log") - before)) -ge "$messages" ] && break; sleep 0.1; done
        say "$faults, round $round: $(tail -n +$((before + 1)) "$work/log" | awk 'NR == 1 { a = $1 } { b = $1 } END { printf "%.0f requests/s", 1000 * (NR - 1) / (b - a) }'); load $(cut -d' ' -f1 /proc/loadavg)"
    done
done
