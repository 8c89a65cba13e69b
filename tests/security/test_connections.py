"""One network address does not hold all places of a worker."""

import asyncio
import contextlib

import pytest

from service.database.pool import Database
from service.http import connection
from service.http.client_address import TrustedProxies
from service.http.connection_limit import AddressConnections
from service.settings import Settings
from tests.support import served
from tests.support.sockets import answer, connected

LIVE = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"


class Connection:
    network = b""

    def __init__(self, *client: object) -> None:
        self.client = client


async def open_ends(readers: list[asyncio.StreamReader]) -> int:
    """The number of open connections."""
    ends = await asyncio.gather(*(asyncio.wait_for(each.read(1), 0.3) for each in readers), return_exceptions=True)
    return sum(isinstance(end, TimeoutError) for end in ends)


@pytest.mark.parametrize(
    ("settings", "most"),
    [
        (Settings(address_connections=3), 3),
        (Settings(address_connections=0), 6),
        (Settings(address_connections=3, trusted_proxies=("127.0.0.0/8",)), 6),
        (Settings(address_connections=3, trusted_proxies=("10.0.0.0/8",)), 3),
    ],
    ids=["3", "any number", "a trusted proxy", "another proxy"],
)
async def test_an_address_holds_as_many_connections_as_are_set(
    database: Database, settings: Settings, most: int
) -> None:
    async with served(database, settings) as api, contextlib.AsyncExitStack() as stack:
        pairs = [await stack.enter_async_context(connected(api)) for _ in range(6)]
        assert await open_ends([reader for reader, _ in pairs]) == most


async def test_idle_ones_of_the_address_make_room_and_an_end_gives_a_place_back(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "IDLE_S", 0.0)
    async with served(database, Settings(address_connections=2)) as api, contextlib.AsyncExitStack() as stack:
        idle, idle_writer = await stack.enter_async_context(connected(api))
        busy, busy_writer = await stack.enter_async_context(connected(api))
        idle_writer.write(LIVE)
        assert (await answer(idle))[0] == 200
        busy_writer.write(LIVE[:-2])
        await asyncio.sleep(0.05)
        third, third_writer = await stack.enter_async_context(connected(api))
        third_writer.write(LIVE)
        assert (await answer(third))[0] == 200
        assert await idle.read() == b""
        busy_writer.write(b"\r\n")
        assert (await answer(busy))[0] == 200
        for writer in (busy_writer, third_writer):
            writer.close()
        await asyncio.sleep(0.05)
        for _ in range(2):
            reader, writer = await stack.enter_async_context(connected(api))
            writer.write(LIVE)
            assert (await answer(reader))[0] == 200


def test_addresses_are_counted_apart_and_a_network_of_ipv6_as_one() -> None:
    limit = AddressConnections(2, TrustedProxies(["10.0.0.0/8", "fd00::/8"]))
    counted = [
        len(limit.add(Connection(host, 1)))
        for host in (
            *("192.0.2.1", "192.0.2.2", "::ffff:192.0.2.1"),
            *("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "fe80::1%eth0"),
            *("10.1.2.3", "::ffff:10.1.2.3", "fd00::1"),
        )
    ]
    assert counted == [1, 1, 2, 1, 2, 1, 1, 0, 0, 0]
    assert limit.add(Connection()) == set()


def test_nothing_is_kept_of_an_address_without_connections() -> None:
    limit = AddressConnections(2, None)
    connections = [Connection(f"192.0.2.{number}", 1) for number in range(100)]
    for each in connections:
        limit.add(each)
    for each in connections:
        limit.remove(each)
    assert limit._open == {}
