"""POST /v1/ingest...: readings in, alone or in batches. `api.ingest_*_readings` judges and stores them.

The route of one reading is the hot one: it makes its objects once, and reads body and headers without a detour.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec
from litestar import Request, Response, post
from litestar.datastructures import State
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import ResponseSpec
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

from service.database.calls import KEEP_REJECTED
from service.database.group_commit import MOST_ROWS_A_CALL
from service.database.pool import Database
from service.errors import OUTCOMES, Problem
from service.http.authentication import Key, check_device
from service.http.middleware import DIRECT, key_of
from service.http.openapi import problems, reads, reads_many
from service.http.request_body import header, read_body
from service.readings.batch import NDJSON, Batch, decode_batch
from service.readings.decode import Rejection, decode_reading
from service.readings.decode_errors import MOST_READING_BYTES
from service.readings.model import KINDS, METER, VEHICLE, Kind
from service.readings.outcomes import BatchOutcome, IgnoredItemMeasure, IgnoredMeasure, ItemError, Outcome

MOST_ERRORS = 1000
"""Listed in an answer; the counts are whole."""
SLICE_S = 0.005
"""A batch that is not simply good is decoded for so long before others have their turn."""


def _single(path: str, kind: Kind | None, summary: str) -> HTTPRouteHandler:
    """The route at `path` for one reading of a kind, or (None) of either."""

    async def ingest(request: Request[Any, Any, Any]) -> Response[Outcome]:
        return await _ingest(request.scope, request.receive, request.app.state, kind)

    async def answer(scope: Scope, receive: Receive, state: State) -> ASGIResponse:
        return (await _ingest(scope, receive, state, kind)).to_asgi_response()

    ingest.__name__ = f"ingest_{kind.name}" if kind else "ingest"
    ingest.__doc__ = f"{summary}. Safe to retry: a reading that was stored is a duplicate."
    duplicate = "a duplicate: stored before with the same values"
    return post(
        path,
        operation_class=reads(*(each.reading for each in _kinds(kind))),
        responses={
            200: ResponseSpec(Outcome, generate_examples=False, description=duplicate),
            **problems(400, 409, 413, 415, 422, 503),
        },
        response_description="stored and committed",
        tags=["ingest"],
        summary=summary,
        opt={DIRECT: answer},
    )(ingest)


def _batch(path: str, kind: Kind | None, summary: str) -> HTTPRouteHandler:
    """The route at `path` for a batch of readings of a kind, or (None) of both."""

    async def ingest(request: Request[Any, Any, Any]) -> Response[BatchOutcome]:
        return await _ingest_batch(request, kind)

    ingest.__name__ = f"ingest_{kind.name}_batch" if kind else "ingest_batch"
    ingest.__doc__ = (
        f"{summary}: a JSON array, or NDJSON, plain or gzip or zstd. Each stands alone: what is wrong is rejected, the "
        "rest is stored. Safe to retry: readings that were stored are duplicates."
    )
    statuses = {207: "some are rejected, the others stored", 422: "all are rejected"}
    return post(
        path,
        operation_class=reads_many(*(each.reading for each in _kinds(kind))),
        responses={
            **problems(400, 413, 415, 503),
            **{
                status: ResponseSpec(BatchOutcome, generate_examples=False, description=description)
                for status, description in statuses.items()
            },
        },
        response_description="all are stored, now or before, and committed",
        tags=["ingest"],
        summary=summary,
    )(ingest)


def _kinds(kind: Kind | None) -> list[Kind]:
    return [kind] if kind else list(KINDS.values())


class _Rendered(ASGIResponse):
    """A response whose two messages are made once."""

    def __init__(self, body: bytes, status: int) -> None:
        super().__init__(body=body, status_code=status)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        self._messages: tuple[Any, Any] = (
            {"type": "http.response.start", "status": status, "headers": headers},
            {"type": "http.response.body", "body": body},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        for message in self._messages:
            await send(message)


class _Answer(Response[Outcome]):
    """An answer that is rendered once, and may be sent many times."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome)
        self._rendered = _Rendered(msgspec.json.encode(outcome), OUTCOMES[outcome.outcome])

    def to_asgi_response(self, *_: Any, **__: Any) -> ASGIResponse:
        return self._rendered


_ANSWERS = {outcome: _Answer(Outcome(outcome)) for outcome in ("stored", "duplicate")}


async def _ingest(scope: Scope, receive: Receive, state: State, kind: Kind | None) -> _Answer:
    """Decode, one call, encode."""
    if header(scope, b"content-type") != "application/json":
        raise Problem("media_type_unsupported", "send the reading as Content-Type: application/json")
    database: Database = state.database
    if kind:
        database.check_room(kind.ingest)
    body = await read_body(scope, receive, min(state.settings.max_body_bytes, MOST_READING_BYTES))
    source = client[0] if (client := scope["client"]) else None
    key = key_of(scope)
    decoded = decode_reading(body, kind, state.settings.drop_fields)
    if isinstance(decoded, Rejection):
        await _keep(database, key, decoded, source)
        raise Problem(decoded.code, decoded.detail)
    kind, reading = decoded
    if key is not None:
        check_device(key, kind.name, reading.device_id)
    [(outcome, detail, ignored)] = await database.call_grouped(kind.ingest, [reading.to_row(source)])
    if ignored:
        return _Answer(Outcome(outcome, [IgnoredMeasure(*measure) for measure in ignored]))
    if answer := _ANSWERS.get(outcome):
        return answer
    raise Problem(outcome, detail)


