"""What the simulator saw: complete requests, incomplete ones, connections.

This is the judge's notebook, so it is kept apart from everything that decides
an answer.  A request becomes a Record at the moment its body has been read
whole, before anything else happens to it; what is learned later (status,
whether the answer left) is filled in afterwards.
"""

import asyncio
import hashlib
import itertools
import json
import re
import time
from collections import Counter, defaultdict

# Bodies and heads are kept for inspection, but a load test must not eat the
# machine: of each request at most this much, and of all together at most that.
KEEP_BODY = 64 * 1024
KEEP_TOTAL = 128 * 1024 * 1024

# How many offenders the summary names; the counts are always complete.
NAMED = 20


class Record:
    """One complete request."""

    __slots__ = ("n", "mono", "wall", "conn", "on_conn", "stream", "protocol",
                 "method", "path", "query", "tag", "to", "length", "digest",
                 "channel", "status", "accepted", "answered", "rule",
                 "request_id", "head", "body")

    def __init__(self, n, request):
        self.n = n
        self.mono = time.monotonic()
        self.wall = time.time()
        self.conn = request.conn
        self.on_conn = request.on_conn
        self.stream = request.stream
        self.protocol = request.protocol
        self.method = request.method
        self.path = request.path
        self.query = request.query
        self.tag = request.headers.get("x-line-delivery-tag")
        self.to = request.to
        self.length = len(request.body)
        self.digest = hashlib.sha256(request.body).digest()
        self.channel = None         # LINE channel id, once the token is known
        self.status = None          # status of the answer, None: never made
        self.accepted = False       # did the simulated LINE take the message
        self.answered = "none"      # "none" | "part" | "whole" left for the client
        self.rule = None            # name of the script rule that interfered
        self.request_id = None      # x-line-request-id of the answer
        self.head = None
        self.body = None

    def as_dict(self, headers=False, body=False):
        result = {
            "n": self.n, "mono": self.mono, "wall": self.wall,
            "conn": self.conn, "on_conn": self.on_conn, "stream": self.stream,
            "protocol": self.protocol, "method": self.method,
            "path": self.path, "query": self.query, "tag": self.tag,
            "to": self.to, "length": self.length, "body_sha256": self.digest.hex(),
            "channel": self.channel, "status": self.status,
            "accepted": self.accepted, "answered": self.answered,
            "rule": self.rule, "request_id": self.request_id,
        }
        if headers:
            result["headers"] = header_pairs(self.head)
        if body:
            result["body"] = (None if self.body is None
                              else self.body.decode("utf-8", "replace"))
        return result


def header_pairs(head):
    """[name, value] of every header, in the order in which they came."""
    if head is None:
        return None
    lines = head.decode("latin-1").split("\r\n")[1:]
    return [[name.lower(), value.strip(" \t")]
            for name, _, value in (line.partition(":") for line in lines)]


