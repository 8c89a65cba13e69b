"""A Patroni cluster of the tests' own: three nodes, etcd, haproxy and PgBouncer, each in a temporary folder.

Every node has an address of its own in 127.0.0.0/8 and the usual ports. A lost or frozen machine has all of its
processes suspended: it accepts connections, as the kernel does, and says nothing.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest

from tests.faults.server import OPTIONS, plain_user, programs

DCS = {
    "ttl": 20,
    "loop_wait": 2,
    "retry_timeout": 8,
    "maximum_lag_on_failover": 1 << 30,
    "synchronous_mode": True,
    "synchronous_mode_strict": True,
    "failsafe_mode": True,
}
PARAMETERS = {name: value for name, value in OPTIONS.items() if name != "listen_addresses"} | {
    "max_connections": 200,
    "max_worker_processes": 24,
    "wal_keep_size": "512MB",
    # commits wait for a standby, and that long a standby waits before it connects again (5 s by default)
    "wal_retrieve_retry_interval": "500ms",
}
TRUST = ["local all all trust", "host all all 127.0.0.0/8 trust", "host replication all 127.0.0.0/8 trust"]
HAPROXY = """
global
    maxconn 1000
defaults
    mode tcp
    timeout connect 2s
    timeout client 1h
    timeout server 1h
    timeout check 1s
listen primary
    bind {address}:5432
    option httpchk OPTIONS /primary
    http-check expect status 200
    default-server inter 1s fall 2 rise 1 on-marked-down shutdown-sessions
"""
PGBOUNCER = """
[databases]
* = host={address} port=5432 user=postgres
[pgbouncer]
listen_addr = {address}
listen_port = 6432
unix_socket_dir =
auth_type = any
pool_mode = session
default_pool_size = 60
max_client_conn = 500
; a failed log-in blocks the next one for 15 s by default
server_login_retry = 1
"""
ROUTES = ("hosts", "haproxy", "pgbouncer")
_IN_RECOVERY = "SELECT pg_is_in_recovery()"
HEALTHY = [("leader", "running"), ("replica", "streaming"), ("sync_standby", "streaming")]
HEALTHY_WITHIN_S = 90.0


def processes_of(folder: Path) -> list[psutil.Process]:
    """Every process that works in the folder or below, also those whose parent is gone."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if Path(process.cwd()).is_relative_to(folder):
                found.append(process)
    return found


def kill_all(folder: Path) -> None:
    """End all of them, and what they start meanwhile."""
    while processes := processes_of(folder):
        for process in processes:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(processes, timeout=5)


class Node:
    """A machine: Patroni and the PostgreSQL that it runs."""

    def __init__(self, cluster: Cluster, number: int) -> None:
        self._cluster = cluster
        self.name = f"node{number}"
        self.address = f"{cluster.network}.{number}"
        self.folder = cluster.folder / self.name
        self._patroni: subprocess.Popen[bytes] | None = None
        self.url = f"postgresql://postgres@{self.address}:5432/postgres"
        self.api = f"http://{self.address}:8008"

    def start(self) -> None:
        authentication = {user: {"username": "postgres"} for user in ("superuser", "replication", "rewind")}
        configuration = {
            "scope": "energy",
            "name": self.name,
            "restapi": {"listen": f"{self.address}:8008", "connect_address": f"{self.address}:8008"},
            "etcd3": {"host": f"{self._cluster.network}.9:2379"},
            "bootstrap": {
                "dcs": {**DCS, "postgresql": {"use_pg_rewind": True, "parameters": PARAMETERS}},
                "initdb": [{"encoding": "UTF8"}, {"locale": "C"}, "data-checksums"],
            },
            "postgresql": {
                "listen": f"{self.address}:5432",
                "connect_address": f"{self.address}:5432",
                "data_dir": str(self.folder / "data"),
                "bin_dir": str(programs()),
                "pgpass": str(self.folder / "pgpass"),
                "authentication": authentication,
                "parameters": {"unix_socket_directories": str(self.folder)},
                "pg_hba": TRUST,
            },
        }
        # Patroni reads YAML, which JSON is
        self._patroni = self._cluster.start(
            self.name, [sys.executable, "-m", "patroni", "{file}"], json.dumps(configuration)
        )

    @property
    def is_running(self) -> bool:
        return self._patroni is not None and self._patroni.poll() is None

    def kill_postgres(self) -> None:
        """Kill the server and its sessions, which work in its data; Patroni goes on."""
        for process in processes_of(self.folder / "data"):
            with contextlib.suppress(psutil.Error):
                process.kill()

    def kill(self) -> None:
        kill_all(self.folder)

    def freeze(self) -> None:
        for process in processes_of(self.folder):
            with contextlib.suppress(psutil.Error):
                process.suspend()

    def thaw(self) -> None:
        for process in processes_of(self.folder):
            with contextlib.suppress(psutil.Error):
                process.resume()

    def primary_since(self, moment: float) -> float | None:
        """The moment at which it began to accept writes, as `time.monotonic()`, if after `moment`."""
        with contextlib.suppress(OSError, psycopg.Error):
            # the server writes this file when it starts, when it serves as a standby, and last when it is promoted
            age = time.time() - (self.folder / "data/postmaster.pid").stat().st_mtime
            since = time.monotonic() - age
            if since > moment:
                with psycopg.connect(self.url, connect_timeout=2) as connection:
                    return None if connection.execute(_IN_RECOVERY).fetchone() == (True,) else since
        return None


