"""The OpenAPI document: an example of every body that its schema allows, and Retry-After where a client has to wait."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from service.errors import OUTCOMES, PROBLEMS
from service.http.app import create_app
from service.http.examples import PROBLEMS as PROBLEM_EXAMPLES
from service.http.examples import STRUCTS
from service.http.problem_details import PROBLEM_MEDIA_TYPE
from service.settings import Settings
from tests.support import Api

DOCUMENT = create_app(None, Settings()).openapi_schema.to_schema()
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
}


def bodies(operation: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The bodies of a request and of its answers: status, media type, schema and examples."""
    for status, message in [("request", operation.get("requestBody", {})), *operation["responses"].items()]:
        for media_type, body in message.get("content", {}).items():
            yield status, media_type, body


def examples(body: dict[str, Any]) -> list[Any]:
    return [each["value"] for each in body.get("examples", {}).values()] or [body["example"]]


@pytest.mark.parametrize("label", OPERATIONS)
def test_every_body_has_an_example_that_its_schema_allows(label: str) -> None:
    for status, media_type, body in bodies(OPERATIONS[label]):
        schema = {**body["schema"], "components": DOCUMENT["components"]}
        for example in examples(body):
            assert jsonschema_rs.Draft202012Validator(schema).is_valid(example), (status, media_type, example)
            if media_type == PROBLEM_MEDIA_TYPE:
                assert str(example["status"]) == status
                assert (PROBLEMS | OUTCOMES)[example["code"]] == example["status"]


def test_an_example_has_every_field_of_its_answer_and_no_other() -> None:
    for name, example in STRUCTS.items():
        if name in DOCUMENT["components"]["schemas"] and name != "Outcome":
            assert example.keys() == DOCUMENT["components"]["schemas"][name]["properties"].keys(), name


def test_pages_as_text_have_the_items_of_the_page() -> None:
    content = OPERATIONS["GET /v1/devices"]["responses"]["200"]["content"]
    items = content["application/json"]["example"]["items"]
    assert [json.loads(line) for line in content["application/x-ndjson"]["example"].splitlines()] == items
    [row] = csv.DictReader(io.StringIO(content["text/csv"]["example"]))
    assert row == {name: "" if value is None else str(value) for name, value in items[0].items()}


def test_every_answer_that_asks_to_wait_documents_retry_after() -> None:
    waiting = [
        (label, status, response)
        for label, operation in OPERATIONS.items()
        for status, response in operation["responses"].items()
        if status in {"429", "503"}
    ]
    assert {label for label, _, _ in waiting} == OPERATIONS.keys() - {"GET /health/live"}
    for label, status, response in waiting:
        header = response["headers"]["Retry-After"]
        assert (header["required"], header["schema"]) == (True, {"type": "integer", "minimum": 1}), (label, status)


def test_every_example_is_used() -> None:
    used = [
        example for operation in OPERATIONS.values() for _, _, body in bodies(operation) for example in examples(body)
    ]
    assert [name for name, example in STRUCTS.items() if example not in used] == []
    details = {(example["code"], example["detail"]) for example in used if "code" in example}
    assert {(code, detail) for _, code, detail in PROBLEM_EXAMPLES} == details


async def test_the_page_shows_the_finished_document(api: Api) -> None:
    served = (await api.http.get("/docs/openapi.json")).json()
    assert served == json.loads(json.dumps(DOCUMENT))
    shown = (await api.http.get("/docs")).text
    assert "Retry-After" in shown
    assert STRUCTS["Acknowledgement"]["note"] in shown
