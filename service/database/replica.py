"""The replica of the reads: used while it answers; else the primary answers, and the replica is tried again."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine
from contextvars import Context
from typing import Any, NamedTuple

import asyncpg

from service.database.calls import GET_REPLICA_STATE
from service.database.connect import Pool, set_up
from service.database.connector import Connector
from service.database.failures import CONNECTION_ERRORS, describe_error
from service.database.migrations import NEWEST_MIGRATION
from service.database.single_flight import SingleFlight
from service.observability.logs import REPEATED

PATIENCE_S = 1.0
"""Beyond it, a read has the replica checked beside it."""
CHECK_TIMEOUT_S = 1.0
"""Limit of a check: a connection, and one statement."""
RETRY_S = 2.0
"""Interval between checks of a replica that is away, while there are reads."""
CATCH_UP_S = 0.3
"""A replica that replays the primary's newest change within this time has a lag of 0."""

_AWAY = ("08", "3D", "3F", "53", "57P")
"""SQLSTATEs of a server that cannot answer any read now."""
_RECOVERY_CONFLICT = "40001"
"""SQLSTATE of a read that replay has cancelled: another server can answer it."""

_log = logging.getLogger(__name__)


class ReplicaState(NamedTuple):
    """State of a replica.

    Attributes:
        lag_s: age of the newest change that it shows, seconds; 0 if it shows all; None if the primary was not asked.
        version: its newest migration.
    """

    lag_s: float | None
    version: str | None


class Replica:
    """A replica, with its pool, and whether it can answer now.

    Attributes:
        fault: the reason it cannot be used; None while it can.
    """

    def __init__(self, pool: Pool, connector: Connector) -> None:
        self.pool = pool
        self.fault: str | None = None
        self._connector = connector
        self._checking = SingleFlight[bool]()
        self._next_check = 0.0
        self._tasks: set[asyncio.Task[bool]] = set()  # asyncio itself keeps only weak references

    async def check(self) -> bool:
        """Return true if the replica can be used: it answers on a new connection, and has this version's schema."""
        return await self._checking.run(self._check)

    async def read_state(self, lsn: str | None = None) -> ReplicaState:
        """Return the state; `lsn` is a position of the primary that the replica is to have replayed.

        Raises:
            Exception: one of `CONNECTION_ERRORS`.
        """
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            connection = await self._connector()
            try:
                await set_up(connection)
                until = time.monotonic() + CATCH_UP_S
                while True:
                    row = await connection.fetchrow(GET_REPLICA_STATE, lsn)
                    if row["caught_up"] or lsn is None or time.monotonic() > until:
                        lag_s = 0.0 if row["caught_up"] else row["lag_s"]
                        return ReplicaState(None if lsn is None else lag_s, row["version"])
                    await asyncio.sleep(CATCH_UP_S / 5)
            finally:
                connection.terminate()

    async def fetch(self, reading: Coroutine[Any, Any, list[asyncpg.Record]]) -> list[asyncpg.Record] | None:
        """Await a read of the replica; return None where the primary has to answer.

        Raises:
            Exception: an error that the primary would raise, too, or a time-out of a replica that answers.
        """
        task = asyncio.create_task(reading)
        try:
            await asyncio.wait({task}, timeout=PATIENCE_S)
            if not task.done() and not await self.check():
                return None
            return await task
        except CONNECTION_ERRORS as error:
            if isinstance(error, TimeoutError):
                raise
            sqlstate = getattr(error, "sqlstate", None) or ""
            if not isinstance(error, asyncpg.PostgresError) or sqlstate.startswith(_AWAY):
                await self._leave(describe_error(error))
                return None
            if sqlstate == _RECOVERY_CONFLICT:
                return None
            raise
        finally:
            if not task.done():
                task.cancel()

    def is_usable(self) -> bool:
        """Return true if reads may go to the replica; else have it checked, at most every `RETRY_S`."""
        if self.fault is None:
            return True
        if time.monotonic() >= self._next_check:
            self._next_check = time.monotonic() + RETRY_S
            # a context of its own: it belongs to no request
            task = asyncio.get_running_loop().create_task(self.check(), context=Context())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return False

    async def _check(self) -> bool:
        try:
            version = (await self.read_state()).version
        except CONNECTION_ERRORS as error:
            await self._leave(describe_error(error))
            return False
        if version is None or version < NEWEST_MIGRATION:
            await self._leave(f"its schema is at {version}, this version needs {NEWEST_MIGRATION}")
            return False
        if self.fault is not None:
            _log.warning("the replica answers again, and reads go to it")
        self.fault = None
        return True

    async def _leave(self, fault: str) -> None:
        """Use the primary from now on, until a check succeeds."""
        self._next_check = time.monotonic() + RETRY_S
        if self.fault is None:
            await self.pool.expire_connections()
        self.fault = fault
        REPEATED.log(
            _log, logging.WARNING, "the replica of DATABASE_READ_URL is away, the primary answers", error=fault
        )
