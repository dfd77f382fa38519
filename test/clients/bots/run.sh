#!/usr/bin/env bash
# A bot twice, with a database and without one, and the judge: bots/run.sh COMMAND...
cd "$(dirname "$0")" || exit 1
port=$((PGPORT + 40))
dir=$(mktemp -d) && trap 'kill $a $b 2>/dev/null; wait 2>/dev/null; rm -rf "$dir"' EXIT
export PGDATABASE=postgres LINE_CHANNEL_SECRET=webhook-secret
case $1 in
    node) [ -n "${NODE_PATH:-}" ] && [ -e "$NODE_PATH/express" ] || { echo "no packages of npm" >&2; exit 77; } ;;
    go)
        command -v go >/dev/null && [ -e /usr/share/gocode/src/github.com/lib/pq ] || { echo "no Go, or no lib/pq" >&2; exit 77; }
        GO111MODULE=off GOPATH=/usr/share/gocode GOCACHE="${GOCACHE:-/var/tmp/line_notify-go-$(id -u)}" GOFLAGS=-buildvcs=false CGO_ENABLED=0 \
            go build -o "$dir/bot" "$2" >&2 || exit 1
        set -- "$dir/bot" ;;
    java)
        command -v javac >/dev/null && [ -e /usr/share/java/postgresql.jar ] || { echo "no JDK, or no driver" >&2; exit 77; }
        javac -nowarn -d "$dir" "$2" >&2 || exit 1
        set -- java -XX:TieredStopAtLevel=1 -cp "$dir:/usr/share/java/postgresql.jar" "${2%.java}" ;;
    *) command -v "$1" >/dev/null || { echo "no $1" >&2; exit 77; } ;;
esac
serve() { # port, port of the database
    if [ "${cmd[0]}" = php ]; then
        PGPORT=$2 exec php -S 127.0.0.1:"$1" "${cmd[1]}"
    else
        BOT_PORT=$1 PGPORT=$2 exec "${cmd[@]}"
    fi
}
cmd=("$@")
serve $port "$PGPORT" >&2 &
a=$!
serve $((port + 1)) 1 >&2 &
b=$!
PGUSER=postgres python3 judge.py $port $((port + 1))
