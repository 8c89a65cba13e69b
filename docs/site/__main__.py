"""The pages of the site, in .site/pages: a step of `make docs-site` and `make docs-serve`.

The pages are those of the repository, with their paths, so that every link between them holds. The site needs no other
server: fonts are those of the reader, and Mermaid, which draws the diagrams, comes from npm once.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import sys
import tarfile
from base64 import b64encode
from pathlib import Path

from service.embedded.install import find_node, npm_of

ROOT = Path(__file__).parents[2]
PAGES = ROOT / ".site/pages"
SHOWN = (
    "*.md",
    "LICENSE",
    ".env.example",
    "docs/*.md",
    "docs/adr/*.md",
    "docs/images/*",
    "docs/clients/*",
    "docs/monitoring/**/*",
    "deploy/**/*",
    "sql/README.md",
    "tests/README.md",
)
"""Pages, and the files that they link to."""
MERMAID = "mermaid@12.3.0"
MERMAID_SHA512 = "4113TdXeLAsMruJ79OpFL5O8+LTFXhQqZ260rF3tgUmiNAtRm4Uume04I+65PRN6yZ69J4f8rVYWW8zRk65UYw=="


def main() -> None:
    """Lay out the pages, and Mermaid beside them."""
    lay_out()
    fetch_mermaid()


def lay_out() -> None:
    """Link every page and file into one folder: the generator reads no page outside it."""
    shutil.rmtree(PAGES, ignore_errors=True)
    for pattern in SHOWN:
        for source in ROOT.glob(pattern):
            if source.is_file() and "secrets" not in source.parts:
                link = PAGES / source.relative_to(ROOT)
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(source)


def fetch_mermaid() -> None:
    """Put Mermaid among the pages; the package is kept for the next time."""
    package = ROOT / f".site/{MERMAID}.tgz"
    if not package.exists():
        node = find_node()
        npm = npm_of(node) if node else None
        if npm is None:
            sys.exit("the diagrams need Mermaid from npm: install Node.js 20 or newer")
        packed = subprocess.run(
            [*npm, "pack", MERMAID, "--silent"], cwd=package.parent, capture_output=True, text=True, check=True
        )
        (package.parent / packed.stdout.split()[-1]).rename(package)
    content = package.read_bytes()
    if b64encode(hashlib.sha512(content).digest()).decode() != MERMAID_SHA512:
        sys.exit(f"{package} is not the package that is expected: delete it")
    with tarfile.open(fileobj=io.BytesIO(content)) as files:
        script = files.extractfile("package/dist/mermaid.min.js")
        assert script is not None
        (PAGES / "mermaid.min.js").write_bytes(script.read())


if __name__ == "__main__":
    main()
