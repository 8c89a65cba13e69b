"""What tests share: the test database, readings with defaults, and a way to run SQL as the owner of the database."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import os
import subprocess
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import asyncpg
import httpx
import psycopg
import uvicorn
from litestar import Litestar

from service.database import pool
from service.database.migrate import migrate
from service.database.pool import Database, open_database
from service.embedded import run_embedded
from service.http.app import create_app
from service.http.server import server_options
from service.settings import Settings
from tests.support.templates import copy_migrated, copy_new

ROOT = Path(__file__).parent.parent.parent
PATIENCE_S = 60.0
"""Limit of a connection and of a statement in tests, where the service has 5 and 10 s."""
COMPOSE_IMAGE_LINE = "image: timescale/timescaledb:"


@dataclass(frozen=True)
class TestDatabase:
    """A database that the tests may do with as they like."""

    __test__ = False
    kind: str
    url: str

    @property
    def is_embedded(self) -> bool:
        return self.kind == "embedded"


@contextlib.contextmanager
def run_test_database() -> Iterator[TestDatabase]:
    """TEST_DATABASE_URL, else Docker through testcontainers, else the embedded one: with the schema and no readings."""
    if url := os.environ.get("TEST_DATABASE_URL"):
        with fresh_database(url) as fresh:
            migrate(fresh)
            yield TestDatabase("server", fresh)
    elif docker_works():
        from testcontainers.community.postgres import PostgresContainer  # noqa: PLC0415 - only where Docker is

        with PostgresContainer(compose_image(), driver=None) as container:
            migrate(container.get_connection_url())
            yield TestDatabase("docker", container.get_connection_url())
    else:
        with _run_copy(copy_migrated) as url:
            yield TestDatabase("embedded", url)


@contextlib.contextmanager
def run_another_database(first: TestDatabase) -> Iterator[TestDatabase]:
    """One more of the same kind, that nothing has touched yet."""
    with _run_copy(copy_new) if first.is_embedded else fresh_database(first.url) as url:
        yield TestDatabase(first.kind, url)


@contextlib.contextmanager
def run_migrated_database(first: TestDatabase, time_zone: str = "UTC") -> Iterator[TestDatabase]:
    """One more of the same kind, with the schema, days of this time zone, and no readings."""
    copy = functools.partial(copy_migrated, time_zone=time_zone)
    with _run_copy(copy) if first.is_embedded else fresh_database(first.url) as url:
        if not first.is_embedded:
            migrate(url, time_zone=time_zone)
        yield TestDatabase(first.kind, url)


@contextlib.contextmanager
def _run_copy(copy: Callable[[Path], None]) -> Iterator[str]:
    """Run an embedded database on a copy of a template."""
    with tempfile.TemporaryDirectory() as folder:
        copy(Path(folder))
        with run_embedded(Path(folder)) as embedded:
            yield f"{embedded.url}&connect_timeout={PATIENCE_S:.0f}"


async def answers(database: TestDatabase) -> bool:
    """True if a database still answers a statement."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            connection = await asyncpg.connect(database.url)
            try:
                await connection.execute("SELECT 1")
            finally:
                connection.terminate()
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):  # a TimeoutError is an OSError
        return False
    return True


