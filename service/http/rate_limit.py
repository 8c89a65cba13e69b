"""Token buckets: how many requests a second a key, or an address, may send. Each worker has its own, in memory."""

from __future__ import annotations

import math

from service.errors import Problem

BURST_S = 2
"""A bucket holds what comes in so many seconds."""
MOST_ADDRESSES = 10_000
"""Remembered at once; whoever is forgotten begins anew."""


class Bucket:
    """Tokens that come at a steady rate; a request takes one."""

    __slots__ = ("rate", "tokens", "updated")

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.tokens = rate * BURST_S
        self.updated = 0.0

    def take(self, now: float) -> float:
        """Take a token; seconds to wait for one where there is none, else 0."""
        if now > self.updated:
            self.tokens = min(self.rate * BURST_S, self.tokens + (now - self.updated) * self.rate)
            self.updated = now
        if self.tokens < 1:
            return (1 - self.tokens) / self.rate
        self.tokens -= 1
        return 0.0


class Addresses:
    """A bucket for each address that has sent something lately."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._buckets: dict[str, Bucket] = {}

    def take(self, address: str, now: float) -> float:
        """As `Bucket.take`, of the address."""
        bucket = self._buckets.get(address)
        if bucket is None:
            if len(self._buckets) >= MOST_ADDRESSES:
                del self._buckets[next(iter(self._buckets))]
            bucket = self._buckets[address] = Bucket(self.rate)
        return bucket.take(now)


def too_many(whose: str, rate: float, variable: str, wait: float) -> Problem:
    """The problem of a request beyond a rate."""
    return Problem(
        "too_many_requests",
        f"this {whose} sends more than {rate:g} requests a second ({variable})",
        {"Retry-After": str(max(1, math.ceil(wait)))},
    )
