#!/usr/bin/env bash
# Phone numbers against Google's C++ libphonenumber, and fuzzing.
#
#   bash test/phone_conformance.sh
#
# Environment: PHONE_INPUTS (default 1000000) structured inputs, PHONE_CELLS
# (default 500000) generated cells for safe mode, PHONE_SEED (default random,
# printed), PHONE_FUZZ_SECONDS (default 120) in all for the two fuzzers.
# Before a release, with 10000000 of both, which takes about 15 minutes.
#
# Needs the Debian packages gcc, g++, clang, libclang-rt-14-dev,
# libphonenumber-dev and python3-phonenumbers (of the same version); installs
# nothing.  Where npm is present, the numbering tables are made again and must
# come out the same.  The last line tells the counts; the exit code is not zero
# if there is any difference.
set -euo pipefail
cd "$(dirname "$0")/.."

inputs=${PHONE_INPUTS:-1000000}
cells=${PHONE_CELLS:-500000}
seconds=${PHONE_FUZZ_SECONDS:-120}
seed=${PHONE_SEED:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}
work=$(mktemp -d "${TMPDIR:-/tmp}/ln-phone.XXXXXX")
trap 'rm -rf "$work"' EXIT

step() { printf -- '--- %s\n' "$*"; }

# the pure files; the tables are in phone.c alone
others=(src/phone/phone_clean.c src/phone/phone_exact.c src/phone/phone_safe.c)

step "the reader compiles alone, without warnings"
gcc -std=c99 -O2 -Wall -Wextra -Werror -Isrc -r -o "$work/phone.o" src/phone/phone.c "${others[@]}"
rodata=$(size -A "$work/phone.o" |
    awk '$1 ~ /^\.(rodata|data\.rel\.ro)/ { n += $2 } END { print n }')
echo "read-only data: $rodata bytes"
test "$rodata" -le 262144

step "unit tests"
gcc -std=c99 -g -O1 -Wall -Wextra -Werror -fsanitize=address,undefined \
    -fno-sanitize-recover=all -Isrc -o "$work/unit" test/unit/phone_test.c "${others[@]}"
"$work/unit"

status=0
step "safe mode: $cells generated cells, seed $seed"
gcc -std=c99 -O2 -Wall -Wextra -Werror -Isrc -o "$work/forms" test/fuzz/phone_forms.c \
    test/fuzz/phone_sample.c "${others[@]}"
"$work/forms" "$cells" "$seed" > "$work/forms.log" || status=1
cat "$work/forms.log"

step "character tables against ICU"
gcc -o "$work/gen_unicode" src/phone/gen_phone_unicode.c -licuuc
"$work/gen_unicode" > "$work/phone_unicode.h"
ours=$(sed -n 's/.*UNICODE_VERSION "\(.*\)"/\1/p' src/phone/phone_unicode.h)
theirs=$(sed -n 's/.*UNICODE_VERSION "\(.*\)"/\1/p' "$work/phone_unicode.h")
if [ "$ours" = "$theirs" ]; then
    cmp "$work/phone_unicode.h" src/phone/phone_unicode.h
else
    echo "skipped: this ICU has Unicode $theirs, our tables $ours"
fi

step "numbering tables against the pinned package"
if ! command -v npm > /dev/null; then
    echo "skipped: no npm"
