"""Benchmark of the list of 10,000 meters and as many vehicles: a search, a status, both orders, a far page."""

from __future__ import annotations

import statistics
import time

import httpx

from bench.history import STATUS
from bench.report import Row
from bench.stage import SERVICE, Stage

DEVICES = 10_000
REQUESTS = 50
WHOLE = "page of 10,000"
QUESTIONS = {
    "first page": {"kind": "vehicle"},
    "search": {"search": "v0099"},
    "status": {"status": "silent"},
    "newest first": {"sort": "-timestamp"},
    WHOLE: {"limit": "10000"},
}


def measure(stage: Stage) -> list[Row]:
    """Measure over HTTP, one request after the other, the questions in turns: milliseconds."""
    with stage.connection() as connection:
        for fill in STATUS.values():
            connection.execute(fill, [DEVICES])
        for kind in STATUS:
            connection.execute(f"ANALYZE telemetry.{kind}_current_status")
    took: dict[str, list[float]] = {name: [] for name in QUESTIONS}
    with stage.serving(*SERVICE), httpx.Client(base_url=stage.address, timeout=60) as client:
        for number in range(REQUESTS + 1):
            for name, params in QUESTIONS.items():
                began = time.perf_counter()
                client.get("/v1/devices", params=params).raise_for_status()
                if number:  # the first round warms up
                    took[name].append((time.perf_counter() - began) * 1e3)
    rows = []
    for name, found in took.items():
        p50 = statistics.median(found)
        figures = {"p50 ms": p50, "p99 ms": statistics.quantiles(found, n=100, method="inclusive")[98]}
        if name == WHOLE:
            rows.append(Row(f"devices: {name}", figures))
        else:
            rows.append(Row(f"devices: {name}", figures, "p50 at most 100 ms", p50 <= 100))
    return rows
