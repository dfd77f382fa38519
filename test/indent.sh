#!/usr/bin/env bash
#
# PostgreSQL's layout: pg_bsd_indent with pgindent's flags and our typedefs.
#
#   bash test/indent.sh < file     layout of one file to standard output
#   bash test/indent.sh -w [file…] in place (default: all of src)

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

layout() {
    # pgindent's own pre- and postprocessing of comments, in short: comments that
    # begin in column 1 with a dash box are left alone by the tool itself
    pg_bsd_indent -bad -bap -bbb -bc -bl -cli1 -cp33 -cdb -nce -d0 -di12 -nfc1 -i4 -l79 -lp -lpl -nip -npro \
        -sac -tpg -ts4 "-U$here/typedefs.list" |
        # a pointer that a function returns is not a declaration to be aligned
        sed -E 's/^(((static|const|struct|unsigned) )*[A-Za-z_0-9]+)\t+ *(\*+)$/\1 \4/'
}

if [ "${1:-}" = -w ]; then
    shift
    [ $# -gt 0 ] || set -- "$here"/src/*.[ch] "$here"/src/*/*.[ch]
    for f in "$@"; do
        case $f in */phone_tables.h | */phone_unicode.h | */*_data.h) continue ;; esac
        t=$(mktemp)
        layout <"$f" >"$t" && ! cmp -s "$t" "$f" && cat "$t" >"$f" && echo "$f"
        rm -f "$t"
    done
else
    layout
fi
