"""LINE Login v2.1: from a telephone number to the LINE user, for account linking.

At LINE the first step is a page at access.line.me, where a person agrees; here
everybody agrees at once, and is who setting "login_user" says.  Written from
LINE's reference of LINE Login; it shares no code with the product.
"""

import base64
import hashlib
import hmac
import json
import secrets
import time
from urllib.parse import parse_qsl, urlencode

from http_types import Answer, json_answer

ISSUER = "https://access.line.me"
CODE_LIFE = 600.0           # seconds; LINE: "valid for 10 minutes"
ID_TOKEN_LIFE = 3600        # seconds


class Login:
    def __init__(self, config, channels):
        self.config = config
        self.channels = channels
        self.codes = {}     # code -> what it was given for; each counts once

    def authorize(self, request):
        query = dict(parse_qsl(request.query))
        redirect, state = query.get("redirect_uri"), query.get("state")
        if query.get("response_type") != "code" or not redirect or not state \
                or "openid" not in query.get("scope", "").split() \
                or query.get("client_id") not in self.channels:
            return json_answer(400, {"message": "invalid authorize request"})
        code = secrets.token_urlsafe(15)
        self.codes[code] = {
            "client": query["client_id"], "redirect": redirect,
            "nonce": query.get("nonce"), "until": time.monotonic() + CODE_LIFE}
        join = "&" if "?" in redirect else "?"
        return Answer(302, [("Location", redirect + join + urlencode(
            {"code": code, "state": state}))])

    def token(self, channel, form):
        given = self.codes.pop(form.get("code"), None)
        if given is None or given["client"] != channel.id \
                or time.monotonic() > given["until"]:
            return refused("invalid_grant", "invalid authorization code")
        if form.get("redirect_uri") != given["redirect"]:
            return refused("invalid_grant", "redirect_uri does not match")
        now = int(time.time())
        claims = {"iss": ISSUER, "sub": self.config["login_user"],
                  "aud": channel.id, "exp": now + ID_TOKEN_LIFE, "iat": now,
                  "amr": ["linesso"]}
        if given["nonce"] is not None:
            claims["nonce"] = given["nonce"]
        return json_answer(200, {
            "access_token": secrets.token_urlsafe(32), "expires_in": 2592000,
            "id_token": signed(claims, channel.secret),
            "refresh_token": secrets.token_urlsafe(15), "scope": "openid",
            "token_type": "Bearer"})

    def verify(self, form):
        channel = self.channels.get(form.get("client_id"))
        claims = channel and claims_of(form.get("id_token", ""),
                                       channel.secret)
        if not claims:
            return refused("invalid_request", "Invalid IdToken.")
        if claims["exp"] <= time.time():
            return refused("invalid_request", "IdToken expired.")
        if "nonce" in form and form["nonce"] != claims.get("nonce"):
            return refused("invalid_request", "Invalid IdToken Nonce.")
        return json_answer(200, claims)


def refused(error, description):
    return json_answer(400, {"error": error, "error_description": description})


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signature(text, secret):
    return encoded(hmac.digest(secret.encode(), text.encode(), hashlib.sha256))


def signed(claims, secret):
    text = ".".join(encoded(json.dumps(part).encode()) for part in (
        {"typ": "JWT", "alg": "HS256"}, claims))
    return text + "." + signature(text, secret)


def claims_of(token, secret):
    """The claims of an ID token that this secret has signed, or None."""
    text, _, mark = token.rpartition(".")
    if not hmac.compare_digest(signature(text, secret).encode(),
                               mark.encode()):
        return None
    payload = text.partition(".")[2]
    return json.loads(base64.urlsafe_b64decode(
        payload + "=" * (-len(payload) % 4)))
