"""The control interface: everything under /_sim/, described in README.md."""

import asyncio
import base64
import json
from urllib.parse import parse_qsl

import config as settings
import script
import server
import webhook
from http_types import json_answer

MAX_WAIT = 300.0        # seconds that a caller may wait for requests
MAX_REQUESTS = 10000    # records in one answer


class NoSuchThing(Exception):
    pass


class Control:
    def __init__(self, hub, base_config):
        self.hub = hub
        self.base_config = base_config      # as the command line made it
        self.tls_files = None

    async def answer(self, request):
        try:
            name = request.path.removeprefix("/_sim/")
            handler = ROUTES.get((request.method, name))
            if handler is None:
                return self.unknown(request, name)
            query = dict(parse_qsl(request.query, keep_blank_values=True))
            result = handler(self, query, body_of(request))
            if asyncio.iscoroutine(result):
                result = await result
            return json_answer(200, result)
        except NoSuchThing as error:
            return server.error_answer(404, str(error))
        except (ValueError, TypeError, KeyError, OSError) as error:
            return server.error_answer(400, describe(error))

    def unknown(self, request, name):
        methods = [m for m, n in ROUTES if n == name]
        if methods:
            return server.error_answer(405, "%s takes %s" % (
                request.path, " or ".join(methods)))
        return server.error_answer(404, "no such control: " + request.path)

    # -- seeing ------------------------------------------------------------

    def health(self, query, body):
        hub = self.hub
        return {"ok": True, "listening": hub.listener.state(),
                "port": hub.listener.port, "http2": hub.http2,
                "tls": hub.listener.context is not None,
                "requests": len(hub.journal.records),
                "connections": hub.journal.open_connections}

    async def requests(self, query, body):
        """since=N: records after that one; wait=N&timeout=S: not before
        there are N complete requests in all."""
        since = number(query, "since", 0)
        most = min(number(query, "max", MAX_REQUESTS), MAX_REQUESTS)
        journal = self.hub.journal
        if "wait" in query:
            seconds = min(float(query.get("timeout", 30)), MAX_WAIT)
            await journal.wait(number(query, "wait", 0), seconds)
        chosen = journal.records[since:since + most]
        return {"total": len(journal.records),
                "requests": [r.as_dict(headers="headers" in query,
                                       body="body" in query)
                             for r in chosen]}

    def incomplete(self, query, body):
        since = number(query, "since", 0)
        return {"total": len(self.hub.journal.incomplete),
                "incomplete": self.hub.journal.incomplete[since:]}

    def summary(self, query, body):
        result = self.hub.journal.summary(number(query, "since", 0))
        result["webhooks"] = self.hub.webhooks.waiting()
        return result

    # -- scripting ---------------------------------------------------------

    def get_script(self, query, body):
        return {"rules": [r.as_dict() for r in self.hub.script.rules]}

    def add_script(self, query, body):
        return {"added": self.hub.script.add(body)}

    def put_script(self, query, body):
        """Replaces all rules; a mistake leaves the old ones in force."""
        fresh = script.Script()
        fresh.number = self.hub.script.number
        added = fresh.add(body)
        self.hub.script.remove()
        self.hub.script = fresh
        return {"added": added}

    def delete_script(self, query, body):
        return {"removed": self.hub.script.remove(query.get("name"))}

    def presets(self, query, body):
        return script.PRESETS

    # -- setting up --------------------------------------------------------

    def get_config(self, query, body):
        return self.hub.config

    def set_config(self, query, body):
        settings.merge(self.hub.config, body)
        hook = self.hub.config["webhook"]
        if hook["mode"] == "post" and not hook["url"]:
            hook["mode"] = "queue"
            raise ValueError("webhook.mode post needs webhook.url")
        if hook["mode"] == "spool" and not self.hub.webhooks.directory:
            hook["mode"] = "queue"
            raise ValueError("webhook.mode spool needs --dir")
        self.hub.webhooks.kick()
        return self.hub.config

    def get_channels(self, query, body):
        return {"channels": [c.as_dict() for c in
                             self.hub.api.tokens.channels.values()]}

    def add_channels(self, query, body):
        specs = body if isinstance(body, list) else [body]
        for spec in specs:
            check_channel(spec)
        tokens = self.hub.api.tokens
        return {"channels": [tokens.add_channel(s).as_dict() for s in specs]}

    def issue_token(self, query, body):
        channel = self.channel(body.get("channel"))
        token = self.hub.api.tokens.issue(
            channel, body.get("kind", "long"), body.get("seconds"),
            body.get("token"))
        return {"token": token.value}

    def expire_tokens(self, query, body):
        body = body or {}
        return {"expired": self.hub.api.tokens.expire(
            body.get("channel"), body.get("kind"))}

    def set_recipients(self, query, body):
        if not isinstance(body, dict):
            raise ValueError("recipients must be an object")
        self.hub.api.set_recipients(body)
        return {"recipients": len(self.hub.api.recipients)}

    def set_counts(self, query, body):
        answer = {"status": body.get("status", "ready")}
        if "success" in body:
            answer["success"] = body["success"]
        self.hub.api.set_counts(body["date"], body["kind"], answer,
                                body.get("channel"))
        return answer

    def set_engagement(self, query, body):
        channel = self.channel(body.get("channel"))
        self.hub.api.set_engagement(
            channel.id, body["unit"], body["date"], body.get("opened", 0),
            body.get("clicked", 0), body.get("urls", 0))
        return {}

    # -- webhooks ----------------------------------------------------------

    def take_webhooks(self, query, body):
        most = number(query, "max", 1000)
        return {"webhooks": self.hub.webhooks.take(most,
                                                   query.get("channel")),
                **self.hub.webhooks.waiting()}

    def emit_webhook(self, query, body):
        """Any events, or none, signed as LINE would."""
        events = body.get("events")
        if not isinstance(events, list):
            raise ValueError("events must be a list")
        channel = self.channel(body.get("channel"))
        return self.hub.webhooks.signed(channel, events)

    def sign(self, query, body):
        channel = self.channel(body.get("channel"))
        data = (base64.b64decode(body["body_base64"], validate=True)
                if "body_base64" in body else body["body"].encode())
        secret = body.get("secret", channel.secret)
        return {"signature": webhook.sign(secret, data)}

    def redeliver(self, query, body):
        body = body or {}
        return {"redelivered": self.hub.webhooks.redeliver(
            body.get("channel"), body.get("last"))}

    def webhook_posts(self, query, body):
        return {"posts": self.hub.webhooks.posts}

    # -- sockets -----------------------------------------------------------

    def listen(self, query, body):
        state = body.get("state")
        listener = self.hub.listener
        actions = {"on": listener.open, "off": listener.close,
                   "deaf": listener.deafen}
        if state not in actions:
            raise ValueError("state must be one of " + ", ".join(actions))
        seconds = body.get("for")
        if seconds is not None and not script.is_number(seconds):
            raise ValueError('"for" must be seconds')
        actions[state]()
        if seconds is not None:
            asyncio.get_running_loop().call_later(seconds, listener.open)
        return {"state": listener.state(), "port": listener.port}

    def connections(self, query, body):
        """Ends open connections: all of them, or only idle ones."""
        action = body.get("do")
        if action not in ("close", "reset", "goaway"):
            raise ValueError('do must be "close", "reset" or "goaway"')
        chosen = [c for c in self.hub.connections if not c.control
                  and (not body.get("idle") or c.is_idle())]
        for connection in chosen:
            getattr(connection, action, connection.close)()
        return {"connections": len(chosen)}

    def tls(self, query, body):
        """Another certificate, or other versions, from the next connection."""
        if self.hub.listener.context is None:
            raise ValueError("started without --tls")
        cert, key = self.tls_files
        cert, key = body.get("cert", cert), body.get("key", key)
        self.hub.listener.context = server.tls_context(
            cert, key, self.hub.http2, body.get("minimum"),
            body.get("maximum"))
        self.tls_files = cert, key
        return {"cert": cert}

    def reset(self, query, body):
        """Back to the beginning; channels, tokens and the port stay."""
        hub = self.hub
        hub.script.remove()
        hub.drop_scripted()
        hub.listener.open()
        settings.merge(hub.config, self.base_config)
        hub.journal.clear()
        hub.api.reset()
        hub.webhooks.reset()
        return {"ok": True}

    def channel(self, channel_id):
        """By id; without one, the first."""
        channels = self.hub.api.tokens.channels
        if channel_id is None:
            return next(iter(channels.values()))
        if channel_id not in channels:
            raise NoSuchThing("no such channel: %s" % channel_id)
        return channels[channel_id]


