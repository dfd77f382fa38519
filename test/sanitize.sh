#!/bin/bash
#
# sanitize.sh [asan|valgrind] [messages]
#
# Runs the worker over so many messages (10,000) to the simulated LINE API, with
# every kind of answer, reloads and a restart in between, asks for LINE's figures,
# hands in ten times as many mutilated webhook bodies, and calls every function of
# the catalog with extreme values: once under ASan and UBSan, once under valgrind's
# memcheck.  Ends with 0 when nothing was found.
#
# ASan: the library is built with the sanitizers and libasan is preloaded into
# an ordinary server.  Leaks are not reported (the server frees at exit by
# leaving), and PostgreSQL's own memory contexts hide errors within a block;
# valgrind sees less of the stack and globals, but all of libcurl.
#
# Installs what it needs on Debian as root (then the server runs as postgres);
# any other user sees to it.  PG_CONFIG chooses the server.
#
set -eu
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

what=${1:-asan}
messages=${2:-10000}
here=$(cd "$(dirname "$0")/.." && pwd)
base_packages
need_packages curl
[ "$what" != valgrind ] || need_packages valgrind
plain_user
pg_config=${PG_CONFIG:-/usr/lib/postgresql/$PG_MAJOR/bin/pg_config}
began=$SECONDS
work=$(mktemp -d "${TMPDIR:-/tmp}/line_notify-sanitize.XXXXXX")
user=
if [ "$(id -u)" = 0 ]; then
	user=${LN_USER:-postgres}
	chown "$user" "$work"
fi
as() {
	if [ -n "$user" ]; then runuser -u "$user" -- "$@"; else "$@"; fi
}

# A private copy of the server, so that nothing is installed over anything.
mkdir -p "$work/pg"
for dir in bindir sharedir pkglibdir; do
	from=$("$pg_config" --$dir)
	mkdir -p "$work/pg$(dirname "$from")"
	cp -a "$from" "$work/pg$(dirname "$from")/"
done
bin=$work/pg$("$pg_config" --bindir)
share=$work/pg$("$pg_config" --sharedir)
lib=$work/pg$("$pg_config" --pkglibdir)

flags="-g -O1 -fno-omit-frame-pointer"
[ "$what" = asan ] && flags="$flags -fsanitize=address,undefined -fno-sanitize=alignment -fno-sanitize-recover=undefined"
mkdir "$work/build"
cp -r "$here/src" "$here/sql" "$here/Makefile" "$here/line_notify.control" "$work/build/"
find "$work/build/src" -name '*.o' -delete
make -s -j2 -C "$work/build" PG_CONFIG="$pg_config" with_llvm=no PG_CFLAGS="$flags" \
	SHLIB_LINK="-lcurl -lssl -lcrypto $([ "$what" = asan ] && echo -fsanitize=address,undefined)" >"$work/build.log" 2>&1 ||
	{ tail -20 "$work/build.log"; exit 1; }
cp "$work/build/line_notify.so" "$lib/"
cp "$work/build/line_notify.control" "$work"/build/sql/line_notify--*.sql "$share/extension/"

data=$work/data
reports=$work/reports
mkdir "$reports"
chmod 777 "$reports"
as "$bin/initdb" -D "$data" -A trust -U postgres -N >/dev/null
cat >>"$data/postgresql.conf" <<-CONF
	listen_addresses = ''
	unix_socket_directories = '$work'
	shared_preload_libraries = 'line_notify'
	line_notify.node = 'sanitize'
	fsync = off
CONF