async def _keep(database: Database, key: Key | None, rejection: Rejection, source: str | None) -> None:
    """Keep a rejected reading, unless it is no JSON at all.

    Raises:
        Problem: it names a device that is not the key's. A replay would store it as that device's.
    """
    if rejection.code in OUTCOMES:
        if key is not None and (device := rejection.device):
            check_device(key, *device)
        await database.call_grouped(KEEP_REJECTED, [rejection.to_row(source)])


class Decoding:
    """The decoding of batches in slices, between which the event loop answers other requests.

    However many batches wait, one of them takes a step at a time.
    """

    def __init__(self) -> None:
        self._first, self._others = asyncio.Lock(), asyncio.Lock()

    async def run(self, steps: Iterator[None]) -> None:
        """Take all `steps`. Work of one step, as a good batch is, does not wait for longer work."""
        done = object()
        async with self._first:
            if next(steps, done) is done:
                return
        async with self._others:
            until = time.perf_counter() + SLICE_S
            for _ in steps:
                if time.perf_counter() > until:
                    await asyncio.sleep(0)
                    until = time.perf_counter() + SLICE_S


async def _ingest_batch(request: Request[Any, Any, Any], kind: Kind | None) -> Response[BatchOutcome]:
    """Decode, call for at most a thousand at a time, count."""
    scope = request.scope
    settings = request.app.state.settings
    database: Database = request.app.state.database
    media_type = header(scope, b"content-type")
    if media_type != "application/json" and media_type not in NDJSON:
        raise Problem(
            "media_type_unsupported", "send the batch as Content-Type: application/json or application/x-ndjson"
        )
    database.check_room(*(each.ingest for each in _kinds(kind)))
    body = await read_body(scope, request.receive, settings.max_body_bytes)
    batch = Batch()
    decoding: Decoding = request.app.state.decoding
    steps = decode_batch(
        batch,
        body,
        ndjson=media_type in NDJSON,
        kind=kind,
        most=settings.max_batch_items,
        dropped=settings.drop_fields,
    )
    await decoding.run(steps)
    source = client[0] if (client := scope["client"]) else None
    key = key_of(scope)
    errors: list[ItemError] = []
    if key and not key.sends_all:
        await decoding.run(_withhold(batch, key, errors))
    outcome = await _store(database, batch, source, errors)
    return Response(outcome, status_code=outcome.status)


def _withhold(batch: Batch, key: Key, errors: list[ItemError]) -> Iterator[None]:
    """Take out the items of devices that are not the key's, in steps: neither stored nor kept. Adds to `errors`."""

    def may(index: int, device: tuple[str, str] | None) -> bool:
        try:
            if device:
                check_device(key, *device)
        except Problem as problem:
            errors.append(ItemError(index, problem.code, problem.detail))
            return False
        return True

    for kind, readings in batch.readings.items():
        batch.readings[kind] = []
        for index, reading in readings:
            if may(index, (kind.name, reading.device_id)):
                batch.readings[kind].append((index, reading))
            yield
    rejected, batch.rejected = batch.rejected, []
    for index, rejection in rejected:
        if may(index, rejection.device):
            batch.rejected.append((index, rejection))
        yield


async def _store(database: Database, batch: Batch, source: str | None, errors: list[ItemError]) -> BatchOutcome:
    """The outcome of a batch, once all of it is committed; `errors` are of the items that were taken out."""
    outcomes: Counter[str] = Counter()
    ignored: list[IgnoredItemMeasure] = []
    errors += [ItemError(index, rejection.code, rejection.detail) for index, rejection in batch.rejected]
    for kind, readings in batch.readings.items():
        for start in range(0, len(readings), MOST_ROWS_A_CALL):
            part = readings[start : start + MOST_ROWS_A_CALL]
            records = await database.call_grouped(kind.ingest, [reading.to_row(source) for _, reading in part])
            for (index, _), (outcome, detail, measures) in zip(part, records, strict=True):
                outcomes[outcome] += 1
                if detail is not None:
                    errors.append(ItemError(index, outcome, detail))
                if measures:
                    ignored += [IgnoredItemMeasure(index, *measure) for measure in measures]
    rejected = [rejection.to_row(source) for _, rejection in batch.rejected]
    for start in range(0, len(rejected), MOST_ROWS_A_CALL):
        await database.call_grouped(KEEP_REJECTED, rejected[start : start + MOST_ROWS_A_CALL])
    errors.sort(key=lambda error: error.index)
    ignored.sort(key=lambda measure: measure.index)
    return BatchOutcome(
        received=batch.received,
        stored=outcomes["stored"],
        duplicates=outcomes["duplicate"],
        conflicts=outcomes["conflict"],
        rejected=len(errors) - outcomes["conflict"],
        errors=errors[:MOST_ERRORS],
        ignored=ignored[:MOST_ERRORS],
    )


ingest_meter = _single("/v1/ingest/meter", METER, "Store a reading of a smart meter")
ingest_vehicle = _single("/v1/ingest/vehicle", VEHICLE, "Store a reading of a vehicle")
ingest_either = _single("/v1/ingest", None, "Store a reading; its id tells its kind")
ingest_meter_batch = _batch("/v1/ingest/meter/batch", METER, "Store readings of smart meters")
ingest_vehicle_batch = _batch("/v1/ingest/vehicle/batch", VEHICLE, "Store readings of vehicles")
ingest_either_batch = _batch("/v1/ingest/batch", None, "Store readings of both kinds; each id tells its kind")
