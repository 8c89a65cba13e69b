"""The database is killed, stopped, frozen, cut off, full, or slow, while devices send."""

import asyncio
import contextlib
import os
import time
from pathlib import Path

import psycopg
import pytest

from tests.faults.conftest import Tell
from tests.faults.driver import compare, fleet
from tests.faults.probe import probing
from tests.faults.proxy import proxying
from tests.faults.server import Server, run_server, small_disk
from tests.support.processes import run, running

pytestmark = [pytest.mark.faults, pytest.mark.timeout(240)]

READY_WITHIN_S = 2.0
STOPPED_S = 30.0
SETTINGS = {"ENERGY_LOG_LEVEL": "error"}


async def test_the_database_is_killed_and_restarted(server: Server, url: str, tell: Tell) -> None:
    with running({**SETTINGS, "DATABASE_URL": url}, "--migrate") as service:
        async with probing(service.url) as probe:
            sending = fleet(service.url)
            await sending.start()
            silences = []
            for _ in range(3):
                await sending.until(300)
                killed = time.monotonic()
                await asyncio.to_thread(server.kill)
                await probe.until(ready=False)
                assert probe.turned(killed, ready=False) < READY_WITHIN_S
                await asyncio.to_thread(server.start)
                back = time.monotonic()
                await probe.until(ready=True)
                await sending.until(100)
                silences.append(max(probe.turned(back, ready=True), sending.recovery(back)))
            await sending.stop()
    tell(
        "database killed (-9) and restarted, 3 times",
        compare(url, sending),
        [sending],
        f"served and ready again {max(silences):.2f} s after it accepted connections",
    )
    assert max(silences) < READY_WITHIN_S


@pytest.mark.parametrize("how", ["stopped", "frozen"])
async def test_the_database_is_away_for_long(server: Server, url: str, tell: Tell, how: str) -> None:
    with running({**SETTINGS, "DATABASE_URL": url}, "--migrate") as service:
        async with probing(service.url) as probe:
            sending = fleet(service.url)
            await sending.start()
            await sending.until(300)
            gone = time.monotonic()
            await asyncio.to_thread(server.stop if how == "stopped" else server.freeze)
            await probe.until(ready=False)
            unready = probe.turned(gone, ready=False)
            await asyncio.sleep(STOPPED_S)
            await asyncio.to_thread(server.start if how == "stopped" else server.thaw)
            back = time.monotonic()
            await probe.until(ready=True)
            await sending.until(100)
            await sending.stop()
    ready, served = probe.turned(back, ready=True), sending.recovery(back)
    tell(
        f"database {how} for {STOPPED_S:g} s",
        compare(url, sending),
        [sending],
        f"unready after {unready:.2f} s; back: ready after {ready:.2f} s, served after {served:.2f} s",
    )
    assert unready < READY_WITHIN_S + (how == "stopped")  # which takes its time to stop
    assert ready < READY_WITHIN_S
    assert served < READY_WITHIN_S


async def test_its_connections_are_terminated(url: str, tell: Tell) -> None:
    terminate = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        "WHERE application_name LIKE 'energy-service%' AND datname = current_database()"
    )
    with running({**SETTINGS, "DATABASE_URL": url}, "--migrate") as service:
        sending = fleet(service.url)
        await sending.start()
        cut = 0
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            for _ in range(30):
                await asyncio.sleep(0.3)
                [count] = await (await connection.execute(terminate)).fetchone() or (0,)
                cut += count
        last = time.monotonic()
        await sending.until(100)
        await sending.stop()
    tell(
        "pg_terminate_backend of all, 30 times in 9 s",
        compare(url, sending),
        [sending],
        f"{cut} connections ended; longest silence {sending.longest_silence():.2f} s",
    )
    assert cut > 30
    assert sending.recovery(last) < READY_WITHIN_S


async def test_its_connections_are_reset_on_the_way(server: Server, url: str, tell: Tell) -> None:
    async with proxying(server.port) as proxy:
        through = url.replace(f":{server.port}/", f":{proxy.port}/")
        assert (await asyncio.to_thread(run, "migrate", DATABASE_URL=url)).returncode == 0
        context = running({**SETTINGS, "DATABASE_URL": through})
        service = await asyncio.to_thread(context.__enter__)  # the proxy runs in this loop
        try:
            sending = fleet(service.url)
            await sending.start()
            cut = 0
            for _ in range(30):
                await asyncio.sleep(0.3)
                cut += proxy.reset()
            last = time.monotonic()
            await sending.until(100)
            await sending.stop()
        finally:
            context.__exit__(None, None, None)
    tell(
        "connections reset by a proxy, 30 times in 9 s",
        compare(url, sending),
        [sending],
        f"{cut} connections reset; longest silence {sending.longest_silence():.2f} s",
    )
    assert cut > 30
    assert sending.recovery(last) < READY_WITHIN_S


