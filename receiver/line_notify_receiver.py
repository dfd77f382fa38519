#!/usr/bin/python3
"""Hands LINE's webhook calls to line_notify.receive_webhook().

Stands behind a web server that speaks TLS (nginx.conf here is an example) and
makes one SQL call for each request and database.  Needs nothing beyond
Debian's python3 and python3-psycopg2.

LINE wants an answer within two seconds and may never ask again, so 200 is
answered as soon as the events are safe: committed in the database, or, while
the primary is away, in a file of the spool directory, which a thread hands in
later, the oldest first.

What a stranger can use up is bounded: connections, memory, time, and the part
of the spool that calls nobody has verified may take.  With --secret the
receiver checks the signature itself, and forged calls get no further.

    POST /<anything>/<channel>    header x-line-signature, the raw body
    GET or HEAD /health           200 while calls can be taken, else 503

200 taken or spooled · 400 not understood · 401 signature does not match
404 no such channel · 405 method · 408 too slow · 411, 413, 431 length
503 neither database nor spool, or too much at a time
"""

import argparse
import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import os
import re
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor, TimeoutError as TooLate

import psycopg2

MAX_BODY = 4 * 1024 * 1024          # as receive_webhook()
MAX_HEAD = 16 * 1024
SMALL = 64 * 1024                   # some hundred events
LARGE = 256 * 1024                  # copied one at a time: see Database.ask()
BLOCK = 4096                        # what a file takes at least
IDLE = 75.0                         # seconds; nginx gives up after 60
WORDS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found",
         405: "Method Not Allowed", 408: "Request Timeout",
         411: "Length Required", 413: "Content Too Large",
         431: "Request Header Fields Too Large", 503: "Service Unavailable"}

REQUEST = re.compile(rb"([A-Z]{1,20}) (/[!-~]*) HTTP/1\.([01])")
FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*")
CHANNEL = re.compile(r"/([A-Za-z0-9][A-Za-z0-9_.-]{0,62})$")
SIGNATURE = re.compile(r"[A-Za-z0-9+/]{43}=")       # 32 bytes

# SQLSTATE class or code -> status; everything else is our trouble: spooled
REFUSALS = {
    "28000": 401,                   # signature does not match
    "42704": 404,                   # no such channel
    "54000": 413,
    "22": 400,                      # no JSON, no UTF-8, no events
}

# classes that say the same of every call: shutting down, read-only, no room
GONE = ("08", "25", "53", "57")


class Refused(Exception):
    def __init__(self, status):
        super().__init__(status)
        self.status = status


class Away(Exception):
    """The database was not there a moment ago, or is busy with others; nobody
    waits for it again."""


class Log:
    """Each text once in ten seconds: strangers decide how often it is due."""

    def __init__(self):
        self.lock = threading.Lock()
        self.seen = {}              # text -> [when it was printed, how often since]

    def __call__(self, text):
        now = time.monotonic()
        with self.lock:
            if len(self.seen) >= 1000:
                self.seen.clear()
            at, more = self.seen.get(text, (None, 0))
            if at is not None and now - at < 10:
                self.seen[text] = (at, more + 1)
                return
            self.seen[text] = (now, 0)
        if more:
            text += " (and %d times more)" % more
        print(text, file=sys.stderr, flush=True)


log = Log()


