#!/usr/bin/env bash
#
# nightly.sh [step ...]
#
# What takes longer than a push may wait for.  One step after the other (without
# arguments all of them, for hours); what each said last stands in nightly.md, to
# be committed.  A step that was not asked for keeps its line.
#
# Needs root, as matrix.sh does; everything is installed by the steps.
#
set -u
cd "$(dirname "$0")/.." || exit 1
results=test/nightly.md

# step, command
steps=(
    "model|bash test/check.sh model"
    "proof|bash test/check.sh proof"
    "phone|PHONE_INPUTS=10000000 PHONE_CELLS=10000000 bash test/check.sh phone"
    "fuzz|FUZZ_SECONDS=900 bash test/check.sh fuzz"
    "ha|HA_ROUNDS=10 bash test/check.sh ha"
    "autofailover|HA_ROUNDS=5 bash test/check.sh ha:autofailover"
    "valgrind|bash test/sanitize.sh valgrind 10000"
    "asan|bash test/sanitize.sh asan 200000"
    "chaos|bash test/chaos/run.sh 3000000"
    "before|bash test/before.sh 7076d0d..HEAD"
    "matrix|bash test/matrix.sh 15 17 18"
    "mutants|bash test/mutants.sh"
)

# note STEP COMMAND SECONDS RESULT: its line in the table
note() {
    local line="| $1 | \`$2\` | $(date -u +%F) | $(git rev-parse --short HEAD)$(git diff --quiet HEAD -- . ":!$results" || echo +) | $3 | $4 |"
    awk -v name="$1" -v line="$line" -F' *[|] *' '
        $2 == name { print line; done = 1; next } { print } END { if (!done) print line }' "$results" >"$results.new" &&
        mv "$results.new" "$results"
}

status=0
for s in "${steps[@]}"; do
    name=${s%%|*}
    command=${s#*|}
    [ $# -eq 0 ] || [[ " $* " = *" $name "* ]] || continue
    log=$(mktemp "${TMPDIR:-/tmp}/line_notify-nightly-$name.XXXXXX")
    began=$SECONDS
    echo "== $name: $command ($log)"
    if bash -c "$command" >"$log" 2>&1; then result=passed; else
        result=FAILED
        status=1
        tail -20 "$log"
    fi
    last=$(grep -v '^kept:' "$log" | grep '[^[:space:]]' | tail -1 | tr -d '|' | cut -c1-160)
    echo "$result: $last"
    note "$name" "$command" $((SECONDS - began)) "$result: $last"
    [ $result = FAILED ] || rm -f "$log"
done
exit $status
