"""GET /v1/analytics/...: energy balance of vehicles, computed in SQL."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from litestar import get
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from msgspec import Meta, Struct

from service.database.calls import (
    GET_VEHICLE_PERFORMANCE,
    LIST_EFFICIENCY_BUCKETS,
    LIST_VEHICLE_EFFICIENCY,
)
from service.database.pool import Database
from service.http.openapi import problems
from service.http.parameters import (
    Cursor,
    Hours,
    Limit,
    PathId,
    Time,
    check_limit,
    decode_cursor,
    encode_cursor,
    parse_time,
)
from service.readings.storable import storable_text, storable_time


class Performance(Struct, rename="camel", frozen=True):
    """A vehicle's energy balance after periodStart, up to and including periodEnd: kWh, degrees Celsius.

    A side without readings is null. `efficiencyStatus` is normal (0.85 to 1), low (below 0.85: a fault or leakage),
    impossible (above 1), idle or unknown. Idle: nothing delivered, and no more drawn than in standby. Unknown: a side
    without readings, or a window shorter than the interval of a device. An idle or unknown vehicle has no ratio.
    """

    vehicle_id: str
    period_start: datetime
    period_end: datetime
    total_energy_consumed_ac: float | None
    total_energy_delivered_dc: float | None
    efficiency_ratio: float | None
    efficiency_status: str
    avg_battery_temp: float | None
    meter_ids: list[str]
    meter_readings: int
    vehicle_readings: int


@get(
    "/v1/analytics/performance/{vehicle_id:str}",
    responses=problems(400, 404, 422, 503),
    tags=["analytics"],
    summary="A vehicle's energy balance",
)
async def get_vehicle_performance(
    database: NamedDependency[Database],
    vehicle_id: PathId,
    start: Time = None,
    end: Time = None,
    hours: Hours = None,
) -> Performance:
    """AC consumed, DC delivered, efficiency and mean battery temperature, of the last 24 hours or the window given."""
    window = (parse_time("start", start), parse_time("end", end), hours)
    return Performance(**await database.read_row(GET_VEHICLE_PERFORMANCE, vehicle_id, *window))


class VehicleEfficiency(Struct, rename="camel", frozen=True):
    """A vehicle's energy balance, kWh."""

    vehicle_id: str
    total_energy_consumed_ac: float
    total_energy_delivered_dc: float
    efficiency_ratio: float
    efficiency_status: str
    meter_readings: int
    vehicle_readings: int


class Efficiencies(Struct, rename="camel", frozen=True):
    """A page of vehicles, the lowest efficiency first, and where the next one begins."""

    items: list[VehicleEfficiency]
    next: str | None


_POSITION = tuple[Annotated[datetime, Meta(tz=True)], Annotated[datetime, Meta(tz=True)], float, float, str]
"""Content of a cursor: window, threshold, and the last vehicle of the page."""


@get(
    "/v1/analytics/efficiency",
    responses=problems(400, 422, 503),
    tags=["analytics"],
    summary="Vehicles below a threshold",
)
async def list_vehicle_efficiency(  # noqa: PLR0913, PLR0917
    database: NamedDependency[Database],
    start: Time = None,
    end: Time = None,
    hours: Hours = None,
    below: Annotated[float, QueryParameter(description="the efficiency below which a vehicle is listed")] = 0.85,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Efficiencies:
    """The vehicles whose efficiency is below a threshold, the lowest first, in the last 24 hours or the window given.

    The pages after the first keep its window and threshold.
    """
    if cursor is None:
        window = (parse_time("start", start), parse_time("end", end), hours)
        ratio, vehicle = None, None
    else:
        begin, until, below, ratio, vehicle = decode_cursor(cursor, _POSITION)
        window = (storable_time(begin), storable_time(until), None)
        vehicle = storable_text(vehicle)
    # one more than asked for, to see if there is a next page
    rows = await database.read_rows(LIST_VEHICLE_EFFICIENCY, *window, below, ratio, vehicle, check_limit(limit) + 1)
    following = None
    if len(rows) > limit:
        last = rows[limit - 1]
        position = (last["efficiency_ratio"], last["vehicle_id"])
        following = encode_cursor(last["period_start"], last["period_end"], below, *position)
    return Efficiencies([VehicleEfficiency(*list(row.values())[:7]) for row in rows[:limit]], following)


class EfficiencyBucket(Struct, rename="camel", frozen=True):
    """A vehicle after `bucket`, up to and including the next: kWh, degrees Celsius, % at the first and last reading.

    `meterId` is the meter that feeds it at the start. A side without readings is null. `efficiencyStatus` and the ratio
    are as in a vehicle's performance. `isOpen` is true while the bucket is not over.
    """

    bucket: datetime
    meter_id: str | None
    kwh_consumed_ac: float | None
    kwh_delivered_dc: float | None
    efficiency_ratio: float | None
    efficiency_status: str
    battery_temp_min: float | None
    battery_temp_avg: float | None
    battery_temp_max: float | None
    soc_first: float | None
    soc_last: float | None
    is_open: bool


class EfficiencyBuckets(Struct, frozen=True):
    """Buckets in order of time."""

    items: list[EfficiencyBucket]


@get(
    "/v1/analytics/efficiency/{vehicle_id:str}",
    responses=problems(400, 404, 422, 503),
    tags=["analytics"],
    summary="A vehicle's AC beside DC, bucket by bucket",
)
async def list_efficiency_buckets(  # noqa: PLR0913, PLR0917
    database: NamedDependency[Database],
    vehicle_id: PathId,
    resolution: Annotated[
        Literal["15min", "hourly", "daily"],
        QueryParameter(description="length of a bucket; a window has at most 3,000"),
    ] = "hourly",
    start: Time = None,
    end: Time = None,
    hours: Hours = None,
) -> EfficiencyBuckets:
    """AC consumed, DC delivered, efficiency, battery and meter, in the buckets of the last 24 hours or a window.

    A bucket belongs as a whole to the meter that feeds the vehicle at its start.
    """
    window = (parse_time("start", start), parse_time("end", end), hours)
    rows = await database.read_rows(LIST_EFFICIENCY_BUCKETS, vehicle_id, resolution, *window)
    return EfficiencyBuckets([EfficiencyBucket(*row.values()) for row in rows])
