"""Token buckets: requests per second of a key or a network address. Each worker has its own, in memory."""

from __future__ import annotations

import math

from service.errors import Problem

BURST_S = 2
"""A full bucket holds the tokens of this many seconds."""
MOST_ADDRESSES = 10_000
"""Addresses in memory at once. Beyond it the oldest is dropped, and begins with a full bucket again."""


class Bucket:
    """A token bucket: tokens come at a steady rate, and a request takes one."""

    __slots__ = ("rate", "tokens", "updated")

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.tokens = rate * BURST_S
        self.updated = 0.0

    def take(self, now: float) -> float:
        """Take a token: return 0, or the seconds until there is one."""
        if now > self.updated:
            self.tokens = min(self.rate * BURST_S, self.tokens + (now - self.updated) * self.rate)
            self.updated = now
        if self.tokens < 1:
            return (1 - self.tokens) / self.rate
        self.tokens -= 1
        return 0.0


class Addresses:
    """Token buckets by network address."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._buckets: dict[str, Bucket] = {}

    def take(self, address: str, now: float) -> float:
        """Take a token of an address, as `Bucket.take`."""
        bucket = self._buckets.get(address)
        if bucket is None:
            if len(self._buckets) >= MOST_ADDRESSES:
                del self._buckets[next(iter(self._buckets))]
            bucket = self._buckets[address] = Bucket(self.rate)
        return bucket.take(now)


def too_many(whose: str, rate: float, variable: str, wait: float) -> Problem:
    """Return the problem of a request beyond its rate."""
    return Problem(
        "too_many_requests",
        f"this {whose} sends more than {rate:g} requests a second ({variable})",
        {"Retry-After": str(max(1, math.ceil(wait)))},
    )
