"""The dashboard in a real browser, over a real service with real data."""

from __future__ import annotations

import asyncio
import csv
import io
import re
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, Route, expect

from service.database.pool import Database
from service.http.app import create_app
from service.http.routes.events import Pulses
from service.settings import Settings
from tests.dashboard.world import HOUR, current_hour, send_pair
from tests.http.test_auth import REQUIRED, token
from tests.support import Api, Owner, Pair, new_pair, now, rfc3339, served, serving

pytestmark = pytest.mark.long

PHONE = {"viewport": {"width": 360, "height": 740}}


@pytest.fixture(scope="module")
async def fast(database: Database, owner: Owner) -> AsyncIterator[Api]:
    """The service, with a pulse four times a second."""
    app = create_app(database, Settings())
    app.state.pulses = Pulses(0.25)
    async with serving(app) as api:
        yield api


@pytest.fixture(scope="module")
async def faulty(fast: Api) -> Pair:
    """A vehicle that got 6 of 8 kWh, 75 %, in two hours: at 20 and at 36 degrees Celsius, with 40 and 50 %."""
    return await send_pair(fast, ac=4.0, dc=3.0)


async def shown(page: Page, heading: str) -> None:
    await expect(page.get_by_role("heading", level=1)).to_have_text(heading)


def card(page: Page, title: str) -> Any:
    return page.locator("section.card", has=page.get_by_role("heading", name=title, exact=True))


async def test_the_fleet_page_shows_what_the_service_knows(
    fast: Api, faulty: Pair, new_page: Callable[..., Any]
) -> None:
    rejected = await fast.post_meter(faulty.meter, now(), kwhConsumedAc=-1)
    assert rejected.status_code == 422
    silent = new_pair().meter
    assert (await fast.post_meter(silent, now() - HOUR)).status_code == 201
    page = await new_page(fast)
    await shown(page, "Fleet")
    overview = (await fast.http.get("/v1/fleet")).json()
    await expect(
        page.get_by_text(re.compile(r"^Energy and efficiency are counted up to \d\d:\d\d UTC\.$"))
    ).to_be_visible()
    await expect(card(page, "Efficiency, 24 h")).to_contain_text(f"{overview['vehiclesLow']} low")
    row = card(page, "Lowest efficiency, 24 hours").get_by_role("row", name=re.compile(faulty.vehicle))
    await expect(row).to_contain_text("75.0 %")
    await expect(row).to_contain_text("low")
    await expect(row).to_contain_text("8.0")  # AC, kWh
    await expect(row).to_contain_text("2.0")  # lost, kWh
    await expect(card(page, "Rejected readings, 24 hours")).to_contain_text("value out of range")
    row = card(page, "Silent devices").get_by_role("row", name=re.compile(silent))
    await expect(row).to_contain_text("1 h ago")
    await expect(row).to_contain_text("1 min")  # expected every
    await expect(page.locator(".chart canvas")).to_have_count(2)
    assert await page.locator("footer").inner_text() == "Times are those of UTC."


async def test_the_vehicle_page_shows_both_sides_its_battery_and_its_meters(
    fast: Api, faulty: Pair, new_page: Callable[..., Any]
) -> None:
    page = await new_page(fast, f"/#/vehicle/{faulty.vehicle}?range=7d")
    await shown(page, f"Vehicle {faulty.vehicle}")
    await expect(card(page, "Efficiency in this time")).to_contain_text("75.0 %")
    await expect(card(page, "Efficiency in this time")).to_contain_text("6.0 of 8.0 kWh")
    await expect(card(page, "State of charge").first).to_contain_text("50.0 %")
    await expect(card(page, "Its meter over time")).to_contain_text(faulty.meter)
    for title, cells in (
        ("Energy", [[faulty.meter, "4.000", "3.000", "4.00", "3.00"]] * 2),
        ("Efficiency", [["75.0 %", "low"]] * 2),
        ("Battery temperature", [["20.0"] * 3, ["36.0"] * 3]),
    ):
        figure = card(page, title)
        await figure.locator("summary").click()
        rows = figure.locator(".scroll tbody tr")
        await expect(rows).to_have_count(2)
        assert [await rows.nth(n).locator("td").all_inner_texts() for n in range(2)] == cells
    await page.get_by_role("link", name="30 days").click()
    await expect(page.get_by_role("link", name="30 days")).to_have_attribute("aria-current", "true")


