"""`energy demo`: fills the history, serves, and sends new readings of the fleet until Ctrl-C."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import click

from service.commands.command import Command
from service.commands.demo.fleet import SILENT, DemoFleet
from service.commands.demo.history import INTERVAL_S, fill, first_time
from service.commands.serve import Company, serve
from service.commands.simulate.drive import REQUEST_TIMEOUT_S, Driver, Pace
from service.commands.simulate.feed import Faults, Item, feed
from service.commands.simulate.tally import Tally
from service.observability.logs import configure_logging
from service.settings import load_settings
from service.startup import Prepared

LIVE_INTERVAL_S = 60
FAULTS = Faults(late=0.01, duplicates=0.01, out_of_order=0.01, broken=0.01)
DATA_DIR = Path(".energy-demo")


@click.command(
    "demo",
    cls=Command,
    examples=("energy demo", "energy demo --data-dir /tmp/demo --days 60"),
    statuses={0: "stopped by SIGINT (Ctrl-C) or SIGTERM", 130: "interrupted before it served"},
)
@click.option(
    "--data-dir", type=click.Path(path_type=Path), default=DATA_DIR, show_default=True, help="Folder of its database."
)
@click.option(
    "--days", type=click.IntRange(1, 365), default=14, show_default=True, help="Of history, at the first run."
)
def demo(data_dir: Path, days: int) -> None:
    """Serve a simulated fleet of 20 vehicles with two weeks of history, and some faults, on an embedded database.

    It has a database of its own, whatever DATABASE_URL says, so that simulated and real readings never mix. Remove the
    folder to start anew.
    """
    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)
    settings = replace(settings, database_url=None, database_read_url=None, workers=1, auth="off", host="127.0.0.1")
    settings = replace(settings, data_dir=data_dir)
    data_dir.mkdir(parents=True, exist_ok=True)
    fleet = DemoFleet(first_time(data_dir, days), INTERVAL_S)

    def before(database: Prepared) -> None:
        print(f"storing the history of {fleet.vehicles} vehicles and their meters", file=sys.stderr, flush=True)
        began = time.monotonic()
        stored = asyncio.run(fill(database.url, fleet))
        print(f"{stored:,} readings stored in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)

    async def beside(address: str) -> None:
        await _send(fleet, address)

    serve(settings, migrate_first=True, company=Company(before, beside))


async def _send(fleet: DemoFleet, address: str) -> None:
    """Send new readings of the fleet, one per device and minute."""
    now = time.time()
    fleet.go_on(int(now) + 1, LIVE_INTERVAL_S)
    async with aiohttp.ClientSession(
        address, connector=aiohttp.TCPConnector(limit=4), timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
    ) as session:
        driver = Driver(session, Tally([], now), Pace(now, now, 1.0), batch=1, concurrency=4)
        await driver.run(_live(fleet))


def _live(fleet: DemoFleet) -> Iterator[Item]:
    for item in feed(fleet, FAULTS, prefix="", end=float("inf")):
        if item.kind != "meter" or item.vehicle != SILENT:
            yield item
