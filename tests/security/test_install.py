"""Packages of npm: none of them runs a script of its own while it is installed."""

import subprocess
from pathlib import Path

import pytest

from service.embedded import install
from tests.support import ROOT


def test_the_service_installs_locked_packages_without_their_scripts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    commands: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(install.subprocess, "run", run)
    (tmp_path / "package-lock.json").touch()
    install._ensure_packages(tmp_path / "node", tmp_path, "a part")
    [command] = commands
    assert command[command.index("ci") :] == ["ci", "--ignore-scripts", "--prefix", str(tmp_path)]


def test_the_image_installs_locked_packages_without_their_scripts() -> None:
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if "npm" in line.split()]
    assert lines == ["RUN npm ci --ignore-scripts"]
