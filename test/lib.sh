# shellcheck shell=bash
#
# What check.sh, demo.sh and the benchmarks have in common: packages, a plain
# user for the server, a private copy of the PostgreSQL installation, a build.
#
# Nothing is installed into your PostgreSQL: the extension goes into a copy of
# its programs (a PostgreSQL installation can be moved), under a directory of
# ours that is removed at the end.
#
# Settings: PG_MAJOR (default: the newest installed, else 15), KEEP=1 (keep the
# directory), LN_USER (plain user, default postgres).

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
LN_USER=${LN_USER:-postgres}
work=

say() { printf '%s\n' "$*"; }
# step TITLE: what begins; step_ends adds the seconds of the last one to $times
step() {
    step_ends
    step_title=$* step_began=$SECONDS
    printf '\n== %s\n' "$*"
}
step_ends() {
    [ -z "${step_title:-}" ] || times+="${times:+, }${step_title%% (*} $((SECONDS - step_began))"
    step_title=
}
times=
die() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }

# run as the plain user, in the work directory, with our PostgreSQL first, and
# without the lock of make_work, which a server left behind would keep
as_user() {
    if [ "$(id -u)" = 0 ]; then
        runuser -u "$LN_USER" -- env "${user_env[@]}" "$@" 9>&-
    else
        env "${user_env[@]}" "$@" 9>&-
    fi
}

have_package() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'; }

