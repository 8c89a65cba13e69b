"""Embedded TimescaleDB, for trials and tests, used without `DATABASE_URL`.

It is PostgreSQL with TimescaleDB as WebAssembly in a Node.js process, on a private Unix socket. It has one session:
every connection shares it, role included, and transactions of two connections must not interleave. It survives the
death of its process but not that of the machine, as it does not flush to disk.
"""

from __future__ import annotations

import contextlib
import fcntl
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO
from urllib.parse import quote

from service.embedded.install import LAUNCHER, ensure_installed
from service.errors import StartupError

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 15.0
LOCK_TIMEOUT_S = 10.0


class InUseError(StartupError):
    """Another process, most likely a running service, uses these files."""


class EmbeddedDatabase:
    """A running embedded database.

    Attributes:
        url: address of its socket; the password is a formality.
        process: the Node process.
        log: the file with its output.
    """

    def __init__(self, url: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.url = url
        self.process = process
        self.log = log


@contextlib.contextmanager
def run_embedded(data_dir: Path, *, patience_s: float | None = None) -> Iterator[EmbeddedDatabase]:
    """Run the embedded database on the files in `data_dir` (created if absent) until the block ends.

    It waits `patience_s` seconds for another process to release them, by default `LOCK_TIMEOUT_S`.

    Raises:
        InUseError: another process uses these files.
        StartupError: the database does not start.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StartupError(f"ENERGY_DATA_DIR {str(data_dir)[:64]} cannot be used: {error.strerror}") from error
    log = data_dir / "database.log"
    socket_dir = Path(tempfile.mkdtemp(prefix="energy-"))  # mode 0700, and short: a socket's path is limited
    try:
        node = ensure_installed()
        with _locked(data_dir / "lock", patience_s) as lock, log.open("ab") as log_file:
            process = subprocess.Popen(
                # without the optimizing compiler: a start takes half the time, and a busy database runs a fifth slower
                [node, "--liftoff-only", LAUNCHER, data_dir.resolve() / "pgdata", socket_dir / ".s.PGSQL.5432"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,  # select() below must see every line
                stderr=log_file,
                # the lock lasts until both processes are gone; Ctrl-C in the terminal reaches this process only
                pass_fds=[lock.fileno()],
                start_new_session=True,
            )
            try:
                _wait_until_ready(process, log)
                url = f"postgresql://postgres:embedded@/postgres?host={quote(str(socket_dir))}&sslmode=disable"
                yield EmbeddedDatabase(url, process, log)
            finally:
                _stop(process)
    finally:
        shutil.rmtree(socket_dir, ignore_errors=True)


@contextlib.contextmanager
def _locked(path: Path, patience_s: float | None) -> Iterator[IO[str]]:
    """Hold the lock of a data folder; a killed predecessor gets a moment to end."""
    with path.open("w") as lock:
        deadline = time.monotonic() + (LOCK_TIMEOUT_S if patience_s is None else patience_s)
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise InUseError(
                        f"the embedded database in {path.parent} is in use by another process: "
                        "stop that one, or set ENERGY_DATA_DIR to another folder"
                    ) from None
                time.sleep(0.1)
        yield lock


def _wait_until_ready(process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait for the launcher's `ready`; its other output goes to the log."""
    assert process.stdout is not None  # noqa: S101
    killer_at = time.monotonic() + START_TIMEOUT_S
    with log.open("ab") as log_file:
        while select.select([process.stdout], [], [], max(0.0, killer_at - time.monotonic()))[0]:
            line = process.stdout.readline()
            if line == b"ready\n":
                return
            if not line:
                break
            log_file.write(line)
    raise StartupError(f"the embedded database did not start: see {log}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Shut the database down in order; kill it after `STOP_TIMEOUT_S`."""
    assert process.stdin is not None  # noqa: S101
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
