#!/usr/bin/env bash
#
# Does a test fail when a guard is taken away?
#
#   bash test/mutants.sh            all of test/mutants/list
#   bash test/mutants.sh WORD...    those whose name contains one of the words
#   bash test/mutants.sh --check    only: does each still fit the source?
#   bash test/mutants.sh --trace [WORD...]
#                                   those that concern the delivery ("trace" in
#                                   the list), by the traces alone: does
#                                   model/replay.py see a step that the model
#                                   lacks?  Prints a table
#
# Each mutant replaces one piece of text, which must occur exactly once in its
# file; the library is built with it and its tests are run until one fails.  A
# mutant that no test notices, or that fits no longer, makes the status 1.
# A full run takes some three hours, most of them waiting.

set -u
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

if [ "${1:-}" = --check ]; then
    cd "$root" || exit 1
    exec python3 test/mutants/mutant.py check test/mutants/list
fi

mode=list
# a test that has failed goes on here: what it does then is wanted, too
[ "${1:-}" != --trace ] || { mode=trace; MUTANT_SECONDS=${MUTANT_SECONDS:-900}; shift; }
base_packages
need_packages perl libipc-run-perl libjson-pp-perl python3-h2
plain_user
make_work mutants
private_postgres
# the copy: somebody may edit the other one meanwhile
list=$work/src/test/mutants/list
flags="-DUSE_ASSERT_CHECKING"
build PG_CFLAGS="$flags" || { tail -20 "$work/build.log"; die "build failed"; }
new_server regress 54303 "max_prepared_transactions = 4"
mkdir -p "$work/tap" "$work/unit" "$work/out"
[ "$(id -u)" = 0 ] && chown "$LN_USER" "$work/tap" "$work/unit" "$work/out"
ln -s "$work/src/expected" "$work/out/expected"
regress=$pgxs_test/regress/pg_regress
tap_env=(PG_REGRESS="$regress" TESTDIR="$work/tap" TESTDATADIR="$work/tap/tmp_check"
    TESTLOGDIR="$work/tap/log" PGUSER=postgres top_builddir="$work/tap" LN_SRC="$work/src")

# run_test KIND:NAME: status 0 = it passed
run_test() {
    local kind=${1%%:*} name=${1#*:}
    case $kind in
        unit) as_user env LN_UNIT_TIMEOUT=200 LN_UNIT_BUILD="$work/unit" bash "$work/src/test/unit/run.sh" "$name" ;;
        regress)
            (cd "$work/out" && as_user "$regress" --bindir="$pgbin" --inputdir="$work/src/test" --outputdir="$work/out" \
                --encoding=UTF8 --host="$work" --port=54303 --user=postgres --dbname=mutant "$name")
            ;;
        isolation)
            (cd "$work/out" && as_user "$(dirname "$regress")/../isolation/pg_isolation_regress" --bindir="$pgbin" \
                --inputdir="$work/src/test" --outputdir="$work/out" \
                --host="$work" --port=54303 --user=postgres --dbname=mutant "$name")
            ;;
        tap)
            rm -rf "$work/tap/tmp_check"
            (cd "$work/tap" && as_user env "${tap_env[@]}" PG_TEST_TIMEOUT_DEFAULT=30 timeout -k 10 "${MUTANT_SECONDS:-240}" prove $([ $mode = trace ] && echo -v || echo -Q) --merge \
                -I "$pgxs_test/perl" -I "$work/src/test/perl" "$work/src/test/t/$name.pl")
            ;;
        *) die "unknown kind of test: $1" ;;
    esac >"$work/test.log" 2>&1
}

survivors=0
ran=0
while IFS=$'\t' read -r number name tests; do
    if [ $# -gt 0 ]; then
        wanted=
        for word in "$@"; do case $name in *"$word"*) wanted=1 ;; esac; done
        [ -n "$wanted" ] || continue
    fi
    ran=$((ran + 1))
    if ! python3 "$work/src/test/mutants/mutant.py" apply "$list" "$number" "$work/src"; then
        survivors=$((survivors + 1))
        continue
    fi
    caught=
    because=
    if build PG_CFLAGS="$flags -w"; then
        for test in $tests; do
            if run_test "$test"; then failed=; else failed=1; fi
            if [ $mode = trace ]; then
                # the other tests of the file do not count
                failed=
                if grep -qE ': [1-9][0-9]* foreign$' "$work/test.log"; then
                    failed=1
                    because=" | $(grep -m1 -oE '(line_notify\.trace:([0-9]+:)? |# the simulator|# LINE ).*' "$work/test.log" |
                        sed -E 's/^line_notify\.trace:([0-9]+:)? //; s/^# //; s/ (message|token) -?[0-9]+//g')"
                fi
            fi
            if [ -n "$failed" ]; then
                caught=$test
                break
            fi
        done
    else
        say "$(tail -3 "$work/build.log")"
        caught="nothing: it does not compile"
        survivors=$((survivors + 1))
    fi
    if [ -n "$caught" ]; then
        if [ $mode = trace ]; then say "| $name | ${caught#tap:}$because |"; else say "$name: caught by $caught"; fi
    elif [ $mode = trace ] && ! grep -q ' foreign$' "$work/test.log"; then
        say "$name: $tests did not come to a verdict"
        survivors=$((survivors + 1))
    else
        say "$name: NOT CAUGHT by $tests"
        survivors=$((survivors + 1))
    fi
    python3 "$work/src/test/mutants/mutant.py" revert "$list" "$number" "$work/src"
done < <(python3 "$work/src/test/mutants/mutant.py" $mode "$list")
say "$ran mutants, $survivors not caught"
[ $survivors -eq 0 ]
