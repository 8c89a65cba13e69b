"""Pages in a browser: neither the dashboard nor the documentation may be shown or fed by another site."""

import csv
import io
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from playwright.async_api import expect

from service.alerting.model import Alert
from service.http import pages
from service.http.app import create_app
from service.http.routes.devices import Device
from service.http.routes.history import MeterBucket, MeterPoint, VehicleBucket, VehiclePoint
from service.http.routes.sessions import Session
from service.settings import Settings
from tests.dashboard.conftest import browser, new_page  # noqa: F401 - fixtures
from tests.support import Api

PAGES = ["/", "/docs", "/docs/openapi.json", "/docs/assets/swagger-ui.css", "/dashboard/table.js"]


@pytest.mark.parametrize("path", PAGES)
async def test_every_page_says_what_it_may_load_and_that_nobody_frames_it(api: Api, path: str) -> None:
    answer = await api.http.get(path)
    assert answer.status_code == 200
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert (policy["default-src"], policy["frame-ancestors"], policy["form-action"]) == ("'none'",) * 3
    for sources in policy.values():
        assert "unsafe" not in sources
        assert "http" not in sources
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"


async def test_the_documentation_works_under_its_policy(api: Api, new_page: Callable[..., Any]) -> None:  # noqa: F811
    """A script or style that the policy forbids would be an error in the console, which the fixture looks at."""
    page = await new_page(api, "/docs")
    operation = page.locator("#operations-health-get_liveness")
    await operation.get_by_role("button").first.click()
    await operation.get_by_role("button", name="Try it out").click()
    await operation.get_by_role("button", name="Execute").click()
    await expect(operation.locator(".live-responses-table tbody .response-col_status")).to_contain_text("200")


async def test_a_script_that_is_not_the_pages_own_does_not_run(api: Api, new_page: Callable[..., Any]) -> None:  # noqa: F811
    page = await new_page(api, "/docs", expected=("Content Security Policy",))
    script = "const s = document.createElement('script'); s.textContent = 'window.ran = 1'; document.head.append(s)"
    await page.evaluate(f"() => {{ {script} }}")
    assert await page.evaluate("() => window.ran") is None


POINTS = [MeterPoint, VehiclePoint, MeterBucket, VehicleBucket, Device, Session, Alert]


def test_every_route_with_a_csv_is_one_of_these() -> None:
    paths = create_app(None, Settings()).openapi_schema.to_schema()["paths"]
    having = [path for path, methods in paths.items() if "text/csv" in str(methods.get("get"))]
    assert sorted(having) == [
        "/v1/alerts",
        "/v1/devices",
        "/v1/history/meter/{device_id}",
        "/v1/history/vehicle/{device_id}",
        "/v1/sessions",
        "/v1/sessions/{vehicle_id}",
    ]


@pytest.mark.parametrize("point", POINTS)
def test_the_csv_of_a_route_has_no_text_that_a_spreadsheet_would_run(point: type[Any]) -> None:
    """Whatever its fields hold, and whoever checks that today."""
    fields = len(msgspec.structs.fields(point))
    for text in ("=1", "+1", "-1", "@x", "\tx", "\rx"):
        content = pages._csv(point, [point(*[text] * fields)]).decode()
        _, row = csv.reader(io.StringIO(content, newline=""))
        assert row == [f"'{text}"] * fields


async def test_the_csv_of_a_page_quotes_a_formula_and_leaves_numbers(
    api: Api,
    new_page: Callable[..., Any],  # noqa: F811
) -> None:
    page = await new_page(api, "/")
    made = await page.evaluate(
        """async () => {
            const { toCsv } = await import("/dashboard/table.js");
            const rows = ["=HYPERLINK(1)", "+1", "-1", "@x", "\\tx", "M1", -1.5, null];
            return toCsv([{ name: "value", value: (row) => row }], rows);
        }"""
    )
    assert made.split("\r\n") == ["value", "'=HYPERLINK(1)", "'+1", "'-1", "'@x", "'\tx", "M1", "-1.5", "", ""]
