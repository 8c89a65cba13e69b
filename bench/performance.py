"""Benchmark of a vehicle's energy balance over a day and a year, with a short and a long history, and from raw rows."""

from __future__ import annotations

import math
import statistics
import time
from collections import defaultdict
from contextlib import ExitStack
from datetime import timedelta

import httpx
import psycopg

from bench.history import History, this_minute
from bench.report import Row
from bench.stage import SERVICE, Stage, fresh_stage

VEHICLES = 500
EMBEDDED_VEHICLES = 20
LENGTHS_DAYS = {"1 day": 1, "30 days": 30}
WINDOWS_HOURS = {"24 h": 24, "365 days": 365 * 24}
ROUNDS = 8
REQUESTS = 50
COMPRESS_AFTER = timedelta(days=3)
RAW_CALLS = 20
RAW = """
    SELECT
        (
            SELECT sum(h.kwh_consumed_ac) FROM telemetry.meter_telemetry_history AS h
            WHERE h.meter_id = %(meter)s AND h.counted_at >= %(start)s AND h.counted_at < %(end)s
        ),
        (
            SELECT sum(h.kwh_delivered_dc) FROM telemetry.vehicle_telemetry_history AS h
            WHERE h.vehicle_id = %(vehicle)s AND h.counted_at >= %(start)s AND h.counted_at < %(end)s
        )
"""
ANSWER = """
    SELECT p.total_energy_consumed_ac, p.total_energy_delivered_dc
    FROM api.get_vehicle_performance(%(vehicle)s, %(start)s, %(end)s) AS p
"""


def measure(stage: Stage) -> list[Row]:
    """Measure over HTTP, one request after the other, the histories and windows in turns: milliseconds."""
    with ExitStack() as stack:
        stages = {"1 day": stack.enter_context(fresh_stage(stage.server_url)), "30 days": stage}
        vehicles = VEHICLES if stage.url else EMBEDDED_VEHICLES
        for name, days in LENGTHS_DAYS.items():
            with stages[name].connection() as connection:
                end = this_minute()
                history = History(vehicles, connection)
                start = end - timedelta(days=days)
                history.fill(start, end)
                history.refresh()
                history.compress(COMPRESS_AFTER)
                history.settle()
        rows = _over_http(stages, vehicles)
        with stage.connection() as connection:
            return [*rows, *_beside_raw_rows(connection, vehicles)]


def _over_http(stages: dict[str, Stage], vehicles: int) -> list[Row]:
    """Return the latencies of each window over each history, and the extra cost of a long history."""
    latencies: dict[tuple[str, str], list[float]] = defaultdict(list)
    with ExitStack() as stack:
        clients = {}
        for name, stage in stages.items():
            stack.enter_context(stage.serving(*SERVICE))
            clients[name] = stack.enter_context(httpx.Client(base_url=stage.address, timeout=60))
        for number in range(ROUNDS):
            for name, client in clients.items():
                for window, hours in WINDOWS_HOURS.items():
                    found = _ask(client, vehicles, number, hours)
                    if number:  # the first round warms up
                        latencies[name, window] += found
    rows = [
        Row(
            f"performance of {window}, {name} of history",
            {"p50 ms": _quantile(found, 50), "p99 ms": _quantile(found, 99)},
        )
        for (name, window), found in latencies.items()
    ]
    p50 = {key: _quantile(found, 50) for key, found in latencies.items()}
    for window in WINDOWS_HOURS:
        ratio = p50["30 days", window] / p50["1 day", window]
        rows.append(Row(f"{window}: 30 days / 1 day of history", {"times the p50": ratio}, "at most 1.3", ratio <= 1.3))
    more = p50["30 days", "365 days"] - p50["30 days", "24 h"]
    rows.append(Row("365 days - 24 h, 30 days of history", {"ms": more}, "at most a few ms", more <= 5))
    return rows


def _ask(client: httpx.Client, vehicles: int, number: int, hours: float) -> list[float]:
    """Return the milliseconds of each request."""
    found = []
    for request in range(REQUESTS):
        vehicle = (number * REQUESTS + request) * 7919 % vehicles
        began = time.perf_counter()
        response = client.get(f"/v1/analytics/performance/V{vehicle:06d}", params={"hours": min(hours, 8760)})
        found.append((time.perf_counter() - began) * 1e3)
        if response.status_code != 200 or response.json()["efficiencyRatio"] is None:
            raise ValueError(response.text)
    return found


def _beside_raw_rows(connection: psycopg.Connection, vehicles: int) -> list[Row]:
    """Measure the function and the same two sums from raw rows, of the same vehicles and windows; they must agree."""
    took: dict[str, list[float]] = defaultdict(list)
    end = this_minute() - timedelta(minutes=7)
    for number in range(RAW_CALLS):
        vehicle = number * 7919 % vehicles
        values = {
            "vehicle": f"V{vehicle:06d}", "meter": f"M{vehicle:06d}", "start": end - timedelta(days=29.7), "end": end
        }  # fmt: skip
        answers = []
        for name, query in (("function", ANSWER), ("raw rows", RAW)):
            began = time.perf_counter()
            answers.append(connection.execute(query, values).fetchone())
            took[name].append((time.perf_counter() - began) * 1e3)
        if not all(math.isclose(*pair, rel_tol=1e-9) for pair in zip(*answers, strict=True)):
            raise ValueError(f"{answers[0]} is not {answers[1]}")
    p50 = {name: statistics.median(found) for name, found in took.items()}
    return [
        Row("performance of 29.7 days in SQL", {"p50 ms": p50["function"]}),
        Row("the same from raw rows only", {"p50 ms": p50["raw rows"], "ratio": p50["raw rows"] / p50["function"]}),
    ]


def _quantile(found: list[float], percent: int) -> float:
    return statistics.quantiles(found, n=100, method="inclusive")[percent - 1]
