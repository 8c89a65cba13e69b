"""What becomes of data that comes late: after a refresh, a compression, retention; and what the policies do."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from service.migrate import set_time_zone
from tests.energy_world import AGGREGATES, EnergyDatabase
from tests.oracle.records import Reading
from tests.support import Owner, TestDatabase, run_migrated_database

DAY = timedelta(days=1)
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
START = TODAY - 10 * DAY


@pytest.fixture(scope="module")
def energy_database(test_database: TestDatabase) -> Iterator[EnergyDatabase]:
    with (
        run_migrated_database(test_database) as another,
        psycopg.connect(another.url, autocommit=True) as connection,
    ):
        yield EnergyDatabase(connection)


def send(energy_database: EnergyDatabase, name: str, *times: datetime, kwh: float = 1.0) -> list[str]:
    """A reading of the meter and of the vehicle of this name at each time."""
    outcomes = energy_database.arrive([Reading("meter", f"M{name}", time, kwh, voltage=230.0) for time in times])
    return outcomes + energy_database.arrive(
        [Reading("vehicle", f"V{name}", time, kwh, soc=50.0, battery_temp=20.0) for time in times]
    )


def totals(energy_database: EnergyDatabase, name: str) -> list[float | None]:
    """Of the meter's readings: as the analytics have them, and as the three aggregates have them."""
    [answer] = energy_database.rows(
        "SELECT * FROM api.get_vehicle_performance(%s, %s, %s)", f"V{name}", START - DAY, TODAY
    )
    found = [answer["total_energy_consumed_ac"]]
    for aggregate in ("15min", "hourly", "daily"):
        query = f"SELECT sum(kwh_consumed_ac) AS kwh FROM bi.meter_{aggregate} WHERE meter_id = %s"
        found.append(energy_database.rows(query, f"M{name}")[0]["kwh"])
    return found


@pytest.mark.parametrize("compressed", [False, True])
def test_late_data_shows_in_the_analytics_at_once_and_in_the_aggregates_after_their_refresh(
    energy_database: EnergyDatabase, compressed: bool
) -> None:
    name = f"late{compressed}"
    send(energy_database, name, *(START + n * timedelta(hours=1) for n in range(30)))
    energy_database.refresh(START - 2 * DAY, TODAY - DAY)
    assert totals(energy_database, name) == [30] * 4
    if compressed:
        energy_database.compress()
    send(energy_database, name, START + timedelta(minutes=90))
    assert totals(energy_database, name) == [31, 30, 30, 30]
    energy_database.refresh(START - 2 * DAY, TODAY - DAY)
    assert totals(energy_database, name) == [31] * 4


def test_a_change_that_ends_at_midnight_is_not_lost_for_that_day(energy_database: EnergyDatabase) -> None:
    # TimescaleDB's own refresh forgets the day (its issue 10296)
    send(energy_database, "midnight", *(START + n * timedelta(hours=6) for n in range(16)))
    energy_database.refresh(START - 2 * DAY, TODAY - DAY)
    send(energy_database, "midnight", START + timedelta(hours=15), START + DAY + timedelta(minutes=1))
    energy_database.refresh(START - 2 * DAY, TODAY - DAY)
    assert totals(energy_database, "midnight") == [18] * 4


def test_what_retention_has_dropped_stays_in_the_aggregates_and_in_answers(energy_database: EnergyDatabase) -> None:
    send(energy_database, "old", *(START - 400 * DAY + n * timedelta(hours=1) for n in range(48)))
    energy_database.refresh(START - 402 * DAY, TODAY - DAY)
    for stream in ("meter", "vehicle"):
        energy_database.rows(f"SELECT drop_chunks('telemetry.{stream}_telemetry_history', %s)", START - 390 * DAY)
    window = ("Vold", START - 400 * DAY, START - 398 * DAY)
    [answer] = energy_database.rows("SELECT * FROM api.get_vehicle_performance(%s, %s, %s)", *window)
    assert (answer["total_energy_consumed_ac"], answer["vehicle_readings"]) == (48, 48)
    # what is older than the retention is refused, so nothing can come late for it
    assert send(energy_database, "old", TODAY - 732 * DAY) == ["timestamp_too_old"] * 2


