"""Holds the simulated LINE API to the corpus of contents.  Prints TAP.

    python3 test/mock/check_corpus.py

What LINE refuses must get a 400, what it takes must not.  Lines that LINE's
documents leave open (unknown, doubtful) say nothing here.
"""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import config   # noqa: E402
import content  # noqa: E402

CORPUS = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir,
                      "content", "corpus.tsv")


def flex(contents):
    return {"messages": [{"type": "flex", "altText": "a",
                          "contents": contents}]}


def body(component):
    return flex({"type": "bubble", "body": {
        "type": "box", "layout": "vertical", "contents": [component]}})


def text(**more):
    return {"messages": [dict(type="text", text="a", **more)]}


PLACES = {
    "request": lambda v: v,
    "templated": lambda v: v,
    "message": lambda v: {"messages": [v]},
    "container": flex,
    "bubble": lambda v: flex({"type": "carousel", "contents": [v]}),
    "component": body,
    "child": lambda v: body({"type": "box", "layout": "baseline",
                             "contents": [v]}),
    "span": lambda v: body({"type": "text", "contents": [v]}),
    "action": lambda v: body({"type": "button", "action": v}),
    "template": lambda v: {"messages": [{"type": "template", "altText": "a",
                                         "template": v}]},
    "reply": lambda v: text(quickReply=v),
    "quick": lambda v: text(quickReply={"items": [
        {"type": "action", "action": v}]}),
    "sender": lambda v: text(sender=v),
}


def main():
    settings = config.defaults()
    number = 0
    with open(CORPUS, encoding="utf-8") as f:
        for line in f:
            if line.startswith("#"):
                continue
            verdict, source, place, value = line.rstrip("\n").split("\t")
            if verdict not in ("refused", "lawful"):
                continue
            request = PLACES[place](json.loads(value))
            request["to"] = "0" * 64
            kind = "templated" if place == "templated" else "flexible"
            try:
                content.check(kind, request, settings)
                answer = None
            except content.Fault as fault:
                answer = fault.body
            good = (answer is None) == (verdict == "lawful")
            number += 1
            print("%s %d - %s, %s: %s %.90s" % (
                "ok" if good else "not ok", number, verdict, source, place,
                value.replace("#", "\\#")))
            if not good and answer:
                print("# " + json.dumps(answer, ensure_ascii=True)[:300])
    print("1..%d" % number)


if __name__ == "__main__":
    main()
