"""The same question has the same answer on every surface, whatever has been refreshed."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from service.database.calls import REFRESH_AGGREGATES
from tests.support import TestDatabase, run_migrated_database

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
TEN = TODAY - 2 * DAY + 10 * HOUR
"""Ten o'clock the day before yesterday."""

INGEST = {
    "meter": "SELECT outcome FROM api.ingest_meter_readings((SELECT array_agg(ROW(%s, t, k, 230, NULL)"
    "::api.meter_reading) FROM unnest(%s::timestamptz[], %s::float8[]) AS r (t, k)))",
    "vehicle": "SELECT outcome FROM api.ingest_vehicle_readings((SELECT array_agg(ROW(%s, t, 50, k, 20, NULL)"
    "::api.vehicle_reading) FROM unnest(%s::timestamptz[], %s::float8[]) AS r (t, k)))",
}


class Fleet:
    """A database of its own, with every right."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection
        connection.execute("RESET ROLE; SET search_path = public; SET TimeZone = 'UTC'")
        connection.execute("SELECT alter_job(job_id, scheduled => FALSE) FROM timescaledb_information.jobs")

    def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        with self.connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query, values or None).fetchall()

    def row(self, query: str, *values: Any) -> dict[str, Any]:
        [row] = self.rows(query, *values)
        return row

    def value(self, query: str, *values: Any) -> Any:
        return next(iter(self.row(query, *values).values()))

    def send(self, kind: str, device: str, start: datetime, every: timedelta, kwh: Sequence[float]) -> None:
        """Readings at the end of each interval after `start`."""
        times = [start + (number + 1) * every for number in range(len(kwh))]
        for begin in range(0, len(times), 1000):
            part = slice(begin, begin + 1000)
            outcomes = self.rows(INGEST[kind], device, times[part], list(kwh[part]))
            assert {row["outcome"] for row in outcomes} == {"stored"}

    def refresh(self) -> None:
        for refresh in REFRESH_AGGREGATES:
            self.connection.execute(refresh)

    def performance(self, vehicle: str, start: datetime, end: datetime) -> dict[str, Any]:
        return self.row("SELECT * FROM api.get_vehicle_performance(%s, %s, %s)", vehicle, start, end)

    def judged(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Bucket, ratio and status of each row."""
        return [(row["bucket"], row["efficiency_ratio"], row["efficiency_status"]) for row in self.rows(query, *values)]

    def shows(self, vehicle: str, expected: list[tuple[Any, ...]], resolution: str = "hourly") -> bool:
        """Whether the view shows these rows, or declares stale what it does not show."""
        query = f"SELECT * FROM bi.vehicle_efficiency_{resolution} WHERE vehicle_id = %s ORDER BY bucket"
        found = {row[0]: row for row in self.judged(query, vehicle)}
        wanted = {row[0]: row for row in expected}
        stale = "SELECT count(*) FROM bi.stale_range WHERE aggregate LIKE %s AND range_start <= %s AND range_end > %s"
        return all(
            found.get(bucket) == wanted.get(bucket) or self.value(stale, f"bi.%\\_{resolution}", bucket, bucket) > 0
            for bucket in found | wanted
        )

    def route(self, vehicle: str, resolution: str, start: datetime, end: datetime) -> list[tuple[Any, ...]]:
        query = "SELECT * FROM api.list_vehicle_efficiency_buckets(%s, %s, %s, %s, NULL)"
        return self.judged(query, vehicle, resolution, start, end)


@pytest.fixture(scope="module")
def fleet(test_database: TestDatabase) -> Iterator[Fleet]:
    with (
        run_migrated_database(test_database) as another,
        psycopg.connect(another.url, autocommit=True) as connection,
    ):
        yield Fleet(connection)


@pytest.fixture(params=["before a refresh", "after it"])
def refreshed(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "after it")


