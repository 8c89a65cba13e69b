"""Connections to the host of a URL that fits: hosts are tried beside each other, so that a silent one costs little."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, cast
from weakref import WeakSet

import asyncpg

from service.database.failures import CONNECTION_ERRORS, NoHostError
from service.database_url import describe_host, parse_database_url
from service.errors import first_line

HEAD_START_S = 0.25
"""The next of several hosts is tried beside a host that has been silent for this long."""

Host: TypeAlias = tuple[str, int]

if TYPE_CHECKING:
    from asyncpg.connect_utils import SessionAttribute

    AnyConnection = asyncpg.Connection[asyncpg.Record]
else:  # generic only to the type checker
    AnyConnection = asyncpg.Connection


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
        self._writable = writable
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
        """Prefer a host that fits. For writes, the connections to those that do not fit end, with their statements.

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
        if self._writable and isinstance(
            error, OSError | asyncpg.TargetServerAttributeNotMatched | asyncpg.CannotConnectNowError
        ):
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
