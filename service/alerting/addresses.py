"""Network addresses that a webhook may lead to: public ones only, unless private ones are allowed.

The address is checked when the socket is made, after every resolution of the name. So no spelling of a host, and no
later answer of a name server, leads elsewhere.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_WITH_IPV4 = (ipaddress.IPv6Network("::ffff:0:0/96"), ipaddress.IPv6Network("64:ff9b::/96"))
"""IPv4-mapped addresses, and those of NAT64: their last 32 bits are the IPv4 address that is reached."""


class AddressRefusedError(OSError):
    """An address that is not public."""


def is_public(text: str) -> bool:
    """Return true for an address on the internet.

    It is false for private, shared, loopback, link-local, multicast and reserved ones, and for tunnels into IPv4.
    """
    address: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if any(address in network for network in _WITH_IPV4):
            address = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        elif address not in _GLOBAL_UNICAST or address.sixtofour or address.teredo:
            return False
    return address.is_global and not address.is_multicast


def make_public_socket(address_info: Any) -> socket.socket:
    """Return a socket for an address, as aiohttp's connector asks for it.

    Raises:
        AddressRefusedError: the address is not public.
    """
    family, kind, protocol, _, (host, *_) = address_info
    if not is_public(host):
        raise AddressRefusedError(
            f"{host} is not a public address: ENERGY_WEBHOOK_PRIVATE=on allows addresses of the own network"
        )
    return socket.socket(family, kind, protocol)
