"""The range of a device's page: its address, the calendar of the fleet, every chart, and the window of the API."""

from __future__ import annotations

import asyncio
import csv
import io
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo

import pytest
from playwright.async_api import Page, Route, expect

from tests.dashboard.test_pages import card, shown
from tests.dashboard.world import HOUR, current_hour, send_pair
from tests.support import Api, Pair, now, rfc3339

pytestmark = pytest.mark.long

DAY = timedelta(days=1)
BLANK = "/health/live"
"""A small page of the same origin, from which modules can be imported. It has no icon."""


@pytest.fixture(scope="module")
async def faulty(api: Api) -> Pair:
    """A vehicle that got 6 of 8 kWh, five and four hours ago."""
    return await send_pair(api, ac=4.0, dc=3.0)


async def call(page: Page, module: str, expression: str, argument: Any = None) -> Any:
    """The value of an expression of the exports `m` of a module, and of `argument`, with `format` beside them."""
    return await page.evaluate(
        f"""async (argument) => {{
            const [m, format] = await Promise.all([import("/dashboard/{module}.js"), import("/dashboard/format.js")]);
            return {expression};
        }}""",
        argument,
    )


def ms(time: datetime) -> int:
    return round(time.timestamp() * 1000)


async def address(page: Page) -> dict[str, str]:
    return {
        name: values[0] for name, values in parse_qs((await page.evaluate("location.hash")).partition("?")[2]).items()
    }


def midnight(zone: ZoneInfo, day: datetime) -> int:
    """The first instant of a day that is not before its midnight: some zones leap over it."""
    time = datetime(day.year, day.month, day.day, tzinfo=zone)
    return ms(time.astimezone(UTC).astimezone(zone))


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "America/Santiago", "Asia/Kathmandu", "Pacific/Apia"])
async def test_days_weeks_and_months_are_those_of_the_fleets_zone(
    api: Api, new_page: Callable[..., Any], name: str
) -> None:
    page = await new_page(api, BLANK, expected=("404",))
    zone = ZoneInfo(name)
    times = [datetime(2026, 1, 1, 13, 20, tzinfo=UTC) + number * timedelta(hours=71) for number in range(240)]
    starts = await call(
        page,
        "zone",
        "(format.setZone(argument[0]), argument[1].map((at) => ['day', 'week', 'month'].flatMap("
        "(unit) => [m.startOf(unit, at), m.shift(unit, m.startOf(unit, at), 1)])))",
        [name, [ms(time) for time in times]],
    )
    for time, found in zip(times, starts, strict=True):
        day = datetime(*time.astimezone(zone).timetuple()[:3])
        week, month = day - day.weekday() * DAY, day.replace(day=1)
        expected = (day, day + DAY, week, week + 7 * DAY, month, (month + 32 * DAY).replace(day=1))
        assert found == [midnight(zone, date) for date in expected], time


@pytest.mark.parametrize(
    ("zone", "words"), [("UTC", "31 Dec 2025 23:30"), ("Europe/Berlin", "1 Jan 00:30")], ids=["last year", "this year"]
)
async def test_a_time_has_its_year_where_that_is_not_the_year_of_the_fleets_clocks(
    api: Api, new_page: Callable[..., Any], zone: str, words: str
) -> None:
    page = await new_page(api, BLANK, expected=("404",))
    times = ["2025-12-31T23:30:00Z", "2026-02-08T18:00:00Z"]
    shown = "(m.setZone(argument[0]), m.dateTime(...argument[1].map((time) => new Date(time))))"
    assert await call(page, "format", shown, [zone, times]) == words


async def test_an_address_that_is_no_window_of_the_api_is_the_last_24_hours(
    api: Api, new_page: Callable[..., Any]
) -> None:
    page = await new_page(api, BLANK, expected=("404",))
    for query in (
        "",
        "range=2h",
        "range=toString",
        "start=2026-02-08T00:00:00Z",
        "start=2026-02-08T00:00:00Z&end=2026-02-08T00:00:00Z",
        "start=2026-02-08T00:00:00Z&end=2026-02-07T00:00:00Z",
        "start=2020-02-08T00:00:00Z&end=2026-02-07T00:00:00Z",
        "start=x&end=y",
    ):
        window = await call(page, "range", "m.rangeOf(new URLSearchParams(argument)).window", query)
        assert window == {"hours": 24}, query


