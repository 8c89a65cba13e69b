"""Static files: a fixed set of names, each read once and sent with an ETag.

Litestar's static files answer no If-None-Match with 304. Their ETag is made of the file's time, which a new image
changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from litestar import Request, Response

from service.errors import Problem

_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}
ASSET_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    # asked again each time, and answered with 304: an upgrade shows at once
    "Cache-Control": "no-cache",
}


def page_headers(scripts: str = "'self'", styles: str = "'self'") -> dict[str, str]:
    """Return the headers of a page that no other site may show or feed, with its sources of scripts and styles."""
    return {
        "Content-Security-Policy": (
            f"default-src 'none'; script-src {scripts}; style-src {styles}; connect-src 'self'; img-src 'self' data:; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }


class _Asset(NamedTuple):
    content: bytes
    media_type: str
    tag: str


class Assets:
    """The files that a page consists of.

    Args:
        paths: the files; a request names one by the last part of its path.
        headers: sent with each.
    """

    def __init__(self, paths: Iterable[Path], headers: Mapping[str, str] | None = None) -> None:
        # compared with what is there, so that no name leads out of the folder; a stray file is none of them
        self._paths = {path.name: path for path in paths if path.suffix in _TYPES}
        self._headers = {**ASSET_HEADERS, **(headers or {})}
        self._read: dict[str, _Asset] = {}

    def answer(self, request: Request[Any, Any, Any], name: str) -> Response[bytes]:
        """The file of this name, or 304 where the client has it.

        Raises:
            Problem: `route_unknown`: there is none (of the chart library, until it is installed).
        """
        asset = self._find(name)
        headers = self._headers | {"ETag": asset.tag}
        if asset.tag in request.headers.get("if-none-match", ""):
            return Response(b"", status_code=304, headers=headers, media_type=asset.media_type)
        return Response(asset.content, headers=headers, media_type=asset.media_type)

    def _find(self, name: str) -> _Asset:
        if name not in self._read:
            path = self._paths.get(name)
            if path is None or not path.is_file():
                raise Problem("route_unknown", "there is no such file")
            content = path.read_bytes()
            self._read[name] = _Asset(content, _TYPES[path.suffix], f'"{sha256(content).hexdigest()[:32]}"')
        return self._read[name]
