"""A request that asks for another protocol is read as one that does not, and its body is never another request."""

import asyncio
import gzip
import json
from datetime import timedelta

import pytest

from tests.support import YESTERDAY, Api, Pair, meter_reading, vehicle_reading
from tests.support.sockets import connected

UPGRADES = {
    "curl --http2": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAI\r\n",
    "websocket": b"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
    "unknown": b"connection: UPGRADE\r\nupgrade: foo/2, bar\r\n",
}
ROUTES = {
    "/v1/ingest/meter": b"application/json",
    "/v1/ingest": b"application/json",
    "/v1/ingest/meter/batch": b"application/x-ndjson",
    "/v1/ingest/batch": b"application/json",
}


async def answer(reader: asyncio.StreamReader) -> tuple[int, dict]:
    """Status and body of the next answer."""
    async with asyncio.timeout(10):
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"content-length"))
        return int(head.split()[1]), json.loads(await reader.readexactly(length))


async def stored(api: Api, meter: str) -> int:
    window = {"start": (YESTERDAY - timedelta(hours=1)).isoformat(), "hours": 2}
    return len((await api.http.get(f"/v1/history/meter/{meter}", params=window)).json()["items"])


FRAMINGS = ["length", "length, later", "chunked", "chunked, later"]
CASES = [(route, framing) for route in ROUTES for framing in FRAMINGS]
CASES += [(route, "packed") for route in ROUTES if route.endswith("batch")]


@pytest.mark.parametrize(("route", "framing"), CASES)
@pytest.mark.parametrize("upgrade", UPGRADES.values(), ids=UPGRADES)
async def test_the_body_is_read_and_the_next_request_is_the_next_one(
    api: Api, pair: Pair, upgrade: bytes, route: str, framing: str
) -> None:
    reading = json.dumps(meter_reading(pair.meter)).encode()
    body = b"[" + reading + b"]" if route == "/v1/ingest/batch" else reading
    fields = b"Host: x\r\nContent-Type: " + ROUTES[route] + b"\r\n" + upgrade
    if framing == "packed":
        fields += b"Content-Encoding: gzip\r\n"
        body = gzip.compress(body)
    if framing.startswith("chunked"):
        fields += b"Transfer-Encoding: chunked\r\n"
        body = b"%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (5, body[:5], len(body) - 5, body[5:])
    else:
        fields += b"Content-Length: %d\r\n" % len(body)
    async with connected(api) as (reader, writer):
        writer.write(b"POST " + route.encode() + b" HTTP/1.1\r\n" + fields + b"\r\n")
        if framing.endswith("later"):
            await writer.drain()
            await asyncio.sleep(0.05)
        writer.write(body)
        status, content = await answer(reader)
        assert (status, content.get("outcome", "stored"), content.get("stored", 1)) == (201, "stored", 1)
        writer.write(
            b"GET /health/live HTTP/1.1\r\nHost: x\r\n" + upgrade + b"\r\nGET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
        )
        assert [(await answer(reader))[0] for _ in range(2)] == [200, 200]
    assert await stored(api, pair.meter) == 1


async def test_a_body_that_looks_like_a_request_is_a_body(api: Api, pair: Pair) -> None:
    hidden = json.dumps(meter_reading(pair.meter)).encode()
    smuggled = (
        b"POST /v1/ingest/meter HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
        % (len(hidden), hidden)
    )
    async with connected(api) as (reader, writer):
        head = b"POST /v1/ingest HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + UPGRADES["curl --http2"]
        writer.write(head + b"Content-Length: %d\r\n\r\n" % len(smuggled))
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(smuggled)
        status, content = await answer(reader)
        assert (status, content["code"]) == (400, "body_malformed")
        writer.write(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await answer(reader))[0] == 200
    assert (await api.http.get(f"/v1/history/meter/{pair.meter}")).status_code == 404


@pytest.mark.parametrize("framing", ["length", "chunked", "packed"])
async def test_the_body_of_every_other_method_is_read_too(api: Api, pair: Pair, framing: str) -> None:
    device = f"/v1/devices/vehicle/{pair.vehicle}"
    at = (YESTERDAY + timedelta(minutes=1)).isoformat()
    asked: list[tuple[str, str, object, int]] = [
        ("POST", "/v1/ingest/vehicle", vehicle_reading(pair.vehicle), 201),
        ("POST", "/v1/ingest/vehicle/batch", [vehicle_reading(pair.vehicle)], 201),
        ("PUT", device, {"energyKind": "register"}, 200),
        ("POST", f"{device}/exchange", {"at": at, "lastRegister": 1e6, "firstRegister": 0}, 201),
        ("PUT", f"/v1/links/{pair.vehicle}", {"meterId": pair.meter}, 200),
        ("POST", "/v1/alerts/1/acknowledge", {"colour": 1}, 422),
    ]
    async with connected(api) as (reader, writer):
        for method, path, content, expected in asked:
            body = json.dumps(content).encode()
            fields = b"Host: x\r\nContent-Type: application/json\r\n" + UPGRADES["curl --http2"]
            if framing == "chunked":
                fields += b"Transfer-Encoding: chunked\r\n"
                body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
            else:
                if framing == "packed":
                    fields += b"Content-Encoding: gzip\r\n"
                    body = gzip.compress(body)
                fields += b"Content-Length: %d\r\n" % len(body)
            writer.write(f"{method} {path} HTTP/1.1\r\n".encode() + fields + b"\r\n" + body)
            status, told = await answer(reader)
            assert status == expected, (path, told)


async def test_connect_is_no_method_of_this_server(api: Api) -> None:
    async with connected(api) as (reader, writer):
        writer.write(b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n")
        status, content = await answer(reader)
        assert (status, content["code"]) == (400, "http_invalid")
        assert await reader.read() == b""
