"""Kept connections: how long an idle one stays open, what the client is told, and which one makes room."""

import asyncio
import contextlib
import time

import pytest

from service.database.pool import Database
from service.http import connection
from service.settings import Settings
from tests.support import Api, served
from tests.support.sockets import connected

GET = b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n"


async def head_of(reader: asyncio.StreamReader) -> bytes:
    """The head of the next answer, whose body is read too."""
    async with asyncio.timeout(10):
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
    return head


async def test_a_connection_stays_open_between_two_readings(api: Api) -> None:
    async with connected(api) as (reader, writer):
        writer.write(GET)
        assert (await head_of(reader)).startswith(b"HTTP/1.1 200 ")
        await asyncio.sleep(6)
        writer.write(GET)
        assert (await head_of(reader)).startswith(b"HTTP/1.1 200 ")


async def test_an_idle_connection_is_closed_after_the_setting(database: Database) -> None:
    async with served(database, Settings(keep_alive_s=1)) as api, connected(api) as (reader, writer):
        writer.write(GET)
        await head_of(reader)
        began = time.monotonic()
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        assert 0.9 < time.monotonic() - began < 3


@pytest.mark.parametrize(
    ("version", "option", "confirmed"),
    [
        ("1.1", "", False),
        ("1.1", "Connection: keep-alive\r\n", True),
        ("1.1", "Connection: close\r\n", False),
        ("1.1", "Connection: keep-alive, close\r\n", False),
        ("1.0", "", False),
        ("1.0", "Connection: Keep-Alive\r\n", True),
    ],
    ids=str,
)
async def test_a_client_that_asks_is_told_for_how_long_its_connection_is_kept(
    api: Api, version: str, option: str, confirmed: bool
) -> None:
    async with connected(api) as (reader, writer):
        for _ in range(2 if confirmed else 1):
            writer.write(f"GET /health/live HTTP/{version}\r\nHost: a\r\n{option}\r\n".encode())
            head = await head_of(reader)
            assert (b"\r\nkeep-alive: timeout=75\r\n" in head) == confirmed
            assert (b"\r\nconnection: keep-alive\r\n" in head) == confirmed
        if "close" in option or (version == "1.0" and not confirmed):
            assert await asyncio.wait_for(reader.read(), 5) == b""


async def test_where_there_are_too_many_connections_the_longest_idle_one_makes_room(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "MOST_CONNECTIONS", 3)
    monkeypatch.setattr(connection, "IDLE_S", 0)
    async with served(database, Settings()) as api, contextlib.AsyncExitStack() as stack:
        clients = []
        for _ in range(5):
            reader, writer = await stack.enter_async_context(connected(api))
            writer.write(GET)
            assert (await head_of(reader)).startswith(b"HTTP/1.1 200 ")
            clients.append(reader)
        ends = await asyncio.gather(
            *(asyncio.wait_for(reader.read(1), 0.5) for reader in clients), return_exceptions=True
        )
        assert [isinstance(end, TimeoutError) for end in ends] == [False, False, True, True, True]
