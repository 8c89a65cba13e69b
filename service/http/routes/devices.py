"""/v1/devices/{kind}/{id}: profile of a device, as declared by an operator."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from litestar import Request, get, put
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta, Struct

from service.database.calls import GET_DEVICE_PROFILE, SET_DEVICE_PROFILE
from service.database.pool import Database
from service.http.openapi import problems, reads
from service.http.parameters import PathId
from service.http.request_body import read_json
from service.readings.model import METER, VEHICLE, Kind
from service.readings.storable import storable_text


def _up_to(most: float) -> Meta:
    """Document a number in (0, `most`]."""
    return Meta(extra_json_schema={"exclusiveMinimum": 0, "maximum": most})


class NewProfile(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """Profile of a device. A field that is left out returns to its default.

    `energyKind` is interval, or register for a device that sends a running total (kWh). A register with `registerMax`
    starts again from 0 there. A reading of more than twice the energy that `maxKw` allows is rejected. Without
    `expectedIntervalS` the observed interval counts. A `retired` device is neither silent nor counted until it reports.
    """

    energy_kind: Annotated[str, Meta(extra_json_schema={"enum": ["interval", "register"]})] = "interval"
    register_max: Annotated[float, _up_to(1e7)] | None = None
    max_kw: Annotated[float, _up_to(1e6)] | None = None
    expected_interval_s: Annotated[float, Meta(extra_json_schema={"minimum": 1, "maximum": 86400})] | None = None
    retired: bool = False


class Profile(Struct, rename="camel", frozen=True):
    """Current profile of a device (kWh, kW, seconds); `setAt` is null for one without a declared profile.

    `observedIntervalS` is null before the second reading. `retired` ends with the next reading.
    """

    device_id: str
    energy_kind: str
    register_max: float | None
    max_kw: float | None
    expected_interval_s: float | None
    observed_interval_s: float | None
    retired: bool
    set_at: datetime | None


async def _profile(database: Database, kind: Kind, device_id: str) -> Profile:
    # from the primary: a change is visible to its author at once
    [row] = await database.write_rows(GET_DEVICE_PROFILE, kind.name, device_id)
    return Profile(**row)


def _routes(kind: Kind) -> tuple[HTTPRouteHandler, HTTPRouteHandler]:
    """Return the GET and PUT routes of a kind."""
    path = f"/v1/devices/{kind.name}/{{device_id:str}}"

    async def read(device_id: PathId, database: NamedDependency[Database]) -> Profile:
        return await _profile(database, kind, device_id)

    async def write(device_id: PathId, request: Request[Any, Any, Any], database: NamedDependency[Database]) -> Profile:
        said = await read_json(request, NewProfile, request.app.state.settings.max_body_bytes)
        limits = (said.register_max, said.max_kw, said.expected_interval_s)
        values = (storable_text(said.energy_kind), *limits, said.retired)
        await database.write_rows(SET_DEVICE_PROFILE, kind.name, device_id, *values)
        return await _profile(database, kind, device_id)

    read.__name__, write.__name__ = f"get_{kind.name}_profile", f"put_{kind.name}_profile"
    read.__doc__ = f"Current profile of a {kind.name}."
    write.__doc__ = f"Set the profile of a {kind.name}, for readings that arrive from now on. Safe to retry."
    return (
        get(path, responses=problems(400, 404, 422, 503), tags=["devices"], summary=f"Profile of a {kind.name}")(read),
        put(
            path,
            operation_class=reads(NewProfile),
            responses=problems(400, 413, 415, 422, 503),
            tags=["devices"],
            summary=f"Set the profile of a {kind.name}",
        )(write),
    )


get_meter_profile, put_meter_profile = _routes(METER)
get_vehicle_profile, put_vehicle_profile = _routes(VEHICLE)
