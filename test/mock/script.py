"""Rules that make the simulator misbehave, and the steps they are made of.

A rule says which requests it means (`match`), when it steps in (`at`), what
it answers (`answer`) and what it does on the wire (`do`).  README.md describes
the language with an example for each word of it.
"""

import base64
import binascii
import json
import random
import re
import time
from email.utils import formatdate
from typing import NamedTuple

import behaviour

CUTS = ("status_line", "headers", "head", "body", "end")

PATH_NAMES = {
    "templated": (behaviour.TEMPLATED,),
    "flexible": (behaviour.FLEXIBLE,),
    "send": (behaviour.TEMPLATED, behaviour.FLEXIBLE),
    "counts": (behaviour.COUNT_TEMPLATED, behaviour.COUNT_FLEXIBLE),
    "token": ("/oauth2/v3/token", "/oauth2/v2.1/token",
              "/v2/oauth/accessToken"),
}

# Sent without a pause, these must leave the event loop some air.
CHUNK = 64 * 1024


class BadRule(ValueError):
    """Said to whoever sent the rule, as a 400."""


class Gone(Exception):
    """The connection is not there any more; the script ends."""


def need(condition, text, *values):
    if not condition:
        raise BadRule(text % values if values else text)


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_count(value):
    return isinstance(value, int) and not isinstance(value, bool) \
        and value >= 1


# -- matching --------------------------------------------------------------

class Match:
    """Which requests a rule means.  Empty: all of them."""

    FIELDS = ("path", "method", "tag", "to", "body", "channel", "connection",
              "on_connection", "nth", "every", "after", "probability", "seed",
              "protocol")

    def __init__(self, spec, phase, dialect):
        need(isinstance(spec, dict), "match must be an object")
        for name in spec:
            need(name in self.FIELDS, "no such field in match: %s", name)
        if phase == "accept":
            for name in ("path", "method", "tag", "to", "body", "channel",
                         "on_connection", "protocol"):
                need(name not in spec, "match.%s is not known yet at accept",
                     name)
        if phase == "head":
            for name in ("to", "body"):
                need(name not in spec, "match.%s is not known yet at head",
                     name)
        self.path = path_test(spec.get("path"), dialect)
        self.method = one_of_texts(spec, "method")
        self.tag = pattern(spec, "tag")
        self.body = pattern(spec, "body")
        self.to = one_of_texts(spec, "to")
        if self.to is not None:
            self.to = {recipient(who) for who in self.to}
        self.channel = one_of_texts(spec, "channel")
        self.protocol = one_of_texts(spec, "protocol")
        self.connection = numbers(spec, "connection")
        self.on_connection = numbers(spec, "on_connection")
        self.nth = numbers(spec, "nth")
        self.every = spec.get("every")
        need(self.every is None or is_count(self.every),
             "match.every must be a whole number from 1")
        self.after = spec.get("after", 0)
        need(self.after == 0 or is_count(self.after),
             "match.after must be a whole number from 0")
        self.probability = spec.get("probability")
        need(self.probability is None or (is_number(self.probability)
                                          and 0 <= self.probability <= 1),
             "match.probability must be between 0 and 1")
        self.rng = random.Random(spec.get("seed", 1))
        self.seen = 0           # requests that fit, apart from the counting

    def fits(self, subject):
        if not self.fits_fields(subject):
            return False
        self.seen += 1
        if self.seen <= self.after:
            return False
        if self.nth is not None and self.seen not in self.nth:
            return False
        if self.every is not None and self.seen % self.every != 0:
            return False
        return (self.probability is None
                or self.rng.random() < self.probability)

    def fits_fields(self, subject):
        if self.connection is not None \
                and subject.conn not in self.connection:
            return False
        if self.on_connection is not None \
                and subject.on_conn not in self.on_connection:
            return False
        if self.path is not None and not self.path(subject.path):
            return False
        if self.method is not None and subject.method not in self.method:
            return False
        if self.protocol is not None \
                and subject.protocol not in self.protocol:
            return False
        if self.tag is not None:
            tag = subject.headers.get("x-line-delivery-tag")
            if tag is None or not self.tag.search(tag):
                return False
        if self.to is not None and subject.to not in self.to:
            return False
        if self.channel is not None \
                and subject.channel_id not in self.channel:
            return False
        return self.body is None or bool(self.body.search(
            subject.body.decode("utf-8", "replace")))


