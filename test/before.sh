#!/usr/bin/env bash
#
# Does a test that came with a change fail without it?
#
#   bash test/before.sh COMMIT...         these commits
#   bash test/before.sh OLD..NEW          those of a range
#   bash test/before.sh --list OLD..NEW   only which tests those are
#
# For each commit that changes the product as well as tests (TAP, regress,
# isolation), the tests of the commit, with what they expect and the documents that
# some of them read, run over the product of the commit before, which is built once.
# One that passes there shows nothing of the change: either it was changed for
# another reason, or it proves too little.  Prints a row of a table for each
# commit; status 1 when no test of some commit has failed.

set -u
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
list=
[ "${1:-}" != --list ] || { list=1; shift; }
[ $# -gt 0 ] || { sed -n '3,8s/^# \{0,1\}//p' "$0"; exit 2; }

product=(src sql Makefile line_notify.control)
# tests_of COMMIT: kind:name of each that it adds or changes
tests_of() {
    git -C "$root" diff-tree -r --no-commit-id --name-only --diff-filter=AM "$1" -- test/t test/sql test/specs |
        sed -n 's|^test/t/\(.*\)\.pl$|tap:\1|p; s|^test/sql/\(.*\)\.sql$|regress:\1|p; s|^test/specs/\(.*\)\.spec$|isolation:\1|p'
}

tree=
kept=
trap 'rm -rf "$tree" "$kept"' EXIT
commits=()
for arg in "$@"; do
    case $arg in
        *..*) mapfile -t -O ${#commits[@]} commits < <(git -C "$root" rev-list --reverse --no-merges "$arg") ;;
        *) commits+=("$(git -C "$root" rev-parse --verify "$arg^{commit}")") || exit 2 ;;
    esac
done

silent=0
echo "| commit | tests that fail without it | that pass without it |"
echo "|---|---|---|"
for c in "${commits[@]}"; do
    git -C "$root" diff-tree -r --no-commit-id --name-only "$c" -- "${product[@]}" | grep -q . || continue
    mapfile -t tests < <(tests_of "$c")
    [ ${#tests[@]} -gt 0 ] || continue
    title=$(git -C "$root" log -1 --format='%h %s' "$c")
    [ -z "$list" ] || { echo "| $title | ${tests[*]} | |"; continue; }

    tree=$(mktemp -d /tmp/line_notify-before.XXXXXX)
    git -C "$root" archive "$c^" | tar -xf - -C "$tree"
    rm -rf "$tree/test" "$tree/expected" "$tree/doc"
    git -C "$root" archive "$c" test expected doc | tar -xf - -C "$tree"
    fails=()
    passes=()
    for test in "${tests[@]}"; do
        # check.sh runs isolation tests with the regression tests
        wanted=${test/#isolation:/regress:}
        if bash "$tree/test/check.sh" --keep "$wanted" >"$tree/log" 2>&1; then passes+=("${test#*:}"); else fails+=("${test#*:}"); fi
        grep -q '^built with' "$tree/log" || fails[${#fails[@]}-1]+=" (does not build)"
        # what --keep leaves for the next test
        kept=$(sed -n 's/^kept: //p' "$tree/log")
    done
    rm -rf "$tree" "$kept"
    echo "| $title | ${fails[*]:-} | ${passes[*]:-} |"
    [ ${#fails[@]} -gt 0 ] || silent=$((silent + 1))
done
[ $silent -eq 0 ] || { echo "$silent changes without a test that fails before them"; exit 1; }