async def test_an_idle_vehicle_is_no_fault_and_an_impossible_one_has_no_ratio(
    fast: Api, new_page: Callable[..., Any]
) -> None:
    for ac, dc, status in ((0.01, 0.0, "idle"), (0.0, 0.01, "impossible")):
        pair = await send_pair(fast, ac=ac, dc=dc)
        page = await new_page(fast, f"/#/vehicle/{pair.vehicle}?range=7d")
        tile = card(page, "Efficiency in this time")
        await expect(tile).to_contain_text(status)
        assert "%" not in await tile.inner_text()
        figure = card(page, "Efficiency")
        await expect(figure).to_contain_text("The vehicle has no efficiency in this time")
        await figure.locator("summary").click()
        rows = figure.locator(".scroll tbody tr")
        assert [await rows.nth(n).locator("td").all_inner_texts() for n in range(2)] == [["\u2013", status]] * 2
    page = await new_page(fast)
    await shown(page, "Fleet")
    await expect(card(page, "Efficiency, 24 h")).to_contain_text(re.compile(r"\d impossible.*\d idle"))
    assert "idle" not in await card(page, "Lowest efficiency, 24 hours").get_by_role("table").inner_text()


async def test_the_status_and_the_total_of_a_window_are_those_of_the_service(
    fast: Api, new_page: Callable[..., Any]
) -> None:
    limit = await send_pair(fast, ac=1000.0, dc=849.96)  # 0.84996, which is shown and judged as 0.85
    page = await new_page(fast, f"/#/vehicle/{limit.vehicle}?range=7d")
    await expect(card(page, "Efficiency in this time")).to_contain_text("85.0 %")
    await expect(card(page, "Efficiency in this time")).to_contain_text("normal")
    # a bucket of the vehicle alone counts in the window: 3.5 of 4 kWh, though the buckets with both sides say 75 %
    pair = new_pair()
    first = current_hour() - 5 * HOUR + timedelta(minutes=20)
    assert (await fast.post_meter(pair.meter, first, kwhConsumedAc=4.0)).status_code == 201
    for at, energy in ((first, 3.0), (first + HOUR, 0.5)):
        assert (await fast.post_vehicle(pair.vehicle, at, kwhDeliveredDc=energy)).status_code == 201
    page = await new_page(fast, f"/#/vehicle/{pair.vehicle}?range=7d")
    await expect(card(page, "Efficiency in this time")).to_contain_text("87.5 %")
    assert (await fast.performance(pair.vehicle, hours=168))["efficiencyRatio"] == 0.875


async def test_a_bucket_that_is_not_over_is_drawn_and_listed_as_one(fast: Api, new_page: Callable[..., Any]) -> None:
    pair = await send_pair(fast, ac=4.0, dc=3.0)
    for path in (f"/#/vehicle/{pair.vehicle}?range=7d", f"/#/meter/{pair.meter}?range=7d"):
        page = await new_page(fast, path)
        await expect(page.locator(".u-legend").first).to_be_visible()
        buckets = page.locator(".figure-card")  # both hours are over; a session may not be
        assert await buckets.get_by_text("so far").count() == 0
    at = now()
    assert (await fast.post_meter(pair.meter, at, kwhConsumedAc=2.0)).status_code == 201
    assert (await fast.post_vehicle(pair.vehicle, at, kwhDeliveredDc=1.5)).status_code == 201
    figures = {"vehicle": ["Energy", "Efficiency", "Battery temperature", "State of charge"], "meter": ["Energy"]}
    for kind, titles in figures.items():
        page = await new_page(fast, f"/#/{kind}/{getattr(pair, kind)}?range=30d")
        for title in titles:
            figure = page.locator(".figure-card", has=page.get_by_role("heading", name=title, exact=True))
            await expect(figure.locator(".u-legend")).to_contain_text(re.compile(r"\w so far"))
            await figure.locator("summary").click()
            await expect(figure.locator("tbody tr").last.get_by_role("rowheader")).to_have_text(
                re.compile(r"\d+ \w+ 00:00\s*so far")
            )
    page = await new_page(fast)
    energy = card(page, "Energy of the fleet, 24 hours")
    await expect(energy.locator(".u-legend")).to_contain_text("AC consumed so far")
    async with page.expect_download() as download:
        await page.get_by_role("link", name="fleet-energy as CSV").click()
    rows = list(csv.DictReader(io.StringIO((await (await download.value).path()).read_text())))
    assert [row["isOpen"] for row in rows] == ["false"] * (len(rows) - 1) + ["true"]