def test_five_days_are_in_every_aggregate_after_the_first_refresh(migrated_database: TestDatabase) -> None:
    with psycopg.connect(migrated_database.url, autocommit=True) as connection:
        fleet = Fleet(connection)
        now = datetime.now(UTC).replace(microsecond=0)
        start, count = now - 5 * DAY, 5 * 24 * 12
        for number in range(2):
            fleet.send("meter", f"M{number}", start, 5 * MINUTE, [1.0] * count)
            fleet.send("vehicle", f"V{number}", start, 5 * MINUTE, [0.9] * count)

        def answers() -> dict[str, float]:
            found = {
                f"{kind}_{resolution}": fleet.value(f"SELECT sum({energy}) FROM bi.{kind}_{resolution}")
                for kind, energy in (("meter", "kwh_consumed_ac"), ("vehicle", "kwh_delivered_dc"))
                for resolution in ("15min", "hourly", "daily")
            }
            found["fleet"] = fleet.value("SELECT sum(kwh_consumed_ac) FROM bi.fleet_efficiency_daily")
            found["performance"] = 2 * fleet.performance("V1", start, now)["total_energy_consumed_ac"]
            return found

        ac, dc = 2.0 * count, pytest.approx(1.8 * count)
        expected = {
            **{f"meter_{resolution}": ac for resolution in ("15min", "hourly", "daily")},
            **{f"vehicle_{resolution}": dc for resolution in ("15min", "hourly", "daily")},
            "fleet": ac,
            "performance": ac,
        }
        assert answers() == expected
        for job in fleet.rows("SELECT job_id FROM ops.policy_job ORDER BY duty DESC"):  # refresh, drop, compress
            connection.execute(f"CALL run_job({job['job_id']})")
        assert answers() == expected
        assert fleet.value("SELECT count(*) FROM bi.stale_range") == 0
        held = "SELECT sum(readings) FROM {}"
        [table] = fleet.rows("SELECT telemetry.aggregate_table('meter_hourly')::text AS name")
        assert fleet.value(held.format(table["name"])) >= 2 * (count - 24)


@pytest.mark.parametrize("hours", [6, 30])
def test_a_late_reading_is_in_every_answer_at_once_and_in_the_aggregates_after_the_next_refresh(
    fleet: Fleet, hours: int
) -> None:
    name = f"late{hours}"
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - 40 * HOUR
    fleet.send("meter", f"M{name}", start, 5 * MINUTE, [0.5] * 480)
    fleet.send("vehicle", f"V{name}", start, 5 * MINUTE, [0.45] * 480)
    fleet.refresh()
    then = start + (40 - hours) * HOUR
    fleet.send("meter", f"M{name}", then - 30 * MINUTE, 31 * MINUTE, [7.0])  # a minute into the hour
    end = start + 40 * HOUR

    def of_hour(query: str, *values: Any) -> float:
        return float(fleet.value(query, *values))

    buckets = "SELECT kwh_consumed_ac FROM api.list_{}_buckets(%s, 'hourly', %s, %s{})"
    assert of_hour(buckets.format("meter", ", NULL, NULL, 10"), f"M{name}", then, then + HOUR) == 13
    assert of_hour(buckets.format("vehicle_efficiency", ", NULL"), f"V{name}", then, then + HOUR) == 13
    assert fleet.performance(f"V{name}", start, end)["total_energy_consumed_ac"] == 247
    aggregate = "SELECT kwh_consumed_ac FROM bi.meter_hourly WHERE meter_id = %s AND bucket = %s"
    assert of_hour(aggregate, f"M{name}", then) == 6  # and declared stale
    stale = "SELECT count(*) FROM bi.stale_range WHERE aggregate = %s AND range_start <= %s AND range_end > %s"
    for resolution in ("15min", "hourly", "daily"):
        assert fleet.value(stale, f"bi.meter_{resolution}", then, then) == 1
    # its buckets, and no more
    due = "SELECT * FROM telemetry.due_times('meter_15min') WHERE due_start < telemetry.held_until('meter_15min')"
    assert fleet.rows(due) == [{"due_start": then, "due_end": then + 15 * MINUTE}]
    fleet.refresh()
    assert of_hour(aggregate, f"M{name}", then) == 13
    assert fleet.value("SELECT count(*) FROM bi.stale_range") == 0


