"""One key that reads keeps neither ingest nor the readers with another key waiting, whatever its questions cost."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any, cast

import asyncpg
import pytest

from service.database import connect
from service.database import pool as pools
from service.database.calls import LIST_DEVICES
from service.database.connect import set_up
from service.database.pool import CONNECTIONS, READER, Database
from service.settings import Settings
from tests.http.test_auth import REQUIRED, bearer, token
from tests.support import Owner, TestDatabase, served

QUERY = "SELECT 1"


class Slow:
    """Questions that have no answer until `answer` is set, and the key that asks each."""

    def __init__(self) -> None:
        self.under_way: list[str] = []
        self.answer = asyncio.Event()

    async def fetch(self, *_: Any) -> list[Any]:
        self.under_way.append(READER.get())
        await self.answer.wait()
        return []


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    slow = Slow()
    monkeypatch.setattr(pools, "_fetch", slow.fetch)
    yield slow


@contextlib.asynccontextmanager
async def asking(database: Database, key: str, times: int) -> AsyncIterator[list[asyncio.Task[Any]]]:
    READER.set(key)
    tasks = [asyncio.create_task(database.read_rows(QUERY)) for _ in range(times)]
    tasks += [asyncio.create_task(database.read_primary_rows(QUERY)) for _ in range(times)]
    READER.set("")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    yield tasks
    await asyncio.gather(*tasks)


def database_of(replica: Any = None) -> Database:
    write = SimpleNamespace(get_max_size=lambda: CONNECTIONS)
    return Database(cast("Any", write), replica, 1000)


@pytest.mark.parametrize("is_replicated", [False, True], ids=["primary", "replica"])
async def test_a_key_reads_on_half_of_the_connections_and_another_key_on_the_rest(
    slow: Slow, is_replicated: bool
) -> None:
    async def pass_on(reading: Any) -> Any:
        return await reading

    replica = SimpleNamespace(is_usable=lambda: True, fetch=pass_on, pool=None) if is_replicated else None
    database = database_of(replica)
    async with asking(database, "greedy", 20), asking(database, "other", 1):
        assert sorted(slow.under_way) == ["greedy"] * 3 + ["other"] * 2
        slow.answer.set()
    assert slow.under_way.count("greedy") == 40


async def test_a_question_that_waits_too_long_for_its_turn_fails_and_leaves_no_place_taken(
    slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "ACQUIRE_TIMEOUT_S", 0.05)
    database = database_of()
    async with asking(database, "greedy", 3) as tasks:
        done, waiting = await asyncio.wait(tasks, timeout=0.3)
        assert [type(task.exception()) for task in done] == [TimeoutError] * 3
        tasks[:] = waiting
        slow.answer.set()
    async with asking(database, "greedy", 3):
        pass


async def test_the_reader_of_a_request_is_its_key(
    database: Database, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, fetch = [], pools._fetch

    async def note(pool: Any, query: str, arguments: Any) -> Any:
        if query == LIST_DEVICES:
            asked.append(READER.get())
        return await fetch(pool, query, arguments)

    monkeypatch.setattr(pools, "_fetch", note)
    key = await token(owner, "read")
    for settings, headers in ((REQUIRED, bearer(key)), (Settings(), {})):
        async with served(database, settings) as api:
            assert (await api.http.get("/v1/devices", headers=headers)).status_code == 200
    assert asked == [key.partition(".")[0], ""]


@pytest.mark.concurrent
async def test_the_statement_of_a_service_that_was_killed_ends(
    test_database: TestDatabase, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect, "CLIENT_CHECK", "100ms")
    connection = await asyncpg.connect(test_database.url)
    await set_up(connection)
    process = connection.get_server_pid()
    asked = asyncio.create_task(connection.fetch("SELECT pg_sleep(60)"))
    query = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND query ~ 'pg_sleep'"
    async with asyncio.timeout(10):
        for still_there in (1, 0):
            while await owner.fetchval(query, process) != still_there:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            connection.terminate()
    with pytest.raises(asyncpg.ConnectionDoesNotExistError):
        await asked
