"""Connection limit: how many connections of a worker one network address holds."""

from __future__ import annotations

import ipaddress
from typing import Any

from service.http.client_address import TrustedProxies


class AddressConnections:
    """The open connections of each address. Those of trusted proxies are not counted.

    The addresses of an IPv6 network of 64 bits count as one: every client has as many of them.

    Args:
        most: connections of an address.
        proxies: the proxies, None without any.
    """

    def __init__(self, most: int, proxies: TrustedProxies | None) -> None:
        self.most = most
        self._proxies = proxies
        self._open: dict[bytes, set[Any]] = {}

    def add(self, connection: Any) -> set[Any]:
        """Count a connection, and return all of its address; none if they are not counted."""
        host = connection.client[0].partition("%")[0] if connection.client else ""
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return set()  # a socket of this machine
        if isinstance(address, ipaddress.IPv6Address):
            address = address.ipv4_mapped or address
        if self._proxies and self._proxies.trusts(host):
            return set()
        connection.network = address.packed[:8]
        found = self._open.setdefault(connection.network, set())
        found.add(connection)
        return found

    def remove(self, connection: Any) -> None:
        """Count a connection no more."""
        if found := self._open.get(connection.network):
            found.discard(connection)
            if not found:
                del self._open[connection.network]
