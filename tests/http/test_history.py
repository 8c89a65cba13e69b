"""GET /v1/history/...: pages, resolutions and formats."""

import csv
import json
from datetime import timedelta

import pytest

from tests.support import NOW, Api, Pair, assert_problem, rfc3339

START = (NOW - timedelta(days=1)).replace(minute=0)
WINDOW = {"start": rfc3339(START), "hours": 2}


@pytest.fixture
async def sent(api: Api, pair: Pair) -> Pair:
    for n in range(9):
        end = START + timedelta(minutes=10 * (n + 1))
        await api.post_meter(pair.meter, end, kwhConsumedAc=2.0**n, voltage=230.0 + n)
        await api.post_vehicle(pair.vehicle, end, kwhDeliveredDc=1.0, soc=50.0 + n)
    return pair


async def test_a_page_goes_on_where_the_one_before_it_ended(api: Api, sent: Pair) -> None:
    found, cursor = [], None
    for _ in range(3):
        params = {**WINDOW, "limit": 4} | ({"cursor": cursor} if cursor else {})
        page = (await api.http.get(f"/v1/history/meter/{sent.meter}", params=params)).json()
        found += [item["kwhConsumedAc"] for item in page["items"]]
        cursor = page["next"]
    assert (found, cursor) == ([2.0**n for n in range(9)], None)


async def test_buckets_are_those_of_the_aggregates(api: Api, sent: Pair) -> None:
    params = {**WINDOW, "resolution": "hourly"}
    meter = (await api.http.get(f"/v1/history/meter/{sent.meter}", params=params)).json()["items"]
    assert [(item["bucket"], item["kwhConsumedAc"], item["readings"]) for item in meter] == [
        (rfc3339(START), 63.0, 6),
        (rfc3339(START + timedelta(hours=1)), 448.0, 3),
    ]
    assert (meter[0]["voltageMin"], meter[0]["voltageAvg"], meter[0]["voltageMax"]) == (230.0, 232.5, 235.0)
    params["resolution"] = "15min"
    vehicle = (await api.http.get(f"/v1/history/vehicle/{sent.vehicle}", params=params)).json()["items"]
    assert [item["readings"] for item in vehicle] == [1, 2, 1, 2, 1, 2]
    assert (vehicle[1]["socFirst"], vehicle[1]["socLast"]) == (51.0, 52.0)


@pytest.mark.parametrize("asked", ["parameter", "header"])
async def test_csv_and_ndjson_have_the_items_and_name_the_next_page(api: Api, sent: Pair, asked: str) -> None:
    url = f"/v1/history/meter/{sent.meter}"

    async def get(name: str, media_type: str):
        params = {**WINDOW, "limit": 2} | ({"format": name} if asked == "parameter" else {})
        response = await api.http.get(url, params=params, headers={"accept": media_type} if asked == "header" else {})
        assert response.headers["content-type"].startswith(media_type)
        return response

    lines = await get("ndjson", "application/x-ndjson")
    items = [json.loads(line) for line in lines.text.splitlines()]
    assert [item["kwhConsumedAc"] for item in items] == [1.0, 2.0]
    table = await get("csv", "text/csv")
    assert list(csv.DictReader(table.text.splitlines()))[1]["timestamp"] == items[1]["timestamp"]
    following = await api.http.get(table.links["next"]["url"], headers={"accept": "text/csv"})
    assert [row["kwhConsumedAc"] for row in csv.DictReader(following.text.splitlines())] == ["4.0", "8.0"]


@pytest.mark.parametrize(
    ("params", "word"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 10001}, "limit"),
        ({"resolution": "weekly"}, "resolution"),
        ({"cursor": "x"}, "cursor"),
        ({"format": "xml"}, "format"),
    ],
    ids=str,
)
async def test_what_makes_no_sense_is_refused(api: Api, sent: Pair, params: dict, word: str) -> None:
    assert_problem(await api.http.get(f"/v1/history/meter/{sent.meter}", params=params), 422, "parameter_invalid", word)


async def test_an_unknown_device_has_no_history(api: Api, pair: Pair) -> None:
    for resolution in ("raw", "daily"):
        response = await api.http.get(f"/v1/history/vehicle/{pair.vehicle}", params={"resolution": resolution})
        assert_problem(response, 404, "vehicle_unknown", pair.vehicle)