@pytest.mark.parametrize(
    ("start", "end", "before", "after", "resolution"),
    [
        ("2026-03-29T00:00", "2026-03-30T00:00", "2026-03-28T00:00", "2026-03-31T00:00", "15min"),
        ("2026-03-23T00:00", "2026-03-30T00:00", "2026-03-16T00:00", "2026-04-06T00:00", "hourly"),
        ("2026-03-01T00:00", "2026-04-01T00:00", "2026-02-01T00:00", "2026-05-01T00:00", "daily"),
        ("2026-03-28T00:00", "2026-03-30T00:00", "2026-03-26T00:00", "2026-04-01T00:00", "15min"),
        ("2026-02-08T10:15", "2026-02-08T12:00", "2026-02-08T08:30", "2026-02-08T13:45", "15min"),
    ],
    ids=["a day of 23 hours", "a week", "a month", "two days", "some hours"],
)
async def test_the_ranges_beside_a_range_are_as_long_on_the_calendar(
    api: Api, new_page: Callable[..., Any], start: str, end: str, before: str, after: str, resolution: str
) -> None:
    page = await new_page(api, BLANK, expected=("404",))
    berlin = ZoneInfo("Europe/Berlin")
    [first, last, earlier, later] = [
        ms(datetime.fromisoformat(text).replace(tzinfo=berlin)) for text in (start, end, before, after)
    ]
    found = await call(
        page,
        "range",
        "(format.setZone('Europe/Berlin'), [m.rangeBetween(...argument)].map((range) => "
        "[m.neighbour(range, -1), m.neighbour(range, 1)].flatMap(({ start, end }) => [start, end])"
        ".concat(range.buckets.resolution))[0])",
        [first, last],
    )
    assert found == [earlier, first, last, later, resolution]


async def test_the_axis_is_the_chosen_range_and_not_that_of_the_readings(
    api: Api, faulty: Pair, new_page: Callable[..., Any]
) -> None:
    page = await new_page(api, f"/#/vehicle/{faulty.vehicle}?range=1y")
    over = card(page, "Energy").locator(".u-over")
    await over.wait_for()
    box = await over.bounding_box()
    assert box is not None
    for share in (0.25, 0.75):
        await page.mouse.move(box["x"] + share * box["width"], box["y"] + 50)
        bucket = await card(page, "Energy").locator(".u-legend .u-value").first.inner_text()
        expected = datetime.now(UTC) - (1 - share) * 365 * DAY
        found = datetime.strptime(f"{bucket} {expected.year}".replace("Sept", "Sep"), "%d %b %H:%M %Y").replace(
            tzinfo=UTC
        )
        assert abs(found - expected) < 3 * DAY


async def drag(page: Page, over: Any, start: float, end: float) -> None:
    """Drag from one share of a plot's width to another."""
    box = await over.bounding_box()
    await page.mouse.move(box["x"] + start * box["width"], box["y"] + 40)
    await page.mouse.down()
    await page.mouse.move(box["x"] + (start + end) / 2 * box["width"], box["y"] + 50)
    await page.mouse.move(box["x"] + end * box["width"], box["y"] + 60)
    await page.mouse.up()


async def test_a_stretch_that_is_dragged_becomes_the_range_and_the_numbers_are_those_of_the_api(
    api: Api, faulty: Pair, new_page: Callable[..., Any]
) -> None:
    today = rfc3339(now().replace(hour=0, minute=0, second=0, microsecond=0) - DAY)
    start = f"/#/vehicle/{faulty.vehicle}?start={today}&end={rfc3339(datetime.fromisoformat(today) + 2 * DAY)}"
    page = await new_page(api, start)
    energy = card(page, "Energy")
    await expect(page.locator(".tile", has_text="Efficiency in this time")).to_contain_text("75.0 %")
    whole = await address(page)
    await drag(page, energy.locator(".u-over"), 0.2, 0.99)
    await expect(page.locator(".shown")).not_to_contain_text("00:00 to 00:00")
    await page.wait_for_function("(before) => !location.hash.includes(before)", arg=f"start={today}")
    chosen = await address(page)
    first, last = (datetime.fromisoformat(chosen[name]) for name in ("start", "end"))
    begin, end = (datetime.fromisoformat(whole[name]) for name in ("start", "end"))
    assert begin < first < last <= end
    assert all(time.timestamp() % 900 == 0 for time in (first, last))
    assert abs(first - begin - 0.2 * 2 * DAY) < timedelta(minutes=40)
    window = {"start": chosen["start"], "end": rfc3339(now())}
    efficiency = await api.http.get(
        f"/v1/analytics/efficiency/{faulty.vehicle}", params={"resolution": "15min", **window}
    )
    async with page.expect_download() as download:
        await page.get_by_role("link", name=f"{faulty.vehicle}-energy as CSV").click()
    rows = list(csv.DictReader(io.StringIO((await (await download.value).path()).read_text())))
    items = efficiency.json()["items"]
    assert len(items) == 2
    names = ("kwhConsumedAc", "kwhDeliveredDc")
    assert [[row["bucket"], *(float(row[name]) for name in names)] for row in rows] == [
        [item["bucket"], *(item[name] for name in names)] for item in items
    ]
    # a quarter hour: four times as many kW
    assert [[float(row[name]) for name in ("kwAc", "kwDc")] for row in rows] == [[16.0, 12.0]] * 2
    await page.go_back()
    await expect(page.locator(".shown")).to_contain_text("to")
    assert await address(page) == whole
    await page.go_forward()
    assert await address(page) == chosen
    await page.reload()
    await shown(page, f"Vehicle {faulty.vehicle}")
    assert await address(page) == chosen


