"""Connection pools, whose sessions work as `energy_service`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeAlias

import asyncpg

from service.database.calls import ALREADY_SO, AWAIT_STANDBYS, INGEST, GroupedCall, Row
from service.database.failures import CONNECT_TIMEOUT_S, describe_failure
from service.database.group_commit import ACQUIRE_TIMEOUT_S, GroupCommit
from service.database.replication import replicated
from service.errors import StartupError
from service.observability.metrics import POOL, POOL_LIMIT, QUEUE, QUEUE_LIMIT
from service.observability.request_id import REQUEST_ID, SERVICE, application_name, traced
from service.settings import Settings

CONNECTIONS = 10
"""Most connections of a pool."""
COMMAND_TIMEOUT_S = 10.0
BULK_TIMEOUT_S = 300.0
CLOSE_TIMEOUT_S = 5.0
WRITERS = 2
"""Connections that store readings of a kind at once: while one commits, the next call is gathered."""
PROBE_TIMEOUT_S = 0.8
"""Limit of a health check. The release of a silent connection waits once more; both together stay below the promised 2
s."""

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

if TYPE_CHECKING:
    AnyConnection = asyncpg.Connection[asyncpg.Record]
else:  # generic only to the type checker
    AnyConnection = asyncpg.Connection
Session: TypeAlias = "AnyConnection | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
"""A connection, or one lent by a pool."""


class Connection(AnyConnection):
    """A connection whose session state never changes after `set_up`, so that it needs no reset."""

    def get_reset_query(self) -> str:
        """Return no query: this saves a round trip per request."""
        return ""


async def set_up(connection: Session) -> None:
    """Set the role and the session settings that the service relies on.

    It is a statement, as the embedded database ignores start-up options. `jit` slows the look-up of types down. What an
    acknowledgement depends on is not set here, where a pooler may lose it: see `api.await_standbys`.
    """
    await connection.execute("SET ROLE energy_service; SET TimeZone = 'UTC'; SET jit = off; SET lock_timeout = '5s'")


class Database:
    """The pools of the handlers: `write` for ingest, `read` for everything else (a replica, if there is one)."""

    def __init__(self, write: Pool, read: Pool, max_pending: int) -> None:
        self.write = write
        self.read = read
        self._max_pending = max_pending
        self._groups: dict[GroupedCall, GroupCommit] = {}

    def check_room(self, *calls: GroupedCall) -> None:
        """Check that rows are accepted now, before the work of decoding them.

        Raises:
            Problem: `overloaded`: too many rows wait for one of these calls.
        """
        for call in calls:
            if group := self._groups.get(call):
                group.check_room()

    async def call_grouped(self, call: GroupedCall, rows: list[Row]) -> Sequence[asyncpg.Record]:
        """Return a record for each of `rows`; the call and its commit are shared with other waiting requests.

        Raises:
            Problem: `overloaded`: too many rows wait for this call, or they wait for too long.
        """
        group = self._groups.get(call)
        if group is None:
            group = GroupCommit(self.write, call, writers=WRITERS, max_pending=self._max_pending)
            self._groups[call] = group
        return await group.call(rows)

    async def write_rows(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        """Return the rows of a call that writes; it is committed, on the synchronous standbys as well."""
        try:
            return await _fetch(self.write, query, arguments)
        except asyncpg.PostgresError as error:
            if getattr(error, "sqlstate", None) in ALREADY_SO:
                await _fetch(self.write, AWAIT_STANDBYS, ())
            raise

    async def read_rows(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        """Return the rows of a call that reads."""
        return await _fetch(self.read, query, arguments)

    async def read_row(self, query: str, *arguments: Any) -> asyncpg.Record:
        """Return the only row of a call that reads."""
        return (await _fetch(self.read, query, arguments))[0]

    async def probe(self, query: str) -> asyncpg.Record:
        """Return the only row of a health check, or fail within the probe's limits."""
        return (await _probe(self.read, query))[0]

    async def probe_primary(self, query: str) -> list[asyncpg.Record]:
        """Return the rows of a health check of the primary, or fail within the probe's limits."""
        return await _probe(self.write, query)

    def note_load(self) -> None:
        """Set the gauges of the queues and of the connections."""
        for call in INGEST:
            group = self._groups.get(call)
            QUEUE.labels(call.name).set(group.pending if group else 0)
        QUEUE_LIMIT.set(self._max_pending)
        for name, pool in {"write": self.write, "read": self.read}.items():
            if name == "write" or pool is not self.write:
                idle = pool.get_idle_size()
                POOL.labels(name, "idle").set(idle)
                POOL.labels(name, "busy").set(pool.get_size() - idle)
                POOL_LIMIT.labels(name).set(pool.get_max_size())


async def _fetch(pool: Pool, query: str, arguments: tuple[Any, ...]) -> list[asyncpg.Record]:
    async with pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
        with replicated(connection):
            return await connection.fetch(traced(query), *arguments, application_name(REQUEST_ID.get()))


async def _probe(pool: Pool, query: str) -> list[asyncpg.Record]:
    async with pool.acquire(timeout=PROBE_TIMEOUT_S) as connection:
        return await connection.fetch(query, timeout=PROBE_TIMEOUT_S)


@asynccontextmanager
async def open_database(
    url: str,
    *,
    read_url: str | None = None,
    connections: int = CONNECTIONS,
    max_pending: int = Settings.max_pending,
    connect: bool = True,
) -> AsyncIterator[Database]:
    """Open the pools, with up to `connections` each; `connect` opens the first one of each at once.

    Raises:
        StartupError: the server does not answer or refuses; the message says what to do.
    """
    write = await _open_pool(url, connections, connect)
    try:
        read = await _open_pool(read_url, connections, connect) if read_url else write
        try:
            yield Database(write, read, max_pending)
        finally:
            read.terminate()
    finally:
        # not close(): no query is under way any more, and the embedded database does not answer a Terminate message
        write.terminate()


@asynccontextmanager
async def open_connection(url: str) -> AsyncIterator[AnyConnection]:
    """Open one connection for bulk work; its statements may take up to `BULK_TIMEOUT_S`.

    Raises:
        StartupError: the server does not answer or refuses; the message says what to do.
    """
    try:
        connection = await asyncpg.connect(
            url,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=BULK_TIMEOUT_S,
            server_settings={"application_name": "energy-import"},
        )
        await set_up(connection)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise StartupError(describe_failure(error, url)) from error
    try:
        yield connection
    except BaseException:
        # the request that cancels an interrupted statement may be under way: ended now, it would complain on stderr
        with suppress(Exception):  # the connection may be what failed
            await connection.execute("SELECT", timeout=CLOSE_TIMEOUT_S)
        raise
    finally:
        connection.terminate()


async def _open_pool(url: str, connections: int, connect: bool) -> Pool:
    try:
        return await asyncpg.create_pool(
            url,
            min_size=1 if connect else 0,
            max_size=connections,
            connection_class=Connection,
            init=set_up,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=COMMAND_TIMEOUT_S,
            server_settings={"application_name": SERVICE},
        )
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise StartupError(describe_failure(error, url)) from error
