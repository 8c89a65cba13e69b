"""Benchmark of the evaluation of alerts: 10,000 meters and 10,000 vehicles, each with a reading a minute."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

import psutil  # type: ignore[import-untyped]
import psycopg

from bench.history import History, this_minute
from bench.report import Row
from bench.stage import Stage, cpu_seconds

VEHICLES = 10_000
EMBEDDED_VEHICLES = 100
HOURS = 27
"""The longest window of the rules that every quarter hour is judged by, and what its alerts look back."""
ROUNDS = 5
QUARTER = timedelta(minutes=15)
SETTLED = timedelta(minutes=2, seconds=30)
"""Past the end of a quarter hour, it is judged."""

LATE = """
    INSERT INTO telemetry.alert_recheck (kind, device_id, since)
    SELECT k.kind, left(upper(k.kind), 1) || lpad(n::text, 6, '0'), %s
    FROM unnest(ARRAY['meter', 'vehicle']) AS k (kind), generate_series(0, %s - 1) AS n
"""


def measure(stage: Stage) -> list[Row]:
    """Measure the runs of a minute with a new quarter hour, of one without, with late readings, and of an outage."""
    vehicles = VEHICLES if stage.url else EMBEDDED_VEHICLES
    end = this_minute()
    with stage.connection() as connection:
        history = History(vehicles, connection)
        history.fill(end - timedelta(hours=HOURS), end)
        connection.execute("DELETE FROM telemetry.alert_recheck")
        history.refresh()
        history.settle()
        return measure_runs(connection, vehicles, end)


def measure_runs(connection: psycopg.Connection, vehicles: int, end: datetime) -> list[Row]:
    """Measure the evaluations of a filled database, with its newest readings at `end`."""
    last = end.replace(minute=end.minute // 15 * 15)

    def evaluate(now: datetime) -> dict[str, float | None]:
        return _took(connection, lambda: connection.execute("SELECT ops.evaluate_alerts(%s)", [now]))

    quarters = [evaluate(last - back * QUARTER + SETTLED) for back in range(ROUNDS, -1, -1)][1:]
    minutes = [evaluate(last + SETTLED) for _ in range(ROUNDS)]
    connection.execute(LATE, [last - timedelta(hours=2), vehicles // 100])
    late = evaluate(last + SETTLED)
    outage = evaluate(last + SETTLED + 2 * QUARTER)
    [alerts] = connection.execute("SELECT count(*) FROM telemetry.alert WHERE closed_at IS NULL").fetchone() or [0]
    return [
        _row("a new quarter hour", sorted(quarters, key=_seconds)[ROUNDS // 2]),
        _row("a minute without one", sorted(minutes, key=_seconds)[ROUNDS // 2]),
        _row("1 % of the devices with readings of 2 hours ago", late),
        Row(f"alerts, all devices fall silent: {alerts} open", outage),
    ]


def _row(name: str, figures: dict[str, float | None]) -> Row:
    return Row(f"alerts, {name}", figures, "under 1 s", _seconds(figures) < 1)


def _seconds(figures: dict[str, float | None]) -> float:
    return figures["s"] or 0


def _took(connection: psycopg.Connection, work: Callable[[], object]) -> dict[str, float | None]:
    """Do some work; return its seconds, and those that the server spent on it, if it is on this machine."""
    backend = _backend(connection)
    used, began = cpu_seconds(backend), time.perf_counter()
    work()
    elapsed = time.perf_counter() - began
    return {"s": elapsed, "s of a processor": cpu_seconds(backend) - used if backend else None}


def _backend(connection: psycopg.Connection) -> list[psutil.Process]:
    try:
        process = psutil.Process(connection.info.backend_pid)
    except psutil.Error:
        return []
    return [process] if "postgres" in process.name() else []
