"""GET /v1/history/{kind}/{id}: readings of a device, raw or in the buckets of the aggregates."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias

from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import QueryParameter
from msgspec import Struct, field

from service.database.calls import LIST_BUCKETS, LIST_READINGS
from service.database.pool import Database
from service.http.openapi import problems
from service.http.pages import FormatChoice, answer_page, page_operation, page_spec, rfc3339
from service.http.parameters import Cursor, Hours, Limit, PathId, Time, check_limit, parse_time
from service.readings.model import METER, VEHICLE, Kind

Resolution: TypeAlias = Literal["raw", "15min", "hourly", "daily"]


class MeterPoint(Struct, rename="camel", frozen=True):
    """A stored reading (kWh of its interval, V; null: not measured); `registerKwh`: its register, if any.

    `exchangeKwh` is set by an exchange of the register since the reading before: what the old one still counted.
    """

    recorded_at: datetime = field(name="timestamp")
    received_at: datetime
    kwh_consumed_ac: float
    voltage: float | None
    register_kwh: float | None
    exchange_kwh: float | None


class VehiclePoint(Struct, rename="camel", frozen=True):
    """A stored reading (%, kWh of its interval, °C; null: not measured); `registerKwh`: its register, if any.

    `exchangeKwh` is set by an exchange of the register since the reading before: what the old one still counted.
    """

    recorded_at: datetime = field(name="timestamp")
    received_at: datetime
    soc: float | None
    kwh_delivered_dc: float
    battery_temp: float | None
    register_kwh: float | None
    exchange_kwh: float | None


class MeterBucket(Struct, rename="camel", frozen=True):
    """The readings after `bucket`, up to and including the next: kWh, count, V; `isOpen` while it is not over.

    A measure that no reading has is null.
    """

    bucket: datetime
    kwh_consumed_ac: float
    readings: int
    voltage_min: float | None
    voltage_avg: float | None
    voltage_max: float | None
    is_open: bool


class VehicleBucket(Struct, rename="camel", frozen=True):
    """The readings after `bucket`, up to and including the next: kWh, count, degrees Celsius, % at first and last.

    `isOpen` is true while the bucket is not over. A measure that no reading has is null.
    """

    bucket: datetime
    kwh_delivered_dc: float
    readings: int
    battery_temp_min: float | None
    battery_temp_avg: float | None
    battery_temp_max: float | None
    soc_first: float | None
    soc_last: float | None
    is_open: bool


class MeterReadings(Struct, frozen=True):
    """A page of readings, in order of time, and the cursor of the next one."""

    items: list[MeterPoint]
    next: str | None


class MeterBuckets(Struct, frozen=True):
    """A page of buckets, in order of time, and the cursor of the next one."""

    items: list[MeterBucket]
    next: str | None


class VehicleReadings(Struct, frozen=True):
    """A page of readings, in order of time, and the cursor of the next one."""

    items: list[VehiclePoint]
    next: str | None


class VehicleBuckets(Struct, frozen=True):
    """A page of buckets, in order of time, and the cursor of the next one."""

    items: list[VehicleBucket]
    next: str | None


_ITEMS: dict[str, tuple[type[Any], type[Any]]] = {
    "meter": (MeterPoint, MeterBucket),
    "vehicle": (VehiclePoint, VehicleBucket),
}
_PAGES: dict[str, tuple[type[Any], type[Any]]] = {
    "meter": (MeterReadings, MeterBuckets),
    "vehicle": (VehicleReadings, VehicleBuckets),
}


def _route(kind: Kind) -> HTTPRouteHandler:
    """Return the route of a kind."""
    pages: Any = _PAGES[kind.name]

    async def read(  # noqa: PLR0913, PLR0917
        device_id: PathId,
        request: Request[Any, Any, Any],
        database: NamedDependency[Database],
        resolution: Annotated[
            Resolution,
            QueryParameter(description="raw: as sent; else what is in the buckets, which begin in the window"),
        ] = "raw",
        start: Time = None,
        end: Time = None,
        hours: Hours = None,
        cursor: Cursor = None,
        limit: Limit = 1000,
        format: FormatChoice = None,  # noqa: A002
    ) -> Response[Any]:
        window = (parse_time("start", start), parse_time("end", end), hours, parse_time("cursor", cursor))
        # one more than asked for, to see if there is a next page
        page_size = check_limit(limit) + 1
        if resolution == "raw":
            rows = await database.read_rows(LIST_READINGS[kind.name], device_id, *window, page_size)
        else:
            rows = await database.read_rows(LIST_BUCKETS[kind.name], device_id, resolution, *window, page_size)
        in_buckets = resolution != "raw"
        type_ = _ITEMS[kind.name][in_buckets]
        items = [type_(*row.values()) for row in rows[:limit]]
        following = rfc3339(rows[limit - 1][0]) if len(rows) > limit else None
        return await answer_page(request, pages[in_buckets](items, following), type_, format)

    read.__name__ = f"get_{kind.name}_history"
    read.__doc__ = f"""The readings of a {kind.name}, of the last 24 hours or the window given, a page at a time.

    NDJSON and CSV name the next page in the header `Link`."""
    return get(
        f"/v1/history/{kind.name}/{{device_id:str}}",
        operation_class=page_operation(),
        responses={
            200: page_spec(pages[0] | pages[1]),
            **problems(400, 404, 422, 503),
        },
        tags=["history"],
        summary=f"Readings of a {kind.name}",
    )(read)


get_meter_history = _route(METER)
get_vehicle_history = _route(VEHICLE)
