"""/v1/alerts: lists in pages, one alert, and its acknowledgement."""

import csv
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from service.database.pool import Database
from tests.http.test_auth import REQUIRED, bearer, token
from tests.support import Api, Owner, Pair, assert_problem, new_pair, served
from tests.support.delivery import CLOSE, open_alert


@pytest.fixture
async def guarded(database: Database) -> AsyncIterator[Api]:
    async with served(database, REQUIRED) as api:
        yield api


async def listed(api: Api, **parameters: Any) -> list[int]:
    response = await api.http.get("/v1/alerts", params=parameters)
    assert response.status_code == 200, response.text
    return [item["id"] for item in response.json()["items"]]


async def test_an_alert_is_answered_with_its_figures(api: Api, owner: Owner, pair: Pair) -> None:
    number = await open_alert(owner, pair.vehicle)
    response = await api.http.get(f"/v1/alerts/{number}")
    assert response.status_code == 200
    alert = response.json()
    assert alert["openedAt"] == alert["lastSeenAt"]
    assert alert["openedAt"].endswith("Z")
    assert {name: alert[name] for name in alert if name not in {"openedAt", "lastSeenAt"}} == {
        **{"id": number, "ruleName": "efficiency_low", "ruleKind": "efficiency_low", "kind": "vehicle"},
        **{"deviceId": pair.vehicle, "severity": "warning", "closedAt": None, "closeReason": None, "value": 0.79},
        **{"threshold": 0.85, "reason": "efficiency 79 % is below 85 %", "details": {"kwh_consumed_ac": 40}},
        **{"energyLostKwh": None, "acknowledgedAt": None, "acknowledgedBy": None, "note": None},
    }
    assert (await api.http.get("/v1/alerts", params={"deviceId": pair.vehicle})).json() == {
        "items": [alert],
        "next": None,
        "mayAcknowledge": True,
    }


async def test_alerts_are_listed_by_state_device_fault_and_severity(api: Api, owner: Owner, pair: Pair) -> None:
    low = await open_alert(owner, pair.vehicle)
    hot = await open_alert(owner, pair.vehicle, "battery_hot", "critical")
    over = await open_alert(owner, pair.vehicle, "charger_fading", "info")
    await owner.execute(CLOSE, over)
    meter = await open_alert(owner, pair.meter, "voltage_outside", kind="meter")
    device = {"deviceId": pair.vehicle}
    assert await listed(api, **device) == [hot, low]
    assert await listed(api, state="closed", **device) == [over]
    assert await listed(api, state="all", **device) == [over, hot, low]
    assert await listed(api, severity="critical", **device) == [hot]
    assert await listed(api, ruleKind="efficiency_low", **device) == [low]
    assert await listed(api, kind="meter", **device) == []
    assert await listed(api, kind="meter", deviceId=pair.meter) == [meter]
    assert (await listed(api))[0] == meter, "the newest first"
    assert await listed(api, deviceId="nobody\x00") == []


async def test_pages_have_every_alert_once(api: Api, owner: Owner, pair: Pair) -> None:
    numbers = []
    for rule in ("efficiency_low", "battery_hot", "charger_fading"):
        numbers.append(await open_alert(owner, pair.vehicle, rule))
    parameters = {"deviceId": pair.vehicle, "limit": 2}
    first = (await api.http.get("/v1/alerts", params=parameters)).json()
    await open_alert(owner, pair.vehicle, "standby_high")  # opened meanwhile
    second = (await api.http.get("/v1/alerts", params=parameters | {"cursor": first["next"]})).json()
    assert [item["id"] for item in first["items"] + second["items"]] == numbers[::-1]
    assert second["next"] is None
    assert len(await listed(api, limit=10_000, deviceId=pair.vehicle)) == 4


