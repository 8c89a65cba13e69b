"""Every route with every scope of key: routes.txt lists the scopes that each route answers."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from service.database.pool import Database
from service.http.app import create_app
from service.settings import Settings
from tests.http.test_auth import REQUIRED, bearer, token
from tests.support import Api, Owner, new_pair, served

GOLDEN = Path(__file__).parent / "routes.txt"
SCOPES = ("device", "gateway", "read", "admin")


def operations() -> list[tuple[str, str]]:
    """Method and path of every route, those that the document leaves out and HEAD among them."""
    found = set()
    for route in create_app(None, Settings()).routes:
        for method in getattr(route, "methods", ()):
            found.add((method, route.path))
            if method == "GET":
                found.add(("HEAD", route.path))
    return sorted((each for each in found if each[0] != "OPTIONS"), key=lambda each: each[::-1])


@pytest.fixture(scope="module")
async def guarded(database: Database) -> AsyncIterator[Api]:
    async with served(database, REQUIRED) as api:
        yield api


async def test_every_route_answers_the_scopes_of_the_list_and_no_other(guarded: Api, owner: Owner) -> None:
    pair = new_pair()
    keys = {
        "device": await token(owner, "device", "meter", [pair.meter]),
        "gateway": await token(owner, "gateway", None, [pair.meter, pair.vehicle]),
        "read": await token(owner, "read"),
        "admin": await token(owner, "admin"),
    }
    lines = []
    for method, path in operations():
        may = []
        for scope in ("anybody", *SCOPES):
            headers = {"content-type": "text/plain", **(bearer(keys[scope]) if scope in keys else {})}
            url = re.sub(r"\{[^}]*\}", "V1", path)
            async with guarded.http.stream(method, url, headers=headers) as answer:  # some answers have no end
                status = answer.status_code
            assert status < 500, (method, path, scope)
            if status not in {401, 403}:
                may.append(scope)
        lines.append(f"{method} {path}: {', '.join(may)}")
    listed = GOLDEN.read_text().splitlines()
    assert sorted(set(lines) - set(listed)) == [], "a route that routes.txt does not list, or lists with other scopes"
    assert lines == listed


def test_the_list_opens_nothing_that_should_be_closed() -> None:
    rows = [line.partition(": ")[::2] for line in GOLDEN.read_text().splitlines()]
    for operation, scopes in rows:
        method, path = operation.split(" ")
        may = set(scopes.split(", "))
        assert "admin" in may
        assert ("anybody" in may) == (
            method in {"GET", "HEAD"} and (path == "/" or path.startswith(("/health", "/docs", "/dashboard")))
        )
        if "anybody" not in may:
            assert ("device" in may) == ("gateway" in may) == path.startswith("/v1/ingest")
            assert ("read" in may) == (method in {"GET", "HEAD"})


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND", "get", "X"])
async def test_no_other_method_and_no_other_spelling_of_a_path_opens_a_route(
    guarded: Api, owner: Owner, method: str
) -> None:
    key = await token(owner, "read")
    for path in (
        "/v1/devices/meter/V1",
        "/v1/devices/meter/V1/",
        "//v1/devices/meter/V1",
        "/v1/./devices/meter/V1",
        "/docs/../v1/devices/meter/V1",
        "/health/%2e%2e/v1/devices/meter/V1",
        "/V1/DEVICES/meter/V1",
        "/v1/devices;x/meter/V1",
        "/v1%2fdevices/meter/V1",
        "/dashboard/..%2fv1/devices/meter/V1",
    ):
        answer = await guarded.http.request(method, path, headers={"content-type": "text/plain"})
        assert answer.status_code in {400, 401, 404, 405}, (path, answer.text)
        answer = await guarded.http.request(method, path, headers={**bearer(key), "content-type": "text/plain"})
        allowed = {400, 403, 404, 405} | ({200} if method == "GET" else set())
        assert answer.status_code in allowed, (path, answer.text)
