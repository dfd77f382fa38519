#!/usr/bin/env bash
# A bot twice, with a database and without one, and the judge: bots/run.sh COMMAND...
cd "$(dirname "$0")" || exit 1
read -r port other < <(python3 ../../free_ports.py 2)
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
        path=/usr/share/java/postgresql.jar
        if [ "$2" = Spring.java ]; then
            for j in spring3-core spring3-beans spring3-context spring3-aop spring3-expression spring3-transaction spring3-jdbc spring3-web \
                spring3-web.servlet jcl-over-slf4j slf4j-api slf4j-nop jetty9-server jetty9-servlet jetty9-security jetty9-http jetty9-io jetty9-util servlet-api; do
                [ -e /usr/share/java/$j.jar ] || { echo "no $j.jar" >&2; exit 77; }
                path+=:/usr/share/java/$j.jar
            done
        fi
        javac -nowarn -cp "$path" -d "$dir" Bot.java "$2" >&2 || exit 1
        set -- java -XX:TieredStopAtLevel=1 -cp "$dir:$path" "${2%.java}" ;;
    ruby) ruby -e 'require ARGV[0]' "${3:-json}" 2>/dev/null || { echo "no $3 for Ruby" >&2; exit 77; }; set -- "$1" "$2" ;;
    python3) python3 -c "import ${3:-json}" 2>/dev/null || { echo "no $3 for Python" >&2; exit 77; }; set -- "$1" "$2" ;;
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
serve "$port" "$PGPORT" >&2 &
a=$!
serve "$other" 1 >&2 &
b=$!
PGUSER=postgres python3 judge.py "$port" "$other"
