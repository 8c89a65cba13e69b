"""Benchmark of reads at 16 connections: a vehicle's balance of 24 hours, a status, and the page of a small fleet."""

from __future__ import annotations

from datetime import timedelta

from bench.history import History, this_minute
from bench.report import Row
from bench.stage import SERVICE, Stage
from service.errors import StartupError

VEHICLES = 300
EMBEDDED_VEHICLES = 20
DAYS = 3
UNREFRESHED = timedelta(days=2)
CONNECTIONS = 16
SECONDS = 10
PATHS = {  # and the requests/s to be reached
    "performance of 24 h": ("/v1/analytics/performance/V%s", 1500),
    "status of a vehicle": ("/v1/status/vehicle/V%s", 6000),
    "fleet page": ("/v1/fleet", 250),
}


def measure(stage: Stage) -> list[Row]:
    """Measure the answers a second over HTTP, then the fleet page while two days are not refreshed."""
    vehicles = VEHICLES if stage.url else EMBEDDED_VEHICLES
    end = this_minute()
    start = end - timedelta(days=DAYS)
    with stage.connection() as connection:
        history = History(vehicles, connection)
        history.fill(start, end - UNREFRESHED)
        history.refresh()
        history.fill(end - UNREFRESHED, end)
        history.settle()
    stale = _measure(stage, vehicles, "fleet page", ", two days not refreshed")
    with stage.connection() as connection:
        history.connection = connection
        history.refresh()
        history.settle()
    return [*(_measure(stage, vehicles, name) for name in PATHS), stale]


def _measure(stage: Stage, vehicles: int, name: str, state: str = "") -> Row:
    path, least = PATHS[name]
    with stage.serving(*SERVICE):
        stage.get(path, devices=vehicles, seconds=1, connections=CONNECTIONS)  # warms up
        load = stage.get(path, devices=vehicles, seconds=SECONDS, connections=CONNECTIONS)
    if load.errors:
        raise StartupError(f"{load.errors} of {load.requests} requests for {path} failed")
    figures = {"requests/s": load.rate, "p50 ms": load.p50 / 1e3, "p99 ms": load.p99 / 1e3}
    return Row(f"{name}{state}, {CONNECTIONS} connections", figures, f"at least {least:,}/s", load.rate >= least)