ROUTES = {
    ("GET", "health"): Control.health,
    ("GET", "requests"): Control.requests,
    ("GET", "incomplete"): Control.incomplete,
    ("GET", "summary"): Control.summary,
    ("GET", "script"): Control.get_script,
    ("POST", "script"): Control.add_script,
    ("PUT", "script"): Control.put_script,
    ("DELETE", "script"): Control.delete_script,
    ("GET", "presets"): Control.presets,
    ("GET", "config"): Control.get_config,
    ("POST", "config"): Control.set_config,
    ("GET", "channels"): Control.get_channels,
    ("POST", "channels"): Control.add_channels,
    ("POST", "tokens"): Control.issue_token,
    ("POST", "tokens/expire"): Control.expire_tokens,
    ("POST", "recipients"): Control.set_recipients,
    ("POST", "counts"): Control.set_counts,
    ("POST", "engagement"): Control.set_engagement,
    ("GET", "webhooks"): Control.take_webhooks,
    ("POST", "webhooks/emit"): Control.emit_webhook,
    ("POST", "webhooks/redeliver"): Control.redeliver,
    ("GET", "webhooks/posts"): Control.webhook_posts,
    ("POST", "sign"): Control.sign,
    ("POST", "listen"): Control.listen,
    ("POST", "connections"): Control.connections,
    ("POST", "tls"): Control.tls,
    ("POST", "reset"): Control.reset,
}


def body_of(request):
    """The body as JSON; {} when there is none."""
    if not request.body:
        return {}
    try:
        return json.loads(request.body)
    except ValueError as error:
        raise ValueError("the body is not JSON: %s" % error) from None


def number(query, name, default):
    text = query.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit():
        raise ValueError("%s must be a whole number" % name)
    return int(text)


def check_channel(spec):
    if not isinstance(spec, dict) or not isinstance(spec.get("id"), str):
        raise ValueError("a channel is an object with an id (a text)")
    known = ("id", "secret", "destination", "name", "templated", "flexible",
             "quota", "keys", "token")
    for name in spec:
        if name not in known:
            raise ValueError("no such field in a channel: %s" % name)


def describe(error):
    if isinstance(error, KeyError):
        return "missing: %s" % error.args[0]
    return str(error) or type(error).__name__
