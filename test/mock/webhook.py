"""Delivery events: made, signed, and brought to the customer.

Three ways to bring them (config "webhook": {"mode": …}):
  queue   kept until somebody fetches them by the control interface (default:
          a database is no HTTPS endpoint)
  spool   written as files DIR/webhooks/NNNNNN.json
  post    posted to a URL, under LINE's two-second rule
  off     never made
"""

import asyncio
import base64
import hashlib
import heapq
import hmac
import json
import os
import random
import ssl
import time
from typing import NamedTuple
from urllib.parse import urlsplit

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
MAX_POSTS_AT_ONCE = 8


def sign(secret, body):
    """x-line-signature of the raw body bytes."""
    mac = hmac.new(secret.encode(), body, hashlib.sha256).digest()
    return base64.b64encode(mac).decode()


def ulid(milliseconds, rng):
    number = (milliseconds << 80) | rng.getrandbits(80)
    return "".join(CROCKFORD[(number >> shift) & 31]
                   for shift in range(125, -1, -5))


class Event(NamedTuple):
    """A delivery event; many wait at once, so they are kept small."""
    data: str                   # the delivery tag, or the hash
    timestamp: int              # milliseconds: when the user got the message
    event_id: str               # a ULID, the same in every redelivery
    redelivery: bool = False

    def again(self):
        return self._replace(redelivery=True)

    def as_dict(self):
        """Properties in the order of LINE's published example."""
        return {"type": "delivery", "delivery": {"data": self.data},
                "webhookEventId": self.event_id,
                "deliveryContext": {"isRedelivery": self.redelivery},
                "timestamp": self.timestamp, "mode": "active"}


def body_of(channel, events):
    return json.dumps({"destination": channel.destination, "events": events},
                      ensure_ascii=False, separators=(",", ":")).encode()


