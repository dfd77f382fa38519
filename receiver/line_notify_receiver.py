#!/usr/bin/python3
"""Hands LINE's webhook calls to line_notify.receive_webhook().

Stands behind a web server that speaks TLS (nginx.conf here is an example) and
makes one SQL call for each request.  Needs nothing beyond Debian's python3 and
python3-psycopg2.

LINE wants an answer within two seconds and may never ask again, so 200 is
answered as soon as the events are safe: committed in the database, or, while
the primary is away, in a file of the spool directory, which a thread hands in
later, the oldest first.  A file that turns out to be forged is dropped then;
the spool has a size limit, above which the answer is 503 and LINE's own
redelivery has to help.

    POST /<anything>/<channel>    header x-line-signature, the raw body

200 taken or spooled · 400 not understood · 401 signature does not match
404 no such channel · 411, 413 length · 503 neither database nor spool
"""

import argparse
import base64
import contextlib
import json
import os
import queue
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg2

MAX_BODY = 4 * 1024 * 1024          # as receive_webhook()
CHANNEL = re.compile(r"/([A-Za-z0-9][A-Za-z0-9_.-]{0,62})$")

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


class Database:
    """A few connections, each used by one request at a time."""

    def __init__(self, dsn, timeout, pause, connections):
        self.dsn = dsn
        self.timeout = timeout
        self.pause = pause
        self.slots = threading.BoundedSemaphore(connections)
        self.idle = queue.LifoQueue()
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

    def hand_in(self, channel, body, signature, patient=False):
        """Number of new events; Refused, Away, or psycopg2.Error."""
        # nobody on the internet shall use up the server's connections
        if not self.slots.acquire(timeout=None if patient
                                  else self.timeout / 3000):
            raise Away()
        try:
            return self.hand_in_now(channel, body, signature, patient)
        finally:
            self.slots.release()

    def hand_in_now(self, channel, body, signature, patient):
        try:
            connection, fresh = self.idle.get_nowait(), False
        except queue.Empty:
            connection, fresh = None, True
        while True:
            if connection is None:
                if not patient and time.monotonic() < self.away_until:
                    raise Away()
                connection = self.connect()
            try:
                count = self.call(connection, channel, body, signature)
            except psycopg2.Error as error:
                if error.pgcode is None:        # the connection is gone
                    connection.close()
                    if fresh:
                        raise
                    # the server was restarted since: the call is idempotent
                    connection, fresh = None, True
                    continue
                self.idle.put(connection)
                status = (REFUSALS.get(error.pgcode)
                          or REFUSALS.get(error.pgcode[:2]))
                if status is not None:
                    raise Refused(status) from None
                raise
            self.idle.put(connection)
            return count

    @staticmethod
    def call(connection, channel, body, signature):
        with connection.cursor() as cursor:
            cursor.execute("SELECT line_notify.receive_webhook(%s, %s, %s)",
                           (channel, psycopg2.Binary(body), signature))
            return cursor.fetchone()[0]


