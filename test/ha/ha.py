#!/usr/bin/env python3
"""What real Patroni, repmgr, pg_auto_failover do to a queue that is being sent.

    python3 ha.py DIRECTORY BINDIR [ROUND...]

A round is a manager (sync, async: Patroni; repmgr; autofailover), an event
(switchover, backlog, kill9, patroni, reinit), or both (async_kill9).  Without
any, all of Patroni and repmgr.

Prints TAP, and at the end a table: for each kind of event, how many messages
were sent twice, were lost, ended as unknown, and how long it took until the
new primary sent the first of the messages committed there.  HA_ROUNDS=n
repeats each event n times.
"""
import os
import pathlib
import re
import signal
import sys
import time

import autofailover
import repmgr
import rig

# half of it is the time in which a hand-over is believed
GRACE = 16


def recipe(name):
    """Statements of doc/availability.md that begin with a comment."""
    doc = pathlib.Path(__file__).parents[2] / "doc" / "availability.md"
    return re.search(rf"^-- {re.escape(name)}\n(.*?)^```", doc.read_text(),
                     re.M | re.S).group(1)


class Run:
    def __init__(self, directory, bindir):
        self.directory = rig.fresh_directory(directory)
        self.bindir = bindir
        os.environ["PATH"] = bindir + ":" + os.environ["PATH"]
        for name in [n for n in os.environ if n.startswith("PG")]:
            del os.environ[name]        # they would lead Patroni astray
        self.judge = rig.Judge(f"{directory}/judge.log")
        self.etcd = None
        self.next = 1
        self.tests = 0
        self.failed = 0
        self.rows = []

    def ok(self, good, name):
        self.tests += 1
        self.failed += not good
        print(f"{'ok' if good else 'not ok'} {self.tests} - {name}",
              flush=True)
        return good

    def cluster(self, name):
        parameters = {"line_notify.promotion_grace": f"{GRACE}s"}
        if name in ("repmgr", "autofailover"):
            c = globals()[name].Cluster(self.directory, self.bindir, name,
                                        parameters)
        else:
            self.etcd = self.etcd or rig.Etcd(self.directory)
            c = rig.Cluster(self.directory, self.bindir, self.etcd, name,
                            name == "sync", parameters)
        leader = c.whole()      # health() counts who has told what it replayed
        leader.query("CREATE EXTENSION line_notify")
        leader.query("SELECT line_notify.create_channel('shop', api_base => %s,"
                     " line_channel_id => '1234567890')", self.judge.url)
        leader.query("SELECT line_notify.set_credential("
                     "'shop', 'access_token', 'judge')")
        self.ok(leader.query("SELECT 1 FROM line_notify.health()"
                             " WHERE subject = 'nodes'"),
                f"{name}: health() of the primary misses a node")
        leader.query(recipe("nodes of the cluster"))
        self.ok(not leader.query("SELECT 1 FROM line_notify.health()"
                                 " WHERE subject = 'nodes'"),
                f"{name}: as doc/availability.md says, it is content")
        return c

    def numbers(self, n):
        first = self.next
        self.next += n
        return first

    # -- what is left of the messages of a round ---------------------------

    def settle(self, leader):
        """Nothing waits any more, not for its next attempt either."""
        rig.poll("everything has ended", lambda: leader.one(
            "SELECT NOT EXISTS (SELECT FROM line_notify.outbox)"
            " AND NOT EXISTS (SELECT FROM line_notify.in_flight)"
            " AND NOT EXISTS (SELECT FROM line_notify.identity"
            "  WHERE in_doubt_before IS NOT NULL)"))

    def verdict(self, cluster, leader, acked, asked, seen_from):
        states = dict(leader.query(
            "SELECT reference::integer, state::text"
            " FROM line_notify.notifications"
            " WHERE reference::integer = ANY (%s)", list(asked)))
        sent = {}
        for _, to, _ in self.judge.since(seen_from):
            sent[to] = sent.get(to, 0) + 1
        of = {i: sent.get(rig.recipient(i), 0) for i in asked}
        ended = ("accepted", "delivered", "unknown")
        gone = [i for i in acked if i not in states and not of[i]]
        return {
            "messages": len(acked),
            "twice": sum(n > 1 for n in of.values()),
            # said to be sent and were not; ended otherwise though valid; or
            # a COMMIT that synchronous replication had answered
            "lost": sum(s == "accepted" and not of[i] or s not in ended
                        for i, s in states.items())
            + (len(gone) if cluster.synchronous else 0),
            "gone": 0 if cluster.synchronous else len(gone),
            "unknown": sum(s == "unknown" for s in states.values()),
            "unsent": sum(s == "unknown" and not of[i]
                          for i, s in states.items()),
        }

    def note(self, name, **row):
        self.rows.append((name, row))
        print("# " + name + ": " + ", ".join(
            f"{k} {v}" for k, v in row.items()), flush=True)
        self.ok(row["twice"] == 0, f"{name}: none sent twice")
        self.ok(row["lost"] == 0, f"{name}: none lost")

    # -- rounds -------------------------------------------------------------

    def traffic(self, name, cluster, event, after=None):
        """Commits go on while something happens to the leader."""
        old = cluster.whole()
        seen = self.judge.count()
        shop = rig.Shop(cluster, self.numbers(5000), 100)
        rig.poll("traffic", lambda: len(shop.acked) >= 150)
        event(old)
        new = cluster.other(old)
        rig.poll(f"{new.name} leads", new.leads)
        began = time.time()
        rig.poll("commits on the new primary", lambda: any(
            at > began for at in shop.acked.values()))
        enough = len(shop.acked) + 150
        rig.poll("more traffic", lambda: len(shop.acked) >= enough)
        shop.stop()
        if after:
            after(old)
        leader = cluster.whole()
        self.ok(leader is new, f"{name}: {new.name} leads afterwards")
        self.settle(leader)
        row = self.verdict(cluster, leader, shop.acked, shop.asked, seen)
        row["resumed"] = self.resumed(leader, shop, seen)
        self.note(name, **row)

    def resumed(self, leader, shop, seen):
        """Seconds from the end of the widest gap between answered COMMITs to
        the first request for a message committed after it."""
        times = sorted((at, i) for i, at in shop.acked.items())
        gap = max(range(1, len(times)),
                  key=lambda k: times[k][0] - times[k - 1][0])
        first = times[gap][0]
        later = {rig.recipient(i) for at, i in times[gap:]}
        sent = [at for at, to, _ in self.judge.since(seen) if to in later]
        return f"{max(0.0, min(sent) - first):.2f}" if sent else "never"

    def switchover_with_backlog(self, name, cluster, n=1500):
        """n messages are due, the rate limit lets few of them pass."""
        old = cluster.whole()
        seen = self.judge.count()
        old.query("SELECT line_notify.alter_channel('shop', rate_limit => 50)")
        numbers = rig.insert_many(old, self.numbers(n), n)
        rig.poll("some are sent", lambda: self.judge.count() >= seen + 60)
        new = cluster.switchover()
        began = time.time()
        at_first = self.judge.count()
        new.query("SELECT line_notify.alter_channel('shop', rate_limit => 2000)")
        leader = cluster.whole()
        self.settle(leader)
        row = self.verdict(cluster, leader, numbers, numbers, seen)
        after = self.judge.since(at_first)
        row["resumed"] = f"{after[0][0] - began:.2f}" if after else "never"
        self.note(name, **row)
        self.ok(row["unknown"] == 0, f"{name}: and none is in doubt")

    def close(self):
        columns = ("messages", "twice", "lost", "gone", "unknown", "unsent",
                   "resumed")
        total = {}
        for name, row in self.rows:
            sums = total.setdefault(name, {"rounds": 0})
            sums["rounds"] += 1
            for c in columns:
                if c == "resumed":
                    sums.setdefault(c, []).append(row[c])
                else:
                    sums[c] = sums.get(c, 0) + row[c]
        print("#\n# | event | rounds | messages | sent twice | lost |"
              " commits PostgreSQL lost | unknown | of them unsent |"
              " seconds to resume |")
        print("# |" + "---|" * 9)
        for name, s in total.items():
            print(f"# | {name} | {s['rounds']} | {s['messages']} |"
                  f" {s['twice']} | {s['lost']} | {s['gone']} |"
                  f" {s['unknown']} | {s['unsent']} |"
                  f" {', '.join(s['resumed'])} |")
        print(f"1..{self.tests}")
        return self.failed


