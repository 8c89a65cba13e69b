"""`energy` as processes: commands that run to their end, and a service that runs while a test lasts."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import pytest

from tests.support import TestDatabase, meter_reading
from tests.support.forked import PRELOADED, run_command

ENERGY = [sys.executable, "-m", "service.cli"]
ELSEWHERE = tempfile.mkdtemp()  # not the repository: a developer's .env there is not for tests
PLAIN = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # a shell that runs the tests in the background has it ignored, and what is started here would inherit that
    signal.signal(signal.SIGINT, signal.default_int_handler)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Service:
    """A running `energy serve` of a test."""

    def __init__(self, environment: dict[str, str], *arguments: str, energy: Sequence[str] = ENERGY) -> None:
        self.port = int(environment.get("PORT") or free_port())
        self.process = subprocess.Popen(
            [*energy, "serve", *arguments],
            cwd=ELSEWHERE,
            env={**PLAIN, **environment, "PORT": str(self.port)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.lines = [self.process.stdout.readline().rstrip("\n") for _ in range(3)]
        if not self.lines[2]:
            self.process.kill()
            pytest.fail(f"it did not start: {self.process.communicate()[1]}")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=30)

    def post_meter(self, meter: str) -> httpx.Response:
        return httpx.post(f"http://127.0.0.1:{self.port}/v1/ingest/meter", json=meter_reading(meter), timeout=30)

    def stop(self, signal_number: int) -> tuple[int, str]:
        """Send the signal, and return exit status and what was said on standard error."""
        self.process.send_signal(signal_number)
        _, stderr = self.process.communicate(timeout=30)
        return self.process.returncode, stderr

    def children(self) -> list[int]:
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [int(pid) for task in tasks for pid in task.read_text().split()]


@contextlib.contextmanager
def running(environment: dict[str, str], *arguments: str, energy: Sequence[str] = ENERGY) -> Iterator[Service]:
    """Run `energy serve`, of another installation if `energy` is how that one is started."""
    service = Service(environment, *arguments, energy=energy)
    try:
        yield service
    finally:
        service.process.kill()
        service.process.communicate()


_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(PRELOADED)


def run(
    *arguments: str, directory: str | Path = ELSEWHERE, on: TestDatabase | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, in a forked process that has its libraries imported already.

    It uses the database `on`, which runs already, else that of the environment.
    """
    if on is not None and not on.is_embedded:
        environment["DATABASE_URL"] = on.url
    embedded = on.url if on is not None and on.is_embedded else None
    with tempfile.TemporaryDirectory() as folder:
        output, errors = outputs = Path(folder) / "stdout", Path(folder) / "stderr"
        process = _FORKS.Process(
            target=run_command, args=(list(arguments), directory, {**PLAIN, **environment}, outputs, embedded)
        )
        process.start()
        process.join(60)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(arguments, 60, errors.read_bytes())
        status = process.exitcode
        process.close()
        return subprocess.CompletedProcess(arguments, status, output.read_text(), errors.read_text())


def assert_one_plain_line(result: subprocess.CompletedProcess[str], *words: str) -> None:
    assert result.returncode == 1, result
    assert re.fullmatch(r"energy: .+\n", result.stderr), result.stderr
    for word in words:
        assert word in result.stderr
    assert result.stdout == ""


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 15
    while Path(f"/proc/{pid}").exists() and "State:\tZ" not in Path(f"/proc/{pid}/status").read_text():
        assert time.monotonic() < deadline, f"process {pid} is still there"
        time.sleep(0.05)