case $what in
asan)
	# glibc's bindtextdomain() never returns when libasan was preloaded into a
	# program that was not linked with it: messages stay in English
	cat >"$work/nonls.c" <<-C
		char *bindtextdomain(const char *d, const char *n) { return (char *) n; }
		char *textdomain(const char *d) { return (char *) d; }
		char *bind_textdomain_codeset(const char *d, const char *c) { return (char *) c; }
		char *gettext(const char *s) { return (char *) s; }
		char *dgettext(const char *d, const char *s) { return (char *) s; }
		char *ngettext(const char *s, const char *p, unsigned long n) { return (char *) (n == 1 ? s : p); }
		char *dngettext(const char *d, const char *s, const char *p, unsigned long n) { return (char *) (n == 1 ? s : p); }
	C
	gcc -w -shared -fPIC -o "$work/nonls.so" "$work/nonls.c"
	as env LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so) $work/nonls.so" \
		ASAN_OPTIONS="detect_leaks=0:abort_on_error=1:log_path=$reports/asan" \
		UBSAN_OPTIONS="print_stacktrace=1:log_path=$reports/ubsan" \
		"$bin/postgres" -D "$data" >"$work/log" 2>&1 &
	;;
valgrind)
	# the server's own habits: padding of what it writes, memory left at exit; what
	# happens in our own code or below it is never hidden
	cat >"$work/postgres.supp" <<-SUPP
		{
		   padding in WAL, pages and files
		   Memcheck:Param
		   write(buf)
		   ...
		   obj:*/bin/postgres
		   ...
		}
		{
		   padding in pages and WAL
		   Memcheck:Param
		   pwrite64(buf)
		   ...
		   obj:*/bin/postgres
		   ...
		}
		{
		   padding in pages and WAL, vectors
		   Memcheck:Param
		   pwritev(vector[0])
		   ...
		   obj:*/bin/postgres
		   ...
		}
		{
		   padding in messages
		   Memcheck:Param
		   socketcall.sendto(msg)
		   ...
		   obj:*/bin/postgres
		   ...
		}
		{
		   checksum of WAL over padding
		   Memcheck:Value8
		   obj:*/bin/postgres
		   ...
		}
		{
		   checksum of WAL over padding, 4 bytes
		   Memcheck:Value4
		   obj:*/bin/postgres
		   ...
		}
		{
		   comparison of padding
		   Memcheck:Cond
		   obj:*/bin/postgres
		   ...
		}
	SUPP
	# its own files go where the server's user may write
	as env TMPDIR="$work" valgrind --quiet --trace-children=yes --track-origins=yes --leak-check=no --gen-suppressions=no \
		--error-exitcode=0 --suppressions="$work/postgres.supp" --log-file="$reports/valgrind.%p" \
		"$bin/postgres" -D "$data" >"$work/log" 2>&1 &
	;;
*)
	echo "usage: $0 [asan|valgrind] [messages]" >&2
	exit 2
	;;
esac
psql=("$bin/psql" -h "$work" -U postgres -d postgres -XAtq -v ON_ERROR_STOP=1)
finish() {
	kill -INT "$(head -1 "$data/postmaster.pid" 2>/dev/null)" 2>/dev/null || true
	exec 7>&- 2>/dev/null || true
	[ -z "${sim:-}" ] || kill "$sim" 2>/dev/null || true
	wait 2>/dev/null || true
}
trap finish EXIT
for _ in $(seq 300); do
	"${psql[@]}" -c 'SELECT 1' >/dev/null 2>&1 && break
	kill -0 $! 2>/dev/null || { tail -5 "$work/log"; echo "the server did not start, see $work/log"; exit 1; }
	sleep 0.2
done

python3 "$here/test/mock/line_api.py" >"$work/sim.out" 2>"$work/sim.err" &
sim=$!
for _ in $(seq 100); do
	grep -q '^ready' "$work/sim.out" && break
	sleep 0.1
done
url=$(sed -n 's/^ready http=\(\S*\).*/http:\/\/\1/p' "$work/sim.out")
control=$(sed -n 's/.*control=\(\S*\).*/http:\/\/\1/p' "$work/sim.out")
: "${control:=$url}"

