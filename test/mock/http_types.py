"""Requests and answers, the same for HTTP/1.1 and HTTP/2."""

import json
import sys
from http import HTTPStatus

REASONS = {status.value: status.phrase for status in HTTPStatus}

UNPARSED = object()


class Request:
    """One request; `body` is empty until it has been read whole."""

    __slots__ = ("conn", "on_conn", "stream", "protocol", "method", "path",
                 "query", "headers", "head", "body", "channel_id", "_json")

    def __init__(self, conn, on_conn, protocol, method, target, headers, head,
                 stream=None):
        self.conn = conn
        self.on_conn = on_conn
        self.stream = stream
        # The same few texts in every record: kept once.
        self.protocol = sys.intern(protocol)
        self.method = sys.intern(method)
        path, _, self.query = target.partition("?")
        self.path = sys.intern(path)
        self.headers = dict(headers)        # names in lower case
        self.head = head                    # raw, without the last empty line
        self.body = b""
        self.channel_id = None      # known when a script may ask for it
        self._json = UNPARSED

    def json(self):
        """The body as JSON, or None when it is none."""
        if self._json is UNPARSED:
            try:
                self._json = json.loads(self.body)
            except (ValueError, RecursionError):
                self._json = None
        return self._json

    @property
    def to(self):
        """Recipient of a send request, as it stands there."""
        if self.method != "POST" or not self.path.endswith("/push"):
            return None
        body = self.json()
        to = body.get("to") if isinstance(body, dict) else None
        return to if isinstance(to, str) else None


class Answer:
    __slots__ = ("status", "headers", "body", "reason", "raw_length",
                 "accepted")

    def __init__(self, status, headers=(), body=b"", reason=None):
        self.status = status
        self.headers = list(headers)
        self.body = body
        self.reason = reason        # None: the usual phrase
        # What Content-Length says: "true", None for no such header, or any
        # number or text that a script wants there.
        self.raw_length = "true"
        self.accepted = False

    def head_bytes(self):
        """Status line and headers for HTTP/1.1."""
        reason = self.reason
        if reason is None:
            reason = REASONS.get(self.status, "Unknown")
        lines = ["HTTP/1.1 %d %s" % (self.status, reason)]
        lines += ["%s: %s" % pair for pair in self.headers]
        if self.raw_length == "true":
            lines.append("Content-Length: %d" % len(self.body))
        elif self.raw_length is not None:
            lines.append("Content-Length: %s" % self.raw_length)
        return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n"


def json_answer(status, body, headers=()):
    return Answer(status, [("Content-Type", "application/json"), *headers],
                  json.dumps(body, ensure_ascii=False).encode())
