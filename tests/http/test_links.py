"""/v1/links/{vehicleId}: what is said of a vehicle and its meter, and what follows from it; and the meter's side."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from service.database.pool import Database
from service.http.routes.links import LINK_VEHICLE
from tests.support import YESTERDAY, Api, Owner, Pair, assert_problem, new_pair, rfc3339

MINUTE = timedelta(minutes=1)
AT = [rfc3339(YESTERDAY + timedelta(hours=hour)) for hour in range(10)]


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


OLD, NEW = "S", "T"
"""Meters, whose ids end with that of the test's own."""


@pytest.mark.parametrize(
    ("before", "link", "after"),
    [
        pytest.param([], (NEW, 3, 5), [(NEW, 3, 5)], id="a past session, nothing before"),
        pytest.param([(OLD, 2, None)], (NEW, 3, 5), [(OLD, 2, 3), (NEW, 3, 5), (OLD, 5, None)], id="inside"),
        pytest.param([(OLD, 2, 4)], (NEW, 3, 5), [(OLD, 2, 3), (NEW, 3, 5)], id="overlap at the start"),
        pytest.param([(OLD, 4, 7)], (NEW, 3, 5), [(NEW, 3, 5), (OLD, 5, 7)], id="overlap at the end"),
        pytest.param([(OLD, 1, 4), (NEW, 4, 7)], (OLD, 2, 5), [(OLD, 1, 5), (NEW, 5, 7)], id="on both sides"),
        pytest.param([(OLD, 3, 5)], (NEW, 3, 5), [(NEW, 3, 5)], id="equal bounds"),
        pytest.param([(OLD, 3, 4), (OLD, 6, 7)], (NEW, 2, 8), [(NEW, 2, 8)], id="around two"),
        pytest.param(
            [(OLD, 1, 3), (OLD, 5, None)], (NEW, 3, 5), [(OLD, 1, 3), (NEW, 3, 5), (OLD, 5, None)], id="between"
        ),
        pytest.param([(OLD, 1, 3), (OLD, 5, None)], (OLD, 3, 5), [(OLD, 1, None)], id="between, the same meter"),
        pytest.param([(OLD, 2, None)], (OLD, 3, 5), [(OLD, 2, None)], id="inside, the same meter"),
        pytest.param([(OLD, 3, 5)], (OLD, 4, None), [(OLD, 3, None)], id="overlap, the same meter, no end"),
        pytest.param([(OLD, 2, 4), (NEW, 6, 8)], (OLD, 5, None), [(OLD, 2, 4), (OLD, 5, None)], id="no end"),
    ],
)
async def test_a_link_with_an_end_leaves_what_was_before_and_after(
    api: Api, pair: Pair, before: list[tuple], link: tuple, after: list[tuple]
) -> None:
    def told(links: list[tuple]) -> list[tuple]:
        return [(f"{meter}-{pair.meter}", AT[start], end and AT[end]) for meter, start, end in links]

    for meter, start, end in [*told(before), *told([link] * 2)]:  # safe to retry
        answer = await put(api, pair.vehicle, meterId=meter, **{"from": start, "until": end})
        assert answer.status_code == 200, answer.text
    assert await spans(api, pair.vehicle) == told(after)[::-1]


@pytest.mark.parametrize(
    ("start", "end", "status"),
    [(1, 3, 200), (5, None, 200), (1, 4, 409), (4, 7, 409), (3, 5, 409), (1, 7, 409), (1, None, 409)],
)
async def test_a_meter_that_feeds_another_vehicle_then_is_a_conflict(
    api: Api, pair: Pair, start: int, end: int | None, status: int
) -> None:
    other, station = new_pair(), "S-" + pair.meter
    await put(api, pair.vehicle, meterId=station, **{"from": AT[3], "until": AT[5]})
    answer = await put(api, other.vehicle, meterId=station, **{"from": AT[start], "until": end and AT[end]})
    if status == 409:
        assert_problem(answer, 409, "link_conflict", pair.vehicle, AT[3][:-1], AT[5][:-1])
    assert answer.status_code == status
    assert await spans(api, pair.vehicle) == [(station, AT[3], AT[5])]