def test_a_meter_of_15_minutes_beside_a_vehicle_of_one_minute_makes_whole_hours(fleet: Fleet, refreshed: bool) -> None:
    name = f"quarters{refreshed}"
    fleet.send("meter", f"M{name}", TEN, 15 * MINUTE, [5.5] * 4)
    fleet.send("vehicle", f"V{name}", TEN, MINUTE, [0.33] * 60)
    if refreshed:
        fleet.refresh()
    expected = [(TEN, 0.9, "normal")]
    assert fleet.shows(f"V{name}", expected)
    assert fleet.route(f"V{name}", "hourly", TEN, TEN + 2 * HOUR) == expected
    assert fleet.shows(f"V{name}", [(TODAY - 2 * DAY, 0.9, "normal")], "daily")
    quarters = [(TEN + n * 15 * MINUTE, 0.9, "normal") for n in range(4)]
    assert fleet.route(f"V{name}", "15min", TEN, TEN + HOUR) == quarters
    for begin in (TEN, TEN + 30 * MINUTE, TEN + 45 * MINUTE):
        found = fleet.performance(f"V{name}", begin, TEN + HOUR)
        assert (found["efficiency_ratio"], found["efficiency_status"]) == (0.9, "normal")
    # five minutes say nothing where one side tells of fifteen
    found = fleet.performance(f"V{name}", TEN + 55 * MINUTE, TEN + HOUR)
    assert (found["efficiency_ratio"], found["efficiency_status"]) == (None, "unknown")


@pytest.mark.parametrize("kind", ["meter", "vehicle"])
def test_48_half_hours_make_a_day_and_the_first_and_last_lie_in_it(fleet: Fleet, kind: str, refreshed: bool) -> None:
    device = f"{'M' if kind == 'meter' else 'V'}half{refreshed}"
    fleet.send(kind, device, TODAY - 3 * DAY, 30 * MINUTE, [1.0] * 48)
    if refreshed:
        fleet.refresh()
    energy = {"meter": "kwh_consumed_ac", "vehicle": "kwh_delivered_dc"}[kind]
    span = "count(*) AS count, sum({}) AS kwh, min(bucket) AS first, max(bucket) AS last"
    for resolution, buckets in (("15min", 48), ("hourly", 24), ("daily", 1)) if refreshed else ():
        query = f"SELECT {span.format(energy)} FROM bi.{kind}_{resolution} WHERE {kind}_id = %s"
        count, kwh, first, last = fleet.row(query, device).values()
        assert (count, kwh) == (buckets, 48)
        assert first >= TODAY - 3 * DAY
        assert last < TODAY - 2 * DAY
    day = (TODAY - 3 * DAY, TODAY - 2 * DAY)
    [row] = fleet.rows(f"SELECT * FROM api.list_{kind}_buckets(%s, 'daily', %s, %s, NULL, NULL, 10)", device, *day)
    assert (row["bucket"], row[energy]) == (day[0], 48)
    readings = f"SELECT recorded_at FROM api.list_{kind}_readings(%s, %s, %s, NULL, NULL, 100)"
    times = [row["recorded_at"] for row in fleet.rows(readings, device, *day)]
    assert times == [day[0] + (n + 1) * 30 * MINUTE for n in range(48)]  # the device's own
    status = f"SELECT recorded_at FROM api.get_{kind}_status(%s)"
    assert fleet.value(status, device) == day[1]


def test_a_bucket_shorter_than_the_interval_of_either_device_is_unknown(fleet: Fleet, refreshed: bool) -> None:
    name = f"hour{refreshed}"
    fleet.send("meter", f"M{name}", TEN, MINUTE, [0.1] * 240)
    fleet.send("vehicle", f"V{name}", TEN, 30 * MINUTE, [2.7] * 8)
    if refreshed:
        fleet.refresh()
    quarters = fleet.route(f"V{name}", "15min", TEN, TEN + 4 * HOUR)
    assert {(ratio, status) for _, ratio, status in quarters} == {(None, "unknown")}
    assert fleet.shows(f"V{name}", [(TEN + n * HOUR, 0.9, "normal") for n in range(4)])
    # said in the profile, it is as said; and silence says more than the profile of a device that is slower
    fleet.connection.execute(
        "SELECT api.set_device_profile('vehicle', %s, p_expected_interval_s => 7200)", [f"V{name}"]
    )
    assert fleet.shows(f"V{name}", [(TEN + n * HOUR, None, "unknown") for n in range(4)])
    assert fleet.shows(f"V{name}", [(TODAY - 2 * DAY, 0.9, "normal")], "daily")


