"""A PostgreSQL server of the tests' own, to be killed, stopped and filled: from `PG_BIN`, in a temporary folder."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from tests.support.processes import free_port

OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "shared_preload_libraries": "timescaledb",
    "timescaledb.telemetry_level": "off",
    "shared_buffers": "128MB",
    "min_wal_size": "32MB",
    "max_wal_size": "64MB",
    "log_min_messages": "warning",
}
START_TIMEOUT_S = 60.0


class Server:
    """A cluster in `folder`, and its processes while it runs; a standby, if it is made `of` another."""

    def __init__(self, programs: Path, folder: Path, of: Server | None = None, **options: str) -> None:
        self._programs = programs
        self.data = folder / "data"
        self._log = folder / "server.log"
        self._as = plain_user()
        if self._as:
            os.chown(folder, self._as["user"], self._as["group"])
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        self.options: dict[str, object] = {**OPTIONS, **options, "port": self.port}
        self._of = of
        self._make()

    def _make(self) -> None:
        """Make the files of the cluster."""
        if self._of is None:
            self._run("initdb", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
        else:
            place = ("-h", "127.0.0.1", "-p", str(self._of.port), "-U", "postgres")
            self._run("pg_basebackup", *place, "-X", "stream", "-c", "fast", "-R", "--no-sync")

    def _run(self, program: str, *arguments: str) -> None:
        """Run a program on the files of the cluster."""
        command = [self._programs / program, "-D", self.data, *arguments]
        subprocess.run(command, check=True, capture_output=True, cwd=self.data.parent, **self._as)

    def start(self) -> None:
        options = [f"--{name}={value}" for name, value in self.options.items()]
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    [self._programs / "postgres", "-D", self.data, "-k", self.data, *options],
                    stdout=log,
                    stderr=log,
                    stdin=subprocess.DEVNULL,
                    cwd=self.data.parent,
                    # a Ctrl-C in the terminal is for the tests
                    start_new_session=True,
                    **self._as,
                )
            while self._process.poll() is None:
                with contextlib.suppress(psycopg.OperationalError), psycopg.connect(self.url):
                    return
                assert time.monotonic() < deadline, self.log()
                time.sleep(0.05)
            # what is left of a killed one holds its memory for a moment
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.1)

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def processes(self) -> list[psutil.Process]:
        if self._process is None:
            return []
        with contextlib.suppress(psutil.NoSuchProcess):
            server = psutil.Process(self._process.pid)
            return [server, *server.children(recursive=True)]
        return []

    def kill(self) -> None:
        """As the end of a machine: no process of it has another moment."""
        processes = self.processes()
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        psutil.wait_procs(processes[1:], timeout=10)
        if self._process is not None:
            self._process.wait(10)

    def stop(self) -> None:
        """A fast shutdown: what is under way is rolled back."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        self._process.wait(60)

    def promote(self) -> None:
        """Make a standby the primary; it accepts writes when this returns."""
        self.execute("SELECT pg_promote()")

    def follow(self, primary: Server) -> None:
        """Start again as a standby of `primary`, after an orderly stop."""
        signal_file = self.data / "standby.signal"
        signal_file.touch()
        os.chown(signal_file, self.data.stat().st_uid, self.data.stat().st_gid)
        with (self.data / "postgresql.auto.conf").open("a") as settings:
            settings.write(f"primary_conninfo = 'host=127.0.0.1 port={primary.port} user=postgres'\n")
        self.start()

    def replicate_synchronously(self) -> None:
        """Let commits wait for a standby, and wait until there is one."""
        self.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        self.execute("SELECT pg_reload_conf()")
        deadline = time.monotonic() + START_TIMEOUT_S
        while self.execute("SELECT FROM pg_stat_replication WHERE sync_state = 'sync'") == 0:
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.05)

    def execute(self, statement: str) -> int:
        """Run a statement as a superuser, and return the number of its rows."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(statement).rowcount

    def freeze(self) -> None:
        for process in self.processes():
            process.suspend()

    def thaw(self) -> None:
        for process in reversed(self.processes()):
            process.resume()

    def log(self) -> str:
        return self._log.read_text(errors="replace")[-2000:]


def programs() -> Path:
    """The folder of `PG_BIN`; skips where it is not set."""
    if not (found := os.environ.get("PG_BIN")):
        pytest.skip("breaks a database server: set PG_BIN to the bin folder of a PostgreSQL with TimescaleDB")
    return Path(found)


def plain_user() -> dict[str, Any]:
    """Options of `Popen` to run as `FAULTS_USER`, as PostgreSQL refuses to run as root; none for other users."""
    if os.geteuid():
        return {}
    user = pwd.getpwnam(os.environ.get("FAULTS_USER", "nobody"))
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


@contextlib.contextmanager
def run_server(folder: Path | None = None, *, of: Server | None = None, **options: str) -> Iterator[Server]:
    """A running server or standby, gone when the block ends; its files in `folder`, or in a temporary one."""
    where = folder or Path(tempfile.mkdtemp(prefix="energy-faults-"))
    server = None
    try:
        server = Server(programs(), where, of, **options)
        server.start()
        yield server
    finally:
        if server is not None:
            server.kill()
        if folder is None:
            shutil.rmtree(where, ignore_errors=True)


@contextlib.contextmanager
def small_disk(mebibytes: int) -> Iterator[Path]:
    """A file system of its own of that size; skips where that is not permitted."""
    folder = Path(tempfile.mkdtemp(prefix="energy-disk-"))
    options = ["-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", folder]
    try:
        if os.geteuid() or subprocess.run(["mount", *options], capture_output=True, check=False).returncode:
            pytest.skip("fills a disk: needs the right to mount a tmpfs")
        try:
            yield folder
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)
    finally:
        folder.rmdir()
