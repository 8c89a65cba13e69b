"""GET /v1/fleet and /v1/analytics/fleet: the whole fleet.

The overview is cheap enough for a page to ask for it every minute.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from litestar import get
from litestar.datastructures import State
from litestar.di import NamedDependency
from msgspec import Struct

from service.database.calls import GET_FLEET_OVERVIEW, GET_FLEET_SUMMARY
from service.database.pool import Database
from service.database.single_flight import FreshFlight
from service.http.openapi import problems
from service.http.parameters import Hours, Time, parse_time


class EfficiencyBand(Struct, rename="camel", frozen=True):
    """Vehicles with an efficiency in [ratioFrom, ratioTo); the last band has no end."""

    ratio_from: float
    ratio_to: float | None
    vehicles: int


class SilentDevice(Struct, rename="camel", frozen=True):
    """A device without a reading for more than 5 of its expected intervals (seconds), and the time of its newest."""

    kind: str
    device_id: str
    recorded_at: datetime
    expected_interval_s: float


class FleetSummary(Struct, rename="camel", frozen=True):
    """The fleet after periodStart, up to and including periodEnd, kWh.

    Energies and ratio are of the vehicles that are normal, low or impossible. `vehicles` counts those with a reading on
    either side. `silentDevices` lists the 100 that have been silent for longest.
    """

    period_start: datetime
    period_end: datetime
    total_energy_consumed_ac: float | None
    total_energy_delivered_dc: float | None
    efficiency_ratio: float | None
    efficiency_status: str
    vehicles: int
    vehicles_normal: int
    vehicles_low: int
    vehicles_impossible: int
    vehicles_idle: int
    vehicles_unknown: int
    distribution: list[EfficiencyBand]
    silent_meters: int
    silent_vehicles: int
    silent_devices: list[SilentDevice]


class FleetHour(Struct, rename="camel", frozen=True):
    """The energy (kWh) of all vehicles in the hour that begins at `bucket`."""

    bucket: datetime
    kwh_consumed_ac: float | None
    kwh_delivered_dc: float | None


class DayEfficiency(Struct, rename="camel", frozen=True):
    """A vehicle's efficiency in the day that begins at `bucket`; null where it is unknown or idle."""

    bucket: datetime
    efficiency_ratio: float | None


class WorstVehicle(Struct, rename="camel", frozen=True):
    """A vehicle's energy balance (kWh), and its efficiency in each of the last 14 days."""

    vehicle_id: str
    kwh_consumed_ac: float
    kwh_delivered_dc: float
    efficiency_ratio: float
    efficiency_status: str
    trend: list[DayEfficiency]


class RejectedReadings(Struct, rename="camel", frozen=True):
    """Rejected readings that are kept, by kind (meter, vehicle, unknown) and reason: their number, and the newest.

    `isStored` is true for readings that were stored, without a measure outside its range. Of the newest there are the
    arrival, the device (null: it names no valid one), the sender's address, the fault, and the first 200 characters.
    """

    kind: str
    code: str
    is_stored: bool
    readings: int
    newest: datetime
    device_id: str | None
    source: str | None
    detail: str
    payload: str


class FleetOverview(Struct, rename="camel", frozen=True):
    """The fleet now. Today's energies are of all meters and all vehicles, up to `energyUntil`, kWh.

    Efficiencies are of the 24 hours up to `periodEnd`. For up to 1,000 meters and vehicles all figures are exact at
    this moment. For larger fleets they end where the aggregates end, and count the readings received before
    `receivedUntil`. `silentDevices` are the 20 that fell silent last; `rejected` counts the last 24 hours.
    """

    time_zone: str
    today_start: datetime
    energy_until: datetime
    received_until: datetime
    kwh_consumed_ac_today: float | None
    kwh_delivered_dc_today: float | None
    period_start: datetime
    period_end: datetime
    efficiency_ratio: float | None
    efficiency_status: str
    vehicles_normal: int
    vehicles_low: int
    vehicles_impossible: int
    vehicles_idle: int
    vehicles_unknown: int
    distribution: list[EfficiencyBand]
    hours: list[FleetHour]
    worst: list[WorstVehicle]
    silent_devices: list[SilentDevice]
    rejected: list[RejectedReadings]


_LISTS: dict[str, Any] = {
    "distribution": list[EfficiencyBand],
    "hours": list[FleetHour],
    "worst": list[WorstVehicle],
    "silent_devices": list[SilentDevice],
    "rejected": list[RejectedReadings],
}


@get("/v1/fleet", responses=problems(503), tags=["analytics"], summary="The fleet at a glance")
async def get_fleet_overview(database: NamedDependency[Database], state: State) -> FleetOverview:
    """Energy of today, efficiencies and the worst vehicles of the last 24 hours, silent devices, rejected readings."""
    overviews: FreshFlight[FleetOverview] = state.overviews
    return await overviews.run(lambda: _read_overview(database))


async def _read_overview(database: Database) -> FleetOverview:
    row = dict(await database.read_row(GET_FLEET_OVERVIEW))
    for name, type_ in _LISTS.items():
        row[name] = msgspec.json.decode(row[name], type=type_)
    return FleetOverview(**row)


@get("/v1/analytics/fleet", responses=problems(400, 422, 503), tags=["analytics"], summary="The fleet's totals")
async def get_fleet_summary(
    database: NamedDependency[Database],
    start: Time = None,
    end: Time = None,
    hours: Hours = None,
) -> FleetSummary:
    """Totals and distribution of the last 24 hours or the window given, and the devices that are silent now."""
    window = (parse_time("start", start), parse_time("end", end), hours)
    row = dict(await database.read_row(GET_FLEET_SUMMARY, *window))
    row["distribution"] = [EfficiencyBand(**band) for band in row["distribution"]]
    row["silent_devices"] = [SilentDevice(**device) for device in row["silent_devices"]]
    return FleetSummary(**row)
