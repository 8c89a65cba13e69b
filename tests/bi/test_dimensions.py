"""The dimensions of bi, the current state, days as dates, and rejected readings by day, as energy_bi reads them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import psycopg
import pytest

from tests.bi.conftest import ZONE, BiDatabase
from tests.support import NOW, Api, Owner, Pair, new_pair, now

MINUTE = timedelta(minutes=1)


async def rows(owner: Owner, query: str, *values: Any) -> list[dict[str, Any]]:
    """The answer to a BI login."""
    async with owner.undone(readonly=True) as connection:
        await connection.execute("SET LOCAL ROLE energy_bi")
        return [dict(row) for row in await connection.fetch(query, *values)]


async def one(owner: Owner, kind: str, device: str, relation: str) -> dict[str, Any]:
    [row] = await rows(owner, f"SELECT * FROM bi.{relation} WHERE {kind}_id = $1", device)
    return row


async def test_a_device_is_a_row_with_its_profile_and_when_it_was_seen(api: Api, owner: Owner, pair: Pair) -> None:
    before = now()
    for minutes in (9, 4):
        await api.post_meter(pair.meter, NOW - minutes * MINUTE)
        await api.post_vehicle(pair.vehicle, NOW - minutes * MINUTE)
    profile = {"energyKind": "register", "registerMax": 99999.0, "maxKw": 22.0, "expectedIntervalS": 900}
    assert (await api.http.put(f"/v1/devices/vehicle/{pair.vehicle}", json=profile)).status_code == 200
    vehicle, meter = (
        await one(owner, "vehicle", pair.vehicle, "vehicle"),
        await one(owner, "meter", pair.meter, "meter"),
    )
    for row in (vehicle, meter):
        assert before < row.pop("first_received_at") < row.pop("last_received_at") < now()
        assert row.pop("last_recorded_at") == NOW - 4 * MINUTE
    assert vehicle == {
        "vehicle_id": pair.vehicle,
        "meter_id": pair.meter,
        "is_retired": False,
        "energy_kind": "register",
        "register_max_kwh": 99999.0,
        "max_kw": 22.0,
        "expected_interval_s": 900.0,
    }
    assert meter == {
        "meter_id": pair.meter,
        "vehicle_id": pair.vehicle,
        "is_retired": False,
        "energy_kind": "interval",
        "register_max_kwh": None,
        "max_kw": None,
        "expected_interval_s": 300.0,
    }


async def test_the_meter_of_a_vehicle_is_the_one_that_feeds_it_now(api: Api, owner: Owner, pair: Pair) -> None:
    other = new_pair().meter
    for meter in (pair.meter, other):
        await api.post_meter(meter, NOW - MINUTE)
    await api.post_vehicle(pair.vehicle, NOW - MINUTE)
    for start, until, feeding in ((60, 30, pair.meter), (20, None, other)):
        link = {"meterId": other, "from": (NOW - start * MINUTE).isoformat()}
        link |= {"until": (NOW - until * MINUTE).isoformat()} if until else {}
        assert (await api.http.put(f"/v1/links/{pair.vehicle}", json=link)).status_code in {200, 204}
        assert (await one(owner, "vehicle", pair.vehicle, "vehicle"))["meter_id"] == feeding
        for meter in (pair.meter, other):
            fed = (await one(owner, "meter", meter, "meter"))["vehicle_id"]
            assert fed == (pair.vehicle if meter == feeding else None)


NOW_FEEDING = """
    SELECT l.vehicle_id, l.meter_id FROM bi.vehicle_meter AS l
    WHERE (l.valid_from IS NULL OR l.valid_from <= now()) AND (l.valid_until IS NULL OR l.valid_until > now())
