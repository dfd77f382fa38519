#!/usr/bin/env bash
#
# Static analysis and coverage of src/, on Debian 12 as root (installs what it
# needs) or any other user.
#
#   bash test/analyze.sh                       cppcheck, clang-tidy, fanalyzer
#   bash test/analyze.sh cppcheck clang-tidy   these only
#   bash test/analyze.sh coverage [TEST ...]   what the tests reach: unit,
#                                              regress, isolation and TAP (all,
#                                              or the files named: 001_delivery.pl)
#
# A finding that is no fault has an answer in test/analyze/TOOL.answers; any
# other makes the status 1.  The checks of clang-tidy are chosen in .clang-tidy.
#
# Coverage is written to test/analyze/coverage/ (not in git): table.md, the
# lines and branches of each file; uncovered.txt, what no test reached, error
# paths marked; html/, the same to read.  What a process counted is written when
# it leaves by exit(), so crash tests (kill -9, immediate shutdown) count less
# than they reach.

set -u
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

tools=()
coverage=
tests=()
for arg in "$@"; do
    case $arg in
        cppcheck | clang-tidy | fanalyzer) tools+=("$arg") ;;
        coverage) coverage=1 ;;
        *.pl) tests+=("$arg") ;;
        *) die "unknown argument $arg" ;;
    esac
done
[ $# -eq 0 ] && tools=(cppcheck clang-tidy fanalyzer)

base_packages
plain_user
make_work analyze
private_postgres
status=0

# judge TOOL: its findings, in the file of that name, against their answers
judge() {
    python3 test/analyze/answers.py "test/analyze/$1.answers" <"$work/$1.found" || status=1
}

cd "$work/src" || exit 1
curl_version=$(curl-config --vernum)
# the server's headers are not ours to judge
includes=(-Isrc -isystem "$("$PG_CONFIG" --includedir-server)" -isystem "$("$PG_CONFIG" --includedir)")
flags=(-std=gnu99 -D_GNU_SOURCE "${includes[@]}")

for tool in "${tools[@]}"; do
    case $tool in
        cppcheck)
            need_packages cppcheck
            step "$(cppcheck --version)"
            # without the server's headers: postgres.cfg says what matters
            as_user cppcheck -q -j"$(nproc)" --std=c99 --platform=unix64 \
                --enable=warning,performance,portability \
                --library=test/analyze/postgres.cfg \
                -DPG_VERSION_NUM="${PG_MAJOR}0000" -DLIBCURL_VERSION_NUM="0x$curl_version" \
                --template='{file}:{line}: [{id}] {message}' -Isrc src/*.c src/*/*.c >"$work/$tool.found" 2>&1
            ;;
        clang-tidy)
            need_packages clang-tidy-14
            step "clang-tidy $(clang-tidy-14 --version | sed -n 's/.*LLVM version //p')"
            printf '%s\n' src/*.c src/*/*.c |
                as_user xargs -P"$(nproc)" -n3 bash -c '
                    split=$1; shift; flags=("${@:1:split}"); shift "$split"
                    clang-tidy-14 --quiet "$@" -- "${flags[@]}" 2>/dev/null || echo "FAILED: clang-tidy $*"' bash "${#flags[@]}" "${flags[@]}" |
                sed -nE "s#^$work/src/([^:]+:[0-9]+):[0-9]+: (warning|error): (.*) \[([^]]+)\]\$#\1: [\4] \3#p; /^FAILED/p" >"$work/$tool.found"
            ;;
        fanalyzer)
            step "$(gcc --version | head -1) -fanalyzer"
            printf '%s\n' src/*.c src/*/*.c |
                as_user xargs -P"$(nproc)" -I{} gcc "${flags[@]}" -O1 -fanalyzer -c {} -o /dev/null 2>&1 |
                sed -nE 's#^([^: ]+:[0-9]+):[0-9]+: (warning|error): (.*) \[-W([^]=]+)=?\]$#\1: [\4] \3#p' |
                sed 's/ \[CWE-[0-9]*\]//' >"$work/$tool.found"
            ;;
    esac
    judge "$tool"
done

