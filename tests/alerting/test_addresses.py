"""Webhooks lead to addresses on the internet only, however they are spelt, and whatever a name server says later."""

import socket

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver

from service.alerting.addresses import is_public, make_public_socket
from service.alerting.post import DeliveryError, open_session, post
from tests.support.delivery import receiving

PRIVATE = [
    *("127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"),  # noqa: S104
    *("169.254.169.254", "100.64.0.1", "192.0.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1"),
    *("255.255.255.255", "::", "::1", "::127.0.0.1", "fe80::1", "fe80::1%lo", "fc00::1", "fd00:ec2::254", "ff02::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b:1::1"),
    *("2002:7f00:1::1", "2001:0:7f00:1::1", "2001:db8::1", "fec0::1"),
]
PUBLIC = ["8.8.8.8", "172.32.0.1", "100.128.0.1", "::ffff:8.8.8.8", "64:ff9b::808:808", "2606:4700:4700::1111"]


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_on_the_internet_is_refused(address: str) -> None:
    assert not is_public(address)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with pytest.raises(OSError, match="is not a public address: ENERGY_WEBHOOK_PRIVATE=on"):
        make_public_socket((family, socket.SOCK_STREAM, 0, "", (address, 80)))


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_on_the_internet_gets_a_socket(address: str) -> None:
    assert is_public(address)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = make_public_socket((family, socket.SOCK_STREAM, 0, "", (address, 80)))
    made.close()
    assert made.family == family


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "[::ffff:127.0.0.1]", "0"]
)
async def test_no_spelling_of_a_private_host_is_connected_to(host: str) -> None:
    async with receiving() as receiver, open_session(only_public=True) as session:
        port = receiver.url.rpartition(":")[2]
        with pytest.raises(DeliveryError) as refused:
            await post(session, f"http://{host}:{port}/hook", b"{}")
        assert receiver.received == []
        if host in {"127.0.0.1", "localhost", "[::ffff:127.0.0.1]"}:
            assert "is not a public address" in str(refused.value)


class Rebinding(AbstractResolver):
    """A name server that names a public address at first, and a private one from then on."""

    def __init__(self) -> None:
        self.asked = 0

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_INET) -> list:
        self.asked += 1
        address = "127.0.0.1" if self.asked > 1 else "192.88.99.1"
        return [{"hostname": host, "host": address, "port": port, "family": family, "proto": 0, "flags": 0}]

    async def close(self) -> None: ...


async def test_a_name_that_leads_elsewhere_at_the_second_look_up_is_refused() -> None:
    resolver = Rebinding()
    connector = aiohttp.TCPConnector(resolver=resolver, use_dns_cache=False, socket_factory=make_public_socket)
    await resolver.resolve("rebinding.example")
    async with receiving() as receiver, aiohttp.ClientSession(connector=connector) as session:
        port = receiver.url.rpartition(":")[2]
        with pytest.raises(DeliveryError, match=r"127\.0\.0\.1 is not a public address"):
            await post(session, f"http://rebinding.example:{port}/", b"{}")
        assert receiver.received == []