class Accepted:
    """What is known of a connection before a byte of it has been read."""

    def __init__(self, conn):
        self.conn = conn


def path_test(spec, dialect):
    if spec is None:
        return None
    need(isinstance(spec, str), "match.path must be a text")
    if dialect.path_names is not None:
        if spec in dialect.path_names:
            return dialect.path_names[spec].__contains__
        need(spec.startswith("/"), 'match.path must begin with "/" or be one '
             "of %s", ", ".join(dialect.path_names))
    if spec.endswith("*"):
        prefix = spec[:-1]
        return lambda path: path.startswith(prefix)
    return spec.__eq__


def pattern(spec, name):
    text = spec.get(name)
    if text is None:
        return None
    need(isinstance(text, str), "match.%s must be a regular expression", name)
    try:
        return re.compile(text)
    except re.error as error:
        raise BadRule("match.%s: %s" % (name, error)) from None


def one_of_texts(spec, name):
    value = spec.get(name)
    if value is None:
        return None
    values = value if isinstance(value, list) else [value]
    need(all(isinstance(v, str) for v in values),
         "match.%s must be a text or a list of texts", name)
    return set(values)


def numbers(spec, name):
    value = spec.get(name)
    if value is None:
        return None
    values = value if isinstance(value, list) else [value]
    need(all(is_count(v) for v in values),
         "match.%s must be a whole number from 1, or a list of them", name)
    return set(values)


def recipient(who):
    try:
        return behaviour.recipient_hash(who)
    except ValueError as error:
        raise BadRule("match.to: %s" % error) from None


# -- the answer ------------------------------------------------------------

ANSWER_FIELDS = ("status", "reason", "headers", "body", "body_base64",
                 "body_size", "content_length")


class AnswerSpec:
    """What the rule answers in place of the usual answer."""

    def __init__(self, spec):
        if is_count(spec):
            spec = {"status": spec}
        need(isinstance(spec, dict), "answer must be a status or an object")
        for name in spec:
            need(name in ANSWER_FIELDS, "no such field in answer: %s", name)
        self.status = spec.get("status", 200)
        need(is_count(self.status) and 100 <= self.status <= 999,
             "answer.status must be a number from 100 to 999")
        self.reason = spec.get("reason")
        need(self.reason is None or isinstance(self.reason, str),
             "answer.reason must be a text")
        self.headers = header_pairs(spec.get("headers", []))
        self.has_body = ("body" in spec or "body_base64" in spec
                         or "body_size" in spec)
        self.body = answer_body(spec)
        self.length = spec.get("content_length", "true")
        need(self.length is None or isinstance(self.length, (str, int)),
             "answer.content_length must be a number, a text or null")

    def make(self, request_id):
        answer = behaviour.usual_answer(self.status)
        if self.has_body:
            answer.body = self.body
        if self.length != "true":
            answer.raw_length = self.length
        answer.reason = self.reason
        own = {name.lower() for name, _ in self.headers}
        answer.headers = [(name, value) for name, value in answer.headers
                          if name.lower() not in own]
        answer.headers += [(name, header_value(value))
                           for name, value in self.headers]
        if request_id is not None and "x-line-request-id" not in own:
            answer.headers.append(("x-line-request-id", request_id))
        return answer


def answer_body(spec):
    need(("body" in spec) + ("body_base64" in spec) + ("body_size" in spec)
         <= 1, "answer must have one of body, body_base64 and body_size")
    if "body_size" in spec:
        need(is_count(spec["body_size"]), "answer.body_size must be a number")
        return b"x" * spec["body_size"]
    if "body_base64" in spec:
        return from_base64(spec["body_base64"], "answer.body_base64")
    body = spec.get("body", "")
    if isinstance(body, str):
        return body.encode("utf-8", "surrogatepass")
    return json.dumps(body, ensure_ascii=False).encode()


