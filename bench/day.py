"""Benchmark of a day of the fleet, 28.8 million readings: the fleet's efficiency, and bytes a reading."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import httpx
import psycopg

from bench.history import DAY, FILL, History, this_minute
from bench.report import Row
from bench.stage import MEBIBYTE, SERVICE, Stage

VEHICLES = 10_000
EMBEDDED_VEHICLES = 100
CALLS = 5
VIEW = "SELECT * FROM bi.fleet_efficiency_daily WHERE bucket >= %s AND bucket < %s"


def measure(stage: Stage) -> list[Row]:
    """Measure yesterday from midnight to midnight."""
    vehicles = VEHICLES if stage.url else EMBEDDED_VEHICLES
    today = this_minute().replace(hour=0, minute=0)
    yesterday = today - DAY
    with stage.connection() as connection:
        history = History(vehicles, connection)
        history.fill(yesterday, today)
        history.settle()
        rows = [_compress(connection, kind, vehicles) for kind in FILL]
        history.refresh()
        history.settle()
        figures = [_within_a_second("bi.fleet_efficiency_daily, a day", lambda: _view(connection, yesterday))]
    return [*figures, *_over_http(stage, yesterday, today), *rows]


def _view(connection: psycopg.Connection, day: datetime) -> None:
    if not connection.execute(VIEW, (day, day + DAY)).fetchone():
        raise ValueError(f"nothing of {day}")


def _over_http(stage: Stage, start: datetime, end: datetime) -> list[Row]:
    """Measure the day over HTTP: of whole buckets, and beginning and ending within one."""
    windows = {"a day": (start, end), "a day less 5 min": (start + timedelta(minutes=2), end - timedelta(minutes=3))}
    rows = []
    with stage.serving(*SERVICE), httpx.Client(base_url=stage.address, timeout=60) as client:
        for route in ("efficiency", "fleet"):
            for name, (first, last) in windows.items():
                params = {"start": first.isoformat(), "end": last.isoformat()}

                def ask(route: str = route, params: dict[str, Any] = params) -> None:
                    client.get(f"/v1/analytics/{route}", params=params).raise_for_status()

                rows.append(_within_a_second(f"/v1/analytics/{route}, {name}", ask))
    return rows


def _within_a_second(name: str, ask: Callable[[], None]) -> Row:
    took = []
    for _ in range(CALLS + 1):
        began = time.perf_counter()
        ask()
        took.append(time.perf_counter() - began)
    seconds = statistics.median(took[1:])  # the first one warms up
    return Row(name, {"s": seconds}, "under 1 s", seconds < 1)


def _compress(connection: psycopg.Connection, kind: str, vehicles: int) -> Row:
    """Compress the day; return bytes a reading, keys included, before and after."""
    table = f"telemetry.{kind}_telemetry_history"
    raw = _size(connection, table)
    began = time.perf_counter()
    connection.execute("SELECT compress_chunk(c) FROM show_chunks(%s::regclass) AS c", [table])
    took = time.perf_counter() - began
    packed = _size(connection, table)
    readings = vehicles * 24 * 60
    figures = {
        "MiB a day": raw / MEBIBYTE,
        "B a reading as rows": raw / readings,
        "B in the columnstore": packed / readings,
        "s to compress": took,
    }
    return Row(f"{kind} readings of a day", figures, "at most 12 B", packed / readings <= 12)


def _size(connection: psycopg.Connection, table: str) -> int:
    [size] = connection.execute("SELECT hypertable_size(%s::regclass)", [table]).fetchone() or [0]
    return size
