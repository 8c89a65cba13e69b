"""Benchmark of batches of a thousand: over HTTP, beside a program that calls the same SQL function directly."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.report import Row
from bench.stage import SERVICE, Stage
from service.database.pool import CONNECTIONS, open_database
from service.readings.model import METER
from service.settings import load_settings
from service.startup import prepared_database

ROUNDS = 3
SENDERS = 4
READINGS = 1000
SECONDS = 6
CALLS = 300
METERS = 10_000


def measure(stage: Stage) -> list[Row]:
    """Measure both in turns."""
    over_http, direct = [], []
    for number in range(ROUNDS):
        with stage.serving(*SERVICE):
            load = stage.wrk("/v1/ingest/meter/batch", seconds=SECONDS, connections=SENDERS, readings=READINGS)
            if load.errors:
                raise ValueError(f"{load.errors} batches failed")
            over_http.append(load.rate * READINGS)
        direct.append(_call_directly(stage, number))
    return [
        Row("batches of 1,000, HTTP", {"rows/s": over_http}),
        Row("batches of 1,000, asyncpg", {"rows/s": direct}),
        Row.ratio("HTTP / asyncpg", over_http, direct, at_least=0.8),
    ]


def _call_directly(stage: Stage, number: int) -> float:
    """Return the rows/s of `api.ingest_meter_readings` called by as many senders; the rows are made beforehand."""
    rows = _rows(f"D{number}-")
    calls = [list(itertools.islice(rows, READINGS)) for _ in range(CALLS)]

    async def call(url: str, connections: int) -> float:
        async with open_database(url, connections=connections) as database:
            waiting = iter(calls)

            async def send() -> None:
                for batch in waiting:
                    await database.write_rows(METER.ingest.query, batch)

            began = time.perf_counter()
            await asyncio.gather(*(send() for _ in range(SENDERS)))
            return CALLS * READINGS / (time.perf_counter() - began)

    with prepared_database(load_settings(stage.environment)) as prepared:
        return asyncio.run(call(prepared.url, 1 if prepared.embedded else CONNECTIONS))


def _rows(prefix: str) -> Iterator[tuple[Any, ...]]:
    """Make the rows that `readings.lua` posts."""
    start = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    for minute in itertools.count():
        time_ = start + timedelta(minutes=minute)
        for meter in range(METERS):
            yield (f"{prefix}{meter:05d}", time_, 0.05 + meter / 1e6, 225 + meter % 100 / 10, "127.0.0.1")