class Journal:
    """All records since the last reset, and the log file."""

    def __init__(self, config, log=None):
        self.config = config
        self.log = log              # open text file, or None
        self.waiters = []           # (wanted number of requests, future)
        self.open_connections = 0
        self.clear()

    def clear(self):
        self.records = []
        self.incomplete = []
        self.kept_bytes = 0
        self.connections = {"accepted": 0, "tls_failed": 0,
                            "most_open": self.open_connections}

    # -- writing -----------------------------------------------------------

    def add(self, request):
        record = Record(len(self.records) + 1, request)
        size = len(request.body) + len(request.head)
        if size <= KEEP_BODY and self.kept_bytes + size <= KEEP_TOTAL:
            record.head = request.head
            record.body = request.body
            self.kept_bytes += size
        self.records.append(record)
        if self.waiters:
            self._wake()
        return record

    def log_record(self, record):
        """One line of the log.  A request that is answered at once has one
        line; one that a script holds back has a line when it came (status
        null) and one when it ended: the last line with an n counts."""
        if self.log is not None:
            self._write(record.as_dict())

    def broken(self, conn, phase, *, on_conn=0, method=None, path=None,
               tag=None, length=None, received=0, reason=None):
        """A request that never became complete."""
        entry = {"mono": time.monotonic(), "wall": time.time(), "conn": conn,
                 "on_conn": on_conn, "phase": phase, "method": method,
                 "path": path, "tag": tag, "length": length,
                 "received": received, "reason": reason}
        self.incomplete.append(entry)
        if self.log is not None:
            self._write({"incomplete": True, **entry})

    def connected(self):
        self.connections["accepted"] += 1
        self.open_connections += 1
        if self.open_connections > self.connections["most_open"]:
            self.connections["most_open"] = self.open_connections

    def disconnected(self):
        self.open_connections -= 1

    def _write(self, entry):
        self.log.write(json.dumps(entry) + "\n")
        self.log.flush()

    # -- waiting -----------------------------------------------------------

    async def wait(self, wanted, timeout):
        """Until there are so many complete requests, or the time is over."""
        if len(self.records) >= wanted:
            return
        future = asyncio.get_running_loop().create_future()
        entry = (wanted, future)
        self.waiters.append(entry)
        try:
            await asyncio.wait_for(future, timeout)
        except asyncio.TimeoutError:
            pass
        finally:
            if entry in self.waiters:
                self.waiters.remove(entry)

    def _wake(self):
        for wanted, future in self.waiters:
            if len(self.records) >= wanted and not future.done():
                future.set_result(None)

    # -- judging -----------------------------------------------------------

    def summary(self, since=0):
        records = self.records[since:]
        return {
            "requests": len(records),
            "accepted": sum(r.accepted for r in records),
            "by_status": dict(Counter(str(r.status or "none")
                                      for r in records)),
            "by_path": paces(records, lambda r: r.method + " " + r.path),
            "by_channel": paces(records, lambda r: r.channel or "unknown"),
            "answered": dict(Counter(r.answered for r in records)),
            "messages": self._messages(records),
            "recipients": repeated(records, lambda r: r.to),
            "bodies": repeated(records, lambda r: r.to and r.digest.hex()),
            "tags": repeated(records, lambda r: r.tag),
            "incomplete": dict(Counter(e["phase"] for e in self.incomplete)),
            "connections": {**self.connections,
                            "open": self.open_connections},
        }

    def _messages(self, records):
        """Messages by the id inside the tag, attempts counted together."""
        pattern = re.compile(self.config["tag_pattern"])

        def message_id(record):
            match = record.tag and pattern.match(record.tag)
            return match and match.group(1)
        return repeated(records, message_id)


def repeated(records, key):
    """How many distinct keys came, and which came, or were accepted, twice."""
    received, accepted = Counter(), Counter()
    for record in records:
        value = key(record)
        if value:
            received[value] += 1
            if record.accepted:
                accepted[value] += 1
    return {"distinct": len(received),
            "accepted": len(accepted),
            "received_twice": sum(n > 1 for n in received.values()),
            "accepted_twice": sum(n > 1 for n in accepted.values()),
            "extra_received": sum(n - 1 for n in received.values()),
            "extra_accepted": sum(n - 1 for n in accepted.values()),
            "named_received": first_named(received),
            "named_accepted": first_named(accepted)}


def first_named(counter):
    twice = ((key, n) for key, n in counter.items() if n > 1)
    return dict(itertools.islice(twice, NAMED))


def paces(records, key):
    times = defaultdict(list)
    for record in records:
        times[key(record)].append(record.mono)
    return {name: pace(moments) for name, moments in times.items()}


def pace(moments):
    """Count, and the most that fell into any second, wherever it begins."""
    moments.sort()
    first = most = 0
    for last, moment in enumerate(moments):
        while moment - moments[first] >= 1.0:
            first += 1
        most = max(most, last - first + 1)
    duration = moments[-1] - moments[0]
    return {"count": len(moments), "most_in_a_second": most,
            "first": moments[0], "last": moments[-1],
            "average": (len(moments) - 1) / duration if duration else None}
