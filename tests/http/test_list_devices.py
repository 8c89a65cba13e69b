"""GET /v1/devices: the devices that have sent a reading, found, ordered and paged."""

import csv
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from tests.support import (
    NOW,
    Api,
    Owner,
    Pair,
    TestDatabase,
    assert_problem,
    new_pair,
    now,
    own_service,
    rfc3339,
)

MINUTE = timedelta(minutes=1)
ENERGY_SORTS = ("energy", "-energy", "efficiency", "-efficiency")


@pytest.fixture(scope="module")
async def own(test_database: TestDatabase) -> AsyncIterator[tuple[Owner, Api]]:
    """A database of these tests alone: other tests leave tens of thousands of devices."""
    async with own_service(test_database) as own:
        yield own


@pytest.fixture(scope="module")
def owner(own: tuple[Owner, Api]) -> Owner:
    return own[0]


@pytest.fixture(scope="module")
def api(own: tuple[Owner, Api]) -> Api:
    return own[1]


@pytest.fixture(scope="module")
async def fleet(api: Api, owner: Owner) -> AsyncIterator[list[Pair]]:
    """Three pairs: of the first both report, of the second both are silent, of the third the meter is retired."""
    pairs = [new_pair() for _ in range(3)]
    for pair, minutes in zip(pairs, (0, 20, 30), strict=True):
        time = now() - minutes * MINUTE
        await api.post_meter(pair.meter, time, voltage=231.0, kwhConsumedAc=0.25)
        await api.post_vehicle(pair.vehicle, time, soc=61.5, batteryTemp=28.5, kwhDeliveredDc=0.2)
    assert (await api.http.put(f"/v1/devices/meter/{pairs[2].meter}", json={"retired": True})).status_code == 200
    yield pairs


def part_of(pairs: list[Pair]) -> str:
    """The part of their ids that only devices of this run have."""
    return pairs[0].meter[1:].partition("-")[0]


async def ids(api: Api, pairs: list[Pair], **params: Any) -> list[str]:
    """The ids that are listed, of those of these pairs."""
    answer = await api.http.get("/v1/devices", params={"limit": 10_000, "search": part_of(pairs), **params})
    assert answer.status_code == 200, answer.text
    mine = {device for pair in pairs for device in (pair.meter, pair.vehicle)}
    return [item["deviceId"] for item in answer.json()["items"] if item["deviceId"] in mine]


async def test_a_device_is_listed_with_its_newest_reading(api: Api, fleet: list[Pair]) -> None:
    for kind, device, measures in (
        ("meter", fleet[0].meter, {"kwh": 0.25, "voltage": 231.0, "soc": None, "batteryTemp": None}),
        ("vehicle", fleet[0].vehicle, {"kwh": 0.2, "voltage": None, "soc": 61.5, "batteryTemp": 28.5}),
    ):
        [item] = (await api.http.get("/v1/devices", params={"search": device, "kind": kind})).json()["items"]
        assert item.pop("receivedAt") == item.pop("firstReceivedAt") >= item.pop("timestamp") > rfc3339(NOW)
        assert item == {
            "kind": kind,
            "deviceId": device,
            "status": "reporting",
            "expectedIntervalS": 60.0,
            **measures,
            "kwh24h": None,  # the list is in another order
            "efficiencyRatio": None,
            "efficiencyStatus": None,
        }


async def test_a_later_reading_leaves_when_a_device_was_first_heard(api: Api, pair: Pair) -> None:
    for kind, device, post in (("meter", pair.meter, api.post_meter), ("vehicle", pair.vehicle, api.post_vehicle)):
        await post(device, NOW - 2 * MINUTE)
        params = {"search": device, "kind": kind}
        [first] = (await api.http.get("/v1/devices", params=params)).json()["items"]
        await post(device, NOW - MINUTE)
        [second] = (await api.http.get("/v1/devices", params=params)).json()["items"]
        assert second["firstReceivedAt"] == first["firstReceivedAt"] == first["receivedAt"] < second["receivedAt"]


