"""LINE channels and their access tokens: issuing, verifying, revoking.

RS256 is checked here with pow() on the registered modulus, so the simulator
needs nothing outside Python's standard library and shares no code with the
product that it judges.
"""

import base64
import binascii
import hashlib
import json
import secrets
import time
from urllib.parse import parse_qsl

from http_types import Answer, json_answer
from login import Login

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
AUDIENCE = "https://api.line.me/"
MAX_ASSERTION_LIFE = 30 * 60        # seconds ahead that "exp" may be
MAX_TOKEN_EXP = 30 * 24 * 3600      # LINE's maximum of token_exp
MAX_LIVE = 30                       # live v2.1 and short-lived tokens a channel

# LINE's published signature example uses this secret and destination; as the
# default channel it makes the simulator reproduce that example bit for bit.
DEFAULT_CHANNEL = {
    "id": "1234567890",
    "secret": "8c570fa6dd201bb328f1c1eac23a96d8",
    "destination": "U8e742f61d673b39c7fff3cecb7536ef0",
    "token": "line-sim-token",
}

# DigestInfo of SHA-256 (RFC 8017, 9.2 note 1)
SHA256_PREFIX = bytes.fromhex("3031300d060960864801650304020105000420")


class Refused(Exception):
    """A token request that LINE would refuse."""

    def __init__(self, status, error, description):
        super().__init__(description)
        self.answer = json_answer(status, {
            "error": error, "error_description": description})


class Channel:
    def __init__(self, spec):
        self.id = spec["id"]
        self.secret = spec.get("secret") or secrets.token_hex(16)
        self.destination = (spec.get("destination") or "U"
                            + hashlib.md5(self.id.encode()).hexdigest())
        self.name = spec.get("name", "simulated account")
        self.templated = spec.get("templated", True)
        self.flexible = spec.get("flexible", True)
        self.quota = spec.get("quota")      # messages a month, None: no limit
        self.keys = {}                      # kid -> (n, e)
        for key in spec.get("keys", []):
            self.keys[key["kid"]] = public_key(key)

    def as_dict(self):
        return {"id": self.id, "secret": self.secret,
                "destination": self.destination, "name": self.name,
                "templated": self.templated, "flexible": self.flexible,
                "quota": self.quota, "keys": sorted(self.keys)}


class Token:
    __slots__ = ("value", "channel", "kind", "expires", "key_id")

    def __init__(self, value, channel, kind, expires, key_id=None):
        self.value = value
        self.channel = channel
        self.kind = kind            # long | short | v2.1 | stateless
        self.expires = expires      # monotonic, None: never
        self.key_id = key_id

    def live(self):
        return self.expires is None or time.monotonic() < self.expires