class Secrets:
    """Channel secrets from files: the current one in the first line, the
    previous one, if any, in the second."""

    def __init__(self, pairs):
        self.files = {}             # channel -> path
        self.known = {}             # channel -> (state of the file, keys)
        for pair in pairs:
            channel, separator, path = pair.partition("=")
            if not separator or not CHANNEL.fullmatch("/" + channel):
                raise ValueError("--secret wants CHANNEL=FILE")
            self.files[channel] = path
            self.known[channel] = self.read(path)

    @staticmethod
    def read(path):
        with open(path, "rb") as file:
            s = os.fstat(file.fileno())
            lines = file.read(4096).split(b"\n")
        keys = [line.strip() for line in lines[:2]]
        keys = [key for key in keys if key]
        if not keys:
            raise ValueError("%s: no secret in it" % path)
        return (s.st_mtime_ns, s.st_ino, s.st_size), keys

    def keys(self, channel):
        path = self.files[channel]
        try:
            s = os.stat(path)
            if (s.st_mtime_ns, s.st_ino, s.st_size) != self.known[channel][0]:
                self.known[channel] = self.read(path)
        except (OSError, ValueError) as error:
            log("secret of channel %s: %s; the former one counts on"
                % (channel, error))
        return self.known[channel][1]

    def genuine(self, channel, body, signature):
        """None: there is no secret of this channel here."""
        if channel not in self.files:
            return None
        given = base64.b64decode(signature)
        fits = [hmac.compare_digest(hmac.digest(key, body, hashlib.sha256),
                                    given)
                for key in self.keys(channel)]
        return any(fits)


