#!/usr/bin/env bash
#
# test/check.sh on every supported server, each in a fresh root of the Debian
# release that has it, as a stranger would run it there.
#
#   bash test/matrix.sh              15 17 18
#   bash test/matrix.sh 17 18        these only
#   GROUPS_OF_CHECK="unit regress" bash test/matrix.sh     groups of check.sh
#
#   TAP=001_delivery.pl GROUPS_OF_CHECK=tap bash test/matrix.sh  these TAP files
#
# A release whose root cannot be made here (no mirror, no right to mount) is
# reported as skipped; a test that fails there is a failure.
#
# Needs root, debootstrap and the machine's own apt configuration.  Roots are
# kept in MATRIX_DIR (default /var/tmp/line_notify-matrix) and used again; what
# differs between them is also libcurl: 7.88, 8.14 and newer.

set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
dir=${MATRIX_DIR:-/var/tmp/line_notify-matrix}
declare -A suite=([15]=bookworm [17]=trixie [18]=sid)
majors=("$@")
[ ${#majors[@]} -eq 0 ] && majors=(15 17 18)
groups=${GROUPS_OF_CHECK:-}

[ "$(id -u)" = 0 ] || { echo "matrix.sh needs root"; exit 1; }
command -v debootstrap >/dev/null || apt-get install -y -q debootstrap >/dev/null 2>&1 ||
    { echo "skipped: ${majors[*]} (debootstrap cannot be installed)"; exit 0; }

# the mirror this machine uses
mirror=$(apt-get indextargets --format '$(SITE)' 2>/dev/null | grep -m1 '/debian$')
mirror=${mirror:-http://deb.debian.org/debian}

make_root() { # suite directory
    [ -e "$2/.complete" ] && return 0
    rm -rf "$2"
    mkdir -p "$2"
    debootstrap --variant=minbase --include=ca-certificates,git "$1" "$2" "$mirror" >"$2.log" 2>&1 ||
        { tail -5 "$2.log"; return 1; }
    # proxies and the like of this machine; no service starts in a root
    cp -a /etc/apt/apt.conf.d/. "$2/etc/apt/apt.conf.d/" 2>/dev/null
    rm -f "$2"/etc/apt/apt.conf.d/*packagekit* "$2"/etc/apt/apt.conf.d/*appstream*
    [ -e /etc/apt/apt.conf ] && cp /etc/apt/apt.conf "$2/etc/apt/"
    printf '#!/bin/sh\nexit 101\n' >"$2/usr/sbin/policy-rc.d"
    chmod 755 "$2/usr/sbin/policy-rc.d"
    chroot "$2" apt-get update -q >>"$2.log" 2>&1 || { tail -5 "$2.log"; return 1; }
    touch "$2/.complete"
}

mount_root() {
    { mountpoint -q "$1/proc" || mount -t proc proc "$1/proc"; } &&
        { mountpoint -q "$1/dev" || mount --rbind /dev "$1/dev"; } &&
        mkdir -p "$1/dev/shm"
}

umount_root() {
    umount -l "$1/dev" "$1/proc" 2>/dev/null
}

failed=0
skipped=()
for major in "${majors[@]}"; do
    s=${suite[$major]:-}
    [ -n "$s" ] || { echo "no Debian release known for PostgreSQL $major"; failed=1; continue; }
    root=$dir/$s
    echo "== PostgreSQL $major, Debian $s"
    start=$SECONDS
    make_root "$s" "$root" || { skipped+=("$major"); continue; }
    mount_root "$root" || { umount_root "$root"; skipped+=("$major"); continue; }
    rm -rf "$root/line_notify"
    # a clean clone, plus what is not committed yet
    git -c safe.directory='*' clone -q "$here" "$root/line_notify" 2>/dev/null || mkdir -p "$root/line_notify"
    (cd "$here" && git ls-files -z --cached --others --exclude-standard 2>/dev/null |
        tar --null --ignore-failed-read -T - -cf - 2>/dev/null) | tar -xf - -C "$root/line_notify"
    # shellcheck disable=SC2086
    chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 PG_MAJOR="$major" \
        ${PROVE_JOBS:+PROVE_JOBS=$PROVE_JOBS} ${PHONE_INPUTS:+PHONE_INPUTS=$PHONE_INPUTS} ${TAP:+"TAP=$TAP"} \
        bash /line_notify/test/check.sh $groups >"$dir/check-$major.log" 2>&1
    status=$?
    umount_root "$root"
    grep -E '^(PostgreSQL|FAILED|skipped)' "$dir/check-$major.log"
    echo "PostgreSQL $major: $(tail -1 "$dir/check-$major.log"), $((SECONDS - start)) s, log $dir/check-$major.log"
    [ $status -eq 0 ] || failed=1
done
[ ${#skipped[@]} -eq 0 ] || echo "skipped: PostgreSQL ${skipped[*]} (no root of that release can be made here, see $dir)"
exit $failed
