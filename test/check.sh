#!/usr/bin/env bash
#
# Every test.  From a bare Debian 12 (root, git, bash) to "N passed, N failed".
#
#   bash test/check.sh                    all
#   bash test/check.sh unit regress       these groups only:
#                                         style unit regress tap clients phone fuzz model proof ha
#   bash test/check.sh tap:001_delivery,003_crash regress:outbox
#                                         these tests of a group only
#   bash test/check.sh --keep tap:001_delivery
#                                         reuses the build and the directory of
#                                         the last such run of this checkout:
#                                         seconds instead of minutes
#
# Builds with every warning an error and with assertions, against a private
# copy of PostgreSQL; see lib.sh for the settings.

set -u
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

keep=
[ "${1:-}" != --keep ] || { keep=1; shift; }
groups=("$@")
[ ${#groups[@]} -eq 0 ] && groups=(style unit regress tap clients phone fuzz model proof ha)
wanted() { local g; for g in "${groups[@]}"; do [ "${g%%:*}" = "$1" ] && return 0; done; return 1; }
# names GROUP: the tests of it that were asked for, or nothing for all
names() { local g; for g in "${groups[@]}"; do [ "${g%%:*}" = "$1" ] && [ "$g" != "$1" ] && tr , ' ' <<<"${g#*:}"; done; }

passed=0
failed=0
skipped=()
ok() { passed=$((passed + 1)); }
bad() { failed=$((failed + 1)); say "FAILED: $1"; }

# count_tap FILE: adds the top-level "ok" and "not ok" lines; one without a plan ended early
count_tap() {
    local good ill
    good=$(grep -c '^ok' "$1")
    ill=$(grep -c '^not ok' "$1")
    passed=$((passed + good))
    failed=$((failed + ill))
    [ "$ill" -eq 0 ] || grep '^not ok' "$1" | sed 's/^/FAILED: /'
    grep -q '^1\.\.' "$1" || { tail -5 "$1"; bad "$(basename "$1" .tap) ended early"; }
}

began=$SECONDS
step "packages"
base_packages
wanted tap && need_packages perl libipc-run-perl libjson-pp-perl python3-h2
wanted tap && want_packages nginx-light python3-psycopg2 curl
wanted style && want_packages pg-bsd-indent
plain_user
choose_major
make_work check
private_postgres
say "PostgreSQL $("$PG_CONFIG" --version | sed 's/PostgreSQL //'), $(curl-config --version 2>/dev/null), $(openssl version)"

step "build"
if build PG_CFLAGS="-DUSE_ASSERT_CHECKING -Wall -Wextra -Werror -Wno-unused-parameter -Wno-sign-compare"; then
    ok
    say "built with assertions, no warning"
else
    tail -40 "$work/build.log"
    bad "build"
    say "$passed passed, $failed failed"
    exit 1
fi

if wanted style; then
    step "style"
    as_user bash "$work/src/test/style.sh" >"$work/style.tap" 2>&1
    grep -v '^ok' "$work/style.tap"
    count_tap "$work/style.tap"
fi

if wanted unit; then
    step "unit tests (address and undefined-behaviour sanitizers)"
    as_user bash "$work/src/test/unit/run.sh" $(names unit) >"$work/unit.tap" 2>&1
    grep -E '^not ok|^# (FAIL|[a-z_]+$)' "$work/unit.tap"
    count_tap "$work/unit.tap"
fi

if wanted model; then
    step "the protocol as a model"
    want_packages spin
    as_user bash "$work/src/test/model/run.sh" $(names model) >"$work/model.tap" 2>&1
    grep -E '^not ok|SKIP|^# [0-9]+ s' "$work/model.tap"
    count_tap "$work/model.tap"
    grep -q SKIP "$work/model.tap" && skipped+=(model)
fi

if wanted proof; then
    step "the deciders, proven"
    # as root: apt brings CBMC where Debian has none
    bash "$work/src/test/proof/run.sh" $(names proof) >"$work/proof.tap" 2>&1
    grep -E '^not ok|SKIP|^# [0-9]+ s' "$work/proof.tap"
    count_tap "$work/proof.tap"
    grep -q SKIP "$work/proof.tap" && skipped+=(proof)
fi

if wanted regress; then
    step "regress and isolation"
    # no preload: nothing is sent, the SQL side answers for itself
    new_server regress 54301 "max_prepared_transactions = 4"
    target=(installcheck)
    if [ -n "$(names regress)" ]; then
        target=(installcheck ISOLATION= REGRESS=)
        for t in $(names regress); do
            if [ -e "$work/src/test/specs/$t.spec" ]; then target[1]+=" $t"; else target[2]+=" $t"; fi
        done
    fi
    as_user make -C "$work/src" -s "${target[@]}" with_llvm=no PG_CONFIG="$PG_CONFIG" PGPORT=54301 PGHOST="$work" \
        >"$work/installcheck.log" 2>&1
    # "test name ... ok" up to 15, TAP from 16 on
    while read -r line; do
        case $line in
            test\ *\ ok\ *|ok\ *) ok ;;
            test\ *\ FAILED*|not\ ok*) bad "regress: $line" ;;
        esac
    done < <(sed 's/(.*//; s/  */ /g; s/$/ /' "$work/installcheck.log")
    if grep -qE 'FAILED|^not ok|\*\*\*' "$work/installcheck.log"; then
        grep -E '\*\*\*|psql: error' "$work/installcheck.log" | head -5
        find "$work/src" -name regression.diffs -exec sed -n 1,200p {} \;
        tail -20 "$work/installcheck.log"
        [ "$failed" -gt 0 ] || bad "regress did not run"
    fi
    as_user "$pgbin/pg_ctl" -D "$work/regress" -m fast -w stop >/dev/null