async def test_the_charts_of_a_page_share_the_crosshair_and_nothing_moves(
    api: Api, faulty: Pair, new_page: Callable[..., Any]
) -> None:
    page = await new_page(api, f"/#/vehicle/{faulty.vehicle}?range=7d")
    charts = page.locator(".figure-card:has(canvas)")
    await expect(charts).to_have_count(4)
    over = card(page, "Energy").locator(".u-over")
    box = await over.bounding_box()
    heights = [await chart.evaluate("(e) => e.getBoundingClientRect().height") for chart in await charts.all()]
    at = current_hour() - 4 * HOUR
    share = 1 - (now() - at - HOUR / 2) / (7 * DAY)
    await page.mouse.move(box["x"] + share * box["width"], box["y"] + 60)
    bucket = f"{at.day} {at:%b} {at:%H:%M}".replace("Sep ", "Sept ")
    for chart in await charts.all():
        await expect(chart.locator(".u-legend .u-value").first).to_have_text(bucket)
        await expect(chart.locator("tbody th[scope=row]", has_text=bucket)).to_have_count(1)  # as the table names it
    values = card(page, "Energy").locator(".u-legend .u-value")
    await expect(values.nth(1)).to_have_text("4.00 kWh (4.0 kW)")
    await expect(card(page, "Efficiency").locator(".u-legend .u-value").nth(1)).to_have_text("75.0 % low")
    assert heights == [await chart.evaluate("(e) => e.getBoundingClientRect().height") for chart in await charts.all()]


async def test_a_series_that_is_hidden_stays_so(api: Api, faulty: Pair, new_page: Callable[..., Any]) -> None:
    page = await new_page(api, f"/#/vehicle/{faulty.vehicle}?range=24h")
    hidden = card(page, "Energy").locator(".u-series.u-off")
    await card(page, "Energy").locator(".u-series", has_text="AC consumed").locator("th").click()
    await expect(hidden).to_have_count(1)
    await page.get_by_role("link", name="7 days").click()
    await expect(page.get_by_role("link", name="7 days")).to_have_attribute("aria-current", "true")
    await expect(hidden).to_contain_text("AC consumed")
    await page.evaluate("location.hash = '#/'")
    await shown(page, "Fleet")
    await page.go_back()
    await shown(page, f"Vehicle {faulty.vehicle}")
    await expect(hidden).to_contain_text("AC consumed")
    await card(page, "Energy").locator(".u-series", has_text="AC consumed").locator("th").click()
    await expect(hidden).to_have_count(0)


async def test_the_bar_goes_to_days_weeks_months_and_what_lies_before_and_after(
    api: Api, faulty: Pair, new_page: Callable[..., Any]
) -> None:
    page = await new_page(api, f"/#/meter/{faulty.meter}")
    later, earlier = page.get_by_role("link", name="Later"), page.get_by_role("link", name="Earlier")
    await expect(later).to_have_attribute("aria-disabled", "true")
    today = now().replace(hour=0, minute=0, second=0, microsecond=0)
    await page.get_by_role("link", name="Day", exact=True).click()
    await expect(page.get_by_role("link", name="Day", exact=True)).to_have_attribute("aria-current", "true")
    assert await address(page) == {"start": rfc3339(today), "end": rfc3339(today + DAY)}
    await expect(later).to_have_attribute("aria-disabled", "true")
    await earlier.click()
    await expect(later).to_have_attribute("aria-disabled", "false")
    await expect(earlier).to_be_focused()
    assert await address(page) == {"start": rfc3339(today - DAY), "end": rfc3339(today)}
    await later.click()
    await expect(later).to_have_attribute("aria-disabled", "true")
    await page.get_by_role("link", name="Month").click()
    await expect(page.locator(".shown")).to_have_text(re.compile(rf"^[A-Z]\w+ {today.year}, UTC$"))


