"""Bytes around a body: fields after it are no headers, and of neither is more than 16 KiB kept."""

import asyncio
import contextlib
import json
import logging
import socket

import pytest
import uvloop
from litestar import get
from litestar.datastructures import State
from litestar.handlers import HTTPRouteHandler

from service.database.pool import Database
from service.http import connection
from service.http.middleware import GuardedLitestar
from service.settings import Settings
from tests.http.test_auth import token
from tests.support import Api, Owner, Pair, meter_reading, served, serving
from tests.support.sockets import answer, connected, end

HEAD = b"POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n%s\r\n"
JSON = b"Content-Type: application/json\r\n"


def chunked(body: bytes, trailers: bytes = b"", *, size: int = 1 << 20, extension: bytes = b"") -> bytes:
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x%s\r\n%s\r\n" % (len(part), extension, part) for part in parts) + b"0\r\n" + trailers + b"\r\n"


def reading(pair: Pair) -> bytes:
    return json.dumps(meter_reading(pair.meter)).encode()


async def test_a_key_that_comes_after_the_body_is_no_key(database: Database, owner: Owner, pair: Pair) -> None:
    authorization = b"Authorization: Bearer " + (await token(owner, "admin")).encode() + b"\r\n"
    async with served(database, Settings(auth="required")) as api, connected(api) as (reader, writer):
        writer.write(HEAD % (b"/v1/ingest/meter", JSON) + chunked(reading(pair), authorization))
        status, _, problem = await answer(reader)
        assert (status, problem["code"]) == (401, "unauthorized")
        writer.write(HEAD % (b"/v1/ingest/meter", JSON + authorization) + chunked(reading(pair)))
        assert (await answer(reader))[0] == 201


async def test_nor_are_a_media_type_a_coding_and_an_id(api: Api, pair: Pair) -> None:
    async with connected(api) as (reader, writer):
        writer.write(HEAD % (b"/v1/ingest/meter", b"") + chunked(reading(pair), JSON))
        assert (await answer(reader))[2]["code"] == "media_type_unsupported"
        late = b"Content-Encoding: gzip\r\nX-Request-Id: late\r\nExpect: 100-continue\r\nUpgrade: h2c\r\n"
        writer.write(HEAD % (b"/v1/ingest/meter", JSON) + chunked(reading(pair), late))
        status, headers, _ = await answer(reader)
        assert (status, headers["x-request-id"] == "late") == (201, False)


@pytest.mark.parametrize("route", [b"/v1/ingest/meter", b"/v1/ingest/batch", b"/v1/nothing"])
@pytest.mark.parametrize("where", ["trailers", "extensions", "an extension without end"])
async def test_bytes_around_the_body_are_bounded_before_a_key_is_looked_at(
    database: Database, pair: Pair, route: bytes, where: str
) -> None:
    if where == "trailers":
        around = chunked(reading(pair), b"X-Trailer: aaaaaaaaaaaaaaaa\r\n" * 100_000)
    elif where == "extensions":
        around = chunked(reading(pair) + b" " * 3000, size=1, extension=b";" + b"a" * 1000)
    else:
        around = b"1;" + b"a" * 3_000_000
    async with served(database, Settings(auth="required")) as api, connected(api) as (reader, writer):
        writer.write(HEAD % (route, JSON) + around)
        first = await end(reader)  # the answer to the request, or that it is too long: one, and then the end
        assert first.count(b"HTTP/1.1 ") == 1
        assert first.split()[1] in {b"401", b"404", b"431"}, first[:80]
        assert (await api.http.get("/health/live")).status_code == 200


