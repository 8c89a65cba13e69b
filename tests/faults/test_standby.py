"""A primary with a synchronous standby: whatever was acknowledged is on the standby when it is promoted."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.faults.conftest import Tell
from tests.faults.driver import compare, fleet
from tests.faults.server import Server
from tests.faults.standby import Standby, run_standby
from tests.support import YESTERDAY, meter_reading, new_pair, rfc3339, vehicle_reading
from tests.support.processes import assert_one_plain_line, run, running

pytestmark = [pytest.mark.faults, pytest.mark.timeout(240)]

SETTINGS = {"ENERGY_LOG_LEVEL": "error"}
REJECTED = (
    "SELECT api.ingest_rejected_readings(ARRAY[('meter', 'field_missing', '', '{}', NULL)::api.rejected_reading])"
)
STORABLE = REJECTED.replace("{}", json.dumps(meter_reading("M-replayed")))
ALERT = """
    INSERT INTO telemetry.alert (
        rule_name, rule_kind, kind, device_id, severity, opened_at, last_seen_at, threshold, reason
    )
    VALUES ('hot', 'battery_hot', 'vehicle', 'V1', 'critical', now(), now(), 50, 'battery at 60 °C')
"""
WAITING = (
    "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND datname = current_database() "
    "AND backend_type = 'client backend'"  # not of jobs
)


@pytest.fixture
def standby(server: Server, url: str) -> Iterator[Standby]:
    """A synchronous standby of the server, with the schema."""
    assert run("migrate", DATABASE_URL=url).returncode == 0
    with run_standby(server) as standby:
        standby.make_synchronous()
        yield standby


@asynccontextmanager
async def serving(url: str) -> AsyncIterator[httpx.AsyncClient]:
    with running({**SETTINGS, "DATABASE_URL": url}) as service:
        async with httpx.AsyncClient(base_url=service.url, timeout=60) as client:
            yield client


async def cancel_waits(url: str, of: asyncio.Task[Any]) -> None:
    """End the waits for the standby, as a DBA might, until the task is done."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        while not of.done():
            await connection.execute(f"SELECT pg_cancel_backend(pid) FROM ({WAITING}) AS waiting")
            await asyncio.sleep(0.1)


async def test_what_is_told_a_second_time_waits_for_the_standby_as_the_first_time_did(
    standby: Standby, server: Server, url: str
) -> None:
    pair = new_pair()
    linked = new_pair()
    replaced = new_pair()
    exchange = {"at": rfc3339(YESTERDAY), "lastRegister": 2, "firstRegister": 1}
    batch = [meter_reading(f"{pair.meter}-{n}") for n in range(3)]
    asked: list[tuple[str, str, Any]] = [
        ("POST", "/v1/ingest/meter", meter_reading(pair.meter)),
        ("POST", "/v1/ingest/vehicle", vehicle_reading(pair.vehicle)),
        # at the same time: it waits for the first, whose fate is open
        ("POST", "/v1/ingest/vehicle", vehicle_reading(pair.vehicle)),
        ("POST", "/v1/ingest/meter/batch", batch),
        ("POST", "/v1/ingest/meter", meter_reading(linked.meter, kwhConsumedAc=-1)),
        ("DELETE", f"/v1/links/{linked.vehicle}", None),
        ("PUT", f"/v1/devices/meter/{pair.meter}", {"expectedIntervalS": 60}),
        ("POST", f"/v1/devices/meter/{replaced.meter}/exchange", exchange),
        ("POST", "/v1/alerts/1/acknowledge", {"note": "on my way"}),
    ]

    async with serving(url) as client:

        async def ask() -> list[int]:
            answers = [client.request(method, path, json=body) for method, path, body in asked]
            return [answer.status_code for answer in await asyncio.gather(*answers)]

        # the chunks of the day, too: a transaction that makes one keeps the others waiting
        first = new_pair()
        for path, body in (
            ("/v1/ingest/meter", meter_reading(first.meter)),
            ("/v1/ingest/vehicle", vehicle_reading(first.vehicle)),
        ):
            assert (await client.post(path, json=body)).status_code == 201
        assert (await client.put(f"/v1/links/{linked.vehicle}", json={"meterId": linked.meter})).status_code == 200
        assert (
            await client.put(f"/v1/devices/meter/{replaced.meter}", json={"energyKind": "register"})
        ).status_code == 200
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(ALERT)
        await asyncio.to_thread(standby.stall)
        assert await ask() == [503] * len(asked)
        # by now all of it is committed on the primary, and visible there
        with psycopg.connect(url) as connection:
            stored = connection.execute("SELECT count(*) FROM telemetry.meter_telemetry_history").fetchone()
        assert stored == (5,)
        assert await ask() == [503] * len(asked)
        await asyncio.to_thread(standby.go_on)
        assert await ask() == [200, 200, 200, 201, 422, 404, 200, 200, 200]
        await asyncio.to_thread(server.kill)
    standby.promote()
    with psycopg.connect(standby.url_of(url)) as connection:
        stored = connection.execute("SELECT count(*) FROM telemetry.meter_telemetry_history").fetchone()
        holding = "SELECT vehicle_id FROM telemetry.vehicle_meter_link WHERE upper_inf(during)"
        links = connection.execute(holding).fetchall()
        told = connection.execute(
            "SELECT note, exchanged_at FROM telemetry.alert, telemetry.register_exchange"
        ).fetchall()
    assert stored == (5,)
    assert links == []
    assert told == [("on my way", YESTERDAY)]


