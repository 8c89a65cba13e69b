"""Tally of a run: counts, latencies, and all accepted readings of the watched vehicles."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Collection

from msgspec import Struct

from service.commands.simulate.feed import Item

_STEP = math.log(1.02)


class Latencies:
    """A histogram of times with buckets 2 % apart, of constant size."""

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()

    def add(self, seconds: float) -> None:
        """Add a time."""
        self._buckets[round(math.log(max(seconds, 1e-6)) / _STEP)] += 1

    def percentile(self, percent: float) -> float | None:
        """Return the percentile in milliseconds; None without any time."""
        rank = percent / 100 * self._buckets.total()
        for bucket in sorted(self._buckets):
            rank -= self._buckets[bucket]
            if rank <= 0:
                return round(math.exp(bucket * _STEP) * 1e3, 3)
        return None


class Counts(Struct):
    """Readings by outcome, and the requests that carried them.

    Attributes:
        sent: readings in requests that were begun, without retries.
        rejected_wrongly: valid readings that the service rejected, without conflicts.
        accepted_wrongly: broken readings that the service accepted.
        ignored: readings of which a measure was ignored.
        ignored_wrongly: readings of which a valid measure was ignored, or an impossible one was not.
        lost: readings with an unknown outcome: every attempt failed.
    """

    sent: int = 0
    broken: int = 0
    stored: int = 0
    duplicates: int = 0
    conflicts: int = 0
    rejected: int = 0
    rejected_wrongly: int = 0
    accepted_wrongly: int = 0
    ignored: int = 0
    ignored_wrongly: int = 0
    lost: int = 0
    requests: int = 0
    retries: int = 0
    in_flight: int = 0


class Sample(Struct):
    """A second of the run.

    Attributes:
        seconds: since it began.
        behind_s: delay of the last request against the schedule.
        p50_ms, p99_ms: of the requests answered in this second.
    """

    seconds: float
    counts: Counts
    behind_s: float
    p50_ms: float | None
    p99_ms: float | None


class Tally:
    """Counts, latencies and watched readings of one run.

    Attributes:
        codes: rejected readings by code.
        faults: answers and errors without an outcome, by kind.
        accepted: vehicle -> bodies of its readings, and its meter's, that were stored now or before; of the `watched`
            ones, and sent from `watched_from` on (simulated Unix time).
        disputed: vehicles with a lost reading, or with one that met another in the database.
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
        """Count an answered request with its latency since it was due."""
        self.latencies.add(latency_s)
        self._second.add(latency_s)

    def settle(self, item: Item, outcome: str, *, is_ignored: bool = False) -> None:
        """Count the outcome of one reading: `stored`, `duplicate`, `conflict`, `lost`, or the code of its rejection.

        `is_ignored` is true if the service ignored a measure of it.
        """
        counts = self.counts
        counts.ignored += is_ignored
        if outcome in {"stored", "duplicate"}:
            if outcome == "stored":
                counts.stored += 1
            else:
                counts.duplicates += 1
            counts.accepted_wrongly += item.is_broken
            counts.ignored_wrongly += is_ignored != item.is_ignored
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
        """Return the sample of the last second."""
        second, self._second = self._second, Latencies()
        counts = Counts(**{name: getattr(self.counts, name) for name in Counts.__struct_fields__})
        seconds = round(time.monotonic() - self.began, 2)
        return Sample(seconds, counts, round(self.behind_s, 3), second.percentile(50), second.percentile(99))
