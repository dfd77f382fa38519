"""HTTP/2, for --http2 only: the one module that needs python3-h2.

The library keeps the state of the protocol; bytes go through `flush`, so a
rule can hold frames back or cut them in two.  GOAWAY is written by hand,
because the library would refuse to serve the streams that it still allows.
"""

import asyncio
import struct

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

import script
from http1 import SINGLE, Connection, Exchange
from http_types import Request

SETTINGS, GOAWAY = 4, 7         # frame types
ACK = 1
WHOLE, PART = "whole", "part"


class Stream:
    def __init__(self, request):
        self.request = request
        self.body = bytearray()
        self.complete = False       # read whole, and in the journal
        self.held = False           # a rule at `head` keeps it from being so
        self.ended = False          # the client has sent it whole
        self.early = None           # answered before it was read
        self.reading = True         # whether its window is opened again
        self.unread = 0             # bytes for which it was not
        self.gone = asyncio.get_running_loop().create_future()


class Http2(Connection):
    def __init__(self, hub, number, control=False, flags=()):
        super().__init__(hub, number, control, flags)
        self.streams = {}
        self.last_stream = None     # of a GOAWAY: later streams are ignored
        self.highest = 0
        self.changed = asyncio.Event()      # windows or settings
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(
            client_side=False, header_encoding="latin-1",
            validate_outbound_headers=False,
            normalize_outbound_headers=False))
        codes = h2.settings.SettingCodes
        values = {codes.MAX_CONCURRENT_STREAMS: hub.config["h2_max_streams"],
                  codes.ENABLE_PUSH: 0}
        if "no_window" in self.flags:
            values[codes.INITIAL_WINDOW_SIZE] = 0
        self.h2.local_settings = h2.settings.Settings(client=False,
                                                      initial_values=values)

    def connection_made(self, transport):
        super().connection_made(transport)
        self.h2.initiate_connection()
        self.flush()

    # -- bytes in ----------------------------------------------------------

    def data_received(self, data):
        try:
            events = self.h2.receive_data(data)
        except h2.exceptions.ProtocolError as error:
            # A client that has its answer early may end its request before
            # the announced length: incomplete, but not malformed.
            if not isinstance(error, h2.exceptions.InvalidBodyLengthError):
                self.hub.journal.broken(
                    self.number, "malformed", on_conn=self.requests,
                    reason=str(error))
            self.flush()
            self.close()
            return
        for event in events:
            handler = HANDLERS.get(type(event))
            if handler is not None:
                handler(self, event)
        self.flush()

    def on_request(self, event):
        number = event.stream_id
        if self.last_stream is not None and number > self.last_stream:
            self.hub.journal.broken(self.number, "after_goaway",
                                    on_conn=self.requests)
            return
        self.highest = max(self.highest, number)
        self.requests += 1
        request = request_of(event.headers, self.number, self.requests, number)
        if request is None:
            self.hub.journal.broken(self.number, "malformed",
                                    on_conn=self.requests,
                                    reason="headers of a stream")
            self.h2.reset_stream(number, h2.errors.ErrorCodes.PROTOCOL_ERROR)
            return
        stream = self.streams[number] = Stream(request)
        rule = self.hub.find_rule("head", request)
        if rule is not None:
            stream.held = True
            self.start(self.run(rule, stream, None))

    def on_data(self, event):
        stream = self.streams.get(event.stream_id)
        size = event.flow_controlled_length
        if stream is None:
            self.h2.acknowledge_received_data(size, event.stream_id)
            return
        stream.body += event.data
        stream.unread += size
        if stream.reading:
            self.open_window(stream)

    def open_window(self, stream):
        if stream.unread:
            self.h2.acknowledge_received_data(stream.unread,
                                              stream.request.stream)
            stream.unread = 0

    def on_end(self, event):
        stream = self.streams.get(event.stream_id)
        if stream is not None:
            stream.ended = True
            if not stream.held:
                self.complete(stream)

    def on_reset(self, event):
        stream = self.streams.pop(event.stream_id, None)
        if stream is not None:
            self.end_stream(stream, "reset by the client")

    def on_window(self, event):
        self.changed.set()

    def end_stream(self, stream, reason):
        if not stream.gone.done():
            stream.gone.set_result(None)
        if not stream.complete:
            request = stream.request
            length = request.headers.get("content-length", "")
            self.hub.journal.broken(
                self.number, "body", on_conn=request.on_conn,
                method=request.method, path=request.path,
                tag=request.headers.get("x-line-delivery-tag"),
                length=int(length) if length.isdigit() else None,
                received=len(stream.body), reason=reason)

    def note_unfinished(self, error):
        reason = type(error).__name__ if error else "closed"
        for stream in self.streams.values():
            self.end_stream(stream, reason)
        self.streams.clear()
        self.changed.set()
        if self.requests == 0:
            self.hub.journal.broken(self.number, "connected", reason=reason)

    # -- answers -----------------------------------------------------------

    def complete(self, stream):
        request = stream.request
        request.body = bytes(stream.body)
        stream.complete = True
        if request.path.startswith("/_sim/"):
            self.start(self.answer_control(stream))
            return
        record = self.hub.journal.add(request)
        if stream.early is not None:
            record.status, record.answered, record.rule = stream.early
            self.hub.journal.log_record(record)
            self.streams.pop(request.stream, None)
            return
        rule = self.hub.find_rule("body", request)
        if rule is not None:
            self.start(self.run(rule, stream, record))
            return
        answer = self.hub.api.handle(request, record)
        record.status = answer.status
        latency = self.hub.config["latency"]
        if latency:
            asyncio.get_running_loop().call_later(
                latency, self.finish, stream, record, answer)
        else:
            self.finish(stream, record, answer)

    def finish(self, stream, record, answer):
        """The plain path; only a body beyond the window needs a task."""
        number = stream.request.stream
        if number in self.streams and not self.transport.is_closing():
            if len(answer.body) > min(
                    self.h2.local_flow_control_window(number),
                    self.h2.max_outbound_frame_size):
                self.start(self.finish_slowly(stream, record, answer))
                return
            self.h2.send_headers(number, header_list(answer))
            self.h2.send_data(number, answer.body, end_stream=True)
            self.flush()
            del self.streams[number]
            record.answered = WHOLE
        self.hub.journal.log_record(record)

    async def finish_slowly(self, stream, record, answer):
        exchange = H2Exchange(self, None, stream, record)
        exchange.made = answer
        try:
            await exchange.answer_to("end")
        except script.Gone:
            pass
        self.hub.journal.log_record(record)

    async def answer_control(self, stream):
        exchange = H2Exchange(self, None, stream, None)
        exchange.made = await self.hub.control(stream.request)
        try:
            await exchange.answer_to("end")
        except script.Gone:
            pass

    async def run(self, rule, stream, record):
        exchange = H2Exchange(self, rule, stream, record)
        if record is not None:
            exchange.process()
            self.hub.journal.log_record(record)
        try:
            await script.perform(rule, exchange)
        except h2.exceptions.H2Error:
            pass                    # the client has ended the stream
        if record is not None:
            self.hub.journal.log_record(record)
            return
        if exchange.answered != "none":
            status = exchange.made.status if exchange.made else None
            stream.early = (status, exchange.answered, rule.name)
        stream.held = False
        if stream.ended and not stream.gone.done():
            self.complete(stream)

    # -- bytes out ---------------------------------------------------------

    def pending(self):
        """Frames that the library wants sent, without what a flag forbids."""
        data = self.h2.data_to_send()
        if not self.flags.intersection(("no_settings", "no_settings_ack")):
            return data
        kept, at = [], 0
        while at < len(data):
            size = int.from_bytes(data[at:at + 3], "big") + 9
            kind, frame_flags = data[at + 3], data[at + 4]
            if kind != SETTINGS or (frame_flags & ACK == 0
                                    and "no_settings" not in self.flags):
                kept.append(data[at:at + size])
            at += size
        return b"".join(kept)

    def flush(self):
        data = self.pending()
        if data and not self.transport.is_closing():
            self.transport.write(data)

    def goaway(self, last=None, error=0):
        """GOAWAY; streams up to `last` are still served."""
        self.flush()
        self.last_stream = self.highest if last is None else last
        self.transport.write(struct.pack(
            ">I", 8 << 8 | GOAWAY)[0:4] + b"\0" + struct.pack(
            ">III", 0, self.last_stream, error))
        if not self.streams:
            self.close()

    def is_idle(self):
        return not self.streams and not self.tasks