fi

if wanted tap; then
    step "TAP"
    borrow_packages prometheus prometheus-postgres-exporter "postgresql-$PG_MAJOR-pgaudit"
    # a server loads it by its path, wherever it lies
    for p in "$work/borrowed/usr" "${PG_BASE:-/usr}"; do
        [ ! -e "$p/lib/postgresql/$PG_MAJOR/lib/pgaudit.so" ] || user_env+=(PGAUDIT="$p/lib/postgresql/$PG_MAJOR/lib/pgaudit.so")
    done
    rm -rf "$work/tap"
    mkdir -p "$work/tap" && [ "$(id -u)" = 0 ] && chown "$LN_USER" "$work/tap"
    user_env+=(PG_REGRESS="$pgxs_test/regress/pg_regress" TESTDIR="$work/tap" TESTDATADIR="$work/tap/tmp_check"
        TESTLOGDIR="$work/tap/log" PGUSER=postgres top_builddir="$work/tap" LN_SRC="$work/src")
    # the longest first, or the other jobs have nothing to do at the end
    tests=("$work"/src/test/t/316_reason_matrix.pl)
    for t in "$work"/src/test/t/*.pl; do [ "$t" = "${tests[0]}" ] || tests+=("$t"); done
    TAP=${TAP:-$(names tap)}
    if [ -n "$TAP" ]; then
        tests=()
        for t in ${TAP//,/ }; do tests+=("$work/src/test/t/${t%.pl}.pl"); done
    fi
    # one line per file as it ends; the details are shown when one fails
    (cd "$work/tap" && as_user prove -j"${PROVE_JOBS:-2}" --merge --timer -v \
        -I "$pgxs_test/perl" -I "$work/src/test/perl" "${tests[@]}") 2>&1 |
        tee "$work/tap.log" | stdbuf -oL awk '/^\[[0-9:]+\] .*\.pl \.+ *$/ { name = $2; sub(/.*\//, "", name) }
            /^not ok/ { print "    " $0 }
            name != "" && (/^ok +[0-9]+ ms/ || /^Dubious|^Failed|^All .* subtests passed|^skipped/) {
                print (/^ok/ ? "ok     " : "FAILED ") name " " $2 " " $3; name = "" }'
    status=${PIPESTATUS[0]}
    grep -E '^[^ #]*\.pl \.+$|^ok|^not ok' "$work/tap.log" | grep -cE '^ok' >"$work/tap.n"
    passed=$((passed + $(cat "$work/tap.n")))
    ill=$(grep -cE '^not ok' "$work/tap.log")
    failed=$((failed + ill))
    sed -n '/^Test Summary Report/,$p' "$work/tap.log"
    grep -E '^(Files=|Result)' "$work/tap.log"
    if [ $status -ne 0 ]; then
        [ "$ill" -gt 0 ] || bad "a TAP file ended early"
        grep -B2 -A12 -E '^not ok|Dubious|died' "$work/tap.log" | head -200
        # why a file ended early stands in the log of its own, not in what prove saw
        find "$work/tap" -name 'regress_log_*' | while read -r f; do
            grep -q 'test exited with' "$f" && { say "--- $f"; tail -20 "$f" | cut -c1-300; }
        done
        find "$work/tap" -name '*.log' -path '*log*' -newer "$work/build.log" | head -40 | while read -r f; do
            grep -lE 'PANIC|TRAP|signal (6|11)|ERROR|FATAL' "$f" >/dev/null && { say "--- $f"; tail -30 "$f"; }
        done
    fi
fi

if wanted clients; then
    step "clients: the libraries that applications use"
    want_packages python3-alembic python3-asyncpg python3-django python3-flask python3-peewee python3-pony python3-psycopg \
        python3-psycopg2 python3-sqlalchemy libdbd-pg-perl libdbix-class-perl \
        ruby-activerecord ruby-actionpack ruby-pg ruby-rack ruby-railties ruby-sequel ruby-webrick \
        php-cli php-pgsql php-doctrine-dbal php-doctrine-orm php-illuminate-database php-symfony-cache \
        default-jdk-headless libpostgresql-jdbc-java libeclipselink-java libhibernate3-java libjavassist-java \
        libspring-jdbc-java libspring-web-servlet-java libjetty9-java \
        golang-go golang-github-lib-pq-dev golang-github-jackc-pgx-v4-dev golang-github-jinzhu-gorm-dev pgbouncer
    # a library of JavaScript is fetched once, not for every run
    npm_packages "$work/src/test/clients/node"
    # no room for a worker: what is inserted stays queued.  Java comes by TCP: a port that
    # no other such run on this machine has.
    rm -f "$work/clients.log"
    clients_port=$(python3 "$work/src/test/free_ports.py" 1)
    new_server clients "$clients_port" "max_connections = 50" "listen_addresses = 'localhost'" "shared_preload_libraries = 'line_notify'" "max_worker_processes = 2"
    as_user env PGPORT="$clients_port" NODE_PATH="${node_modules:-}" TABLE="$work/clients.table" TMPDIR="$work" \
        bash "$work/src/test/clients/run.sh" $(names clients) >"$work/clients.tap" 2>&1
    grep -vE '^ok|^1\.\.' "$work/clients.tap"
    count_tap "$work/clients.tap"
    # nor does the server's own log hold the number of a message that was wrong
    if grep -qE '8765-?4321' "$work/clients.log"; then bad "a telephone number is in the server's log"; else ok; fi
    skipped_clients=$(sed -n 's/^ok .* - \(.*\) # SKIP \(.*\)/\1 (\2)/p' "$work/clients.tap" | paste -sd, -)
    [ -z "$skipped_clients" ] || skipped+=("clients: $skipped_clients")
    as_user "$pgbin/pg_ctl" -D "$work/clients" -m fast -w stop >/dev/null
fi

if wanted phone && [ -e "$work/src/test/phone_conformance.sh" ]; then
    step "phone numbers against libphonenumber"
    want_packages g++ libphonenumber-dev python3-phonenumbers libicu-dev clang-14 libclang-rt-14-dev
    if as_user bash "$work/src/test/phone_conformance.sh" >"$work/phone.log" 2>&1; then
        ok
        tail -4 "$work/phone.log"
    else
        tail -40 "$work/phone.log"
        bad "phone conformance"
    fi
fi

if wanted fuzz && [ -e "$work/src/test/fuzz/run.sh" ]; then
    step "fuzz"
    want_packages clang-14 libclang-rt-14-dev
    want_packages libhttp-parser-dev
    if as_user bash "$work/src/test/fuzz/run.sh" all "${FUZZ_SECONDS:-30}" >"$work/fuzz.log" 2>&1; then
        ok
        grep inputs "$work/fuzz.log"
    else
        tail -40 "$work/fuzz.log"
        bad "fuzz"
    fi
fi

if wanted ha; then
    step "failover under Patroni and etcd, and repmgr"
    # no service of theirs shall start here
    want_packages python3-psycopg2 python3-cdiff python3-click python3-dateutil python3-pkg-resources \
        python3-prettytable python3-psutil python3-urllib3 python3-yaml python3-dnspython
    borrow_packages patroni python3-etcd etcd-server "postgresql-$PG_MAJOR-repmgr"
    [ -z "$(names ha)" ] || borrow_packages pg-auto-failover-cli "postgresql-$PG_MAJOR-auto-failover"
    # their extensions, beside ours
    for p in "${PG_BASE:-/usr}" "$work/borrowed/usr"; do
        for f in "$p/lib/postgresql/$PG_MAJOR"/{bin,lib}/{repmgr,pgautofailover}* \
            "$p/share/postgresql/$PG_MAJOR/extension"/{repmgr,pgautofailover}*; do
            [ ! -e "$f" ] || cp "$f" "$work/pg/usr/${f#"$p"/}"
        done
    done
    if as_user env PYTHONPATH="$work/borrowed/usr/lib/python3/dist-packages" patroni --version >/dev/null 2>&1 &&
        as_user etcd --version >/dev/null 2>&1; then
        as_user env PYTHONPATH="$work/borrowed/usr/lib/python3/dist-packages" HA_ROUNDS="${HA_ROUNDS:-1}" \
            python3 "$work/src/test/ha/ha.py" "$work/ha" "$pgbin" $(names ha) 2>&1 | tee "$work/ha.tap" | grep --line-buffered '^#'
        count_tap "$work/ha.tap"
        grep -q '^# skipped: repmgr' "$work/ha.tap" && skipped+=(repmgr)
    else
        say "skipped: Patroni or etcd cannot be had"
        skipped+=(ha)
    fi
fi

say
[ ${#skipped[@]} -eq 0 ] || say "skipped: ${skipped[*]}"
step_ends
say "time: $((SECONDS - began)) s ($times)"
say "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