async def test_csv_and_ndjson_have_the_items_and_name_the_next_page(api: Api, owner: Owner, pair: Pair) -> None:
    numbers = [
        await open_alert(owner, pair.vehicle, rule) for rule in ("efficiency_low", "battery_hot", "standby_high")
    ]
    note = '=HYPERLINK("http://example.com"), ordered'
    await api.post(f"/v1/alerts/{numbers[1]}/acknowledge", {"note": note})
    params = {"deviceId": pair.vehicle, "limit": 2}
    items = (await api.http.get("/v1/alerts", params=params)).json()["items"]
    lines = await api.http.get("/v1/alerts", params={**params, "format": "ndjson"})
    assert [json.loads(line) for line in lines.text.splitlines()] == items
    table = await api.http.get("/v1/alerts", params=params, headers={"accept": "text/csv"})
    rows = list(csv.DictReader(table.text.splitlines()))
    assert [int(row["id"]) for row in rows] == numbers[:0:-1]
    assert (rows[0]["openedAt"], rows[0]["closedAt"]) == (items[0]["openedAt"], "")
    assert json.loads(rows[0]["details"]) == items[0]["details"]
    assert rows[1]["note"] == f"'{note}", "no formula to a spreadsheet"
    following = await api.http.get(table.links["next"]["url"], headers={"accept": "text/csv"})
    assert [int(row["id"]) for row in csv.DictReader(following.text.splitlines())] == numbers[:1]


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"state": "new"}, "state"),
        ({"kind": "house"}, "kind must be meter or vehicle"),
        ({"ruleKind": "hunger"}, "ruleKind must be efficiency_low, "),
        ({"severity": "page"}, "severity must be info, warning or critical"),
        ({"limit": 0}, "limit must be from 1 to 10000"),
        ({"limit": 10_001}, "limit must be from 1 to 10000"),
        ({"cursor": "x"}, "cursor must be the `next` of a page"),
        ({"cursor": "WzBd"}, "cursor must be the `next` of a page"),  # [0]
        ({"device": "V1"}, "device"),
        ({"format": "xml"}, "format"),
    ],
    ids=str,
)
async def test_a_parameter_that_makes_no_sense_is_named(api: Api, parameters: dict[str, Any], words: str) -> None:
    assert_problem(await api.http.get("/v1/alerts", params=parameters), 422, "parameter_invalid", words)


async def test_the_first_acknowledgement_stays(guarded: Api, owner: Owner, pair: Pair) -> None:
    number = await open_alert(owner, pair.vehicle)
    path = f"/v1/alerts/{number}/acknowledge"
    keys = [await token(owner, "admin") for _ in range(2)]
    answers = [
        await guarded.http.post(path, json=body, headers=bearer(key))
        for key, body in zip([*keys, keys[0]], [{"note": "ordered\x00a cable"}, {"note": "me too"}, {}], strict=True)
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    first = answers[0].json()
    assert (first["acknowledgedBy"], first["note"]) == (keys[0].partition(".")[0], "ordered\ufffda cable")
    assert first["acknowledgedAt"]
    assert [answer.json() for answer in answers] == [first] * 3


async def test_without_keys_an_acknowledgement_has_the_address_of_its_sender(
    api: Api, owner: Owner, pair: Pair
) -> None:
    number = await open_alert(owner, pair.vehicle)
    answer = await api.post(f"/v1/alerts/{number}/acknowledge", {})
    assert (answer.json()["acknowledgedBy"], answer.json()["note"]) == ("127.0.0.1", None)


@pytest.mark.parametrize("number", ["9223372036854775807", "9223372036854775808", "0", "-1", "x", "1e3", "9" * 40, "²"])
async def test_an_alert_that_there_is_not_is_404(api: Api, number: str) -> None:
    assert_problem(await api.http.get(f"/v1/alerts/{number}"), 404, "alert_unknown", "there is no alert")
    assert_problem(await api.post(f"/v1/alerts/{number}/acknowledge", {}), 404, "alert_unknown", "there is no alert")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"note": "a" * 1025}, 422, "parameter_invalid"),
        ({"note": 5}, 422, "parameter_invalid"),
        ({"by": "me"}, 422, "parameter_invalid"),
        (b"{", 400, "body_malformed"),
    ],
    ids=["too long", "no text", "unknown field", "no JSON"],
)
async def test_an_acknowledgement_that_makes_no_sense_changes_nothing(
    api: Api, owner: Owner, body: Any, status: int, code: str
) -> None:
    number = await open_alert(owner, new_pair().vehicle)
    assert_problem(await api.post(f"/v1/alerts/{number}/acknowledge", body), status, code)
    assert (await api.http.get(f"/v1/alerts/{number}")).json()["acknowledgedAt"] is None