class Tokens:
    def __init__(self, config):
        self.config = config
        self.channels = {}
        self.tokens = {}
        self.login = Login(config, self.channels)

    # -- set-up ------------------------------------------------------------

    def add_channel(self, spec):
        """Adds or replaces a channel; its tokens stay what they were."""
        channel = Channel(spec)
        self.channels[channel.id] = channel
        for token in self.tokens.values():
            if token.channel.id == channel.id:
                token.channel = channel
        if spec.get("token"):
            self.issue(channel, "long", None, value=spec["token"])
        return channel

    def issue(self, channel, kind, lifetime, value=None):
        if value is None:
            value = secrets.token_urlsafe(self.config["token_length"])
            value = value[:self.config["token_length"]]
        expires = None if lifetime is None else time.monotonic() + lifetime
        key_id = secrets.token_urlsafe(16) if kind == "v2.1" else None
        token = Token(value, channel, kind, expires, key_id)
        self.tokens[value] = token
        return token

    def expire(self, channel=None, kind=None):
        """Ends tokens at once, as if their time were over."""
        ended = [t for t in self.tokens.values() if t.live()
                 and (channel is None or t.channel.id == channel)
                 and (kind is None or t.kind == kind)]
        for token in ended:
            token.expires = time.monotonic()
        return len(ended)

    def lookup(self, value):
        token = self.tokens.get(value)
        return token if token is not None and token.live() else None

    def live_tokens(self, channel, kind):
        return [t for t in self.tokens.values()
                if t.channel is channel and t.kind == kind and t.live()]

    # -- endpoints ---------------------------------------------------------

    def endpoint(self, request):
        """The answer of a token endpoint."""
        handler = {
            "/oauth2/v3/token": self.stateless,
            "/oauth2/v2.1/authorize": self.login.authorize,
            "/oauth2/v2.1/token": self.token_v21,
            "/oauth2/v2.1/verify": self.verify_v21,
            "/oauth2/v2.1/tokens/kid": self.key_ids,
            "/oauth2/v2.1/revoke": self.revoke_v21,
            "/v2/oauth/accessToken": self.short_lived,
            "/v2/oauth/verify": self.verify,
            "/v2/oauth/revoke": self.revoke,
        }[request.path]
        try:
            return handler(request)
        except Refused as refused:
            return refused.answer

    def stateless(self, request):
        form = client_credentials(form_of(request))
        if "client_assertion" in form:
            channel, _ = self.channel_of_assertion(form)
        else:
            channel = self.channel_of_secret(form)
        return self.issued(channel, "stateless",
                           self.config["token_seconds"]["stateless"])

    def token_v21(self, request):
        form = form_of(request)
        if form.get("grant_type") == "authorization_code":
            return self.login.token(self.channel_of_secret(form), form)
        return self.by_assertion(client_credentials(form))

    def by_assertion(self, form):
        channel, claims = self.channel_of_assertion(form)
        lifetime = claims.get("token_exp")
        if not is_number(lifetime) or not 0 < lifetime <= MAX_TOKEN_EXP:
            raise Refused(400, "invalid_request", "Invalid token_exp")
        if len(self.live_tokens(channel, "v2.1")) >= MAX_LIVE:
            return json_answer(400, {
                "message": "The number of issued access tokens exceeds the "
                           "maximum"})
        lifetime = self.config["token_seconds"]["v2.1"] or lifetime
        return self.issued(channel, "v2.1", lifetime)

    def short_lived(self, request):
        channel = self.channel_of_secret(client_credentials(form_of(request)))
        live = self.live_tokens(channel, "short")
        if len(live) >= MAX_LIVE:       # LINE revokes the oldest
            del self.tokens[live[0].value]
        return self.issued(channel, "short",
                           self.config["token_seconds"]["short"])

    def issued(self, channel, kind, lifetime):
        token = self.issue(channel, kind, lifetime)
        # A lifetime scaled down for a test is reported as it is, unless the
        # test wants LINE to promise more than it keeps.
        promised = self.config["token_promise"] or lifetime
        body = {"token_type": "Bearer", "access_token": token.value,
                "expires_in": int(promised)}
        if token.key_id:
            body["key_id"] = token.key_id
        return json_answer(200, body)

    def verify_v21(self, request):
        if request.method == "POST":
            return self.login.verify(form_of(request))
        value = dict(parse_qsl(request.query)).get("access_token")
        return self.verified(value, ("v2.1",))

    def verify(self, request):
        return self.verified(form_of(request).get("access_token"),
                             ("short", "long"))

    def verified(self, value, kinds):
        token = self.lookup(value)
        if token is None or token.kind not in kinds:
            raise Refused(400, "invalid_request", "access token expired")
        left = (int(token.expires - time.monotonic())
                if token.expires is not None else 3138007490)
        return json_answer(200, {"client_id": token.channel.id,
                                 "expires_in": left, "scope": "P CM"})

    def key_ids(self, request):
        form = dict(parse_qsl(request.query))
        channel, _ = self.channel_of_assertion(form)
        return json_answer(200, {"kids": [
            t.key_id for t in self.live_tokens(channel, "v2.1")]})

    def revoke_v21(self, request):
        form = form_of(request)
        channel = self.channel_of_secret(form)
        token = self.tokens.get(form.get("access_token"))
        if token and token.kind == "v2.1" and token.channel is channel:
            del self.tokens[token.value]
        return Answer(200)

    def revoke(self, request):
        token = self.tokens.get(form_of(request).get("access_token"))
        if token and token.kind in ("short", "long"):
            del self.tokens[token.value]
        return Answer(200)

    # -- who asks ----------------------------------------------------------

    def channel_of_secret(self, form):
        channel = self.channels.get(form.get("client_id"))
        if channel is None or form.get("client_secret") != channel.secret:
            raise Refused(400, "invalid_client", "invalid client credentials")
        return channel

    def channel_of_assertion(self, form):
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            raise Refused(400, "invalid_request",
                          "Invalid client_assertion_type")
        header, claims, signed, signature = split_jwt(
            form.get("client_assertion", ""))
        if header.get("alg") != "RS256":
            raise Refused(400, "invalid_client", "Invalid alg")
        if header.get("typ") != "JWT":
            raise Refused(400, "invalid_client", "Invalid typ")
        channel = self.channels.get(str(claims.get("iss")))
        if channel is None or claims.get("iss") != claims.get("sub"):
            raise Refused(400, "invalid_client", "Invalid iss or sub")
        key = channel.keys.get(header.get("kid"))
        if key is None:
            raise Refused(404, "invalid_client", "Cannot find channel key that "
                          "satisfies the conditions")
        if not rs256_is_valid(key, signed, signature):
            raise Refused(400, "invalid_client", "Invalid signature")
        check_claims(claims)
        return channel, claims


