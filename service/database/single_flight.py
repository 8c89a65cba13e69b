"""Something that many wait for at the same time, and that is done once for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


class Together(Generic[Result]):
    """Does something for whoever asks while it is under way; who asks later has it done again."""

    def __init__(self) -> None:
        self._task: asyncio.Task[Result] | None = None

    async def do(self, work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """What comes of `work`, or of that of somebody who asked just before."""
        if self._task is None:
            self._task = asyncio.create_task(work())
            self._task.add_done_callback(self._done)
        # who gives up does not take it from the others
        return await asyncio.shield(self._task)

    def _done(self, task: asyncio.Task[Result]) -> None:
        self._task = None
        if not task.cancelled():
            task.exception()  # whoever waited has it