if [ -n "$coverage" ]; then
    need_packages lcov perl libipc-run-perl libjson-pp-perl python3-h2
    want_packages nginx-light python3-psycopg2 curl
    cd "$work" || exit 1
    step "build with --coverage"
    # atomic: the HTTP client's unit test has threads
    build PG_CFLAGS="-O0 --coverage -fprofile-update=atomic -DUSE_ASSERT_CHECKING -Wno-error" \
        SHLIB_LINK="-lcurl -lssl -lcrypto --coverage" ||
        { tail -30 "$work/build.log"; die "build failed"; }
    # every process that tests start writes there, whoever it runs as
    [ "$(id -u)" = 0 ] && chown -R "$LN_USER" "$work/src"

    if [ ${#tests[@]} -eq 0 ]; then
        step "unit tests"
        printf '#!/bin/sh\nexec gcc --coverage -fprofile-update=atomic "$@"\n' >"$work/covcc"
        chmod 755 "$work/covcc"
        mkdir -p "$work/unit" && [ "$(id -u)" = 0 ] && chown "$LN_USER" "$work/unit"
        (cd "$work/unit" && as_user env CC="$work/covcc" LN_UNIT_BUILD="$work/unit" \
            bash "$work/src/test/unit/run.sh") >"$work/unit.log" 2>&1
        grep -cE '^ok' "$work/unit.log"
        grep -E '^not ok' "$work/unit.log"

        step "regress and isolation"
        new_server regress 54302 "max_prepared_transactions = 4"
        as_user make -C "$work/src" -s installcheck with_llvm=no PG_CONFIG="$PG_CONFIG" PGPORT=54302 PGHOST="$work" \
            PG_CFLAGS="-O0 --coverage" SHLIB_LINK="-lcurl -lssl -lcrypto --coverage" >"$work/installcheck.log" 2>&1 ||
            tail -20 "$work/installcheck.log"
        as_user "$pgbin/pg_ctl" -D "$work/regress" -m fast -w stop >/dev/null
    fi

    step "TAP"
    mkdir -p "$work/tap" && [ "$(id -u)" = 0 ] && chown "$LN_USER" "$work/tap"
    user_env+=(PG_REGRESS="$pgxs_test/regress/pg_regress" TESTDIR="$work/tap" TESTDATADIR="$work/tap/tmp_check"
        TESTLOGDIR="$work/tap/log" PGUSER=postgres top_builddir="$work/tap" LN_SRC="$work/src")
    [ ${#tests[@]} -eq 0 ] && tests=("$work"/src/test/t/*.pl) || tests=("${tests[@]/#/$work/src/test/t/}")
    (cd "$work/tap" && as_user prove -j"${PROVE_JOBS:-2}" --timer \
        -I "$pgxs_test/perl" -I "$work/src/test/perl" "${tests[@]}") >"$work/tap.log" 2>&1
    grep -E '\.pl|^Result' "$work/tap.log" | tail -60

    step "coverage"
    out=$root/test/analyze/coverage
    rm -rf "$out"
    mkdir -p "$out"
    # the unit tests were compiled apart: their counts are added
    infos=()
    for dir in "$work/src/src" "$work/unit"; do
        [ -d "$dir" ] || continue
        lcov -q -c -d "$dir" -b "$work/src" --no-external --rc lcov_branch_coverage=1 \
            -o "$dir/all.info" >>"$work/lcov.log" 2>&1 || tail -5 "$work/lcov.log"
        infos+=(-a "$dir/all.info")
    done
    lcov -q "${infos[@]}" --rc lcov_branch_coverage=1 -o "$work/all.info" >>"$work/lcov.log" 2>&1
    lcov -q -e "$work/all.info" "$work/src/src/*.c" "$work/src/src/*/*.c" --rc lcov_branch_coverage=1 -o "$out/coverage.info"
    sed -i "s#^SF:$work/src/#SF:#" "$out/coverage.info"
    (cd "$work/src" && python3 test/analyze/coverage.py "$out/coverage.info" "$out/table.md" "$out/uncovered.txt")
    (cd "$work/src" && genhtml -q --branch-coverage -o "$out/html" "$out/coverage.info" >/dev/null 2>&1)
    cat "$out/table.md"
    say "test/analyze/coverage/uncovered.txt has the rest"
fi

[ $status -eq 0 ] && say "analysis passed" || say "analysis FAILED"
exit $status
