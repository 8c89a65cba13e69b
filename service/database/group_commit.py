"""Group commit: concurrent requests share one call and one commit. None is delayed to wait for others."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterable, Sequence
from contextvars import Context
from typing import TYPE_CHECKING, TypeAlias

import asyncpg

from service.database.calls import GroupedCall, Row
from service.database.connect import discard
from service.database.failures import is_retryable
from service.database.replication import replicated
from service.database.time_clusters import REACH, Span, cluster, span_of
from service.errors import Problem
from service.observability.request_id import REQUEST_ID, application_name, traced

MOST_ROWS_A_CALL = 1000
"""Most rows of a call. Larger calls gain nothing, and delay the requests behind them."""

ACQUIRE_TIMEOUT_S = 5.0
"""Longest wait of rows for a connection, while the database is away; then they fail."""

MOST_WAIT_S = ACQUIRE_TIMEOUT_S
"""Longest wait of rows for the rows before them. A limit on their number alone is not enough. Behind a slow database,
rows would wait until their sender gives up and sends them again, as additional load."""

if TYPE_CHECKING:
    _Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
    _Connection: TypeAlias = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]


class _Request:
    """Rows that a caller waits for."""

    __slots__ = ("answer", "request_id", "rows", "since", "span")

    def __init__(self, rows: list[Row], span: Span | None, loop: asyncio.AbstractEventLoop) -> None:
        self.rows = rows
        self.span = span
        self.answer: asyncio.Future[Sequence[asyncpg.Record]] = loop.create_future()
        self.request_id = REQUEST_ID.get()
        self.since = loop.time()


class GroupCommit:
    """A queue of rows for one grouped call, shared by many requests.

    As soon as one of at most `writers` connections is free, all waiting rows are sent in one call. Rows with a time
    (`time_at` of the call) that are far apart in time are sent in separate calls (`time_clusters`).

    Attributes:
        pending: rows that wait or are being stored; from `max_pending` on, no more are accepted.
    """

    def __init__(self, pool: _Pool, call: GroupedCall, *, writers: int, max_pending: int) -> None:
        self._pool = pool
        self._call = call
        self._most_writers = writers
        self._max_pending = max_pending
        self._waiting: deque[_Request] = deque()
        self._writers = 0
        self._tasks: set[asyncio.Task[None]] = set()  # asyncio itself keeps only weak references
        self.pending = 0

    def check_room(self) -> None:
        """Check that rows are accepted now, before a request is decoded.

        Raises:
            Problem: `overloaded`: too many rows are pending, or they have waited for `MOST_WAIT_S`.
        """
        if self.pending >= self._max_pending:
            self._call.count_overload()
            raise Problem(
                "overloaded", f"{self.pending} {self._call.noun} are waiting already (at most {self._max_pending})"
            )
        if self._waiting and self._is_overdue(self._waiting[0]):
            self._call.count_overload()
            raise self._waited_too_long()

    async def call(self, rows: list[Row]) -> Sequence[asyncpg.Record]:
        """Return the records of `rows` (at most `MOST_ROWS_A_CALL`), in order, after the commit.

        Raises:
            Problem: `overloaded`, at once, or after `MOST_WAIT_S`.
            Exception: the shared call failed; sending all of these rows again loses none.
        """
        self.check_room()
        time_at = self._call.time_at
        if time_at is None or not rows:
            return await self._add(rows, None)
        span = span_of(rows, time_at)
        if span.last - span.first <= REACH:
            return await self._add(rows, span)
        clusters = cluster([row[time_at] for row in rows])
        parts = [[rows[position] for position in positions] for positions in clusters]
        answers = await asyncio.gather(*[self._add(part, span_of(part, time_at)) for part in parts])
        records = dict(
            pair
            for positions, answer in zip(clusters, answers, strict=True)
            for pair in zip(positions, answer, strict=True)
        )
        return [records[position] for position in range(len(rows))]

    def _add(self, rows: list[Row], span: Span | None) -> asyncio.Future[Sequence[asyncpg.Record]]:
        """Queue rows for the next call, and return the future of their records."""
        request = _Request(rows, span, asyncio.get_running_loop())
        self._waiting.append(request)
        self.pending += len(rows)
        if self._writers < self._most_writers:
            self._writers += 1
            # a context of its own: the writer serves many requests, and must not carry the id of the first
            task = asyncio.get_running_loop().create_task(self._write_while_waiting(), context=Context())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return request.answer

    async def _write_while_waiting(self) -> None:
        try:
            while self._waiting:
                try:
                    async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
                        while (group := self._take()) and await self._write(connection, group):
                            pass
                except Exception as error:
                    self._fail(self._take_all(), error)
        finally:
            self._writers -= 1  # in one step with the last look at the queue: a later request starts a writer

    def _take(self) -> list[_Request]:
        """Take the requests of the next call; those that have waited too long fail."""
        while self._waiting and self._is_overdue(self._waiting[0]):
            self._call.count_overload()
            self._fail([self._waiting.popleft()], self._waited_too_long())
        group: list[_Request] = []
        apart: list[_Request] = []
        rows, span = 0, None
        while self._waiting and len(apart) < MOST_ROWS_A_CALL:
            request = self._waiting[0]
            if span and request.span and not span.reaches(request.span):
                apart.append(self._waiting.popleft())
            elif (rows := rows + len(request.rows)) <= MOST_ROWS_A_CALL:
                group.append(self._waiting.popleft())
                span = span.with_(request.span) if span and request.span else request.span
            else:
                break
        self._waiting.extendleft(reversed(apart))  # in their order, before later requests
        return group

    @staticmethod
    def _is_overdue(request: _Request) -> bool:
        return request.answer.get_loop().time() - request.since > MOST_WAIT_S

    def _take_all(self) -> list[_Request]:
        requests = list(self._waiting)
        self._waiting.clear()
        return requests

    async def _write(self, connection: _Connection, group: list[_Request]) -> bool:
        """Call for these requests and answer them; False if the connection must not be used further."""
        rows = [row for request in group for row in request.rows]
        began = time.perf_counter()
        # a log line of a call for one request has the request's id
        REQUEST_ID.set(group[0].request_id if len(group) == 1 else "")
        try:
            name = application_name(group[0].request_id, len(group) - 1)
            with replicated(connection):
                records = await connection.fetch(traced(self._call.query), rows, name)
        except Exception as error:
            if len(group) == 1 or is_retryable(error):
                self._fail(group, error)
                await discard(self._pool, connection, error)
                return False
            # a bug, or unforeseen rows: each request gets its own error
            return all([await self._write(connection, [request]) for request in group])
        self._call.count(rows, records, time.perf_counter() - began)
        start = 0
        for request in group:
            end = start + len(request.rows)
            self._settle(request)
            if not request.answer.done():
                request.answer.set_result(records[start:end])
            start = end
        return True

    def _fail(self, requests: Iterable[_Request], error: Exception) -> None:
        for request in requests:
            self._settle(request)
            if not request.answer.done():
                request.answer.set_exception(error)

    def _settle(self, request: _Request) -> None:
        self.pending -= len(request.rows)

    def _waited_too_long(self) -> Problem:
        return Problem("overloaded", f"{self._call.noun} have been waiting for {MOST_WAIT_S:g} s already")
