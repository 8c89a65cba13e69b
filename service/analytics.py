"""GET /v1/analytics/...: what became of the energy. All of it is worked out in SQL."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter
from msgspec import Meta, Struct

from service.db import Database, storable_time
from service.errors import Problem
from service.openapi import problems

GET_VEHICLE_PERFORMANCE = "SELECT * FROM api.get_vehicle_performance($1, $2, $3, $4)"

Time = Annotated[
    str | None,
    QueryParameter(
        description="ISO 8601 time with an offset, as 2026-02-08T18:01:00Z", schema_extra={"format": "date-time"}
    ),
]
Hours = Annotated[
    float | None, QueryParameter(description="length of the window, hours (24 if neither start nor hours is given)")
]


class Performance(Struct, rename="camel", frozen=True):
    """A vehicle's energy balance over [periodStart, periodEnd): kWh, degrees Celsius.

    A side without readings is null, the ratio with it. `efficiencyStatus` is normal (0.85 to 1), low (below 0.85: a
    fault or leakage), impossible (above 1) or unknown.
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
    vehicle_id: FromPath[str],
    start: Time = None,
    end: Time = None,
    hours: Hours = None,
) -> Performance:
    """AC consumed, DC delivered, efficiency and mean battery temperature, of the last 24 hours or the window given."""
    window = (parse_time("start", start), parse_time("end", end), hours)
    return Performance(**await database.read_row(GET_VEHICLE_PERFORMANCE, vehicle_id, *window))


def parse_time(name: str, text: str | None) -> datetime | None:
    """The query parameter `name` as a time; a `+` that became a space on its way is put right.

    Raises:
        Problem: it is not an ISO 8601 time with an offset.
    """
    if text is None:
        return None
    try:
        time: datetime = msgspec.convert(re.sub(r" (?=\d\d:?\d\d$)", "+", text), Annotated[datetime, Meta(tz=True)])
    except msgspec.ValidationError:
        raise Problem(
            "parameter_invalid",
            f"{name} must be an ISO 8601 time with an offset, as 2026-02-08T18:01:00Z, not {text!r}",
        ) from None
    return storable_time(time)
