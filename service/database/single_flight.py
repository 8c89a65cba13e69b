"""Single-flight: concurrent callers share one execution, which is under way or (FreshFlight) begins after them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


class SingleFlight(Generic[Result]):
    """A piece of work that runs once for all concurrent callers; a later caller starts it again."""

    def __init__(self) -> None:
        self._task: asyncio.Task[Result] | None = None

    async def run(self, work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """Return the result of `work`, or of the execution that is already under way."""
        if self._task is None:
            # a context of its own: the work belongs to no request, and must not carry the id of the first
            self._task = asyncio.get_running_loop().create_task(work(), context=Context())
            self._task.add_done_callback(self._done)
        # shielded: a cancelled caller does not cancel the others' work
        return await asyncio.shield(self._task)

    def _done(self, task: asyncio.Task[Result]) -> None:
        self._task = None
        _retrieve(task)


class FreshFlight(Generic[Result]):
    """A piece of work that begins after its callers have come: those who come while it runs share the next execution.

    So a caller finds in the result whatever was committed before its call.
    """

    def __init__(self) -> None:
        self._running: asyncio.Task[Result] | None = None
        self._next: asyncio.Task[Result] | None = None

    async def run(self, work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """Return the result of the next execution of `work`, which begins once no other one is under way."""
        if self._next is None or self._next.done():
            # a context of its own, and shielded: as in SingleFlight
            self._next = asyncio.get_running_loop().create_task(self._follow(work), context=Context())
            self._next.add_done_callback(_retrieve)
        return await asyncio.shield(self._next)

    async def _follow(self, work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        if self._running is not None:
            await asyncio.wait({self._running})
        self._running, self._next = self._next, None
        return await work()


def _retrieve(task: asyncio.Task[Any]) -> None:
    """Retrieve the error of a task, so that asyncio does not report it: every waiting caller has it."""
    if not task.cancelled():
        task.exception()