else
    package=$(sed -n 's/^PHONE_METADATA = //p' Makefile)
    mkdir "$work/npm"
    if (cd "$work/npm" && npm pack --silent "$package" && tar -xzf ./*.tgz) \
        > "$work/npm.log" 2>&1; then
        python3 src/phone/gen_phone_tables.py js "$work/npm/package" \
            > "$work/phone_tables.h" 2> "$work/npm.log"
        cmp "$work/phone_tables.h" src/phone/phone_tables.h
        echo "$package: the same, byte for byte"
    else
        echo "skipped: npm cannot fetch $package"
    fi
fi

step "tables of python3-phonenumbers against libphonenumber, seed $seed"
python3 src/phone/gen_phone_tables.py python /usr/lib/python3/dist-packages \
    > "$work/tables.h" 2> "$work/tables.log"
flags=(-O2 -g -Wall -Wextra -Werror -Isrc)
gcc -std=c99 "${flags[@]}" "-DLN_PHONE_TABLES=\"$work/tables.h\"" \
    -r -o "$work/sample.o" test/fuzz/phone_sample.c "${others[@]}"
long_way=(-DLN_PHONE_NO_SHORTCUT)
for f in region_id parse is_e164 line_country status_name type_name metadata_version; do
    long_way+=("-Dln_phone_$f=ln_long_way_$f")
done
gcc -std=c99 "${flags[@]}" "-DLN_PHONE_TABLES=\"$work/tables.h\"" "${long_way[@]}" \
    -r -o "$work/long_way.o" src/phone/phone.c "${others[@]}"
# two copies of all that the files share, which only they need
objcopy --localize-hidden "$work/sample.o"
objcopy --localize-hidden "$work/long_way.o"
g++ -std=c++17 "${flags[@]}" -Wno-deprecated-declarations \
    -c test/fuzz/phone_conformance.cc -o "$work/conformance.o"
g++ -o "$work/conformance" "$work/conformance.o" "$work/sample.o" "$work/long_way.o" \
    -lphonenumber -licuuc
"$work/conformance" "$inputs" "$seed" test/fuzz/phone_regressions.txt \
    > "$work/conformance.log" || status=1
cat "$work/conformance.log"

step "fuzzing, $seconds seconds"
clang=$(command -v clang || command -v clang-14)
# clang-14 has its sister clang++-14
clangxx=${clang/clang/clang++}
fuzz() { # name, seconds, tables, flags...
    local name=$1 time=$2 tables=$3
    shift 3
    local source objects=()
    for source in src/phone/phone.c "${others[@]}"; do
        objects+=("$work/$name-$(basename "$source").o")
        "$clang" -std=c99 -g -O1 -Isrc -fsanitize=fuzzer-no-link,address,undefined \
            -fno-sanitize-recover=all "-DLN_PHONE_TABLES=\"$tables\"" \
            -c "$source" -o "${objects[-1]}"
    done
    "$clangxx" -std=c++17 -g -O1 -Isrc -fsanitize=fuzzer,address,undefined \
        -fno-sanitize-recover=all -o "$work/$name" \
        test/fuzz/phone_fuzz.cc "${objects[@]}" "$@"
    mkdir -p "$work/corpus-$name"
    # the regression list is the seed corpus: a byte for the region, the text
    python3 - "$work/corpus-$name" <<'PY'
import re, sys
lines = open('test/fuzz/phone_regressions.txt', 'rb').read().split(b'\n')
for i, line in enumerate(l for l in lines if l and not l.startswith(b'#')):
    text = re.sub(rb'\\x([0-9a-f]{2})',
                  lambda m: bytes([int(m.group(1), 16)]), line[3:])
    with open('%s/%03d' % (sys.argv[1], i), 'wb') as f:
        f.write(bytes([i % 36]) + text)
PY
    "$work/$name" -max_total_time="$time" -seed="$((seed % 2147483647 + 1))" \
        -max_len=300 -timeout=10 -dict=test/fuzz/phone.dict -print_final_stats=1 \
        -artifact_prefix="$work/" "$work/corpus-$name" \
        > "$work/$name.log" 2>&1 ||
        { tail -40 "$work/$name.log" >&2
          for f in "$work"/crash-* "$work"/timeout-*; do
              test -e "$f" && od -c "$f" >&2
          done
          return 1; }
    sed -n 's/^stat::number_of_executed_units: *//p' "$work/$name.log"
}
runs=0
oracle_runs=0
runs=$(fuzz promises $((seconds / 2)) "$PWD/src/phone/phone_tables.h") || status=1
oracle_runs=$(fuzz oracle $((seconds - seconds / 2)) "$work/tables.h" \
    -DLN_PHONE_ORACLE -lphonenumber) || status=1
if [ "$status" -ne 0 ]; then
    printf '%s\n' "$runs" "$oracle_runs"
fi

echo "$(tail -1 "$work/forms.log"); $(tail -1 "$work/conformance.log"); fuzzing: ${runs##*$'\n'} runs of" \
    "promises, ${oracle_runs##*$'\n'} with the library;" \
    "$([ "$status" -eq 0 ] && echo passed || echo FAILED)"
exit "$status"
