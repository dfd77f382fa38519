"""The simulated LINE: what each endpoint answers, and what LINE then does.

Nothing here knows about sockets.  `LineApi.handle` takes one complete request
and returns the answer that LINE would give; acceptance also sets in motion
what follows (delivery events, counts).
"""

import datetime
import hashlib
import os
import re
import time
from collections import defaultdict
from urllib.parse import parse_qsl

import content
from http_types import Answer, json_answer
from tokens import DEFAULT_CHANNEL, Tokens

TEMPLATED = "/v2/bot/message/pnp/templated/push"
FLEXIBLE = "/bot/pnp/push"
COUNT_TEMPLATED = "/v2/bot/message/delivery/pnp/templated"
COUNT_FLEXIBLE = "/v2/bot/message/delivery/pnp"
UNIT_STATISTICS = "/v2/bot/insight/message/event/aggregation"
UNIT_USAGE = "/v2/bot/message/aggregation/info"
UNIT_NAMES = "/v2/bot/message/aggregation/list"

JAPAN = datetime.timezone(datetime.timedelta(hours=9))
SERVICE_BEGAN = "20180331"
UNITS_A_MONTH = 1000
UNIT_QUESTIONS_AN_HOUR = 60
UNIT_DAYS = 30                      # from the first day to the last
LEAST_FIGURE = 20                   # smaller ones are withheld
TAG_LENGTH = (16, 100)

STATES = ("reachable", "unreachable", "blocked", "pending")


class Bucket:
    """A real token bucket: refilled by the clock, not by windows."""

    def __init__(self, rate, burst):
        self.rate, self.burst = rate, burst
        self.level = burst
        self.at = time.monotonic()

    def take(self):
        now = time.monotonic()
        self.level = min(self.burst, self.level + (now - self.at) * self.rate)
        self.at = now
        if self.level < 1:
            return False
        self.level -= 1
        return True


