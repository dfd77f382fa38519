#!/usr/bin/env bash
#
# What the libraries of others make of view messages: a table, client by client.
#
#   bash test/check.sh clients                 all that can be had here
#   bash test/check.sh clients:django,knex     these
#
# The tables for doc/clients.md are left in clients.table of the work directory.
#
# Called by check.sh, with a server in PGHOST and PGPORT.  Each client is a
# program of its own that says what it tried, one line each: check, result,
# detail.  The examples of doc/clients.md are parts of these programs.

set -u
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1
here=$PWD
out=$(mktemp -d "${TMPDIR:-/tmp}/line_notify-clients.XXXXXX")
trap 'rm -rf "$out"' EXIT
checks=("create" "duplicate" "bulk with duplicate" "read back" "introspect" "batch" "error" "cancel" "number shown")

# name, what it is called, its command; what is not there is named as such
clients='psycopg2|psycopg2|python3 psycopg2_client.py
psycopg|psycopg 3|python3 psycopg3_client.py
sqlalchemy|SQLAlchemy|python3 sqlalchemy_client.py
django|Django|python3 django_client.py
peewee|Peewee|python3 peewee_client.py
asyncpg|asyncpg|python3 asyncpg_client.py
pony|Pony|python3 pony_client.py
dbi|Perl DBI|perl dbi.pl
activerecord|ActiveRecord|ruby activerecord.rb
sequel|Sequel|ruby sequel.rb
pdo|PHP PDO|php pdo.php
doctrine|Doctrine DBAL|php doctrine.php
eloquent|Eloquent (Laravel)|php eloquent.php
jdbc|JDBC|java.sh Jdbc
spring-jdbc|Spring JDBC|java.sh SpringJdbc
jpa|JPA (EclipseLink)|java.sh Jpa
hibernate|Hibernate|java.sh Hibernate
pq|Go lib/pq|go.sh pq
pgx|Go pgx|go.sh pgx
gorm|GORM|go.sh gorm
node-postgres|node-postgres|node.sh pg_client.js
knex|knex|node.sh knex_client.js
sequelize|Sequelize|node.sh sequelize_client.js
typeorm|TypeORM|node.sh typeorm_client.js
drizzle|Drizzle|node.sh drizzle_client.js
prisma|Prisma|node.sh prisma_client.js
postgres-js|postgres.js|node.sh postgresjs_client.js
kysely|Kysely|node.sh kysely_client.js
mikro-orm|MikroORM|node.sh mikroorm_client.js
session-pool|psycopg2 by pgbouncer, session mode|pgbouncer.sh session python3 psycopg2_client.py
transaction-pool|psycopg2 by pgbouncer, transaction mode|pgbouncer.sh transaction python3 psycopg2_client.py
statement-pool|psycopg2 by pgbouncer, statement mode|pgbouncer.sh statement python3 statement_pool.py'

# a bot that has the webhook URL, and hands on what it gets
bot_checks=("event kept" "bot gets it" "redelivery" "bad signature" "database away")
bots='express|Express, @line/bot-sdk|bots/run.sh node express.js
django-bot|Django|bots/run.sh python3 django_bot.py django
flask-bot|Flask|bots/run.sh python3 flask_bot.py flask
php-bot|PHP|bots/run.sh php bot.php
java-bot|Java|bots/run.sh java Bot.java
spring-bot|Spring MVC|bots/run.sh java Spring.java
go-bot|Go|bots/run.sh go bot.go
rails-bot|Rails|bots/run.sh ruby rails.rb action_controller/railtie
rack|Ruby, Rack|bots/run.sh ruby rack.rb rack'

