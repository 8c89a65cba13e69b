"""/v1/devices/{kind}/{id}: what an operator says of a device."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from litestar import Request, get, put
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from msgspec import Struct

from service.bodies import read_json
from service.db import Database
from service.openapi import problems, reads
from service.readings import METER, VEHICLE, Stream

SET_DEVICE_PROFILE = "SELECT api.set_device_profile($1, $2, $3, $4, $5, $6)"
GET_DEVICE_PROFILE = "SELECT * FROM api.get_device_profile($1, $2)"


class NewProfile(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """What is left out is as if it was never said.

    `energyKind` is interval, or register for a device that sends a running total (kWh), which starts again from 0 at
    `registerMax`, if it does. A reading of more than twice the energy that `maxKw` gives is refused.
    """

    energy_kind: str = "interval"
    register_max: float | None = None
    max_kw: float | None = None
    expected_interval_s: float = 60


class Profile(Struct, rename="camel", frozen=True):
    """What holds of a device (kWh, kW, seconds); `setAt` is null where nobody has said anything."""

    device_id: str
    energy_kind: str
    register_max: float | None
    max_kw: float | None
    expected_interval_s: float
    set_at: datetime | None


async def _profile(database: Database, stream: Stream, device_id: str) -> Profile:
    # on the primary: whoever has set a profile sees that at once
    [row] = await database.write_rows(GET_DEVICE_PROFILE, stream.name, device_id)
    return Profile(**row)


def _routes(stream: Stream) -> tuple[HTTPRouteHandler, HTTPRouteHandler]:
    """GET and PUT for the devices of a stream."""
    path = f"/v1/devices/{stream.name}/{{device_id:str}}"

    async def read(device_id: FromPath[str], database: NamedDependency[Database]) -> Profile:
        return await _profile(database, stream, device_id)

    async def write(
        device_id: FromPath[str], request: Request[Any, Any, Any], database: NamedDependency[Database]
    ) -> Profile:
        said = await read_json(request, NewProfile, request.app.state.settings.max_body_bytes)
        values = (said.energy_kind.replace("\x00", ""), said.register_max, said.max_kw, said.expected_interval_s)
        await database.write_rows(SET_DEVICE_PROFILE, stream.name, device_id, *values)
        return await _profile(database, stream, device_id)

    read.__name__, write.__name__ = f"get_{stream.name}_profile", f"put_{stream.name}_profile"
    read.__doc__ = f"What holds of a {stream.name}."
    write.__doc__ = f"Say what holds of a {stream.name}, for readings that come from now on. Safe to retry."
    return (
        get(path, responses=problems(400, 404, 422, 503), tags=["devices"], summary=f"Profile of a {stream.name}")(
            read
        ),
        put(
            path,
            operation_class=reads(NewProfile),
            responses=problems(400, 413, 415, 422, 503),
            tags=["devices"],
            summary=f"Set the profile of a {stream.name}",
        )(write),
    )


get_meter_profile, put_meter_profile = _routes(METER)
get_vehicle_profile, put_vehicle_profile = _routes(VEHICLE)