async def test_a_wait_that_a_dba_cancels_is_no_acknowledgement(standby: Standby, url: str) -> None:
    pair = new_pair()
    async with serving(url) as client:
        await asyncio.to_thread(standby.stall)
        for _ in range(2):  # stored, and as a duplicate
            sending = asyncio.create_task(client.post("/v1/ingest/meter", json=meter_reading(pair.meter)))
            await cancel_waits(url, sending)
            answer = await sending
            assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
        linking = asyncio.create_task(client.put(f"/v1/links/{pair.vehicle}", json={"meterId": pair.meter}))
        await cancel_waits(url, linking)
        assert (await linking).status_code == 503
        await asyncio.to_thread(standby.go_on)
        # on other connections: the answers after it are their own
        answers = [client.post("/v1/ingest/meter", json=meter_reading(new_pair().meter)) for _ in range(20)]
        assert {answer.status_code for answer in await asyncio.gather(*answers)} == {201}
        assert (await client.post("/v1/ingest/meter", json=meter_reading(pair.meter))).status_code == 200


@pytest.mark.parametrize("command", ["import", "keys", "replay", "migrate", "time zone"])
async def test_a_command_whose_wait_is_cancelled_says_so_and_may_be_run_again(
    standby: Standby, url: str, tmp_path: Path, command: str
) -> None:
    file = tmp_path / "readings.csv"
    file.write_text(f"meterId,kwhConsumedAc,voltage,timestamp\nM1,1,230,{rfc3339(YESTERDAY)}\n")
    arguments = {
        "import": ["import", str(file)],
        "keys": ["keys", "create", "--scope", "read"],
        "replay": ["rejected", "replay"],
        "migrate": ["migrate"],
        "time zone": ["time-zone", "Europe/Berlin"],
    }[command]
    if command == "replay":
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(REJECTED)
    await asyncio.to_thread(standby.stall)
    command_runs = asyncio.create_task(asyncio.to_thread(run, *arguments, DATABASE_URL=url))
    await cancel_waits(url, command_runs)
    found = await command_runs
    assert_one_plain_line(found, "not confirmed by the synchronous standbys")
    await asyncio.to_thread(standby.go_on)
    assert (await asyncio.to_thread(run, *arguments, DATABASE_URL=url)).returncode == 0