def header_pairs(spec):
    if isinstance(spec, dict):
        spec = list(spec.items())
    need(isinstance(spec, list)
         and all(isinstance(p, (list, tuple)) and len(p) == 2
                 and isinstance(p[0], str) for p in spec),
         "answer.headers must be an object or a list of [name, value]")
    for name, value in spec:
        good = isinstance(value, str) or is_number(value) or (
            isinstance(value, dict) and list(value) == ["http_date_in"]
            and is_number(value["http_date_in"]))
        need(good, 'header %s must be a text, a number or {"http_date_in": '
             "seconds}", name)
    return [(name, value) for name, value in spec]


def header_value(value):
    if isinstance(value, dict):
        return formatdate(time.time() + value["http_date_in"], usegmt=True)
    return str(value)


def from_base64(text, name):
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise BadRule("%s is not base64" % name) from None


# -- steps -----------------------------------------------------------------
#
# A step is a function (exchange) -> awaitable, made once when the rule comes.
# An exchange is the rule's view of one request or connection: see server.py.

def step_answer(_):
    return lambda x: x.answer_to("end")


def step_answer_to(cut):
    need(cut in CUTS, "answer_to must be one of %s", ", ".join(CUTS))
    return lambda x: x.answer_to(cut)


def step_delay(seconds):
    need(is_number(seconds) and seconds >= 0, "delay must be seconds")
    return lambda x: x.sleep(seconds)


def step_stall(_):
    return lambda x: x.stall()


def step_hold(_):
    return hold


async def hold(exchange):
    """As long as the rule is there: who made it says when to go on."""
    while not exchange.rule.removed:
        await exchange.sleep(0.01)


def step_close(_):
    return lambda x: x.close()


def step_reset(_):
    return lambda x: x.reset()


def step_end_writing(_):
    return lambda x: x.end_writing()


def step_stop_reading(_):
    return lambda x: x.stop_reading()


def step_start_reading(_):
    return lambda x: x.start_reading()


def step_drip(seconds):
    need(is_number(seconds) and seconds >= 0,
         "drip must be the seconds between two bytes")
    return lambda x: x.drip(seconds)


SEND_FIELDS = ("text", "base64", "size", "times", "interval")


def step_send(spec):
    """Raw bytes, once, several times or for ever."""
    if isinstance(spec, str):
        spec = {"text": spec}
    need(isinstance(spec, dict), "send must be a text or an object")
    for name in spec:
        need(name in SEND_FIELDS, "no such field in send: %s", name)
    need(("text" in spec) + ("base64" in spec) + ("size" in spec) == 1,
         "send must have one of text, base64 and size")
    if "text" in spec:
        need(isinstance(spec["text"], str), "send.text must be a text")
        data = spec["text"].encode("utf-8")
    elif "base64" in spec:
        data = from_base64(spec["base64"], "send.base64")
    else:
        need(is_count(spec["size"]), "send.size must be a number")
        data = b"x" * spec["size"]
    times = spec.get("times", 1)
    need(times == "forever" or is_count(times),
         'send.times must be a number or "forever"')
    interval = spec.get("interval", 0)
    need(is_number(interval) and interval >= 0, "send.interval is seconds")
    return lambda x: x.send_often(data, times, interval)


def step_inform(spec):
    """A 1xx answer before the real one."""
    need(isinstance(spec, dict), "inform must be an object")
    for name in spec:
        need(name in ("status", "headers", "times", "interval"),
             "no such field in inform: %s", name)
    status = spec.get("status", 103)
    need(is_count(status) and 100 <= status <= 199,
         "inform.status must be a number from 100 to 199")
    headers = [(name, header_value(value))
               for name, value in header_pairs(spec.get("headers", []))]
    times = spec.get("times", 1)
    need(times == "forever" or is_count(times),
         'inform.times must be a number or "forever"')
    interval = spec.get("interval", 0)
    need(is_number(interval) and interval >= 0, "inform.interval is seconds")
    return lambda x: x.inform(status, headers, times, interval)


