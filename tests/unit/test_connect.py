"""Connections: to the host that fits, within a time that a silent host does not stretch; and their end."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from service.database.connect import discard
from service.database.connector import Connector
from service.database.failures import NoHostError
from service.database.pool import Database, open_database
from service.database_url import SEVERAL_HOSTS_TIMEOUT_S, parse_database_url
from service.http.problem_details import from_exception
from service.settings import Settings
from tests.support import Api, TestDatabase, assert_problem, new_pair, served
from tests.support.processes import free_port


@contextlib.asynccontextmanager
async def silent_host(seen: list[asyncio.StreamWriter] | None = None) -> AsyncIterator[int]:
    """The port of a server that accepts connections and says nothing, as a frozen one does."""
    writers = [] if seen is None else seen

    async def keep(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)

    server = await asyncio.start_server(keep, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()


def behind(*ports: int, url: str) -> str:
    """The URL of a database, with other hosts before its own."""
    parts = parse_database_url(url).for_libpq()
    hosts = ",".join([*("127.0.0.1" for _ in ports), parts["host"]])
    ports_ = ",".join([*map(str, ports), parts["port"]])
    login = "&".join(f"{name}={parts[name]}" for name in ("user", "password", "sslmode") if name in parts)
    return f"postgresql:///{parts['dbname']}?host={hosts}&port={ports_}&{login}"


async def test_a_host_that_is_down_or_silent_costs_a_moment_and_only_once(test_database: TestDatabase) -> None:
    seen: list[asyncio.StreamWriter] = []
    async with silent_host(seen) as silent:
        connector = Connector(behind(free_port(), silent, url=test_database.url), writable=True)
        for _ in range(3):
            began = time.monotonic()
            connection = await connector()
            assert time.monotonic() - began < SEVERAL_HOSTS_TIMEOUT_S
            assert await connection.fetchval("SELECT 1") == 1
            connection.terminate()
    assert len(seen) == 1, "the host that answered is not tried first"


async def test_without_a_host_each_has_its_reason() -> None:
    closed = free_port()
    async with silent_host() as silent:
        began = time.monotonic()
        with pytest.raises(NoHostError) as raised:
            await Connector(f"postgresql://u@127.0.0.1:{closed},127.0.0.1:{silent}/x", writable=True)()
        assert 1.4 < time.monotonic() - began < 3
    assert f"127.0.0.1:{silent} did not answer within 1.5 s" in str(raised.value)
    assert f"127.0.0.1:{closed} [Errno 111]" in str(raised.value)
    assert from_exception(raised.value).code == "database_unavailable"


async def test_an_attempt_that_is_given_up_leaves_no_connection() -> None:
    async with silent_host() as silent:
        before = asyncio.all_tasks()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.4):
                await Connector(f"postgresql://u@127.0.0.1:{silent},127.0.0.1:{silent}/x", writable=True)()
        await asyncio.sleep(0.05)
        assert asyncio.all_tasks() - before == set()


class FakeHosts(Connector):
    """A connector of hosts `a` and `b`, of which each answers as it is told: at once, late, or not at all."""

    def __init__(self) -> None:
        super().__init__("postgresql://a,b/x", writable=True)
        self.answers: dict[str, float | Exception] = {"a": 0.0, "b": asyncpg.TargetServerAttributeNotMatched("standby")}

    async def _open(self, host: Any, target: str, options: dict[str, Any]) -> Any:
        answer = self.answers[host[0]]
        await asyncio.sleep(0.4 if isinstance(answer, TimeoutError) else answer if isinstance(answer, float) else 0)
        if isinstance(answer, Exception):
            raise answer
        return FakeConnection(answers=True)


@pytest.mark.parametrize(
    ("former", "ends"),
    [(TimeoutError(), True), (ConnectionRefusedError(), True), (0.4, False)],
    ids=["silent", "down", "slow"],
)
async def test_a_new_primary_ends_the_connections_to_the_former_one(former: float | Exception, ends: bool) -> None:
    hosts = FakeHosts()
    first = await hosts()
    hosts.answers |= {"a": former, "b": 0.0}
    second = await hosts()
    await asyncio.sleep(0.5)
    assert (first.is_closed, second.is_closed) == (ends, False)


class FakePool:
    """A pool of which only its size, and whether its connections were given up, matters."""

    def __init__(self, size: int = 10) -> None:
        self.size, self.expired, self.busy, self.most = size, 0, 0, 0

    def get_max_size(self) -> int:
        return self.size

    async def expire_connections(self) -> None:
        self.expired += 1

    @contextlib.asynccontextmanager
    async def acquire(self, timeout: float) -> AsyncIterator[Any]:  # noqa: ASYNC109
        self.busy += 1
        self.most = max(self.most, self.busy)
        try:
            yield self
        finally:
            self.busy -= 1

    async def fetch(self, *_: Any) -> list[Any]:
        await asyncio.sleep(0.01)
        return []

    def add_log_listener(self, _: Any) -> None:
        pass

    remove_log_listener = add_log_listener


class Reading(Database):
    """A database without connections, which counts the reads, and has no writes."""

    def __init__(self) -> None:
        self.asked = 0

    async def read_rows(self, *_: Any) -> list[Any]:
        self.asked += 1
        raise TimeoutError

    read_primary_rows = read_rows

    async def write_rows(self, query: str, *_: Any) -> list[Any]:
        raise AssertionError(query)


class FakeConnection:
    """A connection whose server answers the cancellation of a statement, or is silent."""

    def __init__(self, *, answers: bool) -> None:
        self.answers, self.is_closed = answers, False

    async def execute(self, _: str) -> None:
        if not self.answers:
            await asyncio.sleep(60)

    def terminate(self) -> None:
        self.is_closed = True


@pytest.mark.parametrize(
    ("error", "answers", "closed", "expired"),
    [
        (asyncpg.ReadOnlySQLTransactionError("read-only"), True, True, 1),
        (TimeoutError(), False, True, 1),
        (TimeoutError(), True, True, 0),
        (asyncpg.UniqueViolationError("twice"), True, False, 0),
    ],
    ids=["read-only", "silent", "slow", "any other"],
)
async def test_a_connection_that_fails_is_closed_and_takes_others_with_it(
    error: Exception, answers: bool, closed: bool, expired: int
) -> None:
    pool, connection = FakePool(), FakeConnection(answers=answers)
    await discard(pool, connection, error)  # type: ignore[arg-type]
    assert (connection.is_closed, pool.expired) == (closed, expired)


@pytest.mark.parametrize(("size", "reads"), [(10, 6), (1, 1)])
async def test_reads_leave_the_writers_their_connections(size: int, reads: int) -> None:
    pool = FakePool(size)
    database = Database(pool, None, 1000)  # type: ignore[arg-type]
    await asyncio.gather(*(read("SELECT 1") for read in (database.read_rows, database.read_primary_rows) * 15))
    assert pool.most == reads


async def test_no_route_that_reads_takes_a_connection_of_the_writers() -> None:
    database = Reading()
    async with served(database, Settings()) as api:  # type: ignore[arg-type]
        for path in (
            "/v1/links/V1",
            "/v1/devices/meter/M1",
            "/v1/devices/meter/M1/vehicles",
            "/v1/devices/vehicle/V1/exchange",
            "/v1/alerts/1",
            "/v1/status/meter/M1",
        ):
            assert_problem(await api.http.get(path), 503, "database_unavailable")
    assert database.asked == 6


@pytest.fixture
async def own(migrated_database: TestDatabase) -> AsyncIterator[tuple[Database, Api]]:
    """Pools of a database that no other test uses, and the service over them."""
    async with open_database(migrated_database.url, connections=4) as database, served(database, Settings()) as api:
        yield database, api


@pytest.mark.concurrent
async def test_sessions_that_are_read_only_are_replaced_at_once(own: tuple[Database, Api]) -> None:
    database, api = own
    held = [await database.write.acquire() for _ in range(4)]
    for connection in held:
        await connection.execute("SET default_transaction_read_only = on")
        await database.write.release(connection)
    assert_problem(await api.post_meter(new_pair().meter), 503, "database_unavailable")
    assert [(await api.post_meter(new_pair().meter)).status_code for _ in range(5)] == [201] * 5


@pytest.mark.concurrent
@pytest.mark.parametrize("path", ["/health/ready", "/metrics"])
async def test_a_server_that_accepts_no_writes_is_neither_ready_nor_up(own: tuple[Database, Api], path: str) -> None:
    database, api = own
    async with database.write.acquire() as connection:
        await connection.execute("RESET ROLE")
        name = await connection.fetchval("SELECT quote_ident(current_database())")
        for value, ready in (("on", False), ("off", True)):
            await connection.execute("SET default_transaction_read_only = off")
            await connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = {value}")
            await database.write.expire_connections()
            answer = await api.http.get(path)
            if path == "/metrics":
                assert f"energy_database_up {float(ready)}" in answer.text
            elif ready:
                assert answer.status_code == 200
            else:
                assert_problem(answer, 503, "database_unavailable")


@pytest.mark.concurrent
async def test_readiness_says_that_the_server_is_read_only(own: tuple[Database, Api]) -> None:
    database, api = own
    async with database.write.acquire() as connection:
        await connection.execute("SET default_transaction_read_only = on")
    assert_problem(await api.http.get("/health/ready"), 503, "database_unavailable", "is read-only")
    assert (await api.http.get("/health/ready")).status_code == 200
