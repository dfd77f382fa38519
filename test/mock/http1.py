"""HTTP/1.1 by hand: a strict request parser and a connection that can be
made to misbehave at any byte.

The plain path is synchronous (bytes in, answer out, within one callback), so
it is fast, and pipelined requests are answered in order.  A request that a
rule of the script wants becomes a task; until the task is done, whatever else
arrives on the connection waits in the buffer.
"""

import asyncio
import socket
import struct

import script
from http_types import REASONS, Request, json_answer

MAX_HEAD = 64 * 1024
MAX_BODY = 64 * 1024 * 1024     # read whole, and judged, up to here
MAX_WAITING = 4 * 1024 * 1024   # pipelined behind a busy request

H2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

NOT_CONTROL = bytes(c for c in range(256) if c >= 32 and c != 127 or c == 9)
TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ")

# Twice in one request, each of these is a mistake or an attack.
SINGLE = frozenset(("host", "content-length", "content-type", "authorization",
                    "transfer-encoding", "x-line-delivery-tag",
                    "x-line-retry-key"))


class Malformed(Exception):
    pass


def parse_head(head, conn=0, on_conn=1):
    """Request of a head (without its last empty line); raises Malformed."""
    text = head.decode("latin-1")
    lines = text.split("\r\n")
    # What is left without all ordinary characters must be the line ends.
    if head.translate(None, NOT_CONTROL) != b"\r\n" * (len(lines) - 1):
        raise Malformed("control character, or a line end that is not CRLF")
    parts = lines[0].split(" ")
    if len(parts) != 3 or not parts[1]:
        raise Malformed("request line: " + lines[0][:80])
    method, target, version = parts
    if version not in ("HTTP/1.1", "HTTP/1.0"):
        raise Malformed("version: " + version[:20])
    headers = [header_of_line(line) for line in lines[1:]]
    names = [name for name, _ in headers]
    if len(set(names)) != len(names):
        for name in SINGLE:
            if names.count(name) > 1:
                raise Malformed("two headers " + name)
    request = Request(conn, on_conn, version, method, target, headers, head)
    if version == "HTTP/1.1" and "host" not in request.headers:
        raise Malformed("no Host header")
    return request


def header_of_line(line):
    name, colon, value = line.partition(":")
    if not colon or not name or not TOKEN.issuperset(name):
        raise Malformed("header line: " + line[:40])
    return name.lower(), value.strip(" \t")


def body_length(request):
    """Bytes of the body, or None when it comes in chunks."""
    coding = request.headers.get("transfer-encoding")
    length = request.headers.get("content-length")
    if coding is not None:
        if length is not None:
            raise Malformed("Content-Length beside Transfer-Encoding")
        if coding.lower() != "chunked":
            raise Malformed("transfer coding: " + coding[:40])
        return None
    if length is None:
        return 0
    if not length.isascii() or not length.isdigit():
        raise Malformed("Content-Length: " + length[:40])
    return int(length)


def unchunk(data):
    """(body, bytes used) of a chunked body, or None when it is not whole."""
    body, at = bytearray(), 0
    while True:
        end = data.find(b"\r\n", at)
        if end < 0:
            return None
        try:
            size = int(bytes(data[at:end]).split(b";")[0], 16)
        except ValueError:
            raise Malformed("chunk size") from None
        at = end + 2
        if size == 0:
            break
        if len(data) < at + size + 2:
            return None
        if data[at + size:at + size + 2] != b"\r\n":
            raise Malformed("chunk end")
        body += data[at:at + size]
        at += size + 2
    while True:                         # trailers, which nobody needs
        end = data.find(b"\r\n", at)
        if end < 0:
            return None
        if end == at:
            return bytes(body), end + 2
        at = end + 2


