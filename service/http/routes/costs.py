"""GET /v1/analytics/cost: cost and CO2 of AC energy, computed in SQL."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from litestar import get
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from msgspec import Struct

from service.database.calls import LIST_ENERGY_COSTS
from service.database.pool import Database
from service.http.openapi import problems
from service.http.parameters import Hours, PathId, Time, parse_time

Resolution = Annotated[
    Literal["daily", "monthly"],
    QueryParameter(description="length of a bucket: a day or a month of the fleet's time zone"),
]


class CostBucket(Struct, rename="camel", frozen=True):
    """AC energy after `bucket`, up to and including the next, in one currency: kWh, cost, kg of CO2.

    `currency` and `cost` are null for energy without a price, `co2Kg` for energy without a grid intensity. `kwhPriced`
    and `kwhWithIntensity` are the parts of the energy with them. `isOpen` is true while the bucket is not over.
    """

    bucket: datetime
    currency: str | None
    kwh_consumed_ac: float
    kwh_priced: float
    cost: float | None
    kwh_with_intensity: float
    co2_kg: float | None
    is_open: bool


class CostBuckets(Struct, frozen=True):
    """Buckets in order of time, one for each currency."""

    items: list[CostBucket]


@get("/v1/analytics/cost", responses=problems(400, 422, 503), tags=["analytics"], summary="The fleet's cost and CO2")
async def list_fleet_costs(
    database: NamedDependency[Database],
    resolution: Resolution = "daily",
    start: Time = None,
    end: Time = None,
    hours: Hours = None,
) -> CostBuckets:
    """AC energy of all vehicles, its cost and CO2, in the days or months that begin in a window."""
    window = (parse_time("start", start), parse_time("end", end), hours)
    rows = await database.read_rows(LIST_ENERGY_COSTS, None, resolution, *window)
    return CostBuckets([CostBucket(*row.values()) for row in rows])


@get(
    "/v1/analytics/cost/{vehicle_id:str}",
    responses=problems(400, 404, 422, 503),
    tags=["analytics"],
    summary="A vehicle's cost and CO2",
)
async def list_vehicle_costs(  # noqa: PLR0913, PLR0917
    database: NamedDependency[Database],
    vehicle_id: PathId,
    resolution: Resolution = "daily",
    start: Time = None,
    end: Time = None,
    hours: Hours = None,
) -> CostBuckets:
    """AC energy of a vehicle, its cost and CO2, in the days or months that begin in a window."""
    window = (parse_time("start", start), parse_time("end", end), hours)
    rows = await database.read_rows(LIST_ENERGY_COSTS, vehicle_id, resolution, *window)
    return CostBuckets([CostBucket(*row.values()) for row in rows])