class Spool:
    """Requests that wait for the database, a file each."""

    def __init__(self, directory, limit):
        self.directory = directory
        self.limit = limit
        self.lock = threading.Lock()
        self.number = 0
        self.told = set()           # channels that cannot be handed in
        os.makedirs(directory, mode=0o700, exist_ok=True)
        self.size = sum(os.path.getsize(path) for path in self.files())

    def files(self):
        return [os.path.join(self.directory, name)
                for name in sorted(os.listdir(self.directory))
                if name.endswith(".json")]

    def put(self, channel, body, signature):
        """False when there is no room.  On disk when it returns true."""
        data = json.dumps({"channel": channel, "signature": signature,
                           "body": base64.b64encode(body).decode()}).encode()
        with self.lock:
            if self.size + len(data) > self.limit:
                return False
            self.size += len(data)
            self.number += 1
            name = "%017d-%d-%06d" % (time.time() * 1000, os.getpid(),
                                      self.number % 1000000)
        path = os.path.join(self.directory, name)
        try:
            with open(path + ".tmp", "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.rename(path + ".tmp", path + ".json")
        except OSError:             # no room on the disk, for the time being
            with self.lock:
                self.size -= len(data)
            with contextlib.suppress(OSError):
                os.unlink(path + ".tmp")
            raise
        folder = os.open(self.directory, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return True

    def drop(self, path):
        size = os.path.getsize(path)
        os.unlink(path)
        with self.lock:
            self.size -= size

    def replay(self, database):
        """Hands in what waits, until the database is gone.  What one channel
        cannot be rid of (its secret is missing, say) stays, and does not hold
        up the others."""
        stuck = set()
        for path in self.files():
            try:
                with open(path, "rb") as file:
                    item = json.load(file)
                channel, signature = item["channel"], item["signature"]
                body = base64.b64decode(item["body"], validate=True)
            except (ValueError, KeyError, TypeError) as error:
                print("spool: %s is not readable, put aside: %s"
                      % (os.path.basename(path), type(error).__name__),
                      file=sys.stderr)
                size = os.path.getsize(path)
                os.rename(path, path + ".bad")
                with self.lock:
                    self.size -= size
                continue
            if channel in stuck:
                continue
            try:
                database.hand_in(channel, body, signature, patient=True)
            except Refused as refused:
                print("dropped a spooled call for channel %s: %d"
                      % (channel, refused.status), file=sys.stderr)
            except psycopg2.Error as error:
                if error.pgcode is None or error.pgcode[:2] in GONE:
                    raise
                if channel not in self.told:
                    print("channel %s: %s, its calls stay in the spool"
                          % (channel, error.pgcode), file=sys.stderr)
                    self.told.add(channel)
                stuck.add(channel)
                continue
            self.drop(path)
        self.told &= stuck


def replay_for_ever(spool, database, pause):
    while True:
        time.sleep(pause)
        try:
            spool.replay(database)
        except psycopg2.Error:
            pass                    # still away
        except (OSError, ValueError) as error:
            print("spool: %s" % error, file=sys.stderr)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 10                    # of a slow client
    database = None
    spool = None

    def do_POST(self):
        self.close_connection = True            # unless the body was read
        match = CHANNEL.search(self.path.split("?")[0])
        if match is None:
            return self.answer(404)
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            return self.answer(411)
        if int(length) > MAX_BODY:
            return self.answer(413)
        body = self.rfile.read(int(length))
        if len(body) != int(length):
            return None
        self.close_connection = False
        signature = self.headers.get("x-line-signature", "")[:200]
        try:
            self.database.hand_in(match.group(1), body, signature)
        except Refused as refused:
            return self.answer(refused.status)
        except (psycopg2.Error, Away) as error:
            if not isinstance(error, Away):
                print("database: %s" % (error.pgcode or "no connection"),
                      file=sys.stderr)
            try:
                if not self.spool.put(match.group(1), body, signature):
                    return self.answer(503)
            except OSError as error2:
                print("spool: %s" % error2, file=sys.stderr)
                return self.answer(503)
        return self.answer(200)

    def answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        """The web server in front writes the access log."""


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0])
    parser.add_argument("--dsn", default="", help="as for psql; the role needs "
                        "line_notify.grant_webhook() and nothing else")
    parser.add_argument("--listen", default="127.0.0.1:8040")
    parser.add_argument("--spool", default="/var/lib/line-notify-receiver")
    parser.add_argument("--spool-limit", type=int, default=1 << 30,
                        help="bytes (default 1 GiB)")
    parser.add_argument("--timeout", type=int, default=1200,
                        help="milliseconds for the database (LINE waits 2000)")
    parser.add_argument("--connections", type=int, default=8,
                        help="to the database, at most")
    parser.add_argument("--retry", type=float, default=5.0,
                        help="seconds between looks at the spool")
    options = parser.parse_args()

    host, port = options.listen.rsplit(":", 1)
    Handler.database = Database(options.dsn, options.timeout, options.retry,
                                options.connections)
    Handler.spool = Spool(options.spool, options.spool_limit)
    ThreadingHTTPServer.daemon_threads = True
    ThreadingHTTPServer.request_queue_size = 128
    server = ThreadingHTTPServer((host, int(port)), Handler)
    threading.Thread(target=replay_for_ever, daemon=True,
                     args=(Handler.spool, Handler.database,
                           options.retry)).start()
    print("ready %s:%d" % server.server_address, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