@pytest.mark.parametrize(
    ("before", "arguments", "status", "said"),
    [
        (STORABLE, ["rejected", "replay"], 0, ""),
        ("SELECT", ["archive", "run"], 0, ""),
        (
            "SELECT ops.set_webhook('night', 'https://a.example')",
            ["alerts", "webhooks", "remove", "night"],
            1,
            "no webhook",
        ),
    ],
    ids=["replay", "archive", "webhook"],
)
async def test_a_command_that_finds_its_work_done_waits_for_the_standby_too(
    standby: Standby, url: str, tmp_path: Path, before: str, arguments: list[str], status: int, said: str
) -> None:
    environment = {"DATABASE_URL": url, "ENERGY_ARCHIVE": str(tmp_path)}
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(before)
    await asyncio.to_thread(standby.stall)
    for _ in range(2):  # done, and found done
        command = asyncio.create_task(asyncio.to_thread(run, *arguments, **environment))
        await cancel_waits(url, command)
        unconfirmed = await command
        assert (unconfirmed.returncode, unconfirmed.stderr.count("\n")) == (1, 1), unconfirmed
        assert "not confirmed by the synchronous standbys" in unconfirmed.stderr
    await asyncio.to_thread(standby.go_on)
    found = await asyncio.to_thread(run, *arguments, **environment)
    assert (found.returncode, said in found.stderr) == (status, True), found


async def test_the_standby_stalls_and_then_the_primary_is_lost(
    standby: Standby, server: Server, url: str, tell: Tell
) -> None:
    with running({**SETTINGS, "DATABASE_URL": url}) as service:
        sending = fleet(service.url)
        await sending.start()
        await sending.until(300)
        stalled = time.monotonic()
        await asyncio.to_thread(standby.stall)
        await asyncio.sleep(24)  # the first wait ends after 10 s, and then come the retries
        await asyncio.to_thread(server.kill)
    await asyncio.to_thread(standby.promote)
    promoted = time.monotonic()
    with running({**SETTINGS, "DATABASE_URL": standby.url_of(url)}) as service:
        sending.url = service.url
        await sending.until(100)
        await sending.stop()
    tell(
        "synchronous standby stalled for 24 s, then the primary lost and the standby promoted",
        compare(standby.url_of(url), sending),
        [sending],
        f"{sum(n for at, n in sending.acknowledged_at if stalled + 1 < at < promoted)} acknowledged during the stall",
    )


def test_doctor_and_metrics_say_what_a_failover_would_lose(server: Server, url: str) -> None:
    assert run("migrate", DATABASE_URL=url).returncode == 0
    with psycopg.connect(url, autocommit=True) as connection:

        def said() -> tuple[str, bool]:
            query = "SELECT finding, is_fault FROM ops.diagnose() WHERE topic = 'standbys'"
            [(finding, is_fault)] = connection.execute(query).fetchall()
            return finding, is_fault

        def metrics() -> dict[str, float]:
            query = "SELECT name || coalesce(labels ->> 'state', ''), value FROM api.get_database_metrics()"
            found = connection.execute(f"{query} WHERE name LIKE '%%standby%%'").fetchall()
            return {name.removeprefix("energy_"): value for name, value in found}

        finding, is_fault = said()
        assert ("there is none" in finding, is_fault) == (True, False)
        with run_standby(server) as standby:
            finding, is_fault = said()
            assert ("1, none of them synchronous: a failover can lose" in finding, is_fault) == (True, True)
            standby.catch_up()
            found = metrics()
            assert found.pop("standby_lag_bytes") >= 0
            assert found == {
                "synchronous_standbys_required": 0,
                "standbyssynchronous": 0,
                "standbysasynchronous": 1,
            }
            standby.make_synchronous()
            assert said() == ("1, 1 of them synchronous: acknowledged readings outlive a failover", False)
            standby.stall()
            connection.execute("SET synchronous_commit = local; CREATE TABLE filling AS SELECT generate_series(1, 1e4)")
            finding, is_fault = said()
            assert ("no such standby is connected" in finding, is_fault) == (True, True)
            assert metrics() == {
                "synchronous_standbys_required": 1,
                "standbyssynchronous": 0,
                "standbysasynchronous": 0,
            }
            standby.go_on()
            doctor = run("doctor", DATABASE_URL=url)
            assert "1 of them synchronous" in doctor.stdout
            standby.freeze()  # it stays connected, and does not answer
            connection.execute("INSERT INTO filling SELECT generate_series(1, 1e4)")
            assert metrics()["standby_lag_bytes"] > 100_000
            standby.thaw()
