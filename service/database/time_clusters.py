"""Clusters of rows by time. TimescaleDB marks as stale, per transaction, everything between its first and last reading.

A late reading that shared a transaction with live ones would have hours of all devices refreshed instead of its bucket.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple

REACH = timedelta(minutes=15)
"""Rows nearer than a bucket of the finest aggregate share a transaction."""

MOST_CLUSTERS = 8
"""A batch is cut at its widest gaps only: each cluster costs a commit."""


class Span(NamedTuple):
    """The time from the first to the last row, both included."""

    first: datetime
    last: datetime

    def reaches(self, other: Span) -> bool:
        """Whether both together leave no gap wider than `REACH`."""
        return self.first - REACH <= other.last and other.first <= self.last + REACH

    def with_(self, other: Span) -> Span:
        """The time of both."""
        return Span(min(self.first, other.first), max(self.last, other.last))


def cluster(times: Sequence[datetime]) -> list[list[int]]:
    """Positions in `times`, cut into at most `MOST_CLUSTERS` groups at gaps wider than `REACH`, each in input order."""
    order = sorted(range(len(times)), key=times.__getitem__)
    gaps = [
        (times[after] - times[before], place)
        for place, (before, after) in enumerate(pairwise(order), 1)
        if times[after] - times[before] > REACH
    ]
    cuts = [0, *sorted(place for _, place in heapq.nlargest(MOST_CLUSTERS - 1, gaps)), len(order)]
    return [sorted(order[start:end]) for start, end in pairwise(cuts)]


def span_of(rows: Sequence[Sequence[Any]], time_at: int) -> Span:
    """The time of rows, whose times stand at position `time_at`."""
    times = [row[time_at] for row in rows]
    return Span(min(times), max(times))
