"""Decoding of a body with many readings, each of which stands or falls alone."""

from __future__ import annotations

import io
from collections.abc import Container, Iterator

from service.errors import OUTCOMES, Problem
from service.readings.decode import Rejection, decode_reading
from service.readings.decode_errors import elements
from service.readings.model import METER, VEHICLE, AnyReading, Kind

NDJSON = {"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"}


class Batch:
    """The readings and rejections of a body.

    Attributes:
        received: how many items.
        readings: the readings of each kind, each with its index.
        rejected: the other items, each with its index.
    """

    def __init__(self) -> None:
        self.received = 0
        self.readings: dict[Kind, list[tuple[int, AnyReading]]] = {METER: [], VEHICLE: []}
        self.rejected: list[tuple[int, Rejection]] = []


def decode_batch(body: bytes, *, ndjson: bool, kind: Kind | None, most: int, dropped: Container[str] = ()) -> Batch:
    """The readings in `body`, a JSON array or one JSON object a line, of `kind` or (None) of either kind.

    Their fields in `dropped` are ignored.

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
        decoded = decode_reading(item, kind, dropped)
        if isinstance(decoded, Rejection):
            batch.rejected.append((index, _of_item(decoded)))
        else:
            batch.readings[decoded[0]].append((index, decoded[1]))
    if not batch.received:
        raise Problem("batch_empty", "there is no reading in the batch")
    return batch


def _of_item(rejection: Rejection) -> Rejection:
    """The rejection of a body, in the words of a batch."""
    if rejection.code in OUTCOMES:
        return rejection
    detail = rejection.detail.replace("the body", "the item", 1)
    return Rejection(rejection.kind, "item_malformed", detail, rejection.text)


def _lines(body: bytes) -> Iterator[bytes]:
    """The lines of `body` that are not empty, one after the other."""
    return (text for line in io.BytesIO(body) if (text := line.strip(b" \t\r\n")))


def _within(most: int, found: int) -> int:
    if found > most:
        raise Problem("batch_too_large", f"a batch has at most {most} readings (ENERGY_MAX_BATCH_ITEMS)")
    return found
