"""The client's address behind trusted proxies: the rightmost untrusted address of `X-Forwarded-For`.

Each proxy appends the address that it was called from. So the header is true from its right end up to the first address
that is no trusted proxy, and all before that may be forged.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from litestar.types import Scope

_PORT = re.compile(r"(?P<v4>[0-9.]+)(?::[0-9]{1,5})?|\[(?P<v6>[0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?")
"""An address with or without a port; one of IPv6 has brackets then."""


class _Hop(NamedTuple):
    address: str
    trusted: bool


class TrustedProxies:
    """Networks of proxies. uvicorn's own middleware takes any text for an address, and no IPv4 peer of an IPv6 socket.

    Args:
        networks: each as CIDR.
    """

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = [ipaddress.ip_network(network) for network in networks]
        self._hop = functools.lru_cache(4096)(self._read_hop)

    def correct(self, scope: Scope) -> None:
        """Put the client's address into `scope["client"]`, if a trusted proxy sent the request."""
        client = scope["client"]
        peer = self._hop(client[0].partition("%")[0]) if client else None
        if peer is None or not peer.trusted:
            return
        values = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
        if not values:
            return
        hop = peer
        for text in reversed(b",".join(values).decode("latin-1").split(",")):
            before = self._hop(text.strip()) if len(text) < 64 else None
            if before is None:
                break
            hop = before
            if not hop.trusted:
                break
        scope["client"] = (hop.address, 0)

    def trusts(self, address: str) -> bool:
        """True if the address is one of a proxy."""
        hop = self._hop(address)
        return hop is not None and hop.trusted

    def _read_hop(self, text: str) -> _Hop | None:
        """Return the address in `text`, of an IPv4 client in its IPv4 form; None without one."""
        if match := _PORT.fullmatch(text):
            text = match["v4"] or match["v6"]
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return None
        if isinstance(address, ipaddress.IPv6Address):
            if address.scope_id is not None:  # any text may stand there
                return None
            address = address.ipv4_mapped or address
        return _Hop(str(address), any(address in network for network in self._networks))
