"""The faults of a simulated fleet open exactly the alerts that they should, in time, and no other device has one."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from service.commands.simulate.alerts import Score
from service.commands.simulate.fleet import Fleet
from tests.support import NOW, TestDatabase, run_migrated_database
from tests.support.alerts import HOUR, INGEST, MINUTE, QUARTER, AlertFleet, alert_fleet

SEEDS = range(1, 1 + max(1, int(os.environ.get("PROOF_EXAMPLES", "6")) // 100))
INTERVAL = timedelta(minutes=10)
DAYS = timedelta(days=3)
VEHICLES = 12
HOT, SILENT, REPLACED = 3, 5, 8
"""Vehicles that have a hot battery, a silent meter, a replaced meter; some of the other chargers are faulty."""
HEAT_K = 40
SILENT_FOR = 7 * HOUR
OLD_METER = "M-old"

Readings = dict[tuple[str, str], list[tuple[datetime, float, float]]]
"""Kind and device -> times, energies (kWh), and voltages or battery temperatures."""


def simulate(fleet: Fleet, start: datetime, end: datetime) -> Readings:
    found: Readings = defaultdict(list)
    swapped = start + DAYS / 2
    for tick in range((end - start) // INTERVAL + 1):
        at = start + tick * INTERVAL
        for vehicle in range(VEHICLES):
            measured = fleet.measure(vehicle, tick)
            heat = HEAT_K if vehicle == HOT and measured.kwh_dc else 0
            found["vehicle", f"V{vehicle}"].append((at, measured.kwh_dc, measured.battery_temp + heat))
            meter = OLD_METER if vehicle == REPLACED and at <= swapped else f"M{vehicle}"
            if vehicle != SILENT or at <= end - SILENT_FOR:
                found["meter", meter].append((at, measured.kwh_ac, measured.voltage))
    return found


def store(fleet: AlertFleet, readings: Readings) -> None:
    for (kind, device), rows in readings.items():
        values = {"id": device, "rows": json.dumps([(at.isoformat(), kwh, measure) for at, kwh, measure in rows])}
        query = INGEST[kind].replace("%(kwh)s", "kwh").replace("%(measure)s", "measure")
        fleet.connection.execute(
            f"{query} FROM (SELECT (e ->> 0)::timestamptz AS t, (e ->> 1)::float8 AS kwh, (e ->> 2)::float8 AS measure"
            " FROM json_array_elements(%(rows)s::json) AS e) AS r",  # type: ignore[arg-type]
            values,
        )


@pytest.fixture(scope="module")
def database(test_database: TestDatabase) -> Iterator[TestDatabase]:
    with run_migrated_database(test_database) as another:
        yield another


def opened_by(rows: list[dict[str, Any]], rule_kind: str, device: str) -> datetime:
    return min(row["opened_at"] for row in rows if (row["rule_kind"], row["device_id"]) == (rule_kind, device))


@pytest.mark.parametrize("seed", SEEDS)
def test_each_simulated_fault_opens_its_alert_in_time_and_no_other_device_has_one(
    database: TestDatabase, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    end = datetime.fromtimestamp(NOW.timestamp() // 900 * 900, UTC) - QUARTER
    start = end - DAYS
    seconds = int(INTERVAL.total_seconds())
    fleet = Fleet(VEHICLES, seed, faulty=0.3, start=int(start.timestamp()), interval=seconds)
    faulty = [vehicle for vehicle in range(VEHICLES) if fleet.is_faulty(vehicle)]
    readings = simulate(fleet, start, end)
    with alert_fleet(database) as world:
        for kind, device in readings:
            world.declare(kind, device, seconds)
        store(world, readings)
        world.run("SELECT api.link_vehicle(%s, %s, %s)", f"V{REPLACED}", OLD_METER, start - INTERVAL)
        world.run("SELECT api.unlink_vehicle(%s, %s)", f"V{REPLACED}", start + DAYS / 2)
        world.declare("meter", OLD_METER, seconds, retired=True)
        world.evaluate(end + 3 * MINUTE)
        rows = world.run(
            "SELECT * FROM telemetry.alert WHERE close_reason IS DISTINCT FROM 'disproved by later data' ORDER BY id"
        )
    expected = {
        *(("efficiency_low", f"V{vehicle}") for vehicle in faulty),
        *(("battery_hot", f"V{HOT}"), ("device_silent", f"M{SILENT}")),  # what is silent is not incomplete, too
    }
    score = Score(frozenset(expected), frozenset((row["rule_kind"], row["device_id"]) for row in rows))
    with capsys.disabled():
        print(f"\nseed {seed}: {len(expected)} faults, precision {score.precision:.3f}, recall {score.recall:.3f}")
    assert list(score.words()) == []
    # five intervals and ten minutes without a reading
    assert opened_by(rows, "device_silent", f"M{SILENT}") == end - SILENT_FOR + 5 * INTERVAL + 10 * MINUTE
    hot = min(at for at, _, degrees in readings["vehicle", f"V{HOT}"] if degrees > 50)
    # a window and the time before it opens, 15 minutes each, at ends of quarter hours; the mean follows the heat
    assert hot <= opened_by(rows, "battery_hot", f"V{HOT}") <= hot + 5 * QUARTER
    for vehicle in faulty:
        # a day's window, an hour before it opens; by then it has charged once
        assert opened_by(rows, "efficiency_low", f"V{vehicle}") <= start + timedelta(days=2)
