"""/v1/devices: the list of devices, and the profile of each, as declared by an operator."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias

from litestar import Request, Response, get, put
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import QueryParameter
from msgspec import Meta, Struct, field

from service.database.calls import GET_DEVICE_PROFILE, LIST_DEVICES, LIST_DEVICES_BY_ENERGY, SET_DEVICE_PROFILE
from service.database.pool import Database
from service.errors import Problem
from service.http.openapi import problems, reads
from service.http.pages import FormatChoice, answer_page, page_operation, page_spec
from service.http.parameters import Cursor, Limit, PathId, check_limit, decode_cursor, encode_cursor, schema
from service.http.request_body import read_json
from service.readings.model import METER, VEHICLE, Kind
from service.readings.storable import storable_text, storable_time

_LONGEST_ID = 64

DeviceKind: TypeAlias = Literal["meter", "vehicle"]
Status: TypeAlias = Literal["reporting", "silent", "retired"]
Sort: TypeAlias = Literal[
    "deviceId", "-deviceId", "timestamp", "-timestamp", "energy", "-energy", "efficiency", "-efficiency"
]


class Device(Struct, rename="camel", frozen=True):
    """A device with its newest reading: its own time, kWh of its interval (AC or DC), V, %, degrees Celsius.

    A measure that its kind does not have, or that was not measured, is null. `status` is reporting, silent (no reading
    for more than 5 of its expected intervals) or retired. `firstReceivedAt` is null if it is not known. `kwh24h` (AC or
    DC), `efficiencyRatio` and `efficiencyStatus` (of a vehicle) are of the last 24 hours, as in the fleet's overview.
    They are null unless the list is in order of energy or efficiency.
    """

    kind: str
    device_id: str
    status: str
    recorded_at: datetime = field(name="timestamp")
    received_at: datetime
    first_received_at: datetime | None
    expected_interval_s: float
    kwh: float
    voltage: float | None
    soc: float | None
    battery_temp: float | None
    kwh_24h: float | None = field(name="kwh24h")
    efficiency_ratio: float | None
    efficiency_status: str | None


class Devices(Struct, frozen=True):
    """A page of devices, and the cursor of the next one."""

    items: list[Device]
    next: str | None


_POSITION = tuple[Annotated[datetime, Meta(tz=True)], str, str]
"""Content of a cursor: time, kind and id of the last device of the page."""
_ENERGY_POSITION = tuple[float | None, str, str]
"""The same in order of energy or efficiency, with that figure."""


@get(
    "/v1/devices",
    operation_class=page_operation(),
    responses={200: page_spec(Devices), **problems(400, 422, 503)},
    tags=["devices"],
    summary="The devices",
)
async def list_devices(  # noqa: PLR0913, PLR0917
    request: Request[Any, Any, Any],
    database: NamedDependency[Database],
    kind: Annotated[
        DeviceKind | None,
        QueryParameter(description="of this kind only", schema_extra=schema("string", enum=["meter", "vehicle"])),
    ] = None,
    search: Annotated[
        str | None,
        QueryParameter(description="part of an id, in any case", schema_extra=schema("string", maxLength=_LONGEST_ID)),
    ] = None,
    status: Annotated[
        Status | None,
        QueryParameter(
            description="of this status only", schema_extra=schema("string", enum=["reporting", "silent", "retired"])
        ),
    ] = None,
    sort: Annotated[
        Sort,
        QueryParameter(
            description="the order; `-`: downwards; energy and efficiency are of the last 24 hours, and take some time"
        ),
    ] = "deviceId",
    cursor: Cursor = None,
    limit: Limit = 100,
    format: FormatChoice = None,  # noqa: A002
) -> Response[Any]:
    """The devices that have sent a reading, with the newest one, a page at a time.

    The next page is asked for with the same parameters. A device that reports meanwhile moves in every order but that
    of `deviceId`. One without the figure of the order comes last. NDJSON and CSV name the next page in the header
    `Link`.
    """
    if search is not None and len(search) > _LONGEST_ID:
        raise Problem("parameter_invalid", f"search must have at most {_LONGEST_ID} characters, not {len(search)}")
    order = sort.removeprefix("-")
    is_energy = order in {"energy", "efficiency"}
    after: tuple[Any, ...] = (None, None, None)
    if cursor is not None:
        value, *device = decode_cursor(cursor, _ENERGY_POSITION if is_energy else _POSITION)
        after = (value if is_energy else storable_time(value), *map(storable_text, device))
    rows = await database.read_rows(
        LIST_DEVICES_BY_ENERGY if is_energy else LIST_DEVICES,
        kind,
        search and storable_text(search),
        status,
        order in {"timestamp", "efficiency"},
        sort.startswith("-"),
        *after,
        check_limit(limit) + 1,  # one more than asked for, to see if there is a next page
    )
    without = () if is_energy else (None, None, None)
    items = [Device(*row.values(), *without) for row in rows[:limit]]
    following = None
    if len(rows) > limit:
        last = items[-1]
        value = {"energy": last.kwh_24h, "efficiency": last.efficiency_ratio}.get(order, last.recorded_at)
        following = encode_cursor(value, last.kind, last.device_id)
    return await answer_page(request, Devices(items, following), Device, format)


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
    [row] = await database.read_primary_rows(GET_DEVICE_PROFILE, kind.name, device_id)
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
