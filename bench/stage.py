"""Stage of a measurement: a fresh database, a server on it, a load, and figures of the processes."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil  # type: ignore[import-untyped]
import psycopg

from service.errors import StartupError
from service.settings import load_settings
from service.startup import prepared_database
from tests.support import fresh_database
from tests.support.processes import free_port

SERVICE = ("service.cli", "serve")
READINGS_LUA = Path(__file__).parent / "readings.lua"
READS_LUA = Path(__file__).parent / "reads.lua"
MEBIBYTE = 1024 * 1024


class Load(msgspec.Struct, frozen=True):
    """Result of wrk; times in microseconds."""

    requests: int
    duration: int
    errors: int
    p50: int
    p99: int
    p999: int

    @property
    def rate(self) -> float:
        """Return the requests/s."""
        return self.requests / self.duration * 1e6


class Stage:
    """A fresh, migrated database, and the processes on it.

    Attributes:
        server_url: of its server, for another stage; None for the embedded database.
        url: of the database on a server; None for the embedded one.
        folder: for files; deleted at the end.
        load_cores: wrk has these processor cores to itself, and servers run on all others; empty for no such rule.
    """

    def __init__(self, server_url: str | None, url: str | None, folder: Path) -> None:
        self.server_url = server_url
        self.url = url
        self.folder = folder
        where = {"DATABASE_URL": url} if url else {"DATABASE_URL": "", "ENERGY_DATA_DIR": str(folder / "data")}
        port = free_port()
        self.environment = {**os.environ, **where, "PORT": str(port), "ENERGY_LOG_LEVEL": "error"}
        self.address = f"http://127.0.0.1:{port}"
        self.load_cores: frozenset[int] = frozenset()
        self._fleets = 0

    def run(self, *command: str) -> str:
        """Run `python -m` with these arguments, and return its output.

        Raises:
            StartupError: its exit status is not 0.
        """
        arguments = [sys.executable, "-m", *command]
        result = subprocess.run(arguments, env=self.environment, capture_output=True, text=True, check=False)
        if result.returncode:
            raise StartupError(f"{' '.join(command)} failed: {(result.stderr or result.stdout).strip()[-500:]}")
        return result.stdout

    @contextlib.contextmanager
    def serving(self, *command: str, **settings: str) -> Iterator[psutil.Process]:
        """Run `python -m` with these arguments until the block ends, and return its process once it serves.

        `settings` are further environment variables.
        """
        cores = frozenset(range(os.cpu_count() or 1)) - self.load_cores
        arguments = [*self._on(cores), sys.executable, "-m", *command]
        environment = self.environment | settings
        process = subprocess.Popen(arguments, env=environment, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        try:
            while not (line := process.stdout.readline()).startswith("serving"):
                if not line:
                    raise StartupError(f"{' '.join(command)} did not start (exit {process.wait()})")
            yield psutil.Process(process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)

    @contextlib.contextmanager
    def connection(self) -> Iterator[psycopg.Connection]:
        """Open a connection with every right; on the embedded database, only while nothing else runs."""
        with (
            prepared_database(load_settings(self.environment)) as prepared,
            psycopg.connect(prepared.url, autocommit=True) as connection,
        ):
            # the embedded database has one session for all connections
            connection.execute("RESET ROLE; SET search_path = public")
            yield connection

    def wrk(self, path: str, *, seconds: int, connections: int, readings: int = 1, token: str = "") -> Load:
        """Post new readings at full speed over kept connections, with an API key if a token is given."""
        self._fleets += 1
        start = int(time.time()) // 86_400 * 86_400 - 86_400
        arguments = (f"B{self._fleets}-", str(start), str(readings), token)
        return self._run_wrk(READINGS_LUA, self.address + path, seconds, connections, *arguments)

    def get(self, path: str, *, devices: int, seconds: int, connections: int) -> Load:
        """Get `path` at full speed over kept connections; `%s` in it is the number of each device in turn."""
        return self._run_wrk(READS_LUA, self.address, seconds, connections, path, str(devices))

    def _on(self, cores: frozenset[int]) -> list[str]:
        """Return the beginning of a command that runs on these cores, if the load has cores to itself."""
        return ["taskset", "--cpu-list", ",".join(map(str, sorted(cores)))] if self.load_cores else []

    def _run_wrk(self, script: Path, url: str, seconds: int, connections: int, *arguments: str) -> Load:
        if shutil.which("wrk") is None:
            raise StartupError("wrk is needed to make the load: install it (Debian and Ubuntu: apt-get install wrk)")
        options = ["-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", str(script)]
        command = [*self._on(self.load_cores), "wrk", *options, url, "--", *arguments]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
        return msgspec.json.decode(result.stdout.splitlines()[-1], type=Load)

    def service_processes(self, service: psutil.Process) -> list[psutil.Process]:
        """Return the processes of the service: its workers with it, but not the embedded database."""
        return [service, *service.children(recursive=True)] if self.url else [service]

    def database_processes(self, service: psutil.Process) -> list[psutil.Process]:
        """Return the processes of the database: the embedded one, or a server's on this machine, else none."""
        if self.url is None:
            children: list[psutil.Process] = service.children(recursive=True)
            return children
        with psycopg.connect(self.url) as connection, contextlib.suppress(psutil.Error):
            backend = psutil.Process(connection.info.backend_pid)
            server = backend.parent()
            if server and "postgres" in backend.name():
                return [server, *server.children()]
        return []


@contextlib.contextmanager
def fresh_stage(server_url: str | None) -> Iterator[Stage]:
    """Make a migrated database, on the server or embedded; it is dropped when the block ends."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="energy-bench-")))
        stage = Stage(server_url, stack.enter_context(fresh_database(server_url)) if server_url else None, folder)
        stage.run("service.cli", "migrate")
        yield stage


def rest_jobs(connection: psycopg.Connection) -> None:
    """Let the jobs of the database rest, so that their processor time is not measured."""
    connection.execute("SELECT alter_job(job_id, scheduled => FALSE) FROM timescaledb_information.jobs")


def cpu_seconds(processes: list[psutil.Process]) -> float:
    """Return the processor time used so far, by these processes and their children that have ended."""
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def resident(processes: list[psutil.Process]) -> float | None:
    """Return the memory in MiB, with shared memory divided (proportional set size); None if it is invisible."""
    total = 0
    for process in processes:
        try:
            total += process.memory_full_info().pss if len(processes) > 1 else process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
        except psutil.AccessDenied:
            return None
    return total / MEBIBYTE