class Connection(asyncio.Protocol):
    """What HTTP/1.1 and HTTP/2 have in common: a transport, and an end."""

    def __init__(self, hub, number, control=False, flags=()):
        self.hub = hub
        self.number = number
        self.control = control
        self.flags = set(flags)
        self.transport = None
        self.requests = 0
        self.gone = asyncio.get_running_loop().create_future()
        self.room = None            # future while the send buffer is full
        self.tasks = set()

    def connection_made(self, transport):
        self.transport = transport
        self.hub.connections.add(self)
        if not self.control and self.hub.listener.state() == "off":
            transport.abort()       # its handshake ended too late

    def connection_lost(self, error):
        self.hub.connections.discard(self)
        if not self.gone.done():
            self.gone.set_result(None)
        self.resume_writing()       # whoever waits finds out
        if not self.control:
            self.note_unfinished(error)
            self.hub.journal.disconnected()

    def note_unfinished(self, error):
        """Tells the journal of requests that never became complete."""

    def pause_writing(self):
        self.room = asyncio.get_running_loop().create_future()

    def resume_writing(self):
        room, self.room = self.room, None
        if room is not None and not room.done():
            room.set_result(None)

    def start(self, coroutine):
        task = asyncio.get_running_loop().create_task(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    # -- what scripts do to a connection -----------------------------------

    async def write(self, data):
        """Hands the bytes to the kernel; raises Gone when nobody listens."""
        if self.transport.is_closing():
            raise script.Gone()
        self.transport.write(data)
        while self.room is not None:
            await self.room
        if self.transport.is_closing():
            raise script.Gone()

    async def wait(self, seconds):
        """A pause that ends early when the connection does."""
        done, _ = await asyncio.wait({self.gone}, timeout=seconds)
        if done:
            raise script.Gone()

    def close(self):
        self.transport.close()

    def reset(self):
        """RST instead of FIN: an aborted socket that lingers for 0 s."""
        sock = self.raw_socket()
        if sock is not None:            # TLS has let go of it while closing
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                            struct.pack("ii", 1, 0))
        self.transport.abort()

    def end_writing(self):
        """FIN, but go on reading.  Under TLS this is a truncation: the FIN
        comes without close_notify."""
        self.raw_socket().shutdown(socket.SHUT_WR)

    def goaway(self, last=None, error=0):
        """HTTP/1.1 has no such thing; the nearest is to close."""
        self.close()

    def raw_socket(self):
        return self.transport.get_extra_info("socket")

    def is_idle(self):
        return not self.tasks


