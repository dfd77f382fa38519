#!/usr/bin/env python3
"""A small forward proxy that can be told to fail, for tests.

    python3 proxy.py [--port N] [--control-port N] [--auth USER:PASSWORD]
                     [--log FILE] [--while-stdin]

Prints `ready http=127.0.0.1:PORT control=127.0.0.1:PORT pid=N`.  It serves
CONNECT (a tunnel) and plain absolute-URI requests (one request a connection),
to any port of loopback and nowhere else.  The rules are those of the
simulator, with other phases and two more steps:

  at "accept"   a connection has come, nothing is read
  at "head"     the request to the proxy is read, nothing done (default)
  at "tunnel"   the target is connected; the client has not been told
  at "open"     the client has been told 200; bytes flow from now on

  {"cut_up": N}    let N bytes through towards the target, then go on with
                   the next step (bytes after them are held back)
  {"cut_down": N}  the same towards the client

`match` knows connection, nth, every, after, probability, seed, method and
path (of CONNECT: host:port).
"""

import argparse
import asyncio
import base64
import json
import os
import signal
import socket
import struct
import sys
import time
from urllib.parse import urlsplit

import script
from http1 import Malformed, parse_head
from http_types import Answer, json_answer

MAX_HEAD = 64 * 1024
PIECE = 64 * 1024
HOP_HEADERS = ("proxy-authorization", "proxy-connection", "connection",
               "keep-alive")


def step_cut_up(count):
    script.need(isinstance(count, int) and count >= 0,
                "cut_up must be a number of bytes")
    return lambda x: x.cut("up", count)


def step_cut_down(count):
    script.need(isinstance(count, int) and count >= 0,
                "cut_down must be a number of bytes")
    return lambda x: x.cut("down", count)


DIALECT = script.Dialect(
    phases=("accept", "head", "tunnel", "open"),
    steps={**{name: script.STEPS[name] for name in (
        "answer", "answer_to", "delay", "stall", "close", "reset",
        "end_writing", "send")},
        "cut_up": step_cut_up, "cut_down": step_cut_down},
    path_names=None, complete=None, default="head")


