#!/usr/bin/env bash
# A program of Go, built from Debian's sources only.
command -v go >/dev/null || { echo "no Go" >&2; exit 77; }
case $1 in pq) p=lib/pq ;; pgx) p=jackc/pgx/v4 ;; gorm) p=jinzhu/gorm ;; esac
[ -e "/usr/share/gocode/src/github.com/$p" ] || { echo "no golang-github package for $1" >&2; exit 77; }
dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT
# the cache of the build may stay: a first build of the drivers takes a while
export GO111MODULE=off GOPATH=/usr/share/gocode GOCACHE="${GOCACHE:-/var/tmp/line_notify-go-$(id -u)}" GOFLAGS=-buildvcs=false CGO_ENABLED=0 HOME="$dir"
cd "$(dirname "$0")/go" || exit 1
go build -o "$dir/client" "$1.go" report.go >&2 || exit 1
CLIENT_VERSION=$(dpkg-query -W -f '${Version}' "$(dpkg -S "/usr/share/gocode/src/github.com/$p" | head -1 | cut -d: -f1)" | sed 's/[-+].*//') "$dir/client"
