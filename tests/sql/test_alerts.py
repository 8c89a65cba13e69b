"""Alerts: each kind of rule opens one alert, closes it, and leaves the neighbours alone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from tests.support import TestDatabase, run_migrated_database
from tests.support.alerts import HOUR, MINUTE, QUARTER, SETTLED, START, AlertFleet, Phase, alert_fleet

HOURLY = {"window_length": HOUR, "open_after": QUARTER, "close_after": QUARTER, "least": 1}
QUARTERLY = {**HOURLY, "window_length": QUARTER}
GOOD = Phase(3)
IDLE = {"ac": 0.0005, "dc": 0.0}

KINDS: dict[str, tuple[dict[str, Any], tuple[Phase, ...], list[tuple[str, float, float, float]]]] = {
    # a window of an hour is 0.84 with a quarter hour of 0.5 in it
    "efficiency_low": (HOURLY, (GOOD, Phase(2, dc=0.05), GOOD), [("VX", 3.5, 5.75, 6.25)]),
    # 1.0125 with a quarter hour of 1.2, 1.075 with two
    "efficiency_impossible": (HOURLY, (GOOD, Phase(2, dc=0.12), GOOD), [("VX", 3.75, 5.5, 6.0)]),
    # the first hour without any DC ends at 4
    "standby_high": (HOURLY, (GOOD, Phase(2, ac=0.05, dc=0), Phase(3, ac=0.001, dc=0)), [("VX", 4.25, 5.75, 6.25)]),
    "battery_hot": (QUARTERLY, (GOOD, Phase(2, degrees=60), GOOD), [("VX", 3.5, 5.0, 5.5)]),
    "voltage_outside": (QUARTERLY, (GOOD, Phase(2, volts=200), GOOD), [("MX", 3.5, 5.0, 5.5)]),
    # 52 of 60 with a quarter hour of every other reading in it
    "data_incomplete": (
        HOURLY,
        (GOOD, Phase(2, every=2 * MINUTE), GOOD),
        [("MX", 3.5, 5.75, 6.25), ("VX", 3.5, 5.75, 6.25)],
    ),
}
HOURS = 8


@pytest.fixture(scope="module")
def database(test_database: TestDatabase) -> Iterator[TestDatabase]:
    with run_migrated_database(test_database) as another:
        yield another


@pytest.fixture
def fleet(database: TestDatabase) -> Iterator[AlertFleet]:
    with alert_fleet(database) as fleet:
        yield fleet


def drive_with_neighbours(fleet: AlertFleet, kind: str) -> None:
    """X has the fault. The others have none, or one that cannot be judged."""
    good, fault, after = KINDS[kind][1]
    for name in ("X", "GOOD", "IDLE", "SLOW", "GAPS", "RETIRED"):
        for device in ("meter", "vehicle"):
            fleet.declare(device, f"{device[0].upper()}{name}", 7200 if name == "SLOW" else 60)
    fleet.drive("X", good, fault, after)
    fleet.drive("GOOD", Phase(HOURS))
    fleet.drive("IDLE", Phase(HOURS, **IDLE))
    fleet.drive("RETIRED", good, fault, after)
    for device in ("meter", "vehicle"):
        fleet.declare(device, f"{device[0].upper()}RETIRED", retired=True)
    if kind != "data_incomplete":
        fault_of_few = Phase(**{**vars(fault), "every": 5 * MINUTE})
        fleet.drive("GAPS", good, fault_of_few, after)
        fleet.drive("SLOW", Phase(4), Phase(**{**vars(fault), "hours": 4, "every": 2 * HOUR}))


@pytest.mark.parametrize("way", [AlertFleet.evaluate_live, AlertFleet.evaluate_late], ids=["live", "late"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_opens_one_alert_that_closes_and_no_neighbour_has_one(
    fleet: AlertFleet, kind: str, way: Callable[[AlertFleet, float], None]
) -> None:
    settings, _, expected = KINDS[kind]
    fleet.only(kind, **settings)
    drive_with_neighbours(fleet, kind)
    way(fleet, HOURS)
    assert fleet.times() == expected
    assert {a["close_reason"] for a in fleet.alerts()} == {"recovered"}
    assert fleet.alerts() == fleet.alerts(disproved=True)


@pytest.mark.parametrize("kind", KINDS)
def test_an_alert_stays_open_while_the_fault_lasts_and_tells_it_in_words(fleet: AlertFleet, kind: str) -> None:
    settings, (good, fault, _), [(device, opened, _, _), *_] = KINDS[kind]
    fleet.only(kind, **settings)
    for side in ("meter", "vehicle"):
        fleet.declare(side, f"{side[0].upper()}X")
    fleet.drive("X", good, fault)
    fleet.evaluate_live(5)
    fleet.evaluate(START + 5 * HOUR + SETTLED)
    alert = fleet.alerts()[0]
    assert (alert["device_id"], alert["opened_at"], alert["last_seen_at"], alert["closed_at"]) == (
        device,
        opened,
        5,
        None,
    )
    words = {
        "efficiency_low": "efficiency 0.5 is below 0.85: of 6 kWh AC, 3 kWh DC were delivered in 1 h",
        "efficiency_impossible": "efficiency is above 1.02: of 6 kWh AC, 7.2 kWh DC were delivered in 1 h",
        "standby_high": "3 kW AC on average, above 0.5 kW, without any DC in 1 h",
        "battery_hot": "battery temperature 60.0 degrees Celsius, the mean of 15 min, is above 50",
        "voltage_outside": "voltage 200.0 V, the mean of 15 min, is outside 207 to 253 V",
        "data_incomplete": "30 of 60 expected readings arrived in 1 h, less than 90 %",
    }
    assert alert["reason"] == words[kind]


EVERY, LOSES_THIRD, LOSES_3_OF_10 = "1", "011", "0001111111"
"""The readings that arrive of a device, again and again."""
UNDECLARED: dict[str, tuple[tuple[tuple[int, str], ...], bool]] = {
    # seconds between two readings, and those that arrive, for 8 hours in all; whether it is a fault
    "complete": (((60, EVERY),), False),
    "more often": (((600, EVERY), (60, EVERY)), False),
    "less often": (((60, EVERY), (1200, EVERY)), False),
    "more often while it charges": (((1200, EVERY), (60, EVERY), (1200, EVERY)), False),
    "a reading more each hour": (((60, "".join("01"[n % 10 == 9 or n == 12] for n in range(60))),), False),
    "a third is lost": (((60, LOSES_THIRD),), True),
    "3 of 10 are lost": (((60, LOSES_3_OF_10),), True),
    "3 of 10 are lost here and there": (((60, "11011110010110111101110101101111001111011110"),), True),
    "3 of 10 are lost of few": (((600, LOSES_3_OF_10),), True),
    "more often, and then 3 of 10 are lost": (((600, EVERY), (60, LOSES_3_OF_10)), True),
    "away for a third of each hour": (((60, "0" * 20 + "1" * 40),), True),
}


@pytest.mark.parametrize(
    ("case", "is_live"),
    [*((case, False) for case in UNDECLARED), ("more often", True), ("more often, and then 3 of 10 are lost", True)],
)
def test_a_device_without_a_declared_interval_is_incomplete_if_it_loses_readings_not_if_its_interval_changes(
    fleet: AlertFleet, case: str, *, is_live: bool
) -> None:
    phases, is_fault = UNDECLARED[case]
    length = 8 * HOUR / len(phases)
    times = [
        START + place * length + (number + 1) * timedelta(seconds=seconds)
        for place, (seconds, arrives) in enumerate(phases)
        for number in range(int(length.total_seconds()) // seconds)
        if arrives[number % len(arrives)] == "1"
    ]
    fleet.only("data_incomplete", window_length=3 * HOUR)
    fleet.run("UPDATE telemetry.fleet SET alerts_judged_until = %s", START if is_live else START + 8 * HOUR)
    for first in [START + n * QUARTER for n in range(32)] if is_live else [START]:
        until = first + QUARTER if is_live else START + 8 * HOUR
        fleet.send_at("meter", "MX", [time for time in times if first < time <= until], 0.1, 230.0)
        fleet.run("DELETE FROM telemetry.alert_recheck WHERE %s", is_live)
        fleet.evaluate(until + SETTLED)
    assert [device for device, *_ in fleet.times(disproved=True)] == ["MX"] * is_fault


def test_the_energy_lost_is_what_is_missing_for_the_ratio_of_the_threshold(fleet: AlertFleet) -> None:
    fleet.only("efficiency_low", **HOURLY)
    fleet.drive("X", *KINDS["efficiency_low"][1])
    fleet.evaluate_live(HOURS)
    # from 2.5 h, where the window that opened it begins, to 5.75 h: 2 h of the fault, 1.25 h without
    ac, dc = 3.25 * 60 * 0.1, 60 * (2 * 0.05 + 1.25 * 0.095)
    assert fleet.alerts()[0]["energy_lost_kwh"] == pytest.approx(0.85 * ac - dc)


def test_a_meter_exchange_of_links_is_followed(fleet: AlertFleet) -> None:
    """From 2 h on, the vehicle charges at another meter; its old one goes on for another vehicle."""
    fleet.only("efficiency_low", **HOURLY)
    fleet.drive("X", Phase(6))
    fleet.drive("Y", Phase(6, ac=0.19), kinds="meter")
    fleet.run("SELECT api.link_vehicle('VX', 'MY', %s)", START + 2 * HOUR)
    fleet.evaluate_late(6)
    # 45 min at 0.95 and 15 at 0.5: 0.776
    assert fleet.times() == [("VX", 2.5, 6, None)]
    fleet.run("SELECT api.unlink_vehicle('VX', %s)", START + 2 * HOUR)
    fleet.evaluate(START + 6 * HOUR + SETTLED)
    assert fleet.times() == []
    [alert] = fleet.alerts(disproved=True)
    assert (alert["close_reason"], alert["energy_lost_kwh"]) == ("disproved by later data", 0)


def test_late_readings_close_what_they_disprove(fleet: AlertFleet) -> None:
    fleet.only("battery_hot", **QUARTERLY)
    fleet.declare("vehicle", "VX")
    fleet.drive("X", GOOD, Phase(2, degrees=60, every=2 * MINUTE), kinds="vehicle")
    # of each quarter hour 7 or 8 of 15 readings: half of them every half hour
    fleet.send("vehicle", "VX", START + 3 * HOUR + MINUTE, START + 5 * HOUR, 15 * MINUTE, 0.09, 60.0)
    fleet.evaluate_late(5)
    assert fleet.times() == [("VX", 3.5, 5, None)]
    fleet.send("vehicle", "VX", START + 3 * HOUR + MINUTE, START + 5 * HOUR, 2 * MINUTE, 0.09, 20.0)
    fleet.evaluate(START + 5 * HOUR + SETTLED)
    assert fleet.times() == []
    [alert] = fleet.alerts(disproved=True)
    assert (alert["closed_at"], alert["close_reason"]) == (5, "disproved by later data")


def test_late_readings_of_a_fault_that_is_over_make_a_closed_alert(fleet: AlertFleet) -> None:
    fleet.only("battery_hot", **QUARTERLY)
    fleet.drive("X", GOOD, kinds="vehicle")
    fleet.send("vehicle", "VX", START + 5 * HOUR + MINUTE, START + 8 * HOUR, MINUTE, 0.09, 30.0)
    fleet.evaluate_late(HOURS)
    assert fleet.times() == []
    fleet.send("vehicle", "VX", START + 3 * HOUR + MINUTE, START + 5 * HOUR, MINUTE, 0.09, 60.0)
    fleet.evaluate(START + HOURS * HOUR + SETTLED)
    assert fleet.times() == [("VX", 3.5, 5, 5.5)]


def test_late_readings_of_a_meter_judge_its_vehicle_again(fleet: AlertFleet) -> None:
    fleet.only("efficiency_low", **HOURLY)
    fleet.drive("X", Phase(3, dc=0.05), GOOD, kinds="vehicle")
    fleet.evaluate_late(6)
    assert fleet.times() == []
    fleet.drive("X", Phase(6), kinds="meter")
    fleet.evaluate(START + 6 * HOUR + SETTLED)
    assert fleet.times() == [("VX", 1.25, 3.75, 4.25)]


@pytest.mark.parametrize(("seconds", "expected"), [(900, [("VX", 0.25, 4, None)]), (7200, [])])
def test_a_window_shorter_than_the_interval_of_the_device_is_not_judged(
    fleet: AlertFleet, seconds: float, expected: list[tuple[str, float, float, float | None]]
) -> None:
    fleet.only("battery_hot", **{**QUARTERLY, "open_after": timedelta(0)})
    fleet.declare("vehicle", "VX", seconds)
    fleet.drive("X", Phase(4, degrees=60, every=timedelta(seconds=seconds)), kinds="vehicle")
    fleet.evaluate_late(4)
    assert fleet.times() == expected


def test_late_readings_move_an_alert_that_keeps_its_number_and_acknowledgement(fleet: AlertFleet) -> None:
    fleet.only("battery_hot", **QUARTERLY)
    fleet.drive("X", GOOD, kinds="vehicle")
    fleet.send("vehicle", "VX", START + 4 * HOUR + MINUTE, START + 5 * HOUR, MINUTE, 0.09, 60.0)
    fleet.evaluate_late(5)
    [before] = fleet.alerts()
    assert (before["opened_at"], before["closed_at"]) == (4.5, None)
    fleet.run("SELECT api.acknowledge_alert(%s, 'anna', 'on my way')", before["id"])
    fleet.send("vehicle", "VX", START + 3 * HOUR + MINUTE, START + 4 * HOUR, MINUTE, 0.09, 60.0)
    fleet.evaluate(START + 5 * HOUR + SETTLED)
    [after] = fleet.alerts()
    assert (after["id"], after["opened_at"], after["acknowledged_by"]) == (before["id"], 3.5, "anna")


def test_a_silent_device_has_one_alert_until_it_reports_again(fleet: AlertFleet) -> None:
    fleet.only("device_silent")
    fleet.declare("meter", "MX")
    fleet.drive("X", Phase(1), kinds="meter")
    fleet.evaluate(START + HOUR + 15 * MINUTE)
    assert fleet.times() == []  # 5 intervals and open_after, and not a moment longer
    fleet.evaluate(START + HOUR + 16 * MINUTE)
    fleet.evaluate(START + HOUR + 17 * MINUTE)
    [alert] = fleet.alerts()
    assert (alert["kind"], alert["device_id"], alert["opened_at"], alert["closed_at"]) == ("meter", "MX", 1.25, None)
    since = (START + HOUR).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert alert["reason"] == f"no reading since {since}: more than 5 expected intervals of 60 s"
    fleet.send("meter", "MX", START + 2 * HOUR, START + 3 * HOUR, MINUTE, 0.1, 230.0)
    fleet.evaluate(START + 3 * HOUR)
    assert fleet.times() == [("MX", 1.25, 2, 2)]


def test_late_readings_that_fill_a_silence_disprove_it_and_those_within_move_it(fleet: AlertFleet) -> None:
    fleet.only("device_silent")
    fleet.declare("meter", "MX")
    fleet.drive("X", Phase(1), kinds="meter")
    fleet.evaluate(START + 3 * HOUR)
    assert fleet.times() == [("MX", 1.25, 3, None)]
    fleet.send("meter", "MX", START + 2 * HOUR, START + 2 * HOUR, MINUTE, 0.1, 230.0)
    fleet.evaluate(START + 3 * HOUR)
    assert fleet.times() == [("MX", 1.25, 2, 2), ("MX", 2.25, 3, None)]
    fleet.send("meter", "MX", START + HOUR + MINUTE, START + 3 * HOUR, MINUTE, 0.1, 230.0)
    fleet.evaluate(START + 3 * HOUR)
    assert fleet.times() == []


def test_a_late_reading_of_a_quarter_hour_that_is_not_judged_yet_is_no_trouble(fleet: AlertFleet) -> None:
    fleet.only("battery_hot", **QUARTERLY)
    fleet.run("UPDATE telemetry.fleet SET alerts_judged_until = %s", START)
    fleet.send_at("meter", "MX", [START + 14 * MINUTE], 0.1, 230.0)
    fleet.evaluate(START + QUARTER + 1.5 * MINUTE)
    assert fleet.times() == []


@pytest.mark.parametrize(("days", "silent"), [(6, ["MX"]), (8, [])])
def test_a_device_whose_newest_reading_is_older_than_a_week_when_it_comes_is_no_alert(
    fleet: AlertFleet, days: int, silent: list[str]
) -> None:
    fleet.only("device_silent")
    fleet.send_at("meter", "MX", [START - timedelta(days=days)], 0.1, 230.0)
    fleet.evaluate(START)
    fleet.evaluate(START + HOUR)
    assert [device for device, *_ in fleet.times()] == silent


def test_a_slow_device_and_a_retired_one_are_not_silent(fleet: AlertFleet) -> None:
    fleet.only("device_silent")
    fleet.declare("meter", "MX", 3600)
    fleet.drive("X", Phase(2, every=HOUR))
    fleet.declare("vehicle", "VX", retired=True)
    fleet.evaluate(START + 6 * HOUR)
    assert fleet.times() == []


def test_an_alert_of_a_device_that_is_retired_closes(fleet: AlertFleet) -> None:
    fleet.only("device_silent")
    fleet.declare("meter", "MX")
    fleet.drive("X", Phase(1), kinds="meter")
    fleet.evaluate(START + 3 * HOUR)
    fleet.declare("meter", "MX", retired=True)
    fleet.evaluate(START + 3 * HOUR)
    fleet.evaluate(START + 4 * HOUR)
    [alert] = fleet.alerts()
    assert alert["close_reason"] == "the device is retired"
    fleet.declare("meter", "MX")
    fleet.evaluate(START + 4 * HOUR)
    fleet.evaluate(START + 5 * HOUR)
    assert [(a["id"] == alert["id"], a["closed_at"] is None) for a in fleet.alerts()] == [(True, False), (False, True)]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("SELECT ops.remove_alert_rule('battery_hot')", "the rule was removed"),
        ("SELECT ops.set_alert_rule('battery_hot', p_enabled => FALSE)", "the rule is disabled"),
        ("SELECT ops.set_alert_rule('battery_hot', p_device_ids => '{VY}')", "the rule is not for this device"),
    ],
)
def test_a_rule_that_goes_takes_its_open_alerts_with_it(fleet: AlertFleet, change: str, reason: str) -> None:
    fleet.only("battery_hot", **QUARTERLY)
    fleet.drive("X", Phase(2, degrees=60), kinds="vehicle")
    fleet.evaluate_late(2)
    fleet.run(change)
    fleet.evaluate(START + 2 * HOUR + SETTLED)
    fleet.evaluate(START + 3 * HOUR + SETTLED)
    [alert] = fleet.alerts()
    assert (alert["closed_at"], alert["close_reason"]) == (pytest.approx(2 + SETTLED / HOUR), reason)


def change_rule(fleet: AlertFleet, name: str, at: datetime, **settings: Any) -> None:
    """Change a rule, as if it were that time."""
    fleet.rule(name, **settings)
    fleet.run("UPDATE ops.alert_rule SET judged_from = %s WHERE name = %s", at, name)


def test_a_changed_rule_keeps_its_alerts_whatever_comes_late_from_before_the_change(fleet: AlertFleet) -> None:
    fleet.only("battery_hot", **QUARTERLY)
    fleet.drive("X", Phase(3, degrees=60), kinds="vehicle")
    fleet.drive("Y", Phase(1, degrees=60), Phase(2), kinds="vehicle")
    fleet.evaluate_late(3)
    before = [(a["id"], a["device_id"], a["opened_at"], a["close_reason"]) for a in fleet.alerts(disproved=True)]
    assert [found[1:] for found in before] == [("VX", 0.5, None), ("VY", 0.5, "recovered")]
    change_rule(fleet, "battery_hot", START + 3 * HOUR, severity="info")
    fleet.send_at("vehicle", "VX", [START + 20.5 * MINUTE], 0.09, 60.0)
    fleet.send_at("vehicle", "VY", [START + 20.5 * MINUTE], 0.09, 60.0)
    fleet.evaluate(START + 3 * HOUR + SETTLED)
    fleet.drive("X", Phase(3), Phase(1, degrees=60), kinds="vehicle")
    fleet.evaluate(START + 4 * HOUR + SETTLED)
    after = [(a["id"], a["device_id"], a["opened_at"], a["close_reason"]) for a in fleet.alerts(disproved=True)]
    assert after == before


def test_a_silence_is_an_alert_from_the_change_of_its_rule_on_or_stays_one(fleet: AlertFleet) -> None:
    fleet.only("device_silent", device_ids=["MX"])
    for name in "XY":
        fleet.declare("meter", f"M{name}")
        fleet.drive(name, Phase(1), kinds="meter")
    fleet.evaluate(START + 2 * HOUR)
    change_rule(fleet, "device_silent", START + 3 * HOUR, device_ids=["MX", "MY"], severity="info")
    for minutes in (0, 1, 20):
        fleet.evaluate(START + 3 * HOUR + minutes * MINUTE)
    assert [(a["device_id"], a["opened_at"], a["closed_at"]) for a in fleet.alerts(disproved=True)] == [
        ("MX", 1.25, None),
        ("MY", 3, None),
    ]
    for name in "XY":
        fleet.send_at("meter", f"M{name}", [START + 4 * HOUR], 0.1, 230.0)
    fleet.evaluate(START + 4 * HOUR + MINUTE)
    assert [(a["opened_at"], a["closed_at"], a["severity"]) for a in fleet.alerts(disproved=True)] == [
        (1.25, 4, "info"),
        (3, 4, "info"),
    ]


def test_two_rules_of_a_kind_watch_two_groups(fleet: AlertFleet) -> None:
    fleet.only("battery_hot", **QUARTERLY, device_ids=["VX"])
    fleet.rule("battery_hot_vans", kind="battery_hot", **QUARTERLY, threshold=70, severity="info", device_ids=["VY"])
    for name in "XYZ":
        fleet.drive(name, Phase(2, degrees=60 if name == "X" else 75), kinds="vehicle")
    fleet.evaluate_late(2)
    found = [(a["rule_name"], a["rule_kind"], a["device_id"], a["severity"]) for a in fleet.alerts()]
    assert found == [
        ("battery_hot", "battery_hot", "VX", "critical"),
        ("battery_hot_vans", "battery_hot", "VY", "info"),
    ]


def test_rejected_readings_are_counted_for_the_device_in_their_payload(fleet: AlertFleet) -> None:
    fleet.only("readings_rejected")
    rejected = {"MX": 10, "MY": 9}
    for device, count in rejected.items():
        fleet.run(
            "INSERT INTO telemetry.rejected_reading (received_at, kind, code, detail, payload)"
            " SELECT %s::timestamptz + n * INTERVAL '1 s', 'meter', 'x', 'x', %s FROM generate_series(1, %s) AS n",
            START + 2 * HOUR,
            json.dumps({"meterId": device, "kwhConsumedAc": -1}),
            count,
        )
    fleet.evaluate_live(5)
    [alert] = fleet.alerts()
    # the quarter hour from 2 to 2.25 leaves the window at 3.25; then it takes an hour to close
    assert (alert["device_id"], alert["opened_at"], alert["last_seen_at"], alert["closed_at"]) == ("MX", 2.25, 3, 4.25)
    assert alert["reason"] == "10 readings were rejected in 1 h, at least 10"
    assert [a["device_id"] for a in fleet.run("SELECT * FROM ops.preview_alert_rule('readings_rejected')")] == ["MX"]


@pytest.mark.parametrize(
    ("lost", "expected"), [(0.02, []), (0.06, [("VX", "efficiency fell from 0.92 to 0.86, by more")])]
)
def test_a_charger_that_fades_is_told_in_the_hours_after_midnight(
    fleet: AlertFleet, lost: float, expected: list[tuple[str, str]]
) -> None:
    fleet.only("charger_fading", window_length=timedelta(days=2), least=1)
    midnight = START.replace(hour=0)
    for side in ("meter", "vehicle"):
        fleet.declare(side, f"{side[0].upper()}X", 3600)
    for days, dc in ((11, 0.92), (2, 0.92 - lost)):
        first = midnight - timedelta(days=days) + HOUR
        last = midnight - timedelta(days=2) if days == 11 else midnight
        fleet.send("meter", "MX", first, last, HOUR, 1, 230.0)
        fleet.send("vehicle", "VX", first, last, HOUR, dc, 30.0)
    fleet.run("DELETE FROM telemetry.alert_recheck")
    fleet.run("UPDATE telemetry.fleet SET alerts_judged_until = %s", midnight - QUARTER)
    fleet.evaluate(midnight + 6 * HOUR + SETTLED)
    found = fleet.alerts()
    assert {START + alert["opened_at"] * HOUR for alert in found} <= {midnight}
    assert [
        (a["device_id"], a["reason"][: len(words)]) for a, (_, words) in zip(found, expected, strict=True)
    ] == expected


def test_a_preview_lists_the_alerts_that_a_rule_would_have_opened(fleet: AlertFleet) -> None:
    fleet.only("battery_hot", **QUARTERLY)
    fleet.drive("X", GOOD, Phase(2, degrees=48), GOOD, kinds="vehicle")
    assert fleet.run("SELECT * FROM ops.preview_alert_rule('battery_hot')") == []
    [alert] = fleet.run("SELECT * FROM ops.preview_alert_rule('battery_hot', p_threshold => 45)")
    assert (alert["device_id"], alert["opened_at"], alert["closed_at"]) == (
        "VX",
        START + 3.5 * HOUR,
        START + 5.5 * HOUR,
    )
    assert alert["reason"] == "battery temperature 48.0 degrees Celsius, the mean of 15 min, is above 45"
    silent = fleet.run("SELECT * FROM ops.preview_alert_rule('device_silent')")
    assert [(a["device_id"], a["closed_at"]) for a in silent] == [("VX", None)]
    assert fleet.alerts(disproved=True) == []


def test_a_preview_that_would_take_minutes_says_how_much_it_can_judge(fleet: AlertFleet) -> None:
    fleet.only("battery_hot", **QUARTERLY)
    for number in range(60):
        fleet.send_at("vehicle", f"V{number}", [START], 0.09, 30.0)
    fleet.drive("X", Phase(1), Phase(2, degrees=60), GOOD, kinds="vehicle")
    long = timedelta(days=366)
    with pytest.raises(psycopg.errors.ProgramLimitExceeded) as refused, fleet.connection.transaction():
        fleet.run("SELECT ops.preview_alert_rule('efficiency_low', p_past => %s)", long)
    assert refused.value.diag.message_hint is not None
    [(devices, past)] = re.findall(r"at most (\d+) of them, or p_past => '(.*)'", refused.value.diag.message_hint)
    assert int(devices) * long / QUARTER <= 400_000 < (int(devices) + 1) * long / QUARTER
    [fits] = fleet.run("SELECT %s::interval AS past", past)
    assert 61 * fits["past"] / QUARTER <= 400_000 < 61 * (fits["past"] / QUARTER + 1)
    # of a mean, only devices with a reading beyond the limit are judged
    found = fleet.run("SELECT device_id FROM ops.preview_alert_rule('battery_hot', p_past => %s)", timedelta(days=300))
    assert [alert["device_id"] for alert in found] == ["VX"]


@pytest.mark.parametrize("past", [None, "infinity", "-infinity", "0", "1 minute", "367 days"])
def test_a_preview_of_no_time_or_an_endless_one_is_refused(fleet: AlertFleet, past: str | None) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="p_past is a time from 15 minutes to 366 days"):
        fleet.run("SELECT ops.preview_alert_rule('battery_hot', p_past => %s::interval)", past)


def test_the_faults_of_a_rule_are_named_all_at_once(fleet: AlertFleet) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue) as refused:
        fleet.rule("battery_hot", window_length=timedelta(minutes=20), least=-1, severity="loud", upper_threshold=3)
    diagnosis = refused.value.diag
    assert diagnosis.message_primary == "least of rule battery_hot: -1 is a number from 0 to 1e6"
    assert diagnosis.message_detail is not None
    assert diagnosis.message_detail.splitlines() == [
        "severity of rule battery_hot: loud is info, warning or critical",
        "upper_threshold of rule battery_hot: is the upper end of the band of voltage_outside, above threshold; "
        "other kinds have none",
        "window_length of rule battery_hot: 00:20:00 is a multiple of 15 minutes, up to 7 days",
    ]


@pytest.mark.parametrize(
    "call", ["set_alert_rule('unknown')", "set_alert_rule('battery_hot', 'device_silent')", "remove_alert_rule('x')"]
)
def test_an_unknown_rule_or_kind_is_refused(fleet: AlertFleet, call: str) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        fleet.run(f"SELECT ops.{call}")


def test_the_shipped_rules_are_the_defaults_one_of_each_kind(fleet: AlertFleet) -> None:
    shipped = fleet.run("SELECT r.kind, r::text AS rule FROM ops.alert_rule AS r ORDER BY r.name")
    assert shipped == fleet.run("SELECT r.kind, r::text AS rule FROM ops.default_alert_rules() AS r ORDER BY r.name")
    [kinds] = fleet.run("SELECT telemetry.alert_kinds() AS kinds")
    assert sorted(kinds["kinds"]) == [rule["kind"] for rule in shipped]


def test_lists_and_counts_and_acknowledgements(fleet: AlertFleet) -> None:
    fleet.only("battery_hot", **QUARTERLY)
    for name in "XYZ":
        fleet.drive(name, Phase(2, degrees=60), kinds="vehicle")
    fleet.evaluate_late(2)
    fleet.drive("Z", Phase(2, degrees=60), Phase(1), kinds="vehicle")
    fleet.evaluate_late(3)
    first = fleet.run("SELECT * FROM api.list_alerts('all', p_limit => 2)")
    rest = fleet.run("SELECT * FROM api.list_alerts('all', p_after => %s)", first[-1]["id"])
    assert [a["device_id"] for a in first + rest] == ["VZ", "VY", "VX"]
    assert [a["device_id"] for a in fleet.run("SELECT * FROM api.list_alerts()")] == ["VY", "VX"]
    assert [a["device_id"] for a in fleet.run("SELECT * FROM api.list_alerts('closed')")] == ["VZ"]
    assert fleet.run("SELECT * FROM api.list_alerts('all', 'meter')") == []
    assert len(fleet.run("SELECT * FROM api.list_alerts('all', 'vehicle', 'VX', 'battery_hot', 'critical')")) == 1
    assert fleet.run("SELECT * FROM api.count_open_alerts() WHERE alerts > 0") == [
        {"rule_kind": "battery_hot", "severity": "critical", "alerts": 2}
    ]
    number = first[0]["id"]
    [told] = fleet.run("SELECT * FROM api.acknowledge_alert(%s, 'anna', 'seen')", number)
    [again] = fleet.run("SELECT * FROM api.acknowledge_alert(%s, 'bert')", number)
    assert told == again
    assert (told["acknowledged_by"], told["note"]) == ("anna", "seen")
    [seen] = fleet.run("SELECT * FROM bi.alert WHERE alert_id = %s", number)
    assert (seen["acknowledged_by"], seen["open_for"]) == ("anna", timedelta(hours=2))


@pytest.mark.parametrize(
    ("call", "state"),
    [
        ("get_alert(0)", "IE008"),
        ("acknowledge_alert(0, 'anna')", "IE008"),
        ("acknowledge_alert(1, '')", "IE004"),
        ("list_alerts('new')", "IE004"),
        ("list_alerts(p_rule_kind => 'x')", "IE004"),
        ("list_alerts(p_limit => 0)", "IE004"),
    ],
)
def test_what_is_not_there_or_not_valid_is_an_error(fleet: AlertFleet, call: str, state: str) -> None:
    with pytest.raises(psycopg.Error) as refused:
        fleet.run(f"SELECT api.{call}")
    assert refused.value.sqlstate == state


def test_closed_alerts_are_kept_for_drop_after_and_open_ones_for_good(fleet: AlertFleet) -> None:
    for name, closed in (("OLD", "3 years"), ("NEW", "1 year"), ("OPEN", None)):
        fleet.run(
            "INSERT INTO telemetry.alert (rule_name, rule_kind, kind, device_id, severity, opened_at, last_seen_at,"
            " closed_at, close_reason, threshold, reason)"
            " SELECT 'r', 'battery_hot', 'vehicle', %s, 'info', '2020-01-01', '2020-01-01', now() - %s::interval,"
            " CASE WHEN %s::text IS NOT NULL THEN 'recovered' END, 1, 'x'",
            name,
            closed,
            closed,
        )
    [job] = fleet.run("SELECT config FROM ops.policy_job WHERE object = 'telemetry.alert' AND duty = 'drop'")
    fleet.run("SELECT ops.drop_closed_alerts(0, %s)", json.dumps(job["config"]))
    assert {a["device_id"] for a in fleet.alerts()} == {"NEW", "OPEN"}


@pytest.mark.concurrent
def test_evaluations_at_once_open_one_alert_and_lose_no_late_reading(database: TestDatabase) -> None:
    """Half of the readings come while others evaluate: what is not seen by one evaluation is seen by the next."""
    pairs = [f"AT-ONCE-{number}" for number in range(8)]

    def evaluate(_: int) -> None:
        with psycopg.connect(database.url, autocommit=True) as connection:
            connection.execute("SELECT ops.evaluate_alerts(%s)", [START + 5 * HOUR + SETTLED])

    def send(name: str) -> None:
        with psycopg.connect(database.url, autocommit=True) as connection:
            AlertFleet(connection).drive(name, Phase(5, degrees=60), kinds="vehicle")

    with psycopg.connect(database.url, autocommit=True) as connection:
        AlertFleet(connection).only("battery_hot", **QUARTERLY)
    with ThreadPoolExecutor(8) as pool:
        work = [pool.submit(send, name) for name in pairs] + [pool.submit(evaluate, n) for n in range(16)]
        for done in work:
            done.result()
    evaluate(0)
    with psycopg.connect(database.url, autocommit=True) as connection:
        found = connection.execute(
            "SELECT device_id, closed_at FROM telemetry.alert"
            " WHERE close_reason IS DISTINCT FROM 'disproved by later data' ORDER BY 1"
        ).fetchall()
        left = connection.execute("SELECT count(*) FROM telemetry.alert_recheck").fetchone()
        connection.execute("DELETE FROM telemetry.alert")
    assert (found, left) == ([(f"V{name}", None) for name in pairs], (0,))


@pytest.mark.concurrent
def test_an_evaluation_waits_for_the_one_under_way(database: TestDatabase) -> None:
    with (
        psycopg.connect(database.url, autocommit=True) as first,
        psycopg.connect(database.url, autocommit=True) as second,
    ):
        second.execute("SET lock_timeout = '100ms'")
        at_once = "SELECT ops.evaluate_alerts(now() - INTERVAL '1 hour')"
        first.execute(at_once)  # so that the next ones have nothing to store
        with first.transaction():
            first.execute(at_once)
            with pytest.raises(psycopg.errors.LockNotAvailable):
                second.execute(at_once)
        second.execute(at_once)
