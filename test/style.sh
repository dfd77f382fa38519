#!/usr/bin/env bash
#
# The rules of the house that a machine can check.  Prints TAP.

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
n=0
result() { # status name [lines]
    n=$((n + 1))
    if [ "$1" = 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; sed 's/^/#   /' <<<"$3" | head -20; fi
}
none() { # name lines: passes when there are none
    if [ -z "$2" ]; then result 0 "$1"; else result 1 "$1" "$2"; fi
}

none "every file in sql/ has -- in its name" "$(ls sql | grep -v -- -- | grep -vx parts)"
sources=$(find src -name '*.[ch]' ! -name 'gen_*' | sort)

# Who may include whom: a folder, and the ones below it.  The folders' own page is
# src/README.md.
declare -A below=(
    [base]="" [http]="" [line]="base http" [phone]="base" [content]="base"
    [db]="base line content" [server]="base line" [worker]="base http line db server"
    [enqueue]="base phone content db server" [funcs]="base http line db server worker")
none "every folder of src has its place" \
    "$(for d in src/*/; do d=$(basename "$d"); [ -n "${below[$d]+x}" ] || echo "$d"; done)"
folders=$(tr ' ' '|' <<<"${!below[@]}")
none "folders include only what is below them" \
    "$(for d in "${!below[@]}"; do
        grep -noE "#include \"($folders)/" "src/$d"/*.[ch] | grep -vE "\"(${below[$d]// /|}|$d)/\$"
    done)"
none "and all of that" \
    "$(for d in "${!below[@]}"; do
        for b in ${below[$d]}; do grep -qF "#include \"$b/" "src/$d"/*.[ch] || echo "$d: not $b"; done
    done)"
none "src/README.md says the same of the folders" \
    "$(for d in "${!below[@]}"; do
        said=$(sed -nE "s#^\| \`$d/\` \| ([^|]*) \|.*#\1#p" src/README.md | tr -d '\`')
        [ "$said" = "${below[$d]:-–}" ] || echo "$d: $said"
    done)"
none "and names files that there are" \
    "$(grep -oE '`([a-z]+/)+[a-z_0-9]+\.[a-z]+`' src/README.md | tr -d '`' | sort -u | while read -r f; do
        [ -e "src/$f" ] || [ -e "$f" ] || echo "$f"
    done)"
# a .c and its .h are one; so are the files behind an internal header
none "no file includes one that includes it, by whatever way" \
    "$(for f in $(find src -name '*.[ch]'); do
        sed -nE 's#^\#include "(([a-z]+/)?[a-z0-9_]+)\.h"#\1#p' "$f" | while read -r to; do
            [ -e "src/$to.h" ] && echo "${f%.[ch]} src/$to"
        done
    done | sed -E 's#_internal\b##g; s#content/check_common#content/message_check#g' | awk '$1 != $2' | sort -u | tsort 2>&1 >/dev/null)"
none "names of files are unique across folders" "$(basename -a $sources | sort | uniq -d)"
none "server versions are tested in compat.h only" \
    "$(grep -n 'PG_VERSION_NUM' $sources | grep -v '^src/compat.h')"
none "no file enters two foreign worlds" \
    "$(for f in $sources; do grep -q 'executor/spi.h' "$f" && grep -q 'curl/curl.h' "$f" && echo "$f"; done)"
none "libcurl is entered by http/ only" "$(grep -l 'curl/curl.h' $sources | grep -v '^src/http/')"
none "libcrypto is entered by crypto.c only" "$(grep -l 'openssl/' $sources | grep -v '^src/base/crypto.c')"
# what unit tests and fuzzers build alone is pure, too
none "pure folders and files know no PostgreSQL" \
    "$(grep -lE '"(postgres|fmgr|c|guc|become|compat)\.h"|utils/' src/base/*.[ch] src/http/*.[ch] src/line/*.[ch] $(ls src/phone/*.[ch] | grep -v phone_funcs) \
        $(grep -ohE '[a-z]+/[a-z_0-9]+\.c' test/unit/run.sh test/fuzz/run.sh | sort -u | sed 's#^#src/#' | xargs ls 2>/dev/null))"
none "postgres.h is in no header" "$(grep -l '"postgres.h"' $(grep '\.h$' <<<"$sources"))"
none "nothing is left open" "$(grep -nE 'TO[D]O|FIX[M]E|HA[C]K' -r src sql test --include='*.[ch]' --include='*.sql' --include='*.p[lm]' --include='*.py' )"
none "every object of the Makefile has a source, and every source an object" \
    "$(diff <(sed -n 's/^\t\(src\/.*\)\.o .*/\1/p' Makefile | sort) <(sed -n 's/\.c$//p' <<<"$sources" | sort))"
none "every part of the script is in the Makefile, in order" \
    "$(diff <(sed -n 's/^\t\(sql\/parts\/.*\.sql\) .*/\1/p' Makefile) <(ls sql/parts/*.sql))"
none "every regress test is in the Makefile" \
    "$(diff <(sed -n '/^REGRESS =/,/^$/s/^\t\([a-z_0-9]*\).*/\1/p' Makefile | sort) <(ls test/sql/*.sql | sed 's/.*\/\(.*\)\.sql/\1/' | sort))"
none "every isolation spec is in the Makefile" \
    "$(diff <(sed -n '/^ISOLATION =/,/^$/s/^\t\([a-z_0-9]*\).*/\1/p' Makefile | sort) <(ls test/specs/*.spec 2>/dev/null | sed 's/.*\/\(.*\)\.spec/\1/' | sort))"
none "META.json and the control file name the same version" \
    "$(v=$(sed -n "s/^default_version = '\(.*\)'/\1/p" line_notify.control); grep -q "\"version\": \"$v" META.json && grep -q "^## $v" CHANGELOG.md || echo "control: $v")"
