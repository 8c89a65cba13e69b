"""GET /v1/analytics/efficiency and /fleet: who is below, and how all are."""

from datetime import timedelta

import pytest

from service.http.parameters import encode_cursor
from tests.support import NOW, Api, assert_problem, new_pair, rfc3339

# a time that no other test uses
START = NOW - timedelta(days=211)
WINDOW = {"start": rfc3339(START), "hours": 1}


async def test_the_worst_come_first_page_by_page_and_the_fleet_adds_up(api: Api) -> None:
    ratios = [0.5, 0.7, 0.7, 0.84, 0.85, 0.95, 1.2]
    pairs = [new_pair() for _ in ratios]
    for pair, ratio in zip(pairs, ratios, strict=True):
        for minute in range(2):
            await api.post_meter(pair.meter, START + timedelta(minutes=minute + 1), kwhConsumedAc=10.0)
            await api.post_vehicle(pair.vehicle, START + timedelta(minutes=minute + 1), kwhDeliveredDc=10 * ratio)
    alone = new_pair()
    await api.post_vehicle(alone.vehicle, START + timedelta(minutes=1), kwhDeliveredDc=5.0)
    parked = new_pair()
    await api.post_meter(parked.meter, START + timedelta(minutes=1), kwhConsumedAc=0.02)
    await api.post_vehicle(parked.vehicle, START + timedelta(minutes=1), kwhDeliveredDc=0.0)

    found, params = [], {**WINDOW, "limit": 3}
    while True:
        page = (await api.http.get("/v1/analytics/efficiency", params=params)).json()
        found += [(item["efficiencyRatio"], item["vehicleId"]) for item in page["items"]]
        if page["next"] is None:
            break
        params = {"cursor": page["next"], "limit": 3}
    assert found == sorted((ratio, pair.vehicle) for pair, ratio in zip(pairs[:4], ratios, strict=False))
    every = (await api.http.get("/v1/analytics/efficiency", params={**WINDOW, "below": 2})).json()["items"]
    assert len(every) == len(ratios)

    fleet = (await api.http.get("/v1/analytics/fleet", params=WINDOW)).json()
    assert fleet["totalEnergyConsumedAc"] == 140.0
    assert fleet["totalEnergyDeliveredDc"] == pytest.approx(2 * 10 * sum(ratios))
    assert fleet["efficiencyRatio"] == round(sum(ratios) / 7, 4)
    counts = [fleet[f"vehicles{kind}"] for kind in ("", "Normal", "Low", "Impossible", "Idle", "Unknown")]
    assert counts == [9, 2, 4, 1, 1, 1]
    bands = {band["ratioFrom"]: band["vehicles"] for band in fleet["distribution"] if band["vehicles"]}
    assert bands == {0.5: 1, 0.7: 2, 0.8: 1, 0.85: 1, 0.95: 1, 1.0: 1}
    silent = {device["deviceId"] for device in fleet["silentDevices"]}
    assert fleet["silentVehicles"] >= 8
    assert len(silent) <= 100


@pytest.mark.parametrize(
    ("start", "code"),
    [
        ("0001-01-01T00:00:00Z", "window_invalid"),
        ("0001-01-01T00:00:00+23:59", "window_invalid"),
        ("9999-12-31T23:59:59.999999-23:59", "window_invalid"),
        ("2026-01-01T00:00:00", "parameter_invalid"),  # of no zone
    ],
)
async def test_a_cursor_with_a_time_that_no_page_has_is_refused(api: Api, start: str, code: str) -> None:
    cursor = encode_cursor(start, "2026-01-02T00:00:00Z", 0.85, 0.5, "V1")
    assert_problem(await api.http.get("/v1/analytics/efficiency", params={"cursor": cursor}), 422, code)


async def test_what_makes_no_sense_is_refused(api: Api) -> None:
    for params, code in (({"hours": 0}, "window_invalid"), ({"hours": "x"}, "parameter_invalid")):
        assert_problem(await api.http.get("/v1/analytics/fleet", params=params), 422, code, "hours")
    for params in ({"cursor": "x"}, {"cursor": "W10"}, {"limit": 0}, {"below": "x"}):
        response = await api.http.get("/v1/analytics/efficiency", params=params)
        assert_problem(response, 422, "parameter_invalid")
