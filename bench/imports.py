"""Benchmark of `energy import`, beside its limit: a plain COPY of the same CSV file into an equal table."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from bench.report import Row
from bench.stage import Stage

ROUNDS = 3
ROWS = 3_000_000
EMBEDDED_ROWS = 50_000
METERS = 10_000
PLAIN = """
DROP TABLE IF EXISTS public.plain;
CREATE TABLE public.plain (LIKE telemetry.meter_telemetry_history INCLUDING ALL);
SELECT create_hypertable('public.plain', by_range('counted_at', INTERVAL '1 day'), create_default_indexes => FALSE);
"""


def measure(stage: Stage) -> list[Row]:
    """Measure both in turns, each into an empty table. The embedded database has no COPY."""
    path = stage.folder / "meters.csv"
    rows = ROWS if stage.url else EMBEDDED_ROWS
    _make_file(path, rows)
    if stage.url is None:
        return [Row("import, through the batch function", {"rows/s": rows / _import(stage, path)})]
    imports, copies = [], []
    with psycopg.connect(stage.url, autocommit=True) as connection:
        for _ in range(ROUNDS):
            copies.append(rows / _copy(connection, path))
            connection.execute("TRUNCATE telemetry.meter_telemetry_history, telemetry.meter_current_status")
            connection.execute("CHECKPOINT")
            imports.append(rows / _import(stage, path))
    return [
        Row("import of a CSV", {"rows/s": imports}),
        Row("COPY of it", {"rows/s": copies}),
        Row.ratio("import / COPY", imports, copies, at_least=0.5),
    ]


def _make_file(path: Path, rows: int) -> None:
    """Write a reading a minute of each meter, in the order of time."""
    start = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(days=100)
    with path.open("w") as file:
        file.write("meter_id,recorded_at,kwh_consumed_ac,voltage\n")
        for number in range(rows):
            minute, meter = divmod(number, METERS)
            time_ = start + timedelta(minutes=minute)
            file.write(f"M{meter:05d},{time_.isoformat()},{number % 977 / 1000},{230 + number % 100 / 10}\n")


def _copy(connection: psycopg.Connection, path: Path) -> float:
    """Return the seconds of the COPY."""
    connection.execute(PLAIN)
    connection.execute("CHECKPOINT")
    began = time.monotonic()
    columns = "meter_id, counted_at, kwh_consumed_ac, voltage"
    statement = f"COPY public.plain ({columns}) FROM STDIN (FORMAT csv, HEADER)"
    with path.open("rb") as file, connection.cursor().copy(statement) as copy:
        while block := file.read(1 << 18):
            copy.write(block)
    return time.monotonic() - began


def _import(stage: Stage, path: Path) -> float:
    """Return the seconds of the whole command."""
    began = time.monotonic()
    stage.run("service.cli", "import", str(path))
    return time.monotonic() - began
