#!/usr/bin/env bash
# A program of JavaScript, with the packages that check.sh has fetched.
[ -n "${NODE_PATH:-}" ] && [ -e "$NODE_PATH/pg" ] || { echo "no packages of npm" >&2; exit 77; }
cd "$(dirname "$0")/node" || exit 1
export PGPORT PGHOST PGDATABASE=postgres
if [ "$1" = prisma_client.js ]; then
    # the generated client lies beside the schema; none of its engines is used
    dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT
    cp schema.prisma prisma_client.js report.js "$dir/" && ln -s "$NODE_PATH" "$dir/node_modules" && cd "$dir" || exit 1
    PRISMA_SCHEMA_ENGINE_BINARY=/bin/true PRISMA_QUERY_ENGINE_LIBRARY=/bin/true PRISMA_HIDE_UPDATE_MESSAGE=1 CHECKPOINT_DISABLE=1 \
        "$NODE_PATH/.bin/prisma" generate --schema schema.prisma >generate.log 2>&1 || { tail -1 generate.log >&2; exit 77; }
fi
exec node "$1"