async def test_the_energy_of_a_past_session_is_of_its_meter_and_the_rest_of_the_other(api: Api, pair: Pair) -> None:
    station = "S-" + pair.meter
    for minute in range(1, 16):
        at = YESTERDAY + minute * MINUTE
        await api.post_meter(station, at, kwhConsumedAc=2.0**minute)
        await api.post_meter(pair.meter, at, kwhConsumedAc=1)
    await api.post_vehicle(pair.vehicle, YESTERDAY + MINUTE)
    session = {"from": rfc3339(YESTERDAY + 4 * MINUTE), "until": rfc3339(YESTERDAY + 7 * MINUTE)}
    assert (await put(api, pair.vehicle, meterId=station, **session)).status_code == 200
    balance = await api.performance(pair.vehicle, start=YESTERDAY, hours=1)
    # minutes 5, 6 and 7 at the station, the other 12 at home
    assert balance["totalEnergyConsumedAc"] == 2**5 + 2**6 + 2**7 + 12


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
        ({"meterId": "M1", "from": AT[2], "until": AT[1]}, "parameter_invalid", "until must be after from"),
        ({"meterId": "M1", "from": AT[2], "until": AT[2]}, "parameter_invalid", "until must be after from"),
        ({"meterId": "M1", "until": AT[1]}, "parameter_invalid", "until must be after from"),
        ({"meterId": "M1", "from": AT[1], "until": "9999-12-31T00:00:00Z"}, "parameter_invalid", "until"),
        ({"meterId": "M1", "from": AT[1], "until": "2026-02-08T18:00:00"}, "parameter_invalid", "until"),
    ],
    ids=str,
)
async def test_a_link_that_makes_no_sense_is_refused(api: Api, pair: Pair, body: dict, code: str, word: str) -> None:
    assert_problem(await put(api, pair.vehicle, **body), 422, code, word)


async def test_an_unknown_vehicle_has_no_links(api: Api, pair: Pair) -> None:
    assert_problem(await api.http.get(f"/v1/links/{pair.vehicle}"), 404, "vehicle_unknown", pair.vehicle)


async def vehicles_of(api: Api, meter: str) -> dict[str, Any]:
    answer = await api.http.get(f"/v1/devices/meter/{meter}/vehicles")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_a_meter_has_the_vehicles_that_it_feeds_with_their_times(api: Api, pair: Pair) -> None:
    guest = new_pair().vehicle
    assert (await api.post_meter(pair.meter, YESTERDAY)).status_code == 201
    assert await vehicles_of(api, pair.meter) == {"meterId": pair.meter, "vehicleId": None, "items": []}
    assert (await api.post_vehicle(pair.vehicle, YESTERDAY)).status_code == 201
    own = {"vehicleId": pair.vehicle, "origin": "default"}
    answer = {"meterId": pair.meter, "vehicleId": pair.vehicle, "items": [{**own, "from": None, "until": None}]}
    assert await vehicles_of(api, pair.meter) == answer
    await put(api, guest, meterId=pair.meter, **{"from": AT[3], "until": AT[5]})
    items = [
        {**own, "from": AT[5], "until": None},
        {"vehicleId": guest, "origin": "link", "from": AT[3], "until": AT[5]},
        {**own, "from": None, "until": AT[3]},
    ]
    assert await vehicles_of(api, pair.meter) == {**answer, "items": items}


async def test_a_meter_of_a_fleets_own_rule_has_its_vehicles_too(api: Api, owner: Owner, pair: Pair) -> None:
    rule = await owner.fetchval("SELECT pg_get_functiondef('telemetry.default_meter_id(text)'::regprocedure)")
    station = "S-" + pair.meter
    await api.post_meter(station, YESTERDAY)
    await api.post_vehicle(pair.vehicle, YESTERDAY)
    assert (await vehicles_of(api, station))["vehicleId"] is None
    try:
        await owner.execute(
            "CREATE OR REPLACE FUNCTION telemetry.default_meter_id(p_vehicle_id text) RETURNS text LANGUAGE sql STABLE "
            f"AS $$ SELECT '{station}' WHERE p_vehicle_id = '{pair.vehicle}' $$"
        )
        assert (await vehicles_of(api, station))["vehicleId"] == pair.vehicle
    finally:
        await owner.execute(rule)


