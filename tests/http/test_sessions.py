"""GET /v1/sessions...: filters, pages and formats; tests/sql/test_sessions.py has the rules."""

import csv
import json
from datetime import timedelta

import pytest

from tests.support import NOW, Api, Owner, Pair, assert_problem, new_pair, rfc3339

MINUTE = timedelta(minutes=1)
START = (NOW - timedelta(days=3)).replace(minute=0, second=0, microsecond=0)
WINDOW = {"start": rfc3339(START - MINUTE), "hours": 24}


@pytest.fixture(scope="module")
async def charged(api: Api) -> tuple[Pair, Pair]:
    """Two vehicles with three sessions of ten minutes each, an hour apart: one loses 10 %, the other 50 %."""
    pairs = (new_pair(), new_pair())
    for pair, kwh_dc in zip(pairs, (0.9, 0.5), strict=True):
        ends = [START + timedelta(hours=hour) + n * MINUTE for hour in range(3) for n in range(1, 11)]
        meter = [
            {"meterId": pair.meter, "kwhConsumedAc": 1.0, "voltage": 230, "timestamp": rfc3339(end)} for end in ends
        ]
        vehicle = [
            {
                "vehicleId": pair.vehicle,
                "kwhDeliveredDc": kwh_dc,
                "soc": 20 + n,
                "batteryTemp": 25,
                "timestamp": rfc3339(end),
            }
            for n, end in enumerate(ends)
        ]
        for batch in (meter, vehicle):
            assert (await api.http.post("/v1/ingest/batch", json=batch)).status_code == 201
    return pairs


async def test_a_vehicles_sessions_are_listed_in_order_of_time(api: Api, charged: tuple[Pair, Pair]) -> None:
    page = (await api.http.get(f"/v1/sessions/{charged[0].vehicle}", params=WINDOW)).json()
    assert page["next"] is None
    assert [item["startedAt"] for item in page["items"]] == [rfc3339(START + timedelta(hours=n)) for n in range(3)]
    first = dict(page["items"][0])
    assert len(first.pop("sessionId")) == 36
    assert first == {
        "vehicleId": charged[0].vehicle,
        "meterId": charged[0].meter,
        "startedAt": rfc3339(START),
        "endedAt": rfc3339(START + 10 * MINUTE),
        "durationS": 600.0,
        "kwhDeliveredDc": 9.0,
        "kwhConsumedAc": 10.0,
        "kwhLost": 1.0,
        "efficiencyRatio": 0.9,
        "efficiencyStatus": "normal",
        "socStart": 20.0,
        "socEnd": 29.0,
        "batteryTempAvg": 25.0,
        "batteryTempMax": 25.0,
        "meanKw": pytest.approx(54),
        "peakKw": pytest.approx(54),
        "readings": 10,
        "meterReadings": 10,
        "isComplete": True,
        "isOpen": False,
        "currency": None,
        "cost": None,
        "co2Kg": None,
    }


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({"vehicleId": 0}, [0, 0, 0]),
        ({"meterId": 1}, [1, 1, 1]),
        ({"status": "low"}, [1, 1, 1]),
        ({"status": "normal"}, [0, 0, 0]),
        ({"status": "unknown"}, []),
        ({"isOpen": "true"}, []),
        ({"isOpen": "false", "meterId": 0}, [0, 0, 0]),
        ({"meterId": 0, "status": "low"}, []),
    ],
)
async def test_the_fleets_sessions_are_filtered(
    api: Api, charged: tuple[Pair, Pair], filters: dict, wanted: list[int]
) -> None:
    ids = {"vehicleId": [pair.vehicle for pair in charged], "meterId": [pair.meter for pair in charged]}
    params = {**WINDOW, **{name: ids[name][value] if name in ids else value for name, value in filters.items()}}
    page = (await api.http.get("/v1/sessions", params=params)).json()
    found = [item["vehicleId"] for item in page["items"]]
    of_these = [vehicle for vehicle in found if vehicle in ids["vehicleId"]]
    assert of_these == [ids["vehicleId"][number] for number in wanted]