async def test_its_connections_fall_silent(server: Server, url: str, tell: Tell) -> None:
    async with proxying(server.port) as proxy:
        through = url.replace(f":{server.port}/", f":{proxy.port}/")
        assert (await asyncio.to_thread(run, "migrate", DATABASE_URL=url)).returncode == 0
        context = running({**SETTINGS, "DATABASE_URL": through})
        service = await asyncio.to_thread(context.__enter__)
        try:
            async with probing(service.url) as probe:
                sending = fleet(service.url)
                await sending.start()
                await sending.until(300)
                silent = time.monotonic()
                proxy.hang()
                await asyncio.sleep(15)
                proxy.flow()
                back = time.monotonic()
                await sending.until(100)
                await probe.until(ready=True)
                await sending.stop()
        finally:
            context.__exit__(None, None, None)
    unready, ready = probe.turned(silent, ready=False), probe.turned(back, ready=True)
    tell(
        "connections silent for 15 s (a proxy that passes nothing)",
        compare(url, sending),
        [sending],
        f"unready after {unready:.2f} s; back: ready after {ready:.2f} s, served after {sending.recovery(back):.2f} s",
    )
    assert unready < READY_WITHIN_S
    assert max(ready, sending.recovery(back)) < READY_WITHIN_S


async def test_its_disk_is_full(tell: Tell) -> None:
    with small_disk(400) as folder, run_server(folder) as server:
        with running({**SETTINGS, "DATABASE_URL": server.url}, "--migrate") as service:
            async with probing(service.url) as probe:
                sending = fleet(service.url, batch=200)
                await sending.start()
                await sending.until(2000)
                ballast = folder / "ballast"
                fill(ballast)
                full = time.monotonic()
                refused = sending.answers["503"]
                async with asyncio.timeout(60):
                    while sending.answers["503"] == refused:  # noqa: ASYNC110
                        await asyncio.sleep(0.05)
                first = time.monotonic() - full
                await asyncio.sleep(8)
                survived = server.is_running
                ballast.unlink()
                if not server.is_running:
                    await asyncio.to_thread(server.start)
                back = time.monotonic()
                await probe.until(ready=True)
                await sending.until(2000)
                await sending.stop()
        verdict = compare(server.url, sending)
    died = "the server went on" if survived else "the server ended itself (no room for WAL) and was started again"
    tell(
        "disk of the database full for 8 s",
        verdict,
        [sending],
        f"first 503 after {first:.2f} s; {died}; room again: ready after {probe.turned(back, ready=True):.2f} s, "
        f"served after {sending.recovery(back):.2f} s",
    )
    assert sending.recovery(back) < 5


def fill(ballast: Path) -> None:
    """Take what room there is."""
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1 << 20))
    with ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    assert os.statvfs(ballast).f_bavail == 0


async def test_its_statements_time_out(url: str, tell: Tell) -> None:
    with running({**SETTINGS, "DATABASE_URL": url}, "--migrate") as service:
        sending = fleet(service.url)
        await sending.start()
        await sending.until(200)
        name = url.rpartition("/")[2]
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            await connection.execute(f"ALTER DATABASE {name} SET statement_timeout = '300ms'")
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'energy-service%'"
            )
            for _ in range(4):
                await sending.until(100)
                async with connection.transaction():
                    # as some statement of a DBA might; what comes behind it runs into the time-out
                    await connection.execute("LOCK telemetry.meter_current_status, telemetry.vehicle_current_status")
                    await asyncio.sleep(1.5)
        freed = time.monotonic()
        await sending.until(100)
        await sending.stop()
    tell(
        "statement_timeout of 300 ms, tables locked for 1.5 s, 4 times",
        compare(url, sending),
        [sending],
        f"served {sending.recovery(freed):.2f} s after the lock went",
    )
    assert sending.answers["503"] > 0
    assert sending.recovery(freed) < READY_WITHIN_S


async def test_it_is_migrated(url: str, tell: Tell) -> None:
    with running({**SETTINGS, "DATABASE_URL": url}, "--migrate") as service:
        async with probing(service.url) as probe:
            sending = fleet(service.url)
            await sending.start()
            await sending.until(200)
            began = time.monotonic()
            for _ in range(3):
                result = await asyncio.to_thread(run, "migrate", DATABASE_URL=url)
                assert result.returncode == 0, result.stderr
            ended = time.monotonic()
            await sending.until(100)
            await probe.until(ready=True)
            await sending.stop()
    tell(
        "energy migrate, 3 times (all functions and views anew)",
        compare(url, sending),
        [sending],
        f"{sending.rate(began, ended):.0f} readings/s meanwhile; longest silence {sending.longest_silence():.2f} s",
    )
    assert sending.longest_silence() < 10
    assert probe.turned(ended, ready=True) < READY_WITHIN_S