def header_list(answer):
    headers = [(":status", str(answer.status))]
    headers += [(name.lower(), value) for name, value in answer.headers
                if name.lower() not in ("connection", "transfer-encoding")]
    if answer.raw_length == "true":
        headers.append(("content-length", str(len(answer.body))))
    elif answer.raw_length is not None:
        headers.append(("content-length", str(answer.raw_length)))
    return headers


def request_of(headers, conn, on_conn, stream):
    """Request of a header block; None when a header comes twice."""
    plain = [(n, v) for n, v in headers if not n.startswith(":")]
    pseudo = dict((n, v) for n, v in headers if n.startswith(":"))
    plain.insert(0, ("host", pseudo.get(":authority", "")))
    names = [n for n, _ in plain]
    if any(names.count(name) > 1 for name in SINGLE):
        return None
    lines = ["%s %s HTTP/2" % (pseudo[":method"], pseudo[":path"])]
    lines += ["%s: %s" % pair for pair in plain]
    return Request(conn, on_conn, "HTTP/2", pseudo[":method"],
                   pseudo[":path"], plain,
                   "\r\n".join(lines).encode("latin-1", "replace"), stream)


class H2Exchange(Exchange):
    """The steps again, with frames in place of bytes."""

    def __init__(self, connection, rule, stream, record):
        super().__init__(connection, rule, stream.request, record)
        self.stream = stream
        self.number = stream.request.stream
        self.head = None            # bytes of HEADERS not yet written
        self.head_done = False
        self.body_sent = 0

    async def answer_to(self, cut):
        await self.send_head(whole=cut not in ("status_line", "headers"))
        if cut == "body":
            await self.send_body(len(self.made.body) // 2)
        elif cut == "end":
            await self.send_body(len(self.made.body))
            self.connection.h2.end_stream(self.number)
            await self.write()
            self.note(WHOLE)
            if self.stream.complete:    # else its body may still come
                self.connection.streams.pop(self.number, None)

    async def send_head(self, whole):
        self.check()
        connection = self.connection
        if self.head is None and not self.head_done:
            if self.made is None:
                self.made = self.rule.answer.make(
                    connection.hub.api.new_request_id())
            if self.record is not None:
                self.record.status = self.made.status
            connection.flush()
            connection.h2.send_headers(self.number, header_list(self.made))
            self.head = connection.pending()
            if not whole:
                half = len(self.head) // 2
                await connection.write(self.head[:half])
                self.head = self.head[half:]
                self.note(PART)
        if whole and not self.head_done:
            self.head_done = True
            await connection.write(self.head)
            self.head = None
            self.note(PART)

    async def send_body(self, end, size=script.CHUNK, pause=None):
        h2_state = self.connection.h2
        while self.body_sent < end:
            self.check()
            room = min(h2_state.local_flow_control_window(self.number),
                       h2_state.max_outbound_frame_size, size)
            if room <= 0:
                self.connection.changed.clear()
                await self.first_of(self.connection.changed.wait())
                continue
            part = self.made.body[self.body_sent:min(end,
                                                     self.body_sent + room)]
            h2_state.send_data(self.number, part)
            self.body_sent += len(part)
            await self.write()
            if pause is not None:
                await self.sleep(pause)

    async def write(self):
        await self.connection.write(self.connection.pending())

    async def drip(self, seconds):
        await self.send_head(whole=True)
        await self.send_body(len(self.made.body), size=1, pause=seconds)
        await self.answer_to("end")

    async def inform(self, status, headers, times, interval):
        done = 0
        while times == "forever" or done < times:
            self.check()
            self.connection.h2.send_headers(
                self.number, [(":status", str(status))]
                + [(name.lower(), value) for name, value in headers])
            await self.write()
            self.note(PART)
            done += 1
            await self.sleep(interval)

    def note(self, answered):
        self.answered = answered
        if self.record is not None:
            self.record.answered = answered

    def check(self):
        if self.stream.gone.done() or self.connection.gone.done():
            raise script.Gone()

    async def sleep(self, seconds):
        done, _ = await asyncio.wait(
            {self.connection.gone, self.stream.gone}, timeout=seconds,
            return_when=asyncio.FIRST_COMPLETED)
        if done:
            raise script.Gone()

    async def first_of(self, awaitable):
        """Waits for it, or raises Gone when the stream ends before."""
        task = asyncio.ensure_future(awaitable)
        await asyncio.wait(
            {task, self.connection.gone, self.stream.gone},
            return_when=asyncio.FIRST_COMPLETED)
        task.cancel()
        self.check()

    async def stall(self):
        await self.sleep(None)

    async def stop_reading(self):
        self.stream.reading = False

    async def start_reading(self):
        self.stream.reading = True
        self.connection.open_window(self.stream)
        self.connection.flush()

    async def goaway(self, last, error):
        number = {"this": self.number, "before": max(0, self.number - 2),
                  "zero": 0}[last]
        self.connection.goaway(number, error)

    async def rst_stream(self, code):
        self.check()
        self.connection.h2.reset_stream(self.number, code)
        await self.write()
        self.connection.streams.pop(self.number, None)
        self.connection.end_stream(self.stream, "reset by a rule")


HANDLERS = {
    h2.events.RequestReceived: Http2.on_request,
    h2.events.DataReceived: Http2.on_data,
    h2.events.StreamEnded: Http2.on_end,
    h2.events.StreamReset: Http2.on_reset,
    h2.events.WindowUpdated: Http2.on_window,
    h2.events.RemoteSettingsChanged: Http2.on_window,
}