async def fleet_page_with(new_page: Callable[..., Any], api: Api, **changed: Any) -> Page:
    """The fleet page, over an overview with these fields."""

    async def answer(route: Route) -> None:
        response = await route.fetch()
        await route.fulfill(response=response, json={**await response.json(), **changed})

    page: Page = await new_page(api, "about:blank")
    await page.route("**/v1/fleet", answer)
    await page.goto("/")
    await shown(page, "Fleet")
    return page


NO_VEHICLES = {f"vehicles{status}": 0 for status in ("Normal", "Low", "Impossible", "Idle", "Unknown")}
NO_BANDS = [{"ratioFrom": number / 20, "ratioTo": (number + 1) / 20, "vehicles": 0} for number in range(20)]


async def test_the_fleet_page_of_a_large_fleet_says_up_to_when_it_counts(
    fast: Api, faulty: Pair, new_page: Callable[..., Any]
) -> None:
    times = {
        "todayStart": "2026-02-08T00:00:00Z",
        "periodStart": "2026-02-07T11:00:00Z",
        "periodEnd": "2026-02-08T10:45:00Z",
        "energyUntil": "2026-02-08T10:45:00Z",
        "receivedUntil": "2026-02-08T10:51:00Z",
    }
    nothing = {"distribution": NO_BANDS, "worst": [], **NO_VEHICLES, "vehiclesIdle": 1234, "vehiclesUnknown": 5}
    page = await fleet_page_with(new_page, fast, **times, **nothing, kwhConsumedAcToday=12.5, kwhDeliveredDcToday=None)
    counted = "Energy and efficiency are counted up to 8 Feb 10:45 UTC, of readings received until 8 Feb 10:51 UTC."
    await expect(page.get_by_text(counted)).to_be_visible()
    await expect(card(page, "AC consumed today")).to_contain_text("up to 8 Feb 10:45 UTC")
    await expect(card(page, "DC delivered today")).to_contain_text("no readings up to 8 Feb 10:45 UTC")
    await expect(card(page, "Efficiency, 24 h")).to_contain_text("5 unknown, 1,234 idle")
    for title in ("Efficiency of the vehicles, 24 hours", "Lowest efficiency, 24 hours"):
        await expect(card(page, title)).to_contain_text(
            "From 7 Feb 11:00 UTC to 8 Feb 10:45 UTC no vehicle has an efficiency: 5 unknown, 1,234 idle. "
            "Later readings are not counted yet."
        )


async def test_the_trend_of_a_vehicle_says_that_its_last_day_is_not_over(
    fast: Api, new_page: Callable[..., Any]
) -> None:
    days = zip(("2026-02-07T00:00:00Z", "2026-02-08T00:00:00Z"), (0.9, 0.7), strict=True)
    vehicle = {"vehicleId": "V1", "kwhConsumedAc": 10.0, "kwhDeliveredDc": 8.0, "efficiencyRatio": 0.8}
    trend = [{"bucket": bucket, "efficiencyRatio": ratio} for bucket, ratio in days]
    worst = [{**vehicle, "efficiencyStatus": "low", "trend": trend}]
    for today, words in (("2026-02-08T00:00:00Z", " so far"), ("2026-02-09T00:00:00Z", "")):
        page = await fleet_page_with(new_page, fast, todayStart=today, worst=worst)
        line = page.get_by_role("img", name=f"90.0 % on 7 Feb, 70.0 % on 8 Feb{words}", exact=True)
        await expect(line.locator("polyline.open")).to_have_count(1 if words else 0)


