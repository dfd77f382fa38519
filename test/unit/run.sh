#!/bin/bash
#
# Unit tests of the files that know no PostgreSQL.
#
#   bash test/unit/run.sh [name ...]      e.g. crypto line_api
#
# Each test is one program, built by one compiler call with
# every warning an error and with the address and undefined-behaviour
# sanitizers, then run.  Prints TAP; a program that dies before its plan, or
# does not compile, is one "not ok" line.  Status 0 = everything passed.
#
# Needs a C compiler, the headers of libcurl and OpenSSL, the openssl program.
#
set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
build=${LN_UNIT_BUILD:-$here/build}
cc=${CC:-gcc}
flags=(-std=gnu99 -D_GNU_SOURCE -g -O1 -Wall -Wextra -Werror -Wmissing-prototypes
	-Wdeclaration-after-statement -Wvla -fno-omit-frame-pointer
	-fsanitize=address,undefined -fno-sanitize-recover=all
	-I"$root/src" -I"$here")

# test -> source files of ours, then libraries
declare -A sources=(
	[agenda_sim]="base/gate.c base/agenda.c base/lane.c base/token_timer.c base/breaker.c"
	[breaker]="base/breaker.c"
	[content_corpus]="content/message_check.c content/flexible_check.c content/check_common.c base/name.c"
	[crypto]="base/crypto.c"
	[design]="content/design.c"
	[histogram]="base/histogram.c"
	[horizon]="base/horizon.c"
	[http1]="http/http1.c"
	[http]="http/http.c http/http_origin.c http/http_conn.c http/http_transfer.c http/http_pool.c
		http/http1.c ../test/unit/rude_server.c"
	[line_api]="line/line_api.c"
	[message_check]="content/message_check.c content/flexible_check.c content/check_common.c base/name.c"
	[name]="base/name.c"
	[phone]="phone/phone_clean.c phone/phone_exact.c phone/phone_safe.c"
	[quiet]="base/quiet.c"
	[retry]="base/retry.c"
	[sample]="base/sample.c"
	[token_api]="line/token_api.c line/line_api.c base/crypto.c"
	[token_bucket]="base/token_bucket.c"
	[traceparent]="base/traceparent.c"
	[webhook_body]="line/webhook_body.c line/line_api.c"
	[window]="base/window.c"
)
declare -A libs=(
	[crypto]="-lcrypto"
	[http]="-lcurl -lssl -lcrypto -lpthread -ldl"
	[token_api]="-lcrypto"
)
order=()
for t in "$here"/*_test.c; do
	t=$(basename "$t" _test.c)
	order+=("$t")
	# "" for a test that includes its sources
	[ -n "${sources[$t]+x}" ] || { echo "not ok - $t has no entry in run.sh"; exit 1; }
done

mkdir -p "$build" || exit 1

# libcurl 8.14 itself leaks a host name of 21 bytes after a failed connect;
# older and newer ones do not, and are checked without exceptions.
case $(curl-config --version 2>/dev/null) in
	*\ 8.14.*)
		echo 'leak:libcurl.so' >"$build/lsan.supp"
		export LSAN_OPTIONS=suppressions=$build/lsan.supp:print_suppressions=0
		;;
esac
[ $# -gt 0 ] && order=("$@")

failed=0

fail()
{
	echo "not ok - $1"
	failed=1
}

for t in "${order[@]}"; do
	echo "# $t"
	files=("$here/${t}_test.c")
	for f in ${sources[$t]}; do
		files+=("$root/src/$f")
	done
	if ! "$cc" "${flags[@]}" "${files[@]}" ${libs[$t]-} -o "$build/${t}_test" 2>"$build/$t.log"; then
		sed 's/^/# /' "$build/$t.log"
		fail "$t does not compile"
		continue
	fi
	# timeout: a hanging test is a failure with a name, not a hanging check
	timeout "${LN_UNIT_TIMEOUT:-300}" "$build/${t}_test" >"$build/$t.tap" 2>"$build/$t.log"
	status=$?
	cat "$build/$t.tap"
	if ! grep -q '^1\.\.[0-9]' "$build/$t.tap"; then
		sed 's/^/# /' "$build/$t.log"
		fail "$t ended early with status $status"
	elif [ $status -ne 0 ]; then
		sed 's/^/# /' "$build/$t.log"
		failed=1
		# a leak is reported after the plan, with every line ok
		grep -q '^not ok' "$build/$t.tap" || echo "not ok - $t: status $status"
	fi
done

exit $failed
