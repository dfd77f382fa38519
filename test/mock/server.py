"""Listening sockets, and the hub where all parts of the simulator meet.

Connections are accepted by hand: so a script can act on one before a byte of
it has been read (or before its TLS handshake), and the simulator can stop
listening and begin again on the same port.
"""

import asyncio
import resource
import socket
import ssl
import struct

import script
from http1 import Http1
from http_types import json_answer

ACCEPTS_AT_ONCE = 100
BACKLOG = 1024


class Hub:
    """Everything that a connection needs to know."""

    def __init__(self, config, journal, api, webhooks, http2=False):
        self.config = config
        self.journal = journal
        self.api = api
        self.webhooks = webhooks
        self.http2 = http2
        self.script = script.Script()
        self.connections = set()
        self.number = 0             # of the last connection
        self.listener = None        # the main one, which scripts may close
        self.control = None         # coroutine function: request -> answer

    def next_number(self):
        self.number += 1
        self.journal.connected()
        return self.number

    def is_control(self, request, control_listener):
        return control_listener or request.path.startswith("/_sim/")

    def find_rule(self, phase, request):
        if phase not in self.script.phases \
                or request.path.startswith("/_sim/"):
            return None
        scheme, _, value = request.headers.get(
            "authorization", "").partition(" ")
        token = self.api.tokens.lookup(value)
        request.channel_id = token.channel.id if token else None
        return self.script.find(phase, request)

    def switch_to_h2(self, connection, data):
        """The client speaks HTTP/2 without having asked (prior knowledge)."""
        import h2server
        self.connections.discard(connection)
        new = h2server.Http2(self, connection.number, flags=connection.flags)
        connection.transport.set_protocol(new)
        new.connection_made(connection.transport)
        new.data_received(data)

    def stop_listening(self, seconds):
        self.listener.close()
        asyncio.get_running_loop().call_later(seconds, self.listener.open)

    def drop_scripted(self):
        """Ends every connection that a rule still holds."""
        for connection in list(self.connections):
            if not connection.control and not connection.is_idle():
                connection.transport.abort()
        self.listener.drop_held()