async def test_a_device_is_found_by_any_part_of_its_id_in_any_case(api: Api, fleet: list[Pair]) -> None:
    for part in (fleet[0].vehicle, fleet[0].vehicle.lower(), fleet[0].vehicle[1:].upper()):
        found = (await api.http.get("/v1/devices", params={"search": part, "kind": "vehicle"})).json()["items"]
        assert fleet[0].vehicle in [item["deviceId"] for item in found]
    for part in (f"{fleet[0].vehicle[:-1]}%", f"{fleet[0].vehicle[:-1]}_", "no such device", "\x00"):  # no pattern
        assert (await api.http.get("/v1/devices", params={"search": part})).json() == {"items": [], "next": None}


async def test_the_filters_keep_kinds_and_statuses(api: Api, fleet: list[Pair]) -> None:
    one, two, three = fleet
    everybody = sorted([one.meter, one.vehicle, two.meter, two.vehicle, three.meter, three.vehicle])
    assert await ids(api, fleet) == everybody
    assert await ids(api, fleet, kind="meter") == sorted([one.meter, two.meter, three.meter])
    assert await ids(api, fleet, kind="vehicle") == sorted([one.vehicle, two.vehicle, three.vehicle])
    assert await ids(api, fleet, status="reporting") == sorted([one.meter, one.vehicle])
    assert await ids(api, fleet, status="silent") == sorted([two.meter, two.vehicle, three.vehicle])
    assert await ids(api, fleet, status="retired") == [three.meter]


async def test_a_status_is_that_of_the_counts_of_the_fleet(api: Api, fleet: list[Pair]) -> None:
    summary = (await api.http.get("/v1/analytics/fleet")).json()
    for kind, counted in (("meter", summary["silentMeters"]), ("vehicle", summary["silentVehicles"])):
        params = {"kind": kind, "status": "silent", "limit": 10_000}
        assert len((await api.http.get("/v1/devices", params=params)).json()["items"]) == counted


@pytest.mark.parametrize("sort", ["deviceId", "-deviceId", "timestamp", "-timestamp", *ENERGY_SORTS])
async def test_a_page_goes_on_where_the_one_before_it_ended(
    api: Api, fleet: list[Pair], unequal: list[Pair], sort: str
) -> None:
    params = {"search": part_of(fleet), "sort": sort, "limit": 10_000}
    whole = (await api.http.get("/v1/devices", params=params)).json()["items"]
    key = sort.removeprefix("-")
    if sort not in ENERGY_SORTS:
        assert whole == sorted(
            whole, key=lambda item: (item[key], item["deviceId"], item["kind"]), reverse=sort.startswith("-")
        )
    found, params = [], {**params, "limit": 2}
    while True:
        page = (await api.http.get("/v1/devices", params=params)).json()
        assert len(page["items"]) == 2 or page["next"] is None
        found += page["items"]
        if page["next"] is None:
            break
        params["cursor"] = page["next"]
    assert found == whole


@pytest.fixture(scope="module")
async def unequal(api: Api) -> AsyncIterator[list[Pair]]:
    """Pairs with readings of two hours, kWh (AC and DC) 4 and 3, 2 and 1.9, 4 and 3, and one of days ago."""
    pairs = [new_pair() for _ in range(4)]
    for pair, ac, dc in zip(pairs, (4.0, 2.0, 4.0), (3.0, 1.9, 3.0), strict=False):
        for hours in (2, 3):
            time = now() - timedelta(hours=hours)
            assert (await api.post_meter(pair.meter, time, kwhConsumedAc=ac)).status_code == 201
            assert (await api.post_vehicle(pair.vehicle, time, kwhDeliveredDc=dc)).status_code == 201
    await api.post_meter(pairs[3].meter, now() - timedelta(days=3))
    await api.post_vehicle(pairs[3].vehicle, now() - timedelta(days=3))
    yield pairs


async def test_the_energies_and_efficiencies_of_a_day_order_the_list(api: Api, unequal: list[Pair]) -> None:
    first, second, third, none = (pair.vehicle for pair in unequal)
    for sort, expected in (
        ("energy", [second, first, third, none]),
        ("-energy", [first, third, second, none]),
        ("efficiency", [first, third, second, none]),
        ("-efficiency", [second, first, third, none]),
    ):
        assert await ids(api, unequal, kind="vehicle", sort=sort) == expected, sort
    meters = [pair.meter for pair in unequal]
    assert await ids(api, unequal, kind="meter", sort="energy") == [meters[n] for n in (1, 0, 2, 3)]
    both = await ids(api, unequal, sort="-energy")
    assert both[:2] == [meters[0], meters[2]]  # 8 kWh
    params = {"search": part_of(unequal), "sort": "energy", "limit": 10_000}
    listed = {item["deviceId"]: item for item in (await api.http.get("/v1/devices", params=params)).json()["items"]}
    day = ("kwh24h", "efficiencyRatio", "efficiencyStatus")
    assert [listed[first][name] for name in day] == [6.0, 0.75, "low"]
    assert [listed[second][name] for name in day] == [3.8, 0.95, "normal"]
    assert [listed[none][name] for name in day] == [None, None, "unknown"]
    assert [listed[meters[0]][name] for name in day] == [8.0, None, None]