async def test_a_body_in_small_chunks_is_read(api: Api, pair: Pair) -> None:
    """A gateway writes line after line, and each becomes a chunk."""
    lines = b"".join(reading(pair) + b"\n" for _ in range(4000))
    async with connected(api) as (reader, writer):
        head = HEAD % (b"/v1/ingest/meter/batch", b"Content-Type: application/x-ndjson\r\n")
        writer.write(head + chunked(lines, size=len(lines) // 4000))
        status, _, outcome = await answer(reader)
        assert (status, outcome["received"], outcome["stored"]) == (201, 4000, 1)


async def test_fields_after_an_answered_request_bring_no_second_answer(api: Api) -> None:
    async with connected(api) as (reader, writer):
        writer.write(HEAD % (b"/v1/nothing", JSON))
        assert (await answer(reader))[0] == 404
        writer.write(chunked(b"{}", b"X-Trailer: a\r\n" * 10_000))
        assert await end(reader) == b""


LONG = 8_000_000


@get("/long", sync_to_thread=False)
def get_long() -> bytes:
    return bytes(LONG)


asked: list[str] = []


@get("/slow")
async def get_slow() -> None:
    asked.append("slow")
    await asyncio.sleep(0.1)


def app_of(*handlers: HTTPRouteHandler) -> GuardedLitestar:
    state = State({"settings": Settings()})
    return GuardedLitestar(Settings(), route_handlers=list(handlers), state=state, logging_config=None)


@pytest.mark.parametrize("pause_s", [0.02, None], ids=["slowly", "no more"])
async def test_a_client_that_takes_its_answer_slowly_gets_all_and_one_that_takes_no_more_is_hung_up_on(
    monkeypatch: pytest.MonkeyPatch, pause_s: float | None
) -> None:
    monkeypatch.setattr(connection, "SWEEP_S", 0.1)
    monkeypatch.setattr(connection, "DRAIN_TIMEOUT_S", 0.5)
    loop = asyncio.get_running_loop()
    async with serving(app_of(get_long)) as api, asyncio.timeout(20):
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
            client.setblocking(False)
            await loop.sock_connect(client, ("127.0.0.1", api.http.base_url.port))
            await loop.sock_sendall(client, b"GET /long HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            taken = 0
            if pause_s is None:
                await asyncio.sleep(1.5)
            with contextlib.suppress(ConnectionResetError):
                while part := await loop.sock_recv(client, 1 << 18):
                    taken += len(part)
                    await asyncio.sleep(pause_s or 0)
    assert (taken > LONG) == (pause_s is not None)


async def test_answers_that_nobody_takes_are_dropped_beyond_their_limit_and_those_that_are_taken_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "SWEEP_S", 0.1)
    monkeypatch.setattr(connection, "STALLED_S", 0.8)
    monkeypatch.setattr(connection, "MOST_UNSENT_BYTES", LONG)
    loop = asyncio.get_running_loop()

    async def take(client: socket.socket) -> int:
        taken = 0
        with contextlib.suppress(ConnectionResetError):
            while part := await loop.sock_recv(client, 1 << 18):
                taken += len(part)
                await asyncio.sleep(0.02)
        return taken

    async with serving(app_of(get_long)) as api, asyncio.timeout(30), contextlib.AsyncExitStack() as stack:
        clients = [stack.enter_context(socket.socket()) for _ in range(5)]
        for client in clients:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
            client.setblocking(False)
            await loop.sock_connect(client, ("127.0.0.1", api.http.base_url.port))
            await loop.sock_sendall(client, b"GET /long HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert await take(clients[0]) > LONG, "this one takes its answer from the start"
        taken = await asyncio.gather(*map(take, clients[1:]))
    assert len([length for length in taken if length > LONG]) <= 2, "about half of each is in buffers of the kernel"


async def test_a_request_that_is_refused_while_it_waits_to_go_on_leaves_no_line_in_the_log(
    api: Api, pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    async with connected(api) as (reader, writer):
        writer.write(HEAD % (b"/v1/ingest/meter", JSON + b"Expect: 100-continue\r\n") + b"no chunk\r\n")
        assert (await end(reader)).startswith(b"HTTP/1.1 400 ")
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_client_that_goes_away_with_requests_under_way_leaves_no_line_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """On uvloop, as `energy serve` runs: a write to a closed connection raises there."""
    asked.clear()

    async def go_away() -> None:
        async with serving(app_of(get_slow)) as api:
            for requests in (
                b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n" * 20,
                b"\x16\x03\x01 is no HTTP\r\n\r\n",
                b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{",
            ):
                async with connected(api) as (reader, writer):
                    writer.write(requests)
                    if requests.startswith(b"GET"):
                        await reader.read(1)
                    await asyncio.sleep(0.05)
                    writer.transport.abort()
            await asyncio.sleep(0.2)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(go_away())
    assert asked == ["slow", "slow"]
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_headers_behind_another_request_are_bounded_as_any(api: Api) -> None:
    good = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
    async with connected(api) as (reader, writer):
        writer.write(good + b"POST /v1/nothing HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 20_000 + b"\r\n\r\n" + good)
        assert await end(reader) == b"", "no answer that could be taken for that of the first"
        writer.close()
    async with connected(api) as (reader, writer):
        writer.write(good)
        assert (await answer(reader))[0] == 200
        writer.write(b"GET /health/live HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 20_000 + b"\r\n\r\n" + good)
        assert (await answer(reader))[0] == 431
        assert await end(reader) == b""


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        (b"", "Host"),
        (b"Host: x\r\nHost: x\r\n", "Host"),
        (b"Host: x\r\nhost: y\r\n", "Host"),
        (b"Host: x\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n", "Authorization"),
    ],
)
@pytest.mark.parametrize("body", [b"", b"Content-Length: 100000\r\n"])
async def test_a_request_has_one_host_and_at_most_one_authorization(
    api: Api, fields: bytes, word: str, body: bytes
) -> None:
    async with connected(api) as (reader, writer):
        writer.write(b"POST /v1/ingest HTTP/1.1\r\n" + JSON + fields + body + b"\r\n" + b" " * 100_000 * bool(body))
        status, headers, problem = await answer(reader)
        assert (status, problem["code"], headers["connection"]) == (400, "http_invalid", "close")
        assert word in problem["detail"]


async def test_a_client_of_http_1_0_needs_no_host(api: Api) -> None:
    async with connected(api) as (reader, writer):
        writer.write(b"GET /health/live HTTP/1.0\r\n\r\n")
        assert (await answer(reader))[0] == 200
