"""Benchmark of charging sessions: answers of the API and of BI while parts are stale, and their share in a refresh.

Every vehicle charges for four hours a day. One has a history of a year, all others of yesterday and today.
"""

from __future__ import annotations

import statistics
import time
from datetime import datetime, timedelta
from typing import Any

import psycopg

from bench.history import DAY, History, this_minute
from bench.report import Row
from bench.stage import Stage

VEHICLES = 10_000
EMBEDDED_VEHICLES = 100
YEAR = 365
QUARTER, HOUR = timedelta(minutes=15), timedelta(hours=1)
CALLS = 9
MOST_S = 30
"""A query is repeated until this has passed, or CALLS times."""
OF_BI = "SELECT vehicle_id, started_at, ended_at, kwh_delivered_dc, kwh_consumed_ac, efficiency_status "
OF_BI += "FROM bi.charging_session WHERE "
LIST = "SELECT * FROM api.list_sessions(NULL, %(start)s, %(end)s, NULL, NULL, NULL, NULL, NULL, NULL, {}, {})"
DAY_OF_BI = "started_at >= %(start)s AND started_at < %(end)s"
QUESTIONS: dict[str, tuple[str, timedelta, float | None]] = {  # query, length of its window, limit in seconds
    "a vehicle's 365 days": (
        "SELECT * FROM api.list_vehicle_sessions('V000000', %(start)s, %(end)s, NULL, NULL, 1000000)",
        YEAR * DAY,
        0.05,
    ),
    "the fleet's last 24 h": (LIST.format(1_000_000, False), DAY, 1),
    "a page of 100, with cost": (LIST.format(100, True), DAY, None),
    "bi: a vehicle's 365 days": (OF_BI + DAY_OF_BI + " AND vehicle_id = 'V000000'", YEAR * DAY, None),
    "bi: the fleet's last 24 h": (OF_BI + DAY_OF_BI, DAY, None),
    "bi: the newest 100": (OF_BI + "TRUE ORDER BY started_at DESC LIMIT 100", DAY, None),
}
STORE = "SELECT telemetry.store_sessions(NULL, tstzmultirange(tstzrange(%(start)s, %(end)s)))"


def measure(stage: Stage) -> list[Row]:
    """Measure answers while the newest day, hour and 5 minutes are stale, and what sessions add to a refresh."""
    vehicles = VEHICLES if stage.url else EMBEDDED_VEHICLES
    now = this_minute()
    quarter = now.replace(minute=now.minute // 15 * 15) - 2 * QUARTER  # the refresh leaves out what is too new
    yesterday = now.replace(hour=0, minute=0) - DAY
    with stage.connection() as connection:
        connection.execute("SET jit = off")  # as in the service
        connection.execute("SELECT ops.set_price(0.3, 'EUR'), ops.set_grid_intensity(350)")
        one = History(1, connection)
        one.fill(yesterday - YEAR * DAY, yesterday)
        one.refresh()
        fleet = History(vehicles, connection)
        fleet.fill(yesterday, quarter - HOUR)
        fleet.settle()
        stale = (quarter - HOUR - yesterday) / HOUR
        rows = _ask(connection, quarter - HOUR, f"{vehicles:,} vehicles, {stale:.0f} h not refreshed")
        fleet.refresh()
        fleet.settle()
        whole = {"start": yesterday, "end": yesterday + DAY}
        for name, query in (
            ("the fleet's whole day", LIST.format(1_000_000, False)),
            ("bi: the fleet's whole day", OF_BI + DAY_OF_BI),
        ):
            rows.append(_time_of(connection, f"{name}, all refreshed", query, whole, 1))
        fleet.fill(quarter - HOUR, quarter)
        rows += _ask(connection, quarter, "1 h not refreshed")
        fleet.refresh()
        fleet.fill(quarter, quarter + QUARTER / 3)
        rows += _ask(connection, quarter + QUARTER / 3, "5 min not refreshed")
        fleet.fill(quarter + QUARTER / 3, quarter + QUARTER)
        took = fleet.refresh()
        stored = _seconds(connection, STORE, {"start": quarter, "end": quarter + QUARTER})
        figures = {"s": stored, "of a refresh s": took, "share": stored / took}
        return [*rows, Row("sessions of a quarter hour, stored", figures)]


def _ask(connection: psycopg.Connection, end: datetime, name: str) -> list[Row]:
    return [
        _time_of(connection, f"{question}, {name}", query, {"start": end - length, "end": end}, limit)
        for question, (query, length, limit) in QUESTIONS.items()
    ]


def _time_of(connection: psycopg.Connection, name: str, query: str, window: dict[str, Any], limit: float | None) -> Row:
    """Return the fastest of several calls, as other work on the machine can only slow them down."""
    found = len(connection.execute(query, window).fetchall())
    took: list[float] = []
    while len(took) < CALLS and sum(took) < MOST_S:
        took.append(_seconds(connection, query, window))
    figures = {"s": min(took), "median s": statistics.median(took), "sessions": found}
    return Row(name, figures, f"at most {limit:g} s" if limit else "", min(took) <= limit if limit else None)


def _seconds(connection: psycopg.Connection, query: str, window: dict[str, Any]) -> float:
    """Return the seconds of a call."""
    began = time.perf_counter()
    connection.execute(query, window).fetchall()
    return time.perf_counter() - began
