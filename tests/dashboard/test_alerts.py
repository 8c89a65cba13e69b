"""Alerts on the pages: the tile, the list, a device's own, the bands of its charts, and their acknowledgement."""

from __future__ import annotations

import csv
import re
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from service.database.pool import Database
from service.http.app import create_app
from service.http.routes.events import Pulses
from service.settings import Settings
from tests.dashboard.world import HOUR, current_hour, send_pair
from tests.http.test_auth import REQUIRED, token
from tests.support import Api, Owner, Pair, served, serving
from tests.support.delivery import CLOSE, open_alert

pytestmark = pytest.mark.long

SHADED = """(canvas) => {
  const context = canvas.getContext("2d");
  const top = document.querySelector(".u-over").offsetTop + 4;
  const row = context.getImageData(0, Math.round(top * devicePixelRatio), canvas.width, 1).data;
  return [...Array(canvas.width).keys()].filter((x) => row[4 * x + 3] > 0 && row[4 * x] > row[4 * x + 2]).length;
}"""
"""Columns of a canvas that are tinted near the top of the plot, where no bar reaches."""


@pytest.fixture(scope="module")
async def fast(database: Database, owner: Owner) -> AsyncIterator[Api]:
    """The service, with a pulse four times a second."""
    app = create_app(database, Settings())
    app.state.pulses = Pulses(0.25)
    async with serving(app) as api:
        yield api


@pytest.fixture(scope="module")
async def faulty(fast: Api) -> Pair:
    return await send_pair(fast, ac=4.0, dc=3.0)


def card(page: Page, title: str) -> Any:
    return page.locator("section.card", has=page.get_by_role("heading", name=title, exact=True))


async def test_the_tile_counts_the_open_alerts_live_and_leads_to_them(
    fast: Api, owner: Owner, faulty: Pair, new_page: Callable[..., Any]
) -> None:
    before = len((await fast.http.get("/v1/alerts")).json()["items"])
    page = await new_page(fast)
    tile = card(page, "Faults").locator(".value")
    await expect(tile).to_have_text(str(before))
    low = await open_alert(owner, faulty.vehicle)
    hot = await open_alert(owner, faulty.vehicle, "battery_hot", "critical")
    await expect(tile).to_have_text(str(before + 2))
    await expect(card(page, "Faults")).to_contain_text("1 critical")
    await page.get_by_role("link", name="Faults").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Alerts")
    await expect(page.get_by_role("link", name="Alerts", exact=True)).to_have_attribute("aria-current", "page")
    row = page.get_by_role("row", name=re.compile("battery hot.*critical.*" + faulty.vehicle))
    await expect(row).to_contain_text("open")
    await row.get_by_role("link", name=faulty.vehicle).click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(f"Vehicle {faulty.vehicle}")
    for number in (low, hot):
        await owner.execute(CLOSE, number)


async def test_the_list_is_chosen_by_state_severity_fault_and_device_and_saved_as_csv(
    fast: Api, owner: Owner, new_page: Callable[..., Any]
) -> None:
    pair = await send_pair(fast, ac=4.0, dc=3.0)
    await open_alert(owner, pair.vehicle)
    over = await open_alert(owner, pair.vehicle, "battery_hot", "critical")
    await owner.execute(CLOSE, over)
    await open_alert(owner, pair.meter, "voltage_outside", kind="meter")
    page = await new_page(fast, f"/#/alerts?deviceId={pair.vehicle}")
    rows = page.locator(".list tbody tr")
    await expect(rows).to_have_count(1)
    await expect(rows).to_contain_text("efficiency 79 % is below 85 %")
    await page.get_by_role("link", name="All", exact=True).click()
    await expect(rows).to_have_count(2)
    async with page.expect_download() as saving:
        await page.get_by_role("link", name="alerts as CSV").click()
    saved = Path(await (await saving.value).path())
    listed = list(csv.DictReader(saved.read_text().splitlines()))  # noqa: ASYNC240
    answered = (await fast.http.get("/v1/alerts", params={"state": "all", "deviceId": pair.vehicle})).json()["items"]
    assert [{name: row[name] or None for name in row} for row in listed] == [
        {name: str(item[name]) if item[name] is not None else None for name in listed[0]} for item in answered
    ]
    await page.get_by_label("Severity").select_option("critical")
    await expect(rows).to_have_count(1)
    await expect(rows).to_contain_text("battery hot")
    await page.get_by_label("Fault").select_option("efficiency_low")
    await expect(page.get_by_text("No alert matches.")).to_be_visible()
    await page.get_by_role("link", name="Of all devices").click()
    assert pair.vehicle not in page.url
    await page.goto(f"/#/alerts?kind=meter&deviceId={pair.meter}&unknown=1")
    await expect(rows).to_have_count(1)
    await expect(rows).to_contain_text("voltage outside")


async def test_a_page_of_alerts_leads_to_the_next(fast: Api, owner: Owner, new_page: Callable[..., Any]) -> None:
    pair = await send_pair(fast, ac=4.0, dc=3.0)
    for _ in range(101):
        await owner.execute(CLOSE, await open_alert(owner, pair.vehicle))
    page = await new_page(fast, f"/#/alerts?state=closed&deviceId={pair.vehicle}")
    rows = page.locator(".list tbody tr")
    await expect(rows).to_have_count(100)
    await page.get_by_role("link", name="Next page").click()
    await expect(rows).to_have_count(1)
    await page.get_by_role("link", name="First page").click()
    await expect(rows).to_have_count(100)


