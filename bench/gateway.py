"""A gateway that sends the readings of a fleet, live and late.

They pass through the service's group commit, which separates late readings from live ones, but not over HTTP.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import psycopg

from bench.stage import Stage
from service.database.pool import CONNECTIONS, Database, open_database
from service.readings.model import METER, VEHICLE
from service.settings import load_settings
from service.startup import prepared_database

BATCH = 1000
LATE_SHARE = 0.01
MOST_LATE = timedelta(days=1)
SETTLED_S = 120
"""Time for jobs and load to settle before the first probe."""
PROBES = 8
PROBE_EVERY_S = 17
MOST_WAIT_S = 900
"""A probe that is not seen by then counts as this."""
HOUR_OF_PROBE = """
    SELECT 1 FROM bi.meter_hourly WHERE meter_id = %s AND bucket = date_trunc('hour', telemetry.counted_at(%s), 'UTC')
"""
_Result = TypeVar("_Result")


class Gateway:
    """A sender of the readings of the devices of `bench.history`; one in a hundred is up to a day late.

    Args:
        stage: the database.
        vehicles: number of vehicles, with a meter each.
    """

    def __init__(self, stage: Stage, vehicles: int) -> None:
        self._stage = stage
        self._vehicles = vehicles
        self._random = random.Random(0)  # noqa: S311 - the same in every run

    def send_minute(self) -> None:
        """Send a reading of each device."""
        self._run(self._send_minute)

    def time_probes(self) -> list[float]:
        """Return the seconds until each of some late readings is in bi.meter_hourly, under the load of the fleet."""
        return self._run(self._time_probes)

    def _run(self, act: Callable[[Database], Awaitable[_Result]]) -> _Result:
        async def run(url: str, connections: int) -> _Result:
            async with open_database(url, connections=connections) as database:
                return await act(database)

        with prepared_database(load_settings(self._stage.environment)) as prepared:
            return asyncio.run(run(prepared.url, 1 if prepared.embedded else CONNECTIONS))

    async def _send_minute(self, database: Database, seconds: float = 0) -> None:
        """Send in batches of a thousand, spread over `seconds`."""
        starts = range(0, self._vehicles, BATCH)
        for start in starts:
            began = time.perf_counter()
            devices = range(start, min(start + BATCH, self._vehicles))
            await asyncio.gather(
                database.call_grouped(METER.ingest, [(f"M{n:06d}", self._time(), 0.001, 230.0, None) for n in devices]),
                database.call_grouped(
                    VEHICLE.ingest, [(f"V{n:06d}", self._time(), 60.0, 0.0009, 25.0, None) for n in devices]
                ),
            )
            await asyncio.sleep(max(0.0, seconds / len(starts) - (time.perf_counter() - began)))

    def _time(self) -> datetime:
        """Return now or, for one in a hundred, up to a day ago; unique to the microsecond."""
        late = MOST_LATE * self._random.random() if self._random.random() < LATE_SHARE else timedelta(0)
        return datetime.now(UTC) - late

    async def _time_probes(self, database: Database) -> list[float]:
        load = asyncio.create_task(self._send_on(database))
        await asyncio.sleep(SETTLED_S)
        probes = []
        for number in range(PROBES):
            probe = self._time_probe(database, f"P{number:06d}", timedelta(hours=2.5 + number * 21 / PROBES))
            probes.append(asyncio.create_task(probe))
            await asyncio.sleep(PROBE_EVERY_S)
        took = await asyncio.gather(*probes)
        load.cancel()
        await asyncio.gather(load, return_exceptions=True)
        return list(took)

    async def _send_on(self, database: Database) -> None:
        while True:
            await self._send_minute(database, 60)

    async def _time_probe(self, database: Database, meter: str, late: timedelta) -> float:
        """Time a late reading of a meter without other readings, seconds."""
        recorded_at = datetime.now(UTC) - late
        await database.call_grouped(METER.ingest, [(meter, recorded_at, 0.001, 230.0, None)])
        began = time.perf_counter()
        async with await psycopg.AsyncConnection.connect(self._stage.url or "", autocommit=True) as connection:
            while (waited := time.perf_counter() - began) < MOST_WAIT_S:
                if await (await connection.execute(HOUR_OF_PROBE, [meter, recorded_at])).fetchone():
                    break
                await asyncio.sleep(0.5)
        return waited
