"""`make bench`: runs every measurement beside its comparison, on a database of its own."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import click
from rich.console import Console

from bench import (
    alerts,
    archive,
    batches,
    costs,
    day,
    devices,
    fleet,
    imports,
    memory,
    performance,
    reads,
    refresh,
    sessions,
    single,
    sustained,
    workers,
)
from bench.baseline import print_comparison, read_run
from bench.report import Row, Run, merge, print_table
from bench.stage import Stage, fresh_stage
from service.errors import StartupError
from service.settings import load_settings
from service.startup import prepared_database

MEASUREMENTS: dict[str, Callable[[Stage], list[Row]]] = {
    "single": single.measure,
    "workers": workers.measure,
    "mission": fleet.measure_mission,
    "batches": batches.measure,
    "import": imports.measure,
    "million": fleet.measure_million,
    "memory": memory.measure,
    "performance": performance.measure,
    "reads": reads.measure,
    "day": day.measure,
    "costs": costs.measure,
    "devices": devices.measure,
    "refresh": refresh.measure,
    "sessions": sessions.measure,
    "archive": archive.measure,
    "alerts": alerts.measure,
    "sustained": sustained.measure,
}
ONLY_IF_NAMED = frozenset({"sustained"})
"""It takes half an hour, as long as all others together."""


def measure(name: str, server_url: str | None) -> tuple[str, list[Row]]:
    """Measure in a new database; return also the database's name and version, without its place."""
    with fresh_stage(server_url) as stage:
        with prepared_database(load_settings(stage.environment)) as prepared:
            database = re.split(" at | in ", prepared.name)[0]
        return database, MEASUREMENTS[name](stage)


@click.command()
@click.option("--only", type=click.Choice(list(MEASUREMENTS)), multiple=True, help="Measure this (may be repeated).")
@click.option("--repeat", type=click.IntRange(1, 100), default=1, show_default=True, help="Measure so many times.")
@click.option("--json", "path", type=click.Path(path_type=Path), default=Path("bench.json"), show_default=True)
@click.option(
    "--baseline",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The bench.json of an earlier run: name what got slower since, and exit with 1 if anything did.",
)
def main(only: tuple[str, ...], repeat: int, path: Path, baseline: Path | None) -> None:
    """Measure, print one table, and write it as JSON.

    It runs on the server of DATABASE_URL, in new databases that are dropped at the end, or on the embedded one.
    """
    server_url = load_settings().database_url
    rows: list[Row] = []
    database = ""
    notice = Console(stderr=True)
    try:
        earlier = read_run(baseline) if baseline else None  # first: this run may write to the same file
        for name in only or [name for name in MEASUREMENTS if name not in ONLY_IF_NAMED]:
            repeats = []
            for number in range(repeat):
                notice.print(f"measuring: {name}{f', {number + 1} of {repeat}' if repeat > 1 else ''}")
                database, found = measure(name, server_url)
                repeats.append(found)
            rows += merge(repeats)
    except StartupError as error:
        sys.exit(f"bench: {error}")
    finally:
        if rows:
            run = Run.here(database, rows)
            print_table(rows)
            run.write(path)
    if earlier and not print_comparison(earlier, run):
        sys.exit(1)


if __name__ == "__main__":
    main()
