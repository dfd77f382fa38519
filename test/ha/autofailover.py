"""Two servers and a monitor under real pg_auto_failover, on loopback.

Configured as doc/availability.md says; see repmgr.py for what stands in a file
outside of the data directory, and why.
"""
import atexit
import getpass
import os
import pathlib
import signal
import subprocess

import rig


class Node(rig.Server):
    """One server and its keeper."""

    patroni = None        # here: pg_autoctl
    user = getpass.getuser()

    def __init__(self, cluster, name):
        self.cluster = cluster
        self.name = name
        self.directory = f"{cluster.directory}/{name}"
        super().__init__(rig.free_port(), f"{self.directory}/data")
        os.makedirs(self.directory)
        pathlib.Path(f"{self.directory}/node.conf").write_text(
            f"line_notify.node = '{name}'\n")

    def run(self):
        self.patroni = rig.Process(f"{self.directory}/keeper.log",
                                   "pg_autoctl", "run", "--pgdata", self.data)

    def create(self, *more):
        self.cluster.program(
            self.directory, "pg_autoctl", "create", more[0], "--pgdata",
            self.data, "--pgport", str(self.port), "--auth", "trust",
            "--no-ssl", "--hostname", "127.0.0.1", *more[1:])

    start = run

    def kill9(self):
        """The machine is gone."""
        self.stop_keeper()
        self.kill_server()

    def stop_keeper(self):
        if self.patroni:
            os.killpg(self.patroni.child.pid, signal.SIGKILL)
            self.patroni.kill()


class Cluster(rig.Cluster):
    synchronous = True

    def __init__(self, directory, bindir, name, parameters):
        self.directory = f"{directory}/{name}"
        os.makedirs(self.directory)
        os.environ["PG_CONFIG"] = f"{bindir}/pg_config"
        os.environ["HOME"] = os.environ["XDG_RUNTIME_DIR"] = self.directory
        atexit.register(self.stop)
        self.monitor = Node(self, "monitor")
        self.monitor.database = "pg_auto_failover"
        self.nodes = [Node(self, "n1"), Node(self, "n2")]
        self.monitor.create("monitor")
        self.monitor.run()
        rig.poll("the monitor", self.monitor.leads)
        uri = (f"postgres://autoctl_node@127.0.0.1:{self.monitor.port}"
               "/pg_auto_failover")
        for node in self.nodes:
            node.create("postgres", "--name", node.name, "--monitor", uri,
                        "--dbname", "postgres")
            if node is self.nodes[0]:
                with open(f"{node.data}/postgresql.conf", "a") as conf:
                    conf.write("shared_preload_libraries = 'line_notify'\n"
                               "max_worker_processes = 20\n"
                               "shared_buffers = 32MB\n"
                               "fsync = off\n"
                               + "".join(f"{k} = '{v}'\n"
                                         for k, v in parameters.items())
                               + "include '../node.conf'\n")
            node.run()
            rig.poll(f"{node.name} runs", lambda: node.recovers() is not None)
        self.wait_synchronous()

    def program(self, directory, *command):
        run = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=rig.TIMEOUT, cwd=directory)
        with open(f"{directory}/pg_autoctl.log", "a") as log:
            log.write(f"== {command}\n{run.stdout}{run.stderr}")
        if run.returncode != 0:
            raise RuntimeError(f"{command}: {run.stdout}{run.stderr}")

    def wait_synchronous(self):
        rig.poll("a synchronous standby", lambda: any(
            n.leads() and n.one("SELECT count(*) FROM pg_stat_replication"
                                " WHERE sync_state IN ('sync', 'quorum')")
            for n in self.nodes))
        rig.poll("states of the monitor", lambda: {
            state for state, in self.monitor.query(
                "SELECT reportedstate::text FROM pgautofailover.node"
                " WHERE reportedstate = goalstate")}
            == {"primary", "secondary"})

    def switchover(self):
        to = self.other(self.leader())
        self.program(self.directory, "pg_autoctl", "perform", "switchover",
                     "--pgdata", self.monitor.data)
        return rig.poll("switchover", lambda: to if to.leads() else None)

    def stop(self):
        for node in [*self.nodes, self.monitor]:
            node.kill9()
