"""Connections: to the host of a URL that fits, and with the session that the service relies on."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, cast
from weakref import WeakSet

import asyncpg

from service.database.failures import CONNECTION_ERRORS, NoHostError, describe_failure
from service.database_url import describe_host, parse_database_url
from service.errors import StartupError, first_line

HEAD_START_S = 0.25
"""The next of several hosts is tried beside a host that has been silent for this long."""
BULK_TIMEOUT_S = 300.0
CLOSE_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 0.5
"""Limit of a server's answer to the cancellation of a statement; beyond it, the server counts as silent."""

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Host: TypeAlias = tuple[str, int]

if TYPE_CHECKING:
    from asyncpg.connect_utils import SessionAttribute

    AnyConnection = asyncpg.Connection[asyncpg.Record]
else:  # generic only to the type checker
    AnyConnection = asyncpg.Connection
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

    It is a statement, as the embedded database ignores start-up options. `jit` slows the look-up of types down.
    """
    await connection.execute(
        "SET ROLE energy_service; SET synchronous_commit = on; SET TimeZone = 'UTC'; SET jit = off; "
        "SET lock_timeout = '5s'"
    )


class Connector:
    """Opens connections to a URL, at the first of its hosts that fits.

    The host that fitted last is tried first. `writable` accepts a server only while it accepts writes, whatever
    `target_session_attrs` of the URL says.
    """

    def __init__(self, url: str, *, writable: bool) -> None:
        self._url = parse_database_url(url)
        self._hosts = deque(self._url.hosts)
        # a standby is preferred, but any server will do: two rounds over the hosts
        one = ("read-write",) if writable else (self._url.target,)
        self._targets = ("standby", "any") if one == ("prefer-standby",) else one
        self._open_at: dict[Host, WeakSet[AnyConnection]] = {}

    async def __call__(self, _: str | None = None, **options: Any) -> Any:
        """Open a connection; `options` are those of `asyncpg.connect`, and the first argument is a pool's DSN.

        Raises:
            NoHostError: none of several hosts can be used.
            Exception: one of `CONNECTION_ERRORS`, from the only host, or from the one that refused the login.
        """
        for target in self._targets[:-1]:
            with suppress(*CONNECTION_ERRORS):
                return await self._connect(target, options)
        return await self._connect(self._targets[-1], options)

    async def _connect(self, target: str, options: dict[str, Any]) -> AnyConnection:
        if len(self._hosts) < 2:
            return await self._open(self._hosts[0] if self._hosts else None, target, options)
        untried = deque(self._hosts)
        tried: dict[asyncio.Task[AnyConnection], Host] = {}
        errors: list[tuple[Host, BaseException]] = []
        try:
            while untried or tried:
                if untried:
                    host = untried.popleft()
                    tried[asyncio.create_task(self._open(host, target, options))] = host
                limit = HEAD_START_S if untried else None
                done, _ = await asyncio.wait(tried, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
                for attempt in done:
                    host = tried.pop(attempt)
                    if (error := attempt.exception()) is None:
                        self._leave_others(host, tried, errors)
                        tried = {}
                        self._open_at.setdefault(host, WeakSet()).add(attempt.result())
                        return attempt.result()
                    errors.append((host, error))
        finally:
            for attempt in tried:
                attempt.add_done_callback(_drop)
                attempt.cancel()
        raise _most_telling(errors, target, self._url.timeout)

    def _leave_others(
        self, host: Host, tried: dict[asyncio.Task[AnyConnection], Host], errors: list[tuple[Host, BaseException]]
    ) -> None:
        """Prefer a host that fits. The connections to those that do not end, with the statements under way.

        So a statement does not wait for a frozen server, once another one is the primary.
        """
        if host in self._hosts:
            self._hosts.remove(host)
            self._hosts.appendleft(host)
        for other, error in errors:
            self._judge(other, error)
        for attempt, other in tried.items():  # its own time-out ends it
            attempt.add_done_callback(_drop)
            attempt.add_done_callback(partial(self._judge_attempt, other))

    def _judge_attempt(self, host: Host, attempt: asyncio.Task[AnyConnection]) -> None:
        if not attempt.cancelled():
            self._judge(host, attempt.exception())

    def _judge(self, host: Host, error: BaseException | None) -> None:
        """End the connections to a host, if `error` means that it is away or does not fit."""
        if isinstance(error, OSError | asyncpg.TargetServerAttributeNotMatched | asyncpg.CannotConnectNowError):
            for connection in self._open_at.pop(host, ()):
                connection.terminate()

    async def _open(self, host: Host | None, target: str, options: dict[str, Any]) -> AnyConnection:
        arguments = {**options, **self._url.for_asyncpg()}
        if host is not None:
            arguments |= {"host": host[0], "port": host[1]}
        found: AnyConnection = await asyncpg.connect(
            **arguments, timeout=self._url.timeout, target_session_attrs=cast("SessionAttribute", target)
        )
        return found


def _drop(attempt: asyncio.Task[AnyConnection]) -> None:
    """Close the connection of an attempt that came too late."""
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().terminate()


def _most_telling(errors: list[tuple[Host, BaseException]], target: str, timeout: float) -> BaseException:
    """Return the refusal of a server that is up, or else the reasons of all hosts in one error."""
    reasons = []
    for host, error in errors:
        match error:
            case asyncpg.CannotConnectNowError():
                reason = first_line(error)
            case asyncpg.PostgresError() | asyncpg.InterfaceError():
                return error
            case asyncpg.TargetServerAttributeNotMatched():
                reason = f"is not {target}"
            case TimeoutError():
                reason = f"did not answer within {timeout:g} s"
            case OSError() | asyncpg.InternalClientError():
                reason = first_line(error)
            case _:
                return error
        reasons.append(f"{describe_host(host)} {reason}")
    return NoHostError("; ".join(reasons))


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
