"""GET /v1/status/...: newest reading of a device, one primary-key read."""

from __future__ import annotations

from datetime import datetime

from litestar import get
from litestar.di import NamedDependency
from msgspec import Struct, field

from service.database.calls import GET_METER_STATUS, GET_VEHICLE_STATUS
from service.database.pool import Database
from service.http.openapi import problems
from service.http.parameters import PathId


class MeterStatus(Struct, rename="camel", frozen=True):
    """The newest reading of a meter (kWh of its last interval, V); a measure that it lacks is null."""

    meter_id: str
    recorded_at: datetime = field(name="timestamp")
    received_at: datetime
    kwh_consumed_ac: float
    voltage: float | None


class VehicleStatus(Struct, rename="camel", frozen=True):
    """The newest reading of a vehicle (%, kWh of its last interval, degrees Celsius), and its meter's newest voltage.

    `charging` is true if energy flowed in the interval that ended at `timestamp`. The meter's fields are null for a
    vehicle that no meter feeds now. A measure that the reading lacks is null.
    """

    vehicle_id: str
    recorded_at: datetime = field(name="timestamp")
    received_at: datetime
    soc: float | None
    kwh_delivered_dc: float
    battery_temp: float | None
    charging: bool
    meter_id: str | None
    meter_recorded_at: datetime | None = field(name="meterTimestamp")
    meter_voltage: float | None


@get(
    "/v1/status/meter/{meter_id:str}",
    responses=problems(400, 404, 422, 503),
    tags=["status"],
    summary="Newest reading of a meter",
)
async def get_meter_status(meter_id: PathId, database: NamedDependency[Database]) -> MeterStatus:
    """The newest reading of a meter."""
    return MeterStatus(**await database.read_row(GET_METER_STATUS, meter_id))


@get(
    "/v1/status/vehicle/{vehicle_id:str}",
    responses=problems(400, 404, 422, 503),
    tags=["status"],
    summary="Newest reading of a vehicle",
)
async def get_vehicle_status(vehicle_id: PathId, database: NamedDependency[Database]) -> VehicleStatus:
    """The newest reading of a vehicle, and whether it is charging."""
    return VehicleStatus(**await database.read_row(GET_VEHICLE_STATUS, vehicle_id))
