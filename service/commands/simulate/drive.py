"""Driver of a feed: each request is sent when it is due, whatever became of earlier ones, or as fast as possible."""

from __future__ import annotations

import asyncio
import itertools
import math
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
"""Time limit of retries; after it the readings are lost."""
LONGEST_PAUSE_S = 8.0
REQUEST_TIMEOUT_S = 30.0
_FAILED = (aiohttp.ClientError, TimeoutError, OSError)


@dataclass(frozen=True)
class Pace:
    """Mapping from simulated time to real time.

    Attributes:
        began: real Unix time at which the run began.
        start: simulated Unix time then; not after it.
        speed: simulated seconds a second, until the clock is caught up with.
    """

    began: float
    start: float
    speed: float

    def real(self, simulated: float) -> float:
        """Return the real Unix time of a simulated one.

        At infinite speed, all past times are due at the beginning.
        """
        return max(self.began + (simulated - self.start) / self.speed, simulated)


class Driver:
    """Sender of items over one session; it tallies their outcomes.

    A request is sent when it is due. No slow answer delays the next one, and latency counts from the due time. At
    infinite speed, history comes first: it is sent as fast as `concurrency` requests at a time are answered, until the
    run has caught up with the clock. A request that became due meanwhile is history, too.

    Attributes:
        stopping: set it to end early.
        last_due: simulated time of the last request.
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
        """Send all `items`, or until `stopping`; return when every request has its outcome."""
        is_history = math.isinf(self._pace.speed)
        for group in _groups(items, self._batch):
            due = self._pace.real(group[-1].due)
            is_history = is_history and due <= time.time()
            if is_history:
                await self._slots.acquire()
                due = time.time()
            else:
                await self._wait_until(due)
            if self.stopping.is_set():
                break
            self.last_due = group[-1].due
            self._tally.behind_s = max(0.0, time.time() - due)
            task = asyncio.create_task(self._send(group, due))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            if is_history:
                task.add_done_callback(lambda _: self._slots.release())
        await asyncio.gather(*self._tasks)

    async def _wait_until(self, due: float) -> None:
        """Sleep until `due` or `stopping`; yield to other tasks even if late."""
        pause = due - time.time()
        if pause <= 0.05:
            await asyncio.sleep(max(0.0, pause))
            return
        try:
            await asyncio.wait_for(self.stopping.wait(), pause)
        except TimeoutError:
            return

    async def _send(self, group: list[Item], due: float) -> None:
        """Send until there is an outcome. Readings stored by a failed attempt are duplicates at the next."""
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
        for item, (outcome, is_ignored) in zip(group, outcomes or [("lost", False)] * len(group), strict=True):
            self._tally.settle(item, outcome, is_ignored=is_ignored)

    async def _attempt(self, group: list[Item]) -> tuple[list[tuple[str, bool]] | None, float | None]:
        """Return the outcomes; without any, the seconds that the service asks to wait, if it does."""
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

    def _outcomes(self, group: list[Item], status: int, answer: bytes) -> list[tuple[str, bool]] | None:
        """Return the outcomes that the service states, and whether it ignored a measure.

        None for a foreign answer or a request to retry later.
        """
        if status >= 500 or status == 429:
            return None
        try:
            if self._batch == 1:
                found: dict[str, Any] = msgspec.json.decode(answer)
                return [(found.get("outcome") or found["code"], "ignored" in found)]
            batch = msgspec.json.decode(answer, type=BatchOutcome)
        except (msgspec.DecodeError, LookupError, AttributeError, UnicodeDecodeError):
            return None
        # a batch states the number of duplicates, but not their places
        outcomes = ["duplicate"] * batch.duplicates + ["stored"] * (len(group) - batch.duplicates)
        rejected = {error.index: error.code for error in batch.errors}
        accepted = iter(outcomes)
        ignored = {measure.index for measure in batch.ignored}
        return [(rejected.get(index) or next(accepted), index in ignored) for index in range(len(group))]


def _groups(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Split items into groups of up to `size`."""
    iterator = iter(items)
    while group := list(itertools.islice(iterator, size)):
        yield group
