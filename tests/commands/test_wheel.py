"""The wheel: built from the source distribution, it has all that a service needs, and starts without a checkout."""

from __future__ import annotations

import email
import os
import signal
import subprocess
import sys
import tarfile
import venv
import zipfile
from importlib.metadata import distribution, files, requires, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from service import __version__
from service.embedded import install
from tests.support import ROOT
from tests.support.processes import PLAIN, running


def build(target: str, source: Path, destination: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(destination)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    [built] = destination.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that the source distribution gives, as pip makes it from one."""
    folder = tmp_path_factory.mktemp("wheel")
    with tarfile.open(build("sdist", ROOT, folder / "sdist")) as archive:
        archive.extractall(folder / "source", filter="data")
    [source] = (folder / "source").iterdir()
    return build("wheel", source, folder / "wheel")


def required(wheel: Path) -> set[str]:
    """The packages that a wheel asks for, and those that they ask for: what pip would install with it."""
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        asked = email.message_from_bytes(archive.read(name)).get_all("Requires-Dist", [])
    found: set[tuple[str, str]] = set()
    left = [(Requirement(each), "") for each in asked]
    while left:
        requirement, extra = left.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        assert version(name) in requirement.specifier
        for wanted in {"", *requirement.extras}:
            if (name, wanted) not in found:
                found.add((name, wanted))
                left += [(Requirement(each), wanted) for each in requires(name) or []]
    return {name for name, _ in found}


def empty_environment(folder: Path, packages: set[str]) -> Path:
    """A virtual environment with these packages only, linked from the suite's own, so that no index is asked."""
    venv.create(folder, with_pip=False, symlinks=True)
    [site] = folder.glob("lib/python*/site-packages")
    for package in packages:
        for name in {file.parts[0] for file in files(package) or []} - {"..", "__pycache__"}:
            (site / name).symlink_to(distribution(package).locate_file(name))
    return site


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
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if not name.endswith("/")}
    expected = tracked("service") | {f"service/{name}" for name in tracked("sql")}
    assert {name for name in found if ".dist-info/" not in name} == expected


def test_energy_of_a_wheel_serves_in_an_environment_with_what_it_asks_for_and_nothing_else(
    wheel: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    site = empty_environment(tmp_path / "empty", required(wheel))
    assert not (site / "pytest").exists()
    python, energy = tmp_path / "empty/bin/python", tmp_path / "empty/bin/energy"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--no-index", "--no-deps", "--no-compile", "-q", wheel], check=True)
    told = subprocess.run([energy, "--version"], env=PLAIN, check=True, capture_output=True, text=True)
    assert told.stdout == f"energy, version {__version__}\n"
    # the embedded database from npm as it is; pip makes the files before npm does
    (site / "service/embedded/node_modules").symlink_to(install.HERE / "node_modules")
    os.utime(site / "service/embedded/package-lock.json", (0, 0))
    with running(environment, "--migrate", energy=[str(energy)]) as service:
        assert service.get("/health/ready").status_code == 200
        assert service.post_meter("M1").status_code == 201
        assert service.get("/").text.startswith("<!doctype html>")
        assert service.get("/dashboard/uPlot.esm.js").status_code == 404
        assert service.stop(signal.SIGTERM) == (0, "")
    assert not (site / "service/dashboard/node_modules").exists()
