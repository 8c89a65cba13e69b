"""OpenAPI document, and Swagger UI at /docs from local files (no CDN)."""

from __future__ import annotations

import importlib.util
import re
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
from litestar import Request, Response, Router, get
from litestar.openapi import OpenAPIConfig, ResponseSpec
from litestar.openapi.plugins import SwaggerRenderPlugin
from litestar.openapi.spec import (
    Components,
    OpenAPIHeader,
    OpenAPIMediaType,
    OpenAPIType,
    Operation,
    RequestBody,
    Schema,
    SecurityScheme,
)
from litestar.params import FromPath

from service import __version__
from service.errors import Problem
from service.http.assets import ASSET_HEADERS, Assets, page_headers
from service.http.document import DocumentConfig
from service.http.problem_details import PROBLEM_MEDIA_TYPE, ProblemDetails, to_response

_ASSETS = "/docs/assets"
_FILES = ("swagger-ui-bundle.js", "swagger-ui.css", "swagger-ui-standalone-preset.js", "favicon-32x32.png")
_package = importlib.util.find_spec("swagger_ui")
_folders = _package.submodule_search_locations if _package else None
_assets = Assets((Path(folder) / "static" / file for folder in _folders or () for file in _FILES), page_headers())

_PROBLEMS = {
    400: "not an acceptable HTTP request, or not JSON",
    401: "no API key, or one that does not hold",
    403: "the key may not use this route, or not for this device",
    404: "unknown device or link",
    409: "it contradicts what is stored, which is kept",
    413: "the body is too long",
    415: "the body is of another media type or content coding",
    422: "rejected; the detail names the field and the limit",
    429: "more requests a second than the key, or the address, may send; retry after Retry-After seconds",
    503: "cannot be answered now; retry after Retry-After seconds",
}


def problems(*statuses: int, public: bool = False) -> dict[int, ResponseSpec]:
    """Document the errors of a handler, of query parameters, and of its key, unless it needs none."""
    statuses = (*statuses, 422) if public else (*statuses, 401, 403, 422, 429)
    return {
        status: ResponseSpec(
            ProblemDetails, generate_examples=False, description=_PROBLEMS[status], media_type=PROBLEM_MEDIA_TYPE
        )
        for status in sorted({*statuses})
    }


def reads(*bodies: type[msgspec.Struct]) -> type[Operation]:
    """Document the body of a handler that decodes one of `bodies` itself."""
    return _reads({"application/json": _one_of(bodies)})


def reads_many(*items: type[msgspec.Struct]) -> type[Operation]:
    """Document the body of a handler that decodes many `items` itself: a JSON array, or one item a line."""
    item = _one_of(items)
    operation = _reads(
        {"application/json": Schema(type=OpenAPIType.ARRAY, items=item, min_items=1), "application/x-ndjson": item}
    )

    @dataclass
    class BatchOperation(operation):  # type: ignore[misc, valid-type]
        def __post_init__(self) -> None:
            super().__post_init__()
            responses: Any = self.responses
            responses["422"].content |= responses["400"].content  # of the request itself

    return BatchOperation


def answers_also_as(*media_types: str) -> type[Operation]:
    """Document pages that are also sent as text of these media types, one item a line."""

    @dataclass
    class PagedOperation(Operation):
        def __post_init__(self) -> None:
            page: Any = (self.responses or {})["200"]
            schema = page.content["application/json"].schema
            if isinstance(schema, Schema):  # of several kinds of pages: an empty one matches each
                schema.one_of, schema.any_of = None, schema.one_of
            for media_type in media_types:
                page.content[media_type] = OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING))
            page.headers = {
                "Link": OpenAPIHeader(
                    schema=Schema(type=OpenAPIType.STRING), description="the next page, if there is one; not of JSON"
                )
            }

    return PagedOperation


def _one_of(bodies: tuple[type[msgspec.Struct], ...]) -> Any:
    _, schemas = msgspec.json.schema_components(bodies)
    alternatives: list[Any] = list(schemas.values())
    return alternatives[0] if len(alternatives) == 1 else Schema(one_of=alternatives)


def _reads(schemas: dict[str, Any]) -> type[Operation]:
    @dataclass
    class ReadingOperation(Operation):
        def __post_init__(self) -> None:
            content = {media_type: OpenAPIMediaType(schema=schema) for media_type, schema in schemas.items()}
            self.request_body = RequestBody(content=content, required=True)

    return ReadingOperation


def _finish(answer: Response[Any]) -> Response[Any]:
    """Give a page the headers of the dashboard, and turn Litestar's HTML page for 404 into a problem."""
    if answer.status_code == 404:
        return to_response(Problem("route_unknown", "there is no such page"))
    content = answer.content if isinstance(answer.content, bytes) else b""
    inline = {tag: " ".join(["'self'", *_hashes(tag, content)]) for tag in (b"script", b"style")}
    answer.headers.update({**ASSET_HEADERS, **page_headers(inline[b"script"], inline[b"style"])})
    return answer


def _hashes(tag: bytes, page: bytes) -> Iterator[str]:
    """Iterate over the sources, for a Content-Security-Policy, of the elements of a page that have a text."""
    for start in re.finditer(rb"<%s\b[^>]*>" % tag, page):
        text = page[start.end() : page.index(b"</%s>" % tag, start.end())]
        if text:
            yield f"'sha256-{b64encode(sha256(text).digest()).decode()}'"


def openapi_config() -> OpenAPIConfig:
    """Return the settings of the OpenAPI document and its pages."""
    return DocumentConfig(
        title="Energy Ingestion Engine",
        version=__version__,
        description="Telemetry of smart meters and electric vehicles. Times are RFC 3339 in UTC, energies kWh. "
        "HEAD is answered wherever GET is. A query parameter that a route does not know is answered 422.",
        openapi_router=Router("/docs", route_handlers=[], include_in_schema=False, after_request=_finish),
        components=Components(
            security_schemes={
                "apiKey": SecurityScheme(
                    type="http",
                    scheme="bearer",
                    bearer_format="<keyId>.<secret>",
                    description="needed with ENERGY_AUTH=required; `energy keys create` makes one",
                )
            }
        ),
        security=[{"apiKey": []}],
        use_handler_docstrings=True,
        operation_id_creator=lambda handler, method, path: handler.handler_name,
        render_plugins=[
            SwaggerRenderPlugin(
                js_url=f"{_ASSETS}/swagger-ui-bundle.js",
                css_url=f"{_ASSETS}/swagger-ui.css",
                standalone_preset_js_url=f"{_ASSETS}/swagger-ui-standalone-preset.js",
                favicon=f'<link rel="icon" type="image/png" href="{_ASSETS}/favicon-32x32.png">',
                path="/",
            )
        ],
    )


@get(f"{_ASSETS}/{{name:str}}", include_in_schema=False)
async def get_docs_asset(request: Request[Any, Any, Any], name: FromPath[str]) -> Response[bytes]:
    """Return a file of Swagger UI."""
    return _assets.answer(request, name)
