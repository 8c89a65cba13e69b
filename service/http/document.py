"""The finished OpenAPI document: Litestar's, with an example of every body, and with the header `Retry-After`."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
from typing import Any

from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import OpenAPI

from service import errors
from service.http.examples import PROBLEMS, STRUCTS
from service.http.problem_details import PROBLEM_MEDIA_TYPE

_RETRY_AFTER = {
    "description": "seconds to wait before the request is sent again",
    "required": True,
    "schema": {"type": "integer", "minimum": 1},
}


class DocumentConfig(OpenAPIConfig):
    """The settings of the document, which is finished when somebody asks for it."""

    def to_openapi_schema(self) -> OpenAPI:
        """Return the document, still without paths."""
        document = super().to_openapi_schema()
        return _Document(**{field.name: getattr(document, field.name) for field in dataclasses.fields(document)})


class _Document(OpenAPI):
    def to_schema(self) -> dict[str, Any]:
        document = super().to_schema()
        for path, operations in document["paths"].items():
            for operation in operations.values():
                _finish(path, operation)
        return document


def _finish(path: str, operation: dict[str, Any]) -> None:
    if "requestBody" in operation:
        _exemplify(operation["requestBody"]["content"])
    for status, response in operation["responses"].items():
        content = response.get("content", {})
        if problem := content.get(PROBLEM_MEDIA_TYPE):
            problem["example"] = _problem(path, int(status))
        _exemplify({media_type: body for media_type, body in content.items() if media_type != PROBLEM_MEDIA_TYPE})
        if status in {"429", "503"}:
            response.setdefault("headers", {})["Retry-After"] = _RETRY_AFTER


def _exemplify(content: dict[str, Any]) -> None:
    """Add examples to the media types of a body. Text has the items of the JSON beside it."""
    for media_type, body in content.items():
        if body["schema"].get("type") == "string":
            [page, *_] = _examples(content["application/json"]["schema"]).values()
            body["example"] = _as_text(media_type, page["items"])
        else:
            examples = _examples(body["schema"])
            if len(examples) == 1:
                [body["example"]] = examples.values()
            else:
                body["examples"] = {name: {"value": value} for name, value in examples.items()}


def _examples(schema: dict[str, Any]) -> dict[str, Any]:
    """The examples of a schema, by the name of the struct."""
    if alternatives := schema.get("oneOf") or schema.get("anyOf"):
        return {name: value for each in alternatives for name, value in _examples(each).items()}
    if schema.get("type") == "array":
        items = list(_examples(schema["items"]).values())
        return {"array": items}
    name = schema["$ref"].rpartition("/")[2] if "$ref" in schema else schema["title"]
    return {name: STRUCTS[name]}


def _as_text(media_type: str, items: list[dict[str, Any]]) -> str:
    if media_type == "application/x-ndjson":
        return "".join(json.dumps(item) + "\n" for item in items)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, items[0])
    writer.writeheader()
    for item in items:
        writer.writerow(
            {
                name: json.dumps(value, separators=(",", ":")) if isinstance(value, dict) else value
                for name, value in item.items()
            }
        )
    return text.getvalue()


def _problem(path: str, status: int) -> dict[str, Any]:
    statuses = errors.PROBLEMS | errors.OUTCOMES
    code, detail = next(
        (code, detail) for pattern, code, detail in PROBLEMS if statuses[code] == status and re.match(pattern, path)
    )
    return {
        "title": code.replace("_", " "),
        "status": status,
        "code": code,
        "detail": detail,
        "requestId": "6f1c09e2b7d4-3",
    }
