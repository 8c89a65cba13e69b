"""Benchmark of the archive: rows/s of `energy archive run` and `verify`, bytes a reading, cost of dropping a day."""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta

import psycopg

from bench.history import DAY, FILL, History, this_minute
from bench.report import Row
from bench.stage import Stage

DEVICES = (1_000, 70)
EMBEDDED_DEVICES = (30, 3)
"""Devices of a large and of a small day, with a reading a minute each."""
DROP = """
    CALL ops.drop_due_chunks(
        NULL,
        jsonb_build_object('object', %(object)s::text, 'drop_after', now() - %(end)s, 'archive', %(archive)s::boolean)
    )
"""


def measure(stage: Stage) -> list[Row]:
    """Measure two days beyond retention, one large and one small, compressed as such days are."""
    today = this_minute().replace(hour=0, minute=0)
    days = {"large": today - 735 * DAY, "small": today - 734 * DAY}
    devices = DEVICES if stage.url else EMBEDDED_DEVICES
    stage.environment["ENERGY_ARCHIVE"] = str(stage.folder / "archive")
    with stage.connection() as connection:
        history = History(devices[0], connection)
        for day, count in zip(days.values(), devices, strict=True):
            for statement in FILL.values():
                connection.execute(statement, {"vehicles": count, "start": day, "end": day + DAY})
            for kind in FILL:
                _compress(connection, kind, day)
            connection.execute("VACUUM ANALYZE")
        plain = _drops(history, days, "vehicle")
        connection.execute("UPDATE ops.policy SET archive = TRUE WHERE object = 'telemetry.meter_telemetry_history'")
        connection.execute("SELECT ops.apply_policies()")
        connection.execute("SELECT alter_job(job_id, scheduled => FALSE) FROM timescaledb_information.jobs")
    written = stage.run("service.cli", "archive", "run")
    verified = stage.run("service.cli", "archive", "verify")
    size = sum(path.stat().st_size for path in (stage.folder / "archive").rglob("*.parquet"))
    readings = sum(devices) * 24 * 60
    with stage.connection() as connection:
        checked = _drops(History(devices[0], connection), days, "meter", archive=True)
    return [
        Row("energy archive run", {"rows/s": _rate(written), "B a reading": size / readings}),
        Row("energy archive verify", {"rows/s": _rate(verified)}),
        Row(
            "retention drops a day",
            {f"ms, {name} ({count * 1440:,} rows)": plain[name] for name, count in zip(days, devices, strict=True)},
        ),
        Row(
            "the same, compared with its archive first",
            {f"ms, {name} ({count * 1440:,} rows)": checked[name] for name, count in zip(days, devices, strict=True)},
        ),
    ]


def _compress(connection: psycopg.Connection, kind: str, day: datetime) -> None:
    connection.execute(
        "SELECT compress_chunk(c) FROM show_chunks(%s::regclass, newer_than => %s, older_than => %s) AS c",
        (f"telemetry.{kind}_telemetry_history", day, day + DAY),
    )


def _drops(history: History, days: dict[str, datetime], kind: str, *, archive: bool = False) -> dict[str, float]:
    """Return the milliseconds of each day, oldest first."""
    table = f"telemetry.{kind}_telemetry_history"
    took = {}
    for name, day in days.items():
        # the end of the day; a moment later, so that it is over by then
        end = day + DAY + timedelta(seconds=1)
        history.refresh()  # retention drops only what the aggregates include
        began = time.perf_counter()
        history.connection.execute(DROP, {"object": table, "end": end, "archive": archive})
        took[name] = (time.perf_counter() - began) * 1000
        if history.connection.execute("SELECT show_chunks(%s::regclass, older_than => %s)", [table, end]).fetchone():
            raise ValueError(f"{table}: {name} was not dropped")
    return took


def _rate(said: str) -> float:
    """Return the rows/s in a command's printed summary."""
    [rate] = re.findall(r"([\d,]+) rows/s", said)
    return float(rate.replace(",", ""))
