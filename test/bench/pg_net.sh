#!/usr/bin/env bash
#
# Beside pg_net, which many would use instead: speed, and what a crash loses or doubles
#
#   git clone https://github.com/supabase/pg_net /tmp/pg_net     (not in Debian)
#   PG_NET_SRC=/tmp/pg_net MESSAGES=10000 bash test/bench/run.sh pg_net
#
# Both send the same bodies over plain HTTP to the same nginx, whose log says
# what came.  First an undisturbed run: from COMMIT to the last request.  Then
# the server is stopped at once (pg_ctl -m immediate) when a quarter has come,
# and started again: what never came is lost, what came twice would be paid and
# read twice.  Ours says of each message which it was, pg_net cannot.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
messages=${MESSAGES:-10000}
port=54322
if [ ! -e "${PG_NET_SRC:-}/pg_net.control.in" ]; then
    say "skipped: PG_NET_SRC names no checkout of pg_net (see the head of this file)"
    exit 0
fi
bench_setup pg_net
start_nginx
# every request in the log at once
sed -i 's/ buffer=64k flush=1s//' "$work/nginx/nginx.conf" && nginx -c "$work/nginx/nginx.conf" -s reload
cp -r "$PG_NET_SRC" "$work/pg_net_src" && chown -R "$LN_USER" "$work/pg_net_src"
as_user make -C "$work/pg_net_src" -s with_llvm=no PG_CONFIG="$PG_CONFIG" PG_CFLAGS="-std=c11 -w" >"$work/pg_net.log" 2>&1 &&
    as_user make -C "$work/pg_net_src" -s install with_llvm=no PG_CONFIG="$PG_CONFIG" PG_CFLAGS="-std=c11 -w" >>"$work/pg_net.log" 2>&1 ||
    { tail -20 "$work/pg_net.log"; die "pg_net does not build"; }
new_server data $port "shared_preload_libraries = 'line_notify, pg_net'" "pg_net.database_name = 'postgres'" "synchronous_commit = on" \
    "fsync = on" "line_notify.node = 'bench'" "max_wal_size = 4GB"
sql -c "CREATE EXTENSION line_notify" -c "CREATE EXTENSION pg_net" -c "
SELECT line_notify.create_channel('shop', api_base => 'http://127.0.0.1:$plain_port', rate_limit => 100000);
SELECT line_notify.set_credential('shop', 'access_token', 'bench')" >/dev/null
version=$(sql -c "SELECT extversion FROM pg_extension WHERE extname = 'pg_net'")

first=1
send() { # name: queues $messages
    case $1 in
        line_notify)
            sql -c "INSERT INTO line_notify.outbox (phone, use_case, template_key, body)
                SELECT '090-1' || lpad((i / 10000)::text, 3, '0') || '-' || lpad((i % 10000)::text, 4, '0'), 'parcel_delivery',
                    'shipment_completed_ja', '{\"items\": [{\"itemKey\": \"number_001_ja\", \"content\": \"4321-0987-6543\"}]}'
                FROM generate_series($first, $((first + messages - 1))) i" ;;
        pg_net)
            sql -c "SELECT count(net.http_post('http://127.0.0.1:$plain_port/v2/bot/message/pnp/templated/push',
                    jsonb_build_object('to', encode(sha256(i::text::bytea), 'hex'), 'templateKey', 'shipment_completed_ja',
                        'body', '{\"items\": [{\"itemKey\": \"number_001_ja\", \"content\": \"4321-0987-6543\"}]}'::jsonb),
                    headers => jsonb_build_object('Content-Type', 'application/json', 'Authorization', 'Bearer bench',
                        'X-Line-Delivery-Tag', 'net-' || i || '-1')))
                FROM generate_series($first, $((first + messages - 1))) i" >/dev/null ;;
    esac
    first=$((first + messages))
}
came() { wc -l <"$work/nginx/access.log"; }
distinct() { awk '{split($2, a, "-"); print a[2]}' "$work/nginx/access.log" | sort -u | wc -l; }
until_quiet() { # nothing has come for 5 s, or all has and a second went by
    local last=-1 now still=0
    while [ $still -lt 50 ]; do
        now=$(came)
        if [ "$now" = "$last" ]; then still=$((still + 1)); else still=0; fi
        last=$now
        [ "$now" -ge "$messages" ] && [ $still -ge 12 ] && break
        read -rt 0.1 <> <(:)
    done
}
restart() {
    as_user "$pgbin/pg_ctl" -D "$work/data" -m immediate -w stop >/dev/null
    as_user "$pgbin/pg_ctl" -D "$work/data" -l "$work/data.log" -w start >/dev/null || die "the server did not start"
}

printf '%-24s %10s %8s %8s %8s\n' "" requests/s came lost twice
lines=
for name in line_notify pg_net; do
    for how in undisturbed crash; do
        : >"$work/nginx/access.log"
        began=$(date +%s.%N)
        send $name
        if [ $how = crash ]; then
            while [ "$(came)" -lt $((messages / 4)) ]; do read -rt 0.02 <> <(:); done
            restart
        fi
        until_quiet
        n=$(came)
        lost=$((messages - $(distinct)))
        rate=$(awk -v a="$began" '{t = $1} END {printf "%.0f", (t > a) ? NR / (t - a) : 0}' "$work/nginx/access.log")
        [ $how = crash ] && rate=-
        printf '%-24s %10s %8d %8d %8d\n' "$name, $how" "$rate" "$n" "$lost" "$((n - messages + lost))"
        lines+="${lines:+, }{\"name\": \"$name\", \"how\": \"$how\", \"rate\": \"$rate\", \"came\": $n, \"lost\": $lost, \"twice\": $((n - messages + lost))}"
    done
done
say "of ours, said to be unknown: $(sql -c "SELECT count(*) FROM line_notify.notifications WHERE state = 'unknown'")"
result "{\"bench\": \"pg_net\", \"version\": \"$version\", \"messages\": $messages, \"runs\": [$lines], \"date\": \"$(date +%F)\"}"
