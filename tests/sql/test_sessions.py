"""Charging sessions: which readings make one, what becomes of its id, and that no energy is lost beside them."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest

from service.database.migrate import set_time_zone
from tests.oracle.records import METER, VEHICLE, Device, Profile, Reading
from tests.support import TestDatabase, run_migrated_database
from tests.support.energy_world import ENERGY, EnergyDatabase, latest_clock_change, run_energy_database

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
ZONE = "Europe/Berlin"
START = datetime.now(UTC).replace(hour=10, minute=0, second=0, microsecond=0) - 10 * DAY
NAMES = count()


@pytest.fixture(scope="module")
def energy_database(test_database: TestDatabase) -> Iterator[EnergyDatabase]:
    with run_energy_database(test_database, ZONE) as database:
        yield database


class Charger:
    """A vehicle with its default meter, of one fleet with others."""

    def __init__(self, database: EnergyDatabase) -> None:
        self.database = database
        name = next(NAMES)
        self.vehicle, self.meter = f"Vsession{name}", f"Msession{name}"

    def charge(self, *minutes: int, kwh: float = 0.1, start: datetime = START, **measures: float) -> None:
        """The vehicle's readings, so many minutes after the start."""
        readings = [Reading(VEHICLE, self.vehicle, start + n * MINUTE, kwh, **measures) for n in minutes]
        assert set(self.database.arrive(readings)) == {"stored"}

    def draw(self, *minutes: int, kwh: float = 0.125, start: datetime = START, meter: str | None = None) -> None:
        """The meter's readings, so many minutes after the start."""
        readings = [Reading(METER, meter or self.meter, start + n * MINUTE, kwh, voltage=230.0) for n in minutes]
        assert set(self.database.arrive(readings)) == {"stored"}

    def sessions(self) -> list[dict[str, Any]]:
        """The vehicle's sessions, in order of time."""
        query = "SELECT * FROM bi.charging_session WHERE vehicle_id = %s ORDER BY started_at"
        return self.database.rows(query, self.vehicle)

    def times(self) -> list[tuple[int, int]]:
        """The start and end of each session, in minutes."""
        return [((row["started_at"] - START) // MINUTE, (row["ended_at"] - START) // MINUTE) for row in self.sessions()]

    def ids(self) -> list[Any]:
        """The ids of the sessions, in order of time."""
        return [row["session_id"] for row in self.sessions()]


@pytest.fixture
def charger(energy_database: EnergyDatabase) -> Charger:
    return Charger(energy_database)


@pytest.mark.parametrize(
    ("minutes", "sessions"),
    [
        ([0], [(-1, 0)]),
        ([1, 2, 3], [(0, 3)]),
        ([1, 2, 18, 19], [(0, 19)]),  # from 2 to 17 is a gap of 15 minutes
        ([1, 2, 19, 20], [(0, 2), (18, 20)]),
        ([15, 30, 45], [(14, 45)]),  # an interval of a quarter hour; that of the first is not known yet
        ([30, 60, 90, 150, 180], [(29, 90), (120, 180)]),  # a reading is missing, for longer than a gap
        ([60, 120, 121], [(59, 121)]),
        ([1, 2, 90], [(0, 2), (89, 90)]),  # too far for an interval
    ],
)
def test_intervals_with_energy_make_a_session_while_the_gaps_are_short(
    charger: Charger, minutes: list[int], sessions: list[tuple[int, int]]
) -> None:
    charger.charge(*minutes)
    assert charger.times() == sessions
    charger.database.refresh()
    assert charger.times() == sessions


def test_an_id_stays_while_its_session_grows_is_joined_or_split(charger: Charger) -> None:
    charger.charge(*range(31, 41))
    [first] = charger.ids()
    charger.database.refresh()
    assert charger.ids() == [first]
    charger.charge(41, 42)
    assert charger.ids() == [first]
    charger.charge(29, 30)  # it begins earlier
    assert (charger.times(), charger.ids()) == ([(28, 42)], [first])
    charger.charge(61, 62)
    [_, second] = charger.ids()
    charger.database.refresh()
    assert charger.ids() == [first, second]
    charger.charge(50)  # joins both
    assert (charger.times(), charger.ids()) == ([(28, 62)], [first])
    charger.database.refresh()
    assert charger.ids() == [first]
    query = "DELETE FROM telemetry.vehicle_telemetry_history WHERE vehicle_id = %s AND counted_at BETWEEN %s AND %s"
    charger.database.connection.execute(query, [charger.vehicle, START + 35 * MINUTE, START + 55 * MINUTE])
    assert charger.times() == [(28, 35), (60, 62)]
    assert charger.ids()[0] == first
    charger.database.refresh()
    assert charger.times() == [(28, 35), (60, 62)]
    assert charger.ids()[0] == first
    assert len({*charger.ids()}) == 2


def test_a_second_session_that_begins_where_one_once_began_has_another_id(charger: Charger) -> None:
    charger.charge(*range(31, 41))
    charger.database.refresh()
    [first] = charger.ids()
    charger.charge(*range(1, 31))
    charger.database.refresh()
    assert charger.ids() == [first]
    query = "DELETE FROM telemetry.vehicle_telemetry_history WHERE vehicle_id = %s AND counted_at BETWEEN %s AND %s"
    charger.database.connection.execute(query, [charger.vehicle, START + 10 * MINUTE, START + 30 * MINUTE])
    assert charger.times() == [(0, 10), (30, 40)]
    assert charger.ids()[0] == first
    assert charger.ids()[1] != first


def test_measures_are_of_the_sessions_readings(charger: Charger) -> None:
    charger.charge(0, kwh=0, soc=20.0, battery_temp=99.0)
    for n, kwh in ((1, 0.5), (2, 0.25), (3, 0.0), (4, 0.25)):
        charger.charge(n, kwh=kwh, soc=20.0 + n, battery_temp=30.0 + n)
    charger.charge(5, kwh=0, soc=99.0, battery_temp=99.0)
    charger.draw(1, 2, 3, 4, 5, kwh=0.3)
    [session] = charger.sessions()
    assert {name: session[name] for name in ("soc_start", "soc_end", "battery_temp_avg", "battery_temp_max")} == {
        "soc_start": 20.0,
        "soc_end": 24.0,
        "battery_temp_avg": 32.5,
        "battery_temp_max": 34.0,
    }
    assert (session["started_at"], session["duration_s"]) == (START, 240)
    assert (session["kwh_delivered_dc"], session["mean_kw"], session["peak_kw"]) == (
        1.0,
        pytest.approx(15),
        pytest.approx(30),
    )
    assert (session["kwh_consumed_ac"], session["kwh_lost"]) == (pytest.approx(1.2), pytest.approx(0.2))
    assert (session["efficiency_ratio"], session["efficiency_status"]) == (0.8333, "low")
    assert (session["readings"], session["meter_readings"], session["is_complete"]) == (4, 4, True)


@pytest.mark.parametrize(
    ("begin", "end", "status"), [(15, 45, "normal"), (16, 46, "normal"), (7, 45, "unknown"), (15, 38, "unknown")]
)
def test_a_slower_meter_is_judged_over_whole_intervals_of_it(
    charger: Charger, begin: int, end: int, status: str
) -> None:
    charger.database.prepare({Device(METER, charger.meter): Profile(expected_interval=15 * MINUTE)}, [])
    charger.charge(*range(begin + 1, end + 1), kwh=0.1)
    charger.draw(15, 30, 45, 60, kwh=1.6)
    [session] = charger.sessions()
    assert session["efficiency_status"] == status
    assert (session["kwh_lost"] is None) == (status == "unknown")
    assert session["kwh_consumed_ac"] == 1.6 * len([n for n in (15, 30, 45) if begin < n <= end])


def test_without_a_meter_the_ac_side_is_unknown(charger: Charger) -> None:
    charger.charge(1, 2, 3)
    [session] = charger.sessions()
    assert [session[name] for name in ("meter_id", "kwh_consumed_ac", "kwh_lost", "efficiency_ratio")] == [None] * 4
    assert (session["efficiency_status"], session["is_complete"]) == ("unknown", False)


def test_the_ac_side_follows_the_links(charger: Charger) -> None:
    other = f"S{charger.meter}"
    charger.charge(*range(1, 11))
    charger.draw(*range(1, 11))
    charger.draw(*range(1, 11), kwh=1.0, meter=other)
    charger.database.refresh()
    assert [row["kwh_consumed_ac"] for row in charger.sessions()] == [1.25]
    assert charger.database.link(charger.vehicle, other, START + 6 * MINUTE)
    for _ in range(2):
        [session] = charger.sessions()
        assert (session["kwh_consumed_ac"], session["meter_id"]) == (6 * 0.125 + 4 * 1.0, charger.meter)
        charger.database.refresh()
    # the default meter of this vehicle feeds another one now
    assert charger.database.link(f"{charger.vehicle}x", charger.meter, START - HOUR)
    for _ in range(2):
        [session] = charger.sessions()
        assert (session["kwh_consumed_ac"], session["meter_id"]) == (4.0, other)
        charger.database.refresh()
    charger.database.connection.execute("SELECT api.unlink_vehicle(%s, %s)", [charger.vehicle, START])
    for _ in range(2):
        assert [row["kwh_consumed_ac"] for row in charger.sessions()] == [None]
        charger.database.refresh()


def test_a_new_meter_of_the_vehicles_own_id_takes_the_place_of_its_default_meter(charger: Charger) -> None:
    charger.charge(*range(1, 11))
    charger.draw(*range(1, 11))
    charger.database.refresh()
    charger.draw(1, start=START + 3 * DAY, meter=charger.vehicle)
    assert [row["kwh_consumed_ac"] for row in charger.sessions()] == [None]
    charger.database.refresh()
    assert [row["kwh_consumed_ac"] for row in charger.sessions()] == [None]


def test_an_exchanged_register_mends_sessions(charger: Charger) -> None:
    charger.database.prepare({Device(METER, charger.meter): Profile(energy_kind="register")}, [])
    charger.charge(*range(1, 5))
    readings = [
        Reading(METER, charger.meter, START + n * MINUTE, kwh, voltage=230.0)
        for n, kwh in enumerate([100.0, 100.125, 100.25, 7.125, 7.25])
    ]
    charger.database.arrive(readings)
    charger.database.refresh()
    query = "SELECT api.exchange_register('meter', %s, %s, 100.5, 7)"
    charger.database.connection.execute(query, [charger.meter, START + 2.5 * MINUTE])
    for _ in range(2):
        assert [row["kwh_consumed_ac"] for row in charger.sessions()] == [pytest.approx(0.75)]
        charger.database.refresh()


def test_sessions_and_standby_are_all_energy_across_midnights_links_and_changes_of_the_clock(
    energy_database: EnergyDatabase,
) -> None:
    charger = Charger(energy_database)
    evening = latest_clock_change(ZONE).replace(hour=20) + DAY
    other = f"S{charger.meter}"
    # charges over the local midnight and the change of the clock; the meter draws in standby as well
    charger.charge(*range(1, 601, 2), start=evening)
    charger.draw(*range(-600, 1200, 2), kwh=0.5, start=evening)
    charger.draw(*range(-600, 1200, 3), kwh=0.25, start=evening, meter=other)
    assert charger.database.link(charger.vehicle, other, evening + 3 * HOUR + 7 * MINUTE)
    for _ in range(2):
        [session] = charger.sessions()
        charger.database.refresh()
    days = charger.database.rows(
        "SELECT * FROM bi.vehicle_standby_daily WHERE vehicle_id = %s ORDER BY bucket", charger.vehicle
    )
    [whole] = charger.database.rows(
        "SELECT * FROM api.get_vehicle_performance(%s, %s, %s)", charger.vehicle, evening - DAY, evening + 2 * DAY
    )
    assert sum(day["kwh_consumed_ac"] for day in days) == pytest.approx(whole["total_energy_consumed_ac"])
    assert session["kwh_delivered_dc"] == pytest.approx(whole["total_energy_delivered_dc"])
    standby = sum(day["standby_kwh"] for day in days)
    assert standby + session["kwh_consumed_ac"] == pytest.approx(whole["total_energy_consumed_ac"])
    zone = ZoneInfo(ZONE)
    assert [day["bucket"].astimezone(zone).hour for day in days] == [0] * len(days)
    charged = [day["kwh_charged_ac"] for day in days if day["kwh_charged_ac"]]
    assert (len(charged), sum(charged)) == (2, pytest.approx(session["kwh_consumed_ac"]))
    assert all(day["standby_kwh"] > 0 for day in days)


def test_another_gap_holds_at_once_and_for_stored_sessions(charger: Charger) -> None:
    charger.charge(1, 2, 20, 21)
    charger.database.refresh()
    execute = charger.database.connection.execute
    try:
        execute("SELECT ops.set_session_gap('20 minutes')")
        for _ in range(2):
            assert charger.times() == [(0, 21)]
            charger.database.refresh()
        assert charger.database.rows("SELECT * FROM telemetry.stale_session") == []
    finally:
        execute("SELECT ops.set_session_gap('15 minutes')")
    assert charger.times() == [(0, 2), (19, 21)]
    for wrong in ("'59 seconds'", "'7 hours'", "NULL"):
        with pytest.raises(psycopg.errors.InvalidParameterValue, match="session_gap must be from 1 minute to 6 hours"):
            execute(f"SELECT ops.set_session_gap({wrong})")


def test_a_refresh_that_was_killed_before_its_sessions_were_computed_loses_nothing(charger: Charger) -> None:
    charger.charge(1, 2)
    charger.database.refresh()
    charger.charge(3)
    # as a killed run leaves it: the quarter hours are fresh, and only the note tells of the late reading
    charger.database.refresh_by_hand("vehicle_15min", START - DAY, START + DAY)
    charger.database.connection.execute("DELETE FROM telemetry.stale_session")
    note = "INSERT INTO telemetry.stale_session (kind, during) VALUES ('vehicle', tstzmultirange(tstzrange(%s, %s)))"
    charger.database.connection.execute(note, [START, START + 15 * MINUTE])
    assert charger.times() == [(0, 3)]
    charger.database.refresh(METER)  # the run of the other kind leaves the note alone
    assert len(charger.database.rows("SELECT * FROM telemetry.stale_session")) == 1
    charger.database.refresh(VEHICLE)
    assert charger.database.rows("SELECT * FROM telemetry.stale_session") == []
    stored = charger.database.rows("SELECT * FROM telemetry.charging_session WHERE vehicle_id = %s", charger.vehicle)
    assert [row["ended_at"] for row in stored] == [START + 3 * MINUTE]


def test_a_refresh_by_hand_is_noted_once_a_statement_and_sessions_follow_it(energy_database: EnergyDatabase) -> None:
    chargers = [Charger(energy_database) for _ in range(5)]
    for one in chargers:
        one.charge(*range(0, 180, 10))
    energy_database.refresh()
    for one in chargers:
        one.charge(5, 185)
    assert energy_database.rows("SELECT * FROM telemetry.stale_session") == []
    energy_database.refresh_by_hand("vehicle_15min", START - HOUR, START + 4 * HOUR)
    notes = energy_database.rows("SELECT during @> %s AS is_of_start FROM telemetry.stale_session", START)
    assert any(note["is_of_start"] for note in notes)
    # two of each time, and not one for each of 5 vehicles and 13 quarter hours
    assert len(notes) <= 4
    assert [one.times() for one in chargers] == [[(-1, 185)]] * 5
    energy_database.refresh()
    assert energy_database.rows("SELECT * FROM telemetry.stale_session") == []
    stored = energy_database.rows("SELECT * FROM telemetry.charging_session WHERE vehicle_id = %s", chargers[0].vehicle)
    assert [row["readings"] for row in stored] == [20]


def test_a_quarter_hour_that_lost_all_its_readings_is_noted_by_a_refresh_by_hand(charger: Charger) -> None:
    charger.charge(1, 2)
    charger.database.refresh()
    query = "DELETE FROM telemetry.vehicle_telemetry_history WHERE vehicle_id = %s"
    charger.database.connection.execute(query, [charger.vehicle])
    charger.database.refresh_by_hand("vehicle_15min", START - HOUR, START + HOUR)
    assert charger.times() == []
    charger.database.refresh()
    assert charger.database.rows("SELECT * FROM telemetry.stale_session") == []
    assert charger.times() == []


def test_after_a_refresh_that_failed_one_by_hand_in_the_same_session_is_noted(charger: Charger) -> None:
    charger.charge(1, 2)
    execute = charger.database.connection.execute
    # it fails within the refresh, and so cannot end as others do
    execute("ALTER FUNCTION telemetry.due_times (text) RENAME TO due_times_before")
    try:
        with pytest.raises(psycopg.errors.UndefinedFunction):
            charger.database.refresh(VEHICLE)
    finally:
        execute("ALTER FUNCTION telemetry.due_times_before (text) RENAME TO due_times")
    charger.database.refresh_by_hand("vehicle_15min", START - HOUR, START + HOUR)
    assert charger.database.rows("SELECT * FROM telemetry.stale_session") != []
    assert charger.times() == [(0, 2)]
    charger.database.refresh()
    assert charger.times() == [(0, 2)]


@pytest.mark.parametrize("order", [(1, 2, 3, 4), (4, 3, 2, 1), (3, 1, 4, 2)])
def test_sessions_of_dropped_history_stay_and_retention_waits_for_them(
    test_database: TestDatabase, order: tuple[int, ...]
) -> None:
    with run_energy_database(test_database) as database:
        charger = Charger(database)
        midnight = START.replace(hour=0) + DAY
        for n in order:
            charger.charge(n * 10, n * 10 + 1, start=midnight - 25 * MINUTE)
        charger.draw(*range(60), start=midnight - 25 * MINUTE)
        charger.database.refresh_by_hand("vehicle_15min", None, None)
        charger.database.refresh_by_hand("meter_15min", None, None)
        assert charger.database.drop_due(VEHICLE, midnight) == []  # no session has been stored yet
        charger.database.refresh()
        before = charger.sessions()
        assert [row["kwh_delivered_dc"] for row in before] == [pytest.approx(0.8)]
        for kind in ENERGY:
            assert len(charger.database.drop_due(kind, midnight)) == 1
            assert charger.sessions() == before
        charger.draw(100, start=midnight)
        charger.charge(5, start=midnight - HOUR)  # for dropped history
        charger.database.connection.execute("SELECT ops.recompute_sessions()")
        assert charger.sessions() == before
        charger.database.refresh()
        assert charger.sessions() == before
        charger.charge(20, start=midnight)  # after it, within a gap
        assert [row["kwh_delivered_dc"] for row in charger.sessions()] == [pytest.approx(0.8), pytest.approx(0.1)]


def test_another_time_zone_moves_the_days_of_sessions(test_database: TestDatabase) -> None:
    with run_migrated_database(test_database) as another:
        with psycopg.connect(another.url, autocommit=True) as connection:
            charger = Charger(EnergyDatabase(connection))
            charger.charge(*range(1, 121), start=START.replace(hour=17, minute=30))
            charger.draw(*range(1, 121), start=START.replace(hour=17, minute=30))
            charger.database.refresh()
            days = charger.database.rows("SELECT * FROM bi.vehicle_standby_daily")
            assert [(day["kwh_charged_ac"], day["standby_kwh"]) for day in days] == [(15.0, 0.0)]
        set_time_zone(another.url, "Asia/Kolkata")
        with psycopg.connect(another.url, autocommit=True) as connection:
            charger.database = EnergyDatabase(connection)
            days = charger.database.rows("SELECT * FROM bi.vehicle_standby_daily ORDER BY bucket")
            assert [(day["kwh_charged_ac"], day["standby_kwh"]) for day in days] == [(7.5, 0.0), (7.5, 0.0)]


def test_conditions_reach_the_index_of_stored_sessions(charger: Charger) -> None:
    charger.charge(1, 2)
    charger.database.refresh()
    charger.database.connection.execute("SET enable_seqscan = off")
    try:
        for condition, index in (
            (f"vehicle_id = '{charger.vehicle}'", "charging_session_pkey"),
            (f"started_at >= '{START}' AND started_at < '{START + DAY}'", "charging_session_started_at"),
        ):
            query = f"EXPLAIN (FORMAT JSON) SELECT * FROM bi.charging_session WHERE {condition}"
            [row] = charger.database.rows(query)
            conditions = {
                node.get("Index Name"): node.get("Index Cond") for node in nodes(row["QUERY PLAN"][0]["Plan"])
            }
            assert conditions.get(index), conditions
    finally:
        charger.database.connection.execute("RESET enable_seqscan")


def test_the_stale_sessions_of_one_vehicle_are_computed_with_its_share_of_the_fleet(charger: Charger) -> None:
    charger.charge(1, 2)
    charger.database.refresh()
    charger.charge(3)
    connection = charger.database.connection
    with connection.transaction(force_rollback=True):
        connection.execute("""
            INSERT INTO telemetry.vehicle_current_status (vehicle_id, recorded_at, soc, kwh_delivered_dc, received_at)
            SELECT 'Vshare' || n, now(), 50, 0, now() FROM generate_series(1, 1000) AS n
        """)
        [shares] = charger.database.rows("SELECT count(*) AS number FROM telemetry.list_shares()")
        assert shares["number"] >= 4
        for condition, calls in (("vehicle_id = %s", 1), ("vehicle_id >= %s", shares["number"])):
            query = f"EXPLAIN (ANALYZE, FORMAT JSON) SELECT * FROM bi.charging_session WHERE {condition}"
            [row] = charger.database.rows(query, charger.vehicle)
            loops = {
                node["Function Name"]: node["Actual Loops"]
                for node in nodes(row["QUERY PLAN"][0]["Plan"])
                if node.get("Function Name", "").startswith("share_")
            }
            assert loops.keys() == {"share_spans", "share_sessions"}
            assert {*loops.values()} == {calls}, loops
        assert charger.times() == [(0, 3)]


def test_a_window_has_the_sessions_that_begin_in_it_as_a_whole_while_all_is_stale(charger: Charger) -> None:
    charger.charge(*range(15, 30 * 60, 15))  # longer than a day
    charger.charge(*range(2000, 2060), *range(2100, 2130))
    names = ("session_id", "started_at", "ended_at", "kwh_delivered_dc")
    query = "SELECT * FROM telemetry.list_sessions(ARRAY[%s], %s, %s) ORDER BY started_at"
    for lengths in ([1771, 60, 30], [1771, 21, 19, 30]):
        sessions = [{name: session[name] for name in names} for session in charger.sessions()]
        assert [(row["ended_at"] - row["started_at"]) // MINUTE for row in sessions] == lengths
        for minutes in (*range(-30, 120, 15), 1700, 1770, *range(1990, 2140, 7)):
            start = START + minutes * MINUTE
            for length in (7 * MINUTE, 3 * HOUR, 3 * DAY):
                found = charger.database.rows(query, charger.vehicle, start, start + length)
                listed = [{name: row[name] for name in names} | {"session_id": str(row["session_id"])} for row in found]
                assert listed == [row for row in sessions if start <= row["started_at"] < start + length]
        # of a session that is split the first piece keeps the id, also where the window has only the second one
        charger.database.refresh()
        delete = (
            "DELETE FROM telemetry.vehicle_telemetry_history WHERE vehicle_id = %s AND counted_at BETWEEN %s AND %s"
        )
        times = (START + 2020 * MINUTE, START + 2040 * MINUTE)
        charger.database.connection.execute(delete, [charger.vehicle, *times])


def nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A plan's nodes."""
    yield plan
    for part in plan.get("Plans", []):
        yield from nodes(part)


def test_a_fade_of_the_battery_is_found(charger: Charger) -> None:
    """60 kWh in the first month, 54 in the second, soc in whole points. Short sessions do not count, nor do few."""
    month = (START.replace(day=1, hour=3) - 92 * DAY).replace(day=1)
    later = (month + 32 * DAY).replace(day=1)
    for begin, capacity, sessions in ((month, 60.0, 6), (later, 54.0, 5), ((later + 32 * DAY).replace(day=1), 54.0, 4)):
        for n in range(sessions):
            socs = [22.0 + n % 3 + 0.75 * minute for minute in range(61)]
            readings = [
                Reading(
                    VEHICLE,
                    charger.vehicle,
                    begin + n * DAY + minute * MINUTE,
                    capacity * 0.0075 if minute else 0.0,
                    soc=float(int(soc)),
                )
                for minute, soc in enumerate(socs)
            ]
            charger.database.arrive(readings)
    charger.charge(*range(1, 31), kwh=9.0, start=month + 20 * DAY, soc=50.0)
    rows = charger.database.rows(
        "SELECT * FROM bi.battery_health WHERE vehicle_id = %s ORDER BY bucket", charger.vehicle
    )
    assert [row["sessions"] for row in rows] == [6, 5, 4]
    assert rows[0]["capacity_kwh"] == pytest.approx(60, rel=0.02)
    assert rows[1]["capacity_ratio"] == pytest.approx(0.9, abs=0.02)
    assert (rows[2]["capacity_kwh"], rows[2]["capacity_ratio"]) == (None, None)
    assert [row["bucket"].astimezone(ZoneInfo(ZONE)).day for row in rows] == [1, 1, 1]