def step_stop_listening(seconds):
    need(is_number(seconds) and seconds > 0,
         "stop_listening must be the seconds until it listens again")
    return lambda x: x.stop_listening(seconds)


def step_goaway(spec):
    spec = {} if spec is None or spec is True else spec
    need(isinstance(spec, dict), "goaway must be an object")
    for name in spec:
        need(name in ("last", "error"), "no such field in goaway: %s", name)
    last = spec.get("last", "this")
    need(last in ("this", "before", "zero"),
         'goaway.last must be "this", "before" or "zero"')
    error = spec.get("error", 0)
    need(isinstance(error, int), "goaway.error must be a number")
    return lambda x: x.goaway(last, error)


def step_rst_stream(code):
    code = 2 if code is None or code is True else code      # INTERNAL_ERROR
    need(isinstance(code, int), "rst_stream must be an HTTP/2 error code")
    return lambda x: x.rst_stream(code)


H2_FLAGS = ("no_settings", "no_settings_ack", "no_window")


def step_h2(flag):
    need(flag in H2_FLAGS, "h2 must be one of %s", ", ".join(H2_FLAGS))
    return lambda x: x.h2_flag(flag)        # at accept only


STEPS = {
    "answer": step_answer, "answer_to": step_answer_to, "delay": step_delay,
    "stall": step_stall, "hold": step_hold, "close": step_close,
    "reset": step_reset,
    "end_writing": step_end_writing, "stop_reading": step_stop_reading,
    "start_reading": step_start_reading,
    "drip": step_drip, "send": step_send, "inform": step_inform,
    "stop_listening": step_stop_listening, "goaway": step_goaway,
    "rst_stream": step_rst_stream, "h2": step_h2,
}

# Before the connection is set up, there is nothing to answer yet.
ACCEPT_STEPS = ("delay", "stall", "close", "reset", "send", "end_writing",
                "stop_listening", "h2")

# Steps after which the usual answer is not added by itself.
ANSWERING = ("answer", "answer_to", "stall", "close", "reset", "end_writing",
             "drip", "send", "goaway", "rst_stream")

# Named misbehaviours: each is only an abbreviation of `answer` and `do`.
GARBAGE = base64.b64encode(bytes((i * 167 + 89) % 256 or 1
                                 for i in range(600))).decode()
NUL_HEAD = ("HTTP/1.1 202 Acc\0epted\r\nX-\0Zero: a\0b\r\n"
            "Content-Length: 2\r\n\r\n\0\0")
