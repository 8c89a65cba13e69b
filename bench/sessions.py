"""Benchmark of charging sessions: the API's answers, and the share of sessions in the refresh of the aggregates.

Every vehicle charges for four hours a day. One has a history of a year, all others of yesterday and today.
"""

from __future__ import annotations

import statistics
import time
from datetime import datetime, timedelta

import psycopg

from bench.history import DAY, History, this_minute
from bench.report import Row
from bench.stage import Stage

VEHICLES = 10_000
EMBEDDED_VEHICLES = 100
YEAR = 365
QUARTER = timedelta(minutes=15)
CALLS = 9
LIST_SESSIONS = "SELECT * FROM api.list_sessions(NULL, %s, %s, NULL, NULL, NULL, NULL, NULL, NULL, 1000000)"
LIST_VEHICLE_SESSIONS = "SELECT * FROM api.list_vehicle_sessions('V000000', %s, %s, NULL, NULL, 1000000)"
OF_BI = "SELECT * FROM bi.charging_session WHERE started_at >= %s AND started_at < %s"
STORE = "SELECT telemetry.store_sessions(NULL, tstzmultirange(tstzrange(%s, %s)))"


def measure(stage: Stage) -> list[Row]:
    """Measure a year of one vehicle and a day of a fleet, and what storing sessions adds to a refresh."""
    vehicles = VEHICLES if stage.url else EMBEDDED_VEHICLES
    now = this_minute()
    quarter = now.replace(minute=now.minute // 15 * 15) - QUARTER
    yesterday = now.replace(hour=0, minute=0) - DAY
    with stage.connection() as connection:
        connection.execute("SET jit = off")  # as in the service
        one = History(1, connection)
        one.fill(yesterday - YEAR * DAY, yesterday)
        one.refresh()
        fleet = History(vehicles, connection)
        fleet.fill(yesterday, quarter)
        fleet.refresh()
        fleet.settle()
        began = time.perf_counter()
        fleet.fill(quarter, quarter + QUARTER)
        filled = time.perf_counter() - began
        rows = [
            _ask(connection, "365 days of a vehicle", LIST_VEHICLE_SESSIONS, (now - YEAR * DAY, now), 0.05),
            _ask(connection, f"yesterday of {vehicles:,} vehicles", LIST_SESSIONS, (yesterday, yesterday + DAY), 1),
            _ask(connection, f"the last 24 h of {vehicles:,} vehicles", LIST_SESSIONS, (now - DAY, now), 1),
            _ask(connection, "bi.charging_session, yesterday", OF_BI, (yesterday, yesterday + DAY)),
        ]
        took = fleet.refresh()
        stored = _time(connection, STORE, (quarter, quarter + QUARTER))
        figures = {
            "s": stored,
            "of a refresh s": took,
            "share": stored / took,
            "rows/s written": vehicles * 30 / filled,
        }
        return [*rows, Row("sessions of a quarter hour, stored", figures)]


def _ask(
    connection: psycopg.Connection, name: str, query: str, window: tuple[datetime, datetime], limit: float | None = None
) -> Row:
    """Return the fastest of several calls, as other work on the machine can only slow them down."""
    found = len(connection.execute(query, window).fetchall())
    took = [_time(connection, query, window) for _ in range(CALLS)]
    figures = {"s": min(took), "median s": statistics.median(took), "sessions": found}
    return Row(name, figures, f"at most {limit:g} s" if limit else "", min(took) <= limit if limit else None)


def _time(connection: psycopg.Connection, query: str, window: tuple[datetime, datetime]) -> float:
    """Return the seconds of a call."""
    began = time.perf_counter()
    connection.execute(query, window).fetchall()
    return time.perf_counter() - began
