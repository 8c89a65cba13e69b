"""POST /v1/ingest...: readings in. What is stored, refused or a duplicate is decided in `api.ingest_*_readings`."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, post
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from msgspec import Struct

from service.db import Database
from service.errors import OUTCOMES, Problem
from service.openapi import problems, reads
from service.readings import METER, VEHICLE, MeterReading, Stream, VehicleReading, stream_of

INGEST_REFUSED = "SELECT api.ingest_refused_readings($1::api.refused_reading[])"


class Outcome(Struct, frozen=True):
    """What became of a reading: `stored`, or `duplicate` for one that was stored before with the same values."""

    outcome: str


_ANSWERS = {
    outcome: Response(Outcome(outcome), status_code=OUTCOMES[outcome], media_type="application/json")
    for outcome in ("stored", "duplicate")
}

_STORED = "stored and committed"
_DOCUMENTED = {
    200: ResponseSpec(Outcome, generate_examples=False, description="a duplicate: stored before with the same values"),
    **problems(400, 409, 413, 415, 422, 503),
}


@post(
    "/v1/ingest/meter",
    operation_class=reads(MeterReading),
    responses=_DOCUMENTED,
    response_description=_STORED,
    tags=["ingest"],
    summary="Store a meter reading",
)
async def ingest_meter(request: Request[Any, Any, Any], database: NamedDependency[Database]) -> Response[Outcome]:
    """Store one reading of a smart meter. Safe to retry: a reading that was stored is a duplicate."""
    return await _ingest(request, database, METER)


@post(
    "/v1/ingest/vehicle",
    operation_class=reads(VehicleReading),
    responses=_DOCUMENTED,
    response_description=_STORED,
    tags=["ingest"],
    summary="Store a vehicle reading",
)
async def ingest_vehicle(request: Request[Any, Any, Any], database: NamedDependency[Database]) -> Response[Outcome]:
    """Store one reading of a vehicle. Safe to retry: a reading that was stored is a duplicate."""
    return await _ingest(request, database, VEHICLE)


@post(
    "/v1/ingest",
    operation_class=reads(MeterReading, VehicleReading),
    responses=_DOCUMENTED,
    response_description=_STORED,
    tags=["ingest"],
    summary="Store a reading of either kind",
)
async def ingest(request: Request[Any, Any, Any], database: NamedDependency[Database]) -> Response[Outcome]:
    """Store one reading; the id it has, meterId or vehicleId, tells its kind."""
    return await _ingest(request, database, None)


async def _ingest(request: Request[Any, Any, Any], database: Database, stream: Stream | None) -> Response[Outcome]:
    """Decode, one call, encode; a reading whose shape is wrong is kept as refused first."""
    if request.content_type[0] != "application/json":
        raise Problem("media_type_unsupported", "send the reading as Content-Type: application/json")
    body = await request.body()
    source = request.client.host if request.client else None
    try:
        stream = stream or stream_of(body)
        reading = stream.decode(body)
    except Problem as problem:
        if problem.code in OUTCOMES:
            name = stream.name if stream else "unknown"
            await database.fetch(INGEST_REFUSED, [(name, problem.code, problem.detail, body.decode(), source)])
        raise
    [(outcome, detail)] = await database.ingest(stream.ingest, [reading.to_row(source)])
    if answer := _ANSWERS.get(outcome):
        return answer
    raise Problem(outcome, detail)
