"""Transaction pooling (PgBouncer and its like) is refused: a session's role and settings would be lost."""

from __future__ import annotations

import asyncpg

from service.database.connector import AnyConnection, Connector
from service.database.failures import describe_pooler
from service.errors import StartupError

ROUNDS = 5
"""Rounds of the comparison. One is enough for a pooler that others do not use at the same moment."""
_SESSION = "SELECT pg_backend_pid()::text || ' ' || pg_postmaster_start_time()::text"


async def refuse_transaction_pooling(connection: AnyConnection, connector: Connector, url: str, variable: str) -> None:
    """Check that a connection keeps its session of the server, as it does without a pooler or with session pooling.

    A pooler gives its clients process ids of its own. With two connections through it, transaction or statement pooling
    shows: they share a session of the server, or one of them changes it. With session pooling neither can be.

    Raises:
        StartupError: the pooler does not keep sessions.
        Exception: one of `CONNECTION_ERRORS`.
    """
    if connection.get_server_pid() == await connection.fetchval("SELECT pg_backend_pid()"):
        return
    other: AnyConnection = await connector()
    try:
        first, second = set(), set()
        for _ in range(ROUNDS):
            first.add(await connection.fetchval(_SESSION))
            second.add(await other.fetchval(_SESSION))
        if len(first) > 1 or len(second) > 1 or first & second:
            raise StartupError(describe_pooler(url, variable))
    except (asyncpg.InvalidSQLStatementNameError, asyncpg.DuplicatePreparedStatementError) as error:
        raise StartupError(describe_pooler(url, variable)) from error  # it went to another session
    finally:
        other.terminate()