class Listener:
    def __init__(self, hub, port, control=False, context=None):
        self.hub = hub
        self.port = port            # 0 until the kernel has chosen
        self.control = control
        self.context = context      # ssl.SSLContext or None
        self.socket = None
        self.bound = None           # keeps the port while nobody listens
        self.reading = False
        self.held = {}              # task -> socket, scripted at accept
        self.tasks = set()

    # -- on and off --------------------------------------------------------

    def open(self):
        if self.socket is None:
            self.socket = self.bound or self.bind()
            self.bound = None
            self.port = self.socket.getsockname()[1]
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.socket.listen(BACKLOG)
        if not self.reading:
            asyncio.get_running_loop().add_reader(self.socket, self.on_ready)
            self.reading = True

    def bind(self):
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setblocking(False)
        sock.bind(("127.0.0.1", self.port))
        return sock

    def deafen(self):
        """The kernel goes on to complete connections; nobody accepts them."""
        if self.reading:
            asyncio.get_running_loop().remove_reader(self.socket)
            self.reading = False

    def close(self):
        """From now on, connecting is refused; and nobody else gets the port,
        as long as it is bound by somebody who would not share it."""
        self.deafen()
        if self.socket is not None:
            self.socket.close()
            self.socket = None
            self.bound = self.bind()
            self.bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)

    def state(self):
        if self.socket is None:
            return "off"
        return "on" if self.reading else "deaf"

    # -- accepting ---------------------------------------------------------

    def on_ready(self):
        for _ in range(ACCEPTS_AT_ONCE):
            if self.socket is None:
                return              # a rule has closed it
            try:
                sock, _ = self.socket.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.take(sock)

    def take(self, sock):
        if self.control:
            self.start(self.set_up(sock, 0, ()))
            return
        number = self.hub.next_number()
        rule = self.hub.script.find("accept", script.Accepted(number))
        if rule is None:
            self.start(self.set_up(sock, number, ()))
        else:
            exchange = AcceptExchange(self, sock, number)
            task = self.start(self.run(rule, exchange))
            self.held[task] = sock
            task.add_done_callback(lambda t: self.held.pop(t, None))

    def start(self, coroutine):
        task = asyncio.get_running_loop().create_task(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    async def set_up(self, sock, number, flags):
        """Makes a connection of the socket, with a handshake under TLS."""
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(
                lambda: Chooser(self.hub, number, self.control, flags),
                sock, ssl=self.context)
        except (OSError, ssl.SSLError) as error:
            sock.close()
            if not self.control:
                self.hub.journal.connections["tls_failed"] += 1
                self.hub.journal.broken(number, "tls", reason=str(error))
                self.hub.journal.disconnected()

    # -- scripted at accept ------------------------------------------------

    async def run(self, rule, exchange):
        try:
            await script.perform(rule, exchange)
        finally:
            if not exchange.goes_on:
                exchange.sock.close()
                self.hub.journal.broken(exchange.number, "accepted",
                                        reason=rule.name)
                self.hub.journal.disconnected()
        if exchange.goes_on:
            await self.set_up(exchange.sock, exchange.number, exchange.flags)

    def drop_held(self):
        for task, sock in list(self.held.items()):
            task.cancel()


def Chooser(hub, number, control, flags):
    """The protocol is known only after the handshake (ALPN), so under HTTP/2
    a connection begins as a chooser."""
    if hub.http2 and not control:
        return AlpnChooser(hub, number, flags)
    return Http1(hub, number, control, flags)


class AlpnChooser(asyncio.Protocol):
    def __init__(self, hub, number, flags):
        self.hub, self.number, self.flags = hub, number, flags

    def connection_made(self, transport):
        tls = transport.get_extra_info("ssl_object")
        if tls is not None and tls.selected_alpn_protocol() == "h2":
            import h2server
            protocol = h2server.Http2(self.hub, self.number, flags=self.flags)
        else:
            protocol = Http1(self.hub, self.number, flags=self.flags)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)


class AcceptExchange:
    """What the steps of an `accept` rule act on: a bare socket."""

    def __init__(self, listener, sock, number):
        self.listener = listener
        self.sock = sock
        self.number = number
        self.flags = set()
        self.goes_on = False

    async def fall_through(self):
        self.goes_on = True

    async def sleep(self, seconds):
        await asyncio.sleep(seconds)

    async def stall(self):
        await asyncio.get_running_loop().create_future()

    async def close(self):
        self.sock.close()

    async def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack("ii", 1, 0))
        self.sock.close()

    async def end_writing(self):
        self.sock.shutdown(socket.SHUT_WR)

    async def send_often(self, data, times, interval):
        loop = asyncio.get_running_loop()
        done = 0
        while times == "forever" or done < times:
            await loop.sock_sendall(self.sock, data)
            done += 1
            await asyncio.sleep(interval)

    async def stop_listening(self, seconds):
        self.listener.hub.stop_listening(seconds)

    async def h2_flag(self, flag):
        self.flags.add(flag)


def tls_context(cert, key, http2=False, minimum=None, maximum=None):
    """Server side of TLS 1.2 and up, as LINE has it, unless told otherwise."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    versions = {"1.0": ssl.TLSVersion.TLSv1, "1.1": ssl.TLSVersion.TLSv1_1,
                "1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
    for version in (minimum, maximum):
        if version is not None and version not in versions:
            raise ValueError("TLS versions are " + ", ".join(versions))
    if maximum in ("1.0", "1.1"):
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = versions[minimum or "1.2"]
    if maximum is not None:
        context.maximum_version = versions[maximum]
    context.load_cert_chain(cert, key)
    if http2:
        context.set_alpn_protocols(["h2", "http/1.1"])
    return context


def raise_file_limit():
    """Hundreds of connections, and as many again that a test leaves open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65536 if hard == resource.RLIM_INFINITY else hard
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def error_answer(status, text):
    return json_answer(status, {"error": text})
