"""What became of what was sent: counts, latencies, and every accepted reading of the vehicles that are looked at."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Collection

from msgspec import Struct

from service.commands.simulate.feed import Item

_STEP = math.log(1.02)


class Latencies:
    """Times in buckets 2 % apart, however many there are."""

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()

    def add(self, seconds: float) -> None:
        """Take one in."""
        self._buckets[round(math.log(max(seconds, 1e-6)) / _STEP)] += 1

    def percentile(self, percent: float) -> float | None:
        """Milliseconds below which `percent` of them lie; None without any."""
        rank = percent / 100 * self._buckets.total()
        for bucket in sorted(self._buckets):
            rank -= self._buckets[bucket]
            if rank <= 0:
                return round(math.exp(bucket * _STEP) * 1e3, 3)
        return None


class Counts(Struct):
    """Readings by what became of them, and the requests that carried them.

    Attributes:
        sent: readings in requests that were begun; a retry counts no second time.
        rejected_wrongly: whole readings that the service rejected, conflicts apart.
        accepted_wrongly: broken readings that the service took.
        lost: readings nobody knows the outcome of: every attempt failed.
    """

    sent: int = 0
    broken: int = 0
    stored: int = 0
    duplicates: int = 0
    conflicts: int = 0
    rejected: int = 0
    rejected_wrongly: int = 0
    accepted_wrongly: int = 0
    lost: int = 0
    requests: int = 0
    retries: int = 0
    in_flight: int = 0


class Sample(Struct):
    """A second of the run.

    Attributes:
        seconds: since it began.
        behind_s: how late the last request was begun, against the schedule.
        p50_ms, p99_ms: of the requests answered in this second.
    """

    seconds: float
    counts: Counts
    behind_s: float
    p50_ms: float | None
    p99_ms: float | None


class Tally:
    """All of the above for one run.

    Attributes:
        codes: rejected readings by code.
        faults: answers and errors that were no outcome, by what they were.
        accepted: vehicle -> bodies of its readings, and its meter's, that were stored now or before; of the `watched`
            ones, and sent from `watched_from` on (simulated Unix time).
        disputed: vehicles of which a reading met another one in the database, or got lost.
    """

    def __init__(self, watched: Collection[int], watched_from: float) -> None:
        self.counts = Counts()
        self.codes: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.accepted: dict[int, set[bytes]] = {vehicle: set() for vehicle in watched}
        self.disputed: set[int] = set()
        self._watched_from = watched_from
        self.latencies = Latencies()
        self.behind_s = 0.0
        self.began = time.monotonic()
        self._second = Latencies()

    def answered(self, latency_s: float) -> None:
        """A request was answered, this long after it was due."""
        self.latencies.add(latency_s)
        self._second.add(latency_s)

    def settle(self, item: Item, outcome: str) -> None:
        """The outcome of one reading: `stored`, `duplicate`, `conflict`, `lost`, or why it was rejected."""
        counts = self.counts
        if outcome in {"stored", "duplicate"}:
            if outcome == "stored":
                counts.stored += 1
            else:
                counts.duplicates += 1
            counts.accepted_wrongly += item.is_broken
            if item.vehicle in self.accepted and item.due >= self._watched_from:
                self.accepted[item.vehicle].add(item.body)
        elif outcome in {"conflict", "lost"}:
            counts.conflicts += outcome == "conflict"
            counts.lost += outcome == "lost"
            self.disputed.add(item.vehicle)
        else:
            counts.rejected += 1
            counts.rejected_wrongly += not item.is_broken
            self.codes[outcome] += 1

    def sample(self) -> Sample:
        """The second that has just passed."""
        second, self._second = self._second, Latencies()
        counts = Counts(**{name: getattr(self.counts, name) for name in Counts.__struct_fields__})
        seconds = round(time.monotonic() - self.began, 2)
        return Sample(seconds, counts, round(self.behind_s, 3), second.percentile(50), second.percentile(99))
