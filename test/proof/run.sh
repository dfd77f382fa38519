#!/usr/bin/env bash
#
# The deciders, proven for all inputs by CBMC; and for each harness a mutant of the
# source that must fail, since a harness that cannot fail proves nothing.
#
#   bash test/proof/run.sh [NAME...]
#
# CBMC 6 is in Debian from trixie on.  Where there is none, it is taken from there
# (apt verifies it) and unpacked into a directory of its own, PROOF_DIR.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
dir=${PROOF_DIR:-/var/tmp/line_notify-cbmc}

get_cbmc() {
    command -v cbmc >/dev/null && cbmc --version | grep -q '^[6-9]\.' && { cbmc=(cbmc); return; }
    if [ ! -x "$dir/root/usr/bin/cbmc" ]; then
        local mirror opts
        mirror=$(apt-get indextargets --format '$(SITE)' 2>/dev/null | grep -m1 '/debian$')
        mkdir -p "$dir"/{state/lists/partial,cache/archives/partial,root} || return 1
        echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${mirror:-http://deb.debian.org/debian} trixie main" >"$dir/sources.list"
        : >"$dir/status"
        opts=(-q -o Dir::Etc::SourceList="$dir/sources.list" -o Dir::Etc::SourceParts=/dev/null -o Dir::State="$dir/state"
            -o Dir::State::status="$dir/status" -o Dir::Cache="$dir/cache" -o Acquire::Languages=none)
        [ "$(id -u)" = 0 ] && opts+=(-o APT::Sandbox::User=root)
        (cd "$dir" && apt-get "${opts[@]}" update &&
            apt-get "${opts[@]}" download cbmc minisat libc6 libgcc-s1 libstdc++6 zlib1g &&
            for deb in *.deb; do dpkg-deb -x "$deb" root || exit 1; done) >"$dir/log" 2>&1 || { rm -rf "$dir/root"; return 1; }
    fi
    cbmc=("$dir/root/usr/lib64/ld-linux-x86-64.so.2" --library-path "$dir/root/usr/lib/x86_64-linux-gnu:$dir/root/usr/lib"
        "$dir/root/usr/bin/cbmc")
    "${cbmc[@]}" --version >/dev/null 2>&1
}

# name | file | options | source, what is replaced, by what: the mutant
list="
outcome | decide.c | | src/line/line_api.c | has_retry_after ? LINE_THROTTLED : LINE_SERVER_ERROR | has_retry_after ? LINE_REFUSED : LINE_SERVER_ERROR
decide | decide.c | | src/line/line_api.c | c->on_unknown == LINE_RETRY && again | again
tag_read | tag.c | --unwind 50 | src/line/line_api.c | if (end - p != 13) | if (end - p < 13)
gate | gate.c | | src/base/gate.c | holds_until(&v, LN_LINE_SAID_WAIT, f->line_wait_until, now); | holds_until(&v, LN_LINE_SAID_WAIT, f->budget_until, now);
retry | arithmetic.c | --unwind 42 | src/base/retry.c | delay = 1 + (int64_t) | delay = (int64_t)
retry_question | arithmetic.c | --unwind 10 | src/base/retry.c | (wait / 4 + 1) | (wait / 4 + 9)
breaker | arithmetic.c | --unwind 8 | src/base/breaker.c | pause > BREAKER_LAST_MS | pause < 0
quiet_parse | arithmetic.c | --unwind 14 | src/base/quiet.c | i % 2 == 0 ? 23 : 59 | i % 2 == 0 ? 29 : 59
window_room | arithmetic.c | | src/base/window.c | w->size > out ? w->size - out : 0 | w->size - out
horizon | arithmetic.c | --unwind 5 | src/base/horizon.c | next_xid <= xmin64 | next_xid <= xmin64 + 1
horizon_full | arithmetic.c | --unwind 34 | src/base/horizon.c | if (h->n == HORIZON_NOTES) | if (h->n > HORIZON_NOTES)
take | bucket.c | -DLIMIT=1 | src/base/token_bucket.c | |
take | bucket.c | -DLIMIT=2000 | src/base/token_bucket.c | b->level_ns + credit; | b->level_ns + credit + 1;
block | bucket.c | --unwind 3 | src/base/token_bucket.c | b->blocked_until_ns = until; | b->blocked_until_ns = until - 1;
"
flags=(--bounds-check --pointer-check --signed-overflow-check --div-by-zero-check --unwinding-assertions)
if ! get_cbmc; then echo "1..0 # SKIP no CBMC here, and none could be had from trixie"; exit 0; fi

n=0
ill=0
say() { # 0/1 text
    n=$((n + 1))
    if [ "$1" = 0 ]; then echo "ok $n - $2"; else ill=1; echo "not ok $n - $2"; fi
}
prove() { # file function include options
    timeout "${PROOF_TIMEOUT:-180}" "${cbmc[@]}" "$here/$1" --function "$2" -I "$3" "${flags[@]}" $4 >"$work/out" 2>&1
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
begin=$SECONDS
while IFS='|' read -r name file options source old new; do
    name=${name// /}; file=${file// /}; source=${source// /}
    [ -n "$name" ] || continue
    [ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
    start=$SECONDS
    prove "$file" "$name" "$root/src" "$options"
    status=$?
    say "$status" "$name$options: proven ($((SECONDS - start)) s)"
    [ $status = 0 ] || grep -E ': FAILURE|ERROR|error' "$work/out" | head -3 | sed 's/^/#   /'
    read -r old <<<"$old"; read -r new <<<"$new"
    [ -n "$old" ] || continue
    rm -rf "$work/src" && cp -r "$root/src" "$work/src"
    python3 - "$work/$source" "$old" "$new" <<'P' || { say 1 "$name: its mutant fits the source no longer"; continue; }
import sys
path, old, new = sys.argv[1:]
text = open(path).read()
if text.count(old) != 1:
    sys.exit(1)
open(path, "w").write(text.replace(old, new))
P
    prove "$file" "$name" "$work/src" "$options"
    [ $? = 10 ] && grep -q '^VERIFICATION FAILED' "$work/out"
    say $? "$name: fails with \"$new\""
done <<<"$list"
if [ $# -eq 0 ]; then
    gcc -w -O2 -DNATIVE -I "$root/src" -o "$work/arithmetic" "$here/bucket.c" &&
        [ "$("$work/arithmetic")" = 0 ]
    say $? "arithmetic of the bucket: limits 1 to 1,000,000, run"
fi
echo "1..$n"
echo "# $((SECONDS - begin)) s"
exit $ill