PRESETS = {
    "half_status_line": {"do": [{"answer_to": "status_line"}, "close"]},
    "half_headers": {"do": [{"answer_to": "headers"}, "close"]},
    "no_body": {"do": [{"answer_to": "head"}, "close"]},
    "half_body": {"answer": {"status": 400, "body": {"message": "x" * 200}},
                  "do": [{"answer_to": "body"}, "close"]},
    "garbage": {"do": [{"send": {"base64": GARBAGE}}, "close"]},
    "nul_bytes": {"do": [{"send": NUL_HEAD}, "close"]},
    "invalid_utf8": {"answer": {
        "status": 400, "headers": {"Content-Type": "application/json"},
        "body_base64": base64.b64encode(
            b'{"message":"\xff\xfe\xc0\xaf\xed\xa0\x80"}').decode()}},
    "length_too_long": {"answer": {"status": 400, "body": "{}",
                                   "content_length": 1000},
                        "do": ["answer", "close"]},
    "length_too_short": {"answer": {"status": 400, "content_length": 1,
                                    "body": "{}HTTP/1.1 202 Accepted\r\n\r\n"}},
    "length_not_a_number": {"answer": {"status": 400, "body": "{}",
                                       "content_length": "two"},
                            "do": ["answer", "close"]},
    "endless_body": {"answer": {"status": 400,
                                "content_length": 10 ** 15},
                     "do": [{"answer_to": "head"},
                            {"send": {"size": 16384, "times": "forever"}}]},
    "endless_header": {"do": [
        {"answer_to": "headers"},
        {"send": {"text": "y" * 1024, "times": "forever"}}]},
    "endless_headers": {"do": [
        {"send": "HTTP/1.1 202 Accepted\r\n"},
        {"send": {"text": "X-Filler: zzzzzzzzzzzzzzzz\r\n",
                  "times": "forever"}}]},
    "slow_body": {"answer": {"status": 400, "body": {"message": "slow " * 40}},
                  "do": [{"answer_to": "head"}, {"drip": 1}]},
    "slow_headers": {"do": [{"drip": 1}]},
    "huge_body": {"answer": {"status": 400, "body_size": 100000000}},
    "huge_header": {"answer": {"status": 202, "body": "{}",
                               "headers": {"X-Filler": "z" * 1000000}}},
    "many_headers": {"answer": {"status": 202, "body": "{}", "headers": [
        ["X-Filler-%d" % i, "z"] for i in range(10000)]}},
    "duplicate_headers": {"answer": {
        "status": 202, "body": "{}", "headers": [
            ["Content-Length", "3"], ["x-line-request-id", "first"],
            ["x-line-request-id", "second"]]}, "do": ["answer", "close"]},
    "storm_100": {"do": [{"inform": {"status": 100, "times": "forever"}}]},
    "storm_103": {"do": [{"inform": {
        "status": 103, "headers": {"Link": "</x>"}, "times": "forever"}}]},
    "bad_chunks": {"do": [{"send":
                           "HTTP/1.1 202 Accepted\r\n"
                           "Transfer-Encoding: chunked\r\n\r\n"
                           "zz\r\n{}\r\n0\r\n\r\n"}, "close"]},
    "cut_chunks": {"do": [{"send":
                           "HTTP/1.1 202 Accepted\r\n"
                           "Transfer-Encoding: chunked\r\n\r\n"
                           "64\r\n{}"}, "close"]},
    "endless_chunks": {"do": [{"send": "HTTP/1.1 400 Bad Request\r\n"
                               "Transfer-Encoding: chunked\r\n\r\n"},
                              {"send": {"text": "400\r\n" + "x" * 1024
                                        + "\r\n", "times": "forever"}}]},
    "redirect": {"answer": {"status": 307, "headers": {
        "Location": "/elsewhere"}}},
}


class Dialect(NamedTuple):
    """The same language is spoken by the proxy, with other phases."""
    phases: tuple
    steps: dict
    path_names: dict            # None: a path is any text
    complete: str               # the phase that has a request to be accepted
    default: str

    def usual_answer(self, rule):
        """Whether there is an answer that a rule need not give."""
        return self.complete is None or rule.accepted


LINE = Dialect(("accept", "head", "body"), STEPS, PATH_NAMES, "body", "body")


def parse_steps(spec, phase, dialect):
    specs = spec if isinstance(spec, list) else [spec]
    names, steps = [], []
    for item in specs:
        if isinstance(item, str):
            name, value = item, None
        else:
            need(isinstance(item, dict) and len(item) == 1,
                 "a step must be a name or an object with one name: %s",
                 json.dumps(item))
            (name, value), = item.items()
        need(name in dialect.steps, "no such step: %s", name)
        need(phase != "accept" or name in ACCEPT_STEPS,
             "the step %s is not possible at accept", name)
        need(phase == "accept" or name != "h2",
             "the step h2 is possible at accept only")
        try:
            steps.append(dialect.steps[name](value))
        except TypeError:
            raise BadRule("the step %s needs a value" % name) from None
        names.append(name)
    return names, steps


# -- rules -----------------------------------------------------------------

RULE_FIELDS = ("name", "match", "at", "answer", "do", "times", "accepted")


