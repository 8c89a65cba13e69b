"""Screenshots in docs/images, of a dashboard served by `make demo`: `make screenshots`. It needs a Chromium."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.dashboard.browser import find_chromium

TARGET = Path(__file__).parent / "images"
PICTURES = (
    ("fleet", "#/", 1240, "light"),
    ("vehicle", "#/vehicle/V000007?range=7d", 1240, "light"),
    ("vehicle-dark", "#/vehicle/V000014?range=24h", 1240, "dark"),
    ("meter", "#/meter/M000004?range=7d", 1240, "light"),
    ("vehicles", "#/vehicles?sort=efficiency", 1240, "light"),
    ("sessions", "#/sessions?kind=low", 1240, "light"),
    ("alerts", "#/alerts?state=all", 1240, "light"),
    ("phone", "#/", 390, "light"),
    ("phone-dark", "#/vehicle/V000007?range=7d", 390, "dark"),
)


def take(browser: Browser, address: str, picture: tuple[str, str, int, str]) -> None:
    """Take a screenshot of the whole page, or of the first screen of a phone."""
    name, page_hash, width, scheme = picture
    context = browser.new_context(
        viewport={"width": width, "height": 844},
        color_scheme=scheme,  # type: ignore[arg-type]
    )
    page = context.new_page()
    page.goto(f"{address}/{page_hash}")
    page.wait_for_selector(".page tbody tr", state="attached")
    page.wait_for_selector("#live[data-state=live]")
    page.wait_for_timeout(2500)  # the first pulse fills the tiles, and the charts are drawn
    page.screenshot(path=TARGET / f"{name}.png", full_page=width > 600)
    context.close()


def main() -> None:
    """Take all screenshots."""
    address = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:3000"
    TARGET.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=options)
        for picture in PICTURES:
            take(browser, address, picture)
        browser.close()


if __name__ == "__main__":
    main()
