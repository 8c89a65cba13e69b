"""Profile of the hot route: `python -m bench.profile`, on DATABASE_URL or embedded.

It samples the service with py-spy while wrk posts single readings. The time of C code counts for the Python line that
called it. It prints the share of each package and of the costliest functions.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.single import CONNECTIONS
from bench.stage import SERVICE, Stage, fresh_stage
from service.errors import StartupError
from service.settings import load_settings

SECONDS = 10
RATE_HZ = 400
MOST_FUNCTIONS = 15


def record(stage: Stage) -> Counter[tuple[str, str]]:
    """Count the samples of each (package, function) by the innermost Python frame."""
    raw = stage.folder / "profile.txt"
    with stage.serving(*SERVICE) as service, ThreadPoolExecutor() as pool:
        load = pool.submit(stage.wrk, "/v1/ingest/meter", seconds=SECONDS + 3, connections=CONNECTIONS)
        options = ["--pid", str(service.pid), "--duration", str(SECONDS), "--rate", str(RATE_HZ), "--format", "raw"]
        py_spy = Path(sys.executable).with_name("py-spy")
        result = subprocess.run(
            [py_spy, "record", *options, "--output", str(raw)], capture_output=True, text=True, check=False
        )
        load.result()
    if result.returncode:
        raise StartupError(f"py-spy failed (it may need root): {result.stderr.strip()[-300:]}")
    samples: Counter[tuple[str, str]] = Counter()
    for line in raw.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        samples[_place(stack.split(";")[-1])] += int(count)
    return samples


def _place(frame: str) -> tuple[str, str]:
    """Return package and function of a frame: `name (path/to/module.py:12)`."""
    match = re.fullmatch(r"(.+) \((.+?)(?::\d+)?\)", frame)
    function, path = match.groups() if match else (frame, "?")
    package = path.removeprefix("site-packages/").split("/")[0].removesuffix(".py")
    return package, f"{function} ({Path(path).name})"


def main() -> None:
    """Print the shares."""
    try:
        with fresh_stage(load_settings().database_url) as stage:
            samples = record(stage)
    except StartupError as error:
        sys.exit(f"bench: {error}")
    packages: Counter[str] = Counter()
    for (package, _), count in samples.items():
        packages[package] += count
    table = Table("share", "package", "function", box=None, header_style="bold", pad_edge=False)
    for package, count in packages.most_common(8):
        table.add_row(f"{count / samples.total():.1%}", package, "")
    table.add_section()
    for (package, function), count in samples.most_common(MOST_FUNCTIONS):
        table.add_row(f"{count / samples.total():.1%}", package, function)
    Console().print(table)


if __name__ == "__main__":
    main()