async def test_a_meter_without_a_reading_and_a_link_is_unknown(api: Api, pair: Pair) -> None:
    url = f"/v1/devices/meter/{pair.meter}/vehicles"
    assert_problem(await api.http.get(url), 404, "meter_unknown", pair.meter)
    await put(api, pair.vehicle, meterId=pair.meter)
    assert (await vehicles_of(api, pair.meter))["vehicleId"] == pair.vehicle


async def is_retired(api: Api, meter: str) -> bool:
    return bool((await api.http.get(f"/v1/devices/meter/{meter}")).json()["retired"])


@pytest.mark.parametrize("linked", [True, False], ids=["linked", "by matching id"])
async def test_a_meter_that_is_replaced_is_retired_until_it_reports_again(api: Api, pair: Pair, linked: bool) -> None:
    assert (await api.post_meter(pair.meter, YESTERDAY)).status_code == 201
    assert (await api.post_vehicle(pair.vehicle, YESTERDAY)).status_code == 201
    if linked:
        await put(api, pair.vehicle, meterId=pair.meter)
    for link in ({"from": AT[1], "until": AT[2]}, {"from": "2100-01-01T00:00:00Z"}):  # a session, and a later link
        await put(api, pair.vehicle, meterId="T-" + pair.meter, **link)
        assert not await is_retired(api, pair.meter)
    for _ in range(2):  # safe to retry
        await put(api, pair.vehicle, meterId="U-" + pair.meter, **{"from": AT[4]})
        assert await is_retired(api, pair.meter)
    assert (await api.post_meter(pair.meter, YESTERDAY + MINUTE)).status_code == 201
    assert not await is_retired(api, pair.meter)


async def test_a_meter_that_goes_back_to_its_own_vehicle_is_in_use(api: Api, pair: Pair) -> None:
    guest = new_pair().vehicle
    assert (await api.post_meter(pair.meter, YESTERDAY)).status_code == 201
    assert (await api.post_vehicle(pair.vehicle, YESTERDAY)).status_code == 201
    for meter in (pair.meter, "T-" + pair.meter):
        assert (await put(api, guest, meterId=meter)).status_code == 200
    assert (await vehicles_of(api, pair.meter))["vehicleId"] == pair.vehicle
    assert not await is_retired(api, pair.meter)


async def test_a_replaced_meter_keeps_the_rest_of_its_profile(api: Api, pair: Pair) -> None:
    profile = {"energyKind": "register", "registerMax": 1000.0, "maxKw": 22.0, "expectedIntervalS": 900.0}
    await api.http.put(f"/v1/devices/meter/{pair.meter}", json=profile)
    await api.post_meter(pair.meter, YESTERDAY)
    await api.post_vehicle(pair.vehicle, YESTERDAY)
    await put(api, pair.vehicle, meterId="T-" + pair.meter)
    kept = (await api.http.get(f"/v1/devices/meter/{pair.meter}")).json()
    assert {**kept, **profile, "retired": True} == kept


@pytest.mark.concurrent
async def test_of_many_that_want_one_meter_at_once_one_gets_it(database: Database, owner: Owner, pair: Pair) -> None:
    vehicles = [new_pair().vehicle for _ in range(20)]
    calls = (database.write_rows(LINK_VEHICLE, vehicle, pair.meter, None, None) for vehicle in vehicles)
    results = await asyncio.gather(*calls, return_exceptions=True)
    refused = [result for result in results if isinstance(result, Exception)]
    assert [getattr(error, "sqlstate", error) for error in refused] == ["IE005"] * 19
    count = "SELECT count(*) FROM telemetry.vehicle_meter_link WHERE meter_id = $1"
    assert await owner.fetchval(count, pair.meter) == 1
