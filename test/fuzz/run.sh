#!/usr/bin/env bash
#
# Fuzzing with libFuzzer under the address and undefined-behaviour sanitizers.
#
#   bash test/fuzz/run.sh [all|NAME] [SECONDS]      default: all 30
#
# The time is per fuzzer.  A corpus grows in $LN_FUZZ_CORPUS/NAME (default:
# test/fuzz/build/corpus), from the seeds in NAME_seeds, and from what earlier
# runs found, in corpus/NAME (minimise.sh writes it); what breaks a promise is
# left in test/fuzz/build/NAME-*.  Status 0 = nothing was found; the last line
# says how many inputs there were.  Needs clang and its libFuzzer (packages clang-14
# libclang-rt-14-dev); for http1_oracle also libhttp-parser-dev.
#
set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
build=${LN_FUZZ_BUILD:-$here/build}
corpus=${LN_FUZZ_CORPUS:-$build/corpus}
which=${1:-all}
seconds=${2:-30}

# fuzzer -> file, sources of ours, longest input
declare -A file=([http1]=http1_fuzz.c [http1_oracle]=http1_oracle_fuzz.c [line_api]=line_api_fuzz.c [message_check]=message_check_fuzz.c
    [phone]=phone_fuzz.cc [token_api]=token_api_fuzz.c [webhook_body]=webhook_body_fuzz.c)
declare -A sources=([message_check]="content/message_check.c content/flexible_check.c content/check_common.c base/name.c" [phone]="phone/phone.c phone/phone_clean.c phone/phone_exact.c phone/phone_safe.c"
    [token_api]="line/token_api.c line/line_api.c base/crypto.c"
    [http1]="http/http1.c" [http1_oracle]="http/http1.c" [line_api]="line/line_api.c" [webhook_body]="line/webhook_body.c line/line_api.c")
declare -A libs=([token_api]="-lcrypto" [http1_oracle]="-lhttp_parser")
declare -A longest=([http1]=8192 [http1_oracle]=4096 [line_api]=8192 [message_check]=16384 [phone]=400 [token_api]=8192 [webhook_body]=8192)
order=(http1 http1_oracle line_api message_check phone token_api webhook_body)

clang=
for c in "${CLANG:-}" clang-14 clang-16 clang-19 clang; do
    [ -n "$c" ] && command -v "$c" >/dev/null && clang=$c && break
done
if [ -z "$clang" ]; then
    echo "fuzz: no clang found" >&2
    exit 1
fi

# an input is a few kilobytes, and is run again to see where it was allocated
export ASAN_OPTIONS=${ASAN_OPTIONS:-malloc_context_size=1:quarantine_size_mb=8}

flags=(-g -O1 -fno-omit-frame-pointer -Wall -Wextra -fsanitize=fuzzer,address,undefined
    -fno-sanitize-recover=all "-I$root/src")
failed=0
total=0
mkdir -p "$build" || exit 1

for name in "${order[@]}"; do
    [ "$which" = all ] || [ "$which" = "$name" ] || continue
    [ -e "$here/${file[$name]}" ] || continue

    # the other parser may be missing, or gone from a newer Debian
    if [ "$name" = http1_oracle ] && [ ! -e /usr/include/http_parser.h ]; then
        echo "$name: skipped, no libhttp-parser-dev here"
        continue
    fi

    compiler=("$clang" -std=gnu99)
    objects=()
    for s in ${sources[$name]}; do
        o=$build/$name-$(basename "$s" .c).o
        "$clang" -std=gnu99 "${flags[@]/#-fsanitize=fuzzer,/-fsanitize=fuzzer-no-link,}" -c "$root/src/$s" \
            -o "$o" || { failed=1; continue 2; }
        objects+=("$o")
    done
    case ${file[$name]} in *.cc) compiler=("${clang/clang/clang++}" -std=c++17) ;; esac
    if ! "${compiler[@]}" "${flags[@]}" "$here/${file[$name]}" "${objects[@]}" ${libs[$name]-} -o "$build/${name}_fuzz"; then
        echo "fuzz: $name does not compile" >&2
        failed=1
        continue
    fi

    mkdir -p "$corpus/$name"
    seeds=()
    [ -d "$here/${name}_seeds" ] && seeds=("$here/${name}_seeds")
    if [ -e "$here/corpus/$name" ]; then
        rm -rf "$build/known/$name"
        mkdir -p "$build/known/$name"
        n=0
        while read -r line; do base64 -d <<<"$line" >"$build/known/$name/$((++n))"; done <"$here/corpus/$name"
        seeds+=("$build/known/$name")
    fi
    dict=()
    [ -e "$here/$name.dict" ] && dict=("-dict=$here/$name.dict")
    log=$build/$name.log
    if "$build/${name}_fuzz" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
        -max_len="${longest[$name]}" -print_final_stats=1 "-artifact_prefix=$build/$name-" \
        "${dict[@]}" "$corpus/$name" "${seeds[@]}" >"$log" 2>&1; then
        n=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
        total=$((total + n))
        echo "$name: $n inputs," \
            "$(grep -c . < <(ls "$corpus/$name")) in the corpus, nothing found"
    else
        grep -vE '^#[0-9]+' "$log" | tail -40
        echo "$name: FAILED, see $build/$name-*" >&2
        failed=1
    fi
done
echo "$total inputs"
exit $failed
