"""The database asked as the oracle is asked: what a scenario of tests/oracle sends, and what there is to compare."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.oracle.balance import Balance
from tests.oracle.model import World
from tests.oracle.records import Device, Link, Profile, Reading
from tests.oracle.strategies import Scenario

AGGREGATES = [
    f"{stream}_{resolution}" for resolution in ("15min", "hourly", "daily") for stream in ("meter", "vehicle")
]
INGEST = {
    "meter": """
        SELECT i.outcome FROM api.ingest_meter_readings((
            SELECT array_agg(ROW(r ->> 'device_id', (r ->> 'recorded_at')::timestamptz, (r ->> 'kwh')::float8,
                (r ->> 'voltage')::float8, NULL)::api.meter_reading ORDER BY position)
            FROM json_array_elements(%s::json) WITH ORDINALITY AS e (r, position))) AS i
    """,
    "vehicle": """
        SELECT i.outcome FROM api.ingest_vehicle_readings((
            SELECT array_agg(ROW(r ->> 'device_id', (r ->> 'recorded_at')::timestamptz, (r ->> 'soc')::float8,
                (r ->> 'kwh')::float8, (r ->> 'battery_temp')::float8, NULL)::api.vehicle_reading ORDER BY position)
            FROM json_array_elements(%s::json) WITH ORDINALITY AS e (r, position))) AS i
    """,
}
ENERGY = {"meter": "kwh_consumed_ac", "vehicle": "kwh_delivered_dc"}
MEASURES = {"meter": ["voltage"], "vehicle": ["soc", "battery_temp"]}


def latest_clock_change(zone: str) -> datetime:
    """A day and a half before the last change of the clocks of a zone that is a week past; any day where none was."""
    now = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    for days in range(8, 400):
        day = now - timedelta(days=days)
        if (
            day.astimezone(ZoneInfo(zone)).utcoffset()
            != (day + timedelta(days=1)).astimezone(ZoneInfo(zone)).utcoffset()
        ):
            return day - timedelta(days=1.5)
    return now - timedelta(days=12)


class EnergyDatabase:
    """A database of one time zone."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection
        # every connection to the embedded database goes on where the one before it stopped
        connection.execute("RESET ROLE")
        connection.execute("SET search_path = public")
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SELECT alter_job(job_id, scheduled => FALSE) FROM timescaledb_information.jobs")

    def prepare(self, profiles: dict[Device, Profile], links: list[Link]) -> None:
        for device, profile in profiles.items():
            values = (
                profile.energy_kind,
                profile.register_max,
                profile.max_kw,
                profile.expected_interval.total_seconds(),
            )
            self.connection.execute("SELECT api.set_device_profile(%s, %s, %s, %s, %s, %s)", (*device, *values))
        for link in links:
            query = "INSERT INTO telemetry.vehicle_meter_link VALUES (%s, %s, tstzrange(%s, %s))"
            self.connection.execute(query, link)

    def arrive(self, batch: list[Reading]) -> list[str]:
        rows = json.dumps([{**asdict(reading), "recorded_at": reading.recorded_at.isoformat()} for reading in batch])
        return [row[0] for row in self.connection.execute(INGEST[batch[0].stream], [rows])]

    def refresh(self, start: datetime, end: datetime) -> None:
        for aggregate in AGGREGATES[:4]:
            self.connection.execute(f"CALL refresh_continuous_aggregate('bi.{aggregate}', %s, %s)", (start, end))
        now = datetime.now(UTC)
        config = {"start_offset": str(now - start), "end_offset": str(now - end)}
        self.connection.execute("CALL ops.refresh_daily(NULL, %s)", [json.dumps(config)])

    def compress(self) -> None:
        for stream in ENERGY:
            self.connection.execute(
                f"SELECT compress_chunk(c, TRUE) FROM show_chunks('telemetry.{stream}_telemetry_history') AS c"
            )

    def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        with self.connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query, values).fetchall()


def close(value: Any, abs_: float = 1e-12) -> Any:
    """Equal to 1e-9 relative, and what is no number exactly."""
    return pytest.approx(value, rel=1e-9, abs=abs_) if isinstance(value, float) else value


def assert_balance(row: dict[str, Any], expected: Balance, ac: str, dc: str) -> None:
    """Sums to 1e-9 (or their ninth decimal, to which answers are rounded); the ratio to the last digit shown."""
    assert (row[ac], row[dc]) == (close(expected.kwh_ac, 1e-9), close(expected.kwh_dc, 1e-9))
    ratio = row["efficiency_ratio"]
    assert (ratio is None) == (expected.ratio is None)
    assert ratio is None or ratio == pytest.approx(expected.ratio, abs=1.0001e-4, rel=1e-9)
    if ratio == expected.ratio:  # the last bits of a sum may tell on the last digit
        assert row["efficiency_status"] == expected.status