none "META.json is as the PGXN Meta Spec says" "$(python3 test/meta.py 2>&1)"
# KIND(name, ... in a list of columns; the columns of a table in the script, from the one behind $2 to the one before $3
listed() { sed -nE 's/^\t[A-Z_]+\(([a-z_]+),.*/\1/p' "src/db/$1"; }
columns() { sed -nE "/^CREATE TABLE line_notify.$1 \(/,/^\t$3\s/s/^\t([a-z_]+)\s.*/\1/p" sql/parts/*.sql | sed "0,/^$2\$/d; \$d"; }
settings() { sed -nE '/^## (Settings|設定)$/,/^## /p' "$1" | grep -oE '^\| `(line_notify\.)?[a-z_]+`([,、] ?`[a-z_]+`)* \|' | grep -oE '[a-z_.]+'; }
none "README.ja.md has the settings of README.md" "$(diff <(settings README.md) <(settings README.ja.md))"
none "README.md has every setting of guc.c" \
    "$(diff <(settings README.md | grep '\.' | sort) <(grep -oE '"line_notify\.[a-z_]+"' src/guc.c | tr -d '"'  | sort))"
none "README.md has every setting of a channel" \
    "$(diff <(settings README.md | grep -v '\.' | sort) <(listed channel_settings.h | sort))"
none "message_columns.h has the columns of the outbox that are not ours" "$(diff <(listed message_columns.h) <(columns outbox id state))"
none "channel_settings.h has the columns of channel that are settings" \
    "$(diff <(listed channel_settings.h | sort) <(columns channel home paused_at | sort))"
expanded() { LC_ALL=C awk -f sql/parts/expand.awk src/db/channel_settings.h src/db/message_columns.h -; }
none "expand.awk refuses what it cannot mean" \
    "$(for wish in '{kept|erasd %}' '{channel..mesages %}' '{policy..channel %}' '{on_duplicate.. %}' '{none.. %}' '{kept}' '{LN_NO_SUCH}' '{kept %'; do
        expanded 2>&1 <<<"@$wish" | grep -q '^[^ ]*:1: ' || echo "@$wish"
    done)"
none "README.ja.md has the sections of README.md" \
    "$(diff <(grep -cE '^(##|```)' README.md) <(grep -cE '^(##|```)' README.ja.md))"
none "test/README.md has every test, and no other" \
    "$(diff <(sed -n '/^## What is tested where/,/^## [^W]/p' test/README.md | grep -oE '`[a-z0-9][a-z0-9_]*\.(pl|sql|spec|c)`' | tr -d '`' | sort -u) \
        <(basename -a test/t/*.pl test/sql/*.sql test/specs/*.spec test/unit/*_test.c | sort -u))"
none "the model's actions have their functions (test/model/MAPPING.md)" "$(bash test/model/mapping.sh --check)"
none "no trailing white space" "$(grep -nE '[ 	]+$' $sources sql/parts/*.sql test/*.sh test/t/*.pl test/perl/LineNotify/*.pm Makefile | head)"

none "lines of C end at column 79, unless a string literal does not (test/columns.py)" \
    "$(find src test -name build -prune -o \( -name '*.[ch]' -o -name '*.cc' \) -print | sort | xargs python3 test/columns.py 2>&1)"

# newer ones, which come with PostgreSQL 16 and later, lay out initializers otherwise
if pg_bsd_indent --version 2>/dev/null | grep -q ' 2\.1\.1 '; then
    diffs=
    for f in $sources; do
        case $f in */phone_tables.h | */phone_unicode.h | */*_data.h) continue ;; esac
        # the flags of PostgreSQL's pgindent; from a file on standard input, to standard output
        if ! diff -q "$f" <(bash test/indent.sh <"$f") >/dev/null; then
            diffs+="$f"$'\n'
        fi
    done
    none "layout as by pgindent (bash test/indent.sh -w mends it)" "$diffs"
else
    echo "# skipped: pg_bsd_indent 2.1.1 is not installed"
fi
echo "1..$n"
