"""GET /v1/analytics/cost: days and months of a vehicle and of the fleet."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.support import NOW, Api, Owner, Pair, assert_problem, rfc3339

MONTH = (NOW.replace(day=1) - timedelta(days=1)).replace(day=1, hour=0, minute=0)
HOUR = timedelta(hours=1)


async def costs(api: Api, path: str, **query: Any) -> list[dict[str, Any]]:
    answer = await api.http.get(f"/v1/analytics/cost{path}", params=query)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def charge(api: Api, owner: Owner, pair: Pair) -> None:
    """10 and 20 kWh on the first and second day of last month, of which the first has no price."""
    await api.post_vehicle(pair.vehicle, MONTH + HOUR)
    await api.post_meter(pair.meter, MONTH + HOUR, kwhConsumedAc=10.0)
    await api.post_meter(pair.meter, MONTH + 25 * HOUR, kwhConsumedAc=20.0)
    await owner.execute("SELECT ops.set_price_zone($1)", pair.meter)
    await owner.execute("SELECT ops.set_meter_zone($1, $1)", pair.meter)
    await owner.execute("SELECT ops.set_price(0.3, 'XTS', $1, $2)", pair.meter, MONTH + 24 * HOUR)
    await owner.execute("SELECT ops.set_grid_intensity(250, $1)", pair.meter)


def bucket(day: int, currency: str | None, kwh: float, cost: float | None, co2: float) -> dict[str, Any]:
    return {
        "bucket": rfc3339(MONTH + timedelta(days=day)),
        "currency": currency,
        "kwhConsumedAc": kwh,
        "kwhPriced": kwh if currency else 0.0,
        "cost": cost,
        "kwhWithIntensity": kwh,
        "co2Kg": co2,
        "isOpen": False,
    }


async def test_days_and_months_of_a_vehicle_have_their_cost_and_co2(api: Api, owner: Owner, pair: Pair) -> None:
    await charge(api, owner, pair)
    window = {"start": rfc3339(MONTH), "hours": 48}
    assert await costs(api, f"/{pair.vehicle}", **window) == [
        bucket(0, None, 10.0, None, 2.5),
        bucket(1, "XTS", 20.0, 6.0, 5.0),
    ]
    assert await costs(api, f"/{pair.vehicle}", resolution="monthly", **window) == [
        bucket(0, "XTS", 20.0, 6.0, 5.0),
        bucket(0, None, 10.0, None, 2.5),
    ]
    assert await costs(api, f"/{pair.vehicle}", start=rfc3339(MONTH + HOUR), hours=22) == []


async def test_the_fleet_is_the_sum_of_its_vehicles(api: Api, owner: Owner, pair: Pair) -> None:
    window = {"start": rfc3339(MONTH), "hours": 48, "resolution": "monthly"}

    async def fleet() -> float:
        return sum(item["cost"] for item in await costs(api, "", **window) if item["currency"] == "XTS")

    before = await fleet()
    await charge(api, owner, pair)
    assert abs(await fleet() - before - 6.0) < 1e-6


async def test_a_month_that_is_not_over_is_open(api: Api, owner: Owner, pair: Pair) -> None:
    await api.post_vehicle(pair.vehicle, NOW - HOUR / 60)
    await api.post_meter(pair.meter, NOW - HOUR / 60)
    start = (NOW - HOUR / 60).replace(day=1, hour=0, minute=0)
    [item] = await costs(api, f"/{pair.vehicle}", resolution="monthly", start=rfc3339(start), hours=1)
    assert (item["isOpen"], item["currency"], item["cost"]) == (NOW.month == start.month, None, None)


async def test_what_cannot_be_answered_is_a_problem(api: Api, pair: Pair) -> None:
    assert_problem(await api.http.get(f"/v1/analytics/cost/{pair.vehicle}"), 404, "vehicle_unknown")
    assert_problem(await api.http.get("/v1/analytics/cost?resolution=hourly"), 422, "parameter_invalid")
    assert_problem(await api.http.get("/v1/analytics/cost?start=2026-01-01"), 422, "parameter_invalid")
