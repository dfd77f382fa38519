#!/usr/bin/env bash
#
# test/check.sh, package.sh and pg_upgrade.sh on every supported server, each in a
# root of the Debian release that has it, as a stranger would run them there.
#
#   bash test/matrix.sh              15 17 18
#   bash test/matrix.sh 17 18        these only
#   GROUPS_OF_CHECK="unit regress" bash test/matrix.sh     groups of check.sh,
#                                    "package" for test/package.sh --install, and
#                                    "pg_upgrade" for test/pg_upgrade.sh from 15
#   TAP=001_delivery.pl GROUPS_OF_CHECK=tap bash test/matrix.sh  these TAP files
#
# A version is skipped, with the reason, only where this machine cannot have its
# root: no debootstrap, a mirror that does not answer or lacks the release, no
# right to mount.  Everything else that goes wrong, a root that breaks half-way
# as well as a build or a test, has failed.  STRICT=1: a skip is a failure, too.
#
# Needs root, debootstrap and the machine's own apt configuration.  Roots are
# kept in MATRIX_DIR (default /var/tmp/line_notify-matrix) and used again; what
# differs between them is also libcurl: 7.88, 8.14 and newer.  What runs in one
# has its own process ids and mounts, so nothing of it stays, however it ends.

set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
dir=${MATRIX_DIR:-/var/tmp/line_notify-matrix}
declare -A suite=([15]=bookworm [17]=trixie [18]=sid)
majors=("$@")
[ ${#majors[@]} -eq 0 ] && majors=(15 17 18)
groups=${GROUPS_OF_CHECK:-style unit regress tap phone fuzz package pg_upgrade}
began=$SECONDS
good=()
ill=()
skipped=()

finish() {
    echo
    echo "matrix: ${#good[@]} passed${good[*]:+ (${good[*]})}, ${#ill[@]} failed${ill[*]:+ (${ill[*]})}," \
        "${#skipped[@]} skipped${skipped[*]:+ (${skipped[*]})}; $((SECONDS - began)) s"
    [ ${#ill[@]} -eq 0 ] && { [ -z "${STRICT:-}" ] || [ ${#skipped[@]} -eq 0 ]; }
    exit
}
skip() { # major reason
    echo "skipped: PostgreSQL $1: $2"
    skipped+=("$1")
}
fail() { # major reason [log]
    echo "FAILED: PostgreSQL $1: $2"
    [ -n "${3:-}" ] && [ -e "$3" ] && tail -15 "$3" | sed 's/^/    /'
    ill+=("$1")
}

[ "$(id -u)" = 0 ] || { echo "matrix.sh needs root"; exit 1; }
if ! command -v debootstrap >/dev/null && ! apt-get install -y -q debootstrap >/dev/null 2>&1; then
    for major in "${majors[@]}"; do skip "$major" "debootstrap is not here and cannot be installed"; done
    finish
fi
mkdir -p "$dir" || exit 1

# the mirror this machine uses
mirror=$(apt-get indextargets --format '$(SITE)' 2>/dev/null | grep -m1 '/debian$')
mirror=${mirror:-http://deb.debian.org/debian}

# Does the mirror have this release?  Asked through apt: it knows the proxies.
mirror_has() { # suite
    local file
    file=$(mktemp)
    rm -f "$file"
    /usr/lib/apt/apt-helper -o Acquire::Retries=2 download-file "$mirror/dists/$1/InRelease" "$file" >/dev/null 2>&1 ||
        /usr/lib/apt/apt-helper -o Acquire::Retries=2 download-file "$mirror/dists/$1/Release" "$file" >/dev/null 2>&1
    local status=$?
    rm -f "$file"
    return $status
}

# in_root ROOT command...: 125 = the mounts it needs are not allowed here
in_root() {
    unshare --mount --pid --fork --kill-child --propagation slave sh -c '
        root=$1; shift
        mount -t proc proc "$root/proc" && mount --rbind /dev "$root/dev" && mkdir -p "$root/dev/shm" || exit 125
        chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
        exit $?' sh "$@"
}

make_root() { # suite directory
    rm -rf "$2"
    mkdir -p "$2"
    debootstrap --variant=minbase --include=ca-certificates,git "$1" "$2" "$mirror" >"$2.log" 2>&1 || return 1
    # proxies and the like of this machine; no service starts in a root
    cp -a /etc/apt/apt.conf.d/. "$2/etc/apt/apt.conf.d/" 2>/dev/null
    rm -f "$2"/etc/apt/apt.conf.d/*packagekit* "$2"/etc/apt/apt.conf.d/*appstream*
    [ -e /etc/apt/apt.conf ] && cp /etc/apt/apt.conf "$2/etc/apt/"
    printf '#!/bin/sh\nexit 101\n' >"$2/usr/sbin/policy-rc.d"
    chmod 755 "$2/usr/sbin/policy-rc.d"
    in_root "$2" apt-get update -q >>"$2.log" 2>&1 || return 1
    touch "$2/.complete"
}

# The programs of PostgreSQL 15, from the root of its release or this machine, for
# pg_upgrade in the root of a newer one; and the libraries that this lacks.
bring_15() { # root
    local from to=$1/opt/postgresql-15 d lib more
    for from in "$dir/bookworm" "" none; do     # "" is this machine
        [ -d "$from/usr/include/postgresql/15/server" ] && [ -x "$from/usr/lib/postgresql/15/bin/pg_upgrade" ] && break
    done
    [ "$from" != none ] || return 1
    rm -rf "$to"
    mkdir -p "$to/libs" "$to/usr/include/postgresql"
    for d in lib share include; do
        mkdir -p "$to/usr/$d/postgresql"
        cp -a "$from/usr/$d/postgresql/15" "$to/usr/$d/postgresql/" || return 1
    done
    cp -a "$from"/usr/include/postgresql/*.h "$from"/usr/include/postgresql/{internal,libpq} "$to/usr/include/postgresql/" || return 1
    # one may need another
    for _ in 1 2 3 4; do
        more=
        # shellcheck disable=SC2016
        for lib in $(in_root "$1" LD_LIBRARY_PATH=/opt/postgresql-15/libs sh -c 'cd /opt/postgresql-15; ldd usr/lib/postgresql/15/bin/* libs/*' 2>/dev/null |
            sed -n 's/^[[:space:]]*\([^ ]*\) => not found/\1/p' | sort -u); do
            find "$from/usr/lib" "$from/lib" -name "$lib" -exec cp -L {} "$to/libs/" \; -quit
            more=1
        done
        [ -n "$more" ] || break
    done
}

run_major() { # major
    local major=$1 s=${suite[$1]:-} log=$dir/check-$1.log start=$SECONDS status=0 parts=0 script part line
    [ -n "$s" ] || { fail "$major" "no Debian release is known for it"; return; }
    local root=$dir/$s
    echo "== PostgreSQL $major, Debian $s"
    unshare --mount --pid --fork true 2>/dev/null || { skip "$major" "no right to mount here"; return; }

    # one run at a time in a root
    exec 9>"$dir/$s.lock"
    flock 9
    if [ ! -e "$root/.complete" ]; then
        mirror_has "$s" || { skip "$major" "$mirror does not answer, or has no $s"; return; }
        make_root "$s" "$root" || { fail "$major" "the mirror has $s, but no root could be made of it" "$root.log"; return; }
    elif [ ! -x "$root/usr/lib/postgresql/$major/bin/pg_config" ]; then
        mirror_has "$s" || { skip "$major" "the root of $s has no PostgreSQL yet, and $mirror does not answer"; return; }
    fi
    # yesterday's list of packages names files that the mirror no longer has
    if mirror_has "$s"; then
        in_root "$root" apt-get update -q >"$root.log" 2>&1
        status=$?
        [ $status = 125 ] && { skip "$major" "no right to mount here"; return; }
        [ $status = 0 ] || { fail "$major" "apt-get update in the root of $s" "$root.log"; return; }
    fi

    # a clean clone, plus what is not committed yet
    rm -rf "$root/line_notify"
    git -c safe.directory='*' clone -q "$here" "$root/line_notify" 2>/dev/null || mkdir -p "$root/line_notify"
    (cd "$here" && git -c safe.directory='*' ls-files -z --cached --others --exclude-standard 2>/dev/null |
        tar --null --ignore-failed-read -T - -cf - 2>/dev/null) | tar -xf - -C "$root/line_notify"
    # not from git: as it is
    [ -e "$root/line_notify/Makefile" ] || cp -a "$here/." "$root/line_notify/"

    : >"$log"
    for part in check package pg_upgrade; do
        case $part in
            check) script="check.sh $(tr ' ' '\n' <<<"$groups" | grep -vxE 'package|pg_upgrade' | tr '\n' ' ')" ;;
            package) script="package.sh --install" ;;
            pg_upgrade) script="pg_upgrade.sh 15 $major" ;;
        esac
        if [ $part = check ]; then
            [ "${script//[[:space:]]/}" != check.sh ] || continue
        else
            [[ " $groups " == *" $part "* ]] || continue
        fi
        if [ $part = pg_upgrade ]; then
            [ "$major" -gt 15 ] || continue
            bring_15 "$root" || { echo "skipped: pg_upgrade to $major: no PostgreSQL 15 with its headers, here or in $dir/bookworm (bash test/matrix.sh 15 makes that)"; continue; }
        fi
        # the servers of pg_virtualenv in two roots would run for the same port
        exec 8>"$dir/package.lock"
        [ $part = package ] && flock 8
        # shellcheck disable=SC2086
        in_root "$root" PG_MAJOR="$major" OLD_BASE=/opt/postgresql-15/usr OLD_LIBS=/opt/postgresql-15/libs \
            ${PROVE_JOBS:+PROVE_JOBS=$PROVE_JOBS} ${PHONE_INPUTS:+PHONE_INPUTS=$PHONE_INPUTS} \
            ${FUZZ_SECONDS:+FUZZ_SECONDS=$FUZZ_SECONDS} ${TAP:+"TAP=$TAP"} \
            bash /line_notify/test/$script >"$dir/part-$major.log" 2>&1
        status=$?
        exec 8>&-
        parts=$((parts + 1))
        cat "$dir/part-$major.log" >>"$log"
        [ $status = 125 ] && { skip "$major" "no right to mount here"; return; }
        grep -E '^(PostgreSQL|FAILED|skipped|time:)' "$dir/part-$major.log"
        line=$(tail -n 1 "$dir/part-$major.log")
        echo "PostgreSQL $major, ${script%% *}: $line"
        # nothing passed is no success either
        if [ $status -ne 0 ] || ! [[ $line =~ ^[1-9][0-9]*\ passed,\ 0\ failed$ ]]; then
            fail "$major" "${script%% *}, status $status, log $log" "$dir/part-$major.log"
            return
        fi
    done
    rm -f "$dir/part-$major.log"
    [ $parts -gt 0 ] || { echo "nothing to do for PostgreSQL $major"; return; }
    echo "PostgreSQL $major: $((SECONDS - start)) s, log $log"
    good+=("$major")
}

for major in "${majors[@]}"; do
    run_major "$major"
done
finish
