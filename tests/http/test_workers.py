"""Processes that serve: many at once on the same devices, and what becomes of acknowledged readings when they end."""

import asyncio
import collections
import random
import re
import signal
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest

from tests.support import YESTERDAY, TestDatabase, meter_reading
from tests.support.processes import Service, assert_one_plain_line, free_port, run, running, wait_until_gone

pytestmark = pytest.mark.concurrent

CONNECTIONS = 16


@pytest.fixture
def two_workers(empty_database: TestDatabase) -> dict[str, str]:
    return {"DATABASE_URL": empty_database.url, "ENERGY_WORKERS": "2"}


def workers(service: Service) -> list[psutil.Process]:
    """The processes of `service` that listen on its port, but the one that supervises them."""
    children = psutil.Process(service.process.pid).children()
    return [child for child in children if "spawn_main" in command(child)]


def command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:  # it has just ended
        return ""


def worker_of(request_id: str) -> str:
    """The beginning of a request's id: each worker begins its ids differently."""
    return request_id.partition("-")[0]


def listening_on(port: int) -> list[str]:
    """The sockets that listen on a port, as the kernel lists them."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    return [
        inode
        for _, local, _, state, *_, inode in (line[:10] for line in lines)
        if local.endswith(f":{port:04X}") and state == "0A"
    ]


def stored_meters(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        return {row[0] for row in connection.execute("SELECT meter_id FROM telemetry.meter_telemetry_history")}


async def test_two_workers_store_thousands_of_conflicting_batches_each_reading_once(
    two_workers: dict[str, str],
) -> None:
    meters = [f"M{n}" for n in range(30)]
    times = [YESTERDAY + n * timedelta(minutes=1) for n in range(40)]
    chance = random.Random(3)
    batches = [
        [
            meter_reading(chance.choice(meters), chance.choice(times), kwhConsumedAc=float(chance.randrange(3)))
            for _ in range(20)
        ]
        for _ in range(3000)
    ]
    sent = {(item["meterId"], item["timestamp"]) for batch in batches for item in batch}
    totals: collections.Counter[str] = collections.Counter()
    answered_by: collections.Counter[str] = collections.Counter()
    waiting = iter(batches)

    with running(two_workers, "--migrate") as service:
        assert service.process.stdout is not None
        assert service.process.stdout.readline() == "workers   2\n"

        async def send() -> None:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{service.port}", timeout=30) as client:
                for batch in waiting:
                    answer = await client.post("/v1/ingest/meter/batch", json=batch)
                    assert answer.status_code in {201, 207, 422}, answer.text
                    totals.update({name: n for name, n in answer.json().items() if name != "errors"})
                    answered_by[worker_of(answer.headers["x-request-id"])] += 1

        await asyncio.gather(*(send() for _ in range(CONNECTIONS)))
        assert service.stop(signal.SIGTERM) == (0, "")

    assert len(answered_by) == 2, "one of them served nobody"
    assert totals["stored"] == len(sent)
    assert totals["received"] == 60_000 == sum(totals[k] for k in ("stored", "duplicates", "conflicts"))
    assert totals["conflicts"] > 10_000
    with psycopg.connect(two_workers["DATABASE_URL"]) as connection:
        history = connection.execute("SELECT count(*) FROM telemetry.meter_telemetry_history").fetchone()
        assert history == (len(sent),)
        status = connection.execute("SELECT meter_id, recorded_at FROM telemetry.meter_current_status").fetchall()
    newest = {meter: max(datetime.fromisoformat(at) for device, at in sent if device == meter) for meter in meters}
    assert dict(status) == newest


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the kernel does not spread connections over sockets")
async def test_connections_are_spread_over_the_workers(two_workers: dict[str, str]) -> None:
    with running(two_workers, "--migrate") as service:

        async def ask() -> str:
            """Open a connection and ask once; it stays open, as those of devices do."""
            reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
            writer.write(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            writers.append(writer)
            return worker_of(re.findall(r"(?i)^x-request-id: (.+)\r$", head, re.MULTILINE)[0])

        writers: list[asyncio.StreamWriter] = []
        answered_by = collections.Counter(await asyncio.gather(*(ask() for _ in range(128))))
        for writer in writers:
            writer.close()
        # 64 each, give or take 6; half of that happens by chance once in ten million times
        assert len(answered_by) == 2
        assert min(answered_by.values()) > 32, answered_by
        assert len(listening_on(service.port)) == 2, "they accept from one common socket"
        taken = run("serve", **two_workers, PORT=str(service.port))
        assert_one_plain_line(taken, f"port {service.port}", "stop what uses it")


def test_a_worker_that_dies_is_replaced(two_workers: dict[str, str]) -> None:
    with running(two_workers, "--migrate") as service:
        assert service.post_meter("M1").status_code == 201
        victim, other = workers(service)
        victim.kill()
        deadline = time.monotonic() + 30
        while len(now := workers(service)) < 2 or victim in now:
            assert time.monotonic() < deadline, "nobody took its place"
            time.sleep(0.1)
        assert other in now
        assert service.post_meter("M1").json() == {"outcome": "duplicate"}
        assert service.stop(signal.SIGTERM)[0] == 0


def test_workers_end_with_the_process_that_supervises_them(two_workers: dict[str, str]) -> None:
    with running(two_workers, "--migrate") as service:
        assert service.post_meter("M1").status_code == 201
        orphans = workers(service)
        service.stop(signal.SIGKILL)
        for orphan in orphans:
            wait_until_gone(orphan.pid)


def test_more_than_one_worker_needs_a_server(tmp_path) -> None:
    result = run("serve", ENERGY_WORKERS="2", ENERGY_DATA_DIR=str(tmp_path), PORT=str(free_port()))
    assert_one_plain_line(result, "ENERGY_WORKERS", "DATABASE_URL")


@pytest.mark.parametrize("count", ["1", "2"])
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
async def test_what_was_acknowledged_is_stored_however_the_service_ends(
    empty_database: TestDatabase, how: signal.Signals, count: str
) -> None:
    acknowledged: set[str] = set()
    refused: list[httpx.Response] = []
    environment = {"DATABASE_URL": empty_database.url, "ENERGY_WORKERS": count}
    with running(environment, "--migrate") as service:

        async def send(sender: int) -> None:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{service.port}", timeout=30) as client:
                for number in range(100_000):
                    meter = f"M{sender}-{number}"
                    answer = await client.post("/v1/ingest/meter", json=meter_reading(meter))
                    if answer.status_code == 201:
                        acknowledged.add(meter)
                    else:
                        refused.append(answer)

        sending = asyncio.gather(*(send(sender) for sender in range(CONNECTIONS)), return_exceptions=True)
        while len(acknowledged) <= 100 and not sending.done():  # noqa: ASYNC110 - what it waits for has no event
            await asyncio.sleep(0.2)
        began = time.monotonic()
        status, stderr = await asyncio.to_thread(service.stop, how)
        ended = time.monotonic() - began
        errors = await sending
    assert all(isinstance(error, httpx.TransportError) for error in errors), errors
    assert len(acknowledged) > 100
    stored = stored_meters(empty_database.url)
    assert acknowledged <= stored
    if how == signal.SIGTERM:
        assert (status, stderr, refused) == (0, "", [])
        assert ended < 10
        # whoever was being served when it came has got its answer
        assert len(stored - acknowledged) == 0


def test_a_revoked_key_is_refused_by_every_worker_within_5_seconds(two_workers: dict[str, str]) -> None:
    with (
        running({**two_workers, "ENERGY_AUTH": "required"}, "--migrate") as service,
        psycopg.connect(two_workers["DATABASE_URL"], autocommit=True) as connection,
    ):
        key, token = connection.execute("SELECT key_id, token FROM ops.create_api_key('read')").fetchone() or ("", "")

        def statuses_of_both() -> set[int]:
            """What new connections are answered, until both workers have answered some."""
            statuses, answered_by = set(), set()
            deadline = time.monotonic() + 20
            while len(answered_by) < 2:
                assert time.monotonic() < deadline, "one of the workers answers nothing"
                headers = {"authorization": f"Bearer {token}"}
                answer = httpx.get(f"{service.url}/v1/analytics/fleet", headers=headers, timeout=30)
                statuses.add(answer.status_code)
                answered_by.add(worker_of(answer.headers["x-request-id"]))
            return statuses

        assert statuses_of_both() == {200}
        connection.execute("SELECT ops.revoke_api_key(%s)", [key])
        time.sleep(5)
        assert statuses_of_both() == {401}


def test_metrics_of_all_workers_are_added_up_and_outlive_a_worker_that_is_killed(two_workers: dict[str, str]) -> None:
    stored = 'energy_readings_total{kind="meter",outcome="stored"} '
    limit = "energy_ingest_queue_limit_readings "

    def read(name: str) -> float:
        return sum(
            float(line[len(name) :]) for line in service.get("/metrics").text.splitlines() if line.startswith(name)
        )

    with running(two_workers, "--migrate") as service:
        for number in range(40):
            assert service.post_meter(f"M{number}").status_code == 201
        assert [read(stored) for _ in range(6)] == [40] * 6
        deadline = time.monotonic() + 20
        while read(limit) != 20_000:  # each worker has a queue of its own
            assert time.monotonic() < deadline
            time.sleep(0.2)
        victim, _ = workers(service)
        victim.kill()
        while len(now := workers(service)) < 2 or victim in now:
            assert time.monotonic() < deadline, "nobody took its place"
            time.sleep(0.1)
        assert service.post_meter("M40").status_code == 201
        assert [read(stored) for _ in range(6)] == [41] * 6
        time.sleep(3)
        assert read(limit) == 20_000, "the gauges of the dead one are still counted"
        assert service.stop(signal.SIGTERM)[0] == 0
