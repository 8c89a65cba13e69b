"""The oracle against values worked out by hand."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from math import fsum, isclose

import pytest
from hypothesis import HealthCheck, given, settings

from tests.oracle.balance import FleetDay, ratio_of, round_half_away, status_of
from tests.oracle.buckets import MeterBucket, VehicleBucket
from tests.oracle.model import Device, Profile, Reading, World
from tests.oracle.strategies import Scenario, overlap, scenarios

MICROSECOND = timedelta(microseconds=1)


def at(text: str) -> datetime:
    """A moment of 2026 in UTC, such as 03-29T01:00."""
    return datetime.fromisoformat(f"2026-{text}").replace(tzinfo=UTC)


def metered(device_id: str, moment: str | datetime, kwh: float, voltage: float = 230.0) -> Reading:
    moment = at(moment) if isinstance(moment, str) else moment
    return Reading("meter", device_id, moment, kwh, voltage=voltage)


def driven(device_id: str, moment: str | datetime, kwh: float, soc: float = 50.0, temp: float = 20.0) -> Reading:
    moment = at(moment) if isinstance(moment, str) else moment
    return Reading("vehicle", device_id, moment, kwh, soc=soc, battery_temp=temp)


def fleet(*links: tuple, zone: str = "UTC", profiles: dict | None = None) -> World:
    return World(zone, profiles or {}, links)


def told_of(registers: list[float], register_max: float | None = None) -> list[float]:
    """The energies of a meter's register at one value a minute."""
    world = fleet(profiles={Device("meter", "M1"): Profile("register", register_max)})
    world.arrive([metered("M1", at("05-01T00:00") + timedelta(minutes=n), kwh) for n, kwh in enumerate(registers)])
    assert [row.register for row in world.history("meter", "M1")] == registers
    return [row.energy for row in world.history("meter", "M1")]


# What becomes of a reading


def test_a_key_sent_again_is_a_duplicate_or_a_conflict_and_the_first_is_kept():
    world = fleet()
    first, other = metered("M1", "05-01T10:00", 1.0), metered("M1", "05-01T10:00", 2.0)
    assert world.arrive([first, first, other]) == ["stored", "duplicate", "conflict"]
    assert world.arrive([metered("M1", "05-01T10:00", 1.0, voltage=231.0)]) == ["conflict"]
    assert [(row.energy, row.voltage) for row in world.history("meter", "M1")] == [(1.0, 230.0)]


def test_the_same_id_in_the_other_stream_is_another_device():
    world = fleet()
    assert world.arrive([metered("A", "05-01T10:00", 1.0)]) == ["stored"]
    assert world.arrive([driven("A", "05-01T10:00", 1.0)]) == ["stored"]


def test_more_than_twice_what_fits_into_the_interval_is_implausible():
    # 2 * 30 kW * 60 s = 1 kWh
    world = fleet(profiles={Device("meter", "M1"): Profile(max_kw=30.0)})
    too_much = metered("M1", "05-01T10:00", 1.0009765625)
    limit = metered("M1", "05-01T10:00", 1.0)
    outcomes = world.arrive([too_much, too_much, limit, too_much])
    assert outcomes == ["implausible_energy", "implausible_energy", "stored", "conflict"]
    # The vehicle of that id has no profile, so anything goes.
    assert world.arrive([driven("M1", "05-01T10:00", 1000.0)]) == ["stored"]


# Energy


@pytest.mark.parametrize(
    ("registers", "register_max", "energies"),
    [
        pytest.param([500.0, 500.5, 500.5, 503.0], None, [0.0, 0.5, 0.0, 2.5], id="grows and stands"),
        pytest.param([500.0, 4.0, 6.0], None, [0.0, 4.0, 2.0], id="a reset starts from zero"),
        pytest.param([990.0, 4.0, 6.0], 1000.0, [0.0, 14.0, 2.0], id="a rollover counts what led to the maximum"),
        pytest.param([1000.0, 0.0], 1000.0, [0.0, 0.0], id="a rollover at the maximum itself"),
        pytest.param([1000.5, 4.0], 1000.0, [0.0, 4.0], id="beyond the maximum it can only be a reset"),
        pytest.param([640.0, 576.0, 640.0], None, [0.0, 0.0, 0.0], id="nine tenths is a dip"),
        pytest.param([640.0, 575.5, 576.0], None, [0.0, 575.5, 0.5], id="less than nine tenths is a reset"),
        pytest.param([100.0, 95.0, 92.0, 99.0, 101.0], None, [0.0, 0.0, 0.0, 0.0, 1.0], id="dips keep the baseline"),
        pytest.param([100.0, 95.0, 86.0], None, [0.0, 0.0, 86.0], id="a fall after a dip is from the baseline"),
        pytest.param([0.0, 0.0, 3.0], None, [0.0, 0.0, 3.0], id="starts at zero"),
    ],
)
def test_a_register_is_told_apart_into_energies(
    registers: list[float], register_max: float | None, energies: list[float]
):
    assert told_of(registers, register_max) == energies