def test_a_parked_vehicle_is_idle_on_every_surface_and_in_no_list_of_faults(fleet: Fleet, refreshed: bool) -> None:
    parked, leaking, charging = (f"{name}{refreshed}" for name in ("parked", "leaking", "charging"))
    for name, ac, dc in ((parked, 0.0005, 0.0), (leaking, 0.02, 0.0), (charging, 0.1, 0.07)):
        fleet.send("meter", f"M{name}", TEN, MINUTE, [ac] * 60)
        fleet.send("vehicle", f"V{name}", TEN, MINUTE, [dc] * 60)
    if refreshed:
        fleet.refresh()
    window = (TEN, TEN + HOUR)
    for name, ratio, status in ((parked, None, "idle"), (leaking, 0.0, "low"), (charging, 0.7, "low")):
        found = fleet.performance(f"V{name}", *window)
        assert (found["efficiency_ratio"], found["efficiency_status"]) == (ratio, status)
        assert fleet.shows(f"V{name}", [(TEN, ratio, status)])
        assert fleet.route(f"V{name}", "hourly", *window) == [(TEN, ratio, status)]
    listed = fleet.rows(
        "SELECT vehicle_id FROM api.list_vehicle_efficiency(%s, %s, NULL, 0.85, NULL, NULL, 100)", *window
    )
    found = [row["vehicle_id"] for row in listed if str(refreshed) in row["vehicle_id"]]
    assert found == [f"Vleaking{refreshed}", f"Vcharging{refreshed}"]
    summary = fleet.row("SELECT * FROM api.get_fleet_summary(%s, %s, NULL)", *window)
    assert summary["vehicles_idle"] >= 1
    day = fleet.row("SELECT * FROM bi.fleet_efficiency_daily WHERE bucket = %s", TODAY - 2 * DAY)
    assert day["vehicles_idle"] == fleet.value(
        "SELECT count(*) FROM bi.vehicle_efficiency_daily WHERE bucket = %s AND efficiency_status = 'idle'",
        TODAY - 2 * DAY,
    )
    # what a charger draws in standby is the DBA's to say
    fleet.connection.execute("SELECT ops.set_standby_kw(2)")
    assert fleet.performance(f"V{leaking}", *window)["efficiency_status"] == "idle"
    fleet.connection.execute("SELECT ops.set_standby_kw(0)")
    assert fleet.performance(f"V{parked}", *window)["efficiency_status"] == "low"
    fleet.connection.execute("SELECT ops.set_standby_kw(0.05)")


@pytest.mark.parametrize(
    ("ac", "dc", "ratio", "status"),
    [
        (0.0, 1.0, None, "impossible"),
        (1.0, 0.84996, 0.85, "normal"),
        (1.0, 0.84994, 0.8499, "low"),
        (1.0, 1.00004, 1.0, "normal"),
        (1.0, 1.00006, 1.0001, "impossible"),
        (0.0, 0.0, None, "idle"),
        (0.06, 0.0, 0.0, "low"),
        (0.05, 0.0, None, "idle"),
    ],
)
def test_an_hour_is_judged_by_the_ratio_that_is_shown(
    fleet: Fleet, ac: float, dc: float, ratio: float | None, status: str
) -> None:
    found = fleet.row(
        "SELECT telemetry.efficiency_ratio(v.ac, v.dc, t, i, 0.05) AS ratio, "
        "telemetry.efficiency_status(v.ac, v.dc, t, i, 0.05) AS status "
        "FROM (VALUES (%s::float8, %s::float8, INTERVAL '1 hour', INTERVAL '1 minute')) AS v (ac, dc, t, i)",
        ac,
        dc,
    )
    assert found == {"ratio": ratio, "status": status}