class Rule:
    def __init__(self, spec, number, dialect):
        need(isinstance(spec, dict), "a rule must be an object")
        for name in spec:
            need(name in RULE_FIELDS, "no such field in a rule: %s", name)
        self.spec = spec
        self.name = spec.get("name", "rule %d" % number)
        need(isinstance(self.name, str), "name must be a text")
        spec = with_preset(spec, dialect)
        self.at = spec.get("at", dialect.default)
        need(self.at in dialect.phases, "at must be one of %s",
             ", ".join(dialect.phases))
        self.match = Match(spec.get("match", {}), self.at, dialect)
        self.times = spec.get("times")
        need(self.times is None or is_count(self.times),
             "times must be a whole number from 1")
        self.used = 0
        self.removed = False
        self.answer = None
        if "answer" in spec:
            need(self.at != "accept", "nothing can be answered at accept")
            self.answer = AnswerSpec(spec["answer"])
        names, self.steps = parse_steps(spec.get("do", []), self.at, dialect)
        # Otherwise all goes its usual way when the steps are done.
        self.answers_itself = any(name in ANSWERING for name in names)
        if self.answer is not None and not names:
            _, self.steps = parse_steps("answer", self.at, dialect)
            self.answers_itself = True
        self.accepted = self.is_accepted(spec, dialect)
        self.check_answerable(names, dialect)

    def is_accepted(self, spec, dialect):
        """Does the simulated LINE take the message?  Without an answer of the
        rule's own, yes, as usual (the pessimistic view of a lost answer);
        with one, if that is a 2xx."""
        complete = self.at == dialect.complete
        if "accepted" in spec:
            need(isinstance(spec["accepted"], bool),
                 "accepted must be true or false")
            need(complete or not spec["accepted"],
                 "only a complete request can be accepted")
            return spec["accepted"]
        return complete and (self.answer is None
                             or 200 <= self.answer.status < 300)

    def check_answerable(self, names, dialect):
        """An answer that nobody knows cannot be sent."""
        if self.answer is not None or dialect.usual_answer(self):
            return
        sends = any(n in ("answer", "answer_to", "drip") for n in names)
        ends_so = self.at == dialect.complete and not self.answers_itself
        need(not sends and not ends_so,
             "say what to answer: there is no usual answer to a request that "
             "is not complete and accepted")

    def wants(self, phase, subject):
        if self.at != phase or self.exhausted():
            return False
        if not self.match.fits(subject):
            return False
        self.used += 1
        return True

    def exhausted(self):
        return self.times is not None and self.used >= self.times

    def as_dict(self):
        return {"name": self.name, "rule": self.spec, "seen": self.match.seen,
                "used": self.used, "exhausted": self.exhausted()}


def with_preset(spec, dialect):
    name = spec.get("do")
    if not isinstance(name, str) or name in dialect.steps:
        return spec
    need(name in PRESETS, "no such step or named misbehaviour: %s", name)
    preset = PRESETS[name]
    return {**preset, **{k: v for k, v in spec.items() if k != "do"}}


class Script:
    def __init__(self, dialect=LINE):
        self.dialect = dialect
        self.rules = []
        self.phases = frozenset()   # so that the plain path costs nothing
        self.number = 0

    def add(self, specs):
        """All of the rules, or with a BadRule none of them."""
        specs = specs if isinstance(specs, list) else [specs]
        made = []
        for i, spec in enumerate(specs):
            try:
                made.append(Rule(spec, self.number + i + 1,
                                 self.dialect))
            except BadRule as error:
                raise BadRule("rule %d: %s" % (i + 1, error)) from None
        self.number += len(made)
        self.rules += made
        self.note_phases()
        return [rule.name for rule in made]

    def remove(self, name=None):
        gone = [r for r in self.rules if name is None or r.name == name]
        self.rules = [r for r in self.rules if r not in gone]
        for rule in gone:
            rule.removed = True
        self.note_phases()
        return len(gone)

    def note_phases(self):
        self.phases = frozenset(rule.at for rule in self.rules)

    def find(self, phase, subject):
        """The first rule that wants this, or None."""
        if phase not in self.phases:
            return None
        for rule in self.rules:
            if rule.wants(phase, subject):
                return rule
        return None


async def perform(rule, exchange):
    """Runs the steps.  Gone ends it: there is nobody left to hurt."""
    try:
        for step in rule.steps:
            await step(exchange)
        if not rule.answers_itself:
            await exchange.fall_through()
    except (Gone, ConnectionError):
        pass
