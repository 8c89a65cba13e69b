"""History of the demonstration's fleet, stored through the ingest functions.

The first run records the start of the fleet. Later runs rebuild the same fleet and store the time since.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from service.commands.demo.fleet import OLD_METER, SILENT, SILENT_S, SWAPPED, SWAPPED_AFTER_S, DemoFleet, meter_of
from service.commands.simulate.fleet import DAY_S
from service.database.calls import REFRESH_AGGREGATES
from service.database.connect import open_connection
from service.database.connector import AnyConnection
from service.readings.model import METER, VEHICLE

INTERVAL_S = 300
BATCH = 5000
SOURCE = "demo"
DECLARE_INTERVALS = """
    SELECT api.set_device_profile(k.kind, k.letter || lpad(n::text, 6, '0'), p_expected_interval_s => $1)
    FROM generate_series(0, $2::integer - 1) AS n
    CROSS JOIN (VALUES ('meter', 'M'), ('vehicle', 'V')) AS k (kind, letter)
"""

TARIFF = """
    SELECT ops.set_price(0.34, 'EUR', p_local_from => '06:00', p_local_until => '22:00'),
        ops.set_price(0.22, 'EUR', p_local_from => '22:00', p_local_until => '06:00'),
        ops.set_grid_intensity(420, p_local_from => '17:00', p_local_until => '09:00'),
        ops.set_grid_intensity(210, p_local_from => '09:00', p_local_until => '17:00')
"""
"""Cheaper at night, and with less CO2 by day."""

_Rows = tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]


def first_time(data_dir: Path, days: int) -> int:
    """Return the first time of this folder's fleet (Unix): a midnight `days` before its first run."""
    note = data_dir / "demo-start"
    if not note.exists():
        note.write_text(str(int(time.time()) // DAY_S * DAY_S - days * DAY_S))
    return int(note.read_text())


async def fill(url: str, fleet: DemoFleet) -> int:
    """Store the fleet's readings that the database lacks; return their number."""
    began = fleet.start
    stored = 0
    async with open_connection(url) as connection:
        newest = await _as_owner(connection, "SELECT max(recorded_at) FROM telemetry.vehicle_current_status")
        known = newest[0][0].timestamp() if newest[0][0] else 0.0
        for meters, vehicles in _readings(fleet, began, known):
            await connection.fetch(METER.ingest.query, meters)
            await connection.fetch(VEHICLE.ingest.query, vehicles)
            stored += len(meters) + len(vehicles)
        if not known:
            start = datetime.fromtimestamp(began, UTC)
            swapped = datetime.fromtimestamp(began + SWAPPED_AFTER_S, UTC)
            vehicle = f"V{SWAPPED:06d}"
            await connection.execute("SELECT api.link_vehicle($1, $2, $3)", vehicle, OLD_METER, start)
            await connection.execute("SELECT api.unlink_vehicle($1, $2)", vehicle, swapped)
            await connection.execute("SELECT api.set_device_profile('meter', $1, p_retired => TRUE)", OLD_METER)
            await _as_owner(connection, TARIFF)
            # of the history: the shorter one of the live readings would make it incomplete
            await connection.fetch(DECLARE_INTERVALS, float(INTERVAL_S), fleet.vehicles)
        await _reject_some(connection)
        for refresh in REFRESH_AGGREGATES:
            await _as_owner(connection, refresh)
        await _as_owner(connection, "SELECT ops.evaluate_alerts()")
    return stored


def _readings(fleet: DemoFleet, began: int, known: float) -> Iterator[_Rows]:
    """Iterate over the rows of both kinds after `known`, some thousand at a time.

    The fleet also simulates the time that is already stored.
    """
    now = time.time()
    silent_from = known if known else now - SILENT_S
    meters: list[tuple[Any, ...]] = []
    vehicles: list[tuple[Any, ...]] = []
    for tick in range(int((now - began) // INTERVAL_S) + 1):
        for vehicle in range(fleet.vehicles):
            # each device has its own second of the interval
            stamp = began + tick * INTERVAL_S + vehicle * INTERVAL_S // fleet.vehicles
            measured = fleet.measure(vehicle, tick)
            if not known < stamp <= now:
                continue
            at = datetime.fromtimestamp(stamp, UTC)
            if vehicle != SILENT or stamp < silent_from:
                meter = meter_of(vehicle, stamp - began)
                meters.append((meter, at, measured.kwh_ac, round(measured.voltage, 1), SOURCE))
            soc, temperature = round(measured.soc, 2), round(measured.battery_temp, 1)
            vehicles.append((f"V{vehicle:06d}", at, soc, measured.kwh_dc, temperature, SOURCE))
        if len(vehicles) >= BATCH:
            yield meters, vehicles
            meters, vehicles = [], []
    if vehicles:
        yield meters, vehicles


async def _reject_some(connection: AnyConnection) -> None:
    """Send some invalid readings, as every fleet does."""
    now = datetime.now(UTC)
    never_set = datetime(1970, 1, 1, tzinfo=UTC)
    meters = [(f"M{number % 20:06d}", now, -0.1, 230.0, SOURCE) for number in range(14)]
    meters += [("M000005", never_set, 0.1, 231.0, SOURCE)] * 6
    vehicles: list[tuple[Any, ...]] = [("V000009", now, 80.0, -0.1, 21.0, SOURCE)] * 5
    vehicles += [("V 12", now, 80.0, 0.0, 21.0, SOURCE)] * 2
    await connection.fetch(METER.ingest.query, meters)
    await connection.fetch(VEHICLE.ingest.query, vehicles)


async def _as_owner(connection: AnyConnection, query: str) -> list[Any]:
    await connection.execute("RESET ROLE; SET ROLE energy_owner")
    try:
        return await connection.fetch(query)
    finally:
        await connection.execute("SET ROLE energy_service")
