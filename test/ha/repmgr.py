"""Two servers under real repmgr, on loopback.

Configured as doc/availability.md says: what is of one node alone stands in a
file that postgresql.conf includes, outside of the data directory, so that
neither a clone nor pg_rewind carries it to the other node.

repmgr asks the other host by ssh; here that is a script that runs the command.
"""
import atexit
import os
import pathlib
import subprocess

import rig


class Node(rig.Server):
    """One server and its repmgr.conf."""

    patroni = None

    def __init__(self, cluster, number):
        self.cluster = cluster
        self.name = f"n{number}"
        self.directory = f"{cluster.directory}/{self.name}"
        super().__init__(rig.free_port(), f"{self.directory}/data")
        os.makedirs(self.directory)
        self.config = f"{self.directory}/repmgr.conf"
        pathlib.Path(f"{self.directory}/node.conf").write_text(
            f"port = {self.port}\n"
            f"unix_socket_directories = '{self.directory}'\n"
            f"line_notify.node = '{self.name}'\n")
        start = (f"{cluster.bindir}/pg_ctl -D {self.data} -w"
                 f" -l {self.directory}/server.log")
        pathlib.Path(self.config).write_text(
            f"node_id={number}\n"
            f"node_name='{self.name}'\n"
            f"conninfo='host=127.0.0.1 port={self.port} user=postgres"
            f" dbname=repmgr connect_timeout=2'\n"
            f"data_directory='{self.data}'\n"
            f"pg_bindir='{cluster.bindir}'\n"
            f"repmgr_bindir='{cluster.bindir}'\n"
            f"use_replication_slots=yes\n"
            f"service_start_command='{start} start'\n"
            f"service_stop_command='{start} -m fast stop'\n"
            f"service_restart_command='{start} -m fast restart'\n"
            f"service_promote_command='{start} promote'\n")

    def program(self, *command):
        run = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=rig.TIMEOUT, cwd=self.directory,
            env={**os.environ,
                 "PATH": f"{self.cluster.directory}:" + os.environ["PATH"]})
        with open(f"{self.directory}/repmgr.log", "a") as log:
            log.write(f"== {command}\n{run.stdout}{run.stderr}")
        if run.returncode != 0:
            raise RuntimeError(f"{command}: {run.stdout}{run.stderr}")

    def repmgr(self, *args):
        self.program(f"{self.cluster.bindir}/repmgr", "-f", self.config, *args)

    def pg_ctl(self, *args):
        self.program(f"{self.cluster.bindir}/pg_ctl", "-D", self.data, "-w",
                     "-l", f"{self.directory}/server.log", *args)

    def kill9(self):
        """The machine is gone; when it comes back, nobody has that pid."""
        self.kill_server()
        os.unlink(f"{self.data}/postmaster.pid")


class Cluster(rig.Cluster):
    synchronous = False

    def __init__(self, directory, bindir, name, parameters):
        self.directory = f"{directory}/{name}"
        self.bindir = bindir
        os.makedirs(self.directory)
        ssh = pathlib.Path(f"{self.directory}/ssh")
        ssh.write_text("#!/bin/sh\n"
                       "# ssh [option ...] host command ...\n"
                       "while :; do\n"
                       "    case $1 in\n"
                       "        -o) shift 2 ;;\n"
                       "        -*) shift ;;\n"
                       "        *) break ;;\n"
                       "    esac\n"
                       "done\n"
                       "shift\n"
                       "exec sh -c \"$*\"\n")
        ssh.chmod(0o755)
        atexit.register(self.stop)
        self.nodes = [Node(self, 1), Node(self, 2)]
        first, second = self.nodes
        first.program(f"{bindir}/initdb", "-D", first.data, "-A", "trust",
                      "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8",
                      "--no-sync")
        with open(f"{first.data}/postgresql.conf", "a") as conf:
            conf.write("listen_addresses = '127.0.0.1'\n"
                       "shared_preload_libraries = 'line_notify'\n"
                       "wal_log_hints = on\n"
                       "max_worker_processes = 20\n"
                       "shared_buffers = 32MB\n"
                       "fsync = off\n"
                       "log_line_prefix = '%m [%p] '\n"
                       + "".join(f"{k} = '{v}'\n"
                                 for k, v in parameters.items())
                       + "include '../node.conf'\n")
        first.pg_ctl("start")
        first.query("CREATE DATABASE repmgr")
        first.repmgr("primary", "register")
        second.repmgr("-h", "127.0.0.1", "-p", str(first.port), "-U",
                      "postgres", "-d", "repmgr", "standby", "clone",
                      "--fast-checkpoint")
        second.pg_ctl("start")
        second.repmgr("standby", "register")

    def switchover(self):
        to = self.other(self.leader())
        to.repmgr("standby", "switchover", "--force-rewind")
        return rig.poll("switchover", lambda: to if to.leads() else None)

    def fail_over(self, dead):
        self.other(dead).repmgr("standby", "promote")

    def rejoin(self, node):
        # pg_rewind of 15 asks the last checkpoint for the timeline
        self.other(node).query("CHECKPOINT")
        node.repmgr("-h", "127.0.0.1", "-p", str(self.other(node).port), "-U",
                    "postgres", "-d", "repmgr", "node", "rejoin",
                    "--force-rewind")
