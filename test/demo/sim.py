"""The demo's hand on the simulator: sim.py HOST:PORT command [arguments]."""

import json
import sys
import urllib.request


def control(path, data=None):
    request = urllib.request.Request(
        "http://%s/_sim/%s" % (sys.argv[1], path),
        data=None if data is None else json.dumps(data).encode())
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def main():
    command, args = sys.argv[2], sys.argv[3:]
    if command == "recipients":
        control("recipients", dict(arg.split("=") for arg in args))
    elif command == "webhooks":
        for hook in control("webhooks?max=100")["webhooks"]:
            print(hook["body_base64"], hook["signature"])
    elif command == "count":
        print(control("summary")["requests"])
    elif command == "requests":
        for r in control("requests?since=0&body")["requests"]:
            body = json.loads(r["body"])
            text = body.get("body") or body.get("messages")
            print("%3d  %s  %s  to %s…  %s" % (
                r["status"], r["path"].ljust(36), r["tag"], r["to"][:10],
                json.dumps(text, ensure_ascii=False)[:110]))


main()
