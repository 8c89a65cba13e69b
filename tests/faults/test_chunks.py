"""Chunks are compressed while late readings for them arrive, and dropped while readers read them."""

import asyncio
import time
from collections import Counter
from datetime import timedelta

import aiohttp
import psycopg
import pytest

from tests.faults.conftest import Tell
from tests.faults.driver import BASE, compare, fleet
from tests.support import rfc3339
from tests.support.processes import running

pytestmark = [pytest.mark.faults, pytest.mark.timeout(240)]

SETTINGS = {"ENERGY_LOG_LEVEL": "error"}
TABLES = ("telemetry.meter_telemetry_history", "telemetry.vehicle_telemetry_history")


async def test_a_chunk_is_compressed_while_late_readings_for_it_arrive(url: str, tell: Tell) -> None:
    compressed = 0
    refused: list[str] = []
    with running({**SETTINGS, "DATABASE_URL": url}, "--migrate") as service:
        sending = fleet(service.url, batch=20)
        await sending.start()
        await sending.until(2000)
        began = time.monotonic()
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            while time.monotonic() < began + 15:
                for table in TABLES:
                    try:
                        # what is partly compressed by now as well
                        await connection.execute(
                            "SELECT compress_chunk(c, if_not_compressed => TRUE) FROM show_chunks(%s) AS c", [table]
                        )
                        compressed += 1
                    except psycopg.Error as error:
                        refused.append(str(error).partition("\n")[0])
                await asyncio.sleep(0.2)
        ended = time.monotonic()
        await sending.until(100)
        await sending.stop()
    tell(
        "chunk compressed again and again while late readings for it arrive",
        compare(url, sending),
        [sending],
        f"compressed {compressed} times ({len(refused)} gave way to readings); "
        f"{sending.rate(began, ended):.0f} readings/s meanwhile; longest silence {sending.longest_silence():.2f} s",
    )
    assert compressed > 5
    assert sending.longest_silence() < 10


async def test_chunks_are_dropped_while_readers_read(url: str, tell: Tell) -> None:
    seen: Counter[str] = Counter()
    bodies: list[str] = []
    dropped = 0
    with running({**SETTINGS, "DATABASE_URL": url}, "--migrate") as service:
        sending = fleet(service.url, devices=8)
        await sending.start()
        await sending.until(200)

        async def read(session: aiohttp.ClientSession, path: str) -> None:
            while True:
                async with session.get(service.url + path) as answer:
                    body = await answer.text()
                    seen[str(answer.status)] += 1
                    if answer.status not in {200, 503}:
                        bodies.append(f"{answer.status} {body[:300]}")

        vehicle = next(device.name for device in sending.devices if device.kind == "vehicle")
        old = {"start": rfc3339(BASE - timedelta(days=12)), "end": rfc3339(BASE + timedelta(days=1))}
        window = "&".join(f"{name}={value}" for name, value in old.items())
        paths = [
            f"/v1/history/vehicle/{vehicle}?{window}",
            f"/v1/analytics/performance/{vehicle}?{window}",
            f"/v1/analytics/efficiency?{window}",
            f"/v1/status/vehicle/{vehicle}",
        ]
        async with aiohttp.ClientSession() as session:
            reading = [asyncio.create_task(read(session, path)) for path in paths]
            async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
                began = time.monotonic()
                while time.monotonic() < began + 15:
                    # readings of ten old days, one chunk each, which nobody sent over HTTP
                    for kind, columns, values in (
                        ("meter", "kwh_consumed_ac, voltage", "1, 230"),
                        ("vehicle", "soc, kwh_delivered_dc, battery_temp", "50, 1, 30"),
                    ):
                        await connection.execute(
                            f"INSERT INTO telemetry.{kind}_telemetry_history ({kind}_id, counted_at, {columns}) "
                            f"SELECT %s, %s::timestamptz - n * INTERVAL '1 day', {values} "
                            "FROM generate_series(2, 11) n",
                            [vehicle, BASE],
                        )
                    for table in TABLES:
                        cursor = await connection.execute(
                            "SELECT count(*) FROM (SELECT drop_chunks(%s, older_than => %s::timestamptz)) AS gone",
                            [table, BASE - timedelta(days=1)],
                        )
                        dropped += (await cursor.fetchone() or (0,))[0]
            for task in reading:
                task.cancel()
            await asyncio.gather(*reading, return_exceptions=True)
        await sending.until(100)
        await sending.stop()
    answers = ", ".join(f"{count:,} {status}" for status, count in sorted(seen.items()))
    tell(
        "chunks dropped while readers read them",
        compare(url, sending),
        [sending],
        f"{dropped} chunks dropped; readers: {answers}; longest silence {sending.longest_silence():.2f} s",
    )
    assert dropped > 20
    assert not bodies, (len(bodies), bodies[:3])
