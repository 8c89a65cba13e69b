"""The oracle against values worked out by hand."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from math import fsum, isclose

import pytest
from hypothesis import HealthCheck, given, settings

from tests.oracle.balance import FleetBalance, distribution, ratio_of, round_half_away, shown_ratio, status_of
from tests.oracle.buckets import Bucket
from tests.oracle.feeding import link_from
from tests.oracle.model import Device, Profile, Reading, World
from tests.oracle.records import Exchange, Link
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


def test_what_is_implausible_follows_the_time_since_the_reading_before_the_batch():
    # 30 kW: 1 kWh in a minute, 5 kWh in five
    world = fleet(profiles={Device("meter", "M1"): Profile(max_kw=30.0)})
    first = [metered("M1", "05-01T10:00", 1.0), metered("M1", "05-01T10:05", 5.0)]
    assert world.arrive(first) == ["stored", "implausible_energy"]
    assert world.arrive([metered("M1", "05-01T10:05", 5.0)]) == ["stored"]
    assert world.arrive([metered("M1", "05-01T10:06", 1.0)]) == ["stored"]
    # the observed interval, of five minutes or of one, locks nobody out
    assert world.arrive([metered("M1", "05-01T10:21", 15.5)]) == ["implausible_energy"]
    assert world.arrive([metered("M1", "05-01T10:21", 15.0)]) == ["stored"]


# Intervals


def test_an_interval_is_a_minute_until_it_is_observed_and_what_is_said_goes_first():
    said = Device("meter", "M2")
    world = fleet(profiles={said: Profile(expected_interval=timedelta(seconds=10))})
    unsaid = Device("meter", "M1")
    assert (world.interval(unsaid), world.observed(unsaid)) == (timedelta(minutes=1), None)
    for device in (unsaid, said):
        world.arrive([metered(device.device_id, "05-01T10:00", 1.0)])
        assert world.observed(device) is None
        world.arrive([metered(device.device_id, "05-01T10:15", 1.0)])
        assert world.observed(device) == timedelta(minutes=15)
    assert (world.interval(unsaid), world.interval(said)) == (timedelta(minutes=15), timedelta(seconds=10))


@pytest.mark.parametrize(
    ("batches", "minutes"),
    [
        pytest.param([["10:00", "10:05", "10:10"]], 5.0, id="a batch tells by its last two"),
        pytest.param([["10:10", "10:00"]], 10.0, id="whatever their order"),
        pytest.param([["10:00"], ["10:20", "10:15"]], 5.0, id="or by the gap before it, where that is shorter"),
        pytest.param([["10:00"], ["10:04"], ["11:00"]], 5.0, id="a gap lengthens it by a quarter"),
        pytest.param([["10:00"], ["11:00"], ["11:10"]], 10.0, id="a shorter one is believed at once"),
        pytest.param([["10:00"], ["10:10"], ["10:09"]], 10.0, id="a late reading says nothing"),
        pytest.param([["10:00"], ["10:10"], ["10:10"]], 10.0, id="nor does a duplicate"),
        pytest.param([["10:00", "10:00:10"]], 1.0, id="a minute at least"),
    ],
)
def test_an_interval_is_observed_in_the_order_of_arrival(batches: list[list[str]], minutes: float):
    world = fleet()
    for batch in batches:
        world.arrive([metered("M1", f"05-01T{time}", 1.0) for time in batch])
    assert world.observed(Device("meter", "M1")) == timedelta(minutes=minutes)


def test_a_device_is_silent_after_five_of_its_intervals():
    world = fleet()
    world.arrive([metered("M1", "05-01T10:00", 1.0), metered("M1", "05-01T10:15", 1.0)])
    limit = at("05-01T11:30")
    assert [world.is_silent(Device("meter", "M1"), now) for now in (limit, limit + MICROSECOND)] == [False, True]
    assert not world.is_silent(Device("meter", "M2"), limit)


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
        pytest.param([640.0, 575.0, 575.5], None, [0.0, 575.0, 0.5], id="less than nine tenths is a reset"),
        pytest.param([640.0, 0.0, 576.0, 641.0], None, [0.0, 0.0, 0.0, 1.0], id="nine tenths is the old level again"),
        pytest.param([1000.0, 0.0, 1000.25], None, [0.0, 0.0, 0.25], id="a zero at start-up is a glitch"),
        pytest.param([1000.0, 5.0, 5.0, 0.0, 1001.0], None, [0.0, 0.0, 0.0, 0.0, 1.0], id="several glitches"),
        pytest.param([1000.0, 5.0, 5.5, 1000.0], None, [0.0, 5.0, 0.5, 994.5], id="a rise decides for a reset"),
        pytest.param([1000.0, 5.0, 5.5], 999999.9, [0.0, 5.0, 0.5], id="far from the maximum it is a reset"),
        pytest.param([990.0, 101.0, 102.0], 1000.0, [0.0, 101.0, 1.0], id="far from zero it is a reset"),
        pytest.param([990.0, 0.0, 990.5], 1000.0, [0.0, 0.0, 0.5], id="nor is a glitch near the maximum a rollover"),
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


@pytest.mark.parametrize(
    ("events", "energies"),
    [
        pytest.param([4000.0, (4000.5, 25000.0), 25000.25], [0.0, 0.75], id="both registers count"),
        pytest.param([(4000.5, 25000.0), 25000.25, 25001.0], [0.25, 0.75], id="without a reading before"),
        pytest.param([4000.0, (4000.5, 25000.0)], [0.0], id="without a reading after"),
        pytest.param([10.0, (11.0, 5.0), (7.0, 0.0), 4.0], [0.0, 7.0], id="two between two readings"),
        pytest.param([990.0, (2.0, 0.0), 1.0], [0.0, 13.0], id="the old register rolled over"),
        pytest.param([100.0, 5.0, (101.0, 0.0), 1.0], [0.0, 0.0, 2.0], id="the old register shows a glitch"),
        pytest.param([100.0, (101.0, 50.0), 0.0, 51.0], [0.0, 1.0, 1.0], id="a glitch keeps the old register's energy"),
    ],
)
def test_a_replaced_register_counts_up_to_its_last_value_and_the_new_one_from_its_first(
    events: list[float | tuple[float, float]], energies: list[float]
):
    meter = Device("meter", "M1")
    world = fleet(profiles={meter: Profile("register", 1000.0 if 990.0 in events else None)})
    for number, event in reversed(list(enumerate(events))):
        moment = at("05-01T00:00") + timedelta(minutes=number)
        if isinstance(event, tuple):
            world.exchange(Exchange(meter, moment, *event))
        else:
            world.arrive([metered("M1", moment, event)])
    assert [row.energy for row in world.history("meter", "M1")] == energies


def test_the_status_is_the_latest_by_the_devices_clock_with_its_derived_energy():
    world = fleet(profiles={Device("vehicle", "V1"): Profile("register")})
    assert world.status("vehicle", "V1") is None
    world.arrive([driven("V1", "05-01T10:10", 120.0, soc=60.0), driven("V1", "05-01T10:00", 100.0, soc=55.0)])
    status = world.status("vehicle", "V1")
    assert status is not None
    assert (status.recorded_at, status.energy, status.register, status.soc) == (at("05-01T10:10"), 20.0, 120.0, 60.0)


# Aggregates


def test_buckets_of_a_meter_take_their_end_and_not_their_start():
    world = fleet()
    world.arrive(
        [
            metered("M1", "05-01T10:15", 1.0, 228.0),
            metered("M1", at("05-01T10:15") + MICROSECOND, 2.0, 230.0),
            metered("M1", "05-01T10:20", 4.0, 234.0),
            metered("M1", "05-01T11:15", 8.0, 240.0),
        ]
    )
    assert world.aggregate("meter", "15min") == {
        ("M1", at("05-01T10:00")): Bucket(1.0, 1, 228.0, 228.0, 228.0, 1),
        ("M1", at("05-01T10:15")): Bucket(6.0, 2, 230.0, 234.0, 464.0, 2),
        ("M1", at("05-01T11:00")): Bucket(8.0, 1, 240.0, 240.0, 240.0, 1),
    }
    assert world.aggregate("meter", "hourly")["M1", at("05-01T10:00")].readings == 3
    day = world.aggregate("meter", "daily")
    assert day == {("M1", at("05-01T00:00")): Bucket(15.0, 4, 228.0, 240.0, 932.0, 4)}
    assert day["M1", at("05-01T00:00")].columns("meter") == {
        "kwh": 15.0,
        "readings": 4,
        "voltage_min": 228.0,
        "voltage_avg": 233.0,
        "voltage_max": 240.0,
        "voltage_sum": 932.0,
        "voltage_readings": 4,
    }


def test_buckets_of_a_vehicle_tell_the_first_and_last_charge_by_its_clock():
    world = fleet()
    world.arrive([driven("V1", "05-01T10:40", 2.0, 62.0, -5.0), driven("V1", "05-01T10:05", 1.0, 60.0, 20.0)])
    world.arrive([driven("V1", "05-01T10:20", 0.5, 99.0, 30.0)])
    assert world.aggregate("vehicle", "hourly") == {
        ("V1", at("05-01T10:00")): Bucket(3.5, 3, -5.0, 30.0, 45.0, 3, 60.0, 62.0)
    }


def test_a_mean_is_taken_over_what_was_measured():
    world = fleet()
    blind = Reading("vehicle", "V1", at("05-01T10:01"), 1.0)
    world.arrive([blind, driven("V1", "05-01T10:02", 1.0, 60.0, 20.0), driven("V1", "05-01T10:03", 1.0, 61.0, 23.0)])
    world.arrive([Reading("vehicle", "V1", at("05-01T11:01"), 1.0)])
    hours = world.aggregate("vehicle", "hourly")
    assert hours["V1", at("05-01T10:00")] == Bucket(3.0, 3, 20.0, 23.0, 43.0, 2, 60.0, 61.0)
    assert hours["V1", at("05-01T10:00")].measure_avg == 21.5
    assert hours["V1", at("05-01T11:00")] == Bucket(1.0, 1, None, None, None, 0)
    assert world.performance("V1", at("05-01T11:00"), at("05-01T12:00")).battery_temp is None
    assert world.performance("V1", at("05-01T10:00"), at("05-01T12:00")).battery_temp == 21.5


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
    moments = [at(start), at(start) + MICROSECOND, at(end), at(end) + MICROSECOND]
    world.arrive([metered("M1", moment, 2.0**n) for n, moment in enumerate(moments)])
    days = world.aggregate("meter", "daily")
    assert [row.kwh for _, row in sorted(days.items())] == [1.0, 6.0, 8.0]
    assert days["M1", at(start)].kwh == 6.0
    assert days["M1", at(end)].kwh == 8.0


def test_hours_are_those_of_utc_whatever_the_time_zone():
    world = fleet(zone="Asia/Kolkata")
    world.arrive([metered("M1", "05-01T18:30", 1.0), metered("M1", "05-01T18:31", 2.0)])
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


def test_a_rejected_reading_does_not_make_a_default_meter():
    world = fleet(profiles={Device("meter", "M1"): Profile(max_kw=30.0)})
    world.arrive([metered("M1", "05-01T10:00", 2.0)])
    assert world.meter_of("V1", at("05-01T10:00")) is None


def test_a_link_goes_before_the_default_and_takes_the_meter_from_its_owner():
    change, back = at("05-01T10:07:00.5"), at("05-01T11:00")
    world = fleet(("V2", "M1", change, back), ("V2", "S1", back, None))
    world.arrive([metered("M1", "05-01T10:00", 1.0), metered("M2", "05-01T10:00", 1.0)])
    moments = (change, change + MICROSECOND, back, back + MICROSECOND)
    fed = [(world.meter_of("V1", t), world.meter_of("V2", t)) for t in moments]
    assert fed == [("M1", "M2"), (None, "M1"), (None, "M1"), ("M1", "S1")]
    # what a link begins with is the time after it
    assert [world.meter_after("V2", t) for t in moments] == ["M1", "M1", "S1", "S1"]
    assert world.performance("V2", at("05-01T09:00"), at("05-01T12:00")).meter_ids == {"M1", "M2", "S1"}
    assert world.performance("V2", at("05-01T09:00"), back).meter_ids == {"M1", "M2"}
    assert world.performance("V1", change, back).meter_ids == frozenset()


def test_a_link_with_an_end_replaces_what_was_said_of_its_time_and_nothing_else():
    nine, ten, eleven, noon = (at(f"05-01T{hour:02}:00") for hour in range(9, 13))
    world = fleet(("V1", "S1", None, None))
    assert world.link("V1", "S2", ten, eleven)
    moments = (nine, ten - MICROSECOND, ten, eleven - MICROSECOND, eleven, noon)
    assert [world.meter_after("V1", moment) for moment in moments] == ["S1", "S1", "S2", "S2", "S1", "S1"]
    assert not world.link("V2", "S2", nine, ten + MICROSECOND)
    assert not world.link("V2", "S2", eleven - MICROSECOND, noon)
    assert not world.link("V2", "S2", nine)
    assert world.link("V2", "S2", nine, ten)
    assert world.link("V2", "S2", eleven, noon)
    assert world.link("V2", "S1", ten, eleven)
    # over two, and up to where it ends only
    assert world.link("V1", "S3", ten + MICROSECOND, noon)
    moments = (ten, ten + MICROSECOND, eleven, noon - MICROSECOND, noon)
    assert [world.meter_after("V1", moment) for moment in moments] == ["S2", "S3", "S3", "S3", "S1"]


def test_links_of_one_meter_that_meet_are_one_link():
    ten, eleven, noon, one = (at(f"05-01T{hour}:00") for hour in range(10, 14))
    around = [Link("V1", "S1", ten, eleven), Link("V1", "S1", noon, one), Link("V2", "S2", None, None)]
    both = link_from(around, Link("V1", "S1", eleven, noon))
    assert both is not None
    assert set(both) == {Link("V1", "S1", ten, one), Link("V2", "S2", None, None)}
    assert link_from([Link("V1", "S1", None, None)], Link("V1", "S1", ten, eleven)) == [Link("V1", "S1", None, None)]


def test_a_link_goes_on_until_another_is_made_and_no_meter_feeds_two():
    ten, eleven, noon = at("05-01T10:00"), at("05-01T11:00"), at("05-01T12:00")
    world = fleet(("V1", "S1", None, None))
    assert world.link("V1", "S2", eleven)
    assert not world.link("V2", "S2", ten)
    assert not world.link("V2", "S2", noon)
    assert world.link("V2", "S1", eleven)
    assert not world.link("V2", "S1", ten)
    assert [world.meter_after(vehicle, ten) for vehicle in ("V1", "V2")] == ["S1", None]
    assert [world.meter_after(vehicle, eleven) for vehicle in ("V1", "V2")] == ["S2", "S1"]
    # what was said of the time after it holds no more
    assert world.link("V1", "S3", ten)
    assert [world.meter_after("V1", moment) for moment in (ten - MICROSECOND, ten, noon)] == ["S1", "S3", "S3"]
    assert world.vehicles() == {"V1", "V2"}


# Performance


def test_performance_counts_a_meters_rows_while_it_feeds_the_vehicle():
    change = at("05-01T10:07:00.5")
    world = fleet(("V1", "S1", change, None))
    world.arrive([metered("M1", "05-01T10:00", 100.0), metered("M1", "05-01T10:01", 1.0), metered("M1", change, 3.0)])
    world.arrive([metered("M1", change + MICROSECOND, 100.0)])
    world.arrive([metered("S1", change, 100.0), metered("S1", change + MICROSECOND, 2.0)])
    world.arrive([metered("S1", "05-01T11:00", 4.0), metered("S1", at("05-01T11:00") + MICROSECOND, 100.0)])
    world.arrive([driven("V1", "05-01T10:00", 100.0), driven("V1", "05-01T10:01", 4.0, temp=20.0)])
    world.arrive([driven("V1", "05-01T11:00", 5.0, temp=20.25), driven("V1", "05-01T11:01", 100.0)])
    told = world.performance("V1", at("05-01T10:00"), at("05-01T11:00"))
    assert (told.kwh_ac, told.kwh_dc, told.ratio, told.status) == (10.0, 9.0, 0.9, "normal")
    assert (told.meter_readings, told.vehicle_readings) == (4, 2)
    assert told.battery_temp == 20.13  # 20.125, away from zero
    assert told.meter_ids == {"M1", "S1"}


@pytest.mark.parametrize(
    ("meter", "vehicle", "hours", "status"),
    [(60, 60, 1, "normal"), (75, 60, 1, "normal"), (76, 1, 1, "unknown"), (1, 76, 1, "unknown"), (76, 76, 2, "normal")],
)
def test_a_window_is_judged_if_it_is_as_long_as_the_intervals_of_both(
    meter: int, vehicle: int, hours: int, status: str
):
    profiles = {
        Device("meter", "M1"): Profile(expected_interval=timedelta(minutes=meter)),
        Device("vehicle", "V1"): Profile(expected_interval=timedelta(minutes=vehicle)),
        # it feeds the vehicle, but has no reading in the window
        Device("meter", "S1"): Profile(expected_interval=timedelta(hours=12)),
    }
    start = at("05-01T10:00")
    end = start + timedelta(hours=hours)
    world = fleet(("V1", "S1", end - timedelta(minutes=1), None), profiles=profiles)
    world.arrive([metered("M1", "05-01T10:30", 10.0), driven("V1", "05-01T10:30", 9.0)])
    told = world.performance("V1", start, end)
    assert (told.kwh_ac, told.kwh_dc, told.status) == (10.0, 9.0, status)
    assert told.ratio == (0.9 if status == "normal" else None)


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
        (0.0, 0.0, None, "idle"),
        (0.1, 0.0, None, "idle"),
        (0.1001, 0.0, 0.0, "low"),
        (0.1, 0.001, 0.01, "low"),
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
    # 0.05 kW for two hours is 0.1 kWh
    two = timedelta(hours=2)
    assert status_of(kwh_ac, kwh_dc, length=two, interval=two) == status
    assert shown_ratio(kwh_ac, kwh_dc, status) == ratio
    if status not in ("unknown", "idle"):
        assert ratio_of(kwh_ac, kwh_dc) == ratio
    assert status_of(kwh_ac, kwh_dc, length=two, interval=two * 1.25 + MICROSECOND) == "unknown"


def test_ties_are_rounded_away_from_zero_on_both_sides():
    assert [round_half_away(Fraction(value), 2) for value in (0.125, -0.125, 0.375, -0.001)] == [0.13, -0.13, 0.38, 0.0]


# Efficiency


def test_a_bucket_belongs_whole_to_the_meter_at_its_start():
    world = fleet(("V1", "S1", at("05-01T10:07:00.5"), at("05-01T12:00")), ("V1", "S2", at("05-01T12:00"), None))
    world.arrive([metered("M1", "05-01T10:30", 4.0), metered("S1", "05-01T10:30", 5.0)])
    world.arrive([metered("S2", "05-01T12:00", 100.0), metered("S2", "05-01T13:00", 6.0)])
    world.arrive([driven("V1", "05-01T11:00", 3.0), driven("V1", "05-01T12:00", 2.0)])
    hours = world.efficiency("hourly")
    told = {b: (row.meter_id, row.kwh_ac, row.kwh_dc, row.ratio, row.status) for (_, b), row in hours.items()}
    assert told == {
        at("05-01T10:00"): ("M1", 4.0, 3.0, 0.75, "low"),
        at("05-01T11:00"): (None, None, 2.0, None, "unknown"),
        at("05-01T12:00"): ("S2", 6.0, None, None, "unknown"),
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
    hours = [at(start) + timedelta(hours=n + 1) for n in range(needed)]
    world.arrive([metered("M1", hour, 1.0) for hour in hours[missing == "meter" :]])
    world.arrive([driven("V1", hour, 1.0) for hour in hours[missing == "vehicle" :]])
    assert world.efficiency("daily")["V1", at(start)].is_complete == (missing == "none")


def test_an_interval_that_does_not_divide_the_bucket_is_counted_in_whole():
    sparse = Profile(expected_interval=timedelta(minutes=25))  # twice in an hour, so one is enough
    world = fleet(profiles={Device("meter", "M1"): sparse, Device("vehicle", "V1"): sparse})
    world.arrive([metered("M1", "05-01T10:30", 1.0), metered("M1", "05-01T11:30", 1.0)])
    world.arrive([driven("V1", "05-01T10:30", 1.0)])
    hours = [row for _, row in sorted(world.efficiency("hourly").items())]
    assert [row.is_complete for row in hours] == [True, False]
    assert [(row.meter_readings_expected, row.readings_share) for row in hours] == [(2, 0.5), (2, 0.0)]


def test_a_vehicle_without_a_meter_is_never_complete():
    world = fleet(profiles={Device("vehicle", "V1"): Profile(expected_interval=timedelta(hours=1))})
    world.arrive([driven("V1", "05-01T11:00", 1.0)])
    hour = world.efficiency("hourly")["V1", at("05-01T10:00")]
    assert (hour.meter_readings_expected, hour.vehicle_readings_expected, hour.is_complete) == (60, 1, False)


def test_the_fleets_day_sums_vehicles_that_are_judged_and_counts_all():
    world = fleet(("V5", "S1", None, None))
    day = "05-01T10:00"
    # the sixth is idle: 0.05 kW for 24 hours is 1.2 kWh
    drawn = ((1, 10.0), (2, 10.0), (3, 10.0), (6, 1.2))
    world.arrive([metered(f"M{n}", day, kwh) for n, kwh in drawn])
    world.arrive([metered("S1", day, 100.0)])
    charged = ((1, 9.0), (2, 8.0), (3, 12.0), (4, 100.0), (6, 0.0))
    world.arrive([driven(f"V{n}", day, kwh) for n, kwh in charged])
    expected = FleetBalance(30.0, 29.0, 0.9667, "normal", 6, 1, 1, 1, 1, 2)
    assert world.fleet_daily() == {at("05-01T00:00"): (expected, 0)}
    assert world.fleet(at("05-01T00:00"), at("05-02T00:00")) == expected
    ratios = [row.ratio for row in world.performances(at("05-01T00:00"), at("05-02T00:00")).values()]
    bands = distribution([ratio for ratio in ratios if ratio is not None])
    assert {band: vehicles for band, vehicles in enumerate(bands) if vehicles} == {16: 1, 18: 1, 20: 1}


def test_a_day_without_a_judged_vehicle_is_idle_where_one_is_else_unknown():
    world = fleet()
    world.arrive([driven("V1", "05-01T10:00", 1.0)])
    assert world.fleet_daily() == {at("05-01T00:00"): (FleetBalance(None, None, None, "unknown", 1, 0, 0, 0, 0, 1), 0)}
    world.arrive([metered("M2", "05-01T10:00", 1.2), driven("V2", "05-01T10:00", 0.0)])
    assert world.fleet_daily() == {at("05-01T00:00"): (FleetBalance(None, None, None, "idle", 2, 0, 0, 0, 1, 1), 0)}


def test_the_overview_is_made_of_hours_that_belong_to_the_meter_at_their_start():
    world = fleet(("V1", "S1", at("05-01T11:30"), None))
    world.arrive(
        [metered("M1", "05-01T11:00", 1.0), metered("M1", "05-01T12:00", 2.0), metered("M1", "05-01T12:01", 9.0)]
    )
    world.arrive(
        [metered("S1", "05-01T11:45", 9.0), metered("S1", "05-01T12:20", 4.0), metered("S1", "05-01T12:21", 9.0)]
    )
    world.arrive([driven("V1", "05-01T12:20", 7.0), driven("V1", "05-01T12:21", 9.0)])
    vehicles, hours = world.overview(at("05-01T10:00"), at("05-01T12:20"))
    assert [(row.kwh_ac, row.kwh_dc, row.ratio) for row in vehicles.values()] == [(7.0, 7.0, 1.0)]
    assert hours == {at("05-01T10:00"): (1.0, None), at("05-01T11:00"): (2.0, None), at("05-01T12:00"): (4.0, 7.0)}
    assert world.energy("meter", at("05-01T11:00"), at("05-01T12:20")) == 2.0 + 9.0 + 9.0 + 4.0


# Retention


def test_what_was_taken_up_is_left_of_dropped_history_and_nothing_late_is_added():
    midnight = at("05-02T00:00")
    world = fleet()
    world.arrive([metered("M1", "05-01T23:50", 1.0), metered("M1", midnight, 2.0), metered("M1", "05-02T00:05", 4.0)])
    world.take_up("meter", midnight - timedelta(minutes=15), midnight)
    world.arrive([metered("M1", "05-01T23:55", 100.0), metered("M1", "05-01T10:00", 100.0)])
    world.drop("meter", at("05-01T00:00"), midnight)
    assert [row.energy for row in world.history("meter", "M1")] == [4.0]
    assert world.arrive([metered("M1", "05-01T23:51", 100.0)]) == ["stored"]
    world.take_up("meter")
    assert {bucket: row.kwh for (_, bucket), row in world.aggregate("meter", "hourly").items()} == {
        at("05-01T23:00"): 3.0,
        midnight: 4.0,
    }
    total = world.total("meter", "M1", at("05-01T23:00"), at("05-02T00:05"))
    assert total is not None
    assert (total.kwh, total.readings) == (7.0, 3)
    # of a part of a quarter hour there is only what the history has
    part = world.total("meter", "M1", at("05-01T23:46"), at("05-02T00:05"))
    assert part is not None
    assert (part.kwh, part.readings) == (104.0, 2)


def test_a_register_goes_on_after_its_history_is_dropped():
    world = fleet(profiles={Device("meter", "M1"): Profile("register")})
    world.arrive([metered("M1", "05-01T10:00", 100.0), metered("M1", "05-02T10:00", 110.0)])
    world.drop("meter", at("05-01T00:00"), at("05-02T00:00"))
    assert [row.energy for row in world.history("meter", "M1")] == [10.0]


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
    assert all(len({reading.kind for reading in batch}) == 1 for batch in scenario.batches)
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
    for kind in ("meter", "vehicle"):
        energy = fsum(row.energy for (of, _), history in rows.items() if of == kind for row in history)
        for resolution in ("15min", "hourly", "daily"):
            buckets = world.aggregate(kind, resolution).values()
            assert isclose(fsum(bucket.kwh for bucket in buckets), energy, abs_tol=1e-9)
            assert sum(bucket.readings for bucket in buckets) == sum(
                len(h) for (of, _), h in rows.items() if of == kind
            )
    for vehicle, start, end in everything(scenario):
        charged = rows.get(("vehicle", vehicle), [])
        assert world.performance(vehicle, start, end).vehicle_readings == len(charged)
    days = world.efficiency("daily")
    assert sum(fleet.vehicles for fleet, _ in world.fleet_daily().values()) == len(days)
