"""/v1/links/{vehicleId}: the meters that feed a vehicle, with their times; and the vehicles that a meter feeds."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, TypeAlias

from litestar import Request, delete, get, put
from litestar.di import NamedDependency
from msgspec import Meta, Struct, field

from service.database.calls import LINK_VEHICLE, LIST_METER_VEHICLES, LIST_VEHICLE_METERS, UNLINK_VEHICLE
from service.database.pool import Database
from service.http.openapi import problems, reads
from service.http.parameters import PathId, Time, parse_body_time, parse_time
from service.http.request_body import read_json
from service.readings.model import DeviceId
from service.readings.storable import storable_text

_BodyTime: TypeAlias = Annotated[str, Meta(extra_json_schema={"format": "date-time"})] | None


class NewLink(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """A new link: from `from` (default: now) until `until` (default: further notice), this meter feeds the vehicle."""

    meter_id: DeviceId
    begin: _BodyTime = field(default=None, name="from")
    until: _BodyTime = None


class Link(Struct, rename="camel", frozen=True):
    """A meter feeds the vehicle in [from, until); null means without end on that side.

    `origin` is link for a declared link, and default for the standard rule by ids.
    """

    meter_id: str
    begin: datetime | None = field(name="from")
    until: datetime | None
    origin: str


class Links(Struct, rename="camel", frozen=True):
    """The meter that feeds a vehicle now, or null, and all its meters, newest first."""

    vehicle_id: str
    meter_id: str | None
    items: list[Link]


class MeterLink(Struct, rename="camel", frozen=True):
    """The meter feeds this vehicle in [from, until); null means without end on that side. `origin` is as in a link."""

    vehicle_id: str
    begin: datetime | None = field(name="from")
    until: datetime | None
    origin: str


class MeterLinks(Struct, rename="camel", frozen=True):
    """The vehicle that a meter feeds now, or null, and all its vehicles, newest first."""

    meter_id: str
    vehicle_id: str | None
    items: list[MeterLink]


async def _links(database: Database, vehicle_id: str) -> Links:
    # from the primary: a change is visible to its author at once
    rows = await database.read_primary_rows(LIST_VEHICLE_METERS, vehicle_id)
    return Links(
        vehicle_id,
        next((row["meter_id"] for row in rows if row["is_current"]), None),
        [Link(row["meter_id"], row["valid_from"], row["valid_until"], row["origin"]) for row in rows],
    )


@get(
    "/v1/links/{vehicle_id:str}",
    responses=problems(400, 404, 422, 503),
    tags=["links"],
    summary="Meters that feed a vehicle",
)
async def get_links(vehicle_id: PathId, database: NamedDependency[Database]) -> Links:
    """List the meters that feed a vehicle, with their times."""
    return await _links(database, vehicle_id)


@get(
    "/v1/devices/meter/{meter_id:str}/vehicles",
    responses=problems(400, 404, 422, 503),
    tags=["links"],
    summary="Vehicles that a meter feeds",
)
async def get_meter_vehicles(meter_id: PathId, database: NamedDependency[Database]) -> MeterLinks:
    """List the vehicles that a meter feeds, with their times."""
    # from the primary: a change is visible to its author at once
    rows = await database.read_primary_rows(LIST_METER_VEHICLES, meter_id)
    return MeterLinks(
        meter_id,
        next((row["vehicle_id"] for row in rows if row["is_current"]), None),
        [MeterLink(row["vehicle_id"], row["valid_from"], row["valid_until"], row["origin"]) for row in rows],
    )


@put(
    "/v1/links/{vehicle_id:str}",
    operation_class=reads(NewLink),
    responses=problems(400, 409, 413, 415, 422, 503),
    tags=["links"],
    summary="Link a vehicle to a meter",
)
async def put_link(vehicle_id: PathId, request: Request[Any, Any, Any], database: NamedDependency[Database]) -> Links:
    """Link a vehicle to a meter from a time on, or for a past session.

    Earlier statements about that time are replaced; those about the time before and after stay. A meter feeds one
    vehicle at a time: while it feeds another, 409. A meter that is replaced now, and feeds no other vehicle, is retired
    until it reports again. Safe to retry.
    """
    link = await read_json(request, NewLink, request.app.state.settings.max_body_bytes)
    times = [parse_body_time("from", link.begin), parse_body_time("until", link.until)]
    await database.write_rows(LINK_VEHICLE, vehicle_id, storable_text(link.meter_id), *times)
    return await _links(database, vehicle_id)


@delete(
    "/v1/links/{vehicle_id:str}",
    responses=problems(400, 404, 422, 503),
    tags=["links"],
    summary="End the link of a vehicle",
)
async def delete_link(vehicle_id: PathId, database: NamedDependency[Database], at: Time = None) -> None:
    """End the link of a vehicle at `at` (default: now), and remove later links."""
    await database.write_rows(UNLINK_VEHICLE, vehicle_id, parse_time("at", at))
