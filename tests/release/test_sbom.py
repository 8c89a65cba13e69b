"""`make sbom`: the packages of the lock files, each with its version, in a format that scanners read."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from service import __version__
from tests.support import ROOT


def test_the_software_bill_of_materials_has_every_locked_package(tmp_path: Path) -> None:
    if not (ROOT / ".venv-release/ready").exists():
        pytest.skip("needs the tools of a release: make sbom")
    subprocess.run(["make", "-s", "sbom", f"SBOM={tmp_path}/sbom"], cwd=ROOT, check=True, capture_output=True)
    bills = {path.name.split(".")[0]: json.loads(path.read_text()) for path in (tmp_path / "sbom").iterdir()}
    assert {bill["bomFormat"] for bill in bills.values()} == {"CycloneDX"}
    assert {bill["metadata"]["component"]["version"] for bill in bills.values()} == {__version__}
    listed = {
        name: {(f"{each.get('group', '')}/{each['name']}".strip("/"), each["version"]) for each in bill["components"]}
        for name, bill in bills.items()
    }
    pins = re.findall(r"^([\w.-]+)==([\w.!+-]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert listed.pop("service") == set(pins)
    for part, found in listed.items():
        packages = json.loads((ROOT / f"service/{part}/package-lock.json").read_text())["packages"]
        assert found == {(path.split("node_modules/")[-1], each["version"]) for path, each in packages.items() if path}
    assert set(listed) == {"dashboard", "embedded"}
