#!/usr/bin/env bash
#
# pg_upgrade of a server that sends: everything is kept, and nothing is sent,
# neither while it runs nor afterwards, until arm().
#
#   bash test/pg_upgrade.sh 15 17         from and to these majors
#
# Both must be installed, in /usr or, for the older one, in OLD_BASE (a copy of
# usr/lib/postgresql/15, usr/share/postgresql/15 and usr/include/postgresql from
# elsewhere; OLD_LIBS: directory of shared libraries that this system lacks).
# test/matrix.sh brings the programs of 15 into the roots of newer releases.
# Where they are missing it says so, and has not passed and not failed.
#
# The last line is "N passed, N failed".

set -u
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

old=${1:-15}
new=${2:-17}
old_base=${OLD_BASE:-/usr}
passed=0
failed=0
check() { # status name [log]
    if [ "$1" = 0 ]; then
        passed=$((passed + 1))
        say "ok: $2"
    else
        failed=$((failed + 1))
        say "FAILED: $2"
        [ -n "${3:-}" ] && tail -40 "$3"
    fi
    return "$1"
}
is() { # got wanted name
    [ "$1" = "$2" ]
    check $? "$3" || diff <(echo "$2") <(echo "$1") | head -20
}
finish() {
    say
    say "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
    exit
}

for b in "$old_base/lib/postgresql/$old/bin/postgres" "/usr/lib/postgresql/$new/bin/pg_upgrade"; do
    if [ ! -x "$b" ]; then
        say "skipped: there is no $b"
        finish
    fi
done

step "packages, two private copies of PostgreSQL, two builds"
export PG_MAJOR=$new
base_packages
plain_user
make_work pg_upgrade
build_for() { # major base
    PG_MAJOR=$1 PG_BASE=$2
    private_postgres
    user_env+=(LD_LIBRARY_PATH="${OLD_LIBS:-}")
    as_user cp -a "$work/src" "$work/src-$1"
    as_user make -C "$work/src-$1" -s -j"$(nproc)" with_llvm=no PG_CONFIG="$PG_CONFIG" >"$work/build.log" 2>&1 &&
        as_user make -C "$work/src-$1" -s install with_llvm=no PG_CONFIG="$PG_CONFIG" >>"$work/build.log" 2>&1
    check $? "built for $("$PG_CONFIG" --version)" "$work/build.log" || finish
}
build_for "$old" "$old_base"
old_bin=$pgbin
build_for "$new" /usr
new_bin=$pgbin

# cluster NAME BIN PORT
cluster() {
    as_user "$2/initdb" -D "$work/$1" -U postgres -A trust --no-sync -E UTF8 --locale=C.UTF-8 -k >"$work/initdb.log" 2>&1 ||
        { cat "$work/initdb.log"; die "initdb failed"; }
    as_user tee -a "$work/$1/postgresql.conf" >/dev/null <<END
port = $3
listen_addresses = ''
unix_socket_directories = '$work'
shared_preload_libraries = 'line_notify'
line_notify.node = 'test'
line_notify.shutdown_timeout = '1 s'
END
    servers+=("$work/$1")
}
start() { as_user "$2/pg_ctl" -D "$work/$1" -l "$work/$1.log" -w start >/dev/null || { tail -30 "$work/$1.log"; die "the server did not start"; }; }
stop() { as_user "$2/pg_ctl" -D "$work/$1" -m fast -w stop >/dev/null; }
ask() { as_user "$new_bin/psql" -X -At -q -v ON_ERROR_STOP=1 -p "$port" -c "$1"; }
until_true() { # query
    local i
    for i in $(seq 600); do
        [ "$(ask "$1")" = t ] && return 0
        read -rt 0.05 <> <(:)
    done
    say "in vain: $1"
    return 1
}

