"""What becomes of data that comes late: after a refresh, a compression, retention; and what the policies do."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from service.database.migrate import set_time_zone
from tests.oracle.records import Reading
from tests.support import TestDatabase
from tests.support.energy_world import AGGREGATES, EnergyDatabase, run_energy_database

pytestmark = pytest.mark.long

DAY = timedelta(days=1)
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
START = TODAY - 10 * DAY


@pytest.fixture(scope="module")
def energy_database(test_database: TestDatabase) -> Iterator[EnergyDatabase]:
    with run_energy_database(test_database) as database:
        yield database


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
    energy_database.refresh()
    assert totals(energy_database, name) == [30] * 4
    if compressed:
        energy_database.compress()
    send(energy_database, name, START + timedelta(minutes=90))
    assert totals(energy_database, name) == [31, 30, 30, 30]
    energy_database.refresh()
    assert totals(energy_database, name) == [31] * 4


# TimescaleDB's own refresh forgets the day (its issue 10296)
@pytest.mark.parametrize("by_hand", [(), ("meter_15min",), ("meter_15min", "meter_daily"), ("meter_daily",)])
def test_a_change_that_ends_at_midnight_is_not_lost_for_that_day(
    energy_database: EnergyDatabase, by_hand: tuple[str, ...]
) -> None:
    name = "midnight" + "-".join(by_hand)
    send(energy_database, name, *(START + n * timedelta(hours=6) for n in range(16)))
    energy_database.refresh()
    send(energy_database, name, START + timedelta(hours=15), START + DAY + timedelta(minutes=1))
    for aggregate in by_hand:
        energy_database.refresh_by_hand(aggregate, START - DAY, START + 3 * DAY)
        assert totals(energy_database, name)[0] == 18
        [day] = energy_database.rows(
            "SELECT kwh_consumed_ac FROM bi.meter_daily WHERE meter_id = %s AND bucket = %s", f"M{name}", START + DAY
        )
        stale = (
            "SELECT FROM bi.stale_range WHERE aggregate = 'bi.meter_daily' AND tstzrange(range_start, range_end) @> %s"
        )
        assert day["kwh_consumed_ac"] == 5 or energy_database.rows(stale, START + DAY)
    energy_database.refresh()
    assert totals(energy_database, name) == [18] * 4
    assert energy_database.rows("SELECT FROM telemetry.changed_midnight WHERE day < %s", START + 3 * DAY) == []


def test_what_retention_has_dropped_stays_in_the_aggregates_and_in_answers(energy_database: EnergyDatabase) -> None:
    send(energy_database, "old", *(START - 400 * DAY + n * timedelta(hours=1) for n in range(1, 49)))
    energy_database.refresh()
    for kind in ("meter", "vehicle"):
        energy_database.drop(kind, START - 390 * DAY)
    window = ("Vold", START - 400 * DAY, START - 398 * DAY)
    performance = "SELECT * FROM api.get_vehicle_performance(%s, %s, %s)"
    [answer] = energy_database.rows(performance, *window)
    assert (answer["total_energy_consumed_ac"], answer["vehicle_readings"]) == (48, 48)
    # a reading that comes late for it takes nothing away, whatever is refreshed
    assert send(energy_database, "old", START - 399 * DAY + timedelta(minutes=61)) == ["stored"] * 2
    for _ in range(2):
        energy_database.refresh()
        [answer] = energy_database.rows(performance, *window)
        assert (answer["total_energy_consumed_ac"], answer["vehicle_readings"]) == (48, 48)
        for aggregate in AGGREGATES:
            query = f"SELECT sum(readings)::bigint AS readings FROM bi.{aggregate} WHERE bucket < %s"
            assert energy_database.rows(query, START - 390 * DAY) == [{"readings": 48}]
    # what is older than the retention is refused, so nothing can come late for it
    assert send(energy_database, "old", TODAY - 732 * DAY) == ["timestamp_too_old"] * 2


def test_a_late_reading_at_the_edge_of_the_retention_empties_no_aggregate(migrated_database: TestDatabase) -> None:
    with psycopg.connect(migrated_database.url, autocommit=True) as connection:
        energy_database = EnergyDatabase(connection)
        send(energy_database, "edge", TODAY - 11 * DAY + timedelta(hours=3), TODAY - 9 * DAY)
        connection.execute(
            "UPDATE ops.policy SET drop_after = '10 days', accept_for = '10 days' WHERE object LIKE '%history'"
        )
        connection.execute("SELECT ops.apply_policies()")
        jobs = "SELECT job_id FROM ops.policy_job WHERE object LIKE '%history' AND duty = 'drop'"

        def drop_and_refresh() -> float:
            for (job,) in connection.execute(jobs).fetchall():
                connection.execute(f"CALL run_job({job})")
            energy_database.refresh()
            [row] = energy_database.rows("SELECT sum(kwh_consumed_ac) AS kwh FROM bi.meter_15min")
            return float(row["kwh"])

        assert drop_and_refresh() == 2  # what no aggregate has taken up is not dropped
        assert drop_and_refresh() == 2
        assert energy_database.chunks("meter")[0][0] >= TODAY - 10 * DAY
        send(energy_database, "edge", datetime.now(UTC) - 10 * DAY + timedelta(minutes=1))
        assert drop_and_refresh() == 3


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
        assert (row["total_energy_consumed_ac"], row["vehicle_readings"]) == (23, 23)


def test_no_refresh_has_to_do_with_what_was_dropped_or_is_still_to_come(migrated_database: TestDatabase) -> None:
    with psycopg.connect(migrated_database.url, autocommit=True) as connection:
        energy_database = EnergyDatabase(connection)
        now = datetime.now(UTC)
        send(energy_database, "due", TODAY - 20 * DAY + DAY / 2, TODAY - 3 * DAY, now, now + timedelta(minutes=4))
        for aggregate in AGGREGATES:
            due = energy_database.rows(f"SELECT * FROM telemetry.due_times('{aggregate}')")
            if aggregate.endswith("15min"):
                assert min(row["due_start"] for row in due) == TODAY - 20 * DAY  # the oldest chunk
                assert now - timedelta(minutes=20) < max(row["due_end"] for row in due) <= now - timedelta(minutes=5)
                assert all(row["due_end"] - row["due_start"] <= DAY for row in due)
            else:
                assert due == []  # before the quarter hours
        energy_database.refresh()
        energy_database.drop("meter", TODAY - 10 * DAY)
        send(energy_database, "due", TODAY - 20 * DAY + DAY / 3)
        energy_database.refresh()
        due = "SELECT count(*) AS due FROM telemetry.due_times(%s) WHERE due_start < %s"
        for aggregate in AGGREGATES:
            assert energy_database.rows(due, aggregate, TODAY - 10 * DAY) == [{"due": 0}]


def test_hours_refreshed_by_hand_past_their_quarter_hours_declare_what_they_do_not_show(
    migrated_database: TestDatabase,
) -> None:
    with psycopg.connect(migrated_database.url, autocommit=True) as connection:
        energy_database = EnergyDatabase(connection)
        hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)
        send(energy_database, "hand", hour + timedelta(minutes=10))
        energy_database.refresh_by_hand("meter_hourly", hour, hour + timedelta(hours=1))
        stale = "SELECT range_start, range_end FROM bi.stale_range WHERE aggregate = 'bi.meter_hourly'"
        shown = "SELECT kwh_consumed_ac FROM bi.meter_hourly WHERE meter_id = 'Mhand'"
        send(energy_database, "hand", hour + timedelta(minutes=40))
        [row] = energy_database.rows(shown)
        declared = [span for span in energy_database.rows(stale) if span["range_start"] <= hour < span["range_end"]]
        assert row["kwh_consumed_ac"] == 2 or declared
        energy_database.refresh()
        assert energy_database.rows(shown) == [{"kwh_consumed_ac": 2.0}]
        energy_database.refresh_by_hand("meter_hourly", hour, hour + timedelta(hours=3))
        energy_database.refresh()
        assert energy_database.rows(stale) == []  # nothing lies past the quarter hours, so nothing is missing
        [lag] = energy_database.rows("SELECT * FROM ops.aggregate_lag WHERE aggregate = 'bi.meter_hourly'")
        assert lag["materialized_until"] == hour + timedelta(hours=1)  # the whole hour, although the fleet is silent


@pytest.mark.concurrent  # within one session the embedded one ends when an aggregate is made after a refresh
def test_another_time_zone_makes_the_days_anew(migrated_database: TestDatabase) -> None:
    with psycopg.connect(migrated_database.url, autocommit=True) as connection:
        energy_database = EnergyDatabase(connection)
        send(energy_database, "zone", START.replace(hour=20))
        energy_database.refresh()
    set_time_zone(migrated_database.url, "Asia/Kolkata")
    with psycopg.connect(migrated_database.url, autocommit=True) as connection:
        energy_database = EnergyDatabase(connection)
        # 20:00 UTC is 01:30 of the next day there
        midnight = START + timedelta(hours=18, minutes=30)
        [row] = energy_database.rows("SELECT bucket FROM bi.meter_daily WHERE meter_id = 'Mzone'")
        assert row["bucket"] == midnight
        query = "SELECT bucket, kwh_consumed_ac FROM bi.vehicle_efficiency_daily WHERE vehicle_id = 'Vzone'"
        assert energy_database.rows(query) == [{"bucket": midnight, "kwh_consumed_ac": 1.0}]