def test_energies_of_a_register_do_not_depend_on_the_order_of_arrival():
    world = fleet(profiles={Device("vehicle", "V1"): Profile("register")})
    world.arrive([driven("V1", "05-01T10:10", 120.0), driven("V1", "05-01T10:00", 100.0)])
    world.arrive([driven("V1", "05-01T10:05", 115.0)])
    assert [(row.recorded_at, row.energy) for row in world.history("vehicle", "V1")] == [
        (at("05-01T10:00"), 0.0),
        (at("05-01T10:05"), 15.0),
        (at("05-01T10:10"), 5.0),
    ]


def test_the_status_is_the_latest_by_the_devices_clock_with_its_derived_energy():
    world = fleet(profiles={Device("vehicle", "V1"): Profile("register")})
    assert world.status("vehicle", "V1") is None
    world.arrive([driven("V1", "05-01T10:10", 120.0, soc=60.0), driven("V1", "05-01T10:00", 100.0, soc=55.0)])
    status = world.status("vehicle", "V1")
    assert status is not None
    assert (status.recorded_at, status.energy, status.register, status.soc) == (at("05-01T10:10"), 20.0, 120.0, 60.0)


# Aggregates


def test_buckets_of_a_meter_take_their_start_and_not_their_end():
    world = fleet()
    world.arrive(
        [
            metered("M1", at("05-01T10:15") - MICROSECOND, 1.0, 228.0),
            metered("M1", "05-01T10:15", 2.0, 230.0),
            metered("M1", "05-01T10:20", 4.0, 234.0),
            metered("M1", "05-01T11:00", 8.0, 240.0),
        ]
    )
    assert world.aggregate("meter", "15min") == {
        ("M1", at("05-01T10:00")): MeterBucket(1.0, 1, 228.0, 228.0, 228.0),
        ("M1", at("05-01T10:15")): MeterBucket(6.0, 2, 230.0, 232.0, 234.0),
        ("M1", at("05-01T11:00")): MeterBucket(8.0, 1, 240.0, 240.0, 240.0),
    }
    assert world.aggregate("meter", "hourly")["M1", at("05-01T10:00")].readings == 3
    assert world.aggregate("meter", "daily") == {("M1", at("05-01T00:00")): MeterBucket(15.0, 4, 228.0, 233.0, 240.0)}


def test_buckets_of_a_vehicle_tell_the_first_and_last_charge_by_its_clock():
    world = fleet()
    world.arrive([driven("V1", "05-01T10:40", 2.0, 62.0, -5.0), driven("V1", "05-01T10:05", 1.0, 60.0, 20.0)])
    world.arrive([driven("V1", "05-01T10:20", 0.5, 99.0, 30.0)])
    assert world.aggregate("vehicle", "hourly") == {
        ("V1", at("05-01T10:00")): VehicleBucket(3.5, 3, -5.0, 15.0, 30.0, 60.0, 62.0)
    }


