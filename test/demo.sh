#!/usr/bin/env bash
#
# A shop's orders become LINE notification messages, on a throw-away server
# with a simulated LINE API.  From a bare Debian 12 (root, git, bash), and
# nothing stays: bash test/demo.sh
#
# KEEP=1 leaves the directory; SERVE=1 waits at the end, so that you can look
# around with psql.

set -u
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

step "packages, a plain user, a private copy of PostgreSQL"
base_packages
need_packages python3
plain_user
make_work demo
private_postgres

step "building line_notify for $("$PG_CONFIG" --version)"
build || { tail -40 "$work/build.log"; die "the build failed"; }
began=$SECONDS

step "starting the simulated LINE API and a server"
as_user python3 "$work/src/test/mock/line_api.py" >"$work/sim.out" 2>"$work/sim.err" &
for _ in $(seq 200); do grep -q '^ready' "$work/sim.out" && break; read -rt 0.05 <> <(:); done
processes+=("$(sed -n 's/.*pid=\([0-9]*\).*/\1/p' "$work/sim.out")")
api=http://$(sed -n 's/^ready http=\([^ ]*\).*/\1/p' "$work/sim.out")
control=$(sed -n 's/.*control=\([^ ]*\).*/\1/p' "$work/sim.out")
[ -n "$control" ] || { cat "$work/sim.err"; die "the simulator did not start"; }
sim() { python3 "$work/src/test/demo/sim.py" "$control" "$@"; }
new_server data 54310 "shared_preload_libraries = 'line_notify'" "line_notify.node = 'demo'" "fsync = on"
psql=("$pgbin/psql" -X -q -v ON_ERROR_STOP=1 -p 54310)
# two customers LINE cannot reach, and one who blocked the shop
sim recipients "+819020000005=unreachable" "+819020000009=unreachable" "+819020000011=blocked"
say "API at $api, PostgreSQL on port 54310"

step "CREATE EXTENSION, a channel, an orders table with a trigger"
as_user "${psql[@]}" -v api="$api" -f "$work/src/test/demo/shop.sql" || die "set-up failed"

step "twelve orders, with phone numbers as customers write them"
as_user "${psql[@]}" -f "$work/src/test/demo/orders.sql" || die "orders failed"

step "the worker delivers; LINE's delivery events come back"
for _ in $(seq 100); do
    sim webhooks | while read -r body signature; do
        as_user "${psql[@]}" -At -c \
            "SELECT format('webhook: %s delivery event(s)', line_notify.receive_webhook('shop', decode('$body', 'base64'), '$signature'))" |
            grep -v ' 0 '
    done
    open=$(as_user "${psql[@]}" -At -c \
        "SELECT count(*) FROM line_notify.notifications WHERE state IN ('queued', 'sending')
         OR (state = 'accepted' AND reference <> 'order 11')")
    [ "$open" = 0 ] && break
    read -rt 0.1 <> <(:)
done

step "what became of each message (view line_notify.notifications)"
as_user "${psql[@]}" -P linestyle=unicode -P border=2 -c "
    SELECT o.id AS \"order\", o.customer_phone AS \"phone as typed\", n.use_case, n.state, n.http_status AS http,
           coalesce(n.error, '') AS error
    FROM orders o LEFT JOIN line_notify.notifications n ON n.reference = 'order ' || o.id
    ORDER BY o.id"

step "what the simulated LINE received"
sim requests

step "health()"
as_user "${psql[@]}" -At -c "SELECT coalesce(string_agg(severity || ' ' || subject || ': ' || reason, E'\n'), 'all is well') FROM line_notify.health()"

say
as_user "${psql[@]}" -At -c "
    SELECT format('%s orders: %s messages delivered, %s accepted but not delivered (blocked), %s unreachable, %s invalid; ',
        (SELECT count(*) FROM orders),
        count(*) FILTER (WHERE state = 'delivered'), count(*) FILTER (WHERE state = 'accepted'),
        count(*) FILTER (WHERE state = 'unreachable'), count(*) FILTER (WHERE state = 'invalid'))
    FROM line_notify.notifications" | tr -d '\n'
say "LINE received $(sim count) requests, none twice; $((SECONDS - began)) seconds."

if [ -n "${SERVE:-}" ]; then
    say "psql -h $work -p 54310 -U postgres; Return ends the demo"
    read -r _
fi
