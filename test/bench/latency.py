"""latency.py PSQL PORT LOG IDLE STEADY: commit -> request, in milliseconds.

One psql session inserts; the simulator's log has the wall clock of each
request.  Both clocks are this machine's CLOCK_REALTIME.
"""

import json
import subprocess
import sys
import time

psql, port, log, idle, steady = sys.argv[1:6]
idle, steady = int(idle), int(steady)
INSERT = ("INSERT INTO line_notify.outbox (phone, use_case, template_key, "
          "reference) VALUES ('090-%04d-%04d', 'reservation', 'x', '%s')")


class Session:
    def __init__(self):
        self.p = subprocess.Popen(
            [psql, "-X", "-q", "-At", "-p", port], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, bufsize=1)

    def run(self, sql):
        self.p.stdin.write(sql + ";\n\\echo done\n")
        self.p.stdin.flush()
        out = []
        for line in self.p.stdout:
            if line == "done\n":
                return out
            out.append(line.rstrip("\n"))
        raise SystemExit("psql ended")


def seen(n):
    """tag's message id -> wall clock of its request, once n are there"""
    deadline = time.time() + 60
    while True:
        times = {}
        with open(log, encoding="utf-8") as f:
            for line in f:
                if not line.endswith("\n"):
                    break
                r = json.loads(line)
                tag = r.get("tag")
                if tag and r.get("status") is not None:
                    times[int(tag.split("-")[1])] = r["wall"]
        if len(times) >= n or time.time() > deadline:
            return times
        time.sleep(0.1)


def report(name, values):
    values.sort()

    def at(q):
        return values[min(len(values) - 1, int(q * len(values)))] * 1000
    row = {"bench": "latency", "case": name, "n": len(values),
           "p50_ms": round(at(0.5), 3), "p99_ms": round(at(0.99), 3),
           "max_ms": round(values[-1] * 1000, 3)}
    print("%-28s p50 %7.3f ms   p99 %7.3f ms   max %7.3f ms   (%d)" % (
        name, row["p50_ms"], row["p99_ms"], row["max_ms"], len(values)))
    print(json.dumps(row))


def main():
    s = Session()
    done = 0
    first = {}
    # cold: no connection yet
    for case, pause, count in (("idle, cold connection", 0, 1),
                               ("idle, warm connection", 0.02, idle)):
        started = {}
        for i in range(count):
            s.run("BEGIN")
            ident = int(s.run(INSERT % (1000 + done // 10000, done % 10000,
                                        case) + " RETURNING id")[0])
            done += 1
            started[ident] = time.time()
            s.run("COMMIT")
            time.sleep(pause)
        first[case] = started
    started = {}
    begin = time.time() + 0.05
    for i in range(steady):
        planned = begin + i / 500.0
        wait = planned - time.time()
        if wait > 0:
            time.sleep(wait)
        ident = int(s.run(INSERT % (1000 + done // 10000, done % 10000, "s")
                          + " RETURNING id")[0])
        done += 1
        started[ident] = planned
    first["steady 500/s, open loop"] = started
    times = seen(done)
    for case, started in first.items():
        values = [times[i] - t for i, t in started.items() if i in times]
        if len(values) != len(started):
            print("%s: %d requests missing" % (case, len(started) - len(values)))
        if values:
            report(case, values)


main()
