# Flask
import json
import os

import psycopg2
from flask import Flask, abort, request

app = Flask(__name__)


@app.post("/webhook/line")
def webhook():
    # get_data() before anything that parses the body
    try:
        with psycopg2.connect(dbname="postgres", user="app", connect_timeout=2) as db, db.cursor() as cursor:
            cursor.execute("SELECT line_notify.receive_webhook(%s, %s, %s)",
                           ["shop", request.get_data(), request.headers.get("x-line-signature", "")])
    except psycopg2.Error as e:
        # 28000: not from LINE.  Anything else: LINE shall deliver it again.
        abort(401 if e.pgcode == "28000" else 503)
    events = json.loads(request.get_data())["events"]
    return ",".join(e["message"]["text"] for e in events if e["type"] == "message")     # your bot


app.run("127.0.0.1", int(os.environ["BOT_PORT"]))