psql -X -q -v ON_ERROR_STOP=1 -f setup.sql || exit 1
n=0
names=("$@")
# try CLIENTS CHECK...: runs them, and adds a row for each to the table of $table
try() {
local clients=$1 name title command status bad row r c missing
shift
while IFS='|' read -r name title command; do
    [ ${#names[@]} -eq 0 ] || [[ " ${names[*]} " == *" $name "* ]] || continue
    n=$((n + 1))
    case $command in *.sh\ *) command="bash $command" ;; esac
    # shellcheck disable=SC2086
    PGUSER=app timeout "${CLIENT_SECONDS:-600}" $command >"$out/$name" 2>"$out/$name.err" </dev/null
    status=$?
    # a library that is not installed: no fault of ours
    if [ $status -ne 0 ] && missing=$(grep -m1 -oE "No module named '[^']+'|Can't locate DB[^ ]+|cannot load such file -- [^ ]+|could not find driver|Class \"(Doctrine|Illuminate)[^\"]+\" not found" "$out/$name.err"); then
        echo "$missing" >>"$out/$name.err"
        status=77
    fi
    if [ $status -eq 77 ]; then
        echo "ok $n - $name # SKIP $(tail -1 "$out/$name.err")"
        continue
    fi
    get() { awk -F '\t' -v c="$1" '$1 == c { r = $2 } END { print r }' "$out/$name"; }
    bad=()
    row="| $title $(awk -F '\t' '$1 == "version" { print $3 }' "$out/$name") |"
    for c in "$@"; do
        r=$(get "$c")
        row+=" ${r:-–} |"
        case $c:$r in "number shown:"?* | *:ok) ;; *) bad+=("$c") ;; esac
    done
    grep -qP '^job\tFAIL' "$out/$name" && bad+=(job)
    echo "$row" >>"$out/table"
    # what a logger prints of another error, for doc/privacy.md
    if [ -n "$(get typo)" ] && [[ $name != *-pool ]]; then
        how=$(awk -F '\t' '$1 == "typo hidden" { print $3 }' "$out/$name")
        echo "| $title | $(get typo) | $how |" >>"$out/typos"
        case $(get "typo hidden") in "does not show") ;; *) bad+=("typo hidden") ;; esac
    fi
    # each client once, not through each pooler
    case $command in *pgbouncer*) ;; *)
        awk -F '\t' -v t="$title" '$1 == "upsert" { printf "| %s | `%s` | %s |\n", t, $3, $2 }' "$out/$name" >>"$out/table.upsert"
        awk -F '\t' -v t="$title" '$1 == "migration" { printf "| %s | `%s` | %s |\n", t, $3, $2 }' "$out/$name" >>"$out/table.migration" ;;
    esac
    if [ $status -eq 0 ] && [ ${#bad[@]} -eq 0 ]; then
        echo "ok $n - $name"
    else
        echo "not ok $n - $name: $(printf '%s, ' "${bad[@]}")exit status $status"
        grep -P '\tFAIL' "$out/$name" | sed 's/^/#   /'
        tail -12 "$out/$name.err" | sed 's/^/#   /'
    fi
done <<<"$clients"
}
try "$clients" "${checks[@]}"
[ ! -e "$out/table" ] || mv "$out/table" "$out/table.clients"
try "$bots" "${bot_checks[@]}"
[ ! -e "$out/table" ] || mv "$out/table" "$out/table.bots"

head_of() { printf '| |'; printf ' %s |' "$@"; printf '\n|---|'; printf -- '---|%.0s' "$@"; echo; }
touch "$out/whole"
[ ! -e "$out/table.clients" ] || { head_of "${checks[@]}"; cat "$out/table.clients"; } >>"$out/whole"
[ ! -e "$out/table.bots" ] || { echo; head_of "${bot_checks[@]}"; cat "$out/table.bots"; } >>"$out/whole"
[ ! -s "$out/table.upsert" ] || { printf '\n| | to insert or update | what comes of it |\n|---|---|---|\n'; cat "$out/table.upsert"; } >>"$out/whole"
[ ! -s "$out/table.migration" ] || { printf '\n| | makes migrations from what it finds | what it does with `line_notify` |\n|---|---|---|\n'; cat "$out/table.migration"; } >>"$out/whole"
sed 's/^/# /' "$out/whole"
[ -z "${TABLE:-}" ] || cp "$out/whole" "$TABLE"
if [ -e "$out/typos" ]; then
    n=$((n + 1))
    sed 's/^/# /' "$out/typos"
    if missing=$(grep -vxFf "$here/../../doc/privacy.md" "$out/typos"); then
        echo "not ok $n - doc/privacy.md says which errors show the number"
        sed 's/^/#   /' <<<"$missing"
    else
        echo "ok $n - doc/privacy.md says which errors show the number"
    fi
fi
n=$((n + 1))
if python3 doc.py "$here/../../doc/clients.md" "$out/whole" >"$out/doc"; then
    echo "ok $n - doc/clients.md has the programs' text, and this table"
else
    echo "not ok $n - doc/clients.md has the programs' text, and this table"
    sed 's/^/#   /' "$out/doc"
fi
echo "1..$n"
