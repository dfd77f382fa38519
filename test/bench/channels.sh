#!/usr/bin/env bash
#
# Many channels: the worker's CPU a message with 1, 10 and 190 of them, and how
# soon a channel with few messages is served among many.
#
#   MESSAGES=38000 ROUNDS=3 PAUSE=0.02 bash test/bench/run.sh channels
#
# Twice: with all messages in one transaction, so that each channel has a backlog;
# and in portions of 190, PAUSE seconds apart, so that a claim and a record find one
# message of each of 190 channels.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
messages=${MESSAGES:-38000}
rounds=${ROUNDS:-3}
port=54321
tls_port=9463
plain_port=9490
bench_setup channels
start_nginx
new_server data $port "shared_preload_libraries = 'line_notify'" "shared_buffers = 256MB" "max_wal_size = 4GB" \
    "line_notify.node = 'bench'" "line_notify.max_in_flight = 5000"

sql -c "CREATE EXTENSION line_notify" -c "
SELECT count(line_notify.create_channel('c' || i, api_base => 'http://127.0.0.1:$plain_port', line_channel_id => (1000 + i)::text, rate_limit => 100000)) FROM generate_series(1, 200) i" -c "
SELECT count(*) FROM (SELECT line_notify.set_credential('c' || i, 'access_token', 'bench') FROM generate_series(1, 200) i) x" >/dev/null
cpu() { awk '{print $14 + $15}' "/proc/$(sql -c "SELECT pid FROM pg_stat_activity WHERE backend_type = 'line_notify worker'" | head -1)/stat" 2>/dev/null || echo 0; }
insert() { # channels, from, to
    echo "INSERT INTO line_notify.outbox (channel, phone, use_case, template_key, body)
        SELECT 'c' || 1 + i % $1, '090-1' || lpad((i / 10000)::text, 3, '0') || '-' || lpad((i % 10000)::text, 4, '0'), 'parcel_delivery',
            'shipment_completed_ja', '{\"items\": [{\"itemKey\": \"number_001_ja\", \"content\": \"4321\"}]}'
        FROM generate_series($2, $3) i"
}
all_gone() { sql -c "DO \$\$ BEGIN WHILE EXISTS (SELECT FROM line_notify.outbox) LOOP PERFORM pg_sleep(0.05); COMMIT; END LOOP; END \$\$"; }
cost() { # channels, messages of a portion, what that is called
    local before each from
    sql -c "$(insert "$1" 1 400)"
    all_gone
    before=$(cpu)
    for from in $(seq 1 "$2" "$messages"); do
        echo "$(insert "$1" "$from" $((from + $2 - 1))); SELECT pg_sleep(${PAUSE:-0.02});"
    done >"$work/insert.sql"
    sql -f "$work/insert.sql" >/dev/null
    all_gone
    each=$(awk -v t="$(($(cpu) - before))" -v hz="$(getconf CLK_TCK)" -v n="$messages" 'BEGIN {printf "%.1f", 1e6 * t / hz / n}')
    say "round $round, $3, $1 channels: $each us of the worker's CPU a message"
    result "{\"bench\": \"channels\", \"how\": \"$3\", \"channels\": $1, \"messages\": $messages, \"cpu_us\": $each, \"date\": \"$(date +%F)\"}"
}
for round in $(seq "$rounds"); do
    for n in 1 10 190; do cost "$n" "$messages" backlog; done
    for n in 1 10 190; do cost "$n" 190 portions; done
done
# c200 has ten messages among 199 channels with fifty
for round in $(seq "$rounds"); do
    {
        echo "BEGIN; $(insert 199 1 9950);"
        echo "INSERT INTO line_notify.outbox (channel, phone, use_case, template_key, batch)
            SELECT 'c200', '09012345678', 'parcel_delivery', 'shipment_completed_ja', 'few $round' FROM generate_series(1, 10); COMMIT;"
        echo "SELECT clock_timestamp() AS at \gset"
        echo "DO \$\$ BEGIN WHILE EXISTS (SELECT FROM line_notify.outbox) LOOP PERFORM pg_sleep(0.05); COMMIT; END LOOP; END \$\$;"
        echo "SELECT format('c200: first request %s ms after COMMIT, the last of its ten %s ms; all 9,960 in %s ms',
                round(1000 * extract(epoch FROM min(h.sent_at) FILTER (WHERE h.batch = 'few $round') - :'at'::timestamptz)),
                round(1000 * extract(epoch FROM max(h.sent_at) FILTER (WHERE h.batch = 'few $round') - :'at'::timestamptz)),
                round(1000 * extract(epoch FROM max(h.sent_at) - :'at'::timestamptz)))
            FROM line_notify.history h;"
    } >"$work/few.sql"
    sql -f "$work/few.sql" | sed "s/^/round $round, /"
done
