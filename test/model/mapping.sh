#!/usr/bin/env bash
#
# Where the functions of MAPPING.md are; status 1 if one is not there.
#
#   bash test/model/mapping.sh

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
status=0
while IFS='|' read -r _ model action function file _; do
    function=${function//[\` ]/} file=${file// /}
    [[ $file == */* ]] || continue
    if [[ $file == *.sql ]]; then
        lines=$(awk -v f="CREATE FUNCTION line_notify.$function(" 'index($0, f) == 1 { s = NR } s && /^\$\$/ { print s "-" NR; exit }' "$file" 2>/dev/null)
    else
        lines=$(awk -v f="$function(" 'index($0, f) == 1 { s = NR } s && /^}/ { print s "-" NR; exit }' "$file" 2>/dev/null)
    fi
    [ -n "$lines" ] || { echo "$function is not in $file (test/model/MAPPING.md)"; status=1; continue; }
    [ "${1:-}" = --check ] || echo "$model |$action| $function | $file:$lines"
done < <(grep '^| [dfw]' test/model/MAPPING.md)
exit $status