@contextlib.contextmanager
def fresh_database(server_url: str) -> Iterator[str]:
    """A new database on a server, dropped afterwards."""
    name = f"energy_test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    base, _, query = server_url.partition("?")
    head, _, path = base.partition("://")
    try:
        yield f"{head}://{path.partition('/')[0]}/{name}" + (f"?{query}" if query else "")
    finally:
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def docker_works() -> bool:
    """Whether a Docker engine answers (a client alone does not help)."""
    try:
        return subprocess.run(["docker", "info"], capture_output=True, timeout=10, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def compose_image() -> str:
    """The database image of docker-compose.yml, so that the tests run on the one that is deployed."""
    lines = (ROOT / "docker-compose.yml").read_text().splitlines()
    return next(line.split("image:")[1].strip() for line in lines if COMPOSE_IMAGE_LINE in line)


class Owner:
    """Runs SQL with every right: on a connection of its own, or on the embedded database's only one."""

    def __init__(self, database: Database, connection: asyncpg.Connection | None) -> None:
        self._database = database
        self._connection = connection

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        if self._connection is not None:
            yield self._connection
            return
        async with self._database.write.acquire() as shared:
            await shared.execute("RESET ROLE")
            try:
                yield shared
            finally:
                await shared.execute("SET ROLE energy_service")

    @contextlib.asynccontextmanager
    async def undone(self, *, readonly: bool = False) -> AsyncIterator[asyncpg.Connection]:
        """A transaction with every right that leaves nothing."""
        async with self.connection() as connection:
            transaction = connection.transaction(readonly=readonly)
            await transaction.start()
            try:
                yield connection
            finally:
                await transaction.rollback()

    async def execute(self, query: str, *arguments: Any) -> str:
        async with self.connection() as connection:
            return await connection.execute(query, *arguments)

    async def fetch(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        async with self.connection() as connection:
            return await connection.fetch(query, *arguments)

    async def fetchval(self, query: str, *arguments: Any) -> Any:
        async with self.connection() as connection:
            return await connection.fetchval(query, *arguments)


@contextlib.asynccontextmanager
async def owner_of(test_database: TestDatabase, database: Database) -> AsyncIterator[Owner]:
    """The owner of a database, whose jobs run from then on only when a test runs them."""
    connection = None if test_database.is_embedded else await asyncpg.connect(test_database.url)
    owner = Owner(database, connection)
    await owner.execute(
        "SELECT public.alter_job(job_id, scheduled => FALSE) FROM timescaledb_information.jobs WHERE job_id >= 1000"
    )
    yield owner
    if connection is not None:
        connection.terminate()


@contextlib.asynccontextmanager
async def own_pools(test_database: TestDatabase) -> AsyncIterator[tuple[Database, Owner]]:
    """The pools of a database that some tests have for themselves, and its owner."""
    with contextlib.ExitStack() as stack:
        # in a thread: a migration of a server runs a loop of its own
        another = await asyncio.to_thread(stack.enter_context, run_migrated_database(test_database))
        async with pools_of(another) as database, owner_of(another, database) as owner:
            yield database, owner


@contextlib.asynccontextmanager
async def own_service(test_database: TestDatabase) -> AsyncIterator[tuple[Owner, Api]]:
    """The owner of a database that some tests have for themselves, and the service on it."""
    async with own_pools(test_database) as (database, owner), served(database, Settings()) as api:
        yield owner, api


class WithoutNotices:
    """Listeners of a fake connection, to whom its server says nothing."""

    def add_log_listener(self, callback: Any) -> None: ...

    def remove_log_listener(self, callback: Any) -> None: ...


_numbers = itertools.count(1)
_RUN = uuid.uuid4().hex[:6]

# one moment for all processes of a run: it stands in the names of tests, by which these agree on what there is
NOW = datetime.fromisoformat(
    os.environ.setdefault("ENERGY_TESTS_NOW", datetime.now(UTC).replace(second=0, microsecond=0).isoformat())
)
YESTERDAY = NOW - timedelta(days=1)


@dataclass(frozen=True)
class Pair:
    """A vehicle and the meter that feeds it by default, used by one test only."""

    vehicle: str
    meter: str


def new_pair() -> Pair:
    name = f"{_RUN}-{next(_numbers):05}"  # of one length: no name is in another
    return Pair(f"V{name}", f"M{name}")


def now() -> datetime:
    """This moment; NOW is when the run began."""
    return datetime.now(UTC)


def rfc3339(time: datetime) -> str:
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def meter_reading(meter_id: str, time: datetime | str = YESTERDAY, **changed: Any) -> dict[str, Any]:
    """A valid meter reading as JSON, with `changed` fields; a field changed to ... is left out."""
    timestamp = time if isinstance(time, str) else rfc3339(time)
    return _changed({"meterId": meter_id, "kwhConsumedAc": 0.1, "voltage": 230.0, "timestamp": timestamp}, changed)


def vehicle_reading(vehicle_id: str, time: datetime | str = YESTERDAY, **changed: Any) -> dict[str, Any]:
    """A valid vehicle reading as JSON, with `changed` fields; a field changed to ... is left out."""
    timestamp = time if isinstance(time, str) else rfc3339(time)
    reading = {
        "vehicleId": vehicle_id,
        "soc": 50.0,
        "kwhDeliveredDc": 0.09,
        "batteryTemp": 30.0,
        "timestamp": timestamp,
    }
    return _changed(reading, changed)


def _changed(reading: dict[str, Any], changed: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**reading, **changed}.items() if value is not ...}


class Api:
    """The service over HTTP."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.http = client

    async def post(self, path: str, body: Any) -> httpx.Response:
        """POST a JSON value, or bytes as they are."""
        content = {"content": body} if isinstance(body, bytes) else {"json": body}
        return await self.http.post(path, headers={"content-type": "application/json"}, **content)

    async def post_meter(self, *arguments: Any, **changed: Any) -> httpx.Response:
        return await self.post("/v1/ingest/meter", meter_reading(*arguments, **changed))

    async def post_vehicle(self, *arguments: Any, **changed: Any) -> httpx.Response:
        return await self.post("/v1/ingest/vehicle", vehicle_reading(*arguments, **changed))

    async def performance(self, vehicle_id: str, **window: Any) -> dict[str, Any]:
        params = {name: rfc3339(value) if isinstance(value, datetime) else value for name, value in window.items()}
        response = await self.http.get(f"/v1/analytics/performance/{vehicle_id}", params=params)
        assert response.status_code == 200, response.text
        return response.json()


@contextlib.asynccontextmanager
async def serving(app: Litestar) -> AsyncIterator[Api]:
    """An application on a socket, in this process, as `energy serve` runs it."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="off", **server_options(app.state.settings)))
    serving = asyncio.create_task(server._serve())
    while not server.started:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        yield Api(client)
    server.should_exit = True
    await serving


def served(database: Database, settings: Settings) -> contextlib.AbstractAsyncContextManager[Api]:
    """The service itself over a database, on a socket."""
    return serving(create_app(database, settings))


@contextlib.asynccontextmanager
async def pools_of(test_database: TestDatabase) -> AsyncIterator[Database]:
    """The pools as the service opens them, whose statements may take a minute: a busy machine is no fault."""
    connections = 1 if test_database.is_embedded else 4
    async with contextlib.AsyncExitStack() as stack:
        with mock.patch.object(pool, "COMMAND_TIMEOUT_S", PATIENCE_S):
            opened = await stack.enter_async_context(open_database(test_database.url, connections=connections))
        yield opened


def assert_problem(response: httpx.Response, status: int, code: str, *words: str) -> None:
    """The answer is problem details with this status and code, and its detail has these words."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    problem = response.json()
    assert (response.status_code, problem["status"], problem["code"]) == (status, status, code), response.text
    assert problem["title"]
    for word in words:
        assert word in problem["detail"], problem["detail"]
