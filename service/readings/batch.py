"""The bodies of the batch routes: many readings, each of which stands or falls alone."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

from service.errors import OUTCOMES, Problem
from service.readings.decode_errors import elements
from service.readings.model import METER, VEHICLE, AnyReading, Stream, decode_either, stream_of
from service.readings.storable import storable_text

NDJSON = {"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"}


@dataclass(frozen=True, slots=True)
class Refused:
    """An item that is not a reading.

    Attributes:
        index: its place among the items, from 0.
        stream: the name of its kind, or `unknown`.
        problem: why.
        text: the item as it came.
    """

    index: int
    stream: str
    problem: Problem
    text: str


class Batch:
    """What a body holds.

    Attributes:
        received: how many items.
        readings: the readings of each kind, each with its index.
        refused: the items that are none.
    """

    def __init__(self) -> None:
        self.received = 0
        self.readings: dict[Stream, list[tuple[int, AnyReading]]] = {METER: [], VEHICLE: []}
        self.refused: list[Refused] = []


def decode_batch(body: bytes, *, ndjson: bool, stream: Stream | None, most: int) -> Batch:
    """The readings in `body`, a JSON array or one JSON object a line, of `stream` or (None) of either kind.

    Raises:
        Problem: it is no JSON array, or has no item or more than `most`.
    """
    batch = Batch()
    if stream and (readings := stream.decode_many(body, ndjson=ndjson)):
        batch.received = _within(most, len(readings))
        batch.readings[stream] = list(enumerate(readings))
        return batch
    for index, item in enumerate(_lines(body) if ndjson else elements(body)):
        batch.received = _within(most, index + 1)
        try:
            kind, reading = (stream, stream.decode(item)) if stream else decode_either(item)
            batch.readings[kind].append((index, reading))
        except Problem as problem:
            if problem.code not in OUTCOMES:
                problem = Problem("item_malformed", problem.detail.replace("the body", "the item", 1))
            text = storable_text(item.decode(errors="replace"))
            batch.refused.append(Refused(index, stream.name if stream else _kind(item), problem, text))
    if not batch.received:
        raise Problem("batch_empty", "there is no reading in the batch")
    return batch


def _kind(item: bytes) -> str:
    """The name of the kind of an item, or `unknown`."""
    try:
        return stream_of(item).name
    except Problem:
        return "unknown"


def _lines(body: bytes) -> Iterator[bytes]:
    """The lines of `body` that are not empty, one after the other."""
    return (text for line in io.BytesIO(body) if (text := line.strip(b" \t\r\n")))


def _within(most: int, found: int) -> int:
    if found > most:
        raise Problem("batch_too_large", f"a batch has at most {most} readings (ENERGY_MAX_BATCH_ITEMS)")
    return found