def events(run, cluster, mode):
    """name -> a round"""
    def switch(_):
        cluster.switchover()

    def die(old):
        old.kill9()
        if mode == "repmgr":
            cluster.fail_over(old)

    def patroni_dies(old):
        old.patroni.kill(signal.SIGKILL)

    def come_back(old):
        """Patroni takes its server in hand again: demoted, rewound."""
        if mode == "repmgr":
            cluster.rejoin(old)
        else:
            old.start()

    def reinit_then_switch(old):
        cluster.reinit(cluster.other(old))
        rig.poll("the new copy streams", lambda: old.one(
            "SELECT count(*) FROM pg_stat_replication"
            " WHERE state = 'streaming'") == 1)
        if cluster.synchronous:
            cluster.wait_synchronous()
        cluster.switchover()

    rounds = {
        "switchover": lambda n: run.traffic(n, cluster, switch),
        "backlog": lambda n: run.switchover_with_backlog(n, cluster),
        "kill9": lambda n: run.traffic(n, cluster, die, come_back),
    }
    if mode in ("sync", "async"):
        rounds["patroni"] = lambda n: run.traffic(n, cluster, patroni_dies,
                                                  come_back)
        rounds["reinit"] = lambda n: run.traffic(n, cluster,
                                                 reinit_then_switch)
    return rounds


NAMES = {
    "switchover": "switchover",
    "backlog": "switchover, 1,500 due",
    "kill9": "kill -9 of the leader, rewind",
    "patroni": "Patroni alone killed",
    "reinit": "reinit, then switchover",
}


def main():
    directory, bindir, *wanted = sys.argv[1:]
    run = Run(directory, bindir)
    rounds = int(os.environ.get("HA_ROUNDS", "1"))
    for mode in ("sync", "async", "repmgr", "autofailover"):
        names = [k for k in NAMES
                 if k in wanted or f"{mode}_{k}" in wanted or mode in wanted
                 or not wanted and mode != "autofailover"]
        if not names:
            continue
        if mode == "repmgr" and not os.path.exists(f"{bindir}/repmgr"):
            print("# skipped: repmgr cannot be had")
            continue
        cluster = run.cluster(mode)
        table = events(run, cluster, mode)
        names = [k for k in names if k in table]
        for key in names:
            for _ in range(rounds):
                name = f"{mode}: {NAMES[key]}"
                try:
                    table[key](name)
                except Exception as e:      # the next round may still go
                    run.ok(False, f"{name}: {type(e).__name__}: {e}")
        cluster.stop()
    failed = run.close()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
