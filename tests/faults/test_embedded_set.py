"""The smaller set, on whatever database `make test` runs: kills, a stop, wrong clocks and an overload."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from service.embedded import run_embedded
from tests.faults.driver import Fleet, compare, fleet
from tests.support import Api, Owner, Pair, TestDatabase, fresh_database, now
from tests.support.processes import Service, free_port, running
from tests.support.templates import copy_migrated

pytestmark = pytest.mark.long


class Standing:
    """A service that the tests of this module end, each in its way, and start again on the same data."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = {**environment, "PORT": str(free_port()), "ENERGY_MAX_PENDING": "1000"}
        self.url = f"http://127.0.0.1:{self.environment['PORT']}"
        self._contexts = contextlib.ExitStack()

    def start(self) -> Service:
        """Another, after what is left of the one before."""
        self._contexts.close()
        return self._contexts.enter_context(running({**self.environment, "ENERGY_LOG_LEVEL": "error"}, "--migrate"))

    def end(self) -> None:
        self._contexts.close()


@pytest.fixture(scope="module")
def standing(test_database: TestDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    with contextlib.ExitStack() as stack:
        if test_database.is_embedded:
            copy_migrated(folder := tmp_path_factory.mktemp("faults"))
            environment = {"ENERGY_DATA_DIR": str(folder)}
        else:
            environment = {"DATABASE_URL": stack.enter_context(fresh_database(test_database.url))}
        standing = Standing(environment)
        stack.callback(standing.end)
        yield standing


@pytest.fixture(scope="module")
async def fleets(standing: Standing) -> AsyncIterator[list[Fleet]]:
    """All that sent anything; what is stored of them is compared when the last has been heard."""
    fleets: list[Fleet] = []
    yield fleets
    standing.end()
    with contextlib.ExitStack() as stack:
        url = standing.environment.get("DATABASE_URL")
        if url is None:
            url = stack.enter_context(run_embedded(Path(standing.environment["ENERGY_DATA_DIR"]))).url
        verdict = compare(url, *fleets)
    assert verdict.is_good, verdict
    assert not [text for fleet in fleets for text in fleet.wrong]


async def test_a_service_that_is_killed_under_load_loses_nothing_it_acknowledged(
    standing: Standing, fleets: list[Fleet]
) -> None:
    service = await asyncio.to_thread(standing.start)
    fleets.append(sending := fleet(standing.url))
    await sending.start()
    await sending.until(100)
    service.process.kill()
    await asyncio.to_thread(standing.start)
    back = time.monotonic()
    await sending.until(100)
    await sending.stop()
    assert sending.recovery(back) < 2
    assert sending.answers["none"] > 0


async def test_nor_does_one_whose_database_is_killed(
    standing: Standing, fleets: list[Fleet], test_database: TestDatabase
) -> None:
    if not test_database.is_embedded:
        pytest.skip("the server is not ours to kill; `make faults` kills one of its own")
    service = await asyncio.to_thread(standing.start)
    fleets.append(sending := fleet(standing.url))
    await sending.start()
    await sending.until(100)
    [database] = service.children()
    os.kill(database, signal.SIGKILL)
    assert await asyncio.to_thread(service.process.wait, 20) == 1
    await asyncio.to_thread(standing.start)
    await sending.until(100)
    await sending.stop()


async def test_one_that_is_told_to_stop_answers_whom_it_serves(standing: Standing, fleets: list[Fleet]) -> None:
    service = await asyncio.to_thread(standing.start)
    fleets.append(sending := fleet(standing.url))
    await sending.start()
    await sending.until(100)
    assert await asyncio.to_thread(service.stop, signal.SIGTERM) == (0, "")
    await asyncio.to_thread(standing.start)
    await sending.until(50)
    await sending.stop()
    assert sending.duplicates == 0


async def test_an_overload_is_refused_quickly_and_leaves_no_trace(standing: Standing, fleets: list[Fleet]) -> None:
    await asyncio.to_thread(standing.start)
    flood = fleet(standing.url, devices=40, batch=250)
    after = fleet(standing.url, devices=4)
    fleets += [flood, after]
    await flood.start()
    await flood.until(5000)
    await flood.stop()
    over = time.monotonic()
    await after.start()
    await after.until(20)
    await after.stop()
    assert flood.answers["503"] > 0
    assert after.answers.keys() == {"201"}
    assert after.recovery(over) < 2


@pytest.mark.parametrize("years", [-30, -3, 3, 30, 7000])
async def test_a_device_whose_clock_is_years_off_is_told_so_and_moves_nothing(
    api: Api, owner: Owner, pair: Pair, years: int
) -> None:
    right = now()
    assert (await api.post_meter(pair.meter, right, kwhConsumedAc=1.0)).status_code == 201
    wrong = right + timedelta(days=365 * years)
    answers = [await api.post_meter(pair.meter, wrong, kwhConsumedAc=2.0) for _ in range(2)]
    code = "timestamp_too_old" if years < 0 else "timestamp_in_future"
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(422, code)] * 2
    status = await api.http.get(f"/v1/status/meter/{pair.meter}")
    assert status.json()["kwhConsumedAc"] == 1.0
    # once its clock is right again, it goes on
    later: httpx.Response = await api.post_meter(pair.meter, right + timedelta(seconds=1), kwhConsumedAc=3.0)
    assert later.status_code == 201
    query = "SELECT kwh_consumed_ac FROM telemetry.meter_telemetry_history WHERE meter_id = $1 ORDER BY counted_at"
    assert [row[0] for row in await owner.fetch(query, pair.meter)] == [1.0, 3.0]
    kept = "SELECT count(*) FROM telemetry.rejected_reading WHERE payload::text LIKE '%' || $1 || '%'"
    assert await owner.fetchval(kept, pair.meter) == 2
