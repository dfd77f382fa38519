#!/bin/sh
# Makes a throw-away certificate authority and certificates in a directory:
#
#     sh certs.sh DIR
#
#   ca.pem                      the authority, for ca_file, curl --cacert …
#   good.pem, good.key          localhost, 127.0.0.1, api.line.me
#   expired.pem, expired.key    the same names, ended in 2021
#   future.pem, future.key      the same names, not valid before 2099
#   wronghost.pem, …            wrong.example.com only
#   selfsigned.pem, …           the right names, signed by nobody
#   otherca.pem, …              the right names, signed by an unknown authority
#
# Nothing of this is secret or lasting: make it anew for every run.  Needs the
# openssl command.
set -eu

dir=${1:?usage: certs.sh DIR}
mkdir -p "$dir"
cd "$dir"
umask 077

key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null; }

# `openssl ca` is the one command that can set both dates (before 3.4, -x509
# and x509 -req only count days from now), and it wants a directory of its own.
authority() {
    key "$1.key"
    openssl req -x509 -new -key "$1.key" -sha256 -days 2 -subj "/CN=$2" \
        -addext basicConstraints=critical,CA:TRUE \
        -addext keyUsage=critical,keyCertSign,cRLSign -out "$1.pem" 2>/dev/null
    mkdir -p "$1.d"
    : > "$1.d/index"
    echo 01 > "$1.d/serial"
    cat > "$1.cnf" <<END
[ca]
default_ca = d
[d]
database = $1.d/index
serial = $1.d/serial
new_certs_dir = $1.d
certificate = $1.pem
private_key = $1.key
default_md = sha256
policy = p
unique_subject = no
[p]
commonName = supplied
END
}

stamp() { date -u -d "@$(($(date +%s) + $1))" +%Y%m%d%H%M%SZ 2>/dev/null ||
          date -u -r "$(($(date +%s) + $1))" +%Y%m%d%H%M%SZ; }

good_names=DNS:localhost,IP:127.0.0.1,DNS:api.line.me

# leaf NAME AUTHORITY NAMES FROM UNTIL
leaf() {
    key "$1.key"
    openssl req -new -key "$1.key" -subj "/CN=$1" -out "$1.csr" 2>/dev/null
    printf 'subjectAltName=%s\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n' \
        "$3" > "$1.ext"
    openssl ca -batch -notext -config "$2.cnf" -extfile "$1.ext" \
        -startdate "$4" -enddate "$5" -in "$1.csr" -out "$1.pem" 2>/dev/null
    rm -f "$1.csr" "$1.ext"
}

now=$(stamp -3600)
later=$(stamp 172800)
authority ca "line-sim test authority"
authority other "line-sim unknown authority"
leaf good ca "$good_names" "$now" "$later"
leaf expired ca "$good_names" 20200101000000Z 20210101000000Z
leaf future ca "$good_names" 20990101000000Z 20990201000000Z
leaf wronghost ca DNS:wrong.example.com "$now" "$later"
leaf otherca other "$good_names" "$now" "$later"

key selfsigned.key
openssl req -x509 -new -key selfsigned.key -sha256 -days 2 \
    -subj /CN=localhost -addext "subjectAltName=$good_names" \
    -out selfsigned.pem 2>/dev/null

# The authorities have done their work.
rm -rf ca.key ca.cnf ca.d other.key other.cnf other.d other.pem
