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

DAYS = {  # of the window of charger_fading, and of the four times as long time before it
    "meter": """
        INSERT INTO {} (meter_id, bucket, kwh_consumed_ac, readings)
        SELECT 'M' || lpad(n::text, 6, '0'), %(midnight)s - d * INTERVAL '1 day', 44 + random(), 1440
        FROM generate_series(0, %(vehicles)s - 1) AS n, generate_series(3, 36) AS d
    """,
    "vehicle": """
        INSERT INTO {} (vehicle_id, bucket, kwh_delivered_dc, readings)
        SELECT 'V' || lpad(n::text, 6, '0'), %(midnight)s - d * INTERVAL '1 day', 40 + random(), 1440
        FROM generate_series(0, %(vehicles)s - 1) AS n, generate_series(3, 36) AS d
    """,
}
"""Days before the history, straight in the daily aggregates."""
FADING = """
    SELECT count(*)
    FROM ops.alert_rule AS r
    CROSS JOIN LATERAL telemetry.judge_days(r, %(midnight)s, %(midnight)s, ARRAY(
        SELECT v.vehicle_id FROM telemetry.vehicle_current_status AS v WHERE abs(hashtext(v.vehicle_id) %% 24) = 1
    )) AS d
    WHERE r.kind = 'charger_fading'
"""
"""As telemetry.find_suspects has it."""


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
        return [*measure_runs(connection, vehicles, end), measure_fading(connection, vehicles, end)]


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


def measure_fading(connection: psycopg.Connection, vehicles: int, end: datetime) -> Row:
    """Measure the judgement of the vehicles whose turn it is in a quarter hour after midnight."""
    parameters = {"midnight": end.replace(hour=0, minute=0), "vehicles": vehicles}
    for kind, statement in DAYS.items():
        query = "SELECT telemetry.aggregate_table(%s)::text, set_config('session_replication_role', 'replica', FALSE)"
        [table, _] = connection.execute(query, [f"{kind}_daily"]).fetchone() or ["", ""]
        connection.execute(statement.format(table), parameters)  # type: ignore[arg-type]
        connection.execute("RESET session_replication_role")
        connection.execute(f"ANALYZE {table}")  # type: ignore[arg-type]
    return _row(
        "charger_fading, a quarter hour after midnight: a 24th of the vehicles, over 35 days",
        _took(connection, lambda: connection.execute(FADING, parameters)),
    )


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