# need_packages NAME...: installs what is missing
need_packages() {
    local missing=() p
    command -v dpkg-query >/dev/null || return 0    # not Debian: the user sees to it
    for p in "$@"; do
        have_package "$p" || missing+=("$p")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    [ "$(id -u)" = 0 ] || die "please install: ${missing[*]}"
    say "installing ${missing[*]}"
    # shellcheck disable=SC2043
    local log
    log=$(mktemp)
    export DEBIAN_FRONTEND=noninteractive
    if ! apt-get install -y -q --no-install-recommends "${missing[@]}" >"$log" 2>&1; then
        { apt-get update -q && apt-get install -y -q --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 ||
            { tail -30 "$log"; rm -f "$log"; die "could not install ${missing[*]}"; }
    fi
    rm -f "$log"
}

# optional packages: as above, but their absence is not the end, and one that is
# not to be had does not keep the others away
want_packages() {
    local p
    (need_packages "$@") && return
    for p in "$@"; do
        have_package "$p" || apt-get install -y -q --no-install-recommends "$p" >/dev/null 2>&1 ||
            say "(not available: $p)"
    done
}

# borrow_packages NAME...: their files under $work/borrowed and its programs in the
# path of as_user, without installing them: no service of theirs starts here
borrow_packages() {
    local p
    for p in "$@"; do
        have_package "$p" && continue
        mkdir -p "$work/borrowed"
        (cd "$work/borrowed" && apt-get download -q "$p" && dpkg-deb -x "$p"_*.deb . && rm -f "$p"_*.deb) >/dev/null 2>&1 ||
            say "(not available: $p)"
    done
    user_env+=(PATH="$pgbin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin:$work/borrowed/usr/bin")
}

# npm_packages DIR: installs what DIR/package.json names, once for each version of
# that file, and sets node_modules; empty when that cannot be had.  Scripts of the
# packages are not run.
npm_packages() {
    local cache
    node_modules=
    command -v node >/dev/null && command -v npm >/dev/null || want_packages nodejs npm
    command -v npm >/dev/null || return 0
    cache=/var/tmp/line_notify-npm-$(cksum <"$1/package.json" | cut -d' ' -f1)
    # where the registry cannot be reached, npm itself would wait for minutes
    if [ ! -e "$cache/complete" ] && timeout 60 npm view pg version --fetch-retries=0 --fetch-timeout=20000 >/dev/null 2>&1; then
        mkdir -p "$cache" && cp "$1/package.json" "$cache/" &&
            (cd "$cache" && timeout 300 npm install --ignore-scripts --no-audit --no-fund \
                --fetch-retries=1 --fetch-timeout=30000 >npm.log 2>&1) &&
            touch "$cache/complete"
    fi
    if [ -e "$cache/complete" ]; then
        chmod -R a+rX "$cache"
        node_modules=$cache/node_modules
    else
        say "(not available: packages of npm)"
    fi
}

choose_major() {
    local d
    if [ -z "${PG_MAJOR:-}" ]; then
        for d in /usr/lib/postgresql/*/bin/postgres; do
            [ -x "$d" ] && PG_MAJOR=$(basename "$(dirname "$(dirname "$d")")")
        done
    fi
    if [ -z "${PG_MAJOR:-}" ]; then
        [ "$(id -u)" = 0 ] && apt-get update -q >/dev/null 2>&1
        PG_MAJOR=$(apt-cache search --names-only '^postgresql-1[5-9]$' 2>/dev/null |
            sed -n 's/^postgresql-\([0-9]*\) .*/\1/p' | sort -n | tail -1)
    fi
    PG_MAJOR=${PG_MAJOR:-15}
}

base_packages() {
    choose_major
    # the packaged cluster would start a server of its own
    if ! have_package "postgresql-$PG_MAJOR" && [ "$(id -u)" = 0 ]; then
        mkdir -p /etc/postgresql-common
        [ -e /etc/postgresql-common/createcluster.conf ] ||
            echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
    fi
    need_packages gcc make libc6-dev "postgresql-$PG_MAJOR" "postgresql-server-dev-$PG_MAJOR" \
        libcurl4-openssl-dev libssl-dev python3 openssl
}

plain_user() {
    [ "$(id -u)" = 0 ] || return 0
    id "$LN_USER" >/dev/null 2>&1 || useradd --system --create-home "$LN_USER"
}

# make_work NAME: a directory of ours, removed at exit, with the tree in $work/src.
# With keep=1 it stays, and is used again: one for each checkout and server version.
make_work() {
    if [ -n "${keep:-}" ]; then
        work=/tmp/line_notify-$1-$(printf '%s %s' "$root" "${PG_MAJOR:-}" | cksum | cut -d' ' -f1)
        mkdir -p "$work"
        exec 9>"$work/lock"
        flock -n 9 || die "$work is in use by another run"
        KEEP=1
    else
        work=$(mktemp -d "/tmp/line_notify-$1.XXXXXX")
    fi
    chmod 755 "$work"
    trap cleanup EXIT
    trap 'exit 130' INT TERM
    mkdir -p "$work/src"
    # what git would give a stranger, plus local changes
    (cd "$root" && git ls-files -z --cached --others --exclude-standard 2>/dev/null | sort -z) >"$work/files.new"
    [ -s "$work/files.new" ] || (cd "$root" && find . -name .git -prune -o ! -type d -print0) >"$work/files.new"
    (cd "$root" && tar --null --ignore-failed-read -T "$work/files.new" -cf - 2>/dev/null) | tar -xf - -C "$work/src"
    # what is no longer there
    if [ -e "$work/files" ]; then
        (cd "$root" && xargs -0 ls -d <"$work/files" 2>&1 >/dev/null) |
            sed -n "s/^ls: cannot access '\(.*\)': .*/\1/p" | (cd "$work/src" && xargs -r -d '\n' rm -f)
    fi
    mv "$work/files.new" "$work/files"
    [ "$(id -u)" = 0 ] && chown -R "$LN_USER" "$work"
    cd "$work" || exit 1        # a directory that the plain user may be in
}

servers=()          # data directories of servers that we started
processes=()        # other processes of ours

cleanup() {
    local d p
    for d in "${servers[@]}"; do
        [ -f "$d/postmaster.pid" ] && as_user "$pgbin/pg_ctl" -D "$d" -m immediate -w stop >/dev/null 2>&1
    done
    for p in "${processes[@]}"; do
        kill "$p" 2>/dev/null
    done
    cd /
    if [ -n "$work" ] && [ -z "${KEEP:-}" ]; then
        rm -rf "$work"
    elif [ -n "$work" ]; then
        say "kept: $work"
    fi
}

# a copy of the PostgreSQL installation, for nobody but us
private_postgres() {
    local base=${PG_BASE:-/usr} d
    [ -d "$base/lib/postgresql/$PG_MAJOR" ] || die "no PostgreSQL $PG_MAJOR in $base/lib/postgresql"
    [ -e "$work/pg/complete-$PG_MAJOR" ] || for d in lib share include; do
        mkdir -p "$work/pg/usr/$d/postgresql"
        [ -d "$base/$d/postgresql/$PG_MAJOR" ] &&
            cp -a "$base/$d/postgresql/$PG_MAJOR" "$work/pg/usr/$d/postgresql/"
    done
    cp -a "$base"/include/postgresql/*.h "$base"/include/postgresql/internal \
        "$base"/include/postgresql/libpq "$work/pg/usr/include/postgresql/" 2>/dev/null
    # what the server says in other languages, for those who ask
    [ -e "$work/pg/usr/share/locale" ] || ln -s "$base/share/locale" "$work/pg/usr/share/locale"
    [ "$(id -u)" = 0 ] && chown -R "$LN_USER" "$work/pg"
    touch "$work/pg/complete-$PG_MAJOR"
    pgbin=$work/pg/usr/lib/postgresql/$PG_MAJOR/bin
    PG_CONFIG=$pgbin/pg_config
    pgxs_test=$(dirname "$("$PG_CONFIG" --pgxs)")/../test
    user_env=(PATH="$pgbin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin" HOME="$work" LC_ALL=C.UTF-8 LANGUAGE=
        PGHOST="$work" PGDATABASE=postgres PGUSER=postgres PG_CONFIG="$PG_CONFIG")
}

# build [extra make variables]: into the private copy
build() {
    as_user make -C "$work/src" -s -j"$(nproc)" with_llvm=no PG_CONFIG="$PG_CONFIG" "$@" >"$work/build.log" 2>&1 &&
        as_user make -C "$work/src" -s install with_llvm=no PG_CONFIG="$PG_CONFIG" "$@" >>"$work/build.log" 2>&1
}

# start_judge PORT LOG SEED FAULTS: chaos/judge.c, which says what these are; $judge is
# its process
start_judge() {
    [ -x "$work/judge" ] || gcc -Wall -Wextra -O2 -o "$work/judge" "$work/src/test/chaos/judge.c" || die "the judge does not build"
    : >"$work/judge.out"
    "$work/judge" "$@" >"$work/judge.out" 2>&1 &
    judge=$!
    until grep -qs '^ready' "$work/judge.out"; do
        # the port may be somebody else's, whose judge would be asked then
        kill -0 "$judge" 2>/dev/null || die "no judge: $(cat "$work/judge.out")"
        sleep 0.1
    done
}

# new_server NAME PORT [config lines]: starts a throw-away cluster, socket in $work
new_server() {
    local data=$work/$1 port=$2 line
    shift 2
    [ -z "${keep:-}" ] || rm -rf "$data"
    as_user "$pgbin/initdb" -D "$data" -U postgres -A trust --no-sync -E UTF8 --locale=C.UTF-8 >"$work/initdb.log" 2>&1 ||
        { cat "$work/initdb.log"; die "initdb failed"; }
    {
        echo "port = $port"
        echo "listen_addresses = ''"
        echo "unix_socket_directories = '$work'"
        for line in "$@"; do echo "$line"; done
    } | as_user tee -a "$data/postgresql.conf" >/dev/null
    servers+=("$data")
    as_user "$pgbin/pg_ctl" -D "$data" -l "$data.log" -w start >/dev/null ||
        { tail -30 "$data.log"; die "the server did not start"; }
}
