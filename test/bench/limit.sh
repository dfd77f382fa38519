#!/usr/bin/env bash
#
# LINE's limit: three databases, one channel, 2,000/s, as the server counts
#
#   BENCH_SECONDS=15 BENCH_DELAYS="0 50 200" bash test/bench/run.sh limit
#
# nginx answers after 0, 50 and 200 ms and logs when each request arrived.  No
# sliding second may hold more than 2,000; the average, the jitter, each
# database's share and the processor time of the three workers are printed.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
seconds=${BENCH_SECONDS:-15}
delays=${BENCH_DELAYS:-0 50 200}
port=54325
each=$((2000 * seconds / 3))
bench_setup limit
need_packages nginx-light libnginx-mod-http-echo python3
new_server data $port "shared_preload_libraries = 'line_notify'" "max_wal_size = 4GB" \
    "max_worker_processes = 20" "fsync = on" "line_notify.node = 'bench'"

mkdir -p "$work/nginx"
{
    cat <<END
load_module /usr/lib/nginx/modules/ngx_http_echo_module.so;
worker_processes 1;
pid $work/nginx/pid;
error_log $work/nginx/error.log;
user $LN_USER;
events { worker_connections 4096; }
http {
    # arrival = end - duration, both in milliseconds
    log_format arrival '\$msec \$request_time \$http_x_line_delivery_tag \$http_authorization \$status';
    keepalive_requests 10000000;
    client_body_buffer_size 64k;
    client_body_temp_path $work/nginx/body; proxy_temp_path $work/nginx/proxy;
    fastcgi_temp_path $work/nginx/f; uwsgi_temp_path $work/nginx/u; scgi_temp_path $work/nginx/s;
END
    for delay in $delays; do
        cat <<END
    server {
        listen 127.0.0.1:$((9500 + delay));
        access_log $work/nginx/$delay.log arrival buffer=64k flush=1s;
        location / { echo_read_request_body; $([ "$delay" -gt 0 ] && printf 'echo_sleep %s.%03d;' $((delay / 1000)) $((delay % 1000))) echo '{}'; }
    }
END
    done
    echo "}"
} >"$work/nginx/nginx.conf"
nginx -c "$work/nginx/nginx.conf" || die "nginx did not start"
processes+=("$(cat "$work/nginx/pid")")

worker_cpu() { # clock ticks of all workers
    local sum=0 pid
    for pid in $(sql -d postgres -c "SELECT pid FROM pg_stat_activity WHERE backend_type = 'line_notify worker'"); do
        sum=$((sum + $(awk '{print $14 + $15}' "/proc/$pid/stat" 2>/dev/null || echo 0)))
    done
    echo "$sum"
}

for db in limit1 limit2 limit3; do
    sql -d postgres -c "CREATE DATABASE $db"
    sql -d $db -c "CREATE EXTENSION line_notify"
done

for delay in $delays; do
    for db in limit1 limit2 limit3; do
        sql -d $db -c "
SELECT line_notify.create_channel('d$delay', api_base => 'http://127.0.0.1:$((9500 + delay))', line_channel_id => '1', rate_limit => 2000);
SELECT line_notify.set_credential('d$delay', 'access_token', '$db');
SELECT line_notify.pause('d$delay');
INSERT INTO line_notify.outbox (channel, phone, use_case, template_key)
SELECT 'd$delay', '090-1' || lpad((i / 10000)::text, 3, '0') || '-' || lpad((i % 10000)::text, 4, '0'), 'parcel_delivery', 'shipment_completed_ja'
FROM generate_series(1, $each) i" -c "VACUUM ANALYZE line_notify.outbox" >/dev/null
    done
    ticks=$(worker_cpu)
    began=$(date +%s.%N)
    for db in limit1 limit2 limit3; do
        sql -d $db -c "SELECT line_notify.resume('d$delay')" >/dev/null
    done
    for db in limit1 limit2 limit3; do
        sql -d $db -c "DO \$\$ BEGIN WHILE EXISTS (SELECT FROM line_notify.outbox) LOOP PERFORM pg_sleep(0.2); COMMIT; END LOOP; END \$\$"
    done
    took=$(awk -v a="$began" -v b="$(date +%s.%N)" 'BEGIN {print b - a}')
    ticks=$(($(worker_cpu) - ticks))
    for _ in $(seq 40); do [ "$(wc -l <"$work/nginx/$delay.log")" -ge $((3 * each)) ] && break; read -rt 0.1 <> <(:); done
    result "$(python3 - "$work/nginx/$delay.log" "$delay" "$took" "$ticks" "$(getconf CLK_TCK)" <<'END'
import bisect, collections, datetime, json, statistics, sys

log, delay, took, ticks, hertz = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])
rows = [line.split() for line in open(log)]
at = sorted(float(r[0]) - float(r[1]) for r in rows)
ids = collections.Counter((r[4], r[2].split("-")[1]) for r in rows)
worst = max(bisect.bisect_left(at, t + 1.0, i) - i for i, t in enumerate(at))
# the workers start one after the other, and the last message ends it
steady = [t for t in at if at[0] + 1 <= t <= at[-1] - 1]
rate = (len(steady) - 1) / (steady[-1] - steady[0])
bins = collections.Counter(int((t - steady[0]) * 10) for t in steady)
per_100ms = [bins[i] for i in range(int((steady[-1] - steady[0]) * 10))]
gaps = sorted(b - a for a, b in zip(steady, steady[1:]))
middle = [r for r in rows if float(r[0]) - float(r[1]) < at[0] + (at[-1] - at[0]) / 2]
shares = sorted(collections.Counter(r[4] for r in middle).values())
print(json.dumps({"bench": "limit", "delay_ms": delay, "requests": len(at), "twice": sum(n > 1 for n in ids.values()),
                  "average": round(rate), "worst_second": worst,
                  "per_100ms": [min(per_100ms), round(statistics.mean(per_100ms), 1), max(per_100ms)],
                  "gap_ms_p50_p99_max": [round(1000 * gaps[int(len(gaps) * q)], 1) for q in (0.5, 0.99)] + [round(1000 * gaps[-1], 1)],
                  "shares": [round(n / len(middle), 3) for n in shares],
                  "worker_cores": round(ticks / hertz / took, 3), "date": str(datetime.date.today())}))
END
)"
done
