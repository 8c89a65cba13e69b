"""Readings of devices whose sensors fail: registers, late ones, aggregates; what is kept of them, and its locks."""

import asyncio
import math
import random
from datetime import timedelta
from typing import Any

import pytest

from service.database.calls import KEEP_REJECTED
from service.database.pool import Database, open_database
from service.readings.model import METER, VEHICLE
from tests.sql.test_ingest_functions import meter_row, vehicle_row
from tests.sql.test_rejected_readings import KEPT, counted, kept, rejected
from tests.support import YESTERDAY, Api, Owner, Pair, TestDatabase, new_pair, rfc3339

MINUTE = timedelta(minutes=1)


async def ingest(database: Database, rows: list[tuple], kind=METER) -> list[tuple[str, list[str] | None]]:
    """The outcome and the names of the ignored measures of each row."""
    answers = await database.write_rows(kind.ingest.query, rows)
    return [(outcome, ignored and [measure["field"] for measure in ignored]) for outcome, _, ignored in answers]


async def history(owner: Owner, table: str, columns: str, device: str) -> list[tuple[Any, ...]]:
    kind = table.partition("_")[0]
    order = "counted_at" if table.endswith("history") else "recorded_at"
    query = f"SELECT {columns} FROM telemetry.{table} WHERE {kind}_id = $1 ORDER BY {order}"
    return [tuple(row) for row in await owner.fetch(query, device)]


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0], [0, 3, 1, 2]], ids=str)
async def test_a_register_goes_on_whatever_its_sensors_do_and_whenever_it_comes(
    database: Database, owner: Owner, order: list[int]
) -> None:
    pair = new_pair()
    for kind in ("meter", "vehicle"):
        await owner.execute("SELECT api.set_device_profile($1, $2, 'register')", kind, getattr(pair, kind))
    voltages = [230.0, -1.0, None, 20_000.0]
    batteries = [(50.0, 20.0), (254.0, -127.0), (None, None), (52.0, 1e9)]
    for n in order:
        at = YESTERDAY + n * MINUTE
        row = meter_row(pair.meter, at, kwh=1000.0 + n, voltage=voltages[n])
        expected = ["voltage"] if n in {1, 3} else None
        assert await ingest(database, [row]) == [("stored", expected)]
        assert await ingest(database, [row]) == [("duplicate", expected)]
        soc, temperature = batteries[n]
        row = vehicle_row(pair.vehicle, at, soc=soc, kwh=500.0 + n, temperature=temperature)
        expected = {1: ["soc", "batteryTemp"], 3: ["batteryTemp"]}.get(n)
        assert await ingest(database, [row], VEHICLE) == [("stored", expected)]
    table, columns = "meter_telemetry_history", "kwh_consumed_ac, register_kwh, voltage"
    assert await history(owner, table, columns, pair.meter) == [
        (0, 1000, 230), (1, 1001, None), (1, 1002, None), (1, 1003, None),
    ]  # fmt: skip
    table, columns = "vehicle_telemetry_history", "kwh_delivered_dc, register_kwh, soc, battery_temp"
    assert await history(owner, table, columns, pair.vehicle) == [
        (0, 500, 50, 20), (1, 501, None, None), (1, 502, None, None), (1, 503, 52, None),
    ]  # fmt: skip
    newest = [(YESTERDAY + 3 * MINUTE, 52, None)]
    assert await history(owner, "vehicle_current_status", "recorded_at, soc, battery_temp", pair.vehicle) == newest


async def test_a_value_that_is_not_finite_rejects_its_reading(database: Database, owner: Owner, pair: Pair) -> None:
    for number in (math.nan, math.inf, -math.inf):
        assert await ingest(database, [meter_row(pair.meter, voltage=number)]) == [("value_not_finite", None)]
        rows = [vehicle_row(pair.vehicle, soc=number), vehicle_row(pair.vehicle, temperature=number)]
        assert await ingest(database, rows, VEHICLE) == [("value_not_finite", None)] * 2
    assert await history(owner, "meter_telemetry_history", "voltage", pair.meter) == []


async def test_of_two_faults_in_a_batch_each_reading_has_its_own(database: Database, owner: Owner, pair: Pair) -> None:
    rows = [
        vehicle_row(pair.vehicle, YESTERDAY, temperature=-127.0),
        vehicle_row(pair.vehicle, YESTERDAY, temperature=None),
        vehicle_row(pair.vehicle, YESTERDAY, temperature=20.0),
        vehicle_row(pair.vehicle, YESTERDAY + MINUTE, kwh=-1.0, temperature=-127.0),
        vehicle_row(pair.vehicle, YESTERDAY + MINUTE, soc=101.0),
    ]
    assert await ingest(database, rows, VEHICLE) == [
        ("stored", ["batteryTemp"]), ("duplicate", None), ("conflict", None), ("value_out_of_range", None),
        ("stored", ["soc"]),
    ]  # fmt: skip
    query = "SELECT code, is_stored, detail FROM telemetry.rejected_reading WHERE strpos(payload, $1) > 0 ORDER BY 1, 3"
    found = [tuple(row) for row in await owner.fetch(query, pair.vehicle)]
    assert [(code, is_stored) for code, is_stored, _ in found] == [
        ("conflict", False), ("value_out_of_range", True), ("value_out_of_range", False), ("value_out_of_range", True),
    ]  # fmt: skip
    assert found[0][2].endswith("soc 50, kwhDeliveredDc 0.1, batteryTemp not measured")


