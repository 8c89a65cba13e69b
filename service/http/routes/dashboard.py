"""GET / and its assets: the dashboard as plain HTML, CSS and ES modules, served by this process.

Page and assets are public, as they hold no data. The page asks /v1 for its data, with the visitor's key if keys are
required. No part of it may come from, or go to, another server.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from litestar import Request, Response, get
from litestar.params import FromPath

from service.http.assets import Assets, page_headers

HERE = Path(__file__).parents[2] / "dashboard"
ASSETS = HERE / "assets"
CHARTS = HERE / "node_modules/uplot/dist"
CHART_FILES = ("uPlot.esm.js", "uPlot.min.css")

_assets = Assets([*ASSETS.iterdir(), *(CHARTS / file for file in CHART_FILES)], page_headers())


@get("/", include_in_schema=False)
async def get_dashboard(request: Request[Any, Any, Any]) -> Response[bytes]:
    """The dashboard's page."""
    return _assets.answer(request, "index.html")


@get("/dashboard/{name:str}", include_in_schema=False)
async def get_dashboard_asset(request: Request[Any, Any, Any], name: FromPath[str]) -> Response[bytes]:
    """An asset of the dashboard."""
    return _assets.answer(request, name)
