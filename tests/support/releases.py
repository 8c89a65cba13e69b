"""Earlier releases, as they were: `tests/upgrade/releases.txt` names the commit of each."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import ROOT

LIST = ROOT / "tests/upgrade/releases.txt"
_EMBEDDED = """
import contextlib, os, sys
from importlib import import_module
from service import cli, startup

@contextlib.contextmanager
def running(*_, **__):
    yield startup.Prepared(os.environ["TEST_EMBEDDED_URL"], "embedded TimescaleDB", object())

startup.prepared_database = running
for command in cli.COMMANDS:
    module = import_module(command._place.partition(":")[0])
    if hasattr(module, "prepared_database"):
        module.prepared_database = running
cli.main()
"""
"""`energy` of a release on an embedded database that runs already, which has one connection."""
_CALLS = """
import json
from service.database import calls

def statements(value):
    if isinstance(value, str):
        return [value] if "api." in value and value.split()[0] in ("SELECT", "WITH") else []
    if isinstance(value, dict):
        value = value.values()
    elif hasattr(value, "query"):
        value = [text for text in vars(value).values() if isinstance(text, str)]
    elif not isinstance(value, (list, tuple, set, frozenset)):
        return []
    return [statement for each in value for statement in statements(each)]

print(json.dumps(sorted(set(statements({k: v for k, v in vars(calls).items() if not k.startswith("_")})))))
"""
"""Prints the SQL calls of a release's service."""


@dataclass(frozen=True)
class Release:
    """A release: its version, and the commit that it was made of."""

    version: str
    commit: str

    def __str__(self) -> str:
        return self.version

    def check_out(self, folder: Path) -> Code:
        """Write its code into a folder."""
        if subprocess.run(
            ["git", "cat-file", "-e", self.commit], cwd=ROOT, capture_output=True, check=False
        ).returncode:
            pytest.skip(f"the commit of {self.version} is not in this clone: git fetch --unshallow")
        command = ["git", "archive", self.commit, "service", "sql"]
        packed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(folder, filter="data")
        return Code(folder)


@dataclass(frozen=True)
class Code:
    """The code of a release in a folder, run with the packages of today."""

    folder: Path

    def environment(self, **settings: str) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONPATH": str(self.folder), **settings}

    def run(self, *arguments: str, **settings: str) -> str:
        """Run `energy`; on an embedded database that runs, which TEST_EMBEDDED_URL names."""
        program = ["-c", _EMBEDDED] if "TEST_EMBEDDED_URL" in settings else ["-m", "service.cli"]
        return self._python(*program, *arguments, **settings)

    def calls(self) -> list[str]:
        """List the SQL calls of its service."""
        found: list[str] = json.loads(self._python("-c", _CALLS))
        return found

    def _python(self, *arguments: str, **settings: str) -> str:
        result = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=self.environment(**settings),
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        assert result.returncode == 0, result.stderr
        return result.stdout


def releases() -> list[Release]:
    """The releases that this version is upgraded from, oldest first."""
    lines = [line.split() for line in LIST.read_text().splitlines() if line and not line.startswith("#")]
    return [Release(version, commit) for version, commit in lines]