@pytest.mark.parametrize(
    ("zone", "start", "end"),
    [
        pytest.param("Europe/Berlin", "03-28T23:00", "03-29T22:00", id="Berlin, 23 hours"),
        pytest.param("Europe/Berlin", "10-24T22:00", "10-25T23:00", id="Berlin, 25 hours"),
        pytest.param("America/New_York", "03-08T05:00", "03-09T04:00", id="New York, 23 hours"),
        pytest.param("America/New_York", "11-01T04:00", "11-02T05:00", id="New York, 25 hours"),
        pytest.param("Asia/Kolkata", "05-01T18:30", "05-02T18:30", id="Kolkata, 24 hours"),
        pytest.param("America/Havana", "11-01T04:00", "11-02T05:00", id="Havana, from the first of two midnights"),
        pytest.param("America/Havana", "03-08T05:00", "03-09T04:00", id="Havana, a day without a midnight"),
    ],
)
def test_a_day_is_the_local_day(zone: str, start: str, end: str):
    world = fleet(zone=zone)
    moments = [at(start) - MICROSECOND, at(start), at(end) - MICROSECOND, at(end)]
    world.arrive([metered("M1", moment, 2.0**n) for n, moment in enumerate(moments)])
    days = world.aggregate("meter", "daily")
    assert [row.kwh for _, row in sorted(days.items())] == [1.0, 6.0, 8.0]
    assert days["M1", at(start)].kwh == 6.0
    assert days["M1", at(end)].kwh == 8.0


def test_hours_are_those_of_utc_whatever_the_time_zone():
    world = fleet(zone="Asia/Kolkata")
    world.arrive([metered("M1", "05-01T18:29", 1.0), metered("M1", "05-01T18:31", 2.0)])
    assert world.aggregate("meter", "hourly")["M1", at("05-01T18:00")].kwh == 3.0
    assert len(world.aggregate("meter", "daily")) == 2


# Which meter feeds a vehicle


def test_a_vehicle_is_fed_by_the_meter_of_its_id_or_of_its_number_once_that_has_sent():
    world = fleet()
    noon = at("05-01T12:00")
    assert world.meter_of("V1", noon) is None
    world.arrive([metered("M1", "05-01T10:00", 1.0)])
    assert world.meter_of("V1", noon) == "M1"
    assert world.meter_of("X1", noon) is None
    world.arrive([metered("V1", "05-01T10:00", 1.0), metered("X1", "05-01T10:00", 1.0)])
    assert world.meter_of("V1", noon) == "V1"
    assert world.meter_of("X1", noon) == "X1"


def test_a_refused_reading_does_not_make_a_default_meter():
    world = fleet(profiles={Device("meter", "M1"): Profile(max_kw=30.0)})
    world.arrive([metered("M1", "05-01T10:00", 2.0)])
    assert world.meter_of("V1", at("05-01T10:00")) is None


def test_a_link_goes_before_the_default_and_takes_the_meter_from_its_owner():
    change, back = at("05-01T10:07:00.5"), at("05-01T11:00")
    world = fleet(("V2", "M1", change, back), ("V2", "S1", back, None))
    world.arrive([metered("M1", "05-01T10:00", 1.0), metered("M2", "05-01T10:00", 1.0)])
    fed = [(world.meter_of("V1", t), world.meter_of("V2", t)) for t in (change - MICROSECOND, change, back)]
    assert fed == [("M1", "M2"), (None, "M1"), ("M1", "S1")]
    assert world.performance("V2", at("05-01T09:00"), at("05-01T12:00")).meter_ids == {"M1", "M2", "S1"}
    assert world.performance("V2", at("05-01T09:00"), back).meter_ids == {"M1", "M2"}
    assert world.performance("V1", change, back).meter_ids == frozenset()


# Performance


def test_performance_counts_a_meters_rows_while_it_feeds_the_vehicle():
    change = at("05-01T10:07:00.5")
    world = fleet(("V1", "S1", change, None))
    world.arrive([metered("M1", "05-01T10:00", 1.0), metered("M1", change - MICROSECOND, 3.0)])
    world.arrive([metered("M1", change, 100.0)])
    world.arrive([metered("S1", change - MICROSECOND, 100.0), metered("S1", change, 6.0)])
    world.arrive([metered("S1", "05-01T11:00", 100.0)])
    world.arrive([driven("V1", "05-01T10:00", 4.0, temp=20.0), driven("V1", "05-01T10:30", 5.0, temp=20.25)])
    world.arrive([driven("V1", "05-01T11:00", 100.0)])
    told = world.performance("V1", at("05-01T10:00"), at("05-01T11:00"))
    assert (told.kwh_ac, told.kwh_dc, told.ratio, told.status) == (10.0, 9.0, 0.9, "normal")
    assert (told.meter_readings, told.vehicle_readings) == (3, 2)
    assert told.battery_temp == 20.13  # 20.125, away from zero
    assert told.meter_ids == {"M1", "S1"}


