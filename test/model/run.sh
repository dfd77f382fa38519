#!/usr/bin/env bash
#
# The models: what must hold, and for each guard a mutant without it that must
# break a property.  Needs spin and gcc (Debian: spin).
#
#   bash test/model/run.sh             the table, as CI runs it
#   bash test/model/run.sh large       the large bounds (minutes, several GB)
#   bash test/model/run.sh WORD...     lines of the list that contain a word
#   bash test/model/run.sh --trace WORD   ... and how the property breaks, in steps
#
# Prints TAP; the comment lines are the table.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ "${1:-}" = --one ]; then
    # one line of the list, in a directory of its own
    IFS='|' read -r kind model bounds property guard <<<"$2"
    read -r kind <<<"$kind"; read -r model <<<"$model"; read -r property <<<"$property"; read -r guard <<<"$guard"
    dir=$(mktemp -d)
    trap 'rm -rf "$dir"' EXIT
    cd "$dir" || exit 1
    defs=()
    for b in $bounds; do defs+=("-D$b"); done
    flags=(-O1 -DSAFETY) options=()
    # for most, compiling takes longer than the run
    [ "$kind" = mutant ] && [[ $bounds != *SIBLINGS* ]] && flags=(-O0 -DSAFETY)
    [ "$kind" = large ] && flags+=(-DCOLLAPSE)
    [ "$kind" = ends ] && flags=(-O1 -DNP -DNOREDUCE) options=(-l)
    {
        # -w: gcc cannot see that indices stay below their bound; pan checks them
        spin -a "${defs[@]}" "$here/$model.pml" &&
            gcc -w "${flags[@]}" -DVECTORSZ=2048 -DMEMLIM="${MODEL_MB:-6000}" -o pan pan.c
    } >build.log 2>&1 || { echo "not ok - $kind $model $bounds: build"; sed 's/^/#   /' build.log | head; exit; }
    start=$(date +%s%N)
    timeout "${MODEL_TIMEOUT:-900}" ./pan "${options[@]}" -E -n -m100000 -w22 >out 2>&1
    status=$?
    seconds=$(awk -v ns=$(($(date +%s%N) - start)) 'BEGIN { printf "%.1f", ns / 1e9 }')
    broken=$(grep -m1 -oE '(once|truth|loss|clean|slept)_broken|pan:1: non-progress cycle|invalid [a-z ]*index|too small|out of memory' out | sed 's/_broken//')
    states=$(awk '/states, stored/ { print $1 }' out)
    depth=$(grep -oE 'depth reached [0-9]+' out | grep -oE '[0-9]+')
    errors=$(grep -oE 'errors: [0-9]+' out | grep -oE '[0-9]+')
    case $kind in
        mutant | limit) [ "$broken" = "$property" ] && verdict=ok || verdict="not ok" ;;
        *) [ "$errors" = 0 ] && [ -z "$broken" ] && [ $status = 0 ] && verdict=ok || verdict="not ok" ;;
    esac
    echo "$verdict - $kind: $guard${property:+ -> }${property:+${broken:-holds}} ($model $bounds: ${states:-?} states, depth ${depth:-?}, $seconds s)"
    if [ -n "${TRACE:-}" ] && [ -e "$model.pml.trail" ]; then
        spin "${defs[@]}" -k "$model.pml.trail" -t "$here/$model.pml" | grep -E '^ +[0-9]+: ' | sed 's/^ */#   /'
    fi
    exit
fi

command -v spin >/dev/null || { echo "1..0 # SKIP spin is not installed"; exit 0; }
TRACE=
[ "${1:-}" != --trace ] || { TRACE=1; shift; }
export TRACE
lines() {
    local word
    if [ $# -eq 0 ]; then
        grep -vE '^(#|large)' "$here/list"
    else
        for word; do grep -vE '^#' "$here/list" | grep -F -- "$word"; done
    fi
}
start=$SECONDS
out=$(lines "$@" | tr '\n' '\0' | xargs -0 -P "${MODEL_JOBS:-2}" -n 1 bash "${BASH_SOURCE[0]}" --one)
# what holds traces of real runs against the model
[ $# -gt 0 ] || out+=$'\n'$(python3 "$here/replay_test.py")
awk '/^(not )?ok - / { n++; sub(/ok - /, "ok " n " - ") } { print } END { print "1.." n }' <<<"$out"
# a mutant for each MUT_ of the models
missing=$(for f in delivery failover wakeup; do grep -oE 'MUT_[A-Z_]+' "$here/$f.pml" | grep -v 'MUT_$' | sort -u; done |
    while read -r m; do grep -q "$m=1" "$here/list" || echo "$m"; done)
[ -z "$missing" ] || echo "not ok - mutants that are not in the list: $missing"
echo "# $((SECONDS - start)) s"
! grep -q '^not ok' <<<"$out$missing"
