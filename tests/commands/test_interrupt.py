"""Ctrl-C is quiet: exit status 130, and no traceback, whatever the command waits for."""

import os
import pty
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.cli import cli
from tests.support.processes import ENERGY, PLAIN, free_port, running

ARGUMENTS = {
    "alerts": ["list"],
    "archive": ["run"],
    "import": ["readings.csv"],
    "keys": ["list"],
    "prices": ["list"],
    "rejected": ["list"],
    "time-zone": ["UTC"],
}
NAMES = sorted(cli.commands.keys() - {"demo"})
"""Every command, and one of each group; the demonstration has no other database than its own."""


@pytest.fixture
def silent_server() -> Iterator[socket.socket]:
    """A server that answers nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        yield listener


def environment_of(listener: socket.socket, folder: Path) -> dict[str, str]:
    (folder / "readings.csv").write_text("meterId,kwhConsumedAc,voltage,timestamp\nM1,0.1,230,2026-02-08T18:00:00Z\n")
    url = f"postgresql://127.0.0.1:{listener.getsockname()[1]}/energy"
    return {**PLAIN, "DATABASE_URL": url, "PORT": str(free_port()), "ENERGY_ARCHIVE": str(folder / "archive")}


def command_of(name: str, listener: socket.socket) -> list[str]:
    url = ["--url", f"http://127.0.0.1:{listener.getsockname()[1]}"]
    return [*ENERGY, name, *(url if name == "simulate" else ARGUMENTS.get(name, []))]


@pytest.mark.parametrize("name", NAMES)
def test_a_command_that_waits_for_its_server_ends_quietly(
    silent_server: socket.socket, tmp_path: Path, name: str
) -> None:
    process = subprocess.Popen(
        command_of(name, silent_server),
        cwd=tmp_path,
        env=environment_of(silent_server, tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with silent_server.accept()[0]:
        process.send_signal(signal.SIGINT)
        printed = process.communicate(timeout=30)
    said = "energy: interrupted; the same command continues after the last stored rows" if name == "import" else ""
    assert (process.returncode, "".join(printed).strip()) == (130, said)


def test_ctrl_c_on_a_terminal_ends_it_quietly_too(silent_server: socket.socket, tmp_path: Path) -> None:
    environment = environment_of(silent_server, tmp_path)
    child, terminal = pty.fork()
    if not child:
        os.execve(ENERGY[0], command_of("doctor", silent_server), environment)  # noqa: S606 - the child of the fork
    with silent_server.accept()[0]:
        os.write(terminal, b"\x03")
        _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 130
    assert os.read(terminal, 1000).strip() in {b"^C", b""}
    os.close(terminal)


def test_serve_listens_where_its_options_say_before_the_settings(data_folder: dict[str, str]) -> None:
    port = free_port()
    environment = {**data_folder, "HOST": "192.0.2.1", "PORT": str(free_port())}
    with running(environment, "--host", "127.0.0.1", "--port", str(port)) as service:
        assert service.lines[1] == f"serving   http://127.0.0.1:{port}"
        assert service.stop(signal.SIGINT) == (0, "")
