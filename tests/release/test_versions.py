"""One version, one Python, and a changelog in releases: the steps of RELEASING.md do what they say."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from service import __version__
from tests.support import ROOT
from tests.support.processes import run
from tests.support.releases import releases

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
RELEASING = (ROOT / "RELEASING.md").read_text()
SECURITY = (ROOT / "SECURITY.md").read_text()
NAMES_THE_VERSION = (
    "deploy/README.md",
    "deploy/kubernetes/admin/pod.yaml",
    "deploy/kubernetes/overlays/production/kustomization.yaml",
)
"""Files that name the version of the image."""
SUBSECTIONS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def blocks(changelog: str) -> dict[str, str]:
    """The blocks of a changelog by their headings, in order."""
    parts = re.split(r"^## (.+)\n", changelog, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def versions_in(folder: Path) -> set[str]:
    """The versions that the files of a checkout give this project."""
    found = set(re.findall(r'^version = "(.*)"$', (folder / "pyproject.toml").read_text(), re.MULTILINE))
    for name in NAMES_THE_VERSION:
        named = re.findall(r"(?:ingestion-engine:|newTag: )([\d.]*\d)", (folder / name).read_text())
        assert named, name
        found.update(named)
    return found


def test_every_place_has_the_version_of_pyproject() -> None:
    assert versions_in(ROOT) == {PROJECT["version"]} == {__version__}
    result = run("--version")
    assert (result.returncode, result.stdout) == (0, f"energy, version {PROJECT['version']}\n")


def test_the_image_is_labelled_with_the_version_and_the_commit() -> None:
    made = subprocess.run(["make", "-n", "image"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert f"--label org.opencontainers.image.version={PROJECT['version']} " in made
    assert re.search(r"--label org\.opencontainers\.image\.revision=[0-9a-f]{40} ", made)
    assert f"-t energy-ingestion-engine:{PROJECT['version']} ." in made


def test_the_image_has_the_python_that_the_suite_runs_on_and_the_package_names_it() -> None:
    [image] = re.findall(
        r"^FROM python:(\d+\.\d+)-slim(?:@sha256:[0-9a-f]{64})?$", (ROOT / "Dockerfile").read_text(), re.M
    )
    named = [each for each in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", each)]
    assert named == [f"Programming Language :: Python :: {image}"]
    assert image in SpecifierSet(PROJECT["requires-python"])
    # what is oldest is locked for, and checked by ruff
    assert PROJECT["requires-python"] == f">={image}"
    assert f"--python-version {image} " in (ROOT / "Makefile").read_text()
    running = "{}.{}".format(*sys.version_info)
    if running != image and not os.environ.get("CI"):
        pytest.skip(f"this run is on Python {running}; .ci/run and the image have {image}")
    assert running == image


def test_the_changelog_is_in_releases_each_with_its_day_and_its_known_subsections() -> None:
    unreleased, *released = blocks(CHANGELOG)
    assert unreleased == "Unreleased"
    headings = [re.fullmatch(r"(\d+\.\d+\.\d+) - (\d{4}-\d\d-\d\d)", heading) for heading in released]
    assert all(headings), released
    found = [(Version(heading[1]), heading[2]) for heading in headings if heading]
    assert all(newer > older for newer, older in pairwise(found))
    assert not found or found[0][0] == Version(PROJECT["version"])
    for heading, text in blocks(CHANGELOG).items():
        assert set(re.findall(r"^### (.+)$", text, re.MULTILINE)) <= SUBSECTIONS, heading
    if blocks(CHANGELOG)["Unreleased"].strip():  # work on the next one has begun
        assert {str(version) for version, _ in found} <= {release.version for release in releases()}


def test_the_step_of_the_version_makes_unreleased_a_release_and_changes_every_place(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "CHANGELOG.md", *NAMES_THE_VERSION):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    [step] = re.findall(r"```sh\n(VERSION=.*?)```", RELEASING, re.DOTALL)
    assert step.startswith(f"VERSION={PROJECT['version']}\n")
    step = step.replace(PROJECT["version"], "98.7.6", 1)
    subprocess.run(["bash", "-euc", step], cwd=tmp_path, check=True)
    assert versions_in(tmp_path) == {"98.7.6"}
    before, after = blocks(CHANGELOG), blocks((tmp_path / "CHANGELOG.md").read_text())
    assert after["Unreleased"].strip() == ""
    [made] = [heading for heading in after if heading not in before]
    assert re.fullmatch(r"98\.7\.6 - \d{4}-\d\d-\d\d", made)
    assert list(after) == ["Unreleased", made, *list(before)[1:]]
    assert after[made].strip() == before["Unreleased"].strip() != ""


def test_the_policy_of_security_covers_this_version() -> None:
    minor = ".".join(PROJECT["version"].split(".")[:2])
    assert re.search(rf"^\| {re.escape(minor)} \| until ", SECURITY, re.MULTILINE)
