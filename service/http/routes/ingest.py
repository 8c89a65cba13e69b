"""POST /v1/ingest...: a single reading. `api.ingest_*_readings` decides its outcome.

This is the hot route: constant objects are made once, and body and headers are read directly.
"""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import ResponseSpec
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

from service.database.calls import KEEP_REJECTED
from service.database.pool import Database
from service.errors import OUTCOMES, Problem
from service.http.authentication import check_device
from service.http.middleware import key_of
from service.http.openapi import problems, reads
from service.http.request_body import header, read_body
from service.readings.model import (
    METER,
    VEHICLE,
    AnyReading,
    Kind,
    MeterReading,
    VehicleReading,
    claimed_device,
    kind_of,
)
from service.readings.outcomes import Outcome


class _Rendered(ASGIResponse):
    """A response with prebuilt ASGI messages."""

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
    """An answer that is rendered once and sent many times."""

    def __init__(self, outcome: str) -> None:
        super().__init__(Outcome(outcome))
        self._rendered = _Rendered(msgspec.json.encode(self.content), OUTCOMES[outcome])

    def to_asgi_response(self, *_: Any, **__: Any) -> ASGIResponse:
        return self._rendered


_ANSWERS = {outcome: _Answer(outcome) for outcome in ("stored", "duplicate")}


def _route(path: str, kind: Kind | None, summary: str, *readings: type[AnyReading]) -> HTTPRouteHandler:
    """Return the route at `path` for readings of one kind, or (None) of either."""

    async def ingest(request: Request[Any, Any, Any]) -> Response[Outcome]:
        return await _ingest(request, kind)

    ingest.__name__ = f"ingest_{kind.name}" if kind else "ingest"
    ingest.__doc__ = f"{summary}. Safe to retry: a reading that was stored is a duplicate."
    return post(
        path,
        operation_class=reads(*readings),
        responses={
            200: ResponseSpec(
                Outcome, generate_examples=False, description="a duplicate: stored before with the same values"
            ),
            **problems(400, 409, 413, 415, 422, 503),
        },
        response_description="stored and committed",
        tags=["ingest"],
        summary=summary,
    )(ingest)


async def _ingest(request: Request[Any, Any, Any], kind: Kind | None) -> Response[Outcome]:
    """Decode, one call, encode. A reading of the wrong shape is kept as rejected first."""
    scope = request.scope
    if header(scope, b"content-type") != "application/json":
        raise Problem("media_type_unsupported", "send the reading as Content-Type: application/json")
    state = request.app.state
    database: Database = state.database
    if kind:
        database.check_room(kind.ingest)
    body = await read_body(request, state.settings.max_body_bytes)
    source = client[0] if (client := scope["client"]) else None
    key = key_of(scope)
    try:
        kind = kind or kind_of(body)
        reading = kind.decode(body)
    except Problem as problem:
        if problem.code in OUTCOMES:
            if key is not None and (claimed := claimed_device(body)):
                check_device(key, *claimed)  # not kept: a replay would store it for that device
            name = kind.name if kind else "unknown"
            await database.call_grouped(KEEP_REJECTED, [(name, problem.code, problem.detail, body.decode(), source)])
        raise
    if key is not None:
        check_device(key, kind.name, reading.device_id)
    [(outcome, detail)] = await database.call_grouped(kind.ingest, [reading.to_row(source)])
    if answer := _ANSWERS.get(outcome):
        return answer
    raise Problem(outcome, detail)


ingest_meter = _route("/v1/ingest/meter", METER, "Store a reading of a smart meter", MeterReading)
ingest_vehicle = _route("/v1/ingest/vehicle", VEHICLE, "Store a reading of a vehicle", VehicleReading)
ingest_either = _route("/v1/ingest", None, "Store a reading; its id tells its kind", MeterReading, VehicleReading)
