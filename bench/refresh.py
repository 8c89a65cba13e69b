"""Benchmark of the refresh of the aggregates at the mission's load, and of queries about the fleet.

10,000 meters and 10,000 vehicles send a reading a minute each, with and without late readings. The history begins
yesterday at midnight, so that one day is complete.
"""

from __future__ import annotations

import statistics
import time
from datetime import datetime, timedelta

import psycopg

from bench.gateway import LATE_SHARE, Gateway
from bench.history import DAY, History, this_minute
from bench.report import Row
from bench.stage import Stage

VEHICLES = 10_000
EMBEDDED_VEHICLES = 100
QUARTER = timedelta(minutes=15)
AFTER = timedelta(minutes=5)
"""The age of a bucket at its materialization, by default."""
CYCLES = 5
CALLS = 9
MOST_S = 30
"""A query is repeated until this has passed, or CALLS times."""
SEEN_WITHIN_S = 300
QUESTIONS = {  # with their limits in seconds
    "bi.fleet_efficiency_daily, a day": (
        "SELECT * FROM bi.fleet_efficiency_daily WHERE bucket >= %(day)s AND bucket < %(day)s + INTERVAL '1 day'",
        0.35,
    ),
    "api.get_fleet_overview": ("SELECT * FROM api.get_fleet_overview()", 0.3),
    "api.get_fleet_summary, 24 h": ("SELECT * FROM api.get_fleet_summary(NULL, NULL, 24)", None),
    "api.get_vehicle_performance, 24 h": ("SELECT * FROM api.get_vehicle_performance('V000007')", None),
}
PACE = "SELECT extract(epoch FROM refresh_every)::float8 FROM ops.policy WHERE object = 'bi.meter_15min'"
SCHEDULE = """
    SELECT alter_job(job_id, scheduled => %s, next_start => now() + schedule_interval)
    FROM timescaledb_information.jobs WHERE proc_name = 'refresh_aggregates'
"""


def measure(stage: Stage) -> list[Row]:
    """Measure live readings only, then with one late in a hundred, and last the jobs by themselves."""
    vehicles = VEHICLES if stage.url else EMBEDDED_VEHICLES
    yesterday = this_minute().replace(hour=0, minute=0) - DAY
    with stage.connection() as connection:
        history = History(vehicles, connection)
        until = _quarter(this_minute() - AFTER) - 4 * QUARTER
        history.fill(yesterday, until)
        history.settle()
        rows = [Row("refresh of all history", {"h": (until - yesterday) / timedelta(hours=1), "s": history.refresh()})]
        history.settle()
        rows += _refresh_live(history, until)
        history.settle()
        rows += _ask(connection, yesterday, "")
    gateway = Gateway(stage, vehicles)
    rows += _refresh_late(stage, gateway, vehicles, yesterday)
    if stage.url:
        rows.append(_time_until_seen(stage, gateway))
    return rows


def _quarter(moment: datetime) -> datetime:
    """Return the start of its quarter hour."""
    return moment.replace(minute=moment.minute // 15 * 15)


def _refresh_live(history: History, until: datetime) -> list[Row]:
    """Refresh an hour of live readings after each of its quarters; the other runs of the hour have nothing to do."""
    took, idle = [], []
    for number in range(4):
        history.fill(until + number * QUARTER, until + (number + 1) * QUARTER)
        took.append(history.refresh())
        idle.append(history.refresh())
    nothing = statistics.median(idle)
    runs = 3600 / _pace(history.connection)
    return [
        Row("refresh after a quarter hour", {"s": statistics.median(took), "s at most": max(took)}),
        Row("refresh with nothing to do", {"s": nothing}),
        Row("share of the time", {"share": (sum(took) + (runs - 4) * nothing) / 3600}),
    ]


def _pace(connection: psycopg.Connection) -> float:
    """Return the seconds from one run of a refresh to the next."""
    [seconds] = connection.execute(PACE).fetchone() or [0]
    return float(seconds)


def _refresh_late(stage: Stage, gateway: Gateway, vehicles: int, day: datetime) -> list[Row]:
    """Send the readings between two runs of the refresh, and measure such a run."""
    took: list[float] = []
    answers: list[Row] = []
    with stage.connection() as connection:
        pace = _pace(connection)
    for _ in range(CYCLES):
        for _ in range(round(pace / 60)):
            gateway.send_minute()
        with stage.connection() as connection:
            if not answers:
                answers = _ask(connection, day, ", late readings stale")
            took.append(History(vehicles, connection).refresh())
    seconds = statistics.median(took)
    figures = {"s": seconds, "s at least": min(took), "share of the time": seconds / pace}
    return [Row(f"refresh after {pace / 60:.0f} min, {LATE_SHARE:.0%} up to 24 h late", figures), *answers]


def _ask(connection: psycopg.Connection, day: datetime, name: str) -> list[Row]:
    """Return the fastest of several calls of each query, as other work on the machine can only slow them down."""
    rows = []
    connection.execute("SET jit = off")  # as in the service
    for question, (query, limit) in QUESTIONS.items():
        took: list[float] = []
        while len(took) < CALLS and sum(took) < MOST_S:
            began = time.perf_counter()
            if not connection.execute(query, {"day": day}).fetchall():
                raise ValueError(f"no answer to {query}")
            took.append(time.perf_counter() - began)
        figures = {"s": min(took), "median s": statistics.median(took)}
        met = min(took) <= limit if limit else None
        rows.append(Row(question + name, figures, f"at most {limit:g} s" if limit else "", met))
    return rows


def _time_until_seen(stage: Stage, gateway: Gateway) -> Row:
    """Return the seconds from storing a late reading to its appearance in bi, with the jobs at their default pace."""
    with stage.connection() as connection:
        connection.execute(SCHEDULE, [True])
    took = gateway.time_probes()
    figures = {"s": statistics.median(took), "s at most": max(took)}
    return Row("late reading until in bi.meter_hourly", figures, "under 5 min", max(took) < SEEN_WITHIN_S)
