"""The answers to ingest requests: the outcome of a reading, and those of a batch."""

from __future__ import annotations

from msgspec import Struct


class Outcome(Struct, frozen=True):
    """The outcome of a reading: `stored`, or `duplicate` for one that was stored before with the same values."""

    outcome: str


class ItemError(Struct, frozen=True):
    """An item that was not stored: its place in the batch, from 0, and why."""

    index: int
    code: str
    detail: str


class BatchOutcome(Struct, frozen=True):
    """The outcomes of a batch; `errors` lists conflicts and rejected items by index, at most 1,000 of them."""

    received: int
    stored: int
    duplicates: int
    conflicts: int
    rejected: int
    errors: list[ItemError]

    @property
    def status(self) -> int:
        """201 nothing rejected, 207 some, 422 all."""
        if not self.conflicts + self.rejected:
            return 201
        return 207 if self.stored + self.duplicates else 422
