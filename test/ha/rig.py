"""Two servers under real Patroni and etcd, on loopback, and a raw judge.

The judge is no simulated LINE API: it writes one line for each complete
request to a file before it answers, and that file alone says what was sent.
A message is known by its recipient, which no two messages of a run share:
ids may be given again after an asynchronous failover.

Standard library only, beside what Patroni itself depends on (psycopg2).
"""
import atexit
import hashlib
import http.server
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import psycopg2

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from free_ports import free_port  # noqa: E402

TIMEOUT = 90          # seconds that anything may take before the run fails


def poll(what, condition, timeout=TIMEOUT, gap=0.05):
    """Until condition() is true; its last value, or an error with the name."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout} s for: {what}")
        time.sleep(gap)


class Process:
    """A child with its output in a file; ends with us."""

    def __init__(self, log, *command, env=None):
        self.log = log
        self.out = open(log, "ab")
        self.child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=self.out,
            stderr=self.out, env=env, start_new_session=True)
        atexit.register(self.kill)

    def running(self):
        return self.child.poll() is None

    def kill(self, sig=signal.SIGKILL):
        if self.running():
            self.child.send_signal(sig)
        try:
            self.child.wait(30)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        self.out.close()


class Judge:
    """Writes what arrives, with its own clock, and answers 202."""

    def __init__(self, path):
        judge = self
        self.path = path
        self.file = open(path, "a", buffering=1)
        self.lock = threading.Lock()
        self.lines = []           # (time, recipient, tag)

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                judge.note(json.loads(body)["to"],
                           self.headers.get("X-Line-Delivery-Tag", ""))
                self.send_response(202)
                self.send_header("Content-Type", "application/json")
                self.send_header("X-Line-Request-Id", os.urandom(8).hex())
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def do_GET(self):
                self.send_error(404)

            def log_message(self, *args):
                pass

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 512
            daemon_threads = True

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def note(self, recipient, tag):
        with self.lock:
            at = time.time()
            self.file.write(f"{at:.6f} {recipient} {tag}\n")
            self.lines.append((at, recipient, tag))

    def since(self, n):
        with self.lock:
            return self.lines[n:]

    def count(self):
        with self.lock:
            return len(self.lines)


class Etcd:
    def __init__(self, directory):
        self.port = free_port()
        peer = free_port()
        self.process = Process(
            f"{directory}/etcd.log", "etcd", "--name", "one",
            "--data-dir", f"{directory}/etcd",
            "--listen-client-urls", f"http://127.0.0.1:{self.port}",
            "--advertise-client-urls", f"http://127.0.0.1:{self.port}",
            "--listen-peer-urls", f"http://127.0.0.1:{peer}",
            "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}",
            "--initial-cluster", f"one=http://127.0.0.1:{peer}",
            "--log-level=error")
        poll("etcd", self.healthy)

    def healthy(self):
        try:
            with urllib.request.urlopen(
                    f"http://127.0.0.1:{self.port}/health", timeout=2) as r:
                return json.load(r)["health"] == "true"
        except (OSError, ValueError):
            return False


class Server:
    """A server of ours: port and data are known."""

    user = database = "postgres"

    def __init__(self, port, data):
        self.port = port
        self.data = data

    def connect(self, autocommit=True, **more):
        c = psycopg2.connect(host="127.0.0.1", port=self.port, user=self.user,
                             dbname=self.database, connect_timeout=3, **more)
        c.autocommit = autocommit
        return c

    def query(self, sql, *args):
        c = self.connect()
        try:
            with c.cursor() as q:
                q.execute(sql, args or None)
                return q.fetchall() if q.description else []
        finally:
            c.close()

    def one(self, sql, *args):
        return self.query(sql, *args)[0][0]

    def recovers(self):
        """None: it does not answer."""
        try:
            return self.one("SELECT pg_is_in_recovery()")
        except psycopg2.Error:
            return None

    def leads(self):
        return self.recovers() is False

    def follows(self):
        return self.recovers() is True

    def postmaster(self):
        try:
            return int(open(f"{self.data}/postmaster.pid").readline())
        except (OSError, ValueError):
            return None

    def alive(self):
        pid = self.postmaster()
        try:
            os.kill(pid, 0)
            return True
        except (OSError, TypeError):
            return False

    def children(self):
        """Processes of this server, found by their working directory."""
        found = []
        for p in pathlib.Path("/proc").iterdir():
            try:
                if p.name.isdigit() and os.readlink(p / "cwd") == self.data:
                    found.append(int(p.name))
            except OSError:
                pass
        return found

    def kill_server(self):
        """Every process of it, at once."""
        for pid in self.children():
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        poll(f"{self.data} is nobody's", lambda: not self.children())


class Node(Server):
    """One Patroni with its server."""

    def __init__(self, cluster, name, parameters):
        self.cluster = cluster
        self.name = name
        self.directory = f"{cluster.directory}/{name}"
        super().__init__(free_port(), f"{self.directory}/data")
        self.rest = free_port()
        os.makedirs(self.directory, exist_ok=True)
        self.config = f"{self.directory}/patroni.yml"
        self.parameters = parameters
        self.patroni = None
        self.write_config()

    def write_config(self):
        c = self.cluster
        # JSON is YAML
        pathlib.Path(self.config).write_text(json.dumps({
            "scope": c.scope, "namespace": "/line_notify/", "name": self.name,
            "restapi": {"listen": f"127.0.0.1:{self.rest}",
                        "connect_address": f"127.0.0.1:{self.rest}"},
            "etcd3": {"host": f"127.0.0.1:{c.etcd.port}"},
            "bootstrap": {
                "dcs": {
                    # who stands still for less keeps his place
                    "ttl": 24, "loop_wait": 1, "retry_timeout": 10,
                    "maximum_lag_on_failover": 100 << 20,
                    "master_start_timeout": 30,
                    "synchronous_mode": c.synchronous,
                    "postgresql": {
                        "use_pg_rewind": True, "use_slots": True,
                        "parameters": {
                            "shared_preload_libraries": "line_notify",
                            "wal_log_hints": "on", "wal_level": "replica",
                            "max_worker_processes": 20,
                            "hot_standby": "on",
                            "shared_buffers": "32MB",
                            "fsync": "off",
                            "log_line_prefix": "%m [%p] ",
                            **c.parameters}}},
                "initdb": [{"encoding": "UTF8"}, {"locale": "C.UTF-8"},
                           "no-sync"],
            },
            "postgresql": {
                "listen": f"127.0.0.1:{self.port}",
                "connect_address": f"127.0.0.1:{self.port}",
                "data_dir": self.data, "bin_dir": c.bindir,
                "pgpass": f"{self.directory}/pgpass",
                "remove_data_directory_on_diverged_timelines": False,
                "pg_hba": ["local all all trust",
                           "host all all 127.0.0.1/32 trust",
                           "host replication all 127.0.0.1/32 trust"],
                "authentication": {
                    "superuser": {"username": "postgres", "password": "x"},
                    "replication": {"username": "replicator",
                                    "password": "x"},
                    "rewind": {"username": "postgres", "password": "x"}},
                "parameters": {
                    "unix_socket_directories": self.directory,
                    **self.parameters}},
            "tags": {}}, indent=1))

    def start(self):
        self.patroni = Process(f"{self.directory}/patroni.log",
                               "patroni", self.config)

    def status(self):
        try:
            with urllib.request.urlopen(
                    f"http://127.0.0.1:{self.rest}/patroni", timeout=2) as r:
                return json.load(r)
        except urllib.error.HTTPError as e:
            try:
                return json.load(e)
            except ValueError:
                return {}
        except (OSError, ValueError):
            return {}

    def leads(self):
        s = self.status()
        return s.get("role") == "master" and s.get("state") == "running"

    def follows(self):
        s = self.status()
        return s.get("role") == "replica" and s.get("state") == "running"

    def kill9(self):
        """The machine is gone: Patroni and every process of the server."""
        self.patroni.kill()
        self.kill_server()


class Cluster:
    def __init__(self, directory, bindir, etcd, name, synchronous,
                 parameters=None, nodes=None):
        self.directory = f"{directory}/{name}"
        self.bindir = bindir
        self.etcd = etcd
        self.scope = name
        self.synchronous = synchronous
        self.parameters = parameters or {}
        os.makedirs(self.directory)
        atexit.register(self.stop)
        nodes = nodes or {n: {"line_notify.node": n} for n in ("n1", "n2")}
        self.nodes = [Node(self, n, p) for n, p in nodes.items()]
        self.nodes[0].start()
        poll("first leader", self.nodes[0].leads)
        self.nodes[1].start()
        poll("first replica", self.nodes[1].follows)
        if synchronous:
            self.wait_synchronous()

    def wait_synchronous(self):
        """Patroni has written down who may take over, too."""
        def synchronous():
            replica = self.other(self.leader())
            try:
                with urllib.request.urlopen(
                        f"http://127.0.0.1:{replica.rest}/sync",
                        timeout=2) as r:
                    return r.status == 200
            except OSError:
                return False
        poll("a synchronous standby", synchronous)

    def leader(self):
        return poll("a leader", lambda: next(
            (n for n in self.nodes if n.leads()), None))

    def other(self, node):
        return next(n for n in self.nodes if n is not node)

    def whole(self):
        """Both are there and the replica streams; the leader."""
        def attached():
            lead = [n for n in self.nodes if n.leads()]
            if len(lead) != 1 or not self.other(lead[0]).follows():
                return None
            try:
                return lead[0] if lead[0].one(
                    "SELECT count(*) FROM pg_stat_replication"
                    " WHERE state = 'streaming'"
                    " AND replay_lsn IS NOT NULL") == 1 else None
            except psycopg2.Error:
                return None
        leader = poll("a whole cluster", attached)
        if self.synchronous:
            self.wait_synchronous()
        return leader

    def patronictl(self, *args):
        run = subprocess.run(
            ["patronictl", "-c", self.nodes[0].config, *args],
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=TIMEOUT, env={**os.environ, "LANG": "C.UTF-8",
                                  "LC_ALL": "C.UTF-8"})
        if run.returncode != 0:
            raise RuntimeError(f"patronictl {args}: {run.stdout}{run.stderr}")
        return run.stdout

    def switchover(self):
        leader = self.leader()
        to = self.other(leader)
        self.patronictl("switchover", self.scope, "--master", leader.name,
                        "--candidate", to.name, "--force")
        return poll("switchover", lambda: to if to.leads() else None)

    def reinit(self, node):
        self.patronictl("reinit", self.scope, node.name, "--force", "--wait")

    def stop(self):
        for n in self.nodes:
            if n.patroni:
                n.patroni.kill()
        for n in self.nodes:
            for pid in n.children():
                try:
                    os.kill(pid, signal.SIGKILL)
                except OSError:
                    pass


def phone(i):
    return f"090{i // 10000 + 1000:04d}{i % 10000:04d}"


def recipient(i):
    """What LINE gets: SHA-256 of the E.164 number."""
    return hashlib.sha256(f"+81{phone(i)[1:]}".encode()).hexdigest()


BODY = '{"items": [{"itemKey": "number_001_ja", "content": "1234"}]}'
INSERT = ("INSERT INTO line_notify.outbox"
          " (phone, use_case, template_key, body, reference)")


def insert_many(node, first, n):
    """n due messages in one transaction; their numbers"""
    node.query(f"""{INSERT}
        SELECT '090' || lpad((1000 + i / 10000)::text, 4, '0')
                     || lpad((i % 10000)::text, 4, '0'),
               'parcel_delivery', 'shipment_completed_ja', '{BODY}',
               i::text
        FROM generate_series({first}, {first + n - 1}) i""")
    return range(first, first + n)


class Shop(threading.Thread):
    """Commits one message after another to whoever leads, and remembers when
    each COMMIT was answered.

    Connections are made, and cut, as by a proxy that asks Patroni's REST
    interface.  No statement_timeout: a wait for a standby that is cancelled
    looks like a COMMIT.
    """

    def __init__(self, cluster, first, rate):
        super().__init__(daemon=True)
        self.cluster = cluster
        self.next = first
        self.gap = 1 / rate
        self.acked = {}           # number -> time of the answer to COMMIT
        self.asked = set()        # the rest may be there or not
        self.stopping = threading.Event()
        self.link = self.node = None
        threading.Thread(target=self.watch, daemon=True).start()
        self.start()

    def run(self):
        while not self.stopping.is_set():
            try:
                if self.link is None:
                    self.connect()
                i = self.next
                self.next += 1
                self.asked.add(i)
                with self.link.cursor() as q:
                    q.execute(f"{INSERT} VALUES (%s, 'parcel_delivery',"
                              f" 'shipment_completed_ja', %s, %s)",
                              (phone(i), BODY, str(i)))
                self.acked[i] = time.time()
                self.stopping.wait(self.gap)
            except psycopg2.Error:
                self.node = self.link = None
                self.stopping.wait(0.02)

    def connect(self):
        for n in self.cluster.nodes:
            if n.leads():
                self.link = n.connect()
                self.node = n
                return
        raise psycopg2.OperationalError("nobody leads")

    def watch(self):
        """Cut the connection to a server that does not lead any more."""
        failures = 0
        while not self.stopping.wait(0.5):
            node, link = self.node, self.link
            failures = 0 if node is None or node.leads() else failures + 1
            if failures >= 2 and link is not None:
                failures = 0
                try:
                    with socket.socket(fileno=os.dup(link.fileno())) as s:
                        s.shutdown(socket.SHUT_RDWR)
                except (OSError, psycopg2.Error):
                    pass

    def stop(self):
        self.stopping.set()
        self.join(30)


def fresh_directory(path):
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    return path