class LineApi:
    def __init__(self, config, webhooks):
        self.config = config
        self.webhooks = webhooks
        self.tokens = Tokens(config)
        self.tokens.add_channel(DEFAULT_CHANNEL)
        self.id_prefix = os.urandom(10).hex()
        self.id_counter = 0
        self.reset()

    def reset(self):
        """Forgets what was sent and who is where; channels stay."""
        self.recipients = {}            # hash -> (state, seconds or None)
        self.default_recipient = ("reachable", None)
        self.shares = {}                # state -> share of all hashes
        self.sent = defaultdict(int)    # (channel, kind, yyyymmdd) -> number
        self.fixed_counts = {}          # (channel, kind, yyyymmdd) -> answer
        self.month_used = defaultdict(int)      # (channel, yyyymm) -> number
        self.units = defaultdict(set)   # (channel, yyyymm) -> unit names
        # (channel, unit, yyyymmdd) -> [people who opened, who clicked]
        self.engagement = defaultdict(lambda: [0, 0])
        self.urls = 0                   # in an answer about a unit
        self.unit_questions = defaultdict(list)     # channel -> times
        self.buckets = {}

    # -- entry -------------------------------------------------------------

    def handle(self, request, record):
        answer = self.answer(request, record)
        record.request_id = self.new_request_id()
        answer.headers.append(("x-line-request-id", record.request_id))
        record.accepted = answer.accepted
        return answer

    def new_request_id(self):
        """Looks like a UUID, differs between runs, and costs nothing."""
        self.id_counter += 1
        i = self.id_prefix
        return "%s-%s-4%s-a%s-%012x" % (i[:8], i[8:12], i[12:15], i[15:18],
                                        self.id_counter)

    def answer(self, request, record):
        route = ROUTES.get(request.path)
        if route is None:
            return message(404, "Not found")
        method, needs_token, function = route
        if request.method not in method.split(", "):
            answer = message(405, "Method not allowed")
            answer.headers.append(("Allow", method))
            return answer
        if not needs_token:
            return self.tokens.endpoint(request)
        token = self.tokens.lookup(bearer(request))
        if token is None:
            return unauthorized()
        record.channel = token.channel.id
        if self.over_rate(request, token.channel):
            return message(429, "The API rate limit has been exceeded. "
                           "Try again later.")
        if "x-line-retry-key" in request.headers:
            return message(400, "The retry key is not supported by this API")
        return function(self, request, token.channel)

    def over_rate(self, request, channel):
        rate = self.config["rate_limit"]
        if not rate:
            return False
        key = (request.method, request.path, channel.id)
        bucket = self.buckets.get(key)
        if bucket is None:
            burst = self.config["rate_burst"] or rate
            bucket = self.buckets[key] = Bucket(rate, burst)
        return not bucket.take()

    # -- sending -----------------------------------------------------------

    def push_templated(self, request, channel):
        if not channel.templated:
            return no_permission()
        return self.push(request, channel, "templated", 202)

    def push_flexible(self, request, channel):
        if not channel.flexible:
            return no_permission()
        return self.push(request, channel, "flexible", 200)

    def push(self, request, channel, kind, status):
        refusal = self.refusal_of_headers(request)
        if refusal is not None:
            return refusal
        body = request.json()
        try:
            content.check(kind, body, self.config)
        except content.Fault as fault:
            return json_answer(400, fault.body)
        month = japan_date(time.time())[:6]
        if (channel.quota is not None
                and self.month_used[channel.id, month] >= channel.quota):
            return message(429, "You have reached your monthly limit.")
        state, seconds = self.state_of(body["to"].lower())
        if state == "unreachable":
            return message(422, "Failed to send messages")
        self.month_used[channel.id, month] += 1
        if state == "reachable" or (state == "pending"
                                    and seconds is not None):
            self.deliver(request, channel, kind, body, seconds or 0.0)
        answer = json_answer(status, {})
        answer.accepted = True
        return answer

    def refusal_of_headers(self, request):
        headers = request.headers
        kind = headers.get("content-type", "").split(";")[0].strip()
        if kind.lower() != "application/json":
            return message(415, "Unsupported media type")
        if len(request.body) > self.config["max_body"]:
            return message(413, "Request entity too large")
        tag = headers.get("x-line-delivery-tag")
        if tag is not None and not TAG_LENGTH[0] <= len(tag) <= TAG_LENGTH[1]:
            return message(400, "Length of X-Line-Delivery-Tag must be "
                           "between %d and %d" % TAG_LENGTH)
        return None

    def deliver(self, request, channel, kind, body, seconds):
        """The user gets the message: counted, and told by webhook."""
        when = time.time() + seconds + self.config["webhook"]["delay"]
        self.sent[channel.id, kind, japan_date(when)] += 1
        for unit in body.get("customAggregationUnits") or ():
            self.engage(channel.id, unit, japan_date(when), 1, 0)
        data = request.headers.get("x-line-delivery-tag") or body["to"]
        self.webhooks.delivered(channel, data, seconds)

    # -- recipients --------------------------------------------------------

    def set_recipients(self, spec):
        """{"<hash, or +phone>": state}, "default": state,
        "shares": {state: share}."""
        new, default, shares = {}, None, None
        for who, state in spec.items():
            if who == "default":
                default = recipient_state(state)
            elif who == "shares":
                shares = checked_shares(state)
            else:
                new[recipient_hash(who)] = recipient_state(state)
        self.recipients.update(new)
        self.default_recipient = default or self.default_recipient
        self.shares = self.shares if shares is None else shares

    def state_of(self, to):
        known = self.recipients.get(to)
        if known is not None:
            return known
        if self.shares:
            # The hash itself decides, so that the same person is always in
            # the same state, on any machine.
            point = int(to[:8], 16) / 2 ** 32
            for state, share in self.shares.items():
                if point < share:
                    return state, None
                point -= share
        return self.default_recipient

    # -- counts and the rest -----------------------------------------------

    def count_templated(self, request, channel):
        return self.count(request, channel, "templated")

    def count_flexible(self, request, channel):
        return self.count(request, channel, "flexible")

    def count(self, request, channel, kind):
        date = dict(parse_qsl(request.query)).get("date", "")
        if not is_date(date):
            return message(400, "The value for the 'date' parameter is "
                           "invalid")
        fixed = (self.fixed_counts.get((channel.id, kind, date))
                 or self.fixed_counts.get((None, kind, date)))
        if fixed is not None:
            return json_answer(200, fixed)
        if date < SERVICE_BEGAN:
            return json_answer(200, {"status": "out_of_service"})
        today = japan_date(time.time())
        if date > today or (date == today
                            and not self.config["counts_ready_today"]):
            return json_answer(200, {"status": "unready"})
        return json_answer(200, {"status": "ready",
                                 "success": self.sent[channel.id, kind, date]})

    def set_counts(self, date, kind, answer, channel=None):
        if not is_date(date):
            raise ValueError("date must be yyyymmdd")
        if kind not in ("templated", "flexible"):
            raise ValueError('kind must be "templated" or "flexible"')
        self.fixed_counts[channel, kind, date] = answer

    def engage(self, channel_id, unit, date, opened, clicked):
        """Names beyond a thousand in a month are dropped silently."""
        names = self.units[channel_id, date[:6]]
        if unit in names or len(names) < UNITS_A_MONTH:
            names.add(unit)
            figures = self.engagement[channel_id, unit, date]
            figures[0] += opened
            figures[1] += clicked

    def set_engagement(self, channel_id, unit, date, opened, clicked, urls):
        if not content.UNIT.match(unit):
            raise ValueError("unit must match [A-Za-z0-9_]{1,30}")
        if not is_date(date):
            raise ValueError("date must be yyyymmdd")
        self.engage(channel_id, unit, date, opened, clicked)
        self.urls = urls

    def unit_statistics(self, request, channel):
        asked = self.unit_questions[channel.id]
        asked[:] = [at for at in asked if at > time.monotonic() - 3600]
        if len(asked) >= UNIT_QUESTIONS_AN_HOUR:
            return message(429, "The API rate limit has been exceeded. "
                           "Try again later.")
        asked.append(time.monotonic())
        query = dict(parse_qsl(request.query))
        begin, end = query.get("from", ""), query.get("to", "")
        unit = query.get("customAggregationUnit", "")
        if not content.UNIT.match(unit) or not is_date(begin) \
                or not is_date(end) or begin > end \
                or days_between(begin, end) > UNIT_DAYS:
            return message(400, "The value for the parameter is invalid")
        days = [figures for (owner, name, date), figures
                in self.engagement.items()
                if owner == channel.id and name == unit
                and begin <= date <= end]
        opened, clicked = (withheld(sum(day[i] for day in days))
                           for i in (0, 1))
        return json_answer(200, {
            "overview": {"uniqueImpression": opened, "uniqueClick": clicked,
                         "uniqueMediaPlayed": None,
                         "uniqueMediaPlayed100Percent": None},
            "messages": [{"seq": 1, "impression": opened,
                          "uniqueImpression": opened, "mediaPlayed": None}],
            "clicks": [{"seq": 1, "url": "https://shop.example/order/%d" % n,
                        "click": None, "uniqueClick": None,
                        "uniqueClickOfRequest": None}
                       for n in range(self.urls)]})

    def unit_usage(self, request, channel):
        names = self.units[channel.id, japan_date(time.time())[:6]]
        return json_answer(200, {"numOfCustomAggregationUnits": len(names)})

    def unit_names(self, request, channel):
        query = dict(parse_qsl(request.query))
        limit, start = query.get("limit", "100"), query.get("start", "0")
        if not (limit.isdigit() and start.isdigit()
                and 1 <= int(limit) <= 100):
            return message(400, "The value for the parameter is invalid")
        names = sorted(self.units[channel.id, japan_date(time.time())[:6]])
        end = int(start) + int(limit)
        answer = {"customAggregationUnits": names[int(start):end]}
        if end < len(names):
            answer["next"] = str(end)
        return json_answer(200, answer)

    def bot_info(self, request, channel):
        return json_answer(200, {
            "userId": channel.destination, "basicId": "@line-sim",
            "displayName": channel.name, "chatMode": "bot",
            "markAsReadMode": "auto"})

    def webhook_endpoint(self, request, channel):
        webhook = self.config["webhook"]
        if not webhook["url"]:
            return message(404, "Not found")
        return json_answer(200, {"endpoint": webhook["url"],
                                 "active": webhook["mode"] != "off"})

    def quota(self, request, channel):
        if channel.quota is None:
            return json_answer(200, {"type": "none"})
        return json_answer(200, {"type": "limited", "value": channel.quota})

    def quota_consumption(self, request, channel):
        month = japan_date(time.time())[:6]
        return json_answer(200, {
            "totalUsage": self.month_used[channel.id, month]})

    def validate_push(self, request, channel):
        """LINE's dry check of message objects; `to` plays no part in it."""
        body = request.json()
        faults = [("Must be an object", "")]
        if isinstance(body, dict):
            faults = list(content.check_flexible(body, strict=False))
        if faults:
            return json_answer(400, content.Fault(
                "The request body has %d error(s)" % len(faults), faults).body)
        return json_answer(200, {})


