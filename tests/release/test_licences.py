"""docs/licences.md has every package that a service installs, and none whose licence is not allowed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from docs import generate_licences
from docs.generate_licences import Package, is_allowed
from tests.support import ROOT

PAGE = (ROOT / "docs/licences.md").read_text()


def test_the_page_is_what_the_lock_files_say() -> None:
    python, npm = generate_licences.python_packages(), generate_licences.npm_packages()
    assert generate_licences.replace(PAGE, python, npm) == PAGE, "run: make licences"
    assert all(is_allowed(each.licence) for each in python + npm)


def test_every_locked_package_of_a_service_is_on_the_page() -> None:
    locked = set()
    for lock in ("requirements.lock", "service/embedded/requirements-node.lock"):
        locked |= {
            tuple(line.split()[0].split("==")) for line in (ROOT / lock).read_text().splitlines() if "==" in line
        }
    for lock in ROOT.glob("service/*/package-lock.json"):
        packages = json.loads(lock.read_text())["packages"]
        locked |= {(path.split("node_modules/")[1], each["version"]) for path, each in packages.items() if path}
    listed = re.findall(r"^\| (\S+) \| (\S+) \| [^|]+ \|$", PAGE, re.MULTILINE)
    assert len(locked) > 50
    assert set(listed) == locked | {("package", "version")}
    allowed = re.findall(r"^Allowed are (.+?)\. ", PAGE, re.MULTILINE)
    assert set(re.split(r", | and ", allowed[0])) == generate_licences.ALLOWED


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [
        ("MIT", True),
        ("Apache-2.0 AND MIT", True),
        ("GPL-3.0-only OR MIT", True),
        ("(GPL-3.0-only OR MIT) AND ISC", True),
        ("GPL-3.0-only", False),
        ("MIT AND GPL-3.0-only", False),
        ("AGPL-3.0-or-later OR SSPL-1.0", False),
        ("", False),
    ],
)
def test_a_licence_is_allowed_if_each_part_or_a_choice_of_it_is(licence: str, allowed: bool) -> None:
    assert is_allowed(licence) is allowed


def test_a_licence_that_is_not_allowed_is_named_and_no_page_is_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(generate_licences, "TARGET", tmp_path / "licences.md")
    found = [Package("good", "1.0", "MIT"), Package("bad", "2.0", "GPL-3.0-only"), Package("odd", "3.0", "")]
    monkeypatch.setattr(generate_licences, "python_packages", lambda: found)
    with pytest.raises(SystemExit) as ended:
        generate_licences.main()
    assert ended.value.code == 1
    assert capsys.readouterr().err.splitlines() == [
        "bad 2.0: licence GPL-3.0-only is not allowed",
        "odd 3.0: licence unknown is not allowed",
    ]
    assert list(tmp_path.iterdir()) == []