async def test_any_range_can_be_typed_and_one_that_is_too_long_is_said_to_be(
    api: Api, faulty: Pair, new_page: Callable[..., Any]
) -> None:
    page = await new_page(api, f"/#/meter/{faulty.meter}")
    await page.get_by_text("Other times").click()
    form = page.locator("form.pick")
    await expect(form).to_contain_text("UTC")
    await form.get_by_label("From").fill("2020-02-08T10:07")
    await form.get_by_label("until").fill("2026-02-08T11:40")
    await form.get_by_role("button", name="Show").click()
    message = await form.get_by_label("until").evaluate("(input) => input.validationMessage")
    assert message == "The end lies a minute to 731 days after the start."
    await form.get_by_label("From").fill("2026-02-08T10:07")
    await form.get_by_role("button", name="Show").click()
    await expect(page.locator(".shown")).to_contain_text("10:07 to")
    assert await address(page) == {"start": "2026-02-08T10:07:00Z", "end": "2026-02-08T11:40:00Z"}
    await expect(page.get_by_text("No readings in this time.")).to_be_visible()


async def test_a_vehicle_and_its_meter_lead_to_each_other_in_the_same_range(
    api: Api, faulty: Pair, new_page: Callable[..., Any]
) -> None:
    page = await new_page(api, f"/#/vehicle/{faulty.vehicle}?range=7d")
    await expect(page.locator("#live")).to_have_text("Live")
    for part in (card(page, "Energy"), card(page, "Its meter over time"), page.locator(".tile", has_text="Its meter")):
        link = part.get_by_role("link", name=faulty.meter)
        await expect(link).to_have_attribute("href", f"#/meter/{faulty.meter}?range=7d")
    await link.click()
    await shown(page, f"Meter {faulty.meter}")
    assert await address(page) == {"range": "7d"}
    await page.get_by_role("link", name="30 days").click()
    await expect(page.get_by_role("link", name="30 days")).to_have_attribute("aria-current", "true")
    await expect(card(page, "The vehicles that it feeds")).to_contain_text(faulty.vehicle)
    await page.locator(".tile", has_text="Its vehicle").get_by_role("link").click()
    await shown(page, f"Vehicle {faulty.vehicle}")
    assert await address(page) == {"range": "30d"}


async def test_ticks_of_an_axis_are_told_apart_and_have_their_unit(api: Api, new_page: Callable[..., Any]) -> None:
    page = await new_page(api, BLANK, expected=("404",))
    for ticks, step, labels in (
        ([0, 0.002, 0.004], 0.002, ["0.000 kWh", "0.002 kWh", "0.004 kWh"]),
        ([0, 0.25, 0.5], 0.25, ["0.00 kWh", "0.25 kWh", "0.50 kWh"]),
        ([0, 50, 100], 50, ["0 kWh", "50 kWh", "100 kWh"]),
        ([0, 5000, 10000], 5000, ["0 MWh", "5 MWh", "10 MWh"]),
    ):
        assert await call(page, "axis", "m.energies(...argument)", [ticks, step]) == labels


async def test_the_line_of_the_efficiency_is_red_where_it_is_low(
    api: Api, faulty: Pair, new_page: Callable[..., Any]
) -> None:
    healthy = await send_pair(api, ac=4.0, dc=3.6)
    colours = """(canvas) => {
        const style = getComputedStyle(document.documentElement);
        const context = canvas.getContext("2d");
        const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
        const drawn = new Set();
        for (let i = 0; i < data.length; i += 4) if (data[i + 3] === 255) drawn.add(data.slice(i, i + 3).join());
        const pairs = (name) => style.getPropertyValue(name).trim().match(/[0-9a-f]{2}/g);
        const rgb = (name) => pairs(name).map((pair) => parseInt(pair, 16)).join();
        return ["--low", "--normal"].map((name) => drawn.has(rgb(name)));
    }"""
    for pair, expected in ((faulty, [True, False]), (healthy, [False, True])):
        page = await new_page(api, f"/#/vehicle/{pair.vehicle}?range=7d", color_scheme="light")
        canvas = page.locator(".figure-card", has=page.get_by_role("heading", name="Efficiency", exact=True)).locator(
            "canvas"
        )
        await canvas.wait_for()
        await page.wait_for_timeout(100)  # uPlot draws in the next frame
        assert await canvas.evaluate(colours) == expected


async def test_a_click_shows_its_range_at_once_and_the_figures_when_they_come(
    api: Api, faulty: Pair, new_page: Callable[..., Any]
) -> None:
    page = await new_page(api, f"/#/vehicle/{faulty.vehicle}")
    await shown(page, f"Vehicle {faulty.vehicle}")
    answered = asyncio.Event()

    async def hold(route: Route) -> None:
        await answered.wait()
        await route.continue_()

    await page.route("**/v1/analytics/performance/**", hold)
    await page.get_by_role("link", name="7 days").click()
    await expect(page.get_by_role("link", name="7 days")).to_have_attribute("aria-current", "true")
    await expect(page.locator("main > .page")).to_have_attribute("aria-busy", "true")
    await expect(page.locator(".tile a.device")).to_have_attribute("href", f"#/meter/{faulty.meter}?range=7d")
    answered.set()
    await expect(page.locator("main > .page")).not_to_have_attribute("aria-busy", "true")