async def test_a_call_that_keeps_nothing_answers_the_same(database: Database, owner: Owner, pair: Pair) -> None:
    source = new_pair().meter
    row = (*vehicle_row(pair.vehicle, soc=254.0)[:-1], source)
    [(outcome, _, [ignored])] = await database.write_rows(VEHICLE.ingest.query_once, [row])
    assert (outcome, tuple(ignored)) == ("stored", ("soc", "value_out_of_range", "soc 254 is outside 0 to 100 %"))
    assert await kept(owner, source) == 0


async def test_a_broken_sensor_does_not_use_up_the_allowance_of_rejected_readings(
    database: Database, owner: Owner
) -> None:
    source, pair = new_pair().meter, new_pair()
    for start in range(0, KEPT + 1000, 1000):
        rows = [
            (pair.meter, YESTERDAY + n * timedelta(seconds=1), 0.1, -1.0, source) for n in range(start, start + 1000)
        ]
        assert {outcome for outcome, _ in await ingest(database, rows)} == {"stored"}
    await database.write_rows(KEEP_REJECTED.query, rejected(source, 3))
    query = "SELECT is_stored, count(*) FROM telemetry.rejected_reading WHERE source = $1 GROUP BY 1 ORDER BY 1"
    assert [tuple(row) for row in await owner.fetch(query, source)] == [(False, 3), (True, KEPT)]
    assert await counted(owner, source) == (3, 3, 1000)
    query = "SELECT ignored_on_day, ignored FROM telemetry.rejected_source WHERE source = $1"
    assert [tuple(row) for row in await owner.fetch(query, source)] == [(KEPT + 1000, KEPT + 1000)]


async def test_hours_weigh_what_was_measured_and_not_the_readings(api: Api, database: Database, pair: Pair) -> None:
    """Two quarter hours: one temperature of 10 in ten readings, then five of 40 in five."""
    begin = YESTERDAY.replace(minute=0)
    rows = [vehicle_row(pair.vehicle, begin + n * MINUTE, None, 0.1, 10.0 if n == 5 else -127.0) for n in range(1, 11)]
    rows += [vehicle_row(pair.vehicle, begin + n * MINUTE, 60.0 + n, 0.1, 40.0) for n in range(20, 25)]
    rows += [vehicle_row(pair.vehicle, begin + n * MINUTE, 254.0, 0.1, None) for n in range(50, 55)]
    await ingest(database, rows, VEHICLE)
    for resolution, buckets in (("15min", 3), ("hourly", 1)):
        query = {"resolution": resolution, "start": rfc3339(begin), "end": rfc3339(begin + timedelta(hours=1))}
        items = (await api.http.get(f"/v1/history/vehicle/{pair.vehicle}", params=query)).json()["items"]
        names = ("readings", "batteryTempMin", "batteryTempAvg", "batteryTempMax", "socFirst", "socLast")
        found = [tuple(item[name] for name in names) for item in items]
        assert len(found) == buckets
        if resolution == "hourly":
            assert found == [(20, 10, 35, 40, 80, 84)]
        else:
            assert found == [(10, 10, 10, 10, None, None), (5, 40, 40, 40, 80, 84), (5, None, None, None, None, None)]
    found = await api.performance(pair.vehicle, start=begin, end=begin + timedelta(hours=1))
    assert found["avgBatteryTemp"] == 35
    nothing = await api.performance(pair.vehicle, start=begin + 45 * MINUTE, end=begin + timedelta(hours=1))
    assert (nothing["avgBatteryTemp"], nothing["vehicleReadings"]) == (None, 5)


@pytest.mark.concurrent
async def test_writers_that_keep_rejected_and_ignored_ones_of_several_senders_do_not_deadlock(
    test_database: TestDatabase,
) -> None:
    senders = [new_pair().meter for _ in range(20)]

    async def write(seed: int) -> None:
        chance = random.Random(seed)
        async with open_database(test_database.url, connections=1) as own:
            for n in range(30):
                rows = [
                    (sender, YESTERDAY + (seed * 1000 + n) * MINUTE / 100, chance.choice([-1.0, 1.0]), -1.0, sender)
                    for sender in chance.sample(senders, 20)
                ]
                outcomes = {outcome for outcome, _ in await ingest(own, rows)}
                assert outcomes <= {"stored", "value_out_of_range"}

    await asyncio.gather(*(write(seed) for seed in range(4)))