def assert_outcomes(batch: list[Reading], found: list[str], expected: list[str]) -> None:
    """A batch is judged as a whole: what is implausible is a conflict where the same key is stored by its batch."""
    stored = {r.recorded_at for r, outcome in zip(batch, found, strict=True) if outcome == "stored"}
    for reading, outcome, wanted in zip(batch, found, expected, strict=True):
        whole = (outcome, wanted) == ("conflict", "implausible_energy") and reading.recorded_at in stored
        assert outcome == wanted or whole, (outcome, wanted, reading)


def assert_readings(database: EnergyDatabase, world: World) -> None:
    """History and current status."""
    for stream, energy in ENERGY.items():
        for device in sorted(world.devices(stream)):
            columns = f"recorded_at, {energy} AS energy, register_kwh AS register, {', '.join(MEASURES[stream])}"
            where = f"WHERE {stream}_id = %s ORDER BY recorded_at"
            found = database.rows(f"SELECT {columns} FROM telemetry.{stream}_telemetry_history {where}", device)
            expected = [
                {name: getattr(row, name) for name in found[0]} if found else {}
                for row in world.history(stream, device)
            ]
            assert found == [{name: close(value) for name, value in row.items()} for row in expected], device
            columns = columns.replace("register_kwh AS register, ", "")
            [status] = database.rows(f"SELECT {columns} FROM telemetry.{stream}_current_status {where}", device)
            newest = expected[-1]
            assert status == {name: close(newest[name]) for name in status}, device


def assert_performance(database: EnergyDatabase, world: World, scenario: Scenario) -> None:
    for vehicle, start, end in scenario.windows:
        if vehicle not in world.vehicles():
            continue
        [row] = database.rows("SELECT * FROM api.get_vehicle_performance(%s, %s, %s)", vehicle, start, end)
        expected = world.performance(vehicle, start, end)
        assert_balance(row, expected, "total_energy_consumed_ac", "total_energy_delivered_dc")
        assert (row["meter_readings"], row["vehicle_readings"]) == (expected.meter_readings, expected.vehicle_readings)
        assert row["avg_battery_temp"] == (
            None if expected.battery_temp is None else pytest.approx(expected.battery_temp, abs=0.0101)
        )
        assert set(row["meter_ids"]) == set(expected.meter_ids)
    start, end = min(window[1] for window in scenario.windows), max(window[2] for window in scenario.windows)
    fleet = {
        row["vehicle_id"]: row
        for row in database.rows("SELECT * FROM telemetry.fleet_balance(%s, %s)", start, end)
        if row["vehicle_id"] in world.vehicles()
    }
    for vehicle in world.vehicles():
        expected = world.performance(vehicle, start, end)
        row = fleet.pop(vehicle, {"kwh_consumed_ac": None, "kwh_delivered_dc": None})
        assert (row["kwh_consumed_ac"], row["kwh_delivered_dc"]) == (close(expected.kwh_ac), close(expected.kwh_dc))


def assert_aggregates(database: EnergyDatabase, world: World) -> None:
    for name in AGGREGATES:
        stream, resolution = name.split("_")
        expected = world.aggregate(stream, resolution)
        devices = sorted(world.devices(stream))
        found = database.rows(f"SELECT * FROM bi.{name} WHERE {stream}_id = ANY (%s)", devices)
        assert {(row[f"{stream}_id"], row["bucket"]) for row in found} == expected.keys(), name
        for row in found:
            row["kwh"] = row[ENERGY[stream]]
            summary = asdict(expected[row[f"{stream}_id"], row["bucket"]])
            assert {field: row[field] for field in summary} == {field: close(v) for field, v in summary.items()}, name


def assert_efficiency(database: EnergyDatabase, world: World, *, whole_fleet: bool) -> None:
    for resolution in ("hourly", "daily"):
        expected = world.efficiency(resolution)
        found = database.rows(
            f"SELECT * FROM bi.vehicle_efficiency_{resolution} WHERE vehicle_id = ANY (%s)", sorted(world.vehicles())
        )
        assert {(row["vehicle_id"], row["bucket"]) for row in found} == expected.keys(), resolution
        for row in found:
            wanted = expected[row["vehicle_id"], row["bucket"]]
            assert_balance(row, wanted, "kwh_consumed_ac", "kwh_delivered_dc")
            for column in ("meter_readings", "vehicle_readings", "is_complete"):
                assert row[column] == getattr(wanted, column), (resolution, column, row)
    if whole_fleet:
        days = world.fleet_daily()
        found = database.rows("SELECT * FROM bi.fleet_efficiency_daily")
        assert {row["bucket"] for row in found} == days.keys()
        for row in found:
            wanted = days[row["bucket"]]
            assert_balance(row, wanted, "kwh_consumed_ac", "kwh_delivered_dc")
            for column in ("", "_low", "_normal", "_impossible", "_unknown"):
                assert row[f"vehicles{column}"] == getattr(wanted, f"vehicles{column}")
