"""latency.py PSQL PORT LOG IDLE STEADY SESSIONS: commit -> request, in milliseconds.

psql sessions insert; the simulator's log has the wall clock of each request.
Both clocks are this machine's CLOCK_REALTIME.  Idle: one session, from the
moment before its COMMIT.  Steady: several sessions, since one alone would
measure the line at its own fsync; 500 a second together, each message from its
planned time.  The same rows go into a plain table, in turns with ours.
"""

import json
import subprocess
import sys
import threading
import time

psql, port, log, idle, steady, sessions = sys.argv[1:7]
idle, steady, sessions = int(idle), int(steady), int(sessions)
RATE = 500.0
PLAIN = ("INSERT INTO plain (phone, use_case, template_key, reference) "
         "VALUES ('090-%04d-%04d', 'reservation', 'x', '%s')")
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


def seen(ids):
    """tag's message id -> wall clock of its request, once these are there"""
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
        if ids <= times.keys() or time.time() > deadline:
            return times
        time.sleep(0.1)


def report(name, values):
    values.sort()

    def at(q):
        return values[min(len(values) - 1, int(q * len(values)))] * 1000
    row = {"bench": "latency", "case": name, "n": len(values),
           "p50_ms": round(at(0.5), 3), "p99_ms": round(at(0.99), 3),
           "max_ms": round(values[-1] * 1000, 3)}
    print("%-38s p50 %7.3f ms   p99 %7.3f ms   max %7.3f ms   (%d)" % (
        name, row["p50_ms"], row["p99_ms"], row["max_ms"], len(values)))
    print(json.dumps(row))


def steadily(s, statement, first, step, n, begin, planned, committed):
    """One session's part: every step-th message, at its planned time."""
    for i in range(first, n, step):
        at = begin + i / RATE
        wait = at - time.time()
        if wait > 0:
            time.sleep(wait)
        ident = int(s.run(statement % (2000 + i // 10000, i % 10000, "s")
                          + " RETURNING id")[0])
        planned[ident] = at
        committed.append(time.time() - at)


def steady_run(all_sessions, statement, n):
    """All sessions together: planned time by id, latencies until committed."""
    planned, committed = {}, []
    begin = time.time() + 0.05
    threads = [threading.Thread(target=steadily, args=(
        s, statement, i, len(all_sessions), n, begin, planned, committed))
        for i, s in enumerate(all_sessions)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return planned, committed


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
    several = [Session() for _ in range(sessions)]
    name = "%d/s, %d sessions" % (RATE, sessions)
    planned, ours, plain = {}, [], []
    for _ in range(3):
        plain += steady_run(several, PLAIN, steady // 3)[1]
        more, committed = steady_run(several, INSERT, steady // 3)
        planned.update(more)
        ours += committed
    done += len(planned)
    first[name + ": request"] = planned
    times = seen({i for started in first.values() for i in started})
    report(name + ": plain, committed", plain)
    report(name + ": ours, committed", ours)
    for case, started in first.items():
        values = [times[i] - t for i, t in started.items() if i in times]
        if len(values) != len(started):
            print("%s: %d requests missing" % (case, len(started) - len(values)))
        if values:
            report(case, values)


main()
