"""A database of 0013 gets the time rule of 0014: readings count in (start, end], and nothing that is kept is lost."""

import statistics
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest

from service.database.calls import REFRESH_AGGREGATES
from service.database.migrate import migrate
from service.database.migrations import known_migrations
from tests.support import TestDatabase
from tests.support.energy_world import AGGREGATES
from tests.upgrade.test_upgrade import HISTORIES, Connection, connect, is_fresh, run_jobs, sql_of

pytestmark = pytest.mark.long

DAY = timedelta(days=1)
QUARTER = timedelta(minutes=15)
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
BEGIN, CUT, END = TODAY - 9 * DAY, TODAY - 6 * DAY, TODAY - DAY
"""Readings are from BEGIN to END, both included; what lay before CUT is dropped."""

# a reading of each device every 7.5 minutes, so half of them on the boundary of a quarter hour; one sends a register
FILL = """
    INSERT INTO telemetry.meter_telemetry_history
    SELECT 'M' || d, t, t + INTERVAL '1.234567 s', d * extract(EPOCH FROM t - %(begin)s) / 45000, 225 + n %% 11,
        CASE WHEN d = 2 THEN 1000 + n / 8.0 END, CASE WHEN d = 2 THEN n %% 50 = 3 END
    FROM generate_series(1, 2) AS d
    CROSS JOIN generate_series(%(begin)s, %(end)s, '450 s'::interval) WITH ORDINALITY AS g (t, n);
    INSERT INTO telemetry.vehicle_telemetry_history
    SELECT 'V1', t, t + INTERVAL '2 s', n %% 101, 0.9 * extract(EPOCH FROM t - %(begin)s) / 45000, n %% 31
    FROM generate_series(%(begin)s, %(end)s, '450 s'::interval) WITH ORDINALITY AS g (t, n);
    INSERT INTO telemetry.vehicle_current_status (vehicle_id, recorded_at, soc, kwh_delivered_dc, battery_temp)
    VALUES ('V1', %(end)s, 50, 1, 20);
    INSERT INTO telemetry.vehicle_meter_link VALUES ('V1', 'M1', tstzrange(%(begin)s, NULL));
    SELECT public.compress_chunk(c)
    FROM public.show_chunks('telemetry.meter_telemetry_history', older_than => %(middle)s) AS c
"""
MEASURES = {"meter": "voltage", "vehicle": "battery_temp"}
ENERGY = {"meter": "kwh_consumed_ac", "vehicle": "kwh_delivered_dc"}
Key = tuple[str, datetime]


class Bucket(NamedTuple):
    """What the tests look at of a bucket of an aggregate."""

    kwh: float
    readings: int
    lowest: float
    mean: float
    highest: float


class Row(NamedTuple):
    """A reading of a history, with its device's own time."""

    device: str
    recorded_at: datetime
    kwh: float
    measure: float


def histories(connection: Connection, time: str) -> dict[str, list[tuple]]:
    """All columns of both histories, in order of device and time."""
    found = {}
    for kind, table in zip(ENERGY, HISTORIES, strict=True):
        names = f"{'voltage' if kind == 'meter' else 'soc, battery_temp'}, register_kwh, register_dip"
        found[kind] = connection.execute(
            f"SELECT {kind}_id, {time}, received_at, {ENERGY[kind]}, {names} FROM telemetry.{table} ORDER BY 1, 2"
        ).fetchall()
    return found


def readings(connection: Connection, kind: str) -> list[Row]:
    measure = MEASURES[kind]
    query = f"SELECT {kind}_id, recorded_at, {ENERGY[kind]}, {measure} FROM telemetry.{kind}_telemetry_history"
    return [Row(*row) for row in connection.execute(query).fetchall()]


def buckets(connection: Connection, name: str) -> dict[Key, Bucket]:
    kind = name.partition("_")[0]
    measure = MEASURES[kind]
    columns = f"{kind}_id, bucket, {ENERGY[kind]}, readings, {measure}_min, {measure}_avg, {measure}_max"
    found = connection.execute(f"SELECT {columns} FROM bi.{name}").fetchall()
    assert len({row[:2] for row in found}) == len(found)
    return {(row[0], row[1]): Bucket(*row[2:]) for row in found}