async def test_the_fleet_page_says_from_when_on_a_large_fleet_will_be_counted(
    fast: Api, new_page: Callable[..., Any]
) -> None:
    midnight, ended = "2026-02-08T00:00:00Z", "2026-02-07T10:51:00Z"
    times = {"todayStart": midnight, "energyUntil": midnight, "periodEnd": ended, "receivedUntil": midnight}
    nothing = {
        "kwhConsumedAcToday": None,
        "kwhDeliveredDcToday": None,
        "hours": [],
        "distribution": NO_BANDS,
        "worst": [],
    }
    page = await fleet_page_with(new_page, fast, **times, **nothing, **NO_VEHICLES)
    quarter = r"after (\d+ \w+ )?\d\d:(00|15|30|45) UTC"  # with the day, if it is tomorrow's first
    counted = re.compile(rf"No energy is counted yet\. The first figures come {quarter}, when")
    await expect(page.get_by_text(counted)).to_have_count(4)  # above all, and in place of three figures
    for title in ("AC consumed today", "DC delivered today"):
        await expect(card(page, title)).to_contain_text(re.compile(f"counted {quarter}"))
    assert "No readings in this time" not in await page.locator("main").inner_text()


async def test_the_meter_page_shows_energy_and_the_band_of_the_voltage(
    fast: Api, faulty: Pair, new_page: Callable[..., Any]
) -> None:
    page = await new_page(fast, f"/#/meter/{faulty.meter}")
    await shown(page, f"Meter {faulty.meter}")
    await expect(card(page, "Voltage, lowest to highest")).to_contain_text("224.0\u2013225.0 V")
    await expect(card(page, "Energy in this time")).to_contain_text("8.00 kWh")
    await expect(card(page, "Energy in this time")).to_contain_text("2 readings")
    await expect(page.locator(".chart canvas")).to_have_count(2)


