"""/v1/links/{vehicleId}: what is said of a vehicle and its meter, and what follows from it."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from service.database.pool import Database
from service.http.routes.links import LINK_VEHICLE
from tests.support import YESTERDAY, Api, Owner, Pair, assert_problem, new_pair, rfc3339

MINUTE = timedelta(minutes=1)


async def put(api: Api, vehicle: str, **link: Any) -> Any:
    return await api.http.put(f"/v1/links/{vehicle}", json=link)


async def spans(api: Api, vehicle: str) -> list[tuple]:
    answer = (await api.http.get(f"/v1/links/{vehicle}")).json()
    return [(item["meterId"], item["from"], item["until"]) for item in answer["items"]]


async def test_from_then_on_the_meter_feeds_the_vehicle(api: Api, pair: Pair) -> None:
    noon, one = rfc3339(YESTERDAY), rfc3339(YESTERDAY + timedelta(hours=1))
    first = await put(api, pair.vehicle, meterId="S-" + pair.meter, **{"from": noon})
    assert (first.status_code, first.json()["meterId"]) == (200, "S-" + pair.meter)
    for _ in range(2):  # safe to retry
        assert (await put(api, pair.vehicle, meterId="T-" + pair.meter, **{"from": one})).status_code == 200
        assert await spans(api, pair.vehicle) == [
            ("T-" + pair.meter, one, None),
            ("S-" + pair.meter, noon, one),
        ]
    # what was said for the time from then on no longer holds
    back = await put(api, pair.vehicle, meterId="S-" + pair.meter, **{"from": one})
    assert back.status_code == 200, back.text
    assert await spans(api, pair.vehicle) == [("S-" + pair.meter, noon, None)]


async def test_a_meter_feeds_one_vehicle_at_a_time(api: Api, pair: Pair) -> None:
    other = new_pair()
    await put(api, pair.vehicle, meterId="S-" + pair.meter, **{"from": rfc3339(YESTERDAY)})
    refused = await put(api, other.vehicle, meterId="S-" + pair.meter)
    assert_problem(refused, 409, "link_conflict", pair.vehicle, "further notice")
    ended = await api.http.delete(f"/v1/links/{pair.vehicle}", params={"at": rfc3339(YESTERDAY + MINUTE)})
    assert ended.status_code == 204
    assert (await put(api, other.vehicle, meterId="S-" + pair.meter)).status_code == 200
    again = await api.http.delete(f"/v1/links/{pair.vehicle}")
    assert_problem(again, 404, "link_unknown", pair.vehicle)


async def test_a_meter_that_changes_vehicle_is_split_at_that_moment(api: Api, pair: Pair) -> None:
    other, station, moment = new_pair(), "S-" + pair.meter, YESTERDAY + timedelta(minutes=7)
    for minute in range(15):
        await api.post_meter(station, YESTERDAY + (minute + 1) * MINUTE, kwhConsumedAc=2.0**minute)
    await put(api, pair.vehicle, meterId=station, **{"from": rfc3339(YESTERDAY)})
    await api.http.delete(f"/v1/links/{pair.vehicle}", params={"at": rfc3339(moment)})
    await put(api, other.vehicle, meterId=station, **{"from": rfc3339(moment)})
    window = {"start": YESTERDAY, "hours": 1}
    first = await api.performance(pair.vehicle, **window)
    second = await api.performance(other.vehicle, **window)
    assert first["totalEnergyConsumedAc"] == 2**7 - 1
    assert second["totalEnergyConsumedAc"] == 2**15 - 2**7


@pytest.mark.parametrize(
    ("body", "code", "word"),
    [
        ({"meterId": "no id!"}, "parameter_invalid", "meterId"),
        ({}, "parameter_invalid", "meterId"),
        ({"meterId": "M1", "to": "x"}, "parameter_invalid", "to"),
        ({"meterId": "M1", "from": "2026-02-08T18:00:00"}, "parameter_invalid", "from"),
        ({"meterId": "M1", "from": "0001-01-01T00:00:00Z"}, "parameter_invalid", "from"),
        ({"meterId": "\x00"}, "parameter_invalid", "meterId"),
    ],
    ids=str,
)
async def test_a_link_that_makes_no_sense_is_refused(api: Api, pair: Pair, body: dict, code: str, word: str) -> None:
    assert_problem(await put(api, pair.vehicle, **body), 422, code, word)


async def test_an_unknown_vehicle_has_no_links(api: Api, pair: Pair) -> None:
    assert_problem(await api.http.get(f"/v1/links/{pair.vehicle}"), 404, "vehicle_unknown", pair.vehicle)


@pytest.mark.concurrent
async def test_of_many_that_want_one_meter_at_once_one_gets_it(database: Database, owner: Owner, pair: Pair) -> None:
    vehicles = [new_pair().vehicle for _ in range(20)]
    calls = (database.write_rows(LINK_VEHICLE, vehicle, pair.meter, None) for vehicle in vehicles)
    results = await asyncio.gather(*calls, return_exceptions=True)
    refused = [result for result in results if isinstance(result, Exception)]
    assert [getattr(error, "sqlstate", error) for error in refused] == ["IE005"] * 19
    count = "SELECT count(*) FROM telemetry.vehicle_meter_link WHERE meter_id = $1"
    assert await owner.fetchval(count, pair.meter) == 1