as_user python3 "$work/src/test/mock/line_api.py" >"$work/sim.out" 2>"$work/sim.err" &
for _ in $(seq 200); do grep -q '^ready' "$work/sim.out" && break; read -rt 0.05 <> <(:); done
processes+=("$(sed -n 's/.*pid=\([0-9]*\).*/\1/p' "$work/sim.out")")
api=http://$(sed -n 's/^ready http=\([^ ]*\).*/\1/p' "$work/sim.out")
control=$(sed -n 's/.*control=\([^ ]*\).*/\1/p' "$work/sim.out")
[ -n "$control" ] || { cat "$work/sim.err"; die "the simulator did not start"; }
sim_count() { python3 "$work/src/test/demo/sim.py" "$control" count; }
sim_rules() { # json
    python3 -c 'import sys, urllib.request as u; u.urlopen(u.Request(sys.argv[1], sys.argv[2].encode(), method="PUT")).read()' "http://$control/_sim/script" "$1"
}
until_count() { # requests
    local i
    for i in $(seq 600); do
        [ "$(sim_count)" -ge "$1" ] && return 0
        read -rt 0.05 <> <(:)
    done
    return 1
}
insert() { # first last
    ask "INSERT INTO line_notify.outbox (phone, use_case, template_key, body, reference)
        SELECT '090-1000-' || lpad(i::text, 4, '0'), 'parcel_delivery', 'shipment_completed_ja',
            '{\"items\": [{\"itemKey\": \"number_001_ja\", \"content\": \"1234\"}]}', 'ref ' || i FROM generate_series($1, $2) i"
}
tables=$(grep -ohE "pg_extension_config_dump\('line_notify\.[a-z_]+'" "$work"/src/sql/parts/*.sql |
    sed "s/.*'\(.*\)'/\1/" | grep -v '_seq$'; echo line_notify.credential; echo line_notify.link_key; echo orders)
contents() {
    local t
    for t in $tables; do echo "-- $t"; ask "SELECT x::text FROM $t x ORDER BY 1"; done
    ask "SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = 'line_notify' ORDER BY 1"
}
states() { ask "SELECT string_agg(s, ' ' ORDER BY s) FROM (SELECT state || ' ' || count(*) FROM line_notify.notifications GROUP BY state) x(s)"; }

step "PostgreSQL $old: a server that sends, with a row in every state"
as_user sh -c "umask 077; echo 8c570fa6dd201bb328f1c1eac23a96d8 >'$work/secret'"
port=54321
cluster old "$old_bin" $port
start old "$old_bin"
ask "CREATE EXTENSION line_notify;
CREATE ROLE app LOGIN;
SELECT line_notify.create_channel('shop', api_base => '$api', line_channel_id => '1234567890', max_in_flight => 10);
SELECT line_notify.set_credential('shop', 'access_token', 'line-sim-token');
SELECT line_notify.set_credential('shop', 'channel_secret', 'file:$work/secret');
SELECT line_notify.grant_sender('app', '{shop}');
SELECT line_notify.suppress_recipient('090-1000-9999', 'asked us to');
CREATE TABLE orders (id int PRIMARY KEY, customer_phone text, purpose line_notify.use_case DEFAULT 'parcel_delivery', number line_notify.e164);
CREATE INDEX ON orders (line_notify.phone_hash(customer_phone));
INSERT INTO orders SELECT i, '090-1000-' || lpad(i::text, 4, '0'), 'outage', '+819012345678' FROM generate_series(1, 20) i" >/dev/null
insert 1 3
until_count 3
check $? "three messages were sent"
until_true "SELECT count(*) = 3 FROM line_notify.history"
ask "SELECT line_notify._ensure_history(2000000);
INSERT INTO line_notify.history (id, channel, recipient, template_key, body, state, created_at, ended_at)
SELECT 100 + i * 150000, 'shop', repeat('0', 64), 'shipment_completed_ja', '{}', s, now(), now()
FROM unnest('{delivered,undelivered,unreachable,refused,unknown,invalid,suppressed,cancelled,expired,failed}'::line_notify.message_state[]) WITH ORDINALITY AS x(s, i);
INSERT INTO line_notify.attempt_log (id, attempt, token, ended_at, outcome) VALUES (150100, 1, 1, now(), 'throttled');
SELECT setval('line_notify.message_id_seq', 2000000)" >/dev/null
# two on the wire when the server is shut down, without an answer
sim_rules '[{"match": {"path": "send"}, "at": "body", "do": [{"delay": 20}, "answer"]}]'
insert 11 12
until_count 5
# and three that wait
ask "ALTER SYSTEM SET line_notify.enabled = off" && ask "SELECT pg_reload_conf()" >/dev/null
insert 21 24
start=$SECONDS
stop old "$old_bin"
say "stopped with two on the wire in $((SECONDS - start)) s"
sim_rules '[]'
# look at what was left, with nothing running
as_user sed -i "s/^shared_preload_libraries/#&/" "$work/old/postgresql.conf"
start old "$old_bin"
# and one that a server killed in mid-flight would have left
ask "INSERT INTO line_notify.in_flight (id, token, claimer, attempt, claimed_at, home)
    SELECT id, 4711, 42, 1, now(), home FROM line_notify.outbox WHERE reference = 'ref 24'"
before=$(contents)
states=$(states)
say "$states"
stop old "$old_bin"
as_user sed -i "s/^#shared_preload/shared_preload/" "$work/old/postgresql.conf"
as_user sed -i '/line_notify.enabled/d' "$work/old/postgresql.auto.conf"

step "pg_upgrade"
port=54322
cluster new "$new_bin" $port
upgrade() { (cd "$work" && as_user "$new_bin/pg_upgrade" -b "$old_bin" -B "$new_bin" -d "$work/old" -D "$work/new" -p 54321 -P 54322 -U postgres -s "$work" "$@"); }
upgrade --check >"$work/upgrade.log" 2>&1
check $? "--check, with the library preloaded on both sides" "$work/upgrade.log"
upgrade >"$work/upgrade.log" 2>&1
check $? "pg_upgrade from $old to $new" "$work/upgrade.log" || finish
is "$(sim_count)" 5 "nothing was sent meanwhile"

step "PostgreSQL $new"
as_user sed -i "s/^shared_preload_libraries/#&/" "$work/new/postgresql.conf"
start new "$new_bin"
is "$(contents)" "$before" "every table and sequence is as it was"
stop new "$new_bin"
as_user sed -i "s/^#shared_preload/shared_preload/" "$work/new/postgresql.conf"
start new "$new_bin"
until_true "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'line_notify worker'"
check $? "the worker is there"
until_true "SELECT count(*) = 1 FROM line_notify.health() WHERE severity = 'error' AND reason LIKE '%disarmed%'"
check $? "and disarmed: the new cluster has another system identifier" || ask "SELECT * FROM line_notify.health()"
insert 31 31
ask "CALL line_notify.drain('10 s', NULL, NULL)" >/dev/null
is "$(sim_count)" 5 "nothing is sent"
ask "SELECT line_notify.arm()" >/dev/null
until_true "SELECT count(*) = 0 FROM line_notify.notifications WHERE state IN ('queued', 'sending')"
check $? "arm() lets it send"
is "$(sim_count)" 9 "the four that waited, each once"
is "$(ask "SELECT string_agg(reference || ' ' || state, ', ' ORDER BY reference) FROM line_notify.notifications WHERE reference ~ '[1-3][1-4]$'")" \
    "ref 11 unknown, ref 12 unknown, ref 21 accepted, ref 22 accepted, ref 23 accepted, ref 24 unknown, ref 31 accepted" "what was on the wire is unknown, not sent again"
is "$(ask "SELECT reason FROM line_notify.health() WHERE severity = 'error'")" "" "health() knows no error"
is "$(ask "SET enable_seqscan = off; SELECT id FROM orders WHERE line_notify.phone_hash(customer_phone) = line_notify.phone_hash('090 1000 0007')")" 7 "an index over phone_hash() works"
ask "SET ROLE app; INSERT INTO line_notify.outbox (channel, phone, use_case, template_key, body) VALUES ('shop', '090-1000-0041', 'parcel_delivery', 'shipment_completed_ja',
    '{\"items\": [{\"itemKey\": \"number_001_ja\", \"content\": \"1\"}]}')" && until_count 10
check $? "the sender's right is kept"
is "$(ask "SELECT extversion FROM pg_extension WHERE extname = 'line_notify'")" "$(sed -n "s/^default_version = '\(.*\)'/\1/p" "$work/src/line_notify.control")" "the version is kept"
ask "ALTER EXTENSION line_notify UPDATE; SELECT line_notify._ensure_history(9000000); DROP TABLE orders; DROP OWNED BY app; DROP EXTENSION line_notify" >"$work/drop.log" 2>&1
check $? "it can be dropped" "$work/drop.log"
# the simulated LINE compares bodies and recipients
python3 - "$control" <<'END'
import json, sys, urllib.request
s = json.load(urllib.request.urlopen("http://%s/_sim/summary" % sys.argv[1]))
sys.exit(s["recipients"]["received_twice"] != 0)
END
check $? "nobody got two copies"
! grep -E 'PANIC|TRAP|was terminated by signal' "$work/old.log" "$work/new.log"
check $? "no crash in the logs"
stop new "$new_bin"
finish
