"""The whole OpenAPI document, as schemathesis reads it: what it promises comes, and what it asks for is taken."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import given
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from service.errors import OUTCOMES, PROBLEMS
from service.http.app import create_app
from service.http.problem_details import PROBLEM_MEDIA_TYPE
from service.settings import Settings
from tests.fuzz.support import PROOF, beside, fuzzing, time_limit
from tests.support import NOW, Api, Owner, meter_reading, rfc3339, vehicle_reading
from tests.support.delivery import open_alert

EXAMPLES = 5
"""Of each operation, as often well-formed as not."""
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EVERY_EDGE = 1 if PROOF else 12
METERS = ("fuzz-M1", "fuzz-M2")
VEHICLES = ("fuzz-V1", "fuzz-V2")
REGISTERS = tuple(f"fuzz-R{number}" for number in range(8))
"""Devices of both kinds that send a register: several, as an exchange bounds those beside it."""
ALERTS: list[int] = []
"""Numbers of alerts, once there is a fleet."""

TIMES = st.integers(0, 2 * 86_400_000_000).map(lambda ago: rfc3339(NOW - timedelta(microseconds=ago)))
"""Recent, as those are that a device sends and that people ask about: most of what a `date-time` may be is refused."""
schemathesis.openapi.format("date-time", TIMES)


@schemathesis.serializer("application/x-ndjson")
def _lines(_: schemathesis.SerializationContext, value: Any) -> bytes:
    return json.dumps(value).encode() + b"\n"


SCHEMA = schemathesis.openapi.from_dict(create_app(None, Settings()).openapi_schema.to_schema())
SCHEMA.config.generation.update(with_security_parameters=False)  # keys are off here: tests/http/test_auth.py has them
OPERATIONS = {found.ok().label: found.ok() for found in SCHEMA.get_all_operations()}
del OPERATIONS["GET /v1/events"]  # a stream, which does not end: tests/http/test_events.py reads it
TAKE_NOTHING = {"GET /health/live", "GET /health/ready", "GET /v1/fleet"}
"""So nothing that they are sent is against the document."""


LEAST_TAKEN = {
    "GET /v1/analytics/performance": 0.2,  # start, end and hours are drawn each on its own, and may contradict
    "GET /v1/analytics": 0.1,  # the same, and most texts are no cursor
    "GET /v1/history": 0.1,
    "GET /v1/alerts": 0.1,
    "GET /v1/sessions": 0.1,
    "GET /v1/devices/": 1,
    "GET /v1/devices": 0.1,
    "POST /v1/devices": 0.1,  # that a device sends a register, and what it was, the document cannot say
    "PUT /v1/devices": 0.3,  # where a register ends is told of a device that has none
    "": 1,
}
"""The share of what the document allows that has to be taken, of the first that fits; and why that is not all."""


@pytest.fixture(scope="module")
async def fleet(api: Api, owner: Owner) -> None:
    """Devices that are known, as nothing can be found out about others."""
    times = [NOW - timedelta(hours=hours) for hours in range(1, 30, 7)]
    await api.post("/v1/ingest/batch", [meter_reading(meter, time) for meter in METERS for time in times])
    await api.post("/v1/ingest/batch", [vehicle_reading(vehicle, time) for vehicle in VEHICLES for time in times])
    ALERTS[:] = [await open_alert(owner, vehicle) for vehicle in VEHICLES]
    for device in REGISTERS:
        for kind in ("meter", "vehicle"):
            await api.http.put(f"/v1/devices/{kind}/{device}", json={"energyKind": "register"})


def assert_documented(response: Any) -> None:
    """Beside what the document says: no answer that asks to come again, and errors that a program can tell apart."""
    assert response.status_code < 500, response.text
    [request_id] = response.headers["x-request-id"]
    if response.status_code < 400:
        return
    answer = response.json()
    if "received" in answer:
        assert response.status_code == 422
        assert answer["received"] == answer["rejected"] + answer["conflicts"]
        assert {error["code"] for error in answer["errors"]} <= OUTCOMES.keys()
    else:
        assert response.headers["content-type"] == [PROBLEM_MEDIA_TYPE]
        assert (OUTCOMES | PROBLEMS)[answer["code"]] == answer["status"] == response.status_code
        assert answer["detail"]
        assert answer["requestId"] == request_id


def cases(operation: Any, mode: GenerationMode) -> st.SearchStrategy[schemathesis.Case]:
    """What an operation may be sent, in half of the well-formed cases about a device that is known."""
    any_ = operation.as_strategy(generation_mode=mode)
    names = [parameter.name for parameter in operation.path_parameters]
    if mode is GenerationMode.NEGATIVE or not names:
        return any_
    known = METERS if "meter" in operation.path else VEHICLES
    if operation.label.startswith("POST /v1/devices"):
        known = REGISTERS
    if operation.path.startswith("/v1/alerts"):
        known = tuple(map(str, ALERTS))
    of_known = [operation.as_strategy(generation_mode=mode, path_parameters={names[0]: name}) for name in known]
    return st.one_of(*of_known, any_)


async def ask(api: Api, label: str, mode: GenerationMode, checks: list[Any]) -> Counter[int]:
    """Ask an operation many things, check each answer, and count the statuses."""
    statuses: Counter[int] = Counter()

    @given(cases(OPERATIONS[label], mode))
    @fuzzing(EXAMPLES)
    def check(case: schemathesis.Case) -> None:
        response = case.call(base_url=str(api.http.base_url), session=session)
        case.validate_response(response, checks=checks)
        assert_documented(response)
        status = response.status_code
        if status in {207, 422} and "conflicts" in response.text and response.json()["rejected"] == 0:
            status = 409  # of a batch
        if status in {207, 422} and "nearer to it than 1e-300" in response.text:
            status = 409  # what the document tells people only, and programs not
        statuses[status] += 1

    with requests.Session() as session:
        await beside(check)
    return statuses


@pytest.mark.timeout(time_limit(EXAMPLES))
@pytest.mark.parametrize("label", OPERATIONS)
async def test_what_the_document_allows_is_taken_and_answered_as_it_says(api: Api, fleet: None, label: str) -> None:
    statuses = await ask(api, label, GenerationMode.POSITIVE, CHECKS)
    assert min(statuses) < 300, statuses
    # that a device is not known, or that another value is, the document cannot foresee
    taken = sum(number for status, number in statuses.items() if status < 300 or status in {404, 409})
    least = next(share for start, share in LEAST_TAKEN.items() if label.startswith(start))
    assert taken >= least * statuses.total(), statuses


@pytest.mark.timeout(time_limit(EXAMPLES))
@pytest.mark.parametrize("label", sorted(OPERATIONS.keys() - TAKE_NOTHING))
async def test_what_the_document_does_not_allow_is_refused_as_it_says(api: Api, fleet: None, label: str) -> None:
    # of a batch, what the document does not allow may be one reading among good ones
    refused = [] if label.endswith("/batch") else [negative_data_rejection]
    statuses = await ask(api, label, GenerationMode.NEGATIVE, [*CHECKS, *refused])
    assert any(status >= 400 for status in statuses), statuses


@pytest.mark.timeout(time_limit(EXAMPLES))
@pytest.mark.parametrize("label", OPERATIONS)
async def test_at_the_edges_of_what_the_document_allows_it_is_answered_as_it_says(
    api: Api, fleet: None, label: str
) -> None:
    """Each limit, one within and one beyond; what is left out, of another type, or sent with another method."""
    edges = SCHEMA.iter_coverage_cases(
        OPERATIONS[label],
        generation_modes=list(GenerationMode),
        generation_config=SCHEMA.config.generation,
        extra_data_source=None,
        error_feedback=None,
        session=None,
    )

    def check() -> None:
        for number, case in enumerate(edges):
            if number % EVERY_EDGE:
                continue
            response = case.call(base_url=str(api.http.base_url), session=session)
            assert_documented(response)
            if response.status_code != 405:  # a method that the document has not
                case.validate_response(response, checks=CHECKS)

    with requests.Session() as session:
        await beside(check)