def test_performance_without_rows_knows_nothing():
    world = fleet()
    world.arrive([metered("M1", "05-01T10:00", 1.0)])
    told = world.performance("V1", at("05-02T00:00"), at("05-03T00:00"))
    assert (told.kwh_ac, told.kwh_dc, told.ratio, told.status) == (None, None, None, "unknown")
    assert (told.meter_readings, told.vehicle_readings, told.battery_temp) == (0, 0, None)
    assert told.meter_ids == {"M1"}


@pytest.mark.parametrize(
    ("kwh_ac", "kwh_dc", "ratio", "status"),
    [
        (None, 1.0, None, "unknown"),
        (1.0, None, None, "unknown"),
        (0.0, 0.0, None, "unknown"),
        (0.0, 1.0, None, "impossible"),
        (1.0, 0.0, 0.0, "low"),
        (1e-7, 0.2, None, "impossible"),
        (1.0, 1e6, 1e6, "impossible"),
        (1000.0, 1000.0625, 1.0001, "impossible"),
        (1000.0, 1000.03125, 1.0, "normal"),
        (1000.0, 849.9375, 0.8499, "low"),
        (1000.0, 849.96875, 0.85, "normal"),
        (32.0, 1.0, 0.0313, "low"),
    ],
)
def test_status_follows_the_ratio_as_it_is_shown(
    kwh_ac: float | None, kwh_dc: float | None, ratio: float | None, status: str
):
    assert (ratio_of(kwh_ac, kwh_dc), status_of(kwh_ac, kwh_dc)) == (ratio, status)


def test_ties_are_rounded_away_from_zero_on_both_sides():
    assert [round_half_away(Fraction(value), 2) for value in (0.125, -0.125, 0.375, -0.001)] == [0.13, -0.13, 0.38, 0.0]


# Efficiency


def test_a_bucket_belongs_whole_to_the_meter_at_its_start():
    world = fleet(("V1", "S1", at("05-01T10:07:00.5"), None))
    world.arrive(
        [metered("M1", "05-01T10:30", 4.0), metered("S1", "05-01T10:30", 5.0), metered("S1", "05-01T12:00", 6.0)]
    )
    world.arrive([driven("V1", "05-01T10:45", 3.0), driven("V1", "05-01T11:00", 2.0)])
    hours = world.efficiency("hourly")
    assert {bucket: (row.kwh_ac, row.kwh_dc, row.ratio, row.status) for (_, bucket), row in hours.items()} == {
        at("05-01T10:00"): (4.0, 3.0, 0.75, "low"),
        at("05-01T11:00"): (None, 2.0, None, "unknown"),
        at("05-01T12:00"): (6.0, None, None, "unknown"),
    }
    assert [(row.meter_readings, row.vehicle_readings) for _, row in sorted(hours.items())] == [(1, 1), (0, 1), (1, 0)]
    day = world.efficiency("daily")["V1", at("05-01T00:00")]
    assert (day.meter_id, day.kwh_ac, day.kwh_dc, day.status) == ("M1", 4.0, 5.0, "impossible")


@pytest.mark.parametrize(
    ("zone", "start", "needed"),
    [
        ("Europe/Berlin", "03-28T23:00", 22),
        ("Europe/Berlin", "10-24T22:00", 24),
        ("America/New_York", "03-08T05:00", 22),
        ("America/New_York", "11-01T04:00", 24),
        ("Asia/Kolkata", "05-01T18:30", 23),
    ],
)
@pytest.mark.parametrize("missing", ["none", "meter", "vehicle"])
def test_a_day_is_complete_when_both_miss_at_most_one_of_its_readings(zone: str, start: str, needed: int, missing: str):
    hourly = Profile(expected_interval=timedelta(hours=1))
    world = fleet(zone=zone, profiles={Device("meter", "M1"): hourly, Device("vehicle", "V1"): hourly})
    hours = [at(start) + timedelta(hours=n) for n in range(needed)]
    world.arrive([metered("M1", hour, 1.0) for hour in hours[missing == "meter" :]])
    world.arrive([driven("V1", hour, 1.0) for hour in hours[missing == "vehicle" :]])
    assert world.efficiency("daily")["V1", at(start)].is_complete == (missing == "none")