class Http1(Connection):
    def __init__(self, hub, number, control=False, flags=()):
        super().__init__(hub, number, control, flags)
        self.buffer = bytearray()
        self.request = None         # head read, body not yet
        self.length = 0             # of that body; None: chunked
        self.recorded = False       # is that request in the journal already
        self.busy = False           # a task answers the request before
        self.early = None           # answered before the body was read
        self.ending = False         # no further request is read
        self.paused = False
        self.idle_timer = None
        self.first_bytes = hub.http2 and not control

    # -- reading -----------------------------------------------------------

    def connection_made(self, transport):
        super().connection_made(transport)
        self.note_idle()

    def data_received(self, data):
        self.buffer += data
        if self.first_bytes and self.is_h2():
            return
        if not self.busy:
            self.advance()
        elif len(self.buffer) > MAX_WAITING and not self.paused:
            self.pause_reading()

    def is_h2(self):
        """Prior knowledge: the client's first bytes are the h2 preface."""
        start = bytes(self.buffer[:len(H2_PREFACE)])
        if start == H2_PREFACE:
            self.hub.switch_to_h2(self, bytes(self.buffer))
            return True
        if H2_PREFACE.startswith(start):
            return True             # too few bytes to tell
        self.first_bytes = False
        return False

    def eof_received(self):
        return False                # the transport closes, what is due goes out

    def advance(self):
        """Goes on with whatever the buffer holds, as far as it goes."""
        try:
            while not self.busy and not self.ending:
                if self.request is None and not self.take_head():
                    break
                if self.busy or not self.take_body():
                    break
                self.complete()
        except Malformed as error:
            self.malformed(str(error))
        self.note_idle()

    def take_head(self):
        while self.buffer.startswith(b"\r\n"):      # RFC 9112, 2.2
            del self.buffer[:2]
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self.buffer) > MAX_HEAD:
                raise Malformed("headers too large")
            return False
        head = bytes(self.buffer[:end])
        del self.buffer[:end + 4]
        self.requests += 1
        request = parse_head(head, self.number, self.requests)
        self.length = body_length(request)
        self.request = request
        self.recorded = False
        self.early = None
        if not self.control:
            rule = self.hub.find_rule("head", request)
            if rule is not None:
                self.begin(rule, None)
                return True
        self.welcome_body()
        return True

    def welcome_body(self):
        if self.request.headers.get("expect", "").lower() == "100-continue":
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def take_body(self):
        if self.length is None:
            whole = unchunk(self.buffer)
            if whole is None:
                self.limit_body(len(self.buffer))
                return False
            self.request.body, used = whole
        else:
            self.limit_body(self.length)
            if len(self.buffer) < self.length:
                return False
            used = self.length
            self.request.body = bytes(self.buffer[:used])
        del self.buffer[:used]
        return True

    def limit_body(self, size):
        if size > MAX_BODY:
            raise Malformed("body too large to be read")

    # -- answering ---------------------------------------------------------

    def complete(self):
        """The request is here, whole: the moment that the judge notes."""
        request, self.request = self.request, None
        if self.hub.is_control(request, self.control):
            self.busy = True
            self.start(self.answer_control(request))
            return
        record = self.hub.journal.add(request)
        if self.early is not None:
            self.note_early(record)
            return
        rule = self.hub.find_rule("body", request)
        if rule is not None:
            self.request = request
            self.recorded = True
            self.begin(rule, record)
            return
        answer = self.hub.api.handle(request, record)
        record.status = answer.status
        latency = self.hub.config["latency"]
        if latency:
            self.busy = True
            asyncio.get_running_loop().call_later(
                latency, self.finish_late, request, record, answer)
        else:
            self.finish(request, record, answer)

    def finish(self, request, record, answer):
        if self.last_request(request):
            answer.headers.append(("Connection", "close"))
            self.ending = True
        if not self.transport.is_closing():
            self.transport.write(answer.head_bytes() + answer.body)
            if not self.transport.is_closing():
                record.answered = "whole"
        self.hub.journal.log_record(record)
        if self.ending:
            self.close()

    def finish_late(self, request, record, answer):
        self.busy = False
        self.finish(request, record, answer)
        self.carry_on()

    def last_request(self, request):
        wish = request.headers.get("connection", "").lower()
        most = self.hub.config["keepalive_requests"]
        return ("close" in wish
                or request.protocol == "HTTP/1.0" and "keep-alive" not in wish
                or bool(most) and not self.control and self.requests >= most)

    def carry_on(self):
        if self.transport.is_closing():
            return
        if self.paused:
            self.paused = False
            self.transport.resume_reading()
        self.advance()

    def note_early(self, record):
        record.status, record.answered, record.rule = self.early
        record.request_id = None
        self.early = None
        self.hub.journal.log_record(record)

    async def answer_control(self, request):
        answer = await self.hub.control(request)
        self.busy = False
        if self.transport.is_closing():
            return
        if self.last_request(request):
            answer.headers.append(("Connection", "close"))
            self.ending = True
        self.transport.write(answer.head_bytes() + answer.body)
        if self.ending:
            self.close()
        else:
            self.carry_on()

    def malformed(self, reason):
        """400 and the end: after such bytes, nothing can be trusted."""
        if not self.control:
            self.hub.journal.broken(self.number, "malformed",
                                    on_conn=self.requests, reason=reason)
        self.request = None
        self.ending = True
        answer = json_answer(400, {"message": "Bad request: " + reason})
        answer.headers.append(("Connection", "close"))
        self.transport.write(answer.head_bytes() + answer.body)
        self.close()

    # -- scripted ----------------------------------------------------------

    def begin(self, rule, record):
        self.busy = True
        exchange = Exchange(self, rule, self.request, record)
        self.start(self.run(rule, exchange, record))

    async def run(self, rule, exchange, record):
        if record is not None:
            exchange.process()
            self.hub.journal.log_record(record)
        await script.perform(rule, exchange)
        if record is not None:
            self.hub.journal.log_record(record)
            self.request = None
        elif exchange.answered != "none":
            status = exchange.made.status if exchange.made else None
            self.early = (status, exchange.answered, rule.name)
        else:
            self.welcome_body()
        self.busy = False
        self.carry_on()

    def pause_reading(self):
        if not self.paused and not self.transport.is_closing():
            self.paused = True
            self.transport.pause_reading()

    # -- idleness and the end ----------------------------------------------

    def is_idle(self):
        return not self.busy and self.request is None and not self.buffer

    def note_idle(self):
        if self.idle_timer is not None:
            self.idle_timer.cancel()
            self.idle_timer = None
        limit = self.hub.config["keepalive_idle"]
        if limit and not self.control and self.is_idle() \
                and not self.transport.is_closing():
            self.idle_timer = asyncio.get_running_loop().call_later(
                limit, self.close)

    def note_unfinished(self, error):
        if self.idle_timer is not None:
            self.idle_timer.cancel()
        reason = type(error).__name__ if error else "closed"
        if self.request is not None and not self.recorded:
            request = self.request
            self.hub.journal.broken(
                self.number, "body", on_conn=self.requests,
                method=request.method, path=request.path,
                tag=request.headers.get("x-line-delivery-tag"),
                length=self.length, received=len(self.buffer), reason=reason)
        elif self.request is None and self.buffer and not self.ending:
            self.hub.journal.broken(self.number, "head",
                                    on_conn=self.requests + 1,
                                    received=len(self.buffer), reason=reason)
        elif self.requests == 0:
            self.hub.journal.broken(self.number, "connected", reason=reason)


