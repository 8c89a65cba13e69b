"""Batch bodies: many readings, each accepted or rejected on its own."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

from service.errors import OUTCOMES, Problem
from service.readings.decode_errors import elements
from service.readings.model import METER, VEHICLE, AnyReading, Kind, decode_either, kind_of
from service.readings.storable import storable_text

NDJSON = {"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"}


@dataclass(frozen=True, slots=True)
class Rejected:
    """An item that is not a reading.

    Attributes:
        index: its index in the batch, from 0.
        kind: the name of its kind, or `unknown`.
        problem: the reason.
        text: the item as received.
    """

    index: int
    kind: str
    problem: Problem
    text: str


class Batch:
    """A decoded batch.

    Attributes:
        received: number of items.
        readings: the readings of each kind, each with its index.
        rejected: the items that are not readings.
    """

    def __init__(self) -> None:
        self.received = 0
        self.readings: dict[Kind, list[tuple[int, AnyReading]]] = {METER: [], VEHICLE: []}
        self.rejected: list[Rejected] = []


def decode_batch(body: bytes, *, ndjson: bool, kind: Kind | None, most: int) -> Batch:
    """Decode a batch: a JSON array or NDJSON, of `kind` or (None) of either kind.

    Raises:
        Problem: it is no JSON array, or has no item or more than `most`.
    """
    batch = Batch()
    if kind and (readings := kind.decode_many(body, ndjson=ndjson)):
        batch.received = _within(most, len(readings))
        batch.readings[kind] = list(enumerate(readings))
        return batch
    for index, item in enumerate(_lines(body) if ndjson else elements(body)):
        batch.received = _within(most, index + 1)
        try:
            found, reading = (kind, kind.decode(item)) if kind else decode_either(item)
            batch.readings[found].append((index, reading))
        except Problem as problem:
            if problem.code not in OUTCOMES:
                problem = Problem("item_malformed", problem.detail.replace("the body", "the item", 1))
            text = storable_text(item.decode(errors="replace"))
            batch.rejected.append(Rejected(index, kind.name if kind else _kind(item), problem, text))
    if not batch.received:
        raise Problem("batch_empty", "there is no reading in the batch")
    return batch


def _kind(item: bytes) -> str:
    """Return the name of an item's kind, or `unknown`."""
    try:
        return kind_of(item).name
    except Problem:
        return "unknown"


def _lines(body: bytes) -> Iterator[bytes]:
    """Iterate over the lines of `body` that are not empty."""
    return (text for line in io.BytesIO(body) if (text := line.strip(b" \t\r\n")))


def _within(most: int, found: int) -> int:
    if found > most:
        raise Problem("batch_too_large", f"a batch has at most {most} readings (ENERGY_MAX_BATCH_ITEMS)")
    return found
