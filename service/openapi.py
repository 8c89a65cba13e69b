"""The OpenAPI document, and Swagger UI at /docs from files on this machine (nothing from a CDN)."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from litestar import get
from litestar.openapi import OpenAPIConfig, ResponseSpec
from litestar.openapi.plugins import SwaggerRenderPlugin
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.response import Redirect
from litestar.router import Router
from litestar.static_files import create_static_files_router

from service import __version__
from service.errors import PROBLEM_MEDIA_TYPE, ProblemDetails

_ASSETS = "/docs/assets"

_PROBLEMS = {
    400: "not an acceptable HTTP request, or not JSON",
    404: "unknown device",
    409: "a reading of this device and time is stored with other values, which are kept",
    413: "the body is too long",
    415: "the body is not application/json",
    422: "refused; the detail names the field and the limit",
    503: "cannot be answered now; retry after Retry-After seconds",
}


def problems(*statuses: int) -> dict[int, ResponseSpec]:
    """The documentation of the errors a handler answers."""
    return {
        status: ResponseSpec(
            ProblemDetails, generate_examples=False, description=_PROBLEMS[status], media_type=PROBLEM_MEDIA_TYPE
        )
        for status in statuses
    }


def reads(*bodies: type[msgspec.Struct]) -> type[Operation]:
    """The documentation of a handler that decodes its body, one of `bodies`, itself."""
    _, schemas = msgspec.json.schema_components(bodies)
    alternatives: list[Any] = list(schemas.values())
    schema = alternatives[0] if len(alternatives) == 1 else Schema(one_of=alternatives)

    @dataclass
    class ReadingOperation(Operation):
        def __post_init__(self) -> None:
            self.request_body = RequestBody(
                content={"application/json": OpenAPIMediaType(schema=schema)}, required=True
            )

    return ReadingOperation


def openapi_config() -> OpenAPIConfig:
    """What the document says of the whole, and where its pages are."""
    return OpenAPIConfig(
        title="Energy Ingestion Engine",
        version=__version__,
        description="Telemetry of smart meters and electric vehicles. Times are RFC 3339 in UTC, energies kWh.",
        path="/docs",
        use_handler_docstrings=True,
        operation_id_creator=lambda handler, method, path: handler.handler_name,
        render_plugins=[
            SwaggerRenderPlugin(
                js_url=f"{_ASSETS}/swagger-ui-bundle.js",
                css_url=f"{_ASSETS}/swagger-ui.css",
                standalone_preset_js_url=f"{_ASSETS}/swagger-ui-standalone-preset.js",
                path="/",
            )
        ],
    )


@get("/", include_in_schema=False)
async def get_root() -> Redirect:
    """Whoever opens the address in a browser gets the documentation."""
    return Redirect("/docs")


def docs_assets() -> Router:
    """The route with Swagger UI's files."""
    package = importlib.util.find_spec("swagger_ui")
    assert package is not None and package.origin is not None  # noqa: S101
    return create_static_files_router(_ASSETS, [Path(package.origin).parent / "static"], include_in_schema=False)