class Exchange:
    """What the steps of a rule act on: one request, or at `head` the first
    part of one."""

    def __init__(self, connection, rule, request, record):
        self.connection = connection
        self.rule = rule
        self.request = request
        self.record = record
        self.made = None            # the answer, once it is known
        self.data = b""             # and its bytes
        self.cuts = {}
        self.sent = 0               # how many of them are out
        self.answered = "none"
        if record is not None:
            record.rule = rule.name

    def process(self):
        """Lets the simulated LINE act on the request, if it should."""
        usual = None
        if self.rule.accepted:
            usual = self.connection.hub.api.handle(self.request, self.record)
        else:
            self.record.channel = self.request.channel_id
        if self.rule.answer is None:
            self.made = usual
            return
        if self.record.request_id is None:
            self.record.request_id = self.connection.hub.api.new_request_id()
        self.made = self.rule.answer.make(self.record.request_id)

    def render(self):
        """The answer as bytes, and where its parts end."""
        if self.made is None:       # at head: only a rule's own answer
            self.made = self.rule.answer.make(
                self.connection.hub.api.new_request_id())
        head = self.made.head_bytes()
        self.data = head + self.made.body
        line = head.find(b"\r\n")
        self.cuts = {"status_line": line // 2,
                     "headers": (line + len(head)) // 2,
                     "head": len(head),
                     "body": len(head) + len(self.made.body) // 2,
                     "end": len(self.data)}
        if self.record is not None:
            self.record.status = self.made.status

    # -- steps -------------------------------------------------------------

    async def answer_to(self, cut):
        if not self.cuts:
            self.render()
        end = self.cuts[cut]
        while self.sent < end:
            part = self.data[self.sent:min(end, self.sent + script.CHUNK)]
            await self.connection.write(part)
            self.sent += len(part)
            self.mark()

    async def drip(self, seconds):
        if not self.cuts:
            self.render()
        while self.sent < len(self.data):
            await self.connection.write(self.data[self.sent:self.sent + 1])
            self.sent += 1
            self.mark()
            await self.connection.wait(seconds)

    async def send_often(self, data, times, interval):
        done = 0
        while times == "forever" or done < times:
            await self.connection.write(data)
            self.mark()
            done += 1
            if interval or times == "forever" or done < times:
                await self.connection.wait(interval)

    async def inform(self, status, headers, times, interval):
        lines = ["HTTP/1.1 %d %s" % (status, REASONS.get(status, "Unknown"))]
        lines += ["%s: %s" % pair for pair in headers]
        data = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
        await self.send_often(data, times, interval)

    def mark(self):
        self.answered = ("whole" if self.cuts and self.sent == len(self.data)
                         else "part")
        if self.record is not None:
            self.record.answered = self.answered

    async def fall_through(self):
        """The steps did not answer: after them, all goes its usual way."""
        if self.record is not None:
            await self.answer_to("end")

    async def sleep(self, seconds):
        await self.connection.wait(seconds)

    async def stall(self):
        await self.connection.wait(None)

    async def close(self):
        self.connection.close()

    async def reset(self):
        self.connection.reset()

    async def end_writing(self):
        self.connection.end_writing()

    async def stop_reading(self):
        self.connection.pause_reading()

    async def start_reading(self):
        self.connection.carry_on()

    async def stop_listening(self, seconds):
        self.connection.hub.stop_listening(seconds)

    async def goaway(self, last, error):
        self.connection.goaway()

    async def rst_stream(self, code):
        self.connection.reset()     # HTTP/1.1: there is but one stream
