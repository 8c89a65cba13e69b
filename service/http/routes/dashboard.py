"""GET / and its assets: the dashboard as plain HTML, CSS and ES modules, served by this process.

Page and assets are public, as they hold no data. The page asks /v1 for its data, with the visitor's key if keys are
required. No part of it may come from, or go to, another server.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from litestar import Request, Response, get
from litestar.params import FromPath

from service.errors import Problem

HERE = Path(__file__).parents[2] / "dashboard"
ASSETS = HERE / "assets"
CHARTS = HERE / "node_modules/uplot/dist"
CHART_FILES = ("uPlot.esm.js", "uPlot.min.css")

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # revalidated each time, mostly with 304: an upgrade shows at once
    "Cache-Control": "no-cache",
}
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


class _Asset(NamedTuple):
    content: bytes
    media_type: str
    tag: str


_assets: dict[str, _Asset] = {}


def _load(name: str) -> _Asset | None:
    """Load an asset by its name, once; None if there is none (the chart library before its installation)."""
    if name not in _assets:
        # compared with the files present, so that no name leads out of the folder
        known = {path.name: path for path in ASSETS.iterdir()} | {file: CHARTS / file for file in CHART_FILES}
        path = known.get(name)
        if path is None or not path.is_file():
            return None
        content = path.read_bytes()
        _assets[name] = _Asset(content, _TYPES[path.suffix], f'"{sha256(content).hexdigest()[:32]}"')
    return _assets[name]


def _answer(request: Request[Any, Any, Any], name: str) -> Response[bytes]:
    asset = _load(name)
    if asset is None:
        raise Problem("route_unknown", "there is no such file")
    headers = HEADERS | {"ETag": asset.tag}
    if asset.tag in request.headers.get("if-none-match", ""):
        return Response(b"", status_code=304, headers=headers, media_type=asset.media_type)
    return Response(asset.content, headers=headers, media_type=asset.media_type)


@get("/", include_in_schema=False)
async def get_dashboard(request: Request[Any, Any, Any]) -> Response[bytes]:
    """The dashboard's page."""
    return _answer(request, "index.html")


@get("/dashboard/{name:str}", include_in_schema=False)
async def get_dashboard_asset(request: Request[Any, Any, Any], name: FromPath[str]) -> Response[bytes]:
    """An asset of the dashboard."""
    return _answer(request, name)
