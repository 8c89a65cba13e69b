"""The simulated fleet behaves as real ones do, and the same seed makes the same fleet."""

import itertools
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from service.commands.simulate.feed import LATE_BY, Faults, Item, break_reading, break_sensor, feed
from service.commands.simulate.fleet import DAY_S, KNEE_SOC, WARMING_K, Fleet, Measured

MIDNIGHT = 1_764_028_800
DAY = DAY_S // 60
NO_FAULTS = Faults(late=0, duplicates=0, out_of_order=0, broken=0, sensors=0)


def days(fleet: Fleet, vehicle: int, count: int = 1) -> list[Measured]:
    return [fleet.measure(vehicle, tick) for tick in range(count * DAY)]


def new_fleet(vehicles: int = 40, seed: int = 1, faulty: float = 0.3, interval: int = 60) -> Fleet:
    return Fleet(vehicles, seed, faulty=faulty, start=MIDNIGHT, interval=interval)


@pytest.mark.parametrize("seed", range(3))
def test_over_any_24_hours_faulty_chargers_are_below_85_percent_and_the_others_above(seed: int) -> None:
    fleet = new_fleet(seed=seed)
    found = set()
    for vehicle in range(fleet.vehicles):
        measured = days(fleet, vehicle, 3)
        consumed = list(itertools.accumulate((m.kwh_ac for m in measured), initial=0.0))
        delivered = list(itertools.accumulate((m.kwh_dc for m in measured), initial=0.0))
        assert delivered[-1] > 5
        for start in range(0, 2 * DAY, 30):
            ac, dc = consumed[start + DAY] - consumed[start], delivered[start + DAY] - delivered[start]
            if dc > 2:  # standby weighs more in a day that leaves a session out
                assert (dc / ac < 0.85) == fleet.is_faulty(vehicle), (vehicle, start, dc / ac)
                found.add(fleet.is_faulty(vehicle))
    assert found == {True, False}


def test_every_value_is_one_the_service_accepts_and_no_energy_comes_from_nowhere() -> None:
    fleet = new_fleet()
    for vehicle in range(fleet.vehicles):
        for measured in days(fleet, vehicle):
            assert 0 <= measured.soc <= 100
            assert 0 <= measured.kwh_dc < measured.kwh_ac
            assert 215 < measured.voltage < 245
            assert -5 < measured.battery_temp < 16 + 6 + WARMING_K + 1


def test_a_charge_is_at_constant_power_up_to_the_knee_and_fades_above_it() -> None:
    fleet = new_fleet(interval=60)
    seen = 0
    for vehicle in range(fleet.vehicles):
        measured = days(fleet, vehicle, 2)
        for one, two in itertools.pairwise(m for m in measured if m.kwh_dc > 0):
            if two.soc < one.soc:
                continue  # another session
            if two.soc < KNEE_SOC:
                assert two.kwh_dc == pytest.approx(one.kwh_dc)
            elif one.soc > KNEE_SOC + 1:
                seen += 1
                assert two.kwh_dc < one.kwh_dc
                # the loss is constant, so that efficiency falls with the power
                assert two.kwh_dc / two.kwh_ac < one.kwh_dc / one.kwh_ac
    assert seen > 1000


def test_the_battery_warms_with_the_power_and_lags_behind_it() -> None:
    fleet = new_fleet()
    for vehicle in range(10):
        measured = days(fleet, vehicle, 2)
        begins = [n for n in range(1, len(measured)) if measured[n].kwh_dc > 0 == measured[n - 1].kwh_dc]
        lasting = [n for n in begins if all(m.kwh_dc > 0 for m in measured[n : n + 60])]
        for n in lasting:
            at_once, later = (measured[n + minutes].battery_temp - measured[n].battery_temp for minutes in (2, 60))
            assert later > at_once + 1


def test_the_charge_falls_while_away_and_rises_while_charging() -> None:
    fleet = new_fleet()
    for vehicle in range(10):
        for one, two in itertools.pairwise(days(fleet, vehicle)):
            assert two.soc > one.soc if two.kwh_dc > 0 else two.soc <= one.soc


def items(seed: int = 1, faults: Faults = NO_FAULTS, minutes: int = 30, vehicles: int = 50) -> list[Item]:
    fleet = new_fleet(vehicles, seed)
    return list(feed(fleet, faults, prefix="T", end=MIDNIGHT + 60 * minutes))


def test_the_same_seed_is_the_same_fleet_and_another_is_not() -> None:
    assert items(3, Faults()) == items(3, Faults())
    assert items(3, Faults()) != items(4, Faults())


def test_the_load_is_even_and_each_device_keeps_its_second() -> None:
    found = items(minutes=10)
    assert len(found) == 2 * 50 * 10
    assert [item.due for item in found] == sorted(item.due for item in found)
    steps = {round(two.due - one.due, 6) for one, two in itertools.pairwise(found)}
    assert steps == {0.0, 1.2}
    for item in found:
        reading = json.loads(item.body)
        assert reading.get("meterId", f"MT{item.vehicle:06d}") == f"MT{item.vehicle:06d}"
        stamp = datetime.fromisoformat(reading["timestamp"])
        assert stamp.tzinfo == UTC
        assert 0 <= item.due - stamp.timestamp() < 1