async def test_the_lowest_efficiencies_are_those_of_the_fleets_overview(api: Api, unequal: list[Pair]) -> None:
    worst = (await api.http.get("/v1/fleet")).json()["worst"]
    assert worst
    params = {"kind": "vehicle", "sort": "efficiency", "limit": len(worst)}
    names = ("efficiencyRatio", "efficiencyStatus")
    listed = (await api.http.get("/v1/devices", params=params)).json()["items"]
    assert [(item["deviceId"], item["kwh24h"], *(item[name] for name in names)) for item in listed] == [
        (item["vehicleId"], item["kwhDeliveredDc"], *(item[name] for name in names)) for item in worst
    ]


async def test_a_cursor_is_one_of_its_order(api: Api, unequal: list[Pair]) -> None:
    params = {"kind": "vehicle", "limit": 1, "sort": "energy"}
    cursor = (await api.http.get("/v1/devices", params=params)).json()["next"]
    answer = await api.http.get("/v1/devices", params={**params, "sort": "timestamp", "cursor": cursor})
    assert_problem(answer, 422, "parameter_invalid", "cursor")


async def test_a_meter_and_a_vehicle_of_the_same_id_are_two_devices_of_two_pages(api: Api) -> None:
    same = new_pair().meter
    await api.post_meter(same, NOW - MINUTE)
    await api.post_vehicle(same, NOW - MINUTE)
    for sort in ("deviceId", "-deviceId", "timestamp", "-timestamp", *ENERGY_SORTS):
        first = (await api.http.get("/v1/devices", params={"search": same, "limit": 1, "sort": sort})).json()
        params = {"search": same, "limit": 1, "sort": sort, "cursor": first["next"]}
        second = (await api.http.get("/v1/devices", params=params)).json()
        kinds = [page["items"][0]["kind"] for page in (first, second)]
        if sort not in ENERGY_SORTS:
            assert kinds == sorted(["meter", "vehicle"], reverse=sort.startswith("-"))
        assert set(kinds) == {"meter", "vehicle"}
        assert second["next"] is None


async def test_csv_and_ndjson_have_the_items_and_name_the_next_page(api: Api, fleet: list[Pair]) -> None:
    params = {"search": part_of(fleet), "kind": "vehicle", "limit": 2}
    items = (await api.http.get("/v1/devices", params=params)).json()["items"]
    lines = await api.http.get("/v1/devices", params={**params, "format": "ndjson"})
    assert [json.loads(line) for line in lines.text.splitlines()] == items
    table = await api.http.get("/v1/devices", params=params, headers={"accept": "text/csv"})
    rows = list(csv.DictReader(table.text.splitlines()))
    assert [(row["deviceId"], row["soc"], row["voltage"]) for row in rows] == [
        (item["deviceId"], str(item["soc"]), "") for item in items
    ]
    following = await api.http.get(table.links["next"]["url"], headers={"accept": "text/csv"})
    more = [row["deviceId"] for row in csv.DictReader(following.text.splitlines())]
    assert more
    assert all(device > items[-1]["deviceId"] for device in more)


@pytest.mark.parametrize(
    ("params", "word"),
    [
        ({"kind": "charger"}, "kind"),
        ({"status": "stale"}, "status"),
        ({"sort": "soc"}, "sort"),
        ({"search": "x" * 65}, "search"),
        ({"cursor": "x"}, "cursor"),
        ({"limit": 0}, "limit"),
        ({"format": "xml"}, "format"),
        ({"page": 2}, "page"),
    ],
    ids=str,
)
async def test_what_makes_no_sense_is_refused(api: Api, params: dict, word: str) -> None:
    assert_problem(await api.http.get("/v1/devices", params=params), 422, "parameter_invalid", word)