# some of everything
curl -sf -X POST "$control/_sim/script" -d '[
 {"match": {"path": "send", "probability": 0.01, "seed": 1}, "answer": 500},
 {"match": {"path": "send", "probability": 0.01, "seed": 2}, "answer": {"status": 429, "headers": {"Retry-After": 1}}, "times": 5},
 {"match": {"path": "send", "probability": 0.01, "seed": 3}, "answer": {"status": 400, "body_size": 100000}},
 {"match": {"path": "send", "probability": 0.01, "seed": 4}, "answer": 422},
 {"match": {"path": "send", "probability": 0.01, "seed": 5}, "at": "body", "do": ["reset"]},
 {"match": {"path": "send", "probability": 0.01, "seed": 6}, "at": "body", "do": [{"send": "garbage\r\n\r\n"}, "close"]},
 {"match": {"path": "send", "probability": 0.01, "seed": 7}, "at": "body", "do": [{"answer_to": "headers"}, "close"]}]' >/dev/null

"${psql[@]}" >/dev/null <<-SQL
	CREATE EXTENSION line_notify;
	SELECT line_notify.create_channel('shop', api_base => '$url', line_channel_id => '1234567890', total_timeout => '20 s');
	SELECT line_notify.set_credential('shop', 'access_token', 'line-sim-token');
	SELECT line_notify.set_credential('shop', 'channel_secret', '8c570fa6dd201bb328f1c1eac23a96d8');
SQL
for part in 1 2 3 4; do
	"${psql[@]}" -c "INSERT INTO line_notify.outbox (phone, use_case, template_key, body, reference)
		SELECT '090' || (10000000 + $part * 1000000 + i), 'parcel_delivery', 'shipment_completed_ja',
			'{\"items\": [{\"itemKey\": \"number_001_ja\", \"content\": \"1234\"}]}', 'ref ' || i
		FROM generate_series(1, $messages / 4) i"
	"${psql[@]}" -c 'SELECT pg_reload_conf()' >/dev/null
	[ $part != 3 ] || "${psql[@]}" -c "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'line_notify worker'" >/dev/null
	for _ in $(seq 3000); do
		left=$("${psql[@]}" -c 'SELECT count(*) FROM line_notify.outbox')
		[ "$left" = 0 ] && break
		sleep 0.2
	done
	rss=$("${psql[@]}" -c "SELECT pid FROM pg_stat_activity WHERE backend_type = 'line_notify worker'" | head -1)
	[ -z "$rss" ] || echo "part $part: $left left, worker $(sed -n 's/^VmRSS:\s*//p' "/proc/$rss/status" 2>/dev/null)"
done
"${psql[@]}" -F ' ' -c 'SELECT state, count(*) FROM line_notify.notifications GROUP BY 1 ORDER BY 1'