def test_an_interval_that_does_not_divide_the_bucket_is_counted_in_whole():
    sparse = Profile(expected_interval=timedelta(minutes=25))  # twice in an hour, so one is enough
    world = fleet(profiles={Device("meter", "M1"): sparse, Device("vehicle", "V1"): sparse})
    world.arrive([metered("M1", "05-01T10:00", 1.0), metered("M1", "05-01T11:00", 1.0)])
    world.arrive([driven("V1", "05-01T10:00", 1.0)])
    hours = world.efficiency("hourly")
    assert [row.is_complete for _, row in sorted(hours.items())] == [True, False]


def test_a_vehicle_without_a_meter_is_never_complete():
    world = fleet(profiles={Device("vehicle", "V1"): Profile(expected_interval=timedelta(hours=1))})
    world.arrive([driven("V1", "05-01T10:00", 1.0)])
    assert not world.efficiency("hourly")["V1", at("05-01T10:00")].is_complete


def test_the_fleets_day_sums_vehicles_with_both_energies_and_counts_all():
    world = fleet(("V5", "S1", None, None))
    day = "05-01T10:00"
    world.arrive([metered(f"M{n}", day, kwh) for n, kwh in ((1, 10.0), (2, 10.0), (3, 10.0))])
    world.arrive([metered("S1", day, 100.0)])
    world.arrive([driven(f"V{n}", day, kwh) for n, kwh in ((1, 9.0), (2, 8.0), (3, 12.0), (4, 100.0))])
    assert world.fleet_daily() == {at("05-01T00:00"): FleetDay(30.0, 29.0, 0.9667, "normal", 5, 1, 1, 1, 2)}


def test_a_day_without_any_pair_of_energies_is_unknown():
    world = fleet()
    world.arrive([driven("V1", "05-01T10:00", 1.0)])
    assert world.fleet_daily() == {at("05-01T00:00"): FleetDay(None, None, None, "unknown", 1, 0, 0, 0, 1)}


# The scenarios

BASE = at("10-24T09:03:17")


def everything(scenario: Scenario) -> list[tuple[str, datetime, datetime]]:
    """The windows of the scenario that nothing lies outside of, one for every vehicle at least."""
    return [(v, start, end) for v, start, end in scenario.windows if start < BASE and end > BASE + timedelta(days=4)]


@settings(max_examples=40, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(scenarios("p", BASE))
def test_scenarios_are_sound_and_the_oracle_neither_loses_nor_invents_energy(scenario: Scenario):
    readings = [reading for batch in scenario.batches for reading in batch]
    assert len(readings) <= 120
    assert all(len({reading.stream for reading in batch}) == 1 for batch in scenario.batches)
    assert all(BASE <= reading.recorded_at < BASE + timedelta(days=4) for reading in readings)
    assert all(start < end for _, start, end in scenario.windows)
    for n, link in enumerate(scenario.links):
        assert not any(
            overlap(link, other)
            for other in scenario.links[:n]
            if link.vehicle_id == other.vehicle_id or link.meter_id == other.meter_id
        )
    world = World(scenario.time_zone, scenario.profiles, scenario.links)
    outcomes = [outcome for batch in scenario.batches for outcome in world.arrive(batch)]
    rows = {(s, d): world.history(s, d) for s in ("meter", "vehicle") for d in world.devices(s)}
    assert outcomes.count("stored") == sum(map(len, rows.values()))
    for stream in ("meter", "vehicle"):
        energy = fsum(row.energy for (of, _), history in rows.items() if of == stream for row in history)
        for resolution in ("15min", "hourly", "daily"):
            assert isclose(fsum(b.kwh for b in world.aggregate(stream, resolution).values()), energy, abs_tol=1e-9)
    for vehicle, start, end in everything(scenario):
        charged = rows.get(("vehicle", vehicle), [])
        assert world.performance(vehicle, start, end).vehicle_readings == len(charged)
    days = world.efficiency("daily")
    assert sum(day.vehicles for day in world.fleet_daily().values()) == len(days)