class Database:
    """A few connections, each used by one call at a time."""

    # the driver makes several copies of a body, and each thread keeps the room
    copying = threading.Lock()
    copier = ThreadPoolExecutor(1)

    def __init__(self, dsn, timeout, pause, connections, verifying):
        self.dsn = dsn
        self.timeout = timeout
        self.pause = pause
        # one connection is that of the spool
        self.slots = asyncio.Semaphore(max(1, connections - 1))
        # when some calls are known to be genuine, the others leave them room
        self.unverified = (asyncio.Semaphore(max(1, connections // 2))
                           if verifying else self.slots)
        self.threads = ThreadPoolExecutor(max(1, connections - 1))
        self.spooler = ThreadPoolExecutor(1)
        self.handing = None         # what it does
        self.idle = []
        self.away_until = 0.0       # time.monotonic()

    def connect(self):
        try:
            connection = psycopg2.connect(
                self.dsn, connect_timeout=2,
                application_name="line_notify receiver",
                options="-c statement_timeout=%d -c lock_timeout=%d"
                        % (self.timeout, self.timeout),
                tcp_user_timeout=self.timeout)
        except psycopg2.Error:
            # connecting may take longer than LINE waits: once is enough
            self.away_until = time.monotonic() + self.pause
            raise
        self.away_until = 0.0
        connection.autocommit = True
        return connection

    async def hand_in(self, call, verified):
        """Number of new events; Refused, Away, or psycopg2.Error."""
        if time.monotonic() < self.away_until and not self.idle:
            raise Away()
        held = []
        try:
            # nobody on the internet shall use up the server's connections
            for slots in ([self.slots]
                          if verified or self.unverified is self.slots
                          else [self.unverified, self.slots]):
                await asyncio.wait_for(slots.acquire(), self.timeout / 3000)
                held.append(slots)
        except asyncio.TimeoutError:
            for slots in held:
                slots.release()
            raise Away() from None
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(
            self.copier if len(call[1]) > LARGE else self.threads,
            self.ask, call)

        def done(future):
            for slots in held:
                slots.release()
            future.exception()      # it may come too late for anybody

        work.add_done_callback(done)
        try:
            return await asyncio.wait_for(asyncio.shield(work),
                                          self.timeout / 1000 + 0.1)
        except asyncio.TimeoutError:
            raise Away() from None

    def hand_over(self, call):
        """For the spool, as ask(); Away also when the server says nothing at
        all: a host that stands still must not hold up other databases."""
        if self.handing is not None and not self.handing.done():
            raise Away()
        self.handing = self.spooler.submit(self.ask, call, True)
        try:
            return self.handing.result(self.timeout / 1000 + 5)
        except TooLate:
            raise Away() from None

    def ask(self, call, patient=False):
        channel, body, signature = call
        try:
            connection, fresh = self.idle.pop(), False
        except IndexError:
            connection, fresh = None, True
        while True:
            if connection is None:
                if not patient and time.monotonic() < self.away_until:
                    raise Away()
                connection = self.connect()
            try:
                with (self.copying if len(body) > LARGE
                      else contextlib.nullcontext()), \
                        connection.cursor() as cursor:
                    cursor.execute(
                        "SELECT line_notify.receive_webhook(%s, %s, %s)",
                        (channel, psycopg2.Binary(body), signature))
                    count = cursor.fetchone()[0]
            except psycopg2.Error as error:
                if error.pgcode is None:        # the connection is gone
                    connection.close()
                    if fresh:
                        raise
                    # the server was restarted since: the call is idempotent
                    connection, fresh = None, True
                    continue
                if len(body) > LARGE:
                    connection.close()
                else:
                    self.idle.append(connection)
                status = (REFUSALS.get(error.pgcode)
                          or REFUSALS.get(error.pgcode[:2]))
                if status is not None:
                    raise Refused(status) from None
                raise
            if len(body) > LARGE:
                connection.close()      # libpq's buffer has grown, and stays
            else:
                self.idle.append(connection)
            return count


class Spool:
    """Calls that wait for a database, a file each: a line of JSON, the body.
    What was verified sorts before what was not."""

    def __init__(self, directory, limit, unverified_limit):
        self.directory = directory
        self.limits = {"0": limit, "1": min(limit, unverified_limit)}
        self.lock = threading.Lock()
        self.number = 0
        self.done = {}              # path -> databases that had it
        self.genuine = set()        # paths that one of them took
        os.makedirs(directory, mode=0o700, exist_ok=True)
        self.sizes = {"0": 0, "1": 0}
        for path in self.files():
            self.sizes[self.kind(path)] += self.taken(os.path.getsize(path))

    @staticmethod
    def taken(length):
        return -(-length // BLOCK) * BLOCK

    @staticmethod
    def kind(path):
        return "0" if os.path.basename(path).startswith("0-") else "1"

    def files(self):
        return [os.path.join(self.directory, name)
                for name in sorted(os.listdir(self.directory))
                if name.endswith(".call")]

    def full(self):
        with self.lock:
            return sum(self.sizes.values()) >= self.limits["0"]

    def put(self, call, verified, done):
        """False when there is no room.  On disk when it returns true."""
        channel, body, signature = call
        kind = "0" if verified else "1"
        head = json.dumps({"channel": channel, "signature": signature,
                           "length": len(body)}).encode() + b"\n"
        size = self.taken(len(head) + len(body))
        with self.lock:
            if (sum(self.sizes.values()) + size > self.limits["0"]
                    or self.sizes[kind] + size > self.limits[kind]):
                return False
            self.sizes[kind] += size
            self.number += 1
            name = "%s-%015d-%d-%06d" % (kind, time.time() * 1000,
                                         os.getpid(), self.number % 1000000)
        path = os.path.join(self.directory, name)
        try:
            with open(path + ".tmp", "wb") as file:
                file.write(head)
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            self.done[path + ".call"] = done
            os.rename(path + ".tmp", path + ".call")
        except OSError:             # no room on the disk, for the time being
            self.done.pop(path + ".call", None)
            with self.lock:
                self.sizes[kind] -= size
            with contextlib.suppress(OSError):
                os.unlink(path + ".tmp")
            raise
        folder = os.open(self.directory, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return True

    def leave(self, path, aside):
        size = self.taken(os.path.getsize(path))
        if aside:
            os.rename(path, path[:-5] + ".bad")
        else:
            os.unlink(path)
        with self.lock:
            self.sizes[self.kind(path)] -= size
        self.done.pop(path, None)
        self.genuine.discard(path)

    @staticmethod
    def read(path):
        with open(path, "rb") as file:
            head = json.loads(file.readline(MAX_HEAD))
            call = head["channel"], file.read(), head["signature"]
            if len(call[1]) != head["length"]:
                raise ValueError("length")
        return call

    def replay(self, databases, stopping):
        """Hands in what waits.  What one database or channel cannot be rid of
        (its secret is missing, say) stays, and does not hold up the others.
        Handing in twice is harmless, so who had a call is remembered, and not
        written down."""
        gone = set()
        stuck = set()
        denied = {}                 # channel -> good calls that were denied
        for path in self.files():
            done = self.done.setdefault(path, set())
            waiting = [d for d in databases if d not in done | gone]
            if stopping.is_set() or len(gone) == len(databases):
                return
            if not waiting:
                continue
            try:
                call = self.read(path)
            except (ValueError, KeyError, TypeError) as error:
                log("spool: %s is not readable, put aside: %s"
                    % (os.path.basename(path), type(error).__name__))
                self.leave(path, aside=True)
                continue
            noes = []
            for database in waiting:
                if (database, call[0]) in stuck:
                    continue
                try:
                    database.hand_over(call)
                    self.genuine.add(path)
                except Refused as refused:
                    if refused.status == 401:
                        noes.append(database)
                        continue
                    if refused.status != 404 or len(databases) == 1:
                        log("dropped a spooled call for channel %s: %d"
                            % (call[0], refused.status))
                except Away:
                    gone.add(database)
                    continue
                except psycopg2.Error as error:
                    if error.pgcode is None or error.pgcode[:2] in GONE:
                        gone.add(database)
                    else:
                        log("channel %s: %s, its calls stay in the spool"
                            % (call[0], error.pgcode))
                        stuck.add((database, call[0]))
                    continue
                done.add(database)
            for database in noes:
                if self.kind(path) != "0" and path not in self.genuine:
                    log("dropped a spooled call for channel %s: 401" % call[0])
                    done.add(database)
                    continue
                log("channel %s: the database does not accept a signature "
                    "that is good; set_credential() there" % call[0])
                # others may have been signed with the other secret
                key = database, call[0]
                denied[key] = denied.get(key, 0) + 1
                if denied[key] >= 100:
                    stuck.add(key)
            if len(done) == len(databases):
                self.leave(path, aside=False)


class Receiver:
    def __init__(self, options):
        self.options = options
        self.secrets = Secrets(options.secret)
        self.databases = [
            Database(dsn, options.timeout, options.retry, options.connections,
                     bool(options.secret))
            for dsn in options.dsn or [""]]
        self.spool = Spool(options.spool, options.spool_limit,
                           options.unverified_limit)
        self.disk = ThreadPoolExecutor(2)
        self.stopping = threading.Event()
        self.memory = options.memory        # bytes that large bodies may take
        self.connections = {}       # writer -> idle since, or None
        self.stopped = asyncio.Event()

    # ---- one call

    async def take(self, channel, body, signature):
        """Status to answer."""
        if not SIGNATURE.fullmatch(signature):
            return 401
        verified = self.secrets.genuine(channel, body, signature)
        if verified is False:
            return 401
        call = channel, body, signature
        results = await asyncio.gather(
            *(database.hand_in(call, verified) for database in self.databases),
            return_exceptions=True)
        refusals = []
        missing = 0
        done = {database for database, result in zip(self.databases, results)
                if isinstance(result, int)}
        # before those that were asked first are judged
        verified = verified or bool(done)
        for result in results:
            if isinstance(result, int):
                continue
            if isinstance(result, Refused) and not (
                    verified and result.status == 401):
                refusals.append(result.status)
            elif isinstance(result, (psycopg2.Error, Away, Refused)):
                missing += 1
                if isinstance(result, Refused):
                    log("channel %s: the database does not accept a signature "
                        "that is good; set_credential() there" % channel)
                elif isinstance(result, psycopg2.Error):
                    log("database: %s" % (result.pgcode or "no connection"))
            else:
                raise result
        # one that knows the channel says no, and none says yes
        for status in (401, 413, 400):
            if status in refusals and not verified:
                return status
        if missing:
            try:
                spooled = await asyncio.get_running_loop().run_in_executor(
                    self.disk, self.spool.put, call, verified, done)
            except OSError as error:
                log("spool: %s" % error)
                return 503
            return 200 if spooled else 503
        if done:
            return 200
        return min(refusals)

    def health(self):
        now = time.monotonic()
        away = [now < d.away_until for d in self.databases]
        full = self.spool.full()
        text = "databases %d of %d, spool %d bytes%s\n" % (
            away.count(False), len(away), sum(self.spool.sizes.values()),
            ", full" if full else "")
        return 503 if full and any(away) else 200, text.encode()

    # ---- HTTP

    async def serve(self, reader, writer):
        if len(self.connections) >= self.options.clients:
            # one that only waits for another request gives way
            idle = [(since, w) for w, since in self.connections.items()
                    if since is not None]
            if idle:
                victim = min(idle, key=lambda x: x[0])[1]
                self.connections.pop(victim)
                victim.transport.abort()
            else:
                log("%d connections: no more are taken" % self.options.clients)
                writer.write(self.head(503, False, 0))
                writer.close()
                return
        self.connections[writer] = time.monotonic()
        try:
            while await self.request(reader, writer):
                pass
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.part(reader, writer), 1)
        except (ConnectionError, asyncio.IncompleteReadError,
                asyncio.TimeoutError):
            pass                    # the client left, or reads nothing
        finally:
            self.connections.pop(writer, None)
            writer.transport.abort()

    @staticmethod
    async def part(reader, writer):
        """An unread rest of a request would reset the connection before the
        client has read the answer."""
        writer.write_eof()
        left = MAX_BODY
        while left > 0 and (rest := await reader.read(SMALL)):
            left -= len(rest)

    @staticmethod
    def head(status, alive, length):
        return ("HTTP/1.1 %d %s\r\nContent-Length: %d\r\nConnection: %s\r\n"
                "\r\n" % (status, WORDS[status], length,
                          "keep-alive" if alive else "close")).encode()

    async def request(self, reader, writer):
        """Reads and answers one; whether another may come."""
        if self.stopping.is_set():
            return False
        try:
            first = await asyncio.wait_for(reader.readexactly(1), IDLE)
        except asyncio.TimeoutError:
            return False
        if writer not in self.connections:
            return False
        self.connections[writer] = None
        reserved = 0
        alive = False
        answer = b""
        method = b""
        try:
            deadline = time.monotonic() + self.options.receive_timeout
            try:
                head = first + await asyncio.wait_for(
                    reader.readuntil(b"\r\n\r\n"),
                    self.options.receive_timeout)
                method, path, alive, fields = self.parse(head)
                if method in (b"GET", b"HEAD"):
                    if path.split("?")[0] != "/health":
                        raise Refused(404 if not CHANNEL.search(path) else 405)
                    if (b"transfer-encoding" in fields
                            or fields.get(b"content-length", b"0") != b"0"):
                        raise Refused(400)
                    status, answer = self.health()
                else:
                    channel, length = self.admit(method, path, fields)
                    if length > SMALL:
                        if length > self.memory:
                            log("too many large bodies at a time")
                            raise Refused(503)
                        self.memory -= length
                        reserved = length
                    if b"100-continue" in fields.get(b"expect", b"").lower():
                        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                    body = bytearray()
                    while len(body) < length:
                        rest = await asyncio.wait_for(
                            reader.read(min(SMALL, length - len(body))),
                            deadline - time.monotonic())
                        if not rest:
                            return False
                        body += rest
                    signature = fields.get(b"x-line-signature", b"")
                    status = await self.take(channel, body,
                                             signature.decode("latin-1"))
            except asyncio.TimeoutError:
                raise Refused(408) from None
            except asyncio.LimitOverrunError:
                raise Refused(431) from None
        except Refused as refused:
            status, alive = refused.status, False
        finally:
            self.memory += reserved
        alive = alive and not self.stopping.is_set()
        writer.write(self.head(status, alive, len(answer))
                     + (answer if method != b"HEAD" else b""))
        # who reads no answers would keep his place for ever
        await asyncio.wait_for(writer.drain(), self.options.receive_timeout)
        if writer in self.connections:
            self.connections[writer] = time.monotonic()
        return alive

    @staticmethod
    def parse(head):
        lines = head[:-4].lstrip(b"\r\n").split(b"\r\n")
        match = REQUEST.fullmatch(lines[0])
        if match is None:
            raise Refused(400)
        fields = {}
        for line in lines[1:]:
            field = FIELD.fullmatch(line)
            if field is None:
                raise Refused(400)
            name, value = field.group(1).lower(), field.group(2)
            # two of these mean two things to two programs
            if name in fields and name in (b"content-length",
                                           b"transfer-encoding",
                                           b"x-line-signature"):
                raise Refused(400)
            fields[name] = value
        alive = (match.group(3) == b"1"
                 and fields.get(b"connection", b"").lower() != b"close")
        return match.group(1), match.group(2).decode("ascii"), alive, fields

    @staticmethod
    def admit(method, path, fields):
        if method != b"POST":
            raise Refused(405)
        match = CHANNEL.search(path.split("?")[0])
        if match is None:
            raise Refused(404)
        length = fields.get(b"content-length", b"")
        if b"transfer-encoding" in fields or not length.isdigit():
            raise Refused(411)
        if len(length) > 10 or int(length) > MAX_BODY:
            raise Refused(413)
        return match.group(1), int(length)

    # ---- life

    def replay_for_ever(self):
        while not self.stopping.wait(self.options.retry):
            try:
                self.spool.replay(self.databases, self.stopping)
            except (OSError, ValueError) as error:
                log("spool: %s" % error)

    async def run(self):
        loop = asyncio.get_running_loop()
        host, port = self.options.listen.rsplit(":", 1)
        server = await asyncio.start_server(
            self.serve, host.strip("[]"), int(port), limit=MAX_HEAD,
            backlog=128)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stopped.set)
        replayer = threading.Thread(target=self.replay_for_ever, daemon=True)
        replayer.start()
        print("ready %s:%d" % server.sockets[0].getsockname()[:2], flush=True)

        # what has begun is answered; its sender would have to come again
        await self.stopped.wait()
        self.stopping.set()
        server.close()
        for writer, since in list(self.connections.items()):
            if since is not None:
                writer.transport.abort()
        end = time.monotonic() + self.options.receive_timeout + 2
        while self.connections and time.monotonic() < end:
            await asyncio.sleep(0.02)
        self.disk.shutdown(wait=True)
        print("stopped", flush=True)
        # a thread may wait for a server that does not answer; what it has in
        # hand is in the spool, or LINE was told that it is not
        os._exit(0)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--dsn", action="append", help="as for psql; the role "
                        "needs line_notify.grant_webhook() and nothing else; "
                        "several times: every call goes to each database")
    parser.add_argument("--listen", default="127.0.0.1:8040")
    parser.add_argument("--secret", action="append", default=[],
                        metavar="CHANNEL=FILE", help="check signatures here: "
                        "the channel secret in the first line of the file, "
                        "the previous one in the second")
    parser.add_argument("--spool", default="/var/lib/line-notify-receiver")
    parser.add_argument("--spool-limit", type=int, default=1 << 30,
                        help="bytes (default 1 GiB)")
    parser.add_argument("--unverified-limit", type=int, default=32 << 20,
                        help="bytes of it for calls that nobody has verified "
                        "(default 32 MiB)")
    parser.add_argument("--timeout", type=int, default=1200,
                        help="milliseconds for the database (LINE waits 2000)")
    parser.add_argument("--connections", type=int, default=8,
                        help="to each database, at most")
    parser.add_argument("--clients", type=int, default=256,
                        help="connections of clients, at most")
    parser.add_argument("--memory", type=int, default=32 << 20,
                        help="bytes for bodies above 64 KiB (default 32 MiB)")
    parser.add_argument("--receive-timeout", type=float, default=10.0,
                        help="seconds for a client to send its request, and to "
                        "read the answer")
    parser.add_argument("--retry", type=float, default=5.0,
                        help="seconds between looks at the spool")
    options = parser.parse_args()
    os.umask(0o077)

    async def run():
        try:
            receiver = Receiver(options)
        except (OSError, ValueError) as error:
            sys.exit("line_notify_receiver: %s" % error)
        await receiver.run()

    asyncio.run(run())


if __name__ == "__main__":
    main()