class Cluster:
    """Attributes: folder: of all files. network: the first three parts of its addresses. database: that of the URLs.
    nodes: in the order of the URL's hosts.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = "postgres"
        self._started: list[subprocess.Popen[bytes]] = []
        # of this process, so that two runs on a machine do not meet
        self.network = f"127.{os.getpid() // 250 % 250 + 1}.{os.getpid() % 250 + 1}"
        self.user = plain_user()
        # as that user, who may nevertheless read an interpreter that lies in root's folders
        ids = [f"--reuid={self.user['user']}", f"--regid={self.user['group']}"] if self.user else []
        capabilities = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
        self._plainly = ["setpriv", *ids, "--clear-groups", *capabilities] if self.user else []
        self.own(folder)
        self.nodes = [Node(self, number) for number in (1, 2, 3)]
        for node in self.nodes:
            self.own(node.folder)

    def own(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True, mode=0o700)
        if self.user:
            os.chown(folder, self.user["user"], self.user["group"])

    def start(self, name: str, command: list[str], content: str) -> subprocess.Popen[bytes]:
        """Start a program in a folder of its own, with a configuration file; what it says is in `log` beside it."""
        self.own(self.folder / name)
        file = self.folder / name / "configuration"
        file.write_text(content)
        with (self.folder / name / "log").open("ab") as log:
            program = subprocess.Popen(
                [*self._plainly, *(word.format(file=file, folder=file.parent) for word in command)],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=file.parent,
                # a Ctrl-C in the terminal is for the tests
                start_new_session=True,
            )
        self._started.append(program)
        return program

    def start_etcd(self) -> None:
        urls = [f"http://{self.network}.9:{port}" for port in (2379, 2380)]
        options = [f"--listen-client-urls={urls[0]}", f"--advertise-client-urls={urls[0]}"]
        options += [f"--listen-peer-urls={urls[1]}", f"--initial-advertise-peer-urls={urls[1]}"]
        self.start("etcd", ["etcd", *options, f"--initial-cluster=default={urls[1]}", "--data-dir={folder}/data"], "")

    def kill_etcd(self) -> None:
        kill_all(self.folder / "etcd")

    def start_all(self) -> None:
        self.start_etcd()
        for node in self.nodes:
            node.start()
        front = f"{self.network}.8"
        servers = [f"    server {node.name} {node.address}:5432 check port 8008\n" for node in self.nodes]
        self.start("haproxy", ["haproxy", "-db", "-f", "{file}"], HAPROXY.format(address=front) + "".join(servers))
        # started again, as systemd does: 1.18 ends itself where a cancellation meets the loss of its server
        again = "while :; do pgbouncer {file}; sleep 0.1; done"
        self.start("pgbouncer", ["sh", "-c", again], PGBOUNCER.format(address=front))

    def url(self, route: str, database: str | None = None) -> str:
        """The URL of a database (the test's own): by the list of hosts, or through haproxy, or PgBouncer before it."""
        if route == "hosts":
            hosts = ",".join(f"{node.address}:5432" for node in self.nodes)
            return f"postgresql://postgres@{hosts}/{database or self.database}?target_session_attrs=read-write"
        port = {"haproxy": 5432, "pgbouncer": 6432}[route]
        return f"postgresql://postgres@{self.network}.8:{port}/{database or self.database}"

    def members(self) -> dict[Node, dict[str, Any]]:
        """The cluster as the nodes that answer describe it."""
        for node in self.nodes:
            with contextlib.suppress(httpx.HTTPError):
                members = {
                    member["name"]: member for member in httpx.get(f"{node.api}/cluster", timeout=3).json()["members"]
                }
                return {node: members[node.name] for node in self.nodes if node.name in members}
        return {}

    def with_role(self, role: str) -> Node:
        """The node with the role `leader` or `sync_standby`; fails where none has it."""
        [found] = [node for node, member in self.members().items() if member["role"] == role]
        return found

    def switch_over(self) -> None:
        """Let Patroni make the synchronous standby the primary."""
        roles = {"leader": self.with_role("leader").name, "candidate": self.with_role("sync_standby").name}
        answer = httpx.post(f"{self.with_role('leader').api}/switchover", json=roles, timeout=60)
        assert answer.status_code == 200, answer.text

    def make_primary(self, node: Node) -> None:
        """Switch over until it is the primary."""
        while self.with_role("leader") is not node:
            self.switch_over()
            self.heal()

    def promoted_at(self, moment: float) -> float:
        """Wait until a node accepts writes that did not at `moment`, and return since when it does."""
        found: list[float] = []

        def look() -> bool:
            found.extend(since for node in self.nodes if (since := node.primary_since(moment)))
            return bool(found)

        wait(look, HEALTHY_WITHIN_S, self.logs)
        return found[0]

    def confirmed_at(self) -> float:
        """Wait until a standby confirms a commit of the primary, and return when it did."""
        with psycopg.connect(self.with_role("leader").url) as connection:
            connection.execute("SELECT pg_logical_emit_message(TRUE, 'energy', '')")
        return time.monotonic()

    def is_healthy(self) -> bool:
        """A primary, a synchronous standby and another one that follow it, and every route leads to commits."""
        found = self.members().values()
        if sorted((member["role"], member["state"]) for member in found) != HEALTHY:
            return False
        if len({member.get("timeline") for member in found}) > 1:
            return False
        with contextlib.suppress(psycopg.Error):
            for route in ROUTES:
                with psycopg.connect(self.url(route, "postgres"), connect_timeout=2) as connection:
                    connection.execute("SELECT pg_logical_emit_message(TRUE, 'energy', '')")
            return True
        return False

    def heal(self) -> None:
        """Thaw and start what a test has broken, and wait until all of it works."""
        self.repair()
        wait(self.is_healthy, HEALTHY_WITHIN_S, self.logs)

    def repair(self) -> None:
        if not processes_of(self.folder / "etcd"):
            self.start_etcd()
        for node in self.nodes:
            node.thaw()
            if not node.is_running:
                node.start()

    def end(self) -> None:
        kill_all(self.folder)
        for program in self._started:
            program.wait()

    def logs(self) -> str:
        logs = sorted(self.folder.glob("*/log"))
        return "\n".join(f"{log.parent.name}: {log.read_text(errors='replace')[-2000:]}" for log in logs)


def wait(done: Callable[[], bool], seconds: float, told: Callable[[], object] = str, pause: float = 0.2) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, told()
        time.sleep(pause)


@contextlib.contextmanager
def run_cluster() -> Iterator[Cluster]:
    """A healthy cluster, gone when the block ends; skips by name where a program is not installed."""
    programs()
    missing = [name for name in ("etcd", "haproxy", "pgbouncer") if not shutil.which(name)]
    missing += [] if all(map(importlib.util.find_spec, ("patroni", "etcd"))) else ["patroni[etcd3]"]
    if missing:
        pytest.skip(f"runs a Patroni cluster: {', '.join(missing)} not installed (see CONTRIBUTING.md)")
    folder = Path(tempfile.mkdtemp(prefix="energy-patroni-"))
    cluster = Cluster(folder)
    try:
        cluster.start_all()
        cluster.heal()
        yield cluster
    finally:
        cluster.end()
        shutil.rmtree(folder, ignore_errors=True)
