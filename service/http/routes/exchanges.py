"""/v1/devices/{kind}/{id}/exchange: registers that were replaced, as declared by an operator."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import ResponseSpec
from msgspec import Meta, Struct

from service.database.calls import EXCHANGE_REGISTER, LIST_REGISTER_EXCHANGES
from service.database.pool import Database
from service.http.middleware import key_of
from service.http.openapi import problems, reads
from service.http.parameters import PathId, parse_body_time
from service.http.request_body import read_json
from service.readings.model import METER, VEHICLE, Kind

_Kwh = Annotated[float, Meta(extra_json_schema={"minimum": 0, "maximum": 1e7})]


class NewExchange(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """A replaced register (kWh): the old one ended at `lastRegister`, the new one began at `firstRegister`.

    A reading stamped `at` shows the old register. Neither value is above the `registerMax` of the profile.
    """

    at: Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
    last_register: _Kwh
    first_register: _Kwh


class Exchange(Struct, rename="camel", frozen=True):
    """A replaced register (kWh), with the time of its declaration.

    `declaredBy` is the id of the API key, or the network address where keys are off; null if it was declared in SQL.
    """

    at: datetime
    last_register: float
    first_register: float
    declared_at: datetime
    declared_by: str | None


class Exchanges(Struct, rename="camel", frozen=True):
    """All exchanges of a device's register, newest first."""

    device_id: str
    items: list[Exchange]


def _routes(kind: Kind) -> tuple[HTTPRouteHandler, HTTPRouteHandler]:
    """Return the GET and POST routes of a kind."""
    path = f"/v1/devices/{kind.name}/{{device_id:str}}/exchange"

    async def read(device_id: PathId, database: NamedDependency[Database]) -> Exchanges:
        # from the primary: a declaration is visible to its author at once
        rows = await database.read_primary_rows(LIST_REGISTER_EXCHANGES, kind.name, device_id)
        return Exchanges(device_id, [Exchange(**row) for row in rows])

    async def write(
        device_id: PathId, request: Request[Any, Any, Any], database: NamedDependency[Database]
    ) -> Response[Exchange]:
        said = await read_json(request, NewExchange, request.app.state.settings.max_body_bytes)
        declared = (parse_body_time("at", said.at), said.last_register, said.first_register)
        key, client = key_of(request.scope), request.scope["client"]
        source = key.key_id if key else client and client[0]
        [row] = await database.write_rows(EXCHANGE_REGISTER, kind.name, device_id, *declared, source)
        *values, is_new = row.values()
        return Response(Exchange(*values), status_code=201 if is_new else 200)

    read.__name__, write.__name__ = f"get_{kind.name}_exchanges", f"post_{kind.name}_exchange"
    read.__doc__ = f"List the exchanges of the register of a {kind.name}, newest first."
    write.__doc__ = f"""Declare that the register of a {kind.name} was replaced. Readings after it are mended.

    The first reading after `at` counts what the old register still rose, and what the new one rose. Safe to retry.
    Other registers at the same time: 409."""
    return (
        get(
            path,
            responses=problems(400, 404, 422, 503),
            tags=["devices"],
            summary=f"Exchanges of the register of a {kind.name}",
        )(read),
        post(
            path,
            operation_class=reads(NewExchange),
            responses={
                200: ResponseSpec(
                    Exchange, generate_examples=False, description="declared before, with the same values"
                ),
                **problems(400, 404, 409, 413, 415, 422, 503),
            },
            response_description="declared and committed",
            tags=["devices"],
            summary=f"Declare an exchange of the register of a {kind.name}",
        )(write),
    )


get_meter_exchanges, post_meter_exchange = _routes(METER)
get_vehicle_exchanges, post_vehicle_exchange = _routes(VEHICLE)
