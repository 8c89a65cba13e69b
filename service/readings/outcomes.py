"""The answers to ingest requests: the outcome of a reading, and those of a batch."""

from __future__ import annotations

from msgspec import Struct


class IgnoredMeasure(Struct, frozen=True):
    """A measure outside its range: the reading is stored, and this measure as null (not measured)."""

    field: str
    code: str
    detail: str


class Outcome(Struct, frozen=True, omit_defaults=True):
    """The outcome of a reading: `stored`, or `duplicate` for one that was stored before with the same values.

    `ignored` lists measures outside their range; it is absent if there are none.
    """

    outcome: str
    ignored: list[IgnoredMeasure] = []


class ItemError(Struct, frozen=True):
    """An item that was not stored: its place in the batch, from 0, and why."""

    index: int
    code: str
    detail: str


class IgnoredItemMeasure(Struct, frozen=True):
    """A measure outside its range of an item that is stored: the item's place in the batch, from 0, and why."""

    index: int
    field: str
    code: str
    detail: str


class BatchOutcome(Struct, frozen=True, omit_defaults=True):
    """The outcomes of a batch; `errors` lists conflicts and rejected items by index, at most 1,000 of them.

    `ignored` lists measures outside their range of stored items and duplicates, by index, at most 1,000 of them. It is
    absent if there are none.
    """

    received: int
    stored: int
    duplicates: int
    conflicts: int
    rejected: int
    errors: list[ItemError]
    ignored: list[IgnoredItemMeasure] = []

    @property
    def status(self) -> int:
        """201 nothing rejected, 207 some, 422 all."""
        if not self.conflicts + self.rejected:
            return 201
        return 207 if self.stored + self.duplicates else 422
