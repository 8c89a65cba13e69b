"""Connections with the session that the service relies on: opened, and closed where they must not be used again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TypeAlias

import asyncpg

from service.database.connector import AnyConnection, Connector
from service.database.failures import CONNECTION_ERRORS, describe_failure
from service.errors import StartupError

BULK_TIMEOUT_S = 300.0
CLOSE_TIMEOUT_S = 5.0
CLIENT_CHECK = "5s"
ANSWER_TIMEOUT_S = 0.5
"""Limit of a server's answer to the cancellation of a statement; beyond it, the server counts as silent."""

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Session: TypeAlias = "AnyConnection | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
"""A connection, or one lent by a pool."""


class Connection(AnyConnection):
    """A connection of a pool. Its session state never changes after `set_up`, so that it needs no reset."""

    def get_reset_query(self) -> str:
        """Return no query: this saves a round trip per request."""
        return ""

    async def close(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109 - asyncpg's signature
        """Close the connection without waiting for the server, which may be silent."""
        self.terminate()


async def set_up(connection: Session) -> None:
    """Set the role and the session settings that the service relies on.

    It is a statement, as the embedded database ignores start-up options. `jit` slows the look-up of types down. What an
    acknowledgement depends on is not set here, where a pooler may lose it: see `api.await_standbys`. Where its system
    can, the server looks for its client every `CLIENT_CHECK`: the statements of a service that was killed end.
    """
    await connection.execute(
        "SET ROLE energy_service; SET TimeZone = 'UTC'; SET jit = off; SET lock_timeout = '5s';"
        f"DO $$ BEGIN SET client_connection_check_interval = '{CLIENT_CHECK}';"
        "EXCEPTION WHEN invalid_parameter_value THEN NULL; END $$"
    )


@asynccontextmanager
async def open_connection(url: str) -> AsyncIterator[AnyConnection]:
    """Open one connection for bulk work that writes; its statements may take up to `BULK_TIMEOUT_S`.

    Raises:
        StartupError: the server does not answer or refuses; the message says what to do.
    """
    try:
        connection: AnyConnection = await Connector(url, writable=True)(
            command_timeout=BULK_TIMEOUT_S, server_settings={"application_name": "energy-import"}
        )
        await set_up(connection)
    except CONNECTION_ERRORS as error:
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


async def discard(pool: Pool, connection: Session, error: BaseException) -> None:
    """Close a connection after `error`, if it must not be used again.

    A connection that turned out read-only, or whose server is silent, takes the pool's others with it: they lead to the
    same server. After a time-out of a server that still answers, only the connection is closed.
    """
    is_read_only = isinstance(error, asyncpg.ReadOnlySQLTransactionError)
    if not is_read_only and not isinstance(error, TimeoutError):
        return
    if is_read_only or not await _answers(connection):
        await pool.expire_connections()
    connection.terminate()


async def _answers(connection: Session) -> bool:
    """Return true if the server has answered the cancellation of a statement, and answers another one."""
    asking = asyncio.ensure_future(connection.execute("SELECT"))
    await asyncio.wait({asking}, timeout=ANSWER_TIMEOUT_S)
    asking.cancel()
    return asking.done() and not asking.cancelled() and asking.exception() is None
