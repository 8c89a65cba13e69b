"""The path of docs/first-steps.md from the tile of the fleet to the meter of a faulty charger."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.async_api import expect

from tests.dashboard.world import send_pair
from tests.support import ROOT, Api

pytestmark = pytest.mark.long

STEPS = (ROOT / "docs/first-steps.md").read_text().partition("## A fault on the page")[2]


async def test_a_fault_is_found_by_the_steps(api: Api, new_page: Callable[..., Any]) -> None:
    pair = await send_pair(api, ac=4.0, dc=3.0)
    tile, week = re.findall(r"\*([^*\n]+)\*", STEPS)
    page = await new_page(api)
    await page.get_by_role("link", name=tile, exact=True).click()
    await page.get_by_role("link", name=pair.vehicle, exact=True).click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(f"Vehicle {pair.vehicle}")
    await page.get_by_role("link", name=week, exact=True).click()
    await expect(page.get_by_text("75.0 %", exact=True).first).to_be_visible()
    await page.get_by_role("link", name=pair.meter, exact=True).first.click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(f"Meter {pair.meter}")
