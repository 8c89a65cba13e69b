"""Benchmark of the evaluation of alerts: 10,000 meters and 10,000 vehicles, each with a reading a minute."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

import psycopg

from bench.history import History, this_minute
from bench.report import Row
from bench.stage import Stage

VEHICLES = 10_000
EMBEDDED_VEHICLES = 100
HOURS = 27
"""The longest window of the rules that every quarter hour is judged by, and what its alerts look back."""
ROUNDS = 5
QUARTER = timedelta(minutes=15)
SETTLED = timedelta(minutes=2, seconds=30)
"""Past the end of a quarter hour, it is judged."""


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
    quarters = []
    for back in range(ROUNDS, -1, -1):
        quarters.append(_seconds(connection, last - back * QUARTER + SETTLED))
    idle = min(_seconds(connection, last + SETTLED) for _ in range(ROUNDS))
    connection.execute(
        """
        INSERT INTO telemetry.alert_recheck (kind, device_id, since)
        SELECT k.kind, left(upper(k.kind), 1) || lpad(n::text, 6, '0'), %s
        FROM unnest(ARRAY['meter', 'vehicle']) AS k (kind), generate_series(0, %s - 1) AS n
        """,
        [last - timedelta(hours=2), vehicles // 100],
    )
    late = _seconds(connection, last + SETTLED)
    outage = _seconds(connection, last + SETTLED + 2 * QUARTER)
    [alerts] = connection.execute("SELECT count(*) FROM telemetry.alert WHERE closed_at IS NULL").fetchone() or [0]
    return [
        _row("a new quarter hour", sorted(quarters[1:])[ROUNDS // 2]),
        _row("a minute without one", idle),
        _row("1 % of the devices with readings of 2 hours ago", late),
        _row(f"all devices fall silent: {alerts} alerts", outage, target=None),
    ]


def _row(name: str, seconds: float, target: float | None = 1) -> Row:
    if target is None:
        return Row(f"alerts, {name}", {"s": seconds})
    return Row(f"alerts, {name}", {"s": seconds}, f"under {target:g} s", seconds < target)


def _seconds(connection: psycopg.Connection, now: datetime) -> float:
    began = time.perf_counter()
    connection.execute("SELECT ops.evaluate_alerts(%s)", [now])
    return time.perf_counter() - began
