#!/usr/bin/env bash
#
# What is handed out: the archives of "make dist" and the Debian packages.
#
#   bash test/package.sh             archives are the same bytes twice, and are
#                                    built and tested from; packages are built
#   bash test/package.sh --install   then they are installed into this system and
#                                    tried there: only for a root that is thrown
#                                    away, as test/matrix.sh makes them
#
# The last line is "N passed, N failed".  Packages are left in OUT, if it is set.

set -u
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

install=
[ "${1:-}" = --install ] && install=1
passed=0
failed=0
check() { # status name [log]
    if [ "$1" = 0 ]; then
        passed=$((passed + 1))
        say "ok: $2"
    else
        failed=$((failed + 1))
        say "FAILED: $2"
        [ -n "${3:-}" ] && tail -40 "$3"
    fi
    return "$1"
}
finish() {
    say "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
    exit
}

step "packages"
base_packages
need_packages git unzip build-essential debhelper postgresql-server-dev-all libipc-run-perl
want_packages lintian
plain_user
make_work package
private_postgres

step "make dist"
# of what is committed: in a clone, where changes that are not yet are committed
as_user git -C "$work/src" init -q
as_user git -C "$work/src" add -A -f
as_user git -C "$work/src" -c user.name=test -c user.email=test@localhost commit -q -m "as it is"
as_user env TZ=Asia/Tokyo make -C "$work/src" -s dist PG_CONFIG="$PG_CONFIG" >"$work/dist.log" 2>&1
check $? "make dist" "$work/dist.log" || finish
name=$(basename "$work"/src/line_notify-*.zip .zip)
mkdir "$work/again"
[ "$(id -u)" = 0 ] && chown "$LN_USER" "$work/again"
as_user git clone -q "$work/src" "$work/again/clone" 2>/dev/null
(umask 077 && as_user env TZ=America/New_York LC_ALL=C make -C "$work/again/clone" -s dist PG_CONFIG="$PG_CONFIG") >"$work/dist.log" 2>&1
cmp "$work/src/$name.zip" "$work/again/clone/$name.zip" && cmp "$work/src/$name.tar.gz" "$work/again/clone/$name.tar.gz"
check $? "the same bytes from another clone, time zone and umask: $(sha256sum <"$work/src/$name.tar.gz" | cut -c 1-16)"

mkdir "$work/zip" "$work/tar"
(cd "$work/zip" && unzip -q "$work/src/$name.zip") && (cd "$work/tar" && tar -xzf "$work/src/$name.tar.gz") &&
    diff -r "$work/zip" "$work/tar" && [ "$(ls "$work/tar")" = "$name" ]
check $? "zip and tar.gz have the same files, in one directory"
junk=$(cd "$work/tar/$name" && find . \( -name '*.o' -o -name '*.so' -o -name '*.bc' -o -name '*.pyc' -o -name '*.orig' \
    -o -name '*.rej' -o -name '.git' -o -name regression.diffs \) -print)
check "${#junk}" "nothing made by machine, nothing of git${junk:+: $junk}"
python3 "$work/tar/$name/test/meta.py" "$work/tar/$name/META.json" >"$work/meta.log" 2>&1
check $? "META.json is valid and names files that are there" "$work/meta.log"
[ "$(id -u)" = 0 ] && chown -R "$LN_USER" "$work/zip" "$work/tar"

step "from the archive: make, make install, make installcheck"
pushd "$work/tar/$name" >/dev/null || exit 1
as_user make -s -j"$(nproc)" with_llvm=no PG_CONFIG="$PG_CONFIG" >"$work/build.log" 2>&1 &&
    as_user make -s install with_llvm=no PG_CONFIG="$PG_CONFIG" >>"$work/build.log" 2>&1
if check $? "make, make install" "$work/build.log"; then
    new_server regress 54302 "max_prepared_transactions = 4"
    as_user make -s installcheck with_llvm=no PG_CONFIG="$PG_CONFIG" PGPORT=54302 PGHOST="$work" >"$work/installcheck.log" 2>&1
    check $? "make installcheck: $(grep -cE '^(ok|test .* ok) ' "$work/installcheck.log") tests" "$work/installcheck.log"
    as_user "$pgbin/pg_ctl" -D "$work/regress" -m fast -w stop >/dev/null
fi
popd >/dev/null || exit 1

step "Debian packages"
mkdir "$work/deb"
cp "$work/src/$name.tar.gz" "$work/deb/line-notify_${name#line_notify-}.orig.tar.gz"
cp -a "$work/zip/$name" "$work/deb/$name"
[ "$(id -u)" = 0 ] && chown -R "$LN_USER" "$work/deb"
# the packages that can be made depend on the release of Debian
(cd "$work/deb/$name" && as_user pg_buildext updatecontrol) >"$work/deb.log" 2>&1
(cd "$work/deb/$name" && as_user env DEB_BUILD_OPTIONS="parallel=$(nproc)" dpkg-buildpackage -us -uc) >>"$work/deb.log" 2>&1
check $? "dpkg-buildpackage, with its tests" "$work/deb.log" || finish
debs=("$work"/deb/*.deb)
(cd "$work/deb" && ls -- *.deb *.dsc)
[ -z "${OUT:-}" ] || { mkdir -p "$OUT" && cp "$work"/deb/*.deb "$work"/deb/*.dsc "$work"/deb/*.tar.* "$OUT"; }
ls "$work/deb/postgresql-$PG_MAJOR-line-notify"_*.deb >/dev/null 2>&1
check $? "there is a package for PostgreSQL $PG_MAJOR"
if command -v lintian >/dev/null; then
    # debian/ is in our own archive, and this is not an upload
    (cd "$work/deb" && as_user lintian --fail-on error,warning --suppress-tags initial-upload-closes-no-bugs,bad-distribution-in-changes-file,unreleased-changes,no-debian-changes \
        -- *.changes) >"$work/lintian.log" 2>&1
    check $? "lintian has no error and no warning" "$work/lintian.log"
fi

if [ -n "$install" ]; then
    step "installed"
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -y -q --no-install-recommends "${debs[@]}" >"$work/apt.log" 2>&1
    if check $? "apt-get install" "$work/apt.log"; then
        (cd "$work/deb/$name" && as_user bash -c 'debian/tests/installcheck') >"$work/autopkgtest.log" 2>&1
        check $? "debian/tests/installcheck: $(grep -cE '^(ok|test .* ok) ' "$work/autopkgtest.log") tests" "$work/autopkgtest.log"
        grep -q "### PostgreSQL $PG_MAJOR installcheck" "$work/autopkgtest.log"
        check $? "of PostgreSQL $PG_MAJOR" "$work/autopkgtest.log"
        (cd "$work/deb/$name" && as_user debian/tests/delivery) >"$work/delivery.log" 2>&1
        check $? "debian/tests/delivery: a message from the installed package arrives" "$work/delivery.log"
        grep '|accepted|' "$work/delivery.log"
        check $? "and is accepted" "$work/delivery.log"
        apt-get purge -y -q "postgresql-$PG_MAJOR-line-notify" line-notify-doc >"$work/apt.log" 2>&1
        check $? "apt-get purge" "$work/apt.log"
        left=$(find /usr/lib/postgresql /usr/share/postgresql /usr/share/doc -name '*line*notify*')
        check "${#left}" "nothing is left${left:+: $left}"
    fi
fi
say
finish