"""
OWN_RULE = "CREATE OR REPLACE FUNCTION telemetry.default_meter_id(p_vehicle_id text) RETURNS text LANGUAGE sql STABLE"
SAME_ID = "RETURN p_vehicle_id"
"""A fleet's own rule: a vehicle's meter has its id."""


@pytest.mark.parametrize("rule", [None, SAME_ID], ids=["standard", "own"])
async def test_the_meters_that_feed_now_are_those_of_the_times(api: Api, owner: Owner, rule: str | None) -> None:
    pairs = [new_pair() for _ in range(6)]
    past, present = (NOW - 60 * MINUTE, NOW - 30 * MINUTE), (NOW - 60 * MINUTE, None)
    links = (
        (pairs[1].vehicle, pairs[0].meter, past),
        (pairs[2].vehicle, pairs[3].meter, present),
        (new_pair().vehicle, pairs[4].meter, present),  # it has sent nothing
        (f"V{pairs[5].meter[1:]}x", pairs[5].meter, past),  # nor has this one, and its link is over
    )
    for pair in pairs:
        await api.post_meter(pair.meter, NOW - MINUTE)
        await api.post_vehicle(pair.vehicle, NOW - MINUTE)
    both = new_pair().meter  # a meter and a vehicle of one id
    await api.post_meter(both, NOW - MINUTE)
    await api.post_vehicle(both, NOW - MINUTE)
    await api.post_meter(f"M{pairs[5].meter[1:]}x", NOW - MINUTE)
    async with owner.undone() as connection:
        for vehicle, meter, during in links:
            query = "INSERT INTO telemetry.vehicle_meter_link VALUES ($1, $2, tstzrange($3, $4))"
            await connection.execute(query, vehicle, meter, *during)
        if rule:
            await connection.execute(f"{OWN_RULE} {rule}")
        expected = {tuple(row) for row in await connection.fetch(NOW_FEEDING)}
        assert {tuple(row) for row in await connection.fetch("SELECT * FROM telemetry.current_link")} == expected
        await connection.execute("SET LOCAL ROLE energy_bi")
        vehicles = {tuple(row) for row in await connection.fetch("SELECT vehicle_id, meter_id FROM bi.vehicle")}
        reporting = {vehicle for vehicle, _ in vehicles}
        fed = {(vehicle, meter) for vehicle, meter in vehicles if meter is not None}
        assert fed == {(vehicle, meter) for vehicle, meter in expected if vehicle in reporting}
        query = "SELECT vehicle_id, meter_id FROM bi.meter WHERE vehicle_id IS NOT NULL"
        assert {tuple(row) for row in await connection.fetch(query)} <= expected
    assert (pairs[2].vehicle, pairs[3].meter) in expected


async def test_one_meter_is_found_without_asking_the_rule_for_every_vehicle(api: Api, owner: Owner, pair: Pair) -> None:
    await api.post_meter(pair.meter, NOW - MINUTE)
    await api.post_vehicle(pair.vehicle, NOW - MINUTE)
    async with owner.undone() as connection:
        await connection.execute(
            "CREATE OR REPLACE FUNCTION telemetry.find_default_meter(p_vehicle_id text) RETURNS text "
            "LANGUAGE plpgsql STABLE AS $$ BEGIN "
            "IF EXISTS (SELECT FROM telemetry.vehicle_current_status AS s WHERE s.vehicle_id = p_vehicle_id) "
            "THEN RAISE EXCEPTION 'asked for %', p_vehicle_id; END IF; RETURN NULL; END $$"
        )
        for kind, device, other in (("meter", pair.meter, pair.vehicle), ("vehicle", pair.vehicle, pair.meter)):
            [row] = await connection.fetch(f"SELECT * FROM bi.{kind} WHERE {kind}_id = $1", device)
            assert other in row.values()


async def test_the_current_state_is_the_newest_reading_with_the_status_of_the_service(
    api: Api, owner: Owner, pair: Pair
) -> None:
    present = now()
    await api.post_vehicle(pair.vehicle, present - MINUTE, soc=None, batteryTemp=31.5, kwhDeliveredDc=0.25)
    await api.post_meter(pair.meter, present - 30 * MINUTE, voltage=229.5, kwhConsumedAc=0.3)
    vehicle = await one(owner, "vehicle", pair.vehicle, "vehicle_current")
    meter = await one(owner, "meter", pair.meter, "meter_current")
    for row in (vehicle, meter):
        row.pop("received_at")
    assert list(vehicle.values()) == [pair.vehicle, "reporting", present - MINUTE, 0.25, True, None, 31.5]
    assert list(meter.values()) == [pair.meter, "silent", present - 30 * MINUTE, 0.3, 229.5]
    for kind, device in (("vehicle", pair.vehicle), ("meter", pair.meter)):
        assert (await api.http.put(f"/v1/devices/{kind}/{device}", json={"retired": True})).status_code == 200
        assert (await one(owner, kind, device, f"{kind}_current"))["status"] == "retired"
        assert (await one(owner, kind, device, kind))["is_retired"]
    assert not (await one(owner, "vehicle", pair.vehicle, "vehicle_current"))["is_charging"]


async def test_rejected_readings_are_counted_by_day_and_device(api: Api, owner: Owner, pair: Pair) -> None:
    for _ in range(3):
        assert (await api.post_meter(pair.meter, NOW, kwhConsumedAc=-1)).status_code == 422
    assert (await api.post_meter(pair.meter, NOW, voltage=20_000)).status_code == 201
    query = """
        SELECT
            kind, code, is_stored, readings, last_received_at > now() - INTERVAL '1 hour' AS is_new,
            date = (bucket AT TIME ZONE 'UTC')::date AS is_day
        FROM bi.rejected_reading_daily WHERE device_id = $1 ORDER BY is_stored
    """
    assert [tuple(row.values()) for row in await rows(owner, query, pair.meter)] == [
        ("meter", "value_out_of_range", False, 3, True, True),
        ("meter", "value_out_of_range", True, 1, True, True),
    ]
    sources = await rows(owner, "SELECT source FROM bi.rejected_reading_daily WHERE device_id = $1", pair.meter)
    assert {row["source"] for row in sources} == {"127.0.0.1"}


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Tokyo"])
def test_the_date_of_a_day_is_that_of_the_fleet_in_any_session(bi_database: BiDatabase, zone: str) -> None:
    with psycopg.connect(bi_database.url, autocommit=True, prepare_threshold=None) as connection:
        connection.execute(f"SET TimeZone = '{zone}'")
        for relation in ("meter_day", "vehicle_day", "vehicle_efficiency_daily", "fleet_efficiency_daily"):
            found = connection.execute(f"SELECT date, bucket FROM bi.{relation}").fetchall()
            assert found
            assert all(bucket.astimezone(ZONE).date() == date for date, bucket in found), relation


def test_the_days_with_a_date_are_those_of_the_aggregates(bi_database: BiDatabase) -> None:
    with psycopg.connect(bi_database.url, autocommit=True, prepare_threshold=None) as connection:
        for kind in ("meter", "vehicle"):
            columns = ", ".join(
                column.name for column in connection.execute(f"SELECT * FROM bi.{kind}_daily").description
            )
            difference = f"SELECT {columns} FROM bi.{kind}_daily EXCEPT ALL SELECT {columns} FROM bi.{kind}_day"
            assert connection.execute(difference).fetchall() == []
            [counts] = connection.execute(
                f"SELECT (SELECT count(*) FROM bi.{kind}_daily) = (SELECT count(*) FROM bi.{kind}_day)"
            ).fetchone() or [None]
            assert counts
