"""/v1/links/{vehicleId}: which meter feeds a vehicle, and when."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from litestar import Request, delete, get, put
from litestar.di import NamedDependency
from msgspec import Meta, Struct, field

from service.database.calls import LINK_VEHICLE, LIST_VEHICLE_METERS, UNLINK_VEHICLE
from service.database.pool import Database
from service.http.openapi import problems, reads
from service.http.parameters import PathId, Time, parse_time
from service.http.request_body import read_json
from service.readings.model import DeviceId
from service.readings.storable import storable_text, storable_time


class NewLink(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """From `from` (now, if left out) on, until further notice, this meter feeds the vehicle."""

    meter_id: DeviceId
    begin: Annotated[datetime, Meta(tz=True)] | None = field(default=None, name="from")


class Link(Struct, rename="camel", frozen=True):
    """A meter feeds the vehicle in [from, until); null is without end on that side.

    `origin` is link, where somebody said so, or default, where nobody has and the ids say so.
    """

    meter_id: str
    begin: datetime | None = field(name="from")
    until: datetime | None
    origin: str


class Links(Struct, rename="camel", frozen=True):
    """The meter that feeds a vehicle now, or null, and all that ever did, newest first."""

    vehicle_id: str
    meter_id: str | None
    items: list[Link]


async def _links(database: Database, vehicle_id: str) -> Links:
    # on the primary: whoever has changed a link sees that at once
    rows = await database.write_rows(LIST_VEHICLE_METERS, vehicle_id)
    return Links(
        vehicle_id,
        next((row["meter_id"] for row in rows if row["is_current"]), None),
        [Link(row["meter_id"], row["valid_from"], row["valid_until"], row["origin"]) for row in rows],
    )


@get(
    "/v1/links/{vehicle_id:str}",
    responses=problems(400, 404, 422, 503),
    tags=["links"],
    summary="Which meter feeds a vehicle",
)
async def get_links(vehicle_id: PathId, database: NamedDependency[Database]) -> Links:
    """The meters that feed a vehicle, and when."""
    return await _links(database, vehicle_id)


@put(
    "/v1/links/{vehicle_id:str}",
    operation_class=reads(NewLink),
    responses=problems(400, 409, 413, 415, 422, 503),
    tags=["links"],
    summary="Link a vehicle to a meter",
)
async def put_link(vehicle_id: PathId, request: Request[Any, Any, Any], database: NamedDependency[Database]) -> Links:
    """From then on the meter feeds the vehicle, whatever was said of the vehicle for that time before.

    A meter feeds one vehicle at a time: while it is another's, 409. Safe to retry.
    """
    link = await read_json(request, NewLink, request.app.state.settings.max_body_bytes)
    begin = link.begin and storable_time(link.begin)
    await database.write_rows(LINK_VEHICLE, vehicle_id, storable_text(link.meter_id), begin)
    return await _links(database, vehicle_id)


@delete(
    "/v1/links/{vehicle_id:str}",
    responses=problems(400, 404, 422, 503),
    tags=["links"],
    summary="End the link of a vehicle",
)
async def delete_link(vehicle_id: PathId, database: NamedDependency[Database], at: Time = None) -> None:
    """From `at` (now, if left out) on the vehicle has no link: the one that holds then ends, later ones are removed."""
    await database.write_rows(UNLINK_VEHICLE, vehicle_id, parse_time("at", at))
