"""Single-flight: concurrent callers share one execution."""

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
        if not task.cancelled():
            task.exception()  # retrieved here, so that asyncio does not report it: every waiting caller has it