# LINE's figures of past days, outcomes announced, and ten times as many webhook
# bodies, signed, and mutilated: bytes changed, removed, doubled, cut off
"${psql[@]}" >/dev/null <<-SQL
	ALTER SYSTEM SET line_notify.notify_outcomes = 'outcomes';
	SELECT pg_reload_conf();
	UPDATE line_notify.daily_count SET day = day - 3;
	INSERT INTO line_notify.daily_count (channel, day, kind, aggregation_unit, outcome, n)
		SELECT 'shop', current_date - 4, 'flexible', 'unit_' || i, 'accepted', 1 FROM generate_series(1, 20) i;
	SELECT line_notify.alter_channel('shop', rate_limit => 1999);
	INSERT INTO line_notify.outbox (phone, use_case, template_key) SELECT '090' || (80000000 + i), 'reminder', 't' FROM generate_series(1, 50) i;
	DO \$\$
	DECLARE
		secret CONSTANT text := '8c570fa6dd201bb328f1c1eac23a96d8';
		inner_pad bytea := decode(repeat('36', 64), 'hex');
		outer_pad bytea := decode(repeat('5c', 64), 'hex');
		whole bytea;
		body bytea;
		at int;
	BEGIN
		FOR i IN 0 .. length(secret) - 1 LOOP
			inner_pad := set_byte(inner_pad, i, ascii(substr(secret, i + 1, 1)) # 54);
			outer_pad := set_byte(outer_pad, i, ascii(substr(secret, i + 1, 1)) # 92);
		END LOOP;
		SELECT convert_to('{"destination":"U0","events":[{"type":"message","message":{"text":"\\u0000\\ud83d"},"webhookEventId":"m"},'
			|| string_agg(format('{"type":"delivery","delivery":{"data":"ln1-%s-1-%s"},"webhookEventId":"e%s","timestamp":1750000000000}', id, repeat('0', 13), id), ',')
			|| ',{"type":"delivery","delivery":{"data":"' || repeat('a', 64) || '"},"webhookEventId":"h","timestamp":1750000000000},'
			|| '{"type":"follow","webhookEventId":"f","timestamp":1750000000000}]}', 'UTF8')
		INTO whole FROM generate_series(1, 3) id;
		FOR i IN 1 .. $messages * 10 LOOP
			body := whole;
			FOR j IN 1 .. floor(random() * 4) LOOP
				at := floor(random() * length(body));
				body := CASE floor(random() * 5)::int
					WHEN 0 THEN set_byte(body, at, floor(random() * 256)::int)
					WHEN 1 THEN substr(body, 1, at) || substr(body, at + 2)
					WHEN 2 THEN substr(body, 1, at) || substr(body, greatest(1, at - 20))
					WHEN 3 THEN set_byte(body, at, get_byte('"{}[],:0nul'::bytea, floor(random() * 10)::int))
					ELSE substr(body, 1, greatest(at, 1)) END;
				EXIT WHEN length(body) < 2;
			END LOOP;
			BEGIN
				PERFORM line_notify.receive_webhook('shop', body, encode(sha256(outer_pad || sha256(inner_pad || body)), 'base64'));
			EXCEPTION WHEN invalid_parameter_value OR character_not_in_repertoire THEN
				NULL;
			END;
		END LOOP;
	END \$\$;
SQL
for _ in $(seq 600); do
	left=$("${psql[@]}" -c "SELECT (SELECT count(*) FROM line_notify.webhook_event) + (SELECT count(*) FROM line_notify.outbox)
		+ CASE WHEN EXISTS (SELECT FROM line_notify.engagement_count) THEN 0 ELSE 1 END")
	[ "$left" = 0 ] && break
	sleep 0.2
done
echo "$((messages * 10)) webhook bodies; $left left; $("${psql[@]}" -c 'SELECT count(*) FROM line_notify.engagement_count') units"

# every function with extreme values, as several roles; a session that a sanitizer
# ends takes the rest of its calls with it, and is found below
"${psql[@]}" -v calls=5 -f "$here/test/fuzz/functions.sql" >"$work/functions.out" 2>&1 ||
	echo 'cannot happen: the calls did not come to their end' >>"$work/functions.out"
impossible=$(grep -cE 'cannot happen|connection to server was lost' "$work/functions.out" || true)
grep -E 'cannot happen' "$work/functions.out" | cut -c1-300 | head || true
trap - EXIT
finish

if [ "$what" = valgrind ]; then
	# of the server's own code nothing is asked here
	found=$(cat "$reports"/* 2>/dev/null | grep -c 'line_notify.so' || true)
else
	found=$(cat "$reports"/* 2>/dev/null | grep -cE 'ERROR: AddressSanitizer|runtime error' || true)
fi
crashes=$(grep -cE 'PANIC|TRAP|was terminated by signal' "$work/log" || true)
echo "$what: $messages messages in $((SECONDS - began)) s, $found reports that concern us, $crashes crashes, $impossible impossible errors"
if [ "$found" != 0 ] || [ "$crashes" != 0 ] || [ "$impossible" != 0 ]; then
	cat "$reports"/* 2>/dev/null | head -100
	grep -E 'PANIC|TRAP|signal' "$work/log" | head
	echo "left in $work"
	exit 1
fi
rm -rf "$work"