class Pipe:
    """One direction of a tunnel, with a gate that counts bytes."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer
        self.passed = 0
        self.limit = None           # let so many bytes through
        self.reached = asyncio.Event()

    async def run(self):
        """Until either side ends."""
        try:
            while True:
                data = await self.reader.read(PIECE)
                if not data:
                    return
                while data:
                    part = await self.allowed(data)
                    self.writer.write(part)
                    await self.writer.drain()
                    self.passed += len(part)
                    data = data[len(part):]
        except OSError:
            pass

    async def allowed(self, data):
        while self.limit is not None and self.passed >= self.limit:
            self.reached.set()
            await asyncio.sleep(0.01)       # held back; a rule acts now
        if self.limit is None:
            return data
        return data[:self.limit - self.passed]


class Exchange:
    """What the steps act on: one connection of a client."""

    def __init__(self, proxy, reader, writer, number):
        self.proxy = proxy
        self.reader, self.writer = reader, writer
        self.number = number
        self.rule = None
        self.request = None
        self.target = None          # (reader, writer) of the other side
        self.up = self.down = None  # pipes
        self.sent = 0
        self.entry = {"conn": number, "mono": time.monotonic(),
                      "wall": time.time(), "method": None, "target": None,
                      "status": None, "rule": None, "up": 0, "down": 0}

    async def write(self, data):
        if self.writer.is_closing():
            raise script.Gone()
        self.writer.write(data)
        await self.writer.drain()

    async def answer_to(self, cut):
        answer = (self.rule.answer.make(None) if self.rule.answer
                  else Answer(502))
        data = answer.head_bytes() + answer.body
        head = data.find(b"\r\n\r\n") + 4
        line = data.find(b"\r\n")
        end = {"status_line": line // 2, "headers": (line + head) // 2,
               "head": head, "body": (head + len(data)) // 2,
               "end": len(data)}[cut]
        self.entry["status"] = answer.status
        await self.write(data[self.sent:end])
        self.sent = end

    async def send_often(self, data, times, interval):
        done = 0
        while times == "forever" or done < times:
            await self.write(data)
            done += 1
            await asyncio.sleep(interval)

    async def sleep(self, seconds):
        await asyncio.sleep(seconds)

    async def stall(self):
        await asyncio.get_running_loop().create_future()

    async def close(self):
        self.writer.close()
        if self.target:
            self.target[1].close()

    async def reset(self):
        """RST to the client, and an end for the other side."""
        self.linger_zero()
        if self.target:
            self.target[1].transport.abort()

    def linger_zero(self):
        self.writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def end_writing(self):
        self.writer.write_eof()

    async def cut(self, direction, count):
        pipe = self.up if direction == "up" else self.down
        pipe.limit = pipe.passed + count
        await pipe.reached.wait()

    async def fall_through(self):
        """The steps are over: let what they held back go on."""
        for pipe in (self.up, self.down):
            if pipe is not None:
                pipe.limit = None


class Subject:
    """What rules may ask about a connection of the proxy."""

    def __init__(self, number, request=None):
        self.conn = number
        self.method = request.method if request else None
        self.path = request.path if request else ""


class Proxy:
    def __init__(self, options):
        self.auth = None
        if options.auth:
            self.auth = "Basic " + base64.b64encode(
                options.auth.encode()).decode()
        self.log = (open(options.log, "a", encoding="ascii")
                    if options.log else None)
        self.script = script.Script(DIALECT)
        self.entries = []
        self.number = 0
        self.open = {}              # task -> exchange

    async def client(self, reader, writer):
        """One connection from its beginning to its end."""
        self.number += 1
        exchange = Exchange(self, reader, writer, self.number)
        self.entries.append(exchange.entry)
        task = asyncio.current_task()
        self.open[task] = exchange
        try:
            await self.serve(exchange)
        except (OSError, asyncio.IncompleteReadError, Malformed, ValueError,
                asyncio.CancelledError):
            pass
        finally:
            del self.open[task]
            self.finish(exchange)

    async def serve(self, exchange):
        if await self.interfere("accept", exchange):
            return
        head = await exchange.reader.readuntil(b"\r\n\r\n")
        exchange.request = request = parse_head(head[:-4], exchange.number)
        exchange.entry["method"] = request.method
        exchange.entry["target"] = request.path
        if self.auth and request.headers.get(
                "proxy-authorization") != self.auth:
            await self.refuse(exchange, 407)
            return
        if await self.interfere("head", exchange):
            return
        host, port = target_of(request)
        if host not in ("127.0.0.1", "localhost"):
            await self.refuse(exchange, 403)
            return
        try:
            exchange.target = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await self.refuse(exchange, 502)
            return
        if await self.interfere("tunnel", exchange):
            return
        await self.relay(exchange)

    async def interfere(self, phase, exchange):
        """Runs a rule, if one wants this; true: the connection is done."""
        rule = self.script.find(phase, Subject(exchange.number,
                                               exchange.request))
        if rule is None:
            return False
        exchange.rule = rule
        exchange.entry["rule"] = rule.name
        await script.perform(rule, exchange)
        return rule.answers_itself or exchange.writer.is_closing()

    async def refuse(self, exchange, status):
        answer = json_answer(status, {"message": "proxy: %d" % status})
        answer.headers.append(("Connection", "close"))
        if status == 407:
            answer.headers.append(("Proxy-Authenticate", 'Basic realm="sim"'))
        exchange.entry["status"] = status
        await exchange.write(answer.head_bytes() + answer.body)

    async def relay(self, exchange):
        reader, writer = exchange.target
        exchange.up = Pipe(exchange.reader, writer)
        exchange.down = Pipe(reader, exchange.writer)
        rule = asyncio.create_task(self.when_open(exchange))
        if exchange.request.method == "CONNECT":
            exchange.entry["status"] = 200
            await exchange.write(b"HTTP/1.1 200 Connection established"
                                 b"\r\n\r\n")
        else:
            writer.write(origin_form(exchange.request))
        pipes = [asyncio.create_task(pipe.run())
                 for pipe in (exchange.up, exchange.down)]
        try:
            # Whoever ends first ends it all: no client of an HTTP API
            # closes one half only.
            await asyncio.wait(pipes, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (rule, *pipes):
                task.cancel()

    async def when_open(self, exchange):
        await self.interfere("open", exchange)

    def finish(self, exchange):
        for pipe, name in ((exchange.up, "up"), (exchange.down, "down")):
            if pipe is not None:
                exchange.entry[name] = pipe.passed
        exchange.writer.close()
        if exchange.target:
            exchange.target[1].close()
        if self.log is not None:
            self.log.write(json.dumps(exchange.entry) + "\n")
            self.log.flush()

    # -- control -----------------------------------------------------------

    async def control(self, reader, writer):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            request = parse_head(head[:-4])
            length = int(request.headers.get("content-length", 0))
            body = await reader.readexactly(length)
            answer = self.control_answer(request, body)
            answer.headers.append(("Connection", "close"))
            writer.write(answer.head_bytes() + answer.body)
            await writer.drain()
        except (OSError, Malformed, ValueError,
                asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def end_connections(self, how):
        """All that are open now, at a moment that the test chooses."""
        if how not in ("close", "reset"):
            raise ValueError('do must be "close" or "reset"')
        for task, exchange in list(self.open.items()):
            if how == "reset":
                exchange.linger_zero()
            task.cancel()
        return json_answer(200, {"connections": len(self.open)})

    def control_answer(self, request, body):
        try:
            what = request.method + " " + request.path
            if what == "GET /_sim/requests":
                return json_answer(200, {"total": len(self.entries),
                                         "requests": self.entries})
            if what == "GET /_sim/script":
                return json_answer(200, {"rules": [
                    r.as_dict() for r in self.script.rules]})
            if what == "POST /_sim/script":
                return json_answer(200, {
                    "added": self.script.add(json.loads(body))})
            if what == "PUT /_sim/script":
                fresh = script.Script(DIALECT)
                added = fresh.add(json.loads(body))
                self.script = fresh
                return json_answer(200, {"added": added})
            if what == "DELETE /_sim/script":
                return json_answer(200, {"removed": self.script.remove()})
            if what == "POST /_sim/connections":
                return self.end_connections(json.loads(body).get("do"))
            if what == "POST /_sim/reset":
                self.script.remove()
                for task in self.open:
                    task.cancel()
                self.entries = []
                self.number = 0
                return json_answer(200, {"ok": True})
        except ValueError as error:
            return json_answer(400, {"error": str(error)})
        return json_answer(404, {"error": "no such control: "
                                 + request.path})


def target_of(request):
    """(host, port) where the client wants to go."""
    if request.method == "CONNECT":
        host, _, port = request.path.rpartition(":")
        return host, int(port)
    url = urlsplit(request.path)
    return url.hostname, url.port or 80


def origin_form(request):
    """The head as the target wants it; one request on this connection."""
    url = urlsplit(request.path)
    target = (url.path or "/") + ("?" + request.query if request.query else "")
    lines = ["%s %s HTTP/1.1" % (request.method, target)]
    for line in request.head.decode("latin-1").split("\r\n")[1:]:
        if line.partition(":")[0].lower() not in HOP_HEADERS:
            lines.append(line)
    lines.append("Connection: close")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


def arguments():
    parser = argparse.ArgumentParser(
        description="A forward proxy that can be told to fail.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--control-port", type=int, default=0)
    parser.add_argument("--auth", metavar="USER:PASSWORD",
                        help="demand these credentials (407 otherwise)")
    parser.add_argument("--log", metavar="FILE",
                        help="append a JSON line for every connection")
    parser.add_argument("--while-stdin", action="store_true",
                        help="end when standard input does")
    return parser.parse_args()


async def serve(options):
    proxy = Proxy(options)
    main = await asyncio.start_server(proxy.client, "127.0.0.1", options.port,
                                      limit=MAX_HEAD)
    control = await asyncio.start_server(proxy.control, "127.0.0.1",
                                         options.control_port)
    print("ready http=127.0.0.1:%d control=127.0.0.1:%d pid=%d"
          % (main.sockets[0].getsockname()[1],
             control.sockets[0].getsockname()[1], os.getpid()), flush=True)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    if options.while_stdin:
        loop.add_reader(sys.stdin, lambda: os.read(0, 1024) or stop.set())
    await stop.wait()
    main.close()
    control.close()


def main():
    options = arguments()
    asyncio.run(serve(options))


if __name__ == "__main__":
    main()
