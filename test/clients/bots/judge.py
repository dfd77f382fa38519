# LINE, for a bot: calls its webhook with what a day brings, and says what came back.
import base64
import hashlib
import hmac
import http.client
import json
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from report import check  # noqa: E402

SECRET = b"webhook-secret"
WORDS = 'a\\b "c" \\\\012 \u3042 \U0001f600'


def call(port, body, signature=None):
    if signature is None:
        signature = base64.b64encode(hmac.new(SECRET, body, hashlib.sha256).digest()).decode()
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    c.request("POST", "/webhook/line", body, {"Content-Type": "application/json; charset=utf-8", "x-line-signature": signature})
    r = c.getresponse()
    return r.status, r.read().decode()


def ready(port):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            http.client.HTTPConnection("127.0.0.1", port, timeout=5).connect()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit("the bot does not listen")


port, without_database = int(sys.argv[1]), int(sys.argv[2])
ready(port)
ready(without_database)
event = {"mode": "active", "timestamp": 1750000000000, "deliveryContext": {"isRedelivery": False}}
ident = "%026d" % time.time_ns()
body = json.dumps({"destination": "U" + "0" * 32, "events": [
    dict(event, type="message", webhookEventId=ident, replyToken="0" * 32, source={"type": "user", "userId": "U" + "1" * 32},
         message={"type": "text", "id": "1", "quoteToken": "q", "text": WORDS}),
    dict(event, type="delivery", webhookEventId=ident[1:] + "D", delivery={"data": "ln1-42-1-0000000000001"}),
]}, ensure_ascii=False).encode()
before = int(os.popen("psql -XAtq -U postgres -c 'SELECT count(*) FROM line_notify.webhook_event'").read())
status, text = call(port, body)
after = int(os.popen("psql -XAtq -U postgres -c 'SELECT count(*) FROM line_notify.webhook_event'").read())
check("event kept", status == 200 and after == before + 1, (status, text, after - before))
check("bot gets it", WORDS in text, (status, text))
status, text = call(port, body)
again = int(os.popen("psql -XAtq -U postgres -c 'SELECT count(*) FROM line_notify.webhook_event'").read())
check("redelivery", status == 200 and again == after, (status, again - after))
status, text = call(port, body, base64.b64encode(b"0" * 32).decode())
check("bad signature", status in (400, 401, 403), (status, text))
status, text = call(without_database, body)
check("database away", status == 503, (status, text))
