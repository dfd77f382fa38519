# shellcheck shell=bash
#
# What the benchmarks share: ../lib.sh, nginx as a judge, the machine's facts.

. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

machine() {
    say "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1), $(nproc) cores, load $(cut -d' ' -f1 /proc/loadavg);" \
        "$("$PG_CONFIG" --version), $(curl-config --version 2>/dev/null), $(openssl version | cut -d' ' -f1,2), $(date +%F)"
}

bench_setup() { # name
    base_packages
    plain_user
    make_work "bench-$1"
    private_postgres
    # as it is shipped: optimized, without assertions
    build || { tail -30 "$work/build.log"; die "the build failed"; }
    machine
}

# ports of the judge
tls_port=${BENCH_TLS_PORT:-9453}
plain_port=${BENCH_PLAIN_PORT:-9480}

# nginx in front of nothing: answers as LINE does, counts in its access log; for each of the delays (ms) that are
# named, one more that takes so long, on $tls_port + delay
start_nginx() { # [delay ...]
    local delay slow=
    need_packages nginx-light
    [ $# -eq 0 ] || need_packages libnginx-mod-http-echo
    mkdir -p "$work/nginx"
    for delay; do
        slow+="server { listen 127.0.0.1:$((tls_port + delay)) ssl;
            ssl_certificate $work/nginx/cert.pem; ssl_certificate_key $work/nginx/key.pem;
            location / { echo_read_request_body; echo_sleep $(printf '%d.%03d' $((delay / 1000)) $((delay % 1000))); echo '{}'; } }
        "
    done
    openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/nginx/key.pem" -out "$work/nginx/cert.pem" \
        -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 2>/dev/null
    chmod 644 "$work/nginx/cert.pem"
    cat >"$work/nginx/nginx.conf" <<END
${slow:+load_module /usr/lib/nginx/modules/ngx_http_echo_module.so;}
worker_processes 1;
worker_rlimit_nofile 20000;
pid $work/nginx/pid;
error_log $work/nginx/error.log;
user $LN_USER;
events { worker_connections 16000; }
http {
    log_format tag '\$msec \$http_x_line_delivery_tag \$status';
    access_log $work/nginx/access.log tag buffer=64k flush=1s;
    keepalive_requests 10000000;
    keepalive_timeout 75;
    client_body_buffer_size 64k;
    client_max_body_size 3m;
    client_body_temp_path $work/nginx/body; proxy_temp_path $work/nginx/proxy;
    fastcgi_temp_path $work/nginx/f; uwsgi_temp_path $work/nginx/u; scgi_temp_path $work/nginx/s;
    server {
        listen 127.0.0.1:$tls_port ssl;
        listen 127.0.0.1:$plain_port;
        ssl_certificate $work/nginx/cert.pem;
        ssl_certificate_key $work/nginx/key.pem;
        location = /v2/bot/message/pnp/templated/push { return 202 '{}'; }
        location = /bot/pnp/push { return 200 '{}'; }
    }
    $slow
}
END
    nginx -c "$work/nginx/nginx.conf" || die "nginx did not start"
    processes+=("$(cat "$work/nginx/pid")")
}

# one machine-readable line
result() { # json
    mkdir -p "$root/test/bench/out"
    printf '%s\n' "$1" | tee -a "$root/test/bench/out/results.jsonl"
}

sql() { as_user "$pgbin/psql" -X -q -At -v ON_ERROR_STOP=1 -p "${port:-54320}" "$@"; }

# a table with the columns and indexes of the outbox, without its checks, and an id of its own
plain_table() {
    sql -c "
CREATE TABLE plain (LIKE line_notify.outbox INCLUDING ALL EXCLUDING CONSTRAINTS);
CREATE SEQUENCE plain_id;
ALTER TABLE plain ALTER id SET DEFAULT nextval('plain_id'), ALTER channel SET DEFAULT 'shop', ALTER expires_at SET DEFAULT now(), ALTER state SET DEFAULT 'queued',
	ALTER due_at SET DEFAULT now(), ALTER home SET DEFAULT 1, ALTER created_at SET DEFAULT now()" >/dev/null || die "no plain table"
}
