"""Connection pools, whose sessions work as `energy_service`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from typing import Any, cast
from weakref import WeakValueDictionary

import asyncpg

from service.database.calls import (
    ALREADY_SO,
    AWAIT_STANDBYS,
    GET_PRIMARY_POSITION,
    GET_PRIMARY_STATE,
    INGEST,
    GroupedCall,
    Row,
)
from service.database.connect import Connection, Pool, Session, discard, set_up
from service.database.connector import Connector
from service.database.failures import CONNECTION_ERRORS, describe_failure
from service.database.group_commit import ACQUIRE_TIMEOUT_S, GroupCommit
from service.database.replica import Replica, ReplicaState
from service.database.replication import replicated
from service.errors import StartupError
from service.observability.metrics import POOL, POOL_LIMIT, QUEUE, QUEUE_LIMIT
from service.observability.request_id import REQUEST_ID, SERVICE, application_name, traced
from service.settings import Settings

CONNECTIONS = 10
"""Most connections of a pool."""
COMMAND_TIMEOUT_S = 10.0
WRITERS = 2
"""Connections that store readings of a kind at once: while one commits, the next call is gathered."""
READER: ContextVar[str] = ContextVar("reader", default="")
"""Id of the API key that the current request reads with; empty without one."""
PROBE_TIMEOUT_S = 0.8
"""Limit of a health check. The release of a silent connection waits once more; both together stay below the promised 2
s."""


class Database:
    """The pools of the handlers: `write` for ingest and, without a replica that answers, for everything else.

    Reads leave the writers of both kinds their connections of the primary. One key reads on at most half of the others
    at once, so that slow reads of one keep no other key waiting.
    """

    def __init__(self, write: Pool, replica: Replica | None, max_pending: int) -> None:
        self.write = write
        self.replica = replica
        self._max_pending = max_pending
        self._groups: dict[GroupedCall, GroupCommit] = {}
        most_reads = max(1, write.get_max_size() - len(INGEST) * WRITERS)
        self._primary_reads = asyncio.Semaphore(most_reads)
        self._most_reads_of_a_key = max(1, most_reads // 2)
        self._reads_of_keys: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

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
        """Return the rows of a call that reads: from the replica, or else from the primary."""
        if self.replica is not None and self.replica.is_usable():
            async with _turn(*self._places_of_reader()):
                rows = await self.replica.fetch(_fetch(self.replica.pool, query, arguments))
            if rows is not None:
                return rows
        return await self.read_primary_rows(query, *arguments)

    async def read_primary_rows(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        """Return the rows of a call that reads, from the primary: with all that was committed before."""
        async with _turn(*self._places_of_reader(), self._primary_reads):
            return await _fetch(self.write, query, arguments)

    def _places_of_reader(self) -> list[asyncio.Semaphore]:
        """Return the places of the key that reads; none where no key does."""
        if not (reader := READER.get()):
            return []
        return [self._reads_of_keys.setdefault(reader, asyncio.Semaphore(self._most_reads_of_a_key))]

    async def read_row(self, query: str, *arguments: Any) -> asyncpg.Record:
        """Return the only row of a call that reads."""
        return (await self.read_rows(query, *arguments))[0]

    async def probe_primary(self, query: str) -> list[asyncpg.Record]:
        """Return the rows of a health check of the primary, or fail within the probe's limits."""
        async with lend(self.write, PROBE_TIMEOUT_S) as connection:
            return await connection.fetch(query, timeout=PROBE_TIMEOUT_S)

    async def check_writable(self) -> str | None:
        """Return the primary's schema version, or fail within the probe's limits.

        Raises:
            asyncpg.ReadOnlySQLTransactionError: the server is a standby, or accepts no writes.
        """
        async with lend(self.write, PROBE_TIMEOUT_S) as connection:
            row = (await connection.fetch(GET_PRIMARY_STATE, timeout=PROBE_TIMEOUT_S))[0]
            if row["read_only"]:
                raise asyncpg.ReadOnlySQLTransactionError("the database accepts no writes")
            version: str | None = row["version"]
            return version

    async def read_replica_state(self) -> ReplicaState | None:
        """Return the replica's state beside the primary's; None where there is no replica, or it does not answer."""
        if self.replica is None:
            return None
        lsn = None
        with suppress(*CONNECTION_ERRORS):
            lsn = (await self.probe_primary(GET_PRIMARY_POSITION))[0]["lsn"]
        with suppress(*CONNECTION_ERRORS):
            return await self.replica.read_state(lsn)
        return None

    def note_load(self) -> None:
        """Set the gauges of the queues and of the connections."""
        for call in INGEST:
            group = self._groups.get(call)
            QUEUE.labels(call.name).set(group.pending if group else 0)
        QUEUE_LIMIT.set(self._max_pending)
        pools = {"write": self.write} | ({"read": self.replica.pool} if self.replica else {})
        for name, pool in pools.items():
            idle = pool.get_idle_size()
            POOL.labels(name, "idle").set(idle)
            POOL.labels(name, "busy").set(pool.get_size() - idle)
            POOL_LIMIT.labels(name).set(pool.get_max_size())


