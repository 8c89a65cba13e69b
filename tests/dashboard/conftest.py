"""A Chromium for all tests of the dashboard, and pages in it that fail a test by what goes wrong in them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from playwright.async_api import Browser, Page, async_playwright

from service.database.pool import Database
from service.embedded.install import ensure_charts
from service.settings import Settings
from tests.dashboard.browser import find_chromium
from tests.support import Api, Owner, TestDatabase, own_pools, served


@pytest.fixture(scope="package")
async def own(test_database: TestDatabase) -> AsyncIterator[tuple[Database, Owner]]:
    """A database of these tests alone: a page lists the worst and the silent few, and other tests leave many."""
    async with own_pools(test_database) as own:
        yield own


@pytest.fixture(scope="package")
def database(own: tuple[Database, Owner]) -> Database:
    return own[0]


@pytest.fixture(scope="package")
def owner(own: tuple[Database, Owner]) -> Owner:
    return own[1]


@pytest.fixture(scope="package")
async def api(database: Database, owner: Owner) -> AsyncIterator[Api]:
    async with served(database, Settings()) as api:
        yield api


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    path = find_chromium()
    if path is None:
        pytest.skip("needs a Chromium (Debian: apt-get install chromium)")
    ensure_charts()
    async with async_playwright() as playwright:
        # a sandbox of Chromium's own does not start for root
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = await playwright.chromium.launch(executable_path=path, args=options)
        yield browser
        await browser.close()


@pytest.fixture
async def new_page(browser: Browser) -> AsyncIterator[Callable[..., Any]]:
    """Makes pages, in contexts of their own; afterwards nothing may have been wrong in any of them.

    A page's `expected` are words of console messages that its test provokes.
    """
    made: list[tuple[Page, list[str], list[str]]] = []

    async def new(api: Api, path: str = "/", *, expected: tuple[str, ...] = (), **options: Any) -> Page:
        context = await browser.new_context(base_url=str(api.http.base_url), **options)
        page = await context.new_page()
        page.set_default_timeout(10_000)
        wrong: list[str] = []
        page.on("console", lambda message: wrong.append(message.text) if message.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: _check_origin(request.url, str(api.http.base_url), wrong))
        made.append((page, wrong, list(expected)))
        await page.goto(path)
        return page

    yield new
    for page, wrong, expected in made:
        await page.context.close()
        assert [text for text in wrong if not any(word in text for word in expected)] == []


def _check_origin(url: str, origin: str, wrong: list[str]) -> None:
    if not url.startswith((origin, "data:", "blob:")):
        wrong.append(f"asked another server: {url}")
