#!/usr/bin/env bash
#
# Make test/fuzz/corpus anew, of what test/fuzz/run.sh has found.
#
#   bash test/fuzz/minimise.sh [NAME...]     default: all that run.sh has built
#
# Of each fuzzer's corpus the few inputs that together reach every branch reached
# by all of it, one a line, in base64.  LN_FUZZ_BUILD and LN_FUZZ_CORPUS as for
# run.sh.
#
set -eu

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=${LN_FUZZ_BUILD:-$here/build}
corpus=${LN_FUZZ_CORPUS:-$build/corpus}
if [ $# -eq 0 ]; then
    for f in "$build"/*_fuzz; do set -- "$@" "$(basename "$f" _fuzz)"; done
fi

mkdir -p "$here/corpus"
for name in "$@"; do
    few=$(mktemp -d)
    seeds=()
    [ -d "$here/${name}_seeds" ] && seeds=("$here/${name}_seeds")
    "$build/${name}_fuzz" -set_cover_merge=1 -use_counters=0 -max_len=2048 "$few" "$corpus/$name" "${seeds[@]}" 2>/dev/null
    for f in "$few"/*; do base64 -w 0 "$f"; echo; done | LC_ALL=C sort -u >"$here/corpus/$name"
    rm -rf "$few"
    echo "$name: $(wc -l <"$here/corpus/$name") inputs, $(wc -c <"$here/corpus/$name") bytes"
done
