"""The lists of vehicles and meters, and the search that leads to them, in a real browser."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.dashboard.world import HOUR, send_pair
from tests.support import Api, Pair, meter_reading, new_pair, now, vehicle_reading

pytestmark = pytest.mark.long


async def shown(page: Page, heading: str) -> None:
    await expect(page.get_by_role("heading", level=1)).to_have_text(heading)


async def ids(page: Page) -> list[str]:
    """The ids that the list shows, in its order."""
    return await page.locator(".list tbody th").all_inner_texts()


@pytest.fixture(scope="module")
async def faulty(api: Api) -> Pair:
    """A vehicle that got 6 of 8 kWh, hours ago."""
    return await send_pair(api, ac=4.0, dc=3.0)


@pytest.fixture(scope="module")
async def quiet(api: Api) -> Pair:
    """A pair whose only reading is an hour old."""
    pair = new_pair()
    assert (await api.post_vehicle(pair.vehicle, now() - HOUR)).status_code == 201
    assert (await api.post_meter(pair.meter, now() - HOUR)).status_code == 201
    return pair


@pytest.fixture(scope="module")
async def live(api: Api) -> Pair:
    """A pair that has just reported, the vehicle with 61.5 % at 28.5 degrees Celsius, the meter with 231 V."""
    pair = new_pair()
    at = now()
    vehicle = vehicle_reading(pair.vehicle, at, soc=61.5, batteryTemp=28.5, kwhDeliveredDc=0.125)
    assert (await api.post("/v1/ingest/vehicle", vehicle)).status_code == 201
    meter = meter_reading(pair.meter, at, voltage=231.0, kwhConsumedAc=0.15)
    assert (await api.post("/v1/ingest/meter", meter)).status_code == 201
    return pair


async def test_the_lists_show_each_device_with_its_newest_reading_and_lead_to_it(
    api: Api, live: Pair, quiet: Pair, new_page: Callable[..., Any]
) -> None:
    page = await new_page(api)
    await page.get_by_role("link", name="Vehicles", exact=True).click()
    await shown(page, "Vehicles")
    await expect(page.get_by_role("link", name="Vehicles", exact=True)).to_have_attribute("aria-current", "page")
    row = page.get_by_role("row", name=live.vehicle)
    for text in ("reporting", "61.5", "28.5", "0.125"):
        await expect(row).to_contain_text(text)
    await expect(page.get_by_role("row", name=quiet.vehicle)).to_contain_text("silent")
    await page.get_by_role("link", name="Meters", exact=True).click()
    await shown(page, "Meters")
    row = page.get_by_role("row", name=live.meter)
    for text in ("reporting", "231.0", "0.150"):
        await expect(row).to_contain_text(text)
    await row.get_by_role("link").click()
    await shown(page, f"Meter {live.meter}")
    await expect(page.get_by_role("link", name="Meters", exact=True)).to_have_attribute("aria-current", "page")


async def test_a_list_is_searched_filtered_and_ordered_by_its_address(
    api: Api, live: Pair, quiet: Pair, new_page: Callable[..., Any]
) -> None:
    page = await new_page(api, "/#/vehicles")
    await shown(page, "Vehicles")
    await page.get_by_label("Part of an id", exact=True).fill(quiet.vehicle.lower())
    await page.get_by_role("button", name="Search").click()
    await expect(page.locator(".list tbody tr")).to_have_count(1)
    assert await ids(page) == [quiet.vehicle]
    await page.get_by_role("link", name="Reporting").click()
    await expect(page.get_by_text("No device matches this search and status.")).to_be_visible()
    await page.goto("/#/vehicles?status=silent")
    await expect(page.get_by_role("link", name="Silent")).to_have_attribute("aria-current", "true")
    await expect(page.get_by_role("row", name=quiet.vehicle)).to_be_visible()
    assert live.vehicle not in await ids(page)
    await page.get_by_role("link", name="Newest reading").click()
    await expect(page.get_by_role("columnheader", name="Newest reading")).to_have_attribute("aria-sort", "descending")
    params = {"kind": "vehicle", "status": "silent", "sort": "-timestamp", "limit": 100}
    answer = (await api.http.get("/v1/devices", params=params)).json()
    assert await ids(page) == [item["deviceId"] for item in answer["items"]]
    await page.get_by_role("link", name="Newest reading").click()
    await expect(page.get_by_role("columnheader", name="Newest reading")).to_have_attribute("aria-sort", "ascending")


async def test_a_list_in_order_of_the_last_day_has_its_energies_and_efficiencies(
    api: Api, faulty: Pair, live: Pair, new_page: Callable[..., Any]
) -> None:
    page = await new_page(api, "/#/vehicles")
    await shown(page, "Vehicles")
    assert "24 h" not in await page.locator("table").inner_text()
    await page.get_by_label("Order", exact=True).select_option("By efficiency, 24 h")
    head = page.get_by_role("columnheader", name="Efficiency, 24 h")
    await expect(head).to_have_attribute("aria-sort", "ascending")
    row = page.get_by_role("row", name=faulty.vehicle)
    for text in ("75.0 %", "low", "6.0"):
        await expect(row).to_contain_text(text)
    shown_ids = await ids(page)
    assert shown_ids.index(faulty.vehicle) < shown_ids.index(live.vehicle)
    await head.get_by_role("link").click()
    await expect(head).to_have_attribute("aria-sort", "descending")
    await page.get_by_role("columnheader", name="Energy, 24 h").get_by_role("link").click()
    await expect(page.get_by_label("Order", exact=True)).to_have_value("-energy")
    params = {"kind": "vehicle", "sort": "-energy", "limit": 100}
    answer = (await api.http.get("/v1/devices", params=params)).json()
    assert await ids(page) == [item["deviceId"] for item in answer["items"]]
    await page.goto("/#/meters?sort=-energy")
    await expect(page.get_by_role("row", name=faulty.meter)).to_contain_text("8.0")
    assert "Efficiency" not in await page.locator("table").inner_text()


async def test_vehicles_with_a_low_efficiency_are_a_list(api: Api, faulty: Pair, new_page: Callable[..., Any]) -> None:
    page = await new_page(api)
    await page.get_by_role("link", name="All with a low efficiency").click()
    await shown(page, "Vehicles")
    await expect(page.get_by_role("link", name="Low efficiency")).to_have_attribute("aria-current", "true")
    row = page.get_by_role("row", name=faulty.vehicle)
    for text in ("75.0 %", "low", "8.0", "6.0"):
        await expect(row).to_contain_text(text)


async def test_a_long_list_has_pages_and_its_csv_holds_what_the_page_shows(
    api: Api, new_page: Callable[..., Any]
) -> None:
    pair = new_pair()
    names = [f"{pair.meter}-{number:03d}" for number in range(130)]
    answer = await api.post("/v1/ingest/meter/batch", [meter_reading(name, now() - HOUR) for name in names])
    assert answer.status_code == 201
    page = await new_page(api, f"/#/meters?search={pair.meter}-")
    await expect(page.locator(".list tbody tr")).to_have_count(100)
    assert await ids(page) == names[:100]
    async with page.expect_download() as saving:
        await page.get_by_role("link", name="meters as CSV").click()
    saved = Path(await (await saving.value).path())
    rows = list(csv.DictReader(saved.read_text().splitlines()))  # noqa: ASYNC240
    assert [row["deviceId"] for row in rows] == names[:100]
    assert (rows[0]["status"], rows[0]["voltage"]) == ("silent", "230")
    await page.get_by_role("link", name="Next page").click()
    await expect(page.locator(".list tbody tr")).to_have_count(30)
    assert await ids(page) == names[100:]
    await expect(page.get_by_role("link", name="Next page")).to_have_count(0)
    await page.get_by_role("link", name="First page").click()
    await expect(page.locator(".list tbody tr")).to_have_count(100)


async def test_a_page_leads_to_the_one_before_it_also_after_a_reload(api: Api, new_page: Callable[..., Any]) -> None:
    pair = new_pair()
    names = [f"{pair.meter}-{number:03d}" for number in range(301)]
    answer = await api.post("/v1/ingest/meter/batch", [meter_reading(name, now() - HOUR) for name in names])
    assert answer.status_code == 201
    page = await new_page(api, f"/#/meters?search={pair.meter}-")

    async def follow(link: str, first: int) -> None:
        await page.get_by_role("link", name=link).click()
        await expect(page.locator(".list tbody th").first).to_have_text(names[first])

    for first in (100, 200, 300):
        await follow("Next page", first)
    await page.reload()
    for first in (200, 100):
        await follow("Previous page", first)
    await expect(page.get_by_role("link", name="Previous page")).to_have_count(0)  # it is the first one
    await follow("First page", 0)


async def test_the_search_box_opens_an_id_in_any_case_and_else_lists_what_is_like_it(
    api: Api, faulty: Pair, new_page: Callable[..., Any]
) -> None:
    page = await new_page(api)
    box = page.get_by_role("search").get_by_label("Id of a vehicle or a meter, or part of it")
    for typed, heading in (
        (faulty.vehicle, f"Vehicle {faulty.vehicle}"),
        (faulty.meter.lower(), f"Meter {faulty.meter}"),
        (faulty.vehicle[1:].upper(), "Vehicles and meters"),
    ):
        await box.fill(typed)
        await box.press("Enter")
        await shown(page, heading)
    assert {faulty.vehicle, faulty.meter} <= set(await ids(page))
    await box.fill("no such device")
    await box.press("Enter")
    await expect(page.get_by_text("No device matches this search and status.")).to_be_visible()


@pytest.mark.parametrize(
    "path", ["/#/vehicles", "/#/meters?status=silent", "/#/devices?search=v", "/#/vehicles?status=low"]
)
async def test_a_list_fits_a_phone(api: Api, faulty: Pair, new_page: Callable[..., Any], path: str) -> None:
    page = await new_page(api, path, viewport={"width": 360, "height": 740})
    await expect(page.locator(".list tbody tr").first).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth") <= 360
