#!/usr/bin/env bash
#
# Writes doc/reference.md from the catalog of a live server, so that it cannot
# drift: TAP test 400_reference compares.
#
#   bash doc/reference.sh                    builds a throw-away server
#   bash doc/reference.sh --check            as above, but only compares

set -u
. "$(dirname "${BASH_SOURCE[0]}")/../test/lib.sh"
base_packages
plain_user
make_work reference
private_postgres
build || { tail -20 "$work/build.log"; die "the build failed"; }
new_server data 54386 "shared_preload_libraries = 'line_notify'" "line_notify.enabled = off"
as_user "$pgbin/psql" -X -q -p 54386 -v ON_ERROR_STOP=1 -c 'CREATE EXTENSION line_notify' -f "$work/src/doc/reference.sql" >"$work/reference.md" ||
    die "could not read the catalog"
if [ "${1:-}" = --check ]; then
    diff -u "$root/doc/reference.md" "$work/reference.md" && say "doc/reference.md is current"
else
    cp "$work/reference.md" "$root/doc/reference.md"
    say "doc/reference.md: $(wc -l <"$root/doc/reference.md") lines"
fi
