"""axe finds nothing to mend on any page: in light and dark, on a desk and on a phone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from playwright.async_api import expect

from service.database.pool import Database
from service.settings import Settings
from tests.dashboard.axe import COLOURS, broken_rules
from tests.dashboard.test_sessions import charge
from tests.dashboard.world import HOUR
from tests.support import Api, Owner, Pair, now, served
from tests.support.delivery import CLOSE, open_alert

pytestmark = pytest.mark.long

DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
PAGES = {
    "/": ("Fleet", ".u-legend"),
    "/#/vehicles?sort=efficiency": ("Vehicles", "tbody tr"),
    "/#/meters": ("Meters", "tbody tr"),
    "/#/vehicles?status=low": ("Vehicles", "tbody tr"),
    "/#/devices?status=silent": ("Vehicles and meters", "tbody tr"),
    "/#/vehicles?search=nothing-like-it": ("Vehicles", ".blank"),
    "/#/vehicle/{vehicle}?range=24h": ("Vehicle {vehicle}", ".u-legend"),
    "/#/meter/{meter}?range=24h": ("Meter {meter}", ".u-legend"),
    "/#/alerts?state=all": ("Alerts", "tbody tr"),
    "/#/sessions": ("Charging sessions", "tbody tr"),
    "/#/vehicle/nobody": ("Unknown device nobody", "[role=alert]"),
}
"""The address of each page, its title, and an element that is there once the page is."""


@pytest.fixture(scope="module")
async def eventful(api: Api, owner: Owner) -> AsyncIterator[Pair]:
    """A pair with a session of low efficiency, an open and a closed alert, a rejected reading, an ignored measure."""
    pair = await charge(api)
    hot = await open_alert(owner, pair.vehicle, "battery_hot", "critical")
    await owner.execute(CLOSE, await open_alert(owner, pair.vehicle))
    for time, changes, status in ((now(), {"kwhConsumedAc": -1}, 422), (now() - HOUR, {"voltage": 20_000}, 201)):
        assert (await api.post_meter(pair.meter, time, **changes)).status_code == status
    yield pair
    await owner.execute(CLOSE, hot)


async def test_axe_finds_what_is_wrong(api: Api, new_page: Callable[..., Any]) -> None:
    page = await new_page(api, "about:blank")
    await page.set_content("<html lang=en><title>A page</title><main><h1>A page</h1><img src='data:,'></main>")
    assert [rule.partition(":")[0] for rule in await broken_rules(page)] == ["image-alt"]


@pytest.mark.parametrize(
    ("scheme", "size", "rules"),
    [("light", DESK, None), ("dark", DESK, COLOURS), ("light", PHONE, None)],
    ids=["light", "dark", "phone"],
)
async def test_axe_finds_nothing_on_any_page(
    api: Api, eventful: Pair, new_page: Callable[..., Any], scheme: str, size: dict[str, int], rules: list[str] | None
) -> None:
    page = await new_page(api, color_scheme=scheme, viewport=size, expected=("404",))
    for path, (title, element) in PAGES.items():
        await page.goto(path.format(**vars(eventful)))
        await expect(page).to_have_title(f"{title.format(**vars(eventful))} · Energy")
        await expect(page.locator(f"main {element}").first).to_be_visible()
        assert await broken_rules(page, rules) == [], path


@pytest.fixture(scope="module")
async def locked(database: Database) -> AsyncIterator[Api]:
    async with served(database, Settings(auth="required")) as api:
        yield api


async def test_axe_finds_nothing_where_a_key_is_asked_for(locked: Api, new_page: Callable[..., Any]) -> None:
    page = await new_page(locked, color_scheme="light", expected=("401",))
    for _ in range(2):
        await expect(page.get_by_label("Read key")).to_be_visible()
        assert await broken_rules(page) == []
        await page.emulate_media(color_scheme="dark")
        assert await broken_rules(page, COLOURS) == []
        await page.get_by_label("Read key").fill("wrong.key")  # and once it was refused
        await page.get_by_role("button", name="Show the dashboard").click()
        await expect(page.get_by_role("alert")).to_be_visible()
