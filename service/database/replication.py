"""Commits that the server reports, although it gave up waiting for its synchronous standbys.

PostgreSQL answers a cancelled wait (`pg_cancel_backend`, a cancel request) with a warning and a successful COMMIT: the
rows are on this server, and may be on no standby. Acknowledged like that, they could be lost with a failover. Sent
again, they are duplicates, and `api.await_standbys` makes that answer wait.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import asyncpg

if TYPE_CHECKING:
    import psycopg

    AnyConnection = asyncpg.Connection[asyncpg.Record]

_SOURCE = "SyncRepWaitForLSN"
"""The server's function that warns. The text of the warning is in the server's language."""
_MESSAGE = "a commit was not confirmed by the synchronous standbys, as its wait was cancelled"


class UnreplicatedCommitError(asyncpg.InterfaceError):
    """A commit is on this server, but perhaps on no standby; to be repeated, as after a lost connection."""


@contextmanager
def replicated(connection: AnyConnection | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]) -> Iterator[None]:
    """Require that the commits in the block have waited for the standbys; else close the connection.

    Raises:
        UnreplicatedCommitError: a wait was cancelled; the commit stands on this server.
    """
    cancelled: list[Any] = []

    def note(_: object, message: Any) -> None:
        if getattr(message, "server_source_function", None) == _SOURCE:
            cancelled.append(message)

    connection.add_log_listener(note)
    try:
        yield
    finally:
        connection.remove_log_listener(note)
    if cancelled:
        connection.terminate()
        raise UnreplicatedCommitError(_MESSAGE)


@contextmanager
def replicated_commands(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Require the same of the commits of a command, on a psycopg connection.

    Raises:
        UnreplicatedCommitError: a wait was cancelled; the commit stands on this server.
    """
    cancelled: list[Any] = []

    def note(message: psycopg.errors.Diagnostic) -> None:
        if message.source_function == _SOURCE:
            cancelled.append(message)

    connection.add_notice_handler(note)
    try:
        yield
    finally:
        connection.remove_notice_handler(note)
    if cancelled:
        raise UnreplicatedCommitError(_MESSAGE)
