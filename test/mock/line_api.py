#!/usr/bin/env python3
"""A simulated LINE Messaging API, for tests of anything that sends LINE
notification messages (LINE forbids tests against its own servers).

    python3 line_api.py [--port N] [--control-port N] [--tls CERT KEY]
                        [--http2] [--dir DIR] [--log FILE] [--config FILE]

Prints one line when it is ready, for example

    ready http=127.0.0.1:40001 control=127.0.0.1:40002 pid=4711

and serves until SIGTERM or SIGINT.  See README.md beside this file.
"""

import argparse
import asyncio
import gc
import json
import os
import signal
import sys

import config as settings
import server
from behaviour import LineApi
from control import Control
from records import Journal
from webhook import Webhooks


def arguments():
    parser = argparse.ArgumentParser(
        description="A simulated LINE Messaging API, on loopback only.")
    parser.add_argument("--port", type=int, default=0,
                        help="port of the API; 0 (default): any free one")
    parser.add_argument("--control-port", type=int, default=0,
                        help="port of the control interface, likewise")
    parser.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"),
                        help="speak TLS (PEM files; see certs.sh)")
    parser.add_argument("--http2", action="store_true",
                        help="also HTTP/2, by ALPN or prior knowledge "
                             "(needs the package python3-h2)")
    parser.add_argument("--dir", metavar="DIR",
                        help="spool webhooks into DIR/webhooks")
    parser.add_argument("--log", metavar="FILE",
                        help="append a JSON line for every request")
    parser.add_argument("--config", metavar="FILE",
                        help='JSON: {"config": {…}, "channels": […], '
                             '"recipients": {…}, "script": […]}')
    parser.add_argument("--while-stdin", action="store_true",
                        help="end when standard input does: so a test that "
                             "dies leaves nothing behind")
    return parser.parse_args()


def build(options):
    """All parts, connected; nothing listens yet."""
    base = settings.defaults()
    if options.dir:
        base["webhook"]["mode"] = "spool"
    start = {}
    if options.config:
        with open(options.config, encoding="utf-8") as file:
            start = json.load(file)
        settings.merge(base, start.get("config", {}))
    config = json.loads(json.dumps(base))
    log = open(options.log, "a", encoding="ascii") if options.log else None
    webhooks = Webhooks(config, options.dir)
    api = LineApi(config, webhooks)
    hub = server.Hub(config, Journal(config, log), api, webhooks,
                     options.http2)
    control = Control(hub, base)
    hub.control = control.answer
    for spec in start.get("channels", []):
        api.tokens.add_channel(spec)
    api.set_recipients(start.get("recipients", {}))
    hub.script.add(start.get("script", []))
    if options.tls:
        control.tls_files = tuple(options.tls)
    return hub


async def serve(options):
    hub = build(options)
    context = (server.tls_context(*options.tls, options.http2)
               if options.tls else None)
    hub.listener = server.Listener(hub, options.port, context=context)
    control = server.Listener(hub, options.control_port, control=True)
    hub.listener.open()
    control.open()
    print("ready %s=127.0.0.1:%d control=127.0.0.1:%d pid=%d"
          % ("https" if context else "http", hub.listener.port, control.port,
             os.getpid()), flush=True)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    if options.while_stdin:
        loop.add_reader(sys.stdin, lambda: os.read(0, 1024) or stop.set())
    await stop.wait()
    hub.listener.close()
    control.close()


def main():
    options = arguments()
    if options.http2:
        try:
            import h2server     # noqa: F401 - to fail now, and clearly
        except ImportError:
            sys.exit("--http2 needs the Python package h2 "
                     "(Debian: apt-get install python3-h2)")
    server.raise_file_limit()
    # Records live long and form no cycles: let the collector look seldom.
    gc.set_threshold(50000, 50, 50)
    try:
        asyncio.run(serve(options))
    except (OSError, ValueError) as error:
        sys.exit("line_api.py: %s" % error)


if __name__ == "__main__":
    main()