async def test_an_alert_is_acknowledged_with_a_note_which_a_refresh_does_not_lose(
    fast: Api, owner: Owner, new_page: Callable[..., Any]
) -> None:
    pair = await send_pair(fast, ac=4.0, dc=3.0)
    number = await open_alert(owner, pair.vehicle)
    page = await new_page(fast, f"/#/alerts?deviceId={pair.vehicle}")
    await page.get_by_label(f"Acknowledge alert {number}").click()
    await page.get_by_label(f"Note to alert {number}").fill("cable is <b>ordered</b>")
    await page.keyboard.press("Enter")
    row = page.locator(".list tbody tr")
    await expect(row).to_contain_text("cable is <b>ordered</b>")
    await expect(row).to_contain_text("127.0.0.1, ")
    await expect(page.get_by_label(f"Acknowledge alert {number}")).to_have_count(0)
    alert = (await fast.http.get(f"/v1/alerts/{number}")).json()
    assert (alert["acknowledgedBy"], alert["note"]) == ("127.0.0.1", "cable is <b>ordered</b>")


async def test_only_a_key_that_may_acknowledge_is_offered_it(
    database: Database, owner: Owner, fast: Api, new_page: Callable[..., Any]
) -> None:
    pair = await send_pair(fast, ac=4.0, dc=3.0)
    number = await open_alert(owner, pair.vehicle)
    async with served(database, REQUIRED) as api:
        for scope, offered in (("read", 0), ("admin", 1)):
            key = await token(owner, scope)
            page = await new_page(api, f"/#/alerts?deviceId={pair.vehicle}", expected=("401", "INCOMPLETE_CHUNKED"))
            await page.get_by_label("Read key").fill(key)
            await page.keyboard.press("Enter")
            await expect(page.locator(".list tbody tr")).to_have_count(1)
            await expect(page.get_by_label(f"Acknowledge alert {number}")).to_have_count(offered)


OPEN_THEN = (
    "UPDATE telemetry.alert SET opened_at = $2, last_seen_at = $2, closed_at = $3, close_reason = $4 WHERE id = $1"
)


@pytest.mark.parametrize("kind", ["vehicle", "meter"])
async def test_a_device_shows_its_alerts_and_shades_its_charts_from_opening_to_closing(
    fast: Api, owner: Owner, new_page: Callable[..., Any], kind: str
) -> None:
    pair = await send_pair(fast, ac=4.0, dc=3.0)
    device = {"vehicle": pair.vehicle, "meter": pair.meter}[kind]
    end = current_hour()
    spans: list[tuple[datetime, str]] = [(end - 18 * HOUR, "recovered"), (end - 10 * HOUR, "disproved by later data")]
    for opened, reason in spans:
        number = await open_alert(owner, device, "device_silent", kind=kind)
        await owner.execute(OPEN_THEN, number, opened, opened + 6 * HOUR, reason)
    earlier = await open_alert(owner, device, "device_silent", kind=kind)
    await owner.execute(OPEN_THEN, earlier, end - 60 * HOUR, end - 50 * HOUR, "recovered")
    window = "&".join(f"{name}={time:%Y-%m-%dT%H:%M:%SZ}" for name, time in (("start", end - 24 * HOUR), ("end", end)))
    page = await new_page(fast, f"/#/{kind}/{device}?{window}")
    rows = card(page, "Alerts in this time").locator("tbody tr")
    await expect(rows).to_have_count(2)
    await expect(rows.last).to_contain_text("recovered")
    canvas = card(page, "Energy").locator("canvas")
    await expect(canvas).to_be_visible()
    plot = await card(page, "Energy").locator(".u-over").bounding_box()
    assert plot is not None
    # 6 of 24 hours; the disproved one is not shaded
    assert await canvas.evaluate(SHADED) / plot["width"] == pytest.approx(0.25, abs=0.02)
    await page.get_by_role("link", name="All alerts of the device").click()
    await expect(page.locator(".list tbody tr")).to_have_count(3)


async def test_a_healthy_device_has_no_alert_and_no_shade(fast: Api, new_page: Callable[..., Any]) -> None:
    pair = await send_pair(fast, ac=4.0, dc=3.8)
    page = await new_page(fast, f"/#/vehicle/{pair.vehicle}?range=24h")
    await expect(page.get_by_text("No alert in this time.")).to_be_visible()
    canvas = card(page, "Energy").locator("canvas")
    await expect(canvas).to_be_visible()
    assert await canvas.evaluate(SHADED) == 0


async def test_the_list_fits_a_phone(fast: Api, owner: Owner, faulty: Pair, new_page: Callable[..., Any]) -> None:
    await owner.execute(CLOSE, await open_alert(owner, faulty.vehicle))
    page = await new_page(fast, "/#/alerts?state=all", viewport={"width": 360, "height": 740})
    await expect(page.locator(".list tbody tr").first).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth") <= 360