# path -> (method, needs an access token, what answers)
ROUTES = {
    TEMPLATED: ("POST", True, LineApi.push_templated),
    FLEXIBLE: ("POST", True, LineApi.push_flexible),
    COUNT_TEMPLATED: ("GET", True, LineApi.count_templated),
    COUNT_FLEXIBLE: ("GET", True, LineApi.count_flexible),
    UNIT_STATISTICS: ("GET", True, LineApi.unit_statistics),
    UNIT_USAGE: ("GET", True, LineApi.unit_usage),
    UNIT_NAMES: ("GET", True, LineApi.unit_names),
    "/v2/bot/info": ("GET", True, LineApi.bot_info),
    "/v2/bot/channel/webhook/endpoint":
        ("GET", True, LineApi.webhook_endpoint),
    "/v2/bot/message/quota": ("GET", True, LineApi.quota),
    "/v2/bot/message/quota/consumption":
        ("GET", True, LineApi.quota_consumption),
    "/v2/bot/message/validate/push": ("POST", True, LineApi.validate_push),
    "/oauth2/v3/token": ("POST", False, None),
    "/oauth2/v2.1/token": ("POST", False, None),
    "/oauth2/v2.1/authorize": ("GET", False, None),
    "/oauth2/v2.1/verify": ("GET, POST", False, None),
    "/oauth2/v2.1/tokens/kid": ("GET", False, None),
    "/oauth2/v2.1/revoke": ("POST", False, None),
    "/v2/oauth/accessToken": ("POST", False, None),
    "/v2/oauth/verify": ("POST", False, None),
    "/v2/oauth/revoke": ("POST", False, None),
}


