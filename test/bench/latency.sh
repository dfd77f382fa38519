#!/usr/bin/env bash
#
# From COMMIT to the request at the server, on an idle system and at a steady 500/s
#
#   IDLE=200 STEADY=3000 SESSIONS=4 bash test/bench/run.sh latency
#
# The inserting session notes the clock just before it sends COMMIT; the
# simulator notes its own when the request has been read, on the same machine.
# The steady load is open-loop: each message has a planned time, and its
# latency counts from there (coordinated omission).  It comes from several
# sessions, in turns with the same rows into a plain table.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
port=54320
bench_setup latency
as_user python3 "$work/src/test/mock/line_api.py" --log "$work/requests.jsonl" >"$work/sim.out" 2>"$work/sim.err" &
for _ in $(seq 200); do grep -q '^ready' "$work/sim.out" && break; read -rt 0.05 <> <(:); done
processes+=("$(sed -n 's/.*pid=\([0-9]*\).*/\1/p' "$work/sim.out")")
api=http://$(sed -n 's/^ready http=\([^ ]*\).*/\1/p' "$work/sim.out")
new_server data $port "shared_preload_libraries = 'line_notify'" "line_notify.node = 'bench'"
sql -c "CREATE EXTENSION line_notify" -c "
SELECT line_notify.create_channel('shop', api_base => '$api');
SELECT line_notify.set_credential('shop', 'access_token', 'line-sim-token')" >/dev/null

plain_table

as_user env PYTHONPATH="$work/src/test/bench" python3 "$work/src/test/bench/latency.py" \
    "$pgbin/psql" $port "$work/requests.jsonl" "${IDLE:-200}" "${STEADY:-3000}" "${SESSIONS:-4}" >"$work/latency.txt" 2>&1 ||
    { tail "$work/latency.txt"; die "the measurement failed"; }
grep -v '^{' "$work/latency.txt"
grep '^{' "$work/latency.txt" | while read -r line; do result "$line"; done