@asynccontextmanager
async def _turn(*places: asyncio.Semaphore) -> AsyncIterator[None]:
    """Hold one of each of `places`; waiting for them is limited as waiting for a connection is."""
    held = []
    try:
        async with asyncio.timeout(ACQUIRE_TIMEOUT_S):
            for place in places:
                await place.acquire()
                held.append(place)
        yield
    finally:
        for place in held:
            place.release()


@asynccontextmanager
async def lend(pool: Pool, timeout: float = ACQUIRE_TIMEOUT_S) -> AsyncIterator[Session]:  # noqa: ASYNC109
    """Lend a connection of a pool; one that turns out read-only or silent is closed."""
    async with pool.acquire(timeout=timeout) as connection:
        try:
            yield connection
        except Exception as error:
            await discard(pool, connection, error)
            raise


async def _fetch(pool: Pool, query: str, arguments: tuple[Any, ...]) -> list[asyncpg.Record]:
    async with lend(pool) as connection:
        with replicated(connection):
            return await connection.fetch(traced(query), *arguments, application_name(REQUEST_ID.get()))


@asynccontextmanager
async def open_database(
    url: str,
    *,
    read_url: str | None = None,
    connections: int = CONNECTIONS,
    max_pending: int = Settings.max_pending,
    connect: bool = True,
) -> AsyncIterator[Database]:
    """Open the pools, with up to `connections` each; `connect` opens the first connection to the primary at once.

    A replica that cannot be used is logged; the primary answers until it can.

    Raises:
        StartupError: the primary does not answer or refuses; the message says what to do.
    """
    write = await _open_pool(Connector(url, writable=True), connections)
    try:
        if connect:
            try:
                async with write.acquire():
                    pass
            except CONNECTION_ERRORS as error:
                raise StartupError(describe_failure(error, url)) from error
        if not read_url:
            yield Database(write, None, max_pending)
            return
        connector = Connector(read_url, writable=False)
        read = await _open_pool(connector, connections)
        try:
            replica = Replica(read, connector)
            await replica.check()
            yield Database(write, replica, max_pending)
        finally:
            read.terminate()
    finally:
        # not close(): no query is under way any more, and the embedded database does not answer a Terminate message
        write.terminate()


async def _open_pool(connector: Connector, connections: int) -> Pool:
    """Open a pool without connections: they are opened as they are needed."""
    pool: Pool = await asyncpg.create_pool(
        connect=cast("Any", connector),  # the stubs want a plain function
        min_size=0,
        max_size=connections,
        connection_class=Connection,
        init=set_up,
        command_timeout=COMMAND_TIMEOUT_S,
        server_settings={"application_name": SERVICE},
    )
    return pool