async def test_pages_follow_each_other_in_the_window_of_the_first(api: Api, charged: tuple[Pair, Pair]) -> None:
    vehicles = [pair.vehicle for pair in charged]
    whole = (await api.http.get("/v1/sessions", params=WINDOW)).json()["items"]
    assert [(item["startedAt"], item["vehicleId"]) for item in whole if item["vehicleId"] in vehicles] == [
        (rfc3339(START + timedelta(hours=hour)), vehicle) for hour in range(3) for vehicle in sorted(vehicles)
    ]
    found, params = [], {**WINDOW, "limit": 2}
    while True:
        page = (await api.http.get("/v1/sessions", params=params)).json()
        found += page["items"]
        if page["next"] is None:
            break
        params = {"limit": 2, "cursor": page["next"]}
    assert found == whole


@pytest.mark.parametrize("fleet", [True, False])
async def test_csv_and_ndjson_have_the_items_and_name_the_next_page(
    api: Api, charged: tuple[Pair, Pair], fleet: bool
) -> None:
    vehicle = charged[0].vehicle
    url = "/v1/sessions" if fleet else f"/v1/sessions/{vehicle}"
    params = {**WINDOW, "limit": 2} | ({"vehicleId": vehicle} if fleet else {})
    items = (await api.http.get(url, params=params)).json()["items"]
    lines = await api.http.get(url, params={**params, "format": "ndjson"})
    assert [json.loads(line) for line in lines.text.splitlines()] == items
    table = await api.http.get(url, params={**params, "format": "csv"})
    assert [row["startedAt"] for row in csv.DictReader(table.text.splitlines())] == [
        item["startedAt"] for item in items
    ]
    following = table.headers["link"].partition("<")[2].partition(">")[0]
    rest = await api.http.get(following)
    assert [row["vehicleId"] for row in csv.DictReader(rest.text.splitlines())] == [vehicle]


@pytest.mark.parametrize("fleet", [True, False])
async def test_cost_and_co2_are_those_of_the_prices_if_asked_for(
    api: Api, owner: Owner, charged: tuple[Pair, Pair], fleet: bool
) -> None:
    pair = charged[0]
    await owner.execute("SELECT ops.set_price_zone($1)", pair.meter)
    await owner.execute("SELECT ops.set_meter_zone($1, $1)", pair.meter)
    await owner.execute("SELECT ops.set_price(0.3, 'EUR', $1)", pair.meter)
    await owner.execute("SELECT ops.set_grid_intensity(250, $1)", pair.meter)
    url, filters = ("/v1/sessions", {"vehicleId": pair.vehicle}) if fleet else (f"/v1/sessions/{pair.vehicle}", {})
    for asked, expected in (("true", ("EUR", 3.0, 2.5)), ("false", (None, None, None))):
        params = {**WINDOW, **filters, "withCost": asked}
        items = (await api.http.get(url, params=params)).json()["items"]
        assert [(item["currency"], item["cost"], item["co2Kg"]) for item in items] == [expected] * 3


async def test_what_is_wrong_is_named(api: Api) -> None:
    assert_problem(await api.http.get("/v1/sessions/nobody"), 404, "vehicle_unknown")
    assert_problem(await api.http.get("/v1/sessions", params={"cursor": "x"}), 422, "parameter_invalid")
    assert_problem(await api.http.get("/v1/sessions", params={"status": "good"}), 422, "parameter_invalid")
    assert_problem(await api.http.get("/v1/sessions", params={"hours": 0}), 422, "window_invalid")
    for url in ("/v1/sessions", "/v1/sessions/nobody"):
        long = await api.http.get(url, params={"limit": 1001, "withCost": True})
        assert_problem(long, 422, "parameter_invalid", "with withCost, limit must be from 1 to 1000, not 1001")
    nobody = await api.http.get("/v1/sessions", params={"vehicleId": "nobody"})
    assert nobody.json() == {"items": [], "next": None}