async def test_every_chart_has_a_name_a_table_and_a_csv_of_the_same_numbers(
    fast: Api, faulty: Pair, new_page: Callable[..., Any], tmp_path: Path
) -> None:
    for path in ("/", f"/#/vehicle/{faulty.vehicle}", f"/#/meter/{faulty.meter}"):
        page = await new_page(fast, path)
        await expect(page.locator(".chart canvas").first).to_be_visible()
        charts = await page.locator(".chart").count()
        assert charts == await page.locator("section:has(.chart) details table tbody").count()
        for chart in await page.locator(".chart").all():
            assert (await chart.get_attribute("aria-label") or "").startswith("Chart: ")
        assert charts == await page.locator("section:has(.chart) a[download]").count()
    async with page.expect_download() as download:
        await page.get_by_role("link", name=f"{faulty.meter}-energy as CSV").click()
    await (await download.value).save_as(tmp_path / "energy.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "energy.csv").read_text())))
    answer = await fast.http.get(f"/v1/history/meter/{faulty.meter}", params={"resolution": "15min"})
    assert [(row["bucket"], float(row["kwhConsumedAc"]), row["readings"]) for row in rows] == [
        (item["bucket"], item["kwhConsumedAc"], str(item["readings"])) for item in answer.json()["items"]
    ]
    assert len(rows) == 2


async def test_a_new_reading_shows_without_a_reload(fast: Api, new_page: Callable[..., Any]) -> None:
    pair = new_pair()
    assert (await fast.post_vehicle(pair.vehicle, now() - HOUR, soc=31.0)).status_code == 201
    page = await new_page(fast, f"/#/vehicle/{pair.vehicle}")
    tile = page.locator(".tile", has_text="State of charge")
    await expect(tile).to_contain_text("31.0 %")
    await expect(page.locator("#live")).to_have_text("Live")
    assert (await fast.post_vehicle(pair.vehicle, now(), soc=32.5)).status_code == 201
    await expect(tile).to_contain_text("32.5 %")
    assert await page.evaluate("performance.getEntriesByType('navigation').length") == 1


async def test_a_vehicle_without_a_meter_is_unknown_and_not_zero(fast: Api, new_page: Callable[..., Any]) -> None:
    vehicle = new_pair().vehicle
    assert (await fast.post_vehicle(vehicle, now() - HOUR)).status_code == 201
    page = await new_page(fast, f"/#/vehicle/{vehicle}")
    tile = page.locator(".tile", has_text="Efficiency")
    await expect(tile).to_contain_text("unknown")
    assert "%" not in await tile.inner_text()
    await expect(page.get_by_text("No meter feeds the vehicle, so its efficiency is unknown.")).to_be_visible()


async def test_what_was_not_measured_is_a_dash_and_a_gap_and_not_zero(fast: Api, new_page: Callable[..., Any]) -> None:
    pair = new_pair()
    for hours, soc in ((3, 31.0), (2, 254), (1, ...)):
        at = current_hour() - hours * HOUR
        assert (await fast.post_vehicle(pair.vehicle, at, soc=soc, batteryTemp=-127)).status_code == 201
        assert (await fast.post_meter(pair.meter, at, voltage=None)).status_code == 201
    page = await new_page(fast, f"/#/vehicle/{pair.vehicle}")
    for title, unit in (("State of charge", "%"), ("Battery", "°C"), ("Its meter", "V")):
        await expect(page.locator(".tile", has=page.get_by_role("heading", name=title, exact=True))).to_contain_text(
            f"\u2013 {unit}"
        )
    await expect(page.get_by_text("No battery temperature was measured in this time.")).to_be_visible()
    charge = card(page, "State of charge").filter(has=page.locator(".chart"))
    await charge.locator("summary").click()
    last = await charge.locator("details tbody td:last-child").all_inner_texts()
    assert sorted(last) == ["31.0", "\u2013", "\u2013"]
    page = await new_page(fast, f"/#/meter/{pair.meter}")
    await expect(page.locator(".tile", has_text="Voltage, lowest to highest")).to_contain_text("\u2013 V")
    await expect(page.get_by_text("No voltage was measured in this time.")).to_be_visible()


async def test_what_is_wrong_comes_first_and_leads_to_its_devices(
    fast: Api, faulty: Pair, new_page: Callable[..., Any]
) -> None:
    assert (await fast.post_meter(faulty.meter, now(), kwhConsumedAc=-1)).status_code == 422
    assert (await fast.post_vehicle(faulty.vehicle, now(), batteryTemp=-127)).status_code == 201
    page = await new_page(fast)
    await shown(page, "Fleet")
    overview = (await fast.http.get("/v1/fleet")).json()
    faults, tile = (page.locator(".tile").nth(place) for place in (0, 1))
    await expect(faults.get_by_role("link", name="Faults")).to_be_visible()
    await expect(tile).to_contain_text(f"{overview['vehiclesLow']} vehicle")
    table = card(page, "Rejected readings, 24 hours")
    row = table.get_by_role("row", name="value out of range meter")
    await expect(row.get_by_role("link")).to_have_attribute("href", f"#/meter/{faulty.meter}")
    await expect(row).to_contain_text("kwhConsumedAc -1 is outside 0 to 10000000 kWh")
    await expect(row).to_contain_text(f'"meterId" : "{faulty.meter}"')
    filters = "--kind meter --code value_out_of_range --since 24h"
    commands = [f"energy rejected list {filters}", f"energy rejected replay {filters}"]
    assert await row.locator("code.command").all_inner_texts() == commands
    stored = table.get_by_role("row", name="stored without the measure vehicle")
    assert len(await stored.locator("code.command").all()) == 1  # there is nothing to send again
    await tile.get_by_role("link", name="Low efficiency").click()
    await shown(page, "Vehicles")
    await expect(page.get_by_role("link", name=faulty.vehicle)).to_be_visible()


async def test_a_replaced_meter_is_shown_as_retired(fast: Api, new_page: Callable[..., Any]) -> None:
    pair, other = new_pair(), new_pair().meter
    for answer in (fast.post_meter(pair.meter, now() - HOUR), fast.post_vehicle(pair.vehicle, now() - HOUR)):
        assert (await answer).status_code == 201
    page = await new_page(fast, f"/#/meter/{pair.meter}")
    await shown(page, f"Meter {pair.meter}")
    assert await page.get_by_text("retired").count() == 0
    assert (await fast.http.put(f"/v1/links/{pair.vehicle}", json={"meterId": other})).status_code == 200
    await page.reload()
    await expect(page.get_by_text("It is out of use until it reports again")).to_be_visible()
    await expect(page.locator(".tile", has_text="Its vehicle")).to_contain_text("none")
    page = await new_page(fast)
    await shown(page, "Fleet")
    assert pair.meter not in await card(page, "Silent devices").inner_text()


async def test_two_sentences_of_an_error_are_two(fast: Api, new_page: Callable[..., Any]) -> None:
    page = await new_page(fast, "about:blank", expected=("503",))
    problem = {"code": "overloaded", "detail": "too many readings wait"}
    await page.route("**/v1/fleet", lambda route: route.fulfill(status=503, json=problem))
    await page.goto("/")
    await shown(page, "This cannot be shown now")
    await expect(page.get_by_role("alert")).to_have_text("Too many readings wait. It is tried again by itself.")


async def test_the_zone_is_named_where_times_are(fast: Api, faulty: Pair, new_page: Callable[..., Any]) -> None:
    page = await new_page(fast, "about:blank")
    pulse = '{"timeZone":"Asia/Kathmandu","at":"2026-02-08T00:00:00Z"}'
    events = {"content_type": "text/event-stream", "body": f"event: pulse\ndata: {pulse}\n\n"}
    await page.route("**/v1/events", lambda route: route.fulfill(**events))
    await page.goto(f"/#/vehicle/{faulty.vehicle}")
    await shown(page, f"Vehicle {faulty.vehicle}")
    await expect(page.locator(".shown")).to_contain_text(", Asia/Kathmandu")
    await expect(page.locator(".tile").first).to_contain_text("GMT+5:45")
    heads = page.locator("th[scope=col]", has_text=re.compile("^(From|Until)"))
    assert {text.partition(", ")[2] for text in await heads.all_text_contents()} == {"Asia/Kathmandu"}
    await expect(page.locator("footer")).to_have_text("Times are those of Asia/Kathmandu.")


async def test_a_table_that_is_wider_than_a_phone_says_so(
    fast: Api, faulty: Pair, new_page: Callable[..., Any]
) -> None:
    for options, hints in ((PHONE, True), ({}, False)):
        page = await new_page(fast, **options)
        await shown(page, "Fleet")
        table = card(page, "Lowest efficiency, 24 hours")
        await expect(table.locator("tbody tr").first).to_be_visible()
        await expect(table.get_by_text("scroll for more columns")).to_be_visible(visible=hints)


async def test_an_id_that_nobody_has_is_said_to_be_unknown(fast: Api, new_page: Callable[..., Any]) -> None:
    page = await new_page(fast, "/#/vehicle/nobody", expected=("404",))
    await shown(page, "Unknown device")
    await expect(page).to_have_title("Unknown device nobody · Energy")


async def test_the_search_finds_meters_and_vehicles_by_keyboard_alone(
    fast: Api, faulty: Pair, new_page: Callable[..., Any]
) -> None:
    page = await new_page(fast)
    await shown(page, "Fleet")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    for _ in range(8):
        await page.keyboard.press("Tab")
    await expect(page.get_by_role("searchbox")).to_be_focused()
    outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    await page.keyboard.type(faulty.meter)
    await page.keyboard.press("Enter")
    await shown(page, f"Meter {faulty.meter}")
    await page.get_by_role("searchbox").fill(faulty.vehicle)
    await page.keyboard.press("Enter")
    await shown(page, f"Vehicle {faulty.vehicle}")
    summary = card(page, "Energy").locator("summary")
    await summary.focus()
    await page.keyboard.press("Enter")
    await expect(card(page, "Energy").get_by_role("table", name="Energy, as a table")).to_be_visible()


@pytest.mark.parametrize("held", ["devices?*", "history/meter/**"], ids=["search", "page"])
async def test_an_answer_that_comes_late_does_not_take_the_focus_from_who_types_meanwhile(
    fast: Api, faulty: Pair, new_page: Callable[..., Any], held: str
) -> None:
    page = await new_page(fast)
    await shown(page, "Fleet")
    asked, go = asyncio.Event(), asyncio.Event()

    async def hold(route: Route) -> None:
        asked.set()
        await go.wait()
        await route.continue_()

    await page.route(f"**/v1/{held}", hold)
    box = page.get_by_role("searchbox")
    await box.fill(faulty.meter)
    await box.press("Enter")
    await asyncio.wait_for(asked.wait(), 10)
    await expect(page.get_by_role("main")).to_be_focused()
    await box.fill("")
    await page.keyboard.type("V1")
    go.set()
    await shown(page, f"Meter {faulty.meter}")
    await page.keyboard.type("23")
    await expect(box).to_be_focused()
    await expect(box).to_have_value("V123")


async def test_the_focus_follows_to_a_page_that_a_link_opens(
    fast: Api, faulty: Pair, new_page: Callable[..., Any]
) -> None:
    page = await new_page(fast, f"/#/vehicle/{faulty.vehicle}?range=7d")
    await shown(page, f"Vehicle {faulty.vehicle}")
    another = page.get_by_role("link", name="30 days")
    await another.focus()
    await page.keyboard.press("Enter")
    await expect(another).to_have_attribute("aria-current", "true")
    await expect(another).to_be_focused()  # the page is the same, with another range
    await page.get_by_role("link", name="Fleet", exact=True).focus()
    await page.keyboard.press("Enter")
    await shown(page, "Fleet")
    await expect(page.get_by_role("main")).to_be_focused()


async def test_nothing_is_wider_than_a_phone(fast: Api, faulty: Pair, new_page: Callable[..., Any]) -> None:
    for path in ("/", f"/#/vehicle/{faulty.vehicle}?range=7d", f"/#/meter/{faulty.meter}"):
        page = await new_page(fast, path, **PHONE)
        await expect(page.locator(".chart canvas").first).to_be_visible()
        assert await page.evaluate("document.documentElement.scrollWidth") <= 360


async def test_dark_mode_and_light_mode_both_have_contrast(fast: Api, new_page: Callable[..., Any]) -> None:
    backgrounds = set()
    for scheme in ("light", "dark"):
        page = await new_page(fast, color_scheme=scheme)
        await shown(page, "Fleet")
        for selector in ("h1", ".tile .note", ".tile h2", "header nav a", "footer"):
            ratio = await page.locator(selector).first.evaluate(CONTRAST)
            assert ratio >= 4.5, (scheme, selector, ratio)
        backgrounds.add(await page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(backgrounds) == 2


CONTRAST = """(element) => {
  const numbers = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  let behind = element;
  const ground = () => numbers(getComputedStyle(behind).backgroundColor);
  while (ground()[3] === 0) behind = behind.parentElement;
  const [a, b] = [light(numbers(getComputedStyle(element).color)), light(ground())].sort((x, y) => y - x);
  return (a + 0.05) / (b + 0.05);
}"""


async def test_with_keys_required_it_asks_for_one_and_keeps_it_out_of_the_address(
    database: Database, owner: Owner, new_page: Callable[..., Any]
) -> None:
    reader = await token(owner, "read")
    sender = await token(owner, "device", "meter", [new_pair().meter])
    async with served(database, REQUIRED) as api:
        page = await new_page(api, expected=("401", "403"))
        await shown(page, "A key is needed")
        field = page.get_by_label("Read key")
        await expect(field).to_be_focused()
        await field.fill("ek_00000000000000000000.wrong")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_contain_text("does not hold")
        await page.get_by_label("Read key").fill(sender)
        await page.keyboard.press("Enter")
        await shown(page, "This key may not read")
        await page.get_by_role("button", name="Use another key").click()
        await page.get_by_label("Read key").fill(reader)
        await page.keyboard.press("Enter")
        await shown(page, "Fleet")
        await expect(page.locator("#live")).to_have_text("Live")
        secret = reader.partition(".")[2]
        assert secret not in page.url
        assert secret not in await page.evaluate(
            "JSON.stringify([localStorage, document.cookie, document.body.innerHTML])"
        )
        await page.get_by_role("button", name="Forget key").click()
        await shown(page, "A key is needed")
        assert await page.evaluate("sessionStorage.length") == 0


async def test_a_service_that_is_away_is_an_error_at_first_and_stale_later(
    fast: Api, new_page: Callable[..., Any]
) -> None:
    page = await new_page(fast, expected=("Failed to load resource", "ERR_"))
    await expect(page.locator("#live")).to_have_text("Live")
    await page.context.set_offline(True)
    await page.route("**/v1/**", lambda route: route.abort())
    await page.evaluate("location.hash = '#/meter/any'")
    await shown(page, "This cannot be shown now")
    await expect(page.get_by_role("alert")).to_contain_text("The service does not answer.")
    await page.unroute("**/v1/**")
    await page.context.set_offline(False)
    await page.evaluate("location.hash = '#/'")
    await page.get_by_role("heading", name="Fleet", exact=True).wait_for()


async def test_an_error_of_a_page_that_was_left_does_not_end_the_one_that_was_gone_to(
    fast: Api, new_page: Callable[..., Any]
) -> None:
    page = await new_page(fast)
    await expect(page.locator("#live")).to_have_text("Live")
    # its 404 is there, and its body still on the way when the visitor goes on
    await page.evaluate("""() => {
        const ask = window.fetch;
        const gone = () => new DOMException("gone", "AbortError");
        window.fetch = async (path, options) => path !== "/v1/status/meter/slow" ? ask(path, options) : new Response(
            new ReadableStream({ start: (body) => options.signal.addEventListener("abort", () => body.error(gone())) }),
            { status: 404 },
        );
    }""")
    await page.evaluate("location.hash = '#/meter/slow'")
    await page.get_by_text("Loading meter slow").wait_for()
    await page.evaluate("location.hash = '#/'")
    await shown(page, "Fleet")


async def test_a_database_that_is_away_makes_the_page_stale_and_says_since_when(
    database: Database, new_page: Callable[..., Any]
) -> None:
    class Switch(Database):
        away = False

        async def read_row(self, query: str, *arguments: Any) -> Any:
            if self.away:
                raise OSError("gone")
            return await super().read_row(query, *arguments)

    switch = Switch(database.write, None, 1000)
    app = create_app(switch, Settings())
    app.state.pulses = Pulses(0.2)
    async with serving(app) as api:
        page = await new_page(api, expected=("503", "500", "ERR_"))
        await shown(page, "Fleet")
        await expect(page.locator("#live")).to_have_text("Live")
        switch.away = True
        await expect(page.locator("#live")).to_have_text(re.compile(r"Stale since \d\d:\d\d:\d\d"))
        await shown(page, "Fleet")  # what was known stays
        switch.away = False
        await expect(page.locator("#live")).to_have_text("Live")


async def test_without_the_chart_library_the_tables_are_open(
    fast: Api, faulty: Pair, new_page: Callable[..., Any]
) -> None:
    page = await new_page(fast, "/docs", expected=("404", "Failed to load"))
    await page.route("**/uPlot.*", lambda route: route.fulfill(status=404))
    await page.goto(f"/#/meter/{faulty.meter}")
    await expect(card(page, "Voltage").get_by_role("table", name="Voltage, as a table")).to_be_visible()
    await expect(card(page, "Voltage").locator(".scroll tbody tr")).to_have_count(2)
    assert await page.locator("canvas").count() == 0


def test_the_world_lies_within_the_last_day() -> None:
    assert now() - (current_hour() - 5 * HOUR) < 6 * HOUR


@pytest.mark.parametrize("kind", ["meter", "vehicle"])
async def test_a_page_lists_the_exchanges_of_its_register(
    fast: Api, faulty: Pair, new_page: Callable[..., Any], kind: str
) -> None:
    device, post = (new_pair().meter, fast.post_meter) if kind == "meter" else (new_pair().vehicle, fast.post_vehicle)
    await fast.http.put(f"/v1/devices/{kind}/{device}", json={"energyKind": "register"})
    await post(device, now() - HOUR)
    page = await new_page(fast, f"/#/{kind}/{getattr(faulty, kind)}")
    await shown(page, f"{kind.capitalize()} {getattr(faulty, kind)}")
    await expect(page.get_by_text("Exchanges of its register")).to_have_count(0)
    exchange = {"at": rfc3339(now()), "lastRegister": 4000.5, "firstRegister": 25000}
    assert (await fast.post(f"/v1/devices/{kind}/{device}/exchange", exchange)).status_code == 201
    page = await new_page(fast, f"/#/{kind}/{device}")
    row = card(page, "Exchanges of its register").get_by_role("row").last
    for text in ("4,000.500", "25,000.000", "127.0.0.1"):
        await expect(row).to_contain_text(text)
