"""`make audit`: known vulnerabilities are named, offline too, and a look that was not possible is no good news."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT

LOCKED = dict(re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
LOCKS = {
    path.relative_to(ROOT).as_posix()
    for pattern in ("requirements*.lock", "*/*/requirements*.lock", "*/*/package-lock.json")
    for path in ROOT.glob(pattern)
}
UPLOT = json.loads((ROOT / "service/dashboard/package-lock.json").read_text())["packages"]["node_modules/uplot"][
    "version"
]


def audit(*arguments: str | Path, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ".ci/audit.py", *map(str, arguments)],
        cwd=ROOT,
        env={"PATH": str(path or "/nonexistent")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def advisory(number: int, ecosystem: str, name: str, events: list[dict[str, str]], **more: Any) -> dict[str, Any]:
    affected = {
        "package": {"ecosystem": ecosystem, "name": name},
        "ranges": [{"type": "SEMVER" if ecosystem == "npm" else "ECOSYSTEM", "events": events}],
        "versions": more.pop("versions", []),
    }
    return {"id": f"TEST-{number}", "modified": f"2026-01-{number:02}T00:00:00Z", "affected": [affected], **more}


def affecting(ecosystem: str, name: str, version: str) -> list[dict[str, Any]]:
    """Advisories 1 to 4 that affect a version, each in its own way, and others that do not."""
    after = f"{int(version.split('.', maxsplit=1)[0]) + 1}.0.0"
    begin = {"introduced": "0"}
    return [
        advisory(1, ecosystem, name, [begin, {"fixed": after}], aliases=["CVE-1"]),
        advisory(2, ecosystem, name, [{"introduced": version}]),
        advisory(3, ecosystem, name, [begin, {"last_affected": version}]),
        # affected, mended, and affected again
        advisory(4, ecosystem, name, [{"introduced": version}, {"fixed": "0.0.2"}, begin]),
        advisory(5, ecosystem, name, [begin, {"fixed": version}]),
        advisory(6, ecosystem, name, [begin, {"last_affected": "0.0.1"}]),
        advisory(7, ecosystem, name, [{"introduced": after}]),
        advisory(8, ecosystem, name, [begin], withdrawn="2026-01-09T00:00:00Z"),
        advisory(9, ecosystem, f"{name}-other", [begin]),
        advisory(10, "npm" if ecosystem == "PyPI" else "PyPI", name, [begin]),
    ]


def write(folder: Path, advisories: list[dict[str, Any]]) -> Path:
    folder.mkdir()
    for each in advisories:
        (folder / f"{each['id']}.json").write_text(json.dumps(each))
    return folder


CLEAN = [advisory(1, "PyPI", "some-other", [{"introduced": "0"}]), advisory(2, "npm", "another", [{"introduced": "0"}])]


def test_a_copy_of_the_advisories_is_read_without_a_network(tmp_path: Path) -> None:
    result = audit("--advisories", write(tmp_path / "all", CLEAN))
    assert result.returncode == 0, result
    lines = result.stdout.splitlines()
    assert "requirements.lock: newest advisory 2026-01-01" in lines
    assert "requirements.lock: no known vulnerability" in lines
    assert "service/dashboard/package-lock.json: newest advisory 2026-01-02" in lines
    assert {line.partition(":")[0] for line in lines} == LOCKS


@pytest.mark.parametrize(
    ("ecosystem", "name", "version", "lock"),
    [
        ("PyPI", "litestar", LOCKED["litestar"], "requirements.lock"),
        ("npm", "uplot", UPLOT, "service/dashboard/package-lock.json"),
    ],
)
def test_a_version_within_a_range_is_named_with_its_ids_and_others_are_not(
    tmp_path: Path, ecosystem: str, name: str, version: str, lock: str
) -> None:
    folder = write(tmp_path / "all", affecting(ecosystem, name, version))
    result = audit("--advisories", folder)
    assert result.returncode == 1, result
    found = [line for line in result.stdout.splitlines() if line.startswith(f"{lock}: {name} ")]
    after = f"{int(version.split('.', maxsplit=1)[0]) + 1}.0.0"
    assert found == [
        f"{lock}: {name} {version}: TEST-1, CVE-1; fixed in {after}",
        f"{lock}: {name} {version}: TEST-2; not fixed",
        f"{lock}: {name} {version}: TEST-3; not fixed",
        f"{lock}: {name} {version}: TEST-4; fixed in 0.0.2",
    ]


def test_zip_files_yaml_listed_versions_and_other_spellings_of_a_name_are_read(tmp_path: Path) -> None:
    listed = advisory(1, "PyPI", "Prometheus_Client", [], versions=[LOCKED["prometheus-client"]])
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("TEST-1.json", json.dumps(listed))
    (tmp_path / "more").mkdir()
    (tmp_path / "more/TEST-2.yaml").write_text(json.dumps(CLEAN[1]))
    result = audit("--advisories", tmp_path / "all.zip", "--advisories", tmp_path / "more")
    assert result.returncode == 1
    assert "requirements.lock: prometheus-client" in result.stdout
    assert "service/dashboard/package-lock.json: no known vulnerability" in result.stdout


@pytest.mark.parametrize(
    ("before", "after"),
    [("1.0.0-alpha", "1.0.0"), ("1.0.0-alpha.2", "1.0.0-alpha.10"), ("1.0.0-1", "1.0.0-alpha"), ("0.9.9", "0.10.0")],
)
def test_versions_of_npm_are_in_the_order_of_semantic_versioning(tmp_path: Path, before: str, after: str) -> None:
    program = f"import audit; print(audit.semantic_version({before!r}) < audit.semantic_version({after!r}))"
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT / ".ci", capture_output=True, text=True, check=True
    )
    assert result.stdout == "True\n"


def test_advisories_of_one_registry_say_nothing_of_the_other(tmp_path: Path) -> None:
    result = audit("--advisories", write(tmp_path / "all", CLEAN[:1]))
    assert result.returncode == 2
    assert "service/dashboard/package-lock.json: could not look: there are no advisories of npm" in result.stdout
    unknown = [name for name in LOCKS if name.endswith("package-lock.json")]
    assert f"{len(unknown)} lock files could not be looked up" in result.stderr


def program(folder: Path, name: str, output: object, status: int) -> None:
    """A program that prints JSON, or an error, and ends with a status."""
    text = json.dumps(output) if not isinstance(output, str) else ""
    error = output if isinstance(output, str) else ""
    path = folder / name
    path.write_text(
        f"#!{sys.executable}\nimport sys\nprint({text!r})\nprint({error!r}, file=sys.stderr)\nsys.exit({status})\n"
    )
    path.chmod(0o755)


NOTHING_PIP = {"dependencies": [{"name": "litestar", "version": "2.0", "vulns": []}, {"name": "x", "skip_reason": "."}]}
NOTHING_NPM = {"vulnerabilities": {}}
FOUND_PIP = {
    "dependencies": [
        {"name": "a", "version": "1", "vulns": [{"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["2"]}]}
    ]
}
FOUND_NPM = {"vulnerabilities": {"b": {"range": "<2", "severity": "high", "via": ["c", {"url": "advisory 7"}]}}}
AWAY_NPM = {"message": "request failed", "error": {"summary": ""}}


@pytest.mark.parametrize(
    ("pip_audit", "npm", "status", "words"),
    [
        ((NOTHING_PIP, 0), (NOTHING_NPM, 0), 0, ["requirements.lock: no known vulnerability"]),
        ((FOUND_PIP, 1), (NOTHING_NPM, 0), 1, ["requirements.lock: a 1: PYSEC-1, CVE-1; fixed in 2"]),
        ((NOTHING_PIP, 0), (FOUND_NPM, 1), 1, ["service/dashboard/package-lock.json: b <2: high, advisory 7"]),
        (("no route to host", 1), (NOTHING_NPM, 0), 2, ["could not look: pip-audit failed: no route to host"]),
        ((NOTHING_PIP, 0), (AWAY_NPM, 1), 2, ["could not look: request failed"]),
        (("away", 1), (FOUND_NPM, 1), 1, ["could not look", "b <2: high"]),
        (None, None, 2, ["could not look: pip-audit is not installed", "could not look: npm is not installed"]),
    ],
    ids=[
        "nothing",
        "found by pip-audit",
        "found by npm",
        "pip-audit away",
        "npm away",
        "away and found",
        "no programs",
    ],
)
def test_the_status_tells_found_from_not_looked(
    tmp_path: Path, pip_audit: Any, npm: Any, status: int, words: list[str]
) -> None:
    for name, behaviour in (("pip-audit", pip_audit), ("npm", npm)):
        if behaviour is not None:
            program(tmp_path, name, *behaviour)
    result = audit(path=tmp_path)
    assert result.returncode == status, result
    for word in words:
        assert word in result.stdout
    assert ("could not be looked up" in result.stderr) is ("could not look" in result.stdout)
