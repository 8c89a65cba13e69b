"""Asks `/health/ready` again and again, and remembers when it said what."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import aiohttp


class Probe:
    """Attributes: seen: when an answer came, and whether it was 200."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, bool]] = []

    def turned(self, moment: float, *, ready: bool) -> float:
        """Seconds from `moment` to the first answer after it that was so."""
        return next((at for at, was in self.seen if at > moment and was == ready), float("inf")) - moment

    async def until(self, *, ready: bool, seconds: float = 60) -> None:
        """Wait until an answer from now on is so."""
        moment = time.monotonic()
        async with asyncio.timeout(seconds):
            while self.turned(moment, ready=ready) == float("inf"):  # noqa: ASYNC110
                await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def probing(url: str) -> AsyncIterator[Probe]:
    probe = Probe()

    async def ask() -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
            while True:
                ready = False
                with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
                    async with session.get(f"{url}/health/ready") as answer:
                        ready = answer.status == 200
                probe.seen.append((time.monotonic(), ready))
                await asyncio.sleep(0.1)

    asking = asyncio.create_task(ask())
    try:
        yield probe
    finally:
        asking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asking
