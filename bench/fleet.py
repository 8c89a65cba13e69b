"""Benchmark of the mission's load, and of a hundred times as many devices, with `energy simulate`.

The simulator never waits for answers.
"""

from __future__ import annotations

import os
import statistics
import time
from typing import Any

import msgspec

from bench.report import Row
from bench.stage import SERVICE, Stage, cpu_seconds, resident

MISSION_VEHICLES = 10_000
MISSION_SECONDS = 60
MILLION_VEHICLES = 1_000_000
MILLION_SECONDS = 120
BATCH = 1000
NEEDED = 2 * MILLION_VEHICLES / 60
"""Rows/s needed."""


def measure_mission(stage: Stage) -> list[Row]:
    """Measure 10,000 meters and 10,000 vehicles, a reading a minute each, one a request: 333 requests/s."""
    found = simulate(stage, MISSION_VEHICLES, MISSION_SECONDS, "--batch", "1")
    counts = found["counts"]
    errors = counts["retries"] + counts["lost"] + sum(found["faults"].values())
    figures = {
        "requests/s": counts["requests"] / found["seconds"],
        "p50 ms": found["p50_ms"],
        "p99 ms": found["p99_ms"],
        "p99.9 ms": found["p999_ms"],
        "errors": errors,
    }
    met = found["p99_ms"] <= 25 and not errors
    return [Row("mission, single POST", figures, "p99 at most 25 ms, no error", met), *found["usage"]]


def measure_million(stage: Stage) -> list[Row]:
    """Measure a million meters and a million vehicles, a reading a minute each, through batches of both kinds."""
    path = stage.folder / "samples.ndjson"
    found = simulate(
        stage, MILLION_VEHICLES, MILLION_SECONDS, "--batch", str(BATCH), "--concurrency", "16", "--samples", str(path)
    )
    samples = [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]
    counts = found["counts"]
    settled = counts["sent"] - counts["lost"]
    rate = settled / found["seconds"]
    rows = [
        Row(
            f"million, second {low} to {high}",
            {
                "rows/s": _rate(samples, low, high),
                "batches under way": max(sample["counts"]["in_flight"] for sample in samples[low:high]),
                "s behind": max(sample["behind_s"] for sample in samples[low:high]),
                "p50 ms": statistics.median(sample["p50_ms"] or 0 for sample in samples[low:high]),
                "worst p99 ms": max(sample["p99_ms"] or 0 for sample in samples[low:high]),
            },
        )
        for low, high in ((n, n + 30) for n in range(0, MILLION_SECONDS, 30))
        if len(samples) > low + 1
    ]
    met = rate >= 0.99 * NEEDED and not counts["lost"] and counts["retries"] == 0
    figures = {"rows/s": rate, "p50 ms": found["p50_ms"], "p99 ms": found["p99_ms"], "retries": counts["retries"]}
    return [
        *rows,
        Row("million, all", figures, f"{NEEDED:,.0f} rows/s, none turned away", met),
        *found["usage"],
    ]


def _rate(samples: list[dict[str, Any]], low: int, high: int) -> float:
    """Return the readings/s stored or rejected between two samples."""
    first, last = samples[low], samples[min(high, len(samples) - 1)]
    settled = [s["counts"]["stored"] + s["counts"]["duplicates"] + s["counts"]["refused"] for s in (first, last)]
    return float((settled[1] - settled[0]) / (last["seconds"] - first["seconds"]))


def simulate(stage: Stage, vehicles: int, seconds: int, *options: str) -> dict[str, Any]:
    """Run the simulator; `usage` adds rows of all processes involved, `spent` their seconds of a processor."""
    command = ["service.cli", "simulate", "--url", stage.address, "--vehicles", str(vehicles), "--json"]
    with stage.serving(*SERVICE) as service:
        database = stage.database_processes(service)
        used = {"service": cpu_seconds([service]), "database": cpu_seconds(database), "simulate": _children_seconds()}
        began = time.monotonic()
        found: dict[str, Any] = msgspec.json.decode(stage.run(*command, "--duration", str(seconds), *options))
        elapsed = time.monotonic() - began
        database = stage.database_processes(service)  # some of its backends are new
        spent = {"service": cpu_seconds([service]), "database": cpu_seconds(database), "simulate": _children_seconds()}
        spent = {name: seconds - used[name] for name, seconds in spent.items()}
        found["spent"] = spent
        found["usage"] = [
            Row("  service", {"cores": spent["service"] / elapsed, "MiB": resident([service])}),
            Row("  database", {"cores": spent["database"] / elapsed, "MiB": resident(database)}),
            Row("  energy simulate", {"cores": spent["simulate"] / elapsed}),
        ]
    return found


def _children_seconds() -> float:
    """Return the processor time of the child processes that have ended."""
    times = os.times()
    return times.children_user + times.children_system
