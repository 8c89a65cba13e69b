"""Answers common to all routes: HEAD, unknown query parameters, and pages of other origins."""

import asyncio
import re

import pytest

from service.database.pool import Database
from service.errors import StartupError
from service.http.routes import events
from service.settings import Settings, load_settings
from tests.http.test_auth import ask, token
from tests.support import ROOT, YESTERDAY, Api, Owner, Pair, assert_problem, served

GETS = [
    *("/v1/analytics/performance/{vehicle}", "/v1/analytics/efficiency", "/v1/analytics/efficiency/{vehicle}"),
    *("/v1/analytics/fleet", "/v1/analytics/cost", "/v1/analytics/cost/{vehicle}", "/v1/fleet"),
    *("/v1/history/meter/{meter}", "/v1/history/vehicle/{vehicle}", "/v1/sessions", "/v1/sessions/{vehicle}"),
    *("/v1/links/{vehicle}", "/v1/devices", "/v1/devices/meter/{meter}", "/v1/devices/vehicle/{vehicle}"),
    *("/v1/devices/meter/{meter}/exchange", "/v1/devices/vehicle/{vehicle}/exchange"),
    *("/v1/devices/meter/{meter}/vehicles", "/v1/alerts"),
    *("/v1/status/meter/{meter}", "/v1/status/vehicle/{vehicle}", "/health/live", "/health/ready", "/metrics"),
    *("/", "/dashboard/style.css", "/docs", "/docs/openapi.json", "/docs/assets/swagger-ui.css"),
]
POSTS = [f"/v1/ingest{kind}{batch}" for kind in ("", "/meter", "/vehicle") for batch in ("", "/batch")]
OTHERS = [("PUT", "/v1/links/{vehicle}"), ("DELETE", "/v1/links/{vehicle}"), ("PUT", "/v1/devices/meter/{meter}")]
OTHERS += [("PUT", "/v1/devices/vehicle/{vehicle}"), ("POST", "/v1/devices/meter/{meter}/exchange")]
OTHERS += [("POST", "/v1/devices/vehicle/{vehicle}/exchange"), ("POST", "/v1/alerts/1/acknowledge")]
ALL = [*(("GET", path) for path in (*GETS, "/v1/events", "/v1/alerts/1")), *(("POST", path) for path in POSTS), *OTHERS]


async def known(api: Api, pair: Pair) -> None:
    await api.post_meter(pair.meter, YESTERDAY)
    await api.post_vehicle(pair.vehicle, YESTERDAY)


@pytest.mark.parametrize("path", GETS)
async def test_head_is_answered_as_get_without_the_body(api: Api, pair: Pair, path: str) -> None:
    await known(api, pair)
    path = path.format(vehicle=pair.vehicle, meter=pair.meter)
    got, head = [await api.http.request(method, path) for method in ("GET", "HEAD")]
    assert (head.status_code, head.content) == (got.status_code, b"")
    assert got.status_code == 200
    assert head.headers.keys() == got.headers.keys()
    differing = {"date", "x-request-id", "content-length"} if path == "/metrics" else {"date", "x-request-id"}
    assert {name for name in got.headers if got.headers[name] != head.headers[name]} <= differing


async def test_head_of_an_unknown_device_or_route_has_the_status_of_get(api: Api, pair: Pair) -> None:
    for path, status in ((f"/v1/status/meter/{pair.meter}", 404), ("/v1/nothing", 404), ("/v1/ingest", 405)):
        answer = await api.http.head(path)
        assert (answer.status_code, answer.content) == (status, b"")


async def test_head_of_the_endless_events_ends_and_leaves_no_listener(api: Api) -> None:
    async with asyncio.timeout(10):
        for _ in range(events.MOST_LISTENERS + 1):
            answer = await api.http.head("/v1/events")
            assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")


