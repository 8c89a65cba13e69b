"""GET /v1/fleet and the buckets of a vehicle: compared with values worked out by hand."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from service.database.calls import REFRESH_AGGREGATES
from tests.dashboard.world import HOUR, current_hour, send_pair
from tests.support import ROOT, Api, Owner, assert_problem, meter_reading, new_pair, now, vehicle_reading


async def test_the_overview_counts_a_faulty_charger_where_it_belongs(api: Api, owner: Owner) -> None:
    before = (await api.http.get("/v1/fleet")).json()
    pair = await send_pair(api, ac=4.0, dc=0.02)  # 0.5 %: the lowest of all that tests send
    after = (await api.http.get("/v1/fleet")).json()
    assert after["vehiclesLow"] == before["vehiclesLow"] + 1
    assert after["distribution"][0]["vehicles"] == before["distribution"][0]["vehicles"] + 1
    assert [band["ratioFrom"] for band in after["distribution"]] == pytest.approx([n / 20 for n in range(21)])
    [worst] = [row for row in after["worst"] if row["vehicleId"] == pair.vehicle]
    assert (worst["kwhConsumedAc"], worst["kwhDeliveredDc"], worst["efficiencyRatio"]) == (8.0, 0.04, 0.005)
    assert worst["efficiencyStatus"] == "low"
    # the same of its day or days
    assert {day["efficiencyRatio"] for day in worst["trend"]} == {0.005}
    hours = {row["bucket"]: row for row in after["hours"]}
    earlier = {row["bucket"]: row for row in before["hours"]}
    for number in (5, 4):
        bucket = (current_hour() - number * HOUR).isoformat().replace("+00:00", "Z")
        added = hours[bucket]["kwhConsumedAc"] - earlier.get(bucket, {"kwhConsumedAc": 0.0})["kwhConsumedAc"]
        assert added == pytest.approx(4.0)
    zone = await owner.fetchval("SELECT time_zone FROM telemetry.fleet")
    assert after["timeZone"] == zone


async def test_energy_of_today_is_what_came_since_midnight(api: Api) -> None:
    before = (await api.http.get("/v1/fleet")).json()
    meter = new_pair().meter
    midnight = datetime.fromisoformat(before["todayStart"])
    first = max(midnight, now() - timedelta(minutes=1))
    for at, energy in ((midnight - timedelta(seconds=1), 100.0), (first, 0.75)):
        assert (await api.post("/v1/ingest/meter", meter_reading(meter, at, kwhConsumedAc=energy))).status_code == 201
    after = (await api.http.get("/v1/fleet")).json()
    assert after["kwhConsumedAcToday"] - (before["kwhConsumedAcToday"] or 0) == pytest.approx(0.75)
    assert after["kwhDeliveredDcToday"] == before["kwhDeliveredDcToday"]


async def test_rejected_readings_are_counted_by_reason_and_silent_devices_listed(api: Api) -> None:
    def count(fleet: dict[str, Any], *, stored: bool = False) -> int:
        rows = [row for row in fleet["rejected"] if row["code"] == "value_out_of_range"]
        return sum(row["readings"] for row in rows if row["isStored"] == stored)

    before = (await api.http.get("/v1/fleet")).json()
    pair = new_pair()
    assert (await api.post_meter(pair.meter, now(), kwhConsumedAc=-1)).status_code == 422
    assert (await api.post_meter(pair.meter, now(), voltage=1500.5)).status_code == 201
    assert (await api.post_vehicle(pair.vehicle, now() - timedelta(minutes=6))).status_code == 201
    after = (await api.http.get("/v1/fleet")).json()
    assert count(after) == count(before) + 1
    assert count(after, stored=True) == count(before, stored=True) + 1
    assert pair.vehicle in [device["deviceId"] for device in after["silentDevices"]]


async def test_rejected_readings_have_their_newest_as_an_example(api: Api) -> None:
    async def newest(kind: str, code: str) -> dict[str, Any]:
        rows = (await api.http.get("/v1/fleet")).json()["rejected"]
        [row] = [row for row in rows if (row["kind"], row["code"], row["isStored"]) == (kind, code, False)]
        return dict(row)

    pairs = [new_pair() for _ in range(2)]
    for pair in pairs:
        assert (await api.post_meter(pair.meter, now(), kwhConsumedAc=-1)).status_code == 422
        assert (await api.post_vehicle(pair.vehicle, now(), kwhDeliveredDc=-2)).status_code == 422
    row = await newest("meter", "value_out_of_range")
    assert (row["deviceId"], row["source"]) == (pairs[1].meter, "127.0.0.1")
    assert row["detail"] == "kwhConsumedAc -1 is outside 0 to 10000000 kWh"
    assert pairs[1].meter in row["payload"]
    assert (await newest("vehicle", "value_out_of_range"))["deviceId"] == pairs[1].vehicle
    nameless = await api.post("/v1/ingest/meter", {"kwhConsumedAc": 1, "voltage": "9" * 300})
    assert nameless.status_code == 422
    row = await newest("meter", nameless.json()["code"])
    assert (row["deviceId"], len(row["payload"])) == (None, 200)


async def test_an_idle_vehicle_is_counted_as_such_and_is_in_no_list_of_faults(api: Api) -> None:
    before = (await api.http.get("/v1/fleet")).json()
    # 0.02 kWh in a day is below standby; 0.02 kWh without any AC is impossible
    idle, impossible = await send_pair(api, ac=0.01, dc=0.0), await send_pair(api, ac=0.0, dc=0.01)
    after = (await api.http.get("/v1/fleet")).json()
    names = ("vehiclesNormal", "vehiclesLow", "vehiclesImpossible", "vehiclesIdle", "vehiclesUnknown")
    assert [after[name] - before[name] for name in names] == [0, 0, 1, 1, 0]
    assert after["distribution"] == before["distribution"]
    assert not {idle.vehicle, impossible.vehicle} & {row["vehicleId"] for row in after["worst"]}


async def test_a_large_fleets_overview_ends_where_the_aggregates_do_and_says_what_it_counts(
    api: Api, owner: Owner
) -> None:
    small = (await api.http.get("/v1/fleet")).json()
    assert small["receivedUntil"] == small["periodEnd"] == small["energyUntil"]
    await send_pair(api, ac=1.0, dc=0.9)
    for statement in REFRESH_AGGREGATES:
        await owner.execute(statement)
    # known, and not counted yet: its quarter hour is not over
    late = new_pair()
    assert (await api.post_meter(late.meter, now(), kwhConsumedAc=100.0)).status_code == 201
    await owner.execute(
        """
        CREATE OR REPLACE FUNCTION telemetry.is_small_fleet() RETURNS boolean LANGUAGE sql STABLE
        SET search_path = pg_catalog, telemetry, pg_temp AS 'SELECT FALSE'
        """
    )
    try:
        large = (await api.http.get("/v1/fleet")).json()
    finally:
        await owner.execute((ROOT / "sql/telemetry/is_small_fleet.sql").read_text().split("REVOKE")[0])
    held, received = (
        await owner.fetch(
            """
            SELECT
                least(telemetry.held_until('meter_15min'), telemetry.held_until('vehicle_15min')) AS held,
                (SELECT min(r.received_until) FROM telemetry.refresh_state AS r) AS received
            """
        )
    )[0]
    assert datetime.fromisoformat(large["periodEnd"]) == held
    assert datetime.fromisoformat(large["receivedUntil"]) == received
    assert large["energyUntil"] == max(large["todayStart"], large["periodEnd"])
    # what the last test sent is older than that
    assert large["hours"]
    assert all(hour["kwhConsumedAc"] < 100 for hour in large["hours"])


async def test_a_bucket_that_is_not_over_says_so(api: Api) -> None:
    pair = await send_pair(api, ac=2.0, dc=1.8)
    assert (await api.post_vehicle(pair.vehicle, now())).status_code == 201
    answer = await api.http.get(f"/v1/analytics/efficiency/{pair.vehicle}", params={"resolution": "hourly"})
    assert [bucket["isOpen"] for bucket in answer.json()["items"]] == [False, False, True]
    # the day of the newest reading
    answer = await api.http.get(f"/v1/analytics/efficiency/{pair.vehicle}", params={"resolution": "daily", "hours": 72})
    assert [bucket["isOpen"] for bucket in answer.json()["items"]][-1] is True


async def test_buckets_of_a_vehicle_stand_side_by_side_with_those_of_the_meter_that_fed_it(api: Api) -> None:
    pair = await send_pair(api, ac=2.0, dc=1.8)
    other = new_pair().meter
    # from four hours ago on it is another meter that feeds it
    change = current_hour() - 4 * HOUR
    response = await api.http.put(f"/v1/links/{pair.vehicle}", json={"meterId": other, "from": change.isoformat()})
    assert response.status_code < 300
    at = change + timedelta(minutes=20)
    assert (await api.post("/v1/ingest/meter", meter_reading(other, at, kwhConsumedAc=2.4))).status_code == 201
    answer = await api.http.get(f"/v1/analytics/efficiency/{pair.vehicle}", params={"hours": 12})
    first, second = answer.json()["items"]
    assert (first["meterId"], first["kwhConsumedAc"], first["kwhDeliveredDc"]) == (pair.meter, 2.0, 1.8)
    assert (first["efficiencyRatio"], first["efficiencyStatus"]) == (0.9, "normal")
    assert (second["meterId"], second["kwhConsumedAc"], second["efficiencyRatio"]) == (other, 2.4, 0.75)
    assert (second["efficiencyStatus"], second["batteryTempMax"], second["socLast"]) == ("low", 36.0, 50.0)


async def test_a_vehicle_without_a_meter_has_an_unknown_efficiency_and_not_none(api: Api) -> None:
    vehicle = new_pair().vehicle
    assert (await api.post("/v1/ingest/vehicle", vehicle_reading(vehicle, now() - HOUR))).status_code == 201
    [bucket] = (await api.http.get(f"/v1/analytics/efficiency/{vehicle}")).json()["items"]
    assert (bucket["kwhConsumedAc"], bucket["efficiencyRatio"], bucket["efficiencyStatus"]) == (None, None, "unknown")


async def test_too_many_buckets_and_unknown_vehicles_are_rejected(api: Api) -> None:
    pair = await send_pair(api, ac=1.0, dc=0.9)
    path = f"/v1/analytics/efficiency/{pair.vehicle}"
    too_many = await api.http.get(path, params={"hours": 751, "resolution": "15min"})
    assert_problem(too_many, 422, "window_invalid", "3000 buckets")
    assert (await api.http.get(path, params={"hours": 750, "resolution": "15min"})).status_code == 200
    assert_problem(await api.http.get("/v1/analytics/efficiency/nobody"), 404, "vehicle_unknown")


async def test_the_meters_of_a_fleet_are_those_of_the_view_whatever_the_links_and_the_rule(
    api: Api, owner: Owner
) -> None:
    pairs = [await send_pair(api, ac=1.0, dc=0.9) for _ in range(6)]
    # taken for a part of the window, for all of it, and before it; the meter of another; an id that is no V
    for vehicle, meter, begin, until in (
        (0, pairs[1].meter, 6, 3),
        (2, new_pair().meter, 100, None),
        (3, new_pair().meter, 100, 90),
        (4, pairs[5].meter, 4, None),
    ):
        query = "INSERT INTO telemetry.vehicle_meter_link VALUES ($1, $2, tstzrange($3, $4))"
        ends = None if until is None else current_hour() - until * HOUR
        await owner.execute(query, pairs[vehicle].vehicle, meter, current_hour() - begin * HOUR, ends)
    difference = """
        WITH bounds AS (SELECT now() - INTERVAL '1 day' AS low, now() AS high),
        fast AS (SELECT f.* FROM bounds, telemetry.fleet_meters(low, high) AS f),
        slow AS (
            SELECT m.vehicle_id, m.meter_id, m.valid_from, m.valid_until
            FROM bounds, bi.vehicle_meter AS m WHERE tstzrange(m.valid_from, m.valid_until) && tstzrange(low, high)
        )
        SELECT 'more' AS side, * FROM (TABLE fast EXCEPT ALL TABLE slow) AS more
        UNION ALL
        SELECT 'less', * FROM (TABLE slow EXCEPT ALL TABLE fast) AS less
    """
    found = await owner.fetch(difference)
    # a default meter's time is cut only where it matters: within the window
    cut = "SELECT count(*) FROM telemetry.fleet_meters(now() - INTERVAL '1 day', now()) WHERE vehicle_id = ANY($1)"
    assert await owner.fetchval(cut, [pair.vehicle for pair in pairs]) >= 6
    assert [row for row in found if row["vehicle_id"] != pairs[3].vehicle] == []
    rule = await owner.fetchval("SELECT pg_get_functiondef('telemetry.default_meter_id(text)'::regprocedure)")
    try:
        await owner.execute(
            "CREATE OR REPLACE FUNCTION telemetry.default_meter_id(p_vehicle_id text) RETURNS text LANGUAGE sql STABLE "
            f"AS $$ SELECT '{pairs[0].meter}' WHERE p_vehicle_id = '{pairs[3].vehicle}' $$"
        )
        assert await owner.fetch(difference) == []
    finally:
        await owner.execute(rule)