class Webhooks:
    def __init__(self, config, directory=None):
        self.config = config
        self.directory = directory
        self.spooled = 0
        self.posting = set()        # running tasks
        self.gate = asyncio.Semaphore(MAX_POSTS_AT_ONCE)
        self.timer = None
        self.reset()

    @property
    def settings(self):
        return self.config["webhook"]

    def reset(self):
        self.rng = random.Random(self.settings["seed"])
        self.due = []               # heap of (monotonic, order, channel, event)
        self.order = 0
        self.handed_out = []        # (channel, events), for redelivery
        self.posts = []             # what became of each POST
        self.made = 0
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        for task in self.posting:
            task.cancel()

    # -- making ------------------------------------------------------------

    def delivered(self, channel, data, seconds):
        """The message reached the user `seconds` from now."""
        settings = self.settings
        if settings["mode"] == "off" or self.chance(settings["lose"]):
            return
        seconds += settings["delay"]
        stamp = int((time.time() + seconds) * 1000)
        event = Event(data, stamp, ulid(stamp, self.rng))
        self.made += 1
        self.add(channel, event, seconds)
        if self.chance(settings["duplicate"]):
            self.add(channel, event.again(), seconds)

    def chance(self, probability):
        return probability > 0 and self.rng.random() < probability

    def add(self, channel, event, seconds=0.0):
        self.order += 1
        order = self.rng.random() if self.settings["shuffle"] else self.order
        heapq.heappush(self.due, (time.monotonic() + seconds, order,
                                  self.order, channel, event))
        self.kick()

    def redeliver(self, channel=None, last=None):
        """Everything that was handed out (or the last so many events)
        becomes due again, flagged as redelivery."""
        events = [(c, e) for c, es in self.handed_out for e in es
                  if channel is None or c.id == channel]
        if last is not None:
            events = events[-last:] if last else []
        for owner, event in events:
            self.add(owner, event.again())
        return len(events)

    # -- taking ------------------------------------------------------------

    def waiting(self):
        now = time.monotonic()
        due = sum(entry[0] <= now for entry in self.due)
        return {"due": due, "later": len(self.due) - due, "made": self.made}

    def take(self, most, channel=None):
        """Up to `most` signed bodies of what is due now."""
        now = time.monotonic()
        groups, kept = {}, []
        size = self.settings["batch"]
        bodies = []
        while self.due and self.due[0][0] <= now and len(bodies) < most:
            entry = heapq.heappop(self.due)
            owner, event = entry[3], entry[4]
            if channel is not None and owner.id != channel:
                kept.append(entry)
                continue
            group = groups.setdefault(owner.id, (owner, []))[1]
            group.append(event)
            if len(group) == size:
                bodies.append(self.hand_out(owner, group))
                del groups[owner.id]
        for owner, group in groups.values():
            if len(bodies) < most:
                bodies.append(self.hand_out(owner, group))
            else:
                for event in group:     # back, in front of what comes later
                    self.order += 1
                    heapq.heappush(self.due, (0.0, self.order, self.order,
                                              owner, event))
        for entry in kept:
            heapq.heappush(self.due, entry)
        return bodies

    def hand_out(self, channel, events):
        if self.settings["shuffle"]:
            self.rng.shuffle(events)
        self.handed_out.append((channel, events))
        return {**self.signed(channel, [e.as_dict() for e in events]),
                "number": len(self.handed_out) - 1}

    def signed(self, channel, events):
        body = body_of(channel, events)
        return {"channel": channel.id, "events": len(events),
                "body_base64": base64.b64encode(body).decode(),
                "signature": sign(channel.secret, body)}

    # -- spool and POST ----------------------------------------------------

    def kick(self):
        """Sees to it that the pump runs when the next event is due."""
        if self.settings["mode"] not in ("spool", "post") or not self.due:
            return
        if self.timer is not None:
            self.timer.cancel()
        wait = max(self.settings["gather"], self.due[0][0] - time.monotonic())
        self.timer = asyncio.get_running_loop().call_later(wait, self.pump)

    def pump(self):
        self.timer = None
        for item in self.take(1000):
            if self.settings["mode"] == "spool":
                self.spool(item)
            else:
                self.start_post(item)
        self.kick()

    def spool(self, item):
        """Written beside and renamed, so that a reader sees whole files."""
        folder = os.path.join(self.directory, "webhooks")
        os.makedirs(folder, exist_ok=True)
        self.spooled += 1
        path = os.path.join(folder, "%06d.json" % self.spooled)
        with open(path + ".tmp", "w", encoding="ascii") as file:
            json.dump(item, file)
            file.write("\n")
        os.rename(path + ".tmp", path)

    def start_post(self, item):
        task = asyncio.get_running_loop().create_task(
            self.post_until_taken(item))
        self.posting.add(task)
        task.add_done_callback(self.posting.discard)

    async def post_until_taken(self, item):
        """One POST, and with redelivery on, more until one is answered 2xx."""
        settings = self.settings
        for attempt in range(settings["redeliveries"] + 1):
            if attempt:
                await asyncio.sleep(settings["redelivery_wait"])
                item = self.again(item)
            async with self.gate:
                reason, status = await self.post(item)
            self.posts.append({"wall": time.time(), "attempt": attempt + 1,
                               "channel": item["channel"],
                               "events": item["events"], "status": status,
                               "result": reason})
            if reason == "ok":
                return

    def again(self, item):
        """The item with every event flagged, signed anew."""
        channel, events = self.handed_out[item["number"]]
        return {**self.signed(channel, [e.again().as_dict() for e in events]),
                "number": item["number"]}

    async def post(self, item):
        """(LINE's name for what happened, HTTP status or None)"""
        try:
            status = await asyncio.wait_for(
                post_once(self.settings, item), self.settings["timeout"])
        except asyncio.TimeoutError:
            return "request_timeout", None
        except (OSError, ssl.SSLError):
            return "could_not_connect", None
        except (ValueError, EOFError):
            return "unclassified", None
        return ("ok" if 200 <= status < 300 else "error_status_code"), status


async def post_once(settings, item):
    """A plain HTTP/1.1 POST on a connection of its own; the status."""
    url = urlsplit(settings["url"])
    secure = url.scheme == "https"
    context = None
    if secure:
        context = ssl.create_default_context(cafile=settings["ca_file"])
    reader, writer = await asyncio.open_connection(
        url.hostname, url.port or (443 if secure else 80), ssl=context)
    try:
        body = base64.b64decode(item["body_base64"])
        target = (url.path or "/") + ("?" + url.query if url.query else "")
        writer.write(("POST %s HTTP/1.1\r\nHost: %s\r\n"
                      "User-Agent: LineBotWebhook/2.0\r\n"
                      "Content-Type: application/json; charset=utf-8\r\n"
                      "x-line-signature: %s\r\nContent-Length: %d\r\n"
                      "Connection: close\r\n\r\n"
                      % (target, url.netloc, item["signature"],
                         len(body))).encode() + body)
        await writer.drain()
        line = await reader.readline()
        parts = line.split()
        if len(parts) < 2 or not parts[0].startswith(b"HTTP/"):
            raise ValueError("no status line")
        return int(parts[1])
    finally:
        writer.close()
