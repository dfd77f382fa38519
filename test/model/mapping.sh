#!/usr/bin/env bash
#
# Where the functions of MAPPING.md are; status 1 if one is not there, or if the
# events of traces are not the same there, in replay.py and in the C.
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

complain() { status=1; sed "s#\$# $1#"; }
# events of the table, with their actions; those of the checker; those of the C
table=$(awk -F ' *[|] *' '/^\| delivery/ { n = split($6, e, " "); for (i = 1; i <= n; i++) print e[i] "|" $3 }' test/model/MAPPING.md | grep -v '^–' | sort -u)
checker=$(python3 test/model/replay.py --events)
c=$(grep -ohE '(ln_trace(_now)?|add)\("[a-z]+"' -r src | grep -oE '[a-z]+"$' | tr -d '"' | sort -u)
lacks=$(comm -13 <(echo "$table") <(sort -u <<<"$checker"))
[ -z "$lacks" ] || complain "is not in test/model/MAPPING.md" <<<"$lacks"
lacks=$(comm -3 <(cut -d'|' -f1 <<<"$checker" | grep -vx silent | sort -u) <(echo "$c"))
[ -z "$lacks" ] || complain "is not both in test/model/replay.py and in src" <<<"$lacks"
lacks=$(comm -23 <(cut -d'|' -f1 <<<"$table" | sort -u) <(cut -d'|' -f1 <<<"$checker" | sort -u))
[ -z "$lacks" ] || complain "is an event of test/model/MAPPING.md only" <<<"$lacks"
awk -F ' *[|] *' '/^\| (delivery|failover)/ && $6 == "" { print $3 " has no event in test/model/MAPPING.md"; bad = 1 } END { exit bad }' test/model/MAPPING.md || status=1
exit $status
