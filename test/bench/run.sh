#!/usr/bin/env bash
#
# Benchmarks: each sets up its own throw-away server and its own judge, prints
# a small table, and appends one line of JSON to test/bench/out/results.jsonl.
#
#   bash test/bench/run.sh                all
#   bash test/bench/run.sh latency phone  these
#   bash test/bench/run.sh --list
#
# A figure is a ratio inside one run on one machine.  Judges count at the
# server (nginx's access log, the simulator), never by our own tables.

set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ "${1:-}" = --list ]; then
    for f in "$here"/*.sh; do
        case $(basename "$f") in run.sh | lib.sh) continue ;; esac
        printf '%-12s %s\n' "$(basename "$f" .sh)" "$(sed -n '3s/^# *//p' "$f")"
    done
    exit 0
fi
names=("$@")
if [ ${#names[@]} -eq 0 ]; then
    for f in "$here"/*.sh; do
        case $(basename "$f") in run.sh | lib.sh) continue ;; esac
        names+=("$(basename "$f" .sh)")
    done
fi
status=0
for n in "${names[@]}"; do
    [ -e "$here/$n.sh" ] || { echo "no benchmark \"$n\"; --list names them"; exit 1; }
    printf '\n=== %s ===\n' "$n"
    bash "$here/$n.sh" || { echo "$n failed"; status=1; }
done
exit $status