def message(status, text):
    return json_answer(status, {"message": text})


def unauthorized():
    answer = message(401, "Authentication failed due to the following reason: "
                     "invalid token. Confirm that the access token in the "
                     "authorization header is valid.")
    answer.headers.append(("WWW-Authenticate",
                           'Bearer error="invalid_token"'))
    return answer


def no_permission():
    return message(403, "Access to this API is not available for your account")


# What LINE would say with a status that a script orders.
USUAL_TEXT = {
    401: "Authentication failed due to the following reason: invalid token. "
         "Confirm that the access token in the authorization header is valid.",
    403: "Access to this API is not available for your account",
    404: "Not found",
    422: "Failed to send messages",
    429: "The API rate limit has been exceeded. Try again later.",
    500: "The error occurred on the server side",
}


def usual_answer(status):
    """Answer with that status as LINE would word it."""
    if status < 200 or status in (204, 304):
        answer = Answer(status)
        answer.raw_length = None        # these never have a body
        return answer
    if status < 300:
        return json_answer(status, {})
    return message(status, USUAL_TEXT.get(status, "simulated %d" % status))


def bearer(request):
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    return value if scheme == "Bearer" else None


def japan_date(seconds):
    """Day in UTC+9, as LINE counts days in all three countries."""
    return time.strftime("%Y%m%d", time.gmtime(seconds + 9 * 3600))


def is_date(text):
    if not re.fullmatch(r"[0-9]{8}", text, re.ASCII):
        return False
    try:
        datetime.datetime.strptime(text, "%Y%m%d")
    except ValueError:
        return False
    return True


def days_between(first, last):
    return (datetime.datetime.strptime(last, "%Y%m%d")
            - datetime.datetime.strptime(first, "%Y%m%d")).days


def withheld(figure):
    """LINE shows null instead of small figures, to protect the users."""
    return figure if figure >= LEAST_FIGURE else None


def recipient_hash(who):
    """Hash of a recipient given as hash or as phone number in E.164."""
    if re.fullmatch(r"\+[1-9][0-9]{6,14}", who, re.ASCII):
        return hashlib.sha256(who.encode()).hexdigest()
    if re.fullmatch(r"[0-9a-f]{64}", who, re.ASCII):
        return who
    raise ValueError('recipient must be 64 lower-case hex digits or "+" and '
                     "digits: %r" % who)


def recipient_state(state):
    """"reachable", … or {"pending": seconds}."""
    if isinstance(state, dict) and list(state) == ["pending"]:
        seconds = state["pending"]
        if isinstance(seconds, (int, float)) and seconds >= 0:
            return "pending", float(seconds)
    elif isinstance(state, str) and state in STATES:
        return state, None
    raise ValueError('state must be one of %s, or {"pending": seconds}: %r'
                     % (", ".join(STATES), state))


def checked_shares(shares):
    if not isinstance(shares, dict):
        raise ValueError("shares must be an object")
    for state, share in shares.items():
        if state not in STATES:
            raise ValueError("no such state: %r" % state)
        if not isinstance(share, (int, float)) or not 0 <= share <= 1:
            raise ValueError("a share must be between 0 and 1")
    return dict(shares)