def test_the_shares_of_faults_are_as_asked_and_nothing_is_left_out() -> None:
    faults = Faults(late=0.05, duplicates=0.1, out_of_order=0.1, broken=0.05, sensors=0)
    found, whole = items(faults=faults, minutes=120), items(minutes=120)
    total = len(whole)
    assert sum(item.is_broken for item in found) / total == pytest.approx(0.05, rel=0.15)
    good = [item.body for item in found if not item.is_broken]
    assert (len(good) - len(set(good))) / total == pytest.approx(0.1, rel=0.15)
    assert set(good) <= {item.body for item in whole}
    assert len(set(good)) + sum(item.is_broken for item in found) == total
    waits = [
        (item.due - datetime.fromisoformat(json.loads(item.body)["timestamp"]).timestamp()) / 60
        for item in found
        if not item.is_broken
    ]
    assert sum(1.4 < wait < 1.6 for wait in waits) / total == pytest.approx(0.1, rel=0.15)
    assert sum(LATE_BY[0] <= wait <= LATE_BY[1] for wait in waits) / total == pytest.approx(0.05, rel=0.4)
    assert [item.due for item in found] == sorted(item.due for item in found)


def test_what_is_held_back_at_the_end_does_not_come_all_at_once() -> None:
    found = items(faults=Faults(late=0.5, duplicates=0, out_of_order=0, broken=0, sensors=0), minutes=5)
    rest = [item.due for item in found if item.due >= MIDNIGHT + 300]
    assert len(rest) > 200
    assert max(rest) < MIDNIGHT + 302
    assert max(two - one for one, two in itertools.pairwise(rest)) == pytest.approx(2 / len(rest), abs=1e-6)


def test_the_share_of_faulty_sensors_is_as_asked_and_costs_no_energy() -> None:
    found, whole = items(faults=replace(NO_FAULTS, sensors=0.2), minutes=120), items(minutes=120)
    assert len(found) == len(whole)
    changed = [
        (one, json.loads(one.body), json.loads(all_.body))
        for one, all_ in zip(found, whole, strict=True)
        if one.body != all_.body
    ]
    assert len(changed) / len(whole) == pytest.approx(0.2, rel=0.1)
    assert sum(one.is_ignored for one in found) / len(changed) == pytest.approx(0.5, rel=0.15)
    for one, reading, measured in changed:
        assert {name: reading[name] for name in measured if "kwh" in name} == {
            name: measured[name] for name in measured if "kwh" in name
        }
        impossible = [reading.get(name) in {-127.0, 25400} for name in ("voltage", "batteryTemp", "soc")]
        assert any(impossible) == one.is_ignored


def test_no_way_to_break_a_reading_leaves_it_as_it_was() -> None:
    for item in items(minutes=1):
        for way in range(8):
            assert break_reading(item.body, way) != item.body


LIMITS = {"voltage": (0, 1500), "soc": (0, 100), "batteryTemp": (-60, 120)}


def is_rejected(body: bytes) -> bool:
    """True if the service rejects a reading of the fleet's form; judged without the service."""
    try:
        pairs = json.loads(body, object_pairs_hook=list)
        fields = dict(pairs)
        energies = [value for name, value in pairs if name.startswith("kwh")]
        time = datetime.fromisoformat(fields["timestamp"])
    except (ValueError, TypeError, KeyError):
        return True
    known = {"meterId", "vehicleId", "kwhConsumedAc", "kwhDeliveredDc", "timestamp", *LIMITS}
    is_valid = len(pairs) == len(fields) and fields.keys() <= known and time.tzinfo and time.year > 2000
    return not (is_valid and len(energies) == 1 and isinstance(energies[0], float) and energies[0] >= 0)


@pytest.mark.parametrize("measure", [-9.9, 0.0, 9.9, 99.9, 230.0])
def test_a_broken_reading_is_one_to_reject_and_a_broken_sensor_one_to_ignore_whatever_was_measured(
    measure: float,
) -> None:
    """Whatever was measured: a digit put before it may leave a value that is possible."""
    bodies = [
        b'{"meterId":"MZ","kwhConsumedAc":0.000000,"voltage":%.1f,"timestamp":"2026-02-08T18:00:00Z"}' % measure,
        b'{"vehicleId":"VZ","soc":%.2f,"kwhDeliveredDc":0.000000,"batteryTemp":%.1f,"timestamp":"2026-02-08T18:00:00Z"}'
        % (abs(measure), measure),
    ]
    for body in bodies:
        assert not is_rejected(body)
        assert [way for way in range(8) if not is_rejected(break_reading(body, way))] == []
        for way in range(4):
            broken, is_ignored = break_sensor(body, way)
            assert not is_rejected(broken)
            changed = {n: v for n, v in json.loads(broken).items() if n in LIMITS and v != json.loads(body)[n]}
            impossible = [n for n, v in changed.items() if v is not None and not LIMITS[n][0] <= v <= LIMITS[n][1]]
            assert bool(impossible) == is_ignored
