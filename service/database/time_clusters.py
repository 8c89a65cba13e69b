"""Clusters of rows by time, one transaction each.

TimescaleDB marks everything between the first and the last reading of a transaction as stale. With live readings in its
transaction, a late reading would cause hours of all devices to be refreshed instead of one bucket.
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
    """A range of time, both ends included."""

    first: datetime
    last: datetime

    def reaches(self, other: Span) -> bool:
        """Return true if no gap wider than `REACH` separates both."""
        return self.first - REACH <= other.last and other.first <= self.last + REACH

    def with_(self, other: Span) -> Span:
        """Return the range of both."""
        return Span(min(self.first, other.first), max(self.last, other.last))


def cluster(times: Sequence[datetime]) -> list[list[int]]:
    """Cut positions in `times` into at most `MOST_CLUSTERS` groups at gaps wider than `REACH`.

    Each group is in input order.
    """
    order = sorted(range(len(times)), key=times.__getitem__)
    gaps = [
        (times[after] - times[before], place)
        for place, (before, after) in enumerate(pairwise(order), 1)
        if times[after] - times[before] > REACH
    ]
    cuts = [0, *sorted(place for _, place in heapq.nlargest(MOST_CLUSTERS - 1, gaps)), len(order)]
    return [sorted(order[start:end]) for start, end in pairwise(cuts)]


def span_of(rows: Sequence[Sequence[Any]], time_at: int) -> Span:
    """Return the time range of rows with their time at position `time_at`."""
    times = [row[time_at] for row in rows]
    return Span(min(times), max(times))