async def test_allow_names_head_wherever_it_names_get(api: Api) -> None:
    refused = await api.http.post("/v1/fleet")
    assert_problem(refused, 405, "method_not_allowed")
    assert set(refused.headers["allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}
    links = (await api.http.options("/v1/links/V1")).headers["allow"]
    assert set(links.split(", ")) == {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"}
    assert set((await api.http.options("/v1/ingest")).headers["allow"].split(", ")) == {"POST", "OPTIONS"}


def test_no_route_is_left_out_here() -> None:
    for line in (ROOT / "tests/security/routes.txt").read_text().splitlines():
        method, path = line.split(": ")[0].split()
        pattern = re.sub(r"\{.*?:str\}", "[^/]+", path)
        if path.startswith("/v1/") and method != "HEAD":
            assert [1 for each, asked in ALL if each == method and re.fullmatch(pattern, asked)], line


@pytest.mark.parametrize(("method", "path"), ALL)
async def test_a_query_parameter_that_the_route_does_not_know_is_named(
    api: Api, pair: Pair, method: str, path: str
) -> None:
    path = path.format(vehicle=pair.vehicle, meter=pair.meter)
    answer = await api.http.request(method, path, params={"x-unknown": ""})
    assert_problem(answer, 422, "parameter_invalid", "'x-unknown'")


async def test_the_parameters_that_the_route_knows_are_named_too(api: Api, pair: Pair) -> None:
    await known(api, pair)
    path = f"/v1/analytics/performance/{pair.vehicle}"
    for name in ("from", "Start", "start ", "st%61rt%00", "%ff"):
        answer = await api.http.get(f"{path}?{name}=2026-02-08T00:00:00Z")
        assert_problem(answer, 422, "parameter_invalid", "only end, hours, start")
    assert (await api.http.get(f"{path}?st%61rt=2026-02-08T00:00:00Z&hours=1")).status_code == 200
    for empty in ("?", "?&", "?&&"):
        assert (await api.http.get(path + empty)).status_code == 200


@pytest.mark.parametrize(
    ("asked", "detail"),
    [
        ("/v1/sessions?isOpen=maybe", "isOpen must be true or false, not 'maybe'"),
        ("/v1/sessions/{vehicle}?withCost=x", "withCost must be true or false, not 'x'"),
        ("/v1/sessions?limit=ten&hours=x", "limit must be a whole number, not 'ten'"),
        ("/v1/sessions?limit=ten&hours=x", "hours must be a number, not 'x'"),
        ("/v1/alerts?state=x", "state must be one of open, closed, all, not 'x'"),
        (
            "/v1/devices?sort=Timestamp",
            "sort must be one of deviceId, -deviceId, timestamp, -timestamp, not 'Timestamp'",
        ),
        ("/v1/devices?kind=&format=json", "kind must be one of meter, vehicle, not ''"),
        ("/v1/history/meter/{meter}?resolution=x", "resolution must be one of raw, 15min, hourly, daily, not 'x'"),
        ("/v1/history/meter/{meter}?format=xml", "format must be one of json, ndjson, csv, not 'xml'"),
        ("/v1/history/meter/{meter}?hours=1&hours=24", "hours is there more than once"),
        ("/v1/alerts?state=all&state=all", "state is there more than once"),
    ],
)
async def test_a_parameter_of_the_wrong_form_is_named_with_what_it_may_be(
    api: Api, pair: Pair, asked: str, detail: str
) -> None:
    answer = await api.http.get(asked.format(vehicle=pair.vehicle, meter=pair.meter))
    assert_problem(answer, 422, "parameter_invalid", detail)


async def test_an_unknown_route_stays_404_and_a_request_without_a_key_401(database: Database, api: Api) -> None:
    assert_problem(await api.http.get("/v1/nothing?x=1"), 404, "route_unknown")
    assert_problem(await api.http.delete("/v1/fleet?x=1"), 405, "method_not_allowed")
    async with served(database, Settings(auth="required")) as guarded:
        assert_problem(await guarded.http.get("/v1/fleet?x=1"), 401, "unauthorized")


PAGE, OTHER = "https://app.example", "https://evil.example"
ASKS = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "authorization, content-type"}


@pytest.mark.parametrize("auth", ["off", "required"])
async def test_a_page_of_an_allowed_origin_may_ask_and_read(database: Database, owner: Owner, auth: str) -> None:
    async with served(database, Settings(auth=auth, cors_origins=("http://localhost:8080", PAGE))) as api:
        asked = await api.http.options("/v1/links/V1?x=1", headers={"Origin": PAGE, **ASKS})
        assert (asked.status_code, asked.content) == (204, b"")
        assert asked.headers["access-control-allow-origin"] == PAGE
        methods = set(asked.headers["access-control-allow-methods"].split(", "))
        assert methods == {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"}
        allowed = set(asked.headers["access-control-allow-headers"].split(", "))
        assert allowed >= {"authorization", "content-type", "content-encoding"}
        assert asked.headers["access-control-max-age"] == "600"

        key = await token(owner, "read")
        answers = [
            await api.http.get("/v1/analytics/efficiency", headers={"Origin": PAGE, "Authorization": f"Bearer {key}"})
        ]
        answers.append(await api.http.get("/v1/nothing", headers={"Origin": PAGE}))
        assert [answer.status_code for answer in answers] == [200, 401 if auth == "required" else 404]
        for answer in answers:
            assert answer.headers["access-control-allow-origin"] == PAGE
            assert answer.headers["vary"] == "origin"
            assert {"date", "retry-after"} <= set(answer.headers["access-control-expose-headers"].split(", "))
            assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("origins", [(), (PAGE,)], ids=["none", "another"])
@pytest.mark.parametrize("auth", ["off", "required"])
@pytest.mark.parametrize("origin", [OTHER, "null", PAGE + ".evil.example", PAGE + ":8443", "http://app.example"])
async def test_any_other_origin_is_told_nothing(
    database: Database, auth: str, origins: tuple[str, ...], origin: str
) -> None:
    async with served(database, Settings(auth=auth, cors_origins=origins)) as api:
        asked = await api.http.options("/v1/fleet", headers={"Origin": origin, **ASKS})
        assert asked.status_code == (401 if auth == "required" else 204)
        for answer in (asked, await api.http.get("/health/live", headers={"Origin": origin})):
            assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_a_preflight_opens_no_other_method(database: Database) -> None:
    async with served(database, Settings(auth="required", cors_origins=(PAGE,))) as api:
        assert_problem(await api.http.get("/v1/fleet", headers={"Origin": PAGE}), 401, "unauthorized")
        assert_problem(await api.http.options("/v1/fleet"), 401, "unauthorized")


async def test_a_key_that_reads_may_ask_for_the_head_alone(database: Database, owner: Owner) -> None:
    async with served(database, Settings(auth="required")) as api:
        assert (await ask(api, await token(owner, "read"), "HEAD", "/v1/fleet")).status_code == 200
        assert (await api.http.head("/v1/fleet")).status_code == 401
        assert (await api.http.head("/health/live")).status_code == 200


def test_the_origins_of_the_setting_are_read_as_a_browser_sends_them() -> None:
    text = " https://App.example ,http://[::1]:8080,, capacitor://localhost"
    expected = ("https://app.example", "http://[::1]:8080", "capacitor://localhost")
    assert load_settings({"ENERGY_CORS_ORIGINS": text}).cors_origins == expected


@pytest.mark.parametrize(
    "text", ["*", "null", "app.example", "https://app.example/", "https://a.example https://b.example"]
)
def test_what_no_browser_sends_as_an_origin_is_no_setting(text: str) -> None:
    with pytest.raises(StartupError, match=r"ENERGY_CORS_ORIGINS must look like https://a\.example"):
        load_settings({"ENERGY_CORS_ORIGINS": f"https://first.example, {text}"})