def test_an_import_at_the_edge_of_the_retention_empties_no_aggregate(migrated_database: TestDatabase) -> None:
    with psycopg.connect(migrated_database.url, autocommit=True) as connection:
        energy_database = EnergyDatabase(connection)
        send(energy_database, "edge", TODAY - 11 * DAY, TODAY - 9 * DAY)
        energy_database.refresh(TODAY - 13 * DAY, TODAY - DAY)
        connection.execute(
            "UPDATE ops.policy SET drop_after = '10 days', accept_for = '10 days' WHERE object LIKE '%history'"
        )
        connection.execute("UPDATE ops.policy SET late_start = '8 days' WHERE object LIKE 'bi.%'")
        connection.execute("SELECT ops.apply_policies()")
        jobs = "SELECT job_id FROM ops.policy_job WHERE object LIKE '%history' AND duty = 'drop'"
        for (job,) in connection.execute(jobs).fetchall():
            connection.execute(f"CALL run_job({job})")
        connection.execute("SELECT telemetry.mark_stale_days(%s, %s)", [TODAY - 10 * DAY] * 2)
        connection.execute("CALL ops.refresh_stale_days()")
        [row] = energy_database.rows("SELECT sum(kwh_consumed_ac) AS kwh FROM bi.meter_15min WHERE meter_id = 'Medge'")
        assert row["kwh"] == 2


@pytest.mark.parametrize(("begin", "end"), [(None, None), (None, TODAY)], ids=["of all", "of all before today"])
def test_a_refresh_without_bounds_by_hand_is_understood(
    migrated_database: TestDatabase, begin: None, end: datetime | None
) -> None:
    with psycopg.connect(migrated_database.url, autocommit=True) as connection:
        energy_database = EnergyDatabase(connection)
        send(energy_database, "all", *(TODAY - n * timedelta(hours=6) for n in range(1, 30)))
        for aggregate in AGGREGATES:
            connection.execute(
                f"CALL refresh_continuous_aggregate('bi.{aggregate}', %s::timestamptz, %s::timestamptz)", [begin, end]
            )
        lags = energy_database.rows("SELECT health, stale_ranges::text AS stale FROM ops.aggregate_lag")
        assert [(row["health"], row["stale"]) for row in lags] == [("ok", "{}")] * 6
        [row] = energy_database.rows(
            "SELECT * FROM api.get_vehicle_performance(%s, %s, %s)", "Vall", TODAY - 6 * DAY, TODAY
        )
        assert (row["total_energy_consumed_ac"], row["vehicle_readings"]) == (24, 24)


async def test_no_refresh_reaches_what_retention_drops_or_what_is_still_to_come(owner: Owner) -> None:
    jobs = await owner.fetch(
        "SELECT proc_name, config ->> 'start_offset' AS start, config ->> 'end_offset' AS until "
        "FROM timescaledb_information.jobs WHERE proc_name ~ 'refresh_(continuous|daily)'"
    )
    assert len(jobs) == 12  # two tiers of each
    retention = await owner.fetchval("SELECT min(drop_after) FROM ops.policy WHERE object LIKE 'telemetry.%history'")
    for job in jobs:
        [(start, until)] = await owner.fetch(
            "SELECT $1::text::interval, $2::text::interval", job["start"], job["until"]
        )
        assert timedelta(minutes=15) <= until < start <= retention - 30 * DAY


@pytest.mark.concurrent  # within one session the embedded one ends when an aggregate is made after a refresh
def test_another_time_zone_makes_the_days_anew(migrated_database: TestDatabase) -> None:
    with psycopg.connect(migrated_database.url, autocommit=True) as connection:
        energy_database = EnergyDatabase(connection)
        send(energy_database, "zone", START.replace(hour=20))
        energy_database.refresh(START - 2 * DAY, TODAY - DAY)
    set_time_zone(migrated_database.url, "Asia/Kolkata")
    with psycopg.connect(migrated_database.url, autocommit=True) as connection:
        energy_database = EnergyDatabase(connection)
        # 20:00 UTC is 01:30 of the next day there
        midnight = START + timedelta(hours=18, minutes=30)
        [row] = energy_database.rows("SELECT bucket FROM bi.meter_daily WHERE meter_id = 'Mzone'")
        assert row["bucket"] == midnight
        query = "SELECT bucket, kwh_consumed_ac FROM bi.vehicle_efficiency_daily WHERE vehicle_id = 'Vzone'"
        assert energy_database.rows(query) == [{"bucket": midnight, "kwh_consumed_ac": 1.0}]
