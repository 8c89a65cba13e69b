"""`make bench`: runs every measurement beside its comparison, on a database of its own."""

from __future__ import annotations

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
)
from bench.report import Row, machine, print_table, write_json
from bench.stage import Stage, fresh_stage
from service.errors import StartupError
from service.settings import load_settings
from service.startup import prepared_database

MEASUREMENTS: dict[str, Callable[[Stage], list[Row]]] = {
    "single": single.measure,
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
}


@click.command()
@click.option("--only", type=click.Choice(list(MEASUREMENTS)), multiple=True, help="Measure this (may be repeated).")
@click.option("--json", "path", type=click.Path(path_type=Path), default=Path("bench.json"), show_default=True)
def main(only: tuple[str, ...], path: Path) -> None:
    """Measure, print one table, and write it as JSON.

    It runs on the server of DATABASE_URL, in new databases that are dropped at the end, or on the embedded one.
    """
    server_url = load_settings().database_url
    rows: list[Row] = []
    database = ""
    notice = Console(stderr=True)
    try:
        for name in only or MEASUREMENTS:
            notice.print(f"measuring: {name}")
            with fresh_stage(server_url) as stage:
                with prepared_database(load_settings(stage.environment)) as prepared:
                    database = prepared.name
                rows += MEASUREMENTS[name](stage)
    except StartupError as error:
        sys.exit(f"bench: {error}")
    finally:
        if rows:
            print_table(rows)
            write_json(path, machine(database), rows)


if __name__ == "__main__":
    main()
