"""The database asked as the oracle is asked: what a scenario of tests/oracle sends, and what there is to compare."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.oracle.balance import Balance, FleetBalance, distribution, fleet_balance
from tests.oracle.buckets import midnight as midnight_of
from tests.oracle.model import World
from tests.oracle.records import METER, VEHICLE, Device, Exchange, Link, Profile, Reading
from tests.oracle.sessions import REACH
from tests.oracle.strategies import Window
from tests.support import TestDatabase, run_migrated_database

AGGREGATES = [f"{kind}_{resolution}" for resolution in ("15min", "hourly", "daily") for kind in ("meter", "vehicle")]
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


Faults = dict[Any, tuple[Any, Any]]
"""What was found and what was expected, by device and bucket, where they differ."""


class EnergyDatabase:
    """A database of one time zone."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection
        # every connection to the embedded database goes on where the one before it stopped
        connection.execute("DEALLOCATE ALL")
        connection.execute("RESET ROLE")
        connection.execute("SET search_path = public")
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SELECT alter_job(job_id, scheduled => FALSE) FROM timescaledb_information.jobs")
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ

    def clear(self) -> None:
        """Forget all devices, readings, links and profiles, and all that was made of them."""
        histories = ", ".join(f"telemetry.{kind}_telemetry_history" for kind in ENERGY)
        tables = "telemetry.device_profile, telemetry.register_exchange, telemetry.vehicle_meter_link"
        tables += ", telemetry.source_chunk, telemetry.charging_session, telemetry.stale_session"
        tables += ", telemetry.meter_current_status, telemetry.vehicle_current_status, telemetry.rejected_reading"
        for names in (tables, histories, *(f"bi.{aggregate}" for aggregate in AGGREGATES)):
            # TimescaleDB 2.23 writes into a prepared statement the tables that it truncates
            self.connection.execute(f"TRUNCATE {names}", prepare=False)
        self.connection.execute("UPDATE telemetry.dropped_time SET times = '{}'")

    def prepare(self, profiles: Mapping[Device, Profile], links: Iterable[Link]) -> None:
        for device, profile in profiles.items():
            interval = profile.expected_interval
            values = (
                profile.energy_kind,
                profile.register_max,
                profile.max_kw,
                None if interval is None else interval.total_seconds(),
            )
            self.connection.execute("SELECT api.set_device_profile(%s, %s, %s, %s, %s, %s)", (*device, *values))
        for link in links:
            query = "INSERT INTO telemetry.vehicle_meter_link VALUES (%s, %s, tstzrange(%s, %s))"
            self.connection.execute(query, link)

    def arrive(self, batch: list[Reading]) -> list[str]:
        rows = json.dumps([{**asdict(reading), "recorded_at": reading.recorded_at.isoformat()} for reading in batch])
        return [row[0] for row in self.connection.execute(INGEST[batch[0].kind], [rows])]

    def exchange(self, exchange: Exchange) -> bool:
        """Declare an exchange; False where it contradicts the readings that are stored."""
        query = "SELECT api.exchange_register(%s, %s, %s, %s, %s)"
        values = (*exchange.device, exchange.exchanged_at, exchange.last_register, exchange.first_register)
        try:
            self.connection.execute(query, values)
        except psycopg.Error as error:
            if error.sqlstate != "IE004":
                raise
            return False
        return True

    def link(self, vehicle: str, meter: str, start: datetime, end: datetime | None = None) -> bool:
        """Link a vehicle from start until end, or further notice; False where the meter feeds another one then."""
        try:
            self.connection.execute("SELECT api.link_vehicle(%s, %s, %s, %s)", (vehicle, meter, start, end))
        except psycopg.Error as error:
            if error.sqlstate != "IE005":
                raise
            return False
        return True

    def refresh(self, *kinds: str) -> None:
        """Refresh what is stale in the aggregates of these kinds, or of both, as the job does."""
        for kind in kinds or ENERGY:
            self.connection.execute("CALL ops.refresh_aggregates(NULL, %s)", [json.dumps({"kind": kind})])

    def refresh_by_hand(self, aggregate: str, start: datetime | None, end: datetime | None) -> None:
        """Refresh one aggregate over a window, as a DBA might."""
        query = "CALL refresh_continuous_aggregate(%s, %s::timestamptz, %s::timestamptz)"
        self.connection.execute(query, (f"bi.{aggregate}", start, end))

    def chunks(self, kind: str) -> list[tuple[datetime, datetime]]:
        """The times that the chunks of a history cover, in order; the start is out and the end is in."""
        query = (
            "SELECT range_start, range_end FROM timescaledb_information.chunks WHERE hypertable_name = %s ORDER BY 1"
        )
        return [(row["range_start"], row["range_end"]) for row in self.rows(query, f"{kind}_telemetry_history")]

    def drop(self, kind: str, before: datetime) -> list[tuple[datetime, datetime]]:
        """Drop the chunks that end by then, whatever was taken up of them; answers their times."""
        chunks = self.chunks(kind)
        self.connection.execute(
            "SELECT drop_chunks(%s::regclass, older_than => %s)", (f"telemetry.{kind}_telemetry_history", before)
        )
        return sorted({*chunks} - {*self.chunks(kind)})

    def drop_due(self, kind: str, before: datetime) -> list[tuple[datetime, datetime]]:
        """Drop the chunks that end by then as retention does; answers their times."""
        chunks = self.chunks(kind)
        # the clocks of the test and of the database may differ a little
        age = datetime.now(UTC) - before - timedelta(seconds=10)
        config = {
            "object": f"telemetry.{kind}_telemetry_history",
            "drop_after": f"{age.total_seconds():f} s",
            "archive": False,
        }
        self.connection.execute("CALL ops.drop_due_chunks(NULL, %s)", [json.dumps(config)])
        return sorted({*chunks} - {*self.chunks(kind)})

    def compress(self, *kinds: str) -> None:
        for kind in kinds or ENERGY:
            self.connection.execute(
                f"SELECT compress_chunk(c, TRUE) FROM show_chunks('telemetry.{kind}_telemetry_history') AS c"
            )

    @contextlib.contextmanager
    def snapshot(self, time_zone: str = "UTC") -> Iterator[None]:
        """Everything that is read in it is read as of one moment, by a session of this time zone."""
        with self.connection.transaction():
            self.connection.execute("SELECT set_config('TimeZone', %s, TRUE)", [time_zone])
            yield

    def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """The rows of a query, all times in UTC."""
        with self.connection.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(query, values).fetchall()
        # in a zone with an ambiguous hour, equal times may be unequal
        return [
            {name: value.astimezone(UTC) if isinstance(value, datetime) else value for name, value in row.items()}
            for row in rows
        ]