def bucket_of(time: datetime, resolution: str, zone: ZoneInfo) -> datetime:
    """The start of the bucket that a reading counts in: what is stamped at its end is in it."""
    counted = (time - timedelta(microseconds=1)).astimezone(zone)
    start = counted.replace(minute=0, second=0, microsecond=0)
    if resolution == "15min":
        return start.replace(minute=counted.minute // 15 * 15)
    return start if resolution == "hourly" else start.replace(hour=0)


def summed(rows: list[Row], resolution: str, zone: ZoneInfo) -> dict[Key, Bucket]:
    groups: dict[Key, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.device, bucket_of(row.recorded_at, resolution, zone)].append(row)
    return {
        key: Bucket(
            sum(row.kwh for row in group),
            len(group),
            min(row.measure for row in group),
            statistics.fmean(row.measure for row in group),
            max(row.measure for row in group),
        )
        for key, group in groups.items()
    }


def close(found: dict[Key, Bucket]) -> dict[Key, Any]:
    return {key: pytest.approx(tuple(bucket), rel=1e-9) for key, bucket in found.items()}


@pytest.mark.parametrize("zone", ["UTC", "Europe/Paris", "America/New_York"])
def test_readings_move_to_the_bucket_they_count_in_and_nothing_is_lost(
    empty_database: TestDatabase, tmp_path: Path, zone: str
) -> None:
    url = empty_database.url
    migrate(url, sql_of("0013", tmp_path / "sql"), time_zone=zone)
    with connect(url) as connection:
        if not empty_database.is_embedded:  # which has no background workers
            connection.execute("SELECT _timescaledb_functions.stop_background_workers()")
        with_values = {"begin": BEGIN, "end": END, "middle": TODAY - 4 * DAY}
        for statement in FILL.split(";\n"):
            connection.execute(statement, {name: v for name, v in with_values.items() if f"({name})" in statement})
        for name in AGGREGATES:
            connection.execute(f"CALL refresh_continuous_aggregate('bi.{name}', NULL, NULL)")
        old = {name: buckets(connection, name) for name in AGGREGATES}
        sent = {kind: readings(connection, kind) for kind in ENERGY}
        for table in HISTORIES:
            connection.execute("SELECT drop_chunks(%s::regclass, older_than => %s)", (f"telemetry.{table}", CUT))
        connection.execute(
            "UPDATE ops.policy SET drop_after = '6 days', accept_for = '6 days' WHERE object LIKE 'telemetry.%history'"
        )
        before = histories(connection, "recorded_at")
        assert len(before["meter"]) == 2 * (5 * 192 + 1)

    assert migrate(url) == [name for name in known_migrations() if name >= "0014"]

    local = ZoneInfo(zone)
    with connect(url) as connection:
        if zone == "UTC":  # the daily aggregates name their zone
            assert is_fresh(connection)
        assert histories(connection, "telemetry.recorded_at(counted_at)") == before
        for refresh in REFRESH_AGGREGATES:
            connection.execute(refresh)
        kept = {kind: [row for row in rows if row.recorded_at >= CUT] for kind, rows in sent.items()}
        for name in AGGREGATES:
            kind, resolution = name.split("_")
            found = buckets(connection, name)
            # of what is gone the aggregates are as they were, with the reading at the very end of it
            whole = {key: bucket for key, bucket in found.items() if key[1] >= CUT}
            assert whole == close(
                {key: bucket for key, bucket in summed(kept[kind], resolution, local).items() if key[1] >= CUT}
            )
            gone = {key: bucket for key, bucket in found.items() if key[1] < CUT}
            assert gone.keys() == {key for key in old[name] if key[1] < CUT}
            untouched = [key for key in gone if key[1] < CUT - (QUARTER if resolution == "15min" else DAY)]
            assert len(untouched) >= 2
            assert {key: gone[key] for key in untouched} == close({key: old[name][key] for key in untouched})
            for device in {row.device for row in sent[kind]}:
                total = [bucket for key, bucket in found.items() if key[0] == device]
                mine = [row for row in sent[kind] if row.device == device]
                assert sum(bucket.readings for bucket in total) == len(mine), name
                assert sum(bucket.kwh for bucket in total) == pytest.approx(sum(row.kwh for row in mine))
        assert connection.execute("SELECT * FROM bi.stale_range").fetchall() == []
        assert_performance(connection, sent)
        run_jobs(connection)
        assert_performance(connection, sent)
        faults = connection.execute("SELECT topic, finding FROM ops.diagnose() WHERE is_fault").fetchall()
        assert faults == []
        # retention has dropped the reading that ends what was dropped; the aggregates have it
        for table in HISTORIES:
            oldest = connection.execute(f"SELECT min(counted_at) > %s FROM telemetry.{table}", [CUT]).fetchone()
            assert oldest == (True,)


def assert_performance(connection: Connection, sent: dict[str, list[Row]]) -> None:
    """Of whole windows, of windows that end or begin on a boundary, and of the day that was cut."""
    for start, end in ((CUT, END), (CUT + QUARTER, CUT + 7 * QUARTER), (TODAY - 3 * DAY, TODAY), (BEGIN - DAY, TODAY)):
        found = connection.execute(
            "SELECT total_energy_consumed_ac, total_energy_delivered_dc, meter_readings, vehicle_readings "
            "FROM api.get_vehicle_performance('V1', %s, %s)",
            (start, end),
        ).fetchone()
        meter = [row.kwh for row in sent["meter"] if row.device == "M1" and start < row.recorded_at <= end]
        vehicle = [row.kwh for row in sent["vehicle"] if start < row.recorded_at <= end]
        assert found == pytest.approx((sum(meter), sum(vehicle), len(meter), len(vehicle)), rel=1e-9)
