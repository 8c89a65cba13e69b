"""Benchmark of single readings at full speed: the service beside servers without framework or group commit."""

from __future__ import annotations

import statistics
from collections import defaultdict

from bench.report import Row
from bench.stage import SERVICE, Load, Stage

CONNECTIONS = 64
ROUNDS = 3
SECONDS = 8
SERVERS = {"service": SERVICE, "bare": ("bench.servers", "bare"), "ungrouped": ("bench.servers", "ungrouped")}


def measure(stage: Stage) -> list[Row]:
    """Measure in turns, so that noise of the machine affects all alike; return the medians of the rounds."""
    loads: dict[str, list[Load]] = defaultdict(list)
    for _ in range(ROUNDS):
        for name, command in SERVERS.items():
            with stage.serving(*command):
                stage.wrk("/v1/ingest/meter", seconds=1, connections=CONNECTIONS)
                loads[name].append(stage.wrk("/v1/ingest/meter", seconds=SECONDS, connections=CONNECTIONS))
    rates = {name: statistics.median(load.rate for load in found) for name, found in loads.items()}
    rows = [
        Row(
            f"single POST, {name}",
            {
                "requests/s": rates[name],
                "p50 ms": statistics.median(load.p50 for load in found) / 1e3,
                "p99 ms": statistics.median(load.p99 for load in found) / 1e3,
                "errors": sum(load.errors for load in found),
            },
        )
        for name, found in loads.items()
    ]
    return [
        *rows,
        Row.ratio("service / bare", rates["service"] / rates["bare"], at_least=0.8),
        Row.ratio("service / ungrouped", rates["service"] / rates["ungrouped"], at_least=2.5),
    ]
