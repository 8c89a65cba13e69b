"""POST /v1/ingest/.../batch: many readings, with one outcome each."""

from __future__ import annotations

from collections import Counter
from typing import Any

from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import ResponseSpec

from service.database.calls import KEEP_REJECTED
from service.database.group_commit import MOST_ROWS_A_CALL
from service.database.pool import Database
from service.errors import Problem
from service.http.authentication import Key, check_device
from service.http.middleware import key_of
from service.http.openapi import problems, reads_many
from service.http.request_body import header, read_body, unpack
from service.readings.batch import NDJSON, Batch, decode_batch
from service.readings.model import METER, VEHICLE, AnyReading, Kind, MeterReading, VehicleReading, claimed_device
from service.readings.outcomes import BatchOutcome, ItemError

MOST_ERRORS = 1000
"""Errors listed in an answer; the counts cover all of them."""


def _route(path: str, kind: Kind | None, summary: str, *readings: type[AnyReading]) -> HTTPRouteHandler:
    """Return the route at `path` for batches of one kind, or (None) of both."""

    async def ingest(request: Request[Any, Any, Any]) -> Response[BatchOutcome]:
        return await _ingest(request, kind)

    ingest.__name__ = f"ingest_{kind.name}_batch" if kind else "ingest_batch"
    ingest.__doc__ = (
        f"{summary}: a JSON array, or NDJSON; plain, gzip or zstd. Wrong readings are rejected, all others stored. "
        "Safe to retry: readings that were stored before are duplicates."
    )
    return post(
        path,
        operation_class=reads_many(*readings),
        responses={
            207: ResponseSpec(
                BatchOutcome, generate_examples=False, description="some are rejected, the others stored"
            ),
            422: ResponseSpec(BatchOutcome, generate_examples=False, description="all are rejected"),
            **problems(400, 413, 415, 503),
        },
        response_description="all are stored, now or before, and committed",
        tags=["ingest"],
        summary=summary,
    )(ingest)


async def _ingest(request: Request[Any, Any, Any], kind: Kind | None) -> Response[BatchOutcome]:
    """Decode, one call for each 1,000 readings, count."""
    settings = request.app.state.settings
    media_type = header(request.scope, b"content-type")
    if media_type != "application/json" and media_type not in NDJSON:
        raise Problem(
            "media_type_unsupported", "send the batch as Content-Type: application/json or application/x-ndjson"
        )
    request.app.state.database.check_room(*(each.ingest for each in ([kind] if kind else [METER, VEHICLE])))
    body = await read_body(request, settings.max_body_bytes)
    body = unpack(body, header(request.scope, b"content-encoding"), settings.max_body_bytes)
    batch = decode_batch(body, ndjson=media_type in NDJSON, kind=kind, most=settings.max_batch_items)
    source = client[0] if (client := request.scope["client"]) else None
    key = key_of(request.scope)
    errors = _withhold(batch, key) if key and not key.sends_all else []
    outcome = await _store(request.app.state.database, batch, source, errors)
    return Response(outcome, status_code=outcome.status)


def _withhold(batch: Batch, key: Key) -> list[ItemError]:
    """Remove items of devices that the key does not cover: they are neither stored nor kept. Return their errors."""
    errors: list[ItemError] = []

    def may(index: int, named: tuple[str, str] | None) -> bool:
        try:
            if named:
                check_device(key, *named)
        except Problem as problem:
            errors.append(ItemError(index, problem.code, problem.detail))
            return False
        return True

    for kind, readings in batch.readings.items():
        batch.readings[kind] = [pair for pair in readings if may(pair[0], (kind.name, pair[1].device_id))]
    batch.rejected = [item for item in batch.rejected if may(item.index, claimed_device(item.text.encode()))]
    return errors


async def _store(database: Database, batch: Batch, source: str | None, errors: list[ItemError]) -> BatchOutcome:
    """Store a batch, and return its outcome after the commit. `errors` are of the removed items."""
    outcomes: Counter[str] = Counter()
    errors += [ItemError(item.index, item.problem.code, item.problem.detail) for item in batch.rejected]
    for kind, readings in batch.readings.items():
        for start in range(0, len(readings), MOST_ROWS_A_CALL):
            part = readings[start : start + MOST_ROWS_A_CALL]
            records = await database.call_grouped(kind.ingest, [reading.to_row(source) for _, reading in part])
            for (index, _), (outcome, detail) in zip(part, records, strict=True):
                outcomes[outcome] += 1
                if detail is not None:
                    errors.append(ItemError(index, outcome, detail))
    rejected = [(item.kind, item.problem.code, item.problem.detail, item.text, source) for item in batch.rejected]
    for start in range(0, len(rejected), MOST_ROWS_A_CALL):
        await database.call_grouped(KEEP_REJECTED, rejected[start : start + MOST_ROWS_A_CALL])
    errors.sort(key=lambda error: error.index)
    return BatchOutcome(
        received=batch.received,
        stored=outcomes["stored"],
        duplicates=outcomes["duplicate"],
        conflicts=outcomes["conflict"],
        rejected=len(errors) - outcomes["conflict"],
        errors=errors[:MOST_ERRORS],
    )


ingest_meter_batch = _route("/v1/ingest/meter/batch", METER, "Store readings of smart meters", MeterReading)
ingest_vehicle_batch = _route("/v1/ingest/vehicle/batch", VEHICLE, "Store readings of vehicles", VehicleReading)
ingest_either_batch = _route(
    "/v1/ingest/batch",
    None,
    "Store readings of both kinds; each id tells its kind",
    MeterReading,
    VehicleReading,
)
