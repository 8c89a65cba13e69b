"""Benchmark of the service's memory under single readings: it must not grow."""

from __future__ import annotations

from bench.report import Row
from bench.single import CONNECTIONS
from bench.stage import SERVICE, Stage, resident

WARM_UP_SECONDS = 10
SECONDS = 300
FLAT = 0.05


def measure(stage: Stage) -> list[Row]:
    """Measure after the start, with every connection and pool open, and after five minutes."""
    with stage.serving(*SERVICE) as service:
        at_start = resident([service])
        stage.wrk("/v1/ingest/meter", seconds=WARM_UP_SECONDS, connections=CONNECTIONS)
        warm = resident([service])
        load = stage.wrk("/v1/ingest/meter", seconds=SECONDS, connections=CONNECTIONS)
        after = resident([service])
    figures = {
        "MiB at start": at_start,
        f"MiB after {WARM_UP_SECONDS} s": warm,
        f"MiB after {SECONDS} s more": after,
        "requests": float(load.requests),
        "errors": float(load.errors),
    }
    growth = after / warm - 1 if warm and after else None
    return [
        Row("memory of the service", figures),
        Row("its growth under load", {"growth": growth}, f"at most {FLAT:g}", growth is not None and growth <= FLAT),
    ]
