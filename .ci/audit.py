"""Looks the packages of the lock files up among known vulnerabilities: `make audit`.

It asks the registries through pip-audit and npm, neither of which can work offline. With `--advisories PATH` it asks
nobody, and reads advisories in the format of OSV: folders of JSON or YAML files, or the zip files that OSV publishes
for PyPI and npm.

Exit status: 0 no vulnerability is known, 1 a package has one, 2 a lock file could not be looked up.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

ROOT = Path(__file__).parent.parent
PYTHON_LOCKS = (
    "requirements.lock",
    "requirements-dev.lock",
    "requirements-site.lock",
    "requirements-release.lock",
    "service/embedded/requirements-node.lock",
)
NPM_LOCKS = (
    "service/embedded/package-lock.json",
    "service/dashboard/package-lock.json",
    "tests/dashboard/package-lock.json",
)
PATIENCE_S = 300

Packages = list[tuple[str, str]]
"""Names and versions."""
Find = Callable[[str], list[str]]
"""Looks a lock file up, and returns a line for each known vulnerability."""


class CannotLookError(Exception):
    """A lock file could not be looked up; the message says why."""


def main() -> int:
    """Print a line for each lock file and each vulnerability, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--advisories", type=Path, action="append", metavar="PATH", help="a folder or a zip; repeatable"
    )
    parser.add_argument("--pip-audit", default="pip-audit", metavar="PROGRAM")
    options = parser.parse_args()
    if options.advisories:
        advisories = Advisories()
        for path in options.advisories:
            advisories.read(path)
        python = npm = advisories.find
    else:
        python, npm = (lambda lock: ask_pip_audit(lock, options.pip_audit)), ask_npm
    found, unknown = [], []
    for lock, find in [*((lock, python) for lock in PYTHON_LOCKS), *((lock, npm) for lock in NPM_LOCKS)]:
        try:
            lines = find(lock)
        except CannotLookError as error:
            unknown.append(lock)
            lines = [f"could not look: {error}"]
        else:
            found += lines
        for line in lines or ["no known vulnerability"]:
            print(f"{lock}: {line}")
    if unknown:
        print(
            f"{len(unknown)} lock files could not be looked up; --advisories reads a copy of the advisories",
            file=sys.stderr,
        )
    return 1 if found else 2 if unknown else 0


def ask_pip_audit(lock: str, program: str) -> list[str]:
    """Ask the Python package index."""
    options = ("--require-hashes", "--disable-pip", "--progress-spinner=off", "--format=json")
    report = run(program, *options, "-r", str(ROOT / lock))
    return [
        describe(package["name"], package["version"], [each["id"], *each["aliases"]], each["fix_versions"])
        for package in report["dependencies"]
        for each in package.get("vulns", [])
    ]


def ask_npm(lock: str) -> list[str]:
    """Ask the npm registry."""
    report = run("npm", "audit", "--package-lock-only", "--json", f"--prefix={(ROOT / lock).parent}")
    if "vulnerabilities" not in report:
        raise CannotLookError(report.get("message") or report.get("error") or "npm gave no report")
    return [
        f"{name} {entry['range']}: {entry['severity']}, {', '.join(via['url'] for via in entry['via'] if 'url' in via)}"
        for name, entry in report["vulnerabilities"].items()
    ]


