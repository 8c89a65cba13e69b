"""Decoding of a body with many readings, each of which stands or falls alone."""

from __future__ import annotations

import io
from collections.abc import Container, Iterator

from service.errors import OUTCOMES, Problem
from service.readings.decode import Rejection, decode_reading
from service.readings.decode_errors import MOST_READING_BYTES, elements
from service.readings.model import METER, VEHICLE, AnyReading, Kind
from service.readings.storable import storable_text

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


def decode_batch(  # noqa: PLR0913
    batch: Batch, body: bytes, *, ndjson: bool, kind: Kind | None, most: int, dropped: Container[str] = ()
) -> Iterator[None]:
    """Decode `body`, a JSON array or one JSON object a line, of `kind` or (None) of either kind, into `batch`.

    Fields in `dropped` are ignored. Good readings take one step. Others take one or more for each item, so that the
    caller may do other work in between.

    Raises:
        Problem: it is no JSON array, or has no item or more than `most`.
    """
    if kind and (readings := kind.decode_many(body, ndjson=ndjson)):
        batch.received = _within(most, len(readings))
        batch.readings[kind] = list(enumerate(readings))
        return
    yield
    for item in _lines(body) if ndjson else elements(body):
        yield
        if not item:
            continue
        index = batch.received
        batch.received = _within(most, index + 1)
        decoded = _too_long(item) if len(item) > MOST_READING_BYTES else decode_reading(item, kind, dropped)
        if isinstance(decoded, Rejection):
            batch.rejected.append((index, _of_item(decoded)))
        else:
            batch.readings[decoded[0]].append((index, decoded[1]))
    if not batch.received:
        raise Problem("batch_empty", "there is no reading in the batch")


def _too_long(item: bytes) -> Rejection:
    detail = f"the item is longer than {MOST_READING_BYTES} bytes, the most of a reading"
    text = item[:MOST_READING_BYTES].decode(errors="replace")
    return Rejection("unknown", "item_malformed", detail, storable_text(text))


def _of_item(rejection: Rejection) -> Rejection:
    """The rejection of a body, in the words of a batch."""
    if rejection.code in OUTCOMES:
        return rejection
    detail = rejection.detail.replace("the body", "the item", 1)
    return Rejection(rejection.kind, "item_malformed", detail, rejection.text)


def _lines(body: bytes) -> Iterator[bytes]:
    """The lines of `body`, one after the other."""
    return (line.strip(b" \t\r\n") for line in io.BytesIO(body))


def _within(most: int, found: int) -> int:
    if found > most:
        raise Problem("batch_too_large", f"a batch has at most {most} readings (ENERGY_MAX_BATCH_ITEMS)")
    return found
