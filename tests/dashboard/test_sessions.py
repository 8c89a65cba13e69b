"""Charging sessions on the pages, with their power, cost and months, in a real browser."""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Locator, Page, expect

from tests.dashboard.test_pages import card, shown
from tests.dashboard.world import HOUR, current_hour
from tests.support import Api, Owner, Pair, meter_reading, new_pair, vehicle_reading

pytestmark = pytest.mark.long

INTERVAL = timedelta(minutes=5)
START = current_hour() - 6 * HOUR
PHONE = {"width": 360, "height": 740}


async def charge(api: Api) -> Pair:
    """A pair with a session of an hour, 12 kWh (AC) and 9 kWh (DC): first 12 kW, then 6 kW; from 40 % to 52 %."""
    pair = new_pair()
    stamps = [START + n * INTERVAL for n in range(13)]
    powers = [0.0] + [1.0] * 6 + [0.5] * 6
    vehicle = [
        vehicle_reading(pair.vehicle, at, kwhDeliveredDc=kwh, soc=40 + n)
        for n, (at, kwh) in enumerate(zip(stamps, powers, strict=True))
    ]
    meter = [meter_reading(pair.meter, at, kwhConsumedAc=1.0) for at in stamps[1:]]
    for kind, batch in (("vehicle", vehicle), ("meter", meter)):
        assert (await api.post(f"/v1/ingest/{kind}/batch", batch)).status_code == 201
    return pair


@pytest.fixture(scope="module")
async def plain(api: Api) -> Pair:
    """Charged, and without a price."""
    return await charge(api)


@pytest.fixture(scope="module")
async def priced(api: Api, owner: Owner) -> Pair:
    """Charged for EUR 0.25 and 300 g CO2 a kWh."""
    pair = await charge(api)
    await owner.execute("SELECT ops.set_price_zone($1)", pair.meter)
    await owner.execute("SELECT ops.set_meter_zone($1, $1)", pair.meter)
    await owner.execute("SELECT ops.set_price(0.25, 'EUR', $1)", pair.meter)
    await owner.execute("SELECT ops.set_grid_intensity(300, $1)", pair.meter)
    return pair


async def cells(row: Locator) -> list[str]:
    return [text.replace("\u00a0", " ") for text in await row.locator("th, td").all_inner_texts()]


async def headings(table: Locator) -> list[str]:
    texts: list[str] = await table.locator("thead th").all_inner_texts()
    return texts


async def test_a_vehicles_session_has_its_power_and_cost_and_leads_to_its_charts(
    api: Api, priced: Pair, new_page: Callable[..., Any]
) -> None:
    page: Page = await new_page(api, f"/#/vehicle/{priced.vehicle}")
    sessions = card(page, "Charging sessions")
    row = sessions.locator("tbody tr")
    await expect(row).to_have_count(1)
    [_, *found] = await cells(row)
    expected = ["1:00 h", "9.00", "12.00", "75.0 %", "low", "40 to 52", "", "9.0", "12.0", "EUR 3.00", "3.60"]
    assert found == [*expected, priced.meter]
    await expect(row.get_by_role("img", name="From 12.0 kW to 6.0 kW, at most 12.0 kW")).to_be_visible()
    await row.get_by_role("link").first.click()
    await expect(page.locator(".ranges .shown")).to_contain_text(f"{START:%H:%M} to")
    query = await page.evaluate("location.hash")
    assert query.endswith(f"?start={START:%Y-%m-%dT%H:%M:%SZ}&end={START + HOUR:%Y-%m-%dT%H:%M:%SZ}")
    energy = card(page, "Energy")
    await energy.locator("summary").click()
    await expect(energy.locator(".scroll tbody tr")).to_have_count(4)


async def test_where_there_is_no_price_there_is_no_cost(api: Api, plain: Pair, new_page: Callable[..., Any]) -> None:
    page: Page = await new_page(api, f"/#/vehicle/{plain.vehicle}")
    for title in ("Charging sessions", "Month by month"):
        await expect(card(page, title).locator("tbody tr").first).to_be_visible()
        assert not {"Cost", "CO₂, kg"} & {*await headings(card(page, title))}
    assert "CO₂" not in await page.locator("main").inner_text()


