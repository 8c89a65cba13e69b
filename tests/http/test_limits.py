"""Limits of what a client may send, and how fast; and the id by which a request is found again."""

import asyncio
import contextlib
import json
import logging
import re
import socket
from http import HTTPStatus

import httpx
import pytest

from service.database.pool import Database
from service.http import connection
from service.http.rate_limit import Addresses, Bucket
from service.observability.request_id import REQUEST_ID
from service.settings import Settings
from tests.http.test_auth import ask, token
from tests.support import Api, Owner, assert_problem, meter_reading, new_pair, served
from tests.support.sockets import connected


def test_a_bucket_gives_two_seconds_worth_at_once_and_then_its_rate() -> None:
    bucket = Bucket(10)
    taken = sum(bucket.take(100.0) == 0 for _ in range(50))
    assert taken == 20
    assert 0 < bucket.take(100.0) <= 0.1
    assert sum(bucket.take(101.0) == 0 for _ in range(50)) == 10
    assert sum(bucket.take(1000.0) == 0 for _ in range(50)) == 20, "no more is saved up"


def test_addresses_are_told_apart_and_their_number_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.http.rate_limit.MOST_ADDRESSES", 3)
    addresses = Addresses(1)
    assert [addresses.take("a", 1.0) == 0 for _ in range(3)] == [True, True, False]
    assert addresses.take("b", 1.0) == 0
    for number in range(10):
        addresses.take(str(number), 1.0)
    assert len(addresses._buckets) == 3


@pytest.mark.parametrize(("scope", "variable"), [("device", "ENERGY_DEVICE_RATE"), ("read", "ENERGY_KEY_RATE")])
async def test_a_key_beyond_its_rate_is_429_and_the_others_are_not(
    database: Database, owner: Owner, scope: str, variable: str
) -> None:
    meter = new_pair().meter
    arguments = ("meter", [meter]) if scope == "device" else ()
    key, other = await token(owner, scope, *arguments), await token(owner, "read")
    settings = Settings(auth="required", device_rate=1, key_rate=1)
    async with served(database, settings) as api:

        async def send() -> httpx.Response:
            if scope == "device":
                return await ask(api, key, "POST", "/v1/ingest/meter", meter_reading(meter))
            return await ask(api, key, "GET", "/v1/nothing")

        answers = [await send() for _ in range(4)]
        refused = answers[-1]
        assert_problem(refused, 429, "too_many_requests", "1 requests a second", variable)
        assert int(refused.headers["retry-after"]) >= 1
        assert answers[0].status_code in {201, 404}
        assert (await ask(api, other, "GET", "/v1/nothing")).status_code == 404
        assert (await api.http.get("/health/live")).status_code == 200


async def test_an_address_beyond_its_rate_is_429_whether_keys_are_required_or_not(database: Database) -> None:
    for required in ("off", "required"):
        async with served(database, Settings(auth=required, address_rate=1)) as api:
            answers = [await api.http.get("/v1/nothing") for _ in range(4)]
            assert_problem(answers[-1], 429, "too_many_requests", "ENERGY_ADDRESS_RATE")
            assert (await api.http.get("/health/live")).status_code == 200


async def test_by_default_a_fleet_behind_one_address_is_not_limited(api: Api) -> None:
    answers = await asyncio.gather(*(api.http.get("/v1/nothing") for _ in range(500)))
    assert {answer.status_code for answer in answers} == {404}


async def assert_refused(reader: asyncio.StreamReader, status: int, code: str, *words: str) -> None:
    """Problem details with the id of the request come, and then the end of the connection."""
    async with asyncio.timeout(10):
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    line, *fields = head.decode().split("\r\n")
    headers = dict(field.split(": ") for field in fields)
    problem = json.loads(body)
    assert line == f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"
    assert (headers["content-type"], headers["connection"]) == ("application/problem+json", "close")
    assert headers["x-request-id"] == problem["requestId"]
    assert (problem["status"], problem["code"]) == (status, code)
    for word in words:
        assert word in problem["detail"]


