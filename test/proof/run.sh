#!/usr/bin/env bash
#
# The deciders, proven for all inputs by CBMC; and for each harness a mutant of the
# source that must fail, since a harness that cannot fail proves nothing.
#
#   bash test/proof/run.sh [NAME...]
#
# CBMC 6 is in Debian from trixie on.  Where there is none, it is taken from there
# (apt verifies it) and unpacked into a directory of its own, PROOF_DIR.  So is the
# solver, CaDiCaL: with the one inside of CBMC (MiniSat) gate, tag_read and take did
# not end in three minutes on a busy machine; with it they need seconds.
#
# As many at a time as there are processors.  A time limit is seconds of a processor
# (PROOF_SECONDS), so that a busy machine proves no less.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
dir=${PROOF_DIR:-/var/tmp/line_notify-cbmc}

get_cbmc() {
    if command -v cbmc cadical >/dev/null && cbmc --version | grep -q '^[6-9]\.'; then
        cbmc=(cbmc) cadical=cadical
        return
    fi
    if [ ! -x "$dir/root/usr/bin/cbmc" ] || [ ! -x "$dir/root/usr/bin/cadical" ]; then
        local mirror opts
        mirror=$(apt-get indextargets --format '$(SITE)' 2>/dev/null | grep -m1 '/debian$')
        mkdir -p "$dir"/{state/lists/partial,cache/archives/partial,root} || return 1
        echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${mirror:-http://deb.debian.org/debian} trixie main" >"$dir/sources.list"
        : >"$dir/status"
        opts=(-q -o Dir::Etc::SourceList="$dir/sources.list" -o Dir::Etc::SourceParts=/dev/null -o Dir::State="$dir/state"
            -o Dir::State::status="$dir/status" -o Dir::Cache="$dir/cache" -o Acquire::Languages=none)
        [ "$(id -u)" = 0 ] && opts+=(-o APT::Sandbox::User=root)
        (cd "$dir" && apt-get "${opts[@]}" update &&
            apt-get "${opts[@]}" download cbmc minisat cadical libc6 libgcc-s1 libstdc++6 zlib1g &&
            for deb in *.deb; do dpkg-deb -x "$deb" root || exit 1; done) >"$dir/log" 2>&1 || { rm -rf "$dir/root"; return 1; }
    fi
    local loader=("$dir/root/usr/lib64/ld-linux-x86-64.so.2" --library-path "$dir/root/usr/lib/x86_64-linux-gnu:$dir/root/usr/lib")
    cbmc=("${loader[@]}" "$dir/root/usr/bin/cbmc")
    cadical=$work/cadical
    printf '#!/bin/sh\nexec %s %s/root/usr/bin/cadical "$@"\n' "${loader[*]}" "$dir" >"$cadical"
    chmod +x "$cadical"
    "${cbmc[@]}" --version >/dev/null 2>&1
}

# name | file | options | source, what is replaced, by what: the mutant.  A harness that
# cannot fail proves nothing, and one that is content with a function that never does
# anything proves little: several have a mutant of each kind.
list="
outcome | decide.c | | src/line/line_api.c | has_retry_after ? LINE_THROTTLED : LINE_SERVER_ERROR | has_retry_after ? LINE_REFUSED : LINE_SERVER_ERROR
outcome | decide.c | | src/line/line_api.c | return LINE_THROTTLED; | return LINE_REFUSED;
outcome | decide.c | | src/line/line_api.c | return LINE_UNREACHABLE; | return LINE_REFUSED;
decide | decide.c | | src/line/line_api.c | c->on_unknown == LINE_RETRY && again | again
decide | decide.c | | src/line/line_api.c | c->on_unknown == LINE_RETRY && again | c->on_server_error == LINE_RETRY && again
decide | decide.c | | src/line/line_api.c | c->on_server_error == LINE_RETRY && again | c->on_server_error == LINE_RETRY && c->attempt == 0
decide | decide.c | | src/line/line_api.c | return LINE_RETURN; | return c->maybe_sent ? LINE_FINISH_UNKNOWN : LINE_RETURN;
tag_read | tag.c | --unwindset tag_read.0:49,tag_read.1:14,memcmp.0:5,parse_number.0:20,ln_line_parse_tag.0:14 | src/line/line_api.c | if (end - p != 13) | if (end - p < 13)
tag_read | tag.c | --unwindset tag_read.0:49,tag_read.1:14,memcmp.0:5,parse_number.0:20,ln_line_parse_tag.0:14 | src/line/line_api.c | if (end - p != 13) | if (end - p == 13)
tag_write | tag.c | --unwind 49 | src/line/line_api.c | if (attempt > LINE_TAG_MAX_ATTEMPT) | if (attempt < 0)
gate | gate.c | | src/base/gate.c | holds_until(&v, LN_LINE_SAID_WAIT, f->line_wait_until, now); | holds_until(&v, LN_LINE_SAID_WAIT, f->budget_until, now);
gate_message | gate.c | | src/base/gate.c | holds(&v, LN_UNTOLD, LN_NEVER); | holds(&v, LN_DUE, LN_NEVER);
retry | arithmetic.c | --unwind 42 | src/base/retry.c | delay = 1 + (int64_t) | delay = (int64_t)
retry | arithmetic.c | --unwind 42 | src/base/retry.c | max > cap_ms / 2 ? cap_ms : max * 2 | cap_ms
retry_question | arithmetic.c | --unwind 10 | src/base/retry.c | (wait / 4 + 1) | (wait / 4 + 9)
breaker | arithmetic.c | --unwind 8 | src/base/breaker.c | pause > BREAKER_LAST_MS | pause < 0
breaker | arithmetic.c | --unwind 8 | src/base/breaker.c | b->state = BREAKER_HALF_OPEN; | b->until_ms = now_ms + 1;
breaker | arithmetic.c | --unwind 8 | src/base/breaker.c | b->openings++; | ;
quiet_parse | arithmetic.c | --unwind 14 | src/base/quiet.c | part[i] < 0 | part[i] >= 0
quiet_parse | arithmetic.c | --unwind 14 | src/base/quiet.c | i % 2 == 0 ? 23 : 59 | i % 2 == 0 ? 29 : 59
window_room | arithmetic.c | | src/base/window.c | w->size > out ? w->size - out : 0 | w->size - out
window_room | arithmetic.c | | src/base/window.c | w->size > out ? w->size - out : 0 | 0
horizon | arithmetic.c | --unwind 5 | src/base/horizon.c | next_xid <= xmin64 | next_xid <= xmin64 + 1
horizon | arithmetic.c | --unwind 5 | src/base/horizon.c | h->safe = h->notes[k].at; | ;
horizon_full | arithmetic.c | --unwind 34 | src/base/horizon.c | if (h->n == HORIZON_NOTES) | if (h->n > HORIZON_NOTES)
take | bucket.c | -DLIMIT=1 | src/base/token_bucket.c | |
take | bucket.c | -DLIMIT=2000 | src/base/token_bucket.c | b->level_ns + credit; | b->level_ns + credit + 1;
take | bucket.c | -DLIMIT=2000 | src/base/token_bucket.c | n = b->level_ns / cost; | n = b->level_ns / cost / 2;
block | bucket.c | --unwind 3 | src/base/token_bucket.c | if (until < b->blocked_until_ns) | if (until < 0)
block | bucket.c | --unwind 3 | src/base/token_bucket.c | b->blocked_until_ns = until; | b->blocked_until_ns = until - 1;
"
flags=(--bounds-check --pointer-check --signed-overflow-check --div-by-zero-check --unwinding-assertions)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export TMPDIR=$work
if ! get_cbmc; then echo "1..0 # SKIP no CBMC here, and none could be had from trixie"; exit 0; fi

prove() { # file function include options
    (
        ulimit -t "${PROOF_SECONDS:-180}"
        "${cbmc[@]}" --external-sat-solver "$cadical" "$here/$1" --function "$2" -I "$3" "${flags[@]}" $4
    ) >"$my/out" 2>&1
}
say() { # 0/1 text
    if [ "$1" = 0 ]; then echo "ok - $2"; else
        echo "not ok - $2"
        grep -E ': FAILURE|ERROR|error' "$my/out" | head -3 | sed 's/^/#   /'
        grep -q '^VERIFICATION' "$my/out" || echo "#   no verdict"
    fi
}
harness() { # name file options source old new, prove?
    local start=$SECONDS
    if [ -n "$7" ]; then
        prove "$2" "$1" "$root/src" "$3"
        say $? "$1 $3: proven ($((SECONDS - start)) s)"
    fi
    [ -n "$5" ] || return
    cp -r "$root/src" "$my/src"
    if ! python3 - "$my/$4" "$5" "$6" <<'P'
import sys
path, old, new = sys.argv[1:]
text = open(path).read()
if text.count(old) != 1:
    sys.exit(1)
open(path, "w").write(text.replace(old, new))
P
    then say 1 "$1: its mutant fits the source no longer"; return; fi
    start=$SECONDS
    prove "$2" "$1" "$my/src" "$3"
    [ $? = 10 ] && grep -q '^VERIFICATION FAILED' "$my/out"
    say $? "$1: fails with \"$6\" ($((SECONDS - start)) s)"
}

n=0
running=0
expected=0      # lines
seen=
begin=$SECONDS
while IFS='|' read -r name file options source old new; do
    read -r name <<<"$name"
    [ -n "$name" ] || continue
    [ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
    [ $running -lt "$(nproc)" ] || { wait -n; running=$((running - 1)); }
    n=$((n + 1)) running=$((running + 1))
    my=$work/$n
    mkdir "$my"
    read -r file <<<"$file"; read -r options <<<"$options"; read -r source <<<"$source"
    read -r old <<<"$old"; read -r new <<<"$new"
    # proven once, however many mutants it has
    first=1
    [[ $seen != *"|$name $options|"* ]] || first=
    seen+="|$name $options|"
    expected=$((expected + ${#first} + (${#old} > 0)))
    harness "$name" "$file" "$options" "$source" "$old" "$new" "$first" >"$my/tap" &
done <<<"$list"
wait
if [ $# -eq 0 ]; then
    n=$((n + 1)) expected=$((expected + 1))
    my=$work/$n
    mkdir "$my"
    gcc -w -O2 -DNATIVE -I "$root/src" -o "$work/arithmetic" "$here/bucket.c" && "$work/arithmetic" >"$my/out"
    say $? "arithmetic of the bucket: limits 1 to 1,000,000, run" >"$my/tap"
fi
# what was killed has said nothing, and a name that is none has no lines
for i in $(seq $n); do cat "$work/$i/tap"; done | awk -v expected=$((expected > 0 ? expected : 1)) '
    /^(not )?ok - / { sub(/ok - /, "ok " ++n " - "); ill += /^not/ }
    { print }
    END {
        for (; n < expected; ill++) print "not ok " ++n " - no line came of it"
        print "1.." n
        exit ill > 0
    }'
status=$?
times >"$work/times"
echo "# $((SECONDS - begin)) s, $(awk -F'[ ms]+' 'NR == 2 { print int($1 * 60 + $2) }' "$work/times") s of a processor"
exit $status
