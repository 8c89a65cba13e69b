"""CORS: web pages of the origins in `ENERGY_CORS_ORIGINS` may call the service from a browser."""

from __future__ import annotations

from collections.abc import Iterable

Headers = list[tuple[bytes, bytes]]

_VARY = (b"vary", b"origin")
_READABLE = (b"access-control-expose-headers", b"date, link, retry-after, x-request-id")
_PREFLIGHT: Headers = [
    (b"access-control-allow-headers", b"authorization, content-encoding, content-type, x-request-id"),
    (b"access-control-max-age", b"600"),
]


class CrossOrigin:
    """The allowed origins, and the headers that answers to them carry."""

    def __init__(self, origins: Iterable[str]) -> None:
        self._origins = {origin.encode() for origin in origins}

    def headers(self, origin: bytes, method: str) -> Headers:
        """Return the headers of an answer; none beside `Vary` for an origin that is not allowed."""
        if origin not in self._origins:
            return [_VARY] if self._origins else []
        allowed = [_VARY, (b"access-control-allow-origin", origin), _READABLE]
        return [*allowed, *_PREFLIGHT] if method == "OPTIONS" else allowed

    def is_preflight(self, origin: bytes, method: str) -> bool:
        """Return true for the question of a browser before a request of an allowed origin; it carries no key."""
        return method == "OPTIONS" and origin in self._origins


def complete_methods(headers: Headers, methods: bytes | None) -> Headers:
    """Set `Allow` to these methods (default: as it is) and HEAD beside GET, and repeat it for a browser that asked."""
    asked = any(name == b"access-control-max-age" for name, _ in headers)
    complete: Headers = []
    for name, value in headers:
        if name != b"allow":
            complete.append((name, value))
            continue
        allowed = b", ".join(b"GET, HEAD" if each == b"GET" else each for each in (methods or value).split(b", "))
        complete.append((name, allowed))
        if asked:
            complete.append((b"access-control-allow-methods", allowed))
    return complete
