"""The wheel: built from the source distribution, it has all that a service needs, and nothing of a checkout."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from service.database.migrations import SQL_DIR
from service.embedded import install
from tests.support import ROOT
from tests.support.processes import running


def build(target: str, source: Path, destination: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(destination)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    [built] = destination.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the wheel installs."""
    folder = tmp_path_factory.mktemp("wheel")
    with tarfile.open(build("sdist", ROOT, folder / "sdist")) as archive:
        archive.extractall(folder / "source", filter="data")
    [source] = (folder / "source").iterdir()
    with zipfile.ZipFile(build("wheel", source, folder / "wheel")) as archive:
        archive.extractall(folder / "installed")  # noqa: S202 - one of ours
    return folder / "installed"


def tracked(*folders: str) -> set[str]:
    """The files of a checkout that Git knows."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *folders],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return set(listed.stdout.split())


def test_the_wheel_has_every_file_of_the_package_and_the_sql_within_it(wheel: Path) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("needs a checkout")
    found = {path.relative_to(wheel).as_posix() for path in wheel.rglob("*") if path.is_file()}
    expected = tracked("service") | {f"service/{name}" for name in tracked("sql")}
    assert {name for name in found if ".dist-info/" not in name} == expected


def test_energy_serve_of_a_wheel_serves_with_its_own_sql_and_installs_nothing(
    wheel: Path, environment: dict[str, str]
) -> None:
    # the embedded database from npm as it is; pip makes the files before npm does, and zipfile makes them now
    embedded = wheel / "service/embedded"
    (embedded / "node_modules").symlink_to(install.HERE / "node_modules")
    os.utime(embedded / "package-lock.json", (0, 0))
    environment = {**environment, "PYTHONPATH": str(wheel)}
    found = subprocess.run(
        [sys.executable, "-c", "from service.database.migrations import SQL_DIR; print(SQL_DIR)"],
        env=environment,
        cwd=wheel,
        check=True,
        capture_output=True,
        text=True,
    )
    assert Path(found.stdout.strip()) == wheel / "service/sql" != SQL_DIR
    with running(environment, "--migrate") as service:
        assert service.get("/health/ready").status_code == 200
        assert service.post_meter("M1").status_code == 201
        assert service.get("/").text.startswith("<!doctype html>")
        assert service.get("/dashboard/uPlot.esm.js").status_code == 404
        assert service.stop(signal.SIGTERM) == (0, "")
    assert not (wheel / "service/dashboard/node_modules").exists()