def run(*command: str) -> dict[str, Any]:
    """Run a program and return the JSON that it prints, whatever its exit status: both use 1 for two meanings."""
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
        report: dict[str, Any] = json.loads(result.stdout)
    except FileNotFoundError:
        raise CannotLookError(f"{command[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise CannotLookError(f"{command[0]} did not end within {PATIENCE_S} s") from None
    except json.JSONDecodeError:
        last = (result.stderr.strip().splitlines() or ["no answer"])[-1]
        raise CannotLookError(f"{command[0]} failed: {last}") from None
    return report


def describe(name: str, version: str, ids: list[str], fixed: list[str]) -> str:
    """Describe a vulnerability in one line."""
    return f"{name} {version}: {', '.join(ids)}" + (f"; fixed in {', '.join(fixed)}" if fixed else "; not fixed")


@dataclass
class Advisories:
    """Advisories in the format of OSV, by ecosystem and package."""

    by_package: dict[tuple[str, str], list[tuple[dict[str, Any], dict[str, Any]]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    newest: dict[str, str] = field(default_factory=dict)
    """Ecosystem -> time of the last change of its newest advisory, RFC 3339."""

    def read(self, path: Path) -> None:
        """Add the advisories of a folder or a zip file."""
        for name, content in contents_of(path):
            advisory = json.loads(content) if name.endswith(".json") else yaml.load(content, yaml.CSafeLoader)
            if not isinstance(advisory, dict) or advisory.get("withdrawn"):
                continue
            for affected in advisory.get("affected", []):
                ecosystem, package = (affected.get("package", {}).get(key, "") for key in ("ecosystem", "name"))
                self.by_package[ecosystem, plain(ecosystem, package)].append((advisory, affected))
                self.newest[ecosystem] = max(self.newest.get(ecosystem, ""), str(advisory["modified"]))

    def find(self, lock: str) -> list[str]:
        """Look a lock file up."""
        ecosystem = "npm" if lock.endswith(".json") else "PyPI"
        if ecosystem not in self.newest:
            raise CannotLookError(f"there are no advisories of {ecosystem}")
        print(f"{lock}: newest advisory {self.newest[ecosystem][:10]}")
        return [
            describe(name, version, [advisory["id"], *advisory.get("aliases", [])], fixed_in(affected))
            for name, version in (npm_packages if ecosystem == "npm" else python_packages)(lock)
            for advisory, affected in self.by_package.get((ecosystem, plain(ecosystem, name)), [])
            if is_affected(ecosystem, version, affected)
        ]


def contents_of(path: Path) -> Iterator[tuple[str, bytes]]:
    """Iterate over the files of a folder or a zip that may be advisories."""
    suffixes = (".json", ".yaml")
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.suffix in suffixes:
                yield file.name, file.read_bytes()
        return
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith(suffixes):
                    yield name, archive.read(name)
    except (OSError, zipfile.BadZipFile) as error:
        sys.exit(f"{path} is neither a folder nor a zip file of advisories: {error}")


def python_packages(lock: str) -> Packages:
    """List the packages of a Python lock file."""
    return re.findall(r"^([\w.-]+)==([\w.!+-]+)", (ROOT / lock).read_text(), re.MULTILINE)


def npm_packages(lock: str) -> Packages:
    """List the packages of an npm lock file."""
    packages = json.loads((ROOT / lock).read_text())["packages"]
    return [(path.split("node_modules/")[-1], entry["version"]) for path, entry in packages.items() if path]


def plain(ecosystem: str, name: str) -> str:
    """Return a package's name in the one form that is compared."""
    return canonicalize_name(name) if ecosystem == "PyPI" else name


def is_affected(ecosystem: str, version: str, affected: dict[str, Any]) -> bool:
    """Tell whether a version is affected: it is listed, or in a range, as OSV's schema evaluates them."""
    if version in affected.get("versions", ()):
        return True
    key = order_of(ecosystem)
    for each in affected.get("ranges", []):
        if each["type"] not in {"ECOSYSTEM", "SEMVER"}:
            continue
        events = [(kind, at) for event in each["events"] for kind, at in event.items()]
        inside = False
        # at the same version, what ends a range comes before what begins the next
        for kind, at in sorted(events, key=lambda event: (event[1] != "0", key(event[1]), event[0] == "introduced")):
            if kind == "introduced" and (at == "0" or key(version) >= key(at)):
                inside = True
            elif (kind == "fixed" and key(version) >= key(at)) or (kind == "last_affected" and key(version) > key(at)):
                inside = False
        if inside:
            return True
    return False


def fixed_in(affected: dict[str, Any]) -> list[str]:
    """List the versions that mend a vulnerability."""
    ranges = [each for each in affected.get("ranges", []) if each["type"] != "GIT"]
    return [event["fixed"] for each in ranges for event in each["events"] if "fixed" in event]


def order_of(ecosystem: str) -> Callable[[str], Any]:
    """Return the key that orders the versions of an ecosystem."""
    return semantic_version if ecosystem == "npm" else python_version


def python_version(version: str) -> Version:
    """Order versions by PEP 440; what is none comes first."""
    try:
        return Version(version)
    except InvalidVersion:
        return Version("0.dev0")


def semantic_version(version: str) -> tuple[Any, ...]:
    """Order versions by Semantic Versioning: a pre-release comes before its release, numbers before words."""
    core, _, before = version.partition("+")[0].partition("-")
    numbers = tuple(int(number) for number in re.findall(r"\d+", core))
    words = tuple((0, int(word), "") if word.isdigit() else (1, 0, word) for word in before.split(".") if word)
    return numbers, not words, words


if __name__ == "__main__":
    sys.exit(main())