def check_claims(claims):
    if claims.get("aud") != AUDIENCE:
        raise Refused(400, "invalid_client", "Invalid aud")
    exp = claims.get("exp")
    now = time.time()
    if not is_number(exp) or exp <= now:
        raise Refused(400, "invalid_client", "Invalid exp: expired")
    if exp > now + MAX_ASSERTION_LIFE + 5:      # a little for clock steps
        raise Refused(400, "invalid_client", "Invalid exp: too far ahead")


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def form_of(request):
    kind = request.headers.get("content-type", "").split(";")[0].strip()
    if kind.lower() != "application/x-www-form-urlencoded":
        raise Refused(400, "invalid_request", "Invalid content type")
    try:
        text = request.body.decode("ascii")
    except UnicodeDecodeError:
        raise Refused(400, "invalid_request", "Invalid form") from None
    return dict(parse_qsl(text, keep_blank_values=True))


def client_credentials(form):
    if form.get("grant_type") != "client_credentials":
        raise Refused(400, "unsupported_grant_type", "Invalid grant_type")
    return form


# -- JWT and RS256 ---------------------------------------------------------

def split_jwt(text):
    parts = text.split(".")
    if len(parts) != 3:
        raise Refused(400, "invalid_client", "Invalid client_assertion")
    try:
        header, claims = (json.loads(base64url(p)) for p in parts[:2])
        signature = base64url(parts[2])
    except ValueError:
        raise Refused(400, "invalid_client",
                      "Invalid client_assertion") from None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise Refused(400, "invalid_client", "Invalid client_assertion")
    return header, claims, (parts[0] + "." + parts[1]).encode(), signature


def base64url(text):
    """Strict base64url without padding (RFC 7515)."""
    if "=" in text or "+" in text or "/" in text:
        raise ValueError("not base64url")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_",
                                validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None


def rs256_is_valid(key, data, signature):
    """RSASSA-PKCS1-v1_5 with SHA-256: the padding is compared whole."""
    n, e = key
    size = (n.bit_length() + 7) // 8
    if len(signature) != size or int.from_bytes(signature, "big") >= n:
        return False
    decrypted = pow(int.from_bytes(signature, "big"), e, n)
    tail = b"\0" + SHA256_PREFIX + hashlib.sha256(data).digest()
    expected = b"\0\1" + b"\xff" * (size - 2 - len(tail)) + tail
    return decrypted.to_bytes(size, "big") == expected


def public_key(spec):
    """(n, e) of a registered key: {"jwk": {...}} or {"pem": "..."}."""
    if "jwk" in spec:
        jwk = spec["jwk"]
        if jwk.get("kty") != "RSA":
            raise ValueError("key is not RSA")
        return (int.from_bytes(base64url(jwk["n"]), "big"),
                int.from_bytes(base64url(jwk["e"]), "big"))
    return public_key_from_pem(spec["pem"])


def public_key_from_pem(pem):
    """A SubjectPublicKeyInfo, as `openssl pkey -pubout` writes it."""
    lines = [line for line in pem.splitlines() if line and "-----" not in line]
    der = base64.b64decode("".join(lines))
    _, info, _ = der_item(der)                  # SEQUENCE
    _, _, rest = der_item(info)                 # AlgorithmIdentifier
    _, bits, _ = der_item(rest)                 # BIT STRING, no unused bits
    _, pair, _ = der_item(bits[1:])             # SEQUENCE { n, e }
    _, n, rest = der_item(pair)
    _, e, _ = der_item(rest)
    return int.from_bytes(n, "big"), int.from_bytes(e, "big")


def der_item(data):
    """Tag, content and what follows of the first DER item."""
    tag, length, start = data[0], data[1], 2
    if length & 0x80:
        count = length & 0x7f
        length = int.from_bytes(data[2:2 + count], "big")
        start = 2 + count
    return tag, data[start:start + length], data[start + length:]
