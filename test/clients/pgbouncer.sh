#!/usr/bin/env bash
# A program through pgbouncer: pgbouncer.sh MODE COMMAND...
bouncer=$(command -v pgbouncer || echo /usr/sbin/pgbouncer)
[ -x "$bouncer" ] || { echo "no pgbouncer" >&2; exit 77; }
mode=$1
shift
dir=$(mktemp -d "${TMPDIR:-/tmp}/pgbouncer.XXXXXX")
port=$((PGPORT + 20))
cat >"$dir/ini" <<END
[databases]
postgres = host=$PGHOST port=$PGPORT user=app
[pgbouncer]
pool_mode = $mode
listen_addr =
listen_port = $port
unix_socket_dir = $dir
auth_type = any
logfile = $dir/log
pidfile = $dir/pid
ignore_startup_parameters = extra_float_digits
END
"$bouncer" -q "$dir/ini" >"$dir/out" 2>&1 &
pid=$!
trap 'kill $pid; wait $pid 2>/dev/null; rm -rf "$dir"' EXIT
end=$((SECONDS + 60))
until psql -X -q -h "$dir" -p $port -U app -d postgres -c '' >/dev/null 2>&1; do
    kill -0 $pid 2>/dev/null && [ $SECONDS -lt $end ] || { cat "$dir/out" "$dir/log" >&2; exit 1; }
    sleep 0.05
done
PGHOST=$dir PGPORT=$port "$@"