async def test_the_months_are_those_of_the_service_this_one_beside_the_last(
    api: Api, owner: Owner, priced: Pair, new_page: Callable[..., Any]
) -> None:
    this_month = current_hour().replace(day=1, hour=0)
    last = this_month - timedelta(days=3)
    assert (await api.post_meter(priced.meter, last, kwhConsumedAc=40.0)).status_code == 201
    page: Page = await new_page(api, f"/#/vehicle/{priced.vehicle}")
    params = {"resolution": "monthly", "start": f"{this_month - timedelta(days=40):%Y-%m-%dT%H:%M:%SZ}", "hours": 2000}
    items = (await api.http.get(f"/v1/analytics/cost/{priced.vehicle}", params=params)).json()["items"]
    rows = card(page, "Month by month").locator("tbody tr")
    await expect(rows).to_have_count(len(items))
    for item, row in zip(reversed(items), await rows.all(), strict=True):
        wanted = [f"{item['kwhConsumedAc']:.1f}", f"EUR {item['cost']:.2f}", f"{item['co2Kg']:.1f}"]
        assert (await cells(row))[1:] == wanted
    tile = card(page, "Cost, this month")
    # in the first hours of a month the session is one of the last month
    await expect(tile).to_contain_text(f"EUR\u00a0{items[-1]['cost']:.2f}" if items[-1]["isOpen"] else "\u2013")
    await expect(tile).to_contain_text(f"{last:%b %Y}: EUR\u00a0")


async def test_the_fleets_sessions_are_filtered_by_their_address_and_saved(
    api: Api, plain: Pair, priced: Pair, new_page: Callable[..., Any], tmp_path: Path
) -> None:
    page: Page = await new_page(api)
    await page.get_by_role("link", name="Sessions", exact=True).click()
    await shown(page, "Charging sessions")
    for pair in (plain, priced):
        await expect(page.locator(".list tbody tr", has_text=pair.vehicle)).to_contain_text("75.0 %")
    await expect(page.locator(".list tbody tr", has_text=priced.vehicle)).to_contain_text("3.60")
    await page.get_by_label("Vehicle id", exact=True).fill(plain.vehicle)
    await page.get_by_role("button", name="Filter").click()
    await expect(page.locator(".list tbody tr", has_text=priced.vehicle)).to_have_count(0)
    await page.get_by_role("link", name="Normal", exact=True).click()
    await expect(page.get_by_text("No charging session matches.")).to_be_visible()
    await page.get_by_role("link", name="Low", exact=True).click()
    await page.get_by_role("link", name="7 days").click()
    sessions = card(page, "Charging sessions")
    await expect(sessions.locator("tbody tr")).to_have_count(1)
    address = await page.evaluate("location.hash")
    assert {*address.removeprefix("#/sessions?").split("&")} == {"range=7d", "kind=low", f"vehicle={plain.vehicle}"}
    async with page.expect_download() as saving:
        await page.get_by_role("link", name="sessions as CSV").click()
    await (await saving.value).save_as(tmp_path / "sessions.csv")
    [saved] = csv.DictReader((tmp_path / "sessions.csv").read_text().splitlines())
    params = {"vehicleId": plain.vehicle, "hours": 24}
    [item] = (await api.http.get("/v1/sessions", params=params)).json()["items"]
    for name in ("sessionId", "startedAt", "endedAt", "meterId", "efficiencyStatus"):
        assert saved[name] == item[name]
    for name in ("kwhDeliveredDc", "kwhConsumedAc", "kwhLost", "socStart", "socEnd", "meanKw", "peakKw", "durationS"):
        assert float(saved[name]) == item[name]
    await expect(card(page, "Month by month").locator("tbody tr").first).to_be_visible()


@pytest.mark.parametrize("path", ["/#/sessions", "/#/vehicle/{}"])
async def test_sessions_fit_a_phone(api: Api, priced: Pair, new_page: Callable[..., Any], path: str) -> None:
    page: Page = await new_page(api, path.format(priced.vehicle), viewport=PHONE)
    await expect(card(page, "Charging sessions").locator("tbody tr").first).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