def test_bucket_labels_are_whole_and_prune_chunks(fleet: Fleet) -> None:
    fleet.send("meter", "Mprune", TODAY - 60 * DAY, 12 * HOUR, [1.0] * 100)
    fleet.refresh()
    odd = "SELECT count(*) FROM bi.meter_15min WHERE extract(EPOCH FROM bucket)::numeric %% 900 <> 0"
    assert fleet.value(odd.replace("%%", "%")) == 0
    chunks = fleet.value("SELECT count(*) FROM show_chunks(telemetry.aggregate_table('meter_15min'))")
    assert chunks > 5
    plan = fleet.rows(f"EXPLAIN SELECT * FROM bi.meter_15min WHERE bucket = '{TODAY - 59 * DAY:%Y-%m-%d}Z'")
    opened = re.findall(
        r" on (?:_timescaledb_internal\.)?(_hyper_\w+_chunk)", "\n".join(row["QUERY PLAN"] for row in plan)
    )
    [table] = fleet.rows("SELECT telemetry.aggregate_table('meter_15min')::regclass::text AS name")
    number = re.search(r"(\d+)", table["name"].split("hypertable")[1])
    assert number
    assert len({name for name in opened if name.startswith(f"_hyper_{number[1]}_")}) == 1


@pytest.mark.parametrize("session_zone", ["UTC", "Europe/Berlin", "America/New_York"])
def test_a_day_is_as_long_as_the_clock_of_the_fleet_says_whatever_that_of_the_session(
    fleet: Fleet, session_zone: str
) -> None:
    with fleet.connection.transaction(force_rollback=True):
        fleet.connection.execute("UPDATE telemetry.fleet SET time_zone = 'Europe/Berlin'")
        fleet.connection.execute(f"SET LOCAL TimeZone = '{session_zone}'")
        for midnight, hours in (("2026-03-28T23:00Z", 23), ("2026-03-29T22:00Z", 24), ("2026-10-24T22:00Z", 25)):
            start = datetime.fromisoformat(midnight)
            assert fleet.value("SELECT %s + telemetry.day_length(%s)", start, start) == start + hours * HOUR


def test_silence_is_five_intervals_as_observed_or_said_and_the_retired_are_not_counted(fleet: Fleet) -> None:
    now = datetime.now(UTC)
    fleet.send("meter", "Mslow", now - 100 * MINUTE, 15 * MINUTE, [1.0] * 4)  # the newest is 40 minutes old
    fleet.send("meter", "Mfast", now - 46 * MINUTE, MINUTE, [1.0] * 6)
    fleet.send("meter", "Mgone", now - 46 * MINUTE, MINUTE, [1.0] * 6)
    names = {"Mslow", "Mfast", "Mgone"}

    def silent_everywhere() -> set[str]:
        surfaces = [
            fleet.rows("SELECT device_id FROM ops.silent_device"),
            fleet.rows(
                "SELECT device_id FROM unnest((SELECT silent_devices FROM api.get_fleet_summary(NULL, NULL, NULL)))"
            ),
            fleet.rows(
                "SELECT s ->> 'deviceId' AS device_id "
                "FROM jsonb_array_elements((SELECT silent_devices FROM api.get_fleet_overview())) AS s"
            ),
        ]
        found = [{row["device_id"] for row in rows} & names for rows in surfaces]
        assert found[0] == found[1] == found[2]
        return found[0]

    assert silent_everywhere() == {"Mfast", "Mgone"}
    counted = "SELECT meters FROM api.get_fleet_pulse()"
    before = fleet.value(counted)
    fleet.connection.execute("SELECT api.set_device_profile('meter', 'Mgone', p_retired => TRUE)")
    assert silent_everywhere() == {"Mfast"}
    assert fleet.value(counted) == before - 1
    fleet.send("meter", "Mgone", now - MINUTE, MINUTE, [1.0])
    assert fleet.value(counted) == before
    fleet.connection.execute("SELECT api.set_device_profile('meter', 'Mslow', p_expected_interval_s => 60)")
    assert silent_everywhere() == {"Mfast", "Mslow"}