def close(value: Any, abs_: float = 1e-12) -> Any:
    """Equal to 1e-9 relative, and what is no number exactly."""
    return pytest.approx(value, rel=1e-9, abs=abs_) if isinstance(value, float) else value


def agrees(found: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
    """Whether all that is expected was found."""
    return all(found[name] == close(value) for name, value in expected.items())


def balance_agrees(row: Mapping[str, Any], expected: Balance, ac: str, dc: str) -> bool:
    """Sums to 1e-9 (or their ninth decimal, to which answers are rounded); the ratio to the last digit shown."""
    if (row[ac], row[dc]) != (close(expected.kwh_ac, 1e-9), close(expected.kwh_dc, 1e-9)):
        return False
    ratio = row["efficiency_ratio"]
    if ratio != expected.ratio:  # the last bits of a sum may tell on the last digit
        return None not in (ratio, expected.ratio) and ratio == pytest.approx(expected.ratio, abs=1.0001e-4, rel=1e-9)
    return bool(row["efficiency_status"] == expected.status)


def assert_outcomes(batch: list[Reading], found: list[str], expected: list[str]) -> None:
    """A batch is judged as a whole: what is implausible is a conflict where the same key is stored by its batch."""
    stored = {r.recorded_at for r, outcome in zip(batch, found, strict=True) if outcome == "stored"}
    for reading, outcome, wanted in zip(batch, found, expected, strict=True):
        whole = (outcome, wanted) == ("conflict", "implausible_energy") and reading.recorded_at in stored
        assert outcome == wanted or whole, (outcome, wanted, reading)


def assert_readings(database: EnergyDatabase, world: World) -> None:
    """History and current status."""
    for kind, energy in ENERGY.items():
        for device in sorted(world.devices(kind)):
            columns = f"{energy} AS energy, {', '.join(MEASURES[kind])}"
            found = database.rows(
                f"SELECT telemetry.recorded_at(counted_at) AS recorded_at, register_kwh AS register, "
                f"exchange_kwh AS exchanged, {columns} "
                f"FROM telemetry.{kind}_telemetry_history WHERE {kind}_id = %s ORDER BY counted_at",
                device,
            )
            expected = [
                {name: getattr(row, name) for name in found[0]} if found else {} for row in world.history(kind, device)
            ]
            assert found == [{name: close(value) for name, value in row.items()} for row in expected], device
            [status] = database.rows(
                f"SELECT recorded_at, observed_interval, {columns} "
                f"FROM telemetry.{kind}_current_status WHERE {kind}_id = %s",
                device,
            )
            observed, wanted = status.pop("observed_interval"), world.observed(Device(kind, device))
            assert (observed is None) == (wanted is None), device
            # a quarter more is rounded to the microsecond, each time
            assert wanted is None or abs(observed - wanted) < timedelta(milliseconds=1), (device, observed, wanted)
            newest = world.status(kind, device)
            assert newest is not None
            assert status == {name: close(getattr(newest, name)) for name in status}, device


def assert_performance(database: EnergyDatabase, world: World, windows: Iterable[Window]) -> None:
    """Each vehicle over its window, and all of the world's vehicles over the time of all windows."""
    windows = [window for window in windows if window[0] in world.vehicles()]
    for vehicle, start, end in windows:
        [row] = database.rows("SELECT * FROM api.get_vehicle_performance(%s, %s, %s)", vehicle, start, end)
        expected = world.performance(vehicle, start, end)
        assert balance_agrees(row, expected, "total_energy_consumed_ac", "total_energy_delivered_dc"), (row, expected)
        assert (row["meter_readings"], row["vehicle_readings"]) == (expected.meter_readings, expected.vehicle_readings)
        assert row["avg_battery_temp"] == (
            None if expected.battery_temp is None else pytest.approx(expected.battery_temp, abs=0.0101)
        ), (row, expected)
        assert set(row["meter_ids"]) == set(expected.meter_ids)
    if windows:
        start, end = min(window[1] for window in windows), max(window[2] for window in windows)
        found = {
            row["vehicle_id"]: row for row in database.rows("SELECT * FROM telemetry.fleet_balance(%s, %s)", start, end)
        }
        fleet = world.performances(start, end)
        assert found.keys() & world.vehicles() == fleet.keys()
        for vehicle, expected in fleet.items():
            row = found[vehicle]
            assert balance_agrees(row, expected, "kwh_consumed_ac", "kwh_delivered_dc"), (row, expected)
            assert (row["meter_readings"], row["vehicle_readings"]) == (
                expected.meter_readings,
                expected.vehicle_readings,
            )


def assert_buckets(database: EnergyDatabase, world: World, start: datetime, end: datetime, resolution: str) -> None:
    """The buckets of every device, and the balance of every vehicle in each, that begin from start until end."""
    buckets = {}
    [now] = [row["now"] for row in database.rows("SELECT now() AS now")]
    for kind in ENERGY:
        buckets[kind] = {
            key: bucket for key, bucket in world.aggregate(kind, resolution).items() if start <= key[1] < end
        }
        for device in sorted(world.devices(kind)):
            found = list_pages(database, f"api.list_{kind}_buckets", device, resolution, start, end)
            expected = {bucket: summary for (of, bucket), summary in buckets[kind].items() if of == device}
            assert [row["bucket"] for row in found] == sorted(expected), (device, resolution)
            for row in found:
                wanted = expected[row["bucket"]].columns(kind)
                row["kwh"] = row[ENERGY[kind]]
                assert agrees(row, {name: value for name, value in wanted.items() if name in row}), (row, wanted)
                assert row["is_open"] == (world.bucket_end(resolution, row["bucket"]) > now), row
    balances = world.efficiency(resolution)
    for vehicle in sorted(world.vehicles()):
        query = "SELECT * FROM api.list_vehicle_efficiency_buckets(%s, %s, %s, %s, NULL)"
        found = database.rows(query, vehicle, resolution, start, end)
        whole = {bucket: row for (of, bucket), row in balances.items() if of == vehicle and start <= bucket < end}
        assert [row["bucket"] for row in found] == sorted(whole), (vehicle, resolution)
        for row in found:
            balance, charged = whole[row["bucket"]], buckets[VEHICLE].get((vehicle, row["bucket"]))
            assert balance_agrees(row, balance, "kwh_consumed_ac", "kwh_delivered_dc"), (row, balance)
            assert row["meter_id"] == balance.meter_id, (row, balance)
            assert row["is_open"] == (world.bucket_end(resolution, row["bucket"]) > now), row
            columns = charged.columns(VEHICLE) if charged else {}
            for name in ("battery_temp_min", "battery_temp_avg", "battery_temp_max", "soc_first", "soc_last"):
                assert row[name] == close(columns.get(name)), (name, row, charged)


def list_pages(
    database: EnergyDatabase,
    function: str,
    device: str,
    resolution: str,
    start: datetime,
    end: datetime,
    size: int = 10,
) -> list[dict[str, Any]]:
    """The rows of all pages of a device's buckets."""
    found: list[dict[str, Any]] = []
    while True:
        after = found[-1]["bucket"] if found else None
        query = f"SELECT * FROM {function}(%s, %s, %s, %s, NULL, %s, %s)"
        page = database.rows(query, device, resolution, start, end, after, size)
        found += page
        if len(page) < size:
            return found


def aggregate_faults(database: EnergyDatabase, world: World, name: str) -> Faults:
    """Where an aggregate differs, by device and bucket."""
    kind, resolution = name.split("_")
    devices = sorted(world.devices(kind))
    rows = database.rows(f"SELECT * FROM bi.{name} WHERE {kind}_id = ANY (%s)", devices)
    found = {(row[f"{kind}_id"], row["bucket"]): {**row, "kwh": row[ENERGY[kind]]} for row in rows}
    assert len(found) == len(rows), name
    expected = {key: bucket.columns(kind) for key, bucket in world.aggregate(kind, resolution).items()}
    return {
        key: (found.get(key), expected.get(key))
        for key in found.keys() | expected.keys()
        if key not in found or key not in expected or not agrees(found[key], expected[key])
    }


def efficiency_faults(database: EnergyDatabase, world: World, resolution: str) -> Faults:
    """Where a view of the vehicles' efficiency differs, by vehicle and bucket."""
    vehicles = sorted(world.vehicles())
    rows = database.rows(f"SELECT * FROM bi.vehicle_efficiency_{resolution} WHERE vehicle_id = ANY (%s)", vehicles)
    found = {(row["vehicle_id"], row["bucket"]): row for row in rows}
    assert len(found) == len(rows), resolution
    expected = world.efficiency(resolution)
    names = ("meter_id", "meter_readings", "vehicle_readings", "meter_readings_expected", "vehicle_readings_expected")
    return {
        key: (found.get(key), expected.get(key))
        for key in found.keys() | expected.keys()
        if key not in found
        or key not in expected
        or not balance_agrees(found[key], expected[key], "kwh_consumed_ac", "kwh_delivered_dc")
        or not agrees(
            found[key], {name: getattr(expected[key], name) for name in (*names, "readings_share", "is_complete")}
        )
    }


def fleet_day_faults(database: EnergyDatabase, world: World) -> Faults:
    """Where the view of the fleet's days differs, by day; the world's fleet is all there is in the database."""
    found = {row["bucket"]: row for row in database.rows("SELECT * FROM bi.fleet_efficiency_daily")}
    expected = world.fleet_daily()
    return {
        key: (found.get(key), expected.get(key))
        for key in found.keys() | expected.keys()
        if key not in found
        or key not in expected
        or not balance_agrees(found[key], expected[key][0], "kwh_consumed_ac", "kwh_delivered_dc")
        or not agrees(found[key], {**counts_of(expected[key][0]), "vehicles_complete": expected[key][1]})
    }


def counts_of(fleet: FleetBalance) -> dict[str, int]:
    """How many vehicles there are of each status."""
    return {name: value for name, value in asdict(fleet).items() if name.startswith("vehicles")}


def assert_aggregates(database: EnergyDatabase, world: World) -> None:
    for name in AGGREGATES:
        assert not aggregate_faults(database, world, name), name


def assert_efficiency(database: EnergyDatabase, world: World, *, whole_fleet: bool) -> None:
    for resolution in ("hourly", "daily"):
        assert not efficiency_faults(database, world, resolution), resolution
    if whole_fleet:
        assert not fleet_day_faults(database, world)


def session_faults(database: EnergyDatabase, world: World) -> Faults:
    """Where the view of charging sessions differs, by vehicle and start; those beside dropped history are left out."""
    dropped = [until for kind in ENERGY if (until := world.dropped_until(kind)) is not None]
    since = max(dropped) + 3 * REACH if dropped else datetime.min.replace(tzinfo=UTC)
    vehicles = sorted(world.vehicles())
    rows = database.rows("SELECT * FROM bi.charging_session WHERE vehicle_id = ANY (%s)", vehicles)
    found = {(row["vehicle_id"], row["started_at"]): row for row in rows if row["started_at"] > since}
    ids = [row["session_id"] for row in rows]
    assert len(ids) == len({*ids})
    expected = {
        (vehicle, session.started_at): asdict(session)
        for vehicle in vehicles
        for session in world.sessions(vehicle)
        if session.started_at > since
    }
    return {
        key: (found.get(key), expected.get(key))
        if key not in found or key not in expected
        else {
            name: (found[key][name], value) for name, value in expected[key].items() if found[key][name] != close(value)
        }
        for key in found.keys() | expected.keys()
        if key not in found or key not in expected or not agrees(found[key], expected[key])
    }


def assert_fleet(database: EnergyDatabase, world: World, start: datetime, end: datetime) -> None:
    """The fleet over a window, the vehicles that lose most first; the world's fleet is all there is in the database."""
    vehicles = world.performances(start, end)
    [row] = database.rows("SELECT s.*, now() AS now FROM api.get_fleet_summary(%s, %s, NULL) AS s", start, end)
    expected = world.fleet(start, end)
    assert balance_agrees(row, expected, "total_energy_consumed_ac", "total_energy_delivered_dc"), (row, expected)
    assert agrees(row, counts_of(expected)), (row, expected)
    for kind in ENERGY:
        silent = sum(world.is_silent(Device(kind, device), row["now"]) for device in world.devices(kind))
        assert row[f"silent_{kind}s"] == silent
    worst = database.rows("SELECT * FROM api.list_vehicle_efficiency(%s, %s, NULL, 1e7, NULL, NULL, 1000)", start, end)
    assert {row["vehicle_id"] for row in worst} == {v for v, balance in vehicles.items() if balance.ratio is not None}
    for row in worst:
        balance = vehicles[row["vehicle_id"]]
        assert balance_agrees(row, balance, "total_energy_consumed_ac", "total_energy_delivered_dc"), (row, balance)
    ratios = [row["efficiency_ratio"] for row in worst]
    assert ratios == sorted(ratios)
    bands = database.rows(
        "SELECT d.vehicles FROM api.get_fleet_summary(%s, %s, NULL) AS s, unnest(s.distribution) AS d "
        "ORDER BY d.ratio_from",
        start,
        end,
    )
    assert [band["vehicles"] for band in bands] == distribution(ratios)


def assert_overview(database: EnergyDatabase, world: World) -> None:
    """The fleet at a glance; the world's fleet is all there is in the database, and a small one, so this is exact."""
    [row] = database.rows("SELECT * FROM api.get_fleet_overview()")
    start, end, midnight = row["period_start"], row["period_end"], row["today_start"]
    assert timedelta(hours=23) < end - start <= timedelta(days=1)
    for kind, column in ((METER, "kwh_consumed_ac_today"), (VEHICLE, "kwh_delivered_dc_today")):
        assert row[column] == close(world.energy(kind, midnight, row["energy_until"]), 1e-9)
    vehicles, hours = world.overview(start, end)
    found = {
        datetime.fromisoformat(hour["bucket"]): (hour["kwhConsumedAc"], hour["kwhDeliveredDc"]) for hour in row["hours"]
    }
    assert found == {hour: (close(ac), close(dc)) for hour, (ac, dc) in hours.items()}
    fleet = fleet_balance(list(vehicles.values()))
    assert balance_agrees({**row, "ac": fleet.kwh_ac, "dc": fleet.kwh_dc}, fleet, "ac", "dc"), (row, fleet)
    counts = counts_of(fleet)
    del counts["vehicles"]
    assert agrees(row, counts), (row, counts)
    worst = {one["vehicleId"]: one for one in row["worst"]}
    ratios = [one["efficiencyRatio"] for one in row["worst"]]
    assert worst.keys() == {vehicle for vehicle, balance in vehicles.items() if balance.ratio is not None}
    assert ratios == sorted(ratios)
    assert [band["vehicles"] for band in row["distribution"]] == distribution(ratios)
    days = world.efficiency("daily")
    zone = ZoneInfo(row["time_zone"])
    first = midnight_of(midnight.astimezone(zone).date() - timedelta(days=13), zone)
    for vehicle, one in worst.items():
        shown = {**one, "efficiency_ratio": one["efficiencyRatio"], "efficiency_status": one["efficiencyStatus"]}
        assert balance_agrees(shown, vehicles[vehicle], "kwhConsumedAc", "kwhDeliveredDc"), (one, vehicles[vehicle])
        trend = {datetime.fromisoformat(day["bucket"]): day["efficiencyRatio"] for day in one["trend"]}
        expected = {day: balance.ratio for (of, day), balance in days.items() if of == vehicle and day >= first}
        assert trend == {
            day: None if ratio is None else pytest.approx(ratio, abs=1.0001e-4, rel=1e-9)
            for day, ratio in expected.items()
        }, (one, expected)


@contextlib.contextmanager
def run_energy_database(first: TestDatabase, time_zone: str = "UTC") -> Iterator[EnergyDatabase]:
    """A database of the same kind as `first`, that some tests have for themselves, with days of a time zone."""
    with (
        run_migrated_database(first, time_zone) as another,
        psycopg.connect(another.url, autocommit=True) as connection,
    ):
        yield EnergyDatabase(connection)
