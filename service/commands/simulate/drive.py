"""Sends a feed: each request when it is due, whatever became of the ones before, or as fast as they are answered."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec

from service.commands.simulate.feed import Item
from service.commands.simulate.tally import Tally
from service.readings.outcomes import BatchOutcome

RETRY_FOR_S = 60.0
"""How long a request is tried again; after that its readings are lost."""
LONGEST_PAUSE_S = 8.0
REQUEST_TIMEOUT_S = 30.0
_FAILED = (aiohttp.ClientError, TimeoutError, OSError)


@dataclass(frozen=True)
class Pace:
    """When simulated time happens.

    Attributes:
        began: real Unix time at which the run began.
        start: simulated Unix time then; not after it.
        speed: simulated seconds a second, until the clock is caught up with.
    """

    began: float
    start: float
    speed: float

    def real(self, simulated: float) -> float:
        """Real Unix time of a simulated one; at infinite speed, all that has passed is due at the beginning."""
        return max(self.began + (simulated - self.start) / self.speed, simulated)


class Driver:
    """Sends items over one session and tallies what becomes of them.

    A request that was due in the future when the run began goes out on time: no slow answer delays the next one, and
    its latency counts from when it was due. What was due at the beginning (history) goes out as fast as `concurrency`
    requests at a time are answered.

    Attributes:
        stopping: set it to end early.
        last_due: simulated time of what was sent last.
    """

    def __init__(
        self, session: aiohttp.ClientSession, tally: Tally, pace: Pace, *, batch: int, concurrency: int
    ) -> None:
        self._session = session
        self._tally = tally
        self._pace = pace
        self._batch = batch
        self._slots = asyncio.Semaphore(concurrency)
        self._tasks: set[asyncio.Task[None]] = set()
        self.stopping = asyncio.Event()
        self.last_due = pace.start

    async def run(self, items: Iterable[Item]) -> None:
        """Send all of `items`, or until `stopping`; returns when everything that was begun has its outcome."""
        for group in _groups(items, self._batch):
            due = self._pace.real(group[-1].due)
            is_paced = due > self._pace.began
            if is_paced:
                await self._wait_until(due)
            else:
                await self._slots.acquire()
                due = time.time()
            if self.stopping.is_set():
                break
            self.last_due = group[-1].due
            self._tally.behind_s = max(0.0, time.time() - due)
            task = asyncio.create_task(self._send(group, due))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            if not is_paced:
                task.add_done_callback(lambda _: self._slots.release())
        await asyncio.gather(*self._tasks)

    async def _wait_until(self, due: float) -> None:
        """Sleep, but not past `stopping`; lets others run even where it is late."""
        pause = due - time.time()
        if pause <= 0.05:
            await asyncio.sleep(max(0.0, pause))
            return
        try:
            await asyncio.wait_for(self.stopping.wait(), pause)
        except TimeoutError:
            return

    async def _send(self, group: list[Item], due: float) -> None:
        """Send until there is an outcome. Safe: what a failed attempt has stored is a duplicate at the next."""
        counts = self._tally.counts
        counts.sent += len(group)
        counts.broken += sum(item.is_broken for item in group)
        counts.requests += 1
        counts.in_flight += 1
        give_up = time.time() + RETRY_FOR_S
        outcomes, pause = await self._attempt(group)
        backoff = 0.5
        while outcomes is None and time.time() < give_up and not self.stopping.is_set():
            await self._wait_until(time.time() + (pause or backoff))
            backoff = min(2 * backoff, LONGEST_PAUSE_S)
            counts.retries += 1
            outcomes, pause = await self._attempt(group)
        counts.in_flight -= 1
        if outcomes is not None:
            self._tally.answered(time.time() - due)
        for item, outcome in zip(group, outcomes or ["lost"] * len(group), strict=True):
            self._tally.settle(item, outcome)

    async def _attempt(self, group: list[Item]) -> tuple[list[str] | None, float | None]:
        """The outcome of each; without any, the seconds the service asks to wait, if it does."""
        kind = group[0].kind
        path, media_type = (f"/v1/ingest/{kind}", "application/json")
        if self._batch > 1:
            path, media_type = ("/v1/ingest/batch", "application/x-ndjson")
        body = b"\n".join(item.body for item in group)
        try:
            async with self._session.post(path, data=body, headers={"content-type": media_type}) as response:
                answer = await response.read()
                outcomes = self._outcomes(group, response.status, answer)
                if outcomes is not None:
                    return outcomes, None
                self._tally.faults[f"HTTP {response.status}"] += 1
                asked = response.headers.get("retry-after", "")
                return None, min(float(asked), LONGEST_PAUSE_S) if asked.isdecimal() else None
        except _FAILED as error:
            self._tally.faults[type(error).__name__] += 1
            return None, None

    def _outcomes(self, group: list[Item], status: int, answer: bytes) -> list[str] | None:
        """The outcome of each, as the service tells it; None where that is no answer of its own, or a "later"."""
        if status >= 500 or status == 429:
            return None
        try:
            if self._batch == 1:
                found: dict[str, Any] = msgspec.json.decode(answer)
                return [found.get("outcome") or found["code"]]
            batch = msgspec.json.decode(answer, type=BatchOutcome)
        except (msgspec.DecodeError, LookupError, AttributeError, UnicodeDecodeError):
            return None
        # which of the others are duplicates a batch does not say; how many, it does
        outcomes = ["duplicate"] * batch.duplicates + ["stored"] * (len(group) - batch.duplicates)
        rejected = {error.index: error.code for error in batch.errors}
        accepted = iter(outcomes)
        return [rejected.get(index) or next(accepted) for index in range(len(group))]


def _groups(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Up to `size` at a time."""
    iterator = iter(items)
    while group := list(itertools.islice(iterator, size)):
        yield group
