#!/usr/bin/env bash
#
# CPU of the worker by part (perf), beside programs that do the least for each
#
#   MESSAGES=60000 ROUNDS=2 bash test/bench/run.sh parts
#
# A burn-down over plain HTTP, one channel.  What the samples of perf belong to is
# said by the stack: the innermost of our functions that a part is named by.  The
# floor of HTTP is "http_bench -m floor" (send and recv over epoll), that of claim
# and record two transactions for 400 messages over tables with three columns: one
# notes a lease, the other moves the rows; both commits wait for the disk.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
messages=${MESSAGES:-60000}
rounds=${ROUNDS:-2}
port=54329
bench_setup parts
start_nginx
new_server data $port "shared_preload_libraries = 'line_notify'" "shared_buffers = 256MB" "max_wal_size = 4GB" \
    "synchronous_commit = on" "fsync = on" "line_notify.node = 'bench'" "line_notify.max_in_flight = 5000"
command -v perf >/dev/null || need_packages linux-perf

base=http://127.0.0.1:$plain_port
as_user gcc -O2 -o "$work/http_bench" -I "$work/src/src" "$work/src/test/bench/http_bench.c" "$work"/src/src/http/*.c -lcurl ||
    die "http_bench does not build"
sql -c "CREATE EXTENSION line_notify" -c "
SELECT line_notify.create_channel('shop', api_base => '$base', rate_limit => 100000, max_in_flight => 4000);
SELECT line_notify.set_credential('shop', 'access_token', 'bench');
SELECT line_notify.pause('shop')" -c "
CREATE TABLE floor_queue (id bigint PRIMARY KEY, lease bigint, phone_hash bytea, content text);
CREATE TABLE floor_done (id bigint PRIMARY KEY, lease bigint, phone_hash bytea, content text, at timestamptz);
CREATE PROCEDURE floor_claim_and_record() LANGUAGE plpgsql AS \$\$
DECLARE
	upto bigint := 0;
	batch bigint[];
	token bigint := 0;
BEGIN
	LOOP
		token := token + 1;
		WITH claimed AS (UPDATE floor_queue SET lease = token
			WHERE id = ANY (ARRAY(SELECT id FROM floor_queue WHERE id > upto ORDER BY id LIMIT 400)) RETURNING id)
		SELECT array_agg(id), max(id) INTO batch, upto FROM claimed;
		COMMIT;
		EXIT WHEN batch IS NULL;
		WITH gone AS (DELETE FROM floor_queue WHERE id = ANY (batch) AND lease = token RETURNING *)
		INSERT INTO floor_done SELECT *, clock_timestamp() FROM gone;
		COMMIT;
	END LOOP;
END\$\$" >/dev/null

worker() { sql -c "SELECT pid FROM pg_stat_activity WHERE backend_type = 'line_notify worker'" | head -1; }
# CPU of a process so far, in ticks
cpu() { awk '{print $14 + $15}' "/proc/$1/stat"; }
us() { awk -v t="$1" -v hz="$(getconf CLK_TCK)" -v n="$messages" 'BEGIN {printf "%.1f", 1e6 * t / hz / n}'; }

floor_http() {
    local out
    out=$(as_user "$work/http_bench" -m floor -n "$messages" -r 1 $base/v2/bot/message/pnp/templated/push | grep '^floor' | tail -1)
    say "floor of HTTP: $out"
}

floor_sql() {
    local spent
    sql -c "TRUNCATE floor_queue, floor_done" \
        -c "INSERT INTO floor_queue SELECT i, NULL, sha256(i::text::bytea), repeat('content ', 25) FROM generate_series(1, $messages) i" \
        -c "VACUUM ANALYZE floor_queue" -c CHECKPOINT
    # shellcheck disable=SC2016
    spent=$(sql <<'END'
SELECT pg_backend_pid() AS pid \gset
\setenv PID :pid
\! awk '{print $14 + $15}' /proc/$PID/stat
CALL floor_claim_and_record();
\! awk '{print $14 + $15}' /proc/$PID/stat
END
    ) || die "the floor of SQL failed"
    say "floor of claim and record: $(us $(($(tail -1 <<<"$spent") - $(head -1 <<<"$spent")))) us each"
}

parts() {
    local before pid total
    sql -c "INSERT INTO line_notify.outbox (phone, use_case, template_key, body)
        SELECT '090-1' || lpad((i / 10000)::text, 3, '0') || '-' || lpad((i % 10000)::text, 4, '0'), 'parcel_delivery',
        'shipment_completed_ja', '{\"items\": [{\"itemKey\": \"name_010_ja\", \"content\": \"テスト商品\"}, {\"itemKey\": \"number_001_ja\", \"content\": \"4321-0987-6543\"}]}'
        FROM generate_series(1, $messages) i" -c "VACUUM ANALYZE line_notify.outbox" -c CHECKPOINT
    pid=$(worker)
    before=$(cpu "$pid")
    perf record -q -o "$work/perf.data" -F 499 --call-graph dwarf,16384 -p "$pid" >"$work/perf.log" 2>&1 &
    local perf=$!
    sql -c "SELECT line_notify.resume('shop')" >/dev/null
    sql -c "DO \$\$ BEGIN WHILE EXISTS (SELECT FROM line_notify.outbox) LOOP PERFORM pg_sleep(0.05); COMMIT; END LOOP; END \$\$"
    total=$(us $(($(cpu "$pid") - before)))
    kill -INT "$perf"
    wait "$perf"
    sql -c "SELECT line_notify.pause('shop')" >/dev/null
    perf script -i "$work/perf.data" -F ip,sym,dso 2>/dev/null >"$work/perf.txt" || { say "perf says nothing: $(tail -1 "$work/perf.log")"; return; }
    say "the worker, perf running: $total us each, of which"
    # a sample is its frames, innermost first, and an empty line
    awk -v total="$total" '
        function part(f) {
            if (f ~ /^ln_http/) return "HTTP"
            if (f ~ /^ln_line_|^ln_json/) return "request and answer in LINE'"'"'s words"
            if (f ~ /^ln_worker_claim$|^ln_outbox_claim/) return "claim"
            if (f ~ /^ln_worker_record$|^ln_outbox_record/) return "record"
            if (f ~ /^ln_worker_send$/) return "send: gate, rate, journal"
            if (f ~ /^ln_tasks_run$/) return "other tasks"
            if (f ~ /^ln_worker_main$/) return "loop, waiting"
            return ""
        }
        NF == 0 { if (frames) { n++; count[p == "" ? "not known" : p]++; if (k) kernel[p == "" ? "not known" : p]++ } p = ""; k = frames = 0; next }
        { frames++; if (frames == 1 && /\[kernel/) k = 1; if (p == "") p = part($2) }
        END { for (p in count) printf "  %5.1f us, %4.1f of them in the kernel: %s\n", total * count[p] / n, total * kernel[p] / n, p }' "$work/perf.txt" | sort -rn
}

for round in $(seq "$rounds"); do
    say "round $round, load $(cut -d' ' -f1 /proc/loadavg)"
    floor_http
    floor_sql
    parts
done