async def status_line(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(10):
        return await reader.readline()


@pytest.mark.parametrize(
    "head",
    [
        b"GET /health/live HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 20_000 + b"\r\n\r\n",
        b"GET /health/live HTTP/1.1\r\nHost: x\r\nX-Endless: " + b"a" * 20_000,
        b"GET /health/live HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(3000)) + b"\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /v1/nothing HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 20_000 + b"\r\nContent-Length: 9\r\n\r\n{}       ",
    ],
    ids=["one", "endless", "many", "path", "before a body"],
)
async def test_headers_beyond_16_kib_are_431(api: Api, head: bytes) -> None:
    async with connected(api) as (reader, writer):
        writer.write(head)
        await assert_refused(reader, 431, "headers_too_long", "16384 bytes")


async def test_what_is_no_http_is_told_so_as_problem_details(api: Api) -> None:
    async with connected(api) as (reader, writer):
        writer.write(b"hello\r\n\r\n")
        await assert_refused(reader, 400, "http_invalid")


async def test_a_long_body_does_not_count_as_headers(api: Api) -> None:
    body = b" " * 60_000 + b"{}"
    async with connected(api) as (reader, writer):
        head = b"POST /v1/ingest HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        writer.write(head % len(body) + body)
        assert (await status_line(reader)).startswith(b"HTTP/1.1 422 ")


@pytest.mark.parametrize(
    ("sent", "late"),
    [
        (b"", None),
        (b"GET /health/live HTTP/1.1\r\nHost", "headers"),
        (
            b"POST /v1/ingest HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{",
            "body",
        ),
    ],
    ids=["nothing", "half the headers", "half the body"],
)
async def test_a_slow_client_is_hung_up_on(
    api: Api, monkeypatch: pytest.MonkeyPatch, sent: bytes, late: str | None
) -> None:
    monkeypatch.setattr(connection, "HEADER_TIMEOUT_S", 0.5)
    monkeypatch.setattr(connection, "BODY_TIMEOUT_S", 0.5)
    async with connected(api) as (reader, writer):
        writer.write(sent)
        if late:
            await assert_refused(reader, 408, "request_timeout", f"the {late} did not end within 0.5 s")
        else:
            async with asyncio.timeout(10):
                assert await reader.read() == b""
    assert (await api.http.get("/health/live")).status_code == 200


async def test_a_client_that_drips_its_headers_is_no_better(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEADER_TIMEOUT_S", 0.5)
    async with connected(api) as (reader, writer):
        reading = asyncio.create_task(status_line(reader))
        for byte in b"GET /health/live HTTP/1.1\r\nX-Slow: " + b"a" * 100:
            if reading.done():
                break
            writer.write(bytes([byte]))
            await asyncio.sleep(0.1)
        assert (await reading).startswith(b"HTTP/1.1 408 ")


async def test_connections_beyond_the_most_are_turned_away_and_the_others_served(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "MOST_CONNECTIONS", 3)
    async with served(database, Settings()) as api:
        assert (await api.http.get("/health/live")).status_code == 200
        async with contextlib.AsyncExitStack() as stack:
            kinds = [await stack.enter_async_context(connected(api)) for _ in range(6)]
            ends = await asyncio.gather(
                *(asyncio.wait_for(reader.read(1), 0.5) for reader, _ in kinds), return_exceptions=True
            )
            assert sum(isinstance(end, TimeoutError) for end in ends) <= 3
            assert (await api.http.get("/health/live")).status_code == 200


@pytest.mark.parametrize("path", ["/health/live", "/v1/nothing", "/v1/status/meter/nobody"])
async def test_every_answer_has_the_id_its_request_had_or_a_new_one(api: Api, path: str) -> None:
    given = await api.http.get(path, headers={"x-request-id": "device-7:42"})
    assert given.headers["x-request-id"] == "device-7:42"
    made = {(await api.http.get(path)).headers["x-request-id"] for _ in range(5)}
    assert len(made) == 5
    if given.status_code != 200:
        assert given.json()["requestId"] == "device-7:42"


@pytest.mark.parametrize("wrong", [b"", b"a b", b"a" * 65, b"\xff", b"<script>", b"x\ty"])
async def test_an_id_that_could_forge_a_log_line_is_replaced(api: Api, wrong: bytes) -> None:
    answer = await api.http.get("/v1/nothing", headers={"x-request-id": wrong})
    assert re.fullmatch(r"[0-9a-f]{12}-[0-9a-f]+", answer.headers["x-request-id"])
    assert answer.json()["requestId"] == answer.headers["x-request-id"]


async def test_what_is_logged_of_a_request_has_its_id(
    api: Api, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Database, "read_row", fail)
    ids = []
    caplog.handler.addFilter(lambda record: ids.append((record.name, REQUEST_ID.get())) or True)
    with caplog.at_level(logging.ERROR):
        answer = await api.http.get("/v1/status/meter/M1", headers={"x-request-id": "find-me"})
    assert_problem(answer, 500, "internal_error")
    assert ids == [("service.http.problem_details", "find-me")]


def head_of_a_body(length: int, *headers: str) -> bytes:
    fields = ("Host: x", "Content-Type: application/json", f"Content-Length: {length}", *headers)
    return "\r\n".join(["POST /v1/ingest/batch HTTP/1.1", *fields, "", ""]).encode()


def send_all_then_read(port: int, *parts: bytes) -> bytes:
    """As a plain client does it: nothing is read before everything is sent."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        for part in parts:
            client.sendall(part)
        answer = b""
        while part := client.recv(65_536):
            answer += part
        return answer


@pytest.mark.parametrize("chunked", [False, True], ids=["of a known length", "in chunks"])
async def test_a_client_that_sends_20_mb_and_then_reads_gets_its_413(api: Api, chunked: bool) -> None:
    body = b" " * 20_000_000
    parts = [head_of_a_body(len(body), "Connection: close"), body]
    if chunked:
        parts = [parts[0].replace(b"Content-Length: 20000000", b"Transfer-Encoding: chunked")]
        parts += [b"%x\r\n%b\r\n" % (len(body), body), b"0\r\n\r\n"]
    answer = await asyncio.to_thread(send_all_then_read, api.http.base_url.port, *parts)
    head, _, problem = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in head
    assert json.loads(problem)["code"] == "body_too_large"


async def test_a_connection_goes_on_after_a_body_that_was_too_long_and_came_whole(api: Api) -> None:
    body = b" " * 6_000_000
    head = head_of_a_body(len(body))
    last = b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = await asyncio.to_thread(send_all_then_read, api.http.base_url.port, head, body, last)
    assert re.findall(rb"HTTP/1.1 (\d+) ", answer) == [b"413", b"200"]


@pytest.mark.parametrize("headers", [(), ("Connection: close",)], ids=["to go on", "to close"])
async def test_what_is_read_of_a_body_after_its_answer_is_bounded_in_bytes_and_time(
    api: Api, monkeypatch: pytest.MonkeyPatch, headers: tuple[str, ...]
) -> None:
    head = head_of_a_body(1_000_000_000, *headers)
    monkeypatch.setattr(connection, "LINGER_BYTES", 1_000_000)
    with pytest.raises(ConnectionError):
        await asyncio.to_thread(send_all_then_read, api.http.base_url.port, head, *[b" " * 1_000_000] * 100)
    monkeypatch.setattr(connection, "LINGER_S", 0.1)
    async with connected(api) as (reader, writer):
        writer.write(head)
        assert (await status_line(reader)).startswith(b"HTTP/1.1 413 ")
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionResetError):
                await reader.read()
            with pytest.raises(ConnectionError):
                while True:
                    writer.write(b" ")
                    await writer.drain()
                    await asyncio.sleep(0.1)
